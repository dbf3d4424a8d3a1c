//! Grants for VNFs of foreign VNFMs (SOL003 9): whether this box has room for what their operations add, and
//! the project leave to take it; by the sums that its own requests are judged by.
//!
//! What is granted is held until an hour or so is over (`lcm.grant_hold_s`) or the VNF's termination is granted, for how the
//! operation ends is told to nobody here; save for VNFs of this box's services (`vnfm::abroad`). Never: where on the host, wire forms.

use smol_str::SmolStr;
use tracing::{info, warn};
use uuid::Uuid;

use super::Nfvo;
use crate::model::order::Order as _;
use crate::{
    model::{
        abroad::ForeignVnf,
        error::{Fault, Kind, Result},
        grant::{AskedIds, Decision, GivenGrant, Promised, Resource, ResourceKind, Wanting},
        id::{ProjectId, VnfId},
        size::MiB,
        time::Stamp,
        vnf::{Facts, VnfInstance},
        vnfd::{Flavour, Vnfd},
    },
    store::Durability,
    vim::capacity::{Need, Whole, check, qemu_overhead},
    vnfm::{
        accept::{retrying, vnfd_of},
        grant::{Snapshot, check_quota, claim_facts},
        plan::fresh_uuid,
    },
};

/// A grant outlives what it holds by so long, to be read.
const KEPT_MS: u64 = 24 * 3600 * 1000;

/// Requests of one VNFM that wait for an answer: each is a record, with all that was sent.
const OPEN_EACH: usize = 64;

/// A request for a grant, checked for form only.
#[derive(Debug, Clone)]
pub struct AskGrant {
    pub project: ProjectId,
    pub vnfm: SmolStr,
    pub vnf: SmolStr,
    pub op: SmolStr,
    /// Whose templates the new resources are of.
    pub vnfd_id: SmolStr,
    pub flavour: Option<SmolStr>,
    /// In place of `add`.
    pub level: Option<SmolStr>,
    /// The VNF ends with it.
    pub ends: bool,
    pub add: Vec<Resource>,
    pub temp: Vec<Resource>,
    pub remove: Vec<Resource>,
    pub asked: AskedIds,
    /// Constraints that no single host can keep.
    pub apart: Vec<String>,
    pub links: (String, String),
    pub request: String,
}

impl Nfvo {
    /// Decides; the same operation asked for again has the same answer. `hold_s`: how long it is kept free.
    pub fn give_grant(&self, ask: &AskGrant, hold_s: u64) -> Result<GivenGrant> {
        let given = retrying(|| self.decide(ask, hold_s))?;
        let decided = match &given.decision {
            Decision::Open => "open",
            Decision::Granted(_) | Decision::Weighed { .. } => "granted",
            Decision::Refused(_) => "refused",
        };
        info!(grant = %given.id, vnf = %given.vnf, op = %given.op, vnfm = %given.vnfm, decided, "a foreign VNFM asked for a grant");
        if ask.ends {
            self.tell_room();
        }
        self.tell_capacity();
        Ok(given)
    }

    /// Whoever was refused for want of room or quota is told where there is enough now (SOL003 11). Cheap while nobody was.
    pub fn tell_room(&self) {
        match self.find_room() {
            Ok(0) => {}
            Ok(told) => info!(told, "there is room for what foreign VNFMs were refused"),
            // The box cannot tell what it has: the next look asks again.
            Err(fault) if fault.kind() == Kind::Transient => {}
            Err(fault) => warn!("whether there is room for what was refused is not known: {fault:?}"),
        }
    }

    fn find_room(&self) -> Result<usize> {
        let store = &self.vnfm.store;
        let all = store.list::<Wanting>()?;
        if all.is_empty() {
            return Ok(0);
        }
        let (now, snap) = (self.vnfm.clock.now(), self.vnfm.snapshot()?);
        let is_old = |w: &Wanting| w.refused.0.saturating_add(KEPT_MS) < now.0;
        let mut over = Vec::new();
        for w in all {
            if is_old(&w) {
                over.push((w, false));
            } else if self.has_room(w.project, &format!("VNF {}", w.vnf), w.need, &snap).is_ok() {
                over.push((w, true));
            }
        }
        store.write(Durability::Soon, |tx| {
            for (w, fits) in &over {
                // It may have been asked for again meanwhile.
                if *fits && tx.exists::<Wanting>(&w.grant)? {
                    tx.put(&Wanting { free: Some(now), ..w.clone() })?;
                }
                tx.delete::<Wanting>(&w.grant)?;
            }
            Ok(())
        })?;
        Ok(over.iter().filter(|(_, fits)| *fits).count())
    }

