//! Kinds of links, and chains, with packets: a real Open vSwitch on its userspace datapath, guests as namespaces.

mod capture;
mod chains;
mod changes;
pub mod function;
mod handover;
mod kinds;
mod lab;
mod outside;
mod repair;
mod shown;
mod spread;
mod traffic;
pub mod tunnel;
