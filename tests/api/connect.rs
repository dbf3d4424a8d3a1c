//! CHANGE_EXT_CONN over HTTP (SOL003 5.4.11): a VNF on the links of a service comes to another of them, off all, and back by
//! rollback; what instance, operation and subscribers are shown, and what is refused.

use bothy::{
    model::{error::Kind, id::SegmentId},
    sim::faults::{Method, Rule, Then},
};
use serde_json::{Value, json};

use crate::{
    kit::fits,
    notify::Subscriber,
    rig::{Rig, rig},
    schema,
};

pub struct Standing {
    pub rig: Rig,
    pub vnf: String,
    pub member: String,
    wan: String,
    pub lan: String,
}

fn ext_links(link: &str, cp: Value) -> Value {
    json!({"extVirtualLinks": [{"id": "x", "resourceId": link, "extCps": [cp]}]})
}

/// A web server of its own on the `wan` of a service that runs.
pub async fn standing() -> Standing {
    let rig = rig(64, "").await;
    let nsd = rig.onboard_vcpe().await;
    let ns = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "vcpe", "nsDescription": ""})).await;
    let ns = ns.header("location").expect("location").to_owned();
    let op = rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    let networks = rig.show("/bothy/v1/networks").await;
    let id = |name: &str| {
        let all = networks.as_array().expect("networks");
        all.iter().find(|n| n["link"] == name).expect("a link")["id"].as_str().expect("id").to_owned()
    };
    let (wan, lan) = (id("wan"), id("lan"));
    let member = rig.show(&ns).await["vnfInstance"][0]["id"].as_str().expect("id").to_owned();
    let packages = rig.show("/vnfpkgm/v2/vnf_packages").await;
    let web = packages.as_array().expect("packages").iter().find(|p| p["vnfProductName"].as_str().is_some_and(|n| n.contains("web")));
    let vnfd = web.expect("the web server")["vnfdId"].clone();
    let made = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": vnfd, "vnfInstanceName": "alone"})).await;
    let vnf = made.header("location").expect("location").to_owned();
    let mut ask = ext_links(&wan, json!({"cpdId": "wan", "cpConfig": {}}));
    ask["flavourId"] = json!("default");
    let op = rig.task(&format!("{vnf}/instantiate"), ask).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    Standing { rig, vnf, member: format!("/vnflcm/v2/vnf_instances/{member}"), wan, lan }
}

