//! A whole service is scaled (SCALE_NS): which VNFs come and go, what stays as it was, and what is refused.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::{
        error::Kind,
        id::{NsId, VnfId},
        param::Params,
        size::MiB,
        vnf::{Stopping, VnfInstance},
    },
    nfvo::{
        goal::{NsScaleTo, There, goal},
        scale::ScaleNs,
    },
    node::kit::{Shape, THREE, TestBox, elastic, elastic_box, ns_box, nsd, vnfd},
    sim::{SimConfig, faults::Method},
    vim::port::HostCapacity,
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

#[test]
fn growth_without_room_is_rolled_back_and_changes_nothing() {
    let mut host = SimConfig { capacity: HostCapacity { cpus: 64, memory: MiB(700) }, ..SimConfig::default() };
    host.hardware.nodes.iter_mut().for_each(|n| n.hugepages.clear());
    let b = TestBox::of(host);
    b.onboard(vnfd("vnf", &Shape::small()));
    b.onboard_nsd(elastic(nsd("ns", &THREE)));
    let id = b.create_ns("ns");
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    let (before, there) = (b.ns(id), b.sim.leftovers());
    let op = b.core().nfvo.scale(id, &level("big")).expect("accepted");
    assert_eq!(op.state.name(), "ROLLED_BACK");
    let why = op.error.expect("reasons").reasons;
    assert!(why.iter().any(|w| w.contains("memory:")), "{why:?}");
    assert_eq!((b.ns(id), b.sim.leftovers()), (before, there));
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
        .map(|(m, n)| There { profile: (*m).into(), vnf: VnfId(uuid::Uuid::from_u128(n)), name: format!("s-{m}").into() })
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
