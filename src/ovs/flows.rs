//! From a port of a link to flows. Pure.
//!
//! Owns: the tables and priorities of Bothy's bridge, and what a guard lets through. VLANs, MAC
//! learning and the isolation of leaves are left to the ports' rows in the database: they hold
//! while nobody is there to write flows.
//!
//! ```text
//! table 0, by port:  40 router advertisements and redirects of a guarded guest     dropped
//!                    36 its neighbour discovery with its own addresses             on
//!                    35 other neighbour discovery                                  dropped
//!                    30 ARP, IPv4, IPv6 and DHCP from its own addresses            on
//!                    25 other frames of a family that has planned addresses        dropped
//!                    20 any other frame from its own MAC                           on
//!                    10 ports without a guard                                      on
//!                     2 any other frame of a guarded port                         dropped
//!                     1 everything else (a guest whose link is not known yet)      dropped
//!   +100             the same once more for tagged networks of a trunk
//! table 1            the rate of a whole link; then to the learning switch
//! table 2            chains, for the ports that they name (`chains`)
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    chains::{self, CHAIN},
    openflow::{Action, Flow, Match, Meter},
};
use crate::{
    model::net::{MacAddr, VlanId},
    sdn::link::{Guard, LinkPort, PortAt, SwitchLink},
};

const ADMIT: u8 = 0;
const LINK: u8 = 1;
const TRUNK: u16 = 100;

const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const UDP: u8 = 17;
const ICMP6: u8 = 58;
const SOLICIT: u8 = 135;
const ADVERTISE: u8 = 136;
const ROUTER: u8 = 134;
const REDIRECT: u8 = 137;
const ABSENT: [u8; 6] = [0; 6];

/// Meters 1 to 4094 are the links' by VLAN, those above the ports' by number.
const FIRST_PORT_METER: u32 = 4096;

/// Closed to whom nothing else lets in.
pub fn closed() -> Flow {
    Flow { table: ADMIT, priority: 1, on: Vec::new(), meter: None, actions: Vec::new(), goto: None }
}

/// A port of the bridge as the flows see it.
pub struct Place<'a> {
    /// OpenFlow's number.
    pub number: u32,
    /// Its link, if any.
    pub on: Option<(&'a SwitchLink, &'a LinkPort)>,
    /// A chain takes frames from it.
    pub chained: bool,
}

impl Place<'_> {
    fn is_wire(&self) -> bool {
        self.on.is_some_and(|(_, p)| p.at == PortAt::Wire)
    }
    /// The rate of its whole link, for those that are on it.
    fn whole(&self) -> Option<u64> {
        self.on.filter(|_| !self.is_wire()).and_then(|(l, _)| l.limit)
    }
}

/// What is done with a frame that may pass.
#[derive(Clone)]
struct On {
    meter: Option<u32>,
    actions: Vec<Action>,
    goto: Option<u8>,
}

fn on(p: &Place<'_>) -> On {
    let meter = p.on.and_then(|(_, port)| port.limit).map(|_| port_meter(p.number));
    match p.whole() {
        Some(_) => On { meter, actions: Vec::new(), goto: Some(LINK) },
        None => On { meter, ..last(p) },
    }
}

/// Where a port's frames go once they may.
fn last(p: &Place<'_>) -> On {
    match p.chained || p.is_wire() {
        true => On { meter: None, actions: Vec::new(), goto: Some(CHAIN) },
        false => On { meter: None, actions: vec![Action::Normal], goto: None },
    }
}

/// The flows of one port.
pub fn of_port(p: &Place<'_>) -> Vec<Flow> {
    let from = [Match::InPort(p.number)];
    let go = on(p);
    let mut out = match p.on {
        // What comes out of a wire is from whoever sent it.
        Some((_, LinkPort { at: PortAt::Wire, .. })) => vec![pass(&from, 10, &[], &go)],
        Some((link, LinkPort { guard: Some(g), .. })) => {
            let mut out = guarded(&from, 0, g, &go);
            if link.transparent {
                // What is inside a guest's own VLANs is planned by nobody.
                out.push(pass(&from, 50, &[Match::EthSrc(g.mac.octets()), Match::Tagged], &go));
            }
            out
        }
        Some((_, LinkPort { guard: None, .. })) | None => vec![pass(&from, 10, &[], &go)],
    };
    if let (Some((link, _)), Some(_)) = (p.on, p.whole()) {
        let On { actions, goto, .. } = last(p);
        let meter = Some(link.vlan.get().into());
        out.push(Flow { table: LINK, priority: 10, on: from.to_vec(), meter, actions, goto });
    }
    if p.chained && !p.is_wire() {
        out.push(chains::rest(Match::InPort(p.number)));
    }
    out
}

/// A tagged network of a guest's NIC: in by its tag to the inner port, and out again with it.
/// `inner` leads to a port of the network's link, which has flows of its own.
pub fn of_trunk(nic: u32, tag: VlanId, inner: u32, guard: Option<&Guard>) -> [Vec<Flow>; 2] {
    let from = [Match::InPort(nic), Match::Vlan(tag.get())];
    let go = On { meter: None, actions: vec![Action::PopVlan, Action::Output(inner)], goto: None };
    let inwards = match guard {
        Some(g) => guarded(&from, TRUNK, g, &go),
        None => vec![pass(&from, TRUNK + 10, &[], &go)],
    };
    let back = On { meter: None, actions: vec![Action::PushVlan(tag.get()), Action::Output(nic)], goto: None };
    [inwards, vec![pass(&[Match::InPort(inner)], 10, &[], &back)]]
}

