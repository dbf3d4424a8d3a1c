//! VNF instances as SOL003 5.5.2.2 shows them, and as members of an NS (SOL005 6.5.3.57).

use std::{collections::BTreeMap, net::IpAddr};

use super::{Base, pairs};
use crate::{
    model::{
        id::{PortId, SegmentId},
        net::MacAddr,
        vnf::{Body, ExtCpInst, Port, RunState, VnfInstance, Vnfc},
        vnfd::{ExtCpThrough, Flavour},
    },
    sol::{
        common::KeyValuePairs,
        cp::{
            CpProtocolInfo, IpAddressType, IpAddressesInfo, IpOverEthernetAddressInfo, LayerProtocol, ResourceHandle, VnfExtCpConfig,
            VnfExtCpData,
        },
        nslcm::NsVnfInstance,
        vnflcm::{
            self as sol, CpInstanceType, ExtLinkPortInfo, ExtVirtualLinkInfo, InstantiatedVnfInfo, InstantiationState, ScaleInfo,
            VirtualStorageResourceInfo, VnfExtCpInfo, VnfInstanceLinks, VnfLinkPortInfo, VnfOperationalState, VnfVirtualLinkResourceInfo,
            VnfcCpInfo, VnfcInfo, VnfcResourceInfo,
        },
    },
};

/// Whose words are used: SOL005 names VIMs, SOL002 lists VNFCs apart from their resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sol002,
    Sol003,
    /// SOL003's first major, for what its view cannot tell by itself.
    First,
    Sol005,
}

/// The mini-VIM of this box, where SOL005 wants a VIM named.
pub const VIM: &str = "bothy";

impl Dialect {
    pub fn handle(self, id: impl Into<String>, kind: &str) -> ResourceHandle {
        ResourceHandle {
            vim_id: (self == Dialect::Sol005).then(|| VIM.into()),
            resource_id: id.into(),
            vim_level_resource_type: Some(kind.into()),
            ..ResourceHandle::default()
        }
    }
}

/// What a conversion looks up beside the instance.
pub struct Around<'a> {
    /// Absent when the package is gone.
    pub flavour: Option<&'a Flavour>,
    pub dialect: Dialect,
}

pub fn path(v: &VnfInstance) -> String {
    format!("/vnflcm/v2/vnf_instances/{}", v.id)
}

pub fn instance(v: &VnfInstance, around: &Around<'_>, base: &Base) -> sol::VnfInstance {
    let path = path(v);
    // The members of a service are changed by their service, save for start and stop.
    let alone = v.ns.is_none() && v.op.is_none();
    let up = v.instantiated && v.op.is_none();
    sol::VnfInstance {
        id: v.id.to_string(),
        vnf_instance_name: Some(v.name.to_string()),
        vnf_instance_description: Some(v.description.clone()).filter(|d| !d.is_empty()),
        vnfd_id: v.vnfd_id.to_string(),
        vnf_provider: v.provider.to_string(),
        vnf_product_name: v.product_name.to_string(),
        vnf_software_version: v.software_version.to_string(),
        vnfd_version: v.vnfd_version.to_string(),
        vnf_pkg_id: (around.dialect == Dialect::First).then(|| v.package.to_string()),
        vnf_configurable_properties: pairs(&v.configurable),
        instantiation_state: state(v),
        instantiated_vnf_info: info(v, around),
        metadata: pairs(&v.metadata),
        extensions: pairs(&v.extensions),
        links: VnfInstanceLinks {
            self_: base.link(&path),
            instantiate: base.link_if(alone && !v.instantiated, format!("{path}/instantiate")),
            terminate: base.link_if(alone && v.instantiated, format!("{path}/terminate")),
            scale: base.link_if(alone && v.instantiated, format!("{path}/scale")),
            scale_to_level: base.link_if(alone && v.instantiated, format!("{path}/scale_to_level")),
            heal: base.link_if(alone && v.instantiated, format!("{path}/heal")),
            operate: base.link_if(up, format!("{path}/operate")),
            change_flavour: base.link_if(alone && v.instantiated, format!("{path}/change_flavour")),
            change_current_vnf_pkg: base.link_if(alone && v.instantiated, format!("{path}/change_vnfpkg")),
            change_ext_conn: base.link_if(alone && v.instantiated, format!("{path}/change_ext_conn")),
            create_snapshot: base.link_if(up, format!("{path}/create_snapshot")),
            revert_to_snapshot: base.link_if(up, format!("{path}/revert_to_snapshot")),
            ..VnfInstanceLinks::default()
        },
        ..sol::VnfInstance::default()
    }
}

