//! Two slots: a root that is verified when it is read, an update that is written beside it, tried once and kept, and
//! what must not be taken.

use std::time::Duration;

use crate::kit::{
    Lab,
    bundles::{GOOD, NEXT, OLDER, OTHER_KEY},
    disk::COMMITTED,
    harness::Test,
};

pub const TESTS: &[Test] = tests![
    the_root_is_verified_and_cannot_be_written,
    data_takes_the_rest_of_a_larger_disk,
    an_update_of_another_key_is_refused,
    an_update_with_an_older_counter_is_refused,
    an_update_goes_to_the_other_slot_and_waits_for_a_restart,
    the_other_slot_is_tried_and_kept_by_bothy_and_has_what_the_box_is,
];
/// Where there is time (`--long`): two boots more.
pub const LONG: &[Test] = tests![a_slot_with_a_changed_byte_is_refused_and_left];

const MEDIUM: &str = "/run/medium";
/// 250 MiB are verified and written, by an emulated processor.
const WRITING: Duration = Duration::from_secs(600);
/// The box's own.
const IS_WHAT_IT_WAS: &str =
    "cat /etc/machine-id; sha256sum /var/lib/bothy/tls/* | sort; ovs-vsctl get Open_vSwitch . external_ids:system-id";

fn the_root_is_verified_and_cannot_be_written(lab: &mut Lab) {
    let line = lab.sh("cat /proc/cmdline");
    let hash = line.split_whitespace().find_map(|w| w.strip_prefix("bothy.roothash=")).expect("a root hash");
    // By the kernel's word: that hash, and what it does about another.
    let table = lab.sh("dmsetup table bothy-root");
    assert!(
        table.contains(" verity 1 ") && table.contains(&format!(" sha256 {hash} ")) && table.contains("panic_on_corruption"),
        "{table}"
    );
    assert_eq!(lab.sh("findmnt -n -o FSTYPE /"), "squashfs");
    let e = lab.run(&["/usr/bin/touch", "/usr/bin/bothy", "/etc/passwd"], b"", Duration::from_secs(60));
    assert_eq!(e.err.matches("Read-only file system").count(), 2, "{}", e.err);
    // And what is written to is no program.
    let open = "findmnt -rn -o TARGET,OPTIONS | grep -E '^/(state|data|var/log|var/lib/bothy) ' | grep -vc noexec || true";
    assert_eq!(lab.sh(open), "0");
}

fn data_takes_the_rest_of_a_larger_disk(lab: &mut Lab) {
    let said = lab.sh("d=$(basename $(readlink -f /dev/bothy/data)); cat /sys/class/block/$d/size /sys/class/block/$d/start /sys/class/block/${d%?}/size; findmnt -bno SIZE /data");
    let numbers: Vec<u64> = said.lines().map(|l| l.trim().parse().expect("a number")).collect();
    let [size, start, disk, file_system] = numbers[..] else { panic!("{said}") };
    assert!(disk - (start + size) <= 32768, "sectors behind the last partition: {said}");
    // Less what a file system needs for itself.
    assert!(file_system > size * 512 / 10 * 9, "{said}");
}

fn medium(lab: &mut Lab) {
    lab.sh(&format!("mkdir -p {MEDIUM}; mountpoint -q {MEDIUM} || mount -t squashfs -o ro /dev/disk/by-id/virtio-medium {MEDIUM}"));
}

#[track_caller]
fn refused(lab: &mut Lab, bundle: &str, why: &str) {
    medium(lab);
    let before = lab.sh("head -c 1048576 /dev/bothy/root-b | sha256sum");
    let e = lab.run(&["/usr/bin/rauc", "install", &format!("{MEDIUM}/{bundle}")], b"", WRITING);
    let said = format!("{}{}{}", e.out, e.err, lab.sh("journalctl -u rauc -b -o cat | tail -n 20"));
    assert!(e.code != Some(0) && said.contains(why), "{why}: {said}");
    assert_eq!(lab.sh("head -c 1048576 /dev/bothy/root-b | sha256sum"), before, "nothing is written");
}

fn an_update_of_another_key_is_refused(lab: &mut Lab) {
    refused(lab, OTHER_KEY, "signature verification failed");
}

fn an_update_with_an_older_counter_is_refused(lab: &mut Lab) {
    refused(lab, OLDER, "the bundle's counter is 0");
}

