//! Reads, writes, pages, refusals, history, versions.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::model::error::Kind;

#[test]
fn what_was_written_is_read_again_after_a_reopen() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    // Around the limit of a value, of several chunks, and of none.
    let sizes = [0, 1, 100, 6000, 6143, 6144, 6145, 20 * 1024, 300 * 1024];
    for (id, len) in sizes.into_iter().enumerate() {
        put(&store, &note(id as u32, len));
    }
    put(&store, &note(8, 20 * 1024)); // shrinks: chunks must go
    put(&store, &note(7, 300 * 1024)); // grows
    put(&store, &note(6, 0)); // large to small
    store.write(Durability::Lazy, |tx| tx.delete::<Note>(&4)).expect("deleted");
    let want: Vec<Note> =
        [(0, 0), (1, 1), (2, 100), (3, 6000), (5, 6144), (6, 0), (7, 300 * 1024), (8, 20 * 1024)].map(|(i, l)| note(i, l)).into();
    assert_eq!(store.list::<Note>().expect("listed"), want);
    assert!(store.verify().expect("verified").is_sound());
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.list::<Note>().expect("listed"), want);
    assert_eq!(store.get::<Note>(&7).expect("read"), Some(note(7, 300 * 1024)));
    assert_eq!(store.get::<Note>(&4).expect("read"), None);
    assert_eq!(store.count(Table::VnfInstance).expect("counted"), 8);
    assert_eq!((store.generation(), store.is_restored(), store.notes().len()), (1, false, 0));
    let report = store.verify().expect("verified");
    assert!(report.is_sound(), "{:?}", report.problems);
}

#[test]
fn pages_go_by_key_and_stay_in_their_prefix() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    store
        .write(Durability::Lazy, |tx| {
            for of in [1, 2, 255] {
                (0..5).try_for_each(|n| tx.put(&line(of, n)))?;
            }
            tx.put(&note(1, 9))
        })
        .expect("written");
    let keys = |lines: Vec<Line>| lines.into_iter().map(|l| l.key()).collect::<Vec<_>>();
    assert_eq!(keys(store.list_under::<Line>(&2u32).expect("listed")), (0..5).map(|n| (2, n)).collect::<Vec<_>>());
    assert_eq!(keys(store.page::<Line>(Some(&(1, 3)), 3).expect("a page")), [(1, 4), (2, 0), (2, 1)]);
    assert_eq!(keys(store.page_under::<Line>(&2u32, Some(&(2, 3)), 3).expect("a page")), [(2, 4)]);
    assert_eq!(keys(store.page_under::<Line>(&2u32, Some(&(1, 3)), 1).expect("a page")), [(2, 0)]);
    assert_eq!(keys(store.page_under::<Line>(&255u32, Some(&(255, 4)), 3).expect("a page")), []);
    assert_eq!(store.list::<Line>().expect("listed").len(), 15);
}

#[test]
fn a_refusal_inside_undoes_everything_and_comes_back_as_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    put(&store, &note(1, 10));
    let fault = store
        .write(Durability::Barrier, |tx| -> Result<()> {
            tx.put(&note(2, 20_000))?;
            tx.delete::<Note>(&1)?;
            assert_eq!((tx.get::<Note>(&1)?, tx.get::<Note>(&2)?), (None, Some(note(2, 20_000))), "a transaction sees its own writes");
            Err(Fault::capacity("no room").with_reasons(["node 1: full".into()]))
        })
        .expect_err("refused");
    assert_eq!((fault.kind(), fault.detail().as_str()), (Kind::Capacity, "no room: node 1: full"));
    assert_eq!(store.list::<Note>().expect("listed"), [note(1, 10)]);
    assert!(store.verify().expect("verified").is_sound());
}

#[test]
fn conflicts_are_told_apart() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    put(&store, &note(1, 10));
    let kind = |r: Result<()>| r.err().map(|f| f.kind());
    let w = |f: &dyn Fn(&mut Tx) -> Result<()>| kind(store.write(Durability::Lazy, f));
    assert_eq!(w(&|tx| tx.put_new(&note(1, 11))), Some(Kind::Conflict));
    assert_eq!(w(&|tx| tx.put_new(&note(2, 11))), None);
    assert_eq!(w(&|tx| tx.expect_unchanged(&note(1, 10))), None);
    assert_eq!(w(&|tx| tx.expect_unchanged(&note(1, 11))), Some(Kind::Conflict));
    assert_eq!(w(&|tx| tx.expect_unchanged(&note(9, 1))), Some(Kind::Conflict));
    assert_eq!(w(&|tx| tx.expect_revision("the facts", 3, 4)), Some(Kind::Conflict));
    assert_eq!(w(&|tx| tx.require::<Note>(&9).map(|_| ())), Some(Kind::NotFound));
    assert_eq!(w(&|tx| tx.update::<Note>(&9, |_| Ok(())).map(|_| ())), Some(Kind::NotFound));
    let written = store
        .write(Durability::Lazy, |tx| {
            tx.update::<Note>(&1, |n| {
                n.body.push(1);
                Ok(())
            })
        })
        .expect("updated");
    assert_eq!(store.require::<Note>(&1).expect("there"), written);
}

