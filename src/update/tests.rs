//! Updates on the simulated box: the whole way, and a cut at each change of it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use camino::Utf8PathBuf;
use tempfile::TempDir;

use super::{
    Begun, How, Pace, Updater, begin, journal, leave_word,
    port::{House, Slots as _, Take},
};
use crate::{
    model::{
        error::{Fault, Result},
        host::BootArgs,
        update::{Asked, Slot, Unmet, UpdateState},
    },
    sim::{
        Sim,
        faults::{Method, Rule, Then},
        slots::bundle,
    },
    vim::setup::BootBlock,
};

/// Whatever is sound has its time, and what is not has none.
const LONG: Duration = Duration::from_secs(3600);
const QUICK: Pace = Pace { look: Duration::from_millis(1), steady: 2, limit: LONG, drain: Duration::from_millis(20) };

/// Which stores there are on the disk, as the box would have them: which version wrote last into the one that counts.
#[derive(Default)]
struct Stores {
    /// Its content: changes that were acknowledged, and by which version it was migrated.
    real: BTreeSet<String>,
    trial: Option<BTreeSet<String>>,
}

/// The rest of Bothy, in one run of it.
struct Rest {
    sim: Sim,
    stores: Arc<Mutex<Stores>>,
    sound: AtomicBool,
    busy: AtomicUsize,
    going_down: AtomicBool,
    full: AtomicBool,
    down: Mutex<Vec<&'static str>>,
}

impl House for Rest {
    fn in_flight(&self) -> Result<Vec<String>> {
        Ok((0..self.busy.load(Ordering::SeqCst)).map(|n| format!("operation {n}")).collect())
    }
    fn unmet(&self) -> Vec<Unmet> {
        let mut all: Vec<&str> = self.down.lock().expect("down").clone();
        if !self.sound.load(Ordering::SeqCst) {
            all.push("libvirt");
        }
        all.into_iter().map(|k| Unmet { key: k.into(), why: format!("{k} does not answer") }).collect()
    }
    fn is_going_down(&self) -> bool {
        self.going_down.load(Ordering::SeqCst)
    }
    fn room_for_copy(&self) -> Result<()> {
        if self.full.load(Ordering::SeqCst) { Err(Fault::capacity("no room for a copy of the store")) } else { Ok(()) }
    }
    fn keep_store(&self) -> Result<()> {
        // By a call of the box's, so that a sweep cuts before it and after it too.
        self.sim.keep_store(|| {
            let mut s = self.stores.lock().expect("stores");
            if let Some(t) = s.trial.take() {
                s.real = t;
            }
        })
    }
}

pub(super) struct Rig {
    pub(super) sim: Sim,
    block: Arc<BootBlock>,
    stores: Arc<Mutex<Stores>>,
    dir: TempDir,
}

/// One run of Bothy.
pub(super) struct Run {
    pub(super) updater: Arc<Updater>,
    rest: Arc<Rest>,
    how: How,
}

