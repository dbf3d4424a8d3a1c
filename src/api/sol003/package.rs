//! SOL003 5.4.11a: the package of a VNF.

use axum::{extract::State, response::Response};

use super::vnflcm::{find, laid_on};
use crate::{
    api::{
        Ctx, bring,
        convert::package,
        extract::{self, Id},
        problem::Answer,
        respond::{NoQuery, accepted, unprocessable},
    },
    model::id::VnfId,
    sol::vnflcm::ChangeCurrentVnfPkgRequest,
};

pub async fn change(
    State(s): Ctx,
    Id(id): Id<VnfId>,
    _: NoQuery,
    extract::Json(r): extract::Json<ChangeCurrentVnfPkgRequest>,
) -> Answer<Response> {
    bring::ensure(&s, &r.vnfd_id).await.map_err(unprocessable)?;
    let op = s
        .domain(move |n| {
            find(n, id)?;
            let (extensions, configurable) = (r.extensions.clone(), r.vnf_configurable_properties.clone());
            n.vnfm().change_package_with(id, &package::request(r)?, &|p| laid_on(p, &extensions, &configurable))
        })
        .await?;
    accepted(&format!("/vnflcm/v2/vnf_lcm_op_occs/{}", op.id))
}
