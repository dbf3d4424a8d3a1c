//! Answers that all resources share (SOL013 5 and 6): created, accepted, shown with an ETag, not offered; and what handlers read of a request's head.

use std::future::ready;

use axum::{
    extract::FromRequestParts,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, ETAG, HOST, LOCATION},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    conditional::{etag, not_modified},
    convert::Base,
    extract::query,
    home::{self, ByCentre},
    problem::{Answer, Problem},
    server::Peer,
};
use crate::model::error::{Fault, Result};

impl<S: Send + Sync> FromRequestParts<S> for Base {
    type Rejection = Box<Problem>;
    fn from_request_parts(parts: &mut Parts, _: &S) -> impl Future<Output = Answer<Self>> + Send {
        ready(Ok(Base::of(parts)))
    }
}

impl Base {
    fn of(parts: &Parts) -> Base {
        // Only a centre that this box called is believed.
        if parts.extensions.get::<ByCentre>().is_some()
            && let Some(place) = home::place(&parts.headers)
        {
            return Base(place);
        }
        // HTTP/2 puts the host into the URI.
        let host = parts.uri.authority().map(ToString::to_string);
        let host = host.or_else(|| parts.headers.get(HOST).and_then(|h| h.to_str().ok()).map(Into::into));
        let scheme = match parts.extensions.get::<Peer>() {
            Some(Peer::Local { .. }) => "http",
            Some(Peer::Remote(_)) | None => "https",
        };
        Base(format!("{scheme}://{}", host.as_deref().unwrap_or("localhost")))
    }
}

/// The request has no query; 400 for one that has.
pub struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Box<Problem>;
    fn from_request_parts(parts: &mut Parts, _: &S) -> impl Future<Output = Answer<Self>> + Send {
        ready(query(&parts.uri, &[]).map(|_| NoQuery))
    }
}

/// JSON as the body of an answer: written into one piece of memory of the usual size. (axum's own grows from 128 bytes in
/// steps, by a kind of writer that had the code of every type made a second time.)
pub struct Json<T>(pub T);

/// Most resources fit.
const USUAL: usize = 4096;

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        json_answer(written(&self.0))
    }
}

fn written(v: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(USUAL);
    v.serialize(&mut serde_json::Serializer::new(&mut bytes)).map(|()| bytes)
}

/// Names a version of a resource by all that is shown of it: for one that is made of several records.
pub fn digest(v: &impl Serialize) -> Result<u64> {
    let bytes = written(v).map_err(|e| Fault::bug("a resource cannot be written as JSON").with_source(e))?;
    Ok(short(&bytes))
}

fn short(bytes: &[u8]) -> u64 {
    let whole: [u8; 32] = Sha256::digest(bytes).into();
    let mut first = [0; 8];
    first.copy_from_slice(&whole[..8]);
    u64::from_be_bytes(first)
}

/// 200 with the resource, or 304; its ETag is made of all that is shown.
pub fn shown_whole(headers: &HeaderMap, body: &impl Serialize) -> Response {
    match written(body) {
        Ok(bytes) => {
            let tag = etag(short(&bytes));
            tagged(headers, tag, || json_answer(Ok(bytes)))
        }
        failed => json_answer(failed),
    }
}

fn tagged(headers: &HeaderMap, tag: HeaderValue, whole: impl FnOnce() -> Response) -> Response {
    let mut r = if not_modified(headers, &tag) { StatusCode::NOT_MODIFIED.into_response() } else { whole() };
    r.headers_mut().insert(ETAG, tag);
    r
}

fn json_answer(written: serde_json::Result<Vec<u8>>) -> Response {
    match written {
        Ok(bytes) => ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes).into_response(),
        Err(e) => {
            tracing::error!(error = %e, "an answer cannot be written as JSON");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be written as JSON; the log has the details").into_response()
        }
    }
}

/// 201 with the new resource.
pub fn created(path: &str, version: u64, body: &impl Serialize) -> Answer<Response> {
    let mut r = (StatusCode::CREATED, Json(body)).into_response();
    r.headers_mut().insert(LOCATION, location(path)?);
    r.headers_mut().insert(ETAG, etag(version));
    Ok(r)
}

/// 202 with nothing but the place of the operation.
pub fn accepted(path: &str) -> Answer<Response> {
    let mut r = StatusCode::ACCEPTED.into_response();
    r.headers_mut().insert(LOCATION, location(path)?);
    Ok(r)
}

fn location(path: &str) -> Answer<HeaderValue> {
    HeaderValue::try_from(path).map_err(|_| Box::new(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "a path cannot be a header")))
}

/// 200 with the resource and its ETag, or 304.
pub fn shown(headers: &HeaderMap, version: u64, body: &impl Serialize) -> Response {
    tagged(headers, etag(version), || Json(body).into_response())
}

/// SOL013: what is optional and not offered is 404.
pub fn not_offered(why: &'static str) -> impl Fn() -> std::future::Ready<Response> + Clone + Send + Sync + 'static {
    move || std::future::ready(Problem::new(StatusCode::NOT_FOUND, why).into_response())
}

/// A request that names something which is not here, or not usable, cannot be processed: 422, since
/// the resource in the path is there (SOL003 5.4.2.3.1).
pub fn unprocessable(mut p: Box<Problem>) -> Box<Problem> {
    if matches!(p.status, StatusCode::NOT_FOUND | StatusCode::CONFLICT) {
        p.status = StatusCode::UNPROCESSABLE_ENTITY;
    }
    p
}
