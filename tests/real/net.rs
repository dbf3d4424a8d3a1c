//! Fabric and host network against a real Open vSwitch (userspace datapath), dnsmasq and nft.

use std::{
    collections::BTreeMap,
    net::{IpAddr, TcpListener},
    time::{Duration, Instant},
};

use bothy::{
    host::{LinuxNet, netlink::Netlink},
    model::{
        error::Kind,
        id::{IfKind, IfName, SegmentId, if_name},
        net::{BondMode, Cidr, Lacp, VlanId},
        segment::NatForward,
    },
    ovs::{BRIDGE, Bond, OvsFabric, Settings, Uplink},
    sdn::port::{Datapath, Fabric, PortKind, SwitchPort},
    vim::port::{DhcpConf, DhcpLease, DhcpNetwork, HostLink, HostNet, NatTable},
};
use uuid::Uuid;

use super::kit::{
    self, dhcp6, eventually,
    netns::{self, Peer, pings},
    ovs::{self, Ovs},
    scratch, sh, try_sh, utf8,
};

mod nft;
mod uplinks;

fn segment(n: u128) -> SegmentId {
    // The name of an interface is made from the first bits of the id.
    SegmentId(Uuid::from_u128(n << 100 | n))
}
fn vlan(n: u16) -> VlanId {
    VlanId::try_from(n).expect("vlan")
}
fn ip(s: &str) -> IpAddr {
    s.parse().expect(s)
}
fn cidr(s: &str) -> Cidr {
    s.parse().expect(s)
}
fn host_port(n: u128, tag: u16) -> SwitchPort {
    SwitchPort { name: if_name(IfKind::Host, &segment(n).0), segment: segment(n), vlan: vlan(tag), kind: PortKind::Host { mtu: None } }
}
fn fabric(ovs: &Ovs, physical: &[(&str, Uplink)]) -> OvsFabric {
    let physical: BTreeMap<_, _> = physical.iter().map(|(n, u)| ((*n).into(), u.clone())).collect();
    OvsFabric::new(Settings { socket: ovs.socket(), physical }).expect("fabric")
}
fn link(port: &SwitchPort, addresses: &[&str]) -> HostLink {
    HostLink { ifname: port.name.clone(), addresses: addresses.iter().map(|a| cidr(a)).collect(), mtu: None }
}
/// Puts an interface on the switch as libvirt does with a guest's.
fn guest_port(ovs: &Ovs, name: &str, tag: u16) {
    ovs.vsctl(&["add-port", BRIDGE, name, &format!("tag={tag}")]);
}
/// All rows of the switch, without what differs from run to run.
fn dump(ovs: &Ovs) -> String {
    ["Bridge", "Port", "Interface"].map(|t| ovs.vsctl(&["--columns=_uuid,name,external_ids", "list", t])).concat()
}

#[test]
fn what_is_ensured_twice_is_there_once_and_what_is_removed_twice_is_gone() {
    if kit::lacks(&ovs::NEEDS) {
        return;
    }
    netns::enter_new();
    let ovs = Ovs::start();
    let fabric = fabric(&ovs, &[]);
    let port = host_port(1, 7);
    let mut dumps = Vec::new();
    for _ in 0..2 {
        assert_eq!(fabric.ensure_ready().expect("ready"), Datapath::Netdev);
        fabric.ensure_port(&port).expect("port");
        dumps.push(dump(&ovs));
    }
    assert_eq!(dumps[0], dumps[1], "the second time changed something");
    assert!(Netlink::open().and_then(|mut n| n.link(&port.name)).expect("asked").is_some(), "done means the interface is there");

    let found = fabric.ports().expect("ports");
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].name, found[0].vlan, found[0].segment, &found[0].error), (&port.name, Some(vlan(7)), Some(segment(1)), &None));
    assert!(fabric.health().expect("health").contains("netdev"));

    fabric.ensure_port(&SwitchPort { vlan: vlan(8), ..port.clone() }).expect("another tag");
    assert_eq!(fabric.ports().expect("ports")[0].vlan, Some(vlan(8)));

    assert_eq!(fabric.remove_bridge().expect_err("still a port").kind(), Kind::Conflict);
    for _ in 0..2 {
        fabric.remove_port(&port.name).expect("removed");
        assert_eq!(fabric.ports().expect("ports"), []);
    }
    assert!(Netlink::open().and_then(|mut n| n.link(&port.name)).expect("asked").is_none());
    fabric.remove_bridge().expect("empty");
    fabric.remove_bridge().expect("gone already");
    assert_eq!(ovs.vsctl(&["list-br"]), "");
}

