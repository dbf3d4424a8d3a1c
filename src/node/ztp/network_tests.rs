//! Bootstrap servers as a box meets them: over real TLS on the loopback, with real keys. What does not prove itself is passed by
//! with its reason, and the box is as it was.

use std::{
    fs,
    io::{BufReader, Write as _},
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use camino::Utf8PathBuf;
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use serde_json::Value;

use super::{
    Offered, Run, Sandbox, Sources, State, Status,
    factory::Wish,
    tests::{Bench, refused, wish, words},
};
use crate::{
    host::{needs, openssl::certificates},
    model::error::Fault,
    ztp::{
        Der,
        artefact::{self, Artefacts, Content},
        conveyed::Handling,
        onboard::Running,
        rpc::{Answer, Ask, Csr, GET_DATA, REPORT},
        walk::At,
    },
};

type Answers = Box<dyn Fn(&Ask) -> (u16, Vec<u8>) + Send + Sync>;

/// A bootstrap server: what it was asked and told, and what it shows.
struct Server {
    port: u16,
    own: Der,
    heard: Arc<Mutex<Vec<String>>>,
}

/// `told`: with which status a report is answered.
fn serve(b: &Bench, answers: Answers, told: fn(&str) -> u16) -> Server {
    let key = rcgen::KeyPair::generate().expect("key");
    let cert = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("params").self_signed(&key).expect("cert");
    let mut roots = RootCertStore::empty();
    for c in CertificateDer::pem_file_iter(b.file("factory/manufacturer.pem")).expect("manufacturer") {
        roots.add(c.expect("certificate")).expect("root");
    }
    let provider = Arc::new(ring::default_provider());
    let boxes = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().expect("verifier");
    let secret = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("key");
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(boxes)
        .with_single_cert(vec![cert.der().clone()], secret)
        .expect("pair");
    let (tls, heard) = (Arc::new(tls), Arc::<Mutex<Vec<String>>>::default());
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    let kept = heard.clone();
    // Ends with the process.
    std::thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let mut s = BufReader::new(StreamOwned::new(ServerConnection::new(tls.clone()).expect("tls"), tcp));
            let Some((path, body)) = request(&mut s) else { continue };
            let (status, answer) = match path.as_str() {
                GET_DATA => {
                    let ask = Ask::read(&body).expect("an ask");
                    let csr = match ask.csr {
                        Csr::None => "",
                        Csr::Able => " csr-support",
                        Csr::Made(_) => " csr",
                    };
                    let stranger = if ask.signed_preferred { " signed-data-preferred" } else { "" };
                    let os = ask.os_name.as_ref().map_or("", |_| " os-name");
                    kept.lock().expect("heard").push(format!("ask{stranger}{os}{csr}"));
                    answers(&ask)
                }
                REPORT => {
                    let v: Value = serde_json::from_slice(&body).expect("a report");
                    let word = v["ietf-sztp-bootstrap-server:input"]["progress-type"].as_str().expect("type").to_owned();
                    // Kept first: one that ought to hear nothing panics, and nobody waits for this thread.
                    kept.lock().expect("heard").push(word.clone());
                    (told(&word), Vec::new())
                }
                other => panic!("{other}"),
            };
            let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
            let s = s.get_mut();
            let _ = s.write_all(&[head.as_bytes(), &answer].concat()).and_then(|()| s.flush());
            s.conn.send_close_notify();
            let _ = s.flush();
        }
    });
    Server { port, own: Der(cert.der().to_vec()), heard }
}

fn request(s: &mut impl std::io::BufRead) -> Option<(String, Vec<u8>)> {
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        s.read_line(&mut line).ok().filter(|n| *n > 0)?;
        match line.trim() {
            "" => break,
            l if path.is_empty() => path = l.split(' ').nth(1)?.to_owned(),
            l => length = l.to_ascii_lowercase().strip_prefix("content-length: ").and_then(|n| n.parse().ok()).unwrap_or(length),
        }
    }
    let mut body = vec![0; length];
    s.read_exact(&mut body).ok()?;
    Some((path, body))
}

impl Server {
    fn stranger(&self) -> At {
        At { address: "localhost".into(), port: self.port, anchors: Vec::new() }
    }
    fn trusted(&self) -> At {
        At { anchors: vec![self.own.clone()], ..self.stranger() }
    }
    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("heard").clone()
    }
}

fn fine(_: &str) -> u16 {
    204
}

fn data(data: Artefacts) -> (u16, Vec<u8>) {
    Answer::Data { data, verbose: true }.write()
}

