//! Commands that make what other commands list: PM jobs and thresholds, subscriptions, what a VNF's record says.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    cli::{Site, callback},
    notify::nobody,
};

/// A site with the sample service.
fn site() -> Site {
    let site = Site::start();
    let vcpe = site.vcpe();
    site.says(0, &["up", &vcpe, "--images", "images"]);
    site
}

fn id(v: &Value) -> String {
    v["id"].as_str().unwrap_or_else(|| panic!("no id: {v:#}")).to_owned()
}

#[test]
fn jobs_and_thresholds_are_made_shown_and_reported_by_name() {
    let site = site();
    let url = callback();
    let job = site.json(&[
        "pm",
        "create",
        "vcpe-web",
        "vcpe-client",
        "--metric",
        "VcpuUsageMeanVnf",
        "--metric",
        "VmemoryUsageMeanVnf",
        "--every",
        "1",
        "--report-every",
        "1",
        "--until",
        "2100-01-01T00:00:00Z",
        "--callback",
        &url,
    ]);
    assert_eq!((&job["objectType"], job["objectInstanceIds"].as_array().map(Vec::len)), (&json!("Vnf"), Some(2)), "{job:#}");
    assert_eq!(job["criteria"]["performanceMetric"], json!(["VcpuUsageMeanVnf", "VmemoryUsageMeanVnf"]));
    let begun = Instant::now();
    let reports = loop {
        let all = site.json(&["pm", "reports", &id(&job)]);
        if all.as_array().is_some_and(|a| a.len() > 1) {
            break all;
        }
        assert!(begun.elapsed() < Duration::from_secs(180), "no two reports: {all:#}");
        std::thread::sleep(Duration::from_millis(100));
    };
    let listed = site.says(0, &["pm", "reports", &id(&job)[..8]]);
    assert!(listed.starts_with("ID") && listed.contains("READY"), "{listed}");
    let first = reports[0]["href"].as_str().and_then(|h| h.rsplit('/').next()).expect("a report").to_owned();
    let told = site.json(&["pm", "report", &id(&job), &first]);
    assert!(told["entries"].as_array().is_some_and(|e| e.len() >= 2), "{told:#}");
    assert!(site.says(3, &["pm", "report", &id(&job), "zzzz"]).contains("has no report 'zzzz'"));

    // Of a service, by what it offers outside; what cannot be measured is said by its name.
    let sap = ["pm", "create", "--ns", "vcpe", "--of", "Ns", "--callback", &url, "--metric"];
    let of_ns = site.says(0, &[&sap[..], &["ByteIncomingSap"]].concat());
    assert!(of_ns.contains("measures every 10 s"), "{of_ns}");
    let refused = site.says(3, &[&sap[..], &["Happiness"]].concat());
    assert!(refused.contains("Happiness"), "{refused}");
    let (_held, nobody) = nobody();
    let silent = format!("http://{nobody}/cb");
    let unheard = site.says(3, &["pm", "create", "vcpe-web", "--metric", "VcpuUsageMeanVnf", "--callback", &silent]);
    assert!(unheard.contains("callbackUri"), "{unheard}");
    site.says(2, &["pm", "create", "--metric", "VcpuUsageMeanVnf"]);

    let limit =
        ["pm", "create-threshold", "vcpe-web", "--metric", "VcpuUsageMeanVnf", "--at", "90", "--hysteresis", "5", "--callback", &url];
    let made = site.json(&limit);
    assert_eq!(made["criteria"]["simpleThresholdDetails"], json!({"thresholdValue": 90.0, "hysteresis": 5.0}), "{made:#}");
    assert!(site.says(0, &["pm", "show-threshold", &id(&made)[..8]]).contains("VcpuUsageMeanVnf"));
    assert!(site.says(0, &limit).ends_with("is at 90 ± 5"));
    assert_eq!(site.json(&["pm", "thresholds"]).as_array().map(Vec::len), Some(2));
    // Who is told of a threshold is asked as a subscriber is.
    assert!(site.says(0, &["subscription", "test", &id(&made)]).contains("answers"));
}

