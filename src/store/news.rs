//! Which changes of records are news: said once, where records are written, so that no writer can
//! forget it.
//!
//! A transaction that changes such a record writes the event with it, while there is anybody to hear of
//! it. Owns: what of the old and the new record makes an event. Never: who hears of it.

use smol_str::SmolStr;
use uuid::Uuid;

use super::{layout, record::Record, tables::Table, tx::Tx};
use crate::model::{
    alarm::{Alarm, AlarmList, Object},
    capacity::{CapacityCrossing, CapacityNews, CapacityThreshold},
    error::Result,
    event::{About, CatalogueNews, Event, News, OpNews, PartNews},
    grant::Wanting,
    id::{NsId, ProjectId, VnfId},
    indicator::{IndicatorNews, VnfIndicators},
    ns::NsInstance,
    op::{NsOpState, OpKind, OpState, Operation, Target, VnfOpState},
    package::{NsDescriptor, Onboarding, Operational, PnfDescriptor, VnfPackage},
    pm::{ObjectType, PmJob, PmNews, PmReport, Threshold},
    subscription::EventCount,
    time::Stamp,
    vnf::VnfInstance,
};

/// What happened, and when.
pub struct Told {
    pub project: ProjectId,
    pub at: Option<Stamp>,
    pub news: News,
    pub about: About,
}

impl Tx<'_> {
    /// Writes the events of a change; `before` and `after` are the record, where there is one.
    pub(super) fn tell<R: Record>(&mut self, before: Option<&R>, after: Option<&R>) -> Result<()> {
        for told in R::news(before, after, self)? {
            let mut count = self.get::<EventCount>(&EventCount::KEY)?.unwrap_or_default();
            count.last += 1;
            self.put(&Event { sequence: count.last, project: told.project, at: told.at, news: told.news, about: told.about })?;
            self.put(&count)?;
            self.told = count.last;
        }
        Ok(())
    }

    /// Whether anybody has subscribed to anything.
    pub(super) fn has_listeners(&self) -> Result<bool> {
        self.count_of(layout::tally_key(Table::Subscription.tag())).map(|n| n > 0)
    }
}

pub(super) fn of_operation(before: Option<&Operation>, after: Option<&Operation>, tx: &Tx<'_>) -> Result<Vec<Told>> {
    let Some(now) = after else { return Ok(Vec::new()) };
    if before.is_some_and(|b| b.state == now.state && b.sequence == now.sequence) {
        return Ok(Vec::new());
    }
    let vnf = if let Target::Vnf(id) = now.target { tx.get::<VnfInstance>(&id)? } else { None };
    let about = match now.target {
        Target::Pf(_) => return Ok(Vec::new()),
        Target::Vnf(id) => vnf.as_ref().map(of_vnf).unwrap_or(About { id: id.0, ..About::default() }),
        Target::Ns(id) => match tx.get::<NsInstance>(&id)? {
            Some(ns) => of_ns(&ns, tx)?,
            None => About { id: id.0, ..About::default() },
        },
    };
    let entered = |state| Told {
        project: now.project,
        at: Some(now.state_entered),
        news: News::Op(OpNews {
            op: now.id,
            target: now.target,
            kind: now.kind,
            state,
            sequence: now.sequence,
            automatic: now.automatic,
            error: now.error.clone(),
        }),
        about: about.clone(),
    };
    let mut told: Vec<Told> = before.map_or_else(|| passed(now), |_| &[]).iter().copied().map(entered).collect();
    told.push(entered(now.state));
    told.extend(of_part(before, now, vnf.as_ref(), tx)?);
    Ok(told)
}

