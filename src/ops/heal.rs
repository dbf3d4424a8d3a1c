//! Auto-healing: when a crashed guest is made again, how often, and when that is given up.
//!
//! ```text
//!  crash ──► due ──healing begins──► waits ──crash again: after a pause, twice as long each time──► due
//!                                      │                          after so many tries: given up
//!                                      └─ long enough without a crash: forgotten
//! ```
//! Owns the count of tries and their pauses, per VNF and guest's place in it: a healed guest is another one.
//! They are kept in memory: a start of bothy starts what should run, and counts anew. What is given up is
//! said by the alarm that stands. Never: how a guest is healed.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use smol_str::SmolStr;
use tracing::{info, warn};

use super::alarms::{Alarms, of_guest};
use crate::{
    model::{
        alarm::{Cause, Key, Severity},
        error::{Kind, Result},
        id::{VnfId, VnfcId},
        op::{OpKind, Operation, Phase},
        vnf::{Autoheal, RunState, VnfInstance, Vnfc},
    },
    store::Store,
};

/// VNF, VDU and number.
type Place = (VnfId, SmolStr, u32);

struct Case {
    tries: u32,
    /// Not before.
    next: Instant,
    last: Instant,
    given_up: bool,
}

pub struct Healer {
    store: Store,
    alarms: Arc<Alarms>,
    cases: BTreeMap<Place, Case>,
}

impl Healer {
    pub fn new(store: Store, alarms: Arc<Alarms>) -> Healer {
        Healer { store, alarms, cases: BTreeMap::new() }
    }

    /// Begins what is due. `is_off`: whether the guest does not run, as the hypervisor says; `heal` begins the
    /// operation, with the reason for people. Where another operation waits for its grant, maybe for days, `start` starts
    /// the guest as it is, and that is a try too.
    pub fn tick(
        &mut self,
        rules: &Autoheal,
        now: Instant,
        is_off: impl Fn(VnfcId) -> bool,
        heal: impl Fn(&VnfInstance, VnfcId, &str) -> Result<Operation>,
        start: impl Fn(VnfId, VnfcId) -> Result<()>,
    ) -> Result<()> {
        let mut sick: BTreeMap<Place, (Key, VnfInstance, Vnfc)> = BTreeMap::new();
        for key in self.alarms.standing(|k| k.cause == Cause::GuestCrashed) {
            let Some((vnf, guest)) = of_guest(&key) else { continue };
            let Some(v) = self.store.get::<VnfInstance>(&vnf)?.filter(VnfInstance::heals_itself) else { continue };
            let runs = v.body.as_ref().filter(|b| v.instantiated && b.run == RunState::Started);
            let Some(c) = runs.and_then(|b| b.vnfc(guest)).cloned() else { continue };
            sick.insert((vnf, c.vdu.clone(), c.index), (key, v, c));
        }
        let calm = Duration::from_secs(rules.calm_s);
        self.cases.retain(|place, c| sick.contains_key(place) && c.given_up || !c.given_up && now.duration_since(c.last) < calm);
        for (place, (key, v, guest)) in sick {
            let case = self.cases.entry(place).or_insert(Case { tries: 0, next: now, last: now, given_up: false });
            if case.given_up {
                continue;
            }
            let other = v.op.map(|op| self.store.get::<Operation>(&op)).transpose()?.flatten();
            let waits = other.as_ref().is_some_and(|o| o.awaits_grant() && o.kind != OpKind::Heal);
            if v.op.is_some() && !waits {
                if let Some(op) = other.filter(|o| o.kind == OpKind::Heal && o.state.phase() == Phase::Stuck) {
                    let text = format!("healing by itself failed: retry operation {}, or mark it as failed", op.parent.unwrap_or(op.id));
                    self.alarms.remark(&key, Severity::Critical, text)?;
                }
                continue;
            }
            if case.tries >= rules.tries {
                case.given_up = true;
                let text = match rules.tries {
                    0 => "it is not healed: autoheal.tries is 0".into(),
                    n => format!("healing by itself is given up: {n} times it crashed again"),
                };
                warn!(guest = %guest.id, vnf = %v.id, "{text}");
                self.alarms.remark(&key, Severity::Critical, text)?;
                continue;
            }
            if now < case.next || !is_off(guest.id) {
                continue;
            }
            let n = case.tries + 1;
            let why = format!("begun by itself: guest {} ({}) crashed; try {n} of {}", guest.hostname, guest.id, rules.tries);
            let pause = Duration::from_millis(rules.pause_ms).saturating_mul(1 << case.tries.min(16));
            case.next = now + pause;
            let begun = if waits { start(v.id, guest.id).map(|()| None) } else { heal(&v, guest.id, &why).map(|op| Some(op.id)) };
            match begun {
                Ok(op) => {
                    info!(?op, vnf = %v.id, guest = %guest.id, "{why}");
                    (case.tries, case.last) = (n, now);
                }
                // Another operation is under way, of the VNF's service say: later.
                Err(f) if f.kind() == Kind::Conflict => {
                    self.alarms.remark(&key, Severity::Major, format!("healing by itself has to wait: {f}"))?;
                }
                Err(f) => {
                    warn!(vnf = %v.id, guest = %guest.id, "healing by itself cannot begin: {f:?}");
                    (case.tries, case.last) = (n, now);
                    self.alarms.remark(&key, Severity::Major, format!("healing by itself could not begin: {f}"))?;
                }
            }
        }
        Ok(())
    }
}
