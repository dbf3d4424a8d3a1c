//! Which certificates the client believes: those a CA file signs, or the one with a fingerprint.
//! There is no way to believe all of them.

use std::sync::Arc;

use camino::Utf8Path;
use rustls::{
    ClientConfig, ConfigBuilder, Error, RootCertStore,
    client::WantsClientCert,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use sha2::{Digest as _, Sha256};

use super::failure::Failure;
use crate::tls::{self, By, Judge};

const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

/// `own` is a certificate and key to show.
pub fn client(
    cacert: Option<&Utf8Path>,
    fingerprint: Option<&str>,
    own: Option<(&Utf8Path, &Utf8Path)>,
) -> Result<Arc<ClientConfig>, Failure> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().map_err(|e| Failure::here("TLS", e))?;
    if let Some(text) = fingerprint {
        let pin = parse(text).ok_or_else(|| Failure::Usage("--fingerprint must be 32 bytes in hexadecimal, colons as you like".into()))?;
        let verifier = Arc::new(By::new(Pinned(pin), &provider));
        return show(builder.dangerous().with_custom_certificate_verifier(verifier), own);
    }
    let path = cacert.unwrap_or(Utf8Path::new(SYSTEM));
    let mut roots = RootCertStore::empty();
    let certs = CertificateDer::pem_file_iter(path).map_err(|e| Failure::here(format!("cannot read certificates from {path}"), e))?;
    roots.add_parsable_certificates(certs.flatten());
    if roots.is_empty() {
        return Err(Failure::Usage(format!("{path} holds no certificate; give --cacert FILE or --fingerprint")));
    }
    show(builder.with_root_certificates(roots), own)
}

fn show(builder: ConfigBuilder<ClientConfig, WantsClientCert>, own: Option<(&Utf8Path, &Utf8Path)>) -> Result<Arc<ClientConfig>, Failure> {
    let Some((cert, key)) = own else { return Ok(Arc::new(builder.with_no_client_auth())) };
    let bad = |path: &Utf8Path, e: &dyn std::fmt::Display| Failure::Here(format!("cannot use {path}: {e}"));
    let chain = tls::certificates(cert).map_err(|e| bad(cert, &e))?;
    let secret = tls::private_key(key).map_err(|e| bad(key, &e))?;
    Ok(Arc::new(builder.with_client_auth_cert(chain, secret).map_err(|e| bad(cert, &e))?))
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let hex: String = text.chars().filter(|c| *c != ':').collect();
    data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?.try_into().ok()
}

/// Believes one certificate, whatever its names and dates; the handshake's signatures still count.
#[derive(Debug)]
struct Pinned([u8; 32]);

impl Judge for Pinned {
    fn judge(&self, own: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: &ServerName<'_>, _: UnixTime) -> Result<(), Error> {
        if Sha256::digest(own).as_slice() == self.0 {
            Ok(())
        } else {
            Err(Error::General("the certificate has another fingerprint".into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_read_with_and_without_colons() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        assert_eq!(parse(&plain), Some([0xab; 32]));
        assert_eq!(parse(&colons), Some([0xab; 32]));
        assert_eq!(parse("ab"), None);
        assert!(matches!(client(None, Some("zz"), None), Err(Failure::Usage(_))));
    }
}