fn bare(json: &str) -> Artefacts {
    Artefacts { conveyed: artefact::unsigned(Content::JsonConveyed, json.as_bytes()), ..Artefacts::default() }
}

const ONBOARDING: &str = r#"{"ietf-sztp-conveyed-info:onboarding-information": {}}"#;

fn go(b: &Bench, sources: &Sources) -> Result<Status, Fault> {
    let place = b.place();
    let running = Running { name: "bothy".into(), version: "1.0".into() };
    Run { place: &place, running, sandbox: Sandbox::None, told: &mut |_| {}, go_on: &|| true }.from_sources(sources)?;
    super::status::read(&place.state)
}

fn servers(all: Vec<At>) -> Sources {
    Sources { servers: all, ..Sources::default() }
}

/// RFC 8572, appendix B, and RFC 9646.
#[test]
fn a_stranger_that_the_owner_vouches_for_becomes_a_trusted_server_and_hears_how_it_goes() {
    if !needs(&["openssl"]) {
        return;
    }
    let b = Arc::new(Bench::new());
    let (maker, port) = (b.clone(), Arc::new(Mutex::new((0, Der(Vec::new())))));
    let own = port.clone();
    let answers = move |ask: &Ask| {
        let (port, own) = own.lock().expect("port").clone();
        if ask.signed_preferred {
            let redirect = vec![("localhost".to_owned(), port)];
            let wish = Wish { redirect, anchors: vec![own], configuration: None, nonce: ask.nonce.clone(), ..wish() };
            return data(maker.factory().artefacts(&wish).expect("redirect"));
        }
        match &ask.csr {
            Csr::Able => Answer::WantsCsr.write(),
            Csr::Made(der) => {
                assert_eq!(artefact::requested(der).as_deref(), Some("BX-1"));
                let text = "[[bootstrap.file]]\nname = \"hub.pem\"\ntext = \"PEM\"\n[notify]\nca = \"{files}/hub.pem\"\n";
                let wish = Wish { configuration: Some((Handling::Merge, text.into())), ..wish() };
                data(maker.factory().artefacts(&wish).expect("onboarding"))
            }
            Csr::None => panic!("a trusted server is told of it"),
        }
    };
    let s = serve(&b, Box::new(answers), fine);
    *port.lock().expect("port") = (s.port, s.own.clone());
    // Unsigned redirects come first: to nobody, and to the server, whose anchor counts for nothing there.
    let list = format!(
        r#"{{"ietf-sztp-conveyed-info:redirect-information": {{"bootstrap-server": [{{"address": "127.0.0.1", "port": 1}}, {{"address": "localhost", "port": {}, "trust-anchor": "AAAA"}}]}}}}"#,
        s.port
    );
    let first = serve(&b, Box::new(move |_| data(bare(&list))), |_| panic!("a stranger hears nothing"));
    let option = format!("https://localhost:{}", first.port);
    let option = [&u16::try_from(option.len()).expect("short").to_be_bytes()[..], option.as_bytes()].concat();
    let dhcp = move || vec![Offered { from: "DHCPv4 on lan0".into(), option: option.clone() }];
    let sources = Sources { media: vec![b.file("no-stick")], dhcp: Some(Box::new(dhcp)), servers: Vec::new(), passed: Vec::new() };
    let status = go(&b, &sources).expect("bootstrapped");
    assert_eq!((status.state, status.source.as_str()), (State::Bootstrapped, format!("https://localhost:{}", s.port).as_str()));
    assert_eq!(first.heard(), ["ask signed-data-preferred"]);
    assert_eq!(
        s.heard(),
        [
            "ask signed-data-preferred",
            "ask os-name csr-support",
            "ask os-name csr",
            "bootstrap-initiated",
            "parsing-initiated",
            "parsing-complete",
            "config-initiated",
            "config-complete",
            "bootstrap-complete"
        ]
    );
    let passed = status.passed.join("; ");
    assert!(
        passed.contains("there is no conveyed-information.cms") && passed.contains("127.0.0.1:1 (untrusted): no connection"),
        "{passed}"
    );
    let files = b.place().state.join(&status.files);
    let config = crate::config::Config::check(&b.config()).expect("sound");
    assert_eq!((config.notify.ca, fs::read_to_string(files.join("hub.pem")).expect("file").as_str()), (files.join("hub.pem"), "PEM"));
    assert!(fs::read_to_string(files.join("operational.key")).expect("key").contains("PRIVATE KEY"));
    refused(go(&b, &sources), "has been bootstrapped");
}

