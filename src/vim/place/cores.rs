//! The cores of one node: whether they hold what is laid on them, and who gets which.
//!
//! Counting is enough to search: of a node's cores only three numbers matter, those whole with one
//! thread, those whole with two, and single threads whose sibling is taken. `Load::left` says exactly
//! how many whole cores a load must cost; `deal` then hands out CPUs at that cost, lowest first.

use std::collections::BTreeMap;

use super::{
    ask::CpuWish,
    board::{FreeCore, FreeNode},
};
use crate::model::hw::CpuSet;

/// A node's cores in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stock {
    /// Whole cores of one thread.
    pub solo: usize,
    /// Whole cores of two.
    pub duo: usize,
    /// Threads whose sibling is taken.
    pub half: usize,
}

impl Stock {
    pub fn of(node: &FreeNode) -> Stock {
        let count = |f: &dyn Fn(&FreeCore) -> bool| node.cores.iter().filter(|c| f(c)).count();
        Stock { solo: count(&|c| c.whole && c.cpus.len() == 1), duo: count(&|c| c.whole && c.cpus.len() == 2), half: count(&|c| !c.whole) }
    }
    pub fn whole(self) -> usize {
        self.solo + self.duo
    }
    pub fn threads(self) -> usize {
        self.solo + 2 * self.duo + self.half
    }
}

/// What is laid on a node.
#[derive(Debug, Clone, Default)]
pub(super) struct Load {
    no_siblings: usize,
    cores: usize,
    /// In cores.
    pairs: usize,
    threads: usize,
    /// By guest: two cells of one guest share no core either.
    separate: Vec<(usize, usize)>,
}

/// What a load leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    pub whole: usize,
    pub threads: usize,
}

/// Cores that a wish takes whole, whatever else is on the node.
pub(super) fn whole_cores(wish: CpuWish, n: usize) -> usize {
    match wish {
        CpuWish::Cores | CpuWish::NoSiblings => n,
        CpuWish::Pairs => n.div_ceil(2),
        CpuWish::Floating | CpuWish::Threads | CpuWish::Separate => 0,
    }
}

impl Load {
    pub fn add(&mut self, guest: usize, wish: CpuWish, n: usize) {
        match wish {
            CpuWish::Floating => {}
            CpuWish::Threads => self.threads += n,
            CpuWish::Cores => self.cores += n,
            CpuWish::Pairs => self.pairs += n.div_ceil(2),
            CpuWish::NoSiblings => self.no_siblings += n,
            CpuWish::Separate => match self.separate.iter_mut().find(|(g, _)| *g == guest) {
                Some((_, have)) => *have += n,
                None => self.separate.push((guest, n)),
            },
        }
    }

    /// `None`: it does not fit.
    ///
    /// Whole cores go to those that need them, cores of one thread first, for a core of two can be
    /// shared later. Then the least number of further cores is broken: enough threads for all, and
    /// for each guest that wants its threads apart, enough cores with one to give (Gale and Ryser's
    /// condition, in which capacities of one and two leave only these two inequalities).
    pub fn left(&self, s: Stock) -> Option<Left> {
        let mut solo = s.solo.checked_sub(self.no_siblings)?;
        let on_solo = self.cores.min(solo);
        solo -= on_solo;
        let mut duo = s.duo.checked_sub(self.cores - on_solo + self.pairs)?;
        let most = self.separate.iter().map(|(_, n)| *n).max().unwrap_or(0);
        let total = self.threads + self.separate.iter().map(|(_, n)| n).sum::<usize>();
        let (b2, b1) = broken(solo, duo, s.half, most, total)?;
        duo -= b2;
        solo -= b1;
        let slots = s.half + b1 + 2 * b2;
        Some(Left { whole: solo + duo, threads: solo + 2 * duo + slots - total })
    }
}

/// Cores of two threads and of one that must be broken.
fn broken(solo: usize, duo: usize, half: usize, most: usize, total: usize) -> Option<(usize, usize)> {
    let short = total.saturating_sub(half);
    let mut b2 = duo.min(short.div_ceil(2));
    let mut b1 = short.saturating_sub(2 * b2);
    if b1 > solo {
        return None;
    }
    let wide = most.saturating_sub(half + b1 + b2);
    let more2 = wide.min(duo - b2);
    b2 += more2;
    b1 += wide - more2;
    (b1 <= solo).then_some((b2, b1))
}

