//! Why a resource is where it is: whose it is, what made it, and under which names it is on the host.

mod link;

use axum::extract::State;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    access::{Caller, manage::Thing},
    api::{
        Ctx,
        convert::time,
        extract::Id,
        problem::Answer,
        respond::{Json, NoQuery},
        who::View,
    },
    lcm::timeline::{all_operations, plan_of},
    model::{
        access::{Action, Permission, Resource},
        central::GrantAsk,
        domain::Layout,
        error::{Fault, Result},
        hw::CpuSet,
        id::{NsId, OpId, SegmentId, VnfId},
        ns::NsInstance,
        op::{OpKind, Operation, Target},
        place::Held,
        segment::{Segment, SegmentOwner},
        step::{Step, VnfStep},
        vnf::{Reservation, VnfInstance, Vnfc},
    },
    store::Store,
    vim::{network::LinkRules, place::float::Float},
};
use link::said;

/// What makes something else of a VNF that is there.
const REMADE: &[OpKind] = &[OpKind::ChangeFlavour, OpKind::ChangePackage];

#[derive(Serialize)]
pub struct Explanation {
    id: String,
    kind: &'static str,
    text: String,
    /// Oldest first.
    because: Vec<String>,
}

pub async fn explain(State(s): Ctx, Id(id): Id<Uuid>, _: NoQuery) -> Answer<Json<Explanation>> {
    Ok(Json(s.domain(move |n| Records::read(n)?.explain(id)).await?))
}

struct Records<'a> {
    store: &'a Store,
    layout: &'a Layout,
    rules: LinkRules,
    who: &'a Caller,
    /// He reads services.
    services: bool,
    vnfs: Vec<VnfInstance>,
    ops: Vec<Operation>,
    segments: Vec<Segment>,
    /// Where guests float, as far as the hardware can be told.
    float: Option<Float>,
}

impl<'a> Records<'a> {
    /// What the caller sees; the rest is as if it were not there.
    fn read(view: &'a View) -> Result<Self> {
        let (store, who) = (view.vnfm().store(), view.caller());
        // An NFVO has its own, beside what another of its roles may read.
        let own = |thing| who.every_project || who.check_own(store, thing, Action::Read).is_ok();
        let services = !who.nfvo || who.permissions.has(Permission { resource: Resource::Ns, action: Action::Read });
        let (mut ops, mut segments): (Vec<Operation>, Vec<Segment>) = (who.seen(all_operations(store)?), who.seen(store.list()?));
        ops.retain(|o| own(Thing::Operation(o.id)));
        segments.retain(|s| match s.owner {
            SegmentOwner::Vnf(id) => own(Thing::Vnf(id)),
            SegmentOwner::Ns(_) => services,
        });
        Ok(Records {
            services,
            store,
            layout: view.vnfm().layout(),
            rules: view.vnfm().rules().links,
            who,
            vnfs: who.seen(store.list()?),
            ops,
            segments,
            float: view.vnfm().float()?,
        })
    }

    fn explain(&self, id: Uuid) -> Result<Explanation> {
        let say = |kind, text: String, because| Ok(Explanation { id: id.to_string(), kind, text, because });
        if let Some(op) = self.ops.iter().find(|o| o.id == OpId(id)) {
            return say("operation", format!("{}, {}", op.label(), op.state.name()), self.operation(op)?);
        }
        if let Some(ns) = self.store.get::<NsInstance>(&NsId(id))?.filter(|ns| self.services && self.who.sees(ns.project)) {
            return say("network service", format!("{} of NSD {}", ns.name, ns.nsd_id), self.ns(&ns));
        }
        if let Some(v) = self.vnfs.iter().find(|v| v.id == VnfId(id)) {
            return say("VNF", format!("{} ({} {})", v.name, v.product_name, v.software_version), self.vnf(v)?);
        }
        if let Some(s) = self.segments.iter().find(|s| s.id == SegmentId(id)) {
            return say("virtual link", format!("{} is VLAN {} on the switch", s.link, s.vlan), self.segment(s)?);
        }
        for v in &self.vnfs {
            for c in v.body.iter().flat_map(|b| &b.vnfcs) {
                if c.id.0 == id {
                    return say(
                        "guest",
                        format!("{}/{} of VNF {}, domain {}", c.vdu, c.index, v.name, c.id.domain_name()),
                        self.guest(v, c)?,
                    );
                }
                if let Some(p) = c.ports.iter().find(|p| p.id.0 == id) {
                    let mut why = self.guest(v, c)?;
                    why.extend(self.planned(
                        v,
                        "the port",
                        |s| matches!(s, VnfStep::Define(g) if g.nics.iter().any(|n| n.port == p.id)),
                    )?);
                    why.extend(self.addressed(v, c, p)?);
                    let what = if p.is_nic() { "NIC" } else { "tagged network" };
                    return say("port", format!("{what} {} of {}/{} of VNF {}", p.cp, c.vdu, c.index, v.name), why);
                }
                if let Some(d) = c.disks.iter().find(|d| d.id.0 == id) {
                    let mut why = self.guest(v, c)?;
                    why.extend(self.planned(v, "the disk", |s| matches!(s, VnfStep::Disk(made) if made.id == d.id))?);
                    let grew = self.last(v, REMADE, |s| matches!(s, VnfStep::Grow { disk, .. } if *disk == d.id))?;
                    why.extend(grew.map(|op| format!("{} let it grow to what is asked for since", said(op))));
                    why.push(format!("its file is {}, of {} at most", self.layout.disk(d.id), d.size));
                    why.extend(d.base.map(|(sha, _)| format!("it lies over the base image {}", self.layout.image(&sha))));
                    return say("disk", format!("{} of {}/{} of VNF {}", d.storage, c.vdu, c.index, v.name), why);
                }
            }
        }
        Err(Fault::not_found(format!("no operation, network service, VNF, guest, port, disk or virtual link has the id {id}")))
    }

