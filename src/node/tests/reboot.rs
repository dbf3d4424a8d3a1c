//! What a start after a power cut brings back, in which order, and what it leaves to operations.

use super::guests;
use crate::{
    model::{
        alarm::{Alarm, Cause},
        error::Kind,
        health::ConditionState,
        id::{OpId, VnfId, VnfcId},
        ns::NsInstance,
        op::CancelMode,
        vnfd::Readiness,
    },
    node::{
        conditions::conditions,
        kit::{Shape, TestBox, nsd, vnf_box, vnfd},
    },
    sim::{
        Behaviour,
        faults::{Method, Rule, Target, Then},
    },
    vim::port::{GuestState, Hypervisor},
    vnfm::{alter::Alter, change::ScaleTo, revive::Missing},
};

/// Two guests, of the first of which there may be more.
fn up(readiness: Readiness) -> (TestBox, VnfId, Vec<VnfcId>) {
    let (b, id) = vnf_box(&Shape { most: 3, readiness, grace_s: 3600, ..Shape::default() });
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let old = guests(&b.vnf(id));
    (b, id, old)
}

fn alter(b: &TestBox, id: VnfId, what: &Alter) -> OpId {
    b.core().vnfm().alter(id, what, "{}").expect("accepted").id
}
fn one_more() -> Alter {
    Alter::Scale(ScaleTo::Steps { aspect: "more".into(), out: true, steps: 1 })
}

fn states(b: &TestBox, of: &[VnfcId]) -> Vec<Option<GuestState>> {
    of.iter().map(|g| b.sim.state(*g).expect("state")).collect()
}
fn off(b: &TestBox, of: &[VnfcId]) -> bool {
    states(b, of).iter().all(|s| *s == Some(GuestState::Off))
}
fn run(b: &TestBox, of: &[VnfcId]) -> bool {
    states(b, of).iter().all(|s| *s == Some(GuestState::Running))
}

fn looked(b: &TestBox) {
    b.core().watch().expect("watching");
    b.until("the first look", || b.core().reconciled().last.is_some());
}

/// The looks that belong to a start are over.
fn later(b: &TestBox) {
    for _ in 0..3 {
        let before = b.sim.faults().count(Method::List);
        b.core().look_again(Missing::Leave);
        b.until("another look", || b.sim.faults().count(Method::List) > before);
    }
}

#[test]
fn an_operation_that_is_stuck_keeps_no_guest_off_but_the_one_it_was_adding() {
    for broken in [false, true] {
        let (mut b, id, old) = up(Readiness::Running);
        b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)));
        let op = alter(&b, id, &one_more());
        b.assert_state(op, "FAILED_TEMP");
        let new: Vec<VnfcId> = guests(&b.vnf(id)).into_iter().filter(|g| !old.contains(g)).collect();
        assert_eq!(new.len(), 1);
        b.host_reboot();
        if broken {
            b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)).of(old[0]).times(u64::MAX));
        }
        b.start();
        looked(&b);
        let found = b.core().reconciled().last.expect("looked");
        let failed: Vec<VnfcId> = found.failed.iter().map(|(g, _)| *g).collect();
        assert_eq!(failed, old[..usize::from(broken)]);
        assert_eq!((found.started, found.held), (2 - failed.len(), vec![(new[0], op)]));
        assert!(run(&b, &old[usize::from(broken)..]) && off(&b, &new), "{}", b.picture());

        let said = conditions(b.core()).into_iter().find(|c| c.name == "reconciled").expect("a condition");
        assert_eq!(said.state, ConditionState::Failed);
        assert!(said.text.contains(&format!("{} ({}", new[0], "it is off until operation")), "{}", said.text);
        b.until("an alarm of each", || {
            let all: Vec<Alarm> = b.store().list().expect("alarms");
            all.iter().filter(|a| a.cause == Cause::GuestNotStarted && a.cleared.is_none()).count() == 1 + usize::from(broken)
        });
        b.sim.faults().clear();
        b.core().nfvo.rollback(op).expect("accepted");
        b.assert_state(op, "ROLLED_BACK");
        // What was left to it is looked at again when it is over.
        b.until("all that is left runs", || run(&b, &old));
        b.assert_vnf_up(id);
    }
}

