//! SOL002: what a VNF's element manager meets at a listener of its own, and what it does not. Replies are held against
//! SOL002's files.

use bothy::vim::port::GuestState;
use serde_json::{Value, json};

use crate::{
    declared::Face,
    identity::{bare, bearer, user},
    kit::fits,
    notify::Subscriber,
    rig::{Reply, Rig, rig},
    schema::{VNFFM_OF_SOL002, VNFLCM_OF_SOL002},
};

const VNFS: &str = "/vnflcm/v2/vnf_instances";

/// An account of an element manager; with a second role it also acts.
async fn manager(rig: &Rig, name: &str, acts: bool) -> String {
    let role = json!({"permissions": ["vnf:act", "vnf:change", "vnf:create", "vnf:delete", "alarm:act", "performance:create"]});
    let put = rig.ask("PUT /bothy/v1/roles/em", &["content-type: application/json"], &role.to_string()).await;
    assert!(put.status < 300, "{}", put.body);
    let token = bearer(&user(rig, name, "vnf", "default").await);
    if acts {
        let more = rig.patch(&format!("/bothy/v1/users/{name}"), &[], json!({"roles": ["vnf", "em"]})).await;
        assert_eq!(more.status, 200, "{}", more.body);
    }
    token
}

async fn ask(rig: &Rig, who: &str, line: &str, body: Value) -> Reply {
    let form = if line.starts_with("PATCH") { "content-type: application/merge-patch+json" } else { "content-type: application/json" };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    bare(rig, line, &[who, form], &body).await
}

