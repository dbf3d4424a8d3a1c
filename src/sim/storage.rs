//! `Images` in memory.

use std::{fs::File, io::Read};

use camino::Utf8Path;

use super::{
    Sim,
    faults::{Method, Target},
    world::{MediumContent, World},
};
use crate::{
    model::{
        domain::DiskSpec,
        error::{Fault, Result},
        id::{DiskId, VnfcId},
        size::{Bytes, MiB},
        vnfd::{ImageFormat, MediaBus, Medium},
    },
    vim::port::{DiskRoom, GuestState, ImageInfo, Images, MediumFile},
};

/// What QEMU writes first for an empty overlay.
const OVERLAY: u64 = 256 << 10;

/// As much of qcow2 as the twin needs: the magic, no backing file, the size.
fn inspect(file: &Utf8Path, format: ImageFormat) -> Result<ImageInfo> {
    let cannot = |e: std::io::Error| Fault::not_found(format!("the image file {file} cannot be read")).with_source(e);
    let mut head = Vec::new();
    let mut open = File::open(file).map_err(cannot)?;
    let size = open.metadata().map_err(cannot)?.len();
    open.by_ref().take(32).read_to_end(&mut head).map_err(cannot)?;
    examine(&head, size, format).map_err(|f| f.context(file.to_string()))
}

fn examine(head: &[u8], size: u64, format: ImageFormat) -> Result<ImageInfo> {
    let is_qcow2 = head.starts_with(b"QFI\xfb");
    let number = |at: usize| head.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
    match (format, is_qcow2) {
        (ImageFormat::Raw, false) => Ok(ImageInfo { format, virtual_size: Bytes(size).mib(), size: Bytes(size) }),
        (ImageFormat::Qcow2, true) if number(8) == Some(0) => {
            let virtual_size = Bytes(number(24).unwrap_or(0)).mib();
            Ok(ImageInfo { format, virtual_size, size: Bytes(size) })
        }
        (ImageFormat::Qcow2, true) => Err(Fault::invalid("the image refers to another file")),
        (ImageFormat::Raw, true) => Err(Fault::invalid("said to be raw, but it is qcow2")),
        (ImageFormat::Qcow2, false) => Err(Fault::invalid("said to be qcow2, but it is not")),
    }
}

impl World {
    fn free(&self) -> u64 {
        let bases: u64 = self.bases.values().map(|b| b.size.0).sum();
        self.room.free.0.saturating_sub(bases + self.held())
    }
    fn held(&self) -> u64 {
        OVERLAY * (self.disks.len() + self.copies.len()) as u64
    }
    fn hold(&self, what: DiskId) -> Vec<u8> {
        self.content.get(&what).cloned().unwrap_or_default()
    }
    /// The guest that has the disk, while QEMU may change it.
    fn writer(&self, disk: DiskId, still_is_enough: bool) -> Result<()> {
        let of = |g: &&super::world::Guest| g.spec.disks.iter().any(|d| d.id == disk);
        match self.guests.values().find(of).filter(|g| g.is_up() && !(still_is_enough && g.state == GuestState::Paused)) {
            Some(g) => Err(Fault::bug(format!("disk {disk} is copied, replaced or enlarged while guest {} writes to it", g.spec.id))),
            None => Ok(()),
        }
    }
}

