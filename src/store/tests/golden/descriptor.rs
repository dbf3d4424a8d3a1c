//! Packages and descriptors, with each variant of what they wish.

use super::*;
use crate::model::{
    artefact::{ArtefactAccess, Artefacts, OutsideArtefact},
    subscription::Auth,
};

pub(super) fn check(g: &Golden) {
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
    g.check("package-links", &package_with_links());
    g.check("package-groups", &package_with_groups());
    g.check("package-paths", &package_with_paths());
    g.check("package-indicators", &package_with_indicators());
    let mut rated = ns_descriptor();
    for l in rated.nsd.iter_mut().flat_map(|n| &mut n.flavours).flat_map(|f| &mut f.links) {
        l.profile = rated_link(LinkKind::Etree);
    }
    g.check("nsd-links", &rated);
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
    for f in with_path.nsd.iter_mut().flat_map(|n| &mut n.flavours) {
        f.paths.iter_mut().for_each(|p| p.drain_s = Some(60));
        let spare = f.paths.iter().flat_map(|p| &p.hops).map(|h| PathHop { kind: HopKind::Stateful, ..h.clone() });
        f.spare = spare.collect();
        let attach = vec![Attach { ext_cp: "lan".into(), link: "lan".into(), addresses: Vec::new() }];
        f.pnfs = vec![Pnf { id: "pnf".into(), pnfd_id: "pnfd".into(), attach }];
    }
    g.check("nsd-spare", &with_path);
    g.check("artefacts", &artefacts());
}

pub(super) fn image(format: ImageFormat) -> SwImage {
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

pub(super) fn link(kind: LinkKind) -> LinkProfile {
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
pub(super) fn rated_link(kind: LinkKind) -> LinkProfile {
    LinkProfile { transparent: true, max_rate: LinkRates { root: Some(10_000_000), leaf: Some(3) }, ..link(kind) }
}

/// One VDU for each variant of each enum, side by side.
pub(super) fn vdus() -> Vec<Vdu> {
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
pub(super) fn wishes() -> Vec<Epa> {
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

pub(super) fn nic_wishes() -> Vec<NicWish> {
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

pub(super) fn package_with_wishes() -> VnfPackage {
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

pub(super) fn package_with_groups() -> VnfPackage {
    let mut p = package();
    for f in p.vnfd.iter_mut().flat_map(|v| &mut v.flavours) {
        let group = |kind| GuestGroup { id: "g".into(), kind, vdus: vec!["vdu0".into()] };
        f.groups = [Apartness::SameNode, Apartness::OtherNode, Apartness::OtherHost].map(group).into();
    }
    p
}

pub(super) fn package_with_paths() -> VnfPackage {
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

pub(super) fn package_with_indicators() -> VnfPackage {
    let mut p = package_with_paths();
    if let Some(v) = &mut p.vnfd {
        let file = GuestFile { vdu: "vdu0".into(), path: "/run/load".into() };
        v.indicators = vec![Indicator { id: "load".into(), source: Some(file) }, Indicator { id: "mood".into(), source: None }];
    }
    p
}

pub(super) fn package_with_links() -> VnfPackage {
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

pub(super) fn vnfd() -> Vnfd {
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
        indicators: Vec::new(),
        own: Vec::new(),
    }
}

pub(super) fn file() -> PackageFile {
    PackageFile { path: "p".into(), sha256: [5; 32], size: Bytes(77), media_type: "text/plain".into() }
}

pub(super) fn package() -> VnfPackage {
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

fn artefacts() -> Artefacts {
    let outside = |file, set| OutsideArtefact { uri: "https://a/b".into(), algorithm: "SHA-256".into(), hash: "00ff".into(), set, file };
    let access = |instead, auth| ArtefactAccess { uri: "https://a/b".into(), instead, auth };
    let auth = Auth::ClientCredentials { client: "c".into(), sealed: vec![1, 2], endpoint: "https://t".into() };
    Artefacts {
        package: VnfPkgId(id(1)),
        project: ProjectId::DEFAULT,
        sets: vec![("Files/x".into(), "prv.set".into())],
        outside: vec![outside(Some(file()), None), outside(None, Some("prv.set".into()))],
        access: vec![access(None, None), access(Some("https://c".into()), Some(auth))],
        revision: 3,
    }
}

pub(super) fn ns_descriptor() -> NsDescriptor {
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
            spare: Vec::new(),
            pnfs: Vec::new(),
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

pub(super) fn classifiers() -> Vec<Classifier> {
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

pub(super) fn path() -> ForwardingPath {
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
        drain_s: None,
    }
}
