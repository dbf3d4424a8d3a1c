//! Which of the model's types are records, under which table, key and version.
//!
//! A change of a type's shape raises its version and reads the old shape in `upgrade`; golden bytes
//! in `tests/golden.rs` hold both.

use super::{
    news::{self, Told},
    old,
    record::Record,
    tables::Table,
    tx::Tx,
};
use crate::model::{
    abroad::{AbroadErrand, ForeignEar, ForeignVnf, ForeignVnfm},
    access::{Account, AuditEnds, AuditEntry, Project, Role, Token},
    alarm::{Alarm, AlarmList},
    artefact::Artefacts,
    capacity::CapacityThreshold,
    central::{Brought, CentralNfvo, GrantAsk, SnapshotOwner},
    chain::Chain,
    desired::DesiredRecord,
    error::Result,
    event::Event,
    grant::{GivenGrant, Wanting},
    handout::Handout,
    hostnet::HostNetRecord,
    id::{AlarmId, NfpId, NsId, NsdInfoId, OpId, PnfdInfoId, ProjectId, SegmentId, SnapshotId, VnfId, VnfPkgId},
    indicator::VnfIndicators,
    ns::NsInstance,
    op::Operation,
    own::{Errand, OwnEndpoints},
    package::{NsDescriptor, PnfDescriptor, VnfPackage},
    parts::OpParts,
    pm::{PmJob, PmReport, Threshold},
    sdn::{Controller, PortMap},
    secret::Secret,
    segment::Segment,
    setup::HostRecord,
    snapshot::VnfSnapshot,
    step::{PlanStep, StepLog},
    subscription::{DeadLetter, ElementListener, EventCount, NfvoMade, Progress, Subscription},
    vnf::{Change, Facts, Remake, Reservation, VnfInstance},
};
use smol_str::SmolStr;
use uuid::Uuid;

