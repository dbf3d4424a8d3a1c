//! The configuration over the API: show, check a text, apply the daemon's own file.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use crate::{
    api::{
        Ctx,
        extract::Text,
        problem::{Answer, Problem},
        respond::Json,
    },
    config::{Apply, Changes, Config, Refusal},
    model::error::Fault,
};

#[derive(Serialize)]
pub struct Shown {
    /// Absent when the daemon runs on the defaults alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    keys: Vec<Key>,
}

#[derive(Serialize)]
struct Key {
    key: &'static str,
    /// As TOML.
    value: String,
    apply: &'static str,
}

/// What an apply did, or what a check says it would do.
#[derive(Serialize)]
pub struct Outcome {
    live: Vec<&'static str>,
    restart: Vec<&'static str>,
}

impl From<Changes> for Outcome {
    fn from(c: Changes) -> Self {
        Outcome { live: c.live, restart: c.restart }
    }
}

fn refused(r: Refusal) -> Box<Problem> {
    match r {
        Refusal::Unreadable(f) => f.into(),
        Refusal::Faults(faults) => {
            let mut p = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the configuration has faults; nothing was applied");
            p.reasons = faults.iter().map(ToString::to_string).collect();
            p.into()
        }
    }
}

pub async fn show(State(s): Ctx) -> Json<Shown> {
    let keys = s.config.now().entries().into_iter().map(|e| Key {
        key: e.path,
        value: e.value,
        apply: match e.apply {
            Apply::Live => "LIVE",
            Apply::Restart => "RESTART",
        },
    });
    Json(Shown { path: s.config.path().map(ToString::to_string), keys: keys.collect() })
}

/// Checks a text against the running configuration; changes nothing.
pub async fn check(State(s): Ctx, Text(text): Text) -> Answer<Json<Outcome>> {
    let new = Config::check(&text).map_err(|f| refused(Refusal::Faults(f)))?;
    Ok(Json(Config::changes(&s.config.now(), &new).into()))
}

/// Reads the daemon's own file again: all of it or nothing.
pub async fn apply(State(s): Ctx) -> Answer<Json<Outcome>> {
    let services = s.clone();
    let outcome = s.pool.run(move || Ok::<_, Fault>(services.config.reload())).await?;
    outcome.map(|c| Json(c.into())).map_err(refused)
}
