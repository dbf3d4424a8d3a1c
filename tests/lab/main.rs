//! The lab: the bootable disk of `image/` in QEMU, and nothing else. What needs hardware is tested here for
//! real: SR-IOV, IOMMU, NUMA, huge pages, KVM, boot arguments, reboots.
//!
//! One boot serves all tests, in the order below; what reboots the box comes late, and the first boot is that of
//! a trial that fails. To add a test,
//! write `fn its_name(lab: &mut Lab)` into a group's file, name it in that file's `TESTS`, and use what
//! `kit` offers. Logs of the last run: `build/lab`.

use std::process::ExitCode;

#[macro_use]
mod kit;

mod figures;
mod guest;
mod install;
mod network;
mod pages;
mod reset;
mod secure;
mod slots;
mod sriov;
mod trial;
mod up;
mod wide;

fn main() -> ExitCode {
    // Boots of their own: minutes more than the plain run has.
    let long = |tests| if std::env::var_os("BOTHY_LONG").is_some() { tests } else { &[][..] };
    kit::harness::run(
        &trial::hopeless(),
        &[
            ("trial", trial::FALLBACK),
            ("up", up::TESTS),
            ("trial", long(trial::HANGS)),
            ("box_network", network::FIRST),
            ("sriov", sriov::TESTS),
            ("trial", trial::AT_ONCE),
            ("pages", pages::TESTS),
            ("guest", guest::TESTS),
            ("trial", trial::TESTS),
            ("guest", guest::AFTER_A_REBOOT),
            ("wide", wide::TESTS),
            ("trial", long(trial::LONG)),
            ("trial", trial::UNDO),
            ("box_network", network::TESTS),
            ("box_slots", slots::TESTS),
            ("box_network", network::AFTER_A_REBOOT),
            ("box_slots", long(slots::LONG)),
            ("box_figures", long(figures::LONG)),
            ("box_reset", long(reset::LONG)),
            ("box_install", long(install::TESTS)),
            ("box_secure_boot", long(secure::TESTS)),
        ],
    )
}
