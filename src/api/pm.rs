//! PM jobs, their reports and thresholds, of VNFs (SOL003 6.4) and of network services (SOL005 7.4): one set of handlers,
//! told apart by whose they are. Each is a subscription of its own: the callback is tested, and told by the outbox.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use uuid::Uuid;

use super::{
    Ctx, Services,
    callback::{self, Things, gone_already, subscription, told_of},
    conditional::if_match,
    convert::{Base, pm as convert},
    extract::{self, Id, IdPath},
    list::{Page, Query, list},
    problem::Answer,
    respond::{NoQuery, created, shown, unprocessable},
    routes::Routes,
    subscriptions::auth_of,
    who::{View, caller},
};
use crate::{
    access::{central::forget_made, manage::Thing},
    model::{
        error::{Fault, Result},
        id::{NsId, ProjectId, VnfId},
        pm::{self, Milli, ObjectType, PmJob, PmReport, Threshold},
        subscription::{Source, Subscription},
        time::Stamp,
    },
    nfvo::Nfvo,
    sol::{
        common::DateTime,
        pm::{CreatePmJobRequest, CreateThresholdRequest, PmModifications},
        shape::{PM_JOB, THRESHOLD},
        subscription::SubscriptionAuthentication,
    },
};

/// Whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Vnf,
    Ns,
}

/// Paths of an API's jobs, one of them, a report, thresholds, one of them.
type Paths = [&'static str; 5];

pub const OF_VNFS: Paths = [
    "/vnfpm/v2/pm_jobs",
    "/vnfpm/v2/pm_jobs/{pmJobId}",
    "/vnfpm/v2/pm_jobs/{pmJobId}/reports/{reportId}",
    "/vnfpm/v2/thresholds",
    "/vnfpm/v2/thresholds/{thresholdId}",
];
pub const OF_SERVICES: Paths = [
    "/nspm/v2/pm_jobs",
    "/nspm/v2/pm_jobs/{pmJobId}",
    "/nspm/v2/pm_jobs/{pmJobId}/reports/{reportId}",
    "/nspm/v2/thresholds",
    "/nspm/v2/thresholds/{thresholdId}",
];

/// Each job and threshold with a callback, which can be changed.
pub fn routes(of: Of, paths: Paths) -> Routes {
    let [_, job, _, _, threshold] = paths;
    common(of, Tells::Itself, paths)
        .patch(job, move |s: Ctx, base: Base, id: Id<Uuid>, _: NoQuery, h: HeaderMap, r: extract::Json<PmModifications>| {
            Of::modify(of.job_source(), s, base, id, h, r)
        })
        .patch(threshold, move |s: Ctx, base: Base, id: Id<Uuid>, _: NoQuery, h: HeaderMap, r: extract::Json<PmModifications>| {
            Of::modify(of.threshold_source(), s, base, id, h, r)
        })
}

/// The same as the first major has it: subscriptions are told, and nothing changes.
pub fn first(of: Of, paths: Paths) -> Routes {
    common(of, Tells::Subscribers, paths)
}

/// Who hears of a job or a threshold that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tells {
    /// Its callback.
    Itself,
    /// Subscribers of the first major.
    Subscribers,
}

fn common(of: Of, tells: Tells, [jobs, job, report, thresholds, threshold]: Paths) -> Routes {
    Routes::default()
        .get(jobs, move |s: Ctx, base: Base, uri: Uri| of.jobs(s, base, uri))
        .post(jobs, move |s: Ctx, base: Base, q: NoQuery, r: extract::Json<CreatePmJobRequest>| of.create_job(tells, s, base, q, r))
        .get(job, move |s: Ctx, base: Base, id: Id<Uuid>, q: NoQuery, h: HeaderMap| of.job(s, base, id, q, h))
        .delete(job, move |s: Ctx, id: Id<Uuid>, q: NoQuery, h: HeaderMap| of.delete(of.job_source(), s, id, q, h))
        .get(report, move |s: Ctx, id: IdPath<Uuid>, q: NoQuery, h: HeaderMap| of.report(s, id, q, h))
        .get(thresholds, move |s: Ctx, base: Base, uri: Uri| of.thresholds(s, base, uri))
        .post(thresholds, move |s: Ctx, base: Base, q: NoQuery, r: extract::Json<CreateThresholdRequest>| {
            of.create_threshold(tells, s, base, q, r)
        })
        .get(threshold, move |s: Ctx, base: Base, id: Id<Uuid>, q: NoQuery, h: HeaderMap| of.threshold(s, base, id, q, h))
        .delete(threshold, move |s: Ctx, id: Id<Uuid>, q: NoQuery, h: HeaderMap| of.delete(of.threshold_source(), s, id, q, h))
}