fn an_update_goes_to_the_other_slot_and_waits_for_a_restart(lab: &mut Lab) {
    medium(lab);
    // Arguments that an earlier test has put on trial would have theirs first; that they are kept has been shown, and with
    // the profile's the box would have one CPU for all that follows.
    lab.set_boot_variables(&[("bothy_args", COMMITTED), ("bothy_args_try", ""), ("bothy_try", "0")]);
    lab.sh_within(WRITING, &format!("bothy update install {MEDIUM}/{GOOD} --on-box --no-restart"));
    let block = ["bothy_slot_try", "bothy_try"].map(|name| lab.boot_variable(name).unwrap_or_default());
    assert_eq!(block, ["B", "1"], "the next boot is the trial");
    assert_ne!(lab.boot_variable("bothy_slot").as_deref(), Some("B"), "and no other");
    let status = lab.sh("rauc status --detailed --output-format=shell");
    assert!(status.contains("RAUC_BOOT_PRIMARY='rootfs.0'") && status.contains(NEXT), "{status}");
}

fn the_other_slot_is_tried_and_kept_by_bothy_and_has_what_the_box_is(lab: &mut Lab) {
    let before = lab.sh(IS_WHAT_IT_WAS);
    without_signatures(lab, "boot-b");
    lab.reboot();
    on_slot(lab, "B", "trial");
    let said = lab.sh("bothy health || true");
    assert!(said.contains("in slot B, boot not verified: "), "{said}");
    assert_eq!(lab.boot_variable("bothy_try").as_deref(), Some("0"), "the menu clears the mark before it boots");
    assert_eq!(lab.sh(". /etc/os-release; echo $IMAGE_ID $IMAGE_VERSION"), format!("bothy {NEXT}"));
    lab.eventually("kept", Duration::from_secs(900), "bothy update status --json", |said| said.contains("\"COMMITTED\""));
    assert_eq!(lab.boot_variable("bothy_slot").as_deref(), Some("B"));
    assert_eq!(lab.sh(IS_WHAT_IT_WAS), before);
    lab.sh("/usr/lib/bothy/are-kept");
    lab.eventually("healthy", Duration::from_secs(600), "bothy health", |said| said.contains(" is OK"));
}

/// Gives the signatures of a slot other names: without Secure Boot the boot loader asks for none, and a slot from elsewhere
/// (`yocto/`) has none. Names are sorted in a squashfs, and these still are.
fn without_signatures(lab: &mut Lab, part: &str) {
    for name in ["vmlinuz", "initrd.img", "slot.env"] {
        let place = format!("head -c 64M /dev/bothy/{part} | LC_ALL=C grep -abo '{name}[.]sig' | cut -d: -f1");
        let places = lab.sh(&place);
        let at: usize = places.parse().unwrap_or_else(|_| panic!("{name}.sig is in the slot once: '{places}'"));
        let last = at + name.len() + 3;
        lab.sh(&format!("printf z | dd of=/dev/bothy/{part} bs=1 seek={last} conv=notrunc,fsync status=none"));
    }
    let look = format!("mkdir -p /run/slot; mount -t squashfs -o ro /dev/bothy/{part} /run/slot; ls /run/slot; umount /run/slot");
    let all: Vec<String> = lab.sh(&look).lines().map(Into::into).collect();
    assert_eq!(all, ["initrd.img", "initrd.img.siz", "slot.env", "slot.env.siz", "vmlinuz", "vmlinuz.siz"]);
}

/// The first block of the first slot, where a root begins: whatever reads there stops the kernel.
fn a_slot_with_a_changed_byte_is_refused_and_left(lab: &mut Lab) {
    lab.sh("printf '\\252' | dd of=/dev/bothy/root-a bs=1 seek=2000 conv=notrunc,fsync status=none");
    let (panics, verity) = (lab.console().matches("Kernel panic - not syncing").count(), lab.console().matches("is corrupted").count());
    lab.set_boot_variables(&[("bothy_slot_try", "A"), ("bothy_try", "1")]);
    lab.reboot();
    let console = lab.console();
    assert!(console.matches("Kernel panic - not syncing").count() == panics + 1, "the trial was begun, and failed");
    assert!(console.matches("is corrupted").count() > verity, "and the console says why");
    on_slot(lab, "B", "committed");
}

#[track_caller]
fn on_slot(lab: &mut Lab, slot: &str, kind: &str) {
    let line = lab.sh("cat /proc/cmdline");
    assert!(line.contains(&format!(" bothy.slot={slot} ")) && line.contains(&format!(" bothy.boot={kind} ")), "{line}");
}
