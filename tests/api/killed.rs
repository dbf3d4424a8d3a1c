//! An upload that `kill -9` ends: taken up where it was complete, void where it was not; and in either case no file
//! stays that no record names.

use std::{
    collections::BTreeSet,
    fs,
    io::{Cursor, Read as _, Write as _},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use bothy::descriptor::{Build, Limits};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zip::ZipArchive;

use crate::{
    daemon::Daemon,
    declared::unlike,
    kit::build,
    rig::{Reply, parse},
};

/// Long enough at work for a kill to come in the middle.
const LARGE: usize = 96 << 20;

struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Host {
        let dir = tempfile::tempdir().expect("dir");
        let text = format!(
            "data_dir = \"{0}/data\"\nrun_dir = \"{0}/run\"\n[[listen]]\naddress = \"127.0.0.1:0\"\nreference_points = [\"admin\"]\n[sim]\nenabled = true\n",
            dir.path().display()
        );
        fs::write(dir.path().join("bothy.toml"), text).expect("config");
        Host { dir }
    }
    fn start(&self) -> Daemon {
        Daemon::start(self.dir.path())
    }
    fn begin(&self, line: &str, media: &str, length: usize, body: &[u8]) -> UnixStream {
        let mut s = UnixStream::connect(self.dir.path().join("run/bothy.sock")).expect("socket");
        let head =
            format!("{line} HTTP/1.1\r\nhost: box\r\nconnection: close\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n");
        s.write_all(head.as_bytes()).and_then(|()| s.write_all(body)).expect("written");
        s
    }
    fn ask(&self, line: &str, media: &str, body: &[u8]) -> Reply {
        let mut raw = Vec::new();
        self.begin(line, media, body.len(), body).read_to_end(&mut raw).expect("read");
        let r = parse(&raw);
        let (method, path) = line.split_once(' ').expect("a request");
        assert_eq!(unlike(method, path, r.status, r.header("content-type").unwrap_or_default(), &r.bytes), Vec::<String>::new());
        r
    }
    fn show(&self, path: &str) -> Value {
        let r = self.ask(&format!("GET {path}"), "application/json", b"");
        assert_eq!(r.status, 200, "{path}: {}", r.body);
        r.json()
    }
    fn make(&self, path: &str) -> String {
        let r = self.ask(&format!("POST {path}"), "application/json", b"{}");
        assert_eq!(r.status, 201, "{}", r.body);
        format!("{path}/{}", r.json()["id"].as_str().expect("id"))
    }
    /// Waits until the state is none of these.
    fn until(&self, path: &str, member: &str, passing: &[&str]) -> Value {
        let begun = Instant::now();
        loop {
            let v = self.show(path);
            if !passing.contains(&v[member].as_str().expect("a state")) {
                return v;
            }
            assert!(begun.elapsed() < Duration::from_secs(180), "{v:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    fn names(&self, folder: &str) -> BTreeSet<String> {
        let entries = fs::read_dir(self.dir.path().join("data").join(folder)).expect("folder").flatten();
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
    }
    fn put(&self, at: &str, archive: &[u8]) -> u16 {
        self.ask(&format!("PUT {at}"), "application/zip", archive).status
    }
}

/// The folder as a package, with a large file in it that does not shrink.
fn large(folder: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("dir");
    let [small, unpacked, blob, out] = ["small", "in", "blob", "out"].map(|n| dir.path().join(n));
    fs::write(&small, build(folder)).expect("written");
    ZipArchive::new(fs::File::open(&small).expect("open")).expect("a ZIP").extract(&unpacked).expect("unpacked");
    // Another one for each folder: a file that is there already is not unpacked again.
    let mut state: u64 = folder.bytes().map(u64::from).sum();
    let mut bytes = Vec::with_capacity(LARGE);
    while bytes.len() < LARGE {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state >> 16).to_le_bytes()[..6]);
    }
    fs::write(&blob, bytes).expect("written");
    for mf in fs::read_dir(&unpacked).expect("folder").flatten().filter(|e| e.path().extension().is_some_and(|x| x == "mf")) {
        let text = fs::read_to_string(mf.path()).expect("text");
        // Digests are made anew.
        let head = text.split("\nSource:").next().expect("a head");
        fs::write(mf.path(), format!("{head}\n")).expect("written");
    }
    let artifacts = [("Files/large.bin".to_owned(), blob)];
    let order = Build { dir: &unpacked, artifacts: &artifacts, out: &out, released: "2026-11-20T00:00:00Z" };
    order.run(&Limits::default()).unwrap_or_else(|d| panic!("{folder}: {}", d.render()));
    fs::read(out).expect("package")
}

