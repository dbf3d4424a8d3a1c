//! Packages that a central NFVO has and this box has not: fetched when a VNF of one is made. The NFVO is stood in for by a server on
//! the loopback that can be wrong in each way that matters; `central_pair` has a real one.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    identity::{bare, bearer, user},
    kit::build,
    rig::{Reply, Rig, rig},
};

const INSTANCES: &str = "/vnflcm/v2/vnf_instances";
const PACKAGES: &str = "/vnfpkgm/v2/vnf_packages";

/// How the stand-in behaves.
#[derive(Default)]
struct Manner {
    vnfd: String,
    info: Value,
    content: Vec<u8>,
    /// Bytes after which each of the next answers with content breaks off.
    breaks: Vec<usize>,
    ranges: bool,
    /// What breaks off does so by silence.
    silent: bool,
    status: u16,
    /// `PATH` or `PATH RANGE`, as they came.
    asked: Vec<String>,
}

#[derive(Clone)]
struct Nfvo {
    addr: SocketAddr,
    manner: Arc<Mutex<Manner>>,
}

impl Nfvo {
    async fn start(content: &[u8], vnfd: &str) -> Nfvo {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let manner = Manner {
            vnfd: vnfd.into(),
            info: json!({"id": "p-1", "vnfdId": vnfd, "checksum": {"algorithm": "SHA-256", "hash": hex(&Sha256::digest(content))},
                "onboardingState": "ONBOARDED", "operationalState": "ENABLED", "usageState": "NOT_IN_USE", "vnfmInfo": [], "_links": {}}),
            content: content.to_vec(),
            ranges: true,
            status: 200,
            ..Manner::default()
        };
        let n = Nfvo { addr: listener.local_addr().expect("address"), manner: Arc::new(Mutex::new(manner)) };
        let of = n.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(of.clone().talk(tcp));
            }
        });
        n
    }

    fn with(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.manner.lock().expect("lock"));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.manner.lock().expect("lock").asked)
    }

    async fn talk(self, mut tcp: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(b) = tcp.read_u8().await else { return };
            head.push(b);
        }
        let answer = self.answer(&String::from_utf8(head).expect("text"));
        let _ = tcp.write_all(&answer).await;
        let silent = {
            let m = self.manner.lock().expect("lock");
            m.silent && !answer.ends_with(&m.content[m.content.len() - 100..]) && answer.windows(13).any(|w| w == b"accept-ranges")
        };
        if silent {
            // Until the other side has had enough.
            let _ = tcp.read_u8().await;
        }
        let _ = tcp.shutdown().await;
    }

    fn answer(&self, head: &str) -> Vec<u8> {
        let mut m = self.manner.lock().expect("lock");
        let path = head.split(' ').nth(1).expect("a path").to_owned();
        let range = head.lines().find_map(|l| l.to_lowercase().strip_prefix("range: ").map(str::to_owned));
        m.asked.push(range.as_ref().map_or(path.clone(), |r| format!("{path} {r}")));
        let plain = |status: u16, body: &str| {
            format!("HTTP/1.1 {status} S\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into_bytes()
        };
        let of = format!("/orch/vnfpkgm/v2/onboarded_vnf_packages/{}", m.vnfd);
        if m.status != 200 {
            return plain(m.status, &json!({"status": m.status, "detail": "so it is"}).to_string());
        }
        if path == of {
            return plain(200, &m.info.to_string());
        }
        if path != format!("{of}/package_content") {
            return plain(404, "{}");
        }
        let from: usize = range.filter(|_| m.ranges).map_or(0, |r| r["bytes=".len()..].trim_end_matches('-').parse().expect("a number"));
        let all = m.content.len();
        let mut out = format!("HTTP/1.1 {} S\r\ncontent-length: {}\r\nconnection: close\r\n", if from > 0 { 206 } else { 200 }, all - from);
        if m.ranges {
            out += "accept-ranges: bytes\r\netag: \"one\"\r\n";
        }
        if from > 0 {
            out += &format!("content-range: bytes {from}-{}/{all}\r\n", all - 1);
        }
        let to = if m.breaks.is_empty() { all } else { (from + m.breaks.remove(0)).min(all) };
        [format!("{out}\r\n").as_bytes(), &m.content[from..to]].concat()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

struct Edge {
    rig: Rig,
    nfvo: Nfvo,
    token: String,
    vnfd: String,
}

impl Edge {
    /// Nothing is onboarded on it.
    async fn new(config: &str) -> Edge {
        // However slow the machine is, it is waited for.
        let rig = rig(64, &format!("[lcm]\npackage_wait_s = 600\n{config}")).await;
        let archive = build("descriptors/vcpe/vcpe-web");
        // What the package says of itself.
        let at = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
        let vnfd = at["vnfdId"].as_str().expect("vnfdId").to_owned();
        let one = format!("{PACKAGES}/{}", at["id"].as_str().expect("id"));
        assert_eq!(rig.patch(&one, &[], json!({"operationalState": "DISABLED"})).await.status, 200);
        assert_eq!(rig.delete(&one).await.status, 204);
        let nfvo = Nfvo::start(&archive, &vnfd).await;
        let token = user(&rig, "orch", "nfvo", "default").await;
        let root = json!({"apiRoot": format!("http://{}/orch/", nfvo.addr)});
        let set = rig.ask("PUT /bothy/v1/nfvos/orch", &["content-type: application/json"], &root.to_string()).await;
        assert_eq!(set.status, 200, "{}", set.body);
        Edge { rig, nfvo, token, vnfd }
    }

    async fn create(&self) -> Reply {
        let ask = json!({"vnfdId": self.vnfd}).to_string();
        bare(&self.rig, &format!("POST {INSTANCES}"), &[&bearer(&self.token), "content-type: application/json"], &ask).await
    }

    async fn packages(&self) -> Vec<Value> {
        self.rig.show(PACKAGES).await.as_array().expect("a list").clone()
    }

    /// `path` of its package at the NFVO.
    fn at(&self, rest: &str) -> String {
        format!("/orch/vnfpkgm/v2/onboarded_vnf_packages/{}{rest}", self.vnfd)
    }

    /// Refused, and no VNF was made; what the package says of it.
    async fn refused(&self, status: u16, says: &str) -> Option<Value> {
        let r = self.create().await;
        assert_eq!(r.status, status, "{says}: {}", r.body);
        assert_eq!(r.header("retry-after").is_some(), status == 503, "{}", r.head);
        let detail = r.problem() + &r.body;
        assert!(detail.contains(says) && detail.contains("NFVO orch"), "{says}: {detail}");
        assert_eq!(self.rig.show(INSTANCES).await, json!([]));
        self.packages().await.pop()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_nfvo_does_not_give_is_told_and_leaves_nothing_behind() {
    let b = Edge::new("").await;
    let info = |n: &Nfvo| n.manner.lock().expect("lock").info.clone();
    let right = info(&b.nfvo);
    for (status, says, want) in
        [(401, "credentials", 422), (403, "so it is", 422), (404, "so it is", 422), (500, "so it is", 503), (406, "(406)", 422)]
    {
        b.nfvo.with(|m| m.status = status);
        assert_eq!(b.refused(want, says).await, None, "{status}");
    }
    b.nfvo.with(|m| m.status = 200);
    for (member, value, says) in [
        ("checksum", Value::Null, "no checksum"),
        ("checksum", json!({"algorithm": "MD5", "hash": "00"}), "'MD5'"),
        ("operationalState", json!("DISABLED"), "disabled there"),
        ("vnfdId", json!("another"), "'another'"),
        ("id", Value::Null, "cannot be read"),
    ] {
        b.nfvo.with(|m| m.info[member] = value);
        assert_eq!(b.refused(422, says).await, None, "{member}");
        b.nfvo.with(|m| m.info = right.clone());
    }
    // Whoever is no central NFVO is told what is here, and nobody is asked.
    b.nfvo.asked();
    let r = b.rig.post(INSTANCES, json!({"vnfdId": b.vnfd})).await;
    assert_eq!(r.status, 422, "{}", r.body);
    assert_eq!(b.nfvo.asked(), Vec::<String>::new());
    assert_eq!(b.create().await.status, 201);
    assert_eq!(b.nfvo.asked(), [b.at(""), b.at("/package_content")]);
    assert_eq!(b.create().await.status, 201);
    assert_eq!((b.nfvo.asked(), b.packages().await.len()), (Vec::new(), 1), "it is here");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_is_held_against_the_checksum_and_the_vnfd_that_was_asked_for() {
    let b = Edge::new("[limits]\nupload_mib = 1\n").await;
    let archive = b.nfvo.manner.lock().expect("lock").content.clone();
    let failed = |p: Option<Value>| {
        let p = p.expect("a package");
        assert_eq!(p["onboardingState"], "ERROR", "{p:#}");
    };
    b.nfvo.with(|m| m.info["checksum"]["hash"] = json!("0".repeat(64)));
    failed(b.refused(422, "SHA-256").await);
    // More than any upload may have.
    b.nfvo.with(|m| m.content = vec![0; (1 << 20) + 1]);
    failed(b.refused(422, "1 MiB").await);
    // Another package than was asked for, whole and with its own checksum.
    let other = build("descriptors/vcpe/vcpe-client");
    b.nfvo.with(|m| {
        m.info["checksum"]["hash"] = json!(hex(&Sha256::digest(&other)));
        m.content = other;
    });
    failed(b.refused(422, "and what it sent has").await);
    // The next try has it, by another digest; of all of them there is one package.
    b.nfvo.with(|m| {
        m.info["checksum"] = json!({"algorithm": "sha-512", "hash": hex(&Sha512::digest(&archive)).to_uppercase()});
        m.content = archive;
    });
    let made = b.create().await;
    assert_eq!((made.status, b.packages().await.len()), (201, 1), "{}", made.body);
    assert_eq!(std::fs::read_dir(b.rig.config_path.with_file_name("data/uploads")).map(Iterator::count).unwrap_or(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_breaks_off_is_gone_on_with_by_ranges_or_begun_anew() {
    let b = Edge::new("").await;
    let size = b.nfvo.manner.lock().expect("lock").content.len();
    // Where there are no ranges it is over; the next try begins from nothing.
    b.nfvo.with(|m| (m.ranges, m.breaks) = (false, vec![100]));
    let p = b.refused(503, "after 100 bytes").await.expect("a package");
    assert_eq!(p["onboardingState"], "ERROR", "{p:#}");
    assert_eq!(b.nfvo.asked(), [b.at(""), b.at("/package_content")]);
    // With them it goes on, over as many connections as it takes.
    b.nfvo.with(|m| (m.ranges, m.breaks) = (true, vec![100, 0, 50]));
    let made = b.create().await;
    assert_eq!(made.status, 201, "{}", made.body);
    let content = b.at("/package_content");
    let parts = [format!("{content} bytes=100-"), format!("{content} bytes=100-"), format!("{content} bytes=150-")];
    assert_eq!(b.nfvo.asked(), [vec![b.at(""), content], parts.to_vec()].concat());
    let all = b.packages().await;
    assert_eq!((all.len(), &all[0]["id"], &all[0]["onboardingState"]), (1, &p["id"], &json!("ONBOARDED")), "the one that had failed");
    assert!(size > 1000, "{size}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_falls_silent_is_gone_on_with_before_the_idle_time_ends_it() {
    let b = Edge::new("[limits]\nidle_timeout_s = 3\n").await;
    b.nfvo.with(|m| (m.ranges, m.silent, m.breaks) = (true, true, vec![100, 0, 0, 50]));
    let made = b.create().await;
    assert_eq!(made.status, 201, "{}", made.body);
    let content = b.at("/package_content");
    let from = |at: u32| format!("{content} bytes={at}-");
    assert_eq!(b.nfvo.asked(), [b.at(""), content.clone(), from(100), from(100), from(100), from(150)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_fetched_on_demand_into_the_project_of_its_nfvo() {
    let b = Edge::new("").await;
    let at = "/bothy/v1/nfvos/orch/packages";
    let r = b.rig.post(at, json!({"vnfdId": "nobody/knows it"})).await;
    assert_eq!(r.status, 422, "{}", r.body);
    assert_eq!(b.nfvo.asked(), ["/orch/vnfpkgm/v2/onboarded_vnf_packages/nobody%2Fknows%20it"]);
    assert_eq!(b.rig.post("/bothy/v1/nfvos/nobody/packages", json!({"vnfdId": b.vnfd})).await.status, 404);
    let mut there = Vec::new();
    for _ in 0..2 {
        let r = b.rig.post(at, json!({"vnfdId": b.vnfd})).await;
        assert_eq!((r.status, r.body.as_str()), (202, ""), "{}", r.body);
        there.push(r.header("location").expect("location").to_owned());
    }
    assert_eq!(there[0], there[1], "it is fetched once");
    let p = b.rig.settled(&there[0], "onboardingState", &["UPLOADING", "PROCESSING"]).await;
    assert_eq!((&p["onboardingState"], &p["vnfdId"]), (&json!("ONBOARDED"), &json!(b.vnfd)), "{p:#}");
    // With the package goes where it came from: it can be fetched again.
    assert_eq!(b.rig.patch(&there[0], &[], json!({"operationalState": "DISABLED"})).await.status, 200);
    assert_eq!(b.create().await.status, 422, "what is here is disabled");
    assert_eq!(b.rig.delete(&there[0]).await.status, 204);
    assert_eq!(b.create().await.status, 201);
}
