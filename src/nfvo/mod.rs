//! Network services: catalogue of NSDs, lifecycle of NS instances (SOL005, IFA013).
//!
//! * `catalogue` onboards NSDs
//! * `plan`      pure: which links, VNFs and steps a service means
//! * `accept`    takes a request: plan, capacity of all members together, one transaction
//! * `run`       does and undoes one step of a service: a link, a member's operation
//! * `settle`    what the end of an operation means for the service and its members
//! * `runner`    the engine's port: hands each step to the VNFM or to this room
//!
//! Owns `Nfvo`. Never: HTTP, guests.

pub mod accept;
pub mod catalogue;
pub mod plan;
pub mod run;
pub mod runner;
pub mod settle;

use std::sync::Arc;

use crate::vnfm::Vnfm;

pub struct Nfvo {
    pub(crate) vnfm: Arc<Vnfm>,
}

impl Nfvo {
    pub fn new(vnfm: Arc<Vnfm>) -> Arc<Nfvo> {
        Arc::new(Nfvo { vnfm })
    }
    pub fn vnfm(&self) -> &Arc<Vnfm> {
        &self.vnfm
    }
}
