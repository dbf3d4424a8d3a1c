//! A VNFM whose VNFs belong to a central NFVO, which is stood in for: what it is asked, and what each of its answers
//! means. Requests are held against ETSI's file.

mod laid;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    http::{Method, StatusCode, Uri, header::LOCATION},
    response::{IntoResponse as _, Response},
};
use bothy::{
    model::{self, id::VnfPkgId, package::VnfPackage, vnfd::ImageFormat},
    store::Durability,
    vim::port::ImageInfo,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::{
    identity::{bare, bearer, made, user},
    kit::fits,
    rig::{Reply, Rig, rig},
    schema,
};

/// What the stand-in answers to a POST, and to GETs of its Location after it.
type Script = Arc<Mutex<Vec<(u16, Value)>>>;
/// What it was asked.
type Asked = Arc<Mutex<Vec<(Method, Value)>>>;

/// A central NFVO: it takes down what it is asked.
struct Orch {
    addr: SocketAddr,
    asked: Asked,
    script: Script,
}

/// A grant of all that was asked for.
fn all_of(request: &Value) -> Value {
    let infos = |member: &str| -> Value {
        let all = request[member].as_array().into_iter().flatten();
        all.map(|r| json!({"resourceDefinitionId": r["id"]})).collect()
    };
    let mut g = json!({
        "id": "grant-1",
        "vnfInstanceId": request["vnfInstanceId"],
        "vnfLcmOpOccId": request["vnfLcmOpOccId"],
        "_links": {"self": {"href": "http://orch/g"}, "vnfLcmOpOcc": request["_links"]["vnfLcmOpOcc"], "vnfInstance": request["_links"]["vnfInstance"]},
    });
    for member in ["addResources", "removeResources", "updateResources"] {
        if request[member].is_array() {
            g[member] = infos(member);
        }
    }
    fits(schema::GRANT, "Grant", &g);
    g
}

impl Orch {
    async fn start() -> Orch {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let addr = listener.local_addr().expect("address");
        let (asked, script) = (Asked::default(), Script::default());
        let (seen, plays) = (asked.clone(), script.clone());
        let answer = move |method: Method, uri: Uri, body: Bytes| {
            let (seen, plays) = (seen.clone(), plays.clone());
            async move { Orch::answer(&seen, &plays, method, &uri, &body) }
        };
        let router = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Orch { addr, asked, script }
    }

    fn answer(seen: &Asked, plays: &Script, method: Method, uri: &Uri, body: &[u8]) -> Response {
        let mut seen = seen.lock().expect("lock");
        if method == Method::POST {
            assert_eq!(uri.path(), "/orch/grant/v1/grants");
            let request: Value = serde_json::from_slice(body).expect("JSON");
            fits(schema::GRANT, "GrantRequest", &request);
            seen.push((method.clone(), request));
        } else {
            assert_eq!(uri.path(), "/orch/grant/v1/grants/7");
            seen.push((method.clone(), Value::Null));
        }
        let request = seen.iter().rev().find(|(m, _)| m == Method::POST).expect("a request").1.clone();
        let mut plays = plays.lock().expect("lock");
        // The last line of the script is played for ever; without one, all is granted.
        let (status, change) = match plays.len() {
            0 => (201, Value::Null),
            1 => plays[0].clone(),
            _ => plays.remove(0),
        };
        let status = StatusCode::from_u16(status).expect("status");
        if status == StatusCode::ACCEPTED {
            return (status, [(LOCATION, "/orch/grant/v1/grants/7")]).into_response();
        }
        if !status.is_success() {
            return (status, json!({"status": status.as_u16(), "detail": change}).to_string()).into_response();
        }
        let mut grant = all_of(&request);
        for (member, value) in change.as_object().into_iter().flatten() {
            match (member.as_str(), value) {
                // All of them are in this zone.
                ("addResources", Value::String(_)) => {
                    let all = grant[member].as_array_mut().expect("resources").iter_mut();
                    all.for_each(|r| r["zoneId"] = json!("1"));
                }
                _ => grant[member] = value.clone(),
            }
        }
        (status, grant.to_string()).into_response()
    }

    fn plays(&self, script: &[(u16, Value)]) {
        *self.script.lock().expect("lock") = script.to_vec();
    }

    fn asked(&self) -> Vec<(Method, Value)> {
        std::mem::take(&mut self.asked.lock().expect("lock"))
    }

    /// The one request of an operation.
    fn only(&self) -> Value {
        let mut all = self.asked();
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0).1
    }
}

