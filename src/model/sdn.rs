//! SDN controllers and port maps: which switch, outside the box, each PCI function hangs on, and who has
//! its VLANs set.
//!
//! Owns their form as written (in the configuration and over the API, in OSM's shape) and as checked.
//! Never: what a controller is told, or how.

use std::{fmt, net::SocketAddr, str::FromStr};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    error::{Fault, Result},
    hw::PciAddr,
    net::MacAddr,
    secret::Secret,
};

/// A port of a switch outside the box.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OutsidePort {
    /// The datapath's name, as its controller has it.
    pub switch: SmolStr,
    pub port: SmolStr,
}

impl fmt::Display for OutsidePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.port, self.switch)
    }
}

/// Where a database of Open vSwitch listens: `unix:/PATH` or `tcp:ADDRESS:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SwitchAddr {
    Unix(String),
    Tcp(SocketAddr),
}

impl FromStr for SwitchAddr {
    type Err = Fault;
    fn from_str(s: &str) -> Result<Self> {
        let read = || match s.split_once(':')? {
            ("unix", path) if path.starts_with('/') && path.len() <= 107 => Some(SwitchAddr::Unix(path.to_owned())),
            ("tcp", at) => at.parse().ok().map(SwitchAddr::Tcp),
            _ => None,
        };
        read().ok_or_else(|| Fault::invalid(format!("'{s}' is neither unix:/PATH nor tcp:ADDRESS:PORT (an IP address)")))
    }
}

impl fmt::Display for SwitchAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SwitchAddr::Unix(path) => write!(f, "unix:{path}"),
            SwitchAddr::Tcp(at) => write!(f, "tcp:{at}"),
        }
    }
}

/// How a controller is spoken to. Stored: new ones go to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Speaks {
    /// Straight to an Open vSwitch's database.
    Ovsdb { at: SwitchAddr },
    /// Faucet, by its file; what it came to is read from its Prometheus endpoint.
    Faucet {
        file: String,
        /// SIGHUP goes to the process named there; `None`: Faucet watches its file itself.
        pid_file: Option<String>,
        metrics: SocketAddr,
        /// Of the metrics, where something asks for it.
        login: Option<Login>,
    },
    /// A WAN manager, by IETF's model of L2VPN services (RFC 8466) over RESTCONF (RFC 8040).
    L2vpn(WebAddr),
    /// OpenDaylight: OpenFlow rules by RESTCONF.
    OpenDaylight(WebAddr),
    /// ONOS: OpenFlow rules by its REST API.
    Onos(WebAddr),
}

/// Where a controller's API is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebAddr {
    /// Without a slash at its end; the path is the API's root, where it is told.
    pub url: String,
    pub login: Option<Login>,
    /// A PEM file: the authorities that are believed, instead of the system's.
    pub ca: Option<String>,
}

impl Speaks {
    pub fn word(&self) -> &'static str {
        match self {
            Speaks::Ovsdb { .. } => "ovsdb",
            Speaks::Faucet { .. } => "faucet",
            Speaks::L2vpn(_) => "l2vpn",
            Speaks::OpenDaylight(_) => "opendaylight",
            Speaks::Onos(_) => "onos",
        }
    }
    /// What Bothy set is found at the switches that are told of, and not elsewhere.
    pub fn looks_where_told(&self) -> bool {
        match self {
            Speaks::OpenDaylight(_) | Speaks::Onos(_) => true,
            // By Bothy's mark, in one file or database or list of services.
            Speaks::Ovsdb { .. } | Speaks::Faucet { .. } | Speaks::L2vpn(_) => false,
        }
    }
    pub fn login(&self) -> Option<&Login> {
        match self {
            Speaks::Ovsdb { .. } => None,
            Speaks::Faucet { login, .. } => login.as_ref(),
            Speaks::L2vpn(at) | Speaks::OpenDaylight(at) | Speaks::Onos(at) => at.login.as_ref(),
        }
    }
}

/// A user, and the name of the secret that is its password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    pub user: SmolStr,
    pub secret: SmolStr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Controller {
    pub name: SmolStr,
    pub speaks: Speaks,
    /// The physical networks that its switches carry.
    pub networks: Vec<SmolStr>,
    /// Its switches that Bothy may touch.
    pub datapaths: Vec<SmolStr>,
    /// Ports by which the networks go on, beyond the box: each link's VLAN is there too, tagged.
    pub external: Vec<OutsidePort>,
}

