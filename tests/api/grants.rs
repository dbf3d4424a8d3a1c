//! Grants that this NFVO gives to foreign VNFMs (SOL003 9.4): given, refused with reasons, held, given back; and
//! who serves them. Bodies are held against ETSI's files.

use std::time::Duration;

use bothy::{
    model::{error::Kind, grant::GivenGrant, size::MiB},
    sim::{
        SimConfig,
        faults::{Method, Rule, Then},
    },
    vim::place::facts::large_pages,
};
use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, free_port},
    declared::Face,
    identity::{bare, bearer, user},
    kit::fits,
    notify::Subscriber,
    rig::{Reply, Rig, rig, rig_on},
    schema,
};

const VNF: &str = "11111111-0000-4000-8000-00000000000";

/// A request for so many guests of the web server's VDU, for operation `op` of VNF `vnf`.
fn request(vnfd: &str, vnf: &str, op: u32, what: &str, guests: usize) -> Value {
    let one = |n: usize| {
        [
            json!({"id": format!("c{n}"), "type": "COMPUTE", "vduId": "web", "resourceTemplateId": "web"}),
            json!({"id": format!("d{n}"), "type": "STORAGE", "resourceTemplateId": "disk"}),
        ]
    };
    let mut r = json!({
        "vnfInstanceId": vnf,
        "vnfLcmOpOccId": format!("22222222-0000-4000-8000-{op:012}"),
        "vnfdId": vnfd,
        "flavourId": "default",
        "operation": what,
        "isAutomaticInvocation": false,
        "_links": {"vnfLcmOpOcc": {"href": "https://vnfm/op"}, "vnfInstance": {"href": "https://vnfm/vnf"}},
    });
    if guests > 0 {
        r["addResources"] = (0..guests).flat_map(one).collect();
    }
    fits(schema::GRANT, "GrantRequest", &r);
    r
}

/// A VNFM's account, as the README makes one.
async fn vnfm(rig: &Rig, name: &str) -> String {
    user(rig, name, "vnfm", "default").await
}

async fn ask(rig: &Rig, token: &str, r: &Value) -> Reply {
    bare(rig, "POST /grant/v1/grants", &[&bearer(token), "content-type: application/json"], &r.to_string()).await
}

async fn read(rig: &Rig, token: &str, at: &str) -> Reply {
    bare(rig, &format!("GET {at}"), &[&bearer(token)], "").await
}

async fn web(rig: &Rig) -> String {
    rig.onboard_vnf("descriptors/vcpe/vcpe-web").await["vnfdId"].as_str().expect("vnfdId").to_owned()
}

