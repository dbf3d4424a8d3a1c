//! Guests with wishes and placements, as domains.

use super::*;
use crate::model::{
    epa::{
        CpuWish, DeviceMatch, DeviceWish, EmulatorPolicy, FeatureWish, MemPolicy, NicAttach, NumaWish, PagePolicy, PinPolicy, Placed,
        PlacedCell, PlacedNic, Quota, Quotas, Topology,
    },
    hw::{CpuSet, PageSize, PciAddr},
};

fn cpus(s: &str) -> CpuSet {
    s.parse().expect("cpus")
}
fn pci(s: &str) -> PciAddr {
    s.parse().expect("pci")
}
fn one_each(list: &[u16]) -> Vec<CpuSet> {
    list.iter().map(|c| std::iter::once(*c).collect()).collect()
}
fn asks(nic: &mut DomainNic, attach: NicAttach) {
    nic.wish.attach = attach;
}
fn vf(index: u16, vlan: Option<u16>) -> PlacedNic {
    let vlan = vlan.map(|v| v.try_into().expect("vlan"));
    PlacedNic::Vf { addr: pci(&format!("0000:01:10.{index}")), pf: pci("0000:01:00.0"), index, vlan }
}

/// Two pinned vCPUs on one host node, 512 MiB of 2 MiB pages, one NIC of the switch and one VF on VLAN 42.
pub fn sriov() -> DomainSpec {
    let mut s = spec();
    asks(&mut s.nics[1], NicAttach::Vf);
    s.epa = Epa { pages: PagePolicy::Large, pinning: PinPolicy::Dedicated, ..Epa::default() };
    s.placed = Some(Placed {
        cells: vec![PlacedCell { vcpus: cpus("0-1"), memory: MiB(512), node: Some(1) }],
        memory_policy: MemPolicy::Strict,
        page: PageSize::Huge2M,
        vcpus: one_each(&[4, 12]),
        emulator: cpus("0-1"),
        io_threads: vec![],
        idle: CpuSet::new(),
        threads: 2,
        nics: vec![PlacedNic::Switch, vf(2, Some(42))],
        devices: vec![],
    });
    s
}

/// Two guest nodes of different sizes, real time, an emulator with a CPU of its own and two I/O threads, one of them there
/// too and one on others.
pub fn numa() -> DomainSpec {
    let mut s = spec();
    s.vcpus = 4;
    s.memory = MiB(3072);
    let placed = [("0-1", 2048, 0), ("2-3", 1024, 1)];
    s.epa = Epa {
        pages: PagePolicy::Size1G,
        pinning: PinPolicy::Dedicated,
        emulator: EmulatorPolicy::Isolate,
        io_threads: 2,
        numa: Some(NumaWish {
            policy: MemPolicy::Preferred,
            cells: placed.iter().map(|(v, m, _)| crate::model::epa::Cell { vcpus: cpus(v), memory: MiB(*m), cores: None }).collect(),
        }),
        real_time: cpus("1-3"),
        locked: true,
        cpu: CpuWish {
            features: vec![("aes".into(), FeatureWish::Require), ("pdpe1gb".into(), FeatureWish::Disable)],
            ..CpuWish::default()
        },
        ..Epa::default()
    };
    s.placed = Some(Placed {
        cells: placed.iter().map(|(v, m, n)| PlacedCell { vcpus: cpus(v), memory: MiB(*m), node: Some(*n) }).collect(),
        memory_policy: MemPolicy::Preferred,
        page: PageSize::Huge1G,
        vcpus: one_each(&[2, 3, 34, 35]),
        emulator: cpus("4"),
        io_threads: vec![cpus("4"), cpus("8-9")],
        idle: cpus("66-67"),
        threads: 1,
        nics: vec![PlacedNic::Switch; 2],
        devices: vec![],
    });
    s
}

