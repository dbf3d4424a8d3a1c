//! The engine: workers, timers and wake-ups around `Live`.
//!
//! Owns every thread of `lcm`. Locks one state for moments only; steps, journal and transactions
//! run outside it. What steps answered goes into the journal (see `journal`), which each
//! transaction that moves an operation on takes along. Accept is the caller's barrier; the end is the engine's.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tracing::{Level, info, span, warn};

use super::{
    journal::Journal,
    live::{Ended, Live, Way},
    port::{Lane, Outcome, Runner, StepCx, WakeKey},
};
use crate::{
    model::{
        error::{Fault, Result},
        id::OpId,
        op::{Operation, Phase, Target, Trigger},
        step::{PlanStep, Step, StepLog, StepState},
        time::{Clock, Stamp},
    },
    store::{Durability, Store},
};

#[derive(Debug, Clone)]
pub struct Settings {
    /// libvirt runs five requests a connection; more workers would only queue there.
    pub hypervisor_workers: usize,
    pub host_workers: usize,
    pub abroad_workers: usize,
    /// How long a step is tried again while its faults are transient.
    pub transient_budget: Duration,
    /// Identifies this boot of the host.
    pub boot: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { hypervisor_workers: 5, host_workers: 4, abroad_workers: 2, transient_budget: Duration::from_secs(120), boot: 0 }
    }
}

pub struct Engine {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) runner: Arc<dyn Runner>,
    pub(super) settings: Settings,
    state: Mutex<State>,
    changed: [Condvar; 3],
    /// Signalled when an operation has been concluded.
    concluded: Condvar,
    pub(super) journal: Mutex<Journal>,
    /// Told of each operation that has stopped: over, or stuck. Returns at once.
    on_stop: OnceLock<Box<dyn Fn(OpId) + Send + Sync>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    live: HashMap<OpId, Live>,
    /// Being concluded: neither live nor yet in its new state.
    ending: HashSet<OpId>,
    ready: [VecDeque<(OpId, u32)>; 3],
    timers: BinaryHeap<Reverse<(Instant, OpId, u32)>>,
    parked: HashMap<WakeKey, Vec<(OpId, u32)>>,
    /// The last wake-ups, so that one between a step's answer and its parking is not lost.
    wakes: VecDeque<(u64, WakeKey)>,
    wake_count: u64,
    /// Steps that workers are at.
    busy: usize,
    stop: bool,
}

const WAKES_KEPT: usize = 1024;
/// Journal entries that are written at once.
const JOURNAL_BATCH: usize = 64;
/// How long entries wait for others while steps run.
const JOURNAL_REST: Duration = Duration::from_millis(100);

fn lane_index(lane: Lane) -> usize {
    match lane {
        Lane::Hypervisor => 0,
        Lane::Host => 1,
        Lane::Abroad => 2,
    }
}

impl Engine {
    pub fn start(store: Store, clock: Arc<dyn Clock>, runner: Arc<dyn Runner>, settings: Settings) -> Result<Arc<Engine>> {
        let engine = Arc::new(Engine {
            store,
            clock,
            runner,
            settings,
            state: Mutex::default(),
            changed: [Condvar::new(), Condvar::new(), Condvar::new()],
            concluded: Condvar::new(),
            journal: Mutex::default(),
            on_stop: OnceLock::new(),
            workers: Mutex::default(),
        });
        let s = &engine.settings;
        let counts = [(Lane::Hypervisor, s.hypervisor_workers), (Lane::Host, s.host_workers), (Lane::Abroad, s.abroad_workers)];
        for (lane, count) in counts {
            for n in 0..count.max(1) {
                let me = Arc::downgrade(&engine);
                let name = match lane {
                    Lane::Hypervisor => format!("lcm-hv-{n}"),
                    Lane::Host => format!("lcm-host-{n}"),
                    Lane::Abroad => format!("lcm-abroad-{n}"),
                };
                let handle = std::thread::Builder::new()
                    .name(name)
                    .spawn(move || work(&me, lane))
                    .map_err(|e| Fault::transient("cannot start a worker thread").with_source(e))?;
                engine.workers.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
            }
        }
        Ok(engine)
    }

