//! Keeps guests on the CPUs that they may run on: a projection of the records, and its only owner.
//!
//! ```text
//! define              a guest without a place is written with the CPUs that it floats over
//! start               the guest is pinned as the records have it now; before it, every guest is off CPUs that it has
//!                     for itself
//! end of operations   who floats gets what became free, and who gave up CPUs of its own leaves them: soon, and at the
//!                     latest before another starts that has CPUs for itself
//! look, every 20 s    what somebody changed behind bothy's back is told, and put right
//! ```
//! A guest's CPUs are its own from accept to end, also while it is stopped. Nothing is stored beside the records: what a
//! kill keeps from being done is done by the next start, or the look that follows. Never: decides where anybody runs
//! (`vim::place::float`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{MutexGuard, PoisonError},
};

use tracing::{info, warn};

use super::Vnfm;
use crate::{
    model::{
        error::{Fault, Kind, Result},
        id::{VnfId, VnfcId},
        place::{Astray, Held, Pins, Placement, Thread},
        vnf::{Reservation, VnfInstance, Vnfc},
    },
    vim::{
        place::{board::Board, float::Float},
        port::GuestState,
    },
};

/// How far all guests are where they should be.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Kept {
    /// Where they floated when they were pinned last; `None`: some may never have been.
    float: Option<Float>,
    /// Guests that would not be pinned: the next look tries again, since each may take its time.
    strays: BTreeSet<VnfcId>,
    /// Guests with CPUs of their own that an operation is at, or was until now, and the places they had then: its end may
    /// take these from them, and nobody floats elsewhere for it where they are isolated.
    started: BTreeMap<(VnfId, VnfcId), Vec<Placement>>,
}

/// A guest of the records.
struct Guest {
    vnf: VnfId,
    id: VnfcId,
    /// For people: `vnf/vdu/0`.
    name: String,
    vcpus: u32,
    /// More than one while it comes to another flavour, and after that was given up.
    places: Vec<Placement>,
    /// An operation is at its VNF.
    busy: bool,
}

impl Guest {
    fn of(v: &VnfInstance, c: &Vnfc, held: &[Held]) -> Guest {
        Guest {
            vnf: v.id,
            id: c.id,
            name: format!("{}/{}/{}", v.name, c.vdu, c.index),
            vcpus: c.vcpus,
            places: held.iter().filter(|h| h.guest == c.id).map(|h| h.at.clone()).collect(),
            busy: v.op.is_some(),
        }
    }
    fn key(&self) -> (VnfId, VnfcId) {
        (self.vnf, self.id)
    }
    /// It has CPUs for itself.
    fn owns(&self) -> bool {
        self.places.iter().any(|at| !at.held_cpus().is_empty())
    }
    fn is_pinned(&self) -> bool {
        self.places.iter().any(Placement::is_pinned)
    }
    /// What somebody changed, for people. `known`: all guests were where the records have them; else only vCPUs that
    /// never move tell of a stranger.
    fn told<'a>(&'a self, astray: &'a [Astray], known: bool) -> impl Iterator<Item = String> + 'a {
        let changed = move |a: &&Astray| {
            let never_moves = self.is_pinned() && matches!(a.thread, Thread::Vcpu(_));
            !self.busy && !a.on.is_empty() && (known || never_moves)
        };
        let text = |a: &Astray| format!("guest {}: {} may run on CPUs {}, and was pinned to {}", self.name, a.thread, a.on, a.wanted);
        astray.iter().filter(changed).map(text)
    }
}

fn not_kept_off(why: Fault, g: &Guest) -> Fault {
    why.context(format!("guest {} cannot be kept off other guests' CPUs", g.name))
}

impl Vnfm {
    /// The CPUs that guests float over now; `None`: the hardware cannot be told.
    pub fn float(&self) -> Result<Option<Float>> {
        let held: Vec<Held> = self.store.list::<Reservation>()?.into_iter().flat_map(|r| r.placed).collect();
        Ok(self.float_beside(&held))
    }

    fn float_beside(&self, held: &[Held]) -> Option<Float> {
        self.facts_seen().map(|facts| Float::of(&Board::of(&facts, &self.rules().reserve), held))
    }

