//! Where guests float: over the CPUs that are neither the host's reserve nor a guest's own. Pure.
//!
//! ```text
//! no place          over all of these, on any node
//! a place           over those of the nodes its cells are on, where any are left; else as without one
//! CPUs of its own   its vCPUs stay on them; the threads of QEMU's that have none of their own are on those of its
//!                   first node, or on its vCPUs' where none are left there
//! ```
//! Placement leaves at least one to guests that float. Where a store or a configuration from before has none left,
//! they are on the host's reserve rather than on CPUs that are promised to somebody. Never: who is told so
//! (`vnfm::float`), or how.

use std::collections::BTreeMap;

use super::board::{Board, Node};
use crate::model::order::Order as _;
use crate::model::tree::tree;
use crate::model::{
    error::{Fault, Result},
    hw::CpuSet,
    place::{Held, Pins, PlacedCell, Placement},
};

/// The CPUs that guests float over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Float {
    nodes: BTreeMap<u16, CpuSet>,
    anywhere: CpuSet,
}

/// What of these CPUs is left: `taken` are the host's and guests' own. The scheduler does not spread threads over
/// isolated ones.
pub(super) fn left(of: &CpuSet, taken: &CpuSet, isolated: &CpuSet) -> CpuSet {
    of.minus(taken).minus(isolated)
}

/// CPUs that guests have for themselves.
pub(super) fn own(held: &[Held]) -> CpuSet {
    held.iter().fold(CpuSet::new(), |all, h| all.union(&h.at.held_cpus()))
}

impl Float {
    pub fn of(board: &Board, held: &[Held]) -> Float {
        let own = own(held);
        let taken = board.reserved.union(&own);
        let nodes: BTreeMap<u16, CpuSet> = tree(board.nodes.iter().map(|n| (n.id, left(&n.cpus(), &taken, &board.isolated))));
        let online = board.nodes.iter().fold(CpuSet::new(), |all, n| all.union(&n.cpus()));
        let last_resorts = [left(&online, &taken, &board.isolated), left(&online, &own, &board.isolated)];
        let anywhere = last_resorts.into_iter().find(|cpus| !cpus.is_empty()).unwrap_or(online);
        Float { nodes, anywhere }
    }

    /// For guests that are on no node in particular.
    pub fn anywhere(&self) -> &CpuSet {
        &self.anywhere
    }

    /// For those that are on this one.
    fn on(&self, node: u16) -> &CpuSet {
        self.left_on(node).unwrap_or(&self.anywhere)
    }

    fn left_on(&self, node: u16) -> Option<&CpuSet> {
        self.nodes.get(&node).filter(|cpus| !cpus.is_empty())
    }

    /// Of a guest without a place.
    pub fn pins_anywhere(&self, vcpus: u32) -> Pins {
        Pins { vcpus: vec![self.anywhere.clone(); vcpus as usize], emulator: self.anywhere.clone() }
    }

    /// Of a guest with one.
    pub fn pins_of(&self, at: &Placement) -> Pins {
        let most = at.cells.iter().flat_map(|c| c.vcpus.iter()).max().map_or(0, |v| usize::from(v) + 1);
        let mut vcpus = vec![CpuSet::new(); most];
        for c in &at.cells {
            for v in c.vcpus.iter() {
                vcpus[usize::from(v)] = match c.pins.iter().find(|(pinned, _)| *pinned == v) {
                    Some((_, cpu)) => CpuSet::from_iter([*cpu]),
                    None => self.on(c.node).clone(),
                };
            }
        }
        let emulator = if at.emulator_alone {
            at.emulator.clone()
        } else {
            let beside = at.cells.first().filter(|_| at.is_pinned()).and_then(|c: &PlacedCell| self.left_on(c.node)).cloned();
            beside.unwrap_or_else(|| vcpus.iter().fold(CpuSet::new(), |all, c| all.union(c)))
        };
        Pins { vcpus, emulator }
    }
}

/// Whether placement has to leave a CPU to guests without a place. Those that are there lose none to vCPUs that are
/// pinned to isolated CPUs.
pub fn must_leave(board: &Board, there: bool, asked: bool) -> bool {
    asked || (there && board.isolated.is_empty())
}

/// A guest without a place has CPUs to float over; else who has those of each node.
pub fn check(board: &Board, held: &[Held]) -> Result<()> {
    let taken = board.reserved.union(&own(held));
    if board.nodes.is_empty() || board.nodes.iter().any(|n| !left(&n.cpus(), &taken, &board.isolated).is_empty()) {
        return Ok(());
    }
    let reasons = board.nodes.iter().map(|n| format!("node {}: {}", n.id, who_has(n, board, held)));
    Err(Fault::capacity("this host has no CPU left for guests that float").with_reasons(reasons))
}

fn who_has(n: &Node, board: &Board, held: &[Held]) -> String {
    let all = n.cpus();
    let isolated = all.common(&board.isolated).minus(&board.reserved).minus(&own(held));
    let mut parts = vec![
        (all.common(&board.reserved), "are the host's (fewer in [reserve] cpus would do)".to_owned()),
        (isolated, "are isolated, for pinned vCPUs only (fewer in [host] isolate would do)".to_owned()),
    ];
    parts.extend(held.iter().map(|h| (all.common(&h.at.held_cpus()), format!("are held by {} (its end would do)", h.name))));
    parts.retain(|(cpus, _)| !cpus.is_empty());
    parts.order_by_key(|(cpus, _)| cpus.first());
    let texts: Vec<String> = parts.iter().map(|(cpus, who)| format!("{cpus} {who}")).collect();
    if texts.is_empty() { "it has no CPUs".into() } else { format!("CPUs {}", texts.join("; ")) }
}
