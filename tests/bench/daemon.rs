//! `bothy serve` as a process, the release binary: its size, its memory, its start.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::{
    durable::after_an_hour,
    kit::{
        self,
        bothy::{self, build_edited, http, program, text, within},
        host::{Host, With, sector},
    },
    scratch,
    table::{Goal, Row, median},
};

const LONGEST: Duration = Duration::from_secs(120);
/// Until threads that idle have ended and freed memory went back.
const REST: Duration = Duration::from_secs(12);

/// A daemon on the simulated box.
pub struct Daemon {
    child: Child,
    pub data: PathBuf,
    run: tempfile::TempDir,
    pub port: u16,
}

/// How long a start took to the first answer, and to the first complete look at the host.
pub struct Start {
    pub ready: Duration,
    pub reconciled: Duration,
}

impl Daemon {
    pub fn start(data: &Path) -> (Daemon, Start) {
        let run = kit::scratch();
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let config = format!(
            "data_dir = \"{}\"\nrun_dir = \"{}\"\n\
             [[listen]]\naddress = \"127.0.0.1:{port}\"\nreference_points = [\"sol005\", \"sol003-vnfm\", \"admin\"]\n\
             [log]\nlevel = \"error\"\n[sim]\nenabled = true\n",
            data.display(),
            run.path().display()
        );
        let file = run.path().join("bothy.toml");
        fs::write(&file, config).expect("configuration");
        let log = |name: &str| fs::File::options().create(true).append(true).open(data.join(name)).expect("log");
        let begun = Instant::now();
        let mut command = Command::new(program());
        command.args(["serve", "--config"]).arg(file).stdin(Stdio::null()).stdout(log("console")).stderr(log("log"));
        let child = command.spawn().expect("bothy serve");
        let daemon = Daemon { child, data: data.to_owned(), run, port };
        let until = |is: &dyn Fn(&Value) -> bool| loop {
            if let Ok(a) = http(&daemon.socket(), "GET", "/bothy/v1/health", None)
                && is(&a.json())
            {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < LONGEST, "the daemon does not come up: {}", fs::read_to_string(data.join("log")).unwrap_or_default());
            std::thread::sleep(Duration::from_micros(500));
        };
        let ready = until(&|_| true);
        let reconciled = until(&|health| {
            let all = health["conditions"].as_array().into_iter().flatten();
            all.into_iter().any(|c| c["name"] == "reconciled" && c["state"] != "PENDING")
        });
        (daemon, Start { ready, reconciled })
    }
    pub fn socket(&self) -> String {
        self.run.path().join("bothy.sock").display().to_string()
    }
    /// The token of the first start, as the console showed it.
    pub fn token(&self) -> String {
        let console = fs::read_to_string(self.data.join("console")).expect("console");
        console.lines().map(str::trim).find(|l| l.starts_with("bothy_")).expect("a token").to_owned()
    }
    pub fn get(&self, path: &str) -> Value {
        http(&self.socket(), "GET", path, None).expect("answered").expect(200).json()
    }
    /// What `of` takes from each entry of a list, over its pages.
    pub fn listed<T>(&self, path: &str, of: impl Fn(&Value) -> T) -> Vec<T> {
        let (mut all, mut next) = (Vec::new(), Some(path.to_owned()));
        while let Some(path) = next {
            let page = http(&self.socket(), "GET", &path, None).expect("answered").expect(200);
            all.extend(page.json().as_array().into_iter().flatten().map(&of));
            // `<https://host/path?query>; rel="next"`
            let link = page.head.lines().find(|l| l.contains("rel=\"next\""));
            let url = link.and_then(|l| l.split(['<', '>']).nth(1)).and_then(|url| url.split_once("://"));
            next = url.and_then(|(_, rest)| Some(rest[rest.find('/')?..].to_owned()));
        }
        all
    }
    fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> bothy::Answer {
        http(&self.socket(), method, path, Some((kind, body))).expect("answered")
    }
    fn post(&self, path: &str, body: &Value) -> bothy::Answer {
        self.send("POST", path, "application/json", body.to_string().as_bytes())
    }
    fn onboard(&self, path: &str, content: &str, state: &str, archive: &[u8]) {
        let made = self.post(path, &json!({})).expect(201).json();
        let one = format!("{path}/{}", text(&made, "id"));
        let sent = self.send("PUT", &format!("{one}/{content}"), "application/zip", archive);
        assert!(matches!(sent.status, 202 | 204), "{sent:?}");
        let done = within("onboarded", LONGEST, || Some(self.get(&one)).filter(|r| matches!(text(r, state), "ONBOARDED" | "ERROR")));
        assert_eq!(text(&done, state), "ONBOARDED", "{done}");
    }
    fn completed(&self, path: &str, body: &Value) {
        let op = self.post(path, body).expect(202).location.expect("an operation");
        let end = within("completed", LONGEST, || {
            Some(self.get(&op)).filter(|o| !matches!(text(o, "operationState"), "STARTING" | "PROCESSING"))
        });
        assert_eq!(text(&end, "operationState"), "COMPLETED", "{end}");
    }
    /// Onboards a small VNF and brings up a thousand of it: two services, since a descriptor names at
    /// most 512 parts.
    fn bring_up_a_thousand(&self) {
        self.onboard("/vnfpkgm/v2/vnf_packages", "package_content", "onboardingState", &vnf("still"));
        self.onboard("/nsd/v2/ns_descriptors", "nsd_content", "nsdOnboardingState", &service(500));
        for name in ["left", "right"] {
            let ask = json!({ "nsdId": "e2e00020-0000-4000-8000-000000000001", "nsName": name, "nsDescription": "" });
            let ns = self.post("/nslcm/v2/ns_instances", &ask).expect(201).json();
            self.completed(&format!("/nslcm/v2/ns_instances/{}/instantiate", text(&ns, "id")), &json!({ "nsFlavourId": "default" }));
        }
    }
    /// One more VNF, with three NICs and two disks; its path.
    pub fn bring_up_one(&self) -> String {
        self.onboard("/vnfpkgm/v2/vnf_packages", "package_content", "onboardingState", &vnf("station"));
        let made = self.post("/vnflcm/v2/vnf_instances", &json!({ "vnfdId": "e2e00001-0000-4000-8000-000000000001" })).expect(201).json();
        let path = format!("/vnflcm/v2/vnf_instances/{}", text(&made, "id"));
        self.completed(&format!("{path}/instantiate"), &json!({ "flavourId": "default" }));
        path
    }
    pub fn pss(&self) -> f64 {
        pss(self.child.id())
    }
    pub fn stop(mut self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).expect("told");
        assert!(self.child.wait().expect("ended").success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A VNF of the fixtures with a boot sector for an image.
fn vnf(name: &str) -> Vec<u8> {
    let dir = kit::scratch();
    let image = dir.path().join("sector.img");
    fs::write(&image, sector()).expect("written");
    bothy::build(&bothy::shipped(&format!("tests/fixtures/packages/{name}")), &[("Files/images/sector.img", &image)])
}

/// The service of the fixtures with so many members.
fn service(vnfs: usize) -> Vec<u8> {
    let member = |n: usize| {
        format!("    m{n:04}:\n      type: example.nodes.Still\n      properties: *still\n      requirements:\n        - lan_link: lan\n\n")
    };
    let more: String = (2..vnfs).map(member).collect();
    let edits = [("Definitions/many.yaml", "    last:\n", &*format!("{more}    last:\n"))];
    build_edited(&bothy::shipped("tests/fixtures/packages/many"), &[], &edits)
}

/// Proportional memory in MB.
pub fn pss(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("smaps_rollup");
    let kib = text.lines().find_map(|l| l.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kib.expect("Pss") * 1024.0 / 1e6
}

/// The daemon beside a libvirtd and a switch of its own, with the store of an hour's work.
fn idle() -> Option<Row> {
    if kit::lacks(&bothy::NEEDS) {
        return None;
    }
    let mut host = Host::start(With::Switch);
    let (lived, _) = after_an_hour();
    kit::sh(&["cp", "-r", &lived.path().join("store").display().to_string(), host.dir().join("data").as_str()]);
    host.serve();
    host.reconciled();
    std::thread::sleep(REST);
    let ours = fs::read_dir("/proc").expect("proc").flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok()).find(|pid| {
        let at = |what: &str| fs::read_link(format!("/proc/{pid}/{what}")).unwrap_or_default();
        at("cwd") == host.dir().as_std_path() && at("exe") == fs::canonicalize(program()).unwrap_or_default()
    });
    let row = Row::new("daemon: PSS idle, libvirtd up, after an hour", "MB", pss(ours.expect("the daemon")), None, Goal::AtMost(25.0));
    host.stop_bothy();
    Some(row)
}

pub fn measure() -> Vec<Row> {
    let mut rows = Vec::new();
    let size = fs::metadata(program()).expect("the binary").len() as f64 / 1e6;
    rows.push(Row::new("daemon: binary, stripped", "MB", size, None, Goal::AtMost(15.0)));
    rows.extend(idle());

    let dir = scratch();
    let (daemon, _) = Daemon::start(dir.path());
    daemon.bring_up_a_thousand();
    std::thread::sleep(REST);
    rows.push(Row::new("daemon: PSS with 1000 VNFs on sim", "MB", daemon.pss(), None, Goal::AtMost(60.0)));
    // Not before: an answer of this size leaves its mark on the memory.
    assert_eq!(daemon.listed("/vnflcm/v2/vnf_instances", |_| ()).len(), 1000);
    rows.push(Row::new("daemon: the same after all were listed once", "MB", daemon.pss(), None, Goal::Shown));
    rows.extend(crate::get::measure(&daemon));
    rows.extend(crate::writers::measure(&daemon));
    daemon.stop();

    // The box is as empty as after a move of its store: the look finds 1000 guests missing.
    let starts: Vec<Start> = (0..5)
        .map(|_| {
            let (d, start) = Daemon::start(dir.path());
            d.stop();
            start
        })
        .collect();
    let of = |f: fn(&Start) -> Duration| median(&starts.iter().map(|s| f(s).as_secs_f64() * 1e3).collect::<Vec<_>>());
    rows.push(Row::new("daemon: start to API ready, 1000 VNFs stored", "ms", of(|s| s.ready), None, Goal::AtMost(200.0)));
    rows.push(Row::new("daemon: start to reconciled, 1000 VNFs stored", "ms", of(|s| s.reconciled), None, Goal::AtMost(1500.0)));
    rows
}
