//! Segments and addresses, planned. Pure.
//!
//! Owns which VLAN a virtual link gets, which addresses the host and each guest have on it, and
//! what of that the host's DHCP and NAT shall say. Everything scarce is decided here once; nothing
//! is made.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::IpAddr,
};

use smol_str::SmolStr;

use super::{
    port::{DhcpConf, DhcpLease, DhcpNetwork, HostLink, NatTable},
    uplink,
};
use crate::model::order::Order as _;
use crate::model::{
    error::{Fault, Result},
    id::{PortId, ProjectId, SegmentId, VnfId},
    net::{Cidr, MacAddr, VlanId},
    segment::{Access, NatForward, Segment, SegmentOwner, SegmentState, Station},
    time::Dice,
    tree::tree,
    tunnel::Tunnel,
    vnfd::{Layer3, LinkProfile},
};
use crate::sdn;

/// What is taken already, box-wide.
#[derive(Debug, Default, Clone)]
pub struct Taken {
    pub vlans: BTreeSet<VlanId>,
    /// Networks the host is on: a second link of the same range would be unreachable.
    pub host_networks: Vec<Cidr>,
    pub host_ports: HashSet<(bool, u16)>,
    /// Networks outside, and what their links are called there.
    pub outside: BTreeSet<(SmolStr, Option<u16>)>,
}

impl Taken {
    pub fn of<'a>(segments: impl IntoIterator<Item = &'a Segment>) -> Taken {
        let mut t = Taken::default();
        for s in segments {
            t.add(s);
        }
        t
    }
    pub fn add(&mut self, s: &Segment) {
        self.vlans.insert(s.vlan);
        self.host_networks.extend(s.host.iter().map(|c| c.network()));
        self.outside.extend(s.profile.physical.iter().map(|n| (n.clone(), s.profile.segmentation)));
        self.host_ports.extend(s.profile.forwards.iter().map(|f| (f.proto == crate::model::vnfd::Transport::Tcp, f.host_port)));
    }
}

/// The rules of the box for links.
#[derive(Debug, Clone)]
pub struct LinkRules {
    /// Links that need addresses and state none get a network out of this.
    pub pool: Cidr,
    /// Its prefix length.
    pub pool_prefix: u8,
    /// Physical networks of the configuration.
    pub physical: Vec<SmolStr>,
    pub tunnels: Vec<Tunnel>,
}

/// Identity of a link to be planned.
#[derive(Debug, Clone)]
pub struct LinkOf<'a> {
    pub id: SegmentId,
    pub project: ProjectId,
    pub owner: SegmentOwner,
    pub link: &'a SmolStr,
    pub profile: &'a LinkProfile,
}

/// Plans a segment for a virtual link; `taken` learns of it.
pub fn plan_segment(of: LinkOf<'_>, rules: &LinkRules, taken: &mut Taken) -> Result<Segment> {
    let mut profile = of.profile.clone();
    let needs_host = profile.management || profile.nat || profile.layer3.iter().any(|l| l.dhcp);
    if needs_host && profile.layer3.is_empty() {
        let cidr = free_network(rules, &taken.host_networks)?;
        profile.layer3.push(Layer3 { cidr, gateway: None, dhcp: true, pools: Vec::new(), dns: Vec::new() });
    }
    uplink::check(of.link, &mut profile, rules, taken)?;
    for f in &profile.forwards {
        if taken.host_ports.contains(&(f.proto == crate::model::vnfd::Transport::Tcp, f.host_port)) {
            return Err(Fault::conflict(format!("link {}: port {} of the host is forwarded already", of.link, f.host_port)));
        }
    }
    let mut host = Vec::new();
    for l3 in profile.layer3.iter_mut() {
        let on_link = profile.management || profile.nat;
        if !(on_link || l3.dhcp) {
            continue;
        }
        if let Some(other) = taken.host_networks.iter().find(|n| n.overlaps(l3.cidr)) {
            return Err(Fault::conflict(format!("link {}: the host is on {other} already, {} overlaps it", of.link, l3.cidr)));
        }
        // With NAT or management the host is the gateway; where only DHCP is asked for, the gateway
        // may be a guest, and the host takes the last address.
        let addr = match (on_link, l3.gateway) {
            (true, Some(g)) => Some(g),
            (true, None) => l3.cidr.hosts().next(),
            (false, gateway) => last_host(l3, gateway),
        };
        let addr = addr.ok_or_else(|| Fault::capacity(format!("link {}: {} has no address left for the host", of.link, l3.cidr)))?;
        if profile.nat && l3.gateway.is_none() {
            l3.gateway = Some(addr);
        }
        host.push(Cidr::new(addr, l3.cidr.prefix())?);
    }
    // On the switch the link has a VLAN of its own; the physical network's tag is put on by its patch.
    let vlan = free_vlan(&taken.vlans)?;
    let segment = Segment {
        id: of.id,
        project: of.project,
        owner: of.owner,
        link: of.link.clone(),
        vlan,
        profile,
        host,
        stations: Vec::new(),
        state: SegmentState::Wanted,
    };
    taken.add(&segment);
    Ok(segment)
}

