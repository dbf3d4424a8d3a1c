//! CPU time that is promised: MHz of a wish as thousandths of a CPU, by the clock of the host's CPUs.
//!
//! Owns what a promise takes of a node, and the refusal of one that no node could hold. Time is promised of
//! the CPUs that guests float over, so that all promises on a node can be kept at once; a guest that has
//! CPUs for itself has all their time, and takes nothing from these. Never: on which node a guest is.

use super::ask::GuestAsk;
use crate::model::place::Placement;

/// Thousandths of a CPU promised to all of the guest's vCPUs; or why none can be. `mhz`: the host's clock.
pub(super) fn promised(a: &GuestAsk, mhz: Option<u32>) -> Result<u32, String> {
    if a.reserve_mhz == 0 {
        return Ok(0);
    }
    let Some(clock) = mhz.filter(|m| *m > 0) else {
        return Err(format!(
            "{}: {} MHz are to be reserved, and this host does not tell the clock of its CPUs (`bothy host facts`)",
            a.name, a.reserve_mhz
        ));
    };
    let vcpus = a.vcpus() as u64;
    let most = u64::from(clock) * vcpus;
    if u64::from(a.reserve_mhz) > most {
        return Err(format!(
            "{}: {} MHz are to be reserved, and {vcpus} vCPUs have {most} MHz at most on this host's CPUs of {clock} MHz",
            a.name, a.reserve_mhz
        ));
    }
    if !a.floats() {
        return Ok(0);
    }
    Ok(u32::try_from((u64::from(a.reserve_mhz) * 1000).div_ceil(u64::from(clock))).unwrap_or(u32::MAX))
}

/// What of a promise to `of` vCPUs is for so many of them.
pub(super) fn share(mcpu: u32, vcpus: usize, of: usize) -> u64 {
    (u64::from(mcpu) * vcpus as u64).div_ceil(of.max(1) as u64)
}

/// What a guest that has its place takes of a node's time.
pub(super) fn on_node(at: &Placement, node: u16) -> u64 {
    let of = at.cells.iter().map(|c| c.vcpus.len()).sum();
    at.cells.iter().filter(|c| c.node == node).map(|c| share(at.reserve_mcpu, c.vcpus.len(), of)).sum()
}

/// In MHz of a clock, rounded down.
pub(super) fn in_mhz(mcpu: u64, clock: u32) -> u64 {
    mcpu * u64::from(clock) / 1000
}
