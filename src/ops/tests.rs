//! The list of alarms over a store: what stands, what is kept, and what a new start finds.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::alarms::Alarms;
use crate::{
    model::{
        alarm::{Ack, Alarm, AlarmList, Cause, Key, Object, Part, Severity, Symptom},
        error::Kind,
        event::{Event, News},
        id::ProjectId,
        subscription::{Filter, Source, Subscription},
        time::{Clock, Dice, Stamp},
    },
    store::{Durability, Options, Store},
};

/// Each look at it is a moment later; each throw is another number.
#[derive(Default)]
struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now(&self) -> Stamp {
        Stamp(self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }
}
impl Dice for Ticks {
    fn bytes16(&self) -> [u8; 16] {
        u128::from(self.0.fetch_add(1, Ordering::SeqCst)).to_be_bytes()
    }
}

struct Desk {
    dir: tempfile::TempDir,
    ticks: Arc<Ticks>,
}

impl Desk {
    fn new() -> Desk {
        Desk { dir: tempfile::tempdir().expect("a folder"), ticks: Arc::default() }
    }
    fn open(&self) -> (Store, Alarms) {
        let store =
            Store::open(self.dir.path().join("store"), Options { flush_every_ms: 0, ..Options::default() }).expect("the store opens");
        let alarms = Alarms::open(store.clone(), self.ticks.clone(), self.ticks.clone()).expect("alarms");
        (store, alarms)
    }
}

fn symptom(cause: Cause, part: Part, severity: Severity) -> Symptom {
    let key = Key { object: Object::Host, part, cause };
    Symptom { key, project: ProjectId::DEFAULT, severity, details: vec!["so it is".into()], caused_by: None }
}

fn named(n: usize) -> Part {
    Part::Named(smol_str::format_smolstr!("eth{n}"))
}

#[test]
fn one_alarm_stands_per_object_part_and_cause() {
    let desk = Desk::new();
    let (store, alarms) = desk.open();
    let first = alarms.raise(symptom(Cause::LinkDown, named(0), Severity::Major)).expect("raised");
    for (cause, part, same) in [
        (Cause::LinkDown, named(0), true),
        (Cause::LinkDown, named(1), false),
        (Cause::MemoryLow, named(0), false),
        (Cause::LinkDown, Part::Whole, false),
    ] {
        let id = alarms.raise(symptom(cause, part.clone(), Severity::Major)).expect("raised");
        assert_eq!(id == first, same, "{cause:?} {part:?}");
    }
    let all: Vec<Alarm> = store.list().expect("alarms");
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|a| a.revision == 1), "what is seen again as it was changes nothing");

    alarms.clear(|k| k.cause == Cause::LinkDown && k.part == named(0)).expect("cleared");
    let next = alarms.raise(symptom(Cause::LinkDown, named(0), Severity::Minor)).expect("raised");
    assert_ne!(next, first, "what is over stays over: a new fault is a new alarm");
    // Seen late, the old one leaves the new one standing.
    alarms.acknowledge(first, Ack::Acknowledged, |_| Ok(())).expect("acknowledged");
    assert_eq!(alarms.raise(symptom(Cause::LinkDown, named(0), Severity::Minor)).expect("raised"), next);
    let twice = alarms.acknowledge(first, Ack::Acknowledged, |_| Ok(())).expect_err("twice");
    assert_eq!(twice.kind(), Kind::Conflict);
}

