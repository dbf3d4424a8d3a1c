//! The audit trail: every change and every refusal, in the history database, chained by hashes.
//!
//! Each entry's hash covers all of it and the hash before; `AuditEnds` holds both ends, so that an entry
//! changed or taken away, wherever it stood, is missed by `verify`. Who can write the database can write a
//! new chain: note `last` and its hash elsewhere where that matters. The oldest go when there are more than
//! are kept, and the ends say so. Refusals of nobody known are written up to a rate, or they would push
//! what matters out.

use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

use super::{Access, lock};
use crate::{
    model::{
        access::{AuditEnds, AuditEntry},
        error::{Fault, Result},
        id::{OpId, ProjectId},
        time::Stamp,
    },
    store::{Durability, Store},
};

const ENDS: &str = "audit.ends";
const PAGE: usize = 1000;
/// The oldest go this many at a time.
const BATCH: u64 = 64;
/// Refusals of nobody known: so many at once, and then one in so many milliseconds.
const STRANGERS: u64 = 100;
const STRANGER_EVERY_MS: u64 = 30_000;

/// What is told about a request.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// `None`: nobody known.
    pub who: Option<SmolStr>,
    pub source: SmolStr,
    pub project: Option<ProjectId>,
    pub method: SmolStr,
    pub path: String,
    pub status: u16,
    pub op: Option<OpId>,
    pub why: String,
}

/// Longest path and reason that are kept.
const TEXT: usize = 512;

pub struct Trail {
    ends: AuditEnds,
    strangers: u64,
    refilled: Stamp,
    unwritten: u64,
}

/// Outcome of a look at the whole trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub entries: u64,
    pub first: u64,
    pub last: u64,
    /// Of the newest entry.
    pub hash: [u8; 32],
    /// The first thing that is wrong.
    pub fault: Option<String>,
}

impl Trail {
    pub fn open(store: &Store) -> Result<Trail> {
        let ends = store.get_history::<AuditEnds>(&ENDS)?.unwrap_or(AuditEnds { first: 1, before: [0; 32], last: 0, hash: [0; 32] });
        Ok(Trail { ends, strangers: STRANGERS, refilled: Stamp(0), unwritten: 0 })
    }

    /// Whether one more refusal of a stranger is written.
    fn admits_stranger(&mut self, now: Stamp) -> bool {
        let more = now.0.saturating_sub(self.refilled.0) / STRANGER_EVERY_MS;
        if more > 0 {
            self.strangers = self.strangers.saturating_add(more).min(STRANGERS);
            self.refilled = now;
        }
        let fits = self.strangers > 0;
        self.strangers = self.strangers.saturating_sub(1);
        self.unwritten += u64::from(!fits);
        fits
    }
}

/// SHA-256 over the entry's fields in their order, texts led by their lengths.
pub fn hash_of(e: &AuditEntry) -> [u8; 32] {
    let mut h = Sha256::new();
    h.update(e.previous);
    h.update(e.sequence.to_be_bytes());
    h.update(e.at.0.to_be_bytes());
    h.update(e.status.to_be_bytes());
    h.update(e.project.map_or([0; 16], |p| *p.bytes()));
    h.update(e.op.map_or([0; 16], |o| *o.bytes()));
    for text in [e.who.as_str(), &e.source, &e.method, &e.path, &e.why] {
        h.update((text.len() as u64).to_be_bytes());
        h.update(text);
    }
    h.finalize().into()
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT {
        text.truncate((0..=TEXT).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0));
        text.push('…');
    }
    text
}

