//! SOL003's first major of vnflcm: a view of the same records. Replies are held against ETSI's older file.

use serde_json::json;

use crate::{notify::Subscriber, rig::rig};

const FIRST: &str = "/vnflcm/v1/vnf_instances";

#[tokio::test(flavor = "multi_thread")]
async fn both_majors_show_the_same_records_each_in_its_own_form() {
    let rig = rig(64, "").await;
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let versions = rig.show("/vnflcm/api_versions").await;
    assert_eq!(versions["apiVersions"].as_array().map(Vec::len), Some(2), "{versions:#}");
    assert_eq!(rig.show("/vnflcm/v1/api_versions").await["apiVersions"][0]["version"], "1.3.0");
    for (version, status) in [("1.3.0", 200), ("1.0.0", 200), ("2.0.0", 406), ("1.4.0", 406)] {
        assert_eq!(rig.ask(&format!("GET {FIRST}"), &[&format!("version: {version}")], "").await.status, status, "{version}");
    }
    let to = Subscriber::start(None).await;
    let subscription = rig.post("/vnflcm/v1/subscriptions", json!({"callbackUri": to.uri()})).await;
    assert_eq!(subscription.status, 201, "{}", subscription.body);
    let at = subscription.header("location").expect("location").to_owned();
    assert!(at.starts_with("/vnflcm/v1/subscriptions/"), "{at}");
    assert_eq!(rig.show(&at).await["verbosity"], json!(null));
    assert_eq!(rig.show("/vnflcm/v2/subscriptions").await, json!([]), "each major has its own");
    assert_eq!(rig.post("/vnflcm/v1/subscriptions", json!({"callbackUri": to.uri()})).await.status, 303);

    let made = rig.post(FIRST, json!({"vnfdId": package["vnfdId"]})).await;
    assert_eq!((made.status, &made.json()["vnfPkgId"]), (201, &package["id"]), "{}", made.body);
    let vnf = made.header("location").expect("location").to_owned();
    assert!(vnf.starts_with(FIRST), "{vnf}");
    let second = vnf.replace("/v1/", "/v2/");
    assert_eq!(rig.show(&second).await["vnfPkgId"], json!(null), "the second major has it not");
    // Lists where the second major has maps.
    let vim = json!([{"id": "vim", "vimId": "x", "vimType": "y"}]);
    let r = rig.post(&format!("{vnf}/instantiate"), json!({"flavourId": "default", "vimConnectionInfo": vim})).await;
    assert_eq!(r.status, 202, "{}", r.body);
    let op = r.header("location").expect("location").to_owned();
    assert!(op.starts_with("/vnflcm/v1/vnf_lcm_op_occs/"), "{op}");
    let done = rig.settled(&op, "operationState", &["STARTING", "PROCESSING"]).await;
    assert_eq!((&done["operation"], &done["operationState"]), (&json!("INSTANTIATE"), &json!("COMPLETED")), "{done:#}");
    assert_eq!(done["operationParams"]["vimConnectionInfo"][0]["id"], "vim", "{done:#}");
    for (v, major) in [(&vnf, "/v1/"), (&second, "/v2/")] {
        let shown = rig.show(v).await;
        assert_eq!(shown["instantiationState"], "INSTANTIATED");
        let links = shown["_links"].to_string();
        assert!(links.contains(major) && (major == "/v2/" || !links.contains("/vnflcm/v2/")), "{links}");
    }
    let of = json!(vnf.rsplit('/').next());
    let listed = rig.show(&format!("{FIRST}?filter=(eq,instantiationState,INSTANTIATED)")).await;
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]["id"]), (Some(1), &of));
    // What came later is not there.
    for path in ["/vnflcm/v1/vnf_snapshots".to_owned(), format!("{vnf}/change_vnfpkg"), format!("{vnf}/create_snapshot")] {
        assert_eq!(rig.get(&path).await.status, 404, "{path}");
    }
    let conflict = rig.post(&format!("{vnf}/instantiate"), json!({"flavourId": "default"})).await;
    assert_eq!(conflict.status, 409);
    conflict.problem();

    let news = to.until(4).await;
    let links = news[3]["_links"].to_string();
    assert!(news.iter().all(|n| n["verbosity"].is_null()) && links.contains("/vnflcm/v1/") && !links.contains("/vnflcm/v2/"), "{news:#?}");
    let r = rig.post(&format!("{vnf}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
    rig.settled(r.header("location").expect("location"), "operationState", &["STARTING", "PROCESSING"]).await;
    assert_eq!(rig.delete(&vnf).await.status, 204);
    assert_eq!(rig.get(&second).await.status, 404);
}
