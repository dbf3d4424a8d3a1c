//! Takes a request to scale or to heal a VNF that is there: plan, grant, one transaction.
//!
//! As `accept` does for an instantiation: what the box has no room for ends ROLLED_BACK from STARTING,
//! with the reasons. Never: what a plan contains (`change`), or runs a step.

use std::collections::{BTreeMap, HashMap};

use smol_str::SmolStr;
use tracing::info;

use super::{
    Vnfm,
    accept::{body_of, check_standalone, join, put_plan, retrying, vnfd_of},
    change::{Altered, Present, ScaleTo, goal, heal, scale},
    grant::{check_quota, claim_facts, judged},
    owned::{Wanted, put_ask},
    place::inherit,
    plan::{Anew, Ask, Fabric, VnfPlan, fresh_uuid},
};
use crate::{
    model::{
        central::Resources,
        chain::{Chain, ChainState},
        error::{Fault, Result},
        id::{OpId, VnfId, VnfcId},
        op::{OpKind, Operation, Target, Trigger},
        package::VnfPackage,
        place::Held,
        segment::Segment,
        step::PlanStep,
        vnf::{Body, Change, Reservation, Stopping, VnfInstance},
        vnfd::Flavour,
    },
    store::{Durability, Tx},
    vim::{chains, network::Stations},
};

/// What is to be done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alter {
    Scale(ScaleTo),
    /// These guests, or all of them where none is named; with their volumes.
    Heal {
        which: Vec<VnfcId>,
        anew: bool,
    },
    /// All guests, on a box that has only their records; `disks`: and what was on their disks.
    BringBack {
        disks: bool,
    },
}

impl Alter {
    pub fn kind(&self) -> OpKind {
        match self {
            Alter::Scale(ScaleTo::Steps { .. }) => OpKind::Scale,
            Alter::Scale(ScaleTo::Level(_) | ScaleTo::Aspects(_)) => OpKind::ScaleToLevel,
            Alter::Heal { .. } | Alter::BringBack { .. } => OpKind::Heal,
        }
    }
}

impl Alter {
    /// Guests whose place others get.
    pub fn replaces(&self, body: &Body) -> Vec<VnfcId> {
        match self {
            Alter::BringBack { .. } => body.vnfcs.iter().map(|c| c.id).collect(),
            Alter::Heal { which, .. } if which.is_empty() => body.vnfcs.iter().map(|c| c.id).collect(),
            Alter::Heal { which, .. } => which.clone(),
            Alter::Scale(_) => Vec::new(),
        }
    }
}

impl Vnfm {
    /// SOL003 5.4.5, 5.4.6 and 5.4.9. Returns the operation, which may have ended already.
    pub fn alter(&self, id: VnfId, what: &Alter, request: &str) -> Result<Operation> {
        self.alter_for(id, what, request, None)
    }

    /// The same; `why` where no request begins it.
    pub fn alter_for(&self, id: VnfId, what: &Alter, request: &str, why: Option<&str>) -> Result<Operation> {
        self.check_accel()?;
        let op_id = OpId(fresh_uuid(&*self.dice));
        let (op, steps) = retrying(|| {
            let inst: VnfInstance = self.store.require(&id)?;
            check_standalone(&inst)?;
            inst.check_free()?;
            body_of(&inst)?;
            let mut op = self.draft_op(op_id, inst.project, Target::Vnf(id), what.kind(), request.to_owned());
            op.automatic = why.is_some();
            op.warnings.splice(0..0, why.map(Into::into));
            self.commit_alter(&inst, op, what)
        })?;
        info!(op = %op.id, vnf = %id, kind = op.kind.name(), state = op.state.name(), "operation accepted");
        if op.automatic {
            self.unasked(&op);
        }
        self.hand_over(&op, steps)?;
        Ok(op)
    }

    /// A change that the box has no room for: an operation that ended before anything was made.
    pub(super) fn refused(&self, vnf: VnfId, mut op: Operation, why: &Fault) -> Result<(Operation, Vec<PlanStep>)> {
        op.error = Some(why.record());
        op.apply(Trigger::Refused, op.created)?;
        self.store.write(Durability::Barrier, |tx| {
            tx.require::<VnfInstance>(&vnf)?.check_free()?;
            tx.put(&op)
        })?;
        Ok((op, Vec::new()))
    }

