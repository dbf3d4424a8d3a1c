//! A WAN manager, by IETF's service model of L2VPNs (RFC 8466) over RESTCONF (RFC 8040).
//!
//! A switch is one of the manager's sites, a port of it what the provider calls the bearer there
//! (`bearer-reference`). Each VLAN is a VPN service, `bothy-vlan-N`; boxes that name the same VLAN meet in it.
//!
//! | ours there | how it is known | gone when |
//! |---|---|---|
//! | site-network-access | its id, `bothy:BOX:VLAN:PORT` | this box wants it no more |
//! | vpn-service | its id, `bothy-vlan-N` | no access refers to it, of whichever box |
//! | site | its one location, `bothy`, and there was none before | it has no access |
//!
//! A service begins as point to point, becomes multipoint by its third access and stays so; of each sort any
//! `vpn-svc-type` is left that somebody chose. Never: touches accesses of others, bandwidth, or a site's data.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Instant,
};

use serde_json::{Value, json};
use smol_str::SmolStr;

use super::rest::{Form, Rest, Step, YANG, list, member, number, part, until};
use crate::model::tree::set;
use crate::{
    model::{
        error::{Fault, Result},
        net::VlanId,
        sdn::{OutsidePort, WebAddr},
    },
    sdn::connector::{Connector, Desired, Difference, Look, Opening, PortState, PortVlans},
};

const MODULE: &str = "ietf-l2vpn-svc";
const TREE: &str = "/data/ietf-l2vpn-svc:l2vpn-svc";
const FEATURES: &str = "/data/ietf-yang-library:modules-state/module=ietf-l2vpn-svc,2018-10-09";
/// Where RESTCONF is said to be (RFC 8040 3.1).
const HOST_META: &str = "/.well-known/host-meta";
/// Its answer is XRD (RFC 6415).
const XRD: Form = Form { accept: "application/xrd+xml", content: "" };
const VPN: &str = "bothy-vlan-";
/// Names the location of a site that Bothy made.
const MADE: &str = "bothy";
/// Kinds of services with two ends (RFC 8466 5.2.1), the first one ours.
const TWO: [&str; 3] = ["vpws", "pwe3", "vpws-evpn"];
const MANY: &str = "bgp-vpls";
/// Of a frame's data, in bytes; the model wants one.
const MTU: u16 = 1500;

/// What the manager's model has; `None`: it does not tell.
type Features = Option<BTreeSet<String>>;

pub struct L2vpn {
    rest: Rest,
    mine: Mine,
    /// The root of RESTCONF, and the features, once they are known.
    found: Mutex<Option<(String, Features)>>,
}

/// What is ours to set.
struct Mine {
    owner: String,
    sites: Vec<SmolStr>,
}

impl L2vpn {
    pub fn open(at: &WebAddr, sites: &[SmolStr], with: Opening) -> Result<L2vpn> {
        let rest = Rest::open(at, with.secret.as_deref())?;
        Ok(L2vpn { rest, mine: Mine { owner: with.owner, sites: sites.to_vec() }, found: Mutex::default() })
    }

    fn found(&self, until: Instant) -> Result<(String, Features)> {
        let mut found = self.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(f) = &*found {
            return Ok(f.clone());
        }
        let root = if self.rest.root.is_empty() { self.discover(until)? } else { self.rest.root.clone() };
        let told = self.rest.get(&format!("{root}{FEATURES}"), YANG, until)?;
        let features =
            list(&told.json, "module").first().map(|m| list(m, "feature").iter().filter_map(|f| Some(f.as_str()?.into())).collect());
        Ok(found.insert((root, features)).clone())
    }

    fn discover(&self, until: Instant) -> Result<String> {
        let told = self.rest.get(HOST_META, XRD, until)?;
        let root = told.is_fine().then(|| restconf_of(&told.text)).flatten();
        Ok(root.unwrap_or_else(|| "/restconf".into()))
    }

