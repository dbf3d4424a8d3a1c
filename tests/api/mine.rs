//! A central NFVO sees its own: alarms, PM jobs, thresholds and subscriptions are there for it as their VNFs are, and it is told of
//! these alone, though others of its project have VNFs too.

use std::time::{Duration, Instant};

use bothy::{model::id::VnfcId, vim::port::GuestState};
use serde_json::{Value, json};

use crate::{
    central::Owned,
    identity::{bare, bearer, user},
    notify::Subscriber,
    rig::Reply,
};

/// The NFVO, and an operator of the same project.
struct Two {
    o: Owned,
    operator: String,
}

impl Two {
    async fn ask(&self, as_nfvo: bool, line: &str, body: Value) -> Reply {
        if as_nfvo {
            return self.o.ask(line, body).await;
        }
        let text = if body.is_null() { String::new() } else { body.to_string() };
        bare(&self.o.rig, line, &[&self.operator, "content-type: application/json"], &text).await
    }
    async fn made(&self, as_nfvo: bool, path: &str, body: Value) -> String {
        let r = self.ask(as_nfvo, &format!("POST {path}"), body).await;
        assert_eq!(r.status, 201, "{}", r.body);
        r.header("location").expect("location").to_owned()
    }
    /// A VNF that is up, and its guest.
    async fn vnf(&self, as_nfvo: bool) -> (String, VnfcId) {
        let vnf = self.made(as_nfvo, "/vnflcm/v2/vnf_instances", json!({"vnfdId": self.o.vnfd})).await;
        let up = self.o.rig.task(&format!("{vnf}/instantiate"), json!({"flavourId": "default"})).await;
        assert_eq!(up["operationState"], "COMPLETED", "{up:#}");
        let shown = self.o.rig.show(&vnf).await;
        let guest = &shown["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["computeResource"]["resourceId"];
        (vnf, guest.as_str().expect("a guest").parse().expect("an id"))
    }
    async fn until_alarms(&self, count: usize) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let all = self.o.rig.show("/vnffm/v1/alarms").await.as_array().expect("a list").clone();
            if all.len() == count {
                return all;
            }
            assert!(begun.elapsed() < Duration::from_secs(180), "{all:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    /// Told of a VNF that was made, it has been told of all that was before.
    async fn until_told(&self, s: &Subscriber, made: &str) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let news = s.news();
            if news.iter().any(|n| n["vnfInstanceId"] == id(made)) {
                return news;
            }
            assert!(begun.elapsed() < Duration::from_secs(180), "{news:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    /// Of this list the NFVO has one entry, which is its own, and the other is not there for it.
    async fn apart(&self, list: &str, own: &str, other: &str) {
        let shown = self.ask(true, &format!("GET {list}"), Value::Null).await.json();
        let ids: Vec<&str> = shown.as_array().expect("a list").iter().filter_map(|e| e["id"].as_str()).collect();
        assert_eq!(ids, [own.rsplit('/').next().expect("id")], "{list}");
        assert_eq!(self.ask(true, &format!("GET {own}"), Value::Null).await.status, 200, "{own}");
        for method in ["GET", "DELETE"] {
            let r = self.ask(true, &format!("{method} {other}"), Value::Null).await;
            let is_alarm = list.contains("alarms") && method == "DELETE";
            assert_eq!(r.status, if is_alarm { 405 } else { 404 }, "{method} {other}: {}", r.body);
        }
        assert_eq!(self.o.rig.show(list).await.as_array().map(Vec::len), Some(2), "{list}");
    }
}

fn id(path: &str) -> &str {
    path.rsplit('/').next().expect("id")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_anothers_vnf_is_not_there_for_an_nfvo_and_not_told_to_it() {
    let o = Owned::new("").await;
    let operator = bearer(&user(&o.rig, "op", "operator", "default").await);
    let t = Two { o, operator };
    let (its, others) = (Subscriber::start(None).await, Subscriber::start(None).await);
    let to = |s: &Subscriber| json!({"callbackUri": s.uri()});
    let mut subscriptions = Vec::new();
    for api in ["/vnflcm/v2/subscriptions", "/vnffm/v1/subscriptions"] {
        subscriptions.push((api, t.made(true, api, to(&its)).await, t.made(false, api, to(&others)).await));
    }
    for (api, own, other) in &subscriptions {
        t.apart(api, own, other).await;
    }
    let ((mine, guest), (theirs, stranger)) = (t.vnf(true).await, t.vnf(false).await);

    for g in [guest, stranger] {
        t.o.rig.sim.put(g, GuestState::Crashed).expect("crashed");
    }
    let all = t.until_alarms(2).await;
    let of = |vnf: &str| {
        let alarm = all.iter().find(|a| a["managedObjectId"] == id(vnf)).expect("an alarm");
        format!("/vnffm/v1/alarms/{}", alarm["id"].as_str().expect("id"))
    };
    t.apart("/vnffm/v1/alarms", &of(&mine), &of(&theirs)).await;
    let ack = json!({"ackState": "ACKNOWLEDGED"});
    for (alarm, status) in [(of(&mine), 200), (of(&theirs), 404)] {
        let r = t.ask(true, &format!("PATCH {alarm}"), ack.clone()).await;
        assert_eq!(r.status, status, "{}", r.body);
    }

    let job = |vnf: &str, s: &Subscriber| {
        json!({"objectType": "Vnf", "objectInstanceIds": [id(vnf)], "callbackUri": s.uri(),
            "criteria": {"performanceMetric": ["VcpuUsageMeanVnf"], "collectionPeriod": 60, "reportingPeriod": 60}})
    };
    let threshold = |vnf: &str, s: &Subscriber| {
        json!({"objectType": "Vnf", "objectInstanceId": id(vnf), "callbackUri": s.uri(), "criteria": {
            "performanceMetric": "VcpuUsageMeanVnf", "thresholdType": "SIMPLE",
            "simpleThresholdDetails": {"thresholdValue": 90, "hysteresis": 1}}})
    };
    type Ask<'a> = &'a dyn Fn(&str, &Subscriber) -> Value;
    let asks: [(&str, Ask<'_>); 2] = [("/vnfpm/v2/pm_jobs", &job), ("/vnfpm/v2/thresholds", &threshold)];
    let mut measured = Vec::new();
    for (list, ask) in asks {
        let r = t.ask(true, &format!("POST {list}"), ask(&theirs, &its)).await;
        assert!(r.status == 422 && r.body.contains("there is no VNF instance"), "{}", r.body);
        let (own, other) = (t.made(true, list, ask(&mine, &its)).await, t.made(false, list, ask(&theirs, &others)).await);
        t.apart(list, &own, &other).await;
        let moved = t.ask(true, &format!("PATCH {own}"), json!({"callbackUri": its.uri()})).await;
        assert_eq!(moved.status, 200, "{}", moved.body);
        measured.push(own);
    }
    // It ends them, whatever has become of what they measure.
    for vnf in [&mine, &theirs] {
        t.o.rig.task(&format!("{vnf}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
        assert_eq!(t.o.rig.delete(vnf).await.status, 204);
    }
    for own in &measured {
        assert_eq!(t.ask(true, &format!("DELETE {own}"), Value::Null).await.status, 204, "{own}");
    }

    // Each hears in order: what is told last comes after all that could have been.
    let last = t.made(true, "/vnflcm/v2/vnf_instances", json!({"vnfdId": t.o.vnfd})).await;
    let heard = t.until_told(&its, &last).await;
    let about = |n: &Value| n["vnfInstanceId"].as_str().or(n["alarm"]["managedObjectId"].as_str()).map(str::to_owned);
    assert!(heard.iter().filter_map(about).all(|v| v == id(&mine) || v == id(&last)), "{heard:#?}");
    let has = |kind: &str| heard.iter().any(|n| n["notificationType"] == kind);
    assert!(has("VnfIdentifierDeletionNotification") && has("AlarmNotification"), "to its end: {heard:#?}");
    let both = t.until_told(&others, &last).await;
    assert!(both.iter().filter_map(about).any(|v| v == id(&theirs)) && both.len() > heard.len(), "{both:#?}");
}
