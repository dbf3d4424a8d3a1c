//! Who the caller is, his own password, and tokens: shown once when they are made, named by the start of their digest after.

use std::{net::IpAddr, time::Duration};

use axum::{
    extract::{Extension, State},
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    access::{Caller, admit::Denied, manage::token_id},
    api::{
        Ctx, auth,
        convert::time,
        extract::{self, Id},
        problem::Answer,
        respond::{Json, NoQuery, created},
        server::Peer,
        who,
    },
    model::{
        access::{Action, Permission, Resource, Token},
        error::Fault,
    },
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    name: String,
    project: String,
    every_project: bool,
    permissions: Vec<String>,
}

pub async fn whoami(_: NoQuery) -> Answer<Json<Me>> {
    let c = who::caller()?;
    Ok(Json(Me {
        name: c.name.to_string(),
        project: c.project.to_string(),
        every_project: c.every_project,
        permissions: c.permissions.list().iter().map(ToString::to_string).collect(),
    }))
}

/// It has no `Debug`, so that no log can hold it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    old: String,
    new: String,
}

/// 403 for a wrong old one, 429 after some: as at a login.
pub async fn own_password(
    State(s): Ctx,
    Extension(peer): Extension<Peer>,
    _: NoQuery,
    extract::Json(n): extract::Json<NewPassword>,
) -> Answer<StatusCode> {
    let from = match peer {
        Peer::Remote(a) => a.ip(),
        Peer::Local { .. } => IpAddr::from([127, 0, 0, 1]),
    };
    let (access, by) = (s.access.clone(), who::caller()?);
    let changed = tokio::task::spawn_blocking(move || access.change_own_password(from, &by, &n.old, &n.new)).await;
    match changed.map_err(|_| Fault::bug("a password could not be changed"))? {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(Denied::Unknown) => Err(Fault::forbidden("old: this is not the password").into()),
        Err(d @ (Denied::Wait { .. } | Denied::Fault(_))) => Err(auth::problem(d)),
    }
}

#[derive(Serialize)]
pub struct Shown {
    id: String,
    account: String,
    label: String,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// Once.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

fn shown(t: &Token) -> Shown {
    Shown {
        id: token_id(t),
        account: t.account.to_string(),
        label: t.label.to_string(),
        created: time(t.created).to_string(),
        expires: t.expires.map(|e| time(e).to_string()),
        token: None,
    }
}

/// Whoever may do this to accounts may do it to their tokens; others have their own only.
fn of_all(by: &Caller, action: Action) -> bool {
    by.permissions.has(Permission { resource: Resource::Identity, action })
}

pub async fn all(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Shown>>> {
    let all = s.identity(|a, by| Ok(a.tokens(by, of_all(by, Action::Read)))).await?;
    Ok(Json(all.iter().map(shown).collect()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct New {
    account: Option<SmolStr>,
    #[serde(default)]
    label: SmolStr,
    /// Seconds; absent: until it is revoked.
    expires_in: Option<u32>,
}

pub async fn create(State(s): Ctx, _: NoQuery, extract::Json(n): extract::Json<New>) -> Answer<Response> {
    let (fresh, t) = s
        .identity(move |a, by| {
            let account = n.account.unwrap_or_else(|| by.name.clone());
            let life = n.expires_in.map(|s| Duration::from_secs(u64::from(s)));
            a.issue_by(by, of_all(by, Action::Create), &account, n.label, life)
        })
        .await?;
    let body = Shown { token: Some(fresh.reveal().to_owned()), ..shown(&t) };
    created(&format!("/bothy/v1/tokens/{}", token_id(&t)), 1, &body)
}

pub async fn revoke(State(s): Ctx, Id(id): Id<SmolStr>, _: NoQuery) -> Answer<StatusCode> {
    s.identity(move |a, by| a.revoke(by, of_all(by, Action::Delete), &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
