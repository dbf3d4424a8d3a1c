//! Chains that end outside the box: a physical device behind an uplink takes part in them.

use bothy::{
    model::{
        chain::HopKind,
        id::{IfKind, IfName, NfpId, if_name},
    },
    ovs::Uplink,
    sdn::{
        chain::{End, SwitchChain},
        link::{LinkPort, PortAt, SwitchLink},
        port::{Fabric, PortKind, SwitchPort},
    },
};

use super::{function::*, lab::*};
use crate::kit::{self, netns::Peer, sh};

const UPLINK: &str = "plant0";

/// The physical device, on the other end of the box's plug.
fn device(lab: &Lab, n: u128) -> Guest {
    let (v4, v6) = (format!("10.0.7.{n}"), format!("fd00:7::{n}"));
    let peer = Peer::new();
    peer.connect(UPLINK, "eth0", Some(&mac(n).to_string()), &[&format!("{v4}/24"), &format!("{v6}/64")]);
    without_offloads(&peer, "eth0");
    Guest { peer, control: lab.ovs.control(), v4, v6 }
}

/// Devices behind one plug of the box, which is in a switch of theirs.
fn devices<const N: usize>(lab: &Lab, n: [u128; N]) -> (Peer, [Guest; N]) {
    let hub = Peer::new();
    hub.connect(UPLINK, "wire", None, &[]);
    hub.run(|| {
        sh(&["ip", "link", "add", "br0", "type", "bridge"]);
        sh(&["ip", "link", "set", "wire", "master", "br0"]);
        sh(&["ip", "link", "set", "br0", "up"]);
    });
    let one = |n: u128| {
        let (v4, v6) = (format!("10.0.7.{n}"), format!("fd00:7::{n}"));
        let (peer, here) = (Peer::new(), format!("to{n}"));
        hub.run(|| {
            peer.connect(&here, "eth0", Some(&mac(n).to_string()), &[&format!("{v4}/24"), &format!("{v6}/64")]);
            sh(&["ip", "link", "set", &here, "master", "br0"]);
        });
        without_offloads(&peer, "eth0");
        Guest { peer, control: lab.ovs.control(), v4, v6 }
    };
    let all = n.map(one);
    (hub, all)
}

#[test]
fn what_a_physical_device_sends_is_told_from_what_its_neighbour_sends() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let plant = [("plant", Uplink::Interface(UPLINK.parse().expect("name")))];
    let Some(lab) = Lab::with(&plant) else { return };
    let client = talker(&lab, 1, 7);
    let (_hub, [press, mill]) = devices(&lab, [50, 51]);
    let kind = PortKind::Physical { network: "plant".into(), tag: None, transparent: false };
    let plugged = SwitchPort { name: plug(), segment: segment(1), vlan: 7.try_into().expect("vlan"), kind };
    lab.fabric.ensure_port(&plugged).expect("plugged in");
    let mut l: SwitchLink = link_with_wires(1, 7, &[1], &[11, 12]);
    l.ports.push(LinkPort { name: plug(), at: PortAt::Own, isolated: false, limit: None, guard: None, only: Vec::new() });
    lab.fabric.ensure_segment(&l).expect("link");
    let bump = Function::wire(&lab, 11, 12, 7);
    bump.forgets();
    for server in [&press, &mill, &client] {
        serve(server, &[80]);
    }
    assert!(soon(true, || client.reaches(&press)) && soon(true, || client.reaches(&mill)), "the link itself works");
    let client_end = End { port: nic(1), mac: Some(mac(1)), beside: Vec::new(), shared: false };
    let press_end = End { port: plug(), mac: Some(mac(50)), beside: Vec::new(), shared: true };
    let c = SwitchChain {
        from: vec![client_end],
        to: vec![press_end],
        ..chain(1, tcp(80), vec![hop("bump", HopKind::Transparent, &[(11, 12)])])
    };
    lab.fabric.ensure_chain(&c).expect("chain");
    for dir in ["dport", "sport"] {
        bump.watch(&format!("tcp {dir} 80"));
        assert!(soon(true, || connects(&client, &press, 80) && bump.seen() > 1), "the press is in the chain, {dir}");
        assert!(
            soon(true, || {
                bump.watch(&format!("tcp {dir} 80"));
                connects(&client, &mill, 80) && bump.seen() == 0
            }),
            "the mill is not, {dir}"
        );
    }
}

fn plug() -> IfName {
    if_name(IfKind::Patch, &id(1))
}

#[test]
fn a_chain_leads_from_a_guest_by_a_function_to_a_physical_device_and_back() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let plant = [("plant", Uplink::Interface(UPLINK.parse().expect("name")))];
    let Some(mut lab) = Lab::with(&plant) else { return };
    let (client, beside, pnf) = (talker(&lab, 1, 7), talker(&lab, 3, 7), device(&lab, 50));
    let kind = PortKind::Physical { network: "plant".into(), tag: None, transparent: false };
    let plugged = SwitchPort { name: plug(), segment: segment(1), vlan: 7.try_into().expect("vlan"), kind };
    lab.fabric.ensure_port(&plugged).expect("plugged in");
    let mut l: SwitchLink = link_with_wires(1, 7, &[1, 3], &[11, 12]);
    l.ports.push(LinkPort { name: plug(), at: PortAt::Own, isolated: false, limit: None, guard: None, only: Vec::new() });
    lab.fabric.ensure_segment(&l).expect("link");
    let bump = Function::wire(&lab, 11, 12, 7);
    // The ends of its chain change sides.
    bump.forgets();
    serve(&pnf, &[80, 81]);
    serve(&client, &[80]);
    serve(&beside, &[80]);
    assert!(soon(true, || client.reaches(&pnf)), "the link itself works");
    let client_end = End { port: nic(1), mac: Some(mac(1)), beside: Vec::new(), shared: false };
    // A PNF whose MAC is told is one station, a SAP whoever is behind it.
    for (what, seen_as) in [("a PNF", Some(mac(50))), ("a SAP", None)] {
        let outside = End { port: plug(), mac: seen_as, beside: vec![mac(1), mac(3)], shared: true };
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
                bump.watch("tcp dport 80");
                assert!(connects(&client, &beside, 80) && bump.seen() == 0, "{what}: and so does what is for a station of the box");
            }
            bump.stop(&format!("tcp {} 80", if way == "out" { "dport" } else { "sport" }));
            assert!(soon(false, || connects(speaks, listens, 80)), "{what}, {way}: it is the function that lets it through");

            // Another bothy takes nothing away of what it is not told of yet, whichever it is told first.
            let flows = lab.flows();
            lab.fabric = another(&lab.ovs, &plant);
            lab.fabric.ensure_ready().expect("ready");
            let other = SwitchChain { id: NfpId(id(2)), classifiers: vec![tcp(81)], ..c.clone() };
            lab.fabric.ensure_chain(&other).expect("another chain");
            let kept = lab.flows();
            let lost: Vec<&String> = flows.iter().filter(|f| !kept.contains(f)).collect();
            assert!(lost.is_empty(), "{what}, {way}: {lost:#?}");
            lab.fabric.remove_chain(other.id).expect("gone");
            lab.fabric.ensure_chain(&c).expect("chain");
            lab.fabric.ensure_port(&plugged).expect("plugged in");
            assert!(flows.iter().all(|f| lab.flows().contains(f)), "{what}, {way}");
            lab.fabric.ensure_segment(&l).expect("link");
            assert_eq!(lab.flows(), flows, "{what}, {way}");
        }
    }
}
