//! Network values that cannot be wrong: MAC, VLAN, CIDR.
//!
//! Owns their parsing and printing. Never: a string where one of these is meant.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::error::{Fault, Result};

/// An Ethernet address of a station (never multicast, never all zero).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    pub fn new(b: [u8; 6]) -> Result<Self> {
        if b[0] & 1 == 1 || b == [0; 6] {
            return Err(Fault::invalid(format!("{} is not the address of a station", MacAddr(b))));
        }
        Ok(MacAddr(b))
    }
    /// QEMU's prefix `52:54:00` and 24 bits of `seed`.
    pub fn planned(seed: u32) -> Self {
        let [_, a, b, c] = seed.to_be_bytes();
        MacAddr([0x52, 0x54, 0, a, b, c])
    }
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}
impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl FromStr for MacAddr {
    type Err = Fault;
    fn from_str(s: &str) -> Result<Self> {
        let bad = || Fault::invalid(format!("'{s}' is not a MAC address such as 52:54:00:12:34:56"));
        let mut out = [0u8; 6];
        let mut parts = s.split([':', '-']);
        for o in &mut out {
            let p = parts.next().filter(|p| p.len() == 2).ok_or_else(bad)?;
            *o = u8::from_str_radix(p, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() {
            return Err(bad());
        }
        MacAddr::new(out)
    }
}

/// An IEEE 802.1Q VLAN id, 1 to 4094.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct VlanId(u16);

impl VlanId {
    pub const MIN: VlanId = VlanId(1);
    pub const MAX: VlanId = VlanId(4094);
    pub fn get(self) -> u16 {
        self.0
    }
}
impl TryFrom<u16> for VlanId {
    type Error = Fault;
    fn try_from(v: u16) -> Result<Self> {
        if (1..=4094).contains(&v) { Ok(VlanId(v)) } else { Err(Fault::invalid(format!("VLAN {v} is not in 1 to 4094"))) }
    }
}
impl From<VlanId> for u16 {
    fn from(v: VlanId) -> u16 {
        v.0
    }
}
impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How the legs of a bond share the frames that leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BondMode {
    /// One leg, until it has no link.
    ActiveBackup,
    /// By source MAC and VLAN; the switch beyond need not know of it.
    BalanceSlb,
    /// By addresses and ports; only where both ends speak LACP.
    BalanceTcp,
}

/// Who begins to speak LACP (IEEE 802.1AX).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacp {
    Off,
    Passive,
    Active,
}

impl BondMode {
    pub const ALL: [BondMode; 3] = [BondMode::ActiveBackup, BondMode::BalanceSlb, BondMode::BalanceTcp];
    pub fn word(self) -> &'static str {
        match self {
            BondMode::ActiveBackup => "active-backup",
            BondMode::BalanceSlb => "balance-slb",
            BondMode::BalanceTcp => "balance-tcp",
        }
    }
}

impl Lacp {
    pub const ALL: [Lacp; 3] = [Lacp::Off, Lacp::Passive, Lacp::Active];
    pub fn word(self) -> &'static str {
        match self {
            Lacp::Off => "off",
            Lacp::Passive => "passive",
            Lacp::Active => "active",
        }
    }
}

/// An address with its prefix length; /31, /32, /127 and /128 are as good as any other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cidr {
    addr: IpAddr,
    prefix: u8,
}