/// Every kind of NIC in one guest, one of them at a place of its own, and two PCI devices besides.
pub fn mixed() -> DomainSpec {
    let mut s = spec();
    let kinds = [
        (NicAttach::Vf, vf(1, None)),
        (NicAttach::Switch, PlacedNic::Switch),
        (NicAttach::Pf, PlacedNic::Pf { addr: pci("0000:02:00.0") }),
        (NicAttach::VhostUser, PlacedNic::VhostUser),
        (NicAttach::Vf, vf(3, Some(7))),
        (NicAttach::Switch, PlacedNic::Switch),
    ];
    s.nics = kinds.iter().enumerate().map(|(i, _)| nic(i as u128, NicModel::Virtio)).collect();
    s.nics.iter_mut().zip(&kinds).for_each(|(n, (attach, _))| asks(n, *attach));
    s.nics[1].model = NicModel::E1000;
    s.nics[3].wish.queues = Some(2);
    s.nics[4].wish.vpci = Some(pci("0000:00:0a.0"));
    s.epa.devices = vec![DeviceWish { what: DeviceMatch::Id { vendor: 0x8086, device: 0x0d5d }, count: 2 }];
    s.placed = Some(Placed {
        cells: vec![PlacedCell { vcpus: cpus("0-1"), memory: MiB(512), node: None }],
        memory_policy: MemPolicy::Strict,
        page: PageSize::Small,
        vcpus: vec![],
        emulator: CpuSet::new(),
        io_threads: vec![],
        idle: CpuSet::new(),
        threads: 1,
        nics: kinds.iter().map(|(_, p)| *p).collect(),
        devices: vec![pci("0000:3b:00.0"), pci("0000:3b:00.1")],
    });
    s
}

/// Nothing dedicated: weights, limits, queues and a topology of the descriptor's.
pub fn shared() -> DomainSpec {
    let mut s = spec();
    s.nics[0].wish.queues = Some(2);
    s.disks = vec![disk(0, DiskBus::Virtio), disk(1, DiskBus::Virtio), disk(2, DiskBus::Sata)];
    let limit = |n| Quota { limit: Some(n), ..Quota::default() };
    s.epa = Epa {
        quotas: Quotas {
            cpu: Quota { limit: Some(1000), reserve: None, shares: Some(2048) },
            memory: Quota::default(),
            disk_io: limit(500),
            vif: limit(100),
        },
        io_threads: 2,
        cpu: CpuWish {
            topology: Some(Topology { sockets: 1, cores: 1, threads: 2 }),
            model: Some("Skylake-Server".into()),
            features: vec![],
        },
        ..Epa::default()
    };
    s
}

/// Two guest nodes in small pages whose memory the switch maps.
pub fn vhost_cells() -> DomainSpec {
    let mut s = numa();
    asks(&mut s.nics[1], NicAttach::VhostUser);
    (s.epa.pages, s.epa.locked) = (PagePolicy::Any, false);
    let placed = s.placed.as_mut().expect("placed");
    (placed.page, placed.nics[1]) = (PageSize::Small, PlacedNic::VhostUser);
    s
}

/// One node, its pages of 2 MiB mapped by the switch.
pub fn vhost_large() -> DomainSpec {
    let mut s = sriov();
    asks(&mut s.nics[1], NicAttach::VhostUser);
    s.placed.as_mut().expect("placed").nics[1] = PlacedNic::VhostUser;
    s
}

/// One guest node that would rather have the memory of one node of the host's.
pub fn preferred() -> DomainSpec {
    let mut s = sriov();
    let cell = crate::model::epa::Cell { vcpus: cpus("0-1"), memory: MiB(512), cores: None };
    s.epa.numa = Some(NumaWish { policy: MemPolicy::Preferred, cells: vec![cell] });
    s.placed.as_mut().expect("placed").memory_policy = MemPolicy::Preferred;
    s
}

