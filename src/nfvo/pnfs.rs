//! The PNFs of a service: which box is which, and where it is plugged in. Pure.
//!
//! Owns what a request says of them against what the descriptor has. Never: the boxes themselves, which nobody
//! here drives.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::model::{
    error::Fault,
    id::SegmentId,
    ns::{NsPnf, NsPnfCp},
    nsd::{NsFlavour, Pnf},
    package::PnfDescriptor,
};

/// The service's PNFs, with all that is wrong with what is `given` of them. One of which nothing is given is
/// called by its profile. `known`: descriptors that are onboarded, by their id.
pub fn plan(
    flavour: &NsFlavour,
    given: &[NsPnf],
    links: &BTreeMap<SmolStr, SegmentId>,
    known: &BTreeMap<SmolStr, PnfDescriptor>,
) -> Result<Vec<NsPnf>, Vec<Fault>> {
    let mut faults = Vec::new();
    let names = || flavour.pnfs.iter().map(|p| p.id.as_str()).collect::<Vec<_>>().join(", ");
    for g in given.iter().filter(|g| !flavour.pnfs.iter().any(|p| p.id == g.profile)) {
        let has = if flavour.pnfs.is_empty() { "none".to_owned() } else { names() };
        faults.push(Fault::invalid(format!("there is no PNF profile '{}'; the service has {has}", g.profile)));
    }
    let mut out: Vec<NsPnf> = Vec::new();
    for p in &flavour.pnfs {
        let of: Vec<&NsPnf> = given.iter().filter(|g| g.profile == p.id).collect();
        if of.len() > 1 {
            faults.push(Fault::invalid(format!("PNF {} is told of more than once", p.id)));
        }
        let is = one(p, of.first().copied(), links, known, &mut faults);
        if let Some(other) = out.iter().find(|o| o.id == is.id) {
            faults.push(Fault::invalid(format!("PNF {}: its id '{}' is that of PNF {} too", p.id, is.id, other.profile)));
        }
        out.push(is);
    }
    if faults.is_empty() { Ok(out) } else { Err(faults) }
}

pub(super) fn one(
    p: &Pnf,
    given: Option<&NsPnf>,
    links: &BTreeMap<SmolStr, SegmentId>,
    known: &BTreeMap<SmolStr, PnfDescriptor>,
    faults: &mut Vec<Fault>,
) -> NsPnf {
    let mut no = |why: String| faults.push(Fault::invalid(format!("PNF {}: {why}", p.id)));
    let of = known.get(&p.pnfd_id);
    let pnfd = of.and_then(|d| d.pnfd.as_ref());
    if of.is_none() {
        no(format!("its PNFD '{}' is not onboarded", p.pnfd_id));
    }
    if let Some(g) = given.filter(|g| g.pnfd_id != p.pnfd_id) {
        no(format!("it is of PNFD '{}', not of '{}'", p.pnfd_id, g.pnfd_id));
    }
    // Where it says of no plug what the outside calls it (one of an earlier release never does), nothing is to be held against it.
    if let Some(pnfd) = pnfd.filter(|d| d.ext_cps.iter().any(|c| c.requirement.is_some())) {
        let has: Vec<&str> = pnfd.ext_cps.iter().map(|c| c.id.as_str()).collect();
        for a in p.attach.iter().filter(|a| pnfd.ext_cp(&a.ext_cp).is_none()) {
            let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
            no(format!("its PNFD has no connection point '{}', which is to be on link '{}'; it has {has}", a.ext_cp, a.link));
        }
    }
    let plugs: Vec<&str> = p.attach.iter().map(|a| a.ext_cp.as_str()).collect();
    // By the name that the service has for it, or by the PNFD's own.
    let is = |asked: &str, cp: &str| {
        let id = |name: &str| Some(&pnfd?.ext_cp(name)?.id);
        asked == cp || id(asked).is_some_and(|a| id(cp) == Some(a))
    };
    let told = |cp: &str| given.into_iter().flat_map(|g| &g.cps).find(|c| is(&c.cp, cp));
    for c in given.into_iter().flat_map(|g| &g.cps).filter(|c| !plugs.iter().any(|cp| is(&c.cp, cp))) {
        no(format!("it has no connection point '{}' on a link of the service, but {}", c.cp, plugs.join(", ")));
    }
    let cps = p.attach.iter().map(|a| {
        let told = told(&a.ext_cp);
        NsPnfCp {
            cp: a.ext_cp.clone(),
            segment: links.get(&a.link).copied(),
            mac: told.and_then(|c| c.mac),
            addresses: told.map(|c| c.addresses.clone()).unwrap_or_default(),
        }
    });
    NsPnf {
        id: given.map_or_else(|| p.id.clone(), |g| g.id.clone()),
        name: given.map_or_else(|| p.id.clone(), |g| g.name.clone()),
        profile: p.id.clone(),
        pnfd_id: p.pnfd_id.clone(),
        pnfd_info: of.map(|d| d.id),
        cps: cps.collect(),
    }
}
