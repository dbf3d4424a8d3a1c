//! What Bothy fetches by a URI because a client asked: packages (SOL005 9.4.6), and artefacts outside of packages (9.4.4a), from a
//! server on the loopback that can be wrong in each way that matters.

use std::{
    collections::HashMap,
    io::{Cursor, Write as _},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    artefacts::entries,
    kit::{build, fits},
    rig::{Rig, rig},
    schema,
};

const SECRET: &str = "hush-of-the-shelf";
/// `oss` and the secret, as Basic has them.
const BASIC: &str = "Basic b3NzOmh1c2gtb2YtdGhlLXNoZWxm";

/// What stands on it: path to status and bytes. Paths below `/locked` need the token that `/token` gives for the secret.
#[derive(Default)]
struct Things {
    all: HashMap<String, (u16, Vec<u8>)>,
    asked: Vec<String>,
    broken: usize,
}

pub struct Shelf {
    addr: SocketAddr,
    tls: bool,
    things: Arc<Mutex<Things>>,
    task: JoinHandle<()>,
}

async fn answer(req: Request<Incoming>, things: Arc<Mutex<Things>>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = req.uri().path().to_owned();
    let known = req.headers().get("if-none-match").cloned();
    let takes_cms = req.headers().get("accept").is_some_and(|a| a == "application/cms, */*");
    let auth = req.headers().get("authorization").map(|v| v.to_str().expect("text").to_owned());
    let body = req.into_body().collect().await?.to_bytes();
    let mut r = Response::new(Full::default());
    if path == "/token" {
        assert_eq!(body, "grant_type=client_credentials");
        match auth.as_deref() {
            Some(BASIC) => *r.body_mut() = Full::from(r#"{"access_token": "t0ken", "token_type": "Bearer"}"#),
            _ => *r.status_mut() = hyper::StatusCode::UNAUTHORIZED,
        }
        return Ok(r);
    }
    let mut things = things.lock().expect("things");
    things.asked.push(path.clone());
    if path.ends_with(".cms") && !takes_cms {
        *r.status_mut() = hyper::StatusCode::NOT_ACCEPTABLE;
        return Ok(r);
    }
    let (status, bytes) = things.all.get(&path).cloned().unwrap_or((404, Vec::new()));
    if path.starts_with("/locked") && auth.as_deref() != Some("Bearer t0ken") {
        *r.status_mut() = hyper::StatusCode::UNAUTHORIZED;
        return Ok(r);
    }
    let mark = format!("\"{}\"", data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes)));
    r.headers_mut().insert("etag", mark.parse().expect("a header"));
    if known.is_some_and(|k| k == mark.as_str()) {
        *r.status_mut() = hyper::StatusCode::NOT_MODIFIED;
        return Ok(r);
    }
    *r.status_mut() = status.try_into().expect("status");
    *r.body_mut() = Full::from(bytes);
    Ok(r)
}

async fn talk(mut io: impl AsyncRead + AsyncWrite + Unpin, things: Arc<Mutex<Things>>) {
    // A server that breaks off in the middle of what it promised.
    if things.lock().expect("things").all.contains_key("/breaks") {
        // Having heard it out: what is unread when a socket closes takes the answer with it.
        let _ = io.read(&mut [0; 4096]).await;
        let _ = io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nPK").await;
        let _ = io.shutdown().await;
        things.lock().expect("things").broken += 1;
        return;
    }
    let service = service_fn(|req| answer(req, things.clone()));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(io), service).await;
}

impl Shelf {
    /// With the certificate that rigs believe.
    pub async fn of(rig: &Rig) -> Shelf {
        let chain = vec![CertificateDer::from_pem_file(&rig.identity.0).expect("pem")];
        let key = PrivateKeyDer::from_pem_file(&rig.identity.1).expect("pem");
        Shelf::with(Some(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("config"))).await
    }

