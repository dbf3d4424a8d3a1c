//! Takes a request to reload a PF, and finds PFs that lost functions of guests: what is to be done, in one
//! transaction.
//!
//! ```text
//! reload (asked for)   unplug each guest ─> the PF away from its driver and back, VFs, settings ─> plug each guest
//! restore (found)      the same for the guests that miss something; the PF is only put right, not taken away
//! ```
//! The VNFs are the operation's until its end, so that nothing else changes their guests. A PF under an
//! operation gives nothing to new guests, itself least of all. Never: does a step (`plug`).

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::{
    Vnfm,
    accept::retrying,
    grant::claim_facts,
    plan::{Steps, fresh_uuid},
};
use crate::model::tree::set;
use crate::{
    model::{
        error::{Fault, Kind, Result},
        host::{DriverName, Function, HostFacts, PciDevice, PfName, PfSetting},
        hw::PciAddr,
        id::{OpId, ProjectId, VnfcId},
        op::{OpKind, Operation, Phase, Target, Trigger, VnfOpState},
        place::{Given, Loss, Missed},
        step::{PfStep, PfUser, PlanStep, Step},
        tree::tree,
        vnf::{Facts, Reservation, RunState, VnfInstance},
    },
    store::{Durability, Tx},
    vim::place::usage::lost,
};

/// How long guests have to let go of a function.
pub const UNPLUG_S: u32 = 30;
/// The first pause before a PF that could not be restored is tried again, and the longest.
const PAUSE: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);

/// When a PF may be restored again.
#[derive(Debug, Default)]
pub struct Patience(BTreeMap<PciAddr, (Instant, Duration)>);

impl Patience {
    /// Whether it is time; each time makes the next pause twice as long.
    fn lets(&mut self, pf: PciAddr, now: Instant) -> bool {
        let (next, pause) = self.0.get(&pf).copied().unwrap_or((now, PAUSE));
        let lets = next <= now;
        if lets {
            self.0.insert(pf, (now + pause, (pause * 2).min(LONGEST)));
        }
        lets
    }
    /// What is well, or gone, is tried at once the next time.
    fn forget_but(&mut self, missed: &BTreeSet<PciAddr>) {
        self.0.retain(|pf, _| missed.contains(pf));
    }
}

/// What is to happen to a PF, and who has functions of it.
struct Todo {
    pf: PfSetting,
    users: Vec<PfUser>,
}

impl Vnfm {
    /// Reloads a PF by the name of its interface or its address. Guests with functions of it have
    /// `within_s` seconds to let go of them (`UNPLUG_S`); one that does not is stopped, and started after.
    pub fn reload_pf(&self, name: &PfName, within_s: Option<u32>, request: &str) -> Result<Operation> {
        let id = OpId(fresh_uuid(&*self.dice));
        let (op, steps) = retrying(|| {
            let seen = self.store.get::<Facts>(&())?.unwrap_or_default();
            let facts = self.facts()?;
            let pf = find(&facts, name)?;
            let todo = self.reload_of(&facts, pf)?;
            let steps = self.steps(id, PfStep::Reload(todo.pf), todo.users, within_s.unwrap_or(UNPLUG_S));
            let op = self.draft_op(id, ProjectId::DEFAULT, Target::Pf(pf.addr), OpKind::ReloadPf, request.to_owned());
            self.accept_pf(op, steps, seen)
        })?;
        self.engine()?.submit(op.clone(), steps, &[]);
        Ok(op)
    }

    fn reload_of(&self, facts: &HostFacts, pf: &PciDevice) -> Result<Todo> {
        let Function::Pf(of) = &pf.function else { return Err(Fault::bug(format!("{} was taken for a PF", pf.addr))) };
        let users = self.users(pf.addr, &|_| true)?;
        let given: HashSet<PciAddr> = users.iter().flat_map(|u| &u.given).map(Given::address).collect();
        let mut reasons = Vec::new();
        if given.contains(&pf.addr) || pf.driver.as_ref() == Some(&DriverName::VFIO) {
            reasons.push(format!("{} itself is with a guest: stop that guest instead", pf.addr));
        }
        if pf.driver.is_none() {
            reasons.push("no driver has it: bind one first".into());
        }
        let others: Vec<_> = of.vfs.iter().filter(|v| !given.contains(&v.addr)).filter_map(|v| facts.vf_setting(v.addr)).collect();
        for s in others.iter().filter(|s| s.driver.as_ref() == Some(&DriverName::VFIO)) {
            reasons.push(format!("VF {} ({}) is with vfio-pci, and no guest of Bothy's has it", s.index, s.vf));
        }
        if !reasons.is_empty() {
            return Err(Fault::conflict(format!("PF {} cannot be reloaded", pf.addr)).with_reasons(reasons));
        }
        let mtu = pf.ports.first().map(|p| p.mtu);
        Ok(Todo { pf: PfSetting { pf: pf.addr, driver: pf.driver.clone(), vfs: of.vfs.len() as u16, mtu, others }, users })
    }

