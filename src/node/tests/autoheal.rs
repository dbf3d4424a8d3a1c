//! Guests that crash are healed by themselves where their VNF says so, so often and no more.

use super::guests;
use crate::{
    model::{
        alarm::{Alarm, Cause, Object, Severity},
        error::Kind,
        id::{OpId, VnfId, VnfcId},
        op::{OpKind, Operation, Target},
        param::Param,
        vnf::{AUTOHEAL, Autoheal, VnfInstance},
    },
    node::kit::{Shape, TestBox, ns_box, vnf_box},
    sim::faults::{Method, Rule, Then},
    store::{Durability, Store},
    vim::port::{GuestState, Hypervisor},
};

pub fn set(store: &Store, id: VnfId, on: bool) {
    let change = |v: &mut VnfInstance| {
        v.configurable = vec![(AUTOHEAL.into(), Param::Bool(on))];
        Ok(())
    };
    store.write(Durability::Barrier, |tx| tx.update::<VnfInstance>(&id, change)).expect("set");
}

pub fn watch(b: &TestBox) {
    b.core().watch().expect("watching");
    b.until("the first look", || b.core().reconciled().last.is_some());
}

/// A VNF that is up, watched, and heals itself.
fn up() -> (TestBox, VnfId) {
    let (b, id) = vnf_box(&Shape::default());
    watch(&b);
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    set(b.store(), id, true);
    (b, id)
}

/// Operations that heal and that nobody asked for, the oldest first.
pub fn heals(b: &TestBox) -> Vec<Operation> {
    let mut all: Vec<Operation> = b.store().list().expect("operations");
    all.retain(|o| o.kind == OpKind::Heal && o.automatic && o.parent.is_none());
    all.sort_by_key(|o| (o.created, o.id));
    all
}

fn heal_number(b: &TestBox, n: usize) -> OpId {
    b.until("healing", || heals(b).len() >= n);
    heals(b)[n - 1].id
}

pub fn standing(b: &TestBox) -> Vec<Alarm> {
    let mut all: Vec<Alarm> = b.store().list().expect("alarms");
    all.retain(|a| a.cleared.is_none());
    all
}

pub fn crash(b: &TestBox, guest: VnfcId) {
    b.sim.put(guest, GuestState::Crashed).expect("crashed");
}

#[test]
fn a_crashed_guest_is_made_again_and_the_alarm_ends() {
    let (b, id) = up();
    let [first, second] = guests(&b.vnf(id))[..] else { panic!("two guests") };
    crash(&b, first);
    let op = b.assert_state(heal_number(&b, 1), "COMPLETED");
    assert_eq!(op.target, Target::Vnf(id));
    assert!(op.warnings[0].starts_with("begun by itself: guest ") && op.warnings[0].ends_with("crashed; try 1 of 3"), "{:?}", op.warnings);
    b.assert_vnf_up(id);
    let now = guests(&b.vnf(id));
    assert!(!now.contains(&first) && now.contains(&second), "only the one that crashed is another");
    b.until("the end of the alarm", || standing(&b).is_empty());
    assert_eq!(heals(&b).len(), 1);
}

#[test]
fn a_guest_that_went_off_or_whose_vnf_does_not_ask_for_it_is_left_alone() {
    let (b, id) = up();
    let [first, second] = guests(&b.vnf(id))[..] else { panic!("two guests") };
    b.sim.put(first, GuestState::Off).expect("off");
    b.until("an alarm", || !standing(&b).is_empty());
    set(b.store(), id, false);
    crash(&b, second);
    b.until("both alarms", || standing(&b).len() == 2);
    // A review or two, in which it would begin.
    for _ in 0..2 {
        let before = b.sim.faults().count(Method::List);
        b.core().look_again(crate::vnfm::revive::Missing::Leave);
        b.until("another look", || b.sim.faults().count(Method::List) > before);
    }
    assert_eq!(heals(&b), []);
}

