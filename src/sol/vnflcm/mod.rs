//! SOL003 vnflcm/v2: the life cycle of VNFs on the wire.
//!
//! Owns the shapes of requests, VNF instances and op-occs. Never knows a plan or a state's meaning.
pub mod instance;
pub mod opocc;
pub mod params;
pub mod request;
pub mod snapshot;

pub use instance::*;
pub use opocc::*;
pub use params::*;
pub use request::*;
pub use snapshot::*;
