//! Kernel arguments on trial: left again where they do not boot, and kept where the box comes up with them;
//! both without anybody's help.

use std::time::Duration;

use serde_json::json;

use crate::{
    guest,
    kit::{Lab, bootenv, disk::COMMITTED, harness::Test},
    pages::pages,
    sriov::{pf, vf},
};

pub const FALLBACK: &[Test] = tests![a_trial_that_does_not_boot_falls_back];
/// While the guest runs.
pub const TESTS: &[Test] = tests![gib_pages_are_planned_tried_and_then_kept];
/// Only where there is time (`--long`): it is a boot of its own, and ends as the one before it.
pub const LONG: &[Test] = tests![a_trial_that_comes_up_without_bothy_falls_back_when_its_time_is_up];
/// After the guest that has the page.
pub const UNDO: &[Test] = tests![an_undo_takes_back_what_it_can_and_puts_the_rest_on_trial];

pub const GIB: u32 = 1 << 20;
/// Node 0 holds the firmware's and the kernel's own memory, and may have no GiB in one piece.
pub const NODE: u32 = 1;
const GIANT: &str = "hugepagesz=1G hugepages=1:1";

/// A kernel with these gives up before it has a root.
pub fn hopeless() -> String {
    format!("{COMMITTED} rdinit=/nothing root=PARTLABEL=nothing")
}

/// They were on trial when the box got power, and nobody has touched it since.
fn a_trial_that_does_not_boot_falls_back(lab: &mut Lab) {
    assert_eq!(panics(lab), 1, "the trial was begun, and failed");
    on_boot(lab, "committed", COMMITTED);
    assert_eq!(lab.boot_variable("bothy_try").as_deref(), Some("0"));
    kept(lab, COMMITTED);
}

fn gib_pages_are_planned_tried_and_then_kept(lab: &mut Lab) {
    let all = format!("{COMMITTED} {GIANT}");
    let item = |needs: &str| vec![(format!("kernel argument {GIANT}"), needs.to_owned())];
    // Where the tests of the guest have not run before, its set-up is not there yet.
    let before = guest::set_up_lines(lab, NODE, "");
    lab.configure(&before);
    lab.apply(&[]);
    let lines = guest::set_up_lines(lab, NODE, ", { node = 1, size = \"1 GiB\", pages = 1 }");
    lab.configure(&lines);
    assert_eq!(lab.planned(), item("REBOOT"));
    assert!(lab.apply(&[]), "they wait for a reboot");
    assert_eq!(lab.planned(), item("REBOOT_PENDING"));
    assert_eq!(lab.boot_variable("bothy_args").as_deref(), Some(COMMITTED), "nothing is proved yet");
    lab.reboot();
    on_boot(lab, "trial", &all);
    assert_eq!(lab.boot_variable("bothy_try").as_deref(), Some("0"), "the menu clears the mark before it boots");
    assert_eq!((pages(lab, NODE, GIB), pages(lab, 0, GIB).0), ((1, 1), 0));
    kept(lab, &all);
    assert_eq!(lab.boot_variable("bothy_args_try").as_deref(), Some(""));
    assert_eq!(lab.planned(), []);
}

/// That is not booted: that a trial is, the tests above have shown. The host is as it came otherwise.
fn an_undo_takes_back_what_it_can_and_puts_the_rest_on_trial(lab: &mut Lab) {
    assert!(lab.apply(&["--undo"]), "it waits for a reboot");
    assert_eq!(lab.boot_variable("bothy_args_try").as_deref(), Some(COMMITTED));
    assert_eq!(lab.boot_variable("bothy_try").as_deref(), Some("1"));
    assert_eq!((pages(lab, 0, guest::SMALL), pages(lab, 1, guest::SMALL)), ((0, 0), (0, 0)));
    let (name, _) = pf(lab, NODE as usize);
    assert!(vf(lab, &name, 0).is_null());
    assert_eq!(lab.bothy(&["host", "usage"])["drift"], json!([]));
}

/// All is well but the daemon. The timer is shorter than the box's own 15 minutes.
fn a_trial_that_comes_up_without_bothy_falls_back_when_its_time_is_up(lab: &mut Lab) {
    let committed = lab.boot_variable("bothy_args").expect("arguments");
    let timer =
        "d=/etc/systemd/system/bothy-trial.timer.d; mkdir -p $d; printf '[Timer]\\nOnActiveSec=\\nOnActiveSec=150s\\n' >$d/soon.conf; sync";
    lab.sh(timer);
    lab.try_arguments(&format!("{committed} systemd.mask=bothy.service"));
    lab.reboot();
    if lab.sh("cat /proc/cmdline").contains("bothy.boot=trial") {
        lab.await_next_boot();
    }
    on_boot(lab, "committed", &committed);
    let said = lab.sh("journalctl -b -1 -u bothy-trial.service -o cat");
    assert!(said.contains("were not kept in time"), "{said}");
    kept(lab, &committed);
    lab.sh("rm -r /etc/systemd/system/bothy-trial.timer.d; systemctl daemon-reload");
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
