//! Alarms of guests, services and the host, from the events and states of the box.

use super::guests;
use crate::{
    model::{
        alarm::{Alarm, Cause, Object, Part, Severity},
        error::Kind,
        host::Function,
        id::{IfName, VnfId},
        op::{OpKind, Operation},
        size::{Bytes, MiB},
        vnf::{RunState, Stopping},
    },
    node::kit::{Shape, TestBox, ns_box, vnf_box},
    sim::faults::{Method, Rule, Then},
    vim::{
        port::{GuestFault, GuestState, Hardware, Hypervisor},
        setup::Desired,
    },
    vnfm::revive::Missing,
};

fn alarms(b: &TestBox) -> Vec<Alarm> {
    let mut all: Vec<Alarm> = b.store().list().expect("alarms");
    all.sort_unstable_by_key(Alarm::key);
    all
}

fn standing(b: &TestBox) -> Vec<(Object, Cause)> {
    alarms(b).iter().filter(|a| a.cleared.is_none()).map(|a| (a.object, a.cause)).collect()
}

/// Watched, and past the look of a start, which would start guests that a test lets die.
fn watch(b: &TestBox) {
    b.core().watch().expect("watching");
    b.until("the first look", || b.core().reconciled().last.is_some());
}

/// What has happened so far has come to the watcher: it takes one thing after the other.
fn heard(b: &TestBox) {
    // A look that has begun is over when the next one begins.
    for _ in 0..2 {
        let before = b.sim.faults().count(Method::List);
        b.core().look_again(Missing::Leave);
        b.until("another look", || b.sim.faults().count(Method::List) > before);
    }
}

fn up(shape: &Shape) -> (TestBox, VnfId) {
    let (b, id) = vnf_box(shape);
    watch(&b);
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    (b, id)
}

#[test]
fn a_guest_that_ends_unasked_is_an_alarm_until_it_runs_again() {
    for (state, cause) in
        [(GuestState::Crashed, Cause::GuestCrashed), (GuestState::Off, Cause::GuestEnded), (GuestState::PausedIo, Cause::DiskError)]
    {
        let (b, id) = up(&Shape::small());
        let guest = guests(&b.vnf(id))[0];
        b.sim.put(guest, state).expect("put");
        b.until("an alarm", || standing(&b) == [(Object::Vnf(id), cause)]);
        let a = alarms(&b).pop().expect("one");
        assert_eq!((a.severity, a.part.clone()), (Severity::Critical, Part::Guest(guest)), "{cause:?}: it was the only guest");
        assert!(a.details[0].contains(&guest.to_string()), "{:?}", a.details);

        b.sim.start(guest).expect("started");
        b.until("its end", || standing(&b).is_empty());
        let all = alarms(&b);
        assert_eq!(all.len(), 1, "kept until somebody has seen it: {all:?}");
        assert!(all[0].cleared >= Some(all[0].raised));
    }
}

#[test]
fn a_full_disk_is_told_from_one_that_fails() {
    let (b, id) = up(&Shape::small());
    let guest = guests(&b.vnf(id))[0];
    // libvirt says why before it says that the guest is paused.
    b.sim.fail(guest, GuestFault::DiskFull);
    b.sim.put(guest, GuestState::PausedIo).expect("paused");
    b.sim.fail(guest, GuestFault::Watchdog);
    b.until("alarms", || standing(&b).len() == 2);
    let causes: Vec<Cause> = standing(&b).iter().map(|(_, c)| *c).collect();
    assert_eq!(causes, [Cause::DiskFull, Cause::Watchdog]);
}

