//! What the switch says, from bytes.
//!
//! Owns: where a message ends, and the reading of the few that count. Never: a socket.

use super::{
    oxm::in_order,
    wire::{HEADER, Meter, hash},
};
use crate::model::error::{Fault, Result};

/// One message without its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub version: u8,
    pub kind: u8,
    pub xid: u32,
    pub body: Vec<u8>,
}

/// Cuts a stream of bytes into messages.
#[derive(Default)]
pub(super) struct Framer(Vec<u8>);

impl Framer {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub fn next(&mut self) -> Result<Option<Frame>> {
        let Some(head) = self.0.get(..HEADER) else { return Ok(None) };
        let length = usize::from(u16_at(head, 2).unwrap_or_default());
        if length < HEADER {
            return Err(odd("a message shorter than its header"));
        }
        let (version, kind, xid) = (head[0], head[1], u32_at(head, 4).unwrap_or_default());
        if self.0.len() < length {
            return Ok(None);
        }
        let rest = self.0.split_off(length);
        let body = std::mem::replace(&mut self.0, rest).split_off(HEADER);
        Ok(Some(Frame { version, kind, xid, body }))
    }
}

/// A flow of Bothy's as the switch has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowSeen {
    pub cookie: u64,
    pub table: u8,
    pub packets: u64,
    pub bytes: u64,
    /// It does what its cookie says.
    pub sound: bool,
}

/// The part of a multipart reply: its type, whether more follows, and the entries.
pub(super) fn part(body: &[u8]) -> Result<(u16, bool, &[u8])> {
    let (Some(kind), Some(flags), Some(rest)) = (u16_at(body, 0), u16_at(body, 2), body.get(8..)) else {
        return Err(odd("half an answer"));
    };
    Ok((kind, flags & 1 == 1, rest))
}

/// `ofp_flow_stats` (7.3.5.2), one after the other.
pub(super) fn flows(mut rest: &[u8]) -> Result<Vec<FlowSeen>> {
    let mut out = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(u16_at(rest, 0).unwrap_or_default());
        let (Some(table), Some(cookie), true) = (rest.get(2).copied(), u64_at(rest, 24), length >= 48) else {
            return Err(odd("half a flow"));
        };
        let (Some(packets), Some(bytes)) = (u64_at(rest, 32), u64_at(rest, 40)) else { return Err(odd("half a flow")) };
        let sound = rest.get(..length).and_then(written).is_some_and(|flow| hash(&flow) == cookie & 0xff_ffff_ffff);
        out.push(FlowSeen { cookie, table, packets, bytes, sound });
        rest = rest.get(length..).ok_or_else(|| odd("half a flow"))?;
    }
    Ok(out)
}

/// What the cookie of a flow follows from (`Flow::cookie`), of one as it is listed.
fn written(flow: &[u8]) -> Option<Vec<u8>> {
    Some([flow.get(2..3)?, flow.get(12..14)?, &in_order(flow.get(48..)?)?].concat())
}

/// What happened to a flow, by somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Update {
    Added(u64),
    Modified(u64),
}

/// `ofp_flow_update` (7.3.5.17.2), one after the other.
pub(super) fn updates(mut rest: &[u8]) -> Result<Vec<Update>> {
    const ADDED: u16 = 1;
    const MODIFIED: u16 = 3;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(u16_at(rest, 0).unwrap_or_default());
        let (Some(event), true) = (u16_at(rest, 2), length >= 8) else {
            return Err(odd("half an update of a flow"));
        };
        match (event, u64_at(rest, 16)) {
            (ADDED, Some(cookie)) => out.push(Update::Added(cookie)),
            (MODIFIED, Some(cookie)) => out.push(Update::Modified(cookie)),
            // One's own, those that go, and pauses.
            (_, Some(_) | None) => {}
        }
        rest = rest.get(length..).ok_or_else(|| odd("half an update of a flow"))?;
    }
    Ok(out)
}