#[test]
fn many_at_once_and_two_daemons_on_one_port_end_as_one_would_have() {
    if kit::lacks(&ovs::NEEDS) {
        return;
    }
    netns::enter_new();
    let ovs = Ovs::start();
    // Two bothys, as when the calls of a killed one still complete.
    let fabrics = [fabric(&ovs, &[]), fabric(&ovs, &[])];
    let all = |f: &(dyn Fn(&OvsFabric, u16) + Sync)| {
        std::thread::scope(|s| {
            for n in 1..=16 {
                fabrics.iter().for_each(|fabric| drop(s.spawn(move || f(fabric, n))));
            }
        });
    };
    all(&|fabric, n| {
        fabric.ensure_ready().expect("ready");
        fabric.ensure_port(&host_port(n.into(), n)).expect("port");
    });
    let found = fabrics[1].ports().expect("ports");
    assert_eq!(found.iter().filter(|p| p.segment.is_some() && p.error.is_none()).count(), 16, "{found:?}");
    assert_eq!(ovs.vsctl(&["list-br"]).trim(), BRIDGE);
    all(&|fabric, n| fabric.remove_port(&host_port(n.into(), n).name).expect("removed"));
    assert_eq!(ovs.vsctl(&["list-ports", BRIDGE]), "");
}

#[test]
fn the_bridge_of_somebody_else_is_left_alone() {
    if kit::lacks(&ovs::NEEDS) {
        return;
    }
    netns::enter_new();
    let ovs = Ovs::start();
    ovs.vsctl(&["add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev"]);
    let fabric = fabric(&ovs, &[]);
    let e = fabric.ensure_ready().expect_err("not ours");
    assert_eq!(e.kind(), Kind::Conflict);
    // The fault names the command that hands it over; it must work.
    let hint = e.text().split('\'').nth(1).expect("a command").to_owned();
    ovs.vsctl(&hint.split(' ').skip(1).collect::<Vec<_>>());
    assert_eq!(fabric.ensure_ready().expect("handed over"), Datapath::Netdev);
}

#[test]
fn an_interface_that_vswitchd_cannot_make_is_a_fault_with_its_reason() {
    if kit::lacks(&ovs::NEEDS) {
        return;
    }
    netns::enter_new();
    let ovs = Ovs::start();
    let fabric = fabric(&ovs, &[("wan", Uplink::Interface("no-such-nic".parse().expect("name")))]);
    fabric.ensure_ready().expect("ready");
    let port = SwitchPort {
        name: if_name(IfKind::Patch, &segment(1).0),
        kind: PortKind::Physical { network: "wan".into(), tag: None, transparent: false },
        ..host_port(1, 7)
    };
    let e = fabric.ensure_port(&port).expect_err("there is no such interface");
    assert!(e.is_transient() && e.text().contains("wan") && e.text().contains("no-such-nic"), "{e}");
    let e = fabric
        .ensure_port(&SwitchPort { kind: PortKind::Physical { network: "lan".into(), tag: None, transparent: false }, ..port })
        .expect_err("no such network");
    assert!(e.kind() == Kind::Invalid && e.text().contains("'lan'") && e.text().contains("wan"), "{e}");
}

