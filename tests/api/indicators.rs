//! VNF indicators (vnfind): read from guests, listed, told, and refused where nobody can read them.

use std::fs;

use bothy::model::vnf::VnfInstance;
use serde_json::{Value, json};

use crate::{
    declared::Face,
    identity::{bare, bearer, user},
    kit::{copy_dir, fits},
    notify::Subscriber,
    rig::{Rig, rig},
    schema::VNFIND,
};

const ALL: &str = "/vnfind/v1/indicators";
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// A VNF of that VNFD, up.
async fn up(rig: &Rig, vnfd: &Value, metadata: Value) -> String {
    let made = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": vnfd, "metadata": metadata})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.json()["id"].as_str().expect("id").to_owned();
    let op = rig.task(&format!("/vnflcm/v2/vnf_instances/{id}/instantiate"), json!({"flavourId": "default"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    id
}

/// The Debian package with another id, and with something else in the place of what it has.
async fn other_version(rig: &Rig, id: &str, (old, new): (&str, &str)) -> Value {
    let dir = tempfile::tempdir().expect("dir");
    copy_dir(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptors/debian"), dir.path());
    let at = dir.path().join("Definitions/debian.yaml");
    let text = fs::read_to_string(&at).expect("text").replace("b0714104-0000-4000-8000-000000000001", id);
    fs::write(at, text.replace(old, new)).expect("text");
    rig.onboard_vnf(dir.path().to_str().expect("utf-8")).await["vnfdId"].clone()
}

/// The id of its one guest, and the guest's name.
fn guest(rig: &Rig, vnf: &str) -> String {
    // By the record: the package has no external connection point, of which ETSI's file wants one in a reply.
    let v: VnfInstance = rig.core.vnfm().store().get(&vnf.parse().expect("id")).expect("read").expect("there");
    v.body.expect("instantiated").vnfcs[0].id.to_string()
}

impl Rig {
    fn says(&self, guest: &str, text: &str) {
        self.sim.write_file(guest.parse().expect("id"), BOOT, text.as_bytes()).expect("written");
    }
    fn read_indicators(&self) {
        self.core.indicators.round().expect("a round");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn indicators_are_what_guests_say_and_nothing_else() {
    let rig = rig(64, "[limits]\npage = 1\n").await;
    let vnfd = rig.onboard_vnf("descriptors/debian").await["vnfdId"].clone();
    let elsewhere = other_version(&rig, "b0714104-0000-4000-8000-000000000003", ("10.10.3.", "10.10.4.")).await;
    let (a, b) = (up(&rig, &vnfd, json!({})).await, up(&rig, &elsewhere, json!({})).await);
    // No guest has the file: no value, and the reason for whoever asks by name.
    rig.read_indicators();
    assert_eq!(rig.show(ALL).await, json!([]));
    let at = format!("{ALL}/{a}/boot");
    let none = rig.get(&at).await;
    assert_eq!(none.status, 404, "{}", none.body);
    assert!(none.body.contains("no such file"), "{}", none.body);
    for (path, says) in [
        (format!("{ALL}/{a}/mood"), "has no indicator 'mood'"),
        (format!("{ALL}/11111111-0000-4000-8000-000000000001"), "there is no VNF instance"),
    ] {
        let r = rig.get(&path).await;
        assert!(r.status == 404 && r.body.contains(says), "{path}: {}", r.body);
    }

    let (of_a, of_b) = (guest(&rig, &a), guest(&rig, &b));
    rig.says(&of_a, "first\n");
    rig.says(&of_b, "{\"n\": 1}");
    rig.read_indicators();
    let shown = rig.get(&at).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    fits(VNFIND, "VnfIndicator", &shown.json());
    let said: Vec<Value> = shown.json()["value"].as_object().expect("an object").values().cloned().collect();
    assert_eq!(said, ["first"], "{}", shown.body);
    let again = rig.ask(&format!("GET {at}"), &[&format!("if-none-match: {}", shown.header("etag").expect("etag"))], "").await;
    assert_eq!(again.status, 304);
    assert_eq!(rig.show(&format!("{ALL}/{b}")).await[0]["value"].as_object().and_then(|v| v.values().next()), Some(&json!({"n": 1})));

    // Page by page, each once; and by what they are.
    let (mut next, mut seen) = (Some(ALL.to_owned()), Vec::new());
    while let Some(at) = next {
        let page = rig.get(&at).await;
        seen.extend(page.json().as_array().expect("a list").iter().map(|i| i["vnfInstanceId"].as_str().expect("id").to_owned()));
        next = page.header("link").and_then(|l| l.split_once('>')?.0.split_once("localhost").map(|(_, p)| p.to_owned()));
    }
    let mut both = vec![a.clone(), b.clone()];
    both.sort();
    seen.sort();
    assert_eq!(seen, both);
    let filtered = rig.show(&format!("{ALL}?filter=(eq,vnfInstanceId,{b})")).await;
    assert_eq!(filtered.as_array().map(Vec::len), Some(1), "{filtered:#}");

    // A guest that is off says nothing; a VNF that is no more has none.
    rig.task(&format!("/vnflcm/v2/vnf_instances/{a}/operate"), json!({"changeStateTo": "STOPPED"})).await;
    rig.read_indicators();
    let off = rig.get(&at).await;
    assert!(off.status == 404 && off.body.contains("does not run"), "{}", off.body);
    rig.says(&of_b, &"x".repeat(1025));
    rig.read_indicators();
    assert!(rig.get(&format!("{ALL}/{b}/boot")).await.body.contains("longer than 1024 bytes"));
    rig.task(&format!("/vnflcm/v2/vnf_instances/{a}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
    rig.read_indicators();
    assert_eq!(rig.get(&at).await.problem(), format!("the VNF instance {a} has no indicator 'boot'"));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_hear_of_values_and_of_sets_that_change() {
    let rig = rig(64, "").await;
    let vnfd = rig.onboard_vnf("descriptors/debian").await["vnfdId"].clone();
    let next = other_version(&rig, "b0714104-0000-4000-8000-000000000002", ("      boot:\n", "      mood: {}\n      boot:\n")).await;
    let (all, moods, sets) = (Subscriber::start(None).await, Subscriber::start(None).await, Subscriber::start(None).await);
    for (to, filter) in [
        (&all, json!({})),
        (&moods, json!({"indicatorIds": ["mood"]})),
        (&sets, json!({"notificationTypes": "SupportedIndicatorsChangeNotification"})),
    ] {
        let made = rig.post("/vnfind/v1/subscriptions", json!({"callbackUri": to.uri(), "filter": filter})).await;
        assert_eq!(made.status, 201, "{}", made.body);
        fits(VNFIND, "VnfIndicatorSubscription", &made.json());
    }
    let vnf = up(&rig, &vnfd, json!({})).await;
    rig.read_indicators();
    let of = guest(&rig, &vnf);
    for said in ["1", "1", "2"] {
        rig.says(&of, said);
        rig.read_indicators();
    }
    let changed = rig.task(&format!("/vnflcm/v2/vnf_instances/{vnf}/change_vnfpkg"), json!({"vnfdId": next})).await;
    assert_eq!(changed["operationState"], "COMPLETED", "{changed:#}");
    rig.read_indicators();

    let told = |n: &Value| {
        let value = n["value"].as_object().and_then(|v| v.values().next()).cloned();
        let ids: Vec<Value> = n["supportedIndicators"].as_array().into_iter().flatten().map(|i| i["vnfIndicatorId"].clone()).collect();
        json!([n["vnfIndicatorId"], value, ids])
    };
    let news: Vec<Value> = all.until(4).await.iter().take(4).map(told).collect();
    assert_eq!(
        news,
        [json!([null, null, ["boot"]]), json!(["boot", 1, []]), json!(["boot", 2, []]), json!([null, null, ["mood", "boot"]])],
        "each change once"
    );
    assert_eq!(told(&moods.until(1).await[0]), json!([null, null, ["mood", "boot"]]), "filtered by the indicator");
    assert_eq!(sets.until(2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_see_a_vnf_sees_none_of_its_indicators() {
    let mut rig = rig(64, "").await;
    let vnfd = rig.onboard_vnf("descriptors/debian").await["vnfdId"].clone();
    let elsewhere = other_version(&rig, "b0714104-0000-4000-8000-000000000003", ("10.10.3.", "10.10.4.")).await;
    let (his, other) = (up(&rig, &vnfd, json!({"bothy.em": "em"})).await, up(&rig, &elsewhere, json!({})).await);
    for vnf in [&his, &other] {
        rig.says(&guest(&rig, vnf), "up");
    }
    rig.read_indicators();
    let made = rig.post("/bothy/v1/projects", json!({"name": "elsewhere"})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let stranger = bearer(&user(&rig, "stranger", "viewer", "elsewhere").await);
    let viewer = bearer(&user(&rig, "viewer", "viewer", "default").await);
    let em = bearer(&user(&rig, "em", "vnf", "default").await);
    for (who, sees, status) in [(&stranger, 0, 404), (&viewer, 2, 200)] {
        assert_eq!(bare(&rig, &format!("GET {ALL}"), &[who], "").await.json().as_array().map(Vec::len), Some(sees));
        for path in [format!("{ALL}/{other}"), format!("{ALL}/{other}/boot")] {
            assert_eq!(bare(&rig, &format!("GET {path}"), &[who], "").await.status, status, "{path}");
        }
    }
    rig.show_face(Face::Element);
    let seen = bare(&rig, &format!("GET {ALL}"), &[&em], "").await.json();
    assert_eq!((seen.as_array().map(Vec::len), &seen[0]["vnfInstanceId"]), (Some(1), &json!(his)), "{seen:#}");
    assert_eq!(bare(&rig, &format!("GET {ALL}/{other}"), &[&em], "").await.status, 404);
    let to = Subscriber::start(None).await;
    let ask = json!({"callbackUri": to.uri()}).to_string();
    let made = bare(&rig, "POST /vnfind/v1/subscriptions", &[&em, "content-type: application/json"], &ask).await;
    assert_eq!(made.status, 201, "{}", made.body);
    for path in ["/vnfind/api_versions", "/vnfind/v1/api_versions", "/vnfind/v1/subscriptions"] {
        assert_eq!(bare(&rig, &format!("GET {path}"), &[&em], "").await.status, 200, "{path}");
    }
    rig.show_face(Face::Main);
    for vnf in [&other, &his] {
        rig.says(&guest(&rig, vnf), "again");
    }
    rig.read_indicators();
    let told = to.until(1).await;
    assert!(told.iter().all(|n| n["vnfInstanceId"] == json!(his)), "{told:#?}");
}
