//! `TOSCA-Metadata/TOSCA.meta` and the `.mf` manifest (SOL004 clause 4, SOL007 clause 4).
//!
//! Owns their text forms, as the standard has them and as the field writes them: samples lack the
//! metadata block, put hashes into TOSCA.meta, repeat entries. Never verifies a signature; says so.

use std::collections::HashSet;

use smol_str::SmolStr;

use super::{
    Limits,
    archive::{Archive, check_path},
    diagnose::{Pos, Severity, Sink, did_you_mean},
    digest::Algorithm,
    verify::Claim,
};
use crate::model::artefact::OutsideArtefact;

pub const META: &str = "TOSCA-Metadata/TOSCA.meta";

/// Where the descriptor and the manifest are, and what the two files say.
#[derive(Debug, Default)]
pub struct Index {
    /// The descriptor's main file; `None` where it cannot be told (reported).
    pub entry: Option<SmolStr>,
    pub manifest: Option<SmolStr>,
    /// Keys of the manifest's metadata block: `vnf_provider_id`, `nsd_designer`, ...
    pub metadata: Vec<(SmolStr, String, Pos)>,
    pub claims: Vec<Claim>,
    /// Files for others than MANO, each with its set.
    pub sets: Vec<(SmolStr, SmolStr)>,
    /// Files that are not in the package.
    pub outside: Vec<OutsideArtefact>,
    /// How often one of them was named: all who read them compare them with each other.
    far: usize,
}

impl Index {
    pub fn is_nsd(&self) -> bool {
        self.metadata.iter().any(|(k, _, _)| k.starts_with("nsd_"))
    }
    pub fn is_pnfd(&self) -> bool {
        self.metadata.iter().any(|(k, _, _)| k.starts_with("pnfd_"))
    }
    pub fn get(&self, key: &str) -> Option<(&str, Pos)> {
        self.metadata.iter().find(|(k, _, _)| k == key).map(|(_, v, p)| (v.as_str(), *p))
    }
}

/// One `key: value` line.
struct Line<'a> {
    pos: Pos,
    key: &'a str,
    value: &'a str,
}

/// Reads what a package says about itself.
pub fn index(archive: &mut Archive, sink: &Sink) -> Index {
    let mut out = Index::default();
    let entry = if archive.contains(META) { from_meta(archive, sink, &mut out) } else { from_root(archive, sink) };
    if out.manifest.is_none() {
        // Without a word in TOSCA.meta, the manifest is beside the entry under its name.
        let stem = entry.as_deref().and_then(|e| e.rsplit_once('.')).map(|(s, _)| format!("{s}.mf"));
        out.manifest = stem.filter(|m| archive.contains(m)).map(SmolStr::new);
    }
    match out.manifest.clone() {
        Some(m) => manifest(archive, &m, sink, &mut out),
        None => sink.warn_hint(sink.file(""), "", "has no manifest, so its files have no digests", "bothy package build writes one"),
    }
    unlisted(archive, &out, sink);
    out.entry = entry;
    out
}

const META_KEYS: &[&str] = &[
    "TOSCA-Meta-File-Version",
    "CSAR-Version",
    "Created-By",
    "Created-by",
    "Entry-Definitions",
    "Other-Definitions",
    "ETSI-Entry-Manifest",
    "ETSI-Entry-Licenses",
    "ETSI-Entry-Change-Log",
    "ETSI-Entry-Tests",
    "ETSI-Entry-Certificate",
    "Entry-Manifest",
    "Entry-Change-Log",
    "Entry-Tests",
    "Entry-Licenses",
    "Entry-Certificate",
];

