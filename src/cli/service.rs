//! A network service as people want to see it: its VNFs and guests, and links.

use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    names::{guests, list, short},
    output::{Out, align, plain},
};
use crate::model::order::Order as _;

pub fn show(client: &Client, out: &Out, path: &str) -> Result<(), Failure> {
    let ns = client.get(path)?;
    if out.json {
        out.value(&ns);
        return Ok(());
    }
    out.done(&Value::Null, &tables(&ns, &segments(client, &ns)?));
    Ok(())
}

/// The segments of a service; none when it is not instantiated.
pub fn segments(client: &Client, ns: &Value) -> Result<Vec<Value>, Failure> {
    let all = match client.get("/bothy/v1/networks")? {
        Value::Array(all) => all,
        _ => Vec::new(),
    };
    let vnfs: Vec<&Value> = list(ns, "vnfInstance").iter().map(|v| &v["id"]).collect();
    let mut of: Vec<Value> = all.into_iter().filter(|s| s["ns"] == ns["id"] || vnfs.contains(&&s["vnf"])).collect();
    of.order_by_key(|s| s["vlan"].as_u64());
    Ok(of)
}

pub fn tables(ns: &Value, segments: &[Value]) -> String {
    let mut text = format!("network service {} ({}) is {}", plain(&ns["nsInstanceName"]), short(&plain(&ns["id"])), plain(&ns["nsState"]));
    let rows = nics(ns);
    if !rows.is_empty() {
        text += &format!("\n\n{}", align(&["VNF", "STATE", "GUEST", "PORT", "LINK", "ADDRESSES"], &rows));
    }
    let rows: Vec<Vec<String>> = segments.iter().map(segment).collect();
    if !rows.is_empty() {
        text += &format!("\n\n{}", align(SEGMENT, &rows));
    }
    text
}

const SEGMENT: &[&str] = &["LINK", "VLAN", "STATE", "NETWORKS", "HOST"];

fn segment(s: &Value) -> Vec<String> {
    ["link", "vlan", "state", "networks", "addresses"].map(|m| plain(&s[m])).to_vec()
}

/// A row per NIC; what repeats is said once.
fn nics(ns: &Value) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for v in list(ns, "vnfInstance") {
        let info = &v["instantiatedVnfInfo"];
        let state = if info.is_null() { plain(&v["instantiationState"]) } else { plain(&info["vnfState"]) };
        let mut head = [plain(&v["vnfInstanceName"]), state];
        for (guest, index) in guests(info) {
            let mut name = format!("{}/{index}", plain(&guest["vduId"]));
            for cp in list(guest, "vnfcCpInfo") {
                let [vnf, state] = std::mem::take(&mut head);
                let link = link_of(ns, info, &cp["id"]);
                rows.push(vec![vnf, state, std::mem::take(&mut name), plain(&cp["cpdId"]), link, addresses(cp)]);
            }
            if !name.is_empty() {
                let [vnf, state] = std::mem::take(&mut head);
                rows.push(vec![vnf, state, name]);
            }
        }
        if !head[0].is_empty() {
            let elsewhere = v["metadata"]["bothy.vnfm"].as_str().map(|vnfm| format!("at VNFM {vnfm}"));
            rows.push(head.into_iter().chain(elsewhere).collect());
        }
    }
    rows
}

/// The link a port is on: one of the service or one inside the VNF.
pub fn link_of(ns: &Value, info: &Value, port: &Value) -> String {
    let has = |link: &Value, ports: &str| list(link, ports).iter().any(|p| p["id"] == *port);
    let outside = list(ns, "virtualLinkInfo").iter().find(|l| has(l, "linkPort")).map(|l| plain(&l["nsVirtualLinkDescId"]));
    let inside =
        || list(info, "vnfVirtualLinkResourceInfo").iter().find(|l| has(l, "vnfLinkPorts")).map(|l| plain(&l["vnfVirtualLinkDescId"]));
    outside.or_else(inside).unwrap_or_else(|| "-".into())
}

/// Of a connection point, all IP addresses.
pub fn addresses(cp: &Value) -> String {
    let over = list(cp, "cpProtocolInfo").iter().map(|p| &p["ipOverEthernet"]);
    let all: Vec<Value> = over.flat_map(|e| list(e, "ipAddresses")).flat_map(|a| list(a, "addresses")).cloned().collect();
    plain(&json!(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nic_has_a_row_and_what_repeats_is_said_once() {
        let ip = |a: &str| json!([{"layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": {"macAddress": "52:54:00:00:00:01", "ipAddresses": [{"type": "IPV4", "addresses": [a]}]}}]);
        let ns = json!({
            "id": "x", "nsInstanceName": "site", "nsState": "INSTANTIATED",
            "vnfInstance": [
                {"vnfInstanceName": "site-fw", "instantiatedVnfInfo": {"vnfState": "STARTED",
                    "vnfcResourceInfo": [{"id": "c", "vduId": "fw", "vnfcCpInfo": [
                        {"id": "p1", "cpdId": "lan", "cpProtocolInfo": ip("10.0.0.1")}, {"id": "p2", "cpdId": "bus", "cpProtocolInfo": ip("10.0.1.1")}]}],
                    "vnfVirtualLinkResourceInfo": [{"vnfVirtualLinkDescId": "inner", "vnfLinkPorts": [{"id": "p2"}]}]}},
                {"vnfInstanceName": "site-new", "instantiationState": "NOT_INSTANTIATED"},
                {"vnfInstanceName": "site-far", "instantiatedVnfInfo": {"vnfState": "STARTED"}, "metadata": {"bothy.vnfm": "east"}}],
            "virtualLinkInfo": [{"nsVirtualLinkDescId": "lan", "linkPort": [{"id": "p1"}]}],
        });
        let segments = [
            json!({"link": "lan", "vlan": 7, "state": "ACTIVE", "networks": ["10.0.0.0/24"], "addresses": ["10.0.0.254/24"], "stations": [{}]}),
        ];
        insta::assert_snapshot!(tables(&ns, &segments), @r"
        network service site (x) is INSTANTIATED

        VNF       STATE             GUEST         PORT  LINK   ADDRESSES
        site-fw   STARTED           fw/0          lan   lan    10.0.0.1
                                                  bus   inner  10.0.1.1
        site-new  NOT_INSTANTIATED
        site-far  STARTED           at VNFM east

        LINK  VLAN  STATE   NETWORKS     HOST
        lan   7     ACTIVE  10.0.0.0/24  10.0.0.254/24
        ");
    }
}
