//! The store's side of delivery: who is how far, which events are still needed, dead letters. Plain
//! synchronous code; every write here may be lost in a crash but for a subscription itself, for then
//! notifications come once more.

use uuid::Uuid;

use super::{Inner, lock};
use crate::{
    model::{
        error::Result,
        event::Event,
        subscription::{DeadLetter, ElementListener, EventCount, Eyes, NfvoMade, Progress, Subscription},
        vnf::VnfInstance,
    },
    store::{Durability, Store, Table, Tx},
};

/// Events looked at in one go.
const BATCH: usize = 32;
/// Events deleted in one transaction.
const SWEEP: usize = 256;
/// Dead letters kept of one subscriber; the oldest goes first.
const MOST_DEAD: usize = 1000;

/// A new subscriber hears of what comes after the newest event.
pub fn add(store: &Store, s: &Subscription, eyes: Eyes) -> Result<Progress> {
    store.write(Durability::Barrier, |tx| {
        let done = tx.get::<EventCount>(&EventCount::KEY)?.unwrap_or_default().last;
        let progress = Progress { subscription: s.id, done, attempts: 0, why: String::new(), lost: 0 };
        tx.put_new(s)?;
        put_eyes(tx, s.id, &eyes)?;
        tx.put(&progress)?;
        Ok(progress)
    })
}

/// How far it is stays; one that is not there yet is made.
pub fn replace(store: &Store, s: &Subscription, eyes: Eyes) -> Result<Progress> {
    store.write(Durability::Barrier, |tx| {
        let before = tx.get::<Progress>(&s.id)?;
        let done = tx.get::<EventCount>(&EventCount::KEY)?.unwrap_or_default().last;
        let progress = before.unwrap_or(Progress { subscription: s.id, done, attempts: 0, why: String::new(), lost: 0 });
        tx.put(s)?;
        tx.delete::<ElementListener>(&s.id)?;
        tx.delete::<NfvoMade>(&s.id)?;
        put_eyes(tx, s.id, &eyes)?;
        tx.put(&progress)?;
        Ok(progress)
    })
}

fn put_eyes(tx: &mut Tx<'_>, id: Uuid, eyes: &Eyes) -> Result<()> {
    match eyes {
        Eyes::Project => Ok(()),
        Eyes::Element(account) => tx.put(&ElementListener { subscription: id, account: account.clone() }),
        Eyes::Nfvo(account) => tx.put(&NfvoMade { id, account: account.clone() }),
    }
}

pub fn remove(store: &Store, id: Uuid) -> Result<()> {
    let dead: Vec<(Uuid, u64)> = store.list_under::<DeadLetter>(&id)?.iter().map(|d| (id, d.event.sequence)).collect();
    store.write(Durability::Barrier, |tx| {
        tx.delete::<Subscription>(&id)?;
        tx.delete::<Progress>(&id)?;
        tx.delete::<ElementListener>(&id)?;
        tx.delete::<NfvoMade>(&id)?;
        dead.iter().try_for_each(|k| tx.delete::<DeadLetter>(k).map(|_| ()))
    })
}

/// What a subscriber's task does next.
pub struct Next {
    /// Events it wants, in order.
    pub events: Vec<Event>,
    /// The last event looked at; everything up to it that is not in `events` is not wanted.
    pub seen: u64,
    pub more: bool,
}

impl Inner {
    /// The next events for a subscriber; all of them are durable.
    pub fn next(&self, s: &Subscription) -> Result<Next> {
        let done = self.done(s.id);
        let mut all = self.store.page::<Event>(Some(&done), BATCH)?;
        let more = all.len() == BATCH;
        let seen = all.last().map_or(done, |e| e.sequence);
        if !all.is_empty() {
            self.store.settle()?;
        }
        let now = self.clock.now();
        let undated: Vec<&mut Event> = all.iter_mut().filter(|e| e.at.is_none()).collect();
        if !undated.is_empty() {
            // Dated once, so that each subscriber and each repeat tells the same time.
            self.store.write(Durability::Lazy, |tx| {
                for e in &undated {
                    if let Some(stored) = tx.get::<Event>(&e.sequence)?
                        && stored.at.is_none()
                    {
                        tx.put(&Event { at: Some(now), ..stored })?;
                    }
                }
                Ok(())
            })?;
            for e in undated {
                e.at = self.store.get::<Event>(&e.sequence)?.and_then(|e| e.at).or(Some(now));
            }
        }
        let eyes = self.eyes_of(s.id)?;
        let in_service = |vnf| self.store.get::<VnfInstance>(&vnf).is_ok_and(|v| v.is_some_and(|v| v.ns.is_some()));
        all.retain(|e| s.wants(e) && eyes.hear(e, in_service));
        Ok(Next { events: all, seen, more })
    }

