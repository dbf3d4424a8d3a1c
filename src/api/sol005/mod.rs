//! SOL005, the OSS's view: nsd, vnfpkgm, nslcm and nfvici, one file per API, nsfm and nspm.

pub(super) mod nfvici;
pub(super) mod nsd;
pub(super) mod nslcm;
pub(super) mod nslcm_ops;
mod outside;
pub(super) mod pnfd;
pub(super) mod vnfpkgm;

use super::{
    alarms::{self, Of},
    older, pm,
    routes::Routes,
    sol003::snapshots,
    subscriptions,
    version::{NFVICI, NSD, NSD_FIRST, NSFM, NSLCM, NSLCM_FIRST, NSPM, NSPM_FIRST, VNFPKGM, VNFPKGM_FIRST},
};
use crate::{
    model::subscription::Source,
    sol::{
        fm::FmFilter,
        subscription::{NsLcmFilter, NsdFilter, PkgmFilter},
    },
};

pub fn routes() -> Routes {
    NSD.and_before(&[&NSD_FIRST])
        .and(older::sol005())
        .and(nsd::routes())
        .and(pnfd::routes())
        .and(VNFPKGM.and_before(&[&VNFPKGM_FIRST]))
        .and(vnfpkgm::routes())
        .and(NSLCM.and_before(&[&NSLCM_FIRST]))
        .and(nslcm::routes())
        .and(nslcm_ops::routes())
        .and(snapshots::of_services())
        .and(subscriptions::routes::<NsdFilter>(Source::Nsd, "/nsd/v2/subscriptions", "/nsd/v2/subscriptions/{subscriptionId}"))
        .and(subscriptions::routes::<PkgmFilter>(
            Source::VnfPkgm,
            "/vnfpkgm/v2/subscriptions",
            "/vnfpkgm/v2/subscriptions/{subscriptionId}",
        ))
        .and(subscriptions::routes::<NsLcmFilter>(Source::NsLcm, "/nslcm/v2/subscriptions", "/nslcm/v2/subscriptions/{subscriptionId}"))
        .and(NSPM.and_before(&[&NSPM_FIRST]))
        .and(pm::routes(pm::Of::Ns, pm::OF_SERVICES))
        .and(NFVICI.routes())
        .and(nfvici::routes())
        .and(NSFM.routes())
        .and(alarms::routes(Of::Ns, "/nsfm/v1/alarms", "/nsfm/v1/alarms/{alarmId}"))
        .and(subscriptions::routes::<FmFilter>(Source::NsFm, "/nsfm/v1/subscriptions", "/nsfm/v1/subscriptions/{subscriptionId}"))
}
