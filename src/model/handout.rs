//! A signed document that lies at a hub, for a box or a group of boxes, as a record.
//!
//! Owns the shape. Never: what is in the document, which a hub does not open.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::time::Stamp;

/// For whom a document is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Whom {
    /// By its serial number.
    Box(SmolStr),
    /// Every box of the group that has none of its own.
    Group(SmolStr),
}

/// Boxes whose enrolment names no group, and all others for which there is nothing nearer.
pub const DEFAULT: &str = "default";

impl Whom {
    pub fn name(&self) -> &SmolStr {
        match self {
            Whom::Box(n) | Whom::Group(n) => n,
        }
    }
    pub fn key(&self) -> (u8, SmolStr) {
        match self {
            Whom::Box(n) => (0, n.clone()),
            Whom::Group(n) => (1, n.clone()),
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whom::Box(n) => write!(f, "box '{n}'"),
            Whom::Group(n) => write!(f, "group '{n}'"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handout {
    pub whom: Whom,
    /// SHA-256 of the content.
    pub digest: [u8; 32],
    pub put: Stamp,
    /// Who has put it there.
    pub by: SmolStr,
    /// The document in its signature, as it was put there.
    pub content: Vec<u8>,
}
