//! Kernel arguments on trial: booted once, and left again without anybody's help.

use crate::{
    kit::{Lab, disk::COMMITTED, harness::Test},
    pages::pages,
};

pub const TESTS: &[Test] = tests![gib_pages_are_there_on_a_trial_and_gone_after_it, a_trial_that_does_not_boot_falls_back];

fn gib_pages_are_there_on_a_trial_and_gone_after_it(lab: &mut Lab) {
    lab.try_arguments(&format!("{COMMITTED} default_hugepagesz=2M hugepagesz=1G hugepages=1"));
    lab.reboot();
    let line = lab.sh("cat /proc/cmdline");
    assert!(line.contains("bothy.boot=trial") && line.contains("hugepagesz=1G"), "{line}");
    let count = pages(lab, 0, 1 << 20).0 + pages(lab, 1, 1 << 20).0;
    assert_eq!(count, 1, "1 GiB pages");
    // Nobody has committed it, and the mark is gone already.
    assert_eq!(lab.boot_variable("bothy_try").as_deref(), Some("0"));
    assert_eq!(lab.boot_variable("bothy_args").as_deref(), Some(COMMITTED));
    lab.reboot();
    on_committed_arguments(lab);
}

/// The kernel of this trial gives up before it has a root, and nobody resets the box.
fn a_trial_that_does_not_boot_falls_back(lab: &mut Lab) {
    let before = panics(lab);
    lab.try_arguments(&format!("{COMMITTED} rdinit=/nothing root=PARTLABEL=nothing"));
    lab.reboot();
    assert_eq!(panics(lab), before + 1, "the trial was begun, and failed");
    on_committed_arguments(lab);
    assert_eq!(lab.boot_variable("bothy_try").as_deref(), Some("0"));
}

fn panics(lab: &mut Lab) -> usize {
    lab.console().matches("Kernel panic - not syncing").count()
}

#[track_caller]
fn on_committed_arguments(lab: &mut Lab) {
    let line = lab.sh("cat /proc/cmdline");
    assert!(line.ends_with(&format!("bothy.boot=committed {COMMITTED}")), "{line}");
    assert_eq!(pages(lab, 0, 1 << 20).0 + pages(lab, 1, 1 << 20).0, 0, "1 GiB pages");
}
