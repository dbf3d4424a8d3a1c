//! Packages of others, where the reference material is at hand: each has its expected outcome.

use std::path::{Path, PathBuf};

use super::{Content, copy, read};

fn samples() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = ["../shared", "../../shared"].iter().map(|p| root.join(p).join("tacker-samples")).find(|p| p.is_dir());
    if found.is_none() {
        println!("SKIP: needs ../shared/tacker-samples");
        assert!(std::env::var("BOTHY_REQUIRE").as_deref() != Ok("all"), "tacker-samples are required");
    }
    found
}

const IMAGE: &str = "Files/images/cirros-0.5.2-x86_64-disk.img' is not in the package";
const NO_ENTRY: &str = "'Definitions/helloworld3_top.vnfd.yaml' is not in the package";

/// Folder, and what each of its errors must contain: no error may be left over, none missing.
const TABLE: &[(&str, &[&str])] = &[
    ("vnflcm1", &[IMAGE]),
    ("vnf_packages", &[IMAGE, IMAGE]),
    (
        "sample_vnfpkg_tosca_vnfd",
        &[IMAGE, "asks for 8193 MiB (min_ram)", IMAGE, "3 instances of VDU 'VDU1' are outside its vdu_profile, 1 to 1"],
    ),
    ("csar_with_short_notation_for_artifacts", &[IMAGE]),
    ("etsi_getting_started/tosca/sample_vnf_package_csar", &[IMAGE]),
    ("vnfpkgm1", &[NO_ENTRY, "Scripts/install.sh' is not", "Scripts/install.sh' is not", "deployment.yaml' is not"]),
    (
        "sample_vnf_package_csar_in_meta_and_manifest",
        &[NO_ENTRY, "Scripts/install.sh' is not", IMAGE, "Scripts/install.sh' is not", "deployment.yaml' is not"],
    ),
    ("sample_vnf_package_csar_in_meta_and_manifest_false_hash", &[NO_ENTRY, "the SHA-256 of 'Scripts/install.sh' has 63 digits, not 64"]),
    (
        "sample_vnf_package_csar_manifest",
        &[
            "is not in the package",
            "Scripts/install.sh' is not in the package",
            "deployment.yaml' is not in the package",
            IMAGE,
            "asks for 8192 MiB (min_ram)",
            IMAGE,
        ],
    ),
    (
        "test_cnf_scale",
        &[
            "virtual_compute.properties: is missing",
            "has no disk to boot from",
            "virtual_compute.properties: is missing",
            "has no disk to boot from",
        ],
    ),
];

#[test]
fn every_tacker_sample_has_its_expected_outcome() {
    let Some(root) = samples() else { return };
    for (folder, want) in TABLE {
        let found = match read(&root.join(folder)) {
            Ok(_) => Vec::new(),
            Err(d) => d.errors().map(ToString::to_string).collect::<Vec<_>>(),
        };
        assert_eq!(found.len(), want.len(), "{folder}: {found:#?}");
        for (f, w) in found.iter().zip(*want) {
            assert!(f.contains(w), "{folder}: wanted {w:?} in {f:?}");
        }
    }
}

/// The samples miss their image; with a file in its place they must read.
#[test]
fn a_tacker_package_with_its_image_is_taken() {
    let Some(root) = samples() else { return };
    for folder in ["vnflcm1", "vnf_packages", "etsi_getting_started/tosca/sample_vnf_package_csar"] {
        let dir = tempfile::tempdir().expect("tempdir");
        copy(&root.join(folder), dir.path());
        let images = dir.path().join("Files/images");
        std::fs::create_dir_all(&images).expect("folder");
        std::fs::write(images.join("cirros-0.5.2-x86_64-disk.img"), b"QFI\xfb").expect("image");
        match read(dir.path()) {
            Ok(_) => panic!("{folder}: the image is not the one that the checksum names"),
            Err(d) => {
                let errors: Vec<String> = d.errors().map(ToString::to_string).collect();
                assert!(errors.iter().all(|e| e.contains("wrong SHA-")), "{folder}: {errors:#?}");
                assert!(errors.iter().all(|e| e.contains("expected ") && e.contains("found ")), "{folder}: {errors:#?}");
            }
        }
        // And without the checksum.
        for f in std::fs::read_dir(dir.path().join("Definitions")).expect("folder") {
            let path = f.expect("entry").path();
            let text = std::fs::read_to_string(&path).expect("text");
            let kept: Vec<&str> =
                text.lines().filter(|l| !["checksum:", "algorithm:", "hash:"].iter().any(|k| l.trim_start().starts_with(k))).collect();
            std::fs::write(&path, kept.join("\n")).expect("write");
        }
        match read(dir.path()) {
            Ok(Content::Vnf(c)) => {
                let f = c.vnfd.flavour("simple").expect("flavour");
                assert!(f.vdus.iter().all(|v| v.disks.first().is_some_and(|d| d.image.is_some())), "{folder}");
                assert_eq!((c.vnfd.provider.as_str(), c.vnfd.default_flavour.as_str()), ("Company", "simple"), "{folder}");
            }
            Ok(_) => panic!("{folder}: not an NSD"),
            Err(d) => panic!("{folder}: {}", d.render()),
        }
    }
}
