//! CHANGE_VNFPKG over HTTP (SOL003 5.4.11a): a VNF comes to another version of itself and back; what instance, operation and
//! packages show, what a failure leaves to the client, and what is refused.

use bothy::{
    model::{
        error::Kind,
        id::{DiskId, VnfPkgId},
        package::{Operational, VnfPackage},
        size::{Bytes, MiB},
        vnfd::{Disk, ImageFormat},
    },
    sim::faults::{Method, Rule, Then},
    store::Durability,
    vim::port::ImageInfo,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    kit::fits,
    notify::Subscriber,
    rig::{Rig, rig},
    schema,
};

const TWO: Uuid = Uuid::from_u128(2);
const IMAGE: [u8; 32] = [9; 32];

/// A web server with a volume, and beside its package one of its second version: another image, and a larger volume.
async fn standing() -> (Rig, String, Value) {
    let rig = rig(64, "").await;
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let store = rig.core.vnfm().store();
    let mut one: VnfPackage = store.list::<VnfPackage>().expect("packages").remove(0);
    let data =
        Disk { id: "data".into(), image: None, size: MiB(16), ..one.vnfd.as_ref().expect("a VNFD").flavours[0].vdus[0].disks[0].clone() };
    one.vnfd.iter_mut().for_each(|d| d.flavours[0].vdus[0].disks.push(data.clone()));
    let mut two = VnfPackage { id: VnfPkgId(TWO), ..one.clone() };
    if let Some(d) = &mut two.vnfd {
        (d.id, d.software_version, d.version) = ("web-two".into(), "2".into(), "2.0".into());
        d.flavours[0].vdus[0].disks[1].size = MiB(32);
    }
    for i in &mut two.images {
        i.sha256 = IMAGE;
        let info = ImageInfo { format: ImageFormat::Qcow2, virtual_size: i.virtual_size, size: Bytes(1 << 20) };
        rig.sim.add_base(IMAGE, info);
    }
    store.write(Durability::Barrier, |tx| tx.put(&one).and_then(|()| tx.put(&two))).expect("stored");
    let made = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"], "vnfInstanceName": "web"})).await;
    let vnf = made.header("location").expect("location").to_owned();
    let op = rig.task(&format!("{vnf}/instantiate"), json!({"flavourId": "default"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    (rig, vnf, package)
}

async fn shown(rig: &Rig, vnf: &str) -> Value {
    let v = rig.show(vnf).await;
    fits(schema::VNFLCM, "VnfInstance", &v);
    v
}

async fn change(rig: &Rig, vnf: &str, ask: Value) -> Value {
    fits(schema::VNFLCM, "ChangeCurrentVnfPkgRequest", &ask);
    let op = rig.task(&format!("{vnf}/change_vnfpkg"), ask).await;
    fits(schema::VNFLCM, "VnfLcmOpOcc", &op);
    op
}

/// Whether the first package is in use, and the second.
async fn usage(rig: &Rig, package: &Value) -> [Value; 2] {
    let of = |id: String| async move { rig.show(&format!("/vnfpkgm/v2/vnf_packages/{id}")).await["usageState"].clone() };
    [of(package["id"].as_str().expect("id").to_owned()).await, of(TWO.to_string()).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_is_another_the_volume_stays_and_the_operation_says_what_the_instance_is_now() {
    let (rig, vnf, package) = standing().await;
    let before = shown(&rig, &vnf).await;
    assert!(before["_links"]["changeCurrentVnfPkg"]["href"].as_str().is_some_and(|h| h.ends_with("/change_vnfpkg")));
    let info = &before["instantiatedVnfInfo"];
    let guest = info["vnfcResourceInfo"][0].clone();
    let storage = |v: &Value, name: &str| {
        let all = v["instantiatedVnfInfo"]["virtualStorageResourceInfo"].as_array().cloned().unwrap_or_default();
        all.iter().find(|s| s["virtualStorageDescId"] == *name).map_or(Value::Null, |s| s["id"].clone())
    };
    let data: DiskId = storage(&before, "data").as_str().expect("id").parse().expect("id");
    rig.sim.write_disk(data, b"kept");
    assert_eq!(usage(&rig, &package).await, ["IN_USE", "NOT_IN_USE"]);

    let ask = json!({"vnfdId": "web-two", "extensions": {"e": 1}});
    let id = vnf.rsplit('/').next();
    let plan = rig.post("/bothy/v1/plan", json!({"changeVnfPkg": {"vnfInstanceId": id, "request": ask}})).await;
    assert_eq!(plan.status, 200, "{}", plan.body);
    let plan = plan.json();
    assert_eq!((&plan["package"]["before"]["vnfdId"], &plan["package"]["after"]["vnfdId"]), (&package["vnfdId"], &json!("web-two")));
    let fates = json!([
        {"guest": "web/0", "storage": "disk", "fate": "ANEW"},
        {"guest": "web/0", "storage": "data", "fate": "GROWN"},
    ]);
    assert_eq!(plan["disks"], fates, "{plan:#}");
    assert_eq!(shown(&rig, &vnf).await, before, "a dry run touches nothing");

    let s = Subscriber::start(None).await;
    let ends = json!({"callbackUri": s.uri(), "filter": {"operationStates": ["COMPLETED"]}});
    assert_eq!(rig.post("/vnflcm/v2/subscriptions", ends).await.status, 201);
    let op = change(&rig, &vnf, ask).await;
    assert_eq!((&op["operation"], &op["operationState"]), (&json!("CHANGE_VNFPKG"), &json!("COMPLETED")), "{op:#}");
    assert_eq!(op["operationParams"]["vnfdId"], "web-two");
    let says = json!({"vnfdId": "web-two", "vnfSoftwareVersion": "2", "vnfdVersion": "2.0"});
    assert_eq!(op["modificationsTriggeredByVnfPkgChange"], says, "{op:#}");
    assert_eq!(s.until(1).await[0]["modificationsTriggeredByVnfPkgChange"], says);
    assert!(op["changedInfo"].is_null(), "that is a modification's: {op:#}");
    let changed = &op["resourceChanges"]["affectedVnfcs"];
    assert_eq!(
        (&changed[0]["id"], &changed[0]["changeType"], &changed[0]["vnfdId"]),
        (&guest["id"], &json!("MODIFIED"), &json!("web-two"))
    );
    let storages = op["resourceChanges"]["affectedVirtualStorages"].as_array().expect("storages").clone();
    let how = |id: &Value| storages.iter().find(|s| s["id"] == *id).map(|s| (s["changeType"].clone(), s["vnfdId"].clone()));
    let after = shown(&rig, &vnf).await;
    let (old, new) = (storage(&before, "disk"), storage(&after, "disk"));
    assert_eq!(how(&old), Some((json!("REMOVED"), package["vnfdId"].clone())), "{op:#}");
    assert_eq!(how(&new), Some((json!("ADDED"), json!("web-two"))), "{op:#}");
    assert_eq!(how(&storage(&after, "data")), Some((json!("MODIFIED"), json!("web-two"))));
    let says = ["vnfdId", "vnfProvider", "vnfProductName", "vnfSoftwareVersion", "vnfdVersion"].map(|m| after[m].clone());
    let product = ["vnfProvider", "vnfProductName"].map(|m| before[m].clone());
    assert_eq!(says, [json!("web-two"), product[0].clone(), product[1].clone(), json!("2"), json!("2.0")]);
    assert_eq!(
        (&after["extensions"]["e"], &after["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["vnfcCpInfo"]),
        (&json!(1), &guest["vnfcCpInfo"])
    );
    assert_eq!((storage(&after, "data"), rig.sim.read_disk(data)), (storage(&before, "data"), b"kept".to_vec()));
    assert_eq!(usage(&rig, &package).await, ["NOT_IN_USE", "IN_USE"]);

    let op = change(&rig, &vnf, json!({"vnfdId": package["vnfdId"]})).await;
    assert_eq!(op["modificationsTriggeredByVnfPkgChange"]["vnfdId"], package["vnfdId"], "{op:#}");
    rig.task(&format!("{vnf}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
    assert_eq!(rig.delete(&vnf).await.status, 204);
    assert_eq!(usage(&rig, &package).await, ["NOT_IN_USE", "NOT_IN_USE"]);
    assert_eq!(rig.sim.leftovers(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fails_is_rolled_back_retried_or_given_up() {
    let (rig, vnf, package) = standing().await;
    let (one, two) = (package["vnfdId"].clone(), json!("web-two"));
    for (way, end, vnfd, used) in [
        ("rollback", "ROLLED_BACK", &one, ["IN_USE", "NOT_IN_USE"]),
        ("fail", "FAILED", &one, ["IN_USE", "NOT_IN_USE"]),
        ("retry", "COMPLETED", &two, ["NOT_IN_USE", "IN_USE"]),
    ] {
        rig.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)));
        let op = change(&rig, &vnf, json!({"vnfdId": "web-two"})).await;
        assert_eq!(op["operationState"], "FAILED_TEMP", "{op:#}");
        assert!(["retry", "rollback", "fail"].iter().all(|t| op["_links"][t].is_object()), "{op:#}");
        assert!(op["modificationsTriggeredByVnfPkgChange"].is_null(), "not yet: {op:#}");
        assert_eq!((&shown(&rig, &vnf).await["vnfdId"], usage(&rig, &package).await), (&one, ["IN_USE", "IN_USE"].map(Value::from)));
        let at = format!("/vnflcm/v2/vnf_lcm_op_occs/{}", op["id"].as_str().expect("id"));
        let answer = rig.post(&format!("{at}/{way}"), Value::Null).await;
        assert_eq!(answer.status, if way == "fail" { 200 } else { 202 });
        let op = rig.settled(&at, "operationState", &["FAILED_TEMP", "PROCESSING", "ROLLING_BACK"]).await;
        let v = shown(&rig, &vnf).await;
        assert_eq!((op["operationState"].as_str(), &v["vnfdId"]), (Some(end), vnfd), "{op:#}");
        assert_eq!(usage(&rig, &package).await, used);
        if way == "fail" {
            // It may run on either root disk: no other change before it is a guest of one package again.
            let no = rig.post(&format!("{vnf}/change_vnfpkg"), json!({"vnfdId": "web-two"})).await;
            assert!(no.status == 409 && no.problem().contains("heal it"), "{}", no.body);
            assert_eq!(rig.task(&format!("{vnf}/heal"), json!({})).await["operationState"], "COMPLETED");
        }
    }
    // What has begun to go cannot be gone back to, and the operation says so before anybody asks.
    rig.sim.faults().add(Rule::next(Method::RemoveDisk, Then::Fail(Kind::Conflict)));
    let op = change(&rig, &vnf, json!({"vnfdId": one})).await;
    assert!(op["operationState"] == "FAILED_TEMP" && op["_links"]["rollback"].is_null() && op["_links"]["retry"].is_object(), "{op:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_with_its_reason_before_anything_happens() {
    let (rig, vnf, package) = standing().await;
    let store = rig.core.vnfm().store();
    let two: VnfPackage = store.require(&VnfPkgId(TWO)).expect("the second");
    for (n, vnfd) in [(3, "off"), (4, "foreign"), (5, "other-flavour")] {
        let mut p = VnfPackage { id: VnfPkgId(Uuid::from_u128(n)), ..two.clone() };
        if let Some(d) = &mut p.vnfd {
            d.id = vnfd.into();
            match vnfd {
                "foreign" => d.provider = "Somebody".into(),
                "other-flavour" => d.flavours[0].id = "xl".into(),
                _ => p.operational = Operational::Disabled,
            }
        }
        store.write(Durability::Barrier, |tx| tx.put(&p)).expect("stored");
    }
    let before = shown(&rig, &vnf).await;
    let nobody = "/vnflcm/v2/vnf_instances/00000000-0000-4000-8000-000000000000";
    let managed = json!([{"id": "m", "vnfVirtualLinkDescId": "l", "resourceId": "r"}]);
    for (vnf, body, status, says) in [
        (vnf.as_str(), json!({"vnfdId": "nothing"}), 422, "no onboarded VNF package has the VNFD 'nothing'"),
        (&vnf, json!({"vnfdId": package["vnfdId"]}), 409, "already"),
        (&vnf, json!({"vnfdId": "off"}), 409, "is disabled: enable it first"),
        (&vnf, json!({"vnfdId": "foreign"}), 409, "is of another product"),
        (&vnf, json!({"vnfdId": "other-flavour"}), 409, "it has xl"),
        (&vnf, json!({"vnfdId": "web-two", "extManagedVirtualLinks": managed}), 422, "extManagedVirtualLinks"),
        (&vnf, json!({"vnfdId": "web-two", "additionalParams": {"password": "hush"}}), 422, "looks like a secret"),
        (&vnf, json!({"extensions": {}}), 422, "vnfdId"),
        (nobody, json!({"vnfdId": "web-two"}), 404, "there is no VNF instance"),
    ] {
        let r = rig.post(&format!("{vnf}/change_vnfpkg"), body.clone()).await;
        assert_eq!(r.status, status, "{body}: {}", r.body);
        assert!(r.body.contains(says), "{says}: {}", r.body);
    }
    assert_eq!(shown(&rig, &vnf).await, before);
    rig.task(&format!("{vnf}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
    let r = rig.post(&format!("{vnf}/change_vnfpkg"), json!({"vnfdId": "web-two"})).await;
    assert!(r.status == 409 && r.body.contains("is not instantiated"), "{}", r.body);
}
