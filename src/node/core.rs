//! The orchestrator put together: store, ports, VNFM, NFVO and engine, and the thread that watches
//! the host for them.
//!
//! ```text
//! start: build -> operations taken up -> packages taken up
//! watch: libvirt's events wake steps; a connection (again) means reconcile; orphans are looked for
//!        at start, after 30 s, after each connection and hourly; what a start left to an operation is looked at
//!        when that is over; guests that a full disk paused go
//!        on when there is room; crashed ones are healed where their VNF says so; functions that guests
//!        lost are brought back, and guests are kept on their CPUs; what is over moves to the history; files that no package names go
//! ```
//! Owns the order of these. Never: which adapters the ports are.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tracing::{info, warn};

use crate::{
    lcm::{
        archive::archive,
        engine::{Engine, Settings},
        port::WakeKey,
        recover::Recovered,
    },
    model::{
        domain::Layout,
        error::{Fault, Result},
        host::{HostFacts, PciDevice},
        hw::PciAddr,
        id::{IfName, OpId, VnfcId},
        package::{NsDescriptor, PnfDescriptor},
        place::Missed,
        time::{Clock, Dice},
        vnf::VnfInstance,
    },
    nfvo::{Nfvo, runner::Steps},
    ops::{
        alarms::Alarms,
        collect::Collector,
        heal::Healer,
        watch::{Look, Monitor},
    },
    sdn::{connector::Connectors, port::Fabric},
    store::Store,
    vim::{
        links::Links,
        outside::{self, Outside},
        port::{GuestEvent, GuestState, Hardware, HostNet, Hypervisor, Images},
        setup::{Desired, Keeper, Settled},
    },
    vnfm::{
        Parts, Rules, Vnfm,
        revive::{Findings, Missing},
    },
};

/// The adapters (or their twins).
#[derive(Clone)]
pub struct Ports {
    pub hypervisor: Arc<dyn Hypervisor>,
    pub images: Arc<dyn Images>,
    pub fabric: Arc<dyn Fabric>,
    pub host: Arc<dyn HostNet>,
    pub controllers: Arc<dyn Connectors>,
    pub hardware: Arc<dyn Hardware>,
}

/// What the orchestrator is built from.
pub struct Build {
    pub store: Store,
    pub ports: Ports,
    pub layout: Layout,
    pub rules: Rules,
    /// The host as it should be.
    pub desired: Desired,
    /// What is told of switches outside the box.
    pub outside: outside::Settings,
    pub clock: Arc<dyn Clock>,
    pub dice: Arc<dyn Dice>,
    pub engine: Settings,
    /// Interfaces that carry physical networks: one without a link is an alarm.
    pub uplinks: Vec<IfName>,
}

/// How far the host is what the records say.
#[derive(Debug, Clone, Default)]
pub struct Reconciled {
    /// The last complete look.
    pub last: Option<Findings>,
    /// Why the present one is not complete.
    pub waiting: Option<String>,
    /// Guests that a full disk paused.
    pub paused: BTreeSet<VnfcId>,
    /// What guests miss of the functions that they were given, and what is done about it.
    pub lost: Vec<Missed>,
}

pub struct Core {
    pub nfvo: Arc<Nfvo>,
    pub engine: Arc<Engine>,
    pub recovered: Recovered,
    pub ports: Ports,
    /// How the host is set up.
    pub host: Arc<Keeper>,
    pub alarms: Arc<Alarms>,
    pub pm: Arc<Collector>,
    /// Switches outside the box.
    pub outside: Arc<Outside>,
    uplinks: Vec<IfName>,
    reconciled: Arc<Mutex<Reconciled>>,
    post: Sender<Message>,
    inbox: Mutex<Option<Receiver<Message>>>,
    watcher: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Guest(GuestEvent),
    /// An operation is over, or stuck.
    Stopped(OpId),
    Look(Missing),
    Stop,
}

/// Between two tries of a look at a host that does not answer.
const TRY_AGAIN: Duration = Duration::from_secs(2);
const SECOND_LOOK: Duration = Duration::from_secs(30);
const LOOKS_OF_A_START: u8 = 2;
const HOURLY: Duration = Duration::from_secs(3600);
const TIDY: Duration = Duration::from_secs(20);
/// Between two looks at how the host is.
const HOST: Duration = Duration::from_secs(10);
/// While there is an alarm of a guest: whether it still should run.
const REVIEW: Duration = Duration::from_secs(1);

