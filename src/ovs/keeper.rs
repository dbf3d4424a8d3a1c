//! The switch is as it was asked to be, and becomes so again by itself.
//!
//! ```text
//! ensure_*, remove_* --> desired        database's monitor, OpenFlow's news --> inbox
//!                           |                                                    |
//!                           +--> converge <-- the keeper's thread, on news only -+
//!     rows: bridge, Bothy's ports, guests' ports    one transaction each, where something differs
//!     flows: by cookie                              one atomic bundle
//! ```
//! Owns: what is desired, and the order of the two (`ports`, `flows`). Links that were not changed keep their rows and
//! flows untouched. Nothing is polled: time counts only while something fails, or while a port that
//! a guest seems to have lost may still be libvirt's to take. Never: the form of rows and flows.

mod flows;
mod ports;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    chains::Chains,
    flowset::FlowSet,
    openflow::{Flow, News},
    ovsdb::Change,
    places::numbers,
    plan,
    rows::Table,
    switch::Switch,
};
use crate::{
    model::{
        error::{Fault, Result},
        id::{IfKind, IfName, NfpId, SegmentId},
        tunnel::RemoteEnd,
    },
    sdn::{
        chain::{ChainState, SwitchChain},
        link::SwitchLink,
        port::SwitchPort,
    },
};

const KEEPER_LIMIT: Duration = Duration::from_secs(2);
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LAST_BACKOFF: Duration = Duration::from_secs(2);

pub enum Event {
    Rows,
    OpenFlow(u64, News),
    Stop,
}

#[derive(Default)]
struct Desired {
    /// The bridge was asked for.
    ready: bool,
    ports: BTreeMap<IfName, SwitchPort>,
    links: BTreeMap<SegmentId, Arc<SwitchLink>>,
    chains: BTreeMap<NfpId, Arc<SwitchChain>>,
}

/// Flows of a port, as long as neither its number nor its link changes.
struct Cached {
    number: u16,
    link: Option<Arc<SwitchLink>>,
    chained: bool,
    metered: bool,
    flows: Vec<(u64, Flow)>,
}

#[derive(Default)]
struct Work {
    flows: FlowSet,
    cache: HashMap<String, Cached>,
    chains: Chains,
    /// The bridge's row at the last look.
    bridge: Option<Uuid>,
    /// Guests' ports that are not on the bridge though their interface is there.
    missing: HashMap<IfName, Instant>,
    /// Ports of the host were made again, and nobody was told yet.
    remade: bool,
}

type Sink = Box<dyn Fn() + Send + Sync>;

pub struct Keeper {
    pub switch: Switch,
    desired: Mutex<Desired>,
    /// One at a time; whoever takes a port away holds it too.
    work: Mutex<Work>,
    inbox: Sender<Event>,
    remade: Mutex<Option<Sink>>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Link(SegmentId),
    Chain(NfpId),
}

/// What a look came to.
#[derive(Default)]
struct Look {
    /// What could not be made, and of what it is.
    faults: Vec<(Vec<Asked>, Fault)>,
    /// When to look again though nothing happens.
    next: Option<Instant>,
}

impl Keeper {
    pub fn new(switch: Switch, inbox: Sender<Event>) -> Keeper {
        let post = inbox.clone();
        switch.db.listen(move |c| {
            let counts = match c {
                Change::Up { .. } => true,
                // The root row changes with every transaction.
                Change::Rows(rows) => rows.iter().any(|r| r.table != Table::OpenVSwitch),
                Change::Down { .. } => false,
            };
            !counts || post.send(Event::Rows).is_ok()
        });
        Keeper { switch, desired: Mutex::default(), work: Mutex::default(), inbox, remade: Mutex::default() }
    }

    pub fn on_remade(&self, sink: Sink) {
        *lock(&self.remade) = Some(sink);
    }

    pub fn ready(&self) {
        lock(&self.desired).ready = true;
    }
    pub fn remotes(&self) -> Result<Vec<RemoteEnd>> {
        let ports = lock(&self.desired).ports.clone();
        self.switch.remotes(ports.values())
    }
    /// Makes the port while nobody brings it to what it was wanted to be before.
    pub fn want_port(&self, port: &SwitchPort) -> Result<()> {
        let _one = lock(&self.work);
        self.switch.ensure_port(port)?;
        lock(&self.desired).ports.insert(port.name.clone(), port.clone());
        Ok(())
    }

    /// Runs `take` while nobody puts back what it takes.
    pub fn unwant_port(&self, name: &IfName, take: impl FnOnce() -> Result<()>) -> Result<()> {
        let _one = lock(&self.work);
        lock(&self.desired).ports.remove(name);
        take()
    }
    pub fn unready(&self, take: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut work = lock(&self.work);
        take()?;
        *lock(&self.desired) = Desired::default();
        work.flows.forget();
        Ok(())
    }

    /// Wants the link, and brings what is there of it to that.
    pub fn want_link(&self, link: &SwitchLink, until: Instant) -> Result<()> {
        let segment = link.segment;
        {
            let mut d = lock(&self.desired);
            // The same link once more costs nothing.
            if d.links.get(&segment).is_none_or(|had| **had != *link) {
                d.links.insert(segment, Arc::new(link.clone()));
            }
        }
        self.see(until, Some(Asked::Link(segment)))
    }
    pub fn unwant_link(&self, segment: SegmentId, until: Instant) -> Result<()> {
        let had = lock(&self.desired).links.remove(&segment).is_some();
        let seen = if had { self.see(until, None) } else { self.switch.db.wait_up(until) };
        seen?;
        // Also where it was told of before a start, or the last try broke off: networks of trunks have ports that are Bothy's own, and go with their link.
        let _one = lock(&self.work);
        let is_of = |p: &super::rows::Port| is_inner(&p.name) && plan::segment_of(p) == Some(segment);
        let left: Vec<IfName> =
            self.switch.db.view(|m| m.ports.values().filter(|p| is_of(p)).filter_map(|p| p.name.parse().ok()).collect())?;
        left.iter().try_for_each(|name| self.switch.remove_port(name))
    }

