//! What passes a link, as a stream of libpcap's file format.

use std::time::{Duration, Instant};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{Uri, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    api::{
        Ctx, Services,
        content::Pieces,
        extract::{Id, query},
        problem::{Answer, Problem},
    },
    model::{
        error::Fault,
        id::{IfName, SegmentId},
        segment::Segment,
    },
    vim::{captures::Capture, port::Captured},
    vnfm::plan::fresh_uuid,
};

const SECONDS: u32 = 60;
const MOST_SECONDS: u32 = 3600;
const PACKETS: u64 = 10_000;
const MOST_PACKETS: u64 = 1_000_000;
/// Of a file.
const MOST_BYTES: usize = 256 << 20;
/// How soon a client that left is missed where nothing passes.
const LOOK: Duration = Duration::from_millis(200);

struct Ask {
    port: Option<IfName>,
    seconds: u32,
    packets: u64,
}

impl Ask {
    fn of(uri: &Uri) -> Answer<Ask> {
        let mut ask = Ask { port: None, seconds: SECONDS, packets: PACKETS };
        for (k, v) in query(uri, &["port", "seconds", "packets"])? {
            let number = |most: u64| match v.parse::<u64>() {
                Ok(n) if (1..=most).contains(&n) => Ok(n),
                Ok(_) | Err(_) => Err(Box::new(Problem::malformed(format!("{k}: '{v}' is no number from 1 to {most}")))),
            };
            match k.as_str() {
                "port" => {
                    ask.port = Some(v.parse().map_err(|_| Box::new(Problem::malformed(format!("port: '{v}' is no name of a port"))))?)
                }
                "seconds" => ask.seconds = number(MOST_SECONDS.into())? as u32,
                _ => ask.packets = number(MOST_PACKETS)?,
            }
        }
        Ok(ask)
    }
}

pub async fn capture(State(s): Ctx, Id(id): Id<SegmentId>, uri: Uri) -> Answer<Response> {
    let ask = Ask::of(&uri)?;
    let segment = s
        .domain(move |n| {
            let all = n.caller().seen(n.vnfm().store().list::<Segment>()?);
            let found = all.iter().find(|s| s.id == id).cloned();
            found.ok_or_else(|| Fault::not_found(format!("there is no virtual link {id}")))
        })
        .await?;
    let (to_net, pieces) = mpsc::channel(64);
    let (begun, beginning) = oneshot::channel();
    let services = s.clone();
    tokio::task::spawn_blocking(move || {
        let vnfm = services.nfvo.vnfm();
        match vnfm.links().capture(&segment, ask.port.as_ref(), fresh_uuid(&**vnfm.dice())) {
            Ok(capture) => {
                // The client may have left meanwhile, which the stream finds out.
                let _ = begun.send(Ok(()));
                stream(&services, capture, &ask, &to_net);
            }
            Err(fault) => {
                let _ = begun.send(Err(fault));
            }
        }
    });
    beginning.await.unwrap_or_else(|_| Err(Fault::bug("the capture ended before it began")))?;
    Ok(([(CONTENT_TYPE, "application/vnd.tcpdump.pcap")], Body::new(Pieces(pieces))).into_response())
}

/// Until enough was heard, or nobody reads any more.
fn stream(services: &Services, mut capture: Capture<'_>, ask: &Ask, to_net: &mpsc::Sender<std::io::Result<Bytes>>) {
    let (stamp, began) = (services.nfvo.vnfm().clock().now(), Instant::now());
    let until = began + Duration::from_secs(ask.seconds.into());
    let (mut packets, mut bytes) = (0u64, 0usize);
    if to_net.blocking_send(Ok(head().into())).is_err() {
        return;
    }
    while packets < ask.packets && bytes < MOST_BYTES && !to_net.is_closed() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let piece = match capture.next(left.min(LOOK)) {
            Ok(None) => continue,
            Ok(Some(c)) => record(&c, Duration::from_millis(stamp.0) + began.elapsed()),
            Err(fault) => {
                let _ = to_net.blocking_send(Err(std::io::Error::other(fault.detail())));
                return;
            }
        };
        packets += 1;
        bytes += piece.len();
        if to_net.blocking_send(Ok(piece.into())).is_err() {
            return;
        }
    }
}

/// libpcap's file header: version 2.4, times in microseconds, Ethernet.
fn head() -> Vec<u8> {
    let mut out = 0xa1b2_c3d4u32.to_le_bytes().to_vec();
    out.extend([2u16, 4].iter().flat_map(|n| n.to_le_bytes()));
    out.extend([0u32, 0, 65_535, 1].iter().flat_map(|n| n.to_le_bytes()));
    out
}

fn record(c: &Captured, at: Duration) -> Vec<u8> {
    let kept = c.bytes.len() as u32;
    let mut out: Vec<u8> = [at.as_secs() as u32, at.subsec_micros(), kept, c.length as u32].iter().flat_map(|n| n.to_le_bytes()).collect();
    out.extend_from_slice(&c.bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_libpcap_writes() {
        assert_eq!(data_encoding::HEXLOWER.encode(&head()), "d4c3b2a1020004000000000000000000ffff000001000000");
        let one = record(&Captured { length: 3, bytes: vec![1, 2] }, Duration::from_micros(1_000_007));
        assert_eq!(data_encoding::HEXLOWER.encode(&one), "010000000700000002000000030000000102");
    }
}
