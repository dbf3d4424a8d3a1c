//! Switches outside the box, with packets: an Open vSwitch stands for the one behind the cards, namespaces for
//! what is at the other end of their functions. What is wanted of it follows from records, as in the daemon.

mod direct;
mod faucet;
mod lab;
