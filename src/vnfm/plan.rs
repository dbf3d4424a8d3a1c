//! Plans of a VNF's operations. Pure: what is scarce or random is decided here, once.
//!
//! ```text
//! instantiate:  Segment* -+                       terminate:  Stop -> RemoveGuest -+-> RemoveDisk*
//!               Attach*  -+-> Define -> Start                                      +-> RemoveMedium
//!   Image -> Disk*       -+      |        `-> Ready                                +-> RemoveSegment*, TakeBack*
//!      Medium, Give*     -+      (per VNFC)       operate:    Start -> Ready | Stop
//! ```
//! Owns the order of steps and the body of the instance. Never: the store, the ports, the clock.

use std::collections::BTreeMap;

use smol_str::{SmolStr, format_smolstr};
use uuid::Uuid;

use super::{
    affinity::one_host,
    parts::Guest,
    place::{Wishful, taken_back},
};
use crate::model::order::Order as _;
use crate::{
    model::{
        domain::{BaseImage, DomainSpec, MediaSpec},
        error::{Fault, Result},
        id::{DiskId, OpId, SegmentId, VnfId, VnfcId},
        package::VnfPackage,
        param::Params,
        place::Held,
        segment::SegmentOwner,
        step::{Effect, PlanStep, Step, VnfStep},
        time::Dice,
        vnf::{Body, ExtCpInst, Port, Reservation, RunState, Stopping, VnfInstance, Vnfc},
        vnfd::{CpLink, ExtCpThrough, Flavour, LinkProfile, Readiness, Vdu},
    },
    sdn::link,
    vim::{
        capacity::{Need, Whole, reservation},
        network::{LinkOf, LinkRules, Stations, Taken, Wish, plan_segment},
    },
};

/// No box has more guests of a kind, or VNFs of a profile: what a descriptor says is not believed
/// beyond this.
pub const MOST: u32 = 4096;

/// A new id of any kind.
pub fn fresh_uuid(dice: &dyn Dice) -> Uuid {
    uuid::Builder::from_random_bytes(dice.bytes16()).into_uuid()
}

/// Collects steps in an order that is already one of execution.
pub struct Steps {
    op: OpId,
    steps: Vec<PlanStep>,
}

impl Steps {
    pub fn new(op: OpId) -> Steps {
        Steps { op, steps: Vec::new() }
    }
    pub fn add(&mut self, step: Step, after: &[u32]) -> u32 {
        let index = self.steps.len() as u32;
        self.steps.push(PlanStep { op: self.op, index, after: after.to_vec(), step });
        index
    }
    pub(super) fn vnf(&mut self, step: VnfStep, after: &[u32]) -> u32 {
        self.add(Step::Vnf(step), after)
    }
    pub fn into_vec(self) -> Vec<PlanStep> {
        self.steps
    }
}

/// Steps with others put before them: `before` may change a step, and names what comes first.
pub fn renumbered(steps: Vec<PlanStep>, mut before: impl FnMut(&mut Step, &mut Vec<VnfStep>)) -> Vec<PlanStep> {
    let mut out: Vec<PlanStep> = Vec::with_capacity(steps.len());
    let mut now = Vec::with_capacity(steps.len());
    for mut s in steps {
        let mut first = Vec::new();
        before(&mut s.step, &mut first);
        let mut after: Vec<u32> = s.after.iter().filter_map(|a| now.get(*a as usize).copied()).collect();
        // What is given here may be what is taken from another before.
        let removes = |i: &&u32| out.get(**i as usize).is_some_and(|o| o.step.effect() == Effect::Removes);
        let freed: Vec<u32> = after.iter().filter(removes).copied().collect();
        for step in first {
            let index = out.len() as u32;
            out.push(PlanStep { op: s.op, index, after: freed.clone(), step: Step::Vnf(step) });
            after.push(index);
        }
        let index = out.len() as u32;
        now.push(index);
        out.push(PlanStep { index, after, ..s });
    }
    out
}

/// Where an external connection point is to be attached.
#[derive(Debug, Clone, Default)]
pub struct Attachment {
    pub segment: Option<SegmentId>,
    pub wish: Wish,
}

/// The links a plan may draw on: those made by this request and those that exist.
pub struct Fabric<'a> {
    pub rules: &'a LinkRules,
    pub taken: &'a mut Taken,
    pub stations: &'a mut BTreeMap<SegmentId, Stations>,
}

