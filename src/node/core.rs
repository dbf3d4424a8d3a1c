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

mod watcher;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use camino::Utf8PathBuf;
use tracing::{info, warn};

use watcher::{LOOKS_OF_A_START, Watcher};

use super::system::Rest;
use crate::{
    hostnet::{
        HostNets, Uplinks,
        port::{NetDaemon, WaysOut},
    },
    lcm::{
        engine::{Engine, Settings},
        port::Runner,
        recover::Recovered,
    },
    model::{
        domain::Layout,
        error::{Fault, Result},
        id::{IfName, OpId, VnfcId},
        package::{NsDescriptor, PnfDescriptor},
        place::Missed,
        time::{Clock, Dice},
    },
    nfvo::{Nfvo, runner::Steps},
    ops::{alarms::Alarms, collect::Collector, heal::Healer, indicate::Indicators, watch::Monitor},
    sdn::{connector::Connectors, port::Fabric},
    store::Store,
    update::{Begun, Pace, Updater, port::Slots},
    vim::{
        links::Links,
        outside::{self, Outside},
        port::{GuestEvent, Hardware, HostNet, Hypervisor, Images},
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
    pub controllers: Arc<dyn Connectors>,
    pub hardware: Arc<dyn Hardware>,
    pub slots: Arc<dyn Slots>,
    pub own_net: Arc<dyn NetDaemon>,
    pub ways_out: Arc<dyn WaysOut>,
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
    /// Ports that the box's own network must leave alone, and why.
    pub taken: BTreeMap<IfName, String>,
    /// What this start means for an update that was under way; the store was opened as it says.
    pub begun: Begun,
    pub pace: Pace,
    /// Where the API answers on the box.
    pub socket: Option<Utf8PathBuf>,
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
    pub indicators: Arc<Indicators>,
    /// Switches outside the box.
    pub outside: Arc<Outside>,
    update: Arc<Updater>,
    own_net: Arc<HostNets>,
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
    /// How the host is may have changed.
    Host,
    Stop,
}

impl Core {
    /// Builds and takes up what was under way. The host is looked at by `watch`, so that a box with
    /// a dead libvirtd still answers.
    pub fn start(b: Build) -> Result<Arc<Core>> {
        Core::start_around(b, |steps| steps)
    }

    /// The same with something around the steps.
    pub(super) fn start_around(b: Build, around: impl FnOnce(Arc<dyn Runner>) -> Arc<dyn Runner>) -> Result<Arc<Core>> {
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
        vnfm.recall_devices()?;
        let nfvo = Nfvo::new(vnfm.clone(), crate::api::convert::asked::read);
        let engine = Engine::start(b.store, b.clock, around(Steps::new(nfvo.clone())), b.engine)?;
        vnfm.connect(&engine);
        vnfm.connect_outside(outside.clone());
        let alarms = Arc::new(Alarms::open(vnfm.store().clone(), vnfm.clock().clone(), vnfm.dice().clone())?);
        let pm = Collector::open(vnfm.store().clone(), vnfm.clock().clone(), vnfm.dice().clone(), vnfm.hypervisor().clone())?;
        let indicators = Indicators::new(vnfm.store().clone(), vnfm.clock().clone(), vnfm.hypervisor().clone());
        nfvo.count_pnfs()?;
        let recovered = engine.recover()?;
        vnfm.resume_packages()?;
        nfvo.resume::<NsDescriptor>()?;
        nfvo.resume::<PnfDescriptor>()?;
        let (net, clock) = (b.ports.own_net.clone(), vnfm.clock().clone());
        let uplinks = Uplinks::new(b.ports.ways_out.clone(), net.clone(), clock.clone(), Duration::from_secs(1));
        let own_net = HostNets::new(vnfm.store().clone(), net, uplinks, clock, b.taken);
        let (post, inbox) = channel();
        let slots = b.ports.slots.clone();
        let block = host.block().clone();
        Ok(Arc::new_cyclic(|me| Core {
            nfvo,
            engine,
            recovered,
            ports: b.ports,
            host,
            alarms,
            pm,
            indicators,
            outside,
            uplinks: b.uplinks,
            reconciled: Arc::default(),
            post,
            inbox: Mutex::new(Some(inbox)),
            watcher: Mutex::default(),
            own_net,
            update: Updater::new(slots, block, Arc::new(Rest::new(me.clone(), b.socket)), b.pace, b.begun),
        }))
    }

    /// Updates of the box's own system.
    pub fn update(&self) -> &Arc<Updater> {
        &self.update
    }

    /// The box's own network.
    pub fn own_net(&self) -> &Arc<HostNets> {
        &self.own_net
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
        self.own_net.uplinks().on_change(move || drop(post.send(Message::Host)));
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
            spread: None,
            update: self.update().clone(),
            indicators: self.indicators.clone(),
            own_uplinks: self.own_net.uplinks().clone(),
        };
        let thread = std::thread::Builder::new()
            .name("watch".into())
            .spawn(move || w.run(&inbox))
            .map_err(|e| Fault::transient("cannot start the watcher").with_source(e))?;
        *lock(&self.watcher) = Some(thread);
        self.update().start();
        self.own_net.start()
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
        self.update().stop();
        self.own_net.stop();
        self.pm.stop();
        self.indicators.stop();
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
