//! A VNF comes to another deployment flavour (SOL003 5.4.7, CHANGE_FLAVOUR).
//!
//! * `plan`  pure: which guests stay, come and go, and what is done to them
//! * `check` pure: what cannot come along
//! * `sides` pure: what it is and takes between the two flavours
//! * `step`  does and undoes that
//!
//! Owns the taking of such a request and what its end means. Until then the instance names what is of either flavour and
//! says that it is of the old one; its record beside it (`Remake`) has both. Never: another package.

mod check;
mod plan;
mod sides;
mod step;

use std::collections::BTreeMap;

use smol_str::SmolStr;
use tracing::info;

use super::{
    Vnfm,
    accept::{DryRun, OUTRUN, body_of, check_standalone, join, put_plan, retrying, vnfd_of},
    grant::{Snapshot, check_quota, claim_facts},
    plan::{Ask, Attachment, Fabric, fresh_uuid},
    settle::touch,
};
use crate::{
    model::{
        error::{Fault, Result},
        id::{OpId, SegmentId, VnfId},
        op::{OpKind, Operation, Phase, Target, Trigger, VnfOpState},
        package::VnfPackage,
        param::Params,
        secret::refuse_clear,
        segment::Segment,
        step::{PlanStep, Step, VnfStep},
        vnf::{Body, Properties, Remake, Reservation, Side, Stopping, VnfInstance, check_configurable},
    },
    store::{Durability, Tx},
    vim::network::Stations,
};
use plan::{Now, Remade, in_order, remake};
use sides::{alone, meanwhile, union};

/// A request to change the flavour, checked for form only.
#[derive(Debug, Clone, Default)]
pub struct ChangeFlavour {
    pub flavour: SmolStr,
    /// `None`: the flavour's default.
    pub level: Option<SmolStr>,
    pub attach: BTreeMap<SmolStr, Attachment>,
    /// Laid on those of the instantiation.
    pub params: Params,
    /// None: those of the instantiation.
    pub ssh_keys: Vec<String>,
    /// The request as received.
    pub request: String,
}

/// A plan that has its places, what the VNF had before, and the links with new stations.
struct Granted {
    snap: Snapshot,
    remade: Remade,
    before: Reservation,
    touched: Vec<Segment>,
    /// What to tell, or why not.
    told: Result<Vec<String>>,
}

impl Vnfm {
    pub fn change_flavour(&self, id: VnfId, ask: &ChangeFlavour) -> Result<Operation> {
        self.change_flavour_with(id, ask, &|_| {})
    }

    /// The same with properties that `lay` changes, by a step.
    pub fn change_flavour_with(&self, id: VnfId, ask: &ChangeFlavour, lay: &dyn Fn(&mut Properties)) -> Result<Operation> {
        self.check_accel()?;
        let op_id = OpId(fresh_uuid(&*self.dice));
        let (op, steps) = retrying(|| {
            let inst = self.remakeable(id)?;
            let op = self.draft_op(op_id, inst.project, Target::Vnf(id), OpKind::ChangeFlavour, ask.request.clone());
            self.commit_remake(&inst, op, ask, lay)
        })?;
        info!(op = %op.id, vnf = %id, kind = op.kind.name(), state = op.state.name(), "operation accepted");
        if !op.state.is_final() {
            self.engine()?.submit(op.clone(), steps, &[]);
        }
        Ok(op)
    }

    pub fn dry_change_flavour(&self, id: VnfId, ask: &ChangeFlavour) -> Result<DryRun> {
        self.check_accel()?;
        let inst = self.remakeable(id)?;
        let Granted { snap, remade, touched, told, .. } = self.plan_remake(&inst, ask, OpId(fresh_uuid(&*self.dice)))?;
        let mut plan = remade.plan;
        check_quota(self.store.get(&inst.project)?, snap.used(inst.project), &[plan.whole])?;
        plan.warnings.extend(told?);
        plan.warnings.extend(self.accel_warning());
        let mut segments: Vec<Segment> = snap.segments.into_iter().filter(|s| plan.body.is_on(s.id)).collect();
        segments.retain(|s| touched.iter().all(|t| t.id != s.id));
        segments.extend(touched);
        Ok(DryRun {
            name: inst.name,
            body: plan.body,
            steps: plan.steps,
            segments,
            placed: plan.reservation.placed,
            warnings: plan.warnings,
        })
    }

    fn remakeable(&self, id: VnfId) -> Result<VnfInstance> {
        let inst: VnfInstance = self.store.require(&id)?;
        check_standalone(&inst)?;
        inst.check_free()?;
        body_of(&inst)?;
        Ok(inst)
    }

