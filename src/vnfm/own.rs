//! What operations ask of a VNF itself, or of its element manager (SOL002 9, 10).
//!
//! ```text
//! step: errand Due --> told to whoever asks (`own`) --> Over --> the step is done, or the operation stops
//!         `-- cancelled, out of time --> Cancelling: the other side is told, whatever becomes of the operation
//! ```
//! An errand outlives a restart, and is asked again then under the same operation's id. Owns its record, what an answer
//! means for the operation. Never: HTTP, and when to ask again (`own`), or where somebody is asked (`reach`).

use std::time::Duration;

use smol_str::SmolStr;
use tracing::info;

use super::{Vnfm, reach::Whom};
use crate::{
    lcm::port::{Outcome, StepCx, WakeKey},
    model::{
        error::{Fault, FaultRecord, Result},
        id::{OpId, ProjectId, VnfId},
        op::{CancelMode, Operation, Phase, Target},
        own::{Asked, Coordinated, Ended, EndpointKind, Errand, LONGEST_TEXT, Round, Verdict, What, keep},
        time::Stamp,
        vnf::VnfInstance,
    },
    store::Durability,
};

/// A step looks at its errand at least so often.
const LOOK: Duration = Duration::from_secs(5);
/// The calling off of an errand is given up after so many tries in vain: its operation has gone on.
const CALL_OFF_TRIES: u32 = 5;
/// Vain tries after which a healing goes on without: what is to be healed may well not answer.
const HEAL_TRIES: u32 = 3;

/// An errand's key: its operation and step.
pub type ErrandId = (OpId, u32);

/// An errand that is open, with what it is done with.
pub struct Awaited {
    pub errand: Errand,
    pub project: ProjectId,
    pub whom: Whom,
    /// Where this API is, if anybody told.
    pub base: String,
}

/// An answer as it was read.
pub struct Answered {
    pub id: SmolStr,
    /// When it was asked for.
    pub asked: Stamp,
    pub verdict: Verdict,
    pub why: String,
    pub warnings: String,
}

impl Vnfm {
    /// The step: done once the other side has said that the operation may go on.
    pub(super) fn ask_own(&self, cx: &StepCx, what: &What) -> Result<Outcome> {
        let (Target::Vnf(vnf), Some(operation)) = (cx.op.target, Coordinated::of(cx.op.kind)) else {
            return Err(Fault::bug(format!("operation {} coordinates with no VNF", cx.op.id)));
        };
        let key = (cx.op.id, cx.index);
        // Nothing to say is nothing to ask.
        if *what == What::Configure && self.own_properties(vnf)?.is_empty() {
            return Ok(Outcome::Done);
        }
        let limit = Duration::from_secs(self.rules().vnf_answer_s.into());
        let errand = match self.store.get::<Errand>(&key)? {
            // The last attempt's is being called off.
            Some(e) if e.attempt != cx.op.attempt && e.is_open() => {
                // It stays so, whatever becomes of this attempt: the other side is to be told.
                return if cx.op.cancel.is_some() || cx.elapsed >= limit {
                    Err(Fault::conflict(format!("{} is still to call off its {} of the last attempt", e.endpoint.says(), what.name())))
                } else {
                    Ok(waits(&e, limit.saturating_sub(cx.elapsed)))
                };
            }
            Some(e) if e.attempt == cx.op.attempt || matches!(e.state, Asked::Over(Ended::Continue | Ended::Skipped(_))) => e,
            before => self.begin_errand(cx, vnf, operation, what, before)?,
        };
        let late = || format!("{} has not done its {} within {} s", errand.endpoint.says(), what.name(), limit.as_secs());
        match (&errand.state, cx.op.cancel) {
            (Asked::Over(Ended::Continue | Ended::Skipped(_)), _) => Ok(Outcome::Done),
            (Asked::Over(Ended::Stopped(f)), _) => Err(Fault::from(f.clone())),
            (Asked::Due | Asked::Accepted(_) | Asked::Cancelling { .. }, Some(CancelMode::Forceful)) => {
                self.give_up(key, "cancelled forcefully on request")?;
                Err(Fault::conflict("cancelled forcefully on request"))
            }
            (Asked::Due | Asked::Accepted(_) | Asked::Cancelling { .. }, _) if cx.elapsed >= limit => {
                let why = if errand.why.is_empty() { late() } else { format!("{}: {}", late(), errand.why) };
                self.give_up(key, &why)?;
                Err(Fault::conflict(why))
            }
            // What has begun is called off, and how that ends is waited for.
            (Asked::Accepted(_), Some(CancelMode::Graceful)) => {
                self.give_up(key, "cancelled gracefully on request")?;
                Ok(waits(&errand, LOOK))
            }
            (Asked::Due, Some(CancelMode::Graceful)) => {
                self.give_up(key, "cancelled gracefully on request")?;
                Err(Fault::conflict("cancelled gracefully on request"))
            }
            (Asked::Due | Asked::Accepted(_), None) | (Asked::Cancelling { .. }, _) => Ok(waits(&errand, limit.saturating_sub(cx.elapsed))),
        }
    }

