//! Secure Boot with the box's own key in the firmware: what is signed comes up, and says so; what somebody has changed is
//! refused by firmware or boot loader, and the box goes on as it was. On a computer of its own.

use std::process::Command;

use crate::kit::{
    Lab,
    bundles::{self, GOOD, NEXT},
    harness::Test,
    own::{ARGUMENTS, Disk, keys, logs, place, run},
    small::{Plugged, Small},
};

pub const TESTS: &[Test] = tests![
    a_trial_with_an_altered_kernel_is_left_and_the_box_says_that_its_boot_is_verified,
    arguments_that_a_verified_boot_does_not_take_are_left_out,
    nothing_of_a_slot_may_be_altered,
    a_boot_loader_that_nobody_signed_is_refused_by_the_firmware,
];

/// What a slot has, and behind which words of it something else would do harm at once.
const PARTS: [(&str, Option<&str>); 3] = [("vmlinuz", None), ("initrd.img", None), ("slot.env", Some("bothy_roothash="))];

fn a_trial_with_an_altered_kernel_is_left_and_the_box_says_that_its_boot_is_verified(_: &mut Lab) {
    let medium = bundles::medium();
    let disk = Disk::new("kernel");
    disk.write("boot-b", 0, &disk.read("boot-a"));
    disk.alter("boot-b", PARTS[0].0, PARTS[0].1);
    disk.environment(&[("bothy_slot_try", "B"), ("bothy_try", "1")]);
    let mut machine = Small::power_on_secure("secure-kernel", &logs(), &[disk.plugged(), Plugged(&medium, "medium", true)], &keys());
    machine.says("REFUSED: slot B");
    let console = machine.console();
    assert!(console.contains("bad signature") && !console.contains("Booting `Bothy'"), "{console}");

    // As far as it comes on this computer.
    let said = machine.answers("bothy health", |said| said.contains(" is OK") || said.contains("KVM"));
    assert!(said.contains("in slot A, boot verified"), "{said}");
    let line = machine.answers("cat /proc/cmdline", |said| said.contains("bothy.slot"));
    assert!(line.contains(" bothy.slot=A ") && line.ends_with(&format!(" bothy.boot=committed {ARGUMENTS}")), "{line}");
    let said = machine.answers("bothy --json host", |said| said.contains("\"bootVerified\""));
    assert!(said.contains("\"bootVerified\": true") && said.contains("\"argumentsRefused\": false"), "{said}");
    assert!(machine.answers("cat /sys/kernel/security/lockdown", |_| true).contains("[integrity]"), "the kernel keeps itself so");
    machine.says("boot verified");

    // And an update of the same key is taken by firmware, boot loader and box.
    let install = format!(
        "mkdir -p /run/medium; mount -t squashfs -o ro /dev/disk/by-id/virtio-medium /run/medium; bothy update install /run/medium/{GOOD} --on-box >/run/update 2>&1 & sleep 1; cat /run/update"
    );
    machine.answers(&install, |_| true);
    let said = machine.answers("bothy update status --json", |said| said.contains("\"state\": \"COMMITTED\""));
    assert!(said.contains(NEXT) && said.contains("\"bootVerified\": true"), "{said}");
    let line = machine.answers("cat /proc/cmdline", |said| said.contains("bothy.slot"));
    assert!(line.contains(" bothy.slot=B ") && line.contains(" bothy.verified=1 "), "{line}");
}

fn arguments_that_a_verified_boot_does_not_take_are_left_out(_: &mut Lab) {
    let disk = Disk::new("arguments");
    // Of the trial one alone is wrong; what every boot has is wrong as well.
    let committed = format!("{ARGUMENTS} init=/bin/sh");
    disk.environment(&[("bothy_args", &committed), ("bothy_args_try", "iommu=pt panic=0"), ("bothy_try", "1")]);
    let mut machine = Small::power_on_secure("secure-arguments", &logs(), &[disk.plugged()], &keys());
    machine.says("REFUSED: the kernel argument panic=0");
    machine.says("REFUSED: the kernel argument init=/bin/sh");
    let said = machine.answers("bothy health", |said| said.contains("boot verified"));
    assert!(said.contains("left out the host's kernel arguments"), "{said}");
    let line = machine.answers("cat /proc/cmdline", |said| said.contains("bothy.slot"));
    assert!(line.trim_end().ends_with(" bothy.refused=1 bothy.boot=plain"), "{line}");
    assert!(machine.answers("bothy --json host", |said| said.contains("argumentsRefused")).contains("\"argumentsRefused\": true"));
    let plan = machine.answers("bothy host plan", |said| said.contains("init=/bin/sh"));
    assert!(plan.contains("kernel argument init=/bin/sh goes"), "{plan}");
}

fn nothing_of_a_slot_may_be_altered(_: &mut Lab) {
    for (file, behind) in PARTS {
        let disk = Disk::new(file);
        disk.alter("boot-a", file, behind);
        let mut machine = Small::power_on_secure(&format!("secure-{file}"), &logs(), &[disk.plugged()], &keys());
        machine.says("REFUSED: slot A");
        let console = machine.console();
        assert!(console.contains("bad signature"), "{file}: {console}");
    }
}

fn a_boot_loader_that_nobody_signed_is_refused_by_the_firmware(_: &mut Lab) {
    let disk = Disk::new("loader");
    let esp = format!("{}@@{}", disk.0.display(), place("esp"));
    let loader = logs().join("secure-loader.efi");
    run(Command::new("mcopy").args(["-n", "-i", &esp, "::/EFI/BOOT/BOOTX64.EFI"]).arg(&loader));
    run(Command::new("sbattach").arg("--remove").arg(&loader));
    run(Command::new("mcopy").args(["-o", "-i", &esp]).arg(&loader).arg("::/EFI/BOOT/BOOTX64.EFI"));
    let mut machine = Small::power_on_secure("secure-loader", &logs(), &[disk.plugged()], &keys());
    machine.says("Access Denied");
    // Nor is there another way to it.
    machine.says("Boot Manager Menu");
    assert!(!machine.console().contains("Welcome to GRUB"), "{}", machine.console());
}
