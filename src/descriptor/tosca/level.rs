//! Policies of a deployment flavour: instantiation levels and scaling aspects.
//!
//! Owns how counts are found: a level's own number, else the initial delta plus the steps that its
//! scale levels ask for. Never changes a count to make it fit; what does not fit is reported.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::{at::At, scope::Scope, versions};
use crate::model::vnfd::{Aspect, Level, Vdu};

/// Each policy of the topology as (its type, itself).
pub fn policies<'a>(scope: &'a Scope<'a>) -> Vec<(SmolStr, At<'a>)> {
    named_policies(scope).into_iter().map(|(_, kind, policy)| (kind, policy)).collect()
}

/// With their names before them.
pub fn named_policies<'a>(scope: &'a Scope<'a>) -> Vec<(SmolStr, SmolStr, At<'a>)> {
    let Some(node) = scope.topology.get("policies") else { return Vec::new() };
    let list = At::new(scope, node.clone(), "topology_template.policies", None);
    let mut out = Vec::new();
    for item in list.items() {
        for (name, policy) in item.entries() {
            match policy.need("type").and_then(|t| t.text()) {
                Some(kind) => out.push((name.text, kind, policy)),
                None => continue,
            }
        }
    }
    out
}

/// `affinity`, `versions` and `own` read these.
const ELSEWHERE: &[&str] =
    &["AffinityRule", "AntiAffinityRule", versions::POLICY, "LcmCoordinationAction", "LcmCoordinationsForLcmOperation"];
const IGNORED: &[&str] = &[
    "VirtualLinkInstantiationLevels",
    "VirtualLinkBitrateScalingAspectDeltas",
    "VirtualLinkBitrateInitialDelta",
    "SecurityGroupRule",
    "VnfIndicator",
    "VipCpScalingAspectDeltas",
    "VipCpInitialDelta",
    "VipCpInstantiationLevels",
];

/// Counts by (level or delta, VDU).
type Counts = BTreeMap<(SmolStr, SmolStr), u32>;

#[derive(Default)]
pub struct Levels {
    pub default_level: SmolStr,
    pub levels: Vec<Level>,
    pub aspects: Vec<Aspect>,
    /// CPs that a SupportedVnfInterface policy names: management comes in through them.
    pub management: Vec<SmolStr>,
}

/// Reads all policies of a flavour whose VDUs are known.
pub fn levels<'a>(scope: &'a Scope<'a>, vdus: &[Vdu]) -> Levels {
    let mut out = Levels::default();
    let mut initial: Vec<(SmolStr, u32)> = vdus.iter().map(|v| (v.id.clone(), v.min_instances)).collect();
    let mut by_level = Counts::new();
    let mut by_delta: Vec<(SmolStr, Counts)> = Vec::new();
    let mut steps: Vec<(SmolStr, Vec<SmolStr>)> = Vec::new();
    let mut level_policy = None;
    for (kind, policy) in policies(scope) {
        let is = |name: &str| scope.types.is_a(&kind, &format!("tosca.policies.nfv.{name}"));
        let Some(props) = policy.get("properties") else {
            if !is("SupportedVnfInterface") {
                policy.missing("properties");
            }
            continue;
        };
        if is("ScalingAspects") {
            aspects(&props, &mut out.aspects, &mut steps);
        } else if is("VduScalingAspectDeltas") {
            let Some(aspect) = props.need("aspect").and_then(|a| a.text()) else { continue };
            let mut counts = Counts::new();
            per_vdu(&policy, &props, "deltas", vdus, &mut counts);
            by_delta.push((aspect, counts));
        } else if is("VduInitialDelta") {
            let n = props.need("initial_delta").and_then(|d| d.need("number_of_instances")).and_then(|n| n.u32());
            for vdu in targets(&policy, vdus) {
                for slot in initial.iter_mut().filter(|(id, _)| *id == vdu) {
                    slot.1 = n.unwrap_or(slot.1);
                }
            }
        } else if is("VduInstantiationLevels") {
            per_vdu(&policy, &props, "levels", vdus, &mut by_level);
        } else if is("InstantiationLevels") {
            if level_policy.is_some() {
                policy.error("a flavour has one InstantiationLevels policy, and this is the second");
            }
            level_policy = Some(props);
        } else if is("SupportedVnfInterface") {
            out.management.extend(policy.get("targets").map(|t| t.items()).unwrap_or_default().iter().filter_map(|t| t.text()));
        } else if ELSEWHERE.iter().any(|p| is(p)) {
        } else if IGNORED.iter().any(|p| is(p)) {
            policy.warn(format!("{kind} is not acted on"));
        } else {
            policy.warn(format!("'{kind}' is no policy that Bothy knows; it is not acted on"));
        }
    }
    check_aspects(scope, &mut out.aspects, &steps, &by_delta);
    make_levels(&mut out, level_policy, vdus, &initial, &by_level);
    out
}

