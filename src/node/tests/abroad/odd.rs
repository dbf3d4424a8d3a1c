//! VNFMs that answer before they act, forget, or never come to an end; and what is held for their VNFs.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::*;
use crate::{
    lcm::port::{Outcome, Runner as _, StepCx},
    model::{
        abroad::{ErrandState, OccAct},
        grant::{AskedIds, Decision, GivenGrant, Promised},
        id::VnfId,
        op::{Operation, Target},
        own::{CoordAsk, Coordinated, Coordination, Errand, OwnApis, Stage},
        package::VnfPackage,
        size::MiB,
    },
    nfvo::{grants::AskGrant, runner::Steps},
};

/// What is held for VNFs of its, in vCPUs.
fn held(c: &Case) -> u32 {
    let all = c.b.store().list::<GivenGrant>().expect("grants");
    all.iter().map(|g| g.holds(Stamp(u64::MAX - 1)).vcpus).sum()
}

/// As it asks for one for the operation under way; this long ago.
fn granted(c: &Case, n: u128, decision: Decision, until: Stamp) {
    c.b.put(&GivenGrant {
        id: Uuid::from_u128(n),
        project: ProjectId::DEFAULT,
        vnfm: "east".into(),
        vnf: "vnf-1".into(),
        op: c.fake.last(),
        flavour: None,
        links: Default::default(),
        request: String::new(),
        asked: AskedIds::default(),
        decision,
        created: Stamp(1),
        until,
    });
}

fn some(vcpus: u32) -> Promised {
    Promised { vcpus, memory: MiB(1), disk: MiB(1) }
}

/// The operation's step at the VNFM was noted so long ago.
fn age(c: &Case, act: OccAct) {
    c.b.until("it is noted as taken", || {
        let taken = |e: &AbroadErrand| matches!(e.state, ErrandState::Taken { act: a, .. } if a == act);
        let Some(e) = c.b.store().list::<AbroadErrand>().expect("read").into_iter().find(taken) else { return false };
        let ErrandState::Taken { occ, act, .. } = e.state.clone() else { return false };
        c.b.put(&AbroadErrand { state: ErrandState::Taken { occ, act, at: Stamp(1) }, ..e });
        true
    });
}

#[test]
fn what_a_vnf_is_granted_is_summed_up_when_its_operations_are_over() {
    let weighed = |takes, more, less| Decision::Weighed { takes: some(takes), more: some(more), less: some(less) };
    let c = Case::new();
    c.fake.slow(true);
    let op = c.b.instantiate_ns(c.ns);
    c.b.until("it is asked", || !c.fake.ops().is_empty());
    // Three of it for a while only.
    granted(&c, 1, weighed(5, 2, 0), Stamp(u64::MAX - 1));
    c.fake.slow(false);
    c.b.assert_state(op, "COMPLETED");
    assert_eq!(held(&c), 2, "the VNF has it");
    for (n, decision, until, has) in [
        (2, weighed(2, 2, 0), Stamp(u64::MAX - 1), 4),
        // It has taken longer than its grant is held.
        (3, weighed(1, 1, 0), Stamp(2), 5),
        (4, weighed(0, 0, 3), Stamp(u64::MAX - 1), 2),
        (5, Decision::Granted(some(1)), Stamp(u64::MAX - 1), 3),
    ] {
        c.fake.slow(true);
        let before = c.fake.ops().len();
        let op = c.alter(OpKind::Heal, Alter::Heal { which: Vec::new(), anew: false });
        c.b.until("it is asked", || c.fake.ops().len() > before);
        granted(&c, n, decision, until);
        c.fake.slow(false);
        c.b.assert_state(op, "COMPLETED");
        assert_eq!(held(&c), has, "operation {n}");
    }
    c.down("granted");
    assert_eq!(held(&c), 0, "it is gone");
}

#[test]
fn its_vnfm_coordinates_with_a_foreign_vnf_and_this_box_does_not() {
    let c = Case::new();
    for mut p in c.b.store().list::<VnfPackage>().expect("packages") {
        let Some(vnfd) = p.vnfd.as_mut().filter(|v| v.id == "far") else { continue };
        let ask = CoordAsk { action: "drain".into(), endpoint: None, input: String::new() };
        let all = [Coordinated::Instantiate, Coordinated::Scale, Coordinated::Heal, Coordinated::Operate, Coordinated::Terminate];
        let coordinations = all.iter().map(|o| Coordination { operation: *o, stage: Stage::Start, ask: ask.clone() }).collect();
        vnfd.own = vec![OwnApis { flavour: "df".into(), doors: Vec::new(), coordinations }];
        c.b.put(&p);
    }
    c.b.assert_state(c.b.instantiate_ns(c.ns), "COMPLETED");
    c.b.assert_state(c.scale(), "COMPLETED");
    let far = c.b.member(c.ns, "far").id;
    let op = c.b.core().vnfm().operate(far, RunState::Stopped, Stopping::Within(1), "{}".into()).expect("accepted");
    c.b.assert_state(op.id, "COMPLETED");
    c.b.assert_state(c.b.core().nfvo.terminate(c.ns, Stopping::Within(1), "{}".into()).expect("accepted").id, "COMPLETED");
    assert_eq!(c.b.store().list::<Errand>().expect("read"), []);
}

