//! Reads of authorised VNF instances, beside a bare hyper and rustls that sends the same bytes: same client, same
//! certificate, in turns. How many a second of one instance, and how long each takes when a given number of them
//! comes every second, of a thousand.

use std::{
    convert::Infallible,
    io::{BufRead as _, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use http_body_util::Full;
use hyper::{Response, body::Bytes, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    daemon::Daemon,
    table::{Goal, Row, long, median, ms, quantile},
};

const CONNECTIONS: usize = 4;
/// How many reads come every second, and over how many connections.
const STEADY: (u32, usize) = (2000, 20);

/// One client on one connection that stays open.
pub struct Client {
    tls: StreamOwned<ClientConnection, TcpStream>,
    buffer: Vec<u8>,
}

pub fn request(path: &str, token: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\naccept: application/json\r\n\r\n")
}

impl Client {
    pub fn connect(config: &Arc<ClientConfig>, port: u16) -> Client {
        let tcp = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        tcp.set_nodelay(true).expect("set");
        let connection = ClientConnection::new(config.clone(), "localhost".try_into().expect("a name")).expect("a client");
        Client { tls: StreamOwned::new(connection, tcp), buffer: Vec::new() }
    }
    /// One request; the bytes of the answer, head and all.
    pub fn get(&mut self, request: &str) -> &[u8] {
        self.tls.write_all(request.as_bytes()).expect("sent");
        self.buffer.clear();
        let mut part = [0; 16384];
        loop {
            let n = self.tls.read(&mut part).expect("answered");
            assert!(n > 0, "hung up: {}", String::from_utf8_lossy(&self.buffer));
            self.buffer.extend_from_slice(&part[..n]);
            if whole(&self.buffer) {
                return &self.buffer;
            }
        }
    }
}

fn head(raw: &[u8]) -> Option<(&str, usize)> {
    let end = raw.windows(4).position(|w| w == b"\r\n\r\n")?;
    Some((std::str::from_utf8(&raw[..end]).expect("a head"), end + 4))
}

fn whole(raw: &[u8]) -> bool {
    let Some((head, end)) = head(raw) else { return false };
    let length = head.lines().find_map(|l| l.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case("content-length")));
    raw.len() >= end + length.and_then(|(_, v)| v.parse::<usize>().ok()).expect("a length")
}

/// Requests per second over all connections.
fn rate(config: &Arc<ClientConfig>, port: u16, request: &str, each: usize) -> f64 {
    let mut clients = connected(config, port, request, CONNECTIONS);
    let begun = Instant::now();
    thread::scope(|s| {
        for c in &mut clients {
            s.spawn(|| {
                (0..each).for_each(|_| {
                    c.get(request);
                })
            });
        }
    });
    (CONNECTIONS * each) as f64 / begun.elapsed().as_secs_f64()
}

/// Clients that have been answered once.
fn connected(config: &Arc<ClientConfig>, port: u16, request: &str, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| Client::connect(config, port)).collect();
    for c in &mut clients {
        let answer = c.get(request);
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(answer));
    }
    clients
}

/// `STEADY` reads a second for a while, of one resource after the other: how long each took, in ms, from when it
/// was due, so that one that waits for a late one before it is late too.
fn steady(config: &Arc<ClientConfig>, port: u16, requests: &[String], lasting: Duration) -> Vec<f64> {
    let (rate, connections) = STEADY;
    let mut clients = connected(config, port, &requests[0], connections);
    let between = Duration::from_secs(1) / rate;
    let all = (lasting.as_secs_f64() * f64::from(rate)) as usize;
    let begun = Instant::now() + Duration::from_millis(20);
    thread::scope(|s| {
        let each = clients.iter_mut().enumerate().map(|(n, c)| {
            s.spawn(move || {
                (n..all)
                    .step_by(connections)
                    .map(|turn| {
                        let due = begun + between * turn as u32;
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                        let answer = c.get(&requests[turn % requests.len()]);
                        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(answer));
                        ms(due.elapsed())
                    })
                    .collect::<Vec<f64>>()
            })
        });
        let each: Vec<_> = each.collect();
        each.into_iter().flat_map(|t| t.join().expect("all answered")).collect()
    })
}