    fn begin_errand(&self, cx: &StepCx, vnf: VnfId, operation: Coordinated, what: &What, before: Option<Errand>) -> Result<Errand> {
        let before = before.unwrap_or_else(|| Errand {
            op: cx.op.id,
            step: cx.index,
            vnf,
            operation,
            what: what.clone(),
            attempt: 0,
            state: Asked::Due,
            endpoint: what.endpoint().unwrap_or(EndpointKind::Vnf),
            tries: 0,
            why: String::new(),
            delay: None,
            rounds: Vec::new(),
            rejected: Vec::new(),
            revision: 0,
        });
        let now = Errand {
            attempt: cx.op.attempt,
            state: Asked::Due,
            tries: 0,
            why: String::new(),
            delay: None,
            revision: before.revision + 1,
            ..before
        };
        self.store.write(Durability::Soon, |tx| tx.put(&now))?;
        self.poke();
        Ok(now)
    }

    pub(super) fn poke(&self) {
        if let Some(poke) = self.errands.get() {
            poke();
        }
    }

    /// Has `f` told of each errand that somebody has to do. Returns at once; the first caller stays.
    pub fn on_errand(&self, f: impl Fn() + Send + Sync + 'static) {
        let _ = self.errands.set(Box::new(f));
    }

    /// It is not wanted any more. What the other side has begun is called off.
    fn give_up(&self, key: ErrandId, why: &str) -> Result<()> {
        let left = self.note_errand(key, Durability::Soon, |e, _| {
            e.state = match std::mem::replace(&mut e.state, Asked::Due) {
                Asked::Due => Asked::Over(Ended::Stopped(Fault::conflict(why).record())),
                // Whatever was to be waited for: it is told at once, and as often as it takes.
                Asked::Accepted(at) => {
                    (e.delay, e.tries) = (None, 0);
                    Asked::Cancelling { at, told: false }
                }
                same @ (Asked::Cancelling { .. } | Asked::Over(_)) => same,
            }
        })?;
        if left.is_open() {
            self.poke();
        }
        Ok(())
    }

    /// A client cancels the operation: a step that waits for an answer looks again.
    pub fn told_to_cancel(&self, op: OpId) {
        if let Ok(engine) = self.engine() {
            engine.wake(WakeKey::Answer(op));
        }
    }

    /// Errands that somebody has to do. One whose operation has left it behind is given up.
    pub fn open_errands(&self) -> Result<Vec<ErrandId>> {
        let mut open = Vec::new();
        for e in self.store.list::<Errand>()?.into_iter().filter(Errand::is_open) {
            let key = (e.op, e.step);
            let wanted = matches!(e.state, Asked::Cancelling { .. })
                || self.store.get::<Operation>(&e.op)?.is_some_and(|o| o.state.phase() == Phase::Forward);
            if !wanted {
                self.give_up(key, "its operation has stopped")?;
            }
            open.push(key);
        }
        Ok(open)
    }

