//! Sweeps: each kind of operation meets a fault at each of its changes to the box, and every way
//! out of it ends where it should.

use std::sync::Arc;

use super::guests;
use crate::{
    lcm::port::{Outcome, Runner, StepCx},
    model::{
        error::Kind as FaultKind,
        id::{NsId, OpId, VnfId},
        op::Phase,
        vnf::RunState,
    },
    nfvo::runner::Steps,
    node::kit::{Shape, TestBox, ns_box, vnf_box},
    sim::faults::{Rule, Then},
    vim::port::{GuestState, Hypervisor},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    InstantiateVnf,
    TerminateVnf,
    Stop,
    Start,
    InstantiateNs,
    TerminateNs,
}

#[derive(Clone, Copy)]
enum Of {
    Vnf(VnfId),
    Ns(NsId),
}

struct Case {
    b: TestBox,
    what: What,
    of: Of,
}

fn shape() -> Shape {
    Shape { vdus: 1, ..Shape::default() }
}

impl Case {
    /// Everything is as it is before the operation.
    fn new(what: What) -> Case {
        let (b, of) = match what {
            What::InstantiateNs | What::TerminateNs => {
                let (b, id) = ns_box(&shape());
                (b, Of::Ns(id))
            }
            What::InstantiateVnf | What::TerminateVnf | What::Stop | What::Start => {
                let (b, id) = vnf_box(&Shape::default());
                (b, Of::Vnf(id))
            }
        };
        let c = Case { b, what, of };
        match (what, of) {
            (What::InstantiateVnf | What::InstantiateNs, _) => {}
            (_, Of::Ns(id)) => c.done(c.b.instantiate_ns(id)),
            (_, Of::Vnf(id)) => {
                c.done(c.b.instantiate_vnf(id));
                if what == What::Start {
                    c.done(c.b.core().vnfm().operate(id, RunState::Stopped, None, "{}".into()).expect("accepted").id);
                }
            }
        }
        c.b.sim.faults().reset_counts();
        c
    }

    fn done(&self, op: OpId) {
        self.b.assert_state(op, "COMPLETED");
    }

    fn go(&self) -> OpId {
        let (vnfm, nfvo) = (self.b.core().vnfm(), &self.b.core().nfvo);
        let accepted = match (self.what, self.of) {
            (What::InstantiateVnf, Of::Vnf(id)) => return self.b.instantiate_vnf(id),
            (What::InstantiateNs, Of::Ns(id)) => return self.b.instantiate_ns(id),
            (What::Stop, Of::Vnf(id)) => vnfm.operate(id, RunState::Stopped, Some(60), "{}".into()),
            (What::Start, Of::Vnf(id)) => vnfm.operate(id, RunState::Started, None, "{}".into()),
            (_, Of::Vnf(id)) => vnfm.terminate(id, None, "{}".into()),
            (_, Of::Ns(id)) => nfvo.terminate(id, None, "{}".into()),
        };
        accepted.expect("accepted").id
    }

    /// The operation has done what it is for.
    fn assert_right(&self) {
        match (self.what, self.of) {
            (What::TerminateVnf | What::TerminateNs, _) => self.b.assert_nothing_left(),
            (What::InstantiateNs, Of::Ns(id)) => self.b.assert_ns_up(id),
            (What::Stop, Of::Vnf(id)) => self.assert_run(id, RunState::Stopped),
            (_, Of::Vnf(id)) => self.assert_run(id, RunState::Started),
            (_, Of::Ns(_)) => unreachable!("no such case"),
        }
    }
    fn assert_run(&self, id: VnfId, run: RunState) {
        let v = self.b.vnf(id);
        assert_eq!(v.body.as_ref().map(|b| b.run), Some(run));
        match run {
            RunState::Started => self.b.assert_vnf_up(id),
            RunState::Stopped => {
                for g in guests(&v) {
                    assert_eq!(self.b.sim.state(g).expect("state"), Some(GuestState::Off));
                }
            }
        }
    }

    fn assert_undone(&self) {
        match (self.what, self.of) {
            (What::Stop, Of::Vnf(id)) => self.assert_run(id, RunState::Started),
            (What::Start, Of::Vnf(id)) => self.assert_run(id, RunState::Stopped),
            _ => self.b.assert_nothing_left(),
        }
    }

