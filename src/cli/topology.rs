//! The box's network as one picture: who is on which link, what leads by which functions.
//!
//! Owns what is drawn, out of what the API tells; `draw` has the forms. Pure.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::{names::list, output::plain};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    pub nodes: Vec<Node>,
    pub links: Vec<Link>,
    pub chains: Vec<Chain>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    pub kind: NodeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    Guest,
    Host,
    Physical,
    /// A physical box of a service.
    Box,
}

/// A segment of the switch, or a card that gives its functions to guests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub name: String,
    pub details: Vec<String>,
    pub ports: Vec<Port>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Index among the nodes.
    pub node: usize,
    pub details: Vec<String>,
    /// An end of a wire: on no link, chains alone lead there.
    pub wire: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub name: String,
    pub traffic: Vec<String>,
    /// Its beginning, its functions, its end.
    pub stops: Vec<Stop>,
    pub symmetric: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    pub name: String,
    pub routed: bool,
    /// None of its guests is there.
    pub missing: bool,
    /// Packets led into it, on the way out and on the way back; `None`: the switch does not say.
    pub packets: Option<(u64, u64)>,
}

/// What is drawn, as the API gave it.
pub struct Facts<'a> {
    pub networks: &'a [Value],
    pub chains: &'a [Value],
    pub cards: &'a [Value],
    /// Names of services and VNFs by id.
    pub owners: &'a BTreeMap<String, String>,
}

impl Topology {
    pub fn of(f: &Facts<'_>) -> Topology {
        let mut t = Topology { nodes: Vec::new(), links: Vec::new(), chains: Vec::new() };
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut node = |key: String, name: String, kind: NodeKind| -> usize {
            *known.entry(key).or_insert_with(|| {
                t.nodes.push(Node { name, kind });
                t.nodes.len() - 1
            })
        };
        let owner = |v: &Value| f.owners.get(&plain(v)).cloned().unwrap_or_else(|| super::names::short(&plain(v)).to_owned());
        for s in f.networks {
            let mut ports = Vec::new();
            if s["interface"].is_string() {
                let details = [&s["interface"], &s["addresses"]].map(plain).to_vec();
                ports.push(Port { node: node("host".into(), "host".into(), NodeKind::Host), details, wire: false });
            }
            if let Some(p) = s["physicalNetwork"].as_str() {
                ports.push(Port {
                    node: node(format!("net {p}"), plain(&s["physicalNetwork"]), NodeKind::Physical),
                    details: super::net::tunnel(&s["tunnel"]).into_iter().collect(),
                    wire: false,
                });
            }
            for p in list(s, "pnfs") {
                let at = node(format!("pnf {} {}", plain(&p["ns"]), plain(&p["id"])), plain(&p["name"]), NodeKind::Box);
                let told = [&p["cp"], &p["mac"], &p["addresses"]].map(plain);
                ports.push(Port { node: at, details: told.into_iter().filter(|d| d != "-").collect(), wire: false });
            }
            for st in list(s, "stations") {
                let name = plain(&st["hostname"]);
                let at = node(format!("{}/{name}", plain(&st["vnf"])), name, NodeKind::Guest);
                let mut details = [&st["mac"], &st["addresses"]].map(plain).to_vec();
                details.extend(st["tag"].as_u64().map(|t| format!("tag {t}")));
                ports.push(Port { node: at, details, wire: st["wire"] == true });
            }
            let of = if s["ns"].is_string() { owner(&s["ns"]) } else { owner(&s["vnf"]) };
            let mut details = vec![format!("of {of}"), format!("VLAN {}", plain(&s["vlan"]))];
            details.extend(list(s, "networks").iter().map(plain));
            t.links.push(Link { name: plain(&s["link"]), details, ports });
        }
        for c in f.cards.iter().filter(|c| !list(c, "given").is_empty()) {
            let mut details = vec![
                "card".to_owned(),
                format!("{} of {} VFs given", list(c, "given").iter().filter(|g| g["vf"].is_u64()).count(), plain(&c["vfs"])),
            ];
            details.extend(c["physicalNetwork"].as_str().map(|p| format!("physical network {p}")));
            let port = |g: &Value| {
                let what = g["vf"].as_u64().map_or_else(|| "whole device".to_owned(), |n| format!("VF {n}"));
                let name = plain(&g["holder"]["name"]);
                Port { node: node(format!("card {name}"), name, NodeKind::Guest), details: vec![what, plain(&g["address"])], wire: false }
            };
            let ports = list(c, "given").iter().map(port).collect();
            t.links.push(Link { name: plain(&c["name"]), details, ports });
        }
        t.chains = f.chains.iter().map(|c| chain(c, &owner)).collect();
        t
    }
}

fn chain(c: &Value, owner: &dyn Fn(&Value) -> String) -> Chain {
    let packets = |v: &Value| v["out"]["packets"].as_u64().zip(v["back"]["packets"].as_u64());
    let whose = |e: &Value| match (e["sap"].as_str(), e["pnf"].as_str()) {
        (Some(outside), _) | (None, Some(outside)) => outside.to_owned(),
        (None, None) => owner(&e["vnf"]),
    };
    let ends = |of: &str| list(c, of).iter().map(whose).collect::<Vec<_>>().join(", ");
    let end = |name: String, packets| Stop { name, routed: false, missing: false, packets };
    let hop = |h: &Value| Stop { name: plain(&h["name"]), routed: h["kind"] == "ROUTED", missing: h["live"] == 0, packets: packets(h) };
    let mut stops = vec![end(ends("from"), None)];
    stops.extend(list(c, "hops").iter().map(hop));
    stops.push(end(ends("to"), packets(c)));
    let name = format!("{} of {}", plain(&c["nfp"]), owner(&c["ns"]));
    Chain { name, traffic: list(c, "classifiers").iter().map(plain).collect(), stops, symmetric: c["symmetric"] == true }
}