    pub fn eyes_of(&self, id: Uuid) -> Result<Eyes> {
        if let Some(l) = self.store.get::<ElementListener>(&id)? {
            return Ok(Eyes::Element(l.account));
        }
        Ok(self.store.get::<NfvoMade>(&id)?.map_or(Eyes::Project, |m| Eyes::Nfvo(m.account)))
    }

    pub fn done(&self, id: Uuid) -> u64 {
        lock(&self.progress).get(&id).map_or(u64::MAX, |p| p.done)
    }

    fn change(&self, id: Uuid, change: impl FnOnce(&mut Progress)) -> Result<Option<Progress>> {
        let changed = lock(&self.progress).get_mut(&id).map(|p| {
            change(p);
            p.clone()
        });
        if let Some(p) = &changed {
            self.store.write(Durability::Lazy, |tx| if tx.exists::<Subscription>(&id)? { tx.put(p) } else { Ok(()) })?;
        }
        Ok(changed)
    }

    /// Everything up to `sequence` is delivered, or not wanted.
    pub fn delivered(&self, id: Uuid, sequence: u64) -> Result<()> {
        self.change(id, |p| {
            p.done = p.done.max(sequence);
            p.attempts = 0;
            p.why = String::new();
        })?;
        self.trim()
    }

    /// One more vain try; how many there were.
    pub fn failed(&self, id: Uuid, why: &str) -> Result<u32> {
        let now = self.change(id, |p| {
            p.attempts += 1;
            p.why = why.chars().take(500).collect();
        })?;
        Ok(now.map_or(u32::MAX, |p| p.attempts))
    }

    /// The notification of `event` is put aside, and the next one has its turn.
    pub fn give_up(&self, id: Uuid, event: &Event, attempts: u32, why: &str) -> Result<()> {
        let letter = DeadLetter {
            subscription: id,
            event: event.clone(),
            attempts,
            why: why.chars().take(500).collect(),
            given_up: self.clock.now(),
        };
        let before = self.store.list_under::<DeadLetter>(&id)?;
        let too_many: Vec<u64> = before.iter().take((before.len() + 1).saturating_sub(MOST_DEAD)).map(|d| d.event.sequence).collect();
        self.store.write(Durability::Lazy, |tx| {
            too_many.iter().try_for_each(|n| tx.delete::<DeadLetter>(&(id, *n)).map(|_| ()))?;
            if tx.exists::<Subscription>(&id)? { tx.put(&letter) } else { Ok(()) }
        })?;
        self.delivered(id, event.sequence)
    }

    pub fn dead(&self, id: Uuid) -> Result<Vec<DeadLetter>> {
        self.store.list_under(&id)
    }

    pub fn revived(&self, letter: &DeadLetter) -> Result<()> {
        self.store.write(Durability::Lazy, |tx| tx.delete::<DeadLetter>(&(letter.subscription, letter.event.sequence)).map(|_| ()))
    }

    /// Removes the events that nobody needs any more.
    pub fn trim(&self) -> Result<()> {
        let floor = lock(&self.progress).values().map(|p| p.done).min().unwrap_or(u64::MAX);
        loop {
            let old: Vec<u64> = self.store.page::<Event>(None, SWEEP)?.iter().map(|e| e.sequence).take_while(|n| *n <= floor).collect();
            if old.is_empty() {
                return Ok(());
            }
            self.store.write(Durability::Lazy, |tx| old.iter().try_for_each(|n| tx.delete::<Event>(n).map(|_| ())))?;
            if old.len() < SWEEP {
                return Ok(());
            }
        }
    }

    /// Holds the outbox to its bound: those farthest behind lose the oldest events.
    pub fn bound(&self) -> Result<()> {
        if self.store.count(Table::Outbox)? <= self.settings.backlog {
            return Ok(());
        }
        let cut = self.store.last_event()?.saturating_sub(self.settings.backlog);
        let behind: Vec<Uuid> = lock(&self.progress).values().filter(|p| p.done < cut).map(|p| p.subscription).collect();
        for id in behind {
            let now = self.change(id, |p| {
                p.lost += cut.saturating_sub(p.done);
                p.done = p.done.max(cut);
            })?;
            tracing::warn!(subscription = %id, lost = now.map_or(0, |p| p.lost), "a subscriber is too far behind: the oldest events are dropped for it");
        }
        self.trim()
    }
}
