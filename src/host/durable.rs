//! Files that are there completely or not at all, after a power cut too.
//!
//! Owns temp -> fsync -> rename -> fsync of the folder, and the wording of file faults. Never: what
//! is in the files.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::model::error::{Fault, Result};

/// Turns an I/O error into a fault that names the place. A full disk is a matter of capacity.
pub(super) fn io_fault(what: &str, path: &Utf8Path, e: std::io::Error) -> Fault {
    let fault = match e.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Fault::capacity(format!("{what} {path}: the file system is full; remove unused packages or instances"))
        }
        ErrorKind::PermissionDenied => {
            Fault::transient(format!("{what} {path}: Bothy has no permission; check the folder's owner and mode"))
        }
        ErrorKind::ReadOnlyFilesystem => Fault::transient(format!("{what} {path}: the file system is read-only; check the disk")),
        ErrorKind::NotFound => Fault::not_found(format!("{what} {path}: it is not there")),
        _ => Fault::transient(format!("{what} {path}: {e}")),
    };
    fault.with_source(e)
}

/// The name under which a file is made before it gets its own.
pub(super) fn temp(path: &Utf8Path) -> Utf8PathBuf {
    path.with_file_name(format!(".{}.tmp", path.file_name().unwrap_or("file")))
}

/// What a crash left of unfinished files goes.
pub(super) fn sweep_temps(folder: &Utf8Path) -> Result<()> {
    for entry in folder.read_dir_utf8().map_err(|e| io_fault("reading", folder, e))? {
        let entry = entry.map_err(|e| io_fault("reading", folder, e))?;
        if entry.file_name().starts_with('.') && entry.file_name().ends_with(".tmp") {
            remove(entry.path())?;
        }
    }
    Ok(())
}

/// The folder is there with this mode, and so after a power cut.
pub(crate) fn ensure_folder(path: &Utf8Path, mode: u32) -> Result<()> {
    let fail = |e| io_fault("making the folder", path, e);
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {
            if let Some(parent) = path.parent() {
                sync_folder(parent)?;
            }
        }
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) if e.kind() == ErrorKind::NotFound && path.parent().is_some() => {
            ensure_folder(path.parent().unwrap_or(path), mode)?;
            return ensure_folder(path, mode);
        }
        Err(e) => return Err(fail(e)),
    }
    // The umask may have taken bits at creation; an older Bothy may have made it otherwise.
    let found = fs::metadata(path).map_err(fail)?.permissions().mode() & 0o7777;
    if found != mode {
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(fail)?;
    }
    Ok(())
}

pub fn sync_folder(path: &Utf8Path) -> Result<()> {
    File::open(path).and_then(|f| f.sync_all()).map_err(|e| io_fault("syncing the folder", path, e))
}

/// Makes the file at `temp(path)` known as `path`, durably.
pub(super) fn publish(path: &Utf8Path) -> Result<()> {
    let made = temp(path);
    File::open(&made).and_then(|f| f.sync_all()).map_err(|e| io_fault("syncing", &made, e))?;
    fs::rename(&made, path).map_err(|e| io_fault("naming", path, e))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// The file has exactly this content and mode; one that has it already is not touched.
pub(crate) fn ensure_file(path: &Utf8Path, content: &[u8], mode: u32) -> Result<()> {
    if is_so(path, content, mode) {
        return Ok(());
    }
    let made = temp(path);
    remove(&made)?;
    // From its first byte on nobody else may read it: it may hold secrets.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&made)
        .and_then(|mut f| f.write_all(content).and_then(|()| f.set_permissions(Permissions::from_mode(mode))))
        .map_err(|e| io_fault("writing", &made, e))?;
    publish(path)
}

fn is_so(path: &Utf8Path, content: &[u8], mode: u32) -> bool {
    let same_form =
        fs::symlink_metadata(path).is_ok_and(|m| m.is_file() && m.len() == content.len() as u64 && m.permissions().mode() & 0o777 == mode);
    same_form && fs::read(path).is_ok_and(|found| found == content)
}

/// The file is not there. Not synced: a removal that a power cut takes back is an orphan, and the
/// sweep at start removes those.
pub(crate) fn remove(path: &Utf8Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(io_fault("removing", path, e)),
        Ok(()) | Err(_) => Ok(()),
    }
}
