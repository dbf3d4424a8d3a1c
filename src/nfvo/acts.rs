//! What a client asks of an operation that was taken: retry, continue, rollback, fail, cancel (SOL005 6.4.11 to 6.4.15); and what is
//! noted when it is taken, so that its op-occ can tell of it later.
//!
//! Parts of a service's operation are moved by that one alone. Never: the state table (`lcm::acts`).

use super::Nfvo;
use crate::{
    model::{
        error::{Fault, Result},
        id::{OpId, VnfId},
        ns::NsInstance,
        op::{CancelMode, OpState, Operation, Phase, VnfOpState},
        parts::OpParts,
        step::{NsStep, PlanStep, Step},
    },
    store::Tx,
    vnfm::accept::put_parts,
};

impl Nfvo {
    pub fn retry(&self, id: OpId) -> Result<Operation> {
        self.check_top(id)?;
        self.check_whole(id)?;
        self.vnfm.check_pf(id)?;
        self.vnfm.engine()?.retry(id)
    }
    pub fn go_on(&self, id: OpId) -> Result<Operation> {
        self.check_top(id)?;
        self.check_whole(id)?;
        self.vnfm.engine()?.go_on(id)
    }
    pub fn rollback(&self, id: OpId) -> Result<Operation> {
        self.check_top(id)?;
        self.vnfm.check_pf(id)?;
        self.check_parts_back(id)?;
        self.vnfm.engine()?.rollback(id)
    }
    pub fn fail(&self, id: OpId) -> Result<Operation> {
        self.check_top(id)?;
        self.vnfm.engine()?.fail(id)
    }
    pub fn cancel(&self, id: OpId, mode: CancelMode) -> Result<Operation> {
        self.check_top(id)?;
        self.vnfm.engine()?.cancel(id, mode)
    }

    /// A rollback that broke has taken members away: going forward again would end in a service
    /// without them.
    fn check_whole(&self, id: OpId) -> Result<()> {
        let store = self.vnfm.store();
        let mut gone = Vec::new();
        for s in store.list_under::<PlanStep>(&id)? {
            let Step::Ns(NsStep::Instantiate { vnf, op, undo_op }) = s.step else { continue };
            let rolled_back = store.get::<Operation>(&op)?.is_some_and(|o| o.state == OpState::Vnf(VnfOpState::RolledBack));
            if rolled_back || store.get::<Operation>(&undo_op)?.is_some() {
                gone.push(format!("VNF {vnf}"));
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        Err(Fault::conflict(format!(
            "operation {id} cannot be retried: its rollback has taken VNFs away; roll it back again, or mark it as failed and terminate"
        ))
        .with_reasons(gone))
    }

    /// Refuses the way back where a member's part has none any more: it has begun to take away what it was, or is over.
    pub fn check_parts_back(&self, id: OpId) -> Result<()> {
        let store = self.vnfm.store();
        let engine = self.vnfm.engine()?;
        for s in store.list_under::<PlanStep>(&id)? {
            let Step::Ns(NsStep::Change { vnf, op }) = s.step else { continue };
            let part = crate::lcm::timeline::find_operation(store, op)?;
            let why = match part.state {
                OpState::Vnf(VnfOpState::FailedTemp) => engine.check_back(&part),
                OpState::Vnf(VnfOpState::Completed | VnfOpState::Failed) => {
                    Err(Fault::conflict(format!("operation {op} is {}", part.state.name())))
                }
                OpState::Vnf(VnfOpState::Starting | VnfOpState::Processing | VnfOpState::RollingBack | VnfOpState::RolledBack)
                | OpState::Ns(_) => Ok(()),
            };
            why.map_err(|f| {
                f.context(format!("operation {id} cannot be rolled back, for its part of VNF {vnf} cannot: retry it, or mark it as failed"))
            })?;
        }
        Ok(())
    }

    fn check_top(&self, id: OpId) -> Result<()> {
        let op = crate::lcm::timeline::find_operation(self.vnfm.store(), id)?;
        match op.parent {
            // It may be in the history by now, where nothing moves any more.
            None if op.state.phase() == Phase::Over => {
                Err(Fault::conflict(format!("operation {id} is {}: it is over, and nothing can be asked of it", op.state.name())))
            }
            None => Ok(()),
            Some(parent) => Err(Fault::conflict(format!("operation {id} is a part of operation {parent}: act on that one"))),
        }
    }
}

/// In a transaction: what the steps of a service's operation name, when all of it is there or still is.
pub(super) fn put_ns_parts(tx: &mut Tx<'_>, op: OpId, ns: &NsInstance, steps: &[PlanStep]) -> Result<()> {
    let parts = OpParts::of_ns(op, ns, steps, |vnf| tx.get(&vnf), |chain| tx.get(&chain))?;
    put_parts(tx, &parts)
}

/// The same of members that an operation changes without steps.
pub(super) fn put_member_parts(tx: &mut Tx<'_>, op: OpId, ns: &NsInstance, which: &[VnfId]) -> Result<()> {
    let parts = OpParts::of_members(op, ns, which, |vnf| tx.get(&vnf))?;
    put_parts(tx, &parts)
}
