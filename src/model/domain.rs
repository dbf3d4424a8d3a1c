//! A guest as it shall be on the hypervisor, its disks and its day-0 medium: step data.
//!
//! Owns the specs that `vim`'s ports take. Names and places on disk follow from ids by `Layout`.
//! Never: XML, libvirt's words.

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    epa::{Epa, MOST_DEVICES, NicAttach, NicWish, PinPolicy, Placed, PlacedNic},
    hw::PageSize,
    id::{DiskId, IfName, NsId, OpId, PortId, ProjectId, VnfId, VnfcId},
    net::{MacAddr, VlanId},
    size::MiB,
    vnfd::{DiskBus, Firmware, ImageFormat, MediaBus, Medium, NicModel},
};

/// A guest: everything libvirt needs but what the host decides (accelerator, datapath).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainSpec {
    /// Also the domain's UUID; its name is `VnfcId::domain_name`.
    pub id: VnfcId,
    pub owner: Owner,
    pub vcpus: u32,
    pub memory: MiB,
    pub firmware: Firmware,
    /// Boot disk first.
    pub disks: Vec<DomainDisk>,
    pub medium: Option<DomainMedium>,
    /// In the order the guest shall see them.
    pub nics: Vec<DomainNic>,
    /// What it asks of the hardware, as far as the hypervisor does it.
    pub epa: Epa,
    /// Where it was placed; `None`: the host's scheduler decides, and every NIC is a port of the switch.
    pub placed: Option<Placed>,
}

impl DomainSpec {
    /// Where its wishes and its placement disagree: a guest with any of these is not the one that was asked for.
    pub fn misplaced(&self) -> Vec<String> {
        let mut out = Vec::new();
        for (i, n) in self.nics.iter().enumerate() {
            let given = self.placed.as_ref().and_then(|p| p.nics.get(i)).map_or(NicAttach::Switch, PlacedNic::attach);
            if given != n.wish.attach {
                out.push(format!("NIC {i} ({}) asks for {}, and was given {given}", n.mac, n.wish.attach));
            }
        }
        let wanted: usize = self.epa.devices.iter().map(|d| usize::from(d.count)).sum();
        // A package that an older release took may ask for more.
        if wanted > usize::from(MOST_DEVICES) {
            out.push(format!("it asks for {wanted} PCI devices, and a guest can have {MOST_DEVICES}"));
        }
        let devices = self.placed.as_ref().map_or(0, |p| p.devices.len());
        if wanted != devices {
            out.push(format!("it asks for {wanted} PCI devices, and {devices} were placed"));
        }
        let pinned = self.placed.as_ref().is_some_and(|p| !p.vcpus.is_empty() && p.vcpus.iter().all(|c| c.len() == 1));
        if self.epa.pinning == PinPolicy::Dedicated && !pinned {
            out.push("it asks for CPUs of its own, and was given none".into());
        }
        let page = self.placed.as_ref().map_or(PageSize::Small, |p| p.page);
        if !self.epa.pages.sizes().contains(&page) {
            out.push(format!("it asks for large pages, and was given pages of {page}"));
        }
        let Some(placed) = &self.placed else {
            if self.epa.numa.is_some() {
                out.push("it asks for NUMA nodes, and was not placed on any".into());
            }
            return out;
        };
        if placed.nics.len() != self.nics.len() {
            out.push(format!("it has {} NICs, and {} were placed", self.nics.len(), placed.nics.len()));
        }
        if !placed.vcpus.is_empty() && placed.vcpus.len() != self.vcpus as usize {
            out.push(format!("it has {} vCPUs, and {} were placed", self.vcpus, placed.vcpus.len()));
        }
        let memory: u64 = placed.cells.iter().map(|c| c.memory.0).sum();
        if memory != self.memory.0 {
            out.push(format!("it has {}, and {memory} MiB were placed", self.memory));
        }
        for (i, c) in placed.cells.iter().enumerate().filter(|(_, c)| !placed.page.divides(c.memory)) {
            out.push(format!("cell {i} has {}, which is no whole number of pages of {}", c.memory, placed.page));
        }
        if placed.io_threads.len() > usize::from(self.epa.io_threads) {
            out.push(format!("{} I/O threads were placed, and it has {}", placed.io_threads.len(), self.epa.io_threads));
        }
        out
    }
}

