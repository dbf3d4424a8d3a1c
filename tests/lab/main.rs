//! The lab: the bootable disk of `image/` in QEMU, and nothing else. What needs hardware is tested here for
//! real: SR-IOV, IOMMU, NUMA, huge pages, KVM, boot arguments, reboots.
//!
//! One boot serves all tests, in the order below; those that reboot the box come last. To add a test,
//! write `fn its_name(lab: &mut Lab)` into a group's file, name it in that file's `TESTS`, and use what
//! `kit` offers. Logs of the last run: `build/lab`.

use std::process::ExitCode;

#[macro_use]
mod kit;

mod gib;
mod guest;
mod pages;
mod sriov;
mod trial;
mod up;

fn main() -> ExitCode {
    kit::harness::run(&[
        ("up", up::TESTS),
        ("sriov", sriov::TESTS),
        ("pages", pages::TESTS),
        ("guest", guest::TESTS),
        ("trial", trial::FALLBACK),
        ("guest", guest::AFTER_A_REBOOT),
        ("trial", trial::TESTS),
        ("gib", gib::TESTS),
        ("trial", trial::UNDO),
    ])
}
