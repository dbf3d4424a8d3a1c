//! The best of all places: branch and bound over the nodes of cells, cards at the leaves.
//!
//! A branch is given up when the cells that must be away and the whole cores that can still be left
//! are no better than the best found, ids included: what remains is exact. Of guests that cannot be
//! told apart one order is looked at. The budget counts branches; when it ends, the best found is
//! taken and said to be not proven. Never: why something does not fit.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Cost, Placed,
    ask::{CellAsk, CpuWish, GuestAsk},
    board::Free,
    cards::{Room, Wanted, assign},
    cores::{Dealt, Left, Load, Part, Stock, deal, whole_cores},
    time,
};
use crate::model::{
    hw::{CpuSet, PageSize},
    place::{PlacedCell, PlacedDevice, Placement},
};

pub(super) enum Found {
    Best(Box<Placed>),
    /// `proven`: there is none; else none was found within the budget.
    None {
        proven: bool,
    },
}

/// Where a cell is: rank of its page size among the wished, node of its CPUs, node of its memory
/// (both by their place on the board). Ordered as ids are compared.
type Seat = (usize, usize, usize);

struct Cell<'a> {
    guest: usize,
    /// Number in its guest.
    index: usize,
    ask: &'a CellAsk,
    of: &'a GuestAsk,
    /// Same number in the guest before, when that cannot be told from this one.
    twin: Option<usize>,
}

#[derive(Clone)]
struct NodeState {
    stock: Stock,
    load: Load,
    left: Left,
    small: u64,
    huge: BTreeMap<PageSize, u64>,
    floats: bool,
    /// Thousandths of a CPU promised to those that float on it.
    mcpu: u64,
}

/// A sum that every node together must hold: cheap to ask, and ends most searches in vain early.
#[derive(Clone, Copy, Default)]
struct Rest {
    threads: usize,
    /// MiB, and pages by size; of guests that may have one page size only.
    small: u64,
    huge: [u64; 2],
}

/// Nodes on which a device is near some card that can give it now, and whether it must be near.
struct Picky {
    near: Vec<bool>,
    must: bool,
}

struct Best {
    cost: Cost,
    seats: Vec<Seat>,
    cards: Vec<usize>,
}

struct Search<'s> {
    free: &'s Free<'s>,
    asks: &'s [GuestAsk],
    cells: Vec<Cell<'s>>,
    pages: Vec<Vec<PageSize>>,
    rooms: Vec<Room<'s>>,
    /// By guest: its devices that are not near everywhere.
    picky: Vec<Vec<Picky>>,
    /// Cells from here on that are away at least, and whole cores they take at least.
    away_from: Vec<u32>,
    whole_from: Vec<usize>,
    /// What cells from here on take in all, at the least.
    rest: Vec<Rest>,
    /// Thousandths of a CPU to be promised, by guest.
    mcpu: Vec<u32>,
    nodes: Vec<NodeState>,
    seats: Vec<Seat>,
    /// Cells away from their memory.
    away: Vec<bool>,
    /// Cells that a device far from all of its guest's sends away besides: with the guest's last cell.
    sent: Vec<u32>,
    best: Option<Best>,
    left: u32,
}

pub(super) fn best(free: &Free<'_>, asks: &[GuestAsk], budget: u32) -> Found {
    let mut s = Search::new(free, asks, budget);
    if !s.devices_fit_anywhere() {
        return Found::None { proven: s.left > 0 };
    }
    s.go();
    let proven = s.left > 0;
    let looked_at = budget - s.left;
    match s.best.take() {
        None => Found::None { proven },
        Some(b) => match s.settle(&b) {
            Some(guests) => Found::Best(Box::new(Placed { guests, cost: b.cost, looked_at, proven })),
            None => Found::None { proven: false },
        },
    }
}

/// The emulator's own CPU, beside those of the guest's first node, is of the kind that keeps the promise made there.
pub(super) fn emulator_wish(wish: CpuWish) -> CpuWish {
    match wish {
        CpuWish::Cores => CpuWish::Cores,
        CpuWish::NoSiblings => CpuWish::NoSiblings,
        CpuWish::Floating | CpuWish::Threads | CpuWish::Separate | CpuWish::Pairs => CpuWish::Threads,
    }
}

/// Two guests that differ by name only.
fn twins(a: &GuestAsk, b: &GuestAsk) -> bool {
    let mut named = a.clone();
    named.name.clone_from(&b.name);
    named == *b
}