    /// Guests that have functions of the PF, itself among them.
    fn users(&self, pf: PciAddr, which: &dyn Fn(VnfcId) -> bool) -> Result<Vec<PfUser>> {
        let mut all = Vec::new();
        for r in self.store.list::<Reservation>()? {
            let Some(inst) = self.store.get::<VnfInstance>(&r.vnf)? else { continue };
            let runs = inst.instantiated && inst.body.as_ref().is_some_and(|b| b.run == RunState::Started);
            for h in r.placed.into_iter().filter(|h| which(h.guest)) {
                let of = |g: &Given| match g {
                    Given::Vf { want, .. } => want.pf == pf,
                    Given::Whole { device, .. } => *device == pf,
                };
                let given: Vec<Given> = h.given.into_iter().filter(of).collect();
                if !given.is_empty() {
                    all.push(PfUser { vnf: r.vnf, guest: h.guest, name: h.name, given, runs });
                }
            }
        }
        Ok(all)
    }

    fn steps(&self, op: OpId, middle: PfStep, users: Vec<PfUser>, within_s: u32) -> Vec<PlanStep> {
        let stop_s = self.rules().graceful_stop_s;
        let mut steps = Steps::new(op);
        let unplugged: Vec<u32> =
            users.iter().map(|user| steps.add(Step::Pf(PfStep::Unplug { user: user.clone(), within_s, stop_s }), &[])).collect();
        let there = steps.add(Step::Pf(middle), &unplugged);
        for user in users {
            steps.add(Step::Pf(PfStep::Plug(user)), &[there]);
        }
        steps.into_vec()
    }

    /// One transaction: the operation, its plan, and each VNF as its own.
    fn accept_pf(&self, mut op: Operation, steps: Vec<PlanStep>, seen: Facts) -> Result<(Operation, Vec<PlanStep>)> {
        let Target::Pf(pf) = op.target else { return Err(Fault::bug("an operation on a PF names none")) };
        if let Some(other) = self.at_pfs()?.get(&pf) {
            return Err(Fault::conflict(format!("operation {other} is at PF {pf}: wait for its end, or end it")));
        }
        op.steps = steps.len() as u32;
        op.apply(Trigger::Granted, op.created)?;
        self.store.write(Durability::Barrier, |tx| {
            // Whoever plans on this PF just now plans again, and two reloads are one after the other.
            claim_facts(tx, seen)?;
            let mut held = Vec::new();
            for vnf in vnfs(&steps) {
                let mut inst: VnfInstance = tx.require(&vnf)?;
                match inst.check_free() {
                    Ok(()) => {
                        inst.op = Some(op.id);
                        inst.revision += 1;
                        tx.put(&inst)?;
                    }
                    Err(fault) => held.push(fault.text().to_owned()),
                }
            }
            if !held.is_empty() {
                return Err(Fault::conflict(format!("PF {pf}: its guests are being changed just now")).with_reasons(held));
            }
            tx.put(&op)?;
            steps.iter().try_for_each(|s| tx.put(s))
        })?;
        info!(op = %op.id, %pf, kind = op.kind.name(), "operation accepted");
        Ok((op, steps))
    }

    /// PFs that an operation is at, or stopped at, and which.
    pub(super) fn at_pfs(&self) -> Result<BTreeMap<PciAddr, OpId>> {
        let live = self.store.list::<Operation>()?.into_iter().filter(|o| o.state.phase() != Phase::Over);
        Ok(tree(live.filter_map(|o| if let Target::Pf(pf) = o.target { Some((pf, o.id)) } else { None })))
    }

    /// A PF that a guest has whole is not taken from under it, whatever was to be done with the PF before.
    pub fn check_pf(&self, id: OpId) -> Result<()> {
        let op: Operation = self.store.require(&id)?;
        let Target::Pf(pf) = op.target else { return Ok(()) };
        let users = self.users(pf, &|_| true)?;
        let whole = users.iter().filter(|u| u.given.iter().any(|g| g.address() == pf));
        let reasons: Vec<String> =
            whole.map(|u| format!("guest {} has it: its end first, or mark the operation as failed", u.name)).collect();
        if reasons.is_empty() {
            return Ok(());
        }
        Err(Fault::conflict(format!("operation {id} ({}) cannot go on: PF {pf} is with a guest whole", op.kind.name()))
            .with_reasons(reasons))
    }