impl Rig {
    pub(super) fn new() -> Rig {
        let sim = Sim::default();
        sim.set_slots("1.0", 1);
        let stores = Arc::new(Mutex::new(Stores { real: BTreeSet::from(["acknowledged".to_owned()]), trial: None }));
        Rig { block: Arc::new(BootBlock::new(Arc::new(sim.clone()))), sim, stores, dir: tempfile::tempdir().expect("a folder") }
    }
    pub(super) fn file(&self, text: &str) -> Utf8PathBuf {
        let path = Utf8PathBuf::from_path_buf(self.dir.path().join("bundle")).expect("UTF-8");
        std::fs::write(&path, text).expect("written");
        path
    }
    fn boot_block(&self) -> BootArgs {
        self.block.read().expect("asked").expect("there")
    }
    fn begin(&self) -> Result<Begun> {
        begin(&self.sim, self.block.read(), Duration::from_secs(600))
    }
    /// Bothy starts; `None` where it ends again at once.
    pub(super) fn start(&self, sound: bool) -> Option<Run> {
        self.start_with(sound, Pace { limit: if sound { LONG } else { Duration::ZERO }, ..QUICK })
    }
    fn start_with(&self, sound: bool, pace: Pace) -> Option<Run> {
        let begun = self.begin().ok()?;
        let how = begun.how;
        let version = begun.running.as_ref().expect("slots").version.to_string();
        {
            let mut s = self.stores.lock().expect("stores");
            // As the store does it: a finish before all, a copy for a trial, and else no copy is left.
            match how {
                How::Finish => {
                    if let Some(t) = s.trial.take() {
                        s.real = t;
                    }
                }
                How::Trial { anew } => {
                    if anew || s.trial.is_none() {
                        s.trial = Some(s.real.clone());
                    }
                    s.trial.as_mut().expect("a copy").insert(format!("migrated by {version}"));
                }
                How::Plain => {
                    s.trial = None;
                    if version != "1.0" {
                        s.real.insert(format!("migrated by {version}"));
                    }
                }
                How::GiveUp => {
                    drop(s);
                    self.sim.restart().ok()?;
                    return None;
                }
            }
        }
        let rest = Arc::new(Rest {
            sim: self.sim.clone(),
            stores: self.stores.clone(),
            sound: AtomicBool::new(sound),
            busy: AtomicUsize::new(0),
            going_down: AtomicBool::new(false),
            full: AtomicBool::new(false),
            down: Mutex::default(),
        });
        let updater = Updater::new(Arc::new(self.sim.clone()), self.block.clone(), rest.clone(), pace, begun);
        updater.start();
        Some(Run { updater, rest, how })
    }
}

impl Run {
    pub(super) fn state(&self) -> Option<UpdateState> {
        self.updater.status().ok()?.journal.update.map(|u| u.state)
    }
    pub(super) fn name(&self) -> &'static str {
        self.state().map_or("none", |s| s.name())
    }
    pub(super) fn install(&self, rig: &Rig, text: &str, asked: Asked) -> Result<()> {
        self.updater.install(&rig.file(text), Take::Copy, asked)
    }
}

#[test]
fn a_sound_version_is_written_tried_and_kept() {
    let rig = Rig::new();
    let run = rig.start(true).expect("up");
    run.install(&rig, &bundle("1.1", 1), Asked::default()).expect("begun");
    run.updater.settle();
    assert_eq!((run.name(), rig.sim.is_restarting(), rig.sim.in_slot(Slot::B).as_deref()), ("ARMED", true, Some("1.1")));
    assert!(run.updater.closed().expect("closed").contains("restarts into version 1.1"));
    assert_eq!((rig.boot_block(), rig.sim.bundles()), (BootArgs::default().trying(Slot::B), 0));
    run.updater.stop();

    rig.sim.boot_box(true);
    let run = rig.start(true).expect("up");
    assert_eq!(run.how, How::Trial { anew: true });
    assert!(run.updater.is_on_trial());
    run.updater.settle();
    assert_eq!((run.name(), run.updater.closed(), run.updater.is_on_trial()), ("COMMITTED", None, false));
    assert_eq!(rig.boot_block(), BootArgs { slot: Slot::B, ..BootArgs::default() });
    assert!(rig.stores.lock().expect("stores").real.contains("migrated by 1.1"));

    // Started again in the same boot, and in the next: an ordinary one.
    for _ in 0..2 {
        let run = rig.start(true).expect("up");
        assert_eq!((run.how, run.name()), (How::Plain, "COMMITTED"));
        rig.sim.boot_box(true);
    }
    // And the next update goes to the first slot.
    let run = rig.start(true).expect("up");
    run.install(&rig, &bundle("1.2", 1), Asked { reboot: false, ..Asked::default() }).expect("begun");
    run.updater.settle();
    assert_eq!((run.name(), rig.sim.in_slot(Slot::A).as_deref(), rig.sim.is_restarting()), ("ARMED", Some("1.2"), false));
    assert_eq!(run.updater.closed(), None, "nobody restarts it");
}

