//! Behaviour of the whole core over `Sim`.

use crate::model::{id::VnfcId, vnf::VnfInstance};

mod abroad;
mod act;
mod alarms;
mod alter;
mod autoheal;
mod backup;
mod captures;
pub mod chains;
mod connect;
mod coordinate;
mod crash;
pub mod desired;
mod desired_host;
mod drift;
mod facts;
mod flavour;
mod float;
mod groups;
mod grow;
pub mod handover;
mod hybrid;
mod life;
mod links;
mod members;
mod outside;
mod owned;
mod package;
mod pf;
mod place;
mod reboot;
mod recall;
mod reroute;
mod reset;
mod restore;
mod rival;
mod scale;
mod shutdown;
mod snapshots;
mod sweep;
mod told;
mod trunk;
mod tunnels;
mod update;

fn guests(v: &VnfInstance) -> Vec<VnfcId> {
    v.body.iter().flat_map(|b| &b.vnfcs).map(|c| c.id).collect()
}
