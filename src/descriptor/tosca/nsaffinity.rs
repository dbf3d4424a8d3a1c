//! Affinity and anti-affinity of an NSD: which VNFs of a service share the box, and which cannot.
//!
//! Owns SOL001's NsAffinityRule, NsAntiAffinityRule and NsPlacementGroup, as far as one box goes: VNFs that
//! are to share a host, zone or point of presence do, and nothing has to be kept of that; VNFs that are to be
//! apart have nowhere to go, and the descriptor is refused as it is read. A VNF as target is for the
//! instances of that one, a group for all instances of all its members. Never: rules within a VNF.

use smol_str::SmolStr;

use super::{
    affinity::{Reach, reach},
    at::At,
    level::policies,
    scope::Scope,
};
use crate::model::nsd::{Member, NsLink};

const AFFINITY: &str = "tosca.policies.nfv.NsAffinityRule";
const ANTI_AFFINITY: &str = "tosca.policies.nfv.NsAntiAffinityRule";
const GROUP: &str = "tosca.groups.nfv.NsPlacementGroup";

/// Whom a rule is for: a group, a VNF or a link.
struct Target<'a> {
    name: SmolStr,
    vnfs: Vec<&'a Member>,
    links: Vec<&'a NsLink>,
}

pub fn is_rule(scope: &Scope<'_>, kind: &str) -> bool {
    scope.types.is_a(kind, AFFINITY) || scope.types.is_a(kind, ANTI_AFFINITY)
}

pub fn is_group(scope: &Scope<'_>, kind: &str) -> bool {
    scope.types.is_a(kind, GROUP)
}

/// Reports each rule that one box cannot keep.
pub fn check(scope: &Scope<'_>, members: &[Member], links: &[NsLink]) {
    let (mut known, at_groups): (Vec<Target<'_>>, Vec<At<'_>>) = groups(scope, members, links).into_iter().unzip();
    let grouped = known.len();
    known.extend(members.iter().map(|m| Target { name: m.id.clone(), vnfs: vec![m], links: Vec::new() }));
    known.extend(links.iter().map(|l| Target { name: l.id.clone(), vnfs: Vec::new(), links: vec![l] }));
    let mut used: Vec<SmolStr> = Vec::new();
    for (kind, policy) in policies(scope) {
        if !is_rule(scope, &kind) {
            continue;
        }
        if policy.get("properties").is_none() {
            policy.missing("properties");
        }
        let reach = reach(&policy);
        for t in policy.need("targets").map(|t| t.items()).unwrap_or_default() {
            let Some(name) = t.text() else { continue };
            let Some(target) = known.iter().find(|k| k.name == name) else {
                t.no_such("VNF, virtual link or placement group", &name, known.iter().map(|k| k.name.as_str()));
                continue;
            };
            used.push(name);
            match reach {
                Some(Reach::NumaNode) => t.error_hint(
                    "VNFs of a service are not put on NUMA nodes by a rule: each VNF is placed by itself",
                    "the VNFD's own rules, with bothy.scope: numa_node, are for the guests of one VNF",
                ),
                Some(Reach::Box) if scope.types.is_a(&kind, ANTI_AFFINITY) => apart(&t, target),
                // All are on the one host there is; or what is wrong with the scope has been said.
                Some(Reach::Box) | None => {}
            }
        }
    }
    let names: Vec<SmolStr> = known.into_iter().take(grouped).map(|k| k.name).collect();
    for (name, at) in names.iter().zip(at_groups).filter(|(n, _)| !used.contains(n)) {
        at.warn(format!("no affinity rule has the group '{name}' as its target"));
    }
}

/// Instances that a service may have, not only those that it begins with: none is stored to be held to later.
fn apart(at: &At<'_>, target: &Target<'_>) {
    let names = |of: Vec<&str>| of.join(", ");
    if target.links.len() > 1 {
        let links = names(target.links.iter().map(|l| l.id.as_str()).collect());
        at.error(format!("{links} cannot be apart: all virtual links are on the one switch of the box"));
    }
    if target.vnfs.iter().map(|m| m.max_instances).fold(0u32, u32::saturating_add) > 1 {
        let vnfs = names(target.vnfs.iter().map(|m| m.id.as_str()).collect());
        let text = format!("instances of {vnfs} have no second host, zone or point of presence to be apart on: a box is one");
        at.error_hint(text, "leave the rule out for a box, or let there be one instance (vnf_profile: max_number_of_instances)");
    }
}

fn groups<'a>(scope: &'a Scope<'a>, members: &'a [Member], links: &'a [NsLink]) -> Vec<(Target<'a>, At<'a>)> {
    let Some(node) = scope.topology.get("groups") else { return Vec::new() };
    let all = At::new(scope, node.clone(), "topology_template.groups", None);
    let mut out = Vec::new();
    for (name, at) in all.entries() {
        if !at.get("type").and_then(|t| t.text()).is_some_and(|kind| is_group(scope, &kind)) {
            continue;
        }
        let mut target = Target { name: name.text, vnfs: Vec::new(), links: Vec::new() };
        for item in at.need("members").map(|m| m.items()).unwrap_or_default() {
            let Some(id) = item.text() else { continue };
            if target.vnfs.iter().any(|v| v.id == id) || target.links.iter().any(|l| l.id == id) {
                item.warn(format!("has '{id}' twice"));
            } else if let Some(m) = members.iter().find(|m| m.id == id) {
                target.vnfs.push(m);
            } else if let Some(l) = links.iter().find(|l| l.id == id) {
                target.links.push(l);
            } else {
                let known = members.iter().map(|m| m.id.as_str()).chain(links.iter().map(|l| l.id.as_str()));
                item.no_such("VNF or virtual link", &id, known);
            }
        }
        out.push((target, at));
    }
    out
}
