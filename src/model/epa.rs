//! Enhanced platform awareness: what a guest asks of the hardware, and what a placement gave it.
//!
//! Owns the wishes of a VDU (`Epa`) and of its NICs (`NicWish`), in one form for every dialect's names
//! (SOL001's fields, OSM's guest-epa, OpenStack's flavor extra specs), and `Placed`, which the planner
//! fills and the domain writer reads. Never: what the host has, who holds it, or XML.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    hw::{CpuSet, PageSize, PciAddr},
    net::VlanId,
    size::MiB,
};

/// What a VDU asks of the hardware. The default asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Epa {
    pub pages: PagePolicy,
    pub pinning: PinPolicy,
    /// Counts with `PinPolicy::Dedicated` only.
    pub threads: ThreadPolicy,
    pub emulator: EmulatorPolicy,
    /// I/O threads of VirtIO disks; 0: QEMU's main loop does their work.
    pub io_threads: u16,
    pub numa: Option<NumaWish>,
    /// How near NICs and PCI devices have to be.
    pub locality: Locality,
    pub quotas: Quotas,
    /// PCI devices handed to the guest whole, besides its NICs.
    pub devices: Vec<DeviceWish>,
    pub cpu: CpuWish,
    /// vCPUs run by the real-time scheduler; empty: none. Needs dedicated CPUs.
    pub real_time: CpuSet,
    /// Memory is never swapped out. Huge pages never are.
    pub locked: bool,
}

impl Epa {
    /// Asks for nothing that a placement would have to find.
    pub fn is_plain(&self) -> bool {
        *self == Epa::default()
    }
    /// The guest's NUMA cells as they shall be placed: one of everything where it asks for none.
    pub fn cells(&self, vcpus: u32, memory: MiB) -> Vec<Cell> {
        match &self.numa {
            Some(n) => n.cells.clone(),
            None => vec![Cell { vcpus: (0..u16::try_from(vcpus).unwrap_or(u16::MAX)).collect(), memory, cores: None }],
        }
    }
}

/// Pages behind the guest's memory (OSM `mempage-size`, OpenStack `hw:mem_page_size`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum PagePolicy {
    /// Whatever is there; in practice small pages, which huge ones are not wasted on.
    #[default]
    Any,
    Small,
    /// Huge pages of one size, either.
    Large,
    Size2M,
    Size1G,
    /// Huge pages where there are enough, else small ones.
    PreferLarge,
}

impl PagePolicy {
    /// Sizes that satisfy it, the preferred first.
    pub fn sizes(self) -> &'static [PageSize] {
        match self {
            PagePolicy::Any | PagePolicy::Small => &[PageSize::Small],
            PagePolicy::Large => &[PageSize::Huge1G, PageSize::Huge2M],
            PagePolicy::Size2M => &[PageSize::Huge2M],
            PagePolicy::Size1G => &[PageSize::Huge1G],
            PagePolicy::PreferLarge => &[PageSize::Huge1G, PageSize::Huge2M, PageSize::Small],
        }
    }
}

/// CPUs of the host for the guest's vCPUs (OSM `cpu-pinning-policy`, `hw:cpu_policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum PinPolicy {
    /// The box decides; in practice shared.
    #[default]
    Any,
    /// vCPUs float over the CPUs that are nobody's own.
    Shared,
    /// Each vCPU has a CPU that no other guest runs on.
    Dedicated,
}

/// What dedicated vCPUs and hardware threads have to do with each other (OSM
/// `cpu-thread-pinning-policy`, `hw:cpu_thread_policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ThreadPolicy {
    /// Threads of one core for neighbouring vCPUs where the host has them.
    #[default]
    Prefer,
    /// Only on cores without hyper-threads.
    Avoid,
    /// Each vCPU on another core; the cores' other threads may go to other guests.
    Separate,
    /// Each vCPU on another core, whose other threads nobody gets.
    Isolate,
}

/// Where QEMU's own threads run (`hw:emulator_threads_policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum EmulatorPolicy {
    /// The box decides; in practice `Share`.
    #[default]
    Any,
    /// On the CPUs that are nobody's own.
    Share,
    /// On a CPU of their own, beside the guest's, on the same node.
    Isolate,
}

