//! OpenFlow 1.4 over a bridge's management socket (`BRIDGE.mgmt` beside the database's socket).
//!
//! Owns: the few messages Bothy speaks, as bytes, and the connection they go over. Never: which
//! flows there shall be. Version 1.4 because it has bundles: all changes of one, or none, and no
//! packet sees half of them (OpenFlow 1.4.1, 6.9).

mod conn;
#[cfg(test)]
pub mod fake;
mod oxm;
mod read;
mod wire;

pub use conn::{Connection, News, Refusal};
pub use oxm::Match;
pub use read::FlowSeen;
pub use wire::{Action, Change, Flow, Meter, OURS, port_number};
