//! Call-home at the sockets (RFC 8071): dials a centre, is the server of TLS on that connection, and serves the API there.
//!
//! Owns the tries and the connection; what is served on it, and who is let in, is as on any listener. Never: when the next try is
//! (`call_home::schedule`).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, http::HeaderMap};
use tokio::{net::TcpStream, sync::watch, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    problem::{Answer, Problem},
    server::{Holder, Patience, Peer, Who, stopped, talk},
    tls::ForCentre,
};
use crate::{
    access::{Caller, certificate::Certificate},
    call_home::Centre,
};

/// Longest wait for a TCP connection, looking its name up included.
const CONNECT: Duration = Duration::from_secs(20);

/// By whose connection a request came. What such a centre says of where its client is, is believed.
#[derive(Clone)]
pub struct ByCentre(pub Arc<Centre>);

impl ByCentre {
    /// Whoever was let in may call by this connection.
    pub fn admits(&self, caller: &Caller) -> Answer<()> {
        if self.0.is(&caller.name) {
            return Ok(());
        }
        let detail = format!("{} may not call by the connection to {}: call_home.client names who may", caller.name, self.0.name());
        Err(Box::new(Problem::new(axum::http::StatusCode::UNAUTHORIZED, detail)))
    }
}

/// Where the client of a centre finds this API, as the centre says: `https://hub:9443/boxes/BX-1`. `None` where it does not say so
/// in full, or in a form that a link cannot have.
pub fn place(headers: &HeaderMap) -> Option<String> {
    let one = |name: &str| {
        let mut all = headers.get_all(name).iter();
        let (first, None) = (all.next()?.to_str().ok()?, all.next()) else { return None };
        Some(first)
    };
    let plain = |s: &str, more: &[u8]| s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b) || more.contains(&b));
    let scheme = one("x-forwarded-proto").filter(|s| ["http", "https"].contains(s))?;
    let host = one("x-forwarded-host").filter(|h| !h.is_empty() && plain(h, b":[]"))?;
    let prefix = one("x-forwarded-prefix").filter(|p| p.is_empty() || (p.starts_with('/') && !p.contains("//") && plain(p, b"/")))?;
    Some(format!("{scheme}://{host}{}", prefix.trim_end_matches('/')))
}

/// What it takes to serve a centre.
pub struct Serving {
    pub router: Router,
    pub tls: ForCentre,
    pub patience: Patience,
}

/// Keeps the connection to a centre until told to stop; then requests under way are let to their end.
pub async fn keep(centre: Arc<Centre>, serving: Serving, mut stop: watch::Receiver<bool>) {
    loop {
        let pause = centre.waits();
        let dialled = tokio::select! {
            () = stopped(&mut stop) => break,
            dialled = async {
                tokio::time::sleep(pause).await;
                centre.calls();
                dial(&centre, &serving).await
            } => dialled,
        };
        let (why, held) = match dialled {
            Err(why) => (why, Duration::ZERO),
            Ok((tls, from, certificate)) => {
                let begun = Instant::now();
                centre.connected();
                tracing::info!(centre = centre.name(), address = centre.address(), "connected to a centre");
                let who = Who { peer: Peer::Remote(from), holder: certificate.map(Holder), centre: Some(ByCentre(centre.clone())) };
                let why = talk(tls, who, serving.router.clone(), serving.patience, stop.clone()).await;
                (why.unwrap_or_else(|| "the connection ended".into()), begun.elapsed())
            }
        };
        if *stop.borrow() {
            break;
        }
        if centre.lost(&why, held) {
            tracing::warn!(centre = centre.name(), address = centre.address(), why, "not connected to a centre");
        } else {
            tracing::debug!(centre = centre.name(), why, "not connected to a centre");
        }
    }
    centre.stopped();
}

type Dialled = (TlsStream<TcpStream>, std::net::SocketAddr, Option<Arc<Certificate>>);

async fn dial(centre: &Centre, serving: &Serving) -> Result<Dialled, String> {
    let tls = serving.tls.load().map_err(|f| f.detail())?;
    let tcp = timeout(CONNECT, TcpStream::connect(centre.address())).await.map_err(|_| "it does not answer".to_owned())?;
    let tcp = tcp.map_err(|e| e.to_string())?;
    let from = tcp.peer_addr().map_err(|e| e.to_string())?;
    let _ = tcp.set_nodelay(true);
    let accepted = timeout(serving.patience.header_timeout, TlsAcceptor::from(tls).accept(tcp)).await;
    let tls = accepted.map_err(|_| "no TLS in time".to_owned())?.map_err(|e| no_tls(&e))?;
    let (_, session) = tls.get_ref();
    // Connections of HTTP/1.1 end where they are idle.
    if session.alpn_protocol() != Some(b"h2") {
        return Err("it does not speak HTTP/2".into());
    }
    let certificate = session.peer_certificates().and_then(<[_]>::first).map(|c| Arc::new(Certificate::read(c)));
    Ok((tls, from, certificate))
}

/// Which side refused, where one did.
fn no_tls(e: &std::io::Error) -> String {
    match e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => format!("it refuses this box's certificate, or its TLS ({alert:?})"),
        Some(rustls::Error::InvalidCertificate(why)) => format!("its certificate is not believed: {why:?} (call_home.ca)"),
        Some(rustls::Error::NoCertificatesPresented) => "it shows no certificate".into(),
        Some(_) | None => format!("no TLS with it: {e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_that_a_centre_tells_is_taken_whole_or_not_at_all() {
        for (proto, host, prefix, want) in [
            ("https", "hub:9443", "/boxes/BX-1", Some("https://hub:9443/boxes/BX-1")),
            ("http", "[::1]:80", "", Some("http://[::1]:80")),
            ("https", "hub", "/a/", Some("https://hub/a")),
            ("ftp", "hub", "/a", None),
            ("https", "", "/a", None),
            ("https", "hub/evil", "/a", None),
            ("https", "u@hub", "/a", None),
            ("https", "hub", "a", None),
            ("https", "hub", "//evil/a", None),
            ("https", "hub", "/a?b", None),
            ("https", "hub", "/a\"", None),
        ] {
            let said = [("x-forwarded-proto", proto), ("x-forwarded-host", host), ("x-forwarded-prefix", prefix)];
            let mut h: HeaderMap = said.iter().map(|(n, v)| (n.parse().expect("name"), v.parse().expect("value"))).collect();
            assert_eq!(place(&h).as_deref(), want, "{said:?}");
            h.append("x-forwarded-host", "other".parse().expect("value"));
            assert_eq!(place(&h), None, "two hosts");
            h.remove("x-forwarded-host");
            assert_eq!(place(&h), None, "no host");
        }
    }
}
