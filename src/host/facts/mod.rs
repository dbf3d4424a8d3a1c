//! What the box is made of, read from sysfs and procfs.
//!
//! Owns: how the kernel tells its processors, memory and devices, below a root that is handed in. A
//! file that is missing or odd leaves its fact out. Never: changes anything, or asks netlink (what
//! PFs do for their VFs is handed in).
//!
//! sysfs(5); Documentation/ABI/testing/sysfs-devices-system-cpu, sysfs-bus-pci, sysfs-class-net of
//! the kernel's sources.

mod cpu;
mod memory;
pub(super) mod pci;
mod tree;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod watchdog_tests;

pub use memory::memory_now;
pub use tree::Tree;

use crate::model::{
    error::{Fault, Result},
    host::{HostFacts, Irq, Kernel, KernelArgs, VfTold, Watchdog},
    id::IfName,
};

/// What a PF's interface tells of its VFs; empty where it tells nothing.
pub type ToldVfs<'a> = &'a dyn Fn(&IfName) -> Vec<VfTold>;

/// Everything below `tree`.
pub fn read(tree: &Tree, vfs: ToldVfs<'_>) -> Result<HostFacts> {
    let cores = cpu::cores(tree);
    if cores.is_empty() {
        return Err(Fault::transient(format!("{} shows no processors: is sysfs mounted?", tree.path("sys/devices/system/cpu"))));
    }
    let devices = pci::devices(tree, vfs);
    let has_group = devices.iter().any(|d| d.iommu_group.is_some());
    Ok(HostFacts {
        nodes: memory::nodes(tree, &cores),
        caches: cpu::caches(tree),
        isolated: tree.cpus("sys/devices/system/cpu/isolated"),
        nohz_full: tree.cpus("sys/devices/system/cpu/nohz_full"),
        governors: cpu::governors(tree),
        mhz: cpu::mhz(tree),
        irqs: irqs(tree),
        watchdog: watchdog(tree),
        iommu: has_group || !tree.list("sys/class/iommu").is_empty(),
        devices,
        kernel: Kernel {
            release: tree.read("proc/sys/kernel/osrelease").unwrap_or_default().into(),
            args: KernelArgs::parse(&tree.read("proc/cmdline").unwrap_or_default()),
        },
        cores,
    })
}

/// `WDIOF_CARDRESET` in `bootstatus` (linux/watchdog.h).
const CARD_RESET: u32 = 0x20;

/// The first one, which is the one that is fed: who starts one takes that, and systemd as well.
fn watchdog(tree: &Tree) -> Option<Watchdog> {
    let at = |file: &str| format!("sys/class/watchdog/watchdog0/{file}");
    Some(Watchdog {
        identity: tree.read(at("identity"))?.into(),
        seconds: tree.parse(at("timeout")).unwrap_or(0),
        runs: tree.read(at("state")).as_deref() == Some("active"),
        has_reset: tree.parse::<u32>(at("bootstatus")).is_some_and(|b| b & CARD_RESET != 0),
    })
}

/// Interrupts that somebody handles: each handler has a folder below the interrupt's.
fn irqs(tree: &Tree) -> Vec<Irq> {
    let one = |name: String| {
        let dir = format!("proc/irq/{name}");
        let handled = tree.list(&dir).iter().any(|e| tree.is_dir(format!("{dir}/{e}")));
        Some(Irq { number: name.parse().ok()?, cpus: tree.some_cpus(format!("{dir}/smp_affinity_list"))? }).filter(|_| handled)
    };
    let mut all: Vec<Irq> = tree.list("proc/irq").into_iter().filter_map(one).collect();
    all.sort_unstable_by_key(|i| i.number);
    all
}
