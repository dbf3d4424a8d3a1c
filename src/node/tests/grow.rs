//! A whole service is scaled (SCALE_NS): which VNFs come and go, what stays as it was, and what is refused.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::{
        epa::PagePolicy,
        error::Kind,
        id::{NsId, VnfId},
        op::OpKind,
        param::Params,
        size::Bytes,
        vnf::{Stopping, VnfInstance},
    },
    nfvo::{
        goal::{NsScaleTo, There, goal},
        scale::ScaleNs,
    },
    node::kit::{Shape, THREE, TestBox, elastic, elastic_box, ns_box, nsd, vnfd},
    sim::{SimConfig, faults::Method},
    vim::port::DiskRoom,
    vnfm::alter::Alter,
};

fn ask(to: NsScaleTo) -> ScaleNs {
    ScaleNs { to, params: Params::new(), member_params: BTreeMap::new(), request: "{}".into() }
}
fn level(id: &str) -> ScaleNs {
    ask(NsScaleTo::Level(id.into()))
}

fn names(b: &TestBox, id: NsId) -> Vec<String> {
    b.ns(id).members.iter().map(|m| b.vnf(m.vnf).name.to_string()).collect()
}

fn up(shape: &Shape) -> (TestBox, NsId) {
    let (b, id) = elastic_box(shape);
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    (b, id)
}

#[test]
fn a_service_grows_and_shrinks_to_levels_and_those_that_stay_are_left_alone() {
    let (b, id) = up(&Shape::small());
    let nfvo = || &b.core().nfvo;
    let (start, first) = (b.sim.leftovers(), b.ns(id).members);
    b.sim.faults().reset_counts();
    for _ in 0..2 {
        b.assert_state(nfvo().scale(id, &level("big")).expect("accepted").id, "COMPLETED");
        b.assert_ns_up(id);
        assert_eq!(names(&b, id), ["s-web", "s-web-1", "s-web-2", "s-fw", "s-client"]);
    }
    assert_eq!(b.sim.faults().count(Method::Start), 2, "only those that came were started");
    let all: Vec<VnfInstance> = b.ns(id).members.iter().map(|m| b.vnf(m.vnf)).collect();
    let addresses: Vec<_> =
        all.iter().flat_map(|v| &v.body).flat_map(|b| &b.vnfcs).flat_map(|c| &c.ports).flat_map(|p| p.addresses.clone()).collect();
    assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), addresses.len(), "no address twice");
    // One of them by name, then the level again: the number that is free is filled.
    let second = all[1].id;
    b.assert_state(nfvo().scale(id, &ask(NsScaleTo::Without(vec![second]))).expect("accepted").id, "COMPLETED");
    assert_eq!(names(&b, id), ["s-web", "s-web-2", "s-fw", "s-client"]);
    b.assert_state(nfvo().scale(id, &level("big")).expect("accepted").id, "COMPLETED");
    assert_eq!(names(&b, id), ["s-web", "s-web-2", "s-web-1", "s-fw", "s-client"]);
    b.assert_state(nfvo().scale(id, &level("default")).expect("accepted").id, "COMPLETED");
    assert_eq!((b.sim.leftovers(), b.ns(id).members), (start, first));
    // The same by an aspect.
    let step = |out, steps| ask(NsScaleTo::Steps { aspect: "more".into(), out, steps });
    b.assert_state(nfvo().scale(id, &step(true, 2)).expect("accepted").id, "COMPLETED");
    b.assert_state(nfvo().scale(id, &step(false, 1)).expect("accepted").id, "COMPLETED");
    assert_eq!(names(&b, id), ["s-web", "s-web-1", "s-fw", "s-client"]);
    b.assert_state(nfvo().scale(id, &ask(NsScaleTo::Aspects(vec![("more".into(), 0)]))).expect("accepted").id, "COMPLETED");
    assert_eq!(names(&b, id), ["s-web", "s-fw", "s-client"]);
    b.assert_state(nfvo().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_nothing_left();
    assert_eq!(nfvo().scale(id, &level("big")).expect_err("down").kind(), Kind::Conflict);
}

