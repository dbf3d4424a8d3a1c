//! Notifications: from the outbox to the subscribers.
//!
//! ```text
//! a transaction changes a record --> its event, in the same transaction (store) --> durable
//!      --> each subscriber's task: the next event it wants --> POST --> 204 --> next
//!                                     ^                            |
//!                                     +------- backoff <-----------+   after limits: a dead letter
//! ```
//! Owns subscriptions as they live, delivery, backoff, dead letters, and how long events are kept.
//!
//! * Order: each subscriber gets its notifications one after the other, in the order of the events.
//! * At least once: how far a subscriber got is stored lazily, so after a crash the last ones may
//!   come again, with the same ids.
//! * A subscriber that does not answer holds up nobody: operations only write to the outbox, and every
//!   subscriber has a task of its own. When the outbox has more than `notify.backlog` events, the
//!   oldest are dropped for those who are behind, and counted.
//!
//! Beside it `web`: the same client for adapters that wait for each answer; and `resume`, for what is large.
//!
//! Never: what a notification's body looks like (that is handed in), who may subscribe.

pub mod client;
mod deliver;
mod outbox;
pub mod resume;
mod tls;
pub mod web;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustls::ClientConfig;
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    task::JoinHandle,
};
use uuid::Uuid;

use self::client::{Caller, Dial};
use crate::{
    model::{
        error::{Fault, Result},
        event::Event,
        subscription::{Auth, DeadLetter, Eyes, Progress, Source, Subscription},
        time::Clock,
    },
    store::{Store, Table},
};

/// A notification as it is sent.
pub struct Rendered {
    /// Of the API it belongs to (SOL013 9.3).
    pub version: String,
    pub body: Vec<u8>,
}

/// Makes the body of a notification.
pub type Render = Box<dyn Fn(&Subscription, &Event) -> Result<Rendered> + Send + Sync>;

#[derive(Debug, Clone)]
pub struct Settings {
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// Vain tries before a notification becomes a dead letter.
    pub attempts: u32,
    /// Events kept for subscribers that are behind.
    pub backlog: u64,
    /// First pause after a vain try; each further one is twice as long, up to `longest`.
    pub pause: Duration,
    pub longest: Duration,
}

/// TLS towards subscribers: without a certificate of ours, and with it.
#[derive(Clone)]
pub struct Tls {
    pub plain: Arc<ClientConfig>,
    pub known: Arc<ClientConfig>,
    shown: Arc<tls::Shown>,
}

pub struct Notifier {
    inner: Arc<Inner>,
    runtime: Handle,
    tasks: Mutex<HashMap<Uuid, Task>>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

struct Task {
    handle: JoinHandle<()>,
}

/// What the tasks share.
struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    render: Render,
    settings: Settings,
    tls: Tls,
    /// The number of the newest event.
    newest: watch::Sender<u64>,
    progress: Mutex<HashMap<Uuid, Progress>>,
    /// Pokes a subscriber's task out of its pause.
    poke: Mutex<HashMap<Uuid, Arc<Poke>>>,
}

/// A wake-up call, and what for: whoever takes the call in a pause between two tries goes on with that event first.
#[derive(Default)]
struct Poke {
    call: Notify,
    /// Dead letters are to be sent once more.
    revive: AtomicBool,
}

impl Poke {
    fn revives(&self) -> bool {
        self.revive.swap(false, Ordering::AcqRel)
    }
}

/// A subscriber as operators see it.
pub struct Standing {
    pub subscription: Subscription,
    pub progress: Progress,
    /// Events it has not got yet, wanted or not.
    pub waiting: u64,
    pub dead: Vec<DeadLetter>,
}

