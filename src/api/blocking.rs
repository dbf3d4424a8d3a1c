//! The way from async handlers into the synchronous core: a bounded number of calls at one time.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::{Semaphore, oneshot};

use super::problem::{Answer, Problem};
use crate::model::error::{Fault, Result};

/// Longest wait for a free place before the caller is told to come back.
const PATIENCE: Duration = Duration::from_secs(20);

tokio::task_local! {
    static WRITES: bool;
}

/// Sees a request through, whose calls may write or do not.
pub async fn writing<F: Future>(may: bool, f: F) -> F::Output {
    WRITES.scope(may, f).await
}

#[derive(Clone)]
pub struct Pool {
    places: Arc<Semaphore>,
    patience: Duration,
    /// How a call is run that may write.
    around: Option<Around>,
}

impl Pool {
    pub fn new(calls: usize) -> Self {
        Pool { places: Arc::new(Semaphore::new(calls)), patience: PATIENCE, around: None }
    }

    /// The same; calls that may write are run by this: who waits for the disk knows of them.
    pub fn around(self, run: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static) -> Self {
        Pool { around: Some(Arc::new(run)), ..self }
    }

    /// Runs `f` on a thread that may block. The call goes on to its end even when the client
    /// leaves: what was begun in the core is finished there.
    pub fn run<T: Send + 'static>(&self, f: impl FnOnce() -> Result<T> + Send + 'static) -> Call<T> {
        let (job, slot) = job(f);
        Call::Runs(self.done(job, Some(self.patience)), slot)
    }

    /// As `run`, and waits for a place as long as it takes: for the end of what a record says is
    /// under way, which nobody else would bring.
    pub fn see_through<T: Send + 'static>(&self, f: impl FnOnce() -> Result<T> + Send + 'static) -> Call<T> {
        let (job, slot) = job(f);
        Call::Runs(self.done(job, None), slot)
    }

    /// Finds a place for a job and sees it done. One future and one kind of task for all calls, whatever they
    /// give back: of its own for each handler they were a megabyte of the binary.
    fn done(&self, job: Job, patience: Option<Duration>) -> Pin<Box<dyn Future<Output = Answer<()>> + Send>> {
        let place = self.places.clone().acquire_owned();
        let span = tracing::Span::current();
        let around = self.around.clone().filter(|_| WRITES.try_with(|w| *w).unwrap_or(false));
        Box::pin(async move {
            let place = match patience {
                Some(limit) => tokio::time::timeout(limit, place)
                    .await
                    .map_err(|_| Box::new(Problem::busy("too many requests are being worked on", 5)))?,
                None => place.await,
            };
            let place = place.map_err(|_| going_down())?;
            let (tell, told) = oneshot::channel();
            let begun = Arc::new(AtomicBool::new(false));
            let begins = Arc::clone(&begun);
            let all: Job = Box::new(move || {
                begins.store(true, Ordering::Release);
                let _place = place;
                let mut job = Some(job);
                let mut once = || {
                    if let Some(job) = job.take() {
                        job();
                    }
                };
                span.in_scope(|| match &around {
                    Some(run) => run(&mut once),
                    None => once(),
                });
                // Nobody waits any more when the client has left.
                let _ = tell.send(());
            });
            tokio::task::spawn_blocking(all);
            // A runtime that ends drops what it has not begun.
            told.await.map_err(|_| if begun.load(Ordering::Acquire) { broken() } else { going_down() })
        })
    }
}

type Job = Box<dyn FnOnce() + Send>;
type Around = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;
/// Where a job leaves what it came to.
type Slot<T> = Arc<Mutex<Option<Result<T>>>>;

/// A call and what it comes to. A type of its own, and not a future of each handler's making: with one more state machine
/// per handler the binary was half a megabyte larger.
pub enum Call<T> {
    Runs(Pin<Box<dyn Future<Output = Answer<()>> + Send>>, Slot<T>),
    /// It came to this at once; nothing after it was taken.
    Over(Option<Answer<T>>),
}

impl<T> Call<T> {
    pub fn over(came_to: Result<T>) -> Self {
        Call::Over(Some(came_to.map_err(Into::into)))
    }
}

// Nothing in it is pinned in place: the future is in a box of its own.
impl<T> Unpin for Call<T> {}

impl<T> Future for Call<T> {
    type Output = Answer<T>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer<T>> {
        match self.get_mut() {
            Call::Runs(done, slot) => done.as_mut().poll(cx).map(|done| done.and_then(|()| taken(slot))),
            Call::Over(came_to) => Poll::Ready(came_to.take().unwrap_or_else(|| Err(broken()))),
        }
    }
}

fn job<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> (Job, Slot<T>) {
    let slot = Slot::default();
    let at = Arc::clone(&slot);
    let job = move || {
        let came_to = f();
        *at.lock().unwrap_or_else(PoisonError::into_inner) = Some(came_to);
    };
    (Box::new(job), slot)
}

fn taken<T>(slot: &Slot<T>) -> Answer<T> {
    let came_to = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    came_to.ok_or_else(broken)?.map_err(Into::into)
}

fn going_down() -> Box<Problem> {
    Box::new(Problem::busy("bothy is going down", 5))
}

/// The panic itself is in the log already, by the panic hook.
fn broken() -> Box<Problem> {
    Fault::bug("the request failed by a fault in Bothy itself; the log has the details").into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

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
