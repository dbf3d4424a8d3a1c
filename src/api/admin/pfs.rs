//! Operations on the host's physical functions: begun, shown, moved on.

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use serde::Serialize;

use crate::{
    api::{
        Ctx,
        convert::time,
        extract::{Id, query},
        ops::{self, Kind},
        problem::{Answer, Problem},
        respond::{Json, NoQuery, accepted},
    },
    lcm::timeline::all_operations,
    model::{
        error::Fault,
        host::PfName,
        id::OpId,
        op::{Operation, Target},
    },
};

/// As many of the newest are listed.
const LISTED: usize = 200;
const LONGEST: u32 = 3600;

/// ETSI's names where ETSI has one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostOperation {
    id: String,
    operation: &'static str,
    operation_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pf: Option<String>,
    start_time: String,
    state_entered_time: String,
    is_automatic_invocation: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Why>,
}

#[derive(Serialize)]
struct Why {
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

impl From<Operation> for HostOperation {
    fn from(op: Operation) -> Self {
        HostOperation {
            id: op.id.to_string(),
            operation: op.kind.name(),
            operation_state: op.state.name(),
            pf: if let Target::Pf(pf) = op.target { Some(pf.to_string()) } else { None },
            start_time: time(op.created).to_string(),
            state_entered_time: time(op.state_entered).to_string(),
            is_automatic_invocation: op.automatic,
            warnings: op.warnings,
            error: op.error.map(Fault::from).map(|f| Why { detail: f.text().to_owned(), reasons: f.reasons().to_vec() }),
        }
    }
}

pub async fn reload(State(s): Ctx, Id(name): Id<PfName>, uri: Uri) -> Answer<Response> {
    let given = query(&uri, &["within_s"])?;
    let within = given.first().map(|(_, v)| match v.parse::<u32>() {
        Ok(n) if n <= LONGEST => Ok(n),
        Ok(_) | Err(_) => Err(Box::new(Problem::malformed(format!("within_s: '{v}' is no number of seconds up to {LONGEST}")))),
    });
    let within = within.transpose()?;
    let op = s.domain(move |n| n.vnfm().reload_pf(&name, within, "{}")).await?;
    accepted(&format!("/bothy/v1/host/operations/{}", op.id))
}

pub async fn all(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<HostOperation>>> {
    let all = s.domain(|n| all_operations(n.vnfm().store())).await?;
    let mut all: Vec<Operation> = all.into_iter().filter(|o| Kind::Host.has(o)).collect();
    all.drain(..all.len().saturating_sub(LISTED));
    Ok(Json(all.into_iter().map(Into::into).collect()))
}

pub async fn one(State(s): Ctx, Id(id): Id<OpId>, _: NoQuery) -> Answer<Json<HostOperation>> {
    Ok(Json(s.domain(move |n| ops::find(n, Kind::Host, id)).await?.into()))
}

pub async fn fail(State(s): Ctx, Id(id): Id<OpId>, _: NoQuery) -> Answer<StatusCode> {
    s.domain(move |n| ops::find(n, Kind::Host, id).and_then(|_| n.fail(id))).await?;
    Ok(StatusCode::ACCEPTED)
}
