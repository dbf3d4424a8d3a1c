//! What the good fixtures become.

use super::{Content, copy, fixture, read, said, variant};
use crate::{
    descriptor::{Archive, Build, Limits, attach_by_id, check_against, lint},
    model::{
        nsd::{NsAspect, Nsd},
        vnfd::{CpRole, LinkKind, LinkProfile, LinkRates, VduCp, Vnfd},
    },
};

fn vnfd() -> Vnfd {
    match read(&fixture("router")) {
        Ok(Content::Vnf(c)) => c.vnfd,
        Ok(_) => panic!("router is no NSD"),
        Err(d) => panic!("{}", d.render()),
    }
}

fn nsd() -> Nsd {
    match read(&fixture("edge")) {
        Ok(Content::Nsd(c)) => c.nsd,
        Ok(_) => panic!("edge is an NSD"),
        Err(d) => panic!("{}", d.render()),
    }
}

#[test]
fn a_vnf_package_of_two_flavours_is_read_whole_and_without_a_warning() {
    match read(&fixture("router")) {
        Ok(Content::Vnf(c)) => {
            assert_eq!(c.warnings.render(), "");
            assert_eq!((c.vnfd_path.as_str(), c.manifest_path.as_deref()), ("Definitions/router.yaml", Some("router.mf")));
            assert_eq!(c.files.len(), 8);
            insta::assert_debug_snapshot!("router", c.vnfd);
        }
        Ok(_) => panic!("router is no NSD"),
        Err(d) => panic!("{}", d.render()),
    }
}

#[test]
fn an_nsd_is_read_whole_and_fits_its_vnfd() {
    let (nsd, vnfd) = (nsd(), vnfd());
    insta::assert_debug_snapshot!("edge", nsd);
    assert_eq!(check_against(&nsd, &[&vnfd]).render(), "");
}

#[test]
fn members_attach_by_the_ids_of_connection_points_once_their_vnfds_are_known() {
    let (mut nsd, vnfd) = (nsd(), vnfd());
    attach_by_id(&mut nsd, &[&vnfd]);
    let ids: Vec<&str> = nsd.flavours[0].members.iter().flat_map(|m| &m.attach).map(|a| a.ext_cp.as_str()).collect();
    assert_eq!(ids, ["lan", "wan", "lan", "outside"]);
    assert_eq!(check_against(&nsd, &[&vnfd]).render(), "", "ids are as good as requirement names");
}

#[test]
fn an_nsd_that_does_not_fit_its_vnfds_says_each_reason() {
    let (mut nsd, mut vnfd) = (nsd(), vnfd());
    assert_eq!(check_against(&nsd, &[]).errors().count(), 2);
    for f in &mut nsd.flavours {
        f.members[0].attach[0].ext_cp = "virtual_link_lann".into();
        f.members[1].flavour = Some("pear".into());
        f.members[0].level = Some("largest".into());
    }
    vnfd.version = "9".into();
    insta::assert_snapshot!("misfit", check_against(&nsd, &[&vnfd]).render());
}

#[test]
fn both_names_of_an_external_connection_point_find_it() {
    let vnfd = vnfd();
    let small = vnfd.flavour("small").expect("flavour");
    assert_eq!(small.ext_cp("lan"), small.ext_cp("virtual_link_lan"));
    assert!(small.ext_cp("lan").is_some() && small.ext_cp("nan").is_none());
}

#[test]
fn a_vnf_that_exposes_no_connection_point_is_taken_with_a_warning() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (folder, out) = (dir.path().join("in"), dir.path().join("out.csar"));
    copy(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptors/debian"), &folder);
    // As much of a qcow2 image as is looked at.
    let image = [b"QFI\xfb\0\0\0\x03".as_slice(), &[0; 16], &(16u64 << 20).to_be_bytes(), &[0; 480]].concat();
    std::fs::create_dir_all(folder.join("Files/images")).expect("folder");
    std::fs::write(folder.join("Files/images/debian.qcow2"), image).expect("image");
    let build = Build { dir: &folder, artifacts: &[], out: &out, released: "2026-11-20T00:00:00Z" };
    match build.run(&Limits::default()) {
        Ok(built) => {
            let said = built.warnings.render();
            assert!(said.contains("exposes no connection point") && said.contains("substitution_mappings"), "{said}");
        }
        Err(d) => panic!("{}", d.render()),
    }
}

