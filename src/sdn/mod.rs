//! SDN assist: the port to the switch, and what kinds of links and chains mean on it. Pure decisions and
//! traits; never OVSDB's or OpenFlow's words.

pub mod chain;
pub mod link;
pub mod port;
