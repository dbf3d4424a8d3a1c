//! ChangeExtVnfConnectivityRequest (SOL003 5.5.2.11) as the domain takes it, and what of it an op-occ shows.

use std::collections::BTreeMap;

use super::{
    kept,
    request::{Faults, protocols},
    vnf::Dialect,
};
use crate::{
    model::{
        error::Result,
        id::SegmentId,
        op::{OpKind, OpState, Operation, VnfOpState},
        step::{PlanStep, Step, VnfStep},
        vnf::PortMove,
    },
    sol::{
        cp::{VnfExtCpConfig, VnfExtCpData},
        vnflcm::{AffectedExtLinkPort, ChangeExtVnfConnectivityRequest, ExtLinkPortInfo, ExtVirtualLinkInfo, PortChangeType},
    },
    vim::network::Wish,
    vnfm::connect::{ChangeExtConn, Connect, To},
};

/// Its faults go along: the domain finds the others, and all are told at once.
pub fn request(r: ChangeExtVnfConnectivityRequest) -> Result<ChangeExtConn> {
    let mut faults = Faults::default();
    for name in r.additional_params.keys() {
        faults.add(format!("additionalParams.{name}"), "is not known; none is");
    }
    let mut all = Vec::new();
    for (i, link) in r.ext_virtual_links.iter().enumerate() {
        let at = format!("extVirtualLinks[{i}]");
        let segment: Option<SegmentId> = link.resource_id.parse().ok();
        if segment.is_none() {
            let why = format!("'{}' is not the id of a virtual link; GET /bothy/v1/networks lists them", link.resource_id);
            faults.add(format!("{at}.resourceId"), why);
        }
        for p in &link.ext_link_ports {
            faults.add(format!("{at}.extLinkPorts"), format!("port {} is not offered: a NIC keeps the port that it has", p.id));
        }
        for (j, cp) in link.ext_cps.iter().enumerate() {
            let at = format!("{at}.extCps[{j}]");
            let connect = |instance: Option<&str>, to| Connect {
                at: at.clone(),
                cpd: cp.cpd_id.as_str().into(),
                instance: instance.map(Into::into),
                link: segment,
                to,
            };
            if cp.cp_config.is_empty() {
                all.push(connect(None, To::Link { wish: Wish::default(), link_port: None }));
            }
            for (instance, config) in &cp.cp_config {
                let to = match config {
                    None => To::Nowhere,
                    Some(c) => to_link(c, &format!("{at}.cpConfig[{instance}]"), &mut faults),
                };
                all.push(connect(Some(instance), to));
            }
        }
    }
    Ok(ChangeExtConn { all, wrong: faults.into_all(), request: kept::text(&r)? })
}

fn to_link(c: &VnfExtCpConfig, at: &str, faults: &mut Faults) -> To {
    faults.refuse(c.parent_cp_config_id.is_some(), at, "parentCpConfigId is not offered: leave it out");
    To::Link { wish: protocols(&c.cp_protocol_data, at, faults), link_port: c.link_port_id.as_deref().map(Into::into) }
}

fn moves(steps: &[PlanStep]) -> impl Iterator<Item = &PortMove> {
    steps.iter().filter_map(|s| match &s.step {
        Step::Vnf(VnfStep::Move(m)) => Some(&**m),
        Step::Vnf(_) | Step::Ns(_) | Step::Pf(_) => None,
    })
}

/// Ports that come to other links, or off all.
pub fn affected(steps: &[PlanStep]) -> Vec<AffectedExtLinkPort> {
    moves(steps)
        .map(|m| AffectedExtLinkPort {
            id: m.port.to_string(),
            change_type: if m.parted { PortChangeType::Removed } else { PortChangeType::Modified },
            ext_cp_instance_id: m.instance.to_string(),
            resource_handle: Dialect::Sol003.handle(m.port.to_string(), "port"),
            resource_definition_id: None,
        })
        .collect()
}

/// Links with what the operation brought to them, once it did.
pub fn changed(op: &Operation, steps: &[PlanStep]) -> Vec<ExtVirtualLinkInfo> {
    if op.kind != OpKind::ChangeExtConn || op.state != OpState::Vnf(VnfOpState::Completed) {
        return Vec::new();
    }
    let mut by_link: BTreeMap<SegmentId, Vec<&PortMove>> = BTreeMap::new();
    for m in moves(steps).filter(|m| !m.parted) {
        by_link.entry(m.after.segment).or_default().push(m);
    }
    by_link.into_iter().map(|(segment, moves)| link(segment, &moves)).collect()
}

fn link(segment: SegmentId, moves: &[&PortMove]) -> ExtVirtualLinkInfo {
    let mut current: BTreeMap<&str, BTreeMap<String, Option<VnfExtCpConfig>>> = BTreeMap::new();
    for m in moves {
        let config = VnfExtCpConfig { link_port_id: Some(m.port.to_string()), ..VnfExtCpConfig::default() };
        current.entry(&m.cpd).or_default().insert(m.instance.to_string(), Some(config));
    }
    let port = |m: &&PortMove| ExtLinkPortInfo {
        id: m.port.to_string(),
        resource_handle: Dialect::Sol003.handle(m.port.to_string(), "port"),
        cp_instance_id: Some(m.instance.to_string()),
        ..ExtLinkPortInfo::default()
    };
    ExtVirtualLinkInfo {
        id: segment.to_string(),
        resource_handle: Dialect::Sol003.handle(segment.to_string(), "segment"),
        ext_link_ports: moves.iter().map(port).collect(),
        current_vnf_ext_cp_data: current.into_iter().map(|(cpd, cp_config)| VnfExtCpData { cpd_id: cpd.to_owned(), cp_config }).collect(),
    }
}
