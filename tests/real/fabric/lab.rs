//! A switch, and guests that are namespaces behind veths named as guests' NICs are.

use std::{
    collections::BTreeMap,
    net::SocketAddrV4,
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use bothy::{
    model::{
        id::{IfKind, IfName, PortId, SegmentId, if_name},
        net::MacAddr,
    },
    ovs::{BRIDGE, OvsFabric, Settings, Uplink},
    sdn::{
        link::{Guard, LinkPort, PortAt, SwitchLink},
        port::{Fabric, PortKind, SwitchPort},
    },
};
use nix::sys::{
    socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto, setsockopt, socket, sockopt},
    time::{TimeVal, TimeValLike},
};
use uuid::Uuid;

use crate::kit::{
    self,
    netns::{self, Peer},
    ovs::{self, Ovs},
    sh, try_sh,
};

/// Guest number and segment number come to names by the first bits of an id.
pub fn id(n: u128) -> Uuid {
    Uuid::from_u128(n << 100 | n)
}
pub fn segment(n: u128) -> SegmentId {
    SegmentId(id(n))
}
pub fn nic(n: u128) -> IfName {
    if_name(IfKind::Guest, &id(n))
}
pub fn mac(n: u128) -> MacAddr {
    MacAddr::planned(n as u32)
}

pub struct Lab {
    pub fabric: OvsFabric,
    pub ovs: Ovs,
}

impl Lab {
    /// `None`: the host lacks something.
    pub fn start() -> Option<Lab> {
        Lab::with(&[])
    }
    pub fn with(physical: &[(&str, Uplink)]) -> Option<Lab> {
        if kit::lacks(&ovs::NEEDS) || kit::lacks(&[kit::Need::Program("ovs-ofctl")]) {
            return None;
        }
        room_for_sockets();
        netns::enter_new();
        let ovs = Ovs::start();
        let fabric = another(&ovs, physical);
        fabric.ensure_ready().expect("ready");
        Some(Lab { fabric, ovs })
    }

    /// A guest on a segment's VLAN: `10.0.VLAN.N` and `fd00:VLAN::N`, MAC by its number; its port is put
    /// on the switch as libvirt does it.
    pub fn guest(&self, n: u128, vlan: u16) -> Guest {
        let peer = Peer::new();
        let (v4, v6) = addresses(n, vlan);
        peer.connect(nic(n).as_str(), "eth0", Some(&mac(n).to_string()), &[&format!("{v4}/24"), &format!("{v6}/64")]);
        self.ovs.vsctl(&["--may-exist", "add-port", BRIDGE, nic(n).as_str(), &format!("tag={vlan}")]);
        Guest { peer, control: self.ovs.control(), v4, v6 }
    }

    pub fn ofctl(&self, args: &[&str]) -> String {
        let socket = self.ovs.socket().with_file_name(format!("{BRIDGE}.mgmt"));
        let (verb, rest) = args.split_first().expect("a verb");
        sh(&[&["ovs-ofctl", "-O", "OpenFlow14", verb, &socket.to_string_lossy()], rest].concat())
    }
    /// All there is to see of the switch, for a test that failed.
    pub fn picture(&self) -> String {
        let ports = self.ovs.vsctl(&["--columns=name,tag,trunks,vlan_mode,external_ids", "list", "Port"]);
        let interfaces = self.ovs.vsctl(&["--columns=name,ofport,link_state,error", "list", "Interface"]);
        format!("{ports}\n{interfaces}\n{}", self.ofctl(&["dump-flows"]))
    }
    /// The switch's flows but their counters, and how many there are.
    pub fn flows(&self) -> Vec<String> {
        let dump = self.ofctl(&["dump-flows"]);
        let mut all: Vec<String> = dump
            .lines()
            .filter(|l| l.contains("cookie=0xb0"))
            .map(|l| {
                let kept =
                    l.trim().split(", ").filter(|w| !["duration", "n_packets", "n_bytes", "idle_age"].iter().any(|s| w.starts_with(s)));
                kept.collect::<Vec<_>>().join(", ")
            })
            .collect();
        all.sort();
        all
    }
}

