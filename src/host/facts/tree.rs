//! A folder that looks like `/` as far as `sys` and `proc` go.
//!
//! Owns the small readings everything else is made of, and the one way to write. A reading has no
//! fault: what is not there is `None` or empty. Never: what a value means.

use std::{io::Write, str::FromStr};

use camino::{Utf8Path, Utf8PathBuf};

use crate::model::order::Order as _;
use crate::{
    host::durable::io_fault,
    model::{error::Result, hw::CpuSet},
};

/// `/` on a host; a folder of a test elsewhere.
#[derive(Debug, Clone)]
pub struct Tree {
    root: Utf8PathBuf,
}

impl Tree {
    pub fn new(root: impl Into<Utf8PathBuf>) -> Self {
        Tree { root: root.into() }
    }
    pub fn path(&self, below: impl AsRef<Utf8Path>) -> Utf8PathBuf {
        self.root.join(below)
    }
    /// The content without the white space around it.
    pub fn read(&self, below: impl AsRef<Utf8Path>) -> Option<String> {
        std::fs::read_to_string(self.path(below)).ok().map(|s| s.trim().to_owned())
    }
    pub fn parse<T: FromStr>(&self, below: impl AsRef<Utf8Path>) -> Option<T> {
        self.read(below)?.parse().ok()
    }
    /// `0x8086`.
    pub fn hex(&self, below: impl AsRef<Utf8Path>) -> Option<u32> {
        let text = self.read(below)?;
        u32::from_str_radix(text.strip_prefix("0x").unwrap_or(&text), 16).ok()
    }
    pub fn some_cpus(&self, below: impl AsRef<Utf8Path>) -> Option<CpuSet> {
        self.parse(below)
    }
    /// Empty where nothing is said; the kernel also says `(null)`.
    pub fn cpus(&self, below: impl AsRef<Utf8Path>) -> CpuSet {
        self.some_cpus(below).unwrap_or_default()
    }
    /// Names in a folder, sorted.
    pub fn list(&self, below: impl AsRef<Utf8Path>) -> Vec<String> {
        let Ok(entries) = self.path(below).read_dir_utf8() else { return Vec::new() };
        let mut names: Vec<String> = entries.flatten().map(|e| e.file_name().to_owned()).collect();
        names.order();
        names
    }
    /// The numbers `n` of all entries `PREFIXn`, ascending.
    pub fn numbered(&self, below: impl AsRef<Utf8Path>, prefix: &str) -> Vec<u16> {
        let mut all: Vec<u16> = self.list(below).iter().filter_map(|n| n.strip_prefix(prefix)?.parse().ok()).collect();
        all.order();
        all
    }
    pub fn is_dir(&self, below: impl AsRef<Utf8Path>) -> bool {
        self.path(below).is_dir()
    }
    pub fn exists(&self, below: impl AsRef<Utf8Path>) -> bool {
        self.path(below).exists()
    }
    /// The last part of what a symbolic link names.
    pub fn link(&self, below: impl AsRef<Utf8Path>) -> Option<String> {
        self.path(below).read_link_utf8().ok()?.file_name().map(str::to_owned)
    }
    /// The whole of it.
    pub fn target(&self, below: impl AsRef<Utf8Path>) -> Option<String> {
        Some(self.path(below).read_link_utf8().ok()?.into_string())
    }
    /// Into a file that is there: sysfs makes none. A value the kernel refuses is a fault with its words.
    pub fn write(&self, below: impl AsRef<Utf8Path>, value: &str) -> Result<()> {
        let path = self.path(below);
        let put = || std::fs::OpenOptions::new().write(true).truncate(true).open(&path)?.write_all(value.as_bytes());
        put().map_err(|e| io_fault("writing", &path, e))
    }
}
