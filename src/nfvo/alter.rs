//! Takes a request to scale or to heal members of a service (SOL005 6.4.5, 6.4.7): all plans and grants
//! together, one transaction; each member has an operation of its own, released by the service's.
//!
//! What the box has no room for is FAILED_TEMP at once with the reasons, and nothing was touched; a retry plans
//! it anew. Never: what a member's plan contains (`vnfm::change`).

use tracing::info;

use super::{Nfvo, acts::put_ns_parts, again::check_free_for, members::check_members};
use crate::{
    model::{
        error::{Fault, Result},
        id::{NsId, OpId, VnfId, VnfcId},
        ns::NsInstance,
        op::{OpKind, Operation, Target, Trigger},
        segment::Segment,
        step::{NsStep, PlanStep, Step},
        vnf::{Reservation, VnfInstance},
    },
    store::Durability,
    vim::network::Stations,
    vnfm::{
        accept::retrying,
        alter::{Alter, alter_in},
        change::Altered,
        grant::{check_quota, claim_facts, judged},
        place::inherit,
        plan::{Fabric, Steps, VnfPlan, fresh_uuid},
    },
};

/// One member's part.
struct Part {
    inst: VnfInstance,
    op: Operation,
    altered: Altered,
}

impl Nfvo {
    /// `kind`: SCALE or HEAL of the service. Returns the operation, which may have ended already.
    pub fn alter(&self, id: NsId, kind: OpKind, what: &[(VnfId, Alter)], request: &str) -> Result<Operation> {
        self.alter_for(id, kind, what, request, None)
    }

    /// Heals a guest that nobody asked to be healed, as an operation of its VNF's service where it has one.
    pub fn heal_by_itself(&self, v: &VnfInstance, guest: VnfcId, why: &str) -> Result<Operation> {
        let what = Alter::Heal { which: vec![guest], anew: false };
        match v.ns {
            Some(ns) => self.alter_for(ns, OpKind::Heal, &[(v.id, what)], "", Some(why)),
            None => self.vnfm.alter_for(v.id, &what, "", Some(why)),
        }
    }

    pub(super) fn alter_for(&self, id: NsId, kind: OpKind, what: &[(VnfId, Alter)], request: &str, why: Option<&str>) -> Result<Operation> {
        self.vnfm.check_accel()?;
        let op_id = OpId(fresh_uuid(&**self.vnfm.dice()));
        let (op, steps) = retrying(|| {
            let ns: NsInstance = self.vnfm.store().require(&id)?;
            ns.check_free()?;
            if !ns.instantiated {
                return Err(Fault::conflict(format!("NS instance {id} is not instantiated")));
            }
            check_members(&ns, &what.iter().map(|(vnf, _)| *vnf).collect::<Vec<_>>())?;
            let mut op = self.vnfm.draft_op(op_id, ns.project, Target::Ns(id), kind, request.to_owned());
            op.automatic = why.is_some();
            op.warnings.splice(0..0, why.map(Into::into));
            self.commit_alter(&ns, op, what)
        })?;
        info!(op = %op.id, ns = %id, kind = kind.name(), state = op.state.name(), "operation accepted");
        if op.automatic {
            self.vnfm.unasked(&op);
        }
        if !op.state.is_final() {
            self.vnfm.engine()?.submit(op.clone(), steps, &[]);
        }
        Ok(op)
    }

