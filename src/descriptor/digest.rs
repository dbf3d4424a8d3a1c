//! Digests of package files, several algorithms in one pass.
//!
//! Owns the algorithm names of SOL004 manifests and SOL001 checksums. Never reads files itself.

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// What a manifest (`SHA-256`) or a checksum (`sha-256`) may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    pub const NAMES: &'static str = "SHA-224, SHA-256, SHA-384, SHA-512";

    /// Names differ by dash and case in the field.
    pub fn parse(name: &str) -> Option<Algorithm> {
        match name.trim().to_ascii_lowercase().replace(['-', '_'], "").as_str() {
            "sha224" => Some(Algorithm::Sha224),
            "sha256" => Some(Algorithm::Sha256),
            "sha384" => Some(Algorithm::Sha384),
            "sha512" => Some(Algorithm::Sha512),
            _ => None,
        }
    }
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha224 => "SHA-224",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha384 => "SHA-384",
            Algorithm::Sha512 => "SHA-512",
        }
    }
    pub fn hex_len(self) -> usize {
        match self {
            Algorithm::Sha224 => 56,
            Algorithm::Sha256 => 64,
            Algorithm::Sha384 => 96,
            Algorithm::Sha512 => 128,
        }
    }
}

/// Size and digests of a file, while it streams by and after.
#[derive(Clone)]
pub struct Digests {
    size: u64,
    sha256: Sha256,
    sha224: Option<Sha224>,
    sha384: Option<Sha384>,
    sha512: Option<Sha512>,
}

impl Digests {
    /// SHA-256 is always made: it is the file's name in the catalogue.
    pub fn new(also: &[Algorithm]) -> Self {
        Digests {
            size: 0,
            sha256: Sha256::new(),
            sha224: also.contains(&Algorithm::Sha224).then(Sha224::new),
            sha384: also.contains(&Algorithm::Sha384).then(Sha384::new),
            sha512: also.contains(&Algorithm::Sha512).then(Sha512::new),
        }
    }
    pub fn update(&mut self, bytes: &[u8]) {
        self.size = self.size.saturating_add(bytes.len() as u64);
        self.sha256.update(bytes);
        if let Some(h) = &mut self.sha224 {
            h.update(bytes);
        }
        if let Some(h) = &mut self.sha384 {
            h.update(bytes);
        }
        if let Some(h) = &mut self.sha512 {
            h.update(bytes);
        }
    }
    pub fn size(&self) -> u64 {
        self.size
    }
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256.clone().finalize().into()
    }
    /// Lower-case hex, when this algorithm was asked for.
    pub fn hex(&self, algorithm: Algorithm) -> Option<String> {
        let hex = |b: &[u8]| data_encoding::HEXLOWER.encode(b);
        match algorithm {
            Algorithm::Sha256 => Some(hex(&self.sha256.clone().finalize())),
            Algorithm::Sha224 => self.sha224.clone().map(|h| hex(&h.finalize())),
            Algorithm::Sha384 => self.sha384.clone().map(|h| hex(&h.finalize())),
            Algorithm::Sha512 => self.sha512.clone().map(|h| hex(&h.finalize())),
        }
    }
}
