//! Open vSwitch: the adapter behind `sdn::port::Fabric`.
//!
//! Owns: the OVSDB client, the OpenFlow client, the ports Bothy makes on its integration bridge, and
//! all flows of it. Never: touches a bridge or port that does not carry Bothy's mark (guests' ports
//! on its own bridge are marked by their names), never decides a name, a VLAN or an address, never
//! runs a program. JSON stays in here.

pub mod openflow;
pub mod ovsdb;

mod bond;
mod chains;
mod datapath;
mod fabric;
mod flows;
mod flowset;
mod frame;
mod keeper;
mod places;
mod plan;
mod rows;
mod switch;
mod tunnel;
mod txn;
mod value;

pub use fabric::{BRIDGE, Bond, DB_SOCKET, OvsFabric, Settings, Uplink};
pub use plan::trouble;
pub use rows::{Bridge, Interface, Mirror, Port, Root, RowChange, Table, What};
pub use txn::{Columns, Txn};
pub use value::{Atom, Datum};