impl Images for Sim {
    fn import(&self, file: &Utf8Path, sha256: &[u8; 32], format: ImageFormat) -> Result<ImageInfo> {
        self.call(Method::Import, *sha256, |world, _| {
            if let Some(info) = world.bases.get(sha256).copied() {
                // Repeated after a crash: whatever is left of the upload goes.
                let _ = std::fs::remove_file(file);
                return Ok(info);
            }
            let info = inspect(file, format)?;
            std::fs::remove_file(file).map_err(|e| Fault::transient(format!("the image file {file} cannot be taken")).with_source(e))?;
            world.bases.insert(*sha256, info);
            Ok(info)
        })
    }
    fn examine(&self, head: &[u8], size: Bytes, format: ImageFormat) -> Result<ImageInfo> {
        self.call(Method::Examine, Target::Host, |_, _| examine(head, size.0, format))
    }
    fn has_base(&self, sha256: &[u8; 32]) -> Result<bool> {
        self.call(Method::HasBase, *sha256, |world, _| Ok(world.bases.contains_key(sha256)))
    }
    fn remove_base(&self, sha256: &[u8; 32]) -> Result<()> {
        self.call(Method::RemoveBase, *sha256, |world, _| {
            let users =
                world.disks.values().chain(world.copies.values()).filter(|d| d.base.as_ref().is_some_and(|b| b.sha256 == *sha256)).count();
            if users > 0 {
                return Err(Fault::conflict(format!("the image is the base of {users} disks")));
            }
            world.bases.remove(sha256);
            Ok(())
        })
    }
    fn bases(&self) -> Result<Vec<[u8; 32]>> {
        self.call(Method::Bases, Target::Host, |world, _| Ok(world.bases.keys().copied().collect()))
    }

    fn ensure_disk(&self, spec: &DiskSpec) -> Result<()> {
        self.call(Method::EnsureDisk, spec.id, |world, _| {
            if world.disks.contains_key(&spec.id) {
                return Ok(());
            }
            if let Some(base) = &spec.base {
                let info = world
                    .bases
                    .get(&base.sha256)
                    .ok_or_else(|| Fault::not_found(format!("disk {}: its base image is not there", spec.id)))?;
                too_small(spec, info.virtual_size)?;
            }
            if world.free() < OVERLAY {
                return Err(Fault::capacity(format!("disk {}: the file system of disks is full", spec.id)));
            }
            world.disks.insert(spec.id, spec.clone());
            Ok(())
        })
    }
    fn grow_disk(&self, id: DiskId, to: MiB) -> Result<()> {
        self.call(Method::GrowDisk, id, |world, _| {
            world.writer(id, false)?;
            let spec = world.disks.get_mut(&id).ok_or_else(|| Fault::not_found(format!("there is no disk {id}")))?;
            spec.size = spec.size.max(to);
            Ok(())
        })
    }
    fn remove_disk(&self, id: DiskId) -> Result<()> {
        self.call(Method::RemoveDisk, id, |world, _| {
            world.disks.remove(&id);
            world.content.remove(&id);
            Ok(())
        })
    }
    fn disks(&self) -> Result<Vec<DiskId>> {
        self.call(Method::Disks, Target::Host, |world, _| Ok(world.disks.keys().copied().collect()))
    }

