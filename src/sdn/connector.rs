//! The port to the controllers of switches outside the box: one `Connector` each.
//!
//! Owns the words between the keeper of services (`vim::outside`) and a connector: what a controller's ports
//! shall be, what differs, how its ports do. A connector shows the whole difference (`look`), and swaps the
//! whole desired state in (`apply`). Never: which link wants what.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use crate::model::{
    error::Result,
    net::VlanId,
    sdn::{Controller, OutsidePort},
};

/// What one port of a switch shall carry for Bothy, beside what it carries for others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortVlans {
    /// Of frames without a tag.
    pub native: Option<VlanId>,
    pub tagged: BTreeSet<VlanId>,
}

impl PortVlans {
    pub fn is_empty(&self) -> bool {
        self.native.is_none() && self.tagged.is_empty()
    }
    pub fn vlans(&self) -> impl Iterator<Item = VlanId> + '_ {
        self.native.into_iter().chain(self.tagged.iter().copied())
    }
}

/// For people: `VLAN 7 untagged, VLANs 8,9 tagged`.
impl fmt::Display for PortVlans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tagged: Vec<String> = self.tagged.iter().map(ToString::to_string).collect();
        let native = self.native.map(|v| format!("VLAN {v} untagged"));
        let tagged = (!tagged.is_empty()).then(|| format!("VLAN {} tagged", tagged.join(",")));
        let parts: Vec<String> = native.into_iter().chain(tagged).collect();
        f.write_str(if parts.is_empty() { "nothing" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

/// The whole of what a controller shall have for Bothy; a port that is not named shall have nothing.
pub type Desired = BTreeMap<OutsidePort, PortVlans>;

/// One port that is not as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub at: OutsidePort,
    /// For people.
    pub is: String,
    pub wanted: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortState {
    Up,
    /// As it shall be, but nothing passes, and why.
    Down(String),
    /// It cannot be as it shall be, and why.
    Fault(String),
}

/// A request that would be made, as it would be made; credentials are not part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    pub method: &'static str,
    pub url: String,
    /// Empty: there is none.
    pub body: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    pub differs: Vec<Difference>,
    /// Each desired port.
    pub ports: BTreeMap<OutsidePort, PortState>,
    /// What `apply` would send now, in this order, where a controller is spoken to by single requests.
    pub sends: Vec<Sending>,
}

/// One controller. Calls take seconds at most.
pub trait Connector: Send + Sync {
    /// What is not as it shall be, and how the ports do. Changes nothing.
    fn look(&self, desired: &Desired) -> Result<Look>;
    /// All that can be is as it shall be, and what others wrote is as it was.
    fn apply(&self, desired: &Desired) -> Result<()>;
}

/// What a connector is opened with.
pub struct Opening {
    /// Marks what this box wrote: several may share a switch.
    pub owner: String,
    /// The password of a login.
    pub secret: Option<String>,
    /// Called when something may have changed at the controller; must only post it.
    pub news: Box<dyn Fn() + Send + Sync>,
}

/// Makes connectors.
pub trait Connectors: Send + Sync {
    /// Returns at once: a controller that does not answer is a fault of `look`.
    fn open(&self, controller: &Controller, with: Opening) -> Result<Arc<dyn Connector>>;
}
