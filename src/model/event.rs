//! What happened that others may want to hear of.
//!
//! Owns the events that are stored with the change they tell of, and what filters look at. Never: who
//! wants to hear of it (that is `subscription`), how it is told on the wire.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use super::{
    alarm::{Alarm, Object},
    capacity::CapacityNews,
    error::FaultRecord,
    grant::ResourceKind,
    id::{NsId, NsdInfoId, OpId, PnfdInfoId, ProjectId, VnfId, VnfPkgId},
    indicator::IndicatorNews,
    op::{NsOpState, OpKind, OpState, Target, VnfOpState},
    package::Operational,
    pm::PmNews,
    time::Stamp,
};

/// What happened; append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// An operation entered a state.
    Op(OpNews),
    VnfMade(VnfId),
    VnfGone(VnfId),
    NsMade(NsId),
    NsGone(NsId),
    Package(VnfPkgId, CatalogueNews),
    Nsd(NsdInfoId, CatalogueNews),
    /// An alarm is new or was changed; as it was then.
    AlarmRaised(Box<Alarm>),
    AlarmCleared(Box<Alarm>),
    /// The list of alarms was made anew: whoever has a copy reads it again.
    AlarmsRebuilt,
    Performance(PmNews),
    Pnfd(PnfdInfoId, CatalogueNews),
    Indicator(IndicatorNews),
    /// There is room and quota again for what this grant was refused for.
    Room {
        grant: Uuid,
        kinds: Vec<ResourceKind>,
    },
    Capacity(CapacityNews),
    /// An operation of a service's member that is no part of one of the service entered a state.
    Part(PartNews),
}

/// A service as it is touched by an operation of its member (SOL005 6.5.2.9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartNews {
    pub ns: NsId,
    pub vnf: VnfId,
    pub op: OpId,
    pub kind: OpKind,
    pub state: VnfOpState,
    /// The operation's own count of its states.
    pub sequence: u32,
    pub error: Option<FaultRecord>,
}

impl PartNews {
    /// `nsComponentType`: there are no nested services, and PNFs have no operations.
    pub const KIND: &'static str = "VNF";

    /// Whether it is told: its begin, and its end.
    pub fn is_told(state: VnfOpState) -> bool {
        match state {
            VnfOpState::Processing | VnfOpState::Completed | VnfOpState::Failed | VnfOpState::RolledBack => true,
            VnfOpState::Starting | VnfOpState::FailedTemp | VnfOpState::RollingBack => false,
        }
    }
    /// `LcmOpNameForChangeNotificationType`.
    pub fn operation(&self) -> SmolStr {
        smol_str::format_smolstr!("{}_{}", Self::KIND, self.kind.name())
    }
    /// `LcmOpOccStatusForChangeNotificationType`.
    pub fn status(&self) -> &'static str {
        match self.state {
            VnfOpState::Starting | VnfOpState::Processing | VnfOpState::RollingBack => "START",
            VnfOpState::Completed => "COMPLETED",
            VnfOpState::Failed | VnfOpState::FailedTemp => "FAILED",
            VnfOpState::RolledBack => "ROLLED_BACK",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpNews {
    pub op: OpId,
    pub target: Target,
    pub kind: OpKind,
    pub state: OpState,
    /// The operation's own count of its states.
    pub sequence: u32,
    pub automatic: bool,
    pub error: Option<FaultRecord>,
}

/// Append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CatalogueNews {
    Onboarded,
    Failed(FaultRecord),
    Operational(Operational),
    Gone,
}

/// `notificationStatus` (SOL003 5.5.2.17, SOL005 6.5.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Start,
    Result,
}

impl OpNews {
    pub fn status(&self) -> Status {
        match self.state {
            OpState::Vnf(VnfOpState::Starting | VnfOpState::Processing | VnfOpState::RollingBack)
            | OpState::Ns(NsOpState::Processing | NsOpState::RollingBack) => Status::Start,
            OpState::Vnf(VnfOpState::Completed | VnfOpState::FailedTemp | VnfOpState::Failed | VnfOpState::RolledBack)
            | OpState::Ns(
                NsOpState::Completed | NsOpState::PartiallyCompleted | NsOpState::FailedTemp | NsOpState::Failed | NsOpState::RolledBack,
            ) => Status::Result,
        }
    }
}

