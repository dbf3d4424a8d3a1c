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
    /// Granted too. `takes`: while its operation is under way; after that the VNF has so much more, and so much less.
    Weighed {
        takes: Promised,
        more: Promised,
        less: Promised,
    },
}

impl Decision {
    /// What is taken of the box by it; `None`: it is not granted.
    pub fn takes(&self) -> Option<Promised> {
        match self {
            Decision::Granted(takes) | Decision::Weighed { takes, .. } => Some(*takes),
            Decision::Open | Decision::Refused(_) => None,
        }
    }
}

impl Promised {
    pub fn plus(self, p: Promised) -> Promised {
        Promised { vcpus: self.vcpus.saturating_add(p.vcpus), memory: self.memory.plus(p.memory), disk: self.disk.plus(p.disk) }
    }
    /// What is left when that is given back.
    pub fn minus(self, p: Promised) -> Promised {
        let less = |a: MiB, b: MiB| MiB(a.0.saturating_sub(b.0));
        Promised { vcpus: self.vcpus.saturating_sub(p.vcpus), memory: less(self.memory, p.memory), disk: less(self.disk, p.disk) }
    }
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
        self.decision.takes().filter(|_| now < self.until).unwrap_or_default()
    }
    /// It holds what the VNF has as long as that is there.
    pub fn stands(&self) -> bool {
        self.until == GivenGrant::STANDING
    }
    /// `until` of what a VNF has as long as it is there: one of its grants at most.
    pub const STANDING: Stamp = Stamp(u64::MAX);
}
