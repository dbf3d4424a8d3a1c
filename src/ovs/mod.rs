//! Open vSwitch: the adapter behind `sdn::port::Fabric`.
//!
//! Owns: the OVSDB client and the ports Bothy makes on its integration bridge. Never: touches a
//! bridge or port that does not carry Bothy's mark, never decides a name, a VLAN or an address,
//! never runs a program. JSON stays in here.

pub mod ovsdb;

mod datapath;
mod fabric;
mod frame;
mod plan;
mod rows;
mod txn;
mod value;

pub use fabric::{BRIDGE, DB_SOCKET, OvsFabric, Settings, Uplink};
pub use rows::{Bridge, Interface, Mirror, Port, Root, RowChange, Table, What};
pub use txn::Txn;
pub use value::{Atom, Datum};
