//! Whether a network service fits the VNFDs that it is made of.
//!
//! Owns the checks that need both. Never looks for the VNFDs: the caller has them from the
//! catalogue.

use super::diagnose::{Diagnostics, Severity, Sink, did_you_mean};
use crate::model::{
    nsd::{Member, NsFlavour, Nsd},
    vnfd::{Flavour, Vnfd},
};

/// Every member's VNFD, flavour, level and connection points exist. Errors make the NSD unusable
/// with these VNFDs; warnings do not.
pub fn check_against(nsd: &Nsd, vnfds: &[&Vnfd]) -> Diagnostics {
    let sink = Sink::default();
    for f in &nsd.flavours {
        for m in &f.members {
            member(f, m, vnfds, &sink);
        }
    }
    sink.finish()
}

/// Renames what members attach by requirement (`lan_link`) to the connection points' own ids
/// (`lan`), which planning and the API go by. What `check_against` refuses is left as it is.
pub fn attach_by_id(nsd: &mut Nsd, vnfds: &[&Vnfd]) {
    for m in nsd.flavours.iter_mut().flat_map(|f| &mut f.members) {
        let Some(vnfd) = vnfds.iter().find(|v| v.id == m.vnfd_id) else { continue };
        let Some(flavour) = vnfd.flavour(m.flavour.as_ref().unwrap_or(&vnfd.default_flavour)) else { continue };
        for a in &mut m.attach {
            if let Some(cp) = flavour.ext_cp(&a.ext_cp) {
                a.ext_cp = cp.id.clone();
            }
        }
    }
    for f in &mut nsd.flavours {
        let spare = f.spare.iter_mut().flat_map(|h| [&mut h.entry, &mut h.exit]);
        for c in f.paths.iter_mut().flat_map(|p| p.cps_mut()).chain(spare) {
            let member = f.members.iter().find(|m| m.id == c.member);
            let vnfd = member.and_then(|m| Some((m, vnfds.iter().find(|v| v.id == m.vnfd_id)?)));
            let flavour = vnfd.and_then(|(m, v)| v.flavour(m.flavour.as_ref().unwrap_or(&v.default_flavour)));
            if let Some(cp) = flavour.and_then(|f| f.ext_cp(&c.cp)) {
                c.cp = cp.id.clone();
            }
        }
    }
}

fn member(ns: &NsFlavour, m: &Member, vnfds: &[&Vnfd], sink: &Sink) {
    let at = sink.file("NSD");
    let path = format!("{}.{}", ns.id, m.id);
    let Some(vnfd) = vnfds.iter().find(|v| v.id == m.vnfd_id) else {
        let hint = format!("onboard the VNF package with descriptor_id {} first", m.vnfd_id);
        return sink.error_hint(at, &path, format!("its VNFD '{}' is not onboarded", m.vnfd_id), hint);
    };
    let wanted = m.flavour.as_ref().unwrap_or(&vnfd.default_flavour);
    let Some(flavour) = vnfd.flavour(wanted) else {
        let hint = did_you_mean(wanted, vnfd.flavours.iter().map(|f| f.id.as_str()));
        let text = format!("{} {} has no flavour '{wanted}'", vnfd.product_name, vnfd.version);
        return sink.report(Severity::Error, at, &format!("{path}.flavour_id"), text, hint);
    };
    if let Some(level) = &m.level
        && flavour.level(level).is_none()
    {
        let hint = did_you_mean(level, flavour.levels.iter().map(|l| l.id.as_str()));
        let text = format!("flavour '{wanted}' has no instantiation level '{level}'");
        sink.report(Severity::Error, at, &format!("{path}.vnf_profile.instantiation_level"), text, hint);
    }
    connections(ns, m, flavour, &path, sink);
}

fn connections(ns: &NsFlavour, m: &Member, flavour: &Flavour, path: &str, sink: &Sink) {
    let at = sink.file("NSD");
    let mut used = Vec::new();
    for a in &m.attach {
        let here = format!("{path}.{}", a.ext_cp);
        match flavour.ext_cp(&a.ext_cp) {
            None => {
                let known = flavour.ext_cps.iter().map(|c| c.requirement.as_str());
                let list: Vec<&str> = known.clone().collect();
                let hint = did_you_mean(&a.ext_cp, known).unwrap_or_else(|| format!("it has: {}", list.join(", ")));
                sink.error_hint(at, &here, format!("flavour '{}' exposes no connection point under this name", flavour.id), hint);
            }
            Some(cp) if used.contains(&&cp.id) => sink.error(at, &here, format!("connection point '{}' is attached twice", cp.id)),
            Some(cp) => used.push(&cp.id),
        }
    }
    for cp in flavour.ext_cps.iter().filter(|c| !used.contains(&&c.id)) {
        let hint = format!("add the requirement '{}' to this VNF", cp.requirement);
        sink.warn_hint(at, path, format!("connection point '{}' is attached to no virtual link", cp.id), hint);
    }
    for link in &ns.links {
        for f in &link.profile.forwards {
            let Some((_, vdu)) = f.to.split_once('/').filter(|(member, _)| *member == m.id) else { continue };
            if flavour.vdu(vdu).is_none() {
                let text = format!("port {} is forwarded to VDU '{vdu}', which '{}' does not have", f.host_port, m.id);
                sink.error(at, &format!("{}.{}", ns.id, link.id), text);
            }
        }
    }
}
