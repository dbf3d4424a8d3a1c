//! Who reaches whom on which kind of link, and under which conditions.

use std::{
    net::{Ipv4Addr, Ipv6Addr, UdpSocket},
    time::Duration,
};

use bothy::{
    model::{
        id::{NsId, PortId, ProjectId, VnfId},
        segment::{Access, Segment, SegmentOwner, SegmentState, Station},
        vnfd::{LinkKind, LinkProfile, LinkRates},
    },
    ovs::BRIDGE,
    sdn::{
        link::SwitchLink,
        port::{Fabric, PortKind, SwitchPort},
    },
};

use nix::net::if_::if_nametoindex;

use super::lab::*;
use crate::kit::{eventually, netns::pings, sh};

#[test]
fn a_guest_is_shut_out_until_its_link_is_known_and_again_when_it_is_on_another() {
    let Some(lab) = Lab::start() else { return };
    let (one, two) = (lab.guest(1, 7), lab.guest(2, 7));
    // Both known, so that the switch is closed to those that are not.
    lab.fabric.ensure_segment(&link(1, 7, &[1, 2])).expect("link");
    assert!(one.reaches(&two), "both are on the link");
    let three = lab.guest(3, 7);
    assert!(!three.reaches(&one), "nobody said that it may");
    lab.fabric.ensure_segment(&link(1, 7, &[1, 2, 3])).expect("link");
    assert!(three.reaches(&one) && three.reaches(&two), "now it is a LAN of three, neighbour discovery and all");
    let flows = lab.flows();
    lab.fabric.ensure_segment(&link(1, 7, &[1, 2, 3])).expect("the same once more");
    assert_eq!(lab.flows(), flows);
    drop(three);
    lab.ovs.vsctl(&["--if-exists", "del-port", nic(3).as_str()]);
    eventually("its flows go with the port", || lab.flows().len() == flows.len() - 1);
}

#[test]
fn a_guest_that_runs_comes_to_another_link_with_its_port_security_and_goes_back() {
    let Some(lab) = Lab::start() else { return };
    let (a, b, guest) = (lab.guest(1, 7), lab.guest(2, 8), lab.guest(3, 7));
    // What it has on the other link, as its DHCP would have given it.
    guest.peer.run(|| {
        sh(&["ip", "address", "add", "10.0.8.3/24", "dev", "eth0"]);
        sh(&["ip", "address", "add", "fd00:8::3/64", "dev", "eth0", "nodad"]);
    });
    let port = lab.ovs.vsctl(&["get", "Interface", nic(3).as_str(), "ofport"]);
    let on = |vlan: u16| {
        let links = [(7, 1), (8, 2)].map(|(v, other)| {
            let both = [other, 3];
            let mut l = link(u128::from(v) - 6, v, if v == vlan { &both } else { &both[..1] });
            l.ports.iter_mut().filter(|p| p.name == nic(3)).for_each(|p| p.guard = guard(3, v));
            l
        });
        // The link that it leaves first.
        let left_first = links.iter().filter(|l| l.vlan.get() != vlan).chain(links.iter().filter(|l| l.vlan.get() == vlan));
        left_first.for_each(|l| lab.fabric.ensure_segment(l).expect("link"));
    };
    let seen = || {
        let from = |v: u16| [format!("10.0.{v}.3"), format!("fd00:{v}::3")];
        let to =
            |v: u16, other: &Guest| from(v).iter().zip([&other.v4, &other.v6]).map(|(f, t)| guest.pings_from(f, t)).collect::<Vec<_>>();
        (to(7, &a), to(8, &b))
    };
    let (yes, no) = (vec![true; 2], vec![false; 2]);
    on(7);
    assert_eq!(seen(), (yes.clone(), no.clone()), "on its first link alone");
    on(8);
    assert_eq!(seen(), (no.clone(), yes.clone()), "on the other, and no more on the first");
    assert!(b.peer.pings("10.0.8.3") && b.peer.pings("fd00:8::3") && !a.peer.pings("10.0.7.3") && !a.peer.pings("fd00:7::3"));
    assert!(!guest.pings_from("10.0.7.3", &b.v4), "port security has its addresses of the new link");
    on(7);
    assert_eq!(seen(), (yes, no), "and back");
    assert_eq!(lab.ovs.vsctl(&["get", "Interface", nic(3).as_str(), "ofport"]), port, "the port was never taken off the switch");
}

