//! SOL003 as the VNFM serves it: vnflcm, vnffm, vnfpm and vnfind. What SOL002 has of it is served by `sol002` with the same handlers.

mod connect;
mod flavour;
mod package;
pub(super) mod snapshots;
pub(super) mod vnflcm;
pub(super) mod vnflcm_ops;

use super::{
    alarms::{self, Of},
    convert::vnf::Dialect,
    indicators, older, pm,
    routes::Routes,
    subscriptions,
    version::{VNFFM, VNFLCM, VNFLCM_FIRST, VNFPM, VNFPM_FIRST},
};
use crate::{
    model::subscription::Source,
    sol::{fm::FmFilter, subscription::VnfLcmFilter},
};

pub fn routes() -> Routes {
    VNFLCM
        .and_before(&[&VNFLCM_FIRST])
        .and(VNFPM.and_before(&[&VNFPM_FIRST]))
        .and(older::vnfm())
        .and(common(Dialect::Sol003))
        .and(snapshots::beyond())
        .and(alarms::routes(Of::Vnf, "/vnffm/v1/alarms", "/vnffm/v1/alarms/{alarmId}"))
}

/// What SOL002 and SOL003 have alike.
pub fn common(of: Dialect) -> Routes {
    vnflcm::routes(of)
        .and(vnflcm_ops::routes())
        .and(snapshots::routes(of))
        .and(subscriptions::routes::<VnfLcmFilter>(Source::VnfLcm, "/vnflcm/v2/subscriptions", "/vnflcm/v2/subscriptions/{subscriptionId}"))
        .and(pm::routes(pm::Of::Vnf, pm::OF_VNFS))
        .and(indicators::routes())
        .and(VNFFM.routes())
        .and(subscriptions::routes::<FmFilter>(Source::VnfFm, "/vnffm/v1/subscriptions", "/vnffm/v1/subscriptions/{subscriptionId}"))
}
