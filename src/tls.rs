//! What is alike wherever Bothy is at one end of TLS: certificates and keys as files have them, and a verifier of servers
//! that leaves nothing open but whom to believe.
//!
//! Owns that whoever shows a certificate has its key: no judgement of a certificate can leave the handshake's signatures
//! out. Never: whom to believe, or who is shown what.

use std::fmt::Debug;

use camino::Utf8Path;
use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};

/// Whether a server is believed by its certificate, where the usual way (a name, authorities, a clock) is not the one.
pub trait Judge: Debug + Send + Sync {
    /// `between`: what leads from it to an authority.
    fn judge(&self, own: &CertificateDer<'_>, between: &[CertificateDer<'_>], name: &ServerName<'_>, now: UnixTime) -> Result<(), Error>;
}

/// By a judge; and the server has the key of the certificate that it shows.
#[derive(Debug)]
pub struct By<J> {
    judge: J,
    known: WebPkiSupportedAlgorithms,
}

impl<J: Judge> By<J> {
    pub fn new(judge: J, provider: &CryptoProvider) -> Self {
        By { judge, known: provider.signature_verification_algorithms }
    }
}

impl<J: Judge> ServerCertVerifier for By<J> {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge.judge(own, between, name, now).map(|()| ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.known)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.known)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.known.supported_schemes()
    }
}

/// All certificates of a PEM file, in their order; or why there are none to be had.
pub fn certificates(path: &Utf8Path) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|e| e.to_string())
}

/// The private key of a PEM file.
pub fn private_key(path: &Utf8Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|e| e.to_string())
}
