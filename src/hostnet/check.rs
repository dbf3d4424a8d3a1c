//! Whether a network that is wanted can be: every reason why not, each with where it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{files::USUAL_MTU, port::Port};
use crate::model::{
    hostnet::{Device, HostInterface, HostNetwork, Way},
    id::{IfKind, IfName},
    net::Cidr,
    uplink::{Family, Probe, ProbeTarget},
};

/// RFC 791 wants 576 bytes to pass, RFC 8200 (5) 1280.
const LEAST_MTU: u16 = 576;
const LEAST_MTU_IPV6: u16 = 1280;
/// What NICs call jumbo frames.
const MOST_MTU: u16 = 9216;
const MOST_INTERFACES: usize = 32;
const MOST_TARGETS: usize = 8;
/// In seconds.
const INTERVALS: std::ops::RangeInclusive<u16> = 1..=3600;
/// Of misses and hits.
const ROUNDS: std::ops::RangeInclusive<u8> = 1..=100;

/// `taken`: ports that something else of the box has, and what.
pub fn check(want: &HostNetwork, ports: &[Port], taken: &BTreeMap<IfName, String>) -> Vec<String> {
    let mut why = Vec::new();
    if want.interfaces.is_empty() {
        why.push("interfaces: there is none, and nobody would reach the box".to_owned());
    }
    if want.interfaces.len() > MOST_INTERFACES {
        why.push(format!("interfaces: {} are more than {MOST_INTERFACES}", want.interfaces.len()));
    }
    if !want.interfaces.is_empty() && want.interfaces.iter().all(|i| i.v4 == Way::Off && i.v6 == Way::Off) {
        why.push("interfaces: none has an address, and nobody would reach the box".to_owned());
    }
    let mut seen = BTreeSet::new();
    // Two files for one port would be one too many: the daemon takes the first.
    let mut spelled: BTreeMap<IfName, &Device> = BTreeMap::new();
    let mut subnets: Vec<(usize, Cidr)> = Vec::new();
    for (n, i) in want.interfaces.iter().enumerate() {
        let at = format!("interfaces[{n}]");
        let name = device(&at, &i.device, ports, taken, &mut why);
        if let Some(name) = &name {
            let first = *spelled.entry(name.clone()).or_insert(&i.device);
            if *first != i.device {
                why.push(format!("{at}.device: {} is the port that is named {first} above: name it one way", i.device));
            }
        }
        let port = name.map_or_else(|| i.device.clone(), Device::Name);
        if !seen.insert((port, i.vlan.map(|v| v.get()))) {
            let vlan = i.vlan.map_or_else(|| "untagged".to_owned(), |v| format!("in VLAN {v}"));
            why.push(format!("{at}: {} {vlan} is there twice", i.device));
        }
        mtu(&at, i, want, &mut why);
        way(&format!("{at}.ipv4"), &i.v4, true, &mut why);
        way(&format!("{at}.ipv6"), &i.v6, false, &mut why);
        if let Some(p) = &i.probe {
            probe(&format!("{at}.probe"), p, i, &mut why);
        }
        for c in addresses(&i.v4).chain(addresses(&i.v6)) {
            if let Some((other, with)) = subnets.iter().find(|(other, s)| *other != n && s.overlaps(c.network())) {
                why.push(format!("{at}: {c} overlaps {with} of interfaces[{other}]"));
            }
            subnets.push((n, c.network()));
        }
    }
    for (n, a) in want.dns.iter().enumerate().filter(|(_, a)| !is_host(**a) && !a.is_loopback()) {
        why.push(format!("dns[{n}]: {a} is no address of a server"));
    }
    for (what, names) in [("domains", &want.domains), ("ntp", &want.ntp)] {
        for (n, name) in names.iter().enumerate().filter(|(_, name)| !is_name(name)) {
            why.push(format!("{what}[{n}]: '{name}' is no name (letters, digits, '-' and '.') and no address"));
        }
    }
    why
}

fn device(at: &str, d: &Device, ports: &[Port], taken: &BTreeMap<IfName, String>, why: &mut Vec<String>) -> Option<IfName> {
    let found = ports.iter().find(|p| p.is(d));
    let Some(port) = found else {
        let ours = matches!(d, Device::Name(n) if IfKind::of(n).is_some());
        let all: Vec<String> = ports.iter().map(|p| p.mac.map_or_else(|| p.name.to_string(), |m| format!("{} ({m})", p.name))).collect();
        let there = if all.is_empty() { "it has none".to_owned() } else { format!("it has {}", all.join(", ")) };
        let made = if ours { ": bothy has made it for guests" } else { "" };
        why.push(format!("{at}.device: {d} is no port of this box{made}; {there}"));
        return None;
    };
    if let Some(by) = taken.get(&port.name) {
        why.push(format!("{at}.device: {d} is {by}"));
    }
    Some(port.name.clone())
}

fn mtu(at: &str, i: &HostInterface, want: &HostNetwork, why: &mut Vec<String>) {
    let Some(mtu) = i.mtu else { return };
    let least = if i.v6 == Way::Off { LEAST_MTU } else { LEAST_MTU_IPV6 };
    if !(least..=MOST_MTU).contains(&mtu) {
        let v6 = if i.v6 == Way::Off { "" } else { " where IPv6 is on" };
        why.push(format!("{at}.mtu: {mtu} is not between {least} and {MOST_MTU}{v6}"));
    }
    // A tagged frame goes through the port below it.
    let below =
        want.interfaces.iter().find(|o| i.vlan.is_some() && o.vlan.is_none() && o.device == i.device).map(|o| o.mtu.unwrap_or(USUAL_MTU));
    if let Some(below) = below.filter(|b| *b < mtu) {
        why.push(format!("{at}.mtu: {mtu} is more than the {below} of the port below"));
    }
}

