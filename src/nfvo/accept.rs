//! Takes a request on a network service: plan, the capacity of all members together, and one
//! transaction that holds parent, children, plans, links and reservations; or a dry run.
//!
//! A service the box has no room for is accepted and ends FAILED_TEMP with each VNF's reasons
//! (SOL005 6.6.2); a retry plans it anew. Never: runs a step.

use std::collections::{BTreeMap, HashSet};

use smol_str::SmolStr;
use tracing::info;

use super::{
    Nfvo,
    acts::put_ns_parts,
    plan::{self, MemberPlan, NsAsk, NsPlan, members_of},
};
use crate::{
    model::{
        abroad::ForeignVnf,
        chain::Chain,
        error::{Fault, Result},
        id::{NfpId, NsId, NsdInfoId, OpId, PnfdInfoId, ProjectId, SegmentId, VnfId, VnfPkgId},
        ns::{NsInstance, NsPnf},
        nsd::{Member, Nsd},
        op::{OpKind, Operation, Target, Trigger},
        package::{NsDescriptor, Onboarding, Operational, PnfDescriptor, VnfPackage},
        param::Params,
        parts::OpParts,
        segment::Segment,
        step::{NsStep, PlanStep, Step},
        tree::tree,
        vnf::{Reservation, Stopping, VnfInstance},
    },
    store::{Durability, Tx},
    vim::network::Stations,
    vnfm::{
        abroad,
        accept::{CreateVnf, put_parts, put_plan, retrying, use_package},
        coordinate::coordinated,
        grant::{Snapshot, check_quota, claim_facts, judged},
        plan::{Fabric, VnfPlan, fresh_uuid, terminate as plan_vnf_terminate},
        sample::Sample,
    },
};

/// A request to instantiate a service, checked for form only.
#[derive(Debug, Clone, Default)]
pub struct InstantiateNs {
    pub flavour: SmolStr,
    pub level: Option<SmolStr>,
    pub params: Params,
    /// By VNF profile.
    pub member_params: BTreeMap<SmolStr, Params>,
    pub ssh_keys: Vec<String>,
    /// Physical boxes that take part.
    pub pnfs: Vec<NsPnf>,
    pub request: String,
}

/// A planned service that was not made.
pub struct NsDryRun {
    pub plan: NsPlan,
    pub segments: Vec<Segment>,
}

impl Nfvo {
    /// SOL005 6.4.2: an instance that is not instantiated yet.
    pub fn create_ns(&self, project: ProjectId, nsd_id: &str, name: SmolStr, description: String) -> Result<NsInstance> {
        let info = self.nsd_by_id(project, nsd_id)?;
        let ns = NsInstance { description, ..self.draft_ns(project, info.id, nsd_id, name) };
        self.vnfm.store().write(Durability::Barrier, |tx| {
            use_nsd(tx, info.id, 1)?;
            tx.put_new(&ns)
        })?;
        Ok(ns)
    }

    /// The same under an id that was chosen before; false: it is there.
    pub fn create_ns_as(&self, id: NsId, project: ProjectId, nsd_id: &str, name: SmolStr) -> Result<bool> {
        let info = self.nsd_by_id(project, nsd_id)?;
        let ns = NsInstance { id, ..self.draft_ns(project, info.id, nsd_id, name) };
        self.vnfm.store().write(Durability::Barrier, |tx| {
            if tx.get::<NsInstance>(&id)?.is_some() {
                return Ok(false);
            }
            use_nsd(tx, info.id, 1)?;
            tx.put_new(&ns).map(|()| true)
        })
    }

    /// The record of a service, not stored yet.
    pub(super) fn draft_ns(&self, project: ProjectId, nsd_info: NsdInfoId, nsd_id: &str, name: SmolStr) -> NsInstance {
        NsInstance {
            id: NsId(fresh_uuid(&**self.vnfm.dice())),
            project,
            name,
            description: String::new(),
            nsd_info,
            nsd_id: nsd_id.into(),
            instantiated: false,
            flavour: None,
            level: None,
            members: Vec::new(),
            links: Vec::new(),
            saps: Vec::new(),
            params: Params::new(),
            member_params: Vec::new(),
            ssh_keys: Vec::new(),
            op: None,
            created: self.vnfm.clock().now(),
            revision: 1,
            pnfs: Vec::new(),
        }
    }