    fn plan(&self, desired: &Desired, until: Instant) -> Result<(Look, Vec<Step>)> {
        let (root, features) = self.found(until)?;
        let path = format!("{root}{TREE}");
        let a = self.rest.get(&path, YANG, until)?;
        let tree = match a.error() {
            _ if a.is_fine() && (a.status == 204 || !a.json.is_null()) => a.json,
            Some((tag, _)) if tag.starts_with("unknown-") => {
                return Err(Fault::conflict(format!("{}: there is no {MODULE} (RFC 8466): {}", self.rest.url(&path), a.said())));
            }
            Some(_) if a.is_absent() => Value::Null,
            _ => {
                *self.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
                return Err(self.rest.odd(&path, &a));
            }
        };
        let (look, mut steps) = self.mine.plan(member(&tree, "l2vpn-svc"), desired, &features);
        for s in &mut steps {
            s.path.insert_str(0, &path);
        }
        Ok((self.rest.told(look, &steps), steps))
    }
}

impl Connector for L2vpn {
    fn look(&self, desired: &Desired) -> Result<Look> {
        Ok(self.plan(desired, until())?.0)
    }
    fn apply(&self, desired: &Desired) -> Result<()> {
        let until = until();
        let (_, steps) = self.plan(desired, until)?;
        self.rest.run(&steps, YANG, until)
    }
}

/// The `href` of the link to RESTCONF.
fn restconf_of(xrd: &str) -> Option<String> {
    let quoted = |tag: &str, name: &str| {
        let rest = &tag[tag.find(&format!("{name}="))? + name.len() + 1..];
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        rest[1..].split(quote).next().map(ToOwned::to_owned)
    };
    let mut links = xrd.split('<').filter(|t| t.starts_with("Link") || t.contains(":Link"));
    let href = links.find(|t| quoted(t, "rel").as_deref() == Some("restconf")).and_then(|t| quoted(t, "href"))?;
    let fine = href.starts_with('/') && !href.starts_with("//") && href.bytes().all(|b| b.is_ascii_graphic());
    fine.then(|| href.trim_end_matches('/').to_owned())
}

/// An identity without its module's name.
fn identity(v: &Value) -> &str {
    let text = v.as_str().unwrap_or_default();
    text.rsplit_once(':').map_or(text, |(_, name)| name)
}

fn named(name: &str) -> String {
    format!("{MODULE}:{name}")
}

/// All of what is wanted is there, whatever else is.
fn holds(is: &Value, want: &Value) -> bool {
    match want {
        Value::Object(all) => all.iter().all(|(k, v)| holds(member(is, k), v)),
        Value::Number(_) => number(is) == number(want),
        Value::String(_) => is == want || want.as_str().is_some_and(|w| w.starts_with(MODULE)) && identity(is) == identity(want),
        Value::Null | Value::Bool(_) | Value::Array(_) => is == want,
    }
}

struct Access<'t> {
    site: &'t str,
    id: &'t str,
    vpn: &'t str,
    value: &'t Value,
}

/// An access that is wanted.
struct Want {
    at: OutsidePort,
    vlan: VlanId,
    value: Value,
}

