//! One subscriber's task: an event after the other, with pauses that grow while nobody answers.

use std::{sync::Arc, time::Duration};

use super::{Inner, Poke, client::Caller, lock, outbox::Next};
use crate::model::{
    error::{Fault, Result},
    event::Event,
    subscription::Subscription,
};

/// After a fault of our own (a store that does not answer).
const BREATHE: Duration = Duration::from_secs(5);

/// A call into the synchronous part.
async fn on<T: Send + 'static>(inner: &Arc<Inner>, f: impl FnOnce(&Inner) -> Result<T> + Send + 'static) -> Result<T> {
    let inner = inner.clone();
    tokio::task::spawn_blocking(move || f(&inner))
        .await
        .unwrap_or_else(|_| Err(Fault::bug("delivery of notifications failed by a fault in Bothy itself")))
}

pub async fn run(inner: Arc<Inner>, s: Subscription, mut caller: Caller) {
    let s = Arc::new(s);
    let poke = lock(&inner.poke).get(&s.id).cloned().unwrap_or_default();
    let mut newest = inner.newest.subscribe();
    loop {
        if poke.revives() {
            revive(&inner, &s, &mut caller).await;
        }
        newest.borrow_and_update();
        match round(&inner, &s, &mut caller, &poke).await {
            Ok(true) => {}
            Ok(false) => tokio::select! {
                changed = newest.changed() => if changed.is_err() { return },
                () = poke.call.notified() => {}
            },
            Err(fault) => {
                tracing::error!(subscription = %s.id, "notifications stay where they are for now: {fault:?}");
                tokio::time::sleep(BREATHE).await;
            }
        }
    }
}

/// Looks at the next events and delivers those that are wanted; says whether there may be more.
async fn round(inner: &Arc<Inner>, s: &Arc<Subscription>, caller: &mut Caller, poke: &Poke) -> Result<bool> {
    let me = s.clone();
    let Next { events, seen, more } = on(inner, move |i| i.next(&me)).await?;
    let id = s.id;
    for e in events {
        deliver(inner, s, caller, poke, e).await?;
    }
    if inner.done(id) < seen {
        on(inner, move |i| i.delivered(id, seen)).await?;
    }
    Ok(more)
}

async fn deliver(inner: &Arc<Inner>, s: &Arc<Subscription>, caller: &mut Caller, poke: &Poke, event: Event) -> Result<()> {
    let (id, sequence) = (s.id, event.sequence);
    // Dropped meanwhile, because the outbox was full, it is no longer asked for.
    while inner.done(id) < sequence {
        let why = match send(inner, s, caller, event.clone()).await? {
            Ok(()) => return on(inner, move |i| i.delivered(id, sequence)).await,
            Err(why) => why,
        };
        let said = why.clone();
        let attempts = on(inner, move |i| i.failed(id, &said)).await?;
        if attempts >= inner.settings.attempts {
            tracing::warn!(subscription = %id, callback = s.callback, attempts, why, "a notification is given up");
            return on(inner, move |i| i.give_up(id, &event, attempts, &why)).await;
        }
        if attempts == 1 {
            tracing::info!(subscription = %id, callback = s.callback, why, "a notification is not taken, and is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(pause(inner, attempts)) => {}
            () = poke.call.notified() => {}
        }
        if poke.revives() {
            revive(inner, s, caller).await;
        }
    }
    Ok(())
}

fn pause(inner: &Inner, attempts: u32) -> Duration {
    let doubled = inner.settings.pause.saturating_mul(1u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(inner.settings.longest)
}

/// One try. The inner error is the subscriber's, the outer one ours.
async fn send(inner: &Arc<Inner>, s: &Arc<Subscription>, caller: &mut Caller, event: Event) -> Result<Result<(), String>> {
    let of = s.clone();
    let rendered = on(inner, move |i| (i.render)(&of, &event)).await?;
    Ok(match caller.post(&rendered).await {
        Ok(200..=299) => Ok(()),
        Ok(status) => Err(format!("the subscriber answered {status} instead of 204")),
        Err(why) => Err(why),
    })
}

/// Dead letters once more, until one is not taken.
async fn revive(inner: &Arc<Inner>, s: &Arc<Subscription>, caller: &mut Caller) {
    let id = s.id;
    let all = on(inner, move |i| i.dead(id)).await.unwrap_or_default();
    for letter in all {
        match send(inner, s, caller, letter.event.clone()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
        if let Err(fault) = on(inner, move |i| i.revived(&letter)).await {
            tracing::warn!(subscription = %id, "a dead letter that was delivered is kept: {fault:?}");
        }
    }
}

/// Holds the outbox to its bound while events come.
pub async fn keep_bounds(inner: Arc<Inner>) {
    let mut newest = inner.newest.subscribe();
    loop {
        if let Err(fault) = on(&inner, Inner::bound).await {
            tracing::warn!("the outbox cannot be bounded: {fault:?}");
        }
        if newest.changed().await.is_err() {
            return;
        }
    }
}