/// What a request of either kind has in common.
struct Asked {
    object_type: ObjectType,
    objects: Vec<Uuid>,
    metrics: Vec<pm::Asked>,
    callback: Subscription,
}

/// Of a request of either kind.
struct Request<'r> {
    object_type: &'r str,
    objects: &'r [String],
    parts: &'r [String],
    names: &'r [String],
    groups: &'r [String],
    callback: String,
    authentication: Option<SubscriptionAuthentication>,
}

impl Of {
    fn has(self, t: ObjectType) -> bool {
        t.of_service() == (self == Of::Ns)
    }
    fn telling(source: Source) -> Of {
        if matches!(source, Source::NsPmJob | Source::NsThreshold) { Of::Ns } else { Of::Vnf }
    }
    fn job_source(self) -> Source {
        if self == Of::Ns { Source::NsPmJob } else { Source::VnfPmJob }
    }
    fn threshold_source(self) -> Source {
        if self == Of::Ns { Source::NsThreshold } else { Source::VnfThreshold }
    }

    /// Every fault of a request at once; objects that the caller does not see are not there.
    fn asked(self, s: &Services, n: &View, id: Uuid, source: Source, base: &Base, r: Request<'_>) -> Result<Asked> {
        let mut faults = Vec::new();
        let mut objects: Vec<Uuid> = Vec::new();
        for o in r.objects {
            let Ok(id) = Uuid::parse_str(o) else {
                faults.push(format!("objectInstanceIds: '{o}' is no instance here"));
                continue;
            };
            let thing = if self == Of::Ns { Thing::Ns(NsId(id)) } else { Thing::Vnf(VnfId(id)) };
            match n.seen(thing, |_| Ok(())) {
                Ok(()) => objects.push(id),
                Err(fault) => faults.push(format!("objectInstanceIds: {}", fault.text())),
            }
        }
        if r.objects.is_empty() {
            faults.push("objectInstanceIds: one is needed at least".into());
        }
        let object_type = match pm::object_type(r.object_type, self == Of::Ns) {
            Ok(t) => Some(t),
            Err(why) => {
                faults.push(why);
                None
            }
        };
        if !r.parts.is_empty() && (r.objects.len() != 1 || object_type.is_some_and(|t| !t.has_parts())) {
            faults.push("subObjectInstanceIds: for one object that is measured by its parts".into());
        }
        let metrics = object_type.map(|t| pm::ask(t, r.names, r.groups, &objects, &mut faults)).unwrap_or_default();
        let auth = auth_of(&s.notify, id, r.authentication, &mut faults)?;
        let Some(object_type) = object_type.filter(|_| faults.is_empty()) else {
            return Err(Fault::invalid("this cannot be measured").with_reasons(faults));
        };
        let callback = Subscription { auth, ..told_of(id, n.project(), source, r.callback, base, n) };
        Ok(Asked { object_type, objects, metrics, callback })
    }

    async fn jobs(self, State(s): Ctx, base: Base, uri: Uri) -> Answer<Response> {
        let query = Query::parse(&uri, &PM_JOB)?;
        let (to, by) = (base.clone(), caller()?);
        let page = move |n: &Nfvo, after: Option<Uuid>, limit| {
            let mut page = Page::of(n.vnfm().store().page::<PmJob>(after.as_ref(), limit)?, limit, |j| j.id);
            page.entries.retain(|(_, j)| self.has(j.object_type) && by.has_as_own(n.vnfm().store(), Thing::PmJob(j.id)));
            Ok(page)
        };
        list(&s, &base, query, page, move |n, j: PmJob| Ok(convert::job(&j, subscription(n, j.id)?.as_ref(), &to))).await
    }

