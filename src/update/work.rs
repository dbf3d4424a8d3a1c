//! The one who does an update: a thread at a time, and what it has come to.
//!
//! Owns each step and that it is written down before what follows from it is done. Never: decides whether a bundle may be
//! installed (`plan`), or what is sound (`House`).

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use camino::Utf8Path;

use super::{
    Begun, How, Situation,
    begin::of_armed,
    journal, plan,
    port::{House, Slots, Take},
};
use crate::{
    model::{
        error::{Fault, Result},
        host::BootArgs,
        update::{Asked, Journal, Running, Update, UpdateEvent, UpdateState},
    },
    vim::setup::BootBlock,
};

/// How often it is looked, and how long it is waited.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two looks.
    pub look: Duration,
    /// So many looks in a row have to find a trial sound.
    pub steady: u32,
    /// A trial that is not sound by then is over.
    pub limit: Duration,
    /// What operations get at the end, though none was under way when the update was asked for.
    pub drain: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { look: Duration::from_secs(2), steady: 15, limit: Duration::from_secs(600), drain: Duration::from_secs(60) }
    }
}

/// How far an update is, and on what box.
#[derive(Debug, Clone)]
pub struct Status {
    pub running: Option<Running>,
    pub boot: Option<BootArgs>,
    pub journal: Journal,
    /// While a slot is written: percent, and what is done.
    pub progress: Option<(u8, String)>,
}

pub struct Updater {
    pub(super) slots: Arc<dyn Slots>,
    pub(super) block: Arc<BootBlock>,
    pub(super) house: Arc<dyn House>,
    pub(super) pace: Pace,
    pub(super) running: Option<Running>,
    how: How,
    state: Mutex<State>,
    /// Somebody wants it to look at once.
    poked: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) journal: Journal,
    pub(super) progress: Option<(u8, String)>,
    /// How often a bundle was asked for in this run: the number of the one that is fetched.
    pub(super) fetches: u64,
    worker: Option<JoinHandle<()>>,
    stop: bool,
    /// Why the trial is to end, if somebody said so.
    end: Option<String>,
    /// The box is on its way down to try the slot.
    leaving: bool,
}

impl Updater {
    pub fn new(slots: Arc<dyn Slots>, block: Arc<BootBlock>, house: Arc<dyn House>, pace: Pace, begun: Begun) -> Arc<Self> {
        let state = State { journal: begun.journal, ..State::default() };
        Arc::new(Updater {
            slots,
            block,
            house,
            pace,
            running: begun.running,
            how: begun.how,
            state: Mutex::new(state),
            poked: Condvar::new(),
        })
    }

    /// Goes on with what the last run of Bothy left. A box without slots has nothing to go on with.
    pub fn start(self: &Arc<Self>) {
        if self.running.is_none() {
            return;
        }
        let me = self.clone();
        match self.how {
            How::Trial { .. } | How::GiveUp => self.spawn(move || me.watch()),
            How::Finish => self.spawn(move || me.commit()),
            How::Plain => {
                self.tidy();
                if self.update().is_some_and(|u| !u.state.is_over()) {
                    self.go_on();
                }
            }
        }
    }

    /// Ends the thread; an update goes on with the next start. One that writes a slot is not waited for.
    pub fn stop(&self) {
        let worker = {
            let mut s = self.lock();
            s.stop = true;
            s.worker.take().filter(|_| s.progress.is_none())
        };
        self.poked.notify_all();
        if let Some(w) = worker
            && w.join().is_err()
        {
            tracing::warn!("the update's thread ended by a panic");
        }
    }

    pub fn status(&self) -> Result<Status> {
        let (journal, progress) = {
            let s = self.lock();
            (s.journal.clone(), s.progress.clone())
        };
        // After the record: one that says ARMED is of a block that is.
        let boot = if self.running.is_some() { self.block.read()? } else { None };
        Ok(Status { running: self.running.clone(), boot, journal, progress })
    }

