//! SOL003 5.4.12 to 5.4.17: VNF LCM operation occurrences.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};

use crate::{
    api::{
        Ctx,
        convert::{
            Base,
            opocc::{self, Around},
            request,
        },
        extract::{self, Id},
        list::{Query, list},
        ops::{self, Kind},
        problem::Answer,
        respond::{NoQuery, shown},
        routes::Routes,
    },
    model::id::OpId,
    nfvo::Nfvo,
    sol::{shape::VNF_OP_OCC, vnflcm::CancelMode},
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

async fn all(State(s): Ctx, base: Base, uri: Uri) -> Answer<Response> {
    let query = Query::parse(&uri, &VNF_OP_OCC)?;
    let whole = query.needs("resourceChanges") || query.needs("operationParams");
    let to = base.clone();
    let show = move |n: &Nfvo, op| opocc::vnf(&op, &if whole { ops::around(n, &op)? } else { Around::default() }, &to);
    list(&s, &base, query, |n, after, limit| ops::page(n, Kind::Vnf, after, limit), show).await
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
