//! The twin itself: faults, events, guests that act by themselves, what is left, and its cost.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use smol_str::SmolStr;
use uuid::Uuid;

use super::{
    faults::{Rule, Target, Then},
    *,
};
use crate::{
    model::{
        domain::{BaseImage, DiskSpec, DomainDisk, DomainMedium, DomainNic, Owner},
        epa::{Epa, NicWish},
        error::Kind,
        id::{IfKind, OpId, PortId, ProjectId, VnfId, if_name},
        net::{MacAddr, VlanId},
        vnfd::{DiskBus, Firmware, ImageFormat, MediaBus, Medium, NicModel},
    },
    sdn::port::{Fabric, PortKind, SwitchPort},
    vim::port::{DhcpConf, HostLink, HostNet, Hypervisor, Images, StopHow},
};

const BASE: [u8; 32] = [7; 32];
const SEGMENT: SegmentId = SegmentId(Uuid::from_u128(9));

fn id(n: u128) -> VnfcId {
    VnfcId(Uuid::from_u128(n << 64 | n))
}
fn disk(n: u128) -> DiskSpec {
    DiskSpec { id: DiskId(id(n).0), size: MiB(64), base: Some(BaseImage { sha256: BASE, format: ImageFormat::Qcow2 }) }
}
fn spec(n: u128) -> DomainSpec {
    let port = PortId(id(n).0);
    DomainSpec {
        id: id(n),
        owner: Owner {
            project: ProjectId::DEFAULT,
            ns: None,
            vnf: VnfId(id(n).0),
            op: OpId(id(n).0),
            generation: 1,
            vnf_name: SmolStr::new_static("fw"),
            vdu: SmolStr::new_static("fw"),
            index: 0,
        },
        vcpus: 1,
        memory: MiB(64),
        firmware: Firmware::Bios,
        disks: vec![DomainDisk { id: disk(n).id, bus: DiskBus::Virtio, serial: SmolStr::new_static("root") }],
        medium: Some(DomainMedium { bus: MediaBus::Cdrom }),
        nics: vec![DomainNic {
            port,
            ifname: if_name(IfKind::Guest, &port.0),
            mac: MacAddr::planned(n as u32),
            vlan: VlanId::MIN,
            model: NicModel::Virtio,
            mtu: None,
            wish: NicWish::default(),
        }],
        epa: Epa::default(),
        placed: None,
    }
}
fn sim() -> Sim {
    let sim = Sim::default();
    sim.add_base(BASE, ImageInfo { format: ImageFormat::Qcow2, virtual_size: MiB(32), size: Bytes(1 << 20) });
    sim
}
/// All steps of a guest up to its start.
fn up(sim: &Sim, n: u128) -> Result<()> {
    sim.ensure_disk(&disk(n))?;
    sim.ensure_medium(id(n), Medium::NoCloud, MediaBus::Cdrom, None, &[])?;
    sim.define(&spec(n))?;
    sim.start(id(n))
}
fn down(sim: &Sim, n: u128) -> Result<()> {
    sim.remove(id(n))?;
    sim.remove_medium(id(n))?;
    sim.remove_disk(disk(n).id)?;
    sim.remove_serial_log(id(n))
}
fn events(sim: &Sim) -> mpsc::Receiver<GuestEvent> {
    let (tx, rx) = mpsc::channel();
    // A test that has seen enough drops its end.
    sim.subscribe(Box::new(move |e| {
        let _ = tx.send(e);
    }));
    rx
}
fn changed(n: u128, state: GuestState) -> GuestEvent {
    GuestEvent::Changed { id: id(n), state }
}

#[test]
fn guests_live_as_they_are_told() {
    use GuestState::{Crashed, Off, Running};
    let soon = Duration::from_millis(5);
    let agent = GuestEvent::AgentUp { id: id(1) };
    for (does, want) in [
        (Behaviour::default(), vec![changed(1, Running), agent]),
        (Behaviour::halts(), vec![changed(1, Running), changed(1, Off)]),
        (Behaviour { boot: Boot::CrashesAfter(soon), ..Behaviour::deaf() }, vec![changed(1, Running), changed(1, Crashed)]),
        (
            Behaviour { boot: Boot::HaltsAfter(soon * 4), agent: Some(soon), ..Behaviour::default() },
            vec![changed(1, Running), agent, changed(1, Off)],
        ),
    ] {
        let sim = sim();
        let rx = events(&sim);
        let how = does.clone();
        sim.set_guests(move |_| how.clone());
        up(&sim, 1).expect("up");
        let got: Vec<_> = want.iter().map(|_| rx.recv_timeout(Duration::from_secs(2)).expect("an event")).collect();
        assert_eq!(got, want, "{does:?}");
        assert!(rx.recv_timeout(soon * 2).is_err(), "nothing more happens: {does:?}");
    }
}

