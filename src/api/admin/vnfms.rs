//! Foreign VNFMs: where VNFs of services are driven that are in their charge, and which these are.

use std::collections::BTreeMap;

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use super::nfvos::way_in;
use crate::{
    api::{
        Ctx,
        convert::time,
        extract::{self, Id},
        problem::Answer,
        respond::{Json, NoQuery},
        subscriptions::auth_of,
    },
    model::{abroad::ForeignVnfm, error::Fault, id::ProjectId},
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
    created: String,
}

fn shown(m: &ForeignVnfm) -> Shown {
    let texts = |all: &[SmolStr]| all.iter().map(ToString::to_string).collect();
    Shown {
        name: m.account.to_string(),
        api_root: m.api_root.clone(),
        authentication: way_in(m.auth.as_ref()),
        vnfm_info: texts(&m.vnfm_info),
        vnfds: texts(&m.vnfds),
        vim: m.vim.as_ref().map(ToString::to_string),
        networks: m.networks.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        created: time(m.created).to_string(),
    }
}

pub async fn all(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Shown>>> {
    let all = s.identity(|a, by| Ok(a.vnfms(by))).await?;
    Ok(Json(all.iter().map(shown).collect()))
}

pub async fn one(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery) -> Answer<Json<Shown>> {
    Ok(Json(shown(&s.identity(move |a, by| a.vnfm(by, &name)).await?)))
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
}

/// As for a central NFVO: what is wrong with the URI or the credentials is told before anything is kept.
pub async fn set(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery, extract::Json(r): extract::Json<Set>) -> Answer<Json<Shown>> {
    let notify = s.notify.clone();
    let m = s
        .domain(move |n| {
            let mut faults = Vec::new();
            let id = Uuid::new_v4();
            let auth = auth_of(&notify, id, r.authentication, &mut faults)?;
            let api_root = r.api_root.trim_end_matches('/').to_owned();
            if let Err(f) = notify.caller("apiRoot", &api_root, id, auth.as_ref()) {
                faults.push(f.detail());
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
    Ok(Json(shown(&s.identity(move |a, by| a.set_vnfm(by, &m)).await?)))
}

pub async fn delete(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery) -> Answer<StatusCode> {
    s.identity(move |a, by| a.delete_vnfm(by, &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