#[test]
fn a_trusted_server_hears_what_must_be_said_and_what_fails_takes_back_what_was_changed() {
    if !needs(&["openssl"]) {
        return;
    }
    let script = Some(b"#!/bin/sh\necho broken; exit 255\n".to_vec());
    let failing = Wish { after: script, ..wish() };
    let silent: fn(&str) -> u16 = |_| 500;
    let not_the_last: fn(&str) -> u16 = |word| if word == "bootstrap-complete" { 200 } else { 204 };
    for (name, wish, told, why, heard) in [
        (
            "script",
            failing,
            fine as fn(&str) -> u16,
            "post-configuration script failed: broken",
            &["bootstrap-initiated", "post-script-error", "bootstrap-error"][..],
        ),
        ("no begin", wish(), silent, "has not taken the progress report: it answered 500", &["bootstrap-initiated", "bootstrap-error"]),
        ("no end", wish(), not_the_last, "it answered 200, and not 204", &["bootstrap-initiated", "bootstrap-complete", "bootstrap-error"]),
    ] {
        let b = Bench::new();
        let was = b.config();
        let good = b.factory().artefacts(&wish).expect("data");
        let s = serve(&b, Box::new(move |_| Answer::Data { data: good.clone(), verbose: false }.write()), told);
        refused(go(&b, &servers(vec![s.trusted()])), why);
        let status = super::status::read(&b.place().state).expect("status");
        assert_eq!((status.state, b.config()), (State::Failed, was), "{name}");
        assert_eq!(s.heard()[1..], *heard, "{name}");
        assert!(!b.place().state.join(&status.files).exists(), "{name}: nothing of it is left");
        assert_eq!(words(&status).last().map(String::as_str), Some("bootstrap-error"), "{name}");
    }
}

/// Each thing that a box looks at where a server is concerned, and what it says where that is wrong.
#[test]
fn what_a_server_cannot_prove_is_passed_by_with_its_reason() {
    if !needs(&["openssl"]) {
        return;
    }
    let b = Arc::new(Bench::new());
    let was = b.config();
    let good = b.factory().artefacts(&wish()).expect("data");
    let other_box = b.factory().artefacts(&Wish { serial_number: "BX-2".into(), ..wish() }).expect("data");
    let other_nonce = b.factory().artefacts(&Wish { nonce: Some(vec![7; 32]), ..wish() }).expect("data");
    let foreign = Bench::new().factory().artefacts(&wish()).expect("data");
    let torn = Artefacts { voucher: None, ..good.clone() };
    let fixed = |answer: (u16, Vec<u8>)| -> Answers { Box::new(move |_| answer.clone()) };
    let elsewhere = Der(rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("cert").cert.der().to_vec());
    type At2 = fn(&Server) -> At;
    let (stranger, trusted): (At2, At2) = (Server::stranger, Server::trusted);
    let by_address: At2 = |s| At { address: "127.0.0.1".into(), ..s.trusted() };
    let cases: Vec<(&str, Answers, At2)> = vec![
        ("onboarding information that nobody has signed", fixed(data(bare(ONBOARDING))), stranger),
        ("for the device 'BX-2'", fixed(data(other_box.clone())), stranger),
        ("not the manufacturer's", fixed(data(foreign)), stranger),
        ("answers another request", fixed(data(other_nonce)), stranger),
        ("come together", fixed(data(torn)), stranger),
        // What is signed and does not hold is not believed of a trusted server either.
        ("for the device 'BX-2'", fixed(data(other_box)), trusted),
        ("no CMS structure", fixed(data(Artefacts { conveyed: b"junk".to_vec(), ..Artefacts::default() })), trusted),
        ("answered 404", fixed((404, Vec::new())), trusted),
        ("no JSON object", fixed((200, b"<output/>".to_vec())), stranger),
        ("has had its answer", fixed(Answer::WantsCsr.write()), trusted),
        ("and it was offered none", fixed(Answer::WantsCsr.write()), stranger),
        ("not valid for name", fixed(data(good.clone())), by_address),
    ];
    for (why, answers, at) in cases {
        let s = serve(&b, answers, fine);
        refused(go(&b, &servers(vec![at(&s)])), why);
        assert_eq!(b.config(), was, "{why}");
    }
    let s = serve(&b, fixed(data(good)), fine);
    refused(go(&b, &servers(vec![At { anchors: vec![elsewhere], ..s.stranger() }])), "does not lead to the trust anchor");
    assert!(s.heard().is_empty(), "{:?}", s.heard());
    // The right one, after all of these: signed by the owner, so it need not be trusted.
    assert_eq!(go(&b, &servers(vec![s.stranger()])).expect("bootstrapped").state, State::Bootstrapped);
    assert_eq!(s.heard(), ["ask signed-data-preferred"]);
}

