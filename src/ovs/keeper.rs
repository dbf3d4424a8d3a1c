//! The switch is as it was asked to be, and becomes so again by itself.
//!
//! ```text
//! ensure_*, remove_* --> desired        database's monitor, OpenFlow's news --> inbox
//!                           |                                                    |
//!                           +--> converge <-- the keeper's thread, on news only -+
//!     rows: bridge, Bothy's ports, guests' ports    one transaction each, where something differs
//!     flows: by cookie                              one atomic bundle
//! ```
//! Owns: what is desired, and the order of the two. Links that were not changed keep their rows and
//! flows untouched. Nothing is polled: time counts only while something fails, or while a port that
//! a guest seems to have lost may still be libvirt's to take. Never: the form of rows and flows.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    chains::Chains,
    fabric::BRIDGE,
    flows::{self, Place},
    flowset::{FlowSet, Wanted as WantedFlows},
    openflow::{Flow, News, port_number},
    ovsdb::Change,
    places::{Numbered, names, numbers},
    plan::{self, GuestPort, Vlans, Wanted},
    rows::Table,
    switch::Switch,
};
use crate::{
    model::{
        error::{Fault, Result},
        id::{IfKind, IfName, NfpId, SegmentId, if_name},
        sdn::SwitchAddr,
        tunnel::RemoteEnd,
    },
    sdn::{
        chain::{ChainState, SwitchChain},
        link::{LinkPort, PortAt, SwitchLink},
        port::{PortKind, SwitchPort},
    },
};

/// libvirt takes a port off the switch a moment before its interface goes; what stays longer was
/// lost.
const LOST_AFTER: Duration = Duration::from_secs(2);
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

/// What a look came to.
#[derive(Default)]
struct Look {
    /// What could not be made, by link.
    faults: Vec<(SegmentId, Fault)>,
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
        self.see(until, Some(segment))
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
        self.see(until, None)
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

    fn see(&self, until: Instant, of: Option<SegmentId>) -> Result<()> {
        let look = self.converge(until);
        if look.as_ref().map_or(true, |l| l.next.is_some() || !l.faults.is_empty()) {
            // The keeper goes on with it.
            let _ = self.inbox.send(Event::Rows);
        }
        self.tell();
        look?.faults.into_iter().find(|(s, _)| Some(*s) == of).map_or(Ok(()), |(_, why)| Err(why))
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
        self.flows(&mut work, &ports, &links, &chains, until)?;
        Ok(look)
    }