#[test]
fn stations_talk_within_their_vlan_and_with_the_host_and_not_across() {
    if kit::lacks(&ovs::NEEDS) {
        return;
    }
    netns::enter_new();
    let ovs = Ovs::start();
    let (fabric, state) = (fabric(&ovs, &[]), scratch());
    let net = LinuxNet::new(utf8(state.path()));
    fabric.ensure_ready().expect("ready");
    let port = host_port(1, 7);
    fabric.ensure_port(&port).expect("port");
    for _ in 0..2 {
        net.ensure_link(&link(&port, &["10.0.7.1/24", "fd00:7::1/64"])).expect("link");
    }
    let peers: Vec<Peer> = (0..3).map(|_| Peer::new()).collect();
    for (n, (peer, tag)) in peers.iter().zip([7, 7, 8]).enumerate() {
        let (here, host) = (format!("guest{n}"), n + 11);
        peer.connect(&here, "eth0", None, &[&format!("10.0.7.{host}/24"), &format!("fd00:7::{host}/64")]);
        guest_port(&ovs, &here, tag);
    }
    assert!(peers[0].pings("10.0.7.12"), "same VLAN");
    assert!(peers[0].pings("fd00:7::12"), "same VLAN, IPv6");
    assert!(peers[1].pings("10.0.7.1") && peers[1].pings("fd00:7::1"), "the host's end");
    assert!(pings("10.0.7.11"), "from the host");
    assert!(!peers[2].pings("10.0.7.11") && !peers[2].pings("10.0.7.1"), "another VLAN");

    let seen: Vec<_> = fabric.ports().expect("ports").into_iter().map(|p| (p.name.to_string(), p.segment.is_some())).collect();
    assert!(seen.contains(&("guest0".into(), false)) && seen.contains(&(port.name.to_string(), true)), "{seen:?}");

    // Exactly the wanted addresses, no more.
    net.ensure_link(&link(&port, &["10.0.7.2/24"])).expect("link");
    let mut n = Netlink::open().expect("netlink");
    let index = n.link(&port.name).expect("asked").expect("there").index;
    let left: Vec<Cidr> = n.addresses().expect("addresses").into_iter().filter(|a| a.index == index).map(|a| a.cidr).collect();
    let left: Vec<_> = left.into_iter().filter(|c| !c.to_string().starts_with("fe80")).collect();
    assert_eq!(left, [cidr("10.0.7.2/24")]);
    assert!(n.routes().expect("routes").iter().any(|r| r.to == Some(cidr("10.0.7.0/24")) && r.index == Some(index)));
}

#[test]
fn a_physical_network_is_reached_with_and_without_a_tag_and_its_bridge_goes_with_the_last_port() {
    if kit::lacks(&ovs::NEEDS) {
        return;
    }
    netns::enter_new();
    let ovs = Ovs::start();
    // The outside: a neighbour on the "cable" uplink0; another bridge kept by the administrator.
    let outside = Peer::new();
    outside.connect("uplink0", "eth0", None, &["192.0.2.1/24"]);
    ovs.vsctl(&["add-br", "br-lan", "--", "set", "bridge", "br-lan", "datapath_type=netdev"]);
    let tagged = Peer::new();
    tagged.connect("lan0", "eth0", None, &["198.51.100.1/24"]);
    ovs.vsctl(&["add-port", "br-lan", "lan0", "tag=100"]);

    let fabric = fabric(&ovs, &[("wan", Uplink::Interface("uplink0".parse().expect("name"))), ("lan", Uplink::Bridge("br-lan".into()))]);
    fabric.ensure_ready().expect("ready");
    assert_eq!(fabric.physical(), ["lan", "wan"]);
    let physical = |n, tag, network: &str, there: Option<u16>| SwitchPort {
        name: if_name(IfKind::Patch, &segment(n).0),
        segment: segment(n),
        vlan: vlan(tag),
        kind: PortKind::Physical { network: network.into(), tag: there.map(vlan), transparent: false },
    };
    let (wan, lan) = (physical(1, 7, "wan", None), physical(2, 8, "lan", Some(100)));
    let guests: Vec<Peer> = (0..2).map(|_| Peer::new()).collect();
    for (n, (tag, address)) in [(7, "192.0.2.9/24"), (8, "198.51.100.9/24")].into_iter().enumerate() {
        guests[n].connect(&format!("guest{n}"), "eth0", None, &[address]);
        guest_port(&ovs, &format!("guest{n}"), tag);
    }
    assert!(!guests[0].pings("192.0.2.1"), "not yet");
    for _ in 0..2 {
        fabric.ensure_port(&wan).expect("wan");
        fabric.ensure_port(&lan).expect("lan");
    }
    assert!(guests[0].pings("192.0.2.1"), "untagged on the cable");
    assert!(guests[1].pings("198.51.100.1"), "VLAN 8 here is 100 there");

    for _ in 0..2 {
        fabric.remove_port(&wan.name).expect("removed");
        fabric.remove_port(&lan.name).expect("removed");
    }
    assert_eq!(ovs.vsctl(&["list-br"]).lines().collect::<Vec<_>>(), ["bothy0", "br-lan"], "ours is gone, the other stays");
    assert_eq!(ovs.vsctl(&["list-ports", "br-lan"]).trim(), "lan0");
}

