//! Plans of CHANGE_EXT_CONN. Pure.
//!
//! ```text
//! per NIC:  Move             off every link:  Segment -> Move
//! ```
//! A NIC that is to be on no link gets one of its own, as one that is attached to none at instantiation: nobody else is
//! on it, the host neither. Its addresses on the new link are kept from the accept on, and those on the old one until the
//! operation is over, so that it can go back. Never: the store, the ports.

use std::{collections::BTreeMap, net::IpAddr};

use smol_str::{SmolStr, format_smolstr};

use super::{ChangeExtConn, Connect, To};
use crate::{
    model::{
        epa::NicAttach,
        error::{Fault, Kind, Result},
        id::{OpId, PortId, SegmentId},
        segment::{Segment, SegmentOwner, SegmentState},
        step::{PlanStep, VnfStep},
        time::Dice,
        vnf::{Body, ExtCpInst, Port, PortMove, Seat, VnfInstance, Vnfc},
        vnfd::{ExtCpThrough, Flavour, LinkProfile, VduCp},
    },
    vim::network::{LinkOf, Stations, Wish, plan_segment},
    vnfm::plan::{Fabric, Steps, fresh_uuid},
};

/// What an Ethernet frame holds where nothing is said.
const USUAL_MTU: u16 = 1500;

/// The VNF as it is.
pub struct Of<'a> {
    pub inst: &'a VnfInstance,
    pub body: &'a Body,
    pub flavour: &'a Flavour,
    pub op: OpId,
}

/// The plan.
#[derive(Debug, Clone)]
pub struct Connected {
    pub moves: Vec<PortMove>,
    /// Links that are made for NICs on none.
    pub made: Vec<SegmentId>,
    pub steps: Vec<PlanStep>,
    pub warnings: Vec<String>,
}

/// Where a NIC is to go, and what of the request says so.
struct Goal<'a> {
    ask: &'a Connect,
    cp: &'a ExtCpInst,
    /// Fixed addresses are for the first instance only, as at instantiation.
    first: bool,
}

pub fn connect(of: Of<'_>, ask: &ChangeExtConn, fabric: Fabric<'_>, dice: &dyn Dice) -> Result<Connected> {
    let mut faults: Vec<Fault> = ask.wrong.iter().map(Fault::invalid).collect();
    let goals = goals(&of, ask, &fabric, &mut faults);
    let mut p = Planner { of, fabric, dice, moves: Vec::new(), made: Vec::new(), warnings: Vec::new() };
    let mut steps = Steps::new(p.of.op);
    let body = p.of.body;
    for (guest, port) in body.vnfcs.iter().flat_map(|c| c.ports.iter().map(move |q| (c, q))) {
        let Some(goal) = goals.get(&port.id) else { continue };
        if let Err(mut wrong) = p.one(guest, port, goal, &mut steps) {
            faults.append(&mut wrong);
        }
    }
    end(faults)?;
    Ok(Connected { moves: p.moves, made: p.made, steps: steps.into_vec(), warnings: p.warnings })
}

fn end(mut faults: Vec<Fault>) -> Result<()> {
    let invalid = faults.iter().any(|f| f.kind() == Kind::Invalid);
    match faults.len() {
        0 => Ok(()),
        1 => Err(faults.remove(0)),
        n => {
            let kind = if invalid { Kind::Invalid } else { faults[0].kind() };
            Err(Fault::new(kind, format!("external connectivity cannot be changed so: {n} faults"))
                .with_reasons(faults.iter().map(ToString::to_string)))
        }
    }
}