impl Core {
    /// Builds and takes up what was under way. The host is looked at by `watch`, so that a box with
    /// a dead libvirtd still answers.
    pub fn start(b: Build) -> Result<Arc<Core>> {
        let host = Arc::new(Keeper::new(b.store.clone(), b.ports.hardware.clone(), b.desired));
        // Before anything wants a VF or a page: the kernel forgot them with the last boot.
        keep(&host);
        let outside = Outside::new(b.store.clone(), b.ports.controllers.clone(), b.outside);
        let links = Links::new(b.store.clone(), b.ports.fabric.clone(), b.ports.host.clone());
        let vnfm = Vnfm::new(Parts {
            store: b.store.clone(),
            hypervisor: b.ports.hypervisor.clone(),
            images: b.ports.images.clone(),
            hardware: b.ports.hardware.clone(),
            links,
            clock: b.clock.clone(),
            dice: b.dice,
            layout: b.layout,
            rules: b.rules,
        });
        let nfvo = Nfvo::new(vnfm.clone(), crate::api::convert::asked::read);
        let engine = Engine::start(b.store, b.clock, Steps::new(nfvo.clone()), b.engine)?;
        vnfm.connect(&engine);
        vnfm.connect_outside(outside.clone());
        let alarms = Arc::new(Alarms::open(vnfm.store().clone(), vnfm.clock().clone(), vnfm.dice().clone())?);
        let pm = Collector::open(vnfm.store().clone(), vnfm.clock().clone(), vnfm.dice().clone(), vnfm.hypervisor().clone())?;
        let recovered = engine.recover()?;
        vnfm.resume_packages()?;
        nfvo.resume::<NsDescriptor>()?;
        nfvo.resume::<PnfDescriptor>()?;
        let (post, inbox) = channel();
        Ok(Arc::new(Core {
            nfvo,
            engine,
            recovered,
            ports: b.ports,
            host,
            alarms,
            pm,
            outside,
            uplinks: b.uplinks,
            reconciled: Arc::default(),
            post,
            inbox: Mutex::new(Some(inbox)),
            watcher: Mutex::default(),
        }))
    }

