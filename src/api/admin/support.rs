//! One archive for a support engineer: versions, configuration, the host's facts and what of it is used, records,
//! journals (of each operation that is not over, and the last that are), domains, the switch with its flows, groups
//! and meters, address translation, the end of the daemon's log. No secrets: accounts without what they show, sealed
//! values left out, and parameters whose name says that they are one masked.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{facts, health, host, identity, operations, tar, usage};
use crate::{
    api::{Ctx, Services, content::Pieces, problem::Answer, respond::NoQuery, version},
    lcm::timeline::all_operations,
    model::{
        access::Account,
        alarm::Alarm,
        chain::Chain,
        error::Result,
        health::ConditionState,
        ns::NsInstance,
        op::{Operation, Phase},
        package::{NsDescriptor, PnfDescriptor, VnfPackage},
        segment::Segment,
        vnf::{Reservation, VnfInstance},
    },
};

/// Of the operations that are over, this many keep their timeline in the archive.
const LAST: usize = 100;
const SERIAL_TAIL: usize = 64 * 1024;

pub async fn archive(State(s): Ctx, _: NoQuery) -> Answer<Response> {
    // Two files ahead of the network; the thread ends early when the client leaves.
    let (to_net, pieces) = mpsc::channel(2);
    let services = s.clone();
    tokio::task::spawn_blocking(move || Writer { services: &services, to_net: &to_net }.all());
    let head = [(CONTENT_TYPE, "application/x-tar"), (CONTENT_DISPOSITION, "attachment; filename=\"bothy-support.tar\"")];
    Ok((head, Body::new(Pieces(pieces))).into_response())
}

struct Writer<'a> {
    services: &'a Services,
    to_net: &'a mpsc::Sender<std::io::Result<Bytes>>,
}

/// The client is gone.
struct Gone;

impl Writer<'_> {
    fn all(&self) {
        if self.files().is_ok() {
            let _ = self.to_net.blocking_send(Ok(tar::end().into()));
        }
    }

    fn file(&self, name: &str, content: &[u8]) -> Result<(), Gone> {
        let now = self.services.nfvo.vnfm().clock().now().0 / 1000;
        self.to_net.blocking_send(Ok(tar::entry(&format!("bothy-support/{name}"), content, now).into())).map_err(|_| Gone)
    }

    /// What cannot be had says so in its place: an archive of a broken box is the one that counts.
    fn json<T: Serialize>(&self, name: &str, made: Result<T>) -> Result<(), Gone> {
        let value = made.map(|v| serde_json::to_value(v).unwrap_or_else(|e| json!({ "error": e.to_string() })));
        let mut value = value.unwrap_or_else(|f| json!({ "error": f.detail() }));
        mask(&mut value);
        self.file(name, format!("{value:#}\n").as_bytes())
    }

    fn files(&self) -> Result<(), Gone> {
        let vnfm = self.services.nfvo.vnfm();
        let store = vnfm.store();
        let apis: Vec<String> = version::all().map(|a| format!("{} {}", a.name, a.text())).collect();
        self.json(
            "version.json",
            Ok(json!({ "version": env!("CARGO_PKG_VERSION"), "apis": apis, "storeGeneration": store.generation(), "storeNotes": store.notes() })),
        )?;
        let state = |s: ConditionState| match s {
            ConditionState::Ok => "OK",
            ConditionState::Pending => "PENDING",
            ConditionState::Failed => "FAILED",
        };
        let health: Vec<Value> = health::look(self.services)
            .0
            .into_iter()
            .map(|c| json!({ "name": c.name.as_str(), "state": state(c.state), "text": c.text }))
            .collect();
        self.json("health.json", Ok(health))?;
        let config: String = self.services.config.now().entries().into_iter().map(|e| format!("{} = {}\n", e.path, e.value)).collect();
        self.file("config.txt", config.as_bytes())?;
        self.json("host.json", host::look(self.services))?;
        self.json("host/facts.json", facts::look(self.services))?;
        self.json("host/usage.json", usage::look(vnfm))?;
        self.json("records/vnf_packages.json", store.list::<VnfPackage>())?;
        self.json("records/ns_descriptors.json", store.list::<NsDescriptor>())?;
        self.json("records/pnf_descriptors.json", store.list::<PnfDescriptor>())?;
        self.json("records/ns_instances.json", store.list::<NsInstance>())?;
        let vnfs = store.list::<VnfInstance>();
        self.json("records/segments.json", store.list::<Segment>())?;
        self.json("records/reservations.json", store.list::<Reservation>())?;
        self.json("records/chains.json", store.list::<Chain>())?;
        self.json("records/alarms.json", store.list::<Alarm>())?;
        self.json("records/accounts.json", store.list::<Account>().map(|all| all.iter().map(identity::shown).collect::<Vec<_>>()))?;
        let ops = all_operations(store);
        if let Ok(ops) = &ops {
            self.operations(ops)?;
        }
        self.json("records/operations.json", ops)?;
        let ports = vnfm.links().fabric().ports().map(|all| {
            let port = |p: &crate::sdn::port::FoundPort| {
                json!({ "name": p.name.as_str(), "vlan": p.vlan.map(|v| v.get()), "segment": p.segment.map(|s| s.to_string()), "error": p.error })
            };
            all.iter().map(port).collect::<Vec<_>>()
        });
        self.json("switch/ports.json", ports)?;
        self.json("switch/dhcp.json", vnfm.links().host().list_dhcp())?;
        for (name, text) in vnfm.links().host().facts(&self.services.config.now().network.ovsdb) {
            self.file(&name, text.unwrap_or_else(|f| f.detail()).as_bytes())?;
        }
        self.file("bothy.log", &(self.services.log)())?;
        if let Ok(vnfs) = &vnfs {
            self.guests(vnfs)?;
        }
        self.json("records/vnf_instances.json", vnfs)
    }

    fn operations(&self, ops: &[Operation]) -> Result<(), Gone> {
        let Ok(engine) = self.services.nfvo.vnfm().engine() else { return Ok(()) };
        let (over, open): (Vec<&Operation>, Vec<&Operation>) = ops.iter().rev().partition(|o| o.state.phase() == Phase::Over);
        for op in open.into_iter().chain(over.into_iter().take(LAST)) {
            self.json(&format!("timelines/{}.json", op.id), engine.timeline(op.id).map(operations::wire))?;
        }
        Ok(())
    }

    fn guests(&self, vnfs: &[VnfInstance]) -> Result<(), Gone> {
        let vnfm = self.services.nfvo.vnfm();
        let found = vnfm.hypervisor().list().map(|all| {
            all.iter().map(|g| json!({ "id": g.id.to_string(), "state": format!("{:?}", g.state), "owner": g.owner })).collect::<Vec<_>>()
        });
        self.json("guests.json", found)?;
        for c in vnfs.iter().filter_map(|v| v.body.as_ref()).flat_map(|b| &b.vnfcs) {
            let xml = vnfm.hypervisor().xml(c.id).unwrap_or_else(|f| f.detail());
            self.file(&format!("domains/{}.xml", c.id), xml.as_bytes())?;
            let log = vnfm.images().serial_log(c.id, SERIAL_TAIL).unwrap_or_else(|f| f.detail().into_bytes());
            self.file(&format!("serial/{}.log", c.id), &log)?;
        }
        Ok(())
    }
}

