//! `bothy host facts`: the hardware, as tables that fit a terminal.
//!
//! Owns what of the facts is put together: caches of one kind and size, cores of one socket and node. Never: leaves
//! one out that the API tells.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    client::Client,
    failure::Failure,
    names::list,
    output::{Out, align, plain, say},
};

pub fn run(client: &Client, out: &Out) -> Result<(), Failure> {
    let f = client.get("/bothy/v1/host/facts")?;
    if out.json {
        out.value(&f);
    } else {
        say!("{}", text(&f));
    }
    Ok(())
}

/// Kernel arguments that are wanted.
pub fn wanted(args: &Value) -> String {
    args.as_str().filter(|a| !a.is_empty()).map_or("none".into(), |_| plain(args))
}

fn text(f: &Value) -> String {
    let yes = |v: &Value| if v == true { "yes" } else { "no" };
    let mut lines = vec![
        format!("kernel {}: {}", plain(&f["kernel"]), plain(&f["kernelArguments"])),
        format!("kernel arguments wanted: {}", wanted(&f["wantedKernelArguments"])),
        format!(
            "{} sockets, {} cores, CPUs {}, SMT {}, IOMMU {}",
            plain(&f["sockets"]),
            list(f, "cores").len(),
            plain(&f["cpus"]),
            yes(&f["smt"]),
            yes(&f["iommu"])
        ),
    ];
    for (member, what) in [("isolated", "isolated CPUs"), ("nohzFull", "CPUs without a tick")] {
        if f[member].as_str().is_some_and(|s| !s.is_empty()) {
            lines.push(format!("{what}: {}", plain(&f[member])));
        }
    }
    if f["mhz"].is_number() {
        lines.push(format!("clock: {} MHz", plain(&f["mhz"])));
    }
    lines.push(watchdog(&f["watchdog"]));
    for g in list(f, "governors") {
        lines.push(format!("governor {}: CPUs {} (there are: {})", plain(&g["name"]), plain(&g["cpus"]), plain(&g["available"])));
    }
    let tables: [(&[&str], Vec<Vec<String>>); 5] = [
        (&["NODE", "CPUS", "MIB", "FREE", "HUGEPAGES FREE/TOTAL", "DISTANCES"], list(f, "nodes").iter().map(node).collect()),
        (&["SOCKET", "NODE", "CORES", "CPUS OF EACH"], cores(list(f, "cores"))),
        (&["CACHE", "KIB", "COUNT", "CPUS BEHIND EACH"], caches(f)),
        (&["PCI", "ID", "CLASS", "NODE", "DRIVER", "GROUP", "INTERFACE", "SR-IOV"], list(f, "devices").iter().map(device).collect()),
        (
            &["VF", "OF", "INDEX", "MAC", "VLAN", "LINK", "TRUST", "SPOOF CHECK", "MBIT/S"],
            list(f, "devices").iter().flat_map(vfs).collect(),
        ),
    ];
    lines.extend(tables.iter().filter(|(_, rows)| !rows.is_empty()).map(|(head, rows)| format!("\n{}", align(head, rows))));
    lines.join("\n")
}

fn watchdog(w: &Value) -> String {
    if w.is_null() {
        return "watchdog: none, a host that hangs waits for a hand".into();
    }
    let does = if w["runs"] == true { "resets the host when it hangs for" } else { "nobody has started it; it would wait for" };
    let has = if w["hasReset"] == true { "; it ended the boot before this one" } else { "" };
    format!("watchdog {}: {does} {} s{has}", plain(&w["identity"]), plain(&w["seconds"]))
}

fn node(n: &Value) -> Vec<String> {
    let one = |p: &Value| format!("{}/{} x {} KiB", plain(&p["free"]), plain(&p["total"]), plain(&p["sizeKib"]));
    let pages = list(n, "hugepages").iter().map(one).collect::<Vec<_>>().join(", ");
    let distances = list(n, "distances").iter().map(plain).collect::<Vec<_>>().join(" ");
    vec![plain(&n["id"]), plain(&n["cpus"]), plain(&n["memoryMib"]), plain(&n["memoryFreeMib"]), pages, distances]
}

