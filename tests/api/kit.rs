//! What the tests of ETSI's APIs share: packages to onboard, requests, replies held against ETSI's schema.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bothy::descriptor::{Build, Limits};
use serde_json::Value;

use crate::{
    rig::{Reply, Rig},
    schema,
};

pub fn repo() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// As much of a qcow2 image as the in-memory box looks at: 16 MiB, no backing file.
pub fn image() -> Vec<u8> {
    let mut head = b"QFI\xfb\0\0\0\x03".to_vec();
    head.extend([0; 16]);
    head.extend((16u64 << 20).to_be_bytes());
    head.resize(512, 0);
    head
}

/// Builds a folder of the repository as a package; images it names are stood in for.
pub fn build(folder: &str) -> Vec<u8> {
    let from = repo().join(folder);
    let dir = tempfile::tempdir().expect("dir");
    let (copy, out) = (dir.path().join("in"), dir.path().join("out.csar"));
    copy_dir(&from, &copy);
    for f in fs::read_dir(copy.join("Definitions")).expect("Definitions").flatten() {
        let text = fs::read_to_string(f.path()).expect("text");
        for name in text.lines().filter_map(|l| l.trim().strip_prefix("file: ../Files/images/")) {
            let at = copy.join("Files/images").join(name);
            if !at.exists() {
                fs::create_dir_all(copy.join("Files/images")).expect("folder");
                fs::write(at, image()).expect("image");
            }
        }
    }
    let build = Build { dir: &copy, artifacts: &[], out: &out, released: "2026-11-20T00:00:00Z" };
    build.run(&Limits::default()).unwrap_or_else(|d| panic!("{folder}: {}", d.render()));
    fs::read(out).expect("package")
}

/// Builds a folder of the repository as a package, a file in a folder. Guests of a simulated box write nothing to their
/// consoles: they are ready when they run.
pub fn ready_when_it_runs(folder: &str, at: &Path) -> String {
    let (from, file, folder) = (repo().join(folder), at.join("package.csar"), at.join("package"));
    copy_dir(&from, &folder);
    for f in fs::read_dir(folder.join("Definitions")).expect("folder").flatten() {
        let text = fs::read_to_string(f.path()).expect("text");
        let lines = text.lines().filter(|l| !l.trim_start().starts_with("bothy.readiness"));
        fs::write(f.path(), lines.collect::<Vec<_>>().join("\n")).expect("text");
    }
    fs::write(&file, build(&folder.display().to_string())).expect("package");
    fs::remove_dir_all(folder).expect("folder");
    file.display().to_string()
}

pub fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for e in fs::read_dir(from).expect("folder").flatten() {
        let at: PathBuf = to.join(e.file_name());
        if e.path().is_dir() {
            copy_dir(&e.path(), &at);
        } else {
            fs::copy(e.path(), at).expect("copy");
        }
    }
}

/// Holds a reply's body against ETSI's schema.
pub fn fits(file: &str, name: &str, v: &Value) {
    let faults = schema::check(file, name, v);
    assert!(faults.is_empty(), "{faults:#?}\n{v:#}");
}

impl Rig {
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask(&format!("POST {path}"), &["content-type: application/json"], &body.to_string()).await
    }
    pub async fn patch(&self, path: &str, headers: &[&str], body: Value) -> Reply {
        let mut all = vec!["content-type: application/merge-patch+json"];
        all.extend(headers);
        self.ask(&format!("PATCH {path}"), &all, &body.to_string()).await
    }
    pub async fn delete(&self, path: &str) -> Reply {
        self.ask(&format!("DELETE {path}"), &[], "").await
    }
    pub async fn put(&self, path: &str, body: &[u8]) -> Reply {
        self.send(&format!("PUT {path}"), &["content-type: application/zip"], body).await
    }

    /// A GET that must succeed.
    pub async fn show(&self, path: &str) -> Value {
        let r = self.get(path).await;
        assert_eq!(r.status, 200, "{path}: {}", r.body);
        r.json()
    }

    /// Polls until `member` is none of `passing`.
    pub async fn settled(&self, path: &str, member: &str, passing: &[&str]) -> Value {
        let begun = Instant::now();
        loop {
            let v = self.show(path).await;
            if !passing.contains(&v[member].as_str().expect("a state")) {
                return v;
            }
            assert!(begun.elapsed() < Duration::from_secs(180), "{path} stays as it is: {v:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Onboards a package; gives its resource.
    pub async fn onboard_vnf(&self, folder: &str) -> Value {
        let made = self.post("/vnfpkgm/v2/vnf_packages", serde_json::json!({})).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let at = made.header("location").expect("location").to_owned();
        fits(schema::VNFPKGM, "VnfPkgInfo", &made.json());
        let put = self.put(&format!("{at}/package_content"), &build(folder)).await;
        assert_eq!((put.status, put.body.as_str()), (202, ""));
        let v = self.settled(&at, "onboardingState", &["UPLOADING", "PROCESSING"]).await;
        fits(schema::VNFPKGM, "VnfPkgInfo", &v);
        v
    }

    pub async fn onboard_nsd(&self, folder: &str) -> Value {
        let made = self.post("/nsd/v2/ns_descriptors", serde_json::json!({"userDefinedData": {"a": 1}})).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let at = made.header("location").expect("location").to_owned();
        fits(schema::NSD, "NsdInfo", &made.json());
        let put = self.put(&format!("{at}/nsd_content"), &build(folder)).await;
        assert_eq!((put.status, put.body.as_str()), (202, ""));
        let v = self.settled(&at, "nsdOnboardingState", &["UPLOADING", "PROCESSING"]).await;
        fits(schema::NSD, "NsdInfo", &v);
        v
    }

    pub async fn onboard_vcpe(&self) -> Value {
        for p in ["client", "firewall", "web"] {
            let v = self.onboard_vnf(&format!("descriptors/vcpe/vcpe-{p}")).await;
            assert_eq!(v["onboardingState"], "ONBOARDED", "{v:#}");
        }
        let v = self.onboard_nsd("descriptors/vcpe/vcpe-ns").await;
        assert_eq!(v["nsdOnboardingState"], "ONBOARDED", "{v:#}");
        v
    }

    /// POSTs a task, follows its operation to rest; gives the op-occ, checked against the schema.
    pub async fn task(&self, path: &str, body: Value) -> Value {
        let r = self.post(path, body).await;
        assert_eq!((r.status, r.body.as_str()), (202, ""), "{path}: {}", r.body);
        let op = r.header("location").expect("location").to_owned();
        let v = self.settled(&op, "operationState", &["STARTING", "PROCESSING", "ROLLING_BACK"]).await;
        if op.starts_with("/nslcm") {
            fits(schema::NSLCM, "NsLcmOpOcc", &v);
        } else {
            fits(schema::VNFLCM, "VnfLcmOpOcc", &v);
        }
        v
    }
}