/// What an operation has gone through in the transaction that took it (SOL003 5.6.2.2, SOL005 6.6.2.2): nobody hears of an end
/// without its begin.
fn passed(op: &Operation) -> &'static [OpState] {
    const STARTING: OpState = OpState::Vnf(VnfOpState::Starting);
    const PROCESSING: OpState = OpState::Vnf(VnfOpState::Processing);
    match op.state {
        OpState::Vnf(VnfOpState::Starting) | OpState::Ns(NsOpState::Processing) => &[],
        // It needs no grant.
        OpState::Vnf(_) if op.kind == OpKind::ModifyInfo => &[PROCESSING],
        // Granted there and then, or refused.
        OpState::Vnf(VnfOpState::Processing | VnfOpState::RolledBack) => &[STARTING],
        OpState::Vnf(VnfOpState::Completed | VnfOpState::FailedTemp | VnfOpState::Failed | VnfOpState::RollingBack) => {
            &[STARTING, PROCESSING]
        }
        OpState::Ns(
            NsOpState::Completed
            | NsOpState::PartiallyCompleted
            | NsOpState::FailedTemp
            | NsOpState::Failed
            | NsOpState::RollingBack
            | NsOpState::RolledBack,
        ) => &[OpState::Ns(NsOpState::Processing)],
    }
}

/// An operation of a service's member that is none of the service's own touches the service (SOL005 6.5.2.9): its begin and its
/// end are told.
fn of_part(before: Option<&Operation>, now: &Operation, vnf: Option<&VnfInstance>, tx: &Tx<'_>) -> Result<Vec<Told>> {
    let (OpState::Vnf(state), Some((vnf, ns)), None) = (now.state, vnf.and_then(|v| Some((v.id, v.ns?))), now.parent) else {
        return Ok(Vec::new());
    };
    let states: &[VnfOpState] = match (before, state) {
        // Over in the transaction that took it, or before it began.
        (None, VnfOpState::Completed) => &[VnfOpState::Processing, VnfOpState::Completed],
        (None, VnfOpState::Failed) => &[VnfOpState::Processing, VnfOpState::Failed],
        (None, VnfOpState::FailedTemp) => &[VnfOpState::Processing],
        (_, VnfOpState::RolledBack) if has_not_begun(before) => &[VnfOpState::Processing, VnfOpState::RolledBack],
        // It has begun already, and is tried again.
        (Some(_), VnfOpState::Processing) if now.attempt > 0 => &[],
        (_, state) if PartNews::is_told(state) => &[state],
        (_, _) => &[],
    };
    let Some(service) = tx.get::<NsInstance>(&ns)?.filter(|_| !states.is_empty()) else { return Ok(Vec::new()) };
    let about = of_ns(&service, tx)?;
    let told = |state: &VnfOpState| Told {
        project: now.project,
        at: Some(now.state_entered),
        news: News::Part(PartNews { ns, vnf, op: now.id, kind: now.kind, state: *state, sequence: now.sequence, error: now.error.clone() }),
        about: about.clone(),
    };
    Ok(states.iter().map(told).collect())
}

/// Its begin was not told yet.
fn has_not_begun(before: Option<&Operation>) -> bool {
    before.is_none_or(|b| b.state == OpState::Vnf(VnfOpState::Starting))
}

pub(super) fn of_instance(before: Option<&VnfInstance>, after: Option<&VnfInstance>) -> Vec<Told> {
    match (before, after) {
        (None, Some(v)) => vec![Told { project: v.project, at: Some(v.created), news: News::VnfMade(v.id), about: of_vnf(v) }],
        (Some(v), None) => vec![Told { project: v.project, at: None, news: News::VnfGone(v.id), about: of_vnf(v) }],
        (Some(_), Some(_)) | (None, None) => Vec::new(),
    }
}

pub(super) fn of_service(before: Option<&NsInstance>, after: Option<&NsInstance>, tx: &Tx<'_>) -> Result<Vec<Told>> {
    Ok(match (before, after) {
        (None, Some(ns)) => vec![Told { project: ns.project, at: Some(ns.created), news: News::NsMade(ns.id), about: of_ns(ns, tx)? }],
        (Some(ns), None) => vec![Told { project: ns.project, at: None, news: News::NsGone(ns.id), about: of_ns(ns, tx)? }],
        (Some(_), Some(_)) | (None, None) => Vec::new(),
    })
}