    pub(super) fn commit_alter(&self, ns: &NsInstance, mut op: Operation, what: &[(VnfId, Alter)]) -> Result<(Operation, Vec<PlanStep>)> {
        let (vnfm, store) = (&self.vnfm, self.vnfm.store());
        let mut members = Vec::new();
        let mut replaced = Vec::new();
        for (id, alter) in what {
            let inst: VnfInstance = store.require(id)?;
            inst.check_free()?;
            replaced.extend(inst.body.iter().flat_map(|b| alter.replaces(b)));
            members.push((inst, alter));
        }
        let snap = vnfm.snapshot_without(&replaced)?;
        let rules = vnfm.rules();
        let mut taken = vnfm.taken(&snap.segments)?;
        let mut stations = Stations::of(ns.project, &snap.segments);
        let mut fabric = Fabric { rules: &rules.links, taken: &mut taken, stations: &mut stations };
        let mut parts = Vec::new();
        let mut faults = Vec::new();
        let mut old = Vec::new();
        for (inst, alter) in members {
            let child = OpId(fresh_uuid(&**vnfm.dice()));
            let held = store.get::<Reservation>(&inst.id)?.map(|r| r.placed).unwrap_or_default();
            let short = ns.members.iter().find(|m| m.vnf == inst.id).map_or(&inst.name, |m| &m.profile);
            match vnfm.plan_alter(&inst, alter, &mut fabric, &held, child, short) {
                Ok(altered) => {
                    let mut op = vnfm.draft_op(child, ns.project, Target::Vnf(inst.id), alter.kind(), String::new());
                    op.automatic = true;
                    parts.push(Part { inst, op, altered });
                }
                Err(f) => faults.push(f.context(format!("VNF {}", inst.name))),
            }
            old.extend(held.into_iter().filter(|h| replaced.contains(&h.guest)));
        }
        match faults.len() {
            0 => {}
            1 => return Err(faults.remove(0)),
            n => {
                let kind = faults[0].kind();
                return Err(Fault::new(kind, format!("{n} VNFs cannot be changed so")).with_reasons(faults.iter().map(ToString::to_string)));
            }
        }
        let touched: Vec<Segment> = stations.into_values().filter_map(Stations::into_changed).collect();
        vnfm.check_media(parts.iter().map(|p| (&p.inst, &p.altered.plan)), &touched, &[])?;
        let wants: Vec<_> = parts.iter().map(|p| p.altered.plan.whole).collect();
        check_quota(store.get(&ns.project)?, snap.used(ns.project), &wants)?;
        let granted = judged(vnfm.grant(&mut parts.iter_mut().map(|p| &mut p.altered.plan).collect::<Vec<_>>(), &snap))?;
        if let Err(refusal) = granted.map(|told| op.warnings.extend(told)) {
            return self.refuse(ns, op, &refusal);
        }
        let mut all = Steps::new(op.id);
        for p in &mut parts {
            inherit(&mut p.altered.plan, &old);
            p.op.warnings.extend_from_slice(&p.altered.plan.warnings);
            let VnfPlan { body, steps, .. } = &mut p.altered.plan;
            vnfm.coordinate_plan(p.inst.package, &body.flavour, p.op.kind, steps)?;
            p.op.steps = steps.len() as u32;
            if p.op.steps == 0 {
                p.op.apply(Trigger::Granted, op.created)?;
                p.op.apply(Trigger::Succeeded, op.created)?;
            } else {
                p.op.parent = Some(op.id);
                all.add(Step::Ns(NsStep::Alter { vnf: p.inst.id, op: p.op.id }), &[]);
            }
        }
        let steps = all.into_vec();
        op.steps = steps.len() as u32;
        if steps.is_empty() {
            op.apply(Trigger::Succeeded, op.created)?;
        }
        store.write(Durability::Barrier, |tx| {
            claim_facts(tx, snap.facts)?;
            check_quota(tx.get(&ns.project)?, snap.used(ns.project), &wants)?;
            let mut service: NsInstance = tx.require(&ns.id)?;
            check_free_for(&service, op.id)?;
            for p in &parts {
                let now: VnfInstance = tx.require(&p.inst.id)?;
                now.check_free()?;
                if now.revision != p.inst.revision {
                    return Err(Fault::conflict(format!("VNF instance {} was changed by another request: ask again", now.id)));
                }
                alter_in(tx, &p.op, now, &p.altered.plan, &p.altered.change)?;
            }
            touched.iter().try_for_each(|s| tx.put(s))?;
            steps.iter().try_for_each(|s| tx.put(s))?;
            service.op = (!steps.is_empty()).then_some(op.id);
            service.revision += 1;
            put_ns_parts(tx, op.id, &service, &steps)?;
            tx.put(&service)?;
            tx.put(&op)
        })?;
        Ok((op, steps))
    }
}
