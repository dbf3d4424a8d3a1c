//! What operations tell of themselves: what they changed, in op-occs and notifications, also when it is gone; what a member's own
//! operation means for its service; and that no request is read back with a secret.

use bothy::{model::size::MiB, sim::SimConfig, vim::port::HostCapacity};
use serde_json::{Value, json};

use crate::{
    admin,
    kit::{copy_dir, fits},
    notify::Subscriber,
    rig::{Rig, rig, rig_on},
    schema,
};

/// The shipped service with an access point on its WAN.
async fn service(rig: &Rig) -> (Value, String) {
    const LINK: &str = "    mgmt:\n      type: tosca.nodes.nfv.NsVirtualLink\n";
    const SAP: &str = "    uplink:\n      type: tosca.nodes.nfv.Sap\n      properties: { layer_protocols: [ ethernet ] }\n      requirements:\n        - internal_virtual_link: wan\n\n";
    for vnf in ["client", "firewall", "web"] {
        rig.onboard_vnf(&format!("descriptors/vcpe/vcpe-{vnf}")).await;
    }
    let dir = tempfile::tempdir().expect("dir");
    copy_dir(std::path::Path::new("descriptors/vcpe/vcpe-ns"), dir.path());
    let at = dir.path().join("Definitions/vcpe-ns.yaml");
    let text = std::fs::read_to_string(&at).expect("the descriptor");
    assert!(text.contains(LINK));
    std::fs::write(&at, text.replace(LINK, &format!("{SAP}{LINK}"))).expect("written");
    let nsd = rig.onboard_nsd(&dir.path().to_string_lossy()).await;
    assert_eq!(nsd["nsdOnboardingState"], "ONBOARDED", "{nsd:#}");
    let made = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "site", "nsDescription": ""})).await;
    (nsd, made.header("location").expect("location").to_owned())
}

async fn subscribe(rig: &Rig, api: &str, s: &Subscriber, filter: Value) -> Value {
    let r = rig.post(&format!("/{api}/v2/subscriptions"), json!({"callbackUri": s.uri(), "filter": filter})).await;
    assert_eq!(r.status, 201, "{}", r.body);
    r.json()
}

/// A member of each entry of a list, in order.
fn each(all: &Value, member: &str) -> Vec<String> {
    let mut all: Vec<String> = all.as_array().into_iter().flatten().map(|a| a[member].as_str().unwrap_or_default().to_owned()).collect();
    all.sort_unstable();
    all
}

