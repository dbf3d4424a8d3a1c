//! HTTP for those who wait for each answer: adapters on plain threads that ask one place many things.
//!
//! Owns: the way there (TLS, credentials, the time that one call may take) and a runtime of its own, which runs
//! while somebody waits and costs nothing else. Never: what is asked, or what an answer means.

use std::time::{Duration, Instant};

use camino::Utf8Path;
use http_body_util::Full;
use hyper::{
    Method, Request,
    body::Bytes,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use tokio::runtime::{Builder, Runtime};

use super::{
    client::{Heard, Line, Target, basic},
    tls::pinned,
};
use crate::model::error::{Fault, Result};

/// An inventory of a switch has a line for each of its flows.
const MOST: usize = 8 << 20;

/// What is asked.
pub struct Ask<'a> {
    pub method: &'a str,
    /// With its query.
    pub path: &'a str,
    pub accept: &'a str,
    /// Its type, and the body.
    pub content: Option<(&'a str, &'a str)>,
}

pub struct Web {
    /// `None`: it is going.
    runtime: Option<Runtime>,
    line: Line,
    basic: Option<HeaderValue>,
    one: Duration,
    used: Instant,
}

/// A connection is kept from one request to the next of the same errand. Nobody sees in between that it was closed.
const KEPT: Duration = Duration::from_secs(1);

impl Web {
    /// `ca`: a PEM file of the authorities that are believed, the system's where it is empty. `one`: longest wait
    /// for one answer.
    pub fn open(url: &str, login: Option<(&str, &str)>, ca: &str, one: Duration) -> Result<Web> {
        let target = Target::parse("url", url)?;
        if login.is_some() && !target.is_tls() && !target.is_here() {
            return Err(Fault::invalid(format!("url: '{url}': credentials go over https, or to this box itself")));
        }
        let basic = login.map(|(user, password)| basic(user, password.as_bytes())).transpose()?;
        let tls = pinned(Utf8Path::new(ca), "ca")?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_keep_alive(Duration::from_secs(1))
            .build()
            .map_err(|e| Fault::transient(format!("no sockets for {url}: {e}")).with_source(e))?;
        Ok(Web {
            runtime: Some(runtime),
            line: Line { target, tls, timeout: one, most: MOST, open: None, outside: false },
            basic,
            one,
            used: Instant::now(),
        })
    }

    /// The path of its URL.
    pub fn root(&self) -> &str {
        self.line.target.path()
    }

    /// The answer, or why there is none; not after `until`.
    pub fn ask(&mut self, a: &Ask<'_>, until: Instant) -> Result<Heard, String> {
        let method: Method = a.method.parse().map_err(|_| format!("{} is no method", a.method))?;
        let mut request = Request::builder().method(method).header(ACCEPT, a.accept);
        if let Some((kind, _)) = a.content {
            request = request.header(CONTENT_TYPE, kind);
        }
        if let Some(basic) = &self.basic {
            request = request.header(AUTHORIZATION, basic.clone());
        }
        let body = a.content.map(|(_, body)| Bytes::copy_from_slice(body.as_bytes())).unwrap_or_default();
        let request = request.body(Full::new(body)).map_err(|e| format!("it cannot be asked: {e}"))?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("it took too long altogether".into());
        }
        self.line.timeout = self.one.min(left);
        if self.used.elapsed() > KEPT {
            self.line.open = None;
        }
        let runtime = self.runtime.as_ref().ok_or("it is being left")?;
        let heard = runtime.block_on(self.line.ask(request, Some(a.path)));
        self.used = Instant::now();
        heard
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        // Whoever lets go may not wait.
        if let Some(r) = self.runtime.take() {
            r.shutdown_background();
        }
    }
}
