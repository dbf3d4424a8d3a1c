//! Desired state: what the owner has signed that this box shall be, and how far it is.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use data_encoding::HEXLOWER;
use serde::Serialize;

use crate::{
    api::{
        Ctx, Services,
        convert::time,
        extract::{Reading, linger, read_body, require_type},
        problem::Answer,
        respond::{Json, NoQuery},
        who,
    },
    desired::{LIMIT, Status, plan::Item},
    model::{error::Fault, url},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// Absent where no document was ever taken in.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Document>,
    /// Why nothing is done now.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull: Option<Pull>,
    items: Vec<Shape>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    version: u64,
    signer: String,
    /// SHA-256 of the signer's certificate.
    fingerprint: String,
    taken: String,
    /// An account, or the URL it was fetched from.
    from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<String>,
    prune: bool,
    /// SHA-256 of it in its signature; absent where an older release took it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

#[derive(Serialize)]
struct Pull {
    url: String,
    /// Why the last try brought nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    kind: &'static str,
    name: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation_id: Option<String>,
    /// Of the package, the descriptor or the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

impl From<Item> for Shape {
    fn from(i: Item) -> Self {
        Shape {
            kind: i.kind.word(),
            name: i.name.into(),
            state: i.state.word(),
            reason: i.reason,
            operation_id: i.op.map(|o| o.to_string()),
            id: i.id.map(|i| i.to_string()),
        }
    }
}

impl Shown {
    fn of(s: Status, url: &str) -> Shown {
        let document = s.kept.map(|k| Document {
            version: k.version,
            signer: k.signer.into(),
            fingerprint: HEXLOWER.encode(&k.fingerprint),
            taken: time(k.taken).to_string(),
            from: k.from.into(),
            not_after: k.not_after.map(|t| time(t).to_string()),
            prune: k.prune,
            digest: k.message.map(|d| HEXLOWER.encode(&d)),
        });
        let pull = (!url.is_empty()).then(|| Pull { url: url::shown(url), failed: s.pull_failed });
        Shown { document, held: s.held, pull, items: s.items.into_iter().map(Shape::from).collect() }
    }
}

async fn shown(s: &Services) -> Answer<Json<Shown>> {
    let (desired, config) = (s.desired.clone(), s.config.now());
    Ok(Json(s.pool.run(move || desired.status().map(|now| Shown::of(now, &config.desired.url))).await?))
}

pub async fn show(State(s): Ctx, _: NoQuery) -> Answer<Json<Shown>> {
    shown(&s).await
}

pub fn is_signed(media_type: &str) -> bool {
    matches!(media_type, "application/cms" | "application/pkcs7-mime" | "application/octet-stream")
}

/// No document counts any more; the services that it asked for stay as they are.
pub async fn forget(State(s): Ctx, _: NoQuery) -> Answer<StatusCode> {
    let desired = s.desired.clone();
    match s.pool.see_through(move || desired.forget()).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Fault::not_found("no desired state counts here").into()),
    }
}

/// The document in its signature is the body.
pub async fn put(State(s): Ctx, _: NoQuery, headers: HeaderMap, mut body: Body) -> Answer<(StatusCode, Json<Shown>)> {
    if let Err(p) = require_type(&headers, is_signed, "application/cms") {
        linger(&mut body).await;
        return Err(p);
    }
    let reading = Reading { limit: LIMIT as u64, ..Reading::of(&s) };
    let signed = read_body(&headers, body, &reading).await?;
    let (desired, caller) = (s.desired.clone(), who::caller()?);
    s.pool.see_through(move || desired.take(&signed, &caller.name)).await?;
    Ok((StatusCode::ACCEPTED, shown(&s).await?))
}
