//! What a change of running chains means: other functions, another order, other traffic. Pure.
//!
//! Owns: which functions a request's connection points are, and every reason why a chain cannot take another
//! way while it runs. Never: the store, the switch.

use std::collections::{HashMap, HashSet};

use smol_str::SmolStr;

use super::chain::obstacles;
use crate::{
    model::{
        chain::{Chain, ChainEnd, ChainHop, ChainWay, Classifier, CpOf, HopKind, OnLoss, Stage},
        error::{Fault, Result},
        id::{ExtCpId, NfpId, VnfId},
        ns::NsInstance,
        nsd::{ForwardingPath, PathHop},
        segment::Segment,
        vnf::{Body, RunState},
    },
    sdn::{
        chain::{SwitchChain, contradictions},
        handover::{Cutover, TwoWays, cutover, in_the_way},
    },
    vim::chains::{self, Inside},
};

/// What is asked of one path; what is not given stays.
#[derive(Debug, Clone)]
pub struct PathChange {
    pub vnffg: SmolStr,
    pub path: NfpId,
    /// From the beginning of the path to its end, both included; empty: as they are.
    pub positions: Vec<Position>,
    /// The only traffic that it takes then.
    pub traffic: Option<Classifier>,
}

/// Connection points at one place of a path, those of each VNF together: where traffic goes in and where
/// it comes out, or one that is both.
pub type Position = Vec<Vec<CpRef>>;

/// A connection point as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CpRef {
    Vnf(ExtCpId),
    /// A SAP, or a connection point of a PNF (`OutsideOf::id`).
    Outside(SmolStr),
}

impl From<ExtCpId> for CpRef {
    fn from(id: ExtCpId) -> CpRef {
        CpRef::Vnf(id)
    }
}

impl std::fmt::Display for CpRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CpRef::Vnf(id) => id.fmt(f),
            CpRef::Outside(id) => write!(f, "'{id}'"),
        }
    }
}

/// A service as it runs.
pub struct Running<'a> {
    pub ns: &'a NsInstance,
    /// Of its descriptor.
    pub paths: &'a [ForwardingPath],
    /// Functions of its descriptor that are on none of them.
    pub spare: &'a [PathHop],
    pub chains: &'a [Chain],
    pub bodies: &'a HashMap<VnfId, Body>,
    pub segments: &'a [Segment],
}

/// A chain that takes another way.
#[derive(Debug, Clone)]
pub struct Rerouted {
    pub before: Chain,
    pub after: Chain,
    pub cutover: Cutover,
    pub warnings: Vec<String>,
}

impl Rerouted {
    pub fn ways(&self) -> (ChainWay, ChainWay) {
        (self.before.way(), self.after.way())
    }
}

pub fn plan(ask: &[PathChange], on: &Running<'_>) -> Result<Vec<Rerouted>> {
    let mut faults = Vec::new();
    let mut out: Vec<Rerouted> = Vec::new();
    for (i, a) in ask.iter().enumerate() {
        let Some(chain) = on.chains.iter().find(|c| c.id == a.path) else {
            faults.push(Fault::invalid(format!("NS instance {} has no path {}", on.ns.id, a.path)));
            continue;
        };
        if chain.vnffg != a.vnffg {
            faults.push(Fault::invalid(format!("path {} ({}) is one of VNFFG '{}', not of '{}'", chain.nfp, a.path, chain.vnffg, a.vnffg)));
        }
        if ask[..i].iter().any(|o| o.path == a.path) {
            faults.push(Fault::invalid(format!("path {} is to be changed twice", chain.nfp)));
        }
        match one(a, chain, on) {
            Ok(r) => out.push(r),
            Err(more) => faults.extend(more),
        }
    }
    // All chains of the service as they would be then.
    let then = |c: &Chain| out.iter().find(|r| r.after.id == c.id).map_or_else(|| c.clone(), |r| r.after.clone());
    let all: Vec<Chain> = on.chains.iter().map(then).collect();
    if faults.is_empty() {
        let inside = chains::inside(on.segments);
        let switched: Vec<SwitchChain> = all.iter().map(|c| between(c, &out, on, &inside)).collect();
        let switched: Vec<&SwitchChain> = switched.iter().collect();
        let mut why = contradictions(&switched);
        why.extend(in_the_way(&switched));
        why.extend(torn_off(&all, &switched, on));
        if !why.is_empty() {
            faults.push(Fault::invalid("chains of the service would be in each other's way").with_reasons(why));
        }
    }
    match faults.len() {
        0 if ask.is_empty() => Err(Fault::invalid("no path is named")),
        0 => Ok(out),
        1 => Err(faults.remove(0)),
        n => {
            let kind = faults[0].kind();
            Err(Fault::new(kind, format!("the chains cannot be changed so, for {n} reasons"))
                .with_reasons(faults.iter().map(ToString::to_string)))
        }
    }
}