/// By NIC. One that is taken off its link and put on another is moved.
fn goals<'a>(of: &Of<'a>, ask: &'a ChangeExtConn, fabric: &Fabric<'_>, faults: &mut Vec<Fault>) -> BTreeMap<PortId, Goal<'a>> {
    let mut out: BTreeMap<PortId, Goal<'a>> = BTreeMap::new();
    if ask.all.is_empty() && ask.wrong.is_empty() {
        faults.push(Fault::invalid("extVirtualLinks: no connection point is named"));
    }
    for c in &ask.all {
        if let Some(link) = c.link
            && let Err(why) = is_outside(of, link, fabric)
        {
            faults.push(why.context(&c.at));
        }
        let (cp, ports) = match named(of, c) {
            Ok(found) => found,
            Err(why) => {
                faults.push(why.context(&c.at));
                continue;
            }
        };
        for (i, port) in ports.into_iter().enumerate() {
            let goal = Goal { ask: c, cp, first: i == 0 };
            match (out.get(&port).map(|g| &g.ask.to), &c.to) {
                (Some(To::Link { .. }), To::Link { .. }) => {
                    faults.push(Fault::invalid(format!("{}: '{}' is connected more than once", c.at, cp.instance(port))));
                }
                (Some(To::Link { .. }), To::Nowhere) => {}
                (Some(To::Nowhere) | None, To::Link { .. } | To::Nowhere) => drop(out.insert(port, goal)),
            }
        }
    }
    out
}

fn is_outside(of: &Of<'_>, link: SegmentId, fabric: &Fabric<'_>) -> Result<()> {
    let s = fabric.stations.get(&link).map(Stations::segment);
    let s = s.ok_or_else(|| Fault::invalid(format!("there is no virtual link {link}; GET /bothy/v1/networks lists them")))?;
    if s.owner == SegmentOwner::Vnf(of.inst.id) {
        return Err(Fault::invalid(format!("link {} ({link}) is one of the VNF itself, and no external one", s.link)));
    }
    match s.state {
        SegmentState::Wanted => Ok(()),
        SegmentState::Leaving => Err(Fault::conflict(format!("link {} is going away", s.link))),
    }
}

/// The NICs that the request means.
fn named<'a>(of: &Of<'a>, c: &Connect) -> Result<(&'a ExtCpInst, Vec<PortId>)> {
    let Some(described) = of.flavour.ext_cps.iter().find(|e| e.id == c.cpd) else {
        let known: Vec<_> = of.flavour.ext_cps.iter().map(|e| e.id.as_str()).collect();
        let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
        return Err(Fault::invalid(format!("flavour {} has no external connection point '{}'; {known}", of.flavour.id, c.cpd)));
    };
    if let ExtCpThrough::Link(link) = &described.through {
        let text = format!("'{}' is the VNF's link {link} as others see it: which link that is was fixed at instantiation", c.cpd);
        return Err(Fault::conflict(text));
    }
    let cp = of.body.ext_cps.iter().find(|e| e.cpd == c.cpd && !e.ports.is_empty());
    let cp =
        cp.ok_or_else(|| Fault::conflict(format!("no guest has the external connection point '{}' yet: scale the VNF out first", c.cpd)))?;
    let Some(instance) = &c.instance else { return Ok((cp, cp.ports.clone())) };
    match cp.ports.iter().find(|p| cp.instance(**p) == *instance) {
        Some(port) => Ok((cp, vec![*port])),
        None => {
            let known: Vec<String> = cp.ports.iter().map(|p| cp.instance(*p)).collect();
            Err(Fault::invalid(format!("'{}' has no instance '{instance}'; it has {}", c.cpd, known.join(", "))))
        }
    }
}

struct Planner<'a> {
    of: Of<'a>,
    fabric: Fabric<'a>,
    dice: &'a dyn Dice,
    moves: Vec<PortMove>,
    made: Vec<SegmentId>,
    warnings: Vec<String>,
}

