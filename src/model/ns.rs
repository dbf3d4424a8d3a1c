//! NS instances as records (SOL005 6.5.2.10). Owns which VNFs and links belong to a service.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    error::{Fault, Result},
    id::{NsId, NsdInfoId, OpId, PnfdInfoId, ProjectId, SegmentId, VnfId},
    net::MacAddr,
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
    /// Told with the instantiation; with their links from its accept on.
    pub pnfs: Vec<NsPnf>,
}

/// A physical box that takes part (PnfInfo, SOL005 6.5.3.13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NsPnf {
    /// `pnfId`: whoever asks for the service chooses it.
    pub id: SmolStr,
    pub name: SmolStr,
    /// The PNF profile's id.
    pub profile: SmolStr,
    pub pnfd_id: SmolStr,
    pub pnfd_info: Option<PnfdInfoId>,
    pub cps: Vec<NsPnfCp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NsPnfCp {
    pub cp: SmolStr,
    pub segment: Option<SegmentId>,
    pub mac: Option<MacAddr>,
    pub addresses: Vec<IpAddr>,
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
