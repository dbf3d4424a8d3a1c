//! How a way out of the box is proved: what is asked through it, how often, and when it counts as lost or as back.
//!
//! Owns the words and their limits. Never: asks anything (`host::probe`), or decides by the answers (`hostnet::judge`).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// What is asked by one interface, and what its answers mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Those of a family judge the way out of that family; a family without any goes by the other's.
    pub targets: Vec<ProbeTarget>,
    /// So many targets of a family have to answer.
    pub need: u8,
    pub interval_s: u16,
    /// Rounds in a row without that, until it is down.
    pub misses: u8,
    /// Rounds in a row with it, until it is well again.
    pub hits: u8,
}

impl Probe {
    pub const INTERVAL_S: u16 = 5;
    pub const MISSES: u8 = 3;
    pub const HITS: u8 = 3;

    /// Whether something of this family is asked.
    pub fn asks(&self, family: Family) -> bool {
        self.targets.iter().any(|t| Family::of(t.to()) == family)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ProbeTarget {
    /// An echo request (ICMP, ICMPv6).
    Ping(IpAddr),
    /// A connection that is taken, and closed again.
    Tcp { to: IpAddr, port: u16 },
    /// An answer to the question for the name's IPv4 address, whether or not there is one.
    Dns { server: IpAddr, name: SmolStr },
}

impl ProbeTarget {
    pub fn to(&self) -> IpAddr {
        match self {
            ProbeTarget::Ping(to) | ProbeTarget::Tcp { to, .. } | ProbeTarget::Dns { server: to, .. } => *to,
        }
    }
}

impl std::fmt::Display for ProbeTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ProbeTarget::Ping(to) => write!(f, "ping {to}"),
            ProbeTarget::Tcp { to: IpAddr::V4(to), port } => write!(f, "tcp {to}:{port}"),
            ProbeTarget::Tcp { to: IpAddr::V6(to), port } => write!(f, "tcp [{to}]:{port}"),
            ProbeTarget::Dns { server, name } => write!(f, "dns {name} at {server}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub const BOTH: [Family; 2] = [Family::V4, Family::V6];

    pub fn of(a: IpAddr) -> Family {
        if a.is_ipv4() { Family::V4 } else { Family::V6 }
    }
    pub fn other(self) -> Family {
        match self {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        }
    }
    pub fn word(self) -> &'static str {
        match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }
    }
}

/// A default route of the kernel's main table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultRoute {
    pub family: Family,
    /// The interface's number.
    pub index: u32,
    /// `None`: whoever is at the other end.
    pub via: Option<IpAddr>,
    pub source: Option<IpAddr>,
    /// The least is taken.
    pub metric: u32,
    /// The gateway is there without an address of its subnet on the interface.
    pub onlink: bool,
    /// Bothy has made it.
    pub ours: bool,
}
