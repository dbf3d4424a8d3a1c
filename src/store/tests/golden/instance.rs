//! Instances: VNFs, services, links, chains, what is reserved for them, snapshots.

use crate::model::net::MacAddr;

use super::{
    descriptor::{classifiers, link, rated_link},
    *,
};

pub(super) fn check(g: &Golden) {
    g.check("vnf", &vnf(None));
    g.check("vnf-started", &vnf(Some(body(RunState::Started))));
    g.check("vnf-stopped", &vnf(Some(body(RunState::Stopped))));
    let owner = VnfOwner { account: "orch".into(), base: "https://box:9443".into() };
    g.check("vnf-owned", &VnfInstance { owner: Some(owner), ..vnf(None) });
    g.check("ns", &ns());
    g.check("ns-pnfs", &NsInstance { pnfs: vec![pnf()], ..ns() });

    let owners = [SegmentOwner::Ns(NsId(id(21))), SegmentOwner::Vnf(VnfId(id(20)))];
    for (owner, state) in owners.into_iter().zip([SegmentState::Wanted, SegmentState::Leaving]) {
        g.check(format!("segment-{state:?}"), &segment(owner, state));
    }
    let tagged = Some((PortId(id(10)), 300.try_into().expect("vlan")));
    let stations = [(CpRole::Root, true, Some(5), None), (CpRole::Leaf, false, None, tagged)].map(|(role, guarded, rate_limit, within)| {
        Station { access: Access { role, guarded, rate_limit, within }, ..segment(owners[0], SegmentState::Wanted).stations[0].clone() }
    });
    let of_links = Segment { profile: rated_link(LinkKind::Eline), stations: stations.into(), ..segment(owners[0], SegmentState::Wanted) };
    g.check("segment-links", &of_links);
    let held =
        Reservation { vnf: VnfId(id(20)), project: ProjectId::DEFAULT, vcpus: 2, memory: MiB(600), disk: MiB(99), placed: Vec::new() };
    g.check("reservation", &held);
    for (hop, on_loss, state) in
        [(HopKind::Transparent, OnLoss::Block, ChainState::Wanted), (HopKind::Routed, OnLoss::Bypass, ChainState::Leaving)]
    {
        g.check(format!("chain-{state:?}"), &chain(hop, on_loss, state));
    }
    g.check("chain-changed", &changed_chain());
    for (name, stage) in [("noting", Stage::Noting { until: Stamp(7) }), ("draining", Stage::Draining { until: Stamp(8) })] {
        let mut c = changed_chain();
        let mut old = chain_way();
        old.hops.iter_mut().for_each(|h| h.kind = HopKind::Stateful);
        (c.drain_s, c.handover) = (60, Some(Handover { old, mark: 6, stage }));
        g.check(format!("chain-{name}"), &c);
    }
    let outside = |of, mac| ChainEnd::Outside { of, segment: SegmentId(id(11)), mac };
    let pnf = OutsideOf::Pnf { pnf: "pnf".into(), cp: "lan".into() };
    let ends = Chain {
        from: vec![outside(OutsideOf::Sap("sap".into()), None)],
        to: vec![outside(pnf, Some(MacAddr::planned(7)))],
        ..changed_chain()
    };
    g.check("chain-outside", &ends);
    for (name, page) in [("small", PageSize::Small), ("2M", PageSize::Huge2M), ("1G", PageSize::Huge1G)] {
        g.check(format!("reservation-{name}"), &Reservation { placed: vec![held_guest(page)], ..held.clone() });
    }
    for (name, taken) in [("empty", None), ("taken", Some(taken()))] {
        let record = VnfSnapshot {
            id: SnapshotId(id(41)),
            project: ProjectId::DEFAULT,
            op: taken.is_none().then_some(OpId(id(22))),
            taken,
            created: Stamp(6),
            revision: 2,
        };
        g.check(format!("snapshot-{name}"), &record);
    }
}

pub(super) fn placed(page: PageSize) -> Placed {
    let cpus = |c: &[u16]| c.iter().copied().collect();
    let pci = |a: &str| a.parse().expect("pci");
    Placed {
        cells: vec![
            PlacedCell { vcpus: cpus(&[0]), memory: MiB(256), node: Some(1) },
            PlacedCell { vcpus: cpus(&[1]), memory: MiB(256), node: None },
        ],
        memory_policy: MemPolicy::Preferred,
        page,
        vcpus: vec![cpus(&[4]), cpus(&[0, 1, 300])],
        emulator: cpus(&[2]),
        io_threads: vec![cpus(&[3])],
        idle: cpus(&[5]),
        threads: 1,
        nics: vec![
            PlacedNic::Switch,
            PlacedNic::Vf { addr: pci("01:10.2"), pf: pci("01:00.0"), index: 1, vlan: Some(42.try_into().expect("vlan")) },
            PlacedNic::Pf { addr: pci("0001:02:00.1") },
            PlacedNic::VhostUser,
        ],
        devices: vec![pci("3b:00.0")],
    }
}

