//! Flows and meters as data, and as the bytes of OpenFlow 1.4.1 (7.2 to 7.3).
//!
//! Owns: the encoder. Never: a socket, a decision.

use sha2::{Digest, Sha256};

use super::oxm::{Match, field, in_order, matches};

pub(super) const VERSION: u8 = 5;
pub(super) const HEADER: usize = 8;

/// Types of messages (7.1).
pub(super) mod kind {
    pub const HELLO: u8 = 0;
    pub const ERROR: u8 = 1;
    pub const ECHO_REQUEST: u8 = 2;
    pub const ECHO_REPLY: u8 = 3;
    pub const SET_CONFIG: u8 = 9;
    pub const FLOW_REMOVED: u8 = 11;
    pub const FLOW_MOD: u8 = 14;
    pub const MULTIPART_REQUEST: u8 = 18;
    pub const MULTIPART_REPLY: u8 = 19;
    pub const BARRIER_REQUEST: u8 = 20;
    pub const BARRIER_REPLY: u8 = 21;
    pub const METER_MOD: u8 = 29;
    pub const BUNDLE_CONTROL: u8 = 33;
    pub const BUNDLE_ADD: u8 = 34;
}

pub(super) mod multipart {
    pub const FLOW: u16 = 1;
    pub const METER_CONFIG: u16 = 10;
    pub const FLOW_MONITOR: u16 = 16;
}

/// Orders of a bundle (7.3.9).
pub(super) mod bundle {
    pub const OPEN: u16 = 0;
    pub const COMMIT: u16 = 4;
    pub const COMMITTED: u16 = 5;
    /// Atomic, and in the order of the messages.
    pub const FLAGS: u16 = 3;
}

const ANY: u32 = 0xffff_ffff;
const NO_BUFFER: u32 = 0xffff_ffff;
const NORMAL: u32 = 0xffff_fffa;
/// The switch tells when such a flow goes.
const SEND_FLOW_REMOVED: u16 = 1;
/// The lead of the cookie of each of Bothy's flows, and the bits it is in.
pub const OURS: (u64, u64) = (0xb0 << 56, 0xff << 56);

/// An interface's `ofport` of the database as OpenFlow 1.1 and later count ports.
pub fn port_number(ofport: u16) -> u32 {
    if ofport >= 0xff00 { 0xffff_0000 | u32::from(ofport) } else { ofport.into() }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action {
    /// Learning switch, with the VLANs of the ports.
    Normal,
    Output(u32),
    PopVlan,
    PushVlan(u16),
    SetEthDst([u8; 6]),
    /// To one of these ports whose link is up, chosen by addresses and ports of the frame, the same for
    /// both directions of a connection. Another set of ports may be another choice for any connection.
    Spread(Vec<u16>),
    /// Looks whether the frame's connection is known in this zone, and goes on with what is found in this table.
    Ask {
        zone: u16,
        table: u8,
    },
    /// The frame's connection is known in this zone from now on, by this mark. The frame goes on.
    Know {
        zone: u16,
        mark: u32,
    },
}

/// One flow. Two flows of one table, priority and match are the same place: the later takes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Flow {
    pub table: u8,
    pub priority: u16,
    pub on: Vec<Match>,
    pub meter: Option<u32>,
    /// None and no `goto`: dropped.
    pub actions: Vec<Action>,
    pub goto: Option<u8>,
}

/// The part of a cookie that follows from what the flow does: 40 bits.
pub(super) fn hash(flow: &[u8]) -> u64 {
    Sha256::digest(flow).iter().take(5).fold(0u64, |h, b| h << 8 | u64::from(*b))
}

impl Flow {
    /// Says whose it is, of which port (0: of none) and what it does: two flows that differ have
    /// different cookies, so the switch's own list shows what is missing.
    pub fn cookie(&self, ofport: u16) -> u64 {
        let mut bytes = vec![self.table];
        bytes.extend(self.priority.to_be_bytes());
        let does = [matches(&self.on), self.instructions()].concat();
        bytes.extend(in_order(&does).unwrap_or(does));
        OURS.0 | u64::from(ofport) << 40 | hash(&bytes)
    }

