//! Group commit.

use std::{
    fs::File,
    io,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
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

fn until(what: &str, mut done: impl FnMut() -> bool) {
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