#[test]
fn a_crash_loop_ends_with_an_alarm_that_says_so_and_a_start_by_hand_begins_anew() {
    let (b, id) = up();
    for n in 1..=3 {
        crash(&b, guests(&b.vnf(id))[0]);
        b.assert_state(heal_number(&b, n), "COMPLETED");
        b.until("the end of the alarm", || standing(&b).is_empty());
    }
    let last = guests(&b.vnf(id))[0];
    crash(&b, last);
    let says = "healing by itself is given up: 3 times it crashed again";
    b.until("that it is given up", || standing(&b).iter().any(|a| a.details.iter().any(|d| d == says)));
    let alarm = standing(&b).pop().expect("one");
    assert_eq!((alarm.cause, alarm.severity, alarm.details.len()), (Cause::GuestCrashed, Severity::Critical, 2));
    assert_eq!((heals(&b).len(), b.sim.state(last).expect("state")), (3, Some(GuestState::Crashed)));

    b.sim.start(last).expect("started by hand");
    b.until("its end", || standing(&b).is_empty());
    crash(&b, last);
    b.assert_state(heal_number(&b, 4), "COMPLETED");
}

#[test]
fn healing_that_fails_waits_for_somebody_and_the_alarm_names_its_operation() {
    let (b, id) = up();
    b.sim.faults().add(Rule::next(Method::Define, Then::Fail(Kind::Conflict)));
    crash(&b, guests(&b.vnf(id))[0]);
    let op = b.assert_state(heal_number(&b, 1), "FAILED_TEMP").id;
    b.until("the alarm says so", || standing(&b).iter().any(|a| a.details.iter().any(|d| d.contains(&format!("retry operation {op}")))));
    b.core().nfvo.retry(op).expect("accepted");
    b.assert_state(op, "COMPLETED");
    b.assert_vnf_up(id);
    b.until("the end of the alarm", || standing(&b).is_empty());
}

#[test]
fn a_member_is_healed_by_its_service() {
    let (b, id) = ns_box(&Shape::small());
    watch(&b);
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    let web = b.member(id, "web");
    set(b.store(), web.id, true);
    crash(&b, guests(&web)[0]);
    let op = b.assert_state(heal_number(&b, 1), "COMPLETED");
    assert_eq!(op.target, Target::Ns(id));
    b.assert_ns_up(id);
    b.until("the end of both alarms", || standing(&b).is_empty());
}

#[test]
fn healing_outlives_a_kill_of_bothy_and_before_it_began_a_start_is_enough() {
    let (mut b, id) = up();
    let guest = guests(&b.vnf(id))[0];
    // Begun, and no step of it done.
    b.core().engine.stop();
    crash(&b, guest);
    let op = heal_number(&b, 1);
    // It is seen before it is on the disk.
    b.store().settle().expect("on the disk");
    b.kill_and_start();
    watch(&b);
    b.assert_state(op, "COMPLETED");
    b.assert_vnf_up(id);
    b.until("the end of the alarm", || standing(&b).is_empty());

    // An alarm stands, and healing was not begun.
    let guest = guests(&b.vnf(id))[0];
    set(b.store(), id, false);
    crash(&b, guest);
    b.until("an alarm", || standing(&b).iter().any(|a| a.object == Object::Vnf(id)));
    b.kill_and_start_after(|store| set(store, id, true));
    watch(&b);
    b.until("the end of the alarm", || standing(&b).is_empty());
    assert_eq!((heals(&b).len(), guests(&b.vnf(id))[0]), (1, guest), "it was started as it is");
    b.assert_vnf_up(id);
}

#[test]
fn no_try_is_allowed_and_that_is_said() {
    let (b, id) = up();
    let mut rules = b.core().vnfm().rules();
    rules.autoheal = Autoheal { tries: 0, ..rules.autoheal };
    b.core().vnfm().set_rules(rules);
    crash(&b, guests(&b.vnf(id))[0]);
    b.until("it is said", || standing(&b).iter().any(|a| a.details.iter().any(|d| d.contains("autoheal.tries is 0"))));
    assert_eq!(heals(&b), []);
}
