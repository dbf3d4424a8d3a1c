//! Group commit: one barrier for all that waits.
//!
//! Owns: which commits are durable, who waits for which, and the end of all writing after a failed write or sync. Never: what
//! a barrier is (that is `database`).
//!
//!     committed --> barrier --> durable
//!                      \--> failed: the kernel dropped pages it could not write, so nothing that follows
//!                           can be trusted; reads go on, writes are refused until a restart
//!
//! A writer that has to wait runs the barrier itself, unless one is under way: then it follows, and of those that this
//! one does not cover the first to wake leads the next, for all of them. A lone writer wakes no other thread. Who leads
//! while others are in the middle of a transaction, or are known to come (`Coming`), waits for them, a moment at most:
//! each would need a barrier of its own. The committer thread leads where nobody waits (`Soon`, a close), and compacts.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    compact,
    database::{Gate, Handle, Untransacted, lock},
    manifest::{Failed, ManifestFile, Which},
    tx::Tx,
};
use crate::model::error::{Fault, Result};

/// How long a write takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Returns when the transaction is on the disk; shares its barrier with others that wait.
    Barrier,
    /// Asks for a barrier and returns: for transactions that carry an event, which is sent only once durable.
    Soon,
    /// On the disk with the next barrier, or within a second or so; a crash may take it.
    Lazy,
}

/// A database with its committer.
pub(super) struct Database {
    pub which: Which,
    pub gate: Gate,
    pub manifest: Arc<ManifestFile>,
    progress: Mutex<Progress>,
    /// Signalled when a barrier ended: for those that wait for one.
    led: Condvar,
    /// Signalled when there is something for the committer.
    work: Condvar,
    /// Signalled when nobody is under way any more, where a barrier waits for that.
    quiet: Condvar,
    /// How long a barrier waits for those under way.
    gather: Duration,
    limits: compact::Limits,
    /// Hears of each transaction that wrote an event.
    pub listener: OnceLock<super::Listener>,
    /// How many transactions have written to each table, by its tag.
    pub writes: Box<[AtomicU64; 256]>,
}

#[derive(Default)]
struct Progress {
    /// Transactions that are being committed: others may see one of them that is not counted yet.
    open: u32,
    /// Calls that may write and have not come to a barrier yet.
    coming: u32,
    committed: u64,
    /// What the committer shall see to.
    wanted: u64,
    durable: u64,
    /// A barrier is under way.
    leading: bool,
    /// It waits for who is under way.
    gathering: bool,
    /// How many wait for its end.
    following: u32,
    /// The file has grown so much that the committer shall look at it.
    look: bool,
    barriers: u64,
    compactions: u64,
    /// No compaction while the file is smaller, in bytes: one that failed (a full disk, say) or brought nothing is not
    /// tried again at every barrier.
    compact_from: u64,
    failed: Option<String>,
    stop: bool,
}

/// What a database has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DbStats {
    /// Bytes of all keys and values.
    pub live_bytes: u64,
    /// Bytes of the `db` file.
    pub file_bytes: u64,
    pub transactions: u64,
    pub barriers: u64,
    pub compactions: u64,
}

/// Lazy writes alone also have their file looked at, every so many.
const LOOK_EVERY: u64 = 1024;

impl Database {
    pub fn start(
        which: Which,
        handle: Handle,
        manifest: Arc<ManifestFile>,
        gather: Duration,
        limits: compact::Limits,
    ) -> Result<(Arc<Database>, JoinHandle<()>)> {
        let db = Arc::new(Database {
            which,
            gate: Gate::new(handle),
            manifest,
            progress: Mutex::default(),
            led: Condvar::new(),
            work: Condvar::new(),
            quiet: Condvar::new(),
            gather,
            limits,
            listener: OnceLock::new(),
            writes: Box::new([const { AtomicU64::new(0) }; 256]),
        });
        let committer = db.clone();
        let thread = thread::Builder::new()
            .name(format!("commit-{}", which.name()))
            .spawn(move || committer.run())
            .map_err(|e| Fault::transient("store: cannot start the committer thread").with_source(e))?;
        Ok((db, thread))
    }

