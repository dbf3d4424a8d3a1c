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
        host::{BootArgs, DriverName, Function, HostFacts, HostSetting, NodeId, PfName, PfSetting, VfSetting},
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
    /// The physical networks of PFs that are called by their interfaces: one that a guest has whole has none.
    networks: Mutex<BTreeMap<PciAddr, SmolStr>>,
    /// Given to guests by Bothy. What is with vfio-pci and not among them is another program's.
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
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        for d in &mut facts.devices {
            let Function::Pf(pf) = &mut d.function else { continue };
            let named = self.settings.physical.iter().find(|(name, _)| name.means(d.addr, &d.ports)).map(|(_, n)| n.clone());
            let with_guest = d.driver.as_ref() == Some(&DriverName::VFIO) && d.ports.is_empty() && self.given().contains(&d.addr);
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

    fn ensure_vf(&self, want: &VfSetting) -> Result<()> {
        let _one = self.alone();
        self.functions().set_vf(want)
    }

    fn release_vf(&self, before: &VfSetting) -> Result<()> {
        let _one = self.alone();
        let f = self.functions();
        if f.is_there(before.vf) { f.set_vf(before) } else { Ok(()) }
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
mod tests {
    use super::*;
    use crate::{
        host::{durable::io_fault, facts::fake::Fake},
        model::{error::Kind, host::VfConf},
        sim::machine::edge_server,
    };

    fn hardware(fake: &Fake) -> LinuxHardware {
        let pf = "0000:20:00.0".parse().expect("address");
        let physical = vec![(PfName::Interface("ens1f0".parse().expect("name")), "wan".into()), (PfName::Address(pf), "lan".into())];
        LinuxHardware::new(Settings { root: fake.root().to_owned(), physical, environment: None })
    }

    #[test]
    fn pfs_have_the_names_the_configuration_gives_them() {
        let fake = Fake::of(&edge_server());
        let f = hardware(&fake).facts().expect("facts");
        let names: Vec<_> = f.pfs().map(|(_, pf)| pf.physical.as_deref()).collect();
        assert_eq!(names, [Some("wan"), Some("lan")]);
    }

    #[test]
    fn a_pf_that_a_guest_has_whole_keeps_the_network_of_the_interface_that_it_had() {
        let fake = Fake::of(&edge_server());
        let h = hardware(&fake);
        let networks = |h: &LinuxHardware| -> Vec<_> {
            let facts = h.facts().expect("facts");
            facts.pfs().map(|(_, pf)| pf.physical.as_ref().map(ToString::to_string)).collect()
        };
        let both = [Some("wan".to_owned()), Some("lan".to_owned())];
        assert_eq!(networks(&h), both);
        let dir = "sys/bus/pci/devices/0000:10:00.0";
        fake.remove(&format!("{dir}/net"));
        assert_eq!(networks(&h), [None, both[1].clone()], "no interface, and no guest");
        let driven_by = |name: &str| fake.link(&format!("{dir}/driver"), &format!("../../../bus/pci/drivers/{name}"));
        let pf: PciAddr = "0000:10:00.0".parse().expect("address");
        fake.put(&format!("{dir}/driver_override"), "(null)");
        driven_by("vfio-pci");
        assert_eq!(networks(&h), [None, both[1].clone()], "bound by hand: another program has it");
        h.ensure_driver(pf, Some(&DriverName::VFIO)).expect("given");
        assert_eq!(networks(&h), both);
        driven_by("ice");
        h.ensure_driver(pf, Some(&"ice".parse().expect("a driver"))).expect("taken back");
        driven_by("vfio-pci");
        assert_eq!(networks(&h), [None, both[1].clone()], "and by hand again");
    }

    #[test]
    fn a_live_setting_is_written_where_the_kernel_reads_it() {
        let fake = Fake::of(&edge_server());
        let h = hardware(&fake);
        let cpus: CpuSet = "2-3".parse().expect("CPUs");
        let node = NodeId(1);
        for want in [
            HostSetting::HugePages { node, size: PageSize::Huge2M, pages: 77 },
            HostSetting::Governor { name: "performance".into(), cpus: cpus.clone() },
            HostSetting::Irq { number: 41, cpus: cpus.clone() },
        ] {
            for _ in 0..2 {
                h.set(&want).unwrap_or_else(|e| panic!("{want:?}: {e}"));
            }
        }
        let f = h.facts().expect("facts");
        assert_eq!(f.node(node).and_then(|n| n.pages(PageSize::Huge2M)).map(|p| p.total), Some(77));
        assert_eq!(f.governors.iter().find(|g| g.name == "performance").map(|g| &g.cpus), Some(&cpus));
        assert_eq!(f.irqs.iter().find(|i| i.number == 41).map(|i| &i.cpus), Some(&cpus));
        h.set(&HostSetting::Irq { number: 4000, cpus }).expect("an interrupt that went is nobody's");
    }

    #[test]
    fn an_interrupt_that_the_kernel_keeps_is_told_once_and_is_nobodys_to_move_from_then_on() {
        let fake = Fake::of(&edge_server());
        let h = hardware(&fake);
        let numbers = |h: &LinuxHardware| h.facts().expect("facts").irqs.iter().map(|i| i.number).collect::<Vec<_>>();
        let path = "proc/irq/41/smp_affinity_list";
        let cpus: CpuSet = "4000".parse().expect("CPUs");
        fake.put(path, "7");
        let said = |errno: i32| {
            let refuse = |path: &str, _: &str| Err(io_fault("writing", path.into(), io::Error::from_raw_os_error(errno)));
            let e = h.route_irq(41, &cpus, &refuse).expect_err("it stays");
            (e.kind(), e.text().strip_prefix("interrupt 41: to CPUs 4000: ").expect("what").to_owned())
        };
        assert_eq!(numbers(&h), [40, 41, 42, 43]);
        for managed in [EIO, EPERM, EIO] {
            assert_eq!(said(managed), (Kind::Conflict, "the kernel keeps it on 7".into()));
            assert_eq!(numbers(&h), [40, 42, 43]);
        }
        // Any other reason may pass: it is told, and the interrupt stays in later plans.
        for (errno, kind, words) in [
            (ENOSPC, Kind::Capacity, "no interrupt vector is left there; it stays on 7"),
            (nix::libc::EBUSY, Kind::Transient, "it stays on 7: writing proc/irq/41/smp_affinity_list: Device or resource busy"),
            (nix::libc::EACCES, Kind::Transient, "it stays on 7: writing proc/irq/41/smp_affinity_list: Bothy has no permission"),
            (nix::libc::EROFS, Kind::Transient, "it stays on 7: writing proc/irq/41/smp_affinity_list: the file system is read-only"),
        ] {
            let (of, text) = said(errno);
            assert!(of == kind && text.starts_with(words), "{of:?}: {text}");
            assert_eq!(numbers(&h), [40, 41, 42, 43], "{text}");
        }
        let e = h.route_irq(41, &cpus, &|_, _| Ok(())).expect_err("it stays");
        assert_eq!((e.kind(), e.text()), (Kind::Transient, "interrupt 41: to CPUs 4000: the kernel took it, and has it on 7"));
        assert_eq!(numbers(&h), [40, 41, 42, 43]);
        // Another device has the number now.
        said(EIO);
        assert_eq!(numbers(&h), [40, 42, 43]);
        fake.put(path, "5000");
        assert_eq!(numbers(&h), [40, 41, 42, 43]);
        h.set(&HostSetting::Irq { number: 41, cpus: cpus.clone() }).expect("moved");
        assert_eq!(numbers(&h), [40, 41, 42, 43]);
    }

    #[test]
    fn an_interrupt_whose_file_cannot_be_written_is_not_the_kernels_own() {
        let fake = Fake::of(&edge_server());
        let h = hardware(&fake);
        let path = "proc/irq/41/smp_affinity_list";
        fake.remove(path);
        // Read by everybody and written by nobody.
        fake.link(path, "/sys/devices/system/cpu/online");
        let e = h.set(&HostSetting::Irq { number: 41, cpus: "4000".parse().expect("CPUs") }).expect_err("it stays");
        assert!(e.kind() == Kind::Transient && e.text().starts_with("interrupt 41: to CPUs 4000: it stays on "), "{e:?}");
        assert!(h.facts().expect("facts").irqs.iter().any(|i| i.number == 41));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_reason() {
        let mut facts = edge_server();
        let vf = facts.pfs().next().expect("a PF").1.vfs[2].addr;
        let pf: PciAddr = "10:00.0".parse().expect("address");
        for d in &mut facts.devices {
            if d.addr == vf {
                d.driver = Some(DriverName::VFIO);
            }
            if d.addr != vf {
                d.iommu_group = None;
            }
        }
        let fake = Fake::of(&facts);
        let h = hardware(&fake);
        let refused = |done: Result<()>, kind: Kind, words: &str| {
            let e = done.expect_err(words);
            assert!(e.kind() == kind && e.text().contains(words), "{e:?}");
        };
        refused(h.set(&HostSetting::Vfs { pf, count: 4 }), Kind::Conflict, "belongs to a guest; their number stays 8");
        refused(h.set(&HostSetting::Vfs { pf, count: 65 }), Kind::Invalid, "its hardware has 64");
        refused(h.set(&HostSetting::Vfs { pf: vf, count: 1 }), Kind::Invalid, "is not a physical function");
        let pages = HostSetting::HugePages { node: NodeId(7), size: PageSize::Huge1G, pages: 1 };
        refused(h.set(&pages), Kind::NotFound, "neither node nor size");
        fake.put("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", 3);
        refused(h.set(&pages), Kind::NotFound, "neither node nor size");
        assert_eq!(h.tree.read("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages").as_deref(), Some("3"), "the host's own stay");
        refused(h.ensure_driver(pf, Some(&DriverName::VFIO)), Kind::Conflict, "no IOMMU group");
        let mut want = VfSetting { vf, pf, index: 3, conf: VfConf::default(), driver: None };
        refused(h.ensure_vf(&want), Kind::Transient, "the PF has not made it");
        want.vf = "7f:00.0".parse().expect("address");
        h.release_vf(&want).expect("a VF that is gone is released");
        refused(h.set_boot_args(&BootArgs::default()), Kind::Conflict, "[host] grubenv");
        assert_eq!(h.boot_args().expect("read"), None);
    }
}
