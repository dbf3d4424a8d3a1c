//! A VNF that serves interfaces of its own (SOL002), which is stood in for: what it is asked while operations run, and what
//! each of its answers means. Requests are held against ETSI's file.

use std::{
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri, header::LOCATION, header::RETRY_AFTER},
    response::{IntoResponse as _, Response},
    serve::Listener,
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    identity::{bare, bearer, user},
    kit::{copy_dir, fits},
    notify::server,
    rig::{Rig, rig},
    schema::{LCMCOORD, VNFCONFIG, VNFIND_OF_SOL002, VNFLCM},
};

/// Actions of the package: before a stop, and after an instantiation, which its element manager does.
const POLICIES: &str = r#"  policies:
    - drain:
        type: tosca.policies.nfv.LcmCoordinationAction
        properties:
          action_name: drain
          action: { coordination_stage: start, endpoint_type: vnf, input_parameters: { seconds: 5, zone: "5" } }
    - register:
        type: tosca.policies.nfv.LcmCoordinationAction
        properties:
          action_name: register
          action: { coordination_stage: end, endpoint_type: mgmt }
    - at_operate:
        type: tosca.policies.nfv.LcmCoordinationsForLcmOperation
        properties: { vnf_lcm_operation: operate, actions: [ drain ] }
    - at_instantiate:
        type: tosca.policies.nfv.LcmCoordinationsForLcmOperation
        properties: { vnf_lcm_operation: instantiate, actions: [ register ] }
    - coordination_interface:
        type: tosca.policies.nfv.SupportedVnfInterface
        targets: [ mgmt ]
        properties:
          interface_name: vnf_lcm_coordination
          details: { uri_components: { scheme: https, authority: { port: "8443" } } }
"#;

/// One answer: status, `Retry-After`, and the result that is told with 200 and 201, or the reason with others.
type Line = (u16, Option<u32>, &'static str);

#[derive(Default)]
struct Seen {
    /// Method, path and body of each request.
    asked: Vec<(Method, String, Value)>,
    script: Vec<Line>,
    config: Value,
    /// Indicators with their values.
    tells: Value,
}

struct Sealed(TcpListener, TlsAcceptor);

impl Listener for Sealed {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;
    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((tcp, from)) = self.0.accept().await
                && let Ok(io) = self.1.accept(tcp).await
            {
                return (io, from);
            }
        }
    }
    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A VNF, or its element manager.
struct Stand {
    root: String,
    seen: Arc<Mutex<Seen>>,
}

impl Stand {
    async fn start() -> Stand {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let root = format!("http://{}/own", listener.local_addr().expect("address"));
        Stand::serve(listener, root)
    }

    /// The same by TLS.
    async fn sealed(rig: &Rig) -> Stand {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let root = format!("https://localhost:{}/own", tcp.local_addr().expect("address").port());
        Stand::serve(Sealed(tcp, TlsAcceptor::from(server(rig, false))), root)
    }

