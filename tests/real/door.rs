//! What reaches a box whose door is shut, and what it forwards: packets between namespaces, by the kernel's own filter.

use std::{
    net::{IpAddr, TcpListener, UdpSocket},
    sync::Arc,
    time::Duration,
};

use bothy::{
    host::{LinuxNet, nft::Filter},
    hostnet::{Door, port::PacketFilter as _},
    model::{net::Cidr, opening::Opening, segment::NatForward},
    vim::port::{HostNet as _, NatTable},
};

use super::kit::{
    self,
    netns::{self, Peer},
    scratch, sh, utf8,
};

fn ip(s: &str) -> IpAddr {
    s.parse().expect(s)
}
fn cidr(s: &str) -> Cidr {
    s.parse().expect(s)
}

#[test]
fn a_shut_box_is_reached_where_it_listens_and_forwards_for_guests_alone() {
    if kit::lacks(&["ip", "nft", "busybox"].map(kit::Need::Program)) {
        return;
    }
    netns::enter_new();
    sh(&["ip", "link", "set", "lo", "up"]);
    let dir = scratch();
    let net = LinuxNet::new(utf8(dir.path()));
    let (guest, outside) = (Peer::new(), Peer::new());
    guest.connect("bha", "eth0", None, &["10.0.1.5/24"]);
    outside.connect("up0", "eth0", None, &["192.0.2.1/24", "2001:db8::1/64"]);
    for (dev, address) in [("bha", "10.0.1.1/24"), ("up0", "192.0.2.2/24")] {
        sh(&["ip", "address", "add", address, "dev", dev]);
    }
    sh(&["ip", "address", "add", "2001:db8::2/64", "dev", "up0", "nodad"]);
    guest.run(|| sh(&["ip", "route", "add", "default", "via", "10.0.1.1"]));
    outside.run(|| sh(&["ip", "route", "add", "10.0.1.0/24", "via", "192.0.2.2"]));
    let serve = |at: &str| {
        let server = TcpListener::bind(at).expect("bind");
        std::thread::spawn(move || server.incoming().for_each(drop));
    };
    ["[::]:9443", "[::]:22", "[::]:8080", "127.0.0.1:81"].into_iter().for_each(serve);
    for peer in [&guest, &outside] {
        peer.run(|| serve("[::]:80"));
    }
    let table = NatTable {
        masquerade: vec![cidr("10.0.1.0/24")],
        forwards: vec![NatForward { tcp: true, host_port: 8081, to: ip("10.0.1.5"), to_port: 80 }],
        inside: vec!["bha".parse().expect("name")],
        links: true,
    };
    net.project_nat(&table).expect("projected");
    let answers = |peer: &Peer, to: &str, port| peer.run(|| net.tcp_answers(ip(to), port, Duration::from_millis(500)).unwrap_or(false));
    let open = |port| answers(&outside, "192.0.2.2", port);
    assert!(open(8080) && answers(&outside, "10.0.1.5", 80), "before it is shut");

    let listened = Opening::of_listener(true, ip("0.0.0.0"), 9443).expect("one");
    let ssh = Opening { tcp: true, port: 22, at: None, from: vec![cidr("198.51.100.0/24")] };
    let filter = Arc::new(Filter::default());
    let door = Door::new(filter.clone(), Some(vec![listened.clone(), ssh.clone()]));
    let shut = || {
        assert!(open(9443) && answers(&outside, "2001:db8::2", 9443), "what is listened on");
        assert!(!open(22) && !open(8080) && !answers(&outside, "2001:db8::2", 8080) && !answers(&guest, "10.0.1.1", 8080));
        assert!(outside.pings("192.0.2.2") && outside.pings("2001:db8::2"), "neighbours are found, and pings answered");
        assert!(open(8081), "a port that is forwarded to a guest");
        assert!(answers(&guest, "192.0.2.1", 80) && !answers(&outside, "10.0.1.5", 80), "guests go out, nobody comes in to them");
        assert!(net.tcp_answers(ip("192.0.2.1"), 80, Duration::from_secs(1)).expect("asked"), "the box goes out");
        assert!(net.tcp_answers(ip("127.0.0.1"), 81, Duration::from_secs(1)).expect("asked"), "and to itself");
    };
    door.look();
    shut();
    // A guest's question for an address arrives, another one does not.
    let heard = [67, 123].map(|port| {
        let socket = UdpSocket::bind(("0.0.0.0", port)).expect("bind");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("timeout");
        guest.run(|| UdpSocket::bind("0.0.0.0:68").and_then(|s| s.send_to(b"?", ("10.0.1.1", port))).expect("sent"));
        socket.recv(&mut [0; 8]).is_ok()
    });
    assert_eq!(heard, [true, false]);

    sh(&["nft", "flush", "ruleset"]);
    net.project_nat(&table).expect("back");
    assert!(open(8080));
    door.look();
    shut();
    // What leaves a table's comment as it was: rules that are gone, and one more.
    sh(&["nft", "flush", "table", "inet", "bothy_door"]);
    assert!(!open(9443), "all is dropped");
    door.look();
    shut();
    sh(&["nft", "add", "rule", "inet", "bothy_door", "input", "tcp", "dport", "8080", "accept"]);
    assert!(open(8080), "and open to all");
    door.look();
    shut();
    for what in [&["table", "inet", "bothy"][..], &["set", "inet", "bothy", "inside"]] {
        sh(&[&["nft", "flush"], what].concat());
        net.project_nat(&table).expect("back");
        shut();
        assert!(sh(&["nft", "list", "table", "inet", "bothy"]).contains("\"bha\""));
    }
    // What is as it was made is not made again: it would have another number.
    let made = || ["bothy_door", "bothy"].map(|t| sh(&["nft", "-a", "list", "table", "inet", t]));
    let before = made();
    door.look();
    net.project_nat(&table).expect("projected");
    assert_eq!(made(), before);
    door.set(Some(vec![listened, Opening { from: vec![cidr("192.0.2.0/24"), cidr("2001:db8::/64")], ..ssh }]));
    assert!(open(22) && answers(&outside, "2001:db8::2", 22) && !open(8080));
    door.set(None);
    assert!(open(8080) && !filter.ensure(None).expect("asked"), "nothing of it is left");
    assert!(sh(&["nft", "list", "tables"]).contains("inet bothy"), "address translation stays");
}
