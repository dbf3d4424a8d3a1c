//! Does and undoes a step of a VNF at its foreign VNFM.
//!
//! ```text
//! forward: - -> Asking -> Asked -> COMPLETED: done     FAILED_TEMP: its words; a retry here is a retry there
//!               ^  `-- no answer: is there a new operation? then that; else ask again
//! back:    looked at, whatever was asked: moving -> cancel; FAILED_TEMP -> rollback, then fail; instantiated -> terminate
//! ```
//! What is asked is noted before it is asked, so a crash in between asks nothing twice. Never: what a plan contains.

use std::{sync::Arc, time::Duration};

use smol_str::SmolStr;
use tracing::info;

use super::{
    super::{Vnfm, settle::touch},
    REMOTE, mark,
    port::{Managers, NewVnf, Occ},
};
use crate::{
    lcm::port::{Outcome, StepCx, WakeKey},
    model::{
        abroad::{AbroadErrand, AbroadStep, AbroadTask, ErrandState, ForeignVnf, ForeignVnfm, OccAct},
        error::{Fault, Result},
        grant::GivenGrant,
        id::VnfId,
        op::{CancelMode, OpKind, VnfOpState},
        time::Stamp,
        vnf::VnfInstance,
    },
    store::Durability,
};

/// Between two looks at an operation elsewhere: the longer it takes, the rarer.
const SOONEST: Duration = Duration::from_millis(100);
const RAREST: Duration = Duration::from_secs(10);

/// Where a step's VNF is, and by whom it is asked about.
struct At {
    port: Arc<dyn Managers>,
    vnfm: ForeignVnfm,
    vnf: ForeignVnf,
}

/// What an operation that is over means for what was granted to it.
#[derive(Clone, Copy)]
enum Over {
    /// It made nothing.
    Void,
    /// What it took is the VNF's until that is gone.
    Kept,
}

fn again(cx: &StepCx, why: impl Into<String>) -> Outcome {
    // It follows an operation, if not one of this box: it is not let go of when its own is cancelled.
    Outcome::Again { after: (cx.elapsed / 4).clamp(SOONEST, RAREST), why: why.into(), wake: Some(WakeKey::Op(cx.op.id)) }
}

impl Vnfm {
    /// By whom foreign VNFMs are asked. The first caller stays.
    pub fn connect_managers(&self, port: Arc<dyn Managers>) {
        let _ = self.managers.set(port);
    }

    /// `None`: no record says that it is anywhere.
    fn at(&self, s: &AbroadStep) -> Result<Option<At>> {
        let port = self.managers.get().cloned().ok_or_else(|| Fault::transient("bothy is starting, and asks no VNFM yet"))?;
        let Some(vnf) = self.store.get::<ForeignVnf>(&s.vnf)? else { return Ok(None) };
        let vnfm = self.store.get::<ForeignVnfm>(&s.vnfm)?.ok_or_else(|| {
            Fault::conflict(format!("nobody says any more where VNFM {0} is: tell it (bothy vnfm set {0}), then retry", s.vnfm))
        })?;
        Ok(Some(At { port, vnfm, vnf }))
    }

    pub(in super::super) fn run_abroad(&self, cx: &StepCx, s: &AbroadStep) -> Result<Outcome> {
        let at = self.at(s)?.ok_or_else(|| Fault::bug(format!("no record says where VNF instance {} is managed", s.vnf)))?;
        match &s.task {
            AbroadTask::Make => self.make_abroad(&at),
            AbroadTask::Drop => self.drop_abroad(cx, &at),
            AbroadTask::Instantiate(_)
            | AbroadTask::Terminate { .. }
            | AbroadTask::Scale { .. }
            | AbroadTask::ScaleToLevel { .. }
            | AbroadTask::Heal { .. }
            | AbroadTask::Operate { .. } => self.drive(cx, &at, &s.task),
        }
    }

    pub(in super::super) fn undo_abroad(&self, cx: &StepCx, s: &AbroadStep) -> Result<Outcome> {
        match &s.task {
            AbroadTask::Make | AbroadTask::Instantiate(_) => {}
            AbroadTask::Terminate { .. }
            | AbroadTask::Drop
            | AbroadTask::Scale { .. }
            | AbroadTask::ScaleToLevel { .. }
            | AbroadTask::Heal { .. }
            | AbroadTask::Operate { .. } => return Err(Fault::conflict(format!("'{}' cannot be undone", s.label()))),
        }
        let Some(at) = self.at(s)? else { return Ok(Outcome::Done) };
        match (&s.task, &at.vnf.remote) {
            (AbroadTask::Make, _) => self.drop_abroad(cx, &at),
            (_, Some(id)) => Ok(self.quell(cx, &at, id)?.unwrap_or(Outcome::Done)),
            (_, None) => Ok(Outcome::Done),
        }
    }

