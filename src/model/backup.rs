//! Backups: how much one holds, and what it says of itself.
//!
//! Owns the levels and the manifest. Never: files, and how one is written.

use std::{fmt, str::FromStr};

use smol_str::SmolStr;

use super::{
    error::{Fault, Result},
    time::Stamp,
};

/// Each holds what the one before holds, and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// What somebody has told the box, and who it is.
    Configuration,
    /// And packages with their images, services and VNFs as records.
    Records,
    /// And what is on guests' disks.
    Disks,
}

impl Level {
    pub const ALL: [Level; 3] = [Level::Configuration, Level::Records, Level::Disks];

    pub fn name(self) -> &'static str {
        match self {
            Level::Configuration => "configuration",
            Level::Records => "records",
            Level::Disks => "disks",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = Fault;
    fn from_str(s: &str) -> Result<Self> {
        Level::ALL
            .into_iter()
            .find(|l| l.name() == s)
            .ok_or_else(|| Fault::invalid(format!("'{s}' is no level of a backup: there are {}", Level::ALL.map(Level::name).join(", "))))
    }
}

/// A port or a card of a box, as far as another box may have one in its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nic {
    pub name: SmolStr,
    /// Empty: it has none, or it could not be read.
    pub mac: SmolStr,
    /// Vendor and device of its card, `8086:1592`. Empty: not known.
    pub model: SmolStr,
    /// Functions that it can give; 0: it is no PF.
    pub total_vfs: u16,
}

/// What a box is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BoxFacts {
    pub host: SmolStr,
    pub cpus: u32,
    pub nodes: u32,
    pub memory_mib: u64,
    pub nics: Vec<Nic>,
}

/// The first entry of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The release of bothy that made it.
    pub release: SmolStr,
    /// How records of this release are stored: one that does not know one of these numbers cannot read it.
    pub records: SmolStr,
    pub level: Level,
    pub made: Stamp,
    pub by: SmolStr,
    /// The store it is of, and its generation.
    pub generation: u64,
    /// SHA-256 of the box's certificate.
    pub fingerprint: SmolStr,
    /// Disks name their images by this folder.
    pub data_dir: SmolStr,
    pub of: BoxFacts,
    /// Guests whose disks were copied while they ran and could not be frozen.
    pub not_frozen: Vec<SmolStr>,
}
