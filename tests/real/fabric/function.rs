//! Functions that chains lead through, as namespaces: a wire with a bridge inside, a mirror with one
//! arm, a router. What passes is counted, and stopped, by nft inside. And TCP between guests.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use bothy::{
    model::{
        chain::{Classifier, Family, HopKind, IpProto, OnLoss, Ports},
        id::NfpId,
    },
    ovs::BRIDGE,
    sdn::{
        chain::{Arm, End, Hop, Instance, SwitchChain},
        link::{LinkPort, PortAt, SwitchLink},
    },
};

use super::lab::*;
use crate::kit::{self, Need, netns::Peer, sh, try_sh};

pub const NEEDS: [Need; 2] = [Need::Program("nft"), Need::Program("perl")];

/// As `Lab::start`, where chains can be shown.
pub fn lab() -> Option<Lab> {
    if kit::lacks(&NEEDS) {
        return None;
    }
    Lab::start()
}

/// A veth leaves checksums and segments to hardware, which the userspace datapath is not.
pub fn without_offloads(of: &Peer, name: &str) {
    // ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO by SIOCETHTOOL.
    const SCRIPT: &str = r#"use Socket; socket(my $s, AF_INET, SOCK_DGRAM, 0) or die; for my $c (0x17, 0x1f, 0x24) {
        my $v = pack("LL", $c, 0); ioctl($s, 0x8946, pack("a16p", $ARGV[0], $v)) or die "$c: $!" }"#;
    of.run(|| sh(&["perl", "-e", SCRIPT, name]));
}

/// A guest that speaks TCP.
pub fn talker(lab: &Lab, n: u128, vlan: u16) -> Guest {
    let g = lab.guest(n, vlan);
    without_offloads(&g.peer, "eth0");
    g
}

pub struct Function {
    pub peer: Peer,
    pub ports: Vec<u128>,
    table: &'static str,
}

impl Function {
    /// A bump in the wire: what comes by one port leaves by the other, as it is.
    pub fn wire(lab: &Lab, entry: u128, exit: u128, vlan: u16) -> Function {
        let f = Function::start(lab, &[entry, exit], vlan, "bridge");
        f.peer.run(|| {
            sh(&["ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0"]);
            for port in ["port0", "port1"] {
                sh(&["ip", "link", "set", port, "master", "br0"]);
            }
            sh(&["ip", "link", "set", "br0", "up"]);
        });
        f
    }
    /// From now on it learns no MAC addresses: whoever is met on either of its sides is met on the other too.
    pub fn forgets(&self) {
        self.peer.run(|| {
            for n in 0..self.ports.len() {
                sh(&["bridge", "link", "set", "dev", &format!("port{n}"), "learning", "off"]);
            }
            sh(&["ip", "link", "set", "br0", "type", "bridge", "fdb_flush"]);
        });
    }
    /// Sends what comes by its only port back by it, as it is.
    pub fn one_arm(lab: &Lab, port: u128, vlan: u16) -> Function {
        let f = Function::start(lab, &[port], vlan, "bridge");
        f.peer.run(|| {
            sh(&["ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0"]);
            sh(&["ip", "link", "set", "port0", "master", "br0"]);
            sh(&["ip", "link", "set", "br0", "up"]);
            sh(&["bridge", "link", "set", "dev", "port0", "hairpin", "on"]);
        });
        f
    }
    /// Routes between stations of its only link.
    pub fn router(lab: &Lab, port: u128, vlan: u16) -> Function {
        let f = Function::start(lab, &[port], vlan, "inet");
        f.peer.run(|| {
            sh(&["ip", "link", "set", "port0", "address", &mac(port).to_string()]);
            sh(&["ip", "address", "add", &format!("10.0.{vlan}.{port}/24"), "dev", "port0"]);
            sh(&[
                "busybox",
                "sysctl",
                "-w",
                "net.ipv4.ip_forward=1",
                "net.ipv4.conf.all.send_redirects=0",
                "net.ipv4.conf.port0.send_redirects=0",
            ]);
        });
        f
    }