#[test]
fn port_security_holds_mac_ip_arp_and_nd_and_can_be_off() {
    let Some(lab) = Lab::start() else { return };
    let (one, two) = (lab.guest(1, 7), lab.guest(2, 7));
    let secured = |on: bool| {
        let mut l = link(1, 7, &[1, 2]);
        l.ports[0].guard = guard(1, 7).filter(|_| on);
        lab.fabric.ensure_segment(&l).expect("link");
    };
    secured(true);
    assert!(one.reaches(&two) && two.reaches(&one), "its own addresses");
    let other = ["10.0.7.99", "fd00:7::99"];
    one.peer.run(|| {
        sh(&["ip", "address", "add", "10.0.7.99/24", "dev", "eth0"]);
        sh(&["ip", "address", "add", "fd00:7::99/64", "dev", "eth0", "nodad"]);
    });
    let spoofs = || [one.pings_from(other[0], &two.v4), one.pings_from(other[1], &two.v6)];
    assert_eq!(spoofs(), [false; 2], "an address that is not planned");
    assert!(!two.peer.pings(other[0]) && !two.peer.pings(other[1]), "neither ARP nor ND claims it");
    let own = || [one.pings_from(&one.v4, &two.v4), one.pings_from(&one.v6, &two.v6)];
    assert_eq!(own(), [true; 2], "what is planned still passes");

    secured(false);
    assert_eq!(spoofs(), [true; 2], "security is off");
    secured(true);
    assert_eq!(spoofs(), [false; 2], "and on again");
    one.peer.run(|| sh(&["ip", "link", "set", "eth0", "address", "52:54:00:aa:bb:cc"]));
    two.peer.run(|| sh(&["ip", "neighbour", "flush", "all"]));
    assert_eq!(own(), [false; 2], "another MAC");
    secured(false);
    assert_eq!(own(), [true; 2], "security is off");
}

#[test]
fn leaves_of_a_tree_reach_its_roots_and_the_host_and_no_leaf() {
    let Some(lab) = Lab::start() else { return };
    let host = host_port(1, 7, None);
    lab.fabric.ensure_port(&host).expect("the host's end");
    sh(&["ip", "address", "add", "10.0.7.254/24", "dev", host.name.as_str()]);
    sh(&["ip", "link", "set", host.name.as_str(), "up"]);
    let guests: Vec<Guest> = (1..=4).map(|n| lab.guest(n, 7)).collect();
    // Two leaves of another tree, to see that the trees are apart.
    let others: Vec<Guest> = (5..=6).map(|n| lab.guest(n, 8)).collect();
    let tree = |n, vlan, roots: &[u128], leaves: &[u128]| {
        let mut l = link(n, vlan, &[roots, leaves].concat());
        l.ports.iter_mut().skip(roots.len()).for_each(|p| p.isolated = true);
        l
    };
    let mut first = tree(1, 7, &[1, 2], &[3, 4]);
    first.ports.push(own(&host));
    lab.fabric.ensure_segment(&first).expect("tree");
    lab.fabric.ensure_segment(&tree(2, 8, &[5], &[6])).expect("tree");
    let [root, second, leaf, sister] = guests.as_slice() else { panic!("four") };
    for (from, to, want) in [(root, second, true), (leaf, root, true), (second, sister, true), (leaf, sister, false), (sister, leaf, false)]
    {
        assert_eq!(from.reaches(to), want, "{} to {}", from.v4, to.v4);
    }
    assert!(leaf.peer.pings("10.0.7.254") && pings(&leaf.v4), "the host is a root");
    assert!(others[1].reaches(&others[0]) && !others[1].reaches(leaf));
    // A leaf becomes a root while it runs.
    let mut grown = tree(1, 7, &[1, 2, 3], &[4]);
    grown.ports.push(own(&host));
    lab.fabric.ensure_segment(&grown).expect("tree");
    assert!(leaf.reaches(sister), "now it is a root");
}

