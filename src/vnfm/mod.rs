//! VNF management: lifecycle of VNF instances and their packages (SOL003, IFA007).
//!
//! * `plan`    pure: which guests, disks, ports, addresses and steps a request means
//! * `parts`   pure: NICs, disks and domains of guests
//! * `affinity` groups of guests to placement's, and what one host cannot keep
//! * `place`   wishes for hardware to placement and back
//! * `change`  pure: what scaling and healing add to the guests and take from them
//! * `alter`   takes a request to scale or to heal
//! * `abroad`  members of services that a foreign VNFM has
//! * `connect` external connection points that come to other links
//! * `part`    a member's operation as a part of its service's
//! * `remake` the VNF comes to another flavour, or another package
//! * `grant`   whether the box has room for plans, and the project leave
//! * `coordinate` pure: what an operation asks of the VNF itself, in its plan
//! * `own`     what became of that
//! * `reach`   where a VNF's own interfaces are
//! * `owned`   what a central NFVO owns waits for its grant
//! * `laid`    a plan that is made anew, as its grant says
//! * `accept`  takes a request: plan, capacity, one transaction; or a dry run
//! * `run`     does and undoes one step by the ports
//! * `settle`  what the end of an operation means for the instance
//! * `day0`    renders what a guest finds at its first boot
//! * `package` onboards VNF packages
//! * `artefact` what of a package is for others than MANO, or lies outside of it
//! * `brought` packages that a central NFVO has, and wants VNFs of here
//! * `known`   descriptors that were read, for those who read instances
//! * `back`    whether VNFs of another box would run on this one
//! * `rival` one id, one onboarded descriptor
//! * `sample`  packages that are looked at and not onboarded
//! * `room`    whether what is no disk of a guest may be written
//! * `reload`  takes a request to reload a PF, and finds PFs that lost functions of guests
//! * `bare`    PFs that lost the VFs of the host's set-up while no guest has one
//! * `float`   keeps guests on the CPUs that they may run on
//! * `vhost`   the switch's side of vhost-user NICs
//! * `plug`    does and undoes the steps of that
//! * `snapshot` snapshots of VNFs, and the way back to them
//! * `unasked` operations that no request began are told of
//! * `shutdown` stops guests when the host goes down
//! * `hold`    pure: which guests the operation that holds a VNF has in hand
//! * `order`   pure: in which order they come back
//! * `revive`  brings guests back after a restart of the host
//! * `stray`   what is on the host and in no record: removed, or left alone
//!
//! Owns `Vnfm`, which the rest of the box talks to. Never: HTTP, network services.

pub mod abroad;
pub mod accept;
mod affinity;
pub mod alter;
mod artefact;
mod back;
mod bare;
pub mod brought;
pub mod change;
pub mod connect;
pub mod coordinate;
pub mod day0;
mod float;
pub mod grant;
pub mod hold;
mod known;
pub mod laid;
mod medium;
pub mod operate;
mod order;
pub mod own;
pub mod owned;
pub mod package;
pub mod part;
mod parts;
pub mod place;
pub mod plan;
mod plug;
pub mod reach;
pub mod reload;
pub mod remake;
pub mod revive;
pub mod rival;
mod room;
pub mod run;
pub mod sample;
pub mod settle;
pub mod shutdown;
pub mod snapshot;
pub mod stray;
mod unasked;
mod vhost;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};

use crate::{
    lcm::engine::Engine,
    model::{
        domain::Layout,
        error::{Fault, Result},
        host::HostFacts,
        size::{Bytes, MiB},
        time::{Clock, Dice},
        vnf::Autoheal,
    },
    store::Store,
    vim::{
        capacity::{Overcommit, Supply},
        links::Links,
        network::LinkRules,
        outside::Outside,
        place::facts::{HostReserve, large_pages},
        port::{Hardware, HostCapacity, Hypervisor, Images, Stillness},
    },
};

