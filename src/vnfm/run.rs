//! Does and undoes one step of a VNF by the ports.
//!
//! Every step is *ensure*: doing it again changes nothing. Owns how a guest is waited for and how it
//! is stopped. Never: what a plan contains.

use std::time::Duration;

use regex::bytes::Regex;
use tracing::warn;

use super::Vnfm;
use crate::{
    lcm::{
        port::{Outcome, StepCx, WakeKey},
        timeline::plan_of,
    },
    model::{
        error::{Fault, Kind, Result},
        host::DriverName,
        id::{IfKind, IfName, VnfId, VnfcId},
        op::{OpKind, OpState, Operation, Target, VnfOpState},
        place::Given,
        step::{PlanStep, Step, VnfStep},
        vnf::{Properties, Reservation, RunState, VnfInstance},
        vnfd::Readiness,
    },
    store::Durability,
    vim::port::{GuestState, StopHow},
};

/// Between two looks at a guest that takes its time; events come earlier.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// A guest that did not react to its agent is asked by the power button, and again after this.
const ASK_AGAIN: Duration = Duration::from_secs(5);
const SERIAL_TAIL: usize = 256 * 1024;

pub(super) fn again(after: Duration, why: impl Into<String>, guest: VnfcId) -> Outcome {
    Outcome::Again { after, why: why.into(), wake: Some(WakeKey::Guest(guest)) }
}

impl Vnfm {
    pub fn run_step(&self, cx: &StepCx, step: &VnfStep) -> Result<Outcome> {
        match step {
            VnfStep::Segment(id) | VnfStep::Attach(id) => self.links.ensure(*id)?,
            VnfStep::Image(base) => {
                if !self.images.has_base(&base.sha256)? {
                    let digest = data_encoding::HEXLOWER.encode(&base.sha256);
                    return Err(Fault::conflict(format!(
                        "base image {digest} is not in the image store: onboard its package again, then retry"
                    )));
                }
            }
            VnfStep::Disk(spec) => self.images.ensure_disk(spec)?,
            VnfStep::Medium(spec) => self.make_medium(spec)?,
            VnfStep::Define(spec) => {
                self.hypervisor.set_datapath(self.links.ready()?);
                self.tell_float()?;
                self.hypervisor.define(spec)?;
            }
            VnfStep::Start(id) => {
                self.await_ready(cx, *id)?;
                self.start_guest(cx, *id)?;
            }
            VnfStep::Give { given, .. } => self.give(given)?,
            VnfStep::TakeBack(given) => self.take_back(given)?,
            VnfStep::Ready { vnfc, rule, grace_s, addresses } => {
                let outcome = self.ready(cx, *vnfc, rule, *grace_s, addresses)?;
                if let Target::Vnf(vnf) = cx.op.target {
                    match outcome {
                        Outcome::Done => self.links.arrived(vnf, *vnfc)?,
                        // After a start of Bothy, too.
                        Outcome::Again { .. } => self.pass_by(vnf, *vnfc),
                    }
                }
                return Ok(outcome);
            }
            VnfStep::Stop { vnfc, graceful_s } => return self.stop_guest(cx, *vnfc, *graceful_s),
            VnfStep::RemoveGuest(id) => {
                self.hypervisor.remove(*id)?;
                self.clear_switch(&self.nics(cx, *id)?)?;
                self.images.remove_serial_log(*id)?;
                self.links.forget(*id);
            }
            VnfStep::RemoveDisk(id) => self.images.remove_disk(*id)?,
            VnfStep::RemoveMedium(id) => self.images.remove_medium(*id)?,
            VnfStep::RemoveSegment(id) => self.links.remove(*id)?,
            VnfStep::Properties { after, .. } => self.set_properties(cx, after)?,
            VnfStep::Capture { snapshot, guests } => return self.capture(*snapshot, guests),
            VnfStep::RevertDisk { vnfc, disk, copy, kept, .. } => self.revert_disk(*vnfc, *disk, *copy, *kept)?,
            VnfStep::Move(m) => self.move_port(cx, m, true)?,
            VnfStep::Redefine { before, after } => self.redefine(before, after)?,
            VnfStep::Grow { vnfc, disk, to } => self.grow(*vnfc, *disk, *to)?,
            VnfStep::Rewrite { after, .. } => self.make_medium(after)?,
            VnfStep::Abroad(s) => return self.run_abroad(cx, s),
            VnfStep::Shed(s) => self.shed(s)?,
            VnfStep::Package(p) => self.check_there(&p.after)?,
            VnfStep::Ask(what) => return self.ask_own(cx, what),
        }
        Ok(Outcome::Done)
    }

