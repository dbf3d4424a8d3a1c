//! Virtual links as they are on the box: one segment of the switch each.
//!
//! Owns `Segment`, the record from which the host's ports, DHCP and NAT are projected. Never:
//! commands or OVSDB's words.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    id::{IfKind, IfName, NsId, PortId, ProjectId, SegmentId, VnfId, if_name},
    net::{Cidr, MacAddr, VlanId},
    vnfd::{CpRole, Forward, LinkProfile, Transport},
};

/// Who a segment belongs to and goes away with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SegmentOwner {
    Ns(NsId),
    Vnf(VnfId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SegmentState {
    /// Planned or made: it shall be there.
    Wanted,
    /// Going away: no projection names it any more.
    Leaving,
}

/// A virtual link instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub id: SegmentId,
    pub project: ProjectId,
    pub owner: SegmentOwner,
    /// The link's id in its descriptor.
    pub link: SmolStr,
    /// Tag on the switch, unique on the box.
    pub vlan: VlanId,
    /// Fixed when the segment is planned, as its link is: `vim::links` keeps both.
    pub profile: LinkProfile,
    /// The host's own addresses here; empty: the host has no port on it.
    pub host: Vec<Cidr>,
    /// Every planned station.
    pub stations: Vec<Station>,
    pub state: SegmentState,
}

/// One guest NIC on a segment, with its planned addresses. Without a hostname it is a place that is kept for a
/// NIC which is elsewhere: nothing is projected from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Station {
    pub port: PortId,
    pub vnf: VnfId,
    pub mac: MacAddr,
    pub addresses: Vec<IpAddr>,
    pub hostname: SmolStr,
    pub access: Access,
}

/// How a station is on its link.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Access {
    pub role: CpRole,
    /// Its frames come from its own addresses only.
    pub guarded: bool,
    /// Bits a second that the switch takes from it at most.
    pub rate_limit: Option<u64>,
    /// On another port's NIC, under this tag; where that is on the same link, a VLAN of it.
    pub within: Option<(PortId, VlanId)>,
}

impl Station {
    /// A place that an operation keeps, and no NIC.
    pub fn is_kept(&self) -> bool {
        self.hostname.is_empty()
    }
    /// The NIC that it comes through.
    pub fn nic(&self) -> IfName {
        let port = self.access.within.map_or(self.port, |(nic, _)| nic);
        if_name(IfKind::Guest, &port.0)
    }
}

impl Segment {
    /// The host's port on the switch.
    pub fn host_port(&self) -> IfName {
        if_name(IfKind::Host, &self.id.0)
    }
    pub fn patch_port(&self) -> IfName {
        if_name(IfKind::Patch, &self.id.0)
    }
    /// A station that is no port but a VLAN of this link, which the NIC may carry that is on it too.
    pub fn vlan_of(&self, st: &Station) -> Option<VlanId> {
        let (nic, tag) = st.access.within?;
        self.stations.iter().any(|s| s.port == nic && !s.is_kept()).then_some(tag)
    }
    pub fn wants_host_port(&self) -> bool {
        !self.host.is_empty()
    }
    pub fn wants_dhcp(&self) -> bool {
        self.profile.layer3.iter().any(|l| l.dhcp)
    }
}

/// One rule of the host's NAT table, resolved to addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NatForward {
    pub tcp: bool,
    pub host_port: u16,
    pub to: IpAddr,
    pub to_port: u16,
}

impl NatForward {
    pub fn new(f: &Forward, to: IpAddr) -> Self {
        NatForward { tcp: f.proto == Transport::Tcp, host_port: f.host_port, to, to_port: f.to_port }
    }
}
