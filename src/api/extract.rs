//! What handlers take out of a request: JSON bodies, ids in paths, query parameters. Each refusal
//! is a problem that says where.

use std::{
    future::ready,
    pin::{Pin, pin},
    str::FromStr,
    task::{Context, Poll, Waker},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{
        HeaderMap, StatusCode, Uri,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
        request::Parts,
    },
};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use std::sync::Arc;

use super::{
    Services, json, older,
    problem::{Answer, Problem},
};

/// A JSON body, `application/json` or a `+json` type (PATCH comes as merge-patch+json). Members that
/// nobody knows are ignored, as the standard wants it, and named in the log.
pub struct Json<T>(pub T);

/// The same, with the paths of the members that were ignored.
pub struct Noted<T>(pub T, pub Vec<String>);

impl<T: DeserializeOwned> FromRequest<Arc<Services>> for Json<T> {
    type Rejection = Box<Problem>;
    fn from_request(req: Request, s: &Arc<Services>) -> impl Future<Output = Answer<Self>> + Send {
        Then(json_bytes(req, s), |bytes| json::read(&bytes).map(|(v, _)| Json(v)))
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<Services>> for Noted<T> {
    type Rejection = Box<Problem>;
    fn from_request(req: Request, s: &Arc<Services>) -> impl Future<Output = Answer<Self>> + Send {
        Then(json_bytes(req, s), |bytes| json::read(&bytes).map(|(v, ignored)| Noted(v, ignored)))
    }
}

/// A body, and what is made of it. With `async` in its place each handler had a state machine more.
struct Then<T>(Boxed<'static, Vec<u8>>, fn(Vec<u8>) -> Answer<T>);

impl<T> Future for Then<T> {
    type Output = Answer<T>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer<T>> {
        let make = self.1;
        self.0.as_mut().poll(cx).map(|bytes| bytes.and_then(make))
    }
}

/// A future of one kind for all handlers, outside of theirs: each carried its own copy.
type Boxed<'t, T> = Pin<Box<dyn Future<Output = Answer<T>> + Send + 't>>;

/// The body of a request that brings JSON.
fn json_bytes(req: Request, s: &Services) -> Boxed<'static, Vec<u8>> {
    let reading = Reading::of(s);
    Box::pin(async move {
        let (parts, body) = req.into_parts();
        let first = older::of(parts.uri.path());
        require_type(
            &parts.headers,
            |m| m == "application/json" || (m.starts_with("application/") && m.ends_with("+json")),
            "application/json",
        )?;
        let bytes = read_body(&parts.headers, body, &reading).await?;
        Ok(match first {
            Some(f) => f.request(parts.uri.path(), bytes),
            None => bytes,
        })
    })
}

/// A text body, for configuration files.
pub struct Text(pub String);

impl FromRequest<Arc<Services>> for Text {
    type Rejection = Box<Problem>;
    async fn from_request(req: Request, s: &Arc<Services>) -> Answer<Self> {
        let (parts, body) = req.into_parts();
        require_type(&parts.headers, |m| m == "text/plain" || m == "application/toml", "application/toml")?;
        let bytes = read_body(&parts.headers, body, &Reading::of(s)).await?;
        String::from_utf8(bytes).map(Text).map_err(|_| Box::new(Problem::malformed("the body is not UTF-8 text")))
    }
}

/// The media type of the body, without its parameters, in lower case.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let v = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(v.split(';').next().unwrap_or(v).trim().to_ascii_lowercase())
}

/// 415 unless the body's type is served.
pub fn require_type(headers: &HeaderMap, served: impl Fn(&str) -> bool, name: &str) -> Answer<()> {
    let detail = match media_type(headers) {
        Some(m) if served(&m) => return Ok(()),
        Some(m) => format!("the body is {m}; here it must be {name}"),
        None => format!("the request has no Content-Type; here it must be {name}"),
    };
    Err(Box::new(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)))
}

/// How a body is read.
pub struct Reading {
    pub limit: u64,
    /// Longest silence between two pieces.
    pub idle: Duration,
    /// Within this all of it must have come.
    pub whole: Duration,
}

impl Reading {
    pub fn of(s: &Services) -> Self {
        let c = s.config.now();
        let l = &c.limits;
        let (idle, whole) = (Duration::from_secs(l.idle_timeout_s), Duration::from_secs(l.body_timeout_s));
        Reading { limit: l.body_kib * 1024, idle, whole }
    }
}

