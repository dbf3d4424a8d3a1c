//! Physical boxes of a service that runs: one comes, goes, or is told of anew (SOL005 6.4.6: ADD_PNF, REMOVE_PNF,
//! MODIFY_PNF). Each is a step, so that it can be rolled back with the chains that end at it.
//!
//! Owns: what such a request means, and every reason why not. Never: which links there are, the boxes themselves.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::{Nfvo, accept::use_pnfd, chain::obstacles, pnfs, reroute::Standing};
use crate::{
    model::{
        chain::{Chain, ChainEnd, OutsideOf, pnf_cp_id},
        error::{Fault, Result},
        id::{NfpId, NsId, OpId, PnfdInfoId, SegmentId},
        ns::{NsInstance, NsPnf, NsPnfCp},
        op::{OpKind, Operation, Target},
        package::PnfDescriptor,
        segment::Segment,
        step::{NsStep, PnfChange, Step},
    },
    sdn::chain::{SwitchChain, contradictions},
    store::Durability,
    vim::chains,
    vnfm::plan::{Steps, fresh_uuid},
};

#[derive(Debug, Clone)]
pub enum PnfAsk {
    Add(Vec<NsPnf>),
    Modify(Vec<PnfEdit>),
    /// By their ids.
    Remove(Vec<SmolStr>),
}

/// What is told of a box anew; what is not given stays.
#[derive(Debug, Clone)]
pub struct PnfEdit {
    pub id: SmolStr,
    pub name: Option<SmolStr>,
    /// By their names, or by their ids in the service.
    pub cps: Vec<NsPnfCp>,
}

impl Nfvo {
    pub fn update_pnfs(&self, id: NsId, ask: &PnfAsk, request: &str) -> Result<Operation> {
        let s = self.standing(id)?;
        let known = self.pnfds_of(s.ns.project, false)?;
        let changes = plan(ask, &s, &known).map_err(together)?;
        let op_id = OpId(fresh_uuid(&**self.vnfm.dice()));
        let op = self.vnfm.draft_op(op_id, s.ns.project, Target::Ns(id), OpKind::Update, request.to_owned());
        let mut steps = Steps::new(op_id);
        for c in changes.into_iter().filter(|c| c.before != c.after) {
            steps.add(Step::Ns(NsStep::Pnf(Box::new(c))), &[]);
        }
        self.commit_update(&s.ns, op, steps.into_vec())
    }

    /// As it was before; without its PNFD, if that was deleted meanwhile.
    pub(crate) fn put_pnf_back(&self, of: Target, profile: &SmolStr, had: Option<&NsPnf>) -> Result<()> {
        let is_gone = |id: PnfdInfoId| self.vnfm.store().get::<PnfDescriptor>(&id).map(|d| d.is_none());
        let gone = had.and_then(|p| p.pnfd_info).map(is_gone).transpose()?.unwrap_or(false);
        let without = had.filter(|_| gone).map(|p| NsPnf { pnfd_info: None, ..p.clone() });
        self.set_pnf(of, profile, without.as_ref().or(had))
    }

    /// The service has this box for the profile, or none.
    pub(super) fn set_pnf(&self, of: Target, profile: &SmolStr, to: Option<&NsPnf>) -> Result<()> {
        let Target::Ns(id) = of else { return Err(Fault::bug("a physical box of no service")) };
        let store = self.vnfm.store();
        let ending: Vec<NfpId> = store.list::<Chain>()?.into_iter().filter(|c| c.ns == id && ends_at(c, profile)).map(|c| c.id).collect();
        store.write(Durability::Lazy, |tx| {
            let mut ns: NsInstance = tx.require(&id)?;
            let at = ns.pnfs.iter().position(|p| p.profile == *profile);
            let had = at.and_then(|i| ns.pnfs.get(i).cloned());
            if had.as_ref() == to {
                return Ok(());
            }
            let (was, is) = (had.and_then(|p| p.pnfd_info), to.and_then(|p| p.pnfd_info));
            if was != is {
                use_pnfd(tx, was, -1)?;
                use_pnfd(tx, is, 1)?;
            }
            match (at, to) {
                (Some(i), Some(p)) => ns.pnfs[i] = p.clone(),
                (Some(i), None) => drop(ns.pnfs.remove(i)),
                (None, Some(p)) => ns.pnfs.push(p.clone()),
                (None, None) => {}
            }
            ns.revision += 1;
            tx.put(&ns)?;
            for chain in &ending {
                if let Some(c) = tx.get::<Chain>(chain)? {
                    tx.put(&told(&c, profile, to))?;
                }
            }
            Ok(())
        })?;
        ending.into_iter().try_for_each(|c| self.vnfm.links().ensure_chain(c))
    }
}

fn together(mut faults: Vec<Fault>) -> Fault {
    if faults.len() == 1 {
        return faults.remove(0);
    }
    let reasons = faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    Fault::invalid(format!("the service's physical boxes cannot be changed so, for {} reasons", faults.len())).with_reasons(reasons)
}

