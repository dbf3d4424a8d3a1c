//! A guest whose whole memory is one page of 1 GiB. Between the boot that has kept such a page and the undo:
//! it needs no boot of its own.

use serde_json::json;

use crate::{
    guest::{GUEST, IMAGES, RUNNING, SERVICE},
    kit::{Lab, harness::Test},
    pages::pages,
    trial::{GIB, NODE},
};

pub const TESTS: &[Test] = tests![a_guest_has_its_memory_in_one_page_of_a_gib];

const HERE: &str = "/run/epa-gib";

/// `descriptors/epa-small` with other memory, and without its function, which this host's set-up has not made.
const CHANGE: &str = "\
    vnfd=epa-small-vnf/Definitions/epa-small-vnf.yaml; nsd=epa-small-ns/Definitions/epa-small-ns.yaml; \
    sed -i -e 's/virtual_mem_size: 256 MiB/virtual_mem_size: 1 GiB/' -e 's/hugepage_size: 2 MiB/hugepage_size: 1 GiB/' \
    -e 's/requested_size: 256 MiB/requested_size: 1 GiB/' -e 's/vnic_type: direct/vnic_type: normal/' -e '/bitrate_requirement:/d' \
    -e '/virtual_network_interface_requirements:/,/trusted: \"true\"/d' $vnfd; \
    sed -i -e '/- associated_layer_protocol: ethernet/,/segmentation_id:/d' $nsd; \
    grep -c -e 'size: 1 GiB' $vnfd";

fn a_guest_has_its_memory_in_one_page_of_a_gib(lab: &mut Lab) {
    assert_eq!(lab.sh(&format!("rm -rf {HERE}; cp -r {SERVICE} {HERE}; cd {HERE}; {CHANGE}")), "3");
    lab.sh_within(GUEST, &format!("bothy up {HERE} --name epa-gib --images {IMAGES}"));
    let pid = lab.sh(&format!("cat {RUNNING}"));
    let maps = lab.sh(&format!("grep huge /proc/{pid}/numa_maps"));
    for word in ["kernelpagesize_kB=1048576", &format!("N{NODE}=1"), &format!("bind:{NODE}")] {
        assert!(maps.split_whitespace().any(|w| w == word), "{word} in {maps}");
    }
    assert_eq!(pages(lab, NODE, GIB), (1, 0));
    let usage = lab.bothy(&["host", "usage"]);
    let of_node = usage["nodes"][NODE as usize]["pages"].as_array().expect("pages");
    let giant = of_node.iter().find(|p| p["sizeKib"] == GIB).expect("pages of 1 GiB");
    assert_eq!((&giant["total"], &giant["held"], &usage["drift"]), (&json!(1), &json!(1), &json!([])), "{usage}");
    lab.sh_within(GUEST, "bothy down epa-gib --purge");
    assert_eq!(pages(lab, NODE, GIB), (1, 1));
}
