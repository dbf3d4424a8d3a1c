//! `Hardware` in memory: facts that obey.
//!
//! Owns what a change does to them, and what a real box would refuse. Never: what a box is like (see
//! `machine`).

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::{
    Sim,
    faults::{Method, Target},
};
use crate::{
    model::{
        error::{Fault, Result},
        host::{BootArgs, DriverName, Function, HostFacts, HostSetting, KernelArgs, NodeId, Pf, PfSetting, Vf, VfConf, VfLink, VfSetting},
        hw::{CpuSet, PageSize, PciAddr},
        id::IfName,
        size::MiB,
        tree::tree,
        update::Slot,
    },
    vim::port,
};

pub(super) struct Hardware {
    facts: HostFacts,
    /// Each function as the host has it while no guest does.
    home: BTreeMap<PciAddr, Home>,
    boot: BootArgs,
    /// VT-d is on in the firmware: a kernel that is told to remaps.
    pub remaps: bool,
    /// It remaps without a word.
    always: bool,
    pub recalled: Vec<(PciAddr, SmolStr)>,
}

/// A function at home.
#[derive(Clone, PartialEq, Eq)]
struct Home {
    conf: Option<VfConf>,
    driver: Option<DriverName>,
}

fn conf_of(facts: &HostFacts, addr: PciAddr) -> Option<VfConf> {
    facts.pfs().flat_map(|(_, pf)| &pf.vfs).find(|v| v.addr == addr).and_then(|v| v.conf.clone())
}

impl Hardware {
    pub fn new(facts: HostFacts) -> Self {
        let home = tree(facts.devices.iter().map(|d| (d.addr, Home { conf: conf_of(&facts, d.addr), driver: d.driver.clone() })));
        let always = facts.iommu;
        Hardware { facts, home, boot: BootArgs::default(), remaps: true, always, recalled: Vec::new() }
    }

    /// Functions that are not as the host has them.
    pub fn taken(&self) -> impl Iterator<Item = PciAddr> {
        let away = |d: &&crate::model::host::PciDevice| {
            self.home.get(&d.addr).is_some_and(|h| h.driver != d.driver || h.conf != conf_of(&self.facts, d.addr))
        };
        self.facts.devices.iter().filter(away).map(|d| d.addr)
    }

    /// What a boot of the simulated box does: a trial runs once, with its mark on the command line. The slot that runs,
    /// and whether that is a trial.
    pub fn reboot(&mut self, comes_up: bool) -> (Slot, bool) {
        let boot = &mut self.boot;
        let tries = std::mem::take(&mut boot.armed) && comes_up;
        let trial = boot.trial.clone().filter(|_| tries);
        let slot = boot.slot_try.filter(|_| tries);
        let mark = if trial.is_some() || slot.is_some() { "trial" } else { "committed" };
        let args = trial.unwrap_or_else(|| boot.committed.clone());
        let runs = slot.unwrap_or(boot.slot);
        self.facts.kernel.args = KernelArgs::parse(&format!("ro quiet bothy.boot={mark} bothy.slot={runs} {args}"));
        let iommu = self.always || (self.remaps && self.facts.kernel.args.has("intel_iommu", "on"));
        if iommu != std::mem::replace(&mut self.facts.iommu, iommu) {
            let group = |n: usize| iommu.then_some(20 + 100 * n as u32);
            self.facts.devices.iter_mut().enumerate().for_each(|(n, d)| d.iommu_group = group(n));
        }
        (runs, mark == "trial")
    }

    fn set(&mut self, want: &HostSetting) -> Result<()> {
        match want {
            HostSetting::HugePages { node, size, pages } => self.reserve(*node, *size, *pages),
            HostSetting::Vfs { pf, count } => self.make_vfs(*pf, *count),
            HostSetting::Governor { name, cpus } => self.govern(name, cpus),
            HostSetting::Irq { number, cpus } => {
                let found = self.facts.irqs.iter_mut().find(|i| i.number == *number);
                found.ok_or_else(|| Fault::not_found(format!("interrupt {number} is not there")))?.cpus = cpus.clone();
                Ok(())
            }
        }
    }

