//! SOL005 5.4.5 to 5.4.7b: PNF descriptors, from an archive to its end, and what is told of them.

use serde_json::{Value, json};

use crate::{
    admin,
    identity::{bare, bearer, made, user},
    kit::{build, copy_dir, fits},
    notify::Subscriber,
    rig::{Rig, rig},
    schema,
};

const ALL: &str = "/nsd/v2/pnf_descriptors";
const ANTENNA: &str = "tests/fixtures/packages/antenna";
/// The shipped service's own id, and one for it with more on it.
const NSD: &str = "b0714110-0000-4000-8000-000000000001";
const OTHER: &str = "b0714110-0000-4000-8000-0000000000a1";

async fn upload(rig: &Rig, folder: &str) -> (String, Value) {
    let made = rig.post(ALL, json!({"userDefinedData": {"site": "roof"}})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    fits(schema::NSD, "PnfdInfo", &made.json());
    let at = made.header("location").expect("location").to_owned();
    let put = rig.put(&format!("{at}/pnfd_content"), &build(folder)).await;
    assert_eq!((put.status, put.body.as_str()), (202, ""));
    let v = rig.settled(&at, "pnfdOnboardingState", &["UPLOADING", "PROCESSING"]).await;
    fits(schema::NSD, "PnfdInfo", &v);
    (at, v)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pnfd_is_taken_shown_in_all_its_parts_and_given_up() {
    let rig = rig(64, "").await;
    let empty = rig.post(ALL, json!({})).await.header("location").expect("location").to_owned();
    for part in ["pnfd_content", "pnfd", "manifest", "artifacts/Files/manual.txt"] {
        assert_eq!(rig.get(&format!("{empty}/{part}")).await.status, 409, "{part} before there is content");
    }
    let (at, v) = upload(&rig, ANTENNA).await;
    let seen =
        ["pnfdId", "pnfdName", "pnfdVersion", "pnfdProvider", "pnfdInvariantId", "pnfdOnboardingState", "pnfdUsageState"].map(|m| &v[m]);
    let (id, invariant) = ("61f5d2c7-5f0a-4d07-8a59-0b54a1f6d001", "61f5d2c7-5f0a-4d07-8a59-0b54a1f6d002");
    assert_eq!(seen, [id, "antenna", "1.0", "Example", invariant, "ONBOARDED", "NOT_IN_USE"]);
    let artifacts: Vec<_> = v["artifacts"].as_array().expect("artifacts").iter().map(|a| a["artifactPath"].as_str()).collect();
    assert_eq!(artifacts, [Some("Files/manual.txt"), Some("TOSCA-Metadata/TOSCA.meta")], "{v:#}");

    // Its parts, each of its type.
    let whole = rig.get(&format!("{at}/pnfd_content")).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("application/zip")));
    let piece = rig.ask(&format!("GET {at}/pnfd_content"), &["range: bytes=0-1"], "").await;
    assert_eq!((piece.status, piece.body.as_str()), (206, "PK"));
    let manual = rig.get(&format!("{at}/artifacts/Files/manual.txt")).await;
    assert_eq!((manual.status, manual.body.as_str()), (200, "Point it north.\n"));
    let manifest = rig.get(&format!("{at}/manifest")).await;
    assert_eq!((manifest.status, manifest.header("content-type")), (200, Some("text/plain")));
    assert!(manifest.body.contains("pnfd_name: antenna") && manifest.body.contains("Source: Files/manual.txt"), "{}", manifest.body);
    let text = rig.ask(&format!("GET {at}/pnfd"), &["accept: text/plain"], "").await;
    assert_eq!(text.status, 200, "{}", text.body);
    assert!(text.body.contains("type: example.nodes.Antenna"), "{}", text.body);
    assert_eq!(rig.get(&format!("{at}/artifacts/Files/other.txt")).await.status, 404);

    // Found among others; changed where it may be, by the version that was seen.
    let list = rig.show(&format!("{ALL}?filter=(eq,pnfdName,antenna)&exclude_default")).await;
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list:#}");
    assert!(list[0]["userDefinedData"].is_null() && list[0]["pnfdId"] == id, "{list:#}");
    let tag = rig.get(&at).await.header("etag").expect("etag").to_owned();
    let merged = rig.patch(&at, &[&format!("if-match: {tag}")], json!({"userDefinedData": {"site": null, "mast": 2}})).await;
    assert_eq!(merged.status, 200, "{}", merged.body);
    fits(schema::NSD, "PnfdInfoModifications", &merged.json());
    assert_eq!(rig.show(&at).await["userDefinedData"], json!({"mast": 2}));
    let stale = rig.patch(&at, &[&format!("if-match: {tag}")], json!({"userDefinedData": {"mast": 3}})).await;
    assert_eq!(stale.status, 412, "{}", stale.body);
    assert_eq!(rig.patch(&at, &[], json!({"pnfdName": "x"})).await.status, 422, "nothing that can be changed");
    assert_eq!(rig.put(&format!("{at}/pnfd_content"), &build(ANTENNA)).await.status, 409, "it has content already");

    assert_eq!(rig.delete(&at).await.status, 204);
    assert_eq!(rig.get(&at).await.status, 404);
    assert_eq!(rig.delete(&empty).await.status, 204);
    // What nobody names any more is gone from the disk: the same archive comes anew.
    let (_, again) = upload(&rig, ANTENNA).await;
    assert_eq!(again["pnfdOnboardingState"], "ONBOARDED", "{again:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pnfd_that_is_none_or_is_there_already_says_why_and_can_be_tried_again() {
    let rig = rig(64, "").await;
    let (at, v) = upload(&rig, "tests/fixtures/packages/edge").await;
    assert_eq!(v["pnfdOnboardingState"], "ERROR", "{v:#}");
    let why = v["onboardingFailureDetails"].to_string();
    assert!(why.contains("this is an NSD archive, and a PNFD archive is expected here"), "{why}");
    assert_eq!(rig.put(&format!("{at}/pnfd_content"), &build(ANTENNA)).await.status, 202);
    let v = rig.settled(&at, "pnfdOnboardingState", &["UPLOADING", "PROCESSING"]).await;
    assert_eq!(v["pnfdOnboardingState"], "ONBOARDED", "{v:#}");
    let (_, twin) = upload(&rig, ANTENNA).await;
    assert!(twin["onboardingFailureDetails"].to_string().contains("is onboarded already"), "{twin:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pnfds_are_of_their_project() {
    let rig = rig(64, "").await;
    made(&rig, "/bothy/v1/projects", json!({"name": "lab"})).await;
    let stranger = bearer(&user(&rig, "stranger", "operator", "lab").await);
    let (at, _) = upload(&rig, ANTENNA).await;
    for path in [at.clone(), format!("{at}/pnfd_content"), format!("{at}/pnfd"), format!("{at}/manifest")] {
        assert_eq!(bare(&rig, &format!("GET {path}"), &[&stranger], "").await.status, 404, "{path}");
    }
    assert_eq!(bare(&rig, &format!("DELETE {at}"), &[&stranger], "").await.status, 404);
    assert_eq!(bare(&rig, &format!("GET {ALL}"), &[&stranger], "").await.body, "[]");
    let kept = rig.delete("/bothy/v1/projects/default").await;
    assert!(kept.status == 409, "{} {}", kept.status, kept.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_hear_of_pnfds_and_filters_tell_them_from_nsds() {
    let rig = rig(64, "").await;
    let (all, ours, others) = (Subscriber::start(None).await, Subscriber::start(None).await, Subscriber::start(None).await);
    for (s, filter) in [
        (&all, json!({})),
        (&ours, json!({"pnfdName": ["antenna"], "notificationTypes": ["PnfdDeletionNotification", "NsdDeletionNotification"]})),
        (&others, json!({"nsdOnboardingState": ["ONBOARDED"]})),
    ] {
        let made = rig.post("/nsd/v2/subscriptions", json!({"callbackUri": s.uri(), "filter": filter})).await;
        assert_eq!(made.status, 201, "{}", made.body);
        fits(schema::NSD, "NsdmSubscription", &made.json());
    }
    let (failed, _) = upload(&rig, "tests/fixtures/packages/edge").await;
    let (at, v) = upload(&rig, ANTENNA).await;
    assert_eq!(rig.delete(&failed).await.status, 204, "of what was never onboarded nobody hears");
    assert_eq!(rig.delete(&at).await.status, 204);
    // The last word to those who hear of services only.
    for p in ["client", "firewall", "web"] {
        rig.onboard_vnf(&format!("descriptors/vcpe/vcpe-{p}")).await;
    }
    rig.onboard_nsd("descriptors/vcpe/vcpe-ns").await;

    let news = all.until(4).await;
    let kinds: Vec<_> = news.iter().map(|n| n["notificationType"].as_str().expect("type").replace("Notification", "")).collect();
    assert_eq!(kinds, ["PnfdOnboardingFailure", "PnfdOnboarding", "PnfdDeletion", "NsdOnBoarding"]);
    for (n, name) in news.iter().zip(["PnfdOnBoardingFailureNotification", "PnfdOnBoardingNotification", "PnfdDeletionNotification"]) {
        fits(schema::NSD_NOTIFICATION, name, n);
    }
    assert!(news[0]["onboardingFailureDetails"]["detail"].is_string(), "{:#}", news[0]);
    assert_eq!((&news[1]["pnfdInfoId"], &news[1]["pnfdId"]), (&v["id"], &v["pnfdId"]));
    let told = |s: &[Value]| s.iter().map(|n| n["notificationType"].clone()).collect::<Vec<_>>();
    assert_eq!(told(&ours.until(1).await), ["PnfdDeletionNotification"]);
    assert_eq!(told(&others.until(1).await), ["NsdOnBoardingNotification"]);
}

const ROOF: &str = "    roof:
      type: tosca.nodes.nfv.PNF
      metadata: { bothy.physical.virtual_link: wan }
      properties: { descriptor_id: 61f5d2c7-5f0a-4d07-8a59-0b54a1f6d001 }
      requirements:
        - virtual_link: wan

    mgmt:
      type: tosca.nodes.nfv.NsVirtualLink
";

/// The shipped service with the antenna on its WAN.
async fn roofed(rig: &Rig) -> String {
    rig.onboard_vcpe().await;
    let dir = tempfile::tempdir().expect("dir");
    copy_dir(std::path::Path::new("descriptors/vcpe/vcpe-ns"), dir.path());
    let at = dir.path().join("Definitions/vcpe-ns.yaml");
    let mut text = std::fs::read_to_string(&at).expect("the descriptor");
    for (from, to) in [("    mgmt:\n      type: tosca.nodes.nfv.NsVirtualLink\n", ROOF), (NSD, OTHER)] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    std::fs::write(&at, text).expect("written");
    let v = rig.onboard_nsd(&dir.path().to_string_lossy()).await;
    assert_eq!(v["nsdOnboardingState"], "ONBOARDED", "{v:#}");
    let made = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": OTHER, "nsName": "site", "nsDescription": ""})).await;
    made.header("location").expect("location").to_owned()
}

/// What is told of the antenna.
fn told(mac: &str) -> Value {
    let over = json!({"macAddress": mac});
    json!([{"cpdId": "air", "cpProtocolData": [{"layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": over}]}])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_of_a_running_service_is_told_of_anew_goes_and_comes_and_its_pnfd_stays_meanwhile() {
    let rig = rig(64, "").await;
    let (pnfd, v) = upload(&rig, ANTENNA).await;
    let id = v["pnfdId"].clone();
    let at = roofed(&rig).await;
    let antenna = |mac: &str| json!([{"pnfId": "a1", "pnfName": "roof", "pnfdId": id, "pnfProfileId": "roof", "cpData": told(mac)}]);
    let s = Subscriber::start(None).await;
    let ends = json!({"callbackUri": s.uri(), "filter": {"operationStates": ["COMPLETED"]}});
    assert_eq!(rig.post("/nslcm/v2/subscriptions", ends).await.status, 201);
    let ask = json!({"nsFlavourId": "default", "addpnfData": antenna("02:00:00:00:00:50")});
    let op = rig.task(&format!("{at}/instantiate"), ask).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    let mac = || async { rig.show(&at).await["pnfInfo"][0]["cpInfo"][0]["cpProtocolData"][0]["ipOverEthernet"]["macAddress"].clone() };
    assert_eq!(mac().await, "02:00:00:00:00:50");

    let used = rig.show(&pnfd).await;
    fits(schema::NSD, "PnfdInfo", &used);
    assert_eq!(used["pnfdUsageState"], "IN_USE");
    let r = rig.delete(&pnfd).await;
    assert_eq!(r.status, 409, "{}", r.body);
    let nets = admin::fits("/bothy/v1/networks", "get", &rig.get("/bothy/v1/networks").await);
    let wan = nets.as_array().expect("links").iter().find(|n| n["link"] == "wan").expect("wan").clone();
    assert_eq!((&wan["pnfs"][0]["name"], &wan["pnfs"][0]["mac"]), (&json!("roof"), &json!("02:00:00:00:00:50")), "{wan:#}");

    let task = format!("{at}/update");
    let update = |body: Value| {
        fits(schema::NSLCM, "UpdateNsRequest", &body);
        rig.task(&task, body)
    };
    let affected = |name: &str, change: &str| {
        json!([{"pnfId": "a1", "pnfdId": id, "pnfProfileId": "roof", "pnfName": name, "cpInstanceId": ["roof.virtual_link"],
                "changeType": change, "changeResult": "COMPLETED"}])
    };
    let edit = json!([{"pnfId": "a1", "pnfName": "mast",
        "cpData": [{"cpInstanceId": "roof.virtual_link", "cpProtocolData": told("02:00:00:00:00:51")[0]["cpProtocolData"]}]}]);
    let op = update(json!({"updateType": "MODIFY_PNF", "modifyPnfData": edit})).await;
    assert_eq!(
        (&op["operationState"], &op["resourceChanges"]["affectedPnfs"]),
        (&json!("COMPLETED"), &affected("mast", "MODIFY")),
        "{op:#}"
    );
    assert_eq!((mac().await, &rig.show(&at).await["pnfInfo"][0]["pnfName"]), (json!("02:00:00:00:00:51"), &json!("mast")));

    let op = update(json!({"updateType": "REMOVE_PNF", "removePnfId": ["a1"]})).await;
    assert_eq!(
        (&op["operationState"], &op["resourceChanges"]["affectedPnfs"]),
        (&json!("COMPLETED"), &affected("mast", "REMOVE")),
        "{op:#}"
    );
    assert_eq!((&rig.show(&at).await["pnfInfo"], &rig.show(&pnfd).await["pnfdUsageState"]), (&Value::Null, &json!("NOT_IN_USE")));
    let op = update(json!({"updateType": "ADD_PNF", "addPnfData": antenna("02:00:00:00:00:52")})).await;
    assert_eq!((&op["operationState"], &op["resourceChanges"]["affectedPnfs"]), (&json!("COMPLETED"), &affected("roof", "ADD")), "{op:#}");
    let news = s.until(4).await;
    for (told, (name, change)) in news[1..].iter().zip([("mast", "MODIFY"), ("mast", "REMOVE"), ("roof", "ADD")]) {
        assert_eq!(told["affectedPnf"], affected(name, change), "{told:#}");
    }
    assert_eq!(rig.show(&pnfd).await["pnfdUsageState"], "IN_USE");

    for (body, status, says) in [
        (json!({"updateType": "ADD_PNF"}), 422, "addPnfData: needed"),
        (json!({"updateType": "MODIFY_PNF", "modifyPnfData": [{"pnfId": "a1"}]}), 422, "either pnfName or cpData"),
        (
            json!({"updateType": "MODIFY_PNF", "modifyPnfData": [{"pnfId": "a1", "cpData": [{"cpProtocolData": []}]}]}),
            422,
            "cpInstanceId or cpdId",
        ),
        (json!({"updateType": "REMOVE_PNF", "removePnfId": ["a2"]}), 422, "has no PNF 'a2'; it has a1"),
        (json!({"updateType": "ADD_SAP", "addSap": []}), 404, "ADD_PNF, MODIFY_PNF and REMOVE_PNF are offered yet"),
    ] {
        let r = rig.post(&format!("{at}/update"), body).await;
        assert_eq!(r.status, status, "{}", r.body);
        assert!(r.problem().contains(says), "{says}: {}", r.body);
    }
}
