//! In-memory twins of the ports: a whole box that costs microseconds.
//!
//! Owns one `Sim`, which is hypervisor, image store, host network and switch at once, so that what
//! one port makes the others see. Tests hand it the guests' behaviour and the faults to have; after
//! that `leftovers` tells what nobody took away. Never: a decision of Bothy's, or a byte on disk
//! (it only reads the file it is asked to import, and takes it away as the real one does; and a disk that it lends is a file).
//!
//! Events go to the subscribers without any lock held, one at a time and in order; a subscriber may
//! call back into the ports.

mod behaviour;
mod events;
pub mod faults;
mod hardware;
pub mod hostnet;
mod hypervisor;
pub mod machine;
mod network;
mod outside;
pub mod slots;
mod storage;
mod world;

use std::{
    net::IpAddr,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use smol_str::SmolStr;

use crate::{
    model::{
        domain::DomainSpec,
        error::{Fault, Result},
        host::HostFacts,
        hw::{CpuSet, PciAddr},
        id::{DiskId, IfName, NfpId, SegmentId, VnfcId},
        net::Cidr,
        place::Thread,
        segment::NatForward,
        size::{Bytes, MiB},
        tunnel::Tunnel,
    },
    sdn::{chain::SwitchChain, link::SwitchLink, port::Datapath},
    vim::port::{Accel, DhcpConf, DiskRoom, GuestEvent, GuestFault, GuestState, GuestStats, HostCapacity, ImageInfo, NatTable},
};
pub use behaviour::{Behaviour, Boot, Unplug};
use events::{Ticker, Timer};
use faults::{Calls, Faults, Method, Target};
use world::World;

/// What the box is like.
#[derive(Debug, Clone)]
pub struct SimConfig {
    pub capacity: HostCapacity,
    pub room: DiskRoom,
    pub accel: Accel,
    pub datapath: Datapath,
    /// Names of physical networks.
    pub physical: Vec<SmolStr>,
    pub tunnels: Vec<Tunnel>,
    pub hardware: HostFacts,
    /// Version and security counter of the system in the first slot, where the box has slots.
    pub system: Option<(&'static str, u64)>,
}

impl Default for SimConfig {
    /// A box that is never the limit.
    fn default() -> Self {
        SimConfig {
            capacity: HostCapacity { cpus: 1 << 14, memory: MiB(1 << 26) },
            room: DiskRoom { total: Bytes(1 << 50), free: Bytes(1 << 50), disks: Bytes(0) },
            accel: Accel::Tcg,
            datapath: Datapath::Kernel,
            physical: vec![SmolStr::new_static("wan")],
            tunnels: Vec::new(),
            hardware: machine::edge_server(),
            system: None,
        }
    }
}

/// Something that is still there. Base images are not among them: they belong to packages.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Leftover {
    Domain(VnfcId),
    Disk(DiskId),
    /// A copy that a snapshot has, or an operation keeps.
    Copy(DiskId),
    Medium(VnfcId),
    SerialLog(VnfcId),
    Dhcp(SegmentId),
    /// A port that Bothy made, or that of a running guest.
    Port(IfName),
    /// Addresses on an interface of the host.
    Link(IfName),
    Masquerade(Cidr),
    Forward(NatForward),
    /// An interface named in the NAT table.
    Inside(IfName),
    /// A VF or a whole device that is not as the host had it.
    Device(PciAddr),
    /// What the switch holds a link's ports to.
    SwitchLink(SegmentId),
    Chain(NfpId),
}

/// The whole box. Clones share it.
#[derive(Clone)]
pub struct Sim {
    inner: Arc<Inner>,
}

struct Inner {
    config: SimConfig,
    world: Mutex<World>,
    /// Signalled at each change of a guest.
    changed: Condvar,
    calls: Calls,
    events: events::Queue,
    timer: Timer,
    /// Hears of ports of the host that were made again.
    remade: Mutex<Option<Box<dyn Fn() + Send + Sync>>>,
}

impl Default for Sim {
    fn default() -> Self {
        Sim::new(SimConfig::default())
    }
}

impl Sim {
    pub fn new(config: SimConfig) -> Self {
        let inner = Arc::new_cyclic(|me: &std::sync::Weak<Inner>| Inner {
            world: Mutex::new(World::new(config.room, config.hardware.clone())),
            config,
            changed: Condvar::new(),
            calls: Calls::default(),
            events: events::Queue::default(),
            remade: Mutex::default(),
            timer: Timer::new({
                let me = me.clone();
                move |due: Ticker| {
                    if let Some(inner) = me.upgrade() {
                        Sim { inner }.tick(due);
                    }
                }
            }),
        });
        let sim = Sim { inner };
        if let Some((version, security)) = sim.inner.config.system {
            sim.set_slots(version, security);
        }
        sim
    }

    /// The fault switch and the counters of calls.
    pub fn faults(&self) -> Faults<'_> {
        Faults::new(&self.inner.calls)
    }
    /// Each call of `method` takes this long from now on.
    pub fn set_delay(&self, method: Method, delay: Duration) {
        self.inner.calls.set_delay(method, delay);
    }
    /// How long the start of a guest takes.
    pub fn start_delay(&self, delay: Duration) {
        self.set_delay(Method::Start, delay);
    }
    /// How guests behave that start from now on.
    pub fn set_guests(&self, how: impl Fn(&DomainSpec) -> Behaviour + Send + Sync + 'static) {
        self.lock().behaviour = Arc::new(how);
    }
    /// Which TCP ports of guests accept a connection; all of them unless this is called.
    pub fn set_tcp(&self, answers: impl Fn(IpAddr, u16) -> bool + Send + Sync + 'static) {
        self.lock().tcp = Arc::new(answers);
    }
    /// `free` is what an empty box has; disks and bases are taken off.
    pub fn set_room(&self, room: DiskRoom) {
        self.lock().room = room;
    }
    /// The configuration forbids how guests would have to run here, for this reason (`None`: it does not).
    pub fn forbid_guests(&self, why: Option<&str>) {
        self.lock().forbidden = why.map(str::to_string);
    }
    /// Another box; VFs and devices are taken for the host's own as they are now.
    pub fn set_hardware(&self, facts: HostFacts) {
        self.lock().hardware = hardware::Hardware::new(facts);
    }
    /// What the last bothy that started said that guests have: functions, and what their cards were called.
    pub fn recalled(&self) -> Vec<(PciAddr, SmolStr)> {
        self.lock().hardware.recalled.clone()
    }
    /// A PF loses its driver behind everybody's back, and guests what they had of it.
    pub fn lose_pf(&self, pf: PciAddr) {
        let mut world = self.lock();
        let gone = world.hardware.lose_pf(pf);
        world.guests.values_mut().for_each(|g| g.functions.retain(|f| !gone.contains(f)));
    }
    /// A port that Bothy made on the switch.
    pub fn switch_port(&self, name: &IfName) -> Option<crate::sdn::port::SwitchPort> {
        self.lock().ports.get(name).cloned()
    }
    /// Functions of the host that a guest has.
    pub fn functions_of(&self, id: VnfcId) -> Vec<PciAddr> {
        self.lock().guests.get(&id).into_iter().flat_map(|g| g.functions.iter().copied()).collect()
    }
    /// A guest loses a function behind everybody's back.
    pub fn pins(&self, id: VnfcId) -> Vec<(Thread, CpuSet)> {
        self.lock().guests.get(&id).map(|g| g.pins.clone()).unwrap_or_default()
    }
    pub fn drop_function(&self, id: VnfcId, device: PciAddr) {
        if let Some(guest) = self.lock().guests.get_mut(&id) {
            guest.functions.remove(&device);
        }
    }
    /// VT-d in the firmware: without it no kernel argument makes an IOMMU.
    pub fn set_vtd(&self, on: bool) {
        self.lock().hardware.remaps = on;
    }
    /// The box boots; `false`: the arguments on trial do not come up, and somebody resets it.
    pub fn boot_box(&self, trial_comes_up: bool) {
        let mut world = self.lock();
        let (slot, trial) = world.hardware.reboot(trial_comes_up);
        if let Some(system) = &mut world.system {
            system.boot(slot, trial);
        }
    }
    /// A base image without a file, for tests that import nothing.
    pub fn add_base(&self, sha256: [u8; 32], info: ImageInfo) {
        self.lock().bases.insert(sha256, info);
    }
    /// Puts a guest into a state behind Bothy's back, as a crash or an administrator does.
    pub fn put(&self, id: VnfcId, state: GuestState) -> Result<()> {
        let mut events = Vec::new();
        {
            let mut world = self.lock();
            let guest = world.guests.get_mut(&id).ok_or_else(|| Fault::not_found(format!("guest {id} is not defined")))?;
            guest.enter(state, &mut events);
        }
        self.post(events);
        Ok(())
    }
    /// A file in a guest, for its agent to read; it is there until the guest is removed.
    pub fn write_file(&self, id: VnfcId, path: &str, content: &[u8]) -> Result<()> {
        let mut world = self.lock();
        let guest = world.guests.get_mut(&id).ok_or_else(|| Fault::not_found(format!("guest {id} is not defined")))?;
        guest.files.insert(path.into(), content.into());
        Ok(())
    }
    /// What a guest has used so far.
    pub fn set_stats(&self, id: VnfcId, stats: GuestStats) {
        self.lock().stats.insert(id, stats);
    }
    /// Something in a guest fails; what becomes of the guest is not its affair.
    pub fn fail(&self, id: VnfcId, what: GuestFault) {
        self.post(vec![GuestEvent::Failed { id, what }]);
    }
    /// Cuts the connection to the hypervisor (`false`) or brings it back.
    pub fn connect(&self, up: bool) {
        self.inner.calls.connect(up);
        self.post(vec![if up { GuestEvent::Connected } else { GuestEvent::Disconnected }]);
    }

    /// The guest as it was defined.
    pub fn domain(&self, id: VnfcId) -> Option<DomainSpec> {
        self.lock().guests.get(&id).map(|g| g.spec.clone())
    }
    /// A guest writes this on its disk.
    pub fn write_disk(&self, id: DiskId, content: &[u8]) {
        self.lock().content.insert(id, content.to_vec());
    }
    /// What is on a disk.
    pub fn read_disk(&self, id: DiskId) -> Vec<u8> {
        self.lock().content.get(&id).cloned().unwrap_or_default()
    }
    /// The files on a guest's medium, by path.
    pub fn medium(&self, id: VnfcId) -> Option<Vec<(String, Vec<u8>)>> {
        self.lock().media.get(&id).map(|m| m.files.clone())
    }
    /// What DHCP servers give out.
    pub fn dhcp(&self) -> Vec<DhcpConf> {
        self.lock().dhcp.values().cloned().collect()
    }
    pub fn nat(&self) -> NatTable {
        self.lock().nat.clone()
    }
    /// The switch's links as they were asked for.
    pub fn chains(&self) -> Vec<SwitchChain> {
        self.lock().chains.values().cloned().collect()
    }
    pub fn switch_links(&self) -> Vec<SwitchLink> {
        self.lock().switch_links.values().cloned().collect()
    }
    /// Somebody wipes the switch; it gets its ports back by itself, the host's addresses it does not.
    pub fn wipe_switch(&self) {
        self.lock().links.clear();
        if let Some(sink) = self.inner.remade.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            sink();
        }
    }
    /// Everything that is there but base images, in a fixed order.
    pub fn leftovers(&self) -> Vec<Leftover> {
        let mut all = self.lock().leftovers();
        all.sort_unstable();
        all
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.inner.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call of a port: counted, delayed and failed as the switch says, its events posted after
    /// the world is free again.
    fn call<T>(
        &self,
        method: Method,
        target: impl Into<Target>,
        act: impl FnOnce(&mut World, &mut Vec<GuestEvent>) -> Result<T>,
    ) -> Result<T> {
        let after = self.inner.calls.enter(method, target.into())?;
        let mut events = Vec::new();
        let done = {
            let mut world = self.lock();
            act(&mut world, &mut events)
        };
        self.post(events);
        after.leave(&self.inner.calls, done)
    }

    fn post(&self, events: Vec<GuestEvent>) {
        if events.is_empty() {
            return;
        }
        self.inner.changed.notify_all();
        self.inner.events.post(events);
    }

    /// Something a guest does by itself is due.
    fn tick(&self, due: Ticker) {
        let mut events = Vec::new();
        self.lock().tick(due, &mut events);
        self.post(events);
    }

    fn schedule(&self, ticks: Vec<(Duration, Ticker)>) {
        for (after, what) in ticks {
            self.inner.timer.after(after, what);
        }
    }
}

#[cfg(test)]
mod tests;
