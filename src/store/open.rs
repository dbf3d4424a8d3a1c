//! Opening the store, whatever the last end left.
//!
//! Owns: the lock, first creation, mending a torn snapshot, restoring the newest export, and the removal of what
//! crashed compactions left. Never: removes a damaged database (it is copied to `aside/` first).
//!
//!     manifest? -- no, no databases ----> create generation 1
//!        |  \----- no, databases -------> adopt the highest of each as a restored store
//!        v
//!     open live --damaged--> set aside, drop snap.*, open again --damaged--> newest export in exports/, new generation
//!     open history --damaged--> set aside, drop snap.*, open again --damaged--> start an empty history
//!
//! "Damaged" is what sled calls corruption, a failed assertion in it, or tallies that do not add up. An error of the
//! machine (disk full, no permission) is never mended, only reported.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use super::{
    Mark, backup,
    database::{Handle, Setup, io_fault},
    disk::{Disk, RealDisk},
    manifest::{Failed, Manifest, ManifestFile, Name, Which},
    trial, verify,
};
use crate::model::error::{Fault, Kind, Result};
use crate::model::order::Order as _;

/// How many damaged databases are kept in `aside/`.
const KEEP_ASIDE: usize = 4;

pub(super) struct Opened {
    pub live: Handle,
    pub history: Handle,
    pub manifest: ManifestFile,
    /// What was found wrong and what was done, one sentence each.
    pub notes: Vec<String>,
    pub fresh: bool,
}

/// Takes the folder for this process, for as long as the file lives.
pub(super) fn lock_dir(dir: &Path) -> Result<File> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| io_fault("create", dir, e))?;
    let path = dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(|e| io_fault("open", &path, e))?;
    let mut taken = file.try_lock();
    // A process that is being started has all files of ours until its own program runs.
    for _ in 0..50 {
        if !matches!(taken, Err(TryLockError::WouldBlock)) {
            break;
        }
        thread::sleep(Duration::from_millis(20));
        taken = file.try_lock();
    }
    match taken {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Fault::conflict(format!(
            "the store in {} is in use by another bothy: stop it first (`systemctl stop bothy`), or ask it over its API",
            dir.display()
        ))),
        Err(TryLockError::Error(e)) => Err(io_fault("lock", &path, e)),
    }
}

/// Opens both databases. The caller holds the lock. A trial that is over leaves nothing: its copies go with the leftovers.
pub(super) fn open(dir: &Path, setup: &Setup) -> Result<Opened> {
    trial::discard(dir, &setup.disk)?;
    let mut notes = Vec::new();
    let (manifest, fresh) = match ManifestFile::read(dir, &setup.disk)? {
        Some(m) => {
            let fresh = m.get().generation == 0;
            (m, fresh)
        }
        None => first_manifest(dir, setup, &mut notes)?,
    };
    open_of(dir, setup, manifest, fresh, notes)
}

/// Opens the databases of one manifest.
pub(super) fn open_of(dir: &Path, setup: &Setup, manifest: ManifestFile, fresh: bool, mut notes: Vec<String>) -> Result<Opened> {
    // Both wait for the disk most of the time. What is wrong with the history is looked at when the
    // live database stands: a restore of that may have put another history in its place.
    let (live, early) = thread::scope(|s| {
        let history = s.spawn(|| open_checked(&manifest, Which::History, setup));
        (open_or_mend(&manifest, Which::Live, setup, &mut notes), history.join())
    });
    let mut early = early.ok().and_then(Result::ok);
    let live = match live {
        Err(fault) if fault.kind() == Kind::Bug => {
            early = None;
            restore_newest(dir, &manifest, setup, fault, &mut notes)?
        }
        other => other?,
    };
    let history = match early.map_or_else(|| open_or_mend(&manifest, Which::History, setup, &mut notes), Ok) {
        Err(fault) if fault.kind() == Kind::Bug => empty_history(&manifest, setup, &fault, &mut notes)?,
        other => other?,
    };
    agree_on_generation(&live, &history, &manifest, &mut notes)?;
    remove_leftovers(&manifest);
    setup.disk.sync_dir(dir).map_err(|e| io_fault("sync", dir, e))?;
    for note in &notes {
        tracing::warn!(store = %dir.display(), "{note}");
    }
    Ok(Opened { live, history, manifest, notes, fresh })
}

