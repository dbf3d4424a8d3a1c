//! A service of VNFs and a physical device: from a PNFD package and an NSD to packets. The device is a namespace on the other
//! end of the box's plug.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    fabric::function::without_offloads,
    kit::{
        self,
        bothy::{NEEDS, build, build_edited, shipped, text, within},
        host::{Host, With, tiny_image},
        netns::Peer,
    },
};

const PLUG: &str = "plant0";
const MAC: &str = "02:00:00:00:00:50";
const CONFIG: &str = "[reserve]\ndisk_mib = 64\nmemory_mib = 64\n[[physical_network]]\nname = \"wan\"\ninterface = \"plant0\"\n";

const LINK: &str = "    mgmt:\n      type: tosca.nodes.nfv.NsVirtualLink\n";
const ROOF: &str = "    roof:
      type: tosca.nodes.nfv.PNF
      metadata: { bothy.physical.virtual_link: wan }
      properties: { descriptor_id: 61f5d2c7-5f0a-4d07-8a59-0b54a1f6d001 }
      requirements:
        - virtual_link: wan

    mgmt:
      type: tosca.nodes.nfv.NsVirtualLink
";

/// The path of the sample's VNFFG ends at the device, and that is whom the client asks for its page.
const ENDS: [(&str, &str, &str); 2] = [
    ("Definitions/vcpe-ns.yaml", LINK, ROOF),
    ("Definitions/vcpe-ns.yaml", "profile_element: { node: web, capability: wan_link }", "profile_element: roof"),
];
const ASKS: (&str, &str, &str) = ("Definitions/vcpe-client.yaml", "web_address: \"10.10.2.10\"", "web_address: \"10.10.2.50\"");

fn plugged_in(host: &Host) -> Peer {
    host.inside(|| {
        let device = Peer::new();
        device.connect(PLUG, "eth0", Some(MAC), &["10.10.2.50/24", "fd10:10:2::50/64"]);
        without_offloads(&device, "eth0");
        device
    })
}

/// The device has a page for whoever asks, and knows the way back to the LAN.
fn serves(device: &Peer) {
    device.run(|| kit::sh(&["ip", "route", "add", "10.10.1.0/24", "via", "10.10.2.1"]));
    let listener = device.run(|| TcpListener::bind("0.0.0.0:80").expect("listen"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut s) = stream else { return };
            let from = s.peer_addr().map(|a| a.ip().to_string()).unwrap_or_default();
            // One that hangs up is one that asks again.
            let _ = s.read(&mut [0; 2048]).and_then(|_| write!(s, "HTTP/1.0 200 OK\r\n\r\nthe roof greets {from}\n"));
        }
    });
}

/// The id that NS instances know the descriptor by.
fn onboard_pnfd(host: &Host) -> String {
    let at = format!("/nsd/v2/pnf_descriptors/{}", text(&host.post("/nsd/v2/pnf_descriptors", &json!({})).expect(201).json(), "id"));
    let archive = build(&shipped("tests/fixtures/packages/antenna"), &[]);
    let sent = host.try_http("PUT", &format!("{at}/pnfd_content"), Some(("application/zip", &archive))).expect("sent");
    assert!(matches!(sent.status, 202 | 204), "{sent:?}");
    let read = within("the PNFD is read", Duration::from_secs(60), || {
        Some(host.get(&at)).filter(|r| matches!(text(r, "pnfdOnboardingState"), "ONBOARDED" | "ERROR"))
    });
    assert_eq!(text(&read, "pnfdOnboardingState"), "ONBOARDED", "{read:#}");
    text(&read, "pnfdId").to_owned()
}

fn page(from: &Peer, at: &str) -> Option<String> {
    from.run(|| {
        let mut s = TcpStream::connect_timeout(&at.parse().expect("address and port"), Duration::from_secs(5)).ok()?;
        s.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        s.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
        let mut all = String::new();
        s.read_to_string(&mut all).ok()?;
        Some(all)
    })
}

