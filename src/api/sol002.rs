//! SOL002 as the VNFM serves it to VNFs and their element managers: vnflcm, vnffm, vnfpm and vnfind.
//!
//! The paths are SOL003's, so it has listeners of its own. What is in an element manager's charge, and that it sees nothing
//! else, is `access::element`'s to say; what it may do, its roles'. Never: handlers that SOL003 has as well.

use super::{
    alarms::{self, Of},
    convert::vnf::Dialect,
    routes::Routes,
    sol003,
    version::{VNFLCM, VNFPM},
};

pub fn routes() -> Routes {
    VNFLCM
        .routes()
        .and(VNFPM.routes())
        .and(sol003::common(Dialect::Sol002))
        .and(alarms::routes(Of::Element, "/vnffm/v1/alarms", "/vnffm/v1/alarms/{alarmId}"))
        .and(alarms::escalation("/vnffm/v1/alarms/{alarmId}/escalate"))
}
