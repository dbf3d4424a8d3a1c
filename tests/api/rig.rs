//! A server on the loopback, and a client that can be as rude as a test wants.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bothy::{
    abroad::Abroad,
    access::{Access, Settings as AccessSettings},
    api::{
        self, Services,
        blocking::Pool,
        places::Sources,
        server::{Patience, Server, bind_local},
        tls::Rotating,
    },
    backup::{Backups, Restores},
    call_home::CallHome,
    central::{self, Granter, Offline},
    config::{Config, GrantOffline, LiveConfig, ReferencePoint},
    desired,
    host::clock::{OsDice, SystemClock},
    lcm::engine::Settings,
    model::{
        domain::Layout,
        health::{Condition, ConditionState},
        size::MiB,
        time::Dice,
    },
    node::{
        account,
        core::{Build, Core, Ports},
        desired::Keeper,
        reset, restore,
    },
    notify::{self, Notifier},
    own::{self, Errands},
    reset::Resets,
    sim::{Behaviour, Sim, SimConfig},
    store::{Options, Store},
    update::{self, Pace},
    vim::{capacity::Overcommit, network::LinkRules, outside, place::facts::HostReserve, port::Hardware as _, setup::Desired},
    vnfm::Rules,
};
use camino::Utf8PathBuf;
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{declared::Face, held::Held};

pub struct Rig {
    pub addr: SocketAddr,
    /// Where SOL005 and SOL003 are met, where SOL002 is, and where SOL003's NFVO is alone.
    faces: [SocketAddr; 3],
    pub socket: Utf8PathBuf,
    pub token: String,
    pub server: Server,
    _elements: Server,
    pub client: Arc<ClientConfig>,
    pub config_path: Utf8PathBuf,
    /// Certificate and key of the box.
    pub identity: (Utf8PathBuf, Utf8PathBuf),
    /// The box behind the API.
    pub sim: Sim,
    pub core: Arc<Core>,
    pub tls: Arc<Rotating>,
    /// How often bothy was to start anew.
    pub again: Arc<AtomicUsize>,
    held: Held,
    /// How many requests to the rig's own slow routes have begun.
    begun: Arc<AtomicUsize>,
    granter: Granter,
    errands: Errands,
    tellers: Arc<own::indicators::Indicators>,
    keeper: Keeper,
    _dir: tempfile::TempDir,
}

/// How long a rig with room for many connections lets one be idle.
pub const PATIENT: Duration = Duration::from_secs(30);

/// Patience short enough for tests.
pub fn impatient() -> Patience {
    Patience { headers: 16 * 1024, header_timeout: Duration::from_millis(400), idle_timeout: Duration::from_millis(400) }
}

pub async fn rig(connections: usize, config_text: &str) -> Rig {
    rig_on(connections, config_text, SimConfig::default()).await
}

