//! OpenDaylight's OpenFlow plugin, by RESTCONF: a rule of `cross` is a flow in table 0 of a switch.
//!
//! There are two trees, and which one a controller has is asked, or told by the path of its URL:
//!
//! | | configuration | what the switch has |
//! |---|---|---|
//! | RFC 8040 | `/rests/data/NODE/TABLE/FLOW?content=config` | `/rests/data/NODE?content=nonconfig` |
//! | before it | `/restconf/config/NODE/TABLE/FLOW` | `/restconf/operational/NODE` |
//!
//! Ours is the flow whose id is `bothy:BOX:t7:PORT`: of this box, tagged (`t`) or untagged (`u`), VLAN 7. A port is
//! named by its number, its connector's id or its interface. Never: touches flows of others, other tables, groups.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use serde_json::{Value, json};
use smol_str::SmolStr;

use super::{
    cross::{self, Act, Cross, Member, Port, Rule, Switch},
    rest::{Form, JSON, Rest, Step, YANG, list, member, number, part, until, word},
};
use crate::model::order::Order as _;
use crate::{
    model::{
        error::{Fault, Result},
        net::VlanId,
        sdn::WebAddr,
    },
    sdn::connector::{Connector, Desired, Look, Opening, PortState},
};

const NODES: &str = "opendaylight-inventory:nodes";
/// Of OpenFlow's table 0, where every frame begins.
const TABLE: u8 = 0;
const VLAN_ETHERTYPE: u16 = 0x8100;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tree {
    Rests,
    Restconf,
}

pub struct OpenDaylight {
    rest: Rest,
    owner: String,
    switches: Vec<SmolStr>,
    tree: Mutex<Option<Tree>>,
}

impl Tree {
    fn form(self) -> Form {
        match self {
            Tree::Rests => YANG,
            Tree::Restconf => JSON,
        }
    }
    fn list(self, name: &str, key: &str) -> String {
        match self {
            Tree::Rests => format!("{name}={}", part(key)),
            Tree::Restconf => format!("{name}/{}", part(key)),
        }
    }
    /// Under the root of the API.
    fn config(self, root: &str, node: &str) -> String {
        let node = self.list("node", node);
        match self {
            Tree::Rests => format!("{root}/data/{NODES}/{node}"),
            Tree::Restconf => format!("{root}/config/{NODES}/{node}"),
        }
    }
    fn table(self, root: &str, node: &str) -> String {
        format!("{}/{}", self.config(root, node), self.list("flow-node-inventory:table", &TABLE.to_string()))
    }
    fn flow(self, root: &str, node: &str, id: &str) -> String {
        format!("{}/{}", self.table(root, node), self.list("flow", id))
    }
    fn content(self) -> &'static str {
        match self {
            Tree::Rests => "?content=config",
            Tree::Restconf => "",
        }
    }
    fn operational(self, root: &str, node: &str) -> String {
        match self {
            Tree::Rests => format!("{}?content=nonconfig", self.config(root, node)),
            Tree::Restconf => format!("{root}/operational/{NODES}/{}", self.list("node", node)),
        }
    }
    fn root(self) -> &'static str {
        match self {
            Tree::Rests => "/rests",
            Tree::Restconf => "/restconf",
        }
    }
}

impl OpenDaylight {
    pub fn open(at: &WebAddr, switches: &[SmolStr], with: Opening) -> Result<OpenDaylight> {
        let rest = Rest::open(at, with.secret.as_deref())?;
        let told = match rest.root.as_str() {
            root if root.ends_with("/restconf") => Some(Tree::Restconf),
            "" => None,
            _ => Some(Tree::Rests),
        };
        Ok(OpenDaylight { rest, owner: with.owner, switches: switches.to_vec(), tree: Mutex::new(told) })
    }

    /// The tree, and the root of the API.
    fn tree(&self, until: Instant) -> Result<(Tree, String)> {
        let root = |t: Tree| if self.rest.root.is_empty() { t.root().to_owned() } else { self.rest.root.clone() };
        let mut known = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(t) = *known {
            return Ok((t, root(t)));
        }
        for t in [Tree::Rests, Tree::Restconf] {
            let path = match t {
                Tree::Rests => format!("/rests/data/{NODES}?content=config&depth=1"),
                Tree::Restconf => format!("/restconf/config/{NODES}?depth=1"),
            };
            let a = self.rest.get(&path, t.form(), until)?;
            // The store may be empty yet: then the API says so itself.
            if a.is_fine() || a.error().is_some() {
                *known = Some(t);
                return Ok((t, root(t)));
            }
        }
        Err(Fault::conflict(format!(
            "{}: neither /rests/data nor /restconf/config is there: is it OpenDaylight, with the feature odl-openflowplugin-flow-services-rest?",
            self.rest.url("")
        )))
    }

