//! Chains of a running service that take another way: functions put in, taken out and moved, other traffic.

use std::collections::BTreeMap;

use crate::{
    model::{
        chain::{Chain, Classifier, HopKind, IpProto, Ports},
        error::{Fault, Kind},
        id::{ExtCpId, NfpId, NsId},
        nsd::{MemberCp, NsLevel, PathHop},
        op::OpKind,
        param::Params,
        vnf::Stopping,
    },
    nfvo::{
        goal::NsScaleTo,
        scale::ScaleNs,
        way::{CpRef, PathChange},
    },
    node::{
        kit::{Shape, TestBox, nsd, vnfd},
        tests::chains::chained,
    },
    sdn::link::PortAt,
    sim::faults::Method,
    vnfm::alter::Alter,
};

/// As `ns_box`, with a function `ids` that no path knows.
pub fn four(shape: &Shape) -> (TestBox, NsId) {
    let b = TestBox::new();
    b.onboard(vnfd("vnf", shape));
    b.onboard_nsd(chained(nsd("ns", &[("web", "vnf", &[]), ("fw", "vnf", &["web"]), ("ids", "vnf", &[]), ("client", "vnf", &["fw"])])));
    let id = b.create_ns("ns");
    (b, id)
}

pub fn up() -> (TestBox, NsId) {
    let (b, id) = four(&Shape::small());
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    (b, id)
}

fn cp(b: &TestBox, id: NsId, member: &str, cp: &str) -> CpRef {
    b.member(id, member).body.expect("a body").ext_cps.iter().find(|e| e.cpd == cp).expect("a connection point").id.into()
}

/// The path by the one arm of each of these.
pub fn by(b: &TestBox, id: NsId, functions: &[&str]) -> PathChange {
    let path = b.store().list::<Chain>().expect("read")[0].id;
    let all = [&["client"], functions, &["web"]].concat();
    let positions = all.iter().map(|m| vec![vec![cp(b, id, m, "ext1")]]).collect();
    PathChange { vnffg: "graph".into(), path, positions, traffic: None }
}

/// The chain on the switch has these functions, and so many ports of links are ends of wires.
pub fn assert_path(b: &TestBox, functions: &[&str], wires: usize) {
    let chains = b.sim.chains();
    let [c] = chains.as_slice() else { panic!("{chains:?}") };
    let names: Vec<&str> = c.hops.iter().map(|h| h.name.as_str()).collect();
    assert_eq!(names, functions, "{}", b.picture());
    let ports: Vec<_> = b.sim.switch_links().into_iter().flat_map(|l| l.ports).collect();
    assert_eq!(ports.iter().filter(|p| p.at == PortAt::Wire).count(), wires, "{}", b.picture());
}

fn change(b: &TestBox, id: NsId, functions: &[&str]) -> Vec<Method> {
    b.sim.faults().record();
    let op = b.core().nfvo.reroute(id, &[by(b, id, functions)], "{}").expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    b.sim.faults().taken().into_iter().map(|(m, _)| m).collect()
}

