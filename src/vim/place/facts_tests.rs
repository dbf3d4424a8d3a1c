//! What of a host's facts guests may have: the reserve is nobody's, and what cannot be given is no choice.

use std::collections::BTreeMap;

use super::{
    ask::*,
    board::*,
    facts::*,
    tests::{guest, held_of},
    *,
};
use crate::{
    model::{
        host::{Function, HostFacts, KernelArgs, Mbps, NodeId, PciClass, PortUse},
        hw::PageSize,
        size::MiB,
    },
    sim::machine::{Machine, Model, Nic},
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

/// A PF with two VFs, on a box as a change leaves it.
fn box_with_vfs(change: &dyn Fn(&mut HostFacts)) -> Board {
    let nic = |name, physical| Nic { model: Model::E810, node: NodeId(0), name, physical, total_vfs: 64, vfs: 2, speed: Mbps(25_000) };
    let mut f = Machine { nics: vec![nic("ens1f0", Some("wan")), nic("ens2f0", None)], ..Machine::default() }.facts();
    change(&mut f);
    Board::of(&f, &HostReserve::default())
}

fn without_group(f: &mut HostFacts, of: fn(&Function) -> bool) {
    f.devices.iter_mut().filter(|d| of(&d.function)).for_each(|d| d.iommu_group = None);
}

#[test]
fn what_no_guest_can_be_given_is_refused_at_placement_with_what_would_make_it() {
    let off =
        "the host's IOMMU is off, without which no guest gets a device (`iommu = true` in [host] would do: `bothy host plan` shows how)";
    let no_group = "in no IOMMU group (VT-d or AMD-Vi switched on for it in the firmware would do)";
    let ask = |kind| {
        let mut a = guest("a", &[(1, 8)], CpuWish::Threads);
        a.devices = vec![DeviceAsk { wish: "fast".into(), kind, mbps: 0, near: false }];
        a
    };
    let (vf, pf) = (DeviceKind::Vf { physical: "wan".into() }, DeviceKind::Pf { physical: "wan".into() });
    let said = |change: &dyn Fn(&mut HostFacts), kind: &DeviceKind| match place(&box_with_vfs(change), &[], &[ask(kind.clone())]) {
        Ok(p) => p.guests[0].devices[0].address.to_string(),
        Err(f) => f.reasons().join("\n"),
    };
    let wan = |why: &str| format!("a: fast: ens1f0 (0000:10:00.0, node 0): {why}");
    assert_eq!(said(&|_| {}, &vf), "0000:10:02.0");
    assert_eq!(said(&|_| {}, &pf), "0000:10:00.0");
    let firmware = "the host's IOMMU is off, without which no guest gets a device (its kernel arguments are there: VT-d or AMD-Vi switched on in \
                    the firmware would do)";
    let alone = |f: &mut HostFacts| (f.iommu, f.kernel.args) = (false, KernelArgs::parse("ro intel_iommu=on"));
    for kind in [&vf, &pf] {
        assert_eq!(said(&|f| (f.iommu, f.kernel.args) = (false, KernelArgs::default()), kind), wan(off));
        assert_eq!(said(&alone, kind), wan(off), "the plan has one more");
        assert_eq!(said(&|f| f.iommu = false, kind), wan(firmware));
    }
    let vfs = |f: &mut HostFacts| without_group(f, |d| matches!(d, Function::Vf { .. }));
    assert_eq!(said(&vfs, &vf), wan(&format!("its VFs are {no_group}")));
    assert_eq!(
        said(&|f| without_group(f, |d| matches!(d, Function::Vf { index: 0, .. })), &vf),
        "0000:10:02.1",
        "the one that has a group"
    );
    assert_eq!(said(&|f| without_group(f, |d| matches!(d, Function::Pf(_))), &pf), wan(&format!("it is {no_group}")));
    let none = |f: &mut HostFacts| {
        for d in &mut f.devices {
            if let Function::Pf(pf) = &mut d.function {
                pf.vfs.clear();
            }
        }
    };
    assert_eq!(said(&none, &vf), wan("it has no VFs (1 would do: `vfs` in [host] pf, then `bothy host apply`)"));
    let together = |f: &mut HostFacts| f.devices.iter_mut().for_each(|d| d.iommu_group = Some(1));
    assert_eq!(
        said(&together, &pf),
        wan(
            "it shares an IOMMU group with 0000:10:02.0 and 4 more, which would have to go with it (a slot where it has a group of its own would do)"
        )
    );
    let shared = |with: &str| wan(&format!("its VFs share an IOMMU group with {with} (a slot where each has a group of its own would do)"));
    assert_eq!(said(&together, &vf), shared("0000:10:00.0 and 4 more"));
    // A pair of VFs in one group, a VF with its PF, and one that has only a bridge beside it.
    let into = |f: &mut HostFacts, group, of: &dyn Fn(&Function) -> bool| {
        f.devices.iter_mut().filter(|d| of(&d.function)).for_each(|d| d.iommu_group = Some(group));
    };
    let of_wan = |f: &Function| matches!(f, Function::Vf { pf, .. } if pf.bus() == 0x10);
    assert_eq!(said(&|f| into(f, 7, &of_wan), &vf), shared("0000:10:02.1"));
    let with_pf = |f: &mut HostFacts| into(f, 7, &|d| matches!(d, Function::Pf(_) | Function::Vf { index: 0, .. }));
    assert_eq!(said(&with_pf, &vf), "0000:10:02.1", "the one that is alone");
    let bridge = |f: &mut HostFacts| {
        into(f, 7, &|d| matches!(d, Function::Vf { pf, index: 0 } if pf.bus() == 0x10));
        let mut port = f.devices[0].clone();
        (port.addr, port.class, port.function) = ("0:1.0".parse().expect("address"), PciClass(0x06_0400), Function::Plain);
        port.iommu_group = Some(7);
        f.devices.insert(0, port);
    };
    assert_eq!(said(&bridge, &vf), "0000:10:02.0", "bridges stay with the host");
    let id = DeviceKind::Pci { vendor: 0x8086, device: 0x1592 };
    assert_eq!(said(&|_| {}, &id), "0000:10:00.0");
    let used = |f: &mut HostFacts| f.devices.retain(|d| d.addr.bus() == 0x20);
    assert_eq!(
        said(&used, &id),
        "a: fast: ens2f0 (0000:20:00.0, node 0): the host uses its interface (the interface down, or a `network` for it in [host] pf, would do)"
    );
    // The host's own network is on it, whatever network of guests' it is on as well.
    for (used, why) in [
        (PortUse::DefaultRoute, "the host's default route is by its interface ens1f0 (another for that would do)"),
        (PortUse::Addresses, "the host has addresses on its interface ens1f0 (none there would do)"),
        (PortUse::LegOf("br0".into()), "its interface ens1f0 is a leg of br0 (out of that it would do)"),
    ] {
        let own = |f: &mut HostFacts| f.devices[0].ports[0].used = Some(used.clone());
        assert_eq!(said(&own, &pf), wan(why));
        assert_eq!(said(&own, &vf), "0000:10:02.0", "its functions are guests' all the same");
    }
    let told = |f: &mut HostFacts| f.devices[0].ports[0].used = Some(PortUse::Advertised);
    assert_eq!(said(&told, &pf), said(&|_| {}, &pf), "routers on the network of the guests tell the host as well");
    // Another program has the device, or a function of it.
    let qemu = |f: &mut HostFacts, of: fn(&Function) -> bool| {
        f.devices.iter_mut().filter(|d| of(&d.function)).for_each(|d| d.user = Some("qemu (42)".into()));
    };
    let theirs = |what: &str| format!("qemu (42) has {what}, and is no guest of Bothy's (its end would do)");
    for kind in [&pf, &id] {
        let first = |f: &mut HostFacts| {
            f.devices.retain(|d| d.addr.bus() == 0x10);
            qemu(f, |d| matches!(d, Function::Pf(_)));
        };
        assert_eq!(said(&first, kind), wan(&theirs("it")));
        let second = |f: &mut HostFacts| {
            f.devices.retain(|d| d.addr.bus() == 0x10);
            qemu(f, |d| matches!(d, Function::Vf { index: 1, .. }));
        };
        assert_eq!(said(&second, kind), wan(&theirs("its VF 0000:10:02.1")));
    }
    assert_eq!(said(&|f| qemu(f, |d| matches!(d, Function::Vf { index: 0, .. })), &vf), "0000:10:02.1", "the one that is free");
    assert_eq!(said(&|f| qemu(f, |d| matches!(d, Function::Vf { .. })), &vf), wan("other programs have its VFs (their end would do)"));
    let other = DeviceKind::Pci { vendor: 0x8086, device: 1 };
    assert_eq!(said(&|_| {}, &other), "a: fast: the host has nothing that is the PCI device 8086:0001");
}
