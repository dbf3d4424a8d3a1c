//! A medium with updates, as a stick would bring them: one of the box's own next version, and others that no box may
//! take. Never: what is done with them.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::kit::disk;

/// What the next version calls itself.
pub const NEXT: &str = "999.1";
/// Files on the medium.
pub const GOOD: &str = "next.raucb";
pub const OTHER_KEY: &str = "other-key.raucb";
pub const OLDER: &str = "older.raucb";

/// Builds what is out of date; where the medium is.
pub fn medium() -> PathBuf {
    let out = disk::image(&["--bundle", "--name", "lab-next", "--version", NEXT]);
    let dir = tempfile::tempdir_in(&out).expect("a folder");
    let next = dir.path().join(GOOD);
    fs::hard_link(out.join("lab-next.raucb"), &next).expect("a link");
    // The box's own, which the build has readied.
    let rauc = out.join("rauc/rauc");
    let keys = out.join("keys");
    let other = dir.path().join("keys");
    fs::create_dir(&other).expect("a folder");
    let (key, certificate) = (other.join("k"), other.join("c"));
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=Somebody else", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate));
    small(&rauc, dir.path(), OTHER_KEY, 9, &key, &certificate);
    small(&rauc, dir.path(), OLDER, 0, &keys.join("update.key"), &keys.join("update.crt"));
    fs::remove_dir_all(&other).expect("removed");
    let medium = out.join("lab-medium.img");
    run(Command::new("mksquashfs").arg(dir.path()).arg(&medium).args([
        "-noappend",
        "-quiet",
        "-no-progress",
        "-noI",
        "-noD",
        "-noF",
        "-noX",
    ]));
    medium
}

/// A bundle in form, of images that are no file systems: none of them is ever to be written. RAUC wants more than a block
/// of what does not compress.
fn small(rauc: &Path, dir: &Path, name: &str, security: u32, key: &Path, certificate: &Path) {
    let content = dir.join("content");
    fs::create_dir(&content).expect("a folder");
    let mut noise = vec![0; 64 << 10];
    fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut noise)).expect("noise");
    for image in ["root.img", "boot.img"] {
        fs::write(content.join(image), &noise).expect("written");
    }
    let manifest = format!(
        "[update]\ncompatible=bothy-x86_64\nversion=999.2\n[bundle]\nformat=verity\n[meta.bothy]\nsecurity={security}\n\
         [image.rootfs]\nfilename=root.img\n[image.boot]\nfilename=boot.img\n"
    );
    fs::write(content.join("manifest.raucm"), manifest).expect("written");
    let (key, certificate) = (key.display(), certificate.display());
    run(Command::new(rauc)
        .args(["bundle", &format!("--key={key}"), &format!("--cert={certificate}"), &format!("--keyring={certificate}")])
        .arg(&content)
        .arg(dir.join(name)));
    fs::remove_dir_all(&content).expect("removed");
}

fn run(command: &mut Command) {
    let done = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}
