//! The manifest: which folders are the store, and its generation.
//!
//! Owns the small file `manifest`, replaced whole by temp, fsync, rename, fsync of the folder. That rename is the one
//! moment at which a compaction or an import happens. A boot on trial has one of its own, `manifest.trial`, which takes
//! the other's name when the trial is kept. Never: looks into a database.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use super::{
    database::{io_fault, lock},
    disk::Disk,
};
use crate::model::error::{Fault, Result};

/// The two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Live,
    History,
}

impl Which {
    pub const ALL: [Which; 2] = [Which::Live, Which::History];
    pub fn name(self) -> &'static str {
        match self {
            Which::Live => "live",
            Which::History => "history",
        }
    }
}

/// What the manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    /// Grows with each restore: guests that carry a newer one than the store are never removed.
    pub generation: u64,
    /// Set by a restore until an operator says that unknown objects were looked at.
    pub restored: bool,
    pub live: u64,
    pub history: u64,
}

const FIRST_LINE: &str = "bothy store 1";

impl Manifest {
    pub fn number(&self, which: Which) -> u64 {
        match which {
            Which::Live => self.live,
            Which::History => self.history,
        }
    }
    pub fn set_number(&mut self, which: Which, n: u64) {
        match which {
            Which::Live => self.live = n,
            Which::History => self.history = n,
        }
    }
    fn render(&self) -> String {
        format!(
            "{FIRST_LINE}\ngeneration {}\nrestored {}\nlive {}\nhistory {}\n",
            self.generation,
            u8::from(self.restored),
            self.live,
            self.history
        )
    }
    fn parse(text: &str) -> Option<Manifest> {
        let mut lines = text.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok();
        let found = Manifest {
            generation: field("generation")?,
            restored: field("restored")? != 0,
            live: field("live")?,
            history: field("history")?,
        };
        lines.next().is_none().then_some(found)
    }
}

/// Where a replacement of the manifest failed.
pub(super) enum Failed {
    /// The old one stands.
    Before(Fault),
    /// Nobody can say which one a power cut would leave.
    After(Fault),
}
impl Failed {
    pub fn fault(self) -> Fault {
        match self {
            Failed::Before(f) | Failed::After(f) => f,
        }
    }
}

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Real,
    Trial,
}

impl Name {
    pub fn in_dir(self, dir: &Path) -> PathBuf {
        dir.join(match self {
            Name::Real => "manifest",
            Name::Trial => "manifest.trial",
        })
    }
}

/// The manifest in its file.
pub(super) struct ManifestFile {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    state: Mutex<(Manifest, Name)>,
}

impl ManifestFile {
    /// `None` if the folder has no manifest yet.
    pub fn read(dir: &Path, disk: &Arc<dyn Disk>) -> Result<Option<ManifestFile>> {
        ManifestFile::read_of(dir, disk, Name::Real)
    }

    pub fn read_of(dir: &Path, disk: &Arc<dyn Disk>, name: Name) -> Result<Option<ManifestFile>> {
        let path = name.in_dir(dir);
        let text = match fs::read_to_string(&path) {
            Ok(t) => t,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io_fault("read", &path, e)),
        };
        let Some(state) = Manifest::parse(&text) else {
            return Err(Fault::bug(format!(
                "{} cannot be understood: a newer bothy wrote it, or it was edited. Install that release, or move the file away (the databases beside it are then adopted as a restored store)",
                path.display()
            )));
        };
        Ok(Some(ManifestFile { dir: dir.to_owned(), disk: disk.clone(), state: Mutex::new((state, name)) }))
    }

    pub fn create(dir: &Path, disk: &Arc<dyn Disk>, first: Manifest) -> Result<ManifestFile> {
        ManifestFile::create_of(dir, disk, first, Name::Real)
    }

    pub fn create_of(dir: &Path, disk: &Arc<dyn Disk>, first: Manifest, name: Name) -> Result<ManifestFile> {
        let file = ManifestFile { dir: dir.to_owned(), disk: disk.clone(), state: Mutex::new((first, name)) };
        file.replace(|_| ()).map_err(Failed::fault)?;
        Ok(file)
    }

    pub fn get(&self) -> Manifest {
        lock(&self.state).0.clone()
    }

    pub fn name(&self) -> Name {
        lock(&self.state).1
    }

    /// The trial's file takes the name of the real one; nothing where it has it. The folders that were the store before
    /// are in no manifest from then on.
    pub fn keep(&self) -> Result<()> {
        let mut state = lock(&self.state);
        let [from, to] = [Name::Trial, Name::Real].map(|n| n.in_dir(&self.dir));
        if state.1 == Name::Trial {
            fs::rename(&from, &to).map_err(|e| io_fault("rename", &from, e))?;
            state.1 = Name::Real;
        }
        self.disk.sync_dir(&self.dir).map_err(|e| io_fault("sync", &self.dir, e))
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of a database by its number.
    pub fn folder(&self, which: Which, number: u64) -> PathBuf {
        self.dir.join(format!("{}-{number}", which.name()))
    }

    pub fn current(&self, which: Which) -> PathBuf {
        self.folder(which, self.get().number(which))
    }

    /// A number that no folder has, past the current one.
    pub fn next_number(&self, which: Which) -> u64 {
        let mut n = self.get().number(which) + 1;
        while self.folder(which, n).exists() {
            n += 1;
        }
        n
    }

    /// Writes the changed manifest; it stands when this returns Ok.
    pub fn replace(&self, change: impl FnOnce(&mut Manifest)) -> std::result::Result<(), Failed> {
        let mut state = lock(&self.state);
        let mut new = state.0.clone();
        change(&mut new);
        let (temp, path) = (self.dir.join("manifest.tmp"), state.1.in_dir(&self.dir));
        let before = |e| Failed::Before(io_fault("write", &temp, e));
        fs::write(&temp, new.render()).map_err(before)?;
        self.disk.sync_file(&temp).map_err(before)?;
        fs::rename(&temp, &path).map_err(before)?;
        state.0 = new;
        self.disk.sync_dir(&self.dir).map_err(|e| Failed::After(io_fault("sync", &self.dir, e)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_anything_else_is_refused() {
        let m = Manifest { generation: 7, restored: true, live: 3, history: 12 };
        assert_eq!(Manifest::parse(&m.render()), Some(m.clone()));
        for bad in ["", "bothy store 2\n", &m.render().replace("live 3", "live x"), &(m.render() + "more 1\n"), &m.render()[..30]] {
            assert_eq!(Manifest::parse(bad), None, "{bad:?}");
        }
    }
}