/// One more bothy on the same switch.
pub fn another(ovs: &Ovs, physical: &[(&str, Uplink)]) -> OvsFabric {
    let physical: BTreeMap<_, _> = physical.iter().map(|(n, u)| ((*n).into(), u.clone())).collect();
    OvsFabric::new(Settings { socket: ovs.socket(), physical }).expect("fabric")
}

fn addresses(n: u128, vlan: u16) -> (String, String) {
    (format!("10.0.{vlan}.{n}"), format!("fd00:{vlan}::{n}"))
}

pub struct Guest {
    pub peer: Peer,
    /// The switch daemon's.
    pub control: PathBuf,
    pub v4: String,
    pub v6: String,
}

impl Guest {
    /// Both families, or neither.
    #[track_caller]
    pub fn reaches(&self, other: &Guest) -> bool {
        self.settle();
        let (four, six) = (self.peer.pings(&other.v4), self.peer.pings(&other.v6));
        assert_eq!(four, six, "{} to {}: IPv4 and IPv6 differ", self.v4, other.v4);
        four
    }
    /// The switch works on cached flows until its revalidator has looked at each: on a busy host, a second.
    pub fn settle(&self) {
        // It refuses where bridges of two datapaths are there.
        if !try_sh(&["ovs-appctl", "-t", &self.control.to_string_lossy(), "revalidator/wait"]).0 {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    /// A ping from an address of its choice.
    pub fn pings_from(&self, from: &str, to: &str) -> bool {
        self.settle();
        let program = if to.contains(':') { "ping6" } else { "ping" };
        self.peer.run(|| (0..2).any(|_| try_sh(&["busybox", program, "-I", from, "-c", "1", "-W", "1", to]).0))
    }
}

/// A link with these guests, all alike.
pub fn link(n: u128, vlan: u16, guests: &[u128]) -> SwitchLink {
    let port = |g: &u128| LinkPort { name: nic(*g), at: PortAt::Guest, isolated: false, limit: None, guard: None, only: Vec::new() };
    SwitchLink {
        segment: segment(n),
        vlan: vlan.try_into().expect("vlan"),
        transparent: false,
        limit: None,
        ports: guests.iter().map(port).collect(),
    }
}
pub fn guard(n: u128, vlan: u16) -> Option<Guard> {
    let (v4, v6) = addresses(n, vlan);
    Some(Guard { mac: mac(n), addresses: vec![v4.parse().expect("IPv4"), v6.parse().expect("IPv6")] })
}
pub fn trunk(station: u128, nic_of: u128, tag: u16) -> LinkPort {
    let at = PortAt::Trunk { station: PortId(id(station)), tag: tag.try_into().expect("vlan") };
    LinkPort { name: nic(nic_of), at, isolated: false, limit: None, guard: None, only: Vec::new() }
}
pub fn host_port(n: u128, vlan: u16, mtu: Option<u16>) -> SwitchPort {
    SwitchPort {
        name: if_name(IfKind::Host, &id(n)),
        segment: segment(n),
        vlan: vlan.try_into().expect("vlan"),
        kind: PortKind::Host { mtu },
    }
}
pub fn own(port: &SwitchPort) -> LinkPort {
    LinkPort { name: port.name.clone(), at: PortAt::Own, isolated: false, limit: None, guard: None, only: Vec::new() }
}

/// A switch that the host lets stand still loses nothing by itself: what comes meanwhile waits in its sockets, which have
/// room for a quarter of a second of the stream otherwise. (Stopped for 0.8 s it lost 484 of 1374 packets, and none so.)
fn room_for_sockets() {
    const ROOM: u32 = 8 << 20;
    const AT: &str = "/proc/sys/net/core/rmem_default";
    let has = std::fs::read_to_string(AT).ok().and_then(|v| v.trim().parse::<u32>().ok());
    if has.is_some_and(|has| has < ROOM) {
        // Where it may not be set, there is what there is.
        let _ = std::fs::write(AT, ROOM.to_string());
    }
}

/// Raw ICMP between namespaces: veths leave UDP's and TCP's checksums to hardware that is not there.
struct Wire {
    fd: OwnedFd,
}

const MARK: &[u8] = b"fabric";

impl Wire {
    fn open(of: &Guest) -> Wire {
        let fd =
            of.peer.run(|| socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp)).expect("raw socket");
        // A receiver that the host lets stand still loses nothing by itself.
        setsockopt(&fd, sockopt::RcvBufForce, &(16 << 20)).expect("room");
        setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::milliseconds(2000)).expect("limit");
        Wire { fd }
    }
    /// An echo reply that nobody asked for: the other side's kernel leaves it at that.
    fn send(&self, to: &str, size: usize) {
        let mut m = vec![0u8; 8];
        m.extend(MARK);
        m.resize(size, 7);
        let sum: u32 = m.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(*c.get(1).unwrap_or(&0))).sum();
        let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
        m[2..4].copy_from_slice(&sum.to_be_bytes());
        let to = SockaddrIn::from(SocketAddrV4::new(to.parse().expect("IPv4"), 0));
        // Without a neighbour there is nothing to be done.
        let _ = sendto(self.fd.as_raw_fd(), &m, &to, MsgFlags::empty());
    }
    /// Whether one of ours came before the limit.
    fn hear(&self) -> Option<bool> {
        let mut buf = [0u8; 2048];
        let n = recv(self.fd.as_raw_fd(), &mut buf, MsgFlags::empty()).ok()?;
        Some(buf.get(28..28 + MARK.len()).filter(|_| n >= 28 + MARK.len()) == Some(MARK))
    }
}

