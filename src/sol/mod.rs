//! `sol`: what ETSI's SOL003 and SOL005 APIs (v2 majors, 3.7.1) look like on the wire.
//!
//! Owns plain structs and enums with ETSI's member names, and the rules that hold for all of them: a required member is a plain
//! field, an optional one is an `Option`, a list or a map and is left out when empty; a request's unknown members are ignored;
//! where ETSI's own files misspell a name or a value, the right one is sent and both are understood, except where the misspelt
//! one is the standard (then the field says so). Never does I/O, never knows the model: `api` converts. Never judges a request
//! beyond its shape: "exactly one of" is the handler's to refuse, with all faults at once.
pub mod capacity;
pub mod common;
pub mod cp;
pub mod filter;
pub mod fm;
pub mod grant;
pub mod lcmcoord;
pub mod nsd;
pub mod nslcm;
pub mod pkgm;
pub mod pm;
pub mod problem;
pub mod shape;
pub mod subscription;
pub mod vnfconfig;
pub mod vnfind;
pub mod vnflcm;

#[cfg(test)]
mod examples;
#[cfg(test)]
#[path = "../../tests/api/schema.rs"]
pub(crate) mod schema;
#[cfg(test)]
mod tests;
