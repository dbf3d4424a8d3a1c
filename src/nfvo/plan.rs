//! Plans of a service's operations. Pure.
//!
//! ```text
//! instantiate:  Segment* -> Chain* -> Instantiate(member) -> Instantiate(members after it)
//! terminate:    Terminate(member) in the opposite order -> RemoveChain* -> RemoveSegment*
//! ```
//! Owns the order of members and what each of them is attached to. Each member's own plan comes
//! from `vnfm::plan`. Never: the store, the ports, the clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use smol_str::{SmolStr, format_smolstr};

use super::{chain, pnfs};
use crate::model::order::Order as _;
use crate::model::tree::set;
use crate::{
    model::{
        abroad::{ForeignVnf, ForeignVnfm},
        chain::Chain,
        error::{Fault, Result},
        id::{NfpId, OpId, SegmentId},
        ns::{NsInstance, NsMember, NsPnf},
        nsd::{ForwardingPath, Member, NsFlavour},
        package::{PnfDescriptor, VnfPackage},
        param::{Params, overlay},
        segment::{Segment, SegmentOwner},
        step::{NsStep, PlanStep, Step},
        time::Dice,
        vnf::{Turn, VnfInstance},
    },
    sdn::link,
    vim::network::{LinkOf, Stations, Wish, plan_segment},
    vnfm::{
        abroad::{entrust, manager, plan as plan_abroad},
        plan::{Ask, Attachment, Fabric, MOST, Steps, VnfPlan, fresh_uuid, instantiate as plan_vnf},
    },
};

/// What is to be instantiated.
pub struct NsAsk<'a> {
    pub ns: &'a NsInstance,
    pub flavour: &'a NsFlavour,
    /// By VNFD id.
    pub packages: &'a BTreeMap<SmolStr, VnfPackage>,
    pub params: &'a Params,
    /// By member.
    pub member_params: &'a BTreeMap<SmolStr, Params>,
    pub ssh_keys: &'a [String],
    /// What the request says of physical boxes, and their descriptors that are onboarded.
    pub pnfs: &'a [NsPnf],
    pub pnfds: &'a BTreeMap<SmolStr, PnfDescriptor>,
    /// Foreign VNFMs, which have the VNFs that are in their charge.
    pub foreign: &'a [ForeignVnfm],
    pub op: OpId,
    pub generation: u64,
    /// The service's links are up: its VNFs come to them.
    pub late: bool,
}

/// A member as planned.
pub struct MemberPlan {
    pub profile: SmolStr,
    pub after: Vec<SmolStr>,
    pub instance: VnfInstance,
    pub op: OpId,
    pub undo_op: OpId,
    pub plan: VnfPlan,
    /// A foreign VNFM has it.
    pub abroad: Option<ForeignVnf>,
}

pub struct NsPlan {
    pub links: Vec<(SmolStr, SegmentId)>,
    pub saps: Vec<(SmolStr, SegmentId)>,
    pub pnfs: Vec<NsPnf>,
    pub members: Vec<MemberPlan>,
    pub chains: Vec<Chain>,
    pub steps: Vec<PlanStep>,
    pub warnings: Vec<String>,
}

