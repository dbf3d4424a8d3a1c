//! The list of alarms.
//!
//! Every change of it goes through here, one at a time, so that what stands is known in memory and
//! nothing is raised twice. Owns what follows from what: a VNF's alarm and that of its service.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::model::order::Order as _;
use crate::{
    model::{
        alarm::{Ack, Alarm, AlarmList, Cause, Key, Object, Part, Severity, Symptom},
        error::{Fault, Result},
        id::{AlarmId, NsId, VnfId},
        ns::NsInstance,
        time::{Clock, Dice, Stamp},
        tree::tree,
        vnf::VnfInstance,
    },
    store::{Durability, Store},
};

/// Cleared alarms that are kept: those nobody has acknowledged, and those somebody has. The oldest go first.
const KEPT: Bounds = Bounds { unseen: 1000, seen: 200 };

#[derive(Debug, Clone, Copy)]
struct Bounds {
    unseen: usize,
    seen: usize,
}

pub struct Alarms {
    store: Store,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    standing: Mutex<BTreeMap<Key, Alarm>>,
    /// What somebody knows to be worse than it looks from here, while it stands and bothy runs. Locked after `standing`.
    escalated: Mutex<BTreeMap<Key, Severity>>,
}

/// Changes of alarms that go into one transaction.
struct Changes<'a> {
    standing: MutexGuard<'a, BTreeMap<Key, Alarm>>,
    of: &'a Alarms,
    now: Stamp,
    changed: BTreeMap<AlarmId, Alarm>,
}

