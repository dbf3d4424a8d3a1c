//! A disk that remembers what a power cut would leave.
//!
//! The store runs in a real folder; each sync call copies what it makes durable: a file's content as of now, a
//! folder's names as of now. `cut` builds the folder a machine would come up with: names from the last sync of their
//! folder, content from the last sync of the file, nothing else. sled's own `sync_file_range` and `sync_all` are not
//! seen, so nothing is believed that the store did not ask for.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Mutex,
};

use crate::store::{database::lock, disk::Disk};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaveOut {
    Nothing,
    /// `fdatasync` of `db`.
    Db,
    /// `fsync` of the files in `blobs/`.
    BlobFiles,
    /// `fsync` of `blobs/` itself.
    BlobNames,
}

pub struct Shadow {
    root: PathBuf,
    leave_out: LeaveOut,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    content: HashMap<u64, Vec<u8>>,
    names: HashMap<PathBuf, Vec<(OsString, Entry)>>,
    calls: u64,
    die_at: Option<u64>,
    /// Where the folder is copied to when the disk dies: what a kill -9 at that moment leaves.
    killed: PathBuf,
}

#[derive(Clone, Copy)]
enum Entry {
    File { inode: u64 },
    Dir,
}

impl Shadow {
    pub fn new(root: &Path, leave_out: LeaveOut) -> Shadow {
        Shadow { root: root.to_owned(), leave_out, state: Mutex::default() }
    }

    /// The `n`th sync from now, and all after it, fail and leave nothing. At that moment the folder is copied to `killed`.
    pub fn die_at(&self, n: u64, killed: &Path) {
        let mut s = lock(&self.state);
        s.die_at = Some(s.calls + n);
        s.killed = killed.to_owned();
    }

    pub fn is_dead(&self) -> bool {
        let s = lock(&self.state);
        s.die_at.is_some_and(|n| s.calls >= n)
    }

    /// Builds in `to` what a power cut now would leave.
    pub fn cut(&self, to: &Path) {
        self.build(&lock(&self.state), &self.root, to);
    }

    fn build(&self, s: &State, dir: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        for (name, entry) in s.names.get(dir).into_iter().flatten() {
            match entry {
                Entry::Dir => self.build(s, &dir.join(name), &to.join(name)),
                Entry::File { inode } => {
                    let path = to.join(name);
                    fs::write(&path, s.content.get(inode).map_or(&[][..], |c| c)).expect("a file");
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
                }
            }
        }
    }

    fn sync(&self, effect: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        let mut s = lock(&self.state);
        s.calls += 1;
        match s.die_at {
            Some(n) if s.calls == n => {
                copy_dir(&self.root, &s.killed);
                Err(io::Error::other("the power is gone"))
            }
            Some(n) if s.calls > n => Err(io::Error::other("the power is gone")),
            _ => effect(&mut s),
        }
    }

    fn remember(s: &mut State, path: &Path) -> io::Result<()> {
        let inode = fs::metadata(path)?.ino();
        s.content.insert(inode, fs::read(path)?);
        Ok(())
    }
}

impl Disk for Shadow {
    fn sync_handle(&self, _: &File, path: &Path) -> io::Result<()> {
        let skip = self.leave_out == LeaveOut::Db;
        self.sync(|s| if skip { Ok(()) } else { Shadow::remember(s, path) })
    }
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        let skip = self.leave_out == LeaveOut::BlobFiles && path.parent().is_some_and(|p| p.ends_with("blobs"));
        self.sync(|s| if skip { Ok(()) } else { Shadow::remember(s, path) })
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let skip = self.leave_out == LeaveOut::BlobNames && path.ends_with("blobs");
        self.sync(|s| {
            if skip {
                return Ok(());
            }
            let mut names = Vec::new();
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                let Some(meta) = unless_gone(entry.metadata()) else { continue };
                let kind = if meta.is_dir() { Entry::Dir } else { Entry::File { inode: meta.ino() } };
                names.push((entry.file_name(), kind));
            }
            s.names.insert(path.to_owned(), names);
            Ok(())
        })
    }
}

/// Syncs nothing: for looking at what a cut left.
pub struct NoSync;
impl Disk for NoSync {
    fn sync_handle(&self, _: &File, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn sync_file(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// Copies a folder that the store may still be at work in: what goes away meanwhile (sled's threads replace their
/// snapshots and drop their blobs when they like) is not there in the copy either, as after a kill a moment later.
pub fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    let Some(entries) = unless_gone(fs::read_dir(from)) else { return };
    for entry in entries {
        let Some(entry) = unless_gone(entry) else { continue };
        let Some(kind) = unless_gone(entry.file_type()) else { continue };
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            unless_gone(fs::copy(entry.path(), &target));
        }
    }
}

fn unless_gone<T>(result: io::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => panic!("a copy of a folder: {e}"),
    }
}
