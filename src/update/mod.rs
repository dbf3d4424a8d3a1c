//! Updates of the box: the other slot is written, tried once, and kept when it is sound.
//!
//! ```text
//! URL    --fetch--> bundle
//! bundle --plan--> check, write the other slot, let operations end, arm the boot loader, restart      (work)
//! start  --begin--> an ordinary boot | a trial, on a copy of the store | a commit to end | back from a trial
//! trial  --watch--> sound: record -> boot loader -> store;   not in time: restart, and the old slot says why
//! ```
//! Owns the order of all that, and the record of it: a small file beside the store, since a trial has a copy of the store
//! and the old system must read what became of it. Never: how a slot is written, or what a sound box is.

mod begin;
mod fetch;
mod journal;
mod plan;
pub mod port;
mod trial;
mod work;

#[cfg(test)]
mod tests;

pub use begin::{Begun, How, begin, leave_word};
pub use fetch::Wanted;
pub use plan::{Situation, plan};
pub use work::{Pace, Status, Updater};
