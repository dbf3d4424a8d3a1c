//! Messages of rtnetlink(7) as bytes: a fixed head and attributes behind it (linux/rtnetlink.h, if_link.h, if_addr.h).
//!
//! Owns the layout of what Bothy asks and reads, and nothing it does not. Never: a socket.
//!
//! The crate with a type for every attribute of every message is netlink-packet-route; reading one name with it
//! took a fiftieth of the binary. Its core, which frames messages and attributes, is used here.

use std::net::IpAddr;

use netlink_packet_core::{DecodeError, NetlinkDeserializable, NetlinkHeader, NetlinkSerializable, NlasIterator};
use nix::libc;

/// A message: its type, `RTM_*`, and what follows netlink's own header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub kind: u16,
    body: Vec<u8>,
}

/// Bytes of `struct ifinfomsg`, `ifaddrmsg` and `rtmsg`.
pub const LINK_HEAD: usize = 16;
pub const ADDRESS_HEAD: usize = 8;
pub const ROUTE_HEAD: usize = 12;

/// Bytes of an attribute's head: length and kind.
const ATTRIBUTE_HEAD: usize = 4;

impl Message {
    /// About the link of this number, or with 0 about one that an attribute names; `flags` are set to `on`.
    pub fn link(kind: u16, index: u32, flags: u32, on: u32) -> Message {
        let mut body = vec![0; 4];
        body.extend([index, on, flags].into_iter().flat_map(u32::to_ne_bytes));
        Message { kind, body }
    }
    /// About an address of a family and its prefix, on the link of this number.
    pub fn address(kind: u16, family: u8, prefix: u8, flags: u8, index: u32) -> Message {
        let mut body = vec![family, prefix, flags, 0];
        body.extend(index.to_ne_bytes());
        Message { kind, body }
    }
    /// For a list of all routes.
    pub fn route(kind: u16) -> Message {
        Message { kind, body: vec![0; ROUTE_HEAD] }
    }

    /// About a route, by the eight bytes of its head and its flags.
    pub fn route_of(kind: u16, head: [u8; 8], flags: u32) -> Message {
        Message { kind, body: [head.as_slice(), &flags.to_ne_bytes()].concat() }
    }

    #[must_use]
    pub fn with(mut self, attribute: Attribute) -> Message {
        attribute.put(&mut self.body);
        self
    }

    pub fn byte(&self, at: usize) -> u8 {
        self.body.get(at).copied().unwrap_or(0)
    }
    pub fn word(&self, at: usize) -> u32 {
        self.body.get(at..).and_then(word).unwrap_or(0)
    }
    /// The attributes behind a head of this size.
    pub fn attributes(&self, head: usize) -> Vec<Attribute> {
        attributes(self.body.get(head..).unwrap_or_default())
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind
    }
    fn buffer_len(&self) -> usize {
        self.body.len()
    }
    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.body);
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;
    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(Message { kind: header.message_type, body: payload.to_vec() })
    }
}

/// An attribute: its kind without flags, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    pub kind: u16,
    pub value: Vec<u8>,
}

impl Attribute {
    pub fn new(kind: u16, value: impl Into<Vec<u8>>) -> Attribute {
        Attribute { kind, value: value.into() }
    }
    pub fn of_word(kind: u16, value: u32) -> Attribute {
        Attribute::of_words(kind, &[value])
    }
    /// A struct of 32-bit members.
    pub fn of_words(kind: u16, values: &[u32]) -> Attribute {
        Attribute::new(kind, values.iter().copied().flat_map(u32::to_ne_bytes).collect::<Vec<u8>>())
    }
    pub fn of_text(kind: u16, text: &str) -> Attribute {
        Attribute::new(kind, [text.as_bytes(), b"\0"].concat())
    }
    pub fn of_ip(kind: u16, ip: IpAddr) -> Attribute {
        match ip {
            IpAddr::V4(a) => Attribute::new(kind, a.octets()),
            IpAddr::V6(a) => Attribute::new(kind, a.octets()),
        }
    }
    /// Attributes in an attribute.
    pub fn nest(kind: u16, inner: &[Attribute]) -> Attribute {
        let mut value = Vec::new();
        for a in inner {
            a.put(&mut value);
        }
        Attribute { kind: kind | libc::NLA_F_NESTED as u16, value }
    }

    fn put(&self, to: &mut Vec<u8>) {
        let length = ATTRIBUTE_HEAD + self.value.len();
        to.extend(u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
        to.extend(self.kind.to_ne_bytes());
        to.extend(&self.value);
        to.resize(to.len().next_multiple_of(4), 0);
    }

    pub fn inner(&self) -> Vec<Attribute> {
        attributes(&self.value)
    }
    /// The n-th 32-bit member of the value.
    pub fn word(&self, n: usize) -> Option<u32> {
        self.value.get(n * 4..).and_then(word)
    }
    pub fn text(&self) -> Option<String> {
        String::from_utf8(self.value.strip_suffix(b"\0").unwrap_or(&self.value).to_vec()).ok()
    }
    pub fn ip(&self) -> Option<IpAddr> {
        let four = || <[u8; 4]>::try_from(self.value.as_slice()).ok().map(IpAddr::from);
        four().or_else(|| <[u8; 16]>::try_from(self.value.as_slice()).ok().map(IpAddr::from))
    }
}

fn word(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?))
}

/// Up to the first that is cut off.
fn attributes(bytes: &[u8]) -> Vec<Attribute> {
    NlasIterator::new(bytes).map_while(Result::ok).map(|a| Attribute::new(a.kind(), a.value())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_are_written_and_a_cut_one_ends_them() {
        let inner = [Attribute::of_text(3, "eth0"), Attribute::of_word(4, 1500), Attribute::of_ip(1, "fd00::1".parse().expect("ip"))];
        let m = Message::link(16, 7, 1, 1).with(Attribute::nest(18, &inner));
        let read = m.attributes(LINK_HEAD);
        assert_eq!((read.len(), read[0].kind, m.word(4), m.word(8)), (1, 18, 7, 1));
        assert_eq!(read[0].inner(), inner);
        assert_eq!(inner.each_ref().map(|a| (a.text().is_some(), a.word(0).is_some(), a.ip().is_some())).len(), 3);
        assert_eq!((inner[0].text().as_deref(), inner[1].word(0), inner[1].word(1)), (Some("eth0"), Some(1500), None));
        assert_eq!(inner[2].ip(), "fd00::1".parse().ok());
        for cut in 0..m.body.len() {
            let short = Message { kind: 16, body: m.body[..cut].to_vec() };
            assert!(short.attributes(LINK_HEAD).is_empty(), "{cut}");
        }
    }
}
