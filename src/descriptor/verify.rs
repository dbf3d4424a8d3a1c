//! Digests that a package claims for its files, against what the files really are.
//!
//! Owns `Claim` (from a manifest, TOSCA.meta or a descriptor's checksum) and the one pass over all
//! files. Never reads a file twice.

use std::{collections::HashMap, io};

use smol_str::SmolStr;

use super::{
    archive::Archive,
    diagnose::{Pos, Sink},
    digest::Algorithm,
};
use crate::model::{package::PackageFile, size::Bytes};

/// Somebody says what a file's digest is.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Path in the package.
    pub file: SmolStr,
    pub algorithm: Algorithm,
    pub hash: String,
    /// Where it is said.
    pub pos: Pos,
    pub path: String,
}

/// Hashes every file once and reports each claim that does not hold.
pub fn verify(archive: &mut Archive, claims: &[Claim], sink: &Sink) -> Vec<PackageFile> {
    let paths: Vec<SmolStr> = archive.entries().map(|(p, _)| p.clone()).collect();
    for c in claims.iter().filter(|c| !archive.contains(&c.file)) {
        sink.error_hint(c.pos, &c.path, format!("'{}' is not in the package", c.file), "add the file, or take it out of this list");
    }
    let mut by_file: HashMap<&SmolStr, Vec<&Claim>> = HashMap::new();
    for c in claims {
        by_file.entry(&c.file).or_default().push(c);
    }
    let mut out = Vec::new();
    for path in paths {
        let mine = by_file.remove(&path).unwrap_or_default();
        let also: Vec<Algorithm> = mine.iter().map(|c| c.algorithm).collect();
        match archive.stream(&path, &mut io::sink(), &also) {
            Ok(d) => {
                for c in mine {
                    let found = d.hex(c.algorithm).unwrap_or_default();
                    if !found.eq_ignore_ascii_case(c.hash.trim()) {
                        let text = format!("wrong {} of '{path}': expected {}, found {found}", c.algorithm.name(), c.hash.trim());
                        sink.error_hint(c.pos, &c.path, text, "the file was changed after the digest was made, or is damaged");
                    }
                }
                let media_type = SmolStr::new(media_type(&path));
                out.push(PackageFile { sha256: d.sha256(), size: Bytes(d.size()), media_type, path });
            }
            Err(f) => sink.error(sink.file(&path), "", f.text().strip_prefix(&format!("{path}: ")).unwrap_or(f.text())),
        }
    }
    out
}

/// By extension; for `Content-Type` of artifact downloads.
pub fn media_type(path: &str) -> &'static str {
    let ext = path.rsplit('/').next().and_then(|n| n.rsplit_once('.')).map(|(_, e)| e.to_ascii_lowercase());
    match ext.as_deref() {
        Some("yaml" | "yml") => "application/yaml",
        Some("json") => "application/json",
        Some("xml") => "application/xml",
        Some("mf" | "meta" | "txt" | "md" | "cfg" | "conf" | "j2" | "tpl") => "text/plain",
        Some("sh") => "application/x-sh",
        Some("zip" | "csar") => "application/zip",
        Some("cert" | "crt" | "pem") => "application/x-pem-file",
        Some("cms" | "p7s") => "application/cms",
        _ => "application/octet-stream",
    }
}
