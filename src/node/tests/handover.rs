//! Chains of a running service whose new functions hold connections: what is there keeps its way for a while.

use std::collections::BTreeMap;

use crate::{
    model::{
        chain::{Chain, Classifier, HopKind, IpProto, Ports, Stage},
        error::Kind,
        id::{NsId, PortId},
        net::VlanId,
        nsd::{ForwardingPath, MemberCp, Nsd, PathHop},
        param::Params,
        segment::Segment,
        step::{NsStep, PlanStep, Step},
        time::Stamp,
        vnf::Stopping,
    },
    nfvo::{goal::NsScaleTo, scale::ScaleNs, way::PathChange},
    node::{
        kit::{Shape, TestBox, nsd, vnfd},
        tests::{
            chains::chained,
            reroute::{assert_path, by},
        },
    },
    sim::faults::{Method, Rule, Then},
    vim::links::HandOver,
};

/// As `reroute::four`; `fw` of the path is routed, and `ids`, which no path lists, is of this kind.
pub fn four(shape: &Shape, ids: HopKind, more: impl Fn(&mut Nsd)) -> (TestBox, NsId) {
    let b = TestBox::new();
    let mut v = vnfd("vnf", shape);
    v.flavours[0].vdus.iter_mut().flat_map(|v| &mut v.nics).for_each(|n| n.port_security = false);
    b.onboard(v);
    let mut n = chained(nsd("ns", &[("web", "vnf", &[]), ("fw", "vnf", &["web"]), ("ids", "vnf", &[]), ("client", "vnf", &["fw"])]));
    let cp = MemberCp { member: "ids".into(), cp: "ext1".into() };
    n.flavours[0].paths[0].hops[0].kind = HopKind::Routed;
    n.flavours[0].spare = vec![PathHop { kind: ids, entry: cp.clone(), exit: cp }];
    more(&mut n);
    b.onboard_nsd(n);
    let id = b.create_ns("ns");
    (b, id)
}

fn up(ids: HopKind, more: impl Fn(&mut Nsd)) -> (TestBox, NsId) {
    let (b, id) = four(&Shape::small(), ids, more);
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    (b, id)
}

fn record(b: &TestBox) -> Chain {
    b.store().list::<Chain>().expect("read").remove(0)
}
fn reroute(b: &TestBox, id: NsId, functions: &[&str]) {
    let op = b.core().nfvo.reroute(id, &[by(b, id, functions)], "{}").expect("accepted").id;
    b.assert_state(op, "COMPLETED");
}
/// The functions that connections stay by.
fn before(b: &TestBox) -> Option<Vec<String>> {
    let on_switch = b.sim.chains().remove(0).handover.map(|h| h.hops.iter().map(|h| h.name.to_string()).collect::<Vec<_>>());
    let recorded = record(b).handover.map(|h| h.old.hops.iter().map(|h| h.name.to_string()).collect());
    assert_eq!(on_switch, recorded, "{}", b.picture());
    recorded
}
const FAR: Stamp = Stamp(u64::MAX);

