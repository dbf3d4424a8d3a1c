//! The switch as rows of its database: bridges and ports are made, changed and looked after there.
//!
//! Owns: the order of things: connect, plan on the mirror, one transaction, wait for ovs-vswitchd,
//! look whether it worked, and once more when somebody else was faster. Never: what a row looks
//! like (that is `plan`), flows.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};
use smol_str::SmolStr;

use super::{
    bond::{self, Up},
    datapath,
    fabric::{BRIDGE, Uplink},
    ovsdb::Ovsdb,
    plan::{self, NewBridge, Wanted},
    rows::{Bridge, Mirror, Table},
    tunnel,
    txn::Txn,
};
use crate::model::order::Order as _;
use crate::{
    model::{
        error::{Fault, Kind, Result},
        id::IfName,
        tunnel::RemoteEnd,
    },
    sdn::port::{Datapath, PortKind, SwitchPort},
};

/// Below the five seconds that a step may hold a worker.
pub const LIMIT: Duration = Duration::from_secs(4);
/// Somebody else changing the same rows at the same time, this many times in a row.
const TRIES: usize = 5;

const KERNEL: &str = "system";
const USERSPACE: &str = "netdev";

pub struct Switch {
    pub db: Ovsdb,
    pub physical: BTreeMap<SmolStr, Uplink>,
}

impl Switch {
    /// The integration bridge is there; made where it was not.
    pub fn ensure_ready(&self) -> Result<Datapath> {
        let until = Instant::now() + LIMIT;
        self.db.wait_up(until)?;
        // A bridge that is there keeps its datapath: changing it would cut every guest off.
        let present = self.db.view(|m| m.bridge(BRIDGE).map(|(_, b)| type_of(b).to_owned()))?;
        match present {
            Some(t) => self.ensure_bridge(BRIDGE, &t, None)?,
            None => self.ensure_bridge(BRIDGE, self.choose_datapath()?, None)?,
        }
        self.datapath()
    }

    /// The rows of a port, each in its bridge.
    pub fn parts(&self, port: &SwitchPort) -> Result<Vec<Wanted>> {
        Ok(match &port.kind {
            PortKind::Host { mtu } => vec![Wanted::host(&port.name, port.segment, port.vlan, *mtu)],
            PortKind::VhostUser { socket } => vec![Wanted::vhost_user(&port.name, port.segment, port.vlan, socket)],
            PortKind::Tunnel { .. } => self.tunnel_ends(port)?,
            PortKind::Physical { tag, transparent, .. } => Wanted::patch(&port.name, port.segment, port.vlan, *tag, *transparent)?.into(),
        })
    }

    /// The bridge that a port leads to is there, with its way out of the box.
    pub fn leads_out(&self, m: &Mirror, port: &SwitchPort) -> bool {
        let PortKind::Physical { network, .. } = &port.kind else { return true };
        // One that the configuration does not name any more is its owner's to tell.
        let Some(beyond) = self.beyond(network) else { return true };
        m.bridge(&beyond.bridge).is_some() && beyond.up().is_none_or(|up| bond::uplink(m, &beyond.bridge, up).is_none())
    }

