//! Snapshots of VNFs over HTTP (SOL003 5.4.21 to 5.4.24): made, filled, listed, reverted to, deleted; what each
//! state refuses, what operations and subscribers are shown, and whose they are.

use bothy::{
    model::error::Kind,
    sim::{
        Leftover,
        faults::{Method, Rule, Then},
    },
};
use serde_json::{Value, json};

use crate::{
    identity::{bare, bearer, made, user},
    kit::fits,
    notify::Subscriber,
    rig::{Rig, rig},
    schema,
};

const ALL: &str = "/vnflcm/v2/vnf_snapshots";

/// A VNF that runs.
async fn up(rig: &Rig, vnfd: &Value, name: &str) -> String {
    let made = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": vnfd["vnfdId"], "vnfInstanceName": name})).await;
    let at = made.header("location").expect("location").to_owned();
    let op = rig.task(&format!("{at}/instantiate"), json!({"flavourId": "default"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    at
}

/// An empty one: its path and id.
async fn empty(rig: &Rig) -> (String, String) {
    let r = rig.post(ALL, json!({})).await;
    assert_eq!(r.status, 201, "{}", r.body);
    fits(schema::VNFLCM, "VnfSnapshotInfo", &r.json());
    assert!(r.header("etag").is_some());
    (r.header("location").expect("location").to_owned(), r.json()["id"].as_str().expect("id").to_owned())
}

async fn take(rig: &Rig, vnf: &str, id: &str) -> Value {
    let ask = json!({"vnfSnapshotInfoId": id, "userDefinedData": {"name": "before the update"}});
    fits(schema::VNFLCM, "CreateVnfSnapshotRequest", &ask);
    rig.task(&format!("{vnf}/create_snapshot"), ask).await
}

fn id_of(at: &str) -> String {
    at.rsplit('/').next().expect("an id").to_owned()
}

fn copies(rig: &Rig) -> usize {
    rig.sim.leftovers().iter().filter(|l| matches!(l, Leftover::Copy(_))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_made_filled_shown_reverted_to_and_deleted() {
    let rig = rig(64, "").await;
    let vnfd = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let vnf = up(&rig, &vnfd, "web").await;
    let links = rig.show(&vnf).await["_links"].clone();
    assert!(links["createSnapshot"].is_object() && links["revertToSnapshot"].is_object(), "{links:#}");
    let (at, id) = empty(&rig).await;
    assert_eq!(rig.show(&at).await["vnfSnapshot"], Value::Null);

    let op = take(&rig, &vnf, &id).await;
    assert_eq!((op["operation"].as_str(), op["operationState"].as_str()), (Some("CREATE_SNAPSHOT"), Some("COMPLETED")), "{op:#}");
    assert_eq!((&op["vnfSnapshotInfoId"], &op["operationParams"]["vnfSnapshotInfoId"]), (&json!(id), &json!(id)));
    assert!(op["_links"]["vnfSnapshot"]["href"].as_str().expect("link").ends_with(&at) && op["resourceChanges"].is_null(), "{op:#}");
    let info = rig.show(&at).await;
    fits(schema::VNFLCM, "VnfSnapshotInfo", &info);
    let (s, instance) = (&info["vnfSnapshot"], rig.show(&vnf).await);
    assert_eq!((&s["vnfInstanceId"], &s["vnfdId"]), (&instance["id"], &vnfd["vnfdId"]));
    assert_eq!(s["vnfInstance"]["instantiatedVnfInfo"], instance["instantiatedVnfInfo"], "a copy of the instance");
    assert_eq!(s["userDefinedData"]["name"], "before the update");
    assert!(s["creationStartedAt"].is_string() && s["creationFinishedAt"].is_string(), "{s:#}");
    assert!(info["_links"]["takenFrom"]["href"].as_str().expect("link").ends_with(&vnf));
    let guest = &instance["instantiatedVnfInfo"]["vnfcResourceInfo"][0];
    let taken = &s["vnfcSnapshots"][0];
    assert_eq!((&taken["vnfcInstanceId"], &taken["vnfcResourceInfoId"]), (&guest["id"], &guest["id"]));
    let storage = &taken["storageSnapshotResources"][0];
    assert_eq!(storage["storageResourceId"], guest["storageResourceIds"][0]);
    assert!(storage["storageSnapshotResource"]["sizeInBytes"].as_u64().is_some_and(|n| n > 0), "{storage:#}");
    assert_eq!(taken["computeSnapshotResource"], Value::Null, "no memory is kept");

    let disk = guest["storageResourceIds"][0].as_str().expect("id").parse().expect("a disk");
    rig.sim.write_disk(disk, b"since then");
    let op = rig.task(&format!("{vnf}/revert_to_snapshot"), json!({"vnfSnapshotInfoId": id})).await;
    assert_eq!((op["operation"].as_str(), op["operationState"].as_str()), (Some("REVERT_TO_SNAPSHOT"), Some("COMPLETED")), "{op:#}");
    assert_eq!(rig.sim.read_disk(disk), b"");
    let changes = &op["resourceChanges"];
    assert_eq!((&changes["affectedVnfcs"][0]["id"], &changes["affectedVnfcs"][0]["changeType"]), (&guest["id"], &json!("MODIFIED")));
    let storages = &changes["affectedVirtualStorages"];
    assert_eq!((&storages[0]["id"], &storages[0]["changeType"]), (&guest["storageResourceIds"][0], &json!("MODIFIED")));
    assert_eq!(op["vnfSnapshotInfoId"], json!(id));

    // It outlives its VNF, and goes when it is told to.
    rig.task(&format!("{vnf}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
    assert_eq!(rig.delete(&vnf).await.status, 204);
    fits(schema::VNFLCM, "VnfSnapshotInfo", &rig.show(&at).await);
    let tag = rig.get(&at).await.header("etag").expect("etag").to_owned();
    assert_eq!(rig.ask(&format!("GET {at}"), &[&format!("if-none-match: {tag}")], "").await.status, 304);
    assert_eq!(rig.ask(&format!("DELETE {at}"), &["if-match: \"99\""], "").await.status, 412);
    assert_eq!(rig.ask(&format!("DELETE {at}"), &[&format!("if-match: {tag}")], "").await.status, 204);
    assert_eq!(rig.get(&at).await.status, 404);
    // What the revert kept goes with the next look for such files.
    rig.core.vnfm().sweep_copies().expect("swept");
    assert_eq!(rig.sim.leftovers(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_state_refuses_what_it_must_and_says_why() {
    let rig = rig(64, "").await;
    let vnfd = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let made = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": vnfd["vnfdId"]})).await;
    let down = made.header("location").expect("location").to_owned();
    let vnf = up(&rig, &vnfd, "web").await;
    let other = up(&rig, &vnfd, "other").await;
    let (nothing, nothing_id) = empty(&rig).await;
    let (full, full_id) = empty(&rig).await;
    take(&rig, &vnf, &full_id).await;
    let stranger = "b0714199-0000-4000-8000-000000000001";

    for (at, task, body, status, says) in [
        (&down, "create_snapshot", json!({"vnfSnapshotInfoId": nothing_id}), 409, "is not instantiated"),
        (&down, "revert_to_snapshot", json!({"vnfSnapshotInfoId": full_id}), 409, "is not instantiated"),
        (&vnf, "create_snapshot", json!({"vnfSnapshotInfoId": stranger}), 422, "there is no VNF snapshot"),
        (&vnf, "create_snapshot", json!({"vnfSnapshotInfoId": "x"}), 422, "there is no VNF snapshot 'x'"),
        (&vnf, "create_snapshot", json!({"vnfSnapshotInfoId": full_id}), 422, "has its content already"),
        (&vnf, "create_snapshot", json!({}), 422, "vnfSnapshotInfoId"),
        (&vnf, "create_snapshot", json!({"vnfSnapshotInfoId": nothing_id, "additionalParams": {"fast": true}}), 422, "fast: is not known"),
        (&vnf, "revert_to_snapshot", json!({"vnfSnapshotInfoId": stranger}), 422, "there is no VNF snapshot"),
        (&vnf, "revert_to_snapshot", json!({"vnfSnapshotInfoId": nothing_id}), 409, "is empty"),
        (&vnf, "revert_to_snapshot", json!({"vnfSnapshotInfoId": full_id, "additionalParams": {"a": 1}}), 422, "a: is not known"),
        (&other, "revert_to_snapshot", json!({"vnfSnapshotInfoId": full_id}), 409, "is one of VNF instance"),
    ] {
        let r = rig.post(&format!("{at}/{task}"), body).await;
        assert_eq!(r.status, status, "{task}: {says}: {}", r.body);
        assert!(r.problem().contains(says), "{task}: {says}: {}", r.body);
    }
    for body in [json!({"vnfSnapshotPkgId": stranger}), json!({"vnfSnapshot": rig.show(&full).await["vnfSnapshot"]})] {
        fits(schema::VNFLCM, "CreateVnfSnapshotInfoRequest", &body);
        let r = rig.post(ALL, body.clone()).await;
        assert!(r.status == 422 && r.problem().contains("not offered"), "{}", r.body);
        let r = rig.patch(&nothing, &[], body).await;
        assert!(r.status == 422 && r.problem().contains("not offered"), "{}", r.body);
    }
    let r = rig.patch(&nothing, &[], json!({})).await;
    assert_eq!((r.status, r.json()), (200, json!({})), "{}", r.body);
    fits(schema::VNFLCM, "VnfSnapshotInfoModifications", &r.json());
    assert_eq!(rig.patch(&nothing, &["if-match: \"99\""], json!({})).await.status, 412);
    let r = rig.patch(&full, &[], json!({})).await;
    assert!(r.status == 409 && r.problem().contains("not changed any more"), "{}", r.body);

    // In use: by an operation that waits for its client.
    for (task, id, at) in [("create_snapshot", &nothing_id, &nothing), ("revert_to_snapshot", &full_id, &full)] {
        let method = if task == "create_snapshot" { Method::CopyDisk } else { Method::RevertDisk };
        rig.sim.faults().add(Rule::next(method, Then::Fail(Kind::Conflict)));
        let op = rig.task(&format!("{vnf}/{task}"), json!({"vnfSnapshotInfoId": id})).await;
        assert_eq!(op["operationState"], "FAILED_TEMP", "{op:#}");
        let under_way = rig.show(at).await;
        fits(schema::VNFLCM, "VnfSnapshotInfo", &under_way);
        assert_eq!(under_way["vnfSnapshot"]["creationFinishedAt"].is_null(), task == "create_snapshot");
        for line in [format!("DELETE {at}"), format!("PATCH {at}")] {
            let body = if line.starts_with("PATCH") { "{}" } else { "" };
            let r = rig.ask(&line, &["content-type: application/merge-patch+json"], body).await;
            assert!(r.status == 409 && r.problem().contains("is in use by operation"), "{line}: {}", r.body);
        }
        let r = rig.post(&format!("{vnf}/{task}"), json!({"vnfSnapshotInfoId": id})).await;
        assert!(r.status == 409 && r.problem().contains("is held by operation"), "{}", r.body);
        for link in ["retry", "rollback", "fail"] {
            assert!(op["_links"][link].is_object(), "{link}: {op:#}");
        }
        let occ = format!("/vnflcm/v2/vnf_lcm_op_occs/{}", op["id"].as_str().expect("id"));
        assert_eq!(rig.ask(&format!("POST {occ}/rollback"), &[], "").await.status, 202);
        let back = rig.settled(&occ, "operationState", &["FAILED_TEMP", "ROLLING_BACK"]).await;
        fits(schema::VNFLCM, "VnfLcmOpOcc", &back);
        assert_eq!(back["operationState"], "ROLLED_BACK", "{back:#}");
    }
    assert_eq!((copies(&rig), rig.show(&nothing).await["vnfSnapshot"].is_null()), (1, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_filters_selects_and_leaves_out_what_is_large() {
    let rig = rig(64, "[limits]\npage = 1\n").await;
    let vnfd = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let vnf = up(&rig, &vnfd, "web").await;
    let (_, id) = empty(&rig).await;
    take(&rig, &vnf, &id).await;
    empty(&rig).await;
    let usual = rig.show(&format!("{ALL}?id={id}")).await;
    let s = &usual[0]["vnfSnapshot"];
    assert!(s["vnfInstanceId"].is_string() && s.get("vnfInstance").is_none() && s.get("vnfcSnapshots").is_none(), "{usual:#}");
    assert_eq!(rig.show(&format!("{ALL}?id={id}&exclude_default")).await, usual);
    let both = rig.show(&format!("{ALL}?id={id}&exclude_default&fields=vnfSnapshot/vnfcSnapshots")).await;
    let s = &both[0]["vnfSnapshot"];
    assert!(s.get("vnfInstance").is_none() && s["vnfcSnapshots"].is_array(), "{both:#}");
    let all = rig.show(&format!("{ALL}?id={id}&all_fields")).await;
    fits(schema::VNFLCM, "VnfSnapshotInfo", &all[0]);
    assert!(all[0]["vnfSnapshot"]["vnfInstance"].is_object());
    let of = |vnf: &str| format!("{ALL}?filter=(eq,vnfSnapshot%2FvnfInstanceId,{})", id_of(vnf));
    assert_eq!(rig.show(&of(&vnf)).await[0]["id"], json!(id));
    assert_eq!(rig.show(&of("x/none")).await, json!([]));
    // Two of them, one on a page.
    let first = rig.get(ALL).await;
    let next = first.header("link").expect("another page").split(['<', '>']).nth(1).expect("a link").to_owned();
    let second = rig.show(next.strip_prefix("https://localhost").expect("absolute")).await;
    assert_ne!(first.json()[0]["id"], second[0]["id"]);
    for bad in ["filter=x", "filter=(eq,nothing,x)", "fields=nothing", "colour=red", "nextpage_opaque_marker=x"] {
        assert_eq!(rig.get(&format!("{ALL}?{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_belong_to_a_project_and_count_against_its_quota() {
    let rig = rig(64, "").await;
    let vnfd = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let vnf = up(&rig, &vnfd, "web").await;
    let (at, id) = empty(&rig).await;
    made(&rig, "/bothy/v1/projects", json!({"name": "lab"})).await;
    let stranger = bearer(&user(&rig, "eve", "operator", "lab").await);
    let json_type = "content-type: application/json";
    assert_eq!(bare(&rig, &format!("GET {ALL}"), &[&stranger], "").await.body, "[]");
    for line in [format!("GET {at}"), format!("DELETE {at}")] {
        assert_eq!(bare(&rig, &line, &[&stranger], "").await.status, 404, "{line}");
    }
    let theirs = bare(&rig, &format!("POST {ALL}"), &[&stranger, json_type], "{}").await;
    let theirs = theirs.json()["id"].as_str().expect("id").to_owned();
    let r = rig
        .ask(
            &format!("POST {vnf}/create_snapshot"),
            &["bothy-project: default", json_type],
            &json!({"vnfSnapshotInfoId": theirs}).to_string(),
        )
        .await;
    assert!(r.status == 422 && r.problem().contains("there is no VNF snapshot"), "{}", r.body);
    let viewer = bearer(&user(&rig, "ann", "viewer", "default").await);
    assert_eq!(bare(&rig, &format!("GET {at}"), &[&viewer], "").await.status, 200);
    assert_eq!(bare(&rig, &format!("POST {ALL}"), &[&viewer, json_type], "{}").await.status, 403);
    assert_eq!(bare(&rig, &format!("DELETE {at}"), &[&viewer], "").await.status, 403);

    let used = rig.show("/bothy/v1/projects/default").await["used"].clone();
    let disk = used["diskMib"].as_u64().expect("MiB");
    let quota = json!({"quota": {"diskMib": disk + 1}});
    assert_eq!(rig.patch("/bothy/v1/projects/default", &[], quota).await.status, 200);
    let r = rig.post(&format!("{vnf}/create_snapshot"), json!({"vnfSnapshotInfoId": id})).await;
    assert!(r.status == 403 && r.problem().contains("disk: "), "{}", r.body);
    let quota = json!({"quota": {"diskMib": disk * 2}});
    assert_eq!(rig.patch("/bothy/v1/projects/default", &[], quota).await.status, 200);
    take(&rig, &vnf, &id).await;
    let now = rig.show("/bothy/v1/projects/default").await["used"]["diskMib"].as_u64().expect("MiB");
    assert!(disk < now && now < disk * 2, "what the copy takes, not what the disk could: {disk} and {now}");
    let r = rig.delete("/bothy/v1/projects/lab").await;
    assert!(r.status == 409 && r.problem().contains("1 VNF snapshots"), "{}", r.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_hear_of_each_state_of_both_operations() {
    let rig = rig(64, "").await;
    let vnfd = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let vnf = up(&rig, &vnfd, "web").await;
    let s = Subscriber::start(None).await;
    let filter = json!({"operationTypes": ["CREATE_SNAPSHOT", "REVERT_TO_SNAPSHOT"], "notificationTypes": ["VnfLcmOperationOccurrenceNotification"]});
    let r = rig.post("/vnflcm/v2/subscriptions", json!({"callbackUri": s.uri(), "filter": filter})).await;
    assert_eq!(r.status, 201, "{}", r.body);
    let (_, id) = empty(&rig).await;
    take(&rig, &vnf, &id).await;
    rig.task(&format!("{vnf}/revert_to_snapshot"), json!({"vnfSnapshotInfoId": id})).await;
    let heard = s.until(6).await;
    let told: Vec<_> = heard
        .iter()
        .map(|n| format!("{} {}", n["operation"].as_str().expect("op"), n["operationState"].as_str().expect("state")))
        .collect();
    let states = ["STARTING", "PROCESSING", "COMPLETED"];
    let want: Vec<_> = ["CREATE_SNAPSHOT", "REVERT_TO_SNAPSHOT"].iter().flat_map(|o| states.map(|s| format!("{o} {s}"))).collect();
    assert_eq!(told, want);
    for n in &heard {
        fits(schema::VNFLCM_NOTIFICATION, "VnfLcmOperationOccurrenceNotification", n);
    }
    assert!(heard[2]["affectedVnfcs"].is_null() && heard[5]["affectedVnfcs"][0]["changeType"] == "MODIFIED", "{heard:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oss_has_the_same_snapshots_in_its_own_words_and_a_state_is_in_none() {
    const OF_NS: &str = "/nslcm/v2/vnf_snapshots";
    let rig = rig(64, "").await;
    let vnfd = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let vnf = up(&rig, &vnfd, "web").await;
    let (at, id) = empty(&rig).await;
    let to = format!("{OF_NS}/{id}");
    let state = format!("{at}/vnf_state_snapshot");
    let early = rig.get(&state).await;
    assert!(early.status == 409 && early.problem().contains("is not complete"), "{}", early.body);
    assert_eq!(rig.show(&to).await["vnfSnapshot"], Value::Null);
    take(&rig, &vnf, &id).await;
    let (ours, theirs) = (rig.show(&at).await, rig.show(&to).await);
    fits(schema::NSLCM, "VnfSnapshotInfo", &theirs);
    let of = |v: &Value| v["vnfSnapshot"].clone();
    for member in ["id", "vnfInstanceId", "vnfdId", "creationStartedAt", "creationFinishedAt", "userDefinedData"] {
        assert_eq!(of(&ours)[member], of(&theirs)[member], "{member}");
    }
    let copy = |v: &Value, member: &str| of(v)["vnfcSnapshots"][0]["storageSnapshotResources"][0][member]["resourceId"].clone();
    assert_eq!(copy(&ours, "storageSnapshotResource"), copy(&theirs, "storageSnapshotResources"));
    assert!(copy(&theirs, "storageSnapshotResources").is_string());
    assert_eq!(of(&theirs)["vnfInstance"]["vnfPkgId"], vnfd["id"]);
    assert!(theirs["_links"]["self"]["href"].as_str().expect("a link").ends_with(&to));
    let listed = rig.show(&format!("{OF_NS}?filter=(eq,id,{id})")).await;
    assert!(listed[0]["vnfSnapshot"]["vnfInstance"].is_null() && listed[0]["vnfSnapshot"]["vnfdId"] == vnfd["vnfdId"], "{listed:#}");
    let none = rig.get(&state).await;
    assert!(none.status == 404 && none.problem().contains("its VNF gave none"), "{}", none.body);
    let stranger = bearer(&user(&rig, "ann", "viewer", "default").await);
    assert_eq!(bare(&rig, &format!("GET {to}"), &[&stranger], "").await.status, 200);
    assert_eq!(bare(&rig, &format!("DELETE {to}"), &[&stranger], "").await.status, 403);
    assert_eq!(rig.ask(&format!("DELETE {to}"), &["if-match: \"99\""], "").await.status, 412);
    assert_eq!((rig.delete(&to).await.status, rig.get(&at).await.status, rig.get(&to).await.status), (204, 404, 404));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_takes_snapshots_of_its_vnfs_goes_back_to_them_and_forgets_them() {
    let rig = rig(64, "").await;
    let nsd = rig.onboard_vcpe().await;
    let made = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "n", "nsDescription": ""})).await;
    let ns = made.header("location").expect("location").to_owned();
    let early = json!({"updateType": "CREATE_VNF_SNAPSHOT", "createSnapshotData": {"vnfInstanceId": id_of(&ns)}});
    assert_eq!(rig.post(&format!("{ns}/update"), early).await.status, 409);
    assert_eq!(rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await["operationState"], "COMPLETED");
    let member = rig.show(&ns).await["vnfInstance"][0].clone();
    let vnf = member["id"].as_str().expect("id").to_owned();
    let update = |ask: Value| {
        let (rig, ns) = (&rig, &ns);
        async move {
            fits(schema::NSLCM, "UpdateNsRequest", &ask);
            let op = rig.task(&format!("{ns}/update"), ask.clone()).await;
            assert_eq!((&op["lcmOperationType"], &op["operationParams"]), (&json!("UPDATE"), &ask), "{op:#}");
            op
        }
    };
    let take =
        json!({"updateType": "CREATE_VNF_SNAPSHOT", "createSnapshotData": {"vnfInstanceId": vnf, "userDefinedData": {"name": "one"}}});
    assert_eq!(update(take.clone()).await["operationState"], "COMPLETED");
    let of_vnf = format!("/nslcm/v2/vnf_snapshots?filter=(eq,vnfSnapshot%2FvnfInstanceId,{vnf})");
    let listed = rig.show(&of_vnf).await;
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]["vnfSnapshot"]["userDefinedData"]["name"]), (Some(1), &json!("one")));
    let id = listed[0]["id"].as_str().expect("id").to_owned();
    let disk = member["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["storageResourceIds"][0].as_str().expect("id").parse().expect("a disk");
    rig.sim.write_disk(disk, b"since then");
    let back = |id: &str| json!({"updateType": "REVERT_VNF_TO_SNAPSHOT", "revertVnfToSnapshotData": {"vnfInstanceId": vnf, "vnfSnapshotInfoId": id}});
    assert_eq!(update(back(&id)).await["operationState"], "COMPLETED");
    assert_eq!(rig.sim.read_disk(disk), b"");
    // The VNFM shows it as the part that it is.
    let parts = rig.show(&format!("/vnflcm/v2/vnf_lcm_op_occs?filter=(eq,vnfInstanceId,{vnf})")).await;
    let kinds: Vec<&str> = parts.as_array().expect("a list").iter().filter_map(|o| o["operation"].as_str()).collect();
    assert!(kinds.contains(&"CREATE_SNAPSHOT") && kinds.contains(&"REVERT_TO_SNAPSHOT"), "{kinds:?}");

    let nobody = "00000000-0000-4000-8000-000000000000";
    for (ask, says) in [
        (json!({"updateType": "CREATE_VNF_SNAPSHOT"}), "createSnapshotData: needed"),
        (json!({"updateType": "CREATE_VNF_SNAPSHOT", "createSnapshotData": {"vnfInstanceId": nobody}}), "is no member"),
        (
            json!({"updateType": "CREATE_VNF_SNAPSHOT", "createSnapshotData": {"vnfInstanceId": vnf, "additionalParams": {"a": 1}}}),
            "a: is not known",
        ),
        (back(nobody), "vnfSnapshotInfoId: there is no VNF snapshot"),
        (
            json!({"updateType": "DELETE_VNF_SNAPSHOT_INFO", "deleteVnfSnapshotData": {"vnfInstanceId": vnf, "vnfSnapshotInfoId": "x"}}),
            "there is no VNF snapshot 'x'",
        ),
    ] {
        let r = rig.post(&format!("{ns}/update"), ask).await;
        assert!(r.status == 422 && r.problem().contains(says), "{says}: {}", r.body);
    }
    assert_eq!(rig.show(&of_vnf).await, listed, "what was refused left nothing");

    // One that fails waits for its client, who gives it up: the VNF and the service are free again.
    rig.sim.faults().add(Rule::next(Method::CopyDisk, Then::Fail(Kind::Conflict)));
    let op = update(take).await;
    assert_eq!(op["operationState"], "FAILED_TEMP", "{op:#}");
    assert!(op["_links"]["retry"].is_object() && op["_links"]["rollback"].is_null(), "{op:#}");
    let failed = rig.post(&format!("/nslcm/v2/ns_lcm_op_occs/{}/fail", op["id"].as_str().expect("id")), Value::Null).await;
    assert_eq!((failed.status, &failed.json()["operationState"]), (200, &json!("FAILED")));

    let gone = json!({"updateType": "DELETE_VNF_SNAPSHOT_INFO", "deleteVnfSnapshotData": {"vnfInstanceId": vnf, "vnfSnapshotInfoId": id}});
    assert_eq!(update(gone.clone()).await["operationState"], "COMPLETED");
    let again = rig.post(&format!("{ns}/update"), gone).await;
    assert_eq!(again.status, 422, "{}", again.body);
    assert_eq!(rig.show(&of_vnf).await, json!([]));
    assert_eq!(rig.task(&format!("{ns}/terminate"), json!({"terminationType": "FORCEFUL"})).await["operationState"], "COMPLETED");
}
