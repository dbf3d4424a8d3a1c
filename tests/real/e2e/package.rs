//! A VNF comes to another package: a real guest runs the image of that one with its seed, and finds on its volume what it
//! wrote before.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use crate::kit::{
    self,
    bothy::{NEEDS, build, edited, shipped, text, within},
    host::{Host, With, tiny_image},
};

/// Says whose seed this is, which image its root disk is from, and how often it has booted from that disk and with that volume.
const SAY: &str = r#"#!/bin/sh
look() { dd if=/dev/$1 bs=512 skip=$2 count=1 2>/dev/null | tr -d '\000'; }
count() {
    was=$(look $1 $2)
    echo $((${was:-0} + 1)) | dd of=/dev/$1 bs=512 seek=$2 conv=sync,notrunc,fsync 2>/dev/null
    echo ${was:-0}
}
for b in /sys/block/vd*; do
    serial=''
    read -r serial <$b/serial
    case "$serial" in
    disk) root=${b##*/} ;;
    data) volume=${b##*/} ;;
    esac
done
image=$(look $root 57400)
echo "seed SEED image ${image:-first} root $(count $root 57344) volume $(count $volume 0)" >/dev/console
"#;

const VOLUME: &str = "    data:
      type: tosca.nodes.nfv.Vdu.VirtualBlockStorage
      properties:
        virtual_block_storage_data:
          size_of_storage: 16 MiB

    mgmt:
      type: tosca.nodes.nfv.VduCp";

const FIRST: &str = "b0714103-0000-4000-8000-000000000001";
const SECOND: &str = "b0714103-0000-4000-8000-000000000002";

/// The web server with a volume, as its package number `version`, with this image.
fn package(version: &str, vnfd: &str, image: &Path) -> Vec<u8> {
    let definition = "Definitions/vcpe-web.yaml";
    let software = |v: &str| {
        format!("software_version:\n        type: string\n        constraints: [ valid_values: [ \"{v}\" ] ]\n        default: \"{v}\"")
    };
    let say = SAY.replace("SEED", version);
    let dir = edited(
        &shipped("descriptors/vcpe/vcpe-web"),
        &[
            ("Files/day0/user-data", "#!/bin/sh\n", &*say),
            (definition, FIRST, vnfd),
            (definition, &*software("1.0"), &*software(version)),
            (definition, "        - virtual_storage: disk\n", "        - virtual_storage: disk\n        - virtual_storage: data\n"),
            (definition, "    mgmt:\n      type: tosca.nodes.nfv.VduCp", VOLUME),
            ("vcpe-web.mf", FIRST, vnfd),
            ("vcpe-web.mf", "vnf_software_version: 1.0", &*format!("vnf_software_version: {version}")),
        ],
    );
    build(dir.path(), &[("Files/images/tiny.qcow2", image)])
}

/// The same image with a mark on it, where no file system is.
fn marked(image: &Path, dir: &Path) -> PathBuf {
    let (raw, out) = (dir.join("second.raw"), dir.join("second.qcow2"));
    let [from, raw_path, to] = [image, &raw, &out].map(|p| p.to_string_lossy().into_owned());
    kit::sh(&["qemu-img", "convert", "-O", "raw", &from, &raw_path]);
    let mut bytes = fs::read(&raw).expect("the image");
    let at = 57400 * 512;
    assert!(bytes.len() <= at, "the mark lies behind the image");
    bytes.resize(at + 512, 0);
    bytes[at..at + 7].copy_from_slice(b"second\n");
    fs::write(&raw, bytes).expect("written");
    kit::sh(&["qemu-img", "convert", "-O", "qcow2", &raw_path, &to]);
    out
}

#[test]
fn a_guest_runs_the_other_image_and_its_volume_holds_what_it_wrote() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let Some(image) = tiny_image() else { return };
    let dir = kit::scratch();
    let other = marked(image.as_std_path(), dir.path());
    let mut host = Host::start(With::Switch);
    host.serve();
    host.reconciled();
    for archive in [package("1.0", FIRST, image.as_std_path()), package("2.0", SECOND, &other)] {
        let (_, package) = host.onboard(false, &archive);
        assert_eq!(text(&package, "onboardingState"), "ONBOARDED", "{package}");
    }
    let ask = json!({ "vnfdId": FIRST, "vnfInstanceName": "web" });
    let path = format!("/vnflcm/v2/vnf_instances/{}", text(&host.post("/vnflcm/v2/vnf_instances", &ask).expect(201).json(), "id"));
    let op = host.post(&format!("{path}/instantiate"), &json!({ "flavourId": "default" })).expect(202).location.expect("op");
    host.completed(&op);
    let guest = host.domains().remove(0).0;
    let log = host.dir().join(format!("data/serial/{guest}.log"));
    let said = |want: &[&str]| {
        // The shell's prompt may stand before it.
        let of = |line: &str| line.find("seed ").filter(|_| line.contains(" volume ")).map(|at| line[at..].trim_end().to_owned());
        let all = || fs::read(&log).map(|b| String::from_utf8_lossy(&b).lines().filter_map(of).collect::<Vec<_>>()).unwrap_or_default();
        within(&format!("it said {want:?}"), Duration::from_secs(180), || Some(()).filter(|()| all() == want));
    };
    let disks = host.dir().join("data/disks");
    let files = || fs::read_dir(&disks).expect("disks").count();
    let shown = |what: &str| -> Value { host.get(&path)[what].clone() };
    let nics = || shown("instantiatedVnfInfo")["vnfcResourceInfo"][0]["vnfcCpInfo"].clone();
    let (first, second, back) =
        ("seed 1.0 image first root 0 volume 0", "seed 2.0 image second root 0 volume 1", "seed 1.0 image first root 0 volume 2");

    said(&[first]);
    let before = nics();
    let plan = host.cli(&["vnf", "change-package", "web", SECOND, "--plan"]);
    assert!(plan.contains("anew") && plan.contains("kept") && plan.contains("Nothing was made."), "{plan}");
    host.cli(&["vnf", "change-package", "web", SECOND]);
    said(&[first, second]);
    assert_eq!((host.domains(), files()), (vec![(guest.clone(), "running".to_owned())], 2), "the same guest, and the old disk is gone");
    assert_eq!((shown("vnfdId"), shown("vnfSoftwareVersion"), nics()), (json!(SECOND), json!("2.0"), before.clone()));

    host.cli(&["vnf", "change-package", "web", FIRST]);
    said(&[first, second, back]);
    assert_eq!((host.domains(), files()), (vec![(guest, "running".to_owned())], 2));
    assert_eq!((shown("vnfdId"), nics()), (json!(FIRST), before));

    let op = host.post(&format!("{path}/terminate"), &json!({ "terminationType": "FORCEFUL" })).expect(202).location.expect("op");
    host.completed(&op);
    host.delete(&path);
    host.nothing_left();
}
