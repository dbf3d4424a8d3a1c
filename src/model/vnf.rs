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
    id::{DiskId, ExtCpId, IfKind, IfName, NsId, OpId, PortId, ProjectId, SegmentId, VnfId, VnfPkgId, VnfcId},
    net::MacAddr,
    param::{Param, Params},
    place::Held,
    size::MiB,
    time::Stamp,
    vnfd::{ImageFormat, Vnfd},
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
    /// When it starts after a reboot of the box: `Turn` in one number.
    pub priority: u32,
    pub metadata: Params,
    pub extensions: Params,
    pub configurable: Params,
    pub created: Stamp,
    pub revision: u64,
    /// The central NFVO that made it: it grants what is done to it. `None`: granted here.
    pub owner: Option<VnfOwner>,
}

/// The central NFVO that a VNF instance belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnfOwner {
    /// Its account, under which its grant endpoint is registered.
    pub account: SmolStr,
    /// Where this API is, as it reached it: links in grant requests start with it.
    pub base: String,
}

impl VnfInstance {
    /// Of the central NFVO of that account.
    pub fn is_of(&self, account: &str) -> bool {
        self.owner.as_ref().is_some_and(|o| o.account == account)
    }
    /// The element manager of that account has it in its charge.
    pub fn is_managed_by(&self, account: &str) -> bool {
        self.managed_by().any(|name| name == account)
    }
    pub fn managers(&self) -> Vec<SmolStr> {
        self.managed_by().map(SmolStr::new).collect()
    }
    fn managed_by(&self) -> impl Iterator<Item = &str> {
        let named = self.metadata.iter().filter(|(name, _)| name == ELEMENT_MANAGER).flat_map(|(_, value)| match value {
            Param::List(all) => all.as_slice(),
            Param::Text(_) | Param::Null | Param::Bool(_) | Param::Number(_) | Param::Map(_) => std::slice::from_ref(value),
        });
        named.filter_map(|p| match p {
            Param::Text(t) => Some(t.as_str()),
            Param::Null | Param::Bool(_) | Param::Number(_) | Param::List(_) | Param::Map(_) => None,
        })
    }
    /// No operation holds it, or a `Conflict` that names the one that does.
    pub fn check_free(&self) -> Result<()> {
        match self.op {
            None => Ok(()),
            Some(op) => Err(Fault::conflict(format!("VNF instance {} is held by operation {op}", self.id))),
        }
    }
    pub fn turn(&self) -> Turn {
        Turn { priority: self.priority / Turn::RANKS, rank: self.priority % Turn::RANKS }
    }
    /// Its crashed guests are healed without being asked for.
    pub fn heals_itself(&self) -> bool {
        self.configurable.iter().any(|(name, value)| name == AUTOHEAL && *value == Param::Bool(true))
    }
}

/// When a VNF starts after a reboot of the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// `bothy.priority`: lower numbers first.
    pub priority: u32,
    /// Its place in its service, where each member comes after those it depends on.
    pub rank: u32,
}

impl Turn {
    const RANKS: u32 = 1000;

    /// As records have it. Members past the last rank share that one.
    pub fn number(self) -> u32 {
        self.priority.min(u32::MAX / Turn::RANKS - 1) * Turn::RANKS + self.rank.min(Turn::RANKS - 1)
    }
}

/// What Bothy itself reads of the configurable properties is what it is to be.
pub fn check_configurable(of: &Params) -> Result<()> {
    match of.iter().find(|(name, _)| name == AUTOHEAL) {
        None | Some((_, Param::Bool(_))) => Ok(()),
        Some((_, Param::Null | Param::Number(_) | Param::Text(_) | Param::List(_) | Param::Map(_))) => {
            Err(Fault::invalid(format!("vnfConfigurableProperties.{AUTOHEAL}: must be true or false")))
        }
    }
}

/// Of an instance's metadata: the account of its element manager, or a list of them.
pub const ELEMENT_MANAGER: &str = "bothy.em";

/// The configurable property that has crashed guests healed (SOL003 5.5.2.2).
pub const AUTOHEAL: &str = "isAutohealEnabled";