    /// Starts to watch the host.
    pub fn watch(&self) -> Result<()> {
        let Some(inbox) = lock(&self.inbox).take() else { return Ok(()) };
        self.outside.start()?;
        let post = self.post.clone();
        self.ports.hypervisor.subscribe(Box::new(move |event| {
            // Fails only when the watcher is gone, at the end.
            let _ = post.send(Message::Guest(event));
        }));
        let post = self.post.clone();
        // The switch gets its ports back by itself, not the host's addresses on them.
        self.ports.fabric.on_remade(Box::new(move || drop(post.send(Message::Look(Missing::Leave)))));
        let post = self.post.clone();
        self.engine.on_stop(move |op| drop(post.send(Message::Stopped(op))));
        let w = Watcher {
            vnfm: self.vnfm().clone(),
            host: self.host.clone(),
            fabric: self.ports.fabric.clone(),
            uplinks: self.uplinks.clone(),
            alarms: self.alarms.clone(),
            monitor: Monitor::new(self.vnfm().store().clone(), self.alarms.clone()),
            healer: Healer::new(self.vnfm().store().clone(), self.alarms.clone()),
            nfvo: self.nfvo.clone(),
            host_look: Instant::now(),
            connected: None,
            unsettled: true,
            engine: self.engine.clone(),
            reconciled: self.reconciled.clone(),
            looks: vec![Instant::now()],
            starts: LOOKS_OF_A_START,
            awaited: BTreeSet::new(),
            sweep: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("watch".into())
            .spawn(move || w.run(&inbox))
            .map_err(|e| Fault::transient("cannot start the watcher").with_source(e))?;
        *lock(&self.watcher) = Some(thread);
        Ok(())
    }

    /// Looks at the host again, soon; starting what should run, or as the time since the start has it.
    pub fn look_again(&self, missing: Missing) {
        let _ = self.post.send(Message::Look(missing));
    }

    pub fn vnfm(&self) -> &Arc<Vnfm> {
        self.nfvo.vnfm()
    }

    pub fn reconciled(&self) -> Reconciled {
        lock(&self.reconciled).clone()
    }

    /// Lets running steps answer and ends every thread. Guests go on.
    pub fn stop(&self) {
        let _ = self.post.send(Message::Stop);
        self.pm.stop();
        self.outside.stop();
        self.engine.stop();
        if let Some(w) = lock(&self.watcher).take()
            && w.join().is_err()
        {
            warn!("the watcher ended by a panic");
        }
    }
}

fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Live settings of the host that were applied once; what does not come is in the plan again.
fn keep(host: &Keeper) {
    match host.keep() {
        Ok(done) => {
            done.done.iter().for_each(|what| info!(what, "the host is set up again"));
            done.failed.iter().for_each(|(what, why)| warn!(what, why, "the host is not set up as it was"));
        }
        Err(fault) => warn!("the host's set-up cannot be looked at: {fault:?}"),
    }
}

/// A fault that is not told is in the log at least.
fn told(r: Result<()>) {
    if let Err(fault) = r {
        warn!("an alarm is not told: {fault:?}");
    }
}

/// Interfaces of PFs that carry a physical network.
fn of_networks(facts: &HostFacts) -> Vec<(IfName, PciAddr)> {
    let of = |d: &PciDevice| d.ports.iter().map(|p| (p.name.clone(), d.addr)).collect::<Vec<_>>();
    facts.pfs().filter(|(_, pf)| pf.physical.is_some()).flat_map(|(d, _)| of(d)).collect()
}

struct Watcher {
    vnfm: Arc<Vnfm>,
    host: Arc<Keeper>,
    fabric: Arc<dyn Fabric>,
    uplinks: Vec<IfName>,
    alarms: Arc<Alarms>,
    monitor: Monitor,
    healer: Healer,
    nfvo: Arc<Nfvo>,
    /// When to look at how the host is.
    host_look: Instant,
    /// What libvirt's connection said last.
    connected: Option<bool>,
    /// Whether this boot is a sound one is not known yet.
    unsettled: bool,
    engine: Arc<Engine>,
    reconciled: Arc<Mutex<Reconciled>>,
    /// When to look at the host.
    looks: Vec<Instant>,
    /// Looks that still belong to a start or a new connection: they start guests that are off, and
    /// the next of them follows soon.
    starts: u8,
    /// Operations that a look of a start left guests to which are off: it is made up for when one is over.
    awaited: BTreeSet<OpId>,
    /// When to look for files that no package names.
    sweep: Instant,
}

impl Watcher {
    fn run(mut self, inbox: &Receiver<Message>) {
        // What a kill kept from being removed.
        self.sweep_files();
        self.guard_reserve();
        let mut tidy = Instant::now() + TIDY;
        let mut review = Instant::now() + REVIEW;
        loop {
            let now = Instant::now();
            let mut next = self.looks.iter().min().copied().unwrap_or(now + HOURLY).min(tidy).min(self.host_look);
            if self.monitor.is_curious() {
                next = next.min(review);
            }
            match inbox.recv_timeout(next.saturating_duration_since(now)) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Message::Look(missing)) => self.look_now(missing),
                Ok(Message::Guest(event)) => self.event(event),
                Ok(Message::Stopped(op)) => self.stopped(op),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = Instant::now();
            if self.looks.iter().any(|l| *l <= now) {
                self.look();
            }
            if self.host_look <= now {
                self.look_at_host();
                self.host_look = Instant::now() + if self.monitor.is_uneasy() { TRY_AGAIN } else { HOST };
            }
            if review <= now {
                review = now + REVIEW;
                self.review(false);
            }
            if tidy <= now {
                tidy = now + TIDY;
                self.tidy();
            }
        }
    }

