//! Network services: catalogue of NSDs, lifecycle of NS instances (SOL005, IFA013).
//!
//! * `catalogue` onboards descriptors: `nsds`, `pnfds`
//! * `plan`      pure: which links, VNFs and steps a service means
//! * `chain`     pure: which chains the paths of its VNFFGs mean
//! * `pnfs`      pure: which physical boxes take part, and where they are plugged in
//! * `way`       pure: what a change of running chains means
//! * `goal`      pure: which VNFs come and go when a service is scaled
//! * `accept`    takes a request: plan, capacity of all members together, one transaction
//! * `acts`      what a client asks of an operation that was taken: retry, rollback, fail, cancel
//! * `preview`   the same for packages that are not onboarded: dry runs only
//! * `alter`, `scale`  the same for its members' scaling and healing, and for its own scaling
//! * `reroute`   takes a request to change chains
//! * `members`   takes a request to change members as they are
//! * `snapshot`  takes a request for a snapshot of a member
//! * `plug`      takes a request that physical boxes come, go, or are told of anew
//! * `back`      brings back services and VNFs whose records came from another box
//! * `capacity`    what the box has left, and thresholds on it
//! * `grants`    what operations of foreign VNFMs may take
//! * `run`       does and undoes one step of a service: a link, a member's operation
//! * `again`     plans anew what had no room, when it is tried again
//! * `settle`    what the end of an operation means for the service and its members
//! * `runner`    the engine's port: hands each step to the VNFM or to this room
//!
//! Owns `Nfvo`. Never: HTTP, guests.

pub mod accept;
mod acts;
pub mod again;
pub mod alter;
mod back;
pub mod capacity;
pub mod catalogue;
pub mod chain;
pub mod goal;
pub mod grants;
pub mod members;
mod nsds;
pub mod plan;
pub mod plug;
mod pnfds;
pub mod pnfs;
pub mod preview;
pub mod reroute;
pub mod run;
pub mod runner;
pub mod scale;
pub mod settle;
pub mod snapshot;
pub mod way;

use std::sync::{Arc, Mutex};

use crate::{
    model::{error::Result, id::VnfId, op::Operation},
    vnfm::{Vnfm, alter::Alter},
};

pub struct Nfvo {
    pub(crate) vnfm: Arc<Vnfm>,
    asked: ReadAsked,
    /// Thresholds of capacity are looked at by one at a time.
    judging: Mutex<()>,
}

/// What an operation that changes a service was asked.
#[derive(Debug)]
pub enum Asked {
    Service(scale::ScaleNs),
    Members(Vec<(VnfId, Alter)>),
}

/// Reads the request that was kept with an operation on a service of these members: its words are the API's.
pub type ReadAsked = fn(&Operation, &[VnfId]) -> Result<Asked>;

impl Nfvo {
    pub fn new(vnfm: Arc<Vnfm>, asked: ReadAsked) -> Arc<Nfvo> {
        Arc::new(Nfvo { vnfm, asked, judging: Mutex::default() })
    }
    pub fn vnfm(&self) -> &Arc<Vnfm> {
        &self.vnfm
    }
}
