//! What a stored record is: its table, its key, its version, its bytes.
//!
//! Owns `[version u8][postcard]` and the refusal of versions this binary cannot read. Never: which records there are
//! (the layers above implement `Record` for theirs).
//!
//! Postcard is positional. A stored type has no `serde(default)`, `flatten`, `untagged` or `skip_serializing_if`; its
//! enums only grow at the end; a change of shape is a new `VERSION` with the old shape read by `upgrade`. Each record
//! holds golden bytes per version (`assert_golden`).

use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{news::Told, tables::Table, tx::Tx};
use crate::model::{
    error::{Fault, Result},
    id,
};

/// Bytes of a key, in an order that sorts as the values do.
pub trait KeyBytes {
    fn write(&self, out: &mut Vec<u8>);

    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        self.write(&mut out);
        out
    }
}

/// A key part whose length never varies, so that another part may follow it.
pub trait FixedKey: KeyBytes {}

macro_rules! fixed_keys {
    ($($t:ty => |$k:ident| $bytes:expr;)*) => {$(
        impl KeyBytes for $t {
            fn write(&self, out: &mut Vec<u8>) { let $k = self; out.extend_from_slice(&$bytes) }
        }
        impl FixedKey for $t {}
    )*};
}
fixed_keys! {
    u8 => |k| [*k];
    u16 => |k| k.to_be_bytes();
    u32 => |k| k.to_be_bytes();
    u64 => |k| k.to_be_bytes();
    Uuid => |k| *k.as_bytes();
    [u8; 32] => |k| *k;
    id::ProjectId => |k| *k.bytes();
    id::VnfPkgId => |k| *k.bytes();
    id::NsdInfoId => |k| *k.bytes();
    id::PnfdInfoId => |k| *k.bytes();
    id::VnfId => |k| *k.bytes();
    id::NsId => |k| *k.bytes();
    id::VnfcId => |k| *k.bytes();
    id::SegmentId => |k| *k.bytes();
    id::PortId => |k| *k.bytes();
    id::DiskId => |k| *k.bytes();
    id::OpId => |k| *k.bytes();
    id::ExtCpId => |k| *k.bytes();
    id::AlarmId => |k| *k.bytes();
    id::SnapshotId => |k| *k.bytes();
    id::NfpId => |k| *k.bytes();
}

/// Text is of any length: the last part of a key only.
impl KeyBytes for str {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}
impl KeyBytes for String {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_str().write(out);
    }
}
impl KeyBytes for smol_str::SmolStr {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_str().write(out);
    }
}
impl KeyBytes for &'static str {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}
/// The one key of a table with one record.
impl KeyBytes for () {
    fn write(&self, _: &mut Vec<u8>) {}
}
impl<A: FixedKey, B: KeyBytes> KeyBytes for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }
}
impl<A: FixedKey, B: FixedKey> FixedKey for (A, B) {}
impl<A: FixedKey, B: FixedKey, C: KeyBytes> KeyBytes for (A, B, C) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
        self.2.write(out);
    }
}

/// A type that is kept in the store.
pub trait Record: Serialize + DeserializeOwned {
    type Key: KeyBytes;
    const TABLE: Table;
    /// The version written; 1 and up (0 marks a value kept in chunks).
    const VERSION: u8;

    fn key(&self) -> Self::Key;

    /// Whether a change of it can be news; `news` is not asked otherwise.
    const TELLS: bool = false;

    /// What others may want to hear of a change from `before` to `after` (`None`: not there).
    fn news(_before: Option<&Self>, _after: Option<&Self>, _tx: &Tx<'_>) -> Result<Vec<Told>> {
        Ok(Vec::new())
    }

    /// Reads a body written under an older version. The default knows none.
    fn upgrade(version: u8, _body: &[u8]) -> Result<Self> {
        Err(other_release(Self::TABLE, version, Self::VERSION))
    }

    /// `[version][postcard]`.
    fn encode(&self) -> Result<Vec<u8>> {
        const { assert!(Self::VERSION > 0, "version 0 is the mark of a chunked value") };
        postcard::to_extend(self, vec![Self::VERSION])
            .map_err(|e| Fault::bug(format!("a record of table '{}' cannot be written", Self::TABLE.name())).with_source(e))
    }

    /// The opposite of `encode`, for this version and those `upgrade` knows.
    fn decode(bytes: &[u8]) -> Result<Self> {
        let Some((&version, body)) = bytes.split_first() else {
            return Err(unreadable(Self::TABLE, 0));
        };
        if version != Self::VERSION {
            return Self::upgrade(version, body);
        }
        decode_body(Self::TABLE, version, body)
    }
}

/// A version that this binary knows nothing of.
pub fn other_release(table: Table, version: u8, now: u8) -> Fault {
    Fault::bug(format!(
        "a record of table '{}' has version {version}, this bothy reads version {now}: another release wrote it; install that release, or restore an export made by this one",
        table.name()
    ))
}

/// Reads a postcard body to its last byte: what is left over was written by another shape. For use in `upgrade`.
pub fn decode_body<T: DeserializeOwned>(table: Table, version: u8, body: &[u8]) -> Result<T> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(unreadable(table, version)),
        Err(e) => Err(unreadable(table, version).with_source(e)),
    }
}

fn unreadable(table: Table, version: u8) -> Fault {
    Fault::bug(format!(
        "a record of table '{}' (version {version}) cannot be read: run `bothy store verify`, and restore an export if it finds damage",
        table.name()
    ))
}

/// Checks that `value` is written as `hex` and read back from it. One call per version and enum variant.
#[cfg(test)]
pub fn assert_golden<R: Record + PartialEq + std::fmt::Debug>(value: &R, hex: &str) {
    let written = value.encode().expect("the record encodes");
    assert_eq!(data_encoding::HEXLOWER.encode(&written), hex, "the bytes on disk changed: append, or raise VERSION");
    assert_eq!(&R::decode(&written).expect("the record decodes"), value);
}

/// Checks that an older release's bytes still read as `value`.
#[cfg(test)]
pub fn assert_reads<R: Record + PartialEq + std::fmt::Debug>(hex: &str, value: &R) {
    let old = data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex");
    assert_eq!(&R::decode(&old).expect("an older version decodes"), value);
}