fn free_vlan(taken: &BTreeSet<VlanId>) -> Result<VlanId> {
    (VlanId::MIN.get()..=VlanId::MAX.get())
        .filter_map(|v| VlanId::try_from(v).ok())
        .find(|v| !taken.contains(v))
        .ok_or_else(|| Fault::capacity("no VLAN left on the switch: all 4094 segments are in use"))
}

fn free_network(rules: &LinkRules, taken: &[Cidr]) -> Result<Cidr> {
    let IpAddr::V4(base) = rules.pool.network().addr() else {
        return Err(Fault::invalid("the pool of link networks must be IPv4"));
    };
    let count = 1u64 << u32::from(rules.pool_prefix.saturating_sub(rules.pool.prefix())).min(24);
    for n in 0..count {
        let addr = u32::from(base).wrapping_add((n << (32 - u32::from(rules.pool_prefix))) as u32);
        let c = Cidr::new(IpAddr::V4(addr.into()), rules.pool_prefix)?;
        if !taken.iter().any(|t| t.overlaps(c)) {
            return Ok(c);
        }
    }
    Err(Fault::capacity(format!("every /{} of the pool {} is in use", rules.pool_prefix, rules.pool)))
}

/// The last address a station can have; in IPv6 the last of the first 65,536, to stay readable.
fn last_host(l3: &Layer3, gateway: Option<IpAddr>) -> Option<IpAddr> {
    let width: u32 = if l3.cidr.is_ipv4() { 32 } else { 128 };
    if width - u32::from(l3.cidr.prefix()) > 16 {
        let small = Cidr::new(l3.cidr.network().addr(), (width - 16) as u8).ok()?;
        return small.hosts().filter(|a| Some(*a) != gateway).last();
    }
    l3.cidr.hosts().filter(|a| Some(*a) != gateway).last()
}

/// What a guest's NIC asks for on a link.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    pub mac: Option<MacAddr>,
    pub addresses: Vec<IpAddr>,
}

/// Hands out MACs and addresses on one segment.
pub struct Stations {
    segment: Segment,
    macs: HashSet<MacAddr>,
    used: HashSet<IpAddr>,
    /// Where the search goes on, per layer 3 network: addresses below are taken.
    cursor: Vec<u128>,
    changed: bool,
}

impl Stations {
    /// Of all links that a project sees: another's are not there.
    pub fn of(project: ProjectId, segments: &[Segment]) -> BTreeMap<SegmentId, Stations> {
        tree(segments.iter().filter(|s| s.project == project).map(|s| (s.id, Stations::new(s.clone()))))
    }
    pub fn new(segment: Segment) -> Stations {
        let mut used: HashSet<IpAddr> = segment.stations.iter().flat_map(|s| s.addresses.iter().copied()).collect();
        used.extend(segment.host.iter().map(|c| c.addr()));
        used.extend(segment.profile.layer3.iter().filter_map(|l| l.gateway));
        let macs = segment.stations.iter().map(|s| s.mac).collect();
        let cursor = vec![0; segment.profile.layer3.len()];
        Stations { segment, macs, used, cursor, changed: false }
    }
    pub fn segment(&self) -> &Segment {
        &self.segment
    }
    /// The segment with its new stations, when there are any.
    pub fn into_changed(self) -> Option<Segment> {
        self.changed.then_some(self.segment)
    }