    fn plan_remake(&self, inst: &VnfInstance, ask: &ChangeFlavour, op: OpId) -> Result<Granted> {
        self.check_params(inst.project, [&ask.params])?;
        let body = body_of(inst)?;
        let package: VnfPackage = self.store.require(&inst.package)?;
        let vnfd = vnfd_of(&package)?;
        let flavour = vnfd.flavour(&ask.flavour).ok_or_else(|| {
            let known: Vec<_> = vnfd.flavours.iter().map(|f| f.id.as_str()).collect();
            Fault::invalid(format!("VNFD {} has no deployment flavour '{}'; it has {}", vnfd.id, ask.flavour, known.join(", ")))
        })?;
        if flavour.id == body.flavour {
            return Err(Fault::conflict(format!(
                "VNF instance {} is of flavour {} already: scale_to_level changes its level",
                inst.id, flavour.id
            )));
        }
        let unknown: Vec<&str> = ask.attach.keys().map(SmolStr::as_str).filter(|k| flavour.ext_cps.iter().all(|e| e.id != *k)).collect();
        if !unknown.is_empty() {
            let known: Vec<_> = flavour.ext_cps.iter().map(|e| e.id.as_str()).collect();
            let (unknown, known) = (unknown.join(", "), known.join(", "));
            return Err(Fault::invalid(format!("flavour {} has no external connection point {unknown}; it has {known}", flavour.id)));
        }
        let old = vnfd
            .flavour(&body.flavour)
            .ok_or_else(|| Fault::conflict(format!("package {} has no flavour {} any more", package.id, body.flavour)))?;
        let snap = self.snapshot()?;
        let before = self.store.require::<Reservation>(&inst.id)?;
        let facts = if before.placed.is_empty() { None } else { Some(self.facts()?) };
        let rules = self.rules();
        let mut taken = self.taken(&snap.segments)?;
        let mut stations = Stations::of(inst.project, &snap.segments);
        let mut fabric = Fabric { rules: &rules.links, taken: &mut taken, stations: &mut stations };
        let level = ask.level.clone().unwrap_or_else(|| flavour.default_level.clone());
        let plan_ask = Ask {
            instance: inst,
            package: &package,
            flavour,
            level: &level,
            attach: &ask.attach,
            params: laid(&body.params, &ask.params),
            ssh_keys: if ask.ssh_keys.is_empty() { body.ssh_keys.clone() } else { ask.ssh_keys.clone() },
            op,
            generation: self.store.generation(),
            short_name: inst.name.clone(),
            late: true,
        };
        let now = Now {
            body,
            flavour: old,
            reserved: &before,
            facts: facts.as_deref(),
            stopping: Stopping::Usual(rules.graceful_stop_s),
            params_change: plan_ask.params != body.params || plan_ask.ssh_keys != body.ssh_keys,
        };
        let mut remade = remake(&plan_ask, &now, &mut fabric, &*self.dice)?;
        let touched: Vec<Segment> = stations.into_values().filter_map(Stations::into_changed).collect();
        self.check_media([(inst, &remade.plan)], &touched, &[])?;
        // What gets another place may have the one of any other that does.
        let free = self.snapshot_without(&remade.freed)?;
        if free.facts != snap.facts {
            return Err(Fault::conflict(OUTRUN));
        }
        let told = self.grant(&mut [&mut remade.plan], &free);
        in_order(&mut remade.plan.steps);
        Ok(Granted { snap, remade, before, touched, told })
    }