/// What Bothy, or the standard for managers, reads of the configurable properties: all others are the VNF's own.
const OF_MANAGERS: [&str; 2] = [AUTOHEAL, "isAutoscaleEnabled"];

/// The VNF's own configurable properties.
pub fn own_properties(of: &Params) -> Params {
    of.iter().filter(|(name, _)| !OF_MANAGERS.contains(&name.as_str())).cloned().collect()
}

/// How guests are healed that nobody asked to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Autoheal {
    /// How often in a row; then it is given up.
    pub tries: u32,
    /// Before the second try; twice as long before each one after.
    pub pause_ms: u64,
    /// So long without a crash, and tries are counted anew.
    pub calm_s: u64,
}

impl Default for Autoheal {
    fn default() -> Self {
        Autoheal { tries: 3, pause_ms: 5000, calm_s: 600 }
    }
}

/// What a client may give along with an instantiation, to be read back (SOL003 5.5.2.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    pub extensions: Params,
    pub configurable: Params,
}

impl Properties {
    pub fn of(inst: &VnfInstance) -> Self {
        Properties { extensions: inst.extensions.clone(), configurable: inst.configurable.clone() }
    }
}

/// `VnfOperationalStateType`: what the VNF shall be doing, kept over restarts of the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunState {
    Started,
    Stopped,
}

/// How guests are stopped that are to go, or to be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopping {
    /// FORCEFUL: destroyed.
    AtOnce,
    /// GRACEFUL: asked, and destroyed when the request's seconds are over.
    Within(u32),
    /// GRACEFUL, and the request says no time: the descriptor's, or these seconds where it has none either.
    Usual(u32),
}

impl Stopping {
    /// Seconds that a guest gets; `None` destroys. `described`: what its descriptor says.
    pub fn seconds(self, described: Option<u32>) -> Option<u32> {
        match self {
            Stopping::AtOnce => None,
            Stopping::Within(s) => Some(s),
            Stopping::Usual(s) => Some(described.unwrap_or(s)),
        }
    }
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
    /// Guests that are not `gone`, and the ports that go with those.
    pub fn drop_vnfcs(&mut self, gone: &[VnfcId]) -> Vec<Port> {
        let (left, dropped): (Vec<Vnfc>, Vec<Vnfc>) = std::mem::take(&mut self.vnfcs).into_iter().partition(|c| !gone.contains(&c.id));
        self.vnfcs = left;
        let ports: Vec<Port> = dropped.into_iter().flat_map(|c| c.ports).collect();
        for cp in &mut self.ext_cps {
            cp.ports.retain(|p| !ports.iter().any(|q| q.id == *p));
        }
        ports
    }
    pub fn vnfc(&self, id: VnfcId) -> Option<&Vnfc> {
        self.vnfcs.iter().find(|c| c.id == id)
    }
    pub fn ports(&self) -> impl Iterator<Item = &Port> {
        self.vnfcs.iter().flat_map(|c| &c.ports)
    }
    /// It is on this link, or has it inside.
    pub fn is_on(&self, segment: SegmentId) -> bool {
        let inside = self.links.iter().map(|(_, s)| *s);
        inside.chain(self.ports().map(|p| p.segment)).chain(self.ext_cps.iter().map(|e| e.segment)).any(|s| s == segment)
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

impl Port {
    /// A NIC of its own, and no network under a tag of another.
    pub fn is_nic(&self) -> bool {
        IfKind::of(&self.ifname) != Some(IfKind::Trunk)
    }
}

/// `VnfExtCpInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtCpInst {
    pub id: ExtCpId,
    pub cpd: SmolStr,
    pub segment: SegmentId,
    pub ports: Vec<PortId>,
}

impl ExtCpInst {
    /// The id of its instance at one of its ports: SOL003 wants one for each VNFC that has it.
    pub fn instance(&self, port: PortId) -> String {
        if self.ports.first() == Some(&port) { self.id.to_string() } else { format!("{}-{port}", self.id) }
    }
}

/// Where a NIC is, and what it has there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    pub segment: SegmentId,
    pub addresses: Vec<IpAddr>,
}