pub fn too_large(limit: u64) -> Box<Problem> {
    let limit = crate::model::size::Bytes(limit);
    Box::new(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than the {limit} allowed here")))
}

/// 413 before a byte is read, when the client says how much it will send.
pub fn check_length(headers: &HeaderMap, limit: u64) -> Answer<Option<u64>> {
    let length = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    match length {
        Some(n) if n > limit => Err(too_large(limit)),
        length => Ok(length),
    }
}

/// The next piece of a body; `None` at its end.
pub async fn next_piece(body: &mut Body, idle: Duration) -> Answer<Option<axum::body::Bytes>> {
    loop {
        match tokio::time::timeout(idle, body.frame()).await {
            Err(_) => {
                let detail = format!("nothing of the body came for {} s", idle.as_secs());
                return Err(Box::new(Problem::new(StatusCode::REQUEST_TIMEOUT, detail)));
            }
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => return Err(Box::new(Problem::malformed("the body ended before its time"))),
            Ok(Some(Ok(frame))) => {
                // Trailers mean nothing here.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// Takes a little more of a body that was refused, so that a client which sends before it listens
/// gets to read why.
pub async fn linger(body: &mut Body) {
    let discard = async {
        let mut left = 4usize << 20;
        while let Ok(Some(piece)) = next_piece(body, Duration::from_secs(1)).await {
            left = left.saturating_sub(piece.len());
            if left == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), discard).await;
}

pub async fn read_body(headers: &HeaderMap, mut body: Body, r: &Reading) -> Answer<Vec<u8>> {
    let mut bytes = Vec::new();
    let whole = async {
        let length = check_length(headers, r.limit)?;
        bytes.reserve(length.unwrap_or(0).min(r.limit) as usize);
        while let Some(piece) = next_piece(&mut body, r.idle).await? {
            if bytes.len() as u64 + piece.len() as u64 > r.limit {
                return Err(too_large(r.limit));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(())
    };
    let whole = tokio::time::timeout(r.whole, whole).await.unwrap_or_else(|_| {
        let detail = format!("the body did not come whole within {} s", r.whole.as_secs());
        Err(Box::new(Problem::new(StatusCode::REQUEST_TIMEOUT, detail)))
    });
    match whole {
        Ok(()) => Ok(bytes),
        Err(p) => {
            if p.status == StatusCode::PAYLOAD_TOO_LARGE {
                linger(&mut body).await;
            }
            Err(p)
        }
    }
}

/// The ids of a path, in their order: one typed id, or a tuple of strings. An id that cannot be
/// one names nothing, so it is 404.
pub struct Id<T>(pub T);

impl<T: FromStr + Send, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Box<Problem>;
    fn from_request_parts(parts: &mut Parts, _: &S) -> impl Future<Output = Answer<Self>> + Send {
        ready(in_path(parts).and_then(|all| {
            let text = all.first().map_or("", String::as_str);
            text.parse().map(Id).map_err(|_| nothing(text))
        }))
    }
}

/// What stands in the places of the route's path.
fn in_path(parts: &mut Parts) -> Answer<Vec<String>> {
    let all = at_once(pin!(Path::<Vec<(String, String)>>::from_request_parts(parts, &())));
    let Some(Ok(Path(all))) = all else {
        return Err(Box::new(Problem::new(StatusCode::NOT_FOUND, "the path names nothing here")));
    };
    Ok(all.into_iter().map(|(_, v)| v).collect())
}

/// What a future that waits for nothing comes to: axum has the head of a request in hand, and reads it by `async` all the same.
fn at_once<F: Future>(f: Pin<&mut F>) -> Option<F::Output> {
    match f.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(out) => Some(out),
        Poll::Pending => None,
    }
}

fn nothing(text: &str) -> Box<Problem> {
    Box::new(Problem::new(StatusCode::NOT_FOUND, format!("there is no '{text}' here")))
}

/// The id of a path and the rest of it, from a route that ends in a wildcard.
pub struct IdPath<T>(pub T, pub String);

impl<T: FromStr + Send, S: Send + Sync> FromRequestParts<S> for IdPath<T> {
    type Rejection = Box<Problem>;
    fn from_request_parts(parts: &mut Parts, _: &S) -> impl Future<Output = Answer<Self>> + Send {
        ready(in_path(parts).and_then(|all| {
            let mut all = all.into_iter();
            let text = all.next().unwrap_or_default();
            let id = text.parse().map_err(|_| nothing(&text))?;
            Ok(IdPath(id, all.next().unwrap_or_default()))
        }))
    }
}

/// The query as pairs, percent-decoded; 400 for a parameter that is not in `known`.
pub fn query(uri: &Uri, known: &[&str]) -> Answer<Vec<(String, String)>> {
    let axum::extract::Query(pairs) = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| Box::new(Problem::malformed("the query cannot be read")))?;
    if let Some((k, _)) = pairs.iter().find(|(k, _)| !known.contains(&k.as_str())) {
        let those = if known.is_empty() { "there are none here".to_owned() } else { format!("known here: {}", known.join(", ")) };
        return Err(Box::new(Problem::malformed(format!("unknown query parameter '{k}'; {those}"))));
    }
    Ok(pairs)
}
