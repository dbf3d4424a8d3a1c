//! The box's clock and dice. The only place that reads the wall clock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::model::time::{Clock, Dice, Stamp};

/// Wall time that never runs backward: after a step back it stands until time has caught up.
#[derive(Default)]
pub struct SystemClock {
    last: AtomicU64,
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)]
    fn now(&self) -> Stamp {
        let ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
        Stamp(self.last.fetch_max(ms, Ordering::Relaxed).max(ms))
    }
}

/// Random bytes of the operating system.
#[derive(Default)]
pub struct OsDice;

impl Dice for OsDice {
    fn bytes16(&self) -> [u8; 16] {
        *uuid::Uuid::new_v4().as_bytes()
    }
}

/// Identifies this boot of the host, and on a host that does not say, this run of bothy.
pub fn boot_id() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let id = uuid::Uuid::parse_str(text.trim()).unwrap_or_else(|_| uuid::Uuid::new_v4());
    id.as_u64_pair().0
}
