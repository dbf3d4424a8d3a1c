//! What a guest finds at its first boot: the files of its day-0 medium. Pure.
//!
//! Owns what templates may know about a guest, and the files that a medium needs where the
//! descriptor brings none (`defaults`). Every fault of every file is named at once. Never: the
//! medium's file system, the store, or a secret in a fault.
//!
//! A template sees
//!
//! ```text
//! vnf.id vnf.name            the VNF instance
//! vdu.id vdu.name            its VDU
//! vnfc.id vnfc.index         this guest; index from 0 among those of its VDU
//! hostname
//! ports.CP.*                 each connection point by its id: name mac link mtu dhcp, address cidr;
//!                            tag, where it is a network of a trunk
//! nics[N].*                  prefix netmask gateway (the first network's), addresses gateways dns
//! ssh_keys                   list
//! params.NAME                parameters; also plain NAME where nothing above has it
//! secrets.NAME               secrets of the project
//!                           a parameter {"secret": NAME} is that secret's value
//! ```

mod defaults;
mod template;

use std::{
    collections::{BTreeMap, HashSet},
    net::{IpAddr, Ipv4Addr},
};

use minijinja::Value;
use smol_str::{SmolStr, format_smolstr};

use crate::{
    model::{
        error::{Fault, Result},
        id::{VnfId, VnfcId},
        net::{Cidr, MacAddr, VlanId},
        param::{Param, Params},
        tree::tree,
        vnf,
        vnfd::{Day0, Day0Source, LinkProfile},
    },
    vim::port::MediumFile,
};

/// Everything about one guest that its files may depend on.
#[derive(Debug, Clone)]
pub struct Guest<'a> {
    pub vnf: VnfId,
    pub vnf_name: &'a str,
    pub vdu: &'a str,
    pub vdu_name: &'a str,
    pub vnfc: VnfcId,
    pub index: u32,
    pub hostname: &'a str,
    /// In the guest's order.
    pub ports: Vec<Nic>,
    /// Of the instance; the descriptor's own values are laid under them.
    pub params: &'a Params,
    pub ssh_keys: &'a [String],
    /// (name, value in the clear).
    pub secrets: &'a [(SmolStr, String)],
}

/// A NIC of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// The VDU connection point's id.
    pub cp: SmolStr,
    /// Id of the link it is on.
    pub link: SmolStr,
    pub mac: MacAddr,
    pub mtu: Option<u16>,
    pub networks: Vec<NicNetwork>,
    /// Under this tag of another: its connection point.
    pub within: Option<(SmolStr, VlanId)>,
}

/// A planned address with the network it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NicNetwork {
    pub address: Cidr,
    pub gateway: Option<IpAddr>,
    pub dns: Vec<IpAddr>,
    /// The host hands the address out: the guest shall ask for it.
    pub dhcp: bool,
}

impl Nic {
    /// A planned port on a link; `mtu` is the connection point's own.
    pub fn new(port: &vnf::Port, link: &str, profile: &LinkProfile, mtu: Option<u16>) -> Self {
        let networks = port.addresses.iter().filter_map(|&a| {
            let net = profile.layer3.iter().find(|l| l.cidr.contains(a));
            let prefix = net.map_or(if a.is_ipv4() { 32 } else { 128 }, |l| l.cidr.prefix());
            Some(NicNetwork {
                address: Cidr::new(a, prefix).ok()?,
                gateway: net.and_then(|l| l.gateway).filter(|g| *g != a),
                dns: net.map(|l| l.dns.clone()).unwrap_or_default(),
                dhcp: net.is_some_and(|l| l.dhcp),
            })
        });
        Nic { cp: port.cp.clone(), link: link.into(), mac: port.mac, mtu: mtu.or(profile.mtu), networks: networks.collect(), within: None }
    }
}

/// What the guest calls each of them: `eth` and its place in the order; `eth0.5` what comes under tag 5 of the first.
fn names(all: &[Nic]) -> Vec<SmolStr> {
    let place = |cp: &SmolStr| all.iter().filter(|n| n.within.is_none()).position(|n| n.cp == *cp).unwrap_or(0);
    let name = |n: &Nic| match &n.within {
        None => format_smolstr!("eth{}", place(&n.cp)),
        Some((trunk, tag)) => format_smolstr!("eth{}.{}", place(trunk), tag.get()),
    };
    all.iter().map(name).collect()
}

