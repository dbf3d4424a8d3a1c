//! Shapes of records as older releases wrote them, and how they become today's.
//!
//! Owns one module per version of a record that changed. What has not changed since is today's own
//! type. Never: written any more.

mod alarms;
mod aspects;
mod chains;
mod desired;
mod drains;
mod groups;
mod hostnet;
mod indicators;
mod links;
mod own;
mod owners;
mod packages;
mod pnfds;
mod pnfs;

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    record::{decode_body, other_release},
    tables::Table,
};
use crate::model::{
    chain::Chain,
    desired::DesiredRecord,
    error::Result,
    hostnet::HostNetRecord,
    ns::NsInstance,
    package::{NsDescriptor, PnfDescriptor, VnfPackage},
    segment::Segment,
    snapshot::VnfSnapshot,
    step::{PlanStep, Step},
    subscription::Subscription,
    vnf::{Remake, Reservation, VnfInstance},
    vnfd::Flavour,
};

/// Reads `body` in its old shape, if `version` is the one that had it.
fn from<Old: DeserializeOwned, New: From<Old>>(table: Table, known: u8, version: u8, body: &[u8], now: u8) -> Result<New> {
    if version != known {
        return Err(other_release(table, version, now));
    }
    decode_body::<Old>(table, version, body).map(New::from)
}

pub fn package(version: u8, body: &[u8]) -> Result<VnfPackage> {
    match version {
        1 => decode_body::<v1::VnfPackage>(Table::VnfPackage, version, body).map(VnfPackage::from),
        2 => decode_body::<links::VnfPackage<links::Flavour>>(Table::VnfPackage, version, body).map(VnfPackage::from),
        3 => decode_body::<links::VnfPackage<groups::Flavour>>(Table::VnfPackage, version, body).map(VnfPackage::from),
        // Before VNFDs said to which versions a VNF can come.
        4 => decode_body::<links::VnfPackage<Flavour>>(Table::VnfPackage, version, body).map(VnfPackage::from),
        5 => decode_body::<indicators::VnfPackage<indicators::Vnfd>>(Table::VnfPackage, version, body).map(VnfPackage::from),
        _ => from::<indicators::VnfPackage<own::Vnfd>, _>(Table::VnfPackage, 6, version, body, 7),
    }
}
pub fn ns_descriptor(version: u8, body: &[u8]) -> Result<NsDescriptor> {
    match version {
        1 => decode_body::<links::NsDescriptor>(Table::NsDescriptor, version, body).map(NsDescriptor::from),
        2 => decode_body::<chains::NsDescriptor<chains::NsFlavour>>(Table::NsDescriptor, version, body).map(NsDescriptor::from),
        3 => decode_body::<chains::NsDescriptor<aspects::NsFlavour>>(Table::NsDescriptor, version, body).map(NsDescriptor::from),
        _ => from::<chains::NsDescriptor<drains::NsFlavour>, _>(Table::NsDescriptor, 4, version, body, 5),
    }
}
pub fn ns_instance(version: u8, body: &[u8]) -> Result<NsInstance> {
    from::<pnfs::NsInstance, _>(Table::NsInstance, 1, version, body, 2)
}
pub fn pnf_descriptor(version: u8, body: &[u8]) -> Result<PnfDescriptor> {
    from::<pnfds::PnfDescriptor, _>(Table::PnfDescriptor, 1, version, body, 2)
}
pub fn vnf_instance(version: u8, body: &[u8]) -> Result<VnfInstance> {
    from::<owners::VnfInstance, _>(Table::VnfInstance, 1, version, body, 2)
}
pub fn snapshot(version: u8, body: &[u8]) -> Result<VnfSnapshot> {
    from::<owners::VnfSnapshot, _>(Table::Snapshot, 1, version, body, 2)
}
pub fn chain(version: u8, body: &[u8]) -> Result<Chain> {
    match version {
        1 => decode_body::<chains::Chain>(Table::Chain, version, body).map(Chain::from),
        _ => from::<drains::Chain, _>(Table::Chain, 2, version, body, 3),
    }
}
pub fn segment(version: u8, body: &[u8]) -> Result<Segment> {
    from::<links::Segment, _>(Table::Segment, 1, version, body, 2)
}
pub fn plan_step(version: u8, body: &[u8]) -> Result<PlanStep> {
    from::<v1::PlanStep, _>(Table::PlanStep, 1, version, body, 2)
}

