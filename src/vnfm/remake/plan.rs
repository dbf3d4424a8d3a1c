//! Plans of CHANGE_FLAVOUR and CHANGE_VNFPKG. Pure.
//!
//! ```text
//! stays and differs:  Stop -> Grow*, Disk*, Rewrite | Medium -> Redefine -> Start -> Ready
//! comes:              as at instantiation               goes:  Stop
//! at the end of all:  Shed, what the VNF has no use for any more
//! ```
//! A guest of a VDU that is there before and after stays the guest that it is: its id, name, NICs and disks, save for those
//! that stand on another image in another package: they are made anew, and the old ones kept to the end. One that is the same
//! is left alone. No guest starts before all that stop have stopped, so that the box never holds more than the
//! larger of the two; and nothing goes before all is there, so that until then the operation can be rolled back.
//! Owns which guests, NICs, disks and links stay, come and go. Never: the store, the ports, the clock.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::{check, sides::union};
use crate::model::order::Order as _;
use crate::model::tree::set;
use crate::{
    model::{
        domain::DomainSpec,
        error::{Fault, Kind, Result},
        host::HostFacts,
        id::{DiskId, PortId, SegmentId, VnfcId},
        package::VnfPackage,
        place::Held,
        size::MiB,
        step::{Effect, Gone, PlanStep, Shed, Step, VnfStep},
        time::Dice,
        tree::tree,
        vnf::{Body, ExtCpInst, PackageChange, Port, Reservation, RunState, Stopping, Vnfc, VnfcDisk},
        vnfd::{Day0Source, Flavour, Vdu, VduCp},
    },
    vim::capacity::{Need, reservation},
    vnfm::{
        affinity::one_host,
        change::Goal,
        parts::{Guest, stored},
        place::Wishful,
        plan::{Ask, Fabric, MOST, Made, Planner, VnfPlan, medium, ready_step, whole},
    },
};

/// The VNF as it is.
pub struct Now<'a> {
    pub body: &'a Body,
    pub package: &'a VnfPackage,
    pub flavour: &'a Flavour,
    pub reserved: &'a Reservation,
    /// The hardware that its guests were placed on; `None`: none has a place.
    pub facts: Option<&'a HostFacts>,
    pub stopping: Stopping,
    /// Its parameters change, and with them what media hold.
    pub params_change: bool,
    /// What it is to be is of another package.
    pub moves: Option<&'a PackageChange>,
}

/// The plan: its body is the VNF as it will be, its reservation what that takes.
#[derive(Debug, Clone)]
pub struct Remade {
    pub plan: VnfPlan,
    /// Guests that get another place, or lose theirs: others may have it.
    pub freed: Vec<VnfcId>,
}

/// A guest that stays, with what has to be done to it.
struct Kept<'a> {
    vdu: &'a Vdu,
    old: Option<&'a Vdu>,
    was: &'a Vnfc,
    is: Vnfc,
    /// Disks that are made, and links that come up, before it starts.
    made: Vec<u32>,
    grown: Vec<(DiskId, MiB)>,
}

