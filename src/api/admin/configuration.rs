//! A VNF's configuration as the VNF itself has it (SOL002 9), read and changed through this box.

use axum::extract::State;
use serde_json::Value;

use super::guest::find;
use crate::{
    api::{
        Ctx,
        extract::{self, Id},
        problem::Answer,
        respond::{Json, NoQuery},
    },
    model::{
        id::VnfId,
        own::{EndpointKind, OwnApi},
    },
    own::configuration::{body, now, of_record, reachable},
    sol::vnfconfig::VnfConfigModifications,
};

pub async fn show(State(s): Ctx, Id(id): Id<VnfId>, _: NoQuery) -> Answer<Json<Value>> {
    let call = s
        .domain(move |n| {
            find(n, id)?;
            reachable(n.vnfm().whom(id, OwnApi::Configuration, Some(EndpointKind::Vnf))?)
        })
        .await?;
    Ok(Json(now(&s.notify, &call, None).await?))
}

/// Without a change of its own, the VNF is given what its record has for it.
pub async fn change(
    State(s): Ctx,
    Id(id): Id<VnfId>,
    _: NoQuery,
    extract::Json(r): extract::Json<VnfConfigModifications>,
) -> Answer<Json<Value>> {
    let (call, body) = s
        .domain(move |n| {
            let project = find(n, id)?.project;
            let call = reachable(n.vnfm().whom(id, OwnApi::Configuration, Some(EndpointKind::Vnf))?)?;
            let body = if r.is_empty() { of_record(n.vnfm(), id, project)? } else { body(n.vnfm(), project, r)? };
            Ok((call, body))
        })
        .await?;
    Ok(Json(now(&s.notify, &call, Some(body)).await?))
}
