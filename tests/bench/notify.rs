//! From a change of state to the notification in the subscriber's hands: one after the other, over the
//! loopback, with the store's barrier in between.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use bothy::{
    api::convert::notification::render,
    model::{
        id::ProjectId,
        param::Params,
        subscription::{Eyes, Filter, Source, Subscription},
        time::Stamp,
    },
    notify::{Notifier, Settings, Tls},
    vnfm::accept::CreateVnf,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use uuid::Uuid;

use crate::{
    orchestrator::{Addresses, Orchestrator, VNFD},
    scratch,
    table::{Goal, Row, long, median, ms, quantile},
};

/// Takes each notification and says when it came.
async fn subscriber(listener: TcpListener, came: mpsc::Sender<Instant>) {
    while let Ok((mut tcp, _)) = listener.accept().await {
        let _ = tcp.set_nodelay(true);
        let mut buffer = Vec::new();
        loop {
            let mut piece = [0; 8192];
            let Ok(n) = tcp.read(&mut piece).await else { break };
            if n == 0 {
                break;
            }
            buffer.extend_from_slice(&piece[..n]);
            let text = String::from_utf8_lossy(&buffer).to_ascii_lowercase();
            let Some(head) = text.find("\r\n\r\n") else { continue };
            let length: usize = text.lines().find_map(|l| l.strip_prefix("content-length: ")?.trim().parse().ok()).unwrap_or(0);
            if buffer.len() < head + 4 + length {
                continue;
            }
            let _ = came.send(Instant::now());
            buffer.clear();
            if tcp.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.is_err() {
                break;
            }
        }
    }
}

pub fn measure() -> Vec<Row> {
    let count = if long() { 5000 } else { 1000 };
    let dir = scratch();
    let o = Orchestrator::start(dir.path());
    o.onboard("ns", 1, Addresses::Named);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    let (came, arrivals) = mpsc::channel();
    let took: Vec<f64> = {
        let _in = runtime.enter();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("bind");
        let callback = format!("http://{}/", listener.local_addr().expect("address"));
        runtime.spawn(subscriber(listener, came));
        // Nobody is called over TLS; the client is made all the same.
        let files = scratch();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let at = |name: &str, text: String| {
            let path = camino::Utf8PathBuf::from_path_buf(files.path().join(name)).expect("a path");
            std::fs::write(&path, text).expect("written");
            path
        };
        let (certificate, key) = (at("cert.pem", made.cert.pem()), at("key.pem", made.signing_key.serialize_pem()));
        let tls = Tls::new(&certificate, &certificate, &key).expect("a client");
        let second = Duration::from_secs(1);
        let settings = Settings { timeout: 10 * second, attempts: 10, backlog: 10_000, pause: second, longest: second };
        let nfvo = o.core.nfvo.clone();
        let shown = Box::new(move |s: &Subscription, e: &_| render(&nfvo, s, e));
        let clock = o.core.vnfm().clock().clone();
        let notifier = Notifier::start(o.store().clone(), clock, shown, settings, tls).expect("notifier");
        let id = Uuid::from_u128(1);
        let s = Subscription {
            id,
            project: ProjectId::DEFAULT,
            every_project: false,
            source: Source::VnfLcm,
            callback,
            base: "https://box".into(),
            filter: Filter::default(),
            filter_text: None,
            short: false,
            auth: None,
            created: Stamp(0),
        };
        notifier.subscribe(s, Eyes::Project).expect("subscribed");
        let ask = CreateVnf {
            project: ProjectId::DEFAULT,
            vnfd_id: VNFD.into(),
            name: None,
            description: String::new(),
            metadata: Params::new(),
        };
        (0..count)
            .map(|_| {
                let begun = Instant::now();
                o.core.vnfm().create(&ask).expect("created");
                let there = arrivals.recv_timeout(Duration::from_secs(30)).expect("delivered");
                ms(there - begun)
            })
            .collect()
    };
    runtime.shutdown_timeout(Duration::from_secs(1));
    o.stop();
    vec![
        Row::new("change of state to notification delivered, p50", "ms", median(&took), None, Goal::Shown),
        Row::new(format!("the same, p99 of {count}"), "ms", quantile(&took, 0.99), None, Goal::AtMost(50.0)),
    ]
}
