//! The bytes of every record and of each variant in it, as they are on disk at customers.
//!
//! `golden.txt` has one line for each, `name hex`. A line is never changed: a shape that changes
//! raises its record's version, and the old line is then read by `upgrade` (`assert_reads`). After
//! adding a value, `BOTHY_GOLDEN=print cargo test golden -- --nocapture` prints the lines that are
//! missing.

mod notifications;
mod pnfds;
mod sdn;

use std::{cell::RefCell, collections::BTreeMap};

use smol_str::{SmolStr, format_smolstr};
use uuid::Uuid;

use crate::{
    model::{
        chain::*,
        domain::*,
        epa::*,
        error::{FaultRecord, Kind},
        host::{HostSetting, Mbps, NodeId, PfSetting, VfConf, VfSetting},
        hw::{CpuSet, PageSize, PciAddr},
        id::*,
        ns::*,
        nsd::*,
        op::*,
        package::*,
        param::{Param, Params},
        place::{Given, Held, PlacedDevice, Placement},
        secret::Secret,
        segment::*,
        setup::HostRecord,
        size::{Bytes, MiB},
        snapshot::*,
        step::*,
        time::Stamp,
        vnf::*,
        vnfd::*,
    },
    store::{Record, assert_golden, assert_reads},
};

pub(super) struct Golden {
    lines: RefCell<BTreeMap<&'static str, &'static str>>,
    missing: RefCell<Vec<String>>,
}

impl Golden {
    pub(super) fn check<R: Record + PartialEq + std::fmt::Debug>(&self, name: impl AsRef<str>, value: &R) {
        let name = name.as_ref();
        let found = self.lines.borrow_mut().remove(name);
        match found {
            // Written by a release before: it reads as the same value, which has a line of its own now.
            Some(hex) if !hex.starts_with(&format!("{:02x}", R::VERSION)) => {
                assert_reads(hex, value);
                let versioned = name.rsplit_once("-v").filter(|(_, v)| v.parse::<u8>().is_ok());
                let name = versioned.map_or(name, |(n, _)| n);
                for version in 2..R::VERSION {
                    if let Some(hex) = self.lines.borrow_mut().remove(format!("{name}-v{version}").as_str()) {
                        assert_reads(hex, value);
                    }
                }
                self.check(format!("{name}-v{}", R::VERSION), value);
            }
            Some(hex) => assert_golden(value, hex),
            None => {
                let hex = data_encoding::HEXLOWER.encode(&value.encode().expect("encodes"));
                self.missing.borrow_mut().push(format!("{name} {hex}"));
            }
        }
    }
}

pub(super) fn id(n: u128) -> Uuid {
    Uuid::from_u128(n << 64 | n)
}
fn fault(kind: Kind) -> FaultRecord {
    FaultRecord { kind, text: "no room".into(), reasons: vec!["memory".into()] }
}
fn image(format: ImageFormat) -> SwImage {
    SwImage {
        id: "img".into(),
        name: "Image".into(),
        version: "1.2".into(),
        provider: "P".into(),
        format,
        path: "images/i".into(),
        sha256: Some([3; 32]),
        min_disk: MiB(300),
        min_ram: MiB(128),
    }
}
fn link(kind: LinkKind) -> LinkProfile {
    LinkProfile {
        kind,
        layer3: vec![Layer3 {
            cidr: "10.1.0.0/24".parse().expect("cidr"),
            gateway: Some("10.1.0.1".parse().expect("ip")),
            dhcp: true,
            pools: vec![("10.1.0.10".parse().expect("ip"), "10.1.0.20".parse().expect("ip"))],
            dns: vec!["2001:db8::53".parse().expect("ip")],
        }],
        mtu: Some(1400),
        physical: Some("wan".into()),
        segmentation: Some(300),
        management: true,
        nat: true,
        forwards: vec![
            Forward { proto: Transport::Tcp, host_port: 8080, to: "web".into(), to_port: 80 },
            Forward { proto: Transport::Udp, host_port: 53, to: "web/dns".into(), to_port: 53 },
        ],
        transparent: false,
        max_rate: LinkRates::default(),
    }
}
/// The same with all that a link can say.
fn rated_link(kind: LinkKind) -> LinkProfile {
    LinkProfile { transparent: true, max_rate: LinkRates { root: Some(10_000_000), leaf: Some(3) }, ..link(kind) }
}

