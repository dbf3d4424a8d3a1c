//! TLS towards subscribers: whom Bothy believes, and the certificate it shows where one is asked for.

use std::sync::Arc;

use camino::Utf8Path;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, client::WantsClientCert, crypto::ring};

use super::Tls;
use crate::{
    model::error::{Fault, Result},
    tls,
};

/// Where distributions keep the authorities they trust.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The authorities of a PEM file, the system's where it is empty; `key`: who names it in the configuration.
fn believed(ca: &Utf8Path, key: &str) -> Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    let path = if ca.as_str().is_empty() { Utf8Path::new(SYSTEM) } else { ca };
    // A box without the system's file believes nobody, and those it calls use http or a file of their own.
    if !ca.as_str().is_empty() || path.exists() {
        let bad = |e: String| Fault::invalid(format!("{path} holds no usable certificates ({key}): {e}"));
        let all = tls::certificates(path).map_err(bad)?;
        let (taken, _) = roots.add_parsable_certificates(all);
        if taken == 0 && !ca.as_str().is_empty() {
            return Err(bad("there is none in it".into()));
        }
    }
    Ok(Arc::new(roots))
}

fn builder(roots: &Arc<RootCertStore>) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|b| b.with_root_certificates(roots.clone()))
        .map_err(|e| Fault::bug(format!("TLS: {e}")))
}

/// Believes the authorities of this file alone; shows nothing.
pub(super) fn pinned(ca: &Utf8Path, key: &str) -> Result<Arc<ClientConfig>> {
    Ok(Arc::new(builder(&believed(ca, key)?)?.with_no_client_auth()))
}

impl Tls {
    /// `ca`: a PEM file of the authorities that are believed, the system's where it is empty.
    /// `certificate`, `key`: what is shown to subscribers that ask for TLS_CERT.
    pub fn new(ca: &Utf8Path, certificate: &Utf8Path, key: &Utf8Path) -> Result<Tls> {
        let bad = |what: &str, path: &Utf8Path, e: String| Fault::invalid(format!("{path} holds no usable {what}: {e}"));
        let roots = believed(ca, "notify.ca")?;
        let chain = tls::certificates(certificate).map_err(|e| bad("certificate", certificate, e))?;
        let key_der = tls::private_key(key).map_err(|e| bad("private key", key, e))?;
        let known = builder(&roots)?
            .with_client_auth_cert(chain, key_der)
            .map_err(|e| bad("pair of certificate and key", certificate, e.to_string()))?;
        Ok(Tls { plain: Arc::new(builder(&roots)?.with_no_client_auth()), known: Arc::new(known) })
    }
}