impl Alarms {
    /// Takes up what stood. A store that was mended or restored has another list than subscribers know: they
    /// are told.
    pub fn open(store: Store, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Result<Alarms> {
        let all = store.list::<Alarm>()?;
        let standing = tree(all.into_iter().filter(|a| a.cleared.is_none()).map(|a| (a.key(), a)));
        let generation = store.generation();
        let known = store.get::<AlarmList>(&AlarmList::KEY)?;
        let other = known.as_ref().is_some_and(|k| k.generation != generation) || !store.notes().is_empty();
        if other || known.is_none() {
            let rebuilt = if other { Some(clock.now()) } else { None };
            store.write(Durability::Barrier, |tx| tx.put(&AlarmList { generation, rebuilt }))?;
        }
        Ok(Alarms { store, clock, dice, standing: Mutex::new(standing), escalated: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Alarm>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn escalated(&self) -> MutexGuard<'_, BTreeMap<Key, Severity>> {
        self.escalated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changes(&self) -> Changes<'_> {
        Changes { standing: self.lock(), of: self, now: self.clock.now(), changed: BTreeMap::new() }
    }

    /// The fault is there; gives its alarm.
    pub fn raise(&self, s: Symptom) -> Result<AlarmId> {
        let mut c = self.changes();
        let id = c.raise(s)?;
        c.commit()?;
        Ok(id)
    }

    /// What stands gets a second sentence, in the place of the one it had, and is at least so bad.
    pub fn remark(&self, key: &Key, severity: Severity, text: String) -> Result<()> {
        let mut c = self.changes();
        let Some(a) = c.standing.get(key).cloned() else { return Ok(()) };
        let details = a.details.iter().take(1).cloned().chain([text]).collect();
        c.raise(Symptom { key: key.clone(), project: a.project, severity: a.severity.max(severity), details, caused_by: a.caused_by })?;
        c.commit()
    }

    /// The faults of which `over` is true are gone.
    pub fn clear(&self, over: impl Fn(&Key) -> bool) -> Result<()> {
        let mut c = self.changes();
        let keys: Vec<Key> = c.standing.keys().filter(|k| over(k)).cloned().collect();
        for key in &keys {
            c.clear(key)?;
        }
        c.commit()
    }

    /// What stands and is `wanted`.
    pub fn standing(&self, wanted: impl Fn(&Key) -> bool) -> Vec<Key> {
        self.lock().keys().filter(|k| wanted(k)).cloned().collect()
    }

    /// `check` sees the alarm as it is when it is changed.
    pub fn acknowledge(&self, id: AlarmId, to: Ack, check: impl Fn(&Alarm) -> Result<()>) -> Result<Alarm> {
        let mut c = self.changes();
        let found = self.store.get::<Alarm>(&id)?;
        let mut alarm = found.ok_or_else(|| Fault::not_found(format!("there is no alarm {id}")))?;
        check(&alarm)?;
        alarm.acknowledge(to, c.now)?;
        c.put(alarm.clone());
        c.commit()?;
        Ok(alarm)
    }

    /// Somebody knows that it is worse. The same again is no change.
    pub fn escalate(&self, id: AlarmId, to: Severity) -> Result<()> {
        let mut c = self.changes();
        let alarm = c.standing.values().find(|a| a.id == id).cloned();
        let alarm = alarm.ok_or_else(|| Fault::invalid(format!("alarm {id} is cleared: it is as bad as it was")))?;
        if to < alarm.severity {
            return Err(Fault::invalid(format!("alarm {id} is more severe already; only more can be proposed")));
        }
        self.escalated().insert(alarm.key(), to);
        c.raise(Symptom { key: alarm.key(), project: alarm.project, severity: to, details: alarm.details, caused_by: alarm.caused_by })?;
        c.commit()
    }

    /// Forgets the oldest of what is over.
    pub fn prune(&self) -> Result<usize> {
        self.prune_to(KEPT)
    }

    fn prune_to(&self, kept: Bounds) -> Result<usize> {
        let _alone = self.lock();
        let mut over: Vec<Alarm> = self.store.list::<Alarm>()?;
        over.retain(|a| a.cleared.is_some());
        over.order_by_key(|a| std::cmp::Reverse(a.cleared));
        let (seen, unseen): (Vec<_>, Vec<_>) = over.into_iter().partition(|a| a.ack() == Ack::Acknowledged);
        let old: Vec<AlarmId> = seen.iter().skip(kept.seen).chain(unseen.iter().skip(kept.unseen)).map(|a| a.id).collect();
        if !old.is_empty() {
            self.store.write(Durability::Lazy, |tx| old.iter().try_for_each(|id| tx.delete::<Alarm>(id).map(|_| ())))?;
        }
        Ok(old.len())
    }

    #[cfg(test)]
    pub(super) fn prune_for_test(&self, unseen: usize, seen: usize) -> Result<usize> {
        self.prune_to(Bounds { unseen, seen })
    }
}

impl Changes<'_> {
    fn put(&mut self, a: Alarm) {
        if a.cleared.is_none() {
            self.standing.insert(a.key(), a.clone());
        } else if self.standing.get(&a.key()).is_some_and(|s| s.id == a.id) {
            // Another one of its kind may stand by now.
            self.standing.remove(&a.key());
            self.of.escalated().remove(&a.key());
        }
        self.changed.insert(a.id, a);
    }

    fn raise(&mut self, s: Symptom) -> Result<AlarmId> {
        let (id, is_new) = self.note(s.clone());
        if let Some(cause) = s.caused_by {
            self.explain(cause, id);
        }
        if let (Object::Vnf(vnf), true) = (s.key.object, is_new || self.changed.contains_key(&id)) {
            self.follow(vnf, s.key.cause)?;
        }
        Ok(id)
    }

    /// New, or changed where it is seen otherwise than it was.
    fn note(&mut self, mut s: Symptom) -> (AlarmId, bool) {
        if let Some(known) = self.of.escalated().get(&s.key) {
            s.severity = s.severity.max(*known);
        }
        match self.standing.get(&s.key).cloned() {
            Some(mut a) => {
                let id = a.id;
                if a.again(&s, self.now) {
                    self.put(a);
                }
                (id, false)
            }
            None => {
                let id = AlarmId(uuid::Builder::from_random_bytes(self.of.dice.bytes16()).into_uuid());
                self.put(Alarm::raise(id, s, self.now));
                (id, true)
            }
        }
    }

    fn explain(&mut self, root: AlarmId, other: AlarmId) {
        let found = self.standing.values().find(|a| a.id == root).cloned();
        if let Some(mut a) = found
            && a.explains(other)
        {
            self.put(a);
        }
    }

    fn clear(&mut self, key: &Key) -> Result<()> {
        let Some(mut a) = self.standing.get(key).cloned() else { return Ok(()) };
        a.clear(self.now);
        self.put(a);
        if let Object::Vnf(vnf) = key.object {
            self.follow(vnf, key.cause)?;
        }
        Ok(())
    }

    /// The alarm of the service that a VNF belongs to, as the VNF's own say.
    fn follow(&mut self, vnf: VnfId, cause: Cause) -> Result<()> {
        let of_vnf: Vec<Alarm> = self.standing.values().filter(|a| a.object == Object::Vnf(vnf) && a.cause == cause).cloned().collect();
        let stands = self.standing.keys().find_map(|k| match (k.object, &k.part) {
            (Object::Ns(ns), Part::Member(m)) if *m == vnf && k.cause == cause => Some(ns),
            (Object::Ns(_) | Object::Vnf(_) | Object::Host, Part::Whole | Part::Guest(_) | Part::Member(_) | Part::Named(_)) => None,
        });
        let Some(ns) = self.service(vnf)?.or(stands) else { return Ok(()) };
        let key = Key { object: Object::Ns(ns), part: Part::Member(vnf), cause };
        let Some(root) = of_vnf.iter().min_by_key(|a| a.raised) else { return self.clear(&key) };
        let Some(severity) = of_vnf.iter().map(|a| a.severity).max() else { return Ok(()) };
        let (id, _) = self.note(Symptom {
            key,
            project: self.of.store.get::<NsInstance>(&ns)?.map_or(root.project, |n| n.project),
            severity,
            details: of_vnf.iter().flat_map(|a| a.details.iter().cloned()).collect(),
            caused_by: Some(root.id),
        });
        for a in &of_vnf {
            self.explain(a.id, id);
        }
        Ok(())
    }

    fn service(&self, vnf: VnfId) -> Result<Option<NsId>> {
        Ok(self.of.store.get::<VnfInstance>(&vnf)?.and_then(|v| v.ns))
    }

    /// One transaction. What is not stored does not stand in memory either.
    fn commit(mut self) -> Result<()> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let done = self.of.store.write(Durability::Barrier, |tx| self.changed.values().try_for_each(|a| tx.put(a)));
        if done.is_err() {
            for id in self.changed.keys() {
                self.standing.retain(|_, a| a.id != *id);
                if let Ok(Some(a)) = self.of.store.get::<Alarm>(id)
                    && a.cleared.is_none()
                {
                    self.standing.insert(a.key(), a);
                }
            }
        }
        done
    }
}

/// The guest that an alarm of a VNF is about.
pub fn of_guest(key: &Key) -> Option<(VnfId, crate::model::id::VnfcId)> {
    match (key.object, &key.part) {
        (Object::Vnf(vnf), Part::Guest(guest)) => Some((vnf, *guest)),
        (Object::Host | Object::Vnf(_) | Object::Ns(_), Part::Whole | Part::Guest(_) | Part::Member(_) | Part::Named(_)) => None,
    }
}
