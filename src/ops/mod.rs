//! What the box and its guests report: faults become alarms, counters become reports.
//!
//! * `alarms`  the list of alarms: raised, changed, cleared, acknowledged, each in one transaction
//! * `watch`   what guests do, and how the host is, to symptoms and their end
//! * `heal`    which crashed guest is to be made again, and when that is given up
//! * `collect` PM jobs and thresholds: when what is read, and what becomes of it
//! * `measure` counters to values
//! * `indicate` what VNFs tell of themselves, read from their guests
//!
//! Owns correlation: one alarm stands per object, part and cause, and a VNF's alarm brings one of its
//! network service. Never: HTTP, which adapters there are, what to do about a fault.

pub mod alarms;
pub mod collect;
pub mod heal;
pub mod indicate;
pub mod measure;
pub mod watch;

#[cfg(test)]
mod tests;