#[test]
fn subscriptions_of_each_api_are_made_found_tested_and_ended() {
    let site = Site::start();
    let url = callback();
    assert_eq!(site.says(0, &["subscription", "list"]), "none");
    let mut made = Vec::new();
    for api in ["nsd", "vnfpkgm", "nslcm", "nsfm", "vnflcm", "vnffm", "vrqan"] {
        let s = site.json(&["subscription", "create", api, "--callback", &url]);
        assert_eq!(s["callbackUri"], json!(url), "{api}: {s:#}");
        made.push(id(&s));
        let one = site.says(0, &["subscription", "list", api]);
        assert!(one.contains(api) && one.contains("everything") && one.lines().count() == 2, "{one}");
        let again = site.says(0, &["subscription", "create", api, "--callback", &url]);
        assert!(again.contains("is the same, and there already"), "{again}");
    }
    assert_eq!(site.json(&["subscription", "list"]).as_array().map(Vec::len), Some(7));

    fs::write(site.path("ask.yaml"), "filter:\n  operationTypes: [HEAL]\n").expect("written");
    let s = site.json(&["subscription", "create", "vnflcm", "--short", "--callback", &url, "--request", "ask.yaml"]);
    assert_eq!((&s["verbosity"], &s["filter"]["operationTypes"]), (&json!("SHORT"), &json!(["HEAL"])), "{s:#}");
    assert!(site.says(0, &["subscription", "list", "vnflcm"]).contains("HEAL"));
    fs::write(site.path("ask.yaml"), "filter:\n  operationTypes: [DANCE]\n").expect("written");
    site.says(3, &["subscription", "create", "vnflcm", "--callback", &url, "--request", "ask.yaml"]);
    let (_held, nobody) = nobody();
    let deaf = site.says(3, &["subscription", "create", "nsd", "--callback", &format!("http://{nobody}/cb")]);
    assert!(deaf.contains("the test of"), "{deaf}");

    assert!(site.says(0, &["subscription", "show", &made[0][..8]]).contains(&url));
    for one in &made {
        assert!(site.says(0, &["subscription", "test", &one[..8]]).contains("answers"));
        assert!(site.says(0, &["subscription", "delete", &one[..8]]).starts_with("deleted subscription"));
    }
    assert!(site.says(3, &["subscription", "show", &made[0][..8]]).contains("there is no subscription"));
    assert!(site.says(3, &["subscription", "test", &made[0]]).contains("there is no subscription"));
    assert_eq!(site.json(&["subscription", "list"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn what_the_record_of_a_vnf_says_is_changed_member_by_member() {
    let site = site();
    let told = site.says(
        0,
        &[
            "vnf",
            "modify",
            "vcpe-web",
            "--name",
            "shop",
            "--description",
            "the shop",
            "--set",
            "isAutohealEnabled=true",
            "--metadata",
            "rack=7",
            "--metadata",
            "row=x",
        ],
    );
    assert!(told.contains("(MODIFY_INFO) is COMPLETED"), "{told}");
    let v = site.json(&["vnf", "show", "shop"]);
    assert_eq!(
        (&v["vnfInstanceDescription"], &v["vnfConfigurableProperties"]["isAutohealEnabled"]),
        (&json!("the shop"), &json!(true)),
        "{v:#}"
    );
    assert_eq!(v["metadata"], json!({"rack": 7, "row": "x"}));
    fs::write(site.path("more.yaml"), "extensions: { a: 1 }\n").expect("written");
    let op = site.json(&["vnf", "modify", "shop", "--metadata", "row=null", "--request", "more.yaml"]);
    assert_eq!((&op["operation"], &op["operationState"]), (&json!("MODIFY_INFO"), &json!("COMPLETED")), "{op:#}");
    let v = site.json(&["vnf", "show", "shop"]);
    assert_eq!((&v["metadata"], &v["extensions"]), (&json!({"rack": 7}), &json!({"a": 1})), "{v:#}");
    assert!(site.says(2, &["vnf", "modify", "shop"]).contains("say what is to change"));
    let secret = site.says(3, &["vnf", "modify", "shop", "--set", "password=hush"]);
    assert!(secret.contains("secret"), "{secret}");
}

#[test]
fn a_service_stops_starts_and_updates_its_vnfs() {
    let site = site();
    let states = || {
        let all = site.json(&["ns", "show", "vcpe"])["vnfInstance"].as_array().cloned().unwrap_or_default();
        all.iter().map(|v| v["instantiatedVnfInfo"]["vnfState"].as_str().unwrap_or("?").to_owned()).collect::<Vec<_>>()
    };
    let op = site.json(&["ns", "stop", "vcpe", "vcpe-web", "--how", "forceful"]);
    assert_eq!((&op["operationState"], &op["operationParams"]["operateVnfData"][0]["stopType"]), (&json!("COMPLETED"), &json!("FORCEFUL")));
    assert_eq!(states().iter().filter(|s| *s == "STOPPED").count(), 1, "{:?}", states());
    assert_eq!(site.json(&["ns", "stop", "vcpe"])["operationState"], "COMPLETED");
    assert_eq!(states(), ["STOPPED"; 3]);
    assert_eq!(site.json(&["ns", "start", "vcpe"])["operationState"], "COMPLETED");
    assert_eq!(states(), ["STARTED"; 3]);

    let web = id(&site.json(&["vnf", "show", "vcpe-web"]));
    let ask = json!({"updateType": "MODIFY_VNF_INFORMATION", "modifyVnfInfoData": [{"vnfInstanceId": web, "vnfInstanceName": "shop"}]});
    fs::write(site.path("ask.yaml"), ask.to_string()).expect("written");
    assert!(site.says(3, &["ns", "update", "vcpe", "--request", "ask.yaml", "--plan"]).contains("updateType"));
    assert_eq!(site.json(&["ns", "update", "vcpe", "--request", "ask.yaml"])["operationState"], "COMPLETED");
    assert_eq!(site.json(&["vnf", "show", "shop"])["id"], json!(web));
}

#[test]
fn where_a_vnf_is_asked_is_told_and_why_it_is_not_is_said() {
    let site = site();
    let nowhere = site.says(3, &["vnf", "config", "show", "vcpe-web"]);
    assert!(nowhere.contains("bothy vnf endpoint set"), "{nowhere}");
    let told = site.json(&["vnf", "endpoint", "set", "vcpe-web", "--api-root", "http://127.0.0.1:1/", "--mgmt", "https://em"]);
    assert_eq!(told["vnf"], json!({"apiRoot": "http://127.0.0.1:1", "authentication": "NONE"}), "{told:#}");
    let shown = site.says(0, &["vnf", "endpoint", "show", "vcpe-web"]);
    assert!(shown.contains("https://em"), "{shown}");
    let away = site.says(3, &["vnf", "config", "set", "vcpe-web", "--set", "peer=10.1.0.1"]);
    assert!(away.contains("the VNF does not answer"), "{away}");
    site.says(0, &["vnf", "endpoint", "delete", "vcpe-web"]);
    assert_eq!(site.json(&["vnf", "endpoint", "show", "vcpe-web"])["vnf"], Value::Null);
}
