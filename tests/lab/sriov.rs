//! A NIC's virtual functions: made by the host's set-up, told apart, taken back.

use std::time::Duration;

use serde_json::Value;

use crate::kit::{Lab, harness::Test, machine::PF_MACS};

pub const TESTS: &[Test] = tests![each_pf_is_on_its_own_node, vfs_are_planned_and_made, a_vf_takes_mac_and_vlan, an_undo_leaves_no_vfs];

/// The interface and PCI address of a physical function.
#[track_caller]
pub fn pf(lab: &mut Lab, node: usize) -> (String, String) {
    let mac = PF_MACS[node];
    let name = lab.sh(&format!("grep -lx {mac} /sys/class/net/e*/address | head -n 1 | cut -d/ -f5"));
    assert!(!name.is_empty(), "no interface with {mac}");
    let pci = lab.sh(&format!("basename $(readlink /sys/class/net/{name}/device)"));
    (name, pci)
}

/// What the kernel says about a physical function's VF.
#[track_caller]
pub fn vf(lab: &mut Lab, pf: &str, index: usize) -> Value {
    let links: Value = serde_json::from_str(&lab.sh(&format!("ip -j -d link show dev {pf}"))).expect("JSON");
    links[0]["vfinfo_list"][index].clone()
}

fn each_pf_is_on_its_own_node(lab: &mut Lab) {
    for node in 0..2 {
        let (_, pci) = pf(lab, node);
        let facts = lab.sh(&format!("cd /sys/bus/pci/devices/{pci}; cat numa_node sriov_totalvfs; basename $(readlink driver)"));
        assert_eq!(facts.lines().collect::<Vec<_>>(), [&node.to_string(), "7", "igb"], "{pci}");
    }
}

fn vfs_are_planned_and_made(lab: &mut Lab) {
    let (name, pci) = pf(lab, 0);
    lab.configure(&format!("pf = [{{ name = \"{name}\", vfs = 4 }}]\n"));
    assert_eq!(lab.planned(), [(format!("PF {name}: 4 VFs (now 0)"), "NOTHING".to_owned())]);
    assert!(!lab.apply(&[]), "no reboot for it");
    assert_eq!(lab.planned(), []);
    // Each in a group of its own: it can be given away alone.
    let groups =
        lab.sh(&format!("for f in /sys/bus/pci/devices/{pci}/virtfn*; do basename $(readlink $f/iommu_group); done | sort -u | wc -l"));
    assert_eq!(groups, "4");
    assert!(vf(lab, &name, 3).is_object() && vf(lab, &name, 4).is_null(), "four VFs at {name}");
    let facts = lab.bothy(&["host", "facts"]);
    let device = facts["devices"].as_array().expect("devices").iter().find(|d| d["address"] == pci).expect("the PF");
    assert_eq!(device["sriov"]["vfs"].as_array().map(Vec::len), Some(4), "{device}");
}

fn a_vf_takes_mac_and_vlan(lab: &mut Lab) {
    let (name, _) = pf(lab, 0);
    lab.sh(&format!("ip link set {name} vf 2 mac 02:b0:71:00:00:02 vlan 42"));
    let seen = vf(lab, &name, 2);
    assert_eq!(seen["address"], "02:b0:71:00:00:02", "{seen}");
    assert_eq!(seen["vlan_list"][0]["vlan"], 42, "{seen}");
    assert!(vf(lab, &name, 1)["vlan_list"][0]["vlan"].is_null(), "only that one");
}

fn an_undo_leaves_no_vfs(lab: &mut Lab) {
    let (name, pci) = pf(lab, 0);
    assert!(!lab.apply(&["--undo"]), "no reboot for it");
    lab.eventually("no VF", Duration::from_secs(30), &format!("ls /sys/bus/pci/devices/{pci} | grep -c virtfn || true"), |said| {
        said == "0"
    });
    assert!(vf(lab, &name, 0).is_null());
}
