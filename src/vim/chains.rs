//! Chains as records to chains on the switch. Pure.
//!
//! Owns: which ports a chain's connection points are. Never: what a chain does with frames (`sdn::chain`).

use std::collections::{HashMap, HashSet};

use crate::{
    model::{
        chain::{Chain, ChainEnd, ChainHop, Stage},
        id::{IfKind, IfName, SegmentId, VnfId, if_name},
        net::MacAddr,
        segment::Segment,
        vnf::{Body, Port},
    },
    sdn::{
        chain::{Arm, End, Hop, Instance, SwitchChain},
        handover::TwoWays,
    },
};

/// The VNFs that a chain names, with those of functions that were taken out of it.
pub fn vnfs(c: &Chain) -> impl Iterator<Item = VnfId> {
    let of = |e: &ChainEnd| match e {
        ChainEnd::Cp(cp) => Some(cp.vnf),
        ChainEnd::Outside { .. } => None,
    };
    c.from.iter().chain(&c.to).filter_map(of).chain(c.functions().flat_map(|h| h.vnfs.iter().copied()))
}

/// The links at which a chain ends outside the box, as more than one station.
pub fn outside(c: &Chain) -> impl Iterator<Item = SegmentId> {
    c.from.iter().chain(&c.to).filter_map(|e| match e {
        ChainEnd::Outside { segment, mac: None, .. } => Some(*segment),
        ChainEnd::Outside { mac: Some(_), .. } | ChainEnd::Cp(_) => None,
    })
}

/// Stations in the box, by their links.
pub type Inside = HashMap<SegmentId, Vec<MacAddr>>;

pub fn inside<'s>(segments: impl IntoIterator<Item = &'s Segment>) -> Inside {
    let macs = |s: &Segment| s.stations.iter().filter(|st| !st.is_kept()).map(|st| st.mac).collect();
    segments.into_iter().map(|s| (s.id, macs(s))).collect()
}

/// `inside`: of the links that it ends at outside the box (`outside`), at least.
pub fn of(c: &Chain, bodies: &HashMap<VnfId, Body>, inside: &Inside) -> SwitchChain {
    SwitchChain {
        id: c.id,
        name: c.nfp.clone(),
        classifiers: c.classifiers.clone(),
        from: ends(&c.from, bodies, inside),
        hops: hops(&c.hops, bodies),
        to: ends(&c.to, bodies, inside),
        symmetric: c.symmetric,
        on_loss: c.on_loss,
        handover: c.handover.as_ref().map(|h| TwoWays {
            classifiers: h.old.classifiers.clone(),
            hops: hops(&h.old.hops, bodies),
            mark: h.mark,
            noting: matches!(h.stage, Stage::Noting { .. }),
        }),
    }
}

/// Why the chain cannot be with as many guests of its functions as `then` has. One that had as many before is left at that.
pub fn torn(c: &Chain, now: &HashMap<VnfId, Body>, then: &HashMap<VnfId, Body>) -> Vec<String> {
    let before = c.handover.iter().flat_map(|h| &h.old.hops);
    let all: Vec<ChainHop> = c.hops.iter().chain(before).cloned().collect();
    let more = hops(&all, now).into_iter().zip(hops(&all, then)).filter(|(now, then)| then.instances.len() > now.instances.len());
    more.filter_map(|(_, then)| then.torn()).map(|why| format!("chain {}: {why}", c.nfp)).collect()
}

fn hops(all: &[ChainHop], bodies: &HashMap<VnfId, Body>) -> Vec<Hop> {
    all.iter().map(|h| Hop { name: h.name.clone(), kind: h.kind, instances: instances(h, bodies) }).collect()
}

fn ends(all: &[ChainEnd], bodies: &HashMap<VnfId, Body>, inside: &Inside) -> Vec<End> {
    let ports = all.iter().flat_map(|e| match e {
        ChainEnd::Cp(e) => {
            let on = |p: &&Port| p.ext_cp.as_ref() == Some(&e.cp);
            let ports = bodies.get(&e.vnf).into_iter().flat_map(|b| &b.vnfcs).flat_map(|v| &v.ports).filter(on);
            ports.map(|p| End { port: p.ifname.clone(), mac: Some(p.mac), beside: Vec::new(), shared: false }).collect()
        }
        ChainEnd::Outside { segment, mac, .. } => {
            let beside = if mac.is_none() { inside.get(segment).cloned().unwrap_or_default() } else { Vec::new() };
            vec![End { port: if_name(IfKind::Patch, &segment.0), mac: *mac, beside, shared: true }]
        }
    });
    ports.collect()
}

/// Each guest that has both ports is one.
fn instances(h: &ChainHop, bodies: &HashMap<VnfId, Body>) -> Vec<Instance> {
    let arm = |ports: &[Port], cp| {
        let found = ports.iter().find(|p| p.ext_cp.as_ref() == Some(cp))?;
        Some(Arm { port: found.ifname.clone(), mac: Some(found.mac) })
    };
    let guests = h.vnfs.iter().filter_map(|v| bodies.get(v)).flat_map(|b| &b.vnfcs);
    guests.filter_map(|g| Some(Instance { entry: arm(&g.ports, &h.entry)?, exit: arm(&g.ports, &h.exit)? })).collect()
}

/// Ports that are ends of wires, whether or not their chain leads by them at the moment, or any more.
pub fn wires(chains: &[Chain], bodies: &HashMap<VnfId, Body>) -> HashSet<IfName> {
    let through = chains.iter().flat_map(Chain::functions).filter(|h| h.kind.is_wire());
    through.flat_map(|h| instances(h, bodies)).flat_map(|i| [i.entry.port, i.exit.port]).collect()
}
