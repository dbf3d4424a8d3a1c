//! Tests of the store through its public face, with records of their own.

mod backup;
mod basics;
mod churn;
mod golden;
mod golden_access;
mod group;
pub mod older;
mod power;
pub mod shadow;
mod trial;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::*;

/// A record of any size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub id: u32,
    pub body: Vec<u8>,
}
impl Record for Note {
    type Key = u32;
    const TABLE: Table = Table::VnfInstance;
    const VERSION: u8 = 1;
    fn key(&self) -> u32 {
        self.id
    }
}

/// A record in a second table, under a two-part key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub of: u32,
    pub n: u16,
    pub text: String,
}
impl Record for Line {
    type Key = (u32, u16);
    const TABLE: Table = Table::Journal;
    const VERSION: u8 = 1;
    fn key(&self) -> (u32, u16) {
        (self.of, self.n)
    }
}

pub fn note(id: u32, len: usize) -> Note {
    Note { id, body: (0..len).map(|i| (i as u32).wrapping_mul(2_654_435_761).wrapping_add(id) as u8).collect() }
}

pub fn line(of: u32, n: u16) -> Line {
    Line { of, n, text: format!("line {n} of {of}") }
}

/// Without sled's flusher: nothing happens that the test did not ask for.
pub const QUIET: Options = Options { cache_bytes: 8 * 1024 * 1024, flush_every_ms: 0, gather_ms: 2 };

pub fn open(dir: &Path) -> Store {
    Store::open(dir, QUIET).expect("the store opens")
}

pub fn put(store: &Store, note: &Note) {
    store.write(Durability::Barrier, |tx| tx.put(note)).expect("the write is durable");
}
