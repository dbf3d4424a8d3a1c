//! Does and undoes the steps of snapshots, and finds copies that nothing names.
//!
//! Owns that guests stand still while their disks are copied, and go on however that ends. Never: what a plan
//! contains.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tracing::{info, warn};

use crate::{
    lcm::port::Outcome,
    model::{
        error::{Fault, Result},
        id::{DiskId, SnapshotId, VnfcId},
        size::Bytes,
        snapshot::VnfSnapshot,
        step::{Captured, PlanStep, Step, VnfStep},
    },
    store::Durability,
    vim::port::{GuestState, Stands, Still},
    vnfm::Vnfm,
};

impl Vnfm {
    /// All copies, of one moment. It occupies its worker for as long as the copying takes: guests stand still
    /// meanwhile, and an answer in between could leave them so.
    pub(in crate::vnfm) fn capture(&self, snapshot: SnapshotId, guests: &[Captured]) -> Result<Outcome> {
        let Some(_stands) = self.take_still(guests) else { return Ok(others_have()) };
        let made = self.copy_still(guests);
        let went_on = self.let_go_on(guests);
        let (still, copied) = match (made, &went_on) {
            (Err(fault), Err(other)) => return Err(fault.with_reasons([format!("and a guest does not go on: {other}")])),
            (made, _) => made?,
        };
        went_on?;
        self.note(snapshot, &still, &copied)?;
        Ok(Outcome::Done)
    }

    fn take_still(&self, guests: &[Captured]) -> Option<Stands> {
        self.still.take(guests.iter().map(|g| g.vnfc))
    }

    /// Copies that are all there are of one moment already. Some of them are not: they are left of an attempt
    /// before, and are made anew with the others.
    fn copy_still(&self, guests: &[Captured]) -> Result<(HashMap<VnfcId, Still>, HashMap<DiskId, Bytes>)> {
        let there: HashSet<DiskId> = self.images.copies()?.into_iter().collect();
        let disks = || guests.iter().flat_map(|g| &g.disks);
        let mut still = HashMap::new();
        let anew = !disks().all(|(_, copy)| there.contains(copy));
        if anew {
            disks().filter(|(_, copy)| there.contains(copy)).try_for_each(|(_, copy)| self.images.remove_copy(*copy))?;
            for g in guests {
                still.insert(g.vnfc, self.hypervisor.pause(g.vnfc)?);
            }
        }
        let copied = disks().map(|(disk, copy)| Ok((*copy, self.images.copy_disk(*disk, *copy)?))).collect::<Result<_>>()?;
        // Somebody else may have let it go on, or started it: a look at the host, an operator. Then they are of no one moment.
        for g in if anew { guests } else { &[] } {
            if self.hypervisor.state(g.vnfc)? == Some(GuestState::Running) {
                disks().try_for_each(|(_, copy)| self.images.remove_copy(*copy))?;
                return Err(Fault::transient(format!("guest {} went on while its disks were copied", g.vnfc)));
            }
        }
        Ok((still, copied))
    }

    /// Each of them, also when one cannot.
    fn let_go_on(&self, guests: &[Captured]) -> Result<()> {
        let mut first = Ok(());
        for g in guests {
            if let Err(fault) = self.hypervisor.resume(g.vnfc) {
                warn!(guest = %g.vnfc, "the guest does not go on after its disks were copied: {fault:?}");
                first = first.and(Err(fault));
            }
        }
        first
    }

    fn note(&self, snapshot: SnapshotId, still: &HashMap<VnfcId, Still>, copied: &HashMap<DiskId, Bytes>) -> Result<()> {
        self.store.write(Durability::Lazy, |tx| {
            let Some(mut record) = tx.get::<VnfSnapshot>(&snapshot)? else { return Ok(()) };
            for g in record.taken.iter_mut().flat_map(|t| &mut t.guests) {
                // After a crash nobody knows any more; what was noted before it counts.
                if let Some(how) = still.get(&g.vnfc) {
                    g.frozen = matches!(how, Still::Frozen | Still::Off);
                }
                for d in &mut g.disks {
                    d.bytes = copied.get(&d.copy).copied().or(d.bytes);
                }
            }
            tx.put(&record)
        })
    }

    pub(in crate::vnfm) fn undo_capture(&self, guests: &[Captured]) -> Result<Outcome> {
        let Some(_stands) = self.take_still(guests) else { return Ok(others_have()) };
        guests.iter().flat_map(|g| &g.disks).try_for_each(|(_, copy)| self.images.remove_copy(*copy))?;
        self.let_go_on(guests)?;
        Ok(Outcome::Done)
    }

    /// The guest was stopped by a step before; a start that came after it in an attempt before a crash is taken back.
    pub(in crate::vnfm) fn revert_disk(&self, vnfc: VnfcId, disk: DiskId, copy: DiskId, kept: DiskId) -> Result<()> {
        self.ensure_off(vnfc)?;
        let there = self.images.copies()?;
        if !there.contains(&copy) {
            return Err(Fault::not_found(format!("disk {disk}: its copy {copy} is not on this host: the snapshot cannot be used")));
        }
        self.images.revert_disk(disk, copy, kept)
    }

    pub(in crate::vnfm) fn undo_revert(&self, vnfc: VnfcId, disk: DiskId, kept: DiskId) -> Result<()> {
        if !self.images.copies()?.contains(&kept) {
            return Ok(());
        }
        self.ensure_off(vnfc)?;
        self.images.take_back_disk(disk, kept)
    }

    pub(in crate::vnfm) fn ensure_off(&self, id: VnfcId) -> Result<()> {
        match self.hypervisor.state(id)? {
            None | Some(GuestState::Off | GuestState::Crashed) => Ok(()),
            Some(GuestState::Running | GuestState::Paused | GuestState::PausedIo | GuestState::Stopping) => self.hypervisor.destroy(id),
        }
    }

    /// Removes copies that neither a snapshot nor an operation under way names; how many. An older store may not
    /// know the newer ones: then none goes.
    pub fn sweep_copies(&self) -> Result<usize> {
        // Files first: what is made meanwhile is named by then.
        let there = self.images.copies()?;
        if there.is_empty() || self.store.is_restored() {
            return Ok(0);
        }
        let mut named = HashSet::new();
        for s in self.store.list::<VnfSnapshot>()? {
            named.extend(s.copies().map(|c| c.copy));
            let Some(op) = s.op else { continue };
            named.extend(self.store.list_under::<PlanStep>(&op)?.into_iter().filter_map(|s| match s.step {
                Step::Vnf(VnfStep::RevertDisk { kept, .. }) => Some(kept),
                Step::Vnf(_) | Step::Ns(_) | Step::Pf(_) => None,
            }));
        }
        let mut removed = 0;
        for copy in there.into_iter().filter(|c| !named.contains(c)) {
            self.images.remove_copy(copy)?;
            removed += 1;
        }
        if removed > 0 {
            info!(removed, "copies of disks that nothing needs any more are removed");
        }
        Ok(removed)
    }
}

/// A backup does not take long for the disks of one VNF.
fn others_have() -> Outcome {
    Outcome::Again { after: Duration::from_secs(1), why: "its guests stand still for a backup".into(), wake: None }
}
