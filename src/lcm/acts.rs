//! What a client may ask of an operation: retry, rollback, fail, cancel (SOL003 5.4.14 to 5.4.17,
//! SOL005 6.4.11 to 6.4.15). Each is checked against the state table in its own transaction.

use std::collections::HashSet;

use super::engine::Engine;
use crate::{
    model::{
        error::{Fault, FaultRecord, Result},
        id::OpId,
        op::{CancelMode, OpKind, Operation, PLAN_FORMAT, Phase, Trigger},
        step::{Effect, PlanStep, StepLog, StepState},
    },
    store::Durability,
};

impl Engine {
    /// Runs what failed again; what is done stays done.
    pub fn retry(&self, id: OpId) -> Result<Operation> {
        self.forward(id, Trigger::Retry)
    }

    /// The same, asked for as SOL005's `continue`: a retry takes nothing back that is done.
    pub fn go_on(&self, id: OpId) -> Result<Operation> {
        self.forward(id, Trigger::Continue)
    }

    fn forward(&self, id: OpId, trigger: Trigger) -> Result<Operation> {
        let before: Operation = self.store.require(&id)?;
        self.check_quiet(&before)?;
        check_format(&before)?;
        if before.steps == 0 && before.state.phase() == Phase::Stuck {
            self.runner.replan(&before)?;
        }
        let op = self.turn(id, trigger)?;
        self.resume(op.clone())?;
        Ok(op)
    }

    /// A held operation counts as begun and broken off: it can be rolled back, whatever it did before
    /// a crash that took back its release.
    pub fn break_off(&self, id: OpId) -> Result<()> {
        let now = self.clock.now();
        self.store.write(Durability::Soon, |tx| {
            let mut op: Operation = tx.require(&id)?;
            if op.state.phase() == Phase::Held {
                op.apply(Trigger::Granted, now)?;
                op.apply(Trigger::Broke, now)?;
                op.error = Some(Fault::conflict("its service is rolled back").record());
                tx.put(&op)?;
            }
            Ok(())
        })
    }

    /// Walks the whole plan backwards.
    pub fn rollback(&self, id: OpId) -> Result<Operation> {
        let before: Operation = self.store.require(&id)?;
        self.check_quiet(&before)?;
        check_format(&before)?;
        self.settle_journal()?;
        self.check_back(&before)?;
        let op = self.turn(id, Trigger::Rollback)?;
        self.resume(op.clone())?;
        Ok(op)
    }

    /// Refuses what there is no way back from: it removes, or has begun to take away what it could have gone back to.
    pub fn check_back(&self, op: &Operation) -> Result<()> {
        let begun: HashSet<u32> = self.store.list_under::<StepLog>(&op.id)?.iter().map(|l| l.index).collect();
        let removes = |s: &PlanStep| match s.step.effect() {
            Effect::Removes => true,
            Effect::Sheds => begun.contains(&s.index),
            Effect::Creates | Effect::Uses | Effect::Changes => false,
        };
        if op.kind == OpKind::Terminate || self.store.list_under::<PlanStep>(&op.id)?.iter().any(removes) {
            return Err(Fault::conflict(format!(
                "operation {} ({}) cannot be rolled back: what is removed stays removed; retry it, or mark it as failed",
                op.id,
                op.kind.name()
            )));
        }
        Ok(())
    }

    /// Gives it up: final, nothing is undone; the instance keeps naming what is there.
    pub fn fail(&self, id: OpId) -> Result<Operation> {
        let before: Operation = self.store.require(&id)?;
        self.check_quiet(&before)?;
        let now = self.clock.now();
        let op = self.write_with_journal(Durability::Barrier, |tx| {
            let mut op: Operation = tx.require(&id)?;
            op.apply(Trigger::Fail, now)?;
            self.runner.settle(tx, &op)?;
            tx.put(&op)?;
            Ok(op)
        })?;
        self.runner.over(&op);
        self.stopped(id);
        Ok(op)
    }

    /// A held operation whose grant was refused ends ROLLED_BACK with what was said. One that has moved on is
    /// left as it is.
    pub fn refuse(&self, id: OpId, why: FaultRecord) -> Result<Operation> {
        let now = self.clock.now();
        let op = self.write_with_journal(Durability::Barrier, |tx| {
            let mut op: Operation = tx.require(&id)?;
            if op.state.phase() == Phase::Held {
                op.error = Some(why.clone());
                op.apply(Trigger::Refused, now)?;
                self.runner.settle(tx, &op)?;
                tx.put(&op)?;
            }
            Ok(op)
        })?;
        self.wake(super::port::WakeKey::Op(id));
        self.stopped(id);
        Ok(op)
    }

