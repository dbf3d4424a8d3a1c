//! Takes a request on a VNF instance: plan, capacity, one transaction; or a dry run of the same.
//!
//! What a plan was made from (segments, reservations) is read before and guarded by the facts
//! revision inside the transaction; when another request was faster, the plan is made anew. A
//! request that the box has no room for is accepted all the same and ends ROLLED_BACK from STARTING
//! with the reasons (SOL003 5.6.2.2). Never: runs a step.

use std::collections::BTreeMap;

use smol_str::SmolStr;
use tracing::info;

use super::{
    Vnfm, abroad,
    coordinate::coordinated,
    grant::{Snapshot, check_quota, claim_facts, judged},
    laid::Anew,
    owned::{Wanted, put_ask},
    plan::{self, Ask, Attachment, Fabric, VnfPlan, fresh_uuid},
    remake::FateOfDisk,
};
use crate::model::order::Order as _;
use crate::{
    model::{
        central::Resources,
        error::{Fault, Kind, Result},
        id::{OpId, ProjectId, VnfId, VnfPkgId},
        ns::NsInstance,
        op::{OpKind, OpState, Operation, PLAN_FORMAT, Target, Trigger, VnfOpState},
        own::OwnEndpoints,
        package::{Onboarding, Operational, VnfPackage},
        param::Params,
        parts::OpParts,
        place::Held,
        secret::refuse_clear,
        segment::{Segment, SegmentOwner, SegmentState},
        step::{PlanStep, Step, VnfStep},
        vnf::{PackageChange, Properties, Reservation, Stopping, VnfInstance, VnfOwner, check_configurable},
        vnfd::Vnfd,
    },
    store::{Durability, Tx},
    vim::{network::Stations, port::Accel},
};

/// How often a plan is made anew because another request was faster.
const TRIES: usize = 16;

/// A request to instantiate, checked for form only.
#[derive(Debug, Clone, Default)]
pub struct InstantiateVnf {
    pub flavour: SmolStr,
    pub level: Option<SmolStr>,
    pub attach: BTreeMap<SmolStr, Attachment>,
    pub params: Params,
    pub ssh_keys: Vec<String>,
    /// The request as received.
    pub request: String,
}

#[derive(Debug, Clone)]
pub struct CreateVnf {
    pub project: ProjectId,
    pub vnfd_id: SmolStr,
    pub name: Option<SmolStr>,
    pub description: String,
    pub metadata: Params,
}

/// A plan that was made and not carried out.
#[derive(Debug, Clone)]
pub struct DryRun {
    pub name: SmolStr,
    pub body: crate::model::vnf::Body,
    pub steps: Vec<PlanStep>,
    pub segments: Vec<Segment>,
    /// Guests that would have a place of their own.
    pub placed: Vec<Held>,
    pub warnings: Vec<String>,
    /// The package that it would come to.
    pub package: Option<PackageChange>,
    /// Of a VNF that is there: what would become of its disks.
    pub fates: Vec<FateOfDisk>,
}

impl Vnfm {
    /// The project's enabled package that has this VNFD.
    pub fn package_of(&self, project: ProjectId, vnfd_id: &str) -> Result<VnfPackage> {
        let all = self.store.list::<VnfPackage>()?;
        let mut found: Vec<VnfPackage> =
            all.into_iter().filter(|p| p.project == project && p.vnfd.as_ref().is_some_and(|v| v.id == vnfd_id)).collect();
        found.order_by_key(|p| (p.operational == Operational::Disabled, p.onboarding != Onboarding::Onboarded, p.created));
        let first =
            found.into_iter().next().ok_or_else(|| Fault::not_found(format!("no onboarded VNF package has the VNFD '{vnfd_id}'")))?;
        check_usable(&first)?;
        Ok(first)
    }