/// `goal`: how many guests there are to be.
pub fn remake(ask: &Ask<'_>, now: &Now<'_>, goal: &Goal, fabric: &mut Fabric<'_>, dice: &dyn Dice) -> Result<Remade> {
    let f = ask.flavour;
    let count = |vdu: &Vdu| goal.counts.get(&vdu.id).copied().unwrap_or(vdu.min_instances);
    one_host(f, |id| f.vdu(id).map_or(0, count))?;
    let mut faults = check::links(ask, now, fabric);
    let mut p = Planner::new(ask, dice);
    p.starts = now.body.run == RunState::Started;
    if let Some(change) = now.moves {
        p.steps.vnf(VnfStep::Package(Box::new(change.clone())), &[]);
    }
    p.links = tree(now.body.links.iter().filter(|(id, _)| f.links.iter().any(|l| l.id == *id)).cloned());
    let had_cp = |e: &&ExtCpInst| f.ext_cps.iter().any(|c| c.id == e.cpd);
    p.attached = tree(now.body.ext_cps.iter().filter(had_cp).map(|e| (e.cpd.clone(), e.segment)));
    p.internal_links(fabric)?;
    p.external_links(fabric)?;
    let ext = tree(now.body.ext_cps.iter().filter(had_cp).map(|e| (e.cpd.clone(), e.clone())));
    let mut m = Maker { p, now, goal, ext, freed: Vec::new() };
    let (mut kept, mut new) = (Vec::new(), Vec::new());
    for vdu in &f.vdus {
        let want = count(vdu);
        if want > MOST {
            faults.push(Fault::invalid(format!("VDU {}: {want} instances are more than a box can have ({MOST})", vdu.id)));
            continue;
        }
        let mut have: Vec<&Vnfc> = now.body.vnfcs.iter().filter(|c| c.vdu == vdu.id).collect();
        have.order_by_key(|c| c.index);
        if have.windows(2).any(|w| w[0].index == w[1].index) {
            faults.push(Fault::conflict(format!("VDU {}: a guest is there twice, since a healing was given up: heal it", vdu.id)));
        }
        for c in have.iter().filter(|c| is_between(c, now)) {
            faults.push(Fault::conflict(format!(
                "VDU {}: guest {} has what it had before and after a change that was given up: heal it",
                vdu.id, c.index
            )));
        }
        for c in have.iter().take(want as usize) {
            match m.keep(vdu, c, fabric) {
                Ok(k) => kept.push(k),
                Err(wrong) => faults.extend(wrong.into_iter().map(|e| e.context(format!("guest {}/{}", vdu.id, c.index)))),
            }
        }
        let missing = (want as usize).saturating_sub(have.len());
        let free = (0..want.saturating_add(have.len() as u32)).filter(|i| have.iter().all(|c| c.index != *i)).take(missing);
        new.extend(free.map(|index| (vdu, index, want)));
    }
    end(faults, &f.id)?;
    m.finish(kept, new, fabric)
}

/// It may run as it was before a change that was given up, or after it: its record has the disks, the NICs or the places of both.
fn is_between(c: &Vnfc, now: &Now<'_>) -> bool {
    let twice = |names: Vec<&SmolStr>| names.iter().collect::<BTreeSet<_>>().len() < names.len();
    twice(c.disks.iter().map(|d| &d.storage).collect())
        || twice(c.ports.iter().map(|p| &p.cp).collect())
        || now.reserved.placed.iter().filter(|h| h.guest == c.id).count() > 1
}

fn end(mut faults: Vec<Fault>, flavour: &str) -> Result<()> {
    let kind = faults.iter().map(Fault::kind).find(|k| *k == Kind::Invalid);
    match faults.len() {
        0 => Ok(()),
        1 => Err(faults.remove(0)),
        n => Err(Fault::new(kind.unwrap_or(faults[0].kind()), format!("the VNF cannot come to flavour {flavour} there: {n} faults"))
            .with_reasons(faults.iter().map(ToString::to_string))),
    }
}

struct Maker<'a> {
    p: Planner<'a>,
    now: &'a Now<'a>,
    goal: &'a Goal,
    /// By name: those that both flavours have keep their ids, and their NICs the order.
    ext: BTreeMap<SmolStr, ExtCpInst>,
    freed: Vec<VnfcId>,
}

