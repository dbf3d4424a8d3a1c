//! What there is in the simulated box: plain maps, and the life of one guest.
//!
//! Owns the state that all ports share. Never: locks, time or faults.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use super::{
    Leftover,
    behaviour::{Behaviour, Boot},
    events::{Tick, Ticker},
    hardware::Hardware,
    hostnet::OwnNet,
    slots::System,
};
use crate::{
    model::{
        domain::{DiskSpec, DomainSpec},
        error::{Fault, Result},
        host::HostFacts,
        hw::{CpuSet, PciAddr},
        id::{DiskId, IfName, NfpId, SegmentId, VnfcId},
        place::Thread,
        vnfd::{MediaBus, Medium},
    },
    sdn::{chain::SwitchChain, connector::Desired, link::SwitchLink, port::SwitchPort},
    vim::port::{DhcpConf, DiskRoom, GuestEvent, GuestState, GuestStats, HostLink, ImageInfo, NatTable},
};

pub(super) struct World {
    pub guests: HashMap<VnfcId, Guest>,
    pub stats: HashMap<VnfcId, GuestStats>,
    pub bases: BTreeMap<[u8; 32], ImageInfo>,
    pub disks: BTreeMap<DiskId, DiskSpec>,
    /// What is on disks and copies, as far as a test wrote something.
    pub content: BTreeMap<DiskId, Vec<u8>>,
    /// Copies of disks, with the base they stand on.
    pub copies: BTreeMap<DiskId, DiskSpec>,
    pub media: BTreeMap<VnfcId, MediumContent>,
    pub serial: BTreeMap<VnfcId, Vec<u8>>,
    pub ports: BTreeMap<IfName, SwitchPort>,
    pub links: BTreeMap<IfName, HostLink>,
    pub switch_links: BTreeMap<SegmentId, SwitchLink>,
    pub chains: BTreeMap<NfpId, SwitchChain>,
    /// By the interface at which they come out.
    pub mirrors: BTreeMap<IfName, Vec<IfName>>,
    /// Remote ends of tunnels that do not answer.
    pub silent: BTreeSet<IpAddr>,
    /// Ports of switches outside the box.
    pub outside: Desired,
    pub dhcp: BTreeMap<SegmentId, DhcpConf>,
    pub nat: NatTable,
    pub room: DiskRoom,
    /// Over which guests without a place float.
    pub float: Option<CpuSet>,
    /// Why no guest may be defined or started, if so.
    pub forbidden: Option<String>,
    pub hardware: Hardware,
    /// The slots of the system, if it has any.
    pub system: Option<System>,
    /// The box's own network.
    pub own: OwnNet,
    pub behaviour: Arc<dyn Fn(&DomainSpec) -> Behaviour + Send + Sync>,
    pub tcp: Arc<dyn Fn(IpAddr, u16) -> bool + Send + Sync>,
}

#[derive(PartialEq, Eq)]
pub(super) struct MediumContent {
    pub medium: Medium,
    pub bus: MediaBus,
    pub label: Option<String>,
    pub files: Vec<(String, Vec<u8>)>,
}

pub(super) struct Guest {
    pub spec: DomainSpec,
    pub state: GuestState,
    /// A call of `start` is at it; others wait for its end.
    pub starting: bool,
    pub agent_up: bool,
    pub does: Behaviour,
    /// Functions of the host that it has while it runs.
    pub functions: BTreeSet<PciAddr>,
    /// Of its own, as its agent reads them.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Where its threads may run.
    pub pins: Vec<(Thread, CpuSet)>,
    run: u64,
}

impl Guest {
    pub fn new(spec: DomainSpec, float: Option<&CpuSet>) -> Self {
        Guest {
            pins: defined(&spec, float),
            spec,
            state: GuestState::Off,
            starting: false,
            agent_up: false,
            does: Behaviour::default(),
            functions: BTreeSet::new(),
            files: BTreeMap::new(),
            run: 0,
        }
    }
    /// QEMU has a process for it.
    pub fn is_up(&self) -> bool {
        match self.state {
            GuestState::Running | GuestState::Paused | GuestState::PausedIo | GuestState::Stopping => true,
            GuestState::Off | GuestState::Crashed => false,
        }
    }
    /// Is now in `state`, and says so if that is new.
    pub fn enter(&mut self, state: GuestState, events: &mut Vec<GuestEvent>) {
        if self.state == state {
            return;
        }
        self.state = state;
        if !self.is_up() {
            self.functions.clear();
            self.agent_up = false;
            self.run += 1;
        }
        events.push(GuestEvent::Changed { id: self.spec.id, state });
    }
    /// Boots; what comes later is returned with its delay.
    pub fn boot(&mut self, does: Behaviour, events: &mut Vec<GuestEvent>) -> Vec<(Duration, Ticker)> {
        self.run += 1;
        self.does = does;
        self.functions = self.spec.placed.iter().flat_map(|p| p.pci()).collect();
        self.enter(GuestState::Running, events);
        let mut later = self.agent_due(events);
        let (Boot::HaltsAfter(d) | Boot::CrashesAfter(d)) = self.does.boot else {
            return later;
        };
        let what = if matches!(self.does.boot, Boot::CrashesAfter(_)) { Tick::Crash } else { Tick::Halt };
        later.extend(self.due(d, what, events));
        later
    }
    /// The agent goes with the guest's system and comes again.
    pub fn agent_due(&mut self, events: &mut Vec<GuestEvent>) -> Vec<(Duration, Ticker)> {
        self.agent_up = false;
        match self.does.agent {
            Some(d) => self.due(d, Tick::AgentUp, events).into_iter().collect(),
            None => Vec::new(),
        }
    }
    /// The guest goes down by itself, `d` after it was asked.
    pub fn go_down(&mut self, d: Duration, events: &mut Vec<GuestEvent>) -> Vec<(Duration, Ticker)> {
        if !d.is_zero() {
            self.enter(GuestState::Stopping, events);
        }
        self.due(d, Tick::Halt, events).into_iter().collect()
    }
    fn due(&mut self, d: Duration, what: Tick, events: &mut Vec<GuestEvent>) -> Option<(Duration, Ticker)> {
        if d.is_zero() {
            self.tick(what, events);
            return None;
        }
        Some((d, Ticker { id: self.spec.id, run: self.run, what }))
    }
    fn tick(&mut self, what: Tick, events: &mut Vec<GuestEvent>) {
        match what {
            Tick::AgentUp => {
                self.agent_up = true;
                events.push(GuestEvent::AgentUp { id: self.spec.id });
            }
            Tick::Halt => self.enter(GuestState::Off, events),
            Tick::Crash => self.enter(GuestState::Crashed, events),
        }
    }
}

