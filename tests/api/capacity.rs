//! Capacity of the box over SOL005's nfvici: figures and filters, thresholds that are crossed by what the box does, refusals;
//! each body held against ETSI's files.

use serde_json::{Value, json};

use crate::{
    identity::{bare, bearer, made, user},
    kit::fits,
    notify::Subscriber,
    pm::web,
    rig::{Rig, rig},
    schema,
};

const INFOS: &str = "/nfvici/v1/nfvi_capacity_infos";
const VIM: &str = "/nfvici/v1/nfvi_capacity_infos/bothy";
const THRESHOLDS: &str = "/nfvici/v1/capacity_thresholds";

/// `zone name` of each measurement that is shown, in order.
fn names(info: &Value) -> Vec<String> {
    let zones = info["capacityInfoPerZone"].as_array().expect("zones");
    let of = |z: &Value| {
        let all = z["capacityMeasurements"].as_array().expect("measurements");
        all.iter().map(|m| format!("{} {}", text(&z["resourceZoneId"]), text(&m["capacityMeasurementName"]))).collect::<Vec<_>>()
    };
    zones.iter().flat_map(of).collect()
}

fn text(v: &Value) -> &str {
    v.as_str().unwrap_or_else(|| panic!("text, not {v:#}"))
}

/// A measurement of the zone `host`: total, allocated, reserved, available, and its unit.
async fn shared(rig: &Rig, name: &str) -> (u64, u64, u64, u64, String) {
    let info = rig.show(VIM).await;
    fits(schema::NFVICI, "NfviCapacityInfo", &info);
    let all = info["capacityInfoPerZone"][0]["capacityMeasurements"].as_array().expect("measurements");
    let m = all.iter().find(|m| m["capacityMeasurementName"] == name).unwrap_or_else(|| panic!("{name}: {info:#}"));
    let of = |what: &str| m[what]["value"].as_u64().unwrap_or_else(|| panic!("{what}: {m:#}"));
    let unit = text(&m["totalCapacity"]["unit"]).to_owned();
    (of("totalCapacity"), of("allocatedCapacity"), of("reservedCapacity"), of("availableCapacity"), unit)
}

