//! What the box has and what is left of it (SOL005 10), and who is told when that crosses a threshold.
//!
//! The figures change with what this box does itself: thresholds are looked at when an operation is over, a grant was
//! given, or some seconds have passed. Never: wire forms, the sums (`vim::zones`).

use std::sync::PoisonError;

use tracing::warn;
use uuid::Uuid;

use super::Nfvo;
use crate::{
    model::{
        capacity::{CapacityThreshold, Zone},
        error::{Fault, Kind, Result},
        grant::Promised,
    },
    store::Durability,
    vim::{place::usage::usage, zones::zones},
};

/// Thresholds there may be.
const MOST: usize = 100;

impl Nfvo {
    /// By the sums that requests are judged by.
    pub fn capacity(&self) -> Result<Vec<Zone>> {
        let snap = self.vnfm.snapshot()?;
        let promised = snap.promised.iter().fold(Promised::default(), |sum, (_, p)| Promised {
            vcpus: sum.vcpus.saturating_add(p.vcpus),
            memory: sum.memory.plus(p.memory),
            disk: sum.disk.plus(p.disk),
        });
        let used = self.vnfm.facts_seen().map(|f| usage(&f, &self.vnfm.rules().reserve, &snap.held));
        Ok(zones(&snap.account, promised, used.as_ref()))
    }

    pub fn add_capacity_threshold(&self, t: &CapacityThreshold) -> Result<()> {
        let store = &self.vnfm.store;
        if store.list::<CapacityThreshold>()?.len() >= MOST {
            return Err(Fault::conflict(format!("there are {MOST} capacity thresholds already")));
        }
        store.write(Durability::Barrier, |tx| tx.put_new(t))
    }

    pub fn capacity_threshold(&self, id: Uuid) -> Result<CapacityThreshold> {
        self.vnfm.store.get(&id)?.ok_or_else(|| Fault::not_found(format!("there is no capacity threshold {id}")))
    }

    /// Another revision, which is given back, for what is told by its callback; `check` sees the one that there is.
    pub fn touch_capacity_threshold(&self, id: Uuid, check: impl Fn(u64) -> Result<()>) -> Result<u64> {
        self.vnfm.store.write(Durability::Barrier, |tx| {
            let t = tx.get::<CapacityThreshold>(&id)?;
            let mut t = t.ok_or_else(|| Fault::not_found(format!("there is no capacity threshold {id}")))?;
            check(t.revision)?;
            t.revision += 1;
            tx.put(&t)?;
            Ok(t.revision)
        })
    }

    /// `check` sees the revision that there is.
    pub fn remove_capacity_threshold(&self, id: Uuid, check: impl Fn(u64) -> Result<()>) -> Result<()> {
        self.vnfm.store.write(Durability::Barrier, |tx| {
            let t = tx.get::<CapacityThreshold>(&id)?;
            let t = t.ok_or_else(|| Fault::not_found(format!("there is no capacity threshold {id}")))?;
            check(t.revision)?;
            tx.delete::<CapacityThreshold>(&id).map(drop)
        })
    }

    /// Whoever set a threshold is told where it was crossed. Cheap while nobody did.
    pub fn tell_capacity(&self) {
        match self.judge_capacity() {
            Ok(()) => {}
            // The box cannot tell what it has: the next look asks again.
            Err(fault) if fault.kind() == Kind::Transient => {}
            Err(fault) => warn!("thresholds of capacity are not looked at: {fault:?}"),
        }
    }

    fn judge_capacity(&self) -> Result<()> {
        let store = &self.vnfm.store;
        // One look after the other: an older one must not come after a newer.
        let _one = self.judging.lock().unwrap_or_else(PoisonError::into_inner);
        let all = store.list::<CapacityThreshold>()?;
        if all.is_empty() {
            return Ok(());
        }
        let (zones, now) = (self.capacity()?, self.vnfm.clock.now());
        for t in all.iter().filter(|t| (*t).clone().look(&zones, now)) {
            store.write(Durability::Soon, |tx| {
                let Some(mut t) = tx.get::<CapacityThreshold>(&t.id)? else { return Ok(()) };
                // Each crossing is news of its own.
                while t.look(&zones, now) {
                    tx.put(&t)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
