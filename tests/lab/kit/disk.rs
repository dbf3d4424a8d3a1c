//! The lab's disk: `image/build` with the binary under test, which does nothing where nothing has changed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Kernel arguments that the box has committed. An emulated timer is late where the host is busy, which
/// must not count as broken; and a kernel that picks its own place may be in the middle of the only GiB of a node
/// that is in one piece.
pub const COMMITTED: &str = "intel_iommu=on iommu=pt no_timer_check nokaslr";

/// Builds the disk if it is out of date; where it is.
///
/// The binary is `BOTHY_LAB_BINARY` (`tests/run` names the release build there), else the one that
/// cargo built for this test.
pub fn build() -> PathBuf {
    image(&["--name", "lab", "--args", COMMITTED]).join("lab.img")
}

/// `image/build` with the lab's additions; the folder of what it makes.
pub fn image(options: &[&str]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let binary = std::env::var("BOTHY_LAB_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_bothy").into());
    let out = root.join("build/image");
    let mut build = Command::new(root.join("image/build"));
    build.args(options).args(["--binary", &binary, "--out"]).arg(&out);
    build.arg("--with").arg(root.join("tests/lab/image"));
    for (file, place) in added(root) {
        build.arg("--add").arg(format!("{}={place}", file.display()));
    }
    let made = build.status().expect("image/build");
    assert!(made.success(), "image/build: {made}");
    out
}

/// What the lab's box has besides: the packages of its guest, and the image of that, whose kernel drives VFs.
fn added(root: &Path) -> Vec<(PathBuf, String)> {
    let image = root.join("build/images/tiny-vf.qcow2");
    assert!(image.exists(), "needs {}: descriptors/images/build-tiny --vf makes it", image.display());
    let mut all = vec![(image, "/usr/share/bothy-lab/images/tiny.qcow2".to_owned())];
    let mut folders = vec![root.join("descriptors/epa-small")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(within) = path.strip_prefix(root.join("descriptors")) {
                let place = format!("/usr/share/bothy-lab/{}", within.display());
                all.push((path, place));
            }
        }
    }
    // The disk is built anew when the list differs.
    all.sort();
    all
}
