//! The audit trail: newest first, page by page; and whether its chain is whole.

use axum::{
    extract::State,
    http::{HeaderValue, Uri, header::LINK},
    response::{IntoResponse as _, Response},
};
use data_encoding::HEXLOWER;
use serde::Serialize;

use crate::{
    api::{
        Ctx,
        convert::time,
        extract::query,
        problem::{Answer, Problem},
        respond::{Json, NoQuery},
    },
    model::access::AuditEntry,
};

const PAGE: u64 = 100;
const PAGE_MOST: u64 = 1000;

#[derive(Serialize)]
struct Entry {
    sequence: u64,
    time: String,
    who: String,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    method: String,
    path: String,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
    hash: String,
}

impl From<AuditEntry> for Entry {
    fn from(e: AuditEntry) -> Self {
        Entry {
            sequence: e.sequence,
            time: time(e.at).to_string(),
            who: e.who.into(),
            source: e.source.into(),
            project: e.project.map(|p| p.to_string()),
            method: e.method.into(),
            path: e.path,
            status: e.status,
            operation: e.op.map(|o| o.to_string()),
            why: e.why,
            hash: HEXLOWER.encode(&e.hash),
        }
    }
}

pub async fn page(State(s): Ctx, uri: Uri) -> Answer<Response> {
    let (mut before, mut limit) = (None, PAGE);
    for (k, v) in query(&uri, &["before", "limit"])? {
        let n: u64 = v.parse().map_err(|_| Box::new(Problem::malformed(format!("{k}: '{v}' is not a number"))))?;
        if k == "before" { before = Some(n) } else { limit = n.clamp(1, PAGE_MOST) }
    }
    let page = s.identity(move |a, _| a.audit_page(before, limit)).await?;
    let next = page.last().filter(|e| page.len() as u64 == limit && e.sequence > 1).map(|e| e.sequence);
    let all: Vec<Entry> = page.into_iter().map(Into::into).collect();
    let mut r = Json(all).into_response();
    let link = next.and_then(|n| HeaderValue::try_from(format!("</bothy/v1/audit?before={n}&limit={limit}>; rel=\"next\"")).ok());
    if let Some(link) = link {
        r.headers_mut().insert(LINK, link);
    }
    Ok(r)
}

#[derive(Serialize)]
pub struct Outcome {
    whole: bool,
    entries: u64,
    first: u64,
    last: u64,
    /// Of the newest entry: noted elsewhere, it shows a chain that was written anew.
    hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

pub async fn verify(State(s): Ctx, _: NoQuery) -> Answer<Json<Outcome>> {
    let v = s.identity(|a, _| a.verify_audit()).await?;
    Ok(Json(Outcome {
        whole: v.fault.is_none(),
        entries: v.entries,
        first: v.first,
        last: v.last,
        hash: HEXLOWER.encode(&v.hash),
        fault: v.fault,
    }))
}
