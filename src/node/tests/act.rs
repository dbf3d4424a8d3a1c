//! What a client may ask of an operation, in each of its phases and for each state of its members.

use std::time::Duration;

use super::guests;
use crate::{
    model::{
        error::Kind,
        id::{NsId, OpId, VnfId},
        op::{CancelMode, OpKind, OpState, Operation, Phase, VnfOpState},
        param::Param,
        size::Bytes,
        step::{NsStep, Step, VnfStep},
        vnf::{Properties, RunState, Stopping, VnfInstance},
        vnfd::Readiness,
    },
    node::kit::{Shape, THREE, TestBox, ask_ns, ask_vnf, ns_box, nsd, vnf_box, vnfd},
    sim::{
        Behaviour,
        faults::{Method, Rule, Then},
    },
    vim::port::{DiskRoom, GuestState, Hypervisor},
};

fn waits_for_agent() -> Shape {
    Shape { readiness: Readiness::Agent, grace_s: 60, ..Shape::small() }
}

/// (member's profile, its operation) of a service's operation.
fn children(b: &TestBox, op: OpId) -> Vec<(VnfId, Operation)> {
    let of = |s: &crate::model::step::PlanStep| match s.step {
        Step::Ns(NsStep::Instantiate { vnf, op, .. } | NsStep::Terminate { vnf, op }) => Some((vnf, b.op(op))),
        _ => None,
    };
    b.steps(op).iter().filter_map(of).collect()
}

#[test]
fn a_cancelled_instantiation_can_be_retried_or_rolled_back() {
    for mode in [CancelMode::Graceful, CancelMode::Forceful] {
        let (b, id) = vnf_box(&waits_for_agent());
        b.sim.set_guests(|_| Behaviour::deaf());
        let op = b.instantiate_vnf(id);
        b.until("it waits for the agent", || b.sim.faults().count(Method::AgentPing) > 0);
        b.core().nfvo.cancel(op, mode).expect("accepted");
        let stuck = b.assert_state(op, "FAILED_TEMP");
        assert!(stuck.error.expect("a reason").text.starts_with("cancelled"));
        assert_eq!(b.core().nfvo.cancel(op, mode).expect_err("nothing runs").kind(), Kind::Conflict);
        match mode {
            CancelMode::Graceful => {
                b.sim.set_guests(|_| Behaviour::default());
                b.sim.put(guests(&b.vnf(id))[0], GuestState::Off).expect("off");
                b.sim.start(guests(&b.vnf(id))[0]).expect("with an agent now");
                b.core().nfvo.retry(op).expect("accepted");
                b.assert_state(op, "COMPLETED");
                b.assert_vnf_up(id);
                assert_eq!(b.core().nfvo.cancel(op, mode).expect_err("over").kind(), Kind::Conflict);
                assert!(crate::lcm::archive::archive(b.store()).expect("moved") > 0);
                let nfvo = &b.core().nfvo;
                for refused in [nfvo.cancel(op, mode), nfvo.retry(op), nfvo.rollback(op), nfvo.fail(op)] {
                    assert_eq!(refused.expect_err("in the history").kind(), Kind::Conflict);
                }
            }
            CancelMode::Forceful => {
                b.core().nfvo.rollback(op).expect("accepted");
                b.assert_state(op, "ROLLED_BACK");
                b.assert_nothing_left();
            }
        }
    }
}

#[test]
fn a_termination_that_waits_for_its_guests_can_be_cut_short_and_retried() {
    let (b, id) = vnf_box(&Shape::small());
    b.sim.set_guests(|_| Behaviour::deaf());
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let op = b.core().vnfm().terminate(id, Stopping::Within(3600), "{}".into()).expect("accepted").id;
    b.until("asked", || b.sim.faults().count(Method::AskStop) >= 2);
    b.core().nfvo.cancel(op, CancelMode::Forceful).expect("accepted");
    b.assert_state(op, "FAILED_TEMP");
    assert_eq!(b.core().nfvo.rollback(op).expect_err("what is removed stays removed").kind(), Kind::Conflict);
    b.core().nfvo.fail(op).expect("accepted");
    let op = b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    b.assert_nothing_left();
}

