//! CHANGE_EXT_CONN over `Sim`: NICs come to other links of the box and go back, and every reason why not is told at once.

use std::net::IpAddr;

use super::guests;
use crate::{
    model::{
        id::{NsId, SegmentId, VnfId},
        segment::Segment,
        vnf::{Port, Stopping, VnfInstance},
    },
    node::kit::{Shape, TestBox, ask_ns, ask_vnf, nsd, vnfd},
    vim::network::Wish,
    vnfm::{
        connect::{ChangeExtConn, Connect, To},
        plan::Attachment,
    },
};

/// A VNF with a guest (`ext0` on the management link, `ext1` on the plain one) of a service that is up, and the service.
pub fn standing(shape: &Shape) -> (TestBox, VnfId, NsId) {
    let b = TestBox::new();
    b.onboard(vnfd("vnf", shape));
    b.onboard(vnfd("one", &Shape::small()));
    b.onboard_nsd(nsd("ns", &[("web", "one", &[])]));
    let ns = b.create_ns("ns");
    b.assert_state(b.core().nfvo.instantiate(ns, &ask_ns()).expect("accepted").id, "COMPLETED");
    let vnf = b.create_vnf("vnf");
    let mut ask = ask_vnf();
    for (cp, name) in [("ext0", "mgmt"), ("ext1", "lan")] {
        ask.attach.insert(cp.into(), Attachment { segment: Some(link(&b, ns, name)), ..Attachment::default() });
    }
    b.assert_state(b.core().vnfm().instantiate(vnf, &ask).expect("accepted").id, "COMPLETED");
    (b, vnf, ns)
}

pub fn link(b: &TestBox, ns: NsId, name: &str) -> SegmentId {
    b.ns(ns).links.iter().find(|(l, _)| l == name).expect("a link").1
}

fn to(at: &str, cpd: &str, link: SegmentId, addresses: &[&str]) -> Connect {
    let wish = Wish { mac: None, addresses: addresses.iter().map(|a| a.parse().expect("address")).collect() };
    Connect { at: at.into(), cpd: cpd.into(), instance: None, link: Some(link), to: To::Link { wish, link_port: None } }
}

fn off(cpd: &str, link: SegmentId) -> Connect {
    Connect { at: "off".into(), cpd: cpd.into(), instance: None, link: Some(link), to: To::Nowhere }
}

pub fn ask(all: Vec<Connect>) -> ChangeExtConn {
    ChangeExtConn { all, wrong: Vec::new(), request: "{}".into() }
}

/// `ext0` comes to the plain link, at a fixed address, and `ext1` off every link.
pub fn change(b: &TestBox, ns: NsId) -> ChangeExtConn {
    ask(vec![to("a", "ext0", link(b, ns, "lan"), &["192.168.3.4"]), off("ext1", link(b, ns, "lan"))])
}

fn port(v: &VnfInstance, cp: &str) -> Port {
    let mut all = v.body.iter().flat_map(|b| &b.vnfcs).flat_map(|c| &c.ports);
    all.find(|p| p.ext_cp.as_deref() == Some(cp)).expect("a port").clone()
}

