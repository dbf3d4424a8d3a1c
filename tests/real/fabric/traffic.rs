//! Which traffic a chain takes, with packets: each part of a classifier, one direction of it, and the order of its functions.

use std::{
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use bothy::{
    model::chain::{Classifier, Family, HopKind, IpProto, Ports},
    sdn::{chain::SwitchChain, port::Fabric},
};
use nix::sys::socket::{setsockopt, sockopt};

use super::{function::*, lab::*};
use crate::kit::{eventually, sh};

/// Of a packet what a classifier may speak of. The client's addresses are `.1` and `.101`, the server's `.2` and `.102`.
#[derive(Clone, Copy)]
struct Datagram {
    from: &'static str,
    to: &'static str,
    ports: (u16, u16),
    dscp: u8,
}

const PLAIN: Datagram = Datagram { from: "10.0.7.1", to: "10.0.7.2", ports: (4000, 5000), dscp: 0 };
const SIX: Datagram = Datagram { from: "fd00:7::1", to: "fd00:7::2", ..PLAIN };

/// Whether it arrives.
fn arrives(d: Datagram, client: &Guest, server: &[UdpSocket]) -> bool {
    let at = |ip: &str, port: u16| SocketAddr::new(ip.parse().expect("address"), port);
    let word = format!("{} {} {:?} {}", d.from, d.to, d.ports, d.dscp);
    let socket = client.peer.run(|| UdpSocket::bind(at(d.from, d.ports.0)).expect("bind"));
    if d.from.contains('.') {
        setsockopt(&socket, sockopt::Ipv4Tos, &i32::from(d.dscp << 2)).expect("DSCP");
    }
    socket.send_to(word.as_bytes(), at(d.to, d.ports.1)).expect("sent");
    let by = server.iter().find(|s| s.local_addr().is_ok_and(|a| a.port() == d.ports.1)).expect("a server");
    let mut buf = [0u8; 100];
    // What came late of another does not count.
    std::iter::from_fn(|| by.recv(&mut buf).ok().map(|n| buf[..n] == *word.as_bytes())).any(|ours| ours)
}

#[test]
fn each_part_of_a_classifier_tells_traffic_apart() {
    let Some(lab) = lab() else { return };
    let (client, web) = (talker(&lab, 1, 7), talker(&lab, 2, 7));
    lab.fabric.ensure_segment(&link_with_wires(1, 7, &[1, 2], &[11, 12])).expect("link");
    let bump = Function::wire(&lab, 11, 12, 7);
    for (of, more) in [(&client, "10.0.7.101/24"), (&web, "10.0.7.102/24")] {
        of.peer.run(|| sh(&["ip", "address", "add", more, "dev", "eth0"]));
    }
    serve(&web, &[5000]);
    let server: Vec<UdpSocket> = [5000, 5001, 5007].map(|p| web.peer.run(|| UdpSocket::bind(("::", p)).expect("bind"))).into();
    server.iter().for_each(|s| s.set_read_timeout(Some(Duration::from_millis(700))).expect("limit"));
    let udp = || Classifier { id: "udp".into(), proto: Some(IpProto::UDP), ..Classifier::default() };
    let net = |text: &str| Some(text.parse().expect("a network"));
    let to = |ports: (u16, u16)| Datagram { ports, ..PLAIN };
    let cases = [
        ("IPv6", Classifier { family: Some(Family::Ipv6), ..udp() }, vec![SIX], vec![PLAIN]),
        ("both families", udp(), vec![PLAIN, SIX], vec![]),
        ("the source", Classifier { src: net("10.0.7.101/32"), ..udp() }, vec![Datagram { from: "10.0.7.101", ..PLAIN }], vec![PLAIN, SIX]),
        ("the destination", Classifier { dst: net("10.0.7.100/30"), ..udp() }, vec![Datagram { to: "10.0.7.102", ..PLAIN }], vec![PLAIN]),
        ("a source port", Classifier { src_ports: Some(Ports::one(4000)), ..udp() }, vec![PLAIN], vec![to((4001, 5000))]),
        (
            "destination ports",
            Classifier { dst_ports: Ports::new(5001, 5009), ..udp() },
            vec![to((4000, 5001)), to((4000, 5007))],
            vec![PLAIN],
        ),
        ("DSCP", Classifier { dscp: Some(46), ..udp() }, vec![Datagram { dscp: 46, ..PLAIN }], vec![PLAIN]),
        (
            "all of it",
            Classifier {
                src: net("10.0.7.1/32"),
                dst: net("10.0.7.2/32"),
                src_ports: Some(Ports::one(4000)),
                dst_ports: Some(Ports::one(5000)),
                ..udp()
            },
            vec![PLAIN],
            vec![to((4000, 5001)), to((4001, 5000)), Datagram { from: "10.0.7.101", ..PLAIN }, Datagram { to: "10.0.7.102", ..PLAIN }],
        ),
    ];
    for (what, classifier, takes, leaves) in cases {
        let c = chain(1, classifier, vec![hop("bump", HopKind::Transparent, &[(11, 12)])]);
        c.check().expect("a chain");
        lab.fabric.ensure_chain(&c).expect("chain");
        client.settle();
        let led = |d: Datagram| {
            bump.watch("meta l4proto udp");
            arrives(d, &client, &server).then(|| bump.seen() > 0)
        };
        for (all, by_it) in [(takes, true), (leaves, false)] {
            for d in all {
                assert!(soon(true, || led(d) == Some(by_it)), "{what}: {} to {} {:?}, by the function: {by_it}", d.from, d.to, d.ports);
            }
        }
        bump.watch("meta l4proto tcp");
        assert!(soon(true, || connects(&client, &web, 5000)) && bump.seen() == 0, "{what}: another protocol");
    }
}

#[test]
fn a_path_of_one_direction_leads_that_one_and_what_comes_back_takes_its_link() {
    let Some(lab) = lab() else { return };
    let (client, web) = (talker(&lab, 1, 7), talker(&lab, 2, 7));
    lab.fabric.ensure_segment(&link_with_wires(1, 7, &[1, 2], &[11, 12])).expect("link");
    let bump = Function::wire(&lab, 11, 12, 7);
    serve(&web, &[80]);
    serve(&client, &[80]);
    for symmetric in [false, true] {
        let c = SwitchChain { symmetric, ..chain(1, tcp(80), vec![hop("bump", HopKind::Transparent, &[(11, 12)])]) };
        lab.fabric.ensure_chain(&c).expect("chain");
        let passes = |what: &str| {
            bump.watch(what);
            connects(&client, &web, 80).then(|| bump.seen() > 0)
        };
        assert!(soon(true, || passes("tcp dport 80") == Some(true)), "symmetric: {symmetric}: there");
        assert!(soon(true, || passes("tcp sport 80") == Some(symmetric)), "symmetric: {symmetric}: back");
        eventually("it is counted so", || {
            let hop = lab.fabric.chain_state(c.id).expect("state").hops[0];
            hop.out.packets > 0 && (hop.back.packets > 0) == symmetric
        });
        // From its end to its beginning nothing of that kind is the chain's.
        bump.watch("tcp dport 80");
        assert!(soon(true, || connects(&web, &client, 80)) && bump.seen() == 0, "symmetric: {symmetric}: the other direction");
    }
}

#[test]
fn functions_are_passed_in_the_order_of_the_path_and_back_in_the_other() {
    let Some(lab) = lab() else { return };
    let (client, web) = (talker(&lab, 1, 7), talker(&lab, 2, 7));
    lab.fabric.ensure_segment(&link_with_wires(1, 7, &[1, 2], &[11, 12, 13, 14])).expect("link");
    let wires = [(11, 12), (13, 14)];
    let functions = wires.map(|(entry, exit)| Function::wire(&lab, entry, exit, 7));
    serve(&web, &[80]);
    for order in [[0, 1], [1, 0]] {
        let hops = order.map(|n| hop(["a", "b"][n], HopKind::Transparent, &[wires[n]])).into();
        lab.fabric.ensure_chain(&chain(1, tcp(80), hops)).expect("chain");
        let [first, last] = order.map(|n| &functions[n]);
        for (way, stops, other) in [("tcp dport 80", first, last), ("tcp sport 80", last, first)] {
            [first, last].iter().for_each(|f| f.watch(way));
            assert!(soon(true, || connects(&client, &web, 80) && first.seen() > 0 && last.seen() > 0), "{order:?}: {way} by both");
            [first, last].iter().for_each(|f| f.watch(way));
            stops.stop(way);
            assert!(!connects(&client, &web, 80), "{order:?}: {way} is stopped");
            assert!(stops.seen() > 0 && other.seen() == 0, "{order:?}: {way} comes to the other one after it");
            stops.watch(way);
        }
    }
}
