//! Placement on hosts of known shape.

use std::collections::BTreeMap;

use super::{ask::*, board::*, *};
use crate::{
    model::{
        host::{self, HostFacts, HugePages, NodeId},
        hw::{CpuSet, PageSize, PciAddr},
        id::VnfcId,
        place::Held,
        size::MiB,
    },
    sim::machine::Machine,
};

/// Nodes of (threads of each core, MiB in small pages, 2 MiB pages); CPUs are numbered core by core.
pub(super) fn board_of(nodes: &[(Vec<usize>, u64, u64)]) -> Board {
    let mut next = 0u16;
    let node = |(id, (cores, small, huge)): (usize, &(Vec<usize>, u64, u64))| Node {
        id: id as u16,
        cores: cores
            .iter()
            .map(|threads| {
                let cpus = (next..next + *threads as u16).collect();
                next += *threads as u16;
                Core { cpus }
            })
            .collect(),
        small: MiB(*small),
        huge: BTreeMap::from([(PageSize::Huge2M, *huge)]),
    };
    Board { nodes: nodes.iter().enumerate().map(node).collect(), ..Board::default() }
}

/// The facts of a host of such nodes, as `board_of` takes them.
pub(super) fn facts_of(nodes: &[(Vec<usize>, u64, u64)]) -> HostFacts {
    let mut f = Machine { sockets: nodes.len() as u16, cores_per_socket: 0, ..Machine::default() }.facts();
    let b = board_of(nodes);
    for (at, (_, small, pages)) in f.nodes.iter_mut().zip(nodes) {
        at.memory = MiB(small + 2 * pages);
        at.hugepages = vec![HugePages { size: PageSize::Huge2M, total: *pages, free: *pages }];
    }
    for n in &b.nodes {
        let core = |(id, c): (usize, &Core)| host::Core { socket: n.id, node: NodeId(n.id), id: id as u16, threads: c.cpus.clone() };
        f.cores.extend(n.cores.iter().enumerate().map(core));
    }
    f.mhz = Some(1000);
    f
}

/// A card on the physical network `wan`.
pub(super) fn card(n: u8, node: Option<u16>, vfs: usize, mbps: Option<u32>) -> Card {
    Card {
        address: PciAddr::new(0, n + 1, 0, 0).expect("an address"),
        name: smol_str::format_smolstr!("ens{n}"),
        node,
        physical: Some("wan".into()),
        vendor: 0x8086,
        device: 0x1592,
        mbps,
        vfs: (0..vfs as u16).map(|v| (v, PciAddr::new(0, n + 1, 16 + (v / 8) as u8, (v % 8) as u8).expect("an address"))).collect(),
        shared: Ok(()),
        whole: Ok(()),
    }
}

/// A strict guest of cells of (vCPUs, MiB).
pub(super) fn guest(name: &str, cells: &[(u16, u64)], cpus: CpuWish) -> GuestAsk {
    let mut next = 0;
    let cell = |(vcpus, memory): &(u16, u64)| {
        next += vcpus;
        CellAsk { vcpus: (next - vcpus..next).collect(), memory: MiB(*memory), cpus }
    };
    GuestAsk {
        name: name.into(),
        cells: cells.iter().map(cell).collect(),
        pages: PageWish::Small,
        strict: true,
        emulator_alone: false,
        reserve_mhz: 0,
        devices: Vec::new(),
        together: Vec::new(),
        apart: Vec::new(),
    }
}

pub(super) fn net(physical: &str, vf: bool) -> DeviceAsk {
    let physical = physical.into();
    let kind = if vf { DeviceKind::Vf { physical } } else { DeviceKind::Pf { physical } };
    DeviceAsk { wish: "wan".into(), kind, mbps: 0, near: false }
}

pub(super) fn held_of(ask: &GuestAsk, p: &Placed) -> Vec<Held> {
    let one = |(n, at): (usize, &crate::model::place::Placement)| Held {
        guest: VnfcId(uuid::Uuid::from_u128(n as u128 + 1)),
        name: ask.name.clone(),
        at: at.clone(),
        given: Vec::new(),
    };
    p.guests.iter().enumerate().map(one).collect()
}

/// Two nodes of four cores with two threads each, 64 MiB in small and 32 MiB in 2 MiB pages.
pub(super) fn twin_nodes() -> Board {
    board_of(&[(vec![2; 4], 64, 16), (vec![2; 4], 64, 16)])
}

