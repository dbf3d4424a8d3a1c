//! Things that a path may name, and whose they are.

use uuid::Uuid;

use crate::{
    model::{
        alarm::{Alarm, Object},
        capacity::CapacityThreshold,
        chain::Chain,
        error::Result,
        grant::GivenGrant,
        id::{AlarmId, NfpId, NsId, NsdInfoId, OpId, PnfdInfoId, ProjectId, SegmentId, SnapshotId, VnfId, VnfPkgId},
        ns::NsInstance,
        op::Operation,
        package::{NsDescriptor, PnfDescriptor, VnfPackage},
        pm::{PmJob, Threshold},
        segment::Segment,
        snapshot::VnfSnapshot,
        subscription::Subscription,
        vnf::VnfInstance,
    },
    store::Store,
};

/// Whose the thing with this id is, if it is there and of one project only.
pub fn owner(s: &Store, thing: Thing) -> Result<Option<ProjectId>> {
    Ok(match thing {
        Thing::NsDescriptor(id) => s.get::<NsDescriptor>(&id)?.map(|r| r.project),
        Thing::PnfDescriptor(id) => s.get::<PnfDescriptor>(&id)?.map(|r| r.project),
        Thing::VnfPackage(id) => s.get::<VnfPackage>(&id)?.map(|r| r.project),
        Thing::Ns(id) => s.get::<NsInstance>(&id)?.map(|r| r.project),
        Thing::Vnf(id) => s.get::<VnfInstance>(&id)?.map(|r| r.project),
        Thing::Snapshot(id) => s.get::<VnfSnapshot>(&id)?.map(|r| r.project),
        Thing::Operation(id) => match s.get::<Operation>(&id)? {
            Some(o) => Some(o.project),
            None => s.get_history::<Operation>(&id)?.map(|o| o.project),
        },
        Thing::Alarm(id) => s.get::<Alarm>(&id)?.filter(|r| r.object != Object::Host).map(|r| r.project),
        Thing::PmJob(id) => s.get::<PmJob>(&id)?.map(|r| r.project),
        Thing::Threshold(id) => s.get::<Threshold>(&id)?.map(|r| r.project),
        Thing::CapacityThreshold(id) => s.get::<CapacityThreshold>(&id)?.map(|r| r.project),
        Thing::Grant(id) => s.get::<GivenGrant>(&id)?.map(|r| r.project),
        Thing::Link(id) => s.get::<Segment>(&id)?.map(|r| r.project),
        Thing::Chain(id) => s.get::<Chain>(&id)?.map(|r| r.project),
        Thing::Subscription(id) => s.get::<Subscription>(&id)?.filter(|r| !r.every_project).map(|r| r.project),
    })
}

/// An id of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    NsDescriptor(NsdInfoId),
    PnfDescriptor(PnfdInfoId),
    VnfPackage(VnfPkgId),
    Ns(NsId),
    Vnf(VnfId),
    Operation(OpId),
    Subscription(Uuid),
    Alarm(AlarmId),
    PmJob(Uuid),
    Threshold(Uuid),
    CapacityThreshold(Uuid),
    Snapshot(SnapshotId),
    Grant(Uuid),
    Link(SegmentId),
    Chain(NfpId),
}

impl Thing {
    /// What is said when it is not there.
    pub fn missing(&self) -> String {
        match self {
            Thing::NsDescriptor(id) => format!("there is no NSD {id}"),
            Thing::PnfDescriptor(id) => format!("there is no PNFD {id}"),
            Thing::VnfPackage(id) => format!("there is no VNF package {id}"),
            Thing::Ns(id) => format!("there is no NS instance {id}"),
            Thing::Vnf(id) => format!("there is no VNF instance {id}"),
            Thing::Operation(id) => format!("there is no operation {id}"),
            Thing::Subscription(id) => format!("there is no subscription {id}"),
            Thing::PmJob(id) => format!("there is no PM job {id}"),
            Thing::Threshold(id) => format!("there is no threshold {id}"),
            Thing::CapacityThreshold(id) => format!("there is no capacity threshold {id}"),
            Thing::Alarm(id) => format!("there is no alarm {id}"),
            Thing::Snapshot(id) => format!("there is no VNF snapshot {id}"),
            Thing::Grant(id) => format!("there is no grant {id}"),
            Thing::Link(id) => format!("there is no virtual link {id}"),
            Thing::Chain(id) => format!("there is no chain {id}"),
        }
    }
}