    /// Why nothing of the box may be changed now, if so.
    pub fn closed(&self) -> Option<String> {
        let s = self.lock();
        let u = s.journal.update.as_ref()?;
        let version = u.bundle.as_ref().map_or("?", |b| b.version.as_str());
        match &u.state {
            UpdateState::OnTrial { .. } | UpdateState::Committing => {
                let waits = if u.unmet.is_empty() { String::new() } else { format!("; it waits for: {}", u.unmet.join("; ")) };
                Some(format!(
                    "version {version} is on trial in slot {}, and nothing can be changed until it has proved itself{waits}",
                    u.target
                ))
            }
            UpdateState::Draining => Some(format!("the box restarts into version {version} as soon as no operation is under way")),
            UpdateState::Armed if u.asked.reboot && s.leaving => Some(format!("the box restarts into version {version}")),
            UpdateState::Armed
            | UpdateState::Fetching
            | UpdateState::Received
            | UpdateState::Writing
            | UpdateState::Committed
            | UpdateState::RolledBack { .. }
            | UpdateState::Failed { .. }
            | UpdateState::Cancelled => None,
        }
    }

    /// An update that the next restart would cut through, or try.
    fn under_way(&self) -> Option<String> {
        let s = self.lock();
        let u = s.journal.update.as_ref()?;
        match u.state {
            UpdateState::Fetching | UpdateState::Received | UpdateState::Writing | UpdateState::Draining | UpdateState::Armed => {
                Some(format!("an update of the system is under way ({})", u.state.name()))
            }
            UpdateState::OnTrial { .. }
            | UpdateState::Committing
            | UpdateState::Committed
            | UpdateState::RolledBack { .. }
            | UpdateState::Failed { .. }
            | UpdateState::Cancelled => None,
        }
    }

    /// The box goes down and starts again, for something else than an update. Comes back before it does.
    pub fn restart_box(&self) -> Result<()> {
        if let Some(why) = self.closed().or_else(|| self.under_way()) {
            return Err(Fault::conflict(why));
        }
        let busy = self.house.in_flight()?;
        if !busy.is_empty() {
            return Err(Fault::conflict("the box restarts when no operation is under way").with_reasons(busy));
        }
        self.slots.restart()
    }

    /// This boot tries a slot, and has not kept it yet: what Bothy would do by itself is left.
    pub fn is_on_trial(&self) -> bool {
        self.update().is_some_and(|u| matches!(u.state, UpdateState::OnTrial { .. } | UpdateState::Committing))
    }

    /// Every reason why an update cannot be asked for now.
    pub fn may(&self, asked: &Asked) -> Result<()> {
        plan(&self.situation()?, asked, None).map(drop)
    }

    /// Takes the bundle and begins; the rest is done by a thread.
    pub fn install(self: &Arc<Self>, from: &Utf8Path, how: Take, asked: Asked) -> Result<()> {
        let mut update = self.anew(UpdateState::Received, asked)?;
        update.file = Some(self.slots.take(from, how)?.as_str().into());
        if let Err(fault) = self.enter(update) {
            self.tidy();
            return Err(fault);
        }
        self.go_on();
        Ok(())
    }

    /// An update that may begin.
    pub(super) fn anew(&self, state: UpdateState, asked: Asked) -> Result<Update> {
        let target = plan(&self.situation()?, &asked, None)?;
        let Some(running) = &self.running else { return Err(Fault::bug("no slots")) };
        // Of an update that was called off: it ends by itself, and two must not work on one record.
        let old = self.lock().worker.take();
        if let Some(w) = old
            && w.join().is_err()
        {
            tracing::warn!("the update's thread ended by a panic");
        }
        Ok(Update {
            state,
            target,
            from: running.version.clone(),
            bundle: None,
            asked,
            url: None,
            file: None,
            excused: Vec::new(),
            unmet: Vec::new(),
            armed_in: None,
            tried_at: None,
        })
    }

    /// It is the box's update from now on, unless somebody else was quicker.
    pub(super) fn enter(&self, update: Update) -> Result<()> {
        let mut s = self.lock();
        if let Some(u) = s.journal.update.as_ref().filter(|u| !u.state.is_over()) {
            return Err(Fault::conflict(format!("another update is {}", u.state.name())));
        }
        let old = s.journal.update.replace(update);
        let written = self.slots.remember(&journal::render(&s.journal));
        if written.is_err() {
            s.journal.update = old;
        }
        written
    }

