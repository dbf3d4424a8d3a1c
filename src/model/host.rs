//! What a box is made of: processors, memory, hugepages, PCI devices, SR-IOV functions.
//!
//! Owns the facts as data, and the settings of a VF and of the host that can be changed and put
//! back. Never: reads sysfs, decides who gets what, or stores a fact (what is stored is what was
//! decided from it).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    error::{Fault, Result},
    hw::{CpuSet, PageSize, PciAddr},
    id::IfName,
    net::{MacAddr, VlanId},
    size::{Bytes, MiB},
    update::Slot,
};

/// A NUMA node, by the kernel's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u16);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 10^6 bits per second; 0 where a limit is meant is "no limit".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Mbps(pub u32);

impl fmt::Display for Mbps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Mbit/s", self.0)
    }
}

/// A kernel driver by its name on the PCI bus: `igb`, `vfio-pci`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct DriverName(SmolStr);

impl DriverName {
    /// The driver that hands a device to a guest.
    pub const VFIO: DriverName = DriverName(SmolStr::new_static("vfio-pci"));

    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl TryFrom<SmolStr> for DriverName {
    type Error = Fault;
    fn try_from(s: SmolStr) -> Result<Self> {
        let ok = !s.is_empty() && s.len() <= 64 && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'));
        if ok && !s.starts_with('.') { Ok(DriverName(s)) } else { Err(Fault::invalid(format!("'{s}' is not the name of a driver"))) }
    }
}
impl FromStr for DriverName {
    type Err = Fault;
    fn from_str(s: &str) -> Result<Self> {
        SmolStr::new(s).try_into()
    }
}
impl From<DriverName> for SmolStr {
    fn from(d: DriverName) -> SmolStr {
        d.0
    }
}
impl fmt::Display for DriverName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All of it, as it was at one look. Lists are in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFacts {
    pub nodes: Vec<NumaNode>,
    /// Cores with at least one CPU online.
    pub cores: Vec<Core>,
    pub caches: Vec<Cache>,
    /// CPUs the scheduler leaves alone (`isolcpus`).
    pub isolated: CpuSet,
    /// CPUs without a tick while one task runs (`nohz_full`).
    pub nohz_full: CpuSet,
    pub governors: Vec<Governor>,
    /// What each CPU does without boost, MHz: the slowest's. `None`: not told.
    pub mhz: Option<u32>,
    pub irqs: Vec<Irq>,
    pub devices: Vec<PciDevice>,
    /// DMA is remapped: devices can be handed to guests.
    pub iommu: bool,
    pub watchdog: Option<Watchdog>,
    pub kernel: Kernel,
}

/// What resets a host that hangs. Without one that runs a hang waits for a hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watchdog {
    /// What its driver calls it.
    pub identity: SmolStr,
    /// How long it waits.
    pub seconds: u32,
    /// Somebody has started it, and feeds it.
    pub runs: bool,
    /// It ended the boot before this one.
    pub has_reset: bool,
}

/// Memory and CPUs that are close to each other. A host without NUMA is one node 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumaNode {
    pub id: NodeId,
    pub cpus: CpuSet,
    pub memory: MiB,
    pub memory_free: MiB,
    /// One entry for each size the kernel offers, smallest first.
    pub hugepages: Vec<HugePages>,
    /// Relative cost of memory of each node; 10 is local.
    pub distances: Vec<(NodeId, u16)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HugePages {
    pub size: PageSize,
    pub total: u64,
    /// Not mapped by anybody.
    pub free: u64,
}

/// A physical core: the CPUs on it share its execution units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Core {
    pub socket: u16,
    pub node: NodeId,
    /// The kernel's `core_id`, unique within its socket.
    pub id: u16,
    /// Its online CPUs; more than one with SMT.
    pub threads: CpuSet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheKind {
    Data,
    Instruction,
    Unified,
}

/// One instance of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    pub level: u8,
    pub kind: CacheKind,
    pub size: Bytes,
    /// The CPUs behind it.
    pub cpus: CpuSet,
}

/// The CPUs under one frequency governor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Governor {
    pub name: SmolStr,
    pub cpus: CpuSet,
    /// What these CPUs could have instead.
    pub available: Vec<SmolStr>,
}