    pub fn write<T>(&self, durability: Durability, f: impl Fn(&mut Tx) -> Result<T>) -> Result<T> {
        self.check()?;
        let (out, told, ticket, blobs) = {
            let handle = self.gate.enter()?;
            let open = Open::begin(self);
            let done = handle.transact(f).map_err(|e| self.untransacted(e));
            let mut p = open.end();
            p.committed += u64::from(done.is_ok());
            self.gathered(&p);
            let (out, told, tags) = done?;
            // Before the writer is answered: what was read from here on is not older.
            tags.iter().for_each(|t| _ = self.writes[usize::from(*t)].fetch_add(1, Ordering::AcqRel));
            (out, told, p.committed, durability == Durability::Lazy && handle.has_new_blobs())
        };
        match durability {
            Durability::Barrier => self.wait(ticket)?,
            Durability::Soon => self.ask(ticket),
            // An event is sent only once it is durable, and nobody else may ask for that soon.
            Durability::Lazy if told > 0 => self.ask(ticket),
            Durability::Lazy if blobs || ticket.is_multiple_of(LOOK_EVERY) => self.ask(ticket),
            Durability::Lazy => (),
        }
        if told > 0
            && let Some(listener) = self.listener.get()
        {
            listener(told);
        }
        Ok(out)
    }

    /// Waits until everything committed before this call is durable; a fault if the database has failed by then.
    pub fn settle(&self) -> Result<()> {
        self.wait(self.seen())?;
        self.check()
    }

    /// The ticket of all that anybody may have seen by now.
    pub(super) fn seen(&self) -> u64 {
        let mut p = lock(&self.progress);
        // What is not counted yet has to be covered as well: by a barrier that begins now.
        p.committed += u64::from(p.open > 0);
        p.committed
    }

    pub fn stats(&self) -> Result<DbStats> {
        let handle = self.gate.enter()?;
        let p = lock(&self.progress);
        Ok(DbStats {
            live_bytes: handle.live_bytes()?,
            file_bytes: handle.file_bytes(),
            transactions: p.committed,
            barriers: p.barriers,
            compactions: p.compactions,
        })
    }

    /// Compacts if the file outgrew what is alive in it. Says whether it did.
    pub fn compact_if_needed(&self) -> Result<bool> {
        self.check()?;
        let from = lock(&self.progress).compact_from;
        {
            let handle = self.gate.enter()?;
            if handle.file_bytes() < from || !compact::is_due(&handle, self.limits)? {
                return Ok(false);
            }
        }
        let done = self.compact();
        let handle = self.gate.enter()?;
        if done.is_err() || compact::is_due(&handle, self.limits)? {
            lock(&self.progress).compact_from = handle.file_bytes() + self.limits.floor_bytes / 2;
        }
        done.map(|()| true)
    }

    /// Closes the gate, rewrites the database and swaps it in. All that was committed is durable afterwards.
    pub fn compact(&self) -> Result<()> {
        self.check()?;
        let mut handle = self.gate.close()?;
        let done = compact::run(&mut handle, self.which, &self.manifest);
        let mut p = lock(&self.progress);
        let old = match done {
            Ok(old) => {
                p.durable = p.committed;
                p.compactions += 1;
                Some(old)
            }
            Err(Failed::Before(fault)) => return Err(fault),
            Err(Failed::After(fault)) => {
                p.failed = Some(fault.detail());
                None
            }
        };
        drop(p);
        drop(handle);
        self.led.notify_all();
        if let Some(old) = old {
            old.remove();
        }
        self.check()
    }

    /// Ends the committer after a last barrier.
    pub fn stop(&self) {
        lock(&self.progress).stop = true;
        self.work.notify_all();
    }

    pub fn check(&self) -> Result<()> {
        lock(&self.progress).refuse_if_failed()
    }

    /// What the caller is told; a broken database is broken for all.
    fn untransacted(&self, e: Untransacted) -> Fault {
        match e {
            Untransacted::Refused(fault) => fault,
            Untransacted::Broken(fault) => {
                tracing::error!(database = self.which.name(), error = ?fault, "a write failed: the store takes no more until bothy is started again");
                lock(&self.progress).failed.get_or_insert_with(|| fault.detail());
                self.led.notify_all();
                self.work.notify_all();
                fault
            }
        }
    }

    fn ask(&self, ticket: u64) {
        let mut p = lock(&self.progress);
        p.wanted = p.wanted.max(ticket);
        drop(p);
        self.work.notify_one();
    }

    /// Runs what may write here: a barrier that begins meanwhile is shared with it, unless it takes its time.
    pub fn while_coming<T>(&self, f: impl FnOnce() -> T) -> T {
        let _coming = Coming::begin(self);
        f()
    }

    fn gathered(&self, p: &Progress) {
        if p.gathering && !p.under_way() {
            self.quiet.notify_one();
        }
    }

    fn wait(&self, ticket: u64) -> Result<()> {
        let mut p = lock(&self.progress);
        self.has_come(&mut p);
        while p.durable < ticket {
            p.refuse_if_failed()?;
            p = if p.leading { self.follow(p) } else { self.lead(p) };
        }
        Ok(())
    }