    fn event(&mut self, event: GuestEvent) {
        // Guests that go off because the host does are no fault.
        if !self.vnfm.is_draining() && !self.is_past(event) {
            let vnfm = self.vnfm.clone();
            told(self.monitor.event(event, || !vnfm.has_room_again()));
        }
        match event {
            GuestEvent::Changed { id, state } => {
                match state {
                    GuestState::PausedIo => {
                        warn!(guest = %id, "the guest is paused: a write failed, the file system of its disks is full");
                        lock(&self.reconciled).paused.insert(id);
                        self.guard_reserve();
                    }
                    GuestState::Crashed => warn!(guest = %id, "the guest crashed"),
                    GuestState::Off | GuestState::Running | GuestState::Paused | GuestState::Stopping => {
                        lock(&self.reconciled).paused.remove(&id);
                    }
                }
                self.engine.wake(WakeKey::Guest(id));
                self.heal();
            }
            GuestEvent::AgentUp { id } => self.engine.wake(WakeKey::Guest(id)),
            GuestEvent::Failed { .. } => {}
            GuestEvent::Disconnected => {
                self.connected = Some(false);
                self.host_look = Instant::now();
                lock(&self.reconciled).waiting = Some("libvirt does not answer".into());
            }
            GuestEvent::Connected => {
                self.connected = Some(true);
                self.host_look = Instant::now();
                self.starts = LOOKS_OF_A_START;
                self.looks.push(Instant::now());
            }
        }
    }

    /// What it had in hand is the next look's, if it was so at a start; CPUs that it gave back are everybody's.
    fn stopped(&mut self, op: OpId) {
        if let Err(fault) = self.vnfm.spread() {
            warn!(%op, "guests that float are not all where they may run now: {fault:?}");
        }
        if self.awaited.remove(&op) {
            self.look_now(Missing::Start);
        }
    }

    fn look_now(&mut self, missing: Missing) {
        self.starts = match missing {
            Missing::Start => self.starts.max(1),
            Missing::Leave => self.starts,
        };
        self.looks.push(Instant::now());
    }

    /// Heard late: the guest runs again, so an operation that is over by now had stopped it.
    fn is_past(&self, event: GuestEvent) -> bool {
        let GuestEvent::Changed { id, state: GuestState::Off } = event else { return false };
        matches!(self.vnfm.hypervisor().state(id), Ok(Some(GuestState::Running)))
    }

    fn look(&mut self) {
        self.looks.clear();
        let missing = if self.starts > 0 { Missing::Start } else { Missing::Leave };
        match self.vnfm.look(missing) {
            Ok(found) => {
                if !self.vnfm.is_draining() {
                    told(self.monitor.found(&found.off, &found.missed(), found.quarantined.len()));
                    told(found.lost.iter().try_for_each(|lost| self.monitor.missed(lost)));
                }
                if missing == Missing::Start {
                    self.awaited.extend(&found.awaited);
                }
                let link_is_down = found.link_is_down;
                let mut r = lock(&self.reconciled);
                r.paused.extend(found.paused.iter().copied());
                if let Some(lost) = &found.lost {
                    r.lost.clone_from(lost);
                }
                r.last = Some(found);
                r.waiting = None;
                drop(r);
                self.review(true);
                // Guests without their link have not had their turn.
                if !link_is_down {
                    self.starts = self.starts.saturating_sub(1);
                }
                self.settle_boot();
                let after = if self.starts > 0 { SECOND_LOOK } else { HOURLY };
                self.looks.push(Instant::now() + after);
            }
            Err(fault) => {
                let text = fault.to_string();
                let mut r = lock(&self.reconciled);
                if r.waiting.as_deref() != Some(&text) {
                    warn!("the host cannot be looked at: {fault:?}");
                }
                r.waiting = Some(text);
                self.looks.push(Instant::now() + TRY_AGAIN);
            }
        }
    }

    /// The API answers and the hypervisor has shown its guests: the boot is a sound one.
    fn settle_boot(&mut self) {
        if !self.unsettled {
            return;
        }
        match self.host.settle_boot() {
            Ok(Settled::Kept) => info!("this boot's kernel arguments have proved themselves: every boot has them now"),
            Ok(Settled::FellBack(args)) => warn!(%args, "the kernel arguments on trial did not come up: the box is back on those before"),
            Ok(Settled::Nothing) => {}
            Err(fault) => return warn!("the kernel arguments stay on trial: {fault:?}"),
        }
        self.unsettled = false;
    }

    fn tidy(&mut self) {
        match archive(self.vnfm.store()) {
            Ok(0) => {}
            Ok(n) => info!(operations = n, "moved to the history"),
            Err(fault) => warn!("finished operations stay where they are: {fault:?}"),
        }
        self.guard_reserve();
        self.watch_functions();
        self.keep_pins();
        self.resume_paused();
        self.sweep_files();
        self.sweep_copies();
        self.review(true);
        self.monitor.forget();
        told(self.alarms.prune().map(drop));
    }

