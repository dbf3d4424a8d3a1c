//! Trunks over `Sim`: networks under tags of a NIC are planned, made, moved with their guest and gone with it.

use crate::{
    model::{
        id::{IfKind, IfName, VnfId},
        segment::Segment,
        vnf::{Port, Stopping},
        vnfd::{CpLink, CpRole, ExtCp, ExtCpThrough, IntLink, LinkProfile, SubCp, Vnfd},
    },
    node::kit::{Shape, TestBox, vnfd},
    sdn::link::{PortAt, SwitchLink},
    vnfm::alter::Alter,
};

/// The NIC `inner` is on the transparent link `int`, and carries VLAN 30 of it, `voice` under 10 and `ext2` under 20.
fn trunked() -> Vnfd {
    let mut d = vnfd("vnf", &Shape { vdus: 1, ..Shape::default() });
    let f = &mut d.flavours[0];
    f.links[0].profile.transparent = true;
    f.links.push(IntLink { id: "voice".into(), description: "".into(), profile: LinkProfile::default() });
    let through = ExtCpThrough::VduCp { vdu: "vdu0".into(), cp: "sub20".into() };
    f.ext_cps.push(ExtCp { id: "ext2".into(), requirement: "ext2".into(), management: false, through, ..f.ext_cps[0].clone() });
    let sub = |tag: u16, link| SubCp { id: format!("sub{tag}").into(), link, tag: tag.try_into().expect("tag"), role: CpRole::Leaf };
    let nic = f.vdus[0].nics.iter_mut().find(|n| n.id == "inner").expect("inner");
    let inside = |l: &str| CpLink::Internal(l.into());
    nic.subports = vec![sub(10, inside("voice")), sub(20, CpLink::External("ext2".into())), sub(30, inside("int"))];
    d
}

fn ports(b: &TestBox, id: VnfId) -> Vec<Port> {
    b.vnf(id).body.expect("a body").vnfcs.remove(0).ports
}

fn port(b: &TestBox, id: VnfId, cp: &str) -> Port {
    ports(b, id).into_iter().find(|p| p.cp == cp).expect("a port")
}

/// The switch's link that a port is on.
fn link(b: &TestBox, p: &Port) -> SwitchLink {
    b.sim.switch_links().into_iter().find(|l| l.segment == p.segment).expect("a link")
}

fn assert_carried(b: &TestBox, id: VnfId) {
    let nic = port(b, id, "inner");
    for (cp, tag) in [("sub10", 10), ("sub20", 20)] {
        let p = port(b, id, cp);
        assert_eq!((p.mac, IfKind::of(&p.ifname), p.is_nic()), (nic.mac, Some(IfKind::Trunk), false));
        let on = link(b, &p);
        assert_eq!(on.ports.len(), 1, "{cp}: {on:?}");
        assert_eq!(
            (&on.ports[0].name, on.ports[0].at),
            (&nic.ifname, PortAt::Trunk { station: p.id, tag: tag.try_into().expect("tag") }),
            "{cp}"
        );
    }
    let own = link(b, &nic);
    let only: Vec<u16> = own.ports.iter().filter(|p| p.name == nic.ifname).flat_map(|p| &p.only).map(|v| v.get()).collect();
    assert_eq!((own.ports.len(), only), (1, vec![30]), "{own:?}");
    assert!(port(b, id, "sub30").addresses.is_empty(), "a VLAN of a link has no addresses that are planned");
}

#[test]
fn networks_of_a_trunk_come_stay_through_a_healing_and_go_with_their_guest() {
    let b = TestBox::new();
    b.onboard(trunked());
    let id = b.create_vnf("vnf");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    b.assert_vnf_up(id);
    assert_eq!(ports(&b, id).iter().map(|p| p.cp.as_str()).collect::<Vec<_>>(), ["nic0", "nic1", "inner", "sub10", "sub20", "sub30"]);
    assert_carried(&b, id);
    let body = b.vnf(id).body.expect("a body");
    assert!(body.ext_cps.iter().any(|e| e.cpd == "ext2" && e.ports == [port(&b, id, "sub20").id]), "exposed as any other");

    let before: Vec<IfName> = ports(&b, id).iter().map(|p| p.ifname.clone()).collect();
    let heal = Alter::Heal { which: Vec::new(), anew: false };
    let op = b.core().vnfm().alter(id, &heal, "{}").expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    b.assert_vnf_up(id);
    assert!(ports(&b, id).iter().all(|p| !before.contains(&p.ifname)), "the guest in its place has ports of its own");
    // The next look tells the switch of links that lost a station.
    for s in b.store().list::<Segment>().expect("read") {
        b.core().vnfm().links().keep(s.id).expect("kept");
    }
    assert_carried(&b, id);

    let op = b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    b.assert_nothing_left();
}

#[test]
fn a_vlan_of_its_own_link_needs_one_that_is_transparent() {
    let b = TestBox::new();
    let mut d = trunked();
    d.flavours[0].links[0].profile.transparent = false;
    b.onboard(d);
    let id = b.create_vnf("vnf");
    let f = b.core().vnfm().instantiate(id, &crate::node::kit::ask_vnf()).expect_err("refused");
    assert!(f.detail().contains("network sub30 of trunk inner") && f.detail().contains("vlan_transparent"), "{f}");
}
