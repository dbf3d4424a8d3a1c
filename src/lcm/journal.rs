//! What the engine knows and the store does not yet: answers of steps, and members that were released.
//!
//! Owns the entries and the moment they are written: along with the next transaction that moves an
//! operation on, or on their own when there are many or nothing else to do. An operation moves on only
//! by a transaction that takes the journal along, so the store never sees an end before what led to it.
//! A crash loses what was not written; its steps are run again, its members released again.

use std::sync::{MutexGuard, PoisonError};

use tracing::warn;

use super::engine::Engine;
use crate::{
    model::{
        error::Result,
        id::OpId,
        op::{Operation, Phase, Trigger},
        step::StepLog,
        time::Stamp,
    },
    store::{Durability, Tx},
};

/// Entries not written yet; locked while they are, so that an older one never follows a newer.
#[derive(Default)]
pub(super) struct Journal {
    /// Operations that left `Held`, and when.
    released: Vec<(OpId, Stamp)>,
    logs: Vec<StepLog>,
}

impl Journal {
    pub fn is_empty(&self) -> bool {
        self.released.is_empty() && self.logs.is_empty()
    }

    fn write(&self, tx: &mut Tx<'_>) -> Result<()> {
        for (id, at) in &self.released {
            let mut op: Operation = tx.require(id)?;
            if op.state.phase() == Phase::Held {
                op.apply(Trigger::Granted, *at)?;
                tx.put(&op)?;
            }
        }
        self.logs.iter().try_for_each(|log| tx.put(log))
    }

    fn clear(&mut self) {
        self.released.clear();
        self.logs.clear();
    }
}

impl Engine {
    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many logs wait, this one among them.
    pub(super) fn note(&self, log: StepLog) -> usize {
        let mut journal = self.journal();
        journal.logs.push(log);
        journal.logs.len()
    }

    /// Moves a held operation on; the operation as it is then, and as it is when it has moved already.
    pub(super) fn note_release(&self, id: OpId) -> Result<Operation> {
        // Read under the lock: whatever else moves a held operation takes it too.
        let mut journal = self.journal();
        let mut op: Operation = self.store.require(&id)?;
        if op.state.phase() != Phase::Held {
            return Ok(op);
        }
        let at = journal.released.iter().find(|(known, _)| *known == id).map(|(_, at)| *at);
        let now = at.unwrap_or_else(|| self.clock.now());
        op.apply(Trigger::Granted, now)?;
        if at.is_none() {
            journal.released.push((id, now));
        }
        Ok(op)
    }

    pub(super) fn write_journal(&self) {
        if let Err(fault) = self.settle_journal() {
            warn!("the journal cannot be written: {fault:?}");
        }
    }

    /// What the journal holds is in the store; and releases are on the disk. A member that a crash takes
    /// for held is refused by a rollback, not undone, so that moment is kept short.
    pub fn settle_journal(&self) -> Result<()> {
        let mut journal = self.journal();
        if journal.is_empty() {
            return Ok(());
        }
        let done = self.store.write(Durability::Lazy, |tx| journal.write(tx));
        // Logs that cannot be written are dropped: their steps are run again after a crash.
        journal.logs.clear();
        done?;
        let released = !std::mem::take(&mut journal.released).is_empty();
        drop(journal);
        if released { self.store.settle() } else { Ok(()) }
    }

    /// A transaction that takes along what the journal holds. A barrier is waited for after the
    /// journal was let go.
    pub(super) fn write_with_journal<T>(&self, durability: Durability, f: impl Fn(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let at_once = match durability {
            Durability::Soon => Durability::Soon,
            Durability::Barrier | Durability::Lazy => Durability::Lazy,
        };
        let out = {
            let mut journal = self.journal();
            let out = self.store.write(at_once, |tx| {
                journal.write(tx)?;
                f(tx)
            })?;
            journal.clear();
            out
        };
        match durability {
            Durability::Barrier => self.store.settle()?,
            Durability::Soon | Durability::Lazy => {}
        }
        Ok(out)
    }
}
