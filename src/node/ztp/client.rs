//! HTTPS towards bootstrap servers, one request to a connection, waited for.
//!
//! Owns whom the box believes at the other end: a trusted server by the anchors that the box has for it and by its name, any other
//! blindly (RFC 8572 5.5), which proves nothing but that it is one server. Shows the IDevID to all of them (5.3). Never: what is
//! said, or what an answer means.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use camino::Utf8Path;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http1,
    header::{ACCEPT, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use rustls::{
    CertificateError, ClientConfig, Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
};
use tokio::{net::TcpStream, runtime::Runtime, time::timeout};

use super::Place;
use crate::{
    model::error::{Fault, Result},
    tls::{self, By, Judge},
    ztp::{
        Der,
        artefact::{self, LIMIT},
        rpc::JSON,
        source::authority,
        walk::At,
    },
};

const LOOK_UP: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(10);
/// From the connection to the end of the answer: a server may have to sign first.
const ANSWER: Duration = Duration::from_secs(60);
/// Three artefacts in base64, each as large as it may be.
const MOST: usize = LIMIT * 4;

pub(super) struct Client {
    runtime: Runtime,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// The clock is one.
    dated: bool,
}

/// As usual, but without a clock: a certificate is looked at as on its first day (RFC 8572 9.1).
#[derive(Debug)]
struct Undated(Arc<WebPkiServerVerifier>);

impl Judge for Undated {
    fn judge(&self, own: &CertificateDer<'_>, between: &[CertificateDer<'_>], name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
        let first = artefact::not_before(own).and_then(|t| u64::try_from(t.as_second()).ok());
        let at = first.map_or(now, |s| UnixTime::since_unix_epoch(Duration::from_secs(s)));
        self.0.verify_server_cert(own, between, name, &[], at).map(|_| ())
    }
}

/// Any server, as long as it has the key of the certificate that it shows.
#[derive(Debug)]
struct Blind;

impl Judge for Blind {
    fn judge(&self, _: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: &ServerName<'_>, _: UnixTime) -> Result<(), Error> {
        Ok(())
    }
}

impl Client {
    pub fn open(place: &Place) -> Result<Client> {
        let (certificate, key) = (place.certificate(), place.key());
        let (chain, key) = read(&certificate, &key)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Fault::transient("no sockets for bootstrap servers").with_source(e))?;
        Ok(Client { runtime, chain, key, dated: place.now().stamp().is_some() })
    }

    fn tls(&self, anchors: &[Der]) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
        let builder = if anchors.is_empty() {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(By::new(Blind, &provider)))
        } else {
            let mut roots = RootCertStore::empty();
            for a in anchors {
                roots.add(CertificateDer::from(a.0.clone())).map_err(|e| format!("its trust anchor is no usable certificate: {e}"))?;
            }
            let usual =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().map_err(|e| e.to_string())?;
            if self.dated {
                builder.with_webpki_verifier(usual)
            } else {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(By::new(Undated(usual), &provider)))
            }
        };
        let mut config = builder
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|e| format!("the IDevID and its key do not fit: {e}"))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// All that its name leads to: each is tried (5.5).
    pub fn addresses(&self, at: &At) -> Result<Vec<SocketAddr>, String> {
        let look = tokio::net::lookup_host((at.address.as_str(), at.port));
        let found = self.runtime.block_on(async { timeout(LOOK_UP, look).await });
        let all: Vec<SocketAddr> = found.map_err(|_| "its name is not answered for".to_owned())?.map_err(|e| e.to_string())?.collect();
        if all.is_empty() { Err("its name leads nowhere".into()) } else { Ok(all) }
    }

    /// Status and body.
    pub fn post(&self, at: &At, to: SocketAddr, path: &str, body: Vec<u8>) -> Result<(u16, Bytes), String> {
        let tls = self.tls(&at.anchors)?;
        let name = ServerName::try_from(at.address.to_string()).map_err(|e| format!("no name for TLS: {e}"))?;
        let host = authority(&at.address, at.port);
        let request = Request::post(path)
            .header(HOST, host)
            .header(CONTENT_TYPE, JSON)
            .header(ACCEPT, JSON)
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| e.to_string())?;
        let talk = async {
            let tcp = timeout(CONNECT, TcpStream::connect(to)).await.map_err(|_| "no connection in time".to_owned())?;
            let tcp = tcp.map_err(|e| format!("no connection: {e}"))?;
            let _ = tcp.set_nodelay(true);
            let tls = tokio_rustls::TlsConnector::from(tls).connect(name, tcp).await.map_err(|e| no_tls(&e))?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await.map_err(|e| format!("no HTTP: {e}"))?;
            let line = tokio::spawn(connection);
            let response = sender.send_request(request).await.map_err(|e| format!("the connection broke: {e}"))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), MOST).collect().await.map_err(|e| format!("the answer broke off: {e}"))?;
            line.abort();
            Ok((status, body.to_bytes()))
        };
        self.runtime.block_on(async { timeout(ANSWER, talk).await }).unwrap_or_else(|_| Err("no answer in time".into()))
    }
}

