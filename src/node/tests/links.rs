//! Kinds of links from a descriptor to the switch.

use crate::{
    model::{
        error::{Fault, Kind},
        id::NsId,
        nsd::Nsd,
        vnf::Stopping,
        vnfd::{CpRole, LinkKind, LinkRates, Vnfd},
    },
    node::kit::{Shape, THREE, TestBox, ask_ns, nsd, vnfd},
    sdn::link::SwitchLink,
};

/// A service of so many members on `mgmt` and `lan`, its descriptors changed.
fn service(members: usize, vnf: impl Fn(&mut Vnfd), ns: impl Fn(&mut Nsd)) -> (TestBox, NsId) {
    let b = TestBox::new();
    let (mut v, mut n) = (vnfd("vnf", &Shape::small()), nsd("ns", &THREE[..members]));
    vnf(&mut v);
    ns(&mut n);
    b.onboard(v);
    b.onboard_nsd(n);
    let id = b.create_ns("ns");
    (b, id)
}
fn lan_is(kind: LinkKind) -> impl Fn(&mut Nsd) {
    move |n| n.flavours[0].links[1].profile.kind = kind
}
fn refusal(b: &TestBox, id: NsId) -> Option<Fault> {
    b.core().nfvo.dry_instantiate(id, &ask_ns()).map(drop).err()
}
fn lan(b: &TestBox, id: NsId) -> SwitchLink {
    let (_, segment) = b.ns(id).links.into_iter().find(|(l, _)| l == "lan").expect("lan");
    b.sim.switch_links().into_iter().find(|l| l.segment == segment).expect("on the switch")
}

#[test]
fn a_line_takes_two_ports_and_tells_which_it_would_have_otherwise() {
    for (members, fits) in [(1, false), (2, true), (3, false)] {
        let (b, id) = service(members, |_| (), lan_is(LinkKind::Eline));
        let refused = refusal(&b, id);
        assert_eq!(refused.is_none(), fits, "{members}: {refused:?}");
        let Some(f) = refused else { continue };
        let all = format!("{f} {:?}", f.reasons());
        assert_eq!(f.kind(), Kind::Invalid);
        for part in ["lan", "exactly two ports", &format!("has {members}"), "web"] {
            assert!(all.contains(part), "{members}: no '{part}' in {all}");
        }
        b.assert_nothing_left();
    }
    // The host's end counts: management, NAT and DHCP are a port each link has once.
    let (b, id) = service(2, |_| (), |n| n.flavours[0].links[0].profile.kind = LinkKind::Eline);
    let text = refusal(&b, id).map(|f| format!("{f} {:?}", f.reasons())).expect("two guests and the host");
    assert!(text.contains("the host (management, NAT or DHCP)"), "{text}");
}

#[test]
fn what_a_descriptor_says_of_ports_comes_to_the_switch_and_goes_with_the_service() {
    let one_root = |v: &mut Vnfd| {
        let nics = &mut v.flavours[0].vdus[0].nics;
        (nics[1].port_security, nics[1].rate_limit) = (false, Some(5_000_000));
    };
    let tree = |n: &mut Nsd| {
        lan_is(LinkKind::Etree)(n);
        let profile = &mut n.flavours[0].links[1].profile;
        (profile.transparent, profile.max_rate) = (true, LinkRates { root: Some(9_000_000), leaf: Some(7_000_000) });
    };
    let (b, id) = service(2, one_root, tree);
    let op = b.instantiate_ns(id);
    let done = b.assert_state(op, "COMPLETED");
    assert!(done.warnings.iter().any(|w| w.contains("lan") && w.contains("without a root")), "{:?}", done.warnings);
    let l = lan(&b, id);
    assert!(l.transparent && l.limit.is_none());
    assert_eq!(l.ports.iter().map(|p| (p.isolated, p.limit, p.guard.is_some())).collect::<Vec<_>>(), [(true, Some(5_000_000), false); 2]);
    let mgmt = b.sim.switch_links().into_iter().find(|m| m.segment != l.segment).expect("mgmt");
    let guarded: Vec<_> = mgmt.ports.iter().filter_map(|p| p.guard.as_ref()).map(|g| g.addresses.len()).collect();
    assert_eq!(guarded, [1, 1], "on by default, with the planned address; the host's end has none");
    let op = b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    b.assert_nothing_left();

    let (b, id) = service(2, |v| v.flavours[0].vdus[0].nics[1].role = CpRole::Root, tree);
    let done = b.assert_state(b.instantiate_ns(id), "COMPLETED");
    assert!(!done.warnings.iter().any(|w| w.contains("root")), "{:?}", done.warnings);
    assert_eq!(lan(&b, id).ports.iter().map(|p| (p.isolated, p.limit)).collect::<Vec<_>>(), [(false, Some(9_000_000)); 2]);
}

#[test]
fn a_nic_s_mtu_is_not_more_than_its_link_s() {
    let (b, id) = service(1, |v| v.flavours[0].vdus[0].nics[1].mtu = Some(9000), |n| n.flavours[0].links[1].profile.mtu = Some(1400));
    let f = refusal(&b, id).expect("too much");
    assert!(f.kind() == Kind::Invalid && f.detail().contains("9000") && f.detail().contains("1400"), "{f:?}");
}

#[test]
fn a_switch_that_was_wiped_gets_the_host_s_addresses_back() {
    let (b, id) = service(1, |_| (), |_| ());
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    b.core().watch().expect("watching");
    b.until("looked at", || b.core().reconciled().last.is_some());
    let before = b.sim.leftovers();
    b.sim.faults().record();
    // It may be as before by the time that anybody else looks.
    b.sim.wipe_switch();
    b.until("put right", || b.sim.faults().taken().iter().any(|(m, _)| m.changes()));
    b.until("as before", || b.sim.leftovers() == before);
}
