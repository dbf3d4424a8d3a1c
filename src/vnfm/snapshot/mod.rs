//! Snapshots of VNFs (SOL003 5.4.21 to 5.4.24): made empty, filled by an operation, reverted to, deleted.
//!
//! * `plan` pure: which disks are copied, which go back to their copies
//! * `step` does and undoes that, and finds copies that nothing names
//!
//! A snapshot outlives the termination of its VNF: only a client's deletion ends it. Owns the taking of these
//! requests and what their ends mean. Never: a guest's memory, which is in no snapshot.

mod plan;
mod step;

use tracing::{info, warn};

use super::{
    Vnfm,
    accept::{OUTRUN, body_of, retrying},
    grant::{self, check_quota, claim_facts},
    owned::{Wanted, put_ask},
    part::{Service, put_service},
    plan::fresh_uuid,
    settle::touch,
};
use crate::{
    model::{
        error::{Fault, Result},
        id::{OpId, ProjectId, SnapshotId, VnfId},
        op::{OpKind, Operation, Target, VnfOpState},
        package::VnfPackage,
        param::Params,
        secret::refuse_clear,
        size::MiB,
        snapshot::{Taken, VnfSnapshot},
        step::{PlanStep, Step, VnfStep},
        vnf::{Reservation, VnfInstance},
    },
    store::{Durability, Tx},
    vim::capacity::{Need, Whole, check, reservation},
};

/// What is done with a snapshot.
pub enum Asked<'a> {
    Take(&'a Params),
    Revert,
}

/// An operation with a snapshot, ready to be stored.
struct Ready {
    inst: VnfInstance,
    /// Its revision as it was read.
    seen: u64,
    record: VnfSnapshot,
    op: Operation,
    steps: Vec<PlanStep>,
    /// What it takes of the room for disks, and whether the project's quota counts it: what is given back at the
    /// operation's end is not held against it.
    disk: MiB,
    counted: bool,
}

impl Vnfm {
    /// SOL003 5.4.23.3.1: an empty one.
    pub fn create_snapshot(&self, project: ProjectId) -> Result<VnfSnapshot> {
        let id = SnapshotId(fresh_uuid(&*self.dice));
        let record = VnfSnapshot { id, project, taken: None, op: None, created: self.clock.now(), revision: 1 };
        self.store.write(Durability::Barrier, |tx| tx.put_new(&record))?;
        Ok(record)
    }

    pub fn find_snapshot(&self, id: SnapshotId) -> Result<VnfSnapshot> {
        self.store.get(&id)?.ok_or_else(|| absent(id))
    }

    /// SOL003 5.4.24.3.4 changes what is taken out of a package; here it can only find that there is nothing to
    /// change. `allowed` sees the record.
    pub fn modify_snapshot(&self, id: SnapshotId, allowed: impl Fn(&VnfSnapshot) -> Result<()>) -> Result<VnfSnapshot> {
        let record = self.find_snapshot(id)?;
        allowed(&record)?;
        record.check_free()?;
        if record.taken.is_some() {
            return Err(Fault::conflict(format!("VNF snapshot {id} has its content: it is not changed any more")));
        }
        Ok(record)
    }

    /// Removes it with its copies; `allowed` sees it in the transaction.
    pub fn delete_snapshot(&self, id: SnapshotId, allowed: impl Fn(&VnfSnapshot) -> Result<()>) -> Result<()> {
        let gone = self.store.write(Durability::Barrier, |tx| {
            let record: VnfSnapshot = tx.get(&id)?.ok_or_else(|| absent(id))?;
            allowed(&record)?;
            record.check_free()?;
            tx.delete::<VnfSnapshot>(&id)?;
            touch(tx)?;
            Ok(record)
        })?;
        for c in gone.copies() {
            // Nothing names it any more: the next sweep finds it.
            if let Err(fault) = self.images.remove_copy(c.copy) {
                warn!(snapshot = %id, copy = %c.copy, "a copy of a deleted snapshot stays for now: {fault:?}");
            }
        }
        info!(snapshot = %id, "VNF snapshot deleted");
        // Its package may be gone, and the image was kept for it; an hourly look finds it otherwise.
        if let Err(fault) = self.sweep_artifacts() {
            warn!("files that no package names are not looked for: {fault:?}");
        }
        Ok(())
    }

