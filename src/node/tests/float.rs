//! Guests that float keep off the CPUs that another has for itself: before it starts, as long as it is there, and over
//! every crash; and whoever pins one elsewhere is found out.

use super::{flavour::to, guests};
use crate::{
    model::{
        epa::{EmulatorPolicy, PagePolicy, PinPolicy},
        error::Kind as FaultKind,
        hw::{CpuSet, PageSize},
        id::{OpId, VnfId, VnfcId},
        op::Phase,
        place::{Pins, Thread},
        size::MiB,
        vnf::{RunState, Stopping, VnfInstance},
        vnfd::{Flavour, Vnfd},
    },
    node::kit::{Shape, TestBox, ask_vnf, vnfd},
    sim::{
        SimConfig,
        faults::{Method, Rule, Target, Then},
        machine::Machine,
    },
    vim::{
        place::facts::HostReserve,
        port::{Hardware, Hypervisor},
    },
    vnfm::{Rules, alter::Alter},
};

fn cpus(s: &str) -> CpuSet {
    s.parse().expect("cpus")
}

/// Two nodes of two CPUs, 0-1 and 2-3; CPU 0 is the host's.
fn small_box() -> TestBox {
    let b = TestBox::of(SimConfig::default());
    let machine =
        Machine { cores_per_socket: 2, threads: 1, memory: MiB(8 << 10), hugepages: vec![(PageSize::Huge2M, 256)], ..Machine::default() };
    b.sim.set_hardware(machine.facts());
    keep_zero(&b);
    b
}

/// As the configuration says at each start.
fn keep_zero(b: &TestBox) {
    reserve(b, "0");
}

fn reserve(b: &TestBox, of_host: &str) {
    let rules = b.core().vnfm().rules();
    b.core().vnfm().set_rules(Rules { reserve: HostReserve { cpus: cpus(of_host), ..HostReserve::default() }, ..rules });
}

fn of_one(id: &str, vcpus: u32, change: impl FnOnce(&mut Vnfd)) -> Vnfd {
    let mut v = vnfd(id, &Shape { ext: 1, ..Shape::small() });
    v.flavours[0].vdus[0].vcpus = vcpus;
    change(&mut v);
    v
}

/// Floats over the whole host.
fn roamer(b: &TestBox) -> VnfId {
    b.onboard(of_one("roams", 2, |_| {}));
    b.create_vnf("roams")
}

/// One vCPU on a CPU of its own.
fn owner(b: &TestBox, id: &str, vcpus: u32) -> VnfId {
    b.onboard(of_one(id, vcpus, |v| v.flavours[0].vdus[0].epa.pinning = PinPolicy::Dedicated));
    b.create_vnf(id)
}

/// Floats over the CPUs of the node that its memory is on.
fn bound(b: &TestBox) -> VnfId {
    b.onboard(of_one("bound", 1, |v| v.flavours[0].vdus[0].epa.pages = PagePolicy::Size2M));
    b.create_vnf("bound")
}

fn up(b: &TestBox, id: VnfId) -> VnfcId {
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    guests(&b.vnf(id))[0]
}

/// All that a guest's threads may run on.
fn on(b: &TestBox, id: VnfcId) -> String {
    let all = b.sim.pins(id).into_iter().fold(CpuSet::new(), |all, (_, cpus)| all.union(&cpus));
    all.to_string()
}

fn end(b: &TestBox, id: VnfId) {
    let op = b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(op, "COMPLETED");
}

fn says(b: &TestBox) -> Vec<String> {
    b.core().vnfm().usage().expect("usage").1
}

