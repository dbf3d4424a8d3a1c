//! Members of services whose VNFM is a foreign one: what is planned for them, and how it is driven there.
//!
//! * `port`  what is asked of a VNFM, one request each
//! * `run`   does and undoes a step, by asking and looking
//! * `quell` brings an instance there to its end, whatever was asked before
//! * `ears`  what it tells without being asked
//! * `hold`  what was granted for it, once an operation there is over
//!
//! Such a VNF has a record here as any other, of which no guest is on this box: its operations are parts of the
//! service's, and their steps are the VNFM's operations. Owns their plans. Never: HTTP, guests.
//!
//! ```text
//! instantiate:  Make -> Instantiate      undone:  by cancel, rollback, fail, terminate, as its VNFM has it; then deleted
//! terminate:    Terminate -> Drop        else:    Scale | ScaleToLevel | Heal | Operate
//! ```

pub mod ears;
mod hold;
pub mod port;
mod quell;
mod run;

use smol_str::{SmolStr, format_smolstr};

use super::{
    Vnfm,
    alter::Alter,
    change::{Altered, ScaleTo, goal_abroad},
    plan::{Ask, Fabric, Steps, VnfPlan, fresh_uuid},
};
use crate::{
    model::{
        abroad::{AbroadLink, AbroadStep, AbroadTask, ForeignVnf, ForeignVnfm, Start},
        error::{Fault, Result},
        id::{ExtCpId, OpId, PortId, ProjectId, VnfId},
        param::Param,
        segment::Access,
        size::MiB,
        step::{PlanStep, VnfStep},
        time::Dice,
        vnf::{Body, Change, ExtCpInst, Reservation, RunState, Stopping, VnfInstance},
        vnfd::{ExtCpThrough, Flavour, Level, Vnfd},
    },
    vim::{
        capacity::{Need, Whole},
        network::Stations,
    },
};

/// Of an instance's metadata: the foreign VNFM that has it, and its id there.
const VNFM: &str = "bothy.vnfm";
const REMOTE: &str = "bothy.vnfm.vnfInstanceId";

impl Vnfm {
    /// The foreign VNFMs of a project.
    pub fn foreign(&self, project: ProjectId) -> Result<Vec<ForeignVnfm>> {
        let mut all = self.store.list::<ForeignVnfm>()?;
        all.retain(|m| m.project == project);
        Ok(all)
    }

    /// That this instance is a foreign VNFM's.
    pub fn abroad(&self, id: VnfId) -> Result<Option<ForeignVnf>> {
        self.store.get(&id)
    }

    /// Refuses what this VNFM does to guests of its own alone.
    pub(super) fn check_here(&self, id: VnfId, what: &str) -> Result<()> {
        match self.abroad(id)? {
            None => Ok(()),
            Some(f) => {
                Err(Fault::conflict(format!("VNF instance {id} is managed by VNFM {}: {what} of it is not asked for there", f.vnfm)))
            }
        }
    }

    /// Plans scaling or healing there.
    pub(super) fn plan_abroad(
        &self,
        f: &ForeignVnf,
        inst: &VnfInstance,
        body: &Body,
        flavour: &Flavour,
        what: &Alter,
        op: OpId,
    ) -> Result<Altered> {
        let (mut scale, mut level) = (body.scale.clone(), body.level.clone());
        let task = match what {
            Alter::Scale(to) => {
                let goal = goal_abroad(flavour, body, to)?;
                (scale, level) = (goal.scale, goal.level);
                match to {
                    ScaleTo::Steps { aspect, out, steps } => AbroadTask::Scale { aspect: aspect.clone(), out: *out, steps: *steps },
                    ScaleTo::Level(id) => AbroadTask::ScaleToLevel { level: Some(id.clone()), aspects: Vec::new() },
                    ScaleTo::Aspects(all) => AbroadTask::ScaleToLevel { level: None, aspects: all.clone() },
                }
            }
            Alter::Heal { which, anew } if which.is_empty() => AbroadTask::Heal { anew: *anew },
            Alter::Heal { .. } => {
                return Err(Fault::invalid(format!("VNFM {} heals VNF instance {} as a whole: name no VNFC", f.vnfm, inst.id)));
            }
            Alter::BringBack { .. } => return Err(Fault::conflict(format!("VNF instance {} is where VNFM {} has it", inst.id, f.vnfm))),
        };
        let change = Change { vnf: inst.id, op, added: Vec::new(), removed: Vec::new(), scale, level };
        Ok(Altered { plan: outside(inst, body.clone(), steps(f.vnf, &f.vnfm, op, [task])), change })
    }
}