    fn beyond(&self, network: &str) -> Option<Beyond<'_>> {
        let uplink = self.physical.get(network)?;
        let bridge = match uplink {
            Uplink::Tunnel(_) => return None,
            Uplink::Bridge(b) => b.to_string(),
            Uplink::Interface(_) | Uplink::Bond(_) => uplink_bridge(network),
        };
        Some(Beyond { bond: bond_name(&bridge), bridge, uplink })
    }

    pub fn ensure_port(&self, port: &SwitchPort) -> Result<()> {
        match &port.kind {
            PortKind::Host { mtu } => self.ensure_all(&[(BRIDGE, &Wanted::host(&port.name, port.segment, port.vlan, *mtu))]),
            PortKind::VhostUser { socket } => {
                match self.datapath()? {
                    Datapath::Dpdk => {}
                    d @ (Datapath::Kernel | Datapath::Netdev) => {
                        return Err(Fault::conflict(format!(
                            "port {}: the switch's datapath is {}, and vhost-user ports need DPDK",
                            port.name,
                            word(d)
                        )));
                    }
                }
                self.ensure_all(&[(BRIDGE, &Wanted::vhost_user(&port.name, port.segment, port.vlan, socket))])
            }
            PortKind::Tunnel { .. } => {
                self.db.wait_up(Instant::now() + LIMIT)?;
                let ends = self.tunnel_ends(port)?;
                self.ensure_all(&ends.iter().map(|w| (BRIDGE, w)).collect::<Vec<_>>())?;
                let what = format!("remote ends of {} that are no more", port.name);
                self.settle(&what, |m| Ok(tunnel::take_others(m, BRIDGE, &what, &port.name, &ends)))
            }
            PortKind::Physical { network, tag, transparent } => {
                self.db.wait_up(Instant::now() + LIMIT)?;
                let far_bridge = self.physical_bridge(network)?;
                let [near, far] = Wanted::patch(&port.name, port.segment, port.vlan, *tag, *transparent)?;
                // What was a tunnel's by that name before.
                let what = format!("remote ends of {} that are no more", port.name);
                self.settle(&what, |m| Ok(tunnel::take_others(m, BRIDGE, &what, &port.name, &[])))?;
                self.ensure_all(&[(BRIDGE, &near), (&far_bridge, &far)])
            }
        }
    }

    /// The switch's ports of one that is at the ends of a tunnel: the first has its name.
    pub fn tunnel_ends(&self, port: &SwitchPort) -> Result<Vec<Wanted>> {
        let PortKind::Tunnel { tunnel: name, vni, transparent } = &port.kind else { return Ok(Vec::new()) };
        let Some(Uplink::Tunnel(t)) = self.physical.get(name) else {
            return Err(Fault::invalid(format!("port {}: there is no tunnel '{name}' in the configuration", port.name)));
        };
        let key =
            t.key(*vni).ok_or_else(|| Fault::invalid(format!("port {}: neither its link nor tunnel '{name}' has a VNI", port.name)))?;
        tunnel::wanted(port, t, key, *transparent)
    }

    /// How the remote ends of these ports are, where they are watched.
    pub fn remotes<'p>(&self, ports: impl IntoIterator<Item = &'p SwitchPort>) -> Result<Vec<RemoteEnd>> {
        let mut out = Vec::new();
        for p in ports {
            let PortKind::Tunnel { tunnel: name, .. } = &p.kind else { continue };
            let Some(Uplink::Tunnel(t)) = self.physical.get(name) else { continue };
            let ends = self.tunnel_ends(p)?;
            out.extend(self.db.view(|m| tunnel::remotes(m, p, t, &ends))?);
        }
        Ok(out)
    }

    pub fn remove_port(&self, name: &IfName) -> Result<()> {
        self.settle(&format!("remove port {name}"), |m| plan::remove_port(m, BRIDGE, name))
    }

    /// Plans on the mirror and applies until the plan is empty or a try went through. What was
    /// changed under our feet is planned anew.
    pub fn settle(&self, what: &str, plan: impl Fn(&Mirror) -> Result<Option<Txn>>) -> Result<()> {
        let until = Instant::now() + LIMIT;
        let mut last = None;
        for _ in 0..TRIES {
            self.db.wait_up(until).map_err(|e| e.context(what))?;
            let Some(txn) = self.db.view(&plan)?? else { return Ok(()) };
            match self.db.apply(txn, until) {
                Err(e) if e.kind() == Kind::Conflict => last = Some(e),
                done => return done,
            }
        }
        Err(last.unwrap_or_else(|| Fault::bug(format!("{what}: no try was made"))))
    }

    /// A bridge of ours is there and was really made. The kernel's datapath is tried when the
    /// kernel says it has one, and given up for userspace when ovs-vswitchd then fails.
    fn ensure_bridge(&self, name: &str, datapath_type: &str, uplink: Option<Up<'_>>) -> Result<()> {
        let what = format!("make bridge {name}");
        self.settle(&what, |m| {
            let (root, _) = m.root().ok_or_else(|| Fault::transient("the Open vSwitch database is empty"))?;
            match m.bridge(name) {
                Some((_, row)) => {
                    owned(row)?;
                    let other = uplink.and_then(|up| bond::uplink(m, name, up));
                    let mends = other.or_else(|| own_mtu(m, name));
                    Ok(mends.or_else(|| made(m, name).is_err().then(|| plan::nudge(&what))))
                }
                None => Ok(Some(plan::add_bridge(Txn::new(&what), root, &NewBridge { name, datapath_type, uplink }, "new_bridge"))),
            }
        })?;
        let Err(why) = self.db.view(|m| made(m, name))? else { return Ok(()) };
        // Guests that are on it were told to leave checksums to the kernel's datapath.
        let in_use = self.db.view(|m| m.bridge(name).is_some_and(|(_, row)| own_ports(m, row).count() < row.ports.len()))?;
        if datapath_type != KERNEL || in_use {
            return Err(why);
        }
        tracing::warn!(bridge = name, %why, "the kernel's datapath cannot be used, userspace is taken");
        self.settle(&what, |m| Ok(m.bridge(name).map(|(id, _)| plan::set_datapath(Txn::new(&what), id, USERSPACE))))?;
        self.db.view(|m| made(m, name))?
    }

    fn choose_datapath(&self) -> Result<&'static str> {
        let dpdk = self.db.view(|m| m.root().is_some_and(|(_, r)| r.dpdk_initialized))?;
        Ok(if !dpdk && datapath::kernel_has_it() { KERNEL } else { USERSPACE })
    }

    pub fn datapath(&self) -> Result<Datapath> {
        self.db
            .view(|m| {
                let (_, bridge) = m.bridge(BRIDGE)?;
                let dpdk = m.root().is_some_and(|(_, r)| r.dpdk_initialized);
                Some(match (type_of(bridge), dpdk) {
                    (USERSPACE, true) => Datapath::Dpdk,
                    (USERSPACE, false) => Datapath::Netdev,
                    _ => Datapath::Kernel,
                })
            })?
            .ok_or_else(|| Fault::transient(format!("bridge {BRIDGE} is not on the switch")))
    }

    /// The bridge of a physical network, made when the configuration names an interface.
    fn physical_bridge(&self, network: &str) -> Result<String> {
        self.physical.get(network).ok_or_else(|| {
            let known: Vec<&str> = self.physical.keys().map(SmolStr::as_str).collect();
            Fault::invalid(format!("there is no physical network '{network}' in the configuration (there are: {})", known.join(", ")))
        })?;
        let (ours, ours_type) = self
            .db
            .view(|m| m.bridge(BRIDGE).map(|(_, b)| type_of(b).to_owned()))?
            .map(|t| (BRIDGE, t))
            .ok_or_else(|| Fault::transient(format!("bridge {BRIDGE} is not on the switch")))?;
        let beyond = self.beyond(network).ok_or_else(|| Fault::bug(format!("'{network}' is a tunnel, and no physical network")))?;
        if let Some(up) = beyond.up() {
            self.ensure_bridge(&beyond.bridge, &ours_type, Some(up)).map_err(|e| e.context(format!("physical network '{network}'")))?;
        }
        let name = beyond.bridge;
        let theirs = self.db.view(|m| m.bridge(&name).map(|(_, b)| type_of(b).to_owned()))?.ok_or_else(|| {
            Fault::conflict(format!("physical network '{network}': there is no bridge {name}; make it with 'ovs-vsctl add-br {name}'"))
        })?;
        if theirs != ours_type {
            return Err(Fault::conflict(format!(
                "physical network '{network}': bridge {name} has datapath type '{theirs}' and {ours} has '{ours_type}'; patch ports need \
                 both the same: 'ovs-vsctl set bridge {name} datapath_type={ours_type}'"
            )));
        }
        Ok(name)
    }

    pub fn ensure_all(&self, wanted: &[(&str, &Wanted)]) -> Result<()> {
        let names: Vec<&str> = wanted.iter().map(|(_, w)| w.name.as_str()).collect();
        let what = format!("ensure port {}", names.join(" and "));
        let check = |m: &Mirror| names.iter().try_for_each(|n| port_made(m, n));
        self.settle(&what, |m| {
            let mut txn = None;
            for (bridge, w) in wanted {
                let before = txn.take().unwrap_or_else(|| Txn::new(&what));
                let had = !before.is_empty();
                txn = plan::ensure_port(before.clone(), m, bridge, w)?.or(had.then_some(before));
            }
            // As wanted in the database, but not made: let ovs-vswitchd try again.
            Ok(txn.or_else(|| check(m).is_err().then(|| plan::nudge(&what))))
        })?;
        self.db.view(check)?
    }
}