fn place_one(board: &Board, held: &[Held], ask: GuestAsk) -> Result<Placement> {
    place(board, held, &[ask]).map(|mut p| p.guests.remove(0))
}

fn pins(p: &Placement) -> String {
    p.cells.iter().map(|c| c.pins.iter().map(|(_, cpu)| *cpu).collect::<CpuSet>().to_string()).collect::<Vec<_>>().join(" | ")
}

#[test]
fn each_thread_policy_gets_its_cpus_and_idle_siblings() {
    for (wish, cpus, idle) in
        [(CpuWish::Threads, "0-2", ""), (CpuWish::Separate, "0,2,4", ""), (CpuWish::Cores, "0,2,4", "1,3,5"), (CpuWish::Pairs, "0-2", "3")]
    {
        let at = place_one(&twin_nodes(), &[], guest("g", &[(3, 8)], wish)).expect("a place");
        assert_eq!((pins(&at).as_str(), at.cells[0].idle.to_string().as_str()), (cpus, idle), "{wish:?}");
    }
    let f = place_one(&twin_nodes(), &[], guest("g", &[(1, 8)], CpuWish::NoSiblings)).expect_err("all cores have siblings");
    assert!(f.reasons()[0].contains("0 cores without a sibling thread free, 1 wanted"), "{f}");
}

#[test]
fn the_hosts_reserve_is_never_handed_out() {
    let mut b = twin_nodes();
    b.reserved = "0-1,8".parse().expect("CPUs");
    let all = place(&b, &[], &[guest("a", &[(6, 8)], CpuWish::Threads), guest("b", &[(7, 8)], CpuWish::Threads)]).expect("a place");
    let held: CpuSet = all.guests.iter().flat_map(|g| g.held_cpus().iter().collect::<Vec<_>>()).collect();
    assert_eq!(held.to_string(), "2-7,9-15");
    let f = place(&b, &[], &[guest("a", &[(8, 8)], CpuWish::Threads)]).expect_err("more than is left");
    assert_eq!(
        f.reasons(),
        ["a: node 0: 6 CPUs free to pin to, 8 wanted (2 more would do)", "a: node 1: 7 CPUs free to pin to, 8 wanted (1 more would do)"]
    );
}

#[test]
fn isolated_cpus_are_for_pinning_and_the_others_for_floating() {
    let mut b = twin_nodes();
    b.isolated = "4-7".parse().expect("CPUs");
    let p = place(&b, &[], &[guest("dpdk", &[(2, 8)], CpuWish::Pairs), guest("web", &[(2, 8)], CpuWish::Floating)]).expect("a place");
    assert_eq!(pins(&p.guests[0]), "4-5");
    assert_eq!(p.guests[0].emulator.to_string(), "0-3");
    assert_eq!(p.guests[1].cells[0].float.to_string(), "0-3");
}

#[test]
fn all_or_none_and_the_reasons_of_the_one_that_is_over() {
    let b = twin_nodes();
    let asks: Vec<GuestAsk> = ["a", "b", "c"].iter().map(|n| guest(n, &[(3, 8)], CpuWish::Cores)).collect();
    let f = place(&b, &[], &asks).expect_err("three of three cores on two nodes of four");
    assert_eq!(f.text(), "this host has a place for c alone, but not beside a, b");
    assert_eq!(
        f.reasons(),
        [
            "c: node 0: 1 of 4 cores whole and free, 3 wanted (2 more would do)",
            "c: node 1: 1 of 4 cores whole and free, 3 wanted (2 more would do)"
        ]
    );
}

#[test]
fn a_cell_is_near_its_nic_before_cores_are_saved() {
    let mut b = twin_nodes();
    b.cards = vec![card(0, Some(1), 4, Some(10_000))];
    let busy = place(&b, &[], &[guest("busy", &[(4, 8)], CpuWish::Threads)]).expect("a place");
    let held = held_of(&guest("busy", &[(4, 8)], CpuWish::Threads), &busy);
    assert_eq!(held[0].at.cells[0].node, 0);
    let mut a = guest("a", &[(2, 8)], CpuWish::Threads);
    assert_eq!(place_one(&b, &held, a.clone()).expect("a place").cells[0].node, 0, "node 1 stays whole");
    a.devices = vec![net("wan", true)];
    let at = place_one(&b, &held, a).expect("a place");
    assert_eq!(at.cells[0].node, 1);
    assert_eq!(at.text(), "node 1: vCPUs 0-1 on CPUs 8,9, 8 MiB in 4 KiB pages; wan: VF 0 of ens0 (0000:01:10.0)");
}

