//! Daemons that talk to each other: a blocking client for each, over TLS on the loopback.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
};

use rustls::{ClientConnection, StreamOwned};
use serde_json::Value;

use crate::{
    daemon::BOTHY,
    declared::unlike_anywhere,
    rig::{Reply, gullible, parse},
};

/// An administrator's token, got over the UNIX socket.
pub fn token(dir: &Path) -> String {
    let v = cli(dir, &["token", "create", "--label", "test", "--account", "admin"]);
    v["token"].as_str().unwrap_or_else(|| panic!("{v:#}")).to_owned()
}

/// `bothy ARGS` on the box in that folder; what it printed.
pub fn cli(dir: &Path, args: &[&str]) -> Value {
    let o = run(dir, args);
    assert!(o.status.success(), "{args:?}: {o:?}");
    serde_json::from_slice(&o.stdout).unwrap_or(Value::Null)
}

pub fn run(dir: &Path, args: &[&str]) -> std::process::Output {
    let socket = dir.join("run/bothy.sock").display().to_string();
    Command::new(BOTHY).args(["--socket", &socket, "--json"]).args(args).env_clear().output().expect("run")
}

/// One request, over a connection of its own; the reply is held against what is declared of it.
pub fn https(port: u16, token: &str, line: &str, body: &str) -> Reply {
    let tls = ClientConnection::new(gullible(), "localhost".try_into().expect("name")).expect("tls");
    let tcp = TcpStream::connect(("127.0.0.1", port)).expect("tcp");
    let mut s = StreamOwned::new(tls, tcp);
    let mut all = format!("{line} HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n");
    if !body.is_empty() {
        all += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    }
    s.write_all(format!("{all}\r\n{body}").as_bytes()).expect("write");
    let mut raw = Vec::new();
    let _ = s.read_to_end(&mut raw);
    let r = parse(&raw);
    let (method, path) = line.split_once(' ').expect("method and path");
    let faults = unlike_anywhere(method, path, r.status, &r.head, &r.bytes);
    assert!(faults.is_empty(), "a reply that is not as declared: {faults:#?}");
    r
}