impl Access {
    /// Writes one entry. It is on the disk with the store's next barrier, within a second or so.
    pub fn tell(&self, t: Told) -> Result<()> {
        let mut trail = lock(&self.trail);
        let at = self.clock.now();
        if t.who.is_none() && !trail.admits_stranger(at) {
            return Ok(());
        }
        let mut why = cut(t.why);
        if trail.unwritten > 0 {
            why += &format!(" [{} refusals of unknown callers before this were not written]", trail.unwritten);
        }
        let mut entry = AuditEntry {
            sequence: trail.ends.last + 1,
            at,
            who: t.who.unwrap_or(SmolStr::new_static("-")),
            source: t.source,
            project: t.project,
            method: t.method,
            path: cut(t.path),
            status: t.status,
            op: t.op,
            why,
            previous: trail.ends.hash,
            hash: [0; 32],
        };
        entry.hash = hash_of(&entry);
        let mut ends = AuditEnds { last: entry.sequence, hash: entry.hash, ..trail.ends.clone() };
        let old = self.too_old(&ends)?;
        if let Some(newest) = old.last() {
            ends.first = newest.sequence + 1;
            ends.before = newest.hash;
        }
        self.store.write_history(Durability::Lazy, |tx| {
            for o in &old {
                tx.delete::<AuditEntry>(&o.sequence)?;
            }
            tx.put_new(&entry)?;
            tx.put(&ends)
        })?;
        trail.ends = ends;
        trail.unwritten = 0;
        Ok(())
    }

    fn too_old(&self, ends: &AuditEnds) -> Result<Vec<AuditEntry>> {
        let count = ends.last + 1 - ends.first;
        let excess = count.saturating_sub(self.settings().audit_keep);
        if excess < BATCH {
            return Ok(Vec::new());
        }
        self.store.page_history(ends.first.checked_sub(1).as_ref(), excess.min(PAGE as u64) as usize)
    }

    /// Up to `limit` entries that came before `before` (or the newest), newest first.
    pub fn audit_page(&self, before: Option<u64>, limit: u64) -> Result<Vec<AuditEntry>> {
        let ends = lock(&self.trail).ends.clone();
        let end = before.unwrap_or(u64::MAX).min(ends.last + 1);
        let begin = end.saturating_sub(limit).max(ends.first);
        if begin >= end {
            return Ok(Vec::new());
        }
        let mut page = self.store.page_history::<AuditEntry>(begin.checked_sub(1).as_ref(), (end - begin) as usize)?;
        page.retain(|e| e.sequence < end);
        page.reverse();
        Ok(page)
    }

    /// Follows the whole chain; entries that come meanwhile wait.
    pub fn verify_audit(&self) -> Result<Verified> {
        let _still = lock(&self.trail);
        verify(&self.store)
    }
}

/// Follows the chain in a store, whoever has it open.
pub fn verify(store: &Store) -> Result<Verified> {
    let ends = Trail::open(store)?.ends;
    let mut v = Verified { entries: 0, first: ends.first, last: ends.last, hash: ends.hash, fault: None };
    let (mut want, mut previous) = (ends.first, ends.before);
    let mut after: Option<u64> = None;
    loop {
        let page = match store.page_history::<AuditEntry>(after.as_ref(), PAGE) {
            Ok(p) => p,
            Err(f) => {
                v.fault = Some(format!("after entry {}: {f}", want.saturating_sub(1)));
                return Ok(v);
            }
        };
        let Some(last) = page.last() else { break };
        after = Some(last.sequence);
        for e in &page {
            let wrong = if e.sequence != want {
                Some(format!("entry {want} is missing: {} comes next", e.sequence))
            } else if e.previous != previous {
                Some(format!("entry {want} does not follow the one before it"))
            } else if hash_of(e) != e.hash {
                Some(format!("entry {want} was changed"))
            } else {
                None
            };
            if wrong.is_some() {
                v.fault = wrong;
                return Ok(v);
            }
            v.entries += 1;
            want += 1;
            previous = e.hash;
        }
    }
    if want != ends.last + 1 {
        v.fault = Some(format!("entries {want} to {} are missing at the end", ends.last));
    } else if previous != ends.hash && ends.last >= ends.first {
        v.fault = Some(format!("entry {} is not the one that was written last", ends.last));
    }
    Ok(v)
}

/// A trail that is not whole, as a fault.
pub fn sound(v: &Verified) -> Result<()> {
    match &v.fault {
        None => Ok(()),
        Some(f) => Err(Fault::conflict(format!("the audit trail is not whole: {f}"))),
    }
}
