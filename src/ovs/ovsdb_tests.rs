//! The client against a server that the test plays itself, one byte at a time where it hurts.

use std::os::unix::net::UnixListener;

use uuid::Uuid;

use super::*;
use crate::{model::error::Kind, ovs::rows::Table};

/// The other end: accepts one connection after the other on a socket of its own.
struct Fake {
    _dir: tempfile::TempDir,
    listener: UnixListener,
}

struct Session {
    stream: UnixStream,
    framer: Framer,
}

fn root_id() -> Uuid {
    Uuid::from_u128(42)
}

fn root_row(cur_cfg: i64) -> Value {
    json!({"bridges": ["set", []], "next_cfg": cur_cfg, "cur_cfg": cur_cfg, "datapath_types": ["set", ["netdev"]],
           "dpdk_initialized": false, "ovs_version": ["set", []], "other_config": ["map", []]})
}

fn root_update(cur_cfg: i64) -> Value {
    json!({"Open_vSwitch": {root_id().to_string(): {"new": root_row(cur_cfg)}}})
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

impl Fake {
    fn new() -> (Fake, Ovsdb) {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("db.sock");
        let listener = UnixListener::bind(&path).expect("bind");
        (Fake { _dir: dir, listener }, Ovsdb::open(path).expect("open"))
    }

    /// Takes the next connection and answers its monitor request.
    fn session(&self) -> Session {
        let (stream, _) = self.listener.accept().expect("accept");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("limit");
        let mut s = Session { stream, framer: Framer::default() };
        let monitor = s.read();
        assert_eq!(monitor["method"], "monitor");
        assert!(monitor["params"][2]["Interface"]["columns"].as_array().is_some_and(|c| c.contains(&json!("error"))));
        s.write(&json!({"id": monitor["id"], "error": null, "result": root_update(0)}));
        s
    }
}

impl Session {
    fn read(&mut self) -> Value {
        let mut buf = [0u8; 4096];
        loop {
            if let Some(m) = self.framer.next_message().expect("valid") {
                return serde_json::from_slice(&m).expect("json");
            }
            let n = self.stream.read(&mut buf).expect("read");
            assert!(n > 0, "the client hung up");
            self.framer.feed(&buf[..n]);
        }
    }
    fn write(&mut self, v: &Value) {
        self.stream.write_all(v.to_string().as_bytes()).expect("write");
    }
    fn write_slowly(&mut self, v: &Value) {
        for b in v.to_string().as_bytes() {
            self.stream.write_all(&[*b]).expect("write");
        }
    }
}

#[test]
fn answers_find_their_requests_in_any_order_and_any_pieces() {
    let (fake, db) = Fake::new();
    let mut s = fake.session();
    std::thread::scope(|scope| {
        let calls: Vec<_> = ["one", "two"]
            .map(|what| {
                (
                    what,
                    scope.spawn({
                        let db = &db;
                        move || db.transact(&Txn::new(what), soon())
                    }),
                )
            })
            .into_iter()
            .collect();
        let mut requests = [s.read(), s.read()];
        requests.reverse();
        for r in &requests {
            let failed = r["params"][1]["comment"] == "bothy: two";
            let result = if failed { json!([{"error": "constraint violation"}]) } else { json!([{}]) };
            s.write_slowly(&json!({"id": r["id"], "error": null, "result": result}));
        }
        for (what, call) in calls {
            let got = call.join().expect("no panic");
            assert_eq!(got.is_err(), what == "two", "{what}: {got:?}");
        }
    });
}

#[test]
fn a_change_is_done_only_when_vswitchd_says_so() {
    let (fake, db) = Fake::new();
    let mut s = fake.session();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| db.apply(Txn::new("x"), soon()));
        let r = s.read();
        assert_eq!(r["params"][2]["mutations"][0], json!(["next_cfg", "+=", 1]));
        s.write(&json!({"id": r["id"], "error": null, "result": [{}, {"count": 1}, {"rows": [{"next_cfg": 8}]}]}));
        s.write(&json!({"id": null, "method": "update", "params": ["mirror", root_update(7)]}));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!call.is_finished(), "7 is not 8");
        s.write(&json!({"id": null, "method": "update", "params": ["mirror", root_update(8)]}));
        call.join().expect("no panic").expect("applied");
    });
}