#[test]
fn a_bond_carries_a_physical_network_whichever_leg_is_cut() {
    if kit::lacks(&ovs::NEEDS) {
        return;
    }
    netns::enter_new();
    let ovs = Ovs::start();
    // The switch beyond: a bridge with the other ends of both cables, and a neighbour behind it.
    ovs.vsctl(&["add-br", "far", "--", "set", "bridge", "far", "datapath_type=netdev"]);
    let outside = Peer::new();
    outside.connect("beyond", "eth0", None, &["192.0.2.1/24"]);
    ovs.vsctl(&["add-port", "far", "beyond"]);
    for n in ["0", "1"] {
        sh(&["ip", "link", "add", &format!("up{n}"), "type", "veth", "peer", "name", &format!("far{n}")]);
        sh(&["ip", "link", "set", &format!("up{n}"), "up"]);
        sh(&["ip", "link", "set", &format!("far{n}"), "up"]);
    }
    let guest = Peer::new();
    guest.connect("guest0", "eth0", None, &["192.0.2.9/24"]);
    let wan = SwitchPort {
        name: if_name(IfKind::Patch, &segment(1).0),
        segment: segment(1),
        vlan: vlan(7),
        kind: PortKind::Physical { network: "wan".into(), tag: None, transparent: false },
    };
    let plain: &[&[&str]] = &[&["add-port", "far", "far0"], &["add-port", "far", "far1"]];
    let speaks: &[&[&str]] = &[&["add-bond", "far", "far-bond", "far0", "far1", "bond_mode=balance-slb", "lacp=active"]];
    for (mode, lacp, far) in [
        (BondMode::ActiveBackup, Lacp::Off, plain),
        // The switch beyond does not answer.
        (BondMode::ActiveBackup, Lacp::Active, plain),
        (BondMode::BalanceSlb, Lacp::Passive, speaks),
        (BondMode::BalanceTcp, Lacp::Active, speaks),
    ] {
        let what = format!("{mode:?}, LACP {lacp:?}");
        for port in ["far0", "far1", "far-bond"] {
            ovs.vsctl(&["--if-exists", "del-port", port]);
        }
        far.iter().for_each(|f| drop(ovs.vsctl(f)));
        let legs = ["up0", "up1"].map(|l| l.parse().expect("name")).to_vec();
        // As after another start: the bridge is there, and its bond becomes this one.
        let fabric = fabric(&ovs, &[("wan", Uplink::Bond(Bond { legs, mode, lacp }))]);
        fabric.ensure_ready().expect("ready");
        guest_port(&ovs, "guest0", 7);
        fabric.ensure_port(&wan).expect("wan");
        let port = ovs.vsctl(&["--bare", "--columns=name", "find", "port", "external_ids:bothy-owner=bothy"]);
        let port = port.split_whitespace().find(|p| p.starts_with("by")).expect("a bond").to_owned();
        let columns = || ovs.vsctl(&["get", "port", &port, "bond_mode", "lacp"]).replace('\n', " ").trim().to_owned();
        assert_eq!(columns(), format!("{} {}", mode.word(), lacp.word()), "{what}");
        eventually(&what, || guest.pings("192.0.2.1"));
        for cut in ["far0", "far1"] {
            sh(&["ip", "link", "set", cut, "down"]);
            eventually(&format!("{what}, without {cut}"), || guest.pings("192.0.2.1"));
            sh(&["ip", "link", "set", cut, "up"]);
            eventually(&format!("{what}, with {cut} again"), || guest.pings("192.0.2.1"));
        }
        ovs.vsctl(&["set", "port", &port, "lacp=off", "bond_mode=active-backup", "other_config={}"]);
        // What the database has not told of yet is not known to be wrong.
        eventually(&format!("{what}: put right"), || {
            fabric.ensure_port(&wan).expect("wan");
            columns() == format!("{} {}", mode.word(), lacp.word())
        });
        ovs.vsctl(&["del-port", "guest0"]);
    }
    let fabric = fabric(&ovs, &[("wan", Uplink::Interface("up1".parse().expect("name")))]);
    fabric.ensure_ready().expect("ready");
    fabric.ensure_port(&wan).expect("from a bond to one of its legs");
    assert!(ovs.vsctl(&["list-ports", ovs.vsctl(&["iface-to-br", "up1"]).trim()]).lines().any(|p| p == "up1"));
    fabric.remove_port(&wan.name).expect("removed");
    assert_eq!(ovs.vsctl(&["list-br"]).lines().collect::<Vec<_>>(), ["bothy0", "far"]);
}

