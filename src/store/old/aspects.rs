//! Before scaling aspects: flavours of a service without them.

use serde::Deserialize;
use smol_str::SmolStr;

use super::drains::ForwardingPath;
use crate::model::nsd::{self, Member, NsLevel, NsLink, Sap};

#[derive(Deserialize)]
pub struct NsFlavour {
    id: SmolStr,
    members: Vec<Member>,
    links: Vec<NsLink>,
    saps: Vec<Sap>,
    default_level: SmolStr,
    levels: Vec<NsLevel>,
    paths: Vec<ForwardingPath>,
}

impl From<NsFlavour> for nsd::NsFlavour {
    fn from(o: NsFlavour) -> Self {
        nsd::NsFlavour {
            id: o.id,
            members: o.members,
            links: o.links,
            saps: o.saps,
            default_level: o.default_level,
            levels: o.levels,
            paths: o.paths.into_iter().map(Into::into).collect(),
            aspects: Vec::new(),
            spare: Vec::new(),
            pnfs: Vec::new(),
        }
    }
}
