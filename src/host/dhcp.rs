//! Asks the networks that the box is on for one option of DHCP, beside whoever keeps its leases: a client that has an address
//! may ask for the rest (DHCPINFORM, RFC 2131 4.4.3; Information-request, RFC 8415 18.2.6). systemd-networkd keeps no option
//! that it does not know itself.
//!
//! Owns the two messages and their sockets. Never: an address or a lease, or what the option means.

use std::{
    ffi::OsString,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket},
    os::fd::AsRawFd as _,
    time::{Duration, Instant},
};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket,
    sockopt::{BindToDevice, Broadcast, ReuseAddr},
};

use super::facts::Tree;
use crate::model::net::MacAddr;

/// A server is asked so often, and has so long each time.
const TRIES: u32 = 2;
const WAIT: Duration = Duration::from_secs(2);

/// One port of the box by one of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    port: String,
    /// Bound to, so that nothing of other networks comes in.
    device: Option<OsString>,
    mac: MacAddr,
    from: SocketAddr,
    to: SocketAddr,
}

/// Which option, by its code in each of the two.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub v4: u8,
    pub v6: u16,
}

/// What each network has to say: by which protocol on which port, and the option's value. DHCPv4 comes first.
pub fn ask(wanted: Wanted) -> Vec<(String, Vec<u8>)> {
    let mut ways = ways(&Tree::new("/"));
    ways.sort_by_key(|w| (w.from.is_ipv6(), w.port.clone()));
    // All at one time: where nobody answers, that takes its time.
    std::thread::scope(|s| {
        let all: Vec<_> = ways.iter().map(|w| s.spawn(move || heard(w, wanted, WAIT))).collect();
        let heard = all.into_iter().zip(&ways).filter_map(|(t, w)| {
            let protocol = if w.from.is_ipv6() { "DHCPv6" } else { "DHCPv4" };
            Some((format!("{protocol} on {}", w.port), t.join().ok()??))
        });
        heard.collect()
    })
}

/// Ports with a device behind them, by each of their IPv4 addresses and their link-local one.
fn ways(tree: &Tree) -> Vec<Way> {
    let one = |i: nix::ifaddrs::InterfaceAddress| {
        let port = i.interface_name;
        if !tree.exists(format!("sys/class/net/{port}/device")) {
            return None;
        }
        let mac = tree.parse(format!("sys/class/net/{port}/address"))?;
        let address = i.address?;
        let (from, to): (SocketAddr, SocketAddr) = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
            (Some(v4), _) => (SocketAddrV4::new(v4.ip(), 68).into(), SocketAddrV4::new(Ipv4Addr::BROADCAST, 67).into()),
            (None, Some(v6)) if v6.ip().is_unicast_link_local() => {
                let all_servers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
                (SocketAddrV6::new(v6.ip(), 546, 0, v6.scope_id()).into(), SocketAddrV6::new(all_servers, 547, 0, v6.scope_id()).into())
            }
            (None, _) => return None,
        };
        Some(Way { device: Some(port.clone().into()), port, mac, from, to })
    };
    nix::ifaddrs::getifaddrs().into_iter().flatten().filter_map(one).collect()
}

fn opened(w: &Way) -> io::Result<UdpSocket> {
    let family = if w.from.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let fd = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // Whoever keeps the lease has this address and port, too; the answer to this request comes to the newer socket.
    setsockopt(&fd, ReuseAddr, &true)?;
    if let Some(d) = &w.device {
        setsockopt(&fd, BindToDevice, d)?;
    }
    if w.from.is_ipv4() {
        setsockopt(&fd, Broadcast, &true)?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(w.from))?;
    Ok(fd.into())
}

fn heard(w: &Way, wanted: Wanted, wait: Duration) -> Option<Vec<u8>> {
    let s = opened(w).inspect_err(|e| tracing::debug!(port = w.port, error = %e, "DHCP cannot be asked")).ok()?;
    let xid = u32::from_be_bytes(*uuid::Uuid::new_v4().as_bytes().first_chunk()?);
    type Read = fn(&[u8], u32, Wanted) -> Option<Option<Vec<u8>>>;
    let (message, read): (_, Read) = match w.from {
        SocketAddr::V4(from) => (inform(*from.ip(), w.mac, xid, wanted.v4), |m, x, c| answered4(m, x, c.v4)),
        SocketAddr::V6(_) => (information_request(w.mac, xid, wanted.v6), |m, x, c| answered6(m, x, c.v6)),
    };
    for _ in 0..TRIES {
        s.send_to(&message, w.to).ok()?;
        let until = Instant::now() + wait;
        let mut buffer = [0; 4096];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            s.set_read_timeout(Some(left)).ok()?;
            let Ok((n, _)) = s.recv_from(&mut buffer) else { break };
            if let Some(option) = buffer.get(..n).and_then(|m| read(m, xid, wanted)) {
                return option;
            }
        }
    }
    None
}

const MAGIC: [u8; 4] = [99, 130, 83, 99];
const END: u8 = 255;