    pub fn undo_step(&self, cx: &StepCx, step: &VnfStep) -> Result<Outcome> {
        match step {
            VnfStep::Segment(id) => self.links.remove(*id)?,
            VnfStep::Disk(spec) => self.images.remove_disk(spec.id)?,
            VnfStep::Give { given, .. } => self.take_back(given)?,
            VnfStep::Medium(spec) => self.images.remove_medium(spec.vnfc)?,
            VnfStep::Define(spec) => {
                self.hypervisor.remove(spec.id)?;
                self.clear_switch(&spec.nics.iter().map(|n| n.ifname.clone()).collect::<Vec<_>>())?;
                self.images.remove_serial_log(spec.id)?;
                self.links.forget(spec.id);
            }
            // As before: a VNF that was started, or stopped, already when it was asked to be so. One that was
            // rebooted is started by the undoing of its stop.
            VnfStep::Start(_) if cx.op.kind == OpKind::Start && self.run_before(cx)? == Some(RunState::Started) => {}
            VnfStep::Stop { .. }
                if matches!(cx.op.kind, OpKind::Stop | OpKind::RevertToSnapshot) && self.run_before(cx)? == Some(RunState::Stopped) => {}
            VnfStep::Start(id) => self.hypervisor.destroy(*id)?,
            VnfStep::Stop { vnfc, .. } => match self.start_guest(cx, *vnfc) {
                // It was removed by a step of a later plan: there is nothing to go back to.
                Err(f) if f.kind() == Kind::NotFound => {}
                other => other?,
            },
            VnfStep::Properties { before, .. } => self.set_properties(cx, before)?,
            VnfStep::Capture { guests, .. } => return self.undo_capture(guests),
            VnfStep::RevertDisk { vnfc, disk, kept, .. } => self.undo_revert(*vnfc, *disk, *kept)?,
            VnfStep::Move(m) => self.move_port(cx, m, false)?,
            VnfStep::Redefine { before, after } => self.redefine(after, before)?,
            VnfStep::Rewrite { before, .. } => self.make_medium(before)?,
            VnfStep::Shed(s) => self.unshed(s)?,
            VnfStep::Abroad(s) => return self.undo_abroad(cx, s),
            // As it was, it was not waited for.
            VnfStep::Ready { vnfc, .. } => {
                if let Target::Vnf(vnf) = cx.op.target {
                    self.links.arrived(vnf, *vnfc)?;
                }
            }
            VnfStep::Image(_) | VnfStep::Attach(_) | VnfStep::Grow { .. } | VnfStep::Package(_) | VnfStep::Ask(_) => {}
            VnfStep::RemoveGuest(_)
            | VnfStep::RemoveDisk(_)
            | VnfStep::RemoveMedium(_)
            | VnfStep::RemoveSegment(_)
            | VnfStep::TakeBack(_) => {
                return Err(Fault::conflict(format!(
                    "'{}' cannot be undone: what is removed stays removed",
                    Step::Vnf(step.clone()).label()
                )));
            }
        }
        Ok(Outcome::Done)
    }

    /// Chains do not lead by a guest between its start and what its plan waits for then.
    fn await_ready(&self, cx: &StepCx, id: VnfcId) -> Result<()> {
        let Target::Vnf(vnf) = cx.op.target else { return Ok(()) };
        let is_its = |s: &PlanStep| matches!(&s.step, Step::Vnf(VnfStep::Ready { vnfc, .. }) if *vnfc == id);
        if self.hypervisor.state(id)? != Some(GuestState::Running) && plan_of(&self.store, cx.op.id)?.iter().any(is_its) {
            self.pass_by(vnf, id);
        }
        Ok(())
    }

    /// A switch that does not take it is no reason not to start the guest, or not to wait for it.
    fn pass_by(&self, vnf: VnfId, id: VnfcId) {
        if let Err(fault) = self.links.awaits(vnf, id) {
            warn!(guest = %id, "a chain does not lead past a guest that is not ready yet: {fault:?}");
        }
    }

    /// An operation that got nowhere is over: its guests are as they are, and nothing waits for them any more.
    pub fn waits_no_more(&self, op: &Operation) {
        let (Target::Vnf(vnf), OpState::Vnf(VnfOpState::Failed | VnfOpState::RolledBack)) = (op.target, op.state) else { return };
        let told = plan_of(&self.store, op.id).and_then(|plan| {
            let waited = plan.iter().filter_map(|s| if let Step::Vnf(VnfStep::Ready { vnfc, .. }) = &s.step { Some(*vnfc) } else { None });
            let mut so_far = Ok(());
            for guest in waited {
                so_far = so_far.and(self.links.arrived(vnf, guest));
            }
            so_far
        });
        if let Err(fault) = told {
            warn!(op = %op.id, "a chain does not lead by the guests of an operation that is over: {fault:?}");
        }
    }