#[test]
fn a_redirect_that_leads_back_is_followed_once_and_a_box_without_identity_asks_nobody() {
    if !needs(&["openssl"]) {
        return;
    }
    let b = Bench::new();
    let port = Arc::new(Mutex::new(0));
    let own = port.clone();
    let back = move |_: &Ask| {
        let port = own.lock().expect("port");
        data(bare(&format!(
            r#"{{"ietf-sztp-conveyed-info:redirect-information": {{"bootstrap-server": [{{"address": "localhost", "port": {port}}}]}}}}"#
        )))
    };
    let s = serve(&b, Box::new(back), fine);
    *port.lock().expect("port") = s.port;
    refused(go(&b, &servers(vec![s.stranger()])), "was asked already");
    assert_eq!(s.heard().len(), 1);
    fs::remove_file(b.place().identity.join("idevid.pem")).expect("removed");
    refused(go(&b, &servers(vec![s.stranger()])), "has no idevid.pem");
    assert_eq!(s.heard().len(), 1);
    // A file of anchors with none in it makes no stranger of a server.
    let empty: Utf8PathBuf = b.file("empty.pem");
    fs::write(&empty, "").expect("written");
    assert!(certificates("").expect("none").is_empty());
    let config = crate::config::Config::check(&format!("[[ztp.server]]\naddress = \"localhost:1\"\nca = \"{empty}\"\n")).expect("config");
    let all = Sources::of(&config.ztp);
    assert!(all.servers.is_empty() && all.passed.len() == 1 && all.passed[0].contains("holds no certificate"), "{:?}", all.passed);
    // And it alone: the others are asked.
    let b = Bench::new();
    let good = b.factory().artefacts(&wish()).expect("data");
    let s = serve(&b, Box::new(move |_| data(good.clone())), fine);
    let status = go(&b, &Sources { servers: vec![s.stranger()], dhcp: None, ..all }).expect("bootstrapped");
    assert!(status.passed[0].contains("holds no certificate"), "{:?}", status.passed);
}

#[test]
fn what_changes_on_the_box_while_servers_are_asked_stays() {
    if !needs(&["openssl"]) {
        return;
    }
    const EDIT: &str = "[log]\nlevel = \"warn\"\n";
    // An operator writes the configuration, and the server has nothing, or what fails.
    let failing = Wish { after: Some(b"#!/bin/sh\nexit 255\n".to_vec()), ..wish() };
    for (wish, why) in [(None, "answered 404"), (Some(failing), "post-configuration script failed")] {
        let b = Bench::new();
        let (config, good) = (b.place().config, wish.map(|w| b.factory().artefacts(&w).expect("data")));
        let answers = move |_: &Ask| {
            fs::write(&config, EDIT).expect("an edit");
            good.clone().map_or((404, Vec::new()), data)
        };
        let s = serve(&b, Box::new(answers), fine);
        refused(go(&b, &servers(vec![s.stranger()])), why);
        assert_eq!(b.config(), EDIT, "{why}");
    }
    // Somebody claims the box.
    let b = Bench::new();
    let (was, good, claimed) = (b.config(), b.factory().artefacts(&wish()).expect("data"), Arc::new(AtomicBool::new(false)));
    let by = claimed.clone();
    let answers = move |_: &Ask| {
        by.store(true, Ordering::Relaxed);
        data(good.clone())
    };
    let (s, other) = (serve(&b, Box::new(answers), fine), serve(&b, Box::new(|_| (404, Vec::new())), fine));
    let place = b.place();
    let running = Running { name: "bothy".into(), version: "1.0".into() };
    let go_on = || !claimed.load(Ordering::Relaxed);
    let run = Run { place: &place, running, sandbox: Sandbox::None, told: &mut |_| {}, go_on: &go_on };
    refused(run.from_sources(&servers(vec![s.stranger(), other.stranger()])), "has an account meanwhile");
    let status = super::status::read(&place.state).expect("status");
    assert_eq!((status.state, b.config(), other.heard().len()), (State::Failed, was, 0));
}

#[test]
fn a_request_names_the_serial_number_whatever_is_in_it() {
    if !needs(&["openssl"]) {
        return;
    }
    let b = Bench::new();
    for serial in ["BX-1", "A/CN=b+c, d"] {
        let der = super::network::request(&b.place().identity, serial).expect("request");
        assert_eq!(artefact::requested(&der).as_deref(), Some(serial));
    }
}
