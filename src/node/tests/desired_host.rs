//! The host's part of the desired state over `Sim`: it is set up once, whatever crashes in between, and what does not come of it holds
//! nothing else up.

use std::time::Duration;

use serde_json::{Value, json};

use super::desired::{Case, document, nothing};
use crate::{
    desired::plan::State,
    model::{
        desired::{DesiredRecord, ItemKind},
        error::Kind,
        host::{BootArgs, HostSetting, KernelArgs, NodeId, PfName},
        hw::PageSize,
        setup::PagePool,
    },
    sim::faults::{Method, Rule, Then},
    vim::{
        port::Hardware as _,
        setup::{self, Settled},
    },
};

fn boot(c: &Case) -> BootArgs {
    c.b.sim.boot_args().expect("asked").expect("there")
}

/// As a box that goes down and comes up again, with its arguments on trial or without.
fn boots(c: &mut Case, comes_up: bool, rule: Option<Rule>) {
    c.b.sim.boot_box(comes_up);
    c.crash_before(rule);
    c.b.core().host.settle_boot().expect("settled");
}

fn pages(n: u64) -> Value {
    json!([{"node": 0, "size": "2 MiB", "pages": n}])
}

/// Node 0's pages of 2 MiB, and the VFs of ens1f0.
fn set_up(c: &Case) -> (u64, usize) {
    let f = c.b.sim.facts().expect("facts");
    let pages = f.nodes[0].pages(PageSize::Huge2M).expect("offered").total;
    let name: PfName = "ens1f0".parse().expect("a name");
    let pf = f.pfs().find(|(d, _)| name.means(d.addr, &d.ports)).expect("a PF").1;
    (pages, pf.vfs.len())
}

fn pool(pages: u64) -> PagePool {
    PagePool { node: NodeId(0), size: PageSize::Huge2M, pages }
}

#[test]
fn the_host_is_set_up_as_signed_and_goes_back_to_what_it_was_before_documents() {
    for told in [false, true] {
        let mut c = Case::new();
        if told {
            c.b.core().host.set_desired(setup::Desired { hugepages: vec![pool(4000)], ..setup::Desired::default() });
            assert_eq!(c.b.core().host.apply().expect("applied").failed, []);
        }
        let was = set_up(&c);
        let wish = json!({"hugepages": [{"node": 0, "size": "2 MiB", "pages": 64}], "pf": [{"name": "ens1f0", "vfs": 4}]});
        c.take(&json!({"bothy-desired": 1, "version": 1, "host": wish})).expect("taken");
        let names: Vec<_> = c.state.status().expect("a status").items.into_iter().map(|i| (i.kind, i.state)).collect();
        assert_eq!(names, [(ItemKind::Host, State::Pending); 3], "all of it, and each thing");
        if !told {
            c.around.world().crash.push("/host/apply");
        }
        assert_eq!(c.until(State::InPlace), u32::from(!told));
        assert_eq!((set_up(&c), c.state.status().expect("a status").items.len()), ((64, 4), 1));
        // Somebody turns at it, and it comes back.
        c.b.sim.set(&HostSetting::HugePages { node: NodeId(0), size: PageSize::Huge2M, pages: 128 }).expect("set");
        c.until(State::InPlace);
        assert_eq!(set_up(&c), (64, 4));

        c.take(&json!({"bothy-desired": 1, "version": 2})).expect("taken");
        c.until(State::Left);
        assert_eq!(set_up(&c), (64, 4), "one that does not name it leaves it");
        c.take(&nothing(3)).expect("taken");
        c.until(State::InPlace);
        assert_eq!((set_up(&c), c.state.status().expect("a status").items.len()), (was, 0), "{told}");
        assert_eq!(c.b.store().get::<DesiredRecord>(&()).expect("read").and_then(|r| r.host), None);
    }
}