#[test]
fn a_vnfm_that_acts_later_than_it_answers_is_waited_for() {
    let c = Case::new();
    c.fake.late(3);
    c.fake.stuck(1);
    let op = c.b.assert_state(c.b.instantiate_ns(c.ns), "FAILED_TEMP").id;
    c.b.core().nfvo.rollback(op).expect("rolled back");
    c.b.assert_state(op, "ROLLED_BACK");
    assert_eq!(c.fake.asked(), ["create", "INSTANTIATE", "Rollback", "delete"]);
    c.assert_gone("rolled back late");

    let c = Case::up();
    c.fake.late(3);
    c.fake.stuck(1);
    let op = c.b.assert_state(c.scale(), "FAILED_TEMP").id;
    c.b.core().nfvo.retry(op).expect("retried");
    c.b.assert_state(op, "COMPLETED");
    assert_eq!(c.fake.asked(), ["SCALE", "Retry"]);
    // Given up here, it is given up there once.
    c.fake.stuck(1);
    let op = c.b.assert_state(c.scale(), "FAILED_TEMP").id;
    c.b.core().nfvo.fail(op).expect("given up");
    c.fake.asked();
    c.down("given up late");
    assert_eq!(c.fake.asked(), ["Fail", "TERMINATE", "delete"]);

    // One that takes it and never acts is asked for more after a while.
    let c = Case::new();
    c.fake.late(usize::MAX);
    c.fake.stuck(1);
    let op = c.b.assert_state(c.b.instantiate_ns(c.ns), "FAILED_TEMP").id;
    c.b.core().nfvo.rollback(op).expect("rolled back");
    age(&c, OccAct::Rollback);
    c.b.until("it is to fail", || c.fake.asked().contains(&"Fail".to_owned()));
    age(&c, OccAct::Fail);
    c.b.assert_state(op, "FAILED_TEMP");
}

#[test]
fn a_termination_that_ends_otherwise_is_begun_once_in_an_attempt() {
    for state in [VnfOpState::Failed, VnfOpState::RolledBack] {
        let c = Case::new();
        c.fake.plain();
        c.fake.ends(Some(state));
        c.fake.slow(true);
        let op = c.b.instantiate_ns(c.ns);
        c.b.until("it is asked", || !c.fake.ops().is_empty());
        c.b.core().nfvo.cancel(op, CancelMode::Forceful).expect("cancelled");
        age(&c, OccAct::Cancel(true));
        c.b.assert_state(op, "FAILED_TEMP");
        c.fake.slow(false);
        c.fake.asked();
        for asked in [&["Cancel(true)", "TERMINATE"][..], &["TERMINATE"]] {
            c.b.core().nfvo.rollback(op).expect("rolled back");
            let why = c.b.assert_state(op, "FAILED_TEMP").error.expect("an error").text;
            assert!(why.contains(&format!("(TERMINATE) is {}", state.name())), "{why}");
            assert_eq!(c.fake.asked(), asked);
        }
        c.fake.ends(None);
        c.b.core().nfvo.rollback(op).expect("rolled back");
        c.b.assert_state(op, "ROLLED_BACK");
        c.assert_gone("terminated at last");
    }
}

#[test]
fn an_operation_that_is_forgotten_there_is_done_where_the_instance_shows_it() {
    for what in [What::Instantiate, What::Terminate, What::Scale] {
        let c = what.case();
        c.fake.slow(true);
        let op = what.go(&c);
        c.b.until("it is asked", || c.fake.ops().last().is_some_and(|(o, _)| o == what.name()));
        c.fake.purge();
        c.b.assert_state(op, "COMPLETED");
        what.assert_right(&c, &format!("{what:?}"));
    }
}

#[test]
fn a_scaling_that_failed_there_leaves_the_level_as_it_was() {
    let c = Case::up();
    c.fake.stuck(1);
    let op = c.b.assert_state(c.scale(), "FAILED_TEMP").id;
    c.b.core().nfvo.fail(op).expect("given up");
    assert_eq!(c.b.member(c.ns, "far").body.expect("a body").scale, []);
}

