//! VNFs of a central NFVO while their operations wait for its grant: nothing of them has begun.

use uuid::Uuid;

use super::{autoheal, flavour, guests, snapshots};
use crate::{
    model::{
        central::CentralNfvo,
        error::Fault,
        id::{OpId, VnfId, VnfcId},
        op::{CancelMode, Operation, Phase},
        place::{Given, Held},
        snapshot::VnfSnapshot,
        time::Stamp,
        vnf::{Reservation, RunState, Stopping, VnfInstance, VnfOwner},
    },
    node::kit::{Shape, TestBox, vnf_box},
    sim::faults::Method,
    vim::port::{GuestState, Hardware as _, Hypervisor},
    vnfm::{alter::Alter, change::ScaleTo},
};

/// From now on a central NFVO, which does not answer, grants what is done to the VNF.
fn own(b: &TestBox, id: VnfId) {
    b.put(&CentralNfvo {
        account: "orch".into(),
        id: Uuid::from_u128(7),
        api_root: "https://orch".into(),
        auth: None,
        created: Stamp(1),
        revision: 1,
    });
    b.put(&VnfInstance { owner: Some(VnfOwner { account: "orch".into(), base: "https://here".into() }), ..b.vnf(id) });
}

fn held(b: &TestBox, op: Operation) -> OpId {
    assert!(b.op(op.id).awaits_grant() && b.op(op.id).state.phase() == Phase::Held, "{}", b.picture());
    op.id
}

#[test]
fn a_change_of_flavour_that_is_refused_or_cancelled_gives_back_all_that_it_reserved() {
    let (b, id) = flavour::standing();
    own(&b, id);
    let is = || (b.vnf(id).body, b.store().require::<Reservation>(&id).expect("reserved"));
    let before = is();
    for refused in [true, false] {
        let op = held(&b, b.core().vnfm().change_flavour(id, &flavour::to("big", None)).expect("accepted"));
        assert!(is().1.disk > before.1.disk, "the larger disk is reserved while it waits");
        match refused {
            true => b.core().vnfm().grant_refused(op, Fault::forbidden("no").record()).expect("refused"),
            false => drop(b.core().engine.cancel(op, CancelMode::Graceful).expect("cancelled")),
        }
        b.assert_state(op, "ROLLED_BACK");
        assert_eq!(is(), before, "refused: {refused}");
        flavour::assert_is(&b, id, "df", false);
    }
}

fn runs(b: &TestBox, of: &[VnfcId]) -> bool {
    of.iter().all(|g| b.sim.state(*g).expect("state") == Some(GuestState::Running))
}

/// More or fewer guests of the first VDU.
fn scale(out: bool) -> Alter {
    Alter::Scale(ScaleTo::Steps { aspect: "more".into(), out, steps: 1 })
}

type Ask = fn(&TestBox, VnfId) -> Operation;

