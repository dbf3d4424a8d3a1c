//! Links, addresses and routes by netlink (rtnetlink(7)), synchronously.
//!
//! Owns: one request and its answer at a time on a socket of the calling thread's network
//! namespace. Never: decides what a link should be like; reads /sys/class/net, which shows the
//! namespace of whoever mounted it.

mod vf;
mod wire;

use std::{
    net::IpAddr,
    os::fd::{AsRawFd, OwnedFd},
};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use nix::{
    errno::Errno,
    libc,
    sys::{
        socket::{
            AddressFamily as Family, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket, sockopt,
        },
        time::{TimeVal, TimeValLike},
    },
};

use self::wire::{ADDRESS_HEAD, Attribute, LINK_HEAD, Message, ROUTE_HEAD};
use crate::hostnet::METRIC;
use crate::model::{
    error::{Fault, Result},
    id::IfName,
    net::Cidr,
    uplink::{DefaultRoute, Family as IpFamily},
};

/// The kernel answers at once or not at all.
const ANSWER_LIMIT_S: i64 = 2;
/// Larger than any message of a dump (the kernel fills at most 32 KiB).
const BUFFER: usize = 64 << 10;
/// Something changed while the kernel listed it: the list may lack what was there all along.
const TORN: Errno = Errno::ESTALE;
const DUMP_TRIES: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub mtu: u32,
    /// Set up by an administrator; says nothing about a carrier.
    pub up: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    pub index: u32,
    pub cidr: Cidr,
    /// Duplicate detection failed, or is not over.
    pub usable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// `None`: the default route.
    pub to: Option<Cidr>,
    pub via: Option<IpAddr>,
    pub index: Option<u32>,
}

