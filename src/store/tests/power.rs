//! Power cuts and kills: what was acknowledged is there afterwards.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    group::until,
    shadow::{LeaveOut, NoSync, Shadow},
    *,
};
use crate::model::error::Kind;

/// How the large value of a cut is stored.
#[derive(Debug, Clone, Copy)]
enum How {
    /// As the store does it.
    InParts,
    /// Whole, so that sled puts it into `blobs/`, as it may do with a leaf page.
    Whole,
}

/// Writes a value, acknowledges it, cuts the power, and tells whether the value came back.
fn survives(leave_out: LeaveOut, len: usize, how: How) -> bool {
    let dir = tempfile::tempdir().expect("a folder");
    let (real, after) = (dir.path().join("real"), dir.path().join("after"));
    let disk = Arc::new(Shadow::new(&real, leave_out));
    let store = Store::open_on(&real, QUIET, disk.clone(), Limits::STANDARD).expect("the store opens");
    put(&store, &note(1, 100));
    let large = note(2, len);
    store
        .write(Durability::Barrier, |tx| {
            if matches!(how, How::Whole) {
                tx.without_chunks();
            }
            tx.put(&large)
        })
        .expect("acknowledged");
    let blobs = std::fs::read_dir(real.join("live-1/blobs")).expect("a folder").count();
    assert_eq!(blobs > 0, matches!(how, How::Whole), "the value is stored as this test means it");
    disk.cut(&after);
    let Ok(store) = Store::open_on(&after, QUIET, Arc::new(NoSync), Limits::STANDARD) else { return false };
    let back =
        store.get::<Note>(&1).is_ok_and(|n| n == Some(note(1, 100))) && store.get::<Note>(&2).is_ok_and(|n| n.as_ref() == Some(&large));
    back && store.notes().is_empty() && store.verify().expect("verified").is_sound()
}

#[test]
fn both_syncs_are_needed_and_enough() {
    use How::*;
    use LeaveOut::*;
    let table = [
        (Nothing, 20 * 1024, InParts, true),
        (Nothing, 300 * 1024, InParts, true),
        (Nothing, 300 * 1024, Whole, true),
        (Db, 20 * 1024, InParts, false),
        (Db, 300 * 1024, InParts, false),
        (Db, 300 * 1024, Whole, false),
        (BlobFiles, 300 * 1024, Whole, false),
        (BlobNames, 300 * 1024, Whole, false),
        (BlobFiles, 300 * 1024, InParts, true),
    ];
    for (leave_out, len, how, want) in table {
        assert_eq!(survives(leave_out, len, how), want, "{leave_out:?} left out, {len} bytes {how:?}");
    }
}

/// What the test was told is durable, and what it last asked for.
#[derive(Default)]
struct Told {
    sure: BTreeMap<u32, Option<Note>>,
    asked: BTreeMap<u32, Option<Note>>,
}

impl Told {
    /// Asks the store to put (or to delete) under `id`; true if it said it is durable.
    fn ask(&mut self, store: &Store, id: u32, value: Option<Note>) -> bool {
        self.asked.insert(id, value.clone());
        let done = store.write(Durability::Barrier, |tx| match &value {
            Some(n) => tx.put(n),
            None => tx.delete::<Note>(&id).map(|_| ()),
        });
        if done.is_ok() {
            self.sure.insert(id, value);
        }
        done.is_ok()
    }

    fn check(&self, dir: &Path, when: &str) {
        let store = Store::open_on(dir, QUIET, Arc::new(NoSync), Limits::STANDARD).unwrap_or_else(|e| panic!("{when}: {e:?}"));
        assert!(store.notes().iter().all(|n| !n.contains("damaged") && !n.contains("add up")), "{when}: {:?}", store.notes());
        for (id, asked) in &self.asked {
            let found = match store.get::<Note>(id).expect("readable") {
                Some(n) => Some(n),
                None => store.get_history::<Note>(id).expect("readable"),
            };
            let allowed = found == *asked || found == self.sure.get(id).cloned().flatten();
            assert!(allowed, "{when}: record {id} came back with {:?} bytes", found.map(|n| n.body.len()));
        }
        let report = store.verify().expect("verified");
        assert!(report.is_sound(), "{when}: {:?}", report.problems);
    }
}

/// Runs `script` again and again, dying at its first, second, third ... sync, until it gets through. Each time both
/// the power cut and the kill must leave all that was acknowledged.
fn die_at_every_sync(what: &str, from_open: bool, script: impl Fn(&Store, &mut Told) -> bool) {
    for n in 1.. {
        let dir = tempfile::tempdir().expect("a folder");
        let [real, cut, killed] = ["real", "cut", "killed"].map(|d| dir.path().join(d));
        let disk = Arc::new(Shadow::new(&real, LeaveOut::Nothing));
        std::fs::create_dir_all(&real).expect("a folder");
        if from_open {
            disk.die_at(n, &killed);
        }
        let mut told = Told::default();
        let store = Store::open_on(&real, QUIET, disk.clone(), Limits::STANDARD);
        if let Ok(store) = &store {
            if !from_open {
                assert!((0..6).all(|id| told.ask(store, id, Some(note(id, 3000 * id as usize)))));
                disk.die_at(n, &killed);
            }
            script(store, &mut told);
        }
        disk.cut(&cut);
        let when = format!("{what}, at sync {n}");
        if !disk.is_dead() {
            assert!(store.is_ok(), "{when}: it should have opened");
            drop(store);
            told.check(&cut, &format!("{when} (not reached)"));
            assert!(n > 3, "{when}: the script syncs more than that");
            return;
        }
        told.check(&cut, &format!("{when}, power cut"));
        told.check(&killed, &format!("{when}, killed"));
    }
}

