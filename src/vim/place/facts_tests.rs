//! What of a host's facts guests may have: the reserve is nobody's.

use std::collections::BTreeMap;

use super::{
    ask::*,
    board::*,
    facts::*,
    tests::{guest, held_of},
    *,
};
use crate::{
    model::{host::HostFacts, hw::PageSize, size::MiB},
    sim::machine::Machine,
};

/// Two nodes of 8 GiB, 1 GiB of it in 2 MiB pages and 2 GiB in pages of 1 GiB each.
fn two_nodes() -> HostFacts {
    let m = Machine {
        cores_per_socket: 4,
        memory: MiB(8 << 10),
        hugepages: vec![(PageSize::Huge2M, 512), (PageSize::Huge1G, 2)],
        ..Machine::default()
    };
    m.facts()
}

fn reserve(memory: u64, pages: &[(u16, PageSize, u64)]) -> HostReserve {
    HostReserve { memory: MiB(memory), pages: pages.iter().map(|(n, p, count)| ((*n, *p), *count)).collect(), ..HostReserve::default() }
}

fn in_pages(name: &str, page: PageSize, memory: u64) -> GuestAsk {
    let pages = if page == PageSize::Small { PageWish::Small } else { PageWish::Exactly(page) };
    GuestAsk { pages, ..guest(name, &[(1, memory)], CpuWish::Threads) }
}

#[test]
fn memory_and_pages_of_the_reserve_are_never_handed_out() {
    use PageSize::{Huge1G, Huge2M, Small};
    // In MiB, what guests get of each node and size.
    let cases = [
        (reserve(0, &[]), Small, [5120, 5120]),
        (reserve(1024, &[]), Small, [4608, 4608]),
        // Of an odd sum no node keeps less than its part.
        (reserve(1001, &[]), Small, [4619, 4619]),
        (reserve(1024, &[]), Huge2M, [1024, 1024]),
        (reserve(0, &[(1, Huge2M, 100)]), Huge2M, [1024, 824]),
        (reserve(512, &[(0, Huge2M, 512), (1, Huge2M, 511)]), Huge2M, [0, 2]),
        (reserve(512, &[(0, Huge1G, 1), (1, Huge2M, 5)]), Huge1G, [1024, 2048]),
        // More than there is: nothing is left, and no other size is touched.
        (reserve(0, &[(0, Huge1G, 9)]), Huge1G, [0, 2048]),
        (reserve(1 << 20, &[]), Small, [0, 0]),
        (reserve(1 << 20, &[]), Huge1G, [2048, 2048]),
    ];
    for (reserve, page, may) in cases {
        let b = Board::of(&two_nodes(), &reserve);
        let step = page.kib().max(1024) / 1024;
        // A guest to each node, that has all of it.
        let mut full: Vec<GuestAsk> =
            may.iter().enumerate().filter(|(_, m)| **m > 0).map(|(n, m)| in_pages(&format!("g{n}"), page, *m)).collect();
        let mut held = Vec::new();
        let mut given: BTreeMap<u16, u64> = BTreeMap::new();
        if !full.is_empty() {
            let p = place(&b, &[], &full).unwrap_or_else(|f| panic!("{reserve:?}, {page}: {f} {:?}", f.reasons()));
            for (node, m) in p.guests.iter().flat_map(Placement::memory) {
                *given.entry(node).or_default() += m.0;
            }
            held = full.iter().zip(&p.guests).flat_map(|(a, at)| held_of(a, &Placed { guests: vec![at.clone()], ..p.clone() })).collect();
        }
        let want: BTreeMap<u16, u64> = (0..).zip(may).filter(|(_, m)| *m > 0).collect();
        assert_eq!(given, want, "{reserve:?}, {page}");
        // Not a page more: beside those, and in a larger one.
        let mut one_more = vec![in_pages("more", page, step)];
        let f = place(&b, &held, &one_more).expect_err("the host's own");
        assert_eq!(f.reasons().len(), 2, "{f}");
        assert!(f.reasons().iter().all(|r| r.contains("1 more would do") || r.contains("1 MiB more would do")), "{:?}", f.reasons());
        if let Some(first) = full.iter_mut().max_by_key(|a| a.cells[0].memory.0) {
            first.cells[0].memory.0 += step;
            one_more = full;
            assert!(place(&b, &[], &one_more).is_err(), "{reserve:?}, {page}");
        }
    }
}
