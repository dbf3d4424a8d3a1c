//! Tests against the real things: files, Open vSwitch, dnsmasq, nft, libvirt, in namespaces and
//! folders of their own. What a host lacks is skipped and said (`SKIP: needs X`); with
//! `BOTHY_REQUIRE=all` it fails.

#[macro_use]
mod kit;

#[path = "../api/declared.rs"]
mod declared;
#[path = "../api/schema.rs"]
mod schema;

mod alarms;
mod bad_inputs;
mod contract;
mod door;
mod e2e;
mod epa;
mod fabric;
mod kill9;
mod libvirt;
mod measure;
mod media;
mod net;
mod sdn;