pub fn reservation(version: u8, body: &[u8]) -> Result<Reservation> {
    from::<v1::Reservation, _>(Table::Reservation, 1, version, body, 2)
}

pub fn remake(version: u8, body: &[u8]) -> Result<Remake> {
    from::<packages::Remake, _>(Table::Remake, 1, version, body, 2)
}

pub fn hostnet(version: u8, body: &[u8]) -> Result<HostNetRecord> {
    from::<hostnet::HostNetRecord, _>(Table::HostNet, 1, version, body, 2)
}
pub fn desired(version: u8, body: &[u8]) -> Result<DesiredRecord> {
    from::<desired::DesiredRecord, _>(Table::DesiredState, 1, version, body, 2)
}
pub fn subscription(version: u8, body: &[u8]) -> Result<Subscription> {
    match version {
        1 => decode_body::<alarms::Subscription<alarms::Filter>>(Table::Subscription, version, body).map(Subscription::from),
        _ => from::<alarms::Subscription<alarms::WithAlarms>, _>(Table::Subscription, 2, version, body, 3),
    }
}

/// Before platform awareness: guests and NICs without wishes.
mod v1 {
    use std::net::IpAddr;

    use smol_str::SmolStr;

    use super::{Deserialize, links::IntLink};
    use crate::model::{
        domain::{self, BaseImage, DiskSpec, DomainDisk, DomainMedium, MediaSpec, Owner},
        epa::{Epa, NicWish},
        error::FaultRecord,
        id::{DiskId, IfName, OpId, PortId, ProjectId, SegmentId, VnfId, VnfPkgId, VnfcId},
        net::{MacAddr, VlanId},
        package::{self, Onboarding, Operational, PackageFile, StoredImage},
        size::MiB,
        step::{self, NsStep},
        time::Stamp,
        vnf,
        vnfd::{self, Aspect, CpLink, Day0, Disk, ExtCp, Firmware, Level, NicModel, Readiness},
    };

    #[derive(Deserialize)]
    pub struct VnfPackage {
        id: VnfPkgId,
        project: ProjectId,
        onboarding: Onboarding,
        operational: Operational,
        users: u32,
        vnfd: Option<Vnfd>,
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
    struct Vnfd {
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
        flavours: Vec<Flavour>,
    }
    #[derive(Deserialize)]
    struct Flavour {
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
    }
    #[derive(Deserialize)]
    struct VduCp {
        id: SmolStr,
        link: CpLink,
        model: NicModel,
        mac: Option<MacAddr>,
        port_security: bool,
        mtu: Option<u16>,
    }

    #[derive(Deserialize)]
    pub struct PlanStep {
        op: OpId,
        index: u32,
        after: Vec<u32>,
        step: Step,
    }
    #[derive(Deserialize)]
    enum Step {
        Vnf(VnfStep),
        Ns(NsStep),
    }
    #[derive(Deserialize)]
    enum VnfStep {
        Segment(SegmentId),
        Image(BaseImage),
        Disk(DiskSpec),
        Medium(MediaSpec),
        Define(DomainSpec),
        Start(VnfcId),
        Ready { vnfc: VnfcId, rule: Readiness, grace_s: u32, addresses: Vec<IpAddr> },
        Stop { vnfc: VnfcId, graceful_s: Option<u32> },
        RemoveGuest(VnfcId),
        RemoveDisk(DiskId),
        RemoveMedium(VnfcId),
        RemoveSegment(SegmentId),
        Attach(SegmentId),
    }
    #[derive(Deserialize)]
    struct DomainSpec {
        id: VnfcId,
        owner: Owner,
        vcpus: u32,
        memory: MiB,
        firmware: Firmware,
        disks: Vec<DomainDisk>,
        medium: Option<DomainMedium>,
        nics: Vec<DomainNic>,
    }
    #[derive(Deserialize)]
    struct DomainNic {
        port: PortId,
        ifname: IfName,
        mac: MacAddr,
        vlan: VlanId,
        model: NicModel,
        mtu: Option<u16>,
    }

