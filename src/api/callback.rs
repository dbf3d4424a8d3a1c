//! What tells by a callback of its own: PM jobs and thresholds (SOL003 6.4, SOL005 7.4), thresholds of capacity (SOL005 10.4).
//!
//! Owns the subscription that each of them is, under its own id, and its change. Never: what is measured.

use axum::{extract::State, http::HeaderMap, response::Response};
use uuid::Uuid;

use super::{
    Ctx,
    conditional::if_match,
    convert::Base,
    extract::{self, Id},
    problem::Answer,
    respond::{shown, unprocessable},
    subscriptions::auth_of,
    who::View,
};
use crate::{
    model::{
        error::{Fault, Kind, Result},
        id::ProjectId,
        subscription::{Filter, Source, Subscription},
    },
    nfvo::Nfvo,
    sol::pm::PmModifications,
};

/// Who is told, where there is a callback.
pub fn subscription(n: &Nfvo, id: Uuid) -> Result<Option<Subscription>> {
    n.vnfm().store().get::<Subscription>(&id)
}

/// What is to be told by a callback: it hears of what it measures, and of nothing else.
pub fn told_of(id: Uuid, project: ProjectId, source: Source, callback: String, base: &Base, n: &View) -> Subscription {
    Subscription {
        id,
        project,
        every_project: false,
        source,
        callback,
        base: base.0.clone(),
        filter: Filter { ids: vec![id], ..Filter::default() },
        filter_text: None,
        short: false,
        auth: None,
        created: n.vnfm().clock().now(),
    }
}

/// A first major's have no callback, and a kill between making the two can leave one of them.
pub fn gone_already(ended: Result<()>) -> Result<()> {
    match ended {
        Err(fault) if fault.kind() == Kind::NotFound => Ok(()),
        other => other,
    }
}

/// Finds what an id names, for whom it is: its revision and whose it is.
pub type Made = fn(Source, &View, Uuid) -> Result<(u64, ProjectId)>;

/// Another callback or other credentials; 200 with what was changed, without credentials.
pub async fn modify(
    source: Source,
    made: Made,
    State(s): Ctx,
    base: Base,
    Id(id): Id<Uuid>,
    headers: HeaderMap,
    extract::Json(r): extract::Json<PmModifications>,
) -> Answer<Response> {
    let (services, asked) = (s.clone(), r.clone());
    let change = move |n: &View| {
        let (revision, project) = made(source, n, id)?;
        if_match(&headers, revision)?;
        if asked.callback_uri.is_none() && asked.authentication.is_none() {
            return Err(Fault::invalid("one of callbackUri and authentication is needed"));
        }
        let mut faults = Vec::new();
        let found = subscription(n, id)?;
        if found.is_none() && asked.callback_uri.is_none() {
            return Err(Fault::invalid("callbackUri is needed: nobody is told of it yet"));
        }
        let mut told = found.unwrap_or_else(|| told_of(id, project, source, String::new(), &base, n));
        if asked.authentication.is_some() {
            told.auth = auth_of(&services.notify, id, asked.authentication.clone(), &mut faults)?;
        }
        if let Some(to) = &asked.callback_uri {
            told.callback.clone_from(to);
        }
        if faults.is_empty() { Ok((revision, told)) } else { Err(Fault::invalid("the change cannot be made").with_reasons(faults)) }
    };
    let (revision, told) = s.domain(change).await?;
    s.notify.probe(&told).await.map_err(|f| unprocessable(f.into()))?;
    let notify = s.notify.clone();
    s.domain(move |n| {
        // It may have been ended while the callback was tried.
        made(source, n, id)?;
        // Whoever sets it hears of his own charge only.
        let element = n.caller().as_element().or(notify.element_of(id)?);
        notify.replace(told, element)
    })
    .await?;
    Ok(shown(&HeaderMap::new(), revision, &PmModifications { callback_uri: r.callback_uri, authentication: None }))
}
