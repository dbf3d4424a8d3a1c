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
/// Before there is anything on the box.
pub const HANGS: &[Test] = tests![a_box_that_hangs_is_reset_and_a_trial_that_hangs_falls_back];
/// Nothing of it waits for a reboot.
pub const AT_ONCE: &[Test] = tests![the_throughput_profile_moves_interrupts_at_once_and_its_undo_moves_them_back];
/// While the guest runs.
pub const TESTS: &[Test] = tests![a_profile_and_gib_pages_are_planned_tried_and_then_kept];
/// Only where there is time (`--long`): it is a boot of its own, and ends as the one before it.
pub const LONG: &[Test] = tests![a_trial_that_comes_up_without_bothy_falls_back_when_its_time_is_up];
/// After the guest that has the page.
pub const UNDO: &[Test] = tests![an_undo_takes_back_what_it_can_and_puts_the_rest_on_trial];

/// Seconds, of a box that runs and of one on its way up: nobody waits for the times that it has.
const SOON: u32 = 20;
const UP: u32 = 30;
pub const GIB: u32 = 1 << 20;
/// The node of the guest's function.
const NODE: u32 = 1;
/// CPUs of each node are for guests alone; the others are enough for the box.
const PROFILE: &str = "profile = \"realtime\"\nisolate = \"2,4-5\"\n";
const GIANT: &str = ", { node = 0, size = \"1 GiB\", pages = 1 }, { node = 1, size = \"1 GiB\", pages = 2 }";
/// What these want of the kernel.
const ARGUMENTS: [&str; 5] =
    ["hugepagesz=1G hugepages=0:1,1:2", "isolcpus=managed_irq,domain,2,4-5", "nohz_full=2,4-5", "rcu_nocbs=2,4-5", "irqaffinity=0"];

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

/// Two hangs, and nobody's hand: systemd stands still, and the boot that follows, a trial, never has one.
fn a_box_that_hangs_is_reset_and_a_trial_that_hangs_falls_back(lab: &mut Lab) {
    let watchdog = |lab: &mut Lab| lab.bothy(&["host", "facts"])["watchdog"].take();
    let sound = json!({ "identity": "i6300ESB timer", "seconds": 120, "runs": true, "hasReset": false });
    assert_eq!(watchdog(lab), sound, "as systemd has it");
    // The journal takes the word before the colon for who said it.
    let began = lab.sh("journalctl -k -b -o cat | grep '^the watchdog'");
    assert_eq!(began, "the watchdog (i6300ESB timer) resets a boot that hangs for 300 s");
    let trials = |lab: &Lab| lab.console().matches("Booting `Bothy, on trial'").count();
    let (tried, panicked) = (trials(lab), panics(lab));
    // A kernel that starts this has no more to do than to wait for a key.
    lab.try_arguments(&format!("{COMMITTED} bothy.watchdog={UP} init=/bin/sh"));
    let manager = "org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager";
    let stand_still = format!("sync; busctl set-property {manager} RuntimeWatchdogUSec t {SOON}000000; kill -SEGV 1");
    lab.end_by(&["/bin/sh", "-c", &stand_still]);
    assert_eq!((trials(lab), panics(lab)), (tried + 1, panicked), "the trial was begun, and nothing gave up");
    on_boot(lab, "committed", COMMITTED);
    kept(lab, COMMITTED);
    assert_eq!(watchdog(lab)["hasReset"], true);
    let said = lab.sh("bothy host facts | grep watchdog; journalctl -b -u bothy -o cat");
    for words in ["it ended the boot before this one", "did not come up: the box is back on those before"] {
        assert!(said.contains(words), "{words} in {said}");
    }
}

fn the_throughput_profile_moves_interrupts_at_once_and_its_undo_moves_them_back(lab: &mut Lab) {
    // A line each: number and CPUs.
    let look = "cd /proc/irq; for n in [0-9]*; do echo $n $(cat $n/smp_affinity_list); done";
    let elsewhere =
        |said: &str| said.lines().filter(|l| !matches!(l.split_once(' '), Some((_, "0" | "1" | "2" | "0-1" | "1-2" | "0-2")))).count();
    let before = lab.sh(look);
    lab.configure("profile = \"throughput\"\n[reserve]\ncpus = \"0-2\"\n");
    let planned = lab.planned();
    let [(what, needs)] = &planned[..] else { panic!("{planned:?}") };
    assert!(what.ends_with(" interrupts to CPUs 0-2") && needs == "NOTHING", "{planned:?}");
    assert!(!lab.apply_profile(), "no reboot for it");
    let (after, left) = (lab.sh(look), lab.planned());
    assert!(elsewhere(&after) < elsewhere(&before), "{before}\n\n{after}");
    // Those that the kernel keeps are all that there is still to say.
    let kept = left.first().map_or(0, |(what, _)| what.split(' ').next().and_then(|n| n.parse().ok()).expect("a number"));
    assert!(left.len() <= 1 && kept <= elsewhere(&after), "{left:?}\n{after}");
    assert!(!lab.apply(&["--undo"]), "nor to undo it");
    assert_eq!(lab.sh(look), before);
}