/// The files of the medium. `artefact` reads a file of the package.
pub fn render(day0: &Day0, guest: &Guest, artefact: &dyn Fn(&str) -> Result<Vec<u8>>) -> Result<Vec<MediumFile>> {
    let context = context(day0, guest);
    let refers = |p: &Param| !p.secrets().is_empty();
    // Names by which a template gets at a secret.
    let mut hot: HashSet<&str> = guest.params.iter().filter(|(_, v)| refers(v)).map(|(k, _)| k.as_str()).collect();
    if !hot.is_empty() {
        hot.insert("params");
    }
    hot.insert("secrets");
    let mut files = Vec::new();
    let mut no = Vec::new();
    for file in &day0.files {
        let (name, content) = match &file.source {
            Day0Source::Inline(text) => (&file.path, Ok(text.clone().into_bytes())),
            Day0Source::Artifact(path) => (path, artefact(path)),
        };
        let done = content.map_err(|e| if e.is_transient() { Err(e) } else { Ok(format!("{name}: {}", e.detail())) }).and_then(|bytes| {
            if !file.template {
                return Ok(MediumFile { path: file.path.to_string(), content: bytes, secret: false });
            }
            let text = String::from_utf8(bytes).map_err(|_| Ok(format!("{name}: a template must be UTF-8 text")))?;
            let done = template::render(name, &text, &context, &hot).map_err(Ok)?;
            Ok(MediumFile { path: file.path.to_string(), content: done.text.into_bytes(), secret: done.secret })
        });
        match done {
            Ok(file) => files.push(file),
            Err(Ok(reason)) => no.push(reason),
            // Not the descriptor's fault: try again rather than give up.
            Err(Err(fault)) => return Err(fault.context(format_args!("day-0 data of VDU {}: {name}", guest.vdu))),
        }
    }
    if !no.is_empty() {
        return Err(Fault::invalid(format!("day-0 data of VDU {} cannot be made", guest.vdu)).with_reasons(no));
    }
    files.extend(defaults::missing(day0.medium, guest, &files)?);
    Ok(files)
}

/// As `render`, with every secret shown as asterisks.
pub fn preview(day0: &Day0, guest: &Guest, artefact: &dyn Fn(&str) -> Result<Vec<u8>>) -> Result<Vec<MediumFile>> {
    let masked: Vec<_> = guest.secrets.iter().map(|(name, _)| (name.clone(), "********".to_owned())).collect();
    render(day0, &Guest { secrets: &masked, ..guest.clone() }, artefact)
}

/// Whether all templates can be read, for the time of onboarding: no values are known then.
pub fn check(day0: &Day0, artefact: &dyn Fn(&str) -> Result<Vec<u8>>) -> Result<()> {
    let mut no = Vec::new();
    for file in day0.files.iter().filter(|f| f.template) {
        let (name, content) = match &file.source {
            Day0Source::Inline(text) => (&file.path, text.clone().into_bytes()),
            Day0Source::Artifact(path) => (path, artefact(path)?),
        };
        match String::from_utf8(content) {
            Ok(text) => no.extend(template::check(name, &text).err()),
            Err(_) => no.push(format!("{name}: a template must be UTF-8 text")),
        }
    }
    if no.is_empty() { Ok(()) } else { Err(Fault::invalid("day-0 templates cannot be read").with_reasons(no)) }
}

fn map<K: Into<Value>>(entries: impl IntoIterator<Item = (K, Value)>) -> Value {
    tree(entries.into_iter().map(|(k, v)| (k.into(), v))).into()
}
fn text(v: impl ToString) -> Value {
    Value::from(v.to_string())
}
/// Absent rather than null, so that a template that counts on it fails instead of writing `none`.
fn maybe(name: &'static str, v: Option<Value>) -> Option<(&'static str, Value)> {
    v.map(|v| (name, v))
}