    pub fn want_chain(&self, chain: &SwitchChain, until: Instant) -> Result<()> {
        {
            let mut d = lock(&self.desired);
            if d.chains.get(&chain.id).is_none_or(|had| **had != *chain) {
                d.chains.insert(chain.id, Arc::new(chain.clone()));
            }
        }
        self.see(until, Some(Asked::Chain(chain.id)))
    }
    pub fn unwant_chain(&self, chain: NfpId, until: Instant) -> Result<()> {
        if lock(&self.desired).chains.remove(&chain).is_none() {
            return Ok(());
        }
        self.see(until, None)
    }

    /// What the switch counts of a chain.
    pub fn chain_state(&self, id: NfpId, until: Instant) -> Result<ChainState> {
        let chain = lock(&self.desired).chains.get(&id).cloned();
        let chain = chain.ok_or_else(|| Fault::not_found(format!("chain {id} is not on the switch")))?;
        let mut work = lock(&self.work);
        self.connect(&mut work, until)?;
        let places = self.switch.db.view(numbers)?;
        let seen = work.flows.list(until)?;
        Ok(work.chains.state(&chain, &places, &seen))
    }

    fn see(&self, until: Instant, of: Option<Asked>) -> Result<()> {
        let look = self.converge(until);
        if look.as_ref().map_or(true, |l| l.next.is_some() || !l.faults.is_empty()) {
            // The keeper goes on with it.
            let _ = self.inbox.send(Event::Rows);
        }
        self.tell();
        look?.faults.into_iter().find(|(all, _)| of.is_some_and(|o| all.contains(&o))).map_or(Ok(()), |(_, why)| Err(why))
    }

    fn tell(&self) {
        if std::mem::take(&mut lock(&self.work).remade)
            && let Some(sink) = lock(&self.remade).as_ref()
        {
            sink();
        }
    }

    /// The keeper's thread.
    pub fn run(&self, inbox: &Receiver<Event>) {
        let (mut next, mut backoff): (Option<Instant>, _) = (None, FIRST_BACKOFF);
        let mut told = String::new();
        loop {
            let first = match next {
                Some(at) => inbox.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let mut due = matches!(first, Err(RecvTimeoutError::Timeout));
            match first {
                Ok(e) => {
                    due |= match self.heard(e) {
                        Some(news) => news,
                        None => return,
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Ok(e) = inbox.try_recv() {
                match self.heard(e) {
                    Some(news) => due |= news,
                    None => return,
                }
            }
            if !due {
                continue;
            }
            let look = self.converge(Instant::now() + KEEPER_LIMIT);
            self.tell();
            let failed = match look {
                Ok(look) => {
                    next = look.next;
                    look.faults.into_iter().next().map(|(_, why)| why)
                }
                Err(why) => Some(why),
            };
            match failed {
                Some(why) => {
                    if told != why.text() {
                        tracing::warn!(%why, "the switch is not as it should be; it is tried again");
                        why.text().clone_into(&mut told);
                    }
                    next = Some(Instant::now() + backoff);
                    backoff = (backoff * 2).min(LAST_BACKOFF);
                }
                None => {
                    if !std::mem::take(&mut told).is_empty() {
                        tracing::info!("the switch is as it should be again");
                    }
                    backoff = FIRST_BACKOFF;
                }
            }
        }
    }

    /// Whether there is reason to look; `None`: it is over.
    fn heard(&self, e: Event) -> Option<bool> {
        Some(match e {
            Event::Stop => return None,
            Event::Rows => true,
            Event::OpenFlow(generation, News::Lost) => lock(&self.work).flows.lost(generation),
            Event::OpenFlow(_, News::FlowGone(cookie)) => lock(&self.work).flows.gone(cookie),
            Event::OpenFlow(generation, news @ (News::FlowChanged(_) | News::Stranger)) => {
                let cookie = if let News::FlowChanged(c) = news { Some(c) } else { None };
                lock(&self.work).flows.changed(generation, cookie)
            }
        })
    }

    /// Brings the switch to what is desired. Where it is so already, nothing is sent.
    fn converge(&self, until: Instant) -> Result<Look> {
        let mut work = lock(&self.work);
        let (ready, ports, links, chains) = {
            let d = lock(&self.desired);
            (d.ready, d.ports.clone(), d.links.clone(), d.chains.clone())
        };
        let mut look = Look::default();
        if !ready && links.is_empty() && chains.is_empty() {
            return Ok(look);
        }
        self.switch.db.wait_up(until)?;
        self.own_ports(&mut work, &ports, &links, &mut look)?;
        self.guests(&mut work, &links, &mut look, until)?;
        self.flows(&mut work, (&ports, &links, &chains), &mut look, until)?;
        Ok(look)
    }
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is(name: &str, kind: IfKind) -> bool {
    name.parse().is_ok_and(|n| IfKind::of(&n) == Some(kind))
}

/// An end of the patch by which a network of a trunk comes to its link.
fn is_inner(name: &str) -> bool {
    let near = name.strip_prefix("bu").map(|rest| format!("bt{rest}"));
    is(near.as_deref().unwrap_or(name), IfKind::Trunk)
}