/// The guest's own NUMA topology (OSM `numa-node-policy`, `hw:numa_*`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumaWish {
    pub policy: MemPolicy,
    /// At least one. Each vCPU is in exactly one cell; the memories add up to the guest's.
    pub cells: Vec<Cell>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum MemPolicy {
    /// A cell's memory is on its host node, or the guest is refused.
    #[default]
    Strict,
    /// Elsewhere when the node is short of it.
    Preferred,
}

/// A NUMA node as the guest sees it; numbered from 0 by its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The guest's vCPUs in it.
    pub vcpus: CpuSet,
    pub memory: MiB,
    /// What the vCPUs are made of, where the descriptor says.
    pub cores: Option<CoreWish>,
}

/// OSM's `om-numa-type`: what so many of a cell's vCPUs are on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CoreWish {
    /// Whole cores: one vCPU each, the other thread unused (as `ThreadPolicy::Isolate`).
    Cores(u16),
    /// So many pairs of vCPUs, each on the two threads of one core; which vCPUs pair up, where said.
    PairedThreads { pairs: u16, of: Vec<(u16, u16)> },
    /// Threads, no matter of which cores.
    Threads(u16),
}

impl CoreWish {
    /// vCPUs it speaks of.
    pub fn vcpus(&self) -> u32 {
        match self {
            CoreWish::Cores(n) | CoreWish::Threads(n) => u32::from(*n),
            CoreWish::PairedThreads { pairs, .. } => 2 * u32::from(*pairs),
        }
    }
}

/// `hw:pci_numa_affinity_policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Locality {
    /// As near as there is.
    #[default]
    Preferred,
    /// On a node of the guest's, or the guest is refused.
    Required,
}

/// OSM's `cpu-quota`, `mem-quota`, `disk-io-quota`, `vif-quota`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Quotas {
    /// MHz, of all vCPUs together.
    pub cpu: Quota,
    /// MiB.
    pub memory: Quota,
    /// Operations a second, of each disk.
    pub disk_io: Quota,
    /// Mbit/s, of each NIC.
    pub vif: Quota,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Quota {
    /// Never more.
    pub limit: Option<u32>,
    /// Never less is promised than this.
    pub reserve: Option<u32>,
    /// Weight against other guests when there is not enough for all; 1024 is usual.
    pub shares: Option<u32>,
}

/// PCI devices that a guest can have, of all sorts together.
pub const MOST_DEVICES: u16 = 8;

/// So many PCI devices of one sort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceWish {
    pub what: DeviceMatch,
    pub count: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceMatch {
    /// PCI vendor and device id: `8086:0d5d`.
    Id { vendor: u16, device: u16 },
    /// A name that somebody gives to devices (OpenStack's alias). This box gives none: the reader of descriptors
    /// refuses one, and so does a plan that finds it in an older record.
    Name(SmolStr),
}

/// The CPU that the guest sees.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CpuWish {
    pub topology: Option<Topology>,
    /// A named model of libvirt's (`Skylake-Server`) instead of the host's own.
    pub model: Option<SmolStr>,
    /// (feature, wanted or to be hidden), in libvirt's names.
    pub features: Vec<(SmolStr, FeatureWish)>,
}

/// Sockets x cores x threads; their product is the number of vCPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    pub sockets: u16,
    pub cores: u16,
    pub threads: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeatureWish {
    Require,
    Disable,
}

/// What a connection point asks of its NIC. The default is a port of the switch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NicWish {
    pub attach: NicAttach,
    /// Mbit/s that the NIC is promised; a VF's rate is limited to it.
    pub bandwidth: Option<u32>,
    /// The guest may change the VF's MAC address and enter promiscuous mode. `None`: as port security says.
    pub trust: Option<bool>,
    /// The NIC drops frames from any other MAC address. `None`: as port security says.
    pub spoof_check: Option<bool>,
    /// Pairs of queues of a VirtIO NIC; `None`: one.
    pub queues: Option<u16>,
    /// Where the guest shall see the NIC (OSM `vpci`); `None`: the next place in order.
    pub vpci: Option<PciAddr>,
}

impl NicWish {
    /// Whether a VF trusts its guest: where nothing is said, only without port security.
    pub fn trusted(&self, port_security: bool) -> bool {
        self.trust.unwrap_or(!port_security)
    }
    pub fn spoof_checked(&self, port_security: bool) -> bool {
        self.spoof_check.unwrap_or(port_security)
    }
}