    fn start_guest(&self, cx: &StepCx, id: VnfcId) -> Result<()> {
        // A reboot of the host since the guest was made took the settings of its functions.
        if let Target::Vnf(vnf) = cx.op.target {
            self.give_all(vnf, id)?;
            self.ensure_forwarders(vnf, id)?;
            self.make_way(vnf, id)?;
        }
        self.hypervisor.start(id)
    }

    /// The function is as the guest needs it.
    pub(super) fn give(&self, given: &Given) -> Result<()> {
        match given {
            Given::Vf { want, .. } => self.hardware.ensure_vf(want),
            Given::Whole { device, .. } => self.hardware.ensure_driver(*device, Some(&DriverName::VFIO)),
        }
    }

    /// All functions of a guest, before it starts. While what would give it others waits for its grant: those it has.
    pub(super) fn give_all(&self, vnf: VnfId, guest: VnfcId) -> Result<()> {
        let held = match self.side_before_grant(vnf)? {
            Some(side) => side.placed,
            None => self.store.get::<Reservation>(&vnf)?.map(|r| r.placed).unwrap_or_default(),
        };
        held.iter().filter(|h| h.guest == guest).flat_map(|h| &h.given).try_for_each(|g| self.give(g))
    }

    /// The function is the host's again, as it was; one that is gone is nobody's.
    pub(super) fn take_back(&self, given: &Given) -> Result<()> {
        match given {
            Given::Vf { before, .. } => self.hardware.release_vf(before),
            Given::Whole { device, before } => self.hardware.release_driver(*device, before.as_ref()),
        }
    }

    /// What the VNF of an operation was to do before it: the record changes at its end only.
    fn run_before(&self, cx: &StepCx) -> Result<Option<RunState>> {
        let Target::Vnf(id) = cx.op.target else { return Ok(None) };
        Ok(self.store.get::<VnfInstance>(&id)?.and_then(|v| v.body).map(|b| b.run))
    }

    /// Nobody else writes them: the operation holds the VNF.
    fn set_properties(&self, cx: &StepCx, to: &Properties) -> Result<()> {
        let Target::Vnf(id) = cx.op.target else { return Ok(()) };
        self.store.write(Durability::Lazy, |tx| {
            let mut inst: VnfInstance = tx.require(&id)?;
            if Properties::of(&inst) == *to {
                return Ok(());
            }
            inst.extensions.clone_from(&to.extensions);
            inst.configurable.clone_from(&to.configurable);
            inst.revision += 1;
            tx.put(&inst)
        })
    }

    /// What the NICs of a guest are called on the switch.
    fn nics(&self, cx: &StepCx, id: VnfcId) -> Result<Vec<IfName>> {
        let Target::Vnf(vnf) = cx.op.target else { return Ok(Vec::new()) };
        let body = self.store.get::<VnfInstance>(&vnf)?.and_then(|v| v.body);
        let guest = body.as_ref().and_then(|b| b.vnfcs.iter().find(|c| c.id == id));
        Ok(guest.map(|c| c.ports.iter().map(|p| p.ifname.clone()).collect()).unwrap_or_default())
    }

    /// libvirt takes a guest's ports off the switch itself; when the switch's database was away just
    /// then, they stayed on it.
    pub(super) fn clear_switch(&self, nics: &[IfName]) -> Result<()> {
        if nics.is_empty() {
            return Ok(());
        }
        let fabric = self.links.fabric();
        // Networks of trunks are ports of their links, which take them away.
        let is_of_guest = |n: &IfName| nics.contains(n) && IfKind::of(n) != Some(IfKind::Trunk);
        let left: Vec<IfName> = fabric.ports()?.into_iter().map(|p| p.name).filter(is_of_guest).collect();
        left.iter().try_for_each(|name| fabric.remove_port(name))
    }