/// One cell's (or emulator's) part of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub guest: usize,
    /// `None`: the emulator.
    pub cell: Option<usize>,
    pub wish: CpuWish,
    pub n: usize,
}

/// CPUs in the order of the vCPUs, and siblings that stay idle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dealt {
    pub cpus: Vec<u16>,
    pub idle: CpuSet,
}

/// Hands out a node's CPUs; the answer is in the order of `parts`. `None`: it does not fit.
pub(super) fn deal(node: &FreeNode, parts: &[Part]) -> Option<Vec<Dealt>> {
    let mut out = vec![Dealt::default(); parts.len()];
    let of = |wish: CpuWish| parts.iter().enumerate().filter(move |(_, p)| p.wish == wish);
    let mut solo: Vec<&FreeCore> = node.cores.iter().filter(|c| c.whole && c.cpus.len() == 1).collect();
    let mut duo: Vec<&FreeCore> = node.cores.iter().filter(|c| c.whole && c.cpus.len() == 2).collect();
    solo.reverse();
    duo.reverse();
    for (i, p) in of(CpuWish::NoSiblings) {
        for _ in 0..p.n {
            out[i].cpus.extend(&solo.pop()?.cpus);
        }
    }
    for (i, p) in of(CpuWish::Cores) {
        for _ in 0..p.n {
            let core = solo.pop().or_else(|| duo.pop())?;
            let (first, rest) = core.cpus.split_first()?;
            out[i].cpus.push(*first);
            out[i].idle.extend(rest.iter().copied());
        }
    }
    for (i, p) in of(CpuWish::Pairs) {
        for left in (0..p.n).rev().step_by(2) {
            let core = duo.pop()?;
            let take = if left == 0 { 1 } else { 2 };
            out[i].cpus.extend(&core.cpus[..take]);
            out[i].idle.extend(core.cpus[take..].iter().copied());
        }
    }
    let mut apart: BTreeMap<usize, usize> = BTreeMap::new();
    for (_, p) in of(CpuWish::Separate) {
        *apart.entry(p.guest).or_default() += p.n;
    }
    let total = of(CpuWish::Threads).map(|(_, p)| p.n).sum::<usize>() + apart.values().sum::<usize>();
    let half = node.cores.iter().filter(|c| !c.whole);
    let (b2, b1) = broken(solo.len(), duo.len(), half.clone().count(), apart.values().copied().max().unwrap_or(0), total)?;
    // Cores that are paid for: what is left of them, lowest first.
    let mut paid: Vec<Vec<u16>> = half.map(|c| c.cpus.clone()).collect();
    paid.extend(duo.iter().rev().take(b2).map(|c| c.cpus.clone()));
    paid.extend(solo.iter().rev().take(b1).map(|c| c.cpus.clone()));
    paid.sort_unstable();
    // Each guest that wants its threads apart, the largest first, from the cores that have most to give.
    let mut order: Vec<(usize, usize)> = apart.into_iter().collect();
    order.sort_unstable_by_key(|(guest, n)| (std::cmp::Reverse(*n), *guest));
    for (guest, n) in order {
        let mut by_room: Vec<usize> = (0..paid.len()).filter(|c| !paid[*c].is_empty()).collect();
        by_room.sort_unstable_by_key(|c| (std::cmp::Reverse(paid[*c].len()), *c));
        by_room.truncate(n);
        by_room.sort_unstable();
        if by_room.len() < n {
            return None;
        }
        let mut cpus = by_room.into_iter().map(|c| paid[c].remove(0));
        for (i, p) in of(CpuWish::Separate).filter(|(_, p)| p.guest == guest) {
            out[i].cpus.extend(cpus.by_ref().take(p.n));
        }
    }
    for (i, p) in of(CpuWish::Threads) {
        let mut want = p.n;
        while want > 0 {
            // Siblings where two are wanted, a single thread for the last.
            let fit = |c: &&mut Vec<u16>| if want >= 2 { c.len() == 2 } else { c.len() == 1 };
            let core = match paid.iter_mut().find(fit) {
                Some(c) => c,
                None => paid.iter_mut().find(|c| !c.is_empty())?,
            };
            let take = want.min(core.len());
            out[i].cpus.extend(core.drain(..take));
            want -= take;
        }
    }
    Some(out)
}
