//! Descriptors and packages of test VNFs and services, as the store holds them.

use smol_str::{SmolStr, format_smolstr};

use super::{IMAGE, fresh};
use crate::model::{
    epa::{Epa, NicAttach, NicWish, PagePolicy, PinPolicy, ThreadPolicy},
    id::{NsdInfoId, ProjectId, VnfPkgId},
    nsd::{Attach, Member, NsAspect, NsFlavour, NsLevel, NsLink, Nsd},
    package::{NsDescriptor, Onboarding, Operational, StoredImage, VnfPackage},
    size::{Bytes, MiB},
    time::Stamp,
    vnfd::{
        Aspect, CpLink, CpRole, Day0, Day0File, Day0Source, Disk, DiskBus, ExtCp, ExtCpThrough, Firmware, Flavour, Forward, ImageFormat,
        IntLink, Layer3, Level, LinkProfile, MediaBus, Medium, NicModel, Readiness, SwImage, Transport, Vdu, VduCp, Vnfd,
    },
};

/// What a test VNF has.
#[derive(Clone)]
pub struct Shape {
    pub vdus: u32,
    /// External connection points `ext0`.. of the first VDU.
    pub ext: u32,
    /// A link inside the VNF that all VDUs are on.
    pub internal: bool,
    pub day0: bool,
    pub memory: u64,
    pub readiness: Readiness,
    pub grace_s: u32,
    /// The first VDU has a VF on the physical network `wan`, VLAN 42, pinned vCPUs and 2 MiB pages.
    pub vf: bool,
    /// It has all of a card on `wan` in place of that VF.
    pub whole: bool,
    /// The first VDU's last NIC is a vhost-user port on the VNF's own link.
    pub vhost: bool,
    /// How many guests the first VDU may have; aspect `more` adds one a step.
    pub most: u32,
    /// The first VDU has an empty volume beside its root disk.
    pub volume: bool,
}
impl Default for Shape {
    fn default() -> Self {
        Shape {
            vdus: 2,
            ext: 2,
            internal: true,
            day0: true,
            memory: 64,
            readiness: Readiness::Running,
            grace_s: 20,
            vf: false,
            whole: false,
            vhost: false,
            most: 1,
            volume: false,
        }
    }
}
impl Shape {
    /// One guest with one disk and two NICs.
    pub fn small() -> Self {
        Shape { vdus: 1, internal: false, day0: false, ..Shape::default() }
    }
    /// One guest with a VF.
    pub fn with_vf() -> Self {
        Shape { vf: true, ..Shape::small() }
    }
}

pub fn vnfd(id: &str, shape: &Shape) -> Vnfd {
    let vdus: Vec<Vdu> = (0..shape.vdus).map(|n| vdu(n, shape)).collect();
    let ext_cps = (0..shape.ext).map(|n| {
        let through = ExtCpThrough::VduCp { vdu: "vdu0".into(), cp: format_smolstr!("nic{n}") };
        ExtCp { id: format_smolstr!("ext{n}"), requirement: format_smolstr!("ext{n}"), description: "".into(), through, management: n == 0 }
    });
    let level =
        Level { id: "default".into(), description: "".into(), counts: vdus.iter().map(|v| (v.id.clone(), 1)).collect(), scale: Vec::new() };
    let link = IntLink { id: "int".into(), description: "".into(), profile: LinkProfile::default() };
    let profile = LinkProfile { physical: Some("wan".into()), segmentation: Some(42), ..LinkProfile::default() };
    let wire = IntLink { id: "wire".into(), description: "".into(), profile };
    let flavour = Flavour {
        id: "df".into(),
        description: "".into(),
        links: shape.internal.then_some(link).into_iter().chain(shape.vf.then_some(wire)).collect(),
        ext_cps: ext_cps.collect(),
        vdus,
        default_level: "default".into(),
        levels: vec![level],
        aspects: (shape.most > 1)
            .then(|| Aspect { id: "more".into(), name: "more".into(), max_level: shape.most, deltas: vec![vec![("vdu0".into(), 1)]] })
            .into_iter()
            .collect(),
        groups: Vec::new(),
        graceful_stop_s: None,
    };
    Vnfd {
        id: id.into(),
        invariant_id: None,
        provider: "P".into(),
        product_name: "N".into(),
        software_version: "1".into(),
        version: "1".into(),
        info_name: id.into(),
        info_description: "".into(),
        vnfm_info: Vec::new(),
        default_flavour: "df".into(),
        flavours: vec![flavour],
        paths: Vec::new(),
        indicators: Vec::new(),
        own: Vec::new(),
    }
}

