//! Sweeps: each kind of operation meets a fault at each of its changes to the box, and every way
//! out of it ends where it should.

mod barriers;
mod case;
mod twice;

use self::case::{Case, What, sheds_last};
use crate::{
    model::{error::Kind as FaultKind, op::Phase},
    sim::faults::{Rule, Then},
    vim::port::Hardware,
};

/// Changes to the box that the operation makes when nothing goes wrong.
fn changes(what: What) -> u64 {
    let c = Case::new(what);
    c.done(c.go());
    let n = c.b.sim.faults().changes();
    c.assert_right();
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
                    // A stop takes an agent that refuses for one that is not there, a reload stops a guest that
                    // cannot let go.
                    assert!(
                        matches!(
                            what,
                            What::Stop | What::Reboot | What::ScaleIn | What::ReloadPf | What::ShrinkNs | What::Flavour | What::Package
                        ) && op.state.name() == "COMPLETED",
                        "{at}"
                    );
                    continue;
                }
                let nfvo = &c.b.core().nfvo;
                match out {
                    Out::Retry => {
                        nfvo.retry(op.id).unwrap_or_else(|e| panic!("{at}: {e}"));
                        assert_eq!(c.b.wait(op.id).state.name(), "COMPLETED", "{at}\n{}", c.b.picture());
                        c.assert_right();
                    }
                    // What was begun to be taken away can no more be gone back to.
                    Out::Rollback if sheds_last(what) && c.b.sheds(op.id) => {
                        nfvo.rollback(op.id).expect_err(&at);
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
                        c.assert_connected(&at);
                        if what == What::RestorePf {
                            // Whoever gives it up puts the PF right himself; the other one has the same driver.
                            let facts = c.b.sim.facts().expect("facts");
                            let all: Vec<_> = facts.pfs().map(|(d, _)| d).collect();
                            c.b.sim.ensure_driver(all[0].addr, all[1].driver.as_ref()).expect("put right");
                        }
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
            // What a revert kept goes after its end, and is no orphan.
            let kept = c.b.core().vnfm().sweep_copies().expect("swept");
            assert_eq!(kept, if what == What::Revert { 3 } else { 0 }, "{at}");
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
            let op = c.b.wait(c.go());
            // A guest whose agent is not heard is stopped by its power button; and after the last guest there is no way back.
            if sheds_last(what) && (op.state.phase() == Phase::Over || c.b.sheds(op.id)) {
                break;
            }
            assert_eq!(op.state.name(), "FAILED_TEMP", "{at}\n{}", c.b.picture());
            let op = op.id;
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
    reboot_that_fails_at_any_change fails Reboot;
    instantiation_of_a_service_that_fails_at_any_change fails InstantiateNs;
    termination_of_a_service_that_fails_at_any_change fails TerminateNs;
    instantiation_of_a_vnf_killed_at_any_change kills InstantiateVnf;
    termination_of_a_vnf_killed_at_any_change kills TerminateVnf;
    stop_killed_at_any_change kills Stop;
    start_killed_at_any_change kills Start;
    reboot_killed_at_any_change kills Reboot;
    instantiation_of_a_service_killed_at_any_change kills InstantiateNs;
    termination_of_a_service_killed_at_any_change kills TerminateNs;
    instantiation_with_a_vf_that_fails_at_any_change fails InstantiateVf;
    termination_with_a_vf_that_fails_at_any_change fails TerminateVf;
    instantiation_with_a_vf_killed_at_any_change kills InstantiateVf;
    termination_with_a_vf_killed_at_any_change kills TerminateVf;
    rollback_with_a_vf_killed_at_any_change kills_in_rollback InstantiateVf;
    rollback_of_a_vnf_killed_at_any_change kills_in_rollback InstantiateVnf;
    rollback_of_a_reboot_killed_at_any_change kills_in_rollback Reboot;
    rollback_of_a_service_killed_at_any_change kills_in_rollback InstantiateNs;
    scaling_out_that_fails_at_any_change fails ScaleOut;
    scaling_in_that_fails_at_any_change fails ScaleIn;
    healing_that_fails_at_any_change fails Heal;
    healing_with_a_vf_that_fails_at_any_change fails HealVf;
    scaling_out_killed_at_any_change kills ScaleOut;
    scaling_in_killed_at_any_change kills ScaleIn;
    healing_killed_at_any_change kills Heal;
    healing_with_a_vf_killed_at_any_change kills HealVf;
    scaling_in_a_service_that_fails_at_any_change fails ScaleNs;
    healing_in_a_service_that_fails_at_any_change fails HealNs;
    scaling_in_a_service_killed_at_any_change kills ScaleNs;
    healing_in_a_service_killed_at_any_change kills HealNs;
    growth_of_a_service_that_fails_at_any_change fails GrowNs;
    growth_of_a_service_killed_at_any_change kills GrowNs;
    rollback_of_growth_of_a_service_killed_at_any_change kills_in_rollback GrowNs;
    shrinking_of_a_service_that_fails_at_any_change fails ShrinkNs;
    shrinking_of_a_service_killed_at_any_change kills ShrinkNs;
    reload_of_a_pf_that_fails_at_any_change fails ReloadPf;
    reload_of_a_pf_killed_at_any_change kills ReloadPf;
    rollback_of_a_reload_killed_at_any_change kills_in_rollback ReloadPf;
    restoring_of_a_pf_that_fails_at_any_change fails RestorePf;
    restoring_of_a_pf_killed_at_any_change kills RestorePf;
    rollback_of_restoring_a_pf_killed_at_any_change kills_in_rollback RestorePf;
    scaling_out_with_a_vf_that_fails_at_any_change fails ScaleOutVf;
    scaling_out_with_a_vf_killed_at_any_change kills ScaleOutVf;
    rollback_of_scaling_out_with_a_vf_killed_at_any_change kills_in_rollback ScaleOutVf;
    change_of_a_chain_that_fails_at_any_change fails Reroute;
    change_of_a_chain_killed_at_any_change kills Reroute;
    rollback_of_a_changed_chain_killed_at_any_change kills_in_rollback Reroute;
    handover_of_a_chain_that_fails_at_any_change fails HandOver;
    handover_of_a_chain_killed_at_any_change kills HandOver;
    rollback_of_a_handover_killed_at_any_change kills_in_rollback HandOver;
    rollback_of_scaling_out_killed_at_any_change kills_in_rollback ScaleOut;
    taking_a_snapshot_that_fails_at_any_change fails Snapshot;
    taking_a_snapshot_killed_at_any_change kills Snapshot;
    rollback_of_a_snapshot_killed_at_any_change kills_in_rollback Snapshot;
    reverting_that_fails_at_any_change fails Revert;
    reverting_killed_at_any_change kills Revert;
    rollback_of_reverting_killed_at_any_change kills_in_rollback Revert;
    change_of_links_that_fails_at_any_change fails Connect;
    change_of_links_killed_at_any_change kills Connect;
    rollback_of_changed_links_killed_at_any_change kills_in_rollback Connect;
    change_of_flavour_that_fails_at_any_change fails Flavour;
    change_of_flavour_killed_at_any_change kills Flavour;
    rollback_of_a_changed_flavour_killed_at_any_change kills_in_rollback Flavour;
    change_of_package_that_fails_at_any_change fails Package;
    change_of_package_killed_at_any_change kills Package;
    rollback_of_a_changed_package_killed_at_any_change kills_in_rollback Package;
}

#[test]
fn what_was_accepted_and_never_begun_is_done_after_a_kill() {
    for what in [What::InstantiateVnf, What::TerminateVnf, What::InstantiateNs, What::TerminateNs, What::GrowNs, What::ShrinkNs] {
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
