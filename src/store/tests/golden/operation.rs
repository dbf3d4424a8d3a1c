//! Operations: their plans, each step there is, their journals, and what a change holds besides.

use super::{
    descriptor::{nic_wishes, wishes},
    instance::{body, chain_way, changed_chain, given_vf, given_whole, held_guest, placed, pnf},
    *,
};
use crate::model::abroad::{self, AbroadLink, AbroadStep, AbroadTask};

pub(super) fn check(g: &Golden) {
    let (of_vnf, of_ns) = (Target::Vnf(VnfId(id(20))), Target::Ns(NsId(id(21))));
    for s in VnfOpState::ALL {
        g.check(format!("op-vnf-{}", s.name()), &op(of_vnf, OpKind::Instantiate, OpState::Vnf(s)));
    }
    for s in NsOpState::ALL {
        g.check(format!("op-ns-{}", s.name()), &op(of_ns, OpKind::Instantiate, OpState::Ns(s)));
    }
    for k in [
        OpKind::Instantiate,
        OpKind::Terminate,
        OpKind::Start,
        OpKind::Stop,
        OpKind::ModifyInfo,
        OpKind::Scale,
        OpKind::ScaleToLevel,
        OpKind::Heal,
        OpKind::ReloadPf,
        OpKind::RestorePf,
        OpKind::Update,
        OpKind::CreateSnapshot,
        OpKind::RevertToSnapshot,
        OpKind::ChangeExtConn,
        OpKind::ChangeFlavour,
        OpKind::ChangePackage,
    ] {
        g.check(format!("op-{k:?}"), &op(of_vnf, k, OpState::Vnf(VnfOpState::Processing)));
    }
    let of_pf = Target::Pf(PciAddr::new(1, 0x3b, 2, 1).expect("address"));
    g.check("op-pf", &op(of_pf, OpKind::ReloadPf, OpState::Vnf(VnfOpState::Processing)));
    for c in [CancelMode::Graceful, CancelMode::Forceful] {
        let cancelled = Operation { cancel: Some(c), ..op(of_ns, OpKind::Terminate, OpState::Ns(NsOpState::FailedTemp)) };
        g.check(format!("op-cancel-{c:?}"), &cancelled);
    }
    for k in [Kind::Invalid, Kind::NotFound, Kind::Conflict, Kind::Capacity, Kind::Forbidden, Kind::Transient, Kind::Bug, Kind::Stale] {
        let failed = Operation { error: Some(fault(k)), ..op(of_vnf, OpKind::Stop, OpState::Vnf(VnfOpState::FailedTemp)) };
        g.check(format!("op-error-{k:?}"), &failed);
    }
    for (name, step) in steps() {
        g.check(format!("step-{name}"), &PlanStep { op: OpId(id(22)), index: 300, after: vec![1, 200], step });
    }
    for state in [StepState::Waiting, StepState::Done, StepState::Failed, StepState::Undone] {
        let log = StepLog {
            op: OpId(id(22)),
            index: 4,
            state,
            started: Stamp(10),
            ended: Stamp(11),
            spent_ms: 1,
            tries: 2,
            why: Some("it boots".into()),
            error: Some(fault(Kind::Conflict)),
            boot: u64::MAX,
        };
        g.check(format!("log-{state:?}"), &log);
    }
    let change = Change {
        vnf: VnfId(id(20)),
        op: OpId(id(22)),
        added: vec![VnfcId(id(23))],
        removed: vec![VnfcId(id(24))],
        scale: vec![("workers".into(), 2)],
        level: "small".into(),
    };
    g.check("change", &change);
    let side = |run| Side { body: body(run), placed: vec![held_guest(PageSize::Huge2M)] };
    let remake =
        Remake { vnf: VnfId(id(20)), op: OpId(id(22)), before: side(RunState::Started), after: side(RunState::Stopped), package: None };
    g.check("remake", &remake);
    g.check("remake-package", &Remake { package: Some(package_change()), ..remake });
}

