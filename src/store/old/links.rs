//! Before kinds of links had a meaning: links without rates and transparency, connection points
//! without role, rate and trunk, stations without access. The package around a flavour stayed the same
//! for another version.

use std::net::IpAddr;

use serde::Deserialize;
use smol_str::SmolStr;

use crate::model::{
    epa::{Epa, NicWish},
    error::FaultRecord,
    id::{NsdInfoId, PortId, ProjectId, SegmentId, VnfId, VnfPkgId},
    net::{Cidr, MacAddr, VlanId},
    nsd::{self, Member, NsLevel, Sap},
    package::{self, Onboarding, Operational, PackageFile, StoredImage},
    segment::{self, Access, SegmentOwner, SegmentState},
    size::MiB,
    time::Stamp,
    vnfd::{self, Aspect, CpLink, CpRole, Day0, Disk, ExtCp, Firmware, Forward, Layer3, Level, LinkKind, LinkRates, NicModel, Readiness},
};

#[derive(Deserialize)]
pub struct VnfPackage<F> {
    id: VnfPkgId,
    project: ProjectId,
    onboarding: Onboarding,
    operational: Operational,
    users: u32,
    vnfd: Option<Vnfd<F>>,
    vnfd_path: SmolStr,
    manifest_path: Option<SmolStr>,
    archive: Option<PackageFile>,
    files: Vec<PackageFile>,
    images: Vec<StoredImage>,
    failure: Option<FaultRecord>,
    user_data: Vec<(SmolStr, String)>,
    created: Stamp,
    revision: u64,
}
#[derive(Deserialize)]
struct Vnfd<F> {
    id: SmolStr,
    invariant_id: Option<SmolStr>,
    provider: SmolStr,
    product_name: SmolStr,
    software_version: SmolStr,
    version: SmolStr,
    info_name: SmolStr,
    info_description: SmolStr,
    vnfm_info: Vec<SmolStr>,
    default_flavour: SmolStr,
    flavours: Vec<F>,
}
#[derive(Deserialize)]
pub struct Flavour {
    id: SmolStr,
    description: SmolStr,
    vdus: Vec<Vdu>,
    links: Vec<IntLink>,
    ext_cps: Vec<ExtCp>,
    default_level: SmolStr,
    levels: Vec<Level>,
    aspects: Vec<Aspect>,
    graceful_stop_s: Option<u32>,
}
#[derive(Deserialize)]
struct Vdu {
    id: SmolStr,
    name: SmolStr,
    description: SmolStr,
    vcpus: u32,
    memory: MiB,
    firmware: Firmware,
    disks: Vec<Disk>,
    nics: Vec<VduCp>,
    readiness: Readiness,
    boot_grace_s: u32,
    min_instances: u32,
    max_instances: u32,
    day0: Option<Day0>,
    epa: Epa,
}
#[derive(Deserialize)]
struct VduCp {
    id: SmolStr,
    link: CpLink,
    model: NicModel,
    mac: Option<MacAddr>,
    port_security: bool,
    mtu: Option<u16>,
    wish: NicWish,
}
#[derive(Deserialize)]
pub struct IntLink {
    id: SmolStr,
    description: SmolStr,
    profile: LinkProfile,
}
#[derive(Deserialize)]
struct LinkProfile {
    kind: LinkKind,
    layer3: Vec<Layer3>,
    mtu: Option<u16>,
    physical: Option<SmolStr>,
    segmentation: Option<u16>,
    management: bool,
    nat: bool,
    forwards: Vec<Forward>,
}
#[derive(Deserialize)]
pub struct NsDescriptor {
    id: NsdInfoId,
    project: ProjectId,
    onboarding: Onboarding,
    operational: Operational,
    users: u32,
    nsd: Option<Nsd>,
    nsd_path: SmolStr,
    manifest_path: Option<SmolStr>,
    archive: Option<PackageFile>,
    files: Vec<PackageFile>,
    packages: Vec<VnfPkgId>,
    failure: Option<FaultRecord>,
    user_data: Vec<(SmolStr, String)>,
    created: Stamp,
    revision: u64,
}
#[derive(Deserialize)]
struct Nsd {
    id: SmolStr,
    invariant_id: SmolStr,
    name: SmolStr,
    designer: SmolStr,
    version: SmolStr,
    default_flavour: SmolStr,
    flavours: Vec<NsFlavour>,
}
#[derive(Deserialize)]
struct NsFlavour {
    id: SmolStr,
    members: Vec<Member>,
    links: Vec<NsLink>,
    saps: Vec<Sap>,
    default_level: SmolStr,
    levels: Vec<NsLevel>,
}
#[derive(Deserialize)]
struct NsLink {
    id: SmolStr,
    description: SmolStr,
    profile: LinkProfile,
}
#[derive(Deserialize)]
pub struct Segment {
    id: SegmentId,
    project: ProjectId,
    owner: SegmentOwner,
    link: SmolStr,
    vlan: VlanId,
    profile: LinkProfile,
    host: Vec<Cidr>,
    stations: Vec<Station>,
    state: SegmentState,
}
#[derive(Deserialize)]
struct Station {
    port: PortId,
    vnf: VnfId,
    mac: MacAddr,
    addresses: Vec<IpAddr>,
    hostname: SmolStr,
}

