//! One sled database: `live` or `history`.
//!
//! Owns: sled's handle, the gate that compaction closes, transactions, reads, and the barrier with the syncs that sled
//! leaves out. Never: knows records, or when a barrier is due (that is `commit`).

use std::{
    collections::HashMap,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError},
    thread,
    time::Duration,
};

use sled::transaction::{ConflictableTransactionError, TransactionError};

use super::{
    disk::Disk,
    layout::{self, Head, Tally},
    manifest::Which,
    tables::Table,
    tx::{Inside, Tx},
};
use crate::model::error::{Fault, Kind, Result};

/// How a database is opened.
#[derive(Clone)]
pub(super) struct Setup {
    /// sled's page cache, in bytes.
    pub cache_bytes: u64,
    pub flush_every_ms: u64,
    pub disk: Arc<dyn Disk>,
}

impl Setup {
    /// The history is written once and read by those who ask for what is over: it has an eighth of the cache, or else what
    /// the start read of it to check it would stay in memory.
    pub fn of(&self, which: Which) -> Setup {
        match which {
            Which::Live => self.clone(),
            Which::History => Setup { cache_bytes: self.cache_bytes / 8, ..self.clone() },
        }
    }
}

/// A sled database in its folder, open.
pub(super) struct Handle {
    db: Option<sled::Db>,
    pub path: PathBuf,
    pub setup: Setup,
    file: File,
    /// Blobs that were synced, with the length they had: one that was still being written then is longer now.
    blobs: Mutex<HashMap<OsString, u64>>,
}

/// Why a transaction did not happen.
pub(super) enum Untransacted {
    /// Its closure said no; the database is as good as before.
    Refused(Fault),
    /// The disk did not take it. sled refuses every write from then on, also when there is room again.
    Broken(Fault),
}

impl From<Fault> for Untransacted {
    fn from(fault: Fault) -> Self {
        Untransacted::Refused(fault)
    }
}

impl From<Untransacted> for Fault {
    fn from(e: Untransacted) -> Self {
        match e {
            Untransacted::Refused(fault) | Untransacted::Broken(fault) => fault,
        }
    }
}

/// A full key and its value.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

