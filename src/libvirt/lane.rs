//! A few threads that may get stuck in libvirt, so that no caller does.
//!
//! Owns the workers of one connection and the deadline of each call. A call whose deadline passes is
//! answered `Transient` at once; its thread stays with libvirt until that answers, and a job nobody
//! waits for any more is not begun. Never: what the calls do.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use crate::model::error::{Fault, Result};

/// As many calls as libvirtd serves at once on one connection (`max_client_requests`).
const WORKERS: usize = 5;

pub struct Lane {
    queue: Arc<Queue>,
}

struct Queue {
    name: &'static str,
    inner: Mutex<Inner>,
    more: Condvar,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    workers: usize,
    idle: usize,
    closed: bool,
}

struct Job {
    until: Instant,
    run: Box<dyn FnOnce() + Send>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Jobs are caught when they panic, and nothing else runs under the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    pub fn new(name: &'static str) -> Self {
        Lane { queue: Arc::new(Queue { name, inner: Mutex::default(), more: Condvar::new() }) }
    }

    /// Runs `f` on a worker and waits for it, at most `wait`. `f` is told its deadline.
    pub fn call<T: Send + 'static>(&self, what: &str, wait: Duration, f: impl FnOnce(Instant) -> Result<T> + Send + 'static) -> Result<T> {
        let until = Instant::now() + wait;
        let (answer, answered) = mpsc::sync_channel(1);
        let run = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(|| f(until))).unwrap_or_else(|_| Err(Fault::bug("a call to libvirt panicked")));
            // Nobody listens any more when the deadline has passed.
            let _ = answer.send(result);
        });
        self.submit(Job { until, run })?;
        match answered.recv_timeout(wait) {
            Ok(result) => result.map_err(|e| e.context(what)),
            Err(_) => Err(Fault::transient(format!(
                "{what}: libvirt did not answer within {} s; see whether libvirtd runs and is not stuck (systemctl status libvirtd, journalctl -u libvirtd)",
                wait.as_secs_f32().round()
            ))),
        }
    }

    fn submit(&self, job: Job) -> Result<()> {
        let mut inner = self.queue.lock();
        inner.jobs.push_back(job);
        if inner.idle >= inner.jobs.len() {
            self.queue.more.notify_one();
            return Ok(());
        }
        if inner.workers < WORKERS {
            let queue = Arc::clone(&self.queue);
            match thread::Builder::new().name(self.queue.name.into()).spawn(move || work(&queue)) {
                Ok(_) => inner.workers += 1,
                Err(e) if inner.workers == 0 => {
                    inner.jobs.pop_back();
                    return Err(Fault::transient("no thread for a call to libvirt: the host is out of threads or memory").with_source(e));
                }
                Err(e) => tracing::warn!(error = %e, "fewer threads for libvirt than wanted"),
            }
        }
        self.queue.more.notify_one();
        Ok(())
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.more.notify_all();
    }
}

fn work(queue: &Queue) {
    let mut inner = queue.lock();
    loop {
        while let Some(job) = inner.jobs.pop_front() {
            drop(inner);
            if Instant::now() < job.until {
                (job.run)();
            }
            inner = queue.lock();
        }
        if inner.closed {
            return;
        }
        inner.idle += 1;
        inner = queue.more.wait(inner).unwrap_or_else(PoisonError::into_inner);
        inner.idle -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Kind;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_stuck_call_is_transient_and_stuck_workers_do_not_begin_what_nobody_awaits() {
        let lane = Arc::new(Lane::new("test"));
        let (free, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let begun = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..WORKERS + 3)
            .map(|_| {
                let (lane, gate, begun) = (lane.clone(), gate.clone(), begun.clone());
                thread::spawn(move || {
                    lane.call("starting guest x", Duration::from_millis(200), move |_| {
                        begun.fetch_add(1, Ordering::SeqCst);
                        let _ = gate.lock().expect("gate").recv();
                        Ok(())
                    })
                })
            })
            .collect();
        for c in callers {
            let e = c.join().expect("joined").expect_err("stuck");
            assert_eq!(e.kind(), Kind::Transient);
            assert!(e.text().starts_with("starting guest x: libvirt did not answer"), "{e}");
        }
        drop(free);
        // The workers come free, skip the three that waited in vain, and serve again.
        assert_eq!(lane.call("x", Duration::from_secs(5), |_| Ok(7)).expect("served"), 7);
        assert_eq!(begun.load(Ordering::SeqCst), WORKERS);
    }

    #[test]
    fn a_panicking_call_is_a_bug_and_the_lane_goes_on() {
        let lane = Lane::new("test");
        let e = lane.call("x", Duration::from_secs(5), |_| -> Result<()> { panic!("boom") }).expect_err("panicked");
        assert_eq!(e.kind(), Kind::Bug);
        assert!(lane.call("x", Duration::from_secs(5), |_| Ok(())).is_ok());
    }
}
