//! SOL003 5.4.11: external connectivity of a VNF.

use axum::{extract::State, response::Response};

use super::vnflcm::find;
use crate::{
    api::{
        Ctx,
        convert::connect,
        extract::{self, Id},
        problem::Answer,
        respond::{NoQuery, accepted},
    },
    model::id::VnfId,
    sol::vnflcm::ChangeExtVnfConnectivityRequest,
};

pub async fn change(
    State(s): Ctx,
    Id(id): Id<VnfId>,
    _: NoQuery,
    extract::Json(r): extract::Json<ChangeExtVnfConnectivityRequest>,
) -> Answer<Response> {
    let op = s
        .domain(move |n| {
            find(n, id)?;
            n.vnfm().change_ext_conn(id, &connect::request(r)?)
        })
        .await?;
    accepted(&format!("/vnflcm/v2/vnf_lcm_op_occs/{}", op.id))
}