    fn make_abroad(&self, at: &At) -> Result<Outcome> {
        if let Some(id) = &at.vnf.remote
            && at.port.look(&at.vnfm, id)?.is_some()
        {
            return Ok(Outcome::Done);
        }
        // The answer to an earlier request may have been lost: what is there under the name is what it made.
        let id = match at.port.find(&at.vnfm, &at.vnf.name)?.into_iter().next() {
            Some(there) => there.id,
            None => {
                let inst: VnfInstance = self.store.require(&at.vnf.vnf)?;
                let new = NewVnf { vnfd_id: inst.vnfd_id, name: at.vnf.name.clone(), description: inst.description };
                at.port.create(&at.vnfm, &new)?
            }
        };
        info!(vnf = %at.vnf.vnf, vnfm = %at.vnfm.account, remote = %id, "made at its VNFM");
        self.note_remote(at.vnf.vnf, Some(&id))?;
        Ok(Outcome::Done)
    }

    fn drop_abroad(&self, cx: &StepCx, at: &At) -> Result<Outcome> {
        let mut ids: Vec<SmolStr> = at.port.find(&at.vnfm, &at.vnf.name)?.into_iter().map(|s| s.id).collect();
        if let Some(id) = at.vnf.remote.as_ref().filter(|id| !ids.contains(id)) {
            ids.push(id.clone());
        }
        for id in &ids {
            if let Some(wait) = self.quell(cx, at, id)? {
                return Ok(wait);
            }
            at.port.delete(&at.vnfm, id)?;
            self.end_grants(at, |g| g.vnf == *id, Over::Void)?;
        }
        self.note_remote(at.vnf.vnf, None)?;
        Ok(Outcome::Done)
    }

    fn note_remote(&self, vnf: VnfId, id: Option<&SmolStr>) -> Result<()> {
        self.store.write(Durability::Soon, |tx| {
            let Some(f) = tx.get::<ForeignVnf>(&vnf)?.filter(|f| f.remote.as_ref() != id) else { return Ok(()) };
            tx.put(&ForeignVnf { remote: id.cloned(), ..f })?;
            let Some(mut inst) = tx.get::<VnfInstance>(&vnf)? else { return Ok(()) };
            mark(&mut inst, REMOTE, id);
            inst.revision += 1;
            tx.put(&inst)
        })
    }

    fn note_abroad(&self, cx: &StepCx, state: ErrandState, durability: Durability) -> Result<()> {
        let errand = AbroadErrand { op: cx.op.id, index: cx.index, attempt: cx.op.attempt, state };
        self.store.write(durability, |tx| tx.put(&errand))
    }

    /// Has it done, once, and follows it.
    fn drive(&self, cx: &StepCx, at: &At, task: &AbroadTask) -> Result<Outcome> {
        let ends = matches!(task, AbroadTask::Terminate { .. });
        let Some(id) = &at.vnf.remote else {
            return if ends { Ok(Outcome::Done) } else { Err(Fault::conflict(format!("VNFM {} has it no more", at.vnfm.account))) };
        };
        match self.store.get::<AbroadErrand>(&(cx.op.id, cx.index))? {
            Some(AbroadErrand { state: ErrandState::Asked { occ }, attempt, .. }) => self.follow_occ(cx, at, task, &occ, attempt),
            Some(AbroadErrand { state: ErrandState::Asking { before }, .. }) => match self.heard(at, id, task, &before)? {
                Some(occ) => self.asked(cx, at, occ),
                None => self.ask_abroad(cx, at, task, &before),
            },
            Some(AbroadErrand { state: ErrandState::Undoing { .. }, .. }) | None => {
                let occs = at.port.occs(&at.vnfm, id)?;
                if let Some(open) = occs.iter().find(|o| !o.state.is_final()) {
                    if open.state == VnfOpState::FailedTemp && open.automatic {
                        return Err(open.fault(&at.vnfm));
                    }
                    if open.state == VnfOpState::FailedTemp {
                        // Its operation was given up on this box, and with it this one.
                        at.port.act(&at.vnfm, &open.id, OccAct::Fail)?;
                    }
                    return Ok(again(cx, format!("VNFM {} is at operation {} ({})", at.vnfm.account, open.id, open.state.name())));
                }
                if ends && at.port.look(&at.vnfm, id)?.is_none_or(|s| !s.instantiated) {
                    return Ok(Outcome::Done);
                }
                let before: Vec<SmolStr> = occs.into_iter().map(|o| o.id).collect();
                self.note_abroad(cx, ErrandState::Asking { before: before.clone() }, Durability::Barrier)?;
                self.ask_abroad(cx, at, task, &before)
            }
        }
    }

