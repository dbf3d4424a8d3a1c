//! `hostnet::port::WaysOut`: asks by one interface whatever the routes say (SO_BINDTODEVICE, socket(7)), and moves default
//! routes by netlink.
//!
//! Owns the sockets of one round, all open at one time, and the bytes of an echo request and a DNS question. Never: what an
//! answer or its absence means. It acts in the network namespace of the calling thread.

use std::{
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, connect, getsockopt, recv, send, setsockopt, socket,
        sockopt::{BindToDevice, SocketError},
    },
};

use super::netlink::Netlink;
use crate::{
    hostnet::port::{Answer, Ask, WaysOut},
    model::{
        error::Result,
        id::IfName,
        uplink::{DefaultRoute, ProbeTarget},
    },
};

/// `domain` (RFC 1035, 4.2.1).
const DNS: u16 = 53;
/// Of a question and of an echo: more is not looked at.
const ROOM: usize = 2048;

#[derive(Default)]
pub struct LinuxWays;

impl WaysOut for LinuxWays {
    fn ask(&self, asked: &[Ask], wait: Duration) -> Vec<Answer> {
        let until = Instant::now() + wait;
        let mut open: Vec<(usize, Question)> = Vec::new();
        let mut answers: Vec<Answer> = vec![Err("no answer".to_owned()); asked.len()];
        for (n, ask) in asked.iter().enumerate() {
            match Question::new(ask) {
                Ok(q) => open.push((n, q)),
                Err(e) => set(&mut answers, n, Err(why(e))),
            }
        }
        while !open.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            let mut fds: Vec<PollFd<'_>> = open.iter().map(|(_, q)| PollFd::new(q.socket.as_fd(), q.kind.awaits())).collect();
            let time = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut fds, time) {
                Ok(0) => break,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(e) => {
                    open.iter().for_each(|(n, _)| set(&mut answers, *n, Err(why(e))));
                    break;
                }
            }
            let ready: Vec<bool> = fds.iter().map(|f| f.any().unwrap_or(false)).collect();
            let mut ready = ready.into_iter();
            open.retain(|(n, q)| {
                let answer = if ready.next() == Some(true) { q.heard() } else { None };
                let is_over = answer.is_some();
                if let Some(a) = answer {
                    set(&mut answers, *n, a);
                }
                !is_over
            });
        }
        answers
    }

    fn interfaces(&self) -> Result<Vec<(u32, IfName)>> {
        let links = Netlink::open()?.links()?;
        Ok(links.into_iter().filter_map(|l| Some((l.index, l.name.parse().ok()?))).collect())
    }

    fn routes(&self) -> Result<Vec<DefaultRoute>> {
        Netlink::open()?.default_routes()
    }

    fn add_route(&self, r: &DefaultRoute) -> Result<()> {
        Netlink::open()?.add_default(r)
    }

    fn remove_route(&self, r: &DefaultRoute) -> Result<()> {
        Netlink::open()?.remove_default(r)
    }
}

fn set(answers: &mut [Answer], n: usize, answer: Answer) {
    if let Some(a) = answers.get_mut(n) {
        *a = answer;
    }
}

fn why(e: Errno) -> String {
    match e {
        Errno::ENODEV => "the interface is not there".to_owned(),
        Errno::ENETUNREACH | Errno::EHOSTUNREACH => "no route by this interface".to_owned(),
        Errno::ECONNREFUSED => "refused".to_owned(),
        e => e.desc().to_lowercase(),
    }
}

/// A socket on its way, and what it waits for.
struct Question {
    socket: OwnedFd,
    kind: Kind,
    to: IpAddr,
    number: u16,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Ping,
    Tcp,
    Dns,
}

impl Kind {
    fn awaits(self) -> PollFlags {
        match self {
            Kind::Ping | Kind::Dns => PollFlags::POLLIN,
            Kind::Tcp => PollFlags::POLLOUT,
        }
    }
}

impl Question {
    fn new(ask: &Ask) -> nix::Result<Question> {
        let to = ask.target.to();
        let (kind, port, r#type, protocol) = match &ask.target {
            ProbeTarget::Ping(IpAddr::V4(_)) => (Kind::Ping, 0, SockType::Raw, Some(SockProtocol::Icmp)),
            ProbeTarget::Ping(IpAddr::V6(_)) => (Kind::Ping, 0, SockType::Raw, Some(SockProtocol::IcmpV6)),
            ProbeTarget::Tcp { port, .. } => (Kind::Tcp, *port, SockType::Stream, None),
            ProbeTarget::Dns { .. } => (Kind::Dns, DNS, SockType::Datagram, None),
        };
        let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = socket(family, r#type, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, protocol)?;
        setsockopt(&socket, BindToDevice, &ask.device.as_str().into())?;
        // Whoever guesses it might answer for the target.
        let number = u16::from_be_bytes(*uuid::Uuid::new_v4().as_bytes().first_chunk().unwrap_or(&[0, 1]));
        match connect(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(to, port))) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(e) => return Err(e),
        }
        let said = match &ask.target {
            ProbeTarget::Ping(to) => echo(to.is_ipv4(), number),
            ProbeTarget::Dns { name, .. } => question(name, number),
            ProbeTarget::Tcp { .. } => Vec::new(),
        };
        if !said.is_empty() {
            send(socket.as_raw_fd(), &said, MsgFlags::empty())?;
        }
        Ok(Question { socket, kind, to, number })
    }

    /// `None`: what came is not the answer.
    fn heard(&self) -> Option<Answer> {
        if self.kind == Kind::Tcp {
            let error = getsockopt(&self.socket, SocketError).unwrap_or_default();
            return Some(if error == 0 { Ok(()) } else { Err(why(Errno::from_raw(error))) });
        }
        let mut buffer = [0; ROOM];
        let n = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(n) => n,
            Err(Errno::EAGAIN | Errno::EINTR) => return None,
            Err(e) => return Some(Err(why(e))),
        };
        let came = buffer.get(..n)?;
        match self.kind {
            Kind::Ping => is_echo(self.to.is_ipv4(), came, self.number).then_some(Ok(())),
            Kind::Dns => answered(came, self.number),
            Kind::Tcp => None,
        }
    }
}

