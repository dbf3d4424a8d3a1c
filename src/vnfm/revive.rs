//! What a start of bothy or a new connection to libvirt finds: guests that should run and do not,
//! and guests that no record knows.
//!
//! Networks come first, then guests by the priority of their VNF, so many at once. A stopped VNF
//! stays stopped. Guests of a newer or unknown store generation are quarantined: reported, never
//! removed. Never: guests under an operation; that operation brings them where they belong.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tracing::{info, warn};

use super::Vnfm;
use crate::{
    model::{
        error::Result,
        host::HostFacts,
        id::{DiskId, IfKind, IfName, OpId, SegmentId, VnfId, VnfcId},
        op::Operation,
        place::{Given, Held, Missed},
        segment::{Segment, SegmentState},
        vnf::{Reservation, RunState, VnfInstance},
    },
    vim::{
        place::usage::{Usage, drift, usage, vf_drift},
        port::{FoundGuest, GuestState},
    },
};

/// What a look at the host found and did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Findings {
    pub started: usize,
    pub running: usize,
    /// Paused by a full disk; counted as running.
    pub paused: Vec<VnfcId>,
    /// Went off by themselves, long after the start.
    pub off: Vec<VnfcId>,
    /// Guests that could not be started, with the reason.
    pub failed: Vec<(VnfcId, String)>,
    /// Removed: made by this store, named by no record any more.
    pub orphans: Vec<VnfcId>,
    /// Left alone: a newer store or another one made them.
    pub quarantined: Vec<VnfcId>,
    pub files_removed: usize,
    /// What was given to guests and is not as it was given, or is not there.
    pub drift: Vec<String>,
    /// What guests miss of the functions that they were given, and what is done about it; `None`: the hardware could
    /// not be looked at.
    pub lost: Option<Vec<Missed>>,
}

/// What becomes of guests that should run and are off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Start,
    Leave,
}

impl Vnfm {
    /// Brings links and guests to what the records say.
    pub fn reconcile(&self) -> Result<Findings> {
        self.look(Missing::Start)
    }

    /// As `reconcile`; long after a start a guest that is off has gone off by itself, and stays so.
    pub fn look(&self, missing: Missing) -> Result<Findings> {
        let mut found = Findings::default();
        let datapath = self.links.fabric().ensure_ready()?;
        self.hypervisor.set_datapath(datapath);
        if let Err(fault) = self.links.keep_chains() {
            warn!("a chain is not as it should be: {fault:?}");
        }
        let segments = self.store.list::<Segment>()?;
        for s in &segments {
            if s.state == SegmentState::Wanted
                && let Err(fault) = self.links.keep(s.id)
            {
                warn!(segment = %s.id, "a link is not as it should be: {fault:?}");
            }
        }
        self.links.project()?;
        // Remembered: a request can then be judged while libvirt is away.
        let facts = self.facts();
        self.supply()?;
        let guests = self.hypervisor.list()?;
        let vnfs = self.store.list::<VnfInstance>()?;
        match facts {
            Ok(facts) => {
                found.drift = self.drift(&facts, &vnfs)?;
                found.lost = Some(self.restore_lost(&facts)?);
            }
            Err(fault) => warn!("the hardware cannot be looked at: {fault:?}"),
        }
        self.start_missing(&vnfs, &guests, missing, &mut found);
        self.sweep(&guests, &mut found)?;
        info!(
            running = found.running,
            started = found.started,
            failed = found.failed.len(),
            orphans = found.orphans.len(),
            quarantined = found.quarantined.len(),
            drift = found.drift.len(),
            "reconciled"
        );
        Ok(found)
    }

    /// Who holds what of the hardware, and what of it is not as it was given.
    pub fn usage(&self) -> Result<(Usage, Vec<String>)> {
        let facts = self.facts()?;
        let vnfs = self.store.list::<VnfInstance>()?;
        let (held, still) = self.held(&vnfs)?;
        let drift = drift(&facts, &held, &|guest| !still.contains(&guest));
        Ok((usage(&facts, &self.rules().reserve, &held), drift))
    }

    /// Guests with a place; and those of them whose functions no operation changes just now.
    pub(super) fn held(&self, vnfs: &[VnfInstance]) -> Result<(Vec<Held>, HashSet<VnfcId>)> {
        let held = self.store.list::<Reservation>()?.into_iter().flat_map(|r| r.placed).collect();
        let still = vnfs.iter().filter(|v| v.op.is_none()).filter_map(|v| v.body.as_ref());
        Ok((held, still.flat_map(|b| &b.vnfcs).map(|c| c.id).collect()))
    }

    /// What is not as it was given; VFs are set again on the way.
    fn drift(&self, facts: &HostFacts, vnfs: &[VnfInstance]) -> Result<Vec<String>> {
        let (held, still) = self.held(vnfs)?;
        let found = drift(facts, &held, &|guest| !still.contains(&guest));
        for d in &found {
            warn!("{d}");
        }
        // One that is gone is not set, but restored with its PF.
        let wrong =
            |g: &&Given| matches!(g, Given::Vf { want, .. } if facts.vf_setting(want.vf).is_some() && vf_drift(facts, want).is_some());
        for g in held.iter().filter(|h| still.contains(&h.guest)).flat_map(|h| &h.given).filter(wrong) {
            match self.give(g) {
                Ok(()) => info!(function = %g.address(), "set as it was given"),
                Err(fault) => warn!(function = %g.address(), "cannot be set as it was given: {fault:?}"),
            }
        }
        Ok(found)
    }

