//! SOL005, the OSS's view: nsd, vnfpkgm and nslcm, one file per API.

mod nsd;
mod nslcm;
mod nslcm_ops;
mod vnfpkgm;

use super::{
    routes::Routes,
    version::{NSD, NSLCM, VNFPKGM},
};

pub fn routes() -> Routes {
    NSD.routes()
        .and(nsd::routes())
        .and(VNFPKGM.routes())
        .and(vnfpkgm::routes())
        .and(NSLCM.routes())
        .and(nslcm::routes())
        .and(nslcm_ops::routes())
}
