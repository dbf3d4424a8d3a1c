//! Forwarding graphs of a network service: VNFFGs, their paths, and the traffic that takes them.
//!
//! Owns NFP, NfpPosition, NfpPositionElement, NfpRule and VNFFG (SOL001 clause 7). A path's first and last
//! positions are where its traffic comes from and goes to; those between are its functions. A position that no
//! path lists is a function in reserve: it says what may come into a running path. Never needs the VNFDs.

use smol_str::SmolStr;

use super::{
    at::At,
    hints::{ON_PATH, ON_POSITION, hints},
    level::policies,
    scope::Scope,
    types::{NFP, NFP_ELEMENT, NFP_POSITION},
};
use crate::model::{
    chain::{Classifier, Family, HopKind, IpProto, OnLoss, Ports},
    net::{Cidr, VlanId},
    nsd::{Attach, ForwardingPath, Member, MemberCp, PathHop, Pnf, Sap},
};

pub const RULE: &str = "tosca.policies.nfv.NfpRule";
pub const VNFFG: &str = "tosca.groups.nfv.VNFFG";

/// What a position can name.
pub struct Around<'a> {
    pub members: &'a [Member],
    pub saps: &'a [Sap],
    pub pnfs: &'a [Pnf],
}

impl Around<'_> {
    fn attach(&self, name: &str) -> Option<&[Attach]> {
        let vnf = self.members.iter().find(|m| m.id == name).map(|m| m.attach.as_slice());
        vnf.or_else(|| self.pnfs.iter().find(|p| p.id == name).map(|p| p.attach.as_slice()))
    }
}

struct Position<'a> {
    kind: HopKind,
    cps: Vec<MemberCp>,
    at: At<'a>,
}

/// The paths, and the functions of positions that are on none of them.
pub fn paths(scope: &Scope<'_>, around: &Around<'_>) -> (Vec<ForwardingPath>, Vec<PathHop>) {
    let of_kind = |base: &str| -> Vec<At<'_>> {
        let is = |at: &At<'_>| at.get("type").and_then(|t| t.text()).is_some_and(|k| scope.types.is_a(&k, base));
        scope.templates().iter().filter_map(|(key, _)| At::template(scope, &key.text)).filter(is).collect()
    };
    let elements: Vec<(SmolStr, Vec<MemberCp>)> = of_kind(NFP_ELEMENT).iter().map(|at| (at.me(), element(at, around))).collect();
    let positions: Vec<(SmolStr, Position<'_>)> = of_kind(NFP_POSITION).into_iter().map(|at| (at.me(), position(at, &elements))).collect();
    let mut out: Vec<ForwardingPath> = of_kind(NFP).iter().filter_map(|at| path(at, &positions, around)).collect();
    rules(scope, &mut out);
    groups(scope, &mut out);
    for at in of_kind(NFP) {
        let Some(p) = out.iter().find(|p| p.id == at.me()) else { continue };
        if p.classifiers.is_empty() {
            at.error_hint("no NfpRule has it as a target: no traffic would take it", "add a policy of type tosca.policies.nfv.NfpRule");
        }
        if p.vnffg.is_empty() {
            at.error_hint("is a member of no VNFFG", "add a group of type tosca.groups.nfv.VNFFG with it among its members");
        }
    }
    let listed: Vec<SmolStr> = of_kind(NFP).iter().flat_map(|at| at.requirements()).map(|(_, target, _)| target).collect();
    let is_function = |p: &Position<'_>| p.cps.first().is_some_and(|c| around.members.iter().any(|m| m.id == c.member));
    let spare = positions.iter().filter(|(name, p)| !listed.contains(name) && is_function(p)).filter_map(|(_, p)| p.hop(around)).collect();
    (out, spare)
}

impl Position<'_> {
    fn hop(&self, around: &Around<'_>) -> Option<PathHop> {
        let (entry, exit) = (self.cps.first()?, self.cps.last()?);
        if !around.members.iter().any(|m| m.id == entry.member) {
            self.at.error(format!("'{}' is no VNF: a PNF or a SAP is where a path begins or ends", entry.member));
            return None;
        }
        Some(PathHop { kind: self.kind, entry: entry.clone(), exit: exit.clone() })
    }
}