    /// `allowed` sees the record in the transaction.
    pub fn delete_ns(&self, id: NsId, allowed: impl Fn(&NsInstance) -> Result<()>) -> Result<()> {
        self.vnfm.store().write(Durability::Barrier, |tx| {
            let ns: NsInstance = tx.get(&id)?.ok_or_else(|| Fault::not_found(format!("there is no NS instance {id}")))?;
            allowed(&ns)?;
            ns.check_free()?;
            if ns.instantiated || !ns.members.is_empty() {
                return Err(Fault::conflict(format!("NS instance {id} is instantiated: terminate it first")));
            }
            use_nsd(tx, ns.nsd_info, -1)?;
            // It may have ended before it had a VNF.
            ns.pnfs.iter().try_for_each(|p| use_pnfd(tx, p.pnfd_info, -1))?;
            tx.delete::<NsInstance>(&id)?;
            Ok(())
        })
    }

    /// The project's enabled descriptor with this `nsdId`.
    pub fn nsd_by_id(&self, project: ProjectId, nsd_id: &str) -> Result<NsDescriptor> {
        let all = self.vnfm.store().list::<NsDescriptor>()?;
        let found = all.into_iter().find(|d| d.project == project && d.nsd.as_ref().is_some_and(|n| n.id == nsd_id));
        let found = found.ok_or_else(|| Fault::not_found(format!("no onboarded NSD has the id '{nsd_id}'")))?;
        check_nsd_usable(&found)?;
        Ok(found)
    }

    /// The record of a member, not stored yet.
    pub(super) fn draft_member(&self, project: ProjectId, m: &Member, name: SmolStr, package: &VnfPackage) -> Result<VnfInstance> {
        let create =
            CreateVnf { project, vnfd_id: m.vnfd_id.clone(), name: Some(name), description: String::new(), metadata: Params::new() };
        self.vnfm.draft_instance(&create, package)
    }

    pub(super) fn packages_of(&self, project: ProjectId, vnfds: Vec<SmolStr>, samples: &[Sample]) -> Result<BTreeMap<SmolStr, VnfPackage>> {
        let mut out = BTreeMap::new();
        let mut faults = Vec::new();
        for id in vnfds {
            let sample = samples.iter().find(|s| s.package.vnfd.as_ref().is_some_and(|v| v.id == id));
            match sample.map_or_else(|| self.vnfm.package_of(project, &id), |s| Ok(s.package.clone())) {
                Ok(p) => {
                    out.insert(id, p);
                }
                Err(f) => faults.push(f),
            }
        }
        match faults.len() {
            0 => Ok(out),
            1 => Err(faults.remove(0)),
            _ => Err(Fault::conflict("VNFDs of the service cannot be used").with_reasons(faults.iter().map(ToString::to_string))),
        }
    }

    /// The project's PNFDs by their own id; none where nobody asks.
    pub(super) fn pnfds_of(&self, project: ProjectId, none: bool) -> Result<BTreeMap<SmolStr, PnfDescriptor>> {
        if none {
            return Ok(BTreeMap::new());
        }
        let all = self.vnfm.store().list::<PnfDescriptor>()?.into_iter().filter(|d| d.project == project);
        Ok(tree(all.filter_map(|d| Some((d.pnfd.as_ref()?.id.clone(), d)))))
    }

