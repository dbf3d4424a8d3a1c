//! Ways from one version of a VNF to another (SOL001 6.10, VnfPackageChange).
//!
//! Owns which VNFDs and flavours such a policy leads from and to, and what it calls otherwise there. Never: whether a VNF can
//! go that way.

use smol_str::SmolStr;

use super::{at::At, level::named_policies, scope::Scope};
use crate::model::vnfd::VersionPath;

/// What a policy of the kind is told by, for the reader of all policies.
pub const POLICY: &str = "VnfPackageChange";

const COMPONENTS: &[(&str, ())] =
    &[("vdu", ()), ("cp", ()), ("virtual_link", ()), ("virtual_storage", ()), ("instantiation_level", ()), ("scaling_aspect", ())];

/// All ways that the policies of a topology describe; `vnfd` is the one they stand in.
pub fn paths(scope: &Scope<'_>, vnfd: &str) -> Vec<VersionPath> {
    let mut out = Vec::new();
    for (_, kind, policy) in named_policies(scope) {
        // A policy without properties is told of elsewhere.
        if let Some(props) = policy.get("properties").filter(|_| scope.types.is_a(&kind, &format!("tosca.policies.nfv.{POLICY}"))) {
            out.extend(policy_paths(&props, vnfd));
        }
    }
    out
}

fn policy_paths(props: &At<'_>, vnfd: &str) -> Vec<VersionPath> {
    // Coordinations are read by `own`.
    let beside = ["additional_modification_description", "actions", "referenced_coordination_actions"];
    props.known(&[&["selector", "modification_qualifier", "component_mappings", "destination_flavour_id"], &beside[..]].concat());
    if let Some(q) = props.need("modification_qualifier") {
        q.choice(&[("up", ()), ("down", ())]);
    }
    let to_flavour = props.need("destination_flavour_id").and_then(|f| f.text());
    let renamed: Vec<(SmolStr, SmolStr)> =
        props.get("component_mappings").map(|m| m.items()).unwrap_or_default().iter().filter_map(mapping).filter(|(a, b)| a != b).collect();
    let mut out = Vec::new();
    for s in props.need("selector").map(|s| s.items()).unwrap_or_default() {
        s.known(&["source_descriptor_id", "destination_descriptor_id", "source_flavour_id"]);
        let need = |name: &str| s.need(name).and_then(|v| v.text());
        let (from, to, flavour) = (need("source_descriptor_id"), need("destination_descriptor_id"), need("source_flavour_id"));
        let (Some(from_vnfd), Some(to_vnfd), Some(from_flavour), Some(to_flavour)) = (from, to, flavour, to_flavour.clone()) else {
            continue;
        };
        if from_vnfd != vnfd && to_vnfd != vnfd {
            s.error(format!("leads neither from this VNFD ({vnfd}) nor to it"));
        }
        out.push(VersionPath { from_vnfd, from_flavour, to_vnfd, to_flavour, renamed: renamed.clone() });
    }
    out
}

fn mapping(m: &At<'_>) -> Option<(SmolStr, SmolStr)> {
    m.known(&["component_type", "source_id", "destination_id", "description"]);
    m.need("component_type").and_then(|c| c.choice(COMPONENTS));
    Some((m.need("source_id")?.text()?, m.need("destination_id")?.text()?))
}