#[test]
fn a_guest_of_two_cells_is_near_a_nic_that_one_of_them_is_near() {
    let mut b = twin_nodes();
    b.cards = vec![card(0, Some(1), 4, Some(10_000))];
    let with = |strict, near, cells: &[(u16, u64)]| GuestAsk {
        strict,
        devices: vec![DeviceAsk { near, ..net("wan", true) }],
        ..guest("a", cells, CpuWish::Pairs)
    };
    let found =
        |held: &[Held], ask| place(&b, held, &[ask]).map(|p| (p.guests[0].cells.iter().map(|c| c.node).collect::<Vec<_>>(), p.cost.away));
    // Guests on node 1 that leave so many of its four cores.
    let leaving = |cores: u16| {
        let full =
            GuestAsk { devices: vec![DeviceAsk { near: true, ..net("wan", true) }], ..guest("full", &[(4 - cores, 8)], CpuWish::Cores) };
        held_of(&full, &place(&b, &[], std::slice::from_ref(&full)).expect("a place"))
    };
    for near in [false, true] {
        assert_eq!(found(&[], with(true, near, &[(2, 8), (2, 8)])).expect("a place"), (vec![0, 1], 0), "its second cell is near");
        assert_eq!(found(&[], with(false, near, &[(2, 8), (2, 8)])).expect("a place"), (vec![1, 1], 0), "node 0 stays whole");
        let held = leaving(1);
        assert_eq!(found(&held, with(false, near, &[(2, 8), (2, 8)])).expect("a place"), (vec![0, 1], 0), "by its lowest id");
        assert_eq!(found(&held, with(false, near, &[(4, 8), (2, 8)])).expect("a place"), (vec![0, 1], 0), "by the cell that fits");
        assert_eq!(found(&held, with(false, near, &[(2, 8), (4, 8)])).expect("a place"), (vec![1, 0], 0), "by the cell that fits");
    }
    let held = leaving(0);
    assert_eq!(found(&held, with(false, false, &[(2, 8), (2, 8)])).expect("a place"), (vec![0, 0], 2), "both are away");
    let f = found(&held, with(false, true, &[(2, 8), (2, 8)])).expect_err("none can be near");
    assert_eq!(
        f.reasons(),
        [
            "a (guest node 0): node 1: 0 of 4 cores whole and free, 1 wanted (1 more would do)",
            "a (guest node 1): node 1: 0 of 4 cores whole and free, 1 wanted (1 more would do)",
            "a: wan: one of its guest nodes has to be on node 1, where a card can give a VF on wan",
        ]
    );
}

#[test]
fn vfs_are_chosen_by_bandwidth_and_node_and_refused_card_by_card() {
    let mut b = twin_nodes();
    b.cards = vec![card(0, Some(0), 2, Some(1_000)), card(1, Some(1), 2, Some(10_000)), card(2, Some(0), 0, None)];
    let want = |mbps, near| {
        let mut a = guest("a", &[(2, 8)], CpuWish::Threads);
        a.devices = vec![DeviceAsk { mbps, near, ..net("wan", true) }];
        a
    };
    assert_eq!(place_one(&b, &[], want(600, true)).expect("a place").devices[0].card_name, "ens0");
    assert_eq!(place_one(&b, &[], want(2_000, true)).expect("a place").devices[0].card_name, "ens1");
    let f = place_one(&b, &[], want(20_000, false)).expect_err("too fast");
    assert_eq!(
        f.reasons(),
        [
            "a: wan: ens0 (0000:01:00.0, node 0): 1000 of 1000 Mbit/s left, 20000 wanted (19000 more would do)",
            "a: wan: ens1 (0000:02:00.0, node 1): 10000 of 10000 Mbit/s left, 20000 wanted (10000 more would do)",
            "a: wan: ens2 (0000:03:00.0, node 0): the speed of its link is not known, so no bandwidth can be promised \
             (its link up, or no `bandwidth`, would do)"
        ]
    );
    let mut other = want(0, false);
    other.devices[0].kind = DeviceKind::Vf { physical: "lte".into() };
    let f = place_one(&b, &[], other).expect_err("no such network");
    assert_eq!(
        f.reasons(),
        ["a: wan: no card can give a VF on lte; there are ens0 on wan, ens1 on wan, ens2 on wan \
             (a PF with the network lte in [host] pf would do)"]
    );
}