/// RFC 2131 2 and 4.4.3.
fn inform(address: Ipv4Addr, mac: MacAddr, xid: u32, code: u8) -> Vec<u8> {
    let mut m = vec![1, 1, 6, 0];
    m.extend(xid.to_be_bytes());
    m.extend([0; 4]);
    m.extend(address.octets());
    m.extend([0; 12]);
    m.extend(mac.octets());
    m.resize(236, 0);
    m.extend(MAGIC);
    // INFORM, the one option that is asked for, and how long an answer may be.
    m.extend([53, 1, 8, 55, 1, code, 57, 2]);
    m.extend(1400u16.to_be_bytes());
    m.push(END);
    // A BOOTP relay may drop what is shorter (RFC 1542 2.1).
    m.resize(300, 0);
    m
}

/// Whether it answers this request, and the option if it is there.
fn answered4(m: &[u8], xid: u32, code: u8) -> Option<Option<Vec<u8>>> {
    let (head, options) = m.split_at_checked(240)?;
    if head[0] != 2 || head[4..8] != xid.to_be_bytes() || head[236..] != MAGIC {
        return None;
    }
    let all = |code| options4(options, &head[108..236], &head[44..108], code);
    // An ACK, and nothing else answers.
    (all(53)?.as_deref() == Some(&[5])).then_some(())?;
    all(code)
}

/// The parts of one option in their order (RFC 3396), `file` and `sname` too where they hold options (RFC 2132 9.3). `None`:
/// they are broken.
fn options4(options: &[u8], file: &[u8], sname: &[u8], code: u8) -> Option<Option<Vec<u8>>> {
    let mut found: Option<Vec<u8>> = None;
    let mut overload = 0;
    let mut read = |mut rest: &[u8]| -> Option<u8> {
        let mut more = 0;
        loop {
            let (&c, after) = rest.split_first()?;
            match c {
                0 => rest = after,
                END => return Some(more),
                _ => {
                    let (&n, after) = after.split_first()?;
                    let (value, after) = after.split_at_checked(n.into())?;
                    if c == code {
                        found.get_or_insert_default().extend(value);
                    }
                    if let (52, [o]) = (c, value) {
                        more = *o;
                    }
                    rest = after;
                }
            }
        }
    };
    overload |= read(options)?;
    for (bit, part) in [(1, file), (2, sname)] {
        if overload & bit != 0 {
            read(part)?;
        }
    }
    Some(found)
}

