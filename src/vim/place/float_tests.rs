//! Where guests float, on hosts of two nodes of two cores with two threads each: CPUs 0-3 and 4-7.

use super::{
    ask::CpuWish,
    board::Board,
    float::{Float, check, must_leave},
    place,
    tests::{board_of, guest, held_of},
};
use crate::model::{
    hw::CpuSet,
    place::{Held, PlacedCell, Placement, Thread},
    size::MiB,
};

fn cpus(s: &str) -> CpuSet {
    if s.is_empty() { CpuSet::new() } else { s.parse().expect("cpus") }
}

fn two_nodes(reserved: &str, isolated: &str) -> Board {
    let b = board_of(&[(vec![2; 2], 64, 16), (vec![2; 2], 64, 16)]);
    Board { reserved: cpus(reserved), isolated: cpus(isolated), ..b }
}

/// A guest of cells of (node, CPUs of its vCPUs; empty: two vCPUs that float), and its emulator's own CPU.
fn held(name: &str, cells: &[(u16, &str)], idle: &str, emulator: &str) -> Held {
    let ask = guest(name, &[(1, 1)], CpuWish::Floating);
    let placed = place(&two_nodes("", ""), &[], std::slice::from_ref(&ask)).expect("a place");
    let mut h = held_of(&ask, &placed).remove(0);
    let mut next = 0;
    let cells = cells.iter().map(|(node, pinned)| {
        let n = cpus(pinned).len().max(if pinned.is_empty() { 2 } else { 0 }) as u16;
        let vcpus: CpuSet = (next..next + n).collect();
        next += n;
        let pins = vcpus.iter().zip(cpus(pinned).iter()).collect();
        PlacedCell { node: *node, memory_node: *node, memory: MiB(1), vcpus, pins, idle: cpus(idle), float: CpuSet::new() }
    });
    h.at = Placement { cells: cells.collect(), emulator: cpus(emulator), emulator_alone: !emulator.is_empty(), ..h.at };
    h
}

#[test]
fn guests_float_over_what_is_neither_the_hosts_nor_a_guests_own() {
    // (reserve, isolated, own CPUs, idle siblings, an emulator's own) and where a guest floats: without a place, on node 0,
    // on node 1.
    let cases = [
        ("", "", "", "", "", "0-7", "0-3", "4-7"),
        ("0", "", "", "", "", "1-7", "1-3", "4-7"),
        ("0", "", "4", "", "", "1-3,5-7", "1-3", "5-7"),
        ("0", "", "4", "5", "6", "1-3,7", "1-3", "7"),
        // Nothing on its node: elsewhere rather than on another's.
        ("0-1", "", "4-7", "", "", "2-3", "2-3", "2-3"),
        ("0-3", "", "4", "", "", "5-7", "5-7", "5-7"),
        ("", "4-7", "4", "", "", "0-3", "0-3", "0-3"),
        // Nothing at all: the host's, and never another's while there is any other.
        ("0", "1-3,5-7", "4", "", "", "0", "0", "0"),
        ("0-1", "", "2-7", "", "", "0-1", "0-1", "0-1"),
        ("", "", "0-7", "", "", "0-7", "0-7", "0-7"),
    ];
    for (reserved, isolated, own, idle, emulator, anywhere, first, second) in cases {
        let case = format!("{reserved}/{isolated}/{own}/{idle}/{emulator}");
        let there = if own.is_empty() { Vec::new() } else { vec![held("own", &[(1, own)], idle, emulator)] };
        let f = Float::of(&two_nodes(reserved, isolated), &there);
        assert_eq!(f.anywhere(), &cpus(anywhere), "{case}");
        let free = f.pins_anywhere(3);
        assert_eq!((free.vcpus, free.emulator), (vec![cpus(anywhere); 3], cpus(anywhere)), "{case}");
        let bound = f.pins_of(&held("bound", &[(0, ""), (1, "")], "", "").at);
        let want = [first, first, second, second].map(cpus);
        assert_eq!(bound.vcpus, want, "{case}");
        assert_eq!(bound.emulator, want[0].union(&want[2]), "{case}");
        // Its emulator's own CPU stays, though its vCPUs float.
        let alone = f.pins_of(&held("alone", &[(0, "")], "", "7").at);
        assert_eq!((alone.vcpus, alone.emulator), (vec![want[0].clone(); 2], cpus("7")), "{case}");
    }
}

