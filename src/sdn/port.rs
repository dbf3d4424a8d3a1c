//! The port to the box's switch. Calls are *ensure*, as in `vim::port`.

use smol_str::SmolStr;

use crate::model::{
    error::Result,
    id::{IfName, SegmentId},
    net::VlanId,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datapath {
    Kernel,
    /// Userspace: guests' checksum and segmentation offloads must be off.
    Netdev,
    Dpdk,
}

/// A port of the switch that Bothy makes itself (guests' ports come and go with the guest).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchPort {
    pub name: IfName,
    pub segment: SegmentId,
    pub vlan: VlanId,
    pub kind: PortKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortKind {
    /// The host's own interface on the segment.
    Host,
    /// Towards a physical network, by its name in the configuration; with its VLAN there.
    Physical { network: SmolStr, tag: Option<VlanId> },
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
    fn ports(&self) -> Result<Vec<FoundPort>>;
    /// Names of physical networks that descriptors may use.
    fn physical(&self) -> Vec<SmolStr>;
    /// Answers when the switch does; its version for people.
    fn health(&self) -> Result<String>;
}
