//! Takes documents in, and keeps the newest one true.
//!
//! One thread looks, plans, and has the steps taken that are due; what failed is tried again after a pause that grows. Never:
//! decides what is next (`plan`), or how it is done (`step`).

use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use smol_str::SmolStr;
use tracing::{info, warn};

use super::{
    Ask, Outside,
    document::{self, Document, LIMIT},
    here::look,
    plan::{Item, State, Step, plan},
};
use crate::{
    model::{
        desired::{DesiredRecord, ItemKind},
        error::{Fault, Result},
        health::{Condition, ConditionState},
        id::OpId,
        time::Stamp,
    },
    nfvo::Nfvo,
    store::Durability,
};

#[derive(Debug, Clone)]
pub struct Settings {
    /// After the first failure; each further pause is twice as long, up to `longest`.
    pub pause: Duration,
    pub longest: Duration,
    /// Between two looks while something is under way, and while all is in its place.
    pub busy: Duration,
    pub look: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            pause: Duration::from_secs(10),
            longest: Duration::from_secs(1800),
            busy: Duration::from_millis(500),
            look: Duration::from_secs(30),
        }
    }
}

/// Steps of the same sort on the same thing have one pause.
type Key = (ItemKind, SmolStr, std::mem::Discriminant<Step>);

struct Tried {
    times: u32,
    until: Instant,
    why: Option<String>,
    /// The failed operation that the pause is after.
    op: Option<OpId>,
}

#[derive(Default)]
struct Memory {
    tried: HashMap<Key, Tried>,
    /// What is being done now.
    doing: Option<(ItemKind, SmolStr)>,
    pull_failed: Option<String>,
    poked: bool,
    stopped: bool,
}

/// The document that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub version: u64,
    pub signer: SmolStr,
    pub fingerprint: [u8; 32],
    pub taken: Stamp,
    pub from: SmolStr,
    pub not_after: Option<Stamp>,
    pub prune: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Status {
    pub kept: Option<Kept>,
    /// Why nothing is done now.
    pub held: Option<String>,
    /// Why the last try to fetch a newer document brought nothing.
    pub pull_failed: Option<String>,
    pub items: Vec<Item>,
}

