//! Kills, restarts, reboots, and a hypervisor that goes away.

use std::time::Duration;

use super::guests;
use crate::{
    lcm::timeline::Progress,
    model::{
        domain::{DomainSpec, Owner},
        epa::Epa,
        error::Kind,
        id::{OpId, ProjectId, VnfId, VnfcId},
        op::{CancelMode, Operation, PLAN_FORMAT},
        size::MiB,
        vnf::{RunState, Stopping},
        vnfd::Firmware,
    },
    node::kit::{Shape, TestBox, ask_vnf, ns_box, nsd, vnf_box, vnfd},
    sim::faults::{Method, Rule, Target, Then},
    store::{Durability, rewrite_as_older},
    vim::port::{GuestState, Hypervisor},
};

#[test]
fn guests_outlive_bothy_and_are_not_touched_by_its_start() {
    let (mut b, id) = ns_box(&Shape::small());
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    b.sim.faults().reset_counts();
    for end in ["stop", "kill"] {
        match end {
            "stop" => b.restart(),
            _ => b.kill_and_start(),
        }
        let found = b.core().vnfm().reconcile().expect("reconciled");
        assert_eq!((found.running, found.started, found.failed.len(), found.orphans.len()), (3, 0, 0, 0));
        for method in [Method::Start, Method::Destroy, Method::Define, Method::Remove, Method::AskStop] {
            assert_eq!(b.sim.faults().count(method), 0, "{end}: {method:?}");
        }
        b.assert_ns_up(id);
    }
}

