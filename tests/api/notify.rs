//! Subscribers over real sockets: order, death and return, credentials, dead letters, kill -9. Every
//! body that comes to one is held against ETSI's notification files; a fault fails the test that has the subscriber.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, UnixStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    daemon::{Daemon, free_port},
    declared,
    held::{self, Held},
    identity::{bare, bearer, made, user},
    kit::{build, fits},
    rig::{Reply, Rig, parse, rig},
    schema,
};

/// What came: method, credentials, body.
type Got = (Method, Option<String>, Value);

pub struct Subscriber {
    addr: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    /// What it answers.
    status: Arc<AtomicU16>,
    held: Held,
    task: Option<JoinHandle<()>>,
    tls: Option<Arc<ServerConfig>>,
}

async fn answer(
    req: Request<Incoming>,
    got: Arc<Mutex<Vec<Got>>>,
    status: Arc<AtomicU16>,
    held: Held,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = req.into_parts();
    let body = body.collect().await?.to_bytes();
    let auth = head.headers.get("authorization").map(|v| v.to_str().expect("text").to_owned());
    if head.uri.path() == "/token" {
        assert_eq!(body, "grant_type=client_credentials");
        let ok = auth.as_deref() == Some("Basic aWQ6c2VjcmV0");
        let mut r = Response::new(Full::from(r#"{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}"#));
        *r.status_mut() = if ok { 200 } else { 401 }.try_into().expect("status");
        return Ok(r);
    }
    if head.method == Method::POST {
        let header = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        held.add(held::notification(header("version"), header("content-type"), &body));
    }
    let status = status.load(Ordering::SeqCst);
    if status < 300 {
        got.lock().expect("lock").push((head.method, auth, serde_json::from_slice(&body).unwrap_or(Value::Null)));
    }
    let mut r = Response::new(Full::default());
    *r.status_mut() = status.try_into().expect("status");
    Ok(r)
}

async fn talk(io: impl AsyncRead + AsyncWrite + Unpin, got: Arc<Mutex<Vec<Got>>>, status: Arc<AtomicU16>, held: Held) {
    let service = service_fn(|req| answer(req, got.clone(), status.clone(), held.clone()));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(io), service).await;
}

impl Subscriber {
    pub async fn start(tls: Option<Arc<ServerConfig>>) -> Subscriber {
        let mut s = Subscriber {
            // It goes and comes back: nobody may have its port meanwhile.
            addr: ([127, 0, 0, 1], free_port()).into(),
            got: Arc::default(),
            status: Arc::new(AtomicU16::new(204)),
            held: Held::default(),
            task: None,
            tls,
        };
        s.come_back().await;
        s
    }

    async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.addr).await.expect("bind");
        self.addr = listener.local_addr().expect("address");
        let (got, status, held, tls) = (self.got.clone(), self.status.clone(), self.held.clone(), self.tls.clone());
        self.task = Some(tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (got, status, held, tls) = (got.clone(), status.clone(), held.clone(), tls.clone());
                open.spawn(async move {
                    match tls {
                        None => talk(tcp, got, status, held).await,
                        Some(tls) => {
                            if let Ok(tls) = TlsAcceptor::from(tls).accept(tcp).await {
                                talk(tls, got, status, held).await;
                            }
                        }
                    }
                });
            }
        }));
    }

    pub async fn die(&mut self) {
        let task = self.task.take().expect("it lives");
        task.abort();
        let _ = task.await;
    }

    pub fn uri(&self) -> String {
        if self.tls.is_some() { format!("https://localhost:{}/cb", self.addr.port()) } else { format!("http://{}/cb", self.addr) }
    }

    pub fn news(&self) -> Vec<Value> {
        self.got.lock().expect("lock").iter().filter(|(m, ..)| m == Method::POST).map(|(_, _, v)| v.clone()).collect()
    }

    /// What it says to whoever calls from now on.
    pub fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Waits for `count` notifications in all.
    pub async fn until(&self, count: usize) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let news = self.news();
            if news.len() >= count {
                return news;
            }
            assert!(begun.elapsed() < Duration::from_secs(180), "{count} are awaited, these came: {news:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// An address where nobody listens and nobody can, as long as the socket lives.
pub fn nobody() -> (TcpSocket, SocketAddr) {
    let held = TcpSocket::new_v4().expect("socket");
    held.bind("127.0.0.1:0".parse().expect("address")).expect("bind");
    let at = held.local_addr().expect("address");
    (held, at)
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.held.fail_if_any();
    }
}