    /// The operation that an unanswered request became.
    fn heard(&self, at: &At, id: &str, task: &AbroadTask, before: &[SmolStr]) -> Result<Option<SmolStr>> {
        let kind = task.kind().map_or("", OpKind::name);
        let new = |o: &Occ| !o.automatic && o.operation == kind && !before.contains(&o.id);
        Ok(at.port.occs(&at.vnfm, id)?.into_iter().find(new).map(|o| o.id))
    }

    fn ask_abroad(&self, cx: &StepCx, at: &At, task: &AbroadTask, before: &[SmolStr]) -> Result<Outcome> {
        let id = at.vnf.remote.clone().unwrap_or_default();
        match at.port.begin(&at.vnfm, &id, task) {
            Ok(occ) => self.asked(cx, at, occ),
            Err(f) if f.is_transient() => Err(f),
            // It may say so because it took the one before.
            Err(f) => match self.heard(at, &id, task, before)? {
                Some(occ) => self.asked(cx, at, occ),
                None => {
                    self.forget(cx)?;
                    Err(f)
                }
            },
        }
    }

    fn asked(&self, cx: &StepCx, at: &At, occ: SmolStr) -> Result<Outcome> {
        info!(op = %cx.op.id, vnfm = %at.vnfm.account, %occ, "asked of a foreign VNFM");
        let why = format!("VNFM {} has begun operation {occ}", at.vnfm.account);
        self.note_abroad(cx, ErrandState::Asked { occ }, Durability::Soon)?;
        Ok(again(cx, why))
    }

    fn forget(&self, cx: &StepCx) -> Result<()> {
        self.store.write(Durability::Soon, |tx| tx.delete::<AbroadErrand>(&(cx.op.id, cx.index)).map(drop))
    }

    fn follow_occ(&self, cx: &StepCx, at: &At, task: &AbroadTask, occ: &SmolStr, attempt: u32) -> Result<Outcome> {
        let name = &at.vnfm.account;
        let Some(o) = at.port.occ(&at.vnfm, occ)? else {
            self.forget(cx)?;
            let why = format!("VNFM {name} knows nothing of operation {occ} any more");
            return if matches!(task, AbroadTask::Terminate { .. }) { Ok(again(cx, why)) } else { Err(Fault::conflict(why)) };
        };
        // A retry of this box's operation, and nothing was retried there for it yet.
        let anew = attempt < cx.op.attempt;
        match o.state {
            VnfOpState::Completed => {
                self.end_grants(at, |g| g.op == *occ, Over::Kept)?;
                return Ok(Outcome::Done);
            }
            VnfOpState::Starting | VnfOpState::Processing => {
                if let Some(mode) = cx.op.cancel
                    && !o.cancelling
                {
                    self.try_act(at, occ, OccAct::Cancel(mode == CancelMode::Forceful))?;
                }
            }
            VnfOpState::RollingBack => {}
            VnfOpState::FailedTemp if anew => {
                at.port.act(&at.vnfm, occ, OccAct::Retry)?;
                self.note_abroad(cx, ErrandState::Asked { occ: occ.clone() }, Durability::Soon)?;
            }
            VnfOpState::Failed | VnfOpState::RolledBack if anew => {
                self.forget(cx)?;
                return Ok(again(cx, format!("VNFM {name} is asked anew")));
            }
            VnfOpState::FailedTemp => return Err(o.fault(&at.vnfm)),
            VnfOpState::Failed => {
                self.end_grants(at, |g| g.op == *occ, Over::Kept)?;
                return Err(o.fault(&at.vnfm));
            }
            VnfOpState::RolledBack => {
                self.end_grants(at, |g| g.op == *occ, Over::Void)?;
                return Err(o.fault(&at.vnfm));
            }
        }
        Ok(again(cx, format!("VNFM {name}: operation {occ} ({}) is {}", o.operation, o.state.name())))
    }

