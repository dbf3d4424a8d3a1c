//! The packages of `descriptors/` that ask for hardware as OSM's do, on a described box of two sockets:
//! where each guest would be, and what is missing on a box that is too small.

use bothy::{
    model::{
        host::{Mbps, NodeId},
        hw::PageSize,
    },
    sim::{
        SimConfig,
        machine::{Machine, Model, Nic},
    },
};
use serde_json::{Value, json};

use crate::rig::{Rig, rig_on};

/// Two sockets of 16 cores with SMT; `fast` with 8 VFs on node 1, `west` on node 0.
fn two_sockets(pages: u64) -> SimConfig {
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
        hugepages: vec![(PageSize::Huge2M, pages), (PageSize::Huge1G, 16)],
        nics: vec![nic(0, "ens1f0", "west", 0), nic(1, "ens2f0", "fast", 8)],
        ..Machine::default()
    };
    SimConfig { hardware: m.facts(), physical: vec!["west".into(), "fast".into()], ..SimConfig::default() }
}

async fn plan(rig: &Rig, vnfs: &[&str], ns: &str) -> crate::rig::Reply {
    for folder in vnfs {
        let v = rig.onboard_vnf(folder).await;
        assert_eq!(v["onboardingState"], "ONBOARDED", "{v:#}");
    }
    let nsd = rig.onboard_nsd(ns).await;
    assert_eq!(nsd["nsdOnboardingState"], "ONBOARDED", "{nsd:#}");
    rig.post("/bothy/v1/plan", json!({"ns": {"nsdId": nsd["nsdId"], "request": {"nsFlavourId": "default"}}})).await
}

/// A line for each guest that has a place of its own.
fn placements(plan: &Value) -> String {
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let mut lines = String::new();
    for vnf in list(&plan["vnfs"]) {
        for guest in list(&vnf["guests"]) {
            if let Some(at) = guest["placement"].as_str() {
                lines += &format!("{} {}: {at}\n", vnf["name"].as_str().unwrap_or("?"), guest["vdu"].as_str().unwrap_or("?"));
            }
        }
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_that_ask_as_osms_do_have_a_place_on_a_box_of_two_sockets() {
    for (name, vnfs, ns) in [
        ("hackfest", ["descriptors/epa-sriov/epa-sriov-vnf"].as_slice(), "descriptors/epa-sriov/epa-sriov-ns"),
        ("reference", &["descriptors/epa-numa/epa-numa-front", "descriptors/epa-numa/epa-numa-back"], "descriptors/epa-numa/epa-numa-ns"),
    ] {
        let rig = rig_on(64, "", two_sockets(8192)).await;
        let r = plan(&rig, vnfs, ns).await;
        assert_eq!(r.status, 200, "{name}: {}", r.body);
        let lines = placements(&r.json());
        println!("{name}\n{lines}");
        insta::assert_snapshot!(format!("placed_{name}"), lines);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_without_their_pages_says_so_for_each_guest_and_node() {
    let mut small = two_sockets(0);
    small.hardware.nodes.iter_mut().for_each(|n| n.hugepages.retain(|p| p.size != PageSize::Huge1G));
    let rig = rig_on(64, "", small).await;
    let r = plan(&rig, &["descriptors/epa-sriov/epa-sriov-vnf"], "descriptors/epa-sriov/epa-sriov-ns").await;
    assert_eq!(r.status, 409, "{}", r.body);
    let said = r.problem();
    for node in ["node 0", "node 1"] {
        assert!(said.contains(node) && said.contains("pages"), "{said}");
    }
}