/// The other side of a physical network's ports.
struct Beyond<'a> {
    bridge: String,
    /// The port of a bond there.
    bond: String,
    uplink: &'a Uplink,
}

impl Beyond<'_> {
    /// `None`: the bridge is the administrator's.
    fn up(&self) -> Option<Up<'_>> {
        match self.uplink {
            Uplink::Bond(b) => Some(Up::Bond(&self.bond, b)),
            Uplink::Interface(i) => Some(Up::Interface(i)),
            Uplink::Bridge(_) | Uplink::Tunnel(_) => None,
        }
    }
}

pub fn word(d: Datapath) -> &'static str {
    match d {
        Datapath::Kernel => "kernel",
        Datapath::Netdev => "userspace (netdev)",
        Datapath::Dpdk => "DPDK",
    }
}

/// An empty type is the kernel's.
fn type_of(b: &Bridge) -> &str {
    if b.datapath_type.is_empty() { KERNEL } else { &b.datapath_type }
}

pub fn owned(b: &Bridge) -> Result<()> {
    if plan::is_ours(b) {
        return Ok(());
    }
    Err(Fault::conflict(format!(
        "bridge {0} is there but was not made by Bothy; rename it, or hand it over with 'ovs-vsctl br-set-external-id {0} {1} {2}'",
        b.name,
        plan::OWNER,
        plan::OWNER_BRIDGE
    )))
}

