//! ONOS, by its REST API: a rule of `cross` is a flow of an application of Bothy's.
//!
//! Flows, not intents and not the VPLS application: a flow is there as it was written, needs no host to have been
//! seen and no other application to run, and its id follows from what it matches. Whose a flow is, is its
//! application: `org.bothy.BOX`. A port is named by its number or its `portName`. Never: touches flows of other
//! applications, devices or the network configuration.

use std::time::Instant;

use serde_json::{Value, json};
use smol_str::SmolStr;

use super::{
    cross::{self, Act, Cross, Member, Port, Rule, Switch},
    rest::{JSON, Rest, Step, list, member, number, part, until, word},
};
use crate::{
    model::{error::Result, sdn::WebAddr},
    sdn::connector::{Connector, Desired, Look, Opening, PortState},
};

const ROOT: &str = "/onos/v1";
const APP: &str = "org.bothy.";
/// ONOS' VLAN id of frames that have none; it answers with the same as a signed number, or with its name.
const UNTAGGED: i64 = 0xffff;

pub struct Onos {
    rest: Rest,
    root: String,
    owner: String,
    devices: Vec<SmolStr>,
}

impl Onos {
    pub fn open(at: &WebAddr, devices: &[SmolStr], with: Opening) -> Result<Onos> {
        let rest = Rest::open(at, with.secret.as_deref())?;
        let root = if rest.root.is_empty() { ROOT.to_owned() } else { rest.root.clone() };
        Ok(Onos { rest, root, owner: with.owner, devices: devices.to_vec() })
    }

    fn read(&self, name: &str, until: Instant) -> Result<Switch> {
        let of = |what: &str| format!("{}/{what}", self.root);
        let device = of(&format!("devices/{}", part(name)));
        let told = self.rest.read(&device, JSON, until)?;
        if told.is_null() {
            return Ok(Switch { away: Some(format!("ONOS knows no device {name}")), ..Switch::default() });
        }
        let ports = self.rest.read(&format!("{device}/ports"), JSON, until)?;
        // A device without any flow is one that is not found.
        let flows = self.rest.read(&of(&format!("flows/{}", part(name))), JSON, until)?;
        let away = (member(&told, "available").as_bool() == Some(false)).then(|| format!("device {name} is not connected to ONOS"));
        Ok(switch(name, &ports, &flows, away))
    }

    fn plan(&self, desired: &Desired, until: Instant) -> Result<(Look, Vec<Step>)> {
        let (mut look, mut steps, mut removals) = (Look::default(), Vec::new(), Vec::new());
        cross::elsewhere(&self.devices, desired, &mut look);
        for name in &self.devices {
            let switch = self.read(name, until)?;
            if switch.ports.is_empty() && switch.away.is_some() {
                for (at, _) in desired.iter().filter(|(at, _)| at.switch == *name) {
                    look.ports.insert(at.clone(), PortState::Down(switch.away.clone().unwrap_or_default()));
                }
                continue;
            }
            let todo = switch.settle(name, &self.owner, desired, &mut look);
            let device = format!("{}/flows/{}", self.root, part(name));
            for (c, at) in todo.put {
                let path = format!("{device}?appId={}", part(&format!("{APP}{}", self.owner)));
                steps.push(Step { method: "POST", path, body: Some(flow(name, todo.slot, &c)), ports: vec![at] });
            }
            for (id, at) in todo.delete {
                removals.push(Step {
                    method: "DELETE",
                    path: format!("{device}/{}", part(&id)),
                    body: None,
                    ports: at.into_iter().collect(),
                });
            }
        }
        steps.append(&mut removals);
        Ok((self.rest.told(look, &steps), steps))
    }
}

impl Connector for Onos {
    fn look(&self, desired: &Desired) -> Result<Look> {
        Ok(self.plan(desired, until())?.0)
    }
    fn apply(&self, desired: &Desired) -> Result<()> {
        let until = until();
        let (_, steps) = self.plan(desired, until)?;
        self.rest.run(&steps, JSON, until)
    }
}

