//! NUMA nodes with their memory and hugepages.

use super::Tree;
use crate::model::{
    error::{Fault, Result},
    host::{Core, HugePages, NodeId, NumaNode},
    hw::PageSize,
    size::MiB,
};

const NODES: &str = "sys/devices/system/node";

/// A kernel without NUMA shows none; then all is node 0.
pub(super) fn nodes(tree: &Tree, cores: &[Core]) -> Vec<NumaNode> {
    let ids: Vec<NodeId> = tree.numbered(NODES, "node").into_iter().map(NodeId).collect();
    if ids.is_empty() {
        return vec![NumaNode {
            id: NodeId(0),
            cpus: cores.iter().flat_map(|c| c.threads.iter()).collect(),
            memory: meminfo(tree, "proc/meminfo", "MemTotal"),
            memory_free: meminfo(tree, "proc/meminfo", "MemFree"),
            hugepages: hugepages(tree, "sys/kernel/mm/hugepages"),
            distances: Vec::new(),
        }];
    }
    let one = |id: &NodeId| {
        let dir = format!("{NODES}/node{id}");
        let distances = tree.read(format!("{dir}/distance")).unwrap_or_default();
        NumaNode {
            id: *id,
            cpus: tree.cpus(format!("{dir}/cpulist")),
            memory: meminfo(tree, &format!("{dir}/meminfo"), "MemTotal"),
            memory_free: meminfo(tree, &format!("{dir}/meminfo"), "MemFree"),
            hugepages: hugepages(tree, &format!("{dir}/hugepages")),
            distances: ids.iter().copied().zip(distances.split_whitespace().filter_map(|d| d.parse().ok())).collect(),
        }
    };
    ids.iter().map(one).collect()
}

/// What is not set aside as large pages, and what of it programs can still get.
pub fn memory_now(tree: &Tree) -> Result<(MiB, MiB)> {
    let of = |key| meminfo(tree, "proc/meminfo", key);
    let (total, available) = (of("MemTotal"), of("MemAvailable"));
    if total.0 == 0 {
        return Err(Fault::transient("proc/meminfo does not say how much memory there is"));
    }
    Ok((MiB(total.0.saturating_sub(of("Hugetlb").0)), available))
}

/// `MemTotal:  24657224 kB`, of a node with `Node 0 ` before it.
fn meminfo(tree: &Tree, file: &str, key: &str) -> MiB {
    let text = tree.read(file).unwrap_or_default();
    let value = |line: &str| {
        let (_, rest) = line.split_once(key)?;
        rest.strip_prefix(':')?.split_whitespace().next()?.parse::<u64>().ok()
    };
    MiB(text.lines().find_map(value).unwrap_or(0) / 1024)
}

fn hugepages(tree: &Tree, dir: &str) -> Vec<HugePages> {
    let of = |size: PageSize| {
        let at = format!("{dir}/hugepages-{}kB", size.kib());
        Some(HugePages { size, total: tree.parse(format!("{at}/nr_hugepages"))?, free: tree.parse(format!("{at}/free_hugepages"))? })
    };
    PageSize::HUGE.into_iter().filter_map(of).collect()
}