#[test]
fn guests_that_an_operation_under_way_does_not_name_do_not_wait_for_it() {
    let (mut b, id, old) = up(Readiness::Agent);
    b.sim.set_guests(|_| Behaviour::deaf());
    let pings = b.sim.faults().count(Method::AgentPing);
    let op = alter(&b, id, &one_more());
    b.until("it waits for an agent", || b.sim.faults().count(Method::AgentPing) > pings);
    b.host_reboot();
    b.start();
    looked(&b);
    later(&b);
    assert_eq!(b.op(op).state.name(), "PROCESSING", "{}", b.picture());
    assert!(run(&b, &old), "{}", b.picture());
    let new: Vec<VnfcId> = guests(&b.vnf(id)).into_iter().filter(|g| !old.contains(g)).collect();
    b.until("the operation has started what it adds", || run(&b, &new));
    let calm = b.core().reconciled().last.expect("looked");
    assert_eq!((calm.held, calm.failed.len()), (vec![], 0));
}

#[test]
fn what_a_start_left_to_an_operation_is_started_when_that_leaves_it_behind() {
    let (mut b, id, old) = up(Readiness::Running);
    let stays = || Rule::next(Method::Remove, Then::Fail(Kind::Transient)).times(u64::MAX);
    b.sim.faults().add(stays());
    let op = alter(&b, id, &Alter::Heal { which: vec![old[0]], anew: false });
    b.until("the old one is about to go", || b.sim.faults().count(Method::Remove) > 0);
    b.host_reboot();
    b.sim.faults().add(stays());
    b.start();
    looked(&b);
    later(&b);
    assert_eq!(b.op(op).state.name(), "PROCESSING", "{}", b.picture());
    assert!(off(&b, &old[..1]) && run(&b, &old[1..]), "it has that one in hand\n{}", b.picture());
    b.core().nfvo.cancel(op, CancelMode::Forceful).expect("accepted");
    b.assert_state(op, "FAILED_TEMP");
    b.until("the old one runs again", || run(&b, &old));
    b.sim.faults().clear();
    b.core().nfvo.retry(op).expect("accepted");
    b.assert_state(op, "COMPLETED");
    b.assert_vnf_up(id);
}

/// A service of two members, the second after the first, with these priorities.
fn pair(b: &TestBox, name: &str, priorities: [u32; 2]) -> Vec<VnfcId> {
    let mut nsd = nsd(name, &[("first", "vnf", &[]), ("second", "vnf", &["first"])]);
    for f in &mut nsd.flavours {
        f.members.iter_mut().zip(priorities).for_each(|(m, p)| m.priority = p);
        for l in &mut f.links {
            // Networks of its own.
            l.profile.layer3.clear();
            l.profile.forwards.clear();
        }
    }
    b.onboard_nsd(nsd);
    let id = b.create_ns(name);
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    ["first", "second"].map(|m| guests(&b.member(id, m))[0]).to_vec()
}

#[test]
fn services_start_by_their_priority_and_in_each_members_after_those_they_depend_on() {
    let mut b = TestBox::new();
    b.onboard(vnfd("vnf", &Shape::small()));
    let late = pair(&b, "late", [7, 7]);
    let early = pair(&b, "early", [9, 5]);
    b.host_reboot();
    b.sim.faults().record();
    b.start();
    assert_eq!(b.core().vnfm().reconcile().expect("reconciled").started, 4);
    let calls = b.sim.faults().taken();
    let started: Vec<VnfcId> = calls
        .iter()
        .filter(|(m, _)| *m == Method::Start)
        .filter_map(|(_, t)| if let Target::Guest(g) = t { Some(*g) } else { None })
        .collect();
    assert_eq!(started, [early, late].concat());
}

#[test]
fn guests_wait_for_a_link_that_cannot_be_brought_up() {
    let mut b = TestBox::new();
    b.onboard(vnfd("vnf", &Shape::small()));
    let (cut, well) = (pair(&b, "cut", [0, 0]), pair(&b, "well", [0, 0]));
    let ns = b.store().list::<NsInstance>().expect("services").into_iter().find(|n| n.nsd_id == "cut").expect("it");
    let link = ns.links.iter().find(|(id, _)| id == "lan").expect("a link").1;
    b.host_reboot();
    b.sim.faults().add(Rule::next(Method::EnsureSegment, Then::Fail(Kind::Transient)).of(link).times(u64::MAX));
    b.start();
    looked(&b);
    later(&b);
    assert!(run(&b, &well) && off(&b, &cut));
    let found = b.core().reconciled().last.expect("looked");
    assert!(found.failed.iter().all(|(g, why)| cut.contains(g) && why.starts_with("its link lan is not up: ")), "{found:?}");
    assert_eq!(found.failed.len(), 2);
    b.sim.faults().clear();
    b.core().look_again(Missing::Leave);
    b.until("they have their link, and run", || run(&b, &cut));
}
