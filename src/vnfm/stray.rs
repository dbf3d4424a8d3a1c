//! What is on the host and in no record: what this store made goes, what another one made is left alone until an
//! operator has looked.
//!
//! ```text
//! guest of this generation, of an operation known here   a late effect of a killed call: removed
//! any other guest; all of them in a restored store       quarantined: shown, removed only on request
//! links and files without a record                       removed, but while any guest is quarantined; no new link
//!                                                        gets their VLAN or network meanwhile
//! ```
//! Owns whose a thing is. A quarantined guest cannot become a VNF's again: its record, with addresses, disks and
//! descriptor, is gone. Never: guests that a record names.

use std::{collections::HashSet, sync::PoisonError};

use tracing::{info, warn};

use super::{Vnfm, revive::Findings};
use crate::{
    model::{
        error::{Fault, Result},
        id::{DiskId, IfKind, IfName, OpId, SegmentId, VnfcId},
        op::Operation,
        segment::Segment,
        vnf::VnfInstance,
    },
    vim::{network::Taken, port::FoundGuest},
};

/// What no record names.
#[derive(Debug, Default, Clone)]
pub struct Strays {
    /// This store made them: they go.
    pub ours: Vec<FoundGuest>,
    /// Another one did, as far as can be told: they stay.
    pub unknown: Vec<FoundGuest>,
    /// Nothing, while any guest is unknown: they may be its.
    pub ports: Vec<IfName>,
    pub dhcp: Vec<SegmentId>,
    pub disks: Vec<DiskId>,
    pub media: Vec<VnfcId>,
}

impl Vnfm {
    /// Guests on this host that no record names.
    pub fn strays(&self) -> Result<Strays> {
        self.strays_of(&self.hypervisor.list()?, self.store.is_restored())
    }

    /// What will be removed when the store no longer counts as restored.
    pub fn strays_once_acknowledged(&self) -> Result<Strays> {
        self.strays_of(&self.hypervisor.list()?, false)
    }

    /// An operator has looked at what a restored store does not know. Returns what is removed from now on.
    pub fn acknowledge_restore(&self) -> Result<Strays> {
        let strays = self.strays_once_acknowledged()?;
        self.store.acknowledge_restore()?;
        info!(guests = strays.ours.len(), left = strays.unknown.len(), "the restored store is acknowledged");
        Ok(strays)
    }

    /// Removes a guest that no record names, with its medium and log. Its disks and ports are found by the look at
    /// the host that finds no unknown guest any more.
    pub fn remove_stray(&self, id: VnfcId) -> Result<()> {
        let found = self.stray(id)?;
        warn!(guest = %id, vnf = %found.owner.vnf, generation = found.owner.generation, "an unknown guest is removed on request");
        self.hypervisor.remove(id)?;
        self.images.remove_medium(id)?;
        self.images.remove_serial_log(id)
    }

    /// A guest that no record names; one that a record names is reached by its VNF.
    pub fn stray(&self, id: VnfcId) -> Result<FoundGuest> {
        let found = self.hypervisor.list()?.into_iter().find(|g| g.id == id);
        let found = found.ok_or_else(|| Fault::not_found(format!("there is no guest {id} of Bothy's on this host")))?;
        let of = |v: &VnfInstance| v.body.as_ref().is_some_and(|b| b.vnfc(id).is_some());
        if let Some(v) = self.store.list::<VnfInstance>()?.into_iter().find(of) {
            return Err(Fault::conflict(format!("guest {id} is of VNF instance {} ({}): it goes with that", v.id, v.name)));
        }
        Ok(found)
    }

    /// VLANs and networks that a new link must not get: those of the records; and while there are guests that
    /// no record names, or may be, all that is on the switch and the host, since one of them may be on it.
    pub fn taken(&self, segments: &[Segment]) -> Result<Taken> {
        let mut taken = Taken::of(segments);
        let seen = *self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the first look only a store that was restored once has reason to expect any.
        if self.store.is_restored() || seen.unwrap_or(self.store.generation() > 1) {
            taken.vlans.extend(self.links.fabric().ports()?.into_iter().filter_map(|p| p.vlan));
            taken.host_networks.extend(self.links.host().link_addresses()?.into_iter().map(|(_, a)| a.network()));
        }
        Ok(taken)
    }

