//! Which traffic a service function chain takes, by which functions, and what it does without one.
//!
//! Owns `Chain`, the record from which the switch's chains are projected, and `Classifier` (NfpRule of
//! SOL001) with how two of them lie to each other. And `Handover`, a chain between two ways. Never: ports, flows.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    id::{NfpId, NsId, ProjectId, SegmentId, VnfId},
    net::{Cidr, MacAddr, VlanId},
    time::Stamp,
};

/// A network forwarding path of a service, as planned (NFP, IFA014 6.4.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    pub id: NfpId,
    pub project: ProjectId,
    pub ns: NsId,
    /// The VNFFG it is a part of, and its own id, as the descriptor has them.
    pub vnffg: SmolStr,
    pub nfp: SmolStr,
    pub classifiers: Vec<Classifier>,
    pub from: Vec<ChainEnd>,
    pub hops: Vec<ChainHop>,
    pub to: Vec<ChainEnd>,
    pub symmetric: bool,
    pub on_loss: OnLoss,
    pub state: ChainState,
    /// Functions that were taken out of it: their ports stay ends of wires, for on a link they would
    /// make a loop of it.
    pub idle: Vec<ChainHop>,
    /// Seconds that connections keep their way at most when the chain takes another; 0: none do.
    pub drain_s: u32,
    pub handover: Option<Handover>,
}

/// Where a descriptor says nothing of `drain_s`.
pub const DRAIN_S: u32 = 300;

/// A chain that has taken another way, or is about to, while connections keep the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// The way before.
    pub old: ChainWay,
    /// What the switch calls connections by that are on the way before; those on the new one are one more.
    pub mark: u32,
    pub stage: Stage,
}

/// ```text
/// Noting ──> Draining ──> over: the chain has no handover any more
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// All goes the way before. What has no beginning that shows (all but TCP) is noted.
    Noting { until: Stamp },
    /// Connections that were there keep the way before, others take the new one.
    Draining { until: Stamp },
}

impl Stage {
    /// Nobody needs it any more. Noting whose operation was given up is over a while after it should have been.
    pub fn is_over(self, now: Stamp) -> bool {
        const GIVEN_UP_MS: u64 = 60_000;
        match self {
            Stage::Noting { until } => until.0.saturating_add(GIVEN_UP_MS) <= now.0,
            Stage::Draining { until } => until <= now,
        }
    }
}

impl Chain {
    pub fn way(&self) -> ChainWay {
        ChainWay { classifiers: self.classifiers.clone(), hops: self.hops.clone(), idle: self.idle.clone() }
    }
    /// The same chain on another way, and on no other.
    #[must_use]
    pub fn on(&self, way: &ChainWay) -> Chain {
        let ChainWay { classifiers, hops, idle } = way.clone();
        Chain { classifiers, hops, idle, handover: None, ..self.clone() }
    }
    /// Traffic comes from this VNF, by it or to it, on either way.
    pub fn leads_by(&self, vnf: VnfId) -> bool {
        let is_end = |e: &ChainEnd| matches!(e, ChainEnd::Cp(cp) if cp.vnf == vnf);
        let before = self.handover.iter().flat_map(|h| &h.old.hops);
        self.from.iter().chain(&self.to).any(is_end) || self.hops.iter().chain(before).any(|h| h.vnfs.contains(&vnf))
    }
    /// Functions that it leads by, or did: those of the way before among them.
    pub fn functions(&self) -> impl Iterator<Item = &ChainHop> {
        let before = self.handover.iter().flat_map(|h| &h.old.hops);
        self.hops.iter().chain(&self.idle).chain(before)
    }
}

/// What of a running chain may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainWay {
    pub classifiers: Vec<Classifier>,
    pub hops: Vec<ChainHop>,
    pub idle: Vec<ChainHop>,
}

impl ChainWay {
    /// Its functions, for people.
    pub fn path(&self) -> String {
        let names: Vec<&str> = self.hops.iter().map(|h| h.name.as_str()).collect();
        if names.is_empty() { "no function".into() } else { names.join(", ") }
    }
}

