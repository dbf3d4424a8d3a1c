//! The calls that make bytes durable.
//!
//! Owns nothing but the seam: `RealDisk` asks the kernel, the tests' disk remembers what a power cut would leave.
//! Never: decides what to sync (that is `database` and `manifest`).

use std::{fs::File, io, path::Path};

/// Every sync the store relies on goes through here.
pub trait Disk: Send + Sync {
    /// `fdatasync` of a file through a handle that was open before the writes (so that it hears of their errors).
    fn sync_handle(&self, file: &File, path: &Path) -> io::Result<()>;
    /// `fsync` of a finished file.
    fn sync_file(&self, path: &Path) -> io::Result<()>;
    /// `fsync` of a folder: the names in it.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

pub struct RealDisk;

impl Disk for RealDisk {
    fn sync_handle(&self, file: &File, _: &Path) -> io::Result<()> {
        file.sync_data()
    }
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}