/// Says that it is over when it goes.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A packet every millisecond from one guest to another while `f` runs: sent, lost, and the longest
/// silence between two that arrived.
pub fn stream_while(from: &Guest, to: &Guest, f: impl FnOnce()) -> (u64, u64, Duration) {
    assert!(from.peer.pings(&to.v4), "it works at first");
    let (sender, receiver) = (Wire::open(from), Wire::open(to));
    let over = AtomicBool::new(false);
    std::thread::scope(|s| {
        let sending = s.spawn(|| {
            let mut n = 0u64;
            while !over.load(Ordering::SeqCst) {
                sender.send(&to.v4, 64);
                n += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            n
        });
        let hearing = s.spawn(|| {
            let (mut got, mut last, mut longest) = (0u64, Instant::now(), Duration::ZERO);
            loop {
                match receiver.hear() {
                    Some(true) => {
                        got += 1;
                        longest = longest.max(last.elapsed());
                        last = Instant::now();
                    }
                    None if over.load(Ordering::SeqCst) => return (got, longest),
                    Some(false) | None => {}
                }
            }
        });
        // Also where `f` fails: the scope waits for its threads before that is told.
        let end = End(&over);
        f();
        std::thread::sleep(Duration::from_millis(200));
        drop(end);
        let sent = sending.join().expect("sender");
        let (got, longest) = hearing.join().expect("receiver");
        (sent, sent.saturating_sub(got), longest)
    })
}

/// Bits that arrive of packets sent as fast as the receiver keeps up with, and the seconds it took.
pub fn flood(from: &Guest, to: &Guest, packets: usize, size: usize) -> (f64, f64) {
    from.settle();
    assert!(from.peer.pings(&to.v4), "ARP first");
    let (sender, receiver) = (Wire::open(from), Wire::open(to));
    std::thread::scope(|s| {
        let sending = s.spawn(|| {
            let began = Instant::now();
            for _ in 0..packets {
                sender.send(&to.v4, size);
                std::thread::sleep(Duration::from_micros(100));
            }
            began.elapsed()
        });
        let mut got = 0usize;
        while let Some(ours) = receiver.hear() {
            got += usize::from(ours);
        }
        let took = sending.join().expect("sender");
        ((got * size * 8) as f64, took.as_secs_f64())
    })
}