/// Where a chain begins or ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChainEnd {
    Cp(CpOf),
    /// What is behind the physical network of a link.
    Outside {
        of: OutsideOf,
        segment: SegmentId,
        /// Where it is one station, and which is told.
        mac: Option<MacAddr>,
    },
}

/// By the descriptor's names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OutsideOf {
    Sap(SmolStr),
    /// A connection point of a PNF.
    Pnf {
        pnf: SmolStr,
        cp: SmolStr,
    },
}

impl OutsideOf {
    /// What requests call it by.
    pub fn id(&self) -> String {
        match self {
            OutsideOf::Sap(sap) => sap.to_string(),
            OutsideOf::Pnf { pnf, cp } => pnf_cp_id(pnf, cp),
        }
    }
}

/// The id of a connection point of a service's PNF: unique in the service.
pub fn pnf_cp_id(pnf: &str, cp: &str) -> String {
    format!("{pnf}.{cp}")
}

/// An external connection point of a VNF: all its ports.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CpOf {
    pub vnf: VnfId,
    pub cp: SmolStr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHop {
    /// The member's id, for people.
    pub name: SmolStr,
    pub kind: HopKind,
    /// VNFs of the member that share the traffic.
    pub vnfs: Vec<VnfId>,
    pub entry: SmolStr,
    /// The same connection point for a function with one arm.
    pub exit: SmolStr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum HopKind {
    /// Hands frames on as they are, by the other port or (one-arm) by the same.
    #[default]
    Transparent,
    /// A next hop: takes frames for its own MAC.
    Routed,
    /// As transparent, and knows connections from their beginning: it has no use for the rest of one.
    Stateful,
}

impl HopKind {
    /// Its ports are ends of a wire.
    pub fn is_wire(self) -> bool {
        match self {
            HopKind::Transparent | HopKind::Stateful => true,
            HopKind::Routed => false,
        }
    }
    /// A connection cannot come to it, or leave it, once it is there.
    pub fn holds_connections(self) -> bool {
        match self {
            HopKind::Routed | HopKind::Stateful => true,
            HopKind::Transparent => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChainState {
    Wanted,
    /// Going away: the switch is not told of it any more.
    Leaving,
}

/// What happens to the traffic of a chain one of whose functions is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OnLoss {
    /// It is dropped: what was to be inspected does not pass uninspected.
    #[default]
    Block,
    /// It passes the function by.
    Bypass,
}

/// An IP protocol by its number (IANA).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IpProto(pub u8);

impl IpProto {
    pub const ICMP: IpProto = IpProto(1);
    pub const TCP: IpProto = IpProto(6);
    pub const UDP: IpProto = IpProto(17);
    pub const ICMP6: IpProto = IpProto(58);
    pub const SCTP: IpProto = IpProto(132);

    pub fn has_ports(self) -> bool {
        [IpProto::TCP, IpProto::UDP, IpProto::SCTP].contains(&self)
    }
}
impl fmt::Display for IpProto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            IpProto::ICMP => f.write_str("icmp"),
            IpProto::TCP => f.write_str("tcp"),
            IpProto::UDP => f.write_str("udp"),
            IpProto::ICMP6 => f.write_str("icmpv6"),
            IpProto::SCTP => f.write_str("sctp"),
            IpProto(n) => write!(f, "protocol {n}"),
        }
    }
}

/// Ports of TCP, UDP or SCTP, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    first: u16,
    last: u16,
}

