//! The command line as people and programs use it, against a daemon over the in-memory box.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use regex::Regex;
use serde_json::Value;

use crate::daemon::{BOTHY, Daemon};

pub struct Site {
    dir: tempfile::TempDir,
    _daemon: Daemon,
}

impl Site {
    pub fn start() -> Site {
        let dir = tempfile::tempdir().expect("dir");
        let text = format!(
            "data_dir = \"{0}/data\"\nrun_dir = \"{0}/run\"\n[[listen]]\naddress = \"127.0.0.1:0\"\nreference_points = [\"admin\"]\n[sim]\nenabled = true\n",
            dir.path().display()
        );
        fs::write(dir.path().join("bothy.toml"), text).expect("config");
        let daemon = Daemon::start(dir.path());
        Site { dir, _daemon: daemon }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The vcpe packages; a simulated guest says nothing on its console, so its readiness is left out.
    pub fn vcpe(&self) -> String {
        let to = self.path("vcpe");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptors/vcpe"), &to);
        let images = self.path("images");
        fs::create_dir_all(&images).expect("images");
        // As much of a qcow2 image as the in-memory box looks at: 24 MiB, no backing file.
        let mut head = b"QFI\xfb\0\0\0\x03".to_vec();
        head.extend([0; 16]);
        head.extend((24u64 << 20).to_be_bytes());
        head.resize(512, 0);
        fs::write(images.join("tiny.qcow2"), head).expect("image");
        to.display().to_string()
    }

    /// What uploads, packages and guests have left in the data folder.
    fn files(&self) -> Vec<String> {
        let below = |folder: &str| fs::read_dir(self.path("data").join(folder)).into_iter().flatten().flatten();
        ["uploads", "artifacts", "images", "disks", "media"]
            .iter()
            .flat_map(|f| below(f).map(move |e| format!("{f}/{}", e.file_name().display())))
            .collect()
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("run")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(BOTHY);
        c.args(args).env_clear().env("BOTHY_SOCKET", self.path("run/bothy.sock")).current_dir(self.dir.path());
        c
    }

    /// What was said, once the exit code is the one expected; ids, MACs, times and paths made the same in every run.
    pub fn says(&self, code: i32, args: &[&str]) -> String {
        let o = self.run(args);
        let (stdout, stderr) = (String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr));
        assert_eq!(o.status.code(), Some(code), "{args:?}\n{stdout}\n{stderr}");
        redacted(&format!("{stdout}{stderr}").replace(&self.dir.path().display().to_string(), "DIR"))
    }

