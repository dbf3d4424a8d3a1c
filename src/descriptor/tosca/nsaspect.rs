//! Policies of a network service: its scaling aspects (NsScalingAspects, VnfToLevelMapping of SOL001).
//!
//! Owns how many of each member each level of an aspect has, and that this is said once and whole.

use smol_str::SmolStr;

use super::{at::At, level::policies, nslevel::members_named, scope::Scope};
use crate::model::nsd::{Member, NsAspect};
use crate::model::order::Order as _;

pub fn is_of_aspects(scope: &Scope<'_>, kind: &str) -> bool {
    ["NsScalingAspects", "VnfToLevelMapping"].iter().any(|name| is(scope, kind, name))
}

fn is(scope: &Scope<'_>, kind: &str, name: &str) -> bool {
    scope.types.is_a(kind, &format!("tosca.policies.nfv.{name}"))
}

pub fn aspects(scope: &Scope<'_>, members: &[Member]) -> Vec<NsAspect> {
    let mut out: Vec<NsAspect> = Vec::new();
    let all = policies(scope);
    for (_, at) in all.iter().filter(|(kind, _)| is(scope, kind, "NsScalingAspects")) {
        let Some(props) = at.need("properties") else { continue };
        props.known(&["aspects"]);
        for (id, a) in props.need("aspects").map(|a| a.entries()).unwrap_or_default() {
            a.known(&["name", "description", "ns_scale_levels"]);
            let levels = a.need("ns_scale_levels").map(|l| l.entries()).unwrap_or_default();
            let mut numbers: Vec<usize> = levels.iter().filter_map(|(k, _)| k.text.parse().ok()).collect();
            numbers.order();
            if numbers.len() != levels.len() || numbers.iter().enumerate().any(|(i, n)| i != *n) {
                a.error("ns_scale_levels are numbered 0, 1, 2 and so on, and none is left out");
            }
            let name = a.get("name").and_then(|n| n.text()).unwrap_or_else(|| id.text.clone());
            out.push(NsAspect { id: id.text.clone(), name, levels: vec![Vec::new(); levels.len()] });
        }
    }
    for (_, at) in all.iter().filter(|(kind, _)| is(scope, kind, "VnfToLevelMapping")) {
        mapping(at, members, &mut out);
    }
    for a in out.iter().filter(|a| a.levels.first().is_none_or(Vec::is_empty)) {
        let path = "topology_template.policies";
        scope.sink.warn(scope.topology.pos, path, format!("no VnfToLevelMapping says what aspect '{}' scales: it scales nothing", a.id));
    }
    out
}

fn mapping(policy: &At<'_>, members: &[Member], aspects: &mut [NsAspect]) {
    let Some(props) = policy.need("properties") else { return };
    props.known(&["aspect", "number_of_instances"]);
    let targets = members_named(policy, members);
    let Some((id, of)) = props.need("aspect").and_then(|a| Some((a.text()?, a))) else { return };
    if let Some((other, m)) = aspects.iter().find_map(|a| Some((a, said_by(a, &targets)?))) {
        policy.error(format!("how many of '{m}' there are is said by aspect '{}' already", other.id));
        return;
    }
    let known: Vec<SmolStr> = aspects.iter().map(|a| a.id.clone()).collect();
    let Some(aspect) = aspects.iter_mut().find(|a| a.id == id) else {
        of.no_such("scaling aspect", &id, known.iter().map(SmolStr::as_str));
        return;
    };
    let Some(numbers) = props.need("number_of_instances") else { return };
    let mut said = vec![false; aspect.levels.len()];
    for (level, n) in numbers.entries() {
        let Some(count) = n.u32() else { continue };
        let index = level.text.parse::<usize>().ok().filter(|i| *i < aspect.levels.len());
        let Some(index) = index else {
            n.error(format!("aspect '{id}' has no level '{}'; it has 0 to {}", level.text, aspect.levels.len().saturating_sub(1)));
            continue;
        };
        said[index] = true;
        for t in &targets {
            if let Some(m) = members.iter().find(|m| m.id == *t)
                && (count < m.min_instances || count > m.max_instances)
            {
                let text = format!("{count} instances of '{t}' are outside its vnf_profile, {} to {}", m.min_instances, m.max_instances);
                n.error(text);
            }
            aspect.levels[index].push((t.clone(), count));
        }
    }
    if said.iter().any(|s| !s) {
        numbers.error(format!("each level of aspect '{id}' needs a number, 0 to {}", aspect.levels.len().saturating_sub(1)));
    }
}

/// A member that the aspect scales already.
fn said_by<'t>(a: &NsAspect, targets: &'t [SmolStr]) -> Option<&'t SmolStr> {
    targets.iter().find(|t| a.levels.iter().flatten().any(|(m, _)| m == *t))
}
