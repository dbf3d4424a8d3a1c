//! The boot loader's environment block, from inside the box and before it has power: what `image/grub.cfg`
//! reads and writes.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    process::Command,
};

use crate::kit::{COMMAND, Lab, disk::COMMITTED};

pub const FILE: &str = "/boot/efi/EFI/bothy/grubenv";
const HEAD: &str = "# GRUB Environment Block\n";
/// GRUB writes in place, so the block keeps its size.
const BYTES: usize = 1024;

impl Lab {
    /// One variable of the block.
    #[track_caller]
    pub fn boot_variable(&mut self, name: &str) -> Option<String> {
        let block = self.sh(&format!("cat {FILE}"));
        assert!(block.starts_with(HEAD), "{block}");
        let prefix = format!("{name}=");
        block.lines().find_map(|l| l.strip_prefix(&prefix).map(Into::into))
    }

    /// Puts arguments on trial from inside, as the daemon does.
    #[track_caller]
    pub fn try_arguments(&mut self, arguments: &str) {
        self.set_boot_variables(&[("bothy_args_try", arguments), ("bothy_try", "1")]);
    }

    /// Changes variables of the block; the others stay.
    #[track_caller]
    pub fn set_boot_variables(&mut self, changes: &[(&str, &str)]) {
        let old = self.sh(&format!("cat {FILE}"));
        let kept = old.lines().filter_map(|l| l.split_once('=')).filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        let all: Vec<(&str, &str)> = kept.chain(changes.iter().copied()).collect();
        let argv = ["/bin/dd", "conv=notrunc,fsync", "status=none", &format!("of={FILE}")];
        let e = self.run(&argv, block(&all).as_bytes(), COMMAND);
        assert_eq!(e.code, Some(0), "writing {FILE}: {}", e.err);
    }
}

fn block(variables: &[(&str, &str)]) -> String {
    let mut block = HEAD.to_owned();
    block.extend(variables.iter().map(|(name, value)| format!("{name}={value}\n")));
    assert!(block.len() <= BYTES, "{block}");
    block.extend(std::iter::repeat_n('#', BYTES - block.len()));
    block
}

/// Where the first partition is, which has the block: `image/steps/disk`.
const ESP: std::ops::Range<u64> = 1 << 20..65 << 20;
const PIECE: usize = 1 << 20;

/// Writes the block of a disk that is a plain file.
pub fn write(disk: &Path, variables: &[(&str, &str)]) {
    let at = place(disk);
    let mut f = File::options().write(true).open(disk).expect("the disk");
    f.seek(SeekFrom::Start(at)).and_then(|_| f.write_all(block(variables).as_bytes())).expect("written");
}

/// Puts arguments on trial at the first boot, as the daemon does: in the overlay, at the place that the block
/// has on the disk, as GRUB itself writes it.
pub fn arm(disk: &Path, overlay: &Path, arguments: &str) {
    let block = block(&[("bothy_slot", "A"), ("bothy_args", COMMITTED), ("bothy_args_try", arguments), ("bothy_try", "1")]);
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(block.as_bytes()).expect("written");
    let write = format!("write -s {} {} {BYTES}", file.path().display(), place(disk));
    let done = Command::new("qemu-io").args(["-f", "qcow2", "-c", &write]).arg(overlay).output().expect("qemu-io");
    assert!(done.status.success(), "{write}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Files of a FAT begin with a sector.
fn place(disk: &Path) -> u64 {
    let mut f = File::open(disk).expect("the disk");
    let mut piece = vec![0; PIECE];
    let found: Vec<u64> = ESP
        .step_by(PIECE)
        .flat_map(|at| {
            f.seek(SeekFrom::Start(at)).and_then(|_| f.read_exact(&mut piece)).expect("the disk is read");
            let starts = piece.chunks(512).enumerate().filter(|(_, sector)| sector.starts_with(HEAD.as_bytes()));
            starts.map(|(n, _)| at + 512 * n as u64).collect::<Vec<_>>()
        })
        .collect();
    let [one] = found[..] else { panic!("environment blocks at {found:?}") };
    one
}