/// A controller as written: nothing of it is believed yet. Empty: not given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ControllerDraft {
    pub name: SmolStr,
    pub kind: SmolStr,
    pub url: SmolStr,
    pub file: String,
    pub pid_file: String,
    pub user: SmolStr,
    pub secret: SmolStr,
    pub ca: String,
    pub networks: Vec<SmolStr>,
    pub datapaths: Vec<SmolStr>,
    pub external: Vec<OutsidePort>,
}

/// What is wrong with a member, by its name.
pub type Wrong = (&'static str, String);

/// A name that is a key, a word on a command line and a part of a path.
fn is_name(s: &str) -> bool {
    (1..=64).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) && !s.starts_with('.')
}

/// A name that others chose: one word.
fn is_word(s: &str) -> bool {
    (1..=128).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic())
}

impl ControllerDraft {
    /// Every fault at once.
    pub fn check(mut self) -> std::result::Result<Controller, Vec<Wrong>> {
        let mut wrong: Vec<Wrong> = Vec::new();
        // As OSM calls them.
        match self.kind.as_str() {
            "odl" | "odlof" => self.kind = "opendaylight".into(),
            "onosof" => self.kind = "onos".into(),
            "ietfl2vpn" => self.kind = "l2vpn".into(),
            _ => {}
        }
        if !is_name(&self.name) {
            wrong.push(("name", format!("'{}' is no name: letters, digits, '.', '_' and '-', 64 at most", self.name)));
        }
        let speaks = match self.kind.as_str() {
            "ovsdb" => self.ovsdb(&mut wrong),
            "faucet" => self.faucet(&mut wrong),
            "l2vpn" => self.web(&mut wrong).map(Speaks::L2vpn),
            "opendaylight" => self.web(&mut wrong).map(Speaks::OpenDaylight),
            "onos" => self.web(&mut wrong).map(Speaks::Onos),
            other => {
                wrong.push(("type", format!("'{other}' is none of ovsdb, faucet, l2vpn, opendaylight, onos")));
                None
            }
        };
        for (member, all) in [("networks", &self.networks), ("datapaths", &self.datapaths)] {
            if all.is_empty() {
                wrong.push((member, "needs at least one name".into()));
            }
            for (i, name) in all.iter().enumerate() {
                if !is_word(name) {
                    wrong.push((member, format!("'{name}' is no name")));
                } else if member == "datapaths"
                    && let Some(form) = self.datapath_form(name)
                {
                    wrong.push((member, format!("'{name}' is no switch of a controller of type {}: {form}", self.kind)));
                }
                if all[..i].contains(name) {
                    wrong.push((member, format!("'{name}' is named twice")));
                }
            }
        }
        for p in &self.external {
            if !is_word(&p.port) {
                wrong.push(("external", format!("'{}' is no port's name", p.port)));
            }
            if !self.datapaths.contains(&p.switch) {
                wrong.push(("external", format!("'{}' is none of its datapaths", p.switch)));
            }
        }
        match speaks {
            Some(speaks) if wrong.is_empty() => {
                Ok(Controller { name: self.name, speaks, networks: self.networks, datapaths: self.datapaths, external: self.external })
            }
            Some(_) | None => Err(wrong),
        }
    }