/// `ofp_meter_config` (7.3.5.13). Of a meter that is not as Bothy makes them, no rate is told.
pub(super) fn meters(mut rest: &[u8]) -> Result<Vec<(u32, Option<Meter>)>> {
    let mut out = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(u16_at(rest, 0).unwrap_or_default());
        let (Some(flags), Some(id), true) = (u16_at(rest, 2), u32_at(rest, 4), length >= 8) else {
            return Err(odd("half a meter"));
        };
        let meter = match (u16_at(rest, 8), u32_at(rest, 12), u32_at(rest, 16)) {
            (Some(1), Some(rate), Some(burst)) if flags & 7 == 5 && length == 24 => Some(Meter { rate, burst }),
            _ => None,
        };
        out.push((id, meter));
        rest = rest.get(length..).ok_or_else(|| odd("half a meter"))?;
    }
    Ok(out)
}

/// Type and code of an error, in words where Bothy can meet it.
pub(super) fn refusal(body: &[u8]) -> String {
    let (kind, code) = (u16_at(body, 0).unwrap_or(u16::MAX), u16_at(body, 2).unwrap_or(u16::MAX));
    let words = match (kind, code) {
        (0, _) => "it does not speak OpenFlow 1.4: set the bridge's 'protocols' to hold OpenFlow14, or empty",
        (2, _) => "bad action",
        (3, _) => "bad instruction",
        (4, _) => "bad match",
        (5, 1) => "its table is full",
        (5, _) => "a flow was refused",
        (12, _) => "a meter was refused",
        (17, 13) => "a message of the bundle was refused",
        (17, _) => "the bundle was refused",
        _ => "an error",
    };
    format!("{words} (OpenFlow error {kind}/{code})")
}

/// The error says that the switch has no meters, or no more of them: not that one is, or is not, there.
pub(super) fn lacks_meters(body: &[u8]) -> bool {
    const BAD_REQUEST: u16 = 1;
    const METER_MOD_FAILED: u16 = 12;
    const OUT_OF_METERS: u16 = 10;
    const OUT_OF_BANDS: u16 = 11;
    match (u16_at(body, 0), u16_at(body, 2)) {
        (Some(BAD_REQUEST), _) | (Some(METER_MOD_FAILED), Some(OUT_OF_METERS | OUT_OF_BANDS)) => true,
        (Some(_) | None, Some(_) | None) => false,
    }
}

/// The cookie of a flow that went (7.4.2).
pub(super) fn removed(body: &[u8]) -> Option<u64> {
    u64_at(body, 0)
}

fn odd(what: &str) -> Fault {
    Fault::transient(format!("the switch sent {what}: is it OpenFlow 1.4 that is spoken there?"))
}

pub(super) fn u16_at(b: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(b.get(at..at + 2)?.try_into().ok()?))
}
fn u32_at(b: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(b.get(at..at + 4)?.try_into().ok()?))
}
fn u64_at(b: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(b.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex")
    }

    #[test]
    fn messages_come_out_whole_however_the_reads_were_cut() {
        let stream = bytes("0500001000000001000100080000002005020008000000070521001000000009000000000005000300");
        for size in 1..=stream.len() {
            let (mut framer, mut got) = (Framer::default(), Vec::new());
            for piece in stream.chunks(size) {
                framer.feed(piece);
                while let Some(f) = framer.next().expect("a message") {
                    got.push((f.kind, f.xid, f.body.len()));
                }
            }
            assert_eq!(got, [(0, 1, 8), (2, 7, 0), (33, 9, 8)], "reads of {size}");
        }
        let mut short = Framer::default();
        short.feed(&[5, 0, 0, 7, 0, 0, 0, 1]);
        assert!(short.next().is_err());
    }

    #[test]
    fn lists_are_read_whole_or_not_at_all() {
        let mut flow = vec![0; 56];
        (flow[1], flow[31], flow[39], flow[47]) = (56, 7, 2, 9);
        let two = [flow.clone(), flow.clone()].concat();
        let seen = FlowSeen { cookie: 7, table: 0, packets: 2, bytes: 9, sound: false };
        assert_eq!(flows(&two).expect("two"), [seen, seen]);
        assert!(flows(&two[..100]).is_err() && flows(&[0; 60]).is_err());
        let meter = bytes("0018000500001003000100100000 03e80000006400000000".replace(' ', "").as_str());
        assert_eq!(meters(&meter).expect("one"), [(0x1003, Some(Meter { rate: 1000, burst: 100 }))]);
        assert!(meters(&meter[..20]).is_err());
        assert_eq!(meters(&bytes("0008000200000001")).expect("another's"), [(1, None)]);
    }
}
