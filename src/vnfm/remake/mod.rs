//! A VNF comes to another deployment flavour (SOL003 5.4.7, CHANGE_FLAVOUR), or to another package (5.4.11a, CHANGE_VNFPKG).
//!
//! * `target` pure: which flavour of which package, and how many guests
//! * `plan`  pure: which guests stay, come and go, and what is done to them
//! * `check` pure: what cannot come along
//! * `sides` pure: what it is and takes between the two, and what becomes of its disks
//! * `step`  does and undoes that
//! * `end`   what the end means for the VNF
//!
//! Owns the taking of such a request. Until its end the instance names what is of either side and says that it is of the old
//! one; its record beside it (`Remake`) has both. Both packages are in use meanwhile. A member is changed as a part of its service's update.

mod check;
mod end;
mod plan;
mod sides;
mod step;
mod target;

use std::collections::BTreeMap;

use smol_str::SmolStr;
use tracing::info;

use super::{
    Vnfm,
    accept::{DryRun, OUTRUN, body_of, join, put_plan, retrying, use_package, vnfd_of},
    grant::{Snapshot, check_quota, claim_facts},
    laid::Anew,
    owned::{Wanted, put_ask},
    part::{Member, Service, check_asker, put_service},
    plan::{Ask, Attachment, Fabric, fresh_uuid},
};
use crate::{
    model::{
        central::Resources,
        error::{Fault, Kind, Result},
        id::{OpId, SegmentId, VnfId},
        op::{OpKind, Operation, Target, Trigger},
        package::VnfPackage,
        param::Params,
        secret::refuse_clear,
        segment::Segment,
        step::{PlanStep, Step, VnfStep},
        vnf::{Body, Origin, PackageChange, Properties, Remake, Reservation, Side, Stopping, VnfInstance, check_configurable},
        vnfd::Flavour,
    },
    store::Durability,
    vim::network::Stations,
};
pub(super) use end::settle;
use plan::{Now, Remade, in_order, remake};
pub(super) use sides::alone;
pub use sides::{Fate, FateOfDisk};
use sides::{fates, meanwhile, union};

/// A request to change the flavour, checked for form only.
#[derive(Debug, Clone, Default)]
pub struct ChangeFlavour {
    pub flavour: SmolStr,
    /// `None`: the flavour's default.
    pub level: Option<SmolStr>,
    pub with: With,
}

/// A request to change the package, checked for form only.
#[derive(Debug, Clone, Default)]
pub struct ChangePackage {
    pub vnfd_id: SmolStr,
    pub with: With,
}

/// What comes along with either.
#[derive(Debug, Clone, Default)]
pub struct With {
    pub attach: BTreeMap<SmolStr, Attachment>,
    /// Laid on those of the instantiation.
    pub params: Params,
    /// None: those of the instantiation.
    pub ssh_keys: Vec<String>,
    /// The request as received.
    pub request: String,
}

impl With {
    /// Links that it names for connection points.
    pub fn links(&self) -> impl Iterator<Item = SegmentId> {
        self.attach.values().filter_map(|a| a.segment)
    }
}

/// Either of the two.
#[derive(Clone, Copy)]
pub enum Change<'a> {
    Flavour(&'a ChangeFlavour),
    Package(&'a ChangePackage),
}

impl<'a> Change<'a> {
    pub fn with(self) -> &'a With {
        match self {
            Change::Flavour(c) => &c.with,
            Change::Package(c) => &c.with,
        }
    }
    fn kind(self) -> OpKind {
        match self {
            Change::Flavour(_) => OpKind::ChangeFlavour,
            Change::Package(_) => OpKind::ChangePackage,
        }
    }
}

/// The same, with the package that it is about.
enum Found<'a> {
    Flavour(&'a ChangeFlavour),
    Package(Box<(VnfPackage, PackageChange)>),
}

/// A plan that has its places, what the VNF had before, and the links with new stations.
struct Granted {
    snap: Snapshot,
    remade: Remade,
    before: Reservation,
    touched: Vec<Segment>,
    package: Option<PackageChange>,
    /// What to tell, or why not.
    told: Result<Vec<String>>,
}

impl Vnfm {
    pub fn change_flavour(&self, id: VnfId, ask: &ChangeFlavour) -> Result<Operation> {
        self.change_flavour_with(id, ask, &|_| {})
    }

