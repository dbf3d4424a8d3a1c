//! Base images, disks, media and serial logs as files of the data folder.
//!
//! Owns the adapter behind `vim::port::Images`. Existence of a file means that it is complete and
//! durable (`durable`). Never: content of a guest's disk, or a file outside the data folder that an
//! image names.
//!
//! Who may read: folders are 0711, so that QEMU's user passes but nobody lists. Bases are 0444 and
//! shared by all overlays; disks and media are root's until libvirt hands them to QEMU's user at a
//! guest's start (its `dynamic_ownership`) and takes them back at its end.

use std::{
    fs::{self, File, Permissions},
    io::{ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::{MetadataExt, PermissionsExt},
    str::FromStr,
};

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::HEXLOWER;
use imago::{FormatAccess, FormatCreateBuilder, Storage, StorageCreateOptions, format::PreallocateMode, qcow2::Qcow2};

use super::{
    ballast::Ballast,
    copies,
    durable::{ensure_file, ensure_folder, io_fault, publish, remove, sweep_temps, sync_folder, temp},
    media, qcow2,
};
use crate::{
    model::{
        domain::{BaseImage, DiskSpec, Layout},
        error::{Fault, Result},
        id::{DiskId, VnfcId},
        size::{Bytes, MiB},
        vnfd::{ImageFormat, MediaBus, Medium},
    },
    vim::port::{DiskRoom, ImageInfo, Images, MediumFile},
};

const FOLDER: u32 = 0o711;
const BASE: u32 = 0o444;
const DISK: u32 = 0o600;
const MEDIUM: u32 = 0o640;
/// Older parts of a serial log, as virtlogd numbers them.
const OLD_LOGS: std::ops::RangeInclusive<u32> = 0..=9;

/// The files of one data folder.
pub struct ImageFiles {
    layout: Layout,
}

impl ImageFiles {
    /// Makes the folders and removes what a crash left unfinished. Only one process may have a data
    /// folder open; the store's lock sees to that.
    pub fn open(layout: Layout) -> Result<Self> {
        ensure_folder(layout.root(), FOLDER)?;
        let files = ImageFiles { layout };
        for folder in files.folders() {
            ensure_folder(&folder, FOLDER)?;
            sweep_temps(&folder)?;
        }
        Ok(files)
    }

    fn folders(&self) -> [Utf8PathBuf; 5] {
        ["images", "disks", "media", "nvram", "serial"].map(|f| self.layout.root().join(f))
    }
    fn folder(&self, name: &str) -> Utf8PathBuf {
        self.layout.root().join(name)
    }

    /// The names of a folder's files that `read` makes something of; strangers are left alone.
    fn names<T>(&self, folder: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>> {
        let folder = self.folder(folder);
        let fail = |e| io_fault("reading", &folder, e);
        let mut found = Vec::new();
        for entry in folder.read_dir_utf8().map_err(fail)? {
            found.extend(read(entry.map_err(fail)?.file_name()));
        }
        Ok(found)
    }

    fn create_disk(&self, spec: &DiskSpec) -> Result<()> {
        let path = self.layout.disk(spec.id);
        let made = temp(&path);
        remove(&made)?;
        let options = StorageCreateOptions::new().filename(&made);
        let file = imago::file::File::create_open(options).map_err(|e| io_fault("making", &made, e))?;
        let mut new = Qcow2::<imago::file::File>::create_builder(file).size(spec.size.bytes().0);
        if let Some(base) = &spec.base {
            self.fits(spec, base)?;
            new = new.backing(self.layout.image(&base.sha256).into_string(), format_name(base.format).into());
        }
        new.create().map_err(|e| io_fault("making", &made, e))?;
        fs::set_permissions(&made, Permissions::from_mode(DISK)).map_err(|e| io_fault("making", &made, e))?;
        publish(&path)
    }

    /// The disk is at least as large as what it stands on, or the guest would see a cut disk.
    fn fits(&self, spec: &DiskSpec, base: &BaseImage) -> Result<()> {
        let image = inspect(&self.layout.image(&base.sha256), base.format)
            .map_err(|e| e.context(format_args!("disk {}: its base image", spec.id)))?
            .virtual_size;
        if spec.size < image {
            return Err(Fault::invalid(format!("disk {}: {} MiB is less than the {} MiB of its image", spec.id, spec.size.0, image.0)));
        }
        Ok(())
    }

    /// Disks and copies of disks that are overlays on this file.
    fn users(&self, base: &Utf8Path) -> Result<usize> {
        let mut users = 0;
        let disks = self.disks()?.into_iter().map(|id| self.layout.disk(id));
        for path in disks.chain(self.copies()?.into_iter().map(|id| self.layout.copy(id))) {
            match read_head(&path) {
                Ok((head, _)) => users += usize::from(qcow2::backing_name(&head).is_some_and(|b| b == base.as_str())),
                // Removed meanwhile.
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(io_fault("reading", &path, e)),
            }
        }
        Ok(users)
    }
}

fn format_name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Raw => "raw",
        ImageFormat::Qcow2 => "qcow2",
    }
}