const MASK: &str = "***";

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["passw", "secret", "token", "private", "credential", "psk", "passphrase", "apikey", "api_key"].iter().any(|w| name.contains(w))
}

/// Masks the values of members and of (name, value) pairs that are called like a secret, and looks
/// into requests, which are stored as JSON text.
fn mask(v: &mut Value) {
    match v {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                if is_secret(name) {
                    // Whether there is one is none.
                    if !is_reference(value) && !value.is_boolean() {
                        *value = MASK.into();
                    }
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(all) => match &mut all[..] {
            [Value::String(name), value] if is_secret(name) => *value = MASK.into(),
            all => all.iter_mut().for_each(mask),
        },
        Value::String(text) if text.starts_with('{') => {
            if let Ok(mut inner) = serde_json::from_str::<Value>(text) {
                mask(&mut inner);
                *text = inner.to_string();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `{"secret": NAME}` as the value of what is called a secret: a name in the box's own store, which tells nothing.
fn is_reference(value: &Value) -> bool {
    value.as_object().is_some_and(|m| m.len() == 1 && m.get("secret").is_some_and(Value::is_string))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_a_secret_is_masked_wherever_it_stands() {
        let mut v = json!({
            "params": [["admin_password", {"Text": "hunter2"}], ["site", {"Text": "7"}]],
            "request": "{\"additionalParams\":{\"wifiPsk\":\"hunter2\",\"n\":1}}",
            "deep": {"list": [{"apiToken": "hunter2"}]},
            "secret": "hunter2",
            "hasPassword": true,
            "vpnToken": {"secret": "vpn_token_of_site_7"},
        });
        mask(&mut v);
        let text = v.to_string();
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("vpn_token_of_site_7"), "a reference is no secret: {text}");
        assert_eq!(v["hasPassword"], true);
        assert!(text.contains("site") && text.contains('7') && text.contains("\\\"n\\\":1"), "{text}");
    }
}