    fn instructions(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(id) = self.meter {
            out.extend(u16s(&[6, 8]));
            out.extend(id.to_be_bytes());
        }
        if !self.actions.is_empty() {
            let actions: Vec<u8> = self.actions.iter().flat_map(action).collect();
            out.extend(u16s(&[4, 8 + actions.len() as u16, 0, 0]));
            out.extend(actions);
        }
        if let Some(table) = self.goto {
            out.extend(u16s(&[1, 8]));
            out.extend([table, 0, 0, 0]);
        }
        out
    }
}

/// Drops what comes in above a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meter {
    /// Kilobits a second.
    pub rate: u32,
    /// Kilobits that may come at once.
    pub burst: u32,
}

/// A change within a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Add {
        flow: Flow,
        cookie: u64,
    },
    /// All flows of this cookie.
    Remove {
        cookie: u64,
    },
}

pub(super) fn u16s(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).collect()
}

pub(super) fn pad8(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(8), 0);
}

pub(super) fn message(kind: u8, xid: u32, body: &[u8]) -> Vec<u8> {
    let mut m = vec![VERSION, kind];
    m.extend(((HEADER + body.len()) as u16).to_be_bytes());
    m.extend(xid.to_be_bytes());
    m.extend_from_slice(body);
    m
}

/// Says that this end speaks 1.4 and nothing else.
pub(super) fn hello(xid: u32) -> Vec<u8> {
    let mut body = u16s(&[1, 8]);
    body.extend((1u32 << VERSION).to_be_bytes());
    message(kind::HELLO, xid, &body)
}

/// A management connection is told of flows that go only once it asked for a part of packets too.
pub(super) fn ask_for_news(xid: u32) -> Vec<u8> {
    message(kind::SET_CONFIG, xid, &u16s(&[0, 128]))
}

/// Asks to be told of flows that others add or change (7.3.5.17); of what comes by this connection, in short.
pub(super) fn watch_flows(xid: u32) -> Vec<u8> {
    const ADD: u16 = 2;
    const MODIFY: u16 = 8;
    let mut body = u16s(&[multipart::FLOW_MONITOR, 0, 0, 0]);
    for word in [1, ANY, ANY] {
        body.extend(word.to_be_bytes());
    }
    body.extend(u16s(&[ADD | MODIFY]));
    // All tables; a new monitor.
    body.extend([0xff, 0]);
    body.extend(matches(&[]));
    message(kind::MULTIPART_REQUEST, xid, &body)
}

/// Bothy's flows of all tables.
pub(super) fn list_flows(xid: u32) -> Vec<u8> {
    let mut body = u16s(&[multipart::FLOW, 0, 0, 0]);
    body.extend([0xff, 0, 0, 0]);
    body.extend(ANY.to_be_bytes());
    body.extend(ANY.to_be_bytes());
    body.extend([0; 4]);
    body.extend(OURS.0.to_be_bytes());
    body.extend(OURS.1.to_be_bytes());
    body.extend(matches(&[]));
    message(kind::MULTIPART_REQUEST, xid, &body)
}

pub(super) fn list_meters(xid: u32) -> Vec<u8> {
    let mut body = u16s(&[multipart::METER_CONFIG, 0, 0, 0]);
    body.extend(ANY.to_be_bytes());
    body.extend([0; 4]);
    message(kind::MULTIPART_REQUEST, xid, &body)
}

#[derive(Clone, Copy)]
pub(super) enum MeterOrder {
    Add = 0,
    Modify = 1,
    Delete = 2,
}

pub(super) fn meter_mod(xid: u32, order: MeterOrder, id: u32, m: Option<Meter>) -> Vec<u8> {
    // Rates in kilobits, and the burst is stated.
    let flags = if m.is_some() { 1 | 4 } else { 0 };
    let mut body = u16s(&[order as u16, flags]);
    body.extend(id.to_be_bytes());
    if let Some(m) = m {
        body.extend(u16s(&[1, 16]));
        body.extend(m.rate.to_be_bytes());
        body.extend(m.burst.to_be_bytes());
        body.extend([0; 4]);
    }
    message(kind::METER_MOD, xid, &body)
}

pub(super) fn bundle_control(xid: u32, id: u32, order: u16) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend(u16s(&[order, bundle::FLAGS]));
    message(kind::BUNDLE_CONTROL, xid, &body)
}

/// The message in it has the number of the one around it.
pub(super) fn bundle_add(xid: u32, id: u32, change: &Change) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend(u16s(&[0, bundle::FLAGS]));
    body.extend(flow_mod(xid, change));
    message(kind::BUNDLE_ADD, xid, &body)
}