struct Bare(Child, u16);
impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This program again, as the other server.
fn bare(tls: &Path, answer: &Path) -> Bare {
    let me = std::env::current_exe().expect("this program");
    let mut child = Command::new(me).arg("serve-bare").arg(tls).arg(answer).stdout(Stdio::piped()).spawn().expect("started");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut line).expect("its port");
    Bare(child, line.trim().parse().expect("a port"))
}

/// The other server: `serve-bare TLS-FOLDER ANSWER`. Sends the answer's headers and body.
pub fn serve_bare(tls: &Path, answer: &Path) {
    let raw = std::fs::read(answer).expect("the answer");
    let (head, end) = head(&raw).expect("a head");
    let body = Bytes::copy_from_slice(&raw[end..]);
    let mut like = Response::builder();
    for (name, value) in head.lines().skip(1).filter_map(|l| l.split_once(": ")) {
        // These two hyper writes itself.
        if !["date", "content-length"].contains(&name.to_ascii_lowercase().as_str()) {
            like = like.header(name, value);
        }
    }
    let like = like.body(()).expect("headers").into_parts().0;
    let certs =
        CertificateDer::pem_file_iter(tls.join("cert.pem")).expect("certificate").collect::<Result<Vec<_>, _>>().expect("certificate");
    let key = PrivateKeyDer::from_pem_file(tls.join("key.pem")).expect("key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certs, key).expect("TLS");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    // As many threads as the daemon has for its sockets.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
        println!("{}", listener.local_addr().expect("address").port());
        loop {
            let (tcp, _) = listener.accept().await.expect("accepted");
            let (acceptor, like, body) = (acceptor.clone(), like.clone(), body.clone());
            tokio::spawn(async move {
                tcp.set_nodelay(true).expect("set");
                let Ok(tls) = acceptor.accept(tcp).await else { return };
                let answer = service_fn(|_| {
                    let answer = Response::from_parts(like.clone(), Full::new(body.clone()));
                    async move { Ok::<_, Infallible>(answer) }
                });
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tls), answer).await;
            });
        }
    });
}

/// Believes the daemon's own certificate.
pub fn trusting(tls: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(tls.join("cert.pem")).expect("certificate")).expect("a root");
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

pub fn measure(daemon: &Daemon) -> Vec<Row> {
    let (rounds, each) = if long() { (15, 5000) } else { (7, 1500) };
    let tls = daemon.data.join("tls");
    let config = trusting(&tls);
    let path = daemon.bring_up_one();
    let token = daemon.token();
    let one = request(&path, &token);
    let answer = Client::connect(&config, daemon.port).get(&one).to_vec();
    let file = daemon.data.join("answer");
    std::fs::write(&file, &answer).expect("written");
    let bare = bare(&tls, &file);
    let same = Client::connect(&config, bare.1).get(&one).len();
    println!(
        "GET: {} bytes from the daemon, {same} from the bare server; {CONNECTIONS} connections, {rounds} rounds of {each}",
        answer.len()
    );
    let (mut ours, mut other) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(rate(&config, daemon.port, &one, each));
        other.push(rate(&config, bare.1, &one, each));
    }
    let name = format!("GET a vnf_instance, {:.1} KB, TLS | bare hyper + rustls", answer.len() as f64 / 1e3);
    let mut rows = vec![Row::new(name, "requests/s", median(&ours), Some(median(&other)), Goal::RatioAtLeast(0.3))];

    let ids = daemon.listed("/vnflcm/v2/vnf_instances", |v| v["id"].as_str().expect("an id").to_owned());
    let all: Vec<String> = ids.iter().map(|id| request(&format!("/vnflcm/v2/vnf_instances/{id}"), &token)).collect();
    let (rounds, lasting) = (if long() { 10 } else { 3 }, Duration::from_secs(5));
    println!("{} reads/s of {} instances: {rounds} rounds of {lasting:?}", STEADY.0, all.len());
    let (mut ours, mut other) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.extend(steady(&config, daemon.port, &all, lasting));
        other.extend(steady(&config, bare.1, &all, lasting));
    }
    let name = format!("{} reads/s of {} instances, TLS | bare hyper + rustls", STEADY.0, all.len());
    for (q, goal) in [(0.5, Goal::Shown), (0.99, Goal::EitherAtMost { value: 5.0, ratio: 3.0 })] {
        let name = format!("{name}, p{:.0}", q * 100.0);
        rows.push(Row::new(name, "ms", quantile(&ours, q), Some(quantile(&other, q)), goal));
    }
    rows
}
