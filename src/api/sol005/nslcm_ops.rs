//! SOL005 6.4.9 to 6.4.15: NS LCM operation occurrences.

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
        respond::{NoQuery, not_offered, shown},
        routes::Routes,
    },
    model::id::OpId,
    nfvo::Nfvo,
    sol::{shape::NS_OP_OCC, vnflcm::CancelMode},
};

pub fn routes() -> Routes {
    Routes::default()
        .get("/nslcm/v2/ns_lcm_op_occs", all)
        .get("/nslcm/v2/ns_lcm_op_occs/{nsLcmOpOccId}", one)
        .post("/nslcm/v2/ns_lcm_op_occs/{nsLcmOpOccId}/retry", retry)
        .post("/nslcm/v2/ns_lcm_op_occs/{nsLcmOpOccId}/rollback", rollback)
        .post("/nslcm/v2/ns_lcm_op_occs/{nsLcmOpOccId}/fail", fail)
        .post("/nslcm/v2/ns_lcm_op_occs/{nsLcmOpOccId}/cancel", cancel)
        .post("/nslcm/v2/ns_lcm_op_occs/{nsLcmOpOccId}/continue", not_offered("continue is not offered: retry runs what failed again"))
}

async fn all(State(s): Ctx, base: Base, uri: Uri) -> Answer<Response> {
    let query = Query::parse(&uri, &NS_OP_OCC)?;
    let whole = query.needs("resourceChanges") || query.needs("operationParams");
    let to = base.clone();
    let show = move |n: &Nfvo, op| opocc::ns(&op, &if whole { ops::around(n, &op)? } else { Around::default() }, &to);
    list(&s, &base, query, |n, after, limit| ops::page(n, Kind::Ns, after, limit), show).await
}

async fn one(State(s): Ctx, base: Base, Id(id): Id<OpId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let (version, op) = s
        .domain(move |n| {
            let op = ops::find(n, Kind::Ns, id)?;
            Ok((u64::from(op.sequence), opocc::ns(&op, &ops::around(n, &op)?, &base)?))
        })
        .await?;
    Ok(shown(&headers, version, &op))
}

async fn retry(State(s): Ctx, Id(id): Id<OpId>, _: NoQuery) -> Answer<StatusCode> {
    s.domain(move |n| ops::find(n, Kind::Ns, id).and_then(|_| n.retry(id))).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn rollback(State(s): Ctx, Id(id): Id<OpId>, _: NoQuery) -> Answer<StatusCode> {
    s.domain(move |n| ops::find(n, Kind::Ns, id).and_then(|_| n.rollback(id))).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn fail(State(s): Ctx, base: Base, Id(id): Id<OpId>, _: NoQuery) -> Answer<Response> {
    let (version, op) = s
        .domain(move |n| {
            ops::find(n, Kind::Ns, id)?;
            let op = n.fail(id)?;
            Ok((u64::from(op.sequence), opocc::ns(&op, &ops::around(n, &op)?, &base)?))
        })
        .await?;
    Ok(shown(&HeaderMap::new(), version, &op))
}

async fn cancel(State(s): Ctx, Id(id): Id<OpId>, _: NoQuery, extract::Json(r): extract::Json<CancelMode>) -> Answer<StatusCode> {
    let mode = request::cancel_mode(r.cancel_mode);
    s.domain(move |n| ops::find(n, Kind::Ns, id).and_then(|_| n.cancel(id, mode))).await?;
    Ok(StatusCode::ACCEPTED)
}
