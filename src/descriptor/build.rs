//! `bothy package build`: a folder becomes a package with its digests.
//!
//! Owns the manifest that is written and the ZIP file: the same input gives the same bytes. Never
//! writes a package that `lint` refuses.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use smol_str::SmolStr;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use super::{
    archive::Archive,
    diagnose::{Diagnostics, Sink},
    limits::Limits,
    manifest::META,
    package::{Content, PackageKind, read_package},
};
use crate::model::order::Order as _;
use crate::model::{error::Fault, package::PackageFile, size::Bytes};

/// What to build.
#[derive(Debug, Clone)]
pub struct Build<'a> {
    pub dir: &'a Path,
    /// Files from elsewhere, such as built images: (path in the package, file on disk).
    pub artifacts: &'a [(String, PathBuf)],
    pub out: &'a Path,
    /// For a manifest that does not state its release: `2026-11-20T12:00:00Z`.
    pub released: &'a str,
}

/// What was built.
#[derive(Debug, Clone)]
pub struct Built {
    pub kind: PackageKind,
    /// `descriptor_id` of the VNFD, NSD or PNFD.
    pub descriptor_id: SmolStr,
    pub files: usize,
    pub size: Bytes,
    pub warnings: Diagnostics,
}

impl Build<'_> {
    pub fn run(&self, limits: &Limits) -> Result<Built, Diagnostics> {
        let mut archive = Archive::open(self.dir, limits)?;
        for (path, disk) in self.artifacts {
            archive.add_file(path, disk).map_err(one)?;
        }
        let manifest = self.prepare(&mut archive).map_err(one)?;
        let first = read_package(&mut archive, limits)?;
        let head = archive.read_text(&manifest).map_err(one)?;
        let head = if head.trim().is_empty() { self.metadata(&first) } else { head };
        archive.add_bytes(&manifest, with_digests(&head, first.files(), &manifest).into_bytes()).map_err(one)?;
        let content = read_package(&mut archive, limits)?;
        let size = self.write(&mut archive).map_err(one)?;
        Ok(Built {
            kind: content.kind(),
            descriptor_id: content.descriptor_id().clone(),
            files: content.files().len(),
            size,
            warnings: content.warnings().clone(),
        })
    }

    /// Puts a manifest without digests in place and makes TOSCA.meta name it. Old digests in the
    /// folder are expected to be stale.
    fn prepare(&self, archive: &mut Archive) -> Result<String, Fault> {
        let meta = if archive.contains(META) { Some(archive.read_text(META)?) } else { None };
        let value = |key: &str| {
            let line = meta.as_ref()?.lines().find_map(|l| l.strip_prefix(key)?.trim_start().strip_prefix(':'))?;
            Some(line.trim().to_owned())
        };
        let named = value("ETSI-Entry-Manifest").or_else(|| value("Entry-Manifest"));
        let root = |p: &&SmolStr| !p.contains('/') && (p.ends_with(".yaml") || p.ends_with(".yml"));
        let entry = value("Entry-Definitions").or_else(|| archive.entries().map(|(p, _)| p).find(root).map(ToString::to_string));
        let path = named.clone().unwrap_or_else(|| {
            let entry = entry.as_deref().unwrap_or("package.yaml");
            let base = entry.rsplit('/').next().unwrap_or(entry);
            format!("{}.mf", base.rsplit_once('.').map_or(base, |(s, _)| s))
        });
        if let (Some(text), None) = (&meta, &named) {
            let (block, rest) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
            let with = format!("{}\nETSI-Entry-Manifest: {path}\n{}{rest}", block.trim_end(), if rest.is_empty() { "" } else { "\n" });
            archive.add_bytes(META, with.into_bytes())?;
        }
        let kept = if archive.contains(&path) { without_digests(&archive.read_text(&path)?) } else { String::new() };
        archive.add_bytes(&path, kept.into_bytes())?;
        Ok(path)
    }

    /// The metadata block of a manifest (SOL004 4.3.2, SOL007 4.3.2).
    fn metadata(&self, content: &Content) -> String {
        let lines: Vec<(&str, &str)> = match content {
            Content::Vnf(c) => vec![
                ("vnfd_id", &c.vnfd.id),
                ("vnf_provider_id", &c.vnfd.provider),
                ("vnf_product_name", &c.vnfd.product_name),
                ("vnf_software_version", &c.vnfd.software_version),
                ("vnf_package_version", &c.vnfd.version),
                ("vnf_release_date_time", self.released),
                ("compatible_specification_versions", "2.6.1,3.3.1,4.4.1"),
            ],
            Content::Nsd(c) => vec![
                ("nsd_designer", &c.nsd.designer),
                ("nsd_name", &c.nsd.name),
                ("nsd_invariant_id", &c.nsd.invariant_id),
                ("nsd_file_structure_version", &c.nsd.version),
                ("nsd_release_date_time", self.released),
                ("compatible_specification_versions", "2.6.1,3.3.1,4.4.1"),
            ],
            Content::Pnfd(c) => vec![
                ("pnfd_name", &c.pnfd.name),
                ("pnfd_provider", &c.pnfd.provider),
                ("pnfd_archive_version", &c.pnfd.version),
                ("pnfd_release_date_time", self.released),
                ("compatible_specification_versions", "2.6.1,3.3.1,4.4.1"),
            ],
        };
        let mut out = String::from("metadata:\n");
        for (k, v) in lines {
            out.push_str(&format!("  {k}: {v}\n"));
        }
        out
    }

    fn write(&self, archive: &mut Archive) -> Result<Bytes, Fault> {
        let cannot = |e: io::Error| Fault::transient(format!("{}: cannot be written: {e}", self.out.display())).with_source(e);
        let name = self.out.file_name().map(|n| n.to_string_lossy().into_owned());
        let name = name.ok_or_else(|| Fault::invalid(format!("{} names no file", self.out.display())))?;
        let part = self.out.with_file_name(format!(".{name}.part"));
        let done = write_zip(archive, &part).and_then(|size| {
            fs::rename(&part, self.out).map_err(cannot)?;
            Ok(size)
        });
        if done.is_err() {
            // Nothing half-written stays; the fault that led here is the one to tell.
            drop(fs::remove_file(&part));
        }
        done
    }
}

