//! Huge pages, on the node that is meant.

use crate::kit::{Lab, harness::Test};

pub const TESTS: &[Test] = tests![two_mib_pages_come_from_one_node];

/// Pages of a size on a node: how many there are, and how many are free.
#[track_caller]
pub fn pages(lab: &mut Lab, node: u32, kib: u32) -> (u32, u32) {
    let said = lab.sh(&format!("cd /sys/devices/system/node/node{node}/hugepages/hugepages-{kib}kB; cat nr_hugepages free_hugepages"));
    let numbers: Vec<u32> = said.lines().map(|l| l.parse().expect("a number")).collect();
    (numbers[0], numbers[1])
}

fn two_mib_pages_come_from_one_node(lab: &mut Lab) {
    let file = "/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages";
    lab.sh(&format!("echo 128 >{file}"));
    assert_eq!(pages(lab, 1, 2048), (128, 128));
    assert_eq!(pages(lab, 0, 2048), (0, 0));
    lab.sh(&format!("echo 0 >{file}"));
    assert_eq!(pages(lab, 1, 2048), (0, 0));
}
