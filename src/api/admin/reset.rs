//! Factory reset of the box: what one would take and keep, and the order to do it.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        Ctx,
        convert::time,
        extract,
        problem::Answer,
        respond::{Json, NoQuery},
        who,
    },
    model::reset::{Depth, Ordered, ResetDone},
    reset::{Plan, Status},
};

#[derive(Serialize)]
pub struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    ordered: Option<Order>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Done>,
}

#[derive(Serialize)]
struct Order {
    depth: &'static str,
    by: String,
    at: String,
    tries: u32,
}

#[derive(Serialize)]
struct Done {
    depth: &'static str,
    by: String,
    at: String,
    /// What could not be taken back, and why.
    left: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    depth: &'static str,
    goes: Vec<String>,
    stays: Vec<String>,
    skipped: Vec<String>,
    refused_because: Vec<String>,
    waits_for: Vec<String>,
    restarts: &'static str,
    token: String,
}

#[derive(Deserialize)]
pub struct Ask {
    depth: String,
}

#[derive(Deserialize)]
pub struct Word {
    depth: String,
    token: String,
    #[serde(default)]
    insist: bool,
}

impl From<Ordered> for Order {
    fn from(o: Ordered) -> Order {
        Order { depth: o.depth.name(), by: o.by.into(), at: time(o.at).to_string(), tries: o.tries }
    }
}

impl From<ResetDone> for Done {
    fn from(d: ResetDone) -> Done {
        Done { depth: d.depth.name(), by: d.by.into(), at: time(d.at).to_string(), left: d.left }
    }
}

impl From<Status> for Shown {
    fn from(s: Status) -> Shown {
        Shown { ordered: s.ordered.map(Into::into), last: s.last.map(Into::into) }
    }
}

impl From<Plan> for Planned {
    fn from(p: Plan) -> Planned {
        Planned {
            depth: p.depth.name(),
            goes: p.goes,
            stays: p.stays,
            skipped: p.skipped,
            refused_because: p.refused,
            waits_for: p.waits,
            restarts: if p.restarts_box { "BOX" } else { "BOTHY" },
            token: p.token,
        }
    }
}

pub async fn show(State(s): Ctx, _: NoQuery) -> Answer<Json<Shown>> {
    let reset = s.reset.clone();
    Ok(Json(s.pool.run(move || reset.status().map(Into::into)).await?))
}

pub async fn plan(State(s): Ctx, _: NoQuery, extract::Json(ask): extract::Json<Ask>) -> Answer<Json<Planned>> {
    let depth: Depth = ask.depth.parse()?;
    let reset = s.reset.clone();
    Ok(Json(s.pool.run(move || reset.plan(depth).map(Into::into)).await?))
}

pub async fn order(State(s): Ctx, _: NoQuery, extract::Json(w): extract::Json<Word>) -> Answer<(StatusCode, Json<Planned>)> {
    let depth: Depth = w.depth.parse()?;
    let (reset, caller) = (s.reset.clone(), who::caller()?);
    let planned = s.pool.run(move || reset.order(depth, &w.token, w.insist, &caller.name).map(Into::into)).await?;
    Ok((StatusCode::ACCEPTED, Json(planned)))
}