#[test]
fn a_version_that_is_not_sound_is_left_with_its_reasons_and_not_tried_again() {
    // It runs and misses something; it does not come up at all; bothy starts in it again and again.
    for (comes_up, words) in [(true, "libvirt does not answer"), (false, "nothing was heard of the trial")] {
        let rig = Rig::new();
        let run = rig.start(true).expect("up");
        run.install(&rig, &bundle("1.1", 1), Asked::default()).expect("begun");
        run.updater.settle();
        rig.sim.boot_box(comes_up);
        if comes_up {
            let run = rig.start(false).expect("up");
            assert!(run.updater.closed().is_some());
            run.updater.settle();
            assert!(rig.sim.is_restarting());
            assert!(run.updater.closed().expect("still").contains(words));
            rig.sim.boot_box(true);
        }
        let run = rig.start(true).expect("up");
        let Some(UpdateState::RolledBack { why }) = run.state() else { panic!("{}", run.name()) };
        assert!(why[0].contains(words), "{why:?}");
        assert_eq!((rig.boot_block(), run.updater.closed()), (BootArgs::default(), None), "nothing is left of the trial");
        assert_eq!(rig.stores.lock().expect("stores").real, BTreeSet::from(["acknowledged".to_owned()]), "the old store is untouched");
        rig.sim.boot_box(true);

        let run = rig.start(true).expect("up");
        run.install(&rig, &bundle("1.1", 1), Asked::default()).expect("begun");
        run.updater.settle();
        let Some(UpdateState::Failed { why }) = run.state() else { panic!("{}", run.name()) };
        assert!(why[0].contains("did not stay") && why[0].contains(words), "{why:?}");
        run.install(&rig, &bundle("1.1", 1), Asked { again: true, ..Asked::default() }).expect("begun");
        run.updater.settle();
        assert_eq!(run.name(), "ARMED");
        rig.sim.boot_box(true);
        let run = rig.start(true).expect("up");
        run.updater.settle();
        assert_eq!((run.name(), run.updater.status().expect("status").journal.failed.len()), ("COMMITTED", 0), "it has proved itself");
    }
}

#[test]
fn a_daemon_that_starts_in_a_trial_again_and_again_gives_it_up() {
    let rig = Rig::new();
    let run = rig.start(true).expect("up");
    run.install(&rig, &bundle("1.1", 1), Asked::default()).expect("begun");
    run.updater.settle();
    rig.sim.boot_box(true);
    // Each start is killed at once. However many there are, they share the time of one trial.
    for (uptime, how) in
        [(30, How::Trial { anew: true }), (31, How::Trial { anew: false }), (629, How::Trial { anew: false }), (630, How::GiveUp)]
    {
        rig.sim.set_uptime(uptime);
        let begun = rig.begin().expect("begun");
        assert_eq!((begun.how, begun.left(Duration::from_secs(600)).as_secs()), (how, 630 - uptime), "{uptime}");
    }
    rig.sim.boot_box(true);
    assert_eq!(rig.start(true).expect("up").name(), "ROLLED_BACK");
}

#[test]
fn a_start_that_comes_to_nothing_leaves_its_reason_to_the_old_system() {
    let rig = Rig::new();
    let run = rig.start(true).expect("up");
    run.install(&rig, &bundle("1.1", 1), Asked::default()).expect("begun");
    run.updater.settle();
    assert!(!leave_word(&rig.sim, &Fault::bug("none of a trial's")));
    rig.sim.boot_box(true);
    rig.begin().expect("begun");
    assert!(leave_word(&rig.sim, &Fault::bug("the store is damaged")));
    rig.sim.boot_box(true);
    let why = vec!["bothy does not start in it: the store is damaged".to_owned()];
    assert_eq!(rig.start(true).expect("up").state(), Some(UpdateState::RolledBack { why }));
}

