//! The client of what VNFs serve themselves, or their element managers for them (SOL002 8 to 10).
//!
//! * `coordination`  a request, and what an answer to it says. Pure
//! * `configuration` the same of a VNF's configuration, and reading and changing it on demand
//! * `indicators`    what VNFs tell of themselves, asked for again and again
//!
//! ```text
//! POST coordinations --201--> its result: the operation goes on, or stops
//!   ^     |----202--> GET the Location, at its Retry-After --200--> the same
//!   |     |----503, Retry-After--> put off, and asked again then
//!   |     |----4xx--> the operation stops, with the other side's own words
//!   `-----`----else-> a pause that grows, and once more
//! not wanted any more: POST {Location}/cancel, and its result is read
//! ```
//! Owns when to ask. One task for each errand, and no worker. Never: what an answer means for the operation, or where an
//! interface is (`vnfm::reach`), or how anybody is reached (`notify`).

pub mod configuration;
mod coordination;
pub mod indicators;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::Notify, task::JoinHandle};
use tracing::warn;

use coordination::Outcome;

use crate::{
    model::{
        error::{Fault, Result},
        own::{Asked, What},
        time::Stamp,
    },
    notify::{Notifier, client::Caller},
    vnfm::{
        Vnfm,
        own::ErrandId,
        reach::{Call, Login, Whom},
    },
};

/// However little happens, it is looked for errands.
const LOOK: Duration = Duration::from_secs(5);
/// Whoever waits for a time looks so often whether he still has to.
const A_WHILE: Duration = Duration::from_secs(1);
/// A result that does not come after so many looks is not waited for, where it is not wanted.
const POLLS_OF_A_CALL_OFF: u32 = 20;

#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// First pause after a vain try; each further one is twice as long, up to `longest`.
    pub pause: Duration,
    pub longest: Duration,
}

/// Does errands.
pub struct Errands {
    keeper: JoinHandle<()>,
}

struct Inner {
    vnfm: Arc<Vnfm>,
    notify: Arc<Notifier>,
    settings: Settings,
    poke: Notify,
    /// Whoever waits for a time looks whether he still has to.
    stir: Notify,
    busy: Mutex<HashSet<ErrandId>>,
}

impl Errands {
    /// Takes up what waits. Has to be called inside the runtime.
    pub fn start(vnfm: Arc<Vnfm>, notify: Arc<Notifier>, settings: Settings) -> Errands {
        let inner = Arc::new(Inner { vnfm, notify, settings, poke: Notify::new(), stir: Notify::new(), busy: Mutex::default() });
        let me = Arc::downgrade(&inner);
        inner.vnfm.on_errand(move || {
            if let Some(i) = me.upgrade() {
                i.poke.notify_one();
                i.stir.notify_waiters();
            }
        });
        Errands { keeper: Handle::current().spawn(keep(inner)) }
    }

    pub fn stop(&self) {
        self.keeper.abort();
    }
}

impl Drop for Errands {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call into the synchronous part.
async fn on<T: Send + 'static>(inner: &Arc<Inner>, f: impl FnOnce(&Vnfm) -> Result<T> + Send + 'static) -> Result<T> {
    let vnfm = inner.vnfm.clone();
    let done = tokio::task::spawn_blocking(move || f(&vnfm)).await;
    done.unwrap_or_else(|_| Err(Fault::bug("the asking of a VNF failed by a fault in Bothy itself")))
}

