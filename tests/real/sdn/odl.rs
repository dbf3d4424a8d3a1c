//! OpenDaylight's flow programming, written from the OpenFlow plugin's documents and its YANG: the configuration of
//! one switch in the tree of RFC 8040 and in the older one, and what the switch has of it.

use serde_json::{Value, json};

use super::{
    flows::{Spoil, Switch, Twin},
    restconf::{Keys, Store, error},
    stand::{Api, Asked, Reply},
};

const KEYS: Keys = &[("node", "id"), ("table", "id"), ("flow", "id"), ("node-connector", "id")];
const NODE: &str = "openflow:1";

pub struct Odl {
    trees: &'static [&'static str],
    store: Store,
    connected: bool,
    takes: bool,
    /// Those without a link.
    down: Vec<u32>,
    switch: Option<Switch>,
}

impl Odl {
    pub fn new(trees: &'static [&'static str]) -> Odl {
        let theirs = json!({ "id": "L2switch-0", "table_id": 0, "priority": 2, "match": {}, "instructions": { "instruction": [] } });
        let tree = json!({ "nodes": { "node": [{ "id": NODE, "table": [{ "id": 0, "flow": [theirs] }] }] } });
        let kind = if trees == ["restconf"] { "application/json" } else { "application/yang-data+json" };
        Odl { trees, store: Store { keys: KEYS, tree, kind }, connected: true, takes: true, down: Vec::new(), switch: None }
    }

    fn flows(&self) -> Vec<Value> {
        let all = self.store.tree["nodes"]["node"][0]["table"][0]["flow"].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|f| f["id"].as_str().is_some_and(|id| id.starts_with("bothy:"))).collect()
    }

    fn ours(&mut self) -> &mut Vec<Value> {
        self.store.tree["nodes"]["node"][0]["table"][0]["flow"].as_array_mut().expect("flows")
    }

    fn operational(&self) -> Value {
        if !self.connected {
            return json!({ "nodes": {} });
        }
        let connector = |n: u32| {
            json!({ "id": format!("{NODE}:{n}"), "flow-node-inventory:port-number": n, "flow-node-inventory:name": format!("eth{n}"),
                "flow-node-inventory:state": { "link-down": self.down.contains(&n), "blocked": false, "live": true } })
        };
        let mut flows = vec![json!({ "id": "#UF$TABLE*0-1", "priority": 2 })];
        flows.extend(self.flows().into_iter().filter(|_| self.takes));
        let connectors: Vec<Value> = (1..=6).map(connector).collect();
        json!({ "nodes": { "node": [{ "id": NODE, "node-connector": connectors, "table": [{ "id": 0, "flow": flows }] }] } })
    }

    fn drive_now(&self) {
        if let Some(s) = &self.switch {
            s.has(&self.rules());
        }
    }
}

/// What the plugin would not take, or not as it is meant.
fn wrong(f: &Value) -> Option<String> {
    let known = ["id", "table_id", "priority", "flow-name", "idle-timeout", "hard-timeout", "match", "instructions"];
    if let Some(k) = f.as_object()?.keys().find(|k| !known.contains(&k.as_str())) {
        return Some(format!("unknown element {k}"));
    }
    if f["table_id"] != 0 || f["priority"].as_u64().is_none_or(|p| p > 65535) || f["idle-timeout"] != 0 || f["hard-timeout"] != 0 {
        return Some("table_id, priority or a timeout".into());
    }
    let port = f["match"]["in-port"].as_str().unwrap_or_default();
    if port.strip_prefix("openflow:1:").and_then(|n| n.parse::<u32>().ok()).is_none() {
        return Some(format!("in-port {port}"));
    }
    let i = &f["instructions"]["instruction"];
    let actions = i[0]["apply-actions"]["action"].as_array().cloned().unwrap_or_default();
    if i.as_array().map(Vec::len) != Some(1) || i[0]["order"] != 0 || actions.is_empty() {
        return Some("one instruction with actions".into());
    }
    let mut orders: Vec<_> = actions.iter().filter_map(|a| a["order"].as_u64()).collect();
    orders.sort_unstable();
    orders.dedup();
    (orders.len() != actions.len() || actions.iter().any(|a| a.as_object().is_none_or(|o| o.len() != 2)))
        .then(|| "the order of actions".into())
}