fn flow(device: &str, slot: u8, c: &Cross) -> Value {
    let mut instructions: Vec<Value> = Vec::new();
    for act in c.acts() {
        match act {
            Act::Output(port) => instructions.push(json!({ "type": "OUTPUT", "port": port })),
            Act::Pop => instructions.push(json!({ "type": "L2MODIFICATION", "subtype": "VLAN_POP" })),
            Act::Push(v) => {
                instructions.push(json!({ "type": "L2MODIFICATION", "subtype": "VLAN_PUSH" }));
                instructions.push(json!({ "type": "L2MODIFICATION", "subtype": "VLAN_ID", "vlanId": v.get() }));
            }
        }
    }
    let vlan = if c.from.tagged { i64::from(c.from.vlan.get()) } else { UNTAGGED };
    json!({
        "priority": cross::priority(slot, c.from.vlan),
        "timeout": 0,
        "isPermanent": true,
        "deviceId": device,
        "tableId": 0,
        // Nothing to do is to drop.
        "treatment": { "instructions": instructions },
        "selector": { "criteria": [{ "type": "IN_PORT", "port": c.from.port }, { "type": "VLAN_VID", "vlanId": vlan }] },
    })
}

fn kind<'v>(v: &'v Value, key: &str) -> &'v str {
    member(v, key).as_str().unwrap_or_default()
}

/// The VLAN and the port that a flow is for; any other criterion makes it another flow.
fn read_member(f: &Value) -> Option<Member> {
    let (mut port, mut tag) = (None, None);
    for c in list(member(f, "selector"), "criteria") {
        match kind(c, "type") {
            "IN_PORT" => port = word(member(c, "port")),
            "VLAN_VID" => tag = Some(number(member(c, "vlanId")).unwrap_or(UNTAGGED)),
            _ => return None,
        }
    }
    let tagged = !matches!(tag?, UNTAGGED | -1);
    let vlan = cross::vlan_of(number(member(f, "priority"))?)?;
    let as_written = !tagged || tag == Some(vlan.get().into());
    as_written.then(|| port.map(|p| Member { port: p.into(), vlan, tagged }))?
}

fn read_flow(f: &Value, from: &Member) -> Option<Cross> {
    let as_written = number(member(f, "tableId")).unwrap_or(0) == 0
        && member(f, "isPermanent").as_bool() == Some(true)
        && list(member(f, "treatment"), "deferred").is_empty();
    let mut acts = Vec::new();
    let mut pushed = false;
    for i in list(member(f, "treatment"), "instructions") {
        match (kind(i, "type"), kind(i, "subtype")) {
            ("OUTPUT", _) => acts.push(Act::Output(word(member(i, "port"))?.into())),
            ("L2MODIFICATION", "VLAN_POP") => acts.push(Act::Pop),
            ("L2MODIFICATION", "VLAN_PUSH") => pushed = true,
            ("L2MODIFICATION", "VLAN_ID") if pushed => {
                acts.push(Act::Push(u16::try_from(number(member(i, "vlanId"))?).ok()?.try_into().ok()?));
                pushed = false;
            }
            ("NOACTION", _) => {}
            _ => return None,
        }
    }
    Cross::read(from.clone(), &acts).filter(|_| as_written && !pushed)
}

fn switch(name: &str, ports: &Value, flows: &Value, away: Option<String>) -> Switch {
    let port = |p: &Value| {
        let number = word(member(p, "port"))?;
        let named = member(member(p, "annotations"), "portName").as_str().map(ToOwned::to_owned);
        Some(Port { number: number.into(), names: named.into_iter().collect(), up: member(p, "isEnabled").as_bool() == Some(true) })
    };
    let rule = |f: &Value| {
        let owner = kind(f, "appId").strip_prefix(APP)?.to_owned();
        let id = word(member(f, "id"))?;
        let state = match kind(f, "state") {
            "PENDING_REMOVE" | "REMOVED" => return None,
            "FAILED" => Some(PortState::Fault(format!("device {name} refuses flow {id}"))),
            "PENDING_ADD" if away.is_none() => Some(PortState::Down(format!("device {name} does not have flow {id} yet"))),
            _ => None,
        };
        let slot = number(member(f, "priority")).and_then(cross::slot_of);
        let member = read_member(f);
        let cross = member.as_ref().and_then(|m| read_flow(f, m));
        Some(Rule { id, owner, member, slot, cross, state })
    };
    Switch {
        ports: list(ports, "ports").iter().filter_map(port).collect(),
        rules: list(flows, "flows").iter().filter_map(rule).collect(),
        away: away.clone(),
    }
}

#[cfg(test)]
#[path = "onos_tests.rs"]
mod tests;