    /// The record of a new instance, not stored yet.
    pub fn draft_instance(&self, ask: &CreateVnf, package: &VnfPackage) -> Result<VnfInstance> {
        refuse_clear(&ask.metadata)?;
        let vnfd = vnfd_of(package)?;
        let id = VnfId(fresh_uuid(&*self.dice));
        let name = ask.name.clone().unwrap_or_else(|| vnfd.info_name.clone());
        Ok(VnfInstance {
            id,
            project: ask.project,
            ns: None,
            name,
            description: ask.description.clone(),
            package: package.id,
            vnfd_id: vnfd.id.clone(),
            provider: vnfd.provider.clone(),
            product_name: vnfd.product_name.clone(),
            software_version: vnfd.software_version.clone(),
            vnfd_version: vnfd.version.clone(),
            instantiated: false,
            body: None,
            op: None,
            priority: 0,
            metadata: ask.metadata.clone(),
            extensions: Params::new(),
            configurable: Params::new(),
            created: self.clock.now(),
            revision: 1,
            owner: None,
        })
    }

    /// SOL003 5.4.2: an instance that is not instantiated yet.
    pub fn create(&self, ask: &CreateVnf) -> Result<VnfInstance> {
        self.create_for(ask, None)
    }

    /// The same for a central NFVO, which owns it.
    pub fn create_for(&self, ask: &CreateVnf, owner: Option<VnfOwner>) -> Result<VnfInstance> {
        let package = self.package_of(ask.project, &ask.vnfd_id)?;
        let inst = VnfInstance { owner, ..self.draft_instance(ask, &package)? };
        self.store.write(Durability::Barrier, |tx| {
            use_package(tx, package.id, 1)?;
            tx.put_new(&inst)
        })?;
        Ok(inst)
    }

    /// Removes an instance that is not instantiated; `allowed` sees it in the transaction.
    pub fn delete(&self, id: VnfId, allowed: impl Fn(&VnfInstance) -> Result<()>) -> Result<()> {
        self.store.write(Durability::Barrier, |tx| {
            let inst: VnfInstance = tx.get(&id)?.ok_or_else(|| Fault::not_found(format!("there is no VNF instance {id}")))?;
            allowed(&inst)?;
            inst.check_free()?;
            check_standalone(&inst)?;
            if inst.instantiated || inst.body.is_some() {
                return Err(Fault::conflict(format!("VNF instance {id} is instantiated: terminate it first")));
            }
            use_package(tx, inst.package, -1)?;
            tx.delete::<OwnEndpoints>(&id)?;
            tx.delete::<VnfInstance>(&id)?;
            Ok(())
        })
    }

    /// Changes what a client may change by PATCH (SOL003 5.4.3): an operation that is over when it is
    /// taken. `request` is kept with it.
    pub fn modify(&self, id: VnfId, request: &str, change: impl Fn(&mut VnfInstance) -> Result<()>) -> Result<Operation> {
        let op_id = OpId(fresh_uuid(&*self.dice));
        self.store.write(Durability::Barrier, |tx| self.modify_in(tx, id, op_id, None, &|v| change(v).map(|()| request.to_owned())))
    }

    /// In a transaction: the same, as a part of `parent` where there is one. `change` gives the request that is kept.
    pub fn modify_in(
        &self,
        tx: &mut Tx<'_>,
        id: VnfId,
        op_id: OpId,
        parent: Option<OpId>,
        change: &dyn Fn(&mut VnfInstance) -> Result<String>,
    ) -> Result<Operation> {
        let mut inst: VnfInstance = tx.get(&id)?.ok_or_else(|| Fault::not_found(format!("there is no VNF instance {id}")))?;
        inst.check_free()?;
        let request = change(&mut inst)?;
        check_configurable(&inst.configurable)?;
        for params in [&inst.extensions, &inst.configurable, &inst.metadata] {
            refuse_clear(params)?;
        }
        inst.revision += 1;
        tx.put(&inst)?;
        let mut op = self.draft_op(op_id, inst.project, Target::Vnf(id), OpKind::ModifyInfo, request);
        (op.parent, op.automatic) = (parent, parent.is_some());
        op.apply(Trigger::Granted, op.created)?;
        op.apply(Trigger::Succeeded, op.created)?;
        tx.put(&op)?;
        Ok(op)
    }

