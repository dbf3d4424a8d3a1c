//! What the layers below yocto/ say again, against where it comes from: crates and their sums, the version, partitions, and
//! the word that a bundle and a box know each other by. Nothing is built here, and no layer but ours is asked.

use std::{collections::BTreeSet, fs};

use super::tree::root;

const RECIPES: &str = "yocto/meta-bothy/recipes-nfv/bothy";
const DISTRO: &str = "yocto/meta-bothy-distro";

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The value of the first line `key = "value"`, or `key=value`.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let found = text.lines().find_map(|l| l.strip_prefix(key)?.trim_start().strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {key}")).trim().trim_matches('"')
}

/// Name, version and checksum of each crate that comes from elsewhere.
fn locked(text: &str) -> BTreeSet<(String, String, String)> {
    let packages = text.split("[[package]]").skip(1);
    let foreign = packages.filter(|p| p.lines().any(|l| l.starts_with("source = ")));
    foreign.map(|p| (value(p, "name").into(), value(p, "version").into(), value(p, "checksum").into())).collect()
}

/// The same of a recipe's list: a line for what is fetched, and one for its sum.
fn listed(text: &str) -> BTreeSet<(String, String, String)> {
    let uris = text.lines().filter_map(|l| l.trim().strip_prefix("crate://crates.io/")?.strip_suffix(" \\")?.split_once('/'));
    uris.map(|(name, version)| {
        let sum = value(text, &format!("SRC_URI[{name}-{version}.sha256sum]"));
        (name.into(), version.into(), sum.into())
    })
    .collect()
}

/// Words behind `--part-name`, `--fixed-size` (without its M) and `--part-type` of each partition.
fn partitions(wks: &str) -> Vec<Vec<String>> {
    let words = |l: &str| l.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let behind = |all: &[String], key: &str| {
        let at = all.iter().position(|w| w == key);
        at.and_then(|i| all.get(i + 1)).unwrap_or_else(|| panic!("no {key} in {all:?}")).trim_end_matches('M').to_owned()
    };
    let parts = wks.lines().filter(|l| l.starts_with("part ")).map(words);
    parts.map(|w| ["--part-name", "--fixed-size", "--part-type"].iter().map(|key| behind(&w, key)).collect()).collect()
}

#[test]
fn the_recipes_crates_are_those_of_the_lock_file() {
    let (lock, list) = (locked(&read("Cargo.lock")), listed(&read(&format!("{RECIPES}/bothy-crates.inc"))));
    assert!(lock.len() > 50, "only {} crates", lock.len());
    let differ: Vec<_> = lock.symmetric_difference(&list).collect();
    assert!(differ.is_empty(), "yocto/crates writes the list anew; in one of the two, not in both: {differ:?}");
}

#[test]
fn a_crate_that_is_missing_or_another_is_seen() {
    let lock = "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.0.0+x\"\nsource = \"r\"\nchecksum = \"00\"\n[[package]]\nname = \"ours\"\nversion = \"1\"\n";
    let list = "SRC_URI += \" \\\n    crate://crates.io/a/1.0.0+x \\\n\"\n\nSRC_URI[a-1.0.0+x.sha256sum] = \"00\"\n";
    assert_eq!(locked(lock), listed(list));
    assert_eq!(locked(lock).len(), 1);
    assert_ne!(locked(lock), listed(&list.replace("\"00\"", "\"01\"")));
    assert_ne!(locked(lock), listed("SRC_URI += \" \\\n\"\n"));
}

#[test]
fn the_recipe_is_of_this_version() {
    let version = value(&read("Cargo.toml"), "version").to_owned();
    let recipe = read(&format!("{RECIPES}/bothy_{version}.bb"));
    let lock = locked(&read("Cargo.lock"));
    let virt = lock.iter().find(|c| c.0 == "virt").map(|c| format!("/virt-{}/COPYING", c.1)).expect("virt");
    assert!(recipe.contains(&virt), "the licence of virt is not looked for in {virt}");
    let distro = read(&format!("{DISTRO}/conf/distro/bothy-os.conf"));
    assert_eq!(value(&distro, "DISTRO_VERSION"), version);
}

#[test]
fn the_disk_is_the_one_that_the_installer_makes() {
    let layout = read("image/files/usr/lib/bothy/layout");
    let lines = layout.lines().filter(|l| l.starts_with(|c: char| c.is_ascii_lowercase()));
    let want: Vec<Vec<String>> = lines.map(|l| l.split_whitespace().map(|w| w.trim_end_matches('+').to_owned()).collect()).collect();
    assert_eq!(partitions(&read(&format!("{DISTRO}/files/wic/bothy.wks.in"))), want);
}

#[test]
fn an_update_is_for_boxes_of_the_same_name() {
    let bundle = read(&format!("{DISTRO}/recipes-core/bundles/bothy-bundle.bb"));
    assert_eq!(value(&bundle, "RAUC_BUNDLE_COMPATIBLE"), value(&read("image/files/etc/rauc/system.conf"), "compatible"));
}