/// Of every part of the shipped service: it went this way, to this end.
fn all_of(c: &Value, vnf: &str, link: &str, part: &str, graph: &str, end: &str) {
    let (vnfs, links) = (&c["affectedVnfs"], &c["affectedVls"]);
    assert_eq!(each(vnfs, "vnfName"), ["site-client", "site-firewall", "site-web"], "{c:#}");
    assert_eq!(each(vnfs, "vnfProfileId"), ["client", "firewall", "web"]);
    assert_eq!(each(links, "nsVirtualLinkDescId"), ["lan", "mgmt", "wan"], "{c:#}");
    assert_eq!((each(vnfs, "changeType"), each(links, "changeType")), (vec![vnf.to_owned(); 3], vec![link.to_owned(); 3]), "{c:#}");
    assert_eq!((each(vnfs, "changeResult"), each(links, "changeResult")), (vec![end.to_owned(); 3], vec![end.to_owned(); 3]), "{c:#}");
    let sap = json!([{"sapInstanceId": "uplink", "sapdId": "uplink", "sapName": "uplink", "changeType": part, "changeResult": end}]);
    assert_eq!(c["affectedSaps"], sap, "{c:#}");
    let graphs = json!([{"vnffgInstanceId": "site", "vnffgdId": "site", "changeType": graph, "changeResult": end}]);
    assert_eq!(c["affectedVnffgs"], graphs, "{c:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_and_went_with_a_service_is_told_when_it_is_gone() {
    let rig = rig(64, "").await;
    let (_, ns) = service(&rig).await;
    let s = Subscriber::start(None).await;
    subscribe(&rig, "nslcm", &s, json!({"notificationTypes": ["NsLcmOperationOccurrenceNotification"]})).await;
    let up = rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    all_of(&up["resourceChanges"], "INSTANTIATE", "ADD", "ADD", "ADD", "COMPLETED");
    let down = rig.task(&format!("{ns}/terminate"), json!({})).await;
    fits(schema::NSLCM, "NsLcmOpOcc", &down);
    all_of(&down["resourceChanges"], "TERMINATE", "DELETE", "REMOVE", "DELETE", "COMPLETED");
    let again = rig.show(&format!("/nslcm/v2/ns_lcm_op_occs/{}", up["id"].as_str().expect("id"))).await;
    assert_eq!(again["resourceChanges"], up["resourceChanges"], "what it made is not forgotten with it");
    let news = s.until(4).await;
    for (told, op) in [(&news[1], &up), (&news[3], &down)] {
        let c = &op["resourceChanges"];
        for (in_news, in_op) in [("affectedVnf", "affectedVnfs"), ("affectedVl", "affectedVls"), ("affectedSap", "affectedSaps")] {
            assert_eq!(told[in_news], c[in_op], "{told:#}");
        }
    }

    // Rolled back, each part is.
    use bothy::{
        model::error::Kind,
        sim::faults::{Method, Rule, Then},
    };
    rig.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)));
    let stuck = rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    assert_eq!(stuck["operationState"], "FAILED_TEMP", "{stuck:#}");
    let ends = &stuck["resourceChanges"];
    assert!(each(&ends["affectedVnfs"], "changeResult").contains(&"FAILED".to_owned()), "{stuck:#}");
    assert_eq!(each(&ends["affectedVls"], "changeResult"), ["COMPLETED"; 3], "the links were there by then: {stuck:#}");
    let op = format!("/nslcm/v2/ns_lcm_op_occs/{}", stuck["id"].as_str().expect("id"));
    assert_eq!(rig.ask(&format!("POST {op}/rollback"), &[], "").await.status, 202);
    let back = rig.settled(&op, "operationState", &["ROLLING_BACK"]).await;
    assert_eq!(back["operationState"], "ROLLED_BACK", "{back:#}");
    all_of(&back["resourceChanges"], "INSTANTIATE", "ADD", "ADD", "ADD", "ROLLED_BACK");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_inside_a_vnf_are_told_as_they_come_and_go() {
    let rig = rig(64, "").await;
    // Its image is stood in for by one of another size and format.
    let dir = tempfile::tempdir().expect("dir");
    copy_dir(std::path::Path::new("tests/fixtures/packages/station"), dir.path());
    let at = dir.path().join("Definitions/station.yaml");
    let text = std::fs::read_to_string(&at).expect("the descriptor");
    std::fs::write(&at, text.replace("storage: 8 MiB", "storage: 16 MiB").replace("format: raw", "format: qcow2")).expect("written");
    let package = rig.onboard_vnf(&dir.path().to_string_lossy()).await;
    let s = Subscriber::start(None).await;
    subscribe(&rig, "vnflcm", &s, json!({"operationStates": ["COMPLETED"]})).await;
    let made = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"], "vnfInstanceName": "station"})).await;
    let vnf = made.header("location").expect("location").to_owned();
    let up = rig.task(&format!("{vnf}/instantiate"), json!({"flavourId": "default"})).await;
    assert_eq!(up["operationState"], "COMPLETED", "{up:#}");
    let inner = |op: &Value| -> Vec<Value> {
        let all = op["resourceChanges"]["affectedVirtualLinks"].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|l| l["vnfVirtualLinkDescId"] == "inner").collect()
    };
    let came = inner(&up);
    assert_eq!(each(&json!(came), "changeType"), ["ADDED", "LINK_PORT_ADDED"], "{up:#}");
    let port = |all: &[Value], how: &str| all.iter().find(|l| l["changeType"] == *how).expect("a port")["vnfLinkPortIds"].clone();
    let shown = rig.show(&vnf).await;
    let link = shown["instantiatedVnfInfo"]["vnfVirtualLinkResourceInfo"].as_array().expect("links").iter();
    let link = link.clone().find(|l| l["vnfVirtualLinkDescId"] == "inner").expect("the link").clone();
    assert_eq!((&came[0]["id"], port(&came, "LINK_PORT_ADDED")), (&link["id"], json!([link["vnfLinkPorts"][0]["id"]])), "{came:#?}");
    let healed = rig.task(&format!("{vnf}/heal"), json!({})).await;
    let anew = inner(&healed);
    assert_eq!(each(&json!(anew), "changeType"), ["LINK_PORT_ADDED", "LINK_PORT_REMOVED"], "the link stays: {healed:#}");
    assert_eq!(port(&anew, "LINK_PORT_REMOVED"), port(&came, "LINK_PORT_ADDED"), "{anew:#?}");
    let down = rig.task(&format!("{vnf}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
    let went = inner(&down);
    assert_eq!(each(&json!(went), "changeType"), ["LINK_PORT_REMOVED", "REMOVED"], "{down:#}");
    assert_eq!((&went[0]["id"], port(&went, "LINK_PORT_REMOVED")), (&link["id"], port(&anew, "LINK_PORT_ADDED")));
    // The first is of the instance's creation.
    let news = s.until(4).await;
    for (told, op) in [(&news[1], &up), (&news[2], &healed), (&news[3], &down)] {
        assert_eq!(told["affectedVirtualLinks"], op["resourceChanges"]["affectedVirtualLinks"], "{told:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_members_own_operation_is_told_as_a_change_of_its_service() {
    let rig = rig(64, "").await;
    let (_, ns) = service(&rig).await;
    let (all, ends, others) = (Subscriber::start(None).await, Subscriber::start(None).await, Subscriber::start(None).await);
    let of_parts = json!({"notificationTypes": ["NsChangeNotification"]});
    subscribe(&rig, "nslcm", &all, of_parts.clone()).await;
    let mut filter = of_parts.clone();
    filter["nsComponentTypes"] = json!(["VNF"]);
    filter["lcmOpNameImpactingNsComponent"] = json!(["VNF_OPERATE"]);
    filter["lcmOpOccStatusImpactingNsComponent"] = json!(["COMPLETED"]);
    let made = subscribe(&rig, "nslcm", &ends, filter).await;
    fits(schema::NSLCM, "LccnSubscription", &made);
    for (member, other) in [("nsComponentTypes", "PNF"), ("lcmOpNameImpactingNsComponent", "VNF_SCALE")] {
        let mut filter = of_parts.clone();
        filter[member] = json!([other]);
        subscribe(&rig, "nslcm", &others, filter).await;
    }
    rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    let shown = rig.show(&ns).await;
    let web = shown["vnfInstance"].as_array().expect("members").iter().find(|v| v["vnfInstanceName"] == "site-web").expect("web").clone();
    let vnf = format!("/vnflcm/v2/vnf_instances/{}", web["id"].as_str().expect("id"));
    let op = rig.task(&format!("{vnf}/operate"), json!({"changeStateTo": "STOPPED"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    let renamed = rig.patch(&vnf, &[], json!({"metadata": {"k": 1}})).await;
    assert_eq!(renamed.status, 202, "{}", renamed.body);
    let news = all.until(4).await;
    let told =
        |n: &Value| format!("{} {}", n["lcmOpNameImpactingNsComponent"].as_str().unwrap_or("?"), n["lcmOpOccStatusImpactingNsComponent"]);
    assert_eq!(
        news.iter().map(told).collect::<Vec<_>>(),
        ["VNF_OPERATE \"START\"", "VNF_OPERATE \"COMPLETED\"", "VNF_MODIFY_INFO \"START\"", "VNF_MODIFY_INFO \"COMPLETED\""],
        "nothing of the instantiation, which is the service's own: {news:#?}"
    );
    assert_eq!(
        (&news[0]["nsComponentType"], &news[0]["nsComponentId"], &news[0]["nsInstanceId"], &news[0]["lcmOpOccIdImpactingNsComponent"]),
        (&json!("VNF"), &web["id"], &shown["id"], &op["id"])
    );
    let chosen = ends.until(1).await;
    assert_eq!(chosen.iter().map(|n| n["id"].clone()).collect::<Vec<_>>(), [news[1]["id"].clone()]);
    assert_eq!(others.news(), [Value::Null; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hears_of_an_end_without_its_begin() {
    // No guest has room on it.
    let small = SimConfig { capacity: HostCapacity { cpus: 1, memory: MiB(1) }, ..SimConfig::default() };
    let rig = rig_on(64, "", small).await;
    let (_, ns) = service(&rig).await;
    let packages = rig.show("/vnfpkgm/v2/vnf_packages").await;
    let made = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": packages[0]["vnfdId"], "vnfInstanceName": "alone"})).await;
    let vnf = made.header("location").expect("location").to_owned();
    let (vnfs, services) = (Subscriber::start(None).await, Subscriber::start(None).await);
    subscribe(&rig, "vnflcm", &vnfs, json!({"notificationTypes": ["VnfLcmOperationOccurrenceNotification"]})).await;
    subscribe(&rig, "nslcm", &services, json!({"notificationTypes": ["NsLcmOperationOccurrenceNotification"]})).await;
    let up = rig.task(&format!("{vnf}/instantiate"), json!({"flavourId": "default"})).await;
    assert_eq!(up["operationState"], "ROLLED_BACK", "{up:#}");
    assert_eq!(rig.patch(&vnf, &[], json!({"metadata": {"k": 1}})).await.status, 202);
    let told = |n: &Value| format!("{} {} {}", n["operation"], n["notificationStatus"], n["operationState"]).replace('"', "");
    let heard: Vec<String> = vnfs.until(4).await.iter().map(told).collect();
    // A modification needs no grant.
    let all =
        ["INSTANTIATE START STARTING", "INSTANTIATE RESULT ROLLED_BACK", "MODIFY_INFO START PROCESSING", "MODIFY_INFO RESULT COMPLETED"];
    assert_eq!(heard, all);
    let up = rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    let state = up["operationState"].as_str().expect("a state").to_owned();
    let told = |n: &Value| format!("{} {} {}", n["operation"], n["notificationStatus"], n["operationState"]).replace('"', "");
    let heard: Vec<String> = services.until(2).await.iter().map(told).collect();
    assert_eq!(heard, ["INSTANTIATE START PROCESSING".to_owned(), format!("INSTANTIATE RESULT {state}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nsd_is_heard_of_by_the_packages_it_uses() {
    let rig = rig(64, "").await;
    let (nsd, _) = service(&rig).await;
    let (its, others) = (Subscriber::start(None).await, Subscriber::start(None).await);
    let packages = nsd["vnfPkgIds"].as_array().expect("packages").clone();
    subscribe(&rig, "nsd", &its, json!({"vnfPkgIds": [packages[0]]})).await;
    subscribe(&rig, "nsd", &others, json!({"vnfPkgIds": [nsd["id"]]})).await;
    let nested = json!({"callbackUri": its.uri(), "filter": {"nestedNsdInfoIds": [nsd["id"]]}});
    let r = rig.post("/nsd/v2/subscriptions", nested).await;
    assert!(r.status == 422 && r.problem().contains("nestedNsdInfoIds is not offered"), "{}", r.body);
    let at = format!("/nsd/v2/ns_descriptors/{}", nsd["id"].as_str().expect("id"));
    assert_eq!(rig.patch(&at, &[], json!({"nsdOperationalState": "DISABLED"})).await.status, 200);
    assert_eq!(its.until(1).await[0]["notificationType"], "NsdChangeNotification");
    assert_eq!(others.news(), [Value::Null; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_of_a_service_follows_all_that_is_shown_of_it() {
    let rig = rig(64, "").await;
    let (_, ns) = service(&rig).await;
    let tag = async || rig.get(&ns).await.header("etag").expect("an ETag").to_owned();
    let new = tag().await;
    rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    let up = tag().await;
    assert_ne!(up, new);
    assert_eq!(rig.ask(&format!("GET {ns}"), &[&format!("if-none-match: {up}")], "").await.status, 304);
    // A VNF of its own comes to one of the service's links: neither the service's record nor a member's is another for it.
    let shown = rig.show(&ns).await;
    let wan =
        shown["virtualLinkInfo"].as_array().expect("links").iter().find(|l| l["nsVirtualLinkDescId"] == "wan").expect("wan")["id"].clone();
    let web =
        &shown["vnfInstance"].as_array().expect("members").iter().find(|v| v["vnfInstanceName"] == "site-web").expect("web")["vnfdId"];
    let made = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": web, "vnfInstanceName": "guest"})).await;
    let vnf = made.header("location").expect("location").to_owned();
    let link = json!({"id": "l", "resourceId": wan, "extCps": [{"cpdId": "wan", "cpConfig": {}}]});
    let op = rig.task(&format!("{vnf}/instantiate"), json!({"flavourId": "default", "extVirtualLinks": [link]})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    assert_ne!(tag().await, up, "one more port is shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_shows_a_secret_and_what_nobody_acts_on_is_named() {
    let rig = rig(64, "").await;
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let made = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"], "vnfInstanceName": "web"})).await;
    let vnf = made.header("location").expect("location").to_owned();
    let vim = json!({"vim": {"vimType": "T", "accessInfo": {"username": "u", "password": "hush"}}});
    let patched = rig.patch(&vnf, &[], json!({"vnfInstanceName": "web", "vimConnectionInfo": vim})).await;
    assert_eq!(patched.status, 202, "{}", patched.body);
    let op = rig.get(patched.header("location").expect("location")).await;
    assert_eq!(op.json()["operationParams"]["vimConnectionInfo"], json!({"vim": {"vimType": "T"}}), "{}", op.body);
    rig.task(&format!("{vnf}/instantiate"), json!({"flavourId": "default"})).await;
    let hush = json!({"users": [{"password": "hush"}]});
    for (task, body) in [
        ("scale", json!({"type": "SCALE_OUT", "aspectId": "servers", "additionalParams": hush})),
        ("scale_to_level", json!({"instantiationLevelId": "default", "additionalParams": hush})),
        ("operate", json!({"changeStateTo": "STOPPED", "additionalParams": hush})),
        ("terminate", json!({"terminationType": "FORCEFUL", "additionalParams": hush})),
    ] {
        let r = rig.post(&format!("{vnf}/{task}"), body).await;
        assert_eq!(r.status, 422, "{task}: {}", r.body);
        assert!(r.problem().contains("'additionalParams.users[0].password' looks like a secret") && !r.body.contains("hush"), "{}", r.body);
    }
    let ask = json!({"flavourId": "default", "localizationLanguage": "de", "vimConnectionInfo": vim, "other": 1});
    let r = rig.post("/bothy/v1/plan", json!({"vnf": {"vnfdId": package["vnfdId"], "request": ask}})).await;
    let plan = admin::fits("/bothy/v1/plan", "post", &r);
    for says in ["localizationLanguage: not acted on here", "vimConnectionInfo: not acted on here", "vnf.request.other: not known here"] {
        assert!(plan["warnings"].to_string().contains(says), "{says}: {plan:#}");
    }
}