    /// Lets running steps answer, starts nothing more, waits for the workers.
    pub fn stop(&self) {
        self.lock().stop = true;
        for c in &self.changed {
            c.notify_all();
        }
        let me = std::thread::current().id();
        let workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        for w in workers {
            if w.thread().id() != me && w.join().is_err() {
                warn!("a worker of the engine ended by a panic");
            }
        }
        self.write_journal();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `f` told of each operation that is over or stuck. The first caller stays.
    pub fn on_stop(&self, f: impl Fn(OpId) + Send + Sync + 'static) {
        let _ = self.on_stop.set(Box::new(f));
    }

    pub(super) fn stopped(&self, id: OpId) {
        if let Some(f) = self.on_stop.get() {
            f(id);
        }
    }

    /// Takes an accepted operation to its end, in the direction its state says.
    pub fn submit(&self, op: Operation, steps: Vec<PlanStep>, logs: &[StepLog]) {
        let way = match op.state.phase() {
            Phase::Forward => Way::Forward,
            Phase::Backward => Way::Backward,
            Phase::Held | Phase::Stuck | Phase::Over => return,
        };
        let id = op.id;
        let mut live = Live::new(op, steps, logs, self.settings.boot, way);
        let ended = {
            let mut s = self.lock();
            if s.live.contains_key(&id) || s.ending.contains(&id) {
                return;
            }
            let ready = live.take_ready();
            self.queue(&mut s, &live, id, ready);
            let ended = live.ended();
            s.live.insert(id, live);
            ended
        };
        if let Some(ended) = ended {
            self.conclude(id, ended);
            return;
        }
        // A cancellation that came between accept and here found nothing to stop.
        if let Ok(Some(Operation { cancel: Some(mode), .. })) = self.store.get::<Operation>(&id) {
            self.with_live(id, |l| l.cancel(mode));
            self.check_ended(id);
        }
    }

    /// Reads an operation's plan and journal and submits it.
    pub fn resume(&self, op: Operation) -> Result<()> {
        let steps = self.store.list_under::<PlanStep>(&op.id)?;
        let logs = self.store.list_under::<StepLog>(&op.id)?;
        if steps.len() != op.steps as usize {
            return Err(Fault::bug(format!("operation {} has {} of its {} steps: run `bothy store verify`", op.id, steps.len(), op.steps)));
        }
        self.submit(op, steps, &logs);
        Ok(())
    }

    /// Moves a held operation on (its grant was given, its parent lets it go). Does nothing when it
    /// has moved already.
    pub fn release(&self, id: OpId) -> Result<Operation> {
        let op = self.note_release(id)?;
        if op.state.phase() == Phase::Forward && !self.knows(id) {
            self.resume(op.clone())?;
        }
        Ok(op)
    }

    /// As `release`; that it moved is on the disk before a step of it runs, for steps that ask the record.
    pub fn release_known(&self, id: OpId) -> Result<()> {
        self.note_release(id)?;
        self.settle_journal()?;
        // Somebody else may have taken it along, and not be done yet.
        self.store.settle()?;
        match self.store.get::<Operation>(&id)? {
            Some(op) if op.state.phase() == Phase::Forward && !self.knows(id) => self.resume(op),
            Some(_) | None => Ok(()),
        }
    }

    pub fn knows(&self, id: OpId) -> bool {
        let s = self.lock();
        s.live.contains_key(&id) || s.ending.contains(&id)
    }

    pub fn is_idle(&self) -> bool {
        let s = self.lock();
        s.live.is_empty() && s.ending.is_empty()
    }

    pub(super) fn with_live<T>(&self, id: OpId, f: impl FnOnce(&mut Live) -> T) -> Option<T> {
        self.lock().live.get_mut(&id).map(f)
    }

    fn queue(&self, s: &mut State, live: &Live, id: OpId, steps: Vec<u32>) {
        for i in steps {
            let Some(step) = live.step(i) else { continue };
            let lane = lane_index(self.runner.lane(step));
            s.ready[lane].push_back((id, i));
            self.changed[lane].notify_one();
        }
    }

    /// Something happened that parked steps may wait for.
    pub fn wake(&self, key: WakeKey) {
        let mut s = self.lock();
        s.wake_count += 1;
        let n = s.wake_count;
        s.wakes.push_back((n, key));
        if s.wakes.len() > WAKES_KEPT {
            s.wakes.pop_front();
        }
        for (id, i) in s.parked.remove(&key).unwrap_or_default() {
            self.requeue(&mut s, id, i);
        }
    }

    fn requeue(&self, s: &mut State, id: OpId, i: u32) {
        let Some(live) = s.live.get_mut(&id) else { return };
        if !live.unpark(i) {
            return;
        }
        let Some(step) = live.step(i) else { return };
        let lane = lane_index(self.runner.lane(step));
        s.ready[lane].push_back((id, i));
        self.changed[lane].notify_one();
    }

    /// After a cancellation: what waited is dropped, which may end the operation.
    pub(super) fn check_ended(&self, id: OpId) {
        let ended = self.lock().live.get(&id).and_then(Live::ended);
        if let Some(ended) = ended {
            self.conclude(id, ended);
        }
    }

    /// The next step for a lane, with what it needs to run; `None` at the end.
    fn next(&self, lane: Lane) -> Option<Job> {
        let l = lane_index(lane);
        let mut s = self.lock();
        let mut rested = false;
        loop {
            if s.stop {
                return None;
            }
            let now = Instant::now();
            while let Some(Reverse((at, id, i))) = s.timers.peek().copied() {
                if at > now {
                    break;
                }
                s.timers.pop();
                self.requeue(&mut s, id, i);
            }
            if let Some((id, index)) = s.ready[l].pop_front() {
                let wakes_seen = s.wake_count;
                let Some(live) = s.live.get_mut(&id) else { continue };
                match live.begin(index, now) {
                    Some((fresh, elapsed)) => {
                        let job = Job {
                            cx: StepCx { op: live.op().clone(), index, elapsed, fresh },
                            steps: live.steps(),
                            way: live.way(),
                            tries: live.tries(index),
                            wakes_seen,
                        };
                        s.busy += 1;
                        return Some(job);
                    }
                    None => {
                        if let Some(ended) = live.ended() {
                            drop(s);
                            self.conclude(id, ended);
                            s = self.lock();
                        }
                        continue;
                    }
                }
            }
            // Whoever is busy, or about to be, comes by with more: the last of them writes.
            let journal = !self.journal().is_empty();
            let idle = s.busy == 0 && s.ready.iter().all(VecDeque::is_empty);
            if journal && (idle || rested) {
                drop(s);
                self.write_journal();
                s = self.lock();
                rested = false;
                continue;
            }
            let timer = s.timers.peek().map_or(Duration::from_secs(3600), |Reverse((at, _, _))| at.saturating_duration_since(now));
            let pause = if journal { timer.min(JOURNAL_REST) } else { timer };
            let waited = self.changed[l].wait_timeout(s, pause).unwrap_or_else(PoisonError::into_inner);
            s = waited.0;
            rested = journal && waited.1.timed_out();
        }
    }

    fn perform(&self, job: &Job) -> Result<Outcome> {
        let Some(step) = job.steps.get(job.cx.index as usize).map(|s| &s.step) else {
            return Err(Fault::bug("a step outside its plan"));
        };
        let (ns, vnf) = match job.cx.op.target {
            Target::Ns(id) => (Some(id), None),
            Target::Vnf(id) => (None, Some(id)),
            Target::Pf(_) => (None, None),
        };
        let span = span!(Level::DEBUG, "step", op = %job.cx.op.id, ns = ns.map(tracing::field::display), vnf = vnf.map(tracing::field::display), step = job.cx.index);
        let _in = span.enter();
        let call = || match job.way {
            Way::Forward => self.runner.run(&job.cx, step),
            Way::Backward => self.runner.undo(&job.cx, step),
        };
        catch_unwind(AssertUnwindSafe(call))
            .unwrap_or_else(|_| Err(Fault::bug(format!("the step '{}' panicked; the log has where", step.label()))))
    }

    fn run_one(&self, job: Job) {
        let started = self.clock.now();
        let answer = self.perform(&job);
        let (id, i) = (job.cx.op.id, job.cx.index);
        let now = Instant::now();
        let answer = match answer {
            Err(fault) if fault.is_transient() => self.weigh(id, i, now, fault),
            other => {
                self.with_live(id, |l| l.clear_transient(i));
                other
            }
        };
        let label = job.steps.get(i as usize).map(|s| s.step.label()).unwrap_or_default();
        let (state, why, error) = match &answer {
            Ok(Outcome::Done) => (if job.way == Way::Forward { StepState::Done } else { StepState::Undone }, None, None),
            Ok(Outcome::Again { why, .. }) => (StepState::Waiting, Some(why.clone()), None),
            Err(fault) => {
                warn!(op = %id, step = i, what = %label, "step failed: {fault:?}");
                (StepState::Failed, None, Some(fault.record()))
            }
        };
        let spent = self.with_live(id, |l| l.time_of(i, now)).unwrap_or_default();
        let log = StepLog {
            op: id,
            index: i,
            state,
            started: Stamp(started.0.saturating_sub(job.cx.elapsed.as_millis() as u64)),
            ended: self.clock.now(),
            spent_ms: spent.as_millis() as u64,
            tries: job.tries,
            why,
            error,
            boot: self.settings.boot,
        };
        if self.note(log) >= JOURNAL_BATCH {
            self.write_journal();
        }
        let ended = {
            let mut s = self.lock();
            let Some(mut live) = s.live.remove(&id) else { return };
            match answer {
                Ok(Outcome::Done) => {
                    let ready = live.done(i);
                    self.queue(&mut s, &live, id, ready);
                    s.live.insert(id, live);
                }
                Ok(Outcome::Again { after, why, wake }) => {
                    let waits = live.park(i, why, wake.is_some_and(WakeKey::follows));
                    s.live.insert(id, live);
                    if waits {
                        self.park(&mut s, id, i, now + after, wake, job.wakes_seen);
                    }
                }
                Err(fault) => {
                    live.fail(i, &fault);
                    s.live.insert(id, live);
                }
            }
            s.live.get(&id).and_then(Live::ended)
        };
        if let Some(ended) = ended {
            self.conclude(id, ended);
        }
    }

    fn park(&self, s: &mut State, id: OpId, i: u32, at: Instant, wake: Option<WakeKey>, seen: u64) {
        if let Some(key) = wake {
            let oldest_kept = s.wakes.front().map_or(s.wake_count + 1, |(n, _)| *n);
            let missed = oldest_kept > seen + 1 && s.wake_count > seen;
            if missed || s.wakes.iter().any(|(n, k)| *n > seen && *k == key) {
                self.requeue(s, id, i);
                return;
            }
            let waiting = s.parked.entry(key).or_default();
            // Its timer may have been faster than what it waited for before.
            if !waiting.contains(&(id, i)) {
                waiting.push((id, i));
            }
        }
        let soonest = s.timers.peek().is_none_or(|Reverse((t, _, _))| at < *t);
        s.timers.push(Reverse((at, id, i)));
        if soonest {
            for c in &self.changed {
                c.notify_one();
            }
        }
    }

    /// A transient fault is tried again with growing pauses until the budget is spent.
    fn weigh(&self, id: OpId, i: u32, now: Instant, fault: Fault) -> Result<Outcome> {
        let for_so_long = self.with_live(id, |l| l.transient_for(i, now)).unwrap_or_default();
        if for_so_long >= self.settings.transient_budget {
            return Err(fault.context(format!("still so after {} s", for_so_long.as_secs())));
        }
        let after = (for_so_long / 2).clamp(Duration::from_millis(100), Duration::from_secs(5));
        // What follows something else goes on following it, however its own operation ends.
        let wake = self.with_live(id, |l| l.follows(i)).unwrap_or_default().then_some(WakeKey::Op(id));
        Ok(Outcome::Again { after, why: fault.to_string(), wake })
    }

    /// The one place where an operation ends: its new state and the instance's in one transaction.
    /// A part of a larger operation does not wait for its barrier: the whole's covers it.
    fn conclude(&self, id: OpId, ended: Ended) {
        let live = {
            let mut s = self.lock();
            let Some(live) = s.live.remove(&id) else { return };
            s.ending.insert(id);
            live
        };
        let trigger = match (&ended, live.way()) {
            (Ended::AllDone, Way::Forward) => Trigger::Succeeded,
            (Ended::AllDone, Way::Backward) => Trigger::Undone,
            (Ended::Broke(_), Way::Forward | Way::Backward) => Trigger::Broke,
        };
        let durability = if live.op().parent.is_some() { Durability::Soon } else { Durability::Barrier };
        let now = self.clock.now();
        let result = self.write_with_journal(durability, |tx| {
            let mut op: Operation = tx.require(&id)?;
            op.apply(trigger, now)?;
            match &ended {
                Ended::AllDone if trigger == Trigger::Succeeded => op.error = None,
                Ended::AllDone => {}
                Ended::Broke(f) => op.error = Some(f.clone()),
            }
            self.runner.settle(tx, &op)?;
            tx.put(&op)?;
            Ok(op)
        });
        self.lock().ending.remove(&id);
        self.concluded.notify_all();
        if let Ok(op) = &result {
            self.runner.over(op);
        }
        match result {
            Ok(op) => match &ended {
                Ended::AllDone => info!(op = %id, state = op.state.name(), "operation over"),
                Ended::Broke(f) => warn!(op = %id, state = op.state.name(), "operation stopped: {}", f.text),
            },
            Err(fault) => {
                tracing::error!(op = %id, "the end of an operation cannot be stored; it is taken up at the next start: {fault:?}")
            }
        }
        self.wake(WakeKey::Op(id));
        self.stopped(id);
    }

    /// False while steps of the operation run or wait. An operation shows its new state a moment
    /// before its end is durable: that moment is waited for.
    pub(super) fn is_quiet(&self, id: OpId) -> bool {
        let s = self.lock();
        let limit = Duration::from_secs(30);
        let (s, _) = self.concluded.wait_timeout_while(s, limit, |s| s.ending.contains(&id)).unwrap_or_else(PoisonError::into_inner);
        !s.live.contains_key(&id) && !s.ending.contains(&id)
    }

    /// Why a step of a live operation waits, and whether it runs.
    pub fn look(&self, id: OpId, i: u32) -> (bool, Option<String>) {
        self.with_live(id, |l| {
            let (running, why) = l.look(i);
            (running, why.map(str::to_string))
        })
        .unwrap_or((false, None))
    }
}

struct Job {
    cx: StepCx,
    steps: Arc<[PlanStep]>,
    way: Way,
    tries: u32,
    wakes_seen: u64,
}

fn work(engine: &Weak<Engine>, lane: Lane) {
    loop {
        // Held only while there is work or a wait for it: the last owner outside ends the thread.
        let Some(engine) = engine.upgrade() else { return };
        let Some(job) = engine.next(lane) else { return };
        engine.run_one(job);
        engine.lock().busy -= 1;
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A step's lane by its kind: what talks to the hypervisor, and the rest.
pub fn usual_lane(step: &Step) -> Lane {
    use crate::model::step::{PfStep, VnfStep};
    match step {
        Step::Vnf(
            VnfStep::Define(_)
            | VnfStep::Start(_)
            | VnfStep::Stop { .. }
            | VnfStep::RemoveGuest(_)
            | VnfStep::Redefine { .. }
            | VnfStep::Shed(_),
        )
        | Step::Pf(PfStep::Unplug { .. } | PfStep::Plug(_)) => Lane::Hypervisor,
        Step::Vnf(VnfStep::Abroad(_)) => Lane::Abroad,
        Step::Vnf(
            VnfStep::Segment(_)
            | VnfStep::Image(_)
            | VnfStep::Disk(_)
            | VnfStep::Medium(_)
            | VnfStep::Ready { .. }
            | VnfStep::RemoveDisk(_)
            | VnfStep::RemoveMedium(_)
            | VnfStep::RemoveSegment(_)
            | VnfStep::Attach(_)
            | VnfStep::Give { .. }
            | VnfStep::TakeBack(_)
            | VnfStep::Properties { .. }
            | VnfStep::Capture { .. }
            | VnfStep::RevertDisk { .. }
            | VnfStep::Move(_)
            | VnfStep::Grow { .. }
            | VnfStep::Rewrite { .. }
            | VnfStep::Package(_)
            | VnfStep::Ask(_),
        )
        | Step::Pf(PfStep::Reload(_) | PfStep::Restore(_))
        | Step::Ns(_) => Lane::Host,
    }
}
