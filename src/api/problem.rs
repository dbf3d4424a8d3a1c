//! `Problem`: the only form in which an error leaves this API (RFC 7807, SOL013 6.3 and 6.4).
//!
//! A handler returns a `Problem`; the gate adds `instance` and writes the body, so that refusals
//! made by the router and by hyper's limits get the same form.

use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::model::error::{Fault, Kind};

pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

#[derive(Debug, Clone)]
pub struct Problem {
    pub status: StatusCode,
    pub detail: String,
    /// One sentence per fault, besides the detail that joins them.
    pub reasons: Vec<String>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Boxed: a `Result` in a handler stays small.
pub type Answer<T> = Result<T, Box<Problem>>;

/// Body as sent. `reasons` is Bothy's own member; RFC 7807 3.2 lets clients ignore it.
#[derive(Serialize)]
struct Wire<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    reasons: &'a [String],
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Problem { status, detail: detail.into(), reasons: Vec::new(), headers: Vec::new() }
    }
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
    /// 400: what cannot be understood: broken JSON, a bad filter, an unknown query parameter.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }
    /// 503, with a hint when to come back.
    pub fn busy(detail: impl Into<String>, after_s: u16) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).header(RETRY_AFTER, HeaderValue::from(after_s))
    }

    /// The body; `instance` names this occurrence, in the log too.
    pub fn body(&self, instance: &str) -> Vec<u8> {
        let wire = Wire {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            instance,
            reasons: &self.reasons,
        };
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// The whole response.
    pub fn render(&self, instance: &str) -> Response {
        let mut r = Response::new(Body::from(self.body(instance)));
        *r.status_mut() = self.status;
        r.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        for (n, v) in &self.headers {
            r.headers_mut().append(n, v.clone());
        }
        r
    }
}

/// SOL013 table 6.4-1. A lack of capacity is 409: the request would be right on another day, but
/// repeating it does not help until something is freed, so 503 with Retry-After would mislead.
pub fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict | Kind::Capacity => StatusCode::CONFLICT,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::Transient => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Bug => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::Stale => StatusCode::PRECONDITION_FAILED,
    }
}

impl From<Fault> for Problem {
    fn from(f: Fault) -> Self {
        // A client sees text and reasons only; the source is for the log, once, here.
        match f.kind() {
            Kind::Bug => tracing::error!(fault = ?f, "a request failed"),
            Kind::Transient => tracing::warn!(fault = ?f, "a request failed for now"),
            Kind::Invalid | Kind::NotFound | Kind::Conflict | Kind::Capacity | Kind::Forbidden | Kind::Stale => {
                tracing::debug!(fault = ?f, "refused");
            }
        }
        let mut p = match f.kind() {
            Kind::Transient => Problem::busy(f.detail(), 5),
            kind => Problem::new(status_of(kind), f.detail()),
        };
        p.reasons = f.reasons().to_vec();
        p
    }
}

impl From<Fault> for Box<Problem> {
    fn from(f: Fault) -> Self {
        Box::new(f.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        Box::new(self).into_response()
    }
}

/// Carries the problem to the gate as an extension; the gate writes the body.
impl IntoResponse for Box<Problem> {
    fn into_response(self) -> Response {
        let mut r = Response::new(Body::empty());
        *r.status_mut() = self.status;
        r.extensions_mut().insert(std::sync::Arc::new(*self));
        r
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_fault_has_its_status_and_only_what_passes_asks_to_come_back() {
        for (kind, status) in [
            (Kind::Invalid, 422),
            (Kind::NotFound, 404),
            (Kind::Conflict, 409),
            (Kind::Capacity, 409),
            (Kind::Forbidden, 403),
            (Kind::Transient, 503),
            (Kind::Bug, 500),
            (Kind::Stale, 412),
        ] {
            let p = Problem::from(Fault::new(kind, "t").with_source(std::io::Error::other("secret")));
            assert_eq!(p.status.as_u16(), status, "{kind:?}");
            assert_eq!(p.headers.iter().any(|(n, _)| n == RETRY_AFTER), kind == Kind::Transient, "{kind:?}");
            assert!(!format!("{:?}", p.render("urn:x")).contains("secret"));
        }
    }
}
