//! The box's own network as desired state: checked, tried, and undone unless somebody confirms it.
//!
//! ```text
//! wanted --check--> every reason why not | files of the network daemon      (check, files: pure)
//!        --try--> record -> files that count until the next restart -> the daemon takes them up      (work)
//! confirmed: files that outlive restarts -> record        in no time: record -> files as before
//! ```
//! A change that cuts the box off can be confirmed by nobody who needs that way to it, so it heals itself.
//! Owns that order, (`judge`, `uplinks`) which of the ways out counts, and (`door`) what of outside reaches the box. Never: sets an address itself, or a network of guests.

mod check;
mod door;
mod files;
mod judge;
pub mod port;
mod uplinks;
mod work;

#[cfg(test)]
mod tests;

pub use check::check;
pub use door::Door;
pub use files::{LEAD, NetFile, USUAL_MTU, render};
pub use judge::METRIC;
pub use uplinks::{State, UplinkNow, Uplinks, WayNow};
pub use work::{HostNets, LIMITS_S, Status};
