//! The hub's bootstrap server (RFC 8572 4.4, 7): boxes ask it what they shall be, and tell it how that goes. RESTCONF in JSON.
//!
//! ```text
//! box --TLS, both show who they are--> is it enrolled here? --get-bootstrapping-data--> answers (handed in)
//!                                                          `--report-progress--------> the registry
//! ```
//! Owns the sockets and who is let in: boxes whose IDevID leads to one of the anchors and names a serial number that is enrolled.
//! Never: what a box shall be, or a signature.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use camino::Utf8PathBuf;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier};
use smol_str::SmolStr;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{Guest, Guests, HANDSHAKE, Hub, WAITING};
use crate::{
    access::certificate::Certificate,
    model::error::{Fault, Kind, Result},
    ztp::{
        report::{LONGEST_MESSAGE, Report},
        rpc::{self, Answer, Ask},
    },
};

/// Boxes that are answered at one time: each may need signatures, which are processes of their own.
const AT_WORK: usize = 16;
/// Connections that are served.
const AT_THE_DOOR: usize = 128;
/// From a connection's begin to its end. Boxes open one for each request.
const LONGEST: Duration = Duration::from_secs(120);
const HEAD: Duration = Duration::from_secs(10);
/// A request for a certificate is the longest thing that comes.
const MOST: usize = 64 * 1024;

pub struct Settings {
    pub certificate: Utf8PathBuf,
    pub key: Utf8PathBuf,
    /// Who signs IDevIDs.
    pub devices: Utf8PathBuf,
}

/// What a box of this serial number is answered; on a thread that may block.
pub type Answers = Box<dyn Fn(&str, &Ask) -> Result<Answer> + Send + Sync>;

pub struct Bootstrap(JoinHandle<()>);

struct Desk {
    hub: Arc<Hub>,
    tls: Arc<ServerConfig>,
    answers: Answers,
    work: Semaphore,
}

impl Bootstrap {
    /// Has to be called inside the runtime.
    pub fn start(listener: TcpListener, s: &Settings, hub: Arc<Hub>, answers: Answers) -> Result<Bootstrap> {
        let desk = Desk { hub, tls: tls(s)?, answers, work: Semaphore::new(AT_WORK) };
        Ok(Bootstrap(tokio::spawn(accept(Arc::new(desk), listener))))
    }
}

