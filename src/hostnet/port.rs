//! What the host's network asks of the box: the daemon that runs it, and the ports there are.

use std::time::Duration;

use smol_str::SmolStr;

use super::NetFile;
use crate::model::{
    error::Result,
    hostnet::Device,
    id::IfName,
    net::{Cidr, MacAddr},
    uplink::{DefaultRoute, ProbeTarget},
};

/// A port of the box itself; virtual functions and what Bothy or libvirt has made are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub name: IfName,
    pub mac: Option<MacAddr>,
    pub has_link: bool,
}

impl Port {
    pub fn is(&self, d: &Device) -> bool {
        match d {
            Device::Name(name) => self.name == *name,
            Device::Mac(mac) => self.mac == Some(*mac),
        }
    }
}

/// The network daemon of the host.
pub trait NetDaemon: Send + Sync {
    /// The configuration leaves the host's network to Bothy.
    fn is_ours(&self) -> bool;
    /// Why the host's network is not Bothy's to set; `None`: it is.
    fn refuses(&self) -> Result<Option<String>>;
    fn ports(&self) -> Result<Vec<Port>>;
    /// Addresses as they are now, of every interface.
    fn addresses(&self) -> Result<Vec<(IfName, Cidr)>>;
    /// These files of Bothy's and no others count from now on, until the box restarts. Done when the daemon has read them.
    fn show(&self, files: &[NetFile]) -> Result<()>;
    /// These count from each start of the box on, before anything else of Bothy runs. None: the system's own.
    fn keep(&self, files: &[NetFile]) -> Result<()>;
    /// Which boot this is, and for how many seconds it has run.
    fn boot(&self) -> Result<(SmolStr, u64)>;
}

/// Something that is asked by one interface, whatever the routes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub device: IfName,
    pub target: ProbeTarget,
}

/// Why it was in vain.
pub type Answer = std::result::Result<(), String>;

/// The ways out of the box: what answers through them, and which of them the kernel takes.
pub trait WaysOut: Send + Sync {
    /// All at one time; each answer at its place.
    fn ask(&self, asked: &[Ask], wait: Duration) -> Vec<Answer>;
    fn interfaces(&self) -> Result<Vec<(u32, IfName)>>;
    /// Default routes of both families.
    fn routes(&self) -> Result<Vec<DefaultRoute>>;
    /// One that is there already is success.
    fn add_route(&self, r: &DefaultRoute) -> Result<()>;
    /// One that is gone already is success.
    fn remove_route(&self, r: &DefaultRoute) -> Result<()>;
}

/// The kernel's filter of what comes to the box and through it.
pub trait PacketFilter: Send + Sync {
    /// Bothy's table has these chains and no others, swapped in one transaction; `None`: it is not there. True: it was otherwise.
    fn ensure(&self, rules: Option<&str>) -> Result<bool>;
}
