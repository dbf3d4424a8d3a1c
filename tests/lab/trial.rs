//! Kernel arguments on trial: left again where they do not boot, and kept where the box comes up with them;
//! both without anybody's help.

use std::time::Duration;

use crate::{
    kit::{Lab, bootenv, disk::COMMITTED, harness::Test},
    pages::pages,
};

pub const FALLBACK: &[Test] = tests![a_trial_that_does_not_boot_falls_back];
pub const TESTS: &[Test] = tests![gib_pages_are_planned_tried_and_then_kept];
/// After the guest that has the page.
pub const UNDO: &[Test] = tests![an_undo_goes_on_trial_as_well];

pub const GIB: u32 = 1 << 20;
/// Node 0 holds the firmware's and the kernel's own memory, and may have no GiB in one piece.
pub const NODE: u32 = 1;
const GIANT: &str = "hugepagesz=1G hugepages=1:1";

/// The kernel of this trial gives up before it has a root, and nobody resets the box.
fn a_trial_that_does_not_boot_falls_back(lab: &mut Lab) {
    let before = panics(lab);
    lab.try_arguments(&format!("{COMMITTED} rdinit=/nothing root=PARTLABEL=nothing"));
    lab.reboot();
    assert_eq!(panics(lab), before + 1, "the trial was begun, and failed");
    on_boot(lab, "committed", COMMITTED);
    assert_eq!(lab.boot_variable("bothy_try").as_deref(), Some("0"));
    kept(lab, COMMITTED);
}

fn gib_pages_are_planned_tried_and_then_kept(lab: &mut Lab) {
    let all = format!("{COMMITTED} {GIANT}");
    let item = |needs: &str| vec![(format!("kernel argument {GIANT}"), needs.to_owned())];
    lab.configure("hugepages = [{ node = 1, size = \"1 GiB\", pages = 1 }]\n");
    assert_eq!(lab.planned(), item("REBOOT"));
    assert!(lab.apply(&[]), "they wait for a reboot");
    assert_eq!(lab.planned(), item("REBOOT_PENDING"));
    assert_eq!(lab.boot_variable("bothy_args").as_deref(), Some(COMMITTED), "nothing is proved yet");
    let resets = lab.resets();
    lab.reboot();
    if lab.resets() > resets {
        // A trial that hung and was reset has fallen back, as it should. Once more.
        on_boot(lab, "committed", COMMITTED);
        kept(lab, COMMITTED);
        assert!(lab.apply(&[]), "it waits for a reboot again");
        lab.reboot();
    }
    on_boot(lab, "trial", &all);
    assert_eq!(lab.boot_variable("bothy_try").as_deref(), Some("0"), "the menu clears the mark before it boots");
    assert_eq!((pages(lab, NODE, GIB), pages(lab, 0, GIB).0), ((1, 1), 0));
    kept(lab, &all);
    assert_eq!(lab.boot_variable("bothy_args_try").as_deref(), Some(""));
    assert_eq!(lab.planned(), []);
}

/// Not booted: that a trial is, the test above has shown.
fn an_undo_goes_on_trial_as_well(lab: &mut Lab) {
    assert!(lab.apply(&["--undo"]), "it waits for a reboot");
    assert_eq!(lab.boot_variable("bothy_args_try").as_deref(), Some(COMMITTED));
    assert_eq!(lab.boot_variable("bothy_try").as_deref(), Some("1"));
}

fn panics(lab: &mut Lab) -> usize {
    lab.console().matches("Kernel panic - not syncing").count()
}

#[track_caller]
fn on_boot(lab: &mut Lab, which: &str, arguments: &str) {
    let line = lab.sh("cat /proc/cmdline");
    assert!(line.ends_with(&format!("bothy.boot={which} {arguments}")), "{line}");
}

/// Waits until the daemon has looked at the host, which is when it judges a trial, and has kept these.
#[track_caller]
fn kept(lab: &mut Lab, arguments: &str) {
    lab.eventually("healthy", Duration::from_secs(600), "bothy health", |said| said.contains(" is OK"));
    let block = format!("bothy_args={arguments}\nbothy_args_try=");
    lab.eventually("kept", Duration::from_secs(30), &format!("cat {}", bootenv::FILE), |said| said.contains(&block));
}
