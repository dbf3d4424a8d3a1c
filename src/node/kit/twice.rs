//! Runs each step that is done once more, at once: what a crash between a step and its journal leads to.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use crate::{
    lcm::port::{Lane, Outcome, Runner, StepCx},
    model::{
        error::{Fault, Result},
        op::{CancelMode, Operation},
        step::Step,
    },
    store::Tx,
};

/// Whether steps are repeated, and how many were.
#[derive(Default, Clone)]
pub struct Repeat {
    pub on: Arc<AtomicBool>,
    pub count: Arc<AtomicU64>,
}

pub struct Twice {
    pub inner: Arc<dyn Runner>,
    pub repeat: Repeat,
}

impl Twice {
    fn again(&self, step: &Step, act: impl Fn() -> Result<Outcome>) -> Result<Outcome> {
        let first = act()?;
        if first != Outcome::Done || !self.repeat.on.load(SeqCst) {
            return Ok(first);
        }
        self.repeat.count.fetch_add(1, SeqCst);
        match act()? {
            Outcome::Done => Ok(Outcome::Done),
            Outcome::Again { why, .. } => Err(Fault::bug(format!("{} was done, and is not the second time: {why}", step.label()))),
        }
    }
}

impl Runner for Twice {
    fn lane(&self, step: &Step) -> Lane {
        self.inner.lane(step)
    }
    fn run(&self, cx: &StepCx, step: &Step) -> Result<Outcome> {
        self.again(step, || self.inner.run(cx, step))
    }
    fn undo(&self, cx: &StepCx, step: &Step) -> Result<Outcome> {
        self.again(step, || self.inner.undo(cx, step))
    }
    fn settle(&self, tx: &mut Tx<'_>, op: &Operation) -> Result<()> {
        self.inner.settle(tx, op)
    }
    fn over(&self, op: &Operation) {
        self.inner.over(op);
    }
    fn replan(&self, op: &Operation) -> Result<()> {
        self.inner.replan(op)
    }
    fn cancelled(&self, op: &Operation, mode: CancelMode) {
        self.inner.cancelled(op, mode);
    }
}