#[test]
fn functions_are_put_in_moved_and_taken_out_and_no_guest_is_touched() {
    let (b, id) = up();
    // A new function's port leaves its link before the chain leads there.
    assert_eq!(change(&b, id, &["ids", "fw"]), [Method::EnsureSegment, Method::EnsureChain]);
    assert_path(&b, &["ids", "fw"], 2);
    // One that is out stays a wire: on its link it could make a loop.
    for (functions, idle) in [(&["fw", "ids"][..], &[][..]), (&["ids"], &["fw"]), (&[], &["fw", "ids"]), (&["fw", "ids"], &[])] {
        assert_eq!(change(&b, id, functions), [Method::EnsureChain], "{functions:?}");
        assert_path(&b, functions, 2);
        let record = &b.store().list::<Chain>().expect("read")[0];
        assert_eq!(record.idle.iter().map(|h| h.name.as_str()).collect::<Vec<_>>(), idle);
    }
    assert_eq!(change(&b, id, &["fw", "ids"]), [], "nothing to do");

    // It is so after a start too, and when a function is made again.
    change(&b, id, &["ids"]);
    let heal = Alter::Heal { which: Vec::new(), anew: false };
    let fw = b.member(id, "fw").id;
    b.assert_state(b.core().nfvo.alter(id, OpKind::Heal, &[(fw, heal)], "{}").expect("accepted").id, "COMPLETED");
    b.core().vnfm().reconcile().expect("looked");
    assert_path(&b, &["ids"], 2);
    b.assert_state(b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_nothing_left();
}

#[test]
fn a_dry_run_tells_what_becomes_of_each_classifier_and_changes_nothing() {
    let (b, id) = up();
    let before = b.store().list::<Chain>().expect("read");
    b.sim.faults().record();
    let tls = Classifier { proto: Some(IpProto::TCP), dst_ports: Some(Ports::one(443)), ..Classifier::default() };
    for (ask, lines) in [
        (
            by(&b, id, &["fw", "ids"]),
            &["'tcp to any port 80': from fw to fw, ids, at once: the functions that come and go are transparent"][..],
        ),
        (
            PathChange { traffic: Some(tls), positions: Vec::new(), ..by(&b, id, &[]) },
            &["'tcp to any port 443': new, by fw", "'tcp to any port 80': no longer, by its link"],
        ),
        (by(&b, id, &["fw"]), &[]),
    ] {
        let dry = b.core().nfvo.dry_reroute(id, &[ask]).expect("possible");
        assert_eq!(dry.changes[0].cutover.lines, lines);
        assert_eq!(dry.steps.len(), usize::from(!lines.is_empty()));
    }
    assert_eq!((b.store().list::<Chain>().expect("read"), b.sim.faults().taken().len()), (before, 0));
    // One that does not run would stop the chain's traffic.
    let vnfm = b.core().vnfm();
    let ids = b.member(id, "ids").id;
    b.assert_state(
        vnfm.operate(ids, crate::model::vnf::RunState::Stopped, Stopping::AtOnce, "{}".into()).expect("accepted").id,
        "COMPLETED",
    );
    let dry = b.core().nfvo.dry_reroute(id, &[by(&b, id, &["ids"])]).expect("possible");
    assert_eq!(dry.changes[0].warnings, ["chain path: ids is stopped: until it runs the chain drops its traffic"]);
}

#[test]
fn what_cannot_be_is_refused_with_every_reason_and_changes_nothing() {
    let (b, id) = up();
    let refusal = |ask: &[PathChange]| -> Fault {
        let dry = b.core().nfvo.dry_reroute(id, ask).map(drop).expect_err("refused");
        let told = b.core().nfvo.reroute(id, ask, "{}").map(drop).expect_err("refused");
        assert_eq!(dry.detail(), told.detail(), "the dry run says the same");
        told
    };
    let stranger = CpRef::Vnf(ExtCpId(uuid::Uuid::from_u128(7)));
    let with = |positions: Vec<Vec<Vec<CpRef>>>| PathChange { positions, ..by(&b, id, &[]) };
    let at = |m: &str| vec![vec![cp(&b, id, m, "ext1")]];
    let unknown = PathChange { path: NfpId(uuid::Uuid::from_u128(8)), ..by(&b, id, &[]) };
    for (ask, parts) in [
        (vec![], &["no path is named"][..]),
        (vec![unknown.clone(), by(&b, id, &["fw"]), by(&b, id, &["ids"])], &["has no path 00000000", "changed twice"]),
        (vec![PathChange { vnffg: "other".into(), ..by(&b, id, &["fw"]) }], &["is one of VNFFG 'graph', not of 'other'"]),
        (vec![with(vec![at("client")])], &["one position"]),
        (vec![by(&b, id, &["fw", "ids", "fw"])], &["is in it twice, at fw and at fw"]),
        (vec![by(&b, id, &["client"])], &["is in it twice, at its beginning and at client"]),
        (
            vec![with(vec![at("ids"), vec![vec![stranger], vec![]], vec![], at("client")])],
            &[
                "position 2: 00000000-0000-0000-0000-000000000007 is no connection point",
                "one connection point or two",
                "position 3: it has no",
                "begins at 'ext1' of client",
                "ends at 'ext1' of web",
            ],
        ),
        (
            vec![with(vec![at("client"), vec![vec![cp(&b, id, "fw", "ext1"), cp(&b, id, "ids", "ext1")]], at("web")])],
            &["are of different VNFs"],
        ),
        (vec![with(vec![at("client"), [at("fw"), at("ids")].concat(), at("web")])], &["are not alike"]),
    ] {
        let f = refusal(&ask);
        let all = f.detail();
        assert_eq!(f.kind(), Kind::Invalid, "{all}");
        for part in parts {
            assert!(all.contains(part), "no '{part}' in {all}");
        }
    }
    assert_path(&b, &["fw"], 1);
    assert!(b.ns(id).op.is_none());
}

/// `ids` has a position of this kind that no path lists.
fn in_reserve(kind: HopKind) -> (TestBox, NsId) {
    let b = TestBox::new();
    let mut v = vnfd("vnf", &Shape::small());
    v.flavours[0].vdus[0].nics[1].port_security = false;
    b.onboard(v);
    let mut n = chained(nsd("ns", &[("web", "vnf", &[]), ("fw", "vnf", &["web"]), ("ids", "vnf", &[]), ("client", "vnf", &["fw"])]));
    let f = &mut n.flavours[0];
    let ids = MemberCp { member: "ids".into(), cp: "ext1".into() };
    f.spare = vec![PathHop { kind, entry: ids.clone(), exit: ids }];
    f.members.iter_mut().filter(|m| m.id == "ids").for_each(|m| m.max_instances = 2);
    f.levels.push(NsLevel { id: "two".into(), counts: vec![("ids".into(), 2)], ..f.levels[0].clone() });
    b.onboard_nsd(n);
    let id = b.create_ns("ns");
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    (b, id)
}

#[test]
fn a_wire_in_reserve_is_on_no_link_before_a_chain_leads_by_it() {
    let (b, id) = in_reserve(HopKind::Transparent);
    assert_path(&b, &["fw"], 2);
    b.core().vnfm().reconcile().expect("looked");
    assert_path(&b, &["fw"], 2);
    // Its port need not leave anything when it comes, and is on no link when it has gone.
    assert_eq!(change(&b, id, &["ids", "fw"]), [Method::EnsureChain]);
    assert!(b.store().list::<Chain>().expect("read")[0].idle.is_empty());
    assert_eq!(change(&b, id, &["fw"]), [Method::EnsureChain]);
    assert_path(&b, &["fw"], 2);
    // So it is with one more of it.
    let ask = ScaleNs { to: NsScaleTo::Level("two".into()), params: Params::new(), member_params: BTreeMap::new(), request: "{}".into() };
    b.assert_state(b.core().nfvo.scale(id, &ask).expect("accepted").id, "COMPLETED");
    assert_path(&b, &["fw"], 3);

    let (b, _) = in_reserve(HopKind::Routed);
    assert_path(&b, &["fw"], 1);
}
