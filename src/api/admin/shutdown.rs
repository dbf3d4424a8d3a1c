//! The host goes down: its guests are stopped, in the time the service unit has.

use std::time::Duration;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
};
use serde::Serialize;

use crate::{
    api::{
        Ctx,
        extract::query,
        problem::{Answer, Problem},
        respond::{Json, NoQuery},
    },
    vnfm::revive::Missing,
};

/// Time for guests where the caller says none, in seconds.
const USUAL: u64 = 60;
const LONGEST: u64 = 3600;

#[derive(Serialize)]
pub struct Stopped {
    stopped: usize,
    destroyed: usize,
}

pub async fn guests(State(s): Ctx, uri: Uri) -> Answer<Json<Stopped>> {
    let given = query(&uri, &["within_s"])?;
    let within = match given.first() {
        None => USUAL,
        Some((_, v)) => match v.parse::<u64>() {
            Ok(n) if n <= LONGEST => n,
            Ok(_) | Err(_) => return Err(Box::new(Problem::malformed(format!("within_s: '{v}' is no number of seconds up to {LONGEST}")))),
        },
    };
    let done = s.domain(move |n| n.vnfm().shutdown_guests(Duration::from_secs(within))).await?;
    Ok(Json(Stopped { stopped: done.stopped, destroyed: done.destroyed }))
}

/// The host stays up: guests that should run are started again. Nothing to call off is success.
pub async fn call_off(State(s): Ctx, _: NoQuery) -> Answer<StatusCode> {
    if s.domain(|n| Ok(n.vnfm().call_off_shutdown())).await? {
        (s.look)(Missing::Start);
    }
    Ok(StatusCode::NO_CONTENT)
}
