//! The bridge's ports by their names and numbers.
//!
//! Owns: which of them were made, and how flows call them. Never: what they shall be.

use std::collections::HashMap;

use super::{
    fabric::BRIDGE,
    rows::{Mirror, Port},
};

/// All ports of the switch by name.
pub fn names(m: &Mirror) -> HashMap<&str, &Port> {
    m.ports.values().map(|p| (p.name.as_str(), p)).collect()
}

/// A port of the bridge that was made.
pub struct Numbered {
    pub number: u16,
    /// Its link is not known to be down.
    pub up: bool,
}

/// The bridge's ports that were made, with their numbers.
pub fn numbers(m: &Mirror) -> HashMap<String, Numbered> {
    let Some((_, row)) = m.bridge(BRIDGE) else { return HashMap::new() };
    let number = |p: &Port| {
        let (_, i) = m.interface_of(p)?;
        let number = i.ofport.and_then(|n| u16::try_from(n).ok())?;
        Some((p.name.clone(), Numbered { number, up: i.link_up != Some(false) }))
    };
    row.ports.iter().filter_map(|id| m.ports.get(id)).filter_map(number).collect()
}
