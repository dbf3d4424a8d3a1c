//! HTTP towards a subscriber, a central NFVO, or a VNF: one connection that is kept, TLS, credentials.
//!
//! Errors are words for the operator; none holds a secret.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use data_encoding::BASE64;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, Uri,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, HeaderValue, IF_NONE_MATCH, IF_RANGE, LINK, LOCATION, RANGE, RETRY_AFTER},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use serde::Deserialize;
use tokio::{net::TcpStream, time::timeout};

use super::{Rendered, Tls};
use crate::model::{
    error::{Fault, Result},
    subscription::Auth,
    url,
};

/// Of an answer no more than this is read: a grant has a line for each resource.
const MOST_ANSWER: usize = 1024 * 1024;
/// A token is renewed so long before its end.
const TOKEN_SLACK: Duration = Duration::from_secs(30);

/// Where a URI leads.
pub struct Target {
    tls: bool,
    host: String,
    port: u16,
    authority: HeaderValue,
    path: String,
}

impl Target {
    /// An absolute `http` or `https` URI without user and fragment.
    pub fn parse(what: &str, uri: &str) -> Result<Target> {
        // What may be a secret in it is not repeated.
        let bad = |why: &str| Fault::invalid(format!("{what}: '{}' {why}", url::shown(uri)));
        let parsed: Uri = uri.parse().map_err(|_| bad("is no URI"))?;
        let tls = match parsed.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err(bad("must be an http or https URI")),
        };
        let authority = parsed.authority().ok_or_else(|| bad("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("must not carry credentials: they belong into 'authentication'"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(bad("names no host"));
        }
        Ok(Target {
            tls,
            host,
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: HeaderValue::try_from(authority.as_str()).map_err(|_| bad("names no usable host"))?,
            path: parsed.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        })
    }

    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// An address of this box itself.
    pub fn is_here(&self) -> bool {
        self.host.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path that a `Location` names, if it is here: credentials are for nobody else.
    fn path_of(&self, location: &str) -> Option<String> {
        if location.starts_with('/') && !location.starts_with("//") {
            return Some(location.to_owned());
        }
        let there = Target::parse("Location", location).ok()?;
        ((there.tls, &there.host, there.port) == (self.tls, &self.host, self.port)).then_some(there.path)
    }
}

/// Whom to call, and how to show who it is.
pub struct Dial<'a> {
    /// What the URI is called where it was given.
    pub what: &'a str,
    pub uri: &'a str,
    pub auth: Option<&'a Auth>,
}

/// An answer.
pub struct Heard {
    pub status: u16,
    /// The path of its `Location`, if that is at the same place.
    pub location: Option<String>,
    /// Seconds of its `Retry-After`; one that is a date is passed over.
    pub retry_after: Option<u64>,
    /// The same of the next page of a list, as a `Link` has it.
    pub next: Option<String>,
    /// Its `ETag`.
    pub mark: Option<String>,
    pub body: Bytes,
}

/// An answer whose body is still to come.
pub struct Stream {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Incoming,
    _sender: SendRequest<Full<Bytes>>,
}

/// What is still to come of an answer that broke off.
pub struct Part<'p> {
    pub from: u64,
    /// What it is a part of, as its ETag had it.
    pub of: Option<&'p HeaderValue>,
}

/// A connection that is opened when it is needed, and kept.
pub(super) struct Line {
    pub(super) target: Target,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) timeout: Duration,
    /// Of an answer no more bytes than this are read.
    pub(super) most: usize,
    pub(super) open: Option<SendRequest<Full<Bytes>>>,
    /// Nobody on this box itself is called.
    pub(super) outside: bool,
}

impl Line {
    pub(super) async fn ask(&mut self, request: Request<Full<Bytes>>, path: Option<&str>) -> Result<Heard, String> {
        let limit = self.timeout;
        let answer = timeout(limit, self.ask_now(request, path))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", limit.as_secs_f32())));
        if answer.is_err() {
            self.open = None;
        }
        answer
    }

    /// The answer up to its head; its body comes as long as the sender is kept.
    async fn send(
        &self,
        request: Request<Full<Bytes>>,
        kept: Option<SendRequest<Full<Bytes>>>,
    ) -> Result<(SendRequest<Full<Bytes>>, Response<Incoming>), String> {
        let mut sender = match kept {
            Some(s) => s,
            None => self.connect().await?,
        };
        let response = sender.send_request(request).await.map_err(|e| format!("the connection broke: {e}"))?;
        Ok((sender, response))
    }

