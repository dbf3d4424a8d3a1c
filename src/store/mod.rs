//! The store: typed records on disk, transactions, durability, backup.
//!
//! The only place that names sled and postcard. Owns the data folder's databases, their locks and their syncs. Never:
//! decides what a record means, or lets a sled type out.
//!
//!     dir/lock            one bothy at a time
//!     dir/manifest        generation and the numbers of the current databases
//!     dir/manifest.trial  the same of a boot on trial: copies, until it is kept
//!     dir/live-N          state, plans, journal, outbox
//!     dir/history-N       finished operations, audit, metrics
//!     dir/seal.key        the key of sealed secrets, 0600
//!     dir/exports/*.bothy exports; the newest takes the place of a live database beyond mending
//!     dir/aside           damaged databases as they were found
//!
//! Three rules for callers. `write` is the only way to write; its closure may run more than once and uses nothing of
//! the store but `tx`, does no I/O, plans nothing and logs nothing. What a transaction decides on that it did not read
//! itself is re-checked inside (`expect_unchanged`, a revision), with a retry outside. Lists are not snapshots: page
//! by key.

mod backup;
mod commit;
mod compact;
mod database;
mod disk;
mod layout;
mod manifest;
mod news;
mod old;
mod open;
mod purge;
mod record;
mod schema;
mod seal;
mod tables;
#[cfg(test)]
mod tests;
mod trial;
mod tx;
mod verify;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use self::news::Told;
#[cfg(test)]
pub use self::record::{assert_golden, assert_reads};
#[cfg(test)]
pub use self::tests::older::rewrite as rewrite_as_older;
use self::{
    commit::Database,
    compact::Limits,
    database::{Setup, lock},
    disk::{Disk, RealDisk},
    manifest::{Failed, Which},
};
pub use self::{
    commit::{DbStats, Durability},
    layout::MAX_RECORD,
    purge::Part,
    record::{FixedKey, KeyBytes, Record, decode_body},
    schema::formats,
    seal::Sealer,
    tables::Table,
    tx::Tx,
    verify::{TableReport, VerifyReport},
};
use crate::model::{
    error::{Fault, Result},
    subscription::EventCount,
};

/// How the store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// sled's page cache for the live database, in bytes; the history has an eighth.
    pub cache_bytes: u64,
    /// Period of sled's flusher, in milliseconds; its garbage collection runs only there. 0 turns it off (tests).
    pub flush_every_ms: u64,
    /// How long a barrier waits for transactions and calls that are under way, so that they share it, in milliseconds. A writer
    /// that is alone never waits.
    pub gather_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { cache_bytes: 8 * 1024 * 1024, flush_every_ms: 500, gather_ms: 5 }
    }
}

/// What the store has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    pub live: DbStats,
    pub history: DbStats,
}

/// Records that move to the history in one transaction.
const PIECE: usize = if cfg!(test) { 2 } else { 32 };

/// Told the number of the newest event; returns at once.
type Listener = Box<dyn Fn(u64) + Send + Sync>;

/// The store, open. Clones share it; the last one closes it after a last barrier.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

// Fields drop in order: databases before the lock.
struct Inner {
    live: Arc<Database>,
    history: Arc<Database>,
    committers: Mutex<Vec<JoinHandle<()>>>,
    sealer: Sealer,
    notes: Vec<String>,
    setup: Setup,
    dir: PathBuf,
    _lock: File,
}

/// The store's own record: the generation its live database belongs to.
#[derive(Serialize, Deserialize)]
struct Mark {
    generation: u64,
}
impl Mark {
    const KEY: &'static str = "store.generation";
}
impl Record for Mark {
    type Key = &'static str;
    const TABLE: Table = Table::Meta;
    const VERSION: u8 = 1;
    fn key(&self) -> &'static str {
        Mark::KEY
    }
}