    fn start(lab: &Lab, ports: &[u128], vlan: u16, table: &'static str) -> Function {
        let peer = Peer::new();
        for (i, n) in ports.iter().enumerate() {
            peer.connect(nic(*n).as_str(), &format!("port{i}"), None, &[]);
            without_offloads(&peer, &format!("port{i}"));
            // The far end speaks for nobody: its kernel's own neighbour discovery would be counted as passing frames.
            sh(&["busybox", "sysctl", "-w", &format!("net.ipv6.conf.{}.disable_ipv6=1", nic(*n).as_str())]);
        }
        let f = Function { peer, ports: ports.to_vec(), table };
        f.peer.run(|| {
            sh(&["nft", "add", "table", table, "t"]);
            sh(&["nft", "add", "chain", table, "t", "f", "{ type filter hook forward priority -200 ; }"]);
        });
        f.connect(lab, vlan);
        f
    }
    /// Its ports are on the switch, as libvirt puts them there.
    pub fn connect(&self, lab: &Lab, vlan: u16) {
        for n in &self.ports {
            let (here, away) = (nic(*n), away(*n));
            if try_sh(&["ip", "link", "show", &away]).0 {
                sh(&["ip", "link", "set", &away, "name", here.as_str()]);
                sh(&["ip", "link", "set", here.as_str(), "up"]);
            }
            lab.ovs.vsctl(&["--may-exist", "add-port", BRIDGE, nic(*n).as_str(), &format!("tag={vlan}")]);
        }
    }
    /// Its ports are off the switch and off the host, as those of a guest that went: a port whose interface is
    /// still there would be put back.
    pub fn disconnect(&self, lab: &Lab) {
        for n in &self.ports {
            let here = nic(*n);
            sh(&["ip", "link", "set", here.as_str(), "down"]);
            sh(&["ip", "link", "set", here.as_str(), "name", &away(*n)]);
            lab.ovs.vsctl(&["--if-exists", "del-port", here.as_str()]);
        }
    }

    /// Counts what matches from now on.
    pub fn watch(&self, what: &str) {
        self.peer.run(|| {
            sh(&["nft", "flush", "chain", self.table, "t", "f"]);
            sh(&["nft", &format!("add rule {} t f {what} counter", self.table)]);
        });
    }
    /// Writes down, from now on, which connections to this port passed: by their other port, those that
    /// passed on the way there and those that passed on the way back.
    pub fn note(&self, port: u16) {
        self.peer.run(|| {
            sh(&["nft", "flush", "chain", self.table, "t", "f"]);
            for (set, theirs, ours) in [("there", "dport", "sport"), ("back", "sport", "dport")] {
                sh(&["nft", &format!("add set {} t {set} {{ type inet_service; flags dynamic; size 4096; }}", self.table)]);
                sh(&["nft", "flush", "set", self.table, "t", set]);
                sh(&["nft", &format!("add rule {} t f tcp {theirs} {port} add @{set} {{ tcp {ours} }}", self.table)]);
            }
        });
    }
    pub fn noted(&self) -> [BTreeSet<u16>; 2] {
        ["there", "back"].map(|set| {
            let text = self.peer.run(|| sh(&["nft", "-n", "list", "set", self.table, "t", set]));
            let inside = text.split_once("elements = {").map_or("", |(_, rest)| rest.split('}').next().unwrap_or_default());
            inside.split(',').filter_map(|p| p.trim().parse().ok()).collect()
        })
    }
    /// And lets nothing of it through.
    pub fn stop(&self, what: &str) {
        self.peer.run(|| sh(&["nft", &format!("add rule {} t f {what} drop", self.table)]));
    }
    /// Frames that passed since `watch`.
    pub fn seen(&self) -> u64 {
        let text = self.peer.run(|| sh(&["nft", "list", "chain", self.table, "t", "f"]));
        let count = text.split_whitespace().skip_while(|w| *w != "packets").nth(1).expect("a counter");
        count.parse().expect("a number")
    }
}

/// The name of an interface that is off the switch.
fn away(n: u128) -> String {
    format!("away{n}")
}

pub fn hop(name: &str, kind: HopKind, arms: &[(u128, u128)]) -> Hop {
    let arm = |n: u128| Arm { port: nic(n), mac: (kind == HopKind::Routed).then(|| mac(n)) };
    let instances = arms.iter().map(|(a, b)| Instance { entry: arm(*a), exit: arm(*b) }).collect();
    Hop { name: name.into(), kind, instances }
}