#[test]
fn a_deaf_guest_goes_down_only_by_force() {
    let sim = sim();
    sim.set_guests(|_| Behaviour::deaf());
    up(&sim, 1).expect("up");
    sim.ask_stop(id(1), StopHow::Acpi).expect("asked");
    assert_eq!(sim.state(id(1)).expect("state"), Some(GuestState::Running));
    assert_eq!(sim.ask_stop(id(1), StopHow::Agent).expect_err("no agent").kind(), Kind::Conflict);
    assert!(!sim.agent_ping(id(1), Duration::from_millis(2)).expect("ping"));
    sim.destroy(id(1)).expect("destroy");
    assert_eq!(sim.state(id(1)).expect("state"), Some(GuestState::Off));
}

#[test]
fn a_tick_of_an_earlier_run_touches_no_later_one() {
    let sim = sim();
    sim.set_guests(|_| Behaviour { boot: Boot::HaltsAfter(Duration::from_millis(20)), ..Behaviour::default() });
    up(&sim, 1).expect("up");
    sim.destroy(id(1)).expect("destroy");
    sim.set_guests(|_| Behaviour::default());
    sim.start(id(1)).expect("start");
    std::thread::sleep(Duration::from_millis(40));
    assert_eq!(sim.state(id(1)).expect("state"), Some(GuestState::Running));
}

#[test]
fn a_start_waits_for_the_start_under_way_and_says_running_once() {
    let sim = sim();
    sim.start_delay(Duration::from_millis(30));
    let rx = events(&sim);
    sim.ensure_disk(&disk(1)).expect("disk");
    sim.ensure_medium(id(1), Medium::NoCloud, MediaBus::Cdrom, None, &[]).expect("medium");
    sim.define(&spec(1)).expect("define");
    std::thread::scope(|s| {
        let first = s.spawn(|| sim.start(id(1)));
        while sim.state(id(1)).expect("state") == Some(GuestState::Off) {
            std::thread::yield_now();
        }
        sim.start(id(1)).expect("second");
        assert_eq!(sim.state(id(1)).expect("state"), Some(GuestState::Running));
        first.join().expect("thread").expect("first");
    });
    let running = rx.try_iter().filter(|e| *e == changed(1, GuestState::Running)).count();
    assert_eq!(running, 1);
}

#[test]
fn a_subscriber_may_call_back_and_sees_events_in_order() {
    let sim = sim();
    let seen = Arc::new(Mutex::new(Vec::new()));
    sim.subscribe(Box::new({
        let (sim, seen) = (sim.clone(), seen.clone());
        move |e| {
            seen.lock().expect("seen").push(e);
            if e == changed(1, GuestState::Running) {
                sim.destroy(id(1)).expect("destroy in the sink");
            }
        }
    }));
    sim.set_guests(|_| Behaviour::deaf());
    up(&sim, 1).expect("up");
    assert_eq!(*seen.lock().expect("seen"), [changed(1, GuestState::Running), changed(1, GuestState::Off)]);
}

#[test]
fn a_rule_meets_the_call_it_names_and_no_other() {
    let start_of = |n| Rule::next(Method::Start, Then::Fail(Kind::Transient)).of(id(n));
    for (what, rule, failing, running) in [
        ("another guest", start_of(2), None, true),
        ("before its effect", start_of(1), Some(Kind::Transient), false),
        ("the second call", start_of(1).nth(2), None, true),
        ("after its effect", Rule::next(Method::Start, Then::EffectThenFail(Kind::Capacity)), Some(Kind::Capacity), true),
        ("a kill", Rule::next(Method::Start, Then::EffectThenDead), Some(Kind::Transient), true),
        ("a kill before", Rule::next(Method::Start, Then::Dead), Some(Kind::Transient), false),
        ("the fourth change", Rule::nth_change(3, Then::Fail(Kind::Bug)), Some(Kind::Bug), false),
        ("a change that never comes", Rule::nth_change(4, Then::Fail(Kind::Bug)), None, true),
    ] {
        let sim = sim();
        sim.faults().add(rule);
        assert_eq!(up(&sim, 1).err().map(|e| e.kind()), failing, "{what}");
        assert_eq!(sim.faults().changes(), 4, "{what}");
        sim.faults().clear();
        assert_eq!(sim.state(id(1)).expect("state") == Some(GuestState::Running), running, "{what}");
        up(&sim, 1).unwrap_or_else(|e| panic!("{what}: repeated after the fault: {e}"));
        down(&sim, 1).expect("down");
        assert_eq!(sim.leftovers(), [], "{what}");
    }
}