    fn read(&self, tree: Tree, root: &str, name: &str, until: Instant) -> Result<Switch> {
        let path = tree.operational(root, name);
        let told = self.rest.read(&path, tree.form(), until)?;
        // Some releases wrap it once more.
        let node = list(&told, "node").first().or_else(|| list(member(&told, "nodes"), "node").first()).unwrap_or(&Value::Null);
        let table = format!("{}{}", tree.table(root, name), tree.content());
        let config = self.rest.read(&table, tree.form(), until)?;
        Ok(switch(name, node, list(&config, "table").first().unwrap_or(&Value::Null)))
    }

    fn plan(&self, desired: &Desired, until: Instant) -> Result<(Look, Vec<Step>, Tree)> {
        let (tree, root) = self.tree(until)?;
        let (mut look, mut steps, mut removals) = (Look::default(), Vec::new(), Vec::new());
        cross::elsewhere(&self.switches, desired, &mut look);
        for name in &self.switches {
            let todo = self.read(tree, &root, name, until)?.settle(name, &self.owner, desired, &mut look);
            for (c, at) in todo.put {
                let id = flow_id(&self.owner, &c.from);
                let body = Some(json!({ "flow-node-inventory:flow": [flow(name, &id, &self.owner, todo.slot, &c)] }));
                steps.push(Step { method: "PUT", path: tree.flow(&root, name, &id), body, ports: vec![at] });
            }
            for (id, at) in todo.delete {
                removals.push(Step { method: "DELETE", path: tree.flow(&root, name, &id), body: None, ports: at.into_iter().collect() });
            }
        }
        steps.append(&mut removals);
        Ok((self.rest.told(look, &steps), steps, tree))
    }
}

impl Connector for OpenDaylight {
    fn look(&self, desired: &Desired) -> Result<Look> {
        Ok(self.plan(desired, until())?.0)
    }
    fn apply(&self, desired: &Desired) -> Result<()> {
        let until = until();
        let (_, steps, tree) = self.plan(desired, until)?;
        self.rest.run(&steps, tree.form(), until)
    }
}

fn flow_id(owner: &str, m: &Member) -> String {
    let kind = if m.tagged { 't' } else { 'u' };
    format!("bothy:{owner}:{kind}{}:{}", m.vlan, m.port)
}

/// Whose a flow is, and its member.
fn read_id(id: &str) -> Option<(String, Option<Member>)> {
    let mut parts = id.strip_prefix("bothy:")?.splitn(3, ':');
    let owner = parts.next()?.to_owned();
    let read = |kind: &str, port: &str| {
        let tagged = kind.starts_with('t');
        let vlan: u16 = kind.strip_prefix(['t', 'u'])?.parse().ok()?;
        Some(Member { port: port.into(), vlan: vlan.try_into().ok()?, tagged })
    };
    let m = parts.next().zip(parts.next()).and_then(|(kind, port)| read(kind, port));
    Some((owner, m))
}

fn vlan_match(vlan: Option<VlanId>) -> Value {
    json!({ "vlan-id": { "vlan-id-present": vlan.is_some(), "vlan-id": vlan.map_or(0, VlanId::get) } })
}

fn flow(node: &str, id: &str, owner: &str, slot: u8, c: &Cross) -> Value {
    let mut actions: Vec<Value> = Vec::new();
    for act in c.acts() {
        match act {
            Act::Output(port) => {
                actions.push(json!({ "output-action": { "output-node-connector": port, "max-length": 65535 } }));
            }
            Act::Pop => actions.push(json!({ "pop-vlan-action": {} })),
            Act::Push(v) => {
                actions.push(json!({ "push-vlan-action": { "ethernet-type": VLAN_ETHERTYPE } }));
                actions.push(json!({ "set-field": { "vlan-match": vlan_match(Some(v)) } }));
            }
        }
    }
    if actions.is_empty() {
        actions.push(json!({ "drop-action": {} }));
    }
    for (i, a) in actions.iter_mut().enumerate() {
        a["order"] = json!(i);
    }
    json!({
        "id": id,
        "table_id": TABLE,
        "priority": cross::priority(slot, c.from.vlan),
        "flow-name": format!("VLAN {} of guests of {owner}", c.from.vlan),
        "idle-timeout": 0,
        "hard-timeout": 0,
        "match": {
            "in-port": format!("{node}:{}", c.from.port),
            "vlan-match": vlan_match(c.from.tagged.then_some(c.from.vlan)),
        },
        "instructions": { "instruction": [{ "order": 0, "apply-actions": { "action": actions } }] },
    })
}

