//! Snapshots of VNFs: what a VNF goes back to, what outlives what, and what is refused.

use std::{collections::BTreeMap, sync::Arc};

use super::guests;
use crate::{
    lcm::port::{Outcome, Runner, StepCx},
    model::{
        access::Quota,
        error::Kind,
        id::{DiskId, ProjectId, SnapshotId, VnfId},
        param::Param,
        size::{Bytes, MiB},
        snapshot::VnfSnapshot,
        vnf::{Body, Reservation, RunState, Stopping},
    },
    nfvo::runner::Steps,
    node::kit::{Shape, TestBox, vnf_box, vnfd},
    sim::{
        Behaviour, Leftover, SimConfig,
        faults::{Method, Rule, Then},
    },
    vim::port::{DiskRoom, GuestState, Hypervisor, Images},
    vnfm::{alter::Alter, change::ScaleTo},
};

fn shape() -> Shape {
    Shape { most: 4, volume: true, ..Shape::default() }
}

fn up() -> (TestBox, VnfId) {
    let (b, id) = vnf_box(&shape());
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    (b, id)
}

fn body(b: &TestBox, id: VnfId) -> Body {
    b.vnf(id).body.expect("a body")
}

pub fn empty(b: &TestBox) -> SnapshotId {
    b.core().vnfm().create_snapshot(ProjectId::DEFAULT).expect("made").id
}

/// Each disk of the VNF gets this text.
pub fn write(b: &TestBox, id: VnfId, text: &str) {
    body(b, id).vnfcs.iter().flat_map(|c| &c.disks).for_each(|d| b.sim.write_disk(d.id, text.as_bytes()));
}

/// What is on each disk, by guest and descriptor.
pub fn read(b: &TestBox, id: VnfId) -> BTreeMap<String, String> {
    let body = body(b, id);
    let all = body.vnfcs.iter().flat_map(|c| c.disks.iter().map(move |d| (format!("{}/{} {}", c.vdu, c.index, d.storage), d.id)));
    all.map(|(name, disk)| (name, String::from_utf8(b.sim.read_disk(disk)).expect("text"))).collect()
}

/// Names of the copies that are on the host.
pub fn copies(b: &TestBox) -> Vec<DiskId> {
    let of = |l| match l {
        Leftover::Copy(id) => Some(id),
        _ => None,
    };
    let mut all: Vec<DiskId> = b.sim.leftovers().into_iter().filter_map(of).collect();
    all.sort();
    all
}

pub fn record(b: &TestBox, id: SnapshotId) -> VnfSnapshot {
    b.store().require(&id).expect("the snapshot")
}

fn take(b: &TestBox, vnf: VnfId) -> SnapshotId {
    let id = empty(b);
    let user_data = vec![("name".into(), Param::Text("before".into()))];
    let op = b.core().vnfm().take_snapshot(vnf, id, &user_data, "{}").expect("accepted");
    b.assert_state(op.id, "COMPLETED");
    id
}

fn revert(b: &TestBox, vnf: VnfId, id: SnapshotId) {
    let op = b.core().vnfm().revert_to_snapshot(vnf, id, "{}").expect("accepted");
    b.assert_state(op.id, "COMPLETED");
    b.core().vnfm().sweep_copies().expect("swept");
}