fn from_meta(archive: &mut Archive, sink: &Sink, out: &mut Index) -> Option<SmolStr> {
    let (here, limits) = (sink.file(META), archive.limits().clone());
    let text = match archive.read_text(META) {
        Ok(t) => t,
        Err(f) => {
            sink.error(here, "", f.text());
            return None;
        }
    };
    let mut entry = None;
    let mut first_block = true;
    let mut block = FileBlock::default();
    let mut seen: Vec<&str> = Vec::new();
    for item in lines(&text, here, sink) {
        let Some(l) = item else {
            block.finish(&limits, sink, out);
            first_block = false;
            continue;
        };
        if l.key.eq_ignore_ascii_case("name") {
            block.finish(&limits, sink, out);
            first_block = false;
            block.start(l.value, l.pos);
        } else if !first_block {
            block.line(&l, sink);
        } else {
            if seen.contains(&l.key) {
                sink.error(l.pos, l.key, "is given twice");
            }
            seen.push(l.key);
            match l.key {
                "Entry-Definitions" => entry = Some(l),
                "ETSI-Entry-Manifest" | "Entry-Manifest" => {
                    if archive.contains(l.value) {
                        out.manifest = Some(SmolStr::new(l.value));
                    } else {
                        missing(archive, sink, &l);
                    }
                }
                "TOSCA-Meta-File-Version" if !["1.0", "1.1"].contains(&l.value) => {
                    sink.warn(l.pos, l.key, format!("'{}' is read as 1.0", l.value));
                }
                "CSAR-Version" if !["1.0", "1.1"].contains(&l.value) => {
                    sink.warn(l.pos, l.key, format!("'{}' is read as 1.1", l.value));
                }
                key if !META_KEYS.contains(&key) => {
                    let hint = did_you_mean(key, META_KEYS.iter().copied());
                    sink.report(Severity::Warning, l.pos, key, "is not known here and is left out", hint);
                }
                "ETSI-Entry-Change-Log" | "Entry-Change-Log" if !archive.contains(l.value) => missing(archive, sink, &l),
                _ => {}
            }
        }
    }
    block.finish(&limits, sink, out);
    let Some(l) = entry else {
        sink.error_hint(here, "Entry-Definitions", "is missing", "write 'Entry-Definitions: Definitions/NAME.yaml'");
        return None;
    };
    if !archive.contains(l.value) {
        missing(archive, sink, &l);
        return None;
    }
    Some(SmolStr::new(l.value))
}

fn missing(archive: &Archive, sink: &Sink, l: &Line<'_>) {
    let hint = did_you_mean(l.value, archive.entries().map(|(p, _)| p.as_str()).take(512));
    sink.report(Severity::Error, l.pos, l.key, format!("'{}' is not in the package", l.value), hint);
}

/// A CSAR without TOSCA-Metadata has its one descriptor at the root (SOL004 4.1.3).
fn from_root(archive: &Archive, sink: &Sink) -> Option<SmolStr> {
    let is_root = |p: &&SmolStr| !p.contains('/') && (p.ends_with(".yaml") || p.ends_with(".yml"));
    let roots: Vec<&SmolStr> = archive.entries().map(|(p, _)| p).filter(is_root).collect();
    let here = sink.file("");
    match roots.as_slice() {
        [one] => Some((*one).clone()),
        [] => {
            let hint = format!("add {META}, or one .yaml file at the top of the package");
            sink.error_hint(here, "", "this is no VNF package and no NSD or PNFD archive: there is no descriptor in it", hint);
            None
        }
        many => {
            let names: Vec<&str> = many.iter().map(|m| m.as_str()).collect();
            let text =
                format!("has {} YAML files at its top ({}) and no {META} that says which to start with", names.len(), names.join(", "));
            sink.error(here, "", text);
            None
        }
    }
}

/// `Some(line)` per key, `None` at an empty line. Signatures are noted and skipped.
fn lines<'a>(text: &'a str, file: Pos, sink: &Sink) -> Vec<Option<Line<'a>>> {
    let mut out = Vec::new();
    let mut signature = false;
    for (n, raw) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let pos = Pos { line: u32::try_from(n + 1).unwrap_or(0), column: 0, ..file };
        let line = raw.trim();
        if line.starts_with("-----BEGIN") {
            signature = true;
            sink.warn_hint(pos, "", "the signature here is not verified", "only the digests of the files are checked");
        }
        if signature {
            signature = !line.starts_with("-----END");
            continue;
        }
        if line.is_empty() {
            out.push(None);
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("- ").unwrap_or(line);
        match line.split_once(':') {
            Some((k, v)) => out.push(Some(Line { pos, key: k.trim(), value: v.trim() })),
            None => sink.error(pos, "", format!("'{}' is not a 'key: value' line", line.chars().take(60).collect::<String>())),
        }
    }
    out
}