    /// Plans an instantiation without touching anything.
    pub fn dry_instantiate(&self, id: VnfId, ask: &InstantiateVnf) -> Result<DryRun> {
        let inst: VnfInstance = self.store.require(&id)?;
        check_instantiable(&inst)?;
        self.dry(inst, ask)
    }

    /// The same for an instance that is not even created.
    pub fn dry_new(&self, create: &CreateVnf, ask: &InstantiateVnf) -> Result<DryRun> {
        let package = self.package_of(create.project, &create.vnfd_id)?;
        self.dry(self.draft_instance(create, &package)?, ask)
    }

    fn dry(&self, inst: VnfInstance, ask: &InstantiateVnf) -> Result<DryRun> {
        self.check_accel()?;
        let snap = self.snapshot()?;
        let op = OpId(fresh_uuid(&*self.dice));
        let (mut p, touched) = self.plan_one(&inst, ask, &snap, op)?;
        self.check_media([(&inst, &p)], &touched, &[])?;
        check_quota(self.store.get(&inst.project)?, snap.used(inst.project), &[p.whole])?;
        let told = self.grant(&mut [&mut p], &snap)?;
        self.coordinate_plan(inst.package, &ask.flavour, OpKind::Instantiate, &mut p.steps)?;
        p.warnings.extend(told);
        p.warnings.extend(self.accel_warning());
        Ok(DryRun {
            name: inst.name,
            body: p.body,
            steps: p.steps,
            segments: touched,
            placed: p.reservation.placed,
            warnings: p.warnings,
            package: None,
            fates: Vec::new(),
        })
    }

