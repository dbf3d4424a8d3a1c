//! Services before PNFs took part in them.

use serde::Deserialize;
use smol_str::SmolStr;

use crate::model::{
    id::{NsId, NsdInfoId, OpId, ProjectId, SegmentId},
    ns::{self, NsMember},
    param::Params,
    time::Stamp,
};

#[derive(Deserialize)]
pub struct NsInstance {
    id: NsId,
    project: ProjectId,
    name: SmolStr,
    description: String,
    nsd_info: NsdInfoId,
    nsd_id: SmolStr,
    instantiated: bool,
    flavour: Option<SmolStr>,
    level: Option<SmolStr>,
    members: Vec<NsMember>,
    links: Vec<(SmolStr, SegmentId)>,
    saps: Vec<(SmolStr, SegmentId)>,
    params: Params,
    member_params: Vec<(SmolStr, Params)>,
    ssh_keys: Vec<String>,
    op: Option<OpId>,
    created: Stamp,
    revision: u64,
}

impl From<NsInstance> for ns::NsInstance {
    fn from(o: NsInstance) -> Self {
        ns::NsInstance {
            id: o.id,
            project: o.project,
            name: o.name,
            description: o.description,
            nsd_info: o.nsd_info,
            nsd_id: o.nsd_id,
            instantiated: o.instantiated,
            flavour: o.flavour,
            level: o.level,
            members: o.members,
            links: o.links,
            saps: o.saps,
            params: o.params,
            member_params: o.member_params,
            ssh_keys: o.ssh_keys,
            op: o.op,
            created: o.created,
            revision: o.revision,
            pnfs: Vec::new(),
        }
    }
}