impl Cidr {
    pub fn new(addr: IpAddr, prefix: u8) -> Result<Self> {
        let max = if addr.is_ipv4() { 32 } else { 128 };
        if prefix > max {
            return Err(Fault::invalid(format!("{addr}/{prefix}: the prefix is longer than {max}")));
        }
        Ok(Cidr { addr, prefix })
    }
    /// The address as given, host bits and all.
    pub fn addr(self) -> IpAddr {
        self.addr
    }
    pub fn prefix(self) -> u8 {
        self.prefix
    }
    pub fn is_ipv4(self) -> bool {
        self.addr.is_ipv4()
    }
    fn bits(self) -> (u128, u32) {
        match self.addr {
            IpAddr::V4(a) => (u128::from(u32::from(a)), 32),
            IpAddr::V6(a) => (u128::from(a), 128),
        }
    }
    fn make(self, bits: u128) -> IpAddr {
        match self.addr {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(bits as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(bits)),
        }
    }
    fn host_mask(self) -> u128 {
        let (_, width) = self.bits();
        let host = width - u32::from(self.prefix);
        if host >= 128 { u128::MAX } else { (1u128 << host) - 1 }
    }
    /// The network: host bits cleared.
    #[must_use]
    pub fn network(self) -> Cidr {
        let (b, _) = self.bits();
        Cidr { addr: self.make(b & !self.host_mask()), prefix: self.prefix }
    }
    pub fn contains(self, a: IpAddr) -> bool {
        if a.is_ipv4() != self.is_ipv4() {
            return false;
        }
        Cidr { addr: a, prefix: self.prefix }.network().addr == self.network().addr
    }
    pub fn overlaps(self, other: Cidr) -> bool {
        let p = self.prefix.min(other.prefix);
        self.is_ipv4() == other.is_ipv4() && Cidr { prefix: p, ..self }.network() == Cidr { prefix: p, ..other }.network()
    }
    /// Addresses that a station can have, lowest first. The network and broadcast addresses are
    /// left out except in /31 and /32 (RFC 3021); in IPv6 the subnet-router anycast address is
    /// left out except in /127 and /128 (RFC 6164).
    pub fn hosts(self) -> impl Iterator<Item = IpAddr> {
        let (base, width) = self.network().bits();
        let mask = self.host_mask();
        let short = u32::from(self.prefix) + 2 > width;
        let (first, last) = match (short, self.is_ipv4()) {
            (true, _) => (0, mask),
            (false, true) => (1, mask - 1),
            (false, false) => (1, mask),
        };
        (first..=last).map(move |h| self.make(base | h))
    }
}
impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}
impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl FromStr for Cidr {
    type Err = Fault;
    fn from_str(s: &str) -> Result<Self> {
        let bad = || Fault::invalid(format!("'{s}' is not a network such as 192.0.2.0/24 or 2001:db8::/64"));
        let (a, p) = s.split_once('/').ok_or_else(bad)?;
        Cidr::new(a.parse().map_err(|_| bad())?, p.parse().map_err(|_| bad())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn c(s: &str) -> Cidr {
        s.parse().expect(s)
    }

    #[test]
    fn short_networks_give_all_their_addresses() {
        let hosts = |s: &str| c(s).hosts().map(|a| a.to_string()).collect::<Vec<_>>();
        assert_eq!(hosts("192.0.2.4/31"), ["192.0.2.4", "192.0.2.5"]);
        assert_eq!(hosts("192.0.2.4/32"), ["192.0.2.4"]);
        assert_eq!(hosts("192.0.2.9/30"), ["192.0.2.9", "192.0.2.10"]);
        assert_eq!(hosts("2001:db8::/127"), ["2001:db8::", "2001:db8::1"]);
        assert_eq!(c("2001:db8::/64").hosts().next().map(|a| a.to_string()), Some("2001:db8::1".into()));
        assert_eq!(c("0.0.0.0/0").hosts().next().map(|a| a.to_string()), Some("0.0.0.1".into()));
    }

    #[test]
    fn containment_and_overlap_follow_the_shorter_prefix() {
        assert!(c("10.0.0.0/8").contains("10.9.9.9".parse().expect("ip")));
        assert!(!c("10.0.0.0/8").contains("::1".parse().expect("ip")));
        assert!(c("10.0.0.0/8").overlaps(c("10.1.0.0/16")));
        assert!(!c("10.0.0.0/16").overlaps(c("10.1.0.0/16")));
    }

    #[test]
    fn wrong_values_are_refused() {
        for bad in ["10.0.0.0", "10.0.0.0/33", "x/8", "::/129"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
        for bad in ["01:00:5e:00:00:01", "00:00:00:00:00:00", "52:54:00:1:2:3", "52:54:00:01:02:03:04"] {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
        assert!(VlanId::try_from(0).is_err() && VlanId::try_from(4095).is_err());
        assert_eq!("52-54-00-AB-CD-EF".parse::<MacAddr>().expect("mac").to_string(), "52:54:00:ab:cd:ef");
    }
}