/// Ends of chains that would be ends of wires too: they would not be on their links any more.
fn torn_off(all: &[Chain], switched: &[&SwitchChain], on: &Running<'_>) -> Vec<String> {
    let wires = chains::wires(all, on.bodies);
    let of = |c: &SwitchChain| -> Vec<String> {
        let ends: HashSet<_> = c.from.iter().chain(&c.to).map(|e| &e.port).collect();
        let torn = ends.into_iter().filter(|p| wires.contains(*p));
        torn.map(|p| format!("port {p} is an end of chain {} and would be one of a function's, off its link", c.name)).collect()
    };
    switched.iter().copied().flat_map(of).collect()
}

/// A chain as it is while connections of a change keep the way before.
fn between(c: &Chain, changes: &[Rerouted], on: &Running<'_>, inside: &Inside) -> SwitchChain {
    let next = chains::of(c, on.bodies, inside);
    let Some(change) = changes.iter().find(|r| r.after.id == c.id && r.cutover.noting_s.is_some()) else { return next };
    let SwitchChain { classifiers, hops, .. } = chains::of(&change.before, on.bodies, inside);
    SwitchChain { handover: Some(TwoWays { classifiers, hops, mark: 0, noting: false }), ..next }
}

fn one(ask: &PathChange, chain: &Chain, on: &Running<'_>) -> Result<Rerouted, Vec<Fault>> {
    let mut why = Vec::new();
    let mut way = chain.way();
    if let Some(traffic) = &ask.traffic {
        let same = chain.classifiers.iter().find(|c| Classifier { id: c.id.clone(), ..traffic.clone() } == **c);
        way.classifiers = vec![same.cloned().unwrap_or_else(|| Classifier { id: chain.nfp.clone(), ..traffic.clone() })];
    }
    match ask.positions.as_slice() {
        [] => {}
        [first, hops @ .., last] => {
            let places = hops.iter().enumerate();
            way.hops = places.filter_map(|(i, p)| hop(p, i + 2, chain, on, &mut why)).collect();
            for (what, given, has) in [("begins", first, &chain.from), ("ends", last, &chain.to)] {
                end(what, given, has, on, &mut why);
            }
        }
        [_] => why.push("it has one position: write all of them, from where its traffic comes from to where it goes".into()),
    }
    if !why.is_empty() {
        return Err(vec![Fault::invalid(format!("path {} cannot be changed so", chain.nfp)).with_reasons(why)]);
    }
    for h in chain.hops.iter().chain(&chain.idle).filter(|h| h.kind.is_wire()) {
        let is = |o: &ChainHop| (&o.vnfs, &o.entry, &o.exit) == (&h.vnfs, &h.entry, &h.exit);
        if way.hops.iter().any(is) {
            way.idle.retain(|o| !is(o));
        } else if !way.idle.iter().any(is) {
            way.idle.push(h.clone());
        }
    }
    let after = chain.on(&way);
    let inside = chains::inside(on.segments);
    let (now, next) = (chains::of(chain, on.bodies, &inside), chains::of(&after, on.bodies, &inside));
    let mut faults = Vec::new();
    let why = obstacles(&after, on.bodies, &on.segments.iter().collect::<Vec<_>>());
    if !why.is_empty() {
        faults.push(Fault::invalid(format!("path {} cannot be a chain", chain.nfp)).with_reasons(why));
    }
    faults.extend(next.check().err());
    if chain.way() != after.way() {
        faults.extend(still(chain));
    }
    let cutover = cutover(&now, &next, chain.drain_s);
    if faults.is_empty() {
        let mut warnings = doubts(chain, &after, on);
        warnings.extend(cutover.noting_s.map(|_| on_both_sides(chain, &after)).unwrap_or_default());
        Ok(Rerouted { before: chain.clone(), warnings, after, cutover })
    } else {
        Err(faults)
    }
}