/// All that the file has: those between a certificate and its anchor go along (5.3).
fn read(certificate: &Utf8Path, key: &Utf8Path) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = tls::certificates(certificate).map_err(|e| Fault::conflict(format!("{certificate} holds no usable certificate: {e}")))?;
    let key = tls::private_key(key).map_err(|e| Fault::conflict(format!("{key} holds no usable private key: {e}")))?;
    Ok((chain, key))
}

/// Both can be shown, and the one is of the other.
pub(super) fn pair(certificate: &Utf8Path, key: &Utf8Path) -> Result<()> {
    let (chain, secret) = read(certificate, key)?;
    let made = rustls::sign::CertifiedKey::from_der(chain, secret, &ring::default_provider());
    made.map(|_| ()).map_err(|e| Fault::conflict(format!("{certificate} is no certificate of {key}: {e}")))
}

fn no_tls(e: &std::io::Error) -> String {
    match e.get_ref().and_then(|e| e.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(why @ (CertificateError::UnknownIssuer | CertificateError::BadSignature))) => {
            format!("its certificate does not lead to the trust anchor that this box has for it ({why:?})")
        }
        Some(Error::InvalidCertificate(why)) => format!("its certificate is not believed: {why}"),
        Some(Error::AlertReceived(alert)) => format!("it refuses this box's certificate, or its TLS ({alert:?})"),
        Some(_) | None => format!("no TLS: {e}"),
    }
}

#[cfg(test)]
mod tests {
    use rustls::client::danger::ServerCertVerifier;

    use super::*;

    #[test]
    fn without_a_clock_a_certificate_holds_whenever_it_is_for() {
        for (from, to, text) in [(1990, 1991, "1990-02-03"), (2020, 2040, "2020-02-03"), (2060, 2090, "2060-02-03")] {
            let key = rcgen::KeyPair::generate().expect("key");
            let mut params = rcgen::CertificateParams::new(vec!["hub".to_owned()]).expect("params");
            (params.not_before, params.not_after) = (rcgen::date_time_ymd(from, 2, 3), rcgen::date_time_ymd(to, 2, 3));
            let cert = params.self_signed(&key).expect("certificate");
            let first = artefact::not_before(cert.der()).expect("a date");
            assert_eq!(first.to_string(), format!("{text}T00:00:00Z"));
            let mut roots = RootCertStore::empty();
            roots.add(cert.der().clone()).expect("root");
            let provider = Arc::new(ring::default_provider());
            let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().expect("verifier");
            let is_believed = |by: &dyn ServerCertVerifier, name: &'static str| {
                let name = ServerName::try_from(name).expect("name");
                // The second of January of 2026.
                let now = UnixTime::since_unix_epoch(Duration::from_secs(1_767_312_000));
                by.verify_server_cert(cert.der(), &[], &name, &[], now).is_ok()
            };
            assert_eq!(is_believed(&*usual, "hub"), from == 2020, "{from}");
            let undated = By::new(Undated(usual), &provider);
            assert!(is_believed(&undated, "hub") && !is_believed(&undated, "other"), "{from}");
        }
    }
}