fn aspects(props: &At<'_>, out: &mut Vec<Aspect>, steps: &mut Vec<(SmolStr, Vec<SmolStr>)>) {
    for (id, a) in props.need("aspects").map(|a| a.entries()).unwrap_or_default() {
        a.known(&["name", "description", "max_scale_level", "step_deltas"]);
        let names = a.get("step_deltas").map(|s| s.items()).unwrap_or_default().iter().filter_map(|d| d.text()).collect();
        steps.push((id.text.clone(), names));
        out.push(Aspect {
            id: id.text.clone(),
            name: a.get("name").and_then(|n| n.text()).unwrap_or_else(|| id.text.clone()),
            max_level: a.need("max_scale_level").and_then(|m| m.u32()).unwrap_or(0),
            deltas: Vec::new(),
        });
    }
}

fn targets(policy: &At<'_>, vdus: &[Vdu]) -> Vec<SmolStr> {
    let mut out = Vec::new();
    let Some(list) = policy.need("targets") else { return out };
    for t in list.items() {
        let Some(name) = t.text() else { continue };
        if vdus.iter().any(|v| v.id == name) {
            if !out.contains(&name) {
                out.push(name);
            }
        } else {
            t.no_such("VDU", &name, vdus.iter().map(|v| v.id.as_str()));
        }
    }
    out
}

/// `key: { ID: { number_of_instances: N } }` for every target of the policy.
fn per_vdu(policy: &At<'_>, props: &At<'_>, key: &str, vdus: &[Vdu], out: &mut Counts) {
    let targets = targets(policy, vdus);
    for (id, at) in props.need(key).map(|l| l.entries()).unwrap_or_default() {
        let Some(n) = at.need("number_of_instances").and_then(|n| n.u32()) else { continue };
        for vdu in &targets {
            if let Some(old) = out.insert((id.text.clone(), vdu.clone()), n).filter(|old| *old != n) {
                at.warn(format!("{vdu} was given {old} instances before; {n} are taken"));
            }
        }
    }
}

/// Fills in each aspect's steps from the deltas that name it.
fn check_aspects(scope: &Scope<'_>, aspects: &mut [Aspect], steps: &[(SmolStr, Vec<SmolStr>)], by_delta: &[(SmolStr, Counts)]) {
    let at = scope.topology.get("policies").map_or(scope.topology.pos, |p| p.pos);
    let path = "topology_template.policies";
    for (aspect, _) in by_delta.iter().filter(|(a, _)| !aspects.iter().any(|k| k.id == *a)) {
        scope.sink.error(at, path, format!("deltas are given for the aspect '{aspect}', which no ScalingAspects policy has"));
    }
    for aspect in aspects {
        let mine: Vec<_> = by_delta.iter().filter(|(a, _)| *a == aspect.id).flat_map(|(_, c)| c).collect();
        let mut names: Vec<SmolStr> = steps.iter().filter(|(a, _)| *a == aspect.id).flat_map(|(_, s)| s.clone()).collect();
        if names.is_empty() {
            names = mine.iter().map(|((d, _), _)| d.clone()).collect();
            names.truncate(1);
        }
        if names.len() > 1 && names.len() != aspect.max_level as usize {
            let text = format!(
                "aspect '{}' has {} step_deltas; it needs one, or one for each of its {} steps",
                aspect.id,
                names.len(),
                aspect.max_level
            );
            scope.sink.error(at, path, text);
        }
        for name in &names {
            let step: Vec<(SmolStr, u32)> = mine.iter().filter(|((d, _), _)| d == name).map(|((_, v), n)| (v.clone(), **n)).collect();
            if step.is_empty() && aspect.max_level > 0 {
                let text = format!("aspect '{}' names the delta '{name}', which no VduScalingAspectDeltas policy gives", aspect.id);
                scope.sink.warn(at, path, text);
            }
            aspect.deltas.push(step);
        }
    }
}