impl<'s> Search<'s> {
    fn new(free: &'s Free<'s>, asks: &'s [GuestAsk], budget: u32) -> Search<'s> {
        let mut cells = Vec::new();
        for (guest, of) in asks.iter().enumerate() {
            let twin = guest > 0 && twins(&asks[guest - 1], of);
            for (index, ask) in of.cells.iter().enumerate() {
                let twin = twin.then(|| cells.len() - of.cells.len());
                cells.push(Cell { guest, index, ask, of, twin });
            }
        }
        let nodes: Vec<NodeState> = free
            .nodes
            .iter()
            .map(|n| {
                let stock = Stock::of(n);
                NodeState {
                    stock,
                    load: Load::default(),
                    left: Left { whole: stock.whole(), threads: stock.threads() },
                    small: n.small.0,
                    huge: n.huge.clone(),
                    floats: n.floats,
                    mcpu: n.mcpu,
                }
            })
            .collect();
        let rooms: Vec<Room<'_>> = free.cards.iter().map(Room::of).collect();
        let pages = asks.iter().map(|a| a.pages.options(&a.cells)).collect();
        // What can never be promised was refused before.
        let mcpu = asks.iter().map(|a| time::promised(a, free.mhz).unwrap_or_default()).collect();
        let (away, sent) = (vec![false; cells.len()], vec![0; cells.len()]);
        let mut s = Search {
            free,
            asks,
            cells,
            pages,
            rooms,
            picky: Vec::new(),
            away_from: Vec::new(),
            whole_from: Vec::new(),
            rest: Vec::new(),
            mcpu,
            nodes,
            seats: Vec::new(),
            away,
            sent,
            best: None,
            left: budget,
        };
        s.bounds();
        s
    }

    fn bounds(&mut self) {
        for a in self.asks {
            let picky = |d: &super::ask::DeviceAsk| {
                let near = |node: u16| self.rooms.iter().any(|r| r.is_kind(&d.kind) && r.is_near(node) && r.refuses(d).is_none());
                Picky { near: self.free.nodes.iter().map(|n| near(n.id)).collect(), must: d.near }
            };
            self.picky.push(a.devices.iter().map(picky).filter(|p| !p.near.iter().all(|near| *near)).collect());
        }
        let n = self.cells.len();
        self.away_from = vec![0; n + 1];
        self.whole_from = vec![0; n + 1];
        self.rest = vec![Rest::default(); n + 1];
        for k in (0..n).rev() {
            let c = &self.cells[k];
            // At its best alone: the first page size that it may have anywhere is not looked into.
            let at_least = u32::from(self.picky[c.guest].iter().any(|p| !p.near.contains(&true)));
            let whole = whole_cores(c.ask.cpus, c.ask.vcpus.len());
            self.away_from[k] = self.away_from[k + 1] + at_least;
            self.whole_from[k] = self.whole_from[k + 1] + whole;
            let mut rest = self.rest[k + 1];
            if c.ask.cpus != CpuWish::Floating {
                rest.threads += c.ask.vcpus.len();
            }
            if let [page] = self.pages[c.guest][..] {
                match page {
                    PageSize::Small => rest.small += c.ask.memory.0,
                    PageSize::Huge2M => rest.huge[0] += page.pages(c.ask.memory),
                    PageSize::Huge1G => rest.huge[1] += page.pages(c.ask.memory),
                }
            }
            self.rest[k] = rest;
        }
    }

    /// There is a card for each device if nodes did not matter: else no branch need be looked at.
    fn devices_fit_anywhere(&mut self) -> bool {
        let node = self.free.nodes.first().map_or(0, |n| n.id);
        let relaxed: Vec<super::ask::DeviceAsk> =
            self.asks.iter().flat_map(|a| &a.devices).map(|d| super::ask::DeviceAsk { near: false, ..d.clone() }).collect();
        let wanted: Vec<Wanted<'_>> = relaxed.iter().enumerate().map(|(n, ask)| Wanted { guest: 0, ask, cells: n..n + 1 }).collect();
        let nodes = vec![node; wanted.len()];
        let rooms: Vec<Room<'_>> = self.free.cards.iter().map(Room::of).collect();
        let all_away = vec![true; wanted.len()];
        let mut left = self.left;
        let fits = assign(&rooms, &wanted, &nodes, &all_away, wanted.len(), &mut left).is_some();
        if !fits {
            self.left = left;
        }
        fits || left == 0
    }

    /// Whole cores that can still be left on one node when `need` more are taken somewhere.
    fn block(&self, need: usize) -> u32 {
        let all: usize = self.nodes.iter().map(|n| n.left.whole).sum();
        let most = self.nodes.iter().map(|n| n.left.whole.saturating_sub(need.saturating_sub(all - n.left.whole))).max();
        most.unwrap_or(0) as u32
    }

    /// All nodes together have not what the cells from `k` on take.
    fn short(&self, k: usize) -> bool {
        let rest = &self.rest[k];
        let sum = |f: &dyn Fn(&NodeState) -> u64| self.nodes.iter().map(f).sum::<u64>();
        let huge = |n: &NodeState, p: &PageSize| n.huge.get(p).copied().unwrap_or(0);
        self.nodes.iter().map(|n| n.left.whole).sum::<usize>() < self.whole_from[k]
            || self.nodes.iter().map(|n| n.left.threads).sum::<usize>() < rest.threads
            || sum(&|n| n.small) < rest.small
            || PageSize::HUGE.iter().zip(rest.huge).any(|(p, want)| sum(&|n| huge(n, p)) < want)
    }

    /// The next cell takes a seat; what must be put back is returned. `None`: it does not fit.
    fn sit(&mut self, seat: Seat) -> Option<[(usize, NodeState); 2]> {
        let k = self.seats.len();
        let (rank, node, memory) = seat;
        let c = &self.cells[k];
        let (page, n) = (self.pages[c.guest][rank], c.ask.vcpus.len());
        if self.is_far(k, node, true) || !self.company(k, node) {
            return None;
        }
        let before = [(node, self.nodes[node].clone()), (memory, self.nodes[memory].clone())];
        let m = &mut self.nodes[memory];
        let fits = match page {
            PageSize::Small => take(&mut m.small, c.ask.memory.0),
            PageSize::Huge2M | PageSize::Huge1G => take(m.huge.entry(page).or_default(), page.pages(c.ask.memory)),
        };
        let at = &mut self.nodes[node];
        at.load.add(c.guest, c.ask.cpus, n);
        if c.of.emulator_alone && c.index == 0 {
            at.load.add(c.guest, emulator_wish(c.ask.cpus), 1);
        }
        at.floats |= c.ask.cpus == CpuWish::Floating;
        at.mcpu += time::share(self.mcpu[c.guest], n, c.of.vcpus());
        let left = at.load.left(at.stock);
        let cpus = match left {
            None => false,
            Some(l) => {
                at.left = l;
                let on = &self.free.nodes[node];
                let float = if on.common { l.threads } else { on.float.len() };
                // Time promised to those that float is still there.
                (!at.floats || float > 0) && float as u64 * 1000 >= at.mcpu
            }
        };
        if fits && cpus && self.leaves_some() {
            return Some(before);
        }
        self.put_back(before);
        None
    }

    /// Guests that float over the whole host still can.
    fn leaves_some(&self) -> bool {
        let float = |(on, n): (&super::board::FreeNode, &NodeState)| if on.common { n.left.threads } else { on.float.len() };
        !self.free.roamers || self.free.nodes.iter().zip(&self.nodes).map(float).any(|n| n > 0)
    }

    fn put_back(&mut self, before: [(usize, NodeState); 2]) {
        let [(a, at), (b, was)] = before;
        self.nodes[b] = was;
        self.nodes[a] = at;
    }

    /// The groups of the guest allow this node.
    fn company(&self, k: usize, node: usize) -> bool {
        let c = &self.cells[k];
        let id = self.free.nodes[node].id;
        let placed = || self.cells.iter().zip(&self.seats).map(|(o, s)| (o, s.1));
        let in_group = |o: &Cell<'_>, g, pick: fn(&GuestAsk) -> &Vec<smol_str::SmolStr>| pick(o.of).contains(g);
        let together = c.of.together.iter().all(|g| {
            self.free.together.get(g).is_none_or(|n| *n == id) && placed().all(|(o, n)| !in_group(o, g, |a| &a.together) || n == node)
        });
        let apart = c.of.apart.iter().all(|g| {
            let others = placed().any(|(o, n)| o.guest != c.guest && in_group(o, g, |a| &a.apart) && n == node);
            !others && self.free.apart.get(g).is_none_or(|nodes| !nodes.contains(&id))
        });
        // Cells of a strict guest are on nodes of their own.
        let own = !c.of.strict || placed().all(|(o, n)| o.guest != c.guest || n != node);
        together && apart && own
    }

    fn seats_of(&self, k: usize) -> Vec<Seat> {
        let c = &self.cells[k];
        let ranks = match c.index {
            0 => 0..self.pages[c.guest].len(),
            _ => self.seats[k - 1].0..self.seats[k - 1].0 + 1,
        };
        let nodes = self.free.nodes.len();
        let memory = |node: usize| if c.of.strict { node..node + 1 } else { 0..nodes };
        let lowest = c.twin.filter(|t| self.seats[*t - c.index..*t] == self.seats[k - c.index..]).map(|t| self.seats[t]);
        ranks
            .flat_map(|r| (0..nodes).flat_map(move |n| memory(n).map(move |m| (r, n, m))))
            .filter(|s| lowest.is_none_or(|l| *s >= l))
            .collect()
    }

    fn is_away(&self, k: usize, (rank, node, memory): Seat) -> bool {
        let c = &self.cells[k];
        let small = c.of.wants_large() && self.pages[c.guest][rank] == PageSize::Small;
        node != memory || small
    }

    /// The guest's last cell, if it is on this node, leaves a device far from all of the guest's cells, whatever
    /// card it gets; with `must`, one that must be near.
    fn is_far(&self, k: usize, node: usize, must: bool) -> bool {
        let c = &self.cells[k];
        let first = k - c.index;
        let near = |p: &Picky| p.near[node] || self.seats[first..k].iter().any(|s| p.near[s.1]);
        c.index + 1 == c.of.cells.len() && self.picky[c.guest].iter().any(|p| (p.must || !must) && !near(p))
    }

    /// Cells that are at home by their memory, and away for such a device.
    fn sent(&self, k: usize, seat: Seat) -> u32 {
        if !self.is_far(k, seat.1, false) {
            return 0;
        }
        let earlier = self.away[k - self.cells[k].index..k].iter().filter(|a| !**a).count();
        earlier as u32 + u32::from(!self.is_away(k, seat))
    }

    /// No better than the best, whatever follows.
    fn hopeless(&self, away: u32, block: u32) -> bool {
        let Some(b) = &self.best else { return false };
        let bound = Cost { away, block }.rank();
        bound > b.cost.rank() || (bound == b.cost.rank() && self.seats[..] > b.seats[..self.seats.len()])
    }

    fn go(&mut self) {
        let k = self.seats.len();
        if k == self.cells.len() {
            return self.leaf();
        }
        if self.short(k) {
            return;
        }
        let so_far = self.away[..k].iter().filter(|a| **a).count() as u32 + self.sent[..k].iter().sum::<u32>();
        let mut next: Vec<(u32, std::cmp::Reverse<u32>, Seat)> = Vec::new();
        for seat in self.seats_of(k) {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            if let Some(before) = self.sit(seat) {
                let block = self.block(self.whole_from[k + 1]);
                self.put_back(before);
                let away = so_far + u32::from(self.is_away(k, seat)) + self.sent(k, seat) + self.away_from[k + 1];
                next.push((away, std::cmp::Reverse(block), seat));
            }
        }
        next.sort_unstable();
        for (away, std::cmp::Reverse(block), seat) in next {
            let (is_away, sent) = (self.is_away(k, seat), self.sent(k, seat));
            let Some(before) = self.sit(seat) else { continue };
            self.seats.push(seat);
            (self.away[k], self.sent[k]) = (is_away, sent);
            if !self.hopeless(away, block) {
                self.go();
            }
            (self.away[k], self.sent[k]) = (false, 0);
            self.seats.pop();
            self.put_back(before);
        }
    }

    /// Every cell has its seat: cards next.
    fn leaf(&mut self) {
        let block = self.block(0);
        let most = match &self.best {
            None => self.cells.len(),
            Some(b) if (std::cmp::Reverse(block), &self.seats) < (std::cmp::Reverse(b.cost.block), &b.seats) => b.cost.away as usize,
            Some(b) if b.cost.away == 0 => return,
            Some(b) => b.cost.away as usize - 1,
        };
        let wanted = self.wanted();
        let nodes: Vec<u16> = self.seats.iter().map(|s| self.free.nodes[s.1].id).collect();
        if let Some((cards, away)) = assign(&self.rooms, &wanted, &nodes, &self.away, most, &mut self.left) {
            let cost = Cost { away: away as u32, block };
            self.best = Some(Best { cost, seats: self.seats.clone(), cards });
        }
    }

    fn wanted(&self) -> Vec<Wanted<'s>> {
        let mut out = Vec::new();
        let mut first = 0;
        for (guest, a) in self.asks.iter().enumerate() {
            let cells = first..first + a.cells.len();
            out.extend(a.devices.iter().map(|ask| Wanted { guest, ask, cells: cells.clone() }));
            first = cells.end;
        }
        out
    }

