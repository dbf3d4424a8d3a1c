//! Boxes in words: how many sockets, nodes, cores, threads, pages and NICs.
//!
//! Owns the shape of `HostFacts` for boxes that are not here. Never: reads one that is.

use smol_str::SmolStr;

use crate::model::{
    host::{
        Cache, CacheKind, Core, DriverName, Function, Governor, HostFacts, HugePages, Irq, Kernel, KernelArgs, Mbps, NetPort, NodeId,
        NumaNode, PciClass, PciDevice, Pf, Vf, VfConf, VfLink,
    },
    hw::{CpuSet, PageSize, PciAddr},
    id::IfName,
    net::MacAddr,
    size::{Bytes, MiB},
};

/// Its numbers; one NUMA node to a socket.
#[derive(Debug, Clone)]
pub struct Machine {
    pub sockets: u16,
    pub cores_per_socket: u16,
    /// 1, or 2 with SMT. CPUs are numbered as on most servers: all first threads, then all second.
    pub threads: u16,
    /// Of each node.
    pub memory: MiB,
    /// Of each node: size, total; all of them free.
    pub hugepages: Vec<(PageSize, u64)>,
    pub isolated: CpuSet,
    pub iommu: bool,
    pub nics: Vec<Nic>,
    pub args: String,
}

/// A port of a NIC: one PF.
#[derive(Debug, Clone)]
pub struct Nic {
    pub model: Model,
    pub node: NodeId,
    pub name: &'static str,
    pub physical: Option<&'static str>,
    pub total_vfs: u16,
    pub vfs: u16,
    pub speed: Mbps,
}

/// NICs by what their driver calls itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Intel 82576, which QEMU emulates.
    Igb,
    /// Intel X710.
    X710,
    /// Intel E810.
    E810,
    /// NVIDIA ConnectX-6 Dx: its VFs have the PF's driver.
    ConnectX,
}

impl Model {
    /// Vendor, device of the PF and of its VFs, their drivers.
    fn ids(self) -> (u16, u16, u16, DriverName, DriverName) {
        let driver = |s: &'static str| DriverName::try_from(SmolStr::new_static(s)).unwrap_or(DriverName::VFIO);
        match self {
            Model::Igb => (0x8086, 0x10c9, 0x10ca, driver("igb"), driver("igbvf")),
            Model::X710 => (0x8086, 0x1572, 0x154c, driver("i40e"), driver("iavf")),
            Model::E810 => (0x8086, 0x1592, 0x1889, driver("ice"), driver("iavf")),
            Model::ConnectX => (0x15b3, 0x101d, 0x101e, driver("mlx5_core"), driver("mlx5_core")),
        }
    }
    fn of(device: &PciDevice) -> Option<Model> {
        [Model::Igb, Model::X710, Model::E810, Model::ConnectX]
            .into_iter()
            .find(|m| (m.ids().0, m.ids().1) == (device.vendor, device.device))
    }
}

/// Two sockets of 16 cores with SMT, 64 GiB and pages of both sizes on each, a NIC with 8 VFs on
/// each: `wan` on node 0, `lan` on node 1.
pub fn edge_server() -> HostFacts {
    let nic = |node, name, physical| Nic {
        model: Model::E810,
        node: NodeId(node),
        name,
        physical: Some(physical),
        total_vfs: 64,
        vfs: 8,
        speed: Mbps(25_000),
    };
    let m = Machine { nics: vec![nic(0, "ens1f0", "wan"), nic(1, "ens2f0", "lan")], ..Machine::default() };
    m.facts()
}

impl Default for Machine {
    fn default() -> Self {
        Machine {
            sockets: 2,
            cores_per_socket: 16,
            threads: 2,
            memory: MiB(64 << 10),
            hugepages: vec![(PageSize::Huge2M, 8192), (PageSize::Huge1G, 16)],
            isolated: CpuSet::new(),
            iommu: true,
            nics: Vec::new(),
            args: "ro quiet intel_iommu=on iommu=pt".into(),
        }
    }
}

impl Machine {
    pub fn facts(&self) -> HostFacts {
        let cores: Vec<Core> =
            (0..self.sockets).flat_map(|s| (0..self.cores_per_socket).map(move |c| (s, c))).map(|(s, c)| self.core(s, c)).collect();
        let cpus: CpuSet = cores.iter().flat_map(|c| c.threads.iter()).collect();
        let governor = |name: &str, cpus| Governor { name: name.into(), cpus, available: vec!["performance".into(), "powersave".into()] };
        HostFacts {
            nodes: (0..self.sockets).map(|s| self.node(s, &cores)).collect(),
            caches: self.caches(&cores),
            isolated: self.isolated.clone(),
            nohz_full: CpuSet::new(),
            governors: vec![governor("powersave", cpus.clone())],
            mhz: Some(2000),
            irqs: (0..4).map(|n| Irq { number: 40 + n, cpus: cpus.clone() }).collect(),
            devices: self.devices(),
            iommu: self.iommu,
            watchdog: None,
            kernel: Kernel { release: "6.12.0-simulated".into(), args: KernelArgs::parse(&self.args) },
            cores,
        }
    }