fn vdu(n: u32, shape: &Shape) -> Vdu {
    let nic = |id: SmolStr, link| VduCp {
        id,
        link,
        model: NicModel::Virtio,
        mac: None,
        port_security: true,
        mtu: None,
        wish: NicWish::default(),
        role: CpRole::default(),
        rate_limit: None,
        subports: Vec::new(),
    };
    let mut nics = Vec::new();
    if n == 0 {
        nics.extend((0..shape.ext).map(|e| nic(format_smolstr!("nic{e}"), CpLink::External(format_smolstr!("ext{e}")))));
    }
    if shape.internal {
        nics.push(nic("inner".into(), CpLink::Internal("int".into())));
    }
    let mut epa = Epa::default();
    if n == 0 && shape.vhost {
        let wish = NicWish { attach: NicAttach::VhostUser, ..NicWish::default() };
        nics.push(VduCp { wish, ..nic("forwarded".into(), CpLink::Internal("int".into())) });
    }
    if n == 0 && shape.vf {
        let wish = match shape.whole {
            false => NicWish { attach: NicAttach::Vf, bandwidth: Some(1000), ..NicWish::default() },
            true => NicWish { attach: NicAttach::Pf, ..NicWish::default() },
        };
        nics.push(VduCp { wish, ..nic("fast".into(), CpLink::Internal("wire".into())) });
        epa = Epa { pinning: PinPolicy::Dedicated, threads: ThreadPolicy::Isolate, pages: PagePolicy::Size2M, ..epa };
    }
    let image = SwImage {
        id: "img".into(),
        name: "img".into(),
        version: "1".into(),
        provider: "P".into(),
        format: ImageFormat::Qcow2,
        path: "img.qcow2".into(),
        sha256: Some(IMAGE),
        min_disk: MiB(64),
        min_ram: MiB(0),
    };
    let day0 = Day0 {
        medium: Medium::NoCloud,
        bus: MediaBus::Cdrom,
        label: None,
        files: vec![Day0File {
            path: "user-data".into(),
            source: Day0Source::Inline("#cloud-config\nhostname: {{ hostname }}\n".into()),
            template: true,
        }],
        defaults: Vec::new(),
    };
    Vdu {
        id: format_smolstr!("vdu{n}"),
        name: format_smolstr!("vdu{n}"),
        description: "".into(),
        vcpus: 1,
        memory: MiB(shape.memory),
        firmware: Firmware::Bios,
        disks: [Disk { id: "root".into(), size: MiB(64), image: Some(image), bus: DiskBus::Virtio }]
            .into_iter()
            .chain((n == 0 && shape.volume).then(|| Disk { id: "data".into(), size: MiB(32), image: None, bus: DiskBus::Virtio }))
            .collect(),
        nics,
        readiness: shape.readiness.clone(),
        boot_grace_s: shape.grace_s,
        min_instances: 1,
        max_instances: if n == 0 { shape.most } else { 1 },
        day0: shape.day0.then_some(day0),
        epa,
    }
}

pub fn package(vnfd: Vnfd) -> VnfPackage {
    let image = StoredImage {
        id: "img".into(),
        sha256: IMAGE,
        format: ImageFormat::Qcow2,
        size: Bytes(1 << 20),
        virtual_size: MiB(64),
        stored_at: Stamp(1),
    };
    VnfPackage {
        id: VnfPkgId(fresh()),
        project: ProjectId::DEFAULT,
        onboarding: Onboarding::Onboarded,
        operational: Operational::Enabled,
        users: 0,
        vnfd: Some(vnfd),
        vnfd_path: "vnfd.yaml".into(),
        manifest_path: None,
        archive: None,
        files: Vec::new(),
        images: vec![image],
        failure: None,
        user_data: Vec::new(),
        created: Stamp(1),
        revision: 1,
    }
}

