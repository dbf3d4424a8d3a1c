//! Two ways out of a box, of which one is cut behind its next hop: packets of the box and of a guest go the other way, and
//! come back to the first one when it answers again.

use std::{
    net::{IpAddr, TcpListener, UdpSocket},
    sync::Arc,
    time::Duration,
};

use bothy::{
    host::{LinuxNet, LinuxWays, Networkd, clock::SystemClock},
    hostnet::{State, Uplinks},
    model::{
        health::ConditionState,
        hostnet::{Device, HostInterface, HostNetwork, Way},
        uplink::{Family, Probe, ProbeTarget},
    },
    vim::port::{HostNet as _, NatTable},
};

use super::{cidr, ip};
use crate::kit::{
    self, eventually,
    netns::{self, Peer, pings},
    scratch, sh, utf8,
};

/// The net behind both providers.
const SERVER: &str = "198.51.100.1";
const SERVER6: &str = "2001:db8:ff::1";

/// A provider's router: `wanN` of the box, and a link of its own to the net behind.
struct Provider {
    n: u8,
    router: Peer,
}

impl Provider {
    fn new(n: u8, net: &Peer) -> Provider {
        let router = Peer::new();
        router.connect(&format!("wan{n}"), "box", None, &[&format!("192.0.{n}.1/24"), &format!("2001:db8:{n}::1/64")]);
        for (address, nodad) in [(format!("192.0.{n}.2/24"), None), (format!("2001:db8:{n}::2/64"), Some("nodad"))] {
            let dev = format!("wan{n}");
            sh(&[&["ip", "address", "add", address.as_str(), "dev", dev.as_str()][..], nodad.as_slice()].concat());
        }
        let metric = (u32::from(n) * 100).to_string();
        for (family, via) in [("-4", format!("192.0.{n}.1")), ("-6", format!("2001:db8:{n}::1"))] {
            sh(&["ip", family, "route", "add", "default", "via", &via, "dev", &format!("wan{n}"), "metric", &metric]);
        }
        router.run(|| {
            let up = format!("p{n}");
            net.connect("out", &up, None, &[&format!("10.0.{n}.1/24"), &format!("fd00:{n}::1/64")]);
            sh(&["ip", "address", "add", &format!("10.0.{n}.2/24"), "dev", "out"]);
            sh(&["ip", "address", "add", &format!("fd00:{n}::2/64"), "dev", "out", "nodad"]);
            for (family, via, key) in
                [("-4", format!("10.0.{n}.1"), "ipv4/ip_forward"), ("-6", format!("fd00:{n}::1"), "ipv6/conf/all/forwarding")]
            {
                sh(&["ip", family, "route", "add", "default", "via", &via]);
                std::fs::write(format!("/proc/sys/net/{key}"), "1").expect("forwards");
            }
        });
        net.run(|| {
            sh(&["ip", "-4", "route", "add", &format!("192.0.{n}.0/24"), "via", &format!("10.0.{n}.2")]);
            sh(&["ip", "-6", "route", "add", &format!("2001:db8:{n}::/64"), "via", &format!("fd00:{n}::2")]);
        });
        Provider { n, router }
    }

    /// Behind the next hop, in one family or in both: its own addresses and the link to the box stay.
    fn cut(&self, families: &[&str]) {
        self.router.run(|| {
            for family in families {
                sh(&["ip", family, "route", "replace", "blackhole", "default"]);
            }
        });
    }

    fn mend(&self) {
        let n = self.n;
        self.router.run(|| {
            for (family, via) in [("-4", format!("10.0.{n}.1")), ("-6", format!("fd00:{n}::1"))] {
                drop(kit::try_sh(&["ip", family, "route", "del", "blackhole", "default"]));
                sh(&["ip", family, "route", "replace", "default", "via", &via, "dev", "out"]);
            }
        });
    }
}

