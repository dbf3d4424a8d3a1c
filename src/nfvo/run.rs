//! Does and undoes one step of a service: a link, or a member's own operation.
//!
//! A member's operation is a child: released by its step, and the step looks again when the child
//! has ended. No worker is held meanwhile. Never: guests, disks.

use std::time::Duration;

use super::Nfvo;
use crate::{
    lcm::port::{Outcome, StepCx, WakeKey},
    model::{
        error::{Fault, FaultRecord, Kind, Result},
        id::{OpId, VnfId},
        op::{CancelMode, OpState, Operation, VnfOpState},
        step::NsStep,
        vnf::VnfInstance,
    },
    vim::links::HandOver,
};

/// A child's end wakes its parent; this is the net below.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

fn wait_for(child: &Operation, what: &str) -> Outcome {
    Outcome::Again {
        after: LOOK_AGAIN,
        why: format!("{what} (operation {}, {})", child.id, child.state.name()),
        wake: Some(WakeKey::Op(child.id)),
    }
}

fn fault_of(child: &Operation) -> Fault {
    let record = child.error.clone().unwrap_or_else(|| FaultRecord {
        kind: Kind::Conflict,
        text: "no reason was recorded".into(),
        reasons: Vec::new(),
    });
    // Its own retries are over: the parent must not take it for something that passes.
    let record = match record.kind {
        Kind::Transient => FaultRecord { kind: Kind::Conflict, ..record },
        _ => record,
    };
    Fault::from(record).context(format!("operation {} is {}", child.id, child.state.name()))
}

fn state_of(op: &Operation) -> Result<VnfOpState> {
    match op.state {
        OpState::Vnf(s) => Ok(s),
        OpState::Ns(_) => Err(Fault::bug(format!("operation {} of a member is one of a service", op.id))),
    }
}

impl Nfvo {
    pub fn run_step(&self, cx: &StepCx, step: &NsStep) -> Result<Outcome> {
        match step {
            NsStep::Segment(id) => self.vnfm.links().ensure(*id)?,
            NsStep::RemoveSegment(id) => self.vnfm.links().remove(*id)?,
            NsStep::Chain(id) => self.vnfm.links().ensure_chain(*id)?,
            NsStep::RemoveChain(id) => self.vnfm.links().remove_chain(*id)?,
            NsStep::Reroute { chain, before, after } => self.vnfm.links().reroute(*chain, before, after)?,
            NsStep::HandOver { chain, before, after, mark, noting_s, drain_s } => {
                let (mark, noting_s, drain_s) = (*mark, *noting_s, *drain_s);
                let ask = HandOver { chain: *chain, before, after, mark, noting_s, drain_s };
                if let Some(after) = self.vnfm.links().hand_over(&ask, self.vnfm.clock().now())? {
                    return Ok(Outcome::Again { after, why: "connections that are there are noted".into(), wake: None });
                }
            }
            NsStep::Pnf(c) => self.set_pnf(cx.op.target, &c.profile, c.after.as_ref())?,
            NsStep::Instantiate { vnf, op, .. } => return self.see_through(cx, *vnf, *op, "the VNF is being instantiated"),
            NsStep::Alter { vnf, op } => {
                return self.see_through(cx, *vnf, *op, "the VNF is being scaled, healed, started, stopped, or is at a snapshot");
            }
            NsStep::Change { vnf, op } => return self.see_through(cx, *vnf, *op, "the VNF comes to another flavour, package or link"),
            NsStep::Terminate { vnf, op } => return self.see_through(cx, *vnf, *op, "the VNF is being terminated"),
        }
        Ok(Outcome::Done)
    }

    pub fn undo_step(&self, cx: &StepCx, step: &NsStep) -> Result<Outcome> {
        match step {
            NsStep::Segment(id) => {
                self.vnfm.links().remove(*id)?;
                Ok(Outcome::Done)
            }
            NsStep::Chain(id) => {
                self.vnfm.links().remove_chain(*id)?;
                Ok(Outcome::Done)
            }
            NsStep::Reroute { chain, before, after } | NsStep::HandOver { chain, before, after, .. } => {
                self.vnfm.links().reroute(*chain, after, before)?;
                Ok(Outcome::Done)
            }
            NsStep::Pnf(c) => {
                self.put_pnf_back(cx.op.target, &c.profile, c.before.as_ref())?;
                Ok(Outcome::Done)
            }
            NsStep::Instantiate { vnf, op, undo_op } => self.take_back(cx, *vnf, *op, Some(*undo_op)),
            NsStep::Change { vnf, op } => self.take_back(cx, *vnf, *op, None),
            NsStep::Terminate { .. } | NsStep::RemoveSegment(_) | NsStep::Alter { .. } | NsStep::RemoveChain(_) => {
                Err(Fault::conflict("this cannot be rolled back: what is removed stays removed"))
            }
        }
    }

    fn child(&self, id: OpId) -> Result<Operation> {
        crate::lcm::timeline::find_operation(self.vnfm.store(), id)
    }

