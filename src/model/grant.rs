//! Grants that this NFVO gives for VNFs of foreign VNFMs (SOL003 9), and the resources that grants speak of.
//!
//! Owns the records. Never: wire forms, and whether there is room.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use super::{error::FaultRecord, id::ProjectId, size::MiB, time::Stamp};

/// What a resource is (SOL003 9.5.3.2); append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResourceKind {
    Compute,
    Storage,
    Link,
    LinkPort,
}

impl ResourceKind {
    /// Which of the three sorts that filters know (SOL003 11.5.3.2).
    pub fn sort(self) -> &'static str {
        match self {
            ResourceKind::Compute => "COMPUTE",
            ResourceKind::Storage => "STORAGE",
            ResourceKind::Link | ResourceKind::LinkPort => "NETWORK",
        }
    }
}

/// `ResourceDefinition`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Unique in its request.
    pub id: SmolStr,
    pub kind: ResourceKind,
    pub vdu: Option<SmolStr>,
    /// Of the VNFD: VDU, storage, link or external connection point.
    pub template: SmolStr,
}

/// What a grant takes of the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Promised {
    pub vcpus: u32,
    pub memory: MiB,
    pub disk: MiB,
}

/// How this NFVO decided; append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// What it has to know does not answer: it is decided when the VNFM asks again.
    Open,
    Granted(Promised),
    Refused(FaultRecord),
}

/// A grant of this NFVO for a VNF of a foreign VNFM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenGrant {
    pub id: Uuid,
    pub project: ProjectId,
    /// The account that asked.
    pub vnfm: SmolStr,
    pub vnf: SmolStr,
    pub op: SmolStr,
    /// For a scaling after it, which names none.
    pub flavour: Option<SmolStr>,
    /// Links of the request: operation and instance at the VNFM.
    pub links: (String, String),
    /// The request as received (JSON text) while it is open; then nothing.
    pub request: String,
    /// Ids of its `ResourceDefinition`s.
    pub asked: AskedIds,
    pub decision: Decision,
    pub created: Stamp,
    /// What it promises is held until then, or until the VNF's termination is granted.
    pub until: Stamp,
}

/// What a VNFM was refused for want of room or quota: it is told when there is enough (SOL003 11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanting {
    /// The grant that was refused.
    pub grant: Uuid,
    pub project: ProjectId,
    pub vnfm: SmolStr,
    pub vnf: SmolStr,
    pub need: Promised,
    pub refused: Stamp,
    /// There is enough since; then it is told, and the record goes.
    pub free: Option<Stamp>,
}

impl Wanting {
    /// What of it there was too little of, perhaps.
    pub fn kinds(&self) -> Vec<ResourceKind> {
        let computes = self.need.vcpus > 0 || self.need.memory.0 > 0;
        let all = [(computes, ResourceKind::Compute), (self.need.disk.0 > 0, ResourceKind::Storage)];
        all.into_iter().filter_map(|(is, kind)| is.then_some(kind)).collect()
    }
}

/// Ids of resource definitions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AskedIds {
    pub add: Vec<SmolStr>,
    pub temp: Vec<SmolStr>,
    pub remove: Vec<SmolStr>,
    pub update: Vec<SmolStr>,
}

impl GivenGrant {
    /// What it still holds of the box.
    pub fn holds(&self, now: Stamp) -> Promised {
        match self.decision {
            Decision::Granted(p) if now < self.until => p,
            Decision::Granted(_) | Decision::Open | Decision::Refused(_) => Promised::default(),
        }
    }
}