/// One connection point, or the one that traffic goes in by and the one it comes out by.
fn element(at: &At<'_>, around: &Around<'_>) -> Vec<MemberCp> {
    let mut out = Vec::new();
    for (name, target, req) in at.requirements() {
        if name != "profile_element" {
            req.error(format!("'{name}' is no requirement of a position element, which has 'profile_element'"));
            continue;
        }
        if around.saps.iter().any(|s| s.id == target) {
            out.push(MemberCp { member: target, cp: SmolStr::default() });
            continue;
        }
        let Some(attach) = around.attach(&target) else {
            req.no_such("VNF", &target, around.members.iter().map(|m| m.id.as_str()));
            continue;
        };
        let said = if req.is_map() { req.get("capability").and_then(|c| c.text()) } else { None };
        let cp = match (said, attach) {
            (Some(cp), all) if all.iter().any(|a| a.ext_cp == cp) => cp,
            (Some(cp), all) => {
                req.no_such("connection point on a virtual link", &cp, all.iter().map(|a| a.ext_cp.as_str()));
                continue;
            }
            (None, [one]) => one.ext_cp.clone(),
            (None, _) => {
                req.error_hint(format!("'{target}' has several connection points"), "write { node: VNF, capability: REQUIREMENT }");
                continue;
            }
        };
        out.push(MemberCp { member: target, cp });
    }
    if out.len() > 2 || out.windows(2).any(|w| w[0].member != w[1].member) {
        at.error("has one connection point, or two of one VNF: where traffic goes in, and where it comes out");
    } else if out.is_empty() && at.requirements().is_empty() {
        at.missing("requirements.profile_element");
    }
    out
}

fn position<'a>(at: At<'a>, elements: &[(SmolStr, Vec<MemberCp>)]) -> Position<'a> {
    if let Some(p) = at.get("properties") {
        p.known(&["forwarding_behaviour", "forwarding_behaviour_input_parameters"]);
        p.not_acted_on(&["forwarding_behaviour", "forwarding_behaviour_input_parameters"]);
    }
    let kinds = [("transparent", HopKind::Transparent), ("stateful", HopKind::Stateful), ("routed", HopKind::Routed)];
    let kind = hints(&at, ON_POSITION).get("hop").and_then(|h| h.choice(&kinds)).unwrap_or_default();
    let mut cps = Vec::new();
    for (n, (name, target, req)) in at.requirements().into_iter().enumerate() {
        if name != "element" {
            req.error(format!("'{name}' is no requirement of a position, which has 'element'"));
        } else if n > 0 {
            req.error_hint("a position has one element here", "instances of one VNF share the traffic by themselves");
        } else if let Some((_, found)) = elements.iter().find(|(e, _)| *e == target) {
            cps.clone_from(found);
        } else {
            req.no_such("position element", &target, elements.iter().map(|(e, _)| e.as_str()));
        }
    }
    if at.requirements().is_empty() {
        at.missing("requirements.element");
    }
    Position { kind, cps, at }
}

fn path(at: &At<'_>, positions: &[(SmolStr, Position<'_>)], around: &Around<'_>) -> Option<ForwardingPath> {
    let mut way: Vec<&Position<'_>> = Vec::new();
    let reqs = at.requirements();
    for (name, target, req) in &reqs {
        if name != "nfp_position" {
            req.error(format!("'{name}' is no requirement of a path, which has 'nfp_position'"));
            continue;
        }
        match positions.iter().find(|(p, _)| p == target) {
            Some((_, p)) => way.push(p),
            None => req.no_such("position", target, positions.iter().map(|(p, _)| p.as_str())),
        }
    }
    let [first, hops @ .., last] = way.as_slice() else {
        at.error("a path has two positions at least: where its traffic comes from, and where it goes");
        return None;
    };
    let end = |p: &Position<'_>| match p.cps.as_slice() {
        [one] => Some(one.clone()),
        [] => None,
        _ => {
            p.at.error("a path begins and ends at one connection point");
            None
        }
    };
    let told = hints(at, ON_PATH);
    let losses = [("block", OnLoss::Block), ("bypass", OnLoss::Bypass)];
    Some(ForwardingPath {
        id: at.me(),
        vnffg: SmolStr::default(),
        classifiers: Vec::new(),
        from: end(first)?,
        hops: hops.iter().filter_map(|p| p.hop(around)).collect(),
        to: end(last)?,
        symmetric: told.flag("symmetric").unwrap_or(true),
        on_loss: told.get("on_loss").and_then(|l| l.choice(&losses)).unwrap_or_default(),
        drain_s: told.get("drain_timeout").and_then(|t| t.seconds()),
    })
}

fn rules(scope: &Scope<'_>, paths: &mut [ForwardingPath]) {
    for (kind, at) in policies(scope) {
        if !scope.types.is_a(&kind, RULE) {
            continue;
        }
        let name = at.path.rsplit('.').next().unwrap_or_default();
        let rule = classifier(SmolStr::new(name), &at);
        for t in at.need("targets").map(|t| t.items()).unwrap_or_default() {
            let Some(target) = t.text() else { continue };
            match paths.iter_mut().find(|p| p.id == target) {
                Some(p) => p.classifiers.push(rule.clone()),
                None => t.no_such("forwarding path (NFP)", &target, paths.iter().map(|p| p.id.as_str())),
            }
        }
    }
}

