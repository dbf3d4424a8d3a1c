//! Snapshots of VNFs as records (SOL003 5.5.2.22 and 5.5.2.23).
//!
//! Owns what was taken of which guests, and under which names it lies on the host. A snapshot is a resource
//! of its own: it outlives the termination of its VNF, and goes when a client deletes it. Never: the bytes.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    error::{Fault, Result},
    id::{DiskId, OpId, ProjectId, SnapshotId, VnfcId},
    param::Params,
    size::{Bytes, MiB},
    time::Stamp,
    vnf::VnfInstance,
    vnfd::ImageFormat,
};

/// "Individual VNF snapshot": made empty, filled by one CREATE_SNAPSHOT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnfSnapshot {
    pub id: SnapshotId,
    pub project: ProjectId,
    /// `vnfSnapshot`: planned from the accept of its creation on; `None` while nothing was taken.
    pub taken: Option<Taken>,
    /// The operation that fills it or reverts to it.
    pub op: Option<OpId>,
    pub created: Stamp,
    pub revision: u64,
}

/// What was taken of a VNF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The instance as it was.
    pub vnf: Box<VnfInstance>,
    pub guests: Vec<GuestCopy>,
    pub begun: Stamp,
    /// Complete since then; nobody reverts to one that is not.
    pub finished: Option<Stamp>,
    pub user_data: Params,
}

/// The disks of one guest, all of one moment. Its memory is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestCopy {
    pub vnfc: VnfcId,
    /// By these it is found again in a VNF whose guests were healed since.
    pub vdu: SmolStr,
    pub index: u32,
    /// Its agent had written out and frozen its file systems, or it was off; else they are as after a loss of power.
    pub frozen: bool,
    pub disks: Vec<DiskCopy>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskCopy {
    /// The disk it was taken of.
    pub disk: DiskId,
    /// The name of the copy on the host.
    pub copy: DiskId,
    pub storage: SmolStr,
    pub size: MiB,
    pub base: Option<([u8; 32], ImageFormat)>,
    /// What the copy takes on the host, once it is there.
    pub bytes: Option<Bytes>,
}

impl VnfSnapshot {
    /// No operation holds it, or a `Conflict` that names the one that does.
    pub fn check_free(&self) -> Result<()> {
        match self.op {
            None => Ok(()),
            Some(op) => Err(Fault::conflict(format!("VNF snapshot {} is in use by operation {op}", self.id))),
        }
    }
    pub fn copies(&self) -> impl Iterator<Item = &DiskCopy> {
        self.taken.iter().flat_map(|t| &t.guests).flat_map(|g| &g.disks)
    }
    /// What it takes of the room for disks: at most the size of the disks while it is made, then what it is.
    pub fn disk(&self) -> MiB {
        self.copies().fold(MiB(0), |sum, d| sum.plus(d.bytes.map_or(d.size, Bytes::mib)))
    }
}