    /// Before a guest is defined. Where all guests are is near enough: it is pinned again before it starts.
    pub(super) fn tell_float(&self) -> Result<()> {
        let kept = self.floats.try_lock().ok().and_then(|kept| kept.float.clone());
        let float = kept.map_or_else(|| self.float(), |f| Ok(Some(f)))?;
        self.hypervisor.set_float(float.map(|f| f.anywhere().clone()));
        self.hypervisor.set_clock(self.facts_seen().and_then(|f| f.mhz));
        Ok(())
    }

    /// Before a guest starts: it will be where the records have it, and nobody else is on its CPUs.
    pub(super) fn make_way(&self, vnf: VnfId, id: VnfcId) -> Result<()> {
        // Who takes nobody's CPU goes where everybody is: whoever comes to have a CPU pins him anew before he starts. Nobody
        // waits while he is looked at, and few have to be pinned: they were defined where everybody was.
        loop {
            let Some(float) = self.kept().float.clone() else { break };
            let Some(guest) = self.guest(vnf, id)?.filter(|g| !g.owns()) else { break };
            let found = self.best(&float, &guest);
            let kept = self.kept();
            if kept.float.as_ref() == Some(&float) {
                return self.pin_found(id, found);
            }
        }
        let mut kept = self.kept();
        let Some((float, guests)) = self.guests()? else { return Ok(()) };
        let mut owns = false;
        for g in guests.iter().filter(|g| g.id == id) {
            self.pin(&float, g)?;
            owns = g.owns();
            if owns {
                kept.started.insert(g.key(), g.places.clone());
            }
        }
        // Who takes nobody's CPU need not wait until everybody else is where he should be.
        let strays = kept.strays.clone();
        match self.follow(&mut kept, &float, &guests) {
            _ if !owns => return Ok(()),
            Ok(None) => {}
            Ok(Some(f)) | Err(f) => return Err(f),
        }
        for g in guests.iter().filter(|g| g.id != id && strays.contains(&g.id) && kept.strays.contains(&g.id)) {
            self.pin(&float, g).map_err(|f| not_kept_off(f, g))?;
        }
        kept.strays.clear();
        Ok(())
    }

    /// After operations: guests that float may have more CPUs, or fewer, and others none of their own any more.
    pub fn spread(&self) -> Result<()> {
        let mut kept = self.kept();
        if let Some(float) = kept.float.clone()
            && self.float()?.as_ref() == Some(&float)
        {
            return self.settle_started(&mut kept, &float)?.map_or(Ok(()), Err);
        }
        let Some((float, guests)) = self.guests()? else { return Ok(()) };
        self.follow(&mut kept, &float, &guests)?.map_or(Ok(()), Err)
    }

    /// Those whose operation has ended are where the records have them now.
    fn settle_started(&self, kept: &mut Kept, float: &Float) -> Result<Option<Fault>> {
        let mut first = None;
        for (vnf, id) in kept.started.keys().copied().collect::<Vec<_>>() {
            let guest = self.guest(vnf, id)?;
            // One that the next operation is at already has what the last one left it, and no more.
            let had = kept.started.get(&(vnf, id)).map_or(&[][..], |had| had);
            if guest.as_ref().is_some_and(|g| g.busy && had.iter().all(|at| g.places.contains(at))) {
                continue;
            }
            if let Some(g) = guest
                && let Some(fault) = self.put_right(float, &g, &mut |_, _| {})?
            {
                kept.strays.insert(id);
                first.get_or_insert(fault);
            }
            kept.started.remove(&(vnf, id));
        }
        Ok(first)
    }

    /// All guests are pinned anew where that is another thing than when they were pinned last; else only those whose
    /// operation has ended since.
    fn follow(&self, kept: &mut Kept, float: &Float, guests: &[Guest]) -> Result<Option<Fault>> {
        if kept.float.as_ref() == Some(float) {
            return self.settle_started(kept, float);
        }
        self.round(kept, float, guests, &mut |_, _| {})
    }

