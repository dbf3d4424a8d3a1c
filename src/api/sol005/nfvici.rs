//! NFVI capacity information (SOL005 10.4): what there is of the box and what is left, by zones, and thresholds on it.
//!
//! There is one VIM, the box's own. A filter narrows what is shown to the measurements that it wants.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use serde_json::Value;
use smol_str::SmolStr;
use uuid::Uuid;

use crate::{
    api::{
        Ctx,
        callback::{self, Things, gone_already, subscription, told_of},
        conditional::if_match,
        convert::{Base, capacity as convert, subscription::collection, vnf::VIM},
        extract::{self, Id, query},
        list::{Page, Query, list},
        problem::Answer,
        respond::{Json, NoQuery, created, shown, unprocessable},
        routes::Routes,
        subscriptions::auth_of,
        who::View,
    },
    model::{
        access::{Action, Permission, Resource},
        capacity::{CapacityThreshold, Limit, MOST_LIMITS, MOST_ZONES, Measure, Side, Zone},
        error::{Fault, Result},
        id::ProjectId,
        pm::Milli,
        subscription::{Source, Subscription},
    },
    nfvo::Nfvo,
    sol::{
        capacity::{CreateCapacityThresholdRequest, NfviCapacityInfo},
        pm::PmModifications,
        shape::{CAPACITY_THRESHOLD, NFVI_CAPACITY},
    },
};

const SOURCE: Source = Source::NfviThreshold;
const THRESHOLDS: &str = "/nfvici/v1/capacity_thresholds";
const THRESHOLD: &str = "/nfvici/v1/capacity_thresholds/{capacityThresholdId}";

/// What SOL005 10.4.2.3.2 has filters name beside the members.
const INSIDE: &[&str] = &[
    "resourceZoneId",
    "resourceType",
    "capacityMeasurementName",
    "totalCapacity",
    "allocatedCapacity",
    "reservedCapacity",
    "availableCapacity",
];

pub fn routes() -> Routes {
    Routes::default()
        .get("/nfvici/v1/nfvi_capacity_infos", infos)
        .get("/nfvici/v1/nfvi_capacity_infos/{vimId}", info)
        .get(THRESHOLDS, thresholds)
        .post(THRESHOLDS, create)
        .get(THRESHOLD, threshold)
        .patch(THRESHOLD, |s: Ctx, base: Base, id: Id<Uuid>, _: NoQuery, h: HeaderMap, r: extract::Json<PmModifications>| {
            callback::modify(SOURCE, THINGS, s, base, id, h, r)
        })
        .delete(THRESHOLD, delete)
}

/// Whoever is told of the box's capacity could read it.
fn may_look(n: &View) -> Result<()> {
    let needs = Permission { resource: Resource::Host, action: Action::Read };
    if n.caller().permissions.has(needs) {
        return Ok(());
    }
    let name = &n.caller().name;
    Err(Fault::forbidden(format!("to hear of capacity needs the permission {needs}, which no role of {name} gives")))
}

fn made(n: &Nfvo, id: Uuid) -> Result<(u64, ProjectId)> {
    n.capacity_threshold(id).map(|t| (t.revision, t.project))
}

const THINGS: Things =
    Things { made: |_, n, id| may_look(n).and_then(|()| made(n, id)), touch: |_, _, n, id, check| n.touch_capacity_threshold(id, check) };

/// The capacity with the measurements that are wanted and the zones that have any.
fn narrowed(n: &Nfvo, query: &Query) -> Result<NfviCapacityInfo> {
    let mut whole = convert::info(&n.capacity()?, n.vnfm().clock().now());
    if query.has_filter() {
        let frame = NfviCapacityInfo { capacity_info_per_zone: Vec::new(), ..whole.clone() };
        for zone in &mut whole.capacity_info_per_zone {
            let named = crate::sol::capacity::NfviCapacityInfoPerZone { capacity_measurements: Vec::new(), ..zone.clone() };
            zone.capacity_measurements.retain(|m| query.wants(&convert::seen_alone(&frame, &named, m)));
        }
        whole.capacity_info_per_zone.retain(|z| !z.capacity_measurements.is_empty());
    }
    Ok(whole)
}

async fn infos(State(s): Ctx, uri: Uri) -> Answer<Response> {
    let query = Query::parse_also(&uri, &NFVI_CAPACITY, INSIDE)?;
    let all = s
        .domain(move |n| {
            let info = narrowed(n, &query)?;
            if query.has_filter() && info.capacity_info_per_zone.is_empty() {
                return Ok(Vec::new());
            }
            let mut v = serde_json::to_value(info).map_err(|e| Fault::bug("a resource cannot be written as JSON").with_source(e))?;
            query.select(&mut v);
            Ok(vec![v])
        })
        .await?;
    Ok(Json::<Vec<Value>>(all).into_response())
}

async fn info(State(s): Ctx, Id(vim): Id<SmolStr>, uri: Uri) -> Answer<Response> {
    if vim != VIM {
        return Err(Fault::not_found(format!("there is no VIM '{vim}' here: this box's own is '{VIM}'")).into());
    }
    query(&uri, &["filter"])?;
    let query = Query::parse_also(&uri, &NFVI_CAPACITY, INSIDE)?;
    Ok(Json(s.domain(move |n| narrowed(n, &query)).await?).into_response())
}

async fn thresholds(State(s): Ctx, base: Base, uri: Uri) -> Answer<Response> {
    let query = Query::parse(&uri, &CAPACITY_THRESHOLD)?;
    let to = base.clone();
    let page = |n: &Nfvo, after: Option<Uuid>, limit| {
        Ok(Page::of(n.vnfm().store().page::<CapacityThreshold>(after.as_ref(), limit)?, limit, |t| t.id))
    };
    list(&s, &base, query, page, move |n, t| Ok(convert::threshold(&t, subscription(n, t.id)?.as_ref(), &to))).await
}

