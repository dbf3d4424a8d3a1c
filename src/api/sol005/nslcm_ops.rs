//! SOL005 6.4.9 to 6.4.15: NS LCM operation occurrences.

use axum::{extract::State, http::Uri, response::Response};

use crate::{
    api::{
        Ctx,
        convert::{
            Base,
            opocc::{self, Around},
        },
        list::{Query, list},
        ops::{self, Kind},
        problem::Answer,
        routes::Routes,
    },
    model::op::Operation,
    nfvo::Nfvo,
    sol::shape::NS_OP_OCC,
};

pub fn routes() -> Routes {
    Routes::default()
        .get("/nslcm/v2/ns_lcm_op_occs", all)
        .get("/nslcm/v2/ns_lcm_op_occs/{nsLcmOpOccId}", ops::one)
        .post("/nslcm/v2/ns_lcm_op_occs/{nsLcmOpOccId}/retry", ops::retry)
        .post("/nslcm/v2/ns_lcm_op_occs/{nsLcmOpOccId}/rollback", ops::rollback)
        .post("/nslcm/v2/ns_lcm_op_occs/{nsLcmOpOccId}/fail", ops::fail)
        .post("/nslcm/v2/ns_lcm_op_occs/{nsLcmOpOccId}/cancel", ops::cancel)
        .post("/nslcm/v2/ns_lcm_op_occs/{nsLcmOpOccId}/continue", ops::go_on)
}

async fn all(State(s): Ctx, base: Base, uri: Uri) -> Answer<Response> {
    let query = Query::parse(&uri, &NS_OP_OCC)?;
    let whole = query.needs("resourceChanges") || query.needs("operationParams");
    let to = base.clone();
    let show = move |n: &Nfvo, op: Operation| opocc::ns(&op, &if whole { ops::around(n, &op)? } else { Around::none(&op) }, &to);
    list(&s, &base, query, |n, after, limit| ops::page(n, Kind::Ns, after, limit), show).await
}