/// How a NIC meets the network (SOL001 `vnic_type`, OSM `virtual-interface.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum NicAttach {
    /// A port of the switch, with an emulated or VirtIO NIC.
    #[default]
    Switch,
    /// A virtual function of an SR-IOV NIC (`direct`).
    Vf,
    /// A whole physical function (`direct-physical`).
    Pf,
    /// A port of the switch's data plane in user space (`virtio-forwarder`).
    VhostUser,
}

impl NicAttach {
    /// Takes a PCI function of the host.
    pub fn is_pci(self) -> bool {
        match self {
            NicAttach::Vf | NicAttach::Pf => true,
            NicAttach::Switch | NicAttach::VhostUser => false,
        }
    }
}

impl fmt::Display for NicAttach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NicAttach::Switch => "a port of the switch",
            NicAttach::Vf => "a virtual function",
            NicAttach::Pf => "a physical function",
            NicAttach::VhostUser => "a vhost-user port",
        })
    }
}

/// What a placement decided for one guest: nothing in it is left to chance or to libvirt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The guest's cells in order; at least one.
    pub cells: Vec<PlacedCell>,
    pub memory_policy: MemPolicy,
    pub page: PageSize,
    /// Per vCPU, in order: the host CPUs it may run on. One: it is pinned there. Empty: no list at all
    /// where vCPUs are left to the host's scheduler.
    pub vcpus: Vec<CpuSet>,
    /// Host CPUs of QEMU's other threads; empty: wherever vCPUs may run.
    pub emulator: CpuSet,
    /// Per I/O thread; one empty set leaves that thread to the emulator's.
    pub io_threads: Vec<CpuSet>,
    /// Host CPUs taken beside those of vCPUs and emulator, so that nobody else gets them: the other
    /// threads of isolated cores.
    pub idle: CpuSet,
    /// Threads per core that the guest is shown; 2 where neighbouring vCPUs are siblings on the host.
    pub threads: u16,
    /// In the order of the guest's NICs.
    pub nics: Vec<PlacedNic>,
    /// In the order of `Epa::devices`, each as often as it was asked for.
    pub devices: Vec<PciAddr>,
}

/// Where a cell of the guest is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedCell {
    /// The guest's vCPUs in it.
    pub vcpus: CpuSet,
    pub memory: MiB,
    /// The host's NUMA node its memory is on; `None`: any.
    pub node: Option<u16>,
}

/// The host's end of a NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlacedNic {
    Switch,
    /// A virtual function, the PF it belongs to and its number there; the VLAN on the PF's wire, if any.
    Vf {
        addr: PciAddr,
        pf: PciAddr,
        index: u16,
        vlan: Option<VlanId>,
    },
    Pf {
        addr: PciAddr,
    },
    VhostUser,
}

impl PlacedNic {
    pub fn attach(&self) -> NicAttach {
        match self {
            PlacedNic::Switch => NicAttach::Switch,
            PlacedNic::Vf { .. } => NicAttach::Vf,
            PlacedNic::Pf { .. } => NicAttach::Pf,
            PlacedNic::VhostUser => NicAttach::VhostUser,
        }
    }
    /// The host's PCI function that the guest gets.
    pub fn pci(&self) -> Option<PciAddr> {
        match self {
            PlacedNic::Vf { addr, .. } | PlacedNic::Pf { addr } => Some(*addr),
            PlacedNic::Switch | PlacedNic::VhostUser => None,
        }
    }
}

impl Placed {
    /// Host CPUs that are this guest's own: those of pinned vCPUs and what it keeps idle. The emulator's
    /// are its own only where its policy isolates them.
    pub fn own_cpus(&self, emulator: EmulatorPolicy) -> CpuSet {
        let pinned: CpuSet = self.vcpus.iter().filter(|c| c.len() == 1).flat_map(|c| c.iter()).collect();
        let own = pinned.union(&self.idle);
        match emulator {
            EmulatorPolicy::Isolate => own.union(&self.emulator),
            EmulatorPolicy::Any | EmulatorPolicy::Share => own,
        }
    }
    /// Host PCI functions that this guest has.
    pub fn pci(&self) -> impl Iterator<Item = PciAddr> + '_ {
        self.nics.iter().filter_map(PlacedNic::pci).chain(self.devices.iter().copied())
    }
    /// Host nodes that hold its memory, ascending.
    pub fn nodes(&self) -> CpuSet {
        self.cells.iter().filter_map(|c| c.node).collect()
    }
}

/// Slots of the guest's root bus where NICs are.
pub const NIC_SLOTS: std::ops::RangeInclusive<u8> = 0x02..=0x11;

