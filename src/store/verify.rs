//! Does the store hold what it says it holds.
//!
//! Owns the count of every table against its tally, and the check of every large value against its head. Never:
//! decodes records, repairs anything.
//!
//! sled loses a blob that was not synced without an error, and a page that names it with it; the tallies, written in
//! the transactions that change them, are how the loss shows.

use std::collections::BTreeMap;

use super::{
    database::Handle,
    layout::{self, CHUNK, Head, Tally},
    manifest::Which,
    tables::Table,
};
use crate::model::error::Result;

/// The outcome of `Store::verify`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    pub tables: Vec<TableReport>,
    /// One sentence per thing that is wrong; empty if all is well.
    pub problems: Vec<String>,
}

impl VerifyReport {
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// One table of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableReport {
    /// `live` or `history`.
    pub database: &'static str,
    pub table: &'static str,
    /// Records found.
    pub records: u64,
    /// Their keys and values, in bytes (heads only, for large values).
    pub bytes: u64,
}

/// What was counted and what the tallies say, by tag.
pub(super) struct Counts {
    name: String,
    counted: BTreeMap<u8, Tally>,
    recorded: BTreeMap<u8, Tally>,
    chunks_due: u64,
    unknown: u64,
}

/// One pass over all keys.
pub(super) fn tallies(handle: &Handle) -> Result<Counts> {
    let mut c =
        Counts { name: handle.path.display().to_string(), counted: BTreeMap::new(), recorded: BTreeMap::new(), chunks_due: 0, unknown: 0 };
    handle.for_each_raw(|key, value| {
        if let Some(tag) = layout::tally_tag(key) {
            c.recorded.insert(tag, Tally::decode(value).unwrap_or_default());
            return Ok(());
        }
        let Some(&tag) = key.first() else {
            c.unknown += 1;
            return Ok(());
        };
        c.counted.entry(tag).or_default().add(key.len(), value.len());
        if tag == CHUNK {
            return Ok(());
        }
        if Table::from_tag(tag).is_none() {
            c.unknown += 1;
        }
        c.chunks_due += Head::decode(value).map_or(0, |h| u64::from(h.chunks));
        Ok(())
    })?;
    Ok(c)
}

impl Counts {
    pub fn problems(&self) -> Vec<String> {
        let mut out = Vec::new();
        let tags: std::collections::BTreeSet<u8> = self.counted.keys().chain(self.recorded.keys()).copied().collect();
        for tag in tags {
            let counted = self.counted.get(&tag).copied().unwrap_or_default();
            let recorded = self.recorded.get(&tag).copied().unwrap_or_default();
            if counted != recorded {
                out.push(format!(
                    "{}: {} has {} entries ({} bytes), its tally says {} ({} bytes)",
                    self.name,
                    name_of(tag),
                    counted.count,
                    counted.bytes,
                    recorded.count,
                    recorded.bytes
                ));
            }
        }
        let chunks = self.counted.get(&CHUNK).map_or(0, |t| t.count);
        if chunks != self.chunks_due {
            out.push(format!("{}: large records name {} parts, {} are there", self.name, self.chunks_due, chunks));
        }
        if self.unknown > 0 {
            out.push(format!("{}: {} entries belong to no table this bothy knows", self.name, self.unknown));
        }
        out
    }

    fn tables(&self, database: &'static str) -> impl Iterator<Item = TableReport> {
        Table::ALL.into_iter().map(move |t| {
            let found = self.counted.get(&t.tag()).copied().unwrap_or_default();
            TableReport { database, table: t.name(), records: found.count, bytes: found.bytes }
        })
    }
}

/// Counts everything and reads every large value.
pub(super) fn full(handles: [(Which, &Handle); 2]) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    for (which, handle) in handles {
        let counts = tallies(handle)?;
        report.tables.extend(counts.tables(which.name()));
        report.problems.extend(counts.problems());
        handle.for_each_raw(|key, value| {
            let large = key.first().is_some_and(|&t| t != CHUNK && t != 0) && Head::decode(value).is_some();
            if large && let Err(e) = handle.read(key) {
                let table = key.first().map_or("?".into(), |t| name_of(*t));
                report.problems.push(format!("{} of {table}: {}", which.name(), e.text()));
            }
            Ok(())
        })?;
    }
    Ok(report)
}

fn name_of(tag: u8) -> String {
    match Table::from_tag(tag) {
        Some(t) => format!("table '{}'", t.name()),
        None if tag == CHUNK => "the parts of large records".into(),
        None => format!("unknown table {tag:#04x}"),
    }
}
