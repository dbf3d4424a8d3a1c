//! Takes a request to scale a whole service (SOL005 6.4.5, SCALE_NS): VNFs come, VNFs go.
//!
//! ```text
//! Instantiate(new member) -> Instantiate(new members after it), then
//! Terminate(member) in the opposite order of their start
//! ```
//! As for the members' own scaling (`alter`), what the box has no room for is FAILED_TEMP at once with
//! the reasons. What comes must have room beside what goes, since that goes last: until then all can be
//! taken back. Never: how many come or go (`goal`), what a member's plan contains.

use std::collections::{BTreeMap, HashMap};

use smol_str::SmolStr;
use tracing::info;

use super::{
    Nfvo,
    accept::{put_births, put_deaths},
    acts::put_ns_parts,
    again::check_free_for,
    goal::{Goal, NsScaleTo, There, goal},
    plan::{MemberPlan, NsAsk, plan_member, start_order, terminate},
};
use crate::model::order::Order as _;
use crate::model::tree::tree;
use crate::{
    model::{
        chain::Chain,
        error::{Fault, Result},
        id::{NfpId, NsId, OpId, SegmentId, VnfId},
        ns::{NsInstance, NsMember},
        nsd::NsFlavour,
        op::{OpKind, Operation, Target, Trigger},
        package::{NsDescriptor, VnfPackage},
        param::{Params, overlay},
        segment::Segment,
        step::{NsStep, PlanStep, Step},
        vnf::{Stopping, VnfInstance},
    },
    sdn::link,
    store::Durability,
    vim::network::Stations,
    vnfm::{
        accept::retrying,
        grant::{Snapshot, check_quota, claim_facts},
        plan::{Fabric, Steps, fresh_uuid},
    },
};

/// A request to scale a service, checked for form only.
#[derive(Debug, Clone)]
pub struct ScaleNs {
    pub to: NsScaleTo,
    /// Laid over those of the instantiation, for VNFs that come.
    pub params: Params,
    pub member_params: BTreeMap<SmolStr, Params>,
    pub request: String,
}

/// What scaling a service means for it.
pub struct NsScalePlan {
    pub members: Vec<MemberPlan>,
    /// VNFs that go, with the operations planned for them.
    pub less: Vec<(VnfId, OpId)>,
    pub steps: Vec<PlanStep>,
    /// Links with the VNFs that come.
    pub segments: Vec<Segment>,
    pub warnings: Vec<String>,
    /// Members by the order of their start.
    ranks: Vec<SmolStr>,
}

impl Nfvo {
    /// Returns the operation, which may have ended already: no room, or nothing to do.
    pub fn scale(&self, id: NsId, ask: &ScaleNs) -> Result<Operation> {
        let op_id = OpId(fresh_uuid(&**self.vnfm.dice()));
        let (op, steps) = retrying(|| {
            let ns: NsInstance = self.vnfm.store().require(&id)?;
            check_scalable(&ns, op_id)?;
            let op = self.vnfm.draft_op(op_id, ns.project, Target::Ns(id), OpKind::Scale, ask.request.clone());
            self.commit_scale(&ns, op, ask)
        })?;
        info!(op = %op.id, ns = %id, state = op.state.name(), "scaling accepted");
        if !op.state.is_final() {
            self.vnfm.engine()?.submit(op.clone(), steps, &[]);
        }
        Ok(op)
    }

    /// Plans it without touching anything; every reason why not.
    pub fn dry_scale(&self, id: NsId, ask: &ScaleNs) -> Result<(NsInstance, NsScalePlan)> {
        let op = OpId(fresh_uuid(&**self.vnfm.dice()));
        let ns: NsInstance = self.vnfm.store().require(&id)?;
        check_scalable(&ns, op)?;
        let snap = self.vnfm.snapshot()?;
        let mut plan = self.plan_scale(&ns, ask, &snap, op)?;
        let needs: Vec<_> = plan.members.iter().map(|m| m.plan.whole).collect();
        check_quota(self.vnfm.store().get(&ns.project)?, snap.used(ns.project), &needs)?;
        self.check_media_of(&plan)?;
        let told = self.grant_scale(&mut plan, &snap)?;
        plan.warnings.extend(told);
        plan.warnings.extend(self.vnfm.accel_warning());
        Ok((ns, plan))
    }

    fn check_media_of(&self, plan: &NsScalePlan) -> Result<()> {
        self.vnfm.check_media(plan.members.iter().map(|m| (&m.instance, &m.plan)), &plan.segments, &[])
    }

