//! What of the host differs from what the configuration wants. Pure.
//!
//! Owns the items, what each needs, and what cannot be. Never: does one.

use super::{
    Desired, Profile,
    args::{self, has},
    keeper::TRIAL,
};
use crate::model::{
    host::{BootArgs, DriverName, HostFacts, HostSetting, KernelArg, KernelArgs, PciDevice, PfName},
    hw::{CpuSet, PageSize},
    place::Held,
};

/// What an item needs to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Counts as soon as it is applied.
    Nothing,
    /// Is put on trial by `apply`, and counts after a reboot.
    Reboot,
    /// Is on trial already: the next boot has it.
    Booting,
    /// No boot loader listens to Bothy: somebody writes it there.
    Hand,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub what: String,
    pub why: String,
    pub needs: Needs,
    /// Live changes: before and wanted.
    pub(super) changes: Vec<(HostSetting, HostSetting)>,
}

/// Something that is wanted and cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    pub what: String,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostPlan {
    /// In the order in which they are done.
    pub items: Vec<Item>,
    pub blocked: Vec<Blocked>,
    /// Kernel arguments that Bothy wants, all of them.
    pub args: KernelArgs,
    /// The boot loader's block as `apply` leaves it, where that differs from what it has.
    pub boot: Option<BootArgs>,
}

impl HostPlan {
    /// Something of it can be done now.
    pub fn has_work(&self) -> bool {
        self.boot.is_some() || self.items.iter().any(|i| i.needs == Needs::Nothing)
    }
    fn block(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.blocked.push(Blocked { what: what.into(), why: why.into() });
    }
    /// What guests were given stays as it is.
    pub(super) fn keep_promises(&mut self, facts: &HostFacts, held: &[Held]) {
        for item in std::mem::take(&mut self.items) {
            match item.changes.iter().find_map(|(_, want)| broken(want, facts, held)) {
                Some(why) => self.block(item.what, why),
                None => self.items.push(item),
            }
        }
    }
    fn live(&mut self, what: String, why: &str, changes: Vec<(HostSetting, HostSetting)>) {
        self.items.push(Item { what, why: why.to_owned(), needs: Needs::Nothing, changes });
    }
}

/// What of guests' places a change would break. They keep them while they are off, too: their next start needs the pages,
/// and the VFs that they were promised.
pub(super) fn broken(want: &HostSetting, facts: &HostFacts, held: &[Held]) -> Option<String> {
    let names = |who: &[&Held]| who.iter().map(|h| h.name.as_str()).collect::<Vec<_>>().join(", ");
    match want {
        HostSetting::HugePages { node, size, pages } => {
            let on = |h: &Held| -> u64 {
                let cells = h.at.cells.iter().filter(|c| h.at.page == *size && c.memory_node == node.0);
                cells.map(|c| size.pages(c.memory)).sum()
            };
            let now = facts.node(*node).and_then(|n| n.pages(*size)).map_or(0, |p| p.total);
            let who: Vec<&Held> = held.iter().filter(|h| on(h) > 0).collect();
            let all: u64 = who.iter().map(|h| on(h)).sum();
            (*pages < now && *pages < all).then(|| format!("{all} are held by {}, running or not: they go first", names(&who)))
        }
        HostSetting::Vfs { pf, count } => {
            let now = facts.pfs().find(|(d, _)| d.addr == *pf).map_or(0, |(_, pf)| pf.vfs.len());
            // VFs that are lost already are not lost by this.
            let has = |h: &&Held| h.at.devices.iter().any(|d| d.card == *pf && facts.device(d.address).is_some());
            let who: Vec<&Held> = held.iter().filter(has).collect();
            (usize::from(*count) != now && !who.is_empty()).then(|| {
                format!("it is held by {}, running or not: the number of its VFs ({now}) changes only while it is not", names(&who))
            })
        }
        HostSetting::Governor { .. } | HostSetting::Irq { .. } => None,
    }
}

/// `boot`: what the boot loader has for Bothy; `None` where none listens.
pub fn plan(desired: &Desired, facts: &HostFacts, boot: Option<&BootArgs>) -> HostPlan {
    let mut p = HostPlan::default();
    let sound = cpus(&mut p, desired, facts);
    let giant = hugepages(&mut p, desired, facts);
    vfs(&mut p, desired, facts);
    governor(&mut p, desired, facts);
    if desired.iommu && !facts.iommu && facts.kernel.args.ask_for_iommu() {
        p.block("IOMMU", "it is off though the kernel has its arguments: VT-d or AMD-Vi is to be switched on in the firmware");
    }
    if sound {
        interrupts(&mut p, desired, facts);
    }
    // Half of what is wanted on the kernel's command line is worse than none of it: the box boots with it.
    if sound && giant {
        kernel(&mut p, desired, facts, boot);
    } else {
        p.block("kernel arguments", "they wait until the CPUs and pages above can be");
    }
    p
}

