//! Exports, imports, and what opening does with damage.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{shadow::copy_dir, *};
use crate::{model::error::Kind, store::layout::Tally};

fn filled(dir: &Path) -> Store {
    let store = open(dir);
    for id in 0..40 {
        put(&store, &note(id, 700 * id as usize));
    }
    store.write(Durability::Lazy, |tx| (0..300).try_for_each(|n| tx.put(&line(7, n)))).expect("written");
    store.write_history(Durability::Barrier, |tx| tx.put(&note(99, 30_000))).expect("written");
    store.settle().expect("settled");
    store
}

/// Everything but the store's own mark.
fn content(store: &Store) -> (Vec<Note>, Vec<Line>, Vec<Note>) {
    (store.list().expect("listed"), store.list().expect("listed"), store.list_history().expect("listed"))
}

fn find(dir: &Path, what: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).filter(|p| p.to_string_lossy().contains(what)).collect();
    found.sort();
    found
}

#[test]
fn an_export_becomes_a_store_with_the_same_content_and_a_new_generation() {
    let dir = tempfile::tempdir().expect("a folder");
    let [first, second, export] = ["first", "second", "e.bothy"].map(|n| dir.path().join(n));
    let store = filled(&first);
    let sealed = store.sealer().seal(b"a", b"secret").expect("sealed");
    store.export(&export).expect("exported");
    let want = content(&store);
    put(&store, &note(1000, 1));

    assert_eq!(Store::import(&export, &second).expect("imported"), 2);
    let copy = open(&second);
    assert_eq!(content(&copy), want);
    assert_eq!((copy.generation(), copy.is_restored()), (2, true));
    assert!(copy.verify().expect("verified").is_sound());
    assert!(copy.sealer().open_sealed(b"a", &sealed).is_err(), "the key is not in the export");
    copy.acknowledge_restore().expect("acknowledged");
    drop(copy);
    assert!(!open(&second).is_restored());

    // Over a store that exists: it is set aside, and the generation passes both.
    assert_eq!(Store::import(&export, &first).err().map(|f| f.kind()), Some(Kind::Conflict), "it is open");
    drop(store);
    assert_eq!(Store::import(&export, &first).expect("imported"), 2);
    assert_eq!(Store::import(&export, &first).expect("imported"), 3);
    assert_eq!(find(&first.join("aside"), "live-").len(), 2);
    let store = open(&first);
    assert_eq!(content(&store), want);
    assert_eq!(store.sealer().open_sealed(b"a", &sealed).expect("opens"), b"secret");
}

#[test]
fn a_damaged_export_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let [first, export, bad] = ["first", "e.bothy", "bad.bothy"].map(|n| dir.path().join(n));
    let store = filled(&first);
    store.export(&export).expect("exported");
    let want = content(&store);
    drop(store);
    let good = fs::read(&export).expect("read");
    let flip = |at: usize| {
        let mut b = good.clone();
        b[at] ^= 1;
        b
    };
    let cases = [
        ("empty", vec![]),
        ("not an export", b"hello, this is no export at all, just text".to_vec()),
        ("cut in the middle", good[..good.len() / 2].to_vec()),
        ("cut by a byte", good[..good.len() - 1].to_vec()),
        ("a flipped bit in a value", flip(good.len() / 2)),
        ("a flipped bit in a length", flip(24)),
        ("a flipped bit in the digest", flip(good.len() - 1)),
        ("a flipped bit in the generation", flip(20)),
    ];
    for (what, bytes) in cases {
        fs::write(&bad, bytes).expect("written");
        let fault = Store::import(&bad, &first).expect_err(what);
        assert_eq!(fault.kind(), Kind::Invalid, "{what}: {fault}");
        let store = open(&first);
        assert_eq!((store.generation(), content(&store) == want), (1, true), "{what}");
    }
    assert_eq!(Store::import(dir.path().join("none"), &first).expect_err("refused").kind(), Kind::NotFound);
}

