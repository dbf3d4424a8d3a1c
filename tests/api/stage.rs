//! A daemon with something of each kind on its simulated box, for clients that others wrote.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, free_port},
    kit::ready_when_it_runs,
    pair::{cli, https, run, token},
};

/// The virtual environment that `tests/setup` makes.
pub fn clients() -> Option<PathBuf> {
    let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join("build/clients/bin");
    if !bin.join("st").exists() {
        println!("SKIP: needs build/clients (tests/setup makes it)");
        assert!(std::env::var("BOTHY_REQUIRE").as_deref() != Ok("all"), "BOTHY_REQUIRE=all: build/clients is missing");
        return None;
    }
    Some(bin)
}

/// Where a client comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Point {
    Sol005,
    Sol003Vnfm,
    Sol003Nfvo,
    Sol002,
}

impl Point {
    const ALL: [(Point, &'static str); 4] =
        [(Point::Sol005, "sol005"), (Point::Sol003Vnfm, "sol003-vnfm"), (Point::Sol003Nfvo, "sol003-nfvo"), (Point::Sol002, "sol002")];
}

/// Names of parameters and members, and the values of each that are there.
type Known = BTreeMap<&'static str, Vec<String>>;

pub struct Stage {
    dir: tempfile::TempDir,
    ports: Vec<(Point, u16)>,
    token: String,
    known: Known,
    /// By the API's root.
    subscriptions: BTreeMap<&'static str, String>,
    _daemon: Daemon,
}

impl Stage {
    pub fn set() -> Stage {
        let dir = tempfile::tempdir().expect("dir");
        let ports: Vec<(Point, u16)> = Point::ALL.iter().map(|(p, _)| (*p, free_port())).collect();
        let listen = Point::ALL
            .iter()
            .zip(&ports)
            .map(|((_, name), (_, port))| format!("[[listen]]\naddress = \"127.0.0.1:{port}\"\nreference_points = [\"{name}\"]\n"));
        let at = dir.path().display();
        let text = format!(
            "data_dir = \"{at}/data\"\nrun_dir = \"{at}/run\"\n{}[limits]\nheader_timeout_s = 600\nidle_timeout_s = 600\n[sim]\nenabled = true\n[log]\nlevel = \"warn\"\n",
            listen.collect::<String>()
        );
        fs::write(dir.path().join("bothy.toml"), text).expect("config");
        let daemon = Daemon::start(dir.path());
        let token = token(dir.path());
        Stage { dir, ports, token, known: Known::new(), subscriptions: BTreeMap::new(), _daemon: daemon }
    }

    pub fn port(&self, point: Point) -> u16 {
        self.ports.iter().find(|(p, _)| *p == point).expect("a port").1
    }
    pub fn token(&self) -> &str {
        &self.token
    }
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("data/tls/cert.pem")
    }
    pub fn known(&self, api: &str) -> Value {
        let mut all: BTreeMap<&str, Vec<String>> = self.known.clone();
        all.insert("subscriptionId", self.subscriptions.get(api).cloned().into_iter().collect());
        json!(all)
    }

    fn note(&mut self, name: &'static str, value: impl Into<String>) {
        self.known.entry(name).or_default().push(value.into());
    }

    fn post(&self, point: Point, path: &str, body: Value) -> Value {
        let r = https(self.port(point), &self.token, &format!("POST {path}"), &body.to_string());
        assert_eq!(r.status, 201, "{path}: {}", r.body);
        r.json()
    }

    /// A task, to its end; the id of its operation.
    fn task(&self, point: Point, path: &str, body: Value) -> String {
        let r = https(self.port(point), &self.token, &format!("POST {path}"), &body.to_string());
        assert_eq!(r.status, 202, "{path}: {}", r.body);
        let op = r.header("location").expect("location").to_owned();
        let begun = Instant::now();
        loop {
            let v = https(self.port(point), &self.token, &format!("GET {op}"), "").json();
            match v["operationState"].as_str() {
                Some("COMPLETED") => return text(&v["id"]),
                Some("STARTING" | "PROCESSING") => assert!(begun.elapsed() < Duration::from_secs(180), "{v:#}"),
                _ => panic!("{v:#}"),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The web server's package; its `vnfdId`.
    pub fn onboard_web(&self) -> String {
        text(&self.onboard("vnfpkg", "descriptors/vcpe/vcpe-web")["vnfdId"])
    }
    /// `bothy ARGS` on it.
    pub fn cli(&self, args: &[&str]) -> Value {
        cli(self.dir.path(), args)
    }

    fn onboard(&self, kind: &str, folder: &str) -> Value {
        let file = ready_when_it_runs(folder, self.dir.path());
        let o = run(self.dir.path(), &[kind, "onboard", &file]);
        assert!(o.status.success(), "{o:?}");
        serde_json::from_slice(&o.stdout).expect("json")
    }

    /// Something of each kind.
    pub fn fill(&mut self) {
        let callback = subscriber();
        self.note("callbackUri", &callback);
        for p in ["client", "firewall", "web"] {
            let v = self.onboard("vnfpkg", &format!("descriptors/vcpe/vcpe-{p}"));
            self.note("vnfPkgId", text(&v["id"]));
            self.note("vnfdId", text(&v["vnfdId"]));
        }
        let web = self.known["vnfdId"][2].clone();
        let nsd = self.onboard("nsd", "descriptors/vcpe/vcpe-ns");
        self.note("nsdInfoId", text(&nsd["id"]));
        self.note("nsdId", text(&nsd["nsdId"]));
        for (name, path) in
            [("vnfPkgId", "/vnfpkgm/v2/vnf_packages"), ("nsdInfoId", "/nsd/v2/ns_descriptors"), ("pnfdInfoId", "/nsd/v2/pnf_descriptors")]
        {
            let v = self.post(Point::Sol005, path, json!({}));
            self.note(name, text(&v["id"]));
        }
        for name in ["flavourId", "nsFlavourId", "newFlavourId", "instantiationLevelId", "nsInstantiationLevelId"] {
            self.note(name, "default");
        }
        self.note("aspectId", "servers");
        self.note("artifactPath", "TOSCA-Metadata/TOSCA.meta");

        let mut made = Vec::new();
        for _ in 0..2 {
            made.push(text(&self.post(Point::Sol003Vnfm, "/vnflcm/v2/vnf_instances", json!({"vnfdId": web}))["id"]));
        }
        let op =
            self.task(Point::Sol003Vnfm, &format!("/vnflcm/v2/vnf_instances/{}/instantiate", made[0]), json!({"flavourId": "default"}));
        self.note("vnfLcmOpOccId", op);
        let ns = |nsd: &Value| json!({"nsdId": nsd["nsdId"], "nsName": "site", "nsDescription": "a test"});
        let mut services = Vec::new();
        for _ in 0..2 {
            services.push(text(&self.post(Point::Sol005, "/nslcm/v2/ns_instances", ns(&nsd))["id"]));
        }
        let op =
            self.task(Point::Sol005, &format!("/nslcm/v2/ns_instances/{}/instantiate", services[0]), json!({"nsFlavourId": "default"}));
        self.note("nsLcmOpOccId", op);
        let snapshot = text(&self.post(Point::Sol003Vnfm, "/vnflcm/v2/vnf_snapshots", json!({}))["id"]);
        self.task(
            Point::Sol003Vnfm,
            &format!("/vnflcm/v2/vnf_instances/{}/create_snapshot", made[0]),
            json!({"vnfSnapshotInfoId": snapshot}),
        );
        self.note("vnfSnapshotInfoId", snapshot);

        for (point, api, object_type, object, metric) in [
            (Point::Sol003Vnfm, "vnfpm/v2", "Vnf", &made[0], "VcpuUsageMeanVnf"),
            (Point::Sol005, "nspm/v2", "Ns", &services[0], "ByteIncomingSap"),
        ] {
            self.note("objectType", object_type);
            self.note("performanceMetric", metric);
            self.note("objectInstanceId", object);
            self.note("objectInstanceIds", object);
            let job = json!({"objectType": object_type, "objectInstanceIds": [object], "callbackUri": callback,
                "criteria": {"performanceMetric": [metric], "collectionPeriod": 5, "reportingPeriod": 5}});
            let job = self.post(point, &format!("/{api}/pm_jobs"), job);
            self.note("pmJobId", text(&job["id"]));
            let threshold = json!({"objectType": object_type, "objectInstanceId": object, "callbackUri": callback,
                "criteria": {"performanceMetric": metric, "thresholdType": "SIMPLE",
                             "simpleThresholdDetails": {"thresholdValue": 50, "hysteresis": 5}}});
            let threshold = self.post(point, &format!("/{api}/thresholds"), threshold);
            self.note("thresholdId", text(&threshold["id"]));
        }
        self.note("vimId", "bothy");
        self.note("objectInstanceId", "bothy");
        self.note("capacityMeasurementName", "Vcpu");
        let capacity = json!({"objectInstanceId": "bothy", "callbackUri": callback,
            "criteria": {"capacityMetric": {"resourceType": "VR_COMPUTE", "capacityMeasurementName": "Vcpu", "capacityType": "AVAILABLE"},
                         "thresholdType": "SIMPLE", "simpleThresholdDetails": [{"thresholdValue": 2, "hysteresis": 1}]}});
        let capacity = self.post(Point::Sol005, "/nfvici/v1/capacity_thresholds", capacity);
        self.note("capacityThresholdId", text(&capacity["id"]));
        for (point, api) in [
            (Point::Sol005, "nsd/v2"),
            (Point::Sol005, "vnfpkgm/v2"),
            (Point::Sol005, "nslcm/v2"),
            (Point::Sol005, "nsfm/v1"),
            (Point::Sol003Vnfm, "vnflcm/v2"),
            (Point::Sol003Vnfm, "vnffm/v1"),
            (Point::Sol003Vnfm, "vnfind/v1"),
            (Point::Sol003Nfvo, "vrqan/v1"),
        ] {
            let v = self.post(point, &format!("/{api}/subscriptions"), json!({"callbackUri": format!("{callback}/{api}")}));
            self.subscriptions.insert(api, text(&v["id"]));
        }
        let grant = json!({"vnfInstanceId": "11111111-0000-4000-8000-000000000001", "vnfLcmOpOccId": "22222222-0000-4000-8000-000000000001",
            "vnfdId": web, "flavourId": "default", "operation": "INSTANTIATE", "isAutomaticInvocation": false,
            "addResources": [{"id": "c", "type": "COMPUTE", "vduId": "web", "resourceTemplateId": "web"}],
            "_links": {"vnfLcmOpOcc": {"href": "https://vnfm/op"}, "vnfInstance": {"href": "https://vnfm/vnf"}}});
        let grant = self.post(Point::Sol003Nfvo, "/grant/v1/grants", grant);
        self.note("grantId", text(&grant["id"]));
        // What is wrong in this box is an alarm of it, if anything is.
        for a in self.cli(&["alarm", "list"]).as_array().into_iter().flatten() {
            self.note("alarmId", text(&a["id"]));
        }
        self.known.insert("vnfInstanceId", made);
        self.known.insert("nsInstanceId", services);
    }
}

fn text(v: &Value) -> String {
    v.as_str().unwrap_or_else(|| panic!("text, not {v:#}")).to_owned()
}

/// Takes whatever it is sent; its address.
pub fn subscriber() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let at = format!("http://{}/callback", listener.local_addr().expect("address"));
    thread::spawn(move || {
        for mut s in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut from = BufReader::new(s.try_clone().expect("socket"));
                let mut length = 0;
                for line in from.by_ref().lines().map_while(Result::ok).take_while(|l| !l.is_empty()) {
                    if let Some((_, n)) = line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case("content-length")) {
                        length = n.trim().parse().unwrap_or(0);
                    }
                }
                let _ = from.take(length).read_to_end(&mut Vec::new());
                let _ = s.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
            });
        }
    });
    at
}
