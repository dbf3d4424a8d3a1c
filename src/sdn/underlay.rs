//! Connectivity outside the box: the service of each link that guests reach by functions of a card. Pure.
//!
//! ```text
//!            planned, on its way out,                as it shall be,
//!            no VLAN to set      every port is set   a port is down    it cannot be
//!   state:   INACTIVE            ACTIVE              DOWN              ERROR
//! ```
//! Owns: which port of which switch a link's functions hang on, what is set there, and what a service's
//! state follows from. A VF's frames have their link's tag on the wire; a whole function's have none. Never:
//! how a controller does it.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::connector::{Desired, Look, PortState, PortVlans};
use crate::model::{
    error::{Fault, Result},
    hw::PciAddr,
    id::{ProjectId, SegmentId, VnfId},
    net::VlanId,
    sdn::{Controller, OutsidePort, PortMap, mapped},
    segment::{Segment, SegmentState},
};

/// What there is outside the box, as far as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Underlay {
    /// This box in port maps.
    pub node: SmolStr,
    /// Of two that serve a network, the first counts.
    pub controllers: Vec<Controller>,
    pub maps: Vec<PortMap>,
}

/// A function of a card that is a guest's NIC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    pub vnf: VnfId,
    /// For people: `vnf/vdu/0: cp`.
    pub name: String,
    pub segment: SegmentId,
    pub function: PciAddr,
    pub card: PciAddr,
    /// Not one of many of its card.
    pub whole: bool,
}

/// What a port of a switch is there for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// For people.
    pub name: String,
    /// `None`: where the network goes on.
    pub function: Option<PciAddr>,
    pub at: OutsidePort,
    pub tagged: bool,
}

/// A link outside the box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub id: SegmentId,
    pub project: ProjectId,
    pub link: SmolStr,
    pub network: SmolStr,
    pub controller: SmolStr,
    /// `None`: the link's frames have no tag on the network, and nothing is set for it.
    pub vlan: Option<VlanId>,
    pub ends: Vec<End>,
    pub leaving: bool,
    /// What keeps it from being whole.
    pub faults: Vec<String>,
}

impl Underlay {
    pub fn controller_of(&self, network: &str) -> Option<&Controller> {
        self.controllers.iter().find(|c| c.networks.iter().any(|n| n == network))
    }

    /// Where a function of a network hangs; `None`: nobody has its switches set. A function that is in no
    /// map, or on a switch that the network's controller does not have, is refused.
    pub fn port_of(&self, network: &str, function: PciAddr, card: PciAddr) -> Result<Option<OutsidePort>> {
        let Some(controller) = self.controller_of(network) else { return Ok(None) };
        let Some(line) = mapped(&self.maps, &self.node, function, card) else {
            return Err(Fault::invalid(format!(
                "controller {} has the switches of physical network '{network}', and no port map of '{}' says on which port {function} (of {card}) hangs: add it with 'bothy sdn portmap set', or to sdn_portmap",
                controller.name, self.node
            )));
        };
        if !controller.datapaths.contains(&line.at.switch) {
            return Err(Fault::invalid(format!(
                "the port map puts {function} on switch {}, which is none of the datapaths of controller {} ({}) that has physical network '{network}'",
                line.at.switch,
                controller.name,
                controller.datapaths.join(", ")
            )));
        }
        Ok(Some(line.at.clone()))
    }

    /// The services of all links, in the order of these.
    pub fn services(&self, segments: &[Segment], nics: &[Nic]) -> Vec<Service> {
        let mut all: Vec<Service> = segments.iter().filter_map(|s| self.service(s, nics)).collect();
        refuse_clashes(&mut all);
        all
    }

    fn service(&self, s: &Segment, nics: &[Nic]) -> Option<Service> {
        let network = s.profile.physical.clone()?;
        let controller = self.controller_of(&network)?;
        let mine: Vec<&Nic> = nics.iter().filter(|n| n.segment == s.id).collect();
        if mine.is_empty() {
            return None;
        }
        let mut faults = Vec::new();
        let mut ends = Vec::new();
        for n in mine {
            match self.port_of(&network, n.function, n.card) {
                Ok(Some(at)) => ends.push(End { name: n.name.clone(), function: Some(n.function), at, tagged: !n.whole }),
                Ok(None) => {}
                Err(fault) => faults.push(format!("{}: {}", n.name, fault.text())),
            }
        }
        let beyond = |at: &OutsidePort| End { name: format!("{network} beyond"), function: None, at: at.clone(), tagged: true };
        ends.extend(controller.external.iter().map(beyond));
        Some(Service {
            id: s.id,
            project: s.project,
            link: s.link.clone(),
            controller: controller.name.clone(),
            vlan: s.profile.segmentation.and_then(|v| v.try_into().ok()),
            network,
            ends,
            leaving: s.state == SegmentState::Leaving,
            faults,
        })
    }
}

