//! How the host was set up by Bothy, as a record: what undo puts back.
//!
//! Owns the pools of hugepages as the configuration names them, and the record. Never: decides.

use serde::{Deserialize, Serialize};

use super::{
    host::{HostSetting, NodeId},
    hw::{PageSize, PciAddr},
};

/// Reserved pages of one size on one NUMA node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PagePool {
    pub node: NodeId,
    pub size: PageSize,
    pub pages: u64,
}

/// What `bothy host apply` changed. There is one or none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostRecord {
    /// Live settings as they were made, to be made again after each boot: the kernel forgets them.
    pub made: Vec<HostSetting>,
    /// Each thing as it was before Bothy's first change to it, in the order of the changes.
    pub before: Vec<HostSetting>,
    /// The boot loader's arguments before Bothy's first change to them.
    pub args_before: Option<String>,
}

/// What a setting is about: two of the same target are one thing before and after.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingTarget {
    Pages(NodeId, PageSize),
    Pf(PciAddr),
    /// By its first CPU.
    Governor(Option<u16>),
    Irq(u32),
}

impl HostSetting {
    pub fn target(&self) -> SettingTarget {
        match self {
            HostSetting::HugePages { node, size, .. } => SettingTarget::Pages(*node, *size),
            HostSetting::Vfs { pf, .. } => SettingTarget::Pf(*pf),
            HostSetting::Governor { cpus, .. } => SettingTarget::Governor(cpus.first()),
            HostSetting::Irq { number, .. } => SettingTarget::Irq(*number),
        }
    }
}