/// `Source` (or `Name`), `Algorithm`, `Hash` of one file.
#[derive(Default)]
struct FileBlock {
    file: Option<(SmolStr, Pos)>,
    algorithm: Option<(String, Pos)>,
    hash: Option<(String, Pos)>,
}

impl FileBlock {
    fn start(&mut self, file: &str, pos: Pos) {
        *self = FileBlock { file: Some((SmolStr::new(file), pos)), ..FileBlock::default() };
    }
    fn line(&mut self, l: &Line<'_>, sink: &Sink) {
        match l.key.to_ascii_lowercase().as_str() {
            "algorithm" => self.algorithm = Some((l.value.to_owned(), l.pos)),
            "hash" => self.hash = Some((l.value.to_owned(), l.pos)),
            "content-type" => {}
            "signature" | "certificate" => sink.warn(l.pos, l.key, "the signature of this file is not verified"),
            "encryption" => sink.error(l.pos, l.key, "encrypted files are not read"),
            _ => sink.warn(l.pos, l.key, "is not known here and is left out"),
        }
    }
    fn finish(&mut self, limits: &Limits, sink: &Sink, out: &mut Index) {
        let FileBlock { file, algorithm, hash } = std::mem::take(self);
        let Some((file, pos)) = file else { return };
        // A URL names a file outside the package (SOL004 4.3.2).
        let is_outside = file.contains("://");
        if is_outside {
            out.far += 1;
            // A set may name one again.
            let most = 2 * limits.members;
            if out.far > most {
                if out.far == most + 1 {
                    sink.error(
                        pos,
                        "",
                        format!("names files that are not in the package more often than {most} times, which is the most that is read"),
                    );
                }
                return;
            }
        }
        if is_outside && hash.is_none() {
            // Or a set lists what has its digest elsewhere.
            if !out.sets.iter().any(|(f, _)| *f == file) {
                sink.warn(pos, "", format!("'{file}' is not in the package, and without a Hash it cannot be fetched"));
            }
            return;
        }
        if !is_outside && let Err(why) = check_path(&file) {
            sink.error(pos, "", format!("'{file}' {why}"));
            return;
        }
        match (algorithm, hash) {
            (Some((a, at)), Some((hash, hash_at))) => match Algorithm::parse(&a) {
                Some(algorithm) if hash.len() != algorithm.hex_len() || !hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
                    let text = format!("the {} of '{file}' has {} digits, not {}", algorithm.name(), hash.len(), algorithm.hex_len());
                    sink.error(hash_at, "Hash", text);
                }
                Some(algorithm) if is_outside => {
                    let hash = hash.to_ascii_lowercase();
                    let other = |o: &&OutsideArtefact| o.uri == file.as_str() && o.algorithm == algorithm.name();
                    match out.outside.iter().find(other) {
                        Some(o) if o.hash == hash => return,
                        Some(_) => return sink.error(hash_at, "Hash", format!("'{file}' has another {} before", algorithm.name())),
                        None => {}
                    }
                    sink.warn(pos, "", format!("'{file}' is not in the package: it is fetched where ext_artifacts_access says how"));
                    out.outside.push(OutsideArtefact {
                        uri: file.into(),
                        algorithm: algorithm.name().into(),
                        hash: hash.into(),
                        set: None,
                        file: None,
                    });
                }
                Some(algorithm) => out.claims.push(Claim { file, algorithm, hash, pos, path: String::new() }),
                None => sink.error(at, "Algorithm", format!("'{a}' is none of {}", Algorithm::NAMES)),
            },
            (None, None) => {}
            (Some(_), None) => sink.error(pos, "", format!("'{file}' has an Algorithm, but no Hash")),
            (None, Some(_)) => sink.error_hint(pos, "", format!("'{file}' has a Hash, but no Algorithm"), "write 'Algorithm: SHA-256'"),
        }
    }
}