fn interface(n: u8, targets: Vec<ProbeTarget>) -> HostInterface {
    let way = |address: String, gateway: String| Way::Static { addresses: vec![cidr(&address)], gateway: Some(ip(&gateway)) };
    HostInterface {
        device: Device::Name(format!("wan{n}").parse().expect("name")),
        vlan: None,
        mtu: None,
        v4: way(format!("192.0.{n}.2/24"), format!("192.0.{n}.1")),
        v6: way(format!("2001:db8:{n}::2/64"), format!("2001:db8:{n}::1")),
        probe: Some(Probe { targets, need: 1, interval_s: 1, misses: 2, hits: 2 }),
    }
}

/// Answers each datagram with the address that it came from.
fn serve_echo(at: &str) {
    let socket = UdpSocket::bind((at, 7)).expect("bind");
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(from.ip().to_string().as_bytes(), from);
        }
    });
}

/// A name server for one question at a time, that knows nothing.
fn serve_dns(at: &str) {
    let socket = UdpSocket::bind((at, 53)).expect("bind");
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            buffer[2] |= 0x80;
            buffer[3] = 0x83;
            let _ = socket.send_to(&buffer[..n], from);
        }
    });
}

/// By which address the net behind sees who calls from here.
fn seen_as(socket: &UdpSocket, server: &str) -> Option<IpAddr> {
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("timeout");
    let mut buffer = [0; 64];
    // A busy host may be slow to answer.
    let n = (0..10).find_map(|_| {
        socket.send_to(b"?", (server, 7)).ok()?;
        socket.recv(&mut buffer).ok()
    })?;
    String::from_utf8_lossy(&buffer[..n]).parse().ok()
}

fn here(server: &str) -> Option<IpAddr> {
    seen_as(&UdpSocket::bind(if server.contains(':') { "[::]:0" } else { "0.0.0.0:0" }).expect("bind"), server)
}

