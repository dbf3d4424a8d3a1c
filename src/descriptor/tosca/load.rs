//! The files of one descriptor: its entry file and all that it imports.
//!
//! Owns import resolution. SOL001's own type files, by whatever path or URL they are named, are
//! satisfied by the built-in types. Never goes to the network.

use std::{cell::RefCell, rc::Rc};

use smol_str::SmolStr;

use super::{
    types::Types,
    yaml::{self, Node},
};
use crate::descriptor::{
    archive::Archive,
    diagnose::{Sink, did_you_mean},
    limits::Limits,
    verify::Claim,
};
use crate::model::size::Bytes;

/// A service template file.
#[derive(Debug, Clone)]
pub struct Template {
    pub path: SmolStr,
    pub root: Rc<Node>,
}

impl Template {
    pub fn topology(&self) -> Option<&Rc<Node>> {
        self.root.get("topology_template")
    }
}

/// Every file of a descriptor, the entry first, then in the order of import.
#[derive(Debug)]
pub struct Loaded {
    pub files: Vec<Template>,
    pub types: Types,
}

/// Files of the package as the readers need them; the borrow never outlives one call.
pub struct Files<'a> {
    archive: RefCell<&'a mut Archive>,
    claims: RefCell<Vec<Claim>>,
}

impl<'a> Files<'a> {
    pub fn new(archive: &'a mut Archive) -> Self {
        Files { archive: RefCell::new(archive), claims: RefCell::default() }
    }
    /// A checksum of the descriptor, to be verified with those of the manifest.
    pub fn claim(&self, claim: Claim) {
        self.claims.borrow_mut().push(claim);
    }
    pub fn take_claims(&self) -> Vec<Claim> {
        self.claims.take()
    }
    pub fn contains(&self, path: &str) -> bool {
        self.archive.borrow().contains(path)
    }
    pub fn text(&self, path: &str) -> crate::model::error::Result<String> {
        self.archive.borrow_mut().read_text(path)
    }
    pub fn head(&self, path: &str, n: u64) -> crate::model::error::Result<Vec<u8>> {
        self.archive.borrow_mut().head(path, n)
    }
    pub fn size(&self, path: &str) -> Option<Bytes> {
        self.archive.borrow().entries().find(|(p, _)| *p == path).map(|(_, size)| Bytes(size))
    }
    pub fn limits(&self) -> Limits {
        self.archive.borrow().limits().clone()
    }
    /// The nearest path that exists, as a hint.
    pub fn suggest(&self, path: &str) -> Option<String> {
        let archive = self.archive.borrow();
        did_you_mean(path, archive.entries().map(|(p, _)| p.as_str()).take(512))
    }
    /// Where a file named in `from` is: relative to it as SOL001 says, or to the package's root,
    /// as the field does. `Err`: the path it should have had.
    pub fn resolve(&self, from: &str, name: &str) -> std::result::Result<SmolStr, String> {
        let folder = from.rsplit_once('/').map_or("", |(f, _)| f);
        let relative = normalise(folder, name);
        let rooted = normalise("", name);
        for path in [&relative, &rooted].into_iter().flatten() {
            if self.contains(path) {
                return Ok(SmolStr::new(path));
            }
        }
        Err(relative.or(rooted).unwrap_or_else(|| name.to_owned()))
    }
}

/// `a/b` + `../c` = `a/c`; `None` when it leads out of the package.
fn normalise(folder: &str, name: &str) -> Option<String> {
    let mut parts: Vec<&str> = if name.starts_with('/') { Vec::new() } else { folder.split('/').filter(|p| !p.is_empty()).collect() };
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

/// Whether an import names one of SOL001's type files, at any version.
fn is_sol001(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name);
    let base = base.split(['?', '#']).next().unwrap_or(base);
    base.starts_with("etsi_nfv_sol001_") && base.contains("_types")
}

