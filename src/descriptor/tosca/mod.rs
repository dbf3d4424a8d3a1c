//! SOL001 TOSCA service templates (2.6.1 to 4.4.1) into the model.
//!
//! Owns the YAML tree with positions, imports, types, intrinsic functions and the three readers,
//! VNFD, NSD and PNFD. The SOL001 type files are not needed: what they say is built in.

pub(super) mod affinity;
pub(super) mod at;
pub(super) mod constraint;
pub(super) mod day0;
pub(super) mod epa;
pub(super) mod forward;
pub(super) mod hints;
pub(super) mod image;
mod indicator;
pub(super) mod level;
pub(super) mod link;
pub(super) mod load;
pub(super) mod nsaffinity;
pub(super) mod nsaspect;
pub(super) mod nsd;
pub(super) mod nslevel;
mod own;
pub(super) mod pnfd;
pub(super) mod scalar;
pub(super) mod scope;
pub(super) mod trunk;
pub(super) mod types;
pub(super) mod vdu;
pub(super) mod versions;
pub(super) mod vnfd;
pub(super) mod yaml;