    fn commit_alter(&self, inst: &VnfInstance, mut op: Operation, what: &Alter) -> Result<(Operation, Vec<PlanStep>)> {
        let gone = what.replaces(body_of(inst)?);
        let snap = self.snapshot_without(&gone)?;
        let held = self.store.get::<Reservation>(&inst.id)?.map(|r| r.placed).unwrap_or_default();
        let rules = self.rules();
        let mut taken = self.taken(&snap.segments)?;
        let mut stations = Stations::of(inst.project, &snap.segments);
        let mut fabric = Fabric { rules: &rules.links, taken: &mut taken, stations: &mut stations };
        let Altered { mut plan, change } = self.plan_alter(inst, what, &mut fabric, &held, op.id, &inst.name)?;
        let touched: Vec<Segment> = stations.into_values().filter_map(Stations::into_changed).collect();
        self.check_media([(inst, &plan)], &touched, &[])?;
        check_quota(self.store.get(&inst.project)?, snap.used(inst.project), &[plan.whole])?;
        let granted = judged(self.grant(&mut [&mut plan], &snap))?;
        inherit(&mut plan, &held.iter().filter(|h| gone.contains(&h.guest)).cloned().collect::<Vec<_>>());
        op.warnings.append(&mut plan.warnings);
        if let Err(refusal) = granted.map(|told| op.warnings.extend(told)) {
            return self.refused(inst.id, op, &refusal);
        }
        self.coordinate_plan(inst.package, &body_of(inst)?.flavour, op.kind, &mut plan.steps)?;
        op.steps = plan.steps.len() as u32;
        let mut grant = None;
        if plan.steps.is_empty() {
            op.apply(Trigger::Granted, op.created)?;
            op.apply(Trigger::Succeeded, op.created)?;
        } else {
            let mut after = plan.body.clone();
            after.drop_vnfcs(&change.removed);
            let resources = Resources::between(Some(body_of(inst)?), Some(&after));
            let wanted = Wanted { resources, within: matches!(what, Alter::Heal { .. } | Alter::BringBack { .. }), ..Wanted::default() };
            grant = self.begin_op(&mut op, inst, wanted)?;
        }
        self.store.write(Durability::Barrier, |tx| {
            claim_facts(tx, snap.facts)?;
            check_quota(tx.get(&inst.project)?, snap.used(inst.project), &[plan.whole])?;
            let now: VnfInstance = tx.require(&inst.id)?;
            now.check_free()?;
            if now.revision != inst.revision {
                return Err(Fault::conflict(format!("VNF instance {} was changed by another request: ask again", inst.id)));
            }
            alter_in(tx, &op, now, &plan, &change)?;
            put_ask(tx, grant.as_ref())?;
            touched.iter().try_for_each(|s| join(tx, s, inst.id))
        })?;
        Ok((op, plan.steps))
    }

    /// Refuses a VNF with other guests where a chain leads by it that could not be then.
    pub(super) fn check_chains(&self, id: VnfId, body: &Body, gone: &[VnfcId]) -> Result<()> {
        let mut left = body.clone();
        left.drop_vnfcs(gone);
        let now: HashMap<_, _> = self.store.get::<VnfInstance>(&id)?.and_then(|v| v.body).map(|b| (id, b)).into_iter().collect();
        let then = HashMap::from([(id, left)]);
        let chains = self.store.list::<Chain>()?;
        let why: Vec<String> = chains.iter().filter(|c| c.state == ChainState::Wanted).flat_map(|c| chains::torn(c, &now, &then)).collect();
        if why.is_empty() { Ok(()) } else { Err(Fault::conflict("chains that lead by the VNF could not be then").with_reasons(why)) }
    }

    /// `short_name` leads the hostnames of new guests.
    pub fn plan_alter(
        &self,
        inst: &VnfInstance,
        what: &Alter,
        fabric: &mut Fabric<'_>,
        held: &[Held],
        op: OpId,
        short_name: &SmolStr,
    ) -> Result<Altered> {
        let body = body_of(inst)?;
        let package: VnfPackage = self.store.require(&inst.package)?;
        let flavour: &Flavour = vnfd_of(&package)?
            .flavour(&body.flavour)
            .ok_or_else(|| Fault::conflict(format!("package {} has no flavour {} any more", package.id, body.flavour)))?;
        if let Some(f) = self.abroad(inst.id)? {
            return self.plan_abroad(&f, inst, body, flavour, what, op);
        }
        let nowhere = BTreeMap::new();
        let ask = Ask {
            instance: inst,
            package: &package,
            flavour,
            level: &body.level,
            attach: &nowhere,
            params: body.params.clone(),
            ssh_keys: body.ssh_keys.clone(),
            op,
            generation: self.store.generation(),
            short_name: short_name.clone(),
            late: true,
        };
        let now = Present { body, held };
        match what {
            Alter::Scale(to) => {
                let goal = goal(flavour, body, to)?;
                let scaled = scale(&ask, &now, goal, Stopping::Usual(self.rules().graceful_stop_s), fabric, &*self.dice)?;
                self.check_chains(inst.id, &scaled.plan.body, &scaled.change.removed)?;
                Ok(scaled)
            }
            Alter::Heal { which, anew } => {
                let unknown: Vec<String> = which.iter().filter(|w| body.vnfc(**w).is_none()).map(|w| format!("'{w}'")).collect();
                if !unknown.is_empty() {
                    let known: Vec<String> = body.vnfcs.iter().map(|c| c.id.to_string()).collect();
                    return Err(Fault::invalid(format!(
                        "VNF instance {} has no VNFC {}; it has {}",
                        inst.id,
                        unknown.join(", "),
                        known.join(", ")
                    )));
                }
                let all: Vec<VnfcId> = body.vnfcs.iter().map(|c| c.id).collect();
                let anew = if *anew { Anew::All } else { Anew::Roots };
                heal(&ask, &now, if which.is_empty() { &all } else { which }, anew, fabric, &*self.dice)
            }
            Alter::BringBack { disks } => {
                let all: Vec<VnfcId> = body.vnfcs.iter().map(|c| c.id).collect();
                heal(&ask, &now, &all, if *disks { Anew::None } else { Anew::All }, fabric, &*self.dice)
            }
        }
    }
}

/// In a transaction: the operation with its plan, and what it changes. Without a step it is over: only
/// the levels change.
pub fn alter_in(tx: &mut Tx<'_>, op: &Operation, mut now: VnfInstance, plan: &VnfPlan, change: &Change) -> Result<()> {
    let mut body = plan.body.clone();
    if plan.steps.is_empty() {
        body.scale.clone_from(&change.scale);
        body.level.clone_from(&change.level);
    } else {
        now.op = Some(op.id);
        tx.put(change)?;
    }
    now.body = Some(body);
    now.revision += 1;
    put_plan(tx, op, &now, plan)
}