pub(super) fn chain(kind: HopKind, on_loss: OnLoss, state: ChainState) -> Chain {
    Chain {
        id: NfpId(id(26)),
        project: ProjectId::DEFAULT,
        ns: NsId(id(21)),
        vnffg: "graph".into(),
        nfp: "path".into(),
        classifiers: classifiers(),
        from: vec![ChainEnd::Cp(CpOf { vnf: VnfId(id(20)), cp: "lan".into() })],
        hops: vec![ChainHop { name: "fw".into(), kind, vnfs: vec![VnfId(id(27))], entry: "left".into(), exit: "right".into() }],
        to: vec![ChainEnd::Cp(CpOf { vnf: VnfId(id(28)), cp: "lan".into() })],
        symmetric: true,
        on_loss,
        state,
        idle: Vec::new(),
        drain_s: DRAIN_S,
        handover: None,
    }
}

pub(super) fn chain_way() -> ChainWay {
    chain(HopKind::Routed, OnLoss::Block, ChainState::Wanted).way()
}

/// One that lost a function.
pub(super) fn changed_chain() -> Chain {
    let c = chain(HopKind::Transparent, OnLoss::Block, ChainState::Wanted);
    Chain { hops: Vec::new(), idle: c.hops.clone(), ..c }
}

pub(super) fn params() -> Params {
    vec![
        ("null".into(), Param::Null),
        ("bool".into(), Param::Bool(true)),
        ("number".into(), Param::Number("1.50".into())),
        ("text".into(), Param::Text("t".into())),
        ("list".into(), Param::List(vec![Param::Null])),
        ("map".into(), Param::Map(vec![("k".into(), Param::Bool(false))])),
    ]
}

pub(super) fn body(run: RunState) -> Body {
    let port = Port {
        id: PortId(id(10)),
        cp: "cp0".into(),
        ext_cp: Some("out".into()),
        segment: SegmentId(id(11)),
        ifname: if_name(IfKind::Guest, &id(10)),
        mac: "02:00:00:00:00:08".parse().expect("mac"),
        addresses: vec!["10.1.0.5".parse().expect("ip"), "2001:db8::5".parse().expect("ip")],
    };
    Body {
        flavour: "df".into(),
        level: "l".into(),
        scale: vec![("a".into(), 1)],
        run,
        vnfcs: vec![Vnfc {
            id: VnfcId(id(12)),
            vdu: "vdu0".into(),
            index: 1,
            hostname: "h".into(),
            vcpus: 2,
            memory: MiB(512),
            disks: vec![VnfcDisk { id: DiskId(id(13)), storage: "root".into(), size: MiB(99), base: Some(([3; 32], ImageFormat::Raw)) }],
            ports: vec![port],
            medium: true,
            graceful_stop_s: Some(9),
        }],
        links: vec![("in".into(), SegmentId(id(14)))],
        own_segments: vec![SegmentId(id(14))],
        ext_cps: vec![ExtCpInst { id: ExtCpId(id(15)), cpd: "out".into(), segment: SegmentId(id(11)), ports: vec![PortId(id(10))] }],
        params: params(),
        ssh_keys: vec!["ssh-ed25519 A".into()],
    }
}

pub(super) fn vnf(body: Option<Body>) -> VnfInstance {
    VnfInstance {
        id: VnfId(id(20)),
        project: ProjectId::DEFAULT,
        ns: Some(NsId(id(21))),
        name: "v".into(),
        description: "d".into(),
        package: VnfPkgId(id(1)),
        vnfd_id: "vnfd".into(),
        provider: "P".into(),
        product_name: "N".into(),
        software_version: "1".into(),
        vnfd_version: "2".into(),
        instantiated: body.is_some(),
        body,
        op: Some(OpId(id(22))),
        priority: 1001,
        metadata: params(),
        extensions: Params::new(),
        configurable: Params::new(),
        created: Stamp(6),
        revision: 4,
        owner: None,
    }
}