    fn review(&mut self, thorough: bool) {
        if self.monitor.is_curious() && !self.vnfm.is_draining() {
            let hypervisor = self.vnfm.hypervisor().clone();
            told(self.monitor.review(thorough, |id| hypervisor.state(id).ok().flatten()));
            self.heal();
        }
    }

    /// Not before the first look: it starts what went off while bothy was away.
    fn heal(&mut self) {
        if self.vnfm.is_draining() || lock(&self.reconciled).last.is_none() {
            return;
        }
        let (hypervisor, nfvo) = (self.vnfm.hypervisor().clone(), self.nfvo.clone());
        let is_off = |id| matches!(hypervisor.state(id), Ok(Some(GuestState::Off | GuestState::Crashed)));
        let heal = |v: &VnfInstance, guest, why: &str| nfvo.heal_by_itself(v, guest, why);
        told(self.healer.tick(&self.vnfm.rules().autoheal, Instant::now(), is_off, heal));
    }

    fn look_at_host(&mut self) {
        let answer = |r: Result<String>| Some(r.map(drop).map_err(|f| f.detail()));
        // While the connection is known to be gone, asking would only wait for it.
        let hypervisor = match self.connected {
            Some(false) => Some(Err("the connection to libvirt is lost; see whether libvirtd runs".into())),
            Some(true) | None => answer(self.vnfm.hypervisor().health()),
        };
        let pfs: Vec<(IfName, PciAddr)> = self.vnfm.facts_seen().map(|f| of_networks(&f)).unwrap_or_default();
        let links: Vec<IfName> = self.uplinks.iter().chain(pfs.iter().map(|(n, _)| n)).cloned().collect();
        let look = Look {
            hypervisor,
            switch: answer(self.fabric.health()),
            room: self.vnfm.images().room().ok().map(|r| (r, self.vnfm.rules().reserve_disk)),
            pulse: self.vnfm.hardware().pulse(&links).ok(),
            pfs,
        };
        told(self.monitor.look(&look));
    }

    /// PFs lose their functions without a word to us, those that guests have and those that nobody has.
    fn watch_functions(&mut self) {
        match self.vnfm.watch_functions() {
            Ok(lost) => {
                told(self.monitor.missed(&lost));
                lock(&self.reconciled).lost = lost;
            }
            Err(fault) => warn!("whether guests have their functions is not known: {fault:?}"),
        }
    }

    /// Somebody may have pinned a guest elsewhere, which nobody tells us.
    fn keep_pins(&self) {
        if let Err(fault) = self.vnfm.keep_pins() {
            warn!("whether guests are on their CPUs is not known: {fault:?}");
        }
    }

    fn guard_reserve(&self) {
        if let Err(fault) = self.vnfm.guard_reserve() {
            warn!("the reserve of the store's file system is not kept: {fault:?}");
        }
    }

    fn sweep_files(&mut self) {
        if Instant::now() < self.sweep {
            return;
        }
        match self.vnfm.sweep_artifacts() {
            Ok(true) => self.sweep = Instant::now() + HOURLY,
            Ok(false) => {}
            Err(fault) => warn!("files that no package names are not looked for: {fault:?}"),
        }
    }

    /// What an operation that is over kept of disks.
    fn sweep_copies(&self) {
        if let Err(fault) = self.vnfm.sweep_copies() {
            warn!("copies of disks that nothing names are not looked for: {fault:?}");
        }
    }

    /// Guests that a full disk paused go on when the reserve is free again.
    fn resume_paused(&self) {
        let paused: Vec<VnfcId> = lock(&self.reconciled).paused.iter().copied().collect();
        if paused.is_empty() {
            return;
        }
        let enough = self.vnfm.has_room_again();
        for id in paused.into_iter().filter(|_| enough) {
            match self.vnfm.hypervisor().state(id) {
                Ok(Some(GuestState::PausedIo)) => {}
                Ok(_) => {
                    lock(&self.reconciled).paused.remove(&id);
                    continue;
                }
                Err(_) => continue,
            }
            match self.vnfm.hypervisor().start(id) {
                Ok(()) => {
                    info!(guest = %id, "there is room again: the guest goes on");
                    lock(&self.reconciled).paused.remove(&id);
                }
                Err(fault) => warn!(guest = %id, "the guest stays paused: {fault:?}"),
            }
        }
    }
}