/// What is to be instantiated.
pub struct Ask<'a> {
    pub instance: &'a VnfInstance,
    pub package: &'a VnfPackage,
    pub flavour: &'a Flavour,
    pub level: &'a str,
    /// By external connection point of the flavour.
    pub attach: &'a BTreeMap<SmolStr, Attachment>,
    pub params: Params,
    pub ssh_keys: Vec<String>,
    pub op: OpId,
    pub generation: u64,
    /// What a name of the VNF is led by in hostnames: the member's id in a service.
    pub short_name: SmolStr,
    /// Links of its service are up, and do not know the guests that come.
    pub late: bool,
}

#[derive(Debug, Clone)]
pub struct VnfPlan {
    pub body: Body,
    pub steps: Vec<PlanStep>,
    pub reservation: Reservation,
    pub need: Need,
    /// What its project is asked for.
    pub whole: Whole,
    pub warnings: Vec<String>,
    /// Guests that need a place, which is found for a whole request at once.
    pub wishful: Vec<Wishful>,
}

impl VnfPlan {
    /// It asks for guests that have no place and float; to be asked before places are found.
    pub fn roams(&self) -> bool {
        self.need.vcpus > self.wishful.iter().map(|w| w.ask.vcpus() as u32).sum()
    }
    /// Where the guests' wishes and the places found for them disagree.
    pub fn misplaced(&self) -> Vec<String> {
        self.specs().flat_map(|s| s.misplaced().into_iter().map(|why| format!("{}/{}: {why}", s.owner.vnf_name, s.owner.vdu))).collect()
    }
    /// Guests whose CPU time cannot be limited where the host tells no clock.
    pub fn unlimited(&self) -> impl Iterator<Item = String> {
        let limited = |s: &DomainSpec| {
            let mhz = s.epa.quotas.cpu.limit?;
            let host = "this host does not tell the clock of its CPUs (`bothy host facts`)";
            Some(format!("{}/{}/{}: {mhz} MHz are to be its limit, and {host}", s.owner.vnf_name, s.owner.vdu, s.owner.index))
        };
        self.specs().filter_map(limited)
    }
    fn specs(&self) -> impl Iterator<Item = &DomainSpec> {
        self.steps.iter().filter_map(|s| match &s.step {
            Step::Vnf(VnfStep::Define(spec) | VnfStep::Redefine { after: spec, .. }) => Some(&**spec),
            _ => None,
        })
    }
}

/// Plans an instantiation (SOL003 5.4.4).
pub fn instantiate(ask: &Ask<'_>, fabric: &mut Fabric<'_>, dice: &dyn Dice) -> Result<VnfPlan> {
    let f = ask.flavour;
    let level = f.level(ask.level).ok_or_else(|| {
        let known: Vec<_> = f.levels.iter().map(|l| l.id.as_str()).collect();
        Fault::invalid(format!("flavour {} has no instantiation level '{}'; it has {}", f.id, ask.level, known.join(", ")))
    })?;
    let count = |vdu: &Vdu| level.counts.iter().find(|(id, _)| *id == vdu.id).map_or(vdu.min_instances, |(_, n)| *n);
    one_host(f, |id| f.vdu(id).map_or(0, count))?;
    let mut p = Planner::new(ask, dice);
    p.internal_links(fabric)?;
    p.external_links(fabric)?;
    let mut vnfcs = Vec::new();
    let mut ext: BTreeMap<SmolStr, ExtCpInst> = BTreeMap::new();
    let mut faults = Vec::new();
    for vdu in &f.vdus {
        let count = count(vdu);
        if count > MOST {
            faults.push(Fault::invalid(format!("VDU {}: {count} instances are more than a box can have ({MOST})", vdu.id)));
            continue;
        }
        for index in 0..count {
            match p.vnfc(vdu, Made::New { index, count }, fabric, &mut ext) {
                Ok(c) => vnfcs.push(c),
                Err(e) => faults.push(e.context(format!("VDU {}", vdu.id))),
            }
        }
    }
    if faults.is_empty() {
        let own = p.own.iter().filter_map(|id| fabric.stations.get(id));
        for segment in own.map(Stations::segment) {
            faults.extend(link::check(segment).err());
            p.warnings.extend(link::doubt(segment));
        }
    }
    if let Some(first) = faults.first() {
        let kind = first.kind();
        let reasons = faults.iter().map(ToString::to_string);
        return Err(match faults.len() {
            1 => faults.remove(0),
            n => Fault::new(kind, format!("{n} guests or links cannot be planned")).with_reasons(reasons),
        });
    }
    p.expose_rest(&mut ext);
    let reservation = reservation(ask.instance.id, ask.instance.project, &vnfcs.iter().collect::<Vec<_>>(), Vec::new());
    let what = format!("VNF {}", ask.instance.name);
    let body = Body {
        flavour: f.id.clone(),
        level: level.id.clone(),
        scale: level.scale.clone(),
        run: RunState::Started,
        vnfcs,
        links: p.links.into_iter().collect(),
        own_segments: p.own,
        ext_cps: ext.into_values().collect(),
        params: ask.params.clone(),
        ssh_keys: ask.ssh_keys.clone(),
    };
    Ok(VnfPlan {
        body,
        steps: p.steps.into_vec(),
        need: Need { what, vcpus: reservation.vcpus, memory: reservation.memory, disk: reservation.disk },
        whole: whole(1, &reservation, &p.wishful),
        reservation,
        warnings: p.warnings,
        wishful: p.wishful,
    })
}