    /// All that come, or none.
    fn grant_scale(&self, plan: &mut NsScalePlan, snap: &Snapshot) -> Result<Vec<String>> {
        self.vnfm.grant(&mut plan.members.iter_mut().map(|m| &mut m.plan).collect::<Vec<_>>(), snap)
    }

    fn plan_scale(&self, ns: &NsInstance, ask: &ScaleNs, snap: &Snapshot, op: OpId) -> Result<NsScalePlan> {
        let (vnfm, store) = (&self.vnfm, self.vnfm.store());
        vnfm.check_params(ns.project, std::iter::once(&ask.params).chain(ask.member_params.values()))?;
        let info: NsDescriptor = store.require(&ns.nsd_info)?;
        let flavour: &NsFlavour = info
            .nsd
            .as_ref()
            .and_then(|n| n.flavour(ns.flavour.as_deref().unwrap_or_default()))
            .ok_or_else(|| Fault::conflict(format!("NSD {} has no flavour {:?} any more", info.id, ns.flavour)))?;
        let mut there = Vec::new();
        let chains: Vec<Chain> = store.list::<Chain>()?.into_iter().filter(|c| c.ns == ns.id).collect();
        for m in &ns.members {
            let name = store.get::<VnfInstance>(&m.vnf)?.map(|v| v.name).unwrap_or_default();
            let chain = chains.iter().find(|c| c.leads_by(m.vnf)).map(|c| c.nfp.clone());
            there.push(There { profile: m.profile.clone(), vnf: m.vnf, name, chain });
        }
        let Goal { more, less } = goal(&ns.name, flavour, &there, &ask.to)?;
        if !more.is_empty() {
            vnfm.check_accel()?;
        }
        let order = start_order(&flavour.members)?;
        let wanted = order.iter().filter(|m| more.contains_key(&m.id)).map(|m| m.vnfd_id.clone());
        let packages = self.packages_of(ns.project, wanted.collect(), &[])?;
        let rules = vnfm.rules();
        let mut taken = vnfm.taken(&snap.segments)?;
        let mut stations = Stations::of(ns.project, &snap.segments);
        let mut fabric = Fabric { rules: &rules.links, taken: &mut taken, stations: &mut stations };
        let mut member_params: BTreeMap<SmolStr, Params> = tree(ns.member_params.iter().cloned());
        for (member, over) in &ask.member_params {
            let base = member_params.entry(member.clone()).or_default();
            *base = overlay(base, over);
        }
        let foreign = vnfm.foreign(ns.project)?;
        let ns_ask = NsAsk {
            ns,
            flavour,
            packages: &packages,
            params: &overlay(&ns.params, &ask.params),
            member_params: &member_params,
            ssh_keys: &ns.ssh_keys,
            pnfs: &ns.pnfs,
            pnfds: &BTreeMap::new(),
            foreign: &foreign,
            op,
            generation: store.generation(),
            late: true,
        };
        let links: BTreeMap<SmolStr, SegmentId> = tree(ns.links.iter().cloned());
        let draft = |m: &_, name, package: &VnfPackage| self.draft_member(ns.project, m, name, package);
        let mut steps = Steps::new(op);
        let mut members: Vec<MemberPlan> = Vec::new();
        let mut done: HashMap<&SmolStr, Vec<u32>> = HashMap::new();
        let mut faults = Vec::new();
        for (rank, member) in order.iter().enumerate() {
            let Some((count, numbers)) = more.get(&member.id) else { continue };
            let Some(package) = packages.get(&member.vnfd_id) else { continue };
            for n in numbers {
                let all = (*count).max(n + 1);
                match plan_member(&ns_ask, member, *n, all, rank, package, &links, &mut fabric, &draft, &**vnfm.dice()) {
                    Ok(planned) => {
                        let after: Vec<u32> = member.after.iter().filter_map(|m| done.get(m)).flatten().copied().collect();
                        let step = NsStep::Instantiate { vnf: planned.instance.id, op: planned.op, undo_op: planned.undo_op };
                        done.entry(&member.id).or_default().push(steps.add(Step::Ns(step), &after));
                        members.push(planned);
                    }
                    Err(e) => faults.push(e.context(format!("VNF {}", member.id))),
                }
            }
        }
        let mut warnings: Vec<String> =
            members.iter().flat_map(|m| m.plan.warnings.iter().map(|w| format!("VNF {}: {w}", m.instance.name))).collect();
        for segment in links.values().filter_map(|id| stations.get(id)).map(Stations::segment) {
            faults.extend(link::check(segment).err());
            warnings.extend(link::doubt(segment));
        }
        match faults.len() {
            0 => {}
            1 => return Err(faults.remove(0)),
            n => {
                let kind = faults[0].kind();
                return Err(
                    Fault::new(kind, format!("{n} VNFs or links cannot be planned")).with_reasons(faults.iter().map(ToString::to_string))
                );
            }
        }
        let less: Vec<(VnfId, OpId)> = less.into_iter().map(|v| (v, OpId(fresh_uuid(&**vnfm.dice())))).collect();
        let come = (0..members.len() as u32).collect::<Vec<_>>();
        let gone = NsInstance { links: Vec::new(), ..ns.clone() };
        for s in terminate(&gone, &less, &[], op) {
            let after = s.after.iter().map(|i| i + come.len() as u32).chain(come.iter().copied()).collect::<Vec<_>>();
            steps.add(s.step, &after);
        }
        let ranks = order.iter().map(|m| m.id.clone()).collect();
        let segments = stations.into_values().filter_map(Stations::into_changed).collect();
        Ok(NsScalePlan { members, less, steps: steps.into_vec(), segments, warnings, ranks })
    }