#[test]
fn a_real_time_guest_whose_emulator_has_no_cpu_beside_it_is_told_before_and_after() {
    let warned = |b: &TestBox, id: VnfId| {
        let about = |all: &[String]| all.iter().filter(|w| w.contains("QEMU's own threads")).cloned().collect::<Vec<_>>();
        let dry = about(&b.core().vnfm().dry_instantiate(id, &ask_vnf()).expect("a place").warnings);
        let op = b.assert_state(b.instantiate_vnf(id), "COMPLETED");
        assert_eq!(about(&op.warnings), dry);
        let emulator = b.sim.pins(guests(&b.vnf(id))[0]).into_iter().find(|(t, _)| *t == Thread::Emulator).expect("pinned").1;
        (dry, emulator.to_string())
    };
    let real_time = |vcpus, list: &str, emulator| {
        of_one("rt", vcpus, |v| {
            let epa = &mut v.flavours[0].vdus[0].epa;
            (epa.pinning, epa.emulator, epa.real_time, epa.locked) = (PinPolicy::Dedicated, emulator, cpus(list), true);
        })
    };
    let why = |vcpus: &str| {
        vec![format!(
            "v/vdu0/0: QEMU's own threads have no CPU but those of its vCPUs, and its real-time vCPUs {vcpus} go before them: they may \
             wait long (emulator-threads-policy: ISOLATE, or a CPU of its node to float over, would do)"
        )]
    };
    let (share, alone) = (EmulatorPolicy::Share, EmulatorPolicy::Isolate);
    // Node 1 has the CPUs 2 and 3.
    for (isolated, vnfd, want) in [
        ("2-3", real_time(2, "1", share), (why("1"), "2-3".to_owned())),
        ("", real_time(2, "0-1", share), (why("0-1"), "2-3".to_owned())),
        ("2-3", real_time(1, "0", share), (why("0"), "2".to_owned())),
        ("2-3", real_time(1, "0", alone), (vec![], "3".to_owned())),
        ("2", real_time(1, "0", share), (vec![], "3".to_owned())),
        ("2-3", real_time(2, "", share), (vec![], "2-3".to_owned())),
    ] {
        let b = small_box();
        let mut facts = b.sim.facts().expect("facts");
        facts.isolated = cpus(isolated);
        b.sim.set_hardware(facts);
        reserve(&b, "0-1");
        b.onboard(vnfd);
        let id = b.create_vnf("rt");
        assert_eq!(warned(&b, id), want, "{isolated}");
    }
}