    fn start_missing(&self, vnfs: &[VnfInstance], guests: &[FoundGuest], missing: Missing, found: &mut Findings) {
        let missing = if self.draining.load(Ordering::SeqCst) { Missing::Leave } else { missing };
        let state: HashMap<VnfcId, GuestState> = guests.iter().map(|g| (g.id, g.state)).collect();
        let mut by_priority: BTreeMap<u32, Vec<(VnfId, VnfcId)>> = BTreeMap::new();
        for v in vnfs.iter().filter(|v| v.instantiated && v.op.is_none()) {
            let Some(body) = v.body.as_ref().filter(|b| b.run == RunState::Started) else { continue };
            for c in &body.vnfcs {
                match state.get(&c.id) {
                    Some(GuestState::Running | GuestState::Stopping) => found.running += 1,
                    Some(GuestState::PausedIo) => {
                        found.running += 1;
                        found.paused.push(c.id);
                    }
                    Some(GuestState::Off | GuestState::Crashed | GuestState::Paused) => match missing {
                        Missing::Start => by_priority.entry(v.priority).or_default().push((v.id, c.id)),
                        Missing::Leave => found.off.push(c.id),
                    },
                    None => found.failed.push((c.id, "its domain is gone".into())),
                }
            }
        }
        let at_once = self.rules().start_at_once.max(1);
        for guests in by_priority.into_values() {
            let next = AtomicUsize::new(0);
            let results = Mutex::new(Vec::new());
            std::thread::scope(|scope| {
                for _ in 0..at_once.min(guests.len()) {
                    scope.spawn(|| {
                        while let Some((vnf, id)) = guests.get(next.fetch_add(1, Ordering::Relaxed)) {
                            if let Some(r) = self.start_one(*vnf, *id) {
                                results.lock().unwrap_or_else(PoisonError::into_inner).push((*id, r));
                            }
                        }
                    });
                }
            });
            for (id, r) in results.into_inner().unwrap_or_else(PoisonError::into_inner) {
                match r {
                    Ok(()) => found.started += 1,
                    Err(fault) => {
                        warn!(guest = %id, "a guest that should run cannot be started: {fault:?}");
                        found.failed.push((id, fault.to_string()));
                    }
                }
            }
        }
    }

    /// Starts a guest unless an operation took its VNF meanwhile; one that was stopped or removed
    /// behind the start is brought back to that.
    fn start_one(&self, vnf: VnfId, id: VnfcId) -> Option<Result<()>> {
        let wanted = || -> Result<(bool, bool)> {
            let v = self.store.get::<VnfInstance>(&vnf)?;
            let body = v.as_ref().and_then(|v| v.body.as_ref()).filter(|b| b.vnfc(id).is_some());
            let held = v.as_ref().is_some_and(|v| v.op.is_some());
            Ok((held, body.is_some_and(|b| b.run == RunState::Started)))
        };
        let start = || -> Result<Option<()>> {
            if wanted()? != (false, true) || self.draining.load(Ordering::SeqCst) {
                return Ok(None);
            }
            self.give_all(vnf, id)?;
            self.ensure_forwarders(vnf, id)?;
            self.hypervisor.start(id)?;
            if wanted()? == (false, false) {
                self.hypervisor.destroy(id)?;
                return Ok(None);
            }
            Ok(Some(()))
        };
        start().transpose()
    }

    /// Removes what this store made and no record names any more: the late effect of a call whose
    /// caller was killed. Anything else that carries our marks is left alone and reported.
    ///
    /// What is on the host is listed before the records are read: what was accepted meanwhile is
    /// known then.
    fn sweep(&self, guests: &[FoundGuest], found: &mut Findings) -> Result<()> {
        let disks = self.images.disks()?;
        let media = self.images.media()?;
        let ports = self.links.fabric().ports()?;
        let dhcp = self.links.host().list_dhcp()?;

        let vnfs = self.store.list::<VnfInstance>()?;
        let bodies: Vec<_> = vnfs.iter().filter_map(|v| v.body.as_ref()).flat_map(|b| &b.vnfcs).collect();
        let known: HashSet<VnfcId> = bodies.iter().map(|c| c.id).collect();
        let generation = self.store.generation();
        for g in guests.iter().filter(|g| !known.contains(&g.id)) {
            let ours = g.owner.generation == generation && !self.store.is_restored() && self.op_was_ours(g.owner.op)?;
            if ours {
                warn!(guest = %g.id, vnf = %g.owner.vnf, "removing a guest that no record names any more");
                self.hypervisor.remove(g.id)?;
                found.orphans.push(g.id);
            } else {
                warn!(guest = %g.id, vnf = %g.owner.vnf, generation = g.owner.generation, "a guest that this store does not know is left alone");
                found.quarantined.push(g.id);
            }
        }
        // Links and files carry no owner: while there are guests nobody knows, they may be theirs.
        if self.store.is_restored() || !found.quarantined.is_empty() {
            return Ok(());
        }
        let segments: HashSet<SegmentId> = self.store.list::<Segment>()?.iter().map(|s| s.id).collect();
        let nics: HashSet<&IfName> = bodies.iter().flat_map(|c| &c.ports).map(|p| &p.ifname).collect();
        for p in ports {
            let of_no_link = p.segment.is_some_and(|s| !segments.contains(&s));
            let of_no_guest = IfKind::of(&p.name) == Some(IfKind::Guest) && !nics.contains(&p.name);
            if of_no_link || of_no_guest {
                self.links.fabric().remove_port(&p.name)?;
            }
        }
        for s in dhcp.into_iter().filter(|s| !segments.contains(s)) {
            self.links.host().remove_dhcp(s)?;
        }
        let named: HashSet<DiskId> = bodies.iter().flat_map(|c| &c.disks).map(|d| d.id).collect();
        for d in disks.into_iter().filter(|d| !named.contains(d)) {
            self.images.remove_disk(d)?;
            found.files_removed += 1;
        }
        for m in media.into_iter().filter(|m| !known.contains(m)) {
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