    /// Looks whether guests still have what they were given, and PFs the VFs of the host's set-up, and brings back
    /// what is missing. What is missed, until
    /// it is back; nothing where all is well.
    pub fn watch_functions(&self) -> Result<Vec<Missed>> {
        let given = |r: &Reservation| r.placed.iter().any(|h| !h.given.is_empty());
        if !self.store.list::<Reservation>()?.iter().any(given) && self.made_vfs()?.is_empty() {
            return Ok(Vec::new());
        }
        let facts = self.facts()?;
        self.restore_lost(&facts)
    }

    pub(super) fn restore_lost(&self, facts: &HostFacts) -> Result<Vec<Missed>> {
        let mut told = self.under_way()?;
        let mut losses = self.losses(facts)?;
        losses.extend(self.bare(facts)?);
        let mut missed: BTreeSet<PciAddr> = set(losses.iter().map(|l| l.pf));
        missed.extend(self.at_pfs()?.into_keys());
        self.patience().forget_but(&missed);
        for loss in losses {
            let then = if facts.device(loss.pf).is_none() {
                "the PF itself is gone".to_owned()
            } else if !self.patience().lets(loss.pf, Instant::now()) {
                "to be tried again".to_owned()
            } else {
                match self.restore(facts, &loss) {
                    Ok(op) => format!("operation {} brings it back", op.id),
                    Err(fault) => {
                        warn!(pf = %loss.pf, "cannot be restored: {fault:?}");
                        fault.detail()
                    }
                }
            };
            let missed = Missed { loss, then };
            warn!("{}", missed.text());
            told.push(missed);
        }
        Ok(told)
    }

    /// What guests that no operation changes miss of what they were given.
    pub(super) fn losses(&self, facts: &HostFacts) -> Result<Vec<Loss>> {
        let vnfs = self.store.list::<VnfInstance>()?;
        let (held, still) = self.held(&vnfs)?;
        let held: Vec<_> = held.into_iter().filter(|h| still.contains(&h.guest)).collect();
        let mut has = BTreeMap::new();
        for h in held.iter().filter(|h| h.given.iter().any(|g| matches!(g, Given::Vf { .. }))) {
            match self.hypervisor.functions(h.guest) {
                Ok(Some(all)) => drop(has.insert(h.guest, all)),
                Ok(None) => {}
                // What cannot be asked is not missed; nor do others answer then.
                Err(fault) => {
                    warn!(guest = %h.guest, "its functions cannot be told: {fault:?}");
                    break;
                }
            }
        }
        Ok(lost(facts, &held, &|guest| has.get(&guest).map(Vec::as_slice)))
    }

    /// What operations are bringing back, or broke at. Automatic ones that broke are given up when it is time, and
    /// another begins.
    fn under_way(&self) -> Result<Vec<Missed>> {
        let mut told = Vec::new();
        for op in self.store.list::<Operation>()? {
            let (Target::Pf(pf), OpKind::RestorePf) = (op.target, op.kind) else { continue };
            let then = match op.state.phase() {
                Phase::Over => continue,
                Phase::Held | Phase::Forward | Phase::Backward => format!("operation {} brings it back", op.id),
                Phase::Stuck => {
                    if op.automatic && self.patience().is_due(pf, Instant::now()) {
                        match self.engine()?.fail(op.id) {
                            Ok(_) => continue,
                            Err(fault) => warn!(op = %op.id, "cannot be given up: {fault:?}"),
                        }
                    }
                    let why = op.error.clone().map(|e| Fault::from(e).detail()).unwrap_or_default();
                    format!("operation {} could not bring it back: {why}", op.id)
                }
            };
            let mut guests = Vec::new();
            for index in 0..op.steps {
                if let Some(PlanStep { step: Step::Pf(PfStep::Plug(user)), .. }) = self.store.get::<PlanStep>(&(op.id, index))? {
                    guests.push(user.guest);
                }
            }
            // What every operation of this box warns of is no reason.
            let usual = self.accel_warning();
            let why = op.warnings.into_iter().filter(|w| Some(w) != usual.as_ref()).collect();
            told.push(Missed { loss: Loss { pf, guests, why }, then });
        }
        Ok(told)
    }

    fn restore(&self, facts: &HostFacts, loss: &Loss) -> Result<Operation> {
        let id = OpId(fresh_uuid(&*self.dice));
        let (op, steps) = retrying(|| {
            let seen = self.store.get::<Facts>(&())?.unwrap_or_default();
            let guests: HashSet<VnfcId> = loss.guests.iter().copied().collect();
            let users = self.users(loss.pf, &|g| guests.contains(&g))?;
            let steps = self.steps(id, PfStep::Restore(self.pf_as_made(facts, loss.pf)?), users, UNPLUG_S);
            let mut op = self.draft_op(id, ProjectId::DEFAULT, Target::Pf(loss.pf), OpKind::RestorePf, String::new());
            op.automatic = true;
            op.warnings.splice(0..0, loss.why.iter().cloned());
            self.accept_pf(op, steps, seen)
        })?;
        self.unasked(&op);
        self.engine()?.submit(op.clone(), steps, &[]);
        Ok(op)
    }