/// Reads the entry file and its imports. `None`: the entry itself is unreadable (reported).
pub fn load(files: &Files<'_>, entry: &str, sink: &Sink) -> Option<Loaded> {
    let limits = files.limits();
    let mut loaded = Loaded { files: Vec::new(), types: Types::default() };
    let mut todo = vec![SmolStr::new(entry)];
    let mut next = 0;
    while let Some(path) = todo.get(next).cloned() {
        next += 1;
        let here = sink.file(&path);
        let root = match files.text(&path) {
            Ok(text) => yaml::parse(&text, &path, &limits, sink),
            Err(f) => {
                sink.error(here, "", f.text());
                None
            }
        };
        let Some(root) = root else { continue };
        check_version(&root, &path, sink);
        if !small_enough(&root, limits.members, sink) {
            continue;
        }
        loaded.types.add_file(&root, sink);
        for (name, pos) in imports(&root, sink) {
            if is_sol001(&name) {
                continue;
            }
            if name.contains("://") {
                let hint = "put the file into the package and import it by its path";
                sink.error_hint(pos, "imports", format!("'{name}' is on the network, and descriptors are read offline"), hint);
                continue;
            }
            match files.resolve(&path, &name) {
                Ok(p) if todo.contains(&p) => {}
                Ok(p) if todo.len() < limits.imports => todo.push(p),
                Ok(_) => sink.error(pos, "imports", format!("more than the {} imported files allowed", limits.imports)),
                Err(wanted) => {
                    sink.report(
                        crate::descriptor::diagnose::Severity::Error,
                        pos,
                        "imports",
                        format!("'{name}' is not in the package (looked for {wanted})"),
                        files.suggest(&wanted),
                    );
                }
            }
        }
        loaded.files.push(Template { path, root });
    }
    loaded.types.check(sink);
    let entry_is_read = loaded.files.first().is_some_and(|f| f.path == entry);
    entry_is_read.then_some(loaded)
}

/// Readers compare the members of these with each other, so their number is bounded.
fn small_enough(root: &Node, most: usize, sink: &Sink) -> bool {
    let mut ok = true;
    let mut check = |path: String, node: &Node| {
        let n = node.entries().len().max(node.items().len());
        if n > most {
            sink.error(node.pos, &path, format!("has {n} entries, more than the {most} allowed"));
            ok = false;
        }
    };
    for (section, node) in root.entries().iter().filter(|(k, _)| k.text.ends_with("_types")) {
        check(section.text.to_string(), node);
        for (name, def) in node.entries() {
            for (key, part) in def.entries() {
                check(format!("{}.{}.{}", section.text, name.text, key.text), part);
            }
        }
    }
    let Some(topology) = root.get("topology_template") else { return ok };
    for (key, part) in topology.entries() {
        let path = format!("topology_template.{}", key.text);
        check(path.clone(), part);
        if key.text == "policies" {
            let policies = part.items().iter().flat_map(|i| i.entries());
            for (_, below) in policies.flat_map(|(_, p)| p.entries()) {
                check(path.clone(), below);
                for (_, inner) in below.entries() {
                    check(path.clone(), inner);
                }
            }
        }
    }
    ok
}

fn check_version(root: &Node, path: &str, sink: &Sink) {
    const KNOWN: &[&str] = &[
        "tosca_definitions_version",
        "metadata",
        "description",
        "dsl_definitions",
        "namespace",
        "imports",
        "repositories",
        "artifact_types",
        "data_types",
        "capability_types",
        "interface_types",
        "relationship_types",
        "node_types",
        "group_types",
        "policy_types",
        "topology_template",
    ];
    let here = sink.file(path);
    match root.get("tosca_definitions_version").map(|v| (v, v.text().unwrap_or_default())) {
        None => sink.error_hint(here, "tosca_definitions_version", "is missing", "add 'tosca_definitions_version: tosca_simple_yaml_1_3'"),
        Some((v, t)) if !t.starts_with("tosca_simple_yaml_1_") && !t.starts_with("tosca_simple_profile_for_nfv_1_0") => {
            sink.warn(v.pos, "tosca_definitions_version", format!("'{t}' is read as tosca_simple_yaml_1_3"));
        }
        Some(_) => {}
    }
    for (k, _) in root.entries() {
        if !KNOWN.contains(&k.text.as_str()) {
            let severity = crate::descriptor::diagnose::Severity::Warning;
            sink.report(severity, k.pos, &k.text, "is not known here and is left out", did_you_mean(&k.text, KNOWN.iter().copied()));
        }
    }
}

fn imports(root: &Node, sink: &Sink) -> Vec<(String, crate::descriptor::diagnose::Pos)> {
    let Some(list) = root.get("imports") else { return Vec::new() };
    let mut out = Vec::new();
    let named = list.entries().iter().map(|(_, v)| v);
    for item in list.items().iter().chain(named) {
        // `- a.yaml`, `- file: a.yaml`, `- name: a.yaml`, `- name: { file: a.yaml }`.
        let found = item.text().map(|t| (t, item.pos)).or_else(|| {
            let one = item.get("file").or_else(|| item.get("url")).or_else(|| item.entries().first().map(|(_, v)| v))?;
            let one = one.get("file").unwrap_or(one);
            one.text().map(|t| (t, one.pos))
        });
        match found {
            Some((name, pos)) => out.push((name.to_owned(), pos)),
            None => sink.error(item.pos, "imports", "names no file"),
        }
    }
    out
}