    /// The same with properties that `lay` changes, by a step.
    pub fn change_flavour_with(&self, id: VnfId, ask: &ChangeFlavour, lay: &dyn Fn(&mut Properties)) -> Result<Operation> {
        self.accept_remake(id, Change::Flavour(ask), lay)
    }

    pub fn dry_change_flavour(&self, id: VnfId, ask: &ChangeFlavour) -> Result<DryRun> {
        self.dry_remake(id, Change::Flavour(ask), None)
    }

    pub fn change_package(&self, id: VnfId, ask: &ChangePackage) -> Result<Operation> {
        self.change_package_with(id, ask, &|_| {})
    }

    pub fn change_package_with(&self, id: VnfId, ask: &ChangePackage, lay: &dyn Fn(&mut Properties)) -> Result<Operation> {
        self.accept_remake(id, Change::Package(ask), lay)
    }

    pub fn dry_change_package(&self, id: VnfId, ask: &ChangePackage) -> Result<DryRun> {
        self.dry_remake(id, Change::Package(ask), None)
    }

    fn accept_remake(&self, id: VnfId, ask: Change<'_>, lay: &dyn Fn(&mut Properties)) -> Result<Operation> {
        self.check_accel()?;
        let op_id = OpId(fresh_uuid(&*self.dice));
        let (op, steps) = retrying(|| {
            let inst = self.remakeable(id, false)?;
            let op = self.draft_op(op_id, inst.project, Target::Vnf(id), ask.kind(), ask.with().request.clone());
            self.commit_remake(&inst, op, ask, lay, None, None)
        })?;
        info!(op = %op.id, vnf = %id, kind = op.kind.name(), state = op.state.name(), "operation accepted");
        self.hand_over(&op, steps)?;
        Ok(op)
    }

    /// The same of a member, as a part of its service's operation. No room: refused.
    pub fn remake_for(&self, id: VnfId, ask: Change<'_>, lay: &dyn Fn(&mut Properties), of: &Service<'_>) -> Result<()> {
        self.check_accel()?;
        retrying(|| {
            let inst = self.remakeable(id, true)?;
            let op = self.draft_op(of.child, inst.project, Target::Vnf(id), ask.kind(), ask.with().request.clone());
            self.commit_remake(&inst, op, ask, lay, Some(of), None)
        })
        .map(drop)
    }

    /// What it would be; `member`: of the service that would change it.
    pub fn dry_remake(&self, id: VnfId, ask: Change<'_>, member: Option<Member<'_>>) -> Result<DryRun> {
        self.check_accel()?;
        let inst = self.remakeable(id, member.is_some())?;
        let op = OpId(fresh_uuid(&*self.dice));
        let Granted { snap, remade, touched, told, package, .. } = self.plan_remake(&inst, ask, op, member, None)?;
        let mut plan = remade.plan;
        check_quota(self.store.get(&inst.project)?, snap.used(inst.project), &[plan.whole])?;
        plan.warnings.extend(told?);
        plan.warnings.extend(self.accel_warning());
        let mut segments: Vec<Segment> = snap.segments.into_iter().filter(|s| plan.body.is_on(s.id)).collect();
        segments.retain(|s| touched.iter().all(|t| t.id != s.id));
        segments.extend(touched);
        let fates = fates(body_of(&inst)?, &plan.body);
        Ok(DryRun {
            name: inst.name,
            body: plan.body,
            steps: plan.steps,
            segments,
            placed: plan.reservation.placed,
            warnings: plan.warnings,
            package,
            fates,
        })
    }

    fn remakeable(&self, id: VnfId, by_service: bool) -> Result<VnfInstance> {
        let inst: VnfInstance = self.store.require(&id)?;
        check_asker(&inst, by_service)?;
        self.check_here(id, "another flavour or package")?;
        inst.check_free()?;
        body_of(&inst)?;
        Ok(inst)
    }