    /// The guests' records: CPUs and VFs handed out as found.
    fn settle(&mut self, b: &Best) -> Option<Vec<Placement>> {
        self.seats.clone_from(&b.seats);
        let mut parts: Vec<Vec<Part>> = vec![Vec::new(); self.free.nodes.len()];
        for (c, seat) in self.cells.iter().zip(&b.seats) {
            let part = |cell, wish, n| Part { guest: c.guest, cell, wish, n };
            parts[seat.1].push(part(Some(c.index), c.ask.cpus, c.ask.vcpus.len()));
            if c.of.emulator_alone && c.index == 0 {
                parts[seat.1].push(part(None, emulator_wish(c.ask.cpus), 1));
            }
        }
        let mut dealt: BTreeMap<(usize, Option<usize>), Dealt> = BTreeMap::new();
        let mut float: Vec<CpuSet> = Vec::new();
        for (node, parts) in self.free.nodes.iter().zip(&parts) {
            let mut rest = node.float.clone();
            for (p, d) in parts.iter().zip(deal(node, parts)?) {
                rest = rest.minus(&d.cpus.iter().copied().chain(d.idle.iter()).collect());
                dealt.insert((p.guest, p.cell), d);
            }
            float.push(rest);
        }
        let mut devices = self.devices(&b.cards)?;
        let mut at = 0;
        let mut out = Vec::new();
        for (g, a) in self.asks.iter().enumerate() {
            let seats = &b.seats[at..at + a.cells.len()];
            at += a.cells.len();
            let mut cells: Vec<PlacedCell> = Vec::new();
            for (i, (cell, (_, node, memory))) in a.cells.iter().zip(seats).enumerate() {
                let d = dealt.remove(&(g, Some(i))).unwrap_or_default();
                cells.push(PlacedCell {
                    node: self.free.nodes[*node].id,
                    memory_node: self.free.nodes[*memory].id,
                    memory: cell.memory,
                    vcpus: cell.vcpus.clone(),
                    pins: cell.vcpus.iter().zip(d.cpus).collect(),
                    idle: d.idle,
                    float: if cell.cpus == CpuWish::Floating { float[*node].clone() } else { CpuSet::new() },
                });
            }
            let own = dealt.get(&(g, None));
            let first = seats.first()?;
            let emulator = match own {
                Some(d) => d.cpus.iter().copied().collect(),
                None if a.floats() => CpuSet::new(),
                None => float[first.1].clone(),
            };
            if let (Some(d), Some(c)) = (own, cells.first_mut()) {
                c.idle.extend(d.idle.iter());
            }
            out.push(Placement {
                page: self.pages[g][first.0],
                cells,
                emulator,
                emulator_alone: a.emulator_alone,
                devices: devices.remove(&g).unwrap_or_default(),
                reserve_mcpu: self.mcpu[g],
                together: a.together.clone(),
                apart: a.apart.clone(),
            });
        }
        Some(out)
    }

    fn devices(&self, cards: &[usize]) -> Option<BTreeMap<usize, Vec<PlacedDevice>>> {
        let mut out: BTreeMap<usize, Vec<PlacedDevice>> = BTreeMap::new();
        let mut used: BTreeSet<crate::model::hw::PciAddr> = BTreeSet::new();
        for (w, card) in self.wanted().into_iter().zip(cards) {
            let free = &self.free.cards[*card];
            let vf = match w.ask.kind {
                super::ask::DeviceKind::Vf { .. } => Some(*free.vfs.iter().find(|(_, a)| !used.contains(a))?),
                super::ask::DeviceKind::Pf { .. } | super::ask::DeviceKind::Pci { .. } => None,
            };
            let address = vf.map_or(free.card.address, |(_, a)| a);
            used.insert(address);
            out.entry(w.guest).or_default().push(PlacedDevice {
                wish: w.ask.wish.clone(),
                address,
                card: free.card.address,
                card_name: free.card.name.clone(),
                vf: vf.map(|(n, _)| n),
                mbps: w.ask.mbps,
                alone: false,
                apart: None,
            });
        }
        Some(out)
    }
}

fn take(left: &mut u64, want: u64) -> bool {
    match left.checked_sub(want) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    }
}
