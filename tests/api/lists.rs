//! Filters, selectors and pages over real sockets, on each collection that is served.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    kit::fits,
    rig::{Reply, Rig, rig},
    schema,
};

/// A query value with what a URI cannot hold percent-encoded.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() || b"-._~".contains(&b) { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect()
}

fn ids(v: &Value) -> BTreeSet<String> {
    v.as_array().expect("list").iter().map(|e| e["id"].as_str().expect("id").to_owned()).collect()
}

/// Path and query of the next page.
fn next(r: &Reply) -> Option<String> {
    let link = r.header("link")?;
    let (at, of) = link.strip_prefix('<').and_then(|l| l.split_once('>')).expect("link");
    assert_eq!(of, "; rel=\"next\"");
    Some(at.strip_prefix("https://localhost").expect("absolute").to_owned())
}

async fn made(rig: &Rig, data: Value) -> String {
    let r = rig.post("/vnfpkgm/v2/vnf_packages", json!({"userDefinedData": data})).await;
    assert_eq!(r.status, 201, "{}", r.body);
    r.json()["id"].as_str().expect("id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lead_through_a_list_that_changes_meanwhile() {
    let rig = rig(64, "[limits]\npage = 3\n").await;
    let mut there = BTreeSet::new();
    for n in 0..10 {
        there.insert(made(&rig, json!({"n": n, "odd": n % 2 == 1})).await);
    }
    let (mut at, mut seen, mut pages) = (Some("/vnfpkgm/v2/vnf_packages".to_owned()), BTreeSet::new(), 0);
    while let Some(path) = at {
        let r = rig.get(&path).await;
        assert_eq!(r.status, 200, "{}", r.body);
        let page = ids(&r.json());
        assert!(page.len() <= 3 && page.is_disjoint(&seen));
        seen.extend(page);
        pages += 1;
        made(&rig, json!({})).await;
        at = next(&r);
    }
    assert!(pages >= 4 && there.is_subset(&seen), "{there:?} in {seen:?}");

    // The filter goes with the marker, and a marker serves no other query.
    let odd = format!("/vnfpkgm/v2/vnf_packages?filter={}&fields=userDefinedData", encoded("(eq,userDefinedData/odd,true)"));
    let first = rig.get(&odd).await;
    assert_eq!(ids(&first.json()).len(), 3);
    let more = next(&first).expect("five are odd, three are on a page");
    let rest = rig.get(&more).await;
    assert_eq!(ids(&rest.json()).len(), 2);
    assert!(next(&rest).is_none());
    for e in rest.json().as_array().expect("list") {
        assert_eq!(e["userDefinedData"]["odd"], true);
        fits(schema::VNFPKGM, "VnfPkgInfo", e);
    }
    let marker = more.split("nextpage_opaque_marker=").nth(1).expect("marker");
    assert_eq!(rig.get(&format!("/vnfpkgm/v2/vnf_packages?nextpage_opaque_marker={marker}")).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_collection_filters_selects_and_refuses_alike() {
    let rig = rig(64, "").await;
    let nsd = rig.onboard_vcpe().await;
    let made = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "a, (b)'s", "nsDescription": ""})).await;
    let ns = made.header("location").expect("location").to_owned();
    rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;

    for (path, file, name, filter, count, part) in [
        ("/nsd/v2/ns_descriptors", schema::NSD, "NsdInfo", "(eq,nsdOnboardingState,ONBOARDED);(cont,nsdName,vcpe)", 1, "userDefinedData"),
        ("/vnfpkgm/v2/vnf_packages", schema::VNFPKGM, "VnfPkgInfo", "(cont,vnfProductName,firewall,web)", 2, "softwareImages"),
        ("/nslcm/v2/ns_instances", schema::NSLCM, "NsInstance", "(eq,nsInstanceName,'a, (b)''s')", 1, "vnfInstance"),
        ("/nslcm/v2/ns_lcm_op_occs", schema::NSLCM, "NsLcmOpOcc", "(gt,startTime,2020-01-01T00:00:00Z)", 1, "resourceChanges"),
        ("/vnflcm/v2/vnf_instances", schema::VNFLCM, "VnfInstance", "(eq,instantiatedVnfInfo/vnfState,STARTED)", 3, "instantiatedVnfInfo"),
        (
            "/vnflcm/v2/vnf_lcm_op_occs",
            schema::VNFLCM,
            "VnfLcmOpOcc",
            "(in,operation,INSTANTIATE,HEAL);(neq,operationState,FAILED)",
            3,
            "resourceChanges",
        ),
    ] {
        let filter = format!("filter={}", encoded(filter));
        let usual = rig.show(&format!("{path}?{filter}")).await;
        assert_eq!(usual.as_array().map(Vec::len), Some(count), "{path}: {usual:#}");
        let none = rig.show(&format!("{path}?{filter}&id=none")).await;
        assert_eq!(none, json!([]), "{path}");
        for (query, has) in [
            ("all_fields", true),
            ("exclude_default", false),
            (&*format!("fields={part}"), true),
            (&*format!("exclude_fields={part}"), false),
            (&*format!("fields={part}&exclude_default"), true),
            ("fields=_links", false),
        ] {
            let all = rig.show(&format!("{path}?{filter}&{query}")).await;
            assert_eq!(all.as_array().map(Vec::len), Some(count), "{path}?{query}");
            for e in all.as_array().expect("list") {
                assert_eq!(e.get(part).is_some(), has, "{path}?{query}: {e:#}");
                fits(file, name, e);
            }
        }
        for bad in ["filter=x", "filter=(eq,nothing,x)", "fields=nothing", "all_fields&fields=id", "colour=red", "nextpage_opaque_marker=x"]
        {
            let r = rig.get(&format!("{path}?{bad}")).await;
            assert_eq!(r.status, 400, "{path}?{bad}");
            r.problem();
        }
        // One resource: its ETag, and what is not offered on it.
        let one = format!("{path}/{}", usual[0]["id"].as_str().expect("id"));
        let tag = rig.get(&one).await.header("etag").expect("etag").to_owned();
        assert_eq!(rig.ask(&format!("GET {one}"), &[&format!("if-none-match: W/{tag}")], "").await.status, 304, "{one}");
        assert_eq!(rig.ask(&format!("GET {one}"), &["if-none-match: \"no\""], "").await.status, 200);
        let r = rig.ask(&format!("PUT {one}"), &[], "").await;
        assert_eq!(r.status, 405, "{one}");
        assert!(r.header("allow").is_some_and(|a| a.contains("GET") && !a.contains("PUT")), "{}", r.head);
        assert_eq!(rig.ask(&format!("GET {path}"), &["accept: text/html"], "").await.status, 406);
        assert_eq!(rig.ask(&format!("GET {path}"), &["version: 7.0.0"], "").await.status, 406);
    }
    let nested = rig.show("/vnflcm/v2/vnf_instances?fields=instantiatedVnfInfo/vnfcResourceInfo").await;
    for e in nested.as_array().expect("list") {
        fits(schema::VNFLCM, "VnfInstance", e);
        assert!(
            e["instantiatedVnfInfo"]["vnfcResourceInfo"].is_array() && e["instantiatedVnfInfo"]["virtualStorageResourceInfo"].is_null()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_members_are_ignored_and_a_dry_run_names_them() {
    let rig = rig(64, "").await;
    let nsd = rig.onboard_vcpe().await;
    let ask = json!({"ns": {"nsdId": nsd["nsdId"], "request": {"nsFlavourId": "default", "nsFlavorId": "x", "additionalParamsForNs": {"any": 1}}}});
    let r = rig.post("/bothy/v1/plan", ask).await;
    assert_eq!(r.status, 200, "{}", r.body);
    let warnings: Vec<String> = serde_json::from_value(r.json()["warnings"].clone()).expect("warnings");
    let unknown: Vec<&String> = warnings.iter().filter(|w| w.contains("not known here")).collect();
    assert_eq!(unknown, ["ns.request.nsFlavorId: not known here, ignored"]);
    let made =
        rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "n", "nsDescription": "", "colour": "red"})).await;
    assert_eq!(made.status, 201, "{}", made.body);
}