    fn serve(listener: impl Listener<Addr: std::fmt::Debug>, root: String) -> Stand {
        let seen = Arc::<Mutex<Seen>>::default();
        let at = seen.clone();
        let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let at = at.clone();
            async move { Stand::answer(&mut at.lock().expect("lock"), method, &uri, &headers, &body) }
        };
        let router = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Stand { root, seen }
    }

    fn answer(seen: &mut Seen, method: Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
        let request: Value = if body.is_empty() { Value::Null } else { serde_json::from_slice(body).expect("JSON") };
        match uri.path() {
            "/own/vnfconfig/v1/configuration" => {
                assert_eq!(headers["version"], "1.3.0");
                return Stand::configured(seen, method, request);
            }
            "/own/vnfind/v1/indicators" => {
                assert_eq!((&method, &headers["version"]), (&Method::GET, &"1.4.0".parse().expect("header")));
                return Stand::tells(seen);
            }
            _ => assert_eq!(headers["version"], "1.1.0"),
        }
        let path = uri.path().strip_prefix("/own/lcmcoord/v1/coordinations").expect("the interface's own path").to_owned();
        match (method.as_str(), path.as_str()) {
            ("POST", "") => fits(LCMCOORD, "LcmCoordRequest", &request),
            ("GET", "/7") | ("POST", "/7/cancel") => assert_eq!(request, Value::Null),
            other => panic!("nobody asks so: {other:?}"),
        }
        seen.asked.push((method, path, request));
        // The last line of the script is played for ever.
        let (status, after, says) = match seen.script.len() {
            0 => (201, None, "CONTINUE"),
            1 => seen.script[0],
            _ => seen.script.remove(0),
        };
        let of = seen.asked.iter().rev().find(|(_, path, _)| path.is_empty()).expect("a request").2.clone();
        let text = match status {
            200 | 201 => {
                let mut result = json!({
                    "id": "7", "coordinationResult": says, "vnfInstanceId": of["vnfInstanceId"], "vnfLcmOpOccId": of["vnfLcmOpOccId"],
                    "lcmOperationType": of["lcmOperationType"], "coordinationActionName": of["coordinationActionName"],
                    "_links": {"self": {"href": "http://v/7"}, "vnfLcmOpOcc": of["_links"]["vnfLcmOpOcc"], "vnfInstance": of["_links"]["vnfInstance"]},
                });
                if says != "CONTINUE" {
                    result["error"] = json!({"status": 500, "detail": "calls are up"});
                }
                fits(LCMCOORD, "LcmCoord", &result);
                result.to_string()
            }
            202 => String::new(),
            _ => json!({"status": status, "detail": says}).to_string(),
        };
        let mut r = (StatusCode::from_u16(status).expect("status"), text).into_response();
        if [201, 202].contains(&status) && says != "nowhere" {
            r.headers_mut().insert(LOCATION, "/own/lcmcoord/v1/coordinations/7".parse().expect("header"));
        }
        if let Some(after) = after {
            r.headers_mut().insert(RETRY_AFTER, after.into());
        }
        r
    }

    /// It keeps what it is given; a line of its script that is no success is a refusal.
    fn configured(seen: &mut Seen, method: Method, request: Value) -> Response {
        let refusal = seen.script.first().copied().filter(|l| l.0 >= 400);
        if let Some((status, _, says)) = refusal.filter(|_| method == Method::PATCH) {
            let status = StatusCode::from_u16(status).expect("status");
            return (status, json!({"status": status.as_u16(), "detail": says}).to_string()).into_response();
        }
        if method == Method::GET {
            let now = json!({"vnfConfigurationData": {"vnfSpecificData": seen.config}});
            fits(VNFCONFIG, "VnfConfiguration", &now);
            return now.to_string().into_response();
        }
        fits(VNFCONFIG, "VnfConfigModifications", &request);
        seen.config = request["vnfConfigurationData"]["vnfSpecificData"].clone();
        seen.asked.push((method, "configuration".into(), request.clone()));
        request.to_string().into_response()
    }

    fn tells(seen: &Seen) -> Response {
        let link = json!({"href": "http://v/i"});
        let one = |(id, value): (&String, &Value)| {
            let i = json!({"id": id, "value": value, "vnfInstanceId": "v", "_links": {"self": link, "vnfInstance": link}});
            fits(VNFIND_OF_SOL002, "VnfIndicator", &i);
            i
        };
        seen.tells.as_object().into_iter().flatten().map(one).collect::<Value>().to_string().into_response()
    }

    fn plays(&self, script: &[Line]) {
        self.seen.lock().expect("lock").script = script.to_vec();
    }

    /// What it was asked since the last time.
    fn asked(&self) -> Vec<(Method, String, Value)> {
        std::mem::take(&mut self.seen.lock().expect("lock").asked)
    }

    fn paths(&self) -> Vec<String> {
        self.asked().iter().map(|(m, p, _)| format!("{m} {p}")).collect()
    }
}