#[test]
fn a_card_given_whole_is_nobody_elses() {
    let mut b = twin_nodes();
    b.cards = vec![card(0, Some(0), 2, Some(1_000))];
    let with = |d: DeviceAsk| {
        let mut a = guest("a", &[(1, 8)], CpuWish::Threads);
        a.devices = vec![d];
        a
    };
    let held = held_of(&with(net("wan", false)), &place(&b, &[], &[with(net("wan", false))]).expect("a place"));
    let f = place_one(&b, &held, with(net("wan", true))).expect_err("taken");
    assert_eq!(f.reasons(), ["a: wan: ens0 (0000:01:00.0, node 0): a has it for itself (its end, or another card on wan would do)"]);
    let held = held_of(&with(net("wan", true)), &place(&b, &[], &[with(net("wan", true))]).expect("a place"));
    let f = place_one(&b, &held, with(net("wan", false))).expect_err("in use");
    assert_eq!(
        f.reasons(),
        ["a: wan: ens0 (0000:01:00.0, node 0): 1 of its VFs are in use by a (its end, or another card on wan would do)"]
    );
    let mut all = with(net("wan", true));
    all.devices.push(all.devices[0].clone());
    let held = held_of(&all, &place(&b, &[], std::slice::from_ref(&all)).expect("a place"));
    let f = place_one(&b, &held, with(net("wan", true))).expect_err("both are given");
    let spent = "no VF left of 2 (1 more would do: its end, or `vfs` in [host] pf, then `bothy host apply` while none is in use)";
    assert_eq!(f.reasons(), [format!("a: wan: ens0 (0000:01:00.0, node 0): {spent}")]);
    let mut both = with(net("wan", false));
    both.devices.push(both.devices[0].clone());
    let f = place_one(&b, &[], both).expect_err("one card");
    assert_eq!(
        f.reasons(),
        ["a: wan: ens0 (0000:01:00.0, node 0): another NIC of the request has it for itself (another card on wan would do)"]
    );
}

#[test]
fn a_page_of_a_gib_that_a_guest_has_is_nobody_elses() {
    let mut b = twin_nodes();
    b.nodes[1].huge.insert(PageSize::Huge1G, 1);
    let ask = || GuestAsk { pages: PageWish::Exactly(PageSize::Huge1G), ..guest("a", &[(2, 1024)], CpuWish::Threads) };
    let first = place(&b, &[], &[ask()]).expect("a place");
    assert_eq!((first.guests[0].cells[0].node, first.guests[0].page), (1, PageSize::Huge1G));
    let f = place_one(&b, &held_of(&ask(), &first), GuestAsk { name: "b".into(), ..ask() }).expect_err("the page is taken");
    assert!(f.reasons().iter().any(|r| r == "b: node 1: 1 GiB pages: 0 of 1 free, 1 wanted (1 more would do)"), "{:?}", f.reasons());
}

