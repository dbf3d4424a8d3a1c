//! Whole packages, good and bad.

mod affinity;
mod archives;
mod bad;
mod forward;
mod fuzz;
mod good;
mod indicators;
mod own;
mod pnf;
mod samples;
mod shipped;
mod trunk;
mod versions;

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{Archive, Content, Diagnostics, Limits, read_package};

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/packages").join(name)
}

pub fn read(path: &Path) -> Result<Content, Diagnostics> {
    let limits = Limits::default();
    read_package(&mut Archive::open(path, &limits)?, &limits)
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for e in fs::read_dir(from).expect("folder") {
        let e = e.expect("entry");
        if e.file_type().expect("type").is_dir() {
            copy(&e.path(), &to.join(e.file_name()));
        } else {
            fs::copy(e.path(), to.join(e.file_name())).expect("copy");
        }
    }
}

/// A copy of a fixture with some text replaced: (file, old, new). The manifest goes, since its
/// digests would no longer hold.
pub fn variant(name: &str, edits: &[(&str, &str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("tempdir");
    copy(&fixture(name), dir.path());
    drop(fs::remove_file(dir.path().join(format!("{name}.mf"))));
    let meta = dir.path().join("TOSCA-Metadata/TOSCA.meta");
    let text = fs::read_to_string(&meta).expect("meta");
    fs::write(&meta, text.replace(&format!("ETSI-Entry-Manifest: {name}.mf\n"), "")).expect("write");
    for (file, old, new) in edits {
        let path = dir.path().join(file);
        let text = fs::read_to_string(&path).unwrap_or_default();
        assert!(text.contains(old), "{file} has no {old:?}");
        fs::write(&path, text.replacen(old, new, 1)).expect("write");
    }
    dir
}

/// What is said of a variant, all of it.
pub fn said(name: &str, edits: &[(&str, &str, &str)]) -> String {
    let dir = variant(name, edits);
    match read(dir.path()) {
        Ok(c) => format!("taken\n{}", c.warnings().render()),
        Err(d) => format!("refused\n{}", d.render()),
    }
}
