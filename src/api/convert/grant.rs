//! Grants that this NFVO gives (SOL003 9.5.2), from requests and to what is answered.

use smol_str::SmolStr;

use super::{Base, request};
use crate::{
    model::{
        error::{Fault, Result},
        grant::{AskedIds, GivenGrant, Resource, ResourceKind},
        id::ProjectId,
    },
    nfvo::grants::AskGrant,
    sol::{
        common::Link,
        grant::{Affinity, Grant, GrantInfo, GrantLinks, GrantRequest, GrantedOperation, ResourceDefinition, ResourceType},
    },
};

pub fn path(g: &GivenGrant) -> String {
    format!("/grant/v1/grants/{}", g.id)
}

fn resources(all: &[ResourceDefinition]) -> Vec<Resource> {
    let kind = |t| match t {
        ResourceType::Compute => ResourceKind::Compute,
        ResourceType::Vl => ResourceKind::Link,
        ResourceType::Storage => ResourceKind::Storage,
        ResourceType::Linkport => ResourceKind::LinkPort,
    };
    let one = |r: &ResourceDefinition| Resource {
        id: SmolStr::new(&r.id),
        kind: kind(r.kind),
        vdu: r.vdu_id.as_ref().map(SmolStr::new),
        template: SmolStr::new(&r.resource_template_id),
    };
    all.iter().map(one).collect()
}

pub fn ask(r: &GrantRequest, project: ProjectId, vnfm: SmolStr) -> Result<AskGrant> {
    let alone = r.vim_constraints.iter().position(|c| c.resource.len() < 2);
    if let Some(i) = alone {
        return Err(Fault::invalid(format!("vimConstraints[{i}].resource: names at least two resources")));
    }
    let ids = |all: &[ResourceDefinition]| all.iter().map(|r| SmolStr::new(&r.id)).collect();
    let apart = r
        .placement_constraints
        .iter()
        .filter(|c| c.affinity_or_anti_affinity == Affinity::AntiAffinity && !c.fallback_best_effort && c.resource.len() > 1);
    let apart = apart.map(|c| {
        let of: Vec<&str> = c.resource.iter().map(|r| r.resource_id.as_str()).collect();
        format!("{} cannot be kept apart by {}", of.join(", "), c.scope)
    });
    Ok(AskGrant {
        project,
        vnfm,
        vnf: SmolStr::new(&r.vnf_instance_id),
        op: SmolStr::new(&r.vnf_lcm_op_occ_id),
        vnfd_id: SmolStr::new(r.dst_vnfd_id.as_ref().unwrap_or(&r.vnfd_id)),
        flavour: r.flavour_id.as_ref().map(SmolStr::new),
        level: r.instantiation_level_id.as_ref().filter(|_| r.add_resources.is_empty()).map(SmolStr::new),
        ends: r.operation == GrantedOperation::Terminate,
        add: resources(&r.add_resources),
        temp: resources(&r.temp_resources),
        remove: resources(&r.remove_resources),
        asked: AskedIds {
            add: ids(&r.add_resources),
            temp: ids(&r.temp_resources),
            remove: ids(&r.remove_resources),
            update: ids(&r.update_resources),
        },
        apart: apart.collect(),
        links: (r.links.vnf_lcm_op_occ.href.clone(), r.links.vnf_instance.href.clone()),
        request: request::text(r)?,
    })
}

/// One that was given. It names no zone and no VIM: the VNFM has its own.
pub fn grant(g: &GivenGrant, base: &Base) -> Grant {
    let infos = |ids: &[SmolStr]| {
        ids.iter().map(|id| GrantInfo { resource_definition_id: id.to_string(), ..GrantInfo::default() }).collect::<Vec<_>>()
    };
    Grant {
        id: g.id.to_string(),
        vnf_instance_id: g.vnf.to_string(),
        vnf_lcm_op_occ_id: g.op.to_string(),
        vim_connection_info: Default::default(),
        zones: Vec::new(),
        add_resources: infos(&g.asked.add),
        temp_resources: infos(&g.asked.temp),
        remove_resources: infos(&g.asked.remove),
        update_resources: infos(&g.asked.update),
        vim_assets: None,
        ext_virtual_links: Vec::new(),
        ext_managed_virtual_links: Vec::new(),
        additional_params: Default::default(),
        links: GrantLinks { self_: base.link(path(g)), vnf_lcm_op_occ: Link::to(&g.links.0), vnf_instance: Link::to(&g.links.1) },
    }
}
