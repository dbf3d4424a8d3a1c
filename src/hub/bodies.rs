//! Bodies that pass through a hub: of a request, which tells when it last moved; of an answer, which holds its place on the line.
//!
//! Both go through piece by piece. Never: looks at what they hold.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Instant,
};

use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

pub type Broken = Box<dyn std::error::Error + Send + Sync>;
/// A body as it comes from a client of the hub.
pub type Given = UnsyncBoxBody<Bytes, Broken>;

/// When a body last moved.
#[derive(Clone)]
pub struct Moved(Arc<Mutex<Instant>>);

impl Moved {
    pub fn now() -> Moved {
        Moved(Arc::new(Mutex::new(Instant::now())))
    }
    pub fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn moves(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// The body of a request.
pub struct Sent {
    pub inner: Given,
    pub moved: Moved,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Broken;
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let next = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        self.moved.moves();
        Poll::Ready(next)
    }
    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer.
pub struct Answered {
    pub inner: Incoming,
    pub _place: OwnedSemaphorePermit,
}

impl Body for Answered {
    type Data = Bytes;
    type Error = hyper::Error;
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }
    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