/// What a project is asked for by a plan that takes so much and wishes for this.
pub(super) fn whole(vnfs: u32, r: &Reservation, wishful: &[Wishful]) -> Whole {
    let vfs = wishful.iter().map(Wishful::vfs).sum();
    Whole { vnfs, vcpus: r.vcpus, memory: r.memory, disk: r.disk, vfs }
}

/// Which guest of a VDU.
pub(super) enum Made<'a> {
    /// Number `index` of so many.
    New { index: u32, count: u32 },
    /// In the place of this one, with its name and addresses, after these steps.
    Again { old: &'a Vnfc, anew: Anew, after: Vec<u32> },
}

/// Which disks of a guest that is made again are made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anew {
    /// Those that stand on an image.
    Roots,
    All,
    None,
}

impl Anew {
    /// A disk of the descriptor stays what it is.
    pub fn keeps(self, on_image: bool) -> bool {
        match self {
            Anew::Roots => !on_image,
            Anew::All => false,
            Anew::None => true,
        }
    }
}

pub(super) struct Planner<'a> {
    pub(super) ask: &'a Ask<'a>,
    pub(super) dice: &'a dyn Dice,
    pub(super) steps: Steps,
    /// Links that are there already; planning adds the flavour's others.
    pub(super) links: BTreeMap<SmolStr, SegmentId>,
    /// Links that this plan makes.
    pub(super) own: Vec<SegmentId>,
    /// External cp -> its segment; as with `links`.
    pub(super) attached: BTreeMap<SmolStr, SegmentId>,
    pub(super) warnings: Vec<String>,
    pub(super) wishful: Vec<Wishful>,
    /// Guests are started, not only defined.
    pub(super) starts: bool,
}

impl<'a> Planner<'a> {
    pub(super) fn new(ask: &'a Ask<'a>, dice: &'a dyn Dice) -> Self {
        Planner {
            ask,
            dice,
            steps: Steps::new(ask.op),
            links: BTreeMap::new(),
            own: Vec::new(),
            attached: BTreeMap::new(),
            warnings: Vec::new(),
            wishful: Vec::new(),
            starts: true,
        }
    }
}

