//! Group commit.

use std::{
    fs::File,
    io,
    sync::{Arc, Barrier, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use super::{shadow::NoSync, *};

/// A disk whose barriers wait while it is held.
#[derive(Default)]
struct Held {
    held: Mutex<bool>,
    changed: Condvar,
}
impl Held {
    fn hold(&self, yes: bool) {
        *lock(&self.held) = yes;
        self.changed.notify_all();
    }
}
impl Disk for Held {
    fn sync_handle(&self, _: &File, _: &Path) -> io::Result<()> {
        let mut held = lock(&self.held);
        while *held {
            held = self.changed.wait(held).expect("not poisoned");
        }
        Ok(())
    }
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        NoSync.sync_file(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        NoSync.sync_dir(path)
    }
}

/// A disk that remembers which threads synced `db`.
#[derive(Default)]
struct Who(Mutex<Vec<Option<String>>>);
impl Disk for Who {
    fn sync_handle(&self, _: &File, _: &Path) -> io::Result<()> {
        lock(&self.0).push(thread::current().name().map(String::from));
        Ok(())
    }
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        NoSync.sync_file(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        NoSync.sync_dir(path)
    }
}

pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..5000 {
        if done() {
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
    panic!("{what}: not within 10 s");
}

#[test]
fn writers_that_wait_share_one_barrier() {
    const WRITERS: u32 = 32;
    let dir = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(Held::default());
    let store = Store::open_on(dir.path(), QUIET, disk.clone(), Limits::STANDARD).expect("opens");
    let live = || store.stats().expect("stats").live;
    disk.hold(true);
    thread::scope(|s| {
        for id in 0..WRITERS {
            let store = &store;
            s.spawn(move || put(store, &note(id, 100)));
        }
        // The first barrier is held with whatever it took along; all the others are committed and wait.
        until("all committed", || live().transactions == u64::from(WRITERS));
        disk.hold(false);
    });
    let stats = live();
    assert_eq!(stats.transactions, u64::from(WRITERS));
    assert!(stats.barriers <= 2, "{} barriers for {WRITERS} writers", stats.barriers);
    assert_eq!(store.count(Table::VnfInstance).expect("counted"), u64::from(WRITERS));
}

#[test]
fn a_barrier_waits_for_a_transaction_that_is_under_way() {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(Held::default());
    let patient = Options { gather_ms: 60_000, ..QUIET };
    let store = Store::open_on(dir.path(), patient, disk.clone(), Limits::STANDARD).expect("opens");
    let live = || store.stats().expect("stats").live;
    let before = live().barriers;
    disk.hold(true);
    thread::scope(|s| {
        let (store, disk) = (&store, &disk);
        // Its barrier is held; the second's transaction comes behind it, and the third's takes its time.
        s.spawn(move || put(store, &note(1, 100)));
        until("the first is committed", || live().transactions == 1);
        s.spawn(move || put(store, &note(2, 100)));
        until("the second is committed", || live().transactions == 2);
        let slowly = move |tx: &mut Tx| {
            disk.hold(false);
            thread::sleep(Duration::from_millis(100));
            tx.put(&note(3, 100))
        };
        s.spawn(move || store.write(Durability::Barrier, slowly).expect("written"));
    });
    assert_eq!((live().transactions, live().barriers - before), (3, 2));
}

#[test]
fn a_barrier_waits_for_who_is_known_to_come_until_he_has_or_leaves() {
    for (writes, both) in [(true, 2), (false, 1)] {
        let dir = tempfile::tempdir().expect("a folder");
        let patient = Options { gather_ms: 60_000, ..QUIET };
        let store = Store::open_on(dir.path(), patient, Arc::new(Held::default()), Limits::STANDARD).expect("opens");
        let live = || store.stats().expect("stats").live;
        let before = live().barriers;
        let coming = Barrier::new(2);
        thread::scope(|s| {
            let (store, coming) = (&store, &coming);
            let come = move || {
                coming.wait();
                until("the other is committed", || live().transactions == 1);
                thread::sleep(Duration::from_millis(50));
                assert_eq!(live().barriers, before);
                if writes {
                    put(store, &note(1, 100));
                }
            };
            s.spawn(move || store.while_coming(come));
            coming.wait();
            put(store, &note(2, 100));
        });
        assert_eq!((live().transactions, live().barriers - before), (both, 1), "writes: {writes}");
    }
}

#[test]
fn who_is_known_to_come_may_write_to_another_store_meanwhile() {
    let dir = tempfile::tempdir().expect("a folder");
    let patient = Options { gather_ms: 60_000, ..QUIET };
    let store = Store::open_on(&dir.path().join("one"), patient, Arc::new(Held::default()), Limits::STANDARD).expect("opens");
    let copy = open(&dir.path().join("copy"));
    let begun = Instant::now();
    store.while_coming(|| put(&copy, &note(1, 100)));
    put(&copy, &note(2, 100));
    put(&store, &note(1, 100));
    assert!(begun.elapsed() < Duration::from_secs(50), "nobody is waited for who has left");
    assert_eq!(copy.count(Table::VnfInstance).expect("counted"), 2);
}

#[test]
fn a_lone_writer_runs_its_barrier_itself_and_the_committer_those_nobody_waits_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(Who::default());
    let store = Store::open_on(dir.path(), QUIET, disk.clone(), Limits::STANDARD).expect("opens");
    let synced = || std::mem::take(&mut *lock(&disk.0));
    synced();
    let writer = || (0..5).for_each(|id| put(&store, &note(id, 100)));
    thread::scope(|s| thread::Builder::new().name("writer".into()).spawn_scoped(s, writer).map(|_| ())).expect("a thread");
    assert_eq!(synced(), vec![Some("writer".to_string()); 5]);
    store.write(Durability::Soon, |tx| tx.put(&note(9, 100))).expect("written");
    until("a barrier nobody waits for", || store.stats().expect("stats").live.barriers == 6);
    assert_eq!(synced(), vec![Some("commit-live".to_string())]);
}

#[test]
fn readers_are_told_when_they_would_have_to_wait() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    assert!(store.reads_at_once());
    for db in [&store.0.live, &store.0.history] {
        let closed = db.gate.close().expect("closed");
        assert!(!store.reads_at_once());
        drop(closed);
        assert!(store.reads_at_once());
    }
}

#[test]
fn soon_asks_for_a_barrier_and_lazy_does_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    let barriers = || store.stats().expect("stats").live.barriers;
    for id in 0..10 {
        store.write(Durability::Lazy, |tx| tx.put(&note(id, 100))).expect("written");
    }
    assert_eq!(barriers(), 0);
    store.settle().expect("settled");
    assert_eq!(barriers(), 1);
    store.settle().expect("nothing to settle");
    assert_eq!(barriers(), 1);
    store.write(Durability::Soon, |tx| tx.put(&note(1, 200))).expect("written");
    until("a barrier nobody waits for", || barriers() == 2);
}

#[test]
fn a_lazy_write_that_makes_a_blob_asks_for_a_barrier() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    store
        .write(Durability::Lazy, |tx| {
            tx.without_chunks();
            tx.put(&note(1, 300 * 1024))
        })
        .expect("written");
    until("a barrier nobody asked for", || store.stats().expect("stats").live.barriers == 1);
}

#[test]
fn settling_covers_what_is_being_committed_and_costs_nothing_otherwise() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open_on(dir.path(), QUIET, Arc::new(Who::default()), Limits::STANDARD).expect("opens");
    put(&store, &note(1, 100));
    let stats = || store.stats().expect("stats").live;
    let before = stats();
    store.settle().expect("settled");
    assert_eq!(stats(), before, "all is durable");
    // Others see a transaction before its writer has counted it.
    let covered = store.write(Durability::Lazy, |_| Ok(store.0.live.seen())).expect("written");
    assert_eq!(covered, before.transactions + 1, "what was open may be seen already");
    store.settle().expect("settled");
    assert_eq!(stats().barriers, before.barriers + 1);
}