    /// Looks at every guest, and puts right what is not as it should be. What somebody has changed.
    pub fn keep_pins(&self) -> Result<Vec<String>> {
        // Where all is as it was, as at nearly every look, nobody waits for it.
        let seen = Some(self.kept()).filter(|k| k.strays.is_empty()).and_then(|k| k.float.clone());
        if let (Some(seen), Some((float, guests))) = (seen, self.guests()?)
            && seen == float
            && self.all_are_right(&float, &guests)?
        {
            return Ok(Vec::new());
        }
        let mut kept = self.kept();
        let Some((float, guests)) = self.guests()? else { return Ok(Vec::new()) };
        let known = kept.float.as_ref() == Some(&float);
        // Looked at before they are moved.
        let mut of_started = BTreeMap::new();
        for g in guests.iter().filter(|g| kept.started.contains_key(&g.key())) {
            match self.changed(&kept, &float, g, known) {
                Ok(told) => _ = of_started.insert(g.id, told),
                Err(f) if f.kind() == Kind::NotFound => {}
                Err(f) => return Err(f.context(format!("guest {}", g.name))),
            }
        }
        let mut changed = Vec::new();
        let done = self.round(&mut kept, &float, &guests, &mut |g, astray| {
            info!(guest = %g.id, name = %g.name, threads = astray.len(), "pinned where it should be");
            match of_started.remove(&g.id) {
                Some(told) => changed.extend(told),
                None => changed.extend(g.told(astray, known)),
            }
        });
        changed.iter().for_each(|t| warn!("{t}"));
        done.map(|_| changed)
    }

    /// Pins who is not where he should be, and says why the first would not be. One who cannot be asked ends it: the
    /// others could not be either.
    fn round(&self, kept: &mut Kept, float: &Float, guests: &[Guest], pinned: &mut dyn FnMut(&Guest, &[Astray])) -> Result<Option<Fault>> {
        // Of the records: what started them may have been another process. Those of before are where they should be only
        // once this is done.
        let before = std::mem::take(kept).started;
        let busy = guests.iter().filter(|g| g.busy && g.owns());
        kept.started = busy.map(|g| (g.key(), g.places.clone())).collect();
        let (mut strays, mut first) = (BTreeSet::new(), None);
        for g in guests {
            match self.put_right(float, g, pinned) {
                Ok(None) => {}
                Ok(Some(fault)) => {
                    strays.insert(g.id);
                    first.get_or_insert(fault);
                }
                Err(fault) => {
                    kept.started.extend(before);
                    return Err(fault);
                }
            }
        }
        (kept.float, kept.strays) = (Some(float.clone()), strays);
        Ok(first)
    }

    /// Pins the guest if it is not where it should be, and says why it would not be.
    fn put_right(&self, float: &Float, g: &Guest, pinned: &mut dyn FnMut(&Guest, &[Astray])) -> Result<Option<Fault>> {
        let (pins, astray) = match self.best(float, g) {
            Ok(found) => found,
            // Not defined yet, or not any more.
            Err(f) if f.kind() == Kind::NotFound => return Ok(None),
            Err(f) => return Err(f.context(format!("guest {}", g.name))),
        };
        if astray.is_empty() {
            return Ok(None);
        }
        match self.hypervisor.pin(g.id, &pins) {
            Ok(()) => pinned(g, &astray),
            Err(f) if f.kind() == Kind::NotFound => {}
            // It has ended meanwhile.
            Err(_) if matches!(self.hypervisor.state(g.id), Ok(None | Some(GuestState::Off))) => {}
            Err(fault) => {
                warn!(guest = %g.id, name = %g.name, "it cannot be kept on its CPUs: {fault:?}");
                return Ok(Some(not_kept_off(fault, g)));
            }
        }
        Ok(None)
    }

    /// Every guest was where it should be when it was asked.
    fn all_are_right(&self, float: &Float, guests: &[Guest]) -> Result<bool> {
        for g in guests {
            match self.best(float, g) {
                Ok((_, astray)) if astray.is_empty() => {}
                Ok(_) => return Ok(false),
                Err(f) if f.kind() == Kind::NotFound => {}
                Err(f) => return Err(f.context(format!("guest {}", g.name))),
            }
        }
        Ok(true)
    }

