//! ONOS' REST API for devices and flow rules, written from its public documents: flows belong to an application,
//! and their ids follow from what they match.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash as _, Hasher as _},
};

use serde_json::{Value, json};

use super::{
    flows::{Spoil, Switch, Twin},
    stand::{Api, Asked, Reply},
};

const DEVICE: &str = "of:0000000000000001";

pub struct Onos {
    flows: Vec<Value>,
    connected: bool,
    takes: bool,
    down: Vec<u32>,
    switch: Option<Switch>,
}

fn error(code: u16, message: &str) -> Reply {
    Reply { status: code, kind: "application/json", body: json!({ "code": code, "message": message }).to_string() }
}

fn fine(v: &Value) -> Reply {
    Reply { status: 200, kind: "application/json", body: v.to_string() }
}

impl Onos {
    pub fn new() -> Onos {
        let lldp = json!({ "id": "281475012051420", "appId": "org.onosproject.core", "deviceId": DEVICE, "priority": 40000, "tableId": 0,
            "isPermanent": true, "timeout": 0, "selector": { "criteria": [{ "type": "ETH_TYPE", "ethType": "0x88cc" }] },
            "treatment": { "instructions": [{ "type": "OUTPUT", "port": "CONTROLLER" }] } });
        Onos { flows: vec![lldp], connected: true, takes: true, down: Vec::new(), switch: None }
    }

    fn ours(&self) -> impl Iterator<Item = &Value> {
        self.flows.iter().filter(|f| f["appId"].as_str().is_some_and(|a| a.starts_with("org.bothy.")))
    }

    /// As ONOS shows it.
    fn shown(&self, f: &Value) -> Value {
        let mut f = f.clone();
        f["state"] = json!(if self.takes { "ADDED" } else { "PENDING_ADD" });
        f["tableId"] = json!(f["tableId"].to_string());
        f["treatment"]["deferred"] = json!([]);
        if f["treatment"]["instructions"] == json!([]) {
            f["treatment"]["instructions"] = json!([{ "type": "NOACTION" }]);
        }
        for c in f["selector"]["criteria"].as_array_mut().expect("criteria") {
            if c["type"] == "VLAN_VID" && c["vlanId"] == 65535 {
                c["vlanId"] = json!(-1);
            }
            if c["type"] == "IN_PORT" {
                c["port"] = json!(c["port"].as_str().and_then(|p| p.parse::<u32>().ok()));
            }
        }
        f
    }

    fn create(&mut self, r: &Asked) -> Reply {
        if r.content != "application/json" {
            return error(415, "HTTP 415 Unsupported Media Type");
        }
        let Ok(mut f) = serde_json::from_str::<Value>(&r.body) else { return error(400, "not JSON") };
        let Some(app) = r.query.strip_prefix("appId=") else { return error(400, "appId member is required in Rule") };
        if f["deviceId"] != DEVICE {
            return error(400, "Invalid deviceId in flow creation request");
        }
        for (m, ok) in [
            ("priority", f["priority"].as_u64().is_some_and(|p| p <= 65535)),
            ("isPermanent", f["isPermanent"].is_boolean()),
            ("selector", f["selector"]["criteria"].is_array()),
            ("treatment", f["treatment"]["instructions"].is_array()),
        ] {
            if !ok {
                return error(400, &format!("{m} member is required in FlowRule"));
            }
        }
        // Port numbers may be of either kind here.
        for c in f["selector"]["criteria"].as_array_mut().expect("criteria") {
            if c["type"] == "IN_PORT" && c["port"].is_u64() {
                c["port"] = json!(c["port"].to_string());
            }
        }
        let mut h = DefaultHasher::new();
        (f["priority"].as_u64(), f["selector"].to_string()).hash(&mut h);
        f["id"] = json!((h.finish() >> 2).to_string());
        f["appId"] = json!(app);
        // Equal in device, match, priority and table is the same rule.
        self.flows.retain(|o| o["id"] != f["id"]);
        self.flows.push(f);
        Reply { status: 201, kind: "application/json", body: String::new() }
    }