#[test]
fn pages_are_taken_from_the_node_that_has_them() {
    let mut b = twin_nodes();
    b.nodes[0].huge.insert(PageSize::Huge2M, 3);
    let with = |pages, strict| GuestAsk { pages, strict, ..guest("a", &[(2, 16)], CpuWish::Threads) };
    let at = place_one(&b, &[], with(PageWish::Exactly(PageSize::Huge2M), true)).expect("a place");
    assert_eq!((at.cells[0].node, at.page), (1, PageSize::Huge2M));
    let f = place_one(&b, &[], GuestAsk { cells: guest("a", &[(2, 34)], CpuWish::Threads).cells, ..with(PageWish::Large, true) })
        .expect_err("too much");
    assert_eq!(
        f.reasons(),
        [
            "a: node 0: 2 MiB pages: 3 of 3 free, 17 wanted (14 more would do)",
            "a: node 1: 2 MiB pages: 16 of 16 free, 17 wanted (1 more would do)"
        ]
    );
    let f = place_one(&b, &[], with(PageWish::Exactly(PageSize::Huge1G), true)).expect_err("16 MiB in 1 GiB pages");
    assert_eq!(f.reasons(), ["a: memory of 16 MiB is not a whole number of 1 GiB pages: a multiple would fit"]);
    // PREFER_LARGE takes small pages rather than nothing; PREFERRED takes memory from the other node.
    let big = GuestAsk { cells: guest("a", &[(2, 40)], CpuWish::Threads).cells, ..with(PageWish::PreferLarge, true) };
    assert_eq!(place_one(&b, &[], big).expect("a place").page, PageSize::Small);
    let mut other = with(PageWish::Exactly(PageSize::Huge2M), false);
    other.cells[0].vcpus = (0..8).collect();
    let full = GuestAsk { pages: PageWish::Small, ..guest("full", &[(1, 8)], CpuWish::Threads) };
    let held = vec![Held {
        guest: VnfcId(uuid::Uuid::nil()),
        name: "full".into(),
        at: {
            let mut at = place_one(&b, &[], full).expect("a place");
            at.cells[0].node = 1;
            at.cells[0].pins = vec![(0, 8)];
            at
        },
        given: Vec::new(),
    }];
    let at = place_one(&b, &held, other).expect("a place");
    assert_eq!((at.cells[0].node, at.cells[0].memory_node), (0, 1));
}

#[test]
fn groups_bring_guests_together_and_keep_them_apart() {
    let b = twin_nodes();
    let with = |name: &str, together: bool, apart: bool| GuestAsk {
        together: if together { vec!["pair".into()] } else { Vec::new() },
        apart: if apart { vec!["ha".into()] } else { Vec::new() },
        ..guest(name, &[(2, 8)], CpuWish::Cores)
    };
    let nodes = |asks: &[GuestAsk]| place(&b, &[], asks).map(|p| p.guests.iter().map(|g| g.cells[0].node).collect::<Vec<_>>());
    assert_eq!(nodes(&[with("a", false, true), with("b", false, true)]).expect("apart"), [0, 1]);
    assert_eq!(nodes(&[with("a", true, false), with("b", true, false)]).expect("together"), [0, 0]);
    let f = nodes(&[with("a", false, true), with("b", false, true), with("c", false, true)]).expect_err("two nodes");
    assert!(f.reasons()[0].ends_with("a guest of the group ha, whose guests are apart, is on it"), "{f}");
}

#[test]
fn strict_cells_have_nodes_of_their_own_and_too_many_are_refused() {
    let at = place_one(&twin_nodes(), &[], guest("a", &[(2, 8), (2, 8)], CpuWish::Pairs)).expect("a place");
    assert_eq!(pins(&at), "0-1 | 8-9");
    let f = place_one(&twin_nodes(), &[], guest("a", &[(1, 8), (1, 8), (1, 8)], CpuWish::Pairs)).expect_err("three");
    assert!(f.reasons()[0].contains("3 NUMA nodes are wanted on nodes of their own (STRICT), the host has 2"), "{f}");
    let loose = GuestAsk { strict: false, ..guest("a", &[(1, 8), (1, 8), (1, 8)], CpuWish::Threads) };
    assert!(place_one(&twin_nodes(), &[], loose).is_ok());
}

