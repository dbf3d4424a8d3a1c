//! Members of a service changed by its update (SOL005 6.4.6): stopped and started, their records, their flavour, package and
//! links; what operations, instances and dry runs show, what a failure leaves to the client, and what is refused.

use bothy::{
    model::{
        error::Kind,
        id::VnfPkgId,
        package::VnfPackage,
        size::{Bytes, MiB},
        vnfd::ImageFormat,
    },
    sim::faults::{Method, Rule, Then},
    store::Durability,
    vim::port::ImageInfo,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    kit::fits,
    rig::{Rig, rig},
    schema,
};

const IMAGE: [u8; 32] = [9; 32];

struct Site {
    rig: Rig,
    ns: String,
}

/// The sample service; its web server's package has the flavour `large` too, and there is one of its second version.
async fn site() -> Site {
    let rig = rig(64, "").await;
    let nsd = rig.onboard_vcpe().await;
    let store = rig.core.vnfm().store();
    let web = |p: &VnfPackage| p.vnfd.as_ref().is_some_and(|d| d.id.contains("web") || d.product_name.contains("web"));
    let mut one: VnfPackage = store.list::<VnfPackage>().expect("packages").into_iter().find(web).expect("the web server's");
    let vnfd = one.vnfd.as_mut().expect("a VNFD");
    let mut large = vnfd.flavours[0].clone();
    large.id = "large".into();
    large.vdus[0].vcpus += 1;
    vnfd.flavours.push(large);
    let mut two = VnfPackage { id: VnfPkgId(Uuid::from_u128(2)), ..one.clone() };
    if let Some(d) = &mut two.vnfd {
        (d.id, d.software_version, d.version) = ("web-two".into(), "2".into(), "2.0".into());
        d.flavours[0].vdus[0].memory = MiB(d.flavours[0].vdus[0].memory.0 + 16);
    }
    for i in &mut two.images {
        i.sha256 = IMAGE;
        rig.sim.add_base(IMAGE, ImageInfo { format: ImageFormat::Qcow2, virtual_size: i.virtual_size, size: Bytes(1 << 20) });
    }
    store.write(Durability::Barrier, |tx| tx.put(&one).and_then(|()| tx.put(&two))).expect("stored");
    let made = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "n", "nsDescription": ""})).await;
    let ns = made.header("location").expect("location").to_owned();
    let op = rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    Site { rig, ns }
}

impl Site {
    /// The id of the member whose name ends so.
    async fn vnf(&self, name: &str) -> String {
        let ns = self.rig.show(&self.ns).await;
        let all = ns["vnfInstance"].as_array().expect("members").clone();
        let found = all.iter().find(|v| v["vnfInstanceName"].as_str().is_some_and(|n| n.ends_with(name)));
        found.unwrap_or_else(|| panic!("no {name}: {ns:#}"))["id"].as_str().expect("id").to_owned()
    }
    async fn shown(&self, vnf: &str) -> Value {
        let v = self.rig.show(&format!("/vnflcm/v2/vnf_instances/{vnf}")).await;
        fits(schema::VNFLCM, "VnfInstance", &v);
        v
    }
    async fn state(&self, vnf: &str) -> Value {
        self.shown(vnf).await["instantiatedVnfInfo"]["vnfState"].clone()
    }
    async fn update(&self, ask: &Value) -> Value {
        fits(schema::NSLCM, "UpdateNsRequest", ask);
        let op = self.rig.task(&format!("{}/update", self.ns), ask.clone()).await;
        assert_eq!((&op["lcmOperationType"], &op["operationParams"]), (&json!("UPDATE"), ask), "{op:#}");
        op
    }
    async fn plan(&self, ask: &Value) -> crate::rig::Reply {
        let id = self.ns.rsplit('/').next();
        self.rig.post("/bothy/v1/plan", json!({"update": {"nsInstanceId": id, "request": ask}})).await
    }
    /// Asks a task of an operation of the service, and follows it.
    async fn act(&self, op: &Value, task: &str) -> Value {
        let at = format!("/nslcm/v2/ns_lcm_op_occs/{}", op["id"].as_str().expect("id"));
        let r = self.rig.post(&format!("{at}/{task}"), Value::Null).await;
        assert_eq!(r.status, 202, "{task}: {}", r.body);
        let op = self.rig.settled(&at, "operationState", &["PROCESSING", "ROLLING_BACK"]).await;
        fits(schema::NSLCM, "NsLcmOpOcc", &op);
        op
    }
    async fn end(self) {
        let op = self.rig.task(&format!("{}/terminate", self.ns), json!({"terminationType": "FORCEFUL"})).await;
        assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
        self.rig.core.vnfm().sweep_copies().expect("swept");
        assert_eq!(self.rig.sim.leftovers(), []);
    }
}