/// The bridge's ports of its own (local port and uplink) exist in the datapath.
fn made(m: &Mirror, bridge: &str) -> Result<()> {
    let Some((_, row)) = m.bridge(bridge) else {
        return Err(Fault::transient(format!("bridge {bridge} is gone again")));
    };
    own_ports(m, row).chain([bridge]).try_for_each(|n| port_made(m, n)).map_err(|e| e.context(format!("bridge {bridge}")))
}

/// Names of the ports that came with the bridge: its local port and its uplink.
fn own_ports<'a>(m: &'a Mirror, bridge: &'a Bridge) -> impl Iterator<Item = &'a str> {
    let came_with_it =
        |p: &&super::rows::Port| p.name == bridge.name || p.external_ids.get(plan::OWNER).is_some_and(|o| o == plan::OWNER_BRIDGE);
    bridge.ports.iter().filter_map(|p| m.ports.get(p)).filter(came_with_it).map(|p| p.name.as_str())
}

fn port_made(m: &Mirror, name: &str) -> Result<()> {
    let Some((_, port)) = m.port(name) else {
        return Err(Fault::transient(format!("port {name} is gone again: somebody removed it")));
    };
    // A bond is there while one of its legs is.
    let mut all: Vec<Option<String>> = m.interfaces_of(port).map(plan::trouble).collect();
    all.order();
    let trouble = all.into_iter().next().unwrap_or_else(|| Some("it has no interface".into()));
    trouble.map_or(Ok(()), |why| Err(Fault::transient(format!("port {name}: {why}"))))
}

/// The MTU of the bridge's own interface where it is not asked for. Else ovs-vswitchd has it fall to the least of all
/// ports, and libvirt gives it to guests' ports of links that say none: what is larger comes to no guest there.
pub fn own_mtu(m: &Mirror, bridge: &str) -> Option<Txn> {
    let (id, found) = m.port(bridge).and_then(|(_, p)| m.interface_of(p))?;
    (found.mtu_request != Some(plan::ETHERNET_MTU.into())).then(|| {
        Txn::new(format!("MTU of bridge {bridge}")).while_named(Table::Interface, id, bridge).update(
            Table::Interface,
            id,
            vec![("mtu_request", plan::mtu_request(Some(plan::ETHERNET_MTU)))],
        )
    })
}

/// A bridge name for a physical network, within Linux's 15 characters and always the same.
fn uplink_bridge(network: &str) -> String {
    let digest = BASE32_NOPAD.encode(&Sha256::digest(network.as_bytes())).to_ascii_lowercase();
    format!("bx{}", digest.get(..12).unwrap_or(&digest))
}

/// The port of a bond in that bridge.
fn bond_name(bridge: &str) -> String {
    bridge.replacen("bx", "by", 1)
}