    fn has_room(&self, project: ProjectId, what: &str, p: Promised, snap: &Snapshot) -> Result<()> {
        let whole = Whole { vnfs: 0, vcpus: p.vcpus, memory: p.memory, disk: p.disk, vfs: 0 };
        check_quota(self.vnfm.store.get(&project)?, snap.used(project), &[whole])?;
        check(snap.account, &[Need { what: what.into(), vcpus: p.vcpus, memory: p.memory, disk: p.disk }]).map(drop)
    }

    pub fn given_grant(&self, id: Uuid) -> Result<GivenGrant> {
        self.vnfm.store.get(&id)?.ok_or_else(|| Fault::not_found(format!("there is no grant {id}")))
    }

    fn decide(&self, ask: &AskGrant, hold_s: u64) -> Result<GivenGrant> {
        let (store, now) = (&self.vnfm.store, self.vnfm.clock.now());
        // The revision first: what is read after it can only be newer. Each decision claims it, whatever it is, so
        // that of two requests for one operation the second finds the grant of the first.
        let facts = store.get::<Facts>(&())?.unwrap_or_default();
        let all = store.list::<GivenGrant>()?;
        let before = all.iter().find(|g| g.project == ask.project && g.vnfm == ask.vnfm && g.op == ask.op);
        if let Some(g) = before.filter(|g| g.decision != Decision::Open) {
            return Ok(g.clone());
        }
        let open = all.iter().filter(|g| g.project == ask.project && g.vnfm == ask.vnfm && g.decision == Decision::Open).count();
        if before.is_none() && open >= OPEN_EACH {
            return Err(Fault::transient(format!("{open} grants of {} are open: read those until they are decided", ask.vnfm)));
        }
        let of_vnf = |g: &&GivenGrant| g.project == ask.project && g.vnfm == ask.vnfm && g.vnf == ask.vnf;
        let flavour = ask.flavour.clone().or_else(|| all.iter().filter(of_vnf).max_by_key(|g| g.created).and_then(|g| g.flavour.clone()));
        let mut short = None;
        let decided = self.vnfm.snapshot().and_then(|snap| {
            let need = self.need_of(ask, flavour.as_ref())?;
            let takes = need.more.plus(need.temp).minus(need.less);
            short = Some(takes);
            self.has_room(ask.project, &format!("VNF {}", ask.vnf), takes, &snap)?;
            short = None;
            Ok(Decision::Weighed { takes, more: need.more, less: need.less })
        });
        let decision = match decided {
            Ok(decision) => decision,
            Err(f) => match f.kind() {
                Kind::Transient => Decision::Open,
                Kind::Bug => return Err(f),
                Kind::Invalid | Kind::NotFound | Kind::Conflict | Kind::Capacity | Kind::Forbidden | Kind::Stale => {
                    Decision::Refused(f.record())
                }
            },
        };
        let given = GivenGrant {
            id: before.map_or_else(|| fresh_uuid(&*self.vnfm.dice), |g| g.id),
            project: ask.project,
            vnfm: ask.vnfm.clone(),
            vnf: ask.vnf.clone(),
            op: ask.op.clone(),
            flavour,
            links: ask.links.clone(),
            request: if decision == Decision::Open { ask.request.clone() } else { String::new() },
            asked: ask.asked.clone(),
            decision,
            created: before.map_or(now, |g| g.created),
            until: Stamp(now.0.saturating_add(hold_s.saturating_mul(1000))),
        };
        // How it ends for a member of a service this box will know (`vnfm::abroad`): until then it has what it has.
        let is_member = |f: &ForeignVnf| f.vnfm == ask.vnfm && f.remote.as_ref() == Some(&ask.vnf);
        let ends = ask.ends && given.decision.takes().is_some() && !store.list::<ForeignVnf>()?.iter().any(is_member);
        let over: Vec<GivenGrant> = all
            .iter()
            .filter(of_vnf)
            .filter(|g| ends && g.id != given.id && now < g.until)
            .map(|g| GivenGrant { until: now, ..g.clone() })
            .collect();
        // Of each VNF what was asked for last counts, and of each VNFM so many VNFs.
        let mut his: Vec<Wanting> =
            store.list::<Wanting>()?.into_iter().filter(|w| w.project == ask.project && w.vnfm == ask.vnfm).collect();
        his.order_by_key(|w| std::cmp::Reverse(w.refused));
        let moot: Vec<Uuid> =
            his.iter().enumerate().filter(|(n, w)| w.vnf == ask.vnf || *n + 1 >= OPEN_EACH).map(|(_, w)| w.grant).collect();
        let wanting = short.filter(|_| matches!(given.decision, Decision::Refused(_))).map(|need| Wanting {
            grant: given.id,
            project: given.project,
            vnfm: given.vnfm.clone(),
            vnf: given.vnf.clone(),
            need,
            refused: now,
            free: None,
        });
        let old: Vec<Uuid> = all.iter().filter(|g| g.until.0.saturating_add(KEPT_MS) < now.0).map(|g| g.id).collect();
        store.write(Durability::Barrier, |tx| {
            claim_facts(tx, facts)?;
            old.iter().try_for_each(|id| tx.delete::<GivenGrant>(id).map(|_| ()))?;
            over.iter().try_for_each(|g| tx.put(g))?;
            moot.iter().try_for_each(|id| tx.delete::<Wanting>(id).map(|_| ()))?;
            wanting.iter().try_for_each(|w| tx.put(w))?;
            tx.put(&given)
        })?;
        Ok(given)
    }

