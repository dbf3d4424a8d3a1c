//! `/bothy/v1/sdn`: controllers and port maps are told, refused and shown, and links of functions follow.

use std::time::{Duration, Instant};

use bothy::{
    model::{
        host::{Mbps, NodeId},
        hw::PageSize,
        id::ProjectId,
        secret::Secret,
    },
    sim::{
        SimConfig,
        machine::{Machine, Model, Nic},
    },
};
use serde_json::{Value, json};

use crate::{
    admin::{described_as, fits},
    rig::{Reply, Rig, rig_on},
};

const CONFIG: &str =
    "[[sdn_controller]]\nname = \"lab\"\ntype = \"ovsdb\"\nurl = \"tcp:127.0.0.1:6640\"\nnetworks = [\"west\"]\ndatapaths = [\"sw1\"]\n";

/// Room for the guest of `descriptors/epa-sriov`, whose VF is on `fast`.
fn host() -> SimConfig {
    let nic = |node, name, physical, vfs| Nic {
        model: Model::E810,
        node: NodeId(node),
        name,
        physical: Some(physical),
        total_vfs: 64,
        vfs,
        speed: Mbps(25_000),
    };
    let m = Machine {
        hugepages: vec![(PageSize::Huge2M, 8192), (PageSize::Huge1G, 16)],
        nics: vec![nic(0, "ens1f0", "west", 0), nic(1, "ens2f0", "fast", 8)],
        ..Machine::default()
    };
    SimConfig { hardware: m.facts(), physical: vec!["west".into(), "fast".into()], ..SimConfig::default() }
}