    /// From where the record says it is, by a thread.
    pub(super) fn go_on(self: &Arc<Self>) {
        let me = self.clone();
        self.spawn(move || me.work());
    }

    /// Before the trial: it is not tried. On trial: the box goes back to the old slot now.
    pub fn call_off(&self, who: &str) -> Result<()> {
        let Some(u) = self.update() else { return Err(Fault::not_found("there is no update")) };
        match &u.state {
            UpdateState::OnTrial { .. } => {
                self.lock().end = Some(format!("{who} called it off"));
                self.poked.notify_all();
                Ok(())
            }
            UpdateState::Fetching | UpdateState::Received | UpdateState::Draining | UpdateState::Armed => {
                // The mark goes first: a record that says it was called off, of one that is tried, would be a lie.
                self.block.change(|b| Ok(b.without_trial_of_a_slot()))?;
                self.event(&UpdateEvent::CalledOff)?;
                self.set_progress(None);
                self.poked.notify_all();
                self.tidy();
                Ok(())
            }
            UpdateState::Writing => Err(Fault::conflict("the slot is being written; call it off when it is done")),
            UpdateState::Committing => Err(Fault::conflict("it is being kept now")),
            UpdateState::Committed => Err(Fault::conflict(
                "the version is kept, and so is the store that it has written to: to go back, install the bundle of the older version, where its security counter allows it",
            )),
            UpdateState::RolledBack { .. } | UpdateState::Failed { .. } | UpdateState::Cancelled => {
                Err(Fault::conflict("there is no update under way"))
            }
        }
    }

    /// From the bundle to the restart, from wherever the record says it is.
    fn work(&self) {
        while let Some(u) = self.update().filter(|u| !u.state.is_over()) {
            let done = match &u.state {
                UpdateState::Received => self.check(&u),
                UpdateState::Writing => self.write(&u),
                UpdateState::Draining => self.drain(&u),
                UpdateState::Armed => return self.arm(&u),
                // Whoever fetches it says when it is here.
                UpdateState::Fetching
                | UpdateState::OnTrial { .. }
                | UpdateState::Committing
                | UpdateState::Committed
                | UpdateState::RolledBack { .. }
                | UpdateState::Failed { .. }
                | UpdateState::Cancelled => return,
            };
            match done {
                Ok(true) => {}
                // Told to end: the next start goes on.
                Ok(false) => return,
                Err(fault) => self.broke(&fault),
            }
        }
    }

    fn check(&self, u: &Update) -> Result<bool> {
        let bundle = self.slots.check(file(u)?)?;
        let mut now = self.situation()?;
        // This one.
        now.state = None;
        plan(&now, &Asked { drain_s: Some(0), ..u.asked }, Some(&bundle))?;
        self.change(|u| u.bundle = Some(bundle.clone()), Some(&UpdateEvent::Verified))?;
        Ok(true)
    }

    fn write(&self, u: &Update) -> Result<bool> {
        self.set_progress(Some((0, "the slot is being written".to_owned())));
        let done = self.slots.write(file(u)?, u.target, &|percent, what| self.set_progress(Some((percent, what.to_owned()))));
        self.set_progress(None);
        done?;
        self.event(&UpdateEvent::Written)?;
        Ok(true)
    }

    /// From here on the API takes no changes.
    fn drain(&self, u: &Update) -> Result<bool> {
        let until = Instant::now() + self.pace.drain.max(Duration::from_secs(u64::from(u.asked.drain_s.unwrap_or(0))));
        let mut quiet = 0;
        loop {
            let busy = self.house.in_flight()?;
            quiet = if busy.is_empty() { quiet + 1 } else { 0 };
            // A request that was let in just before may have begun one since.
            if quiet == 2 {
                break;
            }
            if !busy.is_empty() && Instant::now() >= until {
                return Err(Fault::conflict("operations are still under way: the slot is written, and not tried").with_reasons(busy));
            }
            if !self.pause() {
                return Ok(false);
            }
            if self.update().is_none_or(|u| u.state != UpdateState::Draining) {
                return Ok(true);
            }
        }
        self.house.room_for_copy()?;
        let excused: Vec<_> = self.house.unmet().into_iter().map(|u| u.key).collect();
        let boot = self.running.as_ref().map(|r| r.boot_id.clone());
        let arm = |u: &mut Update| {
            u.excused = excused;
            u.armed_in = boot;
        };
        self.lock().leaving = true;
        self.change(arm, Some(&UpdateEvent::Quiet))?;
        Ok(true)
    }

