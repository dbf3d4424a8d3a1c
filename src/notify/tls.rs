//! TLS towards subscribers: whom Bothy believes, and the certificate it shows where one is asked for.

use std::sync::{Arc, PoisonError, RwLock};

use camino::{Utf8Path, Utf8PathBuf};
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, SignatureScheme,
    client::{ResolvesClientCert, Resumption, WantsClientCert},
    crypto::ring,
    sign::CertifiedKey,
};

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

/// The certificate that is shown, as it is now.
#[derive(Debug)]
pub struct Shown {
    certificate: Utf8PathBuf,
    key: Utf8PathBuf,
    now: RwLock<Arc<CertifiedKey>>,
}

impl Shown {
    fn open(certificate: &Utf8Path, key: &Utf8Path) -> Result<Shown> {
        let now = RwLock::new(Arc::new(pair(certificate, key)?));
        Ok(Shown { certificate: certificate.to_owned(), key: key.to_owned(), now })
    }

    /// Reads the files again; what cannot be used is refused, and what was shown stays.
    pub(super) fn reload(&self) -> Result<()> {
        let next = pair(&self.certificate, &self.key)?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(())
    }
}

fn pair(certificate: &Utf8Path, key: &Utf8Path) -> Result<CertifiedKey> {
    let bad = |what: &str, path: &Utf8Path, e: String| Fault::invalid(format!("{path} holds no usable {what}: {e}"));
    let chain = tls::certificates(certificate).map_err(|e| bad("certificate", certificate, e))?;
    let key_der = tls::private_key(key).map_err(|e| bad("private key", key, e))?;
    CertifiedKey::from_der(chain, key_der, &ring::default_provider())
        .map_err(|e| bad("pair of certificate and key", certificate, e.to_string()))
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner).clone();
        now.key.choose_scheme(schemes).is_some().then_some(now)
    }
    fn has_certs(&self) -> bool {
        true
    }
}

impl Tls {
    /// `ca`: a PEM file of the authorities that are believed, the system's where it is empty.
    /// `certificate`, `key`: what is shown to subscribers that ask for TLS_CERT.
    pub fn new(ca: &Utf8Path, certificate: &Utf8Path, key: &Utf8Path) -> Result<Tls> {
        let roots = believed(ca, "notify.ca")?;
        let shown = Arc::new(Shown::open(certificate, key)?);
        let mut known = builder(&roots)?.with_client_cert_resolver(shown.clone());
        // Who resumes is known by the certificate of before.
        known.resumption = Resumption::disabled();
        Ok(Tls { plain: Arc::new(builder(&roots)?.with_no_client_auth()), known: Arc::new(known), shown })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn a_new_certificate_is_shown_once_it_fits_its_key() {
        let dir = tempfile::tempdir().expect("dir");
        let at = |name: &str| Utf8PathBuf::from_path_buf(dir.path().join(name)).expect("utf-8");
        let (certificate, key) = (at("cert.pem"), at("key.pem"));
        let fresh = || {
            let pair = KeyPair::generate().expect("key");
            let cert = CertificateParams::new(vec!["localhost".into()]).expect("params").self_signed(&pair).expect("cert");
            (cert, pair.serialize_pem())
        };
        let put = |cert: &rcgen::Certificate, secret: &str| {
            std::fs::write(&certificate, cert.pem()).expect("cert");
            std::fs::write(&key, secret).expect("key");
        };
        let ((first, first_key), (second, second_key)) = (fresh(), fresh());
        put(&first, &first_key);
        let shown = Shown::open(&certificate, &key).expect("open");
        let now = || shown.resolve(&[], &[SignatureScheme::ECDSA_NISTP256_SHA256]).expect("a certificate").cert[0].clone();
        assert_eq!(&now(), first.der());
        put(&second, &first_key);
        assert!(shown.reload().is_err());
        assert_eq!(&now(), first.der(), "half replaced");
        put(&second, &second_key);
        shown.reload().expect("a pair");
        assert_eq!(&now(), second.der());
        assert!(shown.resolve(&[], &[SignatureScheme::ED25519]).is_none());
    }
}