/// A guest with a switch of its own: what its peer sends reaches the NIC under a tag.
pub fn tagging(lab: &Lab, n: u128, vlan: u16, tag: u16) -> Guest {
    let (bridge, inner) = (format!("sw{n}"), format!("in{n}"));
    sh(&["ip", "link", "add", nic(n).as_str(), "type", "veth", "peer", "name", &inner]);
    sh(&["ip", "link", "set", nic(n).as_str(), "up"]);
    sh(&["ip", "link", "set", &inner, "up"]);
    lab.ovs.vsctl(&["add-br", &bridge, "--", "set", "bridge", &bridge, "datapath_type=netdev", "--", "add-port", &bridge, &inner]);
    let guest = inside(lab, n, tag);
    lab.ovs.vsctl(&["--may-exist", "add-port", BRIDGE, nic(n).as_str(), &format!("tag={vlan}")]);
    guest
}

/// One more network behind such a guest's switch, under this tag.
pub fn inside(lab: &Lab, n: u128, tag: u16) -> Guest {
    let peer = crate::kit::netns::Peer::new();
    let here = format!("st{n}x{tag}");
    let (v4, v6) = (format!("10.9.{tag}.{n}"), format!("fd09:{tag}::{n}"));
    peer.connect(&here, "eth0", None, &[&format!("{v4}/24"), &format!("{v6}/64")]);
    lab.ovs.vsctl(&["add-port", &format!("sw{n}"), &here, &format!("tag={tag}")]);
    Guest { peer, control: lab.ovs.control(), v4, v6 }
}

#[test]
fn a_transparent_link_carries_the_guests_own_tags_and_others_do_not() {
    let Some(lab) = Lab::start() else { return };
    let (one, two) = (tagging(&lab, 1, 7, 5), tagging(&lab, 2, 7, 5));
    let (one6, two6) = (inside(&lab, 1, 6), inside(&lab, 2, 6));
    let transparent = |on: bool| {
        let l = SwitchLink { transparent: on, ..link(1, 7, &[1, 2]) };
        lab.fabric.ensure_segment(&l).expect("link");
    };
    transparent(false);
    assert!(!one.reaches(&two), "tagged frames on an access port");
    transparent(true);
    assert!(one.reaches(&two) && one6.reaches(&two6), "tags 5 and 6");
    // Another transparent link uses the same tags.
    let three = tagging(&lab, 3, 8, 5);
    lab.fabric.ensure_segment(&SwitchLink { transparent: true, ..link(2, 8, &[3]) }).expect("link");
    assert!(!three.reaches(&one), "the same tag on another link");
    transparent(false);
    assert!(!one.reaches(&two), "no longer");
}

#[test]
fn a_trunk_carries_those_vlans_of_a_transparent_link_that_it_names_and_is_repaired() {
    let Some(lab) = Lab::start() else { return };
    let (one, two) = (tagging(&lab, 1, 7, 5), tagging(&lab, 2, 7, 5));
    let (one6, two6) = (inside(&lab, 1, 6), inside(&lab, 2, 6));
    let named = |tags: &[u16]| {
        let mut l = SwitchLink { transparent: true, ..link(1, 7, &[1, 2]) };
        l.ports[0].only = tags.iter().map(|t| (*t).try_into().expect("tag")).collect();
        lab.fabric.ensure_segment(&l).expect("link");
    };
    named(&[5]);
    assert!(one.reaches(&two) && !one6.reaches(&two6), "tag 5 alone, and back");
    assert!(!two6.reaches(&one6), "nor from the other side");
    named(&[5, 6]);
    assert!(one.reaches(&two) && one6.reaches(&two6), "tag 6 too");
    named(&[6]);
    assert!(!one.reaches(&two) && one6.reaches(&two6));
    lab.ovs.vsctl(&["clear", "port", nic(1).as_str(), "cvlans"]);
    let listed = || lab.ovs.vsctl(&["get", "port", nic(1).as_str(), "cvlans"]).trim() == "[0, 6]";
    eventually("somebody's change is put right", listed);
    named(&[]);
    assert!(one.reaches(&two) && one6.reaches(&two6), "all of them");
}