/// One VDU for each variant of each enum, side by side.
fn vdus() -> Vec<Vdu> {
    let readiness = [Readiness::Running, Readiness::Agent, Readiness::Serial("login:".into()), Readiness::Tcp(22)];
    let medium = [Medium::NoCloud, Medium::ConfigDrive, Medium::Iso, Medium::Fat];
    let bus = [DiskBus::Virtio, DiskBus::Scsi, DiskBus::Sata, DiskBus::Virtio];
    let models = [NicModel::Virtio, NicModel::E1000, NicModel::E1000e, NicModel::Rtl8139, NicModel::Pcnet];
    let nic = |n: usize, model| VduCp {
        id: format_smolstr!("cp{n}"),
        link: if n == 0 { CpLink::External("out".into()) } else { CpLink::Internal("in".into()) },
        model,
        mac: Some("02:00:00:00:00:07".parse().expect("mac")),
        port_security: n == 0,
        mtu: Some(9000),
        wish: NicWish::default(),
        role: CpRole::Leaf,
        rate_limit: None,
        subports: Vec::new(),
    };
    (0..4)
        .map(|n| Vdu {
            id: format_smolstr!("vdu{n}"),
            name: "VDU".into(),
            description: "what it is".into(),
            vcpus: 2,
            memory: MiB(512),
            firmware: if n % 2 == 0 { Firmware::Bios } else { Firmware::Uefi },
            disks: vec![Disk {
                id: "root".into(),
                size: MiB(1024),
                image: Some(image(if n % 2 == 0 { ImageFormat::Raw } else { ImageFormat::Qcow2 })),
                bus: bus[n],
            }],
            nics: models.iter().enumerate().map(|(i, m)| nic(i, *m)).collect(),
            readiness: readiness[n].clone(),
            boot_grace_s: 300,
            min_instances: 1,
            max_instances: 3,
            day0: Some(Day0 {
                medium: medium[n],
                bus: if n % 2 == 0 { MediaBus::Cdrom } else { MediaBus::Disk },
                label: Some("L".into()),
                files: vec![
                    Day0File { path: "a".into(), source: Day0Source::Inline("x".into()), template: true },
                    Day0File { path: "b".into(), source: Day0Source::Artifact("f/b".into()), template: false },
                ],
                defaults: vec![("k".into(), "v".into())],
            }),
            epa: Epa::default(),
        })
        .collect()
}

