//! VNF indicators (SOL003 8.4.2 to 8.4.4), as they were read last. Those that could not be read are in no list, and asked for
//! by name they are refused with the reason.

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use uuid::Uuid;

use super::{
    Ctx,
    convert::{Base, indicator::indicator},
    extract::{Id, IdPath},
    list::{Page, Query, list},
    problem::Answer,
    respond::{NoQuery, shown},
    routes::Routes,
    subscriptions,
    version::VNFIND,
    who::caller,
};
use crate::{
    access::manage::Thing,
    model::{
        access::{Action, Owned},
        error::{Fault, Result},
        id::{ProjectId, VnfId},
        indicator::{Reading, VnfIndicators},
        subscription::Source,
        vnf::VnfInstance,
        vnfd::MOST_INDICATORS,
    },
    nfvo::Nfvo,
    sol::{shape::INDICATOR, vnfind::IndicatorFilter},
};

pub fn routes() -> Routes {
    VNFIND
        .routes()
        .and(subscriptions::routes::<IndicatorFilter>(
            Source::VnfInd,
            "/vnfind/v1/subscriptions",
            "/vnfind/v1/subscriptions/{subscriptionId}",
        ))
        .get("/vnfind/v1/indicators", |s: Ctx, base: Base, uri: Uri| all(s, base, uri, None))
        .get("/vnfind/v1/indicators/{vnfInstanceId}", |s: Ctx, base: Base, Id(vnf): Id<VnfId>, uri: Uri| all(s, base, uri, Some(vnf)))
        .get("/vnfind/v1/indicators/{vnfInstanceId}/{indicatorId}", one)
}

/// One with a value.
struct Told {
    vnf: VnfId,
    project: ProjectId,
    reading: Reading,
}

impl Owned for Told {
    fn project(&self) -> ProjectId {
        self.project
    }
    fn of_vnfs(&self) -> Vec<VnfId> {
        vec![self.vnf]
    }
}

/// The indicators of a VNF follow each other from its id on: ids are random, so none of another VNF is among them.
fn place(vnf: VnfId, nth: usize) -> Uuid {
    Uuid::from_u128(vnf.0.as_u128().wrapping_add(nth as u128 + 1))
}

/// As many VNFs as may have `limit` indicators after that place.
fn page_of(n: &Nfvo, after: Option<Uuid>, limit: usize, only: Option<VnfId>) -> Result<Page<Told>> {
    let store = n.vnfm().store();
    let from = after.map(|a| VnfId(Uuid::from_u128(a.as_u128().saturating_sub(MOST_INDICATORS as u128 + 1))));
    let records = match only {
        Some(vnf) => store.get::<VnfIndicators>(&vnf)?.into_iter().collect(),
        None => store.page::<VnfIndicators>(from.as_ref(), limit)?,
    };
    let more = only.is_none() && records.len() >= limit;
    let read_to = records.last().map(|r| place(r.vnf, MOST_INDICATORS));
    let told = |r: VnfIndicators| {
        let (vnf, project) = (r.vnf, r.project);
        let all = r.all.into_iter().enumerate().filter(|(_, r)| !r.values.is_empty());
        all.map(move |(i, reading)| (place(vnf, i), Told { vnf, project, reading })).collect::<Vec<_>>()
    };
    let entries = records.into_iter().flat_map(told).filter(|(key, _)| after.is_none_or(|a| *key > a)).collect();
    Ok(Page { entries, read_to, more })
}

async fn all(State(s): Ctx, base: Base, uri: Uri, only: Option<VnfId>) -> Answer<Response> {
    let query = Query::parse(&uri, &INDICATOR)?;
    if let Some(vnf) = only {
        s.look(move |n| there(n, vnf)).await?;
    }
    let by = caller()?;
    let page = move |n: &Nfvo, after: Option<Uuid>, limit| {
        let mut page = page_of(n, after, limit, only)?;
        if !by.every_project {
            page.entries.retain(|(_, t)| by.check_own(n.vnfm().store(), Thing::Vnf(t.vnf), Action::Read).is_ok());
        }
        Ok(page)
    };
    let to = base.clone();
    list(&s, &base, query, page, move |_, t: Told| Ok(indicator(t.vnf, &t.reading, &to))).await
}

fn there(n: &Nfvo, vnf: VnfId) -> Result<()> {
    if n.vnfm().store().get::<VnfInstance>(&vnf)?.is_none() {
        return Err(Fault::not_found(Thing::Vnf(vnf).missing()));
    }
    Ok(())
}

async fn one(State(s): Ctx, base: Base, IdPath(vnf, id): IdPath<VnfId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let (revision, reading) = s
        .look(move |n| {
            there(n, vnf)?;
            let record = n.vnfm().store().get::<VnfIndicators>(&vnf)?;
            // Its age, for a VNF that came to an end and was instantiated again counts from the beginning.
            let (revision, reading) = record.map(|r| (r.changed.0, r.reading(&id).cloned())).unwrap_or_default();
            let Some(reading) = reading else { return Err(Fault::not_found(format!("the VNF instance {vnf} has no indicator '{id}'"))) };
            if reading.values.is_empty() {
                let why = format!("the indicator '{id}' of the VNF instance {vnf} has no value: nobody can read it now");
                return Err(Fault::not_found(why).with_reasons(reading.why));
            }
            Ok((revision, reading))
        })
        .await?;
    Ok(shown(&headers, revision, &indicator(vnf, &reading, &base)))
}
