//! The mini-VIM: what the box can hold and where on it guests go, which links and addresses guests get, and the ports to
//! hypervisor, images and host network. Decisions are pure; never names virt, sysfs or a command.

pub mod capacity;
pub mod captures;
pub mod chains;
pub mod links;
pub mod network;
pub mod outside;
pub mod place;
pub mod port;
pub mod quota;
pub mod room;
pub mod setup;
pub mod strangers;
mod uplink;
pub mod zones;
