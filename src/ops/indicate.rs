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
        time::Clock,
        vnf::{Body, VnfInstance},
        vnfd::{GuestFile, Indicator},
    },
    store::{Durability, Store},
    vim::port::{GuestState, Hypervisor},
};

/// What a reading may have, in bytes.
const MOST: u32 = 1024;
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
    me: Weak<Indicators>,
}

impl Indicators {
    pub fn new(store: Store, clock: Arc<dyn Clock>, hypervisor: Arc<dyn Hypervisor>) -> Arc<Indicators> {
        let (busy, over, turn) = Default::default();
        Arc::new_cyclic(|me| Indicators { store, clock, hypervisor, busy, over, turn, me: me.clone() })
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
            if let Err(fault) = me.round() {
                tracing::warn!("VNF indicators are not read: {fault:?}");
            }
            me.busy.store(false, Ordering::Release);
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
        for v in self.store.list::<VnfInstance>()? {
            let (Some(of), Some(body)) = (declared.get(&v.package).filter(|_| v.instantiated), &v.body) else { continue };
            if self.over.load(Ordering::Acquire) {
                return Ok(());
            }
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
            };
            // It may have come to an end while its guests were asked.
            self.store.write(Durability::Soon, |tx| {
                let same = tx.get::<VnfInstance>(&v.id)?.is_some_and(|is| is.instantiated && is.package == v.package);
                if same { tx.put(&now) } else { Ok(()) }
            })?;
        }
        // What is left is of VNFs that are no more.
        if !kept.is_empty() {
            self.store.write(Durability::Lazy, |tx| kept.keys().try_for_each(|id| tx.delete::<VnfIndicators>(id).map(|_| ())))?;
        }
        Ok(())
    }

    fn read(&self, of: &[Indicator], body: &Body) -> Vec<Reading> {
        // A guest that does not answer is asked once in a round.
        let mut silent: HashMap<VnfcId, String> = HashMap::new();
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
            // What the agent refuses is of this file alone.
            if f.kind() != Kind::Invalid {
                silent.insert(guest, f.detail());
            }
            f.detail()
        })?;
        if read.len() > MOST as usize {
            return Err(format!("{} is longer than {MOST} bytes", file.path));
        }
        let text = String::from_utf8(read).map_err(|_| format!("{} is no UTF-8 text", file.path))?;
        Ok(text.trim().to_owned())
    }
}
