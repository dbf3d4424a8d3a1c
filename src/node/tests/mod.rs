//! Behaviour of the whole core over `Sim`.

use crate::model::{id::VnfcId, vnf::VnfInstance};

mod act;
mod crash;
mod life;
mod scale;
mod sweep;

fn guests(v: &VnfInstance) -> Vec<VnfcId> {
    v.body.iter().flat_map(|b| &b.vnfcs).map(|c| c.id).collect()
}