/// Operations that stop guests, take them away or make them anew.
const ASKS: [(&str, Ask); 6] = [
    ("stop", |b, id| b.core().vnfm().operate(id, RunState::Stopped, Stopping::AtOnce, "{}".into()).expect("accepted")),
    ("terminate", |b, id| b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted")),
    ("scale in", |b, id| b.core().vnfm().alter(id, &scale(false), "{}").expect("accepted")),
    ("scale out", |b, id| b.core().vnfm().alter(id, &scale(true), "{}").expect("accepted")),
    ("snapshot", |b, id| b.core().vnfm().take_snapshot(id, snapshots::empty(b), &Vec::new(), "{}").expect("accepted")),
    ("revert", |b, id| {
        let all = b.store().list::<VnfSnapshot>().expect("snapshots");
        b.core().vnfm().revert_to_snapshot(id, all[0].id, "{}").expect("accepted")
    }),
];

/// An owned VNF that is up, of two guests where there may be one to three, with a snapshot of it.
fn up() -> (TestBox, VnfId) {
    let (b, id) = vnf_box(&Shape { vdus: 1, most: 3, volume: true, ..Shape::default() });
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    b.assert_state(b.core().vnfm().alter(id, &scale(true), "{}").expect("accepted").id, "COMPLETED");
    b.assert_state(b.core().vnfm().take_snapshot(id, snapshots::empty(&b), &Vec::new(), "{}").expect("accepted").id, "COMPLETED");
    own(&b, id);
    (b, id)
}

#[test]
fn after_a_power_cut_guests_run_while_their_operation_waits_for_its_grant() {
    for (name, ask) in ASKS {
        let (mut b, id) = up();
        let old = guests(&b.vnf(id));
        let op = held(&b, ask(&b, id));
        b.host_reboot();
        b.start();
        let found = b.core().vnfm().reconcile().expect("reconciled");
        assert!(found.failed.is_empty() && found.awaited.is_empty(), "{name}: {found:?}");
        assert!(found.started == old.len() && runs(&b, &old), "{name}: {found:?}");
        held(&b, b.op(op));
        // Granted in the end, it does what it was to do.
        b.core().vnfm().grant_given(op, "g".into()).expect("given");
        b.assert_state(op, "COMPLETED");
        let left = guests(&b.vnf(id));
        let (many, run) = match name {
            "stop" => (2, false),
            "terminate" => (0, true),
            "scale in" => (1, true),
            "scale out" => (3, true),
            _ => (2, true),
        };
        assert_eq!((left.len(), runs(&b, &left)), (many, run), "{name}: {}", b.picture());
    }
}

#[test]
fn before_a_change_of_flavour_is_granted_its_guests_are_of_the_old_one() {
    for given in [true, false] {
        let (mut b, id) = flavour::standing();
        own(&b, id);
        let old = guests(&b.vnf(id));
        let op = held(&b, b.core().vnfm().change_flavour(id, &flavour::to("big", None)).expect("accepted"));
        b.host_reboot();
        b.start();
        let found = b.core().vnfm().reconcile().expect("reconciled");
        assert!(found.failed.is_empty() && found.awaited.is_empty() && found.started == old.len(), "{found:?}");
        assert!(runs(&b, &old) && guests(&b.vnf(id)).len() > old.len());
        let medium = b.core().vnfm().preview_day0(id, old[0]).expect("the medium that it has");
        assert_eq!(medium[0].path, "user-data");
        match given {
            true => b.core().vnfm().grant_given(op, "g".into()).expect("given"),
            false => b.core().vnfm().grant_refused(op, Fault::forbidden("no").record()).expect("refused"),
        }
        b.assert_state(op, if given { "COMPLETED" } else { "ROLLED_BACK" });
        flavour::assert_is(&b, id, if given { "big" } else { "df" }, given);
    }
}

/// What some guest holds.
fn placed() -> Held {
    let (b, id) = vnf_box(&Shape::with_vf());
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    b.store().require::<Reservation>(&id).expect("reserved").placed.remove(0)
}

#[test]
fn what_a_change_would_give_a_guest_is_not_given_before_it_is_granted() {
    let (mut b, id) = flavour::standing();
    own(&b, id);
    let device = b.sim.facts().expect("facts").pfs().last().expect("a PF").0.addr;
    let driver = |b: &TestBox| b.sim.facts().expect("facts").device(device).expect("there").driver.clone();
    let before = driver(&b);
    held(&b, b.core().vnfm().change_flavour(id, &flavour::to("big", None)).expect("accepted"));
    // As if the other flavour had a whole PF.
    let guest = guests(&b.vnf(id))[0];
    let given = vec![Given::Whole { device, before: before.clone() }];
    let mut r = b.store().require::<Reservation>(&id).expect("reserved");
    r.placed.push(Held { given, guest, ..placed() });
    b.put(&r);
    b.host_reboot();
    b.start();
    b.core().vnfm().reconcile().expect("reconciled");
    assert!(runs(&b, &[guest]));
    assert_eq!(driver(&b), before);
}

#[test]
fn a_guest_that_crashes_meanwhile_is_an_alarm_and_starts_again_where_its_vnf_heals_itself() {
    let (b, id) = up();
    autoheal::watch(&b);
    autoheal::set(b.store(), id, true);
    let op = held(&b, ASKS[0].1(&b, id));
    let old = guests(&b.vnf(id));
    for _ in 0..3 {
        let before = b.sim.faults().count(Method::Start);
        autoheal::crash(&b, old[0]);
        b.until("it runs again, and the alarm ends", || runs(&b, &old) && autoheal::standing(&b).is_empty());
        assert_eq!(b.sim.faults().count(Method::Start), before + 1);
    }
    autoheal::crash(&b, old[0]);
    let says = "healing by itself is given up: 3 times it crashed again";
    b.until("that it is given up", || autoheal::standing(&b).iter().any(|a| a.details.iter().any(|d| d == says)));
    assert_eq!(b.sim.state(old[0]).expect("state"), Some(GuestState::Crashed));
    assert_eq!(autoheal::heals(&b), []);
    held(&b, b.op(op));
}
