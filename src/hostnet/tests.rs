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

use super::{HostNets, NetFile, check, render};
use crate::{
    model::{
        error::Kind,
        hostnet::{Device, HostInterface, HostNetRecord, HostNetwork, Way},
        time::{Clock, Stamp},
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
    HostInterface { device, vlan: vlan.map(|v| v.try_into().expect("a VLAN")), mtu: None, v4, v6 }
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
    HostNets::new(store.clone(), Arc::new(sim.clone()), Arc::new(Tick(AtomicU64::new(1))), taken)
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
