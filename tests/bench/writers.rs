//! Many clients that write at the same time: requests over TLS that each end with a record on the disk, and how many of
//! them share one barrier.

use std::{thread, time::Instant};

use serde_json::json;

use crate::{
    daemon::Daemon,
    get::{Client, trusting},
    table::{Goal, Row, long},
};

const CLIENTS: usize = 64;

/// What the daemon's store counts.
fn counted(daemon: &Daemon, what: &str) -> u64 {
    daemon.get("/bothy/v1/store")["databases"][0][what].as_u64().expect("a count")
}

/// Creates VNF instances, each client one after the other.
pub fn measure(daemon: &Daemon) -> Vec<Row> {
    let each = if long() { 100 } else { 20 };
    let config = trusting(&daemon.data.join("tls"));
    let body = json!({ "vnfdId": "e2e00001-0000-4000-8000-000000000001" }).to_string();
    let request = format!(
        "POST /vnflcm/v2/vnf_instances HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\naccept: application/json\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        daemon.token(),
        body.len()
    );
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(&config, daemon.port)).collect();
    let before = counted(daemon, "barriers");
    let begun = Instant::now();
    thread::scope(|s| {
        for c in &mut clients {
            s.spawn(|| {
                for _ in 0..each {
                    let answer = c.get(&request);
                    assert!(answer.starts_with(b"HTTP/1.1 201"), "{}", String::from_utf8_lossy(answer));
                }
            });
        }
    });
    let took = begun.elapsed().as_secs_f64();
    let all = (CLIENTS * each) as f64;
    let per = all / (counted(daemon, "barriers") - before) as f64;
    vec![
        Row::new(format!("POST vnf_instances of {CLIENTS} clients, per barrier"), "requests", per, None, Goal::AtLeast(10.0)),
        Row::new("the same", "requests/s", all / took, None, Goal::Shown),
    ]
}
