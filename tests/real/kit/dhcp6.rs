//! A DHCPv6 client (RFC 8415) that asks for one address: solicit, advertise, request, reply.

use std::{
    collections::BTreeMap,
    net::{Ipv6Addr, SocketAddrV6, UdpSocket},
    os::fd::AsRawFd as _,
    time::{Duration, Instant},
};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn6, sendto, socket};

use super::netns::Peer;

/// All servers and relays of the link (7.1).
const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
const CLIENT_PORT: u16 = 546;
const SERVER_PORT: u16 = 547;

const SOLICIT: u8 = 1;
const ADVERTISE: u8 = 2;
const REQUEST: u8 = 3;
const REPLY: u8 = 7;

const CLIENT_ID: u16 = 1;
const SERVER_ID: u16 = 2;
const IA_NA: u16 = 3;
const IA_ADDR: u16 = 5;
const WANTED: u16 = 6;
const DNS: u16 = 23;

/// What a server bound to the client.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    pub address: Ipv6Addr,
    pub dns: Vec<Ipv6Addr>,
}

/// Asks on `eth0` of the peer for as long as `limit`.
pub fn lease(peer: &Peer, mac: [u8; 6], limit: Duration) -> Option<Lease> {
    peer.run(|| ask(mac, Instant::now() + limit))
}

type Options = BTreeMap<u16, Vec<u8>>;

fn ask(mac: [u8; 6], until: Instant) -> Option<Lease> {
    let scope = nix::net::if_::if_nametoindex("eth0").expect("eth0");
    let answers = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, CLIENT_PORT)).expect("the client's port");
    answers.set_read_timeout(Some(Duration::from_millis(500))).expect("timeout");
    // A veth leaves the checksum of a UDP socket to hardware that is not there: it is made here.
    let raw = socket(AddressFamily::Inet6, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Udp).expect("a raw socket");
    let servers = SocketAddrV6::new(SERVERS, 0, 0, scope);
    let exchange = |kind: u8, id: u8, options: &Options, answer: u8| -> Option<Options> {
        let mut packet = vec![kind, 0, 0, id];
        for (code, value) in options {
            packet.extend(code.to_be_bytes());
            packet.extend((value.len() as u16).to_be_bytes());
            packet.extend(value);
        }
        while Instant::now() < until {
            // None until the link-local address is known to be nobody else's.
            let Some(from) = link_local() else {
                std::thread::sleep(Duration::from_millis(200));
                continue;
            };
            let datagram = datagram(from, &packet);
            sendto(raw.as_raw_fd(), &datagram, &SockaddrIn6::from(servers), MsgFlags::empty()).expect("sent");
            let mut buf = [0; 1500];
            if let Ok(n) = answers.recv(&mut buf)
                && n > 4
                && buf[..4] == [answer, 0, 0, id]
            {
                return Some(read(&buf[4..n]));
            }
        }
        None
    };
    // DUID-LL over Ethernet (11.4); IA_NA with T1 and T2 left to the server (21.4).
    let mut options: Options = [
        (CLIENT_ID, [&[0, 3, 0, 1], mac.as_slice()].concat()),
        (IA_NA, [1u32, 0, 0].map(u32::to_be_bytes).concat()),
        (WANTED, DNS.to_be_bytes().to_vec()),
    ]
    .into();
    let offer = loop {
        // A server without an address for this client says so, in an answer without one.
        let offer = exchange(SOLICIT, 1, &options, ADVERTISE)?;
        if address(&offer).is_some() {
            break offer;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    options.insert(SERVER_ID, offer[&SERVER_ID].clone());
    options.insert(IA_NA, offer[&IA_NA].clone());
    let bound = exchange(REQUEST, 2, &options, REPLY)?;
    let dns = bound.get(&DNS).map(|v| v.chunks_exact(16).filter_map(ip).collect()).unwrap_or_default();
    Some(Lease { address: address(&bound)?, dns })
}

/// The peer's own address on its link, when it is no longer tentative.
fn link_local() -> Option<Ipv6Addr> {
    const TENTATIVE: u8 = 0x40;
    let text = std::fs::read_to_string("/proc/thread-self/net/if_inet6").expect("addresses");
    text.lines().find_map(|l| {
        let f: Vec<&str> = l.split_whitespace().collect();
        let flags = u8::from_str_radix(f[4], 16).expect("flags");
        (f[5] == "eth0" && f[0].starts_with("fe80") && flags & TENTATIVE == 0)
            .then(|| u128::from_str_radix(f[0], 16).expect("an address").into())
    })
}

/// UDP with its checksum over the pseudo-header (RFC 8200, 8.1).
fn datagram(from: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let mut out: Vec<u8> = [CLIENT_PORT, SERVER_PORT, length, 0].into_iter().flat_map(u16::to_be_bytes).collect();
    out.extend(payload);
    let pseudo = [from.octets().as_slice(), &SERVERS.octets(), &u32::from(length).to_be_bytes(), &[0, 0, 0, 17], &out].concat();
    let sum: u32 = pseudo.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(*c.get(1).unwrap_or(&0))).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    out[6..8].copy_from_slice(&(!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes());
    out
}

fn read(mut bytes: &[u8]) -> Options {
    let mut all = Options::new();
    while let [a, b, c, d, rest @ ..] = bytes {
        let value = rest.get(..usize::from(u16::from_be_bytes([*c, *d]))).expect("a whole option");
        all.insert(u16::from_be_bytes([*a, *b]), value.to_vec());
        bytes = &rest[value.len()..];
    }
    all
}

fn address(options: &Options) -> Option<Ipv6Addr> {
    ip(read(options.get(&IA_NA)?.get(12..)?).get(&IA_ADDR)?.get(..16)?)
}

fn ip(bytes: &[u8]) -> Option<Ipv6Addr> {
    Some(<[u8; 16]>::try_from(bytes).ok()?.into())
}