/// Creates an empty store, or adopts databases that lost their manifest.
fn first_manifest(dir: &Path, setup: &Setup, notes: &mut Vec<String>) -> Result<(ManifestFile, bool)> {
    let found = Which::ALL.map(|w| highest(dir, w));
    if let [Some(live), history] = found {
        let handle = Handle::open(&dir.join(format!("live-{live}")), &setup.of(Which::Live))?;
        if let Some(stored) = stored_generation(&handle)? {
            let (generation, history) = (stored + 1, history.unwrap_or(0));
            put_mark(&handle, generation)?;
            notes.push(format!(
                "the manifest was missing: live-{live} and history-{history} were adopted as a restored store, generation {generation}"
            ));
            let manifest = Manifest { generation, restored: true, live, history };
            return Ok((ManifestFile::create(dir, &setup.disk, manifest)?, false));
        }
        if handle.live_bytes()? > 0 {
            return Err(Fault::bug(format!(
                "{} holds a database without manifest and without generation: restore an export with `bothy store import`, or move the folder away to start empty",
                dir.display()
            )));
        }
    }
    // An empty database without a mark: the first start was cut off, and nothing was acknowledged. It is started anew
    // beside what it left, which is removed with the other leftovers.
    let [live, history] = found.map(|n| n.unwrap_or(0) + 1);
    let first = Manifest { generation: 0, restored: false, live, history };
    for which in Which::ALL {
        Handle::open(&dir.join(format!("{}-{}", which.name(), first.number(which))), &setup.of(which))?.barrier()?;
    }
    if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
        setup.disk.sync_dir(parent).map_err(|e| io_fault("sync", parent, e))?;
    }
    Ok((ManifestFile::create(dir, &setup.disk, first)?, true))
}

fn open_checked(manifest: &ManifestFile, which: Which, setup: &Setup) -> Result<Handle> {
    let path = &manifest.current(which);
    if !path.join("db").exists() {
        return Err(Fault::bug(format!("the database {} is missing", path.display())));
    }
    let handle = Handle::open(path, &setup.of(which))?;
    let mut problems = verify::tallies(&handle)?.problems();
    if manifest.get().generation > 0 && stored_generation(&handle)?.is_none() {
        problems.push("it is empty".into());
    }
    if problems.is_empty() {
        Ok(handle)
    } else {
        Err(Fault::bug(format!("the database {} does not add up", path.display())).with_reasons(problems))
    }
}

fn open_or_mend(manifest: &ManifestFile, which: Which, setup: &Setup, notes: &mut Vec<String>) -> Result<Handle> {
    let path = manifest.current(which);
    let first = match open_checked(manifest, which, setup) {
        Err(fault) if fault.kind() == Kind::Bug => fault,
        other => return other,
    };
    notes.push(first.detail());
    if !path.exists() {
        return Err(first);
    }
    let aside = set_aside(manifest.dir(), &path, setup)?;
    // sled replays its whole log when there is no snapshot: slower, and free of whatever the snapshot claimed.
    drop_snapshots(&path).map_err(|e| io_fault("mend", &path, e))?;
    match open_checked(manifest, which, setup) {
        Ok(handle) => {
            notes.push(format!("{} was mended by dropping its snapshot; a copy as it was found is in {}", path.display(), aside.display()));
            Ok(handle)
        }
        Err(second) if second.kind() == Kind::Bug => {
            notes.push(format!("{} could not be mended; a copy as it was found is in {}", path.display(), aside.display()));
            Err(second)
        }
        Err(other) => Err(other),
    }
}

fn restore_newest(dir: &Path, manifest: &ManifestFile, setup: &Setup, fault: Fault, notes: &mut Vec<String>) -> Result<Handle> {
    let mut failures = vec![fault.detail()];
    for export in exports(dir) {
        match backup::restore(&export, manifest, setup) {
            Ok(generation) => {
                notes.push(format!(
                    "the store was restored from {} as generation {generation}; what was written after that export is only in aside/",
                    export.display()
                ));
                return open_checked(manifest, Which::Live, setup);
            }
            Err(e) if e.kind() == Kind::Transient => return Err(e),
            Err(e) => failures.push(e.detail()),
        }
    }
    Err(Fault::bug(format!(
        "the store in {} is damaged and no export in {} could take its place: restore one with `bothy store import`, or move the folder away to start empty",
        dir.display(),
        dir.join("exports").display()
    ))
    .with_reasons(failures))
}

/// Finished operations are worth less than a box that starts.
fn empty_history(manifest: &ManifestFile, setup: &Setup, fault: &Fault, notes: &mut Vec<String>) -> Result<Handle> {
    let number = manifest.next_number(Which::History);
    let handle = Handle::open(&manifest.folder(Which::History, number), &setup.of(Which::History))?;
    put_mark(&handle, manifest.get().generation)?;
    manifest.replace(|m| m.history = number).map_err(Failed::fault)?;
    notes.push(format!(
        "the history starts empty because the old one is damaged ({}); running operations and instances are not touched",
        fault.text()
    ));
    Ok(handle)
}

