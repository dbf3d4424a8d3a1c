//! SOL003 5.4.12 to 5.4.17: VNF LCM operation occurrences.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use serde_json::Value;

use crate::{
    api::{
        Ctx,
        convert::{
            Base,
            opocc::{self, Around},
            request,
        },
        extract::{self, Id},
        ops::{self, Kind},
        problem::Answer,
        respond::{NoQuery, list, shown},
        routes::Routes,
    },
    model::{error::Result, id::OpId},
    sol::vnflcm::{CancelMode, VnfLcmOpOcc},
};

pub fn routes() -> Routes {
    Routes::default()
        .get("/vnflcm/v2/vnf_lcm_op_occs", all)
        .get("/vnflcm/v2/vnf_lcm_op_occs/{vnfLcmOpOccId}", one)
        .post("/vnflcm/v2/vnf_lcm_op_occs/{vnfLcmOpOccId}/retry", retry)
        .post("/vnflcm/v2/vnf_lcm_op_occs/{vnfLcmOpOccId}/rollback", rollback)
        .post("/vnflcm/v2/vnf_lcm_op_occs/{vnfLcmOpOccId}/fail", fail)
        .post("/vnflcm/v2/vnf_lcm_op_occs/{vnfLcmOpOccId}/cancel", cancel)
}

async fn all(State(s): Ctx, base: Base, uri: Uri) -> Answer<Json<Vec<Value>>> {
    let all = s.domain(|n| ops::all(n, Kind::Vnf)).await?;
    let shown: Result<Vec<VnfLcmOpOcc>> = all.iter().map(|op| opocc::vnf(op, &Around::default(), &base)).collect();
    list(&uri, &["operationParams", "error", "resourceChanges", "changedInfo", "changedExtConnectivity"], shown?)
}

async fn one(State(s): Ctx, base: Base, Id(id): Id<OpId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let (version, op) = s
        .domain(move |n| {
            let op = ops::find(n, Kind::Vnf, id)?;
            Ok((u64::from(op.sequence), opocc::vnf(&op, &ops::around(n, &op)?, &base)?))
        })
        .await?;
    Ok(shown(&headers, version, &op))
}

async fn retry(State(s): Ctx, Id(id): Id<OpId>, _: NoQuery) -> Answer<StatusCode> {
    s.domain(move |n| ops::find(n, Kind::Vnf, id).and_then(|_| n.retry(id))).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn rollback(State(s): Ctx, Id(id): Id<OpId>, _: NoQuery) -> Answer<StatusCode> {
    s.domain(move |n| ops::find(n, Kind::Vnf, id).and_then(|_| n.rollback(id))).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn fail(State(s): Ctx, base: Base, Id(id): Id<OpId>, _: NoQuery) -> Answer<Response> {
    let (version, op) = s
        .domain(move |n| {
            ops::find(n, Kind::Vnf, id)?;
            let op = n.fail(id)?;
            Ok((u64::from(op.sequence), opocc::vnf(&op, &ops::around(n, &op)?, &base)?))
        })
        .await?;
    Ok(shown(&HeaderMap::new(), version, &op))
}

async fn cancel(State(s): Ctx, Id(id): Id<OpId>, _: NoQuery, extract::Json(r): extract::Json<CancelMode>) -> Answer<StatusCode> {
    let mode = request::cancel_mode(r.cancel_mode);
    s.domain(move |n| ops::find(n, Kind::Vnf, id).and_then(|_| n.cancel(id, mode))).await?;
    Ok(StatusCode::ACCEPTED)
}