fn classifier(id: SmolStr, at: &At<'_>) -> Classifier {
    let mut out = Classifier { id, ..Classifier::default() };
    let Some(p) = at.need("properties") else { return out };
    p.known(&[
        "ether_destination_address",
        "ether_source_address",
        "ether_type",
        "vlan_tag",
        "protocol",
        "dscp",
        "source_port_range",
        "destination_port_range",
        "source_ip_address_prefix",
        "destination_ip_address_prefix",
        "extended_criteria",
    ]);
    for (key, why) in [
        ("ether_destination_address", "a path is taken by the MACs of its own ends"),
        ("ether_source_address", "a path is taken by the MACs of its own ends"),
        ("extended_criteria", "bits of a frame cannot be matched"),
    ] {
        if let Some(a) = p.get(key) {
            a.error(format!("is not offered: {why}"));
        }
    }
    out.family = p.get("ether_type").and_then(|t| t.choice(&[("ipv4", Family::Ipv4), ("ipv6", Family::Ipv6)]));
    let tags = p.get("vlan_tag").map(|t| t.items()).unwrap_or_default();
    if let [_, second, ..] = tags.as_slice() {
        second.error("stacked tags cannot be matched: give one");
    }
    out.vlan = tags.first().and_then(|t| t.parse::<u16>("a VLAN, 1 to 4094")).and_then(|v| VlanId::try_from(v).ok());
    if let (Some(t), None) = (tags.first(), out.vlan) {
        t.error("is no VLAN, 1 to 4094");
    }
    out.proto = p.get("protocol").and_then(|a| protocol(&a));
    out.dscp = p.get("dscp").and_then(|a| {
        let bits = a.text()?;
        let value = Some(&bits).filter(|b| b.len() == 6).and_then(|b| u8::from_str_radix(b, 2).ok());
        if value.is_none() {
            a.error("a DSCP is six digits 0 or 1, such as '101110'");
        }
        value
    });
    let net = |key: &str| p.get(key).and_then(|a| a.parse::<Cidr>("a network such as 192.0.2.0/24 or 2001:db8::/64")).map(Cidr::network);
    (out.src, out.dst) = (net("source_ip_address_prefix"), net("destination_ip_address_prefix"));
    let ports = |key: &str| p.get(key).and_then(|a| range(&a));
    (out.src_ports, out.dst_ports) = (ports("source_port_range"), ports("destination_port_range"));
    for why in out.faults() {
        p.error(why);
    }
    out
}

/// A keyword of IANA's registry, as far as they are met on such boxes, or a number.
fn protocol(at: &At<'_>) -> Option<IpProto> {
    let text = at.text()?.to_ascii_lowercase();
    let known = [
        ("tcp", IpProto::TCP),
        ("udp", IpProto::UDP),
        ("sctp", IpProto::SCTP),
        ("icmp", IpProto::ICMP),
        ("ipv6-icmp", IpProto::ICMP6),
        ("icmpv6", IpProto::ICMP6),
        ("gre", IpProto(47)),
        ("esp", IpProto(50)),
        ("ah", IpProto(51)),
    ];
    let found = known.iter().find(|(k, _)| *k == text).map(|(_, p)| *p).or_else(|| text.parse().ok().map(IpProto));
    if found.is_none() {
        at.no_such("protocol", &text, known.iter().map(|(k, _)| *k));
    }
    found
}

fn range(at: &At<'_>) -> Option<Ports> {
    let ends: Vec<Option<u16>> = at.items().iter().map(|e| e.int().and_then(|n| n.try_into().ok())).collect();
    let found = match ends.as_slice() {
        [Some(first), Some(last)] => Ports::new(*first, *last),
        _ => None,
    };
    if found.is_none() {
        at.error("is not a range of ports such as [ 80, 443 ]");
    }
    found
}

fn groups(scope: &Scope<'_>, paths: &mut [ForwardingPath]) {
    let Some(node) = scope.topology.get("groups") else { return };
    let all = At::new(scope, node.clone(), "topology_template.groups", None);
    for (name, group) in all.entries() {
        if !group.get("type").and_then(|t| t.text()).is_some_and(|k| scope.types.is_a(&k, VNFFG)) {
            continue;
        }
        for m in group.need("members").map(|m| m.items()).unwrap_or_default() {
            let Some(member) = m.text() else { continue };
            match paths.iter_mut().find(|p| p.id == member) {
                Some(p) if p.vnffg.is_empty() => p.vnffg = name.text.clone(),
                Some(p) => m.error(format!("'{member}' is a path of '{}' already", p.vnffg)),
                // VNFs, links and elements are named here too; only what there is not is wrong.
                None if scope.template(&member).is_some() => {}
                None => m.no_such("node template", &member, scope.templates().iter().map(|(k, _)| k.text.as_str())),
            }
        }
    }
}