    /// What somebody has changed, and nobody has put right yet.
    pub(super) fn pin_drift(&self) -> Result<Vec<String>> {
        let before = self.kept().clone();
        let told = self.told(&before)?;
        if told.is_empty() || *self.kept() == before {
            return Ok(told);
        }
        // That was us, then.
        let kept = self.kept();
        self.told(&kept)
    }

    fn told(&self, kept: &Kept) -> Result<Vec<String>> {
        let Some((float, guests)) = self.guests()? else { return Ok(Vec::new()) };
        let known = kept.float.as_ref() == Some(&float);
        let mut told = Vec::new();
        for g in guests.iter().filter(|g| !g.busy) {
            match self.changed(kept, &float, g, known) {
                Ok(of_guest) => told.extend(of_guest),
                // What cannot be asked has not changed; nor do others answer then.
                Err(fault) => {
                    warn!(guest = %g.id, "where it may run cannot be told: {fault:?}");
                    break;
                }
            }
        }
        Ok(told)
    }

    /// What somebody changed of this one. Who is still where its operation had it, only we have not moved yet.
    fn changed(&self, kept: &Kept, float: &Float, g: &Guest, known: bool) -> Result<Vec<String>> {
        let had = kept.started.get(&g.key()).map_or(&[][..], |had| had);
        let (_, astray) = self.best_of(float, g, had)?;
        Ok(g.told(&astray, known).collect())
    }

    fn pin(&self, float: &Float, g: &Guest) -> Result<()> {
        self.pin_found(g.id, self.best(float, g))
    }

    fn pin_found(&self, id: VnfcId, found: Result<(Pins, Vec<Astray>)>) -> Result<()> {
        match found.and_then(|(pins, astray)| if astray.is_empty() { Ok(()) } else { self.hypervisor.pin(id, &pins) }) {
            // Not defined yet, or not any more.
            Err(f) if f.kind() == Kind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Where the guest should be, and what of it is elsewhere. Of several places the one that it is at: all are its own.
    fn best(&self, float: &Float, g: &Guest) -> Result<(Pins, Vec<Astray>)> {
        self.best_of(float, g, &[])
    }

    fn best_of(&self, float: &Float, g: &Guest, had: &[Placement]) -> Result<(Pins, Vec<Astray>)> {
        let first = g.places.first().map_or_else(|| float.pins_anywhere(g.vcpus), |at| float.pins_of(at));
        let mut best = (self.hypervisor.astray(g.id, &first)?, first);
        for at in g.places.iter().skip(1).chain(had.iter().filter(|at| !g.places.contains(at))) {
            let pins = float.pins_of(at);
            let astray = self.hypervisor.astray(g.id, &pins)?;
            if astray.len() < best.0.len() {
                best = (astray, pins);
            }
        }
        Ok((best.1, best.0))
    }

    /// All guests of the records. Instances first: a guest whose place is not read yet would seem to have none.
    fn guests(&self) -> Result<Option<(Float, Vec<Guest>)>> {
        let vnfs = self.store.list::<VnfInstance>()?;
        let held: Vec<Held> = self.store.list::<Reservation>()?.into_iter().flat_map(|r| r.placed).collect();
        let Some(float) = self.float_beside(&held) else { return Ok(None) };
        let mut guests = Vec::new();
        for v in &vnfs {
            guests.extend(v.body.iter().flat_map(|b| &b.vnfcs).map(|c| Guest::of(v, c, &held)));
        }
        Ok(Some((float, guests)))
    }

    /// One of them.
    fn guest(&self, vnf: VnfId, id: VnfcId) -> Result<Option<Guest>> {
        let Some(v) = self.store.get::<VnfInstance>(&vnf)? else { return Ok(None) };
        let held = self.store.get::<Reservation>(&vnf)?.map(|r| r.placed).unwrap_or_default();
        Ok(v.body.as_ref().and_then(|b| b.vnfc(id)).map(|c| Guest::of(&v, c, &held)))
    }

    /// As after a kill.
    #[cfg(test)]
    pub fn forget_pins(&self) {
        *self.kept() = Kept::default();
    }

    /// Held while guests are pinned, not while they are only looked at, so that what is read of the records
    /// is done in the order in which it was read.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.floats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
