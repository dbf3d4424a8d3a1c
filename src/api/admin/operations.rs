//! An operation's steps: when each ran, how long, what it waited for, what failed and why.

use axum::extract::State;
use serde::Serialize;

use crate::{
    api::{
        Ctx,
        convert::time,
        extract::Id,
        problem::Answer,
        respond::{Json, NoQuery},
    },
    lcm::timeline::{Line, Progress},
    model::{error::FaultRecord, id::OpId, op::Operation},
};

#[derive(Serialize)]
pub struct Timeline {
    id: String,
    operation: String,
    state: &'static str,
    steps: Vec<Step>,
}

#[derive(Serialize)]
struct Step {
    index: u32,
    label: String,
    state: &'static str,
    after: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    tries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<StepError>,
}

#[derive(Serialize)]
struct StepError {
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

impl From<FaultRecord> for StepError {
    fn from(f: FaultRecord) -> Self {
        StepError { detail: f.text, reasons: f.reasons }
    }
}

pub(super) fn wire((op, lines): (Operation, Vec<Line>)) -> Timeline {
    let step = |l: Line| Step {
        index: l.index,
        label: l.label,
        state: match l.progress {
            Progress::Pending => "PENDING",
            Progress::Running => "RUNNING",
            Progress::Waiting => "WAITING",
            Progress::Done => "DONE",
            Progress::Failed => "FAILED",
            Progress::Undone => "UNDONE",
        },
        after: l.after,
        started: l.started.map(|s| time(s).to_string()),
        ended: l.ended.map(|s| time(s).to_string()),
        tries: l.tries,
        why: l.why,
        error: l.error.map(Into::into),
    };
    Timeline {
        id: op.id.to_string(),
        operation: op.label().to_string(),
        state: op.state.name(),
        steps: lines.into_iter().map(step).collect(),
    }
}

pub async fn timeline(State(s): Ctx, Id(id): Id<OpId>, _: NoQuery) -> Answer<Json<Timeline>> {
    Ok(Json(wire(s.domain(move |n| n.vnfm().engine()?.timeline(id)).await?)))
}
