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
}

impl Speaks {
    pub fn word(&self) -> &'static str {
        match self {
            Speaks::Ovsdb { .. } => "ovsdb",
            Speaks::Faucet { .. } => "faucet",
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
    pub fn check(self) -> std::result::Result<Controller, Vec<Wrong>> {
        let mut wrong: Vec<Wrong> = Vec::new();
        if !is_name(&self.name) {
            wrong.push(("name", format!("'{}' is no name: letters, digits, '.', '_' and '-', 64 at most", self.name)));
        }
        let speaks = match self.kind.as_str() {
            "ovsdb" => self.ovsdb(&mut wrong),
            "faucet" => self.faucet(&mut wrong),
            other => {
                wrong.push(("type", format!("'{other}' is none of ovsdb, faucet")));
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

    fn ovsdb(&self, wrong: &mut Vec<Wrong>) -> Option<Speaks> {
        for (member, value) in [("file", &*self.file), ("pid_file", &*self.pid_file), ("user", &*self.user), ("secret", &*self.secret)] {
            if !value.is_empty() {
                wrong.push((member, "means nothing to a controller of type ovsdb".into()));
            }
        }
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
        let login = match (self.user.is_empty(), self.secret.is_empty()) {
            (true, true) => None,
            (false, false) => Some(Login { user: self.user.clone(), secret: self.secret.clone() }),
            (true, false) | (false, true) => {
                wrong.push(("user", "user and secret belong together".into()));
                None
            }
        };
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
            Speaks::Faucet { file, pid_file, metrics, login } => {
                draft.url = format!("http://{metrics}").into();
                draft.file.clone_from(file);
                draft.pid_file = pid_file.clone().unwrap_or_default();
                if let Some(l) = login {
                    (draft.user, draft.secret) = (l.user.clone(), l.secret.clone());
                }
            }
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
mod tests {
    use super::*;

    fn ovsdb() -> ControllerDraft {
        ControllerDraft {
            name: "tor".into(),
            kind: "ovsdb".into(),
            url: "unix:/run/tor/db.sock".into(),
            networks: vec!["wan".into()],
            datapaths: vec!["br-tor".into()],
            ..ControllerDraft::default()
        }
    }

    fn faucet() -> ControllerDraft {
        ControllerDraft {
            kind: "faucet".into(),
            url: "http://127.0.0.1:9302".into(),
            file: "/etc/faucet/faucet.yaml".into(),
            user: "look".into(),
            secret: "faucet".into(),
            ..ovsdb()
        }
    }

    #[test]
    fn a_controller_reads_back_as_it_was_written() {
        let tcp = ControllerDraft { url: "tcp:[::1]:6640".into(), ..ovsdb() };
        for draft in [ovsdb(), tcp, faucet(), ControllerDraft { pid_file: "/run/faucet.pid".into(), ..faucet() }] {
            assert_eq!(draft.clone().check().expect("sound").draft(), draft);
        }
    }

    #[test]
    fn every_fault_of_a_controller_is_told_at_once() {
        let bad = ControllerDraft {
            name: "a/b".into(),
            url: "tcp:switch:6640".into(),
            user: "me".into(),
            networks: vec!["wan".into(), "wan".into()],
            datapaths: Vec::new(),
            external: vec![OutsidePort { switch: "x".into(), port: "1".into() }],
            ..ovsdb()
        };
        let of = |d: ControllerDraft| d.check().expect_err("refused").into_iter().map(|(m, _)| m).collect::<Vec<_>>();
        assert_eq!(of(bad), ["name", "user", "url", "networks", "datapaths", "external"]);
        assert_eq!(of(ControllerDraft { kind: "onos".into(), ..ovsdb() }), ["type"]);
        assert_eq!(of(ControllerDraft { url: "http://192.0.2.1:9302".into(), ..faucet() }), ["url"], "not in the clear over a network");
        assert_eq!(of(ControllerDraft { secret: "".into(), file: "f".into(), ..faucet() }), ["file", "user"]);
    }

    #[test]
    fn a_function_is_found_by_itself_then_by_its_card_and_the_closest_line_counts() {
        let line = |pci: &str, port: &str| {
            let draft = MappedDraft { pci: pci.into(), switch_id: "s".into(), switch_port: port.into(), switch_mac: "".into() };
            draft.check().expect("a line")
        };
        let map = |node: &str, ports| PortMap { node: Pattern::of_node(node).expect("a node"), ports };
        let maps = [
            map("edge-*", vec![line("0000:3b:00.0", "card"), line("*", "any"), line("3b:10.*", "vfs"), line("0000:3B:10.2", "two")]),
            map("other", vec![line("0000:3b:10.3", "elsewhere")]),
        ];
        let card: PciAddr = "3b:00.0".parse().expect("address");
        let at = |node: &str, function: &str| {
            mapped(&maps, node, function.parse().expect("address"), card).map(|p| p.at.port.to_string()).unwrap_or_default()
        };
        for (node, function, want) in
            [("edge-1", "3b:10.2", "two"), ("edge-1", "3b:10.3", "vfs"), ("edge-1", "1:3b:10.2", "any"), ("centre", "3b:10.2", "")]
        {
            assert_eq!(at(node, function), want, "{node} {function}");
        }
        let by_card = [map("*", vec![line("0000:3b:00.0", "card")])];
        let found = mapped(&by_card, "x", "3b:10.2".parse().expect("address"), card);
        assert_eq!(found.map(|p| p.at.port.as_str()), Some("card"), "a VF's frames leave by its card's port");
    }

    #[test]
    fn a_line_of_a_map_that_is_no_line_says_why() {
        let bad = MappedDraft { pci: "eth0".into(), switch_id: "".into(), switch_port: "a b".into(), switch_mac: "x".into() };
        let members: Vec<_> = bad.check().expect_err("refused").into_iter().map(|(m, _)| m).collect();
        assert_eq!(members, ["pci", "switch_id", "switch_port", "switch_mac"]);
        let line = MappedDraft { pci: "3b:10.*".into(), switch_id: "s".into(), switch_port: "1".into(), switch_mac: "".into() };
        let twice =
            PortMap { node: Pattern::of_node("*").expect("any"), ports: vec![line.check().expect("one"), line.check().expect("two")] };
        assert_eq!(twice.check(), Err("'0000:3b:10.*' is named twice".into()));
    }
}