    fn commit_remake(
        &self,
        inst: &VnfInstance,
        mut op: Operation,
        ask: &ChangeFlavour,
        lay: &dyn Fn(&mut Properties),
    ) -> Result<(Operation, Vec<PlanStep>)> {
        let given = Box::new(Properties::of(inst));
        let mut wanted = given.clone();
        lay(&mut wanted);
        refuse_clear(&wanted.extensions)?;
        refuse_clear(&wanted.configurable)?;
        check_configurable(&wanted.configurable)?;
        let Granted { snap, remade, before, touched, told } = self.plan_remake(inst, ask, op.id)?;
        let mut plan = remade.plan;
        check_quota(self.store.get(&inst.project)?, snap.used(inst.project), &[plan.whole])?;
        op.warnings.append(&mut plan.warnings);
        if let Err(refusal) = told.map(|told| op.warnings.extend(told)) {
            return self.refused(inst.id, op, &refusal);
        }
        if wanted != given {
            let step = Step::Vnf(VnfStep::Properties { before: given, after: wanted });
            // The last step takes away what the VNF has no use for any more: before it, all is there.
            let at = plan.steps.iter().position(|s| matches!(s.step, Step::Vnf(VnfStep::Shed(_)))).unwrap_or(plan.steps.len());
            plan.steps.insert(at, PlanStep { op: op.id, index: at as u32, after: Vec::new(), step });
            plan.steps.iter_mut().skip(at).enumerate().for_each(|(n, s)| s.index = (at + n) as u32);
            in_order(&mut plan.steps);
        }
        op.steps = plan.steps.len() as u32;
        op.apply(Trigger::Granted, op.created)?;
        let nothing_to_do = plan.steps.is_empty();
        if nothing_to_do {
            op.apply(Trigger::Succeeded, op.created)?;
        }
        let body = body_of(inst)?;
        let side = |body: &Body, of: &Reservation| Side { body: body.clone(), placed: of.placed.clone() };
        let record = Remake { vnf: inst.id, op: op.id, before: side(body, &before), after: side(&plan.body, &plan.reservation) };
        if !nothing_to_do {
            plan.body = union(body, &plan.body);
            plan.reservation = meanwhile(&before, &plan.reservation, &plan.body);
        }
        self.store.write(Durability::Barrier, |tx| {
            claim_facts(tx, snap.facts)?;
            check_quota(tx.get(&inst.project)?, snap.used(inst.project), &[plan.whole])?;
            let mut now: VnfInstance = tx.require(&inst.id)?;
            now.check_free()?;
            if now.revision != inst.revision {
                return Err(Fault::conflict(format!("VNF instance {} was changed by another request: ask again", inst.id)));
            }
            now.body = Some(plan.body.clone());
            if !nothing_to_do {
                now.op = Some(op.id);
                tx.put(&record)?;
            }
            now.revision += 1;
            put_plan(tx, &op, &now, &plan)?;
            touched.iter().try_for_each(|s| join(tx, s, inst.id))
        })?;
        Ok((op, plan.steps))
    }

    /// What steps of the operation that holds the VNF, and looks at its guests meanwhile, take it to be: on its way to
    /// another flavour it is of that one, and on its way back of the old one.
    pub(super) fn body_now(&self, inst: &VnfInstance) -> Result<Option<Body>> {
        let Some(id) = inst.op else { return Ok(inst.body.clone()) };
        let Some(r) = self.store.get::<Remake>(&inst.id)?.filter(|r| r.op == id) else { return Ok(inst.body.clone()) };
        let back = self.store.get::<Operation>(&id)?.is_some_and(|op| op.state.phase() == Phase::Backward);
        Ok(Some(if back { r.before.body } else { r.after.body }))
    }
}

/// Parameters with others laid on them.
fn laid(had: &Params, given: &Params) -> Params {
    let stays = had.iter().filter(|(name, _)| given.iter().all(|(n, _)| n != name));
    stays.chain(given).cloned().collect()
}

/// In the transaction that ends the operation: the VNF is what it came to, or what it was. Given up, the record keeps
/// naming whatever may be there.
pub(super) fn settle(tx: &mut Tx<'_>, inst: &mut VnfInstance, op: &Operation, state: VnfOpState) -> Result<()> {
    let Some(r) = tx.get::<Remake>(&inst.id)?.filter(|r| r.op == op.id) else { return Ok(()) };
    let (side, other) = match state {
        VnfOpState::Completed => (r.after, r.before),
        VnfOpState::RolledBack => (r.before, r.after),
        VnfOpState::Failed => return give_up(tx, inst),
        VnfOpState::Starting | VnfOpState::Processing | VnfOpState::RollingBack | VnfOpState::FailedTemp => return Ok(()),
    };
    tx.delete::<Remake>(&inst.id)?;
    let mut side = side;
    // A disk that was enlarged stays so.
    for d in side.body.vnfcs.iter_mut().flat_map(|c| &mut c.disks) {
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
    segments.sort_unstable();
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

/// Guests of either flavour may run from now on.
fn give_up(tx: &mut Tx<'_>, inst: &VnfInstance) -> Result<()> {
    tx.delete::<Remake>(&inst.id)?;
    let (Some(body), Some(had)) = (&inst.body, tx.get::<Reservation>(&inst.id)?) else { return Ok(()) };
    tx.put(&alone(&had, &Side { body: body.clone(), placed: had.placed.clone() }))?;
    touch(tx)
}
