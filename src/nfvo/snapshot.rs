//! Snapshots of a service's VNFs by way of its update (SOL005 6.4.6): the VNFM's own operation, as a part of one of the service.
//!
//! Owns the taking of these requests. Never: what a snapshot is (`vnfm::snapshot`).

use super::Nfvo;
use crate::{
    model::{
        error::{Fault, Kind, Result},
        id::{NsId, SnapshotId, VnfId},
        op::{Operation, Trigger},
        param::Params,
        step::NsStep,
    },
    store::Durability,
    vnfm::snapshot::Asked,
};

/// What an update asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotUpdate {
    /// A new one.
    Create {
        user_data: Params,
    },
    Revert(SnapshotId),
    Delete(SnapshotId),
}

impl Nfvo {
    /// Of the VNF, which is a member. A deletion is over at once.
    pub fn update_snapshot(&self, id: NsId, vnf: VnfId, what: &SnapshotUpdate, request: &str) -> Result<Operation> {
        let (ns, op) = self.begin_update(id, &[vnf], request)?;
        // What a snapshot takes or puts back stays so.
        let alter = |vnf, op| NsStep::Alter { vnf, op };
        match what {
            SnapshotUpdate::Create { user_data } => {
                let made = self.vnfm.create_snapshot(ns.project)?;
                let begun = self.part(&ns, op, vnf, alter, |of| self.vnfm.snapshot_for(vnf, made.id, &Asked::Take(user_data), of));
                if begun.is_err() {
                    self.vnfm.delete_snapshot(made.id, |_| Ok(()))?;
                }
                begun
            }
            SnapshotUpdate::Revert(snapshot) => {
                self.part(&ns, op, vnf, alter, |of| self.vnfm.snapshot_for(vnf, *snapshot, &Asked::Revert, of)).map_err(named)
            }
            SnapshotUpdate::Delete(snapshot) => self.forget(op, vnf, *snapshot).map_err(named),
        }
    }

    fn forget(&self, mut op: Operation, vnf: VnfId, snapshot: SnapshotId) -> Result<Operation> {
        self.vnfm.delete_snapshot(snapshot, |s| match &s.taken {
            Some(t) if t.vnf.id == vnf && s.project == op.project => Ok(()),
            Some(_) | None => Err(Fault::not_found(format!("there is no VNF snapshot {snapshot} of VNF instance {vnf}"))),
        })?;
        op.apply(Trigger::Succeeded, op.created)?;
        self.vnfm.store().write(Durability::Barrier, |tx| tx.put(&op))?;
        Ok(op)
    }
}

/// The snapshot is named by the request's body, not by its path.
fn named(f: Fault) -> Fault {
    if f.kind() == Kind::NotFound { Fault::invalid(format!("vnfSnapshotInfoId: {}", f.detail())) } else { f }
}
