//! PFs that the host's set-up gave VFs and that have none any more, though no guest misses one.
//!
//! Owns which these are. Never: brings VFs back (`reload` does, as for guests that miss theirs), and never finds a PF
//! that an operation or a guest has in hand. A PF that is gone itself is the host plan's to tell.

use std::collections::HashSet;

use super::Vnfm;
use crate::model::{
    error::Result,
    host::{DriverName, Function, HostFacts, HostSetting},
    hw::PciAddr,
    place::{Given, Loss},
    setup::HostRecord,
    vnf::Reservation,
};

impl Vnfm {
    /// PFs whose VFs the host's set-up made, and how many.
    pub(super) fn made_vfs(&self) -> Result<Vec<(PciAddr, u16)>> {
        let record = self.store.get::<HostRecord>(&())?.unwrap_or_default();
        let of = |s: &HostSetting| match s {
            HostSetting::Vfs { pf, count } => Some((*pf, *count)).filter(|(_, n)| *n > 0),
            HostSetting::HugePages { .. } | HostSetting::Governor { .. } | HostSetting::Irq { .. } => None,
        };
        Ok(record.made.iter().filter_map(of).collect())
    }

    pub(super) fn bare(&self, facts: &HostFacts) -> Result<Vec<Loss>> {
        let made = self.made_vfs()?;
        if made.is_empty() {
            return Ok(Vec::new());
        }
        let pf_of = |g: &Given| match g {
            Given::Vf { want, .. } => want.pf,
            Given::Whole { device, .. } => *device,
        };
        let mut in_hand: HashSet<PciAddr> = self.at_pfs()?.into_keys().collect();
        in_hand.extend(self.store.list::<Reservation>()?.iter().flat_map(|r| &r.placed).flat_map(|h| &h.given).map(pf_of));
        Ok(made.into_iter().filter(|(pf, _)| !in_hand.contains(pf)).filter_map(|(pf, count)| bare(facts, pf, count)).collect())
    }
}

/// Another number than was made is somebody's decision, and may be in use; none at all is a loss.
fn bare(facts: &HostFacts, pf: PciAddr, count: u16) -> Option<Loss> {
    let device = facts.device(pf)?;
    let Function::Pf(of) = &device.function else { return None };
    let with_somebody = device.driver.as_ref() == Some(&DriverName::VFIO);
    let why = format!("none of the {count} VFs of the host's set-up is there; no guest has one");
    (of.vfs.is_empty() && !with_somebody).then(|| Loss { pf, guests: Vec::new(), why: vec![why] })
}
