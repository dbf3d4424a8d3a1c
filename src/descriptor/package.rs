//! Whole packages: a VNF package (SOL004), an NSD archive or a PNFD archive (SOL007, SOL004) into the model.
//!
//! Owns the order: index, descriptor, cross-checks, digests of every file; and one list of all
//! that is wrong. Never keeps a file, never asks what is onboarded.

use std::path::Path;

use smol_str::SmolStr;

use super::{
    archive::Archive,
    diagnose::{Diagnostics, Sink},
    limits::Limits,
    manifest::{self, Index},
    tosca::{
        load::{self, Files, Loaded},
        nsd, pnfd, types, vnfd,
    },
    verify::{self, Claim},
};
use crate::model::{artefact::OutsideArtefact, nsd::Nsd, package::PackageFile, pnfd::Pnfd, vnfd::Vnfd};

/// A VNF package as read.
#[derive(Debug, Clone)]
pub struct VnfPackageContent {
    pub vnfd: Vnfd,
    pub vnfd_path: SmolStr,
    pub manifest_path: Option<SmolStr>,
    /// Every file, with the digest of what it is.
    pub files: Vec<PackageFile>,
    /// Files for others than MANO, each with its set; and files that are not in the package.
    pub sets: Vec<(SmolStr, SmolStr)>,
    pub outside: Vec<OutsideArtefact>,
    pub warnings: Diagnostics,
}

/// An NSD archive as read.
#[derive(Debug, Clone)]
pub struct NsdContent {
    pub nsd: Nsd,
    pub nsd_path: SmolStr,
    pub manifest_path: Option<SmolStr>,
    pub files: Vec<PackageFile>,
    pub warnings: Diagnostics,
}

/// A PNFD archive as read.
#[derive(Debug, Clone)]
pub struct PnfdContent {
    pub pnfd: Pnfd,
    pub pnfd_path: SmolStr,
    pub manifest_path: Option<SmolStr>,
    pub files: Vec<PackageFile>,
    pub warnings: Diagnostics,
}

/// What sort of package this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageKind {
    Vnf,
    Nsd,
    Pnfd,
}

impl PackageKind {
    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            PackageKind::Vnf => "VNF package",
            PackageKind::Nsd => "NSD archive",
            PackageKind::Pnfd => "PNFD archive",
        }
    }
}

/// A package of any kind.
#[derive(Debug, Clone)]
pub enum Content {
    Vnf(VnfPackageContent),
    Nsd(NsdContent),
    Pnfd(PnfdContent),
}

impl Content {
    pub fn kind(&self) -> PackageKind {
        match self {
            Content::Vnf(_) => PackageKind::Vnf,
            Content::Nsd(_) => PackageKind::Nsd,
            Content::Pnfd(_) => PackageKind::Pnfd,
        }
    }
    pub fn files(&self) -> &[PackageFile] {
        match self {
            Content::Vnf(c) => &c.files,
            Content::Nsd(c) => &c.files,
            Content::Pnfd(c) => &c.files,
        }
    }
    /// `descriptor_id`.
    pub fn descriptor_id(&self) -> &SmolStr {
        match self {
            Content::Vnf(c) => &c.vnfd.id,
            Content::Nsd(c) => &c.nsd.id,
            Content::Pnfd(c) => &c.pnfd.id,
        }
    }
    pub fn warnings(&self) -> &Diagnostics {
        match self {
            Content::Vnf(c) => &c.warnings,
            Content::Nsd(c) => &c.warnings,
            Content::Pnfd(c) => &c.warnings,
        }
    }
}

/// What `lint` found.
#[derive(Debug, Clone)]
pub struct Report {
    /// `None`: it could not be told.
    pub kind: Option<PackageKind>,
    pub diagnostics: Diagnostics,
}

impl Report {
    pub fn is_fit(&self) -> bool {
        !self.diagnostics.has_errors()
    }
}

pub fn read_vnf_package(archive: &mut Archive, limits: &Limits) -> Result<VnfPackageContent, Diagnostics> {
    match read(archive, limits, Some(PackageKind::Vnf))? {
        Content::Vnf(c) => Ok(c),
        Content::Nsd(_) | Content::Pnfd(_) => Err(other_kind()),
    }
}

/// What a package's manifest says of files that are not in it; nothing else is looked at.
pub fn outside_of(archive: &mut Archive, limits: &Limits) -> Vec<OutsideArtefact> {
    archive.limit(limits);
    manifest::index(archive, &Sink::default()).outside
}

pub fn read_nsd_archive(archive: &mut Archive, limits: &Limits) -> Result<NsdContent, Diagnostics> {
    match read(archive, limits, Some(PackageKind::Nsd))? {
        Content::Nsd(c) => Ok(c),
        Content::Vnf(_) | Content::Pnfd(_) => Err(other_kind()),
    }
}

pub fn read_pnfd_archive(archive: &mut Archive, limits: &Limits) -> Result<PnfdContent, Diagnostics> {
    match read(archive, limits, Some(PackageKind::Pnfd))? {
        Content::Pnfd(c) => Ok(c),
        Content::Vnf(_) | Content::Nsd(_) => Err(other_kind()),
    }
}

fn other_kind() -> Diagnostics {
    let sink = Sink::default();
    sink.error(sink.file(""), "", "the package is of another kind than the one expected here");
    sink.finish()
}

/// Reads a package of the kind it turns out to be.
pub fn read_package(archive: &mut Archive, limits: &Limits) -> Result<Content, Diagnostics> {
    read(archive, limits, None)
}

