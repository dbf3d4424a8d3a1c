//! Answers that all resources share (SOL013 5 and 6): created, accepted, shown with an ETag, lists,
//! not offered; and what handlers read of a request's head.

use axum::{
    Json,
    extract::FromRequestParts,
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{ETAG, HOST, LOCATION},
        request::Parts,
    },
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use serde_json::Value;

use super::{
    conditional::{etag, not_modified},
    convert::Base,
    extract::query,
    problem::{Answer, Problem},
    server::Peer,
};

impl<S: Send + Sync> FromRequestParts<S> for Base {
    type Rejection = Box<Problem>;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        // HTTP/2 puts the host into the URI.
        let host = parts.uri.authority().map(ToString::to_string);
        let host = host.or_else(|| parts.headers.get(HOST).and_then(|h| h.to_str().ok()).map(Into::into));
        let scheme = match parts.extensions.get::<Peer>() {
            Some(Peer::Local { .. }) => "http",
            Some(Peer::Remote(_)) | None => "https",
        };
        Ok(Base(format!("{scheme}://{}", host.as_deref().unwrap_or("localhost"))))
    }
}

/// The request has no query; 400 for one that has.
pub struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Box<Problem>;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        query(&parts.uri, &[]).map(|_| NoQuery)
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
    let tag = etag(version);
    let mut r = if not_modified(headers, &tag) { StatusCode::NOT_MODIFIED.into_response() } else { Json(body).into_response() };
    r.headers_mut().insert(ETAG, tag);
    r
}

/// A list of resources. Unless `all_fields` is asked for, the members that the standard leaves out
/// of lists are left out (SOL013 5.3.2).
pub fn list<T: Serialize>(uri: &Uri, excluded: &[&str], all: impl IntoIterator<Item = T>) -> Answer<Json<Vec<Value>>> {
    let asked = query(uri, &["all_fields", "exclude_default"])?;
    let whole = asked.iter().any(|(k, _)| k == "all_fields");
    if whole && asked.len() > 1 {
        return Err(Box::new(Problem::malformed("all_fields and exclude_default exclude each other")));
    }
    let mut out = Vec::new();
    for item in all {
        let mut v = serde_json::to_value(item)
            .map_err(|_| Box::new(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "a resource cannot be written as JSON")))?;
        if let Value::Object(members) = &mut v
            && !whole
        {
            for name in excluded {
                members.shift_remove(*name);
            }
        }
        out.push(v);
    }
    Ok(Json(out))
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
