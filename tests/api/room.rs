//! What guests' thin disks were promised is nobody else's: uploads, and what is unpacked of them.

use std::{
    collections::HashMap,
    fs,
    io::{Cursor, Read as _},
};

use bothy::{
    model::{size::Bytes, vnf::Reservation},
    vim::port::{DiskRoom, Images as _},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zip::ZipArchive;

use crate::{
    kit::build,
    rig::{Rig, rig},
};

const ALL: u64 = 1 << 50;

/// So much of the disk is left beside what guests may yet write.
fn leave(rig: &Rig, left: u64) {
    let set = |free| rig.sim.set_room(DiskRoom { total: Bytes(ALL), free: Bytes(free), disks: Bytes(0) });
    set(ALL);
    let now = rig.sim.room().expect("room");
    let promised: u64 = rig.core.vnfm().store().list::<Reservation>().expect("read").iter().map(|r| r.disk.bytes().0).sum();
    assert!(promised > now.disks.0, "thin disks");
    set(ALL - now.free.0 + promised - now.disks.0 + left);
}

/// What of an archive is not there yet. Images are left out: the rig's are all the same.
fn unpacked(rig: &Rig, archive: &[u8]) -> u64 {
    let mut zip = ZipArchive::new(Cursor::new(archive)).expect("a ZIP");
    let mut new = HashMap::new();
    for i in 0..zip.len() {
        let mut f = zip.by_index(i).expect("a file");
        let mut bytes = Vec::new();
        f.read_to_end(&mut bytes).expect("read");
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        if !f.name().starts_with("Files/images/") && !rig.core.vnfm().layout().artifact(&digest).exists() {
            new.insert(digest, bytes.len() as u64);
        }
    }
    new.values().sum()
}

fn files(rig: &Rig, folder: &str) -> usize {
    fs::read_dir(rig.config_path.with_file_name(folder)).expect("folder").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_refused_where_it_would_take_what_guests_were_promised() {
    let rig = rig(64, "").await;
    rig.onboard_vnf("descriptors/vcpe/vcpe-client").await;
    let web = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let made = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": web["vnfdId"], "vnfInstanceName": "web"})).await;
    let vnf = made.header("location").expect("location").to_owned();
    assert_eq!(rig.task(&format!("{vnf}/instantiate"), json!({"flavourId": "default"})).await["operationState"], "COMPLETED");

    for (path, content, state, folder) in [
        ("/vnfpkgm/v2/vnf_packages", "package_content", "onboardingState", "descriptors/vcpe/vcpe-firewall"),
        ("/nsd/v2/ns_descriptors", "nsd_content", "nsdOnboardingState", "descriptors/vcpe/vcpe-ns"),
    ] {
        let archive = build(folder);
        let (sent, whole) = (archive.len() as u64, unpacked(&rig, &archive));
        assert!(whole > sent + 100, "{folder}: {whole} bytes in {sent}");
        let made = rig.post(path, json!({})).await;
        let at = made.header("location").expect("location").to_owned();
        let to = format!("{at}/{content}");

        // The archive alone would have no room.
        leave(&rig, sent - 1);
        let before = files(&rig, "artifacts");
        let refused = rig.put(&to, &archive).await;
        let said = refused.problem();
        assert_eq!(refused.status, 503, "{said}");
        for part in ["no room for the upload", "needed", "free", "reserve.disk_mib", "promised to guests' disks", "terminate a VNF"] {
            assert!(said.contains(part), "{part:?} in {said}");
        }
        assert!(refused.header("retry-after").is_some());
        assert_eq!(rig.show(&at).await[state], "CREATED");
        assert_eq!((files(&rig, "uploads"), files(&rig, "artifacts")), (0, before), "{folder}");

        // It has, and what is in it has not. The rig's disk does not shrink by the archive.
        leave(&rig, whole - 1);
        assert_eq!(rig.put(&to, &archive).await.status, 202);
        let v = rig.settled(&at, state, &["UPLOADING", "PROCESSING"]).await;
        assert_eq!(v[state], "ERROR", "{v:#}");
        let said = v["onboardingFailureDetails"]["detail"].as_str().unwrap_or_default();
        assert!(said.starts_with("no room to unpack the package: ") && said.contains("promised to guests' disks"), "{v:#}");
        assert_eq!((files(&rig, "uploads"), files(&rig, "artifacts")), (0, before + 1), "{folder}: only its archive is kept");

        leave(&rig, whole);
        assert_eq!(rig.put(&to, &archive).await.status, 202);
        let v: Value = rig.settled(&at, state, &["UPLOADING", "PROCESSING"]).await;
        assert_eq!(v[state], "ONBOARDED", "{v:#}");
    }

    // With the guest goes its promise.
    let made = rig.post("/vnfpkgm/v2/vnf_packages", json!({})).await;
    let to = format!("{}/package_content", made.header("location").expect("location"));
    leave(&rig, 0);
    assert_eq!(rig.put(&to, b"PK").await.status, 503);
    assert_eq!(rig.task(&format!("{vnf}/terminate"), json!({"terminationType": "FORCEFUL"})).await["operationState"], "COMPLETED");
    assert_eq!(rig.put(&to, b"PK").await.status, 202);
}
