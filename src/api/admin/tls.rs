//! The certificate that is shown: looked at, replaced, its files taken up anew. Never: the key.

use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::api::{
    Ctx, Services, extract,
    problem::Answer,
    respond::{Json, NoQuery},
    tls::Pair,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// SHA-256.
    fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ca: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_crl: Option<String>,
}

fn shown(s: &Services) -> Shown {
    let (ca, crl) = s.tls.clients();
    Shown { fingerprint: s.tls.fingerprint(), client_ca: ca.map(ToString::to_string), client_crl: crl.map(ToString::to_string) }
}

pub async fn show(State(s): Ctx, _: NoQuery) -> Json<Shown> {
    Json(shown(&s))
}

/// PEM. It has no `Debug`, so that no log can hold it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    certificate: String,
    key: String,
}

pub async fn replace(State(s): Ctx, _: NoQuery, extract::Json(n): extract::Json<New>) -> Answer<Json<Shown>> {
    let tls = s.tls.clone();
    s.pool.run(move || tls.replace(&Pair { certificate: n.certificate.into_bytes(), key: n.key.into_bytes() })).await?;
    Ok(Json(shown(&s)))
}

pub async fn reload(State(s): Ctx, _: NoQuery) -> Answer<Json<Shown>> {
    let tls = s.tls.clone();
    s.pool.run(move || tls.reload()).await?;
    Ok(Json(shown(&s)))
}