    /// The package that the VNF is to come to.
    fn found<'a>(&self, inst: &VnfInstance, ask: Change<'a>) -> Result<Found<'a>> {
        let ask = match ask {
            Change::Flavour(ask) => return Ok(Found::Flavour(ask)),
            Change::Package(ask) => ask,
        };
        let new = self.package_of(inst.project, &ask.vnfd_id).map_err(|e| {
            // It is not what the request is sent to.
            if e.kind() == Kind::NotFound { Fault::invalid(e.detail()) } else { e }
        })?;
        let change = PackageChange { before: Origin::of(inst), after: Origin::of_vnfd(new.id, vnfd_of(&new)?) };
        Ok(Found::Package(Box::new((new, change))))
    }

    fn plan_remake(
        &self,
        inst: &VnfInstance,
        ask: Change<'_>,
        op: OpId,
        member: Option<Member<'_>>,
        anew: Option<&Anew>,
    ) -> Result<Granted> {
        let with = ask.with();
        self.check_params(inst.project, [&with.params])?;
        let body = body_of(inst)?;
        let package: VnfPackage = self.store.require(&inst.package)?;
        let vnfd = vnfd_of(&package)?;
        let found = self.found(inst, ask)?;
        let (new_package, change, (flavour, goal)) = match &found {
            Found::Flavour(ask) => (&package, None, target::flavour(inst, body, vnfd, &ask.flavour, ask.level.as_ref())?),
            Found::Package(other) => {
                let (new, change) = &**other;
                (new, Some(change), target::package(inst, body, change, vnfd, vnfd_of(new)?)?)
            }
        };
        check_attached(flavour, with)?;
        let old = vnfd
            .flavour(&body.flavour)
            .ok_or_else(|| Fault::conflict(format!("package {} has no flavour {} any more", package.id, body.flavour)))?;
        let snap = self.snapshot_anew(&[], anew)?;
        let before = match anew.and_then(|a| a.reserved.clone()) {
            Some(had) => had,
            None => self.store.require::<Reservation>(&inst.id)?,
        };
        let facts = if before.placed.is_empty() { None } else { Some(self.facts()?) };
        let rules = self.rules();
        let mut taken = self.taken(&snap.segments)?;
        let mut stations = Stations::of(inst.project, &snap.segments);
        let mut fabric = Fabric { rules: &rules.links, taken: &mut taken, stations: &mut stations };
        let plan_ask = Ask {
            instance: inst,
            package: new_package,
            flavour,
            level: &goal.level,
            attach: &with.attach,
            params: laid(&body.params, &with.params),
            ssh_keys: if with.ssh_keys.is_empty() { body.ssh_keys.clone() } else { with.ssh_keys.clone() },
            op,
            generation: self.store.generation(),
            short_name: member.map_or(&inst.name, |m| m.short).clone(),
            late: true,
        };
        let now = Now {
            body,
            package: &package,
            flavour: old,
            reserved: &before,
            facts: facts.as_deref(),
            stopping: Stopping::Usual(rules.graceful_stop_s),
            params_change: plan_ask.params != body.params || plan_ask.ssh_keys != body.ssh_keys,
            moves: change,
        };
        let mut remade = remake(&plan_ask, &now, &goal, &mut fabric, &*self.dice)?;
        self.check_chains(inst.id, &remade.plan.body, &[])?;
        member.map_or(Ok(()), |m| m.check(body, &remade.plan.body))?;
        let touched: Vec<Segment> = stations.into_values().filter_map(Stations::into_changed).collect();
        let mut to_be = inst.clone();
        change.into_iter().for_each(|c| c.after.clone().put_on(&mut to_be));
        self.check_media([(&to_be, &remade.plan)], &touched, &[])?;
        // What gets another place may have the one of any other that does.
        let free = self.snapshot_anew(&remade.freed, anew)?;
        if free.facts != snap.facts {
            return Err(Fault::conflict(OUTRUN));
        }
        let told = self.grant(&mut [&mut remade.plan], &free);
        in_order(&mut remade.plan.steps);
        Ok(Granted { snap, remade, before, touched, package: change.cloned(), told })
    }

    pub(super) fn commit_remake(
        &self,
        inst: &VnfInstance,
        mut op: Operation,
        ask: Change<'_>,
        lay: &dyn Fn(&mut Properties),
        of: Option<&Service<'_>>,
        anew: Option<&Anew>,
    ) -> Result<(Operation, Vec<PlanStep>)> {
        let given = Box::new(Properties::of(inst));
        let mut wanted = given.clone();
        lay(&mut wanted);
        refuse_clear(&wanted.extensions)?;
        refuse_clear(&wanted.configurable)?;
        check_configurable(&wanted.configurable)?;
        let Granted { snap, remade, before, touched, package, told } = self.plan_remake(inst, ask, op.id, of.map(|of| of.member), anew)?;
        let mut plan = remade.plan;
        check_quota(self.store.get(&inst.project)?, snap.used(inst.project), &[plan.whole])?;
        op.warnings.append(&mut plan.warnings);
        if let Err(refusal) = told.map(|told| op.warnings.extend(told)) {
            return if of.is_some() || anew.is_some() { Err(refusal) } else { self.refused(inst.id, op, &refusal) };
        }
        if wanted != given {
            let step = Step::Vnf(VnfStep::Properties { before: given, after: wanted });
            // The last step takes away what the VNF has no use for any more: before it, all is there.
            let at = plan.steps.iter().position(|s| matches!(s.step, Step::Vnf(VnfStep::Shed(_)))).unwrap_or(plan.steps.len());
            plan.steps.insert(at, PlanStep { op: op.id, index: at as u32, after: Vec::new(), step });
            plan.steps.iter_mut().skip(at).enumerate().for_each(|(n, s)| s.index = (at + n) as u32);
            in_order(&mut plan.steps);
        }
        let body = body_of(inst)?;
        let comes_to = (package.as_ref().map_or(inst.package, |p| p.after.package), plan.body.flavour.as_str());
        self.coordinate_change(&[comes_to, (inst.package, &body.flavour)], op.kind, &mut plan.steps)?;
        op.steps = plan.steps.len() as u32;
        let nothing_to_do = plan.steps.is_empty();
        let mut grant = None;
        if let Some(of) = of {
            of.adopt(&mut op);
        }
        if nothing_to_do {
            op.apply(Trigger::Granted, op.created)?;
            op.apply(Trigger::Succeeded, op.created)?;
            grant = anew.map(|a| a.granted(Wanted::default())).transpose()?;
        } else if of.is_none() {
            let wanted = Wanted {
                resources: Resources::between(Some(body), Some(&plan.body)),
                flavour: package.is_none().then(|| plan.body.flavour.clone()),
                dst_vnfd_id: package.as_ref().map(|p| p.after.vnfd_id.clone()),
                within: false,
            };
            grant = self.begin_or(anew, &mut op, inst, wanted)?;
        }
        let side = |body: &Body, of: &Reservation| Side { body: body.clone(), placed: of.placed.clone() };
        let (was, is) = (side(body, &before), side(&plan.body, &plan.reservation));
        let record = Remake { vnf: inst.id, op: op.id, before: was, after: is, package };
        if !nothing_to_do {
            plan.body = union(body, &plan.body);
            plan.reservation = meanwhile(&before, &plan.reservation, &plan.body);
        }
        self.store.write(Durability::Barrier, |tx| {
            claim_facts(tx, snap.facts)?;
            check_quota(tx.get(&inst.project)?, snap.used(inst.project), &[plan.whole])?;
            anew.map_or(Ok(()), |a| a.take_back(tx))?;
            let mut now: VnfInstance = tx.require(&inst.id)?;
            now.check_free()?;
            if now.revision != inst.revision {
                return Err(Fault::conflict(format!("VNF instance {} was changed by another request: ask again", inst.id)));
            }
            now.body = Some(plan.body.clone());
            if !nothing_to_do {
                now.op = Some(op.id);
                tx.put(&record)?;
                record.package.as_ref().map_or(Ok(()), |p| use_package(tx, p.after.package, 1))?;
            }
            now.revision += 1;
            put_plan(tx, &op, &now, &plan)?;
            put_ask(tx, grant.as_ref())?;
            touched.iter().try_for_each(|s| join(tx, s, inst.id))?;
            put_service(tx, of)
        })?;
        Ok((op, plan.steps))
    }
}

fn check_attached(flavour: &Flavour, with: &With) -> Result<()> {
    let unknown: Vec<&str> = with.attach.keys().map(SmolStr::as_str).filter(|k| flavour.ext_cps.iter().all(|e| e.id != *k)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let known: Vec<_> = flavour.ext_cps.iter().map(|e| e.id.as_str()).collect();
    let (unknown, known) = (unknown.join(", "), known.join(", "));
    Err(Fault::invalid(format!("flavour {} has no external connection point {unknown}; it has {known}", flavour.id)))
}

/// Parameters with others laid on them.
fn laid(had: &Params, given: &Params) -> Params {
    let stays = had.iter().filter(|(name, _)| given.iter().all(|(n, _)| n != name));
    stays.chain(given).cloned().collect()
}
