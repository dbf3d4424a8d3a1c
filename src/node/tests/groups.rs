//! Guests that belong together and guests that do not, from the rules of a flavour to their nodes.

use crate::{
    model::{
        error::Kind,
        id::VnfId,
        vnf::{Reservation, Stopping},
        vnfd::{Apartness, GuestGroup},
    },
    node::kit::{Shape, TestBox, ask_vnf, vnfd},
    vnfm::{alter::Alter, change::ScaleTo},
};

/// A VNF of two VDUs, the first of which may have three guests, under one rule.
fn grouped(kind: Apartness, vdus: &[&str]) -> (TestBox, VnfId) {
    let b = TestBox::new();
    let mut v = vnfd("vnf", &Shape { most: 3, ..Shape::default() });
    let vdus = vdus.iter().map(|v| (*v).into()).collect();
    v.flavours[0].groups = vec![GuestGroup { id: "rule".into(), kind, vdus }];
    b.onboard(v);
    let id = b.create_vnf("vnf");
    (b, id)
}

/// (guest, its node) of those that have a place.
fn nodes(b: &TestBox, id: VnfId) -> Vec<(String, u16)> {
    let r = b.store().require::<Reservation>(&id).expect("reserved");
    let mut all: Vec<_> = r.placed.iter().map(|h| (h.name.to_string(), h.at.cells[0].node)).collect();
    all.sort();
    all
}

fn one_more() -> Alter {
    Alter::Scale(ScaleTo::Steps { aspect: "more".into(), out: true, steps: 1 })
}

fn out(b: &TestBox, id: VnfId) -> crate::model::op::Operation {
    b.core().vnfm().alter(id, &one_more(), "{}").expect("accepted")
}

#[test]
fn guests_of_a_rule_are_on_one_node_or_on_different_ones_and_a_healed_one_too() {
    for (kind, want) in [(Apartness::SameNode, [0, 0]), (Apartness::OtherNode, [0, 1])] {
        let (b, id) = grouped(kind, &["vdu0", "vdu1"]);
        b.assert_state(b.instantiate_vnf(id), "COMPLETED");
        b.assert_vnf_up(id);
        let want = [("v/vdu0/0".to_owned(), want[0]), ("v/vdu1/0".to_owned(), want[1])];
        assert_eq!(nodes(&b, id), want, "{kind:?}");
        for (held, node) in b.store().require::<Reservation>(&id).expect("reserved").placed.iter().zip([want[0].1, want[1].1]) {
            let placed = b.sim.domain(held.guest).and_then(|d| d.placed).expect("placed");
            assert_eq!(placed.cells[0].node, Some(node), "the domain is bound to it");
        }
        let first = b.vnf(id).body.expect("a body").vnfcs[0].id;
        let heal = Alter::Heal { which: vec![first], anew: false };
        b.assert_state(b.core().vnfm().alter(id, &heal, "{}").expect("accepted").id, "COMPLETED");
        assert_eq!(nodes(&b, id), want, "{kind:?}");
        b.assert_state(b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
        b.assert_nothing_left();
    }
}

#[test]
fn a_rule_is_for_its_own_vnf_and_its_own_vdus_only() {
    let (b, id) = grouped(Apartness::OtherNode, &["vdu0"]);
    let other = b.create_vnf("vnf");
    for id in [id, other] {
        b.assert_state(b.instantiate_vnf(id), "COMPLETED");
        assert_eq!(nodes(&b, id), [("v/vdu0/0".to_owned(), 0)], "vdu1 floats over the whole box");
    }
}

#[test]
fn guests_of_one_vdu_keep_apart_when_it_grows_until_there_is_no_node_left() {
    let (b, id) = grouped(Apartness::OtherNode, &["vdu0"]);
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    b.assert_state(out(&b, id).id, "COMPLETED");
    assert_eq!(nodes(&b, id), [("v/vdu0/0".to_owned(), 0), ("v/vdu0/1".to_owned(), 1)]);
    let op = out(&b, id);
    assert_eq!(op.state.name(), "ROLLED_BACK");
    let reasons = op.error.expect("the refusal").reasons;
    let want = |n| format!("v/vdu0/2: node {n}: a guest of the group rule of VNF {id}, whose guests are apart, is on it");
    assert_eq!(reasons, [want(0), want(1)]);
    assert_eq!(nodes(&b, id).len(), 2);
}

#[test]
fn guests_that_need_hosts_of_their_own_are_refused_where_there_is_one() {
    let says = |n: u32, vdus: &str| format!("rule rule: {n} guests of {vdus} are to be on hosts of their own, and this box is one host");
    let (b, id) = grouped(Apartness::OtherHost, &["vdu0", "vdu1"]);
    let dry = b.core().vnfm().dry_instantiate(id, &ask_vnf()).expect_err("one host");
    assert_eq!(dry.kind(), Kind::Capacity);
    assert!(dry.reasons()[0].starts_with(&says(2, "vdu0, vdu1")), "{dry}");
    let asked = b.core().vnfm().instantiate(id, &ask_vnf()).expect_err("one host");
    assert_eq!(asked.reasons(), dry.reasons());
    b.assert_nothing_left();

    let (b, id) = grouped(Apartness::OtherHost, &["vdu0"]);
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    assert!(b.store().require::<Reservation>(&id).expect("reserved").placed.is_empty(), "one alone is free to float");
    let refused = b.core().vnfm().alter(id, &one_more(), "{}").expect_err("a second one");
    assert!(refused.kind() == Kind::Capacity && refused.reasons()[0].starts_with(&says(2, "vdu0")), "{refused}");
    b.assert_vnf_up(id);
}
