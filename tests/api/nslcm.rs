//! nslcm, nsd, vnfpkgm and vnflcm from onboarding to delete, each reply held against ETSI's schema.

use serde_json::{Value, json};

use crate::{kit::fits, rig::rig, schema};

#[tokio::test(flavor = "multi_thread")]
async fn a_network_service_lives_and_dies_as_sol005_says() {
    let rig = rig(64, "").await;
    let nsd = rig.onboard_vcpe().await;

    let made = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "site", "nsDescription": "a test"})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    fits(schema::NSLCM, "NsInstance", &made.json());
    assert_eq!(made.json()["nsState"], "NOT_INSTANTIATED");
    let ns = made.header("location").expect("location").to_owned();

    let op = rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default", "additionalParamsForNs": {"site": 7}})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    assert_eq!(op["operationParams"]["additionalParamsForNs"]["site"], 7);
    assert_eq!(op["resourceChanges"]["affectedVnfs"].as_array().map(Vec::len), Some(3), "{op:#}");

    let up = rig.show(&ns).await;
    fits(schema::NSLCM, "NsInstance", &up);
    assert_eq!(up["nsState"], "INSTANTIATED");
    assert_eq!(up["vnfInstance"].as_array().map(Vec::len), Some(3));
    for task in ["terminate", "update", "scale", "heal"] {
        assert!(up["_links"][task]["href"].as_str().is_some_and(|l| l.ends_with(&format!("{ns}/{task}"))), "{task}: {up:#}");
    }
    assert!(up["_links"]["instantiate"].is_null(), "{up:#}");
    for vnf in up["vnfInstance"].as_array().expect("members") {
        let v = rig.show(&format!("/vnflcm/v2/vnf_instances/{}", vnf["id"].as_str().expect("id"))).await;
        fits(schema::VNFLCM, "VnfInstance", &v);
        assert_eq!(v["instantiatedVnfInfo"]["vnfState"], "STARTED");
        assert!(v["_links"]["terminate"].is_null(), "a member is terminated by its service");
    }
    let info = rig.show(&format!("/nsd/v2/ns_descriptors/{}", nsd["id"].as_str().expect("id"))).await;
    assert_eq!(info["nsdUsageState"], "IN_USE");

    for (path, body, status) in [
        (format!("{ns}/instantiate"), json!({"nsFlavourId": "default"}), 409),
        (format!("{ns}/scale"), json!({"scaleType": "SCALE_NS"}), 422),
        (format!("{ns}/update"), json!({"updateType": "ADD_VNF"}), 404),
        (format!("{ns}/terminate"), json!({"terminationTime": "2030-01-01T00:00:00Z"}), 422),
    ] {
        let r = rig.post(&path, body).await;
        assert_eq!(r.status, status, "{path}: {}", r.body);
        fits(schema::SOL005, "ProblemDetails", &r.json());
    }
    let in_use = rig.delete(&ns).await;
    assert_eq!(in_use.status, 409, "{}", in_use.body);

    let op = rig.task(&format!("{ns}/terminate"), json!({})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    assert_eq!(rig.sim.leftovers(), []);
    let down = rig.show(&ns).await;
    fits(schema::NSLCM, "NsInstance", &down);
    assert_eq!(down["nsState"], "NOT_INSTANTIATED");
    assert_eq!(rig.delete(&ns).await.status, 204);
    assert_eq!(rig.get(&ns).await.status, 404);

    for op in rig.show("/vnflcm/v2/vnf_lcm_op_occs?all_fields").await.as_array().expect("list") {
        fits(schema::VNFLCM, "VnfLcmOpOcc", op);
        let one = rig.show(&format!("/vnflcm/v2/vnf_lcm_op_occs/{}", op["id"].as_str().expect("id"))).await;
        fits(schema::VNFLCM, "VnfLcmOpOcc", &one);
    }
    let listed = rig.show("/nslcm/v2/ns_lcm_op_occs").await;
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    for op in listed.as_array().expect("list") {
        fits(schema::NSLCM, "NsLcmOpOcc", op);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vnf_of_its_own_lives_and_dies_as_sol003_says() {
    let rig = rig(64, "").await;
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let made =
        rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"], "vnfInstanceName": "web", "metadata": {"k": [1]}})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    fits(schema::VNFLCM, "VnfInstance", &made.json());
    let vnf = made.header("location").expect("location").to_owned();

    let patched = rig.patch(&vnf, &[], json!({"vnfInstanceName": "web2", "metadata": {"k": null, "n": 1}})).await;
    assert_eq!((patched.status, patched.body.as_str()), (202, ""), "{}", patched.body);
    let modified = rig.show(patched.header("location").expect("location")).await;
    fits(schema::VNFLCM, "VnfLcmOpOcc", &modified);
    assert_eq!((&modified["operation"], &modified["operationState"]), (&json!("MODIFY_INFO"), &json!("COMPLETED")), "{modified:#}");
    assert_eq!(modified["operationParams"], json!({"vnfInstanceName": "web2", "metadata": {"k": null, "n": 1}}));
    assert_eq!(modified["changedInfo"], json!({"vnfInstanceName": "web2", "metadata": {"k": null, "n": 1}}));
    let changed = rig.show(&vnf).await;
    assert_eq!((&changed["vnfInstanceName"], &changed["metadata"]), (&json!("web2"), &json!({"n": 1})));
    let stale = rig.patch(&vnf, &["if-match: \"1\""], json!({"vnfInstanceName": "web3"})).await;
    assert_eq!(stale.status, 412, "{}", stale.body);

    let op = rig.task(&format!("{vnf}/instantiate"), json!({"flavourId": "default", "extensions": {"e": 1}})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    assert!(
        op["warnings"].as_array().is_some_and(|w| w.iter().any(|w| w.to_string().contains("without KVM"))),
        "a guest without KVM is a warning"
    );
    let up = rig.show(&vnf).await;
    fits(schema::VNFLCM, "VnfInstance", &up);
    assert_eq!(up["extensions"]["e"], 1);
    assert_eq!(up["instantiatedVnfInfo"]["vnfState"], "STARTED");

    let op =
        rig.task(&format!("{vnf}/operate"), json!({"changeStateTo": "STOPPED", "stopType": "GRACEFUL", "gracefulStopTimeout": 5})).await;
    assert_eq!((&op["operationState"], &op["operation"]), (&json!("COMPLETED"), &json!("OPERATE")), "{op:#}");
    assert_eq!(rig.show(&vnf).await["instantiatedVnfInfo"]["vnfState"], "STOPPED");
    rig.task(&format!("{vnf}/operate"), json!({"changeStateTo": "STARTED"})).await;

    for (path, body, status, says) in [
        ("instantiate", json!({"flavourId": "default"}), 409, "instantiated already"),
        ("terminate", json!({"terminationType": "FORCEFUL", "gracefulTerminationTimeout": 1}), 422, "only with GRACEFUL"),
        ("terminate", json!({"terminationType": "SOFT"}), 422, "SOFT"),
        ("scale", json!({"type": "SCALE_OUT", "aspectId": "x"}), 422, "no scaling aspect 'x'; it has servers"),
        ("change_vnfpkg", json!({"vnfdId": "x"}), 422, "no onboarded VNF package has the VNFD 'x'"),
        ("operate", json!({"changeStateTo": "STARTED", "stopType": "GRACEFUL"}), 422, "only with STOPPED"),
    ] {
        let r = rig.post(&format!("{vnf}/{path}"), body).await;
        assert_eq!(r.status, status, "{path}: {}", r.body);
        assert!(r.problem().contains(says), "{}", r.body);
    }
    assert_eq!(rig.delete(&vnf).await.status, 409);
    let guest = up["instantiatedVnfInfo"]["vnfcResourceInfo"][0].clone();
    let op = rig.task(&format!("{vnf}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    let gone = &op["resourceChanges"]["affectedVnfcs"][0];
    assert_eq!((&gone["id"], &gone["vduId"], &gone["changeType"]), (&guest["id"], &guest["vduId"], &json!("REMOVED")), "{op:#}");
    let disk = &op["resourceChanges"]["affectedVirtualStorages"][0];
    assert_eq!((&disk["id"], &disk["changeType"]), (&gone["removedStorageResourceIds"][0], &json!("REMOVED")), "{op:#}");
    assert_eq!(rig.sim.leftovers(), []);
    assert_eq!(rig.delete(&vnf).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_problems_that_name_every_fault() {
    let rig = rig(64, "").await;
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let vnf = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"]})).await.json();
    let vnf = format!("/vnflcm/v2/vnf_instances/{}", vnf["id"].as_str().expect("id"));
    let nobody = "00000000-0000-4000-8000-000000000000";
    let ns_op = format!("/nslcm/v2/ns_lcm_op_occs/{nobody}/retry");
    let cases: &[(&str, &str, Value, u16, &str)] = &[
        ("POST", "/vnflcm/v2/vnf_instances", json!({"vnfdId": "none"}), 422, "none"),
        ("POST", "/nslcm/v2/ns_instances", json!({"nsdId": "none", "nsName": "", "nsDescription": ""}), 422, "none"),
        ("POST", "/nslcm/v2/ns_instances", json!({"nsName": 1}), 422, "expected a string"),
        ("POST", &format!("{vnf}/instantiate"), json!({"flavourId": "huge"}), 422, "it has default"),
        ("POST", &format!("{vnf}/instantiate"), json!({"flavourId": "default", "instantiationLevelId": "l9"}), 422, "l9"),
        (
            "POST",
            &format!("{vnf}/instantiate"),
            json!({"flavourId": "default", "additionalParams": {"admin": {"password": "hush"}}}),
            422,
            "'additionalParams.admin.password' looks like a secret",
        ),
        (
            "POST",
            &format!("{vnf}/instantiate"),
            json!({"flavourId": "default", "additionalParams": {"password": {"secret": "none"}}}),
            422,
            "there is no secret 'none'",
        ),
        (
            "POST",
            &format!("{vnf}/instantiate"),
            json!({"flavourId": "default", "extensions": {"apiKey": "hush"}}),
            422,
            "'extensions.apiKey'",
        ),
        ("GET", "/vnflcm/v2/vnf_instances?colour=red", Value::Null, 400, "colour"),
        ("GET", &format!("{vnf}?x=1"), Value::Null, 400, "'x'"),
        ("GET", "/nslcm/v2/ns_instances/nonsense", Value::Null, 404, "nonsense"),
        ("GET", &format!("/nslcm/v2/ns_instances/{nobody}"), Value::Null, 404, nobody),
        ("POST", &ns_op, json!({}), 404, nobody),
        ("DELETE", "/nslcm/v2/ns_instances", Value::Null, 405, ""),
        ("POST", "/vnfpkgm/v2/vnf_packages/x/package_content/upload_from_uri", json!({}), 404, "there is no 'x' here"),
        ("DELETE", &format!("/vnfpkgm/v2/vnf_packages/{}", package["id"].as_str().expect("id")), Value::Null, 409, "in use"),
    ];
    for (method, path, body, status, says) in cases {
        let (headers, text) =
            if body.is_null() { (vec![], String::new()) } else { (vec!["content-type: application/json"], body.to_string()) };
        let r = rig.ask(&format!("{method} {path}"), &headers, &text).await;
        assert_eq!(r.status, *status, "{method} {path}: {}", r.body);
        assert!(r.problem().contains(says), "{method} {path}: {}", r.body);
        fits(schema::SOL005, "ProblemDetails", &r.json());
    }

    let many = json!({
        "flavourId": "default",
        "extVirtualLinks": [
            {"id": "a", "resourceId": "eth0", "extCps": [{"cpdId": "wan", "cpConfig": {"1": {"cpProtocolData": [{
                "layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": {"macAddress": "ff", "ipAddresses": [{"type": "IPV4", "fixedAddresses": ["x"]}]}
            }]}}}]},
        ],
        "extManagedVirtualLinks": [{"id": "m", "vnfVirtualLinkDescId": "l", "resourceId": "r"}],
        "additionalParams": {"ssh_keys": 5},
    });
    let r = rig.post(&format!("{vnf}/instantiate"), many).await;
    assert_eq!(r.status, 422, "{}", r.body);
    let reasons = r.json()["reasons"].to_string();
    for part in ["extManagedVirtualLinks", "extVirtualLinks[0].resourceId", "macAddress", "'x' is not an IP address", "ssh_keys"] {
        assert!(reasons.contains(part), "{part} in {reasons}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_descriptor_whose_vnfds_are_missing_says_which() {
    let rig = rig(64, "").await;
    let v = rig.onboard_nsd("descriptors/vcpe/vcpe-ns").await;
    assert_eq!(v["nsdOnboardingState"], "ERROR", "{v:#}");
    let detail = v["onboardingFailureDetails"]["detail"].as_str().expect("detail");
    assert!(detail.contains("b0714103-0000-4000-8000-000000000001"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn package_content_comes_back_whole_and_in_parts() {
    let rig = rig(64, "").await;
    let package = rig.onboard_vnf("tests/fixtures/packages/router").await;
    assert_eq!(package["onboardingState"], "ONBOARDED", "{package:#}");
    let at = format!("/vnfpkgm/v2/vnf_packages/{}", package["id"].as_str().expect("id"));
    let whole = rig.get(&format!("{at}/package_content")).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("application/zip")));
    let part = rig.ask(&format!("GET {at}/package_content"), &["range: bytes=10-19"], "").await;
    assert_eq!(part.status, 206);
    assert_eq!(part.bytes, whole.bytes[10..20]);
    assert_eq!(part.header("content-range"), Some(format!("bytes 10-19/{}", whole.bytes.len()).as_str()));
    let beyond = rig.ask(&format!("GET {at}/package_content"), &["range: bytes=99999999-"], "").await;
    assert_eq!(beyond.status, 416);

    let vnfd = rig.get(&format!("{at}/vnfd")).await;
    assert_eq!((vnfd.status, vnfd.header("content-type")), (200, Some("application/zip")));
    assert_eq!(rig.ask(&format!("GET {at}/vnfd"), &["accept: text/plain"], "").await.status, 406);
    let manifest = rig.get(&format!("{at}/manifest")).await;
    assert!(manifest.body.contains("vnfd_id"), "{}", manifest.body);
    let file = rig.get(&format!("{at}/artifacts/Files/day0/user-data")).await;
    assert!(file.body.starts_with("#cloud-config"), "{}", file.body);
    assert_eq!(rig.get(&format!("{at}/artifacts/Files/images/router.img")).await.status, 503, "the in-memory box keeps no image files");
    assert_eq!(rig.get(&format!("{at}/artifacts/none")).await.status, 404);

    let again = rig.put(&format!("{at}/package_content"), b"PK").await;
    assert_eq!(again.status, 409, "{}", again.body);
    let disable = |state: &'static str| rig.patch(&at, &[], json!({"operationalState": state}));
    assert_eq!(rig.delete(&at).await.status, 409);
    let r = disable("DISABLED").await;
    assert_eq!(r.status, 200, "{}", r.body);
    fits(schema::VNFPKGM, "VnfPkgInfoModifications", &r.json());
    assert_eq!(disable("DISABLED").await.status, 409);
    assert_eq!(rig.delete(&at).await.status, 204);

    let fresh = rig.post("/vnfpkgm/v2/vnf_packages", json!({})).await;
    let at = fresh.header("location").expect("location").to_owned();
    assert_eq!(rig.get(&format!("{at}/package_content")).await.status, 409);
    assert_eq!(rig.ask(&format!("PUT {at}/package_content"), &["content-type: text/html"], "x").await.status, 415);
    assert_eq!(rig.put(&format!("{at}/package_content"), b"no zip").await.status, 202);
    let v = rig.settled(&at, "onboardingState", &["UPLOADING", "PROCESSING"]).await;
    assert_eq!(v["onboardingState"], "ERROR");
    fits(schema::VNFPKGM, "VnfPkgInfo", &v);
}