    fn plan(
        &self,
        ns: &NsInstance,
        nsd: &Nsd,
        samples: &[Sample],
        ask: &InstantiateNs,
        snap: &Snapshot,
        op: OpId,
    ) -> Result<(NsPlan, Vec<Segment>)> {
        self.vnfm.check_params(ns.project, std::iter::once(&ask.params).chain(ask.member_params.values()))?;
        let flavour = nsd.flavour(&ask.flavour).ok_or_else(|| {
            let known: Vec<_> = nsd.flavours.iter().map(|f| f.id.as_str()).collect();
            Fault::invalid(format!("NSD {} has no flavour '{}'; it has {}", nsd.id, ask.flavour, known.join(", ")))
        })?;
        let strangers: Vec<String> =
            ask.member_params.keys().filter(|k| !flavour.members.iter().any(|m| m.id == **k)).map(|k| format!("'{k}'")).collect();
        if !strangers.is_empty() {
            let known: Vec<_> = flavour.members.iter().map(|m| m.id.as_str()).collect();
            return Err(Fault::invalid(format!("there is no VNF profile {}; the service has {}", strangers.join(", "), known.join(", "))));
        }
        let packages = self.packages_of(ns.project, nsd.vnfd_ids(), samples)?;
        let rules = self.vnfm.rules();
        let mut taken = self.vnfm.taken(&snap.segments)?;
        let mut stations: BTreeMap<SegmentId, Stations> = BTreeMap::new();
        let mut fabric = Fabric { rules: &rules.links, taken: &mut taken, stations: &mut stations };
        let level = ask.level.clone().unwrap_or_else(|| flavour.default_level.clone());
        let pnfds = self.pnfds_of(ns.project, flavour.pnfs.is_empty())?;
        let foreign = self.vnfm.foreign(ns.project)?;
        let ns_ask = NsAsk {
            ns,
            flavour,
            packages: &packages,
            params: &ask.params,
            member_params: &ask.member_params,
            ssh_keys: &ask.ssh_keys,
            pnfs: &ask.pnfs,
            pnfds: &pnfds,
            foreign: &foreign,
            op,
            generation: self.vnfm.store().generation(),
            late: false,
        };
        let draft = |m: &Member, name: SmolStr, package: &VnfPackage| self.draft_member(ns.project, m, name, package);
        let p = plan::instantiate(&ns_ask, &level, &mut fabric, &draft, &**self.vnfm.dice())?;
        let segments = stations.into_values().map(|s| s.segment().clone()).collect();
        Ok((p, segments))
    }

    /// Plans an instantiation without touching anything; every reason why not.
    pub fn dry_instantiate(&self, id: NsId, ask: &InstantiateNs) -> Result<NsDryRun> {
        let ns: NsInstance = self.vnfm.store().require(&id)?;
        check_instantiable(&ns)?;
        let info: NsDescriptor = self.vnfm.store().require(&ns.nsd_info)?;
        self.dry(&ns, nsd_of(&info)?, &[], ask)
    }

    /// The same for a service that is not even created: what `nsd_id` would become.
    pub fn dry_new(&self, project: ProjectId, nsd_id: &str, name: SmolStr, ask: &InstantiateNs) -> Result<NsDryRun> {
        let info = self.nsd_by_id(project, nsd_id)?;
        self.dry(&self.draft_ns(project, info.id, nsd_id, name), nsd_of(&info)?, &[], ask)
    }

    /// `samples`: packages that are looked at and not onboarded.
    pub(super) fn dry(&self, ns: &NsInstance, nsd: &Nsd, samples: &[Sample], ask: &InstantiateNs) -> Result<NsDryRun> {
        self.vnfm.check_accel()?;
        let snap = self.vnfm.snapshot()?;
        let (mut plan, segments) = self.plan(ns, nsd, samples, ask, &snap, OpId(fresh_uuid(&**self.vnfm.dice())))?;
        self.check_media(&plan, &segments, samples)?;
        let needs: Vec<_> = plan.members.iter().map(|m| m.plan.whole).collect();
        check_quota(self.vnfm.store().get(&ns.project)?, snap.used(ns.project), &needs)?;
        let told = self.grant(&mut plan, &snap)?;
        plan.warnings.extend(told);
        plan.warnings.extend(self.vnfm.accel_warning());
        Ok(NsDryRun { plan, segments })
    }

    fn check_media(&self, plan: &NsPlan, segments: &[Segment], samples: &[Sample]) -> Result<()> {
        self.vnfm.check_media(plan.members.iter().map(|m| (&m.instance, &m.plan)), segments, samples)
    }

    /// All members together, or none.
    fn grant(&self, plan: &mut NsPlan, snap: &Snapshot) -> Result<Vec<String>> {
        let mut members: Vec<_> = plan.members.iter_mut().map(|m| &mut m.plan).collect();
        self.vnfm.grant(&mut members, snap)
    }

    /// SOL005 6.4.4.
    pub fn instantiate(&self, id: NsId, ask: &InstantiateNs) -> Result<Operation> {
        self.vnfm.check_accel()?;
        let op_id = OpId(fresh_uuid(&**self.vnfm.dice()));
        let (op, steps) = retrying(|| {
            let ns: NsInstance = self.vnfm.store().require(&id)?;
            check_instantiable(&ns)?;
            let op = self.vnfm.draft_op(op_id, ns.project, Target::Ns(id), OpKind::Instantiate, ask.request.clone());
            self.commit(ns, op, ask)
        })?;
        info!(op = %op.id, ns = %id, state = op.state.name(), "instantiation accepted");
        self.vnfm.engine()?.submit(op.clone(), steps, &[]);
        Ok(op)
    }

