//! A boot on trial has a copy: what it writes counts when it is kept, and leaves nothing when it is not.

use std::{fs, sync::Arc};

use super::{
    shadow::{LeaveOut, NoSync, Shadow, copy_dir},
    *,
};

fn databases(dir: &Path) -> usize {
    let names = fs::read_dir(dir).expect("a folder").flatten().map(|e| e.file_name().into_string().expect("a name"));
    names.filter(|n| n.starts_with("live-") || n.starts_with("history-")).count()
}

fn ids(store: &Store) -> Vec<u32> {
    assert!(store.verify().expect("verified").is_sound());
    store.list::<Note>().expect("read").iter().map(|n| n.id).collect()
}

fn on_trial(dir: &Path, anew: bool) -> Store {
    Store::open_trial(dir, QUIET, anew).expect("the copy opens")
}

#[test]
fn what_a_trial_writes_counts_when_it_is_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = &dir.path().join("store");
    put(&open(dir), &note(1, 20 * 1024));
    let generation = open(dir).generation();
    put(&on_trial(dir, true), &note(2, 100));
    // Bothy starts again in the same trial.
    let store = on_trial(dir, false);
    assert_eq!((ids(&store), store.is_on_trial(), store.generation()), (vec![1, 2], true, generation));
    store.write_history(Durability::Barrier, |tx| tx.put(&line(1, 1))).expect("written");
    // It may outgrow its file like any other, and what it may go back to stays.
    store.0.live.compact().expect("compacted");
    put(&store, &note(3, 100));
    store.keep_trial().expect("kept");
    assert!(!store.is_on_trial());
    put(&store, &note(4, 100));
    store.0.live.compact().expect("compacted");
    store.keep_trial().expect("once more is nothing");
    drop(store);
    assert_eq!((databases(dir), dir.join("manifest.trial").exists()), (2, false));
    let store = open(dir);
    assert_eq!((ids(&store), store.generation(), store.is_restored()), (vec![1, 2, 3, 4], generation, false));
    assert_eq!(store.list_history::<Line>().expect("read"), [line(1, 1)]);
}

#[test]
fn a_trial_that_is_not_kept_leaves_the_store_as_it_was() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = &dir.path().join("store");
    put(&open(dir), &note(1, 100));
    let before = fs::read_to_string(dir.join("manifest")).expect("read");
    let store = on_trial(dir, true);
    put(&store, &note(2, 100));
    store.0.live.compact().expect("compacted");
    drop(store);
    assert_eq!(fs::read_to_string(dir.join("manifest")).expect("read"), before);
    let store = open(dir);
    assert_eq!((ids(&store), databases(dir), dir.join("manifest.trial").exists()), (vec![1], 2, false));
    put(&store, &note(5, 100));
    drop(store);
    // Another one begins with what is there now, whatever was left.
    fs::write(dir.join("manifest.trial"), &before).expect("left");
    let store = on_trial(dir, true);
    assert_eq!(ids(&store), [1, 5]);
    drop(store);
    assert_eq!(ids(&on_trial(dir, false)), [1, 5]);
}

#[test]
fn a_trial_that_was_kept_and_cut_off_is_the_store_at_the_next_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = &dir.path().join("store");
    put(&open(dir), &note(1, 100));
    put(&on_trial(dir, true), &note(2, 100));
    for _ in 0..2 {
        Store::keep_left_trial(dir).expect("kept");
    }
    let store = open(dir);
    assert_eq!((ids(&store), databases(dir)), (vec![1, 2], 2));
    for refused in [Store::keep_left_trial(dir), Store::free(dir)] {
        assert_eq!(refused.expect_err("in use").kind(), crate::model::error::Kind::Conflict);
    }
    drop(store);
    Store::free(dir).expect("nobody has it");
}

#[test]
fn a_box_without_a_store_has_one_after_a_trial() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = &dir.path().join("store");
    let store = on_trial(dir, true);
    put(&store, &note(1, 100));
    store.keep_trial().expect("kept");
    drop(store);
    assert_eq!(ids(&open(dir)), [1]);
}

/// Dies at each sync of a trial and of its keeping, by a kill and by a power cut. The old system finds its store as it
/// was; the new one, if it had begun to keep it, what the trial wrote.
#[test]
fn a_cut_at_any_sync_leaves_the_store_as_it_was_or_the_trials() {
    for n in 1.. {
        let dir = tempfile::tempdir().expect("a folder");
        let [real, cut, killed] = ["real", "cut", "killed"].map(|d| dir.path().join(d));
        let disk = Arc::new(Shadow::new(&real, LeaveOut::Nothing));
        fs::create_dir_all(&real).expect("a folder");
        {
            let store = Store::open_on(&real, QUIET, disk.clone(), Limits::STANDARD).expect("the store opens");
            put(&store, &note(1, 20 * 1024));
        }
        disk.die_at(n, &killed);
        let (mut written, mut keeping) = (false, false);
        if let Ok(store) = Store::open_trial_on(&real, QUIET, disk.clone(), true) {
            written = store.write(Durability::Barrier, |tx| tx.put(&note(2, 100))).is_ok();
            if written {
                keeping = true;
                let _ = store.keep_trial();
            }
        }
        disk.cut(&cut);
        let over = !disk.is_dead();
        for (how, left) in [("cut", &cut), ("killed", &killed)] {
            if over && how == "killed" {
                continue;
            }
            let when = format!("{how} at sync {n}, written {written}, keeping {keeping}");
            let copy = |name: &str| {
                let to = dir.path().join(format!("{how}-{name}"));
                copy_dir(left, &to);
                to
            };
            let no_sync = || Arc::new(NoSync) as Arc<dyn Disk>;
            if keeping {
                let to = copy("new");
                Store::keep_left_trial_on(&to, &no_sync()).unwrap_or_else(|e| panic!("{when}: {e:?}"));
                let store = Store::open_on(&to, QUIET, no_sync(), Limits::STANDARD).unwrap_or_else(|e| panic!("{when}: {e:?}"));
                assert_eq!((ids(&store), store.notes()), (vec![1, 2], &[][..]), "{when}");
            } else {
                let to = copy("old");
                let store = Store::open_on(&to, QUIET, no_sync(), Limits::STANDARD).unwrap_or_else(|e| panic!("{when}: {e:?}"));
                assert_eq!((ids(&store), store.notes()), (vec![1], &[][..]), "{when}");
                assert_eq!(databases(&to), 2, "{when}");
                // And bothy that starts again in the trial goes on.
                let store = Store::open_trial_on(&copy("on"), QUIET, no_sync(), false).unwrap_or_else(|e| panic!("{when}: {e:?}"));
                assert!(ids(&store).starts_with(&[1]) && store.is_on_trial(), "{when}");
            }
        }
        if over {
            assert!(n > 10, "{n} syncs only");
            return;
        }
    }
}