/// The same as a member of a network service.
pub fn member(v: &VnfInstance, around: &Around<'_>) -> NsVnfInstance {
    NsVnfInstance {
        id: v.id.to_string(),
        vnf_instance_name: Some(v.name.to_string()),
        vnf_instance_description: Some(v.description.clone()).filter(|d| !d.is_empty()),
        vnfd_id: v.vnfd_id.to_string(),
        vnf_provider: v.provider.to_string(),
        vnf_product_name: v.product_name.to_string(),
        vnf_software_version: v.software_version.to_string(),
        vnfd_version: v.vnfd_version.to_string(),
        vnf_pkg_id: v.package.to_string(),
        vnf_configurable_properties: pairs(&v.configurable),
        // One without guests here is a foreign VNFM's, which has a VIM of its own.
        vim_id: v.body.as_ref().is_none_or(|b| !b.vnfcs.is_empty()).then(|| VIM.into()),
        instantiation_state: state(v),
        instantiated_vnf_info: info(v, around),
        metadata: pairs(&v.metadata),
        extensions: pairs(&v.extensions),
    }
}

fn state(v: &VnfInstance) -> InstantiationState {
    if v.instantiated { InstantiationState::Instantiated } else { InstantiationState::NotInstantiated }
}

fn info(v: &VnfInstance, around: &Around<'_>) -> Option<InstantiatedVnfInfo> {
    let dialect = around.dialect;
    let body = v.body.as_ref().filter(|_| v.instantiated)?;
    let outside: Vec<SegmentId> = outside_links(body);
    let of_element = dialect == Dialect::Sol002;
    Some(InstantiatedVnfInfo {
        flavour_id: body.flavour.to_string(),
        vnf_state: run(body),
        scale_status: body
            .scale
            .iter()
            .map(|(aspect, level)| ScaleInfo { aspect_id: aspect.to_string(), vnfd_id: None, scale_level: *level })
            .collect(),
        max_scale_levels: around
            .flavour
            .map(|f| f.aspects.iter().map(|a| ScaleInfo { aspect_id: a.id.to_string(), vnfd_id: None, scale_level: a.max_level }).collect())
            .unwrap_or_default(),
        ext_cp_info: body.ext_cps.iter().flat_map(|e| ext_cps(e, body)).chain(re_exposed(body, around)).collect(),
        ext_virtual_link_info: outside.iter().map(|s| ext_link(*s, body, dialect)).collect(),
        vnfc_resource_info: body.vnfcs.iter().map(|c| vnfc(c, body, dialect)).collect(),
        vnf_virtual_link_resource_info: body
            .links
            .iter()
            .filter(|(_, s)| !outside.contains(s))
            .map(|(link, s)| internal_link(link, *s, body, dialect))
            .collect(),
        virtual_storage_resource_info: if of_element { Vec::new() } else { disks(body, dialect) },
        vnf_virtual_storage_resource_info: if of_element { disks(body, dialect) } else { Vec::new() },
        // Guests of a VNF are started and stopped together.
        vnfc_info: body.vnfcs.iter().filter(|_| of_element).map(|c| vnfc_of(c, run(body))).collect(),
        ..InstantiatedVnfInfo::default()
    })
}

fn disks(body: &Body, dialect: Dialect) -> Vec<VirtualStorageResourceInfo> {
    let disks = body.vnfcs.iter().flat_map(|c| &c.disks);
    disks
        .map(|d| VirtualStorageResourceInfo {
            id: d.id.to_string(),
            virtual_storage_desc_id: d.storage.to_string(),
            storage_resource: dialect.handle(d.id.to_string(), "disk"),
            ..VirtualStorageResourceInfo::default()
        })
        .collect()
}

fn run(body: &Body) -> VnfOperationalState {
    match body.run {
        RunState::Started => VnfOperationalState::Started,
        RunState::Stopped => VnfOperationalState::Stopped,
    }
}

