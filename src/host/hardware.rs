//! `vim::port::Hardware` on sysfs, procfs and netlink.
//!
//! Owns: what is written where, in which order, and that it is read back. Never: decides a value.
//!
//! It acts in the network namespace of the calling thread: the interfaces of PFs are looked for there.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error as _,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use camino::Utf8PathBuf;
use nix::libc::{EIO, ENOSPC, EPERM};
use smol_str::SmolStr;

use super::{
    facts::{self, Tree},
    grubenv,
    netlink::Netlink,
    sriov::Functions,
};
use crate::{
    model::{
        error::{Fault, Result},
        host::{BootArgs, DriverName, Function, HostFacts, HostSetting, NodeId, PciDevice, PfName, PfSetting, VfSetting},
        hw::{CpuSet, PageSize, PciAddr},
        id::IfName,
    },
    vim::port::{Hardware, HostPulse},
};

/// Where the box shows itself, and what the configuration calls its parts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `/`, or the folder of a test.
    pub root: Utf8PathBuf,
    /// PFs and the physical networks they are on.
    pub physical: Vec<(PfName, SmolStr)>,
    /// The boot loader's environment block, if it has one.
    pub environment: Option<Utf8PathBuf>,
}

pub struct LinuxHardware {
    tree: Tree,
    settings: Settings,
    /// Two changes at once could each read back what the other wrote.
    one: Mutex<()>,
    /// Interrupts that the kernel moves itself, and where it has them. They are not there for anybody to move, for as
    /// long as they stay there. One that could not be moved for another reason is not among them.
    kept: Mutex<BTreeMap<u32, CpuSet>>,
    /// The physical networks of PFs that are called by their interfaces: one that a guest has whole has no interface.
    networks: Mutex<BTreeMap<PciAddr, SmolStr>>,
    /// Functions and devices given to guests by Bothy. What is with vfio-pci and not among them is another program's.
    given: Mutex<BTreeSet<PciAddr>>,
}

impl LinuxHardware {
    pub fn new(settings: Settings) -> Self {
        LinuxHardware {
            tree: Tree::new(settings.root.clone()),
            settings,
            one: Mutex::new(()),
            kept: Mutex::default(),
            networks: Mutex::default(),
            given: Mutex::default(),
        }
    }
    fn alone(&self) -> MutexGuard<'_, ()> {
        self.one.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn kept(&self) -> MutexGuard<'_, BTreeMap<u32, CpuSet>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn given(&self) -> MutexGuard<'_, BTreeSet<PciAddr>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn functions(&self) -> Functions<'_> {
        Functions::new(&self.tree)
    }

    /// Written where it differs; what the kernel made of it.
    fn write(&self, path: &str, value: &str, what: &str) -> Result<String> {
        if let Some(now) = self.tree.read(path).filter(|now| now == value) {
            return Ok(now);
        }
        self.tree.write(path, value).map_err(|f| f.context(what))?;
        Ok(self.tree.read(path).unwrap_or_default())
    }

    fn reserve(&self, node: NodeId, size: PageSize, pages: u64) -> Result<()> {
        // Without NUMA all is node 0. With it the host's own file would spread the pages over all nodes.
        let numa = !self.tree.numbered("sys/devices/system/node", "node").is_empty();
        let at = if numa || node != NodeId(0) {
            format!("sys/devices/system/node/node{node}/hugepages")
        } else {
            "sys/kernel/mm/hugepages".into()
        };
        let dir = format!("{at}/hugepages-{}kB", size.kib());
        if !self.tree.is_dir(&dir) {
            return Err(Fault::not_found(format!("NUMA node {node} has no pages of {size}: neither node nor size is there")));
        }
        let what = format!("NUMA node {node}: reserve {pages} pages of {size}");
        let got = self.write(&format!("{dir}/nr_hugepages"), &pages.to_string(), &what)?;
        if got == pages.to_string() {
            return Ok(());
        }
        Err(Fault::capacity(format!("{what}: the kernel has {got} (its memory is in use or in pieces; a reboot gives more)")))
    }

    fn govern(&self, name: &SmolStr, cpus: &CpuSet) -> Result<()> {
        for cpu in cpus.iter() {
            let dir = format!("sys/devices/system/cpu/cpu{cpu}/cpufreq");
            let what = format!("CPU {cpu}: governor {name}");
            let got = self.write(&format!("{dir}/scaling_governor"), name, &what)?;
            if got != name.as_str() {
                let offered = self.tree.read(format!("{dir}/scaling_available_governors")).unwrap_or_default();
                return Err(Fault::invalid(format!("{what}: it is '{got}' (there are: {offered})")));
            }
        }
        Ok(())
    }

    /// `put` writes into a file of the kernel's.
    fn route_irq(&self, number: u32, cpus: &CpuSet, put: &dyn Fn(&str, &str) -> Result<()>) -> Result<()> {
        let path = format!("proc/irq/{number}/smp_affinity_list");
        let (what, value) = (format!("interrupt {number}: to CPUs {cpus}"), cpus.to_string());
        // An interrupt of a device that went is nobody's.
        if !self.tree.exists(&path) {
            return Ok(());
        }
        let there = || self.tree.read(&path).unwrap_or_default();
        let written = if there() == value { Ok(()) } else { put(&path, &value) };
        let got = there();
        let now = got.parse::<CpuSet>().unwrap_or_default();
        self.kept().remove(&number);
        let Err(fault) = written else {
            return if now == *cpus { Ok(()) } else { Err(Fault::transient(format!("{what}: the kernel took it, and has it on {got}"))) };
        };
        match errno(&fault) {
            // Its word for one that it moves itself, to whatever CPUs it is sent: the second since Linux 6.12.
            Some(EIO | EPERM) => {
                self.kept().insert(number, now);
                Err(Fault::conflict(format!("{what}: the kernel keeps it on {got}")).with_source(fault))
            }
            Some(ENOSPC) => {
                Err(Fault::capacity(format!("{what}: no interrupt vector is left there; it stays on {got}")).with_source(fault))
            }
            _ => Err(fault.context(format!("{what}: it stays on {got}"))),
        }
    }
}