/// A chain has two ways at most.
fn still(c: &Chain) -> Option<Fault> {
    let h = c.handover.as_ref()?;
    Some(match h.stage {
        Stage::Noting { .. } => Fault::conflict(format!("path {} is about to take another way: wait for the operation", c.nfp)),
        Stage::Draining { .. } => Fault::conflict(format!(
            "connections are still on the way that path {} had before ({}): wait until their time is up, or end it with 'bothy chain settle {}'",
            c.nfp,
            h.old.path(),
            c.nfp
        )),
    })
}

/// The connection point with this id, as a VNF of the service has it.
fn cp_of(id: &CpRef, on: &Running<'_>) -> Option<CpOf> {
    let CpRef::Vnf(id) = id else { return None };
    on.ns.members.iter().find_map(|m| {
        let found = on.bodies.get(&m.vnf)?.ext_cps.iter().find(|e| e.id == *id)?;
        Some(CpOf { vnf: m.vnf, cp: found.cpd.clone() })
    })
}

fn stranger(id: &CpRef, place: &str, on: &Running<'_>) -> String {
    format!("{place}: {id} is no connection point of a VNF of NS instance {}", on.ns.id)
}

fn hop(position: &Position, place: usize, chain: &Chain, on: &Running<'_>, why: &mut Vec<String>) -> Option<ChainHop> {
    let place = format!("position {place}");
    let mut hop: Option<ChainHop> = None;
    for pair in position {
        let found: Vec<Option<CpOf>> = pair.iter().map(|id| cp_of(id, on)).collect();
        why.extend(pair.iter().zip(&found).filter(|(_, f)| f.is_none()).map(|(id, _)| stranger(id, &place, on)));
        let (entry, exit) = match found.as_slice() {
            [Some(both)] => (both, both),
            [Some(entry), Some(exit)] => (entry, exit),
            [] | [_, _, _, ..] => {
                why.push(format!("{place}: a function has one connection point or two"));
                continue;
            }
            [None] | [None, _] | [_, None] => continue,
        };
        if entry.vnf != exit.vnf {
            why.push(format!("{place}: {} and {} are of different VNFs: traffic comes out of the VNF it goes into", entry.cp, exit.cp));
            continue;
        }
        let Some(name) = on.ns.members.iter().find(|m| m.vnf == entry.vnf).map(|m| m.profile.clone()) else { continue };
        let new = ChainHop {
            kind: kind(&name, entry, exit, chain, on),
            name,
            vnfs: vec![entry.vnf],
            entry: entry.cp.clone(),
            exit: exit.cp.clone(),
        };
        match &mut hop {
            None => hop = Some(new),
            Some(h) if (&h.name, &h.entry, &h.exit) != (&new.name, &new.entry, &new.exit) => {
                why.push(format!(
                    "{place}: {} and {} are not alike: VNFs of one profile share traffic, by the same connection points",
                    h.name, new.name
                ));
            }
            Some(h) if h.vnfs.contains(&entry.vnf) => {}
            Some(h) => h.vnfs.push(entry.vnf),
        }
    }
    if position.is_empty() {
        why.push(format!("{place}: it has no connection point"));
    }
    hop
}

