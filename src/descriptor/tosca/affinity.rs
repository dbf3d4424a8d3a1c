//! Affinity and anti-affinity of a VNFD: which guests share a part of the box, and which share none.
//!
//! Owns SOL001's AffinityRule, AntiAffinityRule and PlacementGroup: whom a rule is for, what its scope is
//! where there is one host, and rules that no placement could keep. A rule for a VDU is for the guests of
//! that VDU, one for a group is for all guests of all its members. Never: where a guest goes, or how many
//! there are.

use smol_str::{SmolStr, format_smolstr};

use super::{
    at::At,
    hints::{ON_RULE, hints},
    level::named_policies,
    scope::Scope,
};
use crate::model::order::Order as _;
use crate::model::{
    epa::MemPolicy,
    vnfd::{Apartness, GuestGroup, IntLink, Vdu},
};

const AFFINITY: &str = "tosca.policies.nfv.AffinityRule";
const ANTI_AFFINITY: &str = "tosca.policies.nfv.AntiAffinityRule";
const GROUP: &str = "tosca.groups.nfv.PlacementGroup";

/// How far a rule reaches. A box is one host, zone and point of presence alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Box,
    NumaNode,
}

/// A placement group, or a VDU or link that is the target of a rule itself.
#[derive(Clone)]
struct Members {
    name: SmolStr,
    vdus: Vec<SmolStr>,
    links: Vec<SmolStr>,
}

/// One rule for one target.
struct Rule<'a> {
    id: SmolStr,
    together: bool,
    reach: Reach,
    vdus: Vec<SmolStr>,
    at: At<'a>,
}

/// What the placement of this flavour's guests has to keep.
pub fn groups<'a>(scope: &'a Scope<'a>, vdus: &[Vdu], links: &[IntLink]) -> Vec<GuestGroup> {
    let mut known = placement_groups(scope, vdus, links);
    let mut unused: Vec<SmolStr> = known.iter().map(|(m, _)| m.name.clone()).collect();
    let single = |name: &SmolStr, vdus, links| Members { name: name.clone(), vdus, links };
    known.extend(vdus.iter().map(|v| (single(&v.id, vec![v.id.clone()], Vec::new()), None)));
    known.extend(links.iter().map(|l| (single(&l.id, Vec::new(), vec![l.id.clone()]), None)));
    let mut rules: Vec<Rule<'a>> = Vec::new();
    for (name, kind, policy) in named_policies(scope) {
        let together = scope.types.is_a(&kind, AFFINITY);
        if !together && !scope.types.is_a(&kind, ANTI_AFFINITY) {
            continue;
        }
        let Some(reach) = reach(&policy) else { continue };
        let targets = policy.need("targets").map(|t| t.items()).unwrap_or_default();
        if targets.iter().filter(|t| t.text().is_some_and(|t| vdus.iter().any(|v| v.id == t))).count() > 1 {
            let hint = "a group of type tosca.groups.nfv.PlacementGroup as target puts the guests of all its members under the rule";
            policy.warn_hint("is for the guests of each of these VDUs among themselves", hint);
        }
        for t in &targets {
            let Some(target) = t.text() else { continue };
            let Some((members, _)) = known.iter().find(|(m, _)| m.name == target) else {
                t.no_such("VDU, virtual link or placement group", &target, known.iter().map(|(m, _)| m.name.as_str()));
                continue;
            };
            unused.retain(|u| *u != target);
            if !together && members.links.len() > 1 {
                t.error(format!("{} cannot be apart: all virtual links are on the one switch of the box", members.links.join(" and ")));
            }
            let id = if targets.len() == 1 { name.clone() } else { format_smolstr!("{name}/{target}") };
            rules.push(Rule { id, together, reach, vdus: members.vdus.clone(), at: t.clone() });
        }
    }
    for (m, at) in known.iter().filter(|(m, _)| unused.contains(&m.name)) {
        if let Some(at) = at {
            at.warn(format!("no affinity rule has the group '{}' as its target", m.name));
        }
    }
    for r in &rules {
        check(r, &rules, vdus);
    }
    let kept = |r: Rule<'a>| {
        let kind = match (r.together, r.reach) {
            // Where there is one host, all guests are on it.
            (true, Reach::Box) => return None,
            (true, Reach::NumaNode) => Apartness::SameNode,
            (false, Reach::NumaNode) => Apartness::OtherNode,
            (false, Reach::Box) => Apartness::OtherHost,
        };
        (!r.vdus.is_empty()).then_some(GuestGroup { id: r.id, kind, vdus: r.vdus })
    };
    rules.into_iter().filter_map(kept).collect()
}

