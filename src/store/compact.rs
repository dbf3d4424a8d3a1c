//! Compaction: a database that grew past what lives in it is written anew.
//!
//! Owns when it is due and the copy. Never: closes the gate (the caller holds it) or touches the old folder before the
//! manifest names the new one.
//!
//! sled's file grows without bound when records that stay are mixed with records that are rewritten. The copy goes to
//! a folder with the next number and is synced; then the manifest is replaced, which is the moment it counts; then the
//! old folder goes. A crash before leaves a folder that no manifest names, a crash after leaves the old one: both are
//! removed at the next open.

use std::{fs, path::PathBuf};

use super::{
    database::Handle,
    manifest::{self, ManifestFile, Which},
    verify,
};
use crate::model::error::{Fault, Result};

/// When a database is worth a compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Files up to this size are left alone, in bytes.
    pub floor_bytes: u64,
    /// How many times its live bytes a file may have.
    pub factor: u64,
}

impl Limits {
    pub const STANDARD: Limits = Limits { floor_bytes: 32 * 1024 * 1024, factor: 4 };
}

pub(super) fn is_due(handle: &Handle, limits: Limits) -> Result<bool> {
    let file = handle.file_bytes();
    Ok(file > limits.floor_bytes && file > limits.factor * handle.live_bytes()?)
}

/// What a compaction leaves to be dropped once the gate is open again.
pub(super) struct Old {
    handle: Handle,
    folder: PathBuf,
}

impl Old {
    /// Closes the old database and removes its folder; an open removes what stays.
    pub fn remove(self) {
        drop(self.handle);
        if let Err(e) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(folder = %self.folder.display(), error = %e, "the folder of a compacted database could not be removed; the next start tries again");
        }
    }
}

/// Copies `handle`'s database, makes the copy the store and puts it in `handle`'s place.
pub(super) fn run(handle: &mut Handle, which: Which, manifest: &ManifestFile) -> std::result::Result<Old, manifest::Failed> {
    let number = manifest.next_number(which);
    let folder = manifest.folder(which, number);
    let new = match copy(handle, &folder) {
        Ok(new) => new,
        Err(fault) => return Err(give_up(&folder, manifest::Failed::Before(fault))),
    };
    match manifest.replace(|m| m.set_number(which, number)) {
        Ok(()) => (),
        Err(failed @ manifest::Failed::Before(_)) => {
            drop(new);
            return Err(give_up(&folder, failed));
        }
        Err(after) => return Err(after),
    }
    let old = std::mem::replace(handle, new);
    let folder = old.path.clone();
    Ok(Old { handle: old, folder })
}

fn copy(from: &Handle, folder: &std::path::Path) -> Result<Handle> {
    let new = Handle::open(folder, &from.setup)?;
    from.for_each_raw(|k, v| new.fill_raw(k, v))?;
    new.barrier()?;
    let problems = verify::tallies(&new)?.problems();
    if problems.is_empty() {
        return Ok(new);
    }
    Err(Fault::bug("the compacted copy does not add up, the old database is kept").with_reasons(problems))
}

fn give_up(folder: &std::path::Path, failed: manifest::Failed) -> manifest::Failed {
    if let Err(e) = fs::remove_dir_all(folder) {
        tracing::warn!(folder = %folder.display(), error = %e, "an unfinished copy of the store could not be removed; the next start tries again");
    }
    failed
}