/// RFC 8415 8, 18.2.6.
fn information_request(mac: MacAddr, xid: u32, code: u16) -> Vec<u8> {
    let [_, xid @ ..] = xid.to_be_bytes();
    let mut m = vec![11];
    m.extend(xid);
    let mut option = |code: u16, value: &[u8]| {
        m.extend(code.to_be_bytes());
        m.extend(u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        m.extend(value);
    };
    // A DUID by the port's own address (11.4), the option that is asked for, no time has passed.
    option(1, &[&[0, 3, 0, 1][..], &mac.octets()].concat());
    option(6, &code.to_be_bytes());
    option(8, &[0, 0]);
    m
}

fn answered6(m: &[u8], xid: u32, code: u16) -> Option<Option<Vec<u8>>> {
    let (head, mut rest) = m.split_at_checked(4)?;
    let [_, xid @ ..] = xid.to_be_bytes();
    if head[0] != 7 || head[1..] != xid {
        return None;
    }
    let mut found = None;
    while !rest.is_empty() {
        let (&[a, b, c, d], after) = rest.split_first_chunk::<4>()?;
        let (value, after) = after.split_at_checked(u16::from_be_bytes([c, d]).into())?;
        // It is there once (RFC 8572 8.2); of two nobody knows which is meant.
        if u16::from_be_bytes([a, b]) == code && found.replace(value.to_vec()).is_some() {
            return Some(None);
        }
        rest = after;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WANTED: Wanted = Wanted { v4: 143, v6: 136 };

    fn mac() -> MacAddr {
        "52:54:00:00:00:01".parse().expect("mac")
    }

    /// An answer of a server: these options.
    fn ack(request: &[u8], options: &[u8]) -> Vec<u8> {
        let mut m = request[..240].to_vec();
        m[0] = 2;
        m.extend(options);
        m
    }

    #[test]
    fn an_option_of_dhcpv4_is_all_its_parts_of_an_answer_to_this_request() {
        let request = inform(Ipv4Addr::new(192, 0, 2, 1), mac(), 7, 143);
        assert_eq!((request.len(), &request[12..16], &request[28..34]), (300, &[192, 0, 2, 1][..], &mac().octets()[..]));
        let good = [53, 1, 5, 143, 2, b'a', b'b', 1, 4, 0, 0, 0, 0, 143, 1, b'c', END];
        assert_eq!(answered4(&ack(&request, &good), 7, 143), Some(Some(b"abc".to_vec())));
        assert_eq!(answered4(&ack(&request, &[53, 1, 5, END]), 7, 143), Some(None));
        for (what, m, xid) in [
            ("another request's", ack(&request, &good), 8),
            ("a request", request.clone(), 7),
            ("a NAK", ack(&request, &[53, 1, 6, END]), 7),
            ("no type", ack(&request, &[143, 1, b'a', END]), 7),
            ("no end", ack(&request, &[53, 1, 5]), 7),
            ("a length beyond the end", ack(&request, &[53, 1, 5, 143, 9, b'a', END]), 7),
            ("too short", ack(&request, &good)[..239].to_vec(), 7),
        ] {
            assert_eq!(answered4(&m, xid, 143), None, "{what}");
        }
        let mut odd = ack(&request, &good);
        odd[236] ^= 1;
        assert_eq!(answered4(&odd, 7, 143), None, "no magic");
        // Goes on in `file`, then in `sname`.
        let mut long = ack(&request, &[53, 1, 5, 52, 1, 3, 143, 1, b'a', END]);
        long[108..112].copy_from_slice(&[143, 1, b'b', END]);
        long[44..48].copy_from_slice(&[143, 1, b'c', END]);
        assert_eq!(answered4(&long, 7, 143), Some(Some(b"abc".to_vec())));
    }

    #[test]
    fn an_option_of_dhcpv6_is_that_of_an_answer_to_this_request_and_there_once() {
        let request = information_request(mac(), 0x0001_0203, 136);
        assert_eq!(&request[..4], &[11, 1, 2, 3]);
        let reply = |options: &[u8]| [&[7, 1, 2, 3][..], options].concat();
        let one = [0, 136, 0, 2, b'a', b'b'];
        assert_eq!(answered6(&reply(&[&[0, 1, 0, 0][..], &one].concat()), 0x0001_0203, 136), Some(Some(b"ab".to_vec())));
        assert_eq!(answered6(&reply(&[]), 0x0001_0203, 136), Some(None));
        assert_eq!(answered6(&reply(&[one, one].concat()), 0x0001_0203, 136), Some(None), "twice");
        assert_eq!(answered6(&reply(&one), 0x0001_0204, 136), None, "another request's");
        assert_eq!(answered6(&request, 0x0001_0203, 136), None, "a request");
        assert_eq!(answered6(&reply(&[0, 136, 0, 3, b'a']), 0x0001_0203, 136), None, "beyond the end");
        assert_eq!(answered6(&reply(&[0, 136, 0]), 0x0001_0203, 136), None, "half a head");
    }

    /// What dnsmasq 2.90 answered to these very messages, beside a second socket on the client's port.
    #[test]
    fn what_dnsmasq_answers_is_read() {
        let said = b"\x00\x18https://hub.example:8443".to_vec();
        let options = [
            &b"5\x01\x056\x04\xc0\x00\x02\x01\x01\x04\xff\xff\xff\x00\x1c\x04\xc0\x00\x02\xff\x8f\x1a"[..],
            &said,
            b"\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        ];
        let request = inform(Ipv4Addr::new(192, 0, 2, 77), mac(), 7, 143);
        assert_eq!(answered4(&ack(&request, &options.concat()), 7, 143), Some(Some(said.clone())));
        let reply = [
            &b"\x07\x00\x00\x07\x00\x01\x00\n\x00\x03\x00\x01RT\x00\x00\x00\x01\x00\x02\x00\n\x00\x03\x00\x01R\x07MEE\x16\x00\x88\x00\x1a"
                [..],
            &said,
            b"\x00 \x00\x04\x00\x00\x0e\x10",
        ];
        assert_eq!(answered6(&reply.concat(), 7, 136), Some(Some(said)));
    }

    #[test]
    fn a_server_is_asked_until_it_answers_this_request() {
        let server = UdpSocket::bind("127.0.0.1:0").expect("server");
        let own = UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("a port");
        let to = server.local_addr().expect("address");
        let answers = std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            let (n, from) = server.recv_from(&mut buffer).expect("asked");
            let good = ack(&buffer[..n], &[53, 1, 5, 143, 1, b'x', END]);
            let mut other = good.clone();
            other[4] ^= 1;
            for m in [&b"junk"[..], &other, &good] {
                server.send_to(m, from).expect("answered");
            }
        });
        let way = Way { port: "lo".into(), device: None, mac: mac(), from: own, to };
        assert_eq!(heard(&way, WANTED, Duration::from_secs(60)), Some(b"x".to_vec()));
        answers.join().expect("server");
        // Nobody is there.
        let silent = UdpSocket::bind("127.0.0.1:0").expect("silent");
        let way = Way { to: silent.local_addr().expect("address"), ..way };
        assert_eq!(heard(&way, WANTED, Duration::from_millis(1)), None);
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_readers(junk in prop::collection::vec(any::<u8>(), 0..400)) {
            let request = inform(Ipv4Addr::LOCALHOST, mac(), 7, 143);
            let _ = answered4(&ack(&request, &junk), 7, 143);
            let _ = answered6(&[&[7, 0, 0, 7], &junk[..]].concat(), 7, 136);
            prop_assert!(answered4(&junk, 7, 143).is_none() || junk.len() > 240);
        }
    }
}
