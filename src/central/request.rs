//! A grant request (SOL003 9.5.2.2), from what was planned.

use crate::{
    model::{
        error::{Fault, Result},
        grant::{Resource, ResourceKind},
        op::{OpKind, Operation},
    },
    sol::{
        common::Link,
        cp::ResourceHandle,
        grant::{GrantRequest, GrantRequestLinks, GrantedOperation, ResourceDefinition, ResourceType},
    },
    vnfm::owned::Awaited,
};

pub fn body(a: &Awaited) -> Result<Vec<u8>> {
    serde_json::to_vec(&request(a)?).map_err(|e| Fault::bug("a grant request cannot be written as JSON").with_source(e))
}

fn request(Awaited { ask, op, .. }: &Awaited) -> Result<GrantRequest> {
    let after = ask.dst_vnfd_id.as_ref();
    // Told where the package changes: of which VNFD a resource is.
    let before = after.map(|_| &ask.vnfd_id);
    let all = |of: &[Resource], vnfd: Option<&smol_str::SmolStr>, there: bool| -> Vec<ResourceDefinition> {
        of.iter().map(|r| definition(r, vnfd.map(ToString::to_string), there)).collect()
    };
    Ok(GrantRequest {
        vnf_instance_id: ask.vnf.to_string(),
        vnf_lcm_op_occ_id: op.id.to_string(),
        vnfd_id: ask.vnfd_id.to_string(),
        dst_vnfd_id: after.map(ToString::to_string),
        flavour_id: ask.flavour.as_ref().map(ToString::to_string),
        operation: operation(op)?,
        is_automatic_invocation: op.automatic,
        instantiation_level_id: None,
        add_resources: all(&ask.resources.add, after, false),
        temp_resources: Vec::new(),
        remove_resources: all(&ask.resources.remove, before, true),
        update_resources: all(&ask.resources.update, after, true),
        placement_constraints: Vec::new(),
        vim_constraints: Vec::new(),
        additional_params: Default::default(),
        links: GrantRequestLinks {
            vnf_lcm_op_occ: Link::to(format!("{}/vnflcm/v2/vnf_lcm_op_occs/{}", ask.base, op.id)),
            vnf_instance: Link::to(format!("{}/vnflcm/v2/vnf_instances/{}", ask.base, ask.vnf)),
        },
    })
}

fn definition(r: &Resource, vnfd_id: Option<String>, there: bool) -> ResourceDefinition {
    let (kind, handle) = match r.kind {
        ResourceKind::Compute => (ResourceType::Compute, "domain"),
        ResourceKind::Storage => (ResourceType::Storage, "disk"),
        ResourceKind::Link => (ResourceType::Vl, "segment"),
        ResourceKind::LinkPort => (ResourceType::Linkport, "port"),
    };
    ResourceDefinition {
        id: r.id.to_string(),
        kind,
        vdu_id: r.vdu.as_ref().map(ToString::to_string),
        vnfd_id,
        resource_template_id: r.template.to_string(),
        resource: there.then(|| ResourceHandle {
            resource_id: r.id.to_string(),
            vim_level_resource_type: Some(handle.into()),
            ..ResourceHandle::default()
        }),
    }
}

fn operation(op: &Operation) -> Result<GrantedOperation> {
    Ok(match op.kind {
        OpKind::Instantiate => GrantedOperation::Instantiate,
        OpKind::Terminate => GrantedOperation::Terminate,
        OpKind::Start | OpKind::Stop => GrantedOperation::Operate,
        OpKind::Scale => GrantedOperation::Scale,
        OpKind::ScaleToLevel => GrantedOperation::ScaleToLevel,
        OpKind::Heal => GrantedOperation::Heal,
        OpKind::CreateSnapshot => GrantedOperation::CreateSnapshot,
        OpKind::RevertToSnapshot => GrantedOperation::RevertToSnapshot,
        OpKind::ChangeExtConn => GrantedOperation::ChangeExtConn,
        OpKind::ChangeFlavour => GrantedOperation::ChangeFlavour,
        OpKind::ChangePackage => GrantedOperation::ChangeVnfpkg,
        OpKind::ModifyInfo | OpKind::ReloadPf | OpKind::RestorePf | OpKind::Update => {
            return Err(Fault::bug(format!("operation {} ({}) needs no grant", op.id, op.kind.name())));
        }
    })
}
