//! Desired state over the API, with signatures by OpenSSL's own program: pushed and pulled, refused, applied on the simulated box,
//! taken back, and kept through a kill of the daemon.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{
    admin::described_as,
    daemon::{Daemon, free_port},
    fetch::Shelf,
    identity::Ca,
    kit::{build, ready_when_it_runs},
    pair::{cli, run},
    rig::{Reply, Rig, rig},
};

const DESIRED: &str = "/bothy/v1/desired";
const NSD: &str = "b0714110-0000-4000-8000-000000000001";

/// An owner with a CA, and somebody who signs for him.
pub struct Owner {
    dir: TempDir,
    ca: Ca,
}

impl Owner {
    pub fn new() -> Owner {
        let (dir, ca) = (tempfile::tempdir().expect("dir"), Ca::new("owner"));
        fs::write(dir.path().join("ca.pem"), ca.pem()).expect("written");
        Owner { dir, ca }
    }
    pub fn anchor(&self) -> String {
        self.dir.path().join("ca.pem").display().to_string()
    }

    /// As the README says.
    pub fn sign(&self, document: &Value, form: &str) -> Vec<u8> {
        let (certificate, key) = self.ca.sign_pem("fleet", 7);
        signed(self.dir.path(), (&certificate, &key), document, form)
    }
}

fn signed(dir: &Path, (certificate, key): (&str, &str), document: &Value, form: &str) -> Vec<u8> {
    let at = |name: &str| dir.join(name).display().to_string();
    for (name, text) in [("signer.pem", certificate), ("signer.key", key), ("desired.json", &document.to_string())] {
        fs::write(at(name), text).expect("written");
    }
    let o = Command::new("openssl")
        .args(["cms", "-sign", "-binary", "-nodetach", "-outform", form, "-md", "sha256"])
        .args(["-in", &at("desired.json"), "-signer", &at("signer.pem"), "-inkey", &at("signer.key"), "-out", &at("desired.cms")])
        .output()
        .expect("openssl");
    assert!(o.status.success(), "{o:?}");
    fs::read(at("desired.cms")).expect("signed")
}

async fn box_of(owner: &Owner) -> Rig {
    rig(64, &format!("[desired]\nca = \"{}\"\nserial = \"BX-1\"\n", owner.anchor())).await
}

async fn push(rig: &Rig, bytes: &[u8]) -> Reply {
    rig.send(&format!("PUT {DESIRED}"), &["Content-Type: application/cms"], bytes).await
}

async fn now(rig: &Rig) -> Value {
    let v = rig.get(DESIRED).await.json();
    described_as(DESIRED, &v);
    v
}