fn one(f: Fault) -> Diagnostics {
    let sink = Sink::default();
    sink.error(sink.file(""), "", f.detail());
    sink.finish()
}

/// A manifest up to its first file; signatures over the old text go too.
fn without_digests(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let l = line.trim_start();
        if l.starts_with("Source:") || l.starts_with("non_mano_artifact_sets:") || l.starts_with("-----BEGIN") {
            break;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

fn with_digests(head: &str, files: &[PackageFile], manifest: &str) -> String {
    let mut out = format!("{}\n", head.trim_end());
    for f in files.iter().filter(|f| f.path != manifest && f.path != META) {
        let hex = data_encoding::HEXLOWER.encode(&f.sha256);
        out.push_str(&format!("\nSource: {}\nAlgorithm: SHA-256\nHash: {hex}\n", f.path));
    }
    out
}

/// Archives in one, with a text that goes before them: what a dry run of packages on disk is asked with.
pub fn bundle(out: &Path, (name, text): (&str, &str), archives: &[PathBuf]) -> Result<(), Fault> {
    let mut all = Archive::empty();
    all.add_bytes(name, text.as_bytes().to_vec())?;
    for (i, archive) in archives.iter().enumerate() {
        let name = archive.file_stem().and_then(|n| n.to_str()).unwrap_or("package");
        all.add_file(&format!("{i}-{name}.zip"), archive)?;
    }
    write_zip(&mut all, out).map(drop)
}

/// Same input, same bytes: sorted entries (TOSCA.meta first), one date, one mode.
fn write_zip(archive: &mut Archive, path: &Path) -> Result<Bytes, Fault> {
    let cannot = |e: io::Error| Fault::transient(format!("{}: cannot be written: {e}", path.display())).with_source(e);
    let bad = |e: zip::result::ZipError| Fault::transient(format!("{}: cannot be written: {e}", path.display())).with_source(e);
    let file = File::create(path).map_err(cannot)?;
    let mut zip = ZipWriter::new(BufWriter::new(file));
    let mut entries: Vec<(SmolStr, u64)> = archive.entries().map(|(p, s)| (p.clone(), s)).collect();
    entries.order_by_key(|(p, _)| (p != META, p.clone()));
    for (entry, size) in entries {
        // Images of these kinds are compressed already, or are read faster as they are.
        let packed = [".qcow2", ".gz", ".xz", ".zst", ".zip", ".tgz"].iter().any(|e| entry.ends_with(e));
        let options = SimpleFileOptions::default()
            .compression_method(if packed { CompressionMethod::Stored } else { CompressionMethod::Deflated })
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644)
            .large_file(size >= u64::from(u32::MAX));
        zip.start_file(entry.as_str(), options).map_err(bad)?;
        archive.stream(&entry, &mut zip, &[])?;
    }
    let mut out = zip.finish().map_err(bad)?;
    out.flush().map_err(cannot)?;
    let file = out.into_inner().map_err(|e| cannot(e.into_error()))?;
    file.sync_all().map_err(cannot)?;
    Ok(Bytes(file.metadata().map_err(cannot)?.len()))
}