/// Of the client's page by the firewall to the device, there and back.
fn a_chain_leads_there(host: &Host) {
    let counts = || -> Vec<u64> {
        let all: Value = serde_json::from_str(&host.cli(&["chain", "list", "--json"])).expect("JSON");
        let chain = &all[0];
        assert_eq!((&chain["hops"][0]["name"], &chain["to"][0]["pnf"]), (&json!("firewall"), &json!("roof")), "{all:#}");
        [&chain["hops"][0], chain].iter().flat_map(|of| ["out", "back"].map(|w| of[w]["packets"].as_u64().unwrap_or_default())).collect()
    };
    let before = counts();
    // The switch counts once a second, and lets frames go by their link until it has its flows.
    let said = within("the client reads the device's page, by the chain", Duration::from_secs(240), || {
        let said = host.fetch("10.10.0.10:80", "/cgi-bin/probe")?;
        let by_it = counts().iter().zip(&before).all(|(now, had)| *now > had + 2);
        (by_it && said.contains("page: the roof greets 10.10.1.10")).then_some(said)
    });
    assert!(said.contains("page6: Hello from the web server"), "what is for the web server goes by the link: {said}");
}

#[test]
fn a_service_of_vnfs_and_a_physical_device_comes_up_and_packets_pass_between_them() {
    if kit::lacks(&NEEDS) || kit::lacks(&[kit::Need::Program("perl")]) {
        return;
    }
    let Some(image) = tiny_image() else { return };
    let mut host = Host::start(With::Switch);
    let device = plugged_in(&host);
    serves(&device);
    host.serve_with(CONFIG);
    host.reconciled();
    for one in ["vcpe-client", "vcpe-firewall", "vcpe-web"] {
        let edits = if one == "vcpe-client" { &[ASKS][..] } else { &[] };
        let archive =
            build_edited(&shipped(&format!("descriptors/vcpe/{one}")), &[("Files/images/tiny.qcow2", image.as_std_path())], edits);
        let (_, v) = host.onboard(false, &archive);
        assert_eq!(text(&v, "onboardingState"), "ONBOARDED", "{v}");
    }
    let pnfd = onboard_pnfd(&host);
    let (_, nsd) = host.onboard(true, &build_edited(&shipped("descriptors/vcpe/vcpe-ns"), &[], &ENDS));
    assert_eq!(text(&nsd, "nsdOnboardingState"), "ONBOARDED", "{nsd:#}");

    let ask = json!({ "nsdId": text(&nsd, "nsdId"), "nsName": "site", "nsDescription": "" });
    let at = format!("/nslcm/v2/ns_instances/{}", text(&host.post("/nslcm/v2/ns_instances", &ask).expect(201).json(), "id"));
    let over = json!({ "macAddress": MAC });
    let cp = json!([{ "cpdId": "air", "cpProtocolData": [{ "layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": over }] }]);
    let roof = json!([{ "pnfId": "a1", "pnfName": "roof", "pnfdId": pnfd, "pnfProfileId": "roof", "cpData": cp }]);
    let request = json!({ "nsFlavourId": "default", "addpnfData": roof });
    let op = host.post(&format!("{at}/instantiate"), &request).expect(202).location.expect("op");
    host.completed(&op);
    let told: Value = host.get(&at);
    assert_eq!(told["pnfInfo"][0]["pnfName"], "roof", "{told:#}");

    // The web server and the outer side of the firewall are on the link that the device is on.
    let reached = || ["10.10.2.10", "fd10:10:2::10", "10.10.2.1", "fd10:10:2::1"].iter().all(|a| device.pings(a));
    within("the device reaches the guests", Duration::from_secs(120), || reached().then_some(()));
    within("and reads a page of one", Duration::from_secs(120), || page(&device, "10.10.2.10:8080").filter(|p| p.contains("Hello")));
    let shown = host.cli(&["net", "show"]);
    assert!(shown.contains("roof"), "{shown}");
    a_chain_leads_there(&host);

    // The switch dies and comes back: so does the way out of the box.
    host.tell("kill-switch");
    host.tell("begin-switch");
    within("reached again", Duration::from_secs(60), || reached().then_some(()));
    a_chain_leads_there(&host);

    let vnfs = told["vnfInstance"].as_array().expect("VNFs");
    let how: Vec<Value> = vnfs.iter().map(|v| json!({ "vnfInstanceId": text(v, "id"), "terminationType": "FORCEFUL" })).collect();
    let op = host.post(&format!("{at}/terminate"), &json!({ "terminateVnfData": how })).expect(202).location.expect("op");
    host.completed(&op);
    host.delete(&at);
    assert!(!device.pings("10.10.2.10"));
    // Its plug is the test's own.
    device.run(|| kit::sh(&["ip", "link", "delete", "eth0"]));
    host.nothing_left();
}