pub fn told(n: &Value) -> String {
    let kind = n["notificationType"].as_str().expect("type").replace("Notification", "").replace("OperationOccurrence", "");
    let more = ["operation", "notificationStatus", "operationState", "changeType", "nsdOperationalState"];
    more.iter().filter_map(|m| n[*m].as_str()).fold(kind, |all, m| format!("{all} {m}"))
}

pub async fn subscribe(rig: &Rig, api: &str, body: Value) -> Reply {
    rig.post(&format!("/{api}/v2/subscriptions"), body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_gets_every_state_in_order_dies_and_gets_the_rest() {
    let rig = rig(64, "").await;
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let mut s = Subscriber::start(None).await;
    let made = subscribe(&rig, "vnflcm", json!({"callbackUri": s.uri()})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    fits(schema::VNFLCM, "LccnSubscription", &made.json());
    assert_eq!(s.got.lock().expect("lock")[0].0, Method::GET, "the callback is tested first");

    let vnf = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"]})).await;
    let vnf = vnf.header("location").expect("location").to_owned();
    rig.task(&format!("{vnf}/instantiate"), json!({"flavourId": "default"})).await;
    let news = s.until(4).await;
    assert_eq!(
        news.iter().map(told).collect::<Vec<_>>(),
        [
            "VnfIdentifierCreation",
            "VnfLcm INSTANTIATE START STARTING",
            "VnfLcm INSTANTIATE START PROCESSING",
            "VnfLcm INSTANTIATE RESULT COMPLETED"
        ]
    );
    assert_eq!(news[3]["affectedVnfcs"].as_array().map(Vec::len), Some(1), "{:#}", news[3]);
    assert!(news[2].get("affectedVnfcs").is_none());
    let link = news[3]["_links"]["vnfLcmOpOcc"]["href"].as_str().expect("link").to_owned();
    assert_eq!(rig.show(link.strip_prefix("https://localhost").expect("as it was reached")).await["operationState"], "COMPLETED");

    // Nobody answers, and no operation waits for that. What came by now is known to have come.
    let begun = Instant::now();
    while rig.show("/bothy/v1/notifications").await["kept"] != 0 {
        assert!(begun.elapsed() < Duration::from_secs(180), "not known to have come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    s.die().await;
    let op = rig.task(&format!("{vnf}/terminate"), json!({"terminationType": "FORCEFUL"})).await;
    assert_eq!(op["operationState"], "COMPLETED");
    assert_eq!(rig.delete(&vnf).await.status, 204);
    s.come_back().await;
    let news = s.until(8).await;
    assert_eq!(
        news[4..].iter().map(told).collect::<Vec<_>>(),
        [
            "VnfLcm TERMINATE START STARTING",
            "VnfLcm TERMINATE START PROCESSING",
            "VnfLcm TERMINATE RESULT COMPLETED",
            "VnfIdentifierDeletion"
        ]
    );
    let ids: std::collections::BTreeSet<_> = news.iter().map(|n| n["id"].as_str().expect("id")).collect();
    assert_eq!(ids.len(), 8, "each has an id of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_api_tells_of_its_own_and_filters_hold() {
    let rig = rig(64, "").await;
    let (all, few) = (Subscriber::start(None).await, Subscriber::start(None).await);
    for api in ["nsd", "vnfpkgm", "nslcm"] {
        let r = subscribe(&rig, api, json!({"callbackUri": all.uri()})).await;
        assert_eq!(r.status, 201, "{}", r.body);
    }
    for (api, file, name, filter) in [
        ("nsd", schema::NSD, "NsdmSubscription", json!({"notificationTypes": ["NsdDeletionNotification"], "nsdDesigner": ["nobody"]})),
        ("vnfpkgm", schema::VNFPKGM, "PkgmSubscription", json!({"notificationTypes": ["VnfPackageChangeNotification"]})),
        (
            "nslcm",
            schema::NSLCM,
            "LccnSubscription",
            json!({"operationStates": ["COMPLETED"], "operationTypes": ["TERMINATE"], "notificationTypes": ["NsLcmOperationOccurenceNotification"]}),
        ),
        (
            "vnflcm",
            schema::VNFLCM,
            "LccnSubscription",
            json!({"vnfInstanceSubscriptionFilter": {"vnfProductsFromProviders": [{"vnfProvider": "nobody"}]}}),
        ),
    ] {
        let r = subscribe(&rig, api, json!({"callbackUri": few.uri(), "filter": filter, "unknown": 1})).await;
        assert_eq!(r.status, 201, "{}", r.body);
        fits(file, name, &r.json());
    }
    let nsd = rig.onboard_vcpe().await;
    let made = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "n", "nsDescription": ""})).await;
    let ns = made.header("location").expect("location").to_owned();
    rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    rig.task(&format!("{ns}/terminate"), json!({})).await;
    assert_eq!(rig.delete(&ns).await.status, 204);
    let at = format!("/nsd/v2/ns_descriptors/{}", nsd["id"].as_str().expect("id"));
    assert_eq!(rig.patch(&at, &[], json!({"nsdOperationalState": "DISABLED"})).await.status, 200);
    assert_eq!(rig.delete(&at).await.status, 204);
    let packages = rig.show("/vnfpkgm/v2/vnf_packages").await;
    let at = format!("/vnfpkgm/v2/vnf_packages/{}", packages[0]["id"].as_str().expect("id"));
    assert_eq!(rig.patch(&at, &[], json!({"operationalState": "DISABLED"})).await.status, 200);
    assert_eq!(rig.delete(&at).await.status, 204);
    rig.onboard_nsd("descriptors/vcpe/vcpe-ns").await;

    let news = all.until(15).await;
    let of = |sort: &str| news.iter().map(told).filter(|t| t.starts_with(sort)).collect::<Vec<_>>();
    assert_eq!(
        of("VnfPackage"),
        [
            "VnfPackageOnboarding",
            "VnfPackageOnboarding",
            "VnfPackageOnboarding",
            "VnfPackageChange OP_STATE_CHANGE",
            "VnfPackageChange PKG_DELETE"
        ]
    );
    assert_eq!(of("Nsd"), ["NsdOnBoarding", "NsdChange DISABLED", "NsdDeletion", "NsdOnboardingFailure"]);
    assert_eq!(
        of("NsLcm"),
        [
            "NsLcm INSTANTIATE START PROCESSING",
            "NsLcm INSTANTIATE RESULT COMPLETED",
            "NsLcm TERMINATE START PROCESSING",
            "NsLcm TERMINATE RESULT COMPLETED"
        ]
    );
    assert_eq!(of("NsIdentifier"), ["NsIdentifierCreation", "NsIdentifierDeletion"]);
    let chosen = few.until(3).await;
    assert_eq!(chosen.len(), 3, "{chosen:#?}");
    assert_eq!(chosen.iter().filter(|n| told(n) == "NsLcm TERMINATE RESULT COMPLETED").count(), 1);
    assert_eq!(chosen.iter().filter(|n| told(n).starts_with("VnfPackageChange")).count(), 2);
    // The same news has the same id for every subscriber.
    let twin = |n: &Value| news.iter().any(|m| m["id"] == n["id"] && told(m) == told(n));
    assert!(chosen.iter().all(twin));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hears_of_another_project_or_of_what_he_may_not_read() {
    let rig = rig(64, "").await;
    made(&rig, "/bothy/v1/projects", json!({"name": "lab"})).await;
    let theirs = bearer(&user(&rig, "stranger", "operator", "lab").await);
    let ours = bearer(&user(&rig, "own", "operator", "default").await);
    let guest = bearer(&user(&rig, "guest", "vnf", "default").await);
    let json_type = "content-type: application/json";
    let ask = async |who: &str, api: &str, s: &Subscriber| {
        let body = json!({"callbackUri": s.uri()}).to_string();
        bare(&rig, &format!("POST /{api}/v2/subscriptions"), &[who, json_type], &body).await
    };
    let (a, b, c) = (Subscriber::start(None).await, Subscriber::start(None).await, Subscriber::start(None).await);
    let lab = ask(&theirs, "vnflcm", &a).await;
    assert_eq!(lab.status, 201, "{}", lab.body);
    assert_eq!(ask(&ours, "vnflcm", &b).await.status, 201);
    assert_eq!(subscribe(&rig, "vnflcm", json!({"callbackUri": c.uri()})).await.status, 201);
    let r = ask(&guest, "nslcm", &a).await;
    assert!(r.status == 403 && r.problem().contains("ns:read"), "{}", r.body);

    let web = build("descriptors/vcpe/vcpe-web");
    for project in ["default", "lab"] {
        let of = format!("bothy-project: {project}");
        let at = rig.ask("POST /vnfpkgm/v2/vnf_packages", &[&of, json_type], "{}").await.header("location").expect("location").to_owned();
        let put = rig.send(&format!("PUT {at}/package_content"), &[&of, "content-type: application/zip"], &web).await;
        assert_eq!(put.status, 202, "{}", put.body);
        let vnfd = rig.settled(&at, "onboardingState", &["UPLOADING", "PROCESSING"]).await["vnfdId"].clone();
        let body = json!({"vnfdId": vnfd, "vnfInstanceName": project}).to_string();
        assert_eq!(rig.ask("POST /vnflcm/v2/vnf_instances", &[&of, json_type], &body).await.status, 201);
    }
    let all = c.until(2).await;
    let made_in = |project: &str| {
        let at = rig.show("/vnflcm/v2/vnf_instances");
        let project = project.to_owned();
        async move {
            let list = at.await;
            let found = list.as_array().expect("list").iter().find(|v| v["vnfInstanceName"] == project.as_str()).expect("made");
            found["id"].clone()
        }
    };
    let (default, other) = (made_in("default").await, made_in("lab").await);
    let heard = |news: &[Value]| news.iter().map(|n| n["vnfInstanceId"].clone()).collect::<Vec<_>>();
    assert_eq!(heard(&all), [default.clone(), other.clone()], "who sees every project hears of all");
    assert_eq!(heard(&a.until(1).await), [other]);
    assert_eq!(heard(&b.until(1).await), [default]);

    let at = lab.header("location").expect("location");
    assert_eq!(bare(&rig, &format!("GET {at}"), &[&theirs], "").await.status, 200);
    let id = at.rsplit('/').next().expect("id");
    for line in [format!("GET {at}"), format!("DELETE {at}"), format!("POST /bothy/v1/notifications/{id}/redeliver")] {
        assert_eq!(bare(&rig, &line, &[&ours], "").await.status, 404, "{line}");
    }
    let list = async |who: &str, path: &str| bare(&rig, &format!("GET {path}"), &[who], "").await.json();
    for who in [&theirs, &ours] {
        assert_eq!(list(who, "/vnflcm/v2/subscriptions").await.as_array().map(Vec::len), Some(1));
        assert_eq!(list(who, "/bothy/v1/notifications").await["subscribers"].as_array().map(Vec::len), Some(1));
    }
    assert_eq!(rig.show("/vnflcm/v2/subscriptions").await.as_array().map(Vec::len), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_tested_kept_once_and_show_no_secret() {
    let rig = rig(64, "").await;
    let s = Subscriber::start(None).await;
    let (_held, nobody) = nobody();
    for (body, says) in [
        (json!({"callbackUri": format!("http://{nobody}/")}), "cannot connect"),
        (json!({"callbackUri": "ftp://x/"}), "must be an http or https URI"),
        (
            json!({"callbackUri": s.uri(), "authentication": {"authType": ["BASIC"], "paramsBasic": {"userName": "u", "password": "p"}}}),
            "https only",
        ),
        (json!({"callbackUri": s.uri(), "authentication": {"authType": ["BASIC"]}}), "userName and password"),
        (json!({"callbackUri": s.uri(), "filter": {"operationStates": ["DONE"]}}), "DONE"),
        (
            json!({"callbackUri": s.uri(), "filter": {"vnfInstanceSubscriptionFilter": {"vnfInstanceIds": ["a"], "vnfInstanceNames": ["b"]}}}),
            "exclude each other",
        ),
    ] {
        let r = subscribe(&rig, "vnflcm", body).await;
        assert_eq!(r.status, 422, "{}", r.body);
        assert!(r.problem().contains(says), "{says}: {}", r.body);
    }
    s.answers(500);
    let r = subscribe(&rig, "vnflcm", json!({"callbackUri": s.uri()})).await;
    assert!(r.status == 422 && r.problem().contains("answered with 500"), "{}", r.body);
    s.answers(204);

    let ask = json!({"callbackUri": s.uri(), "verbosity": "SHORT", "filter": {"operationTypes": ["SCALE"]}});
    let made = subscribe(&rig, "vnflcm", ask.clone()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let at = made.header("location").expect("location").to_owned();
    let again = subscribe(&rig, "vnflcm", ask.clone()).await;
    assert_eq!((again.status, again.header("location")), (303, Some(format!("https://localhost{at}").as_str())));
    assert_eq!(rig.show(&at).await["filter"], ask["filter"]);
    let listed = rig.show("/vnflcm/v2/subscriptions?filter=(eq,verbosity,SHORT)").await;
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_eq!(rig.show("/nslcm/v2/subscriptions").await, json!([]), "each API has its own");
    assert_eq!(rig.get(&at.replace("vnflcm", "nslcm")).await.status, 404);
    let put = rig.ask(&format!("PUT {at}"), &[], "").await;
    assert!(put.status == 405 && put.header("allow").is_some_and(|a| a.contains("DELETE")), "{}", put.head);
    assert_eq!(rig.ask(&format!("DELETE {at}"), &["if-match: \"9\""], "").await.status, 412);
    assert_eq!(rig.delete(&at).await.status, 204);
    assert_eq!(rig.get(&at).await.status, 404);
}

pub fn server(rig: &Rig, ask_for_certificate: bool) -> Arc<ServerConfig> {
    let own = CertificateDer::from_pem_file(&rig.identity.0).expect("certificate");
    server_for(rig, ask_for_certificate.then_some(own))
}

/// With the box's certificate; `believed`: whose clients alone are spoken to.
fn server_for(rig: &Rig, believed: Option<CertificateDer<'static>>) -> Arc<ServerConfig> {
    let (cert, key) = &rig.identity;
    let chain = vec![CertificateDer::from_pem_file(cert).expect("certificate")];
    let key = PrivateKeyDer::from_pem_file(key).expect("key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let b = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().expect("versions");
    let b = if let Some(client) = believed {
        let mut roots = RootCertStore::empty();
        roots.add(client).expect("root");
        b.with_client_cert_verifier(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().expect("verifier"))
    } else {
        b.with_no_client_auth()
    };
    Arc::new(b.with_single_cert(chain, key).expect("identity"))
}

#[tokio::test(flavor = "multi_thread")]
async fn bothy_shows_who_it_is_in_each_way_and_keeps_secrets_sealed() {
    let rig = rig(64, "").await;
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let (open, closed) = (Subscriber::start(Some(server(&rig, false))).await, Subscriber::start(Some(server(&rig, true))).await);
    let token = open.uri().replace("/cb", "/token");
    for (s, auth, header) in [
        (
            &open,
            json!({"authType": ["BASIC"], "paramsBasic": {"userName": "me", "password": "hunter2-basic"}}),
            Some("Basic bWU6aHVudGVyMi1iYXNpYw=="),
        ),
        (
            &open,
            json!({"authType": ["BASIC", "OAUTH2_CLIENT_CREDENTIALS"], "paramsOauth2ClientCredentials": {"clientId": "id", "clientPassword": "secret", "tokenEndpoint": token}}),
            Some("Bearer t0ken"),
        ),
        (&closed, json!({"authType": ["TLS_CERT"]}), None),
    ] {
        let r = subscribe(&rig, "vnflcm", json!({"callbackUri": s.uri(), "authentication": auth})).await;
        assert_eq!(r.status, 201, "{}", r.body);
        let at = r.header("location").expect("location").to_owned();
        assert!(!r.body.contains("hunter2") && !rig.get(&at).await.body.contains("authentication"));
        let before = s.news().len();
        rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"]})).await;
        s.until(before + 1).await;
        let last = s.got.lock().expect("lock").last().expect("one").clone();
        assert_eq!((last.0, last.1.as_deref()), (Method::POST, header));
        assert_eq!(rig.delete(&at).await.status, 204);
    }
    // Without a certificate that subscriber does not even speak.
    let r = subscribe(&rig, "vnflcm", json!({"callbackUri": closed.uri()})).await;
    assert_eq!(r.status, 422, "{}", r.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_to_subscribers_from_then_on() {
    let mut rig = rig(64, "").await;
    let key = rcgen::KeyPair::generate().expect("key");
    let next = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("params").self_signed(&key).expect("certificate");
    // Who believes the next one alone.
    let closed = Subscriber::start(Some(server_for(&rig, Some(next.der().clone())))).await;
    let ask = json!({"callbackUri": closed.uri(), "authentication": {"authType": ["TLS_CERT"]}});
    assert_eq!(subscribe(&rig, "vnflcm", ask.clone()).await.status, 422);
    let pair = json!({"certificate": next.pem(), "key": key.serialize_pem()});
    let put = rig.ask("PUT /bothy/v1/tls", &["content-type: application/json"], &pair.to_string()).await;
    assert_eq!(put.status, 200, "{}", put.body);
    rig.client = crate::rig::gullible();
    let r = subscribe(&rig, "vnflcm", ask).await;
    assert_eq!(r.status, 201, "{}", r.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_is_bounded_and_says_what_was_lost() {
    let rig = rig(64, "[notify]\nbacklog = 10\nattempts = 100000\n").await;
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let s = Subscriber::start(None).await;
    assert_eq!(subscribe(&rig, "vnflcm", json!({"callbackUri": s.uri()})).await.status, 201);
    s.answers(500);
    for _ in 0..30 {
        assert_eq!(rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"]})).await.status, 201);
    }
    let begun = Instant::now();
    loop {
        let all = rig.show("/bothy/v1/notifications").await;
        if all["kept"] == 10 && all["subscribers"][0]["lost"] == 20 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(180), "{all:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    s.answers(204);
    assert_eq!(s.until(10).await.len(), 10);
}

/// A request over the UNIX socket.
async fn local(socket: &std::path::Path, line: &str, body: &Value) -> Reply {
    // A body that nobody reads would make the server's close a reset.
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut s = UnixStream::connect(socket).await.expect("socket");
    let head = format!(
        "{line} HTTP/1.1\r\nhost: box\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    s.write_all(head.as_bytes()).await.expect("write");
    s.write_all(body.as_bytes()).await.expect("write");
    let mut raw = Vec::new();
    s.read_to_end(&mut raw).await.expect("read");
    let r = parse(&raw);
    let (method, path) = line.split_once(' ').expect("a request");
    let faults = declared::unlike(method, path, r.status, r.header("content-type").unwrap_or_default(), &r.bytes);
    assert_eq!(faults, [""; 0]);
    r
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_between_accept_and_delivery_loses_nothing() {
    let temp = tempfile::tempdir().expect("dir");
    let dir = temp.path();
    let config = format!(
        "data_dir = \"{0}/data\"\nrun_dir = \"{0}/run\"\n[[listen]]\naddress = \"127.0.0.1:0\"\nreference_points = [\"admin\"]\n[sim]\nenabled = true\n",
        dir.display()
    );
    std::fs::write(dir.join("bothy.toml"), config).expect("config");
    let csar = dir.join("web.csar");
    std::fs::write(&csar, build("descriptors/vcpe/vcpe-web")).expect("package");
    let socket = dir.join("run/bothy.sock");
    let mut d = Daemon::start(dir);
    let onboard = std::process::Command::new(crate::daemon::BOTHY)
        .args(["--socket", &socket.display().to_string(), "vnfpkg", "onboard", &csar.display().to_string()])
        .output()
        .expect("run");
    assert!(onboard.status.success(), "{onboard:?}");
    let package = local(&socket, "GET /vnfpkgm/v2/vnf_packages", &Value::Null).await.json();
    let mut s = Subscriber::start(None).await;
    let made = local(&socket, "POST /vnflcm/v2/subscriptions", &json!({"callbackUri": s.uri()})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    s.die().await;

    let mut expected = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let vnf = local(&socket, "POST /vnflcm/v2/vnf_instances", &json!({"vnfdId": package[0]["vnfdId"]})).await;
        assert_eq!(vnf.status, 201, "{}", vnf.body);
        expected.insert(vnf.json()["id"].as_str().expect("id").to_owned());
        d.kill();
        d = Daemon::start(dir);
    }
    s.come_back().await;
    let news = s.until(5).await;
    let told: std::collections::BTreeSet<String> = news.iter().map(|n| n["vnfInstanceId"].as_str().expect("id").to_owned()).collect();
    assert_eq!(told, expected);
    d.stop();
}
