//! The port through which the engine does steps: `Runner`.

use std::{sync::Arc, time::Duration};

use crate::{
    model::{
        error::Result,
        id::{OpId, VnfcId},
        op::{CancelMode, Operation},
        step::Step,
    },
    store::Tx,
};

/// What a step is told of its operation.
pub struct StepCx {
    pub op: Arc<Operation>,
    pub index: u32,
    /// Time this step has had in this attempt, over restarts too.
    pub elapsed: Duration,
    /// First run of the step since the operation was submitted or retried.
    pub fresh: bool,
}

impl StepCx {
    /// The client wants the operation to end now.
    pub fn hurry(&self) -> bool {
        self.op.cancel == Some(CancelMode::Forceful)
    }
}

/// What a step answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Not yet: run it again when `wake` happens, at the latest `after` from now.
    Again {
        after: Duration,
        why: String,
        wake: Option<WakeKey>,
    },
}

/// What a parked step may be waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WakeKey {
    Op(OpId),
    Guest(VnfcId),
    /// Somebody outside has answered a step of this operation.
    Answer(OpId),
}

impl WakeKey {
    /// What waits for it is waited for also when its operation is ending: something else moves, and has to come to its end.
    pub fn follows(self) -> bool {
        match self {
            WakeKey::Op(_) | WakeKey::Answer(_) => true,
            WakeKey::Guest(_) => false,
        }
    }
}

/// Which workers do a step: those that talk to the hypervisor are apart, so that a slow one does
/// not hold up files and network; and so are those that ask foreign VNFMs, who may be slower than either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Hypervisor,
    Host,
    Abroad,
}

pub trait Runner: Send + Sync {
    fn lane(&self, step: &Step) -> Lane;
    /// Ensures the step; may be called any number of times. Occupies its worker for at most 5 s
    /// outside a call of the hypervisor.
    fn run(&self, cx: &StepCx, step: &Step) -> Result<Outcome>;
    /// Ensures it as before; also when the step never ran.
    fn undo(&self, cx: &StepCx, step: &Step) -> Result<Outcome>;
    /// In the transaction that ends the operation: `op` has its new state; the instance follows.
    fn settle(&self, tx: &mut Tx<'_>, op: &Operation) -> Result<()>;
    /// After that transaction.
    fn over(&self, op: &Operation);
    /// Plans anew an operation that was refused before it had a plan, as part of a retry.
    fn replan(&self, op: &Operation) -> Result<()>;
    /// Its cancellation was accepted: pass it on to those it waits for.
    fn cancelled(&self, op: &Operation, mode: CancelMode);
}
