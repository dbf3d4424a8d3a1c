//! The packages in `descriptors/`: each reads without a finding, and each NSD fits its VNFDs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Content, copy};
use crate::{
    descriptor::{Build, Limits, check_against},
    model::{
        epa::{CoreWish, MemPolicy, NicAttach, PagePolicy, PinPolicy, ThreadPolicy},
        nsd::Nsd,
        size::MiB,
        vnfd::{Vdu, Vnfd},
    },
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

/// A package of `descriptors/`, read whole.
fn shipped(folder: &str) -> Vnfd {
    let dir = tempfile::tempdir().expect("tempdir");
    let (inside, out) = (dir.path().join("in"), dir.path().join("out.csar"));
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptors").join(folder), &inside);
    stand_ins(&inside);
    // Its digests are written when it is built.
    let build = Build { dir: &inside, artifacts: &[], out: &out, released: "2026-11-20T00:00:00Z" };
    if let Err(d) = build.run(&Limits::default()) {
        panic!("{folder}: {}", d.render());
    }
    match super::read(&out) {
        Ok(Content::Vnf(c)) => c.vnfd,
        Ok(_) => panic!("{folder} is an NSD"),
        Err(d) => panic!("{folder}: {}", d.render()),
    }
}

/// `hackfest_epasriov` and the reference service 1 of OSM, as their guest-epa and interface types have it.
#[test]
fn the_packages_for_platform_awareness_ask_what_osms_ask() {
    let sriov = shipped("epa-sriov/epa-sriov-vnf");
    let vdus = &sriov.flavours[0].vdus;
    let sizes: Vec<_> = vdus.iter().map(|v| (v.id.as_str(), v.vcpus, v.memory)).collect();
    assert_eq!(sizes, [("mgmt_vm", 1, MiB(1024)), ("data_vm", 8, MiB(4096))]);
    for v in vdus {
        let e = &v.epa;
        assert_eq!((e.pinning, e.threads, e.pages), (PinPolicy::Dedicated, ThreadPolicy::Prefer, PagePolicy::Large), "{}", v.id);
        let numa = e.numa.as_ref().expect("numa");
        assert_eq!((numa.policy, numa.cells.len()), (MemPolicy::Strict, 1), "{}", v.id);
    }
    let kinds = |v: &Vdu| v.nics.iter().map(|n| n.wish.attach).collect::<Vec<_>>();
    assert_eq!(kinds(&vdus[0]), [NicAttach::Switch; 2]);
    assert_eq!(kinds(&vdus[1]), [NicAttach::Switch, NicAttach::Vf]);

    let front = shipped("epa-numa/epa-numa-front");
    assert!(front.flavours[0].vdus.iter().all(|v| v.epa.is_plain()));
    let back = shipped("epa-numa/epa-numa-back");
    let vdus = &back.flavours[0].vdus;
    assert_eq!((vdus[0].epa.pinning, vdus[0].epa.pages), (PinPolicy::Dedicated, PagePolicy::Large));
    assert_eq!(kinds(&vdus[1]), [NicAttach::Pf, NicAttach::Vf, NicAttach::Switch]);
    let cells = vdus[1].epa.cells(vdus[1].vcpus, vdus[1].memory);
    let pair = Some(CoreWish::PairedThreads { pairs: 1, of: Vec::new() });
    assert_eq!(
        cells.iter().map(|c| (c.vcpus.to_string(), c.memory, c.cores == pair)).collect::<Vec<_>>(),
        [("0-1".to_owned(), MiB(2048), true), ("2-3".to_owned(), MiB(2048), true)]
    );

    let small = shipped("epa-small/epa-small-vnf");
    let v = &small.flavours[0].vdus[0];
    assert_eq!((v.vcpus, v.memory, v.epa.pinning, v.epa.pages), (2, MiB(256), PinPolicy::Dedicated, PagePolicy::Size2M));
    assert_eq!(kinds(v), [NicAttach::Switch, NicAttach::Vf]);
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
            Ok(b) => {
                let told = b.warnings.render();
                // A host to try out, which is in no service: its one link is its own.
                let alone = package.ends_with("debian") && told.contains("vnf: exposes no connection point") && told.lines().count() == 3;
                assert!(told.is_empty() || alone, "{}: {told}", package.display());
            }
            Err(d) => panic!("{}: {}", package.display(), d.render()),
        }
        match super::read(&out) {
            Ok(Content::Vnf(c)) => vnfds.push(c.vnfd),
            Ok(Content::Nsd(c)) => nsds.push(c.nsd),
            Ok(Content::Pnfd(_)) => panic!("{} is a PNFD", package.display()),
            Err(d) => panic!("{}: {}", package.display(), d.render()),
        }
    }
    for nsd in nsds {
        assert_eq!(check_against(&nsd, &vnfds.iter().collect::<Vec<_>>()).render(), "", "{}", nsd.name);
    }
}
