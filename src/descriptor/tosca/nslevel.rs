//! Policies of a network service: its instantiation levels.
//!
//! Owns how many of each member a level has.

use smol_str::SmolStr;

use super::{at::At, level::policies, nsaffinity::is_rule, nsaspect::is_of_aspects, scope::Scope};
use crate::model::nsd::{Member, NsLevel};

/// Levels and the default one; `wanted` is what `ns_profile` asks for.
pub fn levels(scope: &Scope<'_>, members: &[Member], wanted: Option<SmolStr>) -> (Vec<NsLevel>, SmolStr) {
    let mut counts: Vec<(SmolStr, SmolStr, u32)> = Vec::new();
    let mut policy = None;
    for (kind, at) in policies(scope) {
        let is = |name: &str| scope.types.is_a(&kind, &format!("tosca.policies.nfv.{name}"));
        if is("NsInstantiationLevels") {
            if policy.is_some() {
                at.error("a flavour has one NsInstantiationLevels policy, and this is the second");
            }
            policy = at.need("properties");
        } else if is("VnfToInstantiationLevelMapping") {
            mapping(&at, members, &mut counts);
        } else if !is("NfpRule") && !is_of_aspects(scope, &kind) && !is_rule(scope, &kind) {
            at.warn(format!("{kind} is not acted on yet"));
        }
    }
    let Some(props) = policy else {
        let id = SmolStr::new_static("default");
        let counts = members.iter().map(|m| (m.id.clone(), m.min_instances)).collect();
        return (vec![NsLevel { id: id.clone(), description: SmolStr::default(), counts }], id);
    };
    props.known(&["ns_levels", "default_level"]);
    let mut out: Vec<NsLevel> = Vec::new();
    for (id, at) in props.need("ns_levels").map(|l| l.entries()).unwrap_or_default() {
        let count = |m: &Member| {
            let n = counts.iter().find(|(l, v, _)| *l == id.text && *v == m.id).map_or(m.min_instances, |(_, _, n)| *n);
            if n < m.min_instances || n > m.max_instances {
                let text = format!("{n} instances of '{}' are outside its vnf_profile, {} to {}", m.id, m.min_instances, m.max_instances);
                at.error(text);
            }
            (m.id.clone(), n)
        };
        let counts = members.iter().map(count).collect();
        let description = at.get("description").and_then(|d| d.text()).unwrap_or_default();
        out.push(NsLevel { id: id.text.clone(), description, counts });
    }
    for (level, _, _) in counts.iter().filter(|(l, _, _)| !out.iter().any(|k| k.id == *l)) {
        props.error(format!("a VnfToInstantiationLevelMapping has the level '{level}', which is not among ns_levels"));
    }
    let said = props.get("default_level");
    let default = match said.as_ref().and_then(|d| d.text()).or(wanted) {
        Some(id) => {
            if !out.iter().any(|l| l.id == id) {
                said.as_ref().unwrap_or(&props).no_such("instantiation level", &id, out.iter().map(|l| l.id.as_str()));
            }
            id
        }
        None if out.len() > 1 => {
            props.missing("default_level");
            SmolStr::default()
        }
        None => out.first().map(|l| l.id.clone()).unwrap_or_default(),
    };
    (out, default)
}

fn mapping(policy: &At<'_>, members: &[Member], out: &mut Vec<(SmolStr, SmolStr, u32)>) {
    let Some(props) = policy.need("properties") else { return };
    let targets = members_named(policy, members);
    for (level, n) in props.need("number_of_instances").map(|n| n.entries()).unwrap_or_default() {
        let Some(n) = n.u32() else { continue };
        out.extend(targets.iter().map(|t| (level.text.clone(), t.clone(), n)));
    }
}

/// The members that are the policy's targets.
pub fn members_named(policy: &At<'_>, members: &[Member]) -> Vec<SmolStr> {
    let mut targets = Vec::new();
    for t in policy.need("targets").map(|t| t.items()).unwrap_or_default() {
        let Some(name) = t.text() else { continue };
        if members.iter().any(|m| m.id == name) {
            targets.push(name);
        } else {
            t.no_such("VNF", &name, members.iter().map(|m| m.id.as_str()));
        }
    }
    targets
}
