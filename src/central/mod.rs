//! The client of central NFVOs: their grants, which operations on their VNFs wait for (SOL003 9.4).
//!
//! * `request` a grant request, from what was planned. Pure
//! * `answer`  a grant, held against what was asked and what this box can keep. Pure
//!
//! ```text
//! POST grants --201--> judged --> given, also with other links or parameters; or refused with each thing that cannot be kept
//!   ^     |----202--> GET the Location, again and again --200--> judged
//!   |     |----403--> refused, with the NFVO's own words
//!   |     `----else-> a pause that grows, and once more; after some, a healing goes on without (`lcm.grant_offline`)
//!   `---- that Location is not there, a restart: asked anew, by the same operation's id
//! ```
//! Owns when to ask. One task for each operation that waits, and no worker. Never: what an answer means for the
//! operation (`vnfm::owned`), or how an NFVO is reached (`notify`).

mod answer;
mod request;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use answer::{Given, Laid};
use hyper::{Method, body::Bytes, http::uri::PathAndQuery};
use tokio::{runtime::Handle, sync::Notify, task::JoinHandle};
use tracing::warn;

use crate::{
    model::{
        central::{Asking, CentralNfvo},
        error::{Fault, FaultRecord, Result},
        id::OpId,
        op::OpKind,
    },
    notify::{
        Notifier,
        client::{Caller, Heard},
    },
    sol::{grant::Grant, problem::ProblemDetails},
    vnfm::{Vnfm, laid::Relaid, owned::Awaited},
};

/// The version of the API that is asked for.
const VERSION: &str = "1.7.0";
/// However little happens, it is looked for operations that wait.
const LOOK: Duration = Duration::from_secs(5);

/// A healing goes on without its grant after so many tries in vain; more of them once the owner has said that it decides.
const VAIN: u32 = 3;
const VAIN_ACCEPTED: u32 = 8;
/// Longest text of others' that is kept, in characters, and most of them in one list.
const LONGEST: usize = 500;
const MOST: usize = 20;

/// What is done while an owner does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offline {
    Wait,
    /// Healing goes on: it takes nothing that was not granted before.
    AllowHeal,
}

pub struct Settings {
    /// First pause after a vain try; each further one is twice as long, up to `longest`.
    pub pause: Duration,
    pub longest: Duration,
    pub offline: Box<dyn Fn() -> Offline + Send + Sync>,
    /// A request on which a grant was laid, as requests of clients are read.
    pub reread: fn(OpKind, &str) -> Result<Relaid>,
}

pub struct Granter {
    keeper: JoinHandle<()>,
}

struct Inner {
    vnfm: Arc<Vnfm>,
    notify: Arc<Notifier>,
    settings: Settings,
    poke: Notify,
    /// Operations that have a task.
    busy: Mutex<HashSet<OpId>>,
}

/// How a try ended.
enum Outcome {
    Given(Given),
    Refused(Fault),
    /// It will be at this path.
    Later(String),
    /// Not decided yet.
    Undecided,
    /// Why; it cannot be reached, or is not well.
    Away(String),
    /// Why; it answers, and not as it should.
    Odd(String),
    /// It knows nothing of what it took.
    Forgotten(String),
}

impl Granter {
    /// Takes up what waits. Has to be called inside the runtime.
    pub fn start(vnfm: Arc<Vnfm>, notify: Arc<Notifier>, settings: Settings) -> Granter {
        let inner = Arc::new(Inner { vnfm, notify, settings, poke: Notify::new(), busy: Mutex::default() });
        let me = Arc::downgrade(&inner);
        inner.vnfm.on_ask(move || {
            if let Some(i) = me.upgrade() {
                i.poke.notify_one();
            }
        });
        Granter { keeper: Handle::current().spawn(keep(inner)) }
    }

    pub fn stop(&self) {
        self.keeper.abort();
    }
}

impl Drop for Granter {
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
    done.unwrap_or_else(|_| Err(Fault::bug("the asking for a grant failed by a fault in Bothy itself")))
}

