//! A virtual link as the switch shall carry it. Pure.
//!
//! Owns: what the kinds of links of SOL001 (`flow_pattern`), its roles and its bit rates come to at
//! each port, so that an adapter reads no descriptor's words. Never: how a switch does it.
//!
//! | kind | ports | who reaches whom | `max_bitrate_requirements` |
//! |---|---|---|---|
//! | E-Line (`Line`) | two | each the other | `root`: each direction |
//! | E-LAN (`Mesh`) | any | all | `root`: the whole link; `leaf`: each port |
//! | E-Tree (`Tree`) | any | leaves reach roots only; the host and a physical network are roots | `root`: each root, `leaf`: each leaf |
//!
//! Rates count frames where they enter the switch.

use std::net::IpAddr;

use crate::model::{
    error::{Fault, Result},
    id::{IfName, PortId, SegmentId},
    net::{MacAddr, VlanId},
    segment::{Segment, Station},
    vnfd::{CpRole, LinkKind},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchLink {
    pub segment: SegmentId,
    pub vlan: VlanId,
    /// Guests' own tags pass.
    pub transparent: bool,
    /// Bits a second of all its ports together.
    pub limit: Option<u64>,
    pub ports: Vec<LinkPort>,
}

/// One port of a link; there may be no such port yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkPort {
    pub name: IfName,
    pub at: PortAt,
    /// Two isolated ports of the switch exchange nothing.
    pub isolated: bool,
    /// Bits a second that it may send.
    pub limit: Option<u64>,
    pub guard: Option<Guard>,
    /// Of a guest's own tags those that pass, where the link is transparent; none: all of them.
    pub only: Vec<VlanId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortAt {
    /// A guest's NIC.
    Guest,
    /// A guest's NIC that is one end of a wire through the guest: it reaches nobody on the link, chains
    /// alone lead to it and from it (`sdn::chain`).
    Wire,
    /// A network of a guest's NIC (`LinkPort::name`) that comes under this tag.
    Trunk { station: PortId, tag: VlanId },
    /// One that Bothy makes itself: the host's end, or a physical network.
    Own,
}

/// The only addresses that a port may send from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    pub mac: MacAddr,
    /// Of a family that has none here, every address is allowed from that MAC.
    pub addresses: Vec<IpAddr>,
}

impl SwitchLink {
    pub fn of(s: &Segment) -> SwitchLink {
        // Few stations are VLANs that another one carries, and most links have none.
        let carried: Vec<(PortId, VlanId)> = s.stations.iter().filter_map(|st| Some((st.access.within?.0, s.vlan_of(st)?))).collect();
        let is_port = |st: &&Station| !st.is_kept() && s.vlan_of(st).is_none();
        let mut ports: Vec<LinkPort> = s.stations.iter().filter(is_port).map(|st| station(s, st, &carried)).collect();
        let own = |name| LinkPort { name, at: PortAt::Own, isolated: false, limit: limit(s, CpRole::Root), guard: None, only: Vec::new() };
        ports.extend(s.wants_host_port().then(|| own(s.host_port())));
        ports.extend(s.profile.physical.is_some().then(|| own(s.patch_port())));
        let whole = match s.profile.kind {
            LinkKind::Elan => s.profile.max_rate.root,
            LinkKind::Eline | LinkKind::Etree => None,
        };
        SwitchLink { segment: s.id, vlan: s.vlan, transparent: s.profile.transparent, limit: whole, ports }
    }
}

/// It exchanges nothing with other leaves, of this tree or another.
pub fn is_leaf(s: &Segment, st: &Station) -> bool {
    match (s.profile.kind, st.access.role) {
        (LinkKind::Etree, CpRole::Leaf) => true,
        (LinkKind::Etree, CpRole::Root) | (LinkKind::Elan | LinkKind::Eline, _) => false,
    }
}

fn station(s: &Segment, st: &Station, carried: &[(PortId, VlanId)]) -> LinkPort {
    let access = &st.access;
    let isolated = is_leaf(s, st);
    let at = access.within.map_or(PortAt::Guest, |(_, tag)| PortAt::Trunk { station: st.port, tag });
    LinkPort {
        name: st.nic(),
        at,
        isolated,
        limit: [limit(s, access.role), access.rate_limit].into_iter().flatten().min(),
        guard: access.guarded.then(|| Guard { mac: st.mac, addresses: st.addresses.clone() }),
        only: carried.iter().filter(|(nic, _)| *nic == st.port).map(|(_, tag)| *tag).collect(),
    }
}

/// What the link's profile lets one port send.
fn limit(s: &Segment, role: CpRole) -> Option<u64> {
    let rates = s.profile.max_rate;
    match (s.profile.kind, role) {
        (LinkKind::Eline, _) | (LinkKind::Etree, CpRole::Root) => rates.root,
        (LinkKind::Elan, _) | (LinkKind::Etree, CpRole::Leaf) => rates.leaf,
    }
}

/// Everything that is a port of the link, by a name for people.
fn members(s: &Segment) -> Vec<String> {
    // A guest that is made again has two ports for a while, and is one end.
    let mut seen = std::collections::HashSet::new();
    let name = |st: &Station| if st.is_kept() { "a NIC that an operation moves".to_owned() } else { st.hostname.to_string() };
    let mut all: Vec<String> = s.stations.iter().filter(|st| seen.insert(st.mac)).map(name).collect();
    all.extend(s.wants_host_port().then(|| "the host (management, NAT or DHCP)".to_owned()));
    all.extend(s.profile.physical.as_ref().map(|n| format!("physical network '{n}'")));
    all
}

/// Refuses a link that is not of its kind once all its ports are planned: a line has two ends.
pub fn check(s: &Segment) -> Result<()> {
    of_kind(s, |ends| ends == 2)
}

/// As `check`, while ports may still be to come.
pub fn has_room(s: &Segment) -> Result<()> {
    of_kind(s, |ends| ends <= 2)
}

fn of_kind(s: &Segment, line: impl Fn(usize) -> bool) -> Result<()> {
    let ends = members(s);
    match s.profile.kind {
        LinkKind::Eline if !line(ends.len()) => {
            let text = format!("link {} is a line (flow_pattern Line): it joins exactly two ports, and has {}", s.link, ends.len());
            Err(Fault::invalid(text).with_reasons(ends))
        }
        LinkKind::Eline | LinkKind::Elan | LinkKind::Etree => Ok(()),
    }
}

/// What people should know of a link that can be, but hardly be meant.
pub fn doubt(s: &Segment) -> Option<String> {
    let root = s.stations.iter().any(|st| st.access.role == CpRole::Root) || s.wants_host_port() || s.profile.physical.is_some();
    match s.profile.kind {
        LinkKind::Etree if !root => {
            Some(format!("link {} is a tree without a root: its ports reach nobody (give a connection point 'role: root')", s.link))
        }
        LinkKind::Etree | LinkKind::Elan | LinkKind::Eline => None,
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