    /// Plans a NIC: its MAC and one address for each layer 3 network of the link.
    pub fn attach(
        &mut self,
        port: PortId,
        vnf: VnfId,
        hostname: &SmolStr,
        wish: &Wish,
        access: Access,
        dice: &dyn Dice,
    ) -> Result<(MacAddr, Vec<IpAddr>)> {
        let mac = self.mac(wish.mac, dice)?;
        let mut addresses = Vec::new();
        for wished in &wish.addresses {
            self.check_wish(*wished)?;
            self.used.insert(*wished);
            addresses.push(*wished);
        }
        self.fill(&mut addresses)?;
        self.segment.stations.push(Station { port, vnf, mac, addresses: addresses.clone(), hostname: hostname.clone(), access });
        sdn::link::has_room(&self.segment)?;
        self.changed = true;
        Ok((mac, addresses))
    }

    /// A VLAN of this link that a NIC on it may carry: it has no addresses that anybody plans.
    pub fn carry(&mut self, port: PortId, vnf: VnfId, hostname: &SmolStr, mac: MacAddr, access: Access) -> Result<()> {
        if !self.segment.profile.transparent {
            return Err(Fault::invalid(format!(
                "link {}: its NIC is on it untagged, and takes a VLAN of it only where it is vlan_transparent",
                self.segment.link
            )));
        }
        self.segment.stations.push(Station { port, vnf, mac, addresses: Vec::new(), hostname: hostname.clone(), access });
        self.changed = true;
        Ok(())
    }

    /// A station may have this address here.
    pub fn check_wish(&self, wished: IpAddr) -> Result<()> {
        let layer3 = &self.segment.profile.layer3;
        if !layer3.is_empty() && !layer3.iter().any(|l| l.cidr.contains(wished)) {
            return Err(Fault::invalid(format!("link {}: {wished} is in none of its networks", self.segment.link)));
        }
        let gateway_of_guest = layer3.iter().any(|l| l.gateway == Some(wished)) && !self.segment.host.iter().any(|h| h.addr() == wished);
        let free = !self.used.contains(&wished) || (gateway_of_guest && !self.stations_have(wished));
        if free { Ok(()) } else { Err(Fault::conflict(format!("link {}: {wished} is taken", self.segment.link))) }
    }

    /// An address of each layer 3 network that none of these is in.
    fn fill(&mut self, addresses: &mut Vec<IpAddr>) -> Result<()> {
        for (n, l3) in self.segment.profile.layer3.clone().iter().enumerate() {
            if addresses.iter().any(|a| l3.cidr.contains(*a)) {
                continue;
            }
            let a = self.next_address(n, l3)?;
            self.used.insert(a);
            addresses.push(a);
        }
        Ok(())
    }

    /// Keeps a place for a NIC that is to come here, with these addresses (`check_wish`) and one of each network
    /// besides; `of`: as it is on its link now, which may be this one. The place is `holder`'s meanwhile.
    pub fn keep(&mut self, holder: PortId, of: &Station, wished: &[IpAddr]) -> Result<Vec<IpAddr>> {
        let here = self.segment.stations.iter().any(|s| s.port == of.port);
        if !here && !self.macs.insert(of.mac) {
            return Err(Fault::conflict(format!("link {}: MAC {} is on it already", self.segment.link, of.mac)));
        }
        let mut addresses = wished.to_vec();
        self.used.extend(wished);
        self.fill(&mut addresses)?;
        self.segment.stations.push(Station { port: holder, addresses: addresses.clone(), hostname: SmolStr::default(), ..of.clone() });
        sdn::link::has_room(&self.segment)?;
        self.changed = true;
        Ok(addresses)
    }

    /// What is a port's station is another's too, with the same MAC and addresses, until one of the two
    /// ports is gone: the guests behind them are never there at once.
    /// `nic`: the port on whose NIC it comes under its tag.
    pub fn share(&mut self, from: PortId, to: PortId, nic: Option<PortId>) -> Result<()> {
        let station = self.segment.stations.iter().find(|s| s.port == from).cloned();
        let mut station = station.ok_or_else(|| Fault::bug(format!("port {from} is not on link {}", self.segment.link)))?;
        station.access.within = station.access.within.and_then(|(_, tag)| Some((nic?, tag)));
        self.segment.stations.push(Station { port: to, ..station });
        self.changed = true;
        Ok(())
    }

