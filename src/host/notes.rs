//! Small texts in a folder of bothy's that outlive it, and the emptying of folders.
//!
//! ```text
//! DATA/restored/...  the order of a restore, and where this box came from
//! DATA/reset/order   a reset that is to be seen through before the store is opened
//! DATA/reset/last    what became of the last one
//! DATA/reset/wipe    the box's next start empties its partitions (image/files/usr/lib/bothy/wipe)
//! ```
//! Owns that they are written whole. Never: what is in them.

use std::{fs, io::ErrorKind};

use camino::{Utf8Path, Utf8PathBuf};

use super::durable::{ensure_file, ensure_folder, io_fault, remove, sync_folder};
use crate::model::error::Result;

/// Texts of one folder.
#[derive(Debug, Clone)]
pub struct Notes {
    folder: Utf8PathBuf,
}

impl Notes {
    pub fn new(folder: impl Into<Utf8PathBuf>) -> Notes {
        Notes { folder: folder.into() }
    }

    pub fn read(&self, name: &str) -> Result<Option<String>> {
        let path = self.folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io_fault("reading", &path, e)),
        }
    }

    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        ensure_folder(&self.folder, 0o700)?;
        ensure_file(&self.folder.join(name), text.as_bytes(), 0o600)
    }

    /// Gone, after a power cut too.
    pub fn remove(&self, name: &str) -> Result<()> {
        remove(&self.folder.join(name))?;
        if self.folder.exists() { sync_folder(&self.folder) } else { Ok(()) }
    }
}

/// Nothing of this name is there, whatever it was; of a link what it leads to stays, and is empty.
pub fn clear(path: &Utf8Path) -> Result<()> {
    let gone = |e: std::io::Error| if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(io_fault("removing", path, e)) };
    match fs::symlink_metadata(path) {
        Err(e) => gone(e),
        Ok(m) if m.is_symlink() => empty(path, &[]),
        // One that something is mounted on stays, and is empty.
        Ok(m) if m.is_dir() => fs::remove_dir_all(path).or_else(|e| match e.kind() {
            ErrorKind::ResourceBusy => empty(path, &[]),
            _ => gone(e),
        }),
        Ok(_) => fs::remove_file(path).or_else(gone),
    }
}

/// Nothing is in the folder but what has one of these names.
pub fn empty(folder: &Utf8Path, but: &[&str]) -> Result<()> {
    let entries = match folder.read_dir_utf8() {
        Ok(all) => all,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io_fault("reading", folder, e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| io_fault("reading", folder, e))?;
        if !but.contains(&entry.file_name()) {
            clear(entry.path())?;
        }
    }
    sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_there_or_not_and_a_folder_is_emptied_but_for_what_stays() {
        let dir = tempfile::tempdir().expect("dir");
        let root = Utf8Path::from_path(dir.path()).expect("utf-8");
        let notes = Notes::new(root.join("a/b"));
        assert_eq!(notes.read("x").expect("read"), None);
        notes.remove("x").expect("nothing to remove");
        notes.write("x", "one\n").expect("written");
        notes.write("x", "two\n").expect("written over");
        assert_eq!(notes.read("x").expect("read").as_deref(), Some("two\n"));
        notes.remove("x").expect("removed");
        assert_eq!(notes.read("x").expect("read"), None);

        fs::create_dir_all(root.join("a/b/deep")).expect("folder");
        fs::write(root.join("a/stays"), "s").expect("file");
        let far = root.join("far");
        fs::create_dir(&far).expect("folder");
        fs::write(far.join("image"), "i").expect("file");
        std::os::unix::fs::symlink(&far, root.join("a/link")).expect("link");
        empty(&root.join("a"), &["stays"]).expect("emptied");
        let left: Vec<String> = root.join("a").read_dir_utf8().expect("read").map(|e| e.expect("entry").file_name().to_owned()).collect();
        assert_eq!((left.len(), far.exists(), far.join("image").exists()), (2, true, false), "{left:?}");
        empty(&root.join("nowhere"), &[]).expect("nothing to empty");
    }
}
