//! What a start of Bothy means for the update that was under way: decided before the store is opened.
//!
//! Owns the decision, which is pure, and writing it down. Never: opens the store, or writes the boot loader's block.

use std::time::Duration;

use super::{journal, port::Slots};
use crate::model::{
    error::{Fault, Result},
    host::BootArgs,
    update::{Asked, BootKind, Bundle, Journal, Running, Update, UpdateEvent, UpdateState},
};

/// How the store is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As ever.
    Plain,
    /// As a copy: this boot is a trial. `anew`: of an older trial nothing may be left.
    Trial { anew: bool },
    /// The boot loader has the new slot, and the trial's store was not put in its place yet.
    Finish,
    /// The trial has started too often: the box is to be restarted, and nothing else.
    GiveUp,
}

/// What was found at the start.
#[derive(Debug, Clone)]
pub struct Begun {
    pub how: How,
    pub running: Option<Running>,
    pub journal: Journal,
}

impl Begun {
    /// What a trial has left of its time.
    pub fn left(&self, limit: Duration) -> Duration {
        let at = self.journal.update.as_ref().and_then(|u| u.tried_at);
        match (&self.running, at) {
            (Some(r), Some(at)) => limit.saturating_sub(Duration::from_secs(r.uptime_s.saturating_sub(at))),
            (Some(_) | None, _) => limit,
        }
    }
}

/// This start comes to nothing: if it is a trial's, the old system shall know why, should nothing else be heard of it.
/// Not while an `Updater` is at work. Says whether it is a trial's, and not one that was kept.
pub fn leave_word(slots: &dyn Slots, fault: &Fault) -> bool {
    let left = || -> Result<bool> {
        let on_trial = slots.running()?.is_some_and(|r| r.kind == BootKind::Trial);
        let Some(mut journal) = slots.recall()?.as_deref().map(journal::parse).transpose()?.filter(|_| on_trial) else { return Ok(false) };
        match &mut journal.update {
            Some(u) if matches!(u.state, UpdateState::Armed | UpdateState::OnTrial { .. }) => {
                u.unmet = vec![format!("bothy does not start in it: {}", fault.detail())];
            }
            Some(_) | None => return Ok(false),
        }
        slots.remember(&journal::render(&journal))?;
        Ok(true)
    };
    left().unwrap_or_else(|f| {
        tracing::error!("the old system will not know why: {f:?}");
        false
    })
}

/// Told where nobody said anything.
const SILENCE: &str =
    "the box came back to the old slot, and nothing was heard of the trial: it did not boot, or bothy did not start in it";

/// Looks at the record, the system that runs and the boot loader, and writes down what follows.
/// `limit`: the time that a trial has, over all starts of bothy in it.
pub fn begin(slots: &dyn Slots, boot: Result<Option<BootArgs>>, limit: Duration) -> Result<Begun> {
    let Some(running) = slots.running()? else {
        return Ok(Begun { how: How::Plain, running: None, journal: Journal::default() });
    };
    let boot = match boot {
        Ok(boot) => boot,
        // Whether this is still a trial cannot be guessed. The next start asks again.
        Err(fault) if running.kind == BootKind::Trial => return Err(fault.context("a boot on trial")),
        Err(fault) => {
            tracing::error!("the boot loader's block cannot be read: {fault:?}");
            None
        }
    };
    let boot = boot.as_ref();
    let mut journal = match slots.recall()?.as_deref().map(journal::parse).transpose() {
        Ok(j) => j.unwrap_or_default(),
        Err(fault) => {
            tracing::error!("updates begin without a record: {fault:?}");
            slots.set_aside()?;
            Journal::default()
        }
    };
    let (how, event) = decide(journal.update.as_ref(), &running, boot, limit);
    if matches!(how, How::Trial { .. } | How::GiveUp) && journal.update.as_ref().is_none_or(|u| u.state.is_over()) {
        journal.update = Some(stray(&running));
    }
    if let (Some(event), Some(u)) = (event, &mut journal.update)
        && let Some(next) = u.state.next(&event)
    {
        if event == UpdateEvent::Booted {
            u.tried_at.get_or_insert(running.uptime_s);
        }
        if let (UpdateState::RolledBack { why }, Some(b)) = (&next, u.bundle.clone()) {
            let why = why.clone();
            u.state = next;
            journal.remember(b.version, why);
        } else {
            u.state = next;
        }
        slots.remember(&journal::render(&journal))?;
    }
    Ok(Begun { how, running: Some(running), journal })
}