#[test]
fn killed_daemons_come_back_and_ensure_mends_what_they_lost() {
    if kit::lacks(&ovs::NEEDS) {
        return;
    }
    netns::enter_new();
    let mut ovs = Ovs::start();
    let (fabric, state) = (fabric(&ovs, &[]), scratch());
    let net = LinuxNet::new(utf8(state.path()));
    let port = host_port(1, 7);
    let ensure = || {
        fabric.ensure_ready()?;
        fabric.ensure_port(&port)?;
        net.ensure_link(&link(&port, &["10.0.7.1/24"]))
    };
    ensure().expect("first");
    let peer = Peer::new();
    peer.connect("guest0", "eth0", None, &["10.0.7.11/24"]);
    guest_port(&ovs, "guest0", 7);

    ovs.kill_switch();
    let start = Instant::now();
    let e = fabric.health().expect_err("no switch daemon");
    assert!(e.is_transient() && e.text().contains("ovs-vswitchd") && start.elapsed() < Duration::from_secs(5), "{e}");
    ovs.start_switch();
    eventually("ensured after ovs-vswitchd came back", || ensure().is_ok());
    assert!(peer.pings("10.0.7.1"), "after ovs-vswitchd");

    ovs.kill_database();
    eventually("the loss is noticed", || fabric.db().view(|_| ()).is_err());
    let e = fabric.db().view(|_| ()).expect_err("no database");
    assert!(e.is_transient() && e.text().contains("ovsdb-server"), "{e}");
    ovs.start_database();
    ensure().expect("a call waits for the connection");
    fabric.ensure_port(&host_port(2, 8)).expect("and changes go through");
    assert!(peer.pings("10.0.7.1"), "after ovsdb-server");

    ovs.kill_switch();
    ovs.kill_database();
    ovs.start_database();
    ovs.start_switch();
    eventually("ensured after both came back", || ensure().is_ok());
    assert!(peer.pings("10.0.7.1"), "after both");
}

