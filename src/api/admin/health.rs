//! What works, and which Bothy this is.

use axum::extract::State;
use data_encoding::HEXLOWER;
use serde::Serialize;

use crate::{
    api::{Ctx, Services, problem::Answer, respond::Json, version},
    desired::Summary,
    model::health::{Condition, ConditionState},
};

#[derive(Serialize)]
pub struct Health {
    status: &'static str,
    version: &'static str,
    #[serde(rename = "uptimeSeconds")]
    uptime_seconds: u64,
    conditions: Vec<WireCondition>,
    /// Absent where no document counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    desired: Option<Desired>,
}

#[derive(Serialize)]
pub struct Desired {
    version: u64,
    /// SHA-256 of the document in its signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    phase: &'static str,
}

impl From<Summary> for Desired {
    fn from(s: Summary) -> Self {
        Desired { version: s.version, digest: s.message.map(|d| HEXLOWER.encode(&d)), phase: s.stage.word() }
    }
}

#[derive(Serialize)]
struct WireCondition {
    name: String,
    state: &'static str,
    text: String,
}

fn state(s: ConditionState) -> &'static str {
    match s {
        ConditionState::Ok => "OK",
        ConditionState::Pending => "PENDING",
        ConditionState::Failed => "FAILED",
    }
}

/// Each condition of the box, and what there is of a desired state, which is looked at once.
pub fn look(s: &Services) -> (Vec<Condition>, Option<Summary>) {
    let (condition, desired) = s.desired.health();
    let mut all = (s.health)();
    all.extend(condition);
    (all, desired)
}

/// Answers 200 whenever it can answer: a box with a dead libvirt must be able to say so.
pub async fn health(State(s): Ctx) -> Answer<Json<Health>> {
    let services = s.clone();
    let (conditions, desired) = s.pool.run(move || Ok(look(&services))).await?;
    let all_well = conditions.iter().all(|c| c.state == ConditionState::Ok);
    Ok(Json(Health {
        status: if all_well { "OK" } else { "DEGRADED" },
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: s.started.elapsed().as_secs(),
        conditions: conditions.into_iter().map(|c| WireCondition { name: c.name.into(), state: state(c.state), text: c.text }).collect(),
        desired: desired.map(Desired::from),
    }))
}

#[derive(Serialize)]
pub struct Version {
    version: &'static str,
    apis: Vec<ApiVersion>,
}

#[derive(Serialize)]
struct ApiVersion {
    name: &'static str,
    version: String,
}

pub async fn version(State(_): Ctx) -> Json<Version> {
    let apis = version::all().map(|a| ApiVersion { name: a.name, version: a.text() }).collect();
    Json(Version { version: env!("CARGO_PKG_VERSION"), apis })
}
