//! Plans of operations that add guests to a VNF that is there, or take some from it. Pure.
//!
//! ```text
//! scale out, per guest:   as at instantiation       scale in:   Stop -> RemoveGuest -> RemoveDisk*, ...
//! heal, per guest:        Stop -> RemoveGuest -> TakeBack* -> (Give*, Define) -> Start -> Ready
//! ```
//! Of a VDU that shrinks the guests with the highest numbers go; one that grows fills the lowest free
//! numbers. A healed guest is another domain with the name, MACs, addresses and volumes of the old
//! one; its disks made from an image are made again. Never: the store, the ports, the clock.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::{
    affinity::one_host,
    plan::{Anew, Ask, Fabric, MOST, Made, Planner, VnfPlan, remove, whole},
};
use crate::model::order::Order as _;
use crate::{
    model::{
        error::{Fault, Result},
        id::{DiskId, VnfcId},
        place::Held,
        size::MiB,
        time::Dice,
        tree::tree,
        vnf::{Body, Change, ExtCpInst, Reservation, RunState, Stopping, Vnfc},
        vnfd::{Aspect, Flavour, Level},
    },
    vim::capacity::{Need, Whole, reservation},
};

/// How far to scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScaleTo {
    /// So many steps of an aspect (SOL003 5.4.5).
    Steps { aspect: SmolStr, out: bool, steps: u32 },
    /// An instantiation level (SOL003 5.4.6).
    Level(SmolStr),
    /// A scale level of each of these aspects; the others stay.
    Aspects(Vec<(SmolStr, u32)>),
}

/// How many guests of each VDU there shall be, and the levels that this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    pub counts: BTreeMap<SmolStr, u32>,
    pub scale: Vec<(SmolStr, u32)>,
    pub level: SmolStr,
}

/// A plan, with what it changes.
#[derive(Debug, Clone)]
pub struct Altered {
    /// Its reservation is all that the VNF takes until the operation is over; its need what is new.
    pub plan: VnfPlan,
    pub change: Change,
}

fn counts(body: &Body, flavour: &Flavour) -> BTreeMap<SmolStr, u32> {
    let of = |vdu: &SmolStr| body.vnfcs.iter().filter(|c| c.vdu == *vdu).count() as u32;
    tree(flavour.vdus.iter().map(|v| (v.id.clone(), of(&v.id))))
}

fn level_of(scale: &[(SmolStr, u32)], aspect: &str) -> u32 {
    scale.iter().find(|(a, _)| a == aspect).map_or(0, |(_, n)| *n)
}

fn aspect<'a>(flavour: &'a Flavour, id: &str) -> Result<&'a Aspect> {
    flavour.aspects.iter().find(|a| a.id == id).ok_or_else(|| {
        let known: Vec<_> = flavour.aspects.iter().map(|a| a.id.as_str()).collect();
        let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
        Fault::invalid(format!("flavour {} has no scaling aspect '{id}'; {known}", flavour.id))
    })
}

/// Brings one aspect to a level: the steps between add up.
fn move_aspect(goal: &mut Goal, flavour: &Flavour, a: &Aspect, to: u32) -> Result<()> {
    let now = level_of(&goal.scale, &a.id);
    if to > a.max_level {
        return Err(Fault::conflict(format!("aspect {} is at level {now} of at most {}: level {to} cannot be reached", a.id, a.max_level)));
    }
    for step in now.min(to)..now.max(to) {
        let Some(delta) = a.deltas.get(step as usize).or(a.deltas.last()) else {
            return Err(Fault::conflict(format!("flavour {} does not say what a step of aspect {} adds", flavour.id, a.id)));
        };
        for (vdu, n) in delta {
            let count = goal.counts.entry(vdu.clone()).or_default();
            *count = if to > now { count.saturating_add(*n) } else { count.saturating_sub(*n) };
        }
    }
    goal.scale.retain(|(id, _)| *id != a.id);
    goal.scale.push((a.id.clone(), to));
    goal.scale.order();
    Ok(())
}

/// What a request to scale means for a VNF that is as `body` says.
pub fn goal(flavour: &Flavour, body: &Body, to: &ScaleTo) -> Result<Goal> {
    goal_from(Goal { counts: counts(body, flavour), scale: body.scale.clone(), level: body.level.clone() }, flavour, to)
}

/// The same where no guest is here to be counted: by the levels that the VNF is at.
pub(super) fn goal_abroad(flavour: &Flavour, body: &Body, to: &ScaleTo) -> Result<Goal> {
    goal_from(same_goal(flavour, body)?, flavour, to)
}