impl Ports {
    /// `None`: the first is above the last.
    pub fn new(first: u16, last: u16) -> Option<Ports> {
        (first <= last).then_some(Ports { first, last })
    }
    pub fn one(port: u16) -> Ports {
        Ports { first: port, last: port }
    }
    /// The range as values under masks, which is what a switch can look for: at most 30.
    pub fn masks(self) -> Vec<(u16, u16)> {
        let (mut at, last) = (u32::from(self.first), u32::from(self.last));
        let mut out = Vec::new();
        while at <= last {
            // The largest block that begins here and does not go past the end.
            let mut size = if at == 0 { 1 << 16 } else { at & at.wrapping_neg() };
            while at + size - 1 > last {
                size >>= 1;
            }
            out.push((at as u16, !((size - 1) as u16)));
            at += size;
        }
        out
    }
    fn covers(self, other: Ports) -> bool {
        self.first <= other.first && other.last <= self.last
    }
    fn meets(self, other: Ports) -> bool {
        self.first <= other.last && other.first <= self.last
    }
    fn size(self) -> u32 {
        u32::from(self.last) - u32::from(self.first) + 1
    }
    /// How many of a port's 16 bits it fixes, rounded down; any condition is more than none.
    fn bits(self) -> u16 {
        let size = self.size();
        (16 - size.next_power_of_two().trailing_zeros() as u16).max(u16::from(size < 1 << 16))
    }
}
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    Ipv4,
    Ipv6,
}

/// The traffic that enters a chain; what is `None` is not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Classifier {
    /// Its name in the descriptor.
    pub id: SmolStr,
    pub vlan: Option<VlanId>,
    pub family: Option<Family>,
    pub proto: Option<IpProto>,
    /// Six bits.
    pub dscp: Option<u8>,
    pub src: Option<Cidr>,
    pub dst: Option<Cidr>,
    pub src_ports: Option<Ports>,
    pub dst_ports: Option<Ports>,
}

impl Classifier {
    /// Every reason why there can be no such traffic.
    pub fn faults(&self) -> Vec<String> {
        let mut out = Vec::new();
        let of = |c: &Cidr| if c.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
        let said: Vec<Family> = self.family.into_iter().chain(self.src.iter().chain(&self.dst).map(of)).collect();
        if said.windows(2).any(|w| w[0] != w[1]) {
            out.push("speaks of IPv4 and of IPv6: give each a rule of its own".to_owned());
        }
        let fits = |p: IpProto, f: Family| !matches!((p, f), (IpProto::ICMP, Family::Ipv6) | (IpProto::ICMP6, Family::Ipv4));
        if let (Some(p), Some(f)) = (self.proto, said.first())
            && !fits(p, *f)
        {
            out.push(format!("{p} is not of {}", if *f == Family::Ipv4 { "IPv4" } else { "IPv6" }));
        }
        if (self.src_ports.is_some() || self.dst_ports.is_some()) && !self.proto.is_some_and(IpProto::has_ports) {
            out.push("has ports, which only TCP, UDP and SCTP have: give the protocol".to_owned());
        }
        if self.dscp.is_some_and(|d| d > 63) {
            out.push("has a DSCP of more than six bits".to_owned());
        }
        out
    }

