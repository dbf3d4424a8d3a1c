//! What runs, runs on: over an end of the daemon by SIGTERM or SIGKILL, and over a reboot of the host.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use super::Pair;
use crate::kit::{
    self,
    bothy::{NEEDS, text, within},
    host::{Host, With},
};

fn ids(host: &Host, state: &str) -> BTreeSet<String> {
    host.domains().into_iter().filter(|(_, s)| s == state).map(|(id, _)| id).collect()
}

/// Process ids of the guests.
fn processes(host: &Host) -> BTreeSet<String> {
    let said = std::fs::read_dir("/proc").expect("proc").flatten().filter_map(|e| {
        let line = std::fs::read(e.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line);
        (line.starts_with("/usr/bin/qemu-system") && line.contains(host.dir().as_str()))
            .then(|| e.file_name().to_string_lossy().into_owned())
    });
    said.collect()
}

fn service(host: &mut Host) -> Pair {
    host.serve();
    host.reconciled();
    Pair::onboard(host);
    let pair = Pair::create(host, "site");
    host.completed(&pair.instantiate(host));
    pair
}

#[test]
fn guests_do_not_notice_that_the_daemon_ends_and_starts() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let mut host = Host::start(With::Switch);
    let pair = service(&mut host);
    let before = processes(&host);
    assert_eq!(before.len(), 2);
    let ends: [fn(&mut Host); 2] = [Host::stop_bothy, Host::kill_bothy];
    for end in ends {
        end(&mut host);
        assert_eq!(processes(&host), before);
        host.serve();
        host.reconciled();
        assert_eq!(processes(&host), before);
        let (_, said) = host.condition("reconciled");
        assert!(said.starts_with("2 guests run"), "{said}");
        assert_eq!(text(&host.get(&pair.path), "nsState"), "INSTANTIATED");
    }
    host.completed(&pair.terminate(&host));
    host.delete(&pair.path);
    host.nothing_left();
}

#[test]
fn after_a_reboot_of_the_host_what_ran_runs_and_what_was_stopped_stays_stopped() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let mut host = Host::start(With::Switch);
    let pair = service(&mut host);
    let vnfs = pair.vnfs(&host);
    let stop = json!({ "changeStateTo": "STOPPED", "stopType": "FORCEFUL" });
    let op = host.post(&format!("/vnflcm/v2/vnf_instances/{}/operate", vnfs[1]), &stop).expect(202).location.expect("op");
    host.completed(&op);
    let (on, off) = (ids(&host, "running"), ids(&host, "shut off"));
    assert_eq!((on.len(), off.len()), (1, 1));
    let network = |host: &mut Host| {
        host.tell("run ovs-vsctl list-ports bothy0") + &host.tell("run ip -o -4 address") + &host.tell("run nft list table inet bothy")
    };
    let before = network(&mut host);

    host.tell("reboot");
    assert_eq!(processes(&host), BTreeSet::new());
    host.serve();
    host.reconciled();
    assert_eq!((ids(&host, "running"), ids(&host, "shut off")), (on, off));
    // Interfaces may have got other numbers.
    let sorted = |s: String| {
        let line = |l: &str| l.split_whitespace().skip_while(|w| w.ends_with(':')).map(str::to_owned).collect::<Vec<_>>().join(" ");
        let mut all: Vec<String> = s.lines().map(line).collect();
        all.sort();
        all
    };
    within("the network is as it was", Duration::from_secs(20), || {
        Some(()).filter(|()| sorted(network(&mut host)) == sorted(before.clone()))
    });

    let start = json!({ "changeStateTo": "STARTED" });
    let op = host.post(&format!("/vnflcm/v2/vnf_instances/{}/operate", vnfs[1]), &start).expect(202).location.expect("op");
    host.completed(&op);
    assert_eq!(ids(&host, "running").len(), 2);
    host.completed(&pair.terminate(&host));
    host.delete(&pair.path);
    host.nothing_left();
    let list: Value = host.get("/nslcm/v2/ns_lcm_op_occs");
    assert_eq!(list.as_array().map(Vec::len), Some(2));
}
