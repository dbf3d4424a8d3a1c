//! NS instances as records (SOL005 6.5.2.10). Owns which VNFs and links belong to a service.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    error::{Fault, Result},
    id::{NsId, NsdInfoId, OpId, ProjectId, SegmentId, VnfId},
    param::Params,
    time::Stamp,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NsInstance {
    pub id: NsId,
    pub project: ProjectId,
    pub name: SmolStr,
    pub description: String,
    pub nsd_info: NsdInfoId,
    pub nsd_id: SmolStr,
    /// `nsState`.
    pub instantiated: bool,
    /// Planned from the accept of an instantiation on.
    pub flavour: Option<SmolStr>,
    pub level: Option<SmolStr>,
    pub members: Vec<NsMember>,
    /// (link id, segment).
    pub links: Vec<(SmolStr, SegmentId)>,
    pub saps: Vec<(SmolStr, SegmentId)>,
    pub params: Params,
    /// By VNF profile; kept, as `params` and keys are, for a retry that has to plan anew.
    pub member_params: Vec<(SmolStr, Params)>,
    pub ssh_keys: Vec<String>,
    pub op: Option<OpId>,
    pub created: Stamp,
    pub revision: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NsMember {
    /// The VNF profile's id.
    pub profile: SmolStr,
    pub vnf: VnfId,
    /// Members it waits for at start-up.
    pub after: Vec<SmolStr>,
}

impl NsInstance {
    pub fn check_free(&self) -> Result<()> {
        match self.op {
            None => Ok(()),
            Some(op) => Err(Fault::conflict(format!("NS instance {} is held by operation {op}", self.id))),
        }
    }
}
