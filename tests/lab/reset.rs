//! Factory resets of the image: what each depth empties, and what is left (`--long`: two boots more).

use std::time::Duration;

use crate::kit::{Lab, harness::Test};

pub const LONG: &[Test] = tests![the_configuration_goes_and_guests_images_and_logs_stay, everything_goes_but_what_the_box_is];

const SHIPPED: &str = include_str!("../../image/files/etc/bothy/bothy.toml");
/// Something on each partition that is written to, and in the folder of the box's identity.
const MARKS: [&str; 4] = ["/state/etc/mark", "/var/log/mark", "/data/mark", "/state/etc/bothy/ztp/mark"];

fn marked(lab: &mut Lab) -> Vec<&'static str> {
    let said = lab.sh(&format!("ls -d {} 2>/dev/null || true", MARKS.join(" ")));
    MARKS.into_iter().filter(|m| said.lines().any(|l| l == *m)).collect()
}

fn mark(lab: &mut Lab) {
    lab.sh(&format!("mkdir -p /state/etc/bothy/ztp; touch {}; sync", MARKS.join(" ")));
    assert_eq!(marked(lab), MARKS);
    lab.configure("governor = \"performance\"\n");
    lab.sh("echo hunter2 | bothy secret set psk");
}

/// As the box's own words have it: its key, the name it has for the switch, the slot that it runs by.
fn what_it_is(lab: &mut Lab) -> [String; 3] {
    ["sha256sum </var/lib/bothy/tls/key.pem", "cat /etc/machine-id", "grep -o 'bothy.slot=[AB]' /proc/cmdline"].map(|c| lab.sh(c))
}

fn file_systems(lab: &mut Lab) -> [String; 3] {
    ["state", "log", "data"].map(|p| lab.sh(&format!("blkid -o value -s UUID /dev/bothy/{p}")))
}

fn reset(lab: &mut Lab, depth: &str) {
    lab.end_by(&["/usr/bin/bothy", "host", "reset", "--depth", depth, "--yes", "--insist"]);
    lab.eventually("healthy", Duration::from_secs(600), "bothy health", |said| said.contains(" is OK"));
    assert_eq!(lab.sh("cat /etc/bothy/bothy.toml"), SHIPPED.trim_end(), "the image's");
    assert!(!lab.sh("bothy secret list").contains("psk"));
    lab.sh("test -s /run/bothy/first-start");
    assert_eq!(lab.sh("ls /var/lib/bothy/reset 2>/dev/null || true"), if depth == "everything" { "" } else { "last" }, "no order waits");
}

fn the_configuration_goes_and_guests_images_and_logs_stay(lab: &mut Lab) {
    mark(lab);
    let (is, systems) = (what_it_is(lab), file_systems(lab));
    reset(lab, "configuration");
    assert_eq!((what_it_is(lab), file_systems(lab)), (is, systems));
    assert_eq!(marked(lab), MARKS);
}

fn everything_goes_but_what_the_box_is(lab: &mut Lab) {
    mark(lab);
    let ([key, machine, slot], [state, log, data]) = (what_it_is(lab), file_systems(lab));
    reset(lab, "everything");
    let ([new_key, new_machine, new_slot], systems) = (what_it_is(lab), file_systems(lab));
    assert!(new_key != key && new_machine != machine, "it is another box to everybody");
    assert_eq!(new_slot, slot, "by the same system");
    assert!(systems[0] == state && systems[1] != log && systems[2] != data, "two made anew, one emptied");
    assert_eq!(marked(lab), MARKS[3..], "the manufacturer's word of who it is stays");
    assert_eq!(lab.boot_variable("bothy_args").unwrap_or_default(), "", "and what the kernel was told for guests goes");
}
