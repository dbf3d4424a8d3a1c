//! What the end of an operation means for a VNF instance. Runs in the transaction of that end.

use crate::model::order::Order as _;
use crate::{
    model::{
        abroad::ForeignVnf,
        error::Result,
        id::{SegmentId, VnfcId},
        op::{OpKind, Operation, VnfOpState},
        segment::Segment,
        vnf::{Change, Facts, Reservation, RunState, VnfInstance},
    },
    store::Tx,
    vim::capacity::reservation,
};

/// Brings the instance after its operation; `state` is the operation's new state.
///
/// A failed instantiation leaves the instance instantiated with all that was planned: some of it
/// exists, and a termination removes what is there.
pub fn settle(tx: &mut Tx<'_>, vnf: crate::model::id::VnfId, op: &Operation, state: VnfOpState) -> Result<()> {
    let Some(mut inst) = tx.get::<VnfInstance>(&vnf)? else { return Ok(()) };
    match state {
        VnfOpState::Starting | VnfOpState::Processing | VnfOpState::RollingBack | VnfOpState::FailedTemp => return Ok(()),
        VnfOpState::Completed | VnfOpState::Failed | VnfOpState::RolledBack => {}
    }
    match (op.kind, state) {
        (OpKind::Instantiate, VnfOpState::Completed | VnfOpState::Failed) => inst.instantiated = true,
        (OpKind::Instantiate, VnfOpState::RolledBack) | (OpKind::Terminate, VnfOpState::Completed) => clear(tx, &mut inst)?,
        (OpKind::Scale | OpKind::ScaleToLevel | OpKind::Heal, state) => changed(tx, &mut inst, op, state)?,
        (OpKind::CreateSnapshot | OpKind::RevertToSnapshot, state) => super::snapshot::settle(tx, &inst, op, state)?,
        (OpKind::ChangeFlavour | OpKind::ChangePackage, state) => super::remake::settle(tx, &mut inst, op, state)?,
        (OpKind::ChangeExtConn, state) => super::connect::settle(tx, &mut inst, op, state)?,
        // It was done when it was taken.
        (OpKind::ModifyInfo, VnfOpState::Completed) => {}
        (OpKind::Start, VnfOpState::Completed) => set_run(&mut inst, RunState::Started),
        (OpKind::Stop, VnfOpState::Completed) => set_run(&mut inst, RunState::Stopped),
        (
            OpKind::Instantiate | OpKind::Terminate | OpKind::Start | OpKind::Stop | OpKind::ModifyInfo,
            VnfOpState::Starting
            | VnfOpState::Processing
            | VnfOpState::FailedTemp
            | VnfOpState::Failed
            | VnfOpState::RollingBack
            | VnfOpState::RolledBack,
        )
        // Not of one VNF (`reload::settle`).
        | (OpKind::ReloadPf | OpKind::RestorePf | OpKind::Update, _) => {}
    }
    if inst.op == Some(op.id) {
        inst.op = None;
    }
    inst.revision += 1;
    tx.put(&inst)
}

fn set_run(inst: &mut VnfInstance, run: RunState) {
    if let Some(b) = &mut inst.body {
        b.run = run;
    }
}

/// What was added stays, and what was removed goes; or the other way round. Given up, the record keeps
/// naming whatever may be there.
fn changed(tx: &mut Tx<'_>, inst: &mut VnfInstance, op: &Operation, state: VnfOpState) -> Result<()> {
    let Some(change) = tx.get::<Change>(&inst.id)?.filter(|c| c.op == op.id) else { return Ok(()) };
    tx.delete::<Change>(&inst.id)?;
    let Some(body) = &mut inst.body else { return Ok(()) };
    let gone: &[VnfcId] = match state {
        VnfOpState::RolledBack => &change.added,
        VnfOpState::Failed => &[],
        VnfOpState::Completed => &change.removed,
        VnfOpState::Starting | VnfOpState::Processing | VnfOpState::RollingBack | VnfOpState::FailedTemp => return Ok(()),
    };
    let reached = match state {
        VnfOpState::Completed => true,
        // All that was to be added is named, and nothing was to be removed. What a foreign VNFM has added is not known.
        VnfOpState::Failed => change.removed.is_empty() && !tx.exists::<ForeignVnf>(&change.vnf)?,
        VnfOpState::Starting | VnfOpState::Processing | VnfOpState::RollingBack | VnfOpState::FailedTemp | VnfOpState::RolledBack => false,
    };
    if reached {
        body.scale = change.scale;
        body.level = change.level;
    }
    let ports = body.drop_vnfcs(gone);
    let mut placed = tx.get::<Reservation>(&inst.id)?.map(|r| r.placed).unwrap_or_default();
    placed.retain(|h| body.vnfc(h.guest).is_some());
    tx.put(&reservation(inst.id, inst.project, &body.vnfcs.iter().collect::<Vec<_>>(), placed))?;
    let mut segments: Vec<SegmentId> = ports.iter().map(|p| p.segment).collect();
    segments.order();
    segments.dedup();
    for id in segments {
        let Some(mut s) = tx.get::<Segment>(&id)? else { continue };
        s.stations.retain(|st| !ports.iter().any(|p| p.id == st.port));
        tx.put(&s)?;
    }
    touch(tx)
}

/// A plan that read the links before this would write the stations back.
pub fn touch(tx: &mut Tx<'_>) -> Result<()> {
    let facts = tx.get::<Facts>(&())?.unwrap_or_default();
    tx.put(&Facts { revision: facts.revision + 1 })
}

/// Nothing of it is there any more: its resources are given back.
fn clear(tx: &mut Tx<'_>, inst: &mut VnfInstance) -> Result<()> {
    inst.instantiated = false;
    tx.delete::<Reservation>(&inst.id)?;
    let Some(body) = inst.body.take() else { return Ok(()) };
    for s in &body.own_segments {
        tx.delete::<Segment>(s)?;
    }
    // A member is on its service's links and its own only. The service's go with the service: to
    // read and write them for each member would cost the square of the members.
    if inst.ns.is_some() {
        return Ok(());
    }
    let mut others: Vec<SegmentId> =
        body.vnfcs.iter().flat_map(|c| &c.ports).map(|p| p.segment).filter(|s| !body.own_segments.contains(s)).collect();
    others.order();
    others.dedup();
    let mut shared = false;
    for id in others {
        let Some(mut s) = tx.get::<Segment>(&id)? else { continue };
        s.stations.retain(|st| st.vnf != inst.id);
        tx.put(&s)?;
        shared = true;
    }
    if shared {
        touch(tx)?;
    }
    Ok(())
}