impl Planner<'_> {
    /// One NIC, or all that speaks against it.
    fn one(&mut self, guest: &Vnfc, port: &Port, goal: &Goal<'_>, steps: &mut Steps) -> Result<(), Vec<Fault>> {
        let name = format_smolstr!("{}/{}/{}", guest.vdu, guest.index, port.cp);
        let at = &goal.ask.at;
        let told = |f: Fault| f.context(format!("{at} ({name})"));
        let nic = self.of.flavour.vdu(&guest.vdu).and_then(|v| v.nics.iter().find(|n| n.id == port.cp));
        if let Some(why) = nic.and_then(|n| fixed(n.wish.attach)) {
            return Err(vec![told(Fault::conflict(why))]);
        }
        let Some(link) = goal.ask.link.filter(|l| self.fabric.stations.contains_key(l)) else { return Ok(()) };
        if let Some(why) = beside(self.of.flavour, guest, port, link) {
            return Err(vec![told(Fault::conflict(why))]);
        }
        let mut after = Vec::new();
        let to = match &goal.ask.to {
            To::Link { wish, link_port } => {
                let nobody = Wish::default();
                let wish = if goal.first { wish } else { &nobody };
                let mut faults = self.check(port, nic, link, wish, link_port.as_deref());
                if !faults.is_empty() {
                    faults = faults.into_iter().map(told).collect();
                    return Err(faults);
                }
                (link, distinct(&wish.addresses))
            }
            To::Nowhere if port.segment != link => {
                let text = format!("it is not on link {link}, which it shall be taken off");
                return Err(vec![told(Fault::conflict(text))]);
            }
            To::Nowhere => {
                let own = self.own_link(&goal.cp.cpd).map_err(|f| vec![told(f)])?;
                if self.made.contains(&own) {
                    after.push(steps.vnf(VnfStep::Segment(own), &[]));
                }
                (own, Vec::new())
            }
        };
        let before = Seat { segment: port.segment, addresses: port.addresses.clone() };
        let Some((holder, seat)) = self.seat(port, to).map_err(|f| vec![told(f)])? else { return Ok(()) };
        let parted = matches!(goal.ask.to, To::Nowhere);
        let instance = SmolStr::new(goal.cp.instance(port.id));
        let m = PortMove { vnfc: guest.id, port: port.id, holder, name, cpd: goal.cp.cpd.clone(), instance, before, after: seat, parted };
        if m.after.addresses != m.before.addresses && !parted {
            self.warnings.push(format!(
                "{}: the guest learns of its new addresses by DHCP alone; what was written at its first boot stays as it is",
                m.name
            ));
        }
        steps.vnf(VnfStep::Move(Box::new(m.clone())), &after);
        self.moves.push(m);
        Ok(())
    }

    /// What speaks against this NIC on this link.
    fn check(&self, port: &Port, nic: Option<&VduCp>, link: SegmentId, wish: &Wish, link_port: Option<&str>) -> Vec<Fault> {
        let mut faults = Vec::new();
        let Some(stations) = self.fabric.stations.get(&link) else { return faults };
        if wish.mac.is_some_and(|m| m != port.mac) {
            faults.push(Fault::invalid(format!("its NIC keeps its MAC address {}: leave macAddress out", port.mac)));
        }
        if link_port.is_some_and(|p| p != port.id.to_string()) {
            faults.push(Fault::invalid(format!("its link port stays {}: leave linkPortId out", port.id)));
        }
        let here = port.segment == link;
        let wished = distinct(&wish.addresses);
        faults.extend(wished.iter().filter(|a| !(here && port.addresses.contains(a))).filter_map(|a| stations.check_wish(*a).err()));
        let old = self.fabric.stations.get(&port.segment).map(Stations::segment);
        faults.extend(too_long(nic, old, stations.segment()));
        faults
    }

    /// Its seat on the link, kept for it; `None`: it is there already.
    fn seat(&mut self, port: &Port, (link, mut wished): (SegmentId, Vec<IpAddr>)) -> Result<Option<(PortId, Seat)>> {
        let unknown = || Fault::bug(format!("port {} is on no link", port.id));
        let stations = self.fabric.stations.get(&port.segment).ok_or_else(unknown)?;
        let station = stations.segment().stations.iter().find(|s| s.port == port.id).cloned().ok_or_else(unknown)?;
        if link == port.segment {
            // What nothing is said of stays.
            let layer3 = &stations.segment().profile.layer3;
            let of = |a: IpAddr| layer3.iter().position(|l| l.cidr.contains(a));
            let stays: Vec<IpAddr> = port.addresses.iter().copied().filter(|a| wished.iter().all(|w| of(*w) != of(*a))).collect();
            wished.extend(stays);
            if wished.len() == port.addresses.len() && wished.iter().all(|a| port.addresses.contains(a)) {
                return Ok(None);
            }
        }
        let holder = PortId(fresh_uuid(self.dice));
        let stations = self.fabric.stations.get_mut(&link).ok_or_else(unknown)?;
        let addresses = stations.keep(holder, &station, &wished)?;
        Ok(Some((holder, Seat { segment: link, addresses })))
    }

    /// A link of the VNF on which nobody is: one that was left, or a new one.
    fn own_link(&mut self, cpd: &SmolStr) -> Result<SegmentId> {
        let inside = |id: &SegmentId| self.of.body.links.iter().any(|(_, s)| s == id);
        let empty = |id: &SegmentId| {
            let s = self.fabric.stations.get(id).map(Stations::segment);
            s.is_some_and(|s| s.link == *cpd && s.stations.is_empty() && s.profile == LinkProfile::default())
        };
        if let Some(id) = self.of.body.own_segments.iter().find(|id| !inside(id) && empty(id)) {
            return Ok(*id);
        }
        let id = SegmentId(fresh_uuid(self.dice));
        let profile = LinkProfile::default();
        let inst = self.of.inst;
        let of = LinkOf { id, project: inst.project, owner: SegmentOwner::Vnf(inst.id), link: cpd, profile: &profile };
        let segment = plan_segment(of, self.fabric.rules, self.fabric.taken)?;
        self.fabric.stations.insert(id, Stations::new(segment));
        self.made.push(id);
        Ok(id)
    }
}

