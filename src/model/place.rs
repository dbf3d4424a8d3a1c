//! Where a guest is on the host: what placement decided, kept with the guest as long as it is there.
//!
//! Owns the record from which the domain's tuning, the VFs' settings and the accounting follow, and what it is to
//! miss some of it. Never:
//! how the place was found (`vim::place`).

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    host::{DriverName, VfSetting},
    hw::{CpuSet, PageSize, PciAddr},
    id::VnfcId,
    size::MiB,
};

/// A guest that has a place, as its VNF's reservation holds it from accept to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub guest: VnfcId,
    /// For people: `vnf/vdu/0`.
    pub name: SmolStr,
    pub at: Placement,
    /// What is given to it, in the order of its wishes.
    pub given: Vec<Given>,
}

/// A PCI function given to a guest: as the guest needs it, and as the host had it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Given {
    Vf {
        want: VfSetting,
        before: VfSetting,
    },
    /// A whole device, by its driver.
    Whole {
        device: PciAddr,
        before: Option<DriverName>,
    },
}

impl Given {
    pub fn address(&self) -> PciAddr {
        match self {
            Given::Vf { want, .. } => want.vf,
            Given::Whole { device, .. } => *device,
        }
    }
    /// For timelines.
    pub fn label(&self) -> String {
        match self {
            Given::Vf { want, .. } => {
                let mac = want.conf.mac.map(|m| format!(", MAC {m}")).unwrap_or_default();
                let vlan = want.conf.vlan.map(|v| format!(", VLAN {v}")).unwrap_or_default();
                format!("VF {} of PF {} ({}{mac}{vlan})", want.index, want.pf, want.vf)
            }
            Given::Whole { device, .. } => format!("PCI device {device}"),
        }
    }
}

/// Functions of one PF that guests miss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    pub pf: PciAddr,
    pub guests: Vec<VnfcId>,
    pub why: Vec<String>,
}

/// A loss, and what is done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    pub loss: Loss,
    pub then: String,
}

impl Missed {
    /// For people, one line.
    pub fn text(&self) -> String {
        format!("PF {}: {}; {}", self.loss.pf, self.loss.why.join("; "), self.then)
    }
}

/// A guest's place. Guests that wish for nothing have none: they float over what is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Backs all of the guest's memory.
    pub page: PageSize,
    /// At least one, in the order of the guest's own NUMA nodes.
    pub cells: Vec<PlacedCell>,
    /// CPUs of QEMU's emulator and I/O threads; empty: those of the vCPUs.
    pub emulator: CpuSet,
    /// `emulator` is this guest's alone.
    pub emulator_alone: bool,
    pub devices: Vec<PlacedDevice>,
    /// CPU time promised to floating vCPUs, in thousandths of a CPU.
    pub reserve_mcpu: u32,
    /// Groups that share a node, and groups that share none.
    pub together: Vec<SmolStr>,
    pub apart: Vec<SmolStr>,
}

/// One NUMA node of the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedCell {
    /// The host's node its vCPUs are on.
    pub node: u16,
    /// The host's node its memory is on.
    pub memory_node: u16,
    pub memory: MiB,
    /// The guest's vCPUs in this cell.
    pub vcpus: CpuSet,
    /// (vCPU, host CPU): held by this guest alone. Empty: the vCPUs float.
    pub pins: Vec<(u16, u16)>,
    /// Siblings of pinned CPUs that are kept idle.
    pub idle: CpuSet,
    /// Where floating vCPUs may run; empty when pinned.
    pub float: CpuSet,
}

/// CPUs of the host that a guest's threads may run on; no set is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins {
    /// In the order of the guest's vCPUs.
    pub vcpus: Vec<CpuSet>,
    /// Of QEMU's own threads, those for I/O among them.
    pub emulator: CpuSet,
}

/// A thread, or threads, of a guest that the hypervisor pins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thread {
    Vcpu(u16),
    Emulator,
    /// Numbered from 1.
    Io(u16),
}

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Thread::Vcpu(n) => write!(f, "vCPU {n}"),
            Thread::Emulator => f.write_str("the emulator"),
            Thread::Io(n) => write!(f, "I/O thread {n}"),
        }
    }
}

/// A thread that is not pinned as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Astray {
    pub thread: Thread,
    /// Where it may run; empty: nobody has said.
    pub on: CpuSet,
    pub wanted: CpuSet,
}

