//! The host as placement sees it, and what of it is free.
//!
//! Owns `Board` (made of the host's facts and its reserve) and `Free` (the board without what guests
//! hold). Never: sysfs, who asks.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::{float, time};
use crate::model::tree::set;
use crate::model::{
    hw::{CpuSet, PageSize, PciAddr},
    place::Held,
    size::MiB,
};

/// A core and its threads (one or two on x86-64), those of the host's reserve among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Core {
    pub cpus: CpuSet,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub id: u16,
    /// By their lowest CPU.
    pub cores: Vec<Core>,
    /// Memory in small pages that guests may have, the reserve taken off.
    pub small: MiB,
    /// Large pages that guests may have, by size, the reserve taken off.
    pub huge: BTreeMap<PageSize, u64>,
}

impl Node {
    pub fn cpus(&self) -> CpuSet {
        self.cores.iter().flat_map(|c| c.cpus.iter()).collect()
    }
}

/// A PCI device: a PF with its VFs, or one that is given away whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    pub address: PciAddr,
    /// Its interface, or its address.
    pub name: SmolStr,
    /// `None`: as near to each node.
    pub node: Option<u16>,
    /// The physical network it is on.
    pub physical: Option<SmolStr>,
    pub vendor: u16,
    pub device: u16,
    /// Link speed; `None`: not known.
    pub mbps: Option<u32>,
    /// VF number and address of those that guests may have, ascending.
    pub vfs: Vec<(u16, PciAddr)>,
    /// It has VFs for guests, or could have; else why not.
    pub shared: Result<(), SmolStr>,
    /// May be given to a guest whole; else why not.
    pub whole: Result<(), SmolStr>,
}

/// All of the host that guests may have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Board {
    /// Ascending ids.
    pub nodes: Vec<Node>,
    /// Ascending addresses.
    pub cards: Vec<Card>,
    /// The host's own: never handed out.
    pub reserved: CpuSet,
    /// CPUs kept free of the scheduler. Where there are any, only these are pinned to, and guests
    /// float over the others only.
    pub isolated: CpuSet,
    /// What each CPU does, MHz; `None`: the host does not tell.
    pub mhz: Option<u32>,
    /// Guests without a place float over all nodes: one CPU at least must be left to them (`float::must_leave`).
    pub roamers: bool,
}

impl Board {
    /// Nothing of this card goes to anybody.
    pub fn close(&mut self, card: PciAddr, why: &SmolStr) {
        for c in self.cards.iter_mut().filter(|c| c.address == card) {
            c.vfs.clear();
            (c.shared, c.whole) = (Err(why.clone()), Err(why.clone()));
        }
    }

    /// Large pages that somebody else has are not there.
    pub fn lose_pages(&mut self, node: u16, size: PageSize, pages: u64) {
        if let Some(left) = self.nodes.iter_mut().find(|n| n.id == node).and_then(|n| n.huge.get_mut(&size)) {
            *left = left.saturating_sub(pages);
        }
    }
}

/// A core with threads to spare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FreeCore {
    /// Ascending; at most two.
    pub cpus: Vec<u16>,
    /// All its threads are free.
    pub whole: bool,
}

#[derive(Debug, Clone)]
pub(super) struct FreeNode {
    pub id: u16,
    /// By their lowest CPU, those with a thread to pin to.
    pub cores: Vec<FreeCore>,
    /// Where guests float now.
    pub float: CpuSet,
    /// Pinning takes from `float`.
    pub common: bool,
    /// A guest floats here: one CPU at least must be left to it.
    pub floats: bool,
    /// Thousandths of a CPU promised to guests that float here.
    pub mcpu: u64,
    pub small: MiB,
    pub huge: BTreeMap<PageSize, u64>,
    pub total: BTreeMap<PageSize, u64>,
    pub cores_total: usize,
}

