//! The source files, as every house test reads them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file: its path below the package's folder, and its text.
pub struct Source {
    pub path: String,
    pub text: String,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder of the package, in order.
pub fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort();
    assert!(!found.is_empty(), "no Rust file below {folder}");
    found
        .into_iter()
        .map(|p| Source {
            path: p.strip_prefix(root()).expect("below the root").to_str().expect("UTF-8").to_owned(),
            text: fs::read_to_string(&p).expect("a readable file"),
        })
        .collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}