#[test]
fn a_trunk_carries_links_of_its_own_tags_each_to_its_stations() {
    let Some(lab) = Lab::start() else { return };
    let trunked = tagging(&lab, 1, 7, 5);
    let six = inside(&lab, 1, 6);
    let stations: Vec<Guest> = [(2u128, 8u16, 5u16), (3, 9, 6)]
        .into_iter()
        .map(|(n, vlan, tag)| {
            let g = lab.guest(n, vlan);
            g.peer.run(|| {
                sh(&["ip", "address", "add", &format!("10.9.{tag}.{n}/24"), "dev", "eth0"]);
                sh(&["ip", "address", "add", &format!("fd09:{tag}::{n}/64"), "dev", "eth0", "nodad"]);
            });
            Guest { v4: format!("10.9.{tag}.{n}"), v6: format!("fd09:{tag}::{n}"), ..g }
        })
        .collect();
    let mut leaf = link(1, 7, &[1]);
    leaf.ports[0].isolated = true;
    lab.fabric.ensure_segment(&leaf).expect("the NIC's own link, of which it is a leaf");
    let with = |n, vlan, station: u128, tag| {
        let mut l = link(n, vlan, &[n]);
        l.ports.push(trunk(station, 1, tag));
        lab.fabric.ensure_segment(&l).expect("link");
    };
    with(2, 8, 12, 5);
    with(3, 9, 13, 6);
    assert!(trunked.reaches(&stations[0]), "tag 5 is link 2");
    assert!(six.reaches(&stations[1]) && stations[1].reaches(&six), "tag 6 is link 3");
    assert!(!trunked.peer.pings(&stations[1].v4), "links stay apart");
    lab.fabric.ensure_segment(&link(2, 8, &[2])).expect("link 2 without the trunk");
    assert!(!trunked.reaches(&stations[0]) && six.reaches(&stations[1]), "one network less");
    let inner = || lab.ovs.vsctl(&["list-ports", BRIDGE]).lines().filter(|p| p.starts_with("bt") || p.starts_with("bu")).count();
    assert_eq!(inner(), 2, "one network is left, of two ports");
    lab.fabric.remove_segment(segment(2)).expect("gone");
    lab.fabric.remove_segment(segment(3)).expect("gone");
    assert_eq!(inner(), 0, "and they go with their link");
}

#[test]
fn rates_hold_for_a_port_and_for_a_whole_link() {
    let Some(lab) = Lab::start() else { return };
    let (one, two) = (lab.guest(1, 7), lab.guest(2, 7));
    const RATE: f64 = 8e6;
    const BURST: f64 = RATE / 10.0;
    const PACKETS: usize = 4000;
    const SIZE: usize = 1200;
    let run = |what: &str, port: Option<u64>, whole: Option<u64>| {
        let mut l = SwitchLink { limit: whole, ..link(1, 7, &[1, 2]) };
        l.ports[0].limit = port;
        lab.fabric.ensure_segment(&l).expect("link");
        let (bits, seconds) = flood(&one, &two, PACKETS, SIZE);
        eprintln!("{what}: {:.1} Mbit/s of {:.1}", bits / seconds / 1e6, (PACKETS * SIZE * 8) as f64 / seconds / 1e6);
        (bits, seconds)
    };
    let limit = Some(RATE as u64);
    let (free, _) = run("without a limit", None, None);
    for (what, port, whole) in [("port", limit, None), ("link", None, limit), ("both", limit, limit)] {
        let (bits, seconds) = run(what, port, whole);
        // The meter counts Ethernet's header too; a tenth more is the clock's.
        assert!(bits <= (RATE * seconds + BURST) * 1.1, "{what}: {bits} bits in {seconds} s");
        assert!(bits >= RATE * seconds * 0.5, "{what}: {bits} bits in {seconds} s, where {free} passed without");
    }
    // A busy host loses packets by itself; a limit that stayed would hold each time.
    let passes = || {
        let (again, seconds) = run("without a limit again", None, None);
        again > free * 0.8 && again > (RATE * seconds + BURST) * 1.1
    };
    assert!((0..4).any(|_| passes()), "as if there were a limit; {free} passed at first");
    assert!(lab.ofctl(&["dump-meters"]).lines().count() <= 1, "no meter is left");
}