/// A device interrupt and the CPUs that may serve it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Irq {
    pub number: u32,
    pub cpus: CpuSet,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PciDevice {
    pub addr: PciAddr,
    pub vendor: u16,
    pub device: u16,
    pub class: PciClass,
    /// `None`: the firmware does not say.
    pub node: Option<NodeId>,
    pub driver: Option<DriverName>,
    /// Devices of one group can only go to one guest together; `None`: no IOMMU before it.
    pub iommu_group: Option<u32>,
    /// A program that has it open by vfio-pci, and is no guest that Bothy gave it to.
    pub user: Option<SmolStr>,
    /// Network interfaces of its present driver.
    pub ports: Vec<NetPort>,
    pub function: Function,
}

/// Base class, subclass and programming interface (PCI Code and ID Assignment 1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciClass(pub u32);

impl PciClass {
    pub fn base(self) -> u8 {
        (self.0 >> 16) as u8
    }
    /// Base class 02h.
    pub fn is_network(self) -> bool {
        self.base() == 2
    }
    /// Base class 06h: host bridges, root ports. They stay with the host.
    pub fn is_bridge(self) -> bool {
        self.base() == 6
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Function {
    /// Without SR-IOV.
    Plain,
    /// A physical function that can have virtual ones.
    Pf(Pf),
    /// The `index`th virtual function of a physical one.
    Vf { pf: PciAddr, index: u16 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pf {
    /// What the hardware has.
    pub total_vfs: u16,
    /// The physical network it is on, by its name in the configuration.
    pub physical: Option<SmolStr>,
    /// Those that are made, in the order of their index.
    pub vfs: Vec<Vf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vf {
    pub index: u16,
    pub addr: PciAddr,
    /// What its PF does for it. `None`: the PF's driver does not say (it has no interface here).
    pub conf: Option<VfConf>,
    /// How its link follows the PF's. `None`: the PF's driver does not say.
    pub link: Option<VfLink>,
}

/// What a PF's interface tells of one of its VFs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VfTold {
    pub index: u16,
    pub conf: VfConf,
    pub link: Option<VfLink>,
}

/// The link that a VF has, by the word of its PF. Nothing here sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VfLink {
    /// As the PF's own.
    Auto,
    /// Up even while the PF has none, so that VFs reach each other.
    Up,
    Down,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetPort {
    pub name: IfName,
    pub mac: Option<MacAddr>,
    pub mtu: u32,
    /// Set up by an administrator.
    pub up: bool,
    /// A link partner is there; only known of an interface that is up.
    pub carrier: bool,
    /// Of the link as it is; unknown without a carrier.
    pub speed: Option<Mbps>,
    /// What the host itself has it for.
    pub used: Option<PortUse>,
}

/// What the host would lose with an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortUse {
    DefaultRoute,
    /// Addresses of its own, those of the link's own scope left out.
    Addresses,
    /// Addresses or the default route, by router advertisements only.
    Advertised,
    /// Of a bridge, a bond, a switch; or a VLAN is on it.
    LegOf(SmolStr),
}

/// What a PF does for one of its VFs. What a driver cannot do reads as the value here that asks for
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct VfConf {
    /// Set by the PF; `None`: the VF's driver may choose.
    pub mac: Option<MacAddr>,
    /// Put on and taken off by the PF; `None`: frames pass as they are.
    pub vlan: Option<VlanId>,
    /// The guest may change its MAC, ask for promiscuous mode and more.
    pub trust: bool,
    /// Frames from another MAC are dropped.
    pub spoof_check: bool,
    pub min_rate: Mbps,
    /// 0: no limit.
    pub max_rate: Mbps,
}

/// A VF as it should be (`ensure_vf`), or as it was before (`release_vf`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VfSetting {
    pub vf: PciAddr,
    pub pf: PciAddr,
    /// Of `vf` among those of `pf`.
    pub index: u16,
    pub conf: VfConf,
    /// `None`: none has it.
    pub driver: Option<DriverName>,
}

/// A PF as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PfSetting {
    pub pf: PciAddr,
    /// `None`: whichever the kernel has for it.
    pub driver: Option<DriverName>,
    pub vfs: u16,
    /// `None`: as the driver has it.
    pub mtu: Option<u32>,
    /// Settings of the VFs that no guest has; what is set for a guest comes with the guest.
    pub others: Vec<VfSetting>,
}

/// A PF as people name it: by its interface, or by its address where names are not to be relied on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PfName {
    Interface(IfName),
    Address(PciAddr),
}