/// A trial that nobody armed, or whose record is lost: it has to prove itself like any other.
fn stray(running: &Running) -> Update {
    Update {
        state: UpdateState::Armed,
        target: running.slot,
        from: running.version.clone(),
        bundle: Some(Bundle {
            compatible: running.compatible.clone(),
            version: running.version.clone(),
            security: running.security,
            min_from: None,
        }),
        asked: Asked::default(),
        url: None,
        file: None,
        excused: Vec::new(),
        unmet: Vec::new(),
        armed_in: None,
        tried_at: None,
    }
}

/// What has become of an update that is armed, in a boot that does not try it. `None`: nothing yet.
pub(super) fn of_armed(u: &Update, running: &Running, boot: &BootArgs) -> Option<UpdateEvent> {
    let marked = boot.slot_try == Some(u.target);
    // The menu has cleared its mark: it was tried.
    if marked && !boot.armed && running.slot != u.target {
        return Some(came_back(u));
    }
    // Another boot, and the mark is still there: asked for a restart once more, the box would restart for ever.
    let other_boot = u.armed_in.as_ref().is_some_and(|b| *b != running.boot_id);
    (marked && boot.armed && other_boot).then(|| UpdateEvent::Broke {
        why: vec!["the box has restarted, and the boot loader did not take its mark: it cannot write the environment block".to_owned()],
    })
}

fn came_back(u: &Update) -> UpdateEvent {
    UpdateEvent::CameBack { why: if u.unmet.is_empty() { vec![SILENCE.to_owned()] } else { u.unmet.clone() } }
}

