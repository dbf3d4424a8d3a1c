//! What the good fixtures become.

use super::{Content, copy, fixture, read, said, variant};
use crate::{
    descriptor::{Archive, Build, Limits, attach_by_id, check_against, lint},
    model::{nsd::Nsd, vnfd::Vnfd},
};

fn vnfd() -> Vnfd {
    match read(&fixture("router")) {
        Ok(Content::Vnf(c)) => c.vnfd,
        Ok(Content::Nsd(_)) => panic!("router is no NSD"),
        Err(d) => panic!("{}", d.render()),
    }
}

fn nsd() -> Nsd {
    match read(&fixture("edge")) {
        Ok(Content::Nsd(c)) => c.nsd,
        Ok(Content::Vnf(_)) => panic!("edge is an NSD"),
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
        Ok(Content::Nsd(_)) => panic!("router is no NSD"),
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
