//! A system on trial, with the real store: guests come back in it, and the store is its own or the old one's.

use std::time::Duration;

use camino::Utf8PathBuf;

use super::{autoheal, guests};
use crate::{
    lcm::timeline::all_operations,
    model::{
        error::Kind,
        health::ConditionState,
        id::VnfId,
        op::{OpState, Operation, VnfOpState},
        update::{Asked, Slot, UpdateState},
        vnf::VnfInstance,
    },
    node::{
        conditions::conditions,
        kit::{Shape, TestBox, vnf_box},
        system::open_store,
    },
    sim::{
        faults::{Method, Rule, Then},
        slots::bundle,
    },
    store::{Durability, Options, Store},
    update::{self, Pace, leave_word, port::Take},
    vim::port::{GuestState, Hardware as _, Hypervisor as _},
};

fn state(b: &TestBox) -> UpdateState {
    b.core().update().status().expect("status").journal.update.expect("one").state
}

fn system(b: &TestBox) -> (ConditionState, String) {
    let c = conditions(b.core()).into_iter().find(|c| c.name == "system").expect("a condition");
    (c.state, c.text)
}

/// A box with a VNF that runs, and a version in the other slot that the next boot tries.
fn armed() -> (TestBox, VnfId) {
    let (mut b, id) = vnf_box(&Shape::default());
    b.sim.set_slots("1.0", 1);
    b.pace = Pace { look: Duration::from_millis(5), steady: 2, ..Pace::default() };
    b.restart();
    b.core().watch().expect("watched");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    b.until("guests are seen", || b.core().reconciled().last.is_some());
    let file = Utf8PathBuf::from_path_buf(b.store_dir().with_file_name("bundle")).expect("UTF-8");
    std::fs::write(&file, bundle("1.1", 1)).expect("written");
    b.core().update().install(&file, Take::Move, Asked::default()).expect("begun");
    b.until("the box restarts", || b.sim.is_restarting());
    (b, id)
}

/// The host goes down and comes up, in the slot that the boot loader takes.
fn boots(b: &mut TestBox) {
    b.host_reboot();
    b.sim.boot_box(true);
    b.start();
}

#[test]
fn guests_come_back_on_trial_and_the_store_of_the_trial_is_kept_with_it() {
    let (mut b, id) = armed();
    boots(&mut b);
    assert!(b.store().is_on_trial() && b.core().update().closed().is_some());
    assert_eq!(system(&b).0, ConditionState::Pending);
    b.core().watch().expect("watched");
    b.until("it is kept", || state(&b) == UpdateState::Committed);
    b.assert_vnf_up(id);
    assert!(!b.store().is_on_trial() && b.core().update().closed().is_none());
    assert_eq!(b.sim.boot_args().expect("asked").expect("there").slot, Slot::B);
    let (is, text) = system(&b);
    assert!(is == ConditionState::Ok && text.starts_with("version 1.1 in slot B, boot not verified: "), "{text}");
    boots(&mut b);
    assert!(!b.store().is_on_trial());
    b.core().watch().expect("watched");
    b.until("guests are back", || b.core().reconciled().last.is_some());
    b.assert_vnf_up(id);
}

#[test]
fn a_guest_that_does_not_come_up_sends_the_box_back_to_the_store_as_it_was() {
    let (mut b, id) = armed();
    let before: Vec<VnfInstance> = b.store().list().expect("read");
    b.host_reboot();
    b.sim.boot_box(true);
    b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Transient)).times(u64::MAX));
    b.start();
    b.core().watch().expect("watched");
    let unmet = || b.core().update().status().expect("status").journal.update.expect("one").unmet.join(";");
    b.until("the guest is missed", || unmet().contains("does not run"));
    assert_eq!(state(&b), UpdateState::OnTrial { starts: 1 });
    // The time that it has is another test's.
    b.core().update().call_off("the test").expect("called off");
    b.until("it is given up", || b.sim.is_restarting());
    assert!(b.core().update().closed().is_some() && b.store().is_on_trial());
    boots(&mut b);
    assert!(!b.store().is_on_trial());
    let UpdateState::RolledBack { why } = state(&b) else { panic!("{:?}", state(&b)) };
    let guest = guests(&b.vnf(id))[0];
    assert!(why.iter().any(|w| w.contains(&format!("guest {guest}"))), "{why:?}");
    assert_eq!(b.store().list::<VnfInstance>().expect("read"), before);
    assert!(system(&b).1.contains("version 1.1 was tried and did not stay"), "{}", system(&b).1);
    b.core().watch().expect("watched");
    b.until("guests are back", || b.core().reconciled().last.is_some());
    b.assert_vnf_up(id);
}