    /// What a switch would be called, if it is not called so.
    fn datapath_form(&self, name: &str) -> Option<&'static str> {
        let number = || name.strip_prefix("openflow:").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        match self.kind.as_str() {
            "opendaylight" if !number() => Some("they are called openflow:N, with N the decimal datapath id"),
            "onos" if !name.contains(':') => Some("they are called such as of:0000000000000001"),
            _ => None,
        }
    }

    fn nothing(&self, members: &[(&'static str, &str)], wrong: &mut Vec<Wrong>) {
        for (member, _) in members.iter().filter(|(_, value)| !value.is_empty()) {
            wrong.push((*member, format!("means nothing to a controller of type {}", self.kind)));
        }
    }

    fn login(&self, wrong: &mut Vec<Wrong>) -> Option<Login> {
        match (self.user.is_empty(), self.secret.is_empty()) {
            (true, true) => None,
            (false, false) => Some(Login { user: self.user.clone(), secret: self.secret.clone() }),
            (true, false) | (false, true) => {
                wrong.push(("user", "user and secret belong together".into()));
                None
            }
        }
    }

    fn web(&self, wrong: &mut Vec<Wrong>) -> Option<WebAddr> {
        self.nothing(&[("file", &self.file), ("pid_file", &self.pid_file)], wrong);
        let login = self.login(wrong);
        if self.user.contains(':') {
            wrong.push(("user", format!("'{}' must have no ':' (RFC 7617)", self.user)));
        }
        let ca = Some(self.ca.clone()).filter(|p| !p.is_empty());
        if let Some(path) = ca.as_ref().filter(|p| !p.starts_with('/')) {
            wrong.push(("ca", format!("'{path}' must be an absolute path")));
        }
        let url = self.url.trim_end_matches('/');
        let parts = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => Some((true, rest)),
            (None, Some(rest)) => Some((false, rest)),
            (None, None) => None,
        };
        let sound =
            |rest: &str| !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(|b| b.is_ascii_graphic() && !b"@?#".contains(&b));
        let Some((tls, rest)) = parts.filter(|(_, rest)| sound(rest)) else {
            wrong.push(("url", format!("'{}' must be such as https://HOST:PORT, without credentials or a query in it", self.url)));
            return None;
        };
        if !tls {
            let authority = rest.split('/').next().unwrap_or_default();
            let here = authority.parse::<SocketAddr>().map(|a| a.ip()).or_else(|_| authority.trim_matches(['[', ']']).parse());
            if login.is_some() && !here.is_ok_and(|ip| ip.is_loopback()) {
                wrong.push(("url", format!("'{url}': a password goes over https, or to an address of this box itself")));
            }
            if ca.is_some() {
                wrong.push(("ca", "means something over https only".into()));
            }
        }
        Some(WebAddr { url: url.to_owned(), login, ca })
    }

    fn ovsdb(&self, wrong: &mut Vec<Wrong>) -> Option<Speaks> {
        let members =
            [("file", &*self.file), ("pid_file", &*self.pid_file), ("user", &*self.user), ("secret", &*self.secret), ("ca", &*self.ca)];
        self.nothing(&members, wrong);
        match self.url.parse() {
            Ok(at) => Some(Speaks::Ovsdb { at }),
            Err(fault) => {
                wrong.push(("url", fault.text().to_owned()));
                None
            }
        }
    }

    fn faucet(&self, wrong: &mut Vec<Wrong>) -> Option<Speaks> {
        for (member, path) in [("file", &self.file), ("pid_file", &self.pid_file)] {
            if !path.starts_with('/') && (member == "file" || !path.is_empty()) {
                wrong.push((member, format!("'{path}' must be an absolute path")));
            }
        }
        self.nothing(&[("ca", &self.ca)], wrong);
        let login = self.login(wrong);
        // In the clear over HTTP: what is asked and answered stays on this box.
        let at = self.url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')).and_then(|at| at.parse::<SocketAddr>().ok());
        let Some(metrics) = at.filter(|a| a.ip().is_loopback()) else {
            let text = format!("'{}' must be Faucet's Prometheus endpoint on this box, such as http://127.0.0.1:9302", self.url);
            wrong.push(("url", text));
            return None;
        };
        let pid_file = Some(self.pid_file.clone()).filter(|p| !p.is_empty());
        Some(Speaks::Faucet { file: self.file.clone(), pid_file, metrics, login })
    }
}

impl Controller {
    /// The secret that a password is kept as which was told with the controller of this name.
    pub fn own_secret(name: &str) -> SmolStr {
        Secret::inner_name("sdn", name)
    }
    /// As it would be written.
    pub fn draft(&self) -> ControllerDraft {
        let mut draft = ControllerDraft {
            name: self.name.clone(),
            kind: self.speaks.word().into(),
            networks: self.networks.clone(),
            datapaths: self.datapaths.clone(),
            external: self.external.clone(),
            ..ControllerDraft::default()
        };
        match &self.speaks {
            Speaks::Ovsdb { at } => draft.url = at.to_string().into(),
            Speaks::Faucet { file, pid_file, metrics, login: _ } => {
                draft.url = format!("http://{metrics}").into();
                draft.file.clone_from(file);
                draft.pid_file = pid_file.clone().unwrap_or_default();
            }
            Speaks::L2vpn(at) | Speaks::OpenDaylight(at) | Speaks::Onos(at) => {
                draft.url = at.url.as_str().into();
                draft.ca = at.ca.clone().unwrap_or_default();
            }
        }
        if let Some(l) = self.speaks.login() {
            (draft.user, draft.secret) = (l.user.clone(), l.secret.clone());
        }
        draft
    }
}

