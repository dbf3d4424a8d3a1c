//! Bothy: the ETSI NFV stack for one edge box (NFVO, VNFM, VIM, SDN assist), in one process.
//!
//! # The house from above
//!
//! ```text
//!            cli  --HTTP-->  api                       people and OSSs come in here
//!                             |
//!              nfvo      network services: links, members, order
//!                |
//!              vnfm      VNFs: guests, disks, ports, first-boot media
//!                |
//!              lcm       operations: a plan of steps, run, undone, recovered
//!                |
//!     vim ------ sdn     what fits where; the ports to the box and the switch
//!      :          :
//!   libvirt host  ovs controllers    adapters behind those ports; `sim` is the twin of them all
//!
//!   model    the words all of them speak          store   records on disk, below everyone
//!   sol      ETSI's words on the wire             descriptor   packages to the model
//!   node     builds the house and turns the light on and off        config   what it is built by
//! ```
//!
//! # Rooms
//!
//! | room | what is in it | what never is |
//! |---|---|---|
//! | [`model`] | ids, sizes, addresses, descriptors as we run them, instances, operations and their transition tables, steps as data, [`Fault`](model::error::Fault) | I/O, clocks, wire shapes |
//! | [`sol`] | SOL003 and SOL005 as they look on the wire | the model |
//! | [`descriptor`] | untrusted packages to the model, with file, line and path of each mistake | the store, a shell |
//! | [`store`] | typed records, transactions, durability, backup | what a record means |
//! | [`lcm`] | the engine of durable operations | what a VNF or a network service is |
//! | [`vim`] | capacity, placement, links and addresses, all pure; the ports `Hypervisor`, `HostNet`, `Images` | libvirt, sysfs, commands |
//! | [`sdn`] | links, chains and services outside the box, all pure; the ports `Fabric` and `Connector` | OVSDB |
//! | [`vnfm`] | VNF packages and lifecycle: plans, and the doing and undoing of their steps | HTTP, network services |
//! | [`nfvo`] | NSDs and network services, made of VNFs and links | HTTP, guests |
//! | [`desired`] | what the owner has signed that the box shall be: taken in, planned, kept true, reported on | signatures, sockets |
//! | [`access`] | who may do what: accounts, passwords, tokens, roles, projects, the audit trail | HTTP, which permission a route needs |
//! | [`api`] | TLS, who is calling, routes; a handler converts and calls | decisions |
//! | [`cli`] | one file per subcommand, all of them clients of the API | the daemon's store |
//! | [`libvirt`], [`host`], [`ovs`], [`controllers`] | the adapters | decisions, names, addresses |
//! | [`sim`] | the ports once more, in memory, with a switch for faults | bytes on disk |
//! | [`ops`] | faults to alarms: raised, changed, cleared, one per object and cause | adapters, what to do about a fault |
//! | [`hostnet`] | the box's own network: wanted, tried, confirmed or undone; which of its ways out counts | addresses, networks of guests |
//! | [`update`] | the box's own system: the other slot written, tried once, kept or left | slots, bundles, what a sound box is |
//! | [`backup`] | a box in one stream: made, verified, and staged in another box | what a record means, the bringing back of guests |
//! | [`reset`] | factory resets: what goes and stays, and how it is taken back | paths of the host, services by operations |
//! | [`central`] | grants that are asked of central NFVOs: when, and again | what a grant means for an operation |
//! | [`own`] | what VNFs serve themselves, and their element managers for them: when it is asked, and again | what an answer means for an operation |
//! | [`abroad`] | VNFs of services that a foreign VNFM has: what is asked of it, and read of its answers | what to ask next |
//! | [`call_home`] | the centres that the box calls: how each stands, when the next try is | sockets, who a centre is to the box |
//! | [`hub`] | the centre's side: boxes that bootstrap and call, and requests relayed to them | who may drive which box, a call to anybody |
//! | [`notify`] | subscriptions as they live: the outbox to each subscriber, in order, with backoff; the client by which others are called | what a notification says |
//! | [`tls`] | certificates and keys of files, and a verifier that leaves open whom to believe | whom to believe |
//! | [`ztp`] | zero touch (RFC 8572): which bootstrapping data is believed, and what it asks for, all pure | keys, files, sockets |
//! | [`node`] | the composition root: the only room that knows the adapters | logic of a layer |
//! | [`config`] | what may stand in `bothy.toml`, and which keys count when | |
//!
//! Who may name whom is a table, `tests/house/rules.rs`, and a test that reads every path in these sources.
//!
//! # How a request becomes guests
//!
//! 1. `api` reads `POST .../ns_instances/{id}/instantiate`, converts ETSI's words to the model's, and calls
//!    [`nfvo`]. Nothing is awaited there but sockets: the core is plain synchronous code.
//! 2. `nfvo` *plans*: pure functions turn descriptors, parameters and a snapshot of the box into links,
//!    guests, addresses, names and a graph of steps, or into every reason why not. A dry run ends here.
//! 3. It *accepts*: one transaction stores the operation, its plan and all that it reserves. The plan is
//!    fixed now, down to each MAC address. The client gets 202; from here on no crash loses the request.
//! 4. [`lcm`] *runs* the plan: each step is handed to the room that knows it (`vnfm::run`, `nfvo::run`), which
//!    drives the ports. A step can be repeated, and undone, any number of times: after a crash the engine
//!    does just that. Rolling back walks the whole plan backwards, not the journal.
//! 5. The end of the operation, and what it means for the instance, is the second and last durable barrier.
//!
//! # Rules of the house
//!
//! * Decide, then do: planners are pure and have no ports; steps have ports and decide nothing.
//! * What comes from outside is parsed once, at the edge, into types that cannot be wrong. States are
//!   enums; a `match` on one names every arm.
//! * An error is a [`Fault`](model::error::Fault): a kind, from which HTTP's status and the retry follow, and words that tell a
//!   field engineer where, why and what to do. Where input is checked, all faults are told at once.
//! * Programs are started by argv, never by a shell. XML is written by a writer, never by `format!`.
//! * What belongs to a guest carries the guest's id in its name, so that it can be found and removed by
//!   whoever comes after a crash. What carries no mark of ours is not touched.
//! * `unsafe` is in `libvirt::event` and nowhere else.
//!
//! # Where to start reading
//!
//! [`model::step`] (what an operation is made of), then `vnfm::plan` and `vnfm::run` (how a VNF is planned and
//! done), then [`lcm::engine`]. To see it whole, `node::core` puts the rooms together, and the contract suite
//! in `tests/real` says what each port promises.

#![warn(clippy::unwrap_used, clippy::expect_used)]

pub mod abroad;
pub mod access;
pub mod api;
pub mod backup;
pub mod call_home;
pub mod central;
pub mod cli;
pub mod config;
pub mod controllers;
pub mod descriptor;
pub mod desired;
pub mod host;
pub mod hostnet;
pub mod hub;
pub mod lcm;
pub mod libvirt;
pub mod model;
pub mod nfvo;
pub mod node;
pub mod notify;
pub mod ops;
pub mod ovs;
pub mod own;
pub mod reset;
pub mod sdn;
pub mod sim;
pub mod sol;
pub mod store;
pub mod tls;
pub mod update;
pub mod vim;
pub mod vnfm;
pub mod ztp;
