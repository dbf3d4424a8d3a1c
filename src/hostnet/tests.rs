//! The box's own network on the simulated box: what is refused, what files it is, and a cut at each step of a change.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;

use super::{HostNets, NetFile, State, Uplinks, check, render};
use crate::{
    model::{
        error::Kind,
        health::ConditionState,
        hostnet::{Device, HostInterface, HostNetRecord, HostNetwork, Way},
        time::{Clock, Stamp},
        uplink::{Family, Probe, ProbeTarget},
    },
    sim::{
        Sim,
        faults::{Method, Rule, Then},
    },
    store::{Options, Store},
};

fn way(addresses: &[&str], gateway: Option<&str>) -> Way {
    Way::Static {
        addresses: addresses.iter().map(|a| a.parse().expect("an address")).collect(),
        gateway: gateway.map(|g| g.parse().expect("an address")),
    }
}

fn interface(device: &str, vlan: Option<u16>, v4: Way, v6: Way) -> HostInterface {
    let device = device.parse().map_or_else(|_| Device::Name(device.parse().expect("a name")), Device::Mac);
    HostInterface { device, vlan: vlan.map(|v| v.try_into().expect("a VLAN")), mtu: None, v4, v6, probe: None }
}

fn network(interfaces: Vec<HostInterface>) -> HostNetwork {
    HostNetwork { interfaces, ..HostNetwork::default() }
}

fn dhcp(device: &str) -> HostNetwork {
    network(vec![interface(device, None, Way::Auto, Way::Auto)])
}

