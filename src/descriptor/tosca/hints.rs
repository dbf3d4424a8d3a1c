//! Bothy's own hints: `bothy.*` keys in the `metadata` of a node template.
//!
//! Owns their names and forms. TOSCA lets metadata be any map of strings, so a package with hints
//! is still a SOL001 package; a hint that is misspelt would be silently lost elsewhere, so here it
//! is an error.
//!
//! | node | hint | values |
//! |---|---|---|
//! | Vdu.Compute | `bothy.readiness` | `running` (default), `agent`, `serial:REGEX`, `tcp:PORT` |
//! | | `bothy.readiness_timeout` | seconds, or with a unit: `90 s`, `5 m` |
//! | | `bothy.firmware` | `bios` (default), `uefi` |
//! | | `bothy.day0.medium` | `nocloud` (default), `configdrive`, `iso`, `fat` |
//! | | `bothy.day0.bus` | `cdrom` (default), `disk` |
//! | | `bothy.day0.label` | volume label |
//! | VirtualBlockStorage | `bothy.bus` | `virtio` (default), `scsi`, `sata` |
//! | VduCp | `bothy.management` | `true`: day-1 and readiness come in here |
//! | | `bothy.model` | `virtio`, `e1000`, `e1000e`, `rtl8139`, `pcnet` |
//! | | `bothy.mac`, `bothy.mtu` | |
//! | | `bothy.port_security` | `false` where the guest forwards for others: its frames may come from any address |
//! | | `bothy.rate_limit` | what the switch takes from the NIC at most: bits a second, or `10 Mbps` |
//! | VduSubCp, VnfExtCp | `bothy.management` | |
//! | virtual links | `bothy.management` | `true`: the host has an address on it |
//! | | `bothy.nat` | `true`: guests reach the uplink, translated |
//! | | `bothy.forwards` | `tcp/8080->web:80, udp/53->dns/vdu:53` |
//! | | `bothy.dns` | addresses, separated by commas |
//! | | `bothy.physical` | name of a physical network of the box, or of a tunnel |
//! | NFP | `bothy.symmetric` | `false`: what comes back takes its link |
//! | | `bothy.on_loss` | `block` (default), `bypass`: what happens without one of its functions |
//! | | `bothy.drain_timeout` | 300 s where it says nothing: how long connections keep their way when the path takes another; `0` not at all |
//! | NfpPosition | `bothy.hop` | `transparent` (default): hands frames on as they are; `stateful`: so does it, and it has to see a connection from its beginning; `routed`: takes frames for its own MAC |
//! | PNF of an NSD | `bothy.physical.REQUIREMENT` | the physical network of the box that it is plugged into there |
//! | AffinityRule, AntiAffinityRule of a VNFD | `bothy.scope` | `numa_node`: the rule is for NUMA nodes of the box |
//! | VNF of a VNFD | `bothy.indicator.ID` | `VDU:/path`: the file in its guests that says what the indicator is |
//! | VNF of an NSD | `bothy.address.REQUIREMENT` | fixed addresses on that link |
//! | | `bothy.priority` | lower starts first after a reboot |

use smol_str::SmolStr;

use super::at::At;
use crate::{
    descriptor::diagnose::{Severity, did_you_mean},
    model::vnfd::{DiskBus, Firmware, Forward, MediaBus, Medium, NicModel, Readiness, Transport},
};

pub const ON_COMPUTE: &[&str] = &["readiness", "readiness_timeout", "firmware", "day0.medium", "day0.bus", "day0.label"];
pub const ON_STORAGE: &[&str] = &["bus"];
pub const ON_VDU_CP: &[&str] = &["management", "model", "mac", "mtu", "port_security", "rate_limit"];
pub const ON_VDU_SUB_CP: &[&str] = &["management"];
pub const ON_EXT_CP: &[&str] = &["management"];
pub const ON_LINK: &[&str] = &["management", "nat", "forwards", "dns", "physical"];
pub const ON_PATH: &[&str] = &["symmetric", "on_loss", "drain_timeout"];
pub const ON_PNF: &[&str] = &["physical.*"];
pub const ON_POSITION: &[&str] = &["hop"];
/// `indicator.ID`: where an indicator of the VNF is read.
pub const ON_VNF: &[&str] = &["indicator.*"];
/// On the policies, which have metadata as nodes have.
pub const ON_RULE: &[&str] = &["scope"];
/// `address.REQUIREMENT`: fixed addresses of a member of a network service.
pub const ON_MEMBER: &[&str] = &["address.*", "priority"];

/// The hints of one node template.
pub struct Hints<'a>(Vec<(SmolStr, At<'a>)>);

/// Reads `metadata`; a `bothy.` key that is not in `known` is an error.
pub fn hints<'a>(template: &At<'a>, known: &[&str]) -> Hints<'a> {
    let mut out = Vec::new();
    for (key, at) in template.get("metadata").map(|m| m.entries()).unwrap_or_default() {
        let Some(name) = key.text.strip_prefix("bothy.") else { continue };
        let fits = |k: &&str| *k == name || k.strip_suffix('*').is_some_and(|p| name.len() > p.len() && name.starts_with(p));
        if known.iter().any(fits) {
            out.push((SmolStr::new(name), at));
        } else {
            let all: Vec<String> = known.iter().map(|k| format!("bothy.{k}")).collect();
            let hint = did_you_mean(&key.text, all.iter().map(String::as_str)).or_else(|| {
                let list = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
                Some(format!("known on this kind of node: {list}"))
            });
            let text = format!("'{}' is no hint that Bothy knows here", key.text);
            at.scope.sink.report(Severity::Error, key.pos, &at.path, text, hint);
        }
    }
    Hints(out)
}

