//! The box's disk as a file of a test's own, to be altered; and the firmware's memory with the box's key in it. Never: what
//! is altered, or what becomes of it.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::kit::{bootenv, disk, small::Plugged};

const MIB: u64 = 1 << 20;
/// Whoever put the keys there.
const OWNER: &str = "b0714131-0000-4000-8000-000000000004";
/// What the boot loader takes in a verified boot as well.
pub const ARGUMENTS: &str = "no_timer_check intel_iommu=on iommu=pt";

pub fn logs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("build/lab")
}

pub fn run(command: &mut Command) -> Vec<u8> {
    let done = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// The firmware's memory with our certificate as the owner's, and as that of what may be booted.
pub fn keys() -> PathBuf {
    let certificate = Path::new(env!("CARGO_MANIFEST_DIR")).join("build/image/keys/boot.crt");
    let vars = logs().join("own-keys.fd");
    let mut tool = Command::new("virt-fw-vars");
    tool.args(["--input", "/usr/share/OVMF/OVMF_VARS_4M.fd", "--secure-boot", "--output"]).arg(&vars);
    for store in ["--set-pk", "--add-kek", "--add-db"] {
        tool.args([store, OWNER]).arg(&certificate);
    }
    run(&mut tool);
    vars
}

/// The box's disk, to be altered.
pub struct Disk(pub PathBuf);

impl Disk {
    pub fn new(name: &str) -> Disk {
        let to = logs().join(format!("own-{name}.img"));
        run(Command::new("cp").args(["--sparse=always", "--reflink=auto"]).arg(disk::build()).arg(&to));
        let d = Disk(to);
        d.environment(&[]);
        d
    }

    pub fn environment(&self, more: &[(&str, &str)]) {
        let mut all = vec![("bothy_slot", "A"), ("bothy_args", ARGUMENTS)];
        all.retain(|(name, _)| more.iter().all(|(n, _)| n != name));
        all.extend(more);
        bootenv::write(&self.0, &all);
    }

    pub fn open(&self) -> File {
        File::options().read(true).write(true).open(&self.0).expect("the disk")
    }

    /// What is in a partition, as far as there is something.
    pub fn read(&self, partition: &str) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(64 * MIB).expect("a size")];
        let mut f = self.open();
        f.seek(SeekFrom::Start(place(partition))).and_then(|_| f.read_exact(&mut bytes)).expect("read");
        bytes
    }

    pub fn write(&self, partition: &str, at: usize, bytes: &[u8]) {
        let mut f = self.open();
        f.seek(SeekFrom::Start(place(partition) + at as u64)).and_then(|_| f.write_all(bytes)).expect("written");
    }

    /// Changes one bit of a file in a slot's boot partition, in its middle or behind these words of it.
    pub fn alter(&self, partition: &str, file: &str, behind: Option<&str>) {
        let bytes = self.read(partition);
        let slot = logs().join("own-slot.img");
        fs::write(&slot, &bytes).expect("written");
        let content = run(Command::new("unsquashfs").arg("-cat").arg(&slot).arg(file));
        fs::remove_file(&slot).expect("removed");
        let find = |all: &[u8], words: &[u8]| all.windows(words.len()).position(|w| w == words).expect("the words");
        let within = behind.map_or(content.len() / 2, |words| find(&content, words.as_bytes()) + words.len());
        // It is stored as it is, so its words from there on tell where in the partition.
        let at = find(&bytes, &content[within..content.len().min(within + 64)]);
        self.write(partition, at, &[bytes[at] ^ 1]);
    }

    pub fn plugged(&self) -> Plugged<'_> {
        Plugged(&self.0, "DISK", true)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Where a partition begins: behind a MiB that is the table's, one after the other.
pub fn place(partition: &str) -> u64 {
    let layout = include_str!("../../../image/files/usr/lib/bothy/layout");
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