/// A flow as `ovs-ofctl` reads it.
fn rule(f: &Value) -> String {
    let port = |v: &Value| v.as_str().expect("a port").rsplit(':').next().expect("a number").to_owned();
    let vlan = &f["match"]["vlan-match"]["vlan-id"];
    let tag = match vlan["vlan-id-present"].as_bool().expect("present or not") {
        true => format!("dl_vlan={}", vlan["vlan-id"]),
        false => "vlan_tci=0x0000/0x1fff".into(),
    };
    let mut actions = f["instructions"]["instruction"][0]["apply-actions"]["action"].as_array().expect("actions").clone();
    actions.sort_by_key(|a| a["order"].as_u64());
    let action = |a: &Value| match a.as_object().and_then(|o| o.keys().find(|k| *k != "order")).map(String::as_str) {
        Some("output-action") => format!("output:{}", port(&a["output-action"]["output-node-connector"])),
        Some("pop-vlan-action") => "pop_vlan".into(),
        Some("push-vlan-action") => format!("push_vlan:{:#06x}", a["push-vlan-action"]["ethernet-type"].as_u64().expect("a type")),
        Some("set-field") => {
            let v = &a["set-field"]["vlan-match"]["vlan-id"];
            assert_eq!(v["vlan-id-present"], true);
            format!("set_field:{}->vlan_vid", 4096 + v["vlan-id"].as_u64().expect("a VLAN"))
        }
        Some("drop-action") => "drop".into(),
        other => panic!("{other:?}"),
    };
    let actions: Vec<String> = actions.iter().map(action).collect();
    format!("priority={},in_port={},{tag},actions={}", f["priority"], port(&f["match"]["in-port"]), actions.join(","))
}

impl Api for Odl {
    fn answer(&mut self, r: &Asked) -> Reply {
        let none = || Reply { status: 404, kind: "text/html", body: "<html>404</html>".into() };
        let Some(tree) = self.trees.iter().find(|t| r.path.first().is_some_and(|p| p == *t)) else { return none() };
        let equals = *tree == "rests";
        self.store.kind = if equals { "application/yang-data+json" } else { "application/json" };
        let operational = match (equals, r.path[1].as_str()) {
            (true, "data") => r.query.contains("content=nonconfig"),
            (false, "config") => false,
            (false, "operational") => true,
            _ => return none(),
        };
        if r.path[2] != "opendaylight-inventory:nodes" {
            return error(400, "unknown-element", &r.path[2]);
        }
        let hops = self.store.hops(&r.path[2..], equals);
        if r.method == "GET" {
            let store = Store { keys: KEYS, tree: self.operational(), kind: self.store.kind };
            let of = if operational { &store } else { &self.store };
            let module = if hops.iter().any(|h| h.name == "table") { "flow-node-inventory" } else { "opendaylight-inventory" };
            return of.show(module, &hops, equals);
        }
        match self.store.change(r, &hops, true) {
            Err(refusal) => refusal,
            Ok((status, tree)) => {
                if r.method != "DELETE" {
                    let body: Value = serde_json::from_str(&r.body).expect("it was read");
                    if let Some(why) = wrong(&body["flow-node-inventory:flow"][0]) {
                        return error(400, "invalid-value", &why);
                    }
                }
                self.store.tree = tree;
                self.drive_now();
                // The older one has 200 for all that it changes.
                let status = if !equals && status == 204 { 200 } else { status };
                Reply { status, kind: self.store.kind, body: String::new() }
            }
        }
    }
}

impl Twin for Odl {
    const KIND: &'static str = "opendaylight";
    const SWITCH: &'static str = NODE;
    fn rules(&self) -> Vec<String> {
        self.flows().iter().map(rule).collect()
    }
    fn spoil(&mut self, how: Spoil) {
        match how {
            Spoil::All => self.ours().retain(|f| f["id"] == "L2switch-0"),
            Spoil::One => drop(self.ours().pop()),
            Spoil::Action => {
                let last = self.ours().last_mut().expect("one");
                last["instructions"]["instruction"][0]["apply-actions"]["action"] =
                    json!([{ "order": 0, "output-action": { "output-node-connector": "5" } }]);
            }
        }
        self.drive_now();
    }
    fn connected(&mut self, is: bool) {
        self.connected = is;
    }
    fn takes(&mut self, is: bool) {
        self.takes = is;
    }
    fn link(&mut self, number: u32, up: bool) {
        self.down.retain(|n| *n != number);
        self.down.extend((!up).then_some(number));
    }
    fn drive(&mut self, switch: Switch) {
        self.switch = Some(switch);
    }
    fn theirs(&self) -> usize {
        self.store.tree["nodes"]["node"][0]["table"][0]["flow"].as_array().map_or(0, Vec::len) - self.flows().len()
    }
}