pub(super) fn flow_mod(xid: u32, change: &Change) -> Vec<u8> {
    const ADD: u8 = 0;
    const DELETE: u8 = 3;
    const ALL_TABLES: u8 = 0xff;
    const ANY_PRIORITY: u16 = 0x8000;
    let mut body = Vec::new();
    let (cookie, mask, table, command, priority, flags) = match change {
        Change::Add { flow, cookie } => (*cookie, 0, flow.table, ADD, flow.priority, SEND_FLOW_REMOVED),
        Change::Remove { cookie } => (*cookie, u64::MAX, ALL_TABLES, DELETE, ANY_PRIORITY, 0),
    };
    body.extend(cookie.to_be_bytes());
    body.extend(mask.to_be_bytes());
    body.extend([table, command, 0, 0, 0, 0]);
    body.extend(priority.to_be_bytes());
    for word in [NO_BUFFER, ANY, ANY] {
        body.extend(word.to_be_bytes());
    }
    body.extend(u16s(&[flags, 0]));
    match change {
        Change::Add { flow, .. } => {
            body.extend(matches(&flow.on));
            body.extend(flow.instructions());
        }
        Change::Remove { .. } => body.extend(matches(&[])),
    }
    message(kind::FLOW_MOD, xid, &body)
}

fn action(a: &Action) -> Vec<u8> {
    let output = |port: u32| {
        let mut out = u16s(&[0, 16]);
        out.extend(port.to_be_bytes());
        out.extend([0; 8]);
        out
    };
    match a {
        Action::Normal => output(NORMAL),
        Action::Output(port) => output(*port),
        Action::PopVlan => u16s(&[18, 8, 0, 0]),
        Action::PushVlan(vlan) => {
            let mut out = u16s(&[17, 8, 0x8100, 0]);
            out.extend(set_field(&Match::Vlan(*vlan)));
            out
        }
        Action::SetEthDst(mac) => set_field(&Match::EthDst(*mac)),
        Action::Spread(ports) => spread(ports),
        Action::Ask { zone, table } => track(*zone, *table, None),
        Action::Know { zone, mark } => track(*zone, NO_TABLE, Some(*mark)),
    }
}

fn set_field(to: &Match) -> Vec<u8> {
    let mut out = u16s(&[25, 16]);
    out.extend(field(to));
    pad8(&mut out);
    out
}

const NICIRA: u32 = 0x2320;
const NO_TABLE: u8 = 0xff;

/// `NXAST_CT`, an extension of Open vSwitch (ovs-actions(7), `ct`).
fn track(zone: u16, table: u8, commit: Option<u32>) -> Vec<u8> {
    const SUBTYPE: u16 = 35;
    const COMMIT: u16 = 1;
    let within = commit.map(|mark| set_field(&Match::CtMark(mark))).unwrap_or_default();
    let mut out = u16s(&[0xffff, 24 + within.len() as u16]);
    out.extend(NICIRA.to_be_bytes());
    out.extend(u16s(&[SUBTYPE, commit.map_or(0, |_| COMMIT), 0, 0, zone]));
    out.extend([table, 0, 0, 0, 0, 0]);
    out.extend(within);
    out
}