#[test]
fn a_guest_that_dies_after_the_look_at_the_host_is_seen() {
    let (mut b, id) = armed();
    b.pace = Pace { look: Duration::from_millis(5), steady: u32::MAX, ..Pace::default() };
    boots(&mut b);
    autoheal::watch(&b);
    let guest = guests(&b.vnf(id))[0];
    let unmet = || b.core().update().status().expect("status").journal.update.expect("one").unmet.join(";");
    b.until("all is up", || unmet().is_empty() && b.sim.state(guest).expect("state") == Some(GuestState::Running));
    autoheal::crash(&b, guest);
    b.until("it is missed", || unmet().contains(&format!("guest {guest} does not run")));
}

#[test]
fn operations_under_way_do_not_go_on_in_a_trial() {
    let (mut b, id) = armed();
    // As one that was begun while nobody restarted the box.
    let op = all_operations(b.store()).expect("read").remove(0);
    let mut busy = op.clone();
    busy.state = OpState::Vnf(VnfOpState::Processing);
    b.put(&busy);
    b.host_reboot();
    b.sim.boot_box(true);
    let begun = update::begin(&b.sim, b.sim.boot_args(), Duration::from_secs(600)).expect("begun");
    let Err(fault) = open_store(b.store_dir(), Options::default(), &begun, &b.sim) else { panic!("it opens") };
    assert!(fault.detail().contains(&format!("operation {}", op.id)), "{fault}");
    assert!(b.sim.is_restarting());
    leave_word(&b.sim, &fault);
    b.sim.boot_box(true);
    let store = Store::open(b.store_dir(), Options::default()).expect("the old store");
    assert_eq!(store.get::<Operation>(&op.id).expect("read").expect("there").state, busy.state, "it goes on where it was");
    store.write(Durability::Barrier, |tx| tx.put(&op)).expect("as before");
    drop(store);
    b.start();
    let UpdateState::RolledBack { why } = state(&b) else { panic!("{:?}", state(&b)) };
    assert!(why[0].contains("operations were under way"), "{why:?}");
    assert!(b.vnf(id).instantiated);
}

#[test]
fn bothy_killed_on_trial_goes_on_with_the_copy_that_it_has() {
    let (mut b, id) = armed();
    boots(&mut b);
    b.kill();
    b.start();
    assert!(b.store().is_on_trial());
    b.core().watch().expect("watched");
    b.until("it is kept", || state(&b) == UpdateState::Committed);
    b.assert_vnf_up(id);
}

#[test]
fn a_guest_that_crashes_on_trial_is_not_made_anew_until_the_system_is_kept() {
    let (mut b, id) = armed();
    autoheal::set(b.store(), id, true);
    // Looks as often as need be, and is not kept before the test says so.
    b.pace = Pace { look: Duration::from_millis(5), steady: u32::MAX, limit: Duration::from_secs(3600), ..Pace::default() };
    boots(&mut b);
    autoheal::watch(&b);
    let guest = guests(&b.vnf(id))[0];
    b.until("it runs", || b.sim.state(guest).expect("state") == Some(GuestState::Running));
    autoheal::crash(&b, guest);
    std::thread::sleep(Duration::from_millis(200));
    assert!(autoheal::heals(&b).is_empty(), "{}", b.picture());
    b.stop();
    b.pace.steady = 2;
    b.start();
    b.core().watch().expect("watched");
    b.until("it is kept", || state(&b) == UpdateState::Committed);
}

#[test]
fn the_box_restarts_for_nothing_else_while_an_update_is_under_way() {
    let (mut b, _) = vnf_box(&Shape::default());
    b.sim.set_slots("1.0", 1);
    b.pace = Pace { look: Duration::from_millis(5), steady: 2, ..Pace::default() };
    b.restart();
    b.sim.faults().add(Rule::next(Method::WriteSlot, Then::Hang(Duration::from_millis(100))));
    let file = Utf8PathBuf::from_path_buf(b.store_dir().with_file_name("bundle")).expect("UTF-8");
    std::fs::write(&file, bundle("1.1", 1)).expect("written");
    let update = b.core().update();
    update.install(&file, Take::Move, Asked { reboot: false, ..Asked::default() }).expect("begun");
    loop {
        let was = state(&b);
        let fault = update.restart_box().expect_err("refused");
        assert_eq!((fault.kind(), b.sim.is_restarting()), (Kind::Conflict, false), "{was:?}: {fault}");
        if was == UpdateState::Armed {
            break;
        }
    }
    assert!(update.restart_box().expect_err("refused").text().contains("an update of the system is under way (ARMED)"));
    update.call_off("the test").expect("called off");
    update.restart_box().expect("told to");
    assert!(b.sim.is_restarting());
}
