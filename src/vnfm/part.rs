//! A member's own operation as a part of one of its service: accepted with it in one transaction, and begun by its step.
//!
//! Owns what the service hands over for that. Never: network services themselves.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use super::accept::check_standalone;
use crate::{
    model::{
        error::{Fault, Result},
        id::{OpId, PortId, VnfcId},
        op::Operation,
        tree::set,
        vnf::{Body, VnfInstance},
    },
    store::Tx,
};

/// The VNF as its service has it.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    /// What the service calls it: it leads the hostnames of new guests.
    pub short: &'a SmolStr,
    /// Chains lead by it, or end at it: none of its guests and NICs may come or go.
    pub chained: bool,
}

/// The operation of a service that this one is a part of.
pub struct Service<'a> {
    pub parent: OpId,
    /// The id that its step knows this one by.
    pub child: OpId,
    pub member: Member<'a>,
    /// Writes what is the service's, in the same transaction.
    pub with: &'a dyn Fn(&mut Tx<'_>) -> Result<()>,
}

impl Service<'_> {
    pub(super) fn adopt(&self, op: &mut Operation) {
        (op.parent, op.automatic) = (Some(self.parent), true);
    }
}

/// In a transaction: the last that is written of it.
pub(super) fn put_service(tx: &mut Tx<'_>, of: Option<&Service<'_>>) -> Result<()> {
    of.map_or(Ok(()), |of| (of.with)(tx))
}

impl Member<'_> {
    /// What a chain leads by is there before and after.
    pub(super) fn check(self, before: &Body, after: &Body) -> Result<()> {
        let all = |b: &Body| -> BTreeSet<(VnfcId, PortId)> { set(b.vnfcs.iter().flat_map(|c| c.ports.iter().map(|p| (c.id, p.id)))) };
        if self.chained && all(before) != all(after) {
            let why =
                "chains of its service lead by the VNF, or end at it: a change by which guests or NICs of it come or go is not offered";
            return Err(Fault::conflict(why));
        }
        Ok(())
    }
}

/// Members are changed by their service, and VNFs of none by themselves.
pub(super) fn check_asker(inst: &VnfInstance, by_service: bool) -> Result<()> {
    match by_service {
        false => check_standalone(inst),
        true if inst.ns.is_some() => Ok(()),
        true => Err(Fault::bug(format!("VNF instance {} is changed by a service that has it not", inst.id))),
    }
}