    pub fn json(&self, args: &[&str]) -> Value {
        let o = self.run(&[&["--json"], args].concat());
        serde_json::from_slice(&o.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {o:?}"))
    }
}

/// Taken, listed, gone back to, deleted; each by the name it was given.
fn snapshots(site: &Site) {
    let taken = site.says(0, &["vnf", "snapshot", "create", "vcpe-web", "before", "--data", "ticket=7"]);
    assert!(taken.contains("(CREATE_SNAPSHOT) is COMPLETED"), "{taken}");
    let listed = site.says(0, &["vnf", "snapshot", "list"]);
    assert!(listed.contains("NAME") && listed.contains("before") && listed.contains("vcpe-web"), "{listed}");
    let shown = site.json(&["vnf", "snapshot", "show", "before"]);
    assert_eq!(shown["vnfSnapshot"]["userDefinedData"], serde_json::json!({"name": "before", "ticket": 7}));
    let back = site.json(&["vnf", "snapshot", "revert", "vcpe-web", "before"]);
    assert_eq!((&back["operation"], &back["operationState"]), (&"REVERT_TO_SNAPSHOT".into(), &"COMPLETED".into()), "{back:#}");
    let wrong = site.says(3, &["vnf", "snapshot", "revert", "vcpe-client", "before"]);
    assert!(wrong.contains("is one of VNF instance"), "{wrong}");
    site.says(3, &["vnf", "snapshot", "delete", "after"]);
    site.says(0, &["vnf", "snapshot", "delete", "before"]);
    // What is refused leaves no empty one behind.
    site.says(0, &["vnf", "create", "--package", "vcpe-web", "idle"]);
    let refused = site.says(3, &["vnf", "snapshot", "create", "idle"]);
    assert!(refused.contains("is not instantiated"), "{refused}");
    site.says(0, &["vnf", "delete", "idle"]);
    assert_eq!(site.json(&["vnf", "snapshot", "list"]), serde_json::json!([]));
}

/// What `host guests` reaches is in no record: a guest of a VNF is reached by that.
fn known_guests(site: &Site) {
    let vnf = site.json(&["vnf", "show", "vcpe-web"]);
    let id = vnf["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["id"].as_str().expect("a guest").to_owned();
    for of in ["logs", "console", "remove"] {
        let refused = site.says(3, &["host", "guests", of, &id]);
        assert!(refused.contains("is of VNF instance"), "{of}: {refused}");
        let unknown = site.says(3, &["host", "guests", of, "00000000-0000-4000-8000-000000000000"]);
        assert!(unknown.contains("there is no guest"), "{of}: {unknown}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for e in fs::read_dir(from).expect("folder").flatten() {
        let at = to.join(e.file_name());
        if e.path().is_dir() {
            copy(&e.path(), &at);
        } else if e.path().extension().is_some_and(|x| x == "yaml") {
            let text = fs::read_to_string(e.path()).expect("text");
            let kept: Vec<&str> = text.lines().filter(|l| !l.trim().starts_with("bothy.readiness")).collect();
            fs::write(at, kept.join("\n")).expect("text");
        } else {
            fs::copy(e.path(), at).expect("copy");
        }
    }
}

fn redacted(text: &str) -> String {
    let mut text = text.to_owned();
    for (what, with) in [
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "UUID"),
        (r"b-[a-z2-7]{26}", "b-DOMAIN"),
        (r"52:54:00(:[0-9a-f]{2}){3}", "52:54:00:MM:MM:MM"),
        (r"\b[0-9a-f]{12}\b", "DIGEST"),
        (r"\b[0-9a-f]{8}\b", "IDENTITY"),
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
        (r" +█+", " BAR"),
        (r"\d+\.\d{3} s\b", "N.NNN s"),
    ] {
        text = Regex::new(what).expect("pattern").replace_all(&text, with).into_owned();
    }
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_service_comes_up_from_a_folder_is_looked_at_and_goes_away_again() {
    let site = Site::start();
    let vcpe = site.vcpe();
    let up: &[&str] = &["up", &vcpe, "--images", "images"];

    insta::assert_snapshot!("plan_before_onboarding", site.says(0, &[up, &["--plan"]].concat()));
    assert_eq!(site.json(&["vnfpkg", "list"]), serde_json::json!([]), "a plan touches nothing");
    assert_eq!(site.files(), Vec::<String>::new(), "nor does it leave a file");
    let known = site.json(&[up, &["--plan"]].concat());
    assert_eq!(known["onboard"].as_array().map(Vec::len), Some(4), "{known:#}");
    let day0 = Path::new(&vcpe).join("vcpe-web/Files/day0/user-data");
    let good = fs::read_to_string(&day0).expect("text");
    fs::write(&day0, format!("{good}{{{{ params.nobody_gave }}}}\n")).expect("text");
    let refused = site.says(3, &[up, &["--plan"]].concat());
    assert!(refused.contains("first-boot media cannot be made") && refused.contains("nobody_gave"), "{refused}");
    assert_eq!(site.files(), Vec::<String>::new(), "nor does a refusal");
    fs::write(&day0, good).expect("text");
    let missing = site.says(1, &["up", &vcpe, "--images", "nowhere"]);
    assert!(
        missing.contains("  - Files/images/tiny.qcow2 of vcpe-client, vcpe-firewall, vcpe-web: looked in the package and in nowhere"),
        "{missing}"
    );

    insta::assert_snapshot!("up", site.says(0, up));
    insta::assert_snapshot!("up_again", site.says(0, up));
    insta::assert_snapshot!("ns_show", site.says(0, &["ns", "show", "vcpe"]));
    insta::assert_snapshot!("net_list", site.says(0, &["net", "list"]));
    let usage = site.says(0, &["host", "usage"]);
    assert!(usage.contains("NUMA node 1: 16 whole cores free\n  free CPUs: 16-31,48-63\n"), "{usage}");
    assert!(usage.lines().any(|l| l.starts_with("ens1f0") && l.contains("wan")), "{usage}");
    insta::assert_snapshot!("explain", site.says(0, &["explain", "lan"]));
    let shown = site.json(&["ns", "show", "vcpe"]);
    assert_eq!(shown["nsState"], "INSTANTIATED");

    let ops = site.json(&["op", "list"]);
    let of_ns: Vec<&str> =
        ops.as_array().expect("list").iter().filter(|o| o["nsInstanceId"].is_string()).filter_map(|o| o["id"].as_str()).collect();
    assert_eq!(of_ns.len(), 1, "the second up began nothing");
    let drawn = site.says(0, &["op", "show", &of_ns[0][..8]]);
    for says in ["INSTANTIATE is COMPLETED", "link mgmt", "instantiate VNF firewall", "web: INSTANTIATE", "start web/0", "█"] {
        assert!(drawn.contains(says) || says == "█" && drawn.contains("BAR"), "{says}: {drawn}");
    }
    assert!(drawn.lines().all(|l| l.chars().count() <= 100), "{drawn}");
    site.says(0, &["op", "wait", of_ns[0]]);

    let plan = site.says(0, &["ns", "scale", "vcpe", "--level", "default", "--plan"]);
    assert!(plan.contains("Nothing was made."), "{plan}");
    assert_eq!(site.json(&["ns", "scale", "vcpe", "--level", "default"])["operationState"], "COMPLETED", "it is there already");
    let refused = site.says(3, &["ns", "scale", "vcpe", "--aspect", "sites"]);
    assert!(refused.contains("no scaling aspect 'sites'"), "{refused}");

    site.says(0, &["vnf", "logs", "vcpe-web"]);
    let day0 = site.says(0, &["vnf", "day0", "--preview", "vcpe-web/web"]);
    assert!(day0.contains("--- user-data") && day0.contains("httpd"), "{day0}");
    assert!(site.says(0, &["vnf", "xml", "vcpe-web/web/0"]).contains("<domain"));
    site.says(0, &["vnf", "stop", "vcpe-web"]);
    assert!(site.says(0, &["ns", "show", "vcpe"]).contains("STOPPED"));
    site.says(0, &["vnf", "start", "vcpe-web"]);
    site.says(0, &["vnf", "reboot", "--hard", "vcpe-web/web"]);
    let before = site.json(&["op", "list"]).as_array().map_or(0, Vec::len);
    let rebooted = site.json(&["vnf", "reboot", "vcpe-web/web/0", "--how", "forceful"]);
    assert_eq!((&rebooted["operation"], &rebooted["operationState"]), (&"OPERATE".into(), &"COMPLETED".into()), "{rebooted:#}");
    let told = site.says(0, &["vnf", "reboot", "vcpe-web", "--grace", "5"]);
    assert!(told.contains("(OPERATE) is COMPLETED"), "{told}");
    assert_eq!(site.json(&["op", "list"]).as_array().map_or(0, Vec::len), before + 2, "each reboot is one operation");
    site.says(2, &["vnf", "reboot", "vcpe-web", "--how", "forceful", "--grace", "5"]);

    snapshots(&site);
    known_guests(&site);

    insta::assert_snapshot!("down", site.says(0, &["down", &vcpe]));
    insta::assert_snapshot!("down_again", site.says(0, &["down", "vcpe"]));
    insta::assert_snapshot!("plan", site.says(0, &[up, &["--plan"]].concat()));
    insta::assert_snapshot!("purge", site.says(0, &["down", "vcpe", "--purge"]));
    assert_eq!(site.json(&["vnfpkg", "list"]), serde_json::json!([]));
    assert_eq!(site.json(&["ns", "list"]), serde_json::json!([]));
}

#[test]
fn chains_are_changed_with_a_dry_run_before_and_the_network_is_drawn() {
    let site = Site::start();
    let vcpe = site.vcpe();
    site.says(0, &["up", &vcpe, "--images", "images"]);
    let change = |functions: &str, more: &[&str], code: i32| {
        site.says(code, &[&["chain", "change", "to_web", "--functions", functions], more].concat())
    };
    let plan: &[&str] = &["--plan"];
    let same = change("firewall", plan, 0);
    assert!(same.contains("chain to_web\n  now:  firewall\n  then: firewall\n  nothing would change\nNothing was changed."), "{same}");
    assert!(change("firewall:lan/wan", &[], 0).contains("(UPDATE) is COMPLETED"));
    for more in [plan, &[]] {
        let refused = change("", more, 3);
        assert!(refused.contains("ends are on different links"), "{refused}");
    }
    assert!(change("x", plan, 2).contains("has no VNF 'x'; it has"));
    assert!(change("client", plan, 2).contains("write client:IN/OUT"));
    assert!(change("web:side", plan, 2).contains("has no connection point 'side'; it has"));

    let drawn = site.says(0, &["net", "show"]);
    for says in
        ["━━ lan  of vcpe · VLAN ", "══ host ", "▶▶ to_web of vcpe  tcp to any port 80\n", "vcpe-client ◀─▶ firewall (routed) ◀─▶ vcpe-web"]
    {
        assert!(drawn.contains(says), "no '{says}': {drawn}");
    }
    assert!(site.says(0, &["net", "show", "--dot"]).starts_with("graph bothy {"));
    assert!(site.says(0, &["net", "show", "--svg"]).starts_with("<svg "));
    let json = site.json(&["net", "show"]);
    assert_eq!((json["networks"].as_array().map(Vec::len), json["chains"].as_array().map(Vec::len)), (Some(3), Some(1)), "{json:#}");
    assert!(site.says(0, &["net", "show", "lan"]).starts_with("link lan"));
}

#[test]
fn a_service_can_have_another_name_and_what_differs_is_said() {
    let site = Site::start();
    let vcpe = site.vcpe();
    let ns = site.json(&["up", &vcpe, "--images", "images", "--name", "site-7", "--param", "x=1"]);
    assert_eq!(ns["nsInstanceName"], "site-7");
    fs::write(Path::new(&vcpe).join("vcpe-web/Files/day0/user-data"), "#!/bin/sh\n").expect("changed");
    let again = site.says(0, &["up", &vcpe, "--images", "images", "--name", "site-7"]);
    assert!(again.contains("VNF package vcpe-web 1.0: IDENTITY has the same descriptor id but other content"), "{again}");
    assert!(again.contains("VNF package vcpe-client 1.0: onboarded already"), "{again}");
    let gone = site.json(&["down", "site-7", "--force", "--purge"]);
    assert_eq!(gone["removed"].as_array().map(Vec::len), Some(4), "{gone}");
}

#[test]
fn exit_codes_tell_who_refused() {
    let site = Site::start();
    for (code, args, says) in [
        (1, &["up", "nowhere"][..], "error: cannot read the folder"),
        (1, &["package", "lint", "nowhere"], "cannot be onboarded"),
        (2, &["up"], "Usage:"),
        (2, &["secret", "set", "a/b"], "is no name of a secret"),
        (3, &["vnf", "show", "nobody"], "error: there is no VNF instance 'nobody'"),
        (3, &["vnf", "console", "nobody/vdu"], "error: there is no VNF instance 'nobody'"),
        (3, &["explain", "nothing"], "error: no network service, VNF, virtual link or operation is called 'nothing'"),
        (3, &["net", "show", "nothing"], "error: there is no virtual link 'nothing'"),
        (4, &["--socket", "/nonexistent", "down", "x"], "error: cannot reach the daemon"),
        (0, &["completions", "bash"], "complete -F _bothy"),
        (0, &["completions", "zsh"], "#compdef bothy"),
        (0, &["store", "verify"], "VNF package"),
        (0, &["store", "show"], "history"),
        (0, &["health"], "store"),
    ] {
        let text = site.says(code, args);
        assert!(text.contains(says), "{args:?}: {text}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let site = Site::start();
    for args in [&["completions", "zsh"][..], &["health"], &["host"], &["host", "facts"], &["host", "plan"], &["--json", "op", "list"]] {
        let mut c = site.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("spawn");
        drop(c.stdout.take());
        let o = c.wait_with_output().expect("wait");
        assert!(o.status.success() && o.stderr.is_empty(), "{args:?}: {o:?}");
    }
}

#[test]
fn secrets_are_set_listed_and_never_shown() {
    let site = Site::start();
    let mut set = site.command(&["secret", "set", "wan_key"]).stdin(Stdio::piped()).spawn().expect("spawn");
    set.stdin.take().expect("stdin").write_all(b"hush\n").expect("value");
    assert!(set.wait().expect("wait").success());
    assert_eq!(site.says(0, &["secret", "list"]), "NAME\nwan_key");
    site.says(0, &["support", "-o", "support.tar"]);
    site.says(0, &["store", "export", "export.bothy"]);
    for file in ["support.tar", "export.bothy"] {
        let bytes = fs::read(site.path(file)).expect(file);
        assert!(!bytes.is_empty(), "{file}");
        assert!(!bytes.windows(4).any(|w| w == b"hush"), "{file} holds the secret");
    }
    site.says(0, &["secret", "delete", "wan_key"]);
    assert_eq!(site.says(0, &["secret", "list"]), "none");
}

#[test]
fn a_console_carries_bytes_both_ways_and_ends_with_its_input() {
    let site = Site::start();
    let vcpe = site.vcpe();
    site.says(0, &["up", &vcpe, "--images", "images"]);
    let mut console =
        site.command(&["vnf", "console", "vcpe-web/web/0"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("spawn");
    console.stdin.take().expect("stdin").write_all(b"marco").expect("typed");
    let o = console.wait_with_output().expect("wait");
    assert!(o.status.success(), "{o:?}");
    // The simulated console echoes.
    assert_eq!(String::from_utf8_lossy(&o.stdout), "marco");
}

/// Answers 204 to whoever asks, for as long as the test runs.
pub fn callback() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let at = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 65536];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
        }
    });
    format!("http://{at}/cb")
}

impl Site {
    /// A POST over the daemon's socket; what it made.
    fn post(&self, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut s = std::os::unix::net::UnixStream::connect(self.path("run/bothy.sock")).expect("connect");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        s.write_all(head.as_bytes()).and_then(|()| s.write_all(body.as_bytes())).expect("asked");
        let mut text = String::new();
        s.read_to_string(&mut text).expect("answered");
        assert!(text.starts_with("HTTP/1.1 201 "), "{path}: {text}");
        let (_, body) = text.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{path}: {e}: {text}"))
    }
}

#[test]
fn measurements_are_listed_shown_reported_and_ended() {
    let site = Site::start();
    let vcpe = site.vcpe();
    site.says(0, &["up", &vcpe, "--images", "images"]);
    assert_eq!((site.says(0, &["pm", "list"]), site.says(0, &["pm", "thresholds"])), ("none".to_owned(), "none".to_owned()));
    let vnf = site.json(&["vnf", "show", "vcpe-web"])["id"].clone();
    let job = |seconds: u32| {
        let ask = serde_json::json!({
            "objectType": "Vnf", "objectInstanceIds": [vnf], "callbackUri": callback(),
            "criteria": {"performanceMetric": ["VcpuUsageMeanVnf"], "collectionPeriod": seconds, "reportingPeriod": seconds}
        });
        site.post("/vnfpm/v2/pm_jobs", &ask)["id"].as_str().expect("an id").to_owned()
    };
    let (slow, quick) = (job(600), job(1));
    let listed = site.says(0, &["pm", "list"]);
    assert!(listed.contains("EVERY") && listed.contains("600/600 s") && listed.contains("VcpuUsageMeanVnf"), "{listed}");
    assert_eq!(site.json(&["pm", "list"]).as_array().map(Vec::len), Some(2));
    assert!(site.says(0, &["pm", "show", &slow]).contains("600"));
    let none = site.says(3, &["pm", "report", &slow]);
    assert!(none.contains("has no report yet"), "{none}");

    let begun = std::time::Instant::now();
    while !site.run(&["pm", "report", &quick]).status.success() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(180), "no report");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let report = site.says(0, &["pm", "report", &quick[..8]]);
    assert!(report.contains("METRIC") && report.contains("VcpuUsageMeanVnf"), "{report}");
    assert!(site.json(&["pm", "report", &quick])["entries"].is_array());

    let ask = serde_json::json!({
        "objectType": "Vnf", "objectInstanceId": vnf, "callbackUri": callback(),
        "criteria": {"performanceMetric": "VcpuUsageMeanVnf", "thresholdType": "SIMPLE",
            "simpleThresholdDetails": {"thresholdValue": 90.0, "hysteresis": 5.0}}
    });
    let threshold = site.post("/vnfpm/v2/thresholds", &ask)["id"].as_str().expect("an id").to_owned();
    let shown = site.says(0, &["pm", "thresholds"]);
    assert!(shown.contains("90") && shown.contains("± 5"), "{shown}");
    let ask = serde_json::json!({
        "objectInstanceId": "bothy", "subObjectInstanceIds": ["host"], "callbackUri": callback(),
        "criteria": {"thresholdType": "SIMPLE", "simpleThresholdDetails": [{"thresholdValue": 2, "hysteresis": 1}],
            "capacityMetric": {"resourceType": "VR_COMPUTE", "capacityMeasurementName": "Vcpu", "capacityType": "AVAILABLE"}}
    });
    let capacity = site.post("/nfvici/v1/capacity_thresholds", &ask)["id"].as_str().expect("an id").to_owned();
    let shown = site.says(0, &["pm", "thresholds"]);
    assert!(shown.contains("Vcpu available") && shown.contains("2.0 ± 1.0"), "{shown}");
    let shown = site.says(0, &["host", "capacity"]);
    assert!(shown.contains("AVAILABLE") && shown.contains("VR_STORAGE"), "{shown}");
    site.says(0, &["pm", "delete-threshold", &capacity]);
    site.says(0, &["pm", "delete-threshold", &threshold]);
    for id in [&slow, &quick] {
        site.says(0, &["pm", "delete", id]);
    }
    assert_eq!((site.says(0, &["pm", "list"]), site.says(0, &["pm", "thresholds"])), ("none".to_owned(), "none".to_owned()));
    assert!(site.says(3, &["pm", "show", &slow]).contains("there is no PM job"));
}

#[test]
fn switches_outside_are_told_listed_and_forgotten() {
    let site = Site::start();
    assert_eq!(site.says(0, &["sdn", "controller", "list"]), "none");
    let set =
        ["sdn", "controller", "set", "tor", "--type", "ovsdb", "--network", "wan", "--datapath", "sw1", "--external", "sw1/48", "--url"];
    let bad = site.says(3, &[&set[..], &["tcp:tor"]].concat());
    assert!(bad.contains("tcp:ADDRESS:PORT"), "{bad}");
    assert_eq!(site.says(0, &[&set[..], &["tcp:127.0.0.1:6640"]].concat()), "controller tor is taken up");
    let listed = site.says(0, &["sdn", "controller", "list"]);
    assert!(listed.contains("TOLD BY") && listed.contains("tcp:127.0.0.1:6640") && listed.contains("API"), "{listed}");
    assert!(site.says(0, &["sdn", "controller", "show", "tor"]).contains("switch_port: 48"));

    let wim = ["sdn", "controller", "set", "wim", "--type", "l2vpn", "--network", "far", "--datapath", "site-7", "--ca", "/w.pem", "--url"];
    assert!(site.says(3, &[&wim[..], &["http://wim.example"]].concat()).contains("ca: means something over https only"));
    assert_eq!(site.says(0, &[&wim[..], &["https://wim.example:8443/restconf/"]].concat()), "controller wim is taken up");
    let shown = site.says(0, &["sdn", "controller", "show", "wim"]);
    assert!(shown.contains("url: https://wim.example:8443/restconf") && shown.contains("ca: /w.pem"), "{shown}");
    site.says(0, &["sdn", "controller", "delete", "wim"]);

    let map = "- compute_node: \"edge-*\"\n  ports:\n    - {pci: \"0000:3b:10.*\", switch_id: sw1, switch_port: \"7\"}\n";
    fs::write(site.path("map.yaml"), map).expect("written");
    assert_eq!(site.says(0, &["sdn", "portmap", "set", "map.yaml"]), "the port map of edge-* is taken up");
    let maps = site.says(0, &["sdn", "portmap", "list"]);
    assert!(maps.contains("edge-*") && maps.contains("0000:3b:10.*") && maps.contains("SWITCH"), "{maps}");
    assert_eq!(site.says(0, &["sdn", "service", "list"]), "none");
    assert!(site.says(3, &["sdn", "service", "show", "wan"]).contains("no virtual link 'wan'"));
    assert_eq!(site.says(0, &["sdn", "plan"]), "controller tor: all is as links want it");
    assert!(site.says(2, &["sdn", "controller", "delete", "a/b"]).contains("is no name"));
    site.says(0, &["sdn", "portmap", "delete", "edge-*"]);
    site.says(0, &["sdn", "controller", "delete", "tor"]);
    assert_eq!(site.says(0, &["sdn", "portmap", "list"]), "none");
}