async fn keep(inner: Arc<Inner>) {
    // They end with the keeper.
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        match on(&inner, Vnfm::open_errands).await {
            Ok(open) => {
                for key in open {
                    if lock(&inner.busy).insert(key) {
                        tasks.spawn(see_through(Busy(inner.clone(), key)));
                    }
                }
            }
            Err(fault) => warn!("what operations ask of VNFs cannot be looked for: {fault:?}"),
        }
        while tasks.try_join_next().is_some() {}
        tokio::select! {
            () = inner.poke.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Somebody is at an errand, until this goes.
struct Busy(Arc<Inner>, ErrandId);

impl Drop for Busy {
    fn drop(&mut self) {
        lock(&self.0.busy).remove(&self.1);
    }
}

async fn see_through(busy: Busy) {
    let (inner, key) = (busy.0.clone(), busy.1);
    if let Err(fault) = ask_until(&inner, key).await {
        warn!(op = %key.0, step = key.1, "a VNF cannot be asked: {fault:?}");
        // What passes is tried again by the next look.
        if !fault.is_transient()
            && let Err(fault) = on(&inner, move |v| v.errand_stopped(key, fault.record())).await
        {
            warn!(op = %key.0, step = key.1, "and its operation is not told: {fault:?}");
        }
    }
}

/// Asks until there is nothing more to ask.
async fn ask_until(inner: &Arc<Inner>, key: ErrandId) -> Result<()> {
    let mut line: Option<(Call, Caller)> = None;
    let mut polls = 0;
    let mut called_off = None;
    while let Some(a) = on(inner, move |v| v.errand(key)).await? {
        let now = inner.vnfm.clock().now();
        let cancelling = matches!(a.errand.state, Asked::Cancelling { .. });
        // As long as for what is wanted.
        let is_late =
            cancelling && called_off.get_or_insert_with(Instant::now).elapsed().as_secs() >= inner.vnfm.rules().vnf_answer_s.into();
        if let Some(until) = a.errand.delay.filter(|until| *until > now) {
            rest(inner, Duration::from_millis(until.0 - now.0).min(A_WHILE)).await;
            continue;
        }
        let call = match &a.whom {
            Whom::Call(call) => call,
            Whom::Off(why) => {
                let why = why.clone();
                let begun = a.errand.state != Asked::Due;
                let over = move |v: &Vnfm| {
                    if begun { v.errand_stopped(key, Fault::conflict(why).record()) } else { v.errand_skipped(key, &why) }
                };
                return on(inner, over).await;
            }
            Whom::Nowhere(why) => return Err(Fault::conflict(why.clone())),
        };
        if line.as_ref().is_none_or(|(with, _)| with != call) {
            line = None;
        }
        let (_, caller) = match &mut line {
            Some(known) => known,
            None => line.insert((call.clone(), connect(&inner.notify, call, path_of(&a.errand.what))?)),
        };
        let outcome = match &a.errand.what {
            What::Coordinate(ask) => coordination::read(&a, ask, coordination::ask(caller, &a, ask).await, now),
            What::Configure => {
                let (vnf, project) = (a.errand.vnf, a.project);
                let of = move |v: &Vnfm| Ok((configuration::of_record(v, vnf, project)?, configuration::Hidden::of(v, project)?));
                let (filled, hidden) = on(inner, of).await?;
                configuration::read(configuration::patch(caller, filled.body_for(call)?).await, &hidden)
            }
        };
        let kind = call.kind;
        let pause = match outcome {
            Outcome::Over(answer) => return on(inner, move |v| v.errand_done(key, kind, &answer)).await,
            Outcome::Taken => return on(inner, move |v| v.errand_configured(key)).await,
            Outcome::Refused(fault) => return on(inner, move |v| v.errand_stopped(key, fault.record())).await,
            Outcome::Later(path, delay) => {
                on(inner, move |v| v.errand_taken(key, &path, kind, now, delay)).await?;
                1
            }
            Outcome::GoesOn(_) if cancelling && (polls >= POLLS_OF_A_CALL_OFF || is_late) => {
                let why = Fault::conflict("it was called off, and how that ended was not told");
                return on(inner, move |v| v.errand_stopped(key, why.record())).await;
            }
            Outcome::GoesOn(delay) => {
                polls += 1;
                on(inner, move |v| v.errand_goes_on(key, delay)).await?;
                if delay.is_some() { 0 } else { polls }
            }
            Outcome::PutOff(why, until) => {
                on(inner, move |v| v.errand_put_off(key, kind, &why, until)).await?;
                0
            }
            Outcome::CalledOff => {
                polls = 0;
                on(inner, move |v| v.errand_called_off(key)).await?;
                1
            }
            Outcome::Away(why) => on(inner, move |v| v.errand_vain(key, &why)).await?,
        };
        if pause > 0 {
            let doubled = inner.settings.pause.saturating_mul(1u32.checked_shl(pause.saturating_sub(1)).unwrap_or(u32::MAX));
            rest(inner, doubled.min(inner.settings.longest)).await;
        }
    }
    Ok(())
}

/// Waits, unless somebody has changed what is waited for.
async fn rest(inner: &Inner, most: Duration) {
    tokio::select! {
        () = inner.stir.notified() => {}
        () = tokio::time::sleep(most) => {}
    }
}

/// A line to an interface of a VNF; `path` is of its API.
fn connect(notify: &Notifier, call: &Call, path: &str) -> Result<Caller> {
    let uri = format!("{}{path}", call.root);
    let caller = match &call.login {
        Login::None => notify.caller_with("apiRoot", &uri, None),
        Login::Sealed(id, auth) => notify.caller("apiRoot", &uri, *id, Some(auth)),
        Login::Clear(auth) => notify.caller_with("apiRoot", &uri, Some(auth)),
    }?;
    // Whoever writes a VNFD is not to have this box speak with itself.
    Ok(if call.told { caller } else { caller.only_outside() })
}

fn path_of(what: &What) -> &'static str {
    match what {
        What::Coordinate(_) => coordination::PATH,
        What::Configure => configuration::PATH,
    }
}

/// So many seconds from then, where somebody says so.
fn later(now: Stamp, seconds: Option<u64>) -> Option<Stamp> {
    seconds.map(|s| Stamp(now.0.saturating_add(s.saturating_mul(1000))))
}
