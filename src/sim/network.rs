//! `HostNet` and `Fabric` in memory.

use std::{net::IpAddr, sync::PoisonError, time::Duration};

use smol_str::SmolStr;

use super::{
    Sim,
    faults::{Method, Target},
    world::World,
};
use crate::{
    model::{
        error::{Fault, Result},
        id::{IfName, NfpId, SegmentId},
        net::{Cidr, VlanId},
        tunnel::{RemoteEnd, Tunnel},
    },
    sdn::{
        chain::{ChainState, Count, HopState, SwitchChain},
        link::SwitchLink,
        port::{Datapath, Fabric, FoundPort, PortKind, SwitchPort},
    },
    vim::port::{Captured, DhcpConf, Frames, HostLink, HostNet, NatTable},
};

impl Sim {
    /// Whether this remote end of tunnels answers from now on.
    pub fn answers(&self, remote: IpAddr, does: bool) {
        let silent = &mut self.lock().silent;
        if does {
            silent.remove(&remote)
        } else {
            silent.insert(remote)
        };
    }
    /// What a mirror copies.
    pub fn mirrored(&self, at: &IfName) -> Option<Vec<IfName>> {
        self.lock().mirrors.get(at).cloned()
    }
}

/// A frame each time somebody looks.
struct Tick;

impl Frames for Tick {
    fn next(&mut self, _wait: Duration) -> Result<Option<Captured>> {
        Ok(Some(Captured { length: 60, bytes: vec![0; 60] }))
    }
}

impl World {
    fn has_nic(&self, name: &IfName) -> bool {
        self.guests.values().filter(|g| g.is_up()).flat_map(|g| &g.spec.nics).any(|n| n.ifname == *name)
    }
    fn has_host_port(&self, name: &IfName, what: &str) -> Result<()> {
        match self.ports.get(name) {
            Some(port) if matches!(port.kind, PortKind::Host { .. }) => Ok(()),
            Some(_) | None => Err(Fault::not_found(format!("{what}: the host has no interface {name}"))),
        }
    }
}

impl HostNet for Sim {
    fn ensure_link(&self, link: &HostLink) -> Result<()> {
        self.call(Method::EnsureLink, link.ifname.clone(), |world, _| {
            world.has_host_port(&link.ifname, "addresses")?;
            world.links.insert(link.ifname.clone(), link.clone());
            Ok(())
        })
    }
    fn link_addresses(&self) -> Result<Vec<(IfName, Cidr)>> {
        self.call(Method::LinkAddresses, Target::Host, |world, _| {
            Ok(world.links.values().flat_map(|l| l.addresses.iter().map(|a| (l.ifname.clone(), *a))).collect())
        })
    }
    fn ensure_dhcp(&self, conf: &DhcpConf) -> Result<()> {
        self.call(Method::EnsureDhcp, conf.segment, |world, _| {
            world.has_host_port(&conf.ifname, "DHCP")?;
            world.dhcp.insert(conf.segment, conf.clone());
            Ok(())
        })
    }
    fn remove_dhcp(&self, segment: SegmentId) -> Result<()> {
        self.call(Method::RemoveDhcp, segment, |world, _| {
            world.dhcp.remove(&segment);
            Ok(())
        })
    }
    fn list_dhcp(&self) -> Result<Vec<SegmentId>> {
        self.call(Method::ListDhcp, Target::Host, |world, _| Ok(world.dhcp.keys().copied().collect()))
    }
    fn project_nat(&self, table: &NatTable) -> Result<()> {
        self.call(Method::ProjectNat, Target::Host, |world, _| {
            world.nat.clone_from(table);
            Ok(())
        })
    }
    fn facts(&self, _: &camino::Utf8Path) -> Vec<(String, Result<String>)> {
        vec![("host/nft.txt".into(), Ok(format!("{:#?}\n", self.nat())))]
    }
    fn listen(&self, at: &IfName) -> Result<Box<dyn Frames>> {
        self.call(Method::Listen, at.clone(), |world, _| match world.mirrors.contains_key(at) || world.has_nic(at) {
            true => Ok(()),
            false => Err(Fault::transient(format!("interface {at} is not there"))),
        })?;
        Ok(Box::new(Tick))
    }
    fn tcp_answers(&self, to: IpAddr, port: u16, _wait: Duration) -> Result<bool> {
        let answers = self.call(Method::TcpAnswers, Target::Host, |world, _| Ok(world.tcp.clone()))?;
        Ok(answers(to, port))
    }
}

