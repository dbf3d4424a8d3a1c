//! How much of an untrusted package Bothy is willing to look at.
//!
//! Owns the numbers and their defaults. Never: the checks themselves, which stand where the bytes
//! are read.

/// Bounds on a package; each refusal names the bound it hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Files in the archive.
    pub entries: u64,
    /// Bytes of one file after unpacking.
    pub entry_bytes: u64,
    /// Bytes of all files after unpacking.
    pub total_bytes: u64,
    /// Unpacked to packed, for files above `ratio_from_bytes`.
    pub ratio: u64,
    pub ratio_from_bytes: u64,
    /// Bytes of a descriptor, manifest or other text that is read whole.
    pub text_bytes: u64,
    /// Nodes of one YAML file with its aliases expanded.
    pub yaml_nodes: u64,
    pub yaml_depth: u32,
    /// Files that one descriptor imports, directly or not.
    pub imports: usize,
    /// Entries of one map or list that readers compare with each other: node templates, policies,
    /// levels, properties of a type.
    pub members: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            entries: 10_000,
            entry_bytes: 64 << 30,
            total_bytes: 128 << 30,
            ratio: 200,
            ratio_from_bytes: 32 << 20,
            text_bytes: 4 << 20,
            yaml_nodes: 100_000,
            yaml_depth: 64,
            imports: 64,
            members: 512,
        }
    }
}