/// Puts an export in the place of whatever store is in `dir`. The caller holds the lock.
pub(super) fn import(export: &Path, dir: &Path, setup: &Setup) -> Result<u64> {
    let (manifest, fresh) = match ManifestFile::read(dir, &setup.disk)? {
        Some(m) => (m, false),
        None => first_manifest(dir, setup, &mut Vec::new())?,
    };
    for folder in Which::ALL.map(|w| manifest.current(w)) {
        if !fresh && folder.exists() {
            set_aside(dir, &folder, setup)?;
        }
    }
    let generation = backup::restore(export, &manifest, setup)?;
    remove_leftovers(&manifest);
    Ok(generation)
}

fn stored_generation(live: &Handle) -> Result<Option<u64>> {
    Ok(live.transact(|tx| Ok(tx.get::<Mark>(&Mark::KEY)?.map(|m| m.generation)))?.0)
}

fn put_mark(handle: &Handle, generation: u64) -> Result<()> {
    handle.transact(|tx| tx.put(&Mark { generation }))?;
    handle.barrier()
}

/// Ends the first start (the manifest says generation 0 until both databases carry their mark). Later, a live database
/// from another time than its manifest was put there by hand: that is a restore too.
fn agree_on_generation(live: &Handle, history: &Handle, manifest: &ManifestFile, notes: &mut Vec<String>) -> Result<()> {
    let (named, stored) = (manifest.get().generation, stored_generation(live)?.unwrap_or(0));
    if named == 0 {
        put_mark(history, 1)?;
        put_mark(live, 1)?;
        return manifest.replace(|m| m.generation = 1).map_err(Failed::fault);
    }
    if named == stored {
        return Ok(());
    }
    let generation = named.max(stored) + 1;
    notes.push(format!(
        "the live database is of generation {stored}, the manifest of {named}: taken as a restored store, generation {generation}"
    ));
    // The manifest goes first: cut off here, the next open finds them apart again and counts up once more.
    manifest
        .replace(|m| {
            m.generation = generation;
            m.restored = true;
        })
        .map_err(Failed::fault)?;
    put_mark(live, generation)
}

/// Exports beside the store, newest first.
fn exports(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("exports")).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter(|e| e.path().extension().is_some_and(|x| x == "bothy"))
        .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())))
        .collect();
    found.order();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

fn numbered(dir: &Path, which: Which) -> impl Iterator<Item = (u64, PathBuf)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(move |e| {
        let name = e.file_name().into_string().ok()?;
        let number = name.strip_prefix(which.name())?.strip_prefix('-')?.parse().ok()?;
        Some((number, e.path()))
    })
}

fn highest(dir: &Path, which: Which) -> Option<u64> {
    numbered(dir, which).map(|(n, _)| n).max()
}

/// Folders of databases that no manifest names: a compaction, an import or a trial was cut off.
pub(super) fn remove_leftovers(manifest: &ManifestFile) {
    let now = manifest.get();
    // While a trial runs, the store that it may go back to is not its to remove.
    let spare = match manifest.name() {
        Name::Real => None,
        Name::Trial => match ManifestFile::read(manifest.dir(), &(Arc::new(RealDisk) as Arc<dyn Disk>)) {
            Ok(Some(real)) => Some(real.get()),
            Ok(None) | Err(_) => return,
        },
    };
    for which in Which::ALL {
        for (n, path) in numbered(manifest.dir(), which) {
            if n != now.number(which)
                && spare.as_ref().is_none_or(|s| s.number(which) != n)
                && let Err(e) = fs::remove_dir_all(&path)
            {
                tracing::warn!(folder = %path.display(), error = %e, "a folder that is no longer part of the store could not be removed");
            }
        }
    }
}

fn drop_snapshots(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Copies a database as it is to `aside/`, and keeps the newest few there.
pub(super) fn set_aside(dir: &Path, database: &Path, setup: &Setup) -> Result<PathBuf> {
    let aside = dir.join("aside");
    let fault = |e| io_fault("set aside", database, e);
    fs::create_dir_all(&aside).map_err(fault)?;
    let name = database.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut older: Vec<(u64, PathBuf)> = fs::read_dir(&aside)
        .map_err(fault)?
        .flatten()
        .filter_map(|e| Some((e.file_name().into_string().ok()?.split('-').next()?.parse().ok()?, e.path())))
        .collect();
    older.order();
    let next = older.last().map_or(0, |(n, _)| *n) + 1;
    let to = aside.join(format!("{next:04}-{name}"));
    copy_dir(database, &to).map_err(fault)?;
    setup.disk.sync_dir(&aside).map_err(fault)?;
    for (_, path) in older.iter().rev().skip(KEEP_ASIDE - 1) {
        fs::remove_dir_all(path).map_err(fault)?;
    }
    Ok(to)
}

pub(super) fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
