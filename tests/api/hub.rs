//! A hub and a box as processes, with real mutual TLS over the loopback: the box calls home, a client of ETSI's APIs drives it
//! through the hub by the links that it is given, each side refuses certificates that it does not know, and the hub dies.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    daemon::{BOTHY, Daemon, free_port},
    identity::Ca,
    kit::ready_when_it_runs,
    pair::{cli, https, run, token},
    rig::Reply,
};

/// A daemon in a folder of its own, on the simulated box.
pub struct Site {
    dir: tempfile::TempDir,
    pub port: u16,
}

impl Site {
    pub fn new() -> Site {
        Site { dir: tempfile::tempdir().expect("dir"), port: free_port() }
    }
    pub fn at(&self) -> &Path {
        self.dir.path()
    }
    pub fn file(&self, name: &str) -> String {
        self.at().join(name).display().to_string()
    }
    pub fn configure(&self, points: &str, more: &str) {
        let (at, port) = (self.at().display(), self.port);
        let text = format!(
            "data_dir = \"{at}/data\"\nrun_dir = \"{at}/run\"\n[[listen]]\naddress = \"127.0.0.1:{port}\"\nreference_points = [{points}]\n[sim]\nenabled = true\n[limits]\npage = 1\n{more}"
        );
        fs::write(self.at().join("bothy.toml"), text).expect("config");
    }
    pub fn fingerprint(&self) -> String {
        cli(self.at(), &["tls", "show"])["fingerprint"].as_str().expect("fingerprint").to_owned()
    }
    /// What `bothy ARGS` shows, once it is so.
    pub fn until(&self, args: &[&str], done: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let v = cli(self.at(), args);
            if done(&v) {
                return v;
            }
            assert!(begun.elapsed() < Duration::from_secs(180), "{args:?}: {v:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    fn until_centre_says(&self, says: &str) {
        self.until(&["call-home"], |v| v[0]["lastError"].as_str().is_some_and(|e| e.contains(says)));
    }
}

/// A client of the hub.
pub struct Driver {
    pub port: u16,
    pub token: String,
}

impl Driver {
    pub fn of(hub: &Site, account: &str) -> Driver {
        let made = cli(hub.at(), &["token", "create", "--account", account, "--label", "t"]);
        Driver { port: hub.port, token: made["token"].as_str().expect("token").to_owned() }
    }
    /// A path, or a whole link: only at this hub.
    pub fn ask(&self, method: &str, at: &str, body: &str) -> Reply {
        let path = at.strip_prefix(&format!("https://localhost:{}", self.port)).unwrap_or(at);
        assert!(path.starts_with('/'), "{at} leads elsewhere");
        https(self.port, &self.token, &format!("{method} {path}"), body)
    }
    pub fn show(&self, at: &str) -> Value {
        let r = self.ask("GET", at, "");
        assert_eq!(r.status, 200, "{at}: {}", r.body);
        r.json()
    }
    /// Begins what a link of the instance leads to, and follows the Location to the end.
    fn carry_out(&self, instance: &Value, link: &str, body: Value) {
        let href = instance["_links"][link]["href"].as_str().unwrap_or_else(|| panic!("{link} in {instance:#}"));
        let r = self.ask("POST", href, &body.to_string());
        assert_eq!(r.status, 202, "{href}: {}", r.body);
        let (op, begun) = (r.header("location").expect("location").to_owned(), Instant::now());
        assert!(op.starts_with("/boxes/BX-1/vnflcm/v2/vnf_lcm_op_occs/"), "{op}");
        loop {
            let v = self.show(&op);
            if v["operationState"] == "COMPLETED" {
                return;
            }
            assert!(["STARTING", "PROCESSING"].contains(&v["operationState"].as_str().expect("state")), "{v:#}");
            assert!(begun.elapsed() < Duration::from_secs(180), "{v:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_box_that_calls_home_is_driven_through_the_hub_by_the_links_it_gives_and_strangers_are_refused_on_both_sides() {
    let (hub, edge, home) = (Site::new(), Site::new(), free_port());
    let points = "\"admin\", \"hub\"";
    // At first the hub shows a certificate that the box does not know, and knows no box.
    let (certificate, key) = Ca::new("stranger").sign_pem("hub", 1);
    fs::write(hub.file("other.pem"), certificate).expect("file");
    fs::write(hub.file("other.key"), key).expect("file");
    let strange =
        format!("[hub]\nlisten = \"127.0.0.1:{home}\"\ncertificate = \"{}\"\nkey = \"{}\"\n", hub.file("other.pem"), hub.file("other.key"));
    hub.configure(points, &strange);
    let h = Daemon::start(hub.at());
    assert_eq!(cli(hub.at(), &["hub", "boxes"]), json!([]));

    let calls = format!(
        "[[call_home]]\nname = \"noc\"\naddress = \"localhost:{home}\"\nca = \"{}\"\nclient = \"noc\"\nreference_points = [\"sol005\", \"sol003-vnfm\", \"admin\"]\nretry_s = 1\n",
        hub.file("data/tls/cert.pem")
    );
    edge.configure("\"sol005\"", &calls);
    let e = Daemon::start(edge.at());
    edge.until_centre_says("it refuses this box's certificate");
    let enrolled = format!("[[hub.box]]\nserial = \"BX-1\"\nfingerprint = \"{}\"\n", edge.fingerprint());
    hub.configure(points, &format!("{strange}{enrolled}"));
    assert!(run(hub.at(), &["config", "apply"]).status.success());
    edge.until_centre_says("UnknownIssuer");
    let shown = cli(hub.at(), &["hub", "boxes"]);
    assert_eq!((&shown[0]["serial"], &shown[0]["connected"]), (&json!("BX-1"), &json!(false)), "{shown:#}");
    let root = Driver { port: hub.port, token: token(hub.at()) };
    let away = root.ask("GET", "/boxes/BX-1/bothy/v1/health", "");
    assert!(away.status == 503 && away.header("retry-after").is_some(), "{}", away.head);
    let failed = run(edge.at(), &["health"]);
    assert!(!failed.status.success() && String::from_utf8_lossy(&failed.stdout).contains("\"call-home\""), "{failed:?}");
    let log = h.stop();
    assert!(log.contains("is enrolled here") && log.contains("it may not believe the hub's certificate"), "{log}");

    // Its own certificate is the one that the box knows; but no client of the box has it yet.
    hub.configure(points, &format!("[hub]\nlisten = \"127.0.0.1:{home}\"\n{enrolled}"));
    let h = Daemon::start(hub.at());
    let there = |v: &Value| v[0]["connected"] == true;
    let shown = hub.until(&["hub", "boxes"], there);
    assert!(shown[0]["why"].as_str().is_some_and(|w| w.contains("does not know this hub")), "{shown:#}");
    let r = root.ask("GET", "/boxes/BX-1/vnflcm/v2/vnf_instances", "");
    assert!(r.status == 502 && r.problem().contains("does not know this hub"), "{}", r.body);
    let pin = hub.fingerprint();
    cli(edge.at(), &["client", "create", "other", "--role", "admin", "--fingerprint-of", &pin]);
    let r = root.ask("GET", "/boxes/BX-1/vnflcm/v2/vnf_instances", "");
    assert_eq!(r.status, 502, "the box is called by 'noc' and nobody else: {}", r.body);
    cli(edge.at(), &["client", "delete", "other"]);
    cli(edge.at(), &["client", "create", "noc", "--role", "admin", "--fingerprint-of", &pin]);
    assert_eq!(cli(edge.at(), &["call-home"])[0]["state"], "CONNECTED");

    // Bothy's own command line, and an upload, through the hub.
    let url = format!("https://localhost:{}/boxes/BX-1", hub.port);
    let o = Command::new(BOTHY)
        .args(["--endpoint", &url, "--cacert", &hub.file("data/tls/cert.pem"), "--token", &root.token, "--json"])
        .args(["vnfpkg", "onboard", &ready_when_it_runs("descriptors/vcpe/vcpe-web", edge.at())])
        .env_clear()
        .output()
        .expect("run");
    assert!(o.status.success(), "{o:?}");
    let vnfd = cli(edge.at(), &["vnfpkg", "list"])[0]["vnfdId"].clone();

    // A client of SOL003 which knows nothing of the hub but its API root.
    cli(hub.at(), &["client", "create", "oss", "--role", "operator"]);
    let oss = Driver::of(&hub, "oss");
    let made: Vec<Value> = ["first", "second"]
        .iter()
        .map(|name| {
            let body = json!({"vnfdId": vnfd, "vnfInstanceName": name}).to_string();
            let r = oss.ask("POST", "/boxes/BX-1/vnflcm/v2/vnf_instances", &body);
            assert_eq!(r.status, 201, "{}", r.body);
            let at = r.header("location").expect("location");
            assert!(at.starts_with("/boxes/BX-1/vnflcm/v2/vnf_instances/"), "{at}");
            assert_eq!(r.header("version"), Some("2.3.0"));
            oss.show(at)
        })
        .collect();
    let page = oss.ask("GET", "/boxes/BX-1/vnflcm/v2/vnf_instances", "");
    let next = page.header("link").and_then(|l| l.strip_prefix('<')?.split_once('>')).expect("a second page").0;
    assert_eq!((page.json().as_array().map(Vec::len), oss.show(next).as_array().map(Vec::len)), (Some(1), Some(1)));
    oss.carry_out(&made[0], "instantiate", json!({"flavourId": "default"}));
    let own = made[0]["_links"]["self"]["href"].as_str().expect("self");
    assert!(own.starts_with(&format!("{url}/vnflcm/v2/")), "{own}");
    let up = oss.show(own);
    assert_eq!(up["instantiationState"], "INSTANTIATED");
    oss.carry_out(&up, "terminate", json!({"terminationType": "FORCEFUL"}));
    assert_eq!(oss.ask("DELETE", own, "").status, 204);
    assert_eq!(oss.ask("GET", own, "").status, 404);
    // Links for those on the box itself are the box's.
    let local = cli(edge.at(), &["vnf", "show", "second"]);
    assert!(local["_links"]["self"]["href"].as_str().is_some_and(|l| l.starts_with("http://localhost/vnflcm/")), "{local:#}");

    // Who may do what, to which box.
    cli(hub.at(), &["client", "create", "watcher", "--role", "viewer"]);
    cli(hub.at(), &["project", "create", "east"]);
    cli(hub.at(), &["client", "create", "east", "--role", "operator", "--in", "east"]);
    let (watcher, east) = (Driver::of(&hub, "watcher"), Driver::of(&hub, "east"));
    // Who may make accounts here gives nobody more than he has, and the box would not know what that is.
    assert!(run(hub.at(), &["role", "set", "keeper", "--may", "identity:create", "--may", "own:create"]).status.success());
    cli(hub.at(), &["client", "create", "keeper", "--role", "keeper"]);
    let keeper = Driver::of(&hub, "keeper");
    let second = made[1]["id"].as_str().expect("id");
    for (who, method, at, want) in [
        (&watcher, "GET", "/boxes/BX-1/vnflcm/v2/vnf_instances".to_owned(), 200),
        (&watcher, "DELETE", format!("/boxes/BX-1/vnflcm/v2/vnf_instances/{second}"), 403),
        (&watcher, "GET", format!("/boxes/BX-1/bothy/v1/vnf/{second}/console"), 403),
        (&oss, "GET", "/boxes/BX-1/bothy/v1/users".into(), 403),
        (&root, "GET", "/boxes/BX-1/bothy/v1/users".into(), 200),
        (&root, "POST", "/boxes/BX-1/oauth2/token".into(), 403),
        // They would be those of the hub's client on the box.
        (&watcher, "POST", "/boxes/BX-1/bothy/v1/tokens".into(), 403),
        (&root, "GET", "/boxes/BX-1/bothy/v1/tokens".into(), 403),
        (&keeper, "POST", "/boxes/BX-1/bothy/v1/clients".into(), 403),
        (&root, "GET", "/boxes/BX-1/nowhere".into(), 403),
        (&root, "GET", "/boxes/BX-1/vnflcm/v2/vnf_instances/..".into(), 400),
        (&root, "GET", "/boxes/BX-2/bothy/v1/health".into(), 404),
        (&east, "GET", "/boxes/BX-1/vnflcm/v2/vnf_instances".into(), 404),
    ] {
        let r = who.ask(method, &at, "");
        assert_eq!(r.status, want, "{method} {at}: {}", r.body);
    }
    assert_eq!(east.show("/bothy/v1/boxes"), json!([]));
    let audit = cli(hub.at(), &["audit", "list"]).to_string();
    assert!(audit.contains("/boxes/BX-1/vnflcm/v2/vnf_instances") && audit.contains("\"oss\""), "{audit}");

    // The hub dies and comes back; the box is there again by itself.
    h.kill();
    edge.until(&["call-home"], |v| v[0]["state"] != "CONNECTED");
    let h = Daemon::start(hub.at());
    let shown = hub.until(&["hub", "boxes"], there);
    assert_eq!(shown[0]["version"], env!("CARGO_PKG_VERSION"), "{shown:#}");
    assert_eq!(oss.show(&format!("/boxes/BX-1/vnflcm/v2/vnf_instances/{second}"))["vnfInstanceName"], "second");
    e.stop();
    hub.until(&["hub", "boxes"], |v| !there(v));
    h.stop();
}
