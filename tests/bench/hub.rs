//! A hub with a thousand boxes, which are tasks of this process and call it over the loopback with real TLS, each from an address of
//! its own and, in a second round, all from one, as behind a NAT: memory of the hub, time until all are there, also after a restart
//! of the hub, and requests through it. BOTHY_BOXES: so many boxes.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bothy::call_home::schedule::Schedule;
use http_body_util::Full;
use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use serde_json::Value;
use tokio::net::TcpSocket;
use tokio_rustls::TlsAcceptor;

use crate::{
    daemon::pss,
    get::{Client, request, trusting},
    kit::bothy::{http, program},
    scratch,
    table::{Goal, Row},
};

/// As `call_home.retry_s` is by default.
const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(900);
/// How long requests are sent, by so many clients.
const STORM: Duration = Duration::from_secs(10);
const CLIENTS: usize = 8;

struct Hub {
    child: Child,
    dir: PathBuf,
}

impl Hub {
    fn start(dir: &Path) -> Hub {
        let log = |name: &str| fs::File::options().create(true).append(true).open(dir.join(name)).expect("log");
        let child = Command::new(program())
            .args(["serve", "--config"])
            .arg(dir.join("bothy.toml"))
            .stdin(Stdio::null())
            .stdout(log("console"))
            .stderr(log("log"))
            .spawn()
            .expect("bothy serve");
        let hub = Hub { child, dir: dir.to_owned() };
        let begun = Instant::now();
        while http(&hub.socket(), "GET", "/bothy/v1/health", None).is_err() {
            assert!(begun.elapsed() < LONGEST, "the hub does not come up");
            thread::sleep(Duration::from_millis(5));
        }
        hub
    }
    fn socket(&self) -> String {
        self.dir.join("run/bothy.sock").display().to_string()
    }
    /// How many boxes are there, by the health page: a list of all of them is work of its own.
    fn there(&self) -> usize {
        let health = http(&self.socket(), "GET", "/bothy/v1/health", None).expect("answered").json();
        let all = health["conditions"].as_array().into_iter().flatten();
        let text = all.filter(|c| c["name"] == "hub").find_map(|c| c["text"].as_str()).unwrap_or_default().to_owned();
        text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
    }
    fn until(&self, boxes: usize) -> f64 {
        let begun = Instant::now();
        loop {
            let there = self.there();
            if there == boxes {
                return begun.elapsed().as_secs_f64();
            }
            assert!(begun.elapsed() < LONGEST, "{there} of {boxes} are there");
            thread::sleep(Duration::from_millis(100));
        }
    }
    fn kill(mut self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL).expect("killed");
        self.child.wait().expect("ended");
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One box: it calls, answers each request with a health, and calls again when the hub is gone.
async fn box_of(from: Ipv4Addr, hub: SocketAddr, tls: Arc<ServerConfig>, seed: u64, tries: Arc<AtomicU64>) {
    let (mut schedule, mut chance) = (Schedule::new(FIRST), seed);
    loop {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(schedule.pause(chance)).await;
        tries.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let held = if serve(from, hub, &tls).await.is_some() { begun.elapsed() } else { Duration::ZERO };
        schedule.ended(held);
    }
}

async fn serve(from: Ipv4Addr, hub: SocketAddr, tls: &Arc<ServerConfig>) -> Option<()> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind((from, 0).into()).ok()?;
    let tcp = socket.connect(hub).await.ok()?;
    let _ = tcp.set_nodelay(true);
    let stream = TlsAcceptor::from(tls.clone()).accept(tcp).await.ok()?;
    let answer = service_fn(|_: Request<Incoming>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from_static(b"{\"version\": \"9.9.9\", \"status\": \"OK\"}"))))
    });
    http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await.ok()
}

struct Maker {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn maker() -> Maker {
    let key = KeyPair::generate().expect("key");
    let mut p = CertificateParams::new(Vec::new()).expect("params");
    p.distinguished_name.push(DnType::CommonName, "maker");
    p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    p.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let pem = p.self_signed(&key).expect("ca").pem();
    Maker { pem, issuer: Issuer::new(p, key) }
}

/// What a box shows; it believes the hub alone.
fn tls_of(m: &Maker, name: &str, hub: &Arc<RootCertStore>) -> Arc<ServerConfig> {
    let key = KeyPair::generate().expect("key");
    let mut p = CertificateParams::new(Vec::new()).expect("params");
    p.distinguished_name = rcgen::DistinguishedName::new();
    p.distinguished_name.push(DnType::CommonName, name);
    p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let cert = p.signed_by(&key, &m.issuer).expect("certificate").der().clone();
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let centre = WebPkiClientVerifier::builder_with_provider(hub.clone(), provider.clone()).build().expect("verifier");
    let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut tls = tls.with_client_cert_verifier(centre).with_single_cert(vec![cert], key).expect("pair");
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(tls)
}

/// Requests a second, one after the other on each of some connections; `path` of the n-th one.
fn storm(dir: &Path, port: u16, token: &str, path: impl Fn(usize) -> String + Sync) -> f64 {
    let tls = trusting(&dir.join("data/tls"));
    let count: usize = thread::scope(|s| {
        let one = |client: usize| {
            let (tls, path) = (&tls, &path);
            move || {
                let mut c = Client::connect(tls, port);
                let (begun, mut n) = (Instant::now(), 0);
                while begun.elapsed() < STORM {
                    let head = request(&path(client + n * CLIENTS), token);
                    let answer = c.get(&head);
                    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(answer));
                    n += 1;
                }
                n
            }
        };
        let all: Vec<_> = (0..CLIENTS).map(|c| s.spawn(one(c))).collect();
        all.into_iter().map(|t| t.join().expect("a client")).sum()
    });
    count as f64 / STORM.as_secs_f64()
}