/// A netlink socket. Cheap; opened per use, so that it belongs to the namespace of its user.
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    pub fn open() -> Result<Self> {
        let open = || {
            let s = socket(Family::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
            setsockopt(&s, sockopt::ReceiveTimeout, &TimeVal::seconds(ANSWER_LIMIT_S))?;
            Ok::<_, Errno>(s)
        };
        let socket = open().map_err(|e| Fault::transient(format!("no netlink socket: {e}")))?;
        Ok(Netlink { socket, sequence: 0 })
    }

    pub fn links(&mut self) -> Result<Vec<Link>> {
        let answers = self.dump(&Message::link(libc::RTM_GETLINK, 0, 0, 0), "list links")?;
        Ok(answers.iter().filter_map(read_link).collect())
    }

    /// The link of this name, if there is one.
    pub fn link(&mut self, name: &IfName) -> Result<Option<Link>> {
        let m = Message::link(libc::RTM_GETLINK, 0, 0, 0).with(Attribute::of_text(libc::IFLA_IFNAME, name.as_str()));
        match self.ask(&m, NLM_F_REQUEST) {
            Ok(answers) => Ok(answers.iter().find_map(read_link)),
            Err(Errno::ENODEV) => Ok(None),
            Err(e) => Err(refused(&format!("look up interface {name}"), e)),
        }
    }

    /// Sets the link up, and its MTU where one is given.
    pub fn set_up(&mut self, link: &Link, mtu: Option<u32>) -> Result<()> {
        let mut m = Message::link(libc::RTM_SETLINK, link.index, UP, UP);
        let what = match mtu {
            Some(n) => {
                m = m.with(Attribute::of_word(libc::IFLA_MTU, n));
                format!("set interface {} up with MTU {n}", link.name)
            }
            None => format!("set interface {} up", link.name),
        };
        self.tell(&m, 0, &what)
    }

    pub fn addresses(&mut self) -> Result<Vec<Address>> {
        let answers = self.dump(&Message::address(libc::RTM_GETADDR, 0, 0, 0, 0), "list addresses")?;
        Ok(answers.iter().filter_map(read_address).collect())
    }

    /// Adds an address; one that is there already is success. IPv6 addresses are planned, so no
    /// time is spent on looking for duplicates.
    pub fn add_address(&mut self, link: &Link, cidr: Cidr) -> Result<()> {
        let flags = if cidr.is_ipv4() { 0 } else { libc::IFA_F_NODAD };
        let m = address_message(libc::RTM_NEWADDR, link.index, cidr, flags);
        let what = format!("add address {cidr} to interface {}", link.name);
        self.tell(&m, NLM_F_CREATE | NLM_F_REPLACE, &what)
    }

    /// Removes an address; one that is gone already is success.
    pub fn remove_address(&mut self, link: &Link, cidr: Cidr) -> Result<()> {
        match self.ask(&address_message(libc::RTM_DELADDR, link.index, cidr, 0), NLM_F_REQUEST | NLM_F_ACK) {
            Ok(_) | Err(Errno::EADDRNOTAVAIL) => Ok(()),
            Err(e) => Err(refused(&format!("remove address {cidr} from interface {}", link.name), e)),
        }
    }

    /// The default routes of the main table that lead to one interface.
    pub fn default_routes(&mut self) -> Result<Vec<DefaultRoute>> {
        let answers = self.dump(&Message::route(libc::RTM_GETROUTE), "list routes")?;
        Ok(answers.iter().filter_map(read_default).collect())
    }

    /// Adds a default route in place of another of its metric.
    pub fn add_default(&mut self, r: &DefaultRoute) -> Result<()> {
        let what = format!("add a default route of {} by interface {}", r.family.word(), r.index);
        self.tell(&default_message(libc::RTM_NEWROUTE, r), NLM_F_CREATE | NLM_F_REPLACE, &what)
    }

    /// Removes a default route; one that is gone already is success.
    pub fn remove_default(&mut self, r: &DefaultRoute) -> Result<()> {
        match self.ask(&default_message(libc::RTM_DELROUTE, r), NLM_F_REQUEST | NLM_F_ACK) {
            Ok(_) | Err(Errno::ESRCH) => Ok(()),
            Err(e) => Err(refused(&format!("remove the default route of {} by interface {}", r.family.word(), r.index), e)),
        }
    }

    /// The routes of the main table.
    pub fn routes(&mut self) -> Result<Vec<Route>> {
        let answers = self.dump(&Message::route(libc::RTM_GETROUTE), "list routes")?;
        Ok(answers.iter().filter_map(read_route).collect())
    }

    fn tell(&mut self, m: &Message, flags: u16, what: &str) -> Result<()> {
        self.ask(m, NLM_F_REQUEST | NLM_F_ACK | flags).map(|_| ()).map_err(|e| refused(what, e))
    }

    fn dump(&mut self, m: &Message, what: &str) -> Result<Vec<Message>> {
        for _ in 0..DUMP_TRIES {
            match self.ask(m, NLM_F_REQUEST | NLM_F_DUMP) {
                Err(TORN) => {}
                done => return done.map_err(|e| refused(what, e)),
            }
        }
        Err(Fault::transient(format!("{what}: they change faster than they can be listed")))
    }

    /// One request; collects messages until its acknowledgement, its error or the dump's end.
    fn ask(&mut self, m: &Message, flags: u16) -> std::result::Result<Vec<Message>, Errno> {
        self.sequence += 1;
        let mut packet = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::InnerMessage(m.clone()));
        packet.header.flags = flags;
        packet.header.sequence_number = self.sequence;
        packet.finalize();
        let mut out = vec![0u8; packet.buffer_len()];
        packet.serialize(&mut out);
        sendto(self.socket.as_raw_fd(), &out, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        let single = flags & (NLM_F_ACK | NLM_F_DUMP) == 0;
        let mut torn = false;
        let mut answers = Vec::new();
        let mut buf = vec![0u8; BUFFER];
        loop {
            let n = match recv(self.socket.as_raw_fd(), &mut buf, MsgFlags::empty()) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            let mut rest = buf.get(..n).unwrap_or_default();
            while rest.len() >= 16 {
                let m = NetlinkMessage::<Message>::deserialize(rest).map_err(|_| Errno::EBADMSG)?;
                let step = (m.header.length as usize).next_multiple_of(4);
                rest = rest.get(step.max(16)..).unwrap_or_default();
                if m.header.sequence_number != self.sequence {
                    continue;
                }
                torn |= m.header.flags & NLM_F_DUMP_INTR != 0;
                match m.payload {
                    NetlinkPayload::InnerMessage(inner) => {
                        answers.push(inner);
                        if single {
                            return Ok(answers);
                        }
                    }
                    NetlinkPayload::Error(e) => return e.code.map_or(Ok(answers), |code| Err(Errno::from_raw(code.get().abs()))),
                    NetlinkPayload::Done(_) => return if torn { Err(TORN) } else { Ok(answers) },
                    _ => {}
                }
            }
        }
    }
}

fn refused(what: &str, e: Errno) -> Fault {
    match e {
        Errno::EPERM | Errno::EACCES => Fault::forbidden(format!("{what}: not permitted (bothy needs CAP_NET_ADMIN)")),
        Errno::EINVAL | Errno::ERANGE => Fault::invalid(format!("{what}: the interface does not take this value ({e})")),
        e => Fault::transient(format!("{what}: {}", e.desc())),
    }
}

/// `IFF_UP`, as the link's head has it.
const UP: u32 = libc::IFF_UP as u32;

fn read_link(m: &Message) -> Option<Link> {
    if m.kind != libc::RTM_NEWLINK {
        return None;
    }
    let (mut name, mut mtu) = (None, 0);
    for a in m.attributes(LINK_HEAD) {
        match a.kind {
            libc::IFLA_IFNAME => name = a.text(),
            libc::IFLA_MTU => mtu = a.word(0)?,
            _ => {}
        }
    }
    Some(Link { index: m.word(4), name: name?, mtu, up: m.word(8) & UP != 0 })
}

