//! The way from async handlers into the synchronous core: a bounded number of calls at one time.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{Answer, Problem};
use crate::model::error::{Fault, Result};

/// Longest wait for a free place before the caller is told to come back.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Pool {
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Pool {
    pub fn new(calls: usize) -> Self {
        Pool { places: Arc::new(Semaphore::new(calls)), patience: PATIENCE }
    }

    /// Runs `f` on a thread that may block. The call goes on to its end even when the client
    /// leaves: what was begun in the core is finished there.
    pub async fn run<T: Send + 'static>(&self, f: impl FnOnce() -> Result<T> + Send + 'static) -> Answer<T> {
        let place = match tokio::time::timeout(self.patience, self.places.clone().acquire_owned()).await {
            Ok(Ok(p)) => p,
            Ok(Err(_)) | Err(_) => return Err(Box::new(Problem::busy("too many requests are being worked on", 5))),
        };
        at(place, f).await
    }

    /// As `run`, and waits for a place as long as it takes: for the end of what a record says is
    /// under way, which nobody else would bring.
    pub async fn see_through<T: Send + 'static>(&self, f: impl FnOnce() -> Result<T> + Send + 'static) -> Answer<T> {
        match self.places.clone().acquire_owned().await {
            Ok(place) => at(place, f).await,
            Err(_) => Err(Box::new(Problem::busy("bothy is going down", 5))),
        }
    }
}

async fn at<T: Send + 'static>(place: OwnedSemaphorePermit, f: impl FnOnce() -> Result<T> + Send + 'static) -> Answer<T> {
    let span = tracing::Span::current();
    let done = tokio::task::spawn_blocking(move || {
        let _place = place;
        span.in_scope(f)
    })
    .await;
    match done {
        Ok(result) => result.map_err(Into::into),
        // The panic itself is in the log already, by the panic hook.
        Err(_) => Err(Fault::bug("the request failed by a fault in Bothy itself; the log has the details").into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn calls_wait_their_turn_and_a_panic_is_an_answer() {
        let pool = Pool::new(2);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut calls = Vec::new();
        for _ in 0..8 {
            let (pool, now, most) = (pool.clone(), now.clone(), most.clone());
            calls.push(tokio::spawn(async move {
                pool.run(move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok(())
                })
                .await
                .is_ok()
            }));
        }
        for c in calls {
            assert!(c.await.expect("task"));
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
        let p = pool.run(|| -> Result<()> { panic!("on purpose") }).await.expect_err("panic");
        assert_eq!(p.status.as_u16(), 500);
        assert!(pool.run(|| Ok(1)).await.is_ok(), "the place is free again");
    }

    #[tokio::test]
    async fn who_has_to_come_to_an_end_waits_longer_than_who_only_asks() {
        let pool = Pool { patience: Duration::from_millis(20), ..Pool::new(1) };
        let (go_on, waits) = std::sync::mpsc::channel::<()>();
        let busy = {
            let pool = pool.clone();
            tokio::spawn(async move { pool.run(move || Ok(waits.recv().is_ok())).await.is_ok() })
        };
        tokio::task::yield_now().await;
        let end = {
            let pool = pool.clone();
            tokio::spawn(async move { pool.see_through(|| Ok(2)).await.is_ok() })
        };
        assert_eq!(pool.run(|| Ok(1)).await.expect_err("busy").status.as_u16(), 503);
        assert!(!end.is_finished());
        go_on.send(()).expect("busy");
        assert!(busy.await.expect("task") && end.await.expect("task"));
    }
}