macro_rules! records {
    ($($t:ty, $table:ident, $version:literal $(<- $old:path)?, $key:ty, |$r:ident| $k:expr $(, $news:expr)?;)*) => {
        /// Each kind of record with the version that this release writes, as text: `Operation=1,...`
        pub fn formats() -> String {
            [$(concat!(stringify!($t), "=", stringify!($version))),*].join(",")
        }
        $(
        impl Record for $t {
            type Key = $key;
            const TABLE: Table = Table::$table;
            const VERSION: u8 = $version;
            fn key(&self) -> $key { let $r = self; $k }
            $(fn upgrade(version: u8, body: &[u8]) -> Result<Self> { $old(version, body) })?
            $(
                const TELLS: bool = true;
                fn news(before: Option<&Self>, after: Option<&Self>, tx: &Tx<'_>) -> Result<Vec<Told>> { $news(before, after, tx) }
            )?
        }
    )*};
}

records! {
    VnfPackage, VnfPackage, 7 <- old::package, VnfPkgId, |r| r.id, |b, a, _| Ok(news::of_package(b, a));
    Artefacts, Artefacts, 1, VnfPkgId, |r| r.package;
    NsDescriptor, NsDescriptor, 5 <- old::ns_descriptor, NsdInfoId, |r| r.id, |b, a, _| Ok(news::of_nsd(b, a));
    PnfDescriptor, PnfDescriptor, 2 <- old::pnf_descriptor, PnfdInfoId, |r| r.id, |b, a, _| Ok(news::of_pnfd(b, a));
    VnfInstance, VnfInstance, 2 <- old::vnf_instance, VnfId, |r| r.id, |b, a, _| Ok(news::of_instance(b, a));
    NsInstance, NsInstance, 2 <- old::ns_instance, NsId, |r| r.id, news::of_service;
    Operation, Operation, 1, OpId, |r| r.id, news::of_operation;
    PlanStep, PlanStep, 2 <- old::plan_step, (OpId, u32), |r| (r.op, r.index);
    StepLog, Journal, 1, (OpId, u32), |r| (r.op, r.index);
    Reservation, Reservation, 2 <- old::reservation, VnfId, |r| r.vnf;
    Segment, Segment, 2 <- old::segment, SegmentId, |r| r.id;
    Change, Change, 1, VnfId, |r| r.vnf;
    Remake, Remake, 2 <- old::remake, VnfId, |r| r.vnf;
    Chain, Chain, 3 <- old::chain, NfpId, |r| r.id;
    CentralNfvo, CentralNfvo, 1, SmolStr, |r| r.account.clone();
    Brought, Brought, 1, VnfPkgId, |r| r.package;
    GrantAsk, GrantAsk, 1, OpId, |r| r.op;
    OpParts, OpParts, 1, OpId, |r| r.op;
    OwnEndpoints, OwnEndpoints, 1, VnfId, |r| r.vnf;
    Errand, Errand, 1, (OpId, u32), |r| (r.op, r.step);
    SnapshotOwner, SnapshotOwner, 1, SnapshotId, |r| r.snapshot;
    ForeignVnfm, ForeignVnfm, 1, SmolStr, |r| r.account.clone();
    ForeignEar, ForeignEar, 1, SmolStr, |r| r.vnfm.clone();
    ForeignVnf, ForeignVnf, 1, VnfId, |r| r.vnf;
    AbroadErrand, AbroadErrand, 1, (OpId, u32), |r| (r.op, r.index);
    GivenGrant, GivenGrant, 1, Uuid, |r| r.id;
    Wanting, Wanting, 1, Uuid, |r| r.grant, |b, a, _| Ok(news::of_wanting(b, a));
    Facts, Observed, 1, (), |_r| ();
    HostRecord, Host, 1, (), |_r| ();
    HostNetRecord, HostNet, 2 <- old::hostnet, (), |_r| ();
    DesiredRecord, DesiredState, 2 <- old::desired, (), |_r| ();
    Handout, Handout, 1, (u8, SmolStr), |r| r.whom.key();
    Event, Outbox, 1, u64, |r| r.sequence;
    EventCount, Meta, 1, &'static str, |_r| EventCount::KEY;
    Subscription, Subscription, 3 <- old::subscription, Uuid, |r| r.id;
    NfvoMade, NfvoMade, 1, Uuid, |r| r.id;
    ElementListener, ElementListener, 1, Uuid, |r| r.subscription;
    Progress, Delivery, 1, Uuid, |r| r.subscription;
    DeadLetter, DeadLetter, 1, (Uuid, u64), |r| (r.subscription, r.event.sequence);
    Alarm, Alarm, 1, AlarmId, |r| r.id, news::of_alarm;
    AlarmList, Meta, 1, &'static str, |_r| AlarmList::KEY, |b, a, _| Ok(news::of_alarms(b, a));
    PmJob, PmJob, 1, Uuid, |r| r.id;
    PmReport, PmReport, 1, (Uuid, Uuid), |r| (r.job, r.id), news::of_report;
    VnfIndicators, Indicator, 1, VnfId, |r| r.vnf, news::of_indicators;
    Threshold, Threshold, 1, Uuid, |r| r.id, news::of_threshold;
    CapacityThreshold, CapacityThreshold, 1, Uuid, |r| r.id, |b, a, _| Ok(news::of_capacity(b, a));
    VnfSnapshot, Snapshot, 2 <- old::snapshot, SnapshotId, |r| r.id;
    Secret, Secret, 1, SmolStr, |r| r.key();
    Controller, Controller, 1, SmolStr, |r| r.name.clone();
    PortMap, PortMap, 1, SmolStr, |r| r.node.as_str().into();
    Account, Account, 1, SmolStr, |r| r.name.clone();
    Role, Role, 1, SmolStr, |r| r.name.clone();
    Project, Project, 1, ProjectId, |r| r.id;
    Token, Token, 1, [u8; 32], |r| r.sha256;
    AuditEntry, Audit, 1, u64, |r| r.sequence;
    AuditEnds, Meta, 1, &'static str, |_r| "audit.ends";
}
