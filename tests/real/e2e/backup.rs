//! A box goes away and comes back: saved with the disks of a real guest, reset to what it was flashed as, and restored. The
//! VNF is the same, with its MAC and address, and so is what its guest had written.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use super::snapshot::one_that_counts;
use crate::kit::{
    self,
    bothy::{NEEDS, text, within},
    host::{Host, With, tiny_image},
};

const PATIENCE: Duration = Duration::from_secs(180);

/// What each boot found on both disks, by the guest's own words.
fn held(host: &Host, want: u32) {
    let guest = within("one guest", PATIENCE, || host.domains().into_iter().find(|(_, state)| state == "running")).0;
    let log = host.dir().join(format!("data/serial/{guest}.log"));
    for disk in ["disk", "data"] {
        let of = |line: &str| line.split_once(&format!("{disk} holds "))?.1.trim().parse::<u32>().ok();
        let last = || fs::read(&log).ok().and_then(|b| String::from_utf8_lossy(&b).lines().rev().find_map(of));
        within(&format!("{disk} held {want}"), PATIENCE, || last().filter(|n| *n == want));
    }
}

/// Of each NIC: MAC and addresses, as a client sees them.
fn nics(vnf: &Value) -> Vec<String> {
    let all = vnf["instantiatedVnfInfo"]["vnfcResourceInfo"].as_array().expect("guests");
    let mut out: Vec<String> =
        all.iter().flat_map(|c| c["vnfcCpInfo"].as_array().expect("NICs")).map(|c| c["cpProtocolInfo"].to_string()).collect();
    out.sort();
    assert!(!out.is_empty() && out.iter().all(|n| n.contains("macAddress")), "{vnf}");
    out
}

#[test]
fn a_box_that_was_lost_runs_its_service_again_from_a_backup() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let Some(image) = tiny_image() else { return };
    let mut host = Host::start(With::Switch);
    host.serve();
    host.reconciled();
    let path = one_that_counts(&host, &image);
    held(&host, 0);
    let before = nics(&host.get(&path));

    let file = host.dir().join("box.backup").to_string();
    let pass = host.dir().join("pass").to_string();
    fs::write(&pass, "correct horse").expect("written");
    let by = ["--passphrase-file", &pass];
    let outline = host.cli(&["backup", "create", &file, "--level", "disks", "--plan"]);
    assert!(outline.contains("disks: 2"), "{outline}");
    host.cli(&[&["backup", "create", &file, "--level", "disks"][..], &by].concat());
    assert_eq!(host.domains()[0].1, "running", "it goes on");

    let refused = host.try_cli(&[&["restore", &file, "--yes", "--keep-configuration"][..], &by].concat());
    assert!(!refused.0 && refused.1.contains("host reset --depth services"), "{refused:?}");
    host.cli(&["host", "reset", "--depth", "everything", "--yes"]);
    let gone = |host: &Host| {
        let (ok, said) = host.try_cli(&["--json", "vnf", "list"]);
        (ok && said.trim() == "[]").then_some(())
    };
    within(&format!("it is as it was flashed\n{}", host.log_tail()), PATIENCE, || gone(&host));
    host.nothing_left();

    host.cli(&[&["restore", &file, "--yes", "--keep-configuration"][..], &by].concat());
    let op = within(&format!("guests are brought back\n{}", host.log_tail()), PATIENCE, || {
        let a = host.try_http("GET", "/vnflcm/v2/vnf_lcm_op_occs", None).ok()?.json();
        let all = a.as_array()?.clone();
        all.iter().find(|o| o["operation"] == "HEAL").map(|o| format!("/vnflcm/v2/vnf_lcm_op_occs/{}", text(o, "id")))
    });
    host.completed(&op);
    held(&host, 1);
    assert_eq!(nics(&host.get(&path)), before, "the same VNF, MACs and addresses");
    assert!(host.cli(&["restore", "--status"]).contains("this box has come from a backup"));

    let op = host.post(&format!("{path}/terminate"), &json!({ "terminationType": "FORCEFUL" })).expect(202).location.expect("op");
    host.completed(&op);
    host.delete(&path);
    host.nothing_left();
}
