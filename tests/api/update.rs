//! Updates of the box over the API, on the simulated box with slots: begun, watched, refused, called off.

use std::time::Duration;

use bothy::sim::{SimConfig, slots::bundle};
use serde_json::{Value, json};

use crate::{
    admin::described_as,
    cli::Site,
    fetch::Shelf,
    rig::{Reply, Rig, rig, rig_on},
};

const UPDATE: &str = "/bothy/v1/host/update";
const BYTES: &str = "Content-Type: application/octet-stream";

async fn with_slots() -> Rig {
    rig_on(64, "", SimConfig { system: Some(("1.0", 3)), ..SimConfig::default() }).await
}

async fn put(rig: &Rig, query: &str, text: &str) -> Reply {
    rig.ask(&format!("PUT {UPDATE}{query}"), &[BYTES], text).await
}

async fn now(rig: &Rig) -> Value {
    let v = rig.get(UPDATE).await.json();
    described_as(UPDATE, &v);
    v
}

async fn until(rig: &Rig, state: &str) -> Value {
    for _ in 0..2000 {
        let v = now(rig).await;
        if v["update"]["state"] == state {
            return v;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it is never {state}: {}", now(rig).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_taken_written_and_armed_and_changes_wait_until_it_is_called_off() {
    let rig = with_slots().await;
    let v = now(&rig).await;
    assert_eq!((&v["updatable"], &v["system"]["version"], &v["system"]["bootVerified"]), (&json!(true), &json!("1.0"), &json!(false)));
    let host = rig.get("/bothy/v1/host").await.json();
    assert_eq!(host["system"]["slot"], "A");

    let r = put(&rig, "", &bundle("1.1", 3)).await;
    assert_eq!(r.status, 202, "{}", r.body);
    let v = until(&rig, "ARMED").await;
    assert_eq!((&v["slotOnTrial"], &v["update"]["version"]), (&json!("B"), &json!("1.1")));
    // Another one is refused, and the first goes on.
    let r = put(&rig, "", &bundle("1.2", 3)).await;
    assert_eq!((r.status, r.problem().contains("restarts into version 1.1")), (503, true), "{}", r.body);

    let r = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": "x"})).await;
    assert_eq!((r.status, r.header("retry-after")), (503, Some("10")), "{}", r.body);
    assert!(r.problem().contains("restarts into version 1.1"), "{}", r.body);
    for path in ["/vnflcm/v2/vnf_instances", "/bothy/v1/health", "/bothy/v1/audit"] {
        assert_eq!(rig.get(path).await.status, 200, "{path}: reading goes on");
    }
    assert_eq!(rig.ask(&format!("DELETE {UPDATE}"), &[], "").await.status, 202);
    let v = now(&rig).await;
    assert_eq!((&v["update"]["state"], &v["slotOnTrial"]), (&json!("CANCELLED"), &Value::Null));
    assert_ne!(rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": "x"})).await.status, 503);
    let r = rig.ask(&format!("DELETE {UPDATE}"), &[], "").await;
    assert_eq!(r.status, 409, "{}", r.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_installed_is_told_with_its_reasons() {
    let rig = with_slots().await;
    for (text, words) in [
        (bundle("1.1", 3) + "signature=wrong\n", "signature"),
        (bundle("1.0", 3), "runs already"),
        (bundle("1.1", 2), "security counter is 2"),
    ] {
        let r = put(&rig, "?restart=false", &text).await;
        assert_eq!(r.status, 202, "{}", r.body);
        let v = until(&rig, "FAILED").await;
        assert!(v["update"]["reasons"].to_string().contains(words), "{v}");
        assert_eq!(rig.get("/bothy/v1/health").await.status, 200);
    }
    for (query, body, headers, status) in [
        ("?again=perhaps", "", BYTES, 400),
        ("?drain_s=-1", "", BYTES, 400),
        ("?drain_s=99999999", "", BYTES, 400),
        ("?other=1", "", BYTES, 400),
        ("", "", "Content-Type: text/plain", 415),
    ] {
        let r = rig.ask(&format!("PUT {UPDATE}{query}"), &[headers], body).await;
        assert_eq!(r.status, status, "{query} {}", r.body);
    }
    // By a path on the box.
    let dir = tempfile::tempdir().expect("dir");
    let file = dir.path().join("x.raucb");
    std::fs::write(&file, bundle("1.3", 4)).expect("bundle");
    for (path, status) in [("relative", 422), ("/nonexistent/x", 422)] {
        let r = rig.post(UPDATE, json!({"path": path})).await;
        assert_eq!(r.status, status, "{}", r.body);
    }
    let r = rig.post(UPDATE, json!({"path": file, "restart": false})).await;
    assert_eq!(r.status, 202, "{}", r.body);
    let v = until(&rig, "ARMED").await;
    assert_eq!((&v["update"]["version"], &v["update"]["restartsByItself"], file.exists()), (&json!("1.3"), &json!(false), true));
    assert_eq!(rig.post("/bothy/v1/host/undo", json!({})).await.status, 200, "nobody restarts it: changes are taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_fetched_from_a_url_and_what_cannot_be_had_is_told() {
    let rig = with_slots().await;
    let shelf = Shelf::of(&rig).await;
    let there = shelf.put("/1.4.raucb", 200, bundle("1.4", 4).as_bytes());
    for (ask, words) in [
        (json!({}), "one of path (on the box) and url"),
        (json!({"path": "/x", "url": there}), "one of path (on the box) and url"),
        (json!({"url": "http://127.0.0.1/x"}), "limits.fetch_http"),
        (json!({"url": "nowhere"}), "url: "),
    ] {
        let r = rig.post(UPDATE, ask).await;
        assert_eq!((r.status, r.problem().contains(words)), (422, true), "{}", r.body);
    }
    let gone = shelf.uri("/gone.raucb");
    let elsewhere = shelf.put("/moved.raucb", 302, b"");
    let rubbish = shelf.put("/rubbish.raucb", 200, b"no bundle");
    for (url, words) in [(&gone, "answered 404"), (&elsewhere, "leads elsewhere"), (&rubbish, "bundle")] {
        let r = rig.post(UPDATE, json!({"url": url, "restart": false})).await;
        assert_eq!(r.status, 202, "{}", r.body);
        let v = until(&rig, "FAILED").await;
        assert!(v["update"]["reasons"].to_string().contains(words), "{v}");
    }
    // The server is not well at first.
    let late = shelf.put("/late.raucb", 503, b"");
    let r = rig.post(UPDATE, json!({"url": format!("{late}?key=hush"), "restart": false})).await;
    assert_eq!((r.status, &r.json()["update"]["state"], &r.json()["update"]["url"]), (202, &json!("FETCHING"), &json!(late)));
    while shelf.asked("/late.raucb") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(rig.post(UPDATE, json!({"url": there})).await.status, 409);
    shelf.put("/late.raucb", 200, bundle("1.4", 4).as_bytes());
    let v = until(&rig, "ARMED").await;
    assert_eq!((&v["update"]["version"], &v["update"]["url"]), (&json!("1.4"), &json!(late)));
    assert!(!v.to_string().contains("hush"));
    assert_eq!(rig.ask(&format!("DELETE {UPDATE}"), &[], "").await.status, 202);
    // It breaks off in the middle, and is begun anew.
    shelf.put("/breaks", 200, b"");
    let whole = shelf.put("/whole.raucb", 200, bundle("1.6", 4).as_bytes());
    assert_eq!(rig.post(UPDATE, json!({"url": whole, "restart": false})).await.status, 202);
    while shelf.broken() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(now(&rig).await["update"]["state"], "FETCHING");
    shelf.take("/breaks");
    assert_eq!(until(&rig, "ARMED").await["update"]["version"], "1.6");
    assert_eq!(rig.ask(&format!("DELETE {UPDATE}"), &[], "").await.status, 202);
    // One that is called off while it is waited for does not come later.
    let never = shelf.put("/never.raucb", 503, b"");
    assert_eq!(rig.post(UPDATE, json!({"url": never})).await.status, 202);
    assert_eq!(rig.ask(&format!("DELETE {UPDATE}"), &[], "").await.status, 202);
    shelf.put("/never.raucb", 200, bundle("1.5", 4).as_bytes());
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(now(&rig).await["update"]["state"], "CANCELLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_without_slots_says_so() {
    let rig = rig(64, "").await;
    assert_eq!(now(&rig).await, json!({"updatable": false, "failedVersions": []}));
    for r in [put(&rig, "", &bundle("1.1", 3)).await, rig.post(UPDATE, json!({"path": "/x"})).await] {
        assert_eq!(r.status, 409, "{}", r.body);
        assert!(r.problem().contains("no second slot"), "{}", r.body);
    }
    assert!(rig.get("/bothy/v1/host").await.json()["system"].is_null());
}

/// Over the daemon itself, whose simulated box has no slots.
#[test]
fn the_command_line_says_that_a_box_has_no_slots() {
    let site = Site::start();
    assert!(site.says(0, &["update", "status"]).contains("no slots"));
    let file = site.path("x.raucb");
    std::fs::write(&file, bundle("1.1", 3)).expect("bundle");
    for more in [&[][..], &["--on-box"]] {
        let said = site.says(3, &[&["update", "install", &file.display().to_string()], more].concat());
        assert!(said.contains("no second slot"), "{said}");
    }
    site.says(1, &["update", "install", "/nonexistent/x"]);
    site.says(3, &["update", "rollback"]);
}
