//! The product end to end: the daemon as a process, libvirt, QEMU, Open vSwitch, dnsmasq and nft, all
//! real, on a host of the test's own.

mod backup;
mod chains;
mod debian;
mod dpdk;
mod edges;
mod firmware;
mod flavour;
mod float;
mod kinds;
mod outage;
mod package;
mod pair;
mod pnf;
mod reach;
mod restart;
mod snapshot;
mod vcpe;

pub use pair::{Pair, instantiate_request, station};
