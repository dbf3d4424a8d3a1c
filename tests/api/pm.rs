//! Performance management over HTTP: jobs, reports, thresholds, refusals; each body held against ETSI's files.

use std::time::{Duration, Instant};

use bothy::{
    model::id::VnfcId,
    vim::port::{GuestStats, NicCounters},
};
use serde_json::{Value, json};

use crate::{
    identity::{bare, bearer, made, user},
    kit::fits,
    notify::Subscriber,
    rig::{Rig, rig},
    schema,
};

const JOBS: &str = "/vnfpm/v2/pm_jobs";
const THRESHOLDS: &str = "/vnfpm/v2/thresholds";

pub struct Web {
    pub id: String,
    pub guest: VnfcId,
    nics: Vec<String>,
}

pub async fn web(rig: &Rig) -> Web {
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let vnf = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"], "vnfInstanceName": "web"})).await;
    let vnf = vnf.header("location").expect("location").to_owned();
    rig.task(&format!("{vnf}/instantiate"), json!({"flavourId": "default"})).await;
    let id = vnf.rsplit('/').next().expect("id").to_owned();
    let guest: VnfcId = rig.show(&vnf).await["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["computeResource"]["resourceId"]
        .as_str()
        .expect("a guest")
        .parse()
        .expect("an id");
    let nics = rig.sim.domain(guest).expect("a domain").nics.iter().map(|n| n.ifname.to_string()).collect();
    Web { id, guest, nics }
}

/// The guest has used so much CPU, and got so many bytes on each NIC.
pub fn used(rig: &Rig, w: &Web, cpu: Duration, bytes: u64) {
    let c = NicCounters { rx_bytes: bytes, tx_bytes: 2 * bytes, rx_packets: bytes / 100, tx_packets: bytes / 50 };
    let nics = w.nics.iter().map(|n| (n.parse().expect("a name"), c)).collect();
    let s = GuestStats { cpu_ns: cpu.as_nanos() as u64, memory_kib: 1000, memory_used_kib: 250, disk: 1 << 20, disk_used: 1 << 18, nics };
    rig.sim.set_stats(w.guest, s);
}

fn job(w: &Web, s: &Subscriber) -> Value {
    json!({
        "objectType": "Vnf", "objectInstanceIds": [w.id], "callbackUri": s.uri(),
        "criteria": {
            "performanceMetric": ["VcpuUsageMeanVnf", "VmemoryUsageMeanVnf", "VdiskUsagePeakVnf", "ByteIncomingVnfIntCp", "ByteIncomingVnfExtCp"],
            "collectionPeriod": 1, "reportingPeriod": 2
        }
    })
}

pub fn at(path: &str) -> String {
    path.strip_prefix("https://localhost").unwrap_or(path).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_reports_what_was_measured_and_tells_where() {
    let rig = rig(64, "").await;
    let w = web(&rig).await;
    let s = Subscriber::start(None).await;
    used(&rig, &w, Duration::from_secs(100), 1_000_000);
    let begun = Instant::now();
    let made = rig.post(JOBS, job(&w, &s)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    fits(schema::VNFPM, "PmJob", &made.json());
    let one = made.header("location").expect("location").to_owned();
    // Half a CPU from now on, and a thousand bytes a step.
    let busy = async {
        for n in 1..200u64 {
            used(&rig, &w, Duration::from_secs(100) + begun.elapsed() / 2, 1_000_000 + n * 1000);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let news = tokio::select! { news = s.until(2) => news, () = busy => s.until(2).await };
    for n in &news {
        fits(schema::VNFPM_NOTIFICATION, "PerformanceInformationAvailableNotification", n);
        assert_eq!(n["objectInstanceId"], w.id.as_str());
    }
    let report = rig.show(&at(news[0]["_links"]["performanceReport"]["href"].as_str().expect("link"))).await;
    fits(schema::VNFPM, "PerformanceReport", &report);
    let values = |metric: &str| -> Vec<f64> {
        let e = report["entries"].as_array().expect("entries").iter().find(|e| e["performanceMetric"] == metric).expect(metric);
        e["performanceValues"].as_array().expect("values").iter().map(|v| v["value"].as_f64().expect("a number")).collect()
    };
    assert_eq!(values("VcpuUsageMeanVnf").len(), 2, "one for each collection period: {report:#}");
    assert!(values("VcpuUsageMeanVnf").iter().all(|v| (5.0..=100.0).contains(v)), "{report:#}");
    assert_eq!((values("VmemoryUsageMeanVnf"), values("VdiskUsagePeakVnf")), (vec![25.0, 25.0], vec![25.0, 25.0]));
    let bytes = values("ByteIncomingVnfExtCp").iter().sum::<f64>() + values("ByteIncomingVnfIntCp").iter().sum::<f64>();
    assert!(bytes > 0.0 && bytes < 1_000_000.0, "only what came since: {bytes}");

    let shown = rig.show(&one).await;
    fits(schema::VNFPM, "PmJob", &shown);
    assert!(
        shown["reports"]
            .as_array()
            .is_some_and(|r| r.len() >= 2 && r[0]["href"].as_str().is_some_and(|h| h.starts_with("https://localhost")))
    );
    let listed = rig.show(JOBS).await;
    assert!(listed[0].get("reports").is_none() && rig.show(&format!("{JOBS}?all_fields")).await[0].get("reports").is_some());
    assert_eq!(rig.show("/nspm/v2/pm_jobs").await, json!([]), "of a VNF");

    // A guest that is started again counts from nothing, and never less.
    used(&rig, &w, Duration::from_millis(10), 10);
    let before = s.news().len();
    let news = s.until(before + 2).await;
    let last = rig.show(&at(news.last().expect("one")["_links"]["performanceReport"]["href"].as_str().expect("link"))).await;
    for e in last["entries"].as_array().expect("entries") {
        assert!(e["performanceValues"].as_array().expect("values").iter().all(|v| v["value"].as_f64() >= Some(0.0)), "{e:#}");
    }

    // Somebody else is told from now on.
    let other = Subscriber::start(None).await;
    let r = rig.patch(&one, &[], json!({"callbackUri": other.uri()})).await;
    assert_eq!((r.status, r.json()), (200, json!({"callbackUri": other.uri()})));
    other.until(1).await;
    assert_eq!(rig.patch(&one, &["if-match: \"0\""], json!({"callbackUri": other.uri()})).await.status, 412);
    assert_eq!(rig.delete(&one).await.status, 204);
    assert_eq!((rig.get(&one).await.status, rig.show("/bothy/v1/notifications").await["subscribers"].clone()), (404, json!([])));
    assert_eq!(rig.get(&at(news[0]["_links"]["performanceReport"]["href"].as_str().expect("link"))).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_tells_each_crossing_once() {
    let rig = rig(64, "").await;
    let w = web(&rig).await;
    let s = Subscriber::start(None).await;
    used(&rig, &w, Duration::ZERO, 0);
    let ask = json!({
        "objectType": "Vnf", "objectInstanceId": w.id, "callbackUri": s.uri(),
        "criteria": {"performanceMetric": "VmemoryUsageMeanVnf", "thresholdType": "SIMPLE", "simpleThresholdDetails": {"thresholdValue": 20.5, "hysteresis": 2}}
    });
    let made = rig.post(THRESHOLDS, ask).await;
    assert_eq!(made.status, 201, "{}", made.body);
    fits(schema::VNFPM, "Threshold", &made.json());
    let news = s.until(1).await;
    fits(schema::VNFPM_NOTIFICATION, "ThresholdCrossedNotification", &news[0]);
    assert_eq!((&news[0]["crossingDirection"], &news[0]["performanceValue"]), (&json!("UP"), &json!(25.0)));
    let nics = Vec::new();
    rig.sim.set_stats(w.guest, GuestStats { cpu_ns: 0, memory_kib: 1000, memory_used_kib: 100, disk: 1, disk_used: 0, nics });
    let news = s.until(2).await;
    assert_eq!((news.len(), &news[1]["crossingDirection"]), (2, &json!("DOWN")));
    let one = made.header("location").expect("location").to_owned();
    fits(schema::VNFPM, "Threshold", &rig.show(&one).await);
    assert_eq!(rig.show(THRESHOLDS).await.as_array().map(Vec::len), Some(1));
    assert_eq!(rig.patch(&one, &[], json!({"callbackUri": s.uri()})).await.status, 200);
    assert_eq!(rig.delete(&one).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_callback_did_not_take_goes_to_the_one_that_is_named_next() {
    let rig = rig(64, "").await;
    let w = web(&rig).await;
    let (mut s, other) = (Subscriber::start(None).await, Subscriber::start(None).await);
    let uses = |used| {
        let nics = Vec::new();
        rig.sim.set_stats(w.guest, GuestStats { cpu_ns: 0, memory_kib: 1000, memory_used_kib: used, disk: 1, disk_used: 0, nics });
    };
    uses(100);
    let ask = json!({
        "objectType": "Vnf", "objectInstanceId": w.id, "callbackUri": s.uri(),
        "criteria": {"performanceMetric": "VmemoryUsageMeanVnf", "thresholdType": "SIMPLE", "simpleThresholdDetails": {"thresholdValue": 50, "hysteresis": 2}}
    });
    let made = rig.post(THRESHOLDS, ask).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let one = made.header("location").expect("location").to_owned();
    s.die().await;
    uses(900);
    let begun = Instant::now();
    while rig.show("/bothy/v1/notifications").await["subscribers"][0]["attempts"].as_u64() == Some(0) {
        assert!(begun.elapsed() < Duration::from_secs(180), "nobody is told of the crossing");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(rig.patch(&one, &[], json!({"callbackUri": other.uri()})).await.status, 200);
    let news = other.until(1).await;
    assert_eq!((news.len(), &news[0]["crossingDirection"], &news[0]["performanceValue"]), (1, &json!("UP"), &json!(90.0)));
    let now = rig.show("/bothy/v1/notifications").await["subscribers"].clone();
    assert_eq!((now.as_array().map(Vec::len), &now[0]["callbackUri"]), (Some(1), &json!(other.uri())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_measured_is_refused_with_every_reason() {
    let rig = rig(64, "").await;
    let w = web(&rig).await;
    let s = Subscriber::start(None).await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut v = job(&w, &s);
        change(&mut v);
        v
    };
    for (ask, says) in [
        (
            with(&|v| v["criteria"]["performanceMetric"] = json!(["FanSpeed", "Humidity"])),
            vec!["'FanSpeed'", "'Humidity'", "VcpuUsageMeanVnf"],
        ),
        (with(&|v| v["objectType"] = json!("Fridge")), vec!["'Fridge'", "VnfExtCp"]),
        (with(&|v| v["objectInstanceIds"] = json!(["00000000-0000-4000-8000-000000000009"])), vec!["00000000-0000-4000-8000-000000000009"]),
        (with(&|v| v["objectInstanceIds"] = json!([])), vec!["one is needed"]),
        (with(&|v| v["criteria"]["reportingPeriod"] = json!(0)), vec!["reportingPeriod"]),
        (with(&|v| v["criteria"]["collectionPeriod"] = json!(0)), vec!["collectionPeriod"]),
        (with(&|v| v["subObjectInstanceIds"] = json!(["x"])), vec!["subObjectInstanceIds"]),
        (with(&|v| v["callbackUri"] = json!("http://127.0.0.1:9/nobody")), vec!["callbackUri"]),
    ] {
        let r = rig.post(JOBS, ask.clone()).await;
        assert!((400..=422).contains(&r.status), "{ask}: {} {}", r.status, r.body);
        let said = r.body.clone();
        assert!(says.iter().all(|w| said.contains(w)), "{says:?}: {said}");
    }
    assert_eq!(rig.show(JOBS).await, json!([]));
    // What another project has is not there.
    made(&rig, "/bothy/v1/projects", json!({"name": "lab"})).await;
    let theirs = bearer(&user(&rig, "stranger", "operator", "lab").await);
    let ask = job(&w, &s).to_string();
    let r = bare(&rig, &format!("POST {JOBS}"), &[&theirs, "content-type: application/json"], &ask).await;
    assert!((400..=422).contains(&r.status) && r.body.contains("there is no VNF instance"), "{}", r.body);
    let own = rig.post(JOBS, job(&w, &s)).await.header("location").expect("location").to_owned();
    assert_eq!(bare(&rig, &format!("GET {own}"), &[&theirs], "").await.status, 404);
    assert_eq!(bare(&rig, &format!("GET {JOBS}"), &[&theirs], "").await.json(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_measured_at_its_saps() {
    let rig = rig(64, "").await;
    let nsd = rig.onboard_vcpe().await;
    let ns = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "n", "nsDescription": ""})).await;
    let ns = ns.header("location").expect("location").to_owned();
    rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    let s = Subscriber::start(None).await;
    let ask = json!({
        "objectType": "Ns", "objectInstanceIds": [ns.rsplit('/').next()], "callbackUri": s.uri(),
        "criteria": {"performanceMetric": ["ByteIncomingSap", "PacketOutgoingSap"], "collectionPeriod": 1, "reportingPeriod": 1}
    });
    let made = rig.post("/nspm/v2/pm_jobs", ask).await;
    assert_eq!(made.status, 201, "{}", made.body);
    fits(schema::NSPM, "PmJob", &made.json());
    let news = s.until(1).await;
    fits(schema::NSPM_NOTIFICATION, "PerformanceInformationAvailableNotification", &news[0]);
    let report = rig.show(&at(news[0]["_links"]["performanceReport"]["href"].as_str().expect("link"))).await;
    fits(schema::NSPM, "PerformanceReport", &report);
    assert_eq!(report["entries"].as_array().map(Vec::len), Some(2), "{report:#}");
    assert_eq!(rig.show(JOBS).await, json!([]), "of a service");
    let job = made.header("location").expect("location").to_owned();
    let ask = json!({
        "objectType": "Ns", "objectInstanceId": ns.rsplit('/').next(), "callbackUri": s.uri(),
        "criteria": {"performanceMetric": "ByteIncomingSap", "thresholdType": "SIMPLE", "simpleThresholdDetails": {"thresholdValue": 1e9, "hysteresis": 1}}
    });
    let made = rig.post("/nspm/v2/thresholds", ask).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let threshold = made.header("location").expect("location").to_owned();
    // One of either kind is shown, told to somebody else, and ended.
    for (all, one) in [("/nspm/v2/pm_jobs", &job), ("/nspm/v2/thresholds", &threshold)] {
        assert_eq!(rig.show(one).await["id"], rig.show(all).await[0]["id"]);
        let other = Subscriber::start(None).await;
        let tag = |r: &crate::rig::Reply| format!("if-match: {}", r.header("etag").expect("an ETag"));
        let before = tag(&rig.get(one).await);
        let moved = rig.patch(one, &[&before], json!({"callbackUri": other.uri()})).await;
        assert_eq!(moved.status, 200, "{one}: {}", moved.body);
        let now = rig.get(one).await;
        assert_eq!((&now.json()["callbackUri"], tag(&now)), (&json!(other.uri()), tag(&moved)));
        let stale = rig.patch(one, &[&before], json!({"callbackUri": s.uri()})).await;
        assert_eq!(stale.status, 412, "it is another since: {}", stale.body);
        assert_eq!((rig.delete(one).await.status, rig.get(one).await.status), (204, 404), "{one}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_end_at_the_boundary_with_what_there_is() {
    let rig = rig(64, "").await;
    let w = web(&rig).await;
    let (ends, goes_on) = (Subscriber::start(None).await, Subscriber::start(None).await);
    used(&rig, &w, Duration::ZERO, 0);
    let ask = |s: &Subscriber, reporting: u32, boundary: Option<String>| {
        let mut v = job(&w, s);
        v["criteria"]["reportingPeriod"] = json!(reporting);
        v["criteria"]["performanceMetric"] = json!(["VmemoryUsageMeanVnf"]);
        if let Some(b) = boundary {
            v["criteria"]["reportingBoundary"] = json!(b);
        }
        v
    };
    let at_boundary = (jiff::Timestamp::now() + jiff::SignedDuration::from_millis(1500)).to_string();
    let made = rig.post(JOBS, ask(&ends, 600, Some(at_boundary.clone()))).await;
    assert_eq!(made.status, 201, "{}", made.body);
    fits(schema::VNFPM, "PmJob", &made.json());
    let one = made.header("location").expect("location").to_owned();
    let kept = rig.show(&one).await["criteria"]["reportingBoundary"].as_str().expect("kept").parse::<jiff::Timestamp>().expect("a time");
    assert!(kept.as_millisecond() == at_boundary.parse::<jiff::Timestamp>().expect("a time").as_millisecond());
    assert_eq!(rig.post(JOBS, ask(&goes_on, 1, None)).await.status, 201);

    // Long before its reporting period is over, since its boundary is.
    let news = ends.until(1).await;
    let report = rig.show(&at(news[0]["_links"]["performanceReport"]["href"].as_str().expect("link"))).await;
    let values = report["entries"][0]["performanceValues"].as_array().expect("values").len();
    assert!(values >= 1, "{report:#}");
    let before = goes_on.news().len();
    goes_on.until(before + 3).await;
    assert_eq!(ends.news().len(), 1, "nothing after it");
    assert_eq!(rig.show(&one).await["reports"].as_array().map(Vec::len), Some(1));
    // One whose boundary is over when it is made measures nothing, and is there.
    let past = rig.post(JOBS, ask(&ends, 1, Some("2020-01-01T00:00:00Z".into()))).await;
    assert_eq!(past.status, 201, "{}", past.body);
    let before = goes_on.news().len();
    goes_on.until(before + 2).await;
    assert_eq!(ends.news().len(), 1);
}
