//! Before VNFs came to other packages: remakes stayed of theirs.

use serde::Deserialize;

use crate::model::{
    id::{OpId, VnfId},
    vnf::{self, Side},
};

#[derive(Deserialize)]
pub struct Remake {
    vnf: VnfId,
    op: OpId,
    before: Side,
    after: Side,
}

impl From<Remake> for vnf::Remake {
    fn from(o: Remake) -> Self {
        vnf::Remake { vnf: o.vnf, op: o.op, before: o.before, after: o.after, package: None }
    }
}
