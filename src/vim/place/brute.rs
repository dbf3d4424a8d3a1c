//! Placement against brute force: every seat, every card and every way to deal cores, on small hosts.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use proptest::prelude::*;

use super::{
    ask::*,
    board::*,
    facts::HostReserve,
    tests::{card, facts_of, guest, held_of, net},
    *,
};
use crate::model::{
    hw::{CpuSet, PageSize},
    place::PlacedDevice,
    size::MiB,
};

/// (away, whole cores left) and ids as they are compared.
type Best = (u32, std::cmp::Reverse<u32>, Vec<(usize, usize, usize)>, Vec<usize>);

/// A core: free threads, threads, guests that want theirs apart.
type CoreState = (usize, usize, BTreeSet<usize>);

#[derive(Clone, Copy)]
enum One {
    NoSibling,
    Whole,
    Pair,
    Thread,
    Apart(usize),
}

/// All (whole cores, threads) that can be left when `todo` is laid on the cores.
fn outcomes(cores: Vec<CoreState>, todo: &[One]) -> HashSet<(usize, usize)> {
    let mut states: HashSet<Vec<CoreState>> = HashSet::from([cores]);
    for one in todo {
        let mut next = HashSet::new();
        for s in &states {
            for i in 0..s.len() {
                let (free, total, apart) = &s[i];
                let whole = free == total;
                let after = match one {
                    One::NoSibling if whole && *total == 1 => Some((0, apart.clone())),
                    One::Whole if whole => Some((0, apart.clone())),
                    One::Pair if whole && *total == 2 => Some((0, apart.clone())),
                    One::Thread if *free > 0 => Some((free - 1, apart.clone())),
                    One::Apart(g) if *free > 0 && !apart.contains(g) => {
                        let mut a = apart.clone();
                        a.insert(*g);
                        Some((free - 1, a))
                    }
                    _ => None,
                };
                if let Some((free, apart)) = after {
                    let mut t = s.clone();
                    t[i] = (free, *total, apart);
                    t.sort_unstable();
                    next.insert(t);
                }
            }
        }
        states = next;
    }
    states.into_iter().map(|s| (s.iter().filter(|c| c.0 == c.1).count(), s.iter().map(|c| c.0).sum())).collect()
}

/// MiB that guests may have, by node and size: the host's reserve is taken off.
type May = BTreeMap<(usize, PageSize), u64>;

struct Brute<'a> {
    board: &'a Board,
    may: &'a May,
    held: &'a [Held],
    asks: &'a [GuestAsk],
    cells: Vec<(usize, usize)>,
    best: Option<Best>,
}