#[test]
fn an_operation_that_is_ending_is_followed_through_a_lost_answer() {
    let c = Case::up();
    c.fake.slow(true);
    let op = c.scale();
    c.b.until("it is asked", || c.fake.ops().last().is_some_and(|(o, _)| o == "SCALE"));
    c.b.core().nfvo.cancel(op, CancelMode::Graceful).expect("cancelled");
    c.b.until("it is told", || c.fake.asked().contains(&"Cancel(false)".to_owned()));
    c.fake.rule(0, Then::Fail(Kind::Transient));
    let calls = c.fake.calls();
    c.b.until("it is looked at again", || c.fake.calls() > calls + 2 || c.b.op(op).state.name() != "PROCESSING");
    assert_eq!(c.b.op(op).state.name(), "PROCESSING");
    c.fake.slow(false);
    let error = c.b.assert_state(op, "FAILED_TEMP").error.expect("an error");
    assert!(error.text.contains("is FAILED_TEMP"), "{error:?}");
}

#[test]
fn what_never_ends_there_can_be_left_by_force() {
    let c = Case::new();
    c.fake.slow(true);
    let op = c.b.instantiate_ns(c.ns);
    c.b.until("it is asked", || !c.fake.ops().is_empty());
    c.b.core().nfvo.cancel(op, CancelMode::Graceful).expect("cancelled");
    c.b.until("it is told", || c.fake.asked().contains(&"Cancel(false)".to_owned()));
    c.b.core().nfvo.cancel(op, CancelMode::Forceful).expect("cancelled");
    age(&c, OccAct::Cancel(true));
    let why = c.b.assert_state(op, "FAILED_TEMP").error.expect("an error").text;
    assert!(why.contains("VNFM east still has operation"), "{why}");
    // So can its undoing.
    c.b.core().nfvo.rollback(op).expect("rolled back");
    c.b.core().nfvo.cancel(op, CancelMode::Forceful).expect("cancelled");
    c.b.assert_state(op, "FAILED_TEMP");
    c.fake.slow(false);
    c.b.core().nfvo.rollback(op).expect("rolled back");
    c.b.assert_state(op, "ROLLED_BACK");
    c.assert_gone("at last");
}

#[test]
fn what_others_began_there_is_not_meddled_with() {
    let c = Case::up();
    c.fake.by_hand("HEAL", VnfOpState::FailedTemp);
    let op = c.b.assert_state(c.terminate(), "FAILED_TEMP");
    assert!(op.error.expect("an error").text.contains("is FAILED_TEMP"));
    assert_eq!(c.fake.asked(), Vec::<String>::new());
}

/// Nothing is begun for an operation that is cancelled by then.
#[test]
fn a_cancellation_ends_the_wait_for_what_others_do_there() {
    for mode in [CancelMode::Graceful, CancelMode::Forceful] {
        let c = Case::up();
        c.fake.slow(true);
        c.fake.by_hand("HEAL", VnfOpState::Processing);
        let op = c.scale();
        let waits = |o: &Operation| {
            let lines = c.b.core().engine.timeline(o.id).expect("a timeline").1;
            lines.iter().any(|l| l.why.as_ref().is_some_and(|w| w.contains("is at operation")))
        };
        c.b.until("it waits", || c.b.store().list::<Operation>().expect("read").iter().any(waits));
        c.b.core().nfvo.cancel(op, mode).expect("cancelled");
        c.b.assert_state(op, "FAILED_TEMP");
        c.fake.slow(false);
        assert_eq!(c.fake.asked(), Vec::<String>::new(), "{mode:?}");
        c.b.core().nfvo.retry(op).expect("retried");
        c.b.assert_state(op, "COMPLETED");
        assert_eq!(c.fake.asked(), ["SCALE"]);
    }
}

/// Whether it was heard is looked for; it is not asked once more.
#[test]
fn what_may_have_been_heard_is_not_asked_again_after_a_cancellation() {
    let c = Case::up();
    let op = c.scale();
    c.b.assert_state(op, "COMPLETED");
    let all = c.b.store().list::<Operation>().expect("read");
    let child = all.into_iter().find(|o| o.parent == Some(op)).expect("its part");
    let step = c.b.steps(child.id).remove(0);
    let state = ErrandState::Asking { before: c.fake.occs() };
    c.b.put(&AbroadErrand { op: child.id, index: step.index, attempt: child.attempt, state });
    c.fake.asked();
    let op = Arc::new(Operation { cancel: Some(CancelMode::Graceful), ..child });
    let cx = StepCx { op, index: step.index, elapsed: Duration::ZERO, fresh: false };
    let runner = Steps::new(c.b.core().nfvo.clone());
    let why = runner.run(&cx, &step.step).expect_err("cancelled");
    assert!(why.text().contains("cancelled on request"), "{why}");
    c.fake.by_hand("SCALE", VnfOpState::Starting);
    assert!(matches!(runner.run(&cx, &step.step).expect("followed"), Outcome::Again { .. }), "it was heard");
    assert_eq!(c.fake.asked(), Vec::<String>::new());
}

