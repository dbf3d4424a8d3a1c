//! Bad descriptors: each mistake is found at its place, and all of them at once.

use super::{read, said, variant};
use crate::{descriptor::Limits, model::error::Fault};

const TOP: &str = "Definitions/router.yaml";
const TYPES: &str = "Definitions/router_types.yaml";
const SMALL: &str = "Definitions/router_df_small.yaml";
const PAIR: &str = "Definitions/router_df_pair.yaml";
const EDGE: &str = "Definitions/edge.yaml";

/// (what, edits, what must be said).
type Case = (&'static str, &'static [(&'static str, &'static str, &'static str)], &'static str);

const REFUSED: &[Case] = &[
    ("no such file", &[(TOP, "- router_df_small.yaml", "- router_df_smal.yaml")], "did you mean 'Definitions/router_df_small.yaml'?"),
    ("import of a URL", &[(TOP, "- router_types.yaml", "- https://example.org/types.yaml")], "is on the network"),
    ("import out of the package", &[(TOP, "- router_types.yaml", "- ../../x.yaml")], "'../../x.yaml' is not in the package"),
    ("not YAML", &[(SMALL, "node_templates:", "node_templates: [")], "this is not YAML"),
    (
        "a key twice",
        &[(SMALL, "        description: Routes", "        description: Routes\n        description: Again")],
        "'description' is given twice",
    ),
    (
        "unknown type",
        &[(SMALL, "type: tosca.nodes.nfv.Vdu.Compute", "type: tosca.nodes.nfv.VDU.Compute")],
        "did you mean 'tosca.nodes.nfv.Vdu.Compute'?",
    ),
    (
        "type derived from itself",
        &[(TYPES, "derived_from: tosca.nodes.nfv.VNF", "derived_from: example.nodes.Router")],
        "a cycle of derived_from",
    ),
    (
        "a VNF that contains itself",
        &[(SMALL, "  node_templates:\n    VNF:", "  node_templates:\n    inner:\n      type: example.nodes.Router\n    VNF:")],
        "is a VNF in the VNF, substituted without end",
    ),
    (
        "value not allowed by the type",
        &[(SMALL, "flavour_description: One guest", "flavour_id: tiny")],
        "'tiny' is not one of the valid values: small, pair",
    ),
    ("pattern", &[(TYPES, "'1:bothy'", "Bothy")], "does not match the pattern"),
    ("no such input", &[(SMALL, "{ get_input: product_name }", "{ get_input: product_nam }")], "did you mean 'product_name'?"),
    (
        "input without a value",
        &[(TOP, "  inputs:\n", "  inputs:\n    nothing: { type: string }\n"), (TOP, "get_input: selected_flavour", "get_input: nothing")],
        "the input 'nothing' has no value",
    ),
    (
        "input on input",
        &[
            (
                TOP,
                "default: small",
                "default: { get_input: again }\n    again: { default: { get_input: more } }\n    more: { default: { get_input: again } }",
            ),
            (TOP, "get_input: selected_flavour", "get_input: again"),
        ],
        "its value depends on itself: input again -> input more -> input again",
    ),
    (
        "property on property",
        &[
            (SMALL, "description: Routes", "description: { get_property: [ root, virtual_block_storage_data ] }"),
            (
                SMALL,
                "virtual_block_storage_data: { size_of_storage: 1 GiB }",
                "virtual_block_storage_data: { get_property: [ gw, description ] }",
            ),
        ],
        "depends on itself: gw.description -> root.virtual_block_storage_data -> gw.description",
    ),
    ("no such node", &[(SMALL, "description: Routes", "description: { get_property: [ gww, name ] }")], "there is no node template 'gww'"),
    (
        "run-time attribute",
        &[(SMALL, "description: Routes", "description: { get_attribute: [ gw, ip ] }")],
        "has a value only once the VNF runs",
    ),
    ("no memory", &[(SMALL, "virtual_memory: { virtual_mem_size: 256 MiB }", "virtual_memory: {}")], "virtual_mem_size: is missing"),
    ("memory without a unit", &[(SMALL, "256 MiB", "256")], "1 MiB of memory are too little"),
    ("bad unit", &[(SMALL, "256 MiB", "256 MegaByte")], "unit 'megabyte' is none of"),
    ("no cpu", &[(SMALL, "num_virtual_cpu: 2", "num_virtual_cpu: 0")], "needs at least one virtual CPU"),
    (
        "min above max",
        &[(SMALL, "min_number_of_instances: 1", "min_number_of_instances: 2")],
        "min_number_of_instances 2 is above max_number_of_instances 1",
    ),
    ("no image file", &[(SMALL, "../Files/images/router.img", "../Files/images/ruter.img")], "did you mean 'Files/images/router.img'?"),
    ("image on the network", &[(SMALL, "../Files/images/router.img", "http://example.org/x.img")], "is on the network"),
    (
        "disk smaller than its image",
        &[(SMALL, "size_of_storage: 1 GiB", "size_of_storage: 256 MiB")],
        "its image asks for 512 MiB (min_disk)",
    ),
    ("image format not run", &[(SMALL, "disk_format: raw", "disk_format: vmdk")], "qemu-img convert"),
    ("image that is not what it says", &[(SMALL, "disk_format: raw", "disk_format: qcow2")], "is not a qcow2 file"),
    ("container", &[(SMALL, "container_format: bare", "container_format: docker")], "'docker' images are not run here"),
    ("unknown digest", &[(SMALL, "algorithm: sha-256", "algorithm: md5")], "'md5' is none of sha-224"),
    ("wrong digest", &[(SMALL, "hash: ", "hash: 0")], "wrong SHA-256 of 'Files/images/router.img'"),
    ("no boot image", &[(SMALL, "        - virtual_storage: root\n", "")], "boots from 'logs', which has no software image"),
    ("no such storage", &[(SMALL, "- virtual_storage: logs", "- virtual_storage: log")], "there is no storage 'log'"),
    (
        "object storage",
        &[(SMALL, "type: tosca.nodes.nfv.Vdu.VirtualBlockStorage", "type: tosca.nodes.nfv.Vdu.VirtualObjectStorage")],
        "which Bothy does not offer",
    ),
    ("no such VDU", &[(SMALL, "virtual_binding: gw", "virtual_binding: gv")], "there is no VDU 'gv'"),
    ("same order", &[(SMALL, "order: 1", "order: 0")], "has order 0 on VDU 'gw', and so has"),
    ("bare metal", &[(SMALL, "order: 1", "order: 1, vnic_type: baremetal")], "'baremetal' is not offered"),
    ("no such connection point", &[(SMALL, "[ lan, virtual_link ]", "[ lann, virtual_link ]")], "there is no connection point 'lann'"),
    ("no such link", &[(PAIR, "virtual_link: sync ]", "virtual_link: synk ]")], "there is no virtual link 'synk'"),
    ("network not in itself", &[(PAIR, "gateway_ip: 192.0.2.1", "gateway_ip: 192.0.3.1")], "192.0.3.1 is not in the network 192.0.2.0/28"),
    ("wrong family", &[(PAIR, "ip_version: ipv4", "ip_version: ipv6")], "does not fit the network"),
    ("no network", &[(PAIR, "cidr: 192.0.2.0/28", "cidr: 192.0.2.0")], "is not a network such as"),
    ("unknown hint", &[(SMALL, "bothy.readiness:", "bothy.rediness:")], "did you mean 'bothy.readiness'?"),
    ("bad readiness", &[(SMALL, "serial:router ready", "serial:(")], "is not a regular expression"),
    ("bad readiness word", &[(SMALL, "serial:router ready", "ready")], "is no readiness rule"),
    ("bad firmware", &[(SMALL, "bothy.firmware: uefi", "bothy.firmware: efi")], "'efi' is none of bios, uefi"),
    ("day-0 file missing", &[(SMALL, "../Files/day0/user-data", "../Files/day0/user-dat")], "did you mean 'Files/day0/user-data'?"),
    ("day-0 escape", &[(SMALL, "destination_path: user-data", "destination_path: ../user-data")], "leads out of the package"),
    (
        "day-0 file twice",
        &[(SMALL, "destination_path: network-config", "destination_path: user-data")],
        "'user-data' is on the medium twice",
    ),
    (
        "level of nobody",
        &[(PAIR, "levels: { least: { number_of_instances: 1 }", "levels: { last: { number_of_instances: 1 }")],
        "has the level 'last'",
    ),
    ("default level of nobody", &[(PAIR, "default_level: least", "default_level: leas")], "did you mean 'least'?"),
    (
        "level outside the profile",
        &[(PAIR, "most: { number_of_instances: 2 }", "most: { number_of_instances: 9 }")],
        "9 instances of VDU 'watch' are outside its vdu_profile, 1 to 4",
    ),
    (
        "level above the aspect",
        &[(PAIR, "gateways: { scale_level: 2 }", "gateways: { scale_level: 3 }")],
        "level 3 is above the aspect's max_scale_level 2",
    ),
    ("policy target of nobody", &[(PAIR, "targets: [ watch ]", "targets: [ watcher ]")], "there is no VDU 'watcher'"),
    ("steps that do not add up", &[(PAIR, "max_scale_level: 2", "max_scale_level: 3")], "it needs one, or one for each of its 3 steps"),
    ("flavour twice", &[(PAIR, "equal: pair", "equal: small")], "the flavour 'small' is described in another file already"),
    (
        "flavours of different VNFDs",
        &[(
            PAIR,
            "    VNF:\n      type: example.nodes.Router\n",
            "    VNF:\n      type: example.nodes.Router\n      properties: { provider: Other }\n",
        )],
        "'Other' differs from 'Example'",
    ),
];

const REFUSED_NSD: &[Case] = &[
    ("no such link", &[(EDGE, "- virtual_link_lan: lan", "- virtual_link_lan: la")], "there is no virtual link 'la'"),
    ("depends on nobody", &[(EDGE, "dependency: outer", "dependency: oter")], "did you mean 'outer'?"),
    (
        "depends in a circle",
        &[(EDGE, "- virtual_link_wan: wan", "- virtual_link_wan: wan\n        - dependency: inner")],
        "inner, outer depend on each other in a circle",
    ),
    (
        "address outside",
        &[(EDGE, "virtual_link_lan: 198.51.100.2", "virtual_link_lan: 203.0.113.2")],
        "203.0.113.2 is in no network of the link 'lan'",
    ),
    (
        "address of the host",
        &[(EDGE, "virtual_link_lan: 198.51.100.2", "virtual_link_lan: 198.51.100.1")],
        "which the host itself has there",
    ),
    (
        "address of no requirement",
        &[(EDGE, "bothy.address.virtual_link_lan", "bothy.address.virtual_link_lam")],
        "did you mean 'virtual_link_lan'?",
    ),
    ("forward to nobody", &[(EDGE, "tcp/8080->inner:80", "tcp/8080->iner:80")], "there is no VNF 'iner'"),
    ("forward to a stranger", &[(EDGE, "tcp/8080->inner:80", "tcp/8080->outer:80")], "'outer', which is not on this link"),
    ("malformed forward", &[(EDGE, "tcp/8080->inner:80", "8080:inner:80")], "'8080:inner:80' is not a forward"),
    ("forward twice", &[(EDGE, "udp/5353->inner/gw:53", "tcp/8080->inner:81")], "port 8080 of the host is forwarded twice"),
    ("VLAN out of range", &[(EDGE, "segmentation_id: 100", "segmentation_id: 5000")], "VLAN 5000 is not in 1 to 4094"),
    ("mapping above the profile", &[(EDGE, "two: 2 }", "two: 3 }")], "3 instances of 'outer' are outside its vnf_profile, 1 to 2"),
    ("no identity", &[(EDGE, "        invariant_id: 8d3c8c6e-6b6c-4c56-8a40-1d2a3e9b7c03\n", "")], "invariant_id: is missing"),
    (
        "no such flavour of the type",
        &[(EDGE, "flavour_id: small", "flavour_id: smal")],
        "'smal' is not one of the valid values: small, pair",
    ),
    ("VDU in an NSD", &[(EDGE, "type: tosca.nodes.nfv.Sap", "type: tosca.nodes.nfv.VduCp")], "belongs in a VNFD"),
];

#[test]
fn each_mistake_is_refused_with_its_reason() {
    for (name, cases) in [("router", REFUSED), ("edge", REFUSED_NSD)] {
        for (what, edits, want) in cases {
            let text = said(name, edits);
            assert!(text.starts_with("refused"), "{what}: {text}");
            assert!(text.contains(want), "{what}: wanted {want:?} in {text}");
        }
    }
}

#[test]
fn what_has_no_effect_is_warned_of_and_taken() {
    let cases: &[Case] = &[
        (
            "unknown key",
            &[(SMALL, "        description: Routes", "        descripton: Routes\n        description: Routes")],
            "did you mean 'description'?",
        ),
        (
            "rule of pinning",
            &[(SMALL, "num_virtual_cpu: 2", "num_virtual_cpu: 2, virtual_cpu_pinning: { virtual_cpu_pinning_rule: [ '0:1' ] }")],
            "virtual_cpu_pinning_rule: is not acted on",
        ),
        ("gap in the order", &[(SMALL, "order: 1", "order: 5")], "have gaps"),
        ("some without order", &[(SMALL, "order: 1", "description: x")], "has no order, while others"),
        ("not mapped", &[(SMALL, "      virtual_link_lan: [ lan, virtual_link ]\n", "")], "taken as an external connection point"),
        ("unused storage", &[(SMALL, "        - virtual_storage: logs\n", "")], "no VDU uses this storage"),
        ("network of an address", &[(PAIR, "cidr: 192.0.2.0/28", "cidr: 192.0.2.3/28")], "192.0.2.0/28 is meant"),
    ];
    for (what, edits, want) in cases {
        let text = said("router", edits);
        assert!(text.starts_with("taken") && text.contains(want), "{what}: wanted {want:?} in {text}");
    }
    let text = said(
        "edge",
        &[(EDGE, "  policies:", "  groups:\n    near: { type: tosca.groups.nfv.NsPlacementGroup, members: [ inner ] }\n  policies:")],
    );
    assert!(text.starts_with("taken") && text.contains("no affinity rule has the group 'near' as its target"), "{text}");
}

#[test]
fn many_mistakes_are_told_at_once_with_line_path_and_hint() {
    let edits = [
        (SMALL, "num_virtual_cpu: 2", "num_virtual_cpus: 2"),
        (SMALL, "256 MiB", "lots"),
        (SMALL, "bothy.firmware: uefi", "bothy.firmwere: uefi"),
        (SMALL, "virtual_binding: gw", "virtual_binding: g"),
        (PAIR, "targets: [ gw ]", "targets: [ gwx ]"),
        (TOP, "get_input: selected_flavour", "get_input: flavour_selected"),
    ];
    insta::assert_snapshot!("many", said("router", &edits));
    let dir = variant("router", &edits);
    let fault: Fault = read(dir.path()).expect_err("refused").into();
    assert_eq!(fault.kind(), crate::model::error::Kind::Invalid);
    assert_eq!(fault.reasons().len(), 6, "{:#?}", fault.reasons());
}

#[test]
fn yaml_that_is_a_bomb_or_a_cycle_is_refused() {
    let laughs = (0..9).fold("a0: &a0 [ x, x, x, x, x, x, x, x, x, x ]\n".to_owned(), |t, i| {
        let next = i + 1;
        format!("{t}a{next}: &a{next} [ {} ]\n", vec![format!("*a{i}"); 10].join(", "))
    });
    let deep = format!("x: {}1{}\n", "[".repeat(100), "]".repeat(100));
    let chain = (0..80).fold("b0: &b0 1\n".to_owned(), |t, i| format!("{t}b{}: &b{} [ *b{i} ]\n", i + 1, i + 1));
    let table = [
        ("laughs", laughs, "aliases expanded"),
        ("deep", deep, "nested deeper than the 64 levels allowed"),
        ("deep by alias", chain, "nested deeper than the 64 levels allowed, aliases expanded"),
        ("cycle", "x: &x [ *x ]\n".to_owned(), "a cycle"),
        ("cycle in a map", "x: &x { y: { z: *x } }\n".to_owned(), "a cycle"),
        ("alias of nothing", "x: *nobody\n".to_owned(), "this is not YAML"),
        ("map as key", "{ a: b }: c\n".to_owned(), "the key of a map is a map"),
    ];
    for (what, text, want) in table {
        let text = said("router", &[(TOP, "tosca_definitions", &format!("{text}tosca_definitions"))]);
        assert!(text.starts_with("refused") && text.contains(want), "{what}: {text}");
    }
    let dir = variant("router", &[]);
    let big = format!("# {}\n", "x".repeat(5 << 20));
    std::fs::write(dir.path().join(SMALL), big).expect("write");
    let said = read(dir.path()).err().map(|d| d.render()).unwrap_or_default();
    assert!(said.contains(&format!("more than the {} allowed for a text file", Limits::default().text_bytes)), "{said}");
}

#[test]
fn a_descriptor_as_large_as_allowed_is_answered_in_time() {
    let levels: String = (0..500).map(|i| format!("            l{i}: {{ description: x }}\n")).collect();
    let nodes: String = (0..500)
        .map(|i| {
            format!(
                "    n{i}: {{ type: tosca.nodes.nfv.VduCp, requirements: [ virtual_binding: gw ], properties: {{ description: {{ get_property: [ n{}, description ] }} }} }}\n",
                i + 1
            )
        })
        .collect();
    let edits = [
        (PAIR, "          default_level: least\n", &*format!("{levels}          default_level: least\n")),
        (PAIR, "  node_templates:\n", &*format!("  node_templates:\n{nodes}")),
    ];
    let start = std::time::Instant::now();
    let text = said("router", &edits);
    assert!(text.contains("values refer to values more than 64 times over"), "{text}");
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    let many = nodes.replace("    n", "    m");
    let text = said("router", &[edits[1], (PAIR, "  node_templates:\n", &*format!("  node_templates:\n{many}"))]);
    assert!(text.contains("more than the 512 allowed"), "{text}");
}

#[test]
fn images_that_lean_on_other_files_or_do_not_fit_their_disk_are_refused() {
    let header = |backing: u64, features: u64, size: u64| {
        let mut h = vec![0u8; 512];
        h[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
        h[8..16].copy_from_slice(&backing.to_be_bytes());
        h[24..32].copy_from_slice(&size.to_be_bytes());
        h[72..80].copy_from_slice(&features.to_be_bytes());
        h
    };
    let table = [
        (header(400, 0, 1 << 20), "has a backing file"),
        (header(0, 4, 1 << 20), "keeps its data in another file"),
        (header(0, 0, 2 << 30), "disk 'root' has 1024 MiB, and its image holds a disk of 2048 MiB"),
        (header(0, 0, 1 << 30), "wrong SHA-256"),
    ];
    for (bytes, want) in table {
        let dir = variant("router", &[(SMALL, "disk_format: raw", "disk_format: qcow2"), (PAIR, "disk_format: raw", "disk_format: qcow2")]);
        std::fs::write(dir.path().join("Files/images/router.img"), bytes).expect("write");
        let said = read(dir.path()).err().map(|d| d.render()).unwrap_or_default();
        assert!(said.contains(want), "wanted {want:?} in {said}");
        assert_eq!(want.starts_with("disk"), said.contains("its image holds"), "{said}");
    }
}