/// VNFCs that an aspect at `level` adds to a VDU.
fn added(aspect: &Aspect, level: u32, vdu: &str) -> u64 {
    let of = |step: &Vec<(SmolStr, u32)>| step.iter().filter(|(v, _)| v == vdu).map(|(_, n)| u64::from(*n)).sum::<u64>();
    let listed: u64 = aspect.deltas.iter().take(level as usize).map(of).sum();
    let beyond = u64::from(level).saturating_sub(aspect.deltas.len() as u64);
    listed.saturating_add(aspect.deltas.last().map(of).unwrap_or(0).saturating_mul(beyond))
}

fn make_levels(out: &mut Levels, policy: Option<At<'_>>, vdus: &[Vdu], initial: &[(SmolStr, u32)], by_level: &Counts) {
    let start = |vdu: &str| initial.iter().find(|(id, _)| id == vdu).map_or(0, |(_, n)| *n);
    let Some(props) = policy else {
        let id = SmolStr::new_static("default");
        let counts = vdus.iter().map(|v| (v.id.clone(), start(&v.id))).collect();
        out.levels = vec![Level { id: id.clone(), description: SmolStr::default(), counts, scale: Vec::new() }];
        out.default_level = id;
        return;
    };
    props.known(&["levels", "default_level"]);
    for (id, at) in props.need("levels").map(|l| l.entries()).unwrap_or_default() {
        at.known(&["description", "scale_info"]);
        let mut scale = Vec::new();
        for (aspect, info) in at.get("scale_info").map(|s| s.entries()).unwrap_or_default() {
            let level = info.need("scale_level").and_then(|l| l.u32()).unwrap_or(0);
            match out.aspects.iter().find(|a| a.id == aspect.text) {
                None => info.no_such("scaling aspect", &aspect.text, out.aspects.iter().map(|a| a.id.as_str())),
                Some(a) if level > a.max_level => {
                    info.error(format!("level {level} is above the aspect's max_scale_level {}", a.max_level))
                }
                Some(_) => {}
            }
            scale.push((aspect.text.clone(), level));
        }
        let mut counts = Vec::new();
        for v in vdus {
            let own = by_level.get(&(id.text.clone(), v.id.clone())).copied();
            let n = own.unwrap_or_else(|| {
                let steps = scale.iter().filter_map(|(a, l)| Some(added(out.aspects.iter().find(|x| x.id == *a)?, *l, &v.id)));
                u32::try_from(steps.fold(u64::from(start(&v.id)), u64::saturating_add)).unwrap_or(u32::MAX)
            });
            if n < v.min_instances || n > v.max_instances {
                let text =
                    format!("{n} instances of VDU '{}' are outside its vdu_profile, {} to {}", v.id, v.min_instances, v.max_instances);
                at.error(text);
            }
            counts.push((v.id.clone(), n));
        }
        let description = at.get("description").and_then(|d| d.text()).unwrap_or_default();
        out.levels.push(Level { id: id.text.clone(), description, counts, scale });
    }
    let known = || out.levels.iter().map(|l| l.id.as_str());
    for (level, _) in by_level.keys().filter(|(l, _)| !known().any(|k| k == l)) {
        props.error(format!("a VduInstantiationLevels policy has the level '{level}', which is not among the levels here"));
    }
    out.default_level = match props.get("default_level").and_then(|d| Some((d.text()?, d))) {
        Some((id, at)) => {
            if !known().any(|k| k == id) {
                at.no_such("instantiation level", &id, known());
            }
            id
        }
        None if out.levels.len() > 1 => {
            props.missing("default_level");
            SmolStr::default()
        }
        None => out.levels.first().map(|l| l.id.clone()).unwrap_or_default(),
    };
}