async fn keep(inner: Arc<Inner>) {
    // They end with the keeper.
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        match on(&inner, Vnfm::awaited_grants).await {
            Ok(open) => {
                for op in open {
                    if lock(&inner.busy).insert(op) {
                        tasks.spawn(see_through(inner.clone(), op));
                    }
                }
            }
            Err(fault) => warn!("operations that wait for grants cannot be looked for: {fault:?}"),
        }
        while tasks.try_join_next().is_some() {}
        tokio::select! {
            () = inner.poke.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn see_through(inner: Arc<Inner>, op: OpId) {
    if let Err(fault) = ask_until(&inner, op).await {
        warn!(%op, "its grant is asked for again later: {fault:?}");
    }
    lock(&inner.busy).remove(&op);
}

/// Asks until the operation has its answer, or needs none any more.
async fn ask_until(inner: &Arc<Inner>, op: OpId) -> Result<()> {
    let mut line: Option<(CentralNfvo, Caller)> = None;
    let (mut polls, mut forgotten) = (0, 0);
    while let Some(awaited) = on(inner, move |v| v.awaited_grant(op)).await? {
        let outcome = match &awaited.nfvo {
            None => Outcome::Odd("it has no grant endpoint any more: give it one, or cancel the operation".into()),
            Some(n) => {
                if line.as_ref().is_none_or(|(with, _)| with != n) {
                    line = None;
                }
                let caller = match &mut line {
                    Some((_, caller)) => Ok(caller),
                    None => connect(inner, n).map(|c| &mut line.insert((n.clone(), c)).1),
                };
                match caller {
                    Ok(caller) => try_once(caller, &awaited).await?,
                    Err(fault) => {
                        warn!(%op, owner = %awaited.ask.owner, "a grant cannot be asked for: {fault:?}");
                        Outcome::Odd(fault.detail())
                    }
                }
            }
        };
        let within = awaited.ask.within && (inner.settings.offline)() == Offline::AllowHeal;
        let enough = if matches!(awaited.ask.state, Asking::Accepted(_)) { VAIN_ACCEPTED } else { VAIN };
        let pause = match outcome {
            Outcome::Given(Given { id, laid: None }) => return on(inner, move |v| v.grant_given(op, id)).await,
            Outcome::Given(Given { id, laid: Some(laid) }) => {
                let (kind, reread) = (awaited.op.kind, inner.settings.reread);
                return on(inner, move |v| match reread(kind, &laid.request) {
                    Ok(relaid) => v.grant_laid(op, &id, &relaid, &laid.says),
                    Err(fault) => v.grant_refused(op, short(unkept(&id, &awaited.ask.owner, &laid, &fault).record())),
                })
                .await;
            }
            Outcome::Refused(fault) => return on(inner, move |v| v.grant_refused(op, short(fault.record()))).await,
            Outcome::Later(path) => {
                on(inner, move |v| v.grant_accepted(op, path)).await?;
                0
            }
            Outcome::Undecided => {
                polls += 1;
                polls
            }
            Outcome::Away(why) => {
                let attempts = on(inner, move |v| v.grant_vain(op, &why, false)).await?;
                if within && attempts >= enough {
                    return on(inner, move |v| v.grant_here(op)).await;
                }
                attempts
            }
            Outcome::Odd(why) => on(inner, move |v| v.grant_vain(op, &why, false)).await?,
            Outcome::Forgotten(why) => {
                on(inner, move |v| v.grant_vain(op, &why, true)).await?;
                forgotten += 1;
                if within && forgotten >= VAIN {
                    return on(inner, move |v| v.grant_here(op)).await;
                }
                forgotten
            }
        };
        let doubled = inner.settings.pause.saturating_mul(1u32.checked_shl(pause.saturating_sub(1)).unwrap_or(u32::MAX));
        tokio::time::sleep(doubled.min(inner.settings.longest)).await;
    }
    Ok(())
}

fn connect(inner: &Inner, n: &CentralNfvo) -> Result<Caller> {
    inner.notify.caller("apiRoot", &format!("{}/grant/v1/grants", n.api_root), n.id, n.auth.as_ref())
}

fn unkept(id: &str, owner: &str, laid: &Laid, why: &Fault) -> Fault {
    let what = format!("the grant {id} of NFVO {owner} cannot be kept by this box");
    Fault::conflict(what).with_reasons([format!("{}: {}", laid.says, why.detail())])
}

/// What is kept of others' words: it goes into lists, notifications and logs.
fn short(mut r: FaultRecord) -> FaultRecord {
    let clip = |s: &mut String| *s = s.chars().take(LONGEST).collect();
    clip(&mut r.text);
    r.reasons.truncate(MOST);
    r.reasons.iter_mut().for_each(clip);
    r
}

async fn try_once(caller: &mut Caller, a: &Awaited) -> Result<Outcome> {
    let (heard, polled) = match &a.ask.state {
        Asking::Accepted(path) => (caller.ask(Method::GET, Some(path), VERSION, Bytes::new()).await, true),
        Asking::Due | Asking::Given(_) | Asking::GivenHere => {
            (caller.ask(Method::POST, None, VERSION, request::body(a)?.into()).await, false)
        }
    };
    Ok(match heard {
        Err(why) => Outcome::Away(why),
        Ok(heard) => read(a, &heard, polled),
    })
}

fn read(a: &Awaited, heard: &Heard, polled: bool) -> Outcome {
    let status = heard.status;
    let said = || {
        let p: Option<ProblemDetails> = serde_json::from_slice(&heard.body).ok();
        p.map(|p| p.detail).filter(|d| !d.is_empty()).unwrap_or_else(|| format!("it answers {status}"))
    };
    match status {
        200 | 201 => match serde_json::from_slice::<Grant>(&heard.body) {
            Ok(g) => match answer::judge(&a.ask, &a.op, &g) {
                Ok(given) => Outcome::Given(given),
                Err(fault) => Outcome::Refused(fault),
            },
            Err(e) => Outcome::Odd(format!("its grant cannot be read: {e}")),
        },
        202 if polled => Outcome::Undecided,
        202 => match heard.location.as_ref().filter(|path| path.parse::<PathAndQuery>().is_ok()) {
            Some(path) => Outcome::Later(path.clone()),
            None => Outcome::Odd("it answers 202 without a Location of its own".into()),
        },
        403 => Outcome::Refused(Fault::forbidden(said()).context(format!("NFVO {} refuses the grant", a.ask.owner))),
        // Whatever it is that is there, it is not the grant.
        400 | 404..=406 | 409 | 410 | 413 | 422 if polled => Outcome::Forgotten(format!("{status}: {}", said())),
        400 | 405 | 406 | 409 | 413 | 422 => {
            Outcome::Refused(Fault::conflict(said()).context(format!("NFVO {} does not take the grant request ({status})", a.ask.owner)))
        }
        408 | 429 | 500..=599 => Outcome::Away(format!("{status}: {}", said())),
        _ => Outcome::Odd(format!("{status}: {}", said())),
    }
}
