//! SDN assist: the ports to the switch and to the controllers of switches outside, and what kinds of links,
//! chains and services mean on them. Pure decisions and traits; never OVSDB's, OpenFlow's or a controller's
//! words.

pub mod chain;
pub mod connector;
pub mod handover;
pub mod link;
pub mod port;
pub mod underlay;