    /// Takes away what is there, and looks that nothing is left.
    fn tear_down(&self) {
        let (vnfm, nfvo) = (self.b.core().vnfm(), &self.b.core().nfvo);
        match self.of {
            Of::Vnf(id) if self.b.vnf(id).instantiated => self.done(vnfm.terminate(id, None, "{}".into()).expect("accepted").id),
            Of::Ns(id) if self.b.ns(id).instantiated => self.done(nfvo.terminate(id, None, "{}".into()).expect("accepted").id),
            Of::Vnf(_) | Of::Ns(_) => {}
        }
        self.b.assert_nothing_left();
        match self.of {
            Of::Vnf(id) => vnfm.delete(id, |_| Ok(())).expect("deleted"),
            Of::Ns(id) => nfvo.delete_ns(id, |_| Ok(())).expect("deleted"),
        }
    }

    fn can_roll_back(&self) -> bool {
        !matches!(self.what, What::TerminateVnf | What::TerminateNs)
    }
}

/// Changes to the box that the operation makes when nothing goes wrong.
fn changes(what: What) -> u64 {
    let c = Case::new(what);
    c.done(c.go());
    c.assert_right();
    let n = c.b.sim.faults().changes();
    assert!(n > 0);
    c.tear_down();
    n
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Out {
    Retry,
    Rollback,
    Fail,
}

fn fails(what: What) {
    for n in 0..changes(what) {
        for then in [Then::Fail(FaultKind::Conflict), Then::EffectThenFail(FaultKind::Conflict)] {
            for out in [Out::Retry, Out::Rollback, Out::Fail] {
                let c = Case::new(what);
                if out == Out::Rollback && !c.can_roll_back() {
                    continue;
                }
                let at = format!("{what:?}, change {n}, {then:?}, {out:?}");
                c.b.sim.faults().add(Rule::nth_change(n, then));
                let op = c.b.wait(c.go());
                if op.state.phase() == Phase::Over {
                    // A stop takes an agent that refuses for one that is not there.
                    assert_eq!((what, op.state.name()), (What::Stop, "COMPLETED"), "{at}");
                    continue;
                }
                let nfvo = &c.b.core().nfvo;
                match out {
                    Out::Retry => {
                        nfvo.retry(op.id).unwrap_or_else(|e| panic!("{at}: {e}"));
                        assert_eq!(c.b.wait(op.id).state.name(), "COMPLETED", "{at}\n{}", c.b.picture());
                        c.assert_right();
                    }
                    Out::Rollback => {
                        nfvo.rollback(op.id).unwrap_or_else(|e| panic!("{at}: {e}"));
                        assert_eq!(c.b.wait(op.id).state.name(), "ROLLED_BACK", "{at}\n{}", c.b.picture());
                        c.assert_undone();
                    }
                    Out::Fail => {
                        nfvo.fail(op.id).unwrap_or_else(|e| panic!("{at}: {e}"));
                        assert_eq!(c.b.wait(op.id).state.name(), "FAILED", "{at}\n{}", c.b.picture());
                    }
                }
                c.tear_down();
            }
        }
    }
}

/// Killed at each change, before or after its effect; the next start goes on.
fn kills(what: What) {
    for n in 0..changes(what) {
        for then in [Then::Dead, Then::EffectThenDead] {
            let at = format!("{what:?}, change {n}, {then:?}");
            let mut c = Case::new(what);
            c.b.sim.faults().add(Rule::nth_change(n, then));
            let op = c.go();
            c.b.until(&at, || c.b.sim.faults().is_dead());
            c.b.kill_and_start();
            assert_eq!(c.b.wait(op).state.name(), "COMPLETED", "{at}\n{}", c.b.picture());
            let found = c.b.core().vnfm().reconcile().expect("reconciled");
            assert_eq!((found.orphans.len(), found.files_removed, found.quarantined.len()), (0, 0, 0), "{at}");
            c.assert_right();
            c.tear_down();
        }
    }
}

/// Failed at each change, then killed at each change of the rollback.
fn kills_in_rollback(what: What) {
    let all = changes(what);
    // The whole square only on demand.
    let step = if std::env::var_os("BOTHY_LONG").is_some() { 1 } else { 5 };
    for n in (0..all).rev().step_by(step) {
        for m in 0.. {
            let at = format!("{what:?}, failed at change {n}, killed at change {m} of the rollback");
            let mut c = Case::new(what);
            c.b.sim.faults().add(Rule::nth_change(n, Then::EffectThenFail(FaultKind::Conflict)));
            let op = c.b.assert_state(c.go(), "FAILED_TEMP").id;
            c.b.sim.faults().add(Rule::nth_change(m, Then::EffectThenDead));
            c.b.core().nfvo.rollback(op).expect("accepted");
            c.b.until(&at, || c.b.sim.faults().is_dead() || c.b.op(op).state.is_final());
            let killed = c.b.sim.faults().is_dead();
            c.b.kill_and_start();
            assert_eq!(c.b.wait(op).state.name(), "ROLLED_BACK", "{at}\n{}", c.b.picture());
            c.assert_undone();
            c.tear_down();
            if !killed {
                break;
            }
        }
    }
}

macro_rules! sweeps {
    ($($name:ident $how:ident $what:ident;)*) => {$(
        #[test]
        fn $name() { $how(What::$what); }
    )*};
}
sweeps! {
    instantiation_of_a_vnf_that_fails_at_any_change fails InstantiateVnf;
    termination_of_a_vnf_that_fails_at_any_change fails TerminateVnf;
    stop_that_fails_at_any_change fails Stop;
    start_that_fails_at_any_change fails Start;
    instantiation_of_a_service_that_fails_at_any_change fails InstantiateNs;
    termination_of_a_service_that_fails_at_any_change fails TerminateNs;
    instantiation_of_a_vnf_killed_at_any_change kills InstantiateVnf;
    termination_of_a_vnf_killed_at_any_change kills TerminateVnf;
    stop_killed_at_any_change kills Stop;
    start_killed_at_any_change kills Start;
    instantiation_of_a_service_killed_at_any_change kills InstantiateNs;
    termination_of_a_service_killed_at_any_change kills TerminateNs;
    rollback_of_a_vnf_killed_at_any_change kills_in_rollback InstantiateVnf;
    rollback_of_a_service_killed_at_any_change kills_in_rollback InstantiateNs;
}

#[test]
fn every_step_may_be_run_twice_and_undone_twice() {
    let (b, id) = vnf_box(&Shape::default());
    let done = b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let there = b.sim.leftovers();
    let steps = b.steps(done.id);
    let runner = Steps::new(b.core().nfvo.clone());
    let op = Arc::new(done);
    let cx = |index| StepCx { op: op.clone(), index, elapsed: std::time::Duration::ZERO, fresh: true };
    for s in &steps {
        for _ in 0..2 {
            assert_eq!(runner.run(&cx(s.index), &s.step).expect("run"), Outcome::Done, "{}", s.step.label());
        }
    }
    assert_eq!(b.sim.leftovers(), there);
    for s in steps.iter().rev() {
        for _ in 0..2 {
            assert_eq!(runner.undo(&cx(s.index), &s.step).expect("undone"), Outcome::Done, "{}", s.step.label());
        }
    }
    assert_eq!(b.sim.leftovers(), []);
    for s in &steps {
        runner.run(&cx(s.index), &s.step).expect("run after an undo");
    }
    assert_eq!(b.sim.leftovers(), there);
    let body = b.vnf(id).body.expect("a body");
    for s in crate::vnfm::plan::terminate(&body, op.id, None) {
        for _ in 0..2 {
            assert_eq!(runner.run(&cx(s.index), &s.step).expect("run"), Outcome::Done, "{}", s.step.label());
        }
        assert!(runner.undo(&cx(s.index), &s.step).is_ok() == matches!(s.step.effect(), crate::model::step::Effect::Changes));
        runner.run(&cx(s.index), &s.step).expect("run");
    }
    assert_eq!(b.sim.leftovers(), []);
}

#[test]
fn what_was_accepted_and_never_begun_is_done_after_a_kill() {
    for what in [What::InstantiateVnf, What::TerminateVnf, What::InstantiateNs, What::TerminateNs] {
        let mut c = Case::new(what);
        // No worker runs any more: the accept is all there is.
        c.b.core().engine.stop();
        let op = c.go();
        c.b.kill_and_start();
        c.done(op);
        c.assert_right();
        c.tear_down();
    }
}
