//! The lab's disk: `image/build` with the binary under test, which does nothing where nothing has changed.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Kernel arguments that the box has committed. An emulated timer is late where the host is busy, which
/// must not count as broken.
pub const COMMITTED: &str = "intel_iommu=on iommu=pt no_timer_check";

/// Builds what is out of date; where the disk is.
///
/// The binary is `BOTHY_LAB_BINARY` (`tests/run` names the release build there), else the one that
/// cargo built for this test.
pub fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let binary = std::env::var("BOTHY_LAB_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_bothy").into());
    let out = root.join("build/image");
    let mut build = Command::new(root.join("image/build"));
    build.args(["--name", "lab", "--args", COMMITTED, "--binary", &binary, "--out"]).arg(&out);
    build.arg("--with").arg(root.join("tests/lab/image"));
    for (file, place) in ADDED {
        let file = root.join(file);
        assert!(file.exists(), "needs {}: descriptors/images/build-tiny makes it", file.display());
        build.arg("--add").arg(format!("{}={place}", file.display()));
    }
    let made = build.status().expect("image/build");
    assert!(made.success(), "image/build: {made}");
    out.join("lab.img")
}

/// What the lab's box has besides: the image of its guests.
const ADDED: &[(&str, &str)] = &[("build/images/tiny-vf.qcow2", "/usr/share/bothy-lab/tiny-vf.qcow2")];
