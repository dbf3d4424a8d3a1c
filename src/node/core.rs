//! The orchestrator put together: store, ports, VNFM, NFVO and engine, and the thread that watches
//! the host for them.
//!
//! ```text
//! start: build -> operations taken up -> packages taken up
//! watch: libvirt's events wake steps; a connection (again) means reconcile; orphans are looked for
//!        at start, after 30 s, after each connection and hourly; guests that a full disk paused go
//!        on when there is room; what is over moves to the history; files that no package names go
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
        id::VnfcId,
        time::{Clock, Dice},
    },
    nfvo::{Nfvo, runner::Steps},
    sdn::port::Fabric,
    store::Store,
    vim::{
        links::Links,
        port::{GuestEvent, GuestState, Hardware, HostNet, Hypervisor, Images},
        setup::{Desired, Keeper},
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
    pub clock: Arc<dyn Clock>,
    pub dice: Arc<dyn Dice>,
    pub engine: Settings,
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
}

pub struct Core {
    pub nfvo: Arc<Nfvo>,
    pub engine: Arc<Engine>,
    pub recovered: Recovered,
    pub ports: Ports,
    /// How the host is set up.
    pub host: Arc<Keeper>,
    reconciled: Arc<Mutex<Reconciled>>,
    post: Sender<Message>,
    inbox: Mutex<Option<Receiver<Message>>>,
    watcher: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Guest(GuestEvent),
    Reconcile,
    Stop,
}

/// Between two tries of a look at a host that does not answer.
const TRY_AGAIN: Duration = Duration::from_secs(2);
const SECOND_LOOK: Duration = Duration::from_secs(30);
const LOOKS_OF_A_START: u8 = 2;
const HOURLY: Duration = Duration::from_secs(3600);
const TIDY: Duration = Duration::from_secs(20);

impl Core {
    /// Builds and takes up what was under way. The host is looked at by `watch`, so that a box with
    /// a dead libvirtd still answers.
    pub fn start(b: Build) -> Result<Arc<Core>> {
        let host = Arc::new(Keeper::new(b.store.clone(), b.ports.hardware.clone(), b.desired));
        // Before anything wants a VF or a page: the kernel forgot them with the last boot.
        keep(&host);
        let links = Links::new(b.store.clone(), b.ports.fabric.clone(), b.ports.host.clone());
        let vnfm = Vnfm::new(Parts {
            store: b.store.clone(),
            hypervisor: b.ports.hypervisor.clone(),
            images: b.ports.images.clone(),
            links,
            clock: b.clock.clone(),
            dice: b.dice,
            layout: b.layout,
            rules: b.rules,
        });
        let nfvo = Nfvo::new(vnfm.clone());
        let engine = Engine::start(b.store, b.clock, Steps::new(nfvo.clone()), b.engine)?;
        vnfm.connect(&engine);
        let recovered = engine.recover()?;
        vnfm.resume_packages()?;
        nfvo.resume_nsds()?;
        let (post, inbox) = channel();
        Ok(Arc::new(Core {
            nfvo,
            engine,
            recovered,
            ports: b.ports,
            host,
            reconciled: Arc::default(),
            post,
            inbox: Mutex::new(Some(inbox)),
            watcher: Mutex::default(),
        }))
    }

    /// Starts to watch the host.
    pub fn watch(&self) -> Result<()> {
        let Some(inbox) = lock(&self.inbox).take() else { return Ok(()) };
        let post = self.post.clone();
        self.ports.hypervisor.subscribe(Box::new(move |event| {
            // Fails only when the watcher is gone, at the end.
            let _ = post.send(Message::Guest(event));
        }));
        let w = Watcher {
            vnfm: self.vnfm().clone(),
            host: self.host.clone(),
            unsettled: true,
            engine: self.engine.clone(),
            reconciled: self.reconciled.clone(),
            looks: vec![Instant::now()],
            starts: LOOKS_OF_A_START,
            sweep: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("watch".into())
            .spawn(move || w.run(&inbox))
            .map_err(|e| Fault::transient("cannot start the watcher").with_source(e))?;
        *lock(&self.watcher) = Some(thread);
        Ok(())
    }

    /// Looks at the host again, soon.
    pub fn look_again(&self) {
        let _ = self.post.send(Message::Reconcile);
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

struct Watcher {
    vnfm: Arc<Vnfm>,
    host: Arc<Keeper>,
    /// Whether this boot is a sound one is not known yet.
    unsettled: bool,
    engine: Arc<Engine>,
    reconciled: Arc<Mutex<Reconciled>>,
    /// When to look at the host.
    looks: Vec<Instant>,
    /// Looks that still belong to a start or a new connection: they start guests that are off, and
    /// the next of them follows soon.
    starts: u8,
    /// When to look for files that no package names.
    sweep: Instant,
}

impl Watcher {
    fn run(mut self, inbox: &Receiver<Message>) {
        // What a kill kept from being removed.
        self.sweep_files();
        self.guard_reserve();
        let mut tidy = Instant::now() + TIDY;
        loop {
            let now = Instant::now();
            let next = self.looks.iter().min().copied().unwrap_or(now + HOURLY).min(tidy);
            match inbox.recv_timeout(next.saturating_duration_since(now)) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Message::Reconcile) => self.looks.push(Instant::now()),
                Ok(Message::Guest(event)) => self.event(event),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = Instant::now();
            if self.looks.iter().any(|l| *l <= now) {
                self.look();
            }
            if tidy <= now {
                tidy = now + TIDY;
                self.tidy();
            }
        }
    }

    fn event(&mut self, event: GuestEvent) {
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
            }
            GuestEvent::AgentUp { id } => self.engine.wake(WakeKey::Guest(id)),
            GuestEvent::Disconnected => {
                lock(&self.reconciled).waiting = Some("libvirt does not answer".into());
            }
            GuestEvent::Connected => {
                self.starts = LOOKS_OF_A_START;
                self.looks.push(Instant::now());
            }
        }
    }

    fn look(&mut self) {
        self.looks.clear();
        let missing = if self.starts > 0 { Missing::Start } else { Missing::Leave };
        match self.vnfm.look(missing) {
            Ok(found) => {
                let mut r = lock(&self.reconciled);
                r.paused.extend(found.paused.iter().copied());
                r.last = Some(found);
                r.waiting = None;
                drop(r);
                self.starts = self.starts.saturating_sub(1);
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
            Ok(true) => info!("this boot's kernel arguments have proved themselves: every boot has them now"),
            Ok(false) => {}
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
        self.resume_paused();
        self.sweep_files();
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