#[test]
fn what_somebody_knows_to_be_worse_stays_so_until_it_is_over() {
    let desk = Desk::new();
    let (store, alarms) = desk.open();
    let seen = || symptom(Cause::LinkDown, named(0), Severity::Minor);
    let severity = |id| store.require::<Alarm>(&id).expect("kept").severity;
    let id = alarms.raise(seen()).expect("raised");
    alarms.escalate(id, Severity::Critical).expect("escalated");
    assert_eq!(alarms.escalate(id, Severity::Minor).expect_err("less").kind(), Kind::Invalid);
    alarms.raise(seen()).expect("seen again");
    alarms.remark(&seen().key, Severity::Major, "and tried".into()).expect("remarked");
    alarms.raise(Symptom { details: vec!["otherwise".into()], ..seen() }).expect("seen otherwise");
    assert_eq!(severity(id), Severity::Critical);
    alarms.clear(|_| true).expect("cleared");
    assert_eq!(alarms.escalate(id, Severity::Critical).expect_err("over").kind(), Kind::Invalid);
    let next = alarms.raise(seen()).expect("a new one");
    assert_eq!(severity(next), Severity::Minor, "of which nobody has said anything");
}

#[test]
fn what_stands_is_taken_up_by_the_next_start() {
    let desk = Desk::new();
    let id = {
        let (_store, alarms) = desk.open();
        alarms.raise(symptom(Cause::Switch, Part::Whole, Severity::Critical)).expect("raised")
    };
    let (store, alarms) = desk.open();
    assert_eq!(alarms.raise(symptom(Cause::Switch, Part::Whole, Severity::Critical)).expect("raised"), id);
    alarms.clear(|_| true).expect("cleared");
    let a: Alarm = store.require(&id).expect("kept");
    assert!(a.cleared > Some(a.raised) && a.shown_severity() == "CLEARED");
    assert!(alarms.standing(|_| true).is_empty());
}

#[test]
fn the_oldest_of_what_is_over_is_forgotten_and_the_acknowledged_first() {
    let desk = Desk::new();
    let (store, alarms) = desk.open();
    let ids: Vec<_> = (0..8).map(|n| alarms.raise(symptom(Cause::LinkDown, named(n), Severity::Major)).expect("raised")).collect();
    // Cleared one after the other, so that their order is known; the last two stand.
    for n in 0..6 {
        alarms.clear(|k| k.part == named(n)).expect("cleared");
    }
    for n in [1, 3, 5] {
        alarms.acknowledge(ids[n], Ack::Acknowledged, |_| Ok(())).expect("acknowledged");
    }
    assert_eq!(alarms.prune().expect("pruned"), 0, "there is room for all of them");
    assert_eq!(alarms.prune_for_test(2, 1).expect("pruned"), 3);
    let mut left: Vec<usize> =
        store.list::<Alarm>().expect("alarms").iter().filter_map(|a| ids.iter().position(|id| *id == a.id)).collect();
    left.sort_unstable();
    assert_eq!(left, [2, 4, 5, 6, 7]);
}

#[test]
fn subscribers_are_told_when_the_list_is_another_one() {
    let desk = Desk::new();
    {
        let (store, _) = desk.open();
        let s = Subscription {
            id: uuid::Uuid::from_u128(1),
            project: ProjectId::DEFAULT,
            every_project: false,
            source: Source::VnfFm,
            callback: String::new(),
            base: String::new(),
            filter: Filter::default(),
            filter_text: None,
            short: false,
            auth: None,
            created: Stamp(0),
        };
        store.write(Durability::Barrier, |tx| tx.put(&s)).expect("subscribed");
    }
    let told = |store: &Store| store.list::<Event>().expect("events").iter().filter(|e| e.news == News::AlarmsRebuilt).count();
    {
        let (store, _) = desk.open();
        assert_eq!(told(&store), 0, "the same store, the same list");
        // As after an import: the records are of another generation.
        let other = AlarmList { generation: store.generation() + 1, rebuilt: None };
        store.write(Durability::Barrier, |tx| tx.put(&other)).expect("written");
    }
    {
        let (store, _) = desk.open();
        assert_eq!(told(&store), 1);
        let e = store.list::<Event>().expect("events").pop().expect("one");
        let of = |project| Subscription { project, ..store.require(&uuid::Uuid::from_u128(1)).expect("subscription") };
        assert!(of(ProjectId(uuid::Uuid::from_u128(9))).wants(&e), "of whatever project");
    }
    let (store, _) = desk.open();
    assert_eq!(told(&store), 1, "once");
}
