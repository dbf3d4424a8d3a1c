//! The request by which a desired state has a service instantiated: InstantiateNsRequest, and nothing beside its members.

use super::request::instantiate_ns;
use crate::{
    api::json,
    model::error::{Fault, Result},
    nfvo::accept::InstantiateNs,
};

pub fn ask(request: &str) -> Result<InstantiateNs> {
    let (read, unknown) = json::read(request.as_bytes()).map_err(|p| Fault::invalid(p.detail.clone()))?;
    if !unknown.is_empty() {
        return Err(Fault::invalid("members that are not known").with_reasons(unknown.iter().map(|m| format!("there is no member '{m}'"))));
    }
    instantiate_ns(read)
}
