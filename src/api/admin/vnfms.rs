//! Foreign VNFMs: where VNFs of services are driven that are in their charge, and which these are.

use std::collections::BTreeMap;

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use super::nfvos::way_in;
use crate::{
    access::{Access, Caller},
    api::{
        Ctx,
        convert::time,
        extract::{self, Id},
        problem::Answer,
        respond::{Json, NoQuery},
        subscriptions::auth_of,
    },
    model::{
        abroad::{ForeignEar, ForeignVnfm},
        error::{Fault, Result},
        id::ProjectId,
    },
    sol::subscription::SubscriptionAuthentication,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    name: String,
    api_root: String,
    /// How Bothy shows who it is; never with what.
    authentication: &'static str,
    vnfm_info: Vec<String>,
    vnfds: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vim: Option<String>,
    networks: BTreeMap<String, String>,
    /// Where it is to call this box.
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_root: Option<String>,
    /// By API: the subscriptions there by which it does.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    subscriptions: BTreeMap<String, String>,
    created: String,
}

fn shown(m: &ForeignVnfm, ear: Option<ForeignEar>) -> Shown {
    let (callback_root, subscribed) = ear.map(|e| (e.root, e.subscribed)).unzip();
    let texts = |all: &[SmolStr]| all.iter().map(ToString::to_string).collect();
    Shown {
        name: m.account.to_string(),
        api_root: m.api_root.clone(),
        authentication: way_in(m.auth.as_ref()),
        vnfm_info: texts(&m.vnfm_info),
        vnfds: texts(&m.vnfds),
        vim: m.vim.as_ref().map(ToString::to_string),
        networks: m.networks.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        callback_root,
        subscriptions: subscribed.into_iter().flatten().map(|(api, id)| (api.to_string(), id.to_string())).collect(),
        created: time(m.created).to_string(),
    }
}

pub async fn all(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Shown>>> {
    let all = s.identity(|a, by| a.vnfms(by).into_iter().map(|m| Ok(shown(&m, a.ear(&m.account)?))).collect::<Result<Vec<_>>>()).await?;
    Ok(Json(all))
}

pub async fn one(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery) -> Answer<Json<Shown>> {
    let looks = move |a: &Access, by: &Caller| a.vnfm(by, &name).and_then(|m| Ok(shown(&m, a.ear(&m.account)?)));
    Ok(Json(s.identity(looks).await?))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Set {
    api_root: String,
    authentication: Option<SubscriptionAuthentication>,
    #[serde(default)]
    vnfm_info: Vec<SmolStr>,
    #[serde(default)]
    vnfds: Vec<SmolStr>,
    vim: Option<SmolStr>,
    #[serde(default)]
    networks: BTreeMap<SmolStr, SmolStr>,
    callback_root: Option<String>,
}

/// As for a central NFVO: what is wrong with the URI or the credentials is told before anything is kept.
pub async fn set(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery, extract::Json(r): extract::Json<Set>) -> Answer<Json<Shown>> {
    let notify = s.notify.clone();
    let root = r.callback_root.as_ref().map(|r| r.trim_end_matches('/').to_owned());
    let back = root.clone();
    let m = s
        .domain(move |n| {
            let mut faults = Vec::new();
            let id = Uuid::new_v4();
            let auth = auth_of(&notify, id, r.authentication, &mut faults)?;
            let api_root = r.api_root.trim_end_matches('/').to_owned();
            if let Err(f) = notify.caller("apiRoot", &api_root, id, auth.as_ref()) {
                faults.push(f.detail());
            }
            // It shows by its secret who it is.
            if let Some(back) = back.as_ref().filter(|b| b.len() > 1000 || !b.starts_with("https://") || b.contains(['?', '#', ' '])) {
                faults.push(format!("callbackRoot: '{back}' must be an https URI without a query: what stands before /bothy/v1"));
            }
            let known = n.vnfm().rules().links;
            let is_known = |p: &SmolStr| known.physical.contains(p) || known.tunnels.iter().any(|t| t.name == *p);
            faults.extend(r.networks.keys().filter(|p| !is_known(p)).map(|p| format!("networks: this box has no physical network '{p}'")));
            if !faults.is_empty() {
                return Err(Fault::invalid(format!("VNFM {name} cannot be asked so")).with_reasons(faults));
            }
            Ok(ForeignVnfm {
                account: name,
                id,
                project: ProjectId::DEFAULT,
                api_root,
                auth,
                vnfm_info: r.vnfm_info,
                vnfds: r.vnfds,
                vim: r.vim,
                networks: r.networks.into_iter().collect(),
                created: n.vnfm().clock().now(),
                revision: 1,
            })
        })
        .await?;
    let sets = move |a: &Access, by: &Caller| a.set_vnfm(by, &m, root.as_deref()).and_then(|m| Ok(shown(&m, a.ear(&m.account)?)));
    Ok(Json(s.identity(sets).await?))
}

/// SOL003's test of a callback: whoever may call is answered.
pub async fn tested(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery) -> Answer<StatusCode> {
    s.identity(move |a, by| itself(a, by, &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A notification of its VNFs (SOL003 5.5.2.17, 7.5.2.5): it says that something is new, and what is so is looked at there.
pub async fn told(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery, extract::Json(r): extract::Json<Notification>) -> Answer<StatusCode> {
    let of = name.clone();
    s.identity(move |a, by| itself(a, by, &of)).await?;
    tracing::debug!(vnfm = %name, kind = r.notification_type, "a foreign VNFM tells of its VNFs");
    s.domain(move |n| n.vnfm().told_by(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whatever else is in it is read at the VNFM.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    notification_type: String,
}

/// Only a VNFM itself tells of its VNFs.
fn itself(a: &Access, by: &Caller, name: &SmolStr) -> Result<()> {
    let listens = by.name == *name && a.ear(name)?.is_some();
    if listens { Ok(()) } else { Err(Fault::not_found(format!("'{}' is no foreign VNFM that is to call here as '{name}'", by.name))) }
}

pub async fn delete(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery) -> Answer<StatusCode> {
    s.identity(move |a, by| a.delete_vnfm(by, &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
