//! Whom a hub believes to be a box, and the certificate that it shows to boxes.
//!
//! The hub is the client of TLS here, and does not know whom it meets before the handshake: a certificate is not held against a
//! name that was dialled, but against the boxes that are enrolled.

use std::{fmt, sync::Arc};

use camino::Utf8Path;
use rustls::{
    CertificateError, ClientConfig, Error, OtherError, RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime},
    server::ParsedCertificate,
};

use super::registry::Claim;
use crate::{
    access::certificate::Certificate,
    model::error::{Fault, Result},
    tls::{self, By, Judge},
};

/// Who a certificate may be.
pub type Claims = Box<dyn Fn(&Certificate) -> Claim + Send + Sync>;

struct Boxes {
    claims: Claims,
    vouchers: RootCertStore,
    known: &'static [&'static dyn SignatureVerificationAlgorithm],
}

impl fmt::Debug for Boxes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the boxes that are enrolled")
    }
}

impl Judge for Boxes {
    fn judge(&self, own: &CertificateDer<'_>, between: &[CertificateDer<'_>], _: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
        match (self.claims)(&Certificate::read(own)) {
            // A pin is for this certificate, whatever its names and dates.
            Claim::Pinned(_) => Ok(()),
            Claim::IfVouched(_) => {
                let parsed = ParsedCertificate::try_from(own)?;
                verify_server_cert_signed_by_trust_anchor(&parsed, &self.vouchers, between, now, self.known)
            }
            Claim::Stranger(why) => Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Fault::forbidden(why)))))),
        }
    }
}

/// The hub's side of TLS. `ca`: whoever vouches for boxes that are not pinned; empty: nobody.
pub fn client(certificate: &Utf8Path, key: &Utf8Path, ca: &Utf8Path, claims: Claims) -> Result<Arc<ClientConfig>> {
    let bad = |what: &str, path: &Utf8Path, e: String| Fault::invalid(format!("{path} holds no usable {what}: {e}"));
    let certificates = |path: &Utf8Path, what: &str| tls::certificates(path).map_err(|e| bad(what, path, e));
    let mut vouchers = RootCertStore::empty();
    if !ca.as_str().is_empty() {
        for c in certificates(ca, "CA certificate (hub.ca)")? {
            vouchers.add(c).map_err(|e| bad("CA certificate (hub.ca)", ca, e.to_string()))?;
        }
        if vouchers.is_empty() {
            return Err(bad("CA certificate (hub.ca)", ca, "there is none in it".into()));
        }
    }
    let provider = Arc::new(ring::default_provider());
    let chain = certificates(certificate, "certificate (hub.certificate)")?;
    let secret = tls::private_key(key).map_err(|e| bad("private key (hub.key)", key, e))?;
    let boxes = Boxes { claims, vouchers, known: provider.signature_verification_algorithms.all };
    let boxes = By::new(boxes, &provider);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Fault::bug(format!("TLS: {e}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(boxes))
        .with_client_auth_cert(chain, secret)
        .map_err(|e| bad("pair of certificate and key", certificate, e.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // The name that is asked for says nothing, and a box that resumes would not be looked at again.
    config.enable_sni = false;
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

    use super::*;
    use crate::hub::registry::{Enrolled, Registry};

    struct Maker {
        der: CertificateDer<'static>,
        issuer: Issuer<'static, KeyPair>,
    }

    fn maker(name: &str) -> Maker {
        let key = KeyPair::generate().expect("key");
        let mut p = CertificateParams::new(Vec::new()).expect("params");
        p.distinguished_name.push(DnType::CommonName, name);
        p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        p.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let der = p.self_signed(&key).expect("ca").der().clone();
        Maker { der, issuer: Issuer::new(p, key) }
    }

    /// As an IDevID is: a serial number, no names of hosts, no extended usages.
    fn device(of: &Maker, serial: &str) -> CertificateDer<'static> {
        let mut p = CertificateParams::new(Vec::new()).expect("params");
        p.distinguished_name = rcgen::DistinguishedName::new();
        p.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), serial);
        p.signed_by(&KeyPair::generate().expect("key"), &of.issuer).expect("certificate").der().clone()
    }

    #[test]
    fn a_box_is_believed_by_its_pin_or_by_a_ca_that_vouches_for_its_serial_and_nobody_else_is() {
        let (ours, theirs) = (maker("ours"), maker("theirs"));
        let pinned = device(&theirs, "whatever");
        let all = vec![
            Enrolled {
                serial: "A".into(),
                fingerprint: Some(Certificate::read(&pinned).fingerprint),
                project: "".into(),
                group: "".into(),
            },
            Enrolled { serial: "B".into(), fingerprint: None, project: "".into(), group: "".into() },
        ];
        let registry = Registry::<()>::new(all);
        let mut vouchers = RootCertStore::empty();
        vouchers.add(ours.der.clone()).expect("root");
        let provider = Arc::new(ring::default_provider());
        let boxes = Boxes { claims: Box::new(move |c| registry.claim(c)), vouchers, known: provider.signature_verification_algorithms.all };
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000));
        let name = ServerName::try_from("box").expect("name");
        for (what, cert, says) in [
            ("pinned, whoever signed it", &pinned, ""),
            ("vouched for", &device(&ours, "B"), ""),
            ("another maker's", &device(&theirs, "B"), "UnknownIssuer"),
            ("not the pinned one", &device(&ours, "A"), "is enrolled with another certificate"),
            ("not enrolled", &device(&ours, "C"), "no box 'C' is enrolled here"),
        ] {
            let got = boxes.judge(cert, &[], &name, now).map_or_else(|e| e.to_string(), |_| String::new());
            assert!(got.contains(says) && got.is_empty() == says.is_empty(), "{what}: {got}");
        }
    }
}