/// Plans an instantiation (SOL005 6.4.4). `draft` makes the record of a member's instance.
pub fn instantiate(
    ask: &NsAsk<'_>,
    level: &str,
    fabric: &mut Fabric<'_>,
    draft: &dyn Fn(&Member, SmolStr, &VnfPackage) -> Result<VnfInstance>,
    dice: &dyn Dice,
) -> Result<NsPlan> {
    let f = ask.flavour;
    let level = f.levels.iter().find(|l| l.id == level).ok_or_else(|| {
        let known: Vec<_> = f.levels.iter().map(|l| l.id.as_str()).collect();
        Fault::invalid(format!("NS flavour {} has no instantiation level '{}'; it has {}", f.id, level, known.join(", ")))
    })?;
    let order = start_order(&f.members)?;
    let counts: HashMap<&SmolStr, u32> = level.counts.iter().map(|(id, n)| (id, *n)).collect();
    let mut steps = Steps::new(ask.op);
    let mut links: BTreeMap<SmolStr, SegmentId> = BTreeMap::new();
    let mut up = Vec::new();
    for l in &f.links {
        let id = SegmentId(fresh_uuid(dice));
        let of = LinkOf { id, project: ask.ns.project, owner: SegmentOwner::Ns(ask.ns.id), link: &l.id, profile: &l.profile };
        let segment = plan_segment(of, fabric.rules, fabric.taken)?;
        up.push(steps.add(Step::Ns(NsStep::Segment(id)), &[]));
        fabric.stations.insert(id, Stations::new(segment));
        links.insert(l.id.clone(), id);
    }
    // No frame of a chain goes past its functions, so chains come before those who send.
    let paths: Vec<(NfpId, &ForwardingPath)> = f.paths.iter().map(|p| (NfpId(fresh_uuid(dice)), p)).collect();
    let chained: Vec<u32> = paths.iter().map(|(id, _)| steps.add(Step::Ns(NsStep::Chain(*id)), &up)).collect();
    up.extend(chained);
    let mut members: Vec<MemberPlan> = Vec::new();
    let mut done: HashMap<SmolStr, Vec<u32>> = HashMap::new();
    let mut faults = Vec::new();
    for (rank, member) in order.iter().enumerate() {
        let package =
            ask.packages.get(&member.vnfd_id).ok_or_else(|| Fault::conflict(format!("VNFD {} is not onboarded", member.vnfd_id)))?;
        let count = counts.get(&member.id).copied().unwrap_or(member.min_instances.max(1));
        if count > MOST {
            faults.push(Fault::invalid(format!("VNF {}: {count} instances are more than a box can have ({MOST})", member.id)));
            continue;
        }
        for n in 0..count {
            match plan_member(ask, member, n, count, rank, package, &links, fabric, draft, dice) {
                Ok(planned) => {
                    let mut after = up.clone();
                    after.extend(member.after.iter().filter_map(|m| done.get(m)).flatten());
                    let step = NsStep::Instantiate { vnf: planned.instance.id, op: planned.op, undo_op: planned.undo_op };
                    let index = steps.add(Step::Ns(step), &after);
                    done.entry(member.id.clone()).or_default().push(index);
                    members.push(planned);
                }
                Err(e) => faults.push(e.context(format!("VNF {}", member.id))),
            }
        }
    }
    let boxes = pnfs::plan(f, ask.pnfs, &links, ask.pnfds).unwrap_or_else(|why| {
        faults.extend(why);
        Vec::new()
    });
    let saps: Vec<(SmolStr, SegmentId)> = f.saps.iter().filter_map(|s| links.get(&s.link).map(|id| (s.id.clone(), *id))).collect();
    let mut doubts = Vec::new();
    if faults.is_empty() {
        for segment in links.values().filter_map(|id| fabric.stations.get(id)).map(Stations::segment) {
            faults.extend(link::check(segment).err());
            doubts.extend(link::doubt(segment));
        }
    }
    let mut chains = Vec::new();
    if faults.is_empty() {
        let segments: Vec<&Segment> = links.values().filter_map(|id| fabric.stations.get(id)).map(Stations::segment).collect();
        let outside = chain::Outside { saps: &saps, pnfs: &boxes };
        match chain::plan(ask.ns, &paths, &f.spare, &members, &outside, &segments, &fabric.rules.tunnels) {
            Ok(planned) => chains = planned,
            Err(why) => faults.extend(why),
        }
    }
    match faults.len() {
        0 => {}
        1 => return Err(faults.remove(0)),
        n => {
            let kind = faults[0].kind();
            return Err(Fault::new(kind, format!("{n} VNFs, PNFs, links or chains cannot be planned"))
                .with_reasons(faults.iter().map(ToString::to_string)));
        }
    }
    let of_members = members.iter().flat_map(|m| m.plan.warnings.iter().map(|w| format!("VNF {}: {w}", m.profile)));
    let warnings: BTreeSet<String> = set(of_members.chain(doubts));
    Ok(NsPlan {
        links: links.into_iter().collect(),
        saps,
        pnfs: boxes,
        members,
        chains,
        steps: steps.into_vec(),
        warnings: warnings.into_iter().collect(),
    })
}