fn decide(update: Option<&Update>, running: &Running, boot: Option<&BootArgs>, limit: Duration) -> (How, Option<UpdateEvent>) {
    let tries = boot.is_some_and(|b| b.slot != running.slot && b.slot_try == Some(running.slot) && !b.armed);
    let on_trial = running.kind == BootKind::Trial && tries;
    let Some(u) = update.filter(|u| !u.state.is_over()) else {
        return if on_trial { (How::Trial { anew: true }, Some(UpdateEvent::Booted)) } else { (How::Plain, None) };
    };
    let of_target = running.slot == u.target;
    let kept = of_target && (running.kind != BootKind::Trial || boot.is_some_and(|b| b.slot == u.target));
    let back = || (How::Plain, Some(came_back(u)));
    match &u.state {
        UpdateState::Fetching | UpdateState::Received | UpdateState::Writing | UpdateState::Draining => {
            (How::Plain, Some(UpdateEvent::Interrupted))
        }
        UpdateState::Armed if on_trial && of_target => (How::Trial { anew: true }, Some(UpdateEvent::Booted)),
        // Where the block cannot be read nothing is known yet: the worker waits for it.
        UpdateState::Armed => (How::Plain, Some(boot.and_then(|b| of_armed(u, running, b)).unwrap_or(UpdateEvent::Interrupted))),
        UpdateState::OnTrial { .. } if on_trial && of_target => {
            let over = u.tried_at.is_some_and(|at| Duration::from_secs(running.uptime_s.saturating_sub(at)) >= limit);
            (if over { How::GiveUp } else { How::Trial { anew: false } }, Some(UpdateEvent::Booted))
        }
        UpdateState::Committing if kept => (How::Finish, Some(UpdateEvent::Interrupted)),
        UpdateState::Committing if on_trial && of_target => (How::Trial { anew: false }, Some(UpdateEvent::Interrupted)),
        UpdateState::OnTrial { .. } | UpdateState::Committing => back(),
        UpdateState::Committed | UpdateState::RolledBack { .. } | UpdateState::Failed { .. } | UpdateState::Cancelled => (How::Plain, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::update::{Slot, Verified};

    fn running(slot: Slot, kind: BootKind) -> Running {
        Running {
            slot,
            kind,
            version: "1.0".parse().expect("a version"),
            security: 1,
            compatible: "x".into(),
            verified: Verified::SecureBoot,
            refused_args: false,
            boot_id: "b-2".into(),
            uptime_s: 100,
        }
    }

    #[test]
    fn what_a_start_means_is_as_written_down() {
        let (on_a, trial, on_b) =
            (running(Slot::A, BootKind::Committed), running(Slot::B, BootKind::Trial), running(Slot::B, BootKind::Committed));
        let a = BootArgs::default();
        let (armed, tried, kept) = (a.trying(Slot::B), BootArgs { armed: false, ..a.trying(Slot::B) }, a.keeping(Slot::B));
        let update = |name: &str, state| Update {
            state,
            armed_in: Some(if name == "armed" { "b-1" } else { "b-2" }.into()),
            tried_at: Some(if name == "late" { 39 } else { 41 }),
            ..stray(&trial)
        };
        let state = |name: &str| match name {
            "none" => None,
            "fetching" => Some(UpdateState::Fetching),
            "received" => Some(UpdateState::Received),
            "writing" => Some(UpdateState::Writing),
            "draining" => Some(UpdateState::Draining),
            "armed" | "armed now" => Some(UpdateState::Armed),
            "trial" => Some(UpdateState::OnTrial { starts: 1 }),
            "late" => Some(UpdateState::OnTrial { starts: 5 }),
            "committing" => Some(UpdateState::Committing),
            "over" => Some(UpdateState::Committed),
            other => panic!("{other}"),
        };
        let fresh = How::Trial { anew: true };
        let on = How::Trial { anew: false };
        for (name, r, boot, how, to) in [
            ("none", &on_a, &a, How::Plain, ""),
            ("none", &trial, &tried, fresh, "ON_TRIAL"),
            ("over", &trial, &tried, fresh, "ON_TRIAL"),
            ("over", &on_b, &kept, How::Plain, "COMMITTED"),
            // Kept in this very boot.
            ("over", &trial, &kept, How::Plain, "COMMITTED"),
            ("fetching", &on_a, &a, How::Plain, "FETCHING"),
            ("received", &on_a, &a, How::Plain, "RECEIVED"),
            ("writing", &on_a, &a, How::Plain, "RECEIVED"),
            ("draining", &on_a, &a, How::Plain, "DRAINING"),
            ("armed", &on_a, &a, How::Plain, "ARMED"),
            ("armed now", &on_a, &armed, How::Plain, "ARMED"),
            // The boot loader did not take the mark: it is not asked for ever.
            ("armed", &on_a, &armed, How::Plain, "FAILED"),
            ("armed", &on_a, &tried, How::Plain, "ROLLED_BACK"),
            ("armed", &trial, &tried, fresh, "ON_TRIAL"),
            ("trial", &trial, &tried, on, "ON_TRIAL"),
            ("late", &trial, &tried, How::GiveUp, "ON_TRIAL"),
            ("trial", &on_a, &tried, How::Plain, "ROLLED_BACK"),
            ("trial", &on_a, &a, How::Plain, "ROLLED_BACK"),
            ("committing", &trial, &tried, on, "COMMITTING"),
            ("committing", &trial, &kept, How::Finish, "COMMITTING"),
            ("committing", &on_b, &kept, How::Finish, "COMMITTING"),
            ("committing", &on_a, &tried, How::Plain, "ROLLED_BACK"),
        ] {
            let u = state(name).map(|s| update(name, s));
            let (found, event) = decide(u.as_ref(), r, Some(boot), Duration::from_secs(60));
            assert_eq!(found, how, "{name} {r:?} {boot:?}");
            let u = u.filter(|u| !u.state.is_over() || event.is_none()).or_else(|| event.as_ref().map(|_| stray(r)));
            let next = u.map(|u| event.map_or(u.state.clone(), |e| u.state.next(&e).expect("a way")));
            assert_eq!(next.map_or("", |s| s.name()), to, "{name} {r:?} {boot:?}");
        }
        // A block that cannot be read says nothing of what is armed.
        let u = update("armed", UpdateState::Armed);
        assert_eq!(decide(Some(&u), &on_a, None, Duration::ZERO), (How::Plain, Some(UpdateEvent::Interrupted)));
    }
}