fn goal_from(mut goal: Goal, flavour: &Flavour, to: &ScaleTo) -> Result<Goal> {
    match to {
        ScaleTo::Steps { aspect: id, out, steps } => {
            let a = aspect(flavour, id)?;
            let now = level_of(&goal.scale, id);
            let to = if *out { now.checked_add(*steps) } else { now.checked_sub(*steps) };
            let to = to.ok_or_else(|| {
                Fault::conflict(format!(
                    "aspect {id} is at level {now}: {steps} steps {} are not possible",
                    if *out { "out" } else { "in" }
                ))
            })?;
            move_aspect(&mut goal, flavour, a, to)?;
        }
        ScaleTo::Level(id) => {
            let level = flavour.level(id).ok_or_else(|| {
                let known: Vec<_> = flavour.levels.iter().map(|l| l.id.as_str()).collect();
                Fault::invalid(format!("flavour {} has no instantiation level '{id}'; it has {}", flavour.id, known.join(", ")))
            })?;
            goal.counts.extend(level.counts.iter().cloned());
            goal.scale.clone_from(&level.scale);
            goal.level = level.id.clone();
        }
        ScaleTo::Aspects(all) => {
            for (id, to) in all {
                move_aspect(&mut goal, flavour, aspect(flavour, id)?, *to)?;
            }
        }
    }
    within(flavour, &goal, "the VNF cannot be scaled so far")?;
    Ok(goal)
}

/// The level and the scale levels that a VNF has, in another flavour.
pub fn same_goal(flavour: &Flavour, body: &Body) -> Result<Goal> {
    let level = flavour.level(&body.level).ok_or_else(|| {
        let known: Vec<_> = flavour.levels.iter().map(|l| l.id.as_str()).collect();
        Fault::conflict(format!(
            "the VNF is at instantiation level {}, and flavour {} there has {}: scale_to_level brings it to one that both have",
            body.level,
            flavour.id,
            known.join(", ")
        ))
    })?;
    let mut goal = level_goal(level);
    for (id, to) in &body.scale {
        if level_of(&goal.scale, id) != *to {
            let there = |e: Fault| Fault::conflict(e.detail()).context(format!("the VNF is at level {to} of aspect {id}"));
            move_aspect(&mut goal, flavour, aspect(flavour, id).map_err(there)?, *to).map_err(there)?;
        }
    }
    within(flavour, &goal, "the VNF has more guests, or fewer, than there may be there")?;
    Ok(goal)
}

pub fn level_goal(level: &Level) -> Goal {
    Goal { counts: tree(level.counts.iter().cloned()), scale: level.scale.clone(), level: level.id.clone() }
}

fn within(flavour: &Flavour, goal: &Goal, why_not: &str) -> Result<()> {
    let mut wrong = Vec::new();
    for v in &flavour.vdus {
        let n = goal.counts.get(&v.id).copied().unwrap_or(0);
        let most = v.max_instances.min(MOST);
        if n > most || n < v.min_instances {
            wrong.push(format!("VDU {}: {n} guests, and it has {} to {most}", v.id, v.min_instances));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Fault::conflict(why_not).with_reasons(wrong)) }
}

fn ext_cps(body: &Body) -> BTreeMap<SmolStr, ExtCpInst> {
    tree(body.ext_cps.iter().map(|c| (c.cpd.clone(), c.clone())))
}

/// What is there before.
pub struct Present<'a> {
    pub body: &'a Body,
    pub held: &'a [Held],
}

fn planner<'a>(ask: &'a Ask<'a>, body: &Body, dice: &'a dyn Dice) -> Planner<'a> {
    let mut p = Planner::new(ask, dice);
    p.links = tree(body.links.iter().cloned());
    p.attached = tree(body.ext_cps.iter().map(|c| (c.cpd.clone(), c.segment)));
    p.starts = body.run == RunState::Started;
    p
}