fn way(at: &str, w: &Way, is_v4: bool, why: &mut Vec<String>) {
    let Way::Static { addresses, gateway } = w else { return };
    let family = if is_v4 { "IPv4" } else { "IPv6" };
    if addresses.is_empty() {
        why.push(format!("{at}.addresses: STATIC needs one at least"));
    }
    for c in addresses {
        if c.is_ipv4() != is_v4 {
            why.push(format!("{at}.addresses: {c} is not {family}"));
        } else if !is_host(c.addr()) {
            why.push(format!("{at}.addresses: {c} is no address for a host"));
        } else if is_edge(*c) {
            why.push(format!("{at}.addresses: {c} is the subnet itself or its broadcast address, not a host's"));
        }
    }
    let Some(g) = gateway else { return };
    if g.is_ipv4() != is_v4 {
        why.push(format!("{at}.gateway: {g} is not {family}"));
    } else if addresses.iter().any(|c| c.addr() == *g) {
        why.push(format!("{at}.gateway: {g} is the box itself"));
    } else if !is_link_local(*g) && !addresses.iter().any(|c| c.contains(*g)) {
        why.push(format!("{at}.gateway: {g} is in no subnet of this interface"));
    }
}

/// What is asked has to be asked by a way out, or on the interface's own link.
fn probe(at: &str, p: &Probe, i: &HostInterface, why: &mut Vec<String>) {
    if !Family::BOTH.iter().any(|f| i.way(*f).leads_out()) {
        why.push(format!("{at}: the interface has no way out (AUTO, or a gateway) to be proved"));
    }
    if p.targets.is_empty() || p.targets.len() > MOST_TARGETS {
        why.push(format!("{at}.targets: {} are not 1 to {MOST_TARGETS}", p.targets.len()));
    }
    for (n, t) in p.targets.iter().enumerate() {
        let to = t.to();
        let at = format!("{at}.targets[{n}]");
        if p.targets.iter().take(n).any(|o| o == t) {
            why.push(format!("{at}: {t} is there twice"));
        }
        if !is_host(to) || is_link_local(to) {
            why.push(format!("{at}.to: {to} is no address of a host elsewhere"));
        } else if !reaches(i.way(Family::of(to)), to) {
            why.push(format!("{at}.to: {to} is not reached: the interface has no way out of {}", Family::of(to).word()));
        } else if [&i.v4, &i.v6].into_iter().flat_map(addresses).any(|c| c.addr() == to) {
            why.push(format!("{at}.to: {to} is the box itself"));
        }
        match t {
            ProbeTarget::Tcp { port: 0, .. } => why.push(format!("{at}.port: 0 is no port")),
            ProbeTarget::Dns { name, .. } if name.parse::<IpAddr>().is_ok() || !is_name(name) => {
                why.push(format!("{at}.name: '{name}' is no name (letters, digits, '-' and '.')"));
            }
            ProbeTarget::Dns { .. } | ProbeTarget::Tcp { .. } | ProbeTarget::Ping(_) => {}
        }
    }
    for family in Family::BOTH {
        let of = p.targets.iter().filter(|t| Family::of(t.to()) == family).count();
        if of > 0 && usize::from(p.need) > of {
            why.push(format!("{at}.need: {} answers are wanted, and {of} of the targets are {}", p.need, family.word()));
        }
    }
    if p.need == 0 {
        why.push(format!("{at}.need: one answer at least is wanted"));
    }
    if !INTERVALS.contains(&p.interval_s) {
        why.push(format!("{at}.intervalS: {} is not between {} and {}", p.interval_s, INTERVALS.start(), INTERVALS.end()));
    }
    for (what, n) in [("misses", p.misses), ("hits", p.hits)] {
        if !ROUNDS.contains(&n) {
            why.push(format!("{at}.{what}: {n} is not between {} and {}", ROUNDS.start(), ROUNDS.end()));
        }
    }
}

fn reaches(w: &Way, to: IpAddr) -> bool {
    w.leads_out() || addresses(w).any(|c| c.contains(to))
}

fn addresses(w: &Way) -> impl Iterator<Item = Cidr> + '_ {
    let all: &[Cidr] = match w {
        Way::Static { addresses, .. } => addresses,
        Way::Off | Way::Auto => &[],
    };
    all.iter().copied()
}

fn is_host(a: IpAddr) -> bool {
    let broadcast = matches!(a, IpAddr::V4(a) if a.is_broadcast() || a.octets()[0] == 0 || a.octets()[0] >= 240);
    !(a.is_unspecified() || a.is_multicast() || a.is_loopback() || broadcast)
}

fn is_link_local(a: IpAddr) -> bool {
    matches!(a, IpAddr::V6(a) if a.is_unicast_link_local())
}

/// Of IPv4 the first and the last of a subnet are no hosts' (RFC 3021: but in /31).
fn is_edge(c: Cidr) -> bool {
    let IpAddr::V4(a) = c.addr() else { return false };
    if c.prefix() >= 31 || c.prefix() == 0 {
        return false;
    }
    let host = u32::from(a) & (u32::MAX >> c.prefix());
    host == 0 || host == u32::MAX >> c.prefix()
}

/// RFC 1123 (2.1), or an address.
fn is_name(s: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len()) && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !l.starts_with('-') && !l.ends_with('-')
    };
    s.parse::<IpAddr>().is_ok_and(is_host) || (s.len() <= 253 && s.split('.').all(label) && s.parse::<IpAddr>().is_err())
}