pub fn measure() -> Vec<Row> {
    let boxes: usize = std::env::var("BOTHY_BOXES").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let (temp, maker) = (scratch(), maker());
    let dir = temp.path();
    let free = || TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let (port, home) = (free(), free());
    fs::write(dir.join("ca.pem"), &maker.pem).expect("file");
    let mut text = format!(
        "data_dir = \"{0}/data\"\nrun_dir = \"{0}/run\"\n[[listen]]\naddress = \"127.0.0.1:{port}\"\nreference_points = [\"admin\", \"hub\"]\n[log]\nlevel = \"error\"\n[sim]\nenabled = true\n[hub]\nlisten = \"127.0.0.1:{home}\"\nca = \"{0}/ca.pem\"\n",
        dir.display()
    );
    (0..boxes).for_each(|i| text += &format!("[[hub.box]]\nserial = \"BX-{i}\"\n"));
    fs::write(dir.join("bothy.toml"), text).expect("config");
    let hub = Hub::start(dir);
    let alone = pss(hub.child.id());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("data/tls/cert.pem")).expect("certificate")).expect("root");
    let roots = Arc::new(roots);
    let all: Vec<Arc<ServerConfig>> = (0..boxes).map(|i| tls_of(&maker, &format!("BX-{i}"), &roots)).collect();
    let at = SocketAddr::from(([127, 0, 0, 1], home));
    let mut rows = Vec::new();
    let mut row = |name: &str, unit, value| rows.push(Row::new(format!("hub of {boxes}: {name}"), unit, value, None, Goal::Shown));

    let call = |own: bool| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
        let tries = Arc::new(AtomicU64::new(0));
        for (i, tls) in all.iter().enumerate() {
            let of = |n: usize| u8::try_from(n).expect("small");
            let from = if own { Ipv4Addr::new(127, of(1 + i / 62_500), of(i / 250 % 250), of(1 + i % 250)) } else { Ipv4Addr::LOCALHOST };
            let seed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            runtime.spawn(box_of(from, at, tls.clone(), seed, tries.clone()));
        }
        (runtime, tries)
    };
    let (runtime, tries) = call(true);
    row("all there after they woke at once (first window 30 s)", "s", hub.until(boxes));
    let with_all = pss(hub.child.id());
    row("PSS of the hub without boxes", "MB", alone);
    row("PSS of the hub with all of them", "MB", with_all);
    row("the same for each box", "kB", (with_all - alone) * 1000.0 / boxes as f64);
    let made = Command::new(program())
        .args(["--socket", &hub.socket(), "--json", "token", "create", "--label", "bench", "--account", "admin"])
        .output()
        .expect("run");
    let made: Value = serde_json::from_slice(&made.stdout).expect("a token");
    let token = made["token"].as_str().expect("token").to_owned();
    let through = storm(dir, port, &token, |n| format!("/boxes/BX-{}/bothy/v1/health", n % boxes));
    let own = storm(dir, port, &token, |_| "/bothy/v1/version".to_owned());
    row("requests through it, 8 clients, over all boxes", "1/s", through);
    row("requests to itself beside that", "1/s", own);
    row("PSS of the hub after that", "MB", pss(hub.child.id()));

    let before = tries.load(Ordering::Relaxed);
    hub.kill();
    thread::sleep(Duration::from_secs(5));
    let hub = Hub::start(dir);
    row("all back, hub killed and away for 5 s", "s", hub.until(boxes));
    row("tries of all boxes for that", "", (tries.load(Ordering::Relaxed) - before) as f64);
    runtime.shutdown_background();

    hub.until(0);
    let (runtime, tries) = call(false);
    row("all there, from one address", "s", hub.until(boxes));
    row("tries for that", "", tries.load(Ordering::Relaxed) as f64);
    runtime.shutdown_background();
    hub.kill();
    rows
}
