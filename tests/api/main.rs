//! The HTTP shell over real sockets (TLS on the loopback, and the UNIX socket), and the APIs behind
//! it over an in-memory box.

mod acts;
mod admin;
mod alarms;
mod alter;
mod artefacts;
mod cli;
mod cli_access;
mod cli_package;
mod cli_verbs;
mod connect;
mod coverage;
mod daemon;
mod epa;
mod explain;
mod flavour;
mod grants;
mod held;
mod identity;
mod killed;
mod kit;
mod lists;
mod notify;
mod nslcm;
mod package;
mod pair;
mod pm;
mod pnfd;
mod rig;
mod rivals;
mod room;
mod schema;
mod sdn;
mod server;
mod shape;
mod vnf_snapshots;
