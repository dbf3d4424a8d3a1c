//! Who holds what of the hardware: cores, pages, VFs by NUMA node; and what is not as it was given.

use axum::extract::State;
use serde::Serialize;

use crate::{
    api::{
        Ctx,
        problem::Answer,
        respond::{Json, NoQuery},
    },
    model::{error::Result, id::VnfcId},
    vim::place::usage::{CardUsage, CpuUse, NodeUsage, PageUsage, TimeUsage},
    vnfm::Vnfm,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    nodes: Vec<Node>,
    cards: Vec<Card>,
    drift: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: u16,
    /// CPUs in the kernel's list format.
    free_cpus: String,
    host_cpus: String,
    isolated_cpus: String,
    /// Where guests float.
    floating_cpus: String,
    whole_cores_free: usize,
    cpus: Vec<Cpu>,
    cpu_time: Time,
    pages: Vec<Pages>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Time {
    milli_cpus: u64,
    promised_milli_cpus: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mhz: Option<u32>,
    holders: Vec<Promise>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Promise {
    #[serde(flatten)]
    holder: Holder,
    milli_cpus: u64,
}

/// A CPU that is not free.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cpu {
    cpu: u16,
    siblings: Vec<u16>,
    #[serde(rename = "use")]
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vcpu: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<Holder>,
}

#[derive(Serialize)]
struct Holder {
    id: String,
    name: String,
}

#[derive(Serialize)]
struct Pages {
    #[serde(rename = "sizeKib")]
    size_kib: u64,
    total: u64,
    reserved: u64,
    held: u64,
    holders: Vec<Share>,
}

#[derive(Serialize)]
struct Share {
    #[serde(flatten)]
    holder: Holder,
    pages: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Card {
    address: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_network: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mbps: Option<u32>,
    promised_mbps: u32,
    vfs: usize,
    given: Vec<Function>,
}

#[derive(Serialize)]
struct Function {
    address: String,
    /// Number of the VF; absent: the whole device.
    #[serde(skip_serializing_if = "Option::is_none")]
    vf: Option<u16>,
    holder: Holder,
}

fn holder(id: VnfcId, name: &str) -> Holder {
    Holder { id: id.to_string(), name: name.into() }
}

fn node(n: NodeUsage) -> Node {
    let all = || n.cores.iter().flat_map(|c| &c.cpus);
    let list =
        |want: fn(&CpuUse) -> bool| all().filter(|(_, u)| want(u)).map(|(c, _)| *c).collect::<crate::model::hw::CpuSet>().to_string();
    let mut cpus = Vec::new();
    for core in &n.cores {
        for (cpu, u) in &core.cpus {
            let (what, vcpu, holder) = match u {
                CpuUse::Free => continue,
                CpuUse::Host => ("HOST", None, None),
                CpuUse::Vcpu { guest, name, vcpu } => ("VCPU", Some(*vcpu), Some(holder(*guest, name))),
                CpuUse::Idle { guest, name } => ("IDLE", None, Some(holder(*guest, name))),
                CpuUse::Emulator { guest, name } => ("EMULATOR", None, Some(holder(*guest, name))),
            };
            let siblings = core.cpus.iter().map(|(c, _)| *c).filter(|c| c != cpu).collect();
            cpus.push(Cpu { cpu: *cpu, siblings, what, vcpu, holder });
        }
    }
    Node {
        id: n.node,
        free_cpus: list(|u| *u == CpuUse::Free),
        host_cpus: list(|u| *u == CpuUse::Host),
        isolated_cpus: n.isolated.to_string(),
        floating_cpus: n.float.to_string(),
        whole_cores_free: n.cores.iter().filter(|c| c.cpus.iter().all(|(_, u)| *u == CpuUse::Free)).count(),
        cpus,
        cpu_time: time(n.time),
        pages: n.pages.into_iter().map(pages).collect(),
    }
}

fn time(t: TimeUsage) -> Time {
    let holders = t.holders.into_iter().map(|(id, name, n)| Promise { holder: holder(id, &name), milli_cpus: n });
    Time { milli_cpus: t.mcpu, promised_milli_cpus: t.promised, mhz: t.mhz, holders: holders.collect() }
}

/// Small pages are counted in pages, too.
fn pages(p: PageUsage) -> Pages {
    let each = if p.size.is_huge() { 1 } else { 256 };
    Pages {
        size_kib: p.size.kib(),
        total: p.total * each,
        reserved: p.reserved * each,
        held: p.held * each,
        holders: p.holders.into_iter().map(|(id, name, n)| Share { holder: holder(id, &name), pages: n * each }).collect(),
    }
}

fn card(c: CardUsage) -> Card {
    let function = |(address, vf, id, name): (crate::model::hw::PciAddr, Option<u16>, VnfcId, smol_str::SmolStr)| Function {
        address: address.to_string(),
        vf,
        holder: holder(id, &name),
    };
    Card {
        address: c.address.to_string(),
        name: c.name.to_string(),
        node: c.node,
        physical_network: c.physical.map(|p| p.to_string()),
        mbps: c.mbps,
        promised_mbps: c.promised_mbps,
        vfs: c.vfs,
        given: c.given.into_iter().map(function).collect(),
    }
}

pub(super) fn look(vnfm: &Vnfm) -> Result<Usage> {
    let (usage, drift) = vnfm.usage()?;
    Ok(Usage { nodes: usage.nodes.into_iter().map(node).collect(), cards: usage.cards.into_iter().map(card).collect(), drift })
}

pub async fn show(State(s): Ctx, _: NoQuery) -> Answer<Json<Usage>> {
    Ok(Json(s.domain(|n| look(n.vnfm())).await?))
}
