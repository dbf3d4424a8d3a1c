//! The shipped service by the command line alone: up, traffic through the firewall, consoles, down.

use std::time::Duration;

use serde_json::Value;

use crate::kit::{
    self,
    bothy::{NEEDS, shipped, text, within},
    host::{Host, With, tiny_image},
};

#[test]
fn the_shipped_service_comes_up_carries_traffic_and_leaves_nothing() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let Some(image) = tiny_image() else { return };
    let images = image.parent().expect("a folder").as_str();
    let folder = shipped("descriptors/vcpe").display().to_string();
    let mut host = Host::start(With::Switch);
    host.serve();
    host.reconciled();
    let plan = host.cli(&["up", &folder, "--images", images, "--name", "home", "--plan"]);
    assert!(plan.contains("10.10.0.0/24"), "{plan}");
    host.nothing_left();
    host.cli(&["up", &folder, "--images", images, "--name", "home", "--timeout", "300"]);

    let said = probe(&host);
    for line in [
        "page: Hello from the web server behind the firewall",
        "page6: Hello from the web server behind the firewall",
        "port 8080: blocked",
    ] {
        assert!(said.lines().any(|l| l == line), "{line} is missing in\n{said}");
    }
    // The port is open on the server itself: it is the firewall that blocks.
    assert!(host.fetch("10.10.0.12:8080", "/").is_some_and(|p| p.contains("Hello")));

    // Pages went by the chain of its VNFFG, there and back.
    within("the chain has counted them", Duration::from_secs(60), || {
        let all: Value = serde_json::from_str(&host.cli(&["chain", "list", "--json"])).expect("JSON");
        let (chain, count) = (&all[0], |of: &Value, way: &str| of[way]["packets"].as_u64().unwrap_or_default());
        let hop = &chain["hops"][0];
        let all = [hop, chain].iter().all(|of| ["out", "back"].iter().all(|way| count(of, way) >= 4));
        (hop["name"] == "firewall" && hop["live"] == 1 && all).then_some(())
    });
    let shown = host.cli(&["chain", "show", "to_web"]);
    assert!(shown.contains("tcp to any port 80") && shown.contains("firewall"), "{shown}");

    let log = host.cli(&["vnf", "logs", "home-web"]);
    assert!(log.contains("bothy-tiny ready"), "{log}");
    within("the console carries what is typed and what is answered", Duration::from_secs(60), || {
        let said = host.cli_typing(&["vnf", "console", "home-web"], "\necho $((6 * 7)) answers\n");
        said.contains("42 answers").then_some(())
    });
    what_was_done_is_told(&host);
    let running = host.domains();
    assert_eq!(running.len(), 3);
    assert!(running.iter().all(|(_, state)| state == "running"), "{running:?}");

    // Up again: nothing to do. Down, asked nicely, and once more.
    host.cli(&["up", &folder, "--images", images, "--name", "home"]);
    assert_eq!(host.domains(), running);
    host.cli(&["down", "home", "--timeout", "300"]);
    host.cli(&["down", "home", "--purge"]);
    host.nothing_left();
    host.stop_bothy();
    for table in ["NS instance", "VNF instance", "segment", "chain", "reservation"] {
        assert_eq!(host.records(table), 0, "{table}");
    }
}

/// Every operation is over, and its timeline has each step done, in time.
fn what_was_done_is_told(host: &Host) {
    let ops: Value = serde_json::from_str(&host.cli(&["op", "list", "--json"])).expect("JSON");
    let ops = ops.as_array().expect("a list");
    assert_eq!(ops.len(), 4, "one of the service, one of each VNF");
    for op in ops {
        assert_eq!(text(op, "operationState"), "COMPLETED", "{op}");
        let t = host.get(&format!("/bothy/v1/operations/{}/timeline", text(op, "id")));
        let steps = t["steps"].as_array().expect("steps");
        assert!(!steps.is_empty());
        for s in steps {
            assert_eq!(text(s, "state"), "DONE", "{s}");
            let at = |member: &str| text(s, member).parse::<jiff::Timestamp>().expect("a time");
            assert!(at("started") <= at("ended"), "{s}");
        }
    }
}

/// What the client sees of the server, once its own server answers.
fn probe(host: &Host) -> String {
    within("the client tells what it sees", Duration::from_secs(240), || host.fetch("10.10.0.10:80", "/cgi-bin/probe"))
}
