//! What Bothy does by itself, or is told by a signal, in the audit trail beside what requests do.
//!
//! Owns the words of those entries. Never: what is done.

use std::{fmt::Display, sync::Arc};

use smol_str::SmolStr;
use tracing::error;

use crate::{
    access::{Access, audit::Told},
    model::{
        id::ProjectId,
        op::{Operation, Target},
    },
    vnfm::Vnfm,
};

/// Who does what no request asked for.
const ITSELF: &str = "bothy";

/// Has operations that no request began told from now on: healings, and functions that are brought back.
pub fn keep(vnfm: &Vnfm, access: &Arc<Access>) {
    let access = access.clone();
    vnfm.on_unasked(move |op| tell(&access, of_operation(op)));
}

fn of_operation(op: &Operation) -> Told {
    let path = match op.target {
        Target::Vnf(id) => format!("/vnflcm/v2/vnf_instances/{id}"),
        Target::Ns(id) => format!("/nslcm/v2/ns_instances/{id}"),
        Target::Pf(pf) => format!("/bothy/v1/host/pfs/{pf}"),
    };
    let why = op.warnings.first().cloned().unwrap_or_default();
    Told { project: Some(op.project), op: Some(op.id), why, ..told(ITSELF, op.kind.name(), path, 202) }
}

/// A configuration that a signal had applied, or refused with the reason.
pub(super) fn configuration(access: &Access, refused: Option<&dyn Display>) {
    let (status, why) = refused.map_or((200, String::new()), |r| (422, r.to_string()));
    tell(access, Told { why, ..told("SIGHUP", "POST", "/bothy/v1/config/apply".into(), status) });
}

/// An account of a program that zero touch has brought, or could not make.
pub(super) fn client(access: &Access, name: &str, role: &str, refused: Option<&dyn Display>) {
    let (status, why) = refused.map_or_else(|| (201, format!("role {role}")), |r| (409, r.to_string()));
    tell(access, Told { why, ..told("zero touch", "POST", format!("/bothy/v1/clients/{name}"), status) });
}

fn told(who: &'static str, method: &'static str, path: String, status: u16) -> Told {
    Told {
        who: Some(SmolStr::new_static(who)),
        source: SmolStr::new_static("local"),
        project: Some(ProjectId::DEFAULT),
        method: SmolStr::new_static(method),
        path,
        status,
        ..Told::default()
    }
}

fn tell(access: &Access, told: Told) {
    if let Err(fault) = access.tell(told) {
        error!("what was done without a request is not in the audit trail: {fault:?}");
    }
}
