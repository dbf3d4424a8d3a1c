//! Tokens and clients' secrets: random, shown once, kept as SHA-256.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest as _, Sha256};

use crate::model::error::{Fault, Result};

/// What leads each token and secret: scanners find lost ones by it.
pub const LEAD: &str = "bothy_";

/// A token or secret in the clear, to be shown once. It has no `Debug`, so that no log can hold it.
pub struct Fresh(String);

impl Fresh {
    pub fn make() -> Result<Fresh> {
        let raw: [u8; 20] = random()?;
        Ok(Fresh(format!("{LEAD}{}", BASE32_NOPAD.encode(&raw).to_ascii_lowercase())))
    }
    pub fn reveal(&self) -> &str {
        &self.0
    }
    pub fn sha256(&self) -> [u8; 32] {
        sha256(self.0.as_bytes())
    }
}

pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut raw = [0; N];
    getrandom::fill(&mut raw).map_err(|e| Fault::transient(format!("the system gave no random bytes: {e}")))?;
    Ok(raw)
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Compares whole: the time taken tells nothing.
pub fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |d, (a, b)| d | (a ^ b)) == 0
}
