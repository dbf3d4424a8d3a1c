//! Routes with their table: the router, and the list of what it serves, cannot differ.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    http::{HeaderMap, Method, StatusCode, header::ACCEPT},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{MethodRouter, delete, get, patch, post, put},
};

use super::{
    Services,
    problem::{Answer, Problem},
};

type S = Arc<Services>;

/// Any other method on a path in the table is 405 with `Allow`, made by the router from the same
/// entries.
#[derive(Default)]
pub struct Routes {
    parts: Vec<(&'static str, Method, MethodRouter<S>)>,
    table: BTreeMap<&'static str, Vec<Method>>,
}

impl Routes {
    /// Answers JSON.
    #[must_use]
    pub fn get<H: Handler<T, S>, T: 'static>(self, path: &'static str, h: H) -> Self {
        self.add(path, Method::GET, get(h).layer(from_fn(accepts_json)))
    }
    /// Answers something else than JSON, and looks at `Accept` itself ([`accepts`]).
    #[must_use]
    pub fn get_raw<H: Handler<T, S>, T: 'static>(self, path: &'static str, h: H) -> Self {
        self.add(path, Method::GET, get(h))
    }
    #[must_use]
    pub fn post<H: Handler<T, S>, T: 'static>(self, path: &'static str, h: H) -> Self {
        self.add(path, Method::POST, post(h).layer(from_fn(accepts_json)))
    }
    /// Answers something else than JSON.
    #[must_use]
    pub fn post_raw<H: Handler<T, S>, T: 'static>(self, path: &'static str, h: H) -> Self {
        self.add(path, Method::POST, post(h))
    }
    #[must_use]
    pub fn put<H: Handler<T, S>, T: 'static>(self, path: &'static str, h: H) -> Self {
        self.add(path, Method::PUT, put(h))
    }
    #[must_use]
    pub fn patch<H: Handler<T, S>, T: 'static>(self, path: &'static str, h: H) -> Self {
        self.add(path, Method::PATCH, patch(h).layer(from_fn(accepts_json)))
    }
    /// Answers something else than JSON.
    #[must_use]
    pub fn patch_raw<H: Handler<T, S>, T: 'static>(self, path: &'static str, h: H) -> Self {
        self.add(path, Method::PATCH, patch(h))
    }
    #[must_use]
    pub fn delete<H: Handler<T, S>, T: 'static>(self, path: &'static str, h: H) -> Self {
        self.add(path, Method::DELETE, delete(h))
    }
    #[must_use]
    fn add(mut self, path: &'static str, method: Method, h: MethodRouter<S>) -> Self {
        self.table.entry(path).or_default().push(method.clone());
        self.parts.push((path, method, h));
        self
    }
    #[must_use]
    pub fn and(mut self, other: Routes) -> Self {
        self.parts.extend(other.parts);
        // One path may come in two halves: each keeps its methods.
        for (path, methods) in other.table {
            self.table.entry(path).or_default().extend(methods);
        }
        self
    }
    /// What is served: each path with its methods.
    pub fn table(&self) -> &BTreeMap<&'static str, Vec<Method>> {
        &self.table
    }
    pub fn into_router(self) -> Router<S> {
        self.parts.into_iter().fold(Router::new(), |r, (path, _, h)| r.route(path, h))
    }
    /// Of these, what is at the second of each pair of paths, at the first, and dressed.
    #[must_use]
    pub fn again_at(self, paths: &[(&'static str, &'static str)], dress: impl Fn(MethodRouter<S>) -> MethodRouter<S>) -> Self {
        let mut out = Routes::default();
        for (path, method, h) in self.parts {
            if let Some((at, _)) = paths.iter().find(|(_, from)| *from == path) {
                out = out.add(at, method, dress(h));
            }
        }
        out
    }
}

async fn accepts_json(req: Request, next: Next) -> Response {
    match accepts(req.headers(), &["application/json"]) {
        Ok(_) => next.run(req).await,
        Err(p) => p.into_response(),
    }
}

/// Which of `served` the client likes best (by `q`, then by our order); 406 if none.
pub fn accepts<'t>(headers: &HeaderMap, served: &[&'t str]) -> Answer<&'t str> {
    let given: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).collect();
    if given.iter().all(|g| g.trim().is_empty()) {
        return served.first().copied().ok_or_else(|| Box::new(Problem::new(StatusCode::NOT_ACCEPTABLE, "nothing is served here")));
    }
    let mut best: Option<(f32, &'t str)> = None;
    for s in served {
        let (kind, _) = s.split_once('/').unwrap_or((s, ""));
        // The most exact range that covers the type decides its q (RFC 9110 12.5.1).
        let mut q: Option<(u8, f32)> = None;
        for g in &given {
            let mut parts = g.split(';').map(str::trim);
            let range = parts.next().unwrap_or("").to_ascii_lowercase();
            let exact = match range.as_str() {
                "*/*" | "*" => 0,
                r if r.strip_suffix("/*") == Some(kind) => 1,
                r if r == *s => 2,
                _ => continue,
            };
            let weight = parts.find_map(|p| p.strip_prefix("q=")).and_then(|v| v.parse::<f32>().ok()).unwrap_or(1.0);
            if q.is_none_or(|(e, _)| exact > e) {
                q = Some((exact, weight));
            }
        }
        if let Some((_, w)) = q
            && w > 0.0
            && best.is_none_or(|(b, _)| w > b)
        {
            best = Some((w, s));
        }
    }
    best.map(|(_, s)| s).ok_or_else(|| {
        Box::new(Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            format!("the client accepts {}; served here: {}", given.join(","), served.join(", ")),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_halves_of_one_path_keep_all_their_methods() {
        let half = |of: Routes| of.and(Routes::default().patch("/a/{id}", || async {}));
        let whole = half(Routes::default().get("/a/{id}", || async {}).delete("/a/{id}", || async {}));
        assert_eq!(whole.table()["/a/{id}"], [Method::GET, Method::DELETE, Method::PATCH]);
    }

    #[test]
    fn accept_is_read_as_rfc_9110_says() {
        let served = ["application/zip", "text/plain"];
        for (accept, want) in [
            ("", Some("application/zip")),
            ("*/*", Some("application/zip")),
            ("text/*", Some("text/plain")),
            ("text/plain, application/zip;q=0.5", Some("text/plain")),
            ("application/zip;q=0, */*", Some("text/plain")),
            ("TEXT/PLAIN", Some("text/plain")),
            ("application/json", None),
            ("*/*;q=0", None),
        ] {
            let h = HeaderMap::from_iter([(ACCEPT, accept.parse().expect("header"))]);
            assert_eq!(accepts(&h, &served).ok(), want, "{accept}");
        }
        assert_eq!(accepts(&HeaderMap::new(), &served).ok(), Some("application/zip"));
    }
}
