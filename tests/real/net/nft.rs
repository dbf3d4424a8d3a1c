//! What the kernel does with frames of guests: translation, forwards, and what it leaves to the switch.

use super::*;

#[test]
fn nat_translates_outwards_forwards_inwards_and_keeps_segments_apart() {
    needs!(Root, Program("nft"), Program("busybox"));
    netns::enter_new();
    let state = scratch();
    let net = LinuxNet::new(utf8(state.path()));
    // Two "segments" of the host and an outside neighbour that knows no way back to them.
    let (a, b, outside) = (Peer::new(), Peer::new(), Peer::new());
    a.connect("bha", "eth0", None, &["10.0.1.5/24", "fd00:1::5/64"]);
    b.connect("bhb", "eth0", None, &["10.0.2.5/24"]);
    outside.connect("up0", "eth0", None, &["192.0.2.1/24", "2001:db8::1/64"]);
    for (dev, address) in [("bha", "10.0.1.1/24"), ("bhb", "10.0.2.1/24"), ("up0", "192.0.2.2/24")] {
        sh(&["ip", "address", "add", address, "dev", dev]);
    }
    for (dev, address) in [("bha", "fd00:1::1/64"), ("up0", "2001:db8::2/64")] {
        sh(&["ip", "address", "add", address, "dev", dev, "nodad"]);
    }
    // A has its default route through the host, B has none: a forward must reach both.
    a.run(|| sh(&["ip", "route", "add", "default", "via", "10.0.1.1"]));
    a.run(|| sh(&["ip", "route", "add", "default", "via", "fd00:1::1"]));
    b.run(|| sh(&["ip", "route", "add", "10.0.1.0/24", "via", "10.0.2.1"]));
    for peer in [&a, &b] {
        let server = peer.run(|| TcpListener::bind("[::]:80").expect("bind"));
        std::thread::spawn(move || server.incoming().for_each(drop));
    }
    let forward = |host_port, to: &str| NatForward { tcp: true, host_port, to: ip(to), to_port: 80 };
    let inside: Vec<IfName> = ["bha", "bhb"].map(|n| n.parse().expect("name")).into();
    let mut table = NatTable {
        masquerade: vec![cidr("10.0.1.0/24"), cidr("fd00:1::/64")],
        forwards: vec![forward(8081, "10.0.1.5"), forward(8083, "fd00:1::5"), forward(8082, "10.0.2.5")],
        inside,
        links: true,
    };
    let answers = |peer: &Peer, to: &str, port| peer.run(|| net.tcp_answers(ip(to), port, Duration::from_millis(500)).unwrap_or(false));
    assert!(!a.pings("192.0.2.1") && !a.pings("2001:db8::1"), "no translation yet");
    // The uplink has its own route by advertisements: forwarding must not end that.
    let ra = || std::fs::read_to_string("/proc/sys/net/ipv6/conf/up0/accept_ra").expect("accept_ra");
    assert_eq!(ra().trim(), "1");

    net.project_nat(&table).expect("projected");
    assert_eq!(ra().trim(), "2");
    let handle = || sh(&["nft", "-a", "list", "table", "inet", "bothy"]);
    let before = handle();
    net.project_nat(&table).expect("again");
    assert_eq!(handle(), before, "the same table is not replaced");

    assert!(a.pings("192.0.2.1") && a.pings("2001:db8::1"), "translated on the way out");
    assert!(answers(&outside, "192.0.2.2", 8081) && answers(&outside, "192.0.2.2", 8082), "forwarded from outside");
    assert!(answers(&outside, "2001:db8::2", 8083), "in IPv6 too");
    assert!(net.tcp_answers(ip("192.0.2.2"), 8082, Duration::from_secs(1)).expect("asked"), "and from the host itself");
    assert!(net.tcp_answers(ip("10.0.2.5"), 80, Duration::from_secs(1)).expect("asked"), "directly");
    assert!(!net.tcp_answers(ip("10.0.2.5"), 81, Duration::from_secs(1)).expect("asked"), "nobody listens");
    assert!(net.tcp_answers(ip("203.0.113.1"), 80, Duration::from_secs(1)).is_err(), "no route is a fault");
    assert!(!b.pings("10.0.1.5") && !answers(&b, "10.0.1.5", 80), "segments are apart");

    // Somebody else's table stays; ours comes back after a flush, and follows the plan.
    sh(&["nft", "flush", "ruleset"]);
    sh(&["nft", "add", "table", "inet", "other"]);
    table.forwards.pop();
    net.project_nat(&table).expect("back");
    assert!(answers(&outside, "192.0.2.2", 8081) && !answers(&outside, "192.0.2.2", 8082));
    assert!(sh(&["nft", "list", "tables"]).contains("inet other"));
    table.forwards.push(forward(8081, "10.0.2.5"));
    assert!(net.project_nat(&table).expect_err("one port, two guests").detail().contains("8081"));
    for _ in 0..2 {
        net.project_nat(&NatTable::default()).expect("none");
        assert!(!sh(&["nft", "list", "tables"]).contains("bothy"));
    }
}

