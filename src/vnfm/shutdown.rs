//! The host goes down: every guest is asked to stop, and destroyed when the time is over.
//!
//! What guests shall be doing is not changed: after the boot those that were started are started
//! again. From the first call on no guest is started by a look at the host. Never: a single VNF's
//! stop, which is an operation.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::Vnfm;
use crate::{
    model::{error::Result, id::VnfcId},
    vim::port::{FoundGuest, GuestState, StopHow},
};

const LOOK_AGAIN: Duration = Duration::from_millis(250);
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// How it went.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    pub stopped: usize,
    /// Did not stop in time.
    pub destroyed: usize,
}

impl Vnfm {
    pub fn shutdown_guests(&self, within: Duration) -> Result<Shutdown> {
        self.draining.store(true, Ordering::SeqCst);
        let until = Instant::now() + within;
        let running = self.running()?;
        let all = running.len();
        info!(guests = all, seconds = within.as_secs(), "the host goes down: guests are asked to stop");
        let mut left: Vec<VnfcId> = running;
        let mut asked: Option<Instant> = None;
        while !left.is_empty() && Instant::now() < until {
            if asked.is_none_or(|a| a.elapsed() >= ASK_AGAIN) {
                let first = asked.is_none();
                left.iter().for_each(|id| self.ask(*id, first));
                asked = Some(Instant::now());
            }
            std::thread::sleep(LOOK_AGAIN.min(until.saturating_duration_since(Instant::now())));
            left = self.running()?;
        }
        let mut failed = None;
        for id in &left {
            warn!(guest = %id, "the guest did not stop in time: it is destroyed");
            if let Err(fault) = self.hypervisor.destroy(*id) {
                warn!(guest = %id, "the guest cannot be destroyed: {fault:?}");
                failed.get_or_insert(fault);
            }
        }
        if let Some(fault) = failed {
            return Err(fault);
        }
        Ok(Shutdown { stopped: all.saturating_sub(left.len()), destroyed: left.len() })
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
