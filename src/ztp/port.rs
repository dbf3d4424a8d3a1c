//! The port to whoever knows signatures and keys: OpenSSL on the box, a twin in tests.

use crate::model::{error::Result, time::Stamp};

/// A certificate, DER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Der(pub Vec<u8>);

/// Whom a signature has to come from.
#[derive(Debug, Clone, Copy)]
pub struct SignedBy<'a> {
    /// The signer is one of these or leads to one of them.
    pub anchors: &'a [Der],
    /// The one who has to have signed; certificates of the message do not count then. `None`: whoever leads to an anchor.
    pub signer: Option<&'a Der>,
    /// By which that one leads to an anchor.
    pub between: &'a [Der],
    /// Certificates have to be valid then; `None`: at any time.
    pub at: Option<Stamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub content: Vec<u8>,
    pub signer: Der,
}

/// Cryptographic Message Syntax, RFC 5652. All of it DER.
pub trait Cms: Send + Sync {
    /// The content of signed data, if the signature holds and its signer is one of those.
    fn verified(&self, signed: &[u8], by: &SignedBy<'_>) -> Result<Signed>;
    /// What was encrypted for this device's key.
    fn opened(&self, enveloped: &[u8]) -> Result<Vec<u8>>;
}