async fn threshold(State(s): Ctx, base: Base, Id(id): Id<Uuid>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let (t, told) = s.look(move |n| Ok((n.capacity_threshold(id)?, subscription(n, id)?))).await?;
    Ok(shown(&headers, t.revision, &convert::threshold(&t, told.as_ref(), &base)))
}

async fn create(
    State(s): Ctx,
    base: Base,
    _: NoQuery,
    extract::Json(r): extract::Json<CreateCapacityThresholdRequest>,
) -> Answer<Response> {
    let (services, at) = (s.clone(), base.clone());
    let make = move |n: &View| {
        may_look(n)?;
        let mut faults = Vec::new();
        let id = Uuid::new_v4();
        let t = asked(n, id, &r, &mut faults)?;
        if r.callback_uri.is_none() {
            faults.push("callbackUri: one is needed, for nobody else is told of it".into());
        }
        let auth = auth_of(&services.notify, id, r.authentication, &mut faults)?;
        let Some(t) = t.filter(|_| faults.is_empty()) else {
            return Err(Fault::invalid("this threshold cannot be set").with_reasons(faults));
        };
        let told = told_of(id, t.project, SOURCE, r.callback_uri.unwrap_or_default(), &at, n);
        Ok((t, Subscription { auth, ..told }))
    };
    let (t, told) = s.domain(make).await.map_err(unprocessable)?;
    s.notify.probe(&told).await.map_err(|f| unprocessable(f.into()))?;
    let (notify, made, by) = (s.notify.clone(), t.clone(), told.clone());
    s.domain(move |n| {
        n.add_capacity_threshold(&made)?;
        notify.subscribe(by, n.caller().eyes())?;
        // Where it stands is told now.
        n.tell_capacity();
        Ok(())
    })
    .await?;
    created(&format!("{}/{}", collection(SOURCE), t.id), t.revision, &convert::threshold(&t, Some(&told), &base))
}

/// `None` where a fault says why not.
fn asked(n: &View, id: Uuid, r: &CreateCapacityThresholdRequest, faults: &mut Vec<String>) -> Result<Option<CapacityThreshold>> {
    let (before, metric) = (faults.len(), &r.criteria.capacity_metric);
    if r.object_instance_id != VIM {
        faults.push(format!("objectInstanceId: there is no VIM '{}' here: this box's own is '{VIM}'", r.object_instance_id));
    }
    let details = &r.criteria.simple_threshold_details;
    let fits = |v: f64| v.is_finite() && v.abs() < 1e15;
    if details.is_empty() || !details.iter().all(|d| fits(d.threshold_value) && fits(d.hysteresis) && d.hysteresis >= 0.0) {
        faults.push("criteria.simpleThresholdDetails: thresholdValue and a hysteresis that is not negative are needed".into());
    }
    if details.len() > MOST_LIMITS {
        faults.push(format!("criteria.simpleThresholdDetails: {} limits, and a threshold has {MOST_LIMITS} at most", details.len()));
    }
    if r.sub_object_instance_ids.len() > MOST_ZONES {
        let n = r.sub_object_instance_ids.len();
        faults.push(format!("subObjectInstanceIds: {n} zones, and a threshold names {MOST_ZONES} at most"));
        return Ok(None);
    }
    let side = convert::side(metric.capacity_type);
    let measure = match Measure::find(convert::kind(metric.resource_type), &metric.capacity_measurement_name) {
        Ok(m) => m,
        Err(why) => {
            faults.push(why);
            return Ok(None);
        }
    };
    if side == Side::Reserved && !measure.is_reservable() {
        faults.push(format!("criteria.capacityMetric.capacityType: nothing reserves {} here", measure.name()));
    }
    zones(&n.capacity()?, measure, &r.sub_object_instance_ids, faults);
    Ok((faults.len() == before).then(|| CapacityThreshold {
        id,
        project: n.project(),
        zones: r.sub_object_instance_ids.iter().map(SmolStr::new).collect(),
        measure,
        side,
        limits: details.iter().map(|d| Limit { value: Milli::of(d.threshold_value), hysteresis: Milli::of(d.hysteresis) }).collect(),
        went: Vec::new(),
        crossed: None,
        revision: 1,
    }))
}

/// Each that is named has to have the measure, and one at least if none is.
fn zones(there: &[Zone], measure: Measure, named: &[String], faults: &mut Vec<String>) {
    let having: Vec<&str> = there.iter().filter(|z| z.figures(measure).is_some()).map(|z| z.id.as_str()).collect();
    if having.is_empty() {
        faults.push(format!("criteria.capacityMetric: nobody measures {} here: this box has none", measure.name()));
        return;
    }
    for z in named.iter().filter(|z| !having.contains(&z.as_str())) {
        faults.push(format!("subObjectInstanceIds: nobody measures {} of a zone '{z}'; zones: {}", measure.name(), having.join(", ")));
    }
}

async fn delete(State(s): Ctx, Id(id): Id<Uuid>, _: NoQuery, headers: HeaderMap) -> Answer<StatusCode> {
    let notify = s.notify.clone();
    let remove = move |n: &View| {
        n.remove_capacity_threshold(id, |revision| if_match(&headers, revision))?;
        gone_already(notify.unsubscribe(SOURCE, id))
    };
    s.domain(remove).await?;
    Ok(StatusCode::NO_CONTENT)
}
