//! PFs that are reloaded, and PFs that lose their functions: guests have the same ones after it, or it is said
//! why not.

use std::sync::{Arc, Mutex};

use super::guests;
use crate::{
    lcm::port::{Outcome, Runner, StepCx},
    model::{
        error::Kind,
        host::{DriverName, HostSetting, PfName, VfSetting},
        hw::PciAddr,
        id::{OpId, VnfId, VnfcId},
        op::{OpKind, Target},
        place::Missed,
        step::StepState,
        vnf::{Reservation, RunState, Stopping},
    },
    nfvo::runner::Steps,
    node::{
        conditions::conditions,
        kit::{Shape, TestBox, ns_box, vnf_box},
    },
    sim::{
        Behaviour, Unplug,
        faults::{Method, Rule, Then},
    },
    store::Durability,
    vim::{
        port::{GuestState, Hardware, Hypervisor},
        setup::Desired,
    },
};

fn wan() -> PfName {
    "ens1f0".parse().expect("name")
}

fn pf(b: &TestBox) -> PciAddr {
    b.sim.facts().expect("facts").pfs().find(|(d, _)| wan().means(d.addr, &d.ports)).expect("the PF").0.addr
}

fn reload(b: &TestBox, within_s: u32) -> OpId {
    b.core().vnfm().reload_pf(&wan(), Some(within_s), "{}").expect("accepted").id
}

/// A VNF whose guest has a VF, up.
fn one_up() -> (TestBox, VnfId, VnfcId) {
    let (b, id) = vnf_box(&Shape::with_vf());
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let guest = guests(&b.vnf(id))[0];
    (b, id, guest)
}

/// What a refusal says of a PF that has nothing to give.
fn at_it(op: OpId) -> String {
    format!("operation {op} is at it (its end would do)")
}

/// What a look at the guests' functions says.
fn missed(b: &TestBox) -> Vec<String> {
    b.core().vnfm().watch_functions().expect("looked").iter().map(Missed::text).collect()
}

fn condition(b: &TestBox) -> (crate::model::health::ConditionState, String) {
    let all = conditions(b.core());
    let c = all.iter().find(|c| c.name == "functions").expect("a condition");
    (c.state, c.text.clone())
}

