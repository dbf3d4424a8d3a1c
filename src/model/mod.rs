//! What Bothy speaks of: ids, sizes, descriptors, instances, operations, steps as data, faults.
//!
//! Knows no JSON wire shape, does no I/O and reads no clock.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod abroad;
pub mod access;
pub mod alarm;
pub mod artefact;
pub mod backup;
pub mod capacity;
pub mod central;
pub mod chain;
pub mod der;
pub mod desired;
pub mod domain;
pub mod epa;
pub mod error;
pub mod event;
pub mod grant;
pub mod handout;
pub mod health;
pub mod host;
pub mod hostnet;
pub mod hw;
pub mod id;
pub mod indicator;
pub mod net;
pub mod ns;
pub mod nsd;
pub mod op;
pub mod opening;
pub mod order;
pub mod own;
pub mod package;
pub mod param;
pub mod parts;
pub mod place;
pub mod pm;
pub mod pnfd;
pub mod reset;
pub mod sdn;
pub mod secret;
pub mod segment;
pub mod setup;
pub mod size;
pub mod snapshot;
pub mod step;
pub mod subscription;
pub mod time;
pub mod tree;
pub mod tunnel;
pub mod update;
pub mod uplink;
pub mod url;
pub mod vnf;
pub mod vnfd;