impl Mine {
    fn id(&self, vlan: VlanId, port: &str) -> String {
        format!("bothy:{}:{vlan}:{port}", self.owner)
    }
    /// The VLAN and the port of an access of ours.
    fn read_id<'i>(&self, id: &'i str) -> Option<(VlanId, &'i str)> {
        let (vlan, port) = id.strip_prefix("bothy:")?.strip_prefix(&self.owner)?.strip_prefix(':')?.split_once(':')?;
        Some((vlan.parse::<u16>().ok()?.try_into().ok()?, port))
    }

    fn plan(&self, tree: &Value, desired: &Desired, features: &Features) -> (Look, Vec<Step>) {
        let sites: BTreeMap<&str, &Value> =
            list(member(tree, "sites"), "site").iter().filter_map(|s| Some((member(s, "site-id").as_str()?, s))).collect();
        let accesses: Vec<Access<'_>> = sites.iter().flat_map(|(id, s)| accesses(id, s)).collect();
        let ours: Vec<(&Access<'_>, VlanId, OutsidePort)> = accesses
            .iter()
            .filter(|a| self.sites.iter().any(|s| s == a.site))
            .filter_map(|a| self.read_id(a.id).map(|(vlan, port)| (a, vlan, OutsidePort { switch: a.site.into(), port: port.into() })))
            .collect();

        let mut look = Look::default();
        let mut wants: BTreeMap<(SmolStr, String), Want> = BTreeMap::new();
        for (at, vlans) in desired {
            match self.wants(at, vlans, sites.get(at.switch.as_str()).copied(), features) {
                Ok(all) => wants.extend(all.into_iter().map(|w| ((at.switch.clone(), self.id(w.vlan, &at.port)), w))),
                Err(why) => drop(look.ports.insert(at.clone(), PortState::Fault(why))),
            }
        }
        let wanted = |a: &Access<'_>| wants.get(&(SmolStr::new(a.site), a.id.to_owned()));
        let there = |site: &str, id: &str| accesses.iter().find(|a| a.site == site && a.id == id);

        // How many each service will have.
        let mut ends: BTreeMap<String, usize> = BTreeMap::new();
        for a in &accesses {
            let goes = wanted(a).is_none() && ours.iter().any(|(o, ..)| std::ptr::eq(*o, a));
            *ends.entry(a.vpn.to_owned()).or_default() += usize::from(!goes);
        }
        for ((site, id), w) in &wants {
            *ends.entry(format!("{VPN}{}", w.vlan)).or_default() += usize::from(there(site, id).is_none());
        }

        let mut odd: BTreeMap<OutsidePort, String> = BTreeMap::new();
        let mut steps = Vec::new();
        self.services(tree, &wants, &ends, features, &mut steps, &mut odd);
        let missing: BTreeSet<&SmolStr> = set(wants.keys().map(|(site, _)| site).filter(|s| !sites.contains_key(s.as_str())));
        for site in missing {
            let ports = wants.values().filter(|w| w.at.switch == *site).map(|w| w.at.clone()).collect();
            steps.push(Step { method: "POST", path: "/sites".into(), body: Some(json!({ named("site"): [made(site)] })), ports });
        }
        for ((site, id), w) in &wants {
            let all = format!("/sites/site={}/site-network-accesses", part(site));
            let mut value = json!({ "network-access-id": id });
            extend(&mut value, &w.value);
            let body = Some(json!({ named("site-network-access"): [value] }));
            let ports = vec![w.at.clone()];
            match there(site, id) {
                None => steps.push(Step { method: "POST", path: all, body, ports }),
                Some(is) if holds(is.value, &w.value) => {}
                Some(_) => {
                    odd.entry(w.at.clone()).or_insert_with(|| "not as Bothy sets it".into());
                    steps.push(Step { method: "PUT", path: format!("{all}/site-network-access={}", part(id)), body, ports });
                }
            }
        }
        self.removals(tree, &sites, &accesses, &ours, &wants, &ends, &mut steps);
        self.show(desired, &ours, &odd, &sites, &mut look);
        (look, steps)
    }

    /// The accesses of one port, or why there are none.
    fn wants(&self, at: &OutsidePort, p: &PortVlans, site: Option<&Value>, features: &Features) -> std::result::Result<Vec<Want>, String> {
        if !self.sites.contains(&at.switch) {
            return Err(format!("site {} is none of the controller's datapaths", at.switch));
        }
        for (name, needed) in [("bearer-reference", true), ("dot1q", !p.tagged.is_empty())] {
            if needed && features.as_ref().is_some_and(|f| !f.contains(name)) {
                return Err(format!("the WAN manager's {MODULE} is without its feature {name}, which this needs"));
            }
        }
        let place = match site {
            None => json!({ "location-reference": MADE }),
            Some(s) => {
                let first = |all: &str, one: &str, id: &str| list(member(s, all), one).first().and_then(|l| member(l, id).as_str());
                match (first("locations", "location", "location-id"), first("devices", "device", "device-id")) {
                    (Some(l), _) => json!({ "location-reference": l }),
                    (None, Some(d)) => json!({ "device-reference": d }),
                    (None, None) => return Err(format!("site {} has neither a location nor a device at the WAN manager", at.switch)),
                }
            }
        };
        let oam = features.as_ref().is_some_and(|f| f.contains("ethernet-oam"));
        let one = |vlan: VlanId, tagged: bool| {
            let mut connection = if tagged {
                json!({
                    "encapsulation-type": named("vlan"),
                    "eth-inf-type": named("tagged"),
                    "tagged-interface": {
                        "type": named("dot1q"),
                        "dot1q-vlan-tagged": { "tg-type": named("c-vlan"), "cvlan-id": vlan.get() },
                    },
                })
            } else {
                // The empty one says nothing, and some who check what is sent want to see it.
                json!({ "encapsulation-type": named("ethernet"), "eth-inf-type": named("untagged"), "tagged-interface": {} })
            };
            if oam {
                connection["oam"] = json!({ "md-name": MADE, "md-level": 0 });
            }
            let mut value = place.clone();
            let rest = json!({
                "bearer": { "bearer-reference": at.port },
                "connection": connection,
                "vpn-attachment": { "vpn-id": format!("{VPN}{vlan}"), "site-role": named("any-to-any-role") },
                "service": { "svc-mtu": MTU },
            });
            extend(&mut value, &rest);
            Want { at: at.clone(), vlan, value }
        };
        Ok(p.native.map(|v| one(v, false)).into_iter().chain(p.tagged.iter().map(|v| one(*v, true))).collect())
    }

    /// Services that are wanted, and what they are like.
    fn services(
        &self,
        tree: &Value,
        wants: &BTreeMap<(SmolStr, String), Want>,
        ends: &BTreeMap<String, usize>,
        features: &Features,
        steps: &mut Vec<Step>,
        odd: &mut BTreeMap<OutsidePort, String>,
    ) {
        let vlans: BTreeSet<VlanId> = set(wants.values().map(|w| w.vlan));
        for vlan in vlans {
            let id = format!("{VPN}{vlan}");
            let many = ends.get(&id).is_some_and(|n| *n > 2);
            let is = list(member(tree, "vpn-services"), "vpn-service").iter().find(|s| member(s, "vpn-id") == id.as_str());
            let ports: Vec<OutsidePort> = wants.values().filter(|w| w.vlan == vlan).map(|w| w.at.clone()).collect();
            let kind = if many { MANY } else { TWO[0] };
            let (why, step) = match is {
                None => {
                    let mut s = json!({
                        "vpn-id": id,
                        "vpn-svc-type": named(kind),
                        "customer-name": MADE,
                        "svc-topo": named("any-to-any"),
                        // The tag says which service a frame belongs to; it is not carried.
                        "ce-vlan-preservation": false,
                        "ce-vlan-cos-preservation": false,
                    });
                    if features.as_ref().is_some_and(|f| f.contains("bum")) {
                        s["frame-delivery"] = json!({ "multicast-gp-port-mapping": named("static-mapping") });
                    }
                    let body = Some(json!({ named("vpn-service"): [s] }));
                    (format!("without its VPN service {id}"), Step { method: "POST", path: "/vpn-services".into(), body, ports })
                }
                Some(s) if many && is_of_two(s) => {
                    let body = Some(json!({ named("vpn-service"): [{ "vpn-id": id, "vpn-svc-type": named(kind) }] }));
                    let path = format!("/vpn-services/vpn-service={}", part(&id));
                    (format!("in {id}, which is for two ends"), Step { method: "PATCH", path, body, ports })
                }
                Some(_) => continue,
            };
            for p in &step.ports {
                odd.insert(p.clone(), why.clone());
            }
            steps.push(step);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one pass over what was read and what is wanted")]
    fn removals(
        &self,
        tree: &Value,
        sites: &BTreeMap<&str, &Value>,
        accesses: &[Access<'_>],
        ours: &[(&Access<'_>, VlanId, OutsidePort)],
        wants: &BTreeMap<(SmolStr, String), Want>,
        ends: &BTreeMap<String, usize>,
        steps: &mut Vec<Step>,
    ) {
        let remove = |path: String, ports: Vec<OutsidePort>| Step { method: "DELETE", path, body: None, ports };
        let stale = |a: &Access<'_>| !wants.contains_key(&(SmolStr::new(a.site), a.id.to_owned()));
        for (a, _, at) in ours.iter().filter(|(a, ..)| stale(a)) {
            let path = format!("/sites/site={}/site-network-accesses/site-network-access={}", part(a.site), part(a.id));
            steps.push(remove(path, vec![at.clone()]));
        }
        for s in list(member(tree, "vpn-services"), "vpn-service") {
            let id = member(s, "vpn-id").as_str().unwrap_or_default();
            let vlan = id.strip_prefix(VPN).and_then(|v| v.parse::<u16>().ok());
            if vlan.is_some() && ends.get(id).is_none_or(|n| *n == 0) {
                let ports = ours.iter().filter(|(a, ..)| a.vpn == id).map(|(_, _, at)| at.clone()).collect();
                steps.push(remove(format!("/vpn-services/vpn-service={}", part(id)), ports));
            }
        }
        for (id, _) in sites.iter().filter(|(id, s)| self.sites.iter().any(|o| o == *id) && is_made(s)) {
            let kept = wants.keys().any(|(site, _)| site == *id)
                || accesses.iter().any(|a| a.site == *id && !ours.iter().any(|(o, ..)| std::ptr::eq(*o, a)));
            if !kept {
                let ports = ours.iter().filter(|(a, ..)| a.site == *id).map(|(_, _, at)| at.clone()).collect();
                steps.push(remove(format!("/sites/site={}", part(id)), ports));
            }
        }
    }

    fn show(
        &self,
        desired: &Desired,
        ours: &[(&Access<'_>, VlanId, OutsidePort)],
        odd: &BTreeMap<OutsidePort, String>,
        sites: &BTreeMap<&str, &Value>,
        look: &mut Look,
    ) {
        let mut have: BTreeMap<&OutsidePort, PortVlans> = BTreeMap::new();
        for (a, vlan, at) in ours {
            let p = have.entry(at).or_default();
            if identity(member(member(a.value, "connection"), "eth-inf-type")) == "tagged" {
                p.tagged.insert(*vlan);
            } else {
                p.native = Some(*vlan);
            }
        }
        let nothing = PortVlans::default();
        let all: BTreeSet<&OutsidePort> = set(have.keys().copied().chain(desired.keys()));
        for at in all {
            let is = have.get(at).unwrap_or(&nothing);
            // What cannot be is no difference that could go.
            let fault = look.ports.contains_key(at);
            let wanted = desired.get(at).filter(|_| !fault).unwrap_or(&nothing);
            let but = odd.get(at);
            if is != wanted || but.is_some() {
                let is = but.map_or_else(|| is.to_string(), |why| format!("{is}, {why}"));
                look.differs.push(Difference { at: at.clone(), is, wanted: wanted.to_string() });
            }
            if desired.contains_key(at) && !fault {
                let stopped = sites.get(at.switch.as_str()).and_then(|s| stopped(s));
                let state = stopped.map_or(PortState::Up, |when| {
                    PortState::Down(format!("the WAN manager says that site {} was stopped at {when}", at.switch))
                });
                look.ports.insert(at.clone(), state);
            }
        }
    }
}

fn accesses<'t>(site: &'t str, value: &'t Value) -> impl Iterator<Item = Access<'t>> {
    let text = |v: &'t Value, m: &str| member(v, m).as_str().unwrap_or_default();
    list(member(value, "site-network-accesses"), "site-network-access").iter().map(move |a| Access {
        site,
        id: text(a, "network-access-id"),
        vpn: text(member(a, "vpn-attachment"), "vpn-id"),
        value: a,
    })
}

/// `vpws` is the model's default.
fn is_of_two(service: &Value) -> bool {
    let kind = identity(member(service, "vpn-svc-type"));
    kind.is_empty() || TWO.contains(&kind)
}

/// A site that was not known before.
fn made(id: &str) -> Value {
    json!({
        "site-id": id,
        "locations": { "location": [{ "location-id": MADE }] },
        "management": { "type": named("customer-managed") },
        "default-ce-vlan-id": 1,
    })
}

fn is_made(site: &Value) -> bool {
    let devices = list(member(site, "devices"), "device");
    matches!(list(member(site, "locations"), "location"), [one] if member(one, "location-id") == MADE) && devices.is_empty()
}

/// When the service of a site ended, if it did not begin again.
fn stopped(site: &Value) -> Option<&str> {
    let stop = member(site, "actual-site-stop").as_str()?;
    let start = member(site, "actual-site-start").as_str().unwrap_or_default();
    (start < stop).then_some(stop)
}

fn extend(v: &mut Value, with: &Value) {
    if let (Some(v), Some(with)) = (v.as_object_mut(), with.as_object()) {
        v.extend(with.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
}

#[cfg(test)]
#[path = "l2vpn_tests.rs"]
mod tests;