/// Members by (id, VNFD, those they start after), on a managed link with DHCP and NAT (`ext0`) and
/// a plain one (`ext1`).
pub fn nsd(id: &str, members: &[(&str, &str, &[&str])]) -> Nsd {
    let attach = |cp: &str, link: &str| Attach { ext_cp: cp.into(), link: link.into(), addresses: Vec::new() };
    let wide = |cidr: &str, dhcp| Layer3 { cidr: cidr.parse().expect("cidr"), gateway: None, dhcp, pools: Vec::new(), dns: Vec::new() };
    let forwards = members.first().map(|(to, _, _)| Forward { proto: Transport::Tcp, host_port: 8080, to: (*to).into(), to_port: 80 });
    let mgmt = LinkProfile {
        management: true,
        nat: true,
        layer3: vec![wide("10.20.0.0/20", true)],
        forwards: forwards.into_iter().collect(),
        ..LinkProfile::default()
    };
    let lan = LinkProfile { layer3: vec![wide("192.168.0.0/20", false)], ..LinkProfile::default() };
    let link = |id: &str, profile| NsLink { id: id.into(), description: "".into(), profile };
    let members: Vec<Member> = members
        .iter()
        .map(|(m, vnfd, after)| Member {
            id: (*m).into(),
            vnfd_id: (*vnfd).into(),
            flavour: None,
            level: None,
            min_instances: 1,
            max_instances: 1,
            attach: vec![attach("ext0", "mgmt"), attach("ext1", "lan")],
            after: after.iter().map(|a| (*a).into()).collect(),
            priority: 0,
        })
        .collect();
    let level = NsLevel { id: "default".into(), description: "".into(), counts: members.iter().map(|m| (m.id.clone(), 1)).collect() };
    let flavour = NsFlavour {
        id: "df".into(),
        members,
        links: vec![link("mgmt", mgmt), link("lan", lan)],
        saps: Vec::new(),
        default_level: "default".into(),
        levels: vec![level],
        paths: Vec::new(),
        aspects: Vec::new(),
        spare: Vec::new(),
        pnfs: Vec::new(),
    };
    Nsd {
        id: id.into(),
        invariant_id: id.into(),
        name: id.into(),
        designer: "D".into(),
        version: "1".into(),
        default_flavour: "df".into(),
        flavours: vec![flavour],
    }
}

/// The same service, of whose first member there may be three; levels `default` and `big` say one and three, and
/// `odd` more than there may be; aspect `more` has one, two and three.
pub fn elastic(mut nsd: Nsd) -> Nsd {
    for f in &mut nsd.flavours {
        let Some(first) = f.members.first_mut() else { continue };
        first.max_instances = 3;
        for (id, n) in [("big", 3), ("odd", 9)] {
            let mut level = NsLevel { id: id.into(), ..f.levels[0].clone() };
            level.counts[0].1 = n;
            f.levels.push(level);
        }
        let levels = (1..=3).map(|n| vec![(f.members[0].id.clone(), n)]).collect();
        f.aspects.push(NsAspect { id: "more".into(), name: "more".into(), levels });
    }
    nsd
}

pub fn ns_descriptor(nsd: Nsd) -> NsDescriptor {
    NsDescriptor {
        id: NsdInfoId(fresh()),
        project: ProjectId::DEFAULT,
        onboarding: Onboarding::Onboarded,
        operational: Operational::Enabled,
        users: 0,
        nsd: Some(nsd),
        nsd_path: "nsd.yaml".into(),
        manifest_path: None,
        archive: None,
        files: Vec::new(),
        packages: Vec::new(),
        failure: None,
        user_data: Vec::new(),
        created: Stamp(1),
        revision: 1,
    }
}