pub(super) fn op(target: Target, kind: OpKind, state: OpState) -> Operation {
    Operation {
        id: OpId(id(22)),
        project: ProjectId::DEFAULT,
        target,
        kind,
        state,
        created: Stamp(8),
        state_entered: Stamp(9),
        request: "{}".into(),
        error: None,
        warnings: vec!["slow".into()],
        cancel: None,
        parent: Some(OpId(id(23))),
        automatic: true,
        plan_format: 1,
        steps: 7,
        attempt: 1,
        sequence: 3,
    }
}

pub(super) fn domain() -> DomainSpec {
    DomainSpec {
        id: VnfcId(id(12)),
        owner: Owner {
            project: ProjectId::DEFAULT,
            ns: Some(NsId(id(21))),
            vnf: VnfId(id(20)),
            op: OpId(id(22)),
            generation: 3,
            vnf_name: "v".into(),
            vdu: "vdu0".into(),
            index: 1,
        },
        vcpus: 2,
        memory: MiB(512),
        firmware: Firmware::Uefi,
        disks: vec![DomainDisk { id: DiskId(id(13)), bus: DiskBus::Scsi, serial: "root".into() }],
        medium: Some(DomainMedium { bus: MediaBus::Disk }),
        nics: vec![DomainNic {
            port: PortId(id(10)),
            ifname: if_name(IfKind::Guest, &id(10)),
            mac: "02:00:00:00:00:08".parse().expect("mac"),
            vlan: 42.try_into().expect("vlan"),
            model: NicModel::E1000,
            mtu: Some(1400),
            wish: NicWish::default(),
        }],
        epa: Epa::default(),
        placed: None,
    }
}

pub(super) fn placed_domain(n: usize, page: PageSize) -> DomainSpec {
    let nics = nic_wishes().into_iter().map(|wish| DomainNic { wish, ..domain().nics[0].clone() }).collect();
    DomainSpec { nics, epa: wishes()[n].clone(), placed: Some(placed(page)), ..domain() }
}

pub(super) fn properties_step() -> VnfStep {
    let of = |name: &str, value| Box::new(Properties { extensions: vec![(name.into(), value)], configurable: Vec::new() });
    VnfStep::Properties { before: of("e", Param::Null), after: of("e", Param::Bool(true)) }
}

pub(super) fn port_move() -> PortMove {
    let seat = |n: u128, address: &str| Seat { segment: SegmentId(id(n)), addresses: vec![address.parse().expect("ip")] };
    PortMove {
        vnfc: VnfcId(id(12)),
        port: PortId(id(51)),
        holder: PortId(id(52)),
        name: "vdu0/0/cp0".into(),
        cpd: "ext0".into(),
        instance: "i".into(),
        before: seat(11, "10.1.0.5"),
        after: seat(53, "2001:db8::5"),
        parted: true,
    }
}

pub(super) fn gone(whole: bool) -> Gone {
    Gone {
        vnfc: VnfcId(id(12)),
        vdu: "vdu0".into(),
        index: 3,
        whole,
        ports: vec![(PortId(id(51)), if_name(IfKind::Guest, &id(51)))],
        disks: vec![(DiskId(id(13)), "root".into())],
        medium: true,
        given: vec![given_whole()],
    }
}

pub(super) fn package_change() -> PackageChange {
    let product = |n: u128, version: &str| Origin {
        package: VnfPkgId(id(n)),
        vnfd_id: format_smolstr!("vnfd-{version}"),
        provider: "P".into(),
        name: "N".into(),
        software_version: version.into(),
        vnfd_version: "1.0".into(),
    };
    PackageChange { before: product(30, "1"), after: product(31, "2") }
}