    fn plan_one(&self, inst: &VnfInstance, ask: &InstantiateVnf, snap: &Snapshot, op: OpId) -> Result<(VnfPlan, Vec<Segment>)> {
        self.check_params(inst.project, [&ask.params])?;
        let package: VnfPackage = self.store.require(&inst.package)?;
        let vnfd = vnfd_of(&package)?;
        let flavour = vnfd.flavour(&ask.flavour).ok_or_else(|| {
            let known: Vec<_> = vnfd.flavours.iter().map(|f| f.id.as_str()).collect();
            Fault::invalid(format!("VNFD {} has no deployment flavour '{}'; it has {}", vnfd.id, ask.flavour, known.join(", ")))
        })?;
        let unknown: Vec<String> =
            ask.attach.keys().filter(|k| !flavour.ext_cps.iter().any(|e| e.id == **k)).map(|k| format!("'{k}'")).collect();
        if !unknown.is_empty() {
            let known: Vec<_> = flavour.ext_cps.iter().map(|e| e.id.as_str()).collect();
            return Err(Fault::invalid(format!(
                "flavour {} has no external connection point {}; it has {}",
                flavour.id,
                unknown.join(", "),
                known.join(", ")
            )));
        }
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
            params: ask.params.clone(),
            ssh_keys: ask.ssh_keys.clone(),
            op,
            generation: self.store.generation(),
            short_name: inst.name.clone(),
            late: false,
        };
        let p = plan::instantiate(&plan_ask, &mut fabric, &*self.dice)?;
        let touched = stations.into_values().filter_map(Stations::into_changed).collect();
        Ok((p, touched))
    }

    /// SOL003 5.4.4. Returns the operation, which may have ended already (no room).
    pub fn instantiate(&self, id: VnfId, ask: &InstantiateVnf) -> Result<Operation> {
        self.instantiate_with(id, ask, &|_| {})
    }

    /// The same with properties that `lay` changes. A step does it: an instantiation that is refused or rolled
    /// back leaves them as they were.
    pub fn instantiate_with(&self, id: VnfId, ask: &InstantiateVnf, lay: &dyn Fn(&mut Properties)) -> Result<Operation> {
        self.check_accel()?;
        let op_id = OpId(fresh_uuid(&*self.dice));
        let (op, steps) = retrying(|| {
            let inst: VnfInstance = self.store.require(&id)?;
            check_standalone(&inst)?;
            check_instantiable(&inst)?;
            let op = self.draft_op(op_id, inst.project, Target::Vnf(id), OpKind::Instantiate, ask.request.clone());
            self.commit_instantiate(&inst, op, ask, lay, None)
        })?;
        info!(op = %op.id, vnf = %id, "instantiation accepted");
        self.hand_over(&op, steps)?;
        Ok(op)
    }

    /// With `anew` in the place of the plan that it has.
    pub(super) fn commit_instantiate(
        &self,
        inst: &VnfInstance,
        mut op: Operation,
        ask: &InstantiateVnf,
        lay: &dyn Fn(&mut Properties),
        anew: Option<&Anew>,
    ) -> Result<(Operation, Vec<PlanStep>)> {
        let id = inst.id;
        let before = Box::new(Properties::of(inst));
        let mut after = before.clone();
        lay(&mut after);
        refuse_clear(&after.extensions)?;
        refuse_clear(&after.configurable)?;
        check_configurable(&after.configurable)?;
        let snap = self.snapshot_anew(&[], anew)?;
        let (mut p, touched) = self.plan_one(inst, ask, &snap, op.id)?;
        self.check_media([(inst, &p)], &touched, &[])?;
        let granted = judged(self.grant(&mut [&mut p], &snap))?;
        op.warnings.append(&mut p.warnings);
        // What the project may not is refused at once; what the box cannot is an operation that failed.
        check_quota(self.store.get(&inst.project)?, snap.used(inst.project), &[p.whole])?;
        if let Err(refusal) = granted.map(|told| op.warnings.extend(told)) {
            if anew.is_some() {
                return Err(refusal);
            }
            op.error = Some(refusal.record());
            op.apply(Trigger::Refused, op.created)?;
            self.store.write(Durability::Barrier, |tx| {
                check_instantiable(&tx.require::<VnfInstance>(&id)?)?;
                tx.put(&op)
            })?;
            return Ok((op, Vec::new()));
        }
        if after != before {
            let step = Step::Vnf(VnfStep::Properties { before, after });
            p.steps.push(PlanStep { op: op.id, index: p.steps.len() as u32, after: Vec::new(), step });
        }
        self.coordinate_plan(inst.package, &ask.flavour, OpKind::Instantiate, &mut p.steps)?;
        op.steps = p.steps.len() as u32;
        let resources = Resources::between(None, Some(&p.body));
        let wanted = Wanted { resources, flavour: Some(ask.flavour.clone()), ..Wanted::default() };
        let grant = self.begin_or(anew, &mut op, inst, wanted)?;
        self.store.write(Durability::Barrier, |tx| {
            claim_facts(tx, snap.facts)?;
            check_quota(tx.get(&inst.project)?, snap.used(inst.project), &[p.whole])?;
            anew.map_or(Ok(()), |a| a.take_back(tx))?;
            let mut now: VnfInstance = tx.require(&id)?;
            check_instantiable(&now)?;
            if now.revision != inst.revision {
                return Err(Fault::conflict(OUTRUN));
            }
            now.body = Some(p.body.clone());
            now.op = Some(op.id);
            now.revision += 1;
            put_plan(tx, &op, &now, &p)?;
            put_ask(tx, grant.as_ref())?;
            touched.iter().try_for_each(|s| join(tx, s, id))
        })?;
        Ok((op, p.steps))
    }

    /// SOL003 5.4.8.
    pub fn terminate(&self, id: VnfId, stopping: Stopping, request: String) -> Result<Operation> {
        let inst: VnfInstance = self.store.require(&id)?;
        check_standalone(&inst)?;
        self.act(id, OpKind::Terminate, request, |inst, held, op| {
            let body = body_of(inst)?;
            Ok(plan::terminate(body, held, op, stopping))
        })
    }

    /// A termination by the service it belongs to, under an id that was planned for it: asking again
    /// finds the one that was made.
    pub fn terminate_as(&self, id: VnfId, op_id: OpId, parent: OpId) -> Result<Operation> {
        let abroad = self.abroad(id)?;
        self.act_as(id, op_id, Some(parent), OpKind::Terminate, String::new(), |inst, held, op| {
            if let Some(f) = &abroad {
                return Ok(abroad::terminate(f, op, Stopping::AtOnce));
            }
            inst.body
                .as_ref()
                .map(|b| plan::terminate(b, held, op, Stopping::AtOnce))
                .ok_or_else(|| Fault::conflict(format!("VNF instance {id} is not instantiated")))
        })
    }

    /// An operation on what is there already: it needs no grant of its own.
    pub(super) fn act(
        &self,
        id: VnfId,
        kind: OpKind,
        request: String,
        plan: impl Fn(&VnfInstance, &[Held], OpId) -> Result<Vec<PlanStep>>,
    ) -> Result<Operation> {
        self.act_as(id, OpId(fresh_uuid(&*self.dice)), None, kind, request, plan)
    }

    fn act_as(
        &self,
        id: VnfId,
        op_id: OpId,
        parent: Option<OpId>,
        kind: OpKind,
        request: String,
        plan: impl Fn(&VnfInstance, &[Held], OpId) -> Result<Vec<PlanStep>>,
    ) -> Result<Operation> {
        let inst: VnfInstance = self.store.require(&id)?;
        let mut op = self.draft_op(op_id, inst.project, Target::Vnf(id), kind, request);
        op.parent = parent;
        op.automatic = parent.is_some();
        let gone = inst.body.as_ref().filter(|_| kind == OpKind::Terminate);
        let wanted = Wanted { resources: Resources::between(gone, None), ..Wanted::default() };
        let grant = self.begin_op(&mut op, &inst, wanted)?;
        let (op, steps) = self.store.write(Durability::Barrier, |tx| {
            let mut now: VnfInstance = tx.require(&id)?;
            now.check_free()?;
            let held = tx.get::<Reservation>(&id)?.map(|r| r.placed).unwrap_or_default();
            let flavour = now.body.as_ref().map(|b| b.flavour.clone()).unwrap_or_default();
            let steps = coordinated(tx.get(&now.package)?.as_ref(), &flavour, kind, plan(&now, &held, op_id)?);
            let mut op = op.clone();
            op.steps = steps.len() as u32;
            now.op = Some(op_id);
            now.revision += 1;
            if let Some(body) = now.body.as_ref().filter(|_| kind == OpKind::Terminate) {
                put_parts(tx, &OpParts::of_vnf(op_id, body))?;
            }
            tx.put(&now)?;
            tx.put(&op)?;
            put_ask(tx, grant.as_ref())?;
            steps.iter().try_for_each(|s| tx.put(s))?;
            Ok((op, steps))
        })?;
        info!(op = %op.id, vnf = %id, kind = kind.name(), "operation accepted");
        self.hand_over(&op, steps)?;
        Ok(op)
    }

    /// An operation in its first state, not stored yet; it says already if guests crawl here.
    pub fn draft_op(&self, id: OpId, project: ProjectId, target: Target, kind: OpKind, request: String) -> Operation {
        let now = self.clock.now();
        let state = match target {
            Target::Vnf(_) | Target::Pf(_) => OpState::Vnf(VnfOpState::Starting),
            Target::Ns(_) => OpState::Ns(crate::model::op::NsOpState::Processing),
        };
        Operation {
            id,
            project,
            target,
            kind,
            state,
            created: now,
            state_entered: now,
            request,
            error: None,
            warnings: self.accel_warning().into_iter().collect(),
            cancel: None,
            parent: None,
            automatic: false,
            plan_format: PLAN_FORMAT,
            steps: 0,
            attempt: 0,
            sequence: 1,
        }
    }

    /// Refuses where guests could only run in a way that the configuration forbids. What is not known
    /// yet refuses nothing: the guest that is defined first waits for it.
    pub fn check_accel(&self) -> Result<()> {
        match self.hypervisor.accel_why() {
            Err(fault) if !fault.is_transient() => Err(fault),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// A firewall must never crawl in silence.
    pub fn accel_warning(&self) -> Option<String> {
        match self.hypervisor.accel() {
            Accel::Kvm => None,
            Accel::Tcg => Some("guests run without KVM (emulated, many times slower); see `bothy host` for why".into()),
        }
    }
}

/// Makes the attempt again while another request was faster.
pub fn retrying<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..TRIES {
        match attempt() {
            Err(f) if f.kind() == Kind::Conflict && f.text() == OUTRUN => {}
            other => return other,
        }
    }
    attempt()
}

