//! Requests that are kept with operations, read again when an operation that had no room is retried.

use serde::de::DeserializeOwned;

use super::request::{self, Scaled};
use crate::{
    model::{
        error::{Fault, Result},
        id::VnfId,
        op::{OpKind, Operation},
    },
    nfvo::Asked,
    sol::nslcm::{HealNsRequest, ScaleNsRequest},
};

/// `members`: those of the service, all of which a healing may be about.
pub fn read(op: &Operation, members: &[VnfId]) -> Result<Asked> {
    match op.kind {
        OpKind::Scale => Ok(match request::scale_ns(&kept::<ScaleNsRequest>(op)?)? {
            Scaled::Service(ask) => Asked::Service(ask),
            Scaled::Members(what) => Asked::Members(what),
        }),
        OpKind::Heal => request::heal_ns(&kept::<HealNsRequest>(op)?, members).map(Asked::Members),
        OpKind::Instantiate
        | OpKind::Terminate
        | OpKind::Start
        | OpKind::Stop
        | OpKind::ModifyInfo
        | OpKind::ScaleToLevel
        | OpKind::ReloadPf
        | OpKind::RestorePf
        | OpKind::Update
        | OpKind::CreateSnapshot
        | OpKind::RevertToSnapshot
        | OpKind::ChangeExtConn
        | OpKind::ChangeFlavour
        | OpKind::ChangePackage => {
            Err(Fault::bug(format!("operation {} ({}) is not planned anew from its request", op.id, op.kind.name())))
        }
    }
}

fn kept<T: DeserializeOwned>(op: &Operation) -> Result<T> {
    serde_json::from_str(&op.request)
        .map_err(|e| Fault::bug(format!("the request of operation {} cannot be read again", op.id)).with_source(e))
}
