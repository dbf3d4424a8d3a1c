//! The port to the box's switch. Calls are *ensure*, as in `vim::port`.

use camino::Utf8PathBuf;
use smol_str::SmolStr;

use super::{
    chain::{ChainState, SwitchChain},
    link::SwitchLink,
};
use crate::model::{
    error::Result,
    id::{IfName, NfpId, SegmentId},
    net::VlanId,
    tunnel::{RemoteEnd, Tunnel},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datapath {
    Kernel,
    /// Userspace: guests' checksum and segmentation offloads must be off.
    Netdev,
    Dpdk,
}

/// A port of the switch that Bothy makes itself (guests' ports come and go with the guest, but for those of
/// vhost-user).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchPort {
    pub name: IfName,
    pub segment: SegmentId,
    pub vlan: VlanId,
    pub kind: PortKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortKind {
    /// The host's own interface on the segment; bytes, 1500 where nothing is said.
    Host { mtu: Option<u16> },
    /// Towards a physical network, by its name in the configuration; with its VLAN there. Frames
    /// with tags of their own pass when `transparent`.
    Physical { network: SmolStr, tag: Option<VlanId>, transparent: bool },
    /// To the remote ends of a tunnel, by its name in the configuration; `vni`: the link's own word.
    Tunnel { tunnel: SmolStr, vni: Option<u16>, transparent: bool },
    /// The switch's side of a guest's vhost-user NIC: its data plane connects to the socket on which QEMU
    /// listens. Only with `Datapath::Dpdk`. Tag and isolation are the link's.
    VhostUser { socket: Utf8PathBuf },
}

/// A port found on the switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPort {
    pub name: IfName,
    pub vlan: Option<VlanId>,
    /// Set for ports that Bothy made.
    pub segment: Option<SegmentId>,
    pub error: Option<String>,
}

pub trait Fabric: Send + Sync {
    /// The switch is there; made where it was not.
    fn ensure_ready(&self) -> Result<Datapath>;
    /// Done when the switch daemon has applied it.
    fn ensure_port(&self, port: &SwitchPort) -> Result<()>;
    fn remove_port(&self, name: &IfName) -> Result<()>;
    /// The link's ports are as it says: those that are there when this returns, others from the
    /// moment they come. What was ensured is kept so: a port, a flow or the whole switch that goes
    /// comes back by itself, until it is removed.
    fn ensure_segment(&self, link: &SwitchLink) -> Result<()>;
    fn remove_segment(&self, segment: SegmentId) -> Result<()>;
    /// The chain is as it says: all of it changes at once, and nothing of links or other chains. Kept
    /// so as links are; ports that come, go or lose their link change it as its policy says.
    fn ensure_chain(&self, chain: &SwitchChain) -> Result<()>;
    fn remove_chain(&self, chain: NfpId) -> Result<()>;
    fn chain_state(&self, chain: NfpId) -> Result<ChainState>;
    /// Copies of all that passes these ports, both ways, come out at an interface of the host of this name. Untagged
    /// where they are in this VLAN. Ports that are not there are left out, and a mirror that is there stays as it is.
    fn ensure_mirror(&self, to: &IfName, of: &[IfName], vlan: VlanId) -> Result<()>;
    fn remove_mirror(&self, to: &IfName) -> Result<()>;
    /// The interfaces of all mirrors, whoever of us made them.
    fn mirrors(&self) -> Result<Vec<IfName>>;
    /// `sink` is called when ports of the host were lost and made again: their addresses are not
    /// the switch's to give.
    fn on_remade(&self, sink: Box<dyn Fn() + Send + Sync>);
    fn ports(&self) -> Result<Vec<FoundPort>>;
    /// Names of physical networks that descriptors may use.
    fn physical(&self) -> Vec<SmolStr>;
    /// Tunnels that they may use by the same kind of name.
    fn tunnels(&self) -> Vec<Tunnel>;
    /// Ends of tunnels that links are at and that are watched, link by link.
    fn remotes(&self) -> Result<Vec<RemoteEnd>>;
    /// Answers when the switch does; its version for people.
    fn health(&self) -> Result<String>;
}
