//! Flows of ports, and frames that meet them: a small switch of the test's own decides by priority.

use super::*;
use crate::{
    model::id::{IfKind, SegmentId, if_name},
    sdn::link::PortAt,
};
use uuid::Uuid;

const MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];
const OTHER: [u8; 6] = [0x52, 0x54, 0, 0, 0, 2];

fn link(transparent: bool, limit: Option<u64>) -> SwitchLink {
    SwitchLink { segment: SegmentId(Uuid::from_u128(1)), vlan: 7.try_into().expect("vlan"), transparent, limit, ports: vec![] }
}
fn port(addresses: Option<&[&str]>, limit: Option<u64>) -> LinkPort {
    LinkPort {
        name: if_name(IfKind::Guest, &Uuid::from_u128(1)),
        at: PortAt::Guest,
        isolated: false,
        limit,
        guard: addresses
            .map(|a| Guard { mac: MacAddr::new(MAC).expect("mac"), addresses: a.iter().map(|a| a.parse().expect("ip")).collect() }),
        only: Vec::new(),
    }
}

/// What a frame looks like to the matches: those it meets.
struct Frame(Vec<Match>);
impl Frame {
    fn of(eth: u16, src: [u8; 6], more: &[Match]) -> Frame {
        Frame([&[Match::InPort(3), Match::EthSrc(src), Match::EthType(eth)], more].concat())
    }
    fn v4(src: [u8; 6], ip: &str) -> Frame {
        Frame::of(IPV4, src, &[Match::Ipv4Src(ip.parse().expect("ip"))])
    }
    fn v6(src: [u8; 6], ip: &str, more: &[Match]) -> Frame {
        Frame::of(IPV6, src, &[&[Match::Ipv6Src(ip.parse().expect("ip"))], more].concat())
    }
    fn arp(src: [u8; 6], sha: [u8; 6], spa: &str) -> Frame {
        Frame::of(ARP, src, &[Match::ArpSha(sha), Match::ArpSpa(spa.parse().expect("ip"))])
    }
    fn nd(kind: u8, ip: &str, target: &str, lladdr: [u8; 6]) -> Frame {
        let option = if kind == SOLICIT { Match::NdSll(lladdr) } else { Match::NdTll(lladdr) };
        Frame::v6(MAC, ip, &[Match::IpProto(ICMP6), Match::Icmp6Type(kind), Match::NdTarget(target.parse().expect("ip")), option])
    }
    /// The flows of the port say that it does not.
    fn is_stopped(&self, flows: &[Flow]) -> bool {
        let mut here = flows.iter().filter(|f| f.table == 0 && f.on.iter().all(|m| self.0.contains(m)));
        here.next().is_some() && !self.passes(flows)
    }
    fn passes(&self, flows: &[Flow]) -> bool {
        let best = flows.iter().filter(|f| f.table == 0 && f.on.iter().all(|m| self.0.contains(m))).max_by_key(|f| f.priority);
        best.is_some_and(|f| !f.actions.is_empty() || f.goto.is_some())
    }
}

fn dhcp(src: [u8; 6]) -> Frame {
    Frame::of(IPV4, src, &[Match::Ipv4Src(Ipv4Addr::UNSPECIFIED), Match::IpProto(UDP), Match::UdpSrc(68), Match::UdpDst(67)])
}

#[test]
fn a_guarded_guest_speaks_for_itself_and_for_nobody_else() {
    let (l, p) = (link(false, None), port(Some(&["10.0.0.5", "fd00::5"]), None));
    let flows = of_port(&Place { number: 3, on: Some((&l, &p)), chained: false });
    let own_ll = "fe80::5054:ff:fe00:1";
    let multicast = [Match::Ipv6DstLinkMulticast];
    for (what, frame, want) in [
        ("IPv4", Frame::v4(MAC, "10.0.0.5"), true),
        ("another's IPv4", Frame::v4(MAC, "10.0.0.6"), false),
        ("another's MAC", Frame::v4(OTHER, "10.0.0.5"), false),
        ("DHCP", dhcp(MAC), true),
        ("another's DHCP", dhcp(OTHER), false),
        ("unspecified IPv4 that is no DHCP", Frame::v4(MAC, "0.0.0.0"), false),
        ("ARP", Frame::arp(MAC, MAC, "10.0.0.5"), true),
        ("ARP probe", Frame::arp(MAC, MAC, "0.0.0.0"), true),
        ("ARP for another's address", Frame::arp(MAC, MAC, "10.0.0.1"), false),
        ("ARP for another's MAC", Frame::arp(MAC, OTHER, "10.0.0.5"), false),
        ("ARP under another's MAC", Frame::arp(OTHER, MAC, "10.0.0.5"), false),
        ("IPv6", Frame::v6(MAC, "fd00::5", &[]), true),
        ("its link-local", Frame::v6(MAC, own_ll, &[]), true),
        ("another's IPv6", Frame::v6(MAC, "fd00::6", &[]), false),
        ("another's link-local", Frame::v6(MAC, "fe80::1", &[]), false),
        ("MLD without address", Frame::v6(MAC, "::", &multicast), true),
        ("unspecified IPv6", Frame::v6(MAC, "::", &[]), false),
        ("NS", Frame::nd(SOLICIT, "fd00::5", "fd00::9", MAC), true),
        ("NS without option", Frame::nd(SOLICIT, own_ll, "fd00::9", ABSENT), true),
        ("NS with another's MAC", Frame::nd(SOLICIT, "fd00::5", "fd00::9", OTHER), false),
        ("NS from another", Frame::nd(SOLICIT, "fd00::6", "fd00::9", MAC), false),
        ("duplicate detection", Frame::nd(SOLICIT, "::", "fd00::5", ABSENT), true),
        ("duplicate detection for another's", Frame::nd(SOLICIT, "::", "fd00::6", ABSENT), false),
        ("NA", Frame::nd(ADVERTISE, "fd00::5", "fd00::5", MAC), true),
        ("NA for another's address", Frame::nd(ADVERTISE, "fd00::5", "fd00::1", MAC), false),
        ("NA with another's MAC", Frame::nd(ADVERTISE, "fd00::5", "fd00::5", OTHER), false),
        ("router advertisement", Frame::v6(MAC, own_ll, &[Match::IpProto(ICMP6), Match::Icmp6Type(ROUTER)]), false),
        ("redirect", Frame::v6(MAC, own_ll, &[Match::IpProto(ICMP6), Match::Icmp6Type(REDIRECT)]), false),
        ("echo", Frame::v6(MAC, "fd00::5", &[Match::IpProto(ICMP6), Match::Icmp6Type(128)]), true),
        ("another protocol", Frame::of(0x88cc, MAC, &[]), true),
        ("another protocol, another's MAC", Frame::of(0x88cc, OTHER, &[]), false),
    ] {
        assert_eq!(frame.passes(&flows), want, "{what}");
        assert_eq!(frame.is_stopped(&flows), !want, "{what}: by the port's own flows, whatever the switch does otherwise");
    }
}