/// What the kernel said, where it was the kernel.
fn errno(fault: &Fault) -> Option<i32> {
    fault.source()?.downcast_ref::<io::Error>()?.raw_os_error()
}

impl Hardware for LinuxHardware {
    fn facts(&self) -> Result<HostFacts> {
        // One socket for all PFs; without netlink their VFs have no settings to show.
        let net = Mutex::new(Netlink::open().ok());
        let vfs = |name: &crate::model::id::IfName| match &mut *net.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(n) => n.vfs(name).unwrap_or_default(),
            None => Vec::new(),
        };
        let mut facts = facts::read(&self.tree, &vfs)?;
        facts.irqs.retain(|i| self.kept().get(&i.number) != Some(&i.cpus));
        let given = self.given().clone();
        let stranger = |d: &&mut PciDevice| d.driver == Some(DriverName::VFIO) && !given.contains(&d.addr);
        facts::pci::users(&self.tree, &mut facts.devices.iter_mut().filter(stranger).collect::<Vec<_>>());
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        for d in &mut facts.devices {
            let Function::Pf(pf) = &mut d.function else { continue };
            let named = self.settings.physical.iter().find(|(name, _)| name.means(d.addr, &d.ports)).map(|(_, n)| n.clone());
            let with_guest = d.driver.as_ref() == Some(&DriverName::VFIO) && d.ports.is_empty() && given.contains(&d.addr);
            pf.physical = named.or_else(|| networks.get(&d.addr).filter(|_| with_guest).cloned());
            networks.extend(pf.physical.clone().map(|n| (d.addr, n)));
        }
        Ok(facts)
    }

    fn pulse(&self, links: &[IfName]) -> Result<HostPulse> {
        let (memory, available) = facts::memory_now(&self.tree)?;
        let link = |name: &IfName| {
            let dir = format!("sys/class/net/{name}");
            // An interface that nobody has set up says nothing of its carrier: no link.
            let up = || self.tree.read(format!("{dir}/carrier")).as_deref() == Some("1");
            self.tree.exists(&dir).then(|| (name.clone(), up()))
        };
        Ok(HostPulse { memory, available, links: links.iter().filter_map(link).collect() })
    }

    fn set(&self, want: &HostSetting) -> Result<()> {
        let _one = self.alone();
        match want {
            HostSetting::HugePages { node, size, pages } => self.reserve(*node, *size, *pages),
            HostSetting::Vfs { pf, count } => self.functions().make(*pf, *count),
            HostSetting::Governor { name, cpus } => self.govern(name, cpus),
            HostSetting::Irq { number, cpus } => self.route_irq(*number, cpus, &|path, value| self.tree.write(path, value)),
        }
    }

    fn recall(&self, given: &[(PciAddr, SmolStr)]) {
        self.given().extend(given.iter().map(|(device, _)| *device));
        // By what it was called the configuration still knows its network.
        let called =
            |card: &SmolStr| self.settings.physical.iter().find(|(n, _)| n.to_string() == *card).map(|(_, network)| network.clone());
        let known = given.iter().filter_map(|(device, card)| Some((*device, called(card)?)));
        self.networks.lock().unwrap_or_else(PoisonError::into_inner).extend(known);
    }

    fn ensure_vf(&self, want: &VfSetting) -> Result<()> {
        let _one = self.alone();
        // Before it: in between nobody should take it for another program's.
        if want.driver == Some(DriverName::VFIO) {
            self.given().insert(want.vf);
        }
        self.functions().set_vf(want)
    }

    fn release_vf(&self, before: &VfSetting) -> Result<()> {
        let _one = self.alone();
        let f = self.functions();
        if f.is_there(before.vf) {
            f.set_vf(before)?;
        }
        self.given().remove(&before.vf);
        Ok(())
    }

    fn ensure_driver(&self, device: PciAddr, driver: Option<&DriverName>) -> Result<()> {
        let _one = self.alone();
        // Before it: in between nobody should see a PF without its network.
        if driver == Some(&DriverName::VFIO) {
            self.given().insert(device);
            return self.functions().drive(device, driver);
        }
        self.functions().drive(device, driver)?;
        self.given().remove(&device);
        Ok(())
    }

    fn release_driver(&self, device: PciAddr, before: Option<&DriverName>) -> Result<()> {
        let _one = self.alone();
        let f = self.functions();
        if f.is_there(device) {
            f.drive(device, before)?;
        }
        self.given().remove(&device);
        Ok(())
    }

    fn reload_pf(&self, want: &PfSetting) -> Result<()> {
        let _one = self.alone();
        self.functions().reload(want)
    }

    fn ensure_pf(&self, want: &PfSetting) -> Result<()> {
        let _one = self.alone();
        self.functions().ensure_pf(want)
    }

    fn boot_args(&self) -> Result<Option<BootArgs>> {
        self.settings.environment.as_ref().map_or(Ok(None), |path| grubenv::read(path))
    }

    fn set_boot_args(&self, want: &BootArgs) -> Result<()> {
        let _one = self.alone();
        match &self.settings.environment {
            Some(path) => grubenv::write(path, want),
            None => Err(Fault::conflict("no boot loader's environment block is named ([host] grubenv)")),
        }
    }
}

#[cfg(test)]
#[path = "hardware_tests.rs"]
mod tests;