/// A box, the NFVO's account on it, and what it is called by.
pub struct Owned {
    pub rig: Rig,
    orch: Orch,
    token: String,
    pub vnfd: String,
}

impl Owned {
    pub async fn new(config: &str) -> Owned {
        let (rig, orch) = (rig(64, config).await, Orch::start().await);
        let token = user(&rig, "orch", "nfvo", "default").await;
        let set = set(&rig, "orch", json!({"apiRoot": format!("http://{}/orch/", orch.addr)})).await;
        assert_eq!(set.status, 200, "{}", set.body);
        let vnfd = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await["vnfdId"].as_str().expect("vnfdId").to_owned();
        Owned { rig, orch, token, vnfd }
    }
    pub async fn ask(&self, line: &str, body: Value) -> Reply {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        bare(&self.rig, line, &[&bearer(&self.token), "content-type: application/json"], &text).await
    }
    async fn create(&self) -> String {
        let r = self.ask("POST /vnflcm/v2/vnf_instances", json!({"vnfdId": self.vnfd})).await;
        assert_eq!(r.status, 201, "{}", r.body);
        r.header("location").expect("location").to_owned()
    }
    async fn begin(&self, path: &str, body: Value) -> String {
        let r = self.ask(&format!("POST {path}"), body).await;
        assert_eq!(r.status, 202, "{path}: {}", r.body);
        r.header("location").expect("location").to_owned()
    }
    async fn task(&self, path: &str, body: Value) -> Value {
        let op = self.begin(path, body).await;
        let v = self.rig.settled(&op, "operationState", &["STARTING", "PROCESSING", "ROLLING_BACK"]).await;
        fits(schema::VNFLCM, "VnfLcmOpOcc", &v);
        v
    }
    async fn waiting(&self, op: &str, says: &str) -> Value {
        let begun = Instant::now();
        loop {
            let v = self.rig.show(op).await;
            fits(schema::VNFLCM, "VnfLcmOpOcc", &v);
            if v["warnings"].to_string().contains(says) {
                return v;
            }
            assert!(begun.elapsed() < Duration::from_secs(180), "{says}: {v:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn set(rig: &Rig, name: &str, body: Value) -> Reply {
    rig.ask(&format!("PUT /bothy/v1/nfvos/{name}"), &["content-type: application/json"], &body.to_string()).await
}

fn kinds(request: &Value, member: &str) -> Vec<String> {
    let mut all: Vec<String> =
        request[member].as_array().into_iter().flatten().map(|r| r["type"].as_str().expect("type").to_owned()).collect();
    all.sort_unstable();
    all
}

fn instantiate() -> Value {
    json!({"flavourId": "default", "additionalParams": {"page_text": "hello"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_on_an_owned_vnf_is_granted_by_its_owner_first() {
    let o = Owned::new("").await;
    let vnf = o.create().await;
    let id = vnf.rsplit('/').next().expect("id");
    let up = o.task(&format!("{vnf}/instantiate"), instantiate()).await;
    assert_eq!((&up["operationState"], &up["grantId"]), (&json!("COMPLETED"), &json!("grant-1")), "{up:#}");
    let r = o.orch.only();
    assert_eq!((&r["operation"], &r["vnfInstanceId"], &r["vnfLcmOpOccId"]), (&json!("INSTANTIATE"), &json!(id), &up["id"]));
    assert_eq!((&r["flavourId"], &r["vnfdId"], &r["isAutomaticInvocation"]), (&json!("default"), &json!(o.vnfd), &json!(false)));
    let added = kinds(&r, "addResources");
    assert!(added.contains(&"COMPUTE".into()) && added.contains(&"STORAGE".into()), "{r:#}");
    let href = r["_links"]["vnfLcmOpOcc"]["href"].as_str().expect("link");
    assert!(href.starts_with("https://localhost") && href.ends_with(up["id"].as_str().expect("id")), "{href}");

    let scaled = o.task(&format!("{vnf}/scale"), json!({"type": "SCALE_OUT", "aspectId": "servers"})).await;
    assert_eq!(scaled["operationState"], "COMPLETED", "{scaled:#}");
    let r = o.orch.only();
    assert_eq!((&r["operation"], &r["removeResources"]), (&json!("SCALE"), &Value::Null));
    assert_eq!(kinds(&r, "addResources").iter().filter(|k| *k == "COMPUTE").count(), 1);
    let scaled = o.task(&format!("{vnf}/scale"), json!({"type": "SCALE_IN", "aspectId": "servers"})).await;
    assert_eq!(scaled["operationState"], "COMPLETED", "{scaled:#}");
    let r = o.orch.only();
    assert_eq!((&r["addResources"], kinds(&r, "removeResources").is_empty()), (&Value::Null, false));
    assert!(r["removeResources"][0]["resource"]["resourceId"].is_string(), "{r:#}");
    let healed = o.task(&format!("{vnf}/heal"), json!({})).await;
    assert_eq!(healed["operationState"], "COMPLETED", "{healed:#}");
    let r = o.orch.only();
    assert_eq!((&r["operation"], kinds(&r, "addResources")), (&json!("HEAL"), kinds(&r, "removeResources")));
    for (task, body, operation) in [
        ("operate", json!({"changeStateTo": "STOPPED"}), "OPERATE"),
        ("operate", json!({"changeStateTo": "STARTED"}), "OPERATE"),
        ("terminate", json!({"terminationType": "FORCEFUL"}), "TERMINATE"),
    ] {
        let done = o.task(&format!("{vnf}/{task}"), body).await;
        assert_eq!(done["operationState"], "COMPLETED", "{done:#}");
        assert_eq!(o.orch.only()["operation"], operation);
    }
    // Nobody else's instances are asked for.
    let own = made_by_admin(&o).await;
    let up = o.rig.task(&format!("{own}/instantiate"), instantiate()).await;
    assert_eq!((&up["operationState"], &up["grantId"]), (&json!("COMPLETED"), &Value::Null));
    assert!(o.orch.asked().is_empty());
}

async fn made_by_admin(o: &Owned) -> String {
    let r = o.rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": o.vnfd})).await;
    assert_eq!(r.status, 201, "{}", r.body);
    r.header("location").expect("location").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_takes_its_time_is_followed_to_its_end() {
    let o = Owned::new("").await;
    let vnf = o.create().await;
    // A Location that is not known any more is asked for anew.
    o.orch.plays(&[(202, Value::Null), (202, Value::Null), (404, json!("never heard of it")), (202, Value::Null), (200, Value::Null)]);
    let up = o.task(&format!("{vnf}/instantiate"), instantiate()).await;
    assert_eq!((&up["operationState"], &up["grantId"]), (&json!("COMPLETED"), &json!("grant-1")), "{up:#}");
    let methods: Vec<Method> = o.orch.asked().into_iter().map(|(m, _)| m).collect();
    assert_eq!(methods, [Method::POST, Method::GET, Method::GET, Method::POST, Method::GET]);
    // Refused in the end.
    o.orch.plays(&[(202, Value::Null), (403, json!("no room on the whole continent"))]);
    let down = o.task(&format!("{vnf}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
    assert_eq!(down["operationState"], "ROLLED_BACK", "{down:#}");
    assert!(down["error"]["detail"].as_str().expect("detail").contains("no room on the whole continent"), "{down:#}");
    assert_eq!(o.rig.show(&vnf).await["instantiationState"], "INSTANTIATED", "nothing was touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_grant_ends_the_operation_with_its_words_and_leaves_nothing() {
    let o = Owned::new("").await;
    let vnf = o.create().await;
    let before = o.rig.show("/bothy/v1/host").await["capacity"].clone();
    o.orch.plays(&[(403, json!("the licence is used up"))]);
    let up = o.task(&format!("{vnf}/instantiate"), instantiate()).await;
    assert_eq!((&up["operationState"], &up["error"]["status"]), (&json!("ROLLED_BACK"), &json!(403)), "{up:#}");
    assert_eq!(up["error"]["detail"], "NFVO orch refuses the grant: the licence is used up");
    assert_eq!(o.rig.show(&vnf).await["instantiationState"], "NOT_INSTANTIATED");
    assert_eq!(o.rig.show("/bothy/v1/host").await["capacity"], before, "what was reserved is given back");
    assert!(o.rig.sim.leftovers().is_empty());
    // It is free for the next.
    o.orch.plays(&[]);
    let up = o.task(&format!("{vnf}/instantiate"), instantiate()).await;
    assert_eq!(up["operationState"], "COMPLETED", "{up:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_of_a_grant_cannot_be_kept_refuses_the_operation_by_name() {
    let o = Owned::new("").await;
    let vnf = o.create().await;
    let link = json!({"id": "l", "resourceId": "net-1", "extCps": [{"cpdId": "wan"}]});
    let no_link = json!({"id": "l", "resourceId": "00000000-0000-4000-8000-000000000001", "extCps": [{"cpdId": "wan"}]});
    for (change, says) in [
        (json!({"addResources": []}), "resources are left out"),
        (json!({"removeResources": [{"resourceDefinitionId": "other"}]}), "removeResources: other was not asked for"),
        (json!({"vnfInstanceId": "another"}), "of VNF instance another"),
        (json!({"vimAssets": {"softwareImages": [{"vnfdSoftwareImageId": "a", "vimSoftwareImageId": "b"}]}}), "image b for a"),
        (
            json!({"vimAssets": {"computeResourceFlavours": [{"vnfdVirtualComputeDescId": "web", "vimFlavourId": "m1"}]}}),
            "flavour m1 for web",
        ),
        (json!({"extVirtualLinks": [link]}), "says links of wan: extVirtualLinks[0].resourceId: 'net-1' is not the id of a virtual link"),
        (json!({"extVirtualLinks": [no_link]}), "says links of wan: "),
        (json!({"extManagedVirtualLinks": [{"id": "m", "vnfVirtualLinkDescId": "in", "resourceId": "n"}]}), "extManagedVirtualLinks: m"),
        (json!({"additionalParams": {"admin_password": "hush"}}), "admin_password"),
        (json!({"zones": [{"id": "1", "zoneId": "numa1"}], "addResources": "numa1"}), "zone numa1: which NUMA node"),
    ] {
        o.orch.plays(&[(201, change.clone())]);
        let up = o.task(&format!("{vnf}/instantiate"), instantiate()).await;
        assert_eq!((&up["operationState"], &up["error"]["status"]), (&json!("ROLLED_BACK"), &json!(409)), "{change}: {up:#}");
        let detail = up["error"]["detail"].as_str().expect("detail");
        assert!(
            detail.starts_with("the grant grant-1 of NFVO orch cannot be kept by this box") && detail.contains(says),
            "{says}: {detail}"
        );
    }
    // What it can keep, or is as the request said, refuses nothing.
    let same = json!({"additionalParams": {"page_text": "hello"}, "zones": [{"id": "1", "zoneId": "attic"}],
        "vimAssets": {"softwareImages": [{"vnfdSoftwareImageId": "a", "vimSoftwareImageId": "a"}]}});
    o.orch.plays(&[(201, same)]);
    let up = o.task(&format!("{vnf}/instantiate"), instantiate()).await;
    assert_eq!(up["operationState"], "COMPLETED", "{up:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_its_owner_is_away_an_operation_waits_is_seen_to_and_can_be_cancelled() {
    let o = Owned::new("").await;
    let (vnf, other) = (o.create().await, o.create().await);
    let up = o.task(&format!("{vnf}/instantiate"), instantiate()).await;
    assert_eq!(up["operationState"], "COMPLETED", "{up:#}");
    o.orch.plays(&[(503, json!("closed on Sundays"))]);
    let op = o.begin(&format!("{other}/instantiate"), instantiate()).await;
    let v = o.waiting(&op, "closed on Sundays").await;
    assert_eq!(v["operationState"], "STARTING");
    // What it waits for is shown, so it is a part of its version.
    let tag = async || o.rig.get(&op).await.header("etag").expect("an ETag").to_owned();
    let sundays = tag().await;
    o.orch.plays(&[(503, json!("gone fishing"))]);
    let fishing = o.waiting(&op, "gone fishing").await;
    assert_eq!((&fishing["operationState"], &fishing["stateEnteredTime"]), (&v["operationState"], &v["stateEnteredTime"]));
    assert_ne!(tag().await, sundays);
    let told = o.rig.show(&format!("/bothy/v1/explain/{}", v["id"].as_str().expect("id"))).await;
    assert!(told["because"].to_string().contains("waits for the grant of NFVO orch, asked for"), "{told:#}");
    let busy = o.ask(&format!("POST {other}/instantiate"), instantiate()).await;
    assert!(busy.status == 409 && busy.problem().contains("held by operation"), "{}", busy.body);
    let cancel = o.ask(&format!("POST {op}/cancel"), json!({"cancelMode": "GRACEFUL"})).await;
    assert_eq!(cancel.status, 202, "{}", cancel.body);
    let v = o.rig.settled(&op, "operationState", &["STARTING"]).await;
    assert_eq!(v["operationState"], "ROLLED_BACK", "{v:#}");
    assert_eq!(o.rig.show(&other).await["instantiationState"], "NOT_INSTANTIATED");
    // Healing takes nothing new: it goes on, and says so.
    let healed = o.task(&format!("{vnf}/heal"), json!({})).await;
    assert_eq!(healed["operationState"], "COMPLETED", "{healed:#}");
    assert!(healed["warnings"].to_string().contains("granted on this box: it takes nothing new"), "{healed:#}");
    // All else waits, until it is back.
    let op = o.begin(&format!("{vnf}/scale"), json!({"type": "SCALE_OUT", "aspectId": "servers"})).await;
    o.waiting(&op, "times in vain").await;
    o.orch.plays(&[]);
    let v = o.rig.settled(&op, "operationState", &["STARTING", "PROCESSING"]).await;
    assert_eq!(v["operationState"], "COMPLETED", "{v:#}");
    // Without an endpoint its VNFs are this box's to grant.
    assert_eq!(o.rig.delete("/bothy/v1/nfvos/orch").await.status, 204);
    o.orch.asked();
    let down = o.rig.task(&format!("{vnf}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
    assert_eq!(down["operationState"], "COMPLETED", "{down:#}");
    assert!(down["warnings"].to_string().contains("has no grant endpoint any more") && o.orch.asked().is_empty(), "{down:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn healing_waits_too_where_the_configuration_says_so() {
    let o = Owned::new("[lcm]\ngrant_offline = \"wait\"\n").await;
    let vnf = o.create().await;
    assert_eq!(o.task(&format!("{vnf}/instantiate"), instantiate()).await["operationState"], "COMPLETED");
    o.orch.plays(&[(503, json!("away"))]);
    let op = o.begin(&format!("{vnf}/heal"), json!({})).await;
    o.waiting(&op, "asked for 3 times in vain").await;
    assert_eq!(o.rig.show(&op).await["operationState"], "STARTING");
    o.orch.plays(&[]);
    let v = o.rig.settled(&op, "operationState", &["STARTING", "PROCESSING"]).await;
    assert_eq!((&v["operationState"], &v["grantId"]), (&json!("COMPLETED"), &json!("grant-1")), "{v:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nfvo_sees_its_own_and_reads_members_of_local_services_only() {
    let o = Owned::new("").await;
    let (mine, admins) = (o.create().await, made_by_admin(&o).await);
    let seen = o.ask("GET /vnflcm/v2/vnf_instances", Value::Null).await.json();
    assert_eq!(seen.as_array().expect("list").len(), 1, "{seen:#}");
    assert_eq!(o.ask(&format!("GET {mine}"), Value::Null).await.status, 200);
    for line in [format!("GET {admins}"), format!("DELETE {admins}"), format!("POST {admins}/instantiate")] {
        let body = if line.starts_with("POST") { instantiate() } else { Value::Null };
        let r = o.ask(&line, body).await;
        assert!(r.status == 404 && r.problem().starts_with("there is no VNF instance"), "{line}: {}", r.body);
    }
    let op = o.rig.task(&format!("{admins}/instantiate"), instantiate()).await;
    let op = format!("/vnflcm/v2/vnf_lcm_op_occs/{}", op["id"].as_str().expect("id"));
    assert_eq!(o.ask(&format!("GET {op}"), Value::Null).await.status, 404);
    assert_eq!(o.ask("GET /vnflcm/v2/vnf_lcm_op_occs", Value::Null).await.json(), json!([]));

    // Members of a service are read, and changed by their service alone.
    for p in ["client", "firewall"] {
        o.rig.onboard_vnf(&format!("descriptors/vcpe/vcpe-{p}")).await;
    }
    let nsd = o.rig.onboard_nsd("descriptors/vcpe/vcpe-ns").await;
    let ns = o.rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "s", "nsDescription": ""})).await;
    assert_eq!(ns.status, 201, "{}", ns.body);
    let ns_id = ns.json()["id"].as_str().expect("id").to_owned();
    let up = o.rig.task(&format!("/nslcm/v2/ns_instances/{ns_id}/instantiate"), json!({"nsFlavourId": "default"})).await;
    assert_eq!(up["operationState"], "COMPLETED", "{up:#}");
    assert!(o.orch.asked().is_empty(), "members are granted here");
    let service = o.rig.show(&format!("/nslcm/v2/ns_instances/{ns_id}")).await;
    let member = format!("/vnflcm/v2/vnf_instances/{}", service["vnfInstance"][0]["id"].as_str().expect("id"));
    assert_eq!(o.ask(&format!("GET {member}"), Value::Null).await.status, 200);
    for (task, body) in [("terminate", json!({"terminationType": "FORCEFUL"})), ("operate", json!({"changeStateTo": "STOPPED"}))] {
        let r = o.ask(&format!("POST {member}/{task}"), body).await;
        assert!(r.status == 409 && r.problem().contains(&ns_id), "{task}: {}", r.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_grant_endpoint_is_refused_in_clear_words() {
    let rig = rig(64, "").await;
    user(&rig, "eve", "viewer", "default").await;
    user(&rig, "orch", "nfvo", "default").await;
    user(&rig, "second", "nfvo", "default").await;
    let basic = json!({"authType": ["BASIC"], "paramsBasic": {"userName": "u", "password": "hush"}});
    for (name, body, status, says) in [
        ("nobody", json!({"apiRoot": "https://o"}), 404, "there is no account 'nobody'"),
        ("eve", json!({"apiRoot": "https://o"}), 409, "has not the role 'nfvo'"),
        ("orch", json!({"apiRoot": "ftp://o"}), 422, "apiRoot: 'ftp://o' must be an http or https URI"),
        ("orch", json!({"apiRoot": "http://o", "authentication": basic}), 422, "credentials go over https only"),
        ("orch", json!({"apiRoot": "https://o", "authentication": {"authType": ["BASIC"]}}), 422, "paramsBasic"),
    ] {
        let r = set(&rig, name, body).await;
        assert_eq!(r.status, status, "{name}: {}", r.body);
        let why = r.problem();
        assert!(why.contains(says), "{says}: {why}");
    }
    let good = set(&rig, "orch", json!({"apiRoot": "https://o/", "authentication": basic})).await;
    assert_eq!(good.status, 200, "{}", good.body);
    let shown = rig.get("/bothy/v1/nfvos/orch").await;
    assert!(!shown.body.contains("hush") && !shown.body.contains("\"u\""), "{}", shown.body);
    assert_eq!((&shown.json()["apiRoot"], &shown.json()["authentication"]), (&json!("https://o"), &json!("BASIC")));
    assert_eq!(rig.show("/bothy/v1/nfvos").await.as_array().expect("list").len(), 1);
    let r = set(&rig, "second", json!({"apiRoot": "https://p"})).await;
    assert!(r.status == 409 && r.problem().contains("NFVO 'orch' is of the same project"), "{}", r.body);
    let r = rig.delete("/bothy/v1/users/orch").await;
    assert!(r.status == 409 && r.problem().contains("bothy nfvo delete"), "{}", r.body);
    made(&rig, "/bothy/v1/projects", json!({"name": "west"})).await;
    // What it owns hangs on these.
    for change in [json!({"project": "west"}), json!({"roles": ["viewer"]}), json!({"roles": ["nfvo", "admin"]})] {
        let r = rig.patch("/bothy/v1/users/orch", &[], change.clone()).await;
        assert!(r.status == 409 && r.problem().contains("bothy nfvo delete"), "{change}: {}", r.body);
    }
    for change in [json!({"enabled": false}), json!({"enabled": true, "roles": ["nfvo"], "project": "default"})] {
        assert_eq!(rig.patch("/bothy/v1/users/orch", &[], change.clone()).await.status, 200, "{change}");
    }
    user(&rig, "third", "nfvo", "west").await;
    assert_eq!(set(&rig, "third", json!({"apiRoot": "https://p"})).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_in_its_project_have_is_not_there_for_an_nfvo_nor_when_their_vnf_is_gone() {
    const SNAPSHOTS: &str = "/vnflcm/v2/vnf_snapshots";
    let o = Owned::new("").await;
    let at = |r: Reply| {
        assert_eq!(r.status, 201, "{}", r.body);
        r.header("location").expect("location").to_owned()
    };
    let id = |path: &str| path.rsplit('/').next().expect("id").to_owned();
    let down = json!({"terminationType": "FORCEFUL"});
    // The administrator's: a VNF with its link and operations, a snapshot of it, an empty one.
    let theirs = made_by_admin(&o).await;
    let begun = o.rig.task(&format!("{theirs}/instantiate"), instantiate()).await["id"].as_str().expect("id").to_owned();
    let (full, empty) = (at(o.rig.post(SNAPSHOTS, json!({})).await), at(o.rig.post(SNAPSHOTS, json!({})).await));
    let taken = o.rig.task(&format!("{theirs}/create_snapshot"), json!({"vnfSnapshotInfoId": id(&full)})).await;
    assert_eq!(taken["operationState"], "COMPLETED", "{taken:#}");
    let links = o.rig.show("/bothy/v1/networks").await;
    let link = links[0]["id"].as_str().expect("a link of its own").to_owned();
    // Its own.
    let mine = o.create().await;
    let up = o.task(&format!("{mine}/instantiate"), instantiate()).await["id"].as_str().expect("id").to_owned();
    let own = at(o.ask(&format!("POST {SNAPSHOTS}"), json!({})).await);
    let listed = async |all: &str| o.ask(&format!("GET {all}"), Value::Null).await.json().as_array().expect("list").len();
    assert_eq!((listed(SNAPSHOTS).await, o.ask(&format!("GET {own}"), Value::Null).await.status), (1, 200));
    let task = format!("{mine}/create_snapshot");
    for other in [&empty, &full] {
        let r = o.ask(&format!("POST {task}"), json!({"vnfSnapshotInfoId": id(other)})).await;
        assert!(r.status == 422 && r.problem().contains("there is no VNF snapshot"), "{}", r.body);
    }
    let taken = o.task(&task, json!({"vnfSnapshotInfoId": id(&own)})).await;
    assert_eq!(taken["operationState"], "COMPLETED", "{taken:#}");

    for vnf_is_there in [true, false] {
        if !vnf_is_there {
            assert_eq!(o.rig.task(&format!("{theirs}/terminate"), down.clone()).await["operationState"], "COMPLETED");
            assert_eq!(o.rig.delete(&theirs).await.status, 204);
        }
        let op = format!("/vnflcm/v2/vnf_lcm_op_occs/{begun}");
        let mut lines = vec![format!("GET {op}"), format!("GET /bothy/v1/operations/{begun}"), format!("GET /bothy/v1/explain/{begun}")];
        lines.push(format!("GET /bothy/v1/explain/{link}"));
        lines.extend([&full, &empty].iter().flat_map(|s| [format!("GET {s}"), format!("DELETE {s}")]));
        for line in lines {
            let r = o.ask(&line, Value::Null).await;
            assert_eq!(r.status, 404, "{line}: {}", r.body);
        }
        assert_eq!((listed(SNAPSHOTS).await, listed("/vnflcm/v2/vnf_lcm_op_occs").await), (1, 2), "{vnf_is_there}");
    }
    let told = o.ask(&format!("GET /bothy/v1/explain/{up}"), Value::Null).await;
    assert_eq!(told.status, 200, "{}", told.body);
    // What was its own stays so.
    assert_eq!(o.task(&format!("{mine}/terminate"), down).await["operationState"], "COMPLETED");
    assert_eq!(o.ask(&format!("DELETE {mine}"), Value::Null).await.status, 204);
    for line in [format!("GET /vnflcm/v2/vnf_lcm_op_occs/{up}"), format!("GET {own}")] {
        assert_eq!(o.ask(&line, Value::Null).await.status, 200, "{line}");
    }
    assert_eq!(listed("/vnflcm/v2/vnf_lcm_op_occs").await, 3);
    assert_eq!(o.ask(&format!("DELETE {own}"), Value::Null).await.status, 204);
}