impl Fabric for Sim {
    fn ensure_ready(&self) -> Result<Datapath> {
        let datapath = self.inner.config.datapath;
        self.call(Method::EnsureReady, Target::Host, |_, _| Ok(datapath))
    }
    fn ensure_port(&self, port: &SwitchPort) -> Result<()> {
        if let PortKind::Physical { network, .. } = &port.kind
            && !self.inner.config.physical.contains(network)
        {
            return Err(Fault::invalid(format!(
                "port {}: no physical network is named '{network}' (there are: {})",
                port.name,
                self.inner.config.physical.join(", ")
            )));
        }
        if let PortKind::Tunnel { tunnel, .. } = &port.kind
            && !self.inner.config.tunnels.iter().any(|t| t.name == *tunnel)
        {
            return Err(Fault::invalid(format!("port {}: no tunnel is named '{tunnel}'", port.name)));
        }
        self.call(Method::EnsurePort, port.name.clone(), |world, _| {
            world.ports.insert(port.name.clone(), port.clone());
            Ok(())
        })
    }
    fn remove_port(&self, name: &IfName) -> Result<()> {
        self.call(Method::RemovePort, name.clone(), |world, _| {
            world.ports.remove(name);
            // The interface goes, and its addresses with it.
            world.links.remove(name);
            Ok(())
        })
    }
    fn ensure_segment(&self, link: &SwitchLink) -> Result<()> {
        self.call(Method::EnsureSegment, link.segment, |world, _| {
            world.switch_links.insert(link.segment, link.clone());
            Ok(())
        })
    }
    fn remove_segment(&self, segment: SegmentId) -> Result<()> {
        self.call(Method::RemoveSegment, segment, |world, _| {
            world.switch_links.remove(&segment);
            Ok(())
        })
    }
    fn ensure_chain(&self, chain: &SwitchChain) -> Result<()> {
        self.call(Method::EnsureChain, chain.id, |world, _| {
            world.chains.insert(chain.id, chain.clone());
            Ok(())
        })
    }
    fn remove_chain(&self, chain: NfpId) -> Result<()> {
        self.call(Method::RemoveChain, chain, |world, _| {
            world.chains.remove(&chain);
            Ok(())
        })
    }
    fn chain_state(&self, chain: NfpId) -> Result<ChainState> {
        self.call(Method::ChainState, chain, |world, _| {
            let chain = world.chains.get(&chain).ok_or_else(|| Fault::not_found(format!("chain {chain} is not on the switch")))?;
            let up: std::collections::HashSet<&IfName> =
                world.guests.values().filter(|g| g.is_up()).flat_map(|g| &g.spec.nics).map(|n| &n.ifname).collect();
            let hops = chain.hops.iter().map(|h| HopState { live: h.live(&|n| up.contains(n)), ..HopState::default() });
            Ok(ChainState { hops: hops.collect(), out: Count::default(), back: Count::default(), kept: Count::default() })
        })
    }
    fn ensure_mirror(&self, to: &IfName, of: &[IfName], _vlan: VlanId) -> Result<()> {
        self.call(Method::EnsureMirror, to.clone(), |world, _| {
            world.mirrors.entry(to.clone()).or_insert_with(|| of.to_vec());
            Ok(())
        })
    }
    fn remove_mirror(&self, to: &IfName) -> Result<()> {
        self.call(Method::RemoveMirror, to.clone(), |world, _| {
            world.mirrors.remove(to);
            Ok(())
        })
    }
    fn mirrors(&self) -> Result<Vec<IfName>> {
        self.call(Method::Mirrors, Target::Host, |world, _| Ok(world.mirrors.keys().cloned().collect()))
    }
    fn on_remade(&self, sink: Box<dyn Fn() + Send + Sync>) {
        *self.inner.remade.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
    }
    fn ports(&self) -> Result<Vec<FoundPort>> {
        self.call(Method::Ports, Target::Host, |world, _| {
            let ours =
                world.ports.values().map(|p| FoundPort { name: p.name.clone(), vlan: Some(p.vlan), segment: Some(p.segment), error: None });
            let guests = world
                .guests
                .values()
                .filter(|g| g.is_up())
                .flat_map(|g| &g.spec.nics)
                .filter(|n| !world.ports.contains_key(&n.ifname))
                .map(|n| FoundPort { name: n.ifname.clone(), vlan: Some(n.vlan), segment: None, error: None });
            Ok(ours.chain(guests).collect())
        })
    }
    fn physical(&self) -> Vec<SmolStr> {
        self.inner.config.physical.clone()
    }
    fn tunnels(&self) -> Vec<Tunnel> {
        self.inner.config.tunnels.clone()
    }
    fn remotes(&self) -> Result<Vec<RemoteEnd>> {
        let tunnels = &self.inner.config.tunnels;
        self.call(Method::Remotes, Target::Host, |world, _| {
            let mut out = Vec::new();
            for p in world.ports.values() {
                let PortKind::Tunnel { tunnel, .. } = &p.kind else { continue };
                for t in tunnels.iter().filter(|t| t.name == *tunnel && t.bfd) {
                    let silent = |r: &IpAddr| world.silent.contains(r).then(|| "BFD is down".to_owned());
                    let end =
                        |r: &IpAddr| RemoteEnd { tunnel: t.name.clone(), remote: *r, segment: p.segment, known: true, silent: silent(r) };
                    out.extend(t.remotes.iter().map(end));
                }
            }
            Ok(out)
        })
    }
    fn health(&self) -> Result<String> {
        self.call(Method::FabricHealth, Target::Host, |_, _| Ok("simulated switch".into()))
    }
}