    async fn create_job(
        self,
        tells: Tells,
        State(s): Ctx,
        base: Base,
        _: NoQuery,
        extract::Json(r): extract::Json<CreatePmJobRequest>,
    ) -> Answer<Response> {
        let (services, at, project) = (s.clone(), base.clone(), caller()?.project);
        let make = move |n: &View| {
            let id = Uuid::new_v4();
            let (collection_s, reporting_s) = pm::periods(r.criteria.collection_period, r.criteria.reporting_period)?;
            let request = Request {
                object_type: &r.object_type,
                objects: &r.object_instance_ids,
                parts: &r.sub_object_instance_ids,
                names: &r.criteria.performance_metric,
                groups: &r.criteria.performance_metric_group,
                callback: r.callback_uri.clone(),
                authentication: r.authentication.clone(),
            };
            let a = self.asked(&services, n, id, self.job_source(), &at, request)?;
            let job = PmJob {
                id,
                project,
                object_type: a.object_type,
                objects: a.objects,
                parts: r.sub_object_instance_ids.iter().map(Into::into).collect(),
                metrics: a.metrics,
                names: r.criteria.performance_metric.iter().map(Into::into).collect(),
                groups: r.criteria.performance_metric_group.iter().map(Into::into).collect(),
                collection_s,
                reporting_s,
                boundary: r.criteria.reporting_boundary.map(stamp),
                reports: Vec::new(),
                revision: 1,
            };
            Ok((job, a.callback))
        };
        let (job, callback) = s.domain(make).await.map_err(unprocessable)?;
        let callback = (tells == Tells::Itself).then_some(callback);
        if let Some(callback) = &callback {
            s.notify.probe(callback).await.map_err(|f| unprocessable(f.into()))?;
        }
        let (pm, notify, made, told) = (s.pm.clone(), s.notify.clone(), job.clone(), callback.clone());
        s.domain(move |n| {
            n.caller().own_made(n.vnfm().store(), made.id)?;
            pm.add_job(&made).inspect_err(|_| drop(forget_made(n.vnfm().store(), made.id)))?;
            told.map_or(Ok(()), |told| notify.subscribe(told, n.caller().eyes()))
        })
        .await?;
        created(
            &format!("{}/{}", convert::collection(self.job_source()), job.id),
            job.revision,
            &convert::job(&job, callback.as_ref(), &base),
        )
    }

    async fn job(self, State(s): Ctx, base: Base, Id(id): Id<Uuid>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
        let (j, told) = s.look(move |n| Ok((self.find_job(n, id)?, subscription(n, id)?))).await?;
        Ok(shown(&headers, j.revision, &convert::job(&j, told.as_ref(), &base)))
    }

    fn find_job(self, n: &Nfvo, id: Uuid) -> Result<PmJob> {
        let found = n.vnfm().store().get::<PmJob>(&id)?.filter(|j| self.has(j.object_type));
        found.ok_or_else(|| Fault::not_found(format!("there is no PM job {id}")))
    }

    fn find_threshold(self, n: &Nfvo, id: Uuid) -> Result<Threshold> {
        let found = n.vnfm().store().get::<Threshold>(&id)?.filter(|t| self.has(t.object_type));
        found.ok_or_else(|| Fault::not_found(format!("there is no threshold {id}")))
    }

    /// Its revision and whose it is.
    fn made(self, source: Source, n: &Nfvo, id: Uuid) -> Result<(u64, ProjectId)> {
        if source == self.job_source() {
            self.find_job(n, id).map(|j| (j.revision, j.project))
        } else {
            self.find_threshold(n, id).map(|t| (t.revision, t.project))
        }
    }

    async fn report(self, State(s): Ctx, IdPath(job, report): IdPath<Uuid>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
        let find = move |n: &View| {
            self.find_job(n, job)?;
            let found = Uuid::parse_str(&report).ok().map(|r| n.vnfm().store().get::<PmReport>(&(job, r))).transpose()?.flatten();
            found.ok_or_else(|| Fault::not_found(format!("there is no report {report} of PM job {job}")))
        };
        let found = s.domain(find).await?;
        Ok(shown(&headers, 1, &convert::report(&found)))
    }

    async fn thresholds(self, State(s): Ctx, base: Base, uri: Uri) -> Answer<Response> {
        let query = Query::parse(&uri, &THRESHOLD)?;
        let (to, by) = (base.clone(), caller()?);
        let page = move |n: &Nfvo, after: Option<Uuid>, limit| {
            let mut page = Page::of(n.vnfm().store().page::<Threshold>(after.as_ref(), limit)?, limit, |t| t.id);
            page.entries.retain(|(_, t)| self.has(t.object_type) && by.has_as_own(n.vnfm().store(), Thing::Threshold(t.id)));
            Ok(page)
        };
        list(&s, &base, query, page, move |n, t: Threshold| Ok(convert::threshold(&t, subscription(n, t.id)?.as_ref(), &to))).await
    }

