//! VNF descriptors as Bothy runs them.
//!
//! Owns the one form that every dialect (SOL001 today; SOL006, OSM, Open Baton) is read into, and
//! `Layer3`, `LinkKind` and the day-0 description shared with NSDs. Never: text, files or wire
//! shapes; whatever is in here has been checked by `descriptor`.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    epa::{Epa, NicWish},
    net::{Cidr, MacAddr, VlanId},
    own::OwnApis,
    size::MiB,
};
use std::net::IpAddr;

/// A VNFD (IFA011 7.1.2): identity and one topology per deployment flavour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vnfd {
    /// `vnfdId`: names this version of the descriptor, chosen by its author.
    pub id: SmolStr,
    /// Same across versions (`vnfdExtInvariantId`).
    pub invariant_id: Option<SmolStr>,
    pub provider: SmolStr,
    pub product_name: SmolStr,
    pub software_version: SmolStr,
    pub version: SmolStr,
    /// Name and description for people (`product_info_*`).
    pub info_name: SmolStr,
    pub info_description: SmolStr,
    pub vnfm_info: Vec<SmolStr>,
    pub default_flavour: SmolStr,
    /// At least one; ids are unique.
    pub flavours: Vec<Flavour>,
    /// To this version and from it, where its makers say so.
    pub paths: Vec<VersionPath>,
    /// What the VNF tells of itself; ids are unique, and there are no more than `MOST_INDICATORS`.
    pub indicators: Vec<Indicator>,
    /// Of each flavour that says something of the VNF's own interfaces.
    pub own: Vec<OwnApis>,
}

/// Indicators that one VNFD may have.
pub const MOST_INDICATORS: usize = 64;

/// A VNF indicator (IFA011 7.1.11.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indicator {
    pub id: SmolStr,
    /// `None`: nobody can read it.
    pub source: Option<GuestFile>,
}

/// A file that each guest of a VDU has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestFile {
    pub vdu: SmolStr,
    /// Absolute, of the guest.
    pub path: String,
}

/// A way from a flavour of one VNFD to a flavour of another (IFA011 7.1.15.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionPath {
    pub from_vnfd: SmolStr,
    pub from_flavour: SmolStr,
    pub to_vnfd: SmolStr,
    pub to_flavour: SmolStr,
    /// Components that are there under another name: before, after.
    pub renamed: Vec<(SmolStr, SmolStr)>,
}

impl Vnfd {
    pub fn flavour(&self, id: &str) -> Option<&Flavour> {
        self.flavours.iter().find(|f| f.id == id)
    }
    /// What the VNF of that flavour serves itself.
    pub fn own(&self, flavour: &str) -> Option<&OwnApis> {
        self.own.iter().find(|o| o.flavour == flavour)
    }
    /// Every software image once, by the name of the thing that carries it.
    pub fn images(&self) -> Vec<&SwImage> {
        let mut seen: Vec<&SwImage> = Vec::new();
        for image in self.flavours.iter().flat_map(|f| &f.vdus).flat_map(|v| &v.disks).filter_map(|d| d.image.as_ref()) {
            if !seen.iter().any(|s| s.id == image.id) {
                seen.push(image);
            }
        }
        seen
    }
}

/// A deployment flavour (IFA011 7.1.8): the whole topology of one way to run the VNF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flavour {
    pub id: SmolStr,
    pub description: SmolStr,
    pub vdus: Vec<Vdu>,
    pub links: Vec<IntLink>,
    pub ext_cps: Vec<ExtCp>,
    pub default_level: SmolStr,
    /// At least one: where the descriptor has none, `default` with each VDU's initial count.
    pub levels: Vec<Level>,
    pub aspects: Vec<Aspect>,
    /// Which guests share a part of the box, and which share none.
    pub groups: Vec<GuestGroup>,
    /// What a stop may take before the guest is destroyed, where the request says nothing, in seconds (IFA011 7.1.5.7).
    pub graceful_stop_s: Option<u32>,
}

/// Seconds a guest may take to stop where nothing else is said.
pub const GRACEFUL_STOP_S: u32 = 60;

impl Flavour {
    pub fn vdu(&self, id: &str) -> Option<&Vdu> {
        self.vdus.iter().find(|v| v.id == id)
    }
    pub fn level(&self, id: &str) -> Option<&Level> {
        self.levels.iter().find(|l| l.id == id)
    }
    /// By its id, or by the requirement an NSD knows it under.
    pub fn ext_cp(&self, name: &str) -> Option<&ExtCp> {
        self.ext_cps.iter().find(|c| c.id == name).or_else(|| self.ext_cps.iter().find(|c| c.requirement == name))
    }
}