pub(super) fn taken() -> Taken {
    let copy = |bytes| DiskCopy {
        disk: DiskId(id(13)),
        copy: DiskId(id(42)),
        storage: "root".into(),
        size: MiB(99),
        base: Some(([3; 32], ImageFormat::Raw)),
        bytes,
    };
    Taken {
        vnf: Box::new(vnf(Some(body(RunState::Started)))),
        guests: vec![GuestCopy {
            vnfc: VnfcId(id(12)),
            vdu: "vdu0".into(),
            index: 1,
            frozen: true,
            disks: vec![copy(None), copy(Some(Bytes(300)))],
        }],
        begun: Stamp(7),
        finished: Some(Stamp(8)),
        user_data: params(),
    }
}

pub(super) fn ns() -> NsInstance {
    NsInstance {
        id: NsId(id(21)),
        project: ProjectId::DEFAULT,
        name: "n".into(),
        description: "d".into(),
        nsd_info: NsdInfoId(id(2)),
        nsd_id: "nsd".into(),
        instantiated: true,
        flavour: Some("df".into()),
        level: Some("l".into()),
        members: vec![NsMember { profile: "m".into(), vnf: VnfId(id(20)), after: vec!["o".into()] }],
        links: vec![("lan".into(), SegmentId(id(11)))],
        saps: vec![("sap".into(), SegmentId(id(11)))],
        params: params(),
        member_params: vec![("m".into(), params())],
        ssh_keys: vec!["k".into()],
        op: Some(OpId(id(22))),
        created: Stamp(7),
        revision: 5,
        pnfs: Vec::new(),
    }
}

pub(super) fn segment(owner: SegmentOwner, state: SegmentState) -> Segment {
    Segment {
        id: SegmentId(id(11)),
        project: ProjectId::DEFAULT,
        owner,
        link: "lan".into(),
        vlan: 42.try_into().expect("vlan"),
        profile: link(LinkKind::Elan),
        host: vec!["10.1.0.1/24".parse().expect("cidr")],
        stations: vec![Station {
            port: PortId(id(10)),
            vnf: VnfId(id(20)),
            mac: "02:00:00:00:00:08".parse().expect("mac"),
            addresses: vec!["10.1.0.5".parse().expect("ip")],
            hostname: "h".into(),
            access: Access::default(),
        }],
        state,
    }
}

pub(super) fn given_vf() -> Given {
    let vf = |vlan, driver: &str| VfSetting {
        vf: "0000:01:10.2".parse().expect("address"),
        pf: "0000:01:00.0".parse().expect("address"),
        index: 1,
        conf: VfConf {
            mac: Some("02:00:00:00:00:08".parse().expect("mac")),
            vlan,
            trust: true,
            spoof_check: false,
            min_rate: Mbps(0),
            max_rate: Mbps(300),
        },
        driver: Some(driver.parse().expect("driver")),
    };
    Given::Vf { want: vf(Some(42.try_into().expect("vlan")), "vfio-pci"), before: vf(None, "igbvf") }
}

pub(super) fn given_whole() -> Given {
    Given::Whole { device: "0000:3b:00.0".parse().expect("address"), before: Some("ice".parse().expect("driver")) }
}

pub(super) fn held_guest(page: PageSize) -> Held {
    let cell = crate::model::place::PlacedCell {
        node: 1,
        memory_node: 0,
        memory: MiB(512),
        vcpus: "0-1".parse().expect("CPUs"),
        pins: vec![(0, 300), (1, 301)],
        idle: "302".parse().expect("CPUs"),
        float: CpuSet::new(),
    };
    let device = PlacedDevice {
        wish: "cp0".into(),
        address: "0000:01:10.2".parse().expect("address"),
        card: "0000:01:00.0".parse().expect("address"),
        card_name: "ens1".into(),
        vf: Some(1),
        mbps: 300,
        alone: true,
        apart: Some("bond".into()),
    };
    let at = Placement {
        page,
        cells: vec![cell],
        emulator: "4".parse().expect("CPUs"),
        emulator_alone: true,
        devices: vec![device],
        reserve_mcpu: 1500,
        together: vec!["t".into()],
        apart: vec!["a".into()],
    };
    Held { guest: VnfcId(id(12)), name: "v/vdu0/1".into(), at, given: vec![given_vf(), given_whole()] }
}

pub(super) fn pnf() -> NsPnf {
    let cp = NsPnfCp {
        cp: "lan".into(),
        segment: Some(SegmentId(id(11))),
        mac: Some(MacAddr::planned(7)),
        addresses: vec!["10.0.0.9".parse().expect("address")],
    };
    NsPnf {
        id: "box-1".into(),
        name: "b".into(),
        profile: "pnf".into(),
        pnfd_id: "pnfd".into(),
        pnfd_info: Some(PnfdInfoId(id(29))),
        cps: vec![cp],
    }
}
