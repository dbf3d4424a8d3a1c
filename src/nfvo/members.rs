//! Takes requests to change members of a service by its update (SOL005 6.4.6): OPERATE_VNF and MODIFY_VNF_INFORMATION of any
//! number of them, CHANGE_VNF_DF, CHANGE_VNFPKG and CHANGE_EXTERNAL_VNF_CONNECTIVITY of one.
//!
//! Each is the VNFM's own operation as a part of one of the service. Never: what such an operation is (`vnfm`).

use std::collections::BTreeSet;

use smol_str::SmolStr;
use tracing::info;

use super::{
    Nfvo,
    acts::{put_member_parts, put_ns_parts},
};
use crate::{
    model::{
        chain::{Chain, ChainEnd},
        error::{Fault, Result},
        id::{NsId, OpId, SegmentId, VnfId},
        ns::NsInstance,
        op::{OpKind, Operation, Target, Trigger},
        step::{NsStep, PlanStep, Step},
        vnf::{Properties, RunState, VnfInstance},
    },
    store::{Durability, Tx},
    vnfm::{
        accept::DryRun,
        connect::{ChangeExtConn, ConnectDryRun},
        operate::Operate,
        part::{Member, Service},
        plan::{Steps, fresh_uuid},
        remake::Change,
    },
};

impl Nfvo {
    /// OPERATE_VNF: all of them in one operation, none waits for another.
    pub fn operate_members(&self, id: NsId, what: &[(VnfId, Operate)], request: &str) -> Result<Operation> {
        let starts = what.iter().any(|(_, o)| o.to == RunState::Started);
        if starts {
            self.vnfm.check_accel()?;
        }
        let ids: Vec<VnfId> = what.iter().map(|(vnf, _)| *vnf).collect();
        let (ns, mut op) = self.begin_update(id, &ids, request)?;
        let parts: Vec<OpId> = what.iter().map(|_| OpId(fresh_uuid(&**self.vnfm.dice()))).collect();
        let mut steps = Steps::new(op.id);
        for (vnf, part) in ids.iter().zip(&parts) {
            steps.add(Step::Ns(NsStep::Alter { vnf: *vnf, op: *part }), &[]);
        }
        let steps = steps.into_vec();
        op.steps = steps.len() as u32;
        self.vnfm.store().write(Durability::Barrier, |tx| {
            for ((vnf, how), part) in what.iter().zip(&parts) {
                self.vnfm.operate_in(tx, *vnf, *how, *part, op.id)?;
            }
            hold(tx, &ns, &op, &steps)
        })?;
        if starts {
            self.vnfm.started_by_hand();
        }
        self.accepted(op, steps)
    }

    /// MODIFY_VNF_INFORMATION: over when it is taken. `change` is told whose record it has.
    pub fn modify_members(
        &self,
        id: NsId,
        which: &[VnfId],
        request: &str,
        change: &dyn Fn(&mut VnfInstance) -> Result<String>,
    ) -> Result<Operation> {
        let (ns, mut op) = self.begin_update(id, which, request)?;
        op.apply(Trigger::Succeeded, op.created)?;
        let parts: Vec<OpId> = which.iter().map(|_| OpId(fresh_uuid(&**self.vnfm.dice()))).collect();
        self.vnfm.store().write(Durability::Barrier, |tx| {
            for (vnf, part) in which.iter().zip(&parts) {
                self.vnfm.modify_in(tx, *vnf, *part, Some(op.id), change)?;
            }
            let mut now = unchanged(tx, &ns)?;
            now.revision += 1;
            put_member_parts(tx, op.id, &now, which)?;
            tx.put(&now)?;
            tx.put(&op)
        })?;
        info!(op = %op.id, ns = %id, "records of members modified");
        Ok(op)
    }