    fn core(&self, socket: u16, core: u16) -> Core {
        let first = socket * self.cores_per_socket + core;
        let all = self.sockets * self.cores_per_socket;
        Core { socket, node: NodeId(socket), id: core, threads: (0..self.threads).map(|t| t * all + first).collect() }
    }

    fn node(&self, socket: u16, cores: &[Core]) -> NumaNode {
        let held: u64 = self.hugepages.iter().map(|(size, n)| size.kib() * n / 1024).sum();
        NumaNode {
            id: NodeId(socket),
            cpus: cores.iter().filter(|c| c.socket == socket).flat_map(|c| c.threads.iter()).collect(),
            memory: self.memory,
            memory_free: MiB(self.memory.0.saturating_sub(held + 2048)),
            hugepages: self.hugepages.iter().map(|(size, n)| HugePages { size: *size, total: *n, free: *n }).collect(),
            distances: (0..self.sockets).map(|s| (NodeId(s), if s == socket { 10 } else { 21 })).collect(),
        }
    }

    fn caches(&self, cores: &[Core]) -> Vec<Cache> {
        let of = |level, kind, kib: u64, cpus: CpuSet| Cache { level, kind, size: Bytes(kib << 10), cpus };
        let mut all = Vec::new();
        for c in cores {
            all.push(of(1, CacheKind::Data, 48, c.threads.clone()));
            all.push(of(1, CacheKind::Instruction, 32, c.threads.clone()));
            all.push(of(2, CacheKind::Unified, 2048, c.threads.clone()));
        }
        for s in 0..self.sockets {
            all.push(of(3, CacheKind::Unified, 36 << 10, cores.iter().filter(|c| c.socket == s).flat_map(|c| c.threads.iter()).collect()));
        }
        all.sort_unstable_by_key(|c| (c.level, c.kind, c.cpus.first()));
        all
    }

    fn devices(&self) -> Vec<PciDevice> {
        let mut all = Vec::new();
        for (n, nic) in self.nics.iter().enumerate() {
            let (vendor, device, _, driver, _) = nic.model.ids();
            let Ok(addr) = PciAddr::new(0, 0x10 + 0x10 * n as u8, 0, 0) else { continue };
            let port = nic.name.parse::<IfName>().ok().map(|name| NetPort {
                name,
                mac: Some(MacAddr::planned(0xf0_0000 + n as u32)),
                mtu: 1500,
                up: true,
                carrier: true,
                speed: Some(nic.speed),
                used: None,
            });
            let mut pf = PciDevice {
                addr,
                vendor,
                device,
                class: PciClass(0x02_0000),
                node: Some(nic.node),
                driver: Some(driver),
                iommu_group: self.iommu.then_some(20 + 100 * n as u32),
                user: None,
                ports: port.into_iter().collect(),
                function: Function::Plain,
            };
            let made = vfs(&pf, nic.vfs);
            pf.function = Function::Pf(Pf {
                total_vfs: nic.total_vfs,
                physical: nic.physical.map(SmolStr::new_static),
                vfs: (0..)
                    .zip(&made)
                    .map(|(index, d)| Vf { index, addr: d.addr, conf: Some(fresh_vf()), link: Some(VfLink::Auto) })
                    .collect(),
            });
            all.push(pf);
            all.extend(made);
        }
        all.sort_unstable_by_key(|d| d.addr);
        all
    }
}

/// A VF as its PF makes it.
pub(super) fn fresh_vf() -> VfConf {
    VfConf { spoof_check: true, ..VfConf::default() }
}

/// The first `count` VFs of a PF, 16 functions after it as most NICs have them.
pub(super) fn vfs(pf: &PciDevice, count: u16) -> Vec<PciDevice> {
    let (device, driver) = Model::of(pf).map_or((pf.device, pf.driver.clone()), |m| (m.ids().2, Some(m.ids().4)));
    let one = |index: u16| {
        let at = 16 + index;
        let bus = pf.addr.bus() + (at >> 8) as u8;
        Some(PciDevice {
            addr: PciAddr::new(pf.addr.domain(), bus, (at >> 3) as u8 & 31, at as u8 & 7).ok()?,
            device,
            driver: driver.clone(),
            iommu_group: pf.iommu_group.map(|g| g + 1 + u32::from(index)),
            ports: Vec::new(),
            function: Function::Vf { pf: pf.addr, index },
            ..pf.clone()
        })
    };
    (0..count).filter_map(one).collect()
}