/// A box on which three of these guests have room, and not four.
fn small_box() -> SimConfig {
    let mut host = SimConfig::default();
    host.capacity.memory = MiB(3 * (128 + 98) + 100 + large_pages(&host.hardware).0);
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_given_once_read_again_and_held_until_the_vnf_ends() {
    let rig = rig_on(64, "", small_box()).await;
    let (vnfd, token) = (web(&rig).await, vnfm(&rig, "east").await);
    let (a, b) = (format!("{VNF}1"), format!("{VNF}2"));
    let first = request(&vnfd, &a, 1, "INSTANTIATE", 2);
    let given = ask(&rig, &token, &first).await;
    assert_eq!(given.status, 201, "{}", given.body);
    let at = given.header("location").expect("location").to_owned();
    let grant = given.json();
    fits(schema::GRANT, "Grant", &grant);
    let ids: Vec<&str> =
        grant["addResources"].as_array().expect("resources").iter().filter_map(|r| r["resourceDefinitionId"].as_str()).collect();
    assert_eq!(ids, ["c0", "d0", "c1", "d1"]);
    // A VNFM that was killed asks again: nothing is promised twice.
    let again = ask(&rig, &token, &first).await;
    assert_eq!((again.status, again.header("location")), (201, Some(at.as_str())), "{}", again.body);
    let shown = read(&rig, &token, &at).await;
    assert_eq!((shown.status, shown.json()), (200, grant), "{}", shown.body);
    let other = vnfm(&rig, "west").await;
    assert_eq!(read(&rig, &other, &at).await.status, 404, "it is the other's");

    let second = request(&vnfd, &b, 2, "INSTANTIATE", 2);
    let refused = ask(&rig, &token, &second).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    let why = refused.problem();
    assert!(why.contains("memory: 452 MiB wanted") && refused.json()["reasons"].is_array(), "{why}");
    // Its own requests are judged by what is left, too.
    let own = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": vnfd})).await.json();
    let path = format!("/vnflcm/v2/vnf_instances/{}", own["id"].as_str().expect("id"));
    // Scaling names no flavour: it is of the one before.
    let mut scale = request(&vnfd, &a, 3, "SCALE", 1);
    scale.as_object_mut().expect("object").remove("flavourId");
    assert_eq!(ask(&rig, &token, &scale).await.status, 201);
    let none_left = rig.task(&format!("{path}/instantiate"), json!({"flavourId": "default"})).await;
    assert_eq!(none_left["operationState"], "ROLLED_BACK", "{none_left:#}");
    // What ends gives back all, and the one that was refused stays so: that operation is over.
    assert_eq!(ask(&rig, &token, &request(&vnfd, &a, 4, "TERMINATE", 0)).await.status, 201);
    assert_eq!(ask(&rig, &token, &second).await.status, 403);
    assert_eq!(ask(&rig, &token, &request(&vnfd, &b, 5, "INSTANTIATE", 3)).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_granted_is_refused_with_each_reason() {
    let rig = rig(64, "").await;
    let (vnfd, token) = (web(&rig).await, vnfm(&rig, "east").await);
    let vnf = format!("{VNF}1");
    let own = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": vnfd})).await.json();
    let mut unknown = request(&vnfd, &vnf, 2, "INSTANTIATE", 1);
    unknown["addResources"][0]["vduId"] = "nobody".into();
    unknown["addResources"][1]["resourceTemplateId"] = "tape".into();
    let mut apart = request(&vnfd, &vnf, 3, "INSTANTIATE", 2);
    let of = json!([{"idType": "GRANT", "resourceId": "c0"}, {"idType": "GRANT", "resourceId": "c1"}]);
    apart["placementConstraints"] = json!([{"affinityOrAntiAffinity": "ANTI_AFFINITY", "scope": "NFVI_NODE", "resource": of}]);
    let mut best_effort = apart.clone();
    best_effort["vnfLcmOpOccId"] = "22222222-0000-4000-8000-000000000009".into();
    best_effort["placementConstraints"][0]["fallbackBestEffort"] = true.into();
    for (r, says) in [
        (request("no-such-vnfd", &vnf, 1, "INSTANTIATE", 1), vec!["no onboarded VNF package has the VNFD 'no-such-vnfd'"]),
        (unknown, vec!["there is no VDU 'nobody'", "there is no storage 'tape'"]),
        (apart, vec!["c0, c1 cannot be kept apart by NFVI_NODE"]),
        (request(&vnfd, own["id"].as_str().expect("id"), 4, "SCALE", 1), vec!["this box's own VNFM"]),
    ] {
        let answer = ask(&rig, &token, &r).await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        let why = answer.problem();
        for s in says {
            assert!(why.contains(s), "{s}: {why}");
        }
    }
    assert_eq!(ask(&rig, &token, &best_effort).await.status, 201);
    // The project may not take more than its quota.
    let limit = rig.patch("/bothy/v1/projects/default", &[], json!({"quota": {"vcpus": 2}})).await;
    assert_eq!(limit.status, 200, "{}", limit.body);
    let answer = ask(&rig, &token, &request(&vnfd, &vnf, 10, "SCALE", 1)).await;
    assert!(answer.status == 403 && answer.problem().contains("vCPUs: 1 wanted, 2 of 2 used"), "{}", answer.body);
    // A role that may not ask is refused before anything is decided.
    let viewer = user(&rig, "eve", "viewer", "default").await;
    let answer = ask(&rig, &viewer, &request(&vnfd, &vnf, 11, "SCALE", 1)).await;
    assert!(answer.status == 403 && answer.problem().contains("grant:create"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_box_does_not_answer_a_grant_is_promised_and_decided_when_it_is_read() {
    let rig = rig(64, "").await;
    let (vnfd, token) = (web(&rig).await, vnfm(&rig, "east").await);
    rig.sim.faults().add(Rule::next(Method::Room, Then::Fail(Kind::Transient)).times(u64::MAX));
    let r = request(&vnfd, &format!("{VNF}1"), 1, "INSTANTIATE", 1);
    let open = ask(&rig, &token, &r).await;
    assert_eq!((open.status, open.body.as_str()), (202, ""));
    let at = open.header("location").expect("location").to_owned();
    let still = read(&rig, &token, &at).await;
    assert_eq!((still.status, still.body.as_str()), (202, ""));
    // Whoever else looks at it leaves it the VNFM's, and the only one.
    assert_eq!(rig.get(&at).await.status, 202);
    let kept: Vec<GivenGrant> = rig.core.vnfm().store().list().expect("grants");
    assert_eq!((kept.len(), kept[0].vnfm.as_str(), kept[0].request.is_empty()), (1, "east", false), "{kept:#?}");
    // So many wait, and no more; the same one again is no other.
    for op in 2..=64 {
        let more = ask(&rig, &token, &request(&vnfd, &format!("{VNF}1"), op, "SCALE", 1)).await;
        assert_eq!(more.status, 202, "{op}: {}", more.body);
    }
    let full = ask(&rig, &token, &request(&vnfd, &format!("{VNF}1"), 65, "SCALE", 1)).await;
    assert!(full.status == 503 && full.problem().contains("64 grants of east are open"), "{}", full.body);
    assert_eq!(ask(&rig, &token, &r).await.status, 202);
    rig.sim.faults().clear();
    let given = read(&rig, &token, &at).await;
    assert_eq!(given.status, 200, "{}", given.body);
    fits(schema::GRANT, "Grant", &given.json());
    assert_eq!(ask(&rig, &token, &r).await.header("location"), Some(at.as_str()));
    let kept: Vec<GivenGrant> = rig.core.vnfm().store().list().expect("grants");
    let decided = kept.iter().filter(|g| g.request.is_empty()).count();
    assert!(kept.len() == 64 && decided == 1, "what is decided needs no request any more: {kept:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_operation_asked_for_many_times_at_once_has_one_grant() {
    let rig = rig(64, "").await;
    let (vnfd, token) = (web(&rig).await, vnfm(&rig, "east").await);
    let count = || rig.core.vnfm().store().list::<GivenGrant>().expect("grants").len();
    // Both where the box answers and where it does not, so that nothing is decided.
    for (answers, expected, ops) in [(true, 201, 0..5), (false, 202, 5..10)] {
        if !answers {
            rig.sim.set_delay(Method::Room, Duration::from_millis(200));
            rig.sim.faults().add(Rule::next(Method::Room, Then::EffectThenFail(Kind::Transient)).times(u64::MAX));
        }
        for op in ops {
            let r = request(&vnfd, &format!("{VNF}1"), op, "SCALE", 1);
            let all = [(); 4].map(|()| ask(&rig, &token, &r));
            let [a, b, c, d] = all;
            let (a, b, c, d) = tokio::join!(a, b, c, d);
            for one in [&b, &c, &d] {
                assert_eq!((one.status, one.header("location")), (expected, a.header("location")), "{}", one.body);
            }
            assert_eq!((a.status, count()), (expected, op as usize + 1), "{}", a.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vnfm_is_told_when_there_is_room_for_what_it_was_refused() {
    let mut rig = rig_on(64, "", small_box()).await;
    let vnfd = web(&rig).await;
    let (east, west) = (vnfm(&rig, "east").await, vnfm(&rig, "west").await);
    let (to, other, storage, elsewhere) =
        (Subscriber::start(None).await, Subscriber::start(None).await, Subscriber::start(None).await, Subscriber::start(None).await);
    rig.show_face(Face::Vnfm);
    let all = "/vrqan/v1/subscriptions";
    for (token, to, filter) in [
        (&east, &to, json!({"resourceTypes": ["COMPUTE", "STORAGE"], "vimIds": ["bothy"]})),
        (&west, &other, json!({})),
        (&east, &storage, json!({"resourceTypes": ["NETWORK"]})),
        (&east, &elsewhere, json!({"resourceProviderIds": ["somebody else"]})),
    ] {
        let body = json!({"callbackUri": to.uri(), "filter": filter}).to_string();
        let made = bare(&rig, &format!("POST {all}"), &[&bearer(token), "content-type: application/json"], &body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let at = made.header("location").expect("location").to_owned();
        let shown = read(&rig, token, &at).await;
        assert_eq!((shown.status, shown.json()), (200, made.json()));
        fits(schema::VRQAN, "VrQuotaAvailSubscription", &shown.json());
    }
    assert_eq!(read(&rig, &east, all).await.json().as_array().map(Vec::len), Some(4), "a project's are seen by all in it");
    let (a, b) = (format!("{VNF}1"), format!("{VNF}2"));
    assert_eq!(ask(&rig, &west, &request(&vnfd, &a, 1, "INSTANTIATE", 3)).await.status, 201);
    let wanted = request(&vnfd, &b, 2, "INSTANTIATE", 2);
    assert_eq!(ask(&rig, &east, &wanted).await.status, 403);
    // One that no room could ever help is no matter of room.
    let mut never = request(&vnfd, &format!("{VNF}3"), 3, "INSTANTIATE", 1);
    never["addResources"][0]["vduId"] = "nobody".into();
    assert_eq!(ask(&rig, &east, &never).await.status, 403);
    rig.core.nfvo.tell_room();
    // Time for what should not come.
    let a_while = std::time::Duration::from_millis(500);
    tokio::time::sleep(a_while).await;
    assert!(to.news().is_empty(), "{:#?}", to.news());
    // Scaled in, there is too little yet; ended, there is enough.
    assert_eq!(ask(&rig, &west, &request(&vnfd, &a, 4, "TERMINATE", 0)).await.status, 201);
    let told = to.until(1).await;
    assert_eq!(told[0]["notificationType"], "VrQuotaAvailNotification", "{told:#?}");
    assert_eq!(told[0]["resourceGroupId"], json!("00000000-0000-0000-0000-000000000001"), "its project");
    assert!(told[0]["_links"]["subscription"]["href"].as_str().is_some_and(|h| h.contains("/vrqan/v1/subscriptions/")), "{told:#?}");
    assert_eq!(ask(&rig, &east, &request(&vnfd, &b, 5, "INSTANTIATE", 2)).await.status, 201);
    // By the quota of the project, too; each once.
    rig.show_face(Face::Main);
    assert_eq!(rig.patch("/bothy/v1/projects/default", &[], json!({"quota": {"vcpus": 2}})).await.status, 200);
    assert_eq!(ask(&rig, &east, &request(&vnfd, &format!("{VNF}4"), 6, "INSTANTIATE", 1)).await.status, 403);
    rig.core.nfvo.tell_room();
    assert_eq!(rig.patch("/bothy/v1/projects/default", &[], json!({"quota": {"vcpus": 9}})).await.status, 200);
    rig.core.nfvo.tell_room();
    rig.core.nfvo.tell_room();
    to.until(2).await;
    tokio::time::sleep(a_while).await;
    assert_eq!(to.news().len(), 2, "each once");
    for silent in [&other, &storage, &elsewhere] {
        assert!(silent.news().is_empty(), "{:#?}", silent.news());
    }
    // Whoever asks for no grants hears of none.
    let viewer = user(&rig, "eve", "viewer", "default").await;
    let body = json!({"callbackUri": to.uri()}).to_string();
    let refused = bare(&rig, &format!("POST {all}"), &[&bearer(&viewer), "content-type: application/json"], &body).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
}

#[test]
fn a_listener_serves_the_reference_points_it_names_and_no_other() {
    let temp = tempfile::tempdir().expect("dir");
    let dir = temp.path();
    let ports = [(); 2].map(|()| free_port());
    let text = format!(
        "data_dir = \"{0}/data\"\nrun_dir = \"{0}/run\"\n[[listen]]\naddress = \"127.0.0.1:{1}\"\nreference_points = [\"sol005\", \"sol003-vnfm\", \"admin\"]\n\
         [[listen]]\naddress = \"127.0.0.1:{2}\"\nreference_points = [\"sol003-nfvo\"]\n[sim]\nenabled = true\n",
        dir.display(),
        ports[0],
        ports[1]
    );
    std::fs::write(dir.join("bothy.toml"), text).expect("config");
    let d = Daemon::start(dir);
    let token = crate::pair::token(dir);
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (port, line, status, allow) in [
        (0, "GET /vnflcm/v2/vnf_instances".to_owned(), 200, None),
        (0, format!("GET /grant/v1/grants/{nobody}"), 404, None),
        (0, "POST /grant/v1/grants".to_owned(), 404, None),
        (1, format!("GET /grant/v1/grants/{nobody}"), 404, None),
        (1, "GET /grant/v1/grants".to_owned(), 405, Some("POST")),
        (1, format!("DELETE /grant/v1/grants/{nobody}"), 405, Some("GET,HEAD")),
        (1, "GET /vnflcm/v2/vnf_instances".to_owned(), 404, None),
        (0, "GET /vrqan/v1/subscriptions".to_owned(), 404, None),
        (1, "GET /vrqan/v1/subscriptions".to_owned(), 200, None),
        (1, "GET /bothy/v1/health".to_owned(), 404, None),
    ] {
        let r = crate::pair::https(ports[port], &token, &line, "");
        assert_eq!(r.status, status, "{line} at listener {port}: {}", r.body);
        assert_eq!(r.header("allow"), allow, "{line}");
    }
    let missing = crate::pair::https(ports[1], &token, &format!("GET /grant/v1/grants/{nobody}"), "");
    assert_eq!(missing.problem(), format!("there is no grant {nobody}"));
    d.stop();
}