#[test]
fn a_host_s_port_and_the_bridge_keep_their_mtu_whatever_comes_to_the_switch() {
    let Some(lab) = Lab::start() else { return };
    let mtu = |p: &SwitchPort| {
        let text = sh(&["ip", "-o", "link", "show", p.name.as_str()]);
        text.split_whitespace().skip_while(|w| *w != "mtu").nth(1).expect("mtu").to_owned()
    };
    let (normal, small, jumbo) = (host_port(1, 7, None), host_port(2, 8, Some(1400)), host_port(3, 9, Some(9000)));
    for p in [&normal, &small, &jumbo] {
        lab.fabric.ensure_port(p).expect("port");
    }
    let guest = lab.guest(4, 8);
    sh(&["ip", "link", "set", nic(4).as_str(), "mtu", "1300"]);
    eventually("as asked for", || [&normal, &small, &jumbo].map(mtu) == ["1500", "1400", "9000"]);
    // The bridge's own is what libvirt gives to guests' ports of links that say none.
    let own = || sh(&["ip", "-o", "link", "show", BRIDGE]).contains(" mtu 1500 ");
    assert!(own(), "the least of all ports");
    lab.ovs.vsctl(&["clear", "interface", BRIDGE, "mtu_request"]);
    eventually("asked for again", own);
    drop(guest);
    lab.fabric.ensure_port(&SwitchPort { kind: PortKind::Host { mtu: Some(1450) }, ..small.clone() }).expect("another");
    assert_eq!(mtu(&small), "1450");
}

/// Groups of IPv4 and IPv6 that are nobody's own.
const GROUPS: (Ipv4Addr, Ipv6Addr) = (Ipv4Addr::new(239, 7, 7, 7), Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 7, 7));
const MULTICAST: u16 = 5007;

/// Sockets that hear both groups, as members.
fn members(of: &Guest) -> [UdpSocket; 2] {
    of.peer.run(|| {
        let v4 = UdpSocket::bind((GROUPS.0, MULTICAST)).expect("IPv4");
        v4.join_multicast_v4(&GROUPS.0, &of.v4.parse().expect("IPv4")).expect("joined");
        let v6 = UdpSocket::bind((GROUPS.1, MULTICAST)).expect("IPv6");
        v6.join_multicast_v6(&GROUPS.1, if_nametoindex("eth0").expect("eth0")).expect("joined");
        [v4, v6].map(|s| {
            s.set_read_timeout(Some(Duration::from_millis(500))).expect("limit");
            s
        })
    })
}

/// Sent to both groups from these addresses, and who heard it, of each group.
fn heard(from: &Guest, as_whom: [&str; 2], by: &[[UdpSocket; 2]]) -> [Vec<bool>; 2] {
    from.settle();
    let word = format!("from {} and {}", as_whom[0], as_whom[1]);
    let hears = |s: &UdpSocket| {
        let mut buf = [0u8; 200];
        // What came of a word before does not count.
        std::iter::from_fn(|| s.recv(&mut buf).ok().map(|n| buf[..n] == *word.as_bytes())).any(|ours| ours)
    };
    from.peer.run(|| {
        let v4 = UdpSocket::bind((as_whom[0], 0)).expect("IPv4");
        v4.set_multicast_ttl_v4(2).expect("TTL");
        let v6 = UdpSocket::bind((as_whom[1], 0)).expect("IPv6");
        for _ in 0..3 {
            v4.send_to(word.as_bytes(), (GROUPS.0, MULTICAST)).expect("sent");
            v6.send_to(word.as_bytes(), (GROUPS.1, MULTICAST)).expect("sent");
        }
    });
    [0, 1].map(|family| by.iter().map(|m| hears(&m[family])).collect())
}