#[test]
fn the_dead_do_nothing_until_revived() {
    let sim = sim();
    sim.faults().add(Rule::next(Method::Define, Then::EffectThenDead));
    assert!(up(&sim, 1).is_err() && sim.faults().is_dead());
    assert!(sim.list().is_err() && sim.remove(id(1)).is_err());
    sim.faults().revive();
    assert_eq!(sim.list().expect("list").len(), 1);
}

#[test]
fn a_hanging_call_hangs_alone() {
    let sim = sim();
    sim.faults().add(Rule::next(Method::EnsureDisk, Then::Hang(Duration::from_secs(3))).of(disk(1).id));
    std::thread::scope(|s| {
        let slow = s.spawn(|| up(&sim, 1));
        let t = Instant::now();
        up(&sim, 2).expect("up");
        assert!(t.elapsed() < Duration::from_millis(2500));
        slow.join().expect("thread").expect("slow");
    });
}

#[test]
fn a_cut_connection_fails_the_hypervisor_only_and_is_announced() {
    let sim = sim();
    let rx = events(&sim);
    sim.connect(false);
    assert_eq!(sim.list().expect_err("cut").kind(), Kind::Transient);
    sim.ensure_disk(&disk(1)).expect("disks need no hypervisor");
    sim.connect(true);
    sim.list().expect("back");
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [GuestEvent::Disconnected, GuestEvent::Connected]);
}

#[test]
fn leftovers_name_every_thing_and_then_none() {
    let sim = sim();
    sim.set_guests(|_| Behaviour { serial: b"hello\n".to_vec(), ..Behaviour::default() });
    let port =
        SwitchPort { name: if_name(IfKind::Host, &SEGMENT.0), segment: SEGMENT, vlan: VlanId::MIN, kind: PortKind::Host { mtu: None } };
    let link = HostLink { ifname: port.name.clone(), addresses: vec!["192.0.2.1/24".parse().expect("cidr")], mtu: None };
    let dhcp = DhcpConf { segment: SEGMENT, ifname: port.name.clone(), networks: vec![], leases: vec![] };
    assert_eq!(sim.ensure_link(&link).expect_err("no port yet").kind(), Kind::NotFound);
    sim.ensure_port(&port).expect("port");
    sim.ensure_link(&link).expect("link");
    sim.ensure_dhcp(&dhcp).expect("dhcp");
    sim.project_nat(&NatTable { masquerade: link.addresses.clone(), ..NatTable::default() }).expect("nat");
    up(&sim, 1).expect("up");
    let mut want = vec![
        Leftover::Domain(id(1)),
        Leftover::Disk(disk(1).id),
        Leftover::Medium(id(1)),
        Leftover::SerialLog(id(1)),
        Leftover::Dhcp(SEGMENT),
        Leftover::Port(spec(1).nics[0].ifname.clone()),
        Leftover::Port(port.name.clone()),
        Leftover::Link(port.name.clone()),
        Leftover::Masquerade(link.addresses[0]),
    ];
    want.sort();
    assert_eq!(sim.leftovers(), want);
    down(&sim, 1).expect("down");
    sim.remove_dhcp(SEGMENT).expect("dhcp");
    sim.remove_port(&port.name).expect("port");
    sim.project_nat(&NatTable::default()).expect("nat");
    assert_eq!(sim.leftovers(), []);
}

#[test]
fn the_console_shows_the_log_and_answers() {
    use std::io::{Read, Write};
    let sim = sim();
    sim.set_guests(|_| Behaviour { serial: b"login: ".to_vec(), ..Behaviour::default() });
    up(&sim, 1).expect("up");
    assert_eq!(sim.serial_log(id(1), 3).expect("log"), b"n: ");
    let mut console = sim.console(id(1)).expect("console");
    console.write_all(b"root").expect("write");
    let mut got = [0; 11];
    console.read_exact(&mut got).expect("read");
    assert_eq!(&got, b"login: root");
}

#[test]
fn a_thousand_guests_cost_next_to_nothing() {
    let sim = sim();
    sim.faults().record();
    let t = Instant::now();
    for n in 1..=1000 {
        up(&sim, n).expect("up");
    }
    let took = t.elapsed();
    // Milliseconds even unoptimised; the bound leaves room for a busy machine.
    assert!(took < Duration::from_millis(400), "{took:?}");
    assert_eq!(sim.faults().count(Method::Start), 1000);
    let taken = sim.faults().taken();
    assert_eq!((taken.len(), &taken[3]), (4000, &(Method::Start, Target::Guest(id(1)))));
    assert_eq!(sim.list().expect("list").len(), 1000);
}
