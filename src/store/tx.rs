//! What may be done inside a transaction.
//!
//! Owns: typed and raw access through one sled transaction, chunking, and the tallies that go with every change.
//! Never: I/O, planning, logging, range reads, or another way to the store while it runs (sled's lock is
//! process-wide: such a read would never return; `Inside` turns it into a fault).

use std::{cell::Cell, collections::BTreeMap};

use sled::transaction::{TransactionalTree, UnabortableTransactionError};

use super::{
    layout::{self, CHUNK, Head, MAX_VALUE, Tally},
    record::{KeyBytes, Record},
};
use crate::model::error::{Fault, Result};

/// A running transaction. What it wrote is seen by its own reads; others see all of it or nothing.
pub struct Tx<'a> {
    tree: &'a TransactionalTree,
    changes: BTreeMap<u8, Change>,
    raw_values: bool,
    /// The newest event this transaction wrote; 0 for none.
    pub(super) told: u64,
}

#[derive(Default)]
struct Change {
    count: i64,
    bytes: i64,
}

impl<'a> Tx<'a> {
    pub(super) fn new(tree: &'a TransactionalTree) -> Self {
        Tx { tree, changes: BTreeMap::new(), raw_values: false, told: 0 }
    }

    pub fn get<R: Record>(&self, key: &R::Key) -> Result<Option<R>> {
        self.read(&layout::record_key(R::TABLE, &key.bytes()))?.map(|v| R::decode(&v)).transpose()
    }

    /// Like `get`, with NotFound where there is none.
    pub fn require<R: Record>(&self, key: &R::Key) -> Result<R> {
        self.get(key)?.ok_or_else(|| Fault::not_found(format!("no such {}", R::TABLE.name())))
    }

    pub fn exists<R: Record>(&self, key: &R::Key) -> Result<bool> {
        Ok(self.fetch(&layout::record_key(R::TABLE, &key.bytes()))?.is_some())
    }

    /// Writes the record, over an older one if there is one.
    pub fn put<R: Record>(&mut self, record: &R) -> Result<()> {
        let full = layout::record_key(R::TABLE, &record.key().bytes());
        if R::TELLS && self.has_listeners()? {
            let before = self.get::<R>(&record.key())?;
            self.tell(before.as_ref(), Some(record))?;
        }
        self.write(&full, &record.encode()?)
    }

    /// Writes the record; Conflict if its key is taken.
    pub fn put_new<R: Record>(&mut self, record: &R) -> Result<()> {
        if self.exists::<R>(&record.key())? {
            return Err(Fault::conflict(format!("this {} exists already", R::TABLE.name())));
        }
        self.put(record)
    }

    /// Removes the record; says whether there was one.
    pub fn delete<R: Record>(&mut self, key: &R::Key) -> Result<bool> {
        if R::TELLS && self.has_listeners()? {
            let before = self.get::<R>(key)?;
            self.tell(before.as_ref(), None)?;
        }
        self.remove(&layout::record_key(R::TABLE, &key.bytes()))
    }

    /// Conflict unless the stored record still is what was read before the transaction: the way to act on a range
    /// that was read outside. The caller reads again and retries.
    pub fn expect_unchanged<R: Record>(&self, seen: &R) -> Result<()> {
        let now = self.get::<R>(&seen.key())?.map(|r| r.encode()).transpose()?;
        if now.as_deref() == Some(&seen.encode()?[..]) {
            return Ok(());
        }
        Err(Fault::conflict(format!("the {} was changed meanwhile", R::TABLE.name())))
    }

    /// Conflict unless `now == seen`; for the revisions that records carry.
    pub fn expect_revision(&self, what: &str, seen: u64, now: u64) -> Result<()> {
        if seen == now {
            return Ok(());
        }
        Err(Fault::conflict(format!("{what} was changed meanwhile (revision {seen} was read, it is {now} now)")))
    }

    /// Read, change, write in one go; NotFound where there is none. Returns the record as written.
    pub fn update<R: Record>(&mut self, key: &R::Key, change: impl FnOnce(&mut R) -> Result<()>) -> Result<R> {
        let mut record = self.require::<R>(key)?;
        change(&mut record)?;
        self.put(&record)?;
        Ok(record)
    }

    /// The tags of the tables that it has written to.
    pub(super) fn written(&self) -> Vec<u8> {
        self.changes.keys().copied().collect()
    }