pub(super) const OUTRUN: &str = "another request changed what this one was planned on";

/// In a transaction: a segment with new stations on it. One that is another's must still be there,
/// and its owner at rest: a link that is going away takes nobody in.
pub(super) fn join(tx: &mut Tx<'_>, planned: &Segment, vnf: VnfId) -> Result<()> {
    if planned.owner != SegmentOwner::Vnf(vnf) {
        let now: Segment = tx.require(&planned.id)?;
        if now.state == SegmentState::Leaving {
            return Err(Fault::conflict(format!("link {} is going away", now.link)));
        }
        match now.owner {
            SegmentOwner::Ns(ns) => tx.require::<NsInstance>(&ns)?.check_free()?,
            SegmentOwner::Vnf(other) => tx.require::<VnfInstance>(&other)?.check_free()?,
        }
    }
    tx.put(planned)
}

/// In a transaction: an instantiation's operation, plan, instance and reservation.
pub fn put_plan(tx: &mut Tx<'_>, op: &Operation, inst: &VnfInstance, p: &VnfPlan) -> Result<()> {
    tx.put(op)?;
    tx.put(inst)?;
    tx.put(&p.reservation)?;
    put_parts(tx, &OpParts::of_vnf(op.id, &p.body))?;
    p.steps.iter().try_for_each(|s| tx.put(s))
}

