//! Placement: up to 8 VDUs beside 50 guests on 64 cores and 2 nodes; and against brute force, which
//! tries every CPU for every vCPU, on a box small enough for it.

use std::time::Instant;

use bothy::{
    model::{
        hw::{CpuSet, PageSize, PciAddr},
        id::VnfcId,
        place::{Held, Placement},
        size::MiB,
    },
    vim::place::{
        ask::{CellAsk, CpuWish, DeviceAsk, DeviceKind, GuestAsk, PageWish},
        board::{Board, Card, Core, Node},
        place,
    },
};
use uuid::Uuid;

use crate::table::{Goal, Row, long, median, ms, quantile};

/// Two nodes of so many cores with two threads each; on each of them two ports of a NIC with 32 VFs each, four ports and
/// four other devices for guests that have them whole.
fn board(cores: u16) -> Board {
    let node = |id: u16| Node {
        id,
        cores: (id * cores..(id + 1) * cores).map(|c| Core { cpus: [2 * c, 2 * c + 1].into_iter().collect() }).collect(),
        small: MiB(64 << 10),
        huge: [(PageSize::Huge2M, 16 << 10), (PageSize::Huge1G, 32)].into_iter().collect(),
    };
    let card = |n: u8| Card {
        address: PciAddr::new(0, n + 1, 0, 0).expect("an address"),
        name: format!("ens{n}").into(),
        node: Some(u16::from(n / 2)),
        physical: Some(if n.is_multiple_of(2) { "wan" } else { "lan" }.into()),
        vendor: 0x8086,
        device: 0x1592,
        mbps: Some(25_000),
        vfs: (0..32).map(|v| (v, PciAddr::new(0, n + 1, 1 + (v / 8) as u8, (v % 8) as u8).expect("an address"))).collect(),
        shared: Ok(()),
        whole: Ok(()),
    };
    // Ports that go to guests whole, and devices that are no NICs, as many on each node.
    let whole = |n: u8| {
        let port = n.is_multiple_of(2);
        let (vendor, device) = if port { (0x8086, 0x1592) } else { (0x1b36, 0x0010) };
        Card {
            address: PciAddr::new(0, 0x40 + n, 0, 0).expect("an address"),
            name: format!("dev{n}").into(),
            physical: port.then(|| "edge".into()),
            vendor,
            device,
            node: Some(u16::from(n / 2 % 2)),
            vfs: Vec::new(),
            ..card(0)
        }
    };
    Board {
        nodes: (0..2).map(node).collect(),
        cards: (0..4).map(card).chain((0..16).map(whole)).collect(),
        reserved: "0-1".parse().expect("CPUs"),
        isolated: CpuSet::new(),
        mhz: Some(2400),
        roamers: true,
    }
}

/// The same numbers in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

fn guest(n: usize, d: &mut Dice, most_cpus: u64) -> GuestAsk {
    let cpus = [CpuWish::Threads, CpuWish::Separate, CpuWish::Cores, CpuWish::Pairs, CpuWish::Floating][d.below(5) as usize];
    let cells = if d.below(6) == 0 { 2 } else { 1 };
    let mut next = 0;
    let cell = |d: &mut Dice, next: &mut u16| {
        let vcpus = 1 + d.below(most_cpus) as u16;
        *next += vcpus;
        CellAsk { vcpus: (*next - vcpus..*next).collect(), memory: MiB(1024 * (1 + d.below(2))), cpus }
    };
    // One in eight guests has its emulator alone, one in eight time promised, one in sixteen a whole port, one in sixteen a
    // device by its ids.
    let emulator_alone = d.below(8) == 0;
    let reserve_mhz = if d.below(8) == 0 { 100 * (1 + d.below(8)) as u32 } else { 0 };
    let device = |wish: &str, kind| DeviceAsk { wish: wish.into(), kind, mbps: 0, near: false };
    let whole = match d.below(16) {
        0 => Some(device("port", DeviceKind::Pf { physical: "edge".into() })),
        1 => Some(device("1b36:0010", DeviceKind::Pci { vendor: 0x1b36, device: 0x0010 })),
        _ => None,
    };
    let nic = |d: &mut Dice, network: &str| DeviceAsk {
        wish: network.into(),
        kind: DeviceKind::Vf { physical: network.into() },
        mbps: 100 * d.below(10) as u32,
        near: d.below(4) == 0,
    };
    GuestAsk {
        name: format!("g{n}").into(),
        cells: (0..cells).map(|_| cell(d, &mut next)).collect(),
        pages: [PageWish::Small, PageWish::Large, PageWish::Exactly(PageSize::Huge2M), PageWish::PreferLarge][d.below(4) as usize],
        strict: d.below(3) > 0,
        emulator_alone,
        reserve_mhz,
        devices: if d.below(2) == 0 {
            whole.into_iter().collect()
        } else {
            [nic(d, "wan"), nic(d, "lan")].into_iter().chain(whole).collect()
        },
        together: Vec::new(),
        apart: if d.below(8) == 0 { vec!["ha".into()] } else { Vec::new() },
    }
}

