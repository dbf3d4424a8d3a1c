//! `hostnet::port::NetDaemon` by systemd-networkd: its files, and telling it of them.
//!
//! ```text
//! /run/systemd/network/20-bothy-*   what counts until the box restarts
//! DATA/network/20-bothy-*           what counts from each start on: the image copies it to /run before anything asks for
//!                                   an address (image/files/usr/lib/bothy/writable)
//! ```
//! Owns: those files, and VLAN interfaces that nobody wants any more. Never: what is in the files, or a file without
//! Bothy's lead in its name.

use std::{collections::BTreeSet, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use smol_str::SmolStr;

use super::{
    durable::{ensure_file, ensure_folder, io_fault, remove, sync_folder},
    exec::Exec,
    facts::Tree,
    netlink::Netlink,
};
use crate::model::order::Order as _;
use crate::model::tree::set;
use crate::{
    hostnet::{
        LEAD, NetFile, USUAL_MTU,
        port::{NetDaemon, Port},
    },
    model::{
        error::{Fault, Result},
        id::IfName,
        net::Cidr,
    },
};

const COUNTS: &str = "run/systemd/network";
/// For a daemon that waits for the kernel.
const LIMIT: Duration = Duration::from_secs(20);
/// ARPHRD_ETHER of if_arp.h.
const ETHERNET: u32 = 1;

pub struct Networkd {
    /// The configuration leaves the network to Bothy.
    is_ours: bool,
    /// `/`, or the folder of a test.
    tree: Tree,
    kept: Utf8PathBuf,
}

impl Networkd {
    pub fn new(is_ours: bool, root: impl Into<Utf8PathBuf>, data: &Utf8Path) -> Self {
        Networkd { is_ours, tree: Tree::new(root), kept: data.join("network") }
    }

    /// Ports whose files give them another MTU than the usual one, which the daemon leaves to them when the file goes.
    fn tall(&self) -> Result<Vec<String>> {
        let dir = self.tree.path(COUNTS);
        if !dir.exists() {
            return Ok(Vec::new());
        }
        let text = |name: &String| std::fs::read_to_string(dir.join(name)).ok();
        let is_tall = |t: &String| t.lines().any(|l| l.strip_prefix("MTUBytes=").is_some_and(|m| m != USUAL_MTU.to_string()));
        Ok(others(&dir, &[])?.iter().filter_map(text).filter(is_tall).filter_map(|t| matching(&t)).collect())
    }

    fn port_of(&self, matching: &str) -> Option<IfName> {
        let (key, value) = matching.split_once('=')?;
        let ports = self.ports().ok()?;
        ports.into_iter().find(|p| if key == "Name" { p.name.as_str() == value } else { p.mac == value.parse().ok() }).map(|p| p.name)
    }

    /// What was there and is not wanted, removed by whoever has seen to it.
    fn write(&self, files: &[NetFile]) -> Result<Vec<Utf8PathBuf>> {
        let dir = self.tree.path(COUNTS);
        ensure_folder(&dir, 0o755)?;
        files.iter().try_for_each(|f| ensure_file(&dir.join(&f.name), f.text.as_bytes(), 0o644))?;
        Ok(others(&dir, files)?.into_iter().map(|name| dir.join(name)).collect())
    }
}

/// What a port is known by in its file.
fn matching(text: &str) -> Option<String> {
    text.lines().find(|l| l.starts_with("Name=") || l.starts_with("MACAddress=")).map(str::to_owned)
}

fn usual(port: &IfName) -> Result<()> {
    let mut net = Netlink::open()?;
    match net.link(port)? {
        Some(link) => net.set_up(&link, Some(USUAL_MTU.into())),
        None => Ok(()),
    }
}

/// `pf0vf3`, `c1pf0sf7`: a card's switch has a port for each function that it gives to guests.
fn is_representor(port_name: &str) -> bool {
    port_name.contains("pf") && (port_name.contains("vf") || port_name.contains("sf"))
}

/// Names of Bothy's in this folder that are not among these.
fn others(dir: &Utf8Path, files: &[NetFile]) -> Result<Vec<String>> {
    let wanted: BTreeSet<&str> = set(files.iter().map(|f| f.name.as_str()));
    let mut all = Vec::new();
    for entry in dir.read_dir_utf8().map_err(|e| io_fault("reading", dir, e))? {
        let entry = entry.map_err(|e| io_fault("reading", dir, e))?;
        let name = entry.file_name();
        if name.starts_with(LEAD) && !wanted.contains(name) {
            all.push(name.to_owned());
        }
    }
    all.order();
    Ok(all)
}

/// The interface that a `.netdev` of Bothy's has made.
fn made_by(path: &Utf8Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok().filter(|_| path.extension() == Some("netdev"))?;
    text.lines().find_map(|l| l.strip_prefix("Name=")).map(str::to_owned)
}

impl NetDaemon for Networkd {
    fn is_ours(&self) -> bool {
        self.is_ours
    }

    fn refuses(&self) -> Result<Option<String>> {
        if !self.is_ours {
            return Ok(Some("the configuration leaves it to somebody else; [host] network = \"networkd\" hands it over".into()));
        }
        let said = Exec::new("systemctl").args(["is-active", "systemd-networkd.service"]).limit(LIMIT).run_any()?;
        let state = said.stdout.trim();
        Ok((state != "active").then(|| format!("systemd-networkd is {}", if state.is_empty() { "not there" } else { state })))
    }

    fn ports(&self) -> Result<Vec<Port>> {
        let one = |name: String| {
            let of = |what: &str| format!("sys/class/net/{name}/{what}");
            // A VF is a guest's, and so is what stands for one on a card's own switch; what has no device was made by somebody.
            if !self.tree.exists(of("device"))
                || self.tree.exists(of("device/physfn"))
                || self.tree.read(of("phys_port_name")).is_some_and(|p| is_representor(p.trim()))
                || self.tree.parse::<u32>(of("type")) != Some(ETHERNET)
            {
                return None;
            }
            Some(Port {
                mac: self.tree.parse(of("address")),
                has_link: self.tree.read(of("carrier")).is_some_and(|c| c.trim() == "1"),
                name: name.parse().ok()?,
            })
        };
        let mut all: Vec<Port> = self.tree.list("sys/class/net").into_iter().filter_map(one).collect();
        all.order_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    fn addresses(&self) -> Result<Vec<(IfName, Cidr)>> {
        let mut net = Netlink::open()?;
        let links = net.links()?;
        let of = |index: u32| links.iter().find(|l| l.index == index).and_then(|l| l.name.parse().ok());
        Ok(net.addresses()?.into_iter().filter_map(|a| Some((of(a.index)?, a.cidr))).collect())
    }

    fn show(&self, files: &[NetFile]) -> Result<()> {
        let tall = self.tall()?;
        let stale = self.write(files)?;
        // First, since a port takes a VLAN once, whatever the interface's name; its file is what knows what it has made.
        for path in &stale {
            if let Some(name) = made_by(path).filter(|n| self.tree.exists(format!("sys/class/net/{n}"))) {
                Exec::new("networkctl").args(["delete", &name]).limit(LIMIT).run()?;
            }
        }
        stale.iter().try_for_each(|p| remove(p))?;
        Exec::new("networkctl").arg("reload").limit(LIMIT).run()?;
        // Ports that nothing is said of any more.
        let said = |of: &str| files.iter().any(|f| matching(&f.text).as_deref() == Some(of));
        let names = tall.iter().filter(|of| !said(of)).filter_map(|of| self.port_of(of));
        names.collect::<Vec<_>>().iter().try_for_each(usual)
    }

    fn keep(&self, files: &[NetFile]) -> Result<()> {
        if files.is_empty() && !self.kept.exists() {
            return Ok(());
        }
        ensure_folder(&self.kept, 0o755)?;
        files.iter().try_for_each(|f| ensure_file(&self.kept.join(&f.name), f.text.as_bytes(), 0o644))?;
        others(&self.kept, files)?.iter().try_for_each(|name| remove(&self.kept.join(name)))?;
        sync_folder(&self.kept)
    }

    fn boot(&self) -> Result<(SmolStr, u64)> {
        let id = self.tree.read("proc/sys/kernel/random/boot_id");
        let uptime = self.tree.read("proc/uptime").and_then(|u| u.split('.').next().and_then(|s| s.trim().parse().ok()));
        match (id, uptime) {
            (Some(id), Some(s)) => Ok((id.trim().into(), s)),
            (Some(_) | None, _) => Err(Fault::transient("/proc does not say which boot this is, and since when")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::facts::fake::Fake, *};

    fn file(name: &str, text: &str) -> NetFile {
        NetFile { name: format!("{LEAD}{name}"), text: text.into() }
    }

    fn names(dir: &Utf8Path) -> Vec<String> {
        let mut all: Vec<_> = dir.read_dir_utf8().expect("read").map(|e| e.expect("entry").file_name().to_owned()).collect();
        all.sort();
        all
    }

    #[test]
    fn files_of_ours_come_and_go_and_others_stay() {
        let fake = Fake::listed("");
        let data = tempfile::tempdir().expect("a folder");
        let data = Utf8Path::from_path(data.path()).expect("utf8");
        let n = Networkd::new(true, fake.root(), data);
        fake.put("run/systemd/network/80-uplink.network", "theirs");
        fake.put("run/systemd/network/20-other.network", "theirs");
        let vlan = file("01-vlan.netdev", "[NetDev]\nName=lan0.42\nKind=vlan\n");
        assert_eq!(n.write(&[file("00.network", "a"), vlan.clone()]).expect("written"), Vec::<Utf8PathBuf>::new());
        let stale = n.write(&[file("00.network", "b")]).expect("written");
        assert_eq!(stale, [fake.root().join(COUNTS).join(&vlan.name)]);
        assert_eq!(made_by(&stale[0]).as_deref(), Some("lan0.42"));
        assert_eq!(made_by(&fake.root().join(COUNTS).join("20-bothy-00.network")), None);
        assert_eq!(n.tree.read(format!("{COUNTS}/20-bothy-00.network")).as_deref(), Some("b"));

        n.keep(&[]).expect("nothing to keep");
        assert!(!data.join("network").exists());
        n.keep(&[file("00.network", "b"), vlan]).expect("kept");
        std::fs::write(data.join("network/note"), "theirs").expect("written");
        n.keep(&[file("02.network", "c")]).expect("kept");
        assert_eq!(names(&data.join("network")), ["20-bothy-02.network", "note"]);
        n.keep(&[]).expect("kept none");
        assert_eq!(names(&data.join("network")), ["note"]);
    }

    #[test]
    fn ports_are_wired_and_the_boxs_own() {
        let fake = Fake::listed("");
        for (name, kind) in [("enp1s0", "1"), ("enp2s0", "1"), ("ib0", "32"), ("enp1s0v0", "1")] {
            fake.put(&format!("sys/class/net/{name}/type"), kind);
            fake.put(&format!("sys/class/net/{name}/address"), "52:54:00:00:00:01");
            fake.put(&format!("sys/class/net/{name}/device/vendor"), "0x8086");
        }
        fake.put("sys/class/net/enp1s0/carrier", "1");
        fake.put("sys/class/net/enp1s0v0/device/physfn/vendor", "0x8086");
        fake.put("sys/class/net/ovs-system/type", "1");
        let n = Networkd::new(true, fake.root(), Utf8Path::new("/nowhere"));
        let mac = "52:54:00:00:00:01".parse().ok();
        let port = |name: &str, has_link| Port { name: name.parse().expect("name"), mac, has_link };
        assert_eq!(n.ports().expect("ports"), [port("enp1s0", true), port("enp2s0", false)]);
        fake.put("proc/sys/kernel/random/boot_id", "4f-1\n");
        fake.put("proc/uptime", "35.21 80.00\n");
        assert_eq!(n.boot().expect("boot"), ("4f-1".into(), 35));
    }

    #[test]
    fn a_host_that_was_not_handed_over_is_left_alone() {
        let n = Networkd::new(false, "/", Utf8Path::new("/nowhere"));
        assert!(n.refuses().expect("asked").expect("refused").contains("[host] network = \"networkd\""));
    }
}
