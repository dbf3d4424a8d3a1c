//! A boot on trial: looks until all is up, keeps the slot, or gives it up.
//!
//! ```text
//! sound -> record: COMMITTING -> boot loader: the slot is every boot's -> store: the copy takes its place -> record: COMMITTED
//! ```
//! The boot loader's block is the one moment: cut off before it, the next boot is the old slot, whose store nobody touched;
//! cut off after it, the next boot is this slot again, and its start puts the store in place (`How::Finish`).

use std::time::Instant;

use super::work::Updater;
use crate::model::{
    error::{Fault, Result},
    update::{Unmet, Update, UpdateEvent, UpdateState},
};

impl Updater {
    pub(super) fn watch(&self) {
        let until = Instant::now() + self.pace.limit;
        let mut sound = 0;
        if let Some(UpdateState::Committing) = self.update().map(|u| u.state) {
            return self.commit();
        }
        loop {
            let Some(u) = self.update() else { return };
            let unmet = self.unmet(&u);
            if let Some(who) = self.told_to_end() {
                return self.give_up(std::iter::once(who).chain(unmet).collect());
            }
            sound = if unmet.is_empty() { sound + 1 } else { 0 };
            let told = self.change(|u| u.unmet.clone_from(&unmet), None);
            if sound >= self.pace.steady {
                match told.and_then(|()| self.event(&UpdateEvent::Sound)) {
                    Ok(()) => return self.commit(),
                    Err(fault) => tracing::error!("the trial cannot be kept: {fault:?}"),
                }
            }
            if Instant::now() >= until {
                let unmet = if unmet.is_empty() { vec!["the record of the update cannot be written".to_owned()] } else { unmet };
                return self.give_up(unmet);
            }
            if !self.pause() {
                return;
            }
        }
    }

    fn unmet(&self, u: &Update) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        if let (Some(r), Some(b)) = (&self.running, &u.bundle)
            && (r.version != b.version || r.security < b.security)
        {
            all.push(format!("the slot holds version {}, and {} was written", r.version, b.version));
        }
        let news = |m: &Unmet| !u.excused.contains(&m.key);
        all.extend(self.house.unmet().into_iter().filter(news).map(|m| m.why));
        match self.house.in_flight() {
            Ok(ops) => all.extend(ops.into_iter().map(|o| format!("{o} is under way"))),
            Err(fault) => all.push(fault.detail()),
        }
        all
    }

    /// Until the boot loader has it there is a way back, and none after.
    pub(super) fn commit(&self) {
        let until = Instant::now() + self.pace.limit;
        loop {
            match self.keep() {
                Ok(()) => return self.tidy(),
                Err(fault) => {
                    tracing::error!("the slot is not kept yet: {fault:?}");
                    let kept = self.block.read().is_ok_and(|b| b.is_some_and(|b| b.slot_try.is_none()));
                    if !kept && Instant::now() >= until {
                        return self.give_up(vec![fault.detail()]);
                    }
                }
            }
            if !self.pause() {
                return;
            }
        }
    }

    fn keep(&self) -> Result<()> {
        let u = self.update().ok_or_else(|| Fault::bug("there is no update"))?;
        self.block.change(|b| Ok(if b.slot == u.target && b.slot_try.is_none() { b.clone() } else { b.keeping(u.target) }))?;
        self.house.keep_store()?;
        self.change(|u| u.unmet.clear(), Some(&UpdateEvent::Kept))?;
        tracing::info!(slot = %u.target, "the slot has proved itself: every boot takes it now");
        Ok(())
    }

    fn give_up(&self, why: Vec<String>) {
        tracing::error!(why = why.join("; "), "the trial is over: the box goes back to the old slot");
        if let Err(fault) = self.change(|u| u.unmet = why, None) {
            tracing::error!("the old slot will not know why: {fault:?}");
        }
        // One that does not restart by itself is restarted by the image's timer.
        if let Err(fault) = self.slots.restart() {
            tracing::error!("the box does not restart: {fault:?}");
        }
    }
}
