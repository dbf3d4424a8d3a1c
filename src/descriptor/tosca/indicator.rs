//! VNF indicators (SOL001 6.7.2, interfaces derived from `tosca.interfaces.nfv.VnfIndicator`).
//!
//! Owns which indicators a VNF node declares, by its own interfaces or its type's, and where its hints say that each is read.
//! Never: policies that act on values, which are passed over.

use smol_str::SmolStr;

use super::{
    at::At,
    hints::{ON_VNF, hints},
    own,
    types::{VNF_INDICATOR, notifications},
};
use crate::{
    descriptor::diagnose::Pos,
    model::vnfd::{GuestFile, Indicator, MOST_INDICATORS, Vdu},
};

/// Longer names of files are a mistake.
const LONGEST_PATH: usize = 255;

/// An indicator, and where its source is written.
pub struct Declared {
    pub indicator: Indicator,
    place: Option<(Pos, String)>,
}

/// What this VNF node declares; mistakes are reported.
pub fn declared(vnf: &At<'_>) -> Vec<Declared> {
    let types = vnf.scope.types;
    let own = vnf.get("interfaces").map(|i| i.node().entries().to_vec()).unwrap_or_default();
    let own = own.into_iter().map(|(k, v)| (k.text, v));
    let of_type = types.interfaces(vnf.scope.type_of(vnf.node()));
    let mut ids: Vec<SmolStr> = Vec::new();
    for (name, interface) in own.chain(of_type) {
        let kind = interface.get("type").and_then(|t| t.text()).unwrap_or_default();
        // SOL001's VNF has one of that name, which a node may fill without saying its type again.
        if name != "VnfIndicator" && !types.is_a(kind, VNF_INDICATOR) {
            continue;
        }
        for id in notifications(&interface).into_iter().chain(types.notifications(kind)) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    // They are parts of paths in the API.
    let is_id = |id: &SmolStr| (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    for id in ids.iter().filter(|id| !is_id(id)) {
        vnf.error(format!("'{id}' is no name of an indicator: 1 to 64 letters, digits, '.', '_' and '-'"));
    }
    ids.retain(is_id);
    if ids.len() > MOST_INDICATORS {
        vnf.error(format!("has {} indicators; {MOST_INDICATORS} at most", ids.len()));
        ids.truncate(MOST_INDICATORS);
    }
    let hints = hints(vnf, ON_VNF);
    for (id, at) in hints.starting("indicator.") {
        if !ids.iter().any(|i| i == id) {
            at.no_such("indicator", id, ids.iter().map(SmolStr::as_str));
        }
    }
    let mut out = Vec::new();
    for id in ids {
        let at = hints.get(&format!("indicator.{id}"));
        if at.is_none() && !own::serves(vnf.scope, "vnf_indicator") {
            let hint = format!("metadata of the VNF: bothy.indicator.{id}: VDU:/path/in/its/guests");
            vnf.warn_hint(format!("nobody can read the indicator '{id}'"), hint);
        }
        let source = at.and_then(source);
        let place = at.filter(|_| source.is_some()).map(|at| (at.pos(), at.path.clone()));
        out.push(Declared { indicator: Indicator { id, source }, place });
    }
    out
}

/// `VDU:/path`.
fn source(at: &At<'_>) -> Option<GuestFile> {
    let text = at.text()?;
    let read = text.split_once(':').filter(|(vdu, path)| !vdu.is_empty() && path.starts_with('/') && path.len() <= LONGEST_PATH);
    if read.is_none() {
        at.error_hint(format!("'{text}' is no source of an indicator"), "write VDU:/path/in/its/guests");
    }
    read.map(|(vdu, path)| GuestFile { vdu: SmolStr::new(vdu), path: path.to_owned() })
}

impl Declared {
    /// Its source is of a VDU that some flavour has.
    pub fn check(&self, vdus: &[&Vdu], sink: &crate::descriptor::diagnose::Sink) {
        let (Some(file), Some((pos, path))) = (&self.indicator.source, &self.place) else { return };
        if !vdus.iter().any(|v| v.id == file.vdu) {
            let known: Vec<&str> = vdus.iter().map(|v| v.id.as_str()).collect();
            sink.error_hint(*pos, path, format!("there is no VDU '{}'", file.vdu), format!("there are: {}", known.join(", ")));
        }
    }
}
