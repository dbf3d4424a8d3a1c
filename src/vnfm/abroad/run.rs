//! Does and undoes a step of a VNF at its foreign VNFM.
//!
//! ```text
//! forward: - -> Asking -> Asked -> COMPLETED: done     FAILED_TEMP: its words; a retry here is a retry there
//!               ^  `-- no answer: is there a new operation? then that; else ask again
//! back:    see `quell`
//! ```
//! What is asked is noted before it is asked, so a crash in between asks nothing twice. Never: what a plan contains.

use std::{sync::Arc, time::Duration};

use smol_str::SmolStr;
use tracing::info;

use super::{
    super::Vnfm,
    REMOTE,
    hold::Over,
    mark,
    port::{Managers, NewVnf, Occ},
    quell::TERMINATE,
};
use crate::{
    lcm::port::{Outcome, StepCx, WakeKey},
    model::{
        abroad::{AbroadErrand, AbroadStep, AbroadTask, ErrandState, ForeignVnf, ForeignVnfm, OccAct},
        error::{Fault, Result},
        id::VnfId,
        op::{CancelMode, OpKind, Operation, Target, VnfOpState},
        time::Stamp,
        vnf::{Change, VnfInstance},
    },
    store::Durability,
};

/// Between two looks at an operation elsewhere: the longer it takes, the rarer.
const SOONEST: Duration = Duration::from_millis(100);
const RAREST: Duration = Duration::from_secs(10);
/// What was taken and shows no effect for so long has none.
const MOVES_WITHIN_MS: u64 = 30_000;
/// How long an operation there is waited for that is to be cancelled forcefully.
const PATIENCE_MS: u64 = 60_000;

/// Where a step's VNF is, and by whom it is asked about.
pub(super) struct At {
    pub port: Arc<dyn Managers>,
    pub vnfm: ForeignVnfm,
    pub vnf: ForeignVnf,
}

/// An operation there that a step follows.
struct Followed {
    occ: SmolStr,
    /// Of this box's operation, when it was asked or retried there.
    attempt: u32,
    /// What was asked of it last, and when.
    taken: Option<(OccAct, Stamp)>,
}

/// What was asked of this operation and taken, if it has not moved since.
pub(super) fn taken_of(state: &ErrandState, of: &SmolStr) -> Option<(OccAct, Stamp)> {
    match state {
        ErrandState::Taken { occ, act, at } if occ == of => Some((*act, *at)),
        ErrandState::Taken { .. }
        | ErrandState::Asking { .. }
        | ErrandState::Asked { .. }
        | ErrandState::Undoing { .. }
        | ErrandState::Ending { .. }
        | ErrandState::Closing { .. } => None,
    }
}