/// The foreign VNFM whose VNFs are of this descriptor; `None`: they are this box's own.
pub fn manager<'a>(all: &'a [ForeignVnfm], vnfd: &Vnfd) -> Result<Option<&'a ForeignVnfm>> {
    let mut found = all.iter().filter(|m| m.manages(vnfd));
    let (first, second) = (found.next(), found.next());
    match (first, second) {
        (Some(a), Some(b)) => Err(Fault::conflict(format!(
            "VNFD {} is in the charge of VNFM {} and of VNFM {}: leave it to one of them (bothy vnfm set)",
            vnfd.id, a.account, b.account
        ))),
        (found, _) => Ok(found),
    }
}

/// Plans an instantiation there. Its connection points come to links that a physical network leads out of this box, and
/// that the VNFM is told of; any other is refused.
pub fn plan(ask: &Ask<'_>, vnfm: &ForeignVnfm, fabric: &mut Fabric<'_>, dice: &dyn Dice) -> Result<VnfPlan> {
    let (f, inst) = (ask.flavour, ask.instance);
    let level = f.level(ask.level).ok_or_else(|| {
        let known: Vec<_> = f.levels.iter().map(|l| l.id.as_str()).collect();
        Fault::invalid(format!("flavour {} has no instantiation level '{}'; it has {}", f.id, ask.level, known.join(", ")))
    })?;
    let (mut links, mut ext_cps, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for (cp, at) in ask.attach {
        let Some(segment) = at.segment else { continue };
        let guests = guests(f, level, cp);
        let Some(on) = fabric.stations.get_mut(&segment) else {
            return Err(Fault::not_found(format!("there is no virtual link {segment}")));
        };
        match (resource(vnfm, on), guests) {
            (Err(why), _) => wrong.push(format!("'{cp}': {why}")),
            (Ok(_), None) => wrong.push(format!("'{cp}': flavour {} has no such connection point at a guest", f.id)),
            (Ok(resource), Some(guests)) => {
                let (mut mac, mut addresses) = (None, Vec::new());
                // Kept on the link for it, so that no guest of this box gets the same.
                if guests == 1 {
                    let (m, a) = on
                        .attach(PortId(fresh_uuid(dice)), inst.id, &ask.short_name, &at.wish, Access::default(), dice)
                        .map_err(|e| e.context(format!("'{cp}'")))?;
                    (mac, addresses) = (Some(m), a);
                }
                ext_cps.push(ExtCpInst { id: ExtCpId(fresh_uuid(dice)), cpd: cp.clone(), segment, ports: Vec::new() });
                links.push(AbroadLink { cp: cp.clone(), segment, resource, mac, addresses });
            }
        }
    }
    if !wrong.is_empty() {
        let what = format!("VNFM {} cannot attach its VNF to links of this box", vnfm.account);
        return Err(Fault::invalid(what).with_reasons(wrong));
    }
    let start = Start { flavour: f.id.clone(), level: level.id.clone(), vim: vnfm.vim.clone(), links, params: ask.params.clone() };
    let body = Body {
        flavour: f.id.clone(),
        level: level.id.clone(),
        scale: level.scale.clone(),
        run: RunState::Started,
        vnfcs: Vec::new(),
        links: Vec::new(),
        own_segments: Vec::new(),
        ext_cps,
        params: ask.params.clone(),
        ssh_keys: Vec::new(),
    };
    let steps = steps(inst.id, &vnfm.account, ask.op, [AbroadTask::Make, AbroadTask::Instantiate(Box::new(start))]);
    let mut plan = outside(inst, body, steps);
    plan.whole.vnfs = 1;
    plan.warnings.push(format!("managed by VNFM {}: whether there is room is decided when it asks for its grant", vnfm.account));
    if !ask.ssh_keys.is_empty() {
        plan.warnings.push(format!("VNFM {} is told no SSH keys", vnfm.account));
    }
    Ok(plan)
}

/// What the link's physical network is to the VNFM.
fn resource(vnfm: &ForeignVnfm, on: &Stations) -> Result<SmolStr, String> {
    let (link, name) = (&on.segment().link, &vnfm.account);
    let Some(physical) = &on.segment().profile.physical else {
        return Err(format!("link {link} is on this box's switch alone, and no guest elsewhere comes to it: give it a physical network"));
    };
    let told = vnfm.networks.iter().find(|(n, _)| n == physical).map(|(_, r)| r.clone());
    told.ok_or_else(|| {
        format!(
            "link {link}: VNFM {name} is not told what physical network {physical} is there (bothy vnfm set {name} --network {physical}=ID)"
        )
    })
}

/// How many guests have this connection point; `None`: there is none of that name.
fn guests(f: &Flavour, level: &Level, cp: &str) -> Option<u32> {
    f.ext_cps.iter().find(|e| e.id == cp).and_then(|e| match &e.through {
        ExtCpThrough::VduCp { vdu, .. } => {
            Some(level.counts.iter().find(|(id, _)| id == vdu).map_or_else(|| f.vdu(vdu).map_or(1, |v| v.min_instances), |(_, n)| *n))
        }
        ExtCpThrough::Link(_) => None,
    })
}

/// A plan that takes nothing of this box.
fn outside(inst: &VnfInstance, body: Body, steps: Vec<PlanStep>) -> VnfPlan {
    VnfPlan {
        body,
        steps,
        reservation: Reservation { vnf: inst.id, project: inst.project, vcpus: 0, memory: MiB(0), disk: MiB(0), placed: Vec::new() },
        need: Need { what: format!("VNF {}", inst.name), vcpus: 0, memory: MiB(0), disk: MiB(0) },
        whole: Whole { vnfs: 0, vcpus: 0, memory: MiB(0), disk: MiB(0), vfs: 0 },
        warnings: Vec::new(),
        wishful: Vec::new(),
    }
}

fn steps(vnf: VnfId, vnfm: &SmolStr, op: OpId, tasks: impl IntoIterator<Item = AbroadTask>) -> Vec<PlanStep> {
    let mut out = Steps::new(op);
    let mut last = Vec::new();
    for task in tasks {
        last = vec![out.vnf(VnfStep::Abroad(Box::new(AbroadStep { vnf, vnfm: vnfm.clone(), task })), &last)];
    }
    out.into_vec()
}

/// Plans the end of one.
pub fn terminate(f: &ForeignVnf, op: OpId, stopping: Stopping) -> Vec<PlanStep> {
    steps(f.vnf, &f.vnfm, op, [AbroadTask::Terminate { graceful_s: stopping.seconds(None) }, AbroadTask::Drop])
}

pub(super) fn operate(f: &ForeignVnf, op: OpId, run: RunState, stopping: Stopping) -> Vec<PlanStep> {
    let graceful_s = stopping.seconds(None).filter(|_| run == RunState::Stopped);
    steps(f.vnf, &f.vnfm, op, [AbroadTask::Operate { run, graceful_s }])
}

/// The record of a member that a foreign VNFM will have; it marks the instance, for whoever reads that.
pub fn entrust(inst: &mut VnfInstance, vnfm: &ForeignVnfm) -> ForeignVnf {
    mark(inst, VNFM, Some(&vnfm.account));
    // In words that need no quoting in a filter.
    let plain: String = inst.name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    ForeignVnf { vnf: inst.id, vnfm: vnfm.account.clone(), name: format_smolstr!("{plain}-{}", inst.id), remote: None }
}

/// The instance says its id at its VNFM.
fn mark(inst: &mut VnfInstance, name: &str, value: Option<&SmolStr>) {
    inst.metadata.retain(|(n, _)| n != name);
    inst.metadata.extend(value.map(|v| (name.into(), Param::Text(v.to_string()))));
}
