//! Chains that end outside the box: a physical device behind an uplink takes part in them.

use bothy::{
    model::{
        chain::HopKind,
        id::{IfKind, IfName, if_name},
    },
    ovs::Uplink,
    sdn::{
        chain::{End, SwitchChain},
        link::{LinkPort, PortAt, SwitchLink},
        port::{Fabric, PortKind, SwitchPort},
    },
};

use super::{function::*, lab::*};
use crate::kit::{self, netns::Peer};

const UPLINK: &str = "plant0";

/// The physical device, on the other end of the box's plug.
fn device(lab: &Lab, n: u128) -> Guest {
    let (v4, v6) = (format!("10.0.7.{n}"), format!("fd00:7::{n}"));
    let peer = Peer::new();
    peer.connect(UPLINK, "eth0", Some(&mac(n).to_string()), &[&format!("{v4}/24"), &format!("{v6}/64")]);
    without_offloads(&peer, "eth0");
    Guest { peer, control: lab.ovs.control(), v4, v6 }
}

fn plug() -> IfName {
    if_name(IfKind::Patch, &id(1))
}

#[test]
fn a_chain_leads_from_a_guest_by_a_function_to_a_physical_device_and_back() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let Some(lab) = Lab::with(&[("plant", Uplink::Interface(UPLINK.parse().expect("name")))]) else { return };
    let (client, pnf) = (talker(&lab, 1, 7), device(&lab, 50));
    let kind = PortKind::Physical { network: "plant".into(), tag: None, transparent: false };
    lab.fabric.ensure_port(&SwitchPort { name: plug(), segment: segment(1), vlan: 7.try_into().expect("vlan"), kind }).expect("plugged in");
    let mut l: SwitchLink = link_with_wires(1, 7, &[1], &[11, 12]);
    l.ports.push(LinkPort { name: plug(), at: PortAt::Own, isolated: false, limit: None, guard: None });
    lab.fabric.ensure_segment(&l).expect("link");
    let bump = Function::wire(&lab, 11, 12, 7);
    serve(&pnf, &[80, 81]);
    serve(&client, &[80]);
    assert!(soon(true, || client.reaches(&pnf)), "the link itself works");
    let client_end = End { port: nic(1), mac: Some(mac(1)) };
    // A PNF whose MAC is told is one station, a SAP whoever is behind it.
    for (what, seen_as) in [("a PNF", Some(mac(50))), ("a SAP", None)] {
        let outside = End { port: plug(), mac: seen_as };
        let hops = || vec![hop("bump", HopKind::Transparent, &[(11, 12)])];
        for (way, from, to, (speaks, listens)) in
            [("out", client_end.clone(), outside.clone(), (&client, &pnf)), ("in", outside.clone(), client_end.clone(), (&pnf, &client))]
        {
            let c = SwitchChain { from: vec![from], to: vec![to], ..chain(1, tcp(80), hops()) };
            c.check().expect("a chain");
            lab.fabric.ensure_chain(&c).expect("chain");
            for dir in ["dport", "sport"] {
                bump.watch(&format!("tcp {dir} 80"));
                assert!(soon(true, || connects(speaks, listens, 80) && bump.seen() > 1), "{what}, {way}, {dir}");
            }
            if way == "out" {
                bump.watch("tcp dport 81");
                assert!(connects(&client, &pnf, 81) && bump.seen() == 0, "{what}: other traffic goes by the link");
            }
            bump.stop(&format!("tcp {} 80", if way == "out" { "dport" } else { "sport" }));
            assert!(soon(false, || connects(speaks, listens, 80)), "{what}, {way}: it is the function that lets it through");
        }
    }
}