fn pass(from: &[Match], priority: u16, with: &[Match], go: &On) -> Flow {
    let on = [from, with].concat();
    Flow { table: ADMIT, priority, on, meter: go.meter, actions: go.actions.clone(), goto: go.goto }
}

fn guarded(from: &[Match], base: u16, g: &Guard, go: &On) -> Vec<Flow> {
    let mac = g.mac.octets();
    let src = Match::EthSrc(mac);
    let mut out = Vec::new();
    let mut on = |priority, with: &[Match]| out.push(pass(from, base + priority, &[with, std::slice::from_ref(&src)].concat(), go));
    let v4: Vec<Ipv4Addr> = g.addresses.iter().filter_map(|a| if let IpAddr::V4(a) = a { Some(*a) } else { None }).collect();
    let v6: Vec<Ipv6Addr> = g.addresses.iter().filter_map(|a| if let IpAddr::V6(a) = a { Some(*a) } else { None }).collect();

    let arp = [Match::EthType(ARP), Match::ArpSha(mac)];
    if v4.is_empty() {
        on(30, &arp);
        on(25, &[Match::EthType(IPV4)]);
    } else {
        // A probe asks with no address of its own (RFC 5227).
        for a in v4.iter().copied().chain([Ipv4Addr::UNSPECIFIED]) {
            on(30, &[&arp[..], &[Match::ArpSpa(a)]].concat());
        }
        for a in &v4 {
            on(30, &[Match::EthType(IPV4), Match::Ipv4Src(*a)]);
        }
        let dhcp = [Match::IpProto(UDP), Match::UdpSrc(68), Match::UdpDst(67)];
        on(30, &[&[Match::EthType(IPV4), Match::Ipv4Src(Ipv4Addr::UNSPECIFIED)], &dhcp[..]].concat());
    }

    let icmp6 = |kind| [Match::EthType(IPV6), Match::IpProto(ICMP6), Match::Icmp6Type(kind)];
    let (solicit, advertise) = (icmp6(SOLICIT), icmp6(ADVERTISE));
    if v6.is_empty() {
        for lladdr in [mac, ABSENT] {
            on(36, &[&solicit[..], &[Match::NdSll(lladdr)]].concat());
            on(36, &[&advertise[..], &[Match::NdTll(lladdr)]].concat());
        }
        on(25, &[Match::EthType(IPV6)]);
    } else {
        let unspecified = Match::Ipv6Src(Ipv6Addr::UNSPECIFIED);
        for a in v6.iter().copied().chain([link_local(g.mac)]) {
            for lladdr in [mac, ABSENT] {
                on(36, &[&solicit[..], &[Match::Ipv6Src(a), Match::NdSll(lladdr)]].concat());
                on(36, &[&advertise[..], &[Match::NdTarget(a), Match::NdTll(lladdr)]].concat());
            }
            // Asks whether somebody has it already (RFC 4862, 5.4).
            on(36, &[&solicit[..], &[unspecified.clone(), Match::NdTarget(a)]].concat());
            on(30, &[Match::EthType(IPV6), Match::Ipv6Src(a)]);
        }
        // Joins groups before it has an address.
        on(30, &[Match::EthType(IPV6), unspecified, Match::Ipv6DstLinkMulticast]);
    }
    on(20, &[]);

    let stop = On { meter: None, actions: Vec::new(), goto: None };
    let mut off = |priority, with: &[Match]| out.push(pass(from, base + priority, with, &stop));
    off(40, &icmp6(ROUTER));
    off(40, &icmp6(REDIRECT));
    off(35, &solicit);
    off(35, &advertise);
    // ARP is nobody's but its sender's, planned addresses or not.
    off(25, &[Match::EthType(ARP)]);
    if !v4.is_empty() {
        off(25, &[Match::EthType(IPV4)]);
    }
    if !v6.is_empty() {
        off(25, &[Match::EthType(IPV6)]);
    }
    // From whomever else: it does not wait for the switch to be closed.
    off(2, &[]);
    out
}

/// The address a station makes of its MAC (RFC 4291, appendix A).
fn link_local(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.octets();
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

fn port_meter(number: u32) -> u32 {
    FIRST_PORT_METER + (number & 0xffff)
}

/// Meters that the flows of a port use.
pub fn meters(p: &Place<'_>) -> Vec<(u32, Meter)> {
    let Some((link, port)) = p.on else { return Vec::new() };
    let of_link = p.whole().map(|bits| (link.vlan.get().into(), meter(bits)));
    let of_port = port.limit.map(|bits| (port_meter(p.number), meter(bits)));
    of_link.into_iter().chain(of_port).collect()
}

/// A tenth of a second's worth may come at once, and never less than ten large frames: less would
/// starve TCP.
fn meter(bits: u64) -> Meter {
    let rate = u32::try_from(bits / 1000).unwrap_or(u32::MAX).max(1);
    Meter { rate, burst: (rate / 10).max(120) }
}

#[cfg(test)]
#[path = "flows_tests.rs"]
mod tests;