    fn made_by(&self, what: &str, target: Target) -> Option<String> {
        let op = self.ops.iter().rev().find(|o| o.target == target && o.kind == OpKind::Instantiate)?;
        Some(format!("{what} was planned when operation {} ({}) was accepted, {}", op.id, op.state.name(), time(op.created)))
    }

    /// The operation whose plan makes a thing of a VNF: it was instantiated with it, scaled, healed or brought to another flavour or package.
    fn planned(&self, v: &VnfInstance, what: &str, makes: impl Fn(&VnfStep) -> bool) -> Result<Option<String>> {
        let adds =
            |k: &OpKind| matches!(k, OpKind::Instantiate | OpKind::Scale | OpKind::ScaleToLevel | OpKind::Heal) || REMADE.contains(k);
        for op in self.ops.iter().filter(|o| o.target == Target::Vnf(v.id) && adds(&o.kind)) {
            if plan_of(self.store, op.id)?.iter().any(|s| matches!(&s.step, Step::Vnf(s) if makes(s))) {
                return Ok(Some(format!("{what} was planned when {} was accepted, {}", said(op), time(op.created))));
            }
        }
        Ok(None)
    }

    fn held(op: Option<OpId>) -> Option<String> {
        op.map(|op| format!("operation {op} holds it now"))
    }

    fn operation(&self, op: &Operation) -> Result<Vec<String>> {
        let mut why = Vec::new();
        if let Some(parent) = op.parent {
            why.push(format!("it is a part of operation {parent}"));
        }
        let by = if op.automatic { "by Bothy itself" } else { "by a request" };
        why.push(format!("it was begun {by}, {}", time(op.created)));
        match op.target {
            Target::Ns(id) => why.push(format!("it acts on NS instance {id}")),
            Target::Vnf(id) => why.push(format!("it acts on VNF instance {id}")),
            Target::Pf(pf) => why.push(format!("it acts on physical function {pf} and the guests that have functions of it")),
        }
        why.push(format!("its plan has {} steps; it has been {} since {}", op.steps, op.state.name(), time(op.state_entered)));
        let grant = self.store.get::<GrantAsk>(&op.id)?.map_or_else(|| self.store.get_history(&op.id), |g| Ok(Some(g)))?;
        why.extend(grant.as_ref().map(GrantAsk::says));
        why.extend(op.error.iter().map(|e| Fault::from(e.clone()).detail()));
        Ok(why)
    }

    fn ns(&self, ns: &NsInstance) -> Vec<String> {
        let mut why = vec![format!("it was created from NSD {} (record {}), {}", ns.nsd_id, ns.nsd_info, time(ns.created))];
        why.extend(self.made_by("it", Target::Ns(ns.id)));
        why.extend(ns.members.iter().map(|m| format!("profile {} is VNF instance {}", m.profile, m.vnf)));
        why.extend(ns.links.iter().map(|(l, s)| format!("link {l} is segment {s}")));
        why.extend(Self::held(ns.op));
        why
    }