/// The beginning of a regular file, and its length.
fn read_head(path: &Utf8Path) -> std::io::Result<(Vec<u8>, u64)> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut head = Vec::new();
    file.by_ref().take(qcow2::HEAD as u64).read_to_end(&mut head)?;
    Ok((head, size))
}

fn inspect(path: &Utf8Path, format: ImageFormat) -> Result<ImageInfo> {
    let (head, size) = read_head(path).map_err(|e| io_fault("reading the image", path, e))?;
    qcow2::inspect(&head, size, format)
}

impl Images for ImageFiles {
    fn import(&self, file: &Utf8Path, sha256: &[u8; 32], format: ImageFormat) -> Result<ImageInfo> {
        let base = self.layout.image(sha256);
        if base.exists() {
            // Repeated after a crash, or the same image of another package.
            let info = inspect(&base, format)?;
            remove(file)?;
            return Ok(info);
        }
        let info = inspect(file, format)?;
        let fail = |e| io_fault("taking the image", file, e);
        fs::set_permissions(file, Permissions::from_mode(BASE)).map_err(fail)?;
        File::open(file).and_then(|f| f.sync_all()).map_err(fail)?;
        match fs::rename(file, &base) {
            Ok(()) => sync_folder(&self.folder("images"))?,
            Err(e) if e.kind() == ErrorKind::CrossesDevices => {
                fs::copy(file, temp(&base)).map_err(fail)?;
                publish(&base)?;
                remove(file)?;
            }
            Err(e) => return Err(fail(e)),
        }
        Ok(info)
    }
    fn examine(&self, head: &[u8], size: Bytes, format: ImageFormat) -> Result<ImageInfo> {
        qcow2::inspect(head, size.0, format)
    }
    fn has_base(&self, sha256: &[u8; 32]) -> Result<bool> {
        let base = self.layout.image(sha256);
        base.try_exists().map_err(|e| io_fault("looking for", &base, e))
    }
    fn remove_base(&self, sha256: &[u8; 32]) -> Result<()> {
        let base = self.layout.image(sha256);
        let users = self.users(&base)?;
        if users > 0 {
            return Err(Fault::conflict(format!("the image {} is the base of {users} disks", HEXLOWER.encode(sha256))));
        }
        remove(&base)?;
        sync_folder(&self.folder("images"))
    }
    fn bases(&self) -> Result<Vec<[u8; 32]>> {
        self.names("images", |name| HEXLOWER.decode(name.as_bytes()).ok()?.try_into().ok())
    }

    fn ensure_disk(&self, spec: &DiskSpec) -> Result<()> {
        let path = self.layout.disk(spec.id);
        match path.try_exists() {
            Ok(true) => Ok(()),
            Ok(false) => self.create_disk(spec).inspect_err(|_| {
                // Nothing half-made stays; the fault that matters is the first.
                let _ = remove(&temp(&path));
            }),
            Err(e) => Err(io_fault("looking for", &path, e)),
        }
    }
    fn grow_disk(&self, id: DiskId, to: MiB) -> Result<()> {
        let path = self.layout.disk(id);
        let fail = |e: std::io::Error| match e.kind() {
            ErrorKind::NotFound => Fault::not_found(format!("there is no disk {id}")),
            _ => io_fault("enlarging", &path, e),
        };
        // Its base is not opened: nothing is read or copied. The size is written last, so that a crash leaves the disk
        // as it was or as it is to be.
        let disk = Qcow2::<imago::file::File>::open_path(&path, true).map_err(fail)?;
        let disk = FormatAccess::new(disk);
        disk.resize_grow(to.bytes().0, PreallocateMode::None).map_err(fail)?;
        disk.sync().map_err(fail)
    }
    fn remove_disk(&self, id: DiskId) -> Result<()> {
        remove(&self.layout.disk(id))
    }
    fn disks(&self) -> Result<Vec<DiskId>> {
        self.names("disks", |name| DiskId::from_str(name.strip_suffix(".qcow2")?).ok())
    }