    fn stations_have(&self, a: IpAddr) -> bool {
        self.segment.stations.iter().any(|s| s.addresses.contains(&a))
    }

    fn mac(&mut self, wished: Option<MacAddr>, dice: &dyn Dice) -> Result<MacAddr> {
        if let Some(m) = wished {
            if !self.macs.insert(m) {
                return Err(Fault::conflict(format!("link {}: MAC {m} is on it already", self.segment.link)));
            }
            return Ok(m);
        }
        for _ in 0..64 {
            let b = dice.bytes16();
            let m = MacAddr::planned(u32::from_be_bytes([0, b[0], b[1], b[2]]));
            if self.macs.insert(m) {
                return Ok(m);
            }
        }
        Err(Fault::capacity(format!("link {}: no free MAC address found", self.segment.link)))
    }

    fn next_address(&mut self, n: usize, l3: &Layer3) -> Result<IpAddr> {
        let in_pool = |a: &IpAddr| l3.pools.is_empty() || l3.pools.iter().any(|(lo, hi)| lo <= a && a <= hi);
        let mut at = self.cursor[n];
        for a in l3.cidr.hosts().skip(usize::try_from(at).unwrap_or(usize::MAX)) {
            at += 1;
            if in_pool(&a) && !self.used.contains(&a) {
                self.cursor[n] = at;
                return Ok(a);
            }
            if at > 1 << 20 {
                break;
            }
        }
        Err(Fault::capacity(format!("link {}: no address left in {}", self.segment.link, l3.cidr)))
    }
}

/// The host's end of a segment.
pub fn host_link(s: &Segment) -> Option<HostLink> {
    s.wants_host_port().then(|| HostLink { ifname: s.host_port(), addresses: s.host.clone(), mtu: s.profile.mtu })
}

/// What the segment's DHCP server shall say.
pub fn dhcp_conf(s: &Segment) -> Option<DhcpConf> {
    if !s.wants_dhcp() || !s.wants_host_port() {
        return None;
    }
    let networks: Vec<DhcpNetwork> = s
        .profile
        .layer3
        .iter()
        .filter(|l| l.dhcp)
        .map(|l| DhcpNetwork { cidr: l.cidr, gateway: l.gateway, dns: l.dns.clone(), mtu: s.profile.mtu })
        .collect();
    // One that two ports share is one.
    let mut seen = HashSet::new();
    let leases = s
        .stations
        .iter()
        .filter(|st| !st.is_kept() && seen.insert(st.mac))
        .map(|st| DhcpLease {
            mac: st.mac,
            addresses: st.addresses.iter().copied().filter(|a| networks.iter().any(|n| n.cidr.contains(*a))).collect(),
            hostname: st.hostname.to_string(),
        })
        .filter(|l| !l.addresses.is_empty())
        .collect();
    Some(DhcpConf { segment: s.id, ifname: s.host_port(), networks, leases })
}

/// Whether a guest is the one a forward names: by `VNF`, `VNF/VDU` or its hostname; of several, the
/// first.
fn is_named(hostname: &str, to: &str) -> bool {
    let name = to.replace('/', "-").to_ascii_lowercase();
    hostname.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest == "-0")
}

/// The box's NAT table from all segments that are wanted.
pub fn nat_table<'a>(segments: impl IntoIterator<Item = &'a Segment>) -> NatTable {
    let mut t = NatTable::default();
    for s in segments {
        if s.state == SegmentState::Leaving {
            continue;
        }
        t.links = true;
        if !s.wants_host_port() {
            continue;
        }
        t.inside.push(s.host_port());
        if !s.profile.nat {
            continue;
        }
        t.masquerade.extend(s.profile.layer3.iter().map(|l| l.cidr.network()));
        for f in &s.profile.forwards {
            let station = s.stations.iter().find(|st| !st.is_kept() && is_named(&st.hostname, &f.to));
            if let Some(to) = station.and_then(|st| st.addresses.first()) {
                t.forwards.push(NatForward::new(f, *to));
            }
        }
    }
    t.inside.order();
    t.masquerade.order();
    t.masquerade.dedup();
    t.forwards.order();
    t
}