/// Each affected VNF with what was done to it and how that ended.
fn affected(op: &Value) -> Vec<(String, String, String)> {
    let text = |v: &Value| v.as_str().expect("a text").to_owned();
    let all = op["resourceChanges"]["affectedVnfs"].as_array().cloned().unwrap_or_default();
    all.iter().map(|v| (text(&v["vnfInstanceId"]), text(&v["changeType"]), text(&v["changeResult"]))).collect()
}

fn done(vnf: &str, change: &str) -> (String, String, String) {
    (vnf.into(), change.into(), "COMPLETED".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_stops_and_starts_its_vnfs_in_one_operation() {
    let site = site().await;
    let (web, client) = (site.vnf("web").await, site.vnf("client").await);
    let stop = json!({"updateType": "OPERATE_VNF", "operateVnfData": [
        {"vnfInstanceId": web, "changeStateTo": "STOPPED", "stopType": "GRACEFUL", "gracefulStopTimeout": 5},
        {"vnfInstanceId": client, "changeStateTo": "STOPPED"}]});
    let op = site.update(&stop).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    assert_eq!(affected(&op), [done(&web, "OPERATE"), done(&client, "OPERATE")], "{op:#}");
    for (vnf, state) in [(&web, "STOPPED"), (&client, "STOPPED"), (&site.vnf("firewall").await, "STARTED")] {
        assert_eq!(site.state(vnf).await, state);
    }
    // The VNFM shows each as the part that it is.
    let parts = site.rig.show(&format!("/vnflcm/v2/vnf_lcm_op_occs?filter=(eq,vnfInstanceId,{web})")).await;
    let part = parts.as_array().expect("a list").iter().find(|o| o["operation"] == "OPERATE").expect("a part");
    assert_eq!((&part["operationState"], &part["isAutomaticInvocation"]), (&json!("COMPLETED"), &json!(true)), "{part:#}");
    let asked = &site.rig.show(&format!("/vnflcm/v2/vnf_lcm_op_occs/{}", part["id"].as_str().expect("id"))).await["operationParams"];
    assert_eq!(asked["changeStateTo"], "STOPPED");

    // One that does not start holds the service, until its client has it tried again.
    site.rig.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)));
    let start = json!({"updateType": "OPERATE_VNF", "operateVnfData": [
        {"vnfInstanceId": web, "changeStateTo": "STARTED"}, {"vnfInstanceId": client, "changeStateTo": "STARTED"}]});
    let op = site.update(&start).await;
    assert_eq!(op["operationState"], "FAILED_TEMP", "{op:#}");
    assert!(affected(&op).iter().any(|(_, _, result)| result == "FAILED") && op["_links"]["rollback"].is_null(), "{op:#}");
    let held = site.rig.post(&format!("{}/update", site.ns), start.clone()).await;
    assert!(held.status == 409 && held.problem().contains("is held by operation"), "{}", held.body);
    let op = site.act(&op, "retry").await;
    assert_eq!((&op["operationState"], affected(&op).len()), (&json!("COMPLETED"), 2), "{op:#}");
    assert_eq!((site.state(&web).await, site.state(&client).await), (json!("STARTED"), json!("STARTED")));

    // Given up, it holds nothing any more.
    site.rig.sim.faults().add(Rule::next(Method::Destroy, Then::Fail(Kind::Conflict)));
    let op =
        site.update(&json!({"updateType": "OPERATE_VNF", "operateVnfData": [{"vnfInstanceId": web, "changeStateTo": "STOPPED"}]})).await;
    assert_eq!(op["operationState"], "FAILED_TEMP", "{op:#}");
    let at = format!("/nslcm/v2/ns_lcm_op_occs/{}", op["id"].as_str().expect("id"));
    assert_eq!(site.rig.post(&format!("{at}/fail"), Value::Null).await.json()["operationState"], "FAILED");
    assert_eq!(site.update(&stop).await["operationState"], "COMPLETED");
    site.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_changes_what_the_records_of_its_vnfs_say() {
    let site = site().await;
    let (web, client) = (site.vnf("web").await, site.vnf("client").await);
    let change = json!({"vnfInstanceId": web, "vnfInstanceName": "n-web", "metadata": {"rack": 7}, "extensions": {"e": "x"},
        "vnfConfigurableProperties": {"isAutohealEnabled": true}});
    let ask = json!({"updateType": "MODIFY_VNF_INFORMATION", "modifyVnfInfoData": [change, {"vnfInstanceId": client, "vnfInstanceDescription": "d"}]});
    let op = site.update(&ask).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    assert_eq!(affected(&op), [done(&web, "MODIFY_INFORMATION"), done(&client, "MODIFY_INFORMATION")]);
    assert_eq!(op["resourceChanges"]["affectedVnfs"][0]["changedInfo"]["changedVnfInfo"], change, "{op:#}");
    let v = site.shown(&web).await;
    assert_eq!((&v["vnfInstanceName"], &v["metadata"]["rack"], &v["extensions"]["e"]), (&json!("n-web"), &json!(7), &json!("x")));
    assert_eq!(v["vnfConfigurableProperties"]["isAutohealEnabled"], true);
    assert_eq!(site.shown(&client).await["vnfInstanceDescription"], "d");
    let parts = site.rig.show(&format!("/vnflcm/v2/vnf_lcm_op_occs?filter=(eq,vnfInstanceId,{web})")).await;
    let part = parts.as_array().expect("a list").iter().find(|o| o["operation"] == "MODIFY_INFO").expect("a part");
    assert_eq!(part["operationState"], "COMPLETED");

    let nobody = "00000000-0000-4000-8000-000000000000";
    let modify = |data: Value| json!({"updateType": "MODIFY_VNF_INFORMATION", "modifyVnfInfoData": data});
    let operate = |data: Value| json!({"updateType": "OPERATE_VNF", "operateVnfData": data});
    for (ask, says) in [
        (modify(json!([])), "modifyVnfInfoData: needed"),
        (modify(json!([{"vnfInstanceId": web, "vnfInstanceName": "a"}, {"vnfInstanceId": web, "vnfInstanceName": "b"}])), "is named twice"),
        (
            modify(json!([{"vnfInstanceId": web, "vnfInstanceName": "a"}, {"vnfInstanceId": nobody, "vnfInstanceName": "b"}])),
            "is no member",
        ),
        (modify(json!([{"vnfInstanceId": web, "vnfdId": "web-two"}])), "CHANGE_VNFPKG brings the VNF"),
        (modify(json!([{"vnfInstanceId": web, "metadata": {"password": "hush"}}])), "looks like a secret"),
        (modify(json!([{"vnfInstanceId": web, "vnfConfigurableProperties": {"isAutohealEnabled": "maybe"}}])), "isAutohealEnabled"),
        (operate(json!([])), "operateVnfData: needed"),
        (operate(json!([{"vnfInstanceId": "x", "changeStateTo": "STOPPED"}])), "'x' is not the id"),
        (operate(json!([{"vnfInstanceId": nobody, "changeStateTo": "STOPPED"}])), "is no member"),
        (operate(json!([{"vnfInstanceId": web, "changeStateTo": "STARTED", "stopType": "GRACEFUL"}])), "only with STOPPED"),
        (
            json!({"updateType": "OPERATE_VNF", "updateTime": "2030-01-01T00:00:00Z", "operateVnfData": [{"vnfInstanceId": web, "changeStateTo": "STOPPED"}]}),
            "updateTime: not offered",
        ),
    ] {
        let r = site.rig.post(&format!("{}/update", site.ns), ask.clone()).await;
        assert!(r.status == 422 && r.body.contains(says), "{says}: {}: {}", r.status, r.body);
    }
    assert_eq!(site.shown(&web).await["vnfInstanceName"], "n-web", "none of a request that is refused is done");
    site.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_brings_a_vnf_to_another_flavour_and_package_and_back_where_that_fails() {
    let site = site().await;
    let web = site.vnf("web").await;
    let large = json!({"updateType": "CHANGE_VNF_DF", "changeVnfFlavourData": [{"vnfInstanceId": web, "newFlavourId": "large", "extensions": {"e": 1}}]});
    let planned = site.plan(&large).await;
    assert_eq!((planned.status, &planned.json()["vnfs"][0]["flavour"]), (200, &json!("large")), "{}", planned.body);
    let before = site.shown(&web).await;

    site.rig.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)));
    let op = site.update(&large).await;
    assert_eq!(op["operationState"], "FAILED_TEMP", "{op:#}");
    assert!(["retry", "rollback", "fail"].iter().all(|t| op["_links"][t].is_object()), "{op:#}");
    let op = site.act(&op, "rollback").await;
    assert_eq!(op["operationState"], "ROLLED_BACK", "{op:#}");
    assert_eq!(site.shown(&web).await["instantiatedVnfInfo"], before["instantiatedVnfInfo"]);
    let op = site.update(&large).await;
    assert_eq!((&op["operationState"], affected(&op)), (&json!("COMPLETED"), vec![done(&web, "CHANGE_FLAVOUR")]), "{op:#}");
    let v = site.shown(&web).await;
    assert_eq!((&v["instantiatedVnfInfo"]["flavourId"], &v["extensions"]["e"]), (&json!("large"), &json!(1)));
    assert_eq!(
        v["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["vnfcCpInfo"],
        before["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["vnfcCpInfo"]
    );
    let again = site.rig.post(&format!("{}/update", site.ns), large.clone()).await;
    assert!(again.status == 409 && again.problem().contains("is of flavour large already"), "{}", again.body);

    let package = json!({"updateType": "CHANGE_VNFPKG", "changeVnfPackageData": [{"vnfInstanceId": web, "vnfdId": "web-two"}]});
    let planned = site.plan(&package).await;
    assert_eq!((planned.status, &planned.json()["package"]["after"]["vnfdId"]), (200, &json!("web-two")), "{}", planned.body);
    // Once it takes away what the VNF was, there is no way back: none is offered, and none is begun.
    site.rig.sim.faults().add(Rule::next(Method::RemoveDisk, Then::Fail(Kind::Conflict)));
    let op = site.update(&package).await;
    assert_eq!(op["operationState"], "FAILED_TEMP", "{op:#}");
    assert!(op["_links"]["rollback"].is_null() && op["_links"]["retry"].is_object(), "{op:#}");
    let path = format!("/nslcm/v2/ns_lcm_op_occs/{}", op["id"].as_str().expect("id"));
    let no = site.rig.post(&format!("{path}/rollback"), Value::Null).await;
    assert!(no.status == 409 && no.problem().contains("what is removed stays removed"), "{}", no.body);
    assert_eq!(site.rig.show(&path).await["operationState"], "FAILED_TEMP");
    let op = site.act(&op, "retry").await;
    assert_eq!((&op["operationState"], affected(&op)), (&json!("COMPLETED"), vec![done(&web, "CHANGE_VNFPKG")]), "{op:#}");
    assert_eq!(site.shown(&web).await["vnfdId"], "web-two");

    let client = site.vnf("client").await;
    let both = json!([{"vnfInstanceId": web, "newFlavourId": "default"}, {"vnfInstanceId": client, "newFlavourId": "default"}]);
    for (ask, status, says) in [
        (json!({"updateType": "CHANGE_VNF_DF", "changeVnfFlavourData": both}), 422, "one VNF at a time"),
        (
            json!({"updateType": "CHANGE_VNF_DF", "changeVnfFlavourData": [{"vnfInstanceId": web, "newFlavourId": "x"}]}),
            422,
            "no deployment flavour 'x'",
        ),
        (
            json!({"updateType": "CHANGE_VNFPKG", "changeVnfPackageData": [{"vnfInstanceId": web, "vnfdId": "x"}]}),
            422,
            "no onboarded VNF package",
        ),
        (json!({"updateType": "CHANGE_VNFPKG"}), 422, "changeVnfPackageData: needed"),
    ] {
        let r = site.rig.post(&format!("{}/update", site.ns), ask).await;
        assert!(r.status == status && r.body.contains(says), "{says}: {}: {}", r.status, r.body);
    }
    // A VNF of a service is not changed beside it, and what nothing is planned for says so.
    let beside = site.rig.post(&format!("/vnflcm/v2/vnf_instances/{web}/change_flavour"), json!({"newFlavourId": "default"})).await;
    assert!(beside.status == 409 && beside.problem().contains("change the service"), "{}", beside.body);
    let stop = json!({"updateType": "OPERATE_VNF", "operateVnfData": [{"vnfInstanceId": web, "changeStateTo": "STOPPED"}]});
    assert_eq!(site.plan(&stop).await.status, 422);
    site.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_brings_a_vnf_to_another_of_its_links() {
    let site = site().await;
    let web = site.vnf("web").await;
    let networks = site.rig.show("/bothy/v1/networks").await;
    let id = |name: &str| {
        let all = networks.as_array().expect("networks");
        all.iter().find(|n| n["link"] == name).expect("a link")["id"].as_str().expect("id").to_owned()
    };
    let to = |link: &str, cp: &str| {
        json!({"updateType": "CHANGE_EXTERNAL_VNF_CONNECTIVITY", "changeExtVnfConnectivityData": [{"vnfInstanceId": web, "extVirtualLinks":
            [{"resourceId": link, "extCps": [{"cpdId": cp}]}]}]})
    };
    let on = |v: &Value| {
        let all = v["instantiatedVnfInfo"]["extVirtualLinkInfo"].as_array().cloned().unwrap_or_default();
        all.iter().map(|l| l["resourceHandle"]["resourceId"].as_str().expect("id").to_owned()).collect::<Vec<_>>()
    };
    let (lan, mgmt) = (id("lan"), id("mgmt"));
    assert!(on(&site.shown(&web).await).contains(&mgmt));
    let planned = site.plan(&to(&lan, "mgmt")).await;
    assert_eq!((planned.status, &planned.json()["moves"][0]["after"]["link"]), (200, &json!("lan")), "{}", planned.body);
    let op = site.update(&to(&lan, "mgmt")).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    assert_eq!(affected(&op), [done(&web, "CHANGE_EXTERNAL_VNF_CONNECTIVITY")]);
    let now = on(&site.shown(&web).await);
    assert!(now.contains(&lan) && !now.contains(&mgmt), "{now:?}");

    let elsewhere = site.rig.post(&format!("{}/update", site.ns), to("00000000-0000-4000-8000-000000000000", "mgmt")).await;
    assert!(elsewhere.status == 422 && elsewhere.body.contains("links of that service only"), "{}", elsewhere.body);
    let chained = site.rig.post(&format!("{}/update", site.ns), to(&lan, "wan")).await;
    assert!(chained.status == 409 && chained.body.contains("they stay on their links"), "{}", chained.body);
    site.end().await;
}
