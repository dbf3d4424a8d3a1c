//! The bytes of keys and of values on disk.
//!
//! Owns: `[table tag][key]`, chunks of large values, the per-table tallies. Never: I/O.
//!
//! A value of up to `MAX_VALUE` bytes is stored as it is (`[version][postcard]`, version > 0). A larger one is cut
//! into chunks; its own key then holds a head: `[0][chunks u16][length u32][first 8 bytes of SHA-256]`. The digest
//! lets a reader outside a transaction see that it mixed two writes, and `verify` that a chunk went missing.

use sha2::{Digest, Sha256};

use super::tables::Table;
use crate::model::error::{Fault, Result};

/// Largest value handed to sled, in bytes. sled writes items over 128 KiB to files of their own that it never syncs,
/// and a leaf page, which holds up to 17 or 18 values, is such an item: 18 * 6 KiB and keys stay below.
pub const MAX_VALUE: usize = 6 * 1024;

/// Largest record, in bytes: more belongs into a content-addressed file that the record names.
pub const MAX_RECORD: usize = 4 * 1024 * 1024;

const TALLY: u8 = 0x00;
/// The tag under which chunks live; also the name of their tally.
pub const CHUNK: u8 = 0xf0;
const HEAD_LEN: usize = 1 + 2 + 4 + 8;

pub fn record_key(table: Table, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + key.len());
    out.push(table.tag());
    out.extend_from_slice(key);
    out
}

/// Chunk `n` of the record at `full` (its key with the tag). The length keeps one record's chunks from being another's.
pub fn chunk_key(full: &[u8], n: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(full.len() + 5);
    out.push(CHUNK);
    out.extend_from_slice(&(full.len() as u16).to_be_bytes());
    out.extend_from_slice(full);
    out.extend_from_slice(&n.to_be_bytes());
    out
}

pub fn tally_key(tag: u8) -> [u8; 2] {
    [TALLY, tag]
}

/// The tag a tally is about, if `key` is a tally's.
pub fn tally_tag(key: &[u8]) -> Option<u8> {
    match key {
        [TALLY, tag] => Some(*tag),
        _ => None,
    }
}

/// How many keys a table has and how many bytes they hold (keys and values).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub count: u64,
    pub bytes: u64,
}

impl Tally {
    pub fn encode(self) -> [u8; 16] {
        let mut out = [0; 16];
        out[..8].copy_from_slice(&self.count.to_be_bytes());
        out[8..].copy_from_slice(&self.bytes.to_be_bytes());
        out
    }
    pub fn decode(raw: &[u8]) -> Option<Tally> {
        let (count, bytes) = raw.split_first_chunk::<8>()?;
        Some(Tally { count: u64::from_be_bytes(*count), bytes: u64::from_be_bytes(bytes.try_into().ok()?) })
    }
    pub fn add(&mut self, key: usize, value: usize) {
        self.count += 1;
        self.bytes += (key + value) as u64;
    }
}

/// The head of a chunked value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub chunks: u16,
    pub len: u32,
    digest: [u8; 8],
}

fn digest(value: &[u8]) -> [u8; 8] {
    let d = Sha256::digest(value);
    let mut out = [0; 8];
    out.copy_from_slice(&d[..8]);
    out
}

impl Head {
    /// The head of `value`, or a fault if it is larger than any record may be.
    pub fn of(value: &[u8]) -> Result<Head> {
        if value.len() > MAX_RECORD {
            return Err(Fault::invalid(format!(
                "a record of {} bytes is too large for the store (limit {MAX_RECORD}): large content belongs into a file",
                value.len()
            )));
        }
        let chunks = value.len().div_ceil(MAX_VALUE) as u16;
        Ok(Head { chunks, len: value.len() as u32, digest: digest(value) })
    }
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_LEN);
        out.push(0);
        out.extend_from_slice(&self.chunks.to_be_bytes());
        out.extend_from_slice(&self.len.to_be_bytes());
        out.extend_from_slice(&self.digest);
        out
    }
    /// `None` if `raw` is a plain value.
    pub fn decode(raw: &[u8]) -> Option<Head> {
        let raw: &[u8; HEAD_LEN] = raw.try_into().ok().filter(|r: &&[u8; HEAD_LEN]| r[0] == 0)?;
        let [_, c0, c1, l0, l1, l2, l3, digest @ ..] = *raw;
        Some(Head { chunks: u16::from_be_bytes([c0, c1]), len: u32::from_be_bytes([l0, l1, l2, l3]), digest })
    }
    /// Whether `value` is what this head was made of.
    pub fn fits(&self, value: &[u8]) -> bool {
        value.len() == self.len as usize && digest(value) == self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_never_taken_for_a_value_nor_a_value_for_a_head() {
        let big = vec![7u8; 20 * 1024];
        let head = Head::of(&big).expect("fits");
        assert_eq!(head.chunks, 4);
        assert_eq!(Head::decode(&head.encode()), Some(head));
        assert!(head.fits(&big) && !head.fits(&big[1..]));
        let mut plain = head.encode();
        plain[0] = 1;
        assert_eq!(Head::decode(&plain), None);
    }

    #[test]
    fn chunks_of_a_key_that_leads_another_do_not_meet() {
        assert_ne!(chunk_key(&[1, 2], 0x0300), [chunk_key(&[1, 2, 3], 0), vec![]].concat());
        assert_ne!(chunk_key(&[1], 1)[..4], chunk_key(&[1, 0], 1)[..4]);
    }

    #[test]
    fn a_record_past_the_limit_is_refused() {
        assert!(Head::of(&vec![0; MAX_RECORD + 1]).is_err());
    }
}
