//! A VNF's configuration as the VNF itself has it (SOL002 9), read and changed through this box.

use axum::extract::State;
use serde_json::Value;

use super::guest::find;
use crate::{
    access::Caller,
    api::{
        Ctx,
        extract::{self, Id},
        problem::Answer,
        respond::{Json, NoQuery},
    },
    model::{
        access::{Action, Permission, Resource},
        error::{Fault, Result},
        id::VnfId,
        own::{EndpointKind, OwnApi},
    },
    own::configuration::{Hidden, body, now, of_record, reachable},
    sol::vnfconfig::VnfConfigModifications,
};

pub async fn show(State(s): Ctx, Id(id): Id<VnfId>, _: NoQuery) -> Answer<Json<Value>> {
    let (call, hidden) = s
        .domain(move |n| {
            let project = find(n, id)?.project;
            let call = reachable(n.vnfm().whom(id, OwnApi::Configuration, Some(EndpointKind::Vnf))?)?;
            Ok((call, Hidden::of(n.vnfm(), project)?))
        })
        .await?;
    Ok(Json(now(&s.notify, &call, None, &hidden).await?))
}

/// Without a change of its own, the VNF is given what its record has for it.
pub async fn change(
    State(s): Ctx,
    Id(id): Id<VnfId>,
    _: NoQuery,
    extract::Json(r): extract::Json<VnfConfigModifications>,
) -> Answer<Json<Value>> {
    let (call, body, hidden) = s
        .domain(move |n| {
            let project = find(n, id)?.project;
            let call = reachable(n.vnfm().whom(id, OwnApi::Configuration, Some(EndpointKind::Vnf))?)?;
            let own = !r.is_empty();
            let body = if own { body(n.vnfm(), project, r)? } else { of_record(n.vnfm(), id, project)? };
            if own && body.secret {
                may_use_secrets(n.caller())?;
            }
            Ok((call, body, Hidden::of(n.vnfm(), project)?))
        })
        .await?;
    Ok(Json(now(&s.notify, &call, Some(body), &hidden).await?))
}

/// A secret that is named here is sent to whoever the VNF is.
fn may_use_secrets(by: &Caller) -> Result<()> {
    let needs = Permission { resource: Resource::Secret, action: Action::Read };
    if by.permissions.has(needs) {
        return Ok(());
    }
    Err(Fault::forbidden(format!("to have secrets sent to a VNF needs the permission {needs}, which no role of {} gives", by.name)))
}