    /// What it may be of the two families; both only where one of them must be.
    pub fn families(&self) -> Option<&'static [Family]> {
        let v4 = [&self.src, &self.dst].into_iter().flatten().next().map(|c| c.is_ipv4());
        let family = self.family.or(v4.map(|v4| if v4 { Family::Ipv4 } else { Family::Ipv6 }));
        match (family, self.proto) {
            (Some(Family::Ipv4), _) | (None, Some(IpProto::ICMP)) => Some(&[Family::Ipv4]),
            (Some(Family::Ipv6), _) | (None, Some(IpProto::ICMP6)) => Some(&[Family::Ipv6]),
            (None, Some(_)) => Some(&[Family::Ipv4, Family::Ipv6]),
            (None, None) if self.dscp.is_some() => Some(&[Family::Ipv4, Family::Ipv6]),
            (None, None) => None,
        }
    }

    /// The traffic that comes back. ICMP is its own return.
    #[must_use]
    pub fn mirrored(&self) -> Classifier {
        Classifier { src: self.dst, dst: self.src, src_ports: self.dst_ports, dst_ports: self.src_ports, ..self.clone() }
    }

    /// Everything that `other` takes, it takes too.
    pub fn covers(&self, other: &Classifier) -> bool {
        let families = match (self.families(), other.families()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => theirs.iter().all(|f| mine.contains(f)),
        };
        let net = |a: Cidr, b: Cidr| a.prefix() <= b.prefix() && a.overlaps(b);
        // All addresses and all ports are no condition.
        let some = |c: Option<Cidr>| c.filter(|c| c.prefix() > 0);
        let part = |p: Option<Ports>| p.filter(|p| p.bits() > 0 || p.size() < 1 << 16);
        families
            && within(self.vlan, other.vlan, |a, b| a == b)
            && within(self.proto, other.proto, |a, b| a == b)
            && within(self.dscp, other.dscp, |a, b| a == b)
            && within(some(self.src), some(other.src), net)
            && within(some(self.dst), some(other.dst), net)
            && within(part(self.src_ports), part(other.src_ports), Ports::covers)
            && within(part(self.dst_ports), part(other.dst_ports), Ports::covers)
    }

    /// There is traffic that both take.
    pub fn meets(&self, other: &Classifier) -> bool {
        let families = match (self.families(), other.families()) {
            (Some(mine), Some(theirs)) => mine.iter().any(|f| theirs.contains(f)),
            (None, _) | (_, None) => true,
        };
        families
            && both(self.vlan, other.vlan, |a, b| a == b)
            && both(self.proto, other.proto, |a, b| a == b)
            && both(self.dscp, other.dscp, |a, b| a == b)
            && both(self.src, other.src, Cidr::overlaps)
            && both(self.dst, other.dst, Cidr::overlaps)
            && both(self.src_ports, other.src_ports, Ports::meets)
            && both(self.dst_ports, other.dst_ports, Ports::meets)
    }

    /// How many pairs of ports it takes, where it takes more than one value of any; else 0.
    pub fn spread(&self) -> u64 {
        let sizes = [self.src_ports, self.dst_ports].map(|p| p.map(Ports::size));
        let is_range = sizes.iter().flatten().any(|s| *s > 1);
        if is_range { sizes.iter().map(|s| u64::from(s.unwrap_or(1 << 16))).product() } else { 0 }
    }

    /// Bits of a frame that it fixes: of two, one of which covers the other, the narrower has more, or as many where they
    /// differ in ranges of ports only.
    pub fn bits(&self) -> u16 {
        let family = self.families().map_or(0, |f| if f.len() == 1 { 16 } else { 15 });
        let net = |c: Option<Cidr>| c.map_or(0, |c| u16::from(c.prefix()));
        let ports = |p: Option<Ports>| p.map_or(0, Ports::bits);
        family
            + self.vlan.map_or(0, |_| 12)
            + self.proto.map_or(0, |_| 8)
            + self.dscp.map_or(0, |_| 6)
            + net(self.src)
            + net(self.dst)
            + ports(self.src_ports)
            + ports(self.dst_ports)
    }
}

fn within<T: Copy>(wide: Option<T>, narrow: Option<T>, covers: impl Fn(T, T) -> bool) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(w), Some(n)) => covers(w, n),
    }
}
fn both<T>(a: Option<T>, b: Option<T>, meets: impl Fn(T, T) -> bool) -> bool {
    a.zip(b).is_none_or(|(a, b)| meets(a, b))
}