#[test]
fn verify_finds_a_wrong_tally_a_lost_part_and_a_rotten_one() {
    type Damage = fn(&Store);
    let cases: [(&str, Damage, &str); 4] = [
        (
            "tally",
            |s| {
                s.0.live
                    .gate
                    .enter()
                    .unwrap()
                    .fill_raw(&layout::tally_key(Table::Journal.tag()), &Tally { count: 299, bytes: 1 }.encode())
                    .unwrap()
            },
            "its tally says 299",
        ),
        (
            "record",
            |s| {
                drop(
                    s.0.live.gate.enter().unwrap().db().unwrap().remove(layout::record_key(Table::Journal, &(7u32, 3u16).bytes())).unwrap(),
                )
            },
            "table 'journal' has 299 entries",
        ),
        (
            "lost part",
            |s| {
                drop(
                    s.0.live
                        .gate
                        .enter()
                        .unwrap()
                        .db()
                        .unwrap()
                        .remove(layout::chunk_key(&layout::record_key(Table::VnfInstance, &39u32.bytes()), 1))
                        .unwrap(),
                )
            },
            "large records name",
        ),
        (
            "rotten part",
            |s| {
                let key = layout::chunk_key(&layout::record_key(Table::VnfInstance, &39u32.bytes()), 1);
                s.0.live.gate.enter().unwrap().fill_raw(&key, &[0; layout::MAX_VALUE]).unwrap()
            },
            "missing or damaged",
        ),
    ];
    for (what, damage, sentence) in cases {
        let dir = tempfile::tempdir().expect("a folder");
        let store = filled(dir.path());
        assert!(store.verify().expect("verified").is_sound());
        damage(&store);
        let report = store.verify().expect("verified");
        assert!(report.problems.iter().any(|p| p.contains(sentence)), "{what}: {:?}", report.problems);
    }
}

/// A store in `live`, an older export of it, and its damage.
fn damaged(export: bool, damage: impl Fn(&Path)) -> (tempfile::TempDir, Result<Store>) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = filled(dir.path());
    if export {
        fs::create_dir(dir.path().join("exports")).expect("a folder");
        store.export(dir.path().join("exports/monday.bothy")).expect("exported");
    }
    put(&store, &note(1000, 5));
    drop(store);
    damage(dir.path());
    let opened = Store::open(dir.path(), QUIET);
    (dir, opened)
}

fn truncate(path: &Path, to: u64) {
    fs::OpenOptions::new().write(true).open(path).expect("opens").set_len(to).expect("cut");
}

#[test]
fn a_torn_snapshot_is_dropped_and_nothing_is_lost() {
    type Damage = fn(&Path);
    let cases: [(&str, bool, Damage); 4] = [
        ("cut short", true, |snap| truncate(snap, 20)),
        ("empty", true, |snap| truncate(snap, 0)),
        ("a flipped bit", true, |snap| {
            let mut b = fs::read(snap).expect("read");
            b[9] ^= 4;
            fs::write(snap, b).expect("written");
        }),
        ("one that was being written", false, |snap| {
            fs::write(snap.with_file_name("snap.FFFFFFFFFFFFFFFF.generating"), b"half").expect("written")
        }),
    ];
    for (what, aside, damage) in cases {
        let (dir, store) = damaged(true, |d| {
            drop(open(d)); // sled writes its snapshot when it opens
            damage(find(&d.join("live-1"), "snap.").last().expect("a snapshot"))
        });
        let store = store.expect(what);
        assert_eq!((store.generation(), store.list::<Note>().expect("listed").len()), (1, 41), "{what}: {:?}", store.notes());
        assert!(store.verify().expect("verified").is_sound(), "{what}");
        assert_eq!(find(&dir.path().join("aside"), "live-1").len(), usize::from(aside), "{what}");
        assert_eq!(store.notes().iter().any(|n| n.contains("mended by dropping its snapshot")), aside, "{what}: {:?}", store.notes());
    }
}

