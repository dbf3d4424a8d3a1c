//! How an uplink's probe is said and shown.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::hostnet::text;
use crate::model::uplink::{self, ProbeTarget};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Probe {
    targets: Vec<Target>,
    #[serde(default = "one")]
    need: u8,
    #[serde(default = "interval")]
    interval_s: u16,
    #[serde(default = "misses")]
    misses: u8,
    #[serde(default = "hits")]
    hits: u8,
}

fn one() -> u8 {
    1
}
fn interval() -> u16 {
    uplink::Probe::INTERVAL_S
}
fn misses() -> u8 {
    uplink::Probe::MISSES
}
fn hits() -> u8 {
    uplink::Probe::HITS
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Target {
    kind: Kind,
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Kind {
    Ping,
    Tcp,
    Dns,
}

impl From<&uplink::Probe> for Probe {
    fn from(p: &uplink::Probe) -> Self {
        let one = |t: &ProbeTarget| {
            let (kind, port, name) = match t {
                ProbeTarget::Ping(_) => (Kind::Ping, None, None),
                ProbeTarget::Tcp { port, .. } => (Kind::Tcp, Some(*port), None),
                ProbeTarget::Dns { name, .. } => (Kind::Dns, None, Some(name.to_string())),
            };
            Target { kind, to: t.to().to_string(), port, name }
        };
        let targets = p.targets.iter().map(one).collect();
        Probe { targets, need: p.need, interval_s: p.interval_s, misses: p.misses, hits: p.hits }
    }
}

impl Probe {
    pub fn read(&self, at: &str, why: &mut Vec<String>) -> Option<uplink::Probe> {
        let targets: Vec<_> = self.targets.iter().enumerate().filter_map(|(n, t)| t.read(&format!("{at}.targets[{n}]"), why)).collect();
        let all = targets.len() == self.targets.len();
        all.then_some(uplink::Probe { targets, need: self.need, interval_s: self.interval_s, misses: self.misses, hits: self.hits })
    }
}

impl Target {
    fn read(&self, at: &str, why: &mut Vec<String>) -> Option<ProbeTarget> {
        let before = why.len();
        let to = text(&format!("{at}.to"), &self.to, "an address", why);
        let mut only = |member: &str, is_there: bool, kind: Kind, word: &str| match (is_there, self.kind == kind) {
            (true, false) => why.push(format!("{at}.{member} is {word}'s")),
            (false, true) => why.push(format!("{at}.{member}: {word} needs it")),
            (true, true) | (false, false) => {}
        };
        only("port", self.port.is_some(), Kind::Tcp, "TCP");
        only("name", self.name.is_some(), Kind::Dns, "DNS");
        if why.len() > before {
            return None;
        }
        match self.kind {
            Kind::Ping => Some(ProbeTarget::Ping(to?)),
            Kind::Tcp => Some(ProbeTarget::Tcp { to: to?, port: self.port? }),
            Kind::Dns => Some(ProbeTarget::Dns { server: to?, name: SmolStr::new(self.name.as_deref()?) }),
        }
    }
}