/// A DHCP client in its namespace; the variables of its lease.
/// Asks once a second, `tries` times: few where none is to come, many where one must.
fn lease(peer: &Peer, dir: &std::path::Path, tries: &str) -> Option<BTreeMap<String, String>> {
    use std::os::unix::fs::PermissionsExt;
    let (script, out) = (dir.join("bound"), dir.join("lease"));
    let _ = std::fs::remove_file(&out);
    std::fs::write(&script, format!("#!/bin/sh\n[ \"$1\" = bound ] && env > {}\nexit 0\n", out.display())).expect("script");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("mode");
    let script = script.to_string_lossy().into_owned();
    let client = ["busybox", "udhcpc", "-f", "-n", "-q", "-t", tries, "-T", "1", "-O", "mtu", "-i", "eth0", "-s", &script];
    peer.run(|| try_sh(&client)).0.then_some(())?;
    let text = std::fs::read_to_string(out).ok()?;
    Some(text.lines().filter_map(|l| l.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
}

#[test]
fn a_planned_station_gets_its_lease_and_an_unknown_one_none() {
    if kit::lacks(&ovs::NEEDS) {
        return;
    }
    needs!(Program("dnsmasq"));
    netns::enter_new();
    let ovs = Ovs::start();
    let (fabric, state, scratch) = (fabric(&ovs, &[]), scratch(), scratch());
    let net = LinuxNet::new(utf8(state.path()));
    let port = host_port(1, 7);
    fabric.ensure_ready().expect("ready");
    fabric.ensure_port(&port).expect("port");
    net.ensure_link(&link(&port, &["10.0.7.1/24", "fd00:7::1/64"])).expect("link");
    let mac = "52:54:00:00:00:01";
    let mut conf = DhcpConf {
        segment: segment(1),
        ifname: port.name.clone(),
        networks: vec![
            DhcpNetwork { cidr: cidr("10.0.7.0/24"), gateway: Some(ip("10.0.7.1")), dns: vec![ip("192.0.2.53")], mtu: Some(1400) },
            DhcpNetwork { cidr: cidr("fd00:7::/64"), gateway: None, dns: vec![ip("fd00:53::1")], mtu: None },
        ],
        leases: vec![DhcpLease {
            mac: mac.parse().expect("mac"),
            addresses: vec![ip("10.0.7.77"), ip("fd00:7::77")],
            hostname: "client".into(),
        }],
    };
    net.ensure_dhcp(&conf).expect("dhcp");
    let stop = StopDhcp(&net, segment(1));
    let pid = || std::fs::read_to_string(state.path().join(format!("dhcp/{}/pid", segment(1)))).expect("pid file");
    let first = pid();
    net.ensure_dhcp(&conf).expect("again");
    // Another bothy, as after a restart, adopts it.
    LinuxNet::new(utf8(state.path())).ensure_dhcp(&conf).expect("adopted");
    assert_eq!(pid(), first, "the same server goes on");
    assert_eq!(net.list_dhcp().expect("list"), [segment(1)]);

    let (known, unknown) = (Peer::new(), Peer::new());
    known.connect("guest0", "eth0", Some(mac), &[]);
    unknown.connect("guest1", "eth0", Some("52:54:00:00:00:02"), &[]);
    guest_port(&ovs, "guest0", 7);
    guest_port(&ovs, "guest1", 7);
    let got = lease(&known, scratch.path(), "30").expect("a lease");
    let want = [("ip", "10.0.7.77"), ("router", "10.0.7.1"), ("dns", "192.0.2.53"), ("mtu", "1400"), ("hostname", "client")];
    for (key, value) in want {
        assert_eq!(got.get(key).map(String::as_str), Some(value), "{key} of {got:?}");
    }
    assert_eq!(lease(&unknown, scratch.path(), "4"), None, "not planned");
    let limit = std::time::Duration::from_secs(30);
    let six =
        |address: &str| Some(dhcp6::Lease { address: address.parse().expect("IPv6"), dns: vec!["fd00:53::1".parse().expect("IPv6")] });
    let station = [0x52, 0x54, 0, 0, 0];
    let [planned, stranger] = [1, 2].map(|n| [station.as_slice(), &[n]].concat().try_into().expect("a MAC"));
    assert_eq!(dhcp6::lease(&known, planned, limit), six("fd00:7::77"));
    assert_eq!(dhcp6::lease(&unknown, stranger, std::time::Duration::from_secs(4)), None, "not planned");

    // A new plan: another address, no router. The server is replaced, not joined by another.
    conf.leases[0].addresses = vec![ip("10.0.7.78"), ip("fd00:7::78")];
    conf.networks[0].gateway = None;
    net.ensure_dhcp(&conf).expect("changed");
    assert_ne!(pid(), first);
    let got = lease(&known, scratch.path(), "30").expect("a lease");
    assert_eq!((got.get("ip").map(String::as_str), got.get("router")), (Some("10.0.7.78"), None));
    assert_eq!(dhcp6::lease(&known, planned, limit), six("fd00:7::78"));

    // Killed by somebody: the next ensure brings it back.
    let killed = pid();
    sh(&["kill", "-9", killed.trim()]);
    let gone = || !std::fs::exists(format!("/proc/{}", killed.trim())).expect("proc");
    assert!(
        (0..500).any(|_| gone() || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            false
        }),
        "{killed} does not die"
    );
    net.ensure_dhcp(&conf).expect("back");
    assert!(lease(&known, scratch.path(), "30").is_some());

    drop(stop);
    net.remove_dhcp(segment(1)).expect("gone already");
    assert_eq!(net.list_dhcp().expect("list"), []);
    assert_eq!(lease(&known, scratch.path(), "4"), None);
}

/// Ends the server also when the test fails: it is nobody's child.
struct StopDhcp<'a>(&'a LinuxNet, SegmentId);
impl Drop for StopDhcp<'_> {
    fn drop(&mut self) {
        self.0.remove_dhcp(self.1).expect("removed");
    }
}

#[test]
fn dhcp_that_cannot_start_says_why() {
    needs!(Root, Program("dnsmasq"));
    netns::enter_new();
    let state = scratch();
    let net = LinuxNet::new(utf8(state.path()));
    let lease = |last: u8| DhcpLease {
        mac: format!("52:54:00:00:00:0{last}").parse().expect("mac"),
        addresses: vec![ip("10.0.7.77")],
        hostname: "twice".into(),
    };
    let conf = DhcpConf {
        segment: segment(1),
        ifname: "bhx".parse().expect("name"),
        networks: vec![DhcpNetwork { cidr: cidr("10.0.7.0/24"), gateway: None, dns: vec![], mtu: None }],
        leases: vec![lease(1), lease(2)],
    };
    let e = net.ensure_dhcp(&conf).expect_err("one address for two");
    assert!(e.text().contains("bhx") && e.text().contains("10.0.7.77"), "{e}");
    net.remove_dhcp(segment(1)).expect("files are removed");
}
