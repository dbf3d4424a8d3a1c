//! What the keeper remembers of its tries, until the daemon ends.
//!
//! Owns how a try ended, and what is being done now. Never: the record, or what is next.

use std::{
    collections::{HashMap, HashSet},
    mem::Discriminant,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use smol_str::SmolStr;
use tracing::warn;

use super::{Act, Outside, plan::Step};
use crate::model::{
    desired::ItemKind,
    error::{Fault, Result},
    id::OpId,
};

/// Steps of the same sort on the same thing have one pause.
pub(super) type Key = (ItemKind, SmolStr, Discriminant<Step>);

pub(super) struct Tried {
    pub times: u32,
    pub until: Instant,
    /// Why the last try was in vain.
    pub why: Option<String>,
    /// The failed operation that the pause is after.
    pub op: Option<OpId>,
}

#[derive(Default)]
pub(super) struct Memory {
    pub tried: HashMap<Key, Tried>,
    /// What is being done now.
    pub doing: Option<(ItemKind, SmolStr)>,
    /// What comes from elsewhere now.
    pub fetching: HashSet<(ItemKind, SmolStr)>,
    pub pull_failed: Option<String>,
    /// The last look ended by a fault in Bothy itself.
    pub broke: bool,
    pub poked: bool,
    pub stopped: bool,
}

#[derive(Default)]
pub(super) struct Shared {
    memory: Mutex<Memory>,
    pub wake: Condvar,
}

pub(super) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }

    /// Looks again, now.
    pub fn poke(&self) {
        self.lock().poked = true;
        self.wake.notify_all();
    }
}

/// A content on its way. One that is dropped has come to nothing.
pub struct Fetching {
    pub(super) shared: Arc<Shared>,
    pub(super) outside: Arc<dyn Outside>,
    pub(super) key: Key,
    /// Of the content.
    pub(super) path: String,
    pub(super) is_over: bool,
}

impl Fetching {
    pub fn ended(mut self, done: Result<()>) {
        let came = done.is_ok();
        self.over(done);
        if came {
            self.outside.tell(Act { method: "PUT", path: std::mem::take(&mut self.path), op: None });
        }
    }

    fn over(&mut self, done: Result<()>) {
        self.is_over = true;
        let (kind, name, _) = &self.key;
        let why = done.err().map(|fault| {
            warn!(kind = kind.word(), %name, "a content does not come, and is tried again: {fault:?}");
            fault.detail()
        });
        let mut memory = self.shared.lock();
        memory.fetching.remove(&(*kind, name.clone()));
        if let Some(t) = memory.tried.get_mut(&self.key) {
            t.why = why;
        }
        drop(memory);
        self.shared.poke();
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        if !self.is_over {
            self.over(Err(Fault::transient("the fetching was given up")));
        }
    }
}
