//! What a start of bothy or a new connection to libvirt finds: guests that should run and do not
//! (those that no record knows: `stray`).
//!
//! Networks come first, then guests (`order`), so many at once; none without one of its links. A stopped VNF
//! stays stopped. Never: guests that an operation has in hand (`hold`); it brings them where they belong.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use tracing::{info, warn};

use super::{Vnfm, hold::Hold, order};
use crate::{
    model::{
        error::Result,
        host::HostFacts,
        id::{OpId, SegmentId, VnfId, VnfcId},
        op::{Operation, Phase},
        place::{Given, Held, Missed},
        segment::{Segment, SegmentState},
        step::PlanStep,
        vnf::{Change, Reservation, RunState, VnfInstance},
    },
    vim::{
        place::usage::{Usage, drift, usage, vf_drift},
        port::{FoundGuest, GuestState},
        strangers::{Taken, taken_pages},
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
    /// Some of these would be started, but for a link that cannot be brought up.
    pub link_is_down: bool,
    /// Guests that are off because the operation that was to bring them waits for its client.
    pub held: Vec<(VnfcId, OpId)>,
    /// Operations that have guests in hand which are off: when one is over, these may have to be started.
    pub awaited: BTreeSet<OpId>,
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

impl Findings {
    /// Guests that should run and do not, with the reason.
    pub fn missed(&self) -> Vec<(VnfcId, String)> {
        let held =
            self.held.iter().map(|(id, op)| (*id, format!("it is off until operation {op} is retried, rolled back or marked as failed")));
        self.failed.iter().cloned().chain(held).collect()
    }
}

/// What becomes of guests that should run and are off, when somebody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Start,
    Leave,
}

type Down = HashMap<SegmentId, String>;

/// What the records want of a guest just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Run,
    /// To be off, or nobody's.
    Off,
    /// An operation sees to it.
    InHand,
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
        if let Err(fault) = self.links.end_captures() {
            warn!("a mirror that nobody listens to stays: {fault:?}");
        }
        if let Err(fault) = self.links.keep_chains() {
            warn!("a chain is not as it should be: {fault:?}");
        }
        let segments = self.store.list::<Segment>()?;
        let mut down = Down::new();
        for s in &segments {
            if s.state == SegmentState::Wanted
                && let Err(fault) = self.links.keep(s.id)
            {
                warn!(segment = %s.id, "a link is not as it should be: {fault:?}");
                down.insert(s.id, format!("its link {} is not up: {fault}", s.link));
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
                found.drift.extend(self.keep_pins()?);
                found.lost = Some(self.restore_lost(&facts)?);
            }
            Err(fault) => warn!("the hardware cannot be looked at: {fault:?}"),
        }
        self.start_missing(&vnfs, &guests, &down, missing, &mut found)?;
        self.sweep(&guests, &mut found)?;
        info!(
            running = found.running,
            started = found.started,
            failed = found.failed.len(),
            held = found.held.len(),
            orphans = found.orphans.len(),
            quarantined = found.quarantined.len(),
            drift = found.drift.len(),
            "reconciled"
        );
        Ok(found)
    }

    /// Who holds what of the hardware, and what of it is not as it was given.
    pub fn usage(&self) -> Result<(Usage, Vec<String>)> {
        let vnfs = self.store.list::<VnfInstance>()?;
        let (held, still) = self.held(&vnfs)?;
        let facts = self.facts()?;
        let mut drift = drift(&facts, &self.rules().reserve, &held, &|guest| !still.contains(&guest));
        let usage = usage(&facts, &self.rules().reserve, &held);
        drift.extend(taken_pages(&facts, &usage).iter().map(Taken::text));
        drift.extend(self.pin_drift()?);
        Ok((usage, drift))
    }

    /// Tells the hardware at the start what guests have of it.
    pub fn recall_devices(&self) -> Result<()> {
        let reserved = self.store.list::<Reservation>()?;
        let held = reserved.iter().flat_map(|r| &r.placed).flat_map(|h| &h.at.devices);
        self.hardware.recall(&held.map(|d| (d.address, d.card_name.clone())).collect::<Vec<_>>());
        Ok(())
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
        let mut found = drift(facts, &self.rules().reserve, &held, &|guest| !still.contains(&guest));
        found.extend(taken_pages(facts, &usage(facts, &self.rules().reserve, &held)).iter().map(Taken::text));
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

    /// The operation that holds a VNF, and what it has in hand.
    fn hold(&self, v: &VnfInstance) -> Result<Option<Hold>> {
        let Some(id) = v.op else { return Ok(None) };
        let Some(op) = self.store.get::<Operation>(&id)? else { return Ok(Some(Hold::unknown(id))) };
        let change = self.store.get::<Change>(&v.id)?.filter(|c| c.op == id);
        let steps = match op.state.phase() {
            Phase::Forward | Phase::Backward => self.store.list_under::<PlanStep>(&id)?,
            Phase::Held | Phase::Stuck | Phase::Over => Vec::new(),
        };
        Ok(Some(Hold::of(&op, &steps, change.as_ref())))
    }

    /// `down`: links that could not be brought up, and why; no guest starts without one of its links.
    fn start_missing(
        &self,
        vnfs: &[VnfInstance],
        guests: &[FoundGuest],
        down: &Down,
        missing: Missing,
        found: &mut Findings,
    ) -> Result<()> {
        let missing = if self.is_draining() { Missing::Leave } else { missing };
        let state: HashMap<VnfcId, GuestState> = guests.iter().map(|g| (g.id, g.state)).collect();
        let mut due: Vec<order::Guest> = Vec::new();
        for v in vnfs.iter().filter(|v| v.instantiated) {
            let Some(body) = v.body.as_ref().filter(|b| b.run == RunState::Started) else { continue };
            let hold = self.hold(v)?;
            let before = hold.as_ref().filter(|h| h.waits).map(|_| self.as_now(v.clone())).transpose()?;
            let body = before.as_ref().and_then(|v| v.body.as_ref()).unwrap_or(body);
            for c in &body.vnfcs {
                let off = matches!(state.get(&c.id), Some(GuestState::Off | GuestState::Crashed | GuestState::Paused));
                if let Some(h) = hold.as_ref().filter(|h| h.has(c.id)) {
                    if off {
                        found.awaited.insert(h.op);
                        found.held.extend(h.owes(c.id).then_some((c.id, h.op)));
                    }
                    continue;
                }
                match state.get(&c.id) {
                    Some(GuestState::Running | GuestState::Stopping) => found.running += 1,
                    Some(GuestState::PausedIo) => {
                        found.running += 1;
                        found.paused.push(c.id);
                    }
                    Some(GuestState::Off | GuestState::Crashed | GuestState::Paused) => match missing {
                        Missing::Start => match c.ports.iter().find_map(|p| down.get(&p.segment)) {
                            Some(why) => {
                                found.failed.push((c.id, why.clone()));
                                found.link_is_down = true;
                            }
                            None => due.push((v.id, c.id)),
                        },
                        Missing::Leave => found.off.push(c.id),
                    },
                    None if hold.as_ref().is_some_and(|h| h.removes(c.id)) => {}
                    None => found.failed.push((c.id, "its domain is gone".into())),
                }
            }
        }
        let at_once = self.rules().start_at_once;
        let results = Mutex::new(Vec::new());
        for services in order::in_order(vnfs, &due) {
            order::start(services, at_once, |(vnf, id)| {
                if let Some(r) = self.start_one(vnf, id) {
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((id, r));
                }
            });
        }
        for (id, r) in results.into_inner().unwrap_or_else(PoisonError::into_inner) {
            match r {
                Ok(()) => found.started += 1,
                Err(fault) => {
                    warn!(guest = %id, "a guest that should run cannot be started: {fault:?}");
                    found.failed.push((id, fault.to_string()));
                }
            }
        }
        Ok(())
    }

    /// A guest that crashed runs again as it is; unless an operation has it in hand.
    pub fn start_again(&self, vnf: VnfId, id: VnfcId) -> Result<()> {
        self.start_one(vnf, id).unwrap_or(Ok(()))
    }

    /// Starts a guest unless an operation took it in hand meanwhile; one that was stopped or removed
    /// behind the start is brought back to that.
    fn start_one(&self, vnf: VnfId, id: VnfcId) -> Option<Result<()>> {
        let start = || -> Result<Option<()>> {
            if self.wish(vnf, id)? != Wish::Run || self.is_draining() {
                return Ok(None);
            }
            self.give_all(vnf, id)?;
            self.ensure_forwarders(vnf, id)?;
            self.make_way(vnf, id)?;
            self.hypervisor.start(id)?;
            match self.wish(vnf, id)? {
                Wish::Off => {
                    self.hypervisor.destroy(id)?;
                    Ok(None)
                }
                Wish::Run | Wish::InHand => Ok(Some(())),
            }
        };
        start().transpose()
    }

    fn wish(&self, vnf: VnfId, id: VnfcId) -> Result<Wish> {
        let Some(mut v) = self.store.get::<VnfInstance>(&vnf)? else { return Ok(Wish::Off) };
        let hold = self.hold(&v)?;
        if hold.as_ref().is_some_and(|h| h.has(id)) {
            return Ok(Wish::InHand);
        }
        if hold.is_some_and(|h| h.waits) {
            v = self.as_now(v)?;
        }
        let runs = v.body.as_ref().is_some_and(|b| b.run == RunState::Started && b.vnfc(id).is_some());
        Ok(if runs { Wish::Run } else { Wish::Off })
    }
}
