//! The HTTP shell over real sockets (TLS on the loopback, and the UNIX socket), and the APIs behind
//! it over an in-memory box.

mod acts;
mod admin;
mod cli;
mod daemon;
mod kit;
mod lists;
mod nslcm;
mod rig;
mod schema;
mod server;
mod shape;
