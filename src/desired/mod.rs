//! Desired state: a document that the box's owner has signed, kept true by the box itself, with or without a network.
//!
//! * `document` what it says, from JSON. Pure
//! * `host`     the host's set-up in it. Pure
//! * `plan`     what of it is here, and the next step of each item. Pure
//! * `here`     what is here, from the records
//! * `work`     takes documents in, and has the steps taken, again and again
//! * `step`     takes one
//! * `status`   how it is told
//! * `memory`   how the last tries ended, and what is being done now
//!
//! ```text
//! signed --verified, for this box, newer--> the record --every look--> plan --steps by the calls that the API makes--> services
//! ```
//! Owns `DesiredState`. Never: signatures, sockets, who may hand a document in: those are behind [`Outside`].

mod document;
mod here;
pub mod host;
mod memory;
pub mod plan;
mod status;
mod step;
#[cfg(test)]
mod tests;
mod work;

use smol_str::SmolStr;
use uuid::Uuid;

pub use self::{
    document::{Document, LIMIT},
    memory::Fetching,
    status::{Kept, Status, Summary},
    work::{DesiredState, Settings},
};
use crate::{
    model::{desired::ItemKind, error::Result, id::OpId},
    nfvo::accept::InstantiateNs,
};

/// Reads an InstantiateNsRequest: its words are the API's.
pub type Ask = fn(&str) -> Result<InstantiateNs>;

/// What a signature was found to be of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub content: Vec<u8>,
    /// Common name of the signer, and SHA-256 of his certificate.
    pub signer: SmolStr,
    pub fingerprint: [u8; 32],
}

/// One thing that was done, as the audit trail has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    pub method: &'static str,
    pub path: String,
    pub op: Option<OpId>,
}

/// Whoever is around: keys, the network, the audit trail.
pub trait Outside: Send + Sync {
    /// Why nothing is begun now, if so.
    fn closed(&self) -> Option<String>;
    /// Somebody is named whom documents have to be signed by.
    fn is_owned(&self) -> bool;
    /// This box, as documents name it.
    fn serial(&self) -> Option<SmolStr>;
    /// The content, if its signature leads to whom this box's owner has named.
    fn verified(&self, signed: &[u8]) -> Result<Signed>;
    /// Has the content of a package or an NSD whose record is there fetched, and read. `done` hears when that has begun, or why it
    /// cannot; nobody waits here for a network.
    fn fetch(&self, kind: ItemKind, id: Uuid, url: &str, sha256: &[u8; 32], done: Fetching);
    fn tell(&self, act: Act);
    /// The box goes down and starts again, unless something is under way. Comes back before it does.
    fn restart(&self) -> Result<()>;
}