#[test]
fn without_planned_addresses_the_mac_is_held_and_without_a_guard_nothing() {
    let l = link(false, None);
    let of = |p: &LinkPort| of_port(&Place { number: 3, on: Some((&l, p)), chained: false });
    let (mac_only, v4_only, open) = (of(&port(Some(&[]), None)), of(&port(Some(&["10.0.0.5"]), None)), of(&port(None, None)));
    for (what, frame, want) in [
        ("IPv4", Frame::v4(MAC, "10.0.0.6"), [true, false, true]),
        ("IPv4 from elsewhere", Frame::v4(OTHER, "10.0.0.5"), [false, false, true]),
        ("ARP", Frame::arp(MAC, MAC, "10.0.0.6"), [true, false, true]),
        ("ARP of another", Frame::arp(MAC, OTHER, "10.0.0.5"), [false, false, true]),
        ("IPv6", Frame::v6(MAC, "fd00::6", &[]), [true, true, true]),
        ("NA", Frame::nd(ADVERTISE, "fd00::6", "fd00::6", MAC), [true, true, true]),
        ("NA of another", Frame::nd(ADVERTISE, "fd00::6", "fd00::6", OTHER), [false, false, true]),
        ("RA", Frame::v6(MAC, "fe80::1", &[Match::IpProto(ICMP6), Match::Icmp6Type(ROUTER)]), [false, false, true]),
    ] {
        let got = [&mac_only, &v4_only, &open].map(|f| frame.passes(f));
        assert_eq!(got, want, "{what}");
    }
    let tagged = Frame::of(IPV4, MAC, &[Match::Tagged, Match::Vlan(5), Match::Ipv4Src(Ipv4Addr::new(9, 9, 9, 9))]);
    for (transparent, want) in [(false, false), (true, true)] {
        let (l, p) = (link(transparent, None), port(Some(&["10.0.0.5"]), None));
        assert_eq!(tagged.passes(&of_port(&Place { number: 3, on: Some((&l, &p)), chained: false })), want, "transparent: {transparent}");
    }
}

#[test]
fn rates_are_meters_of_the_port_and_of_the_link() {
    let all = |link_limit, port_limit| {
        let (l, p) = (link(false, link_limit), port(None, port_limit));
        let place = Place { number: 3, on: Some((&l, &p)), chained: false };
        let flows: Vec<_> = of_port(&place).iter().map(|f| (f.table, f.meter, f.actions.len(), f.goto)).collect();
        (flows, meters(&place))
    };
    let of_port = (4099, Meter { rate: 1000, burst: 120 });
    let of_link = (7, Meter { rate: 50_000, burst: 5_000 });
    assert_eq!(all(None, None), (vec![(0, None, 1, None)], vec![]));
    assert_eq!(all(None, Some(1_000_000)), (vec![(0, Some(4099), 1, None)], vec![of_port]));
    assert_eq!(all(Some(50_000_000), None), (vec![(0, None, 0, Some(1)), (1, Some(7), 1, None)], vec![of_link]));
    assert_eq!(all(Some(50_000_000), Some(1_000_000)), (vec![(0, Some(4099), 0, Some(1)), (1, Some(7), 1, None)], vec![of_link, of_port]));
}

#[test]
fn no_two_flows_of_a_port_contradict_each_other() {
    for addresses in [None, Some(&[][..]), Some(&["10.0.0.5"]), Some(&["fd00::5"]), Some(&["10.0.0.5", "10.0.0.6", "fd00::5"])] {
        let (l, p) = (link(true, Some(1000)), port(addresses, Some(1000)));
        let mut flows = of_port(&Place { number: 3, on: Some((&l, &p)), chained: false });
        flows.extend(of_trunk(3, VlanId::MIN, 9, p.guard.as_ref()).concat());
        let mut places: Vec<_> = flows
            .iter()
            .map(|f| {
                let mut on = f.on.clone();
                on.sort();
                (f.table, f.priority, on)
            })
            .collect();
        let count = places.len();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), count, "two flows at one place: {addresses:?}");
    }
}