/// Whether the CPUs that are named can be as they are named.
fn cpus(p: &mut HostPlan, desired: &Desired, facts: &HostFacts) -> bool {
    let before = p.blocked.len();
    let all = facts.cpus();
    if desired.profile == Profile::Realtime && desired.host_cpus.is_empty() {
        p.block("profile realtime", "it takes CPUs from the host: reserve.cpus must say which it keeps, such as \"0-1\"");
    }
    for (what, cpus) in [("reserve.cpus", &desired.host_cpus), ("host.isolate", &desired.isolate)] {
        let missing = cpus.minus(&all);
        if !missing.is_empty() {
            p.block(format!("{what} = {cpus}"), format!("CPUs {missing} are not there (online: {all})"));
        }
    }
    let split: Vec<String> = facts
        .cores
        .iter()
        .filter(|c| !c.threads.common(&desired.host_cpus).is_empty() && !c.threads.minus(&desired.host_cpus).is_empty())
        .map(|c| c.threads.to_string())
        .collect();
    if !split.is_empty() {
        p.block(
            format!("reserve.cpus = {}", desired.host_cpus),
            format!("the CPUs of one core cannot be parted between host and guests: name both or none of {}", split.join(" and ")),
        );
    }
    p.blocked.len() == before
}

/// Whether pages that need a kernel argument can be as they are named.
fn hugepages(p: &mut HostPlan, desired: &Desired, facts: &HostFacts) -> bool {
    let before = p.blocked.len();
    for want in &desired.hugepages {
        let what = format!("node {}: {} pages of {}", want.node, want.pages, want.size);
        let Some(node) = facts.node(want.node) else {
            let there: Vec<String> = facts.nodes.iter().map(|n| n.id.to_string()).collect();
            p.block(what, format!("there is no NUMA node {} (there are: {})", want.node, there.join(", ")));
            continue;
        };
        let Some(now) = node.pages(want.size) else {
            p.block(what, format!("the kernel offers no pages of {}", want.size));
            continue;
        };
        let held: u64 = desired.hugepages.iter().filter(|o| o.node == want.node).map(|o| o.pages.saturating_mul(o.size.kib())).sum();
        if held > node.memory.0 * 1024 {
            p.block(what, format!("the node's pools take {} MiB, it has {}", held / 1024, node.memory));
            continue;
        }
        let used = now.total - now.free.min(now.total);
        if want.pages < used {
            p.block(what, format!("{used} are in use: the guests that have them go first"));
            continue;
        }
        // More giant pages come from the kernel's arguments alone.
        if want.pages == now.total || (want.size == PageSize::Huge1G && want.pages > now.total && !boots_with(facts, desired)) {
            continue;
        }
        let set = |pages| HostSetting::HugePages { node: want.node, size: want.size, pages };
        p.live(format!("{what} (now {})", now.total), "guests' memory in large pages", vec![(set(now.total), set(want.pages))]);
    }
    p.blocked.len() == before || desired.hugepages.iter().all(|w| w.size != PageSize::Huge1G)
}

/// The kernel was booted with the giant pages that are wanted, so what is missing of them was given
/// back since, and may be there to take.
fn boots_with(facts: &HostFacts, desired: &Desired) -> bool {
    args::wanted(desired, facts, None).iter().filter(|w| w.args.len() > 1).all(|w| has(&facts.kernel.args, &w.args))
}

fn vfs(p: &mut HostPlan, desired: &Desired, facts: &HostFacts) {
    for (name, count) in &desired.pfs {
        let what = format!("PF {name}: {count} VFs");
        let Some((device, pf)) = facts.pfs().find(|(d, _)| name.means(d.addr, &d.ports)) else {
            p.block(what, no_pf(name, facts));
            continue;
        };
        let now = pf.vfs.len();
        if *count > pf.total_vfs {
            p.block(what, format!("its hardware has {}", pf.total_vfs));
        } else if usize::from(*count) != now {
            if device.driver == Some(DriverName::VFIO) {
                p.block(what, "it is with vfio-pci, as a PF that a guest has whole: VFs come when its own driver has it again");
                continue;
            }
            let taken = pf.vfs.iter().find(|v| facts.device(v.addr).is_some_and(|d| d.driver == Some(DriverName::VFIO)));
            if let Some(v) = taken {
                p.block(what, format!("its VF {} belongs to a guest: their number ({now}) changes only while none does", v.addr));
                continue;
            }
            let set = |count| HostSetting::Vfs { pf: device.addr, count };
            p.live(format!("{what} (now {now})"), "guests' NICs on the PF's own switch", vec![(set(now as u16), set(*count))]);
        }
    }
}

fn no_pf(name: &PfName, facts: &HostFacts) -> String {
    let pf = |d: &PciDevice| match d.ports.first() {
        Some(port) => format!("{} ({})", port.name, d.addr),
        None if d.driver == Some(DriverName::VFIO) => format!("{}, without an interface: it is with vfio-pci", d.addr),
        None => d.addr.to_string(),
    };
    let there: Vec<String> = facts.pfs().map(|(d, _)| pf(d)).collect();
    match facts.devices.iter().any(|d| name.means(d.addr, &d.ports)) {
        true => format!("{name} is there, but has no SR-IOV"),
        false if there.is_empty() => "this box has no PF".into(),
        false => format!("there is no such PF (there are: {})", there.join(", ")),
    }
}