#[test]
fn what_cannot_be_of_a_host_is_told_and_the_rest_is_done() {
    let c = Case::new();
    let wish = json!({"hugepages": [{"node": 0, "size": "2 MiB", "pages": 64}], "pf": [{"name": "ens9f9", "vfs": 4}]});
    c.take(&json!({"bothy-desired": 1, "version": 1, "host": wish})).expect("taken");
    for _ in 0..1000 {
        c.state.round().expect("a round");
        std::thread::sleep(Duration::from_millis(1));
        if set_up(&c).0 == 64 {
            break;
        }
    }
    let told: Vec<_> =
        c.state.status().expect("a status").items.into_iter().map(|i| (i.name, i.state, i.reason.unwrap_or_default())).collect();
    let [(whole, State::Failed, why), (pf, State::Failed, no)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((set_up(&c).0, whole.as_str(), why.as_str()), (64, "host", "1 of it cannot be"));
    assert!(pf.contains("ens9f9") && no.contains("there is no such PF"), "{pf}: {no}");
}

#[test]
fn the_box_restarts_for_kernel_arguments_once_and_only_where_the_document_allows_it() {
    for comes_up in [true, false] {
        let mut c = Case::new();
        let wish = |reboot: &str| json!({"isolate": "4-7", "reboot": reboot});
        c.take(&json!({"bothy-desired": 1, "version": 1, "host": wish("never")})).expect("taken");
        c.rounds(|c| c.of("host").reason.is_some_and(|r| r.contains("which the document does not allow")));
        let boot = c.b.sim.boot_args().expect("asked").expect("there");
        let restarts = c.around.world().restarts;
        assert_eq!((boot.armed, restarts, c.of("host").state), (true, 0, State::Pending));

        let mut all = document(2);
        all["host"] = wish("allowed");
        c.around.world().busy = true;
        c.take(&all).expect("taken");
        c.rounds(|c| c.of("host").reason.is_some_and(|r| r.contains("an operation is under way")));
        c.rounds(|c| c.of("uplink").reason.as_deref() == Some("waits for the host's set-up"));
        c.around.world().busy = false;
        c.rounds(|c| c.around.world().restarts > 0);
        assert_eq!(c.services(), [], "nothing is begun before it");

        c.b.sim.boot_box(comes_up);
        c.crash();
        c.b.core().host.settle_boot().expect("settled");
        c.rounds(|c| c.of("uplink").state == State::InPlace);
        let (whole, args) = (c.of("host"), c.b.sim.facts().expect("facts").kernel.args);
        assert_eq!((args.has("isolcpus", "domain,4-7"), c.around.world().restarts), (comes_up, 1), "{args}");
        match comes_up {
            true => assert_eq!((c.until(State::InPlace), whole.state), (0, State::InPlace)),
            false => {
                assert!(whole.reason.is_some_and(|r| r.contains("were on trial before")) && whole.state == State::Failed);
                assert!(!c.b.sim.boot_args().expect("asked").expect("there").armed, "not by itself");
            }
        }
    }
}

#[test]
fn a_live_thing_that_does_not_come_holds_up_neither_the_restart_nor_the_services() {
    let mut c = Case::new();
    let never = Rule::next(Method::SetHost, Then::Fail(Kind::Capacity)).times(u64::MAX);
    c.b.sim.faults().add(never.clone());
    let mut all = document(1);
    all["host"] = json!({"isolate": "4-7", "reboot": "allowed", "hugepages": pages(64)});
    c.take(&all).expect("taken");
    c.rounds(|c| c.around.world().restarts > 0);
    assert!(boot(&c).armed && c.services().is_empty());
    boots(&mut c, true, Some(never));
    c.rounds(|c| c.of("uplink").state == State::InPlace);
    c.rounds(|c| c.of("host").reason.is_some_and(|r| r.contains("1 of the host's set-up did not come")));
    assert_eq!((c.of("host").state, c.around.world().restarts), (State::Failed, 1));
    // And it is tried again.
    c.b.sim.faults().clear();
    c.until(State::InPlace);
    assert_eq!((set_up(&c).0, c.around.world().restarts), (64, 1));
}

#[test]
fn a_crash_at_any_change_of_the_host_leaves_arguments_that_are_tried_once_and_another_document_tries_again() {
    let wish = |version: u64| json!({"bothy-desired": 1, "version": version, "host": {"isolate": "4-7", "reboot": "allowed", "hugepages": pages(64)}});
    for then in [Then::Dead, Then::EffectThenDead] {
        for n in 0.. {
            let mut c = Case::new();
            c.take(&wish(1)).expect("taken");
            c.b.sim.faults().add(Rule::nth_change(n, then));
            let mut died = false;
            for _ in 0..20_000 {
                // While it is dead, each look may fail.
                let _ = c.state.round();
                if c.b.sim.faults().is_dead() {
                    died = true;
                    c.crash();
                }
                if c.around.world().restarts > 0 {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            assert_eq!((c.around.world().restarts, boot(&c).armed), (1, true), "{n} {then:?}: {:#?}", c.state.status());
            boots(&mut c, false, None);
            c.rounds(|c| c.of("host").reason.is_some_and(|r| r.contains("were on trial before")));
            assert_eq!((c.around.world().restarts, boot(&c).armed, set_up(&c).0), (1, false, 64), "{n} {then:?}");
            if !died {
                assert!(n > 1, "{n} changes only");
                c.take(&wish(2)).expect("taken");
                c.rounds(|c| c.around.world().restarts == 2);
                boots(&mut c, true, None);
                assert_eq!(c.until(State::InPlace), 0);
                break;
            }
        }
    }
}

#[test]
fn what_is_signed_of_the_host_counts_in_place_of_the_configuration_as_long_as_the_document_does() {
    let mut c = Case::new();
    // Nothing is begun, so what is wanted can be seen.
    c.around.world().closed = Some("the host goes down".to_owned());
    let wanted = |c: &Case| {
        let told = c.state.status().expect("a status").items.len();
        let _ = c.state.health();
        (c.b.core().host.plan().expect("a plan").items.len(), told)
    };
    c.take(&json!({"bothy-desired": 1, "version": 1, "serials": ["BX-1"], "host": {"hugepages": pages(64)}})).expect("taken");
    assert_eq!(wanted(&c), (1, 2));
    let (disowned, serial) =
        (|c: &Case, on| c.around.world().disowned = on, |c: &Case, on: bool| c.around.world().serial = on.then_some("BX-2"));
    for change in [&disowned as &dyn Fn(&Case, bool), &serial] {
        change(&c, true);
        c.state.round().expect("a round");
        assert_eq!(wanted(&c), (0, 2), "it is told, and does not count");
        change(&c, false);
        c.state.round().expect("a round");
        assert_eq!(wanted(&c), (1, 2));
    }
    // It does from the start on.
    c.crash();
    assert_eq!(wanted(&c), (0, 2), "to look changes nothing");
    c.state.start().expect("started");
    assert_eq!(wanted(&c), (1, 2));
    c.state.stop();
    assert!(c.state.forget().expect("gone"));
    assert_eq!(wanted(&c), (0, 0));
}

#[test]
fn back_at_the_configuration_an_undo_still_knows_the_boxs_own_kernel_arguments() {
    let mut c = Case::new();
    let keeper = c.b.core().host.clone();
    keeper.set_desired(setup::Desired { isolate: "2-3".parse().expect("CPUs"), ..setup::Desired::default() });
    let kept = |c: &Case, cpus: &str| {
        c.b.sim.boot_box(true);
        assert_eq!(keeper.settle_boot().expect("settled"), Settled::Kept);
        assert!(boot(c).committed.has("isolcpus", cpus), "{:?}", boot(c));
    };
    let was = boot(&c).committed;
    assert_eq!(was, KernelArgs::default());
    keeper.apply().expect("applied");
    kept(&c, "domain,2-3");
    c.take(&json!({"bothy-desired": 1, "version": 1, "host": {"isolate": "4-7"}})).expect("taken");
    c.rounds(|c| boot(c).armed);
    kept(&c, "domain,4-7");
    c.until(State::InPlace);
    c.take(&nothing(2)).expect("taken");
    c.until(State::InPlace);
    kept(&c, "domain,2-3");
    assert!(keeper.undo().expect("undone").reboot);
    assert_eq!((boot(&c).trial, boot(&c).armed), (Some(was), true));
}