    /// What the operation takes and gives back; or why it cannot be granted at all.
    fn need_of(&self, ask: &AskGrant, flavour: Option<&SmolStr>) -> Result<Asks> {
        if let Ok(id) = ask.vnf.parse::<VnfId>()
            && self.vnfm.store.get::<VnfInstance>(&id)?.is_some()
        {
            return Err(Fault::forbidden(format!("VNF instance {id} is of this box's own VNFM, and granted here without being asked for")));
        }
        if !ask.apart.is_empty() {
            return Err(Fault::capacity("this NFVO has one host").with_reasons(ask.apart.clone()));
        }
        // What ends or gives back takes nothing, and may be of a package that is gone here: then nothing is set off.
        let takes_nothing = ask.add.is_empty() && ask.temp.is_empty() && ask.level.is_none();
        let package = self.vnfm.package_of(ask.project, &ask.vnfd_id);
        if takes_nothing && (ask.ends || package.is_err()) {
            return Ok(Asks::default());
        }
        let package = package?;
        let vnfd = vnfd_of(&package)?;
        let (mut wrong, mut need) = (Vec::new(), Asks::default());
        for (all, sum) in [(&ask.add, &mut need.more), (&ask.temp, &mut need.temp)] {
            for r in all {
                size_of(vnfd, flavour, r).map_or_else(|why| wrong.push(why), |p| *sum = sum.plus(p));
            }
        }
        // What goes may be of another flavour, or of the package before: then nothing is set off.
        for p in ask.remove.iter().filter_map(|r| size_of(vnfd, flavour, r).ok()) {
            need.less = need.less.plus(p);
        }
        if let Some(level) = &ask.level {
            let of = flavour.and_then(|f| vnfd.flavour(f)).and_then(|f| f.level(level).map(|l| (f, l)));
            let (f, l) =
                of.ok_or_else(|| Fault::invalid(format!("VNFD {} has no instantiation level '{level}' in that flavour", vnfd.id)))?;
            for (vdu, n) in l.counts.iter().filter_map(|(id, n)| f.vdu(id).map(|v| (v, *n))) {
                let disk = vdu.disks.iter().fold(MiB(0), |m, d| m.plus(d.size));
                let one = Promised { vcpus: vdu.vcpus, memory: vdu.memory.plus(qemu_overhead(vdu.memory)), disk };
                (0..n).for_each(|_| need.more = need.more.plus(one));
            }
        }
        if !wrong.is_empty() {
            return Err(Fault::invalid(format!("VNFD {} does not have what the request is to add", vnfd.id)).with_reasons(wrong));
        }
        Ok(need)
    }
}

/// What an operation is to have. `temp`: only while it is under way.
#[derive(Default)]
struct Asks {
    more: Promised,
    temp: Promised,
    less: Promised,
}

/// What one resource takes; links and their ports take nothing of what is counted.
fn size_of(vnfd: &Vnfd, flavour: Option<&SmolStr>, r: &Resource) -> Result<Promised, String> {
    let mut flavours: Vec<&Flavour> = vnfd.flavours.iter().filter(|f| flavour.is_none_or(|id| f.id == *id)).collect();
    if flavours.is_empty() {
        flavours.extend(&vnfd.flavours);
    }
    match r.kind {
        ResourceKind::Compute => {
            let id = r.vdu.as_ref().unwrap_or(&r.template);
            let vdu = flavours.iter().find_map(|f| f.vdu(id)).ok_or_else(|| format!("{}: there is no VDU '{id}'", r.id))?;
            Ok(Promised { vcpus: vdu.vcpus, memory: vdu.memory.plus(qemu_overhead(vdu.memory)), disk: MiB(0) })
        }
        ResourceKind::Storage => {
            let disk = flavours.iter().flat_map(|f| &f.vdus).flat_map(|v| &v.disks).find(|d| d.id == r.template);
            let disk = disk.ok_or_else(|| format!("{}: there is no storage '{}'", r.id, r.template))?;
            Ok(Promised { disk: disk.size, ..Promised::default() })
        }
        ResourceKind::Link | ResourceKind::LinkPort => Ok(Promised::default()),
    }
}
