//! What a start of Bothy means for the update that was under way: decided before the store is opened.
//!
//! Owns the decision, which is pure, and writing it down. Never: opens the store, or writes the boot loader's block.

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
    /// This start of a trial comes to nothing: the old system shall know why, should nothing else be heard of it. To be
    /// called only before the `Updater` goes on with the record.
    pub fn leave_word(&self, slots: &dyn Slots, fault: &Fault) {
        let mut journal = self.journal.clone();
        let (How::Trial { .. }, Some(u)) = (self.how, &mut journal.update) else { return };
        u.unmet = vec![format!("bothy does not start in it: {}", fault.detail())];
        if let Err(f) = slots.remember(&journal::render(&journal)) {
            tracing::error!("the old system will not know why: {f:?}");
        }
    }
}

/// Starts of Bothy in one trial.
const STARTS: u32 = 5;

/// Told where nobody said anything.
const SILENCE: &str =
    "the box came back to the old slot, and nothing was heard of the trial: it did not boot, or bothy did not start in it";

/// Looks at the record, the system that runs and the boot loader, and writes down what follows.
pub fn begin(slots: &dyn Slots, boot: Result<Option<BootArgs>>) -> Result<Begun> {
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
            Journal::default()
        }
    };
    let (how, event) = decide(journal.update.as_ref(), &running, boot);
    if matches!(how, How::Trial { .. } | How::GiveUp) && journal.update.as_ref().is_none_or(|u| u.state.is_over()) {
        journal.update = Some(stray(&running));
    }
    if let (Some(event), Some(u)) = (event, &mut journal.update)
        && let Some(next) = u.state.next(&event)
    {
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
        file: None,
        excused: Vec::new(),
        unmet: Vec::new(),
    }
}

fn decide(update: Option<&Update>, running: &Running, boot: Option<&BootArgs>) -> (How, Option<UpdateEvent>) {
    let tries = boot.is_some_and(|b| b.slot != running.slot && b.slot_try == Some(running.slot) && !b.armed);
    let on_trial = running.kind == BootKind::Trial && tries;
    let Some(u) = update.filter(|u| !u.state.is_over()) else {
        return if on_trial { (How::Trial { anew: true }, Some(UpdateEvent::Booted)) } else { (How::Plain, None) };
    };
    let of_target = running.slot == u.target;
    let kept = of_target && (running.kind != BootKind::Trial || boot.is_some_and(|b| b.slot == u.target));
    let back = || {
        let why = if u.unmet.is_empty() { vec![SILENCE.to_owned()] } else { u.unmet.clone() };
        (How::Plain, Some(UpdateEvent::CameBack { why }))
    };
    match &u.state {
        UpdateState::Received | UpdateState::Writing | UpdateState::Draining => (How::Plain, Some(UpdateEvent::Interrupted)),
        UpdateState::Armed if on_trial && of_target => (How::Trial { anew: true }, Some(UpdateEvent::Booted)),
        // The menu has cleared its mark: it was tried.
        UpdateState::Armed if !of_target && boot.is_some_and(|b| b.slot_try == Some(u.target) && !b.armed) => back(),
        UpdateState::Armed => (How::Plain, Some(UpdateEvent::Interrupted)),
        UpdateState::OnTrial { starts } if on_trial && of_target => {
            let how = if *starts >= STARTS { How::GiveUp } else { How::Trial { anew: false } };
            (how, Some(UpdateEvent::Booted))
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
        }
    }

    #[test]
    fn what_a_start_means_is_as_written_down() {
        let (on_a, trial, on_b) =
            (running(Slot::A, BootKind::Committed), running(Slot::B, BootKind::Trial), running(Slot::B, BootKind::Committed));
        let a = BootArgs::default();
        let (armed, tried, kept) = (a.trying(Slot::B), BootArgs { armed: false, ..a.trying(Slot::B) }, a.keeping(Slot::B));
        let update = |state| Update { state, ..stray(&trial) };
        let state = |name: &str| match name {
            "none" => None,
            "received" => Some(UpdateState::Received),
            "writing" => Some(UpdateState::Writing),
            "draining" => Some(UpdateState::Draining),
            "armed" => Some(UpdateState::Armed),
            "trial" => Some(UpdateState::OnTrial { starts: 1 }),
            "fifth" => Some(UpdateState::OnTrial { starts: STARTS }),
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
            ("received", &on_a, &a, How::Plain, "RECEIVED"),
            ("writing", &on_a, &a, How::Plain, "RECEIVED"),
            ("draining", &on_a, &a, How::Plain, "DRAINING"),
            ("armed", &on_a, &a, How::Plain, "ARMED"),
            ("armed", &on_a, &armed, How::Plain, "ARMED"),
            ("armed", &on_a, &tried, How::Plain, "ROLLED_BACK"),
            ("armed", &trial, &tried, fresh, "ON_TRIAL"),
            ("trial", &trial, &tried, on, "ON_TRIAL"),
            ("fifth", &trial, &tried, How::GiveUp, "ON_TRIAL"),
            ("trial", &on_a, &tried, How::Plain, "ROLLED_BACK"),
            ("trial", &on_a, &a, How::Plain, "ROLLED_BACK"),
            ("committing", &trial, &tried, on, "COMMITTING"),
            ("committing", &trial, &kept, How::Finish, "COMMITTING"),
            ("committing", &on_b, &kept, How::Finish, "COMMITTING"),
            ("committing", &on_a, &tried, How::Plain, "ROLLED_BACK"),
        ] {
            let u = state(name).map(update);
            let (found, event) = decide(u.as_ref(), r, Some(boot));
            assert_eq!(found, how, "{name} {r:?} {boot:?}");
            let u = u.filter(|u| !u.state.is_over() || event.is_none()).or_else(|| event.as_ref().map(|_| stray(r)));
            let next = u.map(|u| event.map_or(u.state.clone(), |e| u.state.next(&e).expect("a way")));
            assert_eq!(next.map_or("", |s| s.name()), to, "{name} {r:?} {boot:?}");
        }
    }
}
