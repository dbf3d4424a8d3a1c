//! A VNF whose descriptor wants UEFI: its guest is started by that, and reaches its ready rule.

use serde_json::json;

use crate::kit::{
    self, Need,
    bothy::{NEEDS, build_edited, shipped, text},
    host::{Host, With, tiny_image},
};

#[test]
fn a_vnf_boots_by_uefi_and_is_ready() {
    if kit::lacks(&NEEDS) || kit::lacks(&[Need::File("/usr/share/OVMF/OVMF_CODE_4M.fd")]) {
        return;
    }
    let Some(image) = tiny_image() else { return };
    let mut host = Host::start(With::Switch);
    host.serve();
    host.reconciled();
    let by_uefi = [
        ("Definitions/vcpe-web.yaml", "        bothy.day0.bus: disk\n", "        bothy.day0.bus: disk\n        bothy.firmware: uefi\n"),
        ("Definitions/vcpe-web.yaml", "virtual_mem_size: 128 MiB", "virtual_mem_size: 256 MiB"),
    ];
    let archive = build_edited(&shipped("descriptors/vcpe/vcpe-web"), &[("Files/images/tiny.qcow2", image.as_std_path())], &by_uefi);
    let (_, package) = host.onboard(false, &archive);
    assert_eq!(text(&package, "onboardingState"), "ONBOARDED", "{package}");
    let ask = json!({ "vnfdId": text(&package, "vnfdId"), "vnfInstanceName": "web" });
    let made = host.post("/vnflcm/v2/vnf_instances", &ask).expect(201).json();
    let path = format!("/vnflcm/v2/vnf_instances/{}", text(&made, "id"));
    // Its rule is a line that the guest writes to its serial console once it has come up.
    let op = host.post(&format!("{path}/instantiate"), &json!({ "flavourId": "default" })).expect(202).location.expect("op");
    host.completed(&op);
    let xml = host.cli(&["vnf", "xml", "web"]);
    assert!(xml.contains("OVMF_CODE_4M.fd") && xml.contains("<nvram"), "{xml}");
    assert!(host.cli(&["vnf", "logs", "web"]).contains("bothy-tiny ready"));

    let op = host.post(&format!("{path}/terminate"), &json!({ "terminationType": "FORCEFUL" })).expect(202).location.expect("op");
    host.completed(&op);
    host.delete(&path);
    host.nothing_left();
}
