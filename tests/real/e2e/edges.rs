//! What people use at the edges of the product, on one real guest: readiness by a TCP port, a network under a tag of
//! its NIC, a console on a real terminal, VNC through a local port, and the support archive of a real box.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::json;

use crate::kit::{
    self, Need,
    bothy::{NEEDS, build_edited, program, shipped, text, within},
    host::{Host, With, tiny_image},
};

const DEFINITION: &str = "Definitions/vcpe-web.yaml";
/// A link of the VNF's own under a tag of its second NIC; the host is on it, and so can ask for the page.
const VOICE: &str = "        - virtual_binding: web

    voice_cp:
      type: tosca.nodes.nfv.VduSubCp
      properties: { layer_protocols: [ ipv4 ], segmentation_type: vlan, segmentation_id: 10 }
      requirements: [ trunk_binding: wan, virtual_link: voice ]

    voice:
      type: tosca.nodes.nfv.VnfVirtualLink
      metadata: { bothy.management: \"true\" }
      properties:
        connectivity_type: { layer_protocols: [ ipv4 ] }
        vl_profile: { max_bitrate_requirements: { root: 0 }, min_bitrate_requirements: { root: 0 } }

  policies:";
#[test]
fn a_guest_is_ready_by_its_port_and_reached_by_terminal_and_vnc() {
    if kit::lacks(&NEEDS) || kit::lacks(&[Need::Program("script"), Need::Program("tar")]) {
        return;
    }
    let Some(image) = tiny_image() else { return };
    let mut host = Host::start(With::Switch);
    host.serve();
    host.reconciled();
    let edits = [
        (DEFINITION, "\"serial:bothy-tiny ready\"", "\"tcp:80\""),
        (
            DEFINITION,
            "        description: The WAN it serves on\n",
            "        description: The WAN it serves on\n        trunk_mode: true\n",
        ),
        (DEFINITION, "        - virtual_binding: web\n\n  policies:", VOICE),
    ];
    let archive = build_edited(&shipped("descriptors/vcpe/vcpe-web"), &[("Files/images/tiny.qcow2", image.as_std_path())], &edits);
    let (_, package) = host.onboard(false, &archive);
    assert_eq!(text(&package, "onboardingState"), "ONBOARDED", "{package}");
    host.cli_typing(&["secret", "set", "edge_key"], "h2nter-in-the-store\n");

    let ask = json!({ "vnfdId": text(&package, "vnfdId"), "vnfInstanceName": "web" });
    let made = host.post("/vnflcm/v2/vnf_instances", &ask).expect(201).json();
    let path = format!("/vnflcm/v2/vnf_instances/{}", text(&made, "id"));
    let ask = json!({ "flavourId": "default", "additionalParams": { "wan_psk": { "secret": "edge_key" } } });
    let op = host.post(&format!("{path}/instantiate"), &ask).expect(202).location.expect("op");
    let timeline = format!("/bothy/v1/operations/{}/timeline", op.rsplit('/').next().expect("id"));
    within("it waits for the port", Duration::from_secs(60), || {
        host.get(&timeline).to_string().contains("TCP port 80 is not open yet").then_some(())
    });
    host.completed(&op);
    // It was ready when the port was open, and not before: now it is, at once.
    let instance = host.get(&path);
    let guest = &instance["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["vnfcCpInfo"];
    let address = guest[0]["cpProtocolInfo"][0]["ipOverEthernet"]["ipAddresses"][0]["addresses"][0].as_str();
    let address = address.unwrap_or_else(|| panic!("no address in {instance:#}"));
    assert!(host.fetch(&format!("{address}:80"), "/").is_some_and(|p| p.contains("Hello")), "{address}");
    under_a_tag(&host, guest);
    terminal(&host);
    vnc(&host);
    support(&host);

    let op = host.post(&format!("{path}/terminate"), &json!({ "terminationType": "FORCEFUL" })).expect(202).location.expect("op");
    host.completed(&op);
    host.delete(&path);
    host.nothing_left();
}

/// The page by the network that is under a tag of the guest's second NIC, and that there is no other way to it.
fn under_a_tag(host: &Host, nics: &serde_json::Value) {
    let cp =
        |id: &str| nics.as_array().and_then(|all| all.iter().find(|n| n["cpdId"] == id)).unwrap_or_else(|| panic!("no {id} in {nics:#}"));
    let voice = cp("voice_cp");
    let eth = |cp: &serde_json::Value| cp["cpProtocolInfo"][0]["ipOverEthernet"].clone();
    assert_eq!((&voice["parentCpId"], &eth(voice)["macAddress"]), (&cp("wan")["id"], &eth(cp("wan"))["macAddress"]), "{nics:#}");
    let address = eth(voice)["ipAddresses"][0]["addresses"][0].as_str().unwrap_or_else(|| panic!("no address in {voice:#}")).to_owned();
    within("the page under a tag", Duration::from_secs(60), || host.fetch(&format!("{address}:80"), "/").filter(|p| p.contains("Hello")));
    let nets = host.get("/bothy/v1/networks");
    let net = nets.as_array().and_then(|all| all.iter().find(|n| n["link"] == "voice")).unwrap_or_else(|| panic!("no voice in {nets:#}"));
    assert_eq!(net["stations"][0]["tag"], 10, "{net:#}");
}

/// More guests, fewer, and a sick one made again: each a real one that answers on its planned address.
#[test]
fn a_vnf_grows_heals_and_shrinks_on_real_guests() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let Some(image) = tiny_image() else { return };
    let mut host = Host::start(With::Switch);
    host.serve();
    host.reconciled();
    let archive = build_edited(&shipped("descriptors/vcpe/vcpe-web"), &[("Files/images/tiny.qcow2", image.as_std_path())], &[]);
    let (_, package) = host.onboard(false, &archive);
    let ask = json!({ "vnfdId": text(&package, "vnfdId"), "vnfInstanceName": "web" });
    let path = format!("/vnflcm/v2/vnf_instances/{}", text(&host.post("/vnflcm/v2/vnf_instances", &ask).expect(201).json(), "id"));
    let task = |what: &str, ask: serde_json::Value| {
        let op = host.post(&format!("{path}/{what}"), &ask).expect(202).location.expect("op");
        host.completed(&op);
    };
    let addresses = || {
        let instance = host.get(&path);
        let guests = instance["instantiatedVnfInfo"]["vnfcResourceInfo"].as_array().expect("guests").clone();
        let first =
            |g: &serde_json::Value| g["vnfcCpInfo"][0]["cpProtocolInfo"][0]["ipOverEthernet"]["ipAddresses"][0]["addresses"][0].clone();
        let mut all: Vec<String> = guests.iter().map(|g| first(g).as_str().expect("an address").to_owned()).collect();
        all.sort();
        all
    };
    let answer = |all: &[String]| {
        for a in all {
            within("it serves its page", Duration::from_secs(60), || host.fetch(&format!("{a}:80"), "/").filter(|p| p.contains("Hello")));
        }
    };
    task("instantiate", json!({ "flavourId": "default" }));
    host.cli(&["vnf", "scale", "web", "--aspect", "servers"]);
    let two = addresses();
    assert_eq!((two.len(), host.domains().len()), (2, 2));
    answer(&two);

    let before: Vec<String> = host.domains().into_iter().map(|d| d.0.to_string()).collect();
    host.cli(&["vnf", "heal", "web/web/1", "--cause", "test"]);
    let after: Vec<String> = host.domains().into_iter().map(|d| d.0.to_string()).collect();
    assert_eq!(after.iter().filter(|d| before.contains(d)).count(), 1, "one of {before:?} is another in {after:?}");
    assert_eq!(addresses(), two, "addresses stay");
    answer(&two);

    task("scale_to_level", json!({ "instantiationLevelId": "default" }));
    assert_eq!(host.domains().len(), 1);
    answer(&addresses());
    task("terminate", json!({ "terminationType": "FORCEFUL" }));
    host.delete(&path);
    host.nothing_left();
}

/// `script` gives the command line a terminal of its own.
fn terminal(host: &Host) {
    let command = format!("{} --socket {} vnf console web; echo ended $?; stty -a", program().to_string_lossy(), host.socket());
    let mut child = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script runs");
    let mut keys = child.stdin.take().expect("stdin");
    let mut out = child.stdout.take().expect("stdout");
    let (tell, told) = std::sync::mpsc::channel::<Vec<u8>>();
    std::thread::spawn(move || {
        let mut some = [0; 4096];
        while let Ok(n @ 1..) = out.read(&mut some) {
            if tell.send(some[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    let mut said = String::new();
    let listen = |said: &mut String| {
        while let Ok(more) = told.try_recv() {
            said.push_str(&String::from_utf8_lossy(&more));
        }
    };
    let hears = |what: &str, said: &mut String| {
        within(what, Duration::from_secs(60), || {
            listen(said);
            said.contains(what).then_some(())
        });
    };
    hears("leave it with Ctrl-]", &mut said);
    // Keys go one by one, and Ctrl-C belongs to the guest.
    within("the guest's shell answers", Duration::from_secs(60), || {
        keys.write_all(b"\x03\recho $((6 * 7)) answers\r").expect("typed");
        std::thread::sleep(Duration::from_millis(500));
        listen(&mut said);
        said.contains("42 answers").then_some(())
    });
    keys.write_all(b"\x1d").expect("typed");
    hears("ended 0", &mut said);
    // The terminal is as it was before.
    hears(" icanon", &mut said);
    assert!(!said.contains("-icanon") && !said.contains("-echo "), "{said}");
    drop(keys);
    child.wait().expect("script ends");
}

fn vnc(host: &Host) {
    let mut child = Command::new(program())
        .args(["--socket", &host.socket(), "vnf", "console", "web", "--vnc", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("bothy runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut line).expect("it says where");
    let address = line.split_whitespace().find_map(|w| w.trim_end_matches(';').parse::<std::net::SocketAddr>().ok());
    // Two viewers, one after the other.
    for _ in 0..2 {
        let mut viewer = std::net::TcpStream::connect(address.unwrap_or_else(|| panic!("{line}"))).expect("connects");
        viewer.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
        let mut hello = [0; 12];
        viewer.read_exact(&mut hello).expect("the server speaks first (RFC 6143 7.1.1)");
        assert_eq!(&hello, b"RFB 003.008\n");
        viewer.write_all(&hello).expect("sent");
        let mut kinds = [0; 2];
        viewer.read_exact(&mut kinds).expect("security types");
        assert!(kinds[0] >= 1, "{kinds:?}");
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
}

fn support(host: &Host) {
    let file = host.dir().join("support.tar");
    host.cli(&["support", "--output", file.as_str()]);
    let read = |name: &str| kit::sh(&["tar", "-xOf", file.as_str(), &format!("bothy-support/{name}")]);
    let show = read("switch/show.txt");
    assert!(show.contains("Bridge bothy0") && show.contains("datapath_type: netdev"), "{show}");
    assert!(read("switch/interfaces.txt").contains("mac_in_use"));
    let flows = read("switch/flows-bothy0.txt");
    assert!(flows.contains("actions=NORMAL"), "{flows}");
    let nft = read("host/nft.txt");
    assert!(nft.contains("table inet bothy"), "{nft}");
    let log = read("bothy.log");
    assert!(log.contains("instantiation accepted"), "{log}");
    // Nothing of a secret, nor of what the API is opened with, is in any file of it.
    let all = std::fs::read(&file).expect("archive");
    let all = String::from_utf8_lossy(&all);
    assert!(!all.contains("h2nter-in-the-store") && !all.contains("PRIVATE KEY"));
    assert!(all.contains("edge_key"), "the reference is no secret");
}
