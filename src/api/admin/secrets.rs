//! Secrets by name, of the caller's project: set and listed, never read back. Templates read them as `secrets.NAME`.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::api::{
    Ctx,
    extract::{self, Id},
    problem::Answer,
    respond::{Json, NoQuery},
};

#[derive(Serialize)]
pub struct Named {
    name: String,
}

/// It has no `Debug`, so that no log can hold it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Value {
    value: String,
}

pub async fn names(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Named>>> {
    let all = s.domain(|n| n.vnfm().secret_names(n.project())).await?;
    Ok(Json(all.into_iter().map(|n| Named { name: n.into() }).collect()))
}

pub async fn set(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery, extract::Json(v): extract::Json<Value>) -> Answer<StatusCode> {
    s.domain(move |n| n.vnfm().set_secret(n.project(), name, &v.value)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn delete(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery) -> Answer<StatusCode> {
    s.domain(move |n| n.vnfm().delete_secret(n.project(), &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
