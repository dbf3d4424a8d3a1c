//! What the box costs, for the README: memory without VNFs, and how long the way to an API is beside that of the same
//! image without Bothy. With `--long` only; the figures are printed, and held to what they may be.

use crate::kit::{Lab, harness::Test};

/// After all others: each round is two boots.
pub const LONG: &[Test] = tests![the_box_is_small_and_bothy_does_not_hold_up_its_start];

const ROUNDS: usize = 2;
const MIB: u64 = 1 << 20;

fn the_box_is_small_and_bothy_does_not_hold_up_its_start(lab: &mut Lab) {
    let committed = lab.boot_variable("bothy_args").expect("arguments");
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // A trial whose daemon never comes up is nobody's but the next boot's to leave.
        lab.try_arguments(&format!("{committed} systemd.mask=bothy.service"));
        lab.reboot();
        assert_eq!(lab.sh("systemctl is-active bothy || true"), "inactive");
        without.push(reached(lab, "multi-user.target"));
        lab.reboot();
        with.push(reached(lab, "bothy.service"));
    }
    // Once it has looked at its host, and is at rest.
    lab.eventually("healthy", std::time::Duration::from_secs(300), "bothy health", |said| said.contains(" is OK"));
    lab.sh("sleep 20");
    let used = lab.sh("awk '$1 == \"MemTotal:\" { t = $2 } $1 == \"MemAvailable:\" { a = $2 } END { print (t - a) * 1024 }' /proc/meminfo");
    let ours = lab.sh("awk '$1 == \"Pss:\" { print $2 * 1024 }' /proc/$(systemctl show --value -p MainPID bothy)/smaps_rollup");
    let [used, ours] = [used, ours].map(|t| t.trim().parse::<u64>().expect("bytes"));
    let least = |all: &[f64]| all.iter().copied().fold(f64::INFINITY, f64::min);
    let ratio = least(&with) / least(&without);
    println!(
        "the box: {} MiB in use, {} of them Bothy's (goal: 512, 64); kernel to API {with:.1?} s, to multi-user.target without Bothy {without:.1?} s: {ratio:.2}x (goal: 1.15x)",
        used / MIB,
        ours / MIB
    );
    assert!(used <= 512 * MIB && ours <= 64 * MIB, "{used} bytes in use, {ours} of them Bothy's");
}

/// Seconds from the start of the kernel.
fn reached(lab: &mut Lab, unit: &str) -> f64 {
    let at = lab.sh(&format!("systemctl show --value -p ActiveEnterTimestampMonotonic {unit}"));
    at.trim().parse::<f64>().expect("microseconds") / 1e6
}
