//! Snapshots of a service's VNFs by way of its update (SOL005 6.4.6): the VNFM's own operation, as a part of one of the service.
//!
//! Owns the taking of these requests. Never: what a snapshot is (`vnfm::snapshot`).

use tracing::info;

use super::Nfvo;
use crate::{
    model::{
        error::{Fault, Kind, Result},
        id::{NsId, OpId, SnapshotId, VnfId},
        ns::NsInstance,
        op::{OpKind, Operation, Target, Trigger},
        param::Params,
        step::{NsStep, Step},
    },
    store::Durability,
    vnfm::{
        plan::{Steps, fresh_uuid},
        snapshot::{Asked, Service},
    },
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
        let ns: NsInstance = self.vnfm.store().require(&id)?;
        ns.check_free()?;
        if !ns.instantiated {
            return Err(Fault::conflict(format!("NS instance {id} is not instantiated")));
        }
        if ns.members.iter().all(|m| m.vnf != vnf) {
            return Err(Fault::invalid(format!("VNF instance {vnf} is no member of NS instance {id}")));
        }
        let op_id = OpId(fresh_uuid(&**self.vnfm.dice()));
        let op = self.vnfm.draft_op(op_id, ns.project, Target::Ns(id), OpKind::Update, request.to_owned());
        match what {
            SnapshotUpdate::Create { user_data } => {
                let made = self.vnfm.create_snapshot(ns.project)?;
                let begun = self.part(&ns, op, vnf, made.id, &Asked::Take(user_data));
                if begun.is_err() {
                    self.vnfm.delete_snapshot(made.id, |_| Ok(()))?;
                }
                begun
            }
            SnapshotUpdate::Revert(snapshot) => self.part(&ns, op, vnf, *snapshot, &Asked::Revert).map_err(named),
            SnapshotUpdate::Delete(snapshot) => self.forget(op, vnf, *snapshot).map_err(named),
        }
    }

    fn part(&self, ns: &NsInstance, mut op: Operation, vnf: VnfId, snapshot: SnapshotId, what: &Asked<'_>) -> Result<Operation> {
        let child = OpId(fresh_uuid(&**self.vnfm.dice()));
        let mut steps = Steps::new(op.id);
        steps.add(Step::Ns(NsStep::Alter { vnf, op: child }), &[]);
        let steps = steps.into_vec();
        op.steps = steps.len() as u32;
        self.vnfm.snapshot_for(
            vnf,
            snapshot,
            what,
            &Service {
                parent: op.id,
                child,
                with: &|tx| {
                    let mut now: NsInstance = tx.require(&ns.id)?;
                    now.check_free()?;
                    if now.revision != ns.revision {
                        return Err(Fault::conflict(format!("NS instance {} was changed by another request: ask again", ns.id)));
                    }
                    now.op = Some(op.id);
                    now.revision += 1;
                    steps.iter().try_for_each(|s| tx.put(s))?;
                    tx.put(&now)?;
                    tx.put(&op)
                },
            },
        )?;
        info!(op = %op.id, ns = %ns.id, kind = op.kind.name(), state = op.state.name(), "operation accepted");
        self.vnfm.engine()?.submit(op.clone(), steps, &[]);
        Ok(op)
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