#[test]
fn anothers_termination_is_waited_for_and_its_failure_is_its_own() {
    let c = Case::new();
    c.fake.plain();
    c.fake.slow(true);
    let op = c.b.instantiate_ns(c.ns);
    c.b.until("it is asked", || !c.fake.ops().is_empty());
    c.b.core().nfvo.cancel(op, CancelMode::Forceful).expect("cancelled");
    age(&c, OccAct::Cancel(true));
    c.b.assert_state(op, "FAILED_TEMP");
    c.fake.purge();
    c.fake.by_hand("TERMINATE", VnfOpState::FailedTemp);
    c.fake.asked();
    c.b.core().nfvo.rollback(op).expect("rolled back");
    let why = c.b.assert_state(op, "FAILED_TEMP").error.expect("an error").text;
    assert!(why.contains("(TERMINATE) is FAILED_TEMP"), "{why}");
    assert_eq!(c.fake.asked(), Vec::<String>::new());
    // Once it is out of the way, this box's own is begun.
    c.fake.purge();
    c.b.core().nfvo.rollback(op).expect("rolled back");
    c.b.assert_state(op, "ROLLED_BACK");
    assert_eq!(c.fake.asked(), ["TERMINATE", "delete"]);
    c.assert_gone("at last");
}

/// A VNFM has ids of its own: an operation of another VNF may have the same one.
#[test]
fn what_has_the_id_of_an_operation_of_another_vnf_is_not_taken_for_it() {
    for state in [|occ| ErrandState::Asked { occ }, |occ| ErrandState::Ending { occ }] {
        let c = Case::up();
        c.fake.by_hand("HEAL", VnfOpState::FailedTemp);
        let mut op = c.b.store().list::<Operation>().expect("read").remove(0);
        op.id = OpId(Uuid::from_u128(77));
        op.target = Target::Vnf(VnfId(Uuid::from_u128(78)));
        c.b.put(&op);
        c.b.put(&AbroadErrand { op: op.id, index: 0, attempt: 0, state: state(c.fake.last()) });
        c.b.assert_state(c.terminate(), "FAILED_TEMP");
        assert_eq!(c.fake.asked(), Vec::<String>::new());
    }
}

/// Granted is not done: what the VNF has is its own until this box knows that it is gone.
#[test]
fn a_termination_that_fails_there_frees_nothing() {
    let c = Case::new();
    c.fake.slow(true);
    let op = c.b.instantiate_ns(c.ns);
    c.b.until("it is asked", || !c.fake.ops().is_empty());
    granted(&c, 1, Decision::Weighed { takes: some(2), more: some(2), less: some(0) }, Stamp(u64::MAX - 1));
    c.fake.slow(false);
    c.b.assert_state(op, "COMPLETED");
    assert_eq!(held(&c), 2);
    c.fake.slow(true);
    c.fake.ends(Some(VnfOpState::Failed));
    let op = c.terminate();
    c.b.until("it is asked", || c.fake.ops().len() > 1);
    let ask = |vnf: &str, op: &str| AskGrant {
        project: ProjectId::DEFAULT,
        vnfm: "east".into(),
        vnf: vnf.into(),
        op: op.into(),
        vnfd_id: "far".into(),
        flavour: None,
        level: None,
        ends: true,
        add: Vec::new(),
        temp: Vec::new(),
        remove: Vec::new(),
        asked: AskedIds::default(),
        apart: Vec::new(),
        links: Default::default(),
        request: String::new(),
    };
    c.b.core().nfvo.give_grant(&ask("vnf-1", &c.fake.last()), 3600).expect("granted");
    c.fake.slow(false);
    c.b.assert_state(op, "FAILED_TEMP");
    assert_eq!(held(&c), 2, "it may be there whole");
    c.fake.ends(None);
    c.b.core().nfvo.retry(op).expect("retried");
    c.b.assert_state(op, "COMPLETED");
    assert_eq!(held(&c), 0);
    // Of one that is in no service of this box nothing more is told.
    c.b.put(&GivenGrant { vnf: "vnf-9".into(), until: GivenGrant::STANDING, id: Uuid::from_u128(9), op: "a".into(), ..grant(&c) });
    assert_eq!(held(&c), 2);
    c.b.core().nfvo.give_grant(&ask("vnf-9", "b"), 3600).expect("granted");
    assert_eq!(held(&c), 0);
}

fn grant(c: &Case) -> GivenGrant {
    c.b.store().require(&Uuid::from_u128(1)).expect("the first one")
}
