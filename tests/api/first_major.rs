//! First majors of SOL003 and SOL005: views of the same records. Replies are held against ETSI's older files where there are
//! some, else against what the second major has in their place.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    declared::Face,
    identity::{bare, bearer, user},
    kit::build,
    notify::Subscriber,
    pm::{at, used, web},
    rig::rig,
};

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

fn href(v: &Value, link: &str) -> String {
    at(v["_links"][link]["href"].as_str().unwrap_or_else(|| panic!("no {link}: {v:#}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_service_lives_and_dies_in_the_first_major_of_sol005() {
    let rig = rig(64, "").await;
    for (api, second) in [("nsd", "2.3.0"), ("vnfpkgm", "2.4.0"), ("nslcm", "2.3.0"), ("nspm", "2.3.0"), ("vnfpm", "2.2.0")] {
        let all = rig.show(&format!("/{api}/api_versions")).await;
        let told: Vec<&Value> = all["apiVersions"].as_array().expect("a list").iter().map(|v| &v["version"]).collect();
        assert_eq!(told, ["1.3.0", second], "{api}");
        assert_eq!(rig.show(&format!("/{api}/v1/api_versions")).await["apiVersions"][0]["version"], "1.3.0");
        for (major, version, status) in [(1, "1.3.0", 200), (1, second, 406), (2, "1.3.0", 406), (1, "1.4.0", 406)] {
            let r = rig.ask(&format!("GET /{api}/v{major}/subscriptions"), &[&format!("version: {version}")], "").await;
            // The second major of performance has no subscriptions.
            let expected = if major == 2 && api.ends_with("pm") { 406 } else { status };
            assert_eq!(r.status, expected, "{api} v{major} {version}: {}", r.body);
        }
    }
    let (packages, descriptors, services) = (Subscriber::start(None).await, Subscriber::start(None).await, Subscriber::start(None).await);
    for (api, to) in [("vnfpkgm", &packages), ("nsd", &descriptors), ("nslcm", &services)] {
        let made = rig.post(&format!("/{api}/v1/subscriptions"), json!({"callbackUri": to.uri()})).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let one = made.header("location").expect("location").to_owned();
        assert!(one.starts_with(&format!("/{api}/v1/subscriptions/")) && href(&made.json(), "self") == one, "{}", made.body);
        assert_eq!((rig.show(&one).await, rig.show(&format!("/{api}/v2/subscriptions")).await), (made.json(), json!([])));
    }

    // A package and a descriptor that come in by the first major are the second's too.
    for p in ["client", "firewall"] {
        rig.onboard_vnf(&format!("descriptors/vcpe/vcpe-{p}")).await;
    }
    let mut info = Vec::new();
    for (all, content, state, folder) in [
        ("/vnfpkgm/v1/vnf_packages", "package_content", "onboardingState", "descriptors/vcpe/vcpe-web"),
        ("/nsd/v1/ns_descriptors", "nsd_content", "nsdOnboardingState", "descriptors/vcpe/vcpe-ns"),
    ] {
        let made = rig.post(all, json!({"userDefinedData": {"warnings": "mine"}})).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let one = made.header("location").expect("location").to_owned();
        assert!(one.starts_with(all), "{one}");
        assert_eq!(rig.put(&format!("{one}/{content}"), &build(folder)).await.status, 202);
        let v = rig.settled(&one, state, &["UPLOADING", "PROCESSING"]).await;
        assert_eq!((&v[state], &v["userDefinedData"]["warnings"]), (&json!("ONBOARDED"), &json!("mine")), "{v:#}");
        for later in ["vnfmInfo", "packageSecurityOption", "archiveSecurityOption", "artifacts"] {
            assert!(v[later].is_null(), "{later}: {v:#}");
        }
        assert_eq!(href(&v, "self"), one);
        let second = rig.show(&one.replace("/v1/", "/v2/")).await;
        assert_eq!(second["id"], v["id"]);
        assert_eq!(rig.get(&format!("{one}/manifest")).await.status, 404, "it came later");
        let whole = rig.get(&format!("{one}/{content}")).await;
        assert_eq!((whole.status, &whole.bytes[..2]), (200, &b"PK"[..]));
        info.push(v);
    }
    let told = packages.until(3).await;
    assert!(told.iter().all(|n| href(n, "vnfPackage").starts_with("/vnfpkgm/v1/vnf_packages/")), "{told:#?}");
    assert!(href(&descriptors.until(1).await[0], "nsdInfo").starts_with("/nsd/v1/ns_descriptors/"));

    let all = "/nslcm/v1/ns_instances";
    let made = rig.post(all, json!({"nsdId": info[1]["nsdId"], "nsName": "old", "nsDescription": ""})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let ns = made.header("location").expect("location").to_owned();
    let op = rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    assert!(op["statusEnteredTime"].is_string() && op["stateEnteredTime"].is_null(), "{op:#}");
    assert!(href(&op, "self").starts_with("/nslcm/v1/ns_lcm_op_occs/") && href(&op, "nsInstance") == ns, "{op:#}");
    // The older filters, and a page of a list of the first major is of the first major.
    for (query, count) in [
        ("operationState.eq=COMPLETED", 1),
        ("statusEnteredTime.gt=2020-01-01T00:00:00Z&lcmOperationType=INSTANTIATE", 1),
        ("operationState.neq=COMPLETED", 0),
        ("filter=(lt,statusEnteredTime,2020-01-01T00:00:00Z)", 0),
    ] {
        let found = rig.show(&format!("/nslcm/v1/ns_lcm_op_occs?{query}")).await;
        assert_eq!(found.as_array().map(Vec::len), Some(count), "{query}: {found:#}");
    }
    assert_eq!(rig.get("/nslcm/v1/ns_lcm_op_occs?colour.eq=red").await.status, 400);
    let up = rig.show(&ns).await;
    assert_eq!((&up["nsState"], up["vnfInstance"].as_array().map(Vec::len)), (&json!("INSTANTIATED"), Some(3)), "{up:#}");
    assert!(href(&up, "terminate").starts_with(&ns) && !up["_links"].to_string().contains("/v2/"), "{up:#}");
    assert_eq!(rig.show(&ns.replace("/v1/", "/v2/")).await["id"], up["id"]);
    let again = rig.post(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    assert_eq!(again.status, 409, "{}", again.body);

    // What is measured is told to subscribers, not to a callback of the job.
    let measured = Subscriber::start(None).await;
    let made = rig.post("/nspm/v1/subscriptions", json!({"callbackUri": measured.uri()})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let criteria = json!({"performanceMetric": ["ByteIncomingSap"], "collectionPeriod": 1, "reportingPeriod": 1});
    let job = rig.post("/nspm/v1/pm_jobs", json!({"objectInstanceIds": [up["id"]], "criteria": criteria})).await;
    assert_eq!((job.status, &job.json()["objectType"]), (201, &json!("Ns")), "{}", job.body);
    let news = measured.until(1).await;
    assert_eq!(href(&news[0], "objectInstance"), ns);
    let report = rig.show(&href(&news[0], "performanceReport")).await;
    assert_eq!(report["entries"][0]["performanceMetric"], "ByteIncomingSap", "{report:#}");

    assert_eq!(rig.task(&format!("{ns}/terminate"), json!({})).await["operationState"], "COMPLETED");
    assert_eq!(rig.delete(&ns).await.status, 204);
    let told = services.until(6).await;
    assert!(told.iter().all(|n| n["verbosity"].is_null() && href(n, "nsInstance") == ns && n["timestamp"].is_string()), "{told:#?}");
    assert!(!told.iter().any(|n| n["_links"].to_string().contains("/v2/")), "{told:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn measurements_of_vnfs_are_told_to_subscribers_of_the_first_major() {
    let rig = rig(64, "").await;
    let w = web(&rig).await;
    used(&rig, &w, Duration::from_secs(1), 1000);
    let (all, crossings, others) = (Subscriber::start(None).await, Subscriber::start(None).await, Subscriber::start(None).await);
    let of = |id: &str| json!({"vnfInstanceIds": [id]});
    for (to, filter) in [
        (&all, json!({"vnfInstanceSubscriptionFilter": of(&w.id)})),
        (&crossings, json!({"notificationTypes": ["ThresholdCrossedNotification"]})),
        (&others, json!({"vnfInstanceSubscriptionFilter": of("11111111-0000-4000-8000-000000000001")})),
    ] {
        let made = rig.post("/vnfpm/v1/subscriptions", json!({"callbackUri": to.uri(), "filter": filter})).await;
        assert_eq!(made.status, 201, "{}", made.body);
        assert_eq!(rig.show(made.header("location").expect("location")).await["filter"], filter);
    }
    let criteria = json!({"performanceMetric": ["VmemoryUsageMeanVnf"], "collectionPeriod": 1, "reportingPeriod": 1});
    let made = rig.post("/vnfpm/v1/pm_jobs", json!({"objectInstanceIds": [w.id], "criteria": criteria})).await;
    assert_eq!((made.status, &made.json()["objectType"]), (201, &json!("Vnf")), "{}", made.body);
    let job = made.header("location").expect("location").to_owned();
    let at_20 = json!({"performanceMetric": "VmemoryUsageMeanVnf", "thresholdType": "SIMPLE", "simpleThresholdDetails": {"thresholdValue": 20.5, "hysteresis": 2}});
    let threshold = rig.post("/vnfpm/v1/thresholds", json!({"objectInstanceId": w.id, "criteria": at_20})).await;
    assert_eq!(threshold.status, 201, "{}", threshold.body);
    let crossed = crossings.until(1).await;
    assert_eq!(crossed[0]["notificationType"], "ThresholdCrossedNotification");
    assert_eq!(href(&crossed[0], "threshold"), threshold.header("location").expect("location"));
    let ready = |n: &&Value| n["notificationType"] == "PerformanceInformationAvailableNotification";
    let mut wanted = 2;
    let news = loop {
        let news = all.until(wanted).await;
        if let Some(n) = news.iter().find(ready) {
            break n.clone();
        }
        wanted += 1;
    };
    assert_eq!((href(&news, "pmJob"), href(&news, "objectInstance")), (job.clone(), format!("{FIRST}/{}", w.id)));
    assert!(rig.show(&href(&news, "performanceReport")).await["entries"][0]["performanceValues"].is_array());
    assert!(others.news().is_empty() && crossings.news().iter().all(|n| !ready(&n)));

    // The second major shows them without a callback, and can give them one; the first has no such change.
    let second = job.replace("/v1/", "/v2/");
    assert_eq!((rig.show(&second).await["callbackUri"].clone(), rig.show(&job).await["callbackUri"].clone()), (json!(""), Value::Null));
    assert_eq!(rig.show("/vnfpm/v1/pm_jobs").await[0]["id"], rig.show("/vnfpm/v2/pm_jobs").await[0]["id"]);
    let to = Subscriber::start(None).await;
    let change = json!({"callbackUri": to.uri()});
    let none = rig.patch(&job, &[], change.clone()).await;
    assert_eq!((none.status, none.header("allow")), (405, Some("GET,HEAD,DELETE")), "{}", none.body);
    let nothing = rig.patch(&second, &[], json!({"authentication": {"authType": ["TLS_CERT"]}})).await;
    assert!((400..=422).contains(&nothing.status) && nothing.body.contains("nobody is told"), "{}", nothing.body);
    assert_eq!(rig.patch(&second, &[], change).await.status, 200);
    to.until(1).await;
    assert_eq!(rig.show(&second).await["callbackUri"], to.uri());
    for one in [&job, threshold.header("location").expect("location")] {
        assert_eq!((rig.delete(one).await.status, rig.get(one).await.status), (204, 404), "{one}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_vnfms_read_packages_in_the_first_major_and_change_none() {
    let mut rig = rig(64, "").await;
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let vnfm = bearer(&user(&rig, "vnfm-a", "vnfm", "default").await);
    let to = Subscriber::start(None).await;
    rig.show_face(Face::Vnfm);
    let get = async |path: &str| bare(&rig, &format!("GET {path}"), &[&vnfm], "").await;
    let all = get("/vnfpkgm/v1/vnf_packages").await.json();
    assert_eq!((all.as_array().map(Vec::len), &all[0]["id"]), (Some(1), &package["id"]), "{all:#}");
    let one = format!("/vnfpkgm/v1/vnf_packages/{}", package["id"].as_str().expect("id"));
    for part in ["", "/vnfd", "/package_content", "/artifacts/TOSCA-Metadata/TOSCA.meta"] {
        assert_eq!(get(&format!("{one}{part}")).await.status, 200, "{part}");
    }
    let by_vnfd = "/vnfpkgm/v1/onboarded_vnf_packages";
    let listed = get(by_vnfd).await.json();
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]["id"]), (Some(1), &package["id"]), "{listed:#}");
    let at = format!("{by_vnfd}/{}", package["vnfdId"].as_str().expect("vnfdId"));
    for part in ["", "/vnfd", "/package_content", "/artifacts/TOSCA-Metadata/TOSCA.meta"] {
        assert_eq!(get(&format!("{at}{part}")).await.status, 200, "{part}");
    }
    assert!(get(&at).await.json()["vnfmInfo"].is_null(), "it came later");
    for later in [format!("{at}/manifest"), format!("{at}/artifacts"), format!("{by_vnfd}/nothing")] {
        assert_eq!(get(&later).await.status, 404, "{later}");
    }
    let r = bare(&rig, &format!("DELETE {one}"), &[&vnfm], "").await;
    assert_eq!((r.status, r.header("allow")), (405, Some("GET,HEAD")));
    let ask = json!({"callbackUri": to.uri()}).to_string();
    let made = bare(&rig, "POST /vnfpkgm/v1/subscriptions", &[&vnfm, "content-type: application/json"], &ask).await;
    assert_eq!(made.status, 201, "{}", made.body);
    rig.show_face(Face::Main);
    assert_eq!(rig.show("/vnfpkgm/v1/subscriptions").await, json!([]), "SOL005 has its own");
    rig.onboard_vnf("descriptors/vcpe/vcpe-client").await;
    let told = &to.until(1).await[0];
    assert!(href(told, "vnfPackage").starts_with("/vnfpkgm/v1/") && told["_links"]["vnfPackageByVnfdId"].is_null(), "{told:#}");
}
