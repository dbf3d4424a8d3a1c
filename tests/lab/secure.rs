//! Secure Boot with the box's own key in the firmware: what is signed comes up, and says so; what somebody has changed is
//! refused by firmware or boot loader, and the box goes on as it was. On a computer of its own.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::kit::{
    Lab, bootenv,
    bundles::{self, GOOD, NEXT},
    disk,
    harness::Test,
    small::{Plugged, Small},
};

pub const TESTS: &[Test] = tests![
    a_trial_with_an_altered_kernel_is_left_and_the_box_says_that_its_boot_is_verified,
    arguments_that_a_verified_boot_does_not_take_are_left_out,
    nothing_of_a_slot_may_be_altered,
    a_boot_loader_that_nobody_signed_is_refused_by_the_firmware,
];

const MIB: u64 = 1 << 20;
/// Whoever put the keys there.
const OWNER: &str = "b0714131-0000-4000-8000-000000000004";
const ARGUMENTS: &str = "no_timer_check intel_iommu=on iommu=pt";

fn logs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("build/lab")
}

fn run(command: &mut Command) -> Vec<u8> {
    let done = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// The firmware's memory with our certificate as the owner's, and as that of what may be booted.
fn keys() -> PathBuf {
    let certificate = Path::new(env!("CARGO_MANIFEST_DIR")).join("build/image/keys/boot.crt");
    let vars = logs().join("secure-keys.fd");
    let mut tool = Command::new("virt-fw-vars");
    tool.args(["--input", "/usr/share/OVMF/OVMF_VARS_4M.fd", "--secure-boot", "--output"]).arg(&vars);
    for store in ["--set-pk", "--add-kek", "--add-db"] {
        tool.args([store, OWNER]).arg(&certificate);
    }
    run(&mut tool);
    vars
}

/// The box's disk, to be altered.
struct Disk(PathBuf);

impl Disk {
    fn new(name: &str) -> Disk {
        let to = logs().join(format!("secure-{name}.img"));
        run(Command::new("cp").args(["--sparse=always", "--reflink=auto"]).arg(disk::build()).arg(&to));
        let d = Disk(to);
        d.environment(&[]);
        d
    }

    fn environment(&self, more: &[(&str, &str)]) {
        let mut all = vec![("bothy_slot", "A"), ("bothy_args", ARGUMENTS)];
        all.retain(|(name, _)| more.iter().all(|(n, _)| n != name));
        all.extend(more);
        bootenv::write(&self.0, &all);
    }

    fn open(&self) -> File {
        File::options().read(true).write(true).open(&self.0).expect("the disk")
    }

    /// What is in a partition, as far as there is something.
    fn read(&self, partition: &str) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(64 * MIB).expect("a size")];
        let mut f = self.open();
        f.seek(SeekFrom::Start(place(partition))).and_then(|_| f.read_exact(&mut bytes)).expect("read");
        bytes
    }

    fn write(&self, partition: &str, at: usize, bytes: &[u8]) {
        let mut f = self.open();
        f.seek(SeekFrom::Start(place(partition) + at as u64)).and_then(|_| f.write_all(bytes)).expect("written");
    }

    /// Changes one bit, so far behind these words.
    fn alter(&self, partition: &str, words: &[u8], behind: usize) {
        let bytes = self.read(partition);
        let at = bytes.windows(words.len()).position(|w| w == words).expect("the words") + behind;
        self.write(partition, at, &[bytes[at] ^ 1]);
    }

    fn plugged(&self) -> Plugged<'_> {
        Plugged(&self.0, "DISK", true)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Where a partition begins: behind a MiB that is the table's, one after the other.
fn place(partition: &str) -> u64 {
    let layout = include_str!("../../image/files/usr/lib/bothy/layout");
    let rows = layout.lines().filter(|l| l.starts_with(|c: char| c.is_ascii_lowercase()));
    let mut at = MIB;
    for mut row in rows.map(str::split_whitespace) {
        if row.next() == Some(partition) {
            return at;
        }
        at += MIB * row.next().and_then(|n| n.trim_end_matches('+').parse::<u64>().ok()).expect("a size");
    }
    panic!("no partition {partition}")
}

/// In kernel, initramfs and root hash: what stands in each, and how far behind it there is more of it. The kernel is the
/// first file of the slot, and the initramfs with its 30 MiB the next: 24 MiB behind the kernel's beginning are its own.
const PARTS: [(&str, &[u8], usize); 3] = [("kernel", b"HdrS", 2 << 20), ("initramfs", b"HdrS", 24 << 20), ("hash", b"bothy_roothash=", 20)];

fn a_trial_with_an_altered_kernel_is_left_and_the_box_says_that_its_boot_is_verified(_: &mut Lab) {
    let medium = bundles::medium();
    let disk = Disk::new("kernel");
    let (_, words, behind) = PARTS[0];
    disk.write("boot-b", 0, &disk.read("boot-a"));
    disk.alter("boot-b", words, behind);
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
    for (name, words, behind) in PARTS {
        let disk = Disk::new(name);
        disk.alter("boot-a", words, behind);
        let mut machine = Small::power_on_secure(&format!("secure-{name}"), &logs(), &[disk.plugged()], &keys());
        machine.says("REFUSED: slot A");
        let console = machine.console();
        assert!(console.contains("bad signature"), "{name}: {console}");
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