/// The number of a port, which may stand behind its node's id.
fn port_of(v: &Value) -> Option<SmolStr> {
    let text = word(v)?;
    Some(text.rsplit(':').next().unwrap_or(&text).into())
}

/// What a flow does, if it is one as Bothy writes them.
fn read_flow(f: &Value, from: &Member) -> Option<Cross> {
    let m = member(f, "match");
    let vlan = member(member(m, "vlan-match"), "vlan-id");
    let present = member(vlan, "vlan-id-present");
    let tagged = present.as_bool().or_else(|| present.as_str()?.parse().ok())?;
    let others = m.as_object()?.keys().filter(|k| !matches!(k.rsplit(':').next(), Some("in-port" | "vlan-match"))).count();
    let as_written = others == 0
        && port_of(member(m, "in-port")).as_ref() == Some(&from.port)
        && tagged == from.tagged
        && number(member(vlan, "vlan-id")).unwrap_or(0) == if tagged { i64::from(from.vlan.get()) } else { 0 }
        && number(member(f, "priority")).and_then(cross::vlan_of) == Some(from.vlan)
        && ["idle-timeout", "hard-timeout"].iter().all(|t| number(member(f, t)).unwrap_or(0) == 0);
    let [instruction] = list(member(f, "instructions"), "instruction") else { return None };
    let mut actions: Vec<&Value> = list(member(instruction, "apply-actions"), "action").iter().collect();
    actions.order_by_key(|a| number(member(a, "order")));
    let mut acts = Vec::new();
    let mut pushed = false;
    for a in actions {
        let has = |name: &str| Some(member(a, name)).filter(|v| !v.is_null());
        if let Some(o) = has("output-action") {
            acts.push(Act::Output(port_of(member(o, "output-node-connector"))?));
        } else if has("pop-vlan-action").is_some() {
            acts.push(Act::Pop);
        } else if has("push-vlan-action").is_some() {
            pushed = true;
        } else if let Some(s) = has("set-field").filter(|_| pushed) {
            let v = number(member(member(member(s, "vlan-match"), "vlan-id"), "vlan-id"))?;
            acts.push(Act::Push(u16::try_from(v).ok()?.try_into().ok()?));
            pushed = false;
        } else if has("drop-action").is_none() {
            return None;
        }
    }
    Cross::read(from.clone(), &acts).filter(|_| as_written && !pushed)
}

fn switch(name: &str, node: &Value, config: &Value) -> Switch {
    let connectors = list(node, "node-connector").iter().filter_map(|c| {
        let id = member(c, "id").as_str()?;
        let state = member(c, "state");
        let is = |m: &str| member(state, m).as_bool() == Some(true);
        let names = [Some(id), member(c, "name").as_str()];
        Some(Port {
            number: id.rsplit(':').next()?.into(),
            names: names.into_iter().flatten().map(Into::into).collect(),
            up: !is("link-down") && !is("blocked"),
        })
    });
    let table = list(node, "table").iter().find(|t| number(member(t, "id")) == Some(TABLE.into())).unwrap_or(&Value::Null);
    let installed = |id: &str| list(table, "flow").iter().any(|f| member(f, "id") == id);
    let away = node.is_null().then(|| format!("switch {name} is not connected to OpenDaylight"));
    let rules = list(config, "flow").iter().filter_map(|f| {
        let id = member(f, "id").as_str()?;
        let slot = number(member(f, "priority")).and_then(cross::slot_of);
        let (owner, member) = read_id(id)?;
        let cross = member.as_ref().and_then(|m| read_flow(f, m));
        let late = || PortState::Down(format!("switch {name} does not have flow {id} yet"));
        let state = (away.is_none() && !installed(id)).then(late);
        Some(Rule { id: id.into(), owner, member, slot, cross, state })
    });
    Switch { ports: connectors.collect(), rules: rules.collect(), away: away.clone() }
}

#[cfg(test)]
#[path = "opendaylight_tests.rs"]
mod tests;