    /// `None`: there is nothing more to ask.
    pub fn errand(&self, key: ErrandId) -> Result<Option<Awaited>> {
        let Some(errand) = self.store.get::<Errand>(&key)?.filter(Errand::is_open) else { return Ok(None) };
        let told = self.endpoints(errand.vnf)?;
        let whom = self.whom(errand.vnf, errand.what.api(), errand.what.endpoint())?;
        let inst = self.store.get::<VnfInstance>(&errand.vnf)?;
        let project = inst.as_ref().map_or(ProjectId::DEFAULT, |v| v.project);
        let base = match told {
            Some(t) => t.base,
            None => inst.and_then(|v| v.owner).map(|o| o.base).unwrap_or_default(),
        };
        Ok(Some(Awaited { errand, project, whom, base }))
    }

    /// Of an operation, under way or long over.
    pub fn errands_of(&self, op: OpId) -> Result<Vec<Errand>> {
        let live = self.store.list_under::<Errand>(&op)?;
        if live.is_empty() { self.store.list_history_under(&op) } else { Ok(live) }
    }

    /// The other side has it and takes its time.
    pub fn errand_taken(&self, key: ErrandId, path: &str, kind: EndpointKind, asked: Stamp, delay: Option<Stamp>) -> Result<()> {
        self.answered(key, |e, _| {
            let id = path.rsplit('/').next().unwrap_or_default();
            let id: SmolStr = id.chars().take(LONGEST_TEXT).collect();
            keep(&mut e.rounds, Round { id, began: asked, ended: None, endpoint: kind, delay, warnings: String::new() });
            (e.endpoint, e.tries, e.delay) = (kind, 0, delay);
            e.why = String::new();
            e.state = match &e.state {
                Asked::Due => Asked::Accepted(path.to_owned()),
                // Given up meanwhile: it has to be called off.
                Asked::Accepted(_) | Asked::Cancelling { .. } | Asked::Over(_) => {
                    e.delay = None;
                    Asked::Cancelling { at: path.to_owned(), told: false }
                }
            };
        })
    }

    /// It is not done yet.
    pub fn errand_goes_on(&self, key: ErrandId, delay: Option<Stamp>) -> Result<()> {
        self.note_errand(key, Durability::Lazy, |e, now| {
            // Whoever has something to call off is not the one who says how long that is waited for.
            let soon = Stamp(now.0 + LOOK.as_millis() as u64);
            let delay = if matches!(e.state, Asked::Cancelling { .. }) { delay.map(|d| d.min(soon)) } else { delay };
            (e.why, e.delay) = (String::new(), delay);
            if let Some(r) = e.rounds.last_mut() {
                r.delay = delay.or(r.delay);
            }
        })
        .map(|_| ())
    }

    /// The other side cannot now, and says until when.
    pub fn errand_put_off(&self, key: ErrandId, kind: EndpointKind, why: &str, until: Stamp) -> Result<()> {
        self.note_errand(key, Durability::Soon, |e, now| {
            keep(&mut e.rejected, (now, until));
            (e.endpoint, e.why, e.delay) = (kind, short(why), Some(until));
            e.tries = e.tries.saturating_add(1);
        })
        .map(|_| ())
    }