    fn me(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn has_come(&self, p: &mut Progress) {
        if COMING.get() == self.me() {
            COMING.set(0);
            p.coming -= 1;
            self.gathered(p);
        }
    }

    fn follow<'p>(&self, mut p: MutexGuard<'p, Progress>) -> MutexGuard<'p, Progress> {
        p.following += 1;
        let mut p = self.led.wait(p).unwrap_or_else(PoisonError::into_inner);
        p.following -= 1;
        p
    }

    /// Runs the barrier for all that is committed before it starts.
    fn lead<'p>(&'p self, mut p: MutexGuard<'p, Progress>) -> MutexGuard<'p, Progress> {
        p.leading = true;
        if p.under_way() {
            p.gathering = true;
            let waited = self.quiet.wait_timeout_while(p, self.gather, |p| p.under_way());
            p = waited.unwrap_or_else(PoisonError::into_inner).0;
            p.gathering = false;
        }
        let target = p.committed;
        drop(p);
        let barrier = || {
            let handle = self.gate.enter()?;
            handle.barrier()?;
            Ok(handle.file_bytes())
        };
        // Whoever leads must end the lead: the others would wait for ever.
        let done = catch_unwind(AssertUnwindSafe(barrier)).unwrap_or_else(|_| Err(Fault::bug("the barrier panicked; the log has where")));
        let mut p = lock(&self.progress);
        p.leading = false;
        p.barriers += 1;
        match done {
            Ok(file_bytes) => {
                p.durable = p.durable.max(target);
                if file_bytes > self.limits.floor_bytes && file_bytes >= p.compact_from && !p.look {
                    p.look = true;
                    self.work.notify_one();
                }
            }
            Err(fault) => {
                tracing::error!(database = self.which.name(), error = ?fault, "a barrier failed: the store takes no more writes until bothy is started again");
                p.failed = Some(fault.detail());
                self.work.notify_one();
            }
        }
        if p.following > 0 {
            self.led.notify_all();
        }
        p
    }

    /// The committer's work.
    fn run(&self) {
        loop {
            let (ticket, look) = {
                let mut p = lock(&self.progress);
                while p.wanted <= p.durable && !p.look && !p.stop && p.failed.is_none() {
                    p = self.work.wait(p).unwrap_or_else(PoisonError::into_inner);
                }
                if p.failed.is_some() || (p.stop && p.committed <= p.durable) {
                    return;
                }
                (if p.stop { p.committed } else { p.wanted }, std::mem::take(&mut p.look))
            };
            // What failed was logged where it did.
            if self.wait(ticket).is_err() {
                return;
            }
            if look && let Err(fault) = self.compact_if_needed() {
                tracing::warn!(database = self.which.name(), error = ?fault, "the store could not be compacted; it goes on as it is");
            }
        }
    }
}

thread_local! {
    /// Where this thread is counted among those that come to a barrier, by the database's address; 0: nowhere. A call may write
    /// to another store as well (a backup's copy).
    static COMING: Cell<usize> = const { Cell::new(0) };
}

/// A transaction under way; also one whose closure panics is over then.
struct Open<'d> {
    db: &'d Database,
    ended: bool,
}

impl<'d> Open<'d> {
    fn begin(db: &'d Database) -> Self {
        lock(&db.progress).open += 1;
        Open { db, ended: false }
    }
    fn end(mut self) -> MutexGuard<'d, Progress> {
        let mut p = lock(&self.db.progress);
        p.open -= 1;
        self.ended = true;
        p
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let mut p = lock(&self.db.progress);
            p.open -= 1;
            self.db.gathered(&p);
        }
    }
}

/// A thread that is counted, until it has come to a barrier or ends what it does.
struct Coming<'d>(&'d Database);

impl<'d> Coming<'d> {
    fn begin(db: &'d Database) -> Self {
        if COMING.get() == 0 {
            COMING.set(db.me());
            lock(&db.progress).coming += 1;
        }
        Coming(db)
    }
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.0.has_come(&mut lock(&self.0.progress));
    }
}

impl Progress {
    fn under_way(&self) -> bool {
        self.open > 0 || self.coming > 0
    }

    fn refuse_if_failed(&self) -> Result<()> {
        match &self.failed {
            None => Ok(()),
            Some(why) => Err(Fault::transient(format!(
                "the store takes no more writes because the disk did not keep the last ones ({why}): check the disk and its cables, then start bothy again"
            ))),
        }
    }
}
