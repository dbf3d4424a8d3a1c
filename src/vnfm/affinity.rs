//! Groups of guests, from a flavour's rules to placement's.
//!
//! Owns which groups a guest is of, by names that no other VNF's groups have, and the refusal of guests
//! that would need another host. Never: which node a guest is on.

use smol_str::{SmolStr, format_smolstr};

use crate::model::{
    error::{Fault, Result},
    id::VnfId,
    vnfd::{Apartness, Flavour},
};

/// The groups of a guest, as `vim::place` takes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Company {
    pub together: Vec<SmolStr>,
    pub apart: Vec<SmolStr>,
}

impl Company {
    /// Nobody's, as far as NUMA nodes go.
    pub fn is_none(&self) -> bool {
        self.together.is_empty() && self.apart.is_empty()
    }
}

pub fn company(flavour: &Flavour, vnf: VnfId, vdu: &str) -> Company {
    let mut out = Company::default();
    for g in flavour.groups.iter().filter(|g| g.vdus.iter().any(|v| v == vdu)) {
        let name = format_smolstr!("{} of VNF {vnf}", g.id);
        match g.kind {
            Apartness::SameNode => out.together.push(name),
            Apartness::OtherNode => out.apart.push(name),
            // Counted before anything is placed: `one_host`.
            Apartness::OtherHost => {}
        }
    }
    out
}

/// Refuses more than one guest of a group whose guests are on hosts of their own. `count`: guests of a VDU.
pub fn one_host(flavour: &Flavour, count: impl Fn(&str) -> u32) -> Result<()> {
    let mut reasons = Vec::new();
    for g in flavour.groups.iter().filter(|g| g.kind == Apartness::OtherHost) {
        let all: u32 = g.vdus.iter().map(|v| count(v)).fold(0, u32::saturating_add);
        if all > 1 {
            reasons.push(format!(
                "rule {}: {all} guests of {} are to be on hosts of their own, and this box is one host: 1 would do, or the \
                 descriptor's bothy.scope: numa_node has them on different NUMA nodes",
                g.id,
                g.vdus.join(", ")
            ));
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(Fault::capacity("anti-affinity cannot be kept on one box").with_reasons(reasons)) }
}