    /// The value behind a full key, put together from its chunks.
    pub(super) fn read(&self, full: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(raw) = self.fetch(full)? else { return Ok(None) };
        let Some(head) = Head::decode(&raw) else { return Ok(Some(raw.to_vec())) };
        let mut value = Vec::with_capacity(head.len as usize);
        for n in 0..head.chunks {
            let chunk = self.fetch(&layout::chunk_key(full, n))?.ok_or_else(lost_chunk)?;
            value.extend_from_slice(&chunk);
        }
        if head.fits(&value) { Ok(Some(value)) } else { Err(lost_chunk()) }
    }

    pub(super) fn write(&mut self, full: &[u8], value: &[u8]) -> Result<()> {
        let before = self.chunks_of(full)?;
        if value.len() <= MAX_VALUE || self.raw_values {
            self.drop_chunks(full, 0, before)?;
            return self.set(full, value);
        }
        let head = Head::of(value)?;
        for (n, part) in value.chunks(MAX_VALUE).enumerate() {
            self.set(&layout::chunk_key(full, n as u16), part)?;
        }
        self.drop_chunks(full, head.chunks, before)?;
        self.set(full, &head.encode())
    }

    pub(super) fn remove(&mut self, full: &[u8]) -> Result<bool> {
        let before = self.chunks_of(full)?;
        self.drop_chunks(full, 0, before)?;
        self.unset(full)
    }

    /// From here on large values go to sled whole: what the power-cut test needs to make sled write a blob.
    #[cfg(test)]
    pub(super) fn without_chunks(&mut self) {
        self.raw_values = true;
    }

    /// Writes the tallies; the last thing in a transaction.
    pub(super) fn close(self) -> Result<()> {
        for (tag, change) in &self.changes {
            if change.count == 0 && change.bytes == 0 {
                continue;
            }
            let key = layout::tally_key(*tag);
            let before = match self.fetch(&key)? {
                None => Tally::default(),
                Some(raw) => Tally::decode(&raw).ok_or_else(lost_chunk)?,
            };
            let (Some(count), Some(bytes)) = (before.count.checked_add_signed(change.count), before.bytes.checked_add_signed(change.bytes))
            else {
                return Err(Fault::bug(format!("the store's tally of table {tag:#04x} went below zero: run `bothy store verify`")));
            };
            self.tree.insert(&key[..], &Tally { count, bytes }.encode()[..]).map_err(storage)?;
        }
        Ok(())
    }

    /// How many keys a table had when the transaction began.
    pub(super) fn count_of(&self, tally: impl AsRef<[u8]>) -> Result<u64> {
        Ok(self.fetch(tally.as_ref())?.and_then(|raw| Tally::decode(&raw)).unwrap_or_default().count)
    }

    fn chunks_of(&self, full: &[u8]) -> Result<u16> {
        Ok(self.fetch(full)?.and_then(|raw| Head::decode(&raw)).map_or(0, |h| h.chunks))
    }

    fn drop_chunks(&mut self, full: &[u8], from: u16, to: u16) -> Result<()> {
        for n in from..to {
            self.unset(&layout::chunk_key(full, n))?;
        }
        Ok(())
    }

    fn fetch(&self, key: &[u8]) -> Result<Option<sled::IVec>> {
        self.tree.get(key).map_err(storage)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let old = self.tree.insert(key, value).map_err(storage)?;
        let change = self.change(key);
        match old {
            Some(old) => change.bytes += value.len() as i64 - old.len() as i64,
            None => {
                change.count += 1;
                change.bytes += (key.len() + value.len()) as i64;
            }
        }
        Ok(())
    }

    fn unset(&mut self, key: &[u8]) -> Result<bool> {
        let Some(old) = self.tree.remove(key).map_err(storage)? else { return Ok(false) };
        let change = self.change(key);
        change.count -= 1;
        change.bytes -= (key.len() + old.len()) as i64;
        Ok(true)
    }

    fn change(&mut self, key: &[u8]) -> &mut Change {
        self.changes.entry(key.first().copied().unwrap_or(CHUNK)).or_default()
    }
}

fn lost_chunk() -> Fault {
    Fault::bug("a part of a large record is missing or damaged: run `bothy store verify`, and restore an export if it confirms this")
}

pub(super) fn storage(e: UnabortableTransactionError) -> Fault {
    Fault::transient("the store could not be read or written: look at the disk and at the log").with_source(e)
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as inside a transaction for as long as it lives.
pub(super) struct Inside;

impl Inside {
    pub fn enter() -> Result<Inside> {
        Inside::check()?;
        INSIDE.set(true);
        Ok(Inside)
    }
    /// A fault instead of a wait without end.
    pub fn check() -> Result<()> {
        if INSIDE.get() { Err(Fault::bug("the store was used inside one of its transactions; only `tx` exists there")) } else { Ok(()) }
    }
}
impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(false);
    }
}