async fn put(rig: &Rig, path: &str, body: Value) -> Reply {
    rig.ask(&format!("PUT /bothy/v1/sdn/{path}"), &["content-type: application/json"], &body.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn controllers_and_maps_are_told_shown_and_forgotten_and_each_fault_is_said() {
    let rig = rig_on(64, CONFIG, host()).await;
    let tor = || json!({"type": "ovsdb", "url": "unix:/run/tor.sock", "networks": ["fast"], "datapaths": ["sw2"]});
    assert_eq!(put(&rig, "controllers/tor", tor()).await.status, 204);
    let all = fits("/bothy/v1/sdn/controllers", "get", &rig.get("/bothy/v1/sdn/controllers").await);
    let names: Vec<_> = all.as_array().expect("a list").iter().map(|c| (c["name"].as_str(), c["origin"].as_str())).collect();
    assert_eq!(names, [(Some("lab"), Some("CONFIG")), (Some("tor"), Some("API"))]);
    let one = fits("/bothy/v1/sdn/controllers/{name}", "get", &rig.get("/bothy/v1/sdn/controllers/tor").await);
    assert_eq!((&one["url"], &one["datapaths"]), (&json!("unix:/run/tor.sock"), &json!(["sw2"])));

    let mut bad = tor();
    bad["url"] = json!("http://tor");
    bad["datapaths"] = json!([]);
    let r = put(&rig, "controllers/x", bad).await;
    let said = r.problem();
    assert!(r.status == 422 && said.contains("url:") && said.contains("datapaths:"), "{said}");
    for (path, body, status, says) in [
        ("controllers/lab", tor(), 409, "in the configuration"),
        ("controllers/other", tor(), 409, "in the hands of controller tor"),
        ("portmaps/box", json!({"ports": [{"pci": "eth0", "switch_id": "sw2", "switch_port": "1"}]}), 422, "ports[0].pci"),
        ("portmaps/a b", json!({"ports": []}), 422, ""),
    ] {
        let r = put(&rig, &path.replace(' ', "%20"), body).await;
        assert_eq!(r.status, status, "{path}: {}", r.body);
        assert!(r.problem().contains(says), "{path}: {}", r.body);
    }
    let faucet = json!({"type": "faucet", "url": "http://127.0.0.1:9302", "file": "/f.yaml", "user": "me", "secret": "none",
                        "networks": ["fast"], "datapaths": ["sw2"]});
    let r = put(&rig, "controllers/tor", faucet.clone()).await;
    assert!(r.status == 422 && r.problem().contains("bothy secret set none"), "{}", r.body);

    let onos = |url: &str| {
        json!({"type": "onos", "url": url, "user": "bothy", "secret": "sdn", "ca": "/etc/onos.pem", "networks": ["fast"],
               "datapaths": ["of:0000000000000001"]})
    };
    let kept = rig.ask("PUT /bothy/v1/secrets/sdn", &["content-type: application/json"], &json!({"value": "hush-hush"}).to_string()).await;
    assert_eq!(kept.status, 204, "{}", kept.body);
    assert_eq!(put(&rig, "controllers/tor", onos("https://onos.example:8443")).await.status, 204);
    let r = rig.get("/bothy/v1/sdn/controllers/tor").await;
    let one = fits("/bothy/v1/sdn/controllers/{name}", "get", &r);
    assert_eq!((&one["type"], &one["secret"], &one["ca"]), (&json!("onos"), &json!("sdn"), &json!("/etc/onos.pem")));
    assert!(!r.body.contains("hush-hush"));
    let r = put(&rig, "controllers/tor", onos("http://onos.example:8181")).await;
    assert!(r.status == 422 && r.problem().contains("a password goes over https"), "{}", r.body);

    // As OSM writes it: its name, its word for the make, the password beside the user, what is the controller's own in `config`.
    let osm = |password: &str| {
        json!({"name": "tor", "description": "top of rack", "type": "onosof", "url": "https://onos.example:8443", "user": "bothy", "password": password,
               "config": {"ca": "/etc/onos.pem", "networks": ["fast"], "datapaths": ["of:0000000000000001"]}})
    };
    assert_eq!(put(&rig, "controllers/tor", osm("whisper")).await.status, 204);
    let r = rig.get("/bothy/v1/sdn/controllers/tor").await;
    let one = fits("/bothy/v1/sdn/controllers/{name}", "get", &r);
    assert_eq!((&one["type"], &one["secret"], &one["networks"]), (&json!("onos"), &json!("sdn:tor"), &json!(["fast"])));
    assert!(!r.body.contains("whisper"));
    // It is the controller's: nobody names it, sees it among secrets, or loses one of his own by it.
    let kept = |name: &str| {
        let key = Secret::key_of(ProjectId::DEFAULT, name);
        rig.core.vnfm().store().get::<Secret>(&key).expect("read").is_some()
    };
    assert!(kept("sdn:tor"));
    assert!(!rig.get("/bothy/v1/secrets").await.body.contains("tor"));
    assert_eq!(rig.delete("/bothy/v1/secrets/sdn:tor").await.status, 404);
    let mut other = onos("https://onos.example:8443");
    (other["secret"], other["networks"]) = (json!("sdn:tor"), json!(["north"]));
    let r = put(&rig, "controllers/other", other).await;
    assert!(r.status == 422 && r.problem().contains("there is no secret 'sdn:tor'"), "{}", r.body);
    // As it is shown it can be told again; told with a secret of somebody's, it has none of its own.
    for (secret, own) in [("sdn:tor", true), ("sdn", false)] {
        let mut again = onos("https://onos.example:8443");
        again["secret"] = json!(secret);
        assert_eq!(put(&rig, "controllers/tor", again).await.status, 204);
        assert_eq!(kept("sdn:tor"), own, "{secret}");
    }
    assert_eq!(put(&rig, "controllers/tor", osm("whisper")).await.status, 204);
    for (member, value, says) in [
        ("name", json!("other"), "'other' is not the name that the path has"),
        ("secret", json!("sdn"), "password: is given, and so is secret"),
        ("ca", json!("/etc/other.pem"), "ca: is given twice"),
        ("networks", json!(["west"]), "networks: is given twice"),
    ] {
        let mut twice = osm("whisper");
        twice[member] = value;
        let r = put(&rig, "controllers/tor", twice).await;
        assert!(r.status == 422 && r.problem().contains(says), "{member}: {}", r.body);
    }

    let line = json!({"pci": "0000:20:*", "switch_id": "sw2", "switch_port": "7", "switch_mac": "52:54:00:00:00:01"});
    assert_eq!(put(&rig, "portmaps/b%2A", json!({"ports": [line]})).await.status, 204);
    let maps = fits("/bothy/v1/sdn/portmaps", "get", &rig.get("/bothy/v1/sdn/portmaps").await);
    assert_eq!((&maps[0]["compute_node"], &maps[0]["ports"]), (&json!("b*"), &json!([line])));

    for path in ["controllers/tor", "portmaps/b%2A"] {
        assert_eq!(rig.delete(&format!("/bothy/v1/sdn/{path}")).await.status, 204, "{path}");
        assert_eq!(rig.delete(&format!("/bothy/v1/sdn/{path}")).await.status, 404, "{path}");
    }
    assert!(!kept("sdn:tor") && kept("sdn"), "the password goes with its controller, and no other");
    assert_eq!(rig.delete("/bothy/v1/sdn/controllers/lab").await.status, 409);
    assert_eq!(rig.get("/bothy/v1/sdn/controllers/tor").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_a_function_is_refused_without_its_port_and_shown_with_it() {
    let rig = rig_on(64, "", host()).await;
    let tor = json!({"type": "ovsdb", "url": "unix:/run/tor.sock", "networks": ["fast", "west"], "datapaths": ["sw2"]});
    assert_eq!(put(&rig, "controllers/tor", tor).await.status, 204);
    rig.onboard_vnf("descriptors/epa-sriov/epa-sriov-vnf").await;
    let nsd = rig.onboard_nsd("descriptors/epa-sriov/epa-sriov-ns").await;
    let ask = json!({"ns": {"nsdId": nsd["nsdId"], "request": {"nsFlavourId": "default"}}});
    let r = rig.post("/bothy/v1/plan", ask.clone()).await;
    assert!(r.status == 409 && r.problem().contains("bothy sdn portmap set"), "{}", r.body);

    let line = json!({"pci": "*", "switch_id": "sw2", "switch_port": "7"});
    assert_eq!(put(&rig, "portmaps/box", json!({"ports": [line]})).await.status, 204);
    assert_eq!(rig.post("/bothy/v1/plan", ask).await.status, 200);
    let made = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "site", "nsDescription": ""})).await;
    let ns = made.header("location").expect("location").to_owned();
    let op = rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");

    let begun = Instant::now();
    let settled = |s: &Value| s["state"] == "ACTIVE" || s["why"].as_str().is_some_and(|w| w.contains("no VLAN"));
    let services = loop {
        let all = fits("/bothy/v1/sdn/services", "get", &rig.get("/bothy/v1/sdn/services").await);
        let list = all.as_array().expect("a list").clone();
        if !list.is_empty() && list.iter().all(settled) {
            break list;
        }
        assert!(begun.elapsed() < Duration::from_secs(180), "{all:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    for s in &services {
        let path = format!("/bothy/v1/sdn/services/{}", s["id"].as_str().expect("an id"));
        described_as("/bothy/v1/sdn/services/{id}", &rig.show(&path).await);
        assert!(s["ends"].as_array().is_some_and(|e| e.iter().all(|e| e["switch_port"] == "7" && e["pci"].is_string())), "{s:#}");
    }
    let plan = fits("/bothy/v1/sdn/plan", "get", &rig.get("/bothy/v1/sdn/plan").await);
    assert_eq!(plan, json!([{"controller": "tor", "differences": []}]));
    let r = rig.delete("/bothy/v1/sdn/controllers/tor").await;
    assert!(r.status == 409 && r.problem().contains("would lose their switch ports"), "{}", r.body);
    let nobody = rig.get("/bothy/v1/sdn/services/00000000-0000-4000-8000-000000000009").await;
    assert_eq!(nobody.status, 404);
}
