//! The audit trail beside what requests change: what was hidden from its asker, wrong methods, certificates that are not
//! believed, and what nobody asked for. (Other users of the socket, and signals: `daemon`.)

use std::time::{Duration, Instant};

use bothy::vim::port::GuestState;
use serde_json::{Value, json};

use crate::{
    identity::{Ca, bare, bearer, made, user},
    rig::{Rig, rig},
};

/// Waits for an entry of which this holds.
async fn told(rig: &Rig, is: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let all = rig.show("/bothy/v1/audit?limit=1000").await;
        if let Some(e) = all.as_array().expect("a list").iter().find(|e| is(e)) {
            return e.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(180), "not in the trail: {all:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_from_its_asker_and_a_wrong_method_are_told_and_a_name_of_nothing_is_not() {
    let rig = rig(16, "").await;
    made(&rig, "/bothy/v1/projects", json!({"name": "lab"})).await;
    let eve = bearer(&user(&rig, "eve", "operator", "lab").await);
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let theirs = format!("/vnfpkgm/v2/vnf_packages/{}", package["id"].as_str().expect("id"));
    let nothing = "/vnfpkgm/v2/vnf_packages/00000000-0000-4000-8000-000000000000";
    for (line, status) in [(format!("GET {theirs}"), 404), (format!("GET {nothing}"), 404), (format!("PUT {theirs}"), 405)] {
        assert_eq!(bare(&rig, &line, &[&eve], "").await.status, status, "{line}");
    }
    let all = rig.show("/bothy/v1/audit?limit=2").await;
    let short = |e: &Value| (e["who"].clone(), e["method"].clone(), e["path"].clone(), e["status"].clone());
    let of = |method: &str, status: u16| (json!("eve"), json!(method), json!(theirs), json!(status));
    assert_eq!([short(&all[0]), short(&all[1])], [of("PUT", 405), of("GET", 404)], "{all:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_believed_is_told() {
    let (ca, other) = (Ca::new("pinned"), Ca::new("other"));
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("ca.pem");
    std::fs::write(&path, ca.pem()).expect("ca");
    let rig = rig(16, &format!("[tls]\nclient_ca = \"{}\"\n", path.display())).await;
    assert_eq!(rig.whoami_as(other.sign("nfvo-1", 7)).await, None);
    let e = told(&rig, |e| e["method"] == "TLS").await;
    assert_eq!((&e["who"], &e["source"], &e["status"]), (&json!("-"), &json!("127.0.0.1"), &json!(401)), "{e:#}");
    assert!(e["why"].as_str().is_some_and(|w| w.contains("client certificate")), "{e:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healing_that_nobody_asked_for_is_told() {
    let rig = rig(64, "").await;
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let vnf = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"], "vnfInstanceName": "web"})).await;
    let vnf = vnf.header("location").expect("location").to_owned();
    rig.task(&format!("{vnf}/instantiate"), json!({"flavourId": "default"})).await;
    let on = json!({"vnfConfigurableProperties": {"isAutohealEnabled": true}});
    assert_eq!(rig.patch(&vnf, &[], on).await.status, 202);
    let shown = rig.show(&vnf).await;
    let guest = shown["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["id"].as_str().expect("id").parse().expect("an id");
    rig.sim.put(guest, GuestState::Crashed).expect("crashed");
    let e = told(&rig, |e| e["method"] == "HEAL").await;
    assert_eq!((&e["who"], &e["path"], &e["source"]), (&json!("bothy"), &json!(vnf), &json!("local")), "{e:#}");
    assert!(e["why"].as_str().is_some_and(|w| w.contains("crashed")) && e["operation"].is_string(), "{e:#}");
}