#[test]
fn a_dry_run_of_growth_names_what_would_come_and_go_and_touches_nothing() {
    let (b, id) = up(&Shape::small());
    let (there, before) = (b.sim.leftovers(), b.ns(id));
    let (_, plan) = b.core().nfvo.dry_scale(id, &level("big")).expect("a plan");
    assert_eq!(plan.members.iter().map(|m| m.instance.name.as_str()).collect::<Vec<_>>(), ["s-web-1", "s-web-2"]);
    assert_eq!((plan.steps.len(), plan.less.len()), (2, 0));
    let web = before.members[0].vnf;
    let e = b.core().nfvo.dry_scale(id, &ask(NsScaleTo::Without(vec![web]))).map(drop).expect_err("one is the least");
    assert!(e.to_string().contains("VNF web: 0 instances, and it has 1 to 3"), "{e}");
    assert_eq!((b.sim.leftovers(), b.ns(id)), (there, before));
}

/// A service of three whose guests have large pages.
fn paged() -> (TestBox, NsId) {
    let b = TestBox::new();
    let mut v = vnfd("vnf", &Shape::small());
    v.flavours[0].vdus[0].epa.pages = PagePolicy::Size2M;
    b.onboard(v);
    b.onboard_nsd(elastic(nsd("ns", &THREE)));
    let id = b.create_ns("ns");
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    (b, id)
}
/// What comes finds no disk, and what takes the place of another no pages.
fn starve(b: &TestBox, kind: OpKind) {
    if kind == OpKind::Scale {
        return b.sim.set_room(NONE);
    }
    let mut bare = SimConfig::default().hardware;
    bare.nodes.iter_mut().for_each(|n| n.hugepages.clear());
    b.sim.set_hardware(bare);
}
fn feed(b: &TestBox) {
    b.sim.set_room(ENOUGH);
    b.sim.set_hardware(SimConfig::default().hardware);
}
const NONE: DiskRoom = DiskRoom { total: Bytes(1 << 40), free: Bytes(0), disks: Bytes(0) };
const ENOUGH: DiskRoom = DiskRoom { total: Bytes(1 << 40), free: Bytes(1 << 40), disks: Bytes(0) };

const GROW: &str = r#"{"scaleType": "SCALE_NS", "scaleNsData": {"scaleNsToLevelData": {"nsInstantiationLevel": "big"}}}"#;
const HEAL: &str = r#"{"healNsData": {"degreeHealing": "HEAL_RESTORE"}}"#;