    fn copy_disk(&self, disk: DiskId, copy: DiskId) -> Result<Bytes> {
        self.call(Method::CopyDisk, copy, |world, _| {
            if world.copies.contains_key(&copy) {
                return Ok(Bytes(OVERLAY));
            }
            world.writer(disk, true)?;
            let spec = world.disks.get(&disk).ok_or_else(|| Fault::not_found(format!("there is no disk {disk}")))?.clone();
            if world.free() < OVERLAY {
                return Err(Fault::capacity(format!("copy of disk {disk}: the file system of disks is full")));
            }
            let content = world.hold(disk);
            world.copies.insert(copy, spec);
            world.content.insert(copy, content);
            Ok(Bytes(OVERLAY))
        })
    }
    fn lend_disk(&self, disk: DiskId) -> Result<std::fs::File> {
        let content = self.call(Method::LendDisk, disk, |world, _| {
            if !world.disks.contains_key(&disk) {
                return Err(Fault::not_found(format!("there is no disk {disk}")));
            }
            Ok(world.content.get(&disk).cloned().unwrap_or_default())
        })?;
        let path = std::env::temp_dir().join(format!("bothy-lent-{}", uuid::Uuid::new_v4().simple()));
        let lent = std::fs::write(&path, content).and_then(|()| std::fs::File::open(&path));
        let _ = std::fs::remove_file(&path);
        lent.map_err(|e| Fault::transient(format!("a copy of disk {disk}: {e}")))
    }
    fn remove_copy(&self, copy: DiskId) -> Result<()> {
        self.call(Method::RemoveCopy, copy, |world, _| {
            world.copies.remove(&copy);
            world.content.remove(&copy);
            Ok(())
        })
    }
    fn copies(&self) -> Result<Vec<DiskId>> {
        self.call(Method::Copies, Target::Host, |world, _| Ok(world.copies.keys().copied().collect()))
    }
    fn revert_disk(&self, disk: DiskId, copy: DiskId, kept: DiskId) -> Result<()> {
        self.call(Method::RevertDisk, disk, |world, _| {
            if world.copies.contains_key(&kept) {
                return Ok(());
            }
            world.writer(disk, false)?;
            let spec = world.disks.get(&disk).ok_or_else(|| Fault::not_found(format!("there is no disk {disk}")))?.clone();
            if !world.copies.contains_key(&copy) {
                return Err(Fault::not_found(format!("disk {disk}: its copy {copy} is not there")));
            }
            let (before, after) = (world.hold(disk), world.hold(copy));
            world.copies.insert(kept, spec);
            world.content.insert(kept, before);
            world.content.insert(disk, after);
            Ok(())
        })
    }
    fn take_back_disk(&self, disk: DiskId, kept: DiskId) -> Result<()> {
        self.call(Method::TakeBackDisk, disk, |world, _| {
            if world.copies.contains_key(&kept) {
                world.writer(disk, false)?;
                world.copies.remove(&kept);
                let before = world.content.remove(&kept).unwrap_or_default();
                world.content.insert(disk, before);
            }
            Ok(())
        })
    }

    fn ensure_medium(&self, id: VnfcId, medium: Medium, bus: MediaBus, label: Option<&str>, files: &[MediumFile]) -> Result<()> {
        self.call(Method::EnsureMedium, id, |world, _| {
            let files = files.iter().map(|f| (f.path.clone(), f.content.clone())).collect();
            world.media.insert(id, MediumContent { medium, bus, label: label.map(str::to_owned), files });
            Ok(())
        })
    }
    fn remove_medium(&self, id: VnfcId) -> Result<()> {
        self.call(Method::RemoveMedium, id, |world, _| {
            world.media.remove(&id);
            Ok(())
        })
    }
    fn media(&self) -> Result<Vec<VnfcId>> {
        self.call(Method::Media, Target::Host, |world, _| Ok(world.media.keys().copied().collect()))
    }

    fn room(&self) -> Result<DiskRoom> {
        self.call(Method::Room, Target::Host, |world, _| {
            Ok(DiskRoom { total: world.room.total, free: Bytes(world.free()), disks: Bytes(world.held()) })
        })
    }
    /// Guests here write nothing: the room is what promises say.
    fn hold_reserve(&self, _: MiB) -> Result<()> {
        Ok(())
    }
    fn serial_log(&self, id: VnfcId, max: usize) -> Result<Vec<u8>> {
        self.call(Method::SerialLog, id, |world, _| {
            let log = world.serial.get(&id).map(Vec::as_slice).unwrap_or_default();
            Ok(log[log.len().saturating_sub(max)..].to_vec())
        })
    }
    fn remove_serial_log(&self, id: VnfcId) -> Result<()> {
        self.call(Method::RemoveSerialLog, id, |world, _| {
            world.serial.remove(&id);
            Ok(())
        })
    }
}

fn too_small(spec: &DiskSpec, image: MiB) -> Result<()> {
    if spec.size < image {
        return Err(Fault::invalid(format!("disk {}: {} MiB is less than the {} MiB of its image", spec.id, spec.size.0, image.0)));
    }
    Ok(())
}