impl Standing {
    async fn shown(&self) -> Value {
        let v = self.rig.show(&self.vnf).await;
        fits(schema::VNFLCM, "VnfInstance", &v);
        v
    }
    pub async fn cp(&self) -> Value {
        let v = self.shown().await;
        let all = v["instantiatedVnfInfo"]["extCpInfo"].as_array().expect("CPs").clone();
        all.into_iter().find(|c| c["cpdId"] == "wan").expect("the CP")
    }
    async fn links(&self) -> Vec<String> {
        let v = self.shown().await;
        let all = v["instantiatedVnfInfo"]["extVirtualLinkInfo"].as_array().cloned().unwrap_or_default();
        all.iter().map(|l| l["id"].as_str().expect("id").to_owned()).collect()
    }
    pub async fn change(&self, ask: Value) -> Value {
        // The text has null take a configuration away; the published schema has no null.
        if !ask.to_string().contains(":null") {
            fits(schema::VNFLCM, "ChangeExtVnfConnectivityRequest", &ask);
        }
        self.rig.task(&format!("{}/change_ext_conn", self.vnf), ask).await
    }
    pub fn to(&self, link: &str, cp: &Value, addresses: &[&str]) -> Value {
        let ip = match addresses {
            [] => json!([{"type": "IPV4", "numDynamicAddresses": 1}]),
            fixed => json!([{"type": "IPV4", "fixedAddresses": fixed}]),
        };
        let eth = json!({"ipAddresses": ip});
        let config = json!({"cpProtocolData": [{"layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": eth}]});
        ext_links(link, json!({"cpdId": "wan", "cpConfig": {cp["id"].as_str().expect("id"): config}}))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_point_comes_to_another_link_and_off_all_and_is_shown_there_at_once() {
    let s = standing().await;
    let heard = Subscriber::start(None).await;
    let filter = json!({"operationTypes": ["CHANGE_EXT_CONN"], "notificationTypes": ["VnfLcmOperationOccurrenceNotification"]});
    let r = s.rig.post("/vnflcm/v2/subscriptions", json!({"callbackUri": heard.uri(), "filter": filter})).await;
    assert_eq!(r.status, 201, "{}", r.body);
    let (before, guest) = (s.cp().await, s.shown().await["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["id"].clone());
    assert_eq!(s.links().await, std::slice::from_ref(&s.wan));
    assert!(s.shown().await["_links"]["changeExtConn"].is_object());

    let plan = s
        .rig
        .post(
            "/bothy/v1/plan",
            json!({"connect": {
        "vnfInstanceId": s.vnf.rsplit('/').next(), "request": s.to(&s.lan, &before, &["10.10.1.77"])}}),
        )
        .await;
    assert_eq!(plan.status, 200, "{}", plan.body);
    let moved = plan.json()["moves"][0].clone();
    assert_eq!((&moved["before"]["link"], &moved["after"]["link"]), (&json!("wan"), &json!("lan")), "{moved:#}");
    assert_eq!(s.cp().await, before, "a dry run touches nothing");

    let op = s.change(s.to(&s.lan, &before, &["10.10.1.77"])).await;
    assert_eq!((op["operation"].as_str(), op["operationState"].as_str()), (Some("CHANGE_EXT_CONN"), Some("COMPLETED")), "{op:#}");
    let changed = &op["changedExtConnectivity"][0];
    assert_eq!((&changed["id"], &changed["extLinkPorts"][0]["cpInstanceId"]), (&json!(s.lan), &before["id"]), "{op:#}");
    assert_eq!(op["resourceChanges"]["affectedExtLinkPorts"][0]["changeType"], "MODIFIED");
    assert!(op["warnings"].as_array().expect("warnings").iter().any(|w| w.as_str().is_some_and(|w| w.contains("DHCP"))));
    let after = s.cp().await;
    assert_eq!((s.links().await, &after["id"]), (vec![s.lan.clone()], &before["id"]));
    let eth = |cp: &Value| cp["cpProtocolInfo"][0]["ipOverEthernet"].clone();
    assert_eq!(eth(&before)["macAddress"], eth(&after)["macAddress"]);
    assert!(eth(&after)["ipAddresses"].to_string().contains("10.10.1.77"), "{after:#}");
    assert_eq!(s.shown().await["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["id"], guest, "the guest is the same");

    let op = s.change(ext_links(&s.lan, json!({"cpdId": "wan", "cpConfig": {after["id"].as_str().expect("id"): null}}))).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    assert_eq!(op["resourceChanges"]["affectedExtLinkPorts"][0]["changeType"], "REMOVED");
    assert!(s.links().await.is_empty() && s.cp().await["extLinkPortId"].is_null());
    let op = s.change(s.to(&s.wan, &after, &[])).await;
    assert_eq!((op["operationState"].as_str(), s.links().await), (Some("COMPLETED"), vec![s.wan.clone()]));

    let news = heard.until(9).await;
    let told: Vec<_> = news.iter().map(|n| format!("{} {}", n["notificationStatus"], n["operationState"])).collect();
    let one = [("START", "STARTING"), ("START", "PROCESSING"), ("RESULT", "COMPLETED")].map(|(s, o)| format!("\"{s}\" \"{o}\""));
    assert_eq!(told, [one.clone(), one.clone(), one].concat());
    assert_eq!(news[2]["changedExtConnectivity"][0]["id"], json!(s.lan), "{:#}", news[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fails_is_retried_or_rolled_back_to_the_link_it_was_on() {
    let s = standing().await;
    let before = s.cp().await;
    let lan: SegmentId = s.lan.parse().expect("id");
    for (way, end, link) in [("rollback", "ROLLED_BACK", &s.wan), ("retry", "COMPLETED", &s.lan)] {
        s.rig.sim.faults().add(Rule::next(Method::EnsureSegment, Then::Fail(Kind::Conflict)).of(lan));
        let op = s.change(s.to(&s.lan, &before, &[])).await;
        assert_eq!(op["operationState"], "FAILED_TEMP", "{op:#}");
        assert!(["retry", "rollback", "fail"].iter().all(|t| op["_links"][t].is_object()), "{op:#}");
        let at = format!("/vnflcm/v2/vnf_lcm_op_occs/{}", op["id"].as_str().expect("id"));
        assert_eq!(s.rig.post(&format!("{at}/{way}"), Value::Null).await.status, 202);
        let op = s.rig.settled(&at, "operationState", &["FAILED_TEMP", "PROCESSING", "ROLLING_BACK"]).await;
        assert_eq!((op["operationState"].as_str(), s.links().await), (Some(end), vec![link.clone()]), "{op:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_with_every_reason_before_anything_happens() {
    let s = standing().await;
    let before = s.cp().await;
    let at = format!("{}/change_ext_conn", s.vnf);
    let mut ask = s.to("nowhere", &before, &["no address"]);
    ask["extVirtualLinks"].as_array_mut().expect("links").push(json!({"id": "y", "resourceId": s.lan, "extCps": [
        {"cpdId": "nic", "cpConfig": {}}, {"cpdId": "wan", "cpConfig": {"nobody": null}}]}));
    ask["additionalParams"] = json!({"fast": true});
    let r = s.rig.post(&at, ask).await;
    assert_eq!(r.status, 422, "{}", r.body);
    let told = r.problem();
    for part in ["resourceId: 'nowhere'", "'no address'", "additionalParams.fast", "'nic'", "'nobody'"] {
        assert!(r.body.contains(part), "{part}: {told}\n{}", r.body);
    }
    let taken = s.rig.post(&at, s.to(&s.lan, &before, &["10.99.0.1"])).await;
    assert!((400..500).contains(&taken.status) && taken.body.contains("in none of its networks"), "{}", taken.body);
    let of_service = s.rig.post(&format!("{}/change_ext_conn", s.member), s.to(&s.lan, &before, &[])).await;
    assert!(of_service.status == 409 && of_service.body.contains("belongs to NS instance"), "{}", of_service.body);
    assert_eq!(s.cp().await, before);
}
