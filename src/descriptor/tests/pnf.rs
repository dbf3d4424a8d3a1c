//! PNFD archives, good and bad.

use super::{Content, fixture, read, said};
use crate::{
    descriptor::{Archive, Limits, read_nsd_archive, read_pnfd_archive, read_vnf_package},
    model::pnfd::{Coordinates, Location, PnfExtCp, Pnfd},
};

#[test]
fn a_pnfd_is_read_with_its_place_and_its_plugs() {
    let Ok(Content::Pnfd(c)) = read(&fixture("antenna")) else { panic!("a PNFD") };
    assert_eq!(c.warnings.render(), "");
    let cp = |id: &str, description: &str, protocols: &[&str], role: Option<&str>| PnfExtCp {
        id: id.into(),
        description: description.into(),
        protocols: protocols.iter().map(|p| (*p).into()).collect(),
        role: role.map(Into::into),
        requirement: (id == "air").then(|| "virtual_link".into()),
    };
    let want = Pnfd {
        id: "61f5d2c7-5f0a-4d07-8a59-0b54a1f6d001".into(),
        invariant_id: "61f5d2c7-5f0a-4d07-8a59-0b54a1f6d002".into(),
        name: "antenna".into(),
        provider: "Example".into(),
        version: "1.0".into(),
        function: "Turns frames into waves.".into(),
        location: Some(Location {
            country: "DE".into(),
            address: vec![("3".into(), "Hamburg".into()), ("6".into(), "Hafenstr.".into())],
            coordinates: Some(Coordinates { latitude: "53.54".into(), longitude: "9.98".into(), altitude: "20".into() }),
        }),
        ext_cps: vec![cp("air", "The way up.", &["ethernet", "ipv4"], Some("leaf")), cp("cable", "", &["ethernet"], None)],
    };
    assert_eq!(c.pnfd, want);
    let paths: Vec<&str> = c.files.iter().map(|f| f.path.as_str()).collect();
    assert!(paths.contains(&"Files/manual.txt") && paths.contains(&"Definitions/antenna.yaml"), "{paths:?}");
    assert_eq!((c.pnfd_path.as_str(), c.manifest_path.as_deref()), ("Definitions/antenna.yaml", Some("antenna.mf")));
}

#[test]
fn all_that_is_wrong_with_a_pnfd_is_said_at_once() {
    let file = "Definitions/antenna.yaml";
    let text = said(
        "antenna",
        &[
            (file, "        version: '1.0'\n", ""),
            (file, "country_code: DE", "country_code: Germany"),
            (file, "altitude_type: '1', ", ""),
            (file, "[ ethernet, ipv4 ]", "[ ethernet, token-ring ]"),
            (file, "role: leaf", "role: leave"),
            (file, "name: antenna\n", "name: antenna\n        colour: grey\n"),
        ],
    );
    for part in [
        "refused",
        "error: version: is missing",
        "'Germany' is no country code",
        "error: altitude_type: is missing",
        "'token-ring' is none of ethernet",
        "'leave' is none of root, leaf",
        "colour: is not known here",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    for (edit, part) in [
        ((file, "type: tosca.nodes.nfv.PnfExtCp", "type: tosca.nodes.nfv.VduCp"), "is no part of a PNF"),
        ((file, "type: tosca.nodes.nfv.PnfExtCp", "type: tosca.nodes.nfv.PnfExtCP"), "neither SOL001's nor defined"),
        ((file, "type: tosca.nodes.nfv.PnfExtCp", "type: example.nodes.Antenna"), "is a second PNF"),
        ((file, "default: Example", "default: Other"), "Other"),
        ((file, "[ air, external_virtual_link ]", "[ mast, external_virtual_link ]"), "no connection point 'mast'"),
    ] {
        let text = said("antenna", &[edit]);
        assert!(text.contains("refused") && text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn an_archive_of_another_kind_is_refused_by_name() {
    let open = |name: &str| Archive::open(&fixture(name), &Limits::default()).expect("an archive");
    let limits = Limits::default();
    let of_pnfd = read_vnf_package(&mut open("antenna"), &limits).expect_err("no VNF package").render();
    assert!(of_pnfd.contains("this is a PNFD archive, and a VNF package is expected here"), "{of_pnfd}");
    let as_nsd = read_nsd_archive(&mut open("antenna"), &limits).expect_err("no NSD").render();
    assert!(as_nsd.contains("this is a PNFD archive, and an NSD archive is expected here"), "{as_nsd}");
    for (name, is) in [("router", "a VNF package"), ("edge", "an NSD archive")] {
        let said = read_pnfd_archive(&mut open(name), &limits).expect_err("no PNFD").render();
        assert!(said.contains(&format!("this is {is}, and a PNFD archive is expected here")), "{said}");
    }
}
