//! What tells by a callback of its own: PM jobs and thresholds (SOL003 6.4, SOL005 7.4), thresholds of capacity (SOL005 10.4).
//!
//! Owns the subscription that each of them is, under its own id, and its change. Never: what is measured.

use axum::{extract::State, http::HeaderMap, response::Response};
use uuid::Uuid;

use super::{
    Ctx, Services,
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
        subscription::{Eyes, Filter, Source, Subscription},
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

/// Of what, where and for whom, which one, and a look at its revision first; gives the next revision.
pub type Touch = fn(Source, &Services, &View, Uuid, &dyn Fn(u64) -> Result<()>) -> Result<u64>;

/// What a callback is of.
#[derive(Clone, Copy)]
pub struct Things {
    /// Finds what an id names, for whom it is: its revision and whose it is.
    pub made: fn(Source, &View, Uuid) -> Result<(u64, ProjectId)>,
    /// Its revision is another from now on, and given back; the check sees the one before.
    pub touch: Touch,
}

/// Another callback or other credentials; 200 with what was changed, without credentials.
pub async fn modify(
    source: Source,
    things: Things,
    State(s): Ctx,
    base: Base,
    Id(id): Id<Uuid>,
    headers: HeaderMap,
    extract::Json(r): extract::Json<PmModifications>,
) -> Answer<Response> {
    let (services, asked, given) = (s.clone(), r.clone(), headers.clone());
    let change = move |n: &View| {
        let (revision, project) = (things.made)(source, n, id)?;
        if_match(&given, revision)?;
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
        if faults.is_empty() { Ok(told) } else { Err(Fault::invalid("the change cannot be made").with_reasons(faults)) }
    };
    let told = s.domain(change).await?;
    s.notify.probe(&told).await.map_err(|f| unprocessable(f.into()))?;
    let services = s.clone();
    let revision = s
        .domain(move |n| {
            let notify = &services.notify;
            // Whoever sets it hears of what is there for him only.
            let eyes = match n.caller().eyes() {
                Eyes::Project => notify.eyes_of(id)?,
                other => other,
            };
            // It may have been ended, or changed, while the callback was tried.
            let revision = (things.touch)(source, &services, n, id, &|now| if_match(&headers, now))?;
            notify.replace(told, eyes)?;
            Ok(revision)
        })
        .await?;
    Ok(shown(&HeaderMap::new(), revision, &PmModifications { callback_uri: r.callback_uri, authentication: None }))
}