/// What the function does with frames: as the chain or the descriptor has it, and transparent where neither
/// knows it.
fn kind(name: &SmolStr, entry: &CpOf, exit: &CpOf, chain: &Chain, on: &Running<'_>) -> HopKind {
    let known = chain.hops.iter().chain(&chain.idle).find(|h| (&h.name, &h.entry, &h.exit) == (name, &entry.cp, &exit.cp)).map(|h| h.kind);
    let told = || {
        let mut hops = on.paths.iter().flat_map(|p| &p.hops).chain(on.spare);
        hops.find(|h| (&h.entry.member, &h.entry.cp, &h.exit.cp) == (name, &entry.cp, &exit.cp)).map(|h| h.kind)
    };
    known.or_else(told).unwrap_or_default()
}

/// A running chain keeps its ends.
fn end(what: &str, position: &Position, has: &[ChainEnd], on: &Running<'_>, why: &mut Vec<String>) {
    let outside = |id: &CpRef| has.iter().find(|e| matches!((e, id), (ChainEnd::Outside { of, .. }, CpRef::Outside(id)) if of.id() == *id));
    let found_at = |id: &CpRef| outside(id).cloned().or_else(|| cp_of(id, on).map(ChainEnd::Cp));
    let ids = || position.iter().flatten();
    let found: Vec<Option<ChainEnd>> = ids().map(found_at).collect();
    let unknown = ids().zip(&found).filter(|(id, f)| f.is_none() && matches!(id, CpRef::Vnf(_)));
    why.extend(unknown.map(|(id, _)| stranger(id, &format!("where it {what}"), on)));
    let other = ids().zip(&found).any(|(id, f)| f.is_none() && matches!(id, CpRef::Outside(_)));
    let found: HashSet<ChainEnd> = found.into_iter().flatten().collect();
    if other || found != has.iter().cloned().collect() {
        let name = |c: &ChainEnd| match c {
            ChainEnd::Cp(c) => {
                let member = on.ns.members.iter().find(|m| m.vnf == c.vnf).map_or("?", |m| m.profile.as_str());
                format!("'{}' of {member}", c.cp)
            }
            ChainEnd::Outside { of, .. } => format!("'{}'", of.id()),
        };
        let has: Vec<String> = has.iter().map(name).collect();
        why.push(format!("it {what} at {}, and a running chain keeps its ends", has.join(", ")));
    }
}

/// Functions that would meet a router's MAC on both of their sides while connections keep the way before.
fn on_both_sides(before: &Chain, after: &Chain) -> Vec<String> {
    let mut out = Vec::new();
    let place = |c: &Chain, h: &ChainHop| c.hops.iter().position(|o| (&o.vnfs, &o.entry) == (&h.vnfs, &h.entry));
    for wire in after.hops.iter().filter(|h| h.kind.is_wire()) {
        for router in after.hops.iter().filter(|h| !h.kind.is_wire()) {
            let leads = |c: &Chain| Some(place(c, wire)? < place(c, router)?);
            if leads(before).zip(leads(after)).is_some_and(|(was, is)| was != is) {
                out.push(format!(
                    "chain {}: {} is before {} on one way and behind it on the other: if it learns MAC addresses, as a bridge does, connections \
                     may stall until those of the way before have ended. Take it out first, and put it in again when they have",
                    after.nfp, wire.name, router.name
                ));
            }
        }
    }
    out
}

fn doubts(before: &Chain, after: &Chain, on: &Running<'_>) -> Vec<String> {
    let then = match after.on_loss {
        OnLoss::Block => "drops its traffic",
        OnLoss::Bypass => "passes it by",
    };
    let new = after.hops.iter().filter(|h| !before.hops.contains(h));
    let stopped = new.filter(|h| h.vnfs.iter().all(|v| on.bodies.get(v).is_none_or(|b| b.run == RunState::Stopped)));
    stopped.map(|h| format!("chain {}: {} is stopped: until it runs the chain {then}", after.nfp, h.name)).collect()
}
