//! How long a connection has been at rest: on HTTP/2 a peer that only answers pings would keep its place for ever.
//!
//! A request is under way from its head until the last of its answer is handed over. Never: what is asked.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use hyper::body::{Body as _, Frame, SizeHint};

/// Answers up to this size are given at once.
const SMALL: u64 = 64 * 1024;

/// The requests of one connection.
#[derive(Clone)]
pub struct Work(Arc<Mutex<State>>);

struct State {
    open: usize,
    /// When the last one ended.
    since: Instant,
}

/// A request that is under way, until it is dropped.
pub struct Busy(Work);

impl Default for Work {
    fn default() -> Self {
        Work(Arc::new(Mutex::new(State { open: 0, since: Instant::now() })))
    }
}

impl Work {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn begin(&self) -> Busy {
        self.with(|s| s.open += 1);
        Busy(self.clone())
    }

    /// Ends when there was no request for so long.
    pub async fn rests(&self, idle: Duration) {
        loop {
            let left = self.with(|s| if s.open > 0 { idle } else { idle.saturating_sub(s.since.elapsed()) });
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.with(|s| {
            s.open -= 1;
            s.since = Instant::now();
        });
    }
}

/// The answer, with which the request ends.
pub fn until_given(response: Response, busy: Busy) -> Response {
    if response.body().size_hint().exact().is_some_and(|n| n <= SMALL) {
        return response;
    }
    response.map(|inner| Body::new(Given { inner, _busy: busy }))
}

struct Given {
    inner: Body,
    _busy: Busy,
}

impl hyper::body::Body for Given {
    type Data = Bytes;
    type Error = axum::Error;
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }
    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_keeps_the_connection_from_its_rest_until_its_answer_is_given() {
        let work = Work::default();
        let answer = |size: usize| until_given(Response::new(Body::from(vec![0; size])), work.begin());
        let all = [answer(1), answer(SMALL as usize + 1)];
        assert_eq!(work.with(|s| s.open), 1, "a small answer is given at once");
        assert_eq!(all[1].body().size_hint().exact(), Some(SMALL + 1));
        drop(all);
        assert_eq!(work.with(|s| s.open), 0);
        work.rests(Duration::from_millis(1)).await;
    }
}
