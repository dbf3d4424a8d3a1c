//! A stream that gives up on a peer which sends nothing at first, or takes nothing for too long.
//!
//! hyper limits how long a request's header may take and HTTP/2 pings its peer; this covers what
//! they do not: a connection on which not one byte comes, and a client that reads no answer.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

pub struct Stall<T> {
    inner: T,
    /// Until the first byte came.
    first: Option<Pin<Box<Sleep>>>,
    /// While a write waits.
    writing: Option<Pin<Box<Sleep>>>,
    idle: Duration,
}

impl<T> Stall<T> {
    pub fn new(inner: T, first: Duration, idle: Duration) -> Self {
        Stall { inner, first: Some(Box::pin(sleep(first))), writing: None, idle }
    }

    fn write_stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let idle = self.idle;
        let timer = self.writing.get_or_insert_with(|| Box::pin(sleep(idle)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing"))
    }

    fn wrote<R>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        match done {
            Poll::Pending => self.write_stalled(cx).map(Err),
            Poll::Ready(r) => {
                self.writing = None;
                Poll::Ready(r)
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Stall<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        match Pin::new(&mut me.inner).poll_read(cx, buf) {
            Poll::Ready(r) => {
                me.first = None;
                Poll::Ready(r)
            }
            Poll::Pending => match me.first.as_mut().map(|t| t.as_mut().poll(cx)) {
                Some(Poll::Ready(())) => Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer sends nothing"))),
                Some(Poll::Pending) | None => Poll::Pending,
            },
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Stall<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let done = Pin::new(&mut me.inner).poll_write(cx, buf);
        me.wrote(cx, done)
    }
    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let done = Pin::new(&mut me.inner).poll_write_vectored(cx, bufs);
        me.wrote(cx, done)
    }
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let done = Pin::new(&mut me.inner).poll_flush(cx);
        me.wrote(cx, done)
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let done = Pin::new(&mut me.inner).poll_shutdown(cx);
        me.wrote(cx, done)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const SOON: Duration = Duration::from_millis(30);

    #[tokio::test]
    async fn silence_at_first_and_an_unread_answer_end_the_stream_and_slow_talk_does_not() {
        let (_quiet, ours) = duplex(8);
        let mut s = Stall::new(ours, SOON, SOON);
        assert_eq!(s.read_u8().await.expect_err("silence").kind(), io::ErrorKind::TimedOut);

        let (mut far, ours) = duplex(8);
        let mut s = Stall::new(ours, SOON, SOON);
        far.write_all(b"x").await.expect("write");
        assert_eq!(s.read_u8().await.expect("first"), b'x');
        let later = tokio::spawn(async move {
            tokio::time::sleep(SOON * 3).await;
            far.write_all(b"y").await.expect("write");
            far
        });
        assert_eq!(s.read_u8().await.expect("slow is fine after the first"), b'y');
        let _far = later.await.expect("task");
        assert_eq!(s.write_all(&[0; 64]).await.expect_err("nobody reads").kind(), io::ErrorKind::TimedOut);
    }
}