impl<'a> Hints<'a> {
    pub fn get(&self, name: &str) -> Option<&At<'a>> {
        self.0.iter().find(|(k, _)| k == name).map(|(_, at)| at)
    }
    pub fn starting(&self, prefix: &'a str) -> impl Iterator<Item = (&str, &At<'a>)> {
        self.0.iter().filter_map(move |(k, at)| k.strip_prefix(prefix).map(|rest| (rest, at)))
    }
    pub fn any_starting(&self, prefix: &str) -> bool {
        self.0.iter().any(|(k, _)| k.starts_with(prefix))
    }
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.bool()
    }
    pub fn firmware(&self) -> Firmware {
        self.get("firmware").and_then(|at| at.choice(&[("bios", Firmware::Bios), ("uefi", Firmware::Uefi)])).unwrap_or_default()
    }
    pub fn medium(&self) -> Option<Medium> {
        self.get("day0.medium")?.choice(&[
            ("nocloud", Medium::NoCloud),
            ("configdrive", Medium::ConfigDrive),
            ("iso", Medium::Iso),
            ("fat", Medium::Fat),
        ])
    }
    pub fn media_bus(&self) -> MediaBus {
        self.get("day0.bus").and_then(|at| at.choice(&[("cdrom", MediaBus::Cdrom), ("disk", MediaBus::Disk)])).unwrap_or_default()
    }
    pub fn disk_bus(&self) -> DiskBus {
        let words = [("virtio", DiskBus::Virtio), ("scsi", DiskBus::Scsi), ("sata", DiskBus::Sata)];
        self.get("bus").and_then(|at| at.choice(&words)).unwrap_or_default()
    }
    pub fn nic_model(&self) -> Option<NicModel> {
        self.get("model")?.choice(&[
            ("virtio", NicModel::Virtio),
            ("e1000", NicModel::E1000),
            ("e1000e", NicModel::E1000e),
            ("rtl8139", NicModel::Rtl8139),
            ("pcnet", NicModel::Pcnet),
        ])
    }

    /// `running`, `agent`, `serial:REGEX`, `tcp:PORT`.
    pub fn readiness(&self) -> Readiness {
        let Some(at) = self.get("readiness") else { return Readiness::Running };
        let Some(text) = at.text() else { return Readiness::Running };
        let (word, arg) = text.split_once(':').map_or((text.as_str(), None), |(w, a)| (w, Some(a)));
        match (word, arg) {
            ("running", None) => Readiness::Running,
            ("agent", None) => Readiness::Agent,
            ("serial", Some(re)) if !re.is_empty() => {
                if let Err(e) = regex::RegexBuilder::new(re).size_limit(1 << 18).build() {
                    at.error(format!("'{re}' is not a regular expression: {}", e.to_string().lines().last().unwrap_or_default()));
                }
                Readiness::Serial(re.to_owned())
            }
            ("tcp", Some(port)) => match port.parse() {
                Ok(p) if p > 0 => Readiness::Tcp(p),
                _ => {
                    at.error(format!("'{port}' is not a TCP port"));
                    Readiness::Running
                }
            },
            _ => {
                at.error_hint(format!("'{text}' is no readiness rule"), "write running, agent, serial:REGEX or tcp:PORT");
                Readiness::Running
            }
        }
    }

    /// `tcp/8080->web:80, udp/53->dns:53`.
    pub fn forwards(&self) -> Vec<Forward> {
        let Some(at) = self.get("forwards") else { return Vec::new() };
        let text = at.text().unwrap_or_default();
        let mut out: Vec<Forward> = Vec::new();
        for one in text.split(',').map(str::trim).filter(|t| !t.is_empty()) {
            match forward(one) {
                Some(f) if out.iter().any(|o| (o.proto, o.host_port) == (f.proto, f.host_port)) => {
                    at.error(format!("port {} of the host is forwarded twice", f.host_port));
                }
                Some(f) => out.push(f),
                None => at.error_hint(format!("'{one}' is not a forward"), "write tcp/8080->web:80 or udp/5353->vnf/vdu:53"),
            }
        }
        out
    }
}

fn forward(text: &str) -> Option<Forward> {
    let (from, to) = text.split_once("->")?;
    let (proto, host_port) = from.trim().split_once('/')?;
    let (to, to_port) = to.trim().rsplit_once(':')?;
    let port = |p: &str| p.trim().parse::<u16>().ok().filter(|p| *p > 0);
    let proto = match proto.trim() {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        _ => return None,
    };
    let to = to.trim();
    (!to.is_empty()).then_some(())?;
    Some(Forward { proto, host_port: port(host_port)?, to: SmolStr::new(to), to_port: port(to_port)? })
}