/// Text with `*` for anything and `?` for one character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern(SmolStr);

impl Pattern {
    pub fn as_str(&self) -> &str {
        &self.0
    }
    pub fn matches(&self, text: &str) -> bool {
        glob(self.0.as_bytes(), text.as_bytes())
    }
    /// Characters that stand for themselves: of two patterns that match, the one with more says more.
    pub fn weight(&self) -> usize {
        self.0.bytes().filter(|b| !b"*?".contains(b)).count()
    }
    /// PCI addresses: `0000:3b:10.*`; without a domain, that of most boxes.
    pub fn of_pci(s: &str) -> Result<Pattern> {
        let lower = s.trim().to_ascii_lowercase();
        let known = |b: u8| b.is_ascii_hexdigit() || b":.*?".contains(&b);
        if lower.is_empty() || !lower.bytes().all(known) {
            return Err(Fault::invalid(format!("'{s}' is not a PCI address such as 0000:3b:10.2 or 0000:3b:10.*")));
        }
        let short = !lower.starts_with('*') && lower.matches(':').count() == 1;
        Ok(Pattern(if short { format!("0000:{lower}") } else { lower }.into()))
    }
    /// Names of boxes.
    pub fn of_node(s: &str) -> Result<Pattern> {
        let s = s.trim();
        if is_name(&s.replace(['*', '?'], "x")) {
            return Ok(Pattern(s.into()));
        }
        Err(Fault::invalid(format!("'{s}' is not the name of a compute node, nor a pattern of it such as edge-*")))
    }
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=text.len()).any(|n| glob(rest, &text[n..])),
        (Some((b'?', p)), Some((_, t))) => glob(p, t),
        (Some((a, p)), Some((b, t))) if a == b => glob(p, t),
        (Some(_), _) | (None, Some(_)) => false,
    }
}

/// One line of a port map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappedPort {
    pub pci: Pattern,
    pub at: OutsidePort,
    /// For controllers that know ports by their address.
    pub mac: Option<MacAddr>,
}

/// What the functions of a compute node hang on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMap {
    pub node: Pattern,
    pub ports: Vec<MappedPort>,
}

/// A line as written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MappedDraft {
    pub pci: SmolStr,
    pub switch_id: SmolStr,
    pub switch_port: SmolStr,
    pub switch_mac: SmolStr,
}

impl MappedDraft {
    pub fn check(&self) -> std::result::Result<MappedPort, Vec<Wrong>> {
        let mut wrong: Vec<Wrong> = Vec::new();
        let pci = Pattern::of_pci(&self.pci).map_err(|f| wrong.push(("pci", f.text().to_owned()))).ok();
        for (member, value) in [("switch_id", &self.switch_id), ("switch_port", &self.switch_port)] {
            if !is_word(value) {
                wrong.push((member, format!("'{value}' is no name")));
            }
        }
        let mac = match self.switch_mac.as_str() {
            "" => None,
            text => text.parse().map_err(|f: Fault| wrong.push(("switch_mac", f.text().to_owned()))).ok(),
        };
        match pci {
            Some(pci) if wrong.is_empty() => {
                Ok(MappedPort { pci, at: OutsidePort { switch: self.switch_id.clone(), port: self.switch_port.clone() }, mac })
            }
            Some(_) | None => Err(wrong),
        }
    }
}

impl PortMap {
    /// Refuses what is named twice.
    pub fn check(&self) -> std::result::Result<(), String> {
        for (i, p) in self.ports.iter().enumerate() {
            if self.ports[..i].iter().any(|o| o.pci == p.pci) {
                return Err(format!("'{}' is named twice", p.pci.as_str()));
            }
        }
        Ok(())
    }
}

/// What a function of this box hangs on: by its own address, else by that of its card. Of the lines that
/// match, the one that says most counts.
pub fn mapped<'a>(maps: &'a [PortMap], node: &str, function: PciAddr, card: PciAddr) -> Option<&'a MappedPort> {
    let lines = || maps.iter().filter(|m| m.node.matches(node)).flat_map(|m| &m.ports);
    let best = |address: PciAddr| {
        let address = address.to_string();
        // Of equals the first.
        lines().filter(|p| p.pci.matches(&address)).rev().max_by_key(|p| p.pci.weight())
    };
    best(function).or_else(|| best(card))
}

#[cfg(test)]
#[path = "sdn_tests.rs"]
mod tests;
