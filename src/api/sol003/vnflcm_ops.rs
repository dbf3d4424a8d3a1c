//! SOL003 5.4.12 to 5.4.17: VNF LCM operation occurrences.

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
    nfvo::Nfvo,
    sol::shape::VNF_OP_OCC,
};

pub fn routes() -> Routes {
    Routes::default()
        .get("/vnflcm/v2/vnf_lcm_op_occs", all)
        .get("/vnflcm/v2/vnf_lcm_op_occs/{vnfLcmOpOccId}", ops::one)
        .post("/vnflcm/v2/vnf_lcm_op_occs/{vnfLcmOpOccId}/retry", ops::retry)
        .post("/vnflcm/v2/vnf_lcm_op_occs/{vnfLcmOpOccId}/rollback", ops::rollback)
        .post("/vnflcm/v2/vnf_lcm_op_occs/{vnfLcmOpOccId}/fail", ops::fail)
        .post("/vnflcm/v2/vnf_lcm_op_occs/{vnfLcmOpOccId}/cancel", ops::cancel)
}

async fn all(State(s): Ctx, base: Base, uri: Uri) -> Answer<Response> {
    let query = Query::parse(&uri, &VNF_OP_OCC)?;
    let whole = query.needs("resourceChanges") || query.needs("operationParams");
    let to = base.clone();
    let show = move |n: &Nfvo, op| opocc::vnf(&op, &if whole { ops::around(n, &op)? } else { Around::default() }, &to);
    list(&s, &base, query, |n, after, limit| ops::page(n, Kind::Vnf, after, limit), show).await
}