fn a_profile_and_gib_pages_are_planned_tried_and_then_kept(lab: &mut Lab) {
    let all = format!("{COMMITTED} {}", ARGUMENTS.join(" "));
    let items = |needs: &str| ARGUMENTS.map(|a| (format!("kernel argument {a}"), needs.to_owned())).to_vec();
    // Where the tests of the guest have not run before, its set-up is not there yet.
    let before = guest::set_up_lines(lab, NODE, "", "0-2");
    lab.configure(&before);
    lab.apply(&[]);
    let lines = guest::set_up_lines(lab, NODE, GIANT, "0");
    lab.configure(&format!("{PROFILE}{lines}"));
    let planned = lab.planned();
    let (live, boot): (Vec<_>, Vec<_>) = planned.into_iter().partition(|(_, needs)| needs == "NOTHING");
    assert!(matches!(&live[..], [(what, _)] if what.ends_with(" interrupts to CPUs 0")), "{live:?}");
    assert_eq!(boot, items("REBOOT"));
    assert!(lab.apply_profile(), "the arguments wait for a reboot");
    // Interrupts that the kernel keeps are nobody's to move.
    assert_eq!(lab.planned(), items("REBOOT_PENDING"));
    assert_eq!(lab.boot_variable("bothy_args").as_deref(), Some(COMMITTED), "nothing is proved yet");
    lab.reboot();
    on_boot(lab, "trial", &all);
    assert_eq!(lab.boot_variable("bothy_try").as_deref(), Some("0"), "the menu clears the mark before it boots");
    assert_eq!([0, 1].map(|node| pages(lab, node, GIB)), [(1, 1), (2, 2)]);
    kept(lab, &all);
    assert_eq!(lab.boot_variable("bothy_args_try").as_deref(), Some(""));
    assert_eq!(lab.planned(), []);
    // By the kernel's word, and by Bothy's.
    assert_eq!(lab.sh("cd /sys/devices/system/cpu; cat isolated nohz_full"), "2,4-5\n2,4-5");
    assert_eq!(lab.sh("cat /proc/irq/default_smp_affinity"), "01", "CPU 0");
    let facts = lab.bothy(&["host", "facts"]);
    assert_eq!((&facts["isolated"], &facts["nohzFull"]), (&json!("2,4-5"), &json!("2,4-5")), "{facts}");
    let usage = lab.bothy(&["host", "usage"]);
    let of = |member: &str| [0, 1].map(|n: usize| usage["nodes"][n][member].as_str().unwrap_or("?").to_owned());
    assert_eq!((of("hostCpus"), of("isolatedCpus")), (["0", ""].map(Into::into), ["2", "4-5"].map(Into::into)), "{usage}");
}

/// That is not booted: that a trial is, the tests above have shown. The host is as it came otherwise.
fn an_undo_takes_back_what_it_can_and_puts_the_rest_on_trial(lab: &mut Lab) {
    // A guest that a failed check left behind would fail this one too.
    lab.sh_within(guest::GUEST, "bothy down epa-wide --purge >/dev/null 2>&1 || true");
    assert!(lab.apply(&["--undo"]), "it waits for a reboot");
    assert_eq!(lab.boot_variable("bothy_args_try").as_deref(), Some(COMMITTED));
    assert_eq!(lab.boot_variable("bothy_try").as_deref(), Some("1"));
    assert_eq!((pages(lab, 0, guest::SMALL), pages(lab, 1, guest::SMALL)), ((0, 0), (0, 0)));
    let (name, _) = pf(lab, NODE as usize);
    assert!(vf(lab, &name, 0).is_null());
    assert_eq!(lab.bothy(&["host", "usage"])["drift"], json!([]));
}

/// All is well but the daemon. The lab's timer (`lab.soon`) is shorter than the box's own 15 minutes.
fn a_trial_that_comes_up_without_bothy_falls_back_when_its_time_is_up(lab: &mut Lab) {
    let committed = lab.boot_variable("bothy_args").expect("arguments");
    lab.try_arguments(&format!("{committed} lab.soon systemd.mask=bothy.service"));
    lab.reboot();
    if lab.sh("cat /proc/cmdline").contains("bothy.boot=trial") {
        lab.await_next_boot();
    }
    on_boot(lab, "committed", &committed);
    let said = lab.sh("journalctl -b -1 -u bothy-trial.service -o cat");
    assert!(said.contains("were not kept in time"), "{said}");
    kept(lab, &committed);
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