/// One for each variant of each wish, side by side.
fn wishes() -> Vec<Epa> {
    let cores = [None, Some(CoreWish::Cores(2)), Some(CoreWish::PairedThreads { pairs: 1, of: vec![(0, 1)] }), Some(CoreWish::Threads(2))];
    let quota = |n| Quota { limit: Some(n), reserve: None, shares: Some(n + 1) };
    let pages = [PagePolicy::Any, PagePolicy::Small, PagePolicy::Large, PagePolicy::Size2M, PagePolicy::Size1G, PagePolicy::PreferLarge];
    let one = |(n, pages): (usize, PagePolicy)| Epa {
        pages,
        pinning: [PinPolicy::Any, PinPolicy::Shared, PinPolicy::Dedicated][n % 3],
        threads: [ThreadPolicy::Prefer, ThreadPolicy::Avoid, ThreadPolicy::Separate, ThreadPolicy::Isolate][n % 4],
        emulator: [EmulatorPolicy::Any, EmulatorPolicy::Share, EmulatorPolicy::Isolate][n % 3],
        io_threads: 1,
        numa: Some(NumaWish {
            policy: [MemPolicy::Strict, MemPolicy::Preferred][n % 2],
            cells: vec![Cell { vcpus: [0, 1].into_iter().collect(), memory: MiB(512), cores: cores[n % 4].clone() }],
        }),
        locality: [Locality::Preferred, Locality::Required][n % 2],
        quotas: Quotas { cpu: quota(1), memory: quota(2), disk_io: quota(3), vif: Quota { reserve: Some(9), ..Quota::default() } },
        devices: vec![
            DeviceWish { what: DeviceMatch::Id { vendor: 0x8086, device: 0x0d5d }, count: 2 },
            DeviceWish { what: DeviceMatch::Name("fec".into()), count: 1 },
        ],
        cpu: CpuWish {
            topology: Some(Topology { sockets: 1, cores: 1, threads: 2 }),
            model: Some("Skylake-Server".into()),
            features: vec![("aes".into(), FeatureWish::Require), ("pmu".into(), FeatureWish::Disable)],
        },
        real_time: [1].into_iter().collect(),
        locked: true,
    };
    pages.into_iter().enumerate().map(one).collect()
}
fn nic_wishes() -> Vec<NicWish> {
    [NicAttach::Switch, NicAttach::Vf, NicAttach::Pf, NicAttach::VhostUser]
        .map(|attach| NicWish {
            attach,
            bandwidth: Some(1000),
            trust: Some(true),
            spoof_check: Some(false),
            queues: Some(4),
            vpci: Some("0000:00:05.0".parse().expect("pci")),
        })
        .into()
}
fn package_with_wishes() -> VnfPackage {
    let (plain, mut p) = (vdus(), package());
    let vdus = wishes().into_iter().map(|epa| {
        let nics = nic_wishes().into_iter().map(|wish| VduCp { wish, ..plain[0].nics[0].clone() });
        Vdu { epa, nics: nics.collect(), ..plain[0].clone() }
    });
    if let Some(v) = &mut p.vnfd {
        v.flavours[0].vdus = vdus.collect();
    }
    p
}
fn package_with_groups() -> VnfPackage {
    let mut p = package();
    for f in p.vnfd.iter_mut().flat_map(|v| &mut v.flavours) {
        let group = |kind| GuestGroup { id: "g".into(), kind, vdus: vec!["vdu0".into()] };
        f.groups = [Apartness::SameNode, Apartness::OtherNode, Apartness::OtherHost].map(group).into();
    }
    p
}
fn package_with_paths() -> VnfPackage {
    let mut p = package_with_groups();
    if let Some(v) = &mut p.vnfd {
        v.paths.push(VersionPath {
            from_vnfd: "vnfd".into(),
            from_flavour: "df".into(),
            to_vnfd: "vnfd-2".into(),
            to_flavour: "large".into(),
            renamed: vec![("vdu0".into(), "gw".into())],
        });
    }
    p
}
fn package_with_links() -> VnfPackage {
    let mut p = package();
    for f in p.vnfd.iter_mut().flat_map(|v| &mut v.flavours) {
        f.links.iter_mut().for_each(|l| l.profile = rated_link(l.profile.kind));
        for nic in f.vdus.iter_mut().flat_map(|v| &mut v.nics) {
            let sub = |link, role| SubCp { id: "sub".into(), link, tag: 300.try_into().expect("vlan"), role };
            nic.role = CpRole::Root;
            nic.rate_limit = Some(1_000_000);
            nic.subports = vec![sub(CpLink::Internal("in".into()), CpRole::Leaf), sub(CpLink::External("out".into()), CpRole::Root)];
        }
    }
    p
}
fn placed(page: PageSize) -> Placed {
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

fn vnfd() -> Vnfd {
    let level = Level { id: "l".into(), description: "d".into(), counts: vec![("vdu0".into(), 1)], scale: vec![("a".into(), 2)] };
    Vnfd {
        id: "vnfd".into(),
        invariant_id: Some("inv".into()),
        provider: "P".into(),
        product_name: "N".into(),
        software_version: "1".into(),
        version: "2".into(),
        info_name: "name".into(),
        info_description: "text".into(),
        vnfm_info: vec!["etsivnfm:v3.3.1".into()],
        default_flavour: "df".into(),
        flavours: vec![Flavour {
            id: "df".into(),
            description: "d".into(),
            vdus: vdus(),
            links: [LinkKind::Elan, LinkKind::Eline, LinkKind::Etree]
                .map(|k| IntLink { id: "in".into(), description: "d".into(), profile: link(k) })
                .into(),
            ext_cps: vec![
                ExtCp {
                    id: "out".into(),
                    requirement: "virtual_link".into(),
                    description: "d".into(),
                    through: ExtCpThrough::VduCp { vdu: "vdu0".into(), cp: "cp0".into() },
                    management: true,
                },
                ExtCp {
                    id: "out2".into(),
                    requirement: "r".into(),
                    description: "d".into(),
                    through: ExtCpThrough::Link("in".into()),
                    management: false,
                },
            ],
            default_level: "l".into(),
            levels: vec![level],
            aspects: vec![Aspect { id: "a".into(), name: "A".into(), max_level: 2, deltas: vec![vec![("vdu0".into(), 1)]] }],
            groups: Vec::new(),
            graceful_stop_s: Some(30),
        }],
        paths: Vec::new(),
    }
}

fn file() -> PackageFile {
    PackageFile { path: "p".into(), sha256: [5; 32], size: Bytes(77), media_type: "text/plain".into() }
}
fn package() -> VnfPackage {
    VnfPackage {
        id: VnfPkgId(id(1)),
        project: ProjectId::DEFAULT,
        onboarding: Onboarding::Onboarded,
        operational: Operational::Enabled,
        users: 2,
        vnfd: Some(vnfd()),
        vnfd_path: "Definitions/v.yaml".into(),
        manifest_path: Some("v.mf".into()),
        archive: Some(file()),
        files: vec![file()],
        images: vec![StoredImage {
            id: "img".into(),
            sha256: [3; 32],
            format: ImageFormat::Qcow2,
            size: Bytes(9),
            virtual_size: MiB(10),
            stored_at: Stamp(11),
        }],
        failure: Some(fault(Kind::Invalid)),
        user_data: vec![("u".into(), "{}".into())],
        created: Stamp(1_790_000_000_000),
        revision: 3,
    }
}
fn ns_descriptor() -> NsDescriptor {
    let nsd = Nsd {
        id: "nsd".into(),
        invariant_id: "inv".into(),
        name: "n".into(),
        designer: "d".into(),
        version: "1".into(),
        default_flavour: "df".into(),
        flavours: vec![NsFlavour {
            id: "df".into(),
            members: vec![Member {
                id: "m".into(),
                vnfd_id: "vnfd".into(),
                flavour: Some("df".into()),
                level: Some("l".into()),
                min_instances: 1,
                max_instances: 2,
                attach: vec![Attach { ext_cp: "out".into(), link: "lan".into(), addresses: vec!["10.1.0.5".parse().expect("ip")] }],
                after: vec!["other".into()],
                priority: 7,
            }],
            links: vec![NsLink { id: "lan".into(), description: "d".into(), profile: link(LinkKind::Elan) }],
            saps: vec![Sap { id: "sap".into(), link: "lan".into() }],
            default_level: "l".into(),
            levels: vec![NsLevel { id: "l".into(), description: "d".into(), counts: vec![("m".into(), 1)] }],
            paths: Vec::new(),
            aspects: Vec::new(),
        }],
    };
    NsDescriptor {
        id: NsdInfoId(id(2)),
        project: ProjectId::DEFAULT,
        onboarding: Onboarding::Onboarded,
        operational: Operational::Enabled,
        users: 1,
        nsd: Some(nsd),
        nsd_path: "n.yaml".into(),
        manifest_path: Some("n.mf".into()),
        archive: Some(file()),
        files: vec![file()],
        packages: vec![VnfPkgId(id(1))],
        failure: Some(fault(Kind::NotFound)),
        user_data: vec![("u".into(), "{}".into())],
        created: Stamp(5),
        revision: 2,
    }
}

fn classifiers() -> Vec<Classifier> {
    let whole = Classifier {
        id: "web".into(),
        vlan: Some(300.try_into().expect("vlan")),
        family: Some(Family::Ipv4),
        proto: Some(IpProto::TCP),
        dscp: Some(46),
        src: Some("10.0.0.0/8".parse().expect("cidr")),
        dst: Some("fd00::/8".parse().expect("cidr")),
        src_ports: Ports::new(1024, 65535),
        dst_ports: Some(Ports::one(80)),
    };
    vec![whole, Classifier { family: Some(Family::Ipv6), ..Classifier::default() }]
}
fn chain(kind: HopKind, on_loss: OnLoss, state: ChainState) -> Chain {
    Chain {
        id: NfpId(id(26)),
        project: ProjectId::DEFAULT,
        ns: NsId(id(21)),
        vnffg: "graph".into(),
        nfp: "path".into(),
        classifiers: classifiers(),
        from: vec![CpOf { vnf: VnfId(id(20)), cp: "lan".into() }],
        hops: vec![ChainHop { name: "fw".into(), kind, vnfs: vec![VnfId(id(27))], entry: "left".into(), exit: "right".into() }],
        to: vec![CpOf { vnf: VnfId(id(28)), cp: "lan".into() }],
        symmetric: true,
        on_loss,
        state,
        idle: Vec::new(),
    }
}
fn chain_way() -> ChainWay {
    chain(HopKind::Routed, OnLoss::Block, ChainState::Wanted).way()
}
/// One that lost a function.
fn changed_chain() -> Chain {
    let c = chain(HopKind::Transparent, OnLoss::Block, ChainState::Wanted);
    Chain { hops: Vec::new(), idle: c.hops.clone(), ..c }
}
fn path() -> ForwardingPath {
    let cp = |member: &str, cp: &str| MemberCp { member: member.into(), cp: cp.into() };
    ForwardingPath {
        id: "path".into(),
        vnffg: "graph".into(),
        classifiers: classifiers(),
        from: cp("client", "lan"),
        hops: vec![PathHop { kind: HopKind::Routed, entry: cp("fw", "left"), exit: cp("fw", "right") }],
        to: cp("web", "lan"),
        symmetric: true,
        on_loss: OnLoss::Bypass,
    }
}

fn params() -> Params {
    vec![
        ("null".into(), Param::Null),
        ("bool".into(), Param::Bool(true)),
        ("number".into(), Param::Number("1.50".into())),
        ("text".into(), Param::Text("t".into())),
        ("list".into(), Param::List(vec![Param::Null])),
        ("map".into(), Param::Map(vec![("k".into(), Param::Bool(false))])),
    ]
}
fn body(run: RunState) -> Body {
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
fn vnf(body: Option<Body>) -> VnfInstance {
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
    }
}
fn taken() -> Taken {
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
fn ns() -> NsInstance {
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
    }
}
fn op(target: Target, kind: OpKind, state: OpState) -> Operation {
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
fn segment(owner: SegmentOwner, state: SegmentState) -> Segment {
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

fn domain() -> DomainSpec {
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

fn placed_domain(n: usize, page: PageSize) -> DomainSpec {
    let nics = nic_wishes().into_iter().map(|wish| DomainNic { wish, ..domain().nics[0].clone() }).collect();
    DomainSpec { nics, epa: wishes()[n].clone(), placed: Some(placed(page)), ..domain() }
}

fn given_vf() -> Given {
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
fn given_whole() -> Given {
    Given::Whole { device: "0000:3b:00.0".parse().expect("address"), before: Some("ice".parse().expect("driver")) }
}
fn held_guest(page: PageSize) -> Held {
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

fn properties_step() -> VnfStep {
    let of = |name: &str, value| Box::new(Properties { extensions: vec![(name.into(), value)], configurable: Vec::new() });
    VnfStep::Properties { before: of("e", Param::Null), after: of("e", Param::Bool(true)) }
}

fn port_move() -> PortMove {
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

fn gone(whole: bool) -> Gone {
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

/// Every step there is. A new variant is added at the end of its enum, and here.
fn package_change() -> PackageChange {
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

fn steps() -> Vec<(&'static str, Step)> {
    let base = BaseImage { sha256: [3; 32], format: ImageFormat::Qcow2 };
    let (segment, guest, disk) = (SegmentId(id(11)), VnfcId(id(12)), DiskId(id(13)));
    let ready = |rule| VnfStep::Ready { vnfc: guest, rule, grace_s: 300, addresses: vec!["10.1.0.5".parse().expect("ip")] };
    let medium = |medium| MediaSpec { vnfc: guest, vnf: VnfId(id(20)), medium, label: Some("L".into()) };
    let media = |of| VnfStep::Medium(medium(of));
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

#[test]
fn records_are_on_disk_as_they_always_were() {
    let lines = include_str!("golden.txt").lines().map(|l| l.split_once(' ').expect("name hex"));
    let g = Golden { lines: RefCell::new(lines.collect()), missing: RefCell::default() };

    g.check("package", &package());
    g.check("package-wishes", &package_with_wishes());
    for o in [Onboarding::Created, Onboarding::Uploading, Onboarding::Processing, Onboarding::Onboarded, Onboarding::Error] {
        let bare = VnfPackage {
            onboarding: o,
            operational: Operational::Disabled,
            vnfd: None,
            manifest_path: None,
            archive: None,
            files: Vec::new(),
            images: Vec::new(),
            failure: None,
            ..package()
        };
        g.check(format!("package-{o:?}"), &bare);
    }
    g.check("nsd", &ns_descriptor());
    g.check("vnf", &vnf(None));
    g.check("vnf-started", &vnf(Some(body(RunState::Started))));
    g.check("vnf-stopped", &vnf(Some(body(RunState::Stopped))));
    g.check("ns", &ns());

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
    let owners = [SegmentOwner::Ns(NsId(id(21))), SegmentOwner::Vnf(VnfId(id(20)))];
    for (owner, state) in owners.into_iter().zip([SegmentState::Wanted, SegmentState::Leaving]) {
        g.check(format!("segment-{state:?}"), &segment(owner, state));
    }
    g.check("package-links", &package_with_links());
    g.check("package-groups", &package_with_groups());
    g.check("package-paths", &package_with_paths());
    let mut rated = ns_descriptor();
    for l in rated.nsd.iter_mut().flat_map(|n| &mut n.flavours).flat_map(|f| &mut f.links) {
        l.profile = rated_link(LinkKind::Etree);
    }
    g.check("nsd-links", &rated);
    let tagged = Some((PortId(id(10)), 300.try_into().expect("vlan")));
    let stations = [(CpRole::Root, true, Some(5), None), (CpRole::Leaf, false, None, tagged)].map(|(role, guarded, rate_limit, within)| {
        Station { access: Access { role, guarded, rate_limit, within }, ..segment(owners[0], SegmentState::Wanted).stations[0].clone() }
    });
    let of_links = Segment { profile: rated_link(LinkKind::Eline), stations: stations.into(), ..segment(owners[0], SegmentState::Wanted) };
    g.check("segment-links", &of_links);
    let held =
        Reservation { vnf: VnfId(id(20)), project: ProjectId::DEFAULT, vcpus: 2, memory: MiB(600), disk: MiB(99), placed: Vec::new() };
    g.check("reservation", &held);
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
    for (hop, on_loss, state) in
        [(HopKind::Transparent, OnLoss::Block, ChainState::Wanted), (HopKind::Routed, OnLoss::Bypass, ChainState::Leaving)]
    {
        g.check(format!("chain-{state:?}"), &chain(hop, on_loss, state));
    }
    g.check("chain-changed", &changed_chain());
    let mut with_path = ns_descriptor();
    for f in with_path.nsd.iter_mut().flat_map(|n| &mut n.flavours) {
        f.paths.push(path());
    }
    g.check("nsd-paths", &with_path);
    for f in with_path.nsd.iter_mut().flat_map(|n| &mut n.flavours) {
        let levels = vec![vec![("m".into(), 1)], vec![("m".into(), 2)]];
        f.aspects.push(NsAspect { id: "a".into(), name: "A".into(), levels });
    }
    g.check("nsd-aspects", &with_path);
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
    g.check("facts", &Facts { revision: 300 });
    let name: SmolStr = "password".into();
    g.check("secret", &Secret { name, project: ProjectId::DEFAULT, sealed: vec![1, 2, 3], created: Stamp(12) });
    for (name, before) in [
        ("pages", HostSetting::HugePages { node: NodeId(1), size: PageSize::Huge1G, pages: 300 }),
        ("vfs", HostSetting::Vfs { pf: PciAddr::new(1, 0x3b, 2, 1).expect("address"), count: 7 }),
        ("governor", HostSetting::Governor { name: "powersave".into(), cpus: [0, 300].into_iter().collect() }),
        ("irq", HostSetting::Irq { number: 300, cpus: [2].into_iter().collect() }),
    ] {
        let record = HostRecord { made: vec![before.clone()], before: vec![before], args_before: Some("iommu=pt".into()) };
        g.check(format!("host_{name}"), &record);
    }
    g.check("secret-of-a-project", &Secret { name: "password".into(), project: ProjectId(id(40)), sealed: vec![1], created: Stamp(12) });
    super::golden_access::access(&g);

    notifications::check(&g);
    pnfds::check(&g);
    sdn::check(&g);

    let missing = g.missing.into_inner();
    if std::env::var("BOTHY_GOLDEN").is_ok_and(|v| v == "print") {
        missing.iter().for_each(|l| println!("GOLDEN {l}"));
        return;
    }
    assert!(missing.is_empty(), "no golden bytes for: {missing:#?}");
    let unused: Vec<_> = g.lines.into_inner().into_keys().collect();
    assert!(unused.is_empty(), "golden bytes that no value has any more: {unused:?}");
}
