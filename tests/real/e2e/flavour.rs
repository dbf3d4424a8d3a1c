//! A VNF comes to another flavour: a real guest finds more processors and a larger disk, and on it what it wrote before.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::kit::{
    self,
    bothy::{NEEDS, build, edited, shipped, text, within},
    host::{Host, With, tiny_image},
};

/// Says how often it has booted from this disk, how many processors it has, and how many sectors the disk.
const SAY: &str = r#"#!/bin/sh
for b in /sys/block/vd*; do
    serial='' was=''
    read -r serial <$b/serial
    [ "$serial" = disk ] || continue
    dev=/dev/${b##*/}
    dd if=$dev bs=512 skip=57344 count=1 2>/dev/null | tr -d '\000' >/run/was
    read -r was </run/was
    echo $((${was:-0} + 1)) | dd of=$dev bs=512 seek=57344 conv=sync,notrunc,fsync 2>/dev/null
    read -r sectors <$b/size
    set -- /sys/devices/system/cpu/cpu[0-9]*
    echo "boots ${was:-0} cpus $# sectors $sectors" >/dev/console
done
"#;

const VOLUME: &str = "    data:
      type: tosca.nodes.nfv.Vdu.VirtualBlockStorage
      properties:
        virtual_block_storage_data:
          size_of_storage: 16 MiB

    mgmt:
      type: tosca.nodes.nfv.VduCp";

/// The web server with a second flavour beside its own: two processors, more memory, a larger disk, and a volume.
fn two_flavours(image: &Path) -> Vec<u8> {
    let definition = "Definitions/vcpe-web.yaml";
    let types = "  - etsi_nfv_sol001_vnfd_types.yaml\n";
    let edits = [
        ("Files/day0/user-data", "#!/bin/sh\n", SAY),
        (definition, types, &*format!("{types}  - large.yaml\n")),
        (definition, "valid_values: [ default ]", "valid_values: [ default, large ]"),
    ];
    let dir = edited(&shipped("descriptors/vcpe/vcpe-web"), &edits);
    let own = fs::read_to_string(dir.path().join(definition)).expect("the definition");
    let (_, topology) = own.split_once("topology_template:").expect("a topology");
    let mut large = topology.to_owned();
    for (from, to) in [
        ("flavour_id: default", "flavour_id: large"),
        ("num_virtual_cpu: 1", "num_virtual_cpu: 2"),
        ("virtual_mem_size: 128 MiB", "virtual_mem_size: 192 MiB"),
        ("size_of_storage: 32 MiB", "size_of_storage: 64 MiB"),
        ("        - virtual_storage: disk\n", "        - virtual_storage: disk\n        - virtual_storage: data\n"),
        ("    mgmt:\n      type: tosca.nodes.nfv.VduCp", VOLUME),
    ] {
        assert!(large.contains(from), "{from}");
        large = large.replace(from, to);
    }
    let head = format!("tosca_definitions_version: tosca_simple_yaml_1_3\n\nimports:\n{types}\ntopology_template:");
    fs::write(dir.path().join("Definitions/large.yaml"), head + &large).expect("written");
    build(dir.path(), &[("Files/images/tiny.qcow2", image)])
}

#[test]
fn a_guest_finds_more_of_everything_and_what_it_wrote_before() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let Some(image) = tiny_image() else { return };
    let mut host = Host::start(With::Switch);
    host.serve();
    host.reconciled();
    let (_, package) = host.onboard(false, &two_flavours(image.as_std_path()));
    assert_eq!(text(&package, "onboardingState"), "ONBOARDED", "{package}");
    let ask = json!({ "vnfdId": text(&package, "vnfdId"), "vnfInstanceName": "web" });
    let path = format!("/vnflcm/v2/vnf_instances/{}", text(&host.post("/vnflcm/v2/vnf_instances", &ask).expect(201).json(), "id"));
    let op = host.post(&format!("{path}/instantiate"), &json!({ "flavourId": "default" })).expect(202).location.expect("op");
    host.completed(&op);
    let guest = host.domains().remove(0).0;
    let log = host.dir().join(format!("data/serial/{guest}.log"));
    let said = |want: &[&str]| {
        // The shell's prompt may stand before it.
        let of = |line: &str| Some(format!("boots{}", line.split_once("boots")?.1.trim_end()));
        let all = || fs::read(&log).map(|b| String::from_utf8_lossy(&b).lines().filter_map(of).collect::<Vec<_>>()).unwrap_or_default();
        within(&format!("it said {want:?}"), Duration::from_secs(180), || Some(()).filter(|()| all() == want));
    };
    let disks = host.dir().join("data/disks");
    let files = || fs::read_dir(&disks).expect("disks").count();
    let shown = |what: &str| -> Value { host.get(&path)["instantiatedVnfInfo"][what].clone() };
    let nics = || shown("vnfcResourceInfo")[0]["vnfcCpInfo"].clone();
    let (small, large, back) = ("boots 0 cpus 1 sectors 65536", "boots 1 cpus 2 sectors 131072", "boots 2 cpus 1 sectors 131072");

    said(&[small]);
    let before = nics();
    let plan = host.cli(&["vnf", "change-flavour", "web", "large", "--plan"]);
    assert!(plan.contains("define anew") && plan.contains("Nothing was made."), "{plan}");
    host.cli(&["vnf", "change-flavour", "web", "large"]);
    said(&[small, large]);
    assert_eq!((host.domains(), files()), (vec![(guest.clone(), "running".to_owned())], 2), "the same guest, and one disk more");
    assert_eq!((shown("flavourId"), nics()), (json!("large"), before.clone()));

    host.cli(&["vnf", "change-flavour", "web", "default"]);
    said(&[small, large, back]);
    assert_eq!((host.domains(), files()), (vec![(guest, "running".to_owned())], 1), "a disk is not cut, and the volume is gone");
    assert_eq!((shown("flavourId"), nics()), (json!("default"), before));

    let op = host.post(&format!("{path}/terminate"), &json!({ "terminationType": "FORCEFUL" })).expect(202).location.expect("op");
    host.completed(&op);
    host.delete(&path);
    host.nothing_left();
}