/// State of an entry of a catalogue.
type Entry<'a> = (Onboarding, Operational, Option<&'a crate::model::error::FaultRecord>);

fn changes(before: Option<Entry<'_>>, after: Option<Entry<'_>>) -> Option<CatalogueNews> {
    match (before, after) {
        (Some((was, _, _)), Some((Onboarding::Onboarded, _, _))) if was != Onboarding::Onboarded => Some(CatalogueNews::Onboarded),
        (Some((was, _, _)), Some((Onboarding::Error, _, Some(why)))) if was != Onboarding::Error => {
            Some(CatalogueNews::Failed(why.clone()))
        }
        (Some((Onboarding::Onboarded, was, _)), Some((Onboarding::Onboarded, is, _))) if was != is => Some(CatalogueNews::Operational(is)),
        (Some((Onboarding::Onboarded, _, _)), None) => Some(CatalogueNews::Gone),
        (Some(_) | None, Some(_) | None) => None,
    }
}

pub(super) fn of_package(before: Option<&VnfPackage>, after: Option<&VnfPackage>) -> Vec<Told> {
    fn entry(p: &VnfPackage) -> Entry<'_> {
        (p.onboarding, p.operational, p.failure.as_ref())
    }
    let Some(p) = after.or(before) else { return Vec::new() };
    let Some(change) = changes(before.map(entry), after.map(entry)) else { return Vec::new() };
    let mut about = About { id: p.id.0, operational: Some(p.operational), in_use: p.users > 0, ..About::default() };
    if let Some(v) = &p.vnfd {
        about.name = v.product_name.clone();
        about.descriptor = v.id.clone();
        about.provider = v.provider.clone();
        about.product = v.product_name.clone();
        about.software_version = v.software_version.clone();
        about.descriptor_version = v.version.clone();
        about.managers = v.vnfm_info.clone();
    }
    vec![Told { project: p.project, at: None, news: News::Package(p.id, change), about }]
}

/// A PNFD is never enabled or disabled.
pub(super) fn of_pnfd(before: Option<&PnfDescriptor>, after: Option<&PnfDescriptor>) -> Vec<Told> {
    fn entry(d: &PnfDescriptor) -> Entry<'_> {
        (d.onboarding, Operational::Enabled, d.failure.as_ref())
    }
    let Some(d) = after.or(before) else { return Vec::new() };
    let Some(change) = changes(before.map(entry), after.map(entry)) else { return Vec::new() };
    let mut about = About { id: d.id.0, ..About::default() };
    if let Some(p) = &d.pnfd {
        about.name = p.name.clone();
        about.descriptor = p.id.clone();
        about.provider = p.provider.clone();
        about.descriptor_version = p.version.clone();
        about.invariant = p.invariant_id.clone();
    }
    vec![Told { project: d.project, at: None, news: News::Pnfd(d.id, change), about }]
}

pub(super) fn of_nsd(before: Option<&NsDescriptor>, after: Option<&NsDescriptor>) -> Vec<Told> {
    fn entry(d: &NsDescriptor) -> Entry<'_> {
        (d.onboarding, d.operational, d.failure.as_ref())
    }
    let Some(d) = after.or(before) else { return Vec::new() };
    let Some(change) = changes(before.map(entry), after.map(entry)) else { return Vec::new() };
    let mut about = About { id: d.id.0, operational: Some(d.operational), in_use: d.users > 0, ..About::default() };
    if let Some(n) = &d.nsd {
        about.name = n.name.clone();
        about.descriptor = n.id.clone();
        about.provider = n.designer.clone();
        about.descriptor_version = n.version.clone();
        about.invariant = n.invariant_id.clone();
        about.vnfds = n.vnfd_ids();
        about.vnfds.extend(d.packages.iter().map(|p| smol_str::format_smolstr!("{p}")));
    }
    vec![Told { project: d.project, at: None, news: News::Nsd(d.id, change), about }]
}

