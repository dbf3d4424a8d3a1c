//! What the end of an operation means for a service and its members. Runs in that end's
//! transaction.

use std::collections::BTreeMap;

use super::accept::{children, use_pnfd};
use crate::{
    model::{
        abroad::ForeignVnf,
        chain::Chain,
        error::{Fault, Result},
        id::{NsId, OpId, VnfId, VnfPkgId},
        ns::NsInstance,
        op::{NsOpState, OpKind, OpState, Operation, Trigger, VnfOpState},
        own::OwnEndpoints,
        segment::Segment,
        step::{NsStep, PlanStep, Step},
        time::Stamp,
        vnf::{Reservation, VnfInstance},
    },
    store::Tx,
    vnfm::{accept::use_package, settle as vnf},
};

pub fn settle(tx: &mut Tx<'_>, ns: NsId, op: &Operation, state: NsOpState) -> Result<()> {
    let Some(mut inst) = tx.get::<NsInstance>(&ns)? else { return Ok(()) };
    match state {
        NsOpState::Processing | NsOpState::RollingBack | NsOpState::FailedTemp => return Ok(()),
        NsOpState::Completed | NsOpState::PartiallyCompleted | NsOpState::Failed | NsOpState::RolledBack => {}
    }
    match (op.kind, state) {
        (OpKind::Instantiate, NsOpState::Completed | NsOpState::PartiallyCompleted) => inst.instantiated = true,
        // What is there stays named by the members; a termination removes it.
        (OpKind::Instantiate, NsOpState::Failed) => {
            give_up_children(tx, op)?;
            inst.instantiated = !inst.members.is_empty();
        }
        (OpKind::Instantiate, NsOpState::RolledBack) | (OpKind::Terminate, NsOpState::Completed) => {
            drop_chains(tx, op)?;
            clear(tx, &mut inst)?;
        }
        (OpKind::Scale, NsOpState::Completed | NsOpState::RolledBack) => drop_members(tx, &mut inst, op)?,
        (OpKind::Scale, NsOpState::Failed) => {
            give_up_children(tx, op)?;
            drop_members(tx, &mut inst, op)?;
        }
        (OpKind::Terminate | OpKind::Heal | OpKind::Update, NsOpState::Failed) => give_up_children(tx, op)?,
        (
            OpKind::Instantiate
            | OpKind::Terminate
            | OpKind::Start
            | OpKind::Stop
            | OpKind::ModifyInfo
            | OpKind::Scale
            | OpKind::ScaleToLevel
            | OpKind::Heal
            | OpKind::ReloadPf
            | OpKind::RestorePf
            | OpKind::Update
            | OpKind::CreateSnapshot
            | OpKind::RevertToSnapshot
            | OpKind::ChangeExtConn
            | OpKind::ChangeFlavour
            | OpKind::ChangePackage,
            NsOpState::Processing
            | NsOpState::Completed
            | NsOpState::PartiallyCompleted
            | NsOpState::FailedTemp
            | NsOpState::Failed
            | NsOpState::RollingBack
            | NsOpState::RolledBack,
        ) => {}
    }
    if inst.op == Some(op.id) {
        inst.op = None;
    }
    inst.revision += 1;
    tx.put(&inst)
}

/// The chains that an operation made or took away.
fn drop_chains(tx: &mut Tx<'_>, op: &Operation) -> Result<()> {
    for i in 0..op.steps {
        if let Some(PlanStep { step: Step::Ns(NsStep::Chain(id) | NsStep::RemoveChain(id)), .. }) = tx.get::<PlanStep>(&(op.id, i))? {
            tx.delete::<Chain>(&id)?;
        }
    }
    Ok(())
}

/// The parts of an operation that was given up are given up with it, so that none of them holds its
/// VNF any longer.
fn give_up_children(tx: &mut Tx<'_>, op: &Operation) -> Result<()> {
    let mut steps = Vec::new();
    for i in 0..op.steps {
        steps.extend(tx.get::<PlanStep>(&(op.id, i))?);
    }
    for id in children(&steps) {
        give_up(tx, id, op.state_entered)?;
    }
    Ok(())
}

