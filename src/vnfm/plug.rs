//! Does and undoes the steps of an operation on a PF: guests let go of their functions and get them back.
//!
//! Owns how long a guest is asked and that it is stopped where it does not listen. Never: which guests
//! (`reload`), or how a PF is reloaded (the hardware's port).

use std::time::Duration;

use super::{
    Vnfm,
    run::{GoingDown, LOOK_AGAIN, again},
};
use crate::{
    lcm::port::{Outcome, StepCx},
    model::{
        error::{Kind, Result},
        hw::PciAddr,
        place::Given,
        step::{PfStep, PfUser},
    },
};

/// A guest that is still booting hears nothing: it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(5);

impl Vnfm {
    pub fn run_pf_step(&self, cx: &StepCx, step: &PfStep) -> Result<Outcome> {
        match step {
            PfStep::Unplug { user, within_s, stop_s } => return self.unplug(cx, user, *within_s, *stop_s),
            PfStep::Reload(pf) => self.hardware.reload_pf(pf)?,
            PfStep::Restore(pf) => self.hardware.ensure_pf(pf)?,
            PfStep::Plug(user) => self.plug(user)?,
        }
        Ok(Outcome::Done)
    }

    pub fn undo_pf_step(&self, _: &StepCx, step: &PfStep) -> Result<Outcome> {
        match step {
            PfStep::Unplug { user, .. } => self.plug(user)?,
            PfStep::Reload(pf) | PfStep::Restore(pf) => self.hardware.ensure_pf(pf)?,
            // Before it the guest was unplugged, which undoes itself.
            PfStep::Plug(_) => {}
        }
        Ok(Outcome::Done)
    }

    fn unplug(&self, cx: &StepCx, user: &PfUser, within_s: u32, stop_s: u32) -> Result<Outcome> {
        let id = user.guest;
        let has = self.hypervisor.functions(id)?.unwrap_or_default();
        let left: Vec<PciAddr> = user.given.iter().map(Given::address).filter(|a| has.contains(a)).collect();
        if !left.is_empty() {
            let within = Duration::from_secs(within_s.into());
            let in_time = cx.elapsed < within && !cx.hurry();
            let in_turn = cx.fresh || cx.elapsed.as_millis() % ASK_AGAIN.as_millis() < LOOK_AGAIN.as_millis();
            let mut refused = false;
            for device in left.iter().filter(|_| in_time && in_turn) {
                match self.hypervisor.unplug(id, *device) {
                    // It sits where nothing can be unplugged: to wait would be in vain.
                    Err(f) if f.kind() == Kind::Conflict => refused = true,
                    Err(f) => tracing::debug!(guest = %id, %device, "asked in vain: {f}"),
                    Ok(()) => {}
                }
            }
            if in_time && !refused {
                let all: Vec<String> = left.iter().map(PciAddr::to_string).collect();
                let why = format!("{} has not let go of {} yet ({} of {within_s} s)", user.name, all.join(", "), cx.elapsed.as_secs());
                return Ok(again(LOOK_AGAIN.min(within.saturating_sub(cx.elapsed)), why, id));
            }
            tracing::warn!(guest = %id, name = %user.name, refused, "it does not let go of its functions, and is stopped");
            let since = if refused { cx.elapsed } else { cx.elapsed.saturating_sub(within) };
            let how = GoingDown { limit_s: stop_s, elapsed: since, first: since < LOOK_AGAIN, hurry: cx.hurry() };
            match self.stop_within(id, how)? {
                Outcome::Done => {}
                wait @ Outcome::Again { .. } => return Ok(wait),
            }
        }
        user.given.iter().try_for_each(|g| self.take_back(g))?;
        Ok(Outcome::Done)
    }

    fn plug(&self, user: &PfUser) -> Result<()> {
        user.given.iter().try_for_each(|g| self.give(g))?;
        match self.hypervisor.functions(user.guest)? {
            Some(has) => {
                let missing = user.given.iter().map(Given::address).filter(|a| !has.contains(a));
                missing.into_iter().try_for_each(|device| self.hypervisor.plug(user.guest, device))
            }
            None if user.runs => {
                self.give_all(user.vnf, user.guest)?;
                self.ensure_forwarders(user.vnf, user.guest)?;
                self.make_way(user.vnf, user.guest)?;
                self.hypervisor.start(user.guest)
            }
            None => Ok(()),
        }
    }
}