    /// As many VFs as there are, if guests' are among them; else as the host's set-up made, or as guests have.
    fn pf_as_made(&self, facts: &HostFacts, pf: PciAddr) -> Result<PfSetting> {
        let made = self.made_vfs()?.into_iter().find(|(p, _)| *p == pf).map(|(_, count)| count);
        let given = self.users(pf, &|_| true)?.iter().flat_map(|u| &u.given).map(highest).max().unwrap_or(0);
        let now = facts.device(pf).map_or(0, |d| if let Function::Pf(p) = &d.function { p.vfs.len() as u16 } else { 0 });
        // Those that are there are enough, or it has to lose them all for one more.
        let vfs = if now > 0 && now >= given { now } else { made.unwrap_or(0).max(given) };
        Ok(PfSetting { pf, driver: None, vfs, mtu: None, others: Vec::new() })
    }

    fn patience(&self) -> std::sync::MutexGuard<'_, Patience> {
        self.patience.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Patience {
    fn is_due(&self, pf: PciAddr, now: Instant) -> bool {
        self.0.get(&pf).is_none_or(|(next, _)| *next <= now)
    }
}

/// So many VFs its PF has to have.
fn highest(g: &Given) -> u16 {
    match g {
        Given::Vf { want, .. } => want.index + 1,
        Given::Whole { .. } => 0,
    }
}

fn find<'a>(facts: &'a HostFacts, name: &PfName) -> Result<&'a PciDevice> {
    if let Some((device, _)) = facts.pfs().find(|(d, _)| name.means(d.addr, &d.ports)) {
        return Ok(device);
    }
    let known: Vec<String> =
        facts.pfs().map(|(d, _)| d.ports.first().map_or(d.addr.to_string(), |p| format!("{} ({})", p.name, d.addr))).collect();
    Err(Fault::new(Kind::NotFound, format!("no PF is called {name}")).with_reasons(known.into_iter().map(|k| format!("there is {k}"))))
}

/// The VNFs whose guests a plan changes.
fn vnfs(steps: &[PlanStep]) -> BTreeSet<crate::model::id::VnfId> {
    let of = |s: &PlanStep| match &s.step {
        Step::Pf(PfStep::Plug(user)) => Some(user.vnf),
        Step::Pf(PfStep::Unplug { .. } | PfStep::Reload(_) | PfStep::Restore(_)) | Step::Vnf(_) | Step::Ns(_) => None,
    };
    steps.iter().filter_map(of).collect()
}

/// In the transaction of its end: the VNFs are their own again.
pub fn settle(tx: &mut Tx<'_>, op: &Operation, state: VnfOpState) -> Result<()> {
    match state {
        VnfOpState::Starting | VnfOpState::Processing | VnfOpState::RollingBack | VnfOpState::FailedTemp => return Ok(()),
        VnfOpState::Completed | VnfOpState::Failed | VnfOpState::RolledBack => {}
    }
    let mut steps = Vec::new();
    for i in 0..op.steps {
        steps.extend(tx.get::<PlanStep>(&(op.id, i))?);
    }
    for vnf in vnfs(&steps) {
        let Some(mut inst) = tx.get::<VnfInstance>(&vnf)?.filter(|i| i.op == Some(op.id)) else { continue };
        inst.op = None;
        inst.revision += 1;
        tx.put(&inst)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pf_that_stays_lost_is_tried_ever_more_seldom_and_at_once_when_it_was_well_meanwhile() {
        let (mut p, pf, t) = (Patience::default(), "01:00.0".parse::<PciAddr>().expect("address"), Instant::now());
        let at = |s: u64| t + Duration::from_secs(s);
        assert!(p.is_due(pf, t) && p.lets(pf, t));
        for (s, lets) in [(59, false), (60, true), (179, false), (180, true), (419, false), (420, true)] {
            assert_eq!((p.is_due(pf, at(s)), p.lets(pf, at(s))), (lets, lets), "{s}");
        }
        p.forget_but(&[pf].into());
        assert!(!p.lets(pf, at(421)));
        p.forget_but(&BTreeSet::new());
        assert!(p.lets(pf, at(421)));
        let mut longest = (0..20).map(|_| {
            let next = p.0[&pf].0;
            assert!(p.lets(pf, next));
            p.0[&pf].0 - next
        });
        assert_eq!(longest.by_ref().last(), Some(LONGEST));
    }
}
