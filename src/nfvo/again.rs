//! What had no room is planned anew when its operation is retried.
//!
//! An operation that was refused by capacity holds its service in FAILED_TEMP and has no plan (SOL005 6.6.2).
//! A retry plans it as its request did, from the box as it is now; without room it stays as it is, with the
//! reasons of today. Owns the way back into an accept. Never: what a plan contains.

use super::{Asked, Nfvo, accept::InstantiateNs};
use crate::{
    model::{
        error::{Fault, Result},
        id::{OpId, VnfId},
        ns::NsInstance,
        op::{NsOpState, OpKind, OpState, Operation, Target, Trigger},
        step::PlanStep,
        tree::tree,
    },
    store::{Durability, Tx},
    vnfm::accept::retrying,
};

impl Nfvo {
    pub(super) fn replan(&self, op: &Operation) -> Result<()> {
        let Target::Ns(id) = op.target else {
            return Err(Fault::bug("only a service's operation is planned anew"));
        };
        self.vnfm.check_accel()?;
        let planned = retrying(|| {
            let ns: NsInstance = self.vnfm.store().require(&id)?;
            // As an accept, from the state it is stuck in: the retry itself moves it on.
            let mut trial = op.clone();
            trial.state = OpState::Ns(NsOpState::Processing);
            trial.error = None;
            trial.warnings = self.vnfm.accel_warning().into_iter().collect();
            self.commit_again(ns, trial).map(|(op, _)| op)
        })?;
        if let Some(fault) = planned.error {
            return Err(Fault::from(fault));
        }
        if planned.state.is_final() {
            return Err(Fault::conflict(format!("nothing was left to do for operation {}: it is {}", op.id, planned.state.name())));
        }
        self.vnfm.store().write(Durability::Lazy, |tx| {
            let mut now: Operation = tx.require(&op.id)?;
            now.state = op.state;
            tx.put(&now)
        })
    }

    fn commit_again(&self, ns: NsInstance, op: Operation) -> Result<(Operation, Vec<PlanStep>)> {
        if op.kind == OpKind::Instantiate {
            let ask = InstantiateNs {
                flavour: ns.flavour.clone().unwrap_or_default(),
                level: ns.level.clone(),
                params: ns.params.clone(),
                member_params: tree(ns.member_params.iter().cloned()),
                ssh_keys: ns.ssh_keys.clone(),
                pnfs: ns.pnfs.clone(),
                request: op.request.clone(),
            };
            return self.commit(ns, op, &ask);
        }
        let members: Vec<VnfId> = ns.members.iter().map(|m| m.vnf).collect();
        match (self.asked)(&op, &members)? {
            Asked::Service(ask) => self.commit_scale(&ns, op, &ask),
            Asked::Members(what) => self.commit_alter(&ns, op, &what),
        }
    }

    /// A change of a service that is up had no room. Whoever asked for it decides how it goes on, and until then
    /// it holds the service; what nobody asked for has nobody who would, and is over.
    pub(super) fn refuse(&self, ns: &NsInstance, mut op: Operation, refusal: &Fault) -> Result<(Operation, Vec<PlanStep>)> {
        op.error = Some(refusal.record());
        let way: &[Trigger] = if op.automatic { &[Trigger::Broke, Trigger::Rollback, Trigger::Undone] } else { &[Trigger::Broke] };
        let now = self.vnfm.clock().now();
        way.iter().try_for_each(|t| op.apply(*t, now))?;
        self.vnfm.store().write(Durability::Barrier, |tx: &mut Tx<'_>| {
            let mut service: NsInstance = tx.require(&ns.id)?;
            check_free_for(&service, op.id)?;
            if !op.state.is_final() {
                service.op = Some(op.id);
                service.revision += 1;
                tx.put(&service)?;
            }
            tx.put(&op)
        })?;
        Ok((op, Vec::new()))
    }
}

/// Nothing is under way on the service, but for the operation that is planned anew.
pub(super) fn check_free_for(ns: &NsInstance, op: OpId) -> Result<()> {
    if ns.op == Some(op) { Ok(()) } else { ns.check_free() }
}
