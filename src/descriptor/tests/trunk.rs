//! Trunks in SOL001's own words: `trunk_mode`, `VduSubCp`, `trunk_binding`.

use super::{Content, read, said, variant};
use crate::model::vnfd::{CpLink, CpRole};

const PAIR: &str = "Definitions/router_df_pair.yaml";
const INNER: &str = "properties: { layer_protocols: [ ipv4 ] }\n      requirements: [ virtual_binding: gw, virtual_link: sync ]";
const CLEAR: (&str, &str, &str) = (PAIR, "{ mtu: 1400 }", "{ mtu: 1400, vlan_transparent: true }");

/// `inner` of the flavour `pair` with these properties and these nodes behind it.
fn inner(properties: &str, subs: &str) -> String {
    INNER.replace("[ ipv4 ] }", &format!("[ ipv4 ]{properties} }}")) + "\n" + subs
}

fn sub(id: &str, properties: &str, requirements: &str) -> String {
    format!(
        "    {id}:\n      type: tosca.nodes.nfv.VduSubCp\n      properties: {{ layer_protocols: [ ipv4 ], {properties} }}\n      \
         requirements: [ {requirements} ]\n"
    )
}

const LINK: &str = "    voice:\n      type: tosca.nodes.nfv.VnfVirtualLink\n      properties:\n        connectivity_type: { layer_protocols: [ ipv4 ], \
    flow_pattern: tree }\n        vl_profile: { max_bitrate_requirements: { root: 0 }, min_bitrate_requirements: { root: 0 } }\n";

#[test]
fn a_trunk_has_its_networks_on_their_links_and_vlans_of_its_own() {
    let subs = [
        sub("voice_cp", "segmentation_type: vlan, segmentation_id: 10, role: root", "trunk_binding: inner, virtual_link: voice"),
        sub("guest_cp", "segmentation_id: 20", "trunk_binding: inner, virtual_binding: gw"),
        sub("own_cp", "segmentation_id: 30", "trunk_binding: inner, virtual_link: sync"),
        LINK.to_owned(),
    ];
    let dir = variant("router", &[CLEAR, (PAIR, INNER, &inner(", trunk_mode: true", &subs.concat()))]);
    let c = match read(dir.path()) {
        Ok(Content::Vnf(c)) => c,
        Ok(_) => panic!("router is no NSD"),
        Err(d) => panic!("{}", d.render()),
    };
    let f = c.vnfd.flavour("pair").expect("pair");
    let gw = f.vdu("gw").expect("gw");
    assert_eq!(gw.nics.iter().map(|n| n.id.as_str()).collect::<Vec<_>>(), ["lan", "inner"], "a network of a trunk is no NIC");
    let got: Vec<_> = gw.nics[1].subports.iter().map(|s| (s.id.as_str(), s.link.clone(), s.tag.get(), s.role)).collect();
    let inside = |l: &str| CpLink::Internal(l.into());
    let want = [
        ("voice_cp", inside("voice"), 10, CpRole::Root),
        ("guest_cp", CpLink::External("guest_cp".into()), 20, CpRole::Leaf),
        ("own_cp", inside("sync"), 30, CpRole::Leaf),
    ];
    assert_eq!(got, want);
    assert!(f.ext_cps.iter().any(|e| e.id == "guest_cp"), "{:?}", f.ext_cps);
    assert!(!c.warnings.render().contains("voice"), "its link is attached: {}", c.warnings.render());
}

#[test]
fn a_trunk_on_a_transparent_link_needs_no_list() {
    let text = said("router", &[CLEAR, (PAIR, INNER, &inner(", trunk_mode: true", ""))]);
    assert!(text.starts_with("taken"), "{text}");
}

#[test]
fn what_is_wrong_with_a_trunk_is_told() {
    let on = |id: &str, properties: &str| sub(id, properties, "trunk_binding: inner, virtual_link: voice");
    let trunk = ", trunk_mode: true";
    for (what, properties, subs, want) in [
        ("no trunk", "", on("a", "segmentation_id: 10"), "'inner' is no trunk"),
        ("no such trunk", trunk, sub("a", "segmentation_id: 10", "trunk_binding: iner, virtual_link: voice"), "iner"),
        ("no trunk named", trunk, sub("a", "segmentation_id: 10", "virtual_link: voice"), "trunk_binding"),
        ("no tag", trunk, on("a", "role: leaf"), "segmentation_id"),
        ("tag 0", trunk, on("a", "segmentation_id: 0"), "1 to 4094"),
        ("tag 4095", trunk, on("a", "segmentation_id: 4095"), "1 to 4094"),
        ("inherited", trunk, on("a", "segmentation_id: 10, segmentation_type: inherit"), "inherit is not offered"),
        ("a trunk in it", trunk, on("a", "segmentation_id: 10, trunk_mode: true"), "no trunk itself"),
        (
            "another VDU",
            trunk,
            sub("a", "segmentation_id: 10", "trunk_binding: inner, virtual_binding: watch, virtual_link: voice"),
            "on VDU 'gw'",
        ),
        (
            "one tag twice",
            trunk,
            on("a", "segmentation_id: 10") + &sub("b", "segmentation_id: 10", "trunk_binding: inner"),
            "and so has 'a'",
        ),
        ("one link twice", trunk, on("a", "segmentation_id: 10") + &on("b", "segmentation_id: 11"), "so is 'a' of the same trunk"),
        ("its own link", trunk, sub("a", "segmentation_id: 10", "trunk_binding: inner, virtual_link: sync"), "untagged already"),
        ("nothing to carry", trunk, String::new(), "a trunk that carries no tag"),
        ("a card's function", ", trunk_mode: true, vnic_type: direct", on("a", "segmentation_id: 10"), "is a port of the switch"),
    ] {
        let text = said("router", &[(PAIR, INNER, &inner(properties, &(subs + LINK)))]);
        assert!(text.starts_with("refused") && text.contains(want), "{what}: {text}");
    }
}