    /// CHANGE_VNF_DF and CHANGE_VNFPKG.
    pub fn remake_member(&self, id: NsId, vnf: VnfId, ask: Change<'_>, lay: &dyn Fn(&mut Properties), request: &str) -> Result<Operation> {
        let (ns, op) = self.begin_update(id, &[vnf], request)?;
        check_links(&ns, ask.with().links())?;
        self.part(&ns, op, vnf, |vnf, op| NsStep::Change { vnf, op }, |of| self.vnfm.remake_for(vnf, ask, lay, of))
    }

    /// CHANGE_EXTERNAL_VNF_CONNECTIVITY, to links of the service.
    pub fn connect_member(&self, id: NsId, vnf: VnfId, ask: &ChangeExtConn, request: &str) -> Result<Operation> {
        let (ns, op) = self.begin_update(id, &[vnf], request)?;
        self.check_connectable(&ns, vnf, ask)?;
        self.part(&ns, op, vnf, |vnf, op| NsStep::Change { vnf, op }, |of| self.vnfm.connect_for(vnf, ask, of))
    }

    /// What CHANGE_VNF_DF or CHANGE_VNFPKG would make of it.
    pub fn dry_remake_member(&self, id: NsId, vnf: VnfId, ask: Change<'_>) -> Result<DryRun> {
        let (ns, _) = self.begin_update(id, &[vnf], "")?;
        check_links(&ns, ask.with().links())?;
        self.vnfm.dry_remake(vnf, ask, Some(self.member(&ns, vnf)?))
    }

    /// What CHANGE_EXTERNAL_VNF_CONNECTIVITY would move.
    pub fn dry_connect_member(&self, id: NsId, vnf: VnfId, ask: &ChangeExtConn) -> Result<ConnectDryRun> {
        let (ns, _) = self.begin_update(id, &[vnf], "")?;
        self.check_connectable(&ns, vnf, ask)?;
        self.vnfm.dry_change_ext_conn(vnf, ask, true)
    }

    fn check_connectable(&self, ns: &NsInstance, vnf: VnfId, ask: &ChangeExtConn) -> Result<()> {
        let chained = self.chained(ns, vnf)?;
        let held: Vec<String> = ask.all.iter().filter(|c| chained.contains(&c.cpd)).map(|c| format!("{}: {}", c.at, c.cpd)).collect();
        if !held.is_empty() {
            let why = format!(
                "chains of its service lead by these connection points of VNF instance {vnf}, or end at them: they stay on their links"
            );
            return Err(Fault::conflict(why).with_reasons(held));
        }
        check_links(ns, ask.all.iter().filter_map(|c| c.link))
    }

    /// The service as it is, where an update of these members can begin, and the operation.
    pub(super) fn begin_update(&self, id: NsId, which: &[VnfId], request: &str) -> Result<(NsInstance, Operation)> {
        let ns: NsInstance = self.vnfm.store().require(&id)?;
        ns.check_free()?;
        if !ns.instantiated {
            return Err(Fault::conflict(format!("NS instance {id} is not instantiated")));
        }
        check_members(&ns, which)?;
        let op_id = OpId(fresh_uuid(&**self.vnfm.dice()));
        let op = self.vnfm.draft_op(op_id, ns.project, Target::Ns(id), OpKind::Update, request.to_owned());
        Ok((ns, op))
    }