#[test]
fn a_cancelled_rollback_can_be_taken_up_again() {
    for service in [false, true] {
        let (b, op) = if service {
            let (b, id) = ns_box(&Shape::small());
            b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)).nth(3));
            let op = b.instantiate_ns(id);
            (b, op)
        } else {
            let (b, id) = vnf_box(&Shape::default());
            b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)).nth(2));
            let op = b.instantiate_vnf(id);
            (b, op)
        };
        b.assert_state(op, "FAILED_TEMP");
        b.sim.set_delay(Method::Remove, Duration::from_millis(500));
        b.core().nfvo.rollback(op).expect("accepted");
        b.until("it rolls back", || b.sim.faults().count(Method::Remove) > 0);
        b.core().nfvo.cancel(op, CancelMode::Forceful).expect("accepted");
        b.assert_state(op, "FAILED_TEMP");
        b.sim.set_delay(Method::Remove, Duration::ZERO);
        b.core().nfvo.rollback(op).expect("accepted");
        b.assert_state(op, "ROLLED_BACK");
        b.assert_nothing_left();
    }
}

/// A service of which `web` is up, `fw` waits for its agent and `client` has not begun.
fn half_way() -> (TestBox, NsId, OpId) {
    let (b, id) = ns_box(&waits_for_agent());
    b.sim.set_guests(|spec| if spec.owner.vnf_name == "s-web" { Behaviour::default() } else { Behaviour::deaf() });
    let op = b.instantiate_ns(id);
    b.until("fw waits for its agent", || {
        let states: Vec<_> = children(&b, op).iter().map(|(_, o)| o.state).collect();
        states == [VnfOpState::Completed, VnfOpState::Processing, VnfOpState::Starting].map(OpState::Vnf)
            && b.sim.state(guests(&b.member(id, "fw"))[0]).expect("state") == Some(GuestState::Running)
    });
    (b, id, op)
}

#[test]
fn a_cancelled_service_rests_with_its_members_and_can_go_every_way() {
    for (mode, way) in [(CancelMode::Graceful, "retry"), (CancelMode::Forceful, "rollback"), (CancelMode::Forceful, "fail")] {
        let (b, id, op) = half_way();
        b.core().nfvo.cancel(op, mode).expect("accepted");
        b.assert_state(op, "FAILED_TEMP");
        for (_, child) in children(&b, op) {
            assert_ne!(child.state.phase(), Phase::Forward, "{}", b.picture());
        }
        match way {
            "retry" => {
                b.sim.set_guests(|_| Behaviour::default());
                let fw = guests(&b.member(id, "fw"))[0];
                b.sim.put(fw, GuestState::Off).expect("off");
                b.sim.start(fw).expect("with an agent now");
                b.core().nfvo.retry(op).expect("accepted");
                b.assert_state(op, "COMPLETED");
                b.assert_ns_up(id);
                b.assert_state(b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
            }
            "rollback" => {
                b.core().nfvo.rollback(op).expect("accepted");
                b.assert_state(op, "ROLLED_BACK");
            }
            _ => {
                b.core().nfvo.fail(op).expect("accepted");
                b.assert_state(op, "FAILED");
                b.assert_state(b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
            }
        }
        b.assert_nothing_left();
    }
}

/// Cancellations at every moment of a service's releasing its members side by side: each of them is
/// reached, also one that was not there to be cancelled when the service looked.
#[test]
fn a_cancellation_reaches_members_that_are_released_in_that_moment() {
    let profiles: Vec<String> = (0..24).map(|n| format!("m{n}")).collect();
    let members: Vec<(&str, &str, &[&str])> = profiles.iter().map(|p| (p.as_str(), "vnf", &[][..])).collect();
    for round in 0..24u32 {
        let b = TestBox::new();
        b.onboard(vnfd("vnf", &Shape { readiness: Readiness::Serial("never".into()), grace_s: 3, ..Shape::small() }));
        b.onboard_nsd(nsd("ns", &members));
        b.sim.set_guests(|_| Behaviour::deaf());
        let id = b.create_ns("ns");
        let op = b.instantiate_ns(id);
        let ids: Vec<OpId> = children(&b, op).into_iter().map(|(_, o)| o.id).collect();
        let first = ids[(round as usize * 5) % ids.len()];
        b.until("it is released", || b.op(first).state.phase() != Phase::Held);
        b.core().nfvo.cancel(op, CancelMode::Forceful).expect("accepted");
        let stuck = b.assert_state(op, "FAILED_TEMP");
        let why = stuck.error.expect("a reason").text;
        assert!(why.contains("cancelled"), "round {round}: {why}");
        for child in ids {
            let child = b.op(child);
            let untouched = child.state == OpState::Vnf(VnfOpState::Starting);
            assert!(untouched || child.cancel.is_some(), "round {round}: {}", b.picture());
        }
        b.core().nfvo.rollback(op).expect("accepted");
        b.assert_state(op, "ROLLED_BACK");
        b.assert_nothing_left();
    }
}

#[test]
fn a_cancellation_that_a_kill_kept_from_the_members_reaches_them_at_the_next_start() {
    let (mut b, _, op) = half_way();
    b.kill_and_start_after(|store| {
        let cancel = |tx: &mut crate::store::Tx<'_>| {
            let mut op: Operation = tx.require(&op)?;
            op.cancel = Some(CancelMode::Forceful);
            tx.put(&op)
        };
        store.write(crate::store::Durability::Barrier, cancel).expect("stored");
    });
    b.assert_state(op, "FAILED_TEMP");
    // The kill may have taken back that `fw` was released, and even then its guest goes.
    let states: Vec<_> = children(&b, op).iter().map(|(_, o)| o.state.name()).collect();
    assert!(matches!(states[..], ["COMPLETED", "FAILED_TEMP" | "STARTING", "STARTING"]), "{states:?}");
    b.core().nfvo.rollback(op).expect("accepted");
    b.assert_state(op, "ROLLED_BACK");
    b.assert_nothing_left();
}

/// Two members side by side: one fails while the other still comes up.
fn one_fails_one_comes_up() -> (TestBox, NsId, OpId) {
    let b = TestBox::new();
    b.onboard(vnfd("good", &waits_for_agent()));
    b.onboard(vnfd("bad", &Shape::small()));
    b.onboard_nsd(nsd("ns", &[("good", "good", &[]), ("bad", "bad", &[])]));
    let id = b.create_ns("ns");
    b.sim.set_guests(|spec| Behaviour {
        agent: (spec.owner.vnf_name == "s-good").then_some(Duration::from_millis(700)),
        ..Behaviour::default()
    });
    b.sim.set_delay(Method::EnsureDisk, Duration::from_millis(500));
    let op = b.instantiate_ns(id);
    b.until("planned", || !b.ns(id).members.is_empty());
    let bad = guests(&b.member(id, "bad"))[0];
    b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)).of(bad));
    (b, id, op)
}