/// Digests of an archive and of its files, which are the names they have in the store; images are not among them.
fn digests(archive: &[u8]) -> BTreeSet<String> {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(&Sha256::digest(bytes));
    let mut all = BTreeSet::from([hex(archive)]);
    let mut zip = ZipArchive::new(Cursor::new(archive)).expect("a ZIP");
    for i in 0..zip.len() {
        let mut f = zip.by_index(i).expect("a file");
        let mut bytes = Vec::new();
        f.read_to_end(&mut bytes).expect("read");
        if !f.is_dir() && !f.name().starts_with("Files/images/") {
            all.insert(hex(&bytes));
        }
    }
    all
}

#[test]
fn what_was_acknowledged_is_onboarded_after_a_kill_and_what_was_not_is_void() {
    let b = Host::new();
    let mut d = b.start();
    let mut kept = BTreeSet::new();
    for folder in ["descriptors/vcpe/vcpe-client", "descriptors/vcpe/vcpe-firewall"] {
        let at = b.make("/vnfpkgm/v2/vnf_packages");
        let archive = build(folder);
        assert_eq!(b.put(&format!("{at}/package_content"), &archive), 202);
        assert_eq!(b.until(&at, "onboardingState", &["PROCESSING"])["onboardingState"], "ONBOARDED");
        kept.extend(digests(&archive));
    }
    for (path, content, state, operational, folder) in [
        ("/vnfpkgm/v2/vnf_packages", "package_content", "onboardingState", "operationalState", "descriptors/vcpe/vcpe-web"),
        ("/nsd/v2/ns_descriptors", "nsd_content", "nsdOnboardingState", "nsdOperationalState", "descriptors/vcpe/vcpe-ns"),
    ] {
        let archive = large(folder);
        let mut at = b.make(path);
        let mut to = format!("{at}/{content}");

        // In the middle of the upload.
        let half = b.begin(&format!("PUT {to}"), "application/zip", archive.len(), &archive[..archive.len() / 2]);
        assert_eq!(b.until(&at, state, &["CREATED"])[state], "UPLOADING", "{folder}");
        d.kill();
        drop(half);
        d = b.start();
        assert_eq!(b.show(&at)[state], "CREATED", "{folder}");
        assert_eq!((b.names("uploads"), b.names("artifacts")), (BTreeSet::new(), kept.clone()), "{folder}");

        // While it is read.
        assert_eq!(b.put(&to, &archive), 202);
        // A host that stood still in between has missed it: it is taken away, and comes again.
        for tries in 0.. {
            if b.show(&at)[state] == "PROCESSING" {
                break;
            }
            assert!(tries < 20, "{folder}: too quick to be killed in the middle");
            let disabled = format!("{{\"{operational}\": \"DISABLED\"}}");
            assert_eq!(b.ask(&format!("PATCH {at}"), "application/merge-patch+json", disabled.as_bytes()).status, 200);
            assert_eq!(b.ask(&format!("DELETE {at}"), "application/json", b"").status, 204);
            at = b.make(path);
            to = format!("{at}/{content}");
            assert_eq!(b.put(&to, &archive), 202);
        }
        d.kill();
        d = b.start();
        let v = b.until(&at, state, &["PROCESSING"]);
        assert_eq!(v[state], "ONBOARDED", "{v:#}");
        kept.extend(digests(&archive));
        assert_eq!((b.names("uploads"), b.names("artifacts")), (BTreeSet::new(), kept.clone()), "{folder}");
    }

    // One that cannot be onboarded says so after a kill as well, and may be used for a better archive.
    let bad = large("descriptors/vcpe/vcpe-web");
    let at = b.make("/vnfpkgm/v2/vnf_packages");
    assert_eq!(b.put(&format!("{at}/package_content"), &bad), 202);
    d.kill();
    d = b.start();
    let v = b.until(&at, "onboardingState", &["PROCESSING"]);
    assert_eq!(v["onboardingState"], "ERROR", "its VNFD is onboarded already: {v:#}");
    assert!(v["onboardingFailureDetails"]["detail"].as_str().is_some_and(|t| t.contains("is onboarded already")), "{v:#}");
    assert_eq!(b.ask(&format!("DELETE {at}"), "application/json", b"").status, 204);
    assert_eq!((b.names("uploads"), b.names("artifacts")), (BTreeSet::new(), kept));
    d.stop();
}