#[test]
fn who_floats_is_off_a_cpu_before_its_owner_starts_and_has_it_back_after() {
    let b = small_box();
    b.core().watch().expect("watched");
    let (r, d) = (roamer(&b), owner(&b, "owns", 1));
    let floats = up(&b, r);
    assert_eq!(on(&b, floats), "1-3", "not on the host's");
    b.sim.faults().record();
    let owns = up(&b, d);
    let calls = b.sim.faults().taken();
    let nth = |call: (Method, Target)| calls.iter().position(|c| *c == call).unwrap_or_else(|| panic!("no {call:?} in {calls:?}"));
    assert!(nth((Method::Pin, floats.into())) < nth((Method::Start, owns.into())), "{calls:?}");
    assert_eq!(b.sim.pins(owns).iter().find(|(t, _)| *t == Thread::Vcpu(0)).map(|(_, on)| on.to_string()), Some("1".into()));
    assert_eq!(on(&b, floats), "2-3");
    let (usage, drift) = b.core().vnfm().usage().expect("usage");
    assert_eq!(drift, [] as [String; 0]);
    assert_eq!(usage.nodes.iter().map(|n| n.float.to_string()).collect::<Vec<_>>(), ["", "2-3"]);
    // Its own while it is stopped, too.
    let run = |to| b.core().vnfm().operate(d, to, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(run(RunState::Stopped), "COMPLETED");
    assert_eq!(on(&b, floats), "2-3");
    b.assert_state(run(RunState::Started), "COMPLETED");
    assert_eq!(on(&b, floats), "2-3");
    end(&b, d);
    b.until("the CPU is everybody's again", || on(&b, floats) == "1-3");
    end(&b, r);
    b.assert_nothing_left();
}

#[test]
fn a_guest_that_is_bound_to_a_node_floats_on_it_as_long_as_any_cpu_is_left_there() {
    let b = small_box();
    let id = bound(&b);
    let floats = up(&b, id);
    assert_eq!(on(&b, floats), "1", "its node's, without the host's");
    // Both CPUs of the other node; the one that is left on its own is not for the taking.
    let pair = owner(&b, "pair", 2);
    let owns = up(&b, pair);
    assert_eq!(on(&b, owns), "2-3");
    assert_eq!(on(&b, floats), "1");
    let more = owner(&b, "more", 1);
    let op = b.assert_state(b.instantiate_vnf(more), "ROLLED_BACK");
    let why = op.error.expect("refused").reasons;
    assert!(why.iter().any(|r| r.contains("node 0: no CPU would be left to guests that float on it (1 more would do)")), "{why:?}");
    assert!(why.iter().any(|r| r.contains("node 1: 0 CPUs free to pin to, 1 wanted")), "{why:?}");
}

#[test]
fn the_last_cpu_that_floats_is_not_given_away_and_none_floats_over_nothing() {
    let b = small_box();
    let (r, d) = (roamer(&b), owner(&b, "owns", 1));
    let more: Vec<VnfId> = ["second", "third"].map(|n| owner(&b, n, 1)).to_vec();
    up(&b, d);
    let floats = up(&b, r);
    assert_eq!(on(&b, floats), "2-3");
    up(&b, more[0]);
    assert_eq!(on(&b, floats), "3");
    let op = b.assert_state(b.instantiate_vnf(more[1]), "ROLLED_BACK");
    let why = op.error.expect("refused").reasons;
    assert!(why.iter().any(|r| r.contains("would be left to guests that float over all of it (1 more would do)")), "{why:?}");
    // Once it has gone, it may; and then no other that floats comes.
    end(&b, r);
    up(&b, more[1]);
    let op = b.assert_state(b.instantiate_vnf(r), "ROLLED_BACK");
    let why = op.error.expect("refused").reasons;
    assert_eq!(
        why,
        [
            "node 0: CPUs 0 are the host's (fewer in [reserve] cpus would do); 1 are held by v/vdu0/0 (its end would do)",
            "node 1: CPUs 2 are held by v/vdu0/0 (its end would do); 3 are held by v/vdu0/0 (its end would do)"
        ]
    );
}

#[test]
fn an_emulator_leaves_a_cpu_that_another_guest_gets() {
    let b = small_box();
    let (first, second) = (owner(&b, "first", 1), owner(&b, "second", 1));
    b.core().vnfm().set_rules(Rules { reserve: HostReserve { cpus: cpus("0-1"), ..HostReserve::default() }, ..b.core().vnfm().rules() });
    let one = up(&b, first);
    assert_eq!(on(&b, one), "2-3", "its emulator beside its vCPU");
    let two = up(&b, second);
    assert_eq!((on(&b, one), on(&b, two)), ("2".into(), "3".into()));
}

#[test]
fn pins_that_somebody_changed_are_told_and_put_right() {
    let b = small_box();
    let (r, d) = (roamer(&b), owner(&b, "owns", 1));
    let (owns, floats) = (up(&b, d), up(&b, r));
    assert_eq!(says(&b), [] as [String; 0]);
    let name = |id: VnfId, guest: &str| format!("{}/{guest}", b.vnf(id).name);
    let elsewhere = |n: usize, on: &str| Pins { vcpus: vec![cpus(on); n], emulator: cpus(on) };
    b.sim.pin(owns, &elsewhere(1, "0-3")).expect("pinned");
    b.sim.pin(floats, &Pins { emulator: cpus("2-3"), ..elsewhere(2, "1") }).expect("pinned");
    let mut told = vec![
        format!("guest {}: vCPU 0 may run on CPUs 0-3, and was pinned to 1", name(d, "vdu0/0")),
        format!("guest {}: the emulator may run on CPUs 0-3, and was pinned to 1", name(d, "vdu0/0")),
        format!("guest {}: vCPU 0 may run on CPUs 1, and was pinned to 2-3", name(r, "vdu0/0")),
        format!("guest {}: vCPU 1 may run on CPUs 1, and was pinned to 2-3", name(r, "vdu0/0")),
    ];
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    told.sort();
    assert_eq!(sorted(says(&b)), told);
    assert_eq!(sorted(says(&b)), told, "to look changes nothing");
    assert_eq!(sorted(b.core().vnfm().reconcile().expect("looked").drift), told);
    assert_eq!((on(&b, owns), on(&b, floats)), ("1".into(), "2-3".into()));
    assert_eq!(b.core().vnfm().reconcile().expect("looked").drift, [] as [String; 0]);
    // Another reserve is nobody's doing behind bothy's back.
    b.core().vnfm().set_rules(Rules { reserve: HostReserve { cpus: cpus("0,2"), ..HostReserve::default() }, ..b.core().vnfm().rules() });
    assert_eq!(says(&b), [] as [String; 0]);
    assert_eq!(b.core().vnfm().keep_pins().expect("kept"), [] as [String; 0]);
    assert_eq!(on(&b, floats), "3");
    // One that is off starts where it should be.
    let run = |to| b.core().vnfm().operate(r, to, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(run(RunState::Stopped), "COMPLETED");
    b.sim.pin(floats, &elsewhere(2, "1")).expect("pinned");
    b.assert_state(run(RunState::Started), "COMPLETED");
    assert_eq!(on(&b, floats), "3");
}

#[test]
fn what_an_operation_took_or_gave_is_made_good_over_every_fault_and_crash() {
    #[derive(Debug, Clone, Copy)]
    enum Way {
        Retry,
        Rollback,
        Killed,
    }
    let faults = [
        (Then::Fail(FaultKind::Conflict), Way::Retry),
        (Then::EffectThenFail(FaultKind::Conflict), Way::Rollback),
        (Then::Fail(FaultKind::Conflict), Way::Rollback),
        (Then::EffectThenDead, Way::Killed),
    ];
    let mut met = 0;
    for (then, way) in faults {
        for n in 0.. {
            let mut b = small_box();
            let (r, d) = (roamer(&b), owner(&b, "owns", 1));
            let floats = up(&b, r);
            b.sim.faults().record();
            b.sim.faults().add(Rule::nth_change(n, then));
            let op = b.instantiate_vnf(d);
            let at = format!("{then:?} at change {n}, {way:?}");
            match way {
                Way::Retry | Way::Rollback => {
                    let stuck = b.wait(op).state.phase() == Phase::Stuck;
                    b.sim.faults().clear();
                    if !stuck {
                        break;
                    }
                    let engine = &b.core().engine;
                    if matches!(way, Way::Retry) { engine.retry(op) } else { engine.rollback(op) }.expect("asked");
                }
                Way::Killed => {
                    b.until("killed, or done", || b.sim.faults().is_dead() || b.op(op).state.phase() == Phase::Over);
                    let done = !b.sim.faults().is_dead();
                    b.kill_and_start();
                    keep_zero(&b);
                    if done {
                        break;
                    }
                }
            }
            met += 1;
            assert_right(&b, op, (d, floats), &at);
        }
    }
    assert!(met > 20, "only {met} faults met a change");
}

/// The owner has its CPU alone, or has gone and the CPU is everybody's.
fn assert_right(b: &TestBox, op: OpId, (d, floats): (VnfId, VnfcId), at: &str) {
    b.wait(op);
    // What the watcher does at the end of an operation.
    b.core().vnfm().spread().expect("spread");
    match b.vnf(d).body {
        Some(body) => {
            assert_eq!(b.op(op).state.name(), "COMPLETED", "{at}\n{}", b.picture());
            assert_eq!((on(b, body.vnfcs[0].id), on(b, floats)), ("1".into(), "2-3".into()), "{at}\n{}", b.picture());
        }
        None => assert_eq!(on(b, floats), "1-3", "{at}\n{}", b.picture()),
    }
    // Never with it: between the owner's start and its end it had the CPU alone.
    let calls = b.sim.faults().taken();
    let left = calls.iter().position(|c| *c == (Method::Pin, floats.into()));
    let started = calls.iter().position(|(m, t)| *m == Method::Start && *t != floats.into());
    assert!(started.is_none_or(|s| left.is_some_and(|l| l < s)), "{at}: {calls:?}");
    assert_eq!(says(b), [] as [String; 0], "{at}");
}

#[test]
fn a_restart_of_bothy_or_of_the_host_finds_everybody_where_he_was() {
    let mut b = small_box();
    let (r, d) = (roamer(&b), owner(&b, "owns", 1));
    let (owns, floats) = (up(&b, d), up(&b, r));
    for reboot in [false, true] {
        if reboot {
            b.host_reboot()
        } else {
            b.stop()
        }
        // While nobody looked.
        for guest in [owns, floats] {
            b.sim.pin(guest, &Pins { vcpus: vec![cpus("0-3"); 2], emulator: cpus("0-3") }).expect("pinned");
        }
        b.start();
        keep_zero(&b);
        let drift = b.core().vnfm().reconcile().expect("looked").drift;
        assert_eq!(drift, [format!("guest {}/vdu0/0: vCPU 0 may run on CPUs 0-3, and was pinned to 1", b.vnf(d).name)], "it never moves");
        assert_eq!((on(&b, owns), on(&b, floats)), ("1".into(), "2-3".into()), "reboot: {reboot}");
        b.assert_vnf_up(d);
        b.assert_vnf_up(r);
    }
}

/// These CPUs are for pinned vCPUs only.
fn isolated_box(isolated: &str) -> TestBox {
    let b = small_box();
    let mut facts = b.sim.facts().expect("facts");
    facts.isolated = cpus(isolated);
    b.sim.set_hardware(facts);
    b
}

/// Has a CPU of its own as the package's first flavour, and none as `shared`.
fn yielding(b: &TestBox) {
    b.onboard(of_one("owns", 1, |v| {
        let shared = Flavour { id: "shared".into(), ..v.flavours[0].clone() };
        v.flavours[0].vdus[0].epa.pinning = PinPolicy::Dedicated;
        v.flavours.push(shared);
    }));
}

/// It had CPU 1, which is isolated, and its operation's end has just taken it; it is still there.
fn yielded(b: &TestBox) -> (VnfId, VnfcId) {
    yielding(b);
    let id = b.create_vnf("owns");
    let guest = up(b, id);
    assert_eq!(on(b, guest), "1");
    b.assert_state(b.core().vnfm().change_flavour(id, &to("shared", None)).expect("accepted").id, "COMPLETED");
    assert_eq!(on(b, guest), "1", "nobody has moved it yet");
    (id, guest)
}

#[test]
fn an_isolated_cpu_that_a_guest_gave_up_is_left_before_its_next_owner_starts() {
    let b = isolated_box("1");
    let (_, guest) = yielded(&b);
    let next = owner(&b, "next", 1);
    b.sim.faults().record();
    // It will not leave: nobody starts beside it, and the next try asks it again.
    b.sim.faults().add(Rule::next(Method::Pin, Then::Fail(FaultKind::Conflict)).of(guest));
    let op = b.instantiate_vnf(next);
    assert_eq!(b.wait(op).state.phase(), Phase::Stuck);
    let why = b.op(op).error.expect("stuck").text;
    assert!(why.contains("cannot be kept off other guests' CPUs"), "{why}");
    assert_eq!(on(&b, guest), "1");
    b.core().engine.retry(op).expect("asked");
    b.assert_state(op, "COMPLETED");
    let owns = guests(&b.vnf(next))[0];
    assert_eq!((on(&b, owns), on(&b, guest)), ("1".into(), "2-3".into()));
    let calls = b.sim.faults().taken();
    let left = calls.iter().rposition(|c| *c == (Method::Pin, guest.into())).expect("it left");
    let started = calls.iter().position(|c| *c == (Method::Start, owns.into())).expect("it started");
    assert!(left < started, "{calls:?}");
    assert_eq!(says(&b), [] as [String; 0]);
}

#[test]
fn a_guest_leaves_what_it_gave_up_though_its_next_operation_has_begun() {
    let b = isolated_box("1");
    let (id, guest) = yielded(&b);
    let next = owner(&b, "next", 1);
    b.put(&VnfInstance { op: Some(OpId(uuid::Uuid::from_u128(9))), ..b.vnf(id) });
    b.assert_state(b.instantiate_vnf(next), "COMPLETED");
    assert_eq!((on(&b, guests(&b.vnf(next))[0]), on(&b, guest)), ("1".into(), "2-3".into()));
}

#[test]
fn who_has_not_been_moved_since_its_operation_was_moved_by_nobody_else() {
    let b = isolated_box("1");
    let (id, guest) = yielded(&b);
    assert_eq!(says(&b), [] as [String; 0]);
    assert_eq!(b.core().vnfm().keep_pins().expect("kept"), [] as [String; 0]);
    assert_eq!(on(&b, guest), "2-3");
    b.assert_state(b.core().vnfm().change_flavour(id, &to("df", None)).expect("accepted").id, "COMPLETED");
    b.assert_state(b.core().vnfm().change_flavour(id, &to("shared", None)).expect("accepted").id, "COMPLETED");
    // Where neither the records nor its operation had it.
    b.sim.pin(guest, &Pins { vcpus: vec![cpus("0")], emulator: cpus("0") }).expect("pinned");
    let told = says(&b);
    assert!(!told.is_empty() && told.iter().all(|t| t.contains("may run on CPUs 0, and was pinned to")), "{told:?}");
    assert_eq!(b.core().vnfm().keep_pins().expect("kept").len(), told.len());
    assert_eq!(on(&b, guest), "2-3");
    assert_eq!(says(&b), [] as [String; 0]);
}

#[test]
fn what_a_guest_gives_up_is_known_over_a_look_that_fails_and_one_of_another_process() {
    for fails in [true, false] {
        let b = isolated_box("1");
        yielding(&b);
        let id = b.create_vnf("owns");
        let guest = up(&b, id);
        b.core().vnfm().spread().expect("spread");
        // It starts, and does not come to its end until it is met.
        let starts = b.sim.faults().count(Method::Start);
        b.sim.faults().add(Rule::next(Method::Start, Then::Together(2)));
        let op = b.core().vnfm().change_flavour(id, &to("shared", None)).expect("accepted").id;
        b.until("it starts", || b.sim.faults().count(Method::Start) > starts);
        if fails {
            // Everybody would be elsewhere, and one cannot be asked.
            reserve(&b, "0,3");
            b.sim.faults().add(Rule::next(Method::Astray, Then::Fail(FaultKind::Transient)));
            b.core().vnfm().spread().expect_err("it cannot be asked");
            keep_zero(&b);
            b.core().vnfm().spread().expect("spread");
        } else {
            // As the first look of the next process.
            b.core().vnfm().forget_pins();
            b.core().vnfm().keep_pins().expect("kept");
        }
        assert_eq!(on(&b, guest), "1");
        b.sim.faults().add(Rule::next(Method::Xml, Then::Together(2)));
        b.sim.xml(guest).expect("met");
        b.assert_state(op, "COMPLETED");
        assert_eq!(says(&b), [] as [String; 0], "fails: {fails}");
        b.core().vnfm().spread().expect("spread");
        assert_eq!(on(&b, guest), "2-3", "fails: {fails}");
        assert_eq!(says(&b), [] as [String; 0], "fails: {fails}");
    }
}

#[test]
fn who_gives_up_cpus_of_its_own_is_off_them_at_the_end_of_the_operation_though_nobody_else_floats_there() {
    let b = isolated_box("1,3");
    yielding(&b);
    let id = b.create_vnf("owns");
    let guest = up(&b, id);
    assert_eq!(on(&b, guest), "1", "one that is isolated, and no other is left on its node");
    let bystander = roamer(&b);
    let floats = up(&b, bystander);
    b.assert_state(b.core().vnfm().change_flavour(id, &to("shared", None)).expect("accepted").id, "COMPLETED");
    // What the watcher does at the end of an operation.
    b.core().vnfm().spread().expect("spread");
    assert_eq!((on(&b, guest), on(&b, floats)), ("2".into(), "2".into()));
    assert_eq!(says(&b), [] as [String; 0]);
}

#[test]
fn a_start_does_not_wait_for_a_look_at_another_guest() {
    let b = small_box();
    let first = roamer(&b);
    up(&b, first);
    b.core().vnfm().spread().expect("spread");
    b.onboard(of_one("other", 1, |_| {}));
    let other = b.create_vnf("other");
    // The look at one guest ends when that at the other has begun.
    b.sim.faults().add(Rule::next(Method::Astray, Then::Together(2)).times(2));
    std::thread::scope(|s| {
        let look = s.spawn(|| b.core().vnfm().keep_pins());
        assert_eq!(on(&b, up(&b, other)), "1-3");
        assert_eq!(look.join().expect("no panic").expect("looked"), [] as [String; 0]);
    });
}

#[test]
fn a_heal_and_a_refused_request_leave_everybody_where_he_was() {
    let b = small_box();
    let (r, d) = (roamer(&b), owner(&b, "owns", 1));
    let floats = up(&b, r);
    up(&b, d);
    let op = b.core().vnfm().alter(d, &Alter::Heal { which: Vec::new(), anew: false }, "{}").expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    b.core().vnfm().spread().expect("spread");
    let heir = guests(&b.vnf(d))[0];
    assert_eq!((on(&b, heir), on(&b, floats)), ("1".into(), "2-3".into()));
    // A dry run moves nobody.
    let more = owner(&b, "more", 1);
    b.core().vnfm().dry_instantiate(more, &ask_vnf()).expect("a plan");
    assert_eq!(on(&b, floats), "2-3");
    assert_eq!(says(&b), [] as [String; 0]);
}