impl Brute<'_> {
    fn seats(&mut self, seats: &mut Vec<(usize, usize, usize)>) {
        let k = seats.len();
        if k == self.cells.len() {
            return self.cards(seats, &mut Vec::new());
        }
        let (g, i) = self.cells[k];
        let a = &self.asks[g];
        let pages = a.pages.options(&a.cells);
        for rank in 0..pages.len() {
            for node in 0..self.board.nodes.len() {
                for memory in 0..self.board.nodes.len() {
                    if (a.strict && node != memory) || (i > 0 && seats[k - 1].0 != rank) {
                        continue;
                    }
                    seats.push((rank, node, memory));
                    if self.memory_holds(seats) && self.groups_hold(seats) {
                        self.seats(seats);
                    }
                    seats.pop();
                }
            }
        }
    }

    fn page(&self, k: usize, seat: (usize, usize, usize)) -> PageSize {
        let a = &self.asks[self.cells[k].0];
        a.pages.options(&a.cells)[seat.0]
    }

    fn memory_holds(&self, seats: &[(usize, usize, usize)]) -> bool {
        let mut used: BTreeMap<(usize, PageSize), u64> = BTreeMap::new();
        let mut take = |node, page: PageSize, memory: MiB| *used.entry((node, page)).or_default() += memory.0;
        for h in self.held {
            for c in &h.at.cells {
                let node = self.board.nodes.iter().position(|n| n.id == c.memory_node).expect("a node");
                take(node, h.at.page, c.memory);
            }
        }
        for (k, s) in seats.iter().enumerate() {
            let (g, i) = self.cells[k];
            take(s.2, self.page(k, *s), self.asks[g].cells[i].memory);
        }
        used.into_iter().all(|(at, mib)| mib <= self.may.get(&at).copied().unwrap_or(0))
    }

    fn groups_hold(&self, seats: &[(usize, usize, usize)]) -> bool {
        let mut at: Vec<(String, usize, u16, bool, bool)> = Vec::new();
        for h in self.held {
            for c in &h.at.cells {
                at.push((h.name.to_string(), usize::MAX, c.node, !h.at.together.is_empty(), !h.at.apart.is_empty()));
            }
        }
        for (k, s) in seats.iter().enumerate() {
            let (g, _) = self.cells[k];
            let a = &self.asks[g];
            at.push((a.name.to_string(), g, self.board.nodes[s.1].id, !a.together.is_empty(), !a.apart.is_empty()));
        }
        let last = at.last().expect("one").clone();
        let strict = self.asks[last.1].strict;
        at[..at.len() - 1].iter().all(|o| {
            let same = o.1 == last.1;
            !(o.3 && last.3 && o.2 != last.2) && !(!same && o.4 && last.4 && o.2 == last.2) && !(same && strict && o.2 == last.2)
        })
    }

    fn cards(&mut self, seats: &[(usize, usize, usize)], cards: &mut Vec<usize>) {
        let wanted: Vec<(usize, &DeviceAsk)> =
            self.asks.iter().enumerate().flat_map(|(g, a)| a.devices.iter().map(move |d| (g, d))).collect();
        if cards.len() == wanted.len() {
            return self.judge(seats, cards, &wanted);
        }
        for c in 0..self.board.cards.len() {
            cards.push(c);
            if self.card_holds(c, cards, &wanted) {
                self.cards(seats, cards);
            }
            cards.pop();
        }
    }

    fn card_holds(&self, c: usize, cards: &[usize], wanted: &[(usize, &DeviceAsk)]) -> bool {
        let card = &self.board.cards[c];
        // (whole, mbps) of each function on it.
        let mut on: Vec<(bool, u32)> = Vec::new();
        for d in self.held.iter().flat_map(|h| &h.at.devices).filter(|d| d.card == card.address) {
            on.push((d.vf.is_none(), d.mbps));
        }
        for ((_, d), _) in wanted.iter().zip(cards).filter(|(_, card)| **card == c) {
            let whole = matches!(d.kind, DeviceKind::Pf { .. } | DeviceKind::Pci { .. });
            let kind = match &d.kind {
                DeviceKind::Vf { physical } | DeviceKind::Pf { physical } => card.physical.as_ref() == Some(physical),
                DeviceKind::Pci { vendor, device } => (card.vendor, card.device) == (*vendor, *device),
            };
            if !kind || (whole && card.whole.is_err()) || (d.mbps > 0 && card.mbps.is_none()) {
                return false;
            }
            on.push((whole, d.mbps));
        }
        let many = on.len() > 1;
        let wholes = on.iter().filter(|o| o.0).count();
        on.len() - wholes <= card.vfs.len()
            && !(many && on.iter().any(|o| o.0))
            && on.iter().map(|o| o.1).sum::<u32>() <= card.mbps.unwrap_or(u32::MAX)
    }

    fn judge(&mut self, seats: &[(usize, usize, usize)], cards: &[usize], wanted: &[(usize, &DeviceAsk)]) {
        let mut away: Vec<bool> = seats
            .iter()
            .enumerate()
            .map(|(k, s)| s.1 != s.2 || (self.asks[self.cells[k].0].wants_large() && self.page(k, *s) == PageSize::Small))
            .collect();
        for ((g, d), c) in wanted.iter().zip(cards) {
            let Some(node) = self.board.cards[*c].node else { continue };
            let mine: Vec<usize> = (0..seats.len()).filter(|k| self.cells[*k].0 == *g).collect();
            if mine.iter().any(|k| self.board.nodes[seats[*k].1].id == node) {
                continue;
            }
            if d.near {
                return;
            }
            mine.iter().for_each(|k| away[*k] = true);
        }
        let mut nodes: Vec<Vec<(u32, usize)>> = Vec::new();
        for (at, n) in self.board.nodes.iter().enumerate() {
            let mut todo = Vec::new();
            let mut floats = self.held.iter().flat_map(|h| &h.at.cells).any(|c| c.node == n.id && c.pins.is_empty());
            // The clock is 1000 MHz.
            let mut mcpu = 0;
            for h in self.held {
                let all: usize = h.at.cells.iter().map(|c| c.vcpus.len()).sum();
                let here = h.at.cells.iter().filter(|c| c.node == n.id);
                mcpu += here.map(|c| (u64::from(h.at.reserve_mcpu) * c.vcpus.len() as u64).div_ceil(all as u64)).sum::<u64>();
            }
            for (k, s) in seats.iter().enumerate().filter(|(_, s)| s.1 == at) {
                let _ = s;
                let (g, i) = self.cells[k];
                let a = &self.asks[g];
                let (vcpus, wish) = (a.cells[i].vcpus.len(), a.cells[i].cpus);
                let (one, times) = match wish {
                    CpuWish::Floating => (One::Thread, 0),
                    CpuWish::Threads => (One::Thread, vcpus),
                    CpuWish::Separate => (One::Apart(g), vcpus),
                    CpuWish::Cores => (One::Whole, vcpus),
                    CpuWish::Pairs => (One::Pair, vcpus.div_ceil(2)),
                    CpuWish::NoSiblings => (One::NoSibling, vcpus),
                };
                floats |= wish == CpuWish::Floating;
                if wish == CpuWish::Floating {
                    let all: usize = a.cells.iter().map(|c| c.vcpus.len()).sum();
                    mcpu += (u64::from(a.reserve_mhz) * vcpus as u64).div_ceil(all as u64);
                }
                todo.extend(std::iter::repeat_n(one, times));
                if a.emulator_alone && i == 0 {
                    todo.push(match wish {
                        CpuWish::Cores => One::Whole,
                        CpuWish::NoSiblings => One::NoSibling,
                        _ => One::Thread,
                    });
                }
            }
            let held: CpuSet = self.held.iter().flat_map(|h| h.at.held_cpus().iter().collect::<Vec<_>>()).collect();
            let pinned = |c: u16| {
                !self.board.reserved.contains(c) && !held.contains(c) && (self.board.isolated.is_empty() || self.board.isolated.contains(c))
            };
            let mut cores: Vec<CoreState> =
                n.cores.iter().map(|c| (c.cpus.iter().filter(|c| pinned(*c)).count(), c.cpus.len(), BTreeSet::new())).collect();
            cores.sort_unstable();
            let common = self.board.isolated.is_empty();
            let outside = n
                .cores
                .iter()
                .flat_map(|c| c.cpus.iter())
                .filter(|c| !self.board.isolated.contains(*c) && !self.board.reserved.contains(*c))
                .count();
            let room = |threads: usize| {
                let float = if common { threads } else { outside };
                (!floats || float > 0) && float as u64 * 1000 >= mcpu
            };
            let float = |threads: usize| if common { threads } else { outside };
            let all: Vec<(u32, usize)> =
                outcomes(cores, &todo).into_iter().filter(|o| room(o.1)).map(|o| (o.0 as u32, float(o.1))).collect();
            if all.is_empty() {
                return;
            }
            nodes.push(all);
        }
        // One node leaves a CPU to guests that float over the whole host, if there are any.
        let most = |all: &[(u32, usize)], leaves: bool| all.iter().filter(|o| !leaves || o.1 > 0).map(|o| o.0).max();
        let leaving = |leaver: Option<usize>| {
            let each = nodes.iter().enumerate().map(|(n, all)| most(all, Some(n) == leaver));
            each.collect::<Option<Vec<u32>>>()?.into_iter().max()
        };
        let leavers: Vec<Option<usize>> = if self.board.roamers { (0..nodes.len()).map(Some).collect() } else { vec![None] };
        let Some(block) = leavers.into_iter().filter_map(leaving).max() else { return };
        let cost = (away.iter().filter(|a| **a).count() as u32, std::cmp::Reverse(block), seats.to_vec(), cards.to_vec());
        if self.best.as_ref().is_none_or(|b| cost < *b) {
            self.best = Some(cost);
        }
    }
}