    #[derive(Deserialize)]
    pub struct Reservation {
        vnf: VnfId,
        project: ProjectId,
        vcpus: u32,
        memory: MiB,
        disk: MiB,
    }
    impl From<Reservation> for vnf::Reservation {
        fn from(o: Reservation) -> Self {
            vnf::Reservation { vnf: o.vnf, project: o.project, vcpus: o.vcpus, memory: o.memory, disk: o.disk, placed: Vec::new() }
        }
    }

    impl From<VnfPackage> for package::VnfPackage {
        fn from(o: VnfPackage) -> Self {
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
    impl From<Vnfd> for vnfd::Vnfd {
        fn from(o: Vnfd) -> Self {
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
                epa: Epa::default(),
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
                wish: NicWish::default(),
                role: vnfd::CpRole::default(),
                rate_limit: None,
                subports: Vec::new(),
            }
        }
    }

    impl From<PlanStep> for step::PlanStep {
        fn from(o: PlanStep) -> Self {
            let step = match o.step {
                Step::Vnf(s) => super::Step::Vnf(s.into()),
                Step::Ns(s) => super::Step::Ns(s),
            };
            step::PlanStep { op: o.op, index: o.index, after: o.after, step }
        }
    }
    impl From<VnfStep> for step::VnfStep {
        fn from(o: VnfStep) -> Self {
            use step::VnfStep as New;
            match o {
                VnfStep::Segment(id) => New::Segment(id),
                VnfStep::Image(b) => New::Image(b),
                VnfStep::Disk(d) => New::Disk(d),
                VnfStep::Medium(m) => New::Medium(m),
                VnfStep::Define(d) => New::Define(Box::new(d.into())),
                VnfStep::Start(id) => New::Start(id),
                VnfStep::Ready { vnfc, rule, grace_s, addresses } => New::Ready { vnfc, rule, grace_s, addresses },
                VnfStep::Stop { vnfc, graceful_s } => New::Stop { vnfc, graceful_s },
                VnfStep::RemoveGuest(id) => New::RemoveGuest(id),
                VnfStep::RemoveDisk(id) => New::RemoveDisk(id),
                VnfStep::RemoveMedium(id) => New::RemoveMedium(id),
                VnfStep::RemoveSegment(id) => New::RemoveSegment(id),
                VnfStep::Attach(id) => New::Attach(id),
            }
        }
    }
    impl From<DomainSpec> for domain::DomainSpec {
        fn from(o: DomainSpec) -> Self {
            domain::DomainSpec {
                id: o.id,
                owner: o.owner,
                vcpus: o.vcpus,
                memory: o.memory,
                firmware: o.firmware,
                disks: o.disks,
                medium: o.medium,
                nics: o.nics.into_iter().map(Into::into).collect(),
                epa: Epa::default(),
                placed: None,
            }
        }
    }
    impl From<DomainNic> for domain::DomainNic {
        fn from(o: DomainNic) -> Self {
            let (port, ifname, mac, vlan) = (o.port, o.ifname, o.mac, o.vlan);
            domain::DomainNic { port, ifname, mac, vlan, model: o.model, mtu: o.mtu, wish: NicWish::default() }
        }
    }
}
