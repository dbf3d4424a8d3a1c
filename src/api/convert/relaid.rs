//! Requests on which a central NFVO's grant was laid, as the domain takes them (SOL003 9.5.2.3).
//!
//! They are read as the requests of clients are, with the same faults. Never: what the grant was laid on.

use serde::de::DeserializeOwned;

use super::{connect, flavour, package, request};
use crate::{
    api::sol003::vnflcm::laid_on,
    model::{
        error::{Fault, Result},
        op::OpKind,
    },
    sol::{
        common::KeyValuePairs,
        vnflcm::{ChangeCurrentVnfPkgRequest, ChangeVnfFlavourRequest, InstantiateVnfRequest},
    },
    vnfm::laid::{Lay, Relaid},
};

pub fn read(kind: OpKind, text: &str) -> Result<Relaid> {
    Ok(match kind {
        OpKind::Instantiate => {
            let r: InstantiateVnfRequest = parsed(text)?;
            let lay = lay(&r.extensions, &r.vnf_configurable_properties);
            Relaid::Instantiate(request::instantiate_vnf(r)?, lay)
        }
        OpKind::ChangeFlavour => {
            let r: ChangeVnfFlavourRequest = parsed(text)?;
            let lay = lay(&r.extensions, &r.vnf_configurable_properties);
            Relaid::Flavour(flavour::request(r)?, lay)
        }
        OpKind::ChangePackage => {
            let r: ChangeCurrentVnfPkgRequest = parsed(text)?;
            let lay = lay(&r.extensions, &r.vnf_configurable_properties);
            Relaid::Package(package::request(r)?, lay)
        }
        OpKind::ChangeExtConn => Relaid::Connect(connect::request(parsed(text)?)?),
        OpKind::Terminate
        | OpKind::Scale
        | OpKind::ScaleToLevel
        | OpKind::Heal
        | OpKind::Start
        | OpKind::Stop
        | OpKind::ModifyInfo
        | OpKind::CreateSnapshot
        | OpKind::RevertToSnapshot
        | OpKind::ReloadPf
        | OpKind::RestorePf
        | OpKind::Update => return Err(Fault::bug(format!("nothing of a grant is laid on a {}", kind.name()))),
    })
}

fn parsed<R: DeserializeOwned>(text: &str) -> Result<R> {
    serde_json::from_str(text).map_err(|e| Fault::invalid(format!("the request with the grant laid on it cannot be read: {e}")))
}

fn lay(extensions: &KeyValuePairs, configurable: &KeyValuePairs) -> Lay {
    let (extensions, configurable) = (extensions.clone(), configurable.clone());
    Box::new(move |p| laid_on(p, &extensions, &configurable))
}