#[test]
fn each_node_of_a_guest_has_cpus_of_its_own_number_and_kind() {
    let with = |cells: &[(u16, u64, CpuWish)]| {
        let mut a = guest("a", &cells.iter().map(|(n, m, _)| (*n, *m)).collect::<Vec<_>>(), CpuWish::Threads);
        a.cells.iter_mut().zip(cells).for_each(|(c, (_, _, wish))| c.cpus = *wish);
        a
    };
    let at = place_one(&twin_nodes(), &[], with(&[(1, 8, CpuWish::Cores), (4, 24, CpuWish::Pairs)])).expect("a place");
    assert_eq!(
        at.text(),
        "node 0: vCPUs 0 on CPUs 0 (1 idle), 8 MiB in 4 KiB pages; node 1: vCPUs 1-4 on CPUs 8,9,10,11, 24 MiB in 4 KiB pages"
    );
    // On one node both are counted together.
    let small = board_of(&[(vec![2; 3], 64, 16)]);
    let both = GuestAsk { strict: false, emulator_alone: true, ..with(&[(1, 8, CpuWish::Threads), (2, 8, CpuWish::Cores)]) };
    let at = place_one(&small, &[], both.clone()).expect("a place");
    assert_eq!((pins(&at).as_str(), at.cells[1].idle.to_string().as_str(), at.emulator.to_string().as_str()), ("4 | 0,2", "1,3", "5"));
    let f = place_one(&small, &[], GuestAsk { cells: with(&[(2, 8, CpuWish::Threads), (2, 8, CpuWish::Cores)]).cells, ..both })
        .expect_err("seven");
    assert!(f.reasons()[0].contains("each of its parts fits on some node, but not all of them at once"), "{f}");
    // What a node lacks is said of the cell that lacks it.
    let f = place_one(&twin_nodes(), &[], with(&[(2, 8, CpuWish::Threads), (5, 8, CpuWish::Cores)])).expect_err("five cores");
    assert_eq!(f.reasons(), [0, 1].map(|n| format!("a (guest node 1): node {n}: 4 of 4 cores whole and free, 5 wanted (1 more would do)")));
}

#[test]
fn parts_that_fit_one_by_one_are_refused_with_what_each_node_and_card_has() {
    let mut b = board_of(&[(vec![2; 1], 10, 0)]);
    b.cards = vec![card(0, Some(0), 4, Some(10_000)), Card { physical: Some("lan".into()), ..card(1, Some(1), 4, None) }];
    let one = GuestAsk { strict: false, devices: vec![net("wan", true)], ..guest("a", &[(2, 8), (2, 8)], CpuWish::Pairs) };
    let f = place_one(&b, &[], one).expect_err("one core for two");
    assert_eq!(
        f.reasons(),
        [
            "a: each of its parts fits on some node, but not all of them at once (a smaller guest would do)",
            "node 0 has: 1 of 1 cores whole and free; 2 CPUs free to pin to; memory: 10 MiB free; 2 MiB pages: 0 of 0 free",
            "ens0 (0000:01:00.0, node 0) has: 4 of 4 VFs free; 10000 of 10000 Mbit/s left",
        ]
    );
}

#[test]
fn emulator_threads_have_a_cpu_of_their_own_where_that_is_wished() {
    let a = GuestAsk { emulator_alone: true, ..guest("a", &[(2, 8)], CpuWish::Cores) };
    let at = place_one(&twin_nodes(), &[], a.clone()).expect("a place");
    assert_eq!((pins(&at).as_str(), at.emulator.to_string().as_str(), at.held_cpus().len()), ("0,2", "4", 6));
    let f = place_one(&twin_nodes(), &[], GuestAsk { cells: guest("a", &[(4, 8)], CpuWish::Cores).cells, ..a }).expect_err("five cores");
    assert!(f.reasons()[0].contains("4 of 4 cores whole and free, 5 wanted, one for the emulator with them"), "{f}");
}

#[test]
fn reserved_cpu_time_and_floating_guests_keep_cpus_from_being_pinned() {
    let b = Board { mhz: Some(2000), ..board_of(&[(vec![1; 4], 64, 0)]) };
    let with = |name, vcpus, reserve_mhz| GuestAsk { reserve_mhz, ..guest(name, &[(vcpus, 8)], CpuWish::Floating) };
    // Five of eight GHz are two and a half CPUs.
    let web = with("web", 3, 5000);
    let held = held_of(&web, &place(&b, &[], std::slice::from_ref(&web)).expect("a place"));
    assert_eq!(held[0].at.reserve_mcpu, 2500);
    assert!(place_one(&b, &held, guest("a", &[(1, 8)], CpuWish::Cores)).is_ok());
    assert!(place_one(&b, &held, guest("a", &[(2, 8)], CpuWish::Cores)).is_err());
    assert!(place_one(&b, &held, with("b", 2, 3000)).is_ok());
    let f = place_one(&b, &held, with("b", 2, 3001)).expect_err("time");
    assert_eq!(f.reasons(), ["b: node 0: CPU time: 3000 of 8000 MHz left to guests that float, 3001 wanted (1 more would do)"]);
}

