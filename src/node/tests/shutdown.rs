//! The host goes down, or does not after all.

use std::time::Duration;

use super::guests;
use crate::{
    model::{
        alarm::{Alarm, Cause},
        health::ConditionState,
        vnf::RunState,
    },
    node::{
        conditions::conditions,
        kit::{Shape, TestBox, vnf_box},
    },
    sim::{
        Behaviour,
        faults::{Method, Rule, Then},
    },
    vim::port::{GuestState, Hypervisor},
    vnfm::{revive::Missing, shutdown::Shutdown},
};

#[test]
fn when_the_host_goes_down_guests_stop_in_time_or_are_destroyed_and_stay_wanted() {
    for deaf in [false, true] {
        let (b, id) = vnf_box(&Shape::default());
        if deaf {
            b.sim.set_guests(|_| Behaviour::deaf());
        }
        b.assert_state(b.instantiate_vnf(id), "COMPLETED");
        let all = guests(&b.vnf(id));
        let done = b.core().vnfm().shutdown_guests(Duration::from_millis(if deaf { 300 } else { 10_000 })).expect("done");
        assert_eq!((done.stopped, done.destroyed), if deaf { (0, all.len()) } else { (all.len(), 0) });
        for g in &all {
            assert_eq!(b.sim.state(*g).expect("asked"), Some(GuestState::Off));
        }
        assert_eq!(b.vnf(id).body.map(|x| x.run), Some(RunState::Started));
        // Nothing starts them again before the host is down.
        assert_eq!(b.core().vnfm().reconcile().expect("reconciled").started, 0);
    }
}

#[test]
fn guests_that_do_not_stop_in_time_are_destroyed_together() {
    let (b, id) = vnf_box(&Shape { vdus: 6, ..Shape::default() });
    b.sim.set_guests(|_| Behaviour::deaf());
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    // Each of these calls ends when the last of them has begun.
    b.sim.faults().add(Rule::next(Method::Destroy, Then::Together(6)).times(6));
    let done = b.core().vnfm().shutdown_guests(Duration::ZERO).expect("none of them waited in vain");
    assert_eq!(done, Shutdown { stopped: 0, destroyed: 6 });
}

fn said(b: &TestBox) -> (ConditionState, String) {
    let c = conditions(b.core()).into_iter().find(|c| c.name == "shutdown").expect("a condition");
    (c.state, c.text)
}

#[test]
fn a_shutdown_that_does_not_come_is_said_and_ends_with_a_start_by_hand_or_when_it_is_called_off() {
    for by_hand in [true, false] {
        let (b, id) = vnf_box(&Shape::default());
        b.core().watch().expect("watching");
        b.until("the first look", || b.core().reconciled().last.is_some());
        b.assert_state(b.instantiate_vnf(id), "COMPLETED");
        let guests = guests(&b.vnf(id));
        let run = || guests.iter().all(|g| b.sim.state(*g).expect("asked") == Some(GuestState::Running));
        assert_eq!(said(&b).0, ConditionState::Ok);
        b.core().vnfm().shutdown_guests(Duration::from_secs(600)).expect("done");
        let (state, text) = said(&b);
        assert!(state == ConditionState::Failed && text.contains("bothy host-shutdown --undo"), "{text}");
        if by_hand {
            let op = b.core().vnfm().operate(id, RunState::Started, crate::model::vnf::Stopping::AtOnce, "{}".into()).expect("accepted").id;
            b.assert_state(op, "COMPLETED");
        } else {
            assert!(b.core().vnfm().call_off_shutdown());
            b.core().look_again(Missing::Start);
            b.until("they run again", run);
            assert!(!b.core().vnfm().call_off_shutdown(), "there is nothing to call off any more");
        }
        assert!(run() && said(&b).0 == ConditionState::Ok);
        // Alarms come again.
        b.sim.put(guests[0], GuestState::Crashed).expect("crashed");
        b.until("an alarm", || b.store().list::<Alarm>().expect("alarms").iter().any(|a| a.cause == Cause::GuestCrashed));
    }
}

#[test]
fn a_shutdown_that_is_called_off_while_it_waits_for_guests_destroys_none() {
    let (b, id) = vnf_box(&Shape::default());
    b.sim.set_guests(|_| Behaviour::deaf());
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    std::thread::scope(|s| {
        let vnfm = b.core().vnfm();
        let going = s.spawn(|| vnfm.shutdown_guests(Duration::from_secs(600)));
        b.until("guests are asked", || b.sim.faults().count(Method::AskStop) >= 2);
        assert_eq!(said(&b).0, ConditionState::Pending);
        assert!(vnfm.call_off_shutdown());
        assert_eq!(going.join().expect("no panic").expect("ended"), Shutdown::default());
    });
    assert_eq!(b.sim.faults().count(Method::Destroy), 0);
    b.assert_vnf_up(id);
}