    /// As many as there are and the memory that is free holds; the kernel takes what it can too.
    fn reserve(&mut self, node: NodeId, size: PageSize, pages: u64) -> Result<()> {
        let of = self.facts.nodes.iter_mut().find(|n| n.id == node);
        let of = of.ok_or_else(|| Fault::not_found(format!("NUMA node {node} is not there")))?;
        let free = &mut of.memory_free;
        let pool = of.hugepages.iter_mut().find(|p| p.size == size);
        let pool = pool.ok_or_else(|| Fault::invalid(format!("the kernel offers no pages of {size}")))?;
        let used = pool.total - pool.free;
        let room = pool.total + free.0 * 1024 / size.kib();
        let got = pages.clamp(used, room.max(used));
        let before = pool.total * size.kib() / 1024;
        pool.total = got;
        pool.free = got - used;
        free.0 = (free.0 + before).saturating_sub(got * size.kib() / 1024);
        if got == pages {
            return Ok(());
        }
        Err(Fault::capacity(format!("NUMA node {node}: {pages} pages of {size} wanted, {got} there")))
    }

    fn make_vfs(&mut self, pf: PciAddr, count: u16) -> Result<()> {
        let gone = || Fault::not_found(format!("PCI device {pf} is not there"));
        let device = self.facts.device(pf).ok_or_else(gone)?.clone();
        let Function::Pf(mut of) = device.function.clone() else {
            return Err(Fault::invalid(format!("PCI device {pf} is not a physical function")));
        };
        if count > of.total_vfs {
            return Err(Fault::invalid(format!("PF {pf}: {count} VFs wanted, its hardware has {}", of.total_vfs)));
        }
        if of.vfs.len() == usize::from(count) {
            return Ok(());
        }
        let in_use = |v: &&Vf| self.facts.device(v.addr).is_some_and(|d| d.driver == Some(DriverName::VFIO));
        if let Some(v) = of.vfs.iter().find(in_use) {
            return Err(Fault::conflict(format!("PF {pf}: its VF {} belongs to a guest; their number stays {}", v.addr, of.vfs.len())));
        }
        self.facts.devices.retain(|d| !matches!(d.function, Function::Vf { pf: p, .. } if p == pf));
        self.home.retain(|a, _| self.facts.device(*a).is_some());
        let made = super::machine::vfs(&device, count);
        let new = |d: &crate::model::host::PciDevice| Vf {
            index: vf_index(&d.function),
            addr: d.addr,
            conf: Some(super::machine::fresh_vf()),
            link: Some(VfLink::Auto),
        };
        of.vfs = made.iter().map(new).collect();
        for d in made {
            self.home.insert(d.addr, Home { conf: Some(super::machine::fresh_vf()), driver: d.driver.clone() });
            self.facts.devices.push(d);
        }
        if let Some(d) = self.facts.devices.iter_mut().find(|d| d.addr == pf) {
            d.function = Function::Pf(of);
        }
        self.facts.devices.sort_unstable_by_key(|d| d.addr);
        Ok(())
    }

    fn govern(&mut self, name: &SmolStr, cpus: &CpuSet) -> Result<()> {
        let all = &mut self.facts.governors;
        let available = all.first().map(|g| g.available.clone()).unwrap_or_default();
        if !available.contains(name) {
            return Err(Fault::invalid(format!("no governor is named '{name}' (there are: {})", available.join(", "))));
        }
        for g in all.iter_mut() {
            g.cpus = g.cpus.minus(cpus);
        }
        match all.iter_mut().find(|g| g.name == *name) {
            Some(g) => g.cpus.extend(cpus.iter()),
            None => all.push(crate::model::host::Governor { name: name.clone(), cpus: cpus.clone(), available }),
        }
        all.retain(|g| !g.cpus.is_empty());
        all.sort_unstable_by_key(|g| g.cpus.first());
        Ok(())
    }

    pub fn is_with_vfio(&self, addr: PciAddr) -> bool {
        self.facts.device(addr).is_some_and(|d| d.driver == Some(DriverName::VFIO))
    }

    /// Its driver is taken away behind everybody's back: its functions go, whoever has them.
    pub fn lose_pf(&mut self, pf: PciAddr) -> Vec<PciAddr> {
        let of = |d: &crate::model::host::PciDevice| matches!(d.function, Function::Vf { pf: p, .. } if p == pf);
        let gone: Vec<PciAddr> = self.facts.devices.iter().filter(|d| of(d)).map(|d| d.addr).collect();
        self.facts.devices.retain(|d| !of(d));
        self.home.retain(|a, _| !gone.contains(a));
        if let Some(d) = self.facts.devices.iter_mut().find(|d| d.addr == pf) {
            d.driver = None;
            if let Function::Pf(p) = &mut d.function {
                p.vfs.clear();
            }
        }
        gone
    }

