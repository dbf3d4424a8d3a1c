//! Who gets in, what he may, and what is written down of it, over real sockets.

use std::{sync::Arc, time::Duration};

use data_encoding::BASE64;
use rcgen::{BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    rig::{Reply, Rig, gullible, parse, rig},
    shape::{described, schema_of},
};

const WORD: &str = "correct horse battery";

/// A request with these header lines and no token.
pub async fn bare(rig: &Rig, line: &str, headers: &[&str], body: &str) -> Reply {
    let mut all = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    headers.iter().for_each(|h| all += &format!("{h}\r\n"));
    if !body.is_empty() {
        all += &format!("content-length: {}\r\n", body.len());
    }
    rig.raw(&format!("{all}\r\n{body}")).await
}

async fn form(rig: &Rig, headers: &[&str], body: &str) -> Reply {
    let mut all = vec!["content-type: application/x-www-form-urlencoded"];
    all.extend(headers);
    bare(rig, "POST /oauth2/token", &all, body).await
}

pub fn basic(name: &str, password: &str) -> String {
    format!("authorization: Basic {}", BASE64.encode(format!("{name}:{password}").as_bytes()))
}

/// Holds an answer against config/openapi.yaml.
fn fits(path: &str, method: &str, r: &Reply) -> Value {
    let schema = schema_of(&described(), path, method, &r.status.to_string());
    let v = r.json();
    let faults: Vec<String> = jsonschema::validator_for(&schema).expect("schema").iter_errors(&v).map(|e| e.to_string()).collect();
    assert!(faults.is_empty(), "{method} {path}: {faults:?}\n{v:#}");
    v
}

pub async fn made(rig: &Rig, path: &str, body: Value) -> Value {
    let r = rig.post(path, body).await;
    assert_eq!(r.status, 201, "{path}: {}", r.body);
    assert!(r.header("location").is_some_and(|l| l.starts_with(path)), "{}", r.head);
    fits(path, "post", &r)
}

/// A user of a project with a token.
pub async fn user(rig: &Rig, name: &str, role: &str, project: &str) -> String {
    made(rig, "/bothy/v1/users", json!({"name": name, "password": WORD, "roles": [role], "project": project})).await;
    let t = made(rig, "/bothy/v1/tokens", json!({"account": name, "label": "test", "expiresIn": 600})).await;
    t["token"].as_str().expect("token").to_owned()
}