    async fn with(tls: Option<ServerConfig>) -> Shelf {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let (addr, things) = (listener.local_addr().expect("address"), Arc::<Mutex<Things>>::default());
        let (of, is_tls) = (things.clone(), tls.is_some());
        let acceptor = tls.map(|t| TlsAcceptor::from(Arc::new(t)));
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (of, acceptor) = (of.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => talk(tcp, of).await,
                        Some(a) => {
                            if let Ok(tls) = a.accept(tcp).await {
                                talk(tls, of).await;
                            }
                        }
                    }
                });
            }
        });
        Shelf { addr, tls: is_tls, things, task }
    }

    pub fn put(&self, path: &str, status: u16, bytes: &[u8]) -> String {
        self.things.lock().expect("things").all.insert(path.to_owned(), (status, bytes.to_vec()));
        self.uri(path)
    }

    pub fn uri(&self, path: &str) -> String {
        if self.tls { format!("https://localhost:{}{path}", self.addr.port()) } else { format!("http://{}{path}", self.addr) }
    }

    pub fn take(&self, path: &str) {
        self.things.lock().expect("things").all.remove(path);
    }

    /// How many answers it has broken off.
    pub fn broken(&self) -> usize {
        self.things.lock().expect("things").broken
    }

    pub fn asked(&self, path: &str) -> usize {
        self.things.lock().expect("things").asked.iter().filter(|p| *p == path).count()
    }

    fn credentials(&self, secret: &str) -> Value {
        json!({"clientId": "oss", "clientPassword": secret, "tokenEndpoint": self.uri("/token")})
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn empty(rig: &Rig) -> String {
    let made = rig.post("/vnfpkgm/v2/vnf_packages", json!({})).await;
    made.header("location").expect("location").to_owned()
}

async fn fetch(rig: &Rig, at: &str, ask: Value) -> Value {
    fits(schema::VNFPKGM, "UploadVnfPackageFromUriRequest", &ask);
    let r = rig.post(&format!("{at}/package_content/upload_from_uri"), ask).await;
    assert_eq!((r.status, r.body.as_str()), (202, ""), "{}", r.body);
    settled(rig, at).await
}

async fn settled(rig: &Rig, at: &str) -> Value {
    let v = rig.settled(at, "onboardingState", &["UPLOADING", "PROCESSING"]).await;
    fits(schema::VNFPKGM, "VnfPkgInfo", &v);
    v
}

fn why(v: &Value) -> String {
    assert_eq!(v["onboardingState"], "ERROR", "{v:#}");
    v["onboardingFailureDetails"].to_string()
}

/// No file of the box has these bytes.
fn nowhere(rig: &Rig, secret: &str) {
    let mut left = vec![rig.config_path.parent().expect("folder").to_owned()];
    let mut seen = 0;
    while let Some(dir) = left.pop() {
        for e in dir.read_dir_utf8().expect("folder").flatten() {
            if e.file_type().expect("type").is_dir() {
                left.push(e.path().to_owned());
            } else if let Ok(bytes) = std::fs::read(e.path()) {
                seen += bytes.len();
                assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{} has the secret", e.path());
            }
        }
    }
    assert!(seen > 1000, "nothing was looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_comes_by_its_uri_with_the_credentials_of_the_request_and_fails_with_the_reason() {
    let rig = rig(64, "[limits]\nupload_mib = 1\n").await;
    let shelf = Shelf::of(&rig).await;
    let archive = build("descriptors/vcpe/vcpe-web");
    let uri = shelf.put("/locked/web.csar", 200, &archive);
    shelf.put("/moved", 302, b"");
    shelf.put("/ill", 503, b"");
    shelf.put("/large", 200, &vec![0; (1 << 20) + 1]);
    shelf.put("/no-zip", 200, b"hello");
    let at = empty(&rig).await;
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(stranger.signing_key.serialize_der()).expect("key");
    let unknown = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![stranger.cert.der().clone()], key).expect("config");
    let unknown = Shelf::with(Some(unknown)).await;
    unknown.put("/web.csar", 200, &archive);
    let broken = Shelf::of(&rig).await;
    broken.put("/breaks", 200, b"");
    // An error leaves the package as it was: it can be tried again, by another way.
    for (ask, says) in [
        (json!({"addressInformation": shelf.uri("/nothing?key=of-somebody")}), "the server answered 404"),
        (json!({"addressInformation": shelf.uri("/moved")}), "leads elsewhere"),
        (json!({"addressInformation": shelf.uri("/ill")}), "the server answered 503"),
        (json!({"addressInformation": shelf.uri("/large")}), "larger than the 1"),
        (json!({"addressInformation": shelf.uri("/no-zip")}), "not a ZIP archive"),
        (json!({"addressInformation": uri}), "the server answered 401"),
        (
            json!({"addressInformation": uri, "authType": "OAUTH2_CLIENT_CREDENTIALS", "paramsOauth2ClientCredentials": shelf.credentials("wrong")}),
            "the token endpoint answered 401",
        ),
        (json!({"addressInformation": unknown.uri("/web.csar")}), "no TLS with localhost"),
        (json!({"addressInformation": broken.uri("/breaks")}), "ended before its time"),
        (json!({"addressInformation": "https://127.0.0.1:1/web.csar"}), "cannot connect"),
    ] {
        let said = why(&fetch(&rig, &at, ask).await);
        assert!(said.contains(says), "{says}: {said}");
        assert!(!said.contains("of-somebody"), "{said}");
    }
    let ask = json!({"addressInformation": uri, "authType": "OAUTH2_CLIENT_CREDENTIALS", "paramsOauth2ClientCredentials": shelf.credentials(SECRET)});
    let v = fetch(&rig, &at, ask.clone()).await;
    assert_eq!((v["onboardingState"].as_str(), &v["onboardingFailureDetails"]), (Some("ONBOARDED"), &Value::Null), "{v:#}");
    assert_eq!(rig.get(&format!("{at}/package_content")).await.bytes, archive);
    let again = rig.post(&format!("{at}/package_content/upload_from_uri"), ask).await;
    assert!(again.status == 409 && again.problem().contains("content already"), "{}", again.body);
    nowhere(&rig, SECRET);
    // A first major's client has the same.
    let made = rig.post("/vnfpkgm/v1/vnf_packages", json!({})).await;
    let first = made.header("location").expect("location").to_owned();
    let r = rig.post(&format!("{first}/package_content/upload_from_uri"), json!({"addressInformation": shelf.uri("/nothing")})).await;
    assert_eq!(r.status, 202, "{}", r.body);
    // It knows no ERROR; the second major has it.
    let v = settled(&rig, &first.replace("/vnfpkgm/v1/", "/vnfpkgm/v2/")).await;
    assert!(why(&v).contains("the server answered 404"), "{v:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_fetched_is_refused_at_once_with_every_fault() {
    let rig = rig(64, "").await;
    let shelf = Shelf::with(None).await;
    let archive = build("descriptors/vcpe/vcpe-web");
    let uri = shelf.put("/web.csar", 200, &archive);
    let at = empty(&rig).await;
    let to = format!("{at}/package_content/upload_from_uri");
    let secret = json!({"clientId": "oss", "clientPassword": SECRET, "tokenEndpoint": "http://a/token"});
    for (ask, says) in [
        (json!({}), vec!["addressInformation"]),
        (json!({"addressInformation": "ftp://a/b"}), vec!["must be an http or https URI"]),
        (json!({"addressInformation": "https://u:p@a/b"}), vec!["must not carry credentials"]),
        (json!({"addressInformation": uri}), vec!["limits.fetch_http"]),
        (
            json!({"addressInformation": "https://a/b", "authType": "OAUTH2_CLIENT_CREDENTIALS"}),
            vec!["paramsOauth2ClientCredentials: needed"],
        ),
        (
            json!({"addressInformation": uri, "authType": "OAUTH2_CLIENT_CREDENTIALS", "paramsOauth2ClientCredentials": secret}),
            vec!["limits.fetch_http", "tokenEndpoint: must be an https URI", "over https only"],
        ),
    ] {
        let r = rig.post(&to, ask).await;
        assert_eq!(r.status, 422, "{}", r.body);
        let said = format!("{} {}", r.problem(), r.json()["reasons"]);
        assert!(says.iter().all(|s| said.contains(s)), "{says:?}: {said}");
    }
    assert_eq!(rig.show(&at).await["onboardingState"], "CREATED");
    let nobody = "/vnfpkgm/v2/vnf_packages/00000000-0000-4000-8000-000000000000/package_content/upload_from_uri";
    assert_eq!(rig.post(nobody, json!({"addressInformation": "https://a/b"})).await.status, 404);
    assert_eq!(shelf.asked("/web.csar"), 0, "nobody was called");

    // The configuration may allow it, while the daemon runs.
    std::fs::write(&rig.config_path, "[limits]\nfetch_http = true\n").expect("config");
    let applied = rig.ask("POST /bothy/v1/config/apply", &[], "").await;
    assert_eq!(applied.status, 200, "{}", applied.body);
    let v = fetch(&rig, &at, json!({"addressInformation": uri})).await;
    assert_eq!(v["onboardingState"], "ONBOARDED", "{v:#}");
}

/// `vcpe-web` with more in its manifest, and more files.
pub fn with_manifest(more: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let all = entries(&build("descriptors/vcpe/vcpe-web"));
    let all = all.into_iter().chain(files.iter().map(|(p, b)| ((*p).to_owned(), b.to_vec())));
    for (path, mut bytes) in all {
        if path.ends_with(".mf") {
            bytes.extend(format!("\n{more}").as_bytes());
        }
        zip.start_file(path, SimpleFileOptions::default()).expect("a file");
        zip.write_all(&bytes).expect("written");
    }
    zip.finish().expect("an archive").into_inner()
}

async fn told(rig: &Rig, at: &str, artifacts: Value) -> (u16, Value) {
    let ask = json!({ "artifact": artifacts });
    fits(schema::VNFPKGM, "ExternalArtifactsAccessConfig", &ask);
    let r = rig.ask(&format!("PUT {at}/ext_artifacts_access"), &["content-type: application/json"], &ask.to_string()).await;
    (r.status, if r.body.is_empty() { Value::Null } else { r.json() })
}

#[tokio::test(flavor = "multi_thread")]
async fn artefacts_outside_of_a_package_come_where_access_is_told_and_are_what_the_manifest_says() {
    let rig = rig(64, "").await;
    let shelf = Shelf::of(&rig).await;
    let (tool, notes) = (b"#!/bin/sh\n".as_slice(), b"notes".as_slice());
    let (named, other) = (shelf.uri("/none/tool.sh"), shelf.put("/notes.txt", 200, notes));
    let hex = |b: &[u8]| data_encoding::HEXLOWER.encode(b);
    let manifest = format!(
        "Source: {named}\nAlgorithm: SHA-256\nHash: {}\n\nSource: {other}\nAlgorithm: SHA-512\nHash: {}\n\nnon_mano_artifact_sets:\n  prv.tools:\n    Source: {named}\n",
        hex(&Sha256::digest(tool)),
        hex(&Sha512::digest(notes)).to_uppercase()
    );
    let at = empty(&rig).await;
    let config = format!("{at}/ext_artifacts_access");
    assert_eq!(rig.show(&config).await, json!({"artifact": []}));
    let right = shelf.put("/locked/tool.sh", 200, tool);
    let with = |uri: &str, secret: &str| json!([{"artifactUri": named, "overrideUri": uri, "authType": "OAUTH2_CLIENT_CREDENTIALS", "paramsOauth2ClientCredentials": shelf.credentials(secret)}]);
    let (status, shown) = told(&rig, &at, with(&right, "wrong")).await;
    assert_eq!(
        (status, &shown),
        (200, &json!({"artifact": [{"artifactUri": named, "overrideUri": right, "authType": "OAUTH2_CLIENT_CREDENTIALS"}]}))
    );
    assert_eq!(rig.show(&config).await, shown, "the secret is not read back");
    let put = rig.put(&format!("{at}/package_content"), &with_manifest(&manifest, &[])).await;
    assert_eq!((put.status, put.body.as_str()), (202, ""));
    let said = why(&settled(&rig, &at).await);
    assert!(said.contains("the token endpoint answered 401") && said.contains("ext_artifacts_access tries again"), "{said}");

    // Told anew it goes on by itself: with something else in its place, and then with what the manifest means.
    let bent = shelf.put("/locked/bent.sh", 200, b"rm -rf /");
    assert_eq!(told(&rig, &at, with(&bent, SECRET)).await, (202, Value::Null));
    let said = why(&settled(&rig, &at).await);
    assert!(said.contains("what came has the SHA-256") && said.contains("the manifest says"), "{said}");
    assert_eq!(told(&rig, &at, with(&right, SECRET)).await, (202, Value::Null));
    let v = settled(&rig, &at).await;
    assert_eq!(v["onboardingState"], "ONBOARDED", "{v:#}");
    let of =
        |uri: &str| v["additionalArtifacts"].as_array().expect("artefacts").iter().find(|a| a["artifactURI"] == *uri).expect("it").clone();
    let path = of(&named)["artifactPath"].as_str().expect("a path").to_owned();
    assert_eq!((path.as_str(), &of(&named)["nonManoArtifactSetId"]), ("external/0/tool.sh", &json!("prv.tools")));
    assert_eq!(of(&named)["checksum"], json!({"algorithm": "SHA-256", "hash": hex(&Sha256::digest(tool))}));
    assert_eq!((&of(&other)["artifactPath"], &of(&other)["checksum"]["algorithm"]), (&Value::Null, &json!("SHA-512")));
    assert_eq!((shelf.asked("/notes.txt"), shelf.asked("/none/tool.sh")), (0, 0), "a package alone makes the box call nobody");
    let one = rig.get(&format!("{at}/artifacts/{path}")).await;
    assert_eq!((one.status, one.bytes.as_slice()), (200, tool));
    let all = |query: &'static str| {
        let (rig, at) = (&rig, &at);
        async move { entries(&rig.get(&format!("{at}/artifacts{query}")).await.bytes) }
    };
    let has = |all: &[(String, Vec<u8>)]| all.iter().any(|(p, b)| *p == path && b == tool);
    assert!(!has(&all("").await) && has(&all("?include_external_artifacts").await));
    assert!(!has(&all("?include_external_artifacts&exclude_all_non_mano_artifacts").await));
    let (status, problem) = told(&rig, &at, json!([])).await;
    assert!(status == 409 && problem["detail"].as_str().is_some_and(|d| d.contains("access comes before that")), "{problem:#}");
    nowhere(&rig, SECRET);

    // It goes with its package.
    assert_eq!(rig.patch(&at, &[], json!({"operationalState": "DISABLED"})).await.status, 200);
    assert_eq!(rig.delete(&at).await.status, 204);
    assert_eq!(std::fs::read_dir(rig.config_path.with_file_name("artifacts")).expect("folder").count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn access_to_artefacts_is_refused_with_every_fault_and_by_its_tag() {
    let rig = rig(64, "").await;
    let at = empty(&rig).await;
    let line = format!("PUT {at}/ext_artifacts_access");
    let ask = json!({"artifact": [
        {"artifactUri": "http://a/b"},
        {"artifactUri": "urn:x:y", "overrideUri": "https://a/b"},
        {"artifactUri": "urn:x:y", "overrideUri": "https://a/c", "authType": "OAUTH2_CLIENT_CREDENTIALS"},
    ]});
    let r = rig.ask(&line, &["content-type: application/json"], &ask.to_string()).await;
    assert_eq!(r.status, 422, "{}", r.body);
    let reasons = r.json()["reasons"].to_string();
    for part in [
        "artifact[0].artifactUri: http is not allowed",
        "artifact[2].artifactUri: is given twice",
        "artifact[2].paramsOauth2ClientCredentials",
    ] {
        assert!(reasons.contains(part), "{part} in {reasons}");
    }
    // ETSI's file has one object in place of the list.
    let one = json!({"artifact": {"artifactUri": "https://a/b"}}).to_string();
    let r = rig.ask(&line, &["content-type: application/json"], &one).await;
    assert_eq!((r.status, &r.json()["artifact"][0]["artifactUri"]), (200, &json!("https://a/b")), "{}", r.body);
    let tag = r.header("etag").expect("etag").to_owned();
    assert_eq!(rig.ask(&line, &["content-type: application/json", "if-match: \"99\""], &one).await.status, 412);
    assert_eq!(rig.ask(&line, &["content-type: application/json", &format!("if-match: {tag}")], &one).await.status, 200);
    assert_eq!(rig.ask(&line, &["content-type: text/plain"], "x").await.status, 415);
    assert_eq!(rig.ask(&line, &["content-type: application/json"], "{half").await.status, 400);
}
