//! Long mixes: against a map, and against the size of the file.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Put(u32, usize),
    Delete(u32),
    /// Two records in one transaction, which then fails.
    Refused(u32, u32),
    MoveToHistory(u32),
    Compact,
    Reopen,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let id = 0..12u32;
    let len = prop_oneof![4 => 0..200usize, 2 => 5_900..6_400usize, 1 => 10_000..40_000usize];
    let op = prop_oneof![
        12 => (id.clone(), len).prop_map(|(i, l)| Op::Put(i, l)),
        5 => id.clone().prop_map(Op::Delete),
        2 => (id.clone(), id.clone()).prop_map(|(a, b)| Op::Refused(a, b)),
        2 => id.prop_map(Op::MoveToHistory),
        1 => Just(Op::Compact),
        1 => Just(Op::Reopen),
    ];
    prop::collection::vec(op, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_a_map_that_survives_reopening(ops in ops()) {
        let dir = tempfile::tempdir().expect("a folder");
        let mut store = open(dir.path());
        let (mut live, mut history) = (BTreeMap::new(), BTreeMap::new());
        for (n, op) in ops.into_iter().enumerate() {
            match op {
                Op::Put(id, len) => {
                    let value = Note { id, body: note(id + n as u32, len).body };
                    store.write(Durability::Lazy, |tx| tx.put(&value)).expect("written");
                    live.insert(id, value);
                }
                Op::Delete(id) => {
                    let was = store.write(Durability::Lazy, |tx| tx.delete::<Note>(&id)).expect("written");
                    prop_assert_eq!(was, live.remove(&id).is_some());
                }
                Op::Refused(a, b) => {
                    let refused = store.write(Durability::Lazy, |tx| -> Result<()> {
                        tx.put(&note(a, 9_000))?;
                        tx.delete::<Note>(&b)?;
                        Err(Fault::conflict("no"))
                    });
                    prop_assert!(refused.is_err());
                }
                Op::MoveToHistory(id) => {
                    let moved = store.move_to_history::<Note>(&[id]).expect("moved");
                    prop_assert_eq!(moved, usize::from(live.contains_key(&id)));
                    history.extend(live.remove_entry(&id));
                }
                Op::Compact => store.0.live.compact().expect("compacted"),
                Op::Reopen => {
                    drop(store);
                    store = open(dir.path());
                }
            }
        }
        for _ in 0..2 {
            prop_assert_eq!(store.list::<Note>().expect("listed"), live.values().cloned().collect::<Vec<_>>());
            prop_assert_eq!(store.list_history::<Note>().expect("listed"), history.values().cloned().collect::<Vec<_>>());
            let report = store.verify().expect("verified");
            prop_assert!(report.is_sound(), "{:?}", report.problems);
            drop(store);
            store = open(dir.path());
        }
        prop_assert_eq!(store.notes().len(), 0);
    }
}

/// Records that stay, mixed with records that are rewritten: what makes sled's file grow without bound.
fn rewrite(store: &Store, rounds: u32) {
    for round in 0..rounds {
        store
            .write(Durability::Lazy, |tx| {
                if round % 8 == 0 {
                    tx.put(&note(round, 300))?;
                }
                tx.put(&Line { of: round % 50, n: 0, text: "x".repeat(2000) })
            })
            .expect("written");
    }
}

#[test]
fn the_file_stays_bounded_under_a_mix_of_lasting_and_rewritten_records() {
    const LIMITS: Limits = Limits { floor_bytes: 1024 * 1024, factor: 4 };
    let sizes = [Limits { floor_bytes: u64::MAX, ..LIMITS }, LIMITS].map(|limits| {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open_on(dir.path(), QUIET, Arc::new(shadow::NoSync), limits).expect("opens");
        rewrite(&store, 8000);
        store.settle().expect("settled");
        store.compact_if_needed().expect("looked at");
        let stats = store.stats().expect("stats").live;
        let found = store.list::<Note>().expect("listed");
        assert_eq!(found.len(), 1000);
        assert!(found.iter().all(|n| *n == note(n.id, 300)));
        assert!(store.verify().expect("verified").is_sound());
        drop(store);
        assert_eq!(open(dir.path()).list::<Note>().expect("listed").len(), 1000);
        stats
    });
    let [left_alone, bounded] = sizes;
    let bound = |s: DbStats| LIMITS.floor_bytes.max(LIMITS.factor * s.live_bytes);
    assert_eq!(left_alone.compactions, 0);
    assert!(left_alone.file_bytes > bound(left_alone), "the mix makes the file grow: {left_alone:?}");
    assert!(bounded.compactions > 0 && bounded.file_bytes <= bound(bounded), "{bounded:?}");
}

#[test]
fn writers_go_on_while_the_store_is_compacted() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open_on(dir.path(), QUIET, Arc::new(shadow::NoSync), Limits::STANDARD).expect("opens");
    std::thread::scope(|s| {
        for t in 0..4u32 {
            let store = &store;
            s.spawn(move || (0..100).for_each(|n| put(store, &note(t * 1000 + n, 200 * n as usize))));
        }
        s.spawn(|| (0..8).for_each(|_| store.0.live.compact().expect("compacted")));
    });
    drop(store);
    let store = open(dir.path());
    for id in (0..4).flat_map(|t| (0..100).map(move |n| t * 1000 + n)) {
        assert_eq!(store.require::<Note>(&id).expect("there"), note(id, 200 * (id % 1000) as usize));
    }
    assert!(store.verify().expect("verified").is_sound());
}
