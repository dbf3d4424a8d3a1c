//! CHANGE_FLAVOUR over HTTP (SOL003 5.4.7): a VNF comes to a larger flavour and back; what instance and operation show, what a
//! failure leaves to the client, and what is refused.

use bothy::{
    model::{error::Kind, id::VnfcId, package::VnfPackage, size::MiB},
    sim::faults::{Method, Rule, Then},
    store::Durability,
};
use serde_json::{Value, json};

use crate::{
    kit::fits,
    rig::{Rig, rig},
    schema,
};

/// A web server whose package has the flavour `large` beside `default`: more of everything, and one more disk.
pub async fn standing() -> (Rig, String) {
    let rig = rig(64, "").await;
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let store = rig.core.vnfm().store();
    let mut stored: VnfPackage = store.list::<VnfPackage>().expect("packages").remove(0);
    let vnfd = stored.vnfd.as_mut().expect("a VNFD");
    let mut large = vnfd.flavours[0].clone();
    large.id = "large".into();
    let vdu = &mut large.vdus[0];
    vdu.vcpus += 1;
    vdu.memory = MiB(vdu.memory.0 + 64);
    let mut disk = vdu.disks[0].clone();
    vdu.disks[0].size = MiB(disk.size.0 + 512);
    (disk.id, disk.image, disk.size) = ("more".into(), None, MiB(16));
    vdu.disks.push(disk);
    vnfd.flavours.push(large);
    store.write(Durability::Barrier, |tx| tx.put(&stored)).expect("stored");
    let made = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"], "vnfInstanceName": "web"})).await;
    let vnf = made.header("location").expect("location").to_owned();
    let op = rig.task(&format!("{vnf}/instantiate"), json!({"flavourId": "default"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    (rig, vnf)
}

async fn shown(rig: &Rig, vnf: &str) -> Value {
    let v = rig.show(vnf).await;
    fits(schema::VNFLCM, "VnfInstance", &v);
    v
}

async fn change(rig: &Rig, vnf: &str, ask: Value) -> Value {
    fits(schema::VNFLCM, "ChangeVnfFlavourRequest", &ask);
    rig.task(&format!("{vnf}/change_flavour"), ask).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_grows_in_place_and_the_operation_names_what_came_grew_and_went() {
    let (rig, vnf) = standing().await;
    let before = shown(&rig, &vnf).await;
    assert!(before["_links"]["changeFlavour"]["href"].as_str().is_some_and(|h| h.ends_with("/change_flavour")));
    let info = &before["instantiatedVnfInfo"];
    let (guest, root) = (info["vnfcResourceInfo"][0].clone(), info["virtualStorageResourceInfo"][0]["id"].clone());

    let ask = json!({"newFlavourId": "large", "extensions": {"e": 1}});
    let id = vnf.rsplit('/').next();
    let plan = rig.post("/bothy/v1/plan", json!({"changeFlavour": {"vnfInstanceId": id, "request": ask}})).await;
    assert_eq!(plan.status, 200, "{}", plan.body);
    let planned = plan.json()["vnfs"][0].clone();
    assert_eq!((&planned["flavour"], &planned["guests"][0]["id"]), (&json!("large"), &guest["id"]), "{planned:#}");
    assert_eq!(planned["guests"][0]["disks"].as_array().map(Vec::len), Some(2));
    assert_eq!(shown(&rig, &vnf).await, before, "a dry run touches nothing");

    let op = change(&rig, &vnf, ask).await;
    assert_eq!((&op["operation"], &op["operationState"]), (&json!("CHANGE_FLAVOUR"), &json!("COMPLETED")), "{op:#}");
    assert_eq!(op["operationParams"]["newFlavourId"], "large");
    let changed = &op["resourceChanges"]["affectedVnfcs"];
    assert_eq!((&changed[0]["id"], &changed[0]["changeType"], &changed[1]), (&guest["id"], &json!("MODIFIED"), &Value::Null), "{op:#}");
    let storages = op["resourceChanges"]["affectedVirtualStorages"].as_array().expect("storages").clone();
    let how = |id: &Value| storages.iter().find(|s| s["id"] == *id).map(|s| s["changeType"].clone());
    assert_eq!((how(&root), how(&changed[0]["addedStorageResourceIds"][0])), (Some(json!("MODIFIED")), Some(json!("ADDED"))), "{op:#}");
    let after = shown(&rig, &vnf).await;
    let info = &after["instantiatedVnfInfo"];
    assert_eq!((&info["flavourId"], &info["vnfcResourceInfo"][0]["id"]), (&json!("large"), &guest["id"]));
    assert_eq!(info["virtualStorageResourceInfo"].as_array().map(Vec::len), Some(2));
    assert_eq!((&after["extensions"]["e"], &info["vnfcResourceInfo"][0]["vnfcCpInfo"]), (&json!(1), &guest["vnfcCpInfo"]));
    let domain: VnfcId = guest["id"].as_str().expect("id").parse().expect("id");
    let vcpus = rig.sim.domain(domain).expect("defined").vcpus;

    let op = change(&rig, &vnf, json!({"newFlavourId": "default"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    assert!(op["warnings"].to_string().contains("a disk is not cut"), "{op:#}");
    let gone = &op["resourceChanges"]["affectedVnfcs"][0]["removedStorageResourceIds"][0];
    let storages = &op["resourceChanges"]["affectedVirtualStorages"];
    assert_eq!((&storages[0]["id"], &storages[0]["changeType"]), (gone, &json!("REMOVED")), "{op:#}");
    assert_eq!(rig.sim.domain(domain).expect("defined").vcpus, vcpus - 1);
    change(&rig, &vnf, json!({"newFlavourId": "large"})).await;
    let op = rig.task(&format!("{vnf}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
    let gone = op["resourceChanges"]["affectedVnfcs"].as_array().expect("guests").clone();
    assert_eq!((gone.len(), gone[0]["removedStorageResourceIds"].as_array().map(Vec::len)), (1, Some(2)), "as it was at the end: {op:#}");
    assert_eq!(rig.sim.leftovers(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fails_is_rolled_back_or_retried() {
    let (rig, vnf) = standing().await;
    for (way, end, flavour) in [("rollback", "ROLLED_BACK", "default"), ("retry", "COMPLETED", "large")] {
        rig.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)));
        let op = change(&rig, &vnf, json!({"newFlavourId": "large"})).await;
        assert_eq!(op["operationState"], "FAILED_TEMP", "{op:#}");
        assert!(["retry", "rollback", "fail"].iter().all(|t| op["_links"][t].is_object()), "{op:#}");
        let at = format!("/vnflcm/v2/vnf_lcm_op_occs/{}", op["id"].as_str().expect("id"));
        assert_eq!(rig.post(&format!("{at}/{way}"), Value::Null).await.status, 202);
        let op = rig.settled(&at, "operationState", &["FAILED_TEMP", "PROCESSING", "ROLLING_BACK"]).await;
        let v = shown(&rig, &vnf).await;
        assert_eq!((op["operationState"].as_str(), &v["instantiatedVnfInfo"]["flavourId"]), (Some(end), &json!(flavour)), "{op:#}");
    }
    // What has begun to go cannot be gone back to, and the operation says so before anybody asks.
    rig.sim.faults().add(Rule::next(Method::RemoveDisk, Then::Fail(Kind::Conflict)));
    let op = change(&rig, &vnf, json!({"newFlavourId": "default"})).await;
    assert!(op["operationState"] == "FAILED_TEMP" && op["_links"]["rollback"].is_null() && op["_links"]["retry"].is_object(), "{op:#}");
    let at = format!("/vnflcm/v2/vnf_lcm_op_occs/{}", op["id"].as_str().expect("id"));
    let r = rig.post(&format!("{at}/rollback"), Value::Null).await;
    assert!(r.status == 409 && r.body.contains("what is removed stays removed"), "{}", r.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_with_its_reason_before_anything_happens() {
    let (rig, vnf) = standing().await;
    let before = shown(&rig, &vnf).await;
    let nobody = "/vnflcm/v2/vnf_instances/00000000-0000-4000-8000-000000000000";
    let managed = json!([{"id": "m", "vnfVirtualLinkDescId": "l", "resourceId": "r"}]);
    let outside = json!([{"id": "x", "resourceId": "nowhere", "extCps": [{"cpdId": "wan", "cpConfig": {}}]}]);
    for (vnf, body, status, says) in [
        (vnf.as_str(), json!({"newFlavourId": "huge"}), 422, "it has default, large"),
        (&vnf, json!({"newFlavourId": "default"}), 409, "is of flavour default already"),
        (&vnf, json!({"newFlavourId": "large", "instantiationLevelId": "l9"}), 422, "l9"),
        (&vnf, json!({"newFlavourId": "large", "extManagedVirtualLinks": managed}), 422, "extManagedVirtualLinks"),
        (&vnf, json!({"newFlavourId": "large", "extVirtualLinks": outside}), 422, "'nowhere' is not the id of a virtual link"),
        (&vnf, json!({"newFlavourId": "large", "additionalParams": {"password": "hush"}}), 422, "looks like a secret"),
        (&vnf, json!({"instantiationLevelId": "default"}), 422, "newFlavourId"),
        (nobody, json!({"newFlavourId": "large"}), 404, "there is no VNF instance"),
    ] {
        let r = rig.post(&format!("{vnf}/change_flavour"), body.clone()).await;
        assert_eq!(r.status, status, "{body}: {}", r.body);
        assert!(r.body.contains(says), "{says}: {}", r.body);
    }
    assert_eq!(shown(&rig, &vnf).await, before);
    rig.task(&format!("{vnf}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
    let r = rig.post(&format!("{vnf}/change_flavour"), json!({"newFlavourId": "large"})).await;
    assert!(r.status == 409 && r.body.contains("is not instantiated"), "{}", r.body);
}
