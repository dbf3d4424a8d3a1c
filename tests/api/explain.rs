//! What `/bothy/v1/explain` says of links, addresses and of guests that came to another flavour: who chose what.

use serde_json::{Value, json};

use crate::{admin, connect, flavour, rig::Rig};

async fn because(rig: &Rig, id: &Value) -> String {
    let path = format!("/bothy/v1/explain/{}", id.as_str().expect("an id"));
    let e = admin::fits("/bothy/v1/explain/{id}", "get", &rig.get(&path).await);
    e["because"].as_array().expect("reasons").iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

fn says(text: &str, all: &[&str]) {
    for part in all {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

/// A link by its name and its first network.
async fn link(rig: &Rig, name: &str, network: &str) -> Value {
    let networks = rig.show("/bothy/v1/networks").await;
    let found = networks.as_array().expect("networks").iter().find(|n| n["link"] == name && n["networks"][0] == network);
    found.unwrap_or_else(|| panic!("no {name} with {network}: {networks:#}"))["id"].clone()
}

/// NICs of the first guest, by their connection point.
async fn nic(rig: &Rig, vnf: &str, cpd: &str) -> Value {
    let v = rig.show(vnf).await;
    let all = v["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["vnfcCpInfo"].as_array().expect("NICs").clone();
    all.into_iter().find(|p| p["cpdId"] == cpd).expect("a NIC")["id"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_a_service_and_its_addresses_say_who_chose_them() {
    let s = connect::standing().await;
    let rig = &s.rig;
    let mgmt = because(rig, &link(rig, "mgmt", "10.10.0.0/24").await).await;
    says(
        &mgmt,
        &[
            "is its tag within the switch, where each link of the box has one of its own: the lowest that was free",
            "its network 10.10.0.0/24 is what its descriptor says",
            "the host has 10.10.0.1 here, the first address of 10.10.0.0/24, since the link is for management",
        ],
    );
    let wan = because(rig, &link(rig, "wan", "10.10.2.0/24").await).await;
    says(&wan, &["its network 10.10.2.0/24 is what its descriptor says", "its network fd10:10:2::/64 is what its descriptor says"]);
    assert!(!wan.contains("the host has"), "{wan}");

    // A member whose NSD says where it is.
    let fixed = because(rig, &nic(rig, &s.member, "mgmt").await).await;
    says(&fixed, &["is what the NSD fixes for the VNF profile ", "was drawn by lot"]);

    // One that asked for nothing, then for another link and an address of it.
    let port = nic(rig, &s.vnf, "wan").await;
    let before = because(rig, &port).await;
    says(
        &before,
        &["nobody asked for an address of 10.10.2.0/24: 10.10.2.2 was the lowest of 10.10.2.0/24 that was free", "on virtual link wan"],
    );
    assert!(!before.contains("CHANGE_EXT_CONN"), "{before}");
    let op = s.change(s.to(&s.lan, &s.cp().await, &["10.10.1.77"])).await;
    let id = op["id"].as_str().expect("id");
    let after = because(rig, &port).await;
    says(
        &after,
        &[
            "on virtual link lan",
            &format!("operation {id} (CHANGE_EXT_CONN, COMPLETED) put it there"),
            &format!("10.10.1.77 was asked for with operation {id} (CHANGE_EXT_CONN)"),
            "nobody asked for an address of fd10:10:1::/64",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_of_another_flavour_says_which_operation_made_it_so() {
    let (rig, vnf) = flavour::standing().await;
    let before = rig.show(&vnf).await["instantiatedVnfInfo"].clone();
    let guest = before["vnfcResourceInfo"][0]["id"].clone();
    let root = before["virtualStorageResourceInfo"][0]["id"].clone();
    let id = json!(vnf.rsplit('/').next().expect("id"));
    assert!(!because(&rig, &guest).await.contains("CHANGE_FLAVOUR"));

    // No service gives it links: it has its own, out of the pool where the host is on them.
    let mgmt = because(&rig, &link(&rig, "mgmt", "10.177.0.0/24").await).await;
    says(
        &mgmt,
        &["its descriptor gives no network", "10.177.0.0/24 was the first of network.pool 10.177.0.0/16", "the host has 10.177.0.1 here"],
    );

    let op = rig.task(&format!("{vnf}/change_flavour"), json!({"newFlavourId": "large"})).await;
    let by = format!("operation {} (CHANGE_FLAVOUR, COMPLETED)", op["id"].as_str().expect("id"));
    says(&because(&rig, &id).await, &[&format!("{by} brought it to its flavour"), "flavour large at level default"]);
    says(&because(&rig, &guest).await, &[&format!("{by} changed what it is made of, and left it the guest that it was")]);
    says(&because(&rig, &root).await, &[&format!("{by} let it grow"), "the disk was planned when operation"]);
    let after = rig.show(&vnf).await["instantiatedVnfInfo"].clone();
    let added =
        after["virtualStorageResourceInfo"].as_array().expect("disks").iter().find(|d| d["id"] != root).expect("a new disk")["id"].clone();
    says(&because(&rig, &added).await, &[&format!("the disk was planned when {by} was accepted")]);
    let of = because(&rig, &op["id"]).await;
    says(&of, &["it acts on VNF instance", "it has been COMPLETED"]);
}
