//! Conditions on frames, and their bytes: OXM fields of OpenFlow 1.4.1 (7.2.2 and 7.2.3), and what Open vSwitch has
//! beside them (ovs-fields(7)): flags of TCP, and connections it tracks.
//!
//! Owns: the numbers and forms of fields. Never: a message.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    read::u16_at,
    wire::{pad8, u16s},
};
use crate::model::order::Order as _;

/// With this bit a VLAN id means a tagged frame.
const TAGGED: u16 = 0x1000;

/// A condition on a frame. In the order in which prerequisites come first, which is the switch's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Match {
    InPort(u32),
    EthDst([u8; 6]),
    /// For one station, not for a group.
    Unicast,
    EthSrc([u8; 6]),
    /// Has a tag, whichever.
    Tagged,
    Vlan(u16),
    EthType(u16),
    /// Six bits.
    IpDscp(u8),
    Ipv4Src(Ipv4Addr),
    Ipv6Src(Ipv6Addr),
    /// The first bits of an address.
    IpSrc(IpAddr, u8),
    IpDst(IpAddr, u8),
    /// `ff02::/16`.
    Ipv6DstLinkMulticast,
    IpProto(u8),
    UdpSrc(u16),
    UdpDst(u16),
    /// A port of TCP, UDP or SCTP under a mask.
    L4Src {
        proto: u8,
        port: u16,
        mask: u16,
    },
    L4Dst {
        proto: u8,
        port: u16,
        mask: u16,
    },
    ArpSpa(Ipv4Addr),
    ArpSha([u8; 6]),
    Icmp6Type(u8),
    NdTarget(Ipv6Addr),
    /// All zero: the option is not there.
    NdSll([u8; 6]),
    NdTll([u8; 6]),
    /// TCP's first packet from whoever begins: SYN without ACK.
    TcpBegins,
    CtZone(u16),
    CtMark(u32),
}

/// `ofp_match` (7.2.2), padded.
pub(super) fn matches(on: &[Match]) -> Vec<u8> {
    let mut sorted: Vec<&Match> = on.iter().collect();
    sorted.order();
    let fields: Vec<u8> = sorted.into_iter().flat_map(field).collect();
    let mut out = u16s(&[1, 4 + fields.len() as u16]);
    out.extend(fields);
    pad8(&mut out);
    out
}

/// A match and what follows it, with the fields in one order: the switch lists them in its own.
pub(super) fn in_order(flow: &[u8]) -> Option<Vec<u8>> {
    let length = usize::from(u16_at(flow, 2)?);
    let (head, mut rest) = flow.get(..length)?.split_at_checked(4)?;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (one, more) = rest.split_at_checked(4 + usize::from(*rest.get(3)?))?;
        fields.push(one);
        rest = more;
    }
    fields.order();
    Some([head, &fields.concat(), flow.get(length..)?].concat())
}

/// One OXM field of the basic class (7.2.3.7), or of Open vSwitch's.
pub(super) fn field(m: &Match) -> Vec<u8> {
    const SYN: u16 = 2;
    const ACK: u16 = 16;
    const BASIC: u16 = 0x8000;
    const NICIRA: u16 = 1;
    const EXPERIMENTER: u16 = 0xffff;
    const ONF: [u16; 2] = [0x4f4e, 0x4600];
    let mut class = BASIC;
    let mut own = |number, mask, value: Vec<u8>| {
        class = NICIRA;
        (number, mask, value)
    };
    let (number, mask, value): (u8, bool, Vec<u8>) = match m {
        Match::InPort(p) => (0, false, p.to_be_bytes().into()),
        Match::EthDst(a) => (3, false, a.to_vec()),
        Match::Unicast => (3, true, vec![0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]),
        Match::EthSrc(a) => (4, false, a.to_vec()),
        Match::Tagged => (6, true, u16s(&[TAGGED, TAGGED])),
        Match::Vlan(v) => (6, false, (TAGGED | v).to_be_bytes().into()),
        Match::EthType(t) => (5, false, t.to_be_bytes().into()),
        Match::IpDscp(d) => (8, false, vec![*d]),
        Match::IpSrc(a, prefix) => network(11, 26, *a, *prefix),
        Match::IpDst(a, prefix) => network(12, 27, *a, *prefix),
        Match::L4Src { proto, port, mask } => l4(*proto, 0, *port, *mask),
        Match::L4Dst { proto, port, mask } => l4(*proto, 1, *port, *mask),
        Match::Ipv4Src(a) => (11, false, a.octets().into()),
        Match::Ipv6Src(a) => (26, false, a.octets().into()),
        Match::Ipv6DstLinkMulticast => {
            let mut v = [0; 32];
            (v[0], v[1], v[16], v[17]) = (0xff, 2, 0xff, 0xff);
            (27, true, v.into())
        }
        Match::IpProto(p) => (10, false, vec![*p]),
        Match::UdpSrc(p) => (15, false, p.to_be_bytes().into()),
        Match::UdpDst(p) => (16, false, p.to_be_bytes().into()),
        Match::ArpSpa(a) => (22, false, a.octets().into()),
        Match::ArpSha(a) => (24, false, a.to_vec()),
        Match::Icmp6Type(t) => (29, false, vec![*t]),
        Match::NdTarget(a) => (31, false, a.octets().into()),
        Match::NdSll(a) => (32, false, a.to_vec()),
        Match::NdTll(a) => (33, false, a.to_vec()),
        // As the switch lists it (ONFOXM_ET_TCP_FLAGS).
        Match::TcpBegins => {
            class = EXPERIMENTER;
            (42, true, u16s(&[ONF[0], ONF[1], SYN, SYN | ACK]))
        }
        Match::CtZone(z) => own(106, false, z.to_be_bytes().into()),
        Match::CtMark(m) => own(107, false, m.to_be_bytes().into()),
    };
    let mut out = class.to_be_bytes().to_vec();
    out.extend([number << 1 | u8::from(mask), value.len() as u8]);
    out.extend(value);
    out
}

