//! VNF indicators: what VNFs tell of themselves, read from their guests.
//!
//! ```text
//! instantiated VNF whose VNFD declares indicators -> each guest's file, by its agent -> record -> news, where it is another
//!                                                    what the VNF tells itself ----^
//! ```
//! A round has a thread of its own, which ends with it: agents take their time. Where no VNFD declares an indicator there is
//! none. Owns what is read, and what it is where it cannot be. Never: HTTP; a value that no guest gave.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use smol_str::SmolStr;

use crate::{
    model::{
        error::{Fault, Kind, Result},
        id::{VnfId, VnfPkgId, VnfcId},
        indicator::{Reading, VnfIndicators},
        package::VnfPackage,
        subscription::{Source, Subscription},
        time::{Clock, Stamp},
        vnf::{Body, VnfInstance},
        vnfd::{GuestFile, Indicator},
    },
    store::{Durability, Store},
    vim::port::{GuestState, Hypervisor},
};

/// What a reading may have, in bytes.
const MOST: u32 = 1024;
/// A guest whose agent says nothing time after time is left alone for 1, 3, 7 and more rounds, so many at most: the others
/// wait behind it.
const LONGEST_SILENCE: u32 = 30;
/// An indicator may take so many values one after the other as they are read; from then on one in each pause.
const AT_ONCE: u32 = 5;
const PAUSE_MS: u64 = 60_000;
/// How long an agent may take for each command.
const WAIT: Duration = Duration::from_secs(2);

/// What a VNF tells itself: by indicator the members of its value; or why there is none. `None`: it is not asked.
type Told = Option<Result<Vec<(SmolStr, Vec<(SmolStr, String)>)>, String>>;

pub struct Indicators {
    store: Store,
    clock: Arc<dyn Clock>,
    hypervisor: Arc<dyn Hypervisor>,
    /// A round is under way.
    busy: AtomicBool,
    over: AtomicBool,
    /// One round at a time: a reading must not be written over a newer one.
    turn: Mutex<()>,
    /// Guests whose agent did not answer: how often in a row, how many rounds they are still left alone, and why.
    silent: Mutex<HashMap<VnfcId, (u32, u32, String)>>,
    pace: Mutex<Pace>,
    /// For those that no file of a guest says.
    own: OnceLock<Box<dyn Fn(VnfId) -> Told + Send + Sync>>,
    me: Weak<Indicators>,
}

/// How many other values each indicator may take now, and since when that is so: what changes all the time would be a
/// notification to everybody in each round.
#[derive(Default)]
struct Pace(HashMap<(VnfId, SmolStr), (u32, Stamp)>);

impl Pace {
    /// One more, now; or else the value stays what it was for a while.
    fn may(&mut self, vnf: VnfId, id: &SmolStr, now: Stamp) -> bool {
        let (left, since) = self.0.entry((vnf, id.clone())).or_insert((AT_ONCE, now));
        let pauses = now.0.saturating_sub(since.0) / PAUSE_MS;
        *left = u32::try_from(pauses).unwrap_or(u32::MAX).saturating_add(*left).min(AT_ONCE);
        // What is full grows no further: the next pause begins with the next value.
        *since = if *left == AT_ONCE { now } else { Stamp(since.0 + pauses * PAUSE_MS) };
        if *left == 0 {
            return false;
        }
        *left -= 1;
        true
    }

    /// What was read, but for values that come too fast: those are as they were. That there is none any more is told at once.
    fn held(&mut self, vnf: VnfId, before: &[Reading], mut read: Vec<Reading>, now: Stamp) -> Vec<Reading> {
        for r in read.iter_mut().filter(|r| !r.values.is_empty()) {
            let was = before.iter().find(|b| b.id == r.id && b.values != r.values);
            if let Some(was) = was.filter(|_| !self.may(vnf, &r.id, now)) {
                *r = was.clone();
            }
        }
        read
    }
}