#[test]
fn a_change_without_room_waits_with_each_reason_until_it_is_retried_taken_back_or_given_up() {
    for kind in [OpKind::Scale, OpKind::Heal] {
        for (then, ends) in [("retry", "COMPLETED"), ("rollback", "ROLLED_BACK"), ("fail", "FAILED")] {
            let at = format!("{kind:?} {then}");
            let (mut b, id) = paged();
            starve(&b, kind);
            let (before, there) = (b.ns(id), b.sim.leftovers());
            let nfvo = |b: &TestBox| b.core().nfvo.clone();
            let op = match kind {
                OpKind::Scale => nfvo(&b).scale(id, &ScaleNs { request: GROW.into(), ..level("big") }),
                _ => {
                    let all: Vec<_> = before.members.iter().map(|m| (m.vnf, Alter::Heal { which: Vec::new(), anew: true })).collect();
                    nfvo(&b).alter(id, OpKind::Heal, &all, HEAL)
                }
            };
            let op = b.assert_state(op.expect("accepted").id, "FAILED_TEMP");
            let why = op.error.expect("reasons").reasons;
            let named: &[&str] = if kind == OpKind::Scale { &["s-web-1", "s-web-2"] } else { &["s-web", "s-fw", "s-client"] };
            let says = if kind == OpKind::Scale { "disk: " } else { "2 MiB pages: 0 of 0 free" };
            let each = |all: &[String]| named.iter().all(|n| all.iter().any(|w| w.contains(n) && w.contains(says)));
            assert!(each(&why), "{at}: {why:?}");
            assert_eq!((b.ns(id).members, b.ns(id).op, b.sim.leftovers()), (before.members.clone(), Some(op.id), there.clone()), "{at}");
            // It holds its service, whatever becomes of bothy.
            b.kill_and_start();
            assert_eq!(nfvo(&b).scale(id, &level("big")).expect_err("held").kind(), Kind::Conflict, "{at}");
            let again = nfvo(&b).retry(op.id).expect_err("no more room than before");
            assert!(again.kind() == Kind::Capacity && each(again.reasons()), "{at}: {again}");
            b.assert_state(op.id, "FAILED_TEMP");
            feed(&b);
            match then {
                "retry" => nfvo(&b).retry(op.id),
                "rollback" => nfvo(&b).rollback(op.id),
                _ => nfvo(&b).fail(op.id),
            }
            .unwrap_or_else(|e| panic!("{at}: {e}"));
            b.assert_state(op.id, ends);
            b.assert_ns_up(id);
            assert_eq!(b.ns(id).op, None, "{at}");
            let grown = kind == OpKind::Scale && then == "retry";
            assert_eq!(names(&b, id).len(), if grown { 5 } else { 3 }, "{at}");
            if !grown && kind == OpKind::Scale {
                assert_eq!(b.sim.leftovers(), there, "{at}");
            }
            b.assert_state(nfvo(&b).terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
            b.assert_nothing_left();
        }
    }
}

#[test]
fn what_heals_itself_without_room_is_over_and_holds_nothing() {
    let (b, id) = paged();
    starve(&b, OpKind::Heal);
    let vnf = b.vnf(b.ns(id).members[0].vnf);
    let guest = vnf.body.as_ref().expect("a body").vnfcs[0].id;
    let op = b.core().nfvo.heal_by_itself(&vnf, guest, "it crashed").expect("accepted");
    b.assert_state(op.id, "ROLLED_BACK");
    assert_eq!(b.ns(id).op, None);
}

#[test]
fn what_cannot_be_says_why() {
    let (b, chained) = ns_box(&Shape::small());
    let nsd = |of: NsId| b.store().require::<crate::model::package::NsDescriptor>(&b.ns(of).nsd_info).expect("an NSD").nsd.expect("read");
    let on_chain = elastic(nsd(chained));
    let plain = elastic(crate::node::kit::nsd("other", &THREE));
    let there: Vec<There> = ["web", "fw", "client"]
        .iter()
        .zip(1..)
        .map(|(m, n)| There { profile: (*m).into(), vnf: VnfId(uuid::Uuid::from_u128(n)), name: format!("s-{m}").into(), chain: None })
        .collect();
    let stranger = VnfId(uuid::Uuid::from_u128(9));
    for (of, to, kind, says) in [
        (&plain, NsScaleTo::Level("huge".into()), Kind::Invalid, "no instantiation level 'huge'; it has default, big, odd"),
        (&plain, NsScaleTo::Level("odd".into()), Kind::Conflict, "VNF web: 9 instances, and it has 1 to 3"),
        (&plain, NsScaleTo::Without(vec![stranger]), Kind::Invalid, "is no member of it"),
        (&plain, NsScaleTo::Without(vec![there[0].vnf]), Kind::Conflict, "VNF web: 0 instances"),
        (&plain, NsScaleTo::Steps { aspect: "a".into(), out: true, steps: 1 }, Kind::Invalid, "no scaling aspect 'a'; it has more"),
        (&plain, NsScaleTo::Steps { aspect: "more".into(), out: true, steps: 3 }, Kind::Conflict, "at level 0 of at most 2: 3 steps out"),
        (&plain, NsScaleTo::Steps { aspect: "more".into(), out: false, steps: 1 }, Kind::Conflict, "1 steps in are not possible"),
        (&plain, NsScaleTo::Aspects(vec![("more".into(), 3)]), Kind::Conflict, "aspect more has levels 0 to 2, not 3"),
        (&on_chain, NsScaleTo::Level("big".into()), Kind::Conflict, "VNF web takes part in path"),
    ] {
        let e = goal("s", &of.flavours[0], &there, &to).expect_err(says);
        assert!(e.kind() == kind && e.to_string().contains(says), "{to:?}: {e}");
    }
    let nothing = goal("s", &on_chain.flavours[0], &there, &NsScaleTo::Level("default".into())).expect("nothing to do");
    assert!(nothing.more.is_empty() && nothing.less.is_empty());
}