/// The same on a box with this hardware.
pub async fn rig_on(connections: usize, config_text: &str, host: SimConfig) -> Rig {
    let dir = tempfile::tempdir().expect("dir");
    let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).expect("utf-8");
    let config_path = root.join("bothy.toml");
    std::fs::write(&config_path, config_text).expect("config");
    let config = Config { data_dir: root.clone(), run_dir: root.clone(), ..Config::check(config_text).expect("config") };
    let tls = Arc::new(Rotating::open(&config).expect("tls").0);
    let outside = outside::Settings { node: "box".into(), controllers: config.sdn_controller.clone(), maps: config.sdn_portmap.clone() };
    let (sim, core) = core(&root, host, &outside);
    let (certificate, key) = config.tls_paths();
    let nfvo = core.nfvo.clone();
    let render = Box::new(move |s: &_, e: &_| api::convert::notification::render(&nfvo, s, e));
    // The subscribers of tests show the rig's own certificate.
    let settings = notify::Settings {
        timeout: Duration::from_secs(20),
        attempts: u32::try_from(config.notify.attempts).expect("attempts"),
        backlog: config.notify.backlog,
        pause: Duration::from_millis(20),
        longest: Duration::from_millis(200),
    };
    let own = notify::Tls::new(&certificate, &certificate, &key).expect("tls");
    let notify = Notifier::start(core.vnfm().store().clone(), core.vnfm().clock().clone(), render, settings, own).expect("notifier");
    let (begun, clock) = (Instant::now(), core.nfvo.vnfm().clock().clone());
    let store = core.nfvo.vnfm().store().clone();
    let (access, provisioned) = Access::open(store, clock, Box::new(move || begun.elapsed()), AccessSettings::default()).expect("access");
    assert!(!provisioned);
    let token = access.bootstrap().expect("token").reveal().to_owned();
    let access = Arc::new(access);
    account::keep(core.vnfm(), &access);
    let watcher = core.clone();
    let call_home = Arc::new(CallHome::new(Vec::new(), core.nfvo.vnfm().clock(), &(Arc::new(OsDice) as Arc<dyn Dice>)));
    let (again, ends) = (Arc::new(AtomicUsize::new(0)), core.ports.clone());
    let told = again.clone();
    let reset = Arc::new(Resets::new(
        core.vnfm().store().clone(),
        core.update().clone(),
        (ends.slots, ends.own_net),
        core.vnfm().clock().clone(),
        reset::files(&root),
        Box::new(move || {
            told.fetch_add(1, Ordering::SeqCst);
        }),
    ));
    let (told, shown) = (again.clone(), tls.clone());
    let parts = restore::parts(&core, Some(config_path.clone()), &config, Box::new(move || shown.fingerprint()));
    let anew = Box::new(move || {
        told.fetch_add(1, Ordering::SeqCst);
    });
    let restores = Arc::new(Restores::new(parts.clone(), restore::house(&core, anew)));
    let quick = desired::Settings {
        pause: Duration::from_millis(20),
        longest: Duration::from_millis(200),
        busy: Duration::from_millis(5),
        look: Duration::from_millis(100),
    };
    let keeper = Keeper::new(core.nfvo.clone(), core.host.clone(), root.join("idevid.pem"), quick);
    let services = Arc::new(Services {
        notify,
        desired: keeper.state().clone(),
        alarms: core.alarms.clone(),
        pm: core.pm.clone(),
        nfvo: core.nfvo.clone(),
        host: core.host.clone(),
        update: core.update().clone(),
        own_net: core.own_net().clone(),
        reset,
        backup: Arc::new(Backups::new(parts)),
        restore: restores,
        call_home,
        hub: None,
        ztp: Box::new(|| Ok(bothy::ztp::status::Status::default())),
        config: LiveConfig::new(Some(config_path.clone()), config.clone()),
        access,
        tls: tls.clone(),
        pool: Pool::new(4),
        health: Box::new(|| vec![Condition::new("libvirt", ConditionState::Failed, "cannot connect to qemu:///system")]),
        look: Box::new(move |missing| watcher.look_again(missing)),
        log: Box::new(|| b"INFO bothy is up\n".to_vec()),
        started: Instant::now(),
    });
    keeper.start(&services).expect("kept");
    let shows = services.notify.clone();
    tls.on_change(move || shows.show_anew());
    let offline = match config.lcm.grant_offline {
        GrantOffline::Wait => Offline::Wait,
        GrantOffline::AllowHeal => Offline::AllowHeal,
    };
    let often = central::Settings {
        pause: Duration::from_millis(20),
        longest: Duration::from_millis(200),
        offline: Box::new(move || offline),
        reread: bothy::api::convert::relaid::read,
    };
    core.vnfm().connect_managers(Abroad::new(services.notify.clone()));
    let granter = Granter::start(core.vnfm().clone(), services.notify.clone(), often);
    let often = own::Settings { pause: Duration::from_millis(20), longest: Duration::from_millis(200) };
    let errands = Errands::start(core.vnfm().clone(), services.notify.clone(), often);
    let tellers = own::indicators::Indicators::start(core.vnfm().clone(), services.notify.clone(), Duration::from_millis(50));
    let told = tellers.clone();
    core.indicators.on_own(move |vnf| told.told(vnf));
    let router = api::router(&services, ReferencePoint::TOGETHER);
    let (held, at_work) = (Held::default(), Arc::default());
    // One slow route stands for a domain call.
    let router = router.merge(slow(&at_work)).layer(axum::middleware::from_fn_with_state(held.clone(), crate::coverage::record));
    let element = api::router(&services, &[ReferencePoint::Sol002])
        .layer(axum::middleware::from_fn_with_state(held.as_seen_by(Face::Element), crate::coverage::record));
    let vnfm = api::router(&services, &[ReferencePoint::Sol003Nfvo])
        .layer(axum::middleware::from_fn_with_state(held.as_seen_by(Face::Vnfm), crate::coverage::record));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let addr = listener.local_addr().expect("addr");
    let for_elements = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let element_addr = for_elements.local_addr().expect("addr");
    let for_vnfms = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let vnfm_addr = for_vnfms.local_addr().expect("addr");
    let socket = root.join("s");
    // Only few connections are for tests of those that hold them up; a host that stands still is no slow client.
    let patience = if connections < 16 { impatient() } else { Patience { header_timeout: PATIENT, idle_timeout: PATIENT, ..impatient() } };
    let mut server = Server::new(patience, connections, Sources::new(connections, true));
    server.tell(services.access.clone());
    server.listen_tls(listener, tls.clone(), router.clone());
    // Places of its own: a listener that waits for a connection holds one, and some tests have but one.
    let mut elements = Server::new(patience, 16, Sources::new(16, true));
    elements.listen_tls(for_elements, tls.clone(), element);
    elements.listen_tls(for_vnfms, tls.clone(), vnfm);
    server.listen_local(bind_local(&socket).await.expect("socket"), router);

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(config.tls_paths().0).expect("pem")).expect("root");
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let identity = config.tls_paths();
    Rig {
        addr,
        faces: [addr, element_addr, vnfm_addr],
        socket,
        token,
        server,
        _elements: elements,
        client: Arc::new(client),
        config_path,
        identity,
        sim,
        tls,
        again,
        core,
        granter,
        errands,
        tellers,
        keeper,
        held,
        begun: at_work,
        _dir: dir,
    }
}

