//! Brings an instance at its VNFM to where nothing of it is instantiated, whatever was asked there before.
//!
//! ```text
//! moving -> cancel      FAILED_TEMP -> rollback, then fail      instantiated -> terminate, once in an attempt
//! ```
//! A VNFM may take a request and act on it later: what was taken is waited for before more is asked. Never: what the step is.

use super::{
    super::Vnfm,
    port::Occ,
    run::{At, again, check_goes_on, left, taken_of},
};
use crate::{
    lcm::port::{Outcome, StepCx},
    model::{
        abroad::{AbroadErrand, AbroadTask, ErrandState, OccAct},
        error::Result,
        op::VnfOpState,
    },
    store::Durability,
};

pub(super) const TERMINATE: &str = "TERMINATE";

impl Vnfm {
    /// `None`: it is there, or gone.
    pub(super) fn quell(&self, cx: &StepCx, at: &At, id: &str) -> Result<Option<Outcome>> {
        let (port, name) = (&at.port, &at.vnfm.account);
        let errand = self.store.get::<AbroadErrand>(&(cx.op.id, cx.index))?.filter(|e| e.attempt == cx.op.attempt);
        let noted = errand.map(|e| e.state);
        // Operations first: one that ends between the two has changed the instance when that is looked at.
        let occs = port.occs(&at.vnfm, id)?;
        let Some(o) = occs.iter().find(|o| !o.state.is_final()) else {
            if port.look(&at.vnfm, id)?.is_none_or(|seen| !seen.instantiated) {
                return Ok(None);
            }
            check_goes_on(cx)?;
            let is_begun = |o: &&Occ| match &noted {
                Some(ErrandState::Closing { before }) => !o.automatic && !before.contains(&o.id),
                Some(state) => state.occ() == Some(&o.id),
                None => false,
            };
            if let Some(over) = occs.iter().filter(|o| o.operation == TERMINATE).find(is_begun) {
                return Err(over.fault(&at.vnfm));
            }
            let before = occs.iter().map(|o| o.id.clone()).collect();
            self.note_abroad(cx, ErrandState::Closing { before }, Durability::Barrier)?;
            let occ = port.begin(&at.vnfm, id, &AbroadTask::Terminate { graceful_s: None })?;
            self.note_abroad(cx, ErrandState::Ending { occ: occ.clone() }, Durability::Soon)?;
            return Ok(Some(again(cx, format!("VNFM {name} terminates it by operation {occ}"))));
        };
        let said = Ok(Some(again(cx, format!("VNFM {name}: operation {} ({}) is {}", o.id, o.operation, o.state.name()))));
        let taken = noted.as_ref().and_then(|s| taken_of(s, &o.id));
        let tried = match &noted {
            Some(ErrandState::Undoing { occ, act }) if *occ == o.id => Some(*act),
            Some(_) | None => taken.map(|(act, _)| act),
        };
        if o.state == VnfOpState::FailedTemp {
            if cx.op.cancel.is_none() && self.may_move_yet(taken) {
                return said;
            }
        } else {
            if cx.hurry() {
                return Err(left(at, o));
            }
            if let Some((act @ (OccAct::Retry | OccAct::Rollback | OccAct::Fail), _)) = taken {
                self.note_abroad(cx, ErrandState::Undoing { occ: o.id.clone(), act }, Durability::Soon)?;
            }
        }
        let ends = o.operation == TERMINATE;
        // Its answer may have been lost, or it is an earlier attempt's; another's is waited for, and no more.
        if ends && noted.as_ref().and_then(ErrandState::occ) != Some(&o.id) && self.is_ours(at, o)? {
            self.note_abroad(cx, ErrandState::Ending { occ: o.id.clone() }, Durability::Soon)?;
        }
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
            self.ask_to_end(cx, at, o, act)?;
        }
        said
    }

    fn ask_to_end(&self, cx: &StepCx, at: &At, o: &Occ, act: OccAct) -> Result<()> {
        let stuck = o.state == VnfOpState::FailedTemp;
        if stuck {
            check_goes_on(cx)?;
        }
        if !self.is_ours(at, o)? {
            // Waited for, as long as it moves.
            return if stuck { Err(o.fault(&at.vnfm)) } else { Ok(()) };
        }
        if self.try_act(at, &o.id, act)? {
            self.note_taken(cx, cx.op.attempt, &o.id, act)
        } else {
            self.note_abroad(cx, ErrandState::Undoing { occ: o.id.clone(), act }, Durability::Soon)
        }
    }
}