    /// What is on the host is listed before the records are read: what was accepted meanwhile is known then.
    fn strays_of(&self, guests: &[FoundGuest], restored: bool) -> Result<Strays> {
        let disks = self.images.disks()?;
        let media = self.images.media()?;
        let ports = self.links.fabric().ports()?;
        let dhcp = self.links.host().list_dhcp()?;

        let mut strays = Strays::default();
        let vnfs = self.store.list::<VnfInstance>()?;
        let bodies: Vec<_> = vnfs.iter().filter_map(|v| v.body.as_ref()).flat_map(|b| &b.vnfcs).collect();
        let known: HashSet<VnfcId> = bodies.iter().map(|c| c.id).collect();
        let generation = self.store.generation();
        for g in guests.iter().filter(|g| !known.contains(&g.id)) {
            let ours = g.owner.generation == generation && !restored && self.op_was_ours(g.owner.op)?;
            let pile = if ours { &mut strays.ours } else { &mut strays.unknown };
            pile.push(g.clone());
        }
        // Links and files carry no owner: while there are guests nobody knows, they may be theirs.
        if restored || !strays.unknown.is_empty() {
            return Ok(strays);
        }
        let segments: HashSet<SegmentId> = self.store.list::<Segment>()?.iter().map(|s| s.id).collect();
        let nics: HashSet<&IfName> = bodies.iter().flat_map(|c| &c.ports).map(|p| &p.ifname).collect();
        let of_nobody = |p: &crate::sdn::port::FoundPort| {
            let of_no_link = p.segment.is_some_and(|s| !segments.contains(&s));
            of_no_link || IfKind::of(&p.name) == Some(IfKind::Guest) && !nics.contains(&p.name)
        };
        strays.ports = ports.into_iter().filter(of_nobody).map(|p| p.name).collect();
        strays.dhcp = dhcp.into_iter().filter(|s| !segments.contains(s)).collect();
        let named: HashSet<DiskId> = bodies.iter().flat_map(|c| &c.disks).map(|d| d.id).collect();
        strays.disks = disks.into_iter().filter(|d| !named.contains(d)).collect();
        strays.media = media.into_iter().filter(|m| !known.contains(m)).collect();
        Ok(strays)
    }

    /// Removes what this store made and no record names any more: the late effect of a call whose
    /// caller was killed. Anything else that carries our marks is left alone and reported.
    pub(super) fn sweep(&self, guests: &[FoundGuest], found: &mut Findings) -> Result<()> {
        let strays = self.strays_of(guests, self.store.is_restored())?;
        for g in &strays.ours {
            warn!(guest = %g.id, vnf = %g.owner.vnf, "removing a guest that no record names any more");
            self.hypervisor.remove(g.id)?;
            found.orphans.push(g.id);
        }
        for g in &strays.unknown {
            warn!(guest = %g.id, vnf = %g.owner.vnf, generation = g.owner.generation, "a guest that this store does not know is left alone");
            found.quarantined.push(g.id);
        }
        *self.strangers.lock().unwrap_or_else(PoisonError::into_inner) = Some(!strays.unknown.is_empty());
        strays.ports.iter().try_for_each(|p| self.links.fabric().remove_port(p))?;
        strays.dhcp.iter().try_for_each(|s| self.links.host().remove_dhcp(*s))?;
        for d in strays.disks {
            self.images.remove_disk(d)?;
            found.files_removed += 1;
        }
        found.files_removed += self.sweep_copies()?;
        for m in strays.media {
            self.images.remove_medium(m)?;
            found.files_removed += 1;
        }
        Ok(())
    }

    /// An operation of this store made it: then a missing record means it was ended.
    fn op_was_ours(&self, op: OpId) -> Result<bool> {
        Ok(self.store.get::<Operation>(&op)?.is_some() || self.store.get_history::<Operation>(&op)?.is_some())
    }
}