/// Instantiation level (IFA011 7.1.8.7): how many VNFCs of each VDU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    pub id: SmolStr,
    pub description: SmolStr,
    /// (VDU id, count), one entry for each VDU of the flavour.
    pub counts: Vec<(SmolStr, u32)>,
    /// (aspect id, scale level).
    pub scale: Vec<(SmolStr, u32)>,
}

/// Scaling aspect (IFA011 7.1.10.2); each step adds `deltas[step]` VNFCs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aspect {
    pub id: SmolStr,
    pub name: SmolStr,
    pub max_level: u32,
    /// Per step: (VDU id, VNFCs added). The last entry repeats.
    pub deltas: Vec<Vec<(SmolStr, u32)>>,
}

/// Guests that a rule of affinity or anti-affinity is for (SOL001's AffinityRule, AntiAffinityRule).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestGroup {
    /// The rule's name; with its target where it has several.
    pub id: SmolStr,
    pub kind: Apartness,
    /// All guests of these VDUs are under the rule together.
    pub vdus: Vec<SmolStr>,
}

/// How near or far guests of a group are. Those that are to share a host do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Apartness {
    /// All on one NUMA node.
    SameNode,
    /// No two on one NUMA node.
    OtherNode,
    /// No two on one host: a box holds one of them.
    OtherHost,
}

/// Virtualisation deployment unit: one kind of guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vdu {
    pub id: SmolStr,
    pub name: SmolStr,
    pub description: SmolStr,
    pub vcpus: u32,
    pub memory: MiB,
    pub firmware: Firmware,
    /// Boot disk first; then in the descriptor's order.
    pub disks: Vec<Disk>,
    /// In exactly the order the guest shall see them.
    pub nics: Vec<VduCp>,
    pub readiness: Readiness,
    /// Seconds a guest may take until it is ready.
    pub boot_grace_s: u32,
    pub min_instances: u32,
    pub max_instances: u32,
    pub day0: Option<Day0>,
    /// What it asks of the hardware.
    pub epa: Epa,
}

impl Vdu {
    /// The NIC that carries a network under a tag, by that network's connection point.
    pub fn trunk_of(&self, cp: &str) -> Option<(&VduCp, &SubCp)> {
        self.nics.iter().find_map(|n| Some((n, n.subports.iter().find(|s| s.id == cp)?)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Firmware {
    #[default]
    Bios,
    Uefi,
}

/// When a VDU counts as ready.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Readiness {
    /// libvirt says it runs.
    #[default]
    Running,
    /// The guest agent answers a ping.
    Agent,
    /// The serial console's log matches this regular expression.
    Serial(String),
    /// A TCP port on the guest's first reachable address accepts a connection from the host.
    Tcp(u16),
}

/// A virtual block storage: an overlay on an image, or an empty volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    pub id: SmolStr,
    /// Virtual size. Never smaller than the image's.
    pub size: MiB,
    pub image: Option<SwImage>,
    pub bus: DiskBus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DiskBus {
    #[default]
    Virtio,
    Scsi,
    Sata,
}

/// A software image of the package (IFA011 7.1.6.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwImage {
    /// The node template that carries it; unique in the VNFD.
    pub id: SmolStr,
    pub name: SmolStr,
    pub version: SmolStr,
    pub provider: SmolStr,
    pub format: ImageFormat,
    /// Path in the package.
    pub path: SmolStr,
    /// SHA-256 of the file, known once its package was read.
    pub sha256: Option<[u8; 32]>,
    pub min_disk: MiB,
    pub min_ram: MiB,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageFormat {
    Raw,
    Qcow2,
}

/// A connection point of a VDU: one NIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VduCp {
    pub id: SmolStr,
    pub link: CpLink,
    pub model: NicModel,
    /// Only where the descriptor insists on it; else the planner chooses.
    pub mac: Option<MacAddr>,
    /// Off when the guest forwards or bridges for others.
    pub port_security: bool,
    pub mtu: Option<u16>,
    /// What it asks of the hardware; `model` counts where the NIC is a port of the switch.
    pub wish: NicWish,
    /// Its place on a link of the kind E-Tree.
    pub role: CpRole,
    /// Bits a second that the switch takes from the NIC at most.
    pub rate_limit: Option<u64>,
    /// Networks that come tagged on the same NIC (SOL001 6.8.17, `VduSubCp`).
    pub subports: Vec<SubCp>,
}

impl VduCp {
    /// All that it is on: its own link, then those under tags.
    pub fn links(&self) -> impl Iterator<Item = &CpLink> {
        std::iter::once(&self.link).chain(self.subports.iter().map(|s| &s.link))
    }
}

/// The part a connection point plays on a link whose traffic flows as a tree (IFA011 7.1.6.3, `cpRole`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CpRole {
    /// Reaches roots, never another leaf.
    #[default]
    Leaf,
    /// Reaches everybody.
    Root,
}

/// A network that a trunk NIC carries under a VLAN tag; on the NIC's own link, a VLAN of that link that may pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubCp {
    pub id: SmolStr,
    pub link: CpLink,
    /// The tag between guest and switch, 1 to 4094.
    pub tag: VlanId,
    pub role: CpRole,
}