impl PfName {
    pub fn means(&self, addr: PciAddr, ports: &[NetPort]) -> bool {
        match self {
            PfName::Interface(name) => ports.iter().any(|p| p.name == *name),
            PfName::Address(a) => *a == addr,
        }
    }
}
impl FromStr for PfName {
    type Err = Fault;
    /// A PCI address has two colons, an interface's name none.
    fn from_str(s: &str) -> Result<Self> {
        if s.contains(':') { s.parse().map(PfName::Address) } else { s.parse().map(PfName::Interface) }
    }
}
impl fmt::Display for PfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PfName::Interface(name) => name.fmt(f),
            PfName::Address(addr) => addr.fmt(f),
        }
    }
}

/// What the boot loader has for the next boots: kernel arguments (Bothy's own ones only) and the slot of the system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootArgs {
    /// What every boot has.
    pub committed: KernelArgs,
    /// On trial, in place of the committed ones.
    pub trial: Option<KernelArgs>,
    /// The next boot is the trial, of arguments or of a slot; it clears this, so that a boot that hangs was the only one.
    pub armed: bool,
    /// The slot that every boot takes; of a box without slots it is the first.
    pub slot: Slot,
    /// On trial, in place of that one.
    pub slot_try: Option<Slot>,
}

impl BootArgs {
    /// The next boot tries another slot, with the arguments that have proved themselves.
    #[must_use]
    pub fn trying(&self, slot: Slot) -> BootArgs {
        BootArgs { trial: None, armed: true, slot_try: Some(slot), ..self.clone() }
    }
    /// Every boot takes this slot from now on.
    #[must_use]
    pub fn keeping(&self, slot: Slot) -> BootArgs {
        BootArgs { armed: false, slot, slot_try: None, ..self.clone() }
    }
    /// No slot is on trial any more.
    #[must_use]
    pub fn without_trial_of_a_slot(&self) -> BootArgs {
        match self.slot_try {
            Some(_) => BootArgs { armed: false, slot_try: None, ..self.clone() },
            None => self.clone(),
        }
    }
}

/// One thing of the host that can be set while it runs: wanted, or as it was before.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HostSetting {
    /// Reserved pages of one node.
    HugePages {
        node: NodeId,
        size: PageSize,
        pages: u64,
    },
    /// How many VFs a PF has.
    Vfs {
        pf: PciAddr,
        count: u16,
    },
    Governor {
        name: SmolStr,
        cpus: CpuSet,
    },
    /// Which CPUs may serve an interrupt.
    Irq {
        number: u32,
        cpus: CpuSet,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kernel {
    pub release: SmolStr,
    pub args: KernelArgs,
}

/// The kernel's command line. Of a key that is there twice the last counts, but for those that the
/// kernel reads in their order (`hugepagesz=... hugepages=...`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KernelArgs(Vec<KernelArg>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelArg {
    pub key: SmolStr,
    pub value: Option<SmolStr>,
}

impl KernelArgs {
    /// What a kernel wants to be told to remap DMA, for guests' devices alone.
    pub const IOMMU: [(&str, &str); 2] = [("intel_iommu", "on"), ("iommu", "pt")];

