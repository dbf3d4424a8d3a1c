//! Large pages that somebody took who is no guest of Bothy's. Pure.
//!
//! Owns the sum and its sentence. Never: whose they are (the kernel does not tell).

use super::place::usage::Usage;
use crate::model::{
    host::{HostFacts, NodeId},
    hw::PageSize,
};

/// Pages of one node that somebody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    pub node: u16,
    pub size: PageSize,
    pub pages: u64,
}

impl Taken {
    pub fn text(&self) -> String {
        format!("node {}: {} pages of {} are in use that no guest of Bothy's holds", self.node, self.pages, self.size)
    }
}

/// Pages in use beyond what guests hold and the host keeps for itself. A guest that is off uses none of what it
/// holds, so this is the least of it, and never too much.
pub fn taken_pages(facts: &HostFacts, usage: &Usage) -> Vec<Taken> {
    let mut out = Vec::new();
    for n in &usage.nodes {
        for p in n.pages.iter().filter(|p| p.size != PageSize::Small) {
            let Some(now) = facts.node(NodeId(n.node)).and_then(|f| f.pages(p.size)) else { continue };
            let ours = p.held.saturating_add(p.reserved);
            let pages = now.total.saturating_sub(now.free).saturating_sub(ours);
            if pages > 0 {
                out.push(Taken { node: n.node, size: p.size, pages });
            }
        }
    }
    out
}