    fn drive_now(&self) {
        if let Some(s) = &self.switch {
            s.has(&self.rules());
        }
    }
}

fn rule(f: &Value) -> String {
    let criterion =
        |kind: &str| f["selector"]["criteria"].as_array().expect("criteria").iter().find(|c| c["type"] == kind).expect(kind).clone();
    let port = |v: &Value| v.as_str().expect("a port").to_owned();
    let tag = match criterion("VLAN_VID")["vlanId"].as_u64().expect("a VLAN") {
        65535 => "vlan_tci=0x0000/0x1fff".into(),
        v => format!("dl_vlan={v}"),
    };
    let action = |i: &Value| match (i["type"].as_str().expect("a type"), i["subtype"].as_str()) {
        ("OUTPUT", _) => format!("output:{}", port(&i["port"])),
        ("L2MODIFICATION", Some("VLAN_POP")) => "pop_vlan".into(),
        ("L2MODIFICATION", Some("VLAN_PUSH")) => "push_vlan:0x8100".into(),
        ("L2MODIFICATION", Some("VLAN_ID")) => format!("set_field:{}->vlan_vid", 4096 + i["vlanId"].as_u64().expect("a VLAN")),
        other => panic!("{other:?}"),
    };
    let actions: Vec<String> = f["treatment"]["instructions"].as_array().expect("instructions").iter().map(action).collect();
    let actions = if actions.is_empty() { "drop".to_owned() } else { actions.join(",") };
    format!("priority={},in_port={},{tag},actions={actions}", f["priority"], port(&criterion("IN_PORT")["port"]))
}

impl Api for Onos {
    fn answer(&mut self, r: &Asked) -> Reply {
        let Some(rest) = r.path.strip_prefix(["onos".to_owned(), "v1".to_owned()].as_slice()) else {
            return Reply { status: 404, kind: "text/html", body: "<html>Not Found</html>".into() };
        };
        let parts: Vec<&str> = rest.iter().map(String::as_str).collect();
        match (r.method.as_str(), &parts[..]) {
            ("GET", ["devices", DEVICE]) => fine(&json!({ "id": DEVICE, "type": "SWITCH", "available": self.connected })),
            ("GET", ["devices", DEVICE, "ports"]) => {
                let port = |n: u32| {
                    json!({ "element": DEVICE, "port": n.to_string(), "isEnabled": !self.down.contains(&n), "type": "copper",
                        "annotations": { "portName": format!("eth{n}") } })
                };
                fine(&json!({ "id": DEVICE, "ports": (1..=6).map(port).collect::<Vec<_>>() }))
            }
            ("GET", ["flows", DEVICE]) if !self.flows.is_empty() => {
                fine(&json!({ "flows": self.flows.iter().map(|f| self.shown(f)).collect::<Vec<_>>() }))
            }
            ("POST", ["flows", DEVICE]) => {
                let reply = self.create(r);
                self.drive_now();
                reply
            }
            ("DELETE", ["flows", DEVICE, id]) => {
                self.flows.retain(|f| f["id"] != *id);
                self.drive_now();
                Reply { status: 204, kind: "application/json", body: String::new() }
            }
            ("GET" | "POST" | "DELETE", ["devices" | "flows", ..]) => error(404, "Device is not found"),
            _ => error(405, "HTTP 405 Method Not Allowed"),
        }
    }
}

impl Twin for Onos {
    const KIND: &'static str = "onos";
    const SWITCH: &'static str = DEVICE;
    fn rules(&self) -> Vec<String> {
        self.ours().map(rule).collect()
    }
    fn spoil(&mut self, how: Spoil) {
        match how {
            Spoil::All => self.flows.truncate(1),
            Spoil::One => drop(self.flows.pop()),
            Spoil::Action => self.flows.last_mut().expect("one")["treatment"]["instructions"] = json!([{ "type": "OUTPUT", "port": "5" }]),
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
        self.flows.len() - self.ours().count()
    }
}