/// An alarm that is new, another one than it was, or over. Who has seen it is no news, and of the box
/// itself ETSI's interfaces do not tell.
pub(super) fn of_alarm(before: Option<&Alarm>, after: Option<&Alarm>, tx: &Tx<'_>) -> Result<Vec<Told>> {
    let Some(now) = after else { return Ok(Vec::new()) };
    let was = before.map(|b| (b.changed, b.cleared));
    if was == Some((now.changed, now.cleared)) {
        return Ok(Vec::new());
    }
    let about = match now.object {
        Object::Host => return Ok(Vec::new()),
        Object::Vnf(id) => tx.get::<VnfInstance>(&id)?.map(|v| of_vnf(&v)).unwrap_or(About { id: id.0, ..About::default() }),
        Object::Ns(id) => match tx.get::<NsInstance>(&id)? {
            Some(ns) => of_ns(&ns, tx)?,
            None => About { id: id.0, ..About::default() },
        },
    };
    let alarm = Box::new(now.clone());
    let (at, news) = match now.cleared {
        Some(at) => (at, News::AlarmCleared(alarm)),
        None => (now.changed.unwrap_or(now.raised), News::AlarmRaised(alarm)),
    };
    Ok(vec![Told { project: now.project, at: Some(at), news, about }])
}

pub(super) fn of_alarms(before: Option<&AlarmList>, after: Option<&AlarmList>) -> Vec<Told> {
    let at = after.and_then(|a| a.rebuilt).filter(|at| before.and_then(|b| b.rebuilt) != Some(*at));
    let told = |at| Told { project: ProjectId::DEFAULT, at: Some(at), news: News::AlarmsRebuilt, about: About::default() };
    at.map(told).into_iter().collect()
}

/// A report is there: of each object that is in it (SOL003 6.5.2.5).
pub(super) fn of_report(before: Option<&PmReport>, after: Option<&PmReport>, tx: &Tx<'_>) -> Result<Vec<Told>> {
    let (None, Some(r)) = (before, after) else { return Ok(Vec::new()) };
    let Some(job) = tx.get::<PmJob>(&r.job)? else { return Ok(Vec::new()) };
    let told = |object: &Uuid| {
        Ok(Told {
            project: job.project,
            at: Some(r.ready),
            news: News::Performance(PmNews::Ready { job: r.job, report: r.id, object_type: r.object_type, object: *object }),
            about: of_measured(r.object_type, *object, tx)?,
        })
    };
    job.objects.iter().filter(|o| r.entries.iter().any(|e| e.object == **o)).map(told).collect()
}

fn of_measured(of: ObjectType, id: Uuid, tx: &Tx<'_>) -> Result<About> {
    let nobody = About { id, ..About::default() };
    if of.of_service() {
        return tx.get::<NsInstance>(&NsId(id))?.map_or(Ok(nobody), |ns| of_ns(&ns, tx));
    }
    Ok(tx.get::<VnfInstance>(&VnfId(id))?.map_or(nobody, |v| of_vnf(&v)))
}

pub(super) fn of_threshold(before: Option<&Threshold>, after: Option<&Threshold>, tx: &Tx<'_>) -> Result<Vec<Told>> {
    let Some(t) = after else { return Ok(Vec::new()) };
    let crossing = t.crossed.clone().filter(|c| before.and_then(|b| b.crossed.as_ref()) != Some(c));
    let Some(crossing) = crossing else { return Ok(Vec::new()) };
    let about = of_measured(t.object_type, t.object, tx)?;
    Ok(vec![Told {
        project: t.project,
        at: Some(crossing.at),
        news: News::Performance(PmNews::Crossed {
            threshold: t.id,
            object_type: t.object_type,
            object: t.object,
            metric: t.metric.name.clone(),
            crossing,
        }),
        about,
    }])
}