/// The VNF is as after `change`, or as before it; records, switch and DHCP say the same of each NIC.
pub fn assert_is(b: &TestBox, vnf: VnfId, ns: NsId, changed: bool) {
    b.assert_vnf_up(vnf);
    let v = b.vnf(vnf);
    let (mgmt, lan) = (link(b, ns, "mgmt"), link(b, ns, "lan"));
    let (zero, one) = (port(&v, "ext0"), port(&v, "ext1"));
    let own = v.body.as_ref().expect("a body").own_segments.clone();
    assert_eq!(zero.segment, if changed { lan } else { mgmt });
    assert_eq!(own.contains(&one.segment), changed, "{}", b.picture());
    if changed {
        assert_eq!(zero.addresses, ["192.168.3.4".parse::<IpAddr>().expect("address")]);
        assert_eq!(one.addresses, Vec::<IpAddr>::new());
    } else {
        assert_eq!(one.segment, lan);
    }
    let segments = b.store().list::<Segment>().expect("list");
    assert_eq!(segments.iter().filter(|s| own.contains(&s.id)).count(), own.len(), "each link of the VNF has its record");
    for p in v.body.iter().flat_map(|b| &b.vnfcs).flat_map(|c| &c.ports) {
        let seats: Vec<_> =
            segments.iter().flat_map(|s| s.stations.iter().map(move |st| (s.id, st))).filter(|(_, st)| st.mac == p.mac).collect();
        let seats: Vec<_> = seats.into_iter().map(|(s, st)| (s, st.port, st.addresses.clone(), st.hostname.is_empty())).collect();
        assert_eq!(seats, [(p.segment, p.id, p.addresses.clone(), false)], "a NIC has one seat\n{}", b.picture());
        let on: Vec<SegmentId> =
            b.sim.switch_links().iter().filter(|l| l.ports.iter().any(|q| q.name == p.ifname)).map(|l| l.segment).collect();
        assert_eq!(on, [p.segment], "the switch has it on one link\n{}", b.picture());
        let leases: Vec<SegmentId> = b.sim.dhcp().iter().filter(|d| d.leases.iter().any(|l| l.mac == p.mac)).map(|d| d.segment).collect();
        assert_eq!(leases, if p.segment == mgmt { vec![mgmt] } else { Vec::new() }, "{}", b.picture());
    }
}

fn fault_of(b: &TestBox, vnf: VnfId, what: &ChangeExtConn) -> String {
    let fault = b.core().vnfm().dry_change_ext_conn(vnf, what, false).err().expect("refused");
    let accepted = b.core().vnfm().change_ext_conn(vnf, what).expect_err("refused");
    assert_eq!(fault.to_string(), accepted.to_string(), "the dry run says what the request is told");
    assert!(b.vnf(vnf).op.is_none());
    [&[fault.text().to_owned()], fault.reasons()].concat().join("\n")
}