/// What changes, box by box.
fn plan(ask: &PnfAsk, s: &Standing, known: &BTreeMap<SmolStr, PnfDescriptor>) -> Result<Vec<PnfChange>, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut out: Vec<PnfChange> = Vec::new();
    let ns = s.ns.id;
    let twice = |out: &[PnfChange], profile: &SmolStr| out.iter().any(|c| c.profile == *profile);
    let unknown = |id: &SmolStr| {
        let has: Vec<&str> = s.ns.pnfs.iter().map(|p| p.id.as_str()).collect();
        Fault::invalid(format!(
            "NS instance {ns} has no PNF '{id}'; it has {}",
            if has.is_empty() { "none".into() } else { has.join(", ") }
        ))
    };
    match ask {
        PnfAsk::Add(given) => {
            let links: BTreeMap<SmolStr, SegmentId> = s.ns.links.iter().cloned().collect();
            let profiles = s.flavour.as_ref().map(|f| f.pnfs.as_slice()).unwrap_or_default();
            for g in given {
                let Some(p) = profiles.iter().find(|p| p.id == g.profile) else {
                    faults.push(Fault::invalid(format!("there is no PNF profile '{}' in the service's NSD", g.profile)));
                    continue;
                };
                if let Some(has) = s.ns.pnfs.iter().find(|p| p.profile == g.profile) {
                    let text =
                        format!("profile '{}' has the PNF '{}' already: tell of it by MODIFY_PNF, or remove it first", g.profile, has.id);
                    faults.push(Fault::conflict(text));
                }
                if s.ns.pnfs.iter().any(|p| p.id == g.id) || out.iter().any(|c| c.after.as_ref().is_some_and(|p| p.id == g.id)) {
                    faults.push(Fault::conflict(format!("another PNF of the service has the id '{}'", g.id)));
                }
                if twice(&out, &g.profile) {
                    faults.push(Fault::invalid(format!("profile '{}' is to have two PNFs", g.profile)));
                }
                let after = pnfs::one(p, Some(g), &links, known, &mut faults);
                out.push(PnfChange { profile: g.profile.clone(), before: None, after: Some(after) });
            }
        }
        PnfAsk::Remove(ids) => {
            for id in ids {
                let Some(p) = s.ns.pnfs.iter().find(|p| p.id == *id) else {
                    faults.push(unknown(id));
                    continue;
                };
                for c in s.chains.iter().filter(|c| ends_at(c, &p.profile)) {
                    faults.push(Fault::conflict(format!("chain {} ends at PNF '{id}', and a running chain keeps its ends", c.nfp)));
                }
                if !twice(&out, &p.profile) {
                    out.push(PnfChange { profile: p.profile.clone(), before: Some(p.clone()), after: None });
                }
            }
        }
        PnfAsk::Modify(edits) => {
            for e in edits {
                let Some(p) = s.ns.pnfs.iter().find(|p| p.id == e.id) else {
                    faults.push(unknown(&e.id));
                    continue;
                };
                if twice(&out, &p.profile) {
                    faults.push(Fault::invalid(format!("PNF '{}' is to be changed twice", e.id)));
                    continue;
                }
                let after = edited(p, e, &mut faults);
                out.push(PnfChange { profile: p.profile.clone(), before: Some(p.clone()), after: Some(after) });
            }
        }
    }
    if faults.is_empty() {
        faults.extend(in_the_way(&out, s));
    }
    if faults.is_empty() { Ok(out) } else { Err(faults) }
}

fn edited(p: &NsPnf, e: &PnfEdit, faults: &mut Vec<Fault>) -> NsPnf {
    let mut after = p.clone();
    if let Some(name) = &e.name {
        after.name.clone_from(name);
    }
    for told in &e.cps {
        let is = |c: &&mut NsPnfCp| c.cp == told.cp || pnf_cp_id(&p.profile, &c.cp) == told.cp.as_str();
        let Some(cp) = after.cps.iter_mut().find(is) else {
            let has: Vec<&str> = p.cps.iter().map(|c| c.cp.as_str()).collect();
            faults.push(Fault::invalid(format!("PNF '{}' has no connection point '{}' on a link, but {}", p.id, told.cp, has.join(", "))));
            continue;
        };
        cp.mac = told.mac.or(cp.mac);
        if !told.addresses.is_empty() {
            cp.addresses.clone_from(&told.addresses);
        }
    }
    after
}

/// Chains of the service that could not be with what is told of the boxes then.
fn in_the_way(changes: &[PnfChange], s: &Standing) -> Vec<Fault> {
    let then = |c: &Chain| changes.iter().fold(c.clone(), |c, change| told(&c, &change.profile, change.after.as_ref()));
    let all: Vec<Chain> = s.chains.iter().map(then).collect();
    let inside = chains::inside(&s.segments);
    let segments: Vec<&Segment> = s.segments.iter().collect();
    let mut faults = Vec::new();
    for (c, _) in all.iter().zip(&s.chains).filter(|(then, now)| then != now) {
        let why = obstacles(c, &s.bodies, &segments);
        if !why.is_empty() {
            faults.push(Fault::invalid(format!("path {} cannot be a chain then", c.nfp)).with_reasons(why));
        }
        faults.extend(chains::of(c, &s.bodies, &inside).check().err());
    }
    if faults.is_empty() && all != s.chains {
        let switched: Vec<SwitchChain> = all.iter().map(|c| chains::of(c, &s.bodies, &inside)).collect();
        let why = contradictions(&switched.iter().collect::<Vec<_>>());
        if !why.is_empty() {
            faults.push(Fault::invalid("chains of the service would be in each other's way").with_reasons(why));
        }
    }
    faults
}

fn is_of(e: &ChainEnd, profile: &str) -> bool {
    matches!(e, ChainEnd::Outside { of: OutsideOf::Pnf { pnf, .. }, .. } if pnf == profile)
}

fn ends_at(c: &Chain, profile: &str) -> bool {
    c.from.iter().chain(&c.to).any(|e| is_of(e, profile))
}

/// The chain with what is known of the box by then.
fn told(c: &Chain, profile: &str, to: Option<&NsPnf>) -> Chain {
    let mut c = c.clone();
    for e in c.from.iter_mut().chain(&mut c.to).filter(|e| is_of(e, profile)) {
        if let ChainEnd::Outside { of: OutsideOf::Pnf { cp, .. }, mac, .. } = e {
            *mac = to.and_then(|p| p.cps.iter().find(|c| c.cp == *cp)?.mac);
        }
    }
    c
}