    /// One attempt to plan and to store the plan; without room the operation is stuck, unplanned.
    pub(super) fn commit(&self, ns: NsInstance, mut op: Operation, ask: &InstantiateNs) -> Result<(Operation, Vec<PlanStep>)> {
        let store = self.vnfm.store();
        let snap = self.vnfm.snapshot()?;
        let info: NsDescriptor = store.require(&ns.nsd_info)?;
        let (mut p, segments) = self.plan(&ns, nsd_of(&info)?, &[], ask, &snap, op.id)?;
        self.check_media(&p, &segments, &[])?;
        let granted = judged(self.grant(&mut p, &snap))?;
        // Planned anew, it has the warnings of this plan only.
        op.warnings = self.vnfm.accel_warning().into_iter().chain(p.warnings.iter().cloned()).collect();
        let needs: Vec<_> = p.members.iter().map(|m| m.plan.whole).collect();
        check_quota(store.get(&ns.project)?, snap.used(ns.project), &needs)?;
        if let Err(refusal) = granted.map(|told| op.warnings.extend(told)) {
            op.error = Some(refusal.record());
            op.apply(Trigger::Broke, self.vnfm.clock().now())?;
            store.write(Durability::Barrier, |tx| {
                let mut now: NsInstance = tx.require(&ns.id)?;
                check_instantiable_for(&now, op.id)?;
                now.op = Some(op.id);
                now.revision += 1;
                remember(&mut now, ask);
                tx.put(&now)?;
                tx.put(&op)
            })?;
            return Ok((op, Vec::new()));
        }
        op.steps = p.steps.len() as u32;
        self.coordinate_births(&mut p.members)?;
        let children = self.births(op.id, &p.members);
        store.write(Durability::Barrier, |tx| {
            claim_facts(tx, snap.facts)?;
            check_quota(tx.get(&ns.project)?, snap.used(ns.project), &needs)?;
            let mut now: NsInstance = tx.require(&ns.id)?;
            check_instantiable_for(&now, op.id)?;
            now.pnfs.iter().try_for_each(|had| use_pnfd(tx, had.pnfd_info, -1))?;
            p.pnfs.iter().try_for_each(|has| use_pnfd(tx, has.pnfd_info, 1))?;
            remember(&mut now, ask);
            now.members = members_of(&p);
            now.links.clone_from(&p.links);
            now.saps.clone_from(&p.saps);
            now.pnfs.clone_from(&p.pnfs);
            now.op = Some(op.id);
            now.revision += 1;
            put_births(tx, &children, &p.members)?;
            segments.iter().try_for_each(|s| tx.put(s))?;
            p.chains.iter().try_for_each(|c| tx.put(c))?;
            put_ns_parts(tx, op.id, &now, &p.steps)?;
            p.steps.iter().try_for_each(|s| tx.put(s))?;
            tx.put(&now)?;
            tx.put(&op)
        })?;
        Ok((op, p.steps))
    }

    /// What members' instantiations ask of these VNFs.
    pub(super) fn coordinate_births(&self, members: &mut [MemberPlan]) -> Result<()> {
        members.iter_mut().try_for_each(|m| {
            let VnfPlan { body, steps, .. } = &mut m.plan;
            self.vnfm.coordinate_plan(m.instance.package, &body.flavour, OpKind::Instantiate, steps)
        })
    }

    /// The operations that instantiate members as parts of `parent`, and their instances with what is planned.
    pub(super) fn births(&self, parent: OpId, members: &[MemberPlan]) -> Vec<(Operation, VnfInstance)> {
        let birth = |m: &MemberPlan| {
            let target = Target::Vnf(m.instance.id);
            let mut child = self.vnfm.draft_op(m.op, m.instance.project, target, OpKind::Instantiate, String::new());
            child.parent = Some(parent);
            child.automatic = true;
            child.steps = m.plan.steps.len() as u32;
            child.warnings.extend_from_slice(&m.plan.warnings);
            let mut inst = m.instance.clone();
            inst.body = Some(m.plan.body.clone());
            inst.op = Some(child.id);
            (child, inst)
        };
        members.iter().map(birth).collect()
    }