impl<'a> Maker<'a> {
    /// A guest that stays, as it will be; or all that speaks against it.
    fn keep(&mut self, vdu: &'a Vdu, was: &'a Vnfc, fabric: &mut Fabric<'_>) -> Result<Kept<'a>, Vec<Fault>> {
        let old = self.now.flavour.vdu(&vdu.id);
        let mut faults = check::nics(vdu, old, was, self.p.ask.attach);
        let mut made = Vec::new();
        let (mut ports, mut subs) = (Vec::new(), Vec::new());
        for cp in &vdu.nics {
            let has = was.ports.iter().find(|p| p.cp == cp.id).cloned();
            match has.map_or_else(|| self.p.new_port(vdu, cp, was.index, &was.hostname, fabric).map(|p| (p, true)), |p| Ok((p, false))) {
                Ok((port, new)) => {
                    if new {
                        made.extend(self.p.segment_step(port.segment, fabric));
                        self.p.expose(&port, &mut self.ext);
                    }
                    match self.subs(vdu, cp, was, (&port, new), fabric, &mut made) {
                        Ok(more) => subs.extend(more),
                        Err(e) => faults.push(e),
                    }
                    ports.push(port);
                }
                Err(e) => faults.push(e),
            }
        }
        ports.extend(subs);
        let (mut disks, mut grown) = (Vec::new(), Vec::new());
        for d in &vdu.disks {
            let Some(has) = was.disks.iter().find(|h| h.storage == d.id) else {
                match self.p.new_disk(d) {
                    Ok((disk, step)) => {
                        made.push(step);
                        disks.push(disk);
                    }
                    Err(e) => faults.push(e),
                }
                continue;
            };
            let (size, base) = match stored(self.p.ask.package, d) {
                Ok(found) => found,
                Err(e) => {
                    faults.push(e);
                    continue;
                }
            };
            if base.map(|b| b.sha256) != has.base.map(|(sha256, _)| sha256) {
                if self.now.moves.is_none() {
                    faults
                        .push(Fault::conflict(format!("its disk {} stands on another image there: that is a change of the package", d.id)));
                    continue;
                }
                match self.p.new_disk(d) {
                    Ok((disk, step)) => {
                        made.push(step);
                        disks.push(disk);
                    }
                    Err(e) => faults.push(e),
                }
                continue;
            }
            // One that an operation was to enlarge and was rolled back may not have got its size.
            let before = old.and_then(|v| v.disks.iter().find(|o| o.id == d.id));
            let before = before.and_then(|o| stored(self.now.package, o).ok()).map(|(size, _)| size);
            if size < has.size {
                self.p
                    .warnings
                    .push(format!("guest {}/{}: its disk {} keeps its {}: a disk is not cut", vdu.id, was.index, d.id, has.size));
            }
            let to = MiB(size.0.max(has.size.0));
            if size > has.size || before.is_some_and(|b| size > b) {
                grown.push((has.id, to));
            }
            disks.push(VnfcDisk { size: to, ..has.clone() });
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let is = Vnfc {
            vcpus: vdu.vcpus,
            memory: vdu.memory,
            disks,
            ports,
            medium: vdu.day0.is_some(),
            graceful_stop_s: self.p.ask.flavour.graceful_stop_s,
            ..was.clone()
        };
        Ok(Kept { vdu, old, was, is, made, grown })
    }

    /// The networks under tags of a NIC that is new, or as it was (`check::nics`).
    fn subs(
        &mut self,
        vdu: &Vdu,
        cp: &VduCp,
        was: &Vnfc,
        (nic, new): (&Port, bool),
        fabric: &mut Fabric<'_>,
        made: &mut Vec<u32>,
    ) -> Result<Vec<Port>> {
        if !new {
            let is = |p: &&Port| cp.subports.iter().any(|s| s.id == p.cp);
            return Ok(was.ports.iter().filter(is).cloned().collect());
        }
        let subs = self.p.sub_ports((vdu, cp, nic), was.index, &was.hostname, &[], fabric)?;
        for p in &subs {
            made.extend(self.p.segment_step(p.segment, fabric));
            self.p.expose(p, &mut self.ext);
        }
        Ok(subs)
    }

    fn held(&self, guest: VnfcId) -> Option<&'a Held> {
        self.now.reserved.placed.iter().find(|h| h.guest == guest)
    }

    fn finish(mut self, kept: Vec<Kept<'_>>, new: Vec<(&Vdu, u32, u32)>, fabric: &mut Fabric<'_>) -> Result<Remade> {
        let mut vnfcs: Vec<Vnfc> = Vec::new();
        let mut differ = Vec::new();
        for k in kept {
            vnfcs.push(k.is.clone());
            if let Some((before, after)) =
                self.difference(&k, fabric).map_err(|e| e.context(format!("guest {}/{}", k.is.vdu, k.is.index)))?
            {
                differ.push((k, before, after));
            }
        }
        let gone: Vec<&Vnfc> = self.now.body.vnfcs.iter().filter(|c| vnfcs.iter().all(|k| k.id != c.id)).collect();
        // First of all, so that whatever starts can come after them.
        let mut stopped: BTreeMap<VnfcId, u32> = BTreeMap::new();
        if self.p.starts {
            for c in differ.iter().map(|(k, _, _)| k.was).chain(gone.iter().copied()) {
                let graceful_s = self.now.stopping.seconds(c.graceful_stop_s);
                let stop = self.p.steps.vnf(VnfStep::Stop { vnfc: c.id, graceful_s }, &[]);
                stopped.insert(c.id, stop);
            }
        }
        self.freed.extend(differ.iter().map(|(k, _, _)| k.is.id));
        // What it has of the host's devices it keeps until it goes.
        let free = gone.iter().filter(|c| self.held(c.id).is_none_or(|h| h.given.is_empty())).map(|c| c.id);
        self.freed.extend(free.collect::<Vec<_>>());
        for (k, before, after) in differ {
            self.remake_one(k, before, after, &stopped);
        }
        for (vdu, index, want) in new {
            let made = Made::New { index, count: want.max(2) };
            vnfcs.push(self.p.vnfc(vdu, made, fabric, &mut self.ext).map_err(|e| e.context(format!("VDU {}", vdu.id)))?);
        }
        let f = self.p.ask.flavour;
        vnfcs.order_by_key(|c| (f.vdus.iter().position(|v| v.id == c.vdu), c.index));
        self.p.expose_rest(&mut self.ext);
        let body = self.body(vnfcs);
        self.shed(&body, &gone, fabric)?;
        Ok(self.remade(body))
    }

    /// A guest as it was defined and as it will be, where it has to be made anew.
    fn difference(&mut self, k: &Kept<'_>, fabric: &mut Fabric<'_>) -> Result<Option<(DomainSpec, Guest)>> {
        let after = self.p.guest(self.p.ask.flavour, k.vdu, &k.is, fabric)?;
        let old = k.old.ok_or_else(|| Fault::conflict("its VDU is not in the flavour that the VNF is recorded with, since a change of it was given up: terminate the VNF and instantiate it anew"))?;
        let mut before = self.p.guest(self.now.flavour, old, k.was, fabric)?;
        let ask = |w: &Option<Wishful>| w.as_ref().map(|w| w.ask.clone());
        // A change that was given up may have left it larger than its VDU says.
        let as_recorded =
            k.was.vcpus == before.spec.vcpus && k.was.memory == before.spec.memory && k.was.medium == before.spec.medium.is_some();
        let same = as_recorded && before.spec == after.spec && ask(&before.wish) == ask(&after.wish);
        if same && k.made.is_empty() && k.grown.is_empty() && self.same_day0(Some(old), k.vdu) {
            if self.now.params_change && k.vdu.day0.is_some() {
                self.p.warnings.push(format!(
                    "guest {}/{} is the same before and after, and is left as it is: the new parameters come to it when it is healed",
                    k.vdu.id, k.was.index
                ));
            }
            return Ok(None);
        }
        if [&before.wish, &after.wish].into_iter().flatten().any(Wishful::has_devices) {
            return Err(Fault::conflict(
                "it has functions of the host's devices before or after, and is not the same: such a guest cannot be changed; terminate \
                 the VNF and instantiate it anew",
            ));
        }
        if let (Some(w), Some(h), Some(facts)) = (&before.wish, self.held(k.was.id), self.now.facts) {
            before.spec.placed = Some(w.placed(&h.at, facts));
        }
        Ok(Some((before.spec, after)))
    }

    fn remake_one(&mut self, k: Kept<'_>, before: DomainSpec, after: Guest, stopped: &BTreeMap<VnfcId, u32>) {
        let (id, vnf) = (k.is.id, self.p.ask.instance.id);
        let stop: Vec<u32> = stopped.get(&id).copied().into_iter().collect();
        let mut first = [k.made, stop.clone()].concat();
        for (disk, to) in k.grown {
            first.push(self.p.steps.vnf(VnfStep::Grow { vnfc: id, disk, to }, &stop));
        }
        let media = (k.old.and_then(|v| medium(v, id, vnf)), medium(k.vdu, id, vnf));
        let other = !self.same_day0(k.old, k.vdu) || k.was.ports != k.is.ports || self.now.params_change;
        match media {
            (None, Some(spec)) => first.push(self.p.steps.vnf(VnfStep::Medium(spec), &stop)),
            (Some(before), Some(after)) if other => first.push(self.p.steps.vnf(VnfStep::Rewrite { before, after }, &stop)),
            (Some(_), Some(_) | None) | (None, None) => {}
        }
        self.p.wishful.extend(after.wish);
        let define = self.p.steps.vnf(VnfStep::Redefine { before: Box::new(before), after: Box::new(after.spec) }, &first);
        if self.p.starts {
            let start = self.p.steps.vnf(VnfStep::Start(id), &[define]);
            ready_step(&mut self.p.steps, id, k.vdu, &k.is.ports, start);
        }
    }

    /// What a medium is made from is the same before and after, down to the files of the packages.
    fn same_day0(&self, old: Option<&Vdu>, new: &Vdu) -> bool {
        let Some(old) = old.filter(|o| o.day0 == new.day0) else { return false };
        let files = old.day0.iter().flat_map(|d| &d.files);
        let of = |p: &VnfPackage, path: &str| p.files.iter().find(|f| f.path == path).map(|f| f.sha256);
        files.into_iter().all(|f| match &f.source {
            Day0Source::Inline(_) => true,
            Day0Source::Artifact(path) => of(self.now.package, path) == of(self.p.ask.package, path),
        })
    }

    fn body(&self, vnfcs: Vec<Vnfc>) -> Body {
        let (ask, now) = (self.p.ask, self.now.body);
        let mut body = Body {
            flavour: ask.flavour.id.clone(),
            level: self.goal.level.clone(),
            scale: self.goal.scale.clone(),
            run: now.run,
            vnfcs,
            links: self.p.links.clone().into_iter().collect(),
            own_segments: Vec::new(),
            ext_cps: self.ext.values().cloned().collect(),
            params: ask.params.clone(),
            ssh_keys: ask.ssh_keys.clone(),
        };
        let stays: BTreeSet<PortId> = set(body.ports().map(|p| p.id));
        body.ext_cps.iter_mut().for_each(|e| e.ports.retain(|p| stays.contains(p)));
        // One that it was not on is there for a NIC that is on none.
        let stays = |s: &&SegmentId| body.is_on(**s) || !now.is_on(**s);
        body.own_segments = now.own_segments.iter().filter(stays).chain(&self.p.own).copied().collect();
        body
    }

    /// The last step, where anything is left over.
    fn shed(&mut self, body: &Body, gone: &[&Vnfc], fabric: &Fabric<'_>) -> Result<()> {
        let whole = |c: &Vnfc| Gone {
            vnfc: c.id,
            vdu: c.vdu.clone(),
            index: c.index,
            whole: true,
            ports: c.ports.iter().map(|p| (p.id, p.ifname.clone())).collect(),
            disks: c.disks.iter().map(|d| (d.id, d.storage.clone())).collect(),
            medium: c.medium,
            given: self.held(c.id).map(|h| h.given.clone()).unwrap_or_default(),
        };
        let mut all: Vec<Gone> = gone.iter().map(|c| whole(c)).collect();
        for was in &self.now.body.vnfcs {
            let Some(is) = body.vnfc(was.id) else { continue };
            let ports = was.ports.iter().filter(|p| is.ports.iter().all(|q| q.id != p.id));
            let disks = was.disks.iter().filter(|d| is.disks.iter().all(|e| e.id != d.id));
            let part = Gone {
                whole: false,
                ports: ports.map(|p| (p.id, p.ifname.clone())).collect(),
                disks: disks.map(|d| (d.id, d.storage.clone())).collect(),
                medium: was.medium && !is.medium,
                given: Vec::new(),
                ..whole(was)
            };
            if !part.ports.is_empty() || !part.disks.is_empty() || part.medium {
                all.push(part);
            }
        }
        let left = self.now.body.own_segments.iter().filter(|s| !body.own_segments.contains(s));
        let name = |s: SegmentId| self.now.body.links.iter().find(|(_, id)| *id == s).map(|(l, _)| l.clone()).unwrap_or_default();
        let links: Vec<(SegmentId, SmolStr)> = left.map(|s| (*s, name(*s))).collect();
        for (id, link) in &links {
            let on = fabric.stations.get(id).map(|s| &s.segment().stations);
            if let Some(other) = on.into_iter().flatten().find(|st| st.vnf != self.p.ask.instance.id) {
                return Err(Fault::conflict(format!(
                    "link {link} ({id}) is not in flavour {}, and VNF {} is on it: take that off first (change_ext_conn)",
                    self.p.ask.flavour.id, other.vnf
                )));
            }
        }
        if !all.is_empty() || !links.is_empty() {
            self.p.steps.vnf(VnfStep::Shed(Box::new(Shed { gone: all, links })), &[]);
        }
        Ok(())
    }

    fn remade(self, body: Body) -> Remade {
        let (ask, now) = (self.p.ask, self.now);
        let (vnf, project) = (ask.instance.id, ask.instance.project);
        let stays = |h: &&Held| body.vnfc(h.guest).is_some() && !self.freed.contains(&h.guest);
        let placed: Vec<Held> = now.reserved.placed.iter().filter(stays).cloned().collect();
        let guests: Vec<&Vnfc> = body.vnfcs.iter().collect();
        let all = reservation(vnf, project, &guests, placed);
        let both = union(now.body, &body);
        let disk = reservation(vnf, project, &both.vnfcs.iter().collect::<Vec<_>>(), Vec::new()).disk;
        let more = |after: MiB, before: MiB| MiB(after.0.saturating_sub(before.0));
        let need = Need {
            what: format!("VNF {}", ask.instance.name),
            vcpus: all.vcpus.saturating_sub(now.reserved.vcpus),
            memory: more(all.memory, now.reserved.memory),
            disk: more(disk, now.reserved.disk),
        };
        let gross = |body: &Body| reservation(vnf, project, &body.vnfcs.iter().collect::<Vec<_>>(), Vec::new());
        let (after, before) = (gross(&body), gross(now.body));
        let asked = Reservation {
            vcpus: after.vcpus.saturating_sub(before.vcpus),
            memory: more(after.memory, before.memory),
            disk: need.disk,
            ..after
        };
        let whole = whole(0, &asked, &self.p.wishful);
        let plan = VnfPlan {
            steps: self.p.steps.into_vec(),
            reservation: all,
            need,
            whole,
            warnings: self.p.warnings,
            wishful: self.p.wishful,
            body,
        };
        Remade { plan, freed: self.freed }
    }
}

/// Once its steps have their numbers: whatever starts comes after all that stop, and what is left over goes last.
pub fn in_order(steps: &mut [PlanStep]) {
    let of = |wanted: fn(&VnfStep) -> bool, s: &&PlanStep| matches!(&s.step, Step::Vnf(v) if wanted(v));
    let stops: Vec<u32> = steps.iter().filter(|s| of(|v| matches!(v, VnfStep::Stop { .. }), s)).map(|s| s.index).collect();
    for s in steps.iter_mut() {
        if matches!(s.step, Step::Vnf(VnfStep::Start(_))) {
            s.after.extend(&stops);
        }
        if s.step.effect() == Effect::Sheds {
            s.after = (0..s.index).collect();
        }
        s.after.order();
        s.after.dedup();
    }
}