#[cfg(test)]
mod tests {
    use crate::model::vnfd::LinkKind;
    use std::sync::atomic::{AtomicU64, Ordering};

    use uuid::Uuid;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU64);
    impl Dice for Count {
        fn bytes16(&self) -> [u8; 16] {
            let n = self.0.fetch_add(1, Ordering::Relaxed);
            (u128::from(n) << 104).to_be_bytes()
        }
    }

    fn l3(cidr: &str, gateway: Option<&str>, dhcp: bool) -> Layer3 {
        Layer3 {
            cidr: cidr.parse().expect("cidr"),
            gateway: gateway.map(|g| g.parse().expect("ip")),
            dhcp,
            pools: Vec::new(),
            dns: Vec::new(),
        }
    }
    fn rules() -> LinkRules {
        LinkRules {
            pool: "10.177.0.0/16".parse().expect("cidr"),
            pool_prefix: 24,
            physical: vec!["wan0".into()],
            tunnels: vec![hq(&["192.0.2.7"])],
        }
    }
    fn hq(remotes: &[&str]) -> Tunnel {
        let remotes = remotes.iter().map(SmolStr::new).collect();
        let draft = crate::model::tunnel::TunnelDraft { name: "hq".into(), kind: "vxlan".into(), remotes, ..Default::default() };
        draft.check().expect("a tunnel")
    }
    fn plan(profile: &LinkProfile, taken: &mut Taken) -> Result<Segment> {
        let link = SmolStr::new("lan");
        let of = LinkOf {
            id: SegmentId(Uuid::from_u128(7)),
            project: ProjectId::DEFAULT,
            owner: SegmentOwner::Vnf(VnfId(Uuid::from_u128(1))),
            link: &link,
            profile,
        };
        plan_segment(of, &rules(), taken)
    }
    fn attach(s: &mut Stations, n: u128, wish: &[&str]) -> Result<Vec<String>> {
        let wish = Wish { mac: None, addresses: wish.iter().map(|a| a.parse().expect("ip")).collect() };
        let (_, a) = s.attach(
            PortId(Uuid::from_u128(n)),
            VnfId(Uuid::from_u128(1)),
            &"g".into(),
            &wish,
            Access::default(),
            &Count(AtomicU64::new(n as u64)),
        )?;
        Ok(a.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_managed_link_without_networks_gets_one_from_the_pool_and_the_host_is_on_it() {
        let mut taken = Taken::default();
        let profile = LinkProfile { management: true, ..LinkProfile::default() };
        let first = plan(&profile, &mut taken).expect("planned");
        let second = plan(&profile, &mut taken).expect("planned");
        assert_eq!(first.host[0].to_string(), "10.177.0.1/24");
        assert_eq!(second.host[0].to_string(), "10.177.1.1/24");
        assert_ne!(first.vlan, second.vlan);
    }

    #[test]
    fn a_guest_may_be_the_gateway_where_the_host_only_answers_dhcp() {
        let profile = LinkProfile { layer3: vec![l3("10.10.1.0/24", Some("10.10.1.1"), true)], ..LinkProfile::default() };
        let s = plan(&profile, &mut Taken::default()).expect("planned");
        assert_eq!(s.host[0].to_string(), "10.10.1.254/24");
        let mut st = Stations::new(s);
        assert_eq!(attach(&mut st, 1, &[]).expect("a"), ["10.10.1.2"]);
        assert_eq!(attach(&mut st, 2, &["10.10.1.1"]).expect("b"), ["10.10.1.1"]);
        assert_eq!(attach(&mut st, 3, &["10.10.1.1"]).expect_err("taken").text(), "link lan: 10.10.1.1 is taken");
        assert_eq!(attach(&mut st, 4, &["10.10.1.254"]).expect_err("host's").text(), "link lan: 10.10.1.254 is taken");
        assert!(attach(&mut st, 5, &["192.0.2.1"]).is_err());
    }

    #[test]
    fn short_and_double_networks_are_planned_whole() {
        let profile =
            LinkProfile { layer3: vec![l3("192.0.2.0/31", None, false), l3("2001:db8::/64", None, false)], ..LinkProfile::default() };
        let mut st = Stations::new(plan(&profile, &mut Taken::default()).expect("planned"));
        assert_eq!(attach(&mut st, 1, &[]).expect("a"), ["192.0.2.0", "2001:db8::1"]);
        assert_eq!(attach(&mut st, 2, &[]).expect("b"), ["192.0.2.1", "2001:db8::2"]);
        assert_eq!(attach(&mut st, 3, &[]).expect_err("full").text(), "link lan: no address left in 192.0.2.0/31");
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_reason() {
        let mut taken = Taken::default();
        plan(&LinkProfile { management: true, layer3: vec![l3("10.0.0.0/24", None, false)], ..LinkProfile::default() }, &mut taken)
            .expect("first");
        let again = LinkProfile { management: true, layer3: vec![l3("10.0.0.0/16", None, false)], ..LinkProfile::default() };
        assert!(plan(&again, &mut taken).expect_err("overlap").text().contains("overlaps"));
        let phys = LinkProfile { physical: Some("lte".into()), ..LinkProfile::default() };
        assert_eq!(
            plan(&phys, &mut taken).expect_err("unknown").detail(),
            "link lan: this box has no physical network 'lte': there are: wan0; tunnels: hq"
        );
    }

    #[test]
    fn a_link_through_a_tunnel_is_what_comes_through_there_or_is_refused_with_every_reason() {
        let out = |segmentation| LinkProfile { physical: Some("hq".into()), segmentation, ..LinkProfile::default() };
        let mut taken = Taken::default();
        assert_eq!(plan(&out(Some(60_000)), &mut taken).expect("planned").profile.mtu, Some(1450));
        let clear = LinkProfile { transparent: true, mtu: Some(1446), ..out(Some(7)) };
        assert_eq!(plan(&clear, &mut taken).expect("it fits").profile.mtu, Some(1446));
        let f = plan(&LinkProfile { mtu: Some(1500), ..out(Some(7)) }, &mut taken).expect_err("refused").detail();
        assert!(f.contains("VNI 7 is another link's") && f.contains("more than the 1450"), "{f}");
        assert!(plan(&out(None), &mut taken).expect_err("no VNI").detail().contains("no segmentation_id"));

        let rules = LinkRules { tunnels: vec![hq(&["192.0.2.7", "192.0.2.8"])], ..rules() };
        for (kind, fits) in [(LinkKind::Elan, true), (LinkKind::Eline, false), (LinkKind::Etree, false)] {
            let profile = LinkProfile { kind, ..out(Some(9)) };
            let link = SmolStr::new("lan");
            let owner = SegmentOwner::Vnf(VnfId(Uuid::from_u128(1)));
            let of = LinkOf { id: SegmentId(Uuid::from_u128(8)), project: ProjectId::DEFAULT, owner, link: &link, profile: &profile };
            assert_eq!(plan_segment(of, &rules, &mut Taken::default()).is_ok(), fits, "{kind:?}");
        }
        let far = LinkProfile { physical: Some("wan0".into()), segmentation: Some(5000), ..LinkProfile::default() };
        assert!(plan(&far, &mut taken).expect_err("no VLAN").text().contains("is no VLAN"));
    }

    #[test]
    fn a_forward_finds_its_guest_by_vnf_and_vdu() {
        for (hostname, to, want) in [
            ("web", "web", true),
            ("web-www", "Web/www", true),
            ("web-www-0", "web/www", true),
            ("web-www-1", "web/www", false),
            ("webber", "web", false),
        ] {
            assert_eq!(is_named(hostname, to), want, "{hostname} {to}");
        }
    }

    #[test]
    fn leaving_segments_are_in_no_projection() {
        let profile = LinkProfile { nat: true, ..LinkProfile::default() };
        let mut s = plan(&profile, &mut Taken::default()).expect("planned");
        assert_eq!(nat_table([&s]).masquerade.len(), 1);
        let alone = plan(&LinkProfile::default(), &mut Taken::default()).expect("planned");
        assert_eq!(nat_table([&alone]), NatTable { links: true, ..NatTable::default() });
        s.state = SegmentState::Leaving;
        assert_eq!(nat_table([&s]), NatTable::default());
    }
}