#[test]
fn the_time_for_a_stop_is_the_longest_that_is_recommended_and_never_below_the_least() {
    let file = "Definitions/router_df_small.yaml";
    let said = ["            min_graceful_stop_timeout: 10 s\n", "            max_recommended_graceful_stop_timeout: 2 m\n"];
    let table = [
        (said[0], said[1], Some(120)),
        // A least time alone is no reason to cut the usual one short.
        (said[0], "", None),
        ("            min_graceful_stop_timeout: 5 m\n", "", Some(300)),
        ("            min_graceful_stop_timeout: 5 m\n", said[1], Some(300)),
        (
            said[0],
            "            max_recommended_graceful_stop_timeout: 20 s\n          terminate:\n            max_recommended_graceful_termination_timeout: 90 s\n",
            Some(90),
        ),
    ];
    for (least, most, want) in table {
        let dir = variant("router", &[(file, said[0], least), (file, said[1], most)]);
        match read(dir.path()) {
            Ok(Content::Vnf(c)) => assert_eq!(c.vnfd.flavour("small").expect("flavour").graceful_stop_s, want, "{least}{most}"),
            Ok(_) => panic!("router is no NSD"),
            Err(d) => panic!("{}", d.render()),
        }
    }
}

#[test]
fn a_built_package_is_the_same_bytes_each_time_and_reads_back_as_its_folder() {
    for (name, meta_names_manifest) in [("router", true), ("edge", false)] {
        let dir = tempfile::tempdir().expect("tempdir");
        let (a, b) = (dir.path().join("a.csar"), dir.path().join("b.csar"));
        let folder = dir.path().join("in");
        copy(&fixture(name), &folder);
        // Digests of the folder are stale after an edit; building renews them.
        if meta_names_manifest {
            std::fs::write(folder.join("Files/day0/user-data"), "#cloud-config\n# edited\n").expect("write");
            assert!(!lint(&folder, &[], &Limits::default()).is_fit());
        }
        for out in [&a, &b] {
            let build = Build { dir: &folder, artifacts: &[], out, released: "2026-11-20T00:00:00Z" };
            match build.run(&Limits::default()) {
                Ok(built) => assert_eq!(built.warnings.render(), "", "{name}"),
                Err(d) => panic!("{}", d.render()),
            }
        }
        assert_eq!(std::fs::read(&a).expect("a"), std::fs::read(&b).expect("b"));
        let report = lint(&a, &[], &Limits::default());
        assert!(report.is_fit(), "{}", report.diagnostics.render());
        match (read(&a), read(&fixture(name))) {
            (Ok(Content::Vnf(a)), Ok(Content::Vnf(b))) => assert_eq!(a.vnfd, b.vnfd),
            (Ok(Content::Nsd(a)), Ok(Content::Nsd(b))) => assert_eq!(a.nsd, b.nsd),
            _ => panic!("{name}: not of the same kind"),
        }
        assert_eq!(std::fs::read_dir(dir.path()).expect("dir").count(), 3, "no part file is left");
    }
}

#[test]
fn an_image_may_come_from_outside_the_folder() {
    let dir = variant("router", &[]);
    let image = dir.path().join("Files/images/router.img");
    let elsewhere = tempfile::tempdir().expect("tempdir");
    let built = elsewhere.path().join("x.img");
    std::fs::rename(&image, &built).expect("rename");
    assert!(!lint(dir.path(), &[], &Limits::default()).is_fit());
    let extra = [("Files/images/router.img".to_owned(), built)];
    let report = lint(dir.path(), &extra, &Limits::default());
    assert!(report.is_fit(), "{}", report.diagnostics.render());
    let out = elsewhere.path().join("router.csar");
    let build = Build { dir: dir.path(), artifacts: &extra, out: &out, released: "2026-11-20T00:00:00Z" };
    if let Err(d) = build.run(&Limits::default()) {
        panic!("{}", d.render());
    }
    let mut archive = Archive::open(&out, &Limits::default()).expect("opens");
    assert!(archive.contains("Files/images/router.img") && archive.contains("router.mf"));
    assert!(archive.read_text("TOSCA-Metadata/TOSCA.meta").expect("meta").contains("ETSI-Entry-Manifest: router.mf"));
}