/// The fields of IPv4 and IPv6 that hold an address of which so many bits count.
fn network(four: u8, six: u8, a: IpAddr, prefix: u8) -> (u8, bool, Vec<u8>) {
    let (number, bytes) = match a {
        IpAddr::V4(a) => (four, a.octets().to_vec()),
        IpAddr::V6(a) => (six, a.octets().to_vec()),
    };
    let left = |n: usize| usize::from(prefix).saturating_sub(8 * n).min(8);
    let mask: Vec<u8> = (0..bytes.len()).map(|n| (0xff00u16 >> left(n)) as u8).collect();
    let masked: Vec<u8> = bytes.iter().zip(&mask).map(|(b, m)| b & m).collect();
    match mask.iter().all(|m| *m == 0xff) {
        true => (number, false, bytes),
        false => (number, true, [masked, mask].concat()),
    }
}

/// TCP, UDP and SCTP have fields of their own; the destination's follows the source's.
fn l4(proto: u8, which: u8, port: u16, mask: u16) -> (u8, bool, Vec<u8>) {
    let first = match proto {
        17 => 15,
        132 => 17,
        _ => 13,
    };
    match mask {
        u16::MAX => (first + which, false, u16s(&[port])),
        mask => (first + which, true, u16s(&[port & mask, mask])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_is_the_same_in_whatever_order_its_fields_are_listed() {
        let all =
            [Match::InPort(3), Match::EthDst([2, 0, 0, 0, 0, 1]), Match::EthSrc([2, 0, 0, 0, 0, 2]), Match::Vlan(5), Match::EthType(0x800)];
        let listed = |order: [usize; 5]| {
            let fields: Vec<u8> = order.iter().flat_map(|n| field(&all[*n])).collect();
            let mut out = u16s(&[1, 4 + fields.len() as u16]);
            out.extend(fields);
            pad8(&mut out);
            out.extend([9; 8]);
            out
        };
        let ours = in_order(&listed([0, 1, 2, 3, 4])).expect("whole");
        assert_eq!(in_order(&listed([0, 2, 1, 4, 3])), Some(ours.clone()));
        assert!(ours.ends_with(&[9; 8]) && in_order(&ours[..20]).is_none());
    }

    /// The forms that `ovs-ofctl ofp-print` reads as such.
    #[test]
    fn networks_and_ranges_are_values_under_masks() {
        let hex = |m: &Match| data_encoding::HEXLOWER.encode(&field(m));
        let ip = |s: &str| s.parse().expect("address");
        for (m, want) in [
            (Match::IpSrc(ip("10.1.2.3"), 32), "800016040a010203"),
            (Match::IpDst(ip("10.1.2.3"), 20), "800019080a010000fffff000"),
            (Match::IpSrc(ip("10.1.2.3"), 0), "8000170800000000 00000000"),
            (Match::IpDst(ip("fd00::1"), 128), "80003610fd000000000000000000000000000001"),
            (Match::IpSrc(ip("fd00::1"), 9), "80003520fd000000000000000000000000000000ff800000000000000000000000000000"),
            (Match::L4Dst { proto: 6, port: 80, mask: 0xffff }, "80001c020050"),
            (Match::L4Src { proto: 17, port: 1025, mask: 0xfc00 }, "80001f040400fc00"),
            (Match::L4Dst { proto: 132, port: 5, mask: 0xffff }, "800024020005"),
            (Match::EthDst([2, 0, 0, 0, 0, 1]), "80000606020000000001"),
            (Match::Unicast, "8000070c000000000000010000000000"),
            (Match::IpDscp(46), "800010012e"),
            (Match::TcpBegins, "ffff55084f4e460000020012"),
            (Match::CtZone(0x8007), "0001d4028007"),
            (Match::CtMark(6), "0001d60400000006"),
        ] {
            assert_eq!(hex(&m), want.replace(' ', ""), "{m:?}");
        }
    }
}