fn context(day0: &Day0, guest: &Guest) -> Value {
    let mut params: BTreeMap<SmolStr, Value> = tree(day0.defaults.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))));
    params.extend(guest.params.iter().map(|(k, v)| (k.clone(), value(v, guest.secrets))));
    let all: Vec<Value> = names(&guest.ports).iter().zip(&guest.ports).map(|(name, nic)| nic_value(name, nic)).collect();
    let ports = guest.ports.iter().zip(&all).map(|(nic, v)| (nic.cp.as_str(), v.clone()));
    let nics: Vec<Value> = guest.ports.iter().zip(&all).filter(|(nic, _)| nic.within.is_none()).map(|(_, v)| v.clone()).collect();
    let ours = [
        ("vnf", map([("id", text(guest.vnf)), ("name", text(guest.vnf_name))])),
        ("vdu", map([("id", text(guest.vdu)), ("name", text(guest.vdu_name))])),
        ("vnfc", map([("id", text(guest.vnfc)), ("index", Value::from(guest.index))])),
        ("hostname", text(guest.hostname)),
        ("ports", map(ports)),
        ("nics", Value::from(nics.clone())),
        ("ssh_keys", Value::from(guest.ssh_keys.to_vec())),
        ("secrets", map(guest.secrets.iter().map(|(k, v)| (k.as_str(), text(v))))),
        ("params", map(params.iter().map(|(k, v)| (k.as_str(), v.clone())))),
    ];
    let mut all: BTreeMap<&str, Value> = tree(params.iter().map(|(k, v)| (k.as_str(), v.clone())));
    all.extend(ours);
    map(all)
}

fn nic_value(name: &SmolStr, nic: &Nic) -> Value {
    let first = nic.networks.first();
    let netmask = first.filter(|n| n.address.is_ipv4()).map(|n| text(netmask(n.address.prefix())));
    let list = |items: Vec<String>| Value::from(items);
    let fixed = [
        ("name", text(name)),
        ("mac", text(nic.mac)),
        ("link", text(&nic.link)),
        ("dhcp", Value::from(nic.networks.iter().any(|n| n.dhcp))),
        ("addresses", list(nic.networks.iter().map(|n| n.address.to_string()).collect())),
        ("gateways", list(nic.networks.iter().filter_map(|n| n.gateway).map(|g| g.to_string()).collect())),
        ("dns", list(nic.networks.iter().flat_map(|n| &n.dns).map(ToString::to_string).collect())),
    ];
    let optional = [
        maybe("tag", nic.within.as_ref().map(|(_, tag)| Value::from(tag.get()))),
        maybe("mtu", nic.mtu.map(Value::from)),
        maybe("address", first.map(|n| text(n.address.addr()))),
        maybe("cidr", first.map(|n| text(n.address))),
        maybe("prefix", first.map(|n| Value::from(n.address.prefix()))),
        maybe("netmask", netmask),
        maybe("gateway", first.and_then(|n| n.gateway).map(text)),
    ];
    map(fixed.into_iter().chain(optional.into_iter().flatten()))
}

fn netmask(prefix: u8) -> Ipv4Addr {
    Ipv4Addr::from(u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0))
}

/// A number that would lose digits keeps them as text.
fn number(n: &str) -> Value {
    if let Ok(whole) = n.parse::<i64>() {
        return Value::from(whole);
    }
    let real = n.contains(['.', 'e', 'E']).then(|| n.parse::<f64>().ok()).flatten();
    real.map_or_else(|| text(n), Value::from)
}

/// A reference to a secret becomes the secret; to one that is not there, nothing, which a template
/// that counts on it says.
fn value(p: &Param, secrets: &[(SmolStr, String)]) -> Value {
    if let Some(name) = p.as_secret() {
        return secrets.iter().find(|(n, _)| n == name).map_or(Value::UNDEFINED, |(_, clear)| text(clear));
    }
    match p {
        Param::Null => Value::from(()),
        Param::Bool(b) => Value::from(*b),
        Param::Number(n) => number(n),
        Param::Text(t) => Value::from(t.as_str()),
        Param::List(l) => Value::from(l.iter().map(|v| value(v, secrets)).collect::<Vec<_>>()),
        Param::Map(m) => map(m.iter().map(|(k, v)| (k.as_str(), value(v, secrets)))),
    }
}

#[cfg(test)]
mod tests;