#[test]
fn quirks_of_the_field_are_taken() {
    let df = "Definitions/router_df_small.yaml";
    type Edits<'a> = &'a [(&'a str, &'a str, &'a str)];
    let taken: &[(&str, Edits<'_>)] = &[
        ("numbers as text", &[(df, "num_virtual_cpu: 2", "num_virtual_cpu: '2'")]),
        ("units in any case", &[(df, "256 MiB", "256 mib")]),
        ("no unit space", &[(df, "256 MiB", "256MiB")]),
        ("artifact from the root", &[(df, "../Files/images/router.img", "Files/images/router.img")]),
        ("one-key imports", &[(df, "- router_types.yaml", "- types: router_types.yaml")]),
        ("requirements as a map", &[(df, "requirements: [ virtual_binding: gw ]", "requirements: [ { virtual_binding: { node: gw } } ]")]),
        ("boot order of 2.7.1", &[(df, "        vdu_profile:", "        boot_order: false\n        vdu_profile:")]),
    ];
    for (what, edits) in taken {
        let text = said("router", edits);
        assert!(text.starts_with("taken"), "{what}: {text}");
    }
}

/// What `router`'s flavour of two guests says of its link and of the connection point on it.
fn pair(edits: &[(&str, &str, &str)]) -> (LinkProfile, VduCp) {
    match read(variant("router", edits).path()) {
        Ok(Content::Vnf(c)) => {
            let f = c.vnfd.flavour("pair").expect("pair").clone();
            let cp = f.vdus.iter().flat_map(|v| &v.nics).find(|n| n.id == "inner").expect("inner").clone();
            (f.links[0].profile.clone(), cp)
        }
        Ok(_) => panic!("router is no NSD"),
        Err(d) => panic!("{}", d.render()),
    }
}

#[test]
fn what_a_link_and_a_port_are_to_be_is_read_from_the_standard_s_own_words() {
    const PAIR: &str = "Definitions/router_df_pair.yaml";
    const CP: &str = "properties: { layer_protocols: [ ipv4 ] }\n      requirements: [ virtual_binding: gw, virtual_link: sync ]";
    let with = |more: &str, metadata: &str| {
        CP.replace("[ ipv4 ] }", &format!("[ ipv4 ]{more} }}")).replacen("properties", &format!("{metadata}properties"), 1)
    };
    let (link, cp) = pair(&[]);
    assert_eq!((link.kind, link.transparent, link.max_rate), (LinkKind::Elan, false, LinkRates { root: Some(1_000_000), leaf: None }));
    assert_eq!((cp.role, cp.rate_limit, cp.port_security), (CpRole::Leaf, None, true));

    let (link, cp) = pair(&[
        (PAIR, "flow_pattern: mesh", "flow_pattern: tree"),
        (PAIR, "max_bitrate_requirements: { root: 1000000 }", "max_bitrate_requirements: { root: 5000000, leaf: 2000000 }"),
        (PAIR, "{ mtu: 1400 }", "{ mtu: 1400, vlan_transparent: true }"),
        (PAIR, CP, &with(", role: root", "metadata: { bothy.rate_limit: 10 Mbps, bothy.port_security: 'false' }\n      ")),
    ]);
    assert_eq!((link.kind, link.transparent, link.mtu), (LinkKind::Etree, true, Some(1400)));
    assert_eq!(link.max_rate, LinkRates { root: Some(5_000_000), leaf: Some(2_000_000) });
    assert_eq!((cp.role, cp.rate_limit, cp.port_security), (CpRole::Root, Some(10_000_000), false));

    let (link, _) = pair(&[(PAIR, "max_bitrate_requirements: { root: 1000000 }", "max_bitrate_requirements: { root: 0 }")]);
    assert_eq!(link.max_rate, LinkRates::default(), "0 says nothing, and the standard wants it said");

    for (what, old, new, want) in [
        ("a role of no tree", CP, with(", role: trunk", ""), "'trunk' is none of root, leaf"),
        ("a rate in no unit", CP, with("", "metadata: { bothy.rate_limit: 10 parsecs }\n      "), "is no bit rate"),
        (
            "more than the most",
            "min_bitrate_requirements: { root: 0 }",
            "min_bitrate_requirements: { root: 9000000 }".into(),
            "at least 9000000",
        ),
        ("leaves of a line", "flow_pattern: mesh", "flow_pattern: line".into(), "taken"),
    ] {
        let text = said("router", &[(PAIR, old, &new)]);
        assert!(text.contains(want), "{what}: {text}");
    }
}

/// Scaling aspects put beside the instantiation levels of `edge`.
fn with_aspects(aspects: &str) -> String {
    format!(
        "  policies:\n    - aspects:\n        type: tosca.policies.nfv.NsScalingAspects\n        properties:\n          aspects: {aspects}\n"
    )
}

fn mapping(name: &str, aspect: &str, numbers: &str) -> String {
    format!(
        "    - {name}:\n        type: tosca.policies.nfv.VnfToLevelMapping\n        properties:\n          aspect: {aspect}\n          number_of_instances: {numbers}\n        targets: [ outer ]\n"
    )
}

const EDGE: &str = "Definitions/edge.yaml";
const ONE_ASPECT: &str = "{ out: { name: Outer, description: O, ns_scale_levels: { 0: { description: one }, 1: { description: two } } } }";

#[test]
fn scaling_aspects_of_a_service_are_read() {
    let text = with_aspects(ONE_ASPECT) + &mapping("outers_of", "out", "{ 0: 1, 1: 2 }");
    let dir = variant("edge", &[(EDGE, "  policies:\n", &text)]);
    match read(dir.path()) {
        Ok(Content::Nsd(c)) => {
            assert!(!c.warnings.render().contains("acted on"), "{}", c.warnings.render());
            let levels = vec![vec![("outer".into(), 1)], vec![("outer".into(), 2)]];
            assert_eq!(c.nsd.flavours[0].aspects, [NsAspect { id: "out".into(), name: "Outer".into(), levels }]);
        }
        Ok(_) => panic!("edge is an NSD"),
        Err(d) => panic!("{}", d.render()),
    }
    for (aspects, mappings, says) in [
        (ONE_ASPECT, mapping("m", "out", "{ 0: 1 }"), "each level of aspect 'out' needs a number, 0 to 1"),
        (ONE_ASPECT, mapping("m", "out", "{ 0: 1, 1: 2, 2: 2 }"), "aspect 'out' has no level '2'; it has 0 to 1"),
        (ONE_ASPECT, mapping("m", "out", "{ 0: 1, 1: 99 }"), "99 instances of 'outer' are outside its vnf_profile"),
        (ONE_ASPECT, mapping("m", "in", "{ 0: 1, 1: 2 }"), "scaling aspect"),
        (ONE_ASPECT, mapping("m", "out", "{ 0: 1, 1: 2 }") + &mapping("n", "out", "{ 0: 1, 1: 2 }"), "is said by aspect 'out' already"),
        ("{ out: { name: O, description: O, ns_scale_levels: { 1: { description: one } } } }", String::new(), "numbered 0, 1, 2 and so on"),
        (ONE_ASPECT, String::new(), "no VnfToLevelMapping says what aspect 'out' scales"),
    ] {
        let text = with_aspects(aspects) + &mappings;
        let said = said("edge", &[(EDGE, "  policies:\n", &text)]);
        assert!(said.contains(says), "wanted {says:?} in {said}");
    }
}
