//! How events leave the simulated box, and how time passes in it.
//!
//! Owns the queue that hands events out in order, one at a time, with no lock held while a
//! subscriber runs; and one lazy thread for what guests do later. Never: what the events mean.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    model::id::VnfcId,
    vim::port::{EventSink, GuestEvent},
};

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    sinks: Vec<Arc<EventSink>>,
    events: VecDeque<GuestEvent>,
    /// Somebody hands events out now; he will take what others add.
    busy: bool,
}

impl Queue {
    pub(super) fn subscribe(&self, sink: EventSink) {
        lock(&self.state).sinks.push(Arc::new(sink));
    }
    pub(super) fn post(&self, events: Vec<GuestEvent>) {
        let mut state = lock(&self.state);
        state.events.extend(events);
        if state.busy {
            return;
        }
        state.busy = true;
        while let Some(event) = state.events.pop_front() {
            let sinks = state.sinks.clone();
            drop(state);
            for sink in &sinks {
                sink(event);
            }
            state = lock(&self.state);
        }
        state.busy = false;
    }
}

/// What a guest does by itself, in one run of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticker {
    pub id: VnfcId,
    /// Which of its runs this belongs to; nothing happens in a later one.
    pub run: u64,
    pub what: Tick,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tick {
    AgentUp,
    Halt,
    Crash,
}

/// One thread for all that is due later; made when first needed, gone with the `Sim`.
pub(super) struct Timer {
    shared: Arc<Shared>,
    fire: Arc<dyn Fn(Ticker) + Send + Sync>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<Due>,
    changed: Condvar,
}

#[derive(Default)]
struct Due {
    /// By time and order of arrival.
    at: BTreeMap<(Instant, u64), Ticker>,
    arrived: u64,
    running: bool,
    ended: bool,
}

impl Timer {
    pub(super) fn new(fire: impl Fn(Ticker) + Send + Sync + 'static) -> Self {
        Timer { shared: Arc::default(), fire: Arc::new(fire) }
    }
    pub(super) fn after(&self, delay: Duration, what: Ticker) {
        let mut due = lock(&self.shared.state);
        due.arrived += 1;
        let key = (Instant::now() + delay, due.arrived);
        due.at.insert(key, what);
        if !due.running {
            due.running = true;
            let (shared, fire) = (self.shared.clone(), self.fire.clone());
            thread::spawn(move || shared.run(&*fire));
        }
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn run(&self, fire: &(dyn Fn(Ticker) + Send + Sync)) {
        let mut due = lock(&self.state);
        while !due.ended {
            let now = Instant::now();
            let Some((&(at, n), &what)) = due.at.first_key_value() else {
                due = self.changed.wait(due).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if at > now {
                due = self.changed.wait_timeout(due, at - now).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            due.at.remove(&(at, n));
            drop(due);
            fire(what);
            due = lock(&self.state);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        lock(&self.shared.state).ended = true;
        self.shared.changed.notify_all();
    }
}
