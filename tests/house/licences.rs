//! What comes in with dependencies, against deny.toml: licences, bans, sources. `cargo deny` reads the
//! same file and knows more (advisories), but takes a quarter of an hour to build and a network to ask;
//! this holds in every run, offline.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::Value;
use toml::Table;

use super::tree::root;

struct Rules {
    allowed: BTreeSet<String>,
    /// Crate and a licence that only it may have.
    exceptions: Vec<(String, String)>,
    banned: Vec<(String, String)>,
    registries: Vec<String>,
}

fn words(v: Option<&toml::Value>) -> Vec<String> {
    v.and_then(toml::Value::as_array).into_iter().flatten().filter_map(|w| w.as_str().map(str::to_owned)).collect()
}

fn rules() -> Rules {
    let text = fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    let all: Table = text.parse().expect("TOML");
    let name = |v: &toml::Value, key: &str| v.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
    let list = |section: &str, key: &str| all[section].get(key).and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let exceptions = list("licenses", "exceptions");
    Rules {
        allowed: words(all["licenses"].get("allow")).into_iter().collect(),
        exceptions: exceptions.iter().flat_map(|e| words(e.get("allow")).into_iter().map(|l| (name(e, "crate"), l))).collect(),
        banned: list("bans", "deny").iter().map(|b| (name(b, "crate"), name(b, "reason"))).collect(),
        registries: words(all["sources"].get("allow-registry")),
    }
}

/// Whether an SPDX expression can be met: `AND` needs both sides, `OR` (and the old `/`) one of them.
fn met(expression: &str, ok: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let result = either(&words, &mut at, ok);
    result && at == words.len()
}

fn either(words: &[&str], at: &mut usize, ok: &dyn Fn(&str) -> bool) -> bool {
    let mut result = both(words, at, ok);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        result |= both(words, at, ok);
    }
    result
}

fn both(words: &[&str], at: &mut usize, ok: &dyn Fn(&str) -> bool) -> bool {
    let mut result = single(words, at, ok);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        result &= single(words, at, ok);
    }
    result
}

fn single(words: &[&str], at: &mut usize, ok: &dyn Fn(&str) -> bool) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let result = either(words, at, ok);
        *at += 1;
        return result;
    }
    let mut licence = (*word).to_owned();
    if words.get(*at) == Some(&"WITH") {
        licence += &format!(" WITH {}", words.get(*at + 1).copied().unwrap_or_default());
        *at += 2;
    }
    ok(&licence)
}

/// What of a package the rules do not have.
fn faults(rules: &Rules, name: &str, licence: Option<&str>, source: Option<&str>) -> Vec<String> {
    let mut found = Vec::new();
    let ok = |l: &str| rules.allowed.contains(l) || rules.exceptions.iter().any(|(c, e)| c == name && e == l);
    match licence {
        None => found.push(format!("{name} names no licence")),
        Some(l) if !met(l, &ok) => found.push(format!("{name} is under '{l}', which deny.toml does not allow")),
        Some(_) => {}
    }
    if let Some((_, why)) = rules.banned.iter().find(|(b, _)| b == name) {
        found.push(format!("{name} is banned: {why}"));
    }
    // Our own package has no source.
    if let Some(s) = source
        && !rules.registries.iter().any(|r| s == format!("registry+{r}"))
    {
        found.push(format!("{name} comes from {s}"));
    }
    found
}

/// The packages that a build for the box takes in, without asking anybody.
fn packages() -> Vec<Value> {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo");
    assert!(out.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&out.stderr));
    let all: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    all["packages"].as_array().expect("packages").clone()
}

#[test]
fn every_dependency_is_within_deny_toml() {
    let (rules, packages) = (rules(), packages());
    assert!(packages.len() > 50, "only {} packages", packages.len());
    let found: Vec<String> = packages
        .iter()
        .flat_map(|p| faults(&rules, p["name"].as_str().unwrap_or_default(), p["license"].as_str(), p["source"].as_str()))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    for (name, licence) in &rules.exceptions {
        let used =
            packages.iter().any(|p| p["name"] == name.as_str() && p["license"].as_str().is_some_and(|l| l.contains(licence.as_str())));
        assert!(used, "deny.toml has an exception for {name} ({licence}) that nothing needs");
    }
}

#[test]
fn what_deny_toml_does_not_have_is_caught() {
    let rules = rules();
    let home = Some("registry+https://github.com/rust-lang/crates.io-index");
    for (name, licence, source) in [
        ("a", Some("GPL-3.0-only"), home),
        ("a", Some("LGPL-2.1"), home),
        ("a", Some("MIT AND GPL-2.0"), home),
        ("a", Some("(MIT OR Apache-2.0) AND AGPL-3.0"), home),
        ("a", None, home),
        ("openssl-sys", Some("MIT"), home),
        ("a", Some("MIT"), Some("git+https://example.org/a")),
    ] {
        assert_eq!(faults(&rules, name, licence, source).len(), 1, "{name} {licence:?} {source:?}");
    }
    for (name, licence) in [
        ("a", "MIT/Apache-2.0"),
        ("a", "MIT OR Apache-2.0 OR LGPL-2.1-or-later"),
        ("a", "(MIT OR GPL-2.0) AND Unicode-3.0"),
        ("a", "Apache-2.0 WITH LLVM-exception OR GPL-2.0"),
        ("virt", "LGPL-2.1"),
    ] {
        assert_eq!(faults(&rules, name, Some(licence), home), Vec::<String>::new());
    }
}