    /// SOL005 6.4.8.
    pub fn terminate(&self, id: NsId, stopping: Stopping, request: String) -> Result<Operation> {
        let vnfm = &self.vnfm;
        let op_id = OpId(fresh_uuid(&**vnfm.dice()));
        let ns: NsInstance = vnfm.store().require(&id)?;
        let ops: Vec<(VnfId, OpId)> = ns.members.iter().map(|m| (m.vnf, OpId(fresh_uuid(&**vnfm.dice())))).collect();
        let members: HashSet<VnfId> = ns.members.iter().map(|m| m.vnf).collect();
        let chains: Vec<NfpId> = vnfm.store().list::<Chain>()?.into_iter().filter(|c| c.ns == id).map(|c| c.id).collect();
        let op = vnfm.draft_op(op_id, ns.project, Target::Ns(id), OpKind::Terminate, request);
        let drafts = self.deaths(&op, &ops);
        let (op, steps) = vnfm.store().write(Durability::Barrier, |tx| {
            let mut now: NsInstance = tx.require(&id)?;
            now.check_free()?;
            if !now.instantiated {
                return Err(Fault::conflict(format!("NS instance {id} is not instantiated")));
            }
            for (link, segment) in &now.links {
                let stations = tx.get::<Segment>(segment)?.map(|s| s.stations).unwrap_or_default();
                if let Some(guest) = stations.iter().find(|st| !members.contains(&st.vnf)) {
                    return Err(Fault::conflict(format!(
                        "VNF instance {} is attached to link {link} of the service: terminate it first",
                        guest.vnf
                    )));
                }
            }
            let with_op = put_deaths(tx, &drafts, stopping)?;
            let steps = plan::terminate(&now, &with_op, &chains, op_id);
            let mut op = op.clone();
            op.steps = steps.len() as u32;
            now.op = Some(op_id);
            now.revision += 1;
            put_ns_parts(tx, op_id, &now, &steps)?;
            tx.put(&now)?;
            steps.iter().try_for_each(|s| tx.put(s))?;
            tx.put(&op)?;
            Ok((op, steps))
        })?;
        info!(op = %op.id, ns = %id, "termination accepted");
        vnfm.engine()?.submit(op.clone(), steps, &[]);
        Ok(op)
    }

    /// The operations that terminate members as parts of `op`.
    pub(super) fn deaths(&self, op: &Operation, members: &[(VnfId, OpId)]) -> Vec<(VnfId, Operation)> {
        let death = |(vnf, id): &(VnfId, OpId)| {
            let mut child = self.vnfm.draft_op(*id, op.project, Target::Vnf(*vnf), OpKind::Terminate, String::new());
            child.parent = Some(op.id);
            child.automatic = true;
            (*vnf, child)
        };
        members.iter().map(death).collect()
    }
}

fn remember(ns: &mut NsInstance, ask: &InstantiateNs) {
    ns.flavour = Some(ask.flavour.clone());
    ns.level.clone_from(&ask.level);
    ns.params.clone_from(&ask.params);
    ns.member_params = ask.member_params.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    ns.ssh_keys.clone_from(&ask.ssh_keys);
    ns.pnfs.clone_from(&ask.pnfs);
}

fn check_instantiable(ns: &NsInstance) -> Result<()> {
    ns.check_free()?;
    if ns.instantiated || !ns.members.is_empty() {
        return Err(Fault::conflict(format!("NS instance {} is instantiated already", ns.id)));
    }
    Ok(())
}

/// As `check_instantiable`, but the operation that plans anew holds it already.
fn check_instantiable_for(ns: &NsInstance, op: OpId) -> Result<()> {
    if ns.op == Some(op) && !ns.instantiated && ns.members.is_empty() {
        return Ok(());
    }
    check_instantiable(ns)
}

pub(super) fn nsd_of(d: &NsDescriptor) -> Result<&Nsd> {
    d.nsd.as_ref().ok_or_else(|| Fault::conflict(format!("NSD {} is not onboarded", d.id)))
}

pub fn check_nsd_usable(d: &NsDescriptor) -> Result<()> {
    match (d.onboarding, d.operational) {
        (Onboarding::Onboarded, Operational::Enabled) => Ok(()),
        (Onboarding::Onboarded, Operational::Disabled) => Err(Fault::conflict(format!("NSD {} is disabled: enable it first", d.id))),
        (Onboarding::Created | Onboarding::Uploading | Onboarding::Processing | Onboarding::Error, _) => {
            Err(Fault::conflict(format!("NSD {} is not onboarded", d.id)))
        }
    }
}