    fn ensure_pf(&mut self, want: &PfSetting) -> Result<()> {
        let home = self.home.get(&want.pf).and_then(|h| h.driver.clone());
        self.drive(want.pf, want.driver.as_ref().or(home.as_ref()))?;
        self.make_vfs(want.pf, want.vfs)?;
        for s in &want.others {
            self.conf(s)?;
            self.drive(s.vf, s.driver.as_ref())?;
        }
        Ok(())
    }

    fn conf(&mut self, s: &VfSetting) -> Result<()> {
        let missing = || Fault::transient(format!("VF {} of PF {} is not there: the PF has not made it", s.vf, s.pf));
        let of = self.facts.devices.iter_mut().find(|d| d.addr == s.pf).map(|d| &mut d.function);
        let Some(Function::Pf(Pf { vfs, .. })) = of else { return Err(missing()) };
        vfs.iter_mut().find(|v| v.addr == s.vf && v.index == s.index).ok_or_else(missing)?.conf = Some(s.conf.clone());
        Ok(())
    }

    fn drive(&mut self, addr: PciAddr, driver: Option<&DriverName>) -> Result<()> {
        let d = self.facts.devices.iter_mut().find(|d| d.addr == addr);
        let d = d.ok_or_else(|| Fault::not_found(format!("PCI device {addr} is not there")))?;
        if driver == Some(&DriverName::VFIO) && d.iommu_group.is_none() {
            return Err(port::no_iommu(addr));
        }
        d.driver = driver.cloned();
        Ok(())
    }
}

fn vf_index(f: &Function) -> u16 {
    match f {
        Function::Vf { index, .. } => *index,
        Function::Plain | Function::Pf(_) => 0,
    }
}

