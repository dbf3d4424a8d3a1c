//! A large answer that goes on where it broke off, where the server gives ranges (RFC 9110 14).
//!
//! ```text
//! GET --200--> pieces --broke--> GET Range: bytes=N- --206--> pieces ... the end
//!                                  |--anything else--> broken        after some tries without a byte: broken
//! ```
//! Owns the tries and their pauses. Never: what the pieces are; whoever has them all checks their digest.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap,
    body::Bytes,
    header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderValue},
};
use tokio::sync::mpsc;

use super::client::{Caller, Part, Stream};

/// Before each try that follows one in vain.
const PAUSES: [Duration; 5] =
    [Duration::from_millis(100), Duration::from_millis(400), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// An answer whose body comes in pieces, over as many connections as it takes.
pub struct Whole {
    pub status: u16,
    pub headers: HeaderMap,
    pub pieces: mpsc::Receiver<std::io::Result<Bytes>>,
    /// Why there is no more of it, once there is not.
    pub broken: Arc<OnceLock<String>>,
    /// So long nothing may come while it is still being tried.
    pub longest: Duration,
}

/// How far it is, and what the next part has to fit to.
struct Course {
    got: u64,
    length: Option<u64>,
    /// Ranges are given; with what they are of, where that is told.
    ranges: bool,
    of: Option<HeaderValue>,
    /// A link on which so long nothing comes is broken.
    silent: Duration,
}

/// `silent`: a link on which so long nothing comes is asked for the rest anew; three times as long, where that cannot be asked for.
pub async fn open(mut caller: Caller, silent: Duration) -> Result<Whole, String> {
    let longest = longest(silent, caller.timeout());
    let first = caller.stream(None).await?;
    let (status, headers, broken) = (first.status, first.headers.clone(), Arc::<OnceLock<String>>::default());
    let (to, pieces) = mpsc::channel(2);
    let ranges = headers.get(ACCEPT_RANGES).is_some_and(|v| v == "bytes");
    let course = Course {
        got: 0,
        silent: if ranges { silent } else { silent * 3 },
        length: headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok()),
        ranges,
        of: headers.get(ETAG).filter(|v| !v.as_bytes().starts_with(b"W/")).cloned(),
    };
    let why = broken.clone();
    tokio::spawn(async move {
        if let Err(e) = pump(caller, first, course, &to).await {
            let _ = why.set(e.clone());
            let _ = to.send(Err(std::io::Error::other(e))).await;
        }
    });
    Ok(Whole { status, headers, pieces, broken, longest })
}

/// All tries in vain: each is silent, or is not answered, up to its end.
fn longest(silent: Duration, timeout: Duration) -> Duration {
    PAUSES.iter().sum::<Duration>() + (silent * 3).max((silent + timeout) * (PAUSES.len() as u32 + 1)) + Duration::from_secs(1)
}

/// To its end, or until nobody takes it any more.
async fn pump(mut caller: Caller, mut stream: Stream, mut c: Course, to: &mpsc::Sender<std::io::Result<Bytes>>) -> Result<(), String> {
    let mut vain = 0;
    loop {
        let before = c.got;
        let Some(why) = pass_on(&mut stream, &mut c, to).await else { return Ok(()) };
        if c.got > before {
            vain = 0;
        }
        stream = loop {
            let pause = PAUSES.get(vain).filter(|_| c.ranges).ok_or_else(|| format!("{why} after {} bytes", c.got))?;
            vain += 1;
            tokio::time::sleep(*pause).await;
            tracing::info!(got = c.got, "what was being fetched broke off, and is gone on with: {why}");
            match caller.stream(Some(Part { from: c.got, of: c.of.as_ref() })).await {
                Ok(next) if next.status == 206 && begins(&next.headers) == Some(c.got) => break next,
                Ok(next) if next.status >= 500 => {}
                Ok(next) => {
                    return Err(format!("it broke off after {} bytes, and cannot be gone on with: the answer is {}", c.got, next.status));
                }
                // Nobody is there now.
                Err(_) => {}
            }
        };
    }
}

/// Why there is no more of this answer; `None`: all of it is passed on, or nobody takes it.
async fn pass_on(stream: &mut Stream, c: &mut Course, to: &mpsc::Sender<std::io::Result<Bytes>>) -> Option<String> {
    loop {
        let frame = tokio::select! {
            f = tokio::time::timeout(c.silent, stream.body.frame()) => f,
            () = to.closed() => return None,
        };
        let Ok(frame) = frame else { return Some(format!("nothing came for {} s", c.silent.as_secs_f32())) };
        match frame {
            None if c.length.is_none_or(|l| c.got >= l) => return None,
            None => return Some("it ended before its time".into()),
            Some(Err(e)) => return Some(format!("it broke off: {e}")),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    c.got += data.len() as u64;
                    if to.send(Ok(data)).await.is_err() {
                        return None;
                    }
                }
            }
        }
    }
}

/// Where a part begins.
fn begins(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    text.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_says_where_it_begins() {
        for (said, want) in [("bytes 5-9/10", Some(5)), ("bytes 0-9/*", Some(0)), ("bytes */10", None), ("lines 5-9/10", None)] {
            let h = HeaderMap::from_iter([(CONTENT_RANGE, HeaderValue::from_static(said))]);
            assert_eq!(begins(&h), want, "{said}");
        }
        assert_eq!(begins(&HeaderMap::new()), None);
    }
}