#[test]
fn the_default_routes_follow_the_first_uplink_that_answers_and_so_do_guests() {
    if kit::lacks(&["ip", "nft", "busybox"].map(kit::Need::Program)) {
        return;
    }
    netns::enter_new();
    let (net, guest) = (Peer::new(), Peer::new());
    net.run(|| {
        sh(&["ip", "address", "add", &format!("{SERVER}/32"), "dev", "lo"]);
        sh(&["ip", "address", "add", &format!("{SERVER6}/128"), "dev", "lo", "nodad"]);
        std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").expect("forwards");
        [SERVER, SERVER6].into_iter().for_each(serve_echo);
        serve_dns(SERVER);
        let taken = TcpListener::bind((SERVER6, 443)).expect("bind");
        std::thread::spawn(move || taken.incoming().for_each(drop));
    });
    let providers = [1, 2].map(|n| Provider::new(n, &net));
    guest.connect("bha", "eth0", None, &["10.9.0.5/24"]);
    sh(&["ip", "address", "add", "10.9.0.1/24", "dev", "bha"]);
    guest.run(|| sh(&["ip", "route", "add", "default", "via", "10.9.0.1"]));
    let dir = scratch();
    let linux = LinuxNet::new(utf8(dir.path()));
    let table =
        NatTable { masquerade: vec![cidr("10.9.0.0/24")], forwards: vec![], inside: vec!["bha".parse().expect("name")], links: true };
    linux.project_nat(&table).expect("projected");

    let targets = || {
        vec![
            ProbeTarget::Ping(ip("203.0.113.99")),
            ProbeTarget::Dns { server: ip(SERVER), name: "example.net".into() },
            ProbeTarget::Ping(ip(SERVER6)),
            ProbeTarget::Tcp { to: ip(SERVER6), port: 443 },
        ]
    };
    let daemon = Arc::new(Networkd::new(true, "/", utf8(dir.path())));
    let make = || Uplinks::new(Arc::new(LinuxWays), daemon.clone(), Arc::new(SystemClock::default()), Duration::from_millis(500));
    let mut uplinks = make();
    let both = HostNetwork { interfaces: vec![interface(1, targets()), interface(2, targets())], ..HostNetwork::default() };
    uplinks.follow(Some(&both));
    let state = |u: &Uplinks, n: usize, family: Family| {
        u.status().expect("status")[n].ways.iter().find(|w| w.family == family).map(|w| (w.state, w.in_use)).expect("a way")
    };
    let all = |u: &Uplinks, want: [(State, bool); 2]| Family::BOTH.iter().all(|f| [0, 1].map(|n| state(u, n, *f)) == want);
    eventually("both are well", || all(&uplinks, [(State::Well, true), (State::Well, false)]));
    assert_eq!(here(SERVER), Some(ip("192.0.1.2")));
    assert_eq!(here(SERVER6), Some(ip("2001:db8:1::2")));
    let condition = uplinks.condition().expect("one");
    assert_eq!((condition.state, condition.text.as_str()), (ConditionState::Ok, "IPv4 leaves by wan1, IPv6 leaves by wan1"));
    // A guest's connection, as its provider sees it, and on from there by whatever way.
    let flow = guest.run(|| UdpSocket::bind("10.9.0.5:4000").expect("bind"));
    assert_eq!(seen_as(&flow, SERVER), Some(ip("192.0.1.2")));

    providers[0].cut(&["-4", "-6"]);
    eventually("the second is taken", || all(&uplinks, [(State::Down, false), (State::Well, true)]));
    assert!(pings("192.0.1.1"), "the next hop is there, and the carrier");
    // What it says is what it is about to do.
    let leaves = |v4: &str, v6: &str| eventually("what leaves goes so", || (here(SERVER), here(SERVER6)) == (Some(ip(v4)), Some(ip(v6))));
    leaves("192.0.2.2", "2001:db8:2::2");
    eventually("the guest's own connection goes on", || seen_as(&flow, SERVER) == Some(ip("192.0.2.2")));
    let said = uplinks.condition().expect("one");
    assert!(said.state == ConditionState::Failed && said.text.contains("wan1 is down (IPv4: ping 203.0.113.99: no answer"), "{said:?}");
    assert!(said.text.contains("IPv4 leaves by wan2, IPv6 leaves by wan2"), "{said:?}");
    let told = uplinks.told().expect("told");
    assert!(told[0].0 == "wan1" && told[0].1.is_some() && told[1] == ("wan2".to_owned(), None), "{told:?}");

    // Bothy stops and starts: nothing moves meanwhile, and the first is still down when it has been asked.
    uplinks.stop();
    assert_eq!(here(SERVER), Some(ip("192.0.2.2")));
    uplinks = make();
    uplinks.follow(Some(&both));
    eventually("known again", || {
        assert_eq!(here(SERVER), Some(ip("192.0.2.2")), "it never went back");
        state(&uplinks, 0, Family::V4).0 == State::Down
    });
    // Somebody takes the route away.
    sh(&["ip", "route", "del", "default", "metric", "50"]);
    eventually("put right", || here(SERVER) == Some(ip("192.0.2.2")));

    providers[0].mend();
    eventually("the first is back", || all(&uplinks, [(State::Well, true), (State::Well, false)]));
    leaves("192.0.1.2", "2001:db8:1::2");
    eventually("the guest's as well", || seen_as(&flow, SERVER) == Some(ip("192.0.1.2")));
    let routes = sh(&["ip", "route"]) + &sh(&["ip", "-6", "route"]);
    assert!(!routes.contains("metric 50"), "nothing of ours is left: {routes}");

    // One family alone.
    providers[0].cut(&["-6"]);
    eventually("IPv6 moves", || state(&uplinks, 0, Family::V6) == (State::Down, false) && state(&uplinks, 1, Family::V6).1);
    assert_eq!(state(&uplinks, 0, Family::V4), (State::Well, true));
    leaves("192.0.1.2", "2001:db8:2::2");
    // Nothing answers anywhere: all stays.
    providers[1].cut(&["-4", "-6"]);
    eventually("both are down", || state(&uplinks, 1, Family::V6) == (State::Down, true));
    // No probes, no routes of ours.
    let plain = HostNetwork {
        interfaces: both.interfaces.iter().map(|i| HostInterface { probe: None, ..i.clone() }).collect(),
        ..HostNetwork::default()
    };
    uplinks.follow(Some(&plain));
    assert!(uplinks.condition().is_none());
    eventually("they are gone", || !(sh(&["ip", "route"]) + &sh(&["ip", "-6", "route"])).contains("metric 50"));
    uplinks.stop();
}