impl Service {
    /// It wants something of its controller.
    fn is_wanted(&self) -> Option<VlanId> {
        self.vlan.filter(|_| !self.leaving)
    }
}

/// A port has one VLAN without a tag: of two services that want one, the first has it.
fn refuse_clashes(all: &mut [Service]) {
    let mut natives: BTreeMap<(SmolStr, OutsidePort), (VlanId, SmolStr)> = BTreeMap::new();
    for s in all {
        let Some(vlan) = s.is_wanted() else { continue };
        for e in s.ends.iter().filter(|e| !e.tagged) {
            let (has, by) = natives.entry((s.controller.clone(), e.at.clone())).or_insert((vlan, s.link.clone()));
            if *has != vlan {
                s.faults.push(format!("{}: port {} has the untagged VLAN {has} of link {by} already", e.name, e.at));
            }
        }
    }
}

/// The whole of what a controller shall have.
pub fn desired(controller: &str, services: &[Service]) -> Desired {
    let mut all = Desired::new();
    for s in services.iter().filter(|s| s.controller == controller) {
        let Some(vlan) = s.is_wanted() else { continue };
        for e in &s.ends {
            let port: &mut PortVlans = all.entry(e.at.clone()).or_default();
            if e.tagged {
                port.tagged.insert(vlan);
            } else if port.native.is_none() {
                port.native = Some(vlan);
            }
        }
    }
    // Without a tag is as it is where a port shall have a VLAN both ways.
    for p in all.values_mut() {
        p.tagged.retain(|v| Some(*v) != p.native);
    }
    all
}

/// OSM's words for the state of a connectivity service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    Active,
    Inactive,
    Down,
    Error,
}

impl ServiceState {
    pub fn word(self) -> &'static str {
        match self {
            ServiceState::Active => "ACTIVE",
            ServiceState::Inactive => "INACTIVE",
            ServiceState::Down => "DOWN",
            ServiceState::Error => "ERROR",
        }
    }
}

/// What is known of a controller: the last look at it, or why there is none.
pub type Seen = std::result::Result<Look, String>;

/// The state of a service, and why.
pub fn state(s: &Service, seen: Option<&Seen>) -> (ServiceState, String) {
    if !s.faults.is_empty() {
        return (ServiceState::Error, s.faults.join("; "));
    }
    if s.leaving {
        return (ServiceState::Inactive, "the link is being taken away".into());
    }
    if s.vlan.is_none() {
        return (ServiceState::Inactive, format!("the link has no VLAN on '{}' (segmentation_id): there is nothing to set", s.network));
    }
    let look = match seen {
        None => return (ServiceState::Inactive, format!("controller {} was not asked yet", s.controller)),
        Some(Err(why)) => return (ServiceState::Error, format!("controller {}: {why}", s.controller)),
        Some(Ok(look)) => look,
    };
    let (mut down, mut faults, mut waits) = (Vec::new(), Vec::new(), Vec::new());
    for e in &s.ends {
        match look.ports.get(&e.at) {
            Some(PortState::Fault(why)) => faults.push(format!("port {}: {why}", e.at)),
            Some(PortState::Down(why)) => down.push(format!("port {}: {why}", e.at)),
            Some(PortState::Up) => {}
            None => waits.push(format!("port {} was not looked at yet", e.at)),
        }
        if let Some(d) = look.differs.iter().find(|d| d.at == e.at) {
            waits.push(format!("port {} has {}, and shall have {}", d.at, d.is, d.wanted));
        }
    }
    for (all, state) in [(faults, ServiceState::Error), (waits, ServiceState::Inactive), (down, ServiceState::Down)] {
        if !all.is_empty() {
            return (state, all.join("; "));
        }
    }
    (ServiceState::Active, String::new())
}

#[cfg(test)]
#[path = "underlay_tests.rs"]
mod tests;