/// From guest 1 to guest 2 by these hops.
pub fn chain(n: u128, classifier: Classifier, hops: Vec<Hop>) -> SwitchChain {
    let end = |n: u128| End { port: nic(n), mac: Some(mac(n)), beside: Vec::new(), shared: false };
    SwitchChain {
        id: NfpId(id(n)),
        name: format!("chain{n}").into(),
        classifiers: vec![classifier],
        from: vec![end(1)],
        hops,
        to: vec![end(2)],
        symmetric: true,
        on_loss: OnLoss::Block,
        handover: None,
    }
}
pub fn tcp(port: u16) -> Classifier {
    Classifier { id: "tcp".into(), proto: Some(IpProto::TCP), dst_ports: Some(Ports::one(port)), ..Classifier::default() }
}
pub fn ping(family: Family) -> Classifier {
    let proto = match family {
        Family::Ipv4 => IpProto::ICMP,
        Family::Ipv6 => IpProto::ICMP6,
    };
    Classifier { id: "ping".into(), proto: Some(proto), family: Some(family), ..Classifier::default() }
}

/// A link with these guests, and these ends of wires.
pub fn link_with_wires(n: u128, vlan: u16, guests: &[u128], wires: &[u128]) -> SwitchLink {
    let mut l = link(n, vlan, guests);
    let wire = |n: &u128| LinkPort { name: nic(*n), at: PortAt::Wire, isolated: false, limit: None, guard: None, only: Vec::new() };
    l.ports.extend(wires.iter().map(wire));
    l
}

/// Answers each line of each connection with the same line.
pub fn serve(at: &Guest, ports: &[u16]) {
    for port in ports {
        let listener = at.peer.run(|| TcpListener::bind(("0.0.0.0", *port)).expect("listen"));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut s) = stream else { return };
                std::thread::spawn(move || {
                    let mut buf = [0u8; 2048];
                    while let Ok(n @ 1..) = s.read(&mut buf) {
                        if s.write_all(&buf[..n]).is_err() {
                            return;
                        }
                    }
                });
            }
        });
    }
}

/// A connection from one guest to another, if one comes up within a second. What the switch kept of the
/// time before is gone by then: it may drop frames at the far end of a wire, which the near end has counted.
pub fn dial(from: &Guest, to: &Guest, port: u16) -> Option<TcpStream> {
    from.settle();
    dial_now(from, to, port)
}
/// The same where nothing has changed since the one before.
pub fn dial_now(from: &Guest, to: &Guest, port: u16) -> Option<TcpStream> {
    let ip: IpAddr = to.v4.parse().expect("address");
    let s = from.peer.run(|| TcpStream::connect_timeout(&SocketAddr::new(ip, port), Duration::from_secs(1))).ok()?;
    s.set_read_timeout(Some(Duration::from_secs(5))).expect("limit");
    s.set_nodelay(true).expect("no delay");
    Some(s)
}
/// The other side still answers.
pub fn echoes(s: &mut TcpStream) -> bool {
    let mut buf = [0u8; 5];
    s.write_all(b"hello").is_ok() && s.read_exact(&mut buf).is_ok() && &buf == b"hello"
}
pub fn connects(from: &Guest, to: &Guest, port: u16) -> bool {
    dial(from, to, port).is_some_and(|mut s| echoes(&mut s))
}

/// What the datapath does with such a frame, as the switch says.
pub fn datapath_actions(lab: &Lab, frame: &str) -> String {
    let ctl = lab.ovs.socket().with_file_name("switch.ctl");
    let text = sh(&["ovs-appctl", "-t", &ctl.to_string_lossy(), "ofproto/trace", BRIDGE, frame]);
    let line = text.lines().find_map(|l| l.strip_prefix("Datapath actions: "));
    line.unwrap_or_else(|| panic!("{text}")).to_owned()
}
pub fn ofport(lab: &Lab, n: u128) -> String {
    lab.ovs.vsctl(&["get", "interface", nic(n).as_str(), "ofport"]).trim().to_owned()
}

/// Whether a try within a few seconds is as wished: the switch goes on with cached flows for half a second.
pub fn soon(wish: bool, mut f: impl FnMut() -> bool) -> bool {
    for _ in 0..8 {
        if f() == wish {
            return true;
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    false
}

pub fn set_link(of: &Function, port: usize, up: bool) {
    let (ok, text) = of.peer.run(|| try_sh(&["ip", "link", "set", &format!("port{port}"), if up { "up" } else { "down" }]));
    assert!(ok, "{text}");
}
