//! Faucet: a controller that is told by its YAML file, and tells by its Prometheus endpoint.
//!
//! Ours in the file is what has our name: VLANs named `bothy-N`, each mention of them at an interface, and
//! interfaces that are described as made by Bothy. All else is somebody else's and stays as it is; before the
//! first change a copy is kept beside the file. A file is replaced whole, and Faucet is told by SIGHUP
//! or sees it by itself.
//!
//! Never: touches a datapath, an ACL or a VLAN of others; speaks OpenFlow.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

use super::{
    metrics::{self, Sample},
    yaml::{Node, Scalar},
};
use crate::{
    model::{
        error::{Fault, Result},
        net::VlanId,
        sdn::OutsidePort,
    },
    sdn::connector::{Connector, Desired, Difference, Look, PortState, PortVlans},
};

/// Leads the names of our VLANs.
const LEAD: &str = "bothy-";
/// Describes an interface that is there for our VLANs only.
const MADE: &str = "made by bothy";

pub struct Faucet {
    file: PathBuf,
    pid_file: Option<PathBuf>,
    metrics: SocketAddr,
    login: Option<(String, String)>,
    datapaths: Vec<SmolStr>,
    owner: String,
}

impl Faucet {
    pub fn new(
        file: &str,
        pid_file: Option<&str>,
        metrics: SocketAddr,
        login: Option<(String, String)>,
        datapaths: &[SmolStr],
        owner: &str,
    ) -> Faucet {
        Faucet { file: file.into(), pid_file: pid_file.map(Into::into), metrics, login, datapaths: datapaths.to_vec(), owner: owner.into() }
    }

    fn bad(&self, what: &str, e: std::io::Error) -> Fault {
        Fault::transient(format!("{}: cannot {what}: {e}", self.file.display())).with_source(e)
    }

    fn read(&self) -> Result<(String, Node)> {
        let text = std::fs::read_to_string(&self.file).map_err(|e| self.bad("read", e))?;
        let tree = Node::parse(&text).map_err(|why| Fault::conflict(format!("{}: {why}", self.file.display())))?;
        Ok((text, tree))
    }

    /// Appears whole or not at all, with the owner and the mode that it had.
    fn replace(&self, before: &str, first: bool, text: &str) -> Result<()> {
        let target = std::fs::canonicalize(&self.file).map_err(|e| self.bad("find", e))?;
        let beside = |end: &str| {
            let mut name = target.file_name().unwrap_or_default().to_owned();
            name.push(end);
            target.with_file_name(name)
        };
        if first {
            std::fs::write(beside(".before-bothy"), before).map_err(|e| self.bad("copy", e))?;
        }
        let temp = beside(".bothy-new");
        let write = || {
            let was = std::fs::metadata(&target)?;
            let mut f = std::fs::File::create(&temp)?;
            f.set_permissions(std::fs::Permissions::from_mode(was.permissions().mode()))?;
            let (uid, gid) = (std::os::unix::fs::MetadataExt::uid(&was), std::os::unix::fs::MetadataExt::gid(&was));
            chown(&temp, Some(uid), Some(gid))?;
            f.write_all(text.as_bytes())?;
            f.sync_all()?;
            std::fs::rename(&temp, &target)?;
            std::fs::File::open(target.parent().unwrap_or(Path::new("/")))?.sync_all()
        };
        write().map_err(|e| self.bad("write", e))
    }