fn placement_groups<'a>(scope: &'a Scope<'a>, vdus: &[Vdu], links: &[IntLink]) -> Vec<(Members, Option<At<'a>>)> {
    let Some(node) = scope.topology.get("groups") else { return Vec::new() };
    let all = At::new(scope, node.clone(), "topology_template.groups", None);
    let mut out = Vec::new();
    for (name, at) in all.entries() {
        let Some(kind) = at.need("type").and_then(|t| t.text()) else { continue };
        if !scope.types.is_a(&kind, GROUP) {
            at.warn(format!("{kind} is not acted on"));
            continue;
        }
        let mut m = Members { name: name.text, vdus: Vec::new(), links: Vec::new() };
        for member in at.need("members").map(|m| m.items()).unwrap_or_default() {
            let Some(id) = member.text() else { continue };
            if vdus.iter().any(|v| v.id == id) {
                m.vdus.push(id);
            } else if links.iter().any(|l| l.id == id) {
                m.links.push(id);
            } else {
                let known = vdus.iter().map(|v| v.id.as_str()).chain(links.iter().map(|l| l.id.as_str()));
                member.no_such("VDU or virtual link", &id, known);
            }
        }
        for of in [&mut m.vdus, &mut m.links] {
            of.order();
            of.dedup();
        }
        out.push((m, Some(at)));
    }
    out
}

/// What the scope of a rule, in a VNFD or an NSD, is on a box.
pub fn reach(policy: &At<'_>) -> Option<Reach> {
    // A policy without properties is told of elsewhere.
    let props = policy.get("properties")?;
    props.known(&["scope", "nfvi_maintenance_group_info"]);
    props.not_acted_on(&["nfvi_maintenance_group_info"]);
    let said = props.need("scope")?;
    match said.text()?.as_str() {
        "container_namespace" | "cis_node" => {
            said.error("is a scope of containers, which are not offered");
            return None;
        }
        "numa_node" => {
            let hint = "scope: nfvi_node, and in the rule's metadata bothy.scope: numa_node";
            said.error_hint("'numa_node' is no scope of SOL001", hint);
            return None;
        }
        _ => {}
    }
    let here = ["nfvi_node", "zone", "zone_group", "nfvi_pop", "network_link_and_node"].map(|s| (s, Reach::Box));
    let reach = said.choice(&here)?;
    match hints(policy, ON_RULE).get("scope") {
        Some(narrower) => narrower.choice(&[("numa_node", Reach::NumaNode)]),
        None => Some(reach),
    }
}

/// Reports what no placement could keep.
fn check(r: &Rule<'_>, rules: &[Rule<'_>], vdus: &[Vdu]) {
    let of = |id: &SmolStr| vdus.iter().find(|v| v.id == *id);
    if r.together {
        let apart = |v: &&Vdu| v.epa.numa.as_ref().is_some_and(|n| n.policy == MemPolicy::Strict && n.cells.len() > 1);
        for v in r.vdus.iter().filter_map(of).filter(apart).filter(|_| r.reach == Reach::NumaNode) {
            r.at.error(format!("VDU '{}' asks for several NUMA nodes (STRICT), and its guests are to be on one", v.id));
        }
        return;
    }
    // Guests on one node are on one host; those on one host need not be on one node.
    let against: Vec<&Rule<'_>> = rules.iter().filter(|o| o.together && (o.reach == Reach::NumaNode || r.reach == Reach::Box)).collect();
    for id in &r.vdus {
        let mut with = vec![id.clone()];
        let mut by: Option<&Rule<'_>> = None;
        while let Some(o) = against.iter().find(|o| o.vdus.iter().any(|v| with.contains(v)) && !o.vdus.iter().all(|v| with.contains(v))) {
            by = by.or(Some(o));
            with.extend(o.vdus.iter().filter(|v| !with.contains(v)).cloned().collect::<Vec<_>>());
        }
        let own = against.iter().find(|o| o.vdus.contains(id) && of(id).is_some_and(|v| v.max_instances > 1)).copied();
        let other = by.filter(|_| r.vdus.iter().any(|v| v != id && with.contains(v)));
        if let Some(o) = other.or(own) {
            return r.at.error(format!("contradicts '{}': guests that are together there would have to be apart here", o.id));
        }
    }
    let sum = |n: fn(&Vdu) -> u32| r.vdus.iter().filter_map(of).map(n).fold(0u32, u32::saturating_add);
    if r.reach == Reach::Box && sum(|v| v.max_instances) > 1 {
        let text = format!("{} have no second host, zone or point of presence to be apart on: a box is one", guests(&r.vdus));
        let hint = "metadata of the rule, bothy.scope: numa_node, has them on different NUMA nodes of the box";
        if sum(|v| v.min_instances) > 1 {
            r.at.error_hint(text, hint);
        } else {
            r.at.warn_hint(format!("{text}; more than one is refused"), hint);
        }
    }
}

fn guests(vdus: &[SmolStr]) -> String {
    format!("guests of {}", vdus.join(", "))
}
