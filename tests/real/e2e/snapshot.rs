//! A snapshot is a snapshot: a real guest that counts its boots on its disks is taken back to an earlier count.

use std::{fs, time::Duration};

use camino::Utf8Path;
use serde_json::json;

use crate::kit::{
    self,
    bothy::{NEEDS, build_edited, shipped, text, within},
    host::{Host, With, tiny_image},
};

/// Finds its disks by their serials, says what each held, and writes one more; past the root disk's partition.
/// It speaks when the write is on the disk, since the guest may be gone as soon as it was heard.
const COUNT: &str = r#"#!/bin/sh
for b in /sys/block/vd*; do
    serial='' was=''
    read -r serial <$b/serial
    case $serial in disk) at=57344 ;; data) at=0 ;; *) continue ;; esac
    dev=/dev/${b##*/}
    dd if=$dev bs=512 skip=$at count=1 2>/dev/null | tr -d '\000' >/run/was
    read -r was </run/was
    echo $((${was:-0} + 1)) | dd of=$dev bs=512 seek=$at conv=sync,notrunc,fsync 2>/dev/null
    echo "$serial holds ${was:-0}" >/dev/console
done
"#;

const SECOND_DISK: &str = "    data:
      type: tosca.nodes.nfv.Vdu.VirtualBlockStorage
      properties:
        virtual_block_storage_data:
          size_of_storage: 16 MiB

    mgmt:
      type: tosca.nodes.nfv.VduCp";

/// A VNF of one guest with a root disk and a volume, which counts its boots on both; its path.
pub fn one_that_counts(host: &Host, image: &Utf8Path) -> String {
    let definition = "Definitions/vcpe-web.yaml";
    let edits = [
        ("Files/day0/user-data", "#!/bin/sh\n", COUNT),
        (definition, "        - virtual_storage: disk\n", "        - virtual_storage: disk\n        - virtual_storage: data\n"),
        (definition, "    mgmt:\n      type: tosca.nodes.nfv.VduCp", SECOND_DISK),
    ];
    let archive = build_edited(&shipped("descriptors/vcpe/vcpe-web"), &[("Files/images/tiny.qcow2", image.as_std_path())], &edits);
    let (_, package) = host.onboard(false, &archive);
    assert_eq!(text(&package, "onboardingState"), "ONBOARDED", "{package}");
    let ask = json!({ "vnfdId": text(&package, "vnfdId"), "vnfInstanceName": "web" });
    let path = format!("/vnflcm/v2/vnf_instances/{}", text(&host.post("/vnflcm/v2/vnf_instances", &ask).expect(201).json(), "id"));
    let op = host.post(&format!("{path}/instantiate"), &json!({ "flavourId": "default" })).expect(202).location.expect("op");
    host.completed(&op);
    path
}

#[test]
fn a_guest_goes_back_to_what_its_root_disk_and_its_volume_held() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let Some(image) = tiny_image() else { return };
    let mut host = Host::start(With::Switch);
    host.serve();
    host.reconciled();
    let path = one_that_counts(&host, &image);
    let guest = host.domains().remove(0).0;
    let log = host.dir().join(format!("data/serial/{guest}.log"));
    let held = |disk: &str, want: &[u32]| {
        // The shell's prompt may stand before it.
        let of = |line: &str| line.split_once(&format!("{disk} holds "))?.1.trim().parse::<u32>().ok();
        let said = || fs::read(&log).map(|b| String::from_utf8_lossy(&b).lines().filter_map(of).collect::<Vec<_>>()).unwrap_or_default();
        within(&format!("{disk} held {want:?}"), Duration::from_secs(180), || Some(()).filter(|()| said() == want));
    };
    let both = |want: &[u32]| ["disk", "data"].iter().for_each(|d| held(d, want));
    let disks = host.dir().join("data/disks");
    let copies = || fs::read_dir(&disks).expect("disks").flatten().filter(|e| e.path().extension().is_some_and(|x| x == "copy")).count();
    let reboot = || host.cli(&["vnf", "reboot", "web", "--how", "forceful"]);

    both(&[0]);
    host.cli(&["vnf", "snapshot", "create", "web", "first"]);
    assert_eq!((host.domains(), copies()), (vec![(guest.clone(), "running".to_owned())], 2));
    let listed = host.cli(&["vnf", "snapshot", "list"]);
    assert!(listed.contains("first") && listed.contains("web"), "{listed}");
    // What QEMU wrote last is in the copies, and they are sound.
    for copy in fs::read_dir(&disks).expect("disks").flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|x| x == "copy")) {
        kit::sh(&["qemu-img", "check", "-q", &copy.to_string_lossy()]);
    }
    reboot();
    both(&[0, 1]);
    reboot();
    both(&[0, 1, 2]);

    host.cli(&["vnf", "snapshot", "revert", "web", "first"]);
    both(&[0, 1, 2, 1]);
    assert_eq!(host.domains(), [(guest.clone(), "running".to_owned())]);
    within("what the revert kept is gone", Duration::from_secs(90), || Some(()).filter(|()| copies() == 2));
    // One that is stopped stays so, and finds the same at its start.
    host.cli(&["vnf", "stop", "web", "--how", "forceful"]);
    host.cli(&["vnf", "snapshot", "revert", "web", "first"]);
    assert_eq!(host.domains(), [(guest.clone(), "shut off".to_owned())]);
    host.cli(&["vnf", "start", "web"]);
    both(&[0, 1, 2, 1, 1]);

    let op = host.post(&format!("{path}/terminate"), &json!({ "terminationType": "FORCEFUL" })).expect(202).location.expect("op");
    host.completed(&op);
    assert!(copies() >= 2, "a snapshot outlives its VNF's termination");
    host.cli(&["vnf", "snapshot", "delete", "first"]);
    host.delete(&path);
    host.nothing_left();
}