    fn arm(&self, u: &Update) {
        let Some(running) = &self.running else { return };
        // After a start the block may not be there yet: what it says decides whether it was tried.
        if !self.lock().leaving {
            let boot = loop {
                if let Ok(Some(b)) = self.block.read() {
                    break b;
                }
                if !self.pause() {
                    return;
                }
            };
            if let Some(event) = of_armed(u, running, &boot) {
                if let Err(fault) = self.event(&event) {
                    tracing::error!("the record of the update cannot be written: {fault:?}");
                }
                return self.tidy();
            }
        }
        let armed = self.block.change(|b| match b.slot_try {
            Some(s) if s == u.target && b.armed => Ok(b.clone()),
            _ if b.armed && b.trial.is_some() => Err(Fault::conflict(
                "kernel arguments were put on trial meanwhile: restart the box first, or `bothy host apply --undo`, and install once more",
            )),
            Some(_) | None => Ok(b.trying(u.target)),
        });
        if let Err(fault) = armed {
            return self.broke(&fault);
        }
        self.lock().leaving = true;
        self.tidy();
        if !u.asked.reboot {
            return;
        }
        // Called off meanwhile: whoever did it has taken the mark off, before or after.
        if self.update().is_none_or(|u| u.state != UpdateState::Armed) {
            let _ = self.block.change(|b| Ok(b.without_trial_of_a_slot()));
            return;
        }
        tracing::info!(slot = %u.target, "the box restarts to try the slot");
        if let Err(fault) = self.slots.restart() {
            tracing::error!("the box does not restart: {fault:?}");
            let text = format!("the box does not restart by itself: {}; restart it to go on", fault.detail());
            let told = self.change(
                |u| {
                    u.unmet = vec![text.clone()];
                    u.asked.reboot = false;
                },
                None,
            );
            if let Err(fault) = told {
                tracing::error!("the record of the update cannot be written: {fault:?}");
            }
        }
    }

    pub(super) fn broke(&self, fault: &Fault) {
        // Called off while it was at work.
        if self.update().is_none_or(|u| u.state.is_over()) {
            return self.tidy();
        }
        tracing::warn!("the update is given up: {fault:?}");
        let why = if fault.reasons().is_empty() { vec![fault.text().to_owned()] } else { fault.reasons().to_vec() };
        let told = self.event(&UpdateEvent::Broke { why });
        if let Err(f) = told {
            tracing::error!("the record of the update cannot be written: {f:?}");
            // What is not on the disk is at least not tried for ever.
            let mut s = self.lock();
            if let Some(u) = &mut s.journal.update {
                u.state = UpdateState::Failed { why: vec![fault.detail(), f.detail()] };
            }
        }
        self.tidy();
    }

    /// No bundle stays that is not needed, and no mark of a trial that is over.
    pub(super) fn tidy(&self) {
        let update = self.update();
        let keep = update.as_ref().and_then(|u| match &u.state {
            UpdateState::Received | UpdateState::Writing => u.file.as_deref(),
            UpdateState::Fetching
            | UpdateState::Draining
            | UpdateState::Armed
            | UpdateState::OnTrial { .. }
            | UpdateState::Committing
            | UpdateState::Committed
            | UpdateState::RolledBack { .. }
            | UpdateState::Failed { .. }
            | UpdateState::Cancelled => None,
        });
        if let Err(fault) = self.slots.sweep(keep) {
            tracing::warn!("bundles of updates that are over stay: {fault:?}");
        }
        let over = update.is_none_or(|u| {
            u.state.is_over()
                || matches!(u.state, UpdateState::Fetching | UpdateState::Received | UpdateState::Writing | UpdateState::Draining)
        });
        if over {
            let cleared = match self.block.read() {
                Ok(Some(b)) if b.slot_try.is_some() => self.block.change(|b| Ok(b.without_trial_of_a_slot())).map(drop),
                Ok(_) => Ok(()),
                Err(fault) => Err(fault),
            };
            if let Err(fault) = cleared {
                tracing::warn!("the boot loader still has a trial that is over: {fault:?}");
            }
        }
    }