async fn until(rig: &Rig, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let v = now(rig).await;
        if is(&v) {
            return v;
        }
        assert!(begun.elapsed() < Duration::from_secs(180), "never {what}: {v:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn all(v: &Value, state: &str) -> bool {
    v["items"].as_array().expect("items").iter().all(|i| i["state"] == state)
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// The descriptor's id of a folder of packages.
fn id_of(folder: &str) -> String {
    let name = folder.rsplit('/').next().expect("a name");
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{folder}/Definitions/{name}.yaml"))).expect("text");
    let line = text.lines().find_map(|l| l.trim().strip_prefix("default: b07141")).expect("an id");
    format!("b07141{}", line.trim())
}

fn service(state: &str) -> Value {
    match state {
        "ABSENT" => json!({"name": "site", "state": "ABSENT"}),
        _ => json!({"name": "site", "nsdId": NSD, "instantiate": {"nsFlavourId": "default"}}),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_owner_has_signed_is_fetched_brought_up_and_taken_down_again() {
    let owner = Owner::new();
    let rig = box_of(&owner).await;
    let shelf = Shelf::of(&rig).await;
    assert_eq!(now(&rig).await, json!({"items": []}));
    let thing = |folder: &str, at: &str| {
        let bytes = build(folder);
        json!({"id": id_of(folder), "sha256": sha256(&bytes), "url": shelf.put(at, 200, &bytes)})
    };
    let packages: Vec<Value> =
        ["client", "firewall", "web"].iter().map(|p| thing(&format!("descriptors/vcpe/vcpe-{p}"), &format!("/{p}.csar"))).collect();
    let nsd = thing("descriptors/vcpe/vcpe-ns", "/ns.csar");
    let document =
        json!({"bothy-desired": 1, "version": 1, "serials": ["BX-1"], "packages": packages, "nsds": [nsd], "services": [service("")]});
    let r = push(&rig, &owner.sign(&document, "DER")).await;
    assert_eq!(r.status, 202, "{}", r.body);
    let v = r.json();
    described_as(DESIRED, &v);
    assert_eq!((&v["document"]["version"], &v["document"]["signer"]), (&json!(1), &json!("fleet")));
    let v = until(&rig, "up", |v| all(v, "IN_PLACE")).await;
    assert_eq!(v["items"].as_array().expect("items").len(), 5);
    let services = rig.show("/nslcm/v2/ns_instances").await;
    assert_eq!((services.as_array().expect("a list").len(), &services[0]["nsState"]), (1, &json!("INSTANTIATED")));
    let trail = rig.get("/bothy/v1/audit").await.body;
    assert!(trail.contains("\"desired\"") && trail.contains("/instantiate"), "{trail}");

    // The next one comes by itself, from where the configuration says from now on.
    let gone = json!({"bothy-desired": 1, "version": 2, "services": [service("ABSENT")]});
    let url = shelf.put("/BX-1.cms", 200, &owner.sign(&gone, "PEM"));
    let text = format!("[desired]\nca = \"{}\"\nserial = \"BX-1\"\nurl = \"{url}\"\ninterval_s = 10\n", owner.anchor());
    fs::write(&rig.config_path, text).expect("written");
    assert_eq!(rig.ask("POST /bothy/v1/config/apply", &[], "").await.status, 200);
    let v = until(&rig, "gone", |v| v["document"]["version"] == 2 && rest(v)).await;
    assert_eq!((&v["document"]["from"], &v["pull"]["url"], &v["pull"]["failed"]), (&json!(url), &json!(url), &Value::Null));
    assert_eq!(rig.show("/nslcm/v2/ns_instances").await, json!([]));
    // What it does not name stays: the packages and the NSD.
    let left = v["items"].as_array().expect("items").iter().filter(|i| i["state"] == "LEFT").count();
    assert_eq!((left, rig.show("/vnfpkgm/v2/vnf_packages").await.as_array().expect("a list").len()), (4, 3));
    assert!(shelf.asked("/BX-1.cms") >= 1);

    let clean = json!({"bothy-desired": 1, "version": 3, "prune": true});
    assert_eq!(push(&rig, &owner.sign(&clean, "DER")).await.status, 202);
    until(&rig, "clean", |v| v["items"] == json!([])).await;
    assert_eq!(rig.show("/vnfpkgm/v2/vnf_packages").await, json!([]));
    assert_eq!(rig.show("/nsd/v2/ns_descriptors").await, json!([]));
}

/// The service is gone, and nothing is under way.
fn rest(v: &Value) -> bool {
    v["items"].as_array().expect("items").iter().all(|i| i["state"] == "LEFT" || i["kind"] == "SERVICE" && i["state"] == "IN_PLACE")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_signed_for_this_box_is_refused_and_changes_nothing() {
    let (owner, stranger) = (Owner::new(), Owner::new());
    let rig = box_of(&owner).await;
    let of = |version: u64, more: Value| {
        let mut v = json!({"bothy-desired": 1, "version": version});
        v.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        v
    };
    let mut broken = owner.sign(&of(5, json!({})), "DER");
    let at = broken.windows(7).position(|w| w == b"version").expect("the content is in it");
    broken[at] = b'V';
    // In the name of the CA, by somebody whom it knows nothing of.
    let named = Ca::new("owner").sign_pem("fleet", 7);
    let forged = signed(stranger.dir.path(), (&named.0, &named.1), &of(5, json!({})), "DER");
    for (bytes, status, words) in [
        (stranger.sign(&of(5, json!({})), "DER"), 403, "is not one of the owner's"),
        (forged, 403, "is not one of the owner's"),
        (broken, 403, "is not one of the owner's"),
        (b"{\"bothy-desired\": 1, \"version\": 5}".to_vec(), 403, "is not one of the owner's"),
        (owner.sign(&of(5, json!({"serials": ["BX-2"]})), "DER"), 409, "for BX-2, and not for this box, which is BX-1"),
        (owner.sign(&of(5, json!({"not-after": "2020-01-01T00:00:00Z"})), "DER"), 409, "expired"),
        (owner.sign(&of(5, json!({"servces": []})), "DER"), 422, "did you mean 'services'?"),
        (owner.sign(&of((1 << 53) + 1, json!({})), "DER"), 422, "up to 9007199254740992"),
        (
            owner.sign(&of(5, json!({"services": [{"name": "s", "nsdId": "x", "instantiate": {"nsFlavurId": "d"}}]})), "DER"),
            422,
            "services[0].instantiate",
        ),
    ] {
        let r = push(&rig, &bytes).await;
        assert_eq!(r.status, status, "{}", r.body);
        assert!(r.problem().contains(words), "{}", r.body);
        assert!(now(&rig).await["document"].is_null());
    }
    let r = rig.send(&format!("PUT {DESIRED}"), &["Content-Type: text/plain"], b"x").await;
    assert_eq!(r.status, 415, "{}", r.body);
    let r = push(&rig, &vec![b'x'; 600 * 1024]).await;
    assert_eq!(r.status, 413, "{}", r.body);

    let five = owner.sign(&of(5, json!({})), "DER");
    assert_eq!(push(&rig, &five).await.status, 202);
    assert_eq!(push(&rig, &five).await.status, 202, "the same once more");
    for (bytes, words) in [
        (owner.sign(&of(4, json!({})), "DER"), "version 4 is older than version 5"),
        (owner.sign(&of(5, json!({"prune": true})), "DER"), "with other content"),
    ] {
        let r = push(&rig, &bytes).await;
        assert_eq!((r.status, r.problem().contains(words)), (409, true), "{}", r.body);
    }
    assert_eq!(now(&rig).await["document"]["version"], 5);

    // Once it is forgotten any version may come, the same one too; there is nothing to forget before.
    assert_eq!((rig.delete(DESIRED).await.status, rig.delete(DESIRED).await.status), (204, 404));
    assert!(now(&rig).await["document"].is_null());
    assert_eq!(push(&rig, &owner.sign(&of(4, json!({})), "DER")).await.status, 202);

    // Without an owner nothing is taken in, and nothing is kept up.
    fs::write(&rig.config_path, "").expect("written");
    assert_eq!(rig.ask("POST /bothy/v1/config/apply", &[], "").await.status, 200);
    let r = push(&rig, &owner.sign(&of(6, json!({})), "DER")).await;
    assert_eq!((r.status, r.problem().contains("desired.ca")), (409, true), "{}", r.body);
    assert!(now(&rig).await["held"].to_string().contains("desired.ca"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_is_set_up_as_signed_and_whoever_asks_how_the_box_is_hears_which_document_counts() {
    let owner = Owner::new();
    let rig = box_of(&owner).await;
    assert!(rig.get("/bothy/v1/health").await.json()["desired"].is_null());
    let signed =
        owner.sign(&json!({"bothy-desired": 1, "version": 7, "host": {"hugepages": [{"node": 0, "size": "2 MiB", "pages": 64}]}}), "DER");
    let r = push(&rig, &signed).await;
    assert_eq!(r.status, 202, "{}", r.body);
    let v = until(&rig, "set up", |v| all(v, "IN_PLACE")).await;
    assert_eq!(v["items"], json!([{"kind": "HOST", "name": "host", "state": "IN_PLACE"}]));
    let plan = rig.get("/bothy/v1/host/plan").await.json();
    assert_eq!((&plan["items"], &plan["blocked"]), (&json!([]), &json!([])), "{plan:#}");
    let trail = rig.get("/bothy/v1/audit").await.body;
    assert!(trail.contains("\"desired\"") && trail.contains("/bothy/v1/host/apply"), "{trail}");
    let health = rig.get("/bothy/v1/health").await.json();
    described_as("/bothy/v1/health", &health);
    assert_eq!(health["desired"], json!({"version": 7, "digest": sha256(&signed), "phase": "IN_PLACE"}));
}

/// By the daemon itself: the command line, a kill in between, and the document still counts.
#[test]
fn a_daemon_keeps_up_what_was_handed_to_it_through_a_kill() {
    let owner = Owner::new();
    let temp = tempfile::tempdir().expect("dir");
    let dir = temp.path();
    let text = format!(
        "data_dir = \"{0}/data\"\nrun_dir = \"{0}/run\"\n[[listen]]\naddress = \"127.0.0.1:{1}\"\nreference_points = [\"admin\"]\n[sim]\nenabled = true\n[desired]\nca = \"{2}\"\n",
        dir.display(),
        free_port(),
        owner.anchor()
    );
    fs::write(dir.join("bothy.toml"), text).expect("config");
    let (mut packages, mut files) = (Vec::new(), Vec::new());
    for p in ["client", "firewall", "web"] {
        let folder = format!("descriptors/vcpe/vcpe-{p}");
        let bytes = fs::read(ready_when_it_runs(&folder, dir)).expect("read");
        packages.push(json!({"id": id_of(&folder), "sha256": sha256(&bytes)}));
        files.push(dir.join(format!("{p}.csar")).display().to_string());
        fs::write(files.last().expect("a file"), bytes).expect("written");
    }
    let bytes = build("descriptors/vcpe/vcpe-ns");
    let (nsd, ns) = (json!({"id": NSD, "sha256": sha256(&bytes)}), dir.join("ns.csar").display().to_string());
    fs::write(&ns, bytes).expect("written");
    let document = |version: u64, state: &str| {
        let v = json!({"bothy-desired": 1, "version": version, "packages": packages, "nsds": [nsd], "services": [service(state)]});
        let file = owner.dir.path().join(format!("{version}.cms"));
        fs::write(&file, owner.sign(&v, "DER")).expect("written");
        file.display().to_string()
    };

    let d = Daemon::start(dir);
    assert!(!run(dir, &["desired", "apply", "/nonexistent"]).status.success());
    let one = document(1, "");
    assert!(all(&cli(dir, &["desired", "apply", &one]), "PENDING"), "somebody has to bring the packages");
    // The simulated box forgets its images with the process: they come after it.
    d.kill();
    let d = Daemon::start(dir);
    for file in &files {
        assert!(run(dir, &["vnfpkg", "onboard", file]).status.success());
    }
    assert!(run(dir, &["nsd", "onboard", &ns]).status.success());
    // The same once more: it is looked at now.
    cli(dir, &["desired", "apply", &one]);
    let until = |is: &dyn Fn(&Value) -> bool| {
        let begun = Instant::now();
        loop {
            let v = cli(dir, &["desired", "status"]);
            if is(&v) {
                return v;
            }
            assert!(begun.elapsed() < Duration::from_secs(180), "{v:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    until(&|v| all(v, "IN_PLACE"));
    let services = cli(dir, &["ns", "list"]);
    assert_eq!((services.as_array().map(Vec::len), &services[0]["nsState"]), (Some(1), &json!("INSTANTIATED")));
    let health = cli(dir, &["health"]);
    assert!(health.to_string().contains("version 1 of the desired state is in its place"), "{health}");
    assert!(!run(dir, &["desired", "apply", &document(1, "ABSENT")]).status.success(), "the same version with other content");
    cli(dir, &["desired", "apply", &document(2, "ABSENT")]);
    until(&|v| v["document"]["version"] == 2 && all(v, "IN_PLACE"));
    assert!(run(dir, &["desired", "forget"]).status.success());
    assert!(cli(dir, &["desired", "status"])["document"].is_null());
    assert_eq!(cli(dir, &["ns", "list"]), json!([]));
    d.stop();
}
