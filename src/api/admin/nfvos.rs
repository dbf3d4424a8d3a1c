//! Central NFVOs: which accounts own the VNFs that they make, and where their grants are asked for.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use crate::{
    api::{
        Ctx, bring,
        convert::time,
        extract::{self, Id},
        problem::Answer,
        respond::{Json, NoQuery, accepted, unprocessable},
        subscriptions::auth_of,
    },
    model::{central::CentralNfvo, error::Fault, subscription::Auth},
    sol::subscription::SubscriptionAuthentication,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    name: String,
    api_root: String,
    /// How Bothy shows who it is; never with what.
    authentication: &'static str,
    created: String,
}

pub(super) fn way_in(auth: Option<&Auth>) -> &'static str {
    match auth {
        None => "NONE",
        Some(Auth::Basic { .. }) => "BASIC",
        Some(Auth::ClientCredentials { .. }) => "OAUTH2_CLIENT_CREDENTIALS",
        Some(Auth::Certificate) => "TLS_CERT",
    }
}

fn shown(n: &CentralNfvo) -> Shown {
    Shown {
        name: n.account.to_string(),
        api_root: n.api_root.clone(),
        authentication: way_in(n.auth.as_ref()),
        created: time(n.created).to_string(),
    }
}

pub async fn all(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Shown>>> {
    let all = s.identity(|a, by| Ok(a.nfvos(by))).await?;
    Ok(Json(all.iter().map(shown).collect()))
}

pub async fn one(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery) -> Answer<Json<Shown>> {
    Ok(Json(shown(&s.identity(move |a, by| a.nfvo(by, &name)).await?)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Set {
    api_root: String,
    authentication: Option<SubscriptionAuthentication>,
}

/// As for a subscriber: what is wrong with the URI or the credentials is told before anything is kept.
pub async fn set(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery, extract::Json(r): extract::Json<Set>) -> Answer<Json<Shown>> {
    let notify = s.notify.clone();
    let n = s
        .domain(move |n| {
            let mut faults = Vec::new();
            let id = Uuid::new_v4();
            let auth = auth_of(&notify, id, r.authentication, &mut faults)?;
            let api_root = r.api_root.trim_end_matches('/').to_owned();
            if let Err(f) = notify.caller("apiRoot", &api_root, id, auth.as_ref()) {
                faults.push(f.detail());
            }
            if !faults.is_empty() {
                return Err(Fault::invalid(format!("NFVO {name} cannot be asked for grants so")).with_reasons(faults));
            }
            let created = n.vnfm().clock().now();
            Ok(CentralNfvo { account: name, id, api_root, auth, created, revision: 1 })
        })
        .await?;
    Ok(Json(shown(&s.identity(move |a, by| a.set_nfvo(by, &n)).await?)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fetch {
    vnfd_id: String,
}

/// 202 where it is here or on its way: its state is the package's own.
pub async fn fetch(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery, extract::Json(r): extract::Json<Fetch>) -> Answer<Response> {
    let (nfvo, project) = s.identity(move |a, by| Ok((a.nfvo(by, &name)?, a.account(by, &name)?.project))).await?;
    let package = bring::begin(&s, &nfvo, project, &r.vnfd_id).await.map_err(unprocessable)?;
    accepted(&format!("/vnfpkgm/v2/vnf_packages/{package}"))
}

pub async fn delete(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery) -> Answer<StatusCode> {
    s.identity(move |a, by| a.delete_nfvo(by, &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
