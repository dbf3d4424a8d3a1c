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
    lab.configure("hugepages = [{ node = 1, size = \"2 MiB\", pages = 128 }]\n");
    assert_eq!(lab.planned(), [("node 1: 128 pages of 2 MiB (now 0)".to_owned(), "NOTHING".to_owned())]);
    assert!(!lab.apply(&[]), "no reboot for it");
    assert_eq!((pages(lab, 1, 2048), pages(lab, 0, 2048)), ((128, 128), (0, 0)));
    assert!(!lab.apply(&["--undo"]), "nor to undo it");
    assert_eq!(pages(lab, 1, 2048), (0, 0));
}
