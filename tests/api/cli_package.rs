//! `bothy package lint` and `bothy package build` as their users run them: no daemon, exit codes, every fault at once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::{
    daemon::BOTHY,
    kit::{self, build},
};

struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    /// A desk with the web server's package as a folder, its image beside it.
    fn new() -> Desk {
        let desk = Desk { dir: tempfile::tempdir().expect("dir") };
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptors/vcpe/vcpe-web");
        kit::copy_dir(&from, &desk.at("web"));
        fs::write(desk.at("tiny.qcow2"), kit::image()).expect("image");
        desk
    }
    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    /// Exit code, output and errors.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let o = Command::new(BOTHY).args(args).env_clear().current_dir(self.dir.path()).output().expect("run");
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        (o.status.code().expect("code"), text(&o.stdout), text(&o.stderr))
    }
}

const IMAGE: &str = "Files/images/tiny.qcow2=tiny.qcow2";

#[test]
fn a_folder_is_checked_and_built_to_the_same_bytes_each_time() {
    let desk = Desk::new();
    let (code, out, err) = desk.run(&["package", "lint", "web", "--artifact", IMAGE]);
    assert_eq!((code, out.as_str()), (0, "web: no fault\n"), "{err}");

    let (code, out, err) = desk.run(&["package", "build", "web", "-o", "one.csar", "--artifact", IMAGE]);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("one.csar: VNF package b0714103-0000-4000-8000-000000000001 of "), "{out}");
    // Neither who built it, nor when, nor what its files' dates are is in it.
    for e in fs::read_dir(desk.at("web/Definitions")).expect("folder").flatten() {
        let file = fs::File::options().append(true).open(e.path()).expect("open");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).expect("a date");
    }
    let (code, ..) = desk.run(&["package", "build", "web", "--output", "two.csar", "--artifact", IMAGE]);
    assert_eq!(code, 0);
    let read = |name: &str| fs::read(desk.at(name)).expect("package");
    assert!(read("one.csar") == read("two.csar"), "two builds differ");
    // What was built is fit, and so is more than one at once.
    let ns = build("descriptors/vcpe/vcpe-ns");
    fs::write(desk.at("ns.zip"), ns).expect("written");
    let (code, out, _) = desk.run(&["--json", "package", "lint", "one.csar", "ns.zip"]);
    let v: Value = serde_json::from_str(&out).expect("json");
    assert_eq!((code, &v[0]["kind"], &v[1]["kind"]), (0, &"VNF package".into(), &"NSD archive".into()), "{v:#}");
    assert!(v.as_array().expect("two").iter().all(|r| r["fit"] == true), "{v:#}");
}

#[test]
fn all_faults_of_all_packages_are_told_at_once_with_file_and_line() {
    let desk = Desk::new();
    let vnfd = fs::read_dir(desk.at("web/Definitions")).expect("folder").flatten().map(|e| e.path()).next().expect("a VNFD");
    let good = fs::read_to_string(&vnfd).expect("text");
    let bad = good.replacen("bothy.readiness", "bothy.redyness", 1).replacen("num_virtual_cpu: 1", "num_virtual_cpu: many", 1);
    assert_ne!(good, bad);
    let line = |what: &str| 1 + bad.lines().position(|l| l.contains(what)).unwrap_or_else(|| panic!("no {what}"));
    fs::write(&vnfd, &bad).expect("written");
    let name = vnfd.file_name().expect("name").to_string_lossy().into_owned();

    // The image is missing as well.
    let (code, out, err) = desk.run(&["package", "lint", "web"]);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    for (what, at) in [("bothy.redyness", line("bothy.redyness")), ("many", line("num_virtual_cpu: many"))] {
        let place = format!("Definitions/{name}:{at}:");
        assert!(err.lines().any(|l| l.starts_with(&place) && l.contains(": error: ")), "{what}: no line begins with {place}\n{err}");
    }
    assert!(err.contains("tiny.qcow2") && err.contains("did you mean 'bothy.readiness'"), "{err}");
    assert!(err.ends_with("error: web cannot be onboarded as it is\n"), "{err}");

    let (code, out, _) = desk.run(&["--json", "package", "lint", "web"]);
    let v: Value = serde_json::from_str(&out).expect("json");
    let errors: Vec<&Value> = v[0]["diagnostics"].as_array().expect("list").iter().filter(|d| d["severity"] == "error").collect();
    assert!(code == 1 && v[0]["fit"] == false && errors.len() >= 3, "{v:#}");
    assert!(errors.iter().any(|d| d["line"] == line("num_virtual_cpu: many") && d["file"] == format!("Definitions/{name}")), "{v:#}");

    // Nothing is built of it, and what was there stays.
    fs::write(desk.at("old.csar"), "old").expect("written");
    let (code, _, err) = desk.run(&["package", "build", "web", "-o", "old.csar", "--artifact", IMAGE]);
    assert!(code == 1 && err.contains("bothy.redyness") && err.ends_with("error: web cannot be built as it is\n"), "{err}");
    assert_eq!(fs::read_to_string(desk.at("old.csar")).expect("text"), "old");
    assert!(fs::read_dir(desk.dir.path()).expect("folder").flatten().count() == 3, "a half-made package is left");

    // One of two is good; the exit code is that of the worse.
    fs::write(&vnfd, good).expect("written");
    fs::write(desk.at("torn.csar"), b"PK\x03\x04").expect("written");
    let (code, out, err) = desk.run(&["package", "lint", "web", "torn.csar", "--artifact", IMAGE]);
    assert_eq!(code, 1, "{err}");
    assert!(out.contains("web: no fault") && err.contains("torn.csar cannot be onboarded as it is"), "{out}{err}");
}
