//! Ways from one version of a VNF to another as packages write them.

use super::{Content, read, said, variant};
use crate::model::vnfd::VersionPath;

const PAIR: &str = "Definitions/router_df_pair.yaml";
const POLICIES: &str = "    - watchers:";

fn policy(selector: &str, rest: &str) -> String {
    format!(
        "    - next:\n        type: tosca.policies.nfv.VnfPackageChange\n        targets: [ vnf ]\n        properties:\n          selector: {selector}\n{rest}{POLICIES}"
    )
}

const UP: &str = "          modification_qualifier: up\n          destination_flavour_id: large\n";

/// The VNFD's id, as the package has it.
fn own() -> String {
    match read(variant("router", &[]).path()) {
        Ok(Content::Vnf(c)) => c.vnfd.id.to_string(),
        Ok(_) => panic!("not an NSD"),
        Err(d) => panic!("{}", d.render()),
    }
}

#[test]
fn a_policy_says_from_where_and_to_what_a_vnf_can_come() {
    let own = own();
    let one =
        |from: &str, to: &str| format!("{{ source_descriptor_id: {from}, destination_descriptor_id: {to}, source_flavour_id: pair }}");
    let mapped = "          component_mappings:\n            - { component_type: vdu, source_id: gw, destination_id: gateway }\n            - { component_type: cp, source_id: a, destination_id: a }\n";
    let text = policy(&format!("[ {}, {} ]", one(&own, "v2"), one("v0", &own)), &format!("{UP}{mapped}"));
    let dir = variant("router", &[(PAIR, POLICIES, &text)]);
    let Ok(Content::Vnf(c)) = read(dir.path()) else { panic!("{}", said("router", &[(PAIR, POLICIES, &text)])) };
    let path = |from: &str, to: &str| VersionPath {
        from_vnfd: from.into(),
        from_flavour: "pair".into(),
        to_vnfd: to.into(),
        to_flavour: "large".into(),
        renamed: vec![("gw".into(), "gateway".into())],
    };
    assert_eq!(c.vnfd.paths, [path(&own, "v2"), path("v0", &own)]);
    for (text, want) in [
        (policy(&format!("[ {} ]", one("v0", "v2")), UP), format!("leads neither from this VNFD ({own}) nor to it")),
        (
            policy(&format!("[ {} ]", one("v0", &own)), "          modification_qualifier: up\n"),
            "destination_flavour_id: is missing".into(),
        ),
        (policy(&format!("[ {} ]", one("v0", &own)), &UP.replace("up", "sideways")), "'sideways' is none of up, down".into()),
        (policy(&format!("[ {{ source_descriptor_id: {own} }} ]"), UP), "destination_descriptor_id: is missing".into()),
    ] {
        let said = said("router", &[(PAIR, POLICIES, &text)]);
        assert!(said.starts_with("refused") && said.contains(&want), "{want}: {said}");
    }
}