/// What may be changed while bothy runs.
#[derive(Debug, Clone)]
pub struct Rules {
    pub links: LinkRules,
    pub overcommit: Overcommit,
    /// Kept for the host, never handed out.
    pub reserve: HostReserve,
    pub reserve_disk: MiB,
    /// `gracefulTerminationTimeout`, in seconds, where neither request nor descriptor says one.
    pub graceful_stop_s: u32,
    /// Guests started at once after a restart of the host.
    pub start_at_once: usize,
    pub autoheal: Autoheal,
    /// What a VNF may take for what an operation asks of it, in seconds.
    pub vnf_answer_s: u32,
}

pub struct Vnfm {
    pub(crate) store: Store,
    pub(crate) hypervisor: Arc<dyn Hypervisor>,
    pub(crate) images: Arc<dyn Images>,
    pub(crate) hardware: Arc<dyn Hardware>,
    pub(crate) links: Links,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dice: Arc<dyn Dice>,
    pub(crate) layout: Layout,
    rules: RwLock<Rules>,
    /// What the host had when it last answered: a request can be judged while libvirt is away.
    known: RwLock<Option<HostCapacity>>,
    /// The hardware when it was last read: reading all of it takes a while.
    seen: RwLock<Option<Arc<HostFacts>>>,
    /// Not its owner: the engine holds the VNFM through its steps.
    engine: OnceLock<Weak<Engine>>,
    /// Told of operations that wait for the grant of a central NFVO.
    asks: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// Told of what operations ask of VNFs themselves.
    errands: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// By whom foreign VNFMs are asked, handed over at start.
    managers: OnceLock<Arc<dyn abroad::port::Managers>>,
    /// Which of them have called.
    ears: abroad::ears::Ears,
    /// Switches outside the box, handed over at start.
    outside: OnceLock<Arc<Outside>>,
    /// The host goes down: no guest is started by a look at it any more.
    drain: Mutex<Option<shutdown::Drain>>,
    /// Whether the last look found guests that no record names; `None`: there was none yet.
    strangers: Mutex<Option<bool>>,
    /// PFs that were restored of late.
    patience: Mutex<reload::Patience>,
    floats: Mutex<float::Kept>,
    /// Packages are unpacked one after the other: each has the room that it was told of.
    unpacking: Mutex<()>,
    /// Files of packages are looked through for what nobody names; none may come to its place meanwhile.
    sweeping: Mutex<()>,
    /// Onboardings end one after the other.
    ending: Mutex<()>,
    /// What is fetched of an NFVO is begun once.
    bringing: Mutex<()>,
    /// Descriptors that were read of late.
    read: Mutex<known::Read>,
    unasked: unasked::Unasked,
    still: Stillness,
}

/// What `Vnfm` is built from.
pub struct Parts {
    pub store: Store,
    pub hypervisor: Arc<dyn Hypervisor>,
    pub images: Arc<dyn Images>,
    pub hardware: Arc<dyn Hardware>,
    pub links: Links,
    pub clock: Arc<dyn Clock>,
    pub dice: Arc<dyn Dice>,
    pub layout: Layout,
    pub rules: Rules,
}

impl Vnfm {
    pub fn new(p: Parts) -> Arc<Vnfm> {
        Arc::new(Vnfm {
            store: p.store,
            hypervisor: p.hypervisor,
            images: p.images,
            hardware: p.hardware,
            links: p.links,
            clock: p.clock,
            dice: p.dice,
            layout: p.layout,
            rules: RwLock::new(p.rules),
            known: RwLock::new(None),
            seen: RwLock::new(None),
            engine: OnceLock::new(),
            drain: Mutex::default(),
            strangers: Mutex::default(),
            outside: OnceLock::new(),
            asks: OnceLock::new(),
            errands: OnceLock::new(),
            managers: OnceLock::new(),
            ears: abroad::ears::Ears::default(),
            patience: Mutex::default(),
            floats: Mutex::default(),
            unpacking: Mutex::default(),
            sweeping: Mutex::default(),
            ending: Mutex::default(),
            bringing: Mutex::default(),
            read: Mutex::default(),
            unasked: unasked::Unasked::default(),
            still: Stillness::default(),
        })
    }

