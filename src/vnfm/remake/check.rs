//! What a VNF cannot take along from one flavour, or package, to another. Pure.
//!
//! A NIC, or a link inside the VNF, that both have under one id is the same one: what the switch keeps of it was
//! fixed when it was made. Owns those refusals. Never: guests' disks (`plan`).

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::plan::Now;
use crate::{
    model::{
        error::Fault,
        vnf::Vnfc,
        vnfd::{CpLink, ExtCpThrough, Vdu, VduCp},
    },
    vim::network::Wish,
    vnfm::{
        parts::port_rate,
        plan::{Ask, Attachment, Fabric},
    },
};

/// Links of the VNF, and external connection points where they are.
pub fn links(ask: &Ask<'_>, now: &Now<'_>, fabric: &Fabric<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let f = ask.flavour;
    for new in &f.links {
        let old = now.flavour.links.iter().find(|l| l.id == new.id);
        if old.is_some_and(|old| old.profile != new.profile) {
            let why = format!("link {} is another one there: what a link is was fixed when it was made", new.id);
            faults.push(Fault::conflict(why));
        }
    }
    for cp in &f.ext_cps {
        let Some(wanted) = ask.attach.get(&cp.id).and_then(|a| a.segment) else { continue };
        let Some(stations) = fabric.stations.get(&wanted) else {
            let why = format!("external connection point {}: there is no virtual link {wanted}; GET /bothy/v1/networks lists them", cp.id);
            faults.push(Fault::invalid(why));
            continue;
        };
        let has = match &cp.through {
            ExtCpThrough::Link(link) => now.body.links.iter().find(|(id, _)| id == link).map(|(_, s)| *s),
            ExtCpThrough::VduCp { .. } => now.body.ext_cps.iter().find(|e| e.cpd == cp.id).map(|e| e.segment),
        };
        if has.is_some_and(|s| s != wanted) {
            let to = &stations.segment().link;
            faults.push(Fault::conflict(format!(
                "external connection point {} is on another link than {to} ({wanted}): change_ext_conn brings it there, before or after",
                cp.id
            )));
        }
    }
    faults
}

/// NICs of a guest that stays.
pub fn nics(vdu: &Vdu, old: Option<&Vdu>, has: &Vnfc, attach: &BTreeMap<SmolStr, Attachment>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for new in &vdu.nics {
        let Some(port) = has.ports.iter().find(|p| p.cp == new.id) else { continue };
        let before = old.and_then(|v| Some((v, v.nics.iter().find(|n| n.id == new.id)?)));
        if let Some(what) = before.and_then(|old| fixed(old, (vdu, new))) {
            faults.push(Fault::conflict(format!("its NIC {} has another {what} there: give that NIC another id", new.id)));
        }
        if new.mac.is_some_and(|m| m != port.mac) {
            faults.push(Fault::conflict(format!("its NIC {} keeps its MAC address {}", new.id, port.mac)));
        }
        let wish = port.ext_cp.as_ref().filter(|_| has.index == 0).and_then(|e| attach.get(e)).map(|a| &a.wish);
        let unlike = |w: &&Wish| w.mac.is_some_and(|m| m != port.mac) || w.addresses.iter().any(|a| !port.addresses.contains(a));
        if wish.filter(unlike).is_some() {
            faults.push(Fault::conflict(format!("its NIC {} keeps its addresses: change_ext_conn gives it others", new.id)));
        }
    }
    faults
}

/// What of a NIC the switch was told when it was made, and differs.
fn fixed((old_vdu, old): (&Vdu, &VduCp), (new_vdu, new): (&Vdu, &VduCp)) -> Option<&'static str> {
    match (&old.link, &new.link) {
        (CpLink::Internal(a), CpLink::Internal(b)) | (CpLink::External(a), CpLink::External(b)) if a == b => {}
        (CpLink::Internal(_) | CpLink::External(_), CpLink::Internal(_) | CpLink::External(_)) => return Some("link"),
    }
    if old.role != new.role {
        return Some("role on its link");
    }
    if old.port_security != new.port_security {
        return Some("port security");
    }
    if port_rate(old_vdu, old) != port_rate(new_vdu, new) {
        return Some("limit of its rate");
    }
    (old.subports != new.subports).then_some("set of networks under tags")
}