/// Every step there is.
pub(super) fn steps() -> Vec<(&'static str, Step)> {
    let base = BaseImage { sha256: [3; 32], format: ImageFormat::Qcow2 };
    let (segment, guest, disk) = (SegmentId(id(11)), VnfcId(id(12)), DiskId(id(13)));
    let ready = |rule| VnfStep::Ready { vnfc: guest, rule, grace_s: 300, addresses: vec!["10.1.0.5".parse().expect("ip")] };
    let medium = |medium| MediaSpec { vnfc: guest, vnf: VnfId(id(20)), medium, label: Some("L".into()) };
    let media = |of| VnfStep::Medium(medium(of));
    let abroad = |task| VnfStep::Abroad(Box::new(AbroadStep { vnf: VnfId(id(20)), vnfm: "east".into(), task }));
    let link = AbroadLink {
        cp: "c".into(),
        segment,
        resource: "net-1".into(),
        mac: Some("52:54:00:00:00:01".parse().expect("a MAC")),
        addresses: vec!["10.1.0.5".parse().expect("ip")],
    };
    let own = AbroadLink { mac: None, addresses: Vec::new(), ..link.clone() };
    let params = vec![("p".into(), Param::Bool(true))];
    let start = abroad::Start { flavour: "f".into(), level: "l".into(), vim: Some("v".into()), links: vec![link, own], params };
    let vnf = [
        ("segment", VnfStep::Segment(segment)),
        ("image", VnfStep::Image(base.clone())),
        ("disk", VnfStep::Disk(DiskSpec { id: disk, size: MiB(99), base: Some(base) })),
        ("volume", VnfStep::Disk(DiskSpec { id: disk, size: MiB(99), base: None })),
        ("nocloud", media(Medium::NoCloud)),
        ("config-drive", media(Medium::ConfigDrive)),
        ("iso", media(Medium::Iso)),
        ("fat", media(Medium::Fat)),
        ("define", VnfStep::Define(Box::new(domain()))),
        ("define-small", VnfStep::Define(Box::new(placed_domain(0, PageSize::Small)))),
        ("define-2M", VnfStep::Define(Box::new(placed_domain(1, PageSize::Huge2M)))),
        ("define-1G", VnfStep::Define(Box::new(placed_domain(2, PageSize::Huge1G)))),
        ("start", VnfStep::Start(guest)),
        ("ready-running", ready(Readiness::Running)),
        ("ready-agent", ready(Readiness::Agent)),
        ("ready-serial", ready(Readiness::Serial("login:".into()))),
        ("ready-tcp", ready(Readiness::Tcp(22))),
        ("stop-graceful", VnfStep::Stop { vnfc: guest, graceful_s: Some(60) }),
        ("stop-forceful", VnfStep::Stop { vnfc: guest, graceful_s: None }),
        ("remove-guest", VnfStep::RemoveGuest(guest)),
        ("remove-disk", VnfStep::RemoveDisk(disk)),
        ("remove-medium", VnfStep::RemoveMedium(guest)),
        ("remove-segment", VnfStep::RemoveSegment(segment)),
        ("attach", VnfStep::Attach(segment)),
        ("give-vf", VnfStep::Give { vnfc: guest, given: given_vf() }),
        ("give-whole", VnfStep::Give { vnfc: guest, given: given_whole() }),
        ("take-back-vf", VnfStep::TakeBack(given_vf())),
        ("take-back-whole", VnfStep::TakeBack(given_whole())),
        ("properties", properties_step()),
        (
            "capture",
            VnfStep::Capture { snapshot: SnapshotId(id(41)), guests: vec![Captured { vnfc: guest, disks: vec![(disk, DiskId(id(42)))] }] },
        ),
        (
            "revert-disk",
            VnfStep::RevertDisk { snapshot: SnapshotId(id(41)), vnfc: guest, disk, copy: DiskId(id(42)), kept: DiskId(id(43)) },
        ),
        ("move", VnfStep::Move(Box::new(port_move()))),
        ("redefine", VnfStep::Redefine { before: Box::new(domain()), after: Box::new(DomainSpec { vcpus: 8, medium: None, ..domain() }) }),
        ("grow", VnfStep::Grow { vnfc: guest, disk, to: MiB(4096) }),
        ("rewrite", VnfStep::Rewrite { before: medium(Medium::NoCloud), after: medium(Medium::ConfigDrive) }),
        ("shed", VnfStep::Shed(Box::new(Shed { gone: vec![gone(true), gone(false)], links: vec![(segment, "int".into())] }))),
        ("package", VnfStep::Package(Box::new(package_change()))),
        ("coordinate", VnfStep::Ask(Box::new(super::own::coordinate()))),
        ("configure", VnfStep::Ask(Box::new(crate::model::own::What::Configure))),
        ("abroad-make", abroad(AbroadTask::Make)),
        ("abroad-instantiate", abroad(AbroadTask::Instantiate(Box::new(start)))),
        ("abroad-terminate", abroad(AbroadTask::Terminate { graceful_s: Some(60) })),
        ("abroad-drop", abroad(AbroadTask::Drop)),
        ("abroad-scale", abroad(AbroadTask::Scale { aspect: "a".into(), out: true, steps: 2 })),
        ("abroad-level", abroad(AbroadTask::ScaleToLevel { level: Some("l".into()), aspects: vec![("a".into(), 3)] })),
        ("abroad-heal", abroad(AbroadTask::Heal { anew: true })),
        ("abroad-start", abroad(AbroadTask::Operate { run: RunState::Started, graceful_s: None })),
        ("abroad-stop", abroad(AbroadTask::Operate { run: RunState::Stopped, graceful_s: Some(9) })),
    ];
    let (vnf_id, op) = (VnfId(id(20)), OpId(id(24)));
    let ns = [
        ("ns-segment", NsStep::Segment(segment)),
        ("ns-instantiate", NsStep::Instantiate { vnf: vnf_id, op, undo_op: OpId(id(25)) }),
        ("ns-terminate", NsStep::Terminate { vnf: vnf_id, op }),
        ("ns-remove-segment", NsStep::RemoveSegment(segment)),
        ("ns-alter", NsStep::Alter { vnf: vnf_id, op }),
        ("ns-chain", NsStep::Chain(NfpId(id(26)))),
        ("ns-remove-chain", NsStep::RemoveChain(NfpId(id(26)))),
        ("ns-reroute", NsStep::Reroute { chain: NfpId(id(26)), before: changed_chain().way(), after: chain_way() }),
        (
            "ns-hand-over",
            NsStep::HandOver { chain: NfpId(id(26)), before: changed_chain().way(), after: chain_way(), mark: 6, noting_s: 2, drain_s: 60 },
        ),
        ("ns-pnf", NsStep::Pnf(Box::new(PnfChange { profile: "pnf".into(), before: None, after: Some(pnf()) }))),
        ("ns-change", NsStep::Change { vnf: vnf_id, op }),
    ];
    let user = PfUser { vnf: vnf_id, guest, name: "v/vdu0/1".into(), given: vec![given_vf(), given_whole()], runs: true };
    let setting = |driver: Option<&str>| PfSetting {
        pf: "0000:01:00.0".parse().expect("address"),
        driver: driver.map(|d| d.parse().expect("driver")),
        vfs: 300,
        mtu: driver.map(|_| 9000),
        others: match given_vf() {
            Given::Vf { before, .. } => vec![before],
            Given::Whole { .. } => Vec::new(),
        },
    };
    let pf = [
        ("pf-unplug", PfStep::Unplug { user: user.clone(), within_s: 300, stop_s: 60 }),
        ("pf-reload", PfStep::Reload(setting(Some("igb")))),
        ("pf-restore", PfStep::Restore(setting(None))),
        ("pf-plug", PfStep::Plug(PfUser { runs: false, ..user })),
    ];
    let vnf = vnf.into_iter().map(|(n, s)| (n, Step::Vnf(s)));
    vnf.chain(ns.into_iter().map(|(n, s)| (n, Step::Ns(s)))).chain(pf.into_iter().map(|(n, s)| (n, Step::Pf(s)))).collect()
}
