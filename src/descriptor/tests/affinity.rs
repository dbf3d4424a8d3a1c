//! Rules of affinity as packages write them: what the model keeps of each, and what is told of it.

use super::{Content, read, said, variant};
use crate::model::vnfd::Apartness;

const PAIR: &str = "Definitions/router_df_pair.yaml";
const POLICIES: &str = "    - watchers:";

/// The package `router` with these policies, and these groups, in its flavour `pair`.
fn edits<'a>(policies: &'a str, groups: &'a str) -> [(&'static str, &'static str, &'a str); 2] {
    [(PAIR, POLICIES, policies), (PAIR, "  policies:\n", groups)]
}

fn rule(name: &str, anti: bool, targets: &str, scope: &str) -> String {
    let kind = if anti { "AntiAffinityRule" } else { "AffinityRule" };
    // A scope in capitals is Bothy's own, in the metadata.
    let (scope, metadata) = match scope {
        "NUMA" => ("nfvi_node", ", metadata: { bothy.scope: numa_node }"),
        other => (other, ""),
    };
    format!("    - {name}: {{ type: tosca.policies.nfv.{kind}, targets: {targets}, properties: {{ scope: {scope} }}{metadata} }}\n")
}

const BOTH: &str =
    "  groups:\n    both: { type: tosca.groups.nfv.PlacementGroup, members: [ watch, gw ], properties: { description: x } }\n";

fn with(rules: &[String], groups: &str) -> (String, Vec<(String, Apartness, String)>) {
    let (policies, groups) = (rules.concat() + POLICIES, format!("{groups}  policies:\n"));
    let edits = edits(&policies, &groups);
    let dir = variant("router", &edits);
    let kept = match read(dir.path()) {
        Ok(Content::Vnf(c)) => {
            let f = c.vnfd.flavour("pair").expect("flavour").clone();
            f.groups.into_iter().map(|g| (g.id.to_string(), g.kind, g.vdus.join(" "))).collect()
        }
        Ok(_) => panic!("not an NSD"),
        Err(_) => Vec::new(),
    };
    (said("router", &edits), kept)
}

#[test]
fn each_rule_and_scope_becomes_what_one_box_can_keep() {
    let one = |id: &str, kind, vdus: &str| (id.to_owned(), kind, vdus.to_owned());
    for (rules, groups, want) in [
        (vec![rule("near", false, "[ gw ]", "NUMA")], "", vec![one("near", Apartness::SameNode, "gw")]),
        (vec![rule("far", true, "[ both ]", "NUMA")], BOTH, vec![one("far", Apartness::OtherNode, "gw watch")]),
        (vec![rule("far", true, "[ gw ]", "nfvi_node")], "", vec![one("far", Apartness::OtherHost, "gw")]),
        (vec![rule("far", true, "[ gw ]", "zone_group")], "", vec![one("far", Apartness::OtherHost, "gw")]),
        // One host: those that are to share it do.
        (vec![rule("near", false, "[ both ]", "nfvi_node"), rule("pop", false, "[ sync ]", "nfvi_pop")], BOTH, vec![]),
        (
            vec![rule("far", true, "[ gw, watch ]", "NUMA")],
            "",
            vec![one("far/gw", Apartness::OtherNode, "gw"), one("far/watch", Apartness::OtherNode, "watch")],
        ),
        // On one host, and on different nodes of it.
        (
            vec![rule("near", false, "[ both ]", "nfvi_node"), rule("far", true, "[ both ]", "NUMA")],
            BOTH,
            vec![one("far", Apartness::OtherNode, "gw watch")],
        ),
    ] {
        let (said, kept) = with(&rules, groups);
        assert!(said.starts_with("taken"), "{rules:?}: {said}");
        assert_eq!(kept, want, "{rules:?}");
    }
}