#[test]
fn a_crash_at_any_sync_of_opening_and_writing_loses_nothing_acknowledged() {
    die_at_every_sync("open and write", true, |store, told| {
        told.ask(store, 1, Some(note(1, 50)))
            && told.ask(store, 2, Some(note(2, 20 * 1024)))
            && told.ask(store, 1, Some(note(1, 30 * 1024)))
            && told.ask(store, 2, None)
    });
}

#[test]
fn a_crash_at_any_sync_of_a_compaction_loses_nothing_acknowledged() {
    die_at_every_sync("compaction", false, |store, told| {
        told.ask(store, 2, None)
            && store.0.live.compact().is_ok()
            && told.ask(store, 7, Some(note(7, 20 * 1024)))
            && store.0.live.compact().is_ok()
            && told.ask(store, 1, None)
    });
}

#[test]
fn a_crash_at_any_sync_of_a_move_keeps_the_record_on_one_side_at_least() {
    die_at_every_sync("move to history", false, |store, told| {
        store.move_to_history::<Note>(&[1, 4, 5]).is_ok() && told.ask(store, 9, Some(note(9, 10))) && store.0.history.compact().is_ok()
    });
}

#[test]
fn a_crash_at_any_sync_of_an_import_leaves_the_old_store_or_the_new_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let export = dir.path().join("e.bothy");
    let source = open(&dir.path().join("source"));
    put(&source, &note(1, 30_000));
    source.write_history(Durability::Barrier, |tx| tx.put(&note(2, 30_000))).expect("written");
    source.export(&export).expect("exported");
    for n in 1.. {
        let [real, cut, killed] = ["real", "cut", "killed"].map(|d| dir.path().join(format!("{d}{n}")));
        let disk = Arc::new(Shadow::new(&real, LeaveOut::Nothing));
        let old = Store::open_on(&real, QUIET, disk.clone(), Limits::STANDARD).expect("opens");
        put(&old, &note(7, 30_000));
        drop(old);
        disk.die_at(n, &killed);
        let imported = Store::import_on(&export, &real, disk.clone());
        disk.cut(&cut);
        let dead = disk.is_dead();
        assert_eq!(imported.is_ok(), !dead, "sync {n}: {imported:?}");
        for dir in if dead { vec![&cut, &killed] } else { vec![&cut, &real] } {
            let store = Store::open_on(dir, QUIET, Arc::new(NoSync), Limits::STANDARD).expect("opens");
            let ids = store.list::<Note>().expect("listed").iter().map(|n| n.id).collect::<Vec<_>>();
            match store.generation() {
                1 => assert!(dead && ids == [7] && !store.is_restored(), "sync {n}: {ids:?}"),
                2 => assert!(
                    ids == [1] && store.is_restored() && store.get_history::<Note>(&2).expect("read").is_some(),
                    "sync {n}: {ids:?}"
                ),
                g => panic!("sync {n}: generation {g}"),
            }
            assert!(store.verify().expect("verified").is_sound());
        }
        if !dead {
            assert!(n > 3);
            return;
        }
    }
}

#[test]
fn after_a_failed_sync_writes_are_refused_and_reads_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(Shadow::new(&dir.path().join("s"), LeaveOut::Nothing));
    let store = Store::open_on(&dir.path().join("s"), QUIET, disk.clone(), Limits::STANDARD).expect("opens");
    put(&store, &note(1, 10));
    disk.die_at(1, &dir.path().join("killed"));
    for durability in [Durability::Barrier, Durability::Barrier, Durability::Lazy, Durability::Soon] {
        let fault = store.write(durability, |tx| tx.put(&note(2, 10))).expect_err("refused");
        assert_eq!(fault.kind(), Kind::Transient);
        assert!(fault.text().contains("takes no more writes") && fault.text().contains("the power is gone"), "{fault}");
    }
    assert!(store.settle().is_err() && store.compact_if_needed().is_err());
    assert_eq!(store.get::<Note>(&1).expect("read"), Some(note(1, 10)));
}

#[test]
fn a_compaction_that_brings_nothing_is_not_tried_again_at_every_barrier() {
    let dir = tempfile::tempdir().expect("a folder");
    let real = dir.path().join("s");
    let disk = Arc::new(Shadow::new(&real, LeaveOut::Nothing));
    // Due at every barrier, and still due after each compaction. Half the floor is what the file has
    // to grow by before the next try: more than a few barriers, however sled lays them out.
    let limits = Limits { floor_bytes: 20_000, factor: 0 };
    let store = Store::open_on(&real, QUIET, disk, limits).expect("opens");
    for id in 0..50 {
        put(&store, &note(id, 10));
    }
    let compactions = || store.stats().expect("stats").live.compactions;
    // The committer compacts beside the writers.
    until("a compaction", || compactions() > 0);
    let compactions = compactions();
    assert!((1..10).contains(&compactions), "{compactions} compactions for 50 barriers");
    assert_eq!(store.list::<Note>().expect("listed").len(), 50);
}
