//! A guest's NUMA topology out of what the keys say of it, or why there is none.
//!
//! Nodes are taken in the order of their numbers, whatever those are: OSM counts from 1, OpenStack from 0.

use std::collections::BTreeMap;

use crate::model::{
    epa::{Cell, CoreWish, MemPolicy, NumaWish},
    hw::CpuSet,
    size::MiB,
};

/// What the descriptor says of one node.
#[derive(Debug, Default, Clone)]
pub struct Node {
    pub vcpus: Option<CpuSet>,
    pub memory: Option<MiB>,
    pub cores: Option<CoreWish>,
}

#[derive(Debug, Default)]
pub struct Draft {
    pub count: Option<u32>,
    pub policy: Option<MemPolicy>,
    pub nodes: BTreeMap<u32, Node>,
    /// SOL001's `numa_enabled`: at least the one node.
    pub enabled: bool,
}

/// More nodes than a guest can have, and than any host has.
pub const MOST_NODES: u32 = 8;

impl Draft {
    fn is_empty(&self) -> bool {
        self.count.is_none() && self.policy.is_none() && self.nodes.is_empty() && !self.enabled
    }

    /// The whole topology. `Ok(None)`: nothing was said.
    pub fn settle(&self, vcpus: u32, memory: MiB) -> Result<Option<NumaWish>, String> {
        if self.is_empty() || vcpus == 0 || memory.0 == 0 {
            return Ok(None);
        }
        let said = self.nodes.len() as u32;
        let count = self.count.unwrap_or(said.max(1));
        if count == 0 || count > MOST_NODES {
            return Err(format!("{count} NUMA nodes; a guest can have 1 to {MOST_NODES}"));
        }
        if said > 0 && said != count {
            return Err(format!("node-cnt is {count}, and {said} nodes are described"));
        }
        let nodes: Vec<Node> = if said == 0 { vec![Node::default(); count as usize] } else { self.nodes.values().cloned().collect() };
        let sets = vcpu_sets(&nodes, vcpus)?;
        let sizes = memories(&nodes, memory)?;
        let mut cells = Vec::new();
        for ((node, vcpus), memory) in nodes.into_iter().zip(sets).zip(sizes) {
            if let Some(c) = &node.cores
                && c.vcpus() != vcpus.len() as u32
            {
                return Err(format!("a node with vCPUs {vcpus} is to be made of {} vCPUs", c.vcpus()));
            }
            if let Some(CoreWish::PairedThreads { of, .. }) = &node.cores {
                let paired: Vec<u16> = of.iter().flat_map(|(a, b)| [*a, *b]).collect();
                let set: CpuSet = paired.iter().copied().collect();
                if !of.is_empty() && (set != vcpus || set.len() != paired.len()) {
                    return Err(format!("the paired threads name vCPUs {set}, and the node has {vcpus}"));
                }
            }
            cells.push(Cell { vcpus, memory, cores: node.cores });
        }
        Ok(Some(NumaWish { policy: self.policy.unwrap_or_default(), cells }))
    }
}

/// Which vCPUs are in which node: as said; as many of the others in a row as a node's cores say; what is left, evenly.
fn vcpu_sets(nodes: &[Node], vcpus: u32) -> Result<Vec<CpuSet>, String> {
    let last = u16::try_from(vcpus).map_err(|_| format!("{vcpus} vCPUs are too many"))?;
    let all: CpuSet = (0..last).collect();
    let named = nodes.iter().filter_map(|n| n.vcpus.as_ref()).fold(CpuSet::new(), |all, set| all.union(set));
    let others = || nodes.iter().filter(|n| n.vcpus.is_none());
    let counted: u32 = others().filter_map(|n| n.cores.as_ref()).map(CoreWish::vcpus).sum();
    let silent = others().filter(|n| n.cores.is_none()).count() as u32;
    let free = all.minus(&named);
    let Some(rest) = (free.len() as u32).checked_sub(counted).filter(|rest| *rest == 0 || silent > 0 || counted == 0) else {
        let have = if named.is_empty() { format!("the guest has {vcpus}") } else { format!("vCPUs {free} are left to them") };
        return Err(format!("the nodes' cores and threads are {counted} vCPUs, and {have}"));
    };
    if silent > 0 && !rest.is_multiple_of(silent) {
        return Err(format!("{rest} vCPUs cannot be shared out evenly over {silent} nodes; say the vCPUs of each"));
    }
    let mut free = free.iter();
    let set = |n: &Node| match (&n.vcpus, &n.cores) {
        (Some(set), _) => set.clone(),
        (None, Some(cores)) => free.by_ref().take(cores.vcpus() as usize).collect(),
        (None, None) => free.by_ref().take((rest / silent.max(1)) as usize).collect(),
    };
    let sets: Vec<CpuSet> = nodes.iter().map(set).collect();
    let mut seen = CpuSet::new();
    for set in &sets {
        if set.is_empty() {
            return Err("a NUMA node needs at least one vCPU".into());
        }
        let twice = seen.common(set);
        if !twice.is_empty() {
            return Err(format!("vCPUs {twice} are in two nodes"));
        }
        seen = seen.union(set);
    }
    if seen != all {
        let (absent, beyond) = (all.minus(&seen), seen.minus(&all));
        let what = if absent.is_empty() { format!("there are no vCPUs {beyond}") } else { format!("vCPUs {absent} are in no node") };
        return Err(format!("{what}; the guest has {all}"));
    }
    Ok(sets)
}

/// As said; the nodes that say nothing share what is left evenly.
fn memories(nodes: &[Node], memory: MiB) -> Result<Vec<MiB>, String> {
    let sum = nodes.iter().filter_map(|n| n.memory).fold(MiB(0), MiB::plus);
    let silent = nodes.iter().filter(|n| n.memory.is_none()).count() as u64;
    let Some(rest) = memory.0.checked_sub(sum.0).filter(|rest| *rest == 0 || silent > 0) else {
        return Err(format!("the nodes' memory is {sum}, and the guest has {memory}"));
    };
    if silent > 0 && !rest.is_multiple_of(silent) {
        return Err(format!("{} cannot be shared out evenly over {silent} nodes; say the memory of each", MiB(rest)));
    }
    let all: Vec<MiB> = nodes.iter().map(|n| n.memory.unwrap_or(MiB(rest / silent.max(1)))).collect();
    if all.contains(&MiB(0)) {
        return Err("a NUMA node needs memory".into());
    }
    Ok(all)
}