    fn situation(&self) -> Result<Situation> {
        let boot = if self.running.is_some() { self.block.read()? } else { None };
        let journal = self.lock().journal.clone();
        Ok(Situation {
            running: self.running.clone(),
            boot,
            state: journal.update.map(|u| u.state),
            in_flight: self.house.in_flight()?,
            failed: journal.failed,
            going_down: self.house.is_going_down(),
        })
    }

    pub(super) fn set_progress(&self, progress: Option<(u8, String)>) {
        self.lock().progress = progress;
    }

    pub(super) fn update(&self) -> Option<Update> {
        self.lock().journal.update.clone()
    }

    /// Why the trial is to end, if somebody said so.
    pub(super) fn told_to_end(&self) -> Option<String> {
        self.lock().end.clone()
    }

    pub(super) fn event(&self, event: &UpdateEvent) -> Result<()> {
        self.change(|_| (), Some(event))
    }

    /// Changes the update and writes it down; what cannot be written down has not happened.
    pub(super) fn change(&self, change: impl FnOnce(&mut Update), event: Option<&UpdateEvent>) -> Result<()> {
        let mut s = self.lock();
        let mut new = s.journal.clone();
        let u = new.update.as_mut().ok_or_else(|| Fault::bug("there is no update"))?;
        change(u);
        if let Some(event) = event {
            let next = u.state.next(event);
            u.state =
                next.ok_or_else(|| Fault::conflict(format!("an update that is {} cannot be so treated ({event:?})", u.state.name())))?;
            if let UpdateState::RolledBack { why } = &u.state
                && let Some(version) = u.bundle.as_ref().map(|b| b.version.clone())
            {
                let why = why.clone();
                new.remember(version, why);
            } else if u.state == UpdateState::Committed
                && let Some(version) = u.bundle.as_ref().map(|b| b.version.clone())
            {
                new.forgive(&version);
            }
        }
        if new != s.journal {
            self.slots.remember(&journal::render(&new))?;
            s.journal = new;
        }
        Ok(())
    }

    /// Waits until the next look; `false`: it is to end.
    pub(super) fn pause(&self) -> bool {
        let s = self.lock();
        if s.stop {
            return false;
        }
        let (s, _) = self.poked.wait_timeout(s, self.pace.look).unwrap_or_else(PoisonError::into_inner);
        !s.stop
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        let old = self.lock().worker.take();
        // It has come to its end, or nothing new could begin.
        drop(old);
        match std::thread::Builder::new().name("update".into()).spawn(work) {
            Ok(worker) => self.lock().worker = Some(worker),
            Err(e) => tracing::error!(error = %e, "the update's thread cannot be started: the next start of bothy goes on with it"),
        }
    }

    /// Waits for the thread's end. Tests do.
    #[cfg(test)]
    pub fn settle(&self) {
        let worker = self.lock().worker.take();
        if let Some(w) = worker {
            w.join().expect("no panic");
        }
    }

    /// Its process ends: once nothing it calls has an effect any more, nothing of it goes on.
    #[cfg(test)]
    pub fn settle_or_die(&self, is_dead: impl Fn() -> bool) {
        while self.lock().worker.as_ref().is_some_and(|w| !w.is_finished()) {
            if is_dead() {
                self.lock().stop = true;
                self.poked.notify_all();
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        self.settle();
    }
}

fn file(u: &Update) -> Result<&str> {
    u.file.as_deref().ok_or_else(|| Fault::bug("the update has no bundle"))
}