    fn vnf(&self, v: &VnfInstance) -> Result<Vec<String>> {
        let mut why = Vec::new();
        if let Some(ns) = v.ns {
            why.push(format!("it is a member of NS instance {ns}, and goes with it"));
        }
        why.extend(v.owner.iter().map(|o| format!("it belongs to NFVO {}, which made it and grants what is done to it", o.account)));
        why.push(format!("it was created from package {} (VNFD {}), {}", v.package, v.vnfd_id, time(v.created)));
        why.extend(self.made_by("the VNF", Target::Vnf(v.id)));
        let brought = self.last(v, &[OpKind::ChangeFlavour], |_| true)?;
        why.extend(brought.map(|op| format!("{} brought it to its flavour, {}", said(op), time(op.state_entered))));
        let brought = self.last(v, &[OpKind::ChangePackage], |_| true)?;
        why.extend(brought.map(|op| format!("{} brought it to this package, {}", said(op), time(op.state_entered))));
        if let Some(b) = &v.body {
            why.push(format!("flavour {} at level {} means {} guests", b.flavour, b.level, b.vnfcs.len()));
        }
        if let Some(r) = self.store.get::<Reservation>(&v.id)? {
            let shared = if r.placed.is_empty() { "" } else { ", of what guests share," };
            why.push(format!(
                "{} vCPUs, {} of memory (QEMU's own included) and {} of disk{shared} are promised to it",
                r.vcpus, r.memory, r.disk
            ));
        }
        let turn = v.turn();
        why.push(format!(
            "after a reboot of the box it starts with priority {}, as number {} of its service",
            turn.priority,
            turn.rank + 1
        ));
        why.extend(Self::held(v.op));
        Ok(why)
    }

    fn guest(&self, v: &VnfInstance, c: &Vnfc) -> Result<Vec<String>> {
        let mut why = self.vnf(v)?;
        why.extend(self.planned(v, "the guest", |s| matches!(s, VnfStep::Define(g) if g.id == c.id))?);
        why.push(format!("guest {}/{} is libvirt's domain {}, UUID {}", c.vdu, c.index, c.id.domain_name(), c.id));
        let changed = self.last(v, REMADE, |s| matches!(s, VnfStep::Redefine { after, .. } if after.id == c.id))?;
        why.extend(changed.map(|op| format!("{} changed what it is made of, and left it the guest that it was", said(op))));
        why.push(format!("{} vCPUs and {} are what VDU {} asks for", c.vcpus, c.memory, c.vdu));
        let held = self.store.get::<Reservation>(&v.id)?.map(|r| r.placed).unwrap_or_default();
        for h in held.iter().filter(|h| h.guest == c.id) {
            why.push(format!("its wishes for hardware gave it this place: {}", h.at.text()));
            why.extend(h.given.iter().map(|g| format!("it has {}, which goes back to the host with its end", g.label())));
        }
        why.extend(self.floats(&held, c));
        if c.medium {
            why.push(format!("its day-0 medium is {}", self.layout.medium(c.id)));
        }
        why.push(format!("its serial log is {}", self.layout.serial_log(c.id)));
        Ok(why)
    }

    /// Where it runs that has no CPUs of its own: that changes with those that have.
    fn floats(&self, held: &[Held], c: &Vnfc) -> Option<String> {
        let float = self.float.as_ref()?;
        let cpus = match held.iter().find(|h| h.guest == c.id) {
            None => float.anywhere().clone(),
            Some(h) if h.at.is_pinned() => return None,
            Some(h) => float.pins_of(&h.at).vcpus.iter().fold(CpuSet::new(), |all, cpus| all.union(cpus)),
        };
        Some(format!("it floats over CPUs {cpus} now, which no other guest has for itself"))
    }

    fn segment(&self, s: &Segment) -> Result<Vec<String>> {
        let mut why = match s.owner {
            SegmentOwner::Ns(id) => {
                let mut why = vec![format!("it belongs to NS instance {id}, and goes with it")];
                why.extend(self.made_by("it", Target::Ns(id)));
                why
            }
            SegmentOwner::Vnf(id) => {
                let mut why = vec![format!("it belongs to VNF instance {id}, and goes with it")];
                why.extend(self.made_by("it", Target::Vnf(id)));
                why
            }
        };
        why.extend(self.chosen(s, &self.rules)?);
        let through = self.rules.tunnels.iter().find(|t| s.profile.physical.as_ref() == Some(&t.name));
        match (&s.profile.physical, s.profile.segmentation) {
            (Some(_), said) if through.is_some() => why.extend(through.map(|t| {
                format!(
                    "it leads through the tunnel {} ({}) as VNI {}, by port {}; frames of {} bytes and less come through whole",
                    t.name,
                    t.text(),
                    t.key(said).map(|k| k.to_string()).unwrap_or_default(),
                    s.patch_port().as_str(),
                    t.room(s.profile.transparent)
                )
            })),
            (Some(net), Some(tag)) => why.push(format!(
                "it leads to the physical network {net}, VLAN {tag} there as its descriptor says, by port {}",
                s.patch_port().as_str()
            )),
            (Some(net), None) => why.push(format!("it leads to the physical network {net}, untagged, by port {}", s.patch_port().as_str())),
            (None, _) => why.push("it leads to no physical network".into()),
        }
        if s.wants_host_port() {
            let all: Vec<String> = s.host.iter().map(ToString::to_string).collect();
            why.push(format!("the host is on it as {}, with {}", s.host_port().as_str(), all.join(" and ")));
        }
        why.push(format!("{} ports of guests are on it", s.stations.len()));
        Ok(why)
    }
}
