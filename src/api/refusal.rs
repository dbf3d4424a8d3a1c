//! Words for what hyper refuses by itself: a request that is no HTTP, or whose header is too large,
//! never reaches the gate, and hyper answers it with an empty body. This stream, below hyper, puts a
//! problem in its place.
//!
//! Everything from a handler has a body where it is an error (the gate sees to that), so an empty
//! 4xx at the begin of a write is hyper's own. HTTP/2 refuses such requests by its own frames.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use uuid::Uuid;

use super::problem::Problem;

pub struct Refusals<T> {
    inner: T,
    /// The answer that is sent instead, and how much of it is gone.
    instead: Option<(Vec<u8>, usize)>,
}

impl<T> Refusals<T> {
    pub fn new(inner: T) -> Self {
        Refusals { inner, instead: None }
    }
}

/// The answer in place of an empty one of hyper's; `None` where `head` is something else.
fn worded(head: &[u8]) -> Option<Vec<u8>> {
    let code = head.strip_prefix(b"HTTP/1.1 4").or_else(|| head.strip_prefix(b"HTTP/1.0 4"))?.get(..2)?;
    let text = std::str::from_utf8(head.strip_suffix(b"\r\n\r\n")?).ok()?;
    if !text.lines().any(|l| l.eq_ignore_ascii_case("content-length: 0")) {
        return None;
    }
    let status = StatusCode::from_bytes(&[b"4", code].concat()).ok()?;
    let detail = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the header of the request is larger than limits.headers_kib allows",
        StatusCode::URI_TOO_LONG => "the URI of the request is too long",
        StatusCode::REQUEST_TIMEOUT => "the header of the request did not come in time",
        _ => "the request is not HTTP/1.1 as RFC 9112 has it",
    };
    let instance = format!("urn:uuid:{}", Uuid::new_v4());
    tracing::debug!(id = &instance[9..], status = status.as_u16(), "refused before it was a request");
    let body = Problem::new(status, detail).body(&instance);
    let kept = text.lines().filter(|l| !l.to_ascii_lowercase().starts_with("content-length:"));
    let mut answer = kept.collect::<Vec<_>>().join("\r\n");
    answer += &format!("\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\r\n", body.len());
    Some([answer.into_bytes(), body].concat())
}

impl<T: AsyncWrite + Unpin> Refusals<T> {
    /// Writes the answer instead of `given`, which hyper hands over again until it is taken.
    fn write_instead(&mut self, cx: &mut Context<'_>, given: usize) -> Poll<io::Result<usize>> {
        while let Some((answer, sent)) = &mut self.instead {
            let n = ready!(Pin::new(&mut self.inner).poll_write(cx, &answer[*sent..]))?;
            *sent += n;
            if n == 0 || *sent == answer.len() {
                self.instead = None;
            }
        }
        Poll::Ready(Ok(given))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Refusals<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Refusals<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        if me.instead.is_none() {
            me.instead = worded(buf).map(|a| (a, 0));
        }
        if me.instead.is_some() {
            return me.write_instead(cx, buf.len());
        }
        Pin::new(&mut me.inner).poll_write(cx, buf)
    }
    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        if me.instead.is_none() {
            me.instead = bufs.first().and_then(|b| worded(b)).map(|a| (a, 0));
        }
        if me.instead.is_some() {
            return me.write_instead(cx, bufs.first().map_or(0, |b| b.len()));
        }
        Pin::new(&mut me.inner).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn only_an_empty_4xx_gets_words_also_through_a_narrow_pipe() {
        for (written, worded) in [
            ("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", true),
            ("HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n", true),
            ("HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nabc", false),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false),
            ("\x16\x03\x01HTTP/1.1 400 x\r\ncontent-length: 0\r\n\r\n", false),
        ] {
            let (mut far, ours) = duplex(7);
            let mut s = Refusals::new(ours);
            let sent = tokio::spawn(async move {
                s.write_all(written.as_bytes()).await.expect("write");
                s.write_all(b"").await.expect("write");
            });
            let mut got = String::new();
            far.read_to_string(&mut got).await.expect("read");
            sent.await.expect("task");
            if worded {
                let (head, body) = got.split_once("\r\n\r\n").expect("head");
                assert!(head.starts_with(&written[..12]) && head.contains(&format!("content-length: {}", body.len())), "{got}");
                let p: serde_json::Value = serde_json::from_str(body).expect("problem");
                assert!(p["detail"].is_string() && p["instance"].is_string(), "{p}");
            } else {
                assert_eq!(got, written);
            }
        }
    }
}