    pub(super) fn commit_scale(&self, ns: &NsInstance, mut op: Operation, ask: &ScaleNs) -> Result<(Operation, Vec<PlanStep>)> {
        let (vnfm, store) = (&self.vnfm, self.vnfm.store());
        let snap = vnfm.snapshot()?;
        let mut plan = self.plan_scale(ns, ask, &snap, op.id)?;
        let needs: Vec<_> = plan.members.iter().map(|m| m.plan.whole).collect();
        check_quota(store.get(&ns.project)?, snap.used(ns.project), &needs)?;
        self.check_media_of(&plan)?;
        let granted = self.grant_scale(&mut plan, &snap);
        op.warnings.extend_from_slice(&plan.warnings);
        if let Err(refusal) = granted.map(|told| op.warnings.extend(told)) {
            return self.refuse(ns, op, &refusal);
        }
        op.steps = plan.steps.len() as u32;
        if plan.steps.is_empty() {
            op.apply(Trigger::Succeeded, op.created)?;
        }
        self.coordinate_births(&mut plan.members)?;
        let births = self.births(op.id, &plan.members);
        let deaths = self.deaths(&op, &plan.less);
        let stopping = Stopping::Usual(vnfm.rules().graceful_stop_s);
        let with_idle = |c: &Chain| c.ns == ns.id && !c.idle.is_empty();
        let chains: Vec<NfpId> = store.list::<Chain>()?.into_iter().filter(with_idle).map(|c| c.id).collect();
        store.write(Durability::Barrier, |tx| {
            claim_facts(tx, snap.facts)?;
            check_quota(tx.get(&ns.project)?, snap.used(ns.project), &needs)?;
            let mut now: NsInstance = tx.require(&ns.id)?;
            check_scalable(&now, op.id)?;
            if now.revision != ns.revision {
                return Err(Fault::conflict(format!("NS instance {} was changed by another request: ask again", ns.id)));
            }
            put_births(tx, &births, &plan.members)?;
            if put_deaths(tx, &deaths, stopping)?.len() < deaths.len() {
                return Err(Fault::conflict("of a VNF that is to go nothing is there any more: ask again"));
            }
            plan.segments.iter().try_for_each(|s| tx.put(s))?;
            plan.steps.iter().try_for_each(|s| tx.put(s))?;
            // Functions that no chain leads by are on no link, and neither are those that come.
            for id in &chains {
                let mut c: Chain = tx.require(id)?;
                for h in &mut c.idle {
                    h.vnfs.extend(plan.members.iter().filter(|m| m.profile == h.name).map(|m| m.instance.id));
                }
                tx.put(&c)?;
            }
            let new = |m: &MemberPlan| NsMember { profile: m.profile.clone(), vnf: m.instance.id, after: m.after.clone() };
            now.members.extend(plan.members.iter().map(new));
            // Those of one profile stay together, the newest last.
            now.members.order_by_key(|m| plan.ranks.iter().position(|r| *r == m.profile));
            now.op = (!plan.steps.is_empty()).then_some(op.id);
            now.revision += 1;
            put_ns_parts(tx, op.id, &now, &plan.steps)?;
            tx.put(&now)?;
            tx.put(&op)
        })?;
        Ok((op, plan.steps))
    }
}

fn check_scalable(ns: &NsInstance, op: OpId) -> Result<()> {
    check_free_for(ns, op)?;
    if ns.instantiated {
        return Ok(());
    }
    Err(Fault::conflict(format!("NS instance {} is not instantiated", ns.id)))
}