#[test]
fn a_service_fails_only_when_no_member_moves_any_more() {
    for way in ["retry", "rollback", "fail"] {
        let (b, id, op) = one_fails_one_comes_up();
        let stuck = b.assert_state(op, "FAILED_TEMP");
        let error = stuck.error.expect("a reason");
        assert!(error.text.contains("Start failed"), "{}", error.text);
        let states: Vec<_> = children(&b, op).iter().map(|(_, o)| o.state.name()).collect();
        assert_eq!(states, ["COMPLETED", "FAILED_TEMP"]);
        match way {
            "retry" => {
                b.core().nfvo.retry(op).expect("accepted");
                b.assert_state(op, "COMPLETED");
                b.assert_ns_up(id);
                b.assert_state(b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
            }
            "rollback" => {
                b.core().nfvo.rollback(op).expect("accepted");
                b.assert_state(op, "ROLLED_BACK");
            }
            _ => {
                b.core().nfvo.fail(op).expect("accepted");
                assert_eq!(b.core().nfvo.retry(op).expect_err("final").kind(), Kind::Conflict);
                b.assert_state(b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
            }
        }
        b.assert_nothing_left();
    }
}

#[test]
fn a_rollback_that_broke_goes_on_but_never_forward() {
    for way in ["rollback", "fail"] {
        let (b, id) = ns_box(&Shape::small());
        b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)).nth(3));
        let op = b.instantiate_ns(id);
        b.assert_state(op, "FAILED_TEMP");
        let web = guests(&b.member(id, "web"))[0];
        b.sim.faults().add(Rule::next(Method::Remove, Then::Fail(Kind::Conflict)).of(web));
        b.core().nfvo.rollback(op).expect("accepted");
        b.assert_state(op, "FAILED_TEMP");
        let refused = b.core().nfvo.retry(op).expect_err("members are gone");
        assert_eq!((refused.kind(), refused.reasons().len()), (Kind::Conflict, 3));
        match way {
            "rollback" => {
                b.core().nfvo.rollback(op).expect("accepted");
                b.assert_state(op, "ROLLED_BACK");
            }
            _ => {
                b.core().nfvo.fail(op).expect("accepted");
                b.assert_state(b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
            }
        }
        b.assert_nothing_left();
    }
}