struct Tick(AtomicU64);
impl Clock for Tick {
    fn now(&self) -> Stamp {
        Stamp(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

struct Rig {
    sim: Sim,
    store: Store,
    nets: Arc<HostNets>,
    _dir: TempDir,
}

impl Rig {
    fn new() -> Rig {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path().join("store"), Options { flush_every_ms: 0, ..Options::default() }).expect("a store");
        let sim = Sim::default();
        Rig { nets: nets(&sim, &store), sim, store, _dir: dir }
    }
    /// Bothy is killed, and starts again.
    fn again(&mut self) {
        self.nets.stop();
        self.nets = nets(&self.sim, &self.store);
        self.nets.start().expect("started");
    }
    fn record(&self) -> HostNetRecord {
        self.store.get(&()).expect("read").unwrap_or_default()
    }
    /// Waits until what counts and what is kept is this.
    fn until(&self, counts: Option<&HostNetwork>, kept: Option<&HostNetwork>) {
        let files = |n: Option<&HostNetwork>| n.map(render).unwrap_or_default();
        let want = (files(counts), files(kept));
        for _ in 0..4000 {
            if self.sim.own_network() == want {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("never: {:#?}\n{:#?}", self.sim.own_network(), self.record());
    }
}

fn nets(sim: &Sim, store: &Store) -> Arc<HostNets> {
    let taken = BTreeMap::from([("lan2".parse().expect("a name"), "the port of the physical network 'wan'".to_owned())]);
    let (sim, clock) = (Arc::new(sim.clone()), Arc::new(Tick(AtomicU64::new(1))));
    let uplinks = Uplinks::new(sim.clone(), sim.clone(), clock.clone(), Duration::from_millis(2));
    HostNets::new(store.clone(), sim, uplinks, clock, taken)
}

#[test]
fn each_reason_why_a_network_cannot_be_is_told_at_once_with_its_place() {
    let sim = Sim::default();
    let ports = super::port::NetDaemon::ports(&sim).expect("ports");
    let taken = BTreeMap::from([("lan2".parse().expect("a name"), "the port of the physical network 'wan'".to_owned())]);
    let reasons = |n: &HostNetwork| check(n, &ports, &taken);
    let of = |v4| network(vec![interface("lan0", None, v4, Way::Off)]);
    let of6 = |v6| network(vec![interface("lan0", None, Way::Off, v6)]);
    let mtu = |mtu, v6: Way| network(vec![HostInterface { mtu: Some(mtu), ..interface("lan0", None, Way::Auto, v6) }]);
    let cases: Vec<(HostNetwork, &[&str])> = vec![
        (network(vec![]), &["interfaces: there is none"]),
        (of(Way::Off), &["none has an address"]),
        (dhcp("lan9"), &["interfaces[0].device: lan9 is no port of this box; it has lan0 (52:54:00:00:00:00), lan1"]),
        (dhcp("bgabcdefghijkl"), &["bothy has made it for guests"]),
        (dhcp("52:54:00:00:00:99"), &["52:54:00:00:00:99 is no port"]),
        (dhcp("lan2"), &["interfaces[0].device: lan2 is the port of the physical network 'wan'"]),
        (
            network(vec![interface("lan0", None, Way::Auto, Way::Off), interface("52:54:00:00:00:00", None, Way::Auto, Way::Off)]),
            &[
                "interfaces[1].device: 52:54:00:00:00:00 is the port that is named lan0 above",
                "interfaces[1]: 52:54:00:00:00:00 untagged is there twice",
            ],
        ),
        (
            network(vec![interface("52:54:00:00:00:00", Some(7), Way::Auto, Way::Off), interface("lan0", None, Way::Auto, Way::Off)]),
            &["interfaces[1].device: lan0 is the port that is named 52:54:00:00:00:00 above"],
        ),
        (
            network(vec![interface("lan0", Some(7), Way::Auto, Way::Off), interface("lan0", Some(7), Way::Auto, Way::Off)]),
            &["in VLAN 7 is there twice"],
        ),
        (of(way(&[], None)), &["interfaces[0].ipv4.addresses: STATIC needs one"]),
        (of(way(&["2001:db8::1/64"], None)), &["is not IPv4"]),
        (of6(way(&["192.0.2.1/24"], None)), &["is not IPv6"]),
        (of(way(&["192.0.2.0/24"], None)), &["is the subnet itself"]),
        (of(way(&["192.0.2.255/24"], None)), &["broadcast"]),
        (of(way(&["224.0.0.1/24"], None)), &["no address for a host"]),
        (of(way(&["127.0.0.2/8"], None)), &["no address for a host"]),
        (of(way(&["192.0.2.10/24"], Some("192.0.3.1"))), &["interfaces[0].ipv4.gateway: 192.0.3.1 is in no subnet"]),
        (of(way(&["192.0.2.10/24"], Some("192.0.2.10"))), &["is the box itself"]),
        (of(way(&["192.0.2.10/24"], Some("2001:db8::1"))), &["is not IPv4"]),
        (
            network(vec![
                interface("lan0", None, way(&["192.0.2.10/24"], None), Way::Off),
                interface("lan1", None, way(&["192.0.2.129/25"], None), Way::Off),
            ]),
            &["interfaces[1]: 192.0.2.129/25 overlaps 192.0.2.0/24 of interfaces[0]"],
        ),
        (mtu(500, Way::Off), &["mtu: 500 is not between 576 and 9216"]),
        (mtu(1000, Way::Auto), &["1280 and 9216 where IPv6 is on"]),
        (HostNetwork { dns: vec!["224.0.0.1".parse().expect("an address")], ..dhcp("lan0") }, &["dns[0]"]),
        (HostNetwork { domains: vec!["a b".into()], ntp: vec!["-x".into()], ..dhcp("lan0") }, &["domains[0]: 'a b'", "ntp[0]: '-x'"]),
        (HostNetwork { dns: vec!["224.0.0.1".parse().expect("an address")], ..dhcp("lan9") }, &["lan9", "dns[0]"]),
    ];
    for (n, words) in cases {
        let why = reasons(&n);
        assert_eq!(why.len(), words.len(), "{words:?}: {why:?}");
        for (w, why) in words.iter().zip(&why) {
            assert!(why.contains(w), "{w}: {why}");
        }
    }
    let right = network(vec![
        HostInterface {
            mtu: Some(1500),
            ..interface(
                "lan0",
                None,
                way(&["192.0.2.10/24", "198.51.100.4/31"], Some("192.0.2.1")),
                way(&["2001:db8::2/64"], Some("fe80::1")),
            )
        },
        HostInterface { mtu: Some(1400), ..interface("lan0", Some(42), Way::Auto, Way::Off) },
        interface("52:54:00:00:00:01", None, Way::Auto, Way::Auto),
    ]);
    let right = HostNetwork { ntp: vec!["time.example.net".into(), "192.0.2.7".into()], domains: vec!["example.net".into()], ..right };
    assert_eq!(reasons(&right), Vec::<String>::new());
    let mut taller = right;
    taller.interfaces[1].mtu = Some(1600);
    assert_eq!(reasons(&taller), ["interfaces[1].mtu: 1600 is more than the 1500 of the port below"]);
}

#[test]
fn the_files_are_as_written_down() {
    let n = HostNetwork {
        interfaces: vec![
            HostInterface { mtu: Some(1400), ..interface("lan0", Some(42), Way::Auto, Way::Auto) },
            interface("lan0", None, way(&["192.0.2.10/24"], Some("192.0.2.1")), way(&["2001:db8::2/64"], None)),
            interface("52:54:00:00:00:01", Some(7), Way::Auto, Way::Off),
        ],
        dns: vec!["192.0.2.53".parse().expect("an address")],
        domains: vec!["example.net".into(), "example.org".into()],
        ntp: vec!["time.example.net".into()],
    };
    let text: String = render(&n).iter().map(|f| format!("== {}\n{}", f.name, f.text)).collect();
    insta::assert_snapshot!(text);
}

#[test]
fn a_change_counts_at_once_and_is_kept_only_when_it_is_confirmed() {
    let r = Rig::new();
    let (first, second) = (dhcp("lan0"), dhcp("lan1"));
    r.nets.attempt(Some(first.clone()), 60, "ada").expect("tried");
    r.until(Some(&first), None);
    assert_eq!(r.nets.status().expect("status").left_s, Some(60));
    assert_eq!(r.nets.attempt(Some(second.clone()), 60, "bob").expect_err("one at a time").kind(), Kind::Conflict);
    r.nets.confirm().expect("confirmed");
    r.until(Some(&first), Some(&first));

    r.nets.attempt(Some(second.clone()), 60, "bob").expect("tried");
    r.until(Some(&second), Some(&first));
    r.nets.call_off("ada").expect("called off");
    r.until(Some(&first), Some(&first));
    assert_eq!(r.record().undone.expect("why").why, "ada called it off");
    assert_eq!(r.nets.confirm().expect_err("nothing waits").kind(), Kind::Conflict);

    r.nets.attempt(None, 60, "ada").expect("back to the system's own");
    r.until(None, Some(&first));
    r.nets.confirm().expect("confirmed");
    r.until(None, None);
    assert_eq!(r.record(), HostNetRecord::default());
}

#[test]
fn what_nobody_confirms_in_time_is_undone_whether_or_not_bothy_runs_meanwhile() {
    for killed in [false, true] {
        let mut r = Rig::new();
        let (first, second) = (dhcp("lan0"), dhcp("lan1"));
        r.nets.attempt(Some(first.clone()), 60, "ada").expect("tried");
        r.nets.confirm().expect("confirmed");
        r.nets.attempt(Some(second.clone()), 10, "ada").expect("tried");
        r.until(Some(&second), Some(&first));
        r.sim.pass(9);
        r.again();
        assert_eq!(r.nets.status().expect("status").left_s, Some(1), "a restart of bothy gives no more time");
        if killed {
            r.nets.stop();
        }
        r.sim.pass(1);
        if killed {
            r.again();
        }
        r.until(Some(&first), Some(&first));
        assert_eq!(r.record().undone.expect("why").why, "nobody confirmed it within 10 s");
    }
}

#[test]
fn a_restart_of_the_box_undoes_what_was_not_confirmed() {
    let mut r = Rig::new();
    r.nets.attempt(Some(dhcp("lan0")), 3600, "ada").expect("tried");
    r.nets.stop();
    r.sim.restart_network();
    r.again();
    r.until(None, None);
    for _ in 0..2000 {
        if r.record().undone.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(r.record().undone.expect("why").why, "the box restarted before it was confirmed");
}

#[test]
fn what_the_daemon_does_not_take_is_undone_and_told() {
    let r = Rig::new();
    r.sim.faults().add(Rule::next(Method::ShowNetwork, Then::Fail(Kind::Transient)));
    let e = r.nets.attempt(Some(dhcp("lan0")), 60, "ada").expect_err("not taken");
    assert_eq!(e.kind(), Kind::Transient);
    r.until(None, None);
    assert!(r.record().undone.expect("why").why.starts_with("it could not be set"), "{e}");
    // Refused before anything is written down.
    for (n, limit, kind) in [(dhcp("lan9"), 60, Kind::Invalid), (dhcp("lan0"), 9, Kind::Invalid), (dhcp("lan0"), 3601, Kind::Invalid)] {
        assert_eq!(r.nets.attempt(Some(n), limit, "ada").expect_err("refused").kind(), kind);
    }
    r.sim.refuse_network(Some("the configuration leaves it to somebody else"));
    assert_eq!(r.nets.attempt(Some(dhcp("lan0")), 60, "ada").expect_err("not ours").kind(), Kind::Conflict);
    assert_eq!(r.record().trial, None);
}

/// The files of what is kept have to come, however often the daemon says no, and through a kill.
#[test]
fn a_confirmed_change_is_kept_through_faults_and_kills() {
    let mut r = Rig::new();
    let first = dhcp("lan0");
    r.nets.attempt(Some(first.clone()), 60, "ada").expect("tried");
    r.sim.faults().add(Rule { times: u64::MAX, ..Rule::next(Method::KeepNetwork, Then::Fail(Kind::Transient)) });
    r.nets.confirm().expect("confirmed");
    for _ in 0..2000 {
        if r.nets.status().expect("status").fault.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(r.nets.status().expect("status").fault.is_some());
    assert_eq!(r.sim.own_network().1, Vec::<NetFile>::new());
    r.sim.faults().clear();
    r.again();
    r.until(Some(&first), Some(&first));
    for _ in 0..2000 {
        if r.nets.status().expect("status").fault.is_none() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{:?}", r.nets.status().expect("status").fault);
}

/// A kill before and after each change of the box: nobody who was told that it is kept finds it undone, and nothing else stays.
#[test]
fn a_kill_at_each_step_leaves_the_old_network_or_the_new_one() {
    let (old, new) = (dhcp("lan0"), dhcp("lan1"));
    for then in [Then::Dead, Then::EffectThenDead] {
        let mut met = 0;
        for n in 0.. {
            let mut r = Rig::new();
            r.nets.attempt(Some(old.clone()), 60, "ada").expect("tried");
            r.nets.confirm().expect("confirmed");
            r.until(Some(&old), Some(&old));
            r.sim.faults().add(Rule::nth_change(n, then));
            let tried = r.nets.attempt(Some(new.clone()), 60, "ada");
            let confirmed = tried.and_then(|()| r.nets.confirm()).is_ok();
            if confirmed && !r.sim.faults().is_dead() {
                // The thread may still be about to meet it.
                for _ in 0..50 {
                    if r.sim.faults().is_dead() || r.sim.own_network().1 == render(&new) {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            let dead = r.sim.faults().is_dead();
            r.nets.stop();
            r.sim.faults().clear().revive();
            r.sim.pass(61);
            r.again();
            let is = if confirmed { &new } else { &old };
            r.until(Some(is), Some(is));
            met = n;
            if !dead {
                break;
            }
        }
        assert!(met >= 2, "{met}: setting it and keeping it are two changes at least");
    }
}

fn ping(to: &str) -> ProbeTarget {
    ProbeTarget::Ping(to.parse().expect("an address"))
}

fn probe(targets: Vec<ProbeTarget>) -> Probe {
    Probe { targets, need: 1, interval_s: 1, misses: 2, hits: 3 }
}

fn probed(device: &str, targets: Vec<ProbeTarget>) -> HostInterface {
    HostInterface { probe: Some(probe(targets)), ..interface(device, None, Way::Auto, Way::Auto) }
}

#[test]
fn each_reason_why_a_probe_cannot_be_is_told_at_once_with_its_place() {
    let ports = super::port::NetDaemon::ports(&Sim::default()).expect("ports");
    let reasons = |i: HostInterface| check(&network(vec![i]), &ports, &BTreeMap::new());
    let with = |p: Probe| HostInterface { probe: Some(p), ..interface("lan0", None, Way::Auto, Way::Off) };
    let good = || probe(vec![ping("192.0.2.1")]);
    let fixed = |p: Probe| HostInterface { probe: Some(p), ..interface("lan0", None, way(&["192.0.2.10/24"], None), Way::Auto) };
    let dns = |name: &str| ProbeTarget::Dns { server: "192.0.2.53".parse().expect("ip"), name: name.into() };
    let tcp = |port| ProbeTarget::Tcp { to: "192.0.2.7".parse().expect("ip"), port };
    let cases: Vec<(HostInterface, &[&str])> = vec![
        (with(good()), &[]),
        (with(probe(vec![dns("example.net"), tcp(443), ping("192.0.2.1")])), &[]),
        // On the link itself, though IPv4 has no way out.
        (fixed(good()), &[]),
        (
            fixed(probe(vec![ping("198.51.100.1")])),
            &["probe.targets[0].to: 198.51.100.1 is not reached: the interface has no way out of IPv4"],
        ),
        (fixed(probe(vec![ping("192.0.2.10")])), &["probe.targets[0].to: 192.0.2.10 is the box itself"]),
        (HostInterface { v6: Way::Off, ..fixed(good()) }, &["interfaces[0].probe: the interface has no way out (AUTO, or a gateway)"]),
        (with(probe(vec![])), &["interfaces[0].probe.targets: 0 are not 1 to 8"]),
        (with(probe((1..10).map(|n| ping(&format!("192.0.2.{n}"))).collect())), &["targets: 9 are not 1 to 8"]),
        (
            with(Probe { need: 3, interval_s: 0, misses: 0, hits: 101, ..probe(vec![ping("192.0.2.1"), ping("192.0.2.1")]) }),
            &[
                "probe.targets[1]: ping 192.0.2.1 is there twice",
                "probe.need: 3 answers are wanted, and 2 of the targets are IPv4",
                "probe.intervalS: 0 is not between 1 and 3600",
                "probe.misses: 0 is not between 1 and 100",
                "probe.hits: 101",
            ],
        ),
        (with(Probe { need: 0, ..good() }), &["probe.need: one answer at least"]),
        (with(probe(vec![ping("2001:db8::1")])), &["2001:db8::1 is not reached: the interface has no way out of IPv6"]),
        (
            with(probe(vec![ping("224.0.0.1"), tcp(0)])),
            &["targets[0].to: 224.0.0.1 is no address of a host", "targets[1].port: 0 is no port"],
        ),
        (with(probe(vec![ping("fe80::1")])), &["targets[0].to: fe80::1 is no address of a host elsewhere"]),
        (
            with(probe(vec![dns("a_b"), dns("192.0.2.1")])),
            &["targets[0].name: 'a_b' is no name", "targets[1].name: '192.0.2.1' is no name"],
        ),
    ];
    for (i, want) in cases {
        let why = reasons(i.clone());
        assert_eq!(why.len(), want.len(), "{i:?}: {why:#?}");
        for w in want {
            assert!(why.iter().any(|y| y.contains(w)), "{w}: {why:#?}");
        }
    }
    // Answers come by a way that the default route need not lead back.
    let text = |n: &HostNetwork| render(n).iter().map(|f| f.text.clone()).collect::<String>();
    assert!(text(&network(vec![with(good())])).contains("\nIPv4ReversePathFilter=loose\n"));
    assert!(!text(&dhcp("lan0")).contains("ReversePathFilter"));
}

fn eventually(what: &str, f: impl Fn() -> bool) {
    for _ in 0..5000 {
        if f() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("never: {what}");
}

#[test]
fn the_way_out_follows_the_document_that_counts_and_what_answers() {
    let mut r = Rig::new();
    let out = |r: &Rig| Family::BOTH.map(|f| r.sim.way_out(f).map(|(port, ours)| (port.to_string(), ours)));
    let by = |port: &str, ours| [Some((port.to_owned(), ours)), Some((port.to_owned(), ours))];
    let states = |r: &Rig| -> Vec<Vec<(State, bool)>> {
        let all = r.nets.status().expect("status").uplinks;
        all.iter().map(|u| u.ways.iter().map(|w| (w.state, w.in_use)).collect()).collect()
    };
    let both = network(vec![probed("52:54:00:00:00:00", vec![ping("192.0.2.1")]), interface("lan1", None, Way::Auto, Way::Auto)]);
    assert_eq!(states(&r), Vec::<Vec<_>>::new());
    assert!(r.nets.uplinks().condition().is_none(), "a box that was told nothing");

    r.sim.lose_uplink("lan0", true);
    r.nets.attempt(Some(both.clone()), 60, "ada").expect("tried");
    eventually("lan1", || out(&r) == by("lan1", true));
    assert_eq!(states(&r), [[(State::Down, false); 2], [(State::NotProbed, true); 2]]);
    let said = r.nets.uplinks().condition().expect("one");
    assert_eq!(said.state, ConditionState::Failed);
    assert!(said.text.contains("lan0 is down (IPv4: ping 192.0.2.1: no answer; IPv6: ping"), "{said:?}");
    assert!(said.text.ends_with("IPv4 leaves by lan1, IPv6 leaves by lan1"), "{said:?}");
    // Nobody confirms it: nothing is probed any more, and nothing of ours stays.
    r.nets.call_off("ada").expect("called off");
    eventually("the files' own", || out(&r) == by("lan0", false));
    assert!(r.nets.uplinks().condition().is_none());

    r.nets.attempt(Some(both.clone()), 60, "ada").expect("tried");
    r.nets.confirm().expect("confirmed");
    eventually("lan1 again", || out(&r) == by("lan1", true));
    r.again();
    // Over a start of bothy it never goes back to the one that is down.
    for _ in 0..50 {
        assert_eq!(out(&r), by("lan1", true));
        std::thread::sleep(Duration::from_millis(1));
    }
    eventually("known again", || states(&r)[0][0] == (State::Down, false));
    let way = r.nets.status().expect("status").uplinks[0].ways[0].clone();
    assert!(way.since.is_some() && way.to_go == Some(3) && way.why.is_some(), "{way:?}");

    // A route that cannot be set is told, and tried again.
    r.sim.faults().add(Rule { times: u64::MAX, ..Rule::next(Method::SetDefaultRoute, Then::Fail(Kind::Transient)) });
    r.sim.lose_uplink("lan0", false);
    eventually("told", || r.nets.uplinks().condition().is_some_and(|c| c.text.contains("the default routes cannot be set")));
    r.sim.faults().clear();
    eventually("back", || out(&r) == by("lan0", false));
    eventually("well", || r.nets.uplinks().condition().is_some_and(|c| c.state == ConditionState::Ok));
    assert_eq!(states(&r), [[(State::Well, true); 2], [(State::NotProbed, false); 2]]);
    assert_eq!(r.nets.uplinks().told().expect("told"), ["lan0", "lan1"].map(|n| (n.to_owned(), None)));
    r.nets.stop();
}