    fn address(&self, request: &mut Request<Full<Bytes>>, path: Option<&str>) -> Result<(), String> {
        *request.uri_mut() = path.unwrap_or(&self.target.path).parse().map_err(|_| "the path cannot be asked for".to_owned())?;
        request.headers_mut().insert(HOST, self.target.authority.clone());
        Ok(())
    }

    async fn ask_now(&mut self, mut request: Request<Full<Bytes>>, path: Option<&str>) -> Result<Heard, String> {
        self.address(&mut request, path)?;
        // A connection that the subscriber has closed meanwhile is opened anew.
        let kept = match self.open.take() {
            Some(mut s) => s.ready().await.is_ok().then_some(s),
            None => None,
        };
        let (sender, response) = self.send(request, kept).await?;
        let status = response.status().as_u16();
        let location = response.headers().get(LOCATION).and_then(|l| l.to_str().ok()).and_then(|l| self.target.path_of(l));
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|r| r.to_str().ok()?.trim().parse().ok());
        let mark = response.headers().get(ETAG).and_then(|m| m.to_str().ok()).map(str::to_owned);
        let next = response.headers().get(LINK).and_then(|l| l.to_str().ok()).and_then(next_of).and_then(|l| self.target.path_of(l));
        let body = Limited::new(response.into_body(), self.most).collect().await.map_err(|e| format!("the answer broke off: {e}"))?;
        self.open = Some(sender);
        Ok(Heard { status, location, retry_after, next, mark, body: body.to_bytes() })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let at = &self.target;
        let tcp = TcpStream::connect((at.host.as_str(), at.port)).await.map_err(|e| format!("cannot connect to {}: {e}", at.host))?;
        let _ = tcp.set_nodelay(true);
        if self.outside {
            let (here, there) = (tcp.local_addr(), tcp.peer_addr());
            let (here, there) = (here.map_err(|e| e.to_string())?.ip(), there.map_err(|e| e.to_string())?.ip());
            if is_here(here, there) {
                return Err(format!("{} is at {there}, which is this box itself or leads nowhere else", at.host));
            }
        }
        if !at.tls {
            return handshake(tcp).await;
        }
        let name = ServerName::try_from(at.host.clone()).map_err(|e| format!("{} is no name for TLS: {e}", at.host))?;
        let tls = tokio_rustls::TlsConnector::from(self.tls.clone())
            .connect(name, tcp)
            .await
            .map_err(|e| format!("no TLS with {}: {e}", at.host))?;
        handshake(tls).await
    }
}

/// The target of the link whose relation is `next` (RFC 8288).
fn next_of(links: &str) -> Option<&str> {
    let mut rest = links;
    loop {
        // A target may have commas and semicolons of its own.
        let (target, after) = rest.split_once('<')?.1.split_once('>')?;
        let (params, more) = after.split_once('<').map_or((after, ""), |(p, _)| (p, &after[p.len()..]));
        if params.split([';', ',']).any(|p| matches!(p.trim(), "rel=\"next\"" | "rel=next")) {
            return Some(target);
        }
        rest = more;
    }
}

async fn handshake<T>(stream: T) -> Result<SendRequest<Full<Bytes>>, String>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| format!("no HTTP: {e}"))?;
    tokio::spawn(connection);
    Ok(sender)
}

enum Credentials {
    None,
    Basic(HeaderValue),
    Client { basic: HeaderValue, tokens: Box<Line>, token: Option<(HeaderValue, Instant)> },
}

/// Calls one subscriber.
pub struct Caller {
    line: Line,
    credentials: Credentials,
}

/// The other end of a connection is no other machine, or one that only a link of this box has.
fn is_here(here: IpAddr, there: IpAddr) -> bool {
    let there = there.to_canonical();
    let link_local = match there {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    };
    there == here.to_canonical() || there.is_loopback() || there.is_unspecified() || link_local
}

pub(super) fn basic(user: &str, password: &[u8]) -> Result<HeaderValue> {
    let plain = [user.as_bytes(), b":", password].concat();
    let mut v =
        HeaderValue::try_from(format!("Basic {}", BASE64.encode(&plain))).map_err(|_| Fault::bug("credentials cannot be a header"))?;
    v.set_sensitive(true);
    Ok(v)
}

