//! A folder of packages, as `bothy up` takes it: VNF packages and one NSD, as folders or archives.
//!
//! Owns: finding them, finding the images that folders do not hold, and building what is a folder.
//! Never: talks to a daemon.

use std::{collections::BTreeMap, fs, io::Read as _, os::unix::fs::DirBuilderExt as _};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    failure::Failure,
    package::{RELEASED, tell},
};
use crate::model::order::Order as _;
use crate::{
    descriptor::{Archive, Build, Content, Limits, bundle, document, read_package},
    model::{nsd::Nsd, vnfd::Vnfd},
};

/// What a folder holds, ready to be onboarded.
pub struct Bundle {
    pub vnfs: Vec<Ready<Vnfd>>,
    pub nsd: Ready<Nsd>,
    /// Where folders were built; it goes away with the bundle.
    built: Scratch,
}

/// A package with its archive.
pub struct Ready<D> {
    pub descriptor: D,
    pub archive: Utf8PathBuf,
    /// SHA-256 of the archive, hexadecimal.
    pub digest: String,
}

/// Where images are looked for that a package folder does not hold itself.
pub struct Images(Vec<Utf8PathBuf>);

impl Images {
    /// The folder named by the user, or the usual places around the packages.
    pub fn around(dir: &Utf8Path, named: Option<Utf8PathBuf>) -> Self {
        let usual = || vec![dir.join("../../build/images"), dir.join("images"), Utf8PathBuf::from("build/images")];
        Images(named.map_or_else(usual, |d| vec![d]))
    }

    fn find(&self, name: &str) -> Option<Utf8PathBuf> {
        self.0.iter().map(|d| d.join(name)).find(|f| f.is_file())
    }

    /// What to do about an image that is nowhere.
    fn advice(&self, dir: &Utf8Path, path: &str) -> String {
        let name = path.rsplit('/').next().unwrap_or(path);
        let stem = name.split_once('.').map_or(name, |(s, _)| s);
        let scripts = ["../images", "images", "descriptors/images"];
        let script = scripts.iter().flat_map(|s| [dir.join(s), Utf8PathBuf::from(s)]).map(|d| d.join(format!("build-{stem}")));
        let places: Vec<String> = self.0.iter().map(|d| tidy(d).to_string()).collect();
        let build = match script.into_iter().find(|s| s.is_file()) {
            Some(s) => format!("{} builds it", tidy(&s)),
            None => "put it there, or name its folder with --images".into(),
        };
        format!("looked in the package and in {}; {build}", places.join(", "))
    }
}

/// For people: without the `x/..` in the middle. Links are not followed.
fn tidy(path: &Utf8Path) -> Utf8PathBuf {
    let mut out = Utf8PathBuf::new();
    for part in path.components() {
        match part {
            Utf8Component::ParentDir if matches!(out.components().next_back(), Some(Utf8Component::Normal(_))) => {
                out.pop();
            }
            _ => out.push(part),
        }
    }
    out
}

impl Bundle {
    /// Reads and builds everything; what is wrong with any package is told at once.
    pub fn read(dir: &Utf8Path, images: &Images) -> Result<Bundle, Failure> {
        let found = packages_in(dir)?;
        let built = Scratch::new()?;
        let (mut vnfs, mut nsds, mut faulty) = (Vec::new(), Vec::new(), Vec::new());
        let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for path in &found {
            match read_one(path, images, &built)? {
                Outcome::Vnf(v) => vnfs.push(*v),
                Outcome::Nsd(n) => nsds.push(*n),
                Outcome::Passed => {}
                Outcome::Faulty => faulty.push(path.to_string()),
                Outcome::Misses(what) => {
                    for image in what {
                        missing.entry(image).or_default().push(path.file_name().unwrap_or("?"));
                    }
                }
            }
        }
        if !missing.is_empty() {
            let tell = |(image, of): (&String, &Vec<&str>)| format!("{image} of {}: {}", of.join(", "), images.advice(dir, image));
            return Err(Failure::Many { detail: "images are missing".into(), reasons: missing.iter().map(tell).collect() });
        }
        if !faulty.is_empty() {
            return Err(Failure::Here(format!("{} cannot be onboarded as it is", faulty.join(", "))));
        }
        let named: Vec<&str> = nsds.iter().map(|n| n.descriptor.name.as_str()).collect();
        match named.len() {
            1 => {}
            0 => {
                return Err(Failure::Here(format!("{dir} holds {} VNF packages but no NSD: nothing says how to connect them", vnfs.len())));
            }
            _ => return Err(Failure::Here(format!("{dir} holds more than one NSD ({}): give a folder with one", named.join(", ")))),
        }
        vnfs.order_by(|a, b| a.descriptor.product_name.cmp(&b.descriptor.product_name));
        let nsd = nsds.remove(0);
        Ok(Bundle { vnfs, nsd, built })
    }

