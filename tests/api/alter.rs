//! SCALE, SCALE_TO_LEVEL and HEAL over HTTP (SOL003 5.4.5, 5.4.6, 5.4.9): what is answered, what the
//! instance and the operation show, and what is refused.

use serde_json::{Value, json};

use bothy::{
    model::{nsd::NsAspect, package::NsDescriptor},
    store::Durability,
};

use crate::{
    admin,
    kit::fits,
    rig::{Rig, rig},
    schema,
};

async fn up(rig: &Rig) -> String {
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let made = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"], "vnfInstanceName": "web"})).await;
    let at = made.header("location").expect("location").to_owned();
    let op = rig.task(&format!("{at}/instantiate"), json!({"flavourId": "default"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    at
}

async fn shown(rig: &Rig, at: &str) -> (Vec<String>, Value) {
    let v = rig.show(at).await;
    fits(schema::VNFLCM, "VnfInstance", &v);
    let guests = v["instantiatedVnfInfo"]["vnfcResourceInfo"].as_array().expect("guests").clone();
    (guests.iter().map(|g| g["id"].as_str().expect("id").to_owned()).collect(), v)
}

/// (id, change) of each guest the operation tells of.
fn affected(op: &Value) -> Vec<(String, String)> {
    fits(schema::VNFLCM, "VnfLcmOpOcc", op);
    let text = |v: &Value| v.as_str().expect("text").to_owned();
    let all = op["resourceChanges"]["affectedVnfcs"].as_array().cloned().unwrap_or_default();
    let mut all: Vec<_> = all.iter().map(|c| (text(&c["changeType"]), text(&c["id"]))).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vnf_is_scaled_by_steps_and_to_levels_and_shows_it() {
    let rig = rig(64, "").await;
    let at = up(&rig).await;
    let (first, v) = shown(&rig, &at).await;
    assert_eq!(v["instantiatedVnfInfo"]["scaleStatus"], json!([{"aspectId": "servers", "scaleLevel": 0}]));
    assert_eq!(v["instantiatedVnfInfo"]["maxScaleLevels"], json!([{"aspectId": "servers", "scaleLevel": 2}]));

    let op = rig.task(&format!("{at}/scale"), json!({"type": "SCALE_OUT", "aspectId": "servers", "numberOfSteps": 2})).await;
    assert_eq!((op["operation"].as_str(), op["operationState"].as_str()), (Some("SCALE"), Some("COMPLETED")), "{op:#}");
    assert_eq!(op["operationParams"]["numberOfSteps"], 2);
    let (three, v) = shown(&rig, &at).await;
    assert_eq!(v["instantiatedVnfInfo"]["scaleStatus"][0]["scaleLevel"], 2);
    assert_eq!((three.len(), &three[0]), (3, &first[0]));
    let mut added: Vec<_> = three[1..].iter().map(|id| ("ADDED".to_owned(), id.clone())).collect();
    added.sort();
    assert_eq!(affected(&op), added);

    let op = rig.task(&format!("{at}/scale"), json!({"type": "SCALE_IN", "aspectId": "servers"})).await;
    assert_eq!(affected(&op), [("REMOVED".to_owned(), three[2].clone())]);
    let op = rig.task(&format!("{at}/scale_to_level"), json!({"scaleInfo": [{"aspectId": "servers", "scaleLevel": 2}]})).await;
    assert_eq!((op["operation"].as_str(), affected(&op).len()), (Some("SCALE_TO_LEVEL"), 1));
    let op = rig.task(&format!("{at}/scale_to_level"), json!({"instantiationLevelId": "default"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    assert_eq!(shown(&rig, &at).await.0, first);

    for (task, body, status, says) in [
        ("scale", json!({"type": "SCALE_OUT", "aspectId": "servers", "numberOfSteps": 3}), 409, "at level 0 of at most 2"),
        ("scale", json!({"type": "SCALE_IN", "aspectId": "servers"}), 409, "not possible"),
        ("scale", json!({"type": "SCALE_OUT", "aspectId": "doors"}), 422, "no scaling aspect 'doors'; it has servers"),
        ("scale", json!({"type": "SCALE_OUT", "aspectId": "servers", "numberOfSteps": 0}), 422, "1 or more"),
        ("scale", json!({"type": "SIDEWAYS", "aspectId": "servers"}), 422, "SIDEWAYS"),
        ("scale_to_level", json!({}), 422, "either instantiationLevelId or scaleInfo"),
        ("scale_to_level", json!({"instantiationLevelId": "huge"}), 422, "it has default"),
        ("heal", json!({"vnfcInstanceId": [at.rsplit('/').next()]}), 422, &*first[0]),
        ("heal", json!({"additionalParams": {"fast": true}}), 422, "known: all, vnfcInstanceId"),
    ] {
        let r = rig.post(&format!("{at}/{task}"), body).await;
        assert_eq!(r.status, status, "{task}: {}", r.body);
        assert!(r.problem().contains(says), "{task}: {says}: {}", r.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vnf_is_healed_whole_or_in_part_and_an_instance_without_guests_is_not() {
    let rig = rig(64, "").await;
    let at = up(&rig).await;
    rig.task(&format!("{at}/scale"), json!({"type": "SCALE_OUT", "aspectId": "servers"})).await;
    let (before, v) = shown(&rig, &at).await;
    // MACs and addresses, in whatever order the guests are shown.
    let stations = |v: &Value| {
        let all = v["instantiatedVnfInfo"]["vnfcResourceInfo"].as_array().expect("guests").clone();
        let mut all: Vec<String> =
            all.iter().flat_map(|g| g["vnfcCpInfo"].as_array().expect("cps").clone()).map(|c| c["cpProtocolInfo"].to_string()).collect();
        all.sort();
        all
    };
    let op = rig.task(&format!("{at}/heal"), json!({"cause": "it is slow", "vnfcInstanceId": [before[1]]})).await;
    assert_eq!((op["operation"].as_str(), op["operationState"].as_str()), (Some("HEAL"), Some("COMPLETED")), "{op:#}");
    let (after, _) = shown(&rig, &at).await;
    assert_eq!((after.len(), &after[0]), (2, &before[0]));
    assert_eq!(affected(&op), [("ADDED".to_owned(), after[1].clone()), ("REMOVED".to_owned(), before[1].clone())]);
    rig.task(&format!("{at}/heal"), json!({})).await;
    let (all, w) = shown(&rig, &at).await;
    assert!(all.iter().all(|id| !after.contains(id)), "all of them are others");
    assert_eq!(stations(&v), stations(&w), "MACs and addresses stay");

    let op = rig.task(&format!("{at}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
    assert_eq!(op["operationState"], "COMPLETED");
    assert_eq!(rig.sim.leftovers(), []);
    for task in ["heal", "scale"] {
        let body = if task == "heal" { json!({}) } else { json!({"type": "SCALE_OUT", "aspectId": "servers"}) };
        let r = rig.post(&format!("{at}/{task}"), body).await;
        assert!(r.status == 409 && r.problem().contains("is not instantiated"), "{task}: {}", r.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_service_are_scaled_and_healed_by_it_alone() {
    let rig = rig(64, "").await;
    let nsd = rig.onboard_vcpe().await;
    let made = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "site", "nsDescription": ""})).await;
    let ns = made.header("location").expect("location").to_owned();
    assert_eq!(rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await["operationState"], "COMPLETED");
    let members = rig.show(&ns).await["vnfInstance"].as_array().expect("members").clone();
    let of = |product: &str| {
        let found = members.iter().find(|m| m["vnfProductName"] == product).unwrap_or_else(|| panic!("{product} in {members:#?}"));
        found["id"].as_str().expect("id").to_owned()
    };
    let (web, firewall) = (of("vcpe-web"), of("vcpe-firewall"));
    let at = |id: &str| format!("/vnflcm/v2/vnf_instances/{id}");

    let out = json!({"vnfInstanceId": web, "scaleVnfType": "SCALE_OUT", "scaleByStepData": {"aspectId": "servers"}});
    let op = rig.task(&format!("{ns}/scale"), json!({"scaleType": "SCALE_VNF", "scaleVnfData": [out]})).await;
    fits(schema::NSLCM, "NsLcmOpOcc", &op);
    assert_eq!((op["lcmOperationType"].as_str(), op["operationState"].as_str()), (Some("SCALE"), Some("COMPLETED")), "{op:#}");
    assert_eq!(op["resourceChanges"]["affectedVnfs"][0]["changeType"], "SCALE");
    assert_eq!(shown(&rig, &at(&web)).await.0.len(), 2);
    let back = json!({"vnfInstanceId": web, "scaleVnfType": "SCALE_TO_INSTANTIATION_LEVEL",
        "scaleToLevelData": {"vnfInstantiationLevelId": "default"}});
    rig.task(&format!("{ns}/scale"), json!({"scaleType": "SCALE_VNF", "scaleVnfData": [back]})).await;
    assert_eq!(shown(&rig, &at(&web)).await.0.len(), 1);

    let before = (shown(&rig, &at(&web)).await.0, shown(&rig, &at(&firewall)).await.0);
    let op = rig.task(&format!("{ns}/heal"), json!({"healVnfData": [{"vnfInstanceId": firewall, "cause": "test"}]})).await;
    fits(schema::NSLCM, "NsLcmOpOcc", &op);
    assert_eq!((op["lcmOperationType"].as_str(), op["operationState"].as_str()), (Some("HEAL"), Some("COMPLETED")), "{op:#}");
    let after = (shown(&rig, &at(&web)).await.0, shown(&rig, &at(&firewall)).await.0);
    assert!(before.0 == after.0 && before.1 != after.1);
    let op = rig.task(&format!("{ns}/heal"), json!({"healNsData": {"degreeHealing": "HEAL_RESTORE"}})).await;
    assert_eq!(op["resourceChanges"]["affectedVnfs"].as_array().map(Vec::len), Some(3), "{op:#}");

    let stranger = "b0714199-0000-4000-8000-000000000001";
    for (task, body, status, says) in [
        ("scale", json!({"scaleType": "SCALE_NS"}), 422, "scaleNsData: needed with SCALE_NS"),
        (
            "scale",
            json!({"scaleType": "SCALE_NS", "scaleNsData": {"vnfInstanceToBeRemoved": [web]}}),
            409,
            "VNF web: 0 instances, and it has 1 to 1; VNF web takes part in path",
        ),
        ("scale", json!({"scaleType": "SCALE_VNF"}), 422, "scaleVnfData: needed"),
        (
            "scale",
            json!({"scaleType": "SCALE_VNF", "scaleVnfData": [{"vnfInstanceId": web, "scaleVnfType": "SCALE_IN"}]}),
            422,
            "scaleByStepData is needed",
        ),
        ("scale", json!({"scaleType": "SCALE_VNF", "scaleNsData": {}}), 422, "scaleNsData: must not be there"),
        ("heal", json!({}), 422, "either this or healNsData"),
        ("heal", json!({"healVnfData": [{"vnfInstanceId": stranger}]}), 422, "is no member"),
        ("heal", json!({"healVnfData": [{"vnfInstanceId": web}, {"vnfInstanceId": web}]}), 422, "named twice"),
    ] {
        let r = rig.post(&format!("{ns}/{task}"), body).await;
        assert_eq!(r.status, status, "{task}: {}", r.body);
        assert!(r.problem().contains(says), "{task}: {says}: {}", r.body);
    }
    let r = rig.post(&format!("{}/heal", at(&web)), json!({})).await;
    assert!(r.status == 409 && r.problem().contains("change the service"), "{}", r.body);
    assert_eq!(rig.task(&format!("{ns}/terminate"), json!({})).await["operationState"], "COMPLETED");
    assert_eq!(rig.sim.leftovers(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_chain_is_updated_as_sol005_says_and_a_dry_run_tells_how() {
    let rig = rig(64, "").await;
    let nsd = rig.onboard_vcpe().await;
    let made = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "site", "nsDescription": ""})).await;
    let at = made.header("location").expect("location").to_owned();
    let none = json!({"updateType": "UPDATE_VNFFG", "updateVnffg": [{"vnffgInfoId": "site", "nfp": []}]});
    assert_eq!(rig.post(&format!("{at}/update"), none.clone()).await.status, 422);
    rig.task(&format!("{at}/instantiate"), json!({"nsFlavourId": "default"})).await;
    let ns = rig.show(&at).await;
    let graph = ns["vnffgInfo"][0]["id"].as_str().expect("a graph").to_owned();
    let chains = || async { admin::fits("/bothy/v1/chains", "get", &rig.get("/bothy/v1/chains").await) };
    let chain = chains().await[0].clone();
    assert_eq!((&chain["hops"][0]["entry"], &chain["hops"][0]["exit"]), (&json!("lan"), &json!("wan")));
    let cp = |name: &str, cpd: &str| -> String {
        let vnf = ns["vnfInstance"].as_array().expect("members").iter().find(|v| v["vnfInstanceName"] == format!("site-{name}"));
        let cps = vnf.expect("a member")["instantiatedVnfInfo"]["extCpInfo"].as_array().expect("cps").clone();
        cps.iter().find(|c| c["cpdId"] == cpd).expect("a cp")["id"].as_str().expect("id").to_owned()
    };
    let group = |cps: &[String]| json!({"cpPairInfo": [{"vnfExtCpIds": cps}], "forwardingBehaviour": "LB"});
    let ask = |nfp: Value| {
        let mut nfp = nfp;
        nfp["nfpInfoId"] = chain["id"].clone();
        let body = json!({"updateType": "UPDATE_VNFFG", "updateVnffg": [{"vnffgInfoId": graph, "nfp": [nfp]}]});
        fits(schema::NSLCM, "UpdateNsRequest", &body);
        body
    };
    let (begins, ends) = (group(&[cp("client", "lan")]), group(&[cp("web", "wan")]));
    let firewall = group(&[cp("firewall", "lan"), cp("firewall", "wan")]);
    let rule = json!({"protocol": "TCP", "etherType": "IPV4", "destinationPortRange": {"lowerPort": 80, "upperPort": 81}});
    let good = ask(json!({"cpGroup": [begins, firewall, ends], "nfpRule": rule}));

    let dry = |request: &Value| json!({"update": {"nsInstanceId": ns["id"], "request": request}});
    let r = rig.post("/bothy/v1/plan", dry(&good)).await;
    let plan = admin::fits("/bothy/v1/plan", "post", &r);
    let tail = |by: &str| {
        format!(", new connections only; connections that are there stay {by} until they end, 300 s at most: firewall is routed")
    };
    let new = format!("'tcp over IPv4 to any port 80-81': new, by firewall{}", tail("where they are"));
    let gone = format!("'tcp to any port 80': no longer, by its link{}", tail("by firewall"));
    assert_eq!(plan["changes"][0]["cutover"], json!([new, gone]), "{plan:#}");
    assert_eq!((&plan["changes"][0]["before"], plan["steps"].as_array().map(Vec::len)), (&json!(["firewall"]), Some(1)));
    assert_eq!(chains().await[0]["classifiers"], chain["classifiers"], "nothing is touched");

    let op = rig.task(&format!("{at}/update"), good.clone()).await;
    assert_eq!((op["lcmOperationType"].as_str(), op["operationState"].as_str()), (Some("UPDATE"), Some("COMPLETED")), "{op:#}");
    let affected = json!([{"vnffgInstanceId": "site", "vnffgdId": "site", "changeType": "MODIFY", "changeResult": "COMPLETED"}]);
    assert_eq!(op["resourceChanges"]["affectedVnffgs"], affected);
    assert_eq!(op["operationParams"]["updateType"], "UPDATE_VNFFG");
    let changed = chains().await[0].clone();
    assert_eq!(changed["classifiers"], json!(["tcp over IPv4 to any port 80-81"]));
    let h = &changed["handover"];
    assert_eq!((&h["stage"], &h["before"]), (&json!("DRAINING"), &json!(["firewall"])), "{changed:#}");

    let without = ask(json!({"cpGroup": [begins, ends]}));
    let bad = json!({"updateType": "UPDATE_VNFFG", "updateTime": "2030-01-01T00:00:00Z", "updateVnffg": [{"vnffgInfoId": "x",
        "nfpInfoId": ["y"], "nfp": [{"nfpInfoId": "z", "nfpName": "n",
            "cpGroup": [{"forwardingBehaviour": "ALL", "cpPairInfo": [{"sapIds": ["s"]}, {"vnfExtCpIds": ["e"]}]}],
            "nfpRule": {"dscp": "1", "vlanTag": ["1", "2"], "sourceIpAddressPrefix": "x"}}]}]});
    let each = [
        "updateTime",
        "updateVnffg[0].nfpInfoId",
        "nfp[0].nfpInfoId",
        "nfpName",
        "forwardingBehaviour",
        "vnfExtCpIds",
        "dscp",
        "vlanTag",
        "sourceIpAddressPrefix",
    ];
    for (request, status, says) in [
        (&without, 422, &["ends are on different links", "bothy chain settle to_web"][..]),
        (&bad, 422, &each),
        (&none, 422, &["updateVnffg[0].nfp: needed"]),
    ] {
        for (path, body) in [(format!("{at}/update"), request.clone()), ("/bothy/v1/plan".to_owned(), dry(request))] {
            let r = rig.post(&path, body).await;
            assert_eq!(r.status, status, "{path}: {}", r.body);
            assert!(says.iter().all(|s| r.problem().contains(s)), "{path}: {says:?}: {}", r.body);
        }
    }
    for _ in 0..2 {
        assert_eq!(rig.post(&format!("/bothy/v1/chains/{}/settle", chain["id"].as_str().expect("id")), json!({})).await.status, 204);
        assert!(chains().await[0]["handover"].is_null());
    }
    let stranger = rig.post("/bothy/v1/chains/00000000-0000-4000-8000-000000000001/settle", json!({})).await;
    assert_eq!(stranger.status, 404, "{}", stranger.body);

    let lan = ns["virtualLinkInfo"].as_array().expect("links").iter().find(|l| l["nsVirtualLinkDescId"] == "lan").expect("lan");
    let capture = |more: &str| format!("/bothy/v1/networks/{}/capture{more}", lan["id"].as_str().expect("id"));
    let heard = rig.get(&capture("?packets=3&seconds=30")).await;
    assert_eq!((heard.status, heard.bytes.len()), (200, 24 + 3 * (16 + 60)), "{}", heard.head);
    for (more, status, says) in
        [("?port=bg-none", 404, "has no port"), ("?packets=0", 400, "no number from 1"), ("?size=1", 400, "unknown query parameter")]
    {
        let r = rig.get(&capture(more)).await;
        assert!(r.status == status && r.body.to_string().contains(says), "{more}: {}", r.body);
    }
    assert_eq!(rig.task(&format!("{at}/terminate"), json!({})).await["operationState"], "COMPLETED");
    assert_eq!(rig.sim.leftovers(), []);
}

/// The client's VNF may come three times from now on, and is on no chain.
fn elastic(rig: &Rig) {
    let store = rig.core.vnfm().store();
    let mut nsd = store.list::<NsDescriptor>().expect("NSDs").pop().expect("one");
    for f in nsd.nsd.iter_mut().flat_map(|n| &mut n.flavours) {
        f.paths.clear();
        f.members.iter_mut().filter(|m| m.id == "client").for_each(|m| m.max_instances = 3);
        let mut big = f.levels[0].clone();
        big.id = "big".into();
        big.counts.iter_mut().filter(|(m, _)| m == "client").for_each(|(_, n)| *n = 3);
        f.levels.push(big);
        let levels = (1..=3).map(|n| vec![("client".into(), n)]).collect();
        f.aspects.push(NsAspect { id: "sites".into(), name: "sites".into(), levels });
    }
    store.write(Durability::Barrier, |tx| tx.put(&nsd)).expect("stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_scaled_to_its_levels_and_shows_which_vnfs_came_and_went() {
    let rig = rig(64, "").await;
    let nsd = rig.onboard_vcpe().await;
    elastic(&rig);
    let made = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "site", "nsDescription": ""})).await;
    let ns = made.header("location").expect("location").to_owned();
    assert_eq!(rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await["operationState"], "COMPLETED");
    let names = async || -> Vec<String> {
        let v = rig.show(&ns).await;
        fits(schema::NSLCM, "NsInstance", &v);
        let all = v["vnfInstance"].as_array().expect("members").clone();
        all.iter().map(|m| m["vnfInstanceName"].as_str().expect("a name").to_owned()).filter(|n| n.contains("client")).collect()
    };
    let to = |level: &str| json!({"scaleType": "SCALE_NS", "scaleNsData": {"scaleNsToLevelData": {"nsInstantiationLevel": level}}});

    let before = rig.sim.leftovers();
    let ask = json!({"scale": {"nsInstanceId": ns.rsplit('/').next(), "request": to("big")}});
    let r = rig.post("/bothy/v1/plan", ask).await;
    assert_eq!(r.status, 200, "{}", r.body);
    let planned: Vec<_> = r.json()["vnfs"].as_array().expect("VNFs").iter().map(|v| v["name"].clone()).collect();
    assert_eq!(planned, [json!("site-client-1"), json!("site-client-2")]);
    assert_eq!(rig.sim.leftovers(), before, "a plan touches nothing");

    let op = rig.task(&format!("{ns}/scale"), to("big")).await;
    assert_eq!((op["lcmOperationType"].as_str(), op["operationState"].as_str()), (Some("SCALE"), Some("COMPLETED")), "{op:#}");
    let changes = op["resourceChanges"]["affectedVnfs"].as_array().expect("VNFs").clone();
    assert!(changes.len() == 2 && changes.iter().all(|c| c["changeType"] == "INSTANTIATE" && c["vnfProfileId"] == "client"), "{op:#}");
    assert_eq!(names().await, ["site-client", "site-client-1", "site-client-2"]);
    // One by its name, then the rest by the level.
    let second = changes[0]["vnfInstanceId"].clone();
    let op = rig.task(&format!("{ns}/scale"), json!({"scaleType": "SCALE_NS", "scaleNsData": {"vnfInstanceToBeRemoved": [second]}})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    assert_eq!(names().await, ["site-client", "site-client-2"]);
    let ask = json!({"scale": {"nsInstanceId": ns.rsplit('/').next(), "request": to("default")}});
    assert_eq!(rig.post("/bothy/v1/plan", ask).await.json()["removed"][0]["name"], "site-client-2");
    rig.task(&format!("{ns}/scale"), to("default")).await;
    assert_eq!(names().await, ["site-client"]);
    assert_eq!(rig.sim.leftovers(), before, "all that came is gone");

    // The same along an aspect.
    let by = |direction: &str, n: u32| {
        let steps = json!({"scalingDirection": direction, "aspectId": "sites", "numberOfSteps": n});
        json!({"scaleType": "SCALE_NS", "scaleNsData": {"scaleNsByStepsData": steps}})
    };
    let level = async || rig.show(&ns).await["nsScaleStatus"].clone();
    assert_eq!(level().await, json!([{"nsScalingAspectId": "sites", "nsScaleLevelId": "0"}]));
    rig.task(&format!("{ns}/scale"), by("SCALE_OUT", 2)).await;
    assert_eq!((level().await[0]["nsScaleLevelId"].as_str(), names().await.len()), (Some("2"), 3));
    rig.task(&format!("{ns}/scale"), by("SCALE_IN", 1)).await;
    assert_eq!((level().await[0]["nsScaleLevelId"].as_str(), names().await.len()), (Some("1"), 2));
    let to = json!({"nsScaleInfo": [{"nsScalingAspectId": "sites", "nsScaleLevelId": "0"}]});
    let to = json!({"scaleType": "SCALE_NS", "scaleNsData": {"scaleNsToLevelData": to}});
    rig.task(&format!("{ns}/scale"), to).await;
    assert_eq!(rig.sim.leftovers(), before);
    let r = rig.post(&format!("{ns}/scale"), by("SCALE_IN", 1)).await;
    assert!(r.status == 409 && r.problem().contains("aspect sites is at level 0 of at most 2"), "{}", r.body);

    for (data, status, says) in [
        (json!({}), 422, "give one of scaleNsByStepsData"),
        (json!({"scaleNsToLevelData": {}}), 422, "either nsInstantiationLevel or nsScaleInfo"),
        (json!({"scaleNsToLevelData": {"nsInstantiationLevel": "huge"}}), 422, "it has default, big"),
        (json!({"scaleNsByStepsData": {"scalingDirection": "SCALE_OUT", "aspectId": "a"}}), 422, "no scaling aspect 'a'"),
        (json!({"scaleNsByStepsData": {"scalingDirection": "SCALE_OUT", "aspectId": "a", "numberOfSteps": 0}}), 422, "1 or more"),
        (json!({"vnfInstanceToBeAdded": [{"vnfInstanceId": second, "vnfProfileId": "client"}]}), 422, "vnfInstanceToBeAdded: not offered"),
        (json!({"vnfInstanceToBeRemoved": [second]}), 422, "is no member of it"),
    ] {
        let r = rig.post(&format!("{ns}/scale"), json!({"scaleType": "SCALE_NS", "scaleNsData": data})).await;
        assert_eq!(r.status, status, "{data}: {}", r.body);
        assert!(r.problem().contains(says), "{data}: {says}: {}", r.body);
    }
    assert_eq!(rig.task(&format!("{ns}/terminate"), json!({})).await["operationState"], "COMPLETED");
    assert_eq!(rig.sim.leftovers(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operation_that_made_a_guest_its_ports_and_its_disks_is_named() {
    let rig = rig(64, "").await;
    let at = up(&rig).await;
    let scaled = rig.task(&format!("{at}/scale"), json!({"type": "SCALE_OUT", "aspectId": "servers", "numberOfSteps": 2})).await;
    let (guests, _) = shown(&rig, &at).await;
    let healed = rig.task(&format!("{at}/heal"), json!({"vnfcInstanceId": [guests[1]]})).await;
    let first = rig.show("/vnflcm/v2/vnf_lcm_op_occs?filter=(eq,operation,INSTANTIATE)").await[0].clone();
    let (_, v) = shown(&rig, &at).await;
    let all = v["instantiatedVnfInfo"]["vnfcResourceInfo"].as_array().expect("guests");
    assert_eq!(all.len(), 3);
    for (guest, op) in all.iter().zip([&first, &healed, &scaled]) {
        for (what, id) in [("guest", &guest["id"]), ("port", &guest["vnfcCpInfo"][0]["id"]), ("disk", &guest["storageResourceIds"][0])] {
            let e = rig.show(&format!("/bothy/v1/explain/{}", id.as_str().expect("an id"))).await;
            let made = format!(
                "the {what} was planned when operation {} ({}, ",
                op["id"].as_str().expect("id"),
                op["operation"].as_str().expect("kind")
            );
            let named = e["because"].as_array().expect("reasons").iter().filter_map(Value::as_str).filter(|b| b.starts_with(&made)).count();
            assert_eq!(named, 1, "{made}: {e:#}");
        }
    }
}