#[test]
fn a_reload_takes_functions_from_all_guests_first_and_gives_all_the_same_back() {
    let (b, ns) = ns_box(&Shape::with_vf());
    b.assert_state(b.instantiate_ns(ns), "COMPLETED");
    // A VF of nobody that somebody set: it is set so again.
    let facts = b.sim.facts().expect("facts");
    let free = facts.pfs().find(|(d, _)| d.addr == pf(&b)).expect("the PF").1.vfs.last().expect("a VF").addr;
    let mut theirs = facts.vf_setting(free).expect("a VF");
    theirs.conf.vlan = Some(7.try_into().expect("VLAN"));
    b.sim.ensure_vf(&theirs).expect("set");
    b.sim.faults().reset_counts();
    b.sim.faults().record();
    let op = b.assert_state(reload(&b, 30), "COMPLETED");
    assert_eq!((op.kind, op.automatic, op.steps), (OpKind::ReloadPf, false, 7));
    b.assert_ns_up(ns);
    assert_eq!(b.sim.facts().expect("facts").vf_setting(free), Some(theirs));
    let calls: Vec<Method> = b.sim.faults().taken().into_iter().map(|(m, _)| m).filter(|m| m.changes()).collect();
    let at = calls.iter().position(|m| *m == Method::ReloadPf).expect("reloaded");
    let count = |calls: &[Method], m| calls.iter().filter(|c| **c == m).count();
    assert_eq!((count(&calls[..at], Method::Unplug), count(&calls[..at], Method::ReleaseVf)), (3, 3), "{calls:?}");
    assert_eq!((count(&calls[at..], Method::EnsureVf), count(&calls[at..], Method::Plug)), (3, 3), "{calls:?}");
    assert_eq!((count(&calls, Method::Destroy), count(&calls, Method::Start)), (0, 0), "{calls:?}");
    let end = b.core().nfvo.terminate(ns, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(end, "COMPLETED");
}

#[test]
fn a_guest_that_does_not_let_go_is_stopped_and_runs_again_after() {
    for (unplug, within_s, acpi) in [(Unplug::Ignores, 0, true), (Unplug::Ignores, 0, false), (Unplug::Cannot, 3600, true)] {
        let (b, id) = vnf_box(&Shape::with_vf());
        let rules = b.core().vnfm().rules();
        b.core().vnfm().set_rules(crate::vnfm::Rules { graceful_stop_s: if acpi { 60 } else { 0 }, ..rules });
        b.sim.set_guests(move |_| Behaviour { unplug, ..if acpi { Behaviour::default() } else { Behaviour::deaf() } });
        b.assert_state(b.instantiate_vnf(id), "COMPLETED");
        b.sim.faults().reset_counts();
        b.assert_state(reload(&b, within_s), "COMPLETED");
        b.assert_vnf_up(id);
        let asked = (b.sim.faults().count(Method::AskStop) > 0, b.sim.faults().count(Method::Destroy), b.sim.faults().count(Method::Start));
        assert_eq!(asked, if acpi { (true, 0, 1) } else { (false, 1, 1) }, "{unplug:?}");
    }
}

#[test]
fn a_vnf_that_was_stopped_stays_so_and_has_its_function_when_it_starts() {
    let (b, id, guest) = one_up();
    let stop = b.core().vnfm().operate(id, RunState::Stopped, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(stop, "COMPLETED");
    b.assert_state(reload(&b, 30), "COMPLETED");
    assert_eq!(b.sim.state(guest).expect("state"), Some(GuestState::Off));
    let start = b.core().vnfm().operate(id, RunState::Started, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(start, "COMPLETED");
    b.assert_vnf_up(id);
}

#[test]
fn what_cannot_be_reloaded_is_refused_with_every_reason() {
    let (b, id, _) = one_up();
    let vnfm = b.core().vnfm();
    let e = vnfm.reload_pf(&"eth7".parse().expect("name"), None, "{}").expect_err("no such PF");
    assert_eq!(e.kind(), Kind::NotFound);
    assert_eq!(e.reasons(), ["there is ens1f0 (0000:10:00.0)", "there is ens2f0 (0000:20:00.0)"]);
    // Somebody else's guest has one.
    let last = b.sim.facts().expect("facts").pfs().next().expect("a PF").1.vfs.last().expect("a VF").addr;
    let theirs = b.sim.facts().expect("facts").vf_setting(last).expect("a VF");
    b.sim.ensure_vf(&VfSetting { driver: Some(DriverName::VFIO), ..theirs.clone() }).expect("given");
    let e = vnfm.reload_pf(&wan(), None, "{}").expect_err("in use");
    assert_eq!(
        (e.kind(), e.reasons()),
        (Kind::Conflict, &["VF 7 (0000:10:02.7) is with vfio-pci, and no guest of Bothy's has it".to_owned()][..])
    );
    b.sim.release_vf(&theirs).expect("given back");
    // A VNF is being changed.
    b.sim.faults().add(Rule::next(Method::Destroy, Then::Fail(Kind::Conflict)));
    let stop = b.core().vnfm().operate(id, RunState::Stopped, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(stop, "FAILED_TEMP");
    let e = vnfm.reload_pf(&wan(), None, "{}").expect_err("being changed");
    assert_eq!((e.kind(), e.reasons()), (Kind::Conflict, &[format!("VNF instance {id} is held by operation {stop}")][..]));
    assert_eq!(b.sim.faults().count(Method::Unplug), 0, "a refusal touches nothing");
}

#[test]
fn while_a_pf_is_reloaded_its_guests_are_not_changed_and_it_has_nothing_to_give() {
    let (b, id, _) = one_up();
    let other = b.create_vnf("vnf");
    b.sim.faults().add(Rule::next(Method::ReloadPf, Then::Fail(Kind::Conflict)));
    let op = b.assert_state(reload(&b, 30), "FAILED_TEMP").id;
    let e = b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect_err("held");
    assert_eq!((e.kind(), e.text()), (Kind::Conflict, format!("VNF instance {id} is held by operation {op}").as_str()));
    let e = b.core().vnfm().reload_pf(&wan(), None, "{}").expect_err("one at a time");
    assert!(e.text().contains(&format!("operation {op} is at PF")), "{e}");
    let refused = b.assert_state(b.instantiate_vnf(other), "ROLLED_BACK");
    let reasons = refused.error.expect("the refusal").reasons;
    assert!(reasons.iter().any(|r| r.contains(&pf(&b).to_string()) && r.ends_with(&at_it(op))), "{reasons:?}");
    b.core().nfvo.retry(op).expect("accepted");
    b.assert_state(op, "COMPLETED");
    b.assert_vnf_up(id);
    b.assert_state(b.instantiate_vnf(other), "COMPLETED");
}

#[test]
fn a_pf_under_a_reload_goes_to_no_guest_whole_and_is_never_taken_from_one_that_has_it() {
    let (b, id) = vnf_box(&Shape { whole: true, ..Shape::with_vf() });
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let guest = b.store().require::<Reservation>(&id).expect("reserved");
    let end = || b.assert_state(b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    end();
    b.sim.faults().add(Rule::next(Method::ReloadPf, Then::Fail(Kind::Conflict)));
    let op = b.assert_state(reload(&b, 30), "FAILED_TEMP").id;
    let refused = b.assert_state(b.instantiate_vnf(id), "ROLLED_BACK");
    let reasons = refused.error.expect("the refusal").reasons;
    assert!(reasons.iter().any(|r| r.contains(&pf(&b).to_string()) && r.ends_with(&at_it(op))), "{reasons:?}");
    // As a box has it that gave such a card away nevertheless.
    b.store().write(Durability::Barrier, |tx| tx.put(&guest)).expect("put");
    b.sim.faults().reset_counts();
    for again in [b.core().nfvo.retry(op), b.core().nfvo.rollback(op)] {
        let e = again.expect_err("a guest has it");
        assert_eq!(
            (e.kind(), e.text()),
            (Kind::Conflict, &*format!("operation {op} (RELOAD_PF) cannot go on: PF {} is with a guest whole", pf(&b)))
        );
        assert_eq!(e.reasons(), ["guest v/vdu0/0 has it: its end first, or mark the operation as failed"]);
    }
    assert_eq!((b.sim.faults().count(Method::ReloadPf), b.sim.faults().count(Method::EnsurePf)), (0, 0));
    b.store().write(Durability::Barrier, |tx| tx.delete::<Reservation>(&id).map(drop)).expect("deleted");
    b.core().nfvo.retry(op).expect("accepted");
    b.assert_state(op, "COMPLETED");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    end();
}

#[test]
fn the_steps_of_a_reload_may_be_run_twice_and_undone_twice() {
    let (b, id, _) = one_up();
    let op = b.assert_state(reload(&b, 30), "COMPLETED");
    let steps = b.steps(op.id);
    let runner = Steps::new(b.core().nfvo.clone());
    let op = Arc::new(op);
    let cx = |index| StepCx { op: op.clone(), index, elapsed: std::time::Duration::ZERO, fresh: true };
    let ensured = |s: &crate::model::step::PlanStep| match runner.run(&cx(s.index), &s.step).expect("run") {
        Outcome::Done => {}
        // The guest was asked, and is looked at again.
        Outcome::Again { .. } => assert_eq!(runner.run(&cx(s.index), &s.step).expect("run"), Outcome::Done),
    };
    for s in &steps {
        ensured(s);
        ensured(s);
    }
    b.assert_vnf_up(id);
    for upto in 1..=steps.len() {
        steps[..upto].iter().for_each(ensured);
        for s in steps[..upto].iter().rev() {
            for _ in 0..2 {
                assert_eq!(runner.undo(&cx(s.index), &s.step).expect("undone"), Outcome::Done, "{}", s.step.label());
            }
        }
        b.assert_vnf_up(id);
    }
}

#[test]
fn a_pf_that_lost_its_functions_gets_them_back_and_so_do_its_guests() {
    let (b, ns) = ns_box(&Shape::with_vf());
    b.assert_state(b.instantiate_ns(ns), "COMPLETED");
    assert_eq!(missed(&b), [] as [String; 0]);
    let pf = pf(&b);
    b.sim.lose_pf(pf);
    let said = missed(&b);
    // Whoever listens from now on is told of it too.
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    b.core().vnfm().on_unasked(move |op| heard.lock().expect("lock").push((op.kind, op.target)));
    assert_eq!(*told.lock().expect("lock"), [(OpKind::RestorePf, Target::Pf(pf))]);
    let op =
        b.store().list::<crate::model::op::Operation>().expect("list").into_iter().find(|o| o.kind == OpKind::RestorePf).expect("begun");
    assert!(op.automatic && op.warnings.len() == 4, "{op:?}");
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with(&format!("PF {pf}: VF 0 (0000:10:02.0) of guest "))
            && said[0].ends_with(&format!("operation {} brings it back", op.id)),
        "{said:?}"
    );
    b.assert_state(op.id, "COMPLETED");
    b.assert_ns_up(ns);
    assert_eq!(missed(&b), [] as [String; 0]);
}

#[test]
fn a_loss_while_bothy_was_down_is_found_at_its_start_and_one_guest_alone_too() {
    let (mut b, id, guest) = one_up();
    let pf = pf(&b);
    b.kill();
    b.sim.lose_pf(pf);
    b.start();
    let found = b.core().vnfm().reconcile().expect("reconciled");
    assert_eq!((found.lost.as_ref().map(Vec::len), found.failed.len()), (Some(1), 0), "{found:?}");
    let restored = |b: &TestBox, n: usize| {
        let ops: Vec<_> =
            crate::lcm::timeline::all_operations(b.store()).expect("list").into_iter().filter(|o| o.kind == OpKind::RestorePf).collect();
        assert_eq!(ops.len(), n);
        b.assert_state(ops[n - 1].id, "COMPLETED");
    };
    restored(&b, 1);
    b.assert_vnf_up(id);
    assert_eq!(missed(&b), [] as [String; 0]);
    // Only the guest lost it: the PF and its other functions are left alone.
    b.sim.faults().reset_counts();
    b.sim.drop_function(guest, b.sim.domain(guest).and_then(|d| d.placed).expect("placed").pci().next().expect("a VF"));
    let said = missed(&b);
    assert!(said[0].contains("guest v/vdu0/0 runs without its VF 0 (0000:10:02.0)"), "{said:?}");
    restored(&b, 2);
    b.assert_vnf_up(id);
    assert_eq!(b.sim.faults().count(Method::ReloadPf), 0);
}

#[test]
fn a_pf_of_the_set_up_that_no_guest_has_gets_its_functions_back_too() {
    let b = TestBox::new();
    let pf = pf(&b);
    let other = b.sim.facts().expect("facts").pfs().map(|(d, _)| d.addr).find(|a| *a != pf).expect("another PF");
    let vfs = || b.sim.facts().expect("facts").pfs().find(|(d, _)| d.addr == pf).expect("the PF").1.vfs.len();
    let driver = || b.sim.facts().expect("facts").device(pf).expect("the PF").driver.clone();
    let restored = |n: usize| {
        let all = crate::lcm::timeline::all_operations(b.store()).expect("list");
        let ops: Vec<_> = all.into_iter().filter(|o| o.kind == OpKind::RestorePf).map(|o| o.id).collect();
        assert_eq!(ops.len(), n);
        ops.last().map(|id| b.assert_state(*id, "COMPLETED"))
    };
    b.core().host.set_desired(Desired { pfs: vec![(wan(), 4)], ..Desired::default() });
    assert_eq!(b.core().host.apply().expect("applied").failed, []);
    // That one was not of the set-up.
    b.sim.lose_pf(other);
    assert_eq!((missed(&b), vfs()), (Vec::new(), 4));
    let home = driver();

    b.sim.lose_pf(pf);
    let said = missed(&b);
    let op = restored(1).expect("begun");
    let why = "none of the 4 VFs of the host's set-up is there; no guest has one";
    assert_eq!(said, [format!("PF {pf}: {why}; operation {} brings it back", op.id)]);
    assert_eq!((op.automatic, op.warnings[0].as_str(), vfs(), driver()), (true, why, 4, home.clone()));
    assert_eq!(missed(&b), [] as [String; 0]);

    // Fewer than were made is somebody's decision; one that is with vfio-pci is with somebody.
    b.sim.set(&HostSetting::Vfs { pf, count: 3 }).expect("fewer");
    assert_eq!(missed(&b), [] as [String; 0]);
    b.sim.set(&HostSetting::Vfs { pf, count: 0 }).expect("none");
    b.sim.ensure_driver(pf, Some(&DriverName::VFIO)).expect("given");
    assert_eq!(missed(&b), [] as [String; 0]);
    b.sim.ensure_driver(pf, home.as_ref()).expect("given back");
    assert_eq!(missed(&b).len(), 1);
    restored(2);
    assert_eq!(vfs(), 4);

    // What is undone is not kept.
    assert_eq!(b.core().host.undo().expect("undone").failed, []);
    b.sim.lose_pf(pf);
    assert_eq!((missed(&b), vfs()), (Vec::new(), 0));
    restored(2);
}

#[test]
fn what_cannot_be_brought_back_is_said_until_it_is() {
    let (b, id, _) = one_up();
    let pf = pf(&b);
    b.sim.lose_pf(pf);
    b.sim.faults().add(Rule::next(Method::EnsurePf, Then::Fail(Kind::Conflict)));
    missed(&b);
    let op =
        b.store().list::<crate::model::op::Operation>().expect("list").into_iter().find(|o| o.kind == OpKind::RestorePf).expect("begun");
    b.assert_state(op.id, "FAILED_TEMP");
    let said = missed(&b);
    assert!(said[0].contains(&format!("is gone; operation {} could not bring it back: ", op.id)), "{said:?}");
    // Given up by a person, it is Bothy's again, but not at once.
    b.core().nfvo.fail(op.id).expect("accepted");
    let said = missed(&b);
    assert!(said[0].ends_with("; to be tried again"), "{said:?}");
    // And a PF that is gone itself is no work for an operation.
    let whole = b.sim.facts().expect("facts");
    let mut gone = whole.clone();
    gone.devices.retain(|d| d.addr != pf);
    b.sim.set_hardware(gone);
    let said = missed(&b);
    assert!(said[0].ends_with("the PF itself is gone"), "{said:?}");
    assert!(b.vnf(id).op.is_none());
}

#[test]
fn the_health_page_says_what_guests_miss() {
    use crate::model::health::ConditionState::{Failed, Ok};
    let (b, id, _) = one_up();
    b.core().watch().expect("watches");
    b.until("a first look", || b.core().reconciled().last.is_some());
    assert_eq!(condition(&b).0, Ok);
    let pf = pf(&b);
    b.sim.faults().add(Rule::next(Method::EnsurePf, Then::Fail(Kind::Conflict)));
    b.sim.lose_pf(pf);
    b.core().look_again(crate::vnfm::revive::Missing::Leave);
    b.until("a loss", || condition(&b).0 == Failed);
    assert!(condition(&b).1.contains("VF 0 (0000:10:02.0) of guest v/vdu0/0 is gone"), "{:?}", condition(&b));
    let op =
        b.store().list::<crate::model::op::Operation>().expect("list").into_iter().find(|o| o.kind == OpKind::RestorePf).expect("begun");
    b.assert_state(op.id, "FAILED_TEMP");
    let failed = b.core().engine.timeline(op.id).expect("timeline").1;
    assert!(failed.iter().any(|l| l.error.is_some()), "{failed:?} {:?}", StepState::Failed);
    b.core().nfvo.retry(op.id).expect("accepted");
    b.assert_state(op.id, "COMPLETED");
    b.core().look_again(crate::vnfm::revive::Missing::Leave);
    b.until("all well", || condition(&b).0 == Ok);
    b.assert_vnf_up(id);
}