fn brute(board: &Board, may: &May, held: &[Held], asks: &[GuestAsk]) -> Option<Best> {
    let cells = asks.iter().enumerate().flat_map(|(g, a)| (0..a.cells.len()).map(move |i| (g, i))).collect();
    let mut b = Brute { board, may, held, asks, cells, best: None };
    b.seats(&mut Vec::new());
    b.best
}

/// What `place` found, in brute force's terms.
fn ids(board: &Board, asks: &[GuestAsk], p: &Placed) -> Best {
    let node = |id: u16| board.nodes.iter().position(|n| n.id == id).expect("a node");
    let mut seats = Vec::new();
    let mut cards = Vec::new();
    for (a, at) in asks.iter().zip(&p.guests) {
        let rank = a.pages.options(&a.cells).iter().position(|p| *p == at.page).expect("a page size");
        seats.extend(at.cells.iter().map(|c| (rank, node(c.node), node(c.memory_node))));
        cards.extend(at.devices.iter().map(|d| board.cards.iter().position(|c| c.address == d.card).expect("a card")));
    }
    (p.cost.away, std::cmp::Reverse(p.cost.block), seats, cards)
}

/// What is handed out is there, free, of the kind that was wished for, and nobody else's.
fn check_dealt(board: &Board, may: &May, held: &[Held], asks: &[GuestAsk], p: &Placed) {
    let mut taken: CpuSet = board.reserved.clone();
    for h in held {
        taken.extend(h.at.held_cpus().iter());
    }
    let mut memory: BTreeMap<(usize, PageSize), u64> = BTreeMap::new();
    for at in held.iter().map(|h| &h.at).chain(&p.guests) {
        for (id, m) in at.memory() {
            let node = board.nodes.iter().position(|n| n.id == id).expect("a node");
            *memory.entry((node, at.page)).or_default() += m.0;
        }
    }
    for (at, mib) in memory {
        assert!(mib <= may[&at], "{mib} MiB of {at:?} are given, the host has {} for guests", may[&at]);
    }
    let mut functions: BTreeSet<_> = held.iter().flat_map(|h| &h.at.devices).map(|d| d.address).collect();
    for (a, at) in asks.iter().zip(&p.guests) {
        for cpu in at.held_cpus().iter() {
            assert!(taken.insert(cpu), "CPU {cpu} is given twice: {at:?}");
            assert!(board.isolated.is_empty() || board.isolated.contains(cpu));
        }
        assert_eq!(at.devices.len(), a.devices.len());
        for (want, d) in a.devices.iter().zip(&at.devices) {
            assert_eq!((&want.wish, want.mbps), (&d.wish, d.mbps));
            let card = board.cards.iter().find(|c| c.address == d.card).expect("a card");
            let lowest = card.vfs.iter().find(|(_, vf)| !functions.contains(vf)).copied();
            match want.kind {
                DeviceKind::Vf { .. } => assert_eq!(d.vf.map(|n| (n, d.address)), lowest, "another VF is lower"),
                DeviceKind::Pf { .. } | DeviceKind::Pci { .. } => assert_eq!((d.vf, d.address), (None, d.card)),
            }
            assert!(functions.insert(d.address), "{} is given twice", d.address);
        }
        let core_of = |cpu: u16| board.nodes.iter().flat_map(|n| &n.cores).find(|c| c.cpus.contains(cpu)).expect("a core");
        let mut used: Vec<&Core> = Vec::new();
        for (cell, c) in a.cells.iter().zip(&at.cells) {
            let node = board.nodes.iter().find(|n| n.id == c.node).expect("a node");
            assert!(c.pins.iter().all(|(_, cpu)| node.cores.iter().any(|k| k.cpus.contains(*cpu))));
            if cell.cpus == CpuWish::Floating {
                assert!(c.pins.is_empty() && !c.float.is_empty());
                continue;
            }
            assert_eq!(c.pins.iter().map(|(v, _)| *v).collect::<CpuSet>(), cell.vcpus);
            let cores = c.pins.iter().map(|(_, cpu)| core_of(*cpu));
            match cell.cpus {
                CpuWish::Floating | CpuWish::Threads => {}
                CpuWish::Separate | CpuWish::Cores | CpuWish::NoSiblings => {
                    for core in cores {
                        assert!(!used.contains(&core), "two threads of one core: {at:?}");
                        used.push(core);
                        let all = core.cpus.iter().all(|cpu| at.held_cpus().contains(cpu));
                        assert!(cell.cpus == CpuWish::Separate || all, "a core is shared: {at:?}");
                        assert!(cell.cpus != CpuWish::NoSiblings || core.cpus.len() == 1);
                    }
                }
                CpuWish::Pairs => {
                    for pair in c.pins.chunks(2) {
                        let core = core_of(pair[0].1);
                        assert!(core.cpus.len() == 2 && core.cpus.iter().all(|cpu| at.held_cpus().contains(cpu)));
                        assert!(pair.iter().all(|(_, cpu)| core.cpus.contains(*cpu)));
                    }
                }
            }
        }
        assert_eq!(at.emulator_alone, a.emulator_alone);
        assert!(!a.emulator_alone || at.emulator.len() == 1);
    }
    for at in &p.guests {
        for c in &at.cells {
            assert!(c.float.common(&taken).is_empty(), "a guest floats over CPUs that are another's: {at:?}");
        }
    }
    let float = |n: &Node| n.cpus().minus(&taken).minus(&board.isolated);
    assert!(!board.roamers || board.nodes.iter().any(|n| !float(n).is_empty()), "nothing is left to float over: {p:?}");
    let whole = board.nodes.iter().map(|n| {
        let free = |cpu: u16| !taken.contains(cpu) && (board.isolated.is_empty() || board.isolated.contains(cpu));
        n.cores.iter().filter(|c| c.cpus.iter().all(free)).count()
    });
    assert_eq!(whole.max().unwrap_or(0) as u32, p.cost.block, "more or fewer cores are broken than counted: {p:?}");
}

