//! SDN assist: the port to the switch. Pure decisions and traits; never OVSDB's words.

pub mod port;