#[test]
fn a_database_beyond_mending_gives_way_to_the_newest_export() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage); 3] = [
        ("the file is gone", |d| fs::remove_file(d.join("live-1/db")).expect("removed")),
        ("the folder is gone", |d| fs::remove_dir_all(d.join("live-1")).expect("removed")),
        ("the file is empty", |d| {
            truncate(&d.join("live-1/db"), 0);
            find(&d.join("live-1"), "snap.").iter().for_each(|s| fs::remove_file(s).expect("removed"));
        }),
    ];
    for (what, damage) in cases {
        let (dir, store) = damaged(true, damage);
        let store = store.expect(what);
        assert_eq!((store.generation(), store.is_restored()), (2, true), "{what}");
        assert_eq!(store.list::<Note>().expect("listed").len(), 40, "{what}: as of the export");
        assert!(store.notes().iter().any(|n| n.contains("monday.bothy")), "{what}: {:?}", store.notes());
        drop(store);
        let store = open(dir.path());
        assert_eq!((store.generation(), store.notes().len()), (2, 0), "{what}: said once");

        let (_dir, store) = damaged(false, damage);
        let fault = store.err().expect(what);
        assert_eq!(fault.kind(), Kind::Bug);
        assert!(fault.text().contains("bothy store import"), "{what}: {fault}");
    }
}

#[test]
fn a_lost_tail_of_the_log_is_seen_by_the_tallies_or_never_happened() {
    // Whatever is cut off, the store either opens as of an earlier transaction or falls back; it never opens unsound.
    for keep in [400_000, 200_000, 100_000, 30_000, 5_000, 100] {
        let (_dir, store) = damaged(true, |d| {
            truncate(&d.join("live-1/db"), keep);
            find(&d.join("live-1"), "snap.").iter().for_each(|s| fs::remove_file(s).expect("removed"));
        });
        let store = store.expect("opens one way or the other");
        assert!(store.verify().expect("verified").is_sound());
    }
}

#[test]
fn a_damaged_history_starts_empty_and_keeps_nobody_waiting() {
    let (dir, store) = damaged(true, |d| fs::remove_file(d.join("history-1/db")).expect("removed"));
    let store = store.expect("opens");
    assert_eq!((store.generation(), store.list::<Note>().expect("listed").len()), (1, 41));
    assert_eq!(store.list_history::<Note>().expect("listed"), []);
    assert!(store.notes().iter().any(|n| n.contains("history starts empty")));
    assert_eq!(find(&dir.path().join("aside"), "history-1").len(), 1);
    drop(store);
    assert_eq!(open(dir.path()).notes().len(), 0);
}

#[test]
fn a_store_put_together_by_hand_counts_as_restored() {
    // The manifest is lost.
    let (_dir, store) = damaged(false, |d| fs::remove_file(d.join("manifest")).expect("removed"));
    let store = store.expect("opens");
    assert_eq!((store.generation(), store.is_restored(), store.list::<Note>().expect("listed").len()), (2, true, 41));

    // The live database of another time is put back under a newer manifest.
    let old = tempfile::tempdir().expect("a folder");
    let (_dir, store) = damaged(true, |d| {
        copy_dir(&d.join("live-1"), &old.path().join("live"));
        assert_eq!(Store::import(d.join("exports/monday.bothy"), d).expect("imported"), 2);
        let [live] = &find(d, "/live-")[..] else { panic!("one live database") };
        fs::remove_dir_all(live).expect("removed");
        copy_dir(&old.path().join("live"), live);
    });
    let store = store.expect("opens");
    assert_eq!((store.generation(), store.is_restored(), store.list::<Note>().expect("listed").len()), (3, true, 41));

    let (_dir, store) = damaged(false, |d| fs::write(d.join("manifest"), "bothy store 2\n").expect("written"));
    assert!(store.err().is_some_and(|f| f.text().contains("newer bothy")));
}
