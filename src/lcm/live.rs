//! One operation in flight: which steps may run now, and what an answer leads to. Pure.
//!
//! ```text
//! Blocked -> Queued -> Running -> Done
//!              ^          |  `--> Failed
//!              +- Parked <+
//! ```
//! Forward, a step is free when all it comes after are done; backward, when all that come after it
//! are undone. After a failure or a cancellation nothing new starts, and the operation is over when
//! the last running step has answered, and the last that follows an operation of its own: a service
//! never rests while a part of it moves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::model::{
    error::{Fault, FaultRecord},
    op::{CancelMode, Operation},
    step::{PlanStep, Step, StepLog, StepState},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Forward,
    Backward,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NodeState {
    Blocked,
    Queued,
    Running,
    Parked,
    Done,
    Failed,
}

#[derive(Debug)]
struct Node {
    state: NodeState,
    /// Steps that must be done (undone) before this one.
    missing: u32,
    /// Time from earlier runs of bothy; and since when it runs in this one.
    spent: Duration,
    since: Option<Instant>,
    tries: u32,
    transient_since: Option<Instant>,
    why: Option<String>,
    /// It waits for the end of another operation, or for an answer from outside, also when its own is ending.
    follows: bool,
}

/// How the operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    AllDone,
    Broke(FaultRecord),
}

pub struct Live {
    op: Arc<Operation>,
    steps: Arc<[PlanStep]>,
    way: Way,
    nodes: Vec<Node>,
    /// For each step, those that wait for it.
    waiters: Vec<Vec<u32>>,
    left: usize,
    running: usize,
    following: usize,
    broke: Option<FaultRecord>,
}

impl Live {
    /// `logs` are the journal's of this attempt; those that say done are not run again when they
    /// were written in this `boot` of the host.
    pub fn new(op: Operation, steps: Vec<PlanStep>, logs: &[StepLog], boot: u64, way: Way) -> Live {
        let n = steps.len();
        let mut waiters = vec![Vec::new(); n];
        let mut nodes: Vec<Node> = (0..n)
            .map(|_| Node {
                state: NodeState::Blocked,
                missing: 0,
                spent: Duration::ZERO,
                since: None,
                tries: 0,
                transient_since: None,
                why: None,
                follows: false,
            })
            .collect();
        for s in &steps {
            for &before in &s.after {
                let (first, then) = match way {
                    Way::Forward => (before, s.index),
                    Way::Backward => (s.index, before),
                };
                waiters[first as usize].push(then);
                nodes[then as usize].missing += 1;
            }
        }
        let mut live = Live { op: Arc::new(op), steps: steps.into(), way, nodes, waiters, left: n, running: 0, following: 0, broke: None };
        let over = match way {
            Way::Forward => StepState::Done,
            Way::Backward => StepState::Undone,
        };
        for log in logs {
            let Some(node) = live.nodes.get_mut(log.index as usize) else { continue };
            // A step that waited for a guest waits anew for the one that boots anew.
            if log.boot == boot {
                node.spent = Duration::from_millis(log.spent_ms);
            }
            if log.state == over && log.boot == boot {
                live.finish_node(log.index);
            }
        }
        live
    }

    pub fn op(&self) -> &Arc<Operation> {
        &self.op
    }
    pub fn way(&self) -> Way {
        self.way
    }
    pub fn step(&self, i: u32) -> Option<&Step> {
        self.steps.get(i as usize).map(|s| &s.step)
    }
    pub fn steps(&self) -> Arc<[PlanStep]> {
        self.steps.clone()
    }
    fn is_ending(&self) -> bool {
        self.broke.is_some() || self.op.cancel.is_some()
    }

    fn finish_node(&mut self, i: u32) {
        let node = &mut self.nodes[i as usize];
        if node.state == NodeState::Done {
            return;
        }
        node.state = NodeState::Done;
        node.why = None;
        self.left -= 1;
        for w in std::mem::take(&mut self.waiters[i as usize]) {
            self.nodes[w as usize].missing -= 1;
        }
    }

    /// Takes every step that may run now into the queue.
    pub fn take_ready(&mut self) -> Vec<u32> {
        if self.is_ending() {
            return Vec::new();
        }
        let mut out = Vec::new();
        for (i, n) in self.nodes.iter_mut().enumerate() {
            if n.state == NodeState::Blocked && n.missing == 0 {
                n.state = NodeState::Queued;
                out.push(i as u32);
            }
        }
        out
    }

    /// As `take_ready`, looking only at those that waited for `i`: keeps a long plan linear.
    fn take_waiters(&mut self, waiters: &[u32]) -> Vec<u32> {
        if self.is_ending() {
            return Vec::new();
        }
        let mut out = Vec::new();
        for &w in waiters {
            let n = &mut self.nodes[w as usize];
            if n.state == NodeState::Blocked && n.missing == 0 {
                n.state = NodeState::Queued;
                out.push(w);
            }
        }
        out
    }