/// In a transaction: what an operation that is taken makes and takes away, where anything of it has a name.
pub fn put_parts(tx: &mut Tx<'_>, parts: &OpParts) -> Result<()> {
    if parts.is_empty() { Ok(()) } else { tx.put(parts) }
}

/// In a transaction: one more user of a package, or one less.
pub fn use_package(tx: &mut Tx<'_>, id: VnfPkgId, by: i32) -> Result<()> {
    let Some(mut p) = tx.get::<VnfPackage>(&id)? else { return Err(Fault::not_found(format!("there is no VNF package {id}"))) };
    if by > 0 {
        check_usable(&p)?;
    }
    p.users = p.users.saturating_add_signed(by);
    tx.put(&p)
}

fn check_usable(p: &VnfPackage) -> Result<()> {
    match (p.onboarding, p.operational) {
        (Onboarding::Onboarded, Operational::Enabled) => Ok(()),
        (Onboarding::Onboarded, Operational::Disabled) => {
            Err(Fault::conflict(format!("VNF package {} is disabled: enable it first", p.id)))
        }
        (Onboarding::Created | Onboarding::Uploading | Onboarding::Processing | Onboarding::Error, _) => {
            Err(Fault::conflict(format!("VNF package {} is not onboarded", p.id)))
        }
    }
}

pub fn vnfd_of(p: &VnfPackage) -> Result<&Vnfd> {
    p.vnfd.as_ref().ok_or_else(|| Fault::conflict(format!("VNF package {} is not onboarded", p.id)))
}

pub(super) fn body_of(inst: &VnfInstance) -> Result<&crate::model::vnf::Body> {
    match &inst.body {
        Some(b) if inst.instantiated => Ok(b),
        Some(_) | None => Err(Fault::conflict(format!("VNF instance {} is not instantiated", inst.id))),
    }
}

fn check_instantiable(inst: &VnfInstance) -> Result<()> {
    inst.check_free()?;
    if inst.instantiated || inst.body.is_some() {
        return Err(Fault::conflict(format!("VNF instance {} is instantiated already", inst.id)));
    }
    Ok(())
}

/// Members of a service are changed by their service.
pub(super) fn check_standalone(inst: &VnfInstance) -> Result<()> {
    match inst.ns {
        None => Ok(()),
        Some(ns) => Err(Fault::conflict(format!("VNF instance {} belongs to NS instance {ns}: change the service", inst.id))),
    }
}
