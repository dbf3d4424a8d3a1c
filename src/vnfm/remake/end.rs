//! What the end of such an operation means for the VNF, and what its steps take it to be until then.
//!
//! Owns the records that change then: instance, reservation, links, and which package is in use. Never: plans.

use super::sides::alone;
use crate::model::order::Order as _;
use crate::{
    model::{
        error::Result,
        id::{SegmentId, VnfId},
        op::{Operation, Phase, VnfOpState},
        segment::Segment,
        vnf::{Origin, PackageChange, Remake, Reservation, Side, VnfInstance},
    },
    store::Tx,
    vnfm::{Vnfm, accept::use_package, settle::touch},
};

impl Vnfm {
    /// What steps of the operation that holds the VNF, and looks at its guests meanwhile, take it to be: on its way to
    /// another flavour or package it is of that one; on its way back, and before it has begun, of the old one.
    pub(in crate::vnfm) fn as_now(&self, mut inst: VnfInstance) -> Result<VnfInstance> {
        let Some(id) = inst.op else { return Ok(inst) };
        let Some(r) = self.store.get::<Remake>(&inst.id)?.filter(|r| r.op == id) else { return Ok(inst) };
        let old = self.store.get::<Operation>(&id)?.is_some_and(|op| matches!(op.state.phase(), Phase::Held | Phase::Backward));
        if let Some(PackageChange { before, after }) = r.package {
            if old { before } else { after }.put_on(&mut inst);
        }
        inst.body = Some(if old { r.before.body } else { r.after.body });
        Ok(inst)
    }

    /// The side that a VNF is of while its change waits for the grant.
    pub(in crate::vnfm) fn side_before_grant(&self, vnf: VnfId) -> Result<Option<Side>> {
        let Some(r) = self.store.get::<Remake>(&vnf)? else { return Ok(None) };
        let waits = self.store.get::<Operation>(&r.op)?.is_some_and(|op| op.awaits_grant());
        Ok(waits.then_some(r.before))
    }
}

/// In the transaction that ends the operation: the VNF is what it came to, or what it was. Given up, the record keeps
/// naming whatever may be there.
pub(in crate::vnfm) fn settle(tx: &mut Tx<'_>, inst: &mut VnfInstance, op: &Operation, state: VnfOpState) -> Result<()> {
    let Some(r) = tx.get::<Remake>(&inst.id)?.filter(|r| r.op == op.id) else { return Ok(()) };
    let (side, other) = match state {
        VnfOpState::Completed => (r.after, r.before),
        VnfOpState::RolledBack => (r.before, r.after),
        VnfOpState::Failed => {
            let_go(tx, r.package.as_ref().map(|p| &p.after))?;
            return give_up(tx, inst);
        }
        VnfOpState::Starting | VnfOpState::Processing | VnfOpState::RollingBack | VnfOpState::FailedTemp => return Ok(()),
    };
    tx.delete::<Remake>(&inst.id)?;
    match (state, r.package) {
        (VnfOpState::Completed, Some(PackageChange { before, after })) => {
            let_go(tx, Some(&before))?;
            after.put_on(inst);
        }
        (_, other) => let_go(tx, other.as_ref().map(|p| &p.after))?,
    }
    let mut side = side;
    // A disk that was enlarged stays so; before the first step none was.
    for d in side.body.vnfcs.iter_mut().flat_map(|c| &mut c.disks).filter(|_| !op.never_began()) {
        let of = other.body.vnfcs.iter().flat_map(|c| &c.disks).find(|o| o.id == d.id);
        d.size = of.map_or(d.size, |o| d.size.max(o.size));
    }
    let of = Reservation {
        vnf: inst.id,
        project: inst.project,
        vcpus: 0,
        memory: Default::default(),
        disk: Default::default(),
        placed: Vec::new(),
    };
    tx.put(&alone(&of, &side))?;
    let mut segments: Vec<SegmentId> = other.body.ports().map(|p| p.segment).collect();
    segments.order();
    segments.dedup();
    for id in segments {
        let Some(mut s) = tx.get::<Segment>(&id)? else { continue };
        s.stations.retain(|st| side.body.ports().any(|p| p.id == st.port) || other.body.ports().all(|p| p.id != st.port));
        tx.put(&s)?;
    }
    for s in other.body.own_segments.iter().filter(|s| !side.body.own_segments.contains(s)) {
        tx.delete::<Segment>(s)?;
    }
    inst.body = Some(side.body);
    touch(tx)
}

/// The package has one user less.
fn let_go(tx: &mut Tx<'_>, product: Option<&Origin>) -> Result<()> {
    product.map_or(Ok(()), |p| use_package(tx, p.package, -1))
}

/// Guests of either side may run from now on.
fn give_up(tx: &mut Tx<'_>, inst: &VnfInstance) -> Result<()> {
    tx.delete::<Remake>(&inst.id)?;
    let (Some(body), Some(had)) = (&inst.body, tx.get::<Reservation>(&inst.id)?) else { return Ok(()) };
    tx.put(&alone(&had, &Side { body: body.clone(), placed: had.placed.clone() }))?;
    touch(tx)
}
