//! The gate every request passes: its id and span, who is calling, the API version; and on the way
//! back the body of each problem.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Instant,
};

use axum::{
    Router,
    extract::{Extension, Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    Services,
    problem::{PROBLEM_JSON, Problem},
    server::Peer,
    version::Api,
};

/// Puts the gate before every route, and before what is no route.
pub fn close(router: Router<Arc<Services>>, services: Arc<Services>) -> Router {
    router
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path") })
        .layer(from_fn_with_state(services.clone(), pass))
        .with_state(services)
}

async fn pass(State(s): State<Arc<Services>>, Extension(peer): Extension<Peer>, req: Request, next: Next) -> Response {
    let instance = format!("urn:uuid:{}", Uuid::new_v4());
    let span = tracing::info_span!("request", id = &instance[9..], method = %req.method(), path = req.uri().path());
    async move {
        let begun = Instant::now();
        let response = finish(inside(&s, &peer, req, next).await, &instance);
        tracing::debug!(status = response.status().as_u16(), ms = begun.elapsed().as_millis() as u64, %peer, "answered");
        response
    }
    .instrument(span)
    .await
}

async fn inside(s: &Services, peer: &Peer, mut req: Request, next: Next) -> Response {
    // Nobody unknown learns what paths there are.
    match s.tokens.admit(peer, req.headers()) {
        Ok(principal) => req.extensions_mut().insert(principal),
        Err(p) => return p.into_response(),
    };
    let version = match Api::of(req.uri().path()).map(|a| a.negotiate(req.headers())).transpose() {
        Ok(v) => v,
        Err(p) => return p.into_response(),
    };
    let mut response = unpanicked(next.run(req)).await;
    if let Some(v) = version {
        response.headers_mut().insert("version", v);
    }
    response
}

/// A panic in a handler is a 500 for this request and nothing for the others.
async fn unpanicked(answer: impl Future<Output = Response>) -> Response {
    let mut answer = pin!(answer);
    std::future::poll_fn(move |cx| {
        catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))).unwrap_or_else(|_| {
            let p =
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the request failed by a fault in Bothy itself; the log has the details");
            Poll::Ready(p.into_response())
        })
    })
    .await
}

/// Gives every error its problem body; what the router itself refuses (405) keeps its headers.
fn finish(mut response: Response, instance: &str) -> Response {
    let status = response.status();
    if status.as_u16() < 400 || response.headers().get(CONTENT_TYPE) == Some(&PROBLEM_JSON) {
        return response;
    }
    let mut rendered = match response.extensions_mut().remove::<Arc<Problem>>() {
        Some(p) => p.render(instance),
        None => Problem::new(status, plain(status)).render(instance),
    };
    for (name, value) in response.headers() {
        if name != CONTENT_TYPE && name != CONTENT_LENGTH {
            rendered.headers_mut().append(name, HeaderValue::clone(value));
        }
    }
    rendered
}

fn plain(status: StatusCode) -> &'static str {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => "this resource has no such method; Allow names those it has",
        StatusCode::NOT_FOUND => "there is nothing at this path",
        _ => "the request was refused",
    }
}
