//! What the two op-occ APIs share: finding operations of their kind, with what is shown beside them.

use std::collections::HashSet;

use uuid::Uuid;

use super::{convert::opocc::Around, list::Page};
use crate::{
    lcm::timeline::{all_operations, find_operation, page_of_operations},
    model::{
        domain::DomainSpec,
        error::{Fault, Result},
        id::{OpId, VnfcId},
        op::{OpKind, Operation, Target},
        step::{PlanStep, Step, VnfStep},
        vnf::VnfInstance,
    },
    nfvo::Nfvo,
};

/// Which of the two APIs asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Vnf,
    Ns,
}

impl Kind {
    fn has(self, op: &Operation) -> bool {
        match op.target {
            Target::Vnf(_) => self == Kind::Vnf,
            Target::Ns(_) => self == Kind::Ns,
        }
    }
}

/// Operations of this kind in the order of their ids, under way or long over.
pub fn page(nfvo: &Nfvo, kind: Kind, after: Option<Uuid>, limit: usize) -> Result<Page<Operation>> {
    let mut page = Page::of(page_of_operations(nfvo.vnfm().store(), after.map(OpId), limit)?, limit, |op| op.id.0);
    page.entries.retain(|(_, op)| kind.has(op));
    Ok(page)
}

/// An operation of this kind; one of the other is not here.
pub fn find(nfvo: &Nfvo, kind: Kind, id: OpId) -> Result<Operation> {
    let op = find_operation(nfvo.vnfm().store(), id)?;
    if kind.has(&op) { Ok(op) } else { Err(Fault::not_found(format!("there is no operation {id}"))) }
}

/// The guests a termination removes, from the plan of the instantiation that made them.
fn removed(nfvo: &Nfvo, op: &Operation, steps: &[PlanStep]) -> Result<Vec<DomainSpec>> {
    let gone: HashSet<VnfcId> = steps
        .iter()
        .filter_map(|s| match &s.step {
            Step::Vnf(VnfStep::RemoveGuest(id)) => Some(*id),
            Step::Vnf(_) | Step::Ns(_) => None,
        })
        .collect();
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    let store = nfvo.vnfm().store();
    let mut out = Vec::new();
    for made in all_operations(store)?.iter().filter(|o| o.target == op.target && o.kind == OpKind::Instantiate) {
        for s in store.list_under::<PlanStep>(&made.id)?.into_iter().chain(store.list_history_under(&made.id)?) {
            if let Step::Vnf(VnfStep::Define(spec)) = s.step
                && gone.contains(&spec.id)
            {
                out.push(*spec);
            }
        }
    }
    Ok(out)
}

/// What is shown beside an operation, as far as it is still there.
pub fn around(nfvo: &Nfvo, op: &Operation) -> Result<Around> {
    let store = nfvo.vnfm().store();
    let mut steps = store.list_under::<PlanStep>(&op.id)?;
    if steps.is_empty() {
        steps = store.list_history_under(&op.id)?;
    }
    let removed = removed(nfvo, op, &steps)?;
    let mut around = Around { steps, removed, ..Around::default() };
    match op.target {
        Target::Vnf(id) => around.vnf = store.get(&id)?,
        Target::Ns(id) => {
            around.ns = store.get(&id)?;
            for m in around.ns.iter().flat_map(|n| &n.members) {
                around.members.extend(store.get::<VnfInstance>(&m.vnf)?);
            }
        }
    }
    Ok(around)
}
