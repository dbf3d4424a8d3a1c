//! The types of keys that speak of hardware: CPU sets, pools of pages, PFs.
//!
//! Owns how each is read and shown. Never: whether the host has them.

use smol_str::SmolStr;
use toml::de::DeValue;

use super::{
    keys::{Setting, quoted, text, words},
    read::At,
};
use crate::model::{
    host::{NodeId, PfName},
    hw::{CpuSet, PageSize},
    setup::PagePool,
    size::Bytes,
};

impl Setting for CpuSet {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        match text(v, at, "a list of CPUs such as \"0-3,8\"")?.parse() {
            Ok(set) => Some(set),
            Err(fault) => {
                at.fault(fault.text());
                None
            }
        }
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for PagePool {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        let mut t = at.table(v, &["node", "size", "pages"])?;
        let (node, size, pages): (Option<u64>, Option<SmolStr>, Option<u64>) = (t.need("node"), t.need("size"), t.need("pages"));
        let size = size?;
        let known = size.parse::<Bytes>().ok().and_then(|b| PageSize::from_kib(b.0 / 1024)).filter(|s| s.is_huge());
        let Some(size) = known else {
            t.fault("size", format!("'{size}' is neither \"2 MiB\" nor \"1 GiB\""));
            return None;
        };
        let Ok(node) = u16::try_from(node?) else {
            t.fault("node", "is not the number of a NUMA node");
            return None;
        };
        Some(PagePool { node: NodeId(node), size, pages: pages? })
    }
    fn show(&self) -> String {
        format!("{{ node = {}, size = {}, pages = {} }}", self.node, quoted(&self.size.to_string()), self.pages)
    }
}

/// A physical function with the VFs it should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPf {
    pub name: PfName,
    pub vfs: u16,
    /// The physical network it is on, as descriptors name it.
    pub network: Option<SmolStr>,
}

impl Setting for HostPf {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        let mut t = at.table(v, &["name", "vfs", "network"])?;
        let (name, vfs): (Option<SmolStr>, Option<u64>) = (t.need("name"), t.need("vfs"));
        let network = t.may("network");
        let name = match name?.parse::<PfName>() {
            Ok(name) => name,
            Err(fault) => {
                t.fault("name", format!("{}; a PF is named by its interface or its PCI address", fault.text()));
                return None;
            }
        };
        // PCI Express has 65535, the largest NICs some hundreds.
        let Ok(vfs) = u16::try_from(vfs?) else {
            t.fault("vfs", "is more than any PF has");
            return None;
        };
        Some(HostPf { name, vfs, network })
    }
    fn show(&self) -> String {
        let network = self.network.as_ref().map(|n| format!(", network = {}", quoted(n))).unwrap_or_default();
        format!("{{ name = {}, vfs = {}{network} }}", quoted(&self.name.to_string()), self.vfs)
    }
}

words! {
    /// What the box is tuned for.
    #[derive(Default)]
    HostProfile {
        #[default]
        None = "none",
        Throughput = "throughput",
        Realtime = "realtime",
    }
    /// Who sets the addresses of the box's own ports: somebody else, or Bothy by systemd-networkd.
    #[derive(Default)]
    NetManager {
        #[default]
        Off = "off",
        Networkd = "networkd",
    }
}
