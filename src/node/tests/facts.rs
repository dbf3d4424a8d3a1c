//! The hardware from the kernel's files to the API's JSON: each value where it belongs.

use serde_json::json;

use crate::{
    api::admin::facts::Facts,
    host::facts::{fake::Fake, read},
    model::{
        host::{Function, Governor, HostFacts, KernelArgs, Mbps, NodeId, VfConf, VfLink, VfTold, Watchdog},
        hw::PageSize,
        id::IfName,
        net::MacAddr,
        size::MiB,
    },
    sim::machine::{Machine, Model, Nic},
};

/// Four CPUs, two nodes, one PF; no two values alike that could be mistaken for each other.
fn described() -> HostFacts {
    let nic = Nic { model: Model::Igb, node: NodeId(1), name: "eth0", physical: None, total_vfs: 7, vfs: 2, speed: Mbps(2500) };
    let m = Machine {
        cores_per_socket: 1,
        memory: MiB(4000),
        hugepages: vec![(PageSize::Huge2M, 64), (PageSize::Huge1G, 1)],
        isolated: "3".parse().expect("CPUs"),
        nics: vec![nic],
        args: "ro quiet".into(),
        ..Machine::default()
    };
    let mut f = m.facts();
    f.nohz_full = "1".parse().expect("CPUs");
    f.watchdog = Some(Watchdog { identity: "i6300ESB timer".into(), seconds: 120, runs: true, has_reset: false });
    f.nodes[1].memory_free = MiB(2000);
    f.nodes[1].hugepages[0].free = 60;
    f.governors = ["0,2", "1,3"].map(|cpus| (if cpus == "0,2" { "powersave" } else { "performance" }, cpus)).map(governor).to_vec();
    let pf = f.devices.iter_mut().find(|d| matches!(d.function, Function::Pf(_))).expect("a PF");
    pf.ports[0].mtu = 9000;
    pf.ports[0].mac = Some(MacAddr::planned(1));
    f
}

fn governor((name, cpus): (&str, &str)) -> Governor {
    Governor { name: name.into(), cpus: cpus.parse().expect("CPUs"), available: vec!["performance".into(), "powersave".into()] }
}

/// The first VF is trusted and not checked, the second the other way round and silent about its link.
fn told(pf: &IfName) -> Vec<VfTold> {
    assert_eq!(pf.as_str(), "eth0");
    let first = VfConf {
        mac: Some(MacAddr::planned(7)),
        vlan: 42.try_into().ok(),
        trust: true,
        spoof_check: false,
        min_rate: Mbps(5),
        max_rate: Mbps(100),
    };
    let second = VfConf { spoof_check: true, ..VfConf::default() };
    vec![VfTold { index: 0, conf: first, link: Some(VfLink::Down) }, VfTold { index: 1, conf: second, link: None }]
}

#[test]
fn every_fact_of_a_tree_has_its_place_in_the_api() {
    let mut facts = read(&Fake::of(&described()).tree(), &told).expect("facts");
    for d in &mut facts.devices {
        if let Function::Pf(pf) = &mut d.function {
            pf.physical = Some("wan".into());
        }
    }
    let is = serde_json::to_value(Facts::of(&facts, &KernelArgs::parse("isolcpus=domain,3"))).expect("JSON");
    let pages = |free| json!([{"sizeKib": 2048, "total": 64, "free": free}, {"sizeKib": 1048576, "total": 1, "free": 1}]);
    let vf = |index: u16, group: u16| {
        json!({
            "address": format!("0000:10:02.{index}"), "vendor": "8086", "device": "10ca", "class": "020000", "node": 1,
            "driver": "igbvf", "iommuGroup": group, "interfaces": [], "physicalFunction": "0000:10:00.0",
        })
    };
    let parts = [
        (
            "whole",
            json!({
                "kernel": "6.12.0-simulated", "kernelArguments": "ro quiet", "wantedKernelArguments": "isolcpus=domain,3",
                "cpus": "0-3", "sockets": 2, "smt": true, "iommu": true, "isolated": "3", "nohzFull": "1", "mhz": 2000,
                "watchdog": {"identity": "i6300ESB timer", "seconds": 120, "runs": true, "hasReset": false},
            }),
        ),
        (
            "nodes",
            json!([
                {"id": 0, "cpus": "0,2", "memoryMib": 4000, "memoryFreeMib": described().nodes[0].memory_free.0, "hugepages": pages(64),
                 "distances": [10, 21]},
                {"id": 1, "cpus": "1,3", "memoryMib": 4000, "memoryFreeMib": 2000, "hugepages": pages(60), "distances": [21, 10]},
            ]),
        ),
        ("cores", json!([{"socket": 0, "node": 0, "id": 0, "cpus": "0,2"}, {"socket": 1, "node": 1, "id": 0, "cpus": "1,3"}])),
        (
            "governors",
            json!([
                {"name": "powersave", "cpus": "0,2", "available": ["performance", "powersave"]},
                {"name": "performance", "cpus": "1,3", "available": ["performance", "powersave"]},
            ]),
        ),
        (
            "devices",
            json!([
                {
                    "address": "0000:10:00.0", "vendor": "8086", "device": "10c9", "class": "020000", "node": 1, "driver": "igb",
                    "iommuGroup": 20,
                    "interfaces": [
                        {"name": "eth0", "mac": "52:54:00:00:00:01", "mtu": 9000, "up": true, "carrier": true, "speedMbps": 2500}],
                    "sriov": {"total": 7, "physicalNetwork": "wan", "vfs": [
                        {"index": 0, "address": "0000:10:02.0", "settings": {
                            "mac": "52:54:00:00:00:07", "vlan": 42, "linkState": "DOWN", "trust": true, "spoofCheck": false,
                            "minRateMbps": 5, "maxRateMbps": 100}},
                        {"index": 1, "address": "0000:10:02.1", "settings": {
                            "trust": false, "spoofCheck": true, "minRateMbps": 0, "maxRateMbps": 0}},
                    ]},
                },
                vf(0, 21),
                vf(1, 22),
            ]),
        ),
    ];
    let mut rest = is.as_object().expect("an object").clone();
    for (name, want) in parts.iter().skip(1) {
        assert_eq!(rest.remove(*name).as_ref(), Some(want), "{name}");
    }
    let caches = rest.remove("caches").expect("caches");
    assert_eq!(serde_json::Value::Object(rest), parts[0].1);
    let of = |c: &crate::model::host::Cache| json!([c.level, c.size.0 >> 10, c.cpus.to_string()]);
    let shown: Vec<_> = caches.as_array().into_iter().flatten().map(|c| json!([c["level"], c["sizeKib"], c["cpus"]])).collect();
    assert_eq!(shown, described().caches.iter().map(of).collect::<Vec<_>>());
    let kinds: Vec<_> = caches.as_array().into_iter().flatten().map(|c| format!("L{} {}", c["level"], c["kind"])).collect();
    assert!(kinds.contains(&"L1 \"DATA\"".to_owned()) && kinds.contains(&"L3 \"UNIFIED\"".to_owned()), "{kinds:?}");
}
