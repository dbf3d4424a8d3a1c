//! The box comes up by itself, whole.

use std::time::Duration;

use crate::kit::{Lab, disk::COMMITTED, harness::Test};

pub const TESTS: &[Test] = tests![
    no_service_has_failed,
    the_arguments_of_the_environment_block_are_there,
    bothy_is_ready,
    nothing_but_the_api_reaches_it,
    the_host_is_seen,
    nobody_can_log_in
];

fn no_service_has_failed(lab: &mut Lab) {
    assert_eq!(lab.sh("systemctl list-units --failed --no-legend --plain"), "");
    assert_eq!(lab.sh("systemctl is-system-running"), "running");
}

fn the_arguments_of_the_environment_block_are_there(lab: &mut Lab) {
    let line = lab.sh("cat /proc/cmdline");
    assert!(line.ends_with(&format!("bothy.boot=committed {COMMITTED}")), "{line}");
    assert_eq!(lab.boot_variable("bothy_args").as_deref(), Some(COMMITTED));
    let groups: u32 = lab.sh("ls /sys/kernel/iommu_groups | wc -l").parse().expect("a number");
    assert!(groups > 4, "{groups} IOMMU groups");
}

fn bothy_is_ready(lab: &mut Lab) {
    // The first question to libvirt makes it look at every QEMU there is, and then KVM is tried.
    let said = lab.eventually("healthy", Duration::from_secs(600), "bothy health", |said| said.contains(" is OK"));
    assert!(said.contains("kernel datapath"), "{said}");
    assert!(said.contains("guests run under KVM"), "{said}");
    // Its firmware has no keys, and the box works; with them: `secure`.
    assert!(said.contains("in slot A, boot not verified: "), "{said}");
    assert_eq!(lab.bothy(&["host"])["system"]["bootVerified"], false);
    // As TOML.
    let shown = lab.bothy(&["config", "show"]);
    let accel = shown["keys"].as_array().into_iter().flatten().find(|k| k["key"] == "hypervisor.accel");
    assert_eq!(accel.map(|k| &k["value"]), Some(&"\"kvm\"".into()), "the box never emulates: {shown}");
}

/// What packets make of these rules: tests/real/door.rs.
fn nothing_but_the_api_reaches_it(lab: &mut Lab) {
    assert_eq!(lab.sh("systemctl is-active nftables"), "active", "shut before there is a network");
    let rules = lab.sh("nft list table inet bothy_door");
    assert_eq!(rules.matches("policy drop").count(), 2, "{rules}");
    let open: Vec<&str> = rules.lines().map(str::trim).filter(|l| l.starts_with("tcp") || l.starts_with("ip ")).collect();
    assert_eq!(open, ["tcp dport 9443 accept"], "{rules}");
    let said = lab.sh("bothy health");
    assert!(said.contains("reached from outside: 9443/tcp"), "{said}");
}

fn the_host_is_seen(lab: &mut Lab) {
    let host = lab.bothy(&["host"]);
    assert_eq!(host["cpus"], 6, "{host}");
    assert_eq!(lab.sh("ls -d /sys/devices/system/node/node* | wc -l"), "2");
}

fn nobody_can_log_in(lab: &mut Lab) {
    let open = lab.sh("cut -d: -f1,2 /etc/shadow | grep -v ':[*!]' || true");
    assert_eq!(open, "", "accounts with a password");
}