fn give_up(tx: &mut Tx<'_>, id: OpId, now: Stamp) -> Result<()> {
    let Some(mut child) = tx.get::<Operation>(&id)? else { return Ok(()) };
    let triggers: &[Trigger] = match child.state {
        // A crash may have taken its release back: what it made stays named by its VNF.
        OpState::Vnf(VnfOpState::Starting) => &[Trigger::Granted, Trigger::Broke, Trigger::Fail],
        OpState::Vnf(VnfOpState::FailedTemp) => &[Trigger::Fail],
        // Given up now, it would end with nobody to answer for it.
        OpState::Vnf(VnfOpState::Processing | VnfOpState::RollingBack) => {
            return Err(Fault::conflict(format!(
                "its part, operation {id}, is still under way ({}): wait for its end",
                child.state.name()
            )));
        }
        OpState::Vnf(VnfOpState::Completed | VnfOpState::Failed | VnfOpState::RolledBack) | OpState::Ns(_) => return Ok(()),
    };
    triggers.iter().try_for_each(|t| child.apply(*t, now))?;
    if let (OpState::Vnf(state), crate::model::op::Target::Vnf(vnf)) = (child.state, child.target) {
        vnf::settle(tx, vnf, &child, state)?;
    }
    tx.put(&child)
}

/// VNFs that the operation was to make or to take away, and of which nothing is there: the service does not
/// have them any more.
fn drop_members(tx: &mut Tx<'_>, inst: &mut NsInstance, op: &Operation) -> Result<()> {
    let mut gone: Vec<VnfId> = Vec::new();
    for i in 0..op.steps {
        let Some(PlanStep { step: Step::Ns(NsStep::Instantiate { vnf, .. } | NsStep::Terminate { vnf, .. }), .. }) = tx.get(&(op.id, i))?
        else {
            continue;
        };
        let Some(v) = tx.get::<VnfInstance>(&vnf)?.filter(|v| v.body.is_none()) else { continue };
        use_package(tx, v.package, -1)?;
        tx.delete::<Reservation>(&vnf)?;
        tx.delete::<OwnEndpoints>(&vnf)?;
        tx.delete::<ForeignVnf>(&vnf)?;
        tx.delete::<VnfInstance>(&vnf)?;
        gone.push(vnf);
    }
    if gone.is_empty() {
        return Ok(());
    }
    inst.members.retain(|m| !gone.contains(&m.vnf));
    for (_, id) in &inst.links {
        let Some(mut s) = tx.get::<Segment>(id)? else { continue };
        s.stations.retain(|st| !gone.contains(&st.vnf));
        tx.put(&s)?;
    }
    vnf::touch(tx)
}

/// The service is gone: its members, links and reservations go with it.
fn clear(tx: &mut Tx<'_>, inst: &mut NsInstance) -> Result<()> {
    let mut users: BTreeMap<VnfPkgId, i32> = BTreeMap::new();
    for m in std::mem::take(&mut inst.members) {
        let Some(vnf) = tx.get::<VnfInstance>(&m.vnf)? else { continue };
        *users.entry(vnf.package).or_default() -= 1;
        for s in vnf.body.iter().flat_map(|b| &b.own_segments) {
            tx.delete::<Segment>(s)?;
        }
        tx.delete::<Reservation>(&m.vnf)?;
        tx.delete::<OwnEndpoints>(&m.vnf)?;
        tx.delete::<ForeignVnf>(&m.vnf)?;
        tx.delete::<VnfInstance>(&m.vnf)?;
    }
    for (package, n) in users {
        use_package(tx, package, n)?;
    }
    for (_, segment) in std::mem::take(&mut inst.links) {
        tx.delete::<Segment>(&segment)?;
    }
    inst.saps.clear();
    for p in std::mem::take(&mut inst.pnfs) {
        use_pnfd(tx, p.pnfd_info, -1)?;
    }
    inst.instantiated = false;
    inst.flavour = None;
    inst.level = None;
    Ok(())
}