impl Store {
    /// Opens the store in `dir`, creating it if there is none. Conflict if another process has it open.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Store> {
        Store::open_on(dir.as_ref(), options, Arc::new(RealDisk), Limits::STANDARD)
    }

    /// Conflict if another process has the store in `dir` open: for what is to be done before it is opened here.
    pub fn free(dir: impl AsRef<Path>) -> Result<()> {
        open::lock_dir(dir.as_ref()).map(drop)
    }

    fn open_on(dir: &Path, options: Options, disk: Arc<dyn Disk>, limits: Limits) -> Result<Store> {
        Store::open_by(dir, options, disk, limits, open::open)
    }

    fn open_by(
        dir: &Path,
        options: Options,
        disk: Arc<dyn Disk>,
        limits: Limits,
        open: impl FnOnce(&Path, &Setup) -> Result<open::Opened>,
    ) -> Result<Store> {
        let lock = open::lock_dir(dir)?;
        let setup = Setup { cache_bytes: options.cache_bytes, flush_every_ms: options.flush_every_ms, disk };
        let open::Opened { live, history, manifest, mut notes, fresh } = open(dir, &setup)?;
        let (sealer, made) = Sealer::open(&dir.join("seal.key"), &*setup.disk)?;
        if made && !fresh {
            notes.push(
                "seal.key was missing and was made anew: secrets sealed before cannot be opened, put the old file back or set them again"
                    .into(),
            );
        }
        let manifest = Arc::new(manifest);
        let gather = Duration::from_millis(options.gather_ms);
        let (live, live_thread) = Database::start(Which::Live, live, manifest.clone(), gather, limits)?;
        let (history, history_thread) = Database::start(Which::History, history, manifest, gather, limits)?;
        let committers = Mutex::new(vec![live_thread, history_thread]);
        Ok(Store(Arc::new(Inner { live, history, committers, sealer, notes, setup, dir: dir.to_owned(), _lock: lock })))
    }

    /// Grows with each restore. Goes into the metadata of all that is made on the host.
    pub fn generation(&self) -> u64 {
        self.0.live.manifest.get().generation
    }

    /// Whether this store was restored and nobody has looked at unknown objects since: they are quarantined, never
    /// removed.
    pub fn is_restored(&self) -> bool {
        self.0.live.manifest.get().restored
    }

    /// An operator has looked at the unknown objects.
    pub fn acknowledge_restore(&self) -> Result<()> {
        self.0.live.manifest.replace(|m| m.restored = false).map_err(Failed::fault)
    }

    /// What opening found wrong and what it did about it, for the health page. Empty as a rule.
    pub fn notes(&self) -> &[String] {
        &self.0.notes
    }

    /// Seals and opens secrets with this box's key.
    pub fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    /// Runs a transaction on `live`. An error from `f` aborts it and comes back as it is.
    pub fn write<T>(&self, durability: Durability, f: impl Fn(&mut Tx) -> Result<T>) -> Result<T> {
        self.0.live.write(durability, f)
    }

    /// Runs a transaction on `history`: audit, metrics, retention.
    pub fn write_history<T>(&self, durability: Durability, f: impl Fn(&mut Tx) -> Result<T>) -> Result<T> {
        self.0.history.write(durability, f)
    }

    /// Runs a call that may write: who waits for the disk meanwhile waits a moment for it, and shares its barrier with it.
    pub fn while_coming<T>(&self, f: impl FnOnce() -> T) -> T {
        self.0.live.while_coming(f)
    }

    /// Returns when all that was committed to `live` before the call is on the disk. Costs nothing if it is already.
    /// Whoever acts on what another wrote (notify sends an event) calls this first.
    pub fn settle(&self) -> Result<()> {
        self.0.live.settle()?;
        self.check()
    }

    /// A fault if a database has failed to write: from then on it takes nothing, until it is opened anew.
    pub fn check(&self) -> Result<()> {
        self.0.live.check()?;
        self.0.history.check()
    }

    /// Has `f` told of each new event, once it is committed; before acting on it, `settle`. The first caller stays.
    pub fn on_events(&self, f: impl Fn(u64) + Send + Sync + 'static) {
        let _ = self.0.live.listener.set(Box::new(f));
    }

    /// The number of the newest event.
    pub fn last_event(&self) -> Result<u64> {
        Ok(self.get::<EventCount>(&EventCount::KEY)?.unwrap_or_default().last)
    }

    pub fn get<R: Record>(&self, key: &R::Key) -> Result<Option<R>> {
        self.read_one(Which::Live, key)
    }

    /// Like `get`, with NotFound where there is none.
    pub fn require<R: Record>(&self, key: &R::Key) -> Result<R> {
        self.get(key)?.ok_or_else(|| Fault::not_found(format!("no such {}", R::TABLE.name())))
    }

    /// All records of a table, in key order.
    pub fn list<R: Record>(&self) -> Result<Vec<R>> {
        self.read_many(Which::Live, &[], None, usize::MAX)
    }

    /// All records whose key starts with `prefix`, in key order.
    pub fn list_under<R: Record>(&self, prefix: &impl KeyBytes) -> Result<Vec<R>> {
        self.read_many(Which::Live, &prefix.bytes(), None, usize::MAX)
    }

    /// Up to `limit` records after the key `after`, in key order.
    pub fn page<R: Record>(&self, after: Option<&R::Key>, limit: usize) -> Result<Vec<R>> {
        self.read_many(Which::Live, &[], after.map(|k| k.bytes()), limit)
    }

    /// Up to `limit` records whose key starts with `prefix`, after the key `after`.
    pub fn page_under<R: Record>(&self, prefix: &impl KeyBytes, after: Option<&R::Key>, limit: usize) -> Result<Vec<R>> {
        self.read_many(Which::Live, &prefix.bytes(), after.map(|k| k.bytes()), limit)
    }

    /// How many records a table has, without reading them.
    pub fn count(&self, table: Table) -> Result<u64> {
        Ok(self.0.live.gate.enter()?.tally(table.tag())?.count)
    }

    pub fn get_history<R: Record>(&self, key: &R::Key) -> Result<Option<R>> {
        self.read_one(Which::History, key)
    }

    pub fn list_history<R: Record>(&self) -> Result<Vec<R>> {
        self.read_many(Which::History, &[], None, usize::MAX)
    }

    pub fn list_history_under<R: Record>(&self, prefix: &impl KeyBytes) -> Result<Vec<R>> {
        self.read_many(Which::History, &prefix.bytes(), None, usize::MAX)
    }

    pub fn page_history<R: Record>(&self, after: Option<&R::Key>, limit: usize) -> Result<Vec<R>> {
        self.read_many(Which::History, &[], after.map(|k| k.bytes()), limit)
    }

    /// Moves records of one table from `live` to `history`, after the barrier that finished them; those that are not
    /// in `live` are passed over. A crash in between leaves a record in both: `live` is right, and moving it again ends it.
    /// Conflict if one was changed meanwhile.
    pub fn move_to_history<R: Record>(&self, keys: &[R::Key]) -> Result<usize> {
        let mut moved = Vec::new();
        {
            let live = self.0.live.gate.enter()?;
            for key in keys {
                let full = layout::record_key(R::TABLE, &key.bytes());
                if let Some(value) = live.read(&full)? {
                    moved.push((full, value));
                }
            }
        }
        if moved.is_empty() {
            return Ok(0);
        }
        // In pieces: while sled has a transaction nobody else reads. What was moved twice is the same.
        for some in moved.chunks(PIECE) {
            self.write_history(Durability::Lazy, |tx| some.iter().try_for_each(|(full, value)| tx.write(full, value)))?;
        }
        self.0.history.settle()?;
        for some in moved.chunks(PIECE) {
            self.write(Durability::Lazy, |tx| {
                for (full, value) in some {
                    match tx.read(full)? {
                        Some(now) if now == *value => tx.remove(full)?,
                        Some(_) => return Err(Fault::conflict(format!("a {} was changed while it moved to the history", R::TABLE.name()))),
                        None => false,
                    };
                }
                Ok(())
            })?;
        }
        Ok(moved.len())
    }

    /// Counts every table of both databases against its tally and reads every large value. Writers wait meanwhile.
    pub fn verify(&self) -> Result<VerifyReport> {
        let live = self.0.live.gate.close()?;
        let history = self.0.history.gate.close()?;
        verify::full([(Which::Live, &live), (Which::History, &history)])
    }

    /// Writes the whole store to one file, as of one moment; writers wait meanwhile. Exports put into `exports/` of
    /// the store's folder under a name that ends in `.bothy` are found again by `open`. The key of sealed secrets is
    /// not in it.
    pub fn export(&self, path: impl AsRef<Path>) -> Result<()> {
        let live = self.0.live.gate.close()?;
        let history = self.0.history.gate.close()?;
        backup::write(path.as_ref(), self.generation(), [(Which::Live, &live), (Which::History, &history)], &*self.0.setup.disk)
    }

    /// Makes the export at `path` the store in `dir` (whole or not at all), as a new generation, which it returns. No
    /// bothy may have that store open. The databases that were there are set aside.
    pub fn import(path: impl AsRef<Path>, dir: impl AsRef<Path>) -> Result<u64> {
        Store::import_on(path.as_ref(), dir.as_ref(), Arc::new(RealDisk))
    }

    fn import_on(path: &Path, dir: &Path, disk: Arc<dyn Disk>) -> Result<u64> {
        let _lock = open::lock_dir(dir)?;
        let defaults = Options::default();
        let setup = Setup { cache_bytes: defaults.cache_bytes, flush_every_ms: defaults.flush_every_ms, disk };
        open::import(path, dir, &setup)
    }

    /// Rewrites a database whose file outgrew its content (past 32 MiB and 4 times its live bytes). The store does
    /// this by itself after a barrier; says whether there was a need.
    pub fn compact_if_needed(&self) -> Result<bool> {
        Ok(self.0.live.compact_if_needed()? | self.0.history.compact_if_needed()?)
    }

    /// How many transactions of this process have written to a table: what was read of it before, and kept, holds while this stays
    /// the same. To be asked before the reading.
    pub fn writes_to(&self, table: Table) -> u64 {
        self.0.live.writes[usize::from(table.tag())].load(std::sync::atomic::Ordering::Acquire)
    }

    /// False while something long keeps readers out: a compaction, a verification, an export.
    pub fn reads_at_once(&self) -> bool {
        self.0.live.gate.is_open() && self.0.history.gate.is_open()
    }

    pub fn stats(&self) -> Result<Stats> {
        Ok(Stats { live: self.0.live.stats()?, history: self.0.history.stats()? })
    }

    /// Bytes that are free where the store lies.
    pub fn room(&self) -> Result<u64> {
        let stat = nix::sys::statvfs::statvfs(&self.0.dir).map_err(|e| database::io_fault("look at", &self.0.dir, e.into()))?;
        Ok(stat.blocks_available() * stat.fragment_size())
    }

    /// The store's folder; content-addressed files live beside it.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    fn database(&self, which: Which) -> &Database {
        match which {
            Which::Live => &self.0.live,
            Which::History => &self.0.history,
        }
    }

    fn read_one<R: Record>(&self, which: Which, key: &R::Key) -> Result<Option<R>> {
        let full = layout::record_key(R::TABLE, &key.bytes());
        let value = self.database(which).gate.enter()?.read(&full)?;
        value.map(|v| R::decode(&v)).transpose()
    }

    fn read_many<R: Record>(&self, which: Which, prefix: &[u8], after: Option<Vec<u8>>, limit: usize) -> Result<Vec<R>> {
        let prefix = layout::record_key(R::TABLE, prefix);
        let after = after.map(|k| layout::record_key(R::TABLE, &k));
        let found = self.database(which).gate.enter()?.scan(&prefix, after.as_deref(), limit)?;
        found.iter().map(|(_, v)| R::decode(v)).collect()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.live.stop();
        self.history.stop();
        for thread in lock(&self.committers).drain(..) {
            if thread.join().is_err() {
                tracing::error!("a committer thread of the store ended badly");
            }
        }
    }
}