impl fmt::Display for Classifier {
    /// As people write it: `tcp from 10.0.0.0/24 to any port 80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match (self.proto, self.family) {
            (Some(p), Some(Family::Ipv4)) => format!("{p} over IPv4"),
            (Some(p), Some(Family::Ipv6)) => format!("{p} over IPv6"),
            (Some(p), None) => p.to_string(),
            (None, Some(Family::Ipv4)) => "IPv4".into(),
            (None, Some(Family::Ipv6)) => "IPv6".into(),
            (None, None) => "any".into(),
        };
        f.write_str(&kind)?;
        let sides = [("from", self.src, self.src_ports), ("to", self.dst, self.dst_ports)];
        for (word, net, ports) in sides {
            match (net, ports) {
                (None, None) => {}
                (Some(net), None) => write!(f, " {word} {net}")?,
                (None, Some(p)) => write!(f, " {word} any port {p}")?,
                (Some(net), Some(p)) => write!(f, " {word} {net} port {p}")?,
            }
        }
        if let Some(d) = self.dscp {
            write!(f, " dscp {d}")?;
        }
        self.vlan.map_or(Ok(()), |v| write!(f, " vlan {v}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn c(s: &str) -> Cidr {
        s.parse().expect(s)
    }
    fn tcp(src: Option<&str>, dst: Option<&str>, ports: Option<(u16, u16)>) -> Classifier {
        let dst_ports = ports.and_then(|(a, b)| Ports::new(a, b));
        Classifier { proto: Some(IpProto::TCP), src: src.map(c), dst: dst.map(c), dst_ports, ..Classifier::default() }
    }

    #[test]
    fn a_range_of_ports_is_exactly_its_masks() {
        for (first, last, most) in
            [(80, 80, 1), (0, 65535, 1), (1, 65534, 30), (1024, 2047, 1), (1000, 1999, 9), (65535, 65535, 1), (0, 1, 1)]
        {
            let masks = Ports::new(first, last).expect("range").masks();
            assert!(masks.len() <= most, "{first}-{last}: {} masks", masks.len());
            for port in 0..=u16::MAX {
                let met = masks.iter().filter(|(v, m)| port & m == *v).count();
                assert_eq!(met, usize::from((first..=last).contains(&port)), "{port} of {first}-{last}");
            }
        }
        assert_eq!(Ports::new(2, 1), None);
    }

    #[test]
    fn classifiers_are_apart_or_one_within_the_other_or_in_each_other_s_way() {
        let any = Classifier::default();
        let v6 = Classifier { family: Some(Family::Ipv6), ..Classifier::default() };
        let udp = Classifier { proto: Some(IpProto::UDP), ..Classifier::default() };
        let web = tcp(None, None, Some((80, 80)));
        // a, b, meet, a covers b, b covers a
        for (a, b, meets, covers, covered) in [
            (&any, &web, true, true, false),
            (&udp, &web, false, false, false),
            (&web, &web, true, true, true),
            (&tcp(None, None, Some((1, 1023))), &web, true, true, false),
            (&tcp(None, None, Some((81, 90))), &web, false, false, false),
            (&tcp(Some("10.0.0.0/8"), None, None), &tcp(Some("10.1.0.0/16"), None, Some((80, 80))), true, true, false),
            (&tcp(Some("10.0.0.0/8"), None, None), &web, true, false, false),
            (&tcp(Some("10.0.0.0/8"), None, None), &tcp(Some("fd00::/8"), None, None), false, false, false),
            (&v6, &tcp(Some("10.0.0.0/8"), None, None), false, false, false),
            (&v6, &web, true, false, false),
            (&v6, &tcp(None, Some("fd00::/64"), None), true, true, false),
        ] {
            assert_eq!((a.meets(b), b.meets(a)), (meets, meets), "{a} and {b}");
            assert_eq!((a.covers(b), b.covers(a)), (covers, covered), "{a} and {b}");
            if covers && !covered {
                assert!(a.bits() < b.bits(), "{a} is wider than {b}");
            }
        }
    }

    #[test]
    fn impossible_traffic_is_refused_with_every_reason() {
        let bad = Classifier {
            family: Some(Family::Ipv6),
            src: Some(c("10.0.0.0/8")),
            proto: Some(IpProto::ICMP),
            dst_ports: Some(Ports::one(80)),
            dscp: Some(64),
            ..Classifier::default()
        };
        assert_eq!(bad.faults().len(), 4, "{:?}", bad.faults());
        assert_eq!(tcp(Some("10.0.0.0/8"), None, Some((80, 80))).faults(), Vec::<String>::new());
        assert_eq!(tcp(Some("10.0.0.0/8"), None, Some((80, 90))).mirrored().to_string(), "tcp from any port 80-90 to 10.0.0.0/8");
    }
}
