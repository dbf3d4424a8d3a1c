//! VNF indicators as they were read last.
//!
//! Owns the record of what a VNF tells of itself. Never: how it is read (`ops::indicate`), what a reading looks like on
//! the wire.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    id::{ProjectId, VnfId},
    time::Stamp,
};

/// All indicators that the descriptor of an instantiated VNF declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnfIndicators {
    pub vnf: VnfId,
    pub project: ProjectId,
    /// In the descriptor's order.
    pub all: Vec<Reading>,
    pub changed: Stamp,
    pub revision: u64,
    /// Somebody wanted to be told of indicators when it was read: else it is no event, which others would wait behind.
    pub listened: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    pub id: SmolStr,
    /// What each guest that could be read says, by its name; none: the indicator has no value.
    pub values: Vec<(SmolStr, String)>,
    /// Why there is no value.
    pub why: Vec<String>,
}

impl VnfIndicators {
    pub fn ids(&self) -> Vec<SmolStr> {
        self.all.iter().map(|r| r.id.clone()).collect()
    }
    pub fn reading(&self, id: &str) -> Option<&Reading> {
        self.all.iter().find(|r| r.id == id)
    }
}

/// What is told of indicators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndicatorNews {
    /// One has another value.
    Value { vnf: VnfId, id: SmolStr, values: Vec<(SmolStr, String)>, revision: u64 },
    /// The VNF has others than it had.
    Supported { vnf: VnfId, ids: Vec<SmolStr>, revision: u64 },
}