#[test]
fn the_host_takes_nothing_by_itself_of_what_guests_send() {
    needs!(Root, Program("nft"), Program("busybox"));
    netns::enter_new();
    let state = scratch();
    let net = LinuxNet::new(utf8(state.path()));
    // A guest's NIC as it is where the switch runs in user space: what comes by it comes to the kernel too. The host has an
    // address on another link, and a guest there.
    let (guest, other) = (Peer::new(), Peer::new());
    let nic = if_name(IfKind::Guest, &Uuid::from_u128(7 << 100));
    guest.connect(nic.as_str(), "eth0", None, &["10.0.9.5/24"]);
    other.connect("bha", "eth0", None, &["10.0.1.5/24"]);
    sh(&["ip", "address", "add", "10.0.1.1/24", "dev", "bha"]);
    guest.run(|| sh(&["ip", "route", "add", "10.0.1.0/24", "dev", "eth0"]));
    let server = TcpListener::bind("[::]:9443").expect("bind");
    std::thread::spawn(move || server.incoming().for_each(drop));
    let own = sh(&["ip", "-6", "-o", "address", "show", "dev", nic.as_str(), "scope", "link"]);
    let own = own.split_whitespace().find(|w| w.starts_with("fe80")).expect("a link-local address").split('/').next().expect("address");
    let index = guest.run(|| nix::net::if_::if_nametoindex("eth0").expect("eth0"));
    let by_ll = || {
        let to = std::net::SocketAddrV6::new(own.parse().expect("IPv6"), 9443, 0, index);
        guest.run(|| std::net::TcpStream::connect_timeout(&to.into(), Duration::from_secs(1)).is_ok())
    };
    let asks = |who: &str| guest.run(|| try_sh(&["busybox", "arping", "-f", "-c", "2", "-w", "2", "-I", "eth0", who]).0);
    assert!(asks("10.0.1.1"), "without rules the kernel answers");
    eventually("and lets it in", by_ll);
    let table = NatTable { inside: vec!["bha".parse().expect("name")], links: true, ..NatTable::default() };
    for _ in 0..2 {
        net.project_nat(&table).expect("projected");
        assert!(!asks("10.0.1.1") && !by_ll() && !guest.pings("10.0.1.1"), "the switch alone has it");
        assert!(other.pings("10.0.1.1"), "where the host is on the link, it answers");
        let heard = || guest.run(|| sh(&["busybox", "cat", "/proc/net/dev"])).lines().find(|l| l.contains("eth0")).map(str::to_owned);
        let before = heard();
        try_sh(&["busybox", "ping6", "-c", "1", "-W", "1", "-I", nic.as_str(), "ff02::1"]);
        let received = |l: Option<String>| l.and_then(|l| l.split_whitespace().nth(2).map(str::to_owned));
        assert_eq!(received(heard()), received(before), "and the host says nothing to it");
        sh(&["nft", "delete", "table", "arp", "bothy"]);
        net.project_nat(&table).expect("again");
        assert!(!asks("10.0.1.1"), "a part that somebody took is back");
        sh(&["nft", "flush", "ruleset"]);
    }
}
