//! Keys of platform awareness: the free string maps of descriptors, into `model::epa`.
//!
//! Owns the one table of keys (`table`), from which `descriptors/EPA.md` is made, how a key's value is
//! read (`guest`, `nic`), and what keys demand of each other (`settle`). A key that is not in the table is
//! a warning that names the nearest one. Never: which maps a dialect has; its reader hands the keys in.

mod guest;
mod nic;
mod numa;
mod settle;
mod table;
#[cfg(test)]
mod tests;

pub use guest::GuestKeys;
pub use nic::{NicKeys, bits, mbits};
pub use settle::Queues;
pub use table::markdown;