#[derive(Debug, Clone)]
pub(super) struct FreeCard<'a> {
    pub card: &'a Card,
    /// Ascending.
    pub vfs: Vec<(u16, PciAddr)>,
    /// Functions of it that guests have.
    pub used: usize,
    /// Given whole.
    pub closed: bool,
    /// Bandwidth not promised yet; `None`: the link's speed is not known.
    pub mbps: Option<u32>,
    /// Guests that have functions of it.
    pub holders: BTreeSet<SmolStr>,
}

/// The board without what is held.
#[derive(Debug, Clone)]
pub(super) struct Free<'a> {
    pub nodes: Vec<FreeNode>,
    pub cards: Vec<FreeCard<'a>>,
    pub mhz: Option<u32>,
    pub roamers: bool,
    pub together: BTreeMap<SmolStr, u16>,
    pub apart: BTreeMap<SmolStr, BTreeSet<u16>>,
}

impl<'a> Free<'a> {
    pub fn of(board: &'a Board, held: &[Held]) -> Free<'a> {
        let taken = board.reserved.union(&float::own(held));
        let common = board.isolated.is_empty();
        let nodes = board.nodes.iter().map(|n| free_node(n, board, &taken, common, held)).collect();
        let cards = board.cards.iter().map(|c| free_card(c, held)).collect();
        let mut free = Free { nodes, cards, mhz: board.mhz, roamers: board.roamers, together: BTreeMap::new(), apart: BTreeMap::new() };
        for h in held {
            for c in &h.at.cells {
                for g in &h.at.together {
                    free.together.entry(g.clone()).or_insert(c.node);
                }
                for g in &h.at.apart {
                    free.apart.entry(g.clone()).or_default().insert(c.node);
                }
            }
        }
        free
    }
}

fn free_node(n: &Node, board: &Board, taken: &CpuSet, common: bool, held: &[Held]) -> FreeNode {
    let may_pin = |cpu: &u16| !taken.contains(*cpu) && (common || board.isolated.contains(*cpu));
    let core = |c: &Core| {
        let cpus: Vec<u16> = c.cpus.iter().filter(may_pin).take(2).collect();
        (!cpus.is_empty()).then(|| FreeCore { whole: cpus.len() == c.cpus.len().min(2), cpus })
    };
    let mut small = n.small;
    let mut huge = n.huge.clone();
    let cells = || held.iter().flat_map(|h| h.at.cells.iter().map(move |c| (h.at.page, c)));
    for (page, c) in cells().filter(|(_, c)| c.memory_node == n.id) {
        match page {
            PageSize::Small => small = MiB(small.0.saturating_sub(c.memory.0)),
            PageSize::Huge2M | PageSize::Huge1G => {
                let left = huge.entry(page).or_default();
                *left = left.saturating_sub(page.pages(c.memory));
            }
        }
    }
    FreeNode {
        id: n.id,
        cores: n.cores.iter().filter_map(core).collect(),
        float: float::left(&n.cpus(), taken, &board.isolated),
        common,
        mcpu: held.iter().map(|h| time::on_node(&h.at, n.id)).sum(),
        floats: cells().any(|(_, c)| c.node == n.id && !c.float.is_empty()),
        small,
        huge,
        total: n.huge.clone(),
        cores_total: n.cores.iter().filter(|c| c.cpus.common(&board.reserved).is_empty()).count(),
    }
}

fn free_card<'a>(card: &'a Card, held: &[Held]) -> FreeCard<'a> {
    let mine = || held.iter().flat_map(|h| &h.at.devices).filter(|d| d.card == card.address);
    let gone: BTreeSet<PciAddr> = set(mine().map(|d| d.address));
    let promised: u32 = mine().map(|d| d.mbps).fold(0, u32::saturating_add);
    FreeCard {
        card,
        vfs: card.vfs.iter().copied().filter(|(_, a)| !gone.contains(a)).collect(),
        used: gone.len(),
        closed: mine().any(|d| d.vf.is_none()),
        mbps: card.mbps.map(|m| m.saturating_sub(promised)),
        holders: held.iter().filter(|h| h.at.devices.iter().any(|d| d.card == card.address)).map(|h| h.name.clone()).collect(),
    }
}