    /// SOL003 5.4.21. Returns the operation, which may have ended already (no room).
    pub fn take_snapshot(&self, vnf: VnfId, id: SnapshotId, user_data: &Params, request: &str) -> Result<Operation> {
        self.begin(vnf, id, &Asked::Take(user_data), request)
    }

    /// SOL003 5.4.22. Returns the operation, which may have ended already (no room).
    pub fn revert_to_snapshot(&self, vnf: VnfId, id: SnapshotId, request: &str) -> Result<Operation> {
        self.begin(vnf, id, &Asked::Revert, request)
    }

    /// The same as a part of a service's operation: accepted with it, and begun by its step. No room: refused.
    pub fn snapshot_for(&self, vnf: VnfId, id: SnapshotId, what: &Asked<'_>, of: &Service<'_>) -> Result<()> {
        self.may_begin(what)?;
        // As the task's request would name it.
        let request = format!("{{\"vnfSnapshotInfoId\":\"{id}\"}}");
        retrying(|| {
            let room = self.snapshot()?;
            self.commit(self.prepared(of.child, vnf, id, what, &request)?, &room, Some(of))
        })
        .map(drop)
    }

    fn may_begin(&self, what: &Asked<'_>) -> Result<()> {
        match what {
            Asked::Take(user_data) => refuse_clear(user_data),
            Asked::Revert => self.check_accel(),
        }
    }

    fn prepared(&self, op: OpId, vnf: VnfId, id: SnapshotId, what: &Asked<'_>, request: &str) -> Result<Ready> {
        let inst: VnfInstance = self.store.require(&vnf)?;
        inst.check_free()?;
        self.check_here(vnf, "a snapshot")?;
        let body = body_of(&inst)?;
        let mut record = self.find_snapshot(id)?;
        record.check_free()?;
        if record.project != inst.project {
            return Err(absent(id));
        }
        match what {
            Asked::Take(user_data) => {
                if record.taken.is_some() {
                    return Err(Fault::invalid(format!("VNF snapshot {id} has its content already: make another")));
                }
                let op = self.draft_op(op, inst.project, Target::Vnf(vnf), OpKind::CreateSnapshot, request.to_owned());
                let (guests, steps) = plan::capture(body, id, op.id, &*self.dice)?;
                let mut copy = inst.clone();
                copy.op = None;
                record.taken =
                    Some(Taken { vnf: Box::new(copy), guests, begun: op.created, finished: None, user_data: (*user_data).clone() });
                let disk = record.disk();
                Ok(Ready { seen: inst.revision, inst, record, op, steps, disk, counted: true })
            }
            Asked::Revert => {
                let taken = record.taken.as_ref().filter(|t| t.finished.is_some());
                let taken = taken.ok_or_else(|| Fault::conflict(format!("VNF snapshot {id} is empty: there is nothing to revert to")))?;
                if taken.vnf.id != vnf {
                    return Err(Fault::conflict(format!("VNF snapshot {id} is one of VNF instance {}, not of {vnf}", taken.vnf.id)));
                }
                let package: Option<VnfPackage> = self.store.get(&inst.package)?;
                let flavour = package.as_ref().and_then(|p| p.vnfd.as_ref()).and_then(|v| v.flavour(&body.flavour));
                let mut op = self.draft_op(op, inst.project, Target::Vnf(vnf), OpKind::RevertToSnapshot, request.to_owned());
                op.warnings.extend(self.accel_warning());
                let steps = plan::revert(body, taken, id, flavour, op.id, &*self.dice)?;
                // The disks as they are, and beside them as they will be.
                let disk = record.disk();
                Ok(Ready { seen: inst.revision, inst, record, op, steps, disk, counted: false })
            }
        }
    }

    fn begin(&self, vnf: VnfId, snapshot: SnapshotId, what: &Asked<'_>, request: &str) -> Result<Operation> {
        self.may_begin(what)?;
        let id = OpId(fresh_uuid(&*self.dice));
        let (op, steps) = retrying(|| {
            // Before what is read for the plan: it guards it.
            let room = self.snapshot()?;
            self.commit(self.prepared(id, vnf, snapshot, what, request)?, &room, None)
        })?;
        info!(op = %op.id, kind = op.kind.name(), state = op.state.name(), "operation accepted");
        self.hand_over(&op, steps)?;
        Ok(op)
    }