/// The web server's package with these policies, and one more line.
async fn onboard_with(rig: &Rig, (old, new): (&str, &str)) -> String {
    let dir = tempfile::tempdir().expect("dir");
    copy_dir(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptors/vcpe/vcpe-web"), dir.path());
    let at = dir.path().join("Definitions/vcpe-web.yaml");
    let text = fs::read_to_string(&at).expect("text").replacen("  policies:\n", POLICIES, 1);
    assert!(text.contains(old));
    fs::write(at, text.replacen(old, new, 1)).expect("text");
    let p = rig.onboard_vnf(dir.path().to_str().expect("utf-8")).await;
    assert_eq!(p["onboardingState"], "ONBOARDED", "{p:#}");
    p["vnfdId"].as_str().expect("vnfdId").to_owned()
}

async fn create(rig: &Rig) -> String {
    create_with(rig, ("  policies:\n", "  policies:\n")).await
}

async fn create_with(rig: &Rig, edit: (&str, &str)) -> String {
    let vnfd = onboard_with(rig, edit).await;
    let made = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": vnfd})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.json()["id"].as_str().expect("id").to_owned()
}

async fn tell(rig: &Rig, vnf: &str, body: Value) -> Value {
    let r = rig.ask(&format!("PUT /bothy/v1/vnf/{vnf}/endpoint"), &["content-type: application/json"], &body.to_string()).await;
    assert_eq!(r.status, 200, "{}", r.body);
    r.json()
}

/// A VNF that is up, and who it is asked of.
async fn up(rig: &Rig) -> (String, Stand) {
    let (vnf, stand) = (create(rig).await, Stand::start().await);
    tell(rig, &vnf, json!({"vnf": {"apiRoot": stand.root}, "mgmt": {"apiRoot": stand.root}})).await;
    let op = rig.task(&format!("/vnflcm/v2/vnf_instances/{vnf}/instantiate"), json!({"flavourId": "default"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    stand.asked();
    (vnf, stand)
}

async fn begin(rig: &Rig, vnf: &str, to: &str) -> String {
    let r = rig.post(&format!("/vnflcm/v2/vnf_instances/{vnf}/operate"), json!({"changeStateTo": to, "stopType": "GRACEFUL"})).await;
    assert_eq!(r.status, 202, "{}", r.body);
    r.header("location").expect("location").to_owned()
}

async fn rest(rig: &Rig, op: &str) -> Value {
    let v = rig.settled(op, "operationState", &["STARTING", "PROCESSING", "ROLLING_BACK"]).await;
    fits(VNFLCM, "VnfLcmOpOcc", &v);
    v
}

async fn until(rig: &Rig, op: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let v = rig.show(op).await;
        fits(VNFLCM, "VnfLcmOpOcc", &v);
        if is(&v) {
            return v;
        }
        assert!(begun.elapsed() < Duration::from_secs(180), "{what}: {v:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_vnf_is_asked_is_told_shown_and_forgotten() {
    let rig = rig(64, "").await;
    let vnf = create(&rig).await;
    let at = format!("/bothy/v1/vnf/{vnf}/endpoint");
    assert_eq!(rig.show(&at).await, json!({"vnfInstanceId": vnf}));
    let login = json!({"authType": ["BASIC"], "paramsBasic": {"userName": "u", "password": "hush"}});
    let told =
        tell(&rig, &vnf, json!({"vnf": {"apiRoot": "https://v", "authentication": login}, "mgmt": {"apiRoot": "https://em/"}})).await;
    let own = json!({"apiRoot": "https://v", "authentication": "BASIC"});
    let want = json!({"vnfInstanceId": vnf, "vnf": own, "mgmt": {"apiRoot": "https://em", "authentication": "NONE"}});
    assert_eq!((&told, &rig.show(&at).await), (&want, &want));
    for (body, says) in [
        (json!({}), "neither vnf nor mgmt is told"),
        (json!({"mgmt": {}}), "mgmt: apiRoot is missing"),
        (json!({"vnf": {"authentication": login}}), "vnf: apiRoot is missing"),
        (json!({"vnf": {"apiRoot": "http://v", "authentication": login}}), "credentials go over https only"),
        (json!({"vnf": {"apiRoot": "v"}}), "must be an http or https URI"),
        (json!({"vnf": {"apiRoot": "https://v/x?y="}}), "without '?' and '#'"),
        (json!({"mgmt": {"apiRoot": "https://v#"}}), "without '?' and '#'"),
    ] {
        let r = rig.ask(&format!("PUT {at}"), &["content-type: application/json"], &body.to_string()).await;
        assert!((400..500).contains(&r.status) && r.body.contains(says), "{body}: {}", r.body);
    }
    assert_eq!(rig.delete(&at).await.status, 204);
    assert_eq!(rig.show(&at).await, json!({"vnfInstanceId": vnf}));
    assert_eq!(rig.get("/bothy/v1/vnf/11111111-0000-4000-8000-000000000001/endpoint").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_without_a_word_from_the_element_manager_stops_until_somebody_says_where_it_is() {
    let rig = rig(64, "").await;
    let (vnf, stand) = (create(&rig).await, Stand::start().await);
    let op = rig.task(&format!("/vnflcm/v2/vnf_instances/{vnf}/instantiate"), json!({"flavourId": "default"})).await;
    assert_eq!(op["operationState"], "FAILED_TEMP", "{op:#}");
    let detail = op["error"]["detail"].as_str().expect("detail");
    assert!(detail.contains(&format!("`bothy vnf endpoint set {vnf} --mgmt`")), "{detail}");
    tell(&rig, &vnf, json!({"mgmt": {"apiRoot": stand.root}})).await;
    let at = format!("/vnflcm/v2/vnf_lcm_op_occs/{}", op["id"].as_str().expect("id"));
    assert_eq!(rig.post(&format!("{at}/retry"), Value::Null).await.status, 202);
    let done = rest(&rig, &at).await;
    assert_eq!(done["operationState"], "COMPLETED", "{done:#}");
    let c = &done["lcmCoordinations"][0];
    assert_eq!(
        (&c["coordinationActionName"], &c["coordinationResult"], &c["endpointType"], &c["id"]),
        (&json!("register"), &json!("CONTINUE"), &json!("MGMT"), &json!("7"))
    );
    let (_, _, request) = &stand.asked()[0];
    assert_eq!(
        (&request["lcmOperationType"], &request["vnfInstanceId"], &request["vnfLcmOpOccId"]),
        (&json!("INSTANTIATE"), &json!(vnf), &op["id"])
    );
    assert!(request["_links"]["vnfLcmOpOcc"]["href"].as_str().is_some_and(|h| h.starts_with("http") && h.ends_with(&at)), "{request:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vnf_may_take_its_time_put_it_off_refuse_and_abort() {
    let rig = rig(64, "").await;
    let (vnf, stand) = up(&rig).await;
    for (script, end, paths, says) in [
        (&[(201, None, "CONTINUE")][..], "COMPLETED", &["POST "][..], ""),
        (&[(202, None, ""), (202, Some(1), ""), (200, None, "CONTINUE")], "COMPLETED", &["POST ", "GET /7", "GET /7"], ""),
        (&[(503, Some(1), "busy"), (201, None, "CONTINUE")], "COMPLETED", &["POST ", "POST "], ""),
        (&[(500, None, "ill"), (201, None, "CONTINUE")], "COMPLETED", &["POST ", "POST "], ""),
        (&[(403, None, "not today")], "FAILED_TEMP", &["POST "], "403: not today"),
        (&[(409, None, "at it already")], "FAILED_TEMP", &["POST "], "409: at it already"),
        (&[(201, None, "ABORT")], "FAILED_TEMP", &["POST "], "the VNF aborts the operation at its 'drain': calls are up"),
        (&[(202, None, "nowhere")], "FAILED_TEMP", &["POST "], "it answers 202 without a Location of its own"),
        (&[(202, None, ""), (404, None, "what?")], "FAILED_TEMP", &["POST ", "GET /7"], "404: what?"),
    ] {
        stand.plays(script);
        let op = begin(&rig, &vnf, "STOPPED").await;
        let v = rest(&rig, &op).await;
        assert_eq!(v["operationState"], end, "{script:?}: {v:#}");
        assert_eq!(stand.paths(), paths, "{script:?}");
        let all = v["lcmCoordinations"].as_array().cloned().unwrap_or_default();
        let put_off = v["rejectedLcmCoordinations"].as_array().cloned().unwrap_or_default();
        assert_eq!(put_off.len(), usize::from(script[0].0 == 503), "{v:#}");
        if end == "COMPLETED" {
            assert_eq!(
                (all.len(), &all[0]["coordinationResult"], &all[0]["endpointType"]),
                (1, &json!("CONTINUE"), &json!("VNF")),
                "{v:#}"
            );
            assert_eq!(all[0]["delay"].is_string(), script.iter().any(|l| l.0 == 202), "{v:#}");
        } else {
            assert!(v["error"]["detail"].as_str().expect("detail").contains(says), "{script:?}: {v:#}");
            stand.plays(&[]);
            assert_eq!(rig.post(&format!("{op}/rollback"), Value::Null).await.status, 202);
            assert_eq!(rest(&rig, &op).await["operationState"], "ROLLED_BACK");
        }
        if end == "COMPLETED" {
            // Off, it is asked nothing.
            let again = rig.task(&format!("/vnflcm/v2/vnf_instances/{vnf}/operate"), json!({"changeStateTo": "STARTED"})).await;
            assert_eq!(again["operationState"], "COMPLETED", "{again:#}");
            assert!(again["warnings"].to_string().contains("went on without the 'drain' of the VNF: none of its guests runs"), "{again:#}");
        }
        assert_eq!(stand.paths(), [""; 0]);
    }
    stand.plays(&[]);
    let op = begin(&rig, &vnf, "STOPPED").await;
    rest(&rig, &op).await;
    let (_, _, request) = &stand.asked()[0];
    assert_eq!(request["inputParams"], json!({"seconds": 5, "zone": "5"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_operation_calls_off_what_the_vnf_is_at() {
    let rig = rig(64, "").await;
    let (vnf, stand) = up(&rig).await;
    for (mode, script, paths) in [
        ("GRACEFUL", &[(202, Some(60), ""), (202, None, ""), (202, None, ""), (200, None, "CANCELLED")][..], 2),
        ("FORCEFUL", &[(202, Some(60), ""), (409, None, "over"), (200, None, "ABORT")], 1),
    ] {
        stand.plays(script);
        let op = begin(&rig, &vnf, "STOPPED").await;
        until(&rig, &op, "the VNF is at it", |v| v["lcmCoordinations"].is_array()).await;
        assert_eq!(rig.post(&format!("{op}/cancel"), json!({"cancelMode": mode})).await.status, 202);
        let v = rest(&rig, &op).await;
        assert_eq!(v["operationState"], "FAILED_TEMP", "{v:#}");
        let v = until(&rig, &op, "it is called off", |v| v["lcmCoordinations"][0]["coordinationResult"].is_string()).await;
        assert_eq!(v["lcmCoordinations"].as_array().map(Vec::len), Some(1), "{v:#}");
        let mut want = vec!["POST ", "POST /7/cancel"];
        want.extend(vec!["GET /7"; paths]);
        assert_eq!(stand.paths(), want, "{mode}");
        // Nothing was done, and it is as it was.
        assert_eq!(rig.post(&format!("{op}/rollback"), Value::Null).await.status, 202);
        assert_eq!(rest(&rig, &op).await["operationState"], "ROLLED_BACK");
    }
}

/// Of the interfaces that the VNF serves besides.
fn serves(name: &str) -> String {
    format!(
        "  policies:\n    - serves_{name}:\n        type: tosca.policies.nfv.SupportedVnfInterface\n        targets: [ mgmt ]\n        properties: {{ interface_name: {name} }}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vnf_is_given_its_configuration_when_it_is_new_and_whenever_somebody_wants() {
    let rig = rig(64, "").await;
    let (vnf, stand) = (create_with(&rig, ("  policies:\n", &serves("vnf_configuration"))).await, Stand::sealed(&rig).await);
    tell(&rig, &vnf, json!({"vnf": {"apiRoot": stand.root}, "mgmt": {"apiRoot": stand.root}})).await;
    let secret =
        rig.ask("PUT /bothy/v1/secrets/community", &["content-type: application/json"], &json!({"value": "hush"}).to_string()).await;
    assert!(secret.status < 300, "{}", secret.body);
    let at = format!("/bothy/v1/vnf/{vnf}/config");
    let off = rig.get(&at).await;
    assert!(off.status == 409 && off.body.contains("none of its guests runs"), "{}", off.body);

    // Refused, it stops the instantiation with the VNF's own words; a retry gives it once more.
    stand.plays(&[(422, None, "no such peer")]);
    let properties = json!({"isAutohealEnabled": false, "peer": {"asn": 65001}, "snmp": {"secret": "community"}, "old": null});
    let request = json!({"flavourId": "default", "vnfConfigurableProperties": properties});
    let op = rig.task(&format!("/vnflcm/v2/vnf_instances/{vnf}/instantiate"), request).await;
    assert_eq!(op["operationState"], "FAILED_TEMP", "{op:#}");
    assert!(op["error"]["detail"].as_str().expect("detail").contains("422: no such peer"), "{op:#}");
    stand.plays(&[]);
    let op = format!("/vnflcm/v2/vnf_lcm_op_occs/{}", op["id"].as_str().expect("id"));
    assert_eq!(rig.post(&format!("{op}/retry"), Value::Null).await.status, 202);
    let done = rest(&rig, &op).await;
    assert_eq!(done["operationState"], "COMPLETED", "{done:#}");
    let asked = stand.asked();
    assert_eq!(asked.iter().map(|(_, path, _)| path.as_str()).collect::<Vec<_>>(), ["configuration", ""], "then it is registered");
    let given = &asked[0].2["vnfConfigurationData"]["vnfSpecificData"];
    assert_eq!((&given["peer"], &given["snmp"], &given["isAutohealEnabled"]), (&json!({"asn": 65001}), &json!("hush"), &Value::Null));
    assert!(!done.to_string().contains("hush"));

    // On demand: what it shows of secrets is their names.
    let mut shown = given.clone();
    shown["snmp"] = json!({"secret": "community"});
    assert_eq!(rig.show(&at).await["vnfConfigurationData"]["vnfSpecificData"], shown);
    let data = json!({"vnfConfigurationData": {"vnfSpecificData": {"peer": null, "snmp": {"secret": "community"}}}});
    let set = rig.patch(&at, &[], data).await;
    assert_eq!(
        (set.status, &set.json()["vnfConfigurationData"]["vnfSpecificData"]),
        (200, &json!({"peer": null, "snmp": {"secret": "community"}})),
        "{}",
        set.body
    );
    let again = rig.patch(&at, &[], json!({})).await;
    assert_eq!(
        (again.status, &again.json()["vnfConfigurationData"]["vnfSpecificData"]),
        (200, &shown),
        "as its record has it: {}",
        again.body
    );
    stand.plays(&[(409, None, "locked by hush")]);
    let refused = rig.patch(&at, &[], json!({})).await;
    assert!(refused.status == 409 && refused.body.contains("the VNF refuses: 409: locked by (secret community)"), "{}", refused.body);
    let unknown = rig.patch(&at, &[], json!({"vnfConfigurationData": {"vnfSpecificData": {"a": {"secret": "nobody"}}}})).await;
    assert!(unknown.status == 409 && unknown.body.contains("there is no secret 'nobody'"), "{}", unknown.body);
    let odd = rig.patch(&at, &[], json!({"vnfConfigurationData": {"peer": 1}})).await;
    assert_eq!(odd.status, 422, "{}", odd.body);
    // Whoever names a secret may read secrets.
    let role = json!({"permissions": ["guest:change"]}).to_string();
    let put = rig.ask("PUT /bothy/v1/roles/cfg", &["content-type: application/json"], &role).await;
    assert!(put.status < 300, "{}", put.body);
    let cfg = bearer(&user(&rig, "cfg", "cfg", "default").await);
    stand.plays(&[]);
    for (value, status, says) in [(json!("x"), 200, "x"), (json!([{"secret": "community"}]), 403, "secret:read")] {
        let body = json!({"vnfConfigurationData": {"vnfSpecificData": {"a": value}}}).to_string();
        let r = bare(&rig, &format!("PATCH {at}"), &[&cfg, "content-type: application/merge-patch+json"], &body).await;
        assert!(r.status == status && r.body.contains(says), "{status}: {}", r.body);
    }
    let plain = Stand::start().await;
    tell(&rig, &vnf, json!({"vnf": {"apiRoot": plain.root}, "mgmt": {"apiRoot": stand.root}})).await;
    let readable = rig.patch(&at, &[], json!({})).await;
    assert!(readable.status == 409 && readable.body.contains("secrets go over https only"), "{}", readable.body);
    assert_eq!(plain.paths(), [""; 0]);
    tell(&rig, &vnf, json!({"vnf": {"apiRoot": "http://127.0.0.1:1"}, "mgmt": {"apiRoot": stand.root}})).await;
    assert_eq!(rig.get(&at).await.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_vnf_tells_of_itself_at_its_own_interface_are_its_indicators() {
    let rig = rig(64, "").await;
    let dir = tempfile::tempdir().expect("dir");
    copy_dir(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptors/vcpe/vcpe-web"), dir.path());
    let at = dir.path().join("Definitions/vcpe-web.yaml");
    let own = "      type: bothy.nodes.vcpe.Web\n";
    let declares = format!("{own}      interfaces: {{ VnfIndicator: {{ notifications: {{ load: {{}}, mood: {{}} }} }} }}\n");
    let text = fs::read_to_string(&at).expect("text").replacen(own, &declares, 1).replacen("  policies:\n", &serves("vnf_indicator"), 1);
    fs::write(at, text).expect("text");
    let vnfd = rig.onboard_vnf(dir.path().to_str().expect("utf-8")).await["vnfdId"].clone();
    let made = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": vnfd})).await;
    let (vnf, stand) = (made.json()["id"].as_str().expect("id").to_owned(), Stand::start().await);
    tell(&rig, &vnf, json!({"vnf": {"apiRoot": stand.root}})).await;
    stand.seen.lock().expect("lock").tells = json!({"load": {"cpu": 5, "text": "x"}, "other": {"a": 1}});
    let up = rig.task(&format!("/vnflcm/v2/vnf_instances/{vnf}/instantiate"), json!({"flavourId": "default"})).await;
    assert_eq!(up["operationState"], "COMPLETED", "{up:#}");
    let load = format!("/vnfind/v1/indicators/{vnf}/load");
    let begun = Instant::now();
    let reads = async |what: &str, is: &dyn Fn(u16, &str) -> bool| loop {
        rig.core.indicators.round().expect("a round");
        let r = rig.get(&load).await;
        if is(r.status, &r.body) {
            break r;
        }
        assert!(begun.elapsed() < Duration::from_secs(180), "{what}: {}", r.body);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let first = reads("it is told", &|status, _| status == 200).await;
    assert_eq!(first.json()["value"], json!({"cpu": 5, "text": "x"}));
    assert_eq!(rig.get(&format!("/vnfind/v1/indicators/{vnf}")).await.json().as_array().map(Vec::len), Some(1));
    let mood = rig.get(&format!("/vnfind/v1/indicators/{vnf}/mood")).await;
    assert!(mood.status == 404 && mood.body.contains("the VNF does not tell it"), "{}", mood.body);
    stand.seen.lock().expect("lock").tells = json!({"load": {"cpu": 9}});
    reads("another value", &|_, body| body.contains("\"cpu\":9")).await;
    tell(&rig, &vnf, json!({"vnf": {"apiRoot": "http://127.0.0.1:1"}})).await;
    reads("nobody answers", &|status, body| status == 404 && body.contains("the VNF does not tell it: cannot connect")).await;
}