    fn copy_disk(&self, disk: DiskId, copy: DiskId) -> Result<Bytes> {
        copies::copy(&self.layout.disk(disk), &self.layout.copy(copy), DISK)
    }
    fn lend_disk(&self, disk: DiskId) -> Result<File> {
        copies::lend(&self.layout.disk(disk), DISK)
    }
    fn remove_copy(&self, copy: DiskId) -> Result<()> {
        remove(&self.layout.copy(copy))
    }
    fn copies(&self) -> Result<Vec<DiskId>> {
        self.names("disks", |name| DiskId::from_str(name.strip_suffix(".copy")?).ok())
    }
    fn revert_disk(&self, disk: DiskId, copy: DiskId, kept: DiskId) -> Result<()> {
        copies::revert(&self.layout.disk(disk), &self.layout.copy(copy), &self.layout.copy(kept), DISK)
    }
    fn take_back_disk(&self, disk: DiskId, kept: DiskId) -> Result<()> {
        copies::take_back(&self.layout.disk(disk), &self.layout.copy(kept))
    }

    fn ensure_medium(&self, id: VnfcId, medium: Medium, _bus: MediaBus, label: Option<&str>, files: &[MediumFile]) -> Result<()> {
        let content = media::make(medium, label, files).map_err(|e| e.context(format_args!("day-0 medium of guest {id}")))?;
        ensure_file(&self.layout.medium(id), &content, MEDIUM)
    }
    fn remove_medium(&self, id: VnfcId) -> Result<()> {
        remove(&self.layout.medium(id))
    }
    fn media(&self) -> Result<Vec<VnfcId>> {
        self.names("media", |name| VnfcId::from_str(name.strip_suffix(".iso")?).ok())
    }

    fn room(&self) -> Result<DiskRoom> {
        let folder = self.folder("disks");
        let stat = nix::sys::statvfs::statvfs(folder.as_std_path()).map_err(|e| io_fault("asking for the room of", &folder, e.into()))?;
        let bytes = |blocks: u64| Bytes(blocks.saturating_mul(stat.fragment_size()));
        let disks = self.names("disks", |name| fs::symlink_metadata(folder.join(name)).ok())?;
        // What the files take on the file system, not how long they are: they have holes.
        let disks = disks.iter().map(|m| m.blocks() * 512).sum();
        let free = bytes(stat.blocks_available()).0 + Ballast::new(&self.layout).held();
        Ok(DiskRoom { total: bytes(stat.blocks()), free: Bytes(free), disks: Bytes(disks) })
    }
    fn hold_reserve(&self, want: MiB) -> Result<()> {
        Ballast::new(&self.layout).hold(want.0 << 20)
    }

    fn serial_log(&self, id: VnfcId, max: usize) -> Result<Vec<u8>> {
        let path = self.layout.serial_log(id);
        let mut log = tail(&path, max)?;
        // Rotated a moment ago: what came before is in the newest of the old parts.
        if log.len() < max {
            let mut before = tail(&old_log(&path, 0), max - log.len())?;
            before.append(&mut log);
            log = before;
        }
        Ok(log)
    }
    fn remove_serial_log(&self, id: VnfcId) -> Result<()> {
        let path = self.layout.serial_log(id);
        OLD_LOGS.map(|n| old_log(&path, n)).try_for_each(|old| remove(&old))?;
        remove(&path)
    }
}

fn old_log(path: &Utf8Path, n: u32) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{path}.{n}"))
}

/// The end of a file; nothing when there is none.
fn tail(path: &Utf8Path, max: usize) -> Result<Vec<u8>> {
    let fail = |e| io_fault("reading", path, e);
    let mut file = match File::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.map_err(fail)?,
    };
    let len = file.metadata().map_err(fail)?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(max as u64))).map_err(fail)?;
    let mut end = Vec::new();
    file.take(max as u64).read_to_end(&mut end).map_err(fail)?;
    Ok(end)
}

#[cfg(test)]
#[path = "images_tests.rs"]
mod tests;
