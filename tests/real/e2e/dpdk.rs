//! A VNF whose two NICs are vhost-user ports (`virtio-forwarder`) of an Open vSwitch on DPDK, without large pages and
//! without a NIC of its own: packets pass both, also after the switch has died and come back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::{
    self, Need,
    bothy::{NEEDS, build_edited, shipped, text, within},
    host::{DPDK_SWITCH, Host, With, tiny_image},
};

#[test]
#[ignore = "DPDK's switch keeps a processor busy for as long as it runs: tests/run does this when the others are done"]
fn a_guest_with_two_vhost_user_ports_serves_by_both_and_outlives_its_switch() {
    if kit::lacks(&NEEDS) || kit::lacks(&[Need::File(DPDK_SWITCH)]) {
        return;
    }
    let Some(image) = tiny_image() else { return };
    let mut host = Host::start(With::Dpdk);
    host.serve();
    host.reconciled();
    // Alone it is on links of its own; the host is on both, and so can ask it by either.
    let definition = "Definitions/vcpe-web.yaml";
    let wan = "    wan:\n      type: tosca.nodes.nfv.VduCp\n";
    let edits = [
        (definition, "vnic_type: normal", "vnic_type: virtio-forwarder"),
        (definition, wan, &*format!("{wan}      metadata:\n        bothy.management: \"true\"\n")),
    ];
    let archive = build_edited(&shipped("descriptors/vcpe/vcpe-web"), &[("Files/images/tiny.qcow2", image.as_std_path())], &edits);
    let (_, package) = host.onboard(false, &archive);
    assert_eq!(text(&package, "onboardingState"), "ONBOARDED", "{package}");
    let ask = json!({ "vnfdId": text(&package, "vnfdId"), "vnfInstanceName": "web" });
    let path = format!("/vnflcm/v2/vnf_instances/{}", text(&host.post("/vnflcm/v2/vnf_instances", &ask).expect(201).json(), "id"));
    let op = host.post(&format!("{path}/instantiate"), &json!({ "flavourId": "default" })).expect(202).location.expect("op");
    host.completed(&op);
    let (state, switch) = host.condition("openvswitch");
    assert!(state == "OK" && switch.contains("DPDK datapath"), "{state}: {switch}");

    let ports = host.tell("run ovs-vsctl --format=csv --no-headings --columns=name,options find interface type=dpdkvhostuserclient");
    assert_eq!(ports.lines().filter(|l| l.contains("vhost-server-path")).count(), 2, "{ports}");
    let instance = host.get(&path);
    let nics = &instance["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["vnfcCpInfo"];
    let address = |nic: &Value| nic["cpProtocolInfo"][0]["ipOverEthernet"]["ipAddresses"][0]["addresses"][0].as_str().map(str::to_owned);
    let both: Vec<String> = nics.as_array().expect("NICs").iter().filter_map(address).collect();
    assert_eq!(both.len(), 2, "{nics:#}");
    let answers = |host: &Host| {
        for a in &both {
            let what = format!("it serves its page at {a}");
            within(&what, Duration::from_secs(120), || host.fetch(&format!("{a}:80"), "/").filter(|p| p.contains("Hello")));
        }
    };
    answers(&host);

    // QEMU serves the sockets, so the switch comes back to guests that run.
    let guest = host.domains();
    host.tell("kill-switch");
    host.tell("begin-switch");
    answers(&host);
    assert_eq!(host.domains(), guest, "the same guest, still running");

    let op = host.post(&format!("{path}/terminate"), &json!({ "terminationType": "FORCEFUL" })).expect(202).location.expect("op");
    host.completed(&op);
    host.delete(&path);
    host.nothing_left();
}