#[test]
fn what_was_not_up_before_is_no_fault_of_the_update() {
    let rig = Rig::new();
    let run = rig.start(true).expect("up");
    run.rest.down.lock().expect("down").push("guest 7");
    run.install(&rig, &bundle("1.1", 1), Asked::default()).expect("begun");
    run.updater.settle();
    rig.sim.boot_box(true);
    let run = rig.start_with(false, QUICK).expect("up");
    *run.rest.down.lock().expect("down") = vec!["guest 7", "guest 8"];
    run.rest.sound.store(true, Ordering::SeqCst);
    let waits = |words: &str| {
        while !run.updater.status().expect("status").journal.update.expect("one").unmet.join(";").contains(words) {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    waits("guest 8");
    assert_eq!(run.name(), "ON_TRIAL");
    run.rest.down.lock().expect("down").pop();
    run.updater.settle();
    assert_eq!(run.name(), "COMMITTED", "guest 7 was down before");
}

#[test]
fn operations_under_way_are_waited_for_or_refuse_the_update() {
    let rig = Rig::new();
    let run = rig.start_with(true, Pace { drain: Duration::from_millis(5), ..QUICK }).expect("up");
    run.rest.busy.store(1, Ordering::SeqCst);
    let e = run.install(&rig, &bundle("1.1", 1), Asked::default()).expect_err("refused");
    assert!(e.detail().contains("operation 0 is under way"), "{e}");
    assert_eq!((run.name(), rig.sim.bundles()), ("none", 0));

    run.install(&rig, &bundle("1.1", 1), Asked { drain_s: Some(0), ..Asked::default() }).expect("begun");
    run.updater.settle();
    let Some(UpdateState::Failed { why }) = run.state() else { panic!("{}", run.name()) };
    assert!(why[0].contains("operation 0") && run.updater.closed().is_none(), "{why:?}");

    run.install(&rig, &bundle("1.1", 1), Asked { drain_s: Some(600), ..Asked::default() }).expect("begun");
    while run.name() != "DRAINING" {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(run.updater.closed().is_some(), "no new ones");
    run.rest.busy.store(0, Ordering::SeqCst);
    run.updater.settle();
    assert_eq!(run.name(), "ARMED");
}

#[test]
fn a_boot_loader_that_does_not_take_the_mark_is_not_asked_for_ever() {
    let rig = Rig::new();
    let run = rig.start(true).expect("up");
    run.install(&rig, &bundle("1.1", 1), Asked::default()).expect("begun");
    run.updater.settle();
    // It boots the old slot, and the mark stays.
    rig.sim.boot_box(false);
    rig.block.change(|b| Ok(b.trying(Slot::B))).expect("the mark stays");
    let run = rig.start(true).expect("up");
    run.updater.settle();
    let Some(UpdateState::Failed { why }) = run.state() else { panic!("{}", run.name()) };
    assert!(why[0].contains("did not take its mark"), "{why:?}");
    assert_eq!((rig.boot_block(), rig.sim.is_restarting()), (BootArgs::default(), false));
}

#[test]
fn what_would_be_tried_with_it_or_has_no_room_is_told_before_the_restart() {
    let rig = Rig::new();
    let run = rig.start(true).expect("up");
    run.rest.full.store(true, Ordering::SeqCst);
    run.install(&rig, &bundle("1.1", 1), Asked::default()).expect("begun");
    run.updater.settle();
    let Some(UpdateState::Failed { why }) = run.state() else { panic!("{}", run.name()) };
    assert!(why[0].contains("no room") && run.updater.closed().is_none(), "{why:?}");
    run.rest.full.store(false, Ordering::SeqCst);

    // Kernel arguments come on trial while the slot is written.
    run.rest.busy.store(1, Ordering::SeqCst);
    run.install(&rig, &bundle("1.1", 1), Asked { drain_s: Some(600), ..Asked::default() }).expect("begun");
    while run.name() != "DRAINING" {
        std::thread::sleep(Duration::from_millis(1));
    }
    let args = BootArgs { trial: Some(Default::default()), armed: true, ..BootArgs::default() };
    rig.block.change(|_| Ok(args.clone())).expect("put on trial");
    run.rest.busy.store(0, Ordering::SeqCst);
    run.updater.settle();
    let Some(UpdateState::Failed { why }) = run.state() else { panic!("{}", run.name()) };
    assert!(why[0].contains("kernel arguments"), "{why:?}");
    assert_eq!((rig.boot_block(), rig.sim.is_restarting()), (args, false), "they are still tried");
}

#[test]
fn an_update_can_be_called_off_until_it_is_kept() {
    let rig = Rig::new();
    let run = rig.start(true).expect("up");
    assert!(run.updater.call_off("eve").is_err(), "there is none");
    run.install(&rig, &bundle("1.1", 1), Asked { reboot: false, ..Asked::default() }).expect("begun");
    run.updater.settle();
    assert!(rig.boot_block().armed);
    run.updater.call_off("eve").expect("called off");
    assert_eq!((run.name(), rig.boot_block()), ("CANCELLED", BootArgs::default()));
    assert!(run.updater.call_off("eve").is_err());

    run.install(&rig, &bundle("1.1", 1), Asked::default()).expect("it was not tried, so it did not fail");
    run.updater.settle();
    rig.sim.boot_box(true);
    let run = rig.start_with(false, QUICK).expect("up");
    run.updater.call_off("eve").expect("called off");
    run.updater.settle();
    assert!(rig.sim.is_restarting());
    rig.sim.boot_box(true);
    let run = rig.start(true).expect("up");
    assert_eq!(run.state(), Some(UpdateState::RolledBack { why: vec!["eve called it off".into(), "libvirt does not answer".into()] }));
}

#[test]
fn what_is_no_bundle_for_this_box_changes_nothing_of_it() {
    for (text, words) in [
        (bundle("1.1", 1) + "signature=wrong\n", "signature"),
        ("nonsense".to_owned(), "not a bundle"),
        (bundle("1.0", 1), "runs already"),
        (bundle("1.1", 0), "security counter is 0"),
        (bundle("1.1", 1).replace("bothy-sim", "toaster"), "is for toaster"),
        (bundle("1.1", 1) + "min-from=1.0.1\n", "follows version 1.0.1"),
    ] {
        let rig = Rig::new();
        let run = rig.start(true).expect("up");
        run.install(&rig, &text, Asked::default()).expect("begun");
        run.updater.settle();
        let Some(UpdateState::Failed { why }) = run.state() else { panic!("{}", run.name()) };
        assert!(why.join(";").contains(words), "{words}: {why:?}");
        assert_eq!((rig.sim.faults().count(Method::WriteSlot), rig.sim.bundles(), rig.boot_block()), (0, 0, BootArgs::default()));
    }
}

#[test]
fn a_box_without_slots_says_so() {
    let sim = Sim::default();
    let rig = Rig { block: Arc::new(BootBlock::new(Arc::new(sim.clone()))), sim, ..Rig::new() };
    let begun = rig.begin().expect("begun");
    assert_eq!((begun.how, begun.running.clone()), (How::Plain, None));
    let rest = Arc::new(Rest {
        sim: rig.sim.clone(),
        stores: rig.stores.clone(),
        sound: AtomicBool::new(true),
        busy: AtomicUsize::new(0),
        going_down: AtomicBool::new(false),
        full: AtomicBool::new(false),
        down: Mutex::default(),
    });
    let updater = Updater::new(Arc::new(rig.sim.clone()), rig.block.clone(), rest, QUICK, begun);
    updater.start();
    let e = updater.install(&rig.file(&bundle("1.1", 1)), Take::Copy, Asked::default()).expect_err("refused");
    assert!(e.text().contains("no second slot"), "{e}");
    assert!(updater.closed().is_none() && updater.status().expect("status").running.is_none());
}

/// A cut at a change of the box: of the process alone, or of the power.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cut {
    Kill,
    Power,
}

/// Brings an update from the request to its end, with one cut after the `n`th change (or before it). Says whether the
/// cut came.
fn cut_at(n: u64, then: Then, cut: Cut, sound: bool) -> bool {
    let what = format!("cut {cut:?} {then:?} at change {n}, sound {sound}");
    let rig = Rig::new();
    let mut run = rig.start(true);
    rig.sim.faults().add(Rule::nth_change(n, then));
    if let Some(r) = &run {
        let _ = r.install(&rig, &bundle("1.1", 1), Asked::default());
    }
    let mut came = false;
    for _ in 0..12 {
        if let Some(r) = &run {
            r.updater.settle_or_die(|| rig.sim.faults().is_dead());
        }
        let runs = rig.sim.running();
        if rig.sim.faults().is_dead() {
            came = true;
            rig.sim.faults().clear();
            if cut == Cut::Power {
                rig.sim.boot_box(true);
            }
        } else if rig.sim.is_restarting() {
            rig.sim.boot_box(true);
        } else if let Some(r) = &run
            && r.state().is_none_or(|s| s.is_over())
            && runs.is_ok()
        {
            break;
        }
        let is_new = rig.sim.running().expect("runs").expect("slots").version.as_str() == "1.1";
        run = rig.start(sound || !is_new);
    }
    let run = run.unwrap_or_else(|| panic!("{what}: it never came to rest"));
    let (state, boot) = (run.name(), rig.boot_block());
    let runs = rig.sim.running().expect("runs").expect("slots");
    let stores = rig.stores.lock().expect("stores");
    let migrated = stores.real.contains("migrated by 1.1");
    assert!(stores.real.contains("acknowledged"), "{what}: {state}");
    // Boot loader, system and store agree, whatever became of it.
    assert!(!boot.armed && boot.slot_try.is_none(), "{what}: {state} {boot:?}");
    assert_eq!(boot.slot, runs.slot, "{what}: {state}");
    assert_eq!(migrated, runs.version.as_str() == "1.1", "{what}: {state}, the store is not that of the system");
    assert!(run.updater.closed().is_none(), "{what}: {state}");
    match state {
        "COMMITTED" => assert!(sound && runs.slot == Slot::B, "{what}"),
        // The request never came to be, or its end was told.
        "none" | "FAILED" | "ROLLED_BACK" => assert_eq!(runs.slot, Slot::A, "{what}: {state}"),
        other => panic!("{what}: {other}"),
    }
    if sound && cut == Cut::Kill && state != "none" {
        assert_eq!(state, "COMMITTED", "{what}: a daemon that was killed goes on");
    }
    assert_eq!(rig.sim.bundles(), 0, "{what}: {state}");
    came
}

#[test]
fn a_cut_at_any_change_leaves_one_system_with_its_store_and_says_what_happened() {
    for sound in [true, false] {
        for cut in [Cut::Kill, Cut::Power] {
            for then in [Then::EffectThenDead, Then::Dead] {
                let mut n = 0;
                while cut_at(n, then, cut, sound) {
                    n += 1;
                }
                assert!(n >= 12, "{n} changes only");
            }
        }
    }
}

#[test]
fn a_call_that_fails_once_is_an_end_that_is_told_or_is_tried_again() {
    use crate::model::error::Kind;
    for n in 0..40 {
        let rig = Rig::new();
        let run = rig.start(true).expect("up");
        rig.sim.faults().add(Rule::nth_change(n, Then::Fail(Kind::Transient)));
        let asked = run.install(&rig, &bundle("1.1", 1), Asked::default());
        run.updater.settle();
        let mut last = run;
        if rig.sim.is_restarting() {
            rig.sim.boot_box(true);
            let Some(run) = rig.start(true) else { continue };
            run.updater.settle();
            last = run;
        }
        match last.name() {
            "COMMITTED" => {}
            "none" => assert!(asked.is_err(), "{n}"),
            "FAILED" => assert!(!last.state().expect("one").why().is_empty(), "{n}"),
            // The box did not restart by itself, and says so.
            "ARMED" => assert!(last.updater.status().expect("status").journal.update.expect("one").unmet[0].contains("restart"), "{n}"),
            other => panic!("{n}: {other}"),
        }
    }
}

#[test]
fn a_record_that_cannot_be_read_does_not_keep_bothy_from_starting() {
    let rig = Rig::new();
    rig.sim.remember("bothy update 9\n").expect("written");
    let run = rig.start(true).expect("up");
    assert_eq!(run.name(), "none");
    assert!(journal::parse("bothy update 9\n").is_err());
    let _: Fault = journal::parse("").expect_err("none");
}
