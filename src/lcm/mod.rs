//! Durable operations: a plan of steps is run, retried, rolled back, failed, cancelled, recovered.
//!
//! ```text
//! accept (one transaction: op-occ + plan) -> submit -> workers run what is ready -> conclude
//!                                                ^            |  Again: parked until a time or a wake-up
//!                                                +------------+
//! ```
//! Owns the engine and the port `Runner`, through which steps are done. Never: what a VNF or an NS
//! is; it moves steps it does not understand.
//!
//! * `live`    one operation in flight, pure: which steps may run, what an answer leads to
//! * `engine`  workers, timers, wake-ups; the only place with threads
//! * `journal` what the engine knows and the store does not yet
//! * `acts`    what a client may ask of an operation: retry, rollback, fail, cancel
//! * `recover` what a start finds
//! * `port`    `Runner` and its words

#![warn(clippy::wildcard_enum_match_arm)]

pub mod acts;
pub mod archive;
pub mod engine;
mod journal;
pub mod live;
pub mod port;
pub mod recover;
pub mod timeline;