impl Handle {
    /// Opens or creates the database in `path` and makes what exists there durable.
    pub fn open(path: &Path, setup: &Setup) -> Result<Handle> {
        let at = |e: io::Error| io_fault("open", path, e);
        fs::create_dir_all(path.join("blobs")).map_err(at)?;
        drop_half_snapshots(path).map_err(at)?;
        // Opened before sled writes its first byte: a handle hears only of write errors after its own opening.
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path.join("db")).map_err(at)?;
        let db = open_sled(path, setup)?;
        let handle = Handle { db: Some(db), path: path.to_owned(), setup: setup.clone(), file, blobs: Mutex::default() };
        handle.sync_all_files().map_err(at)?;
        Ok(handle)
    }

    pub fn db(&self) -> Result<&sled::Db> {
        self.db.as_ref().ok_or_else(|| Fault::bug("the database is closed"))
    }

    /// Gives also the newest event that was written, 0 for none, and the tags of the tables that were.
    pub fn transact<T>(&self, f: impl Fn(&mut Tx) -> Result<T>) -> Result<(T, u64, Vec<u8>), Untransacted> {
        let db = self.db()?;
        let _inside = Inside::enter()?;
        let run = |tree: &sled::transaction::TransactionalTree| {
            let mut tx = Tx::new(tree);
            let out = f(&mut tx).map_err(ConflictableTransactionError::Abort)?;
            let (told, tags) = (tx.told, tx.written());
            tx.close().map_err(ConflictableTransactionError::Abort)?;
            Ok((out, told, tags))
        };
        db.transaction(run).map_err(|e| match e {
            TransactionError::Abort(fault) => Untransacted::Refused(fault),
            TransactionError::Storage(e) => Untransacted::Broken(sled_fault("write", &self.path, e)),
        })
    }

    /// The value behind a full key. Outside a transaction a chunked value may change while it is read: the head's
    /// digest tells, and it is read again.
    pub fn read(&self, full: &[u8]) -> Result<Option<Vec<u8>>> {
        let db = self.db()?;
        let get = |k: &[u8]| db.get(k).map_err(|e| sled_fault("read", &self.path, e));
        let mut before = None;
        loop {
            let Some(raw) = get(full)? else { return Ok(None) };
            let Some(head) = Head::decode(&raw) else { return Ok(Some(raw.to_vec())) };
            let mut value = Vec::with_capacity(head.len as usize);
            for n in 0..head.chunks {
                value.extend_from_slice(&get(&layout::chunk_key(full, n))?.unwrap_or_default());
            }
            if head.fits(&value) {
                return Ok(Some(value));
            }
            let tries = match before {
                Some((same, tries)) if same == head => tries + 1,
                _ => 1,
            };
            if tries > 100 {
                return Err(Fault::bug(format!(
                    "{}: a part of a large record is missing or damaged: run `bothy store verify`, and restore an export",
                    self.path.display()
                )));
            }
            before = Some((head, tries));
            thread::yield_now();
        }
    }

    /// Up to `limit` records whose full key starts with `prefix`, in key order, after the full key `after`.
    pub fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>> {
        let from = after.filter(|a| *a >= prefix).map_or(Bound::Included(prefix), Bound::Excluded);
        let end = past(prefix);
        let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut out = Vec::new();
        for pair in self.db()?.range::<&[u8], _>((from, to)) {
            if out.len() >= limit {
                break;
            }
            let (key, raw) = pair.map_err(|e| sled_fault("read", &self.path, e))?;
            if Head::decode(&raw).is_none() {
                out.push((key.to_vec(), raw.to_vec()));
            } else if let Some(value) = self.read(&key)? {
                out.push((key.to_vec(), value));
            }
        }
        Ok(out)
    }

    /// Every key and raw value as sled has them: for verify, copies and exports.
    pub fn for_each_raw(&self, mut each: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        for pair in self.db()?.iter() {
            let (key, value) = pair.map_err(|e| sled_fault("read", &self.path, e))?;
            each(&key, &value)?;
        }
        Ok(())
    }

    /// Writes a key without a transaction: only into a database that nobody else can see yet.
    pub fn fill_raw(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.db()?.insert(key, value).map_err(|e| sled_fault("write", &self.path, e))?;
        Ok(())
    }

    pub fn tally(&self, tag: u8) -> Result<Tally> {
        let raw = self.db()?.get(layout::tally_key(tag)).map_err(|e| sled_fault("read", &self.path, e))?;
        Ok(raw.and_then(|r| Tally::decode(&r)).unwrap_or_default())
    }

    /// Bytes of all live keys and values.
    pub fn live_bytes(&self) -> Result<u64> {
        let mut sum = 0;
        for tag in Table::ALL.iter().map(|t| t.tag()).chain([layout::CHUNK]) {
            sum += self.tally(tag)?.bytes;
        }
        Ok(sum)
    }

    /// Bytes of the `db` file.
    pub fn file_bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |m| m.len())
    }

    /// Everything committed so far is on the disk when this returns: sled's buffers into the file, then new blobs and
    /// their names, then the file itself. sled does only the first.
    pub fn barrier(&self) -> Result<()> {
        self.db()?.flush().map_err(|e| sled_fault("flush", &self.path, e))?;
        self.sync_blobs().map_err(|e| io_fault("sync blobs of", &self.path, e))?;
        self.setup.disk.sync_handle(&self.file, &self.path.join("db")).map_err(|e| io_fault("sync", &self.path.join("db"), e))
    }

    /// Whether sled wrote a blob that no barrier has covered yet. sled's own flusher syncs `db` twice a second, but
    /// never blobs: a file that names a lost blob would lose a whole page.
    pub fn has_new_blobs(&self) -> bool {
        let known = lock(&self.blobs);
        let mut entries = fs::read_dir(self.path.join("blobs")).into_iter().flatten().flatten();
        entries.any(|e| !known.contains_key(&e.file_name()))
    }

    fn sync_blobs(&self) -> io::Result<()> {
        let dir = self.path.join("blobs");
        let mut known = lock(&self.blobs);
        let mut seen = HashMap::new();
        let mut fresh = false;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let Some(len) = gone_is_none(entry.metadata())?.map(|m| m.len()) else { continue };
            let name = entry.file_name();
            if known.get(&name) != Some(&len) {
                // sled deletes a blob as soon as its page is rewritten: one that is gone needs no sync.
                if gone_is_none(self.setup.disk.sync_file(&entry.path()))?.is_none() {
                    continue;
                }
                fresh = true;
            }
            seen.insert(name, len);
        }
        if fresh {
            self.setup.disk.sync_dir(&dir)?;
        }
        *known = seen;
        Ok(())
    }

    /// After sled opened: its configuration, its snapshot and the folders, none of which it syncs by name.
    fn sync_all_files(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_file() && entry.file_name() != "db" {
                gone_is_none(self.setup.disk.sync_file(&entry.path()))?;
            }
        }
        self.sync_blobs()?;
        self.setup.disk.sync_handle(&self.file, &self.path.join("db"))?;
        self.setup.disk.sync_dir(&self.path.join("blobs"))?;
        self.setup.disk.sync_dir(&self.path)?;
        match self.path.parent() {
            Some(parent) => self.setup.disk.sync_dir(parent),
            None => Ok(()),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let db = self.db.take();
        // sled unwraps a failed fsync while it closes; the barrier has reported that disk already.
        if catch_unwind(AssertUnwindSafe(|| drop(db))).is_err() {
            tracing::error!(path = %self.path.display(), "closing the store's database failed");
        }
    }
}