/// A line for each socket and node: siblings stand together.
fn cores(all: &[Value]) -> Vec<Vec<String>> {
    let mut groups: BTreeMap<(u64, u64), Vec<String>> = BTreeMap::new();
    for c in all {
        let number = |v: &Value| v.as_u64().unwrap_or_default();
        groups.entry((number(&c["socket"]), number(&c["node"]))).or_default().push(plain(&c["cpus"]));
    }
    let row = |((socket, node), cores): ((u64, u64), Vec<String>)| {
        vec![socket.to_string(), node.to_string(), cores.len().to_string(), cores.join(" ")]
    };
    groups.into_iter().map(row).collect()
}

/// A line for each level, kind and size; those that are a core's own are not listed one by one.
fn caches(f: &Value) -> Vec<Vec<String>> {
    let mut groups: BTreeMap<(u64, String, u64), Vec<String>> = BTreeMap::new();
    for c in list(f, "caches") {
        let number = |v: &Value| v.as_u64().unwrap_or_default();
        let kind = plain(&c["kind"]).to_lowercase();
        groups.entry((number(&c["level"]), kind, number(&c["sizeKib"]))).or_default().push(plain(&c["cpus"]));
    }
    let cores: Vec<String> = list(f, "cores").iter().map(|c| plain(&c["cpus"])).collect();
    let row = |((level, kind, kib), behind): ((u64, String, u64), Vec<String>)| {
        let own = behind.len() == cores.len() && behind.iter().all(|b| cores.contains(b));
        let whose = if own { "those of one core".into() } else { behind.join(" ") };
        vec![format!("L{level} {kind}"), kib.to_string(), behind.len().to_string(), whose]
    };
    groups.into_iter().map(row).collect()
}

fn device(d: &Value) -> Vec<String> {
    let interface = |i: &Value| {
        let mut words = vec![plain(&i["name"])];
        words.extend(i["mac"].is_string().then(|| plain(&i["mac"])));
        words.push(format!("MTU {}", plain(&i["mtu"])));
        match (i["speedMbps"].as_u64(), i["carrier"] == true, i["up"] == true) {
            (Some(speed), _, _) => words.push(format!("{speed} Mbit/s")),
            (None, true, _) => {}
            (None, false, true) => words.push("no link".into()),
            (None, false, false) => words.push("down".into()),
        }
        words.join(" ")
    };
    let sriov = match (&d["sriov"], &d["physicalFunction"]) {
        (Value::Null, Value::Null) => String::new(),
        (Value::Null, pf) => format!("VF of {}", plain(pf)),
        (pf, _) => {
            let net = pf["physicalNetwork"].as_str().map(|n| format!(" on {n}")).unwrap_or_default();
            format!("PF{net}: {} of {}", list(pf, "vfs").len(), plain(&pf["total"]))
        }
    };
    let interfaces: Vec<String> = list(d, "interfaces").iter().map(interface).collect();
    let id = format!("{}:{}", plain(&d["vendor"]), plain(&d["device"]));
    let [address, class, node, mut driver, group] = [&d["address"], &d["class"], &d["node"], &d["driver"], &d["iommuGroup"]].map(plain);
    if let Some(user) = d["user"].as_str() {
        driver += &format!(", {user}");
    }
    vec![address, id, class, node, driver, group, interfaces.join(", "), sriov]
}