/// A board, and what its host's reserve leaves of memory and pages.
fn boards() -> impl Strategy<Value = (Board, May)> {
    let node = || (proptest::collection::vec(prop_oneof![1 => Just(1usize), 3 => Just(2)], 2..=4), 6u64..24, 1u64..10);
    let nodes = prop_oneof![1 => proptest::collection::vec(node(), 1), 4 => proptest::collection::vec(node(), 2)];
    let bits = (proptest::bool::weighted(0.7), proptest::bool::weighted(0.8), proptest::bool::weighted(0.8));
    let one = (proptest::option::weighted(0.9, 0u16..2), 0usize..5, proptest::option::weighted(0.8, 10u32..30), bits);
    let cards = proptest::collection::vec(one, 2..=3);
    // MiB of all nodes, and pages of each.
    let kept = prop_oneof![1 => Just((0, [0, 0])), 2 => (0u64..12, [0u64..5, 0u64..5])];
    let isolated = proptest::option::weighted(0.15, proptest::collection::vec(0u16..16, 8..16));
    let roamers = proptest::bool::weighted(0.4);
    (nodes, cards, proptest::collection::vec(0u16..16, 0..2), isolated, kept, roamers).prop_map(
        |(nodes, cards, reserved, isolated, (memory, pages), roamers)| {
            let mut f = facts_of(&nodes);
            let all = f.cores.iter().fold(CpuSet::new(), |all, c| all.union(&c.threads));
            f.isolated = isolated.unwrap_or_default().into_iter().collect::<CpuSet>().common(&all);
            let reserve = HostReserve {
                cpus: reserved.into_iter().collect::<CpuSet>().common(&all),
                memory: MiB(memory),
                pages: (0u16..).zip(pages).map(|(n, p)| ((n, PageSize::Huge2M), p)).collect(),
            };
            let mut b = Board { roamers, ..Board::of(&f, &reserve) };
            b.cards = cards
                .iter()
                .enumerate()
                .map(|(i, (node, vfs, mbps, (wan, usual, whole)))| Card {
                    physical: Some(if *wan { "wan" } else { "lan" }.into()),
                    device: if *usual { 0x1592 } else { 0x10c9 },
                    whole: if *whole { Ok(()) } else { Err("the host needs it".into()) },
                    ..card(i as u8, *node, *vfs, *mbps)
                })
                .collect();
            let mut may = May::new();
            for (n, (_, small, huge)) in nodes.iter().enumerate() {
                may.insert((n, PageSize::Small), small.saturating_sub(memory.div_ceil(nodes.len() as u64)));
                may.insert((n, PageSize::Huge2M), 2 * huge.saturating_sub(pages[n]));
            }
            (b, may)
        },
    )
}