/// Opens and checks a folder or a ZIP file, as `bothy package lint` does.
pub fn lint(path: &Path, extra: &[(String, std::path::PathBuf)], limits: &Limits) -> Report {
    let mut archive = match Archive::open(path, limits) {
        Ok(a) => a,
        Err(diagnostics) => return Report { kind: None, diagnostics },
    };
    for (name, disk) in extra {
        if let Err(f) = archive.add_file(name, disk) {
            let sink = Sink::default();
            sink.error(sink.file(""), "", f.text());
            return Report { kind: None, diagnostics: sink.finish() };
        }
    }
    match read_package(&mut archive, limits) {
        Ok(c) => Report { kind: Some(c.kind()), diagnostics: c.warnings().clone() },
        Err(diagnostics) => Report { kind: None, diagnostics },
    }
}

fn read(archive: &mut Archive, limits: &Limits, want: Option<PackageKind>) -> Result<Content, Diagnostics> {
    let sink = Sink::default();
    archive.limit(limits);
    let content = read_into(archive, want, &sink);
    let findings = sink.finish();
    match content {
        Some(mut c) if !findings.has_errors() => {
            match &mut c {
                Content::Vnf(v) => v.warnings = findings,
                Content::Nsd(n) => n.warnings = findings,
                Content::Pnfd(p) => p.warnings = findings,
            }
            Ok(c)
        }
        // Nothing was read, and whoever gave up has said why.
        _ => Err(findings),
    }
}

fn read_into(archive: &mut Archive, want: Option<PackageKind>, sink: &Sink) -> Option<Content> {
    let index = manifest::index(archive, sink);
    let entry = index.entry.clone().unwrap_or_default();
    let files = Files::new(archive);
    let loaded = index.entry.as_ref().and_then(|e| load::load(&files, e, sink));
    let kind = loaded.as_ref().map(|l| kind_of(l, &index));
    let content = loaded.and_then(|l| match (kind, want) {
        (Some(kind), Some(want)) if kind != want => {
            sink.error(sink.file(&entry), "", format!("this is {}, and {} is expected here", a(kind), a(want)));
            None
        }
        (Some(PackageKind::Nsd), _) => nsd::read(&l, sink).map(|nsd| {
            Content::Nsd(NsdContent {
                nsd,
                nsd_path: entry.clone(),
                manifest_path: index.manifest.clone(),
                files: Vec::new(),
                warnings: Diagnostics::default(),
            })
        }),
        (Some(PackageKind::Pnfd), _) => pnfd::read(&l, sink).map(|pnfd| {
            Content::Pnfd(PnfdContent {
                pnfd,
                pnfd_path: entry.clone(),
                manifest_path: index.manifest.clone(),
                files: Vec::new(),
                warnings: Diagnostics::default(),
            })
        }),
        _ => vnfd::read(&l, &files, sink).map(|vnfd| {
            Content::Vnf(VnfPackageContent {
                vnfd,
                vnfd_path: entry.clone(),
                manifest_path: index.manifest.clone(),
                files: Vec::new(),
                sets: index.sets.clone(),
                outside: index.outside.clone(),
                warnings: Diagnostics::default(),
            })
        }),
    });
    let mut claims: Vec<Claim> = index.claims.clone();
    claims.extend(files.take_claims());
    let listed = verify::verify(archive, &claims, sink);
    content.map(|mut c| {
        match &mut c {
            Content::Vnf(v) => {
                let d = &v.vnfd;
                let said = [("vnfd_id", &d.id), ("vnf_product_name", &d.product_name), ("vnf_provider_id", &d.provider)];
                agree(&index, &said, sink);
                agree(&index, &[("vnf_software_version", &d.software_version)], sink);
                fill_digests(&mut v.vnfd, &listed);
                v.files = listed;
            }
            Content::Nsd(n) => {
                let d = &n.nsd;
                agree(&index, &[("nsd_name", &d.name), ("nsd_designer", &d.designer), ("nsd_invariant_id", &d.invariant_id)], sink);
                n.files = listed;
            }
            Content::Pnfd(p) => {
                let d = &p.pnfd;
                agree(&index, &[("pnfd_name", &d.name), ("pnfd_provider", &d.provider)], sink);
                p.files = listed;
            }
        }
        c
    })
}

fn kind_of(loaded: &Loaded, index: &Index) -> PackageKind {
    let has_ns = |t: &load::Template| t.topology().is_some_and(|n| vnfd::node_of(n, &loaded.types, types::NS).is_some());
    if index.is_nsd() || loaded.files.iter().any(has_ns) {
        return PackageKind::Nsd;
    }
    // An NSD has physical boxes among its nodes too, a VNFD never.
    let has_pnf = |t: &load::Template| t.topology().is_some_and(|n| vnfd::node_of(n, &loaded.types, types::PNF).is_some());
    if index.is_pnfd() || loaded.files.iter().any(has_pnf) { PackageKind::Pnfd } else { PackageKind::Vnf }
}

fn a(kind: PackageKind) -> &'static str {
    match kind {
        PackageKind::Vnf => "a VNF package",
        PackageKind::Nsd => "an NSD archive",
        PackageKind::Pnfd => "a PNFD archive",
    }
}

/// The manifest repeats some of the descriptor's identity; where it differs, somebody forgot one.
fn agree(index: &Index, pairs: &[(&str, &SmolStr)], sink: &Sink) {
    for (key, want) in pairs {
        if let Some((said, pos)) = index.get(key)
            && said != *want
        {
            sink.warn(pos, key, format!("'{said}' differs from '{want}' in the descriptor"));
        }
    }
}

fn fill_digests(vnfd: &mut Vnfd, files: &[PackageFile]) {
    let disks = vnfd.flavours.iter_mut().flat_map(|f| &mut f.vdus).flat_map(|v| &mut v.disks);
    for image in disks.filter_map(|d| d.image.as_mut()) {
        image.sha256 = files.iter().find(|f| f.path == image.path).map(|f| f.sha256);
    }
}
