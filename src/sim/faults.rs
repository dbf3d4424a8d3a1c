//! The fault switch of `Sim`, and its counters.
//!
//! Owns the rules ("the second `Start` of this guest takes effect and then fails") and what a call
//! meets on its way in and out. Never: the world the calls act on.

use std::{
    collections::HashMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use crate::model::{
    error::{Fault, Kind, Result},
    hw::PciAddr,
    id::{DiskId, IfName, NfpId, SegmentId, VnfcId},
};

macro_rules! methods {
    ($($name:ident $change:literal $hypervisor:literal,)*) => {
        /// One method of one port.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Method { $($name,)* }
        impl Method {
            pub const ALL: &[Method] = &[$(Method::$name,)*];
            /// Calls that change the box; the others only look.
            pub fn changes(self) -> bool { match self { $(Method::$name => $change,)* } }
            fn of_hypervisor(self) -> bool { match self { $(Method::$name => $hypervisor,)* } }
        }
    };
}
methods! {
    // name, changes the box, goes over the hypervisor's connection
    HypervisorHealth false true,
    Capacity false true,
    Define true true,
    Start true true,
    AskStop true true,
    Reboot true true,
    Destroy true true,
    Pause true true,
    Resume true true,
    Remove true true,
    State false true,
    List false true,
    AgentPing false true,
    AgentFile false true,
    Functions false true,
    Unplug true true,
    Plug true true,
    Pin true true,
    Astray false true,
    Xml false true,
    Stats false true,
    Console false true,
    Vnc false true,
    Import true false,
    Examine false false,
    HasBase false false,
    RemoveBase true false,
    Bases false false,
    EnsureDisk true false,
    GrowDisk true false,
    RemoveDisk true false,
    Disks false false,
    CopyDisk true false,
    LendDisk false false,
    RemoveCopy true false,
    Copies false false,
    RevertDisk true false,
    TakeBackDisk true false,
    EnsureMedium true false,
    RemoveMedium true false,
    Media false false,
    Room false false,
    SerialLog false false,
    RemoveSerialLog true false,
    EnsureLink true false,
    LinkAddresses false false,
    EnsureDhcp true false,
    RemoveDhcp true false,
    ListDhcp false false,
    ProjectNat true false,
    TcpAnswers false false,
    EnsureReady true false,
    EnsurePort true false,
    RemovePort true false,
    Ports false false,
    FabricHealth false false,
    Facts false false,
    Pulse false false,
    SetHost true false,
    EnsureVf true false,
    ReleaseVf true false,
    EnsureDriver true false,
    ReloadPf true false,
    EnsurePf true false,
    BootArgs false false,
    SetBootArgs true false,
    EnsureSegment true false,
    RemoveSegment true false,
    EnsureChain true false,
    RemoveChain true false,
    EnsureMirror true false,
    RemoveMirror true false,
    Mirrors false false,
    Remotes false false,
    Listen false false,
    ChainState false false,
    // Outside the box: by a thread of its own, whenever it comes to it.
    OutsideLook false false,
    OutsideApply false false,
    RunningSystem false false,
    TakeBundle true false,
    CheckBundle false false,
    WriteSlot true false,
    SweepBundles true false,
    Restart true false,
    RecallUpdate false false,
    RememberUpdate true false,
    KeepStore true false,
    LookAtNetwork false false,
    Probe false false,
    DefaultRoutes false false,
    SetDefaultRoute true false,
    ShowNetwork true false,
    KeepNetwork true false,
}

/// What a call is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    Guest(VnfcId),
    Disk(DiskId),
    Base([u8; 32]),
    Segment(SegmentId),
    Chain(NfpId),
    Port(IfName),
    Device(PciAddr),
    /// The box as a whole.
    Host,
}

macro_rules! target_from {
    ($($from:ty => $variant:ident,)*) => {$(
        impl From<$from> for Target { fn from(v: $from) -> Self { Target::$variant(v) } }
    )*};
}
target_from! { VnfcId => Guest, DiskId => Disk, [u8; 32] => Base, SegmentId => Segment, NfpId => Chain, IfName => Port, PciAddr => Device, }

/// How long calls wait for each other.
const GATHER: Duration = Duration::from_secs(30);

/// What happens to the call that a rule meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Fails, and nothing was done.
    Fail(Kind),
    /// Is done, and fails nevertheless: what the caller sees when it dies after the effect.
    EffectThenFail(Kind),
    /// Is done, and from then on every call of every port fails until `revive`: a `kill -9`.
    EffectThenDead,
    /// Nothing is done, and every call fails until `revive`.
    Dead,
    /// Takes this long, then goes on as usual.
    Hang(Duration),
    /// Waits until so many calls have come that wait here, then goes on; fails if they never do.
    Together(usize),
}

/// Which calls a rule means: each condition that is set must hold.
#[derive(Debug, Clone)]
pub struct Rule {
    /// `None`: any method that changes the box.
    pub method: Option<Method>,
    /// `None`: whatever it is about.
    pub target: Option<Target>,
    /// Matching calls that pass before the rule acts; 0: the first is met.
    pub skip: u64,
    /// How many calls it meets; `u64::MAX`: each one until `clear`.
    pub times: u64,
    pub then: Then,
}