/// Plans SCALE and SCALE_TO_LEVEL. `stopping`: how guests go.
pub fn scale(
    ask: &Ask<'_>,
    now: &Present<'_>,
    goal: Goal,
    stopping: Stopping,
    fabric: &mut Fabric<'_>,
    dice: &dyn Dice,
) -> Result<Altered> {
    one_host(ask.flavour, |vdu| goal.counts.get(vdu).copied().unwrap_or(0))?;
    let mut p = planner(ask, now.body, dice);
    let mut ext = ext_cps(now.body);
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for vdu in &ask.flavour.vdus {
        let mut have: Vec<&Vnfc> = now.body.vnfcs.iter().filter(|c| c.vdu == vdu.id).collect();
        have.order_by_key(|c| c.index);
        let want = goal.counts.get(&vdu.id).copied().unwrap_or(0);
        for c in have.iter().skip(want as usize).rev() {
            remove(&mut p.steps, c, now.held, stopping, &[]);
            removed.push(c.id);
        }
        let missing = (want as usize).saturating_sub(have.len());
        let free: Vec<u32> =
            (0..want.saturating_add(have.len() as u32)).filter(|i| have.iter().all(|c| c.index != *i)).take(missing).collect();
        for index in free {
            let made = Made::New { index, count: want.max(2) };
            added.push(p.vnfc(vdu, made, fabric, &mut ext).map_err(|e| e.context(format!("VDU {}", vdu.id)))?);
        }
    }
    let change = Change {
        vnf: ask.instance.id,
        op: ask.op,
        added: added.iter().map(|c| c.id).collect(),
        removed,
        scale: goal.scale,
        level: goal.level,
    };
    let new = reservation(ask.instance.id, ask.instance.project, &added.iter().collect::<Vec<_>>(), Vec::new());
    let need = Need { what: format!("VNF {}", ask.instance.name), vcpus: new.vcpus, memory: new.memory, disk: new.disk };
    let asked = whole(0, &new, &p.wishful);
    let body = grown(now.body, ask.flavour, added, ext);
    let all = reservation(ask.instance.id, ask.instance.project, &body.vnfcs.iter().collect::<Vec<_>>(), now.held.to_vec());
    Ok(altered(p, body, all, need, asked, change))
}

/// Plans HEAL (SOL003 5.4.9): these guests are made again, with some of their disks.
pub fn heal(ask: &Ask<'_>, now: &Present<'_>, which: &[VnfcId], anew: Anew, fabric: &mut Fabric<'_>, dice: &dyn Dice) -> Result<Altered> {
    let mut p = planner(ask, now.body, dice);
    let mut ext = ext_cps(now.body);
    let mut added: Vec<Vnfc> = Vec::new();
    let mut removed: Vec<VnfcId> = Vec::new();
    // Where one was to be replaced and the operation was given up there are two: both go.
    for old in now.body.vnfcs.iter().rev().filter(|c| which.contains(&c.id)) {
        if removed.contains(&old.id) {
            continue;
        }
        let vdu = ask.flavour.vdu(&old.vdu).ok_or_else(|| {
            Fault::conflict(format!("guest {} is of VDU {}, which flavour {} has no more", old.id, old.vdu, ask.flavour.id))
        })?;
        // One that only the other flavour has, of a change that was given up, goes.
        let stays = |d: &&crate::model::vnf::VnfcDisk| anew.keeps(d.base.is_some()) && vdu.disks.iter().any(|k| k.id == d.storage);
        let kept: Vec<DiskId> = old.disks.iter().filter(stays).map(|d| d.id).collect();
        let mut after = Vec::new();
        for c in now.body.vnfcs.iter().filter(|c| c.vdu == old.vdu && c.index == old.index) {
            after.extend(remove(&mut p.steps, c, now.held, Stopping::AtOnce, &kept));
            removed.push(c.id);
        }
        added.push(p.vnfc(vdu, Made::Again { old, anew, after }, fabric, &mut ext).map_err(|e| e.context(format!("VDU {}", vdu.id)))?);
    }
    let change = Change {
        vnf: ask.instance.id,
        op: ask.op,
        added: added.iter().map(|c| c.id).collect(),
        removed,
        scale: now.body.scale.clone(),
        level: now.body.level.clone(),
    };
    // It takes what the old one took.
    let need = Need { what: format!("VNF {}", ask.instance.name), vcpus: 0, memory: MiB(0), disk: MiB(0) };
    let body = grown(now.body, ask.flavour, added, ext);
    let left: Vec<&Vnfc> = body.vnfcs.iter().filter(|c| !change.removed.contains(&c.id)).collect();
    let all = reservation(ask.instance.id, ask.instance.project, &left, now.held.to_vec());
    Ok(altered(p, body, all, need, Whole::default(), change))
}

/// The body with the guests that come, in the order of the descriptor: those that go are named until
/// they are gone.
fn grown(body: &Body, flavour: &Flavour, added: Vec<Vnfc>, ext: BTreeMap<SmolStr, ExtCpInst>) -> Body {
    let mut body = body.clone();
    body.vnfcs.extend(added);
    body.vnfcs.order_by_key(|c| (flavour.vdus.iter().position(|v| v.id == c.vdu), c.index));
    body.ext_cps = ext.into_values().collect();
    body
}

fn altered(p: Planner<'_>, body: Body, reservation: Reservation, need: Need, whole: Whole, change: Change) -> Altered {
    let plan = VnfPlan { body, steps: p.steps.into_vec(), reservation, need, whole, warnings: p.warnings, wishful: p.wishful };
    Altered { plan, change }
}