    /// A worker takes the step; `None` when it shall not run after all. Says whether it is fresh
    /// and how much time it has had.
    pub fn begin(&mut self, i: u32, now: Instant) -> Option<(bool, Duration)> {
        let ending = self.is_ending();
        let n = self.nodes.get_mut(i as usize)?;
        if ending && !n.follows {
            if n.state == NodeState::Queued {
                n.state = NodeState::Blocked;
            }
            return None;
        }
        if n.state != NodeState::Queued {
            return None;
        }
        n.state = NodeState::Running;
        n.tries += 1;
        let fresh = n.since.is_none();
        let since = *n.since.get_or_insert(now);
        self.running += 1;
        Some((fresh, n.spent + (now - since)))
    }

    /// The step is done (undone): the steps that are free now.
    pub fn done(&mut self, i: u32) -> Vec<u32> {
        self.answered(i);
        let waiters = self.waiters[i as usize].clone();
        self.finish_node(i);
        self.take_waiters(&waiters)
    }

    fn answered(&mut self, i: u32) {
        self.running -= 1;
        if std::mem::take(&mut self.nodes[i as usize].follows) {
            self.following -= 1;
        }
    }

    /// The step has to wait; one that `follows` waits for another operation. False when there is no
    /// use in waiting: the operation is ending.
    pub fn park(&mut self, i: u32, why: String, follows: bool) -> bool {
        self.answered(i);
        let waits = follows || !self.is_ending();
        let n = &mut self.nodes[i as usize];
        n.why = Some(why);
        n.follows = follows;
        n.state = if waits { NodeState::Parked } else { NodeState::Blocked };
        self.following += usize::from(follows);
        waits
    }

    /// A parked step may run again; false when it is not parked.
    pub fn unpark(&mut self, i: u32) -> bool {
        match self.nodes.get_mut(i as usize) {
            Some(n) if n.state == NodeState::Parked => {
                n.state = NodeState::Queued;
                true
            }
            Some(_) | None => false,
        }
    }

    /// How long a transient fault of this step has been going on.
    pub fn transient_for(&mut self, i: u32, now: Instant) -> Duration {
        let since = *self.nodes[i as usize].transient_since.get_or_insert(now);
        now - since
    }
    pub fn follows(&self, i: u32) -> bool {
        self.nodes.get(i as usize).is_some_and(|n| n.follows)
    }
    pub fn clear_transient(&mut self, i: u32) {
        self.nodes[i as usize].transient_since = None;
    }
    pub fn tries(&self, i: u32) -> u32 {
        self.nodes[i as usize].tries
    }
    pub fn time_of(&self, i: u32, now: Instant) -> Duration {
        let n = &self.nodes[i as usize];
        n.spent + n.since.map_or(Duration::ZERO, |s| now - s)
    }

    /// The step failed for good: nothing new starts.
    pub fn fail(&mut self, i: u32, fault: &Fault) {
        self.answered(i);
        self.nodes[i as usize].state = NodeState::Failed;
        if self.broke.is_none() {
            let what = self.steps[i as usize].step.label();
            let mut record = fault.record();
            record.text = format!("{what}: {}", record.text);
            self.broke = Some(record);
        } else if let Some(broke) = &mut self.broke {
            broke.reasons.push(format!("{}: {fault}", self.steps[i as usize].step.label()));
        }
        self.drop_parked();
    }

    /// The client cancels: graceful lets steps that run or wait answer once more, forceful cuts
    /// what waits.
    pub fn cancel(&mut self, mode: CancelMode) {
        Arc::make_mut(&mut self.op).cancel = Some(mode);
        self.drop_parked();
    }

    fn drop_parked(&mut self) {
        for n in &mut self.nodes {
            if !n.follows && matches!(n.state, NodeState::Parked | NodeState::Queued) {
                n.state = NodeState::Blocked;
            }
        }
    }

    /// Over, when nothing runs and nothing more shall.
    pub fn ended(&self) -> Option<Ended> {
        if self.running > 0 || self.following > 0 {
            return None;
        }
        if self.left == 0 {
            return Some(Ended::AllDone);
        }
        if let Some(b) = &self.broke {
            return Some(Ended::Broke(b.clone()));
        }
        self.op.cancel.map(|mode| {
            let how = match mode {
                CancelMode::Graceful => "gracefully",
                CancelMode::Forceful => "forcefully",
            };
            Ended::Broke(Fault::conflict(format!("cancelled {how} on request")).record())
        })
    }

    /// (running, why it waits) of a step, for timelines.
    pub fn look(&self, i: u32) -> (bool, Option<&str>) {
        match self.nodes.get(i as usize) {
            Some(n) => (matches!(n.state, NodeState::Running | NodeState::Parked | NodeState::Queued), n.why.as_deref()),
            None => (false, None),
        }
    }
}