fn manifest(archive: &mut Archive, path: &str, sink: &Sink, out: &mut Index) {
    let (here, limits) = (sink.file(path), archive.limits().clone());
    let text = match archive.read_text(path) {
        Ok(t) => t,
        Err(f) => return sink.error(here, "", f.text()),
    };
    let mut block = FileBlock::default();
    let mut in_file = false;
    // Artefacts for others (`non_mano_artifact_sets:`) list files too, below the names of their sets; other keys are theirs.
    let mut others = false;
    let mut set: Option<&str> = None;
    for item in lines(&text, here, sink) {
        let Some(l) = item else { continue };
        match l.key {
            "Source" | "source" => {
                block.finish(&limits, sink, out);
                if let Some(set) = set {
                    if out.sets.len() as u64 >= limits.entries {
                        return sink.error(
                            l.pos,
                            "",
                            format!("lists more files of sets than the {} that a package may have", limits.entries),
                        );
                    }
                    out.sets.push((l.value.into(), set.into()));
                }
                block.start(l.value, l.pos);
                in_file = true;
            }
            "metadata" => in_file = false,
            "non_mano_artifact_sets" => {
                block.finish(&limits, sink, out);
                (in_file, others) = (false, true);
            }
            name if l.value.is_empty() && others => {
                block.finish(&limits, sink, out);
                (in_file, set) = (false, Some(name));
            }
            _ if in_file => block.line(&l, sink),
            _ if others => {}
            key => out.metadata.push((SmolStr::new(key), l.value.to_owned(), l.pos)),
        }
    }
    block.finish(&limits, sink, out);
    for o in &mut out.outside {
        o.set = out.sets.iter().find(|(f, _)| f.as_str() == o.uri).map(|(_, set)| set.clone());
    }
    if out.metadata.is_empty() {
        sink.warn_hint(here, "metadata", "is missing", "a manifest starts with who made what: 'metadata:' and its keys");
    }
}

/// Files that no digest covers, in one warning.
fn unlisted(archive: &Archive, index: &Index, sink: &Sink) {
    let Some(manifest) = &index.manifest else { return };
    let claimed: HashSet<&SmolStr> = index.claims.iter().map(|c| &c.file).collect();
    let covered =
        |p: &SmolStr| p == META || p == manifest || claimed.contains(p) || [".cert", ".cms", ".p7s", ".sig"].iter().any(|e| p.ends_with(e));
    let open: Vec<&str> = archive.entries().map(|(p, _)| p).filter(|p| !covered(p)).map(SmolStr::as_str).collect();
    if !open.is_empty() {
        let more = if open.len() > 5 { format!(" and {} more", open.len() - 5) } else { String::new() };
        let names: Vec<&str> = open.iter().take(5).copied().collect();
        sink.warn(sink.file(manifest), "", format!("has no digest for {}{more}", names.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_elsewhere_are_few_and_each_has_one_digest() {
        let (limits, sink, mut out) = (Limits { members: 2, ..Limits::default() }, Sink::default(), Index::default());
        let at = sink.file("a.mf");
        let mut say = |uri: &str, digit: &str| {
            let given = |s: String| Some((s, at));
            let mut block = FileBlock { algorithm: given("SHA-256".into()), hash: given(digit.repeat(64)), ..FileBlock::default() };
            block.file = Some((uri.into(), at));
            block.finish(&limits, &sink, &mut out);
            (out.outside.len(), sink.finish().errors().count())
        };
        assert_eq!(say("https://a/1", "a"), (1, 0));
        assert_eq!(say("https://a/1", "A"), (1, 0), "the same again");
        assert_eq!(say("https://a/1", "b"), (1, 1), "it cannot be both");
        assert_eq!(say("https://a/2", "a"), (2, 0));
        for n in 3..9 {
            assert_eq!(say(&format!("https://a/{n}"), "a"), (2, usize::from(n == 3)), "told once");
        }
    }
}
