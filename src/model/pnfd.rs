//! PNF descriptors (IFA014 6.6, SOL001 clause 8): what a physical box says of itself.
//!
//! Owns identity, place and external connection points. Never: files, wire shapes, or the box.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pnfd {
    /// `pnfdId`: chosen by the author, names this version.
    pub id: SmolStr,
    pub invariant_id: SmolStr,
    pub name: SmolStr,
    pub provider: SmolStr,
    pub version: SmolStr,
    pub function: SmolStr,
    pub location: Option<Location>,
    /// In the descriptor's order.
    pub ext_cps: Vec<PnfExtCp>,
}

/// Where the box stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// Two letters of ISO 3166.
    pub country: SmolStr,
    /// Type and value of each element (RFC 4776).
    pub address: Vec<(SmolStr, SmolStr)>,
    pub coordinates: Option<Coordinates>,
}

/// As the descriptor writes them (RFC 6225).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coordinates {
    pub latitude: SmolStr,
    pub longitude: SmolStr,
    pub altitude: SmolStr,
}

/// A plug of the box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PnfExtCp {
    pub id: SmolStr,
    pub description: SmolStr,
    pub protocols: Vec<SmolStr>,
    pub role: Option<SmolStr>,
    /// The requirement by which the outside calls it, where its descriptor maps one.
    pub requirement: Option<SmolStr>,
}

impl Pnfd {
    /// The connection point that a service means by this name: its own, or that of its requirement.
    pub fn ext_cp(&self, name: &str) -> Option<&PnfExtCp> {
        let by_requirement = || self.ext_cps.iter().find(|c| c.requirement.as_deref() == Some(name));
        self.ext_cps.iter().find(|c| c.id == name).or_else(by_requirement)
    }
}