/// RFC 792, RFC 4443 (4.1). Of ICMPv6 the kernel makes the checksum.
fn echo(is_v4: bool, number: u16) -> Vec<u8> {
    let [a, b] = number.to_be_bytes();
    let mut m = vec![if is_v4 { 8 } else { 128 }, 0, 0, 0, a, b, 0, 1];
    m.extend(b"bothy");
    m.push(0);
    if is_v4 {
        let sum = checksum(&m).to_be_bytes();
        m.splice(2..4, sum);
    }
    m
}

/// RFC 1071; of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks_exact(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // What is left has sixteen bits.
    !(sum as u16)
}

/// Of IPv4 a raw socket gives the header as well.
fn is_echo(is_v4: bool, came: &[u8], number: u16) -> bool {
    let header = if is_v4 { came.first().map_or(0, |b| usize::from(b & 0xf) * 4) } else { 0 };
    let reply = if is_v4 { 0 } else { 129 };
    came.get(header..header + 6).is_some_and(|m| m[0] == reply && m[1] == 0 && m[4..6] == number.to_be_bytes())
}

/// RFC 1035 (4.1): one question, to be answered for us.
fn question(name: &str, number: u16) -> Vec<u8> {
    let mut m = number.to_be_bytes().to_vec();
    m.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        m.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        m.extend(label.bytes());
    }
    m.extend([0, 0, 1, 0, 1]);
    m
}

/// That there is no such name is an answer, too; a server that cannot ask others is not.
fn answered(came: &[u8], number: u16) -> Option<Answer> {
    let [a, b, flags, code, ..] = came else { return None };
    if [*a, *b] != number.to_be_bytes() || flags & 0x80 == 0 {
        return None;
    }
    match code & 0xf {
        0 | 3 => Some(Ok(())),
        2 => Some(Err("the server failed".to_owned())),
        5 => Some(Err("the server refused".to_owned())),
        n => Some(Err(format!("the server answered with code {n}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn ask(target: ProbeTarget) -> Ask {
        Ask { device: "lo".parse().expect("name"), target }
    }

    #[test]
    fn messages_are_as_the_rfcs_have_them() {
        let m = echo(true, 0x1234);
        assert_eq!(checksum(&m), 0, "{m:?}");
        assert_eq!(&m[4..8], [0x12, 0x34, 0, 1]);
        let mut came = vec![0x45];
        came.resize(20, 0);
        came.extend([0, 0, 0, 0, 0x12, 0x34, 0, 1]);
        assert!(is_echo(true, &came, 0x1234) && !is_echo(true, &came, 0x1235) && !is_echo(true, &came[..20], 0x1234));
        came[20] = 8;
        assert!(!is_echo(true, &came, 0x1234), "one's own question, on the loopback");
        assert!(is_echo(false, &[129, 0, 0, 0, 0x12, 0x34, 0, 1], 0x1234));
        assert_eq!(question("a.bc", 7), [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 2, b'b', b'c', 0, 0, 1, 0, 1]);
        for (came, want) in [
            (&[0, 7, 0x81, 0x80, 0][..], Some(true)),
            (&[0, 7, 0x81, 0x83], Some(true)),
            (&[0, 7, 0x81, 0x82], Some(false)),
            (&[0, 7, 0x81, 0x85], Some(false)),
            (&[0, 8, 0x81, 0x80], None),
            (&[0, 7, 0x01, 0x00], None),
            (&[0, 7], None),
        ] {
            assert_eq!(answered(came, 7).map(|a| a.is_ok()), want, "{came:?}");
        }
    }

    #[test]
    fn each_kind_is_answered_or_not_at_its_place() {
        let open = TcpListener::bind("127.0.0.1:0").expect("bind");
        let at = |l: &TcpListener| l.local_addr().expect("address").port();
        let closed = at(&TcpListener::bind("127.0.0.1:0").expect("bind"));
        let here: IpAddr = Ipv4Addr::LOCALHOST.into();
        let ways = LinuxWays;
        let tcp = |port| ask(ProbeTarget::Tcp { to: here, port });
        let nowhere = Ask { device: "no-such-if".parse().expect("name"), ..tcp(closed) };
        let said = ways.ask(&[tcp(closed), tcp(at(&open)), nowhere], Duration::from_secs(5));
        assert_eq!(said, [Err("refused".to_owned()), Ok(()), Err("the interface is not there".to_owned())]);
        assert_eq!(ways.ask(&[], Duration::from_secs(5)), []);
    }
}