#[test]
fn nics_of_every_kind_keep_the_descriptors_order() {
    let s = mixed();
    let xml = made(&s, Accel::Kvm, false).xml;
    // Whole ports and other devices are both `hostdev`; the latter are behind all NICs.
    let mut nics = [places(&xml, "interface"), places(&xml, "hostdev")].concat();
    nics.retain(|(slot, _)| (0x02..0x1e).contains(slot));
    nics.sort_unstable();
    assert_eq!(nics, [(0x02, 0), (0x03, 0), (0x04, 0), (0x05, 0), (0x0a, 0), (0x0b, 0)]);
    let macs = attrs(&xml, "mac", "address");
    let want: Vec<String> = s.nics.iter().enumerate().filter(|(i, _)| *i != 2).map(|(_, n)| n.mac.to_string()).collect();
    assert_eq!(macs, want, "in the order of their addresses; a whole port brings its own");
    let at = |mac: &str| xml.find(mac).expect("there");
    assert!(want.windows(2).all(|w| at(&w[0]) < at(&w[1])));
}

#[test]
fn each_io_thread_is_pinned_where_the_placement_says() {
    let pins = |s: &DomainSpec| {
        let xml = made(s, Accel::Kvm, false).xml;
        attrs(&xml, "iothreadpin", "iothread").into_iter().zip(attrs(&xml, "iothreadpin", "cpuset")).collect::<Vec<_>>()
    };
    let pin = |thread: &str, cpus: &str| (thread.to_owned(), cpus.to_owned());
    let mut s = numa();
    assert_eq!(pins(&s), [pin("1", "4"), pin("2", "8-9")]);
    // An empty set leaves a thread to the emulator's CPUs.
    s.placed.as_mut().expect("placed").io_threads[0] = CpuSet::new();
    assert_eq!(pins(&s), [pin("2", "8-9")]);
}

#[test]
fn a_guest_that_is_not_placed_as_it_asked_is_refused_with_each_reason() {
    let reasons = |change: &dyn Fn(&mut DomainSpec)| {
        let mut s = sriov();
        change(&mut s);
        s.misplaced().join("; ")
    };
    assert_eq!(reasons(&|_| {}), "");
    let placed = |s: &mut DomainSpec, f: &dyn Fn(&mut Placed)| f(s.placed.as_mut().expect("placed"));
    type Change<'a> = &'a dyn Fn(&mut DomainSpec);
    let many = |count| vec![DeviceWish { what: DeviceMatch::Id { vendor: 0x8086, device: 0x0d5d }, count }];
    let cases: [(Change<'_>, &str); 9] = [
        (&|s| s.epa.devices = many(9), "it asks for 9 PCI devices, and a guest can have 8; it asks for 9 PCI devices, and 0 were placed"),
        (&|s| s.placed = None, "a virtual function, and was given a port of the switch; it asks for CPUs of its own"),
        (&|s| placed(s, &|p| p.nics[1] = PlacedNic::VhostUser), "was given a vhost-user port"),
        (&|s| placed(s, &|p| p.nics.truncate(1)), "it has 2 NICs, and 1 were placed"),
        (&|s| placed(s, &|p| drop(p.vcpus.pop())), "it has 2 vCPUs, and 1 were placed"),
        (&|s| placed(s, &|p| p.vcpus[0] = cpus("1-2")), "CPUs of its own, and was given none"),
        (&|s| placed(s, &|p| p.page = PageSize::Small), "large pages, and was given pages of 4 KiB"),
        (&|s| placed(s, &|p| p.cells[0].memory = MiB(511)), "511 MiB were placed; cell 0 has 511 MiB, which is no whole number"),
        (&|s| placed(s, &|p| p.devices.push(pci("1:0.0"))), "0 PCI devices, and 1 were placed"),
    ];
    for (change, want) in cases {
        let got = reasons(change);
        assert!(got.contains(want), "{want}: {got}");
    }
}

#[test]
fn another_place_is_another_guest() {
    let a = made(&sriov(), Accel::Kvm, false).meta.spec;
    let mut moved = sriov();
    moved.placed.as_mut().expect("placed").vcpus = one_each(&[5, 13]);
    assert_ne!(a, made(&moved, Accel::Kvm, false).meta.spec);
}