#[test]
fn after_a_reboot_of_the_host_networks_come_first_then_guests_by_priority_so_many_at_once() {
    let mut b = TestBox::new();
    b.onboard(vnfd("vnf", &Shape::small()));
    b.onboard_nsd(nsd("ns", &[("a", "vnf", &[]), ("b", "vnf", &["a"]), ("c", "vnf", &["b"]), ("d", "vnf", &["c"])]));
    let id = b.create_ns("ns");
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    let alone = b.create_vnf("vnf");
    b.assert_state(b.instantiate_vnf(alone), "COMPLETED");
    let stop = b.core().vnfm().operate(alone, RunState::Stopped, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(stop, "COMPLETED");
    let order = ["a", "b", "c", "d"].map(|m| guests(&b.member(id, m))[0]);
    b.host_reboot();
    b.sim.faults().reset_counts();
    b.sim.faults().record();
    b.start();
    let found = b.core().vnfm().reconcile().expect("reconciled");
    assert_eq!((found.started, found.running, found.failed.len()), (4, 0, 0));
    let calls = b.sim.faults().taken();
    let started: Vec<VnfcId> = calls
        .iter()
        .filter(|(m, _)| *m == Method::Start)
        .filter_map(|(_, t)| if let Target::Guest(g) = t { Some(*g) } else { None })
        .collect();
    assert_eq!(started, order);
    let first_start = calls.iter().position(|(m, _)| *m == Method::Start).expect("a start");
    let last_link =
        calls.iter().rposition(|(m, _)| matches!(m, Method::EnsureLink | Method::EnsureDhcp | Method::EnsurePort)).expect("links");
    assert!(last_link < first_start, "{calls:?}");
    assert_eq!(b.sim.state(guests(&b.vnf(alone))[0]).expect("state"), Some(GuestState::Off), "it was stopped");
}

#[test]
fn no_more_guests_are_started_at_once_than_the_rules_say() {
    let mut b = TestBox::new();
    b.onboard(vnfd("vnf", &Shape { vdus: 6, ..Shape::default() }));
    let id = b.create_vnf("vnf");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    b.host_reboot();
    b.start();
    b.sim.start_delay(Duration::from_millis(20));
    let t = std::time::Instant::now();
    assert_eq!(b.core().vnfm().reconcile().expect("reconciled").started, 6);
    // Two at once (see the kit): three rounds.
    assert!(t.elapsed() >= Duration::from_millis(60), "{:?}", t.elapsed());
}

pub(super) fn stray(op: OpId, generation: u64) -> DomainSpec {
    DomainSpec {
        id: VnfcId(uuid::Uuid::from_u128(u128::from(generation) + 77)),
        owner: Owner {
            project: ProjectId::DEFAULT,
            ns: None,
            vnf: VnfId(uuid::Uuid::from_u128(5)),
            op,
            generation,
            vnf_name: "x".into(),
            vdu: "x".into(),
            index: 0,
        },
        vcpus: 1,
        memory: MiB(64),
        firmware: Firmware::Bios,
        disks: Vec::new(),
        medium: None,
        nics: Vec::new(),
        epa: Epa::default(),
        placed: None,
    }
}

#[test]
fn orphans_of_this_store_go_and_strangers_stay() {
    let (b, id) = vnf_box(&Shape::small());
    let op = b.instantiate_vnf(id);
    b.assert_state(op, "COMPLETED");
    let generation = b.store().generation();
    let ours = stray(op, generation);
    b.sim.define(&ours).expect("a call of a killed predecessor");
    let found = b.core().vnfm().reconcile().expect("reconciled");
    assert_eq!(found.orphans, [ours.id]);
    let unknown = OpId(uuid::Uuid::from_u128(9));
    for stranger in [stray(op, generation + 1), stray(unknown, generation)] {
        b.sim.define(&stranger).expect("another store's");
        let found = b.core().vnfm().reconcile().expect("reconciled");
        assert_eq!((found.orphans.len(), found.quarantined), (0, vec![stranger.id]));
        b.sim.remove(stranger.id).expect("removed");
    }
}

#[test]
fn an_operation_waits_for_a_hypervisor_that_is_away_and_goes_on_when_it_is_back() {
    let (b, id) = vnf_box(&Shape::small());
    b.core().watch().expect("watching");
    b.until("the first look", || b.core().reconciled().last.is_some());
    b.sim.connect(false);
    let op = b.instantiate_vnf(id);
    b.until("it says what it waits for", || {
        let (_, lines) = b.core().engine.timeline(op).expect("a timeline");
        lines
            .iter()
            .any(|l| l.progress == Progress::Waiting && l.why.as_deref().is_some_and(|w| w.contains("connection to the hypervisor")))
    });
    assert_eq!(b.op(op).state.name(), "PROCESSING");
    b.until("the watch has heard of it", || b.core().reconciled().waiting.is_some());
    b.sim.connect(true);
    b.assert_state(op, "COMPLETED");
    b.assert_vnf_up(id);
    b.until("the host was looked at again", || b.core().reconciled().waiting.is_none());
}

#[test]
fn a_hypervisor_that_stays_away_ends_the_operation_with_that_reason() {
    let (mut b, _) = vnf_box(&Shape::small());
    b.engine.transient_budget = Duration::from_millis(200);
    b.restart();
    let id = b.create_vnf("vnf");
    b.core().vnfm().supply().expect("the host was seen once");
    b.sim.connect(false);
    let op = b.assert_state(b.instantiate_vnf(id), "FAILED_TEMP");
    let text = op.error.expect("a reason").text;
    assert!(text.contains("still so after"), "{text}");
    b.sim.connect(true);
    b.core().nfvo.retry(op.id).expect("accepted");
    b.assert_state(op.id, "COMPLETED");
}

#[test]
fn a_plan_of_an_unknown_format_stops_with_that_reason_and_bothy_starts() {
    let (mut b, id) = vnf_box(&Shape::small());
    b.sim.connect(false);
    let op = b.core().vnfm().instantiate(id, &ask_vnf());
    assert!(op.is_err(), "what the host has was never known");
    b.sim.connect(true);
    b.sim.faults().add(Rule::next(Method::Start, Then::Dead));
    let op = b.instantiate_vnf(id);
    b.until("killed", || b.sim.faults().is_dead());
    b.kill_and_start_after(|store| {
        let mut o: Operation = store.require(&op).expect("the operation");
        o.plan_format = PLAN_FORMAT + 1;
        store.write(Durability::Barrier, |tx| tx.put(&o)).expect("stored");
    });
    assert_eq!(b.core().recovered.refused, 1);
    let stuck = b.assert_state(op, "FAILED_TEMP");
    assert!(stuck.error.expect("a reason").text.contains("has format 2, this bothy runs formats 1 to 1"));
    assert!(b.core().nfvo.retry(op).is_err() && b.core().nfvo.rollback(op).is_err());
    b.core().nfvo.fail(op).expect("given up");
    b.assert_state(b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_nothing_left();
}

#[test]
fn a_plan_of_an_older_release_is_carried_to_its_end_or_taken_back() {
    for breaks in [false, true] {
        let (mut b, id) = ns_box(&Shape::small());
        b.sim.faults().add(Rule::next(Method::Start, Then::Dead).nth(2));
        let op = b.instantiate_ns(id);
        b.until("killed", || b.sim.faults().is_dead());
        let sim = b.sim.clone();
        b.kill_and_start_after(|store| {
            assert_eq!(store.require::<Operation>(&op).expect("the operation").state.name(), "PROCESSING");
            assert!(rewrite_as_older(store) > 15, "links, and all steps of three VNFs");
            if breaks {
                sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)).nth(2));
            }
        });
        assert!(b.core().recovered.resumed > 0);
        if breaks {
            b.assert_state(op, "FAILED_TEMP");
            b.core().nfvo.rollback(op).expect("accepted");
            b.assert_state(op, "ROLLED_BACK");
        } else {
            b.assert_state(op, "COMPLETED");
            b.assert_ns_up(id);
            b.assert_state(b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
        }
        b.assert_nothing_left();
    }
}