fn ask(s: &Subscriber, kind: &str, name: &str, side: &str, at: f64, hysteresis: f64) -> Value {
    json!({
        "objectInstanceId": "bothy", "callbackUri": s.uri(),
        "criteria": {
            "capacityMetric": {"resourceType": kind, "capacityMeasurementName": name, "capacityType": side},
            "thresholdType": "SIMPLE", "simpleThresholdDetails": [{"thresholdValue": at, "hysteresis": hysteresis}]
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_are_those_that_requests_are_judged_by() {
    let rig = rig(64, "").await;
    let (total, allocated, reserved, available, unit) = shared(&rig, "Vcpu").await;
    assert_eq!((allocated, reserved, available, unit.as_str()), (0, 0, total, "vCPU"));
    let host = rig.show("/bothy/v1/host").await;
    assert_eq!(host["cpu"]["limit"], total);
    web(&rig).await;
    let now = shared(&rig, "Vcpu").await;
    assert_eq!((now.0, now.1, now.3), (total, 1, total - 1), "the web server's");
    for (name, member) in [("Vmemory", "memory"), ("Vdisk", "disk")] {
        let (total, allocated, _, available, unit) = shared(&rig, name).await;
        let host = rig.show("/bothy/v1/host").await[member].clone();
        assert_eq!((json!(total), json!(allocated), unit.as_str()), (host["limit"].clone(), host["promised"].clone(), "MiB"), "{name}");
        assert!(allocated > 0 && available == total - allocated, "{name}");
    }
    // What a grant keeps for a foreign VNFM is reserved, and nobody has it yet.
    let vnfd = rig.show("/vnfpkgm/v2/vnf_packages").await[0]["vnfdId"].clone();
    let grant = json!({"vnfInstanceId": "v", "vnfLcmOpOccId": "o", "vnfdId": vnfd, "flavourId": "default", "operation": "INSTANTIATE",
        "isAutomaticInvocation": false, "addResources": [{"id": "c", "type": "COMPUTE", "vduId": "web", "resourceTemplateId": "web"}],
        "_links": {"vnfLcmOpOcc": {"href": "https://vnfm/op"}, "vnfInstance": {"href": "https://vnfm/vnf"}}});
    assert_eq!(rig.post("/grant/v1/grants", grant).await.status, 201);
    let now = shared(&rig, "Vcpu").await;
    assert_eq!((now.0, now.1, now.2, now.3), (total, 1, 1, total - 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_narrows_what_is_shown_and_lists_leave_the_time_out() {
    let rig = rig(64, "").await;
    let all = rig.show(INFOS).await;
    assert_eq!((all.as_array().map(Vec::len), &all[0]["id"], &all[0]["vimId"]), (Some(1), &json!("bothy"), &json!("bothy")));
    assert!(all[0]["timeInterval"].is_null() && all[0]["totalCapacityInfo"].is_null(), "{all:#}");
    assert!(rig.show(&format!("{INFOS}?all_fields")).await[0]["timeInterval"]["aTime"].is_string());
    let whole = names(&all[0]);
    assert!(whole.starts_with(&["host Vcpu", "host Vmemory", "host Vdisk"].map(String::from)), "{whole:?}");
    assert!(whole.contains(&"numa0 Cpu".to_owned()), "{whole:?}");
    for (filter, want) in [
        ("(eq,resourceType,VR_STORAGE)", vec!["host Vdisk"]),
        ("(eq,capacityInfoPerZone/capacityMeasurements/resourceType,VR_STORAGE)", vec!["host Vdisk"]),
        ("(eq,resourceZoneId,host);(in,capacityMeasurementName,Vcpu,Cpu)", vec!["host Vcpu"]),
        ("(eq,vimId,bothy);(eq,capacityMeasurementName,Vdisk);(gt,availableCapacity/value,0)", vec!["host Vdisk"]),
        ("(gt,allocatedCapacity/value,0)", vec![]),
        ("(eq,vimId,elsewhere)", vec![]),
        ("(lt,timeInterval/aTime,2020-01-01T00:00:00Z)", vec![]),
    ] {
        let list = rig.show(&format!("{INFOS}?filter={filter}")).await;
        let shown = list.as_array().expect("a list").first().map(names).unwrap_or_default();
        assert_eq!(shown, want, "{filter}");
        assert_eq!(names(&rig.show(&format!("{VIM}?filter={filter}")).await), want, "{filter}");
    }
    for bad in [format!("{INFOS}?filter=(eq,colour,red)"), format!("{VIM}?fields=vimId"), format!("{INFOS}?nextpage_opaque_marker=x")] {
        assert_eq!(rig.get(&bad).await.status, 400, "{bad}");
    }
    assert_eq!(rig.get(&format!("{INFOS}/elsewhere")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shortage_and_its_end_are_told_to_the_callback_each_once() {
    let rig = rig(64, "").await;
    let total = shared(&rig, "Vcpu").await.0 as f64;
    let s = Subscriber::start(None).await;
    let request = ask(&s, "VR_COMPUTE", "Vcpu", "AVAILABLE", total - 0.5, 0.5);
    fits(schema::NFVICI, "CreateCapacityThresholdRequest", &request);
    let made = rig.post(THRESHOLDS, request).await;
    assert_eq!(made.status, 201, "{}", made.body);
    fits(schema::NFVICI, "CapacityThreshold", &made.json());
    let one = made.header("location").expect("location").to_owned();
    assert_eq!(rig.show(&one).await, made.json());
    // All is there: that is said first.
    let news = s.until(1).await;
    assert_eq!((&news[0]["direction"], &news[0]["thresholdId"]), (&json!("UP"), &made.json()["id"]));
    let vnf = web(&rig).await;
    let news = s.until(2).await;
    fits(schema::NFVICI_NOTIFICATION, "CapacityShortageNotification", &news[1]);
    let told = &news[1];
    assert_eq!(
        (&told["direction"], &told["objectInstanceId"], &told["subObjectInstanceId"]),
        (&json!("DOWN"), &json!("bothy"), &json!("host"))
    );
    assert_eq!(told["capacityInformation"]["availableCapacity"], json!({"value": total as u64 - 1, "unit": "vCPU"}), "{told:#}");
    rig.task(&format!("/vnflcm/v2/vnf_instances/{}/terminate", vnf.id), json!({"terminationType": "FORCEFUL"})).await;
    let news = s.until(3).await;
    assert_eq!((news.len(), &news[2]["direction"]), (3, &json!("UP")));
    // Another callback, and the end of it.
    let other = Subscriber::start(None).await;
    let before = rig.get(&one).await;
    let changed = rig.patch(&one, &[], json!({"callbackUri": other.uri()})).await;
    assert_eq!((changed.status, changed.json()), (200, json!({"callbackUri": other.uri()})), "{}", changed.body);
    assert_eq!(rig.show(THRESHOLDS).await[0]["callbackUri"], other.uri());
    let (was, is) = (before.header("etag"), changed.header("etag"));
    assert!(was.is_some() && was != is && rig.get(&one).await.header("etag") == is, "{was:?} {is:?}");
    assert_eq!(rig.patch(&one, &["if-match: \"0\""], json!({"callbackUri": s.uri()})).await.status, 412);
    assert_eq!(rig.delete(&one).await.status, 204);
    assert_eq!((rig.get(&one).await.status, rig.show(THRESHOLDS).await), (404, json!([])));
    assert_eq!(rig.show("/bothy/v1/notifications").await["subscribers"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_measures_is_refused_by_name_and_only_who_may_look_may_be_told() {
    let rig = rig(64, "").await;
    let s = Subscriber::start(None).await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut v = ask(&s, "VR_COMPUTE", "Vcpu", "AVAILABLE", 4.0, 1.0);
        change(&mut v);
        v
    };
    for (ask, says) in [
        (ask(&s, "VR_COMPUTE", "Vdisk", "TOTAL", 1.0, 0.0), vec!["'Vdisk' of VR_COMPUTE", "Vcpu, Vmemory"]),
        (ask(&s, "VR_NETWORK", "Bandwidth", "TOTAL", 1.0, 0.0), vec!["'Bandwidth'"]),
        (ask(&s, "HOST_COMPUTE", "Cpu", "RESERVED", 1.0, 0.0), vec!["nothing reserves Cpu"]),
        (ask(&s, "VR_COMPUTE", "Vcpu", "TOTAL", 1.0, -1.0), vec!["hysteresis"]),
        (with(&|v| v["criteria"]["simpleThresholdDetails"] = json!([])), vec!["simpleThresholdDetails"]),
        // Each look would go through them all.
        (
            with(&|v| v["criteria"]["simpleThresholdDetails"] = json!(vec![json!({"thresholdValue": 1, "hysteresis": 0}); 11])),
            vec!["10 at most"],
        ),
        (with(&|v| v["subObjectInstanceIds"] = json!(vec!["host"; 65])), vec!["64 at most"]),
        (with(&|v| v["objectInstanceId"] = json!("elsewhere")), vec!["no VIM 'elsewhere'"]),
        (with(&|v| v["subObjectInstanceIds"] = json!(["numa0", "host"])), vec!["zone 'numa0'"]),
        (with(&|v| drop(v.as_object_mut().expect("an object").remove("callbackUri"))), vec!["callbackUri"]),
        (with(&|v| v["callbackUri"] = json!("http://127.0.0.1:9/nobody")), vec!["callbackUri"]),
    ] {
        let r = rig.post(THRESHOLDS, ask.clone()).await;
        assert_eq!(r.status, 422, "{ask:#}: {}", r.body);
        let told = r.problem() + &r.body;
        assert!(says.iter().all(|w| told.contains(w)), "{says:?}: {told}");
    }
    assert_eq!(rig.show(THRESHOLDS).await, json!([]));

    // A central NFVO may measure its VNFs, and not look at the box.
    made(&rig, "/bothy/v1/projects", json!({"name": "north"})).await;
    let orch = bearer(&user(&rig, "orch", "nfvo", "north").await);
    let r = bare(&rig, &format!("POST {THRESHOLDS}"), &[&orch, "content-type: application/json"], &with(&|_| {}).to_string()).await;
    assert_eq!(r.status, 403, "{}", r.body);
    assert!(r.body.contains("host:read"), "{}", r.body);
    assert_eq!(bare(&rig, &format!("GET {INFOS}"), &[&orch], "").await.status, 403);
    // What another project set is not there.
    let mine = rig.post(THRESHOLDS, with(&|_| {})).await;
    assert_eq!(mine.status, 201, "{}", mine.body);
    let at = mine.header("location").expect("location").to_owned();
    let op = bearer(&user(&rig, "op", "operator", "north").await);
    assert_eq!(bare(&rig, &format!("GET {at}"), &[&op], "").await.status, 404);
    assert_eq!(bare(&rig, &format!("GET {THRESHOLDS}"), &[&op], "").await.json(), json!([]));
    assert_eq!(bare(&rig, &format!("GET {INFOS}"), &[&op], "").await.status, 200);
    assert_eq!(bare(&rig, &format!("DELETE {at}"), &[&op], "").await.status, 404);
}
