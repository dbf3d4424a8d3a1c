//! Wall-clock stamps as values. The clock itself is handed in (`Clock`), never read here.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z. For people and wire forms; timers use the monotonic
/// clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Stamp(pub u64);

/// Where time comes from. The real one never runs backward; tests bring their own.
pub trait Clock: Send + Sync {
    fn now(&self) -> Stamp;
}

/// Where new ids and other random bits come from.
pub trait Dice: Send + Sync {
    fn bytes16(&self) -> [u8; 16];
}