#[test]
fn routed_and_stateful_functions_come_and_go_and_connections_keep_the_way_before() {
    for (kind, wires) in [(HopKind::Routed, 0), (HopKind::Stateful, 1)] {
        let (b, id) = up(kind, |_| {});
        for (functions, was) in [
            (&["ids", "fw"][..], &["fw"][..]),
            (&["fw", "ids"], &["ids", "fw"]),
            (&["ids"], &["fw", "ids"]),
            (&[], &["ids"]),
            (&["fw"], &[]),
        ] {
            reroute(&b, id, functions);
            assert_path(&b, functions, wires);
            assert_eq!(before(&b).expect("two ways"), was, "{kind:?}");
            // Whoever starts in the middle of it goes on with it.
            let links = b.core().vnfm().links();
            assert_eq!(links.end_drains(b.core().vnfm().clock().now()).expect("looked"), 0, "its time is not up");
            assert_eq!(links.end_drains(FAR).expect("ended"), 1);
            assert_eq!(before(&b), None);
            assert_path(&b, functions, wires);
            assert_eq!(links.end_drains(FAR).expect("ended"), 0);
        }
        // At its end the service takes both ways with it.
        reroute(&b, id, &["ids"]);
        b.assert_state(b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
        b.assert_nothing_left();
    }
}

#[test]
fn a_handover_outlives_a_kill_and_ends_by_itself() {
    let (mut b, id) = up(HopKind::Routed, |_| {});
    reroute(&b, id, &["ids"]);
    let was = record(&b);
    assert!(was.handover.is_some());
    b.kill_and_start();
    b.core().vnfm().reconcile().expect("looked");
    assert_eq!((record(&b), before(&b)), (was.clone(), Some(vec!["fw".to_owned()])), "the same mark, and the same end");
    b.core().vnfm().links().end_drains(FAR).expect("ended");
    b.kill_and_start();
    b.core().vnfm().reconcile().expect("looked");
    assert_eq!((record(&b).way(), before(&b)), (was.way(), None));
}

#[test]
fn what_is_not_tcp_is_noted_before_and_the_operation_waits_for_it() {
    let (b, id) = up(HopKind::Routed, |n| n.flavours[0].paths[0].classifiers[0].proto = Some(IpProto::UDP));
    b.sim.faults().record();
    let op = b.core().nfvo.reroute(id, &[by(&b, id, &["ids"])], "{}").expect("accepted").id;
    b.until("it is noted", || b.sim.chains()[0].handover.is_some());
    let noting = b.sim.chains().remove(0);
    assert!(noting.handover.is_some_and(|h| h.noting) && noting.hops[0].name == "fw", "all goes the way before");
    assert!(matches!(record(&b).handover.map(|h| h.stage), Some(Stage::Noting { .. })));
    b.assert_state(op, "COMPLETED");
    assert!(b.sim.faults().taken().iter().filter(|(m, _)| *m == Method::EnsureChain).count() >= 2);
    assert!(b.sim.chains()[0].handover.as_ref().is_some_and(|h| !h.noting));
    assert_path(&b, &["ids"], 0);
}

#[test]
fn a_chain_has_two_ways_at_most_until_somebody_ends_it() {
    let (b, id) = up(HopKind::Stateful, |_| {});
    reroute(&b, id, &["ids", "fw"]);
    let f = b.core().nfvo.reroute(id, &[by(&b, id, &["ids"])], "{}").map(drop).expect_err("refused");
    assert!(f.kind() == Kind::Conflict && f.detail().contains("bothy chain settle path"), "{}", f.detail());
    assert!(b.core().nfvo.dry_reroute(id, &[by(&b, id, &["ids", "fw"])]).expect("nothing to do").steps.is_empty());
    b.core().vnfm().links().end_drain(record(&b).id).expect("ended");
    reroute(&b, id, &["ids"]);
    assert_path(&b, &["ids"], 1);
}

#[test]
fn a_path_without_a_time_to_drain_changes_at_once() {
    let (b, id) = up(HopKind::Routed, |n| n.flavours[0].paths[0].drain_s = Some(0));
    let dry = b.core().nfvo.dry_reroute(id, &[by(&b, id, &["ids"])]).expect("possible");
    assert!(dry.changes[0].cutover.lines[0].contains("may break"), "{:?}", dry.changes[0].cutover);
    reroute(&b, id, &["ids"]);
    assert_eq!(before(&b), None);
    assert_path(&b, &["ids"], 0);

    let (b, id) = up(HopKind::Routed, |n| n.flavours[0].paths[0].drain_s = Some(7));
    let dry = b.core().nfvo.dry_reroute(id, &[by(&b, id, &["ids"])]).expect("possible");
    let is = |s: &PlanStep| matches!(s.step, Step::Ns(NsStep::HandOver { noting_s: 0, drain_s: 7, .. }));
    assert!(dry.steps.len() == 1 && is(&dry.steps[0]), "{:?}", dry.steps);
}

#[test]
fn a_step_that_is_told_once_more_after_its_time_was_up_begins_nothing_anew() {
    let (b, id) = up(HopKind::Routed, |_| {});
    let op = b.core().nfvo.reroute(id, &[by(&b, id, &["ids"])], "{}").expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    let step = b.steps(op).remove(0).step;
    let Step::Ns(NsStep::HandOver { chain, before: was, after, mark, noting_s, drain_s }) = &step else { panic!("{step:?}") };
    let (chain, mark, noting_s, drain_s) = (*chain, *mark, *noting_s, *drain_s);
    let ask = HandOver { chain, before: was, after, mark, noting_s, drain_s };
    let (links, now) = (b.core().vnfm().links(), b.core().vnfm().clock().now());
    // Its end is not put off either.
    let began = record(&b);
    assert_eq!(links.hand_over(&ask, Stamp(now.0 + 1000)).expect("done"), None);
    assert_eq!(record(&b), began);
    links.end_drains(FAR).expect("ended");
    assert_eq!(links.hand_over(&ask, now).expect("done"), None);
    assert_eq!(before(&b), None);
    assert_path(&b, &["ids"], 0);
    // After it was taken back it is begun again.
    links.reroute(chain, after, was).expect("taken back");
    links.hand_over(&ask, now).expect("begun");
    assert_eq!(before(&b).expect("two ways"), ["fw"]);
}

#[test]
fn a_function_that_came_into_a_chain_is_not_scaled_away_from_it() {
    let (b, id) = up(HopKind::Routed, |n| n.flavours[0].members.iter_mut().filter(|m| m.id == "ids").for_each(|m| m.min_instances = 0));
    let ids = b.member(id, "ids").id;
    let without =
        ScaleNs { to: NsScaleTo::Without(vec![ids]), params: Params::new(), member_params: BTreeMap::new(), request: "{}".into() };
    let refusal = || b.core().nfvo.dry_scale(id, &without).map(drop).err();
    assert!(refusal().is_none(), "while it is on no chain");
    reroute(&b, id, &["ids"]);
    let on = refusal().expect("refused");
    assert!(on.kind() == Kind::Conflict && on.detail().contains("VNF ids takes part in chain path as it runs"), "{on:?}");
    b.core().vnfm().links().end_drains(FAR).expect("ended");
    reroute(&b, id, &["fw"]);
    assert!(refusal().expect("refused").detail().contains("chain path"), "connections are on it still");
    b.core().vnfm().links().end_drains(FAR).expect("ended");
    assert!(refusal().is_none(), "out of it again");
}

/// The path is by a stateful function, and a second one, of all TCP, by nothing.
fn wider(n: &mut Nsd) {
    let path = &mut n.flavours[0].paths[0];
    path.hops[0].kind = HopKind::Stateful;
    let mut wide = ForwardingPath { id: "wide".into(), hops: Vec::new(), ..path.clone() };
    wide.classifiers.iter_mut().for_each(|c| c.dst_ports = None);
    n.flavours[0].paths.push(wide);
}

#[test]
fn a_chain_keeps_no_connections_where_what_it_lets_go_is_another_one_s() {
    let narrow = |b: &TestBox, id: NsId, port: u16| {
        let path = b.store().list::<Chain>().expect("read").into_iter().find(|c| c.nfp == "path").expect("it").id;
        let traffic = Classifier { proto: Some(IpProto::TCP), dst_ports: Some(Ports::one(port)), ..Classifier::default() };
        PathChange { path, traffic: Some(traffic), ..by(b, id, &["ids"]) }
    };
    let (b, id) = up(HopKind::Stateful, wider);
    let why = b.core().nfvo.reroute(id, &[narrow(&b, id, 443)], "{}").map(drop).expect_err("refused");
    assert!(
        why.detail().contains("connections of chain path keep the way before") && why.detail().contains("chain wide"),
        "{}",
        why.detail()
    );
    assert_eq!(b.core().nfvo.dry_reroute(id, &[narrow(&b, id, 443)]).map(drop).expect_err("refused").detail(), why.detail());
    b.core().nfvo.dry_reroute(id, &[narrow(&b, id, 80)]).expect("it lets nothing go");
    // At once it can be.
    let (b, id) = up(HopKind::Stateful, |n| {
        n.flavours[0].paths[0].drain_s = Some(0);
        wider(n);
    });
    b.assert_state(b.core().nfvo.reroute(id, &[narrow(&b, id, 443)], "{}").expect("accepted").id, "COMPLETED");
}

#[test]
fn a_chain_that_the_switch_refuses_keeps_no_other_from_it() {
    let (b, _) = up(HopKind::Routed, wider);
    let links = b.core().vnfm().links();
    for n in [1, 2] {
        b.sim.faults().reset_counts();
        b.sim.faults().add(Rule::next(Method::EnsureChain, Then::Fail(Kind::Transient)).nth(n));
        assert!(links.keep_chains().expect_err("told").text().contains("chain "));
        assert_eq!(b.sim.faults().count(Method::EnsureChain), 2, "both were told");
    }
    links.keep_chains().expect("both");
}

#[test]
fn a_network_of_a_trunk_is_neither_an_end_nor_a_function() {
    let (b, id) = up(HopKind::Stateful, |_| {});
    b.core().nfvo.dry_reroute(id, &[by(&b, id, &["ids"])]).expect("of whole ports");
    let ports: Vec<PortId> =
        ["web", "ids"].iter().flat_map(|m| b.member(id, m).body).flat_map(|b| b.vnfcs).flat_map(|v| v.ports).map(|p| p.id).collect();
    for mut s in b.store().list::<Segment>().expect("read") {
        let tag = VlanId::try_from(5).expect("a tag");
        s.stations.iter_mut().filter(|st| ports.contains(&st.port)).for_each(|st| st.access.within = Some((PortId(s.id.0), tag)));
        b.put(&s);
    }
    let why = b.core().nfvo.dry_reroute(id, &[by(&b, id, &["ids"])]).map(drop).expect_err("refused").detail();
    for part in ["it ends at 'nic1', which is the network of tag 5", "'ids' is to be led to at 'nic1'"] {
        assert!(why.contains(part), "no {part:?} in {why}");
    }
}

#[test]
fn a_function_that_meets_a_router_on_both_sides_is_told_of() {
    let (b, id) = up(HopKind::Stateful, |_| {});
    let warnings =
        |functions: &[&str]| b.core().nfvo.dry_reroute(id, &[by(&b, id, functions)]).expect("possible").changes.remove(0).warnings;
    assert_eq!(warnings(&["ids", "fw"]), Vec::<String>::new(), "it is on one side only");
    reroute(&b, id, &["ids", "fw"]);
    b.core().vnfm().links().end_drains(FAR).expect("ended");
    let told = warnings(&["fw", "ids"]);
    assert!(told.len() == 1 && told[0].contains("ids is before fw on one way and behind it on the other"), "{told:?}");
    assert_eq!(warnings(&["fw"]), Vec::<String>::new());
}