impl Planner<'_> {
    fn own_segment(&mut self, link: &SmolStr, profile: &LinkProfile, fabric: &mut Fabric<'_>) -> Result<SegmentId> {
        let id = SegmentId(fresh_uuid(self.dice));
        let of = LinkOf { id, project: self.ask.instance.project, owner: SegmentOwner::Vnf(self.ask.instance.id), link, profile };
        let segment = plan_segment(of, fabric.rules, fabric.taken)?;
        fabric.stations.insert(id, Stations::new(segment));
        self.own.push(id);
        Ok(id)
    }

    pub(super) fn internal_links(&mut self, fabric: &mut Fabric<'_>) -> Result<()> {
        for link in &self.ask.flavour.links {
            if self.links.contains_key(&link.id) {
                continue;
            }
            // A link that is re-exposed outside is the outside's link.
            let exposed = self.ask.flavour.ext_cps.iter().find(|e| e.through == ExtCpThrough::Link(link.id.clone()));
            let outside = exposed.and_then(|e| self.ask.attach.get(&e.id)).and_then(|a| a.segment);
            let id = match outside {
                Some(id) => id,
                None => self.own_segment(&link.id, &link.profile, fabric)?,
            };
            self.links.insert(link.id.clone(), id);
        }
        Ok(())
    }

    pub(super) fn external_links(&mut self, fabric: &mut Fabric<'_>) -> Result<()> {
        for cp in &self.ask.flavour.ext_cps {
            let ExtCpThrough::VduCp { .. } = cp.through else { continue };
            if self.attached.contains_key(&cp.id) {
                continue;
            }
            let segment = match self.ask.attach.get(&cp.id).and_then(|a| a.segment) {
                Some(id) => id,
                None => {
                    self.warnings.push(format!("external connection point {} is attached to no link; it gets one of its own", cp.id));
                    let profile = LinkProfile { management: cp.management, ..LinkProfile::default() };
                    self.own_segment(&cp.id, &profile, fabric)?
                }
            };
            self.attached.insert(cp.id.clone(), segment);
        }
        Ok(())
    }

    /// The step that brings a segment to the host, once per plan: made by this VNF, or attached to.
    pub(super) fn segment_step(&mut self, id: SegmentId, fabric: &Fabric<'_>) -> Option<u32> {
        let mine = self.own.contains(&id);
        let step = if mine { VnfStep::Segment(id) } else { VnfStep::Attach(id) };
        let existing = self.steps.steps.iter().find(|s| s.step == Step::Vnf(step.clone())).map(|s| s.index);
        if existing.is_some() {
            return existing;
        }
        let segment = fabric.stations.get(&id)?.segment();
        // A link of the service is brought up whole by the service itself.
        let by_service = !mine && !self.ask.late && matches!(segment.owner, SegmentOwner::Ns(ns) if self.ask.instance.ns == Some(ns));
        (!by_service).then(|| self.steps.vnf(step, &[]))
    }

    pub(super) fn vnfc(
        &mut self,
        vdu: &Vdu,
        made: Made<'_>,
        fabric: &mut Fabric<'_>,
        ext: &mut BTreeMap<SmolStr, ExtCpInst>,
    ) -> Result<Vnfc> {
        let id = VnfcId(fresh_uuid(self.dice));
        let (index, hostname, old, anew, mut before) = match made {
            Made::New { index, count } => {
                (index, hostname(&self.ask.short_name, vdu, index, count, self.ask.flavour.vdus.len()), None, Anew::All, Vec::new())
            }
            Made::Again { old, anew, after } => (old.index, old.hostname.clone(), Some(old), anew, after),
        };

        let mut ports = Vec::new();
        for cp in &vdu.nics {
            let had = old.and_then(|o| o.ports.iter().find(|p| p.cp == cp.id));
            let port = match had {
                Some(p) => self.same_port(cp, p, fabric)?,
                None => self.new_port(vdu, cp, index, &hostname, fabric)?,
            };
            before.extend(self.segment_step(port.segment, fabric));
            ports.push(port);
        }
        let had = old.map(|o| o.ports.as_slice()).unwrap_or_default();
        for (place, cp) in vdu.nics.iter().enumerate().filter(|(_, cp)| !cp.subports.is_empty()) {
            // NICs first, in their order.
            let nic = ports[place].clone();
            let subs = self.sub_ports((vdu, cp, &nic), index, &hostname, had, fabric)?;
            for p in &subs {
                before.extend(self.segment_step(p.segment, fabric));
            }
            ports.extend(subs);
        }
        ports.iter().for_each(|p| self.expose(p, ext));

        let mut disks = Vec::new();
        for d in &vdu.disks {
            if let Some(kept) = old.filter(|_| anew.keeps(d.image.is_some())).and_then(|o| o.disks.iter().find(|k| k.storage == d.id)) {
                disks.push(kept.clone());
                continue;
            }
            let (disk, made) = self.new_disk(d)?;
            before.push(made);
            disks.push(disk);
        }

        if let Some(spec) = medium(vdu, id, self.ask.instance.id) {
            before.push(self.steps.vnf(VnfStep::Medium(spec), &[]));
        }
        let vnfc = Vnfc {
            id,
            vdu: vdu.id.clone(),
            index,
            hostname,
            vcpus: vdu.vcpus,
            memory: vdu.memory,
            disks,
            ports,
            medium: vdu.day0.is_some(),
            graceful_stop_s: self.ask.flavour.graceful_stop_s,
        };
        let Guest { spec, wish } = self.guest(self.ask.flavour, vdu, &vnfc, fabric)?;
        self.wishful.extend(wish);
        before.order();
        before.dedup();
        let define = self.steps.vnf(VnfStep::Define(Box::new(spec)), &before);
        if self.starts {
            let start = self.steps.vnf(VnfStep::Start(id), &[define]);
            ready_step(&mut self.steps, id, vdu, &vnfc.ports, start);
        }
        Ok(vnfc)
    }

    pub(super) fn image_step(&mut self, base: BaseImage) -> u32 {
        let step = Step::Vnf(VnfStep::Image(base));
        match self.steps.steps.iter().find(|s| s.step == step) {
            Some(s) => s.index,
            None => self.steps.add(step, &[]),
        }
    }

    /// The segment of a NIC, its external connection point and what is wished there. Fixed
    /// addresses go to the first VNFC only: two guests cannot have them.
    pub(super) fn place(&self, cp: &SmolStr, link: &CpLink, index: u32) -> Result<(SegmentId, Option<SmolStr>, Wish)> {
        match link {
            CpLink::Internal(link) => {
                let id = *self.links.get(link).ok_or_else(|| Fault::invalid(format!("NIC {cp}: there is no internal link {link}")))?;
                Ok((id, None, Wish::default()))
            }
            CpLink::External(e) => {
                let id =
                    *self.attached.get(e).ok_or_else(|| Fault::invalid(format!("NIC {cp}: there is no external connection point {e}")))?;
                let wish = if index == 0 { self.ask.attach.get(e).map(|a| a.wish.clone()).unwrap_or_default() } else { Wish::default() };
                Ok((id, Some(e.clone()), wish))
            }
        }
    }
}