fn held(n: usize, at: Placement) -> Held {
    Held { guest: VnfcId(Uuid::from_u128(n as u128)), name: format!("h{n}").into(), at, given: Vec::new() }
}

/// Fifty guests that were placed one after the other.
fn busy(board: &Board, d: &mut Dice) -> Vec<Held> {
    let mut all = Vec::new();
    while all.len() < 50 {
        let ask = GuestAsk { apart: Vec::new(), ..guest(all.len(), d, 2) };
        if let Ok(mut p) = place(board, &all, &[ask]) {
            let at = p.guests.remove(0);
            all.push(held(all.len(), at));
        }
    }
    all
}

fn large() -> Vec<Row> {
    let mut d = Dice(0x2545_f491_4f6c_dd1d);
    let board = board(32);
    let (mut times, mut placed, mut ended) = (Vec::new(), 0, 0);
    let rounds = if long() { 2000 } else { 300 };
    for _ in 0..rounds / 10 {
        let running = busy(&board, &mut d);
        for _ in 0..10 {
            let asks: Vec<GuestAsk> = (0..8).map(|n| guest(n, &mut d, 3)).collect();
            // The best of three: what else the machine does at the moment is not ours.
            let mut best = f64::INFINITY;
            let mut answer = place(&board, &running, &asks);
            for _ in 0..3 {
                let begun = Instant::now();
                answer = place(&board, &running, &asks);
                best = best.min(ms(begun.elapsed()));
            }
            times.push(best);
            placed += u32::from(answer.is_ok());
            ended += u32::from(answer.is_ok_and(|p| !p.proven));
        }
    }
    eprintln!("{placed} of {rounds} requests placed, {ended} of them at the best found");
    vec![
        Row::new("place 8 VDUs beside 50 guests, 64 cores, 2 nodes, p50", "ms", median(&times), None, Goal::AtMost(5.0)),
        Row::new("the same, p95 (refusals with their reasons among them)", "ms", quantile(&times, 0.95), None, Goal::AtMost(5.0)),
        Row::new("the same, the longest of all", "ms", quantile(&times, 1.0), None, Goal::AtMost(5.0)),
    ]
}

/// Every free CPU for every vCPU; the most whole cores left on one node, all of a guest on one node.
fn brute(board: &Board, sizes: &[u16]) -> Option<u32> {
    fn go(board: &Board, left: &[u16], on: Option<usize>, of: u16, taken: &mut CpuSet) -> Option<u32> {
        if of == 0 {
            let Some((next, rest)) = left.split_first() else {
                let whole = |n: &Node| n.cores.iter().filter(|c| c.cpus.iter().all(|cpu| !taken.contains(cpu))).count() as u32;
                return board.nodes.iter().map(whole).max();
            };
            return go(board, rest, None, *next, taken);
        }
        let mut best = None;
        for (n, node) in board.nodes.iter().enumerate().filter(|(n, _)| on.is_none_or(|o| o == *n)) {
            for cpu in node.cores.iter().flat_map(|c| c.cpus.iter()) {
                if taken.insert(cpu) {
                    best = best.max(go(board, left, Some(n), of - 1, taken));
                    taken.remove(cpu);
                }
            }
        }
        best
    }
    go(board, sizes, None, 0, &mut CpuSet::new())
}

fn small() -> Vec<Row> {
    let mut board = board(4);
    board.reserved = CpuSet::new();
    let sizes = [2u16, 1, 2];
    let plain = |n: usize, vcpus: u16| GuestAsk {
        name: format!("g{n}").into(),
        cells: vec![CellAsk { vcpus: (0..vcpus).collect(), memory: MiB(64), cpus: CpuWish::Threads }],
        pages: PageWish::Small,
        strict: true,
        emulator_alone: false,
        reserve_mhz: 0,
        devices: Vec::new(),
        together: Vec::new(),
        apart: Vec::new(),
    };
    let asks: Vec<GuestAsk> = sizes.iter().enumerate().map(|(n, s)| plain(n, *s)).collect();
    let (mut ours, mut other) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let begun = Instant::now();
        let found = place(&board, &[], &asks).expect("a place").cost.block;
        ours.push(ms(begun.elapsed()));
        let begun = Instant::now();
        let best = brute(&board, &sizes);
        other.push(ms(begun.elapsed()));
        assert_eq!(Some(found), best, "the same place");
    }
    vec![Row::new(
        "place 3 VDUs of 5 vCPUs on 8 cores | brute force over CPUs",
        "ms",
        median(&ours),
        Some(median(&other)),
        Goal::RatioAtMost(0.1),
    )]
}

pub fn measure() -> Vec<Row> {
    let mut rows = large();
    rows.extend(small());
    rows
}