impl Notifier {
    /// Takes up every subscription. Has to be called inside the runtime.
    pub fn start(store: Store, clock: Arc<dyn Clock>, render: Render, settings: Settings, tls: Tls) -> Result<Arc<Notifier>> {
        let newest = watch::Sender::new(store.last_event()?);
        let teller = newest.clone();
        store.on_events(move |n| {
            teller.send_if_modified(|last| {
                let is_newer = n > *last;
                *last = n.max(*last);
                is_newer
            });
        });
        let subscriptions = store.list::<Subscription>()?;
        let mut progress: HashMap<Uuid, Progress> = store.list::<Progress>()?.into_iter().map(|p| (p.subscription, p)).collect();
        progress.retain(|id, _| subscriptions.iter().any(|s| s.id == *id));
        let inner = Arc::new(Inner { store, clock, render, settings, tls, newest, progress: Mutex::new(progress), poke: Mutex::default() });
        let me = Arc::new(Notifier { inner, runtime: Handle::current(), tasks: Mutex::default(), keeper: Mutex::default() });
        for s in subscriptions {
            me.spawn(s)?;
        }
        *lock(&me.keeper) = Some(me.runtime.spawn(deliver::keep_bounds(me.inner.clone())));
        Ok(me)
    }

    fn spawn(&self, s: Subscription) -> Result<()> {
        let id = s.id;
        let caller = self.inner.caller(&s)?;
        lock(&self.inner.poke).insert(id, Arc::default());
        let mut tasks = lock(&self.tasks);
        // Two changes at the same time: one task for a subscriber.
        if let Some(before) = tasks.remove(&id) {
            before.handle.abort();
        }
        let handle = self.runtime.spawn(deliver::run(self.inner.clone(), s, caller));
        tasks.insert(id, Task { handle });
        Ok(())
    }

    /// The certificate that is shown has changed: connections from now on show what the files hold.
    pub fn show_anew(&self) {
        if let Err(fault) = self.inner.tls.shown.reload() {
            tracing::error!("subscribers are shown the certificate of before: {fault:?}");
        }
    }

    /// Whether the subscriber answers at its callback URI, with its credentials (SOL003 5.4.20.3.2): 204 to
    /// a GET.
    pub async fn probe(&self, s: &Subscription) -> Result<()> {
        let mut caller = self.inner.caller(s)?;
        let wrong = |why: String| Fault::invalid(format!("callbackUri: the test of {} failed: {why}", s.callback));
        match caller.get().await.map_err(wrong)? {
            204 => Ok(()),
            other => Err(wrong(format!("a GET there was answered with {other} instead of 204"))),
        }
    }

    /// Somebody who is no subscriber, called in the same way; secrets are sealed under `id`.
    pub fn caller(&self, what: &str, uri: &str, id: Uuid, auth: Option<&Auth>) -> Result<Caller> {
        self.inner.dial(&Dial { what, uri, auth }, id)
    }

    /// The same where the secret is at hand and was never sealed.
    pub fn caller_with(&self, what: &str, uri: &str, auth: Option<&Auth>) -> Result<Caller> {
        let i = &self.inner;
        Caller::new(&Dial { what, uri, auth }, |clear| Ok(clear.to_vec()), &i.tls, i.settings.timeout)
    }

    /// Seals what of a subscription is secret.
    pub fn seal(&self, id: Uuid, secret: &str) -> Result<Vec<u8>> {
        self.inner.store.sealer().seal(id.as_bytes(), secret.as_bytes())
    }

    /// The same subscription, if there is one: same API, callback, filter, verbosity and eyes.
    pub fn same(&self, s: &Subscription, eyes: &Eyes) -> Result<Option<Subscription>> {
        for o in self.inner.store.list::<Subscription>()? {
            let alike = (o.source, o.project, o.every_project, &o.callback, &o.filter, o.short)
                == (s.source, s.project, s.every_project, &s.callback, &s.filter, s.short);
            // What tells an element manager of its charge, or an NFVO of its own, is not what tells anybody else.
            if alike && self.eyes_of(o.id)? == *eyes {
                return Ok(Some(o));
            }
        }
        Ok(None)
    }

    /// From here on `s` hears of what happens, as far as these eyes see.
    pub fn subscribe(&self, s: Subscription, eyes: Eyes) -> Result<()> {
        let progress = outbox::add(&self.inner.store, &s, eyes)?;
        lock(&self.inner.progress).insert(s.id, progress);
        self.spawn(s)
    }