#[test]
fn a_vnf_whose_rollback_broke_may_go_either_way() {
    for way in ["retry", "rollback"] {
        let (b, id) = vnf_box(&Shape::default());
        b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)).nth(2));
        let op = b.instantiate_vnf(id);
        b.assert_state(op, "FAILED_TEMP");
        b.sim.faults().add(Rule::next(Method::RemoveDisk, Then::Fail(Kind::Conflict)).nth(2));
        b.core().nfvo.rollback(op).expect("accepted");
        b.assert_state(op, "FAILED_TEMP");
        if way == "retry" {
            b.core().nfvo.retry(op).expect("accepted");
            b.assert_state(op, "COMPLETED");
            b.assert_vnf_up(id);
            b.assert_state(b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
        } else {
            b.core().nfvo.rollback(op).expect("accepted");
            b.assert_state(op, "ROLLED_BACK");
        }
        b.assert_nothing_left();
    }
}

#[test]
fn guests_that_could_only_crawl_are_refused_before_anything_is_stored() {
    let (b, vnf) = vnf_box(&Shape::small());
    b.onboard_nsd(nsd("ns", &THREE));
    let ns = b.create_ns("ns");
    b.assert_state(b.instantiate_vnf(vnf), "COMPLETED");
    let stop = b.core().vnfm().operate(vnf, RunState::Stopped, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(stop, "COMPLETED");
    let other = b.create_vnf("vnf");
    let before = b.store().list::<Operation>().expect("read").len();
    b.sim.forbid_guests(Some("accel = kvm, and KVM does not run: turn on VT-x"));
    let vnfm = b.core().vnfm();
    let refusals = [
        vnfm.instantiate(other, &ask_vnf()).expect_err("instantiate"),
        vnfm.dry_instantiate(other, &ask_vnf()).expect_err("dry run"),
        vnfm.operate(vnf, RunState::Started, Stopping::AtOnce, "{}".into()).expect_err("start"),
        b.core().nfvo.instantiate(ns, &ask_ns()).expect_err("instantiate"),
        b.core().nfvo.dry_instantiate(ns, &ask_ns()).map(drop).expect_err("dry run"),
    ];
    for r in refusals {
        assert!(r.kind() == Kind::Conflict && r.text().contains("turn on VT-x"), "{r}");
    }
    assert_eq!(b.store().list::<Operation>().expect("read").len(), before, "nothing was accepted");
    // Going down is not forbidden, and neither is coming up once the host is put right.
    b.sim.forbid_guests(None);
    b.assert_state(b.instantiate_ns(ns), "COMPLETED");
    b.sim.forbid_guests(Some("KVM does not run"));
    b.assert_state(b.core().nfvo.terminate(ns, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_state(b.core().vnfm().terminate(vnf, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_nothing_left();
}

#[test]
fn properties_given_with_an_instantiation_stay_only_when_it_does() {
    let (mut b, id) = vnf_box(&Shape::small());
    b.put(&VnfInstance { extensions: vec![("a".into(), Param::Bool(true))], ..b.vnf(id) });
    let give = |b: &TestBox| {
        let all = |p: &mut Properties| {
            p.extensions = vec![("a".into(), Param::Bool(false)), ("b".into(), Param::Null)];
            p.configurable = vec![("c".into(), Param::Null)];
        };
        b.core().vnfm().instantiate_with(id, &ask_vnf(), &all)
    };
    let was = Properties::of(&b.vnf(id));
    let is_as_before = |b: &TestBox| assert_eq!(Properties::of(&b.vnf(id)), was, "{}", b.picture());

    // Refused for want of room.
    b.sim.set_room(DiskRoom { total: Bytes(1 << 40), free: Bytes(0), disks: Bytes(0) });
    let refused = give(&b).expect("accepted").id;
    b.assert_state(refused, "ROLLED_BACK");
    is_as_before(&b);
    b.sim.set_room(DiskRoom { total: Bytes(1 << 40), free: Bytes(1 << 40), disks: Bytes(0) });
    // Refused for a secret in the clear.
    let secret = |p: &mut Properties| p.configurable.push(("password".into(), Param::Text("hush".into())));
    assert_eq!(b.core().vnfm().instantiate_with(id, &ask_vnf(), &secret).expect_err("a secret").kind(), Kind::Invalid);
    is_as_before(&b);
    // Broken off, rolled back by the next bothy.
    b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)));
    let broken = give(&b).expect("accepted").id;
    b.assert_state(broken, "FAILED_TEMP");
    b.kill_and_start();
    b.core().nfvo.rollback(broken).expect("accepted");
    b.assert_state(broken, "ROLLED_BACK");
    is_as_before(&b);
    b.assert_nothing_left();

    let done = give(&b).expect("accepted").id;
    b.assert_state(done, "COMPLETED");
    let now = Properties::of(&b.vnf(id));
    assert_eq!((now.extensions.len(), now.configurable.len()), (2, 1), "{now:?}");
    assert!(b.steps(done).iter().any(|s| matches!(s.step, Step::Vnf(VnfStep::Properties { .. }))));
}

#[test]
fn a_reboot_is_one_operation_of_the_guests_that_are_meant() {
    let (b, id) = vnf_box(&Shape::default());
    let vnfm = b.core().vnfm();
    let early = vnfm.reboot(id, &[], Stopping::AtOnce, "{}".into()).expect_err("nothing runs");
    assert_eq!(early.kind(), Kind::Conflict);
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let [first, second] = guests(&b.vnf(id))[..] else { panic!("two guests") };
    for (which, meant) in [(&[][..], 2), (&[second][..], 1)] {
        b.sim.faults().reset_counts();
        let op = b.assert_state(vnfm.reboot(id, which, Stopping::Within(60), "{}".into()).expect("accepted").id, "COMPLETED");
        assert_eq!((op.kind, b.sim.faults().count(Method::AskStop), b.sim.faults().count(Method::Start)), (OpKind::Start, meant, meant));
        b.assert_vnf_up(id);
    }
    assert_eq!(b.vnf(id).body.expect("a body").run, RunState::Started);
    let gone = crate::model::id::VnfcId(uuid::Uuid::nil());
    assert!(vnfm.reboot(id, &[first, gone], Stopping::AtOnce, "{}".into()).expect_err("no such guest").text().contains("lost a guest"));
    b.assert_state(vnfm.operate(id, RunState::Stopped, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    let refused = vnfm.reboot(id, &[], Stopping::AtOnce, "{}".into()).expect_err("stopped stays stopped");
    assert!(refused.kind() == Kind::Conflict && refused.text().contains("start it instead"), "{refused}");
}

#[test]
fn a_retried_reboot_leaves_guests_alone_that_are_back_already() {
    let (b, id) = vnf_box(&Shape::default());
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let [first, second] = guests(&b.vnf(id))[..] else { panic!("two guests") };
    b.sim.set_guests(move |spec| if spec.id == second { Behaviour::deaf() } else { Behaviour::default() });
    b.sim.put(second, GuestState::Off).expect("off");
    b.sim.start(second).expect("deaf now");
    b.sim.faults().reset_counts();
    let op = b.core().vnfm().reboot(id, &[], Stopping::Within(3600), "{}".into()).expect("accepted").id;
    b.until("the first is back", || b.sim.faults().count(Method::Start) == 1);
    b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)).of(second));
    b.sim.put(second, GuestState::Off).expect("off");
    b.assert_state(op, "FAILED_TEMP");
    assert_eq!(b.sim.state(first).expect("state"), Some(GuestState::Running), "{}", b.picture());
    b.sim.faults().reset_counts();
    b.core().nfvo.retry(op).expect("accepted");
    b.assert_state(op, "COMPLETED");
    b.assert_vnf_up(id);
    assert_eq!(b.sim.faults().count(Method::AskStop) + b.sim.faults().count(Method::Destroy), 0, "{}", b.picture());
}

#[test]
fn a_reboot_that_is_cut_short_can_be_taken_back() {
    let (b, id) = vnf_box(&Shape::default());
    b.sim.set_guests(|_| Behaviour::deaf());
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let op = b.core().vnfm().reboot(id, &[], Stopping::Within(3600), "{}".into()).expect("accepted").id;
    b.until("both are asked", || b.sim.faults().count(Method::AskStop) >= 4);
    b.core().nfvo.cancel(op, CancelMode::Graceful).expect("accepted");
    b.assert_state(op, "FAILED_TEMP");
    b.core().nfvo.rollback(op).expect("accepted");
    b.assert_state(op, "ROLLED_BACK");
    b.assert_vnf_up(id);
    assert_eq!(b.sim.faults().count(Method::Destroy), 0, "nobody was stopped by force");
}

#[test]
fn faults_that_pass_do_not_add_up() {
    let (mut b, _) = vnf_box(&Shape::small());
    b.engine.transient_budget = Duration::from_millis(400);
    b.restart();
    let id = b.create_vnf("vnf");
    b.onboard(vnfd("slow", &waits_for_agent()));
    let slow = b.create_vnf("slow");
    b.sim.set_guests(|_| Behaviour { agent: Some(Duration::from_millis(2500)), ..Behaviour::default() });
    // Now and then a look fails, over more than the budget.
    b.sim.faults().add(Rule::next(Method::AgentPing, Then::Fail(Kind::Transient)));
    b.sim.faults().add(Rule::next(Method::State, Then::Fail(Kind::Transient)).nth(3));
    let op = b.instantiate_vnf(slow);
    b.assert_state(op, "COMPLETED");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
}
