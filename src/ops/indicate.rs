//! VNF indicators: what VNFs tell of themselves, read from their guests.
//!
//! ```text
//! instantiated VNF whose VNFD declares indicators -> each guest's file, by its agent -> record -> news, where it is another
//! ```
//! A round has a thread of its own, which ends with it: agents take their time. Where no VNFD declares an indicator there is
//! none. Owns what is read, and what it is where it cannot be. Never: HTTP; a value that no guest gave.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    model::{
        error::{Fault, Kind, Result},
        id::{VnfId, VnfPkgId, VnfcId},
        indicator::{Reading, VnfIndicators},
        package::VnfPackage,
        subscription::{Source, Subscription},
        time::Clock,
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
/// How long an agent may take for each command.
const WAIT: Duration = Duration::from_secs(2);

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
    me: Weak<Indicators>,
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
        let (busy, over, turn, silent) = Default::default();
        Arc::new_cyclic(|me| Indicators { store, clock, hypervisor, busy, over, turn, silent, me: me.clone() })
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
        let mut guests = Vec::new();
        let listened = self.store.list::<Subscription>()?.iter().any(|s| s.source == Source::VnfInd);
        for v in self.store.list::<VnfInstance>()? {
            let (Some(of), Some(body)) = (declared.get(&v.package).filter(|_| v.instantiated), &v.body) else { continue };
            if self.over.load(Ordering::Acquire) {
                return Ok(());
            }
            guests.extend(body.vnfcs.iter().map(|g| g.id));
            let all = self.read(of, body);
            let before = kept.remove(&v.id);
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
        self.silent.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| guests.contains(id));
        // What is left is of VNFs that are no more.
        if !kept.is_empty() {
            self.store.write(Durability::Lazy, |tx| kept.keys().try_for_each(|id| tx.delete::<VnfIndicators>(id).map(|_| ())))?;
        }
        Ok(())
    }

    fn read(&self, of: &[Indicator], body: &Body) -> Vec<Reading> {
        // A guest that does not answer is asked once in a round, and not in each.
        let mut silent = self.left_alone(body);
        let one = |i: &Indicator| {
            let mut r = Reading { id: i.id.clone(), values: Vec::new(), why: Vec::new() };
            let Some(file) = &i.source else {
                r.why.push(format!("the VNFD does not say where it is read (metadata bothy.indicator.{} of the VNF)", i.id));
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
        let mut all = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut all = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
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
