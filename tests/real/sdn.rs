//! Switches outside the box, with packets: an Open vSwitch stands for the one behind the cards, namespaces for
//! what is at the other end of their functions. What is wanted of it follows from records, as in the daemon.
//! APIs whose makers are not here are stood in for by servers written from their public documents.

mod direct;
mod faucet;
mod flows;
mod l2vpn;
mod lab;
mod odl;
mod onos;
mod restconf;
mod stand;
