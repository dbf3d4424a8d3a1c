//! The forwarding paths of a service to its chains. Pure.
//!
//! Owns: which instances take part, and every reason why a path cannot be on this switch. Never: flows.

use std::collections::HashMap;

use smol_str::SmolStr;

use super::plan::MemberPlan;
use crate::{
    model::{
        chain::{Chain, ChainEnd, ChainHop, ChainState, CpOf, DRAIN_S, HopKind, OnLoss, OutsideOf},
        error::Fault,
        id::{NfpId, SegmentId, VnfId},
        ns::{NsInstance, NsPnf},
        nsd::{ForwardingPath, MemberCp, PathHop},
        segment::{Segment, Station},
        tunnel::Tunnel,
        vnf::{Body, Port},
    },
    sdn::{
        chain::{SwitchChain, contradictions},
        link,
    },
    vim::chains,
};

/// What of a service is outside the box, as planned.
pub struct Outside<'a> {
    pub saps: &'a [(SmolStr, SegmentId)],
    pub pnfs: &'a [NsPnf],
}

impl Outside<'_> {
    fn end(&self, cp: &MemberCp) -> Option<ChainEnd> {
        let sap = self.saps.iter().find(|(id, _)| *id == cp.member);
        let of_sap =
            |(id, segment): &(SmolStr, SegmentId)| ChainEnd::Outside { of: OutsideOf::Sap(id.clone()), segment: *segment, mac: None };
        let of_pnf = || {
            let pnf = self.pnfs.iter().find(|p| p.profile == cp.member)?;
            let plug = pnf.cps.iter().find(|c| c.cp == cp.cp)?;
            let of = OutsideOf::Pnf { pnf: pnf.profile.clone(), cp: plug.cp.clone() };
            Some(ChainEnd::Outside { of, segment: plug.segment?, mac: plug.mac })
        };
        sap.map(of_sap).or_else(of_pnf)
    }
}

pub fn plan(
    ns: &NsInstance,
    paths: &[(NfpId, &ForwardingPath)],
    spare: &[PathHop],
    members: &[MemberPlan],
    outside: &Outside<'_>,
    segments: &[&Segment],
    tunnels: &[Tunnel],
) -> Result<Vec<Chain>, Vec<Fault>> {
    let bodies: HashMap<VnfId, Body> = members.iter().map(|m| (m.instance.id, m.plan.body.clone())).collect();
    let inside = chains::inside(segments.iter().copied());
    let of = |member: &SmolStr| -> Vec<VnfId> { members.iter().filter(|m| m.profile == *member).map(|m| m.instance.id).collect() };
    let end = |cp: &MemberCp| -> Vec<ChainEnd> {
        let vnfs = of(&cp.member).into_iter().map(|vnf| ChainEnd::Cp(CpOf { vnf, cp: cp.cp.clone() }));
        vnfs.chain(outside.end(cp)).collect()
    };
    let mut faults = Vec::new();
    let mut out = Vec::new();
    let elsewhere = |member: &SmolStr| {
        let of = members.iter().find(|m| m.profile == *member).and_then(|m| m.abroad.as_ref())?;
        Some(format!("VNF {member} is managed by VNFM {}: its ports are not on this box's switch", of.vnfm))
    };
    let hop = |h: &PathHop| ChainHop {
        name: h.entry.member.clone(),
        kind: h.kind,
        vnfs: of(&h.entry.member),
        entry: h.entry.cp.clone(),
        exit: h.exit.cp.clone(),
    };
    // Wires in reserve are ends of wires from the beginning: on their links they could make a loop. What a path has other
    // use for stays on its link.
    let routed = paths.iter().flat_map(|(_, p)| &p.hops).filter(|h| !h.kind.is_wire()).flat_map(|h| [&h.entry, &h.exit]);
    let on_links: Vec<&MemberCp> = paths.iter().flat_map(|(_, p)| [&p.from, &p.to]).chain(routed).collect();
    let is_wire = |h: &&PathHop| h.kind.is_wire() && !on_links.contains(&&h.entry) && !on_links.contains(&&h.exit);
    let idle: Vec<ChainHop> = spare.iter().filter(is_wire).map(hop).filter(|h| unfit(h, &bodies, segments).is_empty()).collect();
    for (id, p) in paths {
        let chain = Chain {
            id: *id,
            project: ns.project,
            ns: ns.id,
            vnffg: p.vnffg.clone(),
            nfp: p.id.clone(),
            classifiers: p.classifiers.clone(),
            from: end(&p.from),
            hops: p.hops.iter().map(hop).collect(),
            to: end(&p.to),
            symmetric: p.symmetric,
            on_loss: p.on_loss,
            state: ChainState::Wanted,
            idle: idle.clone(),
            drain_s: p.drain_s.unwrap_or(DRAIN_S),
            handover: None,
        };
        let on = p.hops.iter().map(|h| &h.entry.member).chain([&p.from.member, &p.to.member]);
        let mut why: Vec<String> = on.filter_map(elsewhere).collect();
        why.extend(obstacles(&chain, &bodies, segments));
        why.extend(many_ends(&chain, segments, tunnels));
        if !why.is_empty() {
            faults.push(Fault::invalid(format!("path {} cannot be a chain", p.id)).with_reasons(why));
        }
        faults.extend(chains::of(&chain, &bodies, &inside).check().err());
        out.push(chain);
    }
    let all: Vec<SwitchChain> = out.iter().map(|c| chains::of(c, &bodies, &inside)).collect();
    let clashes = contradictions(&all.iter().collect::<Vec<_>>());
    if faults.is_empty() && !clashes.is_empty() {
        faults.push(Fault::invalid("chains of the service are in each other's way").with_reasons(clashes));
    }
    if faults.is_empty() { Ok(out) } else { Err(faults) }
}