    /// The bridge, and ports that Bothy makes itself.
    fn own_ports(
        &self,
        work: &mut Work,
        ports: &BTreeMap<IfName, SwitchPort>,
        links: &BTreeMap<SegmentId, Arc<SwitchLink>>,
        look: &mut Look,
    ) -> Result<()> {
        if self.switch.db.view(|m| m.bridge(BRIDGE).is_none())? {
            tracing::warn!(bridge = BRIDGE, "the bridge is gone: it is made again");
            self.switch.ensure_ready()?;
        }
        let mut ends: HashMap<&IfName, Vec<Wanted>> = HashMap::new();
        for p in ports.values() {
            ends.insert(&p.name, self.switch.tunnel_ends(p)?);
        }
        let mut inner = Vec::new();
        for l in links.values() {
            for p in &l.ports {
                if let PortAt::Trunk { station, .. } = p.at {
                    let name = if_name(IfKind::Trunk, &station.0);
                    inner.push((l.segment, Wanted::inner(&name, l.segment, l.vlan, l.transparent, p.isolated)?));
                }
            }
        }
        let (lost, unmade, extra) = self.switch.db.view(|m| {
            let by_name = names(m);
            let there = |name: &IfName| by_name.get(name.as_str()).is_some_and(|p| m.interface_of(p).is_some());
            let lost = |p: &&SwitchPort| {
                let far = match p.kind {
                    PortKind::Physical { .. } => plan::far_name(&p.name).is_ok_and(|far| !there(&far)),
                    PortKind::Tunnel { .. } => {
                        let whole = |w: &Wanted| by_name.get(w.name.as_str()).is_some_and(|p| plan::is_whole(m, p, w));
                        !ends.get(&p.name).is_some_and(|all| all.iter().all(whole))
                    }
                    PortKind::Host { .. } | PortKind::VhostUser { .. } => false,
                };
                // A guest's tag is its link's to say.
                let tagged = |row: &&super::rows::Port| matches!(p.kind, PortKind::VhostUser { .. }) || row.tag == Some(p.vlan.get());
                far || !by_name.get(p.name.as_str()).is_some_and(tagged)
            };
            let unmade =
                |w: &&(SegmentId, [Wanted; 2])| w.1.iter().any(|w| by_name.get(w.name.as_str()).is_none_or(|p| !plan::is_as(p, w)));
            let wanted: HashSet<&str> = inner.iter().flat_map(|(_, w)| w).map(|w| w.name.as_str()).collect();
            let extra = |p: &&&super::rows::Port| {
                is_inner(&p.name)
                    && !wanted.contains(p.name.as_str())
                    && plan::segment_of(p).is_some_and(|s| links.contains_key(&s) || s.0.is_nil())
            };
            (
                ports.values().filter(lost).cloned().collect::<Vec<_>>(),
                inner.iter().filter(unmade).cloned().collect::<Vec<_>>(),
                by_name.values().filter(extra).filter_map(|p| p.name.parse::<IfName>().ok()).collect::<Vec<_>>(),
            )
        })?;
        for p in lost {
            match self.switch.ensure_port(&p) {
                Ok(()) => {
                    tracing::warn!(port = %p.name, "a port was lost or changed: it is as it was again");
                    work.remade |= matches!(p.kind, PortKind::Host { .. });
                }
                Err(why) => look.faults.push((p.segment, why)),
            }
        }
        for (segment, [near, far]) in unmade {
            if let Err(why) = self.switch.ensure_all(&[(BRIDGE, &near), (BRIDGE, &far)]) {
                look.faults.push((segment, why));
            }
        }
        for name in extra {
            self.switch.remove_port(&name)?;
        }
        Ok(())
    }

    /// Guests' ports: as their links want them, and put back where they were lost.
    fn guests(&self, work: &mut Work, links: &BTreeMap<SegmentId, Arc<SwitchLink>>, look: &mut Look, until: Instant) -> Result<()> {
        let wanted: HashMap<&str, GuestPort> = links
            .values()
            .flat_map(|l| l.ports.iter().map(move |p| (l, p)))
            .filter_map(|(l, p)| {
                let (vlans, isolated) = match p.at {
                    PortAt::Guest if l.transparent => (Vlans::Tunnel(l.vlan.get()), p.isolated),
                    PortAt::Guest => (Vlans::Access(l.vlan.get()), p.isolated),
                    PortAt::Wire => (Vlans::Nowhere, false),
                    PortAt::Trunk { .. } | PortAt::Own => return None,
                };
                // Frames without a tag of their own are the link's, whichever tags pass.
                let listed = matches!(vlans, Vlans::Tunnel(_)) && !p.only.is_empty();
                let only = if listed { p.only.iter().map(|v| v.get()).chain([0]).collect() } else { BTreeSet::new() };
                Some((p.name.as_str(), GuestPort { name: p.name.clone(), vlans, isolated, only }))
            })
            .collect();
        let (bridge, absent, gone, change) = self.switch.db.view(|m| {
            let (id, row) = m.bridge(BRIDGE).ok_or_else(|| Fault::transient(format!("bridge {BRIDGE} is gone again")))?;
            let by_name = names(m);
            let absent: Vec<GuestPort> = wanted.iter().filter(|(n, _)| !by_name.contains_key(*n)).map(|(_, g)| g.clone()).collect();
            let failed = |p: &super::rows::Port| m.interface_of(p).is_none_or(|(_, i)| plan::trouble(i).is_some());
            let gone: Vec<(Uuid, String)> = row
                .ports
                .iter()
                .filter_map(|id| Some((*id, m.ports.get(id)?)))
                .filter(|(_, p)| plan::was_put_back(p) && failed(p))
                .map(|(id, p)| (id, p.name.clone()))
                .collect();
            Ok::<_, Fault>((id, absent, gone, plan::guests(m, id, row, &wanted)))
        })??;
        if let Some(txn) = change {
            self.switch.db.apply(txn, until)?;
        }
        let gone: Vec<Uuid> = gone.into_iter().filter(|(_, name)| !exists(name)).map(|(id, _)| id).collect();
        if !gone.is_empty() {
            self.switch.db.apply(plan::take_back(bridge, &gone), until)?;
        }
        let wiped = work.bridge.replace(bridge).is_some_and(|had| had != bridge);
        let now = Instant::now();
        let absent: Vec<GuestPort> = absent.into_iter().filter(|g| exists(g.name.as_str())).collect();
        work.missing.retain(|name, _| absent.iter().any(|g| g.name == *name));
        let mut back = Vec::new();
        for g in &absent {
            let since = *work.missing.entry(g.name.clone()).or_insert(now);
            if wiped || since + LOST_AFTER <= now {
                back.push(g);
            } else {
                look.next = Some(look.next.map_or(since + LOST_AFTER, |n| n.min(since + LOST_AFTER)));
            }
        }
        if !back.is_empty() {
            tracing::warn!(ports = back.len(), "guests lost their ports: they are put back");
            self.switch.db.apply(plan::put_back(bridge, BRIDGE, &back), until)?;
        }
        Ok(())
    }

