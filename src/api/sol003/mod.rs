//! SOL003 as the VNFM serves it: vnflcm.

mod vnflcm;
mod vnflcm_ops;

use super::{routes::Routes, version::VNFLCM};

pub fn routes() -> Routes {
    VNFLCM.routes().and(vnflcm::routes()).and(vnflcm_ops::routes())
}
