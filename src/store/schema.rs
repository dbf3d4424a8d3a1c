//! Which of the model's types are records, under which table, key and version.
//!
//! A change of a type's shape raises its version and reads the old shape in `upgrade`; golden bytes
//! in `tests/golden.rs` hold both.

use super::{old, record::Record, tables::Table};
use crate::model::{
    error::Result,
    id::{NsId, NsdInfoId, OpId, SegmentId, VnfId, VnfPkgId},
    ns::NsInstance,
    op::Operation,
    package::{NsDescriptor, VnfPackage},
    secret::Secret,
    segment::Segment,
    setup::HostRecord,
    step::{PlanStep, StepLog},
    vnf::{Facts, Reservation, VnfInstance},
};
use smol_str::SmolStr;

macro_rules! records {
    ($($t:ty, $table:ident, $version:literal $(<- $old:path)?, $key:ty, |$r:ident| $k:expr;)*) => {$(
        impl Record for $t {
            type Key = $key;
            const TABLE: Table = Table::$table;
            const VERSION: u8 = $version;
            fn key(&self) -> $key { let $r = self; $k }
            $(fn upgrade(version: u8, body: &[u8]) -> Result<Self> { $old(version, body) })?
        }
    )*};
}

records! {
    VnfPackage, VnfPackage, 2 <- old::package, VnfPkgId, |r| r.id;
    NsDescriptor, NsDescriptor, 1, NsdInfoId, |r| r.id;
    VnfInstance, VnfInstance, 1, VnfId, |r| r.id;
    NsInstance, NsInstance, 1, NsId, |r| r.id;
    Operation, Operation, 1, OpId, |r| r.id;
    PlanStep, PlanStep, 2 <- old::plan_step, (OpId, u32), |r| (r.op, r.index);
    StepLog, Journal, 1, (OpId, u32), |r| (r.op, r.index);
    Reservation, Reservation, 1, VnfId, |r| r.vnf;
    Segment, Segment, 1, SegmentId, |r| r.id;
    Facts, Observed, 1, (), |_r| ();
    Secret, Secret, 1, SmolStr, |r| r.name.clone();
    HostRecord, Host, 1, (), |_r| ();
}