pub struct DesiredState {
    pub(super) nfvo: Arc<Nfvo>,
    pub(super) outside: Box<dyn Outside>,
    pub(super) ask: Ask,
    settings: Settings,
    memory: Mutex<Memory>,
    wake: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DesiredState {
    pub fn new(nfvo: Arc<Nfvo>, outside: Box<dyn Outside>, ask: Ask, settings: Settings) -> Arc<DesiredState> {
        Arc::new(DesiredState { nfvo, outside, ask, settings, memory: Mutex::default(), wake: Condvar::new(), thread: Mutex::default() })
    }

    pub fn start(self: &Arc<Self>) -> Result<()> {
        let me = self.clone();
        let thread = std::thread::Builder::new().name("desired".into()).spawn(move || me.run());
        *lock(&self.thread) = Some(thread.map_err(|e| Fault::transient("cannot start the keeper of the desired state").with_source(e))?);
        Ok(())
    }

    /// Comes back when the step that is being taken is done.
    pub fn stop(&self) {
        lock(&self.memory).stopped = true;
        self.wake.notify_all();
        let thread = lock(&self.thread).take();
        if thread.is_some_and(|t| t.join().is_err()) {
            warn!("the keeper of the desired state ended by a panic");
        }
    }

    /// Looks again, now.
    pub fn poke(&self) {
        lock(&self.memory).poked = true;
        self.wake.notify_all();
    }

    /// How a try to fetch a newer document ended.
    pub fn pulled(&self, failed: Option<String>) {
        lock(&self.memory).pull_failed = failed;
    }

    fn record(&self) -> Result<Option<DesiredRecord>> {
        self.nfvo.vnfm().store().get::<DesiredRecord>(&())
    }

    /// Takes a signed document in. False: it is the one that counts already.
    pub fn take(&self, signed: &[u8], from: &str) -> Result<bool> {
        if signed.len() > LIMIT {
            return Err(Fault::invalid(format!("the document has {} bytes, and {LIMIT} are the most", signed.len())));
        }
        let found = self.outside.verified(signed)?;
        let text = String::from_utf8(found.content).map_err(|_| Fault::invalid("the document is no UTF-8 text"))?;
        let d = document::read(&text, self.ask)?;
        if let Some(why) = self.unfit(&d) {
            return Err(Fault::conflict(why));
        }
        let now = self.nfvo.vnfm().clock().now();
        let is_new = self.nfvo.vnfm().store().write(Durability::Barrier, |tx| {
            let before = tx.get::<DesiredRecord>(&())?;
            match &before {
                Some(b) if b.version == d.version && b.text == text => return Ok(false),
                Some(b) if b.version == d.version => {
                    let why = format!("version {} is here with other content: a changed document takes a larger version", d.version);
                    return Err(Fault::conflict(why));
                }
                Some(b) if b.version > d.version => {
                    return Err(Fault::conflict(format!("version {} is older than version {}, which counts here", d.version, b.version)));
                }
                Some(_) | None => {}
            }
            tx.put(&DesiredRecord {
                version: d.version,
                text: text.clone(),
                signer: found.signer.clone(),
                fingerprint: found.fingerprint,
                taken: now,
                from: from.into(),
                made: before.map(|b| b.made).unwrap_or_default(),
            })?;
            Ok(true)
        })?;
        if is_new {
            info!(version = d.version, signer = %found.signer, from, "a desired state counts from now on");
            // What failed may be mended by it.
            lock(&self.memory).tried.clear();
        }
        self.poke();
        Ok(is_new)
    }

    /// Why a document is not for this box now.
    fn unfit(&self, d: &Document) -> Option<String> {
        let serial = self.outside.serial();
        if !d.serials.is_empty() && serial.as_ref().is_none_or(|s| !d.serials.contains(s)) {
            let this = serial.map_or("which has no serial number (desired.serial)".to_owned(), |s| format!("which is {s}"));
            return Some(format!("the document is for {}, and not for this box, {this}", d.serials.join(", ")));
        }
        let over = d.not_after.filter(|t| *t < self.nfvo.vnfm().clock().now());
        over.map(|_| "the document has expired (not-after)".to_owned())
    }

    fn held(&self, d: &Document) -> Option<String> {
        self.unfit(d).or_else(|| self.outside.closed())
    }

    pub fn status(&self) -> Result<Status> {
        let pull_failed = lock(&self.memory).pull_failed.clone();
        let Some(r) = self.record()? else { return Ok(Status { held: self.outside.closed(), pull_failed, ..Status::default() }) };
        let d = document::read(&r.text, self.ask)?;
        let mut items = plan(&d, &r.made, &look(self.nfvo.vnfm().store(), &r)?);
        let memory = lock(&self.memory);
        for i in &mut items {
            if memory.doing.as_ref().is_some_and(|(kind, name)| (*kind, name) == (i.kind, &i.name)) {
                i.state = State::Applying;
            } else if let Some(why) = key(i).and_then(|k| memory.tried.get(&k)).and_then(|t| t.why.as_ref()) {
                (i.state, i.reason) = (State::Failed, Some(why.clone()));
            }
        }
        let kept = Kept {
            version: r.version,
            signer: r.signer,
            fingerprint: r.fingerprint,
            taken: r.taken,
            from: r.from,
            not_after: d.not_after,
            prune: d.prune,
        };
        Ok(Status { kept: Some(kept), held: self.held(&d), pull_failed, items })
    }

    /// None where no document was ever taken in.
    pub fn condition(&self) -> Option<Condition> {
        let told = |state, text: String| Some(Condition::new("desired", state, text));
        let status = match self.status() {
            Ok(s) => s,
            Err(fault) => return told(ConditionState::Failed, fault.detail()),
        };
        let version = status.kept?.version;
        if let Some(why) = status.held {
            // What the box is busy with passes; a document that is over does not.
            let state = if self.outside.closed().is_some() { ConditionState::Pending } else { ConditionState::Failed };
            return told(state, format!("version {version} of the desired state is not kept up: {why}"));
        }
        let of = |state| status.items.iter().filter(move |i| i.state == state);
        let named = |i: &Item| format!("{} '{}': {}", i.kind.word(), i.name, i.reason.as_deref().unwrap_or(i.state.word()));
        let failed: Vec<String> = of(State::Failed).map(named).collect();
        if !failed.is_empty() {
            return told(ConditionState::Failed, format!("version {version} of the desired state: {}", failed.join("; ")));
        }
        let open: Vec<String> = of(State::Pending).chain(of(State::Applying)).map(named).collect();
        if !open.is_empty() {
            return told(ConditionState::Pending, format!("version {version} of the desired state: {}", open.join("; ")));
        }
        told(ConditionState::Ok, format!("version {version} of the desired state is in its place"))
    }

    fn run(&self) {
        loop {
            let busy = self.round().unwrap_or_else(|fault| {
                warn!("the desired state cannot be looked after: {fault:?}");
                false
            });
            let pause = if busy { self.settings.busy } else { self.settings.look };
            let mut memory = lock(&self.memory);
            let due = memory.tried.values().map(|t| t.until).filter(|t| *t > Instant::now()).min();
            let until = due.unwrap_or_else(|| Instant::now() + pause).min(Instant::now() + pause);
            while !memory.stopped && !memory.poked {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                memory = self.wake.wait_timeout(memory, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            memory.poked = false;
            if memory.stopped {
                return;
            }
        }
    }

    /// One look, and each step that is due. Whether something is under way.
    pub fn round(&self) -> Result<bool> {
        let Some(r) = self.record()? else { return Ok(false) };
        let d = document::read(&r.text, self.ask)?;
        if self.held(&d).is_some() {
            return Ok(false);
        }
        let items = plan(&d, &r.made, &look(self.nfvo.vnfm().store(), &r)?);
        let open = |k: &Key| items.iter().any(|i| (i.kind, &i.name) == (k.0, &k.1) && !matches!(i.state, State::InPlace | State::Left));
        lock(&self.memory).tried.retain(|k, _| open(k));
        let mut busy = false;
        for i in &items {
            busy |= i.state == State::Applying || i.state == State::Pending && i.step.is_some();
            let (Some(step), Some(key)) = (&i.step, key(i)) else { continue };
            if !self.begin(i, &key) {
                continue;
            }
            let done = self.step(i, step);
            let mut memory = lock(&self.memory);
            memory.doing = None;
            if let Err(fault) = done {
                warn!(kind = i.kind.word(), name = %i.name, "a step of the desired state failed, and is tried again: {fault:?}");
                if let Some(t) = memory.tried.get_mut(&key) {
                    t.why = Some(fault.detail());
                }
            }
        }
        Ok(busy)
    }

    /// Whether a step is due; then it counts as tried. After a failure that somebody may look at, it waits before the first time.
    fn begin(&self, i: &Item, key: &Key) -> bool {
        let now = Instant::now();
        let mut memory = lock(&self.memory);
        if memory.stopped {
            return false;
        }
        let pause = |times: u32| {
            let doubled = self.settings.pause.saturating_mul(1u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX));
            doubled.min(self.settings.longest)
        };
        let fresh = Tried { times: 0, until: now, why: None, op: None };
        let t = memory.tried.entry(key.clone()).or_insert(fresh);
        if i.state == State::Failed && (t.times == 0 || t.op != i.op) {
            *t = Tried { times: t.times + 1, until: now + pause(t.times + 1), why: None, op: i.op };
            return false;
        }
        if now < t.until {
            return false;
        }
        *t = Tried { times: t.times + 1, until: now + pause(t.times + 1), why: None, op: i.op };
        memory.doing = Some((i.kind, i.name.clone()));
        true
    }
}

fn key(i: &Item) -> Option<Key> {
    Some((i.kind, i.name.clone(), std::mem::discriminant(i.step.as_ref()?)))
}
