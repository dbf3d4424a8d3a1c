//! An operation as a timeline: each step, when, how long, what it waited for, what failed and why.

use std::collections::BTreeSet;

use super::engine::Engine;
use crate::model::order::Order as _;
use crate::{
    model::{
        error::{Fault, FaultRecord, Result},
        id::OpId,
        op::Operation,
        step::{PlanStep, StepLog, StepState},
        time::Stamp,
    },
    store::{Record, Store},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Pending,
    Running,
    Waiting,
    Done,
    Failed,
    Undone,
}

#[derive(Debug, Clone)]
pub struct Line {
    pub index: u32,
    pub label: String,
    pub after: Vec<u32>,
    pub progress: Progress,
    pub started: Option<Stamp>,
    pub ended: Option<Stamp>,
    pub tries: u32,
    pub why: Option<String>,
    pub error: Option<FaultRecord>,
}

impl Engine {
    /// The operation and its steps; a finished one comes from history.
    pub fn timeline(&self, id: OpId) -> Result<(Operation, Vec<Line>)> {
        self.settle_journal()?;
        let op = find_operation(&self.store, id)?;
        let steps = plan_of(&self.store, id)?;
        let logs = log_of(&self.store, id)?;
        let lines = steps
            .iter()
            .map(|s| {
                let log = logs.iter().find(|l| l.index == s.index);
                let (running, why) = self.look(id, s.index);
                line(s, log, running, why)
            })
            .collect();
        Ok((op, lines))
    }
}

/// An operation occurrence, under way or long over.
pub fn find_operation(store: &Store, id: OpId) -> Result<Operation> {
    match store.get::<Operation>(&id)? {
        Some(op) => Ok(op),
        None => store.get_history::<Operation>(&id)?.ok_or_else(|| Fault::not_found(format!("there is no operation {id}"))),
    }
}

/// The steps of an operation, under way or long over.
pub fn plan_of(store: &Store, id: OpId) -> Result<Vec<PlanStep>> {
    whole(store, id, |s: &PlanStep| s.index)
}

/// What became of them.
pub fn log_of(store: &Store, id: OpId) -> Result<Vec<StepLog>> {
    whole(store, id, |l: &StepLog| l.index)
}

/// All of it, also while it moves to the history, piece by piece: what leaves between the two looks is seen by the second.
fn whole<R: Record<Key = (OpId, u32)>>(store: &Store, id: OpId, index: fn(&R) -> u32) -> Result<Vec<R>> {
    let mut all = store.list_under::<R>(&id)?;
    let known: BTreeSet<u32> = all.iter().map(index).collect();
    all.extend(store.list_history_under::<R>(&id)?.into_iter().filter(|r| !known.contains(&index(r))));
    all.order_by_key(index);
    Ok(all)
}

/// Every operation occurrence, oldest first.
pub fn all_operations(store: &Store) -> Result<Vec<Operation>> {
    let mut ops = page_of_operations(store, None, usize::MAX)?;
    ops.order_by_key(|o| (o.created, o.id));
    Ok(ops)
}

/// Up to `limit` operation occurrences after `after`, in the order of their ids.
///
/// `live` is read first: what moves to the history meanwhile was written there before it left.
pub fn page_of_operations(store: &Store, after: Option<OpId>, limit: usize) -> Result<Vec<Operation>> {
    let live = store.page::<Operation>(after.as_ref(), limit)?;
    let mut ops = store.page_history::<Operation>(after.as_ref(), limit)?;
    ops.retain(|o| live.binary_search_by_key(&o.id, |l| l.id).is_err());
    ops.extend(live);
    ops.order_by_key(|o| o.id);
    ops.truncate(limit);
    Ok(ops)
}

fn line(s: &PlanStep, log: Option<&StepLog>, running: bool, why: Option<String>) -> Line {
    let progress = match log.map(|l| l.state) {
        Some(StepState::Done) => Progress::Done,
        Some(StepState::Undone) => Progress::Undone,
        Some(StepState::Failed) => Progress::Failed,
        Some(StepState::Waiting) => Progress::Waiting,
        None if running => Progress::Running,
        None => Progress::Pending,
    };
    Line {
        index: s.index,
        label: s.step.label(),
        after: s.after.clone(),
        progress,
        started: log.map(|l| l.started),
        ended: log.filter(|l| l.state != StepState::Waiting).map(|l| l.ended),
        tries: log.map_or(0, |l| l.tries),
        why: why.or_else(|| log.and_then(|l| l.why.clone())),
        error: log.and_then(|l| l.error.clone()),
    }
}