    /// Ends an operation early: before it was granted it ends ROLLED_BACK, while it runs FAILED_TEMP.
    pub fn cancel(&self, id: OpId, mode: CancelMode) -> Result<Operation> {
        let now = self.clock.now();
        let op = self.write_with_journal(Durability::Barrier, |tx| {
            let mut op: Operation = tx.require(&id)?;
            match op.state.phase() {
                Phase::Held => {
                    op.cancel = Some(mode);
                    op.error = Some(Fault::conflict("cancelled on request before anything was made").record());
                    op.apply(Trigger::Refused, now)?;
                    self.runner.settle(tx, &op)?;
                }
                Phase::Forward | Phase::Backward => op.cancel = Some(mode),
                Phase::Stuck | Phase::Over => {
                    return Err(Fault::conflict(format!(
                        "operation {} is {}: only one in STARTING, PROCESSING or ROLLING_BACK can be cancelled",
                        op.id,
                        op.state.name()
                    )));
                }
            }
            tx.put(&op)?;
            Ok(op)
        })?;
        if op.state.phase() == Phase::Over {
            self.wake(super::port::WakeKey::Op(id));
            self.stopped(id);
        } else {
            self.with_live(id, |l| l.cancel(mode));
            // Parts that were released a moment ago are told by their records.
            self.write_journal();
            self.runner.cancelled(&op, mode);
            self.check_ended(id);
        }
        Ok(op)
    }

    fn check_quiet(&self, op: &Operation) -> Result<()> {
        if !self.is_quiet(op.id) {
            return Err(Fault::conflict(format!("operation {} is {}: it has to stop first (cancel it, or wait)", op.id, op.state.name())));
        }
        Ok(())
    }

    /// A new attempt: the journal's times and states of the last one are cleared, save what a
    /// retry may take as done.
    fn turn(&self, id: OpId, trigger: Trigger) -> Result<Operation> {
        let now = self.clock.now();
        let forward = matches!(trigger, Trigger::Retry | Trigger::Continue);
        self.settle_journal()?;
        let logs = self.store.list_under::<StepLog>(&id)?;
        // A guest may have gone off since it was started: what changes a state is ensured again.
        let steps = self.store.list_under::<PlanStep>(&id)?;
        let done: HashSet<u32> = logs.iter().filter(|l| l.state == StepState::Done).map(|l| l.index).collect();
        let again = repeated(&steps, &done);
        self.store.write(Durability::Barrier, |tx| {
            let mut op: Operation = tx.require(&id)?;
            op.apply(trigger, now)?;
            op.attempt += 1;
            op.cancel = None;
            if forward {
                op.error = None;
            }
            for log in &logs {
                let keep = forward && log.state == StepState::Done && !again.contains(&log.index);
                if !keep {
                    tx.delete::<StepLog>(&(log.op, log.index))?;
                }
            }
            tx.put(&op)?;
            Ok(op)
        })
    }
}

/// Steps that a retry runs again although they are done: those that change a state, save where that was
/// only the way to a later change that is done. A guest that was rebooted is not stopped once more.
fn repeated(steps: &[PlanStep], done: &HashSet<u32>) -> HashSet<u32> {
    let (mut passed, mut open, mut again) = (HashSet::new(), HashSet::new(), HashSet::new());
    // What comes after a step has a higher index.
    for s in steps.iter().rev().filter(|s| s.step.effect() == Effect::Changes) {
        let through = done.contains(&s.index) && !open.contains(&s.index);
        if !through || !passed.contains(&s.index) {
            again.insert(s.index);
        }
        (if through { &mut passed } else { &mut open }).extend(s.after.iter().copied());
    }
    again
}

/// A plan this binary can run or undo: its own format and the two before.
pub(super) fn check_format(op: &Operation) -> Result<()> {
    let oldest = PLAN_FORMAT.saturating_sub(2).max(1);
    if (oldest..=PLAN_FORMAT).contains(&op.plan_format) {
        return Ok(());
    }
    Err(Fault::conflict(format!(
        "the plan of operation {} has format {}, this bothy runs formats {oldest} to {PLAN_FORMAT}: finish it with the release that wrote it, or mark it as failed",
        op.id, op.plan_format
    )))
}
