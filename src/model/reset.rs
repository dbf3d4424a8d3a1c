//! Factory resets: how deep one goes, and what is remembered of it.
//!
//! Owns the three depths. Never: files, records, and how a thing is taken away.

use std::{fmt, str::FromStr};

use smol_str::SmolStr;

use super::{
    error::{Fault, Result},
    time::Stamp,
};

/// Each takes what the one before takes, and more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Depth {
    /// Services, VNFs and all that they have made.
    Services,
    /// And whatever somebody has told the box: accounts, secrets, its network, its set-up.
    Configuration,
    /// And the catalogue, logs, keys: the box as it was flashed.
    Everything,
}

impl Depth {
    pub const ALL: [Depth; 3] = [Depth::Services, Depth::Configuration, Depth::Everything];

    pub fn name(self) -> &'static str {
        match self {
            Depth::Services => "services",
            Depth::Configuration => "configuration",
            Depth::Everything => "everything",
        }
    }
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Depth {
    type Err = Fault;
    fn from_str(s: &str) -> Result<Self> {
        Depth::ALL
            .into_iter()
            .find(|d| d.name() == s)
            .ok_or_else(|| Fault::invalid(format!("'{s}' is no depth of a reset: there are {}", Depth::ALL.map(Depth::name).join(", "))))
    }
}

/// A reset that has been asked for, and is to be seen through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    pub depth: Depth,
    pub by: SmolStr,
    pub at: Stamp,
    /// Starts that have tried it.
    pub tries: u32,
}

/// One that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetDone {
    pub depth: Depth,
    pub by: SmolStr,
    pub at: Stamp,
    /// What could not be taken back, and why.
    pub left: Vec<String>,
}
