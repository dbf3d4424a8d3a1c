//! The kernel arguments a host should boot with.
//!
//! Owns which they are and whether the running kernel has them (Documentation/admin-guide/
//! kernel-parameters.txt of the kernel). Never: how they get to the boot loader.

use super::{Desired, Profile};
use crate::model::{
    host::{BootArgs, HostFacts, KernelArg, KernelArgs},
    hw::{CpuSet, PageSize},
};

/// An argument, or two that only count together, and why it is wanted.
pub(super) struct Wanted {
    pub args: Vec<KernelArg>,
    pub why: String,
}

/// What only the plan writes into the boot loader: it goes when it is wanted no more. Other arguments
/// there, an image's own and the IOMMU among them, are left as they are.
const MANAGED: [&str; 6] = ["hugepagesz", "hugepages", "isolcpus", "nohz_full", "rcu_nocbs", "irqaffinity"];

pub(super) fn is_managed(a: &KernelArg) -> bool {
    MANAGED.contains(&a.key.as_str())
}

/// What the image's boot loader takes of the host's arguments in a verified boot.
const TAKEN: &str = include_str!("../../../image/files/usr/lib/bothy/boot-args");

/// By the same rule as in `image/grub.cfg`.
pub(super) fn is_taken_verified(a: &KernelArg) -> bool {
    let plain = |v: &str| v.chars().all(|c| c.is_ascii_alphanumeric() || "_,.:-".contains(c));
    TAKEN.lines().any(|line| match line.strip_suffix('=') {
        Some(key) => a.key == key && a.value.as_deref().is_some_and(plain),
        None => !line.is_empty() && a.to_string() == line,
    })
}

/// The boot loader said so, of the boot that runs; what follows its own word is the host's.
pub(super) fn is_verified(running: &KernelArgs) -> bool {
    let mut own = running.iter().take_while(|a| a.key != "bothy.boot");
    own.any(|a| a.key == "bothy.verified" && a.value.as_deref() == Some("1"))
}

fn arg(key: &str, value: impl ToString) -> KernelArg {
    KernelArg { key: key.into(), value: Some(value.to_string().into()) }
}

/// Guests' CPUs that the scheduler shall leave alone.
pub(super) fn isolated(desired: &Desired, facts: &HostFacts) -> CpuSet {
    let chosen = match desired.profile {
        Profile::Realtime if desired.isolate.is_empty() && !desired.host_cpus.is_empty() => facts.cpus(),
        Profile::None | Profile::Throughput | Profile::Realtime => desired.isolate.clone(),
    };
    chosen.minus(&desired.host_cpus)
}

pub(super) fn wanted(desired: &Desired, facts: &HostFacts, boot: Option<&BootArgs>) -> Vec<Wanted> {
    let mut all = Vec::new();
    // A kernel that remaps by itself (AMD's does) needs no word for it.
    let ours = |key: &str| boot.is_some_and(|b| b.committed.get(key).is_some());
    if desired.iommu && (!facts.iommu || ours("intel_iommu")) {
        let why = ["devices go to guests only through an IOMMU", "the host's own devices are not slowed by it"];
        let both = KernelArgs::IOMMU.iter().zip(why);
        all.extend(both.map(|((key, value), why)| Wanted { args: vec![arg(key, value)], why: why.into() }));
    }
    let giant: Vec<String> =
        desired.hugepages.iter().filter(|p| p.size == PageSize::Huge1G && p.pages > 0).map(|p| format!("{}:{}", p.node, p.pages)).collect();
    if !giant.is_empty() {
        let args = vec![arg("hugepagesz", "1G"), arg("hugepages", giant.join(","))];
        all.push(Wanted { args, why: "1 GiB of memory in one piece is only sure to be there at boot".into() });
    }
    let cpus = isolated(desired, facts);
    if !cpus.is_empty() {
        let list = match desired.profile {
            Profile::Realtime => format!("managed_irq,domain,{cpus}"),
            Profile::None | Profile::Throughput => format!("domain,{cpus}"),
        };
        all.push(Wanted { args: vec![arg("isolcpus", list)], why: "the scheduler puts nothing on guests' CPUs".into() });
    }
    if desired.profile == Profile::Realtime && !cpus.is_empty() {
        all.push(Wanted { args: vec![arg("nohz_full", &cpus)], why: "no tick while one vCPU runs".into() });
        all.push(Wanted { args: vec![arg("rcu_nocbs", &cpus)], why: "RCU's work is done on the host's CPUs".into() });
        // As for the interrupts that are there.
        let host = if desired.host_cpus.is_empty() { facts.cpus().minus(&cpus) } else { desired.host_cpus.clone() };
        all.push(Wanted { args: vec![arg("irqaffinity", host)], why: "new interrupts go to the host's CPUs".into() });
    }
    all
}

/// These arguments, one after the other, with nothing later that overrides them.
pub(super) fn has(running: &KernelArgs, args: &[KernelArg]) -> bool {
    let all: Vec<&KernelArg> = running.iter().collect();
    let together = all.windows(args.len()).any(|w| w.iter().zip(args).all(|(a, b)| *a == b));
    let last = |a: &KernelArg| running.get(&a.key) == Some(a.value.as_deref());
    // Of the two that belong together the kernel takes each pair by itself.
    together && (args.len() > 1 || args.iter().all(last))
}
