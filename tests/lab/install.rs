//! The installer: a stick that puts the box on the disk that its seed means, without anybody and without a network, and
//! leaves alone what is there. On a computer of its own.

use std::{fs, path::Path};

use crate::kit::{
    Lab, disk,
    harness::Test,
    small::{Plugged, Small},
};

pub const TESTS: &[Test] = tests![a_stick_installs_a_box_that_comes_up, a_disk_with_a_box_on_it_is_refused];

/// Another disk of the same size is there, and not meant.
const SEED: &str = "# For the tests.\ntarget=serial=TARG* max-gib=20\noverwrite=no\nthen=poweroff\n";
const CONFIGURATION: &str = concat!(include_str!("../../image/files/etc/bothy/bothy.toml"), "# From the seed.\n");

/// The stick, the disk that is meant, and another.
fn parts() -> [std::path::PathBuf; 3] {
    let seed = tempfile::tempdir().expect("a folder");
    fs::write(seed.path().join("install"), SEED).expect("written");
    fs::write(seed.path().join("bothy.toml"), CONFIGURATION).expect("written");
    let at = seed.path().to_str().expect("UTF-8");
    let out = disk::image(&["--installer", "--name", "lab-stick", "--seed", at]);
    ["lab-stick.img", "lab-target.img", "lab-other.img"].map(|n| out.join(n))
}

fn logs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("build/lab")
}

fn a_stick_installs_a_box_that_comes_up(_: &mut Lab) {
    let [stick, target, other] = parts();
    for blank in [&target, &other] {
        fs::File::create(blank).and_then(|f| f.set_len(9 << 30)).expect("a blank disk");
    }
    let mut machine = Small::power_on(
        "install",
        &logs(),
        &[Plugged(&stick, "STICK", true), Plugged(&other, "OTHER", true), Plugged(&target, "TARGET", false)],
    );
    machine.goes_off();
    let console = machine.console();
    assert!(console.contains("bothy-install: DONE: bothy"), "{console}");
    assert!(console.contains("is not serial=TARG* but 'OTHER'"), "{console}");
    drop(machine);
    let _ = fs::remove_file(&other);

    let mut machine = Small::power_on("installed", &logs(), &[Plugged(&target, "TARGET", true)]);
    machine.answers("systemctl is-system-running", |said| said == "running");
    assert!(machine.answers("cat /proc/cmdline", |_| true).contains(" bothy.slot=A "));
    machine.answers("bothy health", |said| said.contains(" is OK") || said.contains("KVM"));
    // This computer has none, and the box works.
    assert!(machine.answers("bothy host facts", |_| true).contains("\nwatchdog: none, a host that hangs waits for a hand"));
    assert!(machine.answers("journalctl -k -b -o cat", |_| true).contains("no hardware watchdog that waits for a boot"));
    assert!(machine.answers("tail -n 1 /etc/bothy/bothy.toml", |_| true).contains("# From the seed."));
}

fn a_disk_with_a_box_on_it_is_refused(_: &mut Lab) {
    let [stick, target, _] = parts();
    let mut machine = Small::power_on("refused", &logs(), &[Plugged(&stick, "STICK", true), Plugged(&target, "TARGET", true)]);
    machine.says("bothy-install: REFUSED: there is something on");
    machine.says("say overwrite=yes in the seed");
    drop(machine);
    let _ = fs::remove_file(&target);
}