/// A chain leads to one port at an end outside.
fn many_ends(c: &Chain, segments: &[&Segment], tunnels: &[Tunnel]) -> Option<String> {
    let ends = c.from.iter().chain(&c.to).filter_map(|e| match e {
        ChainEnd::Outside { of, segment, .. } => Some((of, segment)),
        ChainEnd::Cp(_) => None,
    });
    let through = |id: &SegmentId| {
        let link = segments.iter().find(|s| s.id == *id)?;
        tunnels.iter().find(|t| link.profile.physical.as_ref() == Some(&t.name) && t.remotes.len() > 1)
    };
    let (of, tunnel) = ends.filter_map(|(of, segment)| Some((of, through(segment)?))).next()?;
    let count = tunnel.remotes.len();
    Some(format!("it ends at '{}', whose link has {count} remote ends (tunnel '{}'): a chain leads to one", of.id(), tunnel.name))
}

/// What of the service's links and ports does not allow the chain.
pub(super) fn obstacles(c: &Chain, bodies: &HashMap<VnfId, Body>, segments: &[&Segment]) -> Vec<String> {
    let mut why = Vec::new();
    let mut at_ends: Vec<SegmentId> = Vec::new();
    for (what, end) in c.from.iter().map(|e| ("begins", e)).chain(c.to.iter().map(|e| ("ends", e))) {
        let end = match end {
            ChainEnd::Cp(cp) => cp,
            ChainEnd::Outside { of, segment, mac } => {
                at_ends.push(*segment);
                let link = segments.iter().find(|s| s.id == *segment);
                if link.is_some_and(|s| s.profile.physical.is_none()) {
                    why.push(format!("it {what} at '{}', whose link reaches no physical network (bothy.physical)", of.id()));
                }
                if mac.is_none() && link.is_some_and(|s| s.wants_host_port()) {
                    let of = of.id();
                    why.push(format!(
                        "it {what} at '{of}', whose link the host is on too (management, NAT or DHCP): frames to the host and to whoever is \
                         outside cannot be told apart. End it at a PNF whose MAC is told, or take the host off that link"
                    ));
                }
                continue;
            }
        };
        let found = ports(bodies, &end.vnf, &end.cp);
        at_ends.extend(found.iter().map(|p| p.segment));
        if found.is_empty() {
            why.push(format!("it {what} at '{}', which no guest has", end.cp));
        }
        why.extend(
            found
                .iter()
                .filter(|p| station(segments, p).is_none())
                .map(|p| format!("it {what} at '{}', which is not a port of the switch", p.cp)),
        );
        why.extend(found.iter().filter_map(|p| within(segments, p)).map(|at| format!("it {what} at {at}")));
    }
    why.extend(c.hops.iter().flat_map(|h| unfit(h, bodies, segments)));
    let routed = c.hops.iter().any(|h| h.kind == HopKind::Routed);
    if !routed && at_ends.windows(2).any(|w| w[0] != w[1]) {
        why.push("its ends are on different links, and none of its functions routes between them".into());
    }
    let is_leaf = |p: &Port| segments.iter().any(|s| s.stations.iter().any(|st| st.port == p.id && link::is_leaf(s, st)));
    why.extend(between_leaves(c, &|vnf, cp| ports(bodies, vnf, cp).into_iter().any(is_leaf)));
    why
}