fn address_message(kind: u16, index: u32, cidr: Cidr, flags: u32) -> Message {
    let family = if cidr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // Both are numbers of one byte.
    let m = Message::address(kind, family as u8, cidr.prefix(), flags as u8, index);
    m.with(Attribute::of_ip(libc::IFA_LOCAL, cidr.addr())).with(Attribute::of_ip(libc::IFA_ADDRESS, cidr.addr()))
}

fn read_address(m: &Message) -> Option<Address> {
    if m.kind != libc::RTM_NEWADDR {
        return None;
    }
    let (mut local, mut address, mut flags) = (None, None, u32::from(m.byte(2)));
    for a in m.attributes(ADDRESS_HEAD) {
        match a.kind {
            // With a peer (point to point), `Local` is ours and `Address` the other's.
            libc::IFA_LOCAL => local = a.ip(),
            libc::IFA_ADDRESS => address = a.ip(),
            libc::IFA_FLAGS => flags = a.word(0)?,
            _ => {}
        }
    }
    let cidr = Cidr::new(local.or(address)?, m.byte(1)).ok()?;
    Some(Address { index: m.word(4), cidr, usable: flags & (libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED) == 0 })
}

fn read_route(m: &Message) -> Option<Route> {
    if m.kind != libc::RTM_NEWROUTE || m.byte(4) != libc::RT_TABLE_MAIN {
        return None;
    }
    let mut route = Route { to: None, via: None, index: None };
    for a in m.attributes(ROUTE_HEAD) {
        match a.kind {
            libc::RTA_DST => route.to = Cidr::new(a.ip()?, m.byte(1)).ok(),
            libc::RTA_GATEWAY => route.via = a.ip(),
            libc::RTA_OIF => route.index = a.word(0),
            _ => {}
        }
    }
    Some(route)
}

/// Who made a route is told by a number (rtnetlink(7), `rtm_protocol`); the kernel leaves those from 5 up to whoever takes them.
const OURS: u8 = 98;
/// `RTNH_F_ONLINK` of linux/rtnetlink.h.
const ONLINK: u32 = 4;

fn default_message(kind: u16, r: &DefaultRoute) -> Message {
    let family = match r.family {
        IpFamily::V4 => libc::AF_INET,
        IpFamily::V6 => libc::AF_INET6,
    };
    let scope = if r.via.is_some() || r.family == IpFamily::V6 { libc::RT_SCOPE_UNIVERSE } else { libc::RT_SCOPE_LINK };
    let flags = if r.onlink { ONLINK } else { 0 };
    let table = libc::RT_TABLE_MAIN;
    // The family is a number of one byte.
    let head = [family as u8, 0, 0, 0, table, OURS, scope, libc::RTN_UNICAST];
    let mut m = Message::route_of(kind, head, flags)
        .with(Attribute::of_word(libc::RTA_OIF, r.index))
        .with(Attribute::of_word(libc::RTA_PRIORITY, r.metric));
    for (attribute, ip) in [(libc::RTA_GATEWAY, r.via), (libc::RTA_PREFSRC, r.source)] {
        if let Some(ip) = ip {
            m = m.with(Attribute::of_ip(attribute, ip));
        }
    }
    m
}

fn read_default(m: &Message) -> Option<DefaultRoute> {
    // Of the head: family, prefix, ..., table, protocol, scope, type; then flags.
    if m.kind != libc::RTM_NEWROUTE || m.byte(1) != 0 || m.byte(4) != libc::RT_TABLE_MAIN || m.byte(7) != libc::RTN_UNICAST {
        return None;
    }
    let family = if m.byte(0) == libc::AF_INET as u8 { IpFamily::V4 } else { IpFamily::V6 };
    let (mut via, mut source, mut index, mut metric) = (None, None, None, 0);
    for a in m.attributes(ROUTE_HEAD) {
        match a.kind {
            libc::RTA_GATEWAY => via = a.ip(),
            libc::RTA_PREFSRC => source = a.ip(),
            libc::RTA_OIF => index = a.word(0),
            libc::RTA_PRIORITY => metric = a.word(0)?,
            _ => {}
        }
    }
    let onlink = m.word(8) & ONLINK != 0;
    Some(DefaultRoute { family, index: index?, via, source, metric, onlink, ours: m.byte(5) == OURS && metric == METRIC })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_link_is_found_with_its_address() {
        let mut n = Netlink::open().expect("socket");
        let lo = n.link(&"lo".parse().expect("name")).expect("asked").expect("there is always one");
        assert!(n.links().expect("links").contains(&lo));
        assert_eq!(n.link(&"no-such-link".parse().expect("name")).expect("asked"), None);
    }

    #[test]
    fn refusals_say_what_was_tried() {
        let mut n = Netlink::open().expect("socket");
        let gone = Link { index: 0x7fff_fff0, name: "gone".into(), mtu: 0, up: false };
        let e = n.set_up(&gone, Some(1400)).expect_err("no such link");
        assert!(e.text().starts_with("set interface gone up with MTU 1400: "), "{e}");
    }
}