#[test]
fn the_store_inside_its_own_transaction_is_a_fault_and_not_a_wait() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    let inner = |s: &Store| s.get::<Note>(&1).map(|_| ());
    let fault = store.write(Durability::Lazy, |_| inner(&store)).expect_err("refused");
    assert_eq!(fault.kind(), Kind::Bug);
    let fault = store.write(Durability::Lazy, |_| store.write_history(Durability::Lazy, |_| Ok(()))).expect_err("refused");
    assert_eq!(fault.kind(), Kind::Bug);
    inner(&store).expect("outside it is fine again");
}

#[test]
fn a_second_opener_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    let clone = store.clone();
    drop(store);
    assert_eq!(Store::open(dir.path(), QUIET).err().map(|f| f.kind()), Some(Kind::Conflict));
    drop(clone);
    open(dir.path());
}

#[test]
fn finished_records_move_to_the_history_whole_and_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    for id in 0..4 {
        put(&store, &note(id, 10_000));
    }
    assert_eq!(store.move_to_history::<Note>(&[1, 3, 9]).expect("moved"), 2);
    assert_eq!(store.move_to_history::<Note>(&[1, 3]).expect("moved"), 0);
    assert_eq!(store.list::<Note>().expect("listed"), [note(0, 10_000), note(2, 10_000)]);
    assert_eq!(store.list_history::<Note>().expect("listed"), [note(1, 10_000), note(3, 10_000)]);
    assert_eq!(store.get_history::<Note>(&3).expect("read"), Some(note(3, 10_000)));
    assert_eq!(store.page_history::<Note>(Some(&1), 5).expect("read"), [note(3, 10_000)]);
    store.write_history(Durability::Barrier, |tx| tx.delete::<Note>(&1)).expect("retention");
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.list_history::<Note>().expect("listed"), [note(3, 10_000)]);
    assert!(store.verify().expect("verified").is_sound());
}

#[test]
fn large_values_read_while_they_are_rewritten_are_never_mixed() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    put(&store, &Note { id: 1, body: vec![0; 40_000] });
    let rounds = AtomicU32::new(0);
    std::thread::scope(|s| {
        s.spawn(|| {
            for n in 1..=60u8 {
                let body = vec![n; 20_000 + usize::from(n) * 700];
                store.write(Durability::Lazy, |tx| tx.put(&Note { id: 1, body: body.clone() })).expect("written");
            }
            rounds.store(1, Ordering::SeqCst);
        });
        s.spawn(|| {
            while rounds.load(Ordering::SeqCst) == 0 {
                let seen = store.require::<Note>(&1).expect("always there");
                assert!(seen.body.iter().all(|b| *b == seen.body[0]), "two writes were mixed");
            }
        });
    });
}

/// Version 2 of a shape, with a field that version 1 lacked.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Grown {
    name: String,
    size: u32,
}
#[derive(Deserialize)]
struct GrownV1 {
    name: String,
}
impl Record for Grown {
    type Key = String;
    const TABLE: Table = Table::Image;
    const VERSION: u8 = 2;
    fn key(&self) -> String {
        self.name.clone()
    }
    fn upgrade(version: u8, body: &[u8]) -> Result<Self> {
        match version {
            1 => decode_body::<GrownV1>(Self::TABLE, 1, body).map(|old| Grown { name: old.name, size: 0 }),
            v => Err(Fault::bug(format!("version {v}"))),
        }
    }
}

#[test]
fn older_versions_are_read_and_strange_bytes_refused() {
    assert_golden(&Grown { name: "fw".into(), size: 300 }, "02026677ac02");
    assert_reads("01026677", &Grown { name: "fw".into(), size: 0 });
    for (bad, why) in
        [(&[][..], "empty"), (&[3, 2, 102, 119], "newer"), (&[2, 2, 102, 119], "too short"), (&[2, 2, 102, 119, 1, 1], "too long")]
    {
        assert!(Grown::decode(bad).is_err(), "{why}");
    }
    let fault = Note::decode(&[9, 0, 0]).expect_err("refused");
    assert!(fault.text().contains("version 9") && fault.text().contains("version 1"), "{fault}");
}
