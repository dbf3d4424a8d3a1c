//! Takes documents in, and keeps the newest one true.
//!
//! One thread looks, plans, and has the steps taken that are due; what failed is tried again after a pause that grows. Never:
//! decides what is next (`plan`), or how it is done (`step`).

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};
use tracing::{info, warn};

use super::{
    Ask, Outside,
    document::{self, Document, LIMIT},
    here::look,
    host::HostHere,
    memory::{Key, Shared, Tried, lock},
    plan::{Item, State, Step, plan},
    status::{Kept, Status, Summary},
};
use crate::{
    model::{
        desired::{DesiredRecord, HostMade, ItemKind},
        error::{Fault, Result},
        health::{Condition, ConditionState},
    },
    nfvo::Nfvo,
    store::Durability,
    vim::setup::{HostPlan, Keeper},
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

pub struct DesiredState {
    pub(super) nfvo: Arc<Nfvo>,
    pub(super) host: Arc<Keeper>,
    pub(super) outside: Arc<dyn Outside>,
    pub(super) ask: Ask,
    settings: Settings,
    pub(super) shared: Arc<Shared>,
    /// Held while a step is taken, and while another document comes to count.
    one: Mutex<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl DesiredState {
    pub fn new(nfvo: Arc<Nfvo>, host: Arc<Keeper>, outside: Box<dyn Outside>, ask: Ask, settings: Settings) -> Arc<DesiredState> {
        let (outside, shared) = (Arc::from(outside), Arc::default());
        Arc::new(DesiredState { nfvo, host, outside, ask, settings, shared, one: Mutex::default(), thread: Mutex::default() })
    }

    pub fn start(self: &Arc<Self>) -> Result<()> {
        let one = lock(&self.one);
        if let Err(fault) = self.counting() {
            warn!("what the desired state says of the host does not count yet: {fault:?}");
        }
        drop(one);
        let me = self.clone();
        let thread = std::thread::Builder::new().name("desired".into()).spawn(move || me.run());
        *lock(&self.thread) = Some(thread.map_err(|e| Fault::transient("cannot start the keeper of the desired state").with_source(e))?);
        Ok(())
    }

    /// Comes back when the step that is being taken is done.
    pub fn stop(&self) {
        self.shared.lock().stopped = true;
        self.shared.wake.notify_all();
        let thread = lock(&self.thread).take();
        if thread.is_some_and(|t| t.join().is_err()) {
            warn!("the keeper of the desired state ended by a panic");
        }
    }

    /// Looks again, now.
    pub fn poke(&self) {
        self.shared.poke();
    }

    /// How a try to fetch a newer document ended.
    pub fn pulled(&self, failed: Option<String>) {
        self.shared.lock().pull_failed = failed;
    }

    /// That of version 0 holds what was made, and no document.
    fn record(&self) -> Result<Option<DesiredRecord>> {
        Ok(self.nfvo.vnfm().store().get::<DesiredRecord>(&())?.filter(|r| r.version > 0))
    }

    /// No document counts any more, and any version may come. What was made stays, and is known for the next one. False: there is
    /// none.
    pub fn forget(&self) -> Result<bool> {
        let one = lock(&self.one);
        let was = self.nfvo.vnfm().store().write(Durability::Barrier, |tx| {
            let Some(r) = tx.get::<DesiredRecord>(&())?.filter(|r| r.version > 0) else { return Ok(false) };
            tx.put(&DesiredRecord { version: 0, text: String::new(), ..r })?;
            Ok(true)
        })?;
        self.tell_host(None);
        drop(one);
        if was {
            info!("no desired state counts any more");
            self.shared.lock().tried.clear();
        }
        Ok(was)
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
        let (now, message) = (self.nfvo.vnfm().clock().now(), Sha256::digest(signed).into());
        let one = lock(&self.one);
        let is_new = self.nfvo.vnfm().store().write(Durability::Barrier, |tx| {
            let before = tx.get::<DesiredRecord>(&())?;
            match &before {
                Some(b) if b.version == d.version && b.text == text => {
                    // Signed anew, perhaps by another one: whoever handed it out looks for it in this form.
                    if b.message != Some(message) {
                        let (signer, fingerprint) = (found.signer.clone(), found.fingerprint);
                        tx.put(&DesiredRecord { signer, fingerprint, message: Some(message), ..b.clone() })?;
                    }
                    return Ok(false);
                }
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
                made: before.as_ref().map(|b| b.made.clone()).unwrap_or_default(),
                message: Some(message),
                // Another document says so: what did not come up is tried again.
                host: before.and_then(|b| b.host).map(|h| HostMade { tried: None, restarted: false, ..h }),
            })?;
            Ok(true)
        })?;
        self.tell_host(Some(&d));
        drop(one);
        if is_new {
            info!(version = d.version, signer = %found.signer, from, "a desired state counts from now on");
            // What failed may be mended by it.
            self.shared.lock().tried.clear();
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

    /// What a document says of the host counts in place of the configuration, for whoever plans or applies it by hand too, as long as
    /// the document does. Under `one`: nothing of it is left when it does not any more.
    fn tell_host(&self, d: Option<&Document>) {
        let counts = d.filter(|d| self.outside.is_owned() && self.unfit(d).is_none());
        self.host.set_signed(counts.and_then(|d| d.host.as_ref()).map(|h| h.set_up.clone()));
    }

    /// The document that is here, and the host is told of it. Under `one`.
    fn counting(&self) -> Result<Option<(DesiredRecord, Document)>> {
        let Some(r) = self.record()? else {
            self.tell_host(None);
            return Ok(None);
        };
        let d = document::read(&r.text, self.ask)?;
        self.tell_host(Some(&d));
        Ok(Some((r, d)))
    }

    fn held(&self, d: &Document) -> Option<String> {
        self.unfit(d).or_else(|| self.outside.closed())
    }

    pub fn status(&self) -> Result<Status> {
        let pull_failed = self.shared.lock().pull_failed.clone();
        let Some(r) = self.record()? else { return Ok(Status { held: self.outside.closed(), pull_failed, ..Status::default() }) };
        let d = document::read(&r.text, self.ask)?;
        let mut items = self.planned(&d, &r)?;
        let memory = self.shared.lock();
        for i in &mut items {
            let it = (i.kind, i.name.clone());
            if memory.doing.as_ref() == Some(&it) || memory.fetching.contains(&it) {
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
            message: r.message,
        };
        Ok(Status { kept: Some(kept), held: self.held(&d), pull_failed, items })
    }

    fn host(&self, d: &Document, r: &DesiredRecord) -> Option<HostHere> {
        let plan = match &d.host {
            Some(wish) => self.host.plan_for(&wish.set_up).map_err(|f| f.detail()),
            None => Ok(HostPlan::default()),
        };
        let set_up = std::mem::discriminant(&Step::SetUp { trial: None });
        let vain = self.shared.lock().tried.iter().any(|((_, _, step), t)| *step == set_up && t.why.is_some());
        (d.host.is_some() || r.host.is_some()).then_some(HostHere { plan, made: r.host, vain })
    }

    fn planned(&self, d: &Document, r: &DesiredRecord) -> Result<Vec<Item>> {
        let mut here = look(self.nfvo.vnfm().store(), r)?;
        here.host = self.host(d, r);
        let memory = self.shared.lock();
        let vain = memory.tried.iter().filter(|((kind, _, _), t)| *kind == ItemKind::Package && t.why.is_some());
        here.vain = vain.map(|((_, name, _), _)| name.clone()).collect();
        drop(memory);
        Ok(plan(d, &r.made, &here))
    }

    /// None where no document counts. Everybody who may see the box's health sees it: no names and no reasons of items.
    pub fn health(&self) -> (Option<Condition>, Option<Summary>) {
        match self.status() {
            Ok(s) => (self.condition(&s), s.summary()),
            // What is wrong with it is told by its condition.
            Err(fault) => (Some(Condition::new("desired", ConditionState::Failed, fault.detail())), None),
        }
    }

    fn condition(&self, status: &Status) -> Option<Condition> {
        let told = |state, text: String| Some(Condition::new("desired", state, text));
        let version = status.kept.as_ref()?.version;
        if let Some(why) = &status.held {
            // What the box is busy with passes; a document that is over does not.
            let state = if self.outside.closed().is_some() { ConditionState::Pending } else { ConditionState::Failed };
            return told(state, format!("version {version} of the desired state is not kept up: {why}"));
        }
        if self.shared.lock().broke {
            let why = "the last look at it ended by a fault in Bothy itself, and is tried again";
            return told(ConditionState::Failed, format!("version {version} of the desired state is not kept up: {why}"));
        }
        let (failed, open) = (status.count(&[State::Failed]), status.count(&[State::Pending, State::Applying]));
        if failed + open > 0 {
            let state = if failed > 0 { ConditionState::Failed } else { ConditionState::Pending };
            let text = format!("version {version} of the desired state: {failed} failed, {open} pending: bothy desired status tells which");
            return told(state, text);
        }
        told(ConditionState::Ok, format!("version {version} of the desired state is in its place"))
    }

    fn run(&self) {
        loop {
            let busy = self.guarded();
            let pause = if busy { self.settings.busy } else { self.settings.look };
            let mut memory = self.shared.lock();
            let due = memory.tried.values().map(|t| t.until).filter(|t| *t > Instant::now()).min();
            let until = due.unwrap_or_else(|| Instant::now() + pause).min(Instant::now() + pause);
            while !memory.stopped && !memory.poked {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                memory = self.shared.wake.wait_timeout(memory, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            memory.poked = false;
            if memory.stopped {
                return;
            }
        }
    }

    /// A round whose faults are told, and end nothing.
    pub fn guarded(&self) -> bool {
        let round = catch_unwind(AssertUnwindSafe(|| self.round()));
        let mut memory = self.shared.lock();
        memory.broke = round.is_err();
        match round {
            Ok(Ok(busy)) => busy,
            Ok(Err(fault)) => {
                warn!("the desired state cannot be looked after: {fault:?}");
                false
            }
            Err(_) => {
                memory.doing = None;
                warn!("the keeper of the desired state fell over a fault in Bothy itself, and goes on");
                false
            }
        }
    }

    /// One look, and each step that is due, as long as the same document counts. Whether something is under way.
    pub fn round(&self) -> Result<bool> {
        let one = lock(&self.one);
        let Some((r, d)) = self.counting()? else { return Ok(false) };
        drop(one);
        if self.held(&d).is_some() {
            return Ok(false);
        }
        let items = self.planned(&d, &r)?;
        let open = |k: &Key| items.iter().any(|i| (i.kind, &i.name) == (k.0, &k.1) && !matches!(i.state, State::InPlace | State::Left));
        self.shared.lock().tried.retain(|k, _| open(k));
        let mut busy = false;
        for i in &items {
            busy |= i.state == State::Applying;
            let (Some(step), Some(key)) = (&i.step, key(i)) else { continue };
            if !self.is_due(&key) {
                continue;
            }
            busy |= i.state == State::Pending;
            // Whoever hands another document in comes before this step, or after it.
            let one = lock(&self.one);
            if self.record()?.is_none_or(|now| now.version != r.version) || self.held(&d).is_some() {
                return Ok(true);
            }
            if !self.begin(i, &key) {
                continue;
            }
            let done = self.step(i, step, &key, r.version);
            drop(one);
            let mut memory = self.shared.lock();
            memory.doing = None;
            let why = done.err().map(|fault| {
                warn!(kind = i.kind.word(), name = %i.name, "a step of the desired state failed, and is tried again: {fault:?}");
                fault.detail()
            });
            // How a fetching ended is told by itself.
            if let Some(t) = memory.tried.get_mut(&key).filter(|_| why.is_some() || !matches!(step, Step::Fetch { .. })) {
                t.why = why;
            }
        }
        Ok(busy)
    }

    fn is_due(&self, key: &Key) -> bool {
        let memory = self.shared.lock();
        !memory.fetching.contains(&(key.0, key.1.clone())) && memory.tried.get(key).is_none_or(|t| t.until <= Instant::now())
    }

    /// Whether a step is due; then it counts as tried. After a failure that somebody may look at, it waits before the first time.
    fn begin(&self, i: &Item, key: &Key) -> bool {
        let now = Instant::now();
        let mut memory = self.shared.lock();
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
        // It has failed until it has not.
        *t = Tried { times: t.times + 1, until: now + pause(t.times + 1), why: t.why.take(), op: i.op };
        match i.step {
            Some(Step::Fetch { .. }) => {
                memory.fetching.insert((i.kind, i.name.clone()));
            }
            Some(_) | None => memory.doing = Some((i.kind, i.name.clone())),
        }
        true
    }
}

fn key(i: &Item) -> Option<Key> {
    Some((i.kind, i.name.clone(), std::mem::discriminant(i.step.as_ref()?)))
}