async fn up(rig: &Rig, vnfd: &Value, em: Option<&str>) -> String {
    let metadata = em.map_or(json!({}), |em| json!({"bothy.em": em}));
    let made = rig.post(VNFS, json!({"vnfdId": vnfd, "metadata": metadata})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let at = made.header("location").expect("location").to_owned();
    let op = rig.task(&format!("{at}/instantiate"), json!({"flavourId": "default"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    at
}

fn id(at: &str) -> &str {
    at.rsplit('/').next().expect("an id")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_element_manager_meets_what_is_in_its_charge_and_nothing_else() {
    let mut rig = rig(64, "").await;
    let vnfd = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await["vnfdId"].clone();
    let em = manager(&rig, "em-a", false).await;
    let lonely = manager(&rig, "em-b", false).await;
    let (his, other) = (up(&rig, &vnfd, Some("em-a")).await, up(&rig, &vnfd, None).await);
    // The rest of the box is not there for it at the other listeners either, whatever its other roles let it do.
    let more = json!({"permissions": ["network:read", "host:read", "operation:read", "vnfpkg:read", "ns:read", "plan:read"]});
    let put = rig.ask("PUT /bothy/v1/roles/look", &["content-type: application/json"], &more.to_string()).await;
    assert!(put.status < 300, "{}", put.body);
    assert_eq!(rig.patch("/bothy/v1/users/em-a", &[], json!({"roles": ["vnf", "look"]})).await.status, 200);
    for path in [
        "/bothy/v1/networks",
        "/bothy/v1/host/usage",
        "/bothy/v1/explain/x",
        "/bothy/v1/chains",
        "/bothy/v1/sdn/services",
        "/nslcm/v2/ns_instances",
    ] {
        assert_eq!(ask(&rig, &em, &format!("GET {path}"), Value::Null).await.status, 403, "{path}");
    }
    rig.show_face(Face::Element);

    let seen = ask(&rig, &em, &format!("GET {VNFS}"), Value::Null).await.json();
    let ids: Vec<&str> = seen.as_array().expect("a list").iter().filter_map(|v| v["id"].as_str()).collect();
    assert_eq!(ids, [id(&his)]);
    assert_eq!(ask(&rig, &lonely, &format!("GET {VNFS}"), Value::Null).await.json(), json!([]), "deny by default");
    let shown = ask(&rig, &em, &format!("GET {his}"), Value::Null).await.json();
    fits(VNFLCM_OF_SOL002, "VnfInstance", &shown);
    let guest = &shown["instantiatedVnfInfo"]["vnfcInfo"][0];
    assert_eq!((&guest["vduId"], &guest["vnfcState"]), (&json!("web"), &json!("STARTED")), "{shown:#}");
    assert_eq!(guest["vnfcResourceInfoId"], shown["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["id"]);
    assert_eq!(ask(&rig, &em, &format!("GET {other}"), Value::Null).await.status, 404);
    let ops = ask(&rig, &em, "GET /vnflcm/v2/vnf_lcm_op_occs", Value::Null).await.json();
    let of: Vec<&Value> = ops.as_array().expect("a list").iter().map(|o| &o["vnfInstanceId"]).collect();
    assert_eq!(of, [id(&his)], "{ops:#}");
    let op = format!("/vnflcm/v2/vnf_lcm_op_occs/{}", ops[0]["id"].as_str().expect("id"));
    assert_eq!(ask(&rig, &em, &format!("GET {op}"), Value::Null).await.status, 200);
    assert_eq!(ask(&rig, &lonely, &format!("GET {op}"), Value::Null).await.status, 404);

    // It looks; it acts where a role lets it.
    assert_eq!(ask(&rig, &em, &format!("POST {his}/operate"), json!({"changeStateTo": "STOPPED"})).await.status, 403);
    // What other reference points have is not there.
    for line in ["GET /vnfpkgm/v2/vnf_packages", "GET /nslcm/v2/ns_instances", "GET /bothy/v1/health", "GET /grant/v1/grants/1"] {
        assert_eq!(ask(&rig, &em, line, Value::Null).await.status, 404, "{line}");
    }
    let snapshot = ask(&rig, &em, "PATCH /vnflcm/v2/vnf_snapshots/00000000-0000-4000-8000-000000000000", json!({})).await;
    assert!(snapshot.status == 405 && snapshot.header("allow").is_some_and(|a| !a.contains("PATCH")), "{}", snapshot.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_element_manager_with_a_role_for_it_heals_modifies_and_escalates() {
    let mut rig = rig(64, "").await;
    let vnfd = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await["vnfdId"].clone();
    let em = manager(&rig, "em-a", true).await;
    let (his, other) = (up(&rig, &vnfd, Some("em-a")).await, up(&rig, &vnfd, None).await);
    rig.show_face(Face::Element);
    let settle = async |r: Reply| {
        assert_eq!(r.status, 202, "{}", r.body);
        rig.settled(r.header("location").expect("location"), "operationState", &["STARTING", "PROCESSING"]).await
    };

    let guest = rig.show(&his).await["instantiatedVnfInfo"]["vnfcInfo"][0]["id"].clone();
    let healed = settle(ask(&rig, &em, &format!("POST {his}/heal"), json!({"vnfcInstanceId": [guest], "cause": "slow"})).await).await;
    fits(VNFLCM_OF_SOL002, "VnfLcmOpOcc", &healed);
    assert_eq!((&healed["operation"], &healed["operationState"]), (&json!("HEAL"), &json!("COMPLETED")), "{healed:#}");
    assert_ne!(rig.show(&his).await["instantiatedVnfInfo"]["vnfcInfo"][0]["id"], guest, "made anew");
    settle(ask(&rig, &em, &format!("PATCH {his}"), json!({"vnfInstanceName": "front"})).await).await;
    let one = ask(&rig, &em, &format!("POST {his}/operate"), json!({"changeStateTo": "STOPPED", "vnfcInstanceId": ["x"]})).await;
    assert_eq!(one.status, 422, "{}", one.body);
    assert!(one.problem().contains("together"), "{}", one.body);
    assert_eq!(ask(&rig, &em, &format!("POST {other}/heal"), json!({})).await.status, 404);

    // What it makes is in its charge, whatever else it says.
    let made = ask(&rig, &em, &format!("POST {VNFS}"), json!({"vnfdId": vnfd, "metadata": {"bothy.em": "em-z"}})).await;
    assert_eq!((made.status, &made.json()["metadata"]["bothy.em"]), (201, &json!("em-a")), "{}", made.body);
    let snapshot = ask(&rig, &em, "POST /vnflcm/v2/vnf_snapshots", json!({})).await;
    assert_eq!(snapshot.status, 201, "{}", snapshot.body);
    let snapshot = snapshot.json()["id"].clone();
    let taken = settle(ask(&rig, &em, &format!("POST {his}/create_snapshot"), json!({"vnfSnapshotInfoId": snapshot})).await).await;
    assert_eq!(taken["operationState"], "COMPLETED", "{taken:#}");
    let all = ask(&rig, &em, "GET /vnflcm/v2/vnf_snapshots?all_fields", Value::Null).await.json();
    assert_eq!(all[0]["id"], snapshot, "{all:#}");
    fits(VNFLCM_OF_SOL002, "VnfSnapshotInfo", &all[0]);

    // Of one guest alone there is none, and nothing else is done in its place.
    for (task, one) in
        [("create_snapshot", "vnfcInstanceId"), ("revert_to_snapshot", "vnfcInstanceId"), ("revert_to_snapshot", "vnfcSnapshotInfoId")]
    {
        let r = ask(&rig, &em, &format!("POST {his}/{task}"), json!({"vnfSnapshotInfoId": snapshot, one: "x"})).await;
        assert!(r.status == 422 && r.problem().contains(one), "{task} {one}: {}", r.body);
    }

    // Its alarm is worse than it looks from here, and stays so.
    let guest = rig.show(&his).await["instantiatedVnfInfo"]["vnfcInfo"][0]["id"].as_str().expect("id").to_owned();
    rig.sim.put(guest.parse().expect("id"), GuestState::Crashed).expect("crashed");
    let alarm = loop {
        let all = ask(&rig, &em, "GET /vnffm/v1/alarms", Value::Null).await.json();
        if let Some(a) = all.as_array().and_then(|a| a.first()) {
            break a.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    fits(VNFFM_OF_SOL002, "Alarm", &alarm);
    assert_eq!(alarm["vnfcInstanceIds"], json!([guest]), "{alarm:#}");
    let at = format!("/vnffm/v1/alarms/{}", alarm["id"].as_str().expect("id"));
    assert_eq!(ask(&rig, &em, &format!("GET {at}"), Value::Null).await.json(), alarm);
    let escalate = async |to: &str| ask(&rig, &em, &format!("POST {at}/escalate"), json!({"proposedPerceivedSeverity": to})).await.status;
    assert_eq!(escalate("CRITICAL").await, 204);
    assert_eq!(rig.show(&at).await["perceivedSeverity"], "CRITICAL");
    assert_eq!((escalate("CRITICAL").await, escalate("MINOR").await, escalate("CLEARED").await), (204, 422, 422));
    let filtered = ask(&rig, &em, &format!("GET /vnffm/v1/alarms?filter=(cont,vnfcInstanceIds,{guest})"), Value::Null).await.json();
    assert_eq!(filtered.as_array().map(Vec::len), Some(1), "{filtered:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_element_manager_hears_of_what_is_in_its_charge() {
    let mut rig = rig(64, "").await;
    let vnfd = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await["vnfdId"].clone();
    let (em, lonely) = (manager(&rig, "em-a", true).await, manager(&rig, "em-b", true).await);
    let (his, other) = (up(&rig, &vnfd, Some("em-a")).await, up(&rig, &vnfd, None).await);
    let subscriber = Subscriber::start(None).await;
    rig.show_face(Face::Element);
    let to = subscriber.uri();
    let all = "/vnflcm/v2/subscriptions";
    let none = ask(&rig, &lonely, &format!("POST {all}"), json!({"callbackUri": to})).await;
    assert_eq!(none.status, 422, "{}", none.body);
    let foreign = json!({"callbackUri": to, "filter": {"vnfInstanceSubscriptionFilter": {"vnfInstanceIds": [id(&other)]}}});
    assert_eq!(ask(&rig, &em, &format!("POST {all}"), foreign).await.status, 422);
    let made = ask(&rig, &em, &format!("POST {all}"), json!({"callbackUri": to})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let at = made.header("location").expect("location").to_owned();
    assert_eq!(ask(&rig, &em, &format!("GET {at}"), Value::Null).await.status, 200);
    assert_eq!(ask(&rig, &lonely, &format!("GET {at}"), Value::Null).await.status, 404);
    assert_eq!(ask(&rig, &lonely, &format!("GET {all}"), Value::Null).await.json(), json!([]));

    for vnf in [&other, &his] {
        rig.task(&format!("{vnf}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
    }
    let of = subscriber.until(3).await;
    assert!(of.iter().all(|n| n["vnfInstanceId"] == id(&his)), "{of:#?}");
    assert_eq!(ask(&rig, &em, &format!("DELETE {at}"), Value::Null).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_charge_of_a_vnf_hears_nothing_more_of_it() {
    let mut rig = rig(64, "").await;
    let vnfd = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await["vnfdId"].clone();
    let em = manager(&rig, "em-a", true).await;
    let (kept, lost) = (up(&rig, &vnfd, Some("em-a")).await, up(&rig, &vnfd, Some("em-a")).await);
    let (of_both, of_one, faults) = (Subscriber::start(None).await, Subscriber::start(None).await, Subscriber::start(None).await);
    rig.show_face(Face::Element);
    let only = json!({"vnfInstanceSubscriptionFilter": {"vnfInstanceIds": [id(&lost)]}, "notificationTypes": ["VnfIdentifierDeletionNotification"]});
    let mut at = Vec::new();
    for (all, body) in [
        ("/vnflcm/v2/subscriptions", json!({"callbackUri": of_both.uri()})),
        ("/vnflcm/v2/subscriptions", json!({"callbackUri": of_one.uri(), "filter": only})),
        ("/vnffm/v1/subscriptions", json!({"callbackUri": faults.uri()})),
    ] {
        let made = ask(&rig, &em, &format!("POST {all}"), body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        at.push(made.header("location").expect("location").to_owned());
    }
    // An alarm that it is told of names the guest, as those that it reads do.
    let guest = ask(&rig, &em, &format!("GET {kept}"), Value::Null).await.json()["instantiatedVnfInfo"]["vnfcInfo"][0]["id"].clone();
    rig.sim.put(guest.as_str().expect("id").parse().expect("id"), GuestState::Crashed).expect("crashed");
    let told = faults.until(1).await;
    assert_eq!(
        (&told[0]["notificationType"], &told[0]["alarm"]["vnfcInstanceIds"]),
        (&json!("AlarmNotification"), &json!([guest])),
        "{told:#?}"
    );

    rig.show_face(Face::Main);
    let r = rig.patch(&lost, &[], json!({"metadata": {"bothy.em": "somebody else"}})).await;
    assert_eq!(r.status, 202, "{}", r.body);
    rig.settled(r.header("location").expect("location"), "operationState", &["STARTING", "PROCESSING"]).await;
    rig.task(&format!("{lost}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
    assert_eq!(rig.delete(&lost).await.status, 204);
    rig.task(&format!("{kept}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
    assert_eq!(rig.delete(&kept).await.status, 204);
    // Told in order: what came before the last one is all there is.
    let gone = |n: &Value| n["notificationType"] == "VnfIdentifierDeletionNotification";
    let begun = std::time::Instant::now();
    while !of_both.news().iter().any(gone) {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:#?}", of_both.news());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let all = of_both.news();
    let of_lost: Vec<&Value> = all.iter().filter(|n| n["vnfInstanceId"] == id(&lost)).collect();
    assert!(of_lost.iter().all(|n| n["operation"] == "MODIFY_INFO"), "{of_lost:#?}");
    assert!(all.iter().any(|n| n["operation"] == "TERMINATE" && n["vnfInstanceId"] == id(&kept)), "{all:#?}");
    assert!(of_one.news().is_empty(), "{:#?}", of_one.news());
    // They are still its own, to read and to end.
    rig.show_face(Face::Element);
    assert_eq!(ask(&rig, &em, "GET /vnflcm/v2/subscriptions", Value::Null).await.json().as_array().map(Vec::len), Some(2));
    for at in &at {
        assert_eq!(ask(&rig, &em, &format!("GET {at}"), Value::Null).await.status, 200, "{at}");
        assert_eq!(ask(&rig, &em, &format!("DELETE {at}"), Value::Null).await.status, 204, "{at}");
    }
}