fn guests(most: usize) -> impl Strategy<Value = Vec<GuestAsk>> {
    let cpus = || {
        prop_oneof![
            3 => Just(CpuWish::Floating),
            5 => Just(CpuWish::Threads),
            5 => Just(CpuWish::Separate),
            4 => Just(CpuWish::Cores),
            4 => Just(CpuWish::Pairs),
            1 => Just(CpuWish::NoSiblings)
        ]
    };
    let pages = || {
        prop_oneof![Just(PageWish::Small), Just(PageWish::Exactly(PageSize::Huge2M)), Just(PageWish::Large), Just(PageWish::PreferLarge)]
    };
    let device = || (0u8..20, 0u32..8, proptest::bool::weighted(0.2));
    let one = || {
        (
            prop_oneof![2 => proptest::collection::vec((1u16..=3, 1u64..=2), 1), 3 => proptest::collection::vec((1u16..=2, 1u64..=2), 2)],
            cpus(),
            pages(),
            any::<bool>(),
            proptest::bool::weighted(0.2),
            prop_oneof![1 => Just(Vec::new()), 1 => proptest::collection::vec(device(), 1..=2)],
            proptest::bool::weighted(0.1),
            proptest::bool::weighted(0.1),
            prop_oneof![2 => Just(0), 1 => 1u32..=2000],
            proptest::option::weighted(0.4, cpus()),
        )
    };
    // As many as there may be, each with one vCPU and nothing else.
    let small = || {
        one().prop_map(|(_, cpus, pages, strict, _, _, _, _, _, other)| {
            (vec![(1u16, 1u64)], cpus, pages, strict, false, Vec::new(), false, false, 0, other)
        })
    };
    let all = prop_oneof![
        // Few enough that many have a place.
        4 => proptest::collection::vec(one(), 1..=2),
        1 => proptest::collection::vec(one(), 1..=most),
        1 => proptest::collection::vec(small(), most)
    ];
    all.prop_map(|all| {
        let (mut cells, mut wanted) = (0, 0);
        all.into_iter()
            .enumerate()
            .map(|(n, (mut shape, cpus, pages, strict, emulator_alone, mut devices, together, apart, reserve, other))| {
                // Brute force is the limit: six cells in all.
                if cells >= 4 {
                    shape.truncate(1);
                }
                cells += shape.len();
                // And three devices.
                devices.truncate(3 - wanted);
                wanted += devices.len();
                let shape: Vec<(u16, u64)> = shape.into_iter().map(|(v, m)| (v, m * 2)).collect();
                let mut g = guest(&format!("g{n}"), &shape, cpus);
                // A second node of another kind; all of a guest's float, or none does.
                if let (false, Some(other), [_, second]) = (g.floats(), other.filter(|c| *c != CpuWish::Floating), &mut g.cells[..]) {
                    second.cpus = other;
                }
                (g.pages, g.strict, g.emulator_alone) = (pages, strict, emulator_alone);
                // Of as much as its vCPUs can have.
                g.reserve_mhz = reserve.min(1000 * g.vcpus() as u32);
                g.devices = devices
                    .into_iter()
                    .map(|(kind, mbps, near)| {
                        let d = match kind {
                            0..16 => net("wan", true),
                            16..18 => net("lan", true),
                            18 => net("wan", false),
                            _ => DeviceAsk { kind: DeviceKind::Pci { vendor: 0x8086, device: 0x10c9 }, ..net("wan", false) },
                        };
                        DeviceAsk { mbps, near, ..d }
                    })
                    .collect();
                g.together = if together { vec!["t".into()] } else { Vec::new() };
                g.apart = if apart { vec!["a".into()] } else { Vec::new() };
                g
            })
            .collect()
    })
}

