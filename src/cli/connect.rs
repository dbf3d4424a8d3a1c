//! `bothy vnf connect` and `disconnect`: external connection points to other links of the box (SOL003 5.4.11).

use clap::Args;
use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    follow::{Wait, accepted},
    names::list,
    output::{Out, plain},
    vnf::VNFS,
};

#[derive(Args)]
pub struct Connect {
    pub vnf: String,
    /// The external connection point, by its id in the descriptor
    pub cp: String,
    /// The link it comes to: its id, or its name where no other link has that
    #[arg(long)]
    pub link: String,
    /// A fixed address there; repeat for more. Without one the link's networks give one each
    #[arg(long = "address", value_name = "ADDRESS")]
    pub addresses: Vec<std::net::IpAddr>,
    /// Only say what would change
    #[arg(long)]
    pub plan: bool,
    #[command(flatten)]
    pub wait: Wait,
}

#[derive(Args)]
pub struct Disconnect {
    pub vnf: String,
    /// The external connection point, by its id in the descriptor
    pub cp: String,
    #[command(flatten)]
    pub wait: Wait,
}

impl Connect {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let path = VNFS.find(client, &self.vnf)?;
        let link = link(&client.get("/bothy/v1/networks")?, &self.link)?;
        let (instances, _) = instances(&client.get(&path)?, &self.cp);
        let ask = request(&link, &self.cp, configs(&instances, &self.addresses));
        if self.plan {
            let id = path.rsplit('/').next();
            let plan = client.post("/bothy/v1/plan", &json!({ "connect": { "vnfInstanceId": id, "request": ask } }))?.body;
            out.done(&plan, &moves(&plan));
            return Ok(());
        }
        let answer = client.post(&format!("{path}/change_ext_conn"), &ask)?;
        accepted(client, out, &answer, self.wait)
    }
}

impl Disconnect {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let path = VNFS.find(client, &self.vnf)?;
        let (instances, links) = instances(&client.get(&path)?, &self.cp);
        let Some(link) = links.first() else {
            return Err(Failure::Here(format!("{} of {} is on no external link", self.cp, self.vnf)));
        };
        let off = instances.iter().map(|i| (i.clone(), Value::Null)).collect();
        let answer = client.post(&format!("{path}/change_ext_conn"), &request(link, &self.cp, Value::Object(off)))?;
        accepted(client, out, &answer, self.wait)
    }
}

fn request(link: &str, cp: &str, configs: Value) -> Value {
    json!({ "extVirtualLinks": [{ "id": link, "resourceId": link, "extCps": [{ "cpdId": cp, "cpConfig": configs }] }] })
}

/// Fixed addresses are the first instance's.
fn configs(instances: &[String], addresses: &[std::net::IpAddr]) -> Value {
    let group = |kind: &str, wanted: fn(&std::net::IpAddr) -> bool| {
        let of: Vec<String> = addresses.iter().filter(|a| wanted(a)).map(ToString::to_string).collect();
        (!of.is_empty()).then(|| json!({ "type": kind, "fixedAddresses": of }))
    };
    let groups: Vec<Value> =
        [group("IPV4", std::net::IpAddr::is_ipv4), group("IPV6", std::net::IpAddr::is_ipv6)].into_iter().flatten().collect();
    let config = |first: bool| {
        let any = json!([{ "type": "IPV4", "numDynamicAddresses": 1 }]);
        let eth = json!({ "ipAddresses": if first && !groups.is_empty() { json!(groups) } else { any } });
        json!({ "cpProtocolData": [{ "layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": eth }] })
    };
    Value::Object(instances.iter().enumerate().map(|(i, id)| (id.clone(), config(i == 0))).collect())
}

/// The instances of a connection point, and the external links that they are on.
fn instances(vnf: &Value, cp: &str) -> (Vec<String>, Vec<String>) {
    let info = &vnf["instantiatedVnfInfo"];
    let of: Vec<&Value> = list(info, "extCpInfo").iter().filter(|c| c["cpdId"] == cp).collect();
    let port = |l: &&Value| list(l, "extLinkPorts").iter().any(|p| of.iter().any(|c| c["extLinkPortId"] == p["id"]));
    let links = list(info, "extVirtualLinkInfo").iter().filter(port).map(|l| plain(&l["id"])).collect();
    (of.iter().map(|c| plain(&c["id"])).collect(), links)
}

fn link(all: &Value, named: &str) -> Result<String, Failure> {
    let found: Vec<&Value> = all.as_array().into_iter().flatten().filter(|l| l["id"] == named || l["link"] == named).collect();
    match found.as_slice() {
        [one] => Ok(plain(&one["id"])),
        [] => Err(Failure::Here(format!("there is no link '{named}'; `bothy net list` shows them"))),
        more => Err(Failure::Here(format!("{} links are named '{named}': give its id", more.len()))),
    }
}

fn moves(plan: &Value) -> String {
    let seat = |s: &Value| match s["link"].as_str() {
        Some(link) => {
            let addresses: Vec<String> = list(s, "addresses").iter().map(plain).collect();
            format!("{link} ({})", if addresses.is_empty() { "no address".into() } else { addresses.join(", ") })
        }
        None => "no link".into(),
    };
    let lines: Vec<String> =
        list(plan, "moves").iter().map(|m| format!("{}: from {} to {}", plain(&m["nic"]), seat(&m["before"]), seat(&m["after"]))).collect();
    if lines.is_empty() { "nothing to do: it is there already".into() } else { lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_names_each_instance_and_gives_fixed_addresses_to_the_first() {
        let vnf = json!({ "instantiatedVnfInfo": {
            "extCpInfo": [{ "id": "a", "cpdId": "wan", "extLinkPortId": "p" }, { "id": "b", "cpdId": "wan" }, { "id": "c", "cpdId": "lan" }],
            "extVirtualLinkInfo": [{ "id": "l", "extLinkPorts": [{ "id": "p" }] }, { "id": "m", "extLinkPorts": [{ "id": "q" }] }],
        }});
        let (ids, links) = instances(&vnf, "wan");
        assert_eq!((ids.join(","), links.join(",")), ("a,b".into(), "l".into()));
        let c = configs(&ids, &["10.0.0.5".parse().expect("IPv4"), "fd00::5".parse().expect("IPv6")]);
        let groups = &c["a"]["cpProtocolData"][0]["ipOverEthernet"]["ipAddresses"];
        assert_eq!((&groups[0]["fixedAddresses"][0], &groups[1]["type"]), (&json!("10.0.0.5"), &json!("IPV6")));
        assert_eq!(c["b"]["cpProtocolData"][0]["ipOverEthernet"]["ipAddresses"][0]["numDynamicAddresses"], 1);
    }

    #[test]
    fn a_link_is_found_by_its_id_or_by_a_name_that_no_other_has() {
        let all = json!([{ "id": "1", "link": "lan" }, { "id": "2", "link": "lan" }, { "id": "3", "link": "wan" }]);
        assert_eq!(link(&all, "wan").ok(), Some("3".into()));
        assert_eq!(link(&all, "2").ok(), Some("2".into()));
        assert!(link(&all, "lan").is_err() && link(&all, "dmz").is_err());
    }
}
