//! `sdn::port::Fabric` on Open vSwitch.
//!
//! Owns: the adapter's face and its thread. What is asked for is done at once and told to the
//! keeper, which has it so from then on. Never: rows, flows.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use smol_str::SmolStr;

use super::{
    keeper::{Event, Keeper},
    ovsdb::Ovsdb,
    plan,
    switch::{LIMIT, Switch, owned, word},
};
use crate::model::order::Order as _;
use crate::{
    model::{
        error::{Fault, Result},
        id::{IfName, NfpId, SegmentId},
        net::{BondMode, Lacp, VlanId},
        tunnel::{RemoteEnd, Tunnel},
    },
    sdn::{
        chain::{ChainState, SwitchChain},
        link::SwitchLink,
        port::{Datapath, Fabric, FoundPort, SwitchPort},
    },
};

/// The integration bridge: all segments are VLANs of it.
pub const BRIDGE: &str = "bothy0";
/// Where distributions put the database's socket.
pub const DB_SOCKET: &str = "/var/run/openvswitch/db.sock";

const HEALTH_LIMIT: Duration = Duration::from_secs(2);

/// How the box reaches a physical network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uplink {
    /// A bridge that the administrator made and keeps.
    Bridge(SmolStr),
    /// An interface that is put into a bridge of Bothy's while something needs the network; the
    /// host's own addresses on it stop working meanwhile.
    Interface(IfName),
    /// The same with several, which are one: a leg that loses its link is not used.
    Bond(Bond),
    /// No network of the box, but the other ends of a tunnel.
    Tunnel(Tunnel),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bond {
    pub legs: Vec<IfName>,
    pub mode: BondMode,
    pub lacp: Lacp,
}

/// What the adapter is told once.
#[derive(Debug, Clone)]
pub struct Settings {
    pub socket: PathBuf,
    pub physical: BTreeMap<SmolStr, Uplink>,
}

pub struct OvsFabric {
    keeper: Arc<Keeper>,
    inbox: Sender<Event>,
    thread: Option<JoinHandle<()>>,
}

impl OvsFabric {
    /// Starts connecting and returns at once; calls wait for the connection.
    pub fn new(settings: Settings) -> Result<Self> {
        let (inbox, events) = channel();
        let switch = Switch { db: Ovsdb::open(settings.socket)?, physical: settings.physical };
        let keeper = Arc::new(Keeper::new(switch, inbox.clone()));
        let k = keeper.clone();
        let thread = std::thread::Builder::new()
            .name("fabric".into())
            .spawn(move || k.run(&events))
            .map_err(|e| Fault::transient("no thread for the switch").with_source(e))?;
        Ok(OvsFabric { keeper, inbox, thread: Some(thread) })
    }

    fn switch(&self) -> &Switch {
        &self.keeper.switch
    }

    /// For those who listen to the switch.
    pub fn db(&self) -> &Ovsdb {
        &self.switch().db
    }

    /// Takes the integration bridge away; refused while it has ports besides its own.
    pub fn remove_bridge(&self) -> Result<()> {
        let take = || {
            self.switch().settle("remove the integration bridge", |m| {
                let (Some((bridge, row)), Some((root, _))) = (m.bridge(BRIDGE), m.root()) else { return Ok(None) };
                owned(row)?;
                let left: Vec<&str> =
                    row.ports.iter().filter_map(|p| m.ports.get(p)).map(|p| p.name.as_str()).filter(|n| *n != BRIDGE).collect();
                if !left.is_empty() {
                    return Err(Fault::conflict(format!("bridge {BRIDGE} still has ports: {}", left.join(", "))));
                }
                Ok(Some(plan::remove_bridge(root, bridge, BRIDGE)))
            })
        };
        self.keeper.unready(take)
    }
}

impl Drop for OvsFabric {
    fn drop(&mut self) {
        let _ = self.inbox.send(Event::Stop);
        if let Some(t) = self.thread.take() {
            let _ = t.join();
        }
    }
}

impl Fabric for OvsFabric {
    fn ensure_ready(&self) -> Result<Datapath> {
        let datapath = self.switch().ensure_ready()?;
        self.keeper.ready();
        Ok(datapath)
    }

    fn ensure_port(&self, port: &SwitchPort) -> Result<()> {
        self.keeper.want_port(port)
    }