#[allow(clippy::too_many_arguments)]
pub(super) fn plan_member(
    ask: &NsAsk<'_>,
    member: &Member,
    n: u32,
    count: u32,
    rank: usize,
    package: &VnfPackage,
    links: &BTreeMap<SmolStr, SegmentId>,
    fabric: &mut Fabric<'_>,
    draft: &dyn Fn(&Member, SmolStr, &VnfPackage) -> Result<VnfInstance>,
    dice: &dyn Dice,
) -> Result<MemberPlan> {
    let short = if count > 1 { format_smolstr!("{}-{n}", member.id) } else { member.id.clone() };
    let mut instance = draft(member, format_smolstr!("{}-{short}", ask.ns.name), package)?;
    instance.ns = Some(ask.ns.id);
    instance.priority = Turn { priority: member.priority, rank: rank as u32 }.number();
    let vnfd = crate::vnfm::accept::vnfd_of(package)?;
    let flavour_id = member.flavour.as_ref().unwrap_or(&vnfd.default_flavour);
    let flavour =
        vnfd.flavour(flavour_id).ok_or_else(|| Fault::invalid(format!("VNFD {} has no deployment flavour '{flavour_id}'", vnfd.id)))?;
    let mut attach = BTreeMap::new();
    for a in &member.attach {
        let segment = *links.get(&a.link).ok_or_else(|| Fault::invalid(format!("there is no link '{}' in the service", a.link)))?;
        // A fixed address can be held by one instance only.
        let addresses = if n == 0 { a.addresses.clone() } else { Vec::new() };
        attach.insert(a.ext_cp.clone(), Attachment { segment: Some(segment), wish: Wish { mac: None, addresses } });
    }
    let params = ask.member_params.get(&member.id).map_or_else(|| ask.params.clone(), |own| overlay(ask.params, own));
    let op = OpId(fresh_uuid(dice));
    let manager = manager(ask.foreign, vnfd)?;
    let abroad = manager.map(|m| entrust(&mut instance, m));
    let vnf_ask = Ask {
        instance: &instance,
        package,
        flavour,
        level: member.level.as_ref().unwrap_or(&flavour.default_level),
        attach: &attach,
        params,
        ssh_keys: ask.ssh_keys.to_vec(),
        op,
        generation: ask.generation,
        short_name: short,
        late: ask.late,
    };
    let plan = match manager {
        Some(m) => plan_abroad(&vnf_ask, m, fabric, dice)?,
        None => plan_vnf(&vnf_ask, fabric, dice)?,
    };
    Ok(MemberPlan { profile: member.id.clone(), after: member.after.clone(), instance, op, undo_op: OpId(fresh_uuid(dice)), plan, abroad })
}

/// Members such that each comes after those it depends on; in the descriptor's order otherwise.
pub fn start_order(members: &[Member]) -> Result<Vec<&Member>> {
    let mut out: Vec<&Member> = Vec::new();
    let mut left: Vec<&Member> = members.iter().collect();
    left.order_by_key(|m| m.priority);
    while !left.is_empty() {
        let free = left.iter().position(|m| m.after.iter().all(|a| out.iter().any(|o| o.id == *a) || !members.iter().any(|x| x.id == *a)));
        match free {
            Some(i) => out.push(left.remove(i)),
            None => {
                let names: Vec<_> = left.iter().map(|m| m.id.as_str()).collect();
                return Err(Fault::invalid(format!("the members {} depend on each other in a circle", names.join(", "))));
            }
        }
    }
    Ok(out)
}

/// Plans a termination: members in the opposite order of their start, then the links.
/// `ops`: the operation that was made for each member that has something to terminate.
pub fn terminate(ns: &NsInstance, ops: &[(crate::model::id::VnfId, OpId)], chains: &[NfpId], op: OpId) -> Vec<PlanStep> {
    let mut steps = Steps::new(op);
    let mut index: BTreeMap<crate::model::id::VnfId, u32> = BTreeMap::new();
    let mut waits: HashMap<&SmolStr, Vec<u32>> = HashMap::new();
    let ops: HashMap<_, _> = ops.iter().copied().collect();
    for m in ns.members.iter().rev() {
        let Some(child) = ops.get(&m.vnf) else { continue };
        let after: Vec<u32> = waits.get(&m.profile).cloned().unwrap_or_default();
        let i = steps.add(Step::Ns(NsStep::Terminate { vnf: m.vnf, op: *child }), &after);
        index.insert(m.vnf, i);
        for before in &m.after {
            waits.entry(before).or_default().push(i);
        }
    }
    let mut all: Vec<u32> = index.into_values().collect();
    let unchained: Vec<u32> = chains.iter().map(|c| steps.add(Step::Ns(NsStep::RemoveChain(*c)), &all)).collect();
    all.extend(unchained);
    for (_, segment) in &ns.links {
        steps.add(Step::Ns(NsStep::RemoveSegment(*segment)), &all);
    }
    steps.into_vec()
}

/// What the record of the service says of its members.
pub fn members_of(p: &NsPlan) -> Vec<NsMember> {
    p.members.iter().map(|m| NsMember { profile: m.profile.clone(), vnf: m.instance.id, after: m.after.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, after: &[&str]) -> Member {
        Member {
            id: id.into(),
            vnfd_id: "x".into(),
            flavour: None,
            level: None,
            min_instances: 1,
            max_instances: 1,
            attach: Vec::new(),
            after: after.iter().map(|a| (*a).into()).collect(),
            priority: 0,
        }
    }

    #[test]
    fn members_start_after_those_they_depend_on() {
        let m = [member("client", &["fw"]), member("fw", &["web"]), member("web", &[])];
        let names: Vec<_> = start_order(&m).expect("an order").iter().map(|m| m.id.as_str()).collect();
        assert_eq!(names, ["web", "fw", "client"]);
    }

    #[test]
    fn a_circle_is_refused_by_name() {
        let m = [member("a", &["b"]), member("b", &["a"]), member("c", &[])];
        assert_eq!(start_order(&m).expect_err("a circle").text(), "the members a, b depend on each other in a circle");
    }
}
