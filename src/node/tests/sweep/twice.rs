//! Each step is run twice and undone twice, and the second time changes nothing.

use std::sync::Arc;

use super::case::{Case, What, sheds_last};
use crate::{
    lcm::port::{Outcome, Runner, StepCx},
    model::{error::Kind as FaultKind, op::Phase, vnf::Stopping},
    nfvo::runner::Steps,
    node::kit::{Shape, vnf_box},
    sim::faults::{Rule, Then},
};

/// Forward, and back from a third of the way, from two thirds, and from the end.
fn repeated(what: What) {
    let c = Case::new(what);
    c.b.repeat();
    c.done(c.go());
    let all = c.b.sim.faults().changes();
    assert!(c.b.repeated() > 0, "{what:?}: no step was repeated");
    c.assert_right();
    c.tear_down();
    for n in [all / 3, 2 * all / 3, all - 1] {
        let at = format!("{what:?}, failed at change {n} of {all}");
        let c = Case::new(what);
        if !c.can_roll_back() {
            continue;
        }
        c.b.repeat();
        c.b.sim.faults().add(Rule::nth_change(n, Then::EffectThenFail(FaultKind::Conflict)));
        let op = c.b.wait(c.go());
        // A guest whose agent is not heard is stopped by its power button; after the last guest there is no way back.
        if op.state.phase() == Phase::Over || sheds_last(what) && c.b.sheds(op.id) {
            continue;
        }
        let before = c.b.repeated();
        c.b.core().nfvo.rollback(op.id).unwrap_or_else(|e| panic!("{at}: {e}"));
        assert_eq!(c.b.wait(op.id).state.name(), "ROLLED_BACK", "{at}\n{}", c.b.picture());
        assert!(c.b.repeated() > before, "{at}");
        c.assert_undone();
        c.tear_down();
    }
}

macro_rules! repeat {
    ($($name:ident $what:ident;)*) => {$(
        #[test]
        fn $name() { repeated(What::$what); }
    )*};
}
repeat! {
    each_step_of_instantiating_a_vnf_repeated InstantiateVnf;
    each_step_of_terminating_a_vnf_repeated TerminateVnf;
    each_step_of_a_stop_repeated Stop;
    each_step_of_a_start_repeated Start;
    each_step_of_a_reboot_repeated Reboot;
    each_step_of_instantiating_with_a_vf_repeated InstantiateVf;
    each_step_of_terminating_with_a_vf_repeated TerminateVf;
    each_step_of_instantiating_a_service_repeated InstantiateNs;
    each_step_of_terminating_a_service_repeated TerminateNs;
    each_step_of_scaling_out_repeated ScaleOut;
    each_step_of_scaling_in_repeated ScaleIn;
    each_step_of_healing_repeated Heal;
    each_step_of_healing_with_a_vf_repeated HealVf;
    each_step_of_reloading_a_pf_repeated ReloadPf;
    each_step_of_restoring_a_pf_repeated RestorePf;
    each_step_of_scaling_out_with_a_vf_repeated ScaleOutVf;
    each_step_of_scaling_members_repeated ScaleNs;
    each_step_of_healing_a_member_repeated HealNs;
    each_step_of_changing_a_chain_repeated Reroute;
    each_step_of_handing_a_chain_over_repeated HandOver;
    each_step_of_growing_a_service_repeated GrowNs;
    each_step_of_shrinking_a_service_repeated ShrinkNs;
    each_step_of_a_snapshot_repeated Snapshot;
    each_step_of_reverting_repeated Revert;
    each_step_of_changing_links_repeated Connect;
    each_step_of_changing_the_flavour_repeated Flavour;
    each_step_of_changing_the_package_repeated Package;
}

#[test]
fn every_step_may_be_run_twice_and_undone_twice() {
    twice(&Shape::default());
    twice(&Shape::with_vf());
}

fn twice(shape: &Shape) {
    let (b, id) = vnf_box(shape);
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
    let held = b.store().require::<crate::model::vnf::Reservation>(&id).expect("reserved").placed;
    for s in crate::vnfm::plan::terminate(&body, &held, op.id, Stopping::AtOnce) {
        for _ in 0..2 {
            assert_eq!(runner.run(&cx(s.index), &s.step).expect("run"), Outcome::Done, "{}", s.step.label());
        }
        assert!(runner.undo(&cx(s.index), &s.step).is_ok() == matches!(s.step.effect(), crate::model::step::Effect::Changes));
        runner.run(&cx(s.index), &s.step).expect("run");
    }
    assert_eq!(b.sim.leftovers(), []);
}
