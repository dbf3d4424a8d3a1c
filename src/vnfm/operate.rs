//! OPERATE (SOL003 5.4.10): guests that are there are started, stopped, or stopped and started again. Never: the
//! steps themselves.

use super::{
    Vnfm, abroad,
    accept::body_of,
    coordinate::coordinated,
    plan::{Steps, ready_step},
};
use crate::{
    model::{
        abroad::ForeignVnf,
        error::{Fault, Result},
        id::{OpId, VnfId, VnfcId},
        op::{OpKind, Operation, Target},
        package::VnfPackage,
        step::{PlanStep, VnfStep},
        vnf::{Body, RunState, Stopping, VnfInstance, Vnfc},
        vnfd::Flavour,
    },
    store::Tx,
};

/// Whether a VNF is to run, and how it comes to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operate {
    pub to: RunState,
    pub stopping: Stopping,
}

impl Operate {
    fn kind(self) -> OpKind {
        match self.to {
            RunState::Started => OpKind::Start,
            RunState::Stopped => OpKind::Stop,
        }
    }
}

impl Vnfm {
    /// SOL003 5.4.10: start or stop all guests of the VNF.
    pub fn operate(&self, id: VnfId, to: RunState, stopping: Stopping, request: String) -> Result<Operation> {
        let inst: VnfInstance = self.store.require(&id)?;
        let package: VnfPackage = self.store.require(&inst.package)?;
        if to == RunState::Started {
            self.check_accel()?;
        }
        let kind = Operate { to, stopping }.kind();
        let abroad = self.abroad(id)?;
        let op = self.act(id, kind, request, |inst, _, op| {
            let body = body_of(inst)?;
            if let Some(f) = &abroad {
                return Ok(abroad::operate(f, op, to, stopping));
            }
            let flavour = package.vnfd.as_ref().and_then(|v| v.flavour(&body.flavour));
            Ok(plan_operate(body, flavour, to, stopping, op))
        })?;
        if to == RunState::Started {
            self.started_by_hand();
        }
        Ok(op)
    }

    /// In a transaction: the same of a member, as a part of its service's operation, which releases it.
    pub fn operate_in(&self, tx: &mut Tx<'_>, id: VnfId, how: Operate, op: OpId, parent: OpId) -> Result<()> {
        let mut inst: VnfInstance = tx.require(&id)?;
        inst.check_free()?;
        let body = body_of(&inst)?;
        let package: Option<VnfPackage> = tx.get(&inst.package)?;
        let steps = match tx.get::<ForeignVnf>(&id)? {
            Some(f) => abroad::operate(&f, op, how.to, how.stopping),
            None => {
                let flavour = package.as_ref().and_then(|p| p.vnfd.as_ref()).and_then(|v| v.flavour(&body.flavour));
                let plan = plan_operate(body, flavour, how.to, how.stopping, op);
                coordinated(package.as_ref(), &body.flavour, how.kind(), plan)
            }
        };
        let mut part = self.draft_op(op, inst.project, Target::Vnf(id), how.kind(), String::new());
        (part.parent, part.automatic, part.steps) = (Some(parent), true, steps.len() as u32);
        inst.op = Some(op);
        inst.revision += 1;
        tx.put(&inst)?;
        tx.put(&part)?;
        steps.iter().try_for_each(|s| tx.put(s))
    }

    /// Stops these guests of a started VNF and starts them again; none named: all. For ETSI, who has no such
    /// thing, it is an OPERATE to STARTED (`OpKind::Start`): that is what the VNF was before and is after, and
    /// a rollback leads there too.
    pub fn reboot(&self, id: VnfId, which: &[VnfcId], stopping: Stopping, request: String) -> Result<Operation> {
        self.check_here(id, "a reboot")?;
        let inst: VnfInstance = self.store.require(&id)?;
        let package: VnfPackage = self.store.require(&inst.package)?;
        self.check_accel()?;
        let op = self.act(id, OpKind::Start, request, |inst, _, op| {
            let body = body_of(inst)?;
            if body.run == RunState::Stopped {
                return Err(Fault::conflict(format!("VNF instance {id} is stopped: start it instead")));
            }
            let guests: Vec<&Vnfc> = body.vnfcs.iter().filter(|c| which.is_empty() || which.contains(&c.id)).collect();
            if guests.len() < which.len() {
                return Err(Fault::conflict(format!("VNF instance {id} has lost a guest that was to be rebooted: ask again")));
            }
            let flavour = package.vnfd.as_ref().and_then(|v| v.flavour(&body.flavour));
            Ok(plan_reboot(&guests, flavour, stopping, op))
        })?;
        self.started_by_hand();
        Ok(op)
    }
}

/// Plans OPERATE (SOL003 5.4.10).
fn plan_operate(body: &Body, flavour: Option<&Flavour>, to: RunState, stopping: Stopping, op: OpId) -> Vec<PlanStep> {
    let mut steps = Steps::new(op);
    for c in &body.vnfcs {
        match to {
            RunState::Started => start_steps(&mut steps, c, flavour, &[]),
            RunState::Stopped => {
                steps.vnf(VnfStep::Stop { vnfc: c.id, graceful_s: stopping.seconds(c.graceful_stop_s) }, &[]);
            }
        }
    }
    steps.into_vec()
}

/// Plans a reboot: each of these guests is stopped and started by itself, so that none waits for another.
fn plan_reboot(guests: &[&Vnfc], flavour: Option<&Flavour>, stopping: Stopping, op: OpId) -> Vec<PlanStep> {
    let mut steps = Steps::new(op);
    for c in guests {
        let stop = steps.vnf(VnfStep::Stop { vnfc: c.id, graceful_s: stopping.seconds(c.graceful_stop_s) }, &[]);
        start_steps(&mut steps, c, flavour, &[stop]);
    }
    steps.into_vec()
}

/// A guest that is there starts, and is waited for.
pub(super) fn start_steps(steps: &mut Steps, c: &Vnfc, flavour: Option<&Flavour>, after: &[u32]) {
    let start = steps.vnf(VnfStep::Start(c.id), after);
    if let Some(vdu) = flavour.and_then(|f| f.vdu(&c.vdu)) {
        ready_step(steps, c.id, vdu, &c.ports, start);
    }
}