pub fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_their_secrets_are_made_shown_once_and_removed() {
    let rig = rig(16, "").await;
    user(&rig, "eve", "viewer", "default").await;
    let c = made(
        &rig,
        "/bothy/v1/clients",
        json!({"name": "oss", "roles": ["operator"], "certificates": [{"dns": "oss.example"}], "secret": true}),
    )
    .await;
    let secret = c["secret"].as_str().expect("secret").to_owned();
    for (path, described) in [
        ("/bothy/v1/users", "/bothy/v1/users"),
        ("/bothy/v1/users/eve", "/bothy/v1/users/{name}"),
        ("/bothy/v1/clients", "/bothy/v1/clients"),
        ("/bothy/v1/clients/oss", "/bothy/v1/clients/{name}"),
        ("/bothy/v1/tokens", "/bothy/v1/tokens"),
        ("/bothy/v1/roles", "/bothy/v1/roles"),
        ("/bothy/v1/projects", "/bothy/v1/projects"),
        ("/bothy/v1/projects/default", "/bothy/v1/projects/{id}"),
        ("/bothy/v1/whoami", "/bothy/v1/whoami"),
        ("/bothy/v1/tls", "/bothy/v1/tls"),
        ("/bothy/v1/audit", "/bothy/v1/audit"),
    ] {
        let r = rig.get(path).await;
        assert_eq!(r.status, 200, "{path}: {}", r.body);
        fits(described, "get", &r);
        for hidden in [&secret, WORD, &rig.token] {
            assert!(!r.body.contains(hidden), "{path} shows a secret");
        }
    }
    assert_eq!(rig.get("/bothy/v1/users/oss").await.status, 404, "a client is no user");
    let again = rig.post("/bothy/v1/clients/oss/secret", json!({})).await;
    let renewed = fits("/bothy/v1/clients/{name}/secret", "post", &again)["secret"].as_str().expect("secret").to_owned();
    assert_eq!(bare(&rig, "GET /bothy/v1/whoami", &[&basic("oss", &secret)], "").await.status, 401);
    assert_eq!(bare(&rig, "GET /bothy/v1/whoami", &[&basic("oss", &renewed)], "").await.status, 200);
    let changed = rig.patch("/bothy/v1/users/eve", &[], json!({"roles": ["operator"], "enabled": false})).await;
    assert_eq!(fits("/bothy/v1/users/{name}", "patch", &changed)["enabled"], false);
    for (path, body, status, says) in [
        ("/bothy/v1/users", json!({"name": "eve"}), 409, "already"),
        ("/bothy/v1/users", json!({"name": "a b"}), 422, "no name"),
        ("/bothy/v1/users", json!({"name": "x", "password": "short"}), 422, "10 to 256"),
        ("/bothy/v1/users", json!({"name": "x", "roles": ["chief"]}), 422, "no role 'chief'"),
        ("/bothy/v1/users", json!({"name": "x", "project": "moon"}), 422, "no project 'moon'"),
        ("/bothy/v1/clients", json!({"name": "x", "certificates": [{"dns": "a", "uri": "b"}]}), 422, "each has one of"),
        ("/bothy/v1/projects", json!({"name": "default"}), 409, "already"),
    ] {
        let r = rig.post(path, body).await;
        assert_eq!(r.status, status, "{}", r.body);
        assert!(r.problem().contains(says), "{}", r.body);
    }
    let put = |name: &'static str, body: &'static str| {
        let rig = &rig;
        async move { rig.ask(&format!("PUT /bothy/v1/roles/{name}"), &["content-type: application/json"], body).await }
    };
    assert_eq!(put("watch", r#"{"permissions": ["alarm:read"]}"#).await.status, 204);
    assert_eq!(put("watch", r#"{"permissions": ["alarm:reed", "moon:read"]}"#).await.json()["reasons"].as_array().map(Vec::len), Some(2));
    assert_eq!(put("viewer", r#"{"permissions": []}"#).await.status, 409);
    for path in ["/bothy/v1/roles/watch", "/bothy/v1/users/eve", "/bothy/v1/clients/oss"] {
        assert_eq!(rig.delete(path).await.status, 204, "{path}");
        assert_eq!(rig.delete(path).await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_endpoint_speaks_rfc_6749() {
    let rig = rig(16, "").await;
    user(&rig, "eve", "viewer", "default").await;
    let c = made(&rig, "/bothy/v1/clients", json!({"name": "oss", "roles": ["operator"]})).await;
    let secret = c["secret"].as_str().expect("secret");
    let in_body = format!("grant_type=client_credentials&client_id=oss&client_secret={secret}");
    let password = format!("grant_type=password&username=eve&password={}", WORD.replace(' ', "+"));
    for (headers, body) in
        [(vec![basic("oss", secret)], "grant_type=client_credentials".to_owned()), (vec![], in_body.clone()), (vec![], password.clone())]
    {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let r = form(&rig, &headers, &body).await;
        assert_eq!((r.status, r.header("cache-control")), (200, Some("no-store")), "{}", r.body);
        let t = fits("/oauth2/token", "post", &r);
        assert_eq!(t["expires_in"], 3600);
        let token = t["access_token"].as_str().expect("token");
        for h in [bearer(token), format!("x-auth-token: {token}")] {
            assert_eq!(bare(&rig, "GET /bothy/v1/whoami", &[&h], "").await.status, 200);
        }
    }
    let wrong = basic("oss", "wrong");
    for (headers, body, status, error) in [
        (vec![], "", 400, "invalid_request"),
        (vec![], "grant_type=client_credentials", 401, "invalid_client"),
        (vec![wrong.as_str()], "grant_type=client_credentials", 401, "invalid_client"),
        (vec![], "grant_type=implicit", 400, "unsupported_grant_type"),
        (vec![], "grant_type=password&username=eve", 400, "invalid_request"),
        (vec![], "grant_type=password&username=eve&password=wrong+password", 400, "invalid_grant"),
        (vec![], "grant_type=password&username=none&password=wrong+password", 400, "invalid_grant"),
        (vec![], "grant_type=password&grant_type=password", 400, "invalid_request"),
        (vec![wrong.as_str()], in_body.as_str(), 400, "invalid_request"),
    ] {
        let r = form(&rig, &headers, body).await;
        assert_eq!(r.status, status, "{body}: {}", r.body);
        if !body.is_empty() {
            assert_eq!(fits("/oauth2/token", "post", &r)["error"], error, "{body}");
        }
        assert_eq!(r.header("www-authenticate").is_some(), status == 401, "{body}");
    }
    let json = bare(&rig, "POST /oauth2/token", &["content-type: application/json"], "{}").await;
    assert_eq!((json.status, json.json()["error"].as_str()), (400, Some("invalid_request")));
    assert_eq!(bare(&rig, "GET /oauth2/token", &[], "").await.status, 401, "no method of it without a token");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_decide_and_each_refusal_names_the_permission() {
    let rig = rig(16, "").await;
    for (role, path, status) in [
        ("viewer", "GET /vnflcm/v2/vnf_instances", 200),
        ("viewer", "GET /bothy/v1/users", 403),
        ("viewer", "GET /bothy/v1/audit", 403),
        ("viewer", "POST /vnflcm/v2/vnf_instances", 403),
        ("viewer", "DELETE /vnflcm/v2/vnf_instances/00000000-0000-4000-8000-000000000001", 403),
        ("viewer", "GET /vnflcm/v2/vnf_instances/00000000-0000-4000-8000-000000000001", 404),
        ("viewer", "POST /vnflcm/api_versions", 405),
        ("viewer", "GET /nowhere", 404),
        ("operator", "GET /bothy/v1/secrets", 200),
        ("operator", "POST /bothy/v1/config/apply", 403),
        ("operator", "PUT /bothy/v1/desired", 403),
        ("operator", "DELETE /bothy/v1/desired", 403),
        ("admin", "DELETE /bothy/v1/desired", 404),
        // Whom the box calls.
        ("operator", "PUT /bothy/v1/vnf/00000000-0000-4000-8000-000000000001/endpoint", 403),
        ("operator", "GET /bothy/v1/vnf/00000000-0000-4000-8000-000000000001/endpoint", 404),
        ("viewer", "GET /bothy/v1/desired", 403),
        ("admin", "GET /bothy/v1/desired", 200),
        ("operator", "POST /bothy/v1/store/export", 403),
        ("nfvo", "GET /vnfpkgm/v2/vnf_packages", 200),
        ("nfvo", "GET /nslcm/v2/ns_instances", 403),
        ("vnf", "GET /vnflcm/v2/vnf_instances", 200),
        ("vnf", "GET /vnfpkgm/v2/vnf_packages", 403),
        ("admin", "GET /bothy/v1/audit", 200),
    ] {
        let name = format!("{role}-{}", path.len());
        let token = match rig.get(&format!("/bothy/v1/users/{name}")).await.status {
            404 => user(&rig, &name, role, "default").await,
            _ => made(&rig, "/bothy/v1/tokens", json!({"account": name})).await["token"].as_str().expect("token").to_owned(),
        };
        let r = bare(&rig, path, &[&bearer(&token)], "").await;
        assert_eq!(r.status, status, "{role} {path}: {}", r.body);
        if status == 403 {
            assert!(r.problem().contains("this needs the permission"), "{}", r.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_project_owns_is_not_there() {
    let rig = rig(64, "").await;
    let lab = made(&rig, "/bothy/v1/projects", json!({"name": "lab"})).await["id"].as_str().expect("id").to_owned();
    let stranger = bearer(&user(&rig, "stranger", "operator", "lab").await);
    let nsd = rig.onboard_vcpe().await;
    let put = rig.ask("PUT /bothy/v1/secrets/wifi", &["content-type: application/json"], r#"{"value": "hunter2"}"#).await;
    assert_eq!(put.status, 204);
    let ns = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "site", "nsDescription": ""})).await;
    let ns = ns.header("location").expect("location").to_owned();
    let op = rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    let up = rig.show(&ns).await;
    let vnf = up["vnfInstance"][0]["id"].as_str().expect("vnf").to_owned();
    let op = op["id"].as_str().expect("op").to_owned();
    let nsd = nsd["id"].as_str().expect("nsd").to_owned();
    let package = rig.show("/vnfpkgm/v2/vnf_packages").await[0]["id"].as_str().expect("package").to_owned();
    let guest = up["vnfInstance"][0]["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["id"].as_str().expect("guest").to_owned();

    let one = [
        ns.clone(),
        format!("/vnflcm/v2/vnf_instances/{vnf}"),
        format!("/nslcm/v2/ns_lcm_op_occs/{op}"),
        format!("/nsd/v2/ns_descriptors/{nsd}"),
        format!("/nsd/v2/ns_descriptors/{nsd}/nsd_content"),
        format!("/vnfpkgm/v2/vnf_packages/{package}"),
        format!("/vnfpkgm/v2/vnf_packages/{package}/package_content"),
        format!("/bothy/v1/operations/{op}/timeline"),
        format!("/bothy/v1/vnf/{vnf}/serial"),
        format!("/bothy/v1/explain/{vnf}"),
        format!("/bothy/v1/explain/{guest}"),
        format!("/bothy/v1/explain/{op}"),
        format!("/bothy/v1/explain/{}", up["id"].as_str().expect("id")),
        "/bothy/v1/projects/default".to_owned(),
    ];
    for path in &one {
        let own = rig.get(path).await.status;
        assert!(matches!(own, 200), "{path}: {own}");
        // 403 for what no operator may at all.
        let status = if path.contains("projects") { 403 } else { 404 };
        assert_eq!(bare(&rig, &format!("GET {path}"), &[&stranger], "").await.status, status, "{path}");
        let encoded = path.replacen("-4", "-%34", 1);
        assert_eq!(bare(&rig, &format!("GET {encoded}"), &[&stranger], "").await.status, status, "{encoded}");
        // An administrator who acts in the other project sees what it sees.
        assert_eq!(rig.ask(&format!("GET {path}"), &["bothy-project: lab"], "").await.status, 404, "{path}");
    }
    for path in [
        "/nslcm/v2/ns_instances",
        "/vnflcm/v2/vnf_instances",
        "/nslcm/v2/ns_lcm_op_occs",
        "/vnflcm/v2/vnf_lcm_op_occs",
        "/nsd/v2/ns_descriptors",
        "/vnfpkgm/v2/vnf_packages",
        "/bothy/v1/networks",
        "/bothy/v1/secrets",
    ] {
        assert_ne!(rig.show(path).await, json!([]), "{path}");
        let theirs = bare(&rig, &format!("GET {path}"), &[&stranger], "").await;
        assert_eq!((theirs.status, theirs.body.as_str()), (200, "[]"), "{path}");
    }
    let json_type = "content-type: application/json";
    let nsd_id = rig.show("/nsd/v2/ns_descriptors").await[0]["nsdId"].clone();
    let create = json!({"nsdId": nsd_id, "nsName": "mine", "nsDescription": ""}).to_string();
    let r = bare(&rig, "POST /nslcm/v2/ns_instances", &[&stranger, json_type], &create).await;
    assert_eq!(r.status, 422, "another project's descriptor is not there: {}", r.body);
    let change = bare(&rig, &format!("POST {ns}/terminate"), &[&stranger, json_type], "{}").await;
    assert_eq!(change.status, 404, "{}", change.body);
    let plan = json!({"ns": {"nsInstanceId": up["id"], "request": {"nsFlavourId": "default"}}}).to_string();
    let r = bare(&rig, "POST /bothy/v1/plan", &[&stranger, json_type], &plan).await;
    assert!(r.status == 422 && r.problem().contains("there is no NS instance"), "{}", r.body);
    // A secret of the same name is another one.
    let put = bare(&rig, "PUT /bothy/v1/secrets/wifi", &[&stranger, json_type], r#"{"value": "other"}"#).await;
    assert_eq!(put.status, 204, "{}", put.body);
    assert_eq!(bare(&rig, "DELETE /bothy/v1/secrets/wifi", &[&stranger], "").await.status, 204);
    assert_eq!(rig.show("/bothy/v1/secrets").await, json!([{"name": "wifi"}]));
    // The same package once more, for the other project; and a link of the first cannot be joined.
    let web = ["bothy-project: lab"];
    let at = rig.ask("POST /vnfpkgm/v2/vnf_packages", &[web[0], json_type], "{}").await.header("location").expect("location").to_owned();
    let content = crate::kit::build("descriptors/vcpe/vcpe-web");
    let put = rig.send(&format!("PUT {at}/package_content"), &[web[0], "content-type: application/zip"], &content).await;
    assert_eq!(put.status, 202, "{}", put.body);
    assert_eq!(rig.settled(&at, "onboardingState", &["UPLOADING", "PROCESSING"]).await["onboardingState"], "ONBOARDED");
    let vnfd = rig.show(&at).await["vnfdId"].clone();
    let v = bare(&rig, "POST /vnflcm/v2/vnf_instances", &[&stranger, json_type], &json!({"vnfdId": vnfd}).to_string()).await;
    assert_eq!(v.status, 201, "{}", v.body);
    let link = up["virtualLinkInfo"][0]["id"].clone();
    let to = format!("POST {}/instantiate", v.header("location").expect("location"));
    let cps = json!([{"cpdId": "mgmt", "cpConfig": {"a": {}}}, {"cpdId": "wan", "cpConfig": {"a": {}}}]);
    let attach = json!({"flavourId": "default", "extVirtualLinks": [{"id": "l", "resourceId": link, "extCps": cps}]});
    let r = bare(&rig, &to, &[&stranger, json_type], &attach.to_string()).await;
    assert!(r.status == 404 && r.problem().contains("there is no virtual link"), "{}", r.body);
    assert!(!lab.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_checked_in_the_accept_and_its_refusal_states_use_and_limit() {
    let rig = rig(64, "").await;
    let nsd = rig.onboard_vcpe().await;
    let set = |q: Value| {
        let rig = &rig;
        async move {
            let r = rig.patch("/bothy/v1/projects/default", &[], json!({"quota": q})).await;
            fits("/bothy/v1/projects/{id}", "patch", &r)
        }
    };
    set(json!({"vnfs": 2, "vcpus": 1})).await;
    let ns = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "site", "nsDescription": ""})).await;
    let ns = ns.header("location").expect("location").to_owned();
    let ask = json!({"nsFlavourId": "default"});
    let r = rig.post(&format!("{ns}/instantiate"), ask.clone()).await;
    assert_eq!(r.status, 403, "{}", r.body);
    let said = r.problem();
    assert!(said.contains("VNFs: 3 wanted, 0 of 2 used") && said.contains("vCPUs: 3 wanted, 0 of 1 used"), "{said}");
    let dry = rig.post("/bothy/v1/plan", json!({"ns": {"nsInstanceId": ns.rsplit('/').next(), "request": ask}})).await;
    assert_eq!(dry.status, 403, "a dry run says the same: {}", dry.body);
    assert_eq!(rig.sim.leftovers(), []);
    assert_eq!(rig.show("/nslcm/v2/ns_lcm_op_occs").await, json!([]), "nothing was begun");
    set(json!({"vnfs": 3})).await;
    let op = rig.task(&format!("{ns}/instantiate"), ask.clone()).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    let now = set(json!({"vnfs": 3})).await;
    assert_eq!((now["used"]["vnfs"].as_u64(), now["used"]["vcpus"].as_u64()), (Some(3), Some(3)), "{now:#}");
    let more = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": "b0714103-0000-4000-8000-000000000001"})).await;
    let r = rig.post(&format!("{}/instantiate", more.header("location").expect("location")), json!({"flavourId": "default"})).await;
    assert!(r.status == 403 && r.problem().contains("VNFs: 1 wanted, 3 of 3 used"), "{}", r.body);
    let op = rig.task(&format!("{ns}/terminate"), json!({})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    assert_eq!(rig.show("/bothy/v1/projects/default").await["used"]["vnfs"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_put_off_and_good_tokens_are_not() {
    let rig = rig(16, "").await;
    let token = user(&rig, "eve", "viewer", "default").await;
    let guess = basic("eve", "wrong password");
    for _ in 0..5 {
        assert_eq!(bare(&rig, "GET /bothy/v1/whoami", &[&guess], "").await.status, 401);
    }
    let r = bare(&rig, "GET /bothy/v1/whoami", &[&basic("eve", WORD)], "").await;
    assert_eq!(r.status, 429, "{}", r.body);
    assert!(r.header("retry-after").is_some_and(|s| s.parse::<u64>().is_ok_and(|s| (1..=10).contains(&s))), "{}", r.head);
    r.problem();
    assert_eq!(form(&rig, &[], "grant_type=password&username=eve&password=x").await.status, 429);
    assert_eq!(bare(&rig, "GET /bothy/v1/whoami", &[&bearer(&token)], "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_and_refusal_is_in_the_trail_and_no_look_is() {
    let rig = rig(16, "").await;
    let token = user(&rig, "eve", "viewer", "default").await;
    rig.get("/bothy/v1/health").await;
    bare(&rig, "GET /bothy/v1/users", &[&bearer(&token)], "").await;
    bare(&rig, "GET /bothy/v1/users", &[], "").await;
    rig.post("/bothy/v1/users", json!({"name": "eve"})).await;
    let page = rig.get("/bothy/v1/audit?limit=4").await;
    let next = page.header("link").expect("more").to_owned();
    assert!(next.contains("before=") && next.contains("rel=\"next\""), "{next}");
    let all = fits("/bothy/v1/audit", "get", &page);
    let short: Vec<_> =
        all.as_array().expect("list").iter().map(|e| (e["who"].as_str(), e["method"].as_str(), e["status"].as_u64())).collect();
    assert_eq!(
        short,
        [
            (Some("admin"), Some("POST"), Some(409)),
            (Some("-"), Some("GET"), Some(401)),
            (Some("eve"), Some("GET"), Some(403)),
            (Some("admin"), Some("POST"), Some(201)),
        ]
    );
    assert!(all[0]["why"].as_str().is_some_and(|w| w.contains("already")), "{all:#}");
    assert_eq!(all[0]["source"], "127.0.0.1");
    let path = next.split(['<', '>']).nth(1).expect("path");
    assert_eq!(rig.show(path).await.as_array().map(Vec::len), Some(1));
    let v = rig.post("/bothy/v1/audit/verify", json!({})).await;
    let v = fits("/bothy/v1/audit/verify", "post", &v);
    assert_eq!((v["whole"].as_bool(), v["entries"].as_u64()), (Some(true), Some(5)), "{v:#}");
    assert!(!rig.get("/bothy/v1/audit?limit=1000").await.body.contains(WORD));
}

/// A CA, and what it signs.
pub struct Ca {
    cert: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub fn new(name: &str) -> Ca {
        let key = KeyPair::generate().expect("key");
        let mut p = CertificateParams::new(Vec::new()).expect("params");
        p.distinguished_name.push(DnType::CommonName, name);
        p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        p.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let cert = p.self_signed(&key).expect("ca");
        Ca { cert, issuer: Issuer::new(p, key) }
    }

    pub fn pem(&self) -> String {
        self.cert.pem()
    }

    pub fn sign(&self, name: &str, serial: u64) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let (cert, key) = self.sign_pem(name, serial);
        let cert = CertificateDer::from_pem_slice(cert.as_bytes()).expect("cert");
        (cert, PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("key"))
    }

    /// Certificate and key.
    pub fn sign_pem(&self, name: &str, serial: u64) -> (String, String) {
        let key = KeyPair::generate().expect("key");
        let mut p = CertificateParams::new(Vec::new()).expect("params");
        p.distinguished_name = rcgen::DistinguishedName::new();
        p.distinguished_name.push(DnType::CommonName, name);
        p.serial_number = Some(serial.into());
        p.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let cert = p.signed_by(&key, &self.issuer).expect("cert");
        (cert.pem(), key.serialize_pem())
    }

    fn revoke(&self, serials: &[u64]) -> String {
        let revoked = serials.iter().map(|s| rcgen::RevokedCertParams {
            serial_number: (*s).into(),
            revocation_time: rcgen::date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let p = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2024, 1, 1),
            next_update: rcgen::date_time_ymd(2049, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        p.signed_by(&self.issuer).expect("crl").pem().expect("pem")
    }
}

impl Rig {
    /// The status and name a client certificate gets; `None` if the handshake fails.
    pub async fn whoami_as(&self, (cert, key): (CertificateDer<'static>, PrivateKeyDer<'static>)) -> Option<(u16, String)> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate()).expect("root");
        let config = ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(vec![cert], key).expect("pair");
        let tcp = tokio::net::TcpStream::connect(self.addr).await.expect("tcp");
        let to = "localhost".try_into().expect("name");
        let mut tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(to, tcp).await.ok()?;
        tls.write_all(b"GET /bothy/v1/whoami HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.ok()?;
        let mut raw = Vec::new();
        let read = tls.read_to_end(&mut raw).await;
        if raw.is_empty() {
            assert!(read.is_err(), "a refused certificate ends the connection");
            return None;
        }
        let r = parse(&raw);
        Some((r.status, if r.status == 200 { r.json()["name"].as_str().expect("name").to_owned() } else { String::new() }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_a_pinned_ca_speaks_for_its_client_until_it_is_revoked() {
    let (ca, other) = (Ca::new("pinned"), Ca::new("other"));
    let dir = tempfile::tempdir().expect("dir");
    let (ca_path, crl_path) = (dir.path().join("ca.pem"), dir.path().join("crl.pem"));
    std::fs::write(&ca_path, ca.cert.pem()).expect("ca");
    std::fs::write(&crl_path, ca.revoke(&[])).expect("crl");
    let text = format!("[tls]\nclient_ca = \"{}\"\nclient_crl = \"{}\"\n", ca_path.display(), crl_path.display());
    let rig = rig(16, &text).await;
    made(&rig, "/bothy/v1/clients", json!({"name": "central", "roles": ["nfvo"], "certificates": [{"commonName": "nfvo-1"}]})).await;
    let good = ca.sign("nfvo-1", 7);
    let again = || (good.0.clone(), good.1.clone_key());
    assert_eq!(rig.whoami_as(again()).await, Some((200, "central".into())));
    assert_eq!(rig.whoami_as(ca.sign("nfvo-2", 8)).await, Some((401, String::new())), "signed, but nobody's");
    assert_eq!(rig.whoami_as(other.sign("nfvo-1", 7)).await, None, "another CA's");
    assert_eq!(rig.get("/bothy/v1/whoami").await.status, 200, "certificates may be left out");
    assert_eq!(rig.raw("GET /bothy/v1/whoami HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.status, 401);

    std::fs::write(&crl_path, ca.revoke(&[7])).expect("crl");
    rig.tls.look();
    assert_eq!(rig.whoami_as(again()).await, None, "revoked");
    assert_eq!(rig.whoami_as(ca.sign("nfvo-1", 9)).await, Some((200, "central".into())), "its successor");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_rotated_under_load_and_no_request_is_lost() {
    let rig = Arc::new(rig(64, "").await);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    // A connection from before goes on with what it has.
    let mut old = rig.connect().await;
    let mut load = Vec::new();
    let trust_all = gullible();
    for _ in 0..4 {
        let (rig, stop, trust_all) = (rig.clone(), stop.clone(), trust_all.clone());
        load.push(tokio::spawn(async move {
            let mut n = 0u32;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let r = rig.get_trusting(&trust_all, "/bothy/v1/version").await;
                assert_eq!(r, 200);
                n += 1;
            }
            n
        }));
    }
    let mut seen = std::collections::BTreeSet::from([rig.tls.fingerprint()]);
    for _ in 0..5 {
        let key = KeyPair::generate().expect("key");
        let cert = CertificateParams::new(vec!["localhost".into()]).expect("params").self_signed(&key).expect("cert");
        let body = json!({"certificate": cert.pem(), "key": key.serialize_pem()}).to_string();
        let request = format!(
            "PUT /bothy/v1/tls HTTP/1.1\r\nhost: localhost\r\n{}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            bearer(&rig.token),
            body.len()
        );
        old.write_all(request.as_bytes()).await.expect("write");
        let mut some = [0; 4096];
        let n = old.read(&mut some).await.expect("read");
        assert!(some[..n].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&some[..n]));
        assert!(seen.insert(rig.tls.fingerprint()));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for l in load {
        assert!(l.await.expect("no request failed") > 0);
    }
    let now = CertificateDer::from_pem_slice(&std::fs::read(rig.certificate_path()).expect("file")).expect("pem");
    let presented = rig.presented(&trust_all).await;
    assert_eq!(presented, now, "the newest is shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let rig = rig(16, "").await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut roots = RootCertStore::empty();
        roots.add(rig.certificate()).expect("root");
        let config = ClientConfig::builder_with_protocol_versions(&[version]).with_root_certificates(roots).with_no_client_auth();
        let tcp = tokio::net::TcpStream::connect(rig.addr).await.expect("tcp");
        let tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect("localhost".try_into().expect("name"), tcp).await;
        assert_eq!(tls.expect("handshake").get_ref().1.protocol_version(), Some(version.version));
    }
    // A ClientHello of TLS 1.1 (RFC 4346 7.4.1.2): one suite, no extensions.
    let mut hello = vec![0x03, 0x02];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    let mut record = vec![0x16, 0x03, 0x01, 0, hello.len() as u8 + 4, 1, 0, 0, hello.len() as u8];
    record.extend(hello);
    let mut tcp = tokio::net::TcpStream::connect(rig.addr).await.expect("tcp");
    tcp.write_all(&record).await.expect("write");
    let mut answer = Vec::new();
    let _ = tcp.read_to_end(&mut answer).await;
    assert_eq!((answer.len(), answer.first(), answer.get(5)), (7, Some(&0x15), Some(&2)), "a fatal alert and nothing else: {answer:?}");
}
