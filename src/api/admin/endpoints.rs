//! Where a VNF's own interfaces are, and its element manager's (SOL002): what somebody tells of them.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{guest::find, nfvos::way_in};
use crate::{
    api::{
        Ctx,
        convert::Base,
        extract::{self, Id},
        problem::Answer,
        respond::{Json, NoQuery},
        subscriptions::auth_of,
    },
    model::{
        error::{Fault, Result},
        id::VnfId,
        own::{Endpoint, OwnEndpoints},
    },
    notify::Notifier,
    sol::subscription::SubscriptionAuthentication,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    vnf_instance_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vnf: Option<ShownOne>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mgmt: Option<ShownOne>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownOne {
    #[serde(skip_serializing_if = "Option::is_none")]
    api_root: Option<String>,
    /// How Bothy shows who it is; never with what.
    authentication: &'static str,
}

fn shown(vnf: VnfId, told: Option<&OwnEndpoints>) -> Shown {
    let one = |e: &Endpoint| ShownOne { api_root: e.api_root.clone(), authentication: way_in(e.auth.as_ref()) };
    let (own, mgmt) = (told.and_then(|t| t.own.as_ref()), told.and_then(|t| t.mgmt.as_ref()));
    Shown { vnf_instance_id: vnf.to_string(), vnf: own.map(one), mgmt: mgmt.map(one) }
}

pub async fn show(State(s): Ctx, Id(id): Id<VnfId>, _: NoQuery) -> Answer<Json<Shown>> {
    s.domain(move |n| {
        find(n, id)?;
        Ok(Json(shown(id, n.vnfm().endpoints(id)?.as_ref())))
    })
    .await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Set {
    vnf: Option<SetOne>,
    mgmt: Option<SetOne>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetOne {
    api_root: Option<String>,
    authentication: Option<SubscriptionAuthentication>,
}

/// As for a subscriber: what is wrong with the URI or the credentials is told before anything is kept.
pub async fn set(State(s): Ctx, Id(id): Id<VnfId>, base: Base, _: NoQuery, extract::Json(r): extract::Json<Set>) -> Answer<Json<Shown>> {
    let notify = s.notify.clone();
    s.domain(move |n| {
        find(n, id)?;
        let mut faults = Vec::new();
        if r.vnf.is_none() && r.mgmt.is_none() {
            faults.push("neither vnf nor mgmt is told".to_owned());
        }
        if r.mgmt.as_ref().is_some_and(|m| m.api_root.is_none()) {
            faults.push("mgmt: apiRoot is missing: no VNFD says where an element manager is".to_owned());
        }
        if r.vnf.as_ref().is_some_and(|v| v.api_root.is_none() && v.authentication.is_some()) {
            faults.push("vnf: apiRoot is missing: a login is for one place, and a VNFD may come to say another".to_owned());
        }
        let mut one = |what: &str, of: Option<SetOne>| of.map(|o| endpoint(&notify, what, o, &mut faults)).transpose();
        let (own, mgmt) = (one("vnf", r.vnf)?, one("mgmt", r.mgmt)?);
        if !faults.is_empty() {
            return Err(Fault::invalid(format!("VNF instance {id} cannot be asked so")).with_reasons(faults));
        }
        let told = OwnEndpoints { vnf: id, own, mgmt, base: base.0, revision: 1 };
        Ok(Json(shown(id, Some(&n.vnfm().set_endpoints(told)?))))
    })
    .await
}

fn endpoint(notify: &Notifier, what: &str, o: SetOne, faults: &mut Vec<String>) -> Result<Endpoint> {
    let id = Uuid::new_v4();
    let auth = auth_of(notify, id, o.authentication, faults)?;
    let api_root = o.api_root.map(|r| r.trim_end_matches('/').to_owned());
    if let Some(root) = &api_root
        && let Err(f) = notify.caller(&format!("{what}.apiRoot"), root, id, auth.as_ref())
    {
        faults.push(f.detail());
    }
    if api_root.as_ref().is_some_and(|root| root.contains(['?', '#'])) {
        faults.push(format!("{what}.apiRoot: it is what stands before a path, without '?' and '#'"));
    }
    Ok(Endpoint { id, api_root, auth })
}

pub async fn delete(State(s): Ctx, Id(id): Id<VnfId>, _: NoQuery) -> Answer<StatusCode> {
    s.domain(move |n| {
        find(n, id)?;
        n.vnfm().forget_endpoints(id)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