    /// Faucet reads its file again.
    fn hang_up(&self) -> Result<()> {
        let Some(path) = &self.pid_file else { return Ok(()) };
        let bad = |why: String| Fault::transient(format!("Faucet is not told of its new file: {}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
        let pid: i32 = text.trim().parse().ok().filter(|p| *p > 1).ok_or_else(|| bad("there is no process id in it".into()))?;
        // A number that was left behind is another process's by now, and most end at this signal.
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        if !line.contains("faucet") && !line.contains("osken") {
            return Err(bad(format!("process {pid} is not Faucet")));
        }
        kill(Pid::from_raw(pid), Signal::SIGHUP).map_err(|e| bad(e.to_string()))
    }
}

impl Connector for Faucet {
    fn look(&self, desired: &Desired) -> Result<Look> {
        let (text, tree) = self.read()?;
        let new = Rendered::of(&tree, &self.datapaths, desired, &self.owner);
        let (is, shall) = (ours(&tree), ours(&new.tree));
        let mut look = Look::default();
        let nothing = PortVlans::default();
        let named: BTreeSet<&OutsidePort> = is.keys().chain(shall.keys()).collect();
        for at in named {
            let (is, wanted) = (is.get(at).unwrap_or(&nothing), shall.get(at).unwrap_or(&nothing));
            if is != wanted {
                look.differs.push(Difference { at: new.asked(at), is: is.to_string(), wanted: wanted.to_string() });
            }
        }
        let page = metrics::fetch(self.metrics, self.login.as_ref());
        let told = page.as_ref().map(|p| Told::read(p, &hash(&text)));
        for at in desired.keys() {
            let state = match (new.faults.get(at), new.keys.get(at), &told) {
                (Some(why), _, _) => PortState::Fault(why.clone()),
                (None, None, _) => PortState::Fault("it is not in the file".into()),
                (None, Some(_), Err(fault)) => PortState::Down(fault.text().to_owned()),
                (None, Some(key), Ok(told)) => told.state(&at.switch, key),
            };
            look.ports.insert(at.clone(), state);
        }
        // A file that is right and was not taken up is told of once more.
        if look.differs.is_empty() && matches!(&told, Ok(t) if t.error.is_none() && !t.current) {
            let late = |(at, p): (&OutsidePort, &PortVlans)| Difference {
                at: at.clone(),
                is: "what Faucet had before: it has not taken up its file yet".into(),
                wanted: p.to_string(),
            };
            look.differs = desired.iter().map(late).collect();
        }
        Ok(look)
    }

    fn apply(&self, desired: &Desired) -> Result<()> {
        let (text, tree) = self.read()?;
        let new = Rendered::of(&tree, &self.datapaths, desired, &self.owner);
        if ours(&new.tree) != ours(&tree) || vlans(&new.tree) != vlans(&tree) {
            self.replace(&text, vlans(&tree).is_empty(), &new.tree.write())?;
        }
        self.hang_up()
    }
}

fn hash(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

/// Names of our VLANs in a file.
fn vlans(tree: &Node) -> BTreeSet<&str> {
    let names = tree.get("vlans").map(Node::entries).unwrap_or_default().iter();
    names.map(|(k, _)| k.text.as_str()).filter(|n| vlan_of(n).is_some()).collect()
}

/// The VLAN of a name of ours.
fn vlan_of(name: &str) -> Option<VlanId> {
    name.strip_prefix(LEAD)?.parse::<u16>().ok()?.try_into().ok()
}

fn datapaths(tree: &Node) -> &[(Scalar, Node)] {
    tree.get("dps").map(Node::entries).unwrap_or_default()
}

/// What a file says of ours, by datapath and key of the interface.
fn ours(tree: &Node) -> Desired {
    let mut all = Desired::new();
    for (dp, conf) in datapaths(tree) {
        for (key, i) in conf.get("interfaces").map(Node::entries).unwrap_or_default() {
            let native = i.get("native_vlan").and_then(Node::text).and_then(vlan_of);
            let tagged = i.get("tagged_vlans").map(Node::items).unwrap_or_default().iter().filter_map(|n| vlan_of(n.text()?)).collect();
            let has = PortVlans { native, tagged };
            if !has.is_empty() {
                all.insert(OutsidePort { switch: dp.text.as_str().into(), port: key.text.as_str().into() }, has);
            }
        }
    }
    all
}

/// A file with ours as it shall be.
struct Rendered {
    tree: Node,
    /// The key of each port's interface.
    keys: BTreeMap<OutsidePort, String>,
    faults: BTreeMap<OutsidePort, String>,
}

impl Rendered {
    fn of(tree: &Node, allowed: &[SmolStr], desired: &Desired, owner: &str) -> Rendered {
        let mut new = Rendered { tree: tree.clone(), keys: BTreeMap::new(), faults: BTreeMap::new() };
        strip(&mut new.tree);
        let mut used = BTreeSet::new();
        for (at, want) in desired {
            match set(&mut new.tree, allowed, at, want) {
                Ok(key) => {
                    used.extend(want.vlans());
                    new.keys.insert(at.clone(), key);
                }
                Err(why) => drop(new.faults.insert(at.clone(), why)),
            }
        }
        let Some(top) = new.tree.as_map() else { return new };
        if !used.is_empty() && !top.iter().any(|(k, _)| k.text == "vlans") {
            top.insert(0, (Scalar::plain("vlans"), Node::Map(Vec::new())));
        }
        if let Some(all) = top.iter_mut().find(|(k, _)| k.text == "vlans").and_then(|(_, v)| v.as_map()) {
            for v in used {
                let conf = vec![
                    (Scalar::plain("vid"), Node::Scalar(Scalar::plain(v))),
                    (Scalar::plain("description"), Node::Scalar(Scalar::quoted(format!("links of guests of {owner}")))),
                ];
                all.push((Scalar::plain(format!("{LEAD}{v}")), Node::Map(conf)));
            }
        }
        new
    }

    /// The port as it was asked for, by the key of its interface.
    fn asked(&self, by_key: &OutsidePort) -> OutsidePort {
        let found = self.keys.iter().find(|(at, key)| at.switch == by_key.switch && **key == by_key.port.as_str());
        found.map_or_else(|| by_key.clone(), |(at, _)| at.clone())
    }
}

/// Takes all of ours out.
fn strip(tree: &mut Node) {
    let is_ours = |n: &Node| n.text().is_some_and(|t| vlan_of(t).is_some());
    let Some(top) = tree.as_map() else { return };
    for (key, part) in top.iter_mut() {
        let Some(entries) = Some(&mut *part).filter(|p| matches!(p, Node::Map(_))).and_then(Node::as_map) else { continue };
        match key.text.as_str() {
            "vlans" => entries.retain(|(name, _)| vlan_of(&name.text).is_none()),
            "dps" => {
                for interfaces in entries.iter_mut().filter_map(|(_, dp)| member(dp, "interfaces")?.as_map()) {
                    interfaces.retain_mut(|(_, i)| {
                        let Some(conf) = Some(&mut *i).filter(|p| matches!(p, Node::Map(_))).and_then(Node::as_map) else { return true };
                        conf.retain_mut(|(k, v)| match k.text.as_str() {
                            "native_vlan" => !is_ours(v),
                            "tagged_vlans" => match v {
                                Node::Seq(all) => {
                                    let had = all.len();
                                    all.retain(|n| !is_ours(n));
                                    !all.is_empty() || had == 0
                                }
                                Node::Scalar(_) | Node::Map(_) => true,
                            },
                            _ => true,
                        });
                        let made = matches!(&conf[..], [(k, v)] if k.text == "description" && v.text() == Some(MADE));
                        !made
                    });
                }
            }
            _ => {}
        }
    }
}

fn member<'n>(of: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    match of {
        Node::Map(m) => m.iter_mut().find(|(k, _)| k.text == key).map(|(_, v)| v),
        Node::Scalar(_) | Node::Seq(_) => None,
    }
}

/// Puts ours on one port; the key of its interface, or why not.
fn set(tree: &mut Node, allowed: &[SmolStr], at: &OutsidePort, want: &PortVlans) -> std::result::Result<String, String> {
    if !allowed.contains(&at.switch) {
        return Err(format!("{} is none of the controller's datapaths", at.switch));
    }
    for v in want.vlans() {
        if let Some(name) = taken(tree, v) {
            return Err(format!(
                "VLAN {v} is '{name}' in Faucet's file, which is not bothy's to use: take it out, or give the link another"
            ));
        }
    }
    let dp =
        member(tree, "dps").and_then(|d| member(d, &at.switch)).ok_or_else(|| format!("Faucet's file has no datapath {}", at.switch))?;
    let odd = || format!("datapath {} in Faucet's file is not as Faucet wants it", at.switch);
    let conf = dp.as_map().ok_or_else(odd)?;
    if !conf.iter().any(|(k, _)| k.text == "interfaces") {
        conf.push((Scalar::plain("interfaces"), Node::Map(Vec::new())));
    }
    let all = member(dp, "interfaces").and_then(Node::as_map).ok_or_else(odd)?;
    let named = |(key, i): &(Scalar, Node)| {
        let said = |m: &str| i.get(m).and_then(Node::text) == Some(at.port.as_str());
        key.text == at.port.as_str() || said("number") || said("name")
    };
    let index = match all.iter().position(named) {
        Some(i) => i,
        None if at.port.parse::<u32>().is_ok() => {
            let made = vec![(Scalar::plain("description"), Node::Scalar(Scalar::quoted(MADE)))];
            all.push((Scalar::plain(&at.port), Node::Map(made)));
            all.len() - 1
        }
        None => return Err(format!("datapath {} in Faucet's file has no interface {}", at.switch, at.port)),
    };
    let (key, interface) = &mut all[index];
    let i = interface.as_map().ok_or_else(odd)?;
    if let Some(v) = want.native {
        if let Some((_, theirs)) = i.iter().find(|(k, _)| k.text == "native_vlan") {
            return Err(format!("it has the untagged VLAN '{}' in Faucet's file already", theirs.text().unwrap_or_default()));
        }
        i.push((Scalar::plain("native_vlan"), Node::Scalar(Scalar::quoted(format!("{LEAD}{v}")))));
    }
    if !want.tagged.is_empty() {
        if !i.iter().any(|(k, _)| k.text == "tagged_vlans") {
            i.push((Scalar::plain("tagged_vlans"), Node::Seq(Vec::new())));
        }
        let list = i.iter_mut().find(|(k, _)| k.text == "tagged_vlans").and_then(|(_, v)| v.as_seq()).ok_or_else(odd)?;
        list.extend(want.tagged.iter().map(|v| Node::Scalar(Scalar::quoted(format!("{LEAD}{v}")))));
    }
    Ok(key.text.clone())
}

/// The name under which somebody else has a VLAN.
fn taken(tree: &Node, v: VlanId) -> Option<&str> {
    let number = v.to_string();
    let all = tree.get("vlans").map(Node::entries).unwrap_or_default();
    let is = |(name, conf): &&(Scalar, Node)| conf.get("vid").and_then(Node::text).unwrap_or(&name.text) == number;
    all.iter().find(is).map(|(name, _)| name.text.as_str())
}

/// What Faucet tells of itself.
struct Told {
    /// It has taken up this very file.
    current: bool,
    /// Why it takes up none.
    error: Option<String>,
    /// By datapath: connected.
    datapaths: BTreeMap<String, bool>,
    /// By datapath and port, each by its number and by its name.
    ports: BTreeMap<(String, String), bool>,
}

impl Told {
    fn read(page: &str, hash: &str) -> Told {
        let mut told = Told { current: false, error: None, datapaths: BTreeMap::new(), ports: BTreeMap::new() };
        let (mut failed, mut why) = (false, String::new());
        let label = |s: &Sample<'_>, l: &str| s.labels.get(l).cloned().unwrap_or_default();
        for s in metrics::samples(page) {
            match s.name {
                "faucet_config_load_error" => failed = s.value != 0.0,
                "faucet_config_hash_info" => {
                    told.current |= label(&s, "hashes").split(',').any(|h| h.trim() == hash);
                    why = label(&s, "error");
                }
                "dp_status" => drop(told.datapaths.insert(label(&s, "dp_name"), s.value != 0.0)),
                "port_status" => {
                    for port in [label(&s, "port"), label(&s, "port_description")] {
                        told.ports.insert((label(&s, "dp_name"), port), s.value != 0.0);
                    }
                }
                _ => {}
            }
        }
        told.error = failed.then_some(why);
        told
    }

    fn state(&self, dp: &str, key: &str) -> PortState {
        if let Some(why) = &self.error {
            return PortState::Fault(format!("Faucet refuses its file: {why}"));
        }
        if self.datapaths.get(dp) != Some(&true) {
            return PortState::Down(format!("datapath {dp} is not connected to Faucet"));
        }
        match self.ports.get(&(dp.to_owned(), key.to_owned())) {
            Some(false) => PortState::Down("no link".into()),
            // Of a port that came with a reload it tells nothing until the port changes.
            Some(true) | None => PortState::Up,
        }
    }
}

#[cfg(test)]
#[path = "faucet_tests.rs"]
mod tests;