    /// Another callback, or credentials, for the same: what it has not got yet goes there.
    pub fn replace(&self, s: Subscription, eyes: Eyes) -> Result<()> {
        // What cannot be called leaves what is there.
        self.inner.caller(&s)?;
        let stored = outbox::replace(&self.inner.store, &s, eyes)?;
        if let Some(task) = lock(&self.tasks).remove(&s.id) {
            task.handle.abort();
        }
        let mut all = lock(&self.inner.progress);
        // What is known here is newer than what is stored.
        let progress = all.entry(s.id).or_insert(stored);
        (progress.attempts, progress.why) = (0, String::new());
        drop(all);
        self.spawn(s)
    }

    pub fn unsubscribe(&self, source: Source, id: Uuid) -> Result<()> {
        self.get(source, id)?;
        if let Some(task) = lock(&self.tasks).remove(&id) {
            task.handle.abort();
        }
        lock(&self.inner.poke).remove(&id);
        lock(&self.inner.progress).remove(&id);
        outbox::remove(&self.inner.store, id)?;
        self.inner.trim()
    }

    pub fn get(&self, source: Source, id: Uuid) -> Result<Subscription> {
        let found = self.any(id)?;
        if found.source == source { Ok(found) } else { Err(Fault::not_found(format!("there is no subscription {id}"))) }
    }

    /// What of its project it sees.
    pub fn eyes_of(&self, id: Uuid) -> Result<Eyes> {
        self.inner.eyes_of(id)
    }

    /// Of whichever API.
    pub fn any(&self, id: Uuid) -> Result<Subscription> {
        self.inner.store.get::<Subscription>(&id)?.ok_or_else(|| Fault::not_found(format!("there is no subscription {id}")))
    }

    /// Subscriptions of all APIs after a key, in the order of their keys.
    pub fn page(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<Subscription>> {
        self.inner.store.page(after.as_ref(), limit)
    }

    /// Every subscriber, how far it is, and what was given up.
    pub fn standings(&self) -> Result<Vec<Standing>> {
        let last = self.inner.store.last_event()?;
        let all = self.inner.store.list::<Subscription>()?;
        all.into_iter()
            .map(|subscription| {
                let id = subscription.id;
                let progress = lock(&self.inner.progress).get(&id).cloned();
                let progress = progress.unwrap_or(Progress { subscription: id, done: last, attempts: 0, why: String::new(), lost: 0 });
                let dead = self.inner.store.list_under::<DeadLetter>(&id)?;
                Ok(Standing { waiting: last.saturating_sub(progress.done), subscription, progress, dead })
            })
            .collect()
    }

    /// Sends a subscriber's dead letters once more, and ends its pause.
    pub fn redeliver(&self, id: Uuid) -> Result<usize> {
        self.any(id)?;
        let dead = self.inner.store.list_under::<DeadLetter>(&id)?.len();
        if let Some(p) = lock(&self.inner.poke).get(&id) {
            p.revive.store(true, Ordering::Release);
            p.call.notify_one();
        }
        Ok(dead)
    }

    /// Events in the outbox.
    pub fn kept(&self) -> Result<u64> {
        self.inner.store.count(Table::Outbox)
    }

    /// Ends all delivery; what is not delivered stays for the next start.
    pub fn stop(&self) {
        for (_, t) in lock(&self.tasks).drain() {
            t.handle.abort();
        }
        if let Some(k) = lock(&self.keeper).take() {
            k.abort();
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Inner {
    fn caller(&self, s: &Subscription) -> Result<Caller> {
        self.dial(&Dial { what: "callbackUri", uri: &s.callback, auth: s.auth.as_ref() }, s.id)
    }

    fn dial(&self, to: &Dial<'_>, id: Uuid) -> Result<Caller> {
        Caller::new(to, |sealed| self.store.sealer().open_sealed(id.as_bytes(), sealed), &self.tls, self.settings.timeout)
    }
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}