#[test]
fn nics_move_while_the_guest_runs_and_come_back_by_another_change() {
    let (b, vnf, ns) = standing(&Shape { vdus: 1, ..Shape::default() });
    assert_is(&b, vnf, ns, false);
    let before = b.vnf(vnf);
    let dry = b.core().vnfm().dry_change_ext_conn(vnf, &change(&b, ns), false).expect("a plan");
    assert_eq!((dry.plan.moves.len(), dry.plan.made.len(), dry.plan.steps.len()), (2, 1, 3));
    assert_eq!(b.vnf(vnf), before, "a dry run touches nothing");
    b.assert_state(b.core().vnfm().change_ext_conn(vnf, &change(&b, ns)).expect("accepted").id, "COMPLETED");
    assert_is(&b, vnf, ns, true);
    assert_eq!((guests(&before), port(&before, "ext0").mac), (guests(&b.vnf(vnf)), port(&b.vnf(vnf), "ext0").mac));
    // The same once more is nothing to do, and its address stays.
    let again = b.core().vnfm().change_ext_conn(vnf, &ask(vec![to("a", "ext0", link(&b, ns, "lan"), &[])])).expect("accepted");
    assert_eq!((again.steps, again.state.name()), (0, "COMPLETED"));
    let other = ask(vec![to("a", "ext0", link(&b, ns, "lan"), &["192.168.3.5"])]);
    b.assert_state(b.core().vnfm().change_ext_conn(vnf, &other).expect("accepted").id, "COMPLETED");
    assert_eq!(port(&b.vnf(vnf), "ext0").addresses, ["192.168.3.5".parse::<IpAddr>().expect("address")]);
    let own = b.vnf(vnf).body.expect("a body").own_segments.len();
    let back = ask(vec![to("a", "ext0", link(&b, ns, "mgmt"), &[]), to("b", "ext1", link(&b, ns, "lan"), &[])]);
    b.assert_state(b.core().vnfm().change_ext_conn(vnf, &back).expect("accepted").id, "COMPLETED");
    assert_is(&b, vnf, ns, false);
    // The link that it had when it was on none is taken again.
    b.assert_state(b.core().vnfm().change_ext_conn(vnf, &change(&b, ns)).expect("accepted").id, "COMPLETED");
    assert_eq!(b.vnf(vnf).body.expect("a body").own_segments.len(), own);
    b.assert_state(b.core().vnfm().terminate(vnf, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_state(b.core().nfvo.terminate(ns, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_nothing_left();
}

#[test]
fn a_refusal_names_all_that_is_wrong_and_changes_nothing() {
    let (b, vnf, ns) = standing(&Shape { vdus: 1, ..Shape::default() });
    let (mgmt, lan) = (link(&b, ns, "mgmt"), link(&b, ns, "lan"));
    let inside = b.vnf(vnf).body.expect("a body").own_segments[0];
    let taken = port(&b.member(ns, "web"), "ext1").addresses[0].to_string();
    let instance = |name: &str| Connect { instance: Some(name.into()), ..to("f", "ext1", mgmt, &[]) };
    let mut mac = to("g", "ext1", mgmt, &[]);
    mac.to =
        To::Link { wish: Wish { mac: Some(crate::model::net::MacAddr::planned(9)), addresses: Vec::new() }, link_port: Some("p".into()) };
    let all = ChangeExtConn {
        wrong: vec!["extVirtualLinks[9].resourceId: 'x' is not the id of a virtual link".into()],
        ..ask(vec![
            to("a", "nic", lan, &[]),
            to("b", "ext0", SegmentId(uuid::Uuid::from_u128(9)), &[]),
            to("c", "ext1", inside, &[]),
            instance("nobody"),
        ])
    };
    let told = fault_of(&b, vnf, &all);
    for wanted in ["resourceId: 'x'", "a: flavour", "'nic'", "b: there is no virtual link", "c: link", "f: 'ext1' has no instance 'nobody'"]
    {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    let told = fault_of(&b, vnf, &ask(vec![to("d", "ext0", lan, &["10.9.9.9", &taken]), mac]));
    for wanted in ["10.9.9.9 is in none", &format!("{taken} is taken"), "keeps its MAC", "its link port stays"] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    let told = fault_of(&b, vnf, &ask(vec![off("ext0", lan), to("e", "ext1", mgmt, &[]), to("e2", "ext1", mgmt, &[])]));
    assert!(told.contains("it is not on link") && told.contains("e2: '"), "{told}");
    assert!(fault_of(&b, vnf, &ask(Vec::new())).contains("no connection point is named"));
    let member = b.member(ns, "web").id;
    assert!(fault_of(&b, member, &ask(vec![to("a", "ext0", lan, &[])])).contains("belongs to NS instance"));
    assert_is(&b, vnf, ns, false);
}

#[test]
fn an_address_that_was_left_is_kept_until_the_operation_is_over() {
    use crate::sim::faults::{Method, Rule, Then};
    let (b, vnf, ns) = standing(&Shape { vdus: 1, ..Shape::default() });
    let (mgmt, lan) = (link(&b, ns, "mgmt"), link(&b, ns, "lan"));
    let had = port(&b.vnf(vnf), "ext0").addresses[0].to_string();
    b.sim.faults().add(Rule::next(Method::EnsureSegment, Then::Fail(crate::model::error::Kind::Conflict)).of(lan));
    let op = b
        .assert_state(
            b.core().vnfm().change_ext_conn(vnf, &ask(vec![to("a", "ext0", lan, &["192.168.3.4"])])).expect("accepted").id,
            "FAILED_TEMP",
        )
        .id;
    let second = b.create_vnf("vnf");
    let mut wish = ask_vnf();
    for (segment, address) in [(mgmt, had.as_str()), (lan, "192.168.3.4")] {
        wish.attach.insert(
            "ext0".into(),
            Attachment { segment: Some(segment), wish: Wish { mac: None, addresses: vec![address.parse().expect("address")] } },
        );
        let why = b.core().vnfm().instantiate(second, &wish).expect_err("both are kept");
        assert!(why.to_string().contains("is taken"), "{why}");
    }
    b.core().nfvo.rollback(op).expect("accepted");
    b.assert_state(op, "ROLLED_BACK");
    assert_is(&b, vnf, ns, false);
    b.core().vnfm().instantiate(second, &wish).expect("nobody keeps the new one any more");
}