/// The day-0 medium of a guest, where its VDU has one.
pub(super) fn medium(vdu: &Vdu, vnfc: VnfcId, vnf: VnfId) -> Option<MediaSpec> {
    vdu.day0.as_ref().map(|d| MediaSpec { vnfc, vnf, medium: d.medium, label: d.label.clone() })
}

pub(super) fn ready_step(steps: &mut Steps, id: VnfcId, vdu: &Vdu, ports: &[Port], after: u32) {
    match vdu.readiness {
        // What `Start` ensures.
        Readiness::Running => {}
        Readiness::Agent | Readiness::Serial(_) | Readiness::Tcp(_) => {
            let addresses = ports.iter().flat_map(|p| p.addresses.iter().copied()).collect();
            steps.vnf(VnfStep::Ready { vnfc: id, rule: vdu.readiness.clone(), grace_s: vdu.boot_grace_s, addresses }, &[after]);
        }
    }
}

/// A name a guest can have (RFC 1123): member or VNF, then VDU and number where there is more than one.
fn hostname(short: &SmolStr, vdu: &Vdu, index: u32, count: u32, vdus: usize) -> SmolStr {
    let mut name = short.to_string();
    if vdus > 1 {
        name = format!("{name}-{}", vdu.id);
    }
    if count > 1 {
        name = format!("{name}-{index}");
    }
    let clean: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let clean = clean.trim_matches('-');
    let cut: String = clean.chars().take(63).collect();
    if cut.is_empty() { SmolStr::new("guest") } else { format_smolstr!("{}", cut.trim_matches('-')) }
}

/// Plans a termination (SOL003 5.4.8): everything the body names goes, whether it is there or not.
/// `held`: what its guests were given.
pub fn terminate(body: &Body, held: &[Held], op: OpId, stopping: Stopping) -> Vec<PlanStep> {
    let mut steps = Steps::new(op);
    let mut gone = Vec::new();
    for c in &body.vnfcs {
        gone.push(remove(&mut steps, c, held, stopping, &[])[0]);
    }
    for s in &body.own_segments {
        steps.vnf(VnfStep::RemoveSegment(*s), &gone);
    }
    steps.into_vec()
}

/// A guest goes, and all it had but these disks. Returns the step that removes it, and then those that
/// must be over before another may have its functions.
pub(super) fn remove(steps: &mut Steps, c: &Vnfc, held: &[Held], stopping: Stopping, kept: &[DiskId]) -> Vec<u32> {
    let graceful_s = stopping.seconds(c.graceful_stop_s);
    let stop = steps.vnf(VnfStep::Stop { vnfc: c.id, graceful_s }, &[]);
    let removed = steps.vnf(VnfStep::RemoveGuest(c.id), &[stop]);
    let mut freed = vec![removed];
    for step in taken_back(held, c.id) {
        freed.push(steps.vnf(step, &[removed]));
    }
    for d in c.disks.iter().filter(|d| !kept.contains(&d.id)) {
        steps.vnf(VnfStep::RemoveDisk(d.id), &[removed]);
    }
    if c.medium {
        steps.vnf(VnfStep::RemoveMedium(c.id), &[removed]);
    }
    freed
}
