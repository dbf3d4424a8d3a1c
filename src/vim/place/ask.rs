//! What the guests of a request wish for, in placement's own terms.
//!
//! Owns the shape of a wish after every policy name was read: `vnfm` makes it of a descriptor's
//! attributes. Never: how a descriptor calls it.

use smol_str::SmolStr;

use crate::model::{
    hw::{CpuSet, PageSize},
    size::MiB,
};

/// How vCPUs get CPUs of the host. `n`: the vCPUs of the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CpuWish {
    /// Over the node's CPUs that no guest has for itself.
    Floating,
    /// Any `n` threads, siblings where that costs nothing (PREFER, `num-threads`).
    Threads,
    /// `n` threads on `n` cores; another guest may be on their siblings (SEPARATE).
    Separate,
    /// `n` whole cores, their siblings idle (ISOLATE, `num-cores`).
    Cores,
    /// All threads of whole cores, two vCPUs on each (`paired-threads`, OpenStack's `require`).
    Pairs,
    /// Cores that have no siblings at all (AVOID).
    NoSiblings,
}

/// The guest's own NUMA node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellAsk {
    pub vcpus: CpuSet,
    pub memory: MiB,
    /// Nodes of one guest may have CPUs of different kinds; all of them float, or none does.
    pub cpus: CpuWish,
}

/// Which pages back the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageWish {
    /// No wish, or SMALL.
    Small,
    /// Of exactly this size.
    Exactly(PageSize),
    /// LARGE: of any size but small, the largest first.
    Large,
    /// PREFER_LARGE: small where no node has large ones to spare.
    PreferLarge,
}

impl PageWish {
    /// What may be tried for a guest with these cells, best first; empty: nothing fits its memory.
    pub fn options(self, cells: &[CellAsk]) -> Vec<PageSize> {
        let fits = |p: &PageSize| cells.iter().all(|c| p.divides(c.memory));
        let large = PageSize::HUGE.into_iter().rev().filter(fits);
        match self {
            PageWish::Small => vec![PageSize::Small],
            PageWish::Exactly(p) => [p].into_iter().filter(fits).collect(),
            PageWish::Large => large.collect(),
            PageWish::PreferLarge => large.chain([PageSize::Small]).collect(),
        }
    }
}

/// What a device wish is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceKind {
    /// A VF on a PF of this physical network.
    Vf { physical: SmolStr },
    /// A whole PF of it: no VF of it is another's.
    Pf { physical: SmolStr },
    /// Any PCI device with this vendor and device id.
    Pci { vendor: u16, device: u16 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAsk {
    /// The connection point, or the wish's name.
    pub wish: SmolStr,
    pub kind: DeviceKind,
    /// Mbit/s to be promised; 0: none.
    pub mbps: u32,
    /// It must be near: on the node of one of the guest's cells, or there is no place.
    pub near: bool,
}

/// One guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestAsk {
    /// For people: `vnf/vdu/0`.
    pub name: SmolStr,
    /// At least one.
    pub cells: Vec<CellAsk>,
    pub pages: PageWish,
    /// Memory is on the cell's own node, and each cell on another node (STRICT). Else: where there is
    /// room (PREFERRED).
    pub strict: bool,
    /// The emulator and I/O threads have a CPU of their own, beside the first cell's.
    pub emulator_alone: bool,
    /// CPU time to be promised, of all vCPUs together, MHz; 0: none.
    pub reserve_mhz: u32,
    pub devices: Vec<DeviceAsk>,
    /// Groups whose guests share one node.
    pub together: Vec<SmolStr>,
    /// Groups whose guests share no node.
    pub apart: Vec<SmolStr>,
}

impl GuestAsk {
    /// Of all cells.
    pub fn vcpus(&self) -> usize {
        self.cells.iter().map(|c| c.vcpus.len()).sum()
    }
    /// Its vCPUs have no CPUs of their own.
    pub fn floats(&self) -> bool {
        self.cells.iter().all(|c| c.cpus == CpuWish::Floating)
    }
    /// Small pages count as away from memory for those that prefer large ones.
    pub fn wants_large(&self) -> bool {
        self.pages == PageWish::PreferLarge
    }
}
