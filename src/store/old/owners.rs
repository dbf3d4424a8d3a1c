//! Before VNF instances had owners: all were granted here.

use serde::Deserialize;
use smol_str::SmolStr;

use crate::model::{
    id::{NsId, OpId, ProjectId, SnapshotId, VnfId, VnfPkgId},
    param::Params,
    snapshot::{self, GuestCopy},
    time::Stamp,
    vnf::{self, Body},
};

#[derive(Deserialize)]
pub struct VnfInstance {
    id: VnfId,
    project: ProjectId,
    ns: Option<NsId>,
    name: SmolStr,
    description: String,
    package: VnfPkgId,
    vnfd_id: SmolStr,
    provider: SmolStr,
    product_name: SmolStr,
    software_version: SmolStr,
    vnfd_version: SmolStr,
    instantiated: bool,
    body: Option<Body>,
    op: Option<OpId>,
    priority: u32,
    metadata: Params,
    extensions: Params,
    configurable: Params,
    created: Stamp,
    revision: u64,
}

impl From<VnfInstance> for vnf::VnfInstance {
    fn from(o: VnfInstance) -> Self {
        vnf::VnfInstance {
            id: o.id,
            project: o.project,
            ns: o.ns,
            name: o.name,
            description: o.description,
            package: o.package,
            vnfd_id: o.vnfd_id,
            provider: o.provider,
            product_name: o.product_name,
            software_version: o.software_version,
            vnfd_version: o.vnfd_version,
            instantiated: o.instantiated,
            body: o.body,
            op: o.op,
            priority: o.priority,
            metadata: o.metadata,
            extensions: o.extensions,
            configurable: o.configurable,
            created: o.created,
            revision: o.revision,
            owner: None,
        }
    }
}

#[derive(Deserialize)]
pub struct VnfSnapshot {
    id: SnapshotId,
    project: ProjectId,
    taken: Option<Taken>,
    op: Option<OpId>,
    created: Stamp,
    revision: u64,
}
#[derive(Deserialize)]
struct Taken {
    vnf: Box<VnfInstance>,
    guests: Vec<GuestCopy>,
    begun: Stamp,
    finished: Option<Stamp>,
    user_data: Params,
}

impl From<VnfSnapshot> for snapshot::VnfSnapshot {
    fn from(o: VnfSnapshot) -> Self {
        let taken = |t: Taken| snapshot::Taken {
            vnf: Box::new((*t.vnf).into()),
            guests: t.guests,
            begun: t.begun,
            finished: t.finished,
            user_data: t.user_data,
        };
        snapshot::VnfSnapshot {
            id: o.id,
            project: o.project,
            taken: o.taken.map(taken),
            op: o.op,
            created: o.created,
            revision: o.revision,
        }
    }
}
