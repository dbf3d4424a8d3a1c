//! Takes a request to change running chains of a service (SOL005 6.4.6, UPDATE_VNFFG), or looks what it would
//! do: one step for each chain that takes another way, in one operation.
//!
//! Never: which ways there are (`way`), flows.

use std::collections::HashMap;

use tracing::info;

use super::{
    Nfvo,
    acts::put_ns_parts,
    way::{PathChange, Rerouted, Running, plan},
};
use crate::{
    model::{
        chain::Chain,
        error::{Fault, Result},
        id::{NsId, OpId, VnfId},
        ns::NsInstance,
        nsd::NsFlavour,
        op::{OpKind, Operation, Target, Trigger},
        package::NsDescriptor,
        segment::Segment,
        step::{NsStep, PlanStep, Step},
        vnf::{Body, VnfInstance},
    },
    store::Durability,
    vnfm::plan::{Steps, fresh_uuid},
};

/// A change that was planned and not made.
pub struct ChainsDryRun {
    pub changes: Vec<Rerouted>,
    pub steps: Vec<PlanStep>,
}

impl Nfvo {
    pub fn dry_reroute(&self, id: NsId, ask: &[PathChange]) -> Result<ChainsDryRun> {
        let (_, changes) = self.ways(id, ask)?;
        let steps = steps_of(&changes, OpId(fresh_uuid(&**self.vnfm.dice())));
        Ok(ChainsDryRun { changes, steps })
    }

    pub fn reroute(&self, id: NsId, ask: &[PathChange], request: &str) -> Result<Operation> {
        let (ns, changes) = self.ways(id, ask)?;
        let op_id = OpId(fresh_uuid(&**self.vnfm.dice()));
        let op = self.vnfm.draft_op(op_id, ns.project, Target::Ns(id), OpKind::Update, request.to_owned());
        let steps = steps_of(&changes, op_id);
        let warnings = changes.iter().flat_map(|c| c.warnings.iter().cloned()).collect();
        self.commit_update(&ns, Operation { warnings, ..op }, steps)
    }

    /// Takes an update of a service as it was read; without steps it is over at once.
    pub(super) fn commit_update(&self, ns: &NsInstance, mut op: Operation, steps: Vec<PlanStep>) -> Result<Operation> {
        let (id, op_id) = (ns.id, op.id);
        op.steps = steps.len() as u32;
        if steps.is_empty() {
            op.apply(Trigger::Succeeded, op.created)?;
        }
        self.vnfm.store().write(Durability::Barrier, |tx| {
            let mut now: NsInstance = tx.require(&id)?;
            now.check_free()?;
            if now.revision != ns.revision {
                return Err(Fault::conflict(format!("NS instance {id} was changed by another request: ask again")));
            }
            if !steps.is_empty() {
                now.op = Some(op_id);
            }
            now.revision += 1;
            put_ns_parts(tx, op_id, &now, &steps)?;
            steps.iter().try_for_each(|s| tx.put(s))?;
            tx.put(&now)?;
            tx.put(&op)
        })?;
        info!(op = %op.id, ns = %id, kind = op.kind.name(), state = op.state.name(), "operation accepted");
        if !op.state.is_final() {
            self.vnfm.engine()?.submit(op.clone(), steps, &[]);
        }
        Ok(op)
    }

    fn ways(&self, id: NsId, ask: &[PathChange]) -> Result<(NsInstance, Vec<Rerouted>)> {
        let s = self.standing(id)?;
        let flavour = s.flavour.as_ref();
        let paths = flavour.map(|f| f.paths.as_slice()).unwrap_or_default();
        let spare = flavour.map(|f| f.spare.as_slice()).unwrap_or_default();
        let changes = plan(ask, &Running { ns: &s.ns, paths, spare, chains: &s.chains, bodies: &s.bodies, segments: &s.segments })?;
        Ok((s.ns, changes))
    }

    /// A service that is up and that no operation holds.
    pub(super) fn standing(&self, id: NsId) -> Result<Standing> {
        let store = self.vnfm.store();
        let ns: NsInstance = store.require(&id)?;
        ns.check_free()?;
        if !ns.instantiated {
            return Err(Fault::conflict(format!("NS instance {id} is not instantiated")));
        }
        let chains: Vec<Chain> = store.list::<Chain>()?.into_iter().filter(|c| c.ns == id).collect();
        let mut bodies = HashMap::new();
        for m in &ns.members {
            if let Some(body) = store.get::<VnfInstance>(&m.vnf)?.and_then(|v| v.body) {
                bodies.insert(m.vnf, body);
            }
        }
        let mut segments: Vec<Segment> = Vec::new();
        for (_, link) in &ns.links {
            segments.extend(store.get(link)?);
        }
        let nsd = store.get::<NsDescriptor>(&ns.nsd_info)?.and_then(|d| d.nsd);
        let flavour = nsd.as_ref().zip(ns.flavour.as_ref()).and_then(|(n, f)| n.flavour(f)).cloned();
        Ok(Standing { ns, flavour, chains, bodies, segments })
    }
}

/// A service as it runs, with what was read of it.
pub(super) struct Standing {
    pub ns: NsInstance,
    pub flavour: Option<NsFlavour>,
    pub chains: Vec<Chain>,
    pub bodies: HashMap<VnfId, Body>,
    pub segments: Vec<Segment>,
}

/// Connections that the switch knows from an earlier change have another: an even number, and the one after it.
fn mark(op: OpId) -> u32 {
    let [a, b, c, d, ..] = *op.0.as_bytes();
    (u32::from_be_bytes([a, b, c, d]) & !1).max(2)
}

/// Chains stay apart by what their traffic is, so each changes by itself.
fn steps_of(changes: &[Rerouted], op: OpId) -> Vec<PlanStep> {
    let mut steps = Steps::new(op);
    for c in changes {
        let (before, after) = c.ways();
        if before != after {
            let chain = c.before.id;
            let step = match c.cutover.noting_s {
                None => NsStep::Reroute { chain, before, after },
                Some(noting_s) => NsStep::HandOver { chain, before, after, mark: mark(op), noting_s, drain_s: c.before.drain_s },
            };
            steps.add(Step::Ns(step), &[]);
        }
    }
    steps.into_vec()
}