/// A place where a guest's NIC may be asked to be (`vpci`).
pub fn nic_place(a: PciAddr) -> bool {
    a.domain() == 0 && a.bus() == 0 && a.function() == 0 && NIC_SLOTS.contains(&a.device())
}

/// The slots of NICs of which some have a place of their own; the others follow the one before them.
/// Guests number NICs by address, so addresses must ascend in the NICs' order.
pub fn nic_slots(vpci: &[Option<PciAddr>]) -> Result<Vec<u8>, String> {
    let mut next = *NIC_SLOTS.start();
    let mut out = Vec::with_capacity(vpci.len());
    for (i, wish) in vpci.iter().enumerate() {
        let slot = wish.map_or(next, PciAddr::device);
        if slot < next {
            return Err(format!(
                "NIC {i} asks for slot {slot:02x}, which is not behind the NICs before it (the next free one is {next:02x})"
            ));
        }
        if !NIC_SLOTS.contains(&slot) {
            return Err(format!("NIC {i} has no slot left: the NICs before it end at {:02x}", NIC_SLOTS.end()));
        }
        out.push(slot);
        next = slot + 1;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus(s: &str) -> CpuSet {
        s.parse().expect("cpus")
    }
    fn pci(s: &str) -> PciAddr {
        s.parse().expect("pci")
    }

    #[test]
    fn a_guest_without_numa_wishes_is_one_cell_of_everything() {
        let plain = Epa::default();
        assert!(plain.is_plain());
        assert_eq!(plain.cells(3, MiB(512)), [Cell { vcpus: cpus("0-2"), memory: MiB(512), cores: None }]);
        assert!(!Epa { locked: true, ..plain }.is_plain());
    }

    #[test]
    fn what_a_guest_holds_of_the_host_follows_from_its_placement() {
        let placed = Placed {
            cells: vec![
                PlacedCell { vcpus: cpus("0-1"), memory: MiB(256), node: Some(1) },
                PlacedCell { vcpus: cpus("2"), memory: MiB(256), node: None },
            ],
            memory_policy: MemPolicy::Strict,
            page: PageSize::Huge2M,
            vcpus: vec![cpus("4"), cpus("12"), cpus("0-3")],
            emulator: cpus("5"),
            io_threads: Vec::new(),
            idle: cpus("13"),
            threads: 1,
            nics: vec![PlacedNic::Switch, PlacedNic::Vf { addr: pci("01:10.2"), pf: pci("01:00.0"), index: 1, vlan: None }],
            devices: vec![pci("0000:3b:00.0")],
        };
        assert_eq!(placed.own_cpus(EmulatorPolicy::Any), cpus("4,12-13"), "CPUs it shares are not its own");
        assert_eq!(placed.own_cpus(EmulatorPolicy::Isolate), cpus("4-5,12-13"));
        assert_eq!(placed.pci().map(|a| a.to_string()).collect::<Vec<_>>(), ["0000:01:10.2", "0000:3b:00.0"]);
        assert_eq!(placed.nodes(), cpus("1"));
    }

    #[test]
    fn nics_keep_their_order_around_those_that_have_a_place() {
        let at = |s: &[u8]| s.iter().map(|s| (*s > 0).then(|| PciAddr::new(0, 0, *s, 0).expect("pci"))).collect::<Vec<_>>();
        assert_eq!(nic_slots(&at(&[0, 5, 0, 0x11])), Ok(vec![2, 5, 6, 0x11]));
        assert!(nic_slots(&at(&[0, 2])).expect_err("taken").contains("next free one is 03"));
        assert!(nic_slots(&at(&[5, 4])).is_err() && nic_slots(&at(&[0x11, 0])).is_err() && nic_slots(&at(&[0x12])).is_err());
        assert!(!nic_place(PciAddr::new(0, 0, 5, 1).expect("pci")) && !nic_place(PciAddr::new(0, 1, 5, 0).expect("pci")));
    }

    #[test]
    fn a_vf_trusts_its_guest_only_without_port_security_or_when_told_to() {
        let wish = NicWish::default();
        assert!(!wish.trusted(true) && wish.spoof_checked(true));
        assert!(wish.trusted(false) && !wish.spoof_checked(false));
        let told = NicWish { trust: Some(true), spoof_check: Some(true), ..wish };
        assert!(told.trusted(true) && told.spoof_checked(false));
    }
}