#[test]
fn what_no_placement_can_keep_is_refused_with_its_line() {
    let group = "  groups:\n    both: { type: tosca.groups.nfv.PlacementGroup, members: [ gw, wach ] }\n";
    let links = "  groups:\n    lines: { type: tosca.groups.nfv.PlacementGroup, members: [ sync, other ] }\n";
    for (rules, groups, want) in [
        (
            vec![rule("far", true, "[ gww ]", "NUMA")],
            "",
            "there is no VDU, virtual link or placement group 'gww'\n    at: topology_template.policies[4].far.targets[0]\n    hint: did you mean 'gw'?",
        ),
        (vec![rule("far", true, "[ both ]", "NUMA")], group, "members[1]: there is no VDU or virtual link 'wach'"),
        (vec![rule("far", true, "[ gw ]", "nfvi_nod")], "", "'nfvi_nod' is none of nfvi_node, zone, zone_group, nfvi_pop"),
        (vec![rule("far", true, "[ gw ]", "numa_node")], "", "bothy.scope: numa_node"),
        (vec![rule("far", true, "[ gw ]", "cis_node")], "", "is a scope of containers"),
        (vec![rule("far", true, "[ both ]", "nfvi_node")], BOTH, "guests of gw, watch have no second host, zone or point of presence"),
        (
            vec![rule("near", false, "[ both ]", "NUMA"), rule("far", true, "[ both ]", "NUMA")],
            BOTH,
            "targets[0]: contradicts 'near': guests that are together there would have to be apart here",
        ),
        // Of one VDU there may be four.
        (vec![rule("near", false, "[ both ]", "NUMA"), rule("far", true, "[ gw ]", "nfvi_node")], BOTH, "contradicts 'near'"),
        (vec![rule("near", false, "[ both ]", "zone"), rule("far", true, "[ both ]", "zone")], BOTH, "contradicts 'near'"),
        (
            vec!["    - far: { type: tosca.policies.nfv.AntiAffinityRule, targets: [ gw ] }\n".into()],
            "",
            "properties: is missing\n    at: topology_template.policies[4].far.properties",
        ),
        (vec!["    - far: { type: tosca.policies.nfv.AntiAffinityRule, targets: [ gw ], properties: { } }\n".into()], "", "is missing"),
        (vec![rule("far", true, "[ lines ]", "nfvi_node")], links, "there is no VDU or virtual link 'other'"),
    ] {
        let (said, _) = with(&rules, groups);
        assert!(said.starts_with("refused"), "{want}: {said}");
        assert!(said.contains(want) && said.contains("router_df_pair.yaml:"), "wanted {want:?} in {said}");
    }
}

#[test]
fn what_may_come_to_a_refusal_or_to_nothing_is_warned_of() {
    for (rules, groups, want) in [
        (vec![rule("far", true, "[ gw ]", "nfvi_node")], "", "more than one is refused"),
        (vec![], BOTH, "no affinity rule has the group 'both' as its target"),
        (vec![rule("near", false, "[ gw, watch ]", "NUMA")], "", "is for the guests of each of these VDUs among themselves"),
    ] {
        let (said, _) = with(&rules, groups);
        assert!(said.starts_with("taken") && said.contains(want), "wanted {want:?} in {said}");
    }
}

const EDGE: &str = "Definitions/edge.yaml";

/// What the service `edge` (one `inner`, up to two `outer`) is told with a rule and a group of its own.
fn of_service(kind: &str, targets: &str, rest: &str, group: &str) -> String {
    let groups = format!("  groups:\n    both: {{ type: tosca.groups.nfv.NsPlacementGroup, members: [ {group} ] }}\n");
    let rule = format!("    - of: {{ type: tosca.policies.nfv.{kind}, targets: [ {targets} ]{rest} }}\n");
    let policies = format!("{}  policies:\n{rule}    - levels:", if group.is_empty() { "" } else { &groups });
    said("edge", &[(EDGE, "  policies:\n    - levels:", &policies)])
}

#[test]
fn what_a_service_asks_of_one_box_is_kept_or_refused_with_the_reason() {
    let host = ", properties: { scope: nfvi_node }";
    let numa = ", properties: { scope: nfvi_node }, metadata: { bothy.scope: numa_node }";
    for (kind, targets, rest, group, want) in [
        ("NsAffinityRule", "both", host, "inner, outer", "taken\n"),
        ("NsAffinityRule", "outer, wan", ", properties: { scope: zone }", "", "taken\n"),
        // One instance has nobody to be apart from.
        ("NsAntiAffinityRule", "inner", host, "", "taken\n"),
        ("NsAntiAffinityRule", "outer", host, "", "instances of outer have no second host"),
        ("NsAntiAffinityRule", "both", ", properties: { scope: zone }", "inner, outer", "instances of inner, outer have no second host"),
        ("NsAntiAffinityRule", "both", host, "lan, wan", "lan, wan cannot be apart"),
        ("NsAntiAffinityRule", "outer", numa, "", "each VNF is placed by itself"),
        ("NsAffinityRule", "both", numa, "inner, outer", "each VNF is placed by itself"),
        ("NsAntiAffinityRule", "outr", host, "", "there is no VNF, virtual link or placement group 'outr'"),
        ("NsAffinityRule", "both", host, "inner, outr", "there is no VNF or virtual link 'outr'"),
        ("NsAffinityRule", "inner", "", "", "properties"),
        ("NsAffinityRule", "inner", ", properties: { scope: cis_node }", "", "is a scope of containers"),
    ] {
        let text = of_service(kind, targets, rest, group);
        let taken = want.starts_with("taken");
        assert!(text.starts_with(if taken { "taken" } else { "refused" }) && text.contains(want), "{kind} {targets} {rest}: {text}");
        assert!(!(text.contains("not acted on yet") || taken && text.contains("affinity")), "{kind} {targets}: {text}");
    }
    let twice = of_service("NsAffinityRule", "inner", host, "outer");
    assert!(twice.starts_with("taken") && twice.contains("no affinity rule has the group 'both' as its target"), "{twice}");
}