#[test]
fn deadlines_hold_when_the_server_or_vswitchd_is_silent() {
    let (fake, db) = Fake::new();
    let mut s = fake.session();
    let short = || Instant::now() + Duration::from_millis(50);
    let e = db.transact(&Txn::new("add port p"), short()).expect_err("no answer");
    assert_eq!((e.kind(), e.text()), (Kind::Transient, "add port p: the Open vSwitch database did not answer in time"));
    let late = s.read();
    s.write(&json!({"id": late["id"], "error": null, "result": [{}]}));
    std::thread::scope(|scope| {
        let call = scope.spawn(|| db.apply(Txn::new("add port p"), Instant::now() + Duration::from_millis(200)));
        let r = s.read();
        s.write(&json!({"id": r["id"], "error": null, "result": [{}, {}, {"rows": [{"next_cfg": 1}]}]}));
        let e = call.join().expect("no panic").expect_err("never applied");
        assert!(e.is_transient() && e.text().contains("ovs-vswitchd"), "{e}");
    });
}

#[test]
fn a_lost_connection_fails_what_is_under_way_and_comes_back_by_itself() {
    let (fake, db) = Fake::new();
    let mut s = fake.session();
    let changes = db.subscribe();
    db.wait_up(soon()).expect("up");
    std::thread::scope(|scope| {
        let call = scope.spawn(|| db.transact(&Txn::new("x"), soon()));
        s.read();
        drop(s);
        let e = call.join().expect("no panic").expect_err("lost");
        assert!(e.is_transient(), "{e:?}");
    });
    let mut s = fake.session();
    let epochs: Vec<u64> = changes.iter().filter_map(|c| if let Change::Up { epoch } = c { Some(epoch) } else { None }).take(2).collect();
    assert_eq!(epochs, [1, 2]);
    s.write(&json!({"id": "probe", "method": "echo", "params": ["hi"]}));
    assert_eq!(s.read(), json!({"id": "probe", "result": ["hi"], "error": null}));
}

#[test]
fn nonsense_and_refusals_end_the_session_not_the_client() {
    for nonsense in ["HTTP/1.1 400 Bad Request\r\n", "{\"id\":null,\"method\":\"update\",\"params\":[]}", "{\"a\":}"] {
        let (fake, db) = Fake::new();
        let mut s = fake.session();
        db.wait_up(soon()).expect("up");
        let changes = db.subscribe();
        s.stream.write_all(nonsense.as_bytes()).expect("write");
        assert!(changes.iter().any(|c| matches!(c, Change::Down { .. })), "{nonsense}");
        let mut s = fake.session();
        db.wait_up(soon()).expect("up again");
        s.write(&json!({"id": null, "method": "update", "params": ["mirror", root_update(3)]}));
        db.wait_for(soon(), "cur_cfg 3", |m| m.root().filter(|(_, r)| r.cur_cfg == 3).map(|_| ())).expect("still listening");
    }
}

#[test]
fn without_a_server_the_fault_names_the_socket_and_the_program() {
    let dir = tempfile::tempdir().expect("dir");
    let db = Ovsdb::open(dir.path().join("db.sock")).expect("open");
    let e = db.transact(&Txn::new("x"), Instant::now() + Duration::from_millis(100)).expect_err("no server");
    assert!(e.is_transient() && e.text().contains("db.sock") && e.text().contains("ovsdb-server"), "{e}");
}

#[test]
fn listeners_hear_of_rows_by_name() {
    let (fake, db) = Fake::new();
    let mut s = fake.session();
    db.wait_up(soon()).expect("up");
    let changes = db.subscribe();
    assert_eq!(changes.recv().ok(), Some(Change::Up { epoch: 1 }));
    let port = json!({"name": "p", "interfaces": ["set", []], "tag": 5, "trunks": ["set", []], "vlan_mode": ["set", []], "cvlans": ["set", []], "bond_mode": ["set", []],
                      "lacp": ["set", []], "other_config": ["map", []],
                      "protected": false, "external_ids": ["map", []]});
    s.write(&json!({"id": null, "method": "update", "params": ["mirror", {"Port": {Uuid::from_u128(1).to_string(): {"new": port}}}]}));
    let want = RowChange { table: Table::Port, name: "p".into(), what: crate::ovs::What::Added };
    assert_eq!(changes.recv().ok(), Some(Change::Rows(vec![want])));
}
