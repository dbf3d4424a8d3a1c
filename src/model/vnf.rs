//! VNF instances as records (SOL003 5.5.2.2).
//!
//! Owns what is planned and what is there: an instance carries its resources from the moment an
//! instantiation is accepted until they are gone, so nothing exists that no record names. Never:
//! what the hypervisor says at the moment.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    error::{Fault, Result},
    id::{DiskId, ExtCpId, IfName, NsId, OpId, PortId, ProjectId, SegmentId, VnfId, VnfPkgId, VnfcId},
    net::MacAddr,
    param::Params,
    size::MiB,
    time::Stamp,
    vnfd::ImageFormat,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnfInstance {
    pub id: VnfId,
    pub project: ProjectId,
    /// The network service it is a part of; only that service changes it then.
    pub ns: Option<NsId>,
    pub name: SmolStr,
    pub description: String,
    pub package: VnfPkgId,
    pub vnfd_id: SmolStr,
    pub provider: SmolStr,
    pub product_name: SmolStr,
    pub software_version: SmolStr,
    pub vnfd_version: SmolStr,
    /// `instantiationState`.
    pub instantiated: bool,
    /// Planned from the accept of an instantiation on; `None` when nothing is there.
    pub body: Option<Body>,
    /// The operation that holds the instance; others are refused meanwhile.
    pub op: Option<OpId>,
    /// Lower numbers start first after a reboot of the box.
    pub priority: u32,
    pub metadata: Params,
    pub extensions: Params,
    pub configurable: Params,
    pub created: Stamp,
    pub revision: u64,
}

impl VnfInstance {
    /// No operation holds it, or a `Conflict` that names the one that does.
    pub fn check_free(&self) -> Result<()> {
        match self.op {
            None => Ok(()),
            Some(op) => Err(Fault::conflict(format!("VNF instance {} is held by operation {op}", self.id))),
        }
    }
}

/// `VnfOperationalStateType`: what the VNF shall be doing, kept over restarts of the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunState {
    Started,
    Stopped,
}

/// The resources of a VNF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    pub flavour: SmolStr,
    pub level: SmolStr,
    pub scale: Vec<(SmolStr, u32)>,
    pub run: RunState,
    pub vnfcs: Vec<Vnfc>,
    /// Internal links (link id, segment).
    pub links: Vec<(SmolStr, SegmentId)>,
    /// Segments made for this VNF alone: they go with it.
    pub own_segments: Vec<SegmentId>,
    pub ext_cps: Vec<ExtCpInst>,
    pub params: Params,
    pub ssh_keys: Vec<String>,
}

impl Body {
    pub fn vnfc(&self, id: VnfcId) -> Option<&Vnfc> {
        self.vnfcs.iter().find(|c| c.id == id)
    }
}

/// A guest of the VNF (`VnfcResourceInfo`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vnfc {
    pub id: VnfcId,
    pub vdu: SmolStr,
    pub index: u32,
    pub hostname: SmolStr,
    pub vcpus: u32,
    pub memory: MiB,
    pub disks: Vec<VnfcDisk>,
    /// In the guest's order.
    pub ports: Vec<Port>,
    pub medium: bool,
    pub graceful_stop_s: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnfcDisk {
    pub id: DiskId,
    pub storage: SmolStr,
    pub size: MiB,
    pub base: Option<([u8; 32], ImageFormat)>,
}

/// A NIC as planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    pub id: PortId,
    pub cp: SmolStr,
    pub ext_cp: Option<SmolStr>,
    pub segment: SegmentId,
    pub ifname: IfName,
    pub mac: MacAddr,
    pub addresses: Vec<IpAddr>,
}

/// `VnfExtCpInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtCpInst {
    pub id: ExtCpId,
    pub cpd: SmolStr,
    pub segment: SegmentId,
    pub ports: Vec<PortId>,
}

/// What a VNF takes of the box, from accept to its end. Small, so that adding them all up is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    pub vnf: VnfId,
    pub project: ProjectId,
    pub vcpus: u32,
    /// Guests' memory and QEMU's overhead.
    pub memory: MiB,
    /// Virtual sizes of disks.
    pub disk: MiB,
}

/// Grows with every change of what planners must not hand out twice (segments, reservations).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    pub revision: u64,
}