    /// The engine runs this VNFM's steps, and the VNFM hands it operations: they learn of each
    /// other once, at start.
    pub fn connect(&self, engine: &Arc<Engine>) {
        let _ = self.engine.set(Arc::downgrade(engine));
    }
    pub fn connect_outside(&self, outside: Arc<Outside>) {
        let _ = self.outside.set(outside);
    }
    /// The switches behind the box, as far as controllers have them.
    pub fn outside(&self) -> Result<&Arc<Outside>> {
        self.outside.get().ok_or_else(|| Fault::bug("nobody keeps the switches outside"))
    }
    pub fn engine(&self) -> Result<Arc<Engine>> {
        self.engine.get().and_then(Weak::upgrade).ok_or_else(|| Fault::transient("bothy is going down: ask again when it is back"))
    }
    pub fn store(&self) -> &Store {
        &self.store
    }
    pub fn hypervisor(&self) -> &Arc<dyn Hypervisor> {
        &self.hypervisor
    }
    pub fn hardware(&self) -> &Arc<dyn Hardware> {
        &self.hardware
    }
    /// The host goes down, and its guests with it.
    pub fn is_draining(&self) -> bool {
        self.drain().is_some()
    }
    /// Since when it does.
    pub fn draining(&self) -> Option<shutdown::Drain> {
        *self.drain()
    }
    fn drain(&self) -> MutexGuard<'_, Option<shutdown::Drain>> {
        self.drain.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub fn images(&self) -> &Arc<dyn Images> {
        &self.images
    }
    /// Guests that stand still while their disks are copied.
    pub fn still(&self) -> &Stillness {
        &self.still
    }
    pub fn links(&self) -> &Links {
        &self.links
    }
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
    pub fn dice(&self) -> &Arc<dyn Dice> {
        &self.dice
    }
    pub fn rules(&self) -> Rules {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
    pub fn set_rules(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// Keeps the reserve of the store's file system where what is promised does not: with more disk
    /// promised than there is, guests may ask for its last byte.
    pub fn guard_reserve(&self) -> Result<()> {
        self.images.hold_reserve(self.guarded())
    }

    fn guarded(&self) -> MiB {
        let rules = self.rules();
        if rules.overcommit.disk > 1.0 { rules.reserve_disk } else { MiB(0) }
    }

    /// Guests that a full file system paused may go on: there is room beside the whole reserve.
    pub fn has_room_again(&self) -> bool {
        let enough = match self.guarded() {
            MiB(0) => self.rules().reserve_disk.0.max(64),
            MiB(guarded) => guarded + 64,
        };
        self.images.room().is_ok_and(|r| (r.free.0 >> 20) > enough)
    }

    /// The hardware as it is now.
    pub fn facts(&self) -> Result<Arc<HostFacts>> {
        let facts = Arc::new(self.hardware.facts()?);
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = Some(facts.clone());
        Ok(facts)
    }
    /// The hardware as it was last read; `None` where it cannot be.
    pub fn facts_seen(&self) -> Option<Arc<HostFacts>> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner).clone();
        seen.or_else(|| self.facts().ok())
    }

    /// What guests can share of the host: reserves, CPUs kept free of the scheduler and memory in
    /// large pages taken off.
    pub fn supply(&self) -> Result<Supply> {
        let rules = self.rules();
        let host = match self.hypervisor.capacity() {
            Ok(c) => {
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(c);
                c
            }
            Err(fault) => match *self.known.read().unwrap_or_else(PoisonError::into_inner) {
                Some(c) => c,
                None => return Err(fault),
            },
        };
        let room = self.images.room()?;
        let usable = Bytes(room.free.0.saturating_add(room.disks.0));
        let (kept, large) = match self.facts_seen() {
            Some(f) => (rules.reserve.cpus.union(&f.isolated), large_pages(&f)),
            None => (rules.reserve.cpus.clone(), MiB(0)),
        };
        Ok(Supply {
            cpus: host.cpus.saturating_sub(kept.len() as u32),
            memory: MiB(host.memory.0.saturating_sub(large.0).saturating_sub(rules.reserve.memory.0)),
            disk: MiB((usable.0 >> 20).saturating_sub(rules.reserve_disk.0)),
        })
    }
}