impl Caller {
    /// From here on it is not this box itself that is called, by whatever name.
    pub fn only_outside(mut self) -> Caller {
        self.line.outside = true;
        self
    }
    pub fn new(to: &Dial<'_>, open: impl Fn(&[u8]) -> Result<Vec<u8>>, tls: &Tls, timeout: Duration) -> Result<Caller> {
        let line = |what: &str, uri: &str, tls: &Arc<ClientConfig>| -> Result<Line> {
            Ok(Line { target: Target::parse(what, uri)?, tls: tls.clone(), timeout, most: MOST_ANSWER, open: None, outside: false })
        };
        let secret = |l: &Line, what: &str| {
            if l.target.is_tls() {
                return Ok(());
            }
            Err(Fault::invalid(format!("{what}: credentials go over https only")))
        };
        let (credentials, with) = match to.auth {
            None => (Credentials::None, &tls.plain),
            Some(Auth::Certificate) => (Credentials::None, &tls.known),
            Some(Auth::Basic { user, sealed }) => (Credentials::Basic(basic(user, &open(sealed)?)?), &tls.plain),
            Some(Auth::ClientCredentials { client, sealed, endpoint }) => {
                let tokens = line("tokenEndpoint", endpoint, &tls.plain)?;
                secret(&tokens, "tokenEndpoint")?;
                (Credentials::Client { basic: basic(client, &open(sealed)?)?, tokens: Box::new(tokens), token: None }, &tls.plain)
            }
        };
        let line = line(to.what, to.uri, with)?;
        if to.auth.is_some() {
            secret(&line, to.what)?;
        }
        Ok(Caller { line, credentials })
    }

    /// How long it waits for an answer.
    pub fn timeout(&self) -> Duration {
        self.line.timeout
    }

    /// The test of the callback URI.
    pub async fn get(&mut self) -> Result<u16, String> {
        self.call(None, || Request::builder().method(Method::GET).body(Full::default())).await.map(|h| h.status)
    }

    /// A request of another API; `path` where it is not the one that was dialled.
    pub async fn ask(&mut self, method: Method, path: Option<&str>, version: &str, body: Bytes) -> Result<Heard, String> {
        self.call(path, || {
            let mut r = Request::builder().method(method.clone()).header("version", version);
            if !body.is_empty() {
                r = r.header(CONTENT_TYPE, "application/json");
            }
            r.body(Full::new(body.clone()))
        })
        .await
    }

    /// What is there now, unless it has this mark (304).
    pub async fn newer(&mut self, mark: Option<&str>) -> Result<Heard, String> {
        self.call(None, || {
            let mut r = Request::builder().method(Method::GET).header(ACCEPT, "application/cms, */*");
            if let Some(m) = mark {
                r = r.header(IF_NONE_MATCH, m);
            }
            r.body(Full::default())
        })
        .await
    }

    pub async fn post(&mut self, n: &Rendered) -> Result<u16, String> {
        self.call(None, || {
            Request::builder()
                .method(Method::POST)
                .header(CONTENT_TYPE, "application/json")
                .header("version", &n.version)
                .body(Full::new(Bytes::copy_from_slice(&n.body)))
        })
        .await
        .map(|h| h.status)
    }

