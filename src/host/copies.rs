//! Copies of disks: what snapshots and operations keep, as files beside the disks.
//!
//! Owns how a disk is copied (holes stay holes, and a file system that can share blocks shares them) and how it
//! goes back to a copy. A disk is there, whole, at each moment: it is replaced by a rename, and what it held before
//! keeps a second name until nobody may want it any more. Never: whether its guest stands still.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{ErrorKind, Read as _, Seek as _, SeekFrom},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
};

use camino::Utf8Path;
use nix::unistd::{Whence, lseek};

use super::durable::{io_fault, publish, remove, sync_folder, temp};
use crate::model::{error::Result, size::Bytes};

/// `to` is a copy of `from`, complete and durable, unless it is there already.
pub(super) fn copy(from: &Utf8Path, to: &Utf8Path, mode: u32) -> Result<Bytes> {
    match fs::symlink_metadata(to) {
        Ok(found) => return Ok(Bytes(found.blocks() * 512)),
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(io_fault("looking for", to, e)),
    }
    write_new(from, to, mode)
}

/// `from` is at `to`, also where that is on another file system; what is at `to` already is the same.
pub fn bring(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    match fs::rename(from, to) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::CrossesDevices => {
            write_new(from, to, 0o600)?;
            remove(from)
        }
        Err(e) => Err(io_fault("moving", from, e)),
    }
}

/// A copy without a name. One that a crash leaves has that of an unfinished file.
pub(super) fn lend(from: &Utf8Path, mode: u32) -> Result<File> {
    let made = temp(&from.with_extension("lent"));
    remove(&made)?;
    let lent = write(from, &made, mode).and_then(|_| File::open(&made).map_err(|e| io_fault("reading", &made, e)));
    remove(&made)?;
    lent
}

/// `disk` holds what `copy` does; what it held has the name `kept`.
pub(super) fn revert(disk: &Utf8Path, copy: &Utf8Path, kept: &Utf8Path, mode: u32) -> Result<()> {
    match fs::hard_link(disk, kept) {
        Ok(()) => parent(kept)?,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) => return Err(io_fault("keeping", disk, e)),
    }
    if !is_same(disk, kept)? {
        return Ok(());
    }
    write_new(copy, disk, mode).map(drop)
}

/// `disk` holds again what is kept, if anything is.
pub(super) fn take_back(disk: &Utf8Path, kept: &Utf8Path) -> Result<()> {
    match fs::rename(kept, disk) {
        // Two names of one file both stay.
        Ok(()) => remove(kept)?,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io_fault("taking back", kept, e)),
    }
    parent(disk)
}

fn parent(path: &Utf8Path) -> Result<()> {
    path.parent().map_or(Ok(()), sync_folder)
}

fn is_same(a: &Utf8Path, b: &Utf8Path) -> Result<bool> {
    let of = |path: &Utf8Path| fs::symlink_metadata(path).map(|m| (m.dev(), m.ino())).map_err(|e| io_fault("looking at", path, e));
    Ok(of(a)? == of(b)?)
}

/// Written under another name, then put in its place.
fn write_new(from: &Utf8Path, to: &Utf8Path, mode: u32) -> Result<Bytes> {
    let made = temp(to);
    remove(&made)?;
    let written = write(from, &made, mode).and_then(|bytes| publish(to).map(|()| bytes));
    if written.is_err() {
        // Nothing half-made stays; the fault that matters is the first.
        let _ = remove(&made);
    }
    written
}

fn write(from: &Utf8Path, to: &Utf8Path, mode: u32) -> Result<Bytes> {
    let fail = |e| io_fault("copying to", to, e);
    let source = File::open(from).map_err(|e| io_fault("copying", from, e))?;
    let length = source.metadata().map_err(fail)?.len();
    let target = OpenOptions::new().write(true).create_new(true).mode(mode).open(to).map_err(fail)?;
    target.set_permissions(Permissions::from_mode(mode)).map_err(fail)?;
    target.set_len(length).map_err(fail)?;
    let mut at = 0;
    while let Some((begin, end)) = data_after(&source, at, length).map_err(fail)? {
        copy_part(&source, &target, begin, end).map_err(fail)?;
        at = end;
    }
    Ok(Bytes(target.metadata().map_err(fail)?.blocks() * 512))
}

/// The next part of a file that is no hole, at or after `at`.
fn data_after(file: &File, at: u64, length: u64) -> std::io::Result<Option<(u64, u64)>> {
    if at >= length {
        return Ok(None);
    }
    let offset = |n: u64| i64::try_from(n).map_err(std::io::Error::other);
    let begin = match lseek(file, offset(at)?, Whence::SeekData) {
        Ok(begin) => begin as u64,
        Err(nix::errno::Errno::ENXIO) => return Ok(None),
        // A file system that knows no holes has none.
        Err(nix::errno::Errno::EINVAL | nix::errno::Errno::EOPNOTSUPP) => return Ok(Some((at, length))),
        Err(e) => return Err(e.into()),
    };
    let end = lseek(file, offset(begin)?, Whence::SeekHole)? as u64;
    Ok(Some((begin, end.min(length))))
}

/// In the kernel where it can (the standard library sees to that): a file system that shares blocks does not even
/// write them.
fn copy_part(mut from: &File, mut to: &File, begin: u64, end: u64) -> std::io::Result<()> {
    from.seek(SeekFrom::Start(begin))?;
    to.seek(SeekFrom::Start(begin))?;
    let copied = std::io::copy(&mut from.take(end - begin), &mut to)?;
    if copied == end - begin { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
}
