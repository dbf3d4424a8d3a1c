//! The packages in `descriptors/`: each reads without a finding, and each NSD fits its VNFDs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Content, copy};
use crate::{
    descriptor::{Build, Limits, check_against},
    model::{nsd::Nsd, vnfd::Vnfd},
};

/// Folders with a TOSCA.meta, at any depth.
fn packages(dir: &Path, out: &mut Vec<PathBuf>) {
    if dir.join("TOSCA-Metadata/TOSCA.meta").is_file() {
        out.push(dir.to_path_buf());
        return;
    }
    for e in fs::read_dir(dir).into_iter().flatten().flatten().filter(|e| e.path().is_dir()) {
        packages(&e.path(), out);
    }
}

/// Images are built, not stored here: each one a package names gets a stand-in.
fn stand_ins(folder: &Path) {
    for f in fs::read_dir(folder.join("Definitions")).into_iter().flatten().flatten() {
        let text = fs::read_to_string(f.path()).unwrap_or_default();
        for name in text.lines().filter_map(|l| l.trim().strip_prefix("file: ../Files/images/")) {
            fs::create_dir_all(folder.join("Files/images")).expect("folder");
            fs::write(folder.join("Files/images").join(name), b"QFI\xfb stand-in").expect("image");
        }
    }
}

#[test]
fn shipped_packages_build_without_a_finding_and_fit_together() {
    let mut found = Vec::new();
    packages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptors"), &mut found);
    if found.is_empty() {
        println!("SKIP: needs packages in descriptors/");
    }
    let (mut vnfds, mut nsds): (Vec<Vnfd>, Vec<Nsd>) = Default::default();
    for package in found {
        let dir = tempfile::tempdir().expect("tempdir");
        let (folder, out) = (dir.path().join("in"), dir.path().join("out.csar"));
        copy(&package, &folder);
        stand_ins(&folder);
        let build = Build { dir: &folder, artifacts: &[], out: &out, released: "2026-11-20T00:00:00Z" };
        match build.run(&Limits::default()) {
            Ok(b) => assert_eq!(b.warnings.render(), "", "{}", package.display()),
            Err(d) => panic!("{}: {}", package.display(), d.render()),
        }
        match super::read(&out) {
            Ok(Content::Vnf(c)) => vnfds.push(c.vnfd),
            Ok(Content::Nsd(c)) => nsds.push(c.nsd),
            Err(d) => panic!("{}: {}", package.display(), d.render()),
        }
    }
    for nsd in nsds {
        assert_eq!(check_against(&nsd, &vnfds.iter().collect::<Vec<_>>()).render(), "", "{}", nsd.name);
    }
}