impl port::Hardware for Sim {
    fn facts(&self) -> Result<HostFacts> {
        self.call(Method::Facts, Target::Host, |world, _| Ok(world.hardware.facts.clone()))
    }
    fn recall(&self, given: &[(PciAddr, SmolStr)]) {
        self.lock().hardware.recalled = given.to_vec();
    }
    fn pulse(&self, links: &[IfName]) -> Result<port::HostPulse> {
        self.call(Method::Pulse, Target::Host, |world, _| {
            let facts = &world.hardware.facts;
            let ports = facts.devices.iter().flat_map(|d| &d.ports);
            Ok(port::HostPulse {
                memory: MiB(facts.nodes.iter().map(|n| n.memory.0).sum()),
                available: MiB(facts.nodes.iter().map(|n| n.memory_free.0).sum()),
                links: ports.filter(|p| links.contains(&p.name)).map(|p| (p.name.clone(), p.carrier)).collect(),
            })
        })
    }
    fn set(&self, want: &HostSetting) -> Result<()> {
        self.call(Method::SetHost, Target::Host, |world, _| world.hardware.set(want))
    }
    fn ensure_vf(&self, want: &VfSetting) -> Result<()> {
        self.call(Method::EnsureVf, want.vf, |world, _| {
            let h = &mut world.hardware;
            if want.driver == Some(DriverName::VFIO) && h.facts.device(want.vf).is_some_and(|d| d.iommu_group.is_none()) {
                return Err(port::no_iommu(want.vf));
            }
            h.conf(want)?;
            h.drive(want.vf, want.driver.as_ref())
        })
    }
    fn release_vf(&self, before: &VfSetting) -> Result<()> {
        self.call(Method::ReleaseVf, before.vf, |world, _| {
            let h = &mut world.hardware;
            if h.facts.device(before.vf).is_none() {
                return Ok(());
            }
            h.conf(before)?;
            h.drive(before.vf, before.driver.as_ref())
        })
    }
    fn ensure_driver(&self, device: PciAddr, driver: Option<&DriverName>) -> Result<()> {
        self.call(Method::EnsureDriver, device, |world, _| world.hardware.drive(device, driver))
    }
    fn release_driver(&self, device: PciAddr, before: Option<&DriverName>) -> Result<()> {
        self.call(Method::EnsureDriver, device, |world, _| match world.hardware.facts.device(device) {
            Some(_) => world.hardware.drive(device, before),
            None => Ok(()),
        })
    }
    fn reload_pf(&self, want: &PfSetting) -> Result<()> {
        self.call(Method::ReloadPf, want.pf, |world, _| {
            let h = &mut world.hardware;
            h.make_vfs(want.pf, 0)?;
            h.ensure_pf(want)
        })
    }
    fn ensure_pf(&self, want: &PfSetting) -> Result<()> {
        self.call(Method::EnsurePf, want.pf, |world, _| world.hardware.ensure_pf(want))
    }
    fn boot_args(&self) -> Result<Option<BootArgs>> {
        self.call(Method::BootArgs, Target::Host, |world, _| Ok(Some(world.hardware.boot.clone())))
    }
    fn set_boot_args(&self, want: &BootArgs) -> Result<()> {
        self.call(Method::SetBootArgs, Target::Host, |world, _| {
            world.hardware.boot = want.clone();
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::error::Kind, sim::Leftover, vim::port::Hardware as _};

    fn wan(facts: &HostFacts) -> (PciAddr, Pf) {
        let (d, pf) = facts.pfs().find(|(_, pf)| pf.physical.as_deref() == Some("wan")).expect("a PF on wan");
        (d.addr, pf.clone())
    }

    #[test]
    fn the_default_box_is_whole() {
        let f = Sim::default().facts().expect("facts");
        assert_eq!((f.nodes.len(), f.cores.len(), f.cpus().len()), (2, 32, 64));
        assert!(f.has_smt() && f.iommu);
        assert_eq!(f.nodes[1].cpus.to_string(), "16-31,48-63");
        let (pf, of) = wan(&f);
        assert_eq!(of.vfs.len(), 8);
        for v in &of.vfs {
            assert_eq!(f.device(v.addr).expect("listed").function, Function::Vf { pf, index: v.index });
        }
        assert_eq!(f.vf_setting(pf), None, "a PF is no VF");
    }

    #[test]
    fn a_vf_is_left_over_until_it_is_as_before() {
        let sim = Sim::default();
        let f = sim.facts().expect("facts");
        let (pf, of) = wan(&f);
        let before = f.vf_setting(of.vfs[3].addr).expect("a VF");
        let conf = VfConf { vlan: Some(crate::model::net::VlanId::MIN), ..before.conf.clone() };
        let want = VfSetting { conf, driver: Some(DriverName::VFIO), ..before.clone() };
        for _ in 0..2 {
            sim.ensure_vf(&want).expect("set");
        }
        assert_eq!(sim.facts().expect("facts").vf_setting(want.vf), Some(want.clone()));
        assert_eq!(sim.leftovers(), [Leftover::Device(want.vf)]);
        let e = sim.set(&HostSetting::Vfs { pf, count: 4 }).expect_err("in use");
        assert_eq!(e.kind(), Kind::Conflict);
        for _ in 0..2 {
            sim.release_vf(&before).expect("released");
        }
        assert_eq!(sim.leftovers(), []);
        sim.set(&HostSetting::Vfs { pf, count: 2 }).expect("free now");
        sim.release_vf(&before).expect("a VF that is gone is released");
        assert_eq!(sim.ensure_vf(&want).expect_err("gone").kind(), Kind::Transient);
        assert_eq!(wan(&sim.facts().expect("facts")).1.vfs.len(), 2);
    }

    #[test]
    fn pages_come_out_of_free_memory_and_never_out_of_a_guest() {
        let sim = Sim::default();
        let of = |sim: &Sim| {
            let n = sim.facts().expect("facts").nodes[1].clone();
            (*n.pages(PageSize::Huge1G).expect("offered"), n.memory_free)
        };
        let (had, free) = of(&sim);
        sim.set(&HostSetting::HugePages { node: NodeId(1), size: PageSize::Huge1G, pages: had.total + 2 }).expect("room");
        assert_eq!(of(&sim).1.0, free.0 - 2048);
        let e = sim.set(&HostSetting::HugePages { node: NodeId(1), size: PageSize::Huge1G, pages: 4000 }).expect_err("no room");
        assert_eq!(e.kind(), Kind::Capacity);
        assert!(of(&sim).0.total < 64, "what came stays");
    }
}