#[test]
fn what_an_operation_does_to_guests_is_no_fault() {
    let (b, id) = up(&Shape::default());
    let op = b.core().vnfm().operate(id, RunState::Stopped, Stopping::Within(1), "{}".into()).expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    let op = b.core().vnfm().operate(id, RunState::Started, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    b.assert_state(b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    assert_eq!(alarms(&b), [], "stopped, started and taken away on request");
}

#[test]
fn a_guest_that_dies_while_an_operation_holds_its_vnf_is_an_alarm_after_it() {
    let (b, id) = up(&Shape::default());
    let [first, second] = guests(&b.vnf(id))[..] else { panic!("two guests") };
    // The operation that holds it is one about its record only.
    b.store()
        .write(crate::store::Durability::Barrier, |tx| {
            tx.update::<crate::model::vnf::VnfInstance>(&id, |v| {
                v.op = Some(crate::model::id::OpId(uuid::Uuid::from_u128(1)));
                Ok(())
            })
        })
        .expect("held");
    b.sim.put(first, GuestState::Crashed).expect("crashed");
    b.sim.put(second, GuestState::Crashed).expect("crashed");
    b.sim.start(second).expect("brought back by the operation");
    heard(&b);
    assert_eq!(alarms(&b), []);
    b.store()
        .write(crate::store::Durability::Barrier, |tx| {
            tx.update::<crate::model::vnf::VnfInstance>(&id, |v| {
                v.op = None;
                Ok(())
            })
        })
        .expect("free");
    b.until("an alarm", || standing(&b) == [(Object::Vnf(id), Cause::GuestCrashed)]);
    let a = alarms(&b).pop().expect("one");
    assert_eq!((a.part, a.severity), (Part::Guest(first), Severity::Major), "the other one runs");
}

#[test]
fn an_alarm_ends_with_what_it_was_about() {
    for kind in [OpKind::Stop, OpKind::Terminate, OpKind::Heal] {
        let (b, id) = up(&Shape::small());
        b.sim.put(guests(&b.vnf(id))[0], GuestState::Crashed).expect("crashed");
        b.until("an alarm", || !standing(&b).is_empty());
        let vnfm = b.core().vnfm();
        let op = match kind {
            OpKind::Stop => vnfm.operate(id, RunState::Stopped, Stopping::Within(1), "{}".into()),
            OpKind::Heal => vnfm.alter(id, &crate::vnfm::alter::Alter::Heal { which: Vec::new(), anew: false }, "{}"),
            _ => vnfm.terminate(id, Stopping::AtOnce, "{}".into()),
        };
        b.assert_state(op.expect("accepted").id, "COMPLETED");
        b.until("its end", || standing(&b).is_empty());
        assert_eq!(alarms(&b).len(), 1, "{kind:?}");
    }
}

#[test]
fn a_member_in_trouble_is_an_alarm_of_its_service_with_the_member_as_root() {
    let (b, id) = ns_box(&Shape::small());
    watch(&b);
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    let web = b.member(id, "web");
    let guest = guests(&web)[0];
    b.sim.put(guest, GuestState::Crashed).expect("crashed");
    b.until("both", || standing(&b).len() == 2);
    let all = alarms(&b);
    let of = |object| all.iter().find(|a| a.object == object).expect("an alarm").clone();
    let (vnf, ns) = (of(Object::Vnf(web.id)), of(Object::Ns(id)));
    assert_eq!((vnf.is_root(), ns.is_root()), (true, false));
    assert_eq!((vnf.causes.as_slice(), ns.caused_by), ([ns.id].as_slice(), Some(vnf.id)));
    assert_eq!((ns.part.clone(), ns.cause, ns.details.clone()), (Part::Member(web.id), Cause::GuestCrashed, vnf.details.clone()));

    b.sim.start(guest).expect("started");
    b.until("the end of both", || standing(&b).is_empty());
    assert_eq!(alarms(&b).len(), 2);
}

#[test]
fn alarms_outlive_a_kill_of_bothy_and_end_when_the_guest_is_found_running() {
    let (mut b, id) = up(&Shape::small());
    let guest = guests(&b.vnf(id))[0];
    b.sim.put(guest, GuestState::Crashed).expect("crashed");
    b.until("an alarm", || !standing(&b).is_empty());
    let before = alarms(&b).pop().expect("one").id;
    // It is seen a moment before it is on the disk.
    b.store().settle().expect("durable");
    b.kill_and_start();
    assert_eq!(alarms(&b).pop().expect("kept").id, before);
    // A start of bothy starts what should run.
    b.core().watch().expect("watching");
    b.until("its end", || standing(&b).is_empty());
    assert_eq!(alarms(&b).len(), 1);
}

#[test]
fn a_host_that_goes_down_with_its_guests_is_no_alarm() {
    let (b, id) = up(&Shape::default());
    b.core().vnfm().shutdown_guests(std::time::Duration::from_secs(5)).expect("drained");
    assert!(guests(&b.vnf(id)).iter().all(|g| b.sim.state(*g).expect("state") == Some(GuestState::Off)));
    heard(&b);
    assert_eq!(alarms(&b), []);
}

/// The watcher looks at the host when it begins, so each case is a bothy of its own.
fn host_with(change: impl Fn(&TestBox)) -> Vec<(Cause, Severity, Part)> {
    let b = TestBox::new();
    change(&b);
    b.core().watch().expect("watching");
    b.until("a look at the host", || b.sim.faults().count(Method::Pulse) > 0 && b.core().reconciled().last.is_some());
    b.core().stop();
    alarms(&b).into_iter().map(|a| (a.cause, a.severity, a.part)).collect()
}

#[test]
fn the_hosts_own_troubles_are_alarms() {
    assert_eq!(host_with(|_| {}), []);
    let reserve = |b: &TestBox, free: u64| {
        let mut r = b.core().vnfm().rules();
        r.reserve_disk = MiB(100);
        b.core().vnfm().set_rules(r);
        b.sim.set_room(crate::vim::port::DiskRoom { total: Bytes(1 << 40), free: Bytes(free << 20), disks: Bytes(0) });
    };
    assert_eq!(host_with(|b| reserve(b, 120)), []);
    assert_eq!(host_with(|b| reserve(b, 99)), [(Cause::DiskReserve, Severity::Major, Part::Whole)]);
    assert_eq!(host_with(|b| reserve(b, 20)), [(Cause::DiskReserve, Severity::Critical, Part::Whole)]);
    let facts = |b: &TestBox, change: &dyn Fn(&mut crate::model::host::HostFacts)| {
        let mut f = (*b.core().vnfm().facts().expect("facts")).clone();
        change(&mut f);
        b.sim.set_hardware(f);
    };
    let low = host_with(|b| facts(b, &|f| f.nodes.iter_mut().for_each(|n| n.memory_free = MiB(n.memory.0 / 30))));
    assert_eq!(low, [(Cause::MemoryLow, Severity::Major, Part::Whole)]);
    let unplugged = host_with(|b| facts(b, &|f| port(f, "ens1f0").carrier = false));
    assert_eq!(unplugged, [(Cause::LinkDown, Severity::Major, Part::Named("ens1f0".into()))]);
}

#[test]
fn a_guest_whose_pf_has_no_link_is_an_alarm_of_its_vnf_that_the_boxs_own_explains() {
    let (mut b, id) = vnf_box(&Shape::with_vf());
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    // The watcher looks at the host when it begins: with a link, without, and with one again.
    for carrier in [true, false, true] {
        let mut f = (*b.core().vnfm().facts().expect("facts")).clone();
        port(&mut f, "ens1f0").carrier = carrier;
        b.sim.set_hardware(f);
        b.restart();
        let looked = b.sim.faults().count(Method::Pulse);
        b.core().watch().expect("watching");
        b.until("a look at the host", || b.sim.faults().count(Method::Pulse) > looked && b.core().reconciled().last.is_some());
        b.core().stop();
        let wanted: &[(Object, Cause)] = if carrier { &[] } else { &[(Object::Host, Cause::LinkDown), (Object::Vnf(id), Cause::LinkDown)] };
        assert_eq!(standing(&b), wanted, "carrier: {carrier}");
    }
    let all = alarms(&b);
    let [host, vnf] = &all[..] else { panic!("two alarms: {all:?}") };
    assert_eq!((host.is_root(), vnf.caused_by, host.causes.as_slice()), (true, Some(host.id), [vnf.id].as_slice()));
    assert_eq!(vnf.part, Part::Named("ens1f0".into()));
    assert!(vnf.details[0].contains("has a function of ens1f0, which has no link"), "{:?}", vnf.details);
}

#[test]
fn functions_that_a_pf_lost_are_an_alarm_of_the_box_and_of_the_vnf_until_they_are_back() {
    let (b, id) = up(&Shape::with_vf());
    let pf = b.sim.facts().expect("facts").pfs().next().expect("a PF").0.addr;
    // What brings them back fails at first: the alarm stays.
    b.sim.faults().add(Rule::next(Method::EnsurePf, Then::Fail(Kind::Conflict)));
    b.sim.lose_pf(pf);
    b.core().look_again(Missing::Leave);
    let both = [(Object::Host, Cause::FunctionLost), (Object::Vnf(id), Cause::FunctionLost)];
    b.until("alarms", || standing(&b) == both);
    let restore = || b.store().list::<Operation>().expect("list").into_iter().find(|o| o.kind == OpKind::RestorePf).map(|o| o.id);
    b.until("an operation", || restore().is_some());
    let op = restore().expect("begun");
    b.assert_state(op, "FAILED_TEMP");
    heard(&b);
    assert_eq!(standing(&b), both);
    let all = alarms(&b);
    let [host, vnf] = &all[..] else { panic!("two alarms: {all:?}") };
    assert_eq!((host.severity, host.part.clone()), (Severity::Major, Part::Named(pf.to_string().into())));
    assert_eq!((vnf.part.clone(), vnf.caused_by, host.causes.as_slice()), (host.part.clone(), Some(host.id), [vnf.id].as_slice()));
    assert!(host.details[0].starts_with(&format!("PF {pf}: VF 0 (0000:10:02.0) of guest v/vdu0/0 is gone; ")), "{:?}", host.details);
    assert_eq!(vnf.details, ["VF 0 (0000:10:02.0) of guest v/vdu0/0 is gone"]);

    b.core().nfvo.retry(op).expect("accepted");
    b.assert_state(op, "COMPLETED");
    b.core().look_again(Missing::Leave);
    b.until("their end", || standing(&b).is_empty());
    assert_eq!(alarms(&b).len(), 2);
    b.assert_vnf_up(id);
}

#[test]
fn vfs_that_a_pf_of_nobody_lost_are_one_alarm_of_the_box_until_they_are_back() {
    let b = TestBox::new();
    watch(&b);
    b.core().host.set_desired(Desired { pfs: vec![("ens1f0".parse().expect("name"), 4)], ..Desired::default() });
    assert_eq!(b.core().host.apply().expect("applied").failed, []);
    let pf = b.sim.facts().expect("facts").pfs().next().expect("a PF").0.addr;
    b.sim.faults().add(Rule::next(Method::EnsurePf, Then::Fail(Kind::Conflict)));
    b.sim.lose_pf(pf);
    b.core().look_again(Missing::Leave);
    b.until("an alarm", || standing(&b) == [(Object::Host, Cause::FunctionLost)]);
    let op = b.store().list::<Operation>().expect("list").into_iter().find(|o| o.kind == OpKind::RestorePf).expect("begun").id;
    b.assert_state(op, "FAILED_TEMP");
    b.core().look_again(Missing::Leave);
    heard(&b);
    assert_eq!(standing(&b), [(Object::Host, Cause::FunctionLost)]);
    b.core().nfvo.retry(op).expect("accepted");
    b.assert_state(op, "COMPLETED");
    b.core().look_again(Missing::Leave);
    b.until("its end", || standing(&b).is_empty());
    assert_eq!(alarms(&b).len(), 1);
}

#[test]
fn the_loss_of_a_guests_own_function_is_one_alarm_over_a_kill_of_bothy() {
    let (mut b, id) = up(&Shape::with_vf());
    let guest = guests(&b.vnf(id))[0];
    b.sim.faults().add(Rule::next(Method::Plug, Then::Fail(Kind::Conflict)));
    b.sim.drop_function(guest, b.sim.domain(guest).and_then(|d| d.placed).expect("placed").pci().next().expect("a VF"));
    b.core().look_again(Missing::Leave);
    b.until("alarms", || standing(&b).len() == 2);
    let op = b.store().list::<Operation>().expect("list").into_iter().find(|o| o.kind == OpKind::RestorePf).expect("begun").id;
    b.assert_state(op, "FAILED_TEMP");
    let before: Vec<_> = alarms(&b).iter().map(|a| a.id).collect();
    b.store().settle().expect("durable");
    b.kill_and_start();
    assert_eq!(standing(&b).len(), 2);
    // Its next start gives the broken operation up and begins another, which does it.
    watch(&b);
    let done = |o: &&Operation| o.kind == OpKind::RestorePf && o.state.name() == "COMPLETED";
    let restored = || crate::lcm::timeline::all_operations(b.store()).expect("list").iter().filter(done).count();
    b.until("restored", || restored() == 1);
    b.core().look_again(Missing::Leave);
    b.until("their end", || standing(&b).is_empty());
    assert_eq!(alarms(&b).iter().map(|a| a.id).collect::<Vec<_>>(), before);
    b.assert_vnf_up(id);
}

fn port<'f>(f: &'f mut crate::model::host::HostFacts, name: &str) -> &'f mut crate::model::host::NetPort {
    let pfs = f.devices.iter_mut().filter(|d| matches!(d.function, Function::Pf(_)));
    let name: IfName = name.parse().expect("a name");
    pfs.flat_map(|d| &mut d.ports).find(|p| p.name == name).expect("the port")
}
