//! Chains of a running service whose new functions hold connections: what is there keeps its way for a while.

use crate::{
    model::{
        chain::{Chain, HopKind, Stage},
        error::Kind,
        id::NsId,
        nsd::{MemberCp, Nsd, PathHop},
        step::{NsStep, PlanStep, Step},
        time::Stamp,
        vnf::Stopping,
    },
    node::{
        kit::{Shape, TestBox, nsd, vnfd},
        tests::{
            chains::chained,
            reroute::{assert_path, by},
        },
    },
    sim::faults::Method,
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
    let (b, id) = up(HopKind::Routed, |n| n.flavours[0].paths[0].classifiers[0].proto = Some(crate::model::chain::IpProto::UDP));
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
