//! The reserve of the store's file system, kept as a file that takes its room.
//!
//! Where more disk is promised than there is, guests may fill the file system to its last byte, and
//! then the store cannot write either. So the reserve is really taken, by a file without content;
//! when the file system is full it is given up in pieces, small ones, for guests that still run eat
//! of them too until their next write pauses them. It is taken back when there is room again.
//!
//! Owns that file. Never: decides how large the reserve is, or which guest goes on.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
};

use camino::{Utf8Path, Utf8PathBuf};
use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, fallocate},
    sys::statvfs::statvfs,
};

use super::durable::io_fault;
use crate::model::{domain::Layout, error::Result};

/// Given up at once.
const PIECE: u64 = 4 << 20;
/// With less than this free, the file system counts as full: the store takes room by half MiB.
const FULL: u64 = 2 << 20;
/// Left free beside what is taken (back), so that taking does not make the file system full.
const BESIDE: u64 = 64 << 20;

pub struct Ballast {
    file: Utf8PathBuf,
}

impl Ballast {
    pub fn new(layout: &Layout) -> Self {
        Ballast { file: layout.ballast() }
    }

    /// What it takes of the file system.
    pub fn held(&self) -> u64 {
        fs::symlink_metadata(&self.file).map_or(0, |m| m.blocks() * 512)
    }

    fn free(&self) -> Result<u64> {
        let folder = self.file.parent().unwrap_or(Utf8Path::new("/"));
        let stat = statvfs(folder.as_std_path()).map_err(|e| io_fault("asking for the room of", folder, e.into()))?;
        Ok((stat.blocks_available() as u64).saturating_mul(stat.fragment_size() as u64))
    }

    /// Towards `want`: up as far as there is room, down by a piece when there is none.
    pub fn hold(&self, want: u64) -> Result<()> {
        let (held, free) = (self.held(), self.free()?);
        let next = next(want, held, free);
        if next == held {
            return Ok(());
        }
        if next < held && held <= want {
            tracing::warn!(left = next >> 20, "the file system of the store is full: a piece of its reserve is given up");
        }
        self.set(held, next)
    }

    /// Before the store is opened: room for its first writes, where a full disk ended the last daemon.
    pub fn relieve(&self) -> Result<()> {
        let held = self.held();
        if held > 0 && self.free()? < FULL { self.set(held, held.saturating_sub(PIECE)) } else { Ok(()) }
    }

    fn set(&self, held: u64, to: u64) -> Result<()> {
        if to == 0 {
            return super::durable::remove(&self.file);
        }
        let failed = |e: std::io::Error| io_fault("keeping the reserve in", &self.file, e);
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.file).map_err(failed)?;
        if to < held {
            return open.set_len(to).map_err(failed);
        }
        match fallocate(&open, FallocateFlags::empty(), 0, to as i64) {
            Ok(()) => Ok(()),
            // Somebody was faster: what is there of it is held.
            Err(Errno::ENOSPC) => Ok(()),
            Err(e) => Err(failed(e.into())),
        }
    }
}

/// What shall be held next. Pure.
fn next(want: u64, held: u64, free: u64) -> u64 {
    if held > want {
        return want;
    }
    if free < FULL {
        return held.saturating_sub(PIECE);
    }
    let more = (want - held).min(free.saturating_sub(BESIDE));
    // Not for crumbs: they would be given up and taken back for ever.
    if more >= PIECE || (more > 0 && held + more == want) { held + more } else { held }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn it_grows_beside_enough_room_and_shrinks_by_a_piece_when_there_is_none() {
        for (what, want, held, free, then) in [
            ("there is room", 100, 0, 1000, 100),
            ("there is room for some of it", 100, 0, 100, 36),
            ("what is left beside is too little", 100, 30, 66, 30),
            ("the last crumb completes it", 100, 99, 200, 100),
            ("whole", 100, 100, 1000, 100),
            ("full", 100, 100, 1, 96),
            ("full, and little is left of it", 100, 3, 0, 0),
            ("full, and nothing is left of it", 100, 0, 0, 0),
            ("a piece was given and not eaten yet", 100, 96, 5, 96),
            ("the reserve was made smaller", 20, 100, 0, 20),
            ("no reserve is wanted", 0, 100, 0, 0),
        ] {
            assert_eq!(next(want * MIB, held * MIB, free * MIB), then * MIB, "{what}");
        }
    }

    #[test]
    fn what_is_held_is_really_taken_from_the_file_system_and_given_back() {
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir");
        let ballast = Ballast::new(&Layout::new(Utf8Path::from_path(dir.path()).expect("utf-8")));
        if ballast.free().expect("asked") < 4 * BESIDE {
            eprintln!("SKIP: needs 256 MiB of free disk");
            return;
        }
        ballast.hold(8 * MIB).expect("held");
        assert!((8 * MIB..9 * MIB).contains(&ballast.held()), "{}", ballast.held());
        ballast.relieve().expect("nothing to relieve");
        ballast.hold(5 * MIB).expect("smaller");
        assert!((5 * MIB..6 * MIB).contains(&ballast.held()), "{}", ballast.held());
        ballast.hold(0).expect("none");
        assert_eq!((ballast.held(), ballast.file.exists()), (0, false));
    }
}