/// The round is over, by a panic too.
struct Idle<'a>(&'a AtomicBool);

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Indicators {
    pub fn new(store: Store, clock: Arc<dyn Clock>, hypervisor: Arc<dyn Hypervisor>) -> Arc<Indicators> {
        let (busy, over, turn, silent, pace, own) = Default::default();
        Arc::new_cyclic(|me| Indicators { store, clock, hypervisor, busy, over, turn, silent, pace, own, me: me.clone() })
    }

    /// Has `f` say what VNFs tell themselves. Returns at once; the first caller stays.
    pub fn on_own(&self, f: impl Fn(VnfId) -> Told + Send + Sync + 'static) {
        let _ = self.own.set(Box::new(f));
    }

    /// No round begins after it, and one that is under way asks no other guest.
    pub fn stop(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// A round, soon, unless one is under way or there is nothing to read.
    pub fn look(&self) -> Result<()> {
        if self.declared()?.is_empty() && self.store.page::<VnfIndicators>(None, 1)?.is_empty() {
            return Ok(());
        }
        let Some(me) = self.me.upgrade() else { return Ok(()) };
        if self.over.load(Ordering::Acquire) || self.busy.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let round = move || {
            let _idle = Idle(&me.busy);
            if let Err(fault) = me.round() {
                tracing::warn!("VNF indicators are not read: {fault:?}");
            }
        };
        let begun = std::thread::Builder::new().name("indicators".into()).stack_size(512 * 1024).spawn(round);
        begun.map(drop).map_err(|e| {
            self.busy.store(false, Ordering::Release);
            Fault::transient("cannot start to read VNF indicators").with_source(e)
        })
    }

    /// Packages whose VNFDs declare indicators.
    fn declared(&self) -> Result<HashMap<VnfPkgId, Vec<Indicator>>> {
        let all = self.store.list::<VnfPackage>()?.into_iter();
        Ok(all.filter_map(|p| Some((p.id, p.vnfd?.indicators)).filter(|(_, i)| !i.is_empty())).collect())
    }

    /// Reads every indicator once, and keeps what was read.
    pub fn round(&self) -> Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let declared = self.declared()?;
        let mut kept: HashMap<VnfId, VnfIndicators> = self.store.list::<VnfIndicators>()?.into_iter().map(|r| (r.vnf, r)).collect();
        if declared.is_empty() && kept.is_empty() {
            return Ok(());
        }
        let (mut guests, mut told) = (Vec::new(), Vec::new());
        let listened = self.store.list::<Subscription>()?.iter().any(|s| s.source == Source::VnfInd);
        for v in self.store.list::<VnfInstance>()? {
            let (Some(of), Some(body)) = (declared.get(&v.package).filter(|_| v.instantiated), &v.body) else { continue };
            if self.over.load(Ordering::Acquire) {
                return Ok(());
            }
            guests.extend(body.vnfcs.iter().map(|g| g.id));
            told.push(v.id);
            let before = kept.remove(&v.id);
            let was = before.as_ref().map_or(&[][..], |b| &b.all);
            let all = lock(&self.pace).held(v.id, was, self.read(v.id, of, body), self.clock.now());
            if before.as_ref().is_some_and(|b| b.all == all) {
                continue;
            }
            let now = VnfIndicators {
                vnf: v.id,
                project: v.project,
                all,
                changed: self.clock.now(),
                revision: before.map_or(0, |b| b.revision) + 1,
                listened,
            };
            // It may have come to an end while its guests were asked.
            self.store.write(Durability::Soon, |tx| {
                let same = tx.get::<VnfInstance>(&v.id)?.is_some_and(|is| is.instantiated && is.package == v.package);
                if same { tx.put(&now) } else { Ok(()) }
            })?;
        }
        lock(&self.silent).retain(|id, _| guests.contains(id));
        lock(&self.pace).0.retain(|(vnf, _), _| told.contains(vnf));
        // What is left is of VNFs that are no more.
        if !kept.is_empty() {
            self.store.write(Durability::Lazy, |tx| kept.keys().try_for_each(|id| tx.delete::<VnfIndicators>(id).map(|_| ())))?;
        }
        Ok(())
    }

    fn read(&self, vnf: VnfId, of: &[Indicator], body: &Body) -> Vec<Reading> {
        let asked = of.iter().any(|i| i.source.is_none());
        let told = self.own.get().filter(|_| asked).and_then(|own| own(vnf));
        // A guest that does not answer is asked once in a round, and not in each.
        let mut silent = self.left_alone(body);
        let one = |i: &Indicator| {
            let mut r = Reading { id: i.id.clone(), values: Vec::new(), why: Vec::new() };
            let Some(file) = &i.source else {
                match &told {
                    Some(Ok(all)) => match all.iter().find(|(id, _)| *id == i.id) {
                        Some((_, values)) => r.values.clone_from(values),
                        None => r.why.push("the VNF does not tell it".into()),
                    },
                    Some(Err(why)) => r.why.push(format!("the VNF does not tell it: {why}")),
                    None => r.why.push(format!("the VNFD does not say where it is read (metadata bothy.indicator.{} of the VNF)", i.id)),
                }
                return r;
            };
            for guest in body.vnfcs.iter().filter(|g| g.vdu == file.vdu) {
                match self.ask(guest.id, file, &mut silent) {
                    Ok(text) => r.values.push((guest.hostname.clone(), text)),
                    Err(why) => r.why.push(format!("{}: {why}", guest.hostname)),
                }
            }
            if r.values.is_empty() && r.why.is_empty() {
                r.why.push(format!("there is no guest of the VDU {}", file.vdu));
            }
            r
        };
        of.iter().map(one).collect()
    }

    /// Guests that are not asked in this round.
    fn left_alone(&self, body: &Body) -> HashMap<VnfcId, String> {
        let mut all = lock(&self.silent);
        let mut out = HashMap::new();
        for g in &body.vnfcs {
            if let Some((_, rounds, why)) = all.get_mut(&g.id).filter(|(_, rounds, _)| *rounds > 0) {
                *rounds -= 1;
                out.insert(g.id, why.clone());
            }
        }
        out
    }

    /// What came of asking: one that answers is asked in each round again.
    fn heard(&self, guest: VnfcId, silence: Option<String>) {
        let mut all = lock(&self.silent);
        match silence {
            None => drop(all.remove(&guest)),
            Some(why) => {
                let times = all.get(&guest).map_or(0, |(times, _, _)| *times).saturating_add(1);
                all.insert(guest, (times, ((1u32 << times.min(16).saturating_sub(1)) - 1).min(LONGEST_SILENCE), why));
            }
        }
    }

    fn ask(&self, guest: VnfcId, file: &GuestFile, silent: &mut HashMap<VnfcId, String>) -> Result<String, String> {
        if let Some(why) = silent.get(&guest) {
            return Err(why.clone());
        }
        let runs = matches!(self.hypervisor.state(guest), Ok(Some(GuestState::Running)));
        let asked = if runs {
            self.hypervisor.agent_file(guest, &file.path, MOST + 1, WAIT)
        } else {
            Err(Fault::conflict("the guest does not run"))
        };
        let read = asked.map_err(|f| {
            // What the agent refuses is of this file alone; a guest that does not run costs nothing to ask.
            if f.kind() != Kind::Invalid {
                silent.insert(guest, f.detail());
                if runs {
                    self.heard(guest, Some(f.detail()));
                }
            }
            f.detail()
        })?;
        self.heard(guest, None);
        if read.len() > MOST as usize {
            return Err(format!("{} is longer than {MOST} bytes", file.path));
        }
        let text = String::from_utf8(read).map_err(|_| format!("{} is no UTF-8 text", file.path))?;
        Ok(text.trim().to_owned())
    }
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_changes_all_the_time_is_another_value_once_in_a_pause() {
        let vnf = VnfId(Uuid::from_u128(1));
        let one = |id: &str, text: Option<&str>| Reading {
            id: id.into(),
            values: text.map(|t| ("web-0".into(), t.to_owned())).into_iter().collect(),
            why: Vec::new(),
        };
        let (mut pace, mut is) = (Pace::default(), vec![one("load", Some("0")), one("calm", Some("same"))]);
        // A round each ten seconds, for five minutes, and another load in each.
        let mut seen = Vec::new();
        for round in 1..=30u64 {
            let read = vec![one("load", Some(&round.to_string())), one("calm", Some("same"))];
            let now = pace.held(vnf, &is, read, Stamp(round * 10_000));
            if now != is {
                seen.push(round);
            }
            assert_eq!(now[1], is[1]);
            is = now;
        }
        assert_eq!(seen, [1, 2, 3, 4, 5, 7, 13, 19, 25]);
        // What cannot be read any more is so at once; what comes back is another value. Of another VNF nothing is held.
        let gone = pace.held(vnf, &is, vec![one("load", None)], Stamp(301_000));
        assert!(gone[0].values.is_empty());
        for (at, says) in [(302_000, None), (311_000, Some("back"))] {
            assert_eq!(pace.held(vnf, &gone, vec![one("load", Some("back"))], Stamp(at)), [one("load", says)], "{at}");
        }
        let other = VnfId(Uuid::from_u128(2));
        assert_eq!(pace.held(other, &is, vec![one("load", Some("x"))], Stamp(303_000)), [one("load", Some("x"))]);
        // After a quiet time there are as many at once as before, and no more.
        let burst = (0..9u64).filter(|n| pace.may(vnf, &"load".into(), Stamp(9_000_000 + n))).count();
        assert_eq!(burst, AT_ONCE as usize);
    }
}
