//! Trees of boxes that are not here: written from facts, or from a listing taken on a real one.
//!
//! Owns the files the kernel would show. Never: what is expected of them.

use std::{fs, os::unix::fs::symlink};

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

use super::{Tree, pci::DEVICES};
use crate::model::{
    host::{CacheKind, Function, HostFacts, NetPort, PciDevice},
    size::MiB,
};

pub struct Fake {
    dir: TempDir,
}

impl Fake {
    fn empty() -> Fake {
        // Thousands of small files: memory is as good as a disk for them.
        Fake { dir: TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a folder") }
    }
    pub fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.dir.path()).expect("UTF-8")
    }
    pub fn tree(&self) -> Tree {
        Tree::new(self.root())
    }
    pub fn put(&self, path: &str, content: impl ToString) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("folder");
        fs::write(path, content.to_string() + "\n").expect("file");
    }
    /// A link whose target need not be there: only its name is read.
    pub fn link(&self, path: &str, target: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("folder");
        let _ = fs::remove_file(&path);
        symlink(target, path).expect("link");
    }
    pub fn remove(&self, path: &str) {
        let path: Utf8PathBuf = self.root().join(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("removed");
    }

    /// A listing: `PATH: CONTENT`, `PATH -> TARGET` or `PATH/`, one to a line; `\n` in a content is a
    /// new line.
    pub fn listed(text: &str) -> Fake {
        let f = Fake::empty();
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            if let Some((path, target)) = line.split_once(" -> ") {
                f.link(path, target);
            } else if let Some(dir) = line.strip_suffix('/') {
                fs::create_dir_all(f.root().join(dir)).expect("folder");
            } else {
                let (path, content) = line.split_once(": ").unwrap_or_else(|| panic!("{line}"));
                f.put(path, content.replace("\\n", "\n"));
            }
        }
        f
    }

    pub fn of(facts: &HostFacts) -> Fake {
        let f = Fake::empty();
        f.cpus(facts);
        f.memory(facts);
        if facts.iommu {
            f.link("sys/class/iommu/dmar0", "../../devices/virtual/iommu/dmar0");
        }
        if let Some(w) = &facts.watchdog {
            let put = |file: &str, value: &dyn ToString| f.put(&format!("sys/class/watchdog/watchdog0/{file}"), value.to_string());
            put("identity", &w.identity);
            put("timeout", &w.seconds);
            put("state", &if w.runs { "active" } else { "inactive" });
            put("bootstatus", &if w.has_reset { 32 } else { 0 });
        }
        facts.devices.iter().for_each(|d| f.device(d));
        for i in &facts.irqs {
            f.put(&format!("proc/irq/{}/smp_affinity_list", i.number), &i.cpus);
            fs::create_dir_all(f.root().join(format!("proc/irq/{}/handler", i.number))).expect("folder");
        }
        f.put("proc/sys/kernel/osrelease", &facts.kernel.release);
        f.put("proc/cmdline", &facts.kernel.args);
        f
    }

    fn cpus(&self, facts: &HostFacts) {
        const CPUS: &str = "sys/devices/system/cpu";
        self.put(&format!("{CPUS}/online"), facts.cpus());
        self.put(&format!("{CPUS}/isolated"), &facts.isolated);
        // The kernel's way to say "none".
        let nohz = if facts.nohz_full.is_empty() { "(null)".into() } else { facts.nohz_full.to_string() };
        self.put(&format!("{CPUS}/nohz_full"), nohz);
        for core in &facts.cores {
            for cpu in core.threads.iter() {
                let at = |f: &str| format!("{CPUS}/cpu{cpu}/topology/{f}");
                self.put(&at("physical_package_id"), core.socket);
                self.put(&at("core_id"), core.id);
                self.put(&at("core_cpus_list"), &core.threads);
                if let Some(mhz) = facts.mhz {
                    self.put(&format!("{CPUS}/cpu{cpu}/cpufreq/base_frequency"), mhz * 1000);
                }
            }
        }
        for (n, c) in facts.caches.iter().enumerate() {
            for cpu in c.cpus.iter() {
                let at = |f: &str| format!("{CPUS}/cpu{cpu}/cache/index{n}/{f}");
                let kind = match c.kind {
                    CacheKind::Data => "Data",
                    CacheKind::Instruction => "Instruction",
                    CacheKind::Unified => "Unified",
                };
                self.put(&at("level"), c.level);
                self.put(&at("type"), kind);
                self.put(&at("size"), format!("{}K", c.size.0 >> 10));
                self.put(&at("shared_cpu_list"), &c.cpus);
            }
        }
        for g in &facts.governors {
            for cpu in g.cpus.iter() {
                self.put(&format!("{CPUS}/cpu{cpu}/cpufreq/scaling_governor"), &g.name);
                self.put(&format!("{CPUS}/cpu{cpu}/cpufreq/scaling_available_governors"), g.available.join(" "));
            }
        }
    }

    fn memory(&self, facts: &HostFacts) {
        for n in &facts.nodes {
            let at = |f: &str| format!("sys/devices/system/node/node{}/{f}", n.id);
            let kib = |m: MiB| m.0 * 1024;
            self.put(&at("cpulist"), &n.cpus);
            let text = format!("Node {0} MemTotal: {1} kB\nNode {0} MemFree: {2} kB", n.id, kib(n.memory), kib(n.memory_free));
            self.put(&at("meminfo"), text);
            self.put(&at("distance"), n.distances.iter().map(|(_, d)| d.to_string()).collect::<Vec<_>>().join(" "));
            for p in &n.hugepages {
                let pages = |f: &str| at(&format!("hugepages/hugepages-{}kB/{f}", p.size.kib()));
                self.put(&pages("nr_hugepages"), p.total);
                self.put(&pages("free_hugepages"), p.free);
            }
        }
    }

    fn device(&self, d: &PciDevice) {
        let at = |f: &str| format!("{DEVICES}/{}/{f}", d.addr);
        self.put(&at("vendor"), format!("{:#06x}", d.vendor));
        self.put(&at("device"), format!("{:#06x}", d.device));
        self.put(&at("class"), format!("{:#08x}", d.class.0));
        self.put(&at("numa_node"), d.node.map_or("-1".into(), |n| n.to_string()));
        if let Some(driver) = &d.driver {
            self.link(&at("driver"), &format!("../../../bus/pci/drivers/{driver}"));
        }
        if let Some(group) = d.iommu_group {
            self.link(&at("iommu_group"), &format!("../../../kernel/iommu_groups/{group}"));
        }
        for p in &d.ports {
            self.port(p, &at("net"));
        }
        match &d.function {
            Function::Plain => {}
            Function::Vf { pf, .. } => self.link(&at("physfn"), &format!("../{pf}")),
            Function::Pf(pf) => {
                self.put(&at("sriov_totalvfs"), pf.total_vfs);
                self.put(&at("sriov_numvfs"), pf.vfs.len());
                for v in &pf.vfs {
                    self.link(&at(&format!("virtfn{}", v.index)), &format!("../{}", v.addr));
                }
            }
        }
    }

    fn port(&self, p: &NetPort, net: &str) {
        let at = |f: &str| format!("{net}/{}/{f}", p.name);
        self.put(&at("flags"), if p.up { "0x1003" } else { "0x1002" });
        self.put(&at("mtu"), p.mtu);
        if let Some(mac) = p.mac {
            self.put(&at("address"), mac);
        }
        if p.up {
            self.put(&at("carrier"), u8::from(p.carrier));
            self.put(&at("speed"), p.speed.map_or(-1, |s| i64::from(s.0)));
        }
    }
}