impl Drop for Bootstrap {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn tls(s: &Settings) -> Result<Arc<ServerConfig>> {
    let bad = |what: &str, path: &Utf8PathBuf, e: String| Fault::invalid(format!("{path} holds no usable {what}: {e}"));
    let certificates = |path: &Utf8PathBuf, what: &str| crate::tls::certificates(path).map_err(|e| bad(what, path, e));
    let mut roots = RootCertStore::empty();
    for c in certificates(&s.devices, "certificates (hub.devices)")? {
        roots.add(c).map_err(|e| bad("certificates (hub.devices)", &s.devices, e.to_string()))?;
    }
    let provider = Arc::new(ring::default_provider());
    let devices = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|e| bad("certificates (hub.devices)", &s.devices, e.to_string()))?;
    let chain = certificates(&s.certificate, "certificate (hub.certificate)")?;
    let secret = crate::tls::private_key(&s.key).map_err(|e| bad("private key (hub.key)", &s.key, e))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Fault::bug(format!("TLS: {e}")))?
        .with_client_cert_verifier(devices)
        .with_single_cert(chain, secret)
        .map_err(|e| bad("pair of certificate and key", &s.certificate, e.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

async fn accept(desk: Arc<Desk>, listener: TcpListener) {
    let (waiting, door) = (Arc::new(Semaphore::new(WAITING)), Arc::new(Semaphore::new(AT_THE_DOOR)));
    let (mut all, guests) = (JoinSet::new(), Guests::default());
    loop {
        let Ok(place) = waiting.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((tcp, from)) => {
                if let Some(guest) = Guest::let_in(&guests, site(from.ip())) {
                    let (desk, door) = (desk.clone(), door.clone());
                    all.spawn(async move {
                        let _held = place;
                        let Some(_turn) = guest.turn(&door).await else { return };
                        if timeout(LONGEST, meet(desk, tcp, from)).await.is_err() {
                            tracing::debug!(%from, "a box that bootstraps took too long");
                        }
                    });
                }
            }
            Err(e) => {
                tracing::warn!(error = %e, "the bootstrap server cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        while all.try_join_next().is_some() {}
    }
}

/// Who has one address of IPv6 has a /64 of them.
fn site(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(a) => IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

async fn meet(desk: Arc<Desk>, tcp: TcpStream, from: SocketAddr) {
    let _ = tcp.set_nodelay(true);
    let tls = match timeout(HANDSHAKE, TlsAcceptor::from(desk.tls.clone()).accept(tcp)).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => return tracing::warn!(%from, %error, "who would bootstrap is no box of a known manufacturer"),
        Err(_) => return tracing::debug!(%from, "no TLS in time"),
    };
    let shown = tls.get_ref().1.peer_certificates().and_then(<[_]>::first).map(|c| Certificate::read(c));
    let serial = shown.and_then(|c| c.serial);
    let service = service_fn(|request| {
        let (desk, serial) = (desk.clone(), serial.clone());
        async move { Ok::<_, Infallible>(answer(&desk, serial, request, from).await) }
    });
    let mut http = http1::Builder::new();
    let http = http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    if let Err(error) = http.serve_connection(TokioIo::new(tls), service).await {
        tracing::debug!(%from, %error, "a box that bootstraps broke off");
    }
}

type Said = Response<Full<Bytes>>;

fn said(status: StatusCode, body: Vec<u8>) -> Said {
    let mut r = Response::new(Full::new(body.into()));
    *r.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        r.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(rpc::JSON));
    }
    r.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    r
}

fn no(status: StatusCode, tag: &str, message: &str) -> Said {
    said(status, rpc::errors(tag, message, None))
}

async fn answer(desk: &Arc<Desk>, serial: Option<SmolStr>, request: Request<Incoming>, from: SocketAddr) -> Said {
    let is_json = |r: &Request<Incoming>| {
        let kind = r.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or(rpc::JSON);
        kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case(rpc::JSON))
    };
    let reports = match request.uri().path() {
        rpc::GET_DATA => false,
        rpc::REPORT => true,
        _ => return no(StatusCode::NOT_FOUND, "invalid-value", "a bootstrap server has get-bootstrapping-data and report-progress"),
    };
    if request.method() != Method::POST {
        let mut r = no(StatusCode::METHOD_NOT_ALLOWED, "operation-not-supported", "operations are called by POST");
        r.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return r;
    }
    if !is_json(&request) {
        return no(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "invalid-value",
            "application/yang-data+json is what is read here; XML is not offered",
        );
    }
    let Some(serial) = serial.filter(|s| desk.hub.view(s).is_some()) else {
        tracing::warn!(%from, "a box would bootstrap that is not enrolled here");
        return no(StatusCode::FORBIDDEN, "access-denied", "this box is not enrolled here");
    };
    let Ok(body) = Limited::new(request.into_body(), MOST).collect().await else {
        return no(StatusCode::PAYLOAD_TOO_LARGE, "too-big", "the request is too long, or broke off");
    };
    let body = body.to_bytes();
    if reports { told(desk, &serial, &body) } else { asked(desk, serial, &body).await }
}

fn told(desk: &Desk, serial: &SmolStr, body: &[u8]) -> Said {
    let mut report = match Report::read(body) {
        Ok(r) => r,
        Err(f) => return no(StatusCode::BAD_REQUEST, "invalid-value", f.text()),
    };
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    report.message = report.message.chars().map(clean).take(LONGEST_MESSAGE).collect();
    tracing::info!(%serial, progress = ?report.progress, message = report.message, "a box bootstraps");
    desk.hub.told(serial, report);
    said(StatusCode::NO_CONTENT, Vec::new())
}

async fn asked(desk: &Arc<Desk>, serial: SmolStr, body: &[u8]) -> Said {
    let ask = match Ask::read(body) {
        Ok(a) => a,
        Err(f) => return no(StatusCode::BAD_REQUEST, "invalid-value", f.text()),
    };
    let Ok(_turn) = desk.work.acquire().await else { return no(StatusCode::SERVICE_UNAVAILABLE, "operation-failed", "the hub stops") };
    let (d, s) = (desk.clone(), serial.clone());
    let made = tokio::task::spawn_blocking(move || (d.answers)(&s, &ask)).await;
    match made.unwrap_or_else(|_| Err(Fault::bug("an answer could not be made"))) {
        Ok(a) => {
            let (status, body) = a.write();
            said(StatusCode::from_u16(status).unwrap_or(StatusCode::OK), body)
        }
        Err(f) => {
            tracing::warn!(%serial, why = f.detail(), "a box that bootstraps is not answered");
            // What is wrong on the hub is for its operator; what is wrong with the request is for the box.
            match f.kind() {
                Kind::Invalid => no(StatusCode::BAD_REQUEST, "invalid-value", f.text()),
                Kind::NotFound => no(StatusCode::NOT_FOUND, "invalid-value", "there is nothing for this box here"),
                Kind::Conflict | Kind::Capacity | Kind::Forbidden | Kind::Transient | Kind::Bug | Kind::Stale => {
                    no(StatusCode::SERVICE_UNAVAILABLE, "operation-failed", "the hub cannot answer now; its log says why")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_counted_by_what_one_site_has_of_addresses() {
        for (a, b, same) in [
            ("2001:db8::1", "2001:db8::ffff:0:0:2", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
            ("192.0.2.1", "192.0.2.2", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
        ] {
            let [x, y] = [a, b].map(|t| site(t.parse().expect("address")));
            assert_eq!(x == y, same, "{a} {b}");
        }
    }
}
