//! How far zero touch is on this box. It is begun at the box, by its daemon or by `bothy ztp run`, and never over the API.

use axum::extract::State;
use serde::Serialize;

use crate::{
    api::{
        Ctx,
        convert::time,
        problem::Answer,
        respond::{Json, NoQuery},
    },
    ztp::{
        report::Progress,
        status::{State as Zero, Status},
    },
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    state: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    source: String,
    reports: Vec<Told>,
    /// Sources that had nothing for this box, and why not.
    passed: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt: Option<String>,
}

#[derive(Serialize)]
struct Told {
    progress: Progress,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
}

impl From<Status> for Shown {
    fn from(s: Status) -> Self {
        let state = match s.state {
            Zero::Factory => "FACTORY",
            Zero::Running => "RUNNING",
            Zero::Bootstrapped => "BOOTSTRAPPED",
            Zero::Failed => "FAILED",
        };
        Shown {
            state,
            source: s.source,
            reports: s.reports.into_iter().map(|r| Told { progress: r.progress, message: r.message }).collect(),
            passed: s.passed,
            next_attempt: s.next.map(|t| time(t).to_string()),
        }
    }
}

pub async fn show(State(s): Ctx, _: NoQuery) -> Answer<Json<Shown>> {
    Ok(Json((s.ztp)()?.into()))
}