#[test]
fn a_plan_with_a_step_missing_does_not_keep_bothy_from_starting() {
    let (mut b, id) = vnf_box(&Shape::small());
    b.sim.faults().add(Rule::next(Method::Start, Then::Dead));
    let op = b.instantiate_vnf(id);
    b.until("killed", || b.sim.faults().is_dead());
    b.kill_and_start_after(|store| {
        store.write(Durability::Barrier, |tx| tx.delete::<crate::model::step::PlanStep>(&(op, 0))).expect("stored");
    });
    let stuck = b.assert_state(op, "FAILED_TEMP");
    assert!(stuck.error.expect("a reason").text.contains("of its"));
}

#[test]
fn what_is_over_can_still_be_read_from_the_history() {
    let (mut b, id) = ns_box(&Shape::small());
    let op = b.instantiate_ns(id);
    b.assert_state(op, "COMPLETED");
    let before = b.core().engine.timeline(op).expect("a timeline");
    let children = b.store().list::<Operation>().expect("operations").len();
    assert_eq!(crate::lcm::archive::archive(b.store()).expect("moved"), children);
    assert_eq!(b.store().list::<Operation>().expect("operations"), []);
    let show = |t: &(Operation, Vec<crate::lcm::timeline::Line>)| format!("{t:?}");
    assert_eq!(show(&b.core().engine.timeline(op).expect("a timeline")), show(&before));
    b.kill_and_start();
    assert_eq!(show(&b.core().engine.timeline(op).expect("a timeline")), show(&before));
    assert_eq!(crate::lcm::timeline::all_operations(b.store()).expect("operations").len(), children);
    b.assert_state(b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_nothing_left();
}

#[test]
fn parts_of_what_is_not_over_stay_where_they_are() {
    let (b, id) = ns_box(&Shape::small());
    b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)).nth(2));
    let op = b.instantiate_ns(id);
    b.assert_state(op, "FAILED_TEMP");
    assert_eq!(crate::lcm::archive::archive(b.store()).expect("moved"), 0);
    b.core().nfvo.rollback(op).expect("accepted");
    b.assert_state(op, "ROLLED_BACK");
    b.assert_nothing_left();
}

#[test]
fn a_cancellation_survives_a_kill() {
    let (mut b, id) = vnf_box(&Shape { readiness: crate::model::vnfd::Readiness::Agent, ..Shape::small() });
    b.sim.set_guests(|_| crate::sim::Behaviour::deaf());
    let op = b.instantiate_vnf(id);
    b.until("it waits for the agent", || b.op(op).state.name() == "PROCESSING" && b.sim.faults().count(Method::AgentPing) > 0);
    // As if killed between the cancellation's record and its effect.
    b.kill_and_start_after(|store| {
        let mut o: Operation = store.require(&op).expect("the operation");
        o.cancel = Some(CancelMode::Graceful);
        store.write(Durability::Barrier, |tx| tx.put(&o)).expect("stored");
    });
    b.assert_state(op, "FAILED_TEMP");
}

#[test]
fn a_guest_that_a_full_disk_paused_is_reported_after_a_restart_too() {
    let (mut b, id) = vnf_box(&Shape::small());
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let guest = guests(&b.vnf(id))[0];
    b.sim.put(guest, GuestState::PausedIo).expect("paused");
    b.restart();
    b.core().watch().expect("watching");
    b.until("the first look", || b.core().reconciled().last.is_some());
    assert!(b.core().reconciled().paused.contains(&guest));
}