fn vfs(pf: &Value) -> Vec<Vec<String>> {
    let row = |v: &Value| {
        let s = &v["settings"];
        let of = plain(&pf["interfaces"][0]["name"]);
        let rate = if s.is_null() { "-".into() } else { format!("{}-{}", plain(&s["minRateMbps"]), plain(&s["maxRateMbps"])) };
        let all = [&v["address"], &v["index"], &s["mac"], &s["vlan"], &s["linkState"], &s["trust"], &s["spoofCheck"]].map(plain);
        let [address, index, mac, vlan, link, trust, spoof] = all;
        vec![address, of, index, mac, vlan, link.to_lowercase(), trust, spoof, rate]
    };
    list(&pf["sriov"], "vfs").iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// No two values alike, so that none can stand for another.
    #[test]
    fn every_fact_is_told_to_people() {
        let mut f = json!({
            "kernel": "6.12", "kernelArguments": "ro quiet", "wantedKernelArguments": "isolcpus=domain,1-2", "cpus": "0-7", "sockets": 2,
            "smt": true, "iommu": false, "isolated": "1-2", "nohzFull": "2", "mhz": 2400,
            "watchdog": {"identity": "iTCO_wdt", "seconds": 121, "runs": true, "hasReset": true},
            "nodes": [
                {"id": 0, "cpus": "0-1,4-5", "memoryMib": 4000, "memoryFreeMib": 3000, "distances": [10, 21],
                 "hugepages": [{"sizeKib": 2048, "total": 64, "free": 60}, {"sizeKib": 1_048_576, "total": 2, "free": 1}]},
                {"id": 1, "cpus": "2-3,6-7", "memoryMib": 5000, "memoryFreeMib": 4500, "distances": [21, 10], "hugepages": []}],
            "cores": [
                {"socket": 0, "node": 0, "id": 0, "cpus": "0,4"}, {"socket": 0, "node": 0, "id": 1, "cpus": "1,5"},
                {"socket": 1, "node": 1, "id": 0, "cpus": "2,6"}, {"socket": 1, "node": 1, "id": 1, "cpus": "3,7"}],
            "caches": [
                {"level": 1, "kind": "DATA", "sizeKib": 48, "cpus": "0,4"}, {"level": 1, "kind": "DATA", "sizeKib": 48, "cpus": "1,5"},
                {"level": 1, "kind": "DATA", "sizeKib": 48, "cpus": "2,6"}, {"level": 1, "kind": "DATA", "sizeKib": 48, "cpus": "3,7"},
                {"level": 2, "kind": "UNIFIED", "sizeKib": 1280, "cpus": "0-1,4-5"},
                {"level": 2, "kind": "UNIFIED", "sizeKib": 2560, "cpus": "2-3,6-7"},
                {"level": 3, "kind": "UNIFIED", "sizeKib": 8192, "cpus": "0-7"}],
            "governors": [{"name": "powersave", "cpus": "0-7", "available": ["performance", "powersave"]}],
        });
        f["devices"] = json!([
                {"address": "0000:01:00.0", "vendor": "8086", "device": "10c9", "class": "020000", "node": 1, "driver": "igb", "iommuGroup": 17,
                 "interfaces": [{"name": "eth0", "mac": "02:00:00:00:00:01", "mtu": 9000, "up": true, "carrier": true, "speedMbps": 1000}],
                 "sriov": {"total": 7, "physicalNetwork": "wan", "vfs": [
                    {"index": 0, "address": "0000:01:10.0", "settings": {"mac": "02:00:00:00:00:02", "vlan": 42, "linkState": "DOWN",
                        "trust": true, "spoofCheck": false, "minRateMbps": 5, "maxRateMbps": 100}},
                    {"index": 1, "address": "0000:01:10.2"}]}},
                {"address": "0000:01:10.0", "vendor": "8086", "device": "10ca", "class": "020001", "driver": "vfio-pci", "user": "qemu (7)",
                 "interfaces": [], "physicalFunction": "0000:01:00.0"},
                {"address": "0000:02:00.0", "vendor": "1af4", "device": "1041", "class": "020002", "interfaces": [
                    {"name": "eth1", "mtu": 1500, "up": true, "carrier": false}, {"name": "eth2", "mtu": 1400, "up": false, "carrier": false}]}]);
        insta::assert_snapshot!("facts", text(&f));
        let few = json!({"kernel": "6.12", "kernelArguments": "", "wantedKernelArguments": "", "sockets": 1});
        assert_eq!(
            text(&few),
            "kernel 6.12: \nkernel arguments wanted: none\n1 sockets, 0 cores, CPUs -, SMT no, IOMMU no\nwatchdog: none, a host that hangs waits for a hand"
        );
        let idle = json!({"identity": "iTCO_wdt", "seconds": 31, "runs": false, "hasReset": false});
        assert_eq!(watchdog(&idle), "watchdog iTCO_wdt: nobody has started it; it would wait for 31 s");
    }
}
