//! Fault management over HTTP: lists, acknowledgement, projects, subscribers; each body held against ETSI's files.

use std::time::{Duration, Instant};

use bothy::{
    model::{
        id::VnfcId,
        size::{Bytes, MiB},
    },
    vim::port::{DiskRoom, GuestFault, GuestState, Hypervisor as _},
};
use serde_json::{Value, json};

use crate::{
    identity::{bare, bearer, made, user},
    kit::fits,
    notify::Subscriber,
    rig::{Rig, rig},
    schema,
};

/// Instantiates the sample's web server alone; its path and its guest.
async fn web(rig: &Rig) -> (String, VnfcId) {
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let vnf = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"], "vnfInstanceName": "web"})).await;
    let vnf = vnf.header("location").expect("location").to_owned();
    rig.task(&format!("{vnf}/instantiate"), json!({"flavourId": "default"})).await;
    let guest = guest(rig, &vnf).await;
    (vnf, guest)
}

async fn guest(rig: &Rig, vnf: &str) -> VnfcId {
    let shown = rig.show(vnf).await;
    let id = &shown["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["computeResource"]["resourceId"];
    id.as_str().expect("a guest").parse().expect("an id")
}

/// Waits until the list has alarms of which this holds.
pub async fn until(rig: &Rig, list: &str, is: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let all = rig.show(list).await;
        let all = all.as_array().expect("a list").clone();
        if is(&all) {
            return all;
        }
        assert!(begun.elapsed() < Duration::from_secs(180), "{list}: {all:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn path(list: &str, a: &Value) -> String {
    format!("{list}/{}", a["id"].as_str().expect("id"))
}

const VNFFM: &str = "/vnffm/v1/alarms";
const NSFM: &str = "/nsfm/v1/alarms";

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_told_shown_acknowledged_and_over() {
    let rig = rig(64, "").await;
    let (vnf, guest) = web(&rig).await;
    let s = Subscriber::start(None).await;
    let sub = rig.post("/vnffm/v1/subscriptions", json!({"callbackUri": s.uri()})).await;
    assert_eq!(sub.status, 201, "{}", sub.body);
    fits(schema::VNFFM, "FmSubscription", &sub.json());
    assert_eq!(rig.show(VNFFM).await, json!([]));

    rig.sim.put(guest, GuestState::Crashed).expect("crashed");
    let news = s.until(1).await;
    fits(schema::VNFFM_NOTIFICATION, "AlarmNotification", &news[0]);
    let alarm = rig.show(VNFFM).await[0].clone();
    fits(schema::VNFFM, "Alarm", &alarm);
    assert_eq!(news[0]["alarm"], alarm);
    for (member, is) in [
        ("perceivedSeverity", json!("CRITICAL")),
        ("eventType", json!("PROCESSING_ERROR_ALARM")),
        ("probableCause", json!("GUEST_CRASHED")),
        ("ackState", json!("UNACKNOWLEDGED")),
        ("isRootCause", json!(false)),
    ] {
        assert_eq!(alarm[member], is, "{member}");
    }
    assert_eq!(alarm["rootCauseFaultyResource"]["faultyResource"]["resourceId"], guest.to_string());
    assert!(vnf.ends_with(alarm["managedObjectId"].as_str().expect("id")));
    let link = alarm["_links"]["objectInstance"]["href"].as_str().expect("link");
    assert_eq!(link, format!("https://localhost{vnf}"));

    // The ETag goes with the state; what is so already is a conflict.
    let one = path(VNFFM, &alarm);
    let shown = rig.get(&one).await;
    let tag = shown.header("etag").expect("etag").to_owned();
    assert_eq!(rig.ask(&format!("GET {one}"), &[&format!("if-none-match: {tag}")], "").await.status, 304);
    let ack = json!({"ackState": "ACKNOWLEDGED"});
    assert_eq!(rig.patch(&one, &["if-match: \"99\""], ack.clone()).await.status, 412);
    let r = rig.patch(&one, &[&format!("if-match: {tag}")], ack.clone()).await;
    assert_eq!((r.status, r.json()), (200, ack.clone()));
    fits(schema::VNFFM, "AlarmModifications", &r.json());
    assert_eq!(rig.patch(&one, &[&format!("if-match: {tag}")], ack.clone()).await.status, 412, "its state is another by now");
    let again = rig.patch(&one, &[], ack).await;
    assert!(again.status == 409 && again.problem().contains("already"), "{}", again.body);
    assert!(rig.show(&one).await["alarmAcknowledgedTime"].is_string());
    assert_eq!(rig.patch(&one, &[], json!({"ackState": "SEEN"})).await.status, 422);
    assert_eq!(rig.patch(&one, &[], json!({"ackState": "UNACKNOWLEDGED"})).await.status, 200);
    assert!(rig.show(&one).await.get("alarmAcknowledgedTime").is_none());

    rig.sim.start(guest).expect("started");
    let news = s.until(2).await;
    fits(schema::VNFFM_NOTIFICATION, "AlarmClearedNotification", &news[1]);
    assert_eq!(news[1]["alarmId"], alarm["id"]);
    let over = rig.show(&one).await;
    fits(schema::VNFFM, "Alarm", &over);
    assert_eq!((&over["perceivedSeverity"], &over["alarmClearedTime"]), (&json!("CLEARED"), &news[1]["alarmClearedTime"]));
    assert_eq!(rig.get(&path(NSFM, &alarm)).await.status, 404, "of a VNF, so not of a service");
    assert_eq!(rig.get(&path("/bothy/v1/alarms", &alarm)).await.status, 404);
    for (method, at) in [("POST", VNFFM), ("DELETE", one.as_str()), ("PUT", one.as_str())] {
        let r = rig.ask(&format!("{method} {at}"), &[], "").await;
        assert!(r.status == 405 && r.header("allow").is_some(), "{method} {at}: {}", r.status);
    }
    assert_eq!(rig.get(VNFFM).await.header("version"), Some("1.5.0"));
    let versions = rig.show("/vnffm/api_versions").await;
    assert_eq!(versions["apiVersions"][0]["version"], "1.5.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_members_crash_is_an_alarm_of_the_service_too() {
    let rig = rig(64, "").await;
    let nsd = rig.onboard_vcpe().await;
    let ns = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "n", "nsDescription": ""})).await;
    let ns = ns.header("location").expect("location").to_owned();
    rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    let (all, picky) = (Subscriber::start(None).await, Subscriber::start(None).await);
    let id = ns.rsplit('/').next().expect("id");
    for (s, filter) in [
        (&all, json!({"nsInstanceSubscriptionFilter": {"nsInstanceIds": [id]}})),
        (&picky, json!({"perceivedSeverities": ["MINOR"], "notificationTypes": ["AlarmNotification"]})),
    ] {
        let r = rig.post("/nsfm/v1/subscriptions", json!({"callbackUri": s.uri(), "filter": filter})).await;
        assert_eq!(r.status, 201, "{}", r.body);
        fits(schema::NSFM, "FmSubscription", &r.json());
    }
    let members = rig.show("/vnflcm/v2/vnf_instances?all_fields").await;
    let web = members
        .as_array()
        .expect("list")
        .iter()
        .find(|v| v["vnfProductName"].as_str().is_some_and(|n| n.contains("web")))
        .expect("web")
        .clone();
    let guest = guest(&rig, &format!("/vnflcm/v2/vnf_instances/{}", web["id"].as_str().expect("id"))).await;
    rig.sim.put(guest, GuestState::Off).expect("off");
    let news = all.until(1).await;
    fits(schema::NSFM_NOTIFICATION, "AlarmNotification", &news[0]);
    let alarm = rig.show(NSFM).await[0].clone();
    fits(schema::NSFM, "Alarm", &alarm);
    assert_eq!((&alarm["managedObjectId"], &alarm["probableCause"]), (&json!(id), &json!("GUEST_ENDED")));
    assert_eq!(alarm["rootCauseFaultyComponent"]["faultyVnfInstanceId"], web["id"]);
    let root = rig.show(VNFFM).await[0].clone();
    assert_eq!((&root["isRootCause"], &root["correlatedAlarmIds"]), (&json!(true), &json!([alarm["id"]])));
    assert_eq!((&alarm["isRootCause"], &alarm["correlatedAlarmIds"]), (&json!(false), &json!([root["id"]])));
    assert_eq!(rig.show(&path(NSFM, &alarm)).await, alarm);
    // Each side acknowledges its own.
    assert_eq!(rig.patch(&path(NSFM, &alarm), &[], json!({"ackState": "ACKNOWLEDGED"})).await.status, 200);
    assert_eq!(rig.show(VNFFM).await[0]["ackState"], "UNACKNOWLEDGED");

    rig.sim.start(guest).expect("started");
    let news = all.until(2).await;
    fits(schema::NSFM_NOTIFICATION, "AlarmClearedNotification", &news[1]);
    assert_eq!(picky.news(), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_alarms_filter_select_and_page_like_the_others() {
    let rig = rig(64, "[limits]\npage = 2\n").await;
    let (_, guest) = web(&rig).await;
    // Five alarms one after the other, of two causes.
    for n in 0..5 {
        rig.sim.put(guest, if n % 2 == 0 { GuestState::Crashed } else { GuestState::Off }).expect("put");
        until(&rig, &format!("{VNFFM}?filter=(neq,perceivedSeverity,CLEARED)"), |all| all.len() == 1).await;
        rig.sim.start(guest).expect("started");
        until(&rig, &format!("{VNFFM}?filter=(neq,perceivedSeverity,CLEARED)"), <[Value]>::is_empty).await;
    }
    let (mut at, mut seen) = (VNFFM.to_owned(), Vec::new());
    loop {
        let r = rig.get(&at).await;
        seen.extend(r.json().as_array().expect("list").clone());
        let Some(link) = r.header("link") else { break };
        let to = link.split(['<', '>']).nth(1).expect("a link");
        at = to.strip_prefix("https://localhost").expect("as it was reached").to_owned();
    }
    assert_eq!(seen.len(), 5);
    seen.iter().for_each(|a| fits(schema::VNFFM, "Alarm", a));
    for (query, count) in [
        ("filter=(eq,probableCause,GUEST_ENDED)", 2),
        ("filter=(eq,rootCauseFaultyResource/faultyResourceType,STORAGE)", 0),
        ("filter=(eq,eventType,PROCESSING_ERROR_ALARM);(eq,probableCause,GUEST_ENDED)", 2),
        ("probableCause=GUEST_ENDED", 2),
    ] {
        assert_eq!(rig.show(&format!("{VNFFM}?{query}")).await.as_array().map(Vec::len), Some(count), "{query}");
    }
    let narrow = rig.show(&format!("{VNFFM}?fields=faultDetails")).await[0].clone();
    assert!(narrow.get("faultDetails").is_some() && narrow.get("rootCauseFaultyResource").is_none(), "{narrow}");
    for bad in ["filter=(eq,colour,red)", "colour=red", "fields=colour"] {
        assert_eq!(rig.get(&format!("{VNFFM}?{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alarms_belong_to_their_project_and_the_boxs_own_to_those_who_may_look_at_it() {
    let rig = rig(64, "").await;
    made(&rig, "/bothy/v1/projects", json!({"name": "lab"})).await;
    let theirs = bearer(&user(&rig, "stranger", "operator", "lab").await);
    let ours = bearer(&user(&rig, "own", "operator", "default").await);
    let look = bearer(&user(&rig, "look", "viewer", "default").await);
    let vnfs_own = bearer(&user(&rig, "em", "vnf", "default").await);
    let (_, guest) = web(&rig).await;
    rig.sim.put(guest, GuestState::Crashed).expect("crashed");
    let alarm = until(&rig, VNFFM, |all| all.len() == 1).await[0].clone();
    let one = path(VNFFM, &alarm);
    let get = async |who: &str, at: &str| bare(&rig, &format!("GET {at}"), &[who], "").await;
    let ack = async |who: &str, at: &str| {
        let body = json!({"ackState": "ACKNOWLEDGED"}).to_string();
        bare(&rig, &format!("PATCH {at}"), &[who, "content-type: application/json"], &body).await.status
    };
    assert_eq!(get(&theirs, VNFFM).await.json(), json!([]));
    assert_eq!((get(&theirs, &one).await.status, ack(&theirs, &one).await), (404, 404));
    assert_eq!((get(&look, &one).await.status, ack(&look, &one).await), (200, 403));
    // An element manager that the VNF is not in the charge of.
    assert_eq!((get(&vnfs_own, &one).await.status, ack(&vnfs_own, &one).await), (404, 403));
    assert_eq!((get(&ours, &one).await.status, ack(&ours, &one).await), (200, 200));

    // Without libvirt twice in a row it is an alarm of the box.
    rig.sim.connect(false);
    let host = "/bothy/v1/alarms";
    let all = until(&rig, host, |all| all.len() == 1).await;
    assert_eq!((&all[0]["probableCause"], &all[0]["managedObjectId"]), (&json!("HYPERVISOR_DOWN"), &json!("bothy")));
    crate::admin::described_as("/bothy/v1/alarms/{id}", &all[0]);
    let box_one = path(host, &all[0]);
    assert_eq!(get(&ours, host).await.json().as_array().map(Vec::len), Some(1));
    assert_eq!(get(&theirs, &box_one).await.status, 200);
    assert_eq!((get(&vnfs_own, host).await.status, ack(&ours, &box_one).await), (403, 403));
    assert_eq!(rig.patch(&box_one, &[], json!({"ackState": "ACKNOWLEDGED"})).await.status, 200);
    rig.sim.connect(true);
    until(&rig, host, |all| all[0]["perceivedSeverity"] == "CLEARED").await;
}

/// What stands in a list.
pub fn standing(list: &str) -> String {
    format!("{list}?filter=(neq,perceivedSeverity,CLEARED)")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_hypervisor_says_of_a_guest_is_an_alarm_of_its_kind_until_the_guest_starts_again() {
    let rig = rig(64, "").await;
    let (vnf, guest) = web(&rig).await;
    let s = Subscriber::start(None).await;
    assert_eq!(rig.post("/vnffm/v1/subscriptions", json!({"callbackUri": s.uri()})).await.status, 201);
    for (what, state, cause, event, resource) in [
        (GuestFault::Watchdog, GuestState::Running, "WATCHDOG_FIRED", "PROCESSING_ERROR_ALARM", "COMPUTE"),
        (GuestFault::DiskError, GuestState::PausedIo, "DISK_ERROR", "EQUIPMENT_ALARM", "STORAGE"),
        (GuestFault::DiskFull, GuestState::PausedIo, "DISK_FULL", "PROCESSING_ERROR_ALARM", "STORAGE"),
    ] {
        rig.sim.fail(guest, what);
        if state != GuestState::Running {
            rig.sim.put(guest, state).expect("paused");
        }
        let all = until(&rig, &standing(VNFFM), |all| all.iter().any(|a| a["probableCause"] == cause)).await;
        assert_eq!(all.len(), 1, "one fault, one alarm: {all:#?}");
        fits(schema::VNFFM, "Alarm", &all[0]);
        let faulty = &all[0]["rootCauseFaultyResource"];
        assert_eq!((&all[0]["eventType"], &faulty["faultyResourceType"]), (&json!(event), &json!(resource)), "{cause}");
        assert_eq!(faulty["faultyResource"]["resourceId"], guest.to_string(), "{cause}");
        assert!(vnf.ends_with(all[0]["managedObjectId"].as_str().expect("id")), "{cause}");
        rig.sim.put(guest, GuestState::Off).expect("off");
        rig.sim.start(guest).expect("started");
        until(&rig, &standing(VNFFM), <[Value]>::is_empty).await;
    }
    // That it was off for a moment may have been an alarm as well.
    let mut heard = 6;
    loop {
        let news = s.until(heard).await;
        let raised = news.iter().filter(|n| n["notificationType"] == "AlarmNotification").map(|n| n["alarm"]["probableCause"].clone());
        let raised: Vec<_> = raised.collect();
        if ["WATCHDOG_FIRED", "DISK_ERROR", "DISK_FULL"].iter().all(|cause| raised.contains(&json!(cause))) {
            break;
        }
        heard = news.len() + 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_that_runs_out_of_disk_or_memory_is_an_alarm_of_its_own_until_there_is_enough() {
    let rig = rig(64, "").await;
    let host = "/bothy/v1/alarms";
    let vnfm = rig.core.vnfm();
    let mut rules = vnfm.rules();
    rules.reserve_disk = MiB(100);
    vnfm.set_rules(rules);
    let room = |free: u64| rig.sim.set_room(DiskRoom { total: Bytes(1 << 40), free: Bytes(free << 20), disks: Bytes(0) });
    let facts = vnfm.facts().expect("facts");
    let memory = |part: u64| {
        let mut f = (*facts).clone();
        f.nodes.iter_mut().for_each(|n| n.memory_free = MiB(n.memory.0 / part));
        rig.sim.set_hardware(f);
    };
    room(99);
    let is = |cause: &'static str, severity: &'static str| {
        move |all: &[Value]| all.iter().any(|a| a["probableCause"] == cause && a["perceivedSeverity"] == severity)
    };
    until(&rig, &standing(host), is("DISK_RESERVE_LOW", "MAJOR")).await;
    room(20);
    memory(30);
    let all = until(&rig, &standing(host), is("MEMORY_LOW", "MAJOR")).await;
    assert!(is("DISK_RESERVE_LOW", "CRITICAL")(&until(&rig, &standing(host), is("DISK_RESERVE_LOW", "CRITICAL")).await));
    all.iter().for_each(|a| crate::admin::described_as("/bothy/v1/alarms/{id}", a));
    room(1 << 20);
    memory(1);
    until(&rig, &standing(host), <[Value]>::is_empty).await;
}

/// The newest operation that heals and that nobody asked for, when it is over.
async fn healed(rig: &Rig, list: &str, kind: &str) -> Value {
    let of = |v: &Value| v[kind] == "HEAL" && v["isAutomaticInvocation"] == true && v["operationState"] == "COMPLETED";
    let all = until(rig, list, |all| all.iter().any(of)).await;
    let id = all.iter().find(|v| of(v)).expect("one")["id"].as_str().expect("id").to_owned();
    rig.show(&format!("{list}/{id}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_guest_is_healed_where_its_vnf_says_so() {
    let rig = rig(64, "").await;
    let (vnf, first) = web(&rig).await;
    let ask = |value: Value| json!({"vnfConfigurableProperties": {"isAutohealEnabled": value}});
    let r = rig.patch(&vnf, &[], ask(json!("perhaps"))).await;
    assert!(r.status == 422 && r.problem().contains("isAutohealEnabled: must be true or false"), "{}", r.body);
    assert_eq!(rig.patch(&vnf, &[], ask(json!(true))).await.status, 202);
    assert_eq!(rig.show(&vnf).await["vnfConfigurableProperties"], json!({"isAutohealEnabled": true}));

    rig.sim.put(first, GuestState::Crashed).expect("crashed");
    let op = healed(&rig, "/vnflcm/v2/vnf_lcm_op_occs", "operation").await;
    fits(schema::VNFLCM, "VnfLcmOpOcc", &op);
    assert!(op["warnings"][0].as_str().is_some_and(|w| w.contains("crashed; try 1 of 3")), "{op:#}");
    assert!(vnf.ends_with(op["vnfInstanceId"].as_str().expect("an id")));
    let second = guest(&rig, &vnf).await;
    assert_ne!(first, second);
    until(&rig, VNFFM, |all| all.iter().all(|a| a["perceivedSeverity"] == "CLEARED")).await;

    // Not any more.
    assert_eq!(rig.patch(&vnf, &[], ask(json!(false))).await.status, 202);
    rig.sim.put(second, GuestState::Crashed).expect("crashed");
    until(&rig, VNFFM, |all| all.iter().any(|a| a["perceivedSeverity"] != "CLEARED")).await;
    assert_eq!(guest(&rig, &vnf).await, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_crashed_is_healed_by_an_operation_of_its_service() {
    let rig = rig(64, "").await;
    let nsd = rig.onboard_vcpe().await;
    let made = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "site", "nsDescription": ""})).await;
    let ns = made.header("location").expect("location").to_owned();
    rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    let member = rig.show(&ns).await["vnfInstance"][0]["id"].as_str().expect("id").to_owned();
    let vnf = format!("/vnflcm/v2/vnf_instances/{member}");
    let on = json!({"vnfConfigurableProperties": {"isAutohealEnabled": true}});
    assert_eq!(rig.patch(&vnf, &[], on).await.status, 202);
    rig.sim.put(guest(&rig, &vnf).await, GuestState::Crashed).expect("crashed");
    let op = healed(&rig, "/nslcm/v2/ns_lcm_op_occs", "lcmOperationType").await;
    fits(schema::NSLCM, "NsLcmOpOcc", &op);
    assert_eq!(op["operationParams"], json!({"healVnfData": [{"vnfInstanceId": member}]}), "{op:#}");
    until(&rig, NSFM, |all| all.iter().all(|a| a["perceivedSeverity"] == "CLEARED")).await;
}
