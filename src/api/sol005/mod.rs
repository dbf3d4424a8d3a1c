//! SOL005, the OSS's view: nsd, vnfpkgm and nslcm, one file per API, nsfm and nspm.

mod nsd;
mod nslcm;
mod nslcm_ops;
mod pnfd;
pub(super) mod vnfpkgm;

use super::{
    alarms::{self, Of},
    pm,
    routes::Routes,
    subscriptions,
    version::{NSD, NSFM, NSLCM, NSPM, VNFPKGM},
};
use crate::{
    model::subscription::Source,
    sol::{
        fm::FmFilter,
        subscription::{NsLcmFilter, NsdFilter, PkgmFilter},
    },
};

pub fn routes() -> Routes {
    NSD.routes()
        .and(nsd::routes())
        .and(pnfd::routes())
        .and(VNFPKGM.routes())
        .and(vnfpkgm::routes())
        .and(NSLCM.routes())
        .and(nslcm::routes())
        .and(nslcm_ops::routes())
        .and(subscriptions::routes::<NsdFilter>(Source::Nsd, "/nsd/v2/subscriptions", "/nsd/v2/subscriptions/{subscriptionId}"))
        .and(subscriptions::routes::<PkgmFilter>(
            Source::VnfPkgm,
            "/vnfpkgm/v2/subscriptions",
            "/vnfpkgm/v2/subscriptions/{subscriptionId}",
        ))
        .and(subscriptions::routes::<NsLcmFilter>(Source::NsLcm, "/nslcm/v2/subscriptions", "/nslcm/v2/subscriptions/{subscriptionId}"))
        .and(NSPM.routes())
        .and(pm::routes(
            pm::Of::Ns,
            [
                "/nspm/v2/pm_jobs",
                "/nspm/v2/pm_jobs/{pmJobId}",
                "/nspm/v2/pm_jobs/{pmJobId}/reports/{reportId}",
                "/nspm/v2/thresholds",
                "/nspm/v2/thresholds/{thresholdId}",
            ],
        ))
        .and(NSFM.routes())
        .and(alarms::routes(Of::Ns, "/nsfm/v1/alarms", "/nsfm/v1/alarms/{alarmId}"))
        .and(subscriptions::routes::<FmFilter>(Source::NsFm, "/nsfm/v1/subscriptions", "/nsfm/v1/subscriptions/{subscriptionId}"))
}