/// What of a function's ports does not allow it in a chain.
fn unfit(h: &ChainHop, bodies: &HashMap<VnfId, Body>, segments: &[&Segment]) -> Vec<String> {
    let mut why = Vec::new();
    for (vnf, cp) in h.vnfs.iter().flat_map(|v| [(v, &h.entry), (v, &h.exit)]) {
        let found = ports(bodies, vnf, cp);
        if found.is_empty() {
            why.push(format!("no guest of '{}' has '{cp}'", h.name));
        }
        for p in found {
            why.extend(within(segments, p).map(|at| format!("'{}' is to be led to at {at}", h.name)));
            match (station(segments, p), h.kind) {
                (None, _) => why.push(format!("'{cp}' of '{}' is not a port of the switch", h.name)),
                (Some(s), HopKind::Routed) if s.access.guarded => why.push(format!(
                    "'{}' is routed, and port security of '{cp}' stops what it forwards: set bothy.port_security: \"false\"",
                    h.name
                )),
                (Some(_), HopKind::Routed | HopKind::Transparent | HopKind::Stateful) => {}
            }
        }
    }
    why
}

fn station<'s>(segments: &[&'s Segment], p: &Port) -> Option<&'s Station> {
    segments.iter().flat_map(|s| &s.stations).find(|s| s.port == p.id)
}

fn ports<'b>(bodies: &'b HashMap<VnfId, Body>, vnf: &VnfId, cp: &SmolStr) -> Vec<&'b Port> {
    let on = |p: &&Port| p.ext_cp.as_ref() == Some(cp);
    bodies.get(vnf).map(|b| b.vnfcs.iter().flat_map(|v| &v.ports).filter(on).collect()).unwrap_or_default()
}

/// All of a trunk comes in by one port of the switch.
fn within(segments: &[&Segment], p: &Port) -> Option<String> {
    let (_, tag) = station(segments, p)?.access.within?;
    Some(format!("'{}', which is the network of tag {} on a trunk port: a chain takes and leads to whole ports", p.cp, tag.get()))
}

/// Where the chain would lead from one leaf of a tree to another: the switch drops what goes there, whatever its flows say.
/// Ends of wires are on no link.
fn between_leaves(c: &Chain, is_leaf: &dyn Fn(&VnfId, &SmolStr) -> bool) -> Vec<String> {
    let end = |ends: &[ChainEnd]| {
        ends.iter().find_map(|e| match e {
            ChainEnd::Cp(cp) => is_leaf(&cp.vnf, &cp.cp).then(|| format!("its end at '{}'", cp.cp)),
            // A physical network is a root.
            ChainEnd::Outside { .. } => None,
        })
    };
    // What leads into a place, and what leads out of it, where that is a leaf.
    let mut places: Vec<[Option<String>; 2]> = vec![[None, end(&c.from)]];
    for h in &c.hops {
        let of = |cp: &SmolStr| {
            let leaf = !h.kind.is_wire() && h.vnfs.iter().any(|v| is_leaf(v, cp));
            leaf.then(|| format!("'{cp}' of '{}'", h.name))
        };
        places.push([of(&h.entry), of(&h.exit)]);
    }
    places.push([end(&c.to), None]);
    let mut why = Vec::new();
    for (n, [_, out]) in places.iter().enumerate().filter(|_| !c.hops.is_empty()) {
        // Functions that are lost are passed by.
        let next = match c.on_loss {
            OnLoss::Block => n + 2,
            OnLoss::Bypass => places.len(),
        };
        for (m, [into, _]) in places.iter().enumerate().take(next).skip(n + 1) {
            if let (Some(from), Some(to)) = (out, into) {
                let when = if m == n + 1 { "" } else { " where the functions between them are passed by (bothy.on_loss: bypass)" };
                why.push(format!(
                    "it leads from {from} to {to}{when}, and both are leaves of a tree (E-Tree), which exchange nothing: give one of them \
                     'role: root'"
                ));
            }
        }
    }
    why
}