/// `NXAST_BUNDLE`, an extension of Open vSwitch (ovs-actions(7), `bundle`): the highest random weight
/// among the ports that are up, by addresses and ports whichever way round.
fn spread(ports: &[u16]) -> Vec<u8> {
    const SUBTYPE: u16 = 12;
    const HIGHEST_RANDOM_WEIGHT: u16 = 1;
    const SYMMETRIC_L3_L4_UDP: u16 = 3;
    const IN_PORT: u32 = 2;
    let length = (32 + 2 * ports.len()).next_multiple_of(8);
    let mut out = u16s(&[0xffff, length as u16]);
    out.extend(NICIRA.to_be_bytes());
    out.extend(u16s(&[SUBTYPE, HIGHEST_RANDOM_WEIGHT, SYMMETRIC_L3_L4_UDP, 0]));
    out.extend(IN_PORT.to_be_bytes());
    out.extend(u16s(&[ports.len() as u16, 0]));
    out.extend([0; 8]);
    out.extend(u16s(ports));
    pad8(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];
    const OVS: u64 = OURS.0;

    fn add(n: u64, table: u8, priority: u16, on: &[Match], actions: &[Action]) -> Change {
        let flow = Flow { table, priority, on: on.to_vec(), meter: None, actions: actions.to_vec(), goto: None };
        Change::Add { flow, cookie: OVS | n }
    }
    fn hex(bytes: &[u8]) -> String {
        data_encoding::HEXLOWER.encode(bytes)
    }

    /// Recorded from `ovs-ofctl -O OpenFlow14` 3.1.0 on its way to a switch, with the same flows as text; `steer`,
    /// `spread`, `asked` and `begins` are as its `ofp-print` reads them.
    #[test]
    fn messages_are_those_that_open_vswitch_sends_itself() {
        use Action::*;
        use Match::*;
        let v6 = |s: &str| s.parse().expect("IPv6");
        let three = InPort(3);
        let mut na = add(
            2,
            0,
            35,
            &[NdTll(MAC), NdTarget(v6("fd00::1")), EthType(0x86dd), IpProto(58), Icmp6Type(136), EthSrc(MAC), three.clone()],
            &[],
        );
        if let Change::Add { flow, .. } = &mut na {
            flow.goto = Some(1);
        }
        let mut metered = add(3, 1, 10, &[InPort(port_number(0xfffe))], &[Normal]);
        if let Change::Add { flow, .. } = &mut metered {
            flow.meter = Some(4099);
        }
        let arp = [three.clone(), EthSrc(MAC), EthType(0x0806), ArpSpa(Ipv4Addr::new(10, 0, 0, 1)), ArpSha(MAC)];
        let dhcp = [three.clone(), EthType(0x0800), Ipv4Src(Ipv4Addr::UNSPECIFIED), IpProto(17), UdpSrc(68), UdpDst(67)];
        let mld = [three.clone(), EthType(0x86dd), Ipv6Src(Ipv6Addr::UNSPECIFIED), Ipv6DstLinkMulticast];
        for (what, change, want) in [
            (
                "drop",
                add(1, 0, 1, &[], &[]),
                "050e003800000006b00000000000000100000000000000000000000000000001ffffffffffffffffffffffff000100000001000400000000",
            ),
            (
                "metered",
                metered,
                "050e006000000006b0000000000000030000000000000000010000000000000affffffffffffffffffffffff000100000001000c80000004fffffffe000000000006000800001003000400180000000000000010fffffffa0000000000000000",
            ),
            (
                "arp",
                add(4, 0, 30, &arp, &[Normal]),
                "050e007800000006b0000000000000040000000000000000000000000000001effffffffffffffffffffffff000100000001002e80000004000000038000080652540000000180000a02080680002c040a000001800030065254000000010000000400180000000000000010fffffffa0000000000000000",
            ),
            (
                "dhcp",
                add(5, 0, 30, &dhcp, &[Normal]),
                "050e007800000006b0000000000000050000000000000000000000000000001effffffffffffffffffffffff000100000001002b800000040000000380000a0208008000160400000000800014011180001e0200448000200200430000000000000400180000000000000010fffffffa0000000000000000",
            ),
            (
                "strip",
                add(6, 0, 40, &[three.clone(), Vlan(5)], &[PopVlan, Output(4)]),
                "050e006800000006b00000000000000600000000000000000000000000000028ffffffffffffffffffffffff0001000000010012800000040000000380000c0210050000000000000004002000000000001200080000000000000010000000040000000000000000",
            ),
            (
                "push",
                add(7, 0, 40, &[InPort(4)], &[PushVlan(5), Output(3)]),
                "050e007000000006b00000000000000700000000000000000000000000000028ffffffffffffffffffffffff000100000001000c800000040000000400000000000400300000000000110008810000000019001080000c02100500000000000000000010000000030000000000000000",
            ),
            (
                "tagged",
                add(8, 0, 40, &[three, Tagged], &[Normal]),
                "050e006000000006b00000000000000800000000000000000000000000000028ffffffffffffffffffffffff0001000000010014800000040000000380000d041000100000000000000400180000000000000010fffffffa0000000000000000",
            ),
            (
                "mld",
                add(9, 0, 40, &mld, &[Normal]),
                "050e009800000006b00000000000000900000000000000000000000000000028ffffffffffffffffffffffff000100000001004a800000040000000380000a0286dd800034100000000000000000000000000000000080003720ff020000000000000000000000000000ffff0000000000000000000000000000000000000000000400180000000000000010fffffffa0000000000000000",
            ),
            (
                "steer",
                add(
                    10,
                    2,
                    2175,
                    &[
                        InPort(3),
                        EthDst(MAC),
                        EthType(0x0800),
                        IpProto(6),
                        L4Dst { proto: 6, port: 80, mask: 0xfff0 },
                        IpSrc("10.0.0.0".parse().expect("IPv4"), 8),
                    ],
                    &[SetEthDst(MAC), Output(4)],
                ),
                "050e009000000006b00000000000000a0000000000000000020000000000087fffffffffffffffffffffffff000100000001003580000004000000038000060652540000000180000a020800800017080a000000ff000000800014010680001d040050fff000000000040028000000000019001080000606525400000001000000000010000000040000000000000000",
            ),
            (
                "spread",
                add(11, 2, 2003, &[InPort(3), Unicast], &[Spread(vec![4, 5, 6])]),
                "050e008000000006b00000000000000b000000000000000002000000000007d3ffffffffffffffffffffffff000100000001001c80000004000000038000070c000000000000010000000000000000000004003000000000ffff002800002320000c000100030000000000020003000000000000000000000004000500060000",
            ),
            (
                "asked",
                add(12, 2, 2001, &[InPort(3), EthType(0x0800), IpProto(6)], &[Ask { zone: 0x8007, table: 3 }]),
                "050e006800000006b00000000000000c000000000000000002000000000007d1ffffffffffffffffffffffff0001000000010017800000040000000380000a0208008000140106000004002000000000ffff00180000232000230000000000008007030000000000",
            ),
            (
                "begins",
                add(
                    13,
                    3,
                    5002,
                    &[CtZone(0x8007), TcpBegins, InPort(3), EthType(0x0800), IpProto(6)],
                    &[Know { zone: 0x8007, mark: 7 }, Output(4)],
                ),
                "050e00a000000006b00000000000000d0000000000000000030000000000138affffffffffffffffffffffff0001000000010029800000040000000380000a0208008000140106ffff55084f4e4600000200120001d4028007000000000000000004004000000000ffff00280000232000230001000000008007ff0000000000001900100001d604000000070000000000000010000000040000000000000000",
            ),
        ] {
            assert_eq!(hex(&flow_mod(6, &change)), want, "{what}");
        }
        let in_bundle = "05220090000000060000000000000003050e008000000006b00000000000000200000000000000000000000000000023ffffffffffffffffffffffff000100000001004480000004000000038000080652540000000180000a0286dd800014013a80003a018880003e10fd00000000000000000000000000000180004206525400000001000000000001000801000000";
        assert_eq!(hex(&bundle_add(6, 0, &na)), in_bundle);
        assert_eq!(hex(&bundle_control(7, 0, bundle::OPEN)), "05210010000000070000000000000003");
        assert_eq!(hex(&bundle_control(9, 0, bundle::COMMIT)), "05210010000000090000000000040003");
        let meter = Meter { rate: 1000, burst: 100 };
        assert_eq!(
            hex(&meter_mod(2, MeterOrder::Add, 4099, Some(meter))),
            "051d002000000002000000050000100300010010000003e80000006400000000"
        );
        assert_eq!(hex(&meter_mod(2, MeterOrder::Delete, 4099, None)), "051d0010000000020002000000001003");
        assert_eq!(
            hex(&flow_mod(6, &Change::Remove { cookie: OVS | 3 })),
            "050e003800000006b000000000000003ffffffffffffffffff03000000008000ffffffffffffffffffffffff000000000001000400000000"
        );
    }

    #[test]
    fn a_cookie_tells_flows_apart_and_not_by_the_order_they_were_written_in() {
        let flow = Flow {
            table: 0,
            priority: 9,
            on: vec![Match::InPort(3), Match::EthSrc(MAC)],
            meter: None,
            actions: vec![Action::Normal],
            goto: None,
        };
        let turned = Flow { on: vec![Match::EthSrc(MAC), Match::InPort(3)], ..flow.clone() };
        assert_eq!(flow.cookie(3), turned.cookie(3));
        for other in [
            Flow { priority: 8, ..flow.clone() },
            Flow { meter: Some(1), ..flow.clone() },
            Flow { goto: Some(1), actions: vec![], ..flow.clone() },
        ] {
            assert_ne!(other.cookie(3), flow.cookie(3), "{other:?}");
        }
        assert_ne!(flow.cookie(4), flow.cookie(3));
        assert_eq!(flow.cookie(3) & OURS.1, OURS.0);
    }
}
