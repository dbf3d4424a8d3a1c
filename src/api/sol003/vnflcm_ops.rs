//! SOL003 5.4.12 to 5.4.17: VNF LCM operation occurrences.

use axum::{extract::State, http::Uri, response::Response};

use crate::{
    access::manage::Thing,
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
        who::caller,
    },
    model::{access::Action, op::Operation},
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
    let whole = ["resourceChanges", "operationParams", "grantId", "warnings"].iter().any(|m| query.needs(m));
    let to = base.clone();
    let show = move |n: &Nfvo, op: Operation| opocc::vnf(&op, &if whole { ops::around(n, &op)? } else { Around::none(&op) }, &to);
    let by = caller()?;
    let page = move |n: &Nfvo, after, limit| {
        let mut page = ops::page(n, Kind::Vnf, after, limit)?;
        // What is of another's VNF is not there for a central NFVO.
        let store = n.vnfm().store();
        page.entries.retain(|(_, op)| by.check_own(store, Thing::Operation(op.id), Action::Read).is_ok());
        Ok(page)
    };
    list(&s, &base, query, page, show).await
}
