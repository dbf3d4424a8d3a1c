//! Two daemons over TLS: one is the VNFM, the other its central NFVO. Granted, refused, the NFVO away and back, and the
//! VNFM killed while it waits; and the VNFM has no package, which it fetches from there.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, free_port},
    kit::ready_when_it_runs,
    pair::{cli, https, run, token},
};

/// A box in a folder of its own.
pub struct Site {
    dir: tempfile::TempDir,
    pub port: u16,
}

impl Site {
    pub fn new(points: &str, more: &str) -> Site {
        let site = Site { dir: tempfile::tempdir().expect("dir"), port: free_port() };
        site.configure(points, more);
        site
    }
    /// As from its next start on.
    pub fn configure(&self, points: &str, more: &str) {
        let (dir, port) = (&self.dir, self.port);
        let text = format!(
            "data_dir = \"{0}/data\"\nrun_dir = \"{0}/run\"\n[[listen]]\naddress = \"127.0.0.1:{port}\"\nreference_points = [{points}]\n[sim]\nenabled = true\n{more}",
            dir.path().display()
        );
        fs::write(dir.path().join("bothy.toml"), text).expect("config");
    }
    pub fn at(&self) -> &Path {
        self.dir.path()
    }
    pub fn onboard_one(&self, folder: &str) {
        let file = ready_when_it_runs(folder, self.at());
        let o = run(self.at(), &["vnfpkg", "onboard", &file]);
        assert!(o.status.success(), "{o:?}");
    }
    fn onboard(&self) -> String {
        self.onboard_one("descriptors/vcpe/vcpe-web");
        cli(self.at(), &["vnfpkg", "list"])[0]["vnfdId"].as_str().expect("vnfdId").to_owned()
    }
}

/// The VNFM, as its NFVO calls it.
pub struct Vnfm {
    pub port: u16,
    pub token: String,
}