    /// A GET whose body is the caller's to read; nothing of it is held back here. What it leads on to is not followed.
    pub async fn stream(&mut self, part: Option<Part<'_>>) -> Result<Stream, String> {
        let mut again = true;
        loop {
            let mut r = Request::new(Full::default());
            self.line.address(&mut r, None)?;
            r.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/zip, */*"));
            if let Some(p) = &part {
                r.headers_mut().insert(RANGE, HeaderValue::try_from(format!("bytes={}-", p.from)).map_err(|e| e.to_string())?);
                p.of.map(|of| r.headers_mut().insert(IF_RANGE, of.clone()));
            }
            if let Some(v) = self.credentials.header().await? {
                r.headers_mut().insert(AUTHORIZATION, v);
            }
            let limit = self.line.timeout;
            let sent = timeout(limit, self.line.send(r, None)).await;
            let (sender, response) = sent.unwrap_or_else(|_| Err(format!("no answer within {} s", limit.as_secs_f32())))?;
            if response.status() == 401 && again && self.credentials.forget() {
                again = false;
                continue;
            }
            let (head, body) = response.into_parts();
            return Ok(Stream { status: head.status.as_u16(), headers: head.headers, body, _sender: sender });
        }
    }

    async fn call(&mut self, path: Option<&str>, request: impl Fn() -> hyper::http::Result<Request<Full<Bytes>>>) -> Result<Heard, String> {
        let mut again = true;
        loop {
            let mut r = request().map_err(|e| format!("the request cannot be made: {e}"))?;
            r.headers_mut().entry(ACCEPT).or_insert(HeaderValue::from_static("application/json, application/problem+json"));
            if let Some(v) = self.credentials.header().await? {
                r.headers_mut().insert(AUTHORIZATION, v);
            }
            let heard = self.line.ask(r, path).await?;
            // The token may have been revoked before its time.
            if heard.status == 401 && again && self.credentials.forget() {
                again = false;
                continue;
            }
            return Ok(heard);
        }
    }
}

impl Credentials {
    async fn header(&mut self) -> Result<Option<HeaderValue>, String> {
        match self {
            Credentials::None => Ok(None),
            Credentials::Basic(v) => Ok(Some(v.clone())),
            Credentials::Client { basic, tokens, token } => {
                if let Some((v, until)) = token
                    && *until > Instant::now()
                {
                    return Ok(Some(v.clone()));
                }
                let (v, until) = fetch_token(tokens, basic).await.map_err(|e| format!("no token: {e}"))?;
                *token = Some((v.clone(), until));
                Ok(Some(v))
            }
        }
    }

    fn forget(&mut self) -> bool {
        match self {
            Credentials::Client { token, .. } => token.take().is_some(),
            Credentials::None | Credentials::Basic(_) => false,
        }
    }
}

/// RFC 6749 4.4.
async fn fetch_token(line: &mut Line, basic: &HeaderValue) -> Result<(HeaderValue, Instant), String> {
    #[derive(Deserialize)]
    struct Token {
        access_token: String,
        expires_in: Option<u64>,
    }
    let request = Request::builder()
        .method(Method::POST)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .header(AUTHORIZATION, basic.clone())
        .body(Full::new(Bytes::from_static(b"grant_type=client_credentials")))
        .map_err(|e| e.to_string())?;
    let Heard { status, body, .. } = line.ask(request, None).await?;
    if status != 200 {
        return Err(format!("the token endpoint answered {status}"));
    }
    let token: Token = serde_json::from_slice(&body).map_err(|_| "the token endpoint's answer is no token".to_owned())?;
    let mut v = HeaderValue::try_from(format!("Bearer {}", token.access_token)).map_err(|_| "the token cannot be a header".to_owned())?;
    v.set_sensitive(true);
    let life = Duration::from_secs(token.expires_in.unwrap_or(300).min(86_400)).saturating_sub(TOKEN_SLACK);
    Ok((v, Instant::now() + life))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_links_whatever_is_in_their_targets() {
        for (links, next) in [
            ("<https://a/v?x=1,2;3>; rel=\"next\"", Some("https://a/v?x=1,2;3")),
            ("</first>; rel=\"first\", </v?filter=(eq,a,b)&p=2>; title=x; rel=next", Some("/v?filter=(eq,a,b)&p=2")),
            ("</first>; rel=first", None),
            ("", None),
        ] {
            assert_eq!(next_of(links), next, "{links}");
        }
    }

    #[test]
    fn targets_are_absolute_http_uris_without_credentials() {
        for (uri, want) in [
            ("http://a/b?c=d", Some(("a", 80, "/b?c=d"))),
            ("https://a.example:8443", Some(("a.example", 8443, "/"))),
            ("https://[::1]/x", Some(("::1", 443, "/x"))),
            ("ftp://a/b", None),
            ("/b", None),
            ("http://u:p@a/b?key", None),
            ("http:///b", None),
            ("no uri at all", None),
        ] {
            let got = Target::parse("callbackUri", uri);
            assert!(got.as_ref().err().is_none_or(|f| !f.text().contains("u:p") && !f.text().contains('?')), "{uri}");
            assert_eq!(got.as_ref().ok().map(|t| (t.host.as_str(), t.port, t.path.as_str())), want, "{uri}");
        }
    }

    #[test]
    fn what_leads_to_this_box_itself_is_known() {
        for (here, there, want) in [
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", true),
            ("::1", "::1", true),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("169.254.1.1", "169.254.169.254", true),
            ("fe80::1", "fe80::2", true),
            ("2001:db8::1", "2001:db8::2", false),
        ] {
            let ip = |a: &str| a.parse::<IpAddr>().expect("an address");
            assert_eq!(is_here(ip(here), ip(there)), want, "{here} {there}");
        }
    }

    #[test]
    fn a_location_elsewhere_is_none() {
        let at = Target::parse("apiRoot", "https://orch:8443/x/grant/v1/grants").expect("target");
        for (location, want) in [
            ("/grant/v1/grants/1", Some("/grant/v1/grants/1")),
            ("https://orch:8443/x/grant/v1/grants/1?a", Some("/x/grant/v1/grants/1?a")),
            ("https://orch/x", None),
            ("http://orch:8443/x", None),
            ("https://other:8443/x", None),
            ("//other/x", None),
            ("grants/1", None),
        ] {
            assert_eq!(at.path_of(location).as_deref(), want, "{location}");
        }
    }
}