/// Who a guest belongs to; written into its metadata so that it can be found again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub project: ProjectId,
    pub ns: Option<NsId>,
    pub vnf: VnfId,
    /// The operation that made it.
    pub op: OpId,
    /// Generation of the store that knows it: an older store never removes newer guests.
    pub generation: u64,
    pub vnf_name: SmolStr,
    pub vdu: SmolStr,
    /// Number of this VNFC among those of its VDU, from 0.
    pub index: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainDisk {
    pub id: DiskId,
    pub bus: DiskBus,
    /// The VDU's storage id, as serial number in the guest (cut to 20 characters).
    pub serial: SmolStr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainMedium {
    pub bus: MediaBus,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainNic {
    pub port: PortId,
    pub ifname: IfName,
    pub mac: MacAddr,
    /// The segment's tag on the switch.
    pub vlan: VlanId,
    pub model: NicModel,
    pub mtu: Option<u16>,
    pub wish: NicWish,
}

/// A disk of a guest: an overlay on a stored image, or an empty volume. Always qcow2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpec {
    pub id: DiskId,
    pub size: MiB,
    pub base: Option<BaseImage>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseImage {
    pub sha256: [u8; 32],
    pub format: ImageFormat,
}

/// A day-0 medium, rendered when it is made: templates and parameters come by reference, so that
/// no secret is in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaSpec {
    pub vnfc: VnfcId,
    pub vnf: VnfId,
    pub medium: Medium,
    pub label: Option<SmolStr>,
}

/// Where things are under the data directory.
#[derive(Debug, Clone)]
pub struct Layout {
    root: Utf8PathBuf,
}

impl Layout {
    pub fn new(root: impl Into<Utf8PathBuf>) -> Self {
        Layout { root: root.into() }
    }
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }
    /// Shared read-only bases, by digest.
    pub fn image(&self, sha256: &[u8; 32]) -> Utf8PathBuf {
        self.root.join("images").join(HEXLOWER.encode(sha256))
    }
    pub fn disk(&self, id: DiskId) -> Utf8PathBuf {
        self.root.join("disks").join(format!("{id}.qcow2"))
    }
    /// A copy of a disk: a snapshot has it, or an operation that may go back to it. Beside the disks, so that it
    /// takes another name without being written anew.
    pub fn copy(&self, id: DiskId) -> Utf8PathBuf {
        self.root.join("disks").join(format!("{id}.copy"))
    }
    pub fn medium(&self, id: VnfcId) -> Utf8PathBuf {
        self.root.join("media").join(format!("{id}.iso"))
    }
    /// UEFI variables of one guest.
    pub fn nvram(&self, id: VnfcId) -> Utf8PathBuf {
        self.root.join("nvram").join(format!("{id}.fd"))
    }
    /// What the guest wrote on its serial console.
    pub fn serial_log(&self, id: VnfcId) -> Utf8PathBuf {
        self.root.join("serial").join(format!("{id}.log"))
    }
    /// Package files by digest.
    pub fn artifact(&self, sha256: &[u8; 32]) -> Utf8PathBuf {
        self.root.join("artifacts").join(HEXLOWER.encode(sha256))
    }
    /// The reserve of the file system, as a file that takes its room.
    pub fn ballast(&self) -> Utf8PathBuf {
        self.root.join("ballast")
    }
    /// Bundles of the system while they are installed.
    pub fn bundles(&self) -> Utf8PathBuf {
        self.root.join("bundles")
    }
    /// What is remembered of updates; beside the store, since a boot on trial has a copy of that.
    pub fn update_journal(&self) -> Utf8PathBuf {
        self.root.join("update").join("journal")
    }
    pub fn uploads(&self) -> Utf8PathBuf {
        self.root.join("uploads")
    }
    pub fn store(&self) -> Utf8PathBuf {
        self.root.join("store")
    }
    /// Folders that must be there before anything else runs.
    pub fn folders(&self) -> Vec<Utf8PathBuf> {
        ["images", "disks", "media", "nvram", "serial", "artifacts", "uploads", "store", "net"].iter().map(|f| self.root.join(f)).collect()
    }
}