    fn connect(&self, work: &mut Work, until: Instant) -> Result<()> {
        let inbox = self.inbox.clone();
        let tell = move |generation, news| {
            // Fails only when the keeper is gone, at the end.
            let _ = inbox.send(Event::OpenFlow(generation, news));
        };
        work.flows.connect(&self.openflow_socket(), until, tell)
    }

    fn flows(
        &self,
        work: &mut Work,
        ports: &BTreeMap<IfName, SwitchPort>,
        links: &BTreeMap<SegmentId, Arc<SwitchLink>>,
        chains: &BTreeMap<NfpId, Arc<SwitchChain>>,
        until: Instant,
    ) -> Result<()> {
        self.connect(work, until)?;
        let places = self.switch.db.view(numbers)?;
        let mut on: HashMap<String, (&Arc<SwitchLink>, LinkPort)> = HashMap::new();
        let mut trunks = Vec::new();
        for l in links.values() {
            for p in &l.ports {
                match p.at {
                    PortAt::Guest | PortAt::Wire | PortAt::Own => drop(on.insert(p.name.to_string(), (l, p.clone()))),
                    PortAt::Trunk { station, tag } => {
                        let near = if_name(IfKind::Trunk, &station.0);
                        let far = plan::far_name(&near)?;
                        on.insert(near.to_string(), (l, LinkPort { guard: None, ..p.clone() }));
                        trunks.push((p.name.to_string(), far.to_string(), tag, p.guard.as_ref()));
                    }
                }
            }
        }
        // The other ends of a tunnel are on the link as the first is.
        for p in ports.values() {
            for end in self.switch.tunnel_ends(p)?.into_iter().skip(1) {
                if let Some(first) = on.get(p.name.as_str()).cloned() {
                    on.insert(end.name.to_string(), first);
                }
            }
        }
        let led: HashSet<&str> = trunks.iter().map(|(_, far, _, _)| far.as_str()).collect();
        let chained: HashSet<&str> = chains.values().flat_map(|c| c.ports()).map(IfName::as_str).collect();
        let metered = work.flows.is_metered();
        let (mut meters, mut unknown) = (BTreeMap::new(), HashSet::new());
        work.cache.retain(|name, _| places.contains_key(name));
        for (name, Numbered { number, .. }) in places.iter().filter(|(n, _)| !led.contains(n.as_str())) {
            let is_on = on.get(name).map(|(l, p)| (l.as_ref(), p));
            // A plug may be an end of a chain: what leads from there stays until its link is told of.
            let untold = is_guest(name)
                || is_inner(name)
                || (is(name, IfKind::Patch) && !work.cache.contains_key(name) && work.flows.has_of(*number));
            if is_on.is_none() && untold {
                unknown.insert(*number);
                continue;
            }
            let chained = chained.contains(name.as_str());
            let place = Place { number: port_number(*number), on: is_on, chained };
            if metered {
                meters.extend(flows::meters(&place));
            }
            let link = on.get(name).map(|(l, _)| (*l).clone());
            let same = |c: &Cached| {
                c.number == *number
                    && c.chained == chained
                    && match (&c.link, &link) {
                        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                        (None, None) => true,
                        (Some(_), None) | (None, Some(_)) => false,
                    }
            };
            if !work.cache.get(name).is_some_and(same) {
                let flows = flows::of_port(&place).into_iter().map(|f| if metered { f } else { Flow { meter: None, ..f } });
                let flows = flows.map(|f| (f.cookie(*number), f)).collect();
                work.cache.insert(name.clone(), Cached { number: *number, link, chained, flows });
            }
        }
        let mut of_trunks = Vec::new();
        for (nic, far, tag, guard) in &trunks {
            if let (Some(nic), Some(inner)) = (places.get(nic), places.get(far)) {
                let (nic, inner) = (nic.number, inner.number);
                let [inwards, back] = flows::of_trunk(port_number(nic), *tag, port_number(inner), *guard);
                // All of it is the inner port's: while its link is not told of, both ways stay.
                of_trunks.extend(inwards.into_iter().map(|f| (f.cookie(inner), f)));
                of_trunks.extend(back.into_iter().map(|f| (f.cookie(inner), f)));
            }
        }
        work.chains.update(chains, &places);
        let closed = flows::closed();
        let shut = closed.cookie(0);
        let mut wanted = WantedFlows { meters, unknown, ..WantedFlows::default() };
        // After a start of Bothy guests run whose links it is not told of yet: they go on.
        if wanted.unknown.is_empty() || work.flows.has(shut) {
            wanted.flows.insert(shut, &closed);
        }
        wanted.flows.extend(work.cache.values().flat_map(|c| &c.flows).map(|(c, f)| (*c, f)));
        wanted.flows.extend(of_trunks.iter().map(|(c, f)| (*c, f)));
        wanted.flows.extend(work.chains.flows());
        let (changed, count) = (work.flows.apply(&wanted, until), wanted.flows.len());
        if !work.flows.is_metered() && metered {
            // The same once more without rates.
            work.cache.clear();
            return self.flows(work, ports, links, chains, until);
        }
        let changed = changed?;
        if changed > 0 {
            tracing::debug!(changed, flows = count, "flows of the switch");
        }
        Ok(())
    }

    /// Where ovs-vswitchd listens for the bridge: beside the database's socket.
    fn openflow_socket(&self) -> PathBuf {
        match self.switch.db.at() {
            SwitchAddr::Unix(path) => Path::new(path).with_file_name(format!("{BRIDGE}.mgmt")),
            // A box's own switch is on the box.
            SwitchAddr::Tcp(_) => PathBuf::from(format!("/run/openvswitch/{BRIDGE}.mgmt")),
        }
    }
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_guest(name: &str) -> bool {
    is(name, IfKind::Guest)
}
fn is(name: &str, kind: IfKind) -> bool {
    name.parse().is_ok_and(|n| IfKind::of(&n) == Some(kind))
}

/// An end of the patch by which a network of a trunk comes to its link.
fn is_inner(name: &str) -> bool {
    let near = name.strip_prefix("bu").map(|rest| format!("bt{rest}"));
    is(near.as_deref().unwrap_or(name), IfKind::Trunk)
}

/// The host has an interface of this name.
fn exists(name: &str) -> bool {
    nix::net::if_::if_nametoindex(name).is_ok()
}