    /// Not yet, ready, or why it never will be.
    fn ready(&self, cx: &StepCx, id: VnfcId, rule: &Readiness, grace_s: u32, addresses: &[std::net::IpAddr]) -> Result<Outcome> {
        let waits_for = match self.hypervisor.state(id)? {
            None => return Err(Fault::conflict(format!("guest {id} is gone before it was ready"))),
            Some(GuestState::Off | GuestState::Crashed) => {
                return Err(Fault::conflict(format!("guest {id} stopped before it was ready")).with_reasons(self.last_words(id)));
            }
            Some(GuestState::PausedIo) => "the guest is paused: the disk of the host is full".to_string(),
            Some(GuestState::Running | GuestState::Paused | GuestState::Stopping) => match rule {
                Readiness::Running => return Ok(Outcome::Done),
                Readiness::Agent => {
                    if self.hypervisor.agent_ping(id, Duration::from_secs(2))? {
                        return Ok(Outcome::Done);
                    }
                    "the guest agent does not answer yet".to_string()
                }
                Readiness::Serial(pattern) => {
                    let re = Regex::new(pattern)
                        .map_err(|e| Fault::invalid(format!("readiness rule serial:{pattern} is no regular expression")).with_source(e))?;
                    if re.is_match(&self.images.serial_log(id, SERIAL_TAIL)?) {
                        return Ok(Outcome::Done);
                    }
                    format!("the serial console has not said /{pattern}/ yet")
                }
                Readiness::Tcp(port) => {
                    for a in addresses {
                        if self.links.host().tcp_answers(*a, *port, Duration::from_millis(500))? {
                            return Ok(Outcome::Done);
                        }
                    }
                    let tried: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                    format!("TCP port {port} is not open yet on {}", tried.join(", "))
                }
            },
        };
        if cx.elapsed >= Duration::from_secs(grace_s.into()) {
            return Err(
                Fault::conflict(format!("guest {id} was not ready within {grace_s} s: {waits_for}")).with_reasons(self.last_words(id))
            );
        }
        Ok(again(LOOK_AGAIN, waits_for, id))
    }

    /// The last line of its console tells most about a guest that did not come up.
    fn last_words(&self, id: VnfcId) -> Option<String> {
        let tail = self.images.serial_log(id, 4096).ok()?;
        let text = String::from_utf8_lossy(&tail);
        let line = text.lines().rev().map(str::trim).find(|l| !l.is_empty())?;
        Some(format!("its console ended with: {}", line.chars().filter(|c| !c.is_control()).take(200).collect::<String>()))
    }

    /// GRACEFUL asks the agent, then presses the power button, and destroys when the time is over;
    /// without a time it destroys at once.
    fn stop_guest(&self, cx: &StepCx, id: VnfcId, graceful_s: Option<u32>) -> Result<Outcome> {
        let Some(limit_s) = graceful_s else {
            self.hypervisor.destroy(id)?;
            return Ok(Outcome::Done);
        };
        self.stop_within(id, GoingDown { limit_s, elapsed: cx.elapsed, first: cx.fresh, hurry: cx.hurry() })
    }

    /// The graceful way of it.
    pub(super) fn stop_within(&self, id: VnfcId, how: GoingDown) -> Result<Outcome> {
        let GoingDown { limit_s, elapsed, first, hurry } = how;
        match self.hypervisor.state(id)? {
            None | Some(GuestState::Off | GuestState::Crashed) => return Ok(Outcome::Done),
            // It cannot react: waiting is in vain.
            Some(GuestState::Paused | GuestState::PausedIo) => {
                self.hypervisor.destroy(id)?;
                return Ok(Outcome::Done);
            }
            Some(GuestState::Running | GuestState::Stopping) => {}
        }
        let limit = Duration::from_secs(limit_s.into());
        if hurry || elapsed >= limit {
            self.hypervisor.destroy(id)?;
            return Ok(Outcome::Done);
        }
        let asked_by_agent = first && self.hypervisor.ask_stop(id, StopHow::Agent).is_ok();
        // A guest that is still booting ignores the button: it is pressed again every five seconds,
        // in the first look after each.
        let in_turn = elapsed >= ASK_AGAIN && elapsed.as_millis() % ASK_AGAIN.as_millis() < LOOK_AGAIN.as_millis();
        let press = if first { !asked_by_agent } else { in_turn };
        if press {
            match self.hypervisor.ask_stop(id, StopHow::Acpi) {
                Err(f) if f.kind() == Kind::NotFound => return Ok(Outcome::Done),
                other => other?,
            }
        }
        let left = limit.saturating_sub(elapsed);
        Ok(again(LOOK_AGAIN.min(left), format!("the guest is shutting down ({} of {limit_s} s)", elapsed.as_secs()), id))
    }
}

/// A guest on its way down.
pub(super) struct GoingDown {
    pub limit_s: u32,
    pub elapsed: Duration,
    /// It has not been asked yet.
    pub first: bool,
    pub hurry: bool,
}
