//! Moves what is long over out of the way: the live database holds work, the history what was.

use std::collections::HashSet;

use crate::{
    model::{
        abroad::AbroadErrand,
        central::GrantAsk,
        error::Result,
        id::OpId,
        op::{Operation, Phase},
        own::Errand,
        parts::OpParts,
        step::{PlanStep, StepLog},
    },
    store::Store,
};

/// Moves finished operations with their plans and journals to the history; parts of an operation
/// that is not over stay with it. Returns how many were moved.
pub fn archive(store: &Store) -> Result<usize> {
    let ops = store.list::<Operation>()?;
    let open: HashSet<OpId> = ops.iter().filter(|o| o.state.phase() != Phase::Over).map(|o| o.id).collect();
    // Somebody is still told that what it asked for is not wanted any more.
    let asking: HashSet<OpId> = store.list::<Errand>()?.iter().filter(|e| e.is_open()).map(|e| e.op).collect();
    let is_over = |o: &&Operation| o.state.phase() == Phase::Over && !asking.contains(&o.id) && o.parent.is_none_or(|p| !open.contains(&p));
    let over: Vec<&Operation> = ops.iter().filter(is_over).collect();
    if over.is_empty() {
        return Ok(0);
    }
    let mut steps = Vec::new();
    let mut logs = Vec::new();
    for op in &over {
        steps.extend((0..op.steps).map(|i| (op.id, i)));
        logs.extend((0..op.steps).map(|i| (op.id, i)));
    }
    // Operations last: one whose steps were moved and which is still live is simply moved again.
    store.move_to_history::<PlanStep>(&steps)?;
    store.move_to_history::<StepLog>(&logs)?;
    store.move_to_history::<Errand>(&logs)?;
    store.move_to_history::<AbroadErrand>(&logs)?;
    let ids: Vec<OpId> = over.iter().map(|o| o.id).collect();
    store.move_to_history::<GrantAsk>(&ids)?;
    store.move_to_history::<OpParts>(&ids)?;
    store.move_to_history::<Operation>(&ids)
}