pub(super) fn again(cx: &StepCx, why: impl Into<String>) -> Outcome {
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
            self.end_grants(at, id)?;
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

    pub(super) fn note_abroad(&self, cx: &StepCx, state: ErrandState, durability: Durability) -> Result<()> {
        self.note_at(cx, cx.op.attempt, state, durability)
    }

    fn note_at(&self, cx: &StepCx, attempt: u32, state: ErrandState, durability: Durability) -> Result<()> {
        let errand = AbroadErrand { op: cx.op.id, index: cx.index, attempt, state };
        self.store.write(durability, |tx| tx.put(&errand))
    }

    pub(super) fn note_taken(&self, cx: &StepCx, attempt: u32, occ: &SmolStr, act: OccAct) -> Result<()> {
        self.note_at(cx, attempt, ErrandState::Taken { occ: occ.clone(), act, at: self.clock.now() }, Durability::Soon)
    }

    /// Has it done, once, and follows it.
    fn drive(&self, cx: &StepCx, at: &At, task: &AbroadTask) -> Result<Outcome> {
        let ends = matches!(task, AbroadTask::Terminate { .. });
        let Some(id) = &at.vnf.remote else {
            return if ends { Ok(Outcome::Done) } else { Err(Fault::conflict(format!("VNFM {} has it no more", at.vnfm.account))) };
        };
        match self.store.get::<AbroadErrand>(&(cx.op.id, cx.index))? {
            Some(AbroadErrand { state: ErrandState::Asked { occ }, attempt, .. }) => {
                self.follow_occ(cx, at, task, &Followed { occ, attempt, taken: None })
            }
            Some(AbroadErrand {
                state: ErrandState::Taken { occ, act: act @ (OccAct::Retry | OccAct::Cancel(_)), at: when },
                attempt,
                ..
            }) => self.follow_occ(cx, at, task, &Followed { occ, attempt, taken: Some((act, when)) }),
            Some(AbroadErrand { state: ErrandState::Asking { before }, .. }) => match self.heard(at, id, task, &before)? {
                Some(occ) => self.asked(cx, at, occ),
                None => {
                    check_goes_on(cx)?;
                    self.ask_abroad(cx, at, task, &before)
                }
            },
            before @ (Some(AbroadErrand {
                state:
                    ErrandState::Undoing { .. }
                    | ErrandState::Ending { .. }
                    | ErrandState::Closing { .. }
                    | ErrandState::Taken { act: OccAct::Rollback | OccAct::Fail, .. },
                ..
            })
            | None) => {
                // Nothing is under way there for it: whatever else is, is not waited for.
                check_goes_on(cx)?;
                let occs = at.port.occs(&at.vnfm, id)?;
                if let Some(open) = occs.iter().find(|o| !o.state.is_final()) {
                    let taken = before.as_ref().and_then(|e| taken_of(&e.state, &open.id));
                    if open.state == VnfOpState::FailedTemp && !self.may_move_yet(taken) {
                        if !self.is_ours(at, open)? {
                            return Err(open.fault(&at.vnfm));
                        }
                        // Its operation was given up on this box, and with it this one.
                        at.port.act(&at.vnfm, &open.id, OccAct::Fail)?;
                        self.note_taken(cx, cx.op.attempt, &open.id, OccAct::Fail)?;
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

    fn follow_occ(&self, cx: &StepCx, at: &At, task: &AbroadTask, f: &Followed) -> Result<Outcome> {
        let (name, occ) = (&at.vnfm.account, &f.occ);
        let Some(o) = at.port.occ(&at.vnfm, occ)? else {
            // How it ended is not told any more: the instance shows it.
            if self.is_reached(cx, at, task)? {
                self.settle_grant(at, occ, Over::Done)?;
                return Ok(Outcome::Done);
            }
            self.forget(cx)?;
            let why = format!("VNFM {name} knows nothing of operation {occ} any more");
            return if matches!(task, AbroadTask::Terminate { .. }) { Ok(again(cx, why)) } else { Err(Fault::conflict(why)) };
        };
        // A retry of this box's operation, and nothing was retried there for it yet.
        let anew = f.attempt < cx.op.attempt;
        match o.state {
            VnfOpState::Completed => {
                self.settle_grant(at, occ, Over::Done)?;
                return Ok(Outcome::Done);
            }
            VnfOpState::Starting | VnfOpState::Processing | VnfOpState::RollingBack => self.while_moving(cx, at, &o, f)?,
            VnfOpState::FailedTemp if anew => {
                at.port.act(&at.vnfm, occ, OccAct::Retry)?;
                self.note_taken(cx, cx.op.attempt, occ, OccAct::Retry)?;
            }
            VnfOpState::Failed | VnfOpState::RolledBack if anew => {
                self.forget(cx)?;
                return Ok(again(cx, format!("VNFM {name} is asked anew")));
            }
            VnfOpState::FailedTemp if cx.op.cancel.is_none() && self.may_move_yet(f.taken) => {}
            VnfOpState::FailedTemp => return Err(o.fault(&at.vnfm)),
            VnfOpState::Failed => {
                self.settle_grant(at, occ, Over::Failed)?;
                return Err(o.fault(&at.vnfm));
            }
            VnfOpState::RolledBack => {
                self.settle_grant(at, occ, Over::Void)?;
                return Err(o.fault(&at.vnfm));
            }
        }
        Ok(again(cx, format!("VNFM {name}: operation {occ} ({}) is {}", o.operation, o.state.name())))
    }

    /// A cancellation is passed on, once in each mode; after a forceful one it is not waited for for ever.
    fn while_moving(&self, cx: &StepCx, at: &At, o: &Occ, f: &Followed) -> Result<()> {
        let Some(mode) = cx.op.cancel else {
            return match f.taken {
                // It has moved, or its cancelling is over.
                Some(_) => self.note_at(cx, f.attempt, ErrandState::Asked { occ: o.id.clone() }, Durability::Soon),
                None => Ok(()),
            };
        };
        let forceful = mode == CancelMode::Forceful;
        let told = match f.taken {
            Some((OccAct::Cancel(told), since)) if told || !forceful => Some((told, since)),
            Some(_) | None => None,
        };
        if told.is_some_and(|(forcefully, since)| forcefully && forceful && self.is_past(since, PATIENCE_MS)) {
            return Err(left(at, o));
        }
        // One that cannot now may be able to later.
        if o.state != VnfOpState::RollingBack && (!o.cancelling || (forceful && told.is_none())) {
            self.try_act(at, &o.id, OccAct::Cancel(forceful))?;
        }
        match told {
            Some(_) => Ok(()),
            None => self.note_taken(cx, f.attempt, &o.id, OccAct::Cancel(forceful)),
        }
    }

    /// What was asked for is there.
    fn is_reached(&self, cx: &StepCx, at: &At, task: &AbroadTask) -> Result<bool> {
        let Some(seen) = at.port.look(&at.vnfm, at.vnf.remote.as_deref().unwrap_or_default())? else { return Ok(false) };
        Ok(match task {
            AbroadTask::Instantiate(_) => seen.instantiated,
            AbroadTask::Scale { .. } | AbroadTask::ScaleToLevel { .. } => {
                let goal = self.store.get::<Change>(&at.vnf.vnf)?.filter(|c| c.op == cx.op.id).map(|c| c.scale).unwrap_or_default();
                !goal.is_empty() && goal.iter().all(|g| seen.scale.contains(g))
            }
            AbroadTask::Make | AbroadTask::Drop | AbroadTask::Terminate { .. } | AbroadTask::Heal { .. } | AbroadTask::Operate { .. } => {
                false
            }
        })
    }

    /// A VNFM need not be able to do it: false where it refuses.
    pub(super) fn try_act(&self, at: &At, occ: &str, act: OccAct) -> Result<bool> {
        match at.port.act(&at.vnfm, occ, act) {
            Err(f) if !f.is_transient() => {
                info!(vnfm = %at.vnfm.account, occ, ?act, "refused by a foreign VNFM: {f}");
                Ok(false)
            }
            other => other.map(|()| true),
        }
    }

    /// A VNFM may take something and do it later.
    pub(super) fn may_move_yet(&self, taken: Option<(OccAct, Stamp)>) -> bool {
        match taken {
            Some((OccAct::Retry | OccAct::Rollback | OccAct::Fail, at)) => !self.is_past(at, MOVES_WITHIN_MS),
            Some((OccAct::Cancel(_), _)) | None => false,
        }
    }

    fn is_past(&self, since: Stamp, ms: u64) -> bool {
        since.0.saturating_add(ms) <= self.clock.now().0
    }

    /// An operation there was begun by this box for this VNF: what others began is not meddled with.
    pub(super) fn is_ours(&self, at: &At, o: &Occ) -> Result<bool> {
        let is_its = |e: &AbroadErrand| match &e.state {
            // Its answer was lost, and it was given up.
            ErrandState::Asking { before } => !o.automatic && !before.contains(&o.id),
            ErrandState::Closing { before } => !o.automatic && o.operation == TERMINATE && !before.contains(&o.id),
            ErrandState::Asked { .. } | ErrandState::Undoing { .. } | ErrandState::Taken { .. } | ErrandState::Ending { .. } => {
                e.state.occ() == Some(&o.id)
            }
        };
        // Each VNFM has ids of its own, and two may have the same.
        let is_of_it = |e: &AbroadErrand| -> Result<bool> {
            let op = self.store.get::<Operation>(&e.op)?.or(self.store.get_history(&e.op)?);
            Ok(op.is_some_and(|op| op.target == Target::Vnf(at.vnf.vnf)))
        };
        for e in self.store.list::<AbroadErrand>()?.iter().filter(|e| is_its(e)) {
            if is_of_it(e)? {
                return Ok(true);
            }
        }
        let old = if o.automatic { Vec::new() } else { self.store.list_history::<AbroadErrand>()? };
        for e in old.iter().filter(|e| is_its(e)) {
            if is_of_it(e)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What is being cancelled begins nothing more there.
pub(super) fn check_goes_on(cx: &StepCx) -> Result<()> {
    match cx.op.cancel {
        None => Ok(()),
        Some(_) => Err(Fault::conflict("cancelled on request: nothing more is asked of its VNFM")),
    }
}

/// It was cancelled forcefully, and goes on there all the same.
pub(super) fn left(at: &At, o: &Occ) -> Fault {
    let (name, state) = (&at.vnfm.account, o.state.name());
    Fault::conflict(format!("cancelled forcefully on request: VNFM {name} still has operation {} ({}) in {state}", o.id, o.operation))
}
