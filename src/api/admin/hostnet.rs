//! The box's own network: shown, planned, tried, confirmed, undone.

use axum::{
    extract::State,
    http::{StatusCode, Uri},
};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::uplink::Probe;
use crate::{
    api::{
        Ctx, Services,
        convert::time,
        extract::{self, query},
        problem::{Answer, Problem},
        respond::{Json, NoQuery},
        who,
    },
    hostnet::{LIMITS_S, NetFile, Status, UplinkNow, WayNow},
    model::{
        error::{Fault, Result},
        hostnet::{Device, HostInterface, HostNetwork, Way},
        uplink::Family as IpFamily,
    },
};

/// What is given to confirm a change, where nothing is said, in seconds.
const CONFIRM_S: u32 = 120;

/// As it is said and shown.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wanted {
    interfaces: Vec<Interface>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dns: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    domains: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ntp: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Interface {
    /// Its name, or its MAC address.
    device: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u16>,
    #[serde(default)]
    ipv4: Family,
    #[serde(default)]
    ipv6: Family,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<Probe>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Family {
    method: Method,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
}

impl Default for Family {
    fn default() -> Self {
        Family { method: Method::Off, addresses: Vec::new(), gateway: None }
    }
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    Off,
    Auto,
    Static,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// Bothy sets it.
    managed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_managed_because: Option<String>,
    state: &'static str,
    /// What counts now; nothing where the system's own files do.
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<Wanted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trial: Option<Trial>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_undone: Option<Undone>,
    /// Why it does not count yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    ports: Vec<Port>,
    /// Interfaces that may lead out, in the order in which they are taken.
    uplinks: Vec<Uplink>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Trial {
    by: String,
    seconds_left: u64,
    /// What comes back if nobody confirms it; nothing: the system's own files.
    #[serde(skip_serializing_if = "Option::is_none")]
    otherwise: Option<Wanted>,
}

#[derive(Serialize)]
struct Undone {
    at: String,
    why: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    link: bool,
    /// What else of the box has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_by: Option<String>,
    /// Of the port, and of the VLANs on it.
    addresses: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Uplink {
    device: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv4: Option<WayOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv6: Option<WayOut>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WayOut {
    state: &'static str,
    in_use: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_miss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hits_to_go: Option<u32>,
}

#[derive(Serialize)]
pub struct Plan {
    files: Vec<File>,
}

#[derive(Serialize)]
struct File {
    name: String,
    text: String,
}

impl From<&HostNetwork> for Wanted {
    fn from(n: &HostNetwork) -> Self {
        let texts = |all: &[SmolStr]| all.iter().map(ToString::to_string).collect();
        let one = |i: &HostInterface| Interface {
            device: i.device.to_string(),
            vlan: i.vlan.map(|v| v.get()),
            mtu: i.mtu,
            ipv4: family(&i.v4),
            ipv6: family(&i.v6),
            probe: i.probe.as_ref().map(Probe::from),
        };
        Wanted {
            interfaces: n.interfaces.iter().map(one).collect(),
            dns: n.dns.iter().map(ToString::to_string).collect(),
            domains: texts(&n.domains),
            ntp: texts(&n.ntp),
        }
    }
}

fn family(w: &Way) -> Family {
    match w {
        Way::Off => Family::default(),
        Way::Auto => Family { method: Method::Auto, ..Family::default() },
        Way::Static { addresses, gateway } => Family {
            method: Method::Static,
            addresses: addresses.iter().map(ToString::to_string).collect(),
            gateway: gateway.map(|g| g.to_string()),
        },
    }
}

/// Every value that cannot be read, with its place.
fn read(w: &Wanted) -> Result<HostNetwork> {
    let mut why = Vec::new();
    let interfaces = w.interfaces.iter().enumerate().filter_map(|(n, i)| interface(&format!("interfaces[{n}]"), i, &mut why)).collect();
    let dns = w.dns.iter().enumerate().filter_map(|(n, a)| text(&format!("dns[{n}]"), a, "an address", &mut why)).collect();
    if !why.is_empty() {
        return Err(Fault::invalid("the network cannot be read").with_reasons(why));
    }
    let names = |all: &[String]| all.iter().map(SmolStr::new).collect();
    Ok(HostNetwork { interfaces, dns, domains: names(&w.domains), ntp: names(&w.ntp) })
}

fn interface(at: &str, i: &Interface, why: &mut Vec<String>) -> Option<HostInterface> {
    // Six pairs of hexadecimal digits are no interface's name.
    let device = i.device.parse().map(Device::Mac).or_else(|_| i.device.parse().map(Device::Name));
    let device = device.map_err(|f: Fault| why.push(format!("{at}.device: {}, and no MAC address", f.text()))).ok();
    let vlan = i.vlan.map(|v| v.try_into().map_err(|f: Fault| why.push(format!("{at}.vlan: {}", f.text()))).ok());
    let (v4, v6) = (way(&format!("{at}.ipv4"), &i.ipv4, why), way(&format!("{at}.ipv6"), &i.ipv6, why));
    let vlan = match vlan {
        None => None,
        Some(read) => Some(read?),
    };
    let probe = match i.probe.as_ref().map(|p| p.read(&format!("{at}.probe"), why)) {
        None => None,
        Some(read) => Some(read?),
    };
    Some(HostInterface { device: device?, vlan, mtu: i.mtu, v4: v4?, v6: v6?, probe })
}

fn way(at: &str, f: &Family, why: &mut Vec<String>) -> Option<Way> {
    if f.method != Method::Static {
        if !f.addresses.is_empty() || f.gateway.is_some() {
            why.push(format!("{at}: addresses and a gateway are STATIC's"));
            return None;
        }
        return Some(if f.method == Method::Auto { Way::Auto } else { Way::Off });
    }
    let addresses: Vec<_> = f
        .addresses
        .iter()
        .enumerate()
        .filter_map(|(n, a)| {
            // Without its prefix an address would be a host's alone.
            let what = "an address with its prefix, such as 192.0.2.10/24";
            text(&format!("{at}.addresses[{n}]"), if a.contains('/') { a } else { "" }, what, why)
        })
        .collect();
    let gateway = f.gateway.as_deref().map(|g| text(&format!("{at}.gateway"), g, "an address", why));
    (addresses.len() == f.addresses.len() && gateway != Some(None)).then_some(Way::Static { addresses, gateway: gateway.flatten() })
}

pub(super) fn text<T: std::str::FromStr>(at: &str, value: &str, what: &str, why: &mut Vec<String>) -> Option<T> {
    value.parse().map_err(|_| why.push(format!("{at}: '{value}' is not {what}"))).ok()
}

fn shown(s: Status) -> Shown {
    let wanted = |n: Option<&HostNetwork>| n.map(Wanted::from);
    let trial = s.record.trial.as_ref().map(|t| Trial {
        by: t.by.to_string(),
        seconds_left: s.left_s.unwrap_or(0),
        otherwise: wanted(s.record.kept.as_ref()),
    });
    let of = |name: &str| s.addresses.iter().filter(|(i, _)| i.as_str() == name).map(|(_, a)| a.to_string()).collect();
    Shown {
        managed: s.refuses.is_none(),
        state: match (&trial, &s.record.kept) {
            (Some(_), _) => "ON_TRIAL",
            (None, Some(_)) => "KEPT",
            (None, None) => "SYSTEM",
        },
        network: wanted(s.record.current()),
        trial,
        last_undone: s.record.undone.as_ref().map(|u| Undone { at: time(u.at).to_string(), why: u.why.clone() }),
        problem: s.fault,
        ports: s
            .ports
            .iter()
            .map(|p| Port {
                name: p.name.to_string(),
                mac: p.mac.map(|m| m.to_string()),
                link: p.has_link,
                used_by: s.taken.get(&p.name).cloned(),
                addresses: of(p.name.as_str()),
            })
            .collect(),
        uplinks: s.uplinks.iter().map(uplink).collect(),
        not_managed_because: s.refuses,
    }
}

fn uplink(u: &UplinkNow) -> Uplink {
    let of = |family| u.ways.iter().find(|w| w.family == family).map(way_out);
    Uplink {
        device: u.device.to_string(),
        vlan: u.vlan.map(|v| v.get()),
        interface: u.interface.as_ref().map(ToString::to_string),
        ipv4: of(IpFamily::V4),
        ipv6: of(IpFamily::V6),
    }
}

fn way_out(w: &WayNow) -> WayOut {
    use crate::hostnet::State as S;
    WayOut {
        state: match w.state {
            S::NoRoute => "NO_ROUTE",
            S::NotProbed => "NOT_PROBED",
            S::Untried => "UNTRIED",
            S::Well => "WELL",
            S::Down => "DOWN",
        },
        in_use: w.in_use,
        since: w.since.map(|at| time(at).to_string()),
        last_miss: w.why.clone(),
        hits_to_go: w.to_go,
    }
}

fn plan_of(files: Vec<NetFile>) -> Plan {
    Plan { files: files.into_iter().map(|f| File { name: f.name, text: f.text }).collect() }
}

async fn look(s: &Services) -> Answer<Json<Shown>> {
    let nets = s.own_net.clone();
    Ok(Json(s.pool.run(move || nets.status().map(shown)).await?))
}

fn confirm_s(uri: &Uri) -> Answer<u32> {
    let mut seconds = CONFIRM_S;
    for (name, v) in query(uri, &["confirm_s"])? {
        let (least, most) = LIMITS_S;
        seconds = v
            .parse()
            .ok()
            .filter(|s| (least..=most).contains(s))
            .ok_or_else(|| Box::new(Problem::malformed(format!("{name}: '{v}' is no number of seconds from {least} to {most}"))))?;
    }
    Ok(seconds)
}

pub async fn show(State(s): Ctx, _: NoQuery) -> Answer<Json<Shown>> {
    look(&s).await
}

pub async fn plan(State(s): Ctx, _: NoQuery, extract::Json(w): extract::Json<Wanted>) -> Answer<Json<Plan>> {
    let nets = s.own_net.clone();
    Ok(Json(s.pool.run(move || nets.plan(Some(&read(&w)?)).map(plan_of)).await?))
}

/// Counts at once. What answers this may not be reached any more after it.
pub async fn attempt(State(s): Ctx, uri: Uri, extract::Json(w): extract::Json<Wanted>) -> Answer<(StatusCode, Json<Shown>)> {
    let (nets, by, seconds) = (s.own_net.clone(), who::caller()?, confirm_s(&uri)?);
    s.pool.see_through(move || nets.attempt(Some(read(&w)?), seconds, &by.name)).await?;
    Ok((StatusCode::ACCEPTED, look(&s).await?))
}

/// The system's own files count again, once that is confirmed.
pub async fn forget(State(s): Ctx, uri: Uri) -> Answer<(StatusCode, Json<Shown>)> {
    let (nets, by, seconds) = (s.own_net.clone(), who::caller()?, confirm_s(&uri)?);
    s.pool.see_through(move || nets.attempt(None, seconds, &by.name)).await?;
    Ok((StatusCode::ACCEPTED, look(&s).await?))
}

pub async fn confirm(State(s): Ctx, _: NoQuery) -> Answer<Json<Shown>> {
    let nets = s.own_net.clone();
    s.pool.see_through(move || nets.confirm()).await?;
    look(&s).await
}

pub async fn undo(State(s): Ctx, _: NoQuery) -> Answer<Json<Shown>> {
    let (nets, by) = (s.own_net.clone(), who::caller()?);
    s.pool.see_through(move || nets.call_off(&by.name)).await?;
    look(&s).await
}
