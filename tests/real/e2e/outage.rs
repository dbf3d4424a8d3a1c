//! What the daemon stands on dies in the middle of an operation, and comes back.

use std::time::Duration;

use serde_json::json;

use super::Pair;
use crate::kit::{
    self,
    bothy::{NEEDS, text, within},
    host::{Host, With},
};

/// Kills one of the host's daemons as an operation begins; while it is away the operation waits and
/// says for what, and it completes when it is back.
fn outage(kill: &str, begin: &str, condition: &str) {
    if kit::lacks(&NEEDS) {
        return;
    }
    let mut host = Host::start(With::Switch);
    host.serve();
    host.reconciled();
    Pair::onboard(&host);
    let pair = Pair::create(&host, "site");
    for up in [true, false] {
        // In the middle of the first, and before the second is asked for.
        let op = if up { pair.instantiate(&host) } else { String::new() };
        host.tell(kill);
        let op = if up { op } else { pair.terminate(&host) };
        within("the health page tells", Duration::from_secs(30), || Some(()).filter(|()| host.condition(condition).0 == "FAILED"));
        assert_eq!(text(&host.get(&op), "operationState"), "PROCESSING");
        within("a step tells what it waits for", Duration::from_secs(30), || waits(&host, &op));
        host.tell(begin);
        host.completed(&op);
    }
    host.delete(&pair.path);
    host.nothing_left();
    assert_eq!(host.get("/nslcm/v2/ns_instances"), json!([]));
}

/// What some step of the operation, or of one of its VNFs', waits for.
fn waits(host: &Host, op: &str) -> Option<String> {
    let all = host.get("/vnflcm/v2/vnf_lcm_op_occs");
    let vnfs = all.as_array().into_iter().flatten().map(|o| text(o, "id").to_owned());
    let ids = vnfs.chain(op.rsplit('/').next().map(str::to_owned));
    let why = |id: String| {
        let t = host.get(&format!("/bothy/v1/operations/{id}/timeline"));
        let steps = t["steps"].as_array().cloned().unwrap_or_default();
        steps.iter().find(|s| s["state"] == "WAITING").and_then(|s| s["why"].as_str().map(str::to_owned))
    };
    ids.filter_map(why).find(|w| !w.is_empty())
}

#[test]
fn libvirt_is_killed_in_the_middle_and_comes_back() {
    outage("kill", "begin", "libvirt");
}

#[test]
fn the_switch_s_database_is_killed_in_the_middle_and_comes_back() {
    outage("kill-database", "begin-database", "openvswitch");
}

#[test]
fn the_switch_daemon_is_killed_in_the_middle_and_comes_back() {
    outage("kill-switch", "begin-switch", "openvswitch");
}