    /// What came of it.
    pub fn errand_done(&self, key: ErrandId, kind: EndpointKind, a: &Answered) -> Result<()> {
        let id = SmolStr::new(short(&a.id));
        self.answered(key, |e, now| {
            let open = e.rounds.last_mut().filter(|r| r.ended.is_none());
            let warnings = short(&a.warnings);
            match open {
                Some(r) => (r.id, r.ended, r.warnings) = (id.clone(), Some((now, a.verdict)), warnings),
                None => {
                    let ended = Some((now, a.verdict));
                    keep(&mut e.rounds, Round { id: id.clone(), began: a.asked, ended, endpoint: kind, delay: None, warnings });
                }
            }
            e.endpoint = kind;
            let stopped = |how: &str| {
                let text = format!("{} {how} the operation at its {}", kind.says(), e.what.name());
                let text = if a.why.is_empty() { text } else { format!("{text}: {}", short(&a.why)) };
                Asked::Over(Ended::Stopped(Fault::conflict(text).record()))
            };
            e.state = match a.verdict {
                Verdict::Continue => Asked::Over(Ended::Continue),
                Verdict::Abort => stopped("aborts"),
                Verdict::Cancelled => stopped("has called off"),
            };
        })
    }

    /// The VNF has taken its configuration.
    pub fn errand_configured(&self, key: ErrandId) -> Result<()> {
        self.answered(key, |e, _| e.state = Asked::Over(Ended::Continue))
    }

    /// It is refused, or nobody can be asked.
    pub fn errand_stopped(&self, key: ErrandId, why: FaultRecord) -> Result<()> {
        self.answered(key, |e, _| {
            let text = format!("{} was asked for its {}: {}", e.endpoint.says(), e.what.name(), short(&why.text));
            e.state = Asked::Over(Ended::Stopped(FaultRecord { text, ..why.clone() }));
        })
    }

    /// It goes on without: nobody is there who could answer.
    pub fn errand_skipped(&self, key: ErrandId, why: &str) -> Result<()> {
        self.answered(key, |e, _| e.state = Asked::Over(Ended::Skipped(short(why))))
    }

    /// The other side was told to call it off.
    pub fn errand_called_off(&self, key: ErrandId) -> Result<()> {
        self.note_errand(key, Durability::Soon, |e, _| {
            if let Asked::Cancelling { told, .. } = &mut e.state {
                *told = true;
            }
        })
        .map(|_| ())
    }

    /// The other side has not answered as it should. How often that was so.
    pub fn errand_vain(&self, key: ErrandId, why: &str) -> Result<u32> {
        let e = self.note_errand(key, Durability::Lazy, |e, _| {
            e.tries = e.tries.saturating_add(1);
            (e.why, e.delay) = (short(why), None);
        })?;
        let alone = matches!(e.what, What::Coordinate(_));
        if alone && e.operation == Coordinated::Heal && e.state == Asked::Due && e.tries >= HEAL_TRIES {
            self.errand_skipped(key, &format!("asked {} times in vain: {}", e.tries, e.why))?;
        }
        if matches!(e.state, Asked::Cancelling { .. }) && e.tries >= CALL_OFF_TRIES {
            let why = format!("{} cannot be told that its {} is called off: {}", e.endpoint.says(), e.what.name(), e.why);
            self.answered(key, |e, _| e.state = Asked::Over(Ended::Stopped(Fault::conflict(&why).record())))?;
        }
        Ok(e.tries)
    }

    fn answered(&self, key: ErrandId, change: impl Fn(&mut Errand, Stamp)) -> Result<()> {
        let e = self.note_errand(key, Durability::Barrier, change)?;
        info!(op = %key.0, step = key.1, "{}", e.says());
        self.engine()?.wake(WakeKey::Answer(key.0));
        Ok(())
    }

    fn note_errand(&self, key: ErrandId, durability: Durability, change: impl Fn(&mut Errand, Stamp)) -> Result<Errand> {
        let now = self.clock.now();
        self.store.write(durability, |tx| {
            let mut e: Errand = tx.get(&key)?.ok_or_else(|| Fault::conflict(format!("operation {} asks nobody any more", key.0)))?;
            change(&mut e, now);
            e.revision += 1;
            tx.put(&e)?;
            Ok(e)
        })
    }
}

fn waits(e: &Errand, most: Duration) -> Outcome {
    Outcome::Again { after: most.clamp(Duration::from_millis(10), LOOK), why: e.says(), wake: Some(WakeKey::Answer(e.op)) }
}

fn short(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}