#[test]
fn cpu_time_is_promised_of_the_node_that_the_guest_is_on() {
    let mut b = Board { mhz: Some(1000), ..twin_nodes() };
    let with = |name: &str, cells: &[(u16, u64)], reserve_mhz| GuestAsk { reserve_mhz, ..guest(name, cells, CpuWish::Floating) };
    let all = place(&b, &[], &[with("a", &[(6, 8)], 6000), with("b", &[(6, 8)], 6000)]).expect("a place");
    assert_eq!(all.guests.iter().map(|g| g.cells[0].node).collect::<Vec<_>>(), [0, 1], "eight CPUs on each");
    let f = place(&b, &[], &[with("a", &[(6, 8)], 6000), with("b", &[(6, 8)], 6000), with("c", &[(3, 8)], 3000)]).expect_err("2 + 2");
    assert_eq!(f.text(), "this host has a place for c alone, but not beside a, b");
    let left = |n| format!("c: node {n}: CPU time: 2000 of 8000 MHz left to guests that float, 3000 wanted (1000 more would do)");
    assert_eq!(f.reasons(), [left(0), left(1)]);
    // Half of it on each, by the vCPUs of its cells.
    assert!(place(&b, &[], &[with("a", &[(6, 8)], 6000), with("b", &[(6, 8)], 6000), with("c", &[(2, 8), (2, 8)], 4000)]).is_ok());
    // Isolated CPUs are nobody's to float over.
    b.isolated = "0-5".parse().expect("CPUs");
    assert_eq!(place_one(&b, &[], with("a", &[(6, 8)], 6000)).expect("a place").cells[0].node, 1);
}

#[test]
fn cpu_time_that_no_cpu_has_and_a_clock_that_is_not_told_are_refusals() {
    let floats = |reserve_mhz| GuestAsk { reserve_mhz, ..guest("a", &[(2, 8)], CpuWish::Floating) };
    let pinned = |reserve_mhz| GuestAsk { reserve_mhz, ..guest("a", &[(2, 8)], CpuWish::Threads) };
    let told = Board { mhz: Some(2400), ..twin_nodes() };
    for ask in [floats(4801), pinned(4801)] {
        let f = place_one(&told, &[], ask).expect_err("more than two CPUs do");
        assert_eq!(f.reasons(), ["a: 4801 MHz are to be reserved, and 2 vCPUs have 4800 MHz at most on this host's CPUs of 2400 MHz"]);
    }
    assert_eq!(place_one(&told, &[], pinned(4800)).expect("a place").reserve_mcpu, 0, "its CPUs are its own");
    let f = place_one(&twin_nodes(), &[], floats(1)).expect_err("no clock");
    assert_eq!(f.reasons(), ["a: 1 MHz are to be reserved, and this host does not tell the clock of its CPUs (`bothy host facts`)"]);
}

#[test]
fn a_search_that_ends_early_says_so_and_still_has_a_place() {
    let b = board_of(&[(vec![2; 7], 64, 0), (vec![2; 7], 64, 0)]);
    let asks: Vec<GuestAsk> = [3, 3, 4].iter().map(|n| guest(&format!("g{n}"), &[(*n, 8)], CpuWish::Cores)).collect();
    let best = place(&b, &[], &asks).expect("a place");
    assert!(best.proven && best.warning().is_none());
    let p = place_within(&b, &[], &asks, 6).expect("a place");
    assert!(!p.proven);
    assert_eq!((best.cost.block, p.cost.block), (4, 3), "3 and 4 cores fill a node, which the first try cannot see");
    assert!(p.warning().expect("a warning").contains("stopped after 6 branches at the best place found"));
    let f = place_within(&b, &[], &asks, 5).expect_err("no time at all");
    assert_eq!(f.text(), "no place for g3, g3, g4 was found before the search's budget ended");
    let has =
        |n| format!("node {n} has: 7 of 7 cores whole and free; 14 CPUs free to pin to; memory: 64 MiB free; 2 MiB pages: 0 of 0 free");
    assert_eq!(f.reasons(), [has(0), has(1), "fewer guests in one request would do: the search looks further at each".into()]);
}

#[test]
fn a_host_that_is_not_known_yet_is_no_refusal_for_good() {
    let f = place(&Board::default(), &[], &[guest("a", &[(1, 8)], CpuWish::Threads)]).expect_err("nothing known");
    assert!(f.is_transient(), "{f}");
}
