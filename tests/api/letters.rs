//! Dead letters: what nobody took is put aside, shown, and sent once more when that is asked for.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    notify::{Subscriber, subscribe, told},
    rig::rig,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_takes_is_a_dead_letter_and_can_be_sent_again() {
    let rig = rig(64, "[notify]\nattempts = 3\n").await;
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let s = Subscriber::start(None).await;
    let made = subscribe(&rig, "vnflcm", json!({"callbackUri": s.uri()})).await.json();
    s.answers(503);
    rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"]})).await;
    let begun = Instant::now();
    let standing = loop {
        let all = rig.show("/bothy/v1/notifications").await;
        let one = all["subscribers"][0].clone();
        if one["dead"].as_array().is_some_and(|d| !d.is_empty()) {
            break one;
        }
        assert!(begun.elapsed() < Duration::from_secs(180), "{one:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(standing["dead"][0]["attempts"], 3);
    assert!(standing["dead"][0]["why"].as_str().is_some_and(|w| w.contains("503")), "{standing:#}");
    s.answers(204);
    let again = rig.post(&format!("/bothy/v1/notifications/{}/redeliver", made["id"].as_str().expect("id")), json!({})).await;
    assert_eq!(again.status, 202, "{}", again.body);
    let news = s.until(1).await;
    assert_eq!(told(&news[0]), "VnfIdentifierCreation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_sent_again_while_another_event_is_in_its_pause() {
    let rig = rig(64, "[notify]\nattempts = 60\n").await;
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let s = Subscriber::start(None).await;
    let made = subscribe(&rig, "vnflcm", json!({"callbackUri": s.uri()})).await.json();
    s.answers(503);
    let until = async |is: &dyn Fn(&Value) -> bool| {
        let begun = Instant::now();
        loop {
            let one = rig.show("/bothy/v1/notifications").await["subscribers"][0].clone();
            if is(&one) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(180), "{one:#}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let create = async || {
        let r = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"]})).await;
        assert_eq!(r.status, 201, "{}", r.body);
        r.json()["id"].clone()
    };
    let dead = create().await;
    until(&|one| one["dead"].as_array().is_some_and(|d| d.len() == 1)).await;
    let pending = create().await;
    // It is between two tries, and far from its last.
    until(&|one| one["waiting"] == 1 && one["attempts"].as_u64().is_some_and(|n| n > 3)).await;
    s.answers(204);
    let again = rig.post(&format!("/bothy/v1/notifications/{}/redeliver", made["id"].as_str().expect("id")), json!({})).await;
    assert_eq!(again.status, 202, "{}", again.body);
    let heard: std::collections::BTreeSet<String> = s.until(2).await.iter().map(|n| n["vnfInstanceId"].to_string()).collect();
    assert_eq!(heard, [dead, pending].map(|v| v.to_string()).into());
    until(&|one| one["dead"].as_array().is_some_and(Vec::is_empty) && one["waiting"] == 0).await;
}
