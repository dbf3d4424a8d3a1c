//! NS descriptors as Bothy runs them (IFA014, SOL001 clause 7, SOL006).
//!
//! Owns members, links, service access points and their order. Never: files or wire shapes.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    chain::{Classifier, HopKind, OnLoss},
    vnfd::LinkProfile,
};
use crate::model::order::Order as _;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nsd {
    /// `nsdId`: chosen by the author, names this version.
    pub id: SmolStr,
    pub invariant_id: SmolStr,
    pub name: SmolStr,
    pub designer: SmolStr,
    pub version: SmolStr,
    pub default_flavour: SmolStr,
    pub flavours: Vec<NsFlavour>,
}

impl Nsd {
    pub fn flavour(&self, id: &str) -> Option<&NsFlavour> {
        self.flavours.iter().find(|f| f.id == id)
    }
    /// The VNFDs that must be onboarded, each once.
    pub fn vnfd_ids(&self) -> Vec<SmolStr> {
        let mut ids: Vec<SmolStr> = self.flavours.iter().flat_map(|f| &f.members).map(|m| m.vnfd_id.clone()).collect();
        ids.order();
        ids.dedup();
        ids
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NsFlavour {
    pub id: SmolStr,
    pub members: Vec<Member>,
    pub links: Vec<NsLink>,
    pub saps: Vec<Sap>,
    pub default_level: SmolStr,
    /// At least one: where the descriptor has none, `default` with each member's minimum.
    pub levels: Vec<NsLevel>,
    pub paths: Vec<ForwardingPath>,
    pub aspects: Vec<NsAspect>,
    /// Functions that the descriptor describes and that are on no path yet.
    pub spare: Vec<PathHop>,
    pub pnfs: Vec<Pnf>,
}

/// A scaling aspect (NsScalingAspect, IFA014 6.7.6): how many of some members each of its levels has, level 0
/// first. No member is in two of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NsAspect {
    pub id: SmolStr,
    pub name: SmolStr,
    pub levels: Vec<Vec<(SmolStr, u32)>>,
}

impl NsAspect {
    /// The level at which there are so many of each of its members.
    pub fn level(&self, count: impl Fn(&str) -> u32) -> Option<usize> {
        self.levels.iter().position(|l| l.iter().all(|(m, n)| count(m) == *n))
    }
}

/// A network forwarding path of a VNFFG (NFP, IFA014 6.4.3): one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardingPath {
    pub id: SmolStr,
    /// The VNFFG's id.
    pub vnffg: SmolStr,
    pub classifiers: Vec<Classifier>,
    pub from: MemberCp,
    pub hops: Vec<PathHop>,
    pub to: MemberCp,
    pub symmetric: bool,
    pub on_loss: OnLoss,
    /// Seconds; `None`: the usual.
    pub drain_s: Option<u32>,
}

impl ForwardingPath {
    /// Every connection point that it names.
    pub fn cps_mut(&mut self) -> impl Iterator<Item = &mut MemberCp> {
        [&mut self.from, &mut self.to].into_iter().chain(self.hops.iter_mut().flat_map(|h| [&mut h.entry, &mut h.exit]))
    }
}

/// A connection point of a member or a PNF; or a service access point, which has no `cp`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberCp {
    pub member: SmolStr,
    pub cp: SmolStr,
}

/// A function on a path: in by one connection point of a member and out by another, or the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathHop {
    pub kind: HopKind,
    pub entry: MemberCp,
    pub exit: MemberCp,
}

/// A VNF of the service: VNF profile and its connectivity (IFA014 6.3.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// `vnfProfileId`; OSM's member-vnf-index.
    pub id: SmolStr,
    pub vnfd_id: SmolStr,
    pub flavour: Option<SmolStr>,
    pub level: Option<SmolStr>,
    pub min_instances: u32,
    pub max_instances: u32,
    /// Which link each external connection point is attached to, with a fixed address if any.
    pub attach: Vec<Attach>,
    /// Started after these members are ready.
    pub after: Vec<SmolStr>,
    /// Starts of lower numbers come first after a reboot; 0 where the descriptor says nothing.
    pub priority: u32,
}

/// A physical box of the service: PNF profile (IFA014 6.3.6). Each of its links has the physical network that it
/// is plugged into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pnf {
    /// `pnfProfileId`.
    pub id: SmolStr,
    pub pnfd_id: SmolStr,
    pub attach: Vec<Attach>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    pub ext_cp: SmolStr,
    pub link: SmolStr,
    pub addresses: Vec<std::net::IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NsLink {
    /// `virtualLinkDescId` / profile id.
    pub id: SmolStr,
    pub description: SmolStr,
    pub profile: LinkProfile,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sap {
    pub id: SmolStr,
    pub link: SmolStr,
}

/// How many of each member (member id, count).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NsLevel {
    pub id: SmolStr,
    pub description: SmolStr,
    pub counts: Vec<(SmolStr, u32)>,
}
