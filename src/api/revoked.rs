//! Revocation of clients' certificates, and of what vouches for them in between.
//!
//! A client's own certificate must be known not to be revoked, as soon as there is any list; an authority between it and the
//! pinned one must not be known to be: its own list is another's to keep. Never: which files that stands in.

use std::sync::Arc;

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::ring,
    pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime},
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

/// Whom a client's certificate makes believed.
#[derive(Debug)]
pub struct Clients {
    own: Arc<dyn ClientCertVerifier>,
    /// The whole way to the pinned authority, by the lists that are there.
    way: Option<Arc<dyn ClientCertVerifier>>,
}

impl Clients {
    /// `must_show`: nobody is spoken to without a certificate, and lists count for whom they cover.
    pub fn new(
        roots: RootCertStore,
        crls: Vec<CertificateRevocationListDer<'static>>,
        must_show: bool,
    ) -> Result<Clients, VerifierBuilderError> {
        let roots = Arc::new(roots);
        let new = || WebPkiClientVerifier::builder_with_provider(roots.clone(), Arc::new(ring::default_provider()));
        let way = || new().with_crls(crls.clone()).allow_unknown_revocation_status();
        if must_show {
            return Ok(Clients { own: way().build()?, way: None });
        }
        let own = new().with_crls(crls.clone()).only_check_end_entity_revocation().allow_unauthenticated().build()?;
        let way = if crls.is_empty() { None } else { Some(way().build()?) };
        Ok(Clients { own, way })
    }
}

impl ClientCertVerifier for Clients {
    fn offer_client_auth(&self) -> bool {
        self.own.offer_client_auth()
    }
    fn client_auth_mandatory(&self) -> bool {
        self.own.client_auth_mandatory()
    }
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.own.root_hint_subjects()
    }
    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(way) = &self.way {
            way.verify_client_cert(own, between, now)?;
        }
        self.own.verify_client_cert(own, between, now)
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.own.verify_tls12_signature(message, cert, dss)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.own.verify_tls13_signature(message, cert, dss)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.own.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
        KeyUsagePurpose, RevokedCertParams, date_time_ymd,
    };
    use rustls::CertificateError;

    use super::*;

    fn params(name: &str, serial: u64, ca: bool) -> CertificateParams {
        let mut p = CertificateParams::new(Vec::new()).expect("params");
        p.distinguished_name.push(DnType::CommonName, name);
        p.serial_number = Some(serial.into());
        if ca {
            p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            p.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        } else {
            p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }
        p
    }

    fn list(issuer: &Issuer<'_, KeyPair>, serials: &[u64]) -> CertificateRevocationListDer<'static> {
        let revoked = serials.iter().map(|s| RevokedCertParams {
            serial_number: (*s).into(),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let p = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2049, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        p.signed_by(issuer).expect("a list").into()
    }

    #[test]
    fn a_revoked_authority_in_between_takes_its_clients_along() {
        let (root_key, mid_key, leaf_key) =
            (KeyPair::generate().expect("key"), KeyPair::generate().expect("key"), KeyPair::generate().expect("key"));
        let root = params("root", 1, true).self_signed(&root_key).expect("root");
        let root_issuer = Issuer::new(params("root", 1, true), root_key);
        let mid = params("between", 5, true).signed_by(&mid_key, &root_issuer).expect("between");
        let mid_issuer = Issuer::new(params("between", 5, true), mid_key);
        let leaf = params("client", 7, false).signed_by(&leaf_key, &mid_issuer).expect("client");
        let revoked = Error::InvalidCertificate(CertificateError::Revoked);
        let (of_mid, nothing_of_mid, of_root, nothing_of_root) =
            (list(&mid_issuer, &[7]), list(&mid_issuer, &[]), list(&root_issuer, &[5]), list(&root_issuer, &[]));
        for (crls, own, centre) in [
            (vec![], true, true),
            (vec![nothing_of_mid.clone()], true, true),
            (vec![nothing_of_mid.clone(), nothing_of_root.clone()], true, true),
            (vec![nothing_of_mid.clone(), of_root.clone()], false, false),
            (vec![of_mid, nothing_of_root], false, false),
            (vec![of_root], false, false),
        ] {
            for (must_show, good) in [(false, own), (true, centre)] {
                let mut roots = RootCertStore::empty();
                roots.add(root.der().clone()).expect("root");
                let clients = Clients::new(roots, crls.clone(), must_show).expect("a verifier");
                let seen = clients.verify_client_cert(leaf.der(), &[mid.der().clone()], UnixTime::now());
                assert_eq!(seen.map(drop), if good { Ok(()) } else { Err(revoked.clone()) }, "{} lists, {must_show}", crls.len());
            }
        }
        // A client whose own authority has no list is not known to be good, once there is any.
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).expect("root");
        let clients = Clients::new(roots, vec![list(&root_issuer, &[])], false).expect("a verifier");
        assert!(clients.verify_client_cert(leaf.der(), &[mid.der().clone()], UnixTime::now()).is_err());
    }
}