/// The whole orchestrator over the in-memory box; its guests say at once that they are ready.
fn core(root: &Utf8PathBuf, host: SimConfig, outside: &outside::Settings) -> (Sim, Arc<Core>) {
    let layout = Layout::new(root.clone());
    for folder in layout.folders() {
        std::fs::create_dir_all(folder).expect("folder");
    }
    let (physical, tunnels) = (host.physical.clone(), host.tunnels.clone());
    let sim = Sim::new(host);
    sim.set_guests(|_| Behaviour { serial: b"bothy-tiny ready\nrouter ready\n".to_vec(), ..Behaviour::default() });
    let port = Arc::new(sim.clone());
    let pace = Pace { look: Duration::from_millis(5), ..Pace::default() };
    let begun = update::begin(&sim, sim.boot_args(), pace.limit).expect("begun");
    let core = Core::start(Build {
        uplinks: Vec::new(),
        taken: std::collections::BTreeMap::new(),
        store: Store::open(layout.store(), Options { flush_every_ms: 0, ..Options::default() }).expect("store"),
        ports: Ports {
            hypervisor: port.clone(),
            images: port.clone(),
            fabric: port.clone(),
            host: port.clone(),
            controllers: port.clone(),
            slots: port.clone(),
            own_net: port.clone(),
            ways_out: port.clone(),
            hardware: port,
        },
        layout,
        desired: Desired::default(),
        outside: outside.clone(),
        rules: Rules {
            links: LinkRules { pool: "10.177.0.0/16".parse().expect("cidr"), pool_prefix: 24, physical, tunnels },
            overcommit: Overcommit::default(),
            reserve: HostReserve::default(),
            reserve_disk: MiB(0),
            graceful_stop_s: 60,
            start_at_once: 4,
            autoheal: Default::default(),
            vnf_answer_s: 600,
        },
        clock: Arc::new(SystemClock::default()),
        dice: Arc::new(OsDice),
        engine: Settings::default(),
        begun,
        pace,
        socket: None,
    })
    .expect("core");
    core.watch().expect("watch");
    (sim, core)
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.granter.stop();
        self.errands.stop();
        self.tellers.stop();
        self.keeper.stop();
        self.core.stop();
        self.held.fail_if_any();
    }
}

fn slow(begun: &Arc<AtomicUsize>) -> axum::Router {
    let (one, other) = (begun.clone(), begun.clone());
    let slow = async move || {
        one.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(300)).await;
        "slept"
    };
    let stuck = async move || {
        other.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>().await;
    };
    axum::Router::new()
        .route("/slow", axum::routing::get(slow))
        .route("/stuck", axum::routing::get(stuck))
        .route("/flood", axum::routing::get(|| async { vec![0u8; 64 << 20] }))
}

pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
    pub bytes: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.head, self.body))
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|l| l.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v))
    }
    /// The problem's detail, after checking that it is one in full.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.head);
        let p = self.json();
        assert_eq!(p["status"], self.status);
        for member in ["type", "title", "detail", "instance"] {
            assert!(p[member].as_str().is_some_and(|s| !s.is_empty()), "{member} in {p}");
        }
        p["detail"].as_str().expect("detail").to_owned()
    }
}

pub fn parse(raw: &[u8]) -> Reply {
    let end = raw.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(raw)));
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut bytes = raw[end + 4..].to_vec();
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        bytes = unchunked(&bytes);
    }
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("status");
    Reply { status, head, body: String::from_utf8_lossy(&bytes).into_owned(), bytes }
}

/// A body that came in chunks (RFC 9112 7.1), put together.
fn unchunked(mut from: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = from.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&from[..end]).expect("size"), 16).expect("size");
        out.extend_from_slice(&from[end + 2..end + 2 + size]);
        from = &from[end + 4 + size..];
        if size == 0 {
            break;
        }
    }
    out
}

impl Rig {
    /// Waits until so many requests to slow routes are being answered.
    pub async fn until_begun(&self, count: usize) {
        let begun = Instant::now();
        while self.begun.load(Ordering::SeqCst) < count {
            assert!(begun.elapsed() < Duration::from_secs(180), "no request has begun");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    /// What is asked from now on is asked there.
    pub fn show_face(&mut self, face: Face) {
        self.addr = self.faces[face as usize];
    }
    /// How the host should be from now on.
    pub fn want_host(&self, desired: Desired) {
        self.core.host.set_desired(desired);
    }

    pub async fn connect(&self) -> TlsStream<TcpStream> {
        let tcp = TcpStream::connect(self.addr).await.expect("tcp");
        TlsConnector::from(self.client.clone()).connect("localhost".try_into().expect("name"), tcp).await.expect("tls")
    }

    /// Sends bytes as they are and reads to the end.
    pub async fn raw(&self, request: &str) -> Reply {
        self.raw_bytes(request.as_bytes()).await
    }

    pub async fn raw_bytes(&self, request: &[u8]) -> Reply {
        let mut tls = self.connect().await;
        tls.write_all(request).await.expect("write");
        let mut raw = Vec::new();
        // A server that hangs up without close_notify has answered all the same.
        let _ = tls.read_to_end(&mut raw).await;
        parse(&raw)
    }

    /// A request with the admin's token, more header lines, and a body.
    pub async fn ask(&self, line: &str, headers: &[&str], body: &str) -> Reply {
        self.send(line, headers, body.as_bytes()).await
    }

    pub async fn send(&self, line: &str, headers: &[&str], body: &[u8]) -> Reply {
        let mut all = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {}\r\n", self.token);
        for h in headers {
            all += &format!("{h}\r\n");
        }
        if !body.is_empty() {
            all += &format!("content-length: {}\r\n", body.len());
        }
        let mut request = format!("{all}\r\n").into_bytes();
        request.extend_from_slice(body);
        self.raw_bytes(&request).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), &[], "").await
    }
}

/// Believes any certificate: for tests in which it changes.
#[derive(Debug)]
struct Any(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A client that believes any certificate.
pub fn gullible() -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(Any(provider))).with_no_client_auth();
    Arc::new(config)
}

impl Rig {
    pub fn certificate_path(&self) -> Utf8PathBuf {
        self.config_path.with_file_name("tls").join("cert.pem")
    }
    pub fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.certificate_path()).expect("pem")
    }
    async fn connect_trusting(&self, client: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
        let tcp = TcpStream::connect(self.addr).await.expect("tcp");
        TlsConnector::from(client.clone()).connect("localhost".try_into().expect("name"), tcp).await.expect("tls")
    }
    /// The status of a GET over a new connection.
    pub async fn get_trusting(&self, client: &Arc<ClientConfig>, path: &str) -> u16 {
        let mut tls = self.connect_trusting(client).await;
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n", self.token);
        tls.write_all(head.as_bytes()).await.expect("write");
        let mut raw = Vec::new();
        let _ = tls.read_to_end(&mut raw).await;
        parse(&raw).status
    }
    /// The certificate the server shows.
    pub async fn presented(&self, client: &Arc<ClientConfig>) -> CertificateDer<'static> {
        let tls = self.connect_trusting(client).await;
        tls.get_ref().1.peer_certificates().expect("certificates")[0].clone().into_owned()
    }
}
