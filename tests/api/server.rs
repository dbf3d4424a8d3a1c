//! What a client, kind or not, gets to see.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use axum::routing::get;
use bothy::api::{
    places::Sources,
    server::{Patience, Server},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream, UnixStream},
};

use crate::rig::{PATIENT, Reply, Rig, impatient, parse, rig};

/// For what must come and takes no time on an idle host.
const FOREVER: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_a_problem_with_its_status_and_headers() {
    let rig = rig(16, "").await;
    let toml = "content-type: application/toml";
    let big = "#".repeat(1025 * 1024);
    let long = format!("x: {}", "y".repeat(12 * 1024));
    for (line, headers, body, status, detail) in [
        ("GET /nowhere", &[][..], "", 404, "nothing at this path"),
        ("DELETE /bothy/v1/health", &[], "", 405, "no such method"),
        ("POST /nslcm/api_versions", &[], "", 405, "no such method"),
        ("GET /bothy/v1/health", &["accept: text/html"], "", 406, "the client accepts text/html"),
        ("GET /nslcm/v2/api_versions", &["version: 9.0.0"], "", 406, "version '9.0.0' of nslcm is not served; 2.3.0 is"),
        ("POST /bothy/v1/config/check", &[toml], big.as_str(), 413, "larger than the 1 MiB"),
        ("POST /bothy/v1/config/check", &["content-type: image/png"], "x", 415, "the body is image/png"),
        ("POST /bothy/v1/config/check", &[], "x", 415, "no Content-Type"),
        ("POST /bothy/v1/config/check", &[toml], "lcm = 1\nlog.levl = \"x\"", 422, "faults"),
    ] {
        let r = rig.ask(line, headers, body).await;
        assert_eq!(r.status, status, "{line}: {}", r.body);
        assert!(r.problem().contains(detail), "{line}: {}", r.body);
        if status == 405 {
            assert_eq!(r.header("allow"), Some("GET,HEAD"), "{line}");
        }
    }
    // hyper refuses these before any handler; the connection ends, the server goes on.
    let r = rig.ask("GET /bothy/v1/health", &[&long, &long], "").await;
    assert_eq!(r.status, 431);
    assert!(r.problem().contains("limits.headers_kib"));
    for junk in ["GARBAGE\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "G\0T / HTTP/1.1\r\n\r\n"] {
        let r = rig.raw(junk).await;
        assert_eq!(r.status, 400, "{junk}");
        assert!(r.problem().contains("RFC 9112"), "{}", r.body);
    }
    assert_eq!(rig.get("/bothy/v1/health").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_after_its_refusal_spoils_no_other_request() {
    let rig = rig(16, "").await;
    let head = |line: &str, more: &str| format!("{line} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n{more}\r\n", rig.token);
    let mut tls = rig.connect().await;
    for part in [&head("POST /nowhere", "content-type: application/json\r\ncontent-length: 2\r\n"), "{}"] {
        tls.write_all(part.as_bytes()).await.expect("write");
        tls.flush().await.expect("flush");
        // The head has been read by then, if the host is not too busy; else this shows nothing.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tls.write_all(head("GET /bothy/v1/version", "connection: close\r\n").as_bytes()).await.expect("write");
    let mut raw = Vec::new();
    tls.read_to_end(&mut raw).await.expect("both answers");
    let text = String::from_utf8_lossy(&raw);
    assert_eq!(text.matches("HTTP/1.1 ").count(), 2, "{text}");
    assert!(text.starts_with("HTTP/1.1 404 ") && text.contains("HTTP/1.1 200 "), "{text}");

    // Of one that does not come, or has not been asked for, the answer says that nothing more is read.
    for more in ["content-length: 100\r\n", "content-length: 2\r\nexpect: 100-continue\r\n"] {
        let r = rig.raw(&head("POST /nowhere", &format!("content-type: application/json\r\n{more}"))).await;
        assert_eq!((r.status, r.header("connection")), (404, Some("close")), "{}", r.head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_unknown_learns_what_is_here() {
    let rig = rig(16, "").await;
    for path in ["/bothy/v1/health", "/nslcm/api_versions", "/nowhere"] {
        for header in ["", "authorization: Bearer nonsense\r\n", "x-auth-token: \r\n"] {
            let r = rig.raw(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n")).await;
            assert_eq!(r.status, 401, "{path} {header}");
            assert!(r.header("www-authenticate").is_some_and(|v| v.starts_with("Bearer")));
            r.problem();
        }
    }
    let r =
        rig.raw(&format!("GET /bothy/v1/version HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-auth-token: {}\r\n\r\n", rig.token)).await;
    assert_eq!(r.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unix_socket_needs_no_token() {
    let rig = rig(16, "").await;
    let mut s = UnixStream::connect(&rig.socket).await.expect("socket");
    s.write_all(b"GET /bothy/v1/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("write");
    let mut raw = Vec::new();
    s.read_to_end(&mut raw).await.expect("read");
    let r = parse(&raw);
    assert_eq!(r.json()["status"], "DEGRADED");
    assert_eq!(r.json()["conditions"][0]["text"], "cannot connect to qemu:///system");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_told_and_echoed() {
    let rig = rig(16, "").await;
    let all: [(&str, &[&str]); 4] = [
        ("/nsd", &["1.3.0", "2.3.0"]),
        ("/vnfpkgm", &["1.3.0", "2.4.0"]),
        ("/nslcm", &["1.3.0", "2.3.0"]),
        ("/vnflcm", &["1.3.0", "2.3.0"]),
    ];
    for (path, versions) in all {
        // Below the root each major that is served, below a major that one alone.
        for (major, those) in [("", versions), ("/v2", &versions[versions.len() - 1..])] {
            let r = rig.ask(&format!("GET {path}{major}/api_versions"), &["version: 2.0.0"], "").await;
            assert_eq!(r.header("version"), Some("2.0.0"));
            let told: Vec<_> = those.iter().map(|v| serde_json::json!({"version": v, "isDeprecated": false})).collect();
            assert_eq!(r.json(), serde_json::json!({"uriPrefix": path, "apiVersions": told}));
        }
    }
    assert_eq!(rig.get("/nslcm/v2/api_versions").await.header("version"), Some("2.3.0"));
    // Who has one version for all may find out here what there is; below a major it is that one's.
    let first = ["version: 1.2.0"];
    let r = rig.ask("GET /nslcm/api_versions", &first, "").await;
    assert_eq!((r.status, r.header("version")), (200, Some("1.2.0")), "{}", r.body);
    assert_eq!(rig.ask("GET /nslcm/v2/api_versions", &first, "").await.status, 406);
}

type Sender = hyper::client::conn::http2::SendRequest<http_body_util::Empty<axum::body::Bytes>>;

/// A connection of HTTP/2, which answers pings, and its end.
async fn h2(rig: &Rig, at: SocketAddr) -> (Sender, tokio::task::JoinHandle<()>) {
    let mut h2 = rustls::ClientConfig::clone(&rig.client);
    h2.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(at).await.expect("tcp");
    let tls =
        tokio_rustls::TlsConnector::from(std::sync::Arc::new(h2)).connect("localhost".try_into().expect("name"), tcp).await.expect("tls");
    let (send, connection) = hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), hyper_util::rt::TokioIo::new(tls))
        .await
        .expect("handshake");
    (send, tokio::spawn(async move { drop(connection.await) }))
}

/// A server of its own with the rig's certificate; it answers after 500 ms.
async fn slow_server(rig: &Rig, patience: Patience, sources: Sources) -> (Server, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let at = listener.local_addr().expect("addr");
    let mut server = Server::new(patience, 16, sources);
    let late = || async { tokio::time::sleep(Duration::from_millis(500)).await };
    server.listen_tls(listener, rig.tls.clone(), axum::Router::new().route("/", get(late)));
    (server, at)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_http2_on_which_nothing_is_asked_gives_its_place_back_and_a_slow_answer_comes() {
    let rig = rig(16, "").await;
    let patience = Patience { idle_timeout: Duration::from_millis(100), header_timeout: FOREVER, ..impatient() };
    let (_server, at) = slow_server(&rig, patience, Sources::new(16, true)).await;
    let (_quiet, ends) = h2(&rig, at).await;
    tokio::time::timeout(FOREVER, ends).await.expect("hung up on").expect("ended");

    let (mut send, ends) = h2(&rig, at).await;
    let request = hyper::Request::get("https://localhost/").body(http_body_util::Empty::new()).expect("request");
    assert_eq!(send.send_request(request).await.expect("an answer that takes longer than the patience").status(), 200);
    tokio::time::timeout(FOREVER, ends).await.expect("hung up on afterwards").expect("ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_source_does_not_take_all_places() {
    let rig = rig(16, "").await;
    let (_server, at) =
        slow_server(&rig, Patience { idle_timeout: PATIENT, header_timeout: PATIENT, ..impatient() }, Sources::new(2, false)).await;
    let from = |ip: &'static str| async move {
        let socket = TcpSocket::new_v4().expect("socket");
        socket.bind(SocketAddr::new(ip.parse::<IpAddr>().expect("ip"), 0)).expect("bind");
        socket.connect(at).await.expect("tcp")
    };
    let greets = |tcp| {
        let client = rig.client.clone();
        async move { tokio_rustls::TlsConnector::from(client).connect("localhost".try_into().expect("name"), tcp).await }
    };
    let held = [greets(from("127.0.0.1").await).await.expect("tls"), greets(from("127.0.0.1").await).await.expect("tls")];
    let third = from("127.0.0.1").await;
    assert!(tokio::time::timeout(FOREVER, greets(third)).await.expect("an end").is_err(), "a third of the same source");
    greets(from("127.0.0.2").await).await.expect("another source");
    drop(held);
    // It shows when the server has seen their end.
    let begun = Instant::now();
    while greets(from("127.0.0.1").await).await.is_err() {
        assert!(begun.elapsed() < FOREVER, "no place came free");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends a head, and then a byte now and then, until there is an answer.
async fn drip(rig: &Rig, head: &str) -> Reply {
    let (mut from, mut to) = tokio::io::split(rig.connect().await);
    to.write_all(format!("{head}\r\nhost: x\r\nconnection: close\r\ncontent-length: 8000\r\n\r\n").as_bytes()).await.expect("write");
    let drops = tokio::spawn(async move {
        while to.write_all(b" ").await.is_ok() && to.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut raw = Vec::new();
    let _ = tokio::time::timeout(FOREVER, from.read_to_end(&mut raw)).await.expect("an answer");
    drops.abort();
    parse(&raw)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_in_drops_is_not_waited_for() {
    // Never silent for long.
    let rig = rig(16, "[limits]\nidle_timeout_s = 600\nbody_timeout_s = 1\n").await;
    let token = format!("authorization: Bearer {}", rig.token);
    let r = drip(&rig, &format!("POST /nslcm/v2/ns_instances HTTP/1.1\r\n{token}\r\ncontent-type: application/json")).await;
    assert!(r.status == 408 && r.problem().contains("whole within 1 s"), "{}", r.body);
    // Nobody knows who it is.
    let r = drip(&rig, "POST /oauth2/token HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded").await;
    assert_eq!(r.status, 400, "{}", r.body);
    let at = rig.post("/vnfpkgm/v2/vnf_packages", serde_json::json!({})).await.header("location").expect("location").to_owned();
    let r = drip(&rig, &format!("PUT {at}/package_content HTTP/1.1\r\n{token}\r\ncontent-type: application/zip")).await;
    assert!(r.status == 408 && r.problem().contains("1 MiB each 1 s is the least"), "{}", r.body);
    assert_eq!(rig.show(&at).await["onboardingState"], "CREATED");
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_is_spoken_to_those_who_ask() {
    let rig = rig(16, "").await;
    let (mut send, _) = h2(&rig, rig.addr).await;
    let request = |path: &str| {
        hyper::Request::get(format!("https://localhost{path}"))
            .header("x-auth-token", &rig.token)
            .body(http_body_util::Empty::<axum::body::Bytes>::new())
            .expect("request")
    };
    assert_eq!(send.send_request(request("/bothy/v1/health")).await.expect("answer").status(), 200);
    assert_eq!(send.send_request(request("/nowhere")).await.expect("answer").status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_and_slow_clients_are_hung_up_on_and_hold_nobody_up() {
    let rig = rig(4, "[limits]\nidle_timeout_s = 1\n").await;
    // Not TLS at all; a handshake that stops half-way; one that never begins.
    let mut junk = TcpStream::connect(rig.addr).await.expect("tcp");
    junk.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("write");
    let mut half = TcpStream::connect(rig.addr).await.expect("tcp");
    half.write_all(&[0x16, 3, 1, 2, 0, 1]).await.expect("write");
    let mut mute = TcpStream::connect(rig.addr).await.expect("tcp");
    for s in [&mut junk, &mut half, &mut mute] {
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(FOREVER, s.read_to_end(&mut rest)).await.expect("hung up on");
    }

    // TLS, then silence; a header byte by byte; a body that stops: four of each take every place.
    let slow_header = "GET /bothy/v1/health HTTP/1.1\r\nhost: x\r\n";
    let slow_body = format!(
        "POST /bothy/v1/config/check HTTP/1.1\r\nhost: x\r\ncontent-type: application/toml\r\nauthorization: Bearer {}\r\ncontent-length: 9\r\n\r\n#",
        rig.token
    );
    for (sent, status) in [("", None), (slow_header, None), (slow_body.as_str(), Some(408))] {
        let mut held = Vec::new();
        for _ in 0..4 {
            let mut tls = rig.connect().await;
            tls.write_all(sent.as_bytes()).await.expect("write");
            held.push(tls);
        }
        // None of the four lets go by itself.
        let health = tokio::time::timeout(FOREVER, rig.get("/bothy/v1/health")).await;
        assert_eq!(health.unwrap_or_else(|_| panic!("no place comes free: {sent}")).status, 200);
        for mut tls in held {
            let mut raw = Vec::new();
            let _ = tokio::time::timeout(FOREVER, tls.read_to_end(&mut raw)).await.expect("hung up on");
            if let Some(status) = status {
                assert_eq!(parse(&raw).status, status);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_no_answer_is_hung_up_on() {
    let rig = rig(1, "").await;
    let mut tls = rig.connect().await;
    tls.write_all(b"GET /flood HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("write");
    // It holds the only place, and reads nothing.
    let health = tokio::time::timeout(FOREVER, rig.get("/bothy/v1/health")).await.expect("the place comes free");
    assert_eq!(health.status, 200);
    drop(tls);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_requests_finish_and_takes_no_new_ones() {
    let mut rig = rig(16, "").await;
    let mut idle = rig.connect().await;
    let mut busy = rig.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("write");
    rig.until_begun(1).await;
    let server = std::mem::replace(&mut rig.server, Server::new(impatient(), 1, Sources::new(1, true)));
    let begun = Instant::now();
    let drained = tokio::spawn(server.drain(FOREVER));
    let mut raw = Vec::new();
    let _ = busy.read_to_end(&mut raw).await;
    assert!(parse(&raw).body.contains("slept"));
    let _ = idle.read_to_end(&mut Vec::new()).await;
    drained.await.expect("drain");
    assert!(begun.elapsed() < PATIENT, "an idle connection holds the drain up until it would have been hung up on anyway");
    assert!(TcpStream::connect(rig.addr).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_at_its_deadline() {
    let mut rig = rig(16, "").await;
    let mut busy = rig.connect().await;
    busy.write_all(b"GET /stuck HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("write");
    rig.until_begun(1).await;
    let server = std::mem::replace(&mut rig.server, Server::new(impatient(), 1, Sources::new(1, true)));
    // What it waits for would never end.
    tokio::time::timeout(FOREVER, server.drain(Duration::from_millis(20))).await.expect("the drain ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_shown_checked_and_applied_whole_or_not_at_all() {
    let rig = rig(16, "").await;
    let shown = rig.get("/bothy/v1/config").await.json();
    let level = shown["keys"].as_array().expect("keys").iter().find(|k| k["key"] == "log.level").expect("log.level").clone();
    assert_eq!(level, serde_json::json!({"key": "log.level", "value": "\"info\"", "apply": "LIVE"}));

    // data_dir and run_dir differ from the file's defaults in this rig.
    std::fs::write(&rig.config_path, "[lcm]\nstart_at_once = 9\n[log]\nformat = \"json\"\n").expect("write");
    let r = rig.ask("POST /bothy/v1/config/apply", &[], "").await;
    assert_eq!(r.json(), serde_json::json!({"live": ["lcm.start_at_once"], "restart": ["data_dir", "run_dir", "log.format"]}));

    std::fs::write(&rig.config_path, "[lcm]\nstart_at_once = 10\n[log]\nformat = \"jsn\"\n").expect("write");
    let r = rig.ask("POST /bothy/v1/config/apply", &[], "").await;
    assert_eq!(r.status, 422);
    assert_eq!(r.json()["reasons"], serde_json::json!(["line 4: log.format: 'jsn' is none of human, json"]));
    let shown = rig.get("/bothy/v1/config").await.json();
    assert!(
        shown["keys"].as_array().expect("keys").contains(&serde_json::json!({"key": "lcm.start_at_once", "value": "9", "apply": "LIVE"}))
    );
}