#[test]
fn multicast_of_a_guarded_guest_reaches_each_member_of_its_link_and_nobody_else() {
    let Some(lab) = super::function::lab() else { return };
    let guests: Vec<Guest> = (1..=4).map(|n| super::function::talker(&lab, n, 7)).collect();
    let elsewhere = super::function::talker(&lab, 5, 8);
    let mut l = link(1, 7, &[1, 2, 3, 4]);
    l.ports.iter_mut().zip(1..).for_each(|(p, n)| p.guard = guard(n, 7));
    lab.fabric.ensure_segment(&l).expect("link");
    lab.fabric.ensure_segment(&link(2, 8, &[5])).expect("link");
    let sender = &guests[0];
    assert!(sender.reaches(&guests[1]));
    sender.peer.run(|| {
        sh(&["ip", "address", "add", "10.0.7.99/24", "dev", "eth0"]);
        sh(&["ip", "address", "add", "fd00:7::99/64", "dev", "eth0", "nodad"]);
        sh(&["ip", "route", "add", "224.0.0.0/4", "dev", "eth0"]);
    });
    let listening: Vec<_> = guests[1..].iter().chain([&elsewhere]).map(members).collect();
    let all = [vec![true, true, true, false], vec![true, true, true, false]];
    let none = [vec![false; 4], vec![false; 4]];
    assert_eq!(heard(sender, [&sender.v4, &sender.v6], &listening), all);
    assert_eq!(heard(sender, ["10.0.7.99", "fd00:7::99"], &listening), none, "from addresses that are not planned");
    // Another one sends, too, and the first of them hears it.
    let first = [members(sender)];
    guests[1].peer.run(|| sh(&["ip", "route", "add", "224.0.0.0/4", "dev", "eth0"]));
    assert_eq!(heard(&guests[1], [&guests[1].v4, &guests[1].v6], &first), [vec![true], vec![true]]);
}

#[test]
fn a_line_joins_its_two_ends_and_holds_its_rate_both_ways() {
    let Some(lab) = Lab::start() else { return };
    let (one, two, three) = (lab.guest(1, 7), lab.guest(2, 7), lab.guest(3, 7));
    const RATE: u64 = 8_000_000;
    let station = |n: u128| Station {
        port: PortId(id(n)),
        vnf: VnfId(id(n)),
        mac: mac(n),
        addresses: guard(n, 7).expect("a guard").addresses,
        hostname: "end".into(),
        access: Access { guarded: true, ..Access::default() },
    };
    let segment = Segment {
        id: segment(1),
        project: ProjectId::DEFAULT,
        owner: SegmentOwner::Ns(NsId(id(1))),
        link: "line".into(),
        vlan: 7.try_into().expect("vlan"),
        profile: LinkProfile { kind: LinkKind::Eline, max_rate: LinkRates { root: Some(RATE), leaf: None }, ..LinkProfile::default() },
        host: Vec::new(),
        stations: vec![station(1), station(2)],
        state: SegmentState::Wanted,
    };
    bothy::sdn::link::check(&segment).expect("a line of two");
    let three_ends = Segment { stations: vec![station(1), station(2), station(3)], ..segment.clone() };
    assert!(bothy::sdn::link::check(&three_ends).is_err());
    lab.fabric.ensure_segment(&SwitchLink::of(&segment)).expect("line");
    // Known as well, so that the switch is closed to whom nobody told of.
    lab.fabric.ensure_segment(&link(2, 8, &[3])).expect("another link");
    assert!(one.reaches(&two) && two.reaches(&one));
    assert!(!three.reaches(&one) && !three.reaches(&two), "a third is on no line");
    for (from, to) in [(&one, &two), (&two, &one)] {
        let (bits, seconds) = flood(from, to, 4000, 1200);
        let most = (RATE as f64 * seconds + RATE as f64 / 10.0) * 1.1;
        assert!(bits <= most && bits >= RATE as f64 * seconds * 0.5, "{} to {}: {bits} bits in {seconds} s", from.v4, to.v4);
    }
}
