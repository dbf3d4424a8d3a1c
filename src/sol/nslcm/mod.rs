//! SOL005 nslcm/v2: the life cycle of network services on the wire.
//!
//! Owns the shapes of requests, NS instances and op-occs; a VNF's inside is SOL003's. Never knows a plan or a state's meaning.
pub mod change;
pub mod instance;
pub mod opocc;
pub mod params;
pub mod request;
pub mod snapshot;
pub mod update;

pub use change::*;
pub use instance::*;
pub use opocc::*;
pub use params::*;
pub use request::*;
pub use snapshot::*;
pub use update::*;