/// What a VDU's connection point is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CpLink {
    /// An internal virtual link of the flavour.
    Internal(SmolStr),
    /// Exposed as this external connection point.
    External(SmolStr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum NicModel {
    #[default]
    Virtio,
    E1000,
    E1000e,
    Rtl8139,
    Pcnet,
}

/// External connection point (IFA011 7.1.4): where the VNF meets the outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtCp {
    /// `cpdId` in the API.
    pub id: SmolStr,
    /// The VNF node's requirement by which an NSD attaches it (SOL001 6.8.1); often another name.
    pub requirement: SmolStr,
    pub description: SmolStr,
    /// Through this VDU's connection point, or re-exposing an internal link.
    pub through: ExtCpThrough,
    pub management: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExtCpThrough {
    VduCp { vdu: SmolStr, cp: SmolStr },
    Link(SmolStr),
}

/// A virtual link inside a VNF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntLink {
    pub id: SmolStr,
    pub description: SmolStr,
    pub profile: LinkProfile,
}

/// What a virtual link shall be, in a VNFD or an NSD alike.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkProfile {
    pub kind: LinkKind,
    pub layer3: Vec<Layer3>,
    pub mtu: Option<u16>,
    /// Name of a physical network of the box's configuration.
    pub physical: Option<SmolStr>,
    /// VLAN id on the physical network, when the descriptor sets it.
    pub segmentation: Option<u16>,
    /// Reachable from the host itself: the host has the gateway address on it.
    pub management: bool,
    /// Guests reach the uplink through the host, translated.
    pub nat: bool,
    /// Ports of the host that lead to a guest, with `nat`.
    pub forwards: Vec<Forward>,
    /// Guests' own VLAN tags pass as they are.
    pub transparent: bool,
    pub max_rate: LinkRates,
}

/// `LinkBitrateRequirements` (SOL001 6.2.18): bits a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkRates {
    /// Of the line, of the tree's roots, or of the whole LAN.
    pub root: Option<u64>,
    /// Of each leaf of a tree, or of each branch of a LAN.
    pub leaf: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum LinkKind {
    #[default]
    Elan,
    Eline,
    Etree,
}

/// One IP network of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer3 {
    pub cidr: Cidr,
    pub gateway: Option<IpAddr>,
    /// The host answers DHCP (IPv4) or DHCPv6 with the planned addresses.
    pub dhcp: bool,
    /// Addresses to give out, lowest first; empty: all of the network's.
    pub pools: Vec<(IpAddr, IpAddr)>,
    pub dns: Vec<IpAddr>,
}

/// Host port -> guest port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    pub proto: Transport,
    pub host_port: u16,
    /// `VNF/VDU` or `VDU`: whose first VNFC gets it.
    pub to: SmolStr,
    pub to_port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    Tcp,
    Udp,
}

/// Day-0 medium of a VDU: what the guest finds at its first boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day0 {
    pub medium: Medium,
    pub bus: MediaBus,
    /// Volume label; `None`: the medium's own (`cidata`, `config-2`).
    pub label: Option<SmolStr>,
    /// Files on the medium. For NoCloud `user-data`, `meta-data` and `network-config` (and for
    /// config-drive `openstack/latest/...`) are made where the descriptor does not bring them.
    pub files: Vec<Day0File>,
    /// Key-value data of the descriptor (`kvp_data`), offered to templates as `params`.
    pub defaults: Vec<(SmolStr, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Medium {
    NoCloud,
    ConfigDrive,
    Iso,
    Fat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum MediaBus {
    #[default]
    Cdrom,
    Disk,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day0File {
    /// Path on the medium, `/` between parts, never absolute.
    pub path: SmolStr,
    pub source: Day0Source,
    /// Rendered as a template; else copied as it is.
    pub template: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Day0Source {
    Inline(String),
    /// Path in the package.
    Artifact(SmolStr),
}
