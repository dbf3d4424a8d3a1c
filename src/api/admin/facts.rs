//! The host's hardware as JSON.

use axum::extract::State;
use serde::Serialize;

use crate::{
    api::{
        Ctx, Services,
        problem::Answer,
        respond::{Json, NoQuery},
    },
    model::{
        error::Result,
        host::{self, CacheKind, Function, HostFacts, KernelArgs, NetPort, VfLink},
    },
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    kernel: String,
    kernel_arguments: String,
    wanted_kernel_arguments: String,
    cpus: String,
    sockets: usize,
    smt: bool,
    iommu: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    watchdog: Option<Watchdog>,
    isolated: String,
    nohz_full: String,
    nodes: Vec<Node>,
    cores: Vec<Core>,
    caches: Vec<Cache>,
    governors: Vec<Governor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mhz: Option<u32>,
    devices: Vec<Device>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Watchdog {
    identity: String,
    seconds: u32,
    runs: bool,
    has_reset: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: u16,
    cpus: String,
    memory_mib: u64,
    memory_free_mib: u64,
    hugepages: Vec<Pages>,
    distances: Vec<u16>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pages {
    size_kib: u64,
    total: u64,
    free: u64,
}

#[derive(Serialize)]
struct Core {
    socket: u16,
    node: u16,
    id: u16,
    cpus: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cache {
    level: u8,
    kind: &'static str,
    size_kib: u64,
    cpus: String,
}

#[derive(Serialize)]
struct Governor {
    name: String,
    cpus: String,
    available: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    address: String,
    vendor: String,
    device: String,
    class: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iommu_group: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    interfaces: Vec<Interface>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sriov: Option<Sriov>,
    /// Of a VF: its PF.
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_function: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Interface {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    mtu: u32,
    up: bool,
    carrier: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    speed_mbps: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sriov {
    total: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_network: Option<String>,
    vfs: Vec<Vf>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Vf {
    index: u16,
    address: String,
    /// Absent where the PF's driver does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<VfSettings>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VfSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_state: Option<&'static str>,
    trust: bool,
    spoof_check: bool,
    min_rate_mbps: u32,
    max_rate_mbps: u32,
}

impl Facts {
    /// `wanted`: what the configuration means for the kernel's command line.
    pub fn of(f: &HostFacts, wanted: &KernelArgs) -> Self {
        let mut sockets: Vec<u16> = f.cores.iter().map(|c| c.socket).collect();
        sockets.dedup();
        Facts {
            kernel: f.kernel.release.to_string(),
            kernel_arguments: f.kernel.args.to_string(),
            wanted_kernel_arguments: wanted.to_string(),
            cpus: f.cpus().to_string(),
            sockets: sockets.len(),
            smt: f.has_smt(),
            iommu: f.iommu,
            watchdog: f.watchdog.as_ref().map(|w| Watchdog {
                identity: w.identity.to_string(),
                seconds: w.seconds,
                runs: w.runs,
                has_reset: w.has_reset,
            }),
            isolated: f.isolated.to_string(),
            nohz_full: f.nohz_full.to_string(),
            nodes: f.nodes.iter().map(Node::from).collect(),
            cores: f.cores.iter().map(|c| Core { socket: c.socket, node: c.node.0, id: c.id, cpus: c.threads.to_string() }).collect(),
            caches: f.caches.iter().map(Cache::from).collect(),
            governors: f
                .governors
                .iter()
                .map(|g| Governor {
                    name: g.name.to_string(),
                    cpus: g.cpus.to_string(),
                    available: g.available.iter().map(ToString::to_string).collect(),
                })
                .collect(),
            mhz: f.mhz,
            devices: f.devices.iter().map(Device::from).collect(),
        }
    }
}

impl From<&host::NumaNode> for Node {
    fn from(n: &host::NumaNode) -> Self {
        Node {
            id: n.id.0,
            cpus: n.cpus.to_string(),
            memory_mib: n.memory.0,
            memory_free_mib: n.memory_free.0,
            hugepages: n.hugepages.iter().map(|p| Pages { size_kib: p.size.kib(), total: p.total, free: p.free }).collect(),
            distances: n.distances.iter().map(|(_, d)| *d).collect(),
        }
    }
}

impl From<&host::Cache> for Cache {
    fn from(c: &host::Cache) -> Self {
        let kind = match c.kind {
            CacheKind::Data => "DATA",
            CacheKind::Instruction => "INSTRUCTION",
            CacheKind::Unified => "UNIFIED",
        };
        Cache { level: c.level, kind, size_kib: c.size.0 >> 10, cpus: c.cpus.to_string() }
    }
}

impl From<&host::PciDevice> for Device {
    fn from(d: &host::PciDevice) -> Self {
        let (sriov, physical_function) = match &d.function {
            Function::Plain => (None, None),
            Function::Pf(pf) => (Some(Sriov::from(pf)), None),
            Function::Vf { pf, .. } => (None, Some(pf.to_string())),
        };
        Device {
            address: d.addr.to_string(),
            vendor: format!("{:04x}", d.vendor),
            device: format!("{:04x}", d.device),
            class: format!("{:06x}", d.class.0),
            node: d.node.map(|n| n.0),
            driver: d.driver.as_ref().map(ToString::to_string),
            iommu_group: d.iommu_group,
            user: d.user.as_ref().map(ToString::to_string),
            interfaces: d.ports.iter().map(Interface::from).collect(),
            sriov,
            physical_function,
        }
    }
}

impl From<&host::Pf> for Sriov {
    fn from(pf: &host::Pf) -> Self {
        let settings = |c: &host::VfConf, link: Option<VfLink>| VfSettings {
            mac: c.mac.map(|m| m.to_string()),
            vlan: c.vlan.map(|v| v.get()),
            link_state: link.map(link_state),
            trust: c.trust,
            spoof_check: c.spoof_check,
            min_rate_mbps: c.min_rate.0,
            max_rate_mbps: c.max_rate.0,
        };
        let vf = |v: &host::Vf| Vf { index: v.index, address: v.addr.to_string(), settings: v.conf.as_ref().map(|c| settings(c, v.link)) };
        Sriov { total: pf.total_vfs, physical_network: pf.physical.as_ref().map(ToString::to_string), vfs: pf.vfs.iter().map(vf).collect() }
    }
}

fn link_state(link: VfLink) -> &'static str {
    match link {
        VfLink::Auto => "AUTO",
        VfLink::Up => "UP",
        VfLink::Down => "DOWN",
    }
}

impl From<&NetPort> for Interface {
    fn from(p: &NetPort) -> Self {
        Interface {
            name: p.name.to_string(),
            mac: p.mac.map(|m| m.to_string()),
            mtu: p.mtu,
            up: p.up,
            carrier: p.carrier,
            speed_mbps: p.speed.map(|s| s.0),
        }
    }
}

pub(super) fn look(s: &Services) -> Result<Facts> {
    let facts = s.host.facts()?;
    Ok(Facts::of(&facts, &s.host.wanted_args(&facts)?))
}

pub async fn show(State(s): Ctx, _: NoQuery) -> Answer<Json<Facts>> {
    let services = s.clone();
    Ok(Json(s.pool.run(move || look(&services)).await?))
}
