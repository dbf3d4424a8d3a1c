//! A hub of a thousand boxes, which are tasks of this process: memory and times are printed. With BOTHY_LONG, for its length.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bothy::call_home::schedule::Schedule;
use http_body_util::Full;
use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::{
    daemon::{Daemon, free_port},
    identity::Ca,
    pair::{cli, https, token},
};

const BOXES: u64 = 1000;
/// The window before a box's first try.
const FIRST: Duration = Duration::from_secs(10);

/// One box: it calls, answers each request with a health, and calls again when the hub is gone.
async fn box_of(hub: SocketAddr, tls: Arc<ServerConfig>, seed: u64) {
    let (mut schedule, mut chance) = (Schedule::new(FIRST), seed);
    loop {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(schedule.pause(chance)).await;
        let begun = Instant::now();
        let held = match serve(hub, &tls).await {
            Some(()) => begun.elapsed(),
            None => Duration::ZERO,
        };
        schedule.ended(held);
    }
}

async fn serve(hub: SocketAddr, tls: &Arc<ServerConfig>) -> Option<()> {
    let tcp = TcpStream::connect(hub).await.ok()?;
    let stream = TlsAcceptor::from(tls.clone()).accept(tcp).await.ok()?;
    let answer = service_fn(|_: Request<Incoming>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from_static(b"{\"version\": \"9.9.9\", \"status\": \"OK\"}"))))
    });
    let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
    Some(())
}

fn until_all_are_there(dir: &Path) -> Duration {
    let begun = Instant::now();
    loop {
        let all = cli(dir, &["hub", "boxes"]);
        if all.as_array().is_some_and(|a| a.len() as u64 == BOXES && a.iter().all(|b| b["connected"] == true)) {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(600), "they do not come");
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn a_hub_holds_a_thousand_boxes_and_has_them_back_after_its_death() {
    if std::env::var_os("BOTHY_LONG").is_none() {
        return println!("SKIP: needs BOTHY_LONG, for its length");
    }
    let temp = tempfile::tempdir().expect("dir");
    let (dir, port, home) = (temp.path(), free_port(), free_port());
    let ca = Ca::new("maker");
    fs::write(dir.join("ca.pem"), ca.pem()).expect("file");
    let mut text = format!(
        "data_dir = \"{0}/data\"\nrun_dir = \"{0}/run\"\n[[listen]]\naddress = \"127.0.0.1:{port}\"\nreference_points = [\"hub\"]\n[sim]\nenabled = true\n[hub]\nlisten = \"127.0.0.1:{home}\"\nca = \"{0}/ca.pem\"\n",
        dir.display()
    );
    for i in 0..BOXES {
        text += &format!("[[hub.box]]\nserial = \"BX-{i}\"\n");
    }
    fs::write(dir.join("bothy.toml"), text).expect("config");
    let hub = Daemon::start(dir);
    let alone = hub.resident_mib();

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    for i in 0..BOXES {
        let (certificate, key) = ca.sign_server(&format!("BX-{i}"), i + 1);
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("certificate")];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("key");
        let mut tls = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("tls");
        tls.alpn_protocols = vec![b"h2".to_vec()];
        runtime.spawn(box_of(SocketAddr::from(([127, 0, 0, 1], home)), Arc::new(tls), i * i + 7));
    }
    let first = until_all_are_there(dir);
    let with_all = hub.resident_mib();
    let key = token(dir);
    assert_eq!(https(port, &key, "GET /boxes/BX-999/bothy/v1/health", "").json()["version"], "9.9.9");
    hub.kill();
    std::thread::sleep(Duration::from_secs(20));
    let hub = Daemon::start(dir);
    let again = until_all_are_there(dir);
    println!(
        "a hub: {alone} MiB alone, {with_all} MiB with {BOXES} boxes; all there in {:.1} s (first window {} s), and {:.1} s after a hub that was away for 20 s is back",
        first.as_secs_f32(),
        FIRST.as_secs(),
        again.as_secs_f32()
    );
    hub.stop();
}