    /// Some of the packages in one archive, with the question what they would become.
    pub fn pack(&self, ask: &Value, archives: &[&Utf8Path]) -> Result<Utf8PathBuf, Failure> {
        let out = self.built.0.join("bundle.zip");
        let archives: Vec<_> = archives.iter().map(|a| a.as_std_path().to_path_buf()).collect();
        bundle(out.as_std_path(), ("ask.json", &ask.to_string()), &archives)?;
        Ok(out)
    }
}

enum Outcome {
    Vnf(Box<Ready<Vnfd>>),
    Nsd(Box<Ready<Nsd>>),
    /// Nothing of a service: said, and left where it is.
    Passed,
    /// Its findings have been shown.
    Faulty,
    /// Images that are nowhere.
    Misses(Vec<String>),
}

/// Folders and archives that look like packages.
pub fn packages_in(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, Failure> {
    let bad = |e: std::io::Error| Failure::here(format!("cannot read the folder {dir}"), e);
    let mut found = Vec::new();
    for entry in dir.read_dir_utf8().map_err(bad)? {
        let path = entry.map_err(bad)?.into_path();
        let hidden = path.file_name().is_none_or(|n| n.starts_with('.'));
        if !hidden && (is_archive(&path) || is_package_folder(&path)) {
            found.push(path);
        }
    }
    found.order();
    if !found.is_empty() {
        return Ok(found);
    }
    let text = if is_package_folder(dir) {
        format!("{dir} is one package; `up` wants the folder that holds all of a network service's packages")
    } else {
        format!("{dir} holds no packages: neither folders with TOSCA-Metadata or a manifest, nor .csar or .zip files")
    };
    Err(Failure::Here(text))
}

fn is_archive(path: &Utf8Path) -> bool {
    path.is_file() && path.extension().is_some_and(|e| ["csar", "zip"].iter().any(|x| e.eq_ignore_ascii_case(x)))
}

fn is_package_folder(path: &Utf8Path) -> bool {
    let has_manifest = || {
        let mut entries = path.read_dir_utf8().into_iter().flatten().flatten();
        entries.any(|e| e.path().extension() == Some("mf"))
    };
    path.is_dir() && (path.join("TOSCA-Metadata/TOSCA.meta").is_file() || has_manifest())
}

fn read_one(path: &Utf8Path, images: &Images, built: &Scratch) -> Result<Outcome, Failure> {
    let limits = Limits::default();
    let mut archive = match Archive::open(path.as_std_path(), &limits) {
        Ok(a) => a,
        Err(found) => {
            tell(&found);
            return Ok(Outcome::Faulty);
        }
    };
    let is_folder = path.is_dir();
    let mut added = Vec::new();
    let mut missing = Vec::new();
    for wanted in if is_folder { images_missing(&mut archive) } else { Vec::new() } {
        let name = wanted.rsplit('/').next().unwrap_or(&wanted);
        match images.find(name) {
            Some(file) => {
                archive.add_file(&wanted, file.as_std_path())?;
                added.push((wanted, file.into_std_path_buf()));
            }
            None => missing.push(wanted),
        }
    }
    if !missing.is_empty() {
        return Ok(Outcome::Misses(missing));
    }
    let content = match read_package(&mut archive, &limits) {
        Ok(c) => c,
        Err(found) => {
            eprintln!("{path}:");
            tell(&found);
            return Ok(Outcome::Faulty);
        }
    };
    if let Content::Pnfd(c) = &content {
        eprintln!("{path}: PNFD {} is left out: nothing is made of it; PUT it to /nsd/v2/pnf_descriptors", c.pnfd.id);
        return Ok(Outcome::Passed);
    }
    let file = if is_folder {
        let out = built.0.join(format!("{}.csar", path.file_name().unwrap_or("package")));
        let order = Build { dir: path.as_std_path(), artifacts: &added, out: out.as_std_path(), released: RELEASED };
        if let Err(found) = order.run(&limits) {
            eprintln!("{path}:");
            tell(&found);
            return Ok(Outcome::Faulty);
        }
        out
    } else {
        path.to_owned()
    };
    let digest = sha256(&file)?;
    Ok(match content {
        Content::Vnf(c) => Outcome::Vnf(Box::new(Ready { descriptor: c.vnfd, archive: file, digest })),
        Content::Nsd(c) => Outcome::Nsd(Box::new(Ready { descriptor: c.nsd, archive: file, digest })),
        Content::Pnfd(_) => Outcome::Passed,
    })
}

pub fn sha256(file: &Utf8Path) -> Result<String, Failure> {
    let bad = |e: std::io::Error| Failure::here(format!("cannot read {file}"), e);
    let mut from = fs::File::open(file).map_err(bad)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0u8; 256 * 1024]);
    loop {
        match from.read(&mut buffer).map_err(bad)? {
            0 => return Ok(HEXLOWER.encode(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

/// Paths in the package of images that its descriptors name and the folder does not hold. A file
/// that cannot be read is left to the reader of packages, which says why.
fn images_missing(archive: &mut Archive) -> Vec<String> {
    let yaml: Vec<String> = archive.entries().map(|(p, _)| p.to_string()).filter(|p| p.ends_with(".yaml") || p.ends_with(".yml")).collect();
    let mut missing = Vec::new();
    for path in yaml {
        let Ok(text) = archive.read_text(&path) else { continue };
        let Ok(doc) = document::read(&text) else { continue };
        let folder = path.rsplit_once('/').map_or("", |(f, _)| f);
        for name in image_files(&doc) {
            let places: Vec<String> = [below(folder, &name), below("", &name)].into_iter().flatten().collect();
            if !places.iter().any(|p| archive.contains(p))
                && let Some(first) = places.into_iter().next()
                && !missing.contains(&first)
            {
                missing.push(first);
            }
        }
    }
    missing
}

/// The files of `sw_image` artifacts, as SOL001 6.5.1 writes them.
fn image_files(doc: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let templates = doc["topology_template"]["node_templates"].as_object();
    for node in templates.into_iter().flat_map(|t| t.values()) {
        for (name, artifact) in node["artifacts"].as_object().into_iter().flatten() {
            let is_image = name == "sw_image" || artifact["type"].as_str().is_some_and(|t| t.ends_with(".SwImage"));
            let file = artifact["file"].as_str().or_else(|| artifact.as_str());
            if let Some(file) = file.filter(|f| is_image && !f.contains("://")) {
                out.push(file.to_owned());
            }
        }
    }
    out
}

/// `a/b` + `../c` = `a/c`; `None` when it leads out of the package.
fn below(folder: &str, name: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            p => parts.push(p),
        }
    }
    Some(parts.join("/"))
}

/// A folder of our own for a while.
struct Scratch(Utf8PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let base = Utf8PathBuf::from_path_buf(std::env::temp_dir()).unwrap_or_else(|_| "/tmp".into());
        let path = base.join(format!("bothy-up-{}", uuid::Uuid::new_v4()));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|e| Failure::here(format!("cannot make the folder {path}"), e))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in the system's folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_as_sol001_writes_them() {
        let doc = serde_json::json!({"topology_template": {"node_templates": {
            "a": {"artifacts": {"sw_image": {"file": "../Files/a.qcow2"}}},
            "b": {"artifacts": {"x": {"type": "tosca.artifacts.nfv.SwImage", "file": "b.img"}}},
            "c": {"artifacts": {"sw_image": "c.img"}},
            "d": {"artifacts": {"script": {"type": "tosca.artifacts.Implementation", "file": "no.sh"}}},
            "e": {"artifacts": {"sw_image": {"file": "https://example.org/e.img"}}},
            "f": {},
        }}});
        assert_eq!(image_files(&doc), ["../Files/a.qcow2", "b.img", "c.img"]);
        assert_eq!(below("Definitions", "../Files/a.qcow2").as_deref(), Some("Files/a.qcow2"));
        assert_eq!(below("", "../a"), None);
    }

    #[test]
    fn an_image_that_is_nowhere_is_told_with_the_script_that_builds_it() {
        let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
        let nowhere = tempfile::tempdir().expect("dir");
        let nowhere = Utf8PathBuf::from_path_buf(nowhere.path().to_owned()).expect("utf-8");
        let dir = root.join("descriptors/vcpe");
        let text = match Bundle::read(&dir, &Images::around(&dir, Some(nowhere))) {
            Ok(_) => panic!("there is no image"),
            Err(f) => f.text(),
        };
        assert!(
            text.starts_with("error: images are missing\n  - Files/images/tiny.qcow2 of vcpe-client, vcpe-firewall, vcpe-web: looked in"),
            "{text}"
        );
        assert!(text.contains("descriptors/images/build-tiny builds it"), "{text}");
    }

    #[test]
    fn folders_that_are_no_bundle_say_what_they_are() {
        let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptors");
        for (dir, says) in [("vcpe/vcpe-ns", "is one package"), ("images", "holds no packages"), ("nowhere", "cannot read the folder")] {
            let text = packages_in(&root.join(dir)).expect_err(dir).text();
            assert!(text.contains(says), "{text}");
        }
    }
}