#[test]
fn a_vnf_goes_back_to_what_its_disks_held_whether_it_runs_or_not() {
    for run in [RunState::Started, RunState::Stopped] {
        let (b, id) = vnf_box(&shape());
        b.sim.set_guests(|spec| Behaviour { agent: (spec.owner.vdu == "vdu1").then_some(Default::default()), ..Behaviour::default() });
        b.assert_state(b.instantiate_vnf(id), "COMPLETED");
        let vnfm = || b.core().vnfm();
        write(&b, id, "one");
        let snapshot = take(&b, id);
        b.assert_vnf_up(id);
        let s = record(&b, snapshot);
        let taken = s.taken.clone().expect("taken");
        assert!(s.op.is_none() && taken.finished.is_some() && taken.vnf.op.is_none(), "{s:?}");
        assert_eq!(taken.guests.iter().map(|g| (g.vdu.as_str(), g.frozen)).collect::<Vec<_>>(), [("vdu0", false), ("vdu1", true)]);
        let mut named: Vec<DiskId> = s.copies().map(|c| c.copy).collect();
        named.sort();
        assert_eq!((named.len(), copies(&b)), (3, named.clone()));
        assert!(named.iter().all(|c| b.sim.read_disk(*c) == b"one"));
        assert_eq!(s.disk(), MiB(3), "what the copies are, not what the disks could be");

        write(&b, id, "two");
        if run == RunState::Stopped {
            b.assert_state(vnfm().operate(id, run, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
        }
        let reserved = b.store().require::<Reservation>(&id).expect("reserved");
        revert(&b, id, snapshot);
        assert!(read(&b, id).values().all(|text| text == "one"), "{:?}", read(&b, id));
        assert_eq!((copies(&b), b.store().require::<Reservation>(&id).expect("reserved")), (named, reserved));
        let state = if run == RunState::Started { GuestState::Running } else { GuestState::Off };
        assert!(guests(&b.vnf(id)).iter().all(|g| b.sim.state(*g).expect("state") == Some(state)), "{}", b.picture());
        // And once more, from another state.
        write(&b, id, "three");
        if run == RunState::Stopped {
            revert(&b, id, snapshot);
            assert!(read(&b, id).values().all(|text| text == "one"), "{:?}", read(&b, id));
        }
        b.assert_state(vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
        vnfm().delete_snapshot(snapshot, |_| Ok(())).expect("deleted");
        b.assert_nothing_left();
    }
}

#[test]
fn a_healed_guest_and_a_vnf_that_was_made_again_go_back_too() {
    let (b, id) = up();
    let vnfm = || b.core().vnfm();
    write(&b, id, "one");
    let snapshot = take(&b, id);
    let before = body(&b, id);
    b.assert_state(vnfm().alter(id, &Alter::Heal { which: Vec::new(), anew: true }, "{}").expect("accepted").id, "COMPLETED");
    assert!(body(&b, id).vnfcs.iter().all(|c| before.vnfc(c.id).is_none()) && read(&b, id).values().all(String::is_empty));
    revert(&b, id, snapshot);
    assert!(read(&b, id).values().all(|text| text == "one"), "{:?}", read(&b, id));
    b.assert_vnf_up(id);

    b.assert_state(vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    assert_eq!(copies(&b).len(), 3, "a snapshot outlives the termination of its VNF");
    let base = before.vnfcs[0].disks[0].base.expect("a base").0;
    assert_eq!(b.sim.remove_base(&base).expect_err("copies stand on it").kind(), Kind::Conflict);
    let found = vnfm().reconcile().expect("reconciled");
    assert_eq!((found.files_removed, copies(&b).len()), (0, 3));
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    revert(&b, id, snapshot);
    assert!(read(&b, id).values().all(|text| text == "one"), "{:?}", read(&b, id));
    b.assert_state(vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    vnfm().delete(id, |_| Ok(())).expect("deleted");
    vnfm().delete_snapshot(snapshot, |_| Ok(())).expect("deleted, though its VNF is no more");
    b.assert_nothing_left();
}

#[test]
fn what_cannot_be_says_why() {
    let (b, id) = vnf_box(&shape());
    let vnfm = || b.core().vnfm();
    let none = Vec::new();
    let unknown: SnapshotId = "00000000-0000-4000-8000-000000000007".parse().expect("id");
    let first = empty(&b);
    let refused = |what: &str, r: crate::model::error::Result<crate::model::op::Operation>, kind, says: &str| {
        let e = r.expect_err(what);
        assert!(e.kind() == kind && e.to_string().contains(says), "{what}: {e}");
    };
    refused("down", vnfm().take_snapshot(id, first, &none, "{}"), Kind::Conflict, "is not instantiated");
    refused("down", vnfm().revert_to_snapshot(id, first, "{}"), Kind::Conflict, "is not instantiated");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    refused("nowhere", vnfm().take_snapshot(id, unknown, &none, "{}"), Kind::NotFound, "there is no VNF snapshot");
    refused("nowhere", vnfm().revert_to_snapshot(id, unknown, "{}"), Kind::NotFound, "there is no VNF snapshot");
    refused("empty", vnfm().revert_to_snapshot(id, first, "{}"), Kind::Conflict, "is empty");
    let taken = take(&b, id);
    refused("full", vnfm().take_snapshot(id, taken, &none, "{}"), Kind::Invalid, "has its content already");
    assert_eq!(vnfm().modify_snapshot(taken, |_| Ok(())).expect_err("full").kind(), Kind::Conflict);
    assert!(vnfm().modify_snapshot(first, |_| Ok(())).is_ok());
    let other = b.create_vnf("vnf");
    b.assert_state(b.instantiate_vnf(other), "COMPLETED");
    refused("another's", vnfm().revert_to_snapshot(other, taken, "{}"), Kind::Conflict, &format!("is one of VNF instance {id}"));

    // Held by an operation that waits for its client; guests go on all the same.
    b.sim.faults().add(Rule::next(Method::CopyDisk, Then::Fail(Kind::Conflict)));
    let stuck = vnfm().take_snapshot(id, first, &none, "{}").expect("accepted").id;
    b.assert_state(stuck, "FAILED_TEMP");
    assert!(guests(&b.vnf(id)).iter().all(|g| b.sim.state(*g).expect("state") == Some(GuestState::Running)), "{}", b.picture());
    let held = format!("is in use by operation {stuck}");
    refused("held", vnfm().take_snapshot(other, first, &none, "{}"), Kind::Conflict, &held);
    refused("the VNF is", vnfm().revert_to_snapshot(id, taken, "{}"), Kind::Conflict, "is held by operation");
    let e = vnfm().delete_snapshot(first, |_| Ok(())).expect_err("held");
    assert!(e.kind() == Kind::Conflict && e.to_string().contains(&held), "{e}");
    assert_eq!(vnfm().modify_snapshot(first, |_| Ok(())).expect_err("held").kind(), Kind::Conflict);
    b.core().nfvo.fail(stuck).expect("given up");
    assert!(record(&b, first).taken.is_none(), "what was given up is no snapshot");
    vnfm().delete_snapshot(first, |_| Ok(())).expect("deleted");
    assert_eq!(vnfm().delete_snapshot(first, |_| Ok(())).expect_err("gone").kind(), Kind::NotFound);

    // Another number of guests.
    let out = Alter::Scale(ScaleTo::Steps { aspect: "more".into(), out: true, steps: 1 });
    b.assert_state(vnfm().alter(id, &out, "{}").expect("accepted").id, "COMPLETED");
    refused("grown", vnfm().revert_to_snapshot(id, taken, "{}"), Kind::Conflict, "guest vdu0/1 was not there then: scale the VNF in");
    let grown = take(&b, id);
    let back = Alter::Scale(ScaleTo::Steps { aspect: "more".into(), out: false, steps: 1 });
    b.assert_state(vnfm().alter(id, &back, "{}").expect("accepted").id, "COMPLETED");
    refused("shrunk", vnfm().revert_to_snapshot(id, grown, "{}"), Kind::Conflict, "guest vdu0/1 is no more: scale the VNF out");
    b.sim.put(guests(&b.vnf(id))[0], GuestState::PausedIo).expect("paused");
    let third = empty(&b);
    let op = vnfm().take_snapshot(id, third, &none, "{}").expect("accepted").id;
    let why = b.assert_state(op, "FAILED_TEMP").error.expect("a reason").text;
    assert!(why.contains("a write found no room"), "{why}");
}

#[test]
fn snapshots_are_counted_as_disks_are_and_refused_where_there_is_no_room() {
    let (b, id) = up();
    let disk = b.store().require::<Reservation>(&id).expect("reserved").disk;
    take(&b, id);
    assert_eq!(b.core().vnfm().used_by(&[ProjectId::DEFAULT]).expect("use")[0].disk, disk.0 + 3);
    let mut project = crate::access::manage::default_project(crate::model::time::Stamp(1));
    project.quota = Quota { disk: Some(MiB(disk.0 * 2)), ..Quota::default() };
    b.put(&project);
    let e = b.core().vnfm().take_snapshot(id, empty(&b), &Vec::new(), "{}").expect_err("over the quota");
    assert!(e.kind() == Kind::Forbidden && e.to_string().contains("disk: "), "{e}");

    let free = Bytes((disk.0 * 3 / 2) << 20);
    let small = TestBox::of(SimConfig { room: DiskRoom { total: free, free, disks: Bytes(0) }, ..SimConfig::default() });
    small.onboard(vnfd("vnf", &shape()));
    let id = small.create_vnf("vnf");
    small.assert_state(small.instantiate_vnf(id), "COMPLETED");
    let snapshot = empty(&small);
    let op = small.core().vnfm().take_snapshot(id, snapshot, &Vec::new(), "{}").expect("accepted");
    let why = op.error.expect("reasons").reasons;
    assert_eq!(op.state.name(), "ROLLED_BACK");
    assert!(why[0].starts_with("snapshot of VNF v: disk: "), "{why:?}");
    assert!(record(&small, snapshot).op.is_none() && small.vnf(id).op.is_none() && copies(&small).is_empty());
    small.core().vnfm().delete_snapshot(snapshot, |_| Ok(())).expect("deleted");
}

#[test]
fn steps_of_snapshots_may_be_run_twice_and_undone_twice() {
    let (b, id) = up();
    let runner = Steps::new(b.core().nfvo.clone());
    write(&b, id, "one");
    let snapshot = take(&b, id);
    let named = copies(&b);
    write(&b, id, "two");
    let op = b.core().vnfm().revert_to_snapshot(id, snapshot, "{}").expect("accepted").id;
    let op = Arc::new(b.assert_state(op, "COMPLETED"));
    let steps = b.steps(op.id);
    let cx = |index| StepCx { op: op.clone(), index, elapsed: std::time::Duration::ZERO, fresh: true };
    for s in steps.iter().chain(&steps) {
        assert_eq!(runner.run(&cx(s.index), &s.step).expect("run"), Outcome::Done, "{}", s.step.label());
    }
    assert!(read(&b, id).values().all(|text| text == "one") && copies(&b).len() == 6);
    for s in steps.iter().rev() {
        for _ in 0..2 {
            assert_eq!(runner.undo(&cx(s.index), &s.step).expect("undone"), Outcome::Done, "{}", s.step.label());
        }
    }
    assert!(read(&b, id).values().all(|text| text == "two") && copies(&b) == named);
    b.assert_vnf_up(id);

    let all = b.store().list::<crate::model::op::Operation>().expect("operations");
    let made = all.into_iter().find(|o| o.kind == crate::model::op::OpKind::CreateSnapshot).expect("it was taken");
    for s in b.steps(made.id) {
        for _ in 0..2 {
            assert_eq!(runner.run(&cx(s.index), &s.step).expect("run"), Outcome::Done);
        }
        for _ in 0..2 {
            assert_eq!(runner.undo(&cx(s.index), &s.step).expect("undone"), Outcome::Done);
        }
        assert!(copies(&b).is_empty());
        runner.run(&cx(s.index), &s.step).expect("run after an undo");
        assert!(copies(&b) == named && b.sim.read_disk(named[0]) == b"two");
    }
    b.assert_vnf_up(id);
}

#[test]
fn a_copy_that_nothing_names_goes_and_those_of_a_newer_store_stay() {
    let (mut b, id) = up();
    take(&b, id);
    let named = copies(&b);
    let stranger = DiskId(uuid::Uuid::from_u128(99));
    let disk = body(&b, id).vnfcs[1].disks[0].id;
    b.sim.pause(body(&b, id).vnfcs[1].id).expect("paused");
    b.sim.copy_disk(disk, stranger).expect("copied");
    assert_eq!(b.core().vnfm().sweep_copies().expect("swept"), 1);
    assert_eq!(copies(&b), named);

    // An export from before the snapshot: its copies are unknown now, and may be wanted.
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("export");
    b.store().export(&file).expect("exported");
    let later = take(&b, id);
    let all = copies(&b);
    b.kill();
    crate::store::Store::import(&file, b.store_dir()).expect("imported");
    b.start();
    assert!(b.store().get::<VnfSnapshot>(&later).expect("read").is_none() && b.store().is_restored());
    assert_eq!((b.core().vnfm().sweep_copies().expect("swept"), copies(&b)), (0, all));
}

#[test]
fn a_snapshot_waits_for_a_backup_that_has_its_guests_stand_still() {
    let (b, id) = up();
    let stands = b.core().vnfm().still().take(guests(&b.vnf(id))).expect("nobody has them");
    b.sim.faults().reset_counts();
    let op = b.core().vnfm().take_snapshot(id, empty(&b), &Vec::new(), "{}").expect("accepted").id;
    b.until("it says what it waits for", || {
        let lines = b.core().engine.timeline(op).expect("a timeline").1;
        lines.iter().any(|l| l.why.as_ref().is_some_and(|w| w.contains("a backup")))
    });
    assert_eq!((b.sim.faults().count(Method::Pause), copies(&b)), (0, vec![]));
    drop(stands);
    b.assert_state(op, "COMPLETED");
    assert_eq!(copies(&b).len(), 3);
}

#[test]
fn copies_of_a_guest_that_went_on_meanwhile_are_made_anew() {
    let (b, id) = up();
    write(&b, id, "one");
    b.sim.set_delay(Method::State, std::time::Duration::from_millis(200));
    let op = b.core().vnfm().take_snapshot(id, empty(&b), &Vec::new(), "{}").expect("accepted").id;
    b.until("its copies are made", || copies(&b).len() == 3);
    // Somebody has them go on before all is looked at once more, and they write.
    guests(&b.vnf(id)).iter().for_each(|g| b.sim.put(*g, GuestState::Running).expect("runs"));
    write(&b, id, "two");
    b.sim.set_delay(Method::State, std::time::Duration::ZERO);
    b.assert_state(op, "COMPLETED");
    assert!(copies(&b).iter().all(|c| b.sim.read_disk(*c) == b"two"), "of one moment");
    b.assert_vnf_up(id);
}
