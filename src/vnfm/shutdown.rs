//! The host goes down: every guest is asked to stop, and destroyed when the time is over.
//!
//! ```text
//!  up ──shutdown_guests──► stopping ──all off──► stopped ──the host goes down
//!   ▲                         │                     │
//!   └──────── call_off ───────┴── call_off, or an operator starts a VNF
//! ```
//! What guests shall be doing is not changed: after the boot those that were started are started
//! again. Until then no guest is started by a look at the host, none is healed by itself, and one that goes off is
//! no alarm; the health page says so. Never: a single VNF's stop, which is an operation.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::Vnfm;
use crate::{
    model::{
        error::{Fault, Result},
        id::VnfcId,
        time::Stamp,
    },
    vim::port::{FoundGuest, GuestState, StopHow},
};

const LOOK_AGAIN: Duration = Duration::from_millis(250);
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Guests that are asked, or destroyed, at the same time: one that does not answer must not use up the others' time.
const AT_ONCE: usize = 16;

/// How it went.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    pub stopped: usize,
    /// Did not stop in time.
    pub destroyed: usize,
}

/// A shutdown of the host that guests were told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    pub since: Stamp,
    /// Guests are being stopped just now, by so many calls.
    pub under_way: usize,
}

/// One call of them; over when it is dropped.
struct Call<'a>(&'a Vnfm);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(d) = &mut *self.0.drain() {
            d.under_way = d.under_way.saturating_sub(1);
        }
    }
}

impl Vnfm {
    pub fn shutdown_guests(&self, within: Duration) -> Result<Shutdown> {
        let since = self.clock.now();
        self.drain().get_or_insert(Drain { since, under_way: 0 }).under_way += 1;
        let _call = Call(self);
        let until = Instant::now() + within;
        let running = self.running()?;
        let all = running.len();
        info!(guests = all, seconds = within.as_secs(), "the host goes down: guests are asked to stop");
        let mut left: Vec<VnfcId> = running;
        let mut asked: Option<Instant> = None;
        while !left.is_empty() && Instant::now() < until {
            if !self.is_draining() {
                info!(left = left.len(), "the shutdown is called off: guests that have not stopped go on");
                return Ok(Shutdown { stopped: all.saturating_sub(left.len()), destroyed: 0 });
            }
            if asked.is_none_or(|a| a.elapsed() >= ASK_AGAIN) {
                let first = asked.is_none();
                each(&left, |id| self.ask(id, first));
                asked = Some(Instant::now());
            }
            std::thread::sleep(LOOK_AGAIN.min(until.saturating_duration_since(Instant::now())));
            left = self.running()?;
        }
        let failed: Mutex<Option<Fault>> = Mutex::default();
        each(&left, |id| {
            warn!(guest = %id, "the guest did not stop in time: it is destroyed");
            if let Err(fault) = self.hypervisor.destroy(id) {
                warn!(guest = %id, "the guest cannot be destroyed: {fault:?}");
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
            }
        });
        if let Some(fault) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(fault);
        }
        Ok(Shutdown { stopped: all.saturating_sub(left.len()), destroyed: left.len() })
    }

    /// The host stays up. Says whether it was to go down. Who asks has the host looked at, so that guests start again.
    pub fn call_off_shutdown(&self) -> bool {
        let was = self.drain().take();
        if was.is_some() {
            info!("the host does not go down: guests are looked after again");
        }
        was.is_some()
    }

    /// An operator starts guests on a host that had stopped all: it does not go down. While it still stops them it does.
    pub fn started_by_hand(&self) {
        let stopped = self.drain().is_some_and(|d| d.under_way == 0);
        if stopped {
            self.call_off_shutdown();
        }
    }

    fn running(&self) -> Result<Vec<VnfcId>> {
        let up = |g: &FoundGuest| match g.state {
            GuestState::Running | GuestState::Paused | GuestState::PausedIo | GuestState::Stopping => true,
            GuestState::Off | GuestState::Crashed => false,
        };
        Ok(self.hypervisor.list()?.into_iter().filter(up).map(|g| g.id).collect())
    }

    fn ask(&self, id: VnfcId, first: bool) {
        if first && self.hypervisor.ask_stop(id, StopHow::Agent).is_ok() {
            return;
        }
        if let Err(fault) = self.hypervisor.ask_stop(id, StopHow::Acpi) {
            warn!(guest = %id, "the guest cannot be asked to stop: {fault:?}");
        }
    }
}

fn each(guests: &[VnfcId], f: impl Fn(VnfcId) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(guests.len()) {
            scope.spawn(|| {
                while let Some(id) = guests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    f(*id);
                }
            });
        }
    });
}