    /// Waits for a member's operation, which ends early with its service's. Asked of the store: the
    /// cancellation may have come while the member's operation was just being released, and then it
    /// found nothing there to pass itself on to.
    fn follow(&self, cx: &StepCx, child: &Operation, what: &str) -> Result<Outcome> {
        let wanted = self.vnfm.store().get::<Operation>(&cx.op.id)?.and_then(|parent| parent.cancel);
        if let Some(mode) = wanted
            && child.cancel.is_none_or(|had| had == CancelMode::Graceful && mode == CancelMode::Forceful)
        {
            match self.vnfm.engine()?.cancel(child.id, mode) {
                // It has ended in this moment, which wakes this step.
                Err(f) if f.kind() == Kind::Conflict => {}
                other => drop(other?),
            }
        }
        Ok(wait_for(child, what))
    }

    /// Releases a member's operation and follows it to its end; a retry of the service retries it.
    fn see_through(&self, cx: &StepCx, vnf: VnfId, id: OpId, what: &str) -> Result<Outcome> {
        let engine = self.vnfm.engine()?;
        let mut child = self.child(id)?;
        let mut state = state_of(&child)?;
        if state == VnfOpState::Starting {
            child = engine.release(id)?;
            state = state_of(&child)?;
        }
        if state == VnfOpState::FailedTemp && cx.fresh && cx.op.attempt > 0 {
            child = engine.retry(id)?;
            state = state_of(&child)?;
        }
        match state {
            VnfOpState::Completed => Ok(Outcome::Done),
            VnfOpState::Starting | VnfOpState::Processing | VnfOpState::RollingBack => self.follow(cx, &child, what),
            VnfOpState::FailedTemp | VnfOpState::Failed | VnfOpState::RolledBack => Err(fault_of(&child).context(format!("VNF {vnf}"))),
        }
    }

    /// Undoes a member's instantiation, or its change, from wherever it is. `undo`: the termination of what had come up.
    fn take_back(&self, cx: &StepCx, vnf: VnfId, id: OpId, undo: Option<OpId>) -> Result<Outcome> {
        let engine = self.vnfm.engine()?;
        // A child that was released a moment ago is under way, whatever its record says.
        engine.settle_journal()?;
        let child = self.child(id)?;
        // A rollback that is being cancelled begins nothing more.
        let go_on = cx.op.cancel.is_none();
        match state_of(&child)? {
            VnfOpState::RolledBack => Ok(Outcome::Done),
            // Its release may be what a crash took back: what it made by then is found only by walking
            // its whole plan backwards.
            VnfOpState::Starting if go_on => {
                engine.break_off(id)?;
                let child = engine.rollback(id)?;
                self.follow(cx, &child, "the VNF is being rolled back")
            }
            VnfOpState::Processing => match engine.cancel(id, CancelMode::Forceful) {
                Ok(child) => self.follow(cx, &child, "the VNF's operation is being stopped"),
                // It ended in this moment: what to do depends on how.
                Err(f) if f.kind() == Kind::Conflict => self.take_back(cx, vnf, id, undo),
                Err(f) => Err(f),
            },
            VnfOpState::RollingBack => self.follow(cx, &child, "the VNF is being rolled back"),
            VnfOpState::FailedTemp if go_on && (cx.fresh || child.cancel.is_some()) => {
                let child = engine.rollback(id)?;
                self.follow(cx, &child, "the VNF is being rolled back")
            }
            VnfOpState::Starting | VnfOpState::FailedTemp => Err(fault_of(&child).context(format!("VNF {vnf}"))),
            VnfOpState::Completed | VnfOpState::Failed => match undo {
                Some(undo) => self.terminate_again(cx, vnf, undo),
                None => Err(Fault::conflict(format!("operation {id} of VNF {vnf} is over: retry the service's, or mark it as failed"))),
            },
        }
    }

    /// A member that had come up goes by a termination of its own, under the id planned for it.
    fn terminate_again(&self, cx: &StepCx, vnf: VnfId, undo: OpId) -> Result<Outcome> {
        let engine = self.vnfm.engine()?;
        let Some(child) = self.vnfm.store().get::<Operation>(&undo)? else {
            let Some(inst) = self.vnfm.store().get::<VnfInstance>(&vnf)? else { return Ok(Outcome::Done) };
            if inst.body.is_none() {
                return Ok(Outcome::Done);
            }
            if cx.op.cancel.is_some() {
                return Err(Fault::conflict(format!("VNF {vnf} is still there: the rollback was cancelled")));
            }
            let child = self.vnfm.terminate_as(vnf, undo, cx.op.id)?;
            return self.follow(cx, &child, "the VNF is being terminated");
        };
        match state_of(&child)? {
            VnfOpState::Completed => Ok(Outcome::Done),
            VnfOpState::Starting | VnfOpState::Processing | VnfOpState::RollingBack => {
                self.follow(cx, &child, "the VNF is being terminated")
            }
            VnfOpState::FailedTemp if cx.op.cancel.is_none() && cx.fresh => {
                let child = engine.retry(undo)?;
                self.follow(cx, &child, "the VNF is being terminated")
            }
            VnfOpState::FailedTemp | VnfOpState::Failed | VnfOpState::RolledBack => Err(fault_of(&child).context(format!("VNF {vnf}"))),
        }
    }
}
