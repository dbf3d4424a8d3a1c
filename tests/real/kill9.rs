//! SIGKILL for the daemon at many moments of bringing a service up and taking it down: no request
//! that was acknowledged is lost, and nothing stays behind that no record knows.
//!
//! A few moments by default; `BOTHY_LONG=1` sweeps many.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    e2e::{Pair, instantiate_request},
    kit::{
        self,
        bothy::{NEEDS, http, text},
        host::{Host, With},
    },
};

fn moments() -> u32 {
    if std::env::var("BOTHY_LONG").is_ok() { 16 } else { 4 }
}

/// How long the operation takes when nobody disturbs it.
fn undisturbed(host: &mut Host) -> (Duration, Duration) {
    let pair = Pair::create(host, "first");
    let begun = Instant::now();
    host.completed(&pair.instantiate(host));
    let up = begun.elapsed();
    let begun = Instant::now();
    host.completed(&pair.terminate(host));
    let down = begun.elapsed();
    host.delete(&pair.path);
    host.nothing_left();
    (up, down)
}

/// Sends a request and kills the daemon so long after that; the operation, if it was acknowledged.
fn killed_after(host: &mut Host, path: &str, body: &Value, after: Duration) -> Option<String> {
    let (socket, path, body) = (host.socket(), path.to_owned(), body.to_string());
    let asked = std::thread::spawn(move || http(&socket, "POST", &path, Some(("application/json", body.as_bytes()))));
    // The moment is what this test varies; nothing is waited for here.
    std::thread::sleep(after);
    host.kill_bothy();
    let answer = asked.join().expect("asked").ok().filter(|a| a.status == 202)?;
    Some(answer.location.expect("names its operation"))
}

/// Early enough to hit the request itself.
const BEFORE_THE_ANSWER: Duration = Duration::from_millis(4);

/// The operation the service is in or went through last, whether or not its acknowledgement came.
fn last_of(host: &Host, pair: &Pair, kind: &str) -> Option<String> {
    let id = pair.path.rsplit('/').next().unwrap_or_default();
    let all = host.get("/nslcm/v2/ns_lcm_op_occs");
    let of = |o: &&Value| text(o, "nsInstanceId") == id && text(o, "lcmOperationType") == kind;
    let found = all.as_array()?.iter().find(of)?;
    Some(format!("/nslcm/v2/ns_lcm_op_occs/{}", text(found, "id")))
}

/// After the restart an acknowledged operation is there and completes; one that was not acknowledged
/// is there whole or not at all.
#[track_caller]
fn goes_on(host: &Host, pair: &Pair, acknowledged: Option<String>, kind: &str) -> bool {
    let found = last_of(host, pair, kind);
    if let Some(op) = &acknowledged {
        assert_eq!(found.as_ref(), Some(op), "an acknowledged request is lost");
    }
    if let Some(op) = &found {
        host.completed(op);
    }
    found.is_some()
}

#[test]
fn killed_at_any_moment_the_daemon_loses_no_request_and_leaves_nothing() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let mut host = Host::start(With::Switch);
    host.serve();
    host.reconciled();
    Pair::onboard(&host);
    let (up, down) = undisturbed(&mut host);
    println!("undisturbed: up in {} ms, down in {} ms", up.as_millis(), down.as_millis());
    let n = moments();
    for i in 0..n {
        let at = |whole: Duration| if i == 0 { BEFORE_THE_ANSWER } else { whole * i / n };
        println!(
            "round {i}: killed after {} ms of {}, {} ms of {}",
            at(up).as_millis(),
            up.as_millis(),
            at(down).as_millis(),
            down.as_millis()
        );
        let pair = Pair::create(&host, &format!("round-{i}"));
        let op = killed_after(&mut host, &pair.instantiation(), &instantiate_request(), at(up));
        host.serve();
        if !goes_on(&host, &pair, op, "INSTANTIATE") {
            host.completed(&pair.instantiate(&host));
        }
        assert_eq!(text(&host.get(&pair.path), "nsState"), "INSTANTIATED");
        let running = host.domains();
        assert!(running.len() == 2 && running.iter().all(|d| d.1 == "running"), "{running:?}");

        let request = pair.terminate_request(&host);
        let op = killed_after(&mut host, &pair.termination(), &request, at(down));
        host.serve();
        if !goes_on(&host, &pair, op, "TERMINATE") {
            host.completed(&pair.terminate(&host));
        }
        assert_eq!(text(&host.get(&pair.path), "nsState"), "NOT_INSTANTIATED");
        host.delete(&pair.path);
        host.nothing_left();
    }
    host.stop_bothy();
    for table in ["NS instance", "VNF instance", "segment", "reservation"] {
        assert_eq!(host.records(table), 0, "{table}");
    }
    assert_eq!(json!(host.domains()), json!([]));
}
