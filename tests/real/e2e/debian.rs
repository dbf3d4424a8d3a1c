//! A guest as customers bring them: Debian with cloud-init and its agent, by itself, without a service.

use std::time::Duration;

use serde_json::json;

use crate::kit::{
    self, Need,
    bothy::{NEEDS, build, shipped, text, within},
    host::{Host, With},
};

/// An emulated Debian takes over a minute to boot.
const BOOT: Duration = Duration::from_secs(600);

#[test]
fn a_debian_guest_applies_its_seed_answers_by_its_agent_and_goes_down_when_it_is_asked() {
    let image = concat!(env!("CARGO_MANIFEST_DIR"), "/build/images/debian.qcow2");
    if kit::lacks(&NEEDS) || kit::lacks(&[Need::File(image)]) {
        return;
    }
    let mut host = Host::start(With::Switch);
    host.serve();
    host.reconciled();
    let (_, package) = host.onboard(false, &build(&shipped("descriptors/debian"), &[("Files/images/debian.qcow2", image.as_ref())]));
    assert_eq!(text(&package, "onboardingState"), "ONBOARDED", "{package}");

    let ask = json!({ "vnfdId": "b0714104-0000-4000-8000-000000000001", "vnfInstanceName": "desk" });
    let made = host.post("/vnflcm/v2/vnf_instances", &ask).expect(201).json();
    let path = format!("/vnflcm/v2/vnf_instances/{}", text(&made, "id"));
    let ask = json!({ "flavourId": "default", "additionalParams": { "greeting": "Hello from the test" } });
    let op = host.post(&format!("{path}/instantiate"), &ask).expect(202).location.expect("op");
    // The readiness rule is the agent: once the operation is over, it has answered.
    within("the operation is over", BOOT, || Some(host.get(&op)).filter(|o| text(o, "operationState") != "PROCESSING"));
    host.completed(&op);

    let guest = host.domains().remove(0).0;
    let log = host.dir().join(format!("data/serial/{guest}.log"));
    let hostname = within("cloud-init has run its commands", BOOT, || {
        let said = String::from_utf8_lossy(&std::fs::read(&log).ok()?).into_owned();
        let line = said.lines().find(|l| l.contains(": Hello from the test"))?;
        line.split(':').next().map(|h| h.trim().to_owned())
    });
    // A terminal's control codes of the login prompt may come before it on the same line.
    assert!(hostname.contains("desk"), "{hostname}");
    let address = ["10.10.3.2", "10.10.3.3", "10.10.3.10"];
    let instance = host.get(&path).to_string();
    let address = address.iter().find(|a| instance.contains(&format!("\"{a}\""))).unwrap_or_else(|| panic!("{instance}"));
    within("SSH is open on its planned address", BOOT, || host.reads(&format!("{address}:22")).filter(|b| b.starts_with("SSH-2.0-")));

    // Its agent reads what the VNFD declares.
    let told = within("its indicator is read", BOOT, || host.get(&format!("/vnfind/v1/indicators/{}", text(&made, "id"))).get(0).cloned());
    let boot = told["value"].as_object().and_then(|v| v.values().next()).and_then(|v| v.as_str()).unwrap_or_default();
    assert!(text(&told, "id") == "boot" && boot.len() == 36 && boot.matches('-').count() == 4, "{told}");

    // Longer than anybody waits here: a guest that does not go by itself fails this.
    let ask = json!({ "terminationType": "GRACEFUL", "gracefulTerminationTimeout": 3600 });
    let op = host.post(&format!("{path}/terminate"), &ask).expect(202).location.expect("op");
    host.completed(&op);
    host.delete(&path);
    host.nothing_left();
}