fn distinct(all: &[IpAddr]) -> Vec<IpAddr> {
    let mut out: Vec<IpAddr> = Vec::new();
    for a in all {
        if !out.contains(a) {
            out.push(*a);
        }
    }
    out
}

/// Why a NIC and the networks under its tags cannot be there together: those of one trunk that are on one link are
/// VLANs of it, which was fixed when they were made.
fn beside(flavour: &Flavour, guest: &Vnfc, port: &Port, link: SegmentId) -> Option<String> {
    let vdu = flavour.vdu(&guest.vdu)?;
    let nic = vdu.trunk_of(&port.cp).map(|(nic, _)| nic).or_else(|| vdu.nics.iter().find(|n| n.id == port.cp))?;
    let of_it = |p: &&Port| p.id != port.id && (p.cp == nic.id || nic.subports.iter().any(|s| s.id == p.cp));
    let other = guest.ports.iter().filter(of_it).find(|p| p.segment == link || p.segment == port.segment)?;
    Some(format!("'{}' of the same trunk is on that link too: which VLANs a NIC carries of its link was fixed at instantiation", other.cp))
}

/// Why a NIC cannot leave its link.
fn fixed(attach: NicAttach) -> Option<&'static str> {
    match attach {
        NicAttach::Switch | NicAttach::VhostUser => None,
        NicAttach::Vf => Some(
            "its NIC is a virtual function, whose physical network and VLAN are its guest's for good: instantiate the VNF on the other link",
        ),
        NicAttach::Pf => Some("its NIC is a whole device, which is on whatever network its cable leads to"),
    }
}

/// A guest does not send shorter frames because its NIC is elsewhere.
fn too_long(nic: Option<&VduCp>, old: Option<&Segment>, new: &Segment) -> Option<Fault> {
    let has = nic.and_then(|n| n.mtu).or(old.and_then(|s| s.profile.mtu)).unwrap_or(USUAL_MTU);
    let limit = new.profile.mtu.filter(|limit| has > *limit)?;
    Some(Fault::conflict(format!("its NIC sends up to {has} bytes, and link {} takes {limit}", new.link)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ports_of_the_switch_leave_their_link() {
        let moves = [NicAttach::Switch, NicAttach::VhostUser, NicAttach::Vf, NicAttach::Pf].map(|a| fixed(a).is_none());
        assert_eq!(moves, [true, true, false, false]);
    }
}
