//! Cores, their threads, caches and governors.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::Tree;
use crate::model::order::Order as _;
use crate::model::{
    host::{Cache, CacheKind, Core, Governor, NodeId},
    hw::CpuSet,
    size::Bytes,
};

const CPUS: &str = "sys/devices/system/cpu";

/// Those online; a kernel without the file has them all online.
fn online(tree: &Tree) -> CpuSet {
    let said = tree.cpus(format!("{CPUS}/online"));
    if said.is_empty() { tree.numbered(CPUS, "cpu").into_iter().collect() } else { said }
}

/// By socket and core. A CPU that does not tell its core is one of its own.
pub(super) fn cores(tree: &Tree) -> Vec<Core> {
    let nodes = node_of_cpu(tree);
    let mut all: BTreeMap<(u16, u16, u16), Core> = BTreeMap::new();
    for cpu in online(tree).iter() {
        let at = |name: &str| format!("{CPUS}/cpu{cpu}/topology/{name}");
        // -1 where the firmware does not say.
        let socket = tree.parse::<u16>(at("physical_package_id")).unwrap_or(0);
        let id = tree.parse::<u16>(at("core_id"));
        // Dies of one socket may each count their cores from 0: siblings tell which are the same.
        let first = tree.some_cpus(at("core_cpus_list")).or_else(|| tree.some_cpus(at("thread_siblings_list")));
        let first = first.and_then(|s| s.first()).unwrap_or(cpu);
        let node = nodes.get(&cpu).copied().unwrap_or(NodeId(0));
        let core = Core { socket, node, id: id.unwrap_or(cpu), threads: CpuSet::new() };
        all.entry((socket, core.id, first)).or_insert(core).threads.insert(cpu);
    }
    let mut all: Vec<Core> = all.into_values().collect();
    all.order_by_key(|c| (c.socket, c.node, c.threads.first()));
    all
}

fn node_of_cpu(tree: &Tree) -> BTreeMap<u16, NodeId> {
    let of = |n: u16| tree.cpus(format!("sys/devices/system/node/node{n}/cpulist")).iter().map(move |c| (c, NodeId(n))).collect::<Vec<_>>();
    crate::model::tree::tree(tree.numbered("sys/devices/system/node", "node").into_iter().flat_map(of))
}

/// Each instance once, though every CPU behind it shows it.
pub(super) fn caches(tree: &Tree) -> Vec<Cache> {
    let mut all = BTreeMap::new();
    for cpu in online(tree).iter() {
        let dir = format!("{CPUS}/cpu{cpu}/cache");
        for index in tree.numbered(&dir, "index") {
            if let Some(c) = cache(tree, &format!("{dir}/index{index}"), cpu) {
                all.insert((c.level, c.kind, c.cpus.first()), c);
            }
        }
    }
    all.into_values().collect()
}

fn cache(tree: &Tree, dir: &str, cpu: u16) -> Option<Cache> {
    let kind = match tree.read(format!("{dir}/type"))?.as_str() {
        "Data" => CacheKind::Data,
        "Instruction" => CacheKind::Instruction,
        _ => CacheKind::Unified,
    };
    let size = tree.read(format!("{dir}/size"))?;
    let kib: u64 = size.strip_suffix('K').unwrap_or(&size).parse().ok()?;
    let cpus = tree.some_cpus(format!("{dir}/shared_cpu_list")).unwrap_or_else(|| [cpu].into_iter().collect());
    Some(Cache { level: tree.parse(format!("{dir}/level"))?, kind, size: Bytes(kib << 10), cpus })
}

/// None where the host's firmware or hypervisor keeps the frequency.
pub(super) fn governors(tree: &Tree) -> Vec<Governor> {
    let mut all: BTreeMap<SmolStr, Governor> = BTreeMap::new();
    for cpu in online(tree).iter() {
        let dir = format!("{CPUS}/cpu{cpu}/cpufreq");
        let Some(name) = tree.read(format!("{dir}/scaling_governor")).map(SmolStr::from) else { continue };
        let offered = || tree.read(format!("{dir}/scaling_available_governors")).unwrap_or_default();
        let new =
            || Governor { name: name.clone(), cpus: CpuSet::new(), available: offered().split_whitespace().map(Into::into).collect() };
        all.entry(name.clone()).or_insert_with(new).cpus.insert(cpu);
    }
    let mut all: Vec<Governor> = all.into_values().collect();
    all.order_by_key(|g| g.cpus.first());
    all
}

/// The slowest's, so that what is promised by it holds on each. What a driver calls its base or nominal clock comes
/// before its highest, which may be one of boost; where no driver has the clock (guests of a hypervisor) procfs
/// tells it.
pub(super) fn mhz(tree: &Tree) -> Option<u32> {
    let one = |cpu: u16| {
        let dir = format!("{CPUS}/cpu{cpu}");
        let khz = |file: &str| tree.parse::<u32>(format!("{dir}/cpufreq/{file}")).map(|khz| khz / 1000);
        let nominal = || tree.parse::<u32>(format!("{dir}/acpi_cppc/nominal_freq"));
        khz("base_frequency").or_else(nominal).filter(|m| *m > 0).or_else(|| khz("cpuinfo_max_freq")).filter(|m| *m > 0)
    };
    let told: Option<Vec<u32>> = online(tree).iter().map(one).collect();
    told.and_then(|all| all.into_iter().min()).or_else(|| {
        let text = tree.read("proc/cpuinfo")?;
        let lines = text.lines().filter_map(|l| l.strip_prefix("cpu MHz")?.split_once(':')?.1.trim().parse::<f64>().ok());
        lines.map(|m| m as u32).filter(|m| *m > 0).min()
    })
}