/// The gate in front of a handle: many use it, compaction replaces it.
pub(super) struct Gate(RwLock<Handle>);

impl Gate {
    pub fn new(handle: Handle) -> Gate {
        Gate(RwLock::new(handle))
    }
    pub fn enter(&self) -> Result<RwLockReadGuard<'_, Handle>> {
        Inside::check()?;
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
    /// Whether `enter` would return at once.
    pub fn is_open(&self) -> bool {
        !matches!(self.0.try_read(), Err(TryLockError::WouldBlock))
    }
    pub fn close(&self) -> Result<RwLockWriteGuard<'_, Handle>> {
        Inside::check()?;
        Ok(self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_sled(path: &Path, setup: &Setup) -> Result<sled::Db> {
    let every = (setup.flush_every_ms > 0).then_some(setup.flush_every_ms);
    let config = sled::Config::new().path(path).cache_capacity(setup.cache_bytes).flush_every_ms(every);
    let mut tries = 0;
    loop {
        // Damage shows as an error or as a failed assertion, depending on where sled meets it.
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()))
            .map_err(|_| Fault::bug(format!("{}: the database is damaged (sled gave up while opening it)", path.display())))?;
        match opened {
            Ok(db) => return Ok(db),
            // The folder is ours by the lock file; a sled closed a moment ago by this process may still hold its own.
            Err(sled::Error::Io(e)) if tries < 100 && e.to_string().contains("could not acquire lock") => {
                tries += 1;
                thread::sleep(Duration::from_millis(10));
            }
            Err(e) => return Err(sled_fault("open", path, e)),
        }
    }
}

/// A snapshot is real once it was renamed; sled would take one that was being written for the newest and give up.
fn drop_half_snapshots(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The first key past all that start with `prefix`; `None` if there is none.
fn past(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

fn gone_is_none<T>(r: io::Result<T>) -> io::Result<Option<T>> {
    match r {
        Ok(v) => Ok(Some(v)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

pub(super) fn io_fault(what: &str, path: &Path, e: io::Error) -> Fault {
    Fault::transient(format!("store: cannot {what} {}: {e}", path.display())).with_source(e)
}

/// Damage is `Bug` (and may be mended by `open`), everything else that sled meets is the machine's.
pub(super) fn sled_fault(what: &str, path: &Path, e: sled::Error) -> Fault {
    let kind = match &e {
        sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) | sled::Error::CollectionNotFound(_) => Kind::Bug,
        sled::Error::Unsupported(_) => Kind::Invalid,
        sled::Error::Io(_) => Kind::Transient,
    };
    Fault::new(kind, format!("store: cannot {what} {}: {e}", path.display())).with_source(e)
}