impl Rule {
    /// The next call of `method`, whatever it is about.
    pub fn next(method: Method, then: Then) -> Self {
        Rule { method: Some(method), target: None, skip: 0, times: 1, then }
    }
    /// The `n`th call (from 0) of those that change the box, for sweeps.
    pub fn nth_change(n: u64, then: Then) -> Self {
        Rule { method: None, target: None, skip: n, times: 1, then }
    }
    #[must_use]
    pub fn of(mut self, target: impl Into<Target>) -> Self {
        self.target = Some(target.into());
        self
    }
    /// The `n`th match from 1.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.skip = n.saturating_sub(1);
        self
    }
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }
    fn meets(&self, method: Method, target: &Target) -> bool {
        self.times > 0 && self.method.map_or(method.changes(), |m| m == method) && self.target.as_ref().is_none_or(|t| t == target)
    }
}

/// The switch itself, as tests hold it.
pub struct Faults<'a> {
    calls: &'a Calls,
}

impl<'a> Faults<'a> {
    pub(super) fn new(calls: &'a Calls) -> Self {
        Faults { calls }
    }
    pub fn add(&self, rule: Rule) -> &Self {
        self.calls.lock().rules.push(rule);
        self
    }
    /// No more faults; the dead live again. Counters stay.
    pub fn clear(&self) -> &Self {
        let mut state = self.calls.lock();
        state.rules.clear();
        state.dead = false;
        drop(state);
        self
    }
    /// After `Dead`: the next process may call.
    pub fn revive(&self) {
        self.calls.lock().dead = false;
    }
    /// A rule killed the process.
    pub fn is_dead(&self) -> bool {
        self.calls.lock().dead
    }
    pub fn count(&self, method: Method) -> u64 {
        self.calls.lock().counts.get(&method).copied().unwrap_or(0)
    }
    /// Calls so far that change the box, those that failed among them.
    pub fn changes(&self) -> u64 {
        self.calls.lock().changes
    }
    pub fn reset_counts(&self) {
        let mut state = self.calls.lock();
        state.counts.clear();
        state.changes = 0;
    }
    /// Keeps each changing call from now on, in order; `taken` empties the list.
    pub fn record(&self) {
        self.calls.lock().record.get_or_insert_default();
    }
    pub fn taken(&self) -> Vec<(Method, Target)> {
        self.calls.lock().record.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

#[derive(Default)]
pub(super) struct Calls {
    state: Mutex<State>,
    gathered: Condvar,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    delays: HashMap<Method, Duration>,
    counts: HashMap<Method, u64>,
    changes: u64,
    record: Option<Vec<(Method, Target)>>,
    dead: bool,
    cut: bool,
    /// Calls that have come to `Then::Together`.
    waiting: usize,
}

/// What a call meets on its way out.
#[must_use]
pub(super) enum After {
    Nothing,
    Fail(Method, Kind),
    Dead(Method),
}

impl Calls {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(super) fn set_delay(&self, method: Method, delay: Duration) {
        self.lock().delays.insert(method, delay);
    }
    pub(super) fn connect(&self, up: bool) {
        self.lock().cut = !up;
    }

    fn meet(&self, n: usize) -> Option<()> {
        let mut state = self.lock();
        state.waiting += 1;
        self.gathered.notify_all();
        let all = self.gathered.wait_timeout_while(state, GATHER, |s| s.waiting < n);
        (!all.unwrap_or_else(PoisonError::into_inner).1.timed_out()).then_some(())
    }

    /// Counts the call, lets it wait, or fails it.
    pub(super) fn enter(&self, method: Method, target: Target) -> Result<After> {
        let (wait, met) = {
            let mut state = self.lock();
            *state.counts.entry(method).or_default() += 1;
            if method.changes() {
                state.changes += 1;
            }
            if state.dead {
                return Err(dead(method));
            }
            if state.cut && method.of_hypervisor() {
                return Err(Fault::transient(format!("{method:?}: the connection to the hypervisor is cut (simulated)")));
            }
            let mut met = None;
            for rule in &mut state.rules {
                if rule.meets(method, &target) {
                    if rule.skip > 0 {
                        rule.skip -= 1;
                    } else if met.is_none() {
                        rule.times = if rule.times == u64::MAX { u64::MAX } else { rule.times - 1 };
                        met = Some(rule.then);
                    }
                }
            }
            if met == Some(Then::Dead) {
                state.dead = true;
            }
            if method.changes()
                && let Some(record) = &mut state.record
            {
                record.push((method, target));
            }
            (state.delays.get(&method).copied(), met)
        };
        match met {
            Some(Then::Fail(kind)) => return Err(failed(method, kind, "before its effect")),
            Some(Then::Dead) => return Err(dead(method)),
            Some(Then::Hang(d)) => thread::sleep(d),
            Some(Then::Together(n)) => self.meet(n).ok_or_else(|| failed(method, Kind::Transient, "alone"))?,
            Some(Then::EffectThenFail(_) | Then::EffectThenDead) | None => {}
        }
        if let Some(d) = wait {
            thread::sleep(d);
        }
        Ok(match met {
            Some(Then::EffectThenFail(kind)) => After::Fail(method, kind),
            Some(Then::EffectThenDead) => After::Dead(method),
            Some(Then::Fail(_) | Then::Dead | Then::Hang(_) | Then::Together(_)) | None => After::Nothing,
        })
    }
}

impl After {
    pub(super) fn leave<T>(self, calls: &Calls, done: Result<T>) -> Result<T> {
        match self {
            After::Nothing => done,
            After::Fail(method, kind) => done.and(Err(failed(method, kind, "after its effect"))),
            After::Dead(method) => {
                calls.lock().dead = true;
                Err(dead(method))
            }
        }
    }
}

fn failed(method: Method, kind: Kind, when: &str) -> Fault {
    Fault::new(kind, format!("{method:?} failed {when} (simulated)"))
}

fn dead(method: Method) -> Fault {
    Fault::transient(format!("{method:?}: the process is dead (simulated)"))
}