impl Vnfm {
    pub fn show(&self, path: &str) -> Value {
        let r = https(self.port, &self.token, &format!("GET {path}"), "");
        assert_eq!(r.status, 200, "{path}: {}", r.body);
        r.json()
    }
    pub fn make(&self, vnfd: &str) -> String {
        let r = https(self.port, &self.token, "POST /vnflcm/v2/vnf_instances", &json!({"vnfdId": vnfd}).to_string());
        assert_eq!(r.status, 201, "{}", r.body);
        format!("/vnflcm/v2/vnf_instances/{}", r.json()["id"].as_str().expect("id"))
    }
    pub fn begin(&self, path: &str, body: Value) -> String {
        let r = https(self.port, &self.token, &format!("POST {path}"), &body.to_string());
        assert_eq!(r.status, 202, "{path}: {}", r.body);
        r.header("location").expect("location").to_owned()
    }
    pub fn until(&self, op: &str, done: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let v = self.show(op);
            if done(&v) {
                return v;
            }
            assert!(begun.elapsed() < Duration::from_secs(180), "{v:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    pub fn over(&self, op: &str) -> Value {
        self.until(op, |v| !["STARTING", "PROCESSING", "ROLLING_BACK"].contains(&v["operationState"].as_str().expect("state")))
    }
}

#[test]
fn a_vnfm_asks_its_central_nfvo_over_tls_and_waits_for_it_through_deaths_of_both() {
    let nfvo = Site::new("\"sol003-nfvo\", \"sol005\"", "");
    let n = Daemon::start(nfvo.at());
    let vnfd = nfvo.onboard();
    cli(nfvo.at(), &["client", "create", "edge", "--role", "vnfm"]);
    let secret = cli(nfvo.at(), &["client", "secret", "edge"])["secret"].as_str().expect("secret").to_owned();

    let edge = Site::new("\"sol003-vnfm\"", &format!("[notify]\nca = \"{}/data/tls/cert.pem\"\n", nfvo.at().display()));
    let e = Daemon::start(edge.at());
    assert_eq!(edge.onboard(), vnfd);
    cli(edge.at(), &["client", "create", "orch", "--role", "nfvo"]);
    let login = json!({"authentication": {"authType": ["BASIC"], "paramsBasic": {"userName": "edge", "password": secret}}});
    let file = edge.at().join("nfvo.json");
    fs::write(&file, login.to_string()).expect("file");
    let url = format!("https://localhost:{}", nfvo.port);
    cli(edge.at(), &["nfvo", "set", "orch", "--api-root", &url, "--request", &file.display().to_string()]);
    assert_eq!(cli(edge.at(), &["nfvo", "list"])[0]["authentication"], "BASIC");
    let key = cli(edge.at(), &["token", "create", "--account", "orch", "--label", "t"])["token"].as_str().expect("token").to_owned();
    let vnfm = Vnfm { port: edge.port, token: key };
    let up = json!({"flavourId": "default"});

    // Granted: the grant can be read where it was given.
    let first = vnfm.make(&vnfd);
    let done = vnfm.over(&vnfm.begin(&format!("{first}/instantiate"), up.clone()));
    assert_eq!(done["operationState"], "COMPLETED", "{done:#}");
    let given = https(nfvo.port, &token(nfvo.at()), &format!("GET /grant/v1/grants/{}", done["grantId"].as_str().expect("grantId")), "");
    assert_eq!((given.status, &given.json()["vnfLcmOpOccId"]), (200, &done["id"]), "{}", given.body);

    // Refused, with the NFVO's reasons.
    cli(nfvo.at(), &["project", "quota", "default", "--vcpus", "1"]);
    let second = vnfm.make(&vnfd);
    let refused = vnfm.over(&vnfm.begin(&format!("{second}/instantiate"), up));
    assert_eq!((&refused["operationState"], &refused["error"]["status"]), (&json!("ROLLED_BACK"), &json!(403)), "{refused:#}");
    assert!(refused["error"]["detail"].as_str().expect("detail").contains("vCPUs: 1 wanted, 1 of 1 used"), "{refused:#}");
    cli(nfvo.at(), &["project", "quota", "default"]);

    // The NFVO is away: healing goes on, all else waits, also over the VNFM's own death.
    n.kill();
    let healed = vnfm.over(&vnfm.begin(&format!("{first}/heal"), json!({})));
    assert_eq!(healed["operationState"], "COMPLETED", "{healed:#}");
    assert!(healed["warnings"].to_string().contains("granted on this box"), "{healed:#}");
    let op = vnfm.begin(&format!("{first}/terminate"), json!({"terminationType": "FORCEFUL"}));
    let waits = |v: &Value| v["warnings"].to_string().contains("waits for the grant of NFVO orch, asked for");
    assert_eq!(vnfm.until(&op, waits)["operationState"], "STARTING");
    // (A simulated box has lost its guests with it: what needs none of them waits.)
    e.kill();
    let e = Daemon::start(edge.at());
    assert_eq!(vnfm.until(&op, waits)["operationState"], "STARTING");
    let n = Daemon::start(nfvo.at());
    let done = vnfm.over(&op);
    assert_eq!(done["operationState"], "COMPLETED", "{done:#}");
    assert!(done["grantId"].is_string(), "{done:#}");
    e.stop();
    n.stop();
}

#[test]
fn a_box_without_the_package_fetches_it_from_its_nfvo_and_runs_the_vnf() {
    let nfvo = Site::new("\"sol003-nfvo\", \"sol005\"", "");
    let n = Daemon::start(nfvo.at());
    let vnfd = nfvo.onboard();
    cli(nfvo.at(), &["client", "create", "edge", "--role", "vnfm"]);
    let secret = cli(nfvo.at(), &["client", "secret", "edge"])["secret"].as_str().expect("secret").to_owned();

    // Whoever makes a VNF does not wait for its package here.
    let ca = nfvo.at().join("data/tls/cert.pem");
    let edge = Site::new("\"sol003-vnfm\"", &format!("[lcm]\npackage_wait_s = 0\n[notify]\nca = \"{}\"\n", ca.display()));
    let e = Daemon::start(edge.at());
    cli(edge.at(), &["project", "create", "central"]);
    cli(edge.at(), &["client", "create", "orch", "--role", "nfvo", "--in", "central"]);
    let believe = |secret: &str| {
        let login = json!({"authentication": {"authType": ["BASIC"], "paramsBasic": {"userName": "edge", "password": secret}}});
        let file = edge.at().join("nfvo.json");
        fs::write(&file, login.to_string()).expect("file");
        let url = format!("https://localhost:{}", nfvo.port);
        cli(edge.at(), &["nfvo", "set", "orch", "--api-root", &url, "--request", &file.display().to_string()]);
    };
    let key = cli(edge.at(), &["token", "create", "--account", "orch", "--label", "t"])["token"].as_str().expect("token").to_owned();
    let vnfm = Vnfm { port: edge.port, token: key.clone() };
    let create = |vnfd: &str| https(edge.port, &key, "POST /vnflcm/v2/vnf_instances", &json!({"vnfdId": vnfd}).to_string());

    believe("not the secret");
    let r = create(&vnfd);
    assert_eq!(r.status, 422, "{}", r.body);
    assert!(r.problem().contains("credentials"), "{}", r.body);
    believe(&secret);
    let r = create("nobody-knows-it");
    assert_eq!(r.status, 422, "{}", r.body);
    assert_eq!(cli(edge.at(), &["vnfpkg", "list"]), json!([]));

    let r = create(&vnfd);
    assert_eq!((r.status, r.header("retry-after").is_some()), (503, true), "{}", r.body);
    assert!(r.problem().contains("is being fetched from NFVO orch, as VNF package"), "{}", r.body);
    let done = cli(edge.at(), &["vnfpkg", "fetch", &vnfd, "--nfvo", "orch"]);
    let (ours, theirs) = (cli(edge.at(), &["vnfpkg", "list"]), cli(nfvo.at(), &["vnfpkg", "list"]));
    assert_eq!((ours.as_array().map(Vec::len), &ours[0]["id"], &ours[0]["checksum"]), (Some(1), &done["id"], &theirs[0]["checksum"]));
    assert_eq!(https(edge.port, &key, "GET /vnflcm/v2/vnf_instances", "").json(), json!([]), "nothing was made by halves");

    let vnf = vnfm.make(&vnfd);
    let up = vnfm.over(&vnfm.begin(&format!("{vnf}/instantiate"), json!({"flavourId": "default"})));
    assert_eq!(up["operationState"], "COMPLETED", "{up:#}");
    assert_eq!(vnfm.show(&vnf)["instantiationState"], "INSTANTIATED");
    assert_eq!(cli(edge.at(), &["vnfpkg", "list"])[0]["usageState"], "IN_USE");
    e.stop();
    n.stop();
}