/// What of the thing concerned filters may look at, as it was then: it may be gone when they do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The instance's or the resource's id.
    pub id: Uuid,
    pub name: SmolStr,
    /// Its VNFD's, NSD's or PNFD's id.
    pub descriptor: SmolStr,
    pub provider: SmolStr,
    pub product: SmolStr,
    pub software_version: SmolStr,
    pub descriptor_version: SmolStr,
    /// VNFDs that an NSD names; of an NSD itself also the packages that have them, by their ids.
    pub vnfds: Vec<SmolStr>,
    pub invariant: SmolStr,
    /// Which VNFMs a package is for; the accounts of a VNF's element managers, and of the central NFVO that owns it.
    pub managers: Vec<SmolStr>,
    pub operational: Option<Operational>,
    pub in_use: bool,
}

/// An event as a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Grows by one with each event of this store.
    pub sequence: u64,
    /// Whose the thing concerned is.
    pub project: ProjectId,
    /// When it happened; what has no stamp of its own gets one when it is first looked at.
    pub at: Option<Stamp>,
    pub news: News,
    pub about: About,
}

impl Event {
    /// The VNF that it tells of.
    pub fn vnf(&self) -> Option<VnfId> {
        match &self.news {
            News::Op(o) => match o.target {
                Target::Vnf(id) => Some(id),
                Target::Ns(_) | Target::Pf(_) => None,
            },
            News::VnfMade(id) | News::VnfGone(id) => Some(*id),
            News::AlarmRaised(a) | News::AlarmCleared(a) => match a.object {
                Object::Vnf(id) => Some(id),
                Object::Ns(_) | Object::Host => None,
            },
            News::Performance(PmNews::Ready { object_type, object, .. } | PmNews::Crossed { object_type, object, .. }) => {
                (!object_type.of_service()).then_some(VnfId(*object))
            }
            News::Indicator(IndicatorNews::Value { vnf, .. } | IndicatorNews::Supported { vnf, .. }) => Some(*vnf),
            News::NsMade(_)
            | News::NsGone(_)
            | News::Package(..)
            | News::Nsd(..)
            | News::Pnfd(..)
            | News::AlarmsRebuilt
            | News::Capacity(_)
            | News::Part(_)
            | News::Room { .. } => None,
        }
    }

    /// What the id of its notifications is made of: the same for each repeat and each subscriber.
    pub fn identity(&self) -> String {
        match &self.news {
            News::Op(o) => format!("op {} {} {}", o.op, o.state.name(), o.sequence),
            News::VnfMade(id) => format!("vnf {id} made"),
            News::VnfGone(id) => format!("vnf {id} gone"),
            News::NsMade(id) => format!("ns {id} made"),
            News::NsGone(id) => format!("ns {id} gone"),
            News::Package(id, _) => format!("package {id} {}", self.sequence),
            News::Nsd(id, _) => format!("nsd {id} {}", self.sequence),
            News::Pnfd(id, _) => format!("pnfd {id} {}", self.sequence),
            News::AlarmRaised(a) => format!("alarm {} {}", a.id, a.revision),
            News::AlarmCleared(a) => format!("alarm {} cleared", a.id),
            News::Performance(PmNews::Ready { report, object, .. }) => format!("report {report} {object}"),
            News::Performance(PmNews::Crossed { threshold, crossing, .. }) => format!("threshold {threshold} {}", crossing.number),
            News::Indicator(IndicatorNews::Value { vnf, id, .. }) => format!("indicator {vnf} {id} {}", self.sequence),
            News::Indicator(IndicatorNews::Supported { vnf, .. }) => format!("indicators {vnf} {}", self.sequence),
            News::Capacity(n) => format!("capacity threshold {} {}", n.threshold, n.crossing.number),
            News::Room { grant, .. } => format!("room for {grant} {}", self.sequence),
            News::Part(p) => format!("part {} of {} {} {}", p.op, p.ns, p.state.name(), p.sequence),
            News::AlarmsRebuilt => format!("alarms rebuilt {}", self.sequence),
        }
    }
}
