//! The types of keys that speak of the box: CPU sets, pools of pages, PFs, ports that are reached from outside.
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
    net::Cidr,
    opening::Opening,
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

impl Setting for Opening {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        let mut t = at.table(v, &["protocol", "port", "at", "from"])?;
        let (protocol, port): (Option<SmolStr>, Option<u64>) = (t.need("protocol"), t.need("port"));
        let (at, from): (Option<SmolStr>, Option<Vec<Cidr>>) = (t.may("at"), t.may("from"));
        let tcp = match protocol?.as_str() {
            "tcp" => true,
            "udp" => false,
            other => {
                t.fault("protocol", format!("'{other}' is neither \"tcp\" nor \"udp\""));
                return None;
            }
        };
        let Some(port) = port.and_then(|p| u16::try_from(p).ok()).filter(|p| *p > 0) else {
            t.fault("port", "is not the number of a port (1 to 65535)");
            return None;
        };
        let at = match at.map(|a| a.parse()).transpose() {
            Ok(at) => at,
            Err(_) => {
                t.fault("at", "is not an address of the box, such as \"192.0.2.1\"");
                return None;
            }
        };
        Some(Opening { tcp, port, at, from: from.unwrap_or_default() })
    }
    fn show(&self) -> String {
        let protocol = if self.tcp { "tcp" } else { "udp" };
        let at = self.at.map(|a| format!(", at = {}", quoted(&a.to_string()))).unwrap_or_default();
        let from = if self.from.is_empty() { String::new() } else { format!(", from = {}", self.from.show()) };
        format!("{{ protocol = \"{protocol}\", port = {}{at}{from} }}", self.port)
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
    /// What of outside reaches the box itself: that is somebody else's, or only what is listened on or named; or as the host is.
    #[derive(Default)]
    Inbound {
        #[default]
        Auto = "auto",
        Off = "off",
        Deny = "deny",
    }
}