fn governor(p: &mut HostPlan, desired: &Desired, facts: &HostFacts) {
    let wanted = match (&desired.governor, desired.profile) {
        (Some(g), _) => g.as_str(),
        // Where firmware or a hypervisor keeps the clock, a profile has nothing to say.
        (None, Profile::Throughput | Profile::Realtime) if !facts.governors.is_empty() => "performance",
        (None, Profile::None | Profile::Throughput | Profile::Realtime) => return,
    };
    let what = format!("governor {wanted}");
    let Some(first) = facts.governors.first() else {
        return p.block(what, "no CPU has a governor: firmware or a hypervisor keeps the clock");
    };
    if !first.available.iter().any(|a| a == wanted) {
        return p.block(what, format!("there are: {}", first.available.join(", ")));
    }
    let changes: Vec<_> = facts
        .governors
        .iter()
        .filter(|g| g.name != wanted)
        .map(|g| {
            let set = |name: &str| HostSetting::Governor { name: name.into(), cpus: g.cpus.clone() };
            (set(&g.name), set(wanted))
        })
        .collect();
    if !changes.is_empty() {
        let cpus: CpuSet = facts.governors.iter().filter(|g| g.name != wanted).flat_map(|g| g.cpus.iter()).collect();
        p.live(format!("{what} on CPUs {cpus}"), "the clock does not wait for load", changes);
    }
}

fn interrupts(p: &mut HostPlan, desired: &Desired, facts: &HostFacts) {
    let host = &desired.host_cpus;
    if desired.profile == Profile::None || host.is_empty() {
        return;
    }
    let away = facts.irqs.iter().filter(|i| !i.cpus.minus(host).is_empty());
    let set = |number, cpus: &CpuSet| HostSetting::Irq { number, cpus: cpus.clone() };
    let changes: Vec<_> = away.map(|i| (set(i.number, &i.cpus), set(i.number, host))).collect();
    if !changes.is_empty() {
        p.live(format!("{} interrupts to CPUs {host}", changes.len()), "devices do not interrupt guests' CPUs", changes);
    }
}

fn kernel(p: &mut HostPlan, desired: &Desired, facts: &HostFacts, boot: Option<&BootArgs>) {
    let running = &facts.kernel.args;
    let wanted = args::wanted(desired, facts, boot);
    let ours = || wanted.iter().flat_map(|w| &w.args);
    let committed = boot.map(|b| b.committed.clone()).unwrap_or_default();
    // One of these, and the boot loader leaves all out.
    let refused = |a: &KernelArg| args::is_verified(running) && !args::is_taken_verified(a);
    let kept = committed.iter().filter(|a| !args::is_managed(a) && !ours().any(|w| w.key == a.key) && !refused(a));
    p.args = kept.chain(ours()).cloned().collect();
    let arguments = |args: &[KernelArg]| args.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let needs = match boot {
        None => Needs::Hand,
        Some(b) if b.armed && b.trial.as_ref() == Some(&p.args) => Needs::Booting,
        Some(b) if !b.armed && b.committed == p.args => Needs::Booting,
        Some(_) => Needs::Reboot,
    };
    // What was on trial, and is not what this boot has.
    let tried = |b: &BootArgs| !b.armed && b.slot_try.is_none() && b.trial.as_ref() == Some(&p.args);
    let fell_back = boot.is_some_and(tried) && !running.has(TRIAL.0, TRIAL.1);
    let mut item = |what: String, why: String| p.items.push(Item { what, why, needs, changes: Vec::new() });
    for w in wanted.iter().filter(|w| !has(running, &w.args)) {
        item(
            format!("kernel argument {}", arguments(&w.args)),
            if fell_back { format!("{}; tried, and did not come up", w.why) } else { w.why.clone() },
        );
    }
    let Some(boot) = boot else { return };
    let unwanted: KernelArgs = boot.committed.iter().filter(|a| !p.args.iter().any(|w| w == *a)).cloned().collect();
    for a in unwanted.iter().filter(|a| !p.args.iter().any(|w| w.key == a.key)) {
        let why = if refused(a) { "the boot loader does not take it in a verified boot" } else { "the configuration wants it no more" };
        item(format!("kernel argument {a} goes"), why.into());
    }
    let lacks = wanted.iter().any(|w| !has(running, &w.args));
    let differs = lacks || !unwanted.is_empty();
    if boot.slot_try.is_some() {
        // One trial at a time: two that fail together would not say which of them did.
        if differs && needs == Needs::Reboot {
            p.block("kernel arguments", "an update of the system is on trial: they are tried after it");
        }
    } else if needs == Needs::Reboot && differs {
        p.boot = Some(BootArgs { trial: Some(p.args.clone()), armed: true, ..boot.clone() });
    } else if boot.armed && needs == Needs::Reboot {
        // What is on trial is wanted no more, and what runs is right.
        p.boot = Some(BootArgs { trial: None, armed: false, ..boot.clone() });
    }
}