/// What the comparison has to see: requests that are placed and refused, and NICs that are near a guest by its second
/// cell alone; NICs that are far; guests whose nodes have CPUs of different kinds; and five guests at once.
static SEEN: [AtomicU32; 6] = [const { AtomicU32::new(0) }; 6];

fn see(board: &Board, asks: &[GuestAsk], p: &Placed) {
    let mixed = |a: &&GuestAsk| a.cells.iter().any(|c| c.cpus != a.cells[0].cpus);
    SEEN[4].fetch_add(asks.iter().filter(mixed).count() as u32, Relaxed);
    SEEN[5].fetch_add(u32::from(asks.len() == 5), Relaxed);
    for at in &p.guests {
        let node = |d: &PlacedDevice| board.cards.iter().find(|c| c.address == d.card).and_then(|c| c.node);
        for n in at.devices.iter().filter_map(node) {
            match at.cells.iter().position(|c| c.node == n) {
                Some(0) => {}
                Some(_) => drop(SEEN[2].fetch_add(1, Relaxed)),
                None => drop(SEEN[3].fetch_add(1, Relaxed)),
            }
        }
    }
}

#[test]
fn the_place_found_is_the_one_brute_force_finds() {
    compared();
    let [placed, refused, second, far, mixed, five] = SEEN.each_ref().map(|n| n.load(Relaxed));
    let text = format!(
        "{placed} placed, {refused} refused; {second} NICs near by a second cell alone, {far} far; {mixed} guests of mixed nodes; {five} of five guests"
    );
    assert!(placed > 20 && refused > 20 && second > 0 && mixed > 5 && five > 5, "the requests are of one kind: {text}");
    println!("{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if std::env::var_os("BOTHY_LONG").is_some() { 5000 } else { 600 }, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]

    fn compared((board, may) in boards(), first in guests(2), asks in guests(5)) {
        // What runs already was placed itself.
        let held: Vec<Held> = first.iter().filter_map(|a| place(&board, &[], std::slice::from_ref(a)).ok().map(|p| (a, p))).take(1)
            .flat_map(|(a, p)| held_of(a, &p)).collect();
        let want = brute(&board, &may, &held, &asks);
        SEEN[usize::from(want.is_none())].fetch_add(1, Relaxed);
        match (place_within(&board, &held, &asks, 2_000_000), want) {
            (Ok(p), Some(want)) => {
                prop_assert!(p.proven);
                see(&board, &asks, &p);
                check_dealt(&board, &may, &held, &asks, &p);
                prop_assert_eq!(ids(&board, &asks, &p), want);
            }
            (Err(fault), None) => prop_assert!(!fault.reasons().is_empty(), "a refusal without reasons: {fault}"),
            (Ok(p), None) => prop_assert!(false, "placed what cannot be: {p:?}"),
            (Err(f), Some(b)) => prop_assert!(false, "refused what can be: {f}, {b:?}"),
        }
    }
}