    /// An operation with one member's part, which `begin` has the VNFM take.
    pub(super) fn part(
        &self,
        ns: &NsInstance,
        mut op: Operation,
        vnf: VnfId,
        step: fn(VnfId, OpId) -> NsStep,
        begin: impl FnOnce(&Service<'_>) -> Result<()>,
    ) -> Result<Operation> {
        let child = OpId(fresh_uuid(&**self.vnfm.dice()));
        let mut steps = Steps::new(op.id);
        steps.add(Step::Ns(step(vnf, child)), &[]);
        let steps = steps.into_vec();
        op.steps = steps.len() as u32;
        let member = self.member(ns, vnf)?;
        begin(&Service { parent: op.id, child, member, with: &|tx| hold(tx, ns, &op, &steps) })?;
        self.accepted(op, steps)
    }

    fn accepted(&self, op: Operation, steps: Vec<PlanStep>) -> Result<Operation> {
        info!(op = %op.id, kind = op.kind.name(), state = op.state.name(), "operation accepted");
        self.vnfm.engine()?.submit(op.clone(), steps, &[]);
        Ok(op)
    }

    /// The VNF's connection points that chains of the service lead by, or end at.
    fn chained(&self, ns: &NsInstance, vnf: VnfId) -> Result<BTreeSet<SmolStr>> {
        let mut cps = BTreeSet::new();
        for c in self.vnfm.store().list::<Chain>()?.iter().filter(|c| c.ns == ns.id) {
            for h in c.functions().filter(|h| h.vnfs.contains(&vnf)) {
                cps.extend([h.entry.clone(), h.exit.clone()]);
            }
            let ends = c.from.iter().chain(&c.to);
            cps.extend(ends.filter_map(|e| match e {
                ChainEnd::Cp(e) if e.vnf == vnf => Some(e.cp.clone()),
                ChainEnd::Cp(_) | ChainEnd::Outside { .. } => None,
            }));
        }
        Ok(cps)
    }

    /// The VNF as the service has it.
    fn member<'n>(&self, ns: &'n NsInstance, vnf: VnfId) -> Result<Member<'n>> {
        let found = ns.members.iter().find(|m| m.vnf == vnf);
        let short = &found.ok_or_else(|| Fault::bug("a part of no member"))?.profile;
        Ok(Member { short, chained: !self.chained(ns, vnf)?.is_empty() })
    }
}

/// Each is a member, and named once.
pub(super) fn check_members(ns: &NsInstance, which: &[VnfId]) -> Result<()> {
    let mut wrong = Vec::new();
    for (i, id) in which.iter().enumerate() {
        if ns.members.iter().all(|m| m.vnf != *id) {
            wrong.push(format!("VNF instance {id} is no member of NS instance {}", ns.id));
        }
        if which[..i].contains(id) {
            wrong.push(format!("VNF instance {id} is named twice"));
        }
    }
    match wrong.len() {
        0 if which.is_empty() => Err(Fault::invalid("no VNF is named")),
        0 => Ok(()),
        1 => Err(Fault::invalid(wrong.remove(0))),
        n => Err(Fault::invalid(format!("{n} VNFs cannot be changed by this service")).with_reasons(wrong)),
    }
}

fn unchanged(tx: &Tx<'_>, ns: &NsInstance) -> Result<NsInstance> {
    let now: NsInstance = tx.require(&ns.id)?;
    now.check_free()?;
    if now.revision != ns.revision {
        return Err(Fault::conflict(format!("NS instance {} was changed by another request: ask again", ns.id)));
    }
    Ok(now)
}

/// They are the service's own.
fn check_links(ns: &NsInstance, asked: impl Iterator<Item = SegmentId>) -> Result<()> {
    let links: BTreeSet<SegmentId> = ns.links.iter().map(|(_, s)| *s).collect();
    let strange: Vec<String> = asked.filter(|l| !links.contains(l)).map(|l| format!("virtual link {l}")).collect();
    if strange.is_empty() {
        return Ok(());
    }
    let why = format!("a member of NS instance {} comes to links of that service only", ns.id);
    Err(Fault::invalid(why).with_reasons(strange))
}

/// In a transaction: the operation with its steps, which holds the service.
fn hold(tx: &mut Tx<'_>, ns: &NsInstance, op: &Operation, steps: &[PlanStep]) -> Result<()> {
    let mut now = unchanged(tx, ns)?;
    now.op = Some(op.id);
    now.revision += 1;
    put_ns_parts(tx, op.id, &now, steps)?;
    steps.iter().try_for_each(|s| tx.put(s))?;
    tx.put(&now)?;
    tx.put(op)
}