    /// Splits as the kernel does: at blanks that are not within quotes; what follows `--` is for
    /// init.
    pub fn parse(line: &str) -> Self {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line.trim().chars() {
            match (c, words.last_mut()) {
                (c, _) if c.is_whitespace() && !quoted => words.push(String::new()),
                (c, Some(word)) => {
                    quoted ^= c == '"';
                    word.push(c);
                }
                (_, None) => {}
            }
        }
        let of_the_kernel = words.iter().filter(|w| !w.is_empty()).take_while(|w| *w != "--");
        KernelArgs(of_the_kernel.map(|w| KernelArg::parse(w)).collect())
    }
    pub fn iter(&self) -> impl Iterator<Item = &KernelArg> {
        self.0.iter()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// The value that counts; `Some(None)` for a word without one.
    pub fn get(&self, key: &str) -> Option<Option<&str>> {
        self.0.iter().rev().find(|a| a.key == key).map(|a| a.value.as_deref())
    }
    pub fn has(&self, key: &str, value: &str) -> bool {
        self.get(key).flatten() == Some(value)
    }
    /// They have all that a kernel can be told for an IOMMU: what else keeps it off is the firmware.
    pub fn ask_for_iommu(&self) -> bool {
        Self::IOMMU.iter().all(|(key, value)| self.has(key, value))
    }
}

impl KernelArg {
    fn parse(word: &str) -> Self {
        let (key, value) = word.split_once('=').map_or((word, None), |(k, v)| (k, Some(v)));
        KernelArg { key: key.replace('"', "").into(), value: value.map(|v| v.replace('"', "").into()) }
    }
}

impl fmt::Display for KernelArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = if self.value.as_ref().is_some_and(|v| v.contains(char::is_whitespace)) { "\"" } else { "" };
        match &self.value {
            Some(v) => write!(f, "{}={quote}{v}{quote}", self.key),
            None => f.write_str(&self.key),
        }
    }
}
impl fmt::Display for KernelArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lead = "";
        for a in &self.0 {
            write!(f, "{lead}{a}")?;
            lead = " ";
        }
        Ok(())
    }
}
impl FromIterator<KernelArg> for KernelArgs {
    fn from_iter<I: IntoIterator<Item = KernelArg>>(args: I) -> Self {
        KernelArgs(args.into_iter().collect())
    }
}

impl HostFacts {
    /// CPUs that are online.
    pub fn cpus(&self) -> CpuSet {
        self.cores.iter().flat_map(|c| c.threads.iter()).collect()
    }
    pub fn node(&self, id: NodeId) -> Option<&NumaNode> {
        self.nodes.iter().find(|n| n.id == id)
    }
    pub fn device(&self, addr: PciAddr) -> Option<&PciDevice> {
        self.devices.iter().find(|d| d.addr == addr)
    }
    pub fn pfs(&self) -> impl Iterator<Item = (&PciDevice, &Pf)> {
        self.devices.iter().filter_map(|d| match &d.function {
            Function::Pf(pf) => Some((d, pf)),
            Function::Plain | Function::Vf { .. } => None,
        })
    }
    /// The VF of this address, as it is now: what a plan keeps as `before`.
    pub fn vf_setting(&self, addr: PciAddr) -> Option<VfSetting> {
        let device = self.device(addr)?;
        let Function::Vf { pf, index } = device.function else { return None };
        let Function::Pf(of) = &self.device(pf)?.function else { return None };
        let conf = of.vfs.iter().find(|v| v.addr == addr).and_then(|v| v.conf.clone()).unwrap_or_default();
        Some(VfSetting { vf: addr, pf, index, conf, driver: device.driver.clone() })
    }
    /// More than one CPU to a core somewhere.
    pub fn has_smt(&self) -> bool {
        self.cores.iter().any(|c| c.threads.len() > 1)
    }
}

impl NumaNode {
    pub fn pages(&self, size: PageSize) -> Option<&HugePages> {
        self.hugepages.iter().find(|p| p.size == size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_splits_as_the_kernel_splits_it() {
        let a = KernelArgs::parse("BOOT_IMAGE=/vmlinuz ro  dyndbg=\"file a.c +p\" isolcpus=1-3 isolcpus=2 \"quiet\" -- single=1\n");
        assert_eq!(a.get("isolcpus"), Some(Some("2")), "the last counts");
        assert_eq!(a.get("ro"), Some(None));
        assert_eq!(a.get("single"), None, "that is for init");
        assert!(a.has("dyndbg", "file a.c +p") && a.get("quiet").is_some());
        assert_eq!(a.to_string(), "BOOT_IMAGE=/vmlinuz ro dyndbg=\"file a.c +p\" isolcpus=1-3 isolcpus=2 quiet");
        assert!(KernelArgs::parse("  ").is_empty());
    }

    #[test]
    fn a_drivers_name_is_no_path() {
        assert_eq!("vfio-pci".parse::<DriverName>().expect("name"), DriverName::VFIO);
        for bad in ["", "../x", "a/b", "a b", "."] {
            assert!(bad.parse::<DriverName>().is_err(), "{bad:?}");
        }
    }
}
