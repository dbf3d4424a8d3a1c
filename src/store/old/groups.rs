//! Before affinity: flavours of a VNF without groups of guests.

use serde::Deserialize;
use smol_str::SmolStr;

use crate::model::vnfd::{self, Aspect, ExtCp, IntLink, Level, Vdu};

#[derive(Deserialize)]
pub struct Flavour {
    id: SmolStr,
    description: SmolStr,
    vdus: Vec<Vdu>,
    links: Vec<IntLink>,
    ext_cps: Vec<ExtCp>,
    default_level: SmolStr,
    levels: Vec<Level>,
    aspects: Vec<Aspect>,
    graceful_stop_s: Option<u32>,
}

impl From<Flavour> for vnfd::Flavour {
    fn from(o: Flavour) -> Self {
        vnfd::Flavour {
            id: o.id,
            description: o.description,
            vdus: o.vdus,
            links: o.links,
            ext_cps: o.ext_cps,
            default_level: o.default_level,
            levels: o.levels,
            aspects: o.aspects,
            groups: Vec::new(),
            graceful_stop_s: o.graceful_stop_s,
        }
    }
}
