//! The store of a boot on trial: copies of both databases, named by a manifest of their own.
//!
//! ```text
//! open_trial   live-N, history-M  --copied-->  live-N', history-M';  manifest.trial names these
//! keep         manifest.trial takes the name of manifest: one rename, and the copies are the store
//! open         (the old system, after a trial that was not kept) manifest.trial goes, the copies after it
//! ```
//! Owns the copying and that rename. Never: says whether a trial is kept. The databases that `manifest` names are not
//! touched while a trial runs: neither opened, nor mended, nor removed.

use std::{fs, io, path::Path, sync::Arc};

use super::{
    Options, Store,
    compact::Limits,
    database::{Setup, io_fault},
    disk::{Disk, RealDisk},
    manifest::{Manifest, ManifestFile, Name, Which},
    open::{self, Opened, copy_dir, open_of, remove_leftovers},
};
use crate::model::error::Result;

impl Store {
    /// Opens a copy of the store in `dir`; of a trial that goes on (`anew` is false) the copy that it has.
    pub fn open_trial(dir: impl AsRef<Path>, options: Options, anew: bool) -> Result<Store> {
        Store::open_trial_on(dir.as_ref(), options, Arc::new(RealDisk), anew)
    }

    pub(super) fn open_trial_on(dir: &Path, options: Options, disk: Arc<dyn Disk>, anew: bool) -> Result<Store> {
        Store::open_by(dir, options, disk, Limits::STANDARD, |dir, setup| open_copy(dir, setup, anew))
    }

    /// This copy is the store from now on; what was the store goes. Nothing where it is the store already.
    pub fn keep_trial(&self) -> Result<()> {
        let manifest = &self.0.live.manifest;
        let before = match manifest.name() {
            Name::Real => None,
            Name::Trial => ManifestFile::read(&self.0.dir, &self.0.setup.disk)?.map(|m| m.get()),
        };
        manifest.keep()?;
        let Some(before) = before else { return Ok(()) };
        // By name: a compaction under way has a folder that no manifest names yet.
        for which in Which::ALL {
            let folder = manifest.folder(which, before.number(which));
            if folder != manifest.current(which)
                && let Err(e) = fs::remove_dir_all(&folder)
            {
                tracing::warn!(folder = %folder.display(), error = %e, "what was the store before stays until the next start");
            }
        }
        Ok(())
    }

    /// The same for a store that nobody has open: a trial was kept, and cut off before its copy took the store's place.
    pub fn keep_left_trial(dir: impl AsRef<Path>) -> Result<()> {
        Store::keep_left_trial_on(dir.as_ref(), &(Arc::new(RealDisk) as Arc<dyn Disk>))
    }

    pub(super) fn keep_left_trial_on(dir: &Path, disk: &Arc<dyn Disk>) -> Result<()> {
        let _lock = open::lock_dir(dir)?;
        match ManifestFile::read_of(dir, disk, Name::Trial)? {
            Some(trial) => trial.keep(),
            None => Ok(()),
        }
    }

    /// A copy that a trial has.
    pub fn is_on_trial(&self) -> bool {
        self.0.live.manifest.name() == Name::Trial
    }
}

fn open_copy(dir: &Path, setup: &Setup, anew: bool) -> Result<Opened> {
    if anew {
        discard(dir, &setup.disk)?;
    }
    let manifest = match ManifestFile::read_of(dir, &setup.disk, Name::Trial)? {
        Some(m) => m,
        None => match ManifestFile::read(dir, &setup.disk)? {
            Some(real) => copy(dir, setup, &real)?,
            // A box that has no store yet has nothing to go back to.
            None => return open::open(dir, setup),
        },
    };
    open_of(dir, setup, manifest, false, Vec::new())
}

/// The manifest comes last: until it is there, the copies are leftovers.
fn copy(dir: &Path, setup: &Setup, real: &ManifestFile) -> Result<ManifestFile> {
    remove_leftovers(real);
    let now = real.get();
    let mut new = Manifest { ..now };
    for which in Which::ALL {
        let number = real.next_number(which);
        let (from, to) = (real.current(which), real.folder(which, number));
        copy_dir(&from, &to).and_then(|()| sync_all(&to, &*setup.disk)).map_err(|e| io_fault("copy", &from, e))?;
        new.set_number(which, number);
    }
    setup.disk.sync_dir(dir).map_err(|e| io_fault("sync", dir, e))?;
    ManifestFile::create_of(dir, &setup.disk, new, Name::Trial)
}

fn sync_all(dir: &Path, disk: &dyn Disk) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all(&entry.path(), disk)?;
        } else {
            disk.sync_file(&entry.path())?;
        }
    }
    disk.sync_dir(dir)
}

/// No trial is left.
pub(super) fn discard(dir: &Path, disk: &Arc<dyn Disk>) -> Result<()> {
    let path = Name::Trial.in_dir(dir);
    match fs::remove_file(&path) {
        Ok(()) => disk.sync_dir(dir).map_err(|e| io_fault("sync", dir, e)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(io_fault("remove", &path, e)),
    }
}