/// Of no instance: its subscription names the threshold.
pub(super) fn of_capacity(before: Option<&CapacityThreshold>, after: Option<&CapacityThreshold>) -> Vec<Told> {
    let Some(t) = after else { return Vec::new() };
    let crossing = t.crossed.clone().filter(|c| before.and_then(|b| b.crossed.as_ref()) != Some(c));
    let told = |crossing: CapacityCrossing| Told {
        project: t.project,
        at: Some(crossing.at),
        news: News::Capacity(CapacityNews { threshold: t.id, crossing }),
        about: About { id: t.id, ..About::default() },
    };
    crossing.map(told).into_iter().collect()
}

/// Values that are others than before, and a set that is.
pub(super) fn of_indicators(before: Option<&VnfIndicators>, after: Option<&VnfIndicators>, tx: &Tx<'_>) -> Result<Vec<Told>> {
    let Some(now) = after.filter(|n| n.listened) else { return Ok(Vec::new()) };
    let mut news = Vec::new();
    if before.map(VnfIndicators::ids) != Some(now.ids()) {
        news.push(IndicatorNews::Supported { vnf: now.vnf, ids: now.ids(), revision: now.revision });
    }
    let was = |id: &str| before.and_then(|b| b.reading(id)).map(|r| &r.values);
    let changed = now.all.iter().filter(|r| !r.values.is_empty() && was(&r.id) != Some(&r.values));
    news.extend(changed.map(|r| IndicatorNews::Value { vnf: now.vnf, id: r.id.clone(), values: r.values.clone(), revision: now.revision }));
    if news.is_empty() {
        return Ok(Vec::new());
    }
    let about = tx.get::<VnfInstance>(&now.vnf)?.map(|v| of_vnf(&v)).unwrap_or(About { id: now.vnf.0, ..About::default() });
    let told = |n| Told { project: now.project, at: Some(now.changed), news: News::Indicator(n), about: about.clone() };
    Ok(news.into_iter().map(told).collect())
}

/// There is enough now. Filters look at whose it is: the VNFM's account, and the project as the group of resources.
pub(super) fn of_wanting(before: Option<&Wanting>, after: Option<&Wanting>) -> Vec<Told> {
    let Some(w) = after.filter(|w| w.free.is_some() && before.is_none_or(|b| b.free.is_none())) else { return Vec::new() };
    let about = About { id: w.grant, name: w.vnfm.clone(), descriptor: smol_str::format_smolstr!("{}", w.project), ..About::default() };
    vec![Told { project: w.project, at: w.free, news: News::Room { grant: w.grant, kinds: w.kinds() }, about }]
}

fn of_vnf(v: &VnfInstance) -> About {
    About {
        id: v.id.0,
        name: v.name.clone(),
        descriptor: v.vnfd_id.clone(),
        provider: v.provider.clone(),
        product: v.product_name.clone(),
        software_version: v.software_version.clone(),
        descriptor_version: v.vnfd_version.clone(),
        managers: v.managers().into_iter().chain(v.owner.as_ref().map(|o| o.account.clone())).collect(),
        ..About::default()
    }
}

fn of_ns(ns: &NsInstance, tx: &Tx<'_>) -> Result<About> {
    let nsd = tx.get::<NsDescriptor>(&ns.nsd_info)?.and_then(|d| d.nsd);
    let vnfds: Vec<SmolStr> = nsd.map(|n| n.vnfd_ids().into_iter().collect()).unwrap_or_default();
    Ok(About { id: Uuid::from_bytes(*ns.id.bytes()), name: ns.name.clone(), descriptor: ns.nsd_id.clone(), vnfds, ..About::default() })
}
