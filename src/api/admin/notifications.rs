//! How far each subscriber is: what waits, what was given up and why; once more; and whether it answers.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    access::manage::Thing,
    api::{
        Ctx,
        convert::{subscription::collection, time},
        extract::Id,
        problem::Answer,
        respond::{Json, NoQuery},
        who::View,
    },
    model::subscription::DeadLetter,
    notify::Standing,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wire {
    /// Events in the outbox.
    kept: u64,
    subscribers: Vec<Subscriber>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Subscriber {
    id: String,
    subscription: String,
    callback_uri: String,
    waiting: u64,
    attempts: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
    lost: u64,
    dead: Vec<Dead>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dead {
    sequence: u64,
    what: String,
    attempts: u32,
    why: String,
    given_up: String,
}

fn dead(d: DeadLetter) -> Dead {
    Dead { sequence: d.event.sequence, what: d.event.identity(), attempts: d.attempts, why: d.why, given_up: time(d.given_up).to_string() }
}

fn subscriber(s: Standing) -> Subscriber {
    Subscriber {
        id: s.subscription.id.to_string(),
        subscription: format!("{}/{}", collection(s.subscription.source), s.subscription.id),
        callback_uri: s.subscription.callback,
        waiting: s.waiting,
        attempts: s.progress.attempts,
        why: s.progress.why,
        lost: s.progress.lost,
        dead: s.dead.into_iter().map(dead).collect(),
    }
}

pub async fn all(State(s): Ctx, _: NoQuery) -> Answer<Json<Wire>> {
    let notify = s.notify.clone();
    let of = move |n: &View| {
        let mut all = notify.standings()?;
        let store = n.vnfm().store();
        all.retain(|s| n.caller().sees_all_of(&s.subscription) && n.caller().has_as_own(store, Thing::Subscription(s.subscription.id)));
        let mut his = Vec::new();
        for s in all {
            if n.caller().has_in_charge(n.vnfm().store(), &s.subscription)? {
                his.push(s);
            }
        }
        Ok((notify.kept()?, his))
    };
    let (kept, all) = s.domain(of).await?;
    Ok(Json(Wire { kept, subscribers: all.into_iter().map(subscriber).collect() }))
}

pub async fn redeliver(State(s): Ctx, Id(id): Id<Uuid>, _: NoQuery) -> Answer<StatusCode> {
    let notify = s.notify.clone();
    s.domain(move |_| notify.redeliver(id)).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Of a subscription, a PM job or a threshold.
pub async fn test(State(s): Ctx, Id(id): Id<Uuid>, _: NoQuery) -> Answer<StatusCode> {
    let notify = s.notify.clone();
    let found = s.domain(move |_| notify.any(id)).await?;
    s.notify.probe(&found).await?;
    Ok(StatusCode::NO_CONTENT)
}