    async fn create_threshold(
        self,
        tells: Tells,
        State(s): Ctx,
        base: Base,
        _: NoQuery,
        extract::Json(r): extract::Json<CreateThresholdRequest>,
    ) -> Answer<Response> {
        let (services, at, project) = (s.clone(), base.clone(), caller()?.project);
        let make = move |n: &View| {
            let id = Uuid::new_v4();
            let limit = r
                .criteria
                .simple_threshold_details
                .filter(|d| d.threshold_value.is_finite() && d.hysteresis.is_finite() && d.hysteresis >= 0.0);
            let limit = limit.ok_or_else(|| {
                Fault::invalid("criteria.simpleThresholdDetails: thresholdValue and a hysteresis that is not negative are needed")
            })?;
            let request = Request {
                object_type: &r.object_type,
                objects: std::slice::from_ref(&r.object_instance_id),
                parts: &r.sub_object_instance_ids,
                names: std::slice::from_ref(&r.criteria.performance_metric),
                groups: &[],
                callback: r.callback_uri.clone(),
                authentication: r.authentication.clone(),
            };
            let a = self.asked(&services, n, id, self.threshold_source(), &at, request)?;
            let (Some(object), Some(metric)) = (a.objects.into_iter().next(), a.metrics.into_iter().next()) else {
                return Err(Fault::bug("a threshold without an object or a metric"));
            };
            let t = Threshold {
                id,
                project,
                object_type: a.object_type,
                object,
                parts: r.sub_object_instance_ids.iter().map(Into::into).collect(),
                metric,
                value: Milli::of(limit.threshold_value),
                hysteresis: Milli::of(limit.hysteresis),
                went: Vec::new(),
                crossed: None,
                revision: 1,
            };
            Ok((t, a.callback))
        };
        let (t, callback) = s.domain(make).await.map_err(unprocessable)?;
        let callback = (tells == Tells::Itself).then_some(callback);
        if let Some(callback) = &callback {
            s.notify.probe(callback).await.map_err(|f| unprocessable(f.into()))?;
        }
        let (pm, notify, made, told) = (s.pm.clone(), s.notify.clone(), t.clone(), callback.clone());
        s.domain(move |n| {
            n.caller().own_made(n.vnfm().store(), made.id)?;
            pm.add_threshold(&made).inspect_err(|_| drop(forget_made(n.vnfm().store(), made.id)))?;
            told.map_or(Ok(()), |told| notify.subscribe(told, n.caller().eyes()))
        })
        .await?;
        let at = format!("{}/{}", convert::collection(self.threshold_source()), t.id);
        created(&at, t.revision, &convert::threshold(&t, callback.as_ref(), &base))
    }

    async fn threshold(self, State(s): Ctx, base: Base, Id(id): Id<Uuid>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
        let (t, told) = s.look(move |n| Ok((self.find_threshold(n, id)?, subscription(n, id)?))).await?;
        Ok(shown(&headers, t.revision, &convert::threshold(&t, told.as_ref(), &base)))
    }

    const THINGS: Things = Things {
        made: |source, n, id| Of::telling(source).made(source, n, id),
        touch: |source, s, _, id, check| {
            let of = Of::telling(source);
            if source == of.job_source() { s.pm.touch_job(id, check) } else { s.pm.touch_threshold(id, check) }
        },
    };

    async fn modify(
        source: Source,
        s: Ctx,
        base: Base,
        id: Id<Uuid>,
        headers: HeaderMap,
        r: extract::Json<PmModifications>,
    ) -> Answer<Response> {
        callback::modify(source, Of::THINGS, s, base, id, headers, r).await
    }

    async fn delete(self, source: Source, State(s): Ctx, Id(id): Id<Uuid>, _: NoQuery, headers: HeaderMap) -> Answer<StatusCode> {
        let (pm, notify) = (s.pm.clone(), s.notify.clone());
        let remove = move |n: &View| {
            self.made(source, n, id)?;
            let check = |revision| if_match(&headers, revision);
            if source == self.job_source() { pm.remove_job(id, check) } else { pm.remove_threshold(id, check) }?;
            gone_already(notify.unsubscribe(source, id))?;
            forget_made(n.vnfm().store(), id)
        };
        s.domain(remove).await?;
        Ok(StatusCode::NO_CONTENT)
    }
}

fn stamp(t: DateTime) -> Stamp {
    Stamp(u64::try_from(t.0.as_millisecond()).unwrap_or(0))
}