fn vnfc_of(c: &Vnfc, state: VnfOperationalState) -> VnfcInfo {
    let id = c.id.to_string();
    VnfcInfo { vdu_id: c.vdu.to_string(), vnfc_resource_info_id: Some(id.clone()), vnfc_state: state, id }
}

/// Links the VNF is on that another made, each once, in the order of its ports.
fn outside_links(body: &Body) -> Vec<SegmentId> {
    let mut out: Vec<SegmentId> = Vec::new();
    for p in body.vnfcs.iter().flat_map(|c| &c.ports) {
        if !body.own_segments.contains(&p.segment) && !out.contains(&p.segment) {
            out.push(p.segment);
        }
    }
    out
}

fn port(body: &Body, id: PortId) -> Option<&Port> {
    body.vnfcs.iter().flat_map(|c| &c.ports).find(|p| p.id == id)
}

/// The external CP instance that a port belongs to.
pub fn ext_cp_of(body: &Body, port: PortId) -> Option<String> {
    body.ext_cps.iter().find(|e| e.ports.contains(&port)).map(|e| e.instance(port))
}

fn ext_cps(e: &ExtCpInst, body: &Body) -> Vec<VnfExtCpInfo> {
    let cp = |id: String, of: &Port| VnfExtCpInfo {
        cp_config_id: id.clone(),
        id,
        cpd_id: e.cpd.to_string(),
        cp_protocol_info: vec![protocol(Some(of.mac), &of.addresses)],
        ext_link_port_id: (!body.own_segments.contains(&of.segment)).then(|| of.id.to_string()),
        associated_vnfc_cp_id: Some(of.id.to_string()),
        ..VnfExtCpInfo::default()
    };
    if body.vnfcs.is_empty() {
        // Of a foreign VNFM's VNF: which guest has it is known there alone, and one of the three has to be told.
        return vec![VnfExtCpInfo {
            id: e.id.to_string(),
            cp_config_id: e.id.to_string(),
            cpd_id: e.cpd.to_string(),
            // An address has to be there, and it is not known here: the unspecified one says so.
            cp_protocol_info: vec![protocol(None, &[std::net::Ipv4Addr::UNSPECIFIED.into()])],
            associated_vnfc_cp_id: Some(e.id.to_string()),
            ..VnfExtCpInfo::default()
        }];
    }
    e.ports.iter().filter_map(|p| port(body, *p)).map(|p| cp(e.instance(p.id), p)).collect()
}

/// External CPs that re-expose an internal link: they have no port of their own.
fn re_exposed(body: &Body, around: &Around<'_>) -> Vec<VnfExtCpInfo> {
    let mut out = Vec::new();
    for cp in around.flavour.iter().flat_map(|f| &f.ext_cps) {
        let ExtCpThrough::Link(link) = &cp.through else { continue };
        let Some((_, segment)) = body.links.iter().find(|(l, _)| l == link) else { continue };
        let id = format!("{segment}-{}", cp.id);
        out.push(VnfExtCpInfo {
            cp_config_id: id.clone(),
            id,
            cpd_id: cp.id.to_string(),
            // An address has to be there, and it is not known here: the unspecified one says so.
            cp_protocol_info: vec![protocol(None, &[std::net::Ipv4Addr::UNSPECIFIED.into()])],
            associated_vnf_virtual_link_id: Some(segment.to_string()),
            ..VnfExtCpInfo::default()
        });
    }
    out
}

fn ext_link(segment: SegmentId, body: &Body, dialect: Dialect) -> ExtVirtualLinkInfo {
    let ports: Vec<&Port> = body.vnfcs.iter().flat_map(|c| &c.ports).filter(|p| p.segment == segment).collect();
    let mut current: BTreeMap<String, BTreeMap<String, Option<VnfExtCpConfig>>> = BTreeMap::new();
    for e in &body.ext_cps {
        // Instances of one connection point may be on several links.
        for p in e.ports.iter().filter(|p| ports.iter().any(|on| on.id == **p)) {
            let config = VnfExtCpConfig { link_port_id: Some(p.to_string()), ..VnfExtCpConfig::default() };
            current.entry(e.cpd.to_string()).or_default().insert(e.instance(*p), Some(config));
        }
    }
    ExtVirtualLinkInfo {
        id: segment.to_string(),
        resource_handle: dialect.handle(segment.to_string(), "segment"),
        ext_link_ports: ports
            .iter()
            .map(|p| ExtLinkPortInfo {
                id: p.id.to_string(),
                resource_handle: dialect.handle(p.ifname.as_str(), "port"),
                cp_instance_id: ext_cp_of(body, p.id),
                ..ExtLinkPortInfo::default()
            })
            .collect(),
        current_vnf_ext_cp_data: current.into_iter().map(|(cpd_id, cp_config)| VnfExtCpData { cpd_id, cp_config }).collect(),
    }
}

