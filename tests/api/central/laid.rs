//! Grants that name other links or parameters than were asked for: what becomes of the plan.

use super::*;

/// Links of a service in the NFVO's project, by their names.
async fn service_links(o: &Owned) -> impl Fn(&str) -> String {
    for p in ["client", "firewall"] {
        o.rig.onboard_vnf(&format!("descriptors/vcpe/vcpe-{p}")).await;
    }
    let nsd = o.rig.onboard_nsd("descriptors/vcpe/vcpe-ns").await;
    let ns = o.rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "s", "nsDescription": ""})).await;
    let ns = ns.header("location").expect("location").to_owned();
    let up = o.rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    assert_eq!(up["operationState"], "COMPLETED", "{up:#}");
    let networks = o.rig.show("/bothy/v1/networks").await;
    move |name: &str| {
        let all = networks.as_array().expect("networks");
        all.iter().find(|n| n["link"] == name).expect("a link")["id"].as_str().expect("id").to_owned()
    }
}

fn on(link: &str) -> Value {
    json!([{"id": "x", "resourceId": link, "extCps": [{"cpdId": "wan"}]}])
}

/// The links that it is on, and its page as its guest reads it.
async fn links_and_page(o: &Owned, vnf: &str) -> (Vec<String>, String) {
    let v = o.rig.show(vnf).await;
    fits(schema::VNFLCM, "VnfInstance", &v);
    let links = v["instantiatedVnfInfo"]["extVirtualLinkInfo"].as_array().cloned().unwrap_or_default();
    let links = links.iter().map(|l| l["id"].as_str().expect("id").to_owned()).collect();
    let media = o.rig.show(&format!("/bothy/v1/vnf/{}/day0", vnf.rsplit('/').next().expect("id"))).await;
    (links, media.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_parameters_of_a_grant_are_laid_on_the_plan_and_nothing_is_left_of_the_first() {
    let o = Owned::new("").await;
    let link = service_links(&o).await;
    let (wan, lan) = (link("wan"), link("lan"));
    let stations = async || {
        let all = o.rig.show("/bothy/v1/networks").await;
        let count = |n: &Value| format!("{}: {}", n["link"], n["stations"].as_array().map_or(0, Vec::len));
        all.as_array().expect("links").iter().map(count).collect::<Vec<_>>()
    };
    let (before, room) = (stations().await, o.rig.show("/bothy/v1/host").await["capacity"].clone());
    let vnf = o.create().await;
    let mut ask = instantiate();
    // Where the request says no link it gets one of its own, which is not made where the grant says another.
    let laid = json!({"extVirtualLinks": on(&lan), "additionalParams": {"page_text": "granted"}});
    for (links, grant, at, page) in [
        (Value::Null, Value::Null, None, "hello"),
        (Value::Null, laid.clone(), Some(&lan), "granted"),
        (on(&wan), laid, Some(&lan), "granted"),
        (on(&wan), json!({"additionalParams": {"page_text": "granted"}}), Some(&wan), "granted"),
        (on(&wan), json!({"extVirtualLinks": on(&wan)}), Some(&wan), "hello"),
    ] {
        ask["extVirtualLinks"] = if links.is_null() { json!([]) } else { links };
        o.orch.plays(&[(202, Value::Null), (200, grant.clone())]);
        let up = o.task(&format!("{vnf}/instantiate"), ask.clone()).await;
        assert_eq!((&up["operationState"], &up["grantId"]), (&json!("COMPLETED"), &json!("grant-1")), "{grant}: {up:#}");
        assert_eq!(up["operationParams"]["additionalParams"]["page_text"], "hello", "what was asked is shown as it was asked");
        let says = up["warnings"].to_string();
        assert_eq!(says.contains("the grant grant-1 says"), page == "granted" || at == Some(&lan), "{says}");
        let (links, text) = links_and_page(&o, &vnf).await;
        assert!(text.contains(page), "{page}: {text}");
        match at {
            Some(at) => {
                assert_eq!(links, std::slice::from_ref(at), "{grant}");
                assert_eq!(stations().await.len(), before.len() + 1, "its other connection point alone has a link of its own");
            }
            None => assert!(links.is_empty() || !links.contains(&wan)),
        }
        o.orch.plays(&[]);
        let down = o.task(&format!("{vnf}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
        assert_eq!(down["operationState"], "COMPLETED", "{down:#}");
        assert_eq!((stations().await, &o.rig.show("/bothy/v1/host").await["capacity"]), (before.clone(), &room), "{grant}");
    }
    // What cannot be kept leaves nothing, of either plan.
    o.orch.plays(&[(201, json!({"extVirtualLinks": on("00000000-0000-4000-8000-000000000001")}))]);
    let up = o.task(&format!("{vnf}/instantiate"), ask).await;
    assert_eq!(up["operationState"], "ROLLED_BACK", "{up:#}");
    assert_eq!((stations().await, &o.rig.show("/bothy/v1/host").await["capacity"]), (before, &room));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_links_goes_where_its_grant_says_and_what_takes_no_links_is_refused_them() {
    let o = Owned::new("").await;
    let link = service_links(&o).await;
    let (wan, lan, mgmt) = (link("wan"), link("lan"), link("mgmt"));
    let vnf = o.create().await;
    let mut ask = instantiate();
    ask["extVirtualLinks"] = on(&wan);
    let up = o.task(&format!("{vnf}/instantiate"), ask).await;
    assert_eq!(up["operationState"], "COMPLETED", "{up:#}");
    let station = async |link: &str| {
        let all = o.rig.show("/bothy/v1/networks").await;
        let all = all.as_array().expect("links").clone();
        all.iter().find(|n| n["id"] == link).expect("a link")["stations"].as_array().map_or(0, Vec::len)
    };
    let lan_before = station(&lan).await;
    o.orch.plays(&[(201, json!({"extVirtualLinks": on(&mgmt)}))]);
    let op = o.task(&format!("{vnf}/change_ext_conn"), json!({"extVirtualLinks": on(&lan)})).await;
    assert_eq!((&op["operationState"], &op["changedExtConnectivity"][0]["id"]), (&json!("COMPLETED"), &json!(mgmt)), "{op:#}");
    assert_eq!((links_and_page(&o, &vnf).await.0, station(&lan).await), (vec![mgmt.clone()], lan_before), "nothing is kept on the other");
    // To where it is: there is nothing to do.
    let op = o.task(&format!("{vnf}/change_ext_conn"), json!({"extVirtualLinks": on(&lan)})).await;
    assert_eq!((&op["operationState"], station(&lan).await), (&json!("COMPLETED"), lan_before), "{op:#}");
    assert!(o.rig.show(&vnf).await["_links"]["scale"].is_object(), "it is free");

    for (task, body, says) in [
        ("scale", json!({"type": "SCALE_OUT", "aspectId": "servers"}), "extVirtualLinks: x: SCALE takes no links"),
        ("heal", json!({}), "extVirtualLinks: x: HEAL takes no links"),
    ] {
        let op = o.task(&format!("{vnf}/{task}"), body.clone()).await;
        let detail = op["error"]["detail"].as_str().unwrap_or_default();
        assert!(op["operationState"] == "ROLLED_BACK" && detail.contains(says), "{op:#}");
        o.orch.plays(&[(201, json!({"additionalParams": {"all": true}}))]);
        let op = o.task(&format!("{vnf}/{task}"), body).await;
        let detail = op["error"]["detail"].as_str().unwrap_or_default();
        assert!(op["operationState"] == "ROLLED_BACK" && detail.contains("takes none of a grant"), "{op:#}");
        o.orch.plays(&[(201, json!({"extVirtualLinks": on(&mgmt)}))]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_package_comes_with_the_links_and_parameters_of_its_grant() {
    let o = Owned::new("").await;
    // Its second version has another image.
    let store = o.rig.core.vnfm().store();
    let mut two = VnfPackage { id: VnfPkgId(Uuid::from_u128(2)), ..store.list::<VnfPackage>().expect("packages").remove(0) };
    let second = "web-two";
    if let Some(d) = &mut two.vnfd {
        (d.id, d.software_version, d.version) = (second.into(), "2".into(), "2.0".into());
    }
    for i in &mut two.images {
        i.sha256 = [9; 32];
        o.rig
            .sim
            .add_base(i.sha256, ImageInfo { format: ImageFormat::Qcow2, virtual_size: i.virtual_size, size: model::size::Bytes(1 << 20) });
    }
    store.write(Durability::Barrier, |tx| tx.put(&two)).expect("stored");
    let link = service_links(&o).await;
    let (wan, lan) = (link("wan"), link("lan"));
    let vnf = o.create().await;
    let mut ask = instantiate();
    ask["extVirtualLinks"] = on(&wan);
    assert_eq!(o.task(&format!("{vnf}/instantiate"), ask).await["operationState"], "COMPLETED");
    o.orch.plays(&[(201, json!({"additionalParams": {"page_text": "granted"}}))]);
    let op = o.task(&format!("{vnf}/change_vnfpkg"), json!({"vnfdId": second})).await;
    assert_eq!((&op["operationState"], &op["grantId"]), (&json!("COMPLETED"), &json!("grant-1")), "{op:#}");
    let (links, page) = links_and_page(&o, &vnf).await;
    assert!(links == [wan] && page.contains("granted"), "{links:?} {page}");
    // A NIC that is there stays where it is: the grant cannot be kept, and the VNF is as it was.
    o.orch.plays(&[(201, json!({"extVirtualLinks": on(&lan)}))]);
    let op = o.task(&format!("{vnf}/change_vnfpkg"), json!({"vnfdId": o.vnfd})).await;
    assert_eq!(op["operationState"], "ROLLED_BACK", "{op:#}");
    assert_eq!(o.rig.show(&vnf).await["vnfdId"], json!(second));
}
