//! Links through tunnels over `Sim`: made with their VNF, as long as comes through whole, nobody else's out there.

use crate::{
    model::{
        id::VnfId,
        segment::Segment,
        vnf::Stopping,
        vnfd::{LinkProfile, Vnfd},
    },
    node::kit::{Shape, TestBox, ask_vnf, tunnel, vnfd},
    sdn::port::PortKind,
    sim::SimConfig,
};

fn led_out(id: &str, vni: u16) -> Vnfd {
    let mut d = vnfd(id, &Shape::default());
    d.flavours[0].links[0].profile = LinkProfile { physical: Some("hq".into()), segmentation: Some(vni), ..LinkProfile::default() };
    d
}

fn link(b: &TestBox) -> Segment {
    b.store().list::<Segment>().expect("read").into_iter().find(|s| s.link == "int").expect("a link")
}

#[test]
fn a_link_through_a_tunnel_comes_and_goes_with_its_vnf_and_its_vni_is_its_own() {
    let b = TestBox::of(SimConfig { tunnels: vec![tunnel()], ..SimConfig::default() });
    b.onboard(led_out("first", 60_000));
    b.onboard(led_out("second", 60_000));
    b.onboard(led_out("third", 7));
    let up = |name: &str| -> VnfId {
        let id = b.create_vnf(name);
        b.assert_state(b.instantiate_vnf(id), "COMPLETED");
        b.assert_vnf_up(id);
        id
    };
    let first = up("first");
    let s = link(&b);
    let kind = PortKind::Tunnel { tunnel: "hq".into(), vni: Some(60_000), transparent: false };
    assert_eq!(b.sim.switch_port(&s.patch_port()).map(|p| (p.segment, p.kind)), Some((s.id, kind)));
    let guest = b.vnf(first).body.expect("a body").vnfcs[0].id;
    let nics = b.sim.domain(guest).expect("defined").nics;
    assert_eq!(nics.iter().filter(|n| n.vlan == s.vlan).map(|n| n.mtu).collect::<Vec<_>>(), [Some(1450)], "the guest is told what fits");

    let second = b.create_vnf("second");
    let f = b.core().vnfm().instantiate(second, &ask_vnf()).expect_err("the same VNI");
    assert!(f.detail().contains("link int cannot lead through tunnel 'hq'") && f.detail().contains("VNI 60000"), "{f}");
    let third = up("third");
    for id in [first, third] {
        let op = b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id;
        b.assert_state(op, "COMPLETED");
    }
    b.assert_nothing_left();
    b.assert_state(b.instantiate_vnf(second), "COMPLETED");
}
