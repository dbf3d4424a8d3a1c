//! The engine's port: each step goes to the room that knows it.

use std::sync::Arc;

use super::{Nfvo, accept::children};
use crate::{
    lcm::{
        engine::usual_lane,
        port::{Lane, Outcome, Runner, StepCx, WakeKey},
        timeline::plan_of,
    },
    model::{
        error::Result,
        op::{CancelMode, NsOpState, OpState, Operation, Phase, Target},
        step::{PlanStep, Step},
    },
    store::Tx,
};

pub struct Steps {
    nfvo: Arc<Nfvo>,
}

impl Steps {
    pub fn new(nfvo: Arc<Nfvo>) -> Arc<Steps> {
        Arc::new(Steps { nfvo })
    }
}

impl Runner for Steps {
    fn lane(&self, step: &Step) -> Lane {
        usual_lane(step)
    }

    fn run(&self, cx: &StepCx, step: &Step) -> Result<Outcome> {
        match step {
            Step::Vnf(s) => self.nfvo.vnfm.run_step(cx, s),
            Step::Ns(s) => self.nfvo.run_step(cx, s),
            Step::Pf(s) => self.nfvo.vnfm.run_pf_step(cx, s),
        }
    }

    fn undo(&self, cx: &StepCx, step: &Step) -> Result<Outcome> {
        match step {
            Step::Vnf(s) => self.nfvo.vnfm.undo_step(cx, s),
            Step::Ns(s) => self.nfvo.undo_step(cx, s),
            Step::Pf(s) => self.nfvo.vnfm.undo_pf_step(cx, s),
        }
    }

    fn settle(&self, tx: &mut Tx<'_>, op: &Operation) -> Result<()> {
        match (op.target, op.state) {
            (Target::Vnf(vnf), OpState::Vnf(state)) => crate::vnfm::settle::settle(tx, vnf, op, state),
            (Target::Ns(ns), OpState::Ns(state)) => super::settle::settle(tx, ns, op, state),
            (Target::Pf(_), OpState::Vnf(state)) => crate::vnfm::reload::settle(tx, op, state),
            (Target::Vnf(_) | Target::Pf(_), OpState::Ns(_)) | (Target::Ns(_), OpState::Vnf(_)) => {
                Err(crate::model::error::Fault::bug(format!("operation {} has the states of another kind", op.id)))
            }
        }
    }

    /// What a service's operation gave up with itself is over, too.
    fn over(&self, op: &Operation) {
        let vnfm = &self.nfvo.vnfm;
        vnfm.waits_no_more(op);
        if !matches!((op.target, op.state), (Target::Ns(_), OpState::Ns(NsOpState::Failed))) {
            return;
        }
        let parts = plan_of(&vnfm.store, op.id).map(|plan| children(&plan)).unwrap_or_default();
        parts.into_iter().filter_map(|id| vnfm.store.get::<Operation>(&id).ok().flatten()).for_each(|part| vnfm.waits_no_more(&part));
    }

    fn replan(&self, op: &Operation) -> Result<()> {
        match op.target {
            Target::Ns(_) => self.nfvo.replan(op),
            Target::Vnf(_) | Target::Pf(_) => Ok(()),
        }
    }

    /// A service's cancellation reaches the members under way, a VNF's what it asks of the VNF, and those who follow what is
    /// done abroad.
    fn cancelled(&self, op: &Operation, mode: CancelMode) {
        let Ok(engine) = self.nfvo.vnfm.engine() else { return };
        let Target::Ns(_) = op.target else {
            self.nfvo.vnfm.told_to_cancel(op.id);
            return engine.wake(WakeKey::Op(op.id));
        };
        let store = self.nfvo.vnfm.store();
        let steps = store.list_under::<PlanStep>(&op.id).unwrap_or_default();
        for id in super::accept::children(&steps) {
            let running =
                store.get::<Operation>(&id).ok().flatten().is_some_and(|o| matches!(o.state.phase(), Phase::Forward | Phase::Backward));
            if running && let Err(fault) = engine.cancel(id, mode) {
                tracing::debug!(op = %id, "a member's operation ended before it was cancelled: {fault}");
            }
        }
    }
}
