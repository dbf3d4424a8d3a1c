//! Alarms from what really happens: a QEMU that is killed, a libvirtd that is.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use bothy::model::id::VnfcId;
use serde_json::{Value, json};

use crate::{
    e2e::Pair,
    kit::{
        self,
        bothy::{NEEDS, text, within},
        host::{Host, With, unfed},
    },
};

const SOON: Duration = Duration::from_secs(120);

/// The QEMU of a guest of ours, by its name on the command line.
fn qemu(guest: VnfcId) -> String {
    let name = format!("guest={}", guest.domain_name());
    let ours = |pid: &String| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&name)
    };
    let all = std::fs::read_dir("/proc").expect("/proc").flatten().filter_map(|e| e.file_name().into_string().ok());
    let numbers = all.filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
    numbers.into_iter().find(ours).unwrap_or_else(|| panic!("no QEMU of {guest}"))
}

fn standing(host: &Host, list: &str) -> Vec<Value> {
    host.get(&format!("{list}?filter=(neq,perceivedSeverity,CLEARED)")).as_array().expect("a list").clone()
}

#[test]
fn a_killed_qemu_is_an_alarm_of_its_vnf_and_service_until_the_guest_is_started_again() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let mut host = Host::start(With::Switch);
    host.serve();
    host.reconciled();
    Pair::onboard(&host);
    let pair = Pair::create(&host, "alarmed");
    host.completed(&pair.instantiate(&host));
    assert!(standing(&host, "/vnffm/v1/alarms").is_empty() && standing(&host, "/nsfm/v1/alarms").is_empty());

    let vnf = format!("/vnflcm/v2/vnf_instances/{}", pair.vnfs(&host)[0]);
    let guest = host.get(&vnf)["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["computeResource"]["resourceId"].clone();
    let guest: VnfcId = guest.as_str().expect("a guest").parse().expect("an id");
    let begun = Instant::now();
    assert!(Command::new("kill").args(["-9", &qemu(guest)]).status().expect("kill").success());
    let alarm = within("the alarm", SOON, || standing(&host, "/vnffm/v1/alarms").pop());
    println!("alarm {} ms after the kill", begun.elapsed().as_millis());
    assert_eq!((text(&alarm, "probableCause"), text(&alarm, "perceivedSeverity")), ("GUEST_CRASHED", "CRITICAL"), "{alarm}");
    assert_eq!(alarm["rootCauseFaultyResource"]["faultyResource"]["resourceId"], guest.to_string());
    let of_service = standing(&host, "/nsfm/v1/alarms").pop().expect("the service's own");
    assert!(pair.path.ends_with(text(&of_service, "managedObjectId")), "{of_service}");
    assert_eq!(alarm["correlatedAlarmIds"], json!([of_service["id"]]));
    let said = host.cli(&["alarm", "list"]);
    assert!(said.matches("GUEST_CRASHED").count() == 2, "{said}");

    let op = host.post(&format!("{vnf}/operate"), &json!({"changeStateTo": "STARTED"})).expect(202).location.expect("an operation");
    host.completed(&op);
    within("its end", SOON, || standing(&host, "/vnffm/v1/alarms").is_empty().then_some(()));
    assert!(standing(&host, "/nsfm/v1/alarms").is_empty());
    host.cli(&["alarm", "ack", text(&alarm, "id")]);
    host.cli(&["alarm", "ack", &text(&of_service, "id")[..8]]);
    let said = host.cli(&["alarm", "list"]);
    assert!(!said.contains("GUEST_CRASHED"), "seen and over: {said}");
    assert!(host.cli(&["alarm", "list", "--all"]).contains("GUEST_CRASHED"));

    // Where the VNF asks for it the guest is made again, by an operation of the service that nobody began.
    let on = json!({"vnfConfigurableProperties": {"isAutohealEnabled": true}}).to_string();
    let patch = Some(("application/merge-patch+json", on.as_bytes()));
    host.try_http("PATCH", &vnf, patch).expect("an answer").expect(202);
    let begun = Instant::now();
    assert!(Command::new("kill").args(["-9", &qemu(guest)]).status().expect("kill").success());
    let heals = "/nslcm/v2/ns_lcm_op_occs?filter=(eq,lcmOperationType,HEAL)";
    let op = within("healing", SOON, || host.get(heals).as_array().and_then(|all| all.first().cloned()));
    assert_eq!(op["isAutomaticInvocation"], true, "{op}");
    host.completed(&format!("/nslcm/v2/ns_lcm_op_occs/{}", text(&op, "id")));
    println!("healed {} ms after the kill", begun.elapsed().as_millis());
    within("its end", SOON, || standing(&host, "/vnffm/v1/alarms").is_empty().then_some(()));
    let now = host.get(&vnf)["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["computeResource"]["resourceId"].clone();
    assert_ne!(now, guest.to_string(), "another guest");

    // The box's own: libvirt is away.
    host.tell("kill");
    let own = within("the box's alarm", SOON, || standing(&host, "/bothy/v1/alarms").pop());
    assert_eq!(text(&own, "probableCause"), "HYPERVISOR_DOWN", "{own}");
    host.tell("begin");
    within("its end", SOON, || standing(&host, "/bothy/v1/alarms").is_empty().then_some(()));

    host.completed(&pair.terminate(&host));
    host.delete(&pair.path);
    host.nothing_left();
    assert!(standing(&host, "/vnffm/v1/alarms").is_empty(), "taken away on request");
}

#[test]
fn a_watchdog_that_nobody_feeds_is_an_alarm_of_its_vnf_and_service_until_the_reset_that_it_brings() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let mut host = Host::start(With::Switch);
    host.serve();
    host.reconciled();
    Pair::onboard_of(&host, &unfed());
    let pair = Pair::create(&host, "unfed");
    host.completed(&pair.instantiate(&host));
    let guests = |vnf: &str| -> Vec<Value> {
        let v = host.get(&format!("/vnflcm/v2/vnf_instances/{vnf}"));
        let all = v["instantiatedVnfInfo"]["vnfcResourceInfo"].as_array().expect("guests").clone();
        all.iter().map(|g| g["computeResource"]["resourceId"].clone()).collect()
    };
    let before: Vec<Vec<Value>> = pair.vnfs(&host).iter().map(|v| guests(v)).collect();
    let all: usize = before.iter().map(Vec::len).sum();
    let fired = |list: &str| host.get(&format!("{list}?filter=(eq,probableCause,WATCHDOG_FIRED)")).as_array().expect("a list").clone();
    // The reset comes with it: what is told is that it was there, of each guest once.
    let over = |a: &Value| a["perceivedSeverity"] == "CLEARED" && a["alarmClearedTime"].is_string();
    let ended = |list: &str, n: usize| {
        let alarms = fired(list);
        (alarms.len() == n && alarms.iter().all(over)).then_some(alarms)
    };
    let alarms = within("an alarm of each guest, and its end", SOON, || ended("/vnffm/v1/alarms", all));
    for a in &alarms {
        assert_eq!(text(a, "eventType"), "PROCESSING_ERROR_ALARM", "{a}");
        assert!(before.iter().flatten().any(|g| *g == a["rootCauseFaultyResource"]["faultyResource"]["resourceId"]), "{a}");
    }
    let of_services = fired("/nsfm/v1/alarms");
    assert!(!of_services.is_empty() && of_services.iter().all(|a| over(a) && pair.path.ends_with(text(a, "managedObjectId"))));
    // They are the same guests, and run.
    assert_eq!(pair.vnfs(&host).iter().map(|v| guests(v)).collect::<Vec<_>>(), before);
    assert!(standing(&host, "/vnffm/v1/alarms").is_empty() && standing(&host, "/nsfm/v1/alarms").is_empty());
    host.completed(&pair.terminate(&host));
    host.delete(&pair.path);
    host.nothing_left();
}