    fn commit(&self, ready: Ready, room: &grant::Snapshot, of: Option<&Service<'_>>) -> Result<(Operation, Vec<PlanStep>)> {
        let Ready { mut inst, seen, mut record, mut op, mut steps, disk, counted } = ready;
        let wants = [Whole { disk: if counted { disk } else { MiB(0) }, ..Whole::default() }];
        check_quota(self.store.get(&inst.project)?, room.used(inst.project), &wants)?;
        let need = Need { what: format!("snapshot of VNF {}", inst.name), vcpus: 0, memory: MiB(0), disk };
        if let Err(refusal) = check(room.account, &[need]) {
            return if of.is_some() { Err(refusal) } else { self.refused(inst.id, op, &refusal) };
        }
        self.coordinate_plan(inst.package, &body_of(&inst)?.flavour, op.kind, &mut steps)?;
        op.steps = steps.len() as u32;
        let grant = match of {
            None => self.begin_op(&mut op, &inst, Wanted::default())?,
            Some(of) => {
                of.adopt(&mut op);
                None
            }
        };
        inst.op = Some(op.id);
        inst.revision += 1;
        record.op = Some(op.id);
        record.revision += 1;
        self.store.write(Durability::Barrier, |tx| {
            claim_facts(tx, room.facts)?;
            check_quota(tx.get(&inst.project)?, room.used(inst.project), &wants)?;
            let now: VnfInstance = tx.require(&inst.id)?;
            now.check_free()?;
            let its: VnfSnapshot = tx.get(&record.id)?.ok_or_else(|| absent(record.id))?;
            its.check_free()?;
            if now.revision != seen || its.revision + 1 != record.revision {
                return Err(Fault::conflict(OUTRUN));
            }
            if !counted && let Some(mut held) = tx.get::<Reservation>(&inst.id)? {
                held.disk = held.disk.plus(disk);
                tx.put(&held)?;
            }
            tx.put(&inst)?;
            tx.put(&record)?;
            tx.put(&op)?;
            put_ask(tx, grant.as_ref())?;
            steps.iter().try_for_each(|s| tx.put(s))?;
            put_service(tx, of)
        })?;
        Ok((op, steps))
    }
}

fn absent(id: SnapshotId) -> Fault {
    Fault::not_found(format!("there is no VNF snapshot {id}"))
}

/// In the transaction that ends the operation: the snapshot is complete, or has nothing; nobody holds it any more,
/// and what a revert kept is given back.
pub(super) fn settle(tx: &mut Tx<'_>, inst: &VnfInstance, op: &Operation, state: VnfOpState) -> Result<()> {
    let Some(id) = named(tx, op)? else { return Ok(()) };
    if let Some(mut record) = tx.get::<VnfSnapshot>(&id)?.filter(|s| s.op == Some(op.id)) {
        record.op = None;
        record.revision += 1;
        if op.kind == OpKind::CreateSnapshot {
            match state {
                VnfOpState::Completed => {
                    if let Some(t) = &mut record.taken {
                        t.finished = Some(op.state_entered);
                    }
                }
                // What was given up is no snapshot: its copies are named by nothing now, and go.
                VnfOpState::Starting
                | VnfOpState::Processing
                | VnfOpState::FailedTemp
                | VnfOpState::Failed
                | VnfOpState::RollingBack
                | VnfOpState::RolledBack => record.taken = None,
            }
        }
        tx.put(&record)?;
    }
    if op.kind == OpKind::RevertToSnapshot
        && let (Some(held), Some(body)) = (tx.get::<Reservation>(&inst.id)?, &inst.body)
    {
        tx.put(&reservation(inst.id, inst.project, &body.vnfcs.iter().collect::<Vec<_>>(), held.placed))?;
    }
    touch(tx)
}

/// The snapshot that an operation's plan is about.
fn named(tx: &Tx<'_>, op: &Operation) -> Result<Option<SnapshotId>> {
    for index in 0..op.steps {
        match tx.get::<PlanStep>(&(op.id, index))?.map(|s| s.step) {
            Some(Step::Vnf(VnfStep::Capture { snapshot, .. } | VnfStep::RevertDisk { snapshot, .. })) => return Ok(Some(snapshot)),
            Some(Step::Vnf(_) | Step::Ns(_) | Step::Pf(_)) | None => {}
        }
    }
    Ok(None)
}