fn internal_link(link: &str, segment: SegmentId, body: &Body, dialect: Dialect) -> VnfVirtualLinkResourceInfo {
    let ports = body.vnfcs.iter().flat_map(|c| &c.ports).filter(|p| p.segment == segment);
    VnfVirtualLinkResourceInfo {
        id: segment.to_string(),
        vnf_virtual_link_desc_id: link.into(),
        network_resource: dialect.handle(segment.to_string(), "segment"),
        vnf_link_ports: ports
            .map(|p| VnfLinkPortInfo {
                id: p.id.to_string(),
                resource_handle: dialect.handle(p.ifname.as_str(), "port"),
                cp_instance_id: Some(p.id.to_string()),
                cp_instance_type: Some(CpInstanceType::VnfcCp),
                vip_cp_instance_id: None,
                trunk_resource_id: None,
            })
            .collect(),
        ..VnfVirtualLinkResourceInfo::default()
    }
}

/// The NIC that carries a network under a tag: the two have one MAC.
fn trunk<'c>(c: &'c Vnfc, p: &Port) -> Option<&'c Port> {
    c.ports.iter().filter(|_| !p.is_nic()).find(|nic| nic.is_nic() && nic.mac == p.mac)
}

fn vnfc(c: &Vnfc, body: &Body, dialect: Dialect) -> VnfcResourceInfo {
    let is_internal = |p: &Port| body.links.iter().any(|(_, s)| *s == p.segment);
    VnfcResourceInfo {
        id: c.id.to_string(),
        vdu_id: c.vdu.to_string(),
        compute_resource: dialect.handle(c.id.to_string(), "domain"),
        storage_resource_ids: c.disks.iter().map(|d| d.id.to_string()).collect(),
        vnfc_cp_info: c
            .ports
            .iter()
            .map(|p| VnfcCpInfo {
                id: p.id.to_string(),
                cpd_id: p.cp.to_string(),
                vnf_ext_cp_id: ext_cp_of(body, p.id),
                parent_cp_id: trunk(c, p).map(|nic| nic.id.to_string()),
                cp_protocol_info: vec![protocol(Some(p.mac), &p.addresses)],
                vnf_link_port_id: is_internal(p).then(|| p.id.to_string()),
                ..VnfcCpInfo::default()
            })
            .collect(),
        metadata: KeyValuePairs::from_iter([
            ("domainName".to_owned(), c.id.domain_name().into()),
            ("hostname".to_owned(), c.hostname.as_str().into()),
        ]),
        ..VnfcResourceInfo::default()
    }
}

/// Addresses of a connection point. All of them were assigned by the planner or fixed before; the
/// record does not tell which, so they are shown as assigned.
pub fn protocol(mac: Option<MacAddr>, addresses: &[IpAddr]) -> CpProtocolInfo {
    let group = |kind: IpAddressType, wanted: fn(&IpAddr) -> bool| {
        let of: Vec<String> = addresses.iter().filter(|a| wanted(a)).map(ToString::to_string).collect();
        (!of.is_empty()).then_some(IpAddressesInfo { kind, addresses: of, is_dynamic: Some(true), address_range: None, subnet_id: None })
    };
    CpProtocolInfo {
        layer_protocol: LayerProtocol::IpOverEthernet,
        ip_over_ethernet: Some(IpOverEthernetAddressInfo {
            mac_address: mac.map(|m| m.to_string()),
            segmentation_id: None,
            ip_addresses: [group(IpAddressType::Ipv4, IpAddr::is_ipv4), group(IpAddressType::Ipv6, IpAddr::is_ipv6)]
                .into_iter()
                .flatten()
                .collect(),
        }),
    }
}
