//! What a handler has left of a request's body.
//!
//! A refusal is often known before the body has come: a path that is not there, a form that is not taken. A connection on
//! which a body is still to come cannot carry another request, so hyper closes it, and a client that has sent its next request
//! by then gets no answer to that one. So a little more is read, and where that is not the end, the answer says that the
//! connection closes. Never: how much of a body is taken (`extract`).

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{
        HeaderValue, Version,
        header::{CONNECTION, EXPECT},
    },
    response::Response,
};
use hyper::body::{Frame, SizeHint};

/// Of what is left so much is read, and for so long.
const MOST: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(1);

/// The body, held by the request and by whoever looks after it.
#[derive(Clone)]
struct Shared(Arc<Mutex<Body>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.lock()).poll_frame(cx)
    }
    fn is_end_stream(&self) -> bool {
        self.lock().is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.lock().size_hint()
    }
}

pub struct Leftover {
    body: Shared,
    /// The client sends the body when it is told to: by reading it.
    waits: bool,
}

/// The request, and what is to be seen to after its answer; nothing for one without a body.
pub fn of(req: Request) -> (Request, Option<Leftover>) {
    // Streams of HTTP/2 do not hinder each other.
    if req.body().is_end_stream() || req.version() > Version::HTTP_11 {
        return (req, None);
    }
    let (parts, body) = req.into_parts();
    let body = Shared(Arc::new(Mutex::new(body)));
    let waits = parts.headers.contains_key(EXPECT);
    (Request::from_parts(parts, Body::new(body.clone())), Some(Leftover { body, waits }))
}

impl Leftover {
    /// Reads on to the end, or has the answer say that the connection closes.
    pub async fn see_to(self, response: &mut Response) {
        if self.body.is_end_stream() {
            return;
        }
        let whole = !self.waits && tokio::time::timeout(PATIENCE, self.body.to_the_end()).await.unwrap_or(false);
        if !whole {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

impl Shared {
    async fn to_the_end(&self) -> bool {
        let mut left = MOST;
        loop {
            let next = std::future::poll_fn(|cx| Pin::new(&mut *self.lock()).poll_frame(cx)).await;
            match next {
                None => return true,
                Some(Err(_)) => return false,
                Some(Ok(frame)) => {
                    let came = frame.data_ref().map_or(0, Bytes::len);
                    if came > left {
                        return false;
                    }
                    left -= came;
                }
            }
        }
    }
}