/// In a transaction: members that go; gives those of which there is anything.
pub(super) fn put_deaths(tx: &mut Tx<'_>, deaths: &[(VnfId, Operation)], stopping: Stopping) -> Result<Vec<(VnfId, OpId)>> {
    let mut with_op = Vec::new();
    for (vnf, death) in deaths {
        let Some(mut inst) = tx.get::<VnfInstance>(vnf)? else { continue };
        inst.check_free()?;
        let Some(body) = &inst.body else { continue };
        let held = tx.get::<Reservation>(vnf)?.map(|r| r.placed).unwrap_or_default();
        let package: Option<VnfPackage> = tx.get(&inst.package)?;
        let plan = match tx.get::<ForeignVnf>(vnf)? {
            Some(f) => abroad::terminate(&f, death.id, stopping),
            None => {
                let plan = plan_vnf_terminate(body, &held, death.id, stopping);
                coordinated(package.as_ref(), &body.flavour, OpKind::Terminate, plan)
            }
        };
        put_parts(tx, &OpParts::of_vnf(death.id, body))?;
        let child = Operation { steps: plan.len() as u32, ..death.clone() };
        inst.op = Some(child.id);
        tx.put(&inst)?;
        tx.put(&child)?;
        plan.iter().try_for_each(|s| tx.put(s))?;
        with_op.push((*vnf, child.id));
    }
    Ok(with_op)
}

/// In a transaction: members that come.
pub(super) fn put_births(tx: &mut Tx<'_>, births: &[(Operation, VnfInstance)], members: &[MemberPlan]) -> Result<()> {
    let mut users: BTreeMap<VnfPkgId, i32> = BTreeMap::new();
    for (_, inst) in births {
        *users.entry(inst.package).or_default() += 1;
    }
    for (package, n) in &users {
        use_package(tx, *package, *n)?;
    }
    births.iter().zip(members).try_for_each(|((child, inst), m)| {
        m.abroad.iter().try_for_each(|f| tx.put(f))?;
        put_plan(tx, child, inst, &m.plan)
    })
}

/// In a transaction: one more user of a descriptor, or one less.
pub fn use_nsd(tx: &mut Tx<'_>, id: NsdInfoId, by: i32) -> Result<()> {
    let Some(mut d) = tx.get::<NsDescriptor>(&id)? else { return Err(Fault::not_found(format!("there is no NSD {id}"))) };
    if by > 0 {
        check_nsd_usable(&d)?;
    }
    d.users = d.users.saturating_add_signed(by);
    tx.put(&d)
}

/// In a transaction: one more PNF of a service is of this descriptor, or one less.
pub(super) fn use_pnfd(tx: &mut Tx<'_>, id: Option<PnfdInfoId>, by: i32) -> Result<()> {
    let Some(id) = id else { return Ok(()) };
    match tx.get::<PnfDescriptor>(&id)? {
        Some(mut d) => {
            d.users = d.users.saturating_add_signed(by);
            d.revision += 1;
            tx.put(&d)
        }
        None if by > 0 => Err(Fault::conflict(format!("PNFD {id} was deleted: onboard it again"))),
        None => Ok(()),
    }
}

/// The member operations that a plan's steps name; those of a rollback may not have been made.
pub fn children(steps: &[PlanStep]) -> Vec<OpId> {
    steps
        .iter()
        .flat_map(|s| match &s.step {
            Step::Ns(NsStep::Instantiate { op, undo_op, .. }) => [Some(*op), Some(*undo_op)],
            Step::Ns(NsStep::Terminate { op, .. } | NsStep::Alter { op, .. } | NsStep::Change { op, .. }) => [Some(*op), None],
            Step::Ns(
                NsStep::Segment(_)
                | NsStep::RemoveSegment(_)
                | NsStep::Chain(_)
                | NsStep::RemoveChain(_)
                | NsStep::Reroute { .. }
                | NsStep::HandOver { .. }
                | NsStep::Pnf(_),
            )
            | Step::Vnf(_)
            | Step::Pf(_) => [None, None],
        })
        .flatten()
        .collect()
}