impl Pins {
    /// Where a thread should be; `None`: the guest has no such vCPU.
    pub fn of(&self, thread: Thread) -> Option<&CpuSet> {
        match thread {
            Thread::Vcpu(n) => self.vcpus.get(usize::from(n)),
            Thread::Emulator | Thread::Io(_) => Some(&self.emulator),
        }
    }
    /// What differs from this. `now`: each thread, and where it may run.
    pub fn astray(&self, now: &[(Thread, CpuSet)]) -> Vec<Astray> {
        let wrong = |(thread, on): &(Thread, CpuSet)| {
            let wanted = self.of(*thread).filter(|w| *w != on)?.clone();
            Some(Astray { thread: *thread, on: on.clone(), wanted })
        };
        now.iter().filter_map(wrong).collect()
    }
}

/// A PCI function given to the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedDevice {
    /// The connection point it is for; of a device that is no NIC, the wish's name.
    pub wish: SmolStr,
    /// The function the guest gets.
    pub address: PciAddr,
    /// The physical function it belongs to; of a whole device, itself.
    pub card: PciAddr,
    pub card_name: SmolStr,
    /// Number of the VF on its PF; `None`: the whole device.
    pub vf: Option<u16>,
    /// Bandwidth promised, Mbit/s; 0: none.
    pub mbps: u32,
    /// `false`: no descriptor can ask for a card's only function. The record's form has it.
    pub alone: bool,
    /// `None`: nor for functions of different cards. The same.
    pub apart: Option<SmolStr>,
}

impl Held {
    /// vCPUs that are pinned, and memory in large pages: its own, not of what all share.
    pub fn own(&self) -> (u32, MiB) {
        let pinned = self.at.cells.iter().map(|c| c.pins.len() as u32).sum();
        let large = if self.at.page.is_huge() { self.at.cells.iter().fold(MiB(0), |m, c| m.plus(c.memory)) } else { MiB(0) };
        (pinned, large)
    }
    /// Virtual functions given to it.
    pub fn vfs(&self) -> u32 {
        self.given.iter().map(|g| u32::from(matches!(g, Given::Vf { .. }))).sum()
    }
}

impl Placement {
    /// CPUs that nobody else gets: pinned, kept idle, or the emulator's own.
    pub fn held_cpus(&self) -> CpuSet {
        let mut all: CpuSet = self.cells.iter().flat_map(|c| c.pins.iter().map(|(_, cpu)| *cpu).chain(c.idle.iter())).collect();
        if self.emulator_alone {
            all.extend(self.emulator.iter());
        }
        all
    }
    pub fn is_pinned(&self) -> bool {
        self.cells.iter().any(|c| !c.pins.is_empty())
    }
    /// Memory by node.
    pub fn memory(&self) -> impl Iterator<Item = (u16, MiB)> + '_ {
        self.cells.iter().map(|c| (c.memory_node, c.memory))
    }
    /// For people, one line: `node 0: vCPUs 0-1 on CPUs 2,10; 256 MiB in 2 MiB pages; wan: VF 3 of ens1 (0000:01:10.6)`.
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        for c in &self.cells {
            let cpus: CpuSet = c.pins.iter().map(|(_, cpu)| *cpu).collect();
            let mut on = match (cpus.is_empty(), c.float.is_empty()) {
                (false, _) => format!("vCPUs {} on CPUs {}", c.vcpus, join(c.pins.iter().map(|(_, cpu)| *cpu))),
                (true, false) => format!("vCPUs {} float over CPUs {}", c.vcpus, c.float),
                (true, true) => format!("vCPUs {}", c.vcpus),
            };
            if !c.idle.is_empty() {
                on += &format!(" ({} idle)", c.idle);
            }
            let far = if c.memory_node == c.node { String::new() } else { format!(" on node {}", c.memory_node) };
            parts.push(format!("node {}: {on}, {} in {} pages{far}", c.node, c.memory, self.page));
        }
        if self.emulator_alone {
            parts.push(format!("emulator on CPU {}", self.emulator));
        }
        for d in &self.devices {
            parts.push(match d.vf {
                Some(n) => format!("{}: VF {n} of {} ({})", d.wish, d.card_name, d.address),
                None => format!("{}: {} whole ({})", d.wish, d.card_name, d.address),
            });
        }
        parts.join("; ")
    }
}

fn join(cpus: impl Iterator<Item = u16>) -> String {
    cpus.map(|c| c.to_string()).collect::<Vec<_>>().join(",")
}