impl<F: Into<vnfd::Flavour>> From<VnfPackage<F>> for package::VnfPackage {
    fn from(o: VnfPackage<F>) -> Self {
        package::VnfPackage {
            id: o.id,
            project: o.project,
            onboarding: o.onboarding,
            operational: o.operational,
            users: o.users,
            vnfd: o.vnfd.map(Into::into),
            vnfd_path: o.vnfd_path,
            manifest_path: o.manifest_path,
            archive: o.archive,
            files: o.files,
            images: o.images,
            failure: o.failure,
            user_data: o.user_data,
            created: o.created,
            revision: o.revision,
        }
    }
}

impl<F: Into<vnfd::Flavour>> From<Vnfd<F>> for vnfd::Vnfd {
    fn from(o: Vnfd<F>) -> Self {
        vnfd::Vnfd {
            id: o.id,
            invariant_id: o.invariant_id,
            provider: o.provider,
            product_name: o.product_name,
            software_version: o.software_version,
            version: o.version,
            info_name: o.info_name,
            info_description: o.info_description,
            vnfm_info: o.vnfm_info,
            default_flavour: o.default_flavour,
            flavours: o.flavours.into_iter().map(Into::into).collect(),
            paths: Vec::new(),
            indicators: Vec::new(),
            own: Vec::new(),
        }
    }
}

impl From<Flavour> for vnfd::Flavour {
    fn from(o: Flavour) -> Self {
        vnfd::Flavour {
            id: o.id,
            description: o.description,
            vdus: o.vdus.into_iter().map(Into::into).collect(),
            links: o.links.into_iter().map(Into::into).collect(),
            ext_cps: o.ext_cps,
            default_level: o.default_level,
            levels: o.levels,
            aspects: o.aspects,
            groups: Vec::new(),
            graceful_stop_s: o.graceful_stop_s,
        }
    }
}

impl From<Vdu> for vnfd::Vdu {
    fn from(o: Vdu) -> Self {
        vnfd::Vdu {
            id: o.id,
            name: o.name,
            description: o.description,
            vcpus: o.vcpus,
            memory: o.memory,
            firmware: o.firmware,
            disks: o.disks,
            nics: o.nics.into_iter().map(Into::into).collect(),
            readiness: o.readiness,
            boot_grace_s: o.boot_grace_s,
            min_instances: o.min_instances,
            max_instances: o.max_instances,
            day0: o.day0,
            epa: o.epa,
        }
    }
}

impl From<VduCp> for vnfd::VduCp {
    fn from(o: VduCp) -> Self {
        vnfd::VduCp {
            id: o.id,
            link: o.link,
            model: o.model,
            mac: o.mac,
            port_security: o.port_security,
            mtu: o.mtu,
            wish: o.wish,
            role: CpRole::default(),
            rate_limit: None,
            subports: Vec::new(),
        }
    }
}

impl From<IntLink> for vnfd::IntLink {
    fn from(o: IntLink) -> Self {
        vnfd::IntLink { id: o.id, description: o.description, profile: o.profile.into() }
    }
}
impl From<LinkProfile> for vnfd::LinkProfile {
    fn from(o: LinkProfile) -> Self {
        vnfd::LinkProfile {
            kind: o.kind,
            layer3: o.layer3,
            mtu: o.mtu,
            physical: o.physical,
            segmentation: o.segmentation,
            management: o.management,
            nat: o.nat,
            forwards: o.forwards,
            transparent: false,
            max_rate: LinkRates::default(),
        }
    }
}
impl From<NsDescriptor> for package::NsDescriptor {
    fn from(o: NsDescriptor) -> Self {
        package::NsDescriptor {
            id: o.id,
            project: o.project,
            onboarding: o.onboarding,
            operational: o.operational,
            users: o.users,
            nsd: o.nsd.map(Into::into),
            nsd_path: o.nsd_path,
            manifest_path: o.manifest_path,
            archive: o.archive,
            files: o.files,
            packages: o.packages,
            failure: o.failure,
            user_data: o.user_data,
            created: o.created,
            revision: o.revision,
        }
    }
}
impl From<Nsd> for nsd::Nsd {
    fn from(o: Nsd) -> Self {
        nsd::Nsd {
            id: o.id,
            invariant_id: o.invariant_id,
            name: o.name,
            designer: o.designer,
            version: o.version,
            default_flavour: o.default_flavour,
            flavours: o.flavours.into_iter().map(Into::into).collect(),
        }
    }
}
impl From<NsFlavour> for nsd::NsFlavour {
    fn from(o: NsFlavour) -> Self {
        nsd::NsFlavour {
            id: o.id,
            members: o.members,
            links: o.links.into_iter().map(Into::into).collect(),
            saps: o.saps,
            default_level: o.default_level,
            levels: o.levels,
            paths: Vec::new(),
            aspects: Vec::new(),
            spare: Vec::new(),
            pnfs: Vec::new(),
        }
    }
}
impl From<NsLink> for nsd::NsLink {
    fn from(o: NsLink) -> Self {
        nsd::NsLink { id: o.id, description: o.description, profile: o.profile.into() }
    }
}
impl From<Segment> for segment::Segment {
    fn from(o: Segment) -> Self {
        segment::Segment {
            id: o.id,
            project: o.project,
            owner: o.owner,
            link: o.link,
            vlan: o.vlan,
            profile: o.profile.into(),
            host: o.host,
            stations: o.stations.into_iter().map(Into::into).collect(),
            state: o.state,
        }
    }
}
impl From<Station> for segment::Station {
    /// Guests that run already were promised no guard.
    fn from(o: Station) -> Self {
        let (port, vnf, mac) = (o.port, o.vnf, o.mac);
        segment::Station { port, vnf, mac, addresses: o.addresses, hostname: o.hostname, access: Access::default() }
    }
}
