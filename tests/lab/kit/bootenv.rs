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
        let block = block(&self.boot_variable("bothy_args").unwrap_or_default(), arguments);
        let e = self.run(&["/bin/dd", "conv=notrunc,fsync", "status=none", &format!("of={FILE}")], block.as_bytes(), COMMAND);
        assert_eq!(e.code, Some(0), "writing {FILE}: {}", e.err);
    }
}

fn block(committed: &str, on_trial: &str) -> String {
    let mut block = format!("{HEAD}bothy_args={committed}\nbothy_args_try={on_trial}\nbothy_try=1\n");
    assert!(block.len() <= BYTES, "{on_trial}");
    block.extend(std::iter::repeat_n('#', BYTES - block.len()));
    block
}

/// Where partitions begin, and what the first of them, which has the block, is not larger than.
const ESP: std::ops::Range<u64> = 1 << 20..512 << 20;
const PIECE: usize = 1 << 20;

/// Puts arguments on trial at the first boot, as the daemon does: in the overlay, at the place that the block
/// has on the disk, as GRUB itself writes it.
pub fn arm(disk: &Path, overlay: &Path, arguments: &str) {
    let block = block(COMMITTED, arguments);
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
