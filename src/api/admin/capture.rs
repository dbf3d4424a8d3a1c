//! What passes a link, as a stream of libpcap's file format.

use std::time::{Duration, Instant};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{Uri, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    api::{
        Ctx,
        content::Pieces,
        extract::{Id, query},
        problem::{Answer, Problem},
    },
    model::{
        error::{Fault, Result},
        id::{IfName, SegmentId},
        segment::Segment,
        time::Stamp,
    },
    vim::port::Captured,
    vnfm::plan::fresh_uuid,
};

const SECONDS: Duration = Duration::from_secs(60);
const MOST_SECONDS: u64 = 3600;
const PACKETS: u64 = 10_000;
const MOST_PACKETS: u64 = 1_000_000;
/// Of a file.
const MOST_BYTES: usize = 256 << 20;
/// How soon a client that left is missed where nothing passes.
const LOOK: Duration = Duration::from_millis(200);

struct Ask {
    port: Option<IfName>,
    /// Whatever happens.
    lasts: Duration,
    packets: u64,
}

impl Ask {
    fn of(uri: &Uri) -> Answer<Ask> {
        let mut ask = Ask { port: None, lasts: SECONDS, packets: PACKETS };
        for (k, v) in query(uri, &["port", "seconds", "packets"])? {
            let number = |most: u64| match v.parse::<u64>() {
                Ok(n) if (1..=most).contains(&n) => Ok(n),
                Ok(_) | Err(_) => Err(Box::new(Problem::malformed(format!("{k}: '{v}' is no number from 1 to {most}")))),
            };
            match k.as_str() {
                "port" => {
                    ask.port = Some(v.parse().map_err(|_| Box::new(Problem::malformed(format!("port: '{v}' is no name of a port"))))?)
                }
                "seconds" => ask.lasts = Duration::from_secs(number(MOST_SECONDS)?),
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
            Ok(mut capture) => {
                // The client may have left meanwhile, which the stream finds out.
                let _ = begun.send(Ok(()));
                let next = |wait| if capture.is_over() { Ok(Heard::End) } else { capture.next(wait).map(Heard::of) };
                stream(next, vnfm.clock().now(), &ask, &to_net);
            }
            Err(fault) => {
                let _ = begun.send(Err(fault));
            }
        }
    });
    beginning.await.unwrap_or_else(|_| Err(Fault::bug("the capture ended before it began")))?;
    Ok(([(CONTENT_TYPE, "application/vnd.tcpdump.pcap")], Body::new(Pieces(pieces))).into_response())
}

enum Heard {
    Frame(Captured),
    /// In the time that it had.
    Nothing,
    /// Bothy stops.
    End,
}

impl Heard {
    fn of(found: Option<Captured>) -> Heard {
        found.map_or(Heard::Nothing, Heard::Frame)
    }
}

/// Until enough was heard, its time is up, Bothy stops, or nobody reads any more. A client that is there and does not read keeps
/// nobody here longer.
fn stream(mut next: impl FnMut(Duration) -> Result<Heard>, stamp: Stamp, ask: &Ask, to_net: &mpsc::Sender<std::io::Result<Bytes>>) {
    let began = Instant::now();
    let (left, runtime) = (|| ask.lasts.saturating_sub(began.elapsed()), Handle::current());
    let hand = |piece| runtime.block_on(timeout(left(), to_net.send(piece))).is_ok_and(|taken| taken.is_ok());
    let (mut packets, mut bytes) = (0u64, 0usize);
    if !hand(Ok(head().into())) {
        return;
    }
    while packets < ask.packets && bytes < MOST_BYTES && !to_net.is_closed() && !left().is_zero() {
        let piece = match next(left().min(LOOK)) {
            Ok(Heard::Nothing) => continue,
            Ok(Heard::End) => return,
            Ok(Heard::Frame(c)) => record(&c, Duration::from_millis(stamp.0) + began.elapsed()),
            Err(fault) => {
                hand(Err(std::io::Error::other(fault.detail())));
                return;
            }
        };
        packets += 1;
        bytes += piece.len();
        if !hand(Ok(piece.into())) {
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
    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_does_not_read_ends_nothing_later_than_it_was_to_end() {
        let (to_net, mut pieces) = mpsc::channel(2);
        let frame = || Ok(Heard::Frame(Captured { length: 2, bytes: vec![1, 2] }));
        let ask = |lasts, packets| Ask { port: None, lasts, packets };
        let (late, tx) = (ask(Duration::from_millis(50), PACKETS), to_net.clone());
        let over = tokio::task::spawn_blocking(move || stream(|_| frame(), Stamp(7), &late, &tx));
        timeout(Duration::from_secs(60), over).await.expect("it ends though nobody reads").expect("fine");
        assert_eq!(pieces.recv().await.expect("a head").expect("read"), head());
        pieces.recv().await.expect("a frame").expect("read");
        // One that reads gets what it asked for.
        let (enough, tx) = (ask(Duration::from_secs(60), 5), to_net.clone());
        let over = tokio::task::spawn_blocking(move || stream(|_| frame(), Stamp(7), &enough, &tx));
        let mut heard = 0;
        while heard < 5 {
            heard += usize::from(pieces.recv().await.expect("a piece").expect("read").len() == 18);
        }
        over.await.expect("fine");
        // And none waits for its time where Bothy stops, which is the whole of a file so far.
        let hour = ask(Duration::from_secs(3600), PACKETS);
        let over = tokio::task::spawn_blocking(move || stream(|_| Ok(Heard::End), Stamp(7), &hour, &to_net));
        assert_eq!(pieces.recv().await.expect("a head").expect("read"), head());
        assert!(pieces.recv().await.is_none(), "and its end");
        over.await.expect("fine");
    }
}