/// Where a guest's threads may run as it is defined; an empty set is everywhere.
pub(super) fn defined(spec: &DomainSpec, float: Option<&CpuSet>) -> Vec<(Thread, CpuSet)> {
    let placed = spec.placed.as_ref().filter(|p| !p.vcpus.is_empty());
    let float = float.filter(|_| placed.is_none()).cloned().unwrap_or_default();
    let of = |n: u16| placed.and_then(|p| p.vcpus.get(usize::from(n))).unwrap_or(&float).clone();
    let emulator = placed.map_or(&float, |p| &p.emulator).clone();
    let vcpus = (0..).take(spec.vcpus as usize).map(|n| (Thread::Vcpu(n), of(n)));
    let io = (1..=spec.epa.io_threads).map(|n| (Thread::Io(n), emulator.clone()));
    vcpus.chain([(Thread::Emulator, emulator.clone())]).chain(io).collect()
}

impl World {
    pub fn allowed(&self) -> Result<()> {
        self.forbidden.as_ref().map_or(Ok(()), |why| Err(Fault::conflict(why)))
    }
    pub fn new(room: DiskRoom, facts: HostFacts) -> Self {
        World {
            guests: HashMap::new(),
            stats: HashMap::new(),
            bases: BTreeMap::new(),
            disks: BTreeMap::new(),
            content: BTreeMap::new(),
            copies: BTreeMap::new(),
            media: BTreeMap::new(),
            serial: BTreeMap::new(),
            ports: BTreeMap::new(),
            links: BTreeMap::new(),
            switch_links: BTreeMap::new(),
            chains: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            silent: BTreeSet::new(),
            outside: Desired::new(),
            dhcp: BTreeMap::new(),
            nat: NatTable::default(),
            room,
            float: None,
            forbidden: None,
            hardware: Hardware::new(facts),
            system: None,
            own: OwnNet::default(),
            behaviour: Arc::new(|_| Behaviour::default()),
            tcp: Arc::new(|_, _| true),
        }
    }
    pub fn tick(&mut self, due: Ticker, events: &mut Vec<GuestEvent>) {
        if let Some(guest) = self.guests.get_mut(&due.id).filter(|g| g.run == due.run) {
            guest.tick(due.what, events);
        }
    }
    pub fn leftovers(&self) -> Vec<Leftover> {
        let mut all: Vec<Leftover> = self.guests.keys().copied().map(Leftover::Domain).collect();
        all.extend(self.disks.keys().copied().map(Leftover::Disk));
        all.extend(self.copies.keys().copied().map(Leftover::Copy));
        all.extend(self.media.keys().copied().map(Leftover::Medium));
        all.extend(self.serial.keys().copied().map(Leftover::SerialLog));
        all.extend(self.dhcp.keys().copied().map(Leftover::Dhcp));
        all.extend(self.ports.keys().cloned().map(Leftover::Port));
        all.extend(self.links.keys().cloned().map(Leftover::Link));
        all.extend(self.switch_links.keys().copied().map(Leftover::SwitchLink));
        all.extend(self.chains.keys().copied().map(Leftover::Chain));
        all.extend(self.mirrors.keys().cloned().map(Leftover::Port));
        all.extend(self.guests.values().filter(|g| g.is_up()).flat_map(|g| &g.spec.nics).map(|n| Leftover::Port(n.ifname.clone())));
        all.extend(self.hardware.taken().map(Leftover::Device));
        all.extend(self.nat.masquerade.iter().copied().map(Leftover::Masquerade));
        all.extend(self.nat.forwards.iter().cloned().map(Leftover::Forward));
        all.extend(self.nat.inside.iter().cloned().map(Leftover::Inside));
        all
    }
}
