//! Before VNFDs said which interfaces a VNF serves itself.

use serde::Deserialize;
use smol_str::SmolStr;

use crate::model::vnfd::{self, Flavour, Indicator, VersionPath};

#[derive(Deserialize)]
pub struct Vnfd {
    id: SmolStr,
    invariant_id: Option<SmolStr>,
    provider: SmolStr,
    product_name: SmolStr,
    software_version: SmolStr,
    version: SmolStr,
    info_name: SmolStr,
    info_description: SmolStr,
    vnfm_info: Vec<SmolStr>,
    default_flavour: SmolStr,
    flavours: Vec<Flavour>,
    paths: Vec<VersionPath>,
    indicators: Vec<Indicator>,
}

impl From<Vnfd> for vnfd::Vnfd {
    fn from(o: Vnfd) -> Self {
        vnfd::Vnfd {
            id: o.id,
            invariant_id: o.invariant_id,
            provider: o.provider,
            product_name: o.product_name,
            software_version: o.software_version,
            version: o.version,
            info_name: o.info_name,
            info_description: o.info_description,
            vnfm_info: o.vnfm_info,
            default_flavour: o.default_flavour,
            flavours: o.flavours,
            paths: o.paths,
            indicators: o.indicators,
            own: Vec::new(),
        }
    }
}