    /// A VNFM need not be able to do it.
    fn try_act(&self, at: &At, occ: &str, act: OccAct) -> Result<()> {
        match at.port.act(&at.vnfm, occ, act) {
            Err(f) if !f.is_transient() => {
                info!(vnfm = %at.vnfm.account, occ, ?act, "refused by a foreign VNFM: {f}");
                Ok(())
            }
            other => other,
        }
    }

    /// Brings the instance to where nothing of it is instantiated; `None`: it is there, or gone.
    fn quell(&self, cx: &StepCx, at: &At, id: &str) -> Result<Option<Outcome>> {
        let (port, name) = (&at.port, &at.vnfm.account);
        // Operations first: one that ends between the two has changed the instance when that is looked at.
        let Some(o) = port.occs(&at.vnfm, id)?.into_iter().find(|o| !o.state.is_final()) else {
            if port.look(&at.vnfm, id)?.is_none_or(|seen| !seen.instantiated) {
                return Ok(None);
            }
            check_goes_on(cx)?;
            let occ = port.begin(&at.vnfm, id, &AbroadTask::Terminate { graceful_s: None })?;
            return Ok(Some(again(cx, format!("VNFM {name} terminates it by operation {occ}"))));
        };
        let errand = self.store.get::<AbroadErrand>(&(cx.op.id, cx.index))?.filter(|e| e.attempt == cx.op.attempt);
        let tried = errand.and_then(|e| match e.state {
            ErrandState::Undoing { occ, act } if occ == o.id => Some(act),
            ErrandState::Undoing { .. } | ErrandState::Asking { .. } | ErrandState::Asked { .. } => None,
        });
        let ends = o.operation == "TERMINATE";
        let next = match (o.state, tried) {
            (VnfOpState::Starting | VnfOpState::Processing, None) if !ends => Some(OccAct::Cancel(true)),
            (VnfOpState::Starting | VnfOpState::Processing | VnfOpState::RollingBack, _) => None,
            (VnfOpState::FailedTemp, None) if ends => Some(OccAct::Retry),
            (VnfOpState::FailedTemp, None | Some(OccAct::Cancel(_))) if !ends => Some(OccAct::Rollback),
            (VnfOpState::FailedTemp, Some(OccAct::Rollback)) => Some(OccAct::Fail),
            (VnfOpState::FailedTemp | VnfOpState::Completed | VnfOpState::Failed | VnfOpState::RolledBack, _) => {
                return Err(o.fault(&at.vnfm));
            }
        };
        if let Some(act) = next {
            if o.state == VnfOpState::FailedTemp {
                check_goes_on(cx)?;
            }
            self.note_abroad(cx, ErrandState::Undoing { occ: o.id.clone(), act }, Durability::Soon)?;
            self.try_act(at, &o.id, act)?;
        }
        Ok(Some(again(cx, format!("VNFM {name}: operation {} ({}) is {}", o.id, o.operation, o.state.name()))))
    }

    /// This box is told how the operation ended: what was granted for it is free, or the VNF's as long as that is there.
    fn end_grants(&self, at: &At, which: impl Fn(&GivenGrant) -> bool, over: Over) -> Result<()> {
        let until = match over {
            Over::Void => self.clock.now(),
            Over::Kept => Stamp(u64::MAX),
        };
        let his = |g: &GivenGrant| g.project == at.vnfm.project && g.vnfm == at.vnfm.account && self.clock.now() < g.until;
        let mut ended = self.store.list::<GivenGrant>()?;
        ended.retain(|g| his(g) && which(g) && g.until != until);
        if ended.is_empty() {
            return Ok(());
        }
        self.store.write(Durability::Soon, |tx| {
            touch(tx)?;
            ended.iter().try_for_each(|g| tx.put(&GivenGrant { until, ..g.clone() }))
        })
    }
}

/// An undoing that is being cancelled begins nothing more.
fn check_goes_on(cx: &StepCx) -> Result<()> {
    match cx.op.cancel {
        None => Ok(()),
        Some(_) => Err(Fault::conflict("its undoing was cancelled")),
    }
}