/// A NIC that comes to another link, or to other addresses on its own, while its guest may run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMove {
    pub vnfc: VnfcId,
    pub port: PortId,
    /// Has the seat that the NIC is not on, until the operation is over: nobody else gets its addresses.
    pub holder: PortId,
    /// For people: `vdu/0/cp`.
    pub name: SmolStr,
    pub cpd: SmolStr,
    /// The instance of the external connection point, as clients know it.
    pub instance: SmolStr,
    pub before: Seat,
    pub after: Seat,
    /// It is to be on no link: what it comes to is a link of its own, on which nothing else is.
    pub parted: bool,
}

/// What a VNF takes of the box, from accept to its end. Small, so that adding them all up is cheap.
/// The sums are of what its guests share with others; what they have for themselves is in `placed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    pub vnf: VnfId,
    pub project: ProjectId,
    /// vCPUs that float: pinned ones are not among them.
    pub vcpus: u32,
    /// Guests' memory in small pages and QEMU's overhead.
    pub memory: MiB,
    /// Virtual sizes of disks.
    pub disk: MiB,
    /// Guests that have a place of their own.
    pub placed: Vec<Held>,
}

impl Reservation {
    /// vCPUs of guests without a place.
    pub fn roaming(&self) -> u32 {
        // A guest whose change was given up has two places, and is counted once.
        let first = |(n, h): &(usize, &Held)| self.placed[..*n].iter().all(|o| o.guest != h.guest);
        let floating = |h: &Held| h.at.cells.iter().filter(|c| c.pins.is_empty()).map(|c| c.vcpus.len() as u32).sum::<u32>();
        self.vcpus.saturating_sub(self.placed.iter().enumerate().filter(first).map(|(_, h)| floating(h)).sum())
    }
}

/// What an operation under way adds to a VNF and takes from it. The body names both until its end:
/// nothing exists that no record names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub vnf: VnfId,
    pub op: OpId,
    pub added: Vec<VnfcId>,
    pub removed: Vec<VnfcId>,
    /// Scale level of each aspect when it is done.
    pub scale: Vec<(SmolStr, u32)>,
    /// Instantiation level when it is done.
    pub level: SmolStr,
}

/// A VNF while it comes to another flavour or package: as it was, and as it is to be. Its body names what is of either
/// until the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remake {
    pub vnf: VnfId,
    pub op: OpId,
    pub before: Side,
    pub after: Side,
    /// `None`: it stays of its package.
    pub package: Option<PackageChange>,
}

/// From one package to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageChange {
    pub before: Origin,
    pub after: Origin,
}

/// What an instance says of its package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub package: VnfPkgId,
    pub vnfd_id: SmolStr,
    pub provider: SmolStr,
    pub name: SmolStr,
    pub software_version: SmolStr,
    pub vnfd_version: SmolStr,
}

impl Origin {
    pub fn of(inst: &VnfInstance) -> Self {
        Origin {
            package: inst.package,
            vnfd_id: inst.vnfd_id.clone(),
            provider: inst.provider.clone(),
            name: inst.product_name.clone(),
            software_version: inst.software_version.clone(),
            vnfd_version: inst.vnfd_version.clone(),
        }
    }
    pub fn of_vnfd(package: VnfPkgId, vnfd: &Vnfd) -> Self {
        Origin {
            package,
            vnfd_id: vnfd.id.clone(),
            provider: vnfd.provider.clone(),
            name: vnfd.product_name.clone(),
            software_version: vnfd.software_version.clone(),
            vnfd_version: vnfd.version.clone(),
        }
    }
    /// The instance is of this package from now on.
    pub fn put_on(self, inst: &mut VnfInstance) {
        inst.package = self.package;
        inst.vnfd_id = self.vnfd_id;
        inst.provider = self.provider;
        inst.product_name = self.name;
        inst.software_version = self.software_version;
        inst.vnfd_version = self.vnfd_version;
    }
}

/// One of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    pub body: Body,
    pub placed: Vec<Held>,
}

/// Grows with every change of what planners must not hand out twice (segments, reservations).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    pub revision: u64,
}