#[test]
fn pinned_guests_stay_and_their_emulators_keep_off_what_another_gets() {
    let b = two_nodes("0-1", "");
    let first = held("first", &[(0, "2"), (1, "4")], "", "");
    let pins = |with: &[Held]| Float::of(&b, with).pins_of(&first.at);
    let alone = pins(std::slice::from_ref(&first));
    assert_eq!((alone.vcpus, alone.emulator), (vec![cpus("2"), cpus("4")], cpus("3")), "beside its first node's vCPUs");
    let beside = pins(&[first.clone(), held("second", &[(0, "3")], "", "")]);
    assert_eq!((beside.vcpus, beside.emulator), (vec![cpus("2"), cpus("4")], cpus("2,4")), "on its own: nothing else is left there");
}

#[test]
fn a_host_without_a_cpu_to_float_over_says_who_has_them() {
    assert!(check(&Board::default(), &[]).is_ok(), "a host that is not known yet refuses nobody");
    assert!(check(&two_nodes("0-6", ""), &[]).is_ok());
    let e = check(&two_nodes("0-1", "2,4"), &[held("a", &[(0, "3"), (1, "5")], "", ""), held("b", &[(1, "6-7")], "", "")]);
    let e = e.expect_err("nothing is left");
    assert_eq!(e.text(), "this host has no CPU left for guests that float");
    assert_eq!(
        e.reasons(),
        [
            "node 0: CPUs 0-1 are the host's (fewer in [reserve] cpus would do); \
             2 are isolated, for pinned vCPUs only (fewer in [host] isolate would do); 3 are held by a (its end would do)",
            "node 1: CPUs 4 are isolated, for pinned vCPUs only (fewer in [host] isolate would do); \
             5 are held by a (its end would do); 6-7 are held by b (its end would do)",
        ]
    );
}

#[test]
fn the_last_cpu_that_floating_guests_need_is_nobodys() {
    // One core of two threads on each node; (there, asked for too, isolated, wish, its vCPUs by cell) and whether it fits.
    let cases = [
        (false, false, "", CpuWish::Threads, &[2u16, 2][..], true),
        (true, false, "", CpuWish::Threads, &[2, 2], false),
        (true, false, "", CpuWish::Threads, &[2, 1], true),
        (false, true, "", CpuWish::Threads, &[2, 2], false),
        // A core that is kept idle is no more there than one that is pinned to.
        (true, false, "", CpuWish::Cores, &[1, 1], false),
        (true, false, "", CpuWish::Cores, &[1], true),
        // Those that are there lose nothing to isolated CPUs.
        (true, false, "0-3", CpuWish::Threads, &[2, 2], true),
        (false, true, "0-3", CpuWish::Threads, &[1], false),
        (true, true, "2-3", CpuWish::Threads, &[2], true),
    ];
    for (there, asked, isolated, wish, cells, fits) in cases {
        let mut b = board_of(&[(vec![2], 64, 16), (vec![2], 64, 16)]);
        b.isolated = cpus(isolated);
        b.roamers = must_leave(&b, there, asked);
        let a = guest("a", &cells.iter().map(|n| (*n, 1)).collect::<Vec<_>>(), wish);
        let case = format!("{there} {asked} {isolated} {wish:?} {cells:?}");
        match place(&b, &[], &[a]) {
            Ok(p) => assert!(fits, "{case}: {p:?}"),
            Err(f) => {
                assert!(!fits, "{case}: {f}");
                assert!(f.reasons().iter().any(|r| r.contains("guests that float over all of it")), "{case}: {:?}", f.reasons());
            }
        }
    }
    // With what would make it fit.
    let one = Board { roamers: true, ..board_of(&[(vec![1], 64, 16)]) };
    let f = place(&one, &[], &[guest("a", &[(1, 1)], CpuWish::Threads)]).expect_err("its only CPU");
    assert_eq!(f.reasons(), ["a: node 0: no CPU of the host would be left to guests that float over all of it (1 more would do)"]);
}

#[test]
fn threads_that_are_not_where_they_should_be_are_astray() {
    let want = Float::of(&two_nodes("0-1", ""), &[]).pins_anywhere(2);
    let now = [
        (Thread::Vcpu(0), cpus("2-7")),
        (Thread::Vcpu(1), cpus("2")),
        (Thread::Vcpu(2), cpus("0")),
        (Thread::Emulator, CpuSet::new()),
        (Thread::Io(1), cpus("0-7")),
    ];
    let found: Vec<String> = want.astray(&now).iter().map(|a| format!("{} on {} not {}", a.thread, a.on, a.wanted)).collect();
    assert_eq!(found, ["vCPU 1 on 2 not 2-7", "the emulator on  not 2-7", "I/O thread 1 on 0-7 not 2-7"], "a vCPU too many is no guest's");
}