    fn remove_port(&self, name: &IfName) -> Result<()> {
        if name.as_str() == BRIDGE {
            return Err(Fault::bug(format!("{BRIDGE} is the bridge's own port")));
        }
        self.keeper.unwant_port(name, || self.switch().remove_port(name))
    }

    fn ensure_segment(&self, link: &SwitchLink) -> Result<()> {
        self.keeper.want_link(link, Instant::now() + LIMIT)
    }

    fn remove_segment(&self, segment: SegmentId) -> Result<()> {
        self.keeper.unwant_link(segment, Instant::now() + LIMIT)
    }

    fn ensure_chain(&self, chain: &SwitchChain) -> Result<()> {
        self.keeper.want_chain(chain, Instant::now() + LIMIT)
    }

    fn remove_chain(&self, chain: NfpId) -> Result<()> {
        self.keeper.unwant_chain(chain, Instant::now() + LIMIT)
    }

    fn chain_state(&self, chain: NfpId) -> Result<ChainState> {
        self.keeper.chain_state(chain, Instant::now() + HEALTH_LIMIT)
    }

    fn ensure_mirror(&self, to: &IfName, of: &[IfName], vlan: VlanId) -> Result<()> {
        self.switch().settle(&format!("mirror {to}"), |m| plan::mirror(m, BRIDGE, to, of, vlan))
    }

    fn remove_mirror(&self, to: &IfName) -> Result<()> {
        self.switch().settle(&format!("remove mirror {to}"), |m| Ok(plan::unmirror(m, BRIDGE, to)))
    }

    fn mirrors(&self) -> Result<Vec<IfName>> {
        self.switch().db.wait_up(Instant::now() + HEALTH_LIMIT)?;
        Ok(self.switch().db.view(plan::mirrors)?.into_iter().collect())
    }

    fn on_remade(&self, sink: Box<dyn Fn() + Send + Sync>) {
        self.keeper.on_remade(sink);
    }

    fn ports(&self) -> Result<Vec<FoundPort>> {
        self.switch().db.wait_up(Instant::now() + HEALTH_LIMIT)?;
        self.switch().db.view(|m| {
            let Some((_, bridge)) = m.bridge(BRIDGE) else { return Vec::new() };
            let found = |p: &super::rows::Port| {
                // Names that Linux would not take cannot be of ours, nor be spoken of in our types.
                let name: IfName = p.name.parse().ok().filter(|_| p.name != BRIDGE)?;
                Some(FoundPort {
                    name,
                    vlan: p.tag.and_then(|t| t.try_into().ok()),
                    segment: plan::segment_of(p),
                    error: m.interface_of(p).and_then(|(_, i)| plan::trouble(i)),
                })
            };
            let mut all: Vec<FoundPort> = bridge.ports.iter().filter_map(|id| m.ports.get(id)).filter_map(found).collect();
            all.order_by(|a, b| a.name.cmp(&b.name));
            all
        })
    }

    fn physical(&self) -> Vec<SmolStr> {
        self.switch().physical.iter().filter(|(_, u)| !matches!(u, Uplink::Tunnel(_))).map(|(name, _)| name.clone()).collect()
    }

    fn tunnels(&self) -> Vec<Tunnel> {
        let tunnel = |u: &Uplink| match u {
            Uplink::Tunnel(t) => Some(t.clone()),
            Uplink::Bridge(_) | Uplink::Interface(_) | Uplink::Bond(_) => None,
        };
        self.switch().physical.values().filter_map(tunnel).collect()
    }

    fn remotes(&self) -> Result<Vec<RemoteEnd>> {
        self.keeper.remotes()
    }

    fn health(&self) -> Result<String> {
        let until = Instant::now() + HEALTH_LIMIT;
        // Both daemons must answer: the database takes the change, ovs-vswitchd confirms it.
        self.switch().db.apply(plan::nudge("health"), until)?;
        let version = self.switch().db.view(|m| m.root().and_then(|(_, r)| r.ovs_version.clone()))?;
        let version = version.map_or_else(|| "Open vSwitch".to_owned(), |v| format!("Open vSwitch {v}"));
        Ok(match self.switch().datapath() {
            Ok(d) => format!("{version}, {} datapath", word(d)),
            Err(_) => format!("{version}, bridge {BRIDGE} not made yet"),
        })
    }
}
