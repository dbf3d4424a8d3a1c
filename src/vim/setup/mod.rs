//! The host as it should be: what differs, what of it can be done at once, and doing it.
//!
//! ```text
//! configuration + facts --plan--> items: live | after a reboot | by hand      (pure)
//! apply: before is stored -> set -> read back;   kernel arguments -> on trial in the boot loader
//! boot on trial -> bothy up and the host looked at -> committed;   it hangs -> the next boot is the old one
//! undo: each thing as it was before the first apply
//! ```
//! Owns the plan and its order. Never: sysfs, or a guest's share (that is placement's).

mod args;
mod boot;
mod keeper;
mod plan;

#[cfg(test)]
mod tests;

pub use boot::BootBlock;
pub use keeper::{Done, Keeper, Settled};
pub use plan::{Blocked, HostPlan, Item, Needs, plan};

use smol_str::SmolStr;

use crate::model::{host::PfName, hw::CpuSet, setup::PagePool};

/// What the box is tuned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Only what is named.
    #[default]
    None,
    /// Many packets: full clock, interrupts on the host's CPUs.
    Throughput,
    /// Few interruptions: besides, guests' CPUs are taken from the scheduler, the tick and RCU.
    Realtime,
}

/// The host as the configuration wants it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Desired {
    pub profile: Profile,
    pub hugepages: Vec<PagePool>,
    pub pfs: Vec<(PfName, u16)>,
    pub iommu: bool,
    /// `None`: the profile's.
    pub governor: Option<SmolStr>,
    /// Taken from the scheduler; empty: the profile's.
    pub isolate: CpuSet,
    /// Kept for the host.
    pub host_cpus: CpuSet,
}
