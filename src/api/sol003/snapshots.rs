//! SOL003 5.4.21 to 5.4.25: snapshots of VNFs; and the same records as SOL005 6.4.19 and 6.4.20 have them.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use uuid::Uuid;

use super::vnflcm::{find, flavour_of, vnfd_of};
use crate::{
    access::{central::forget_snapshot, manage::Thing},
    api::{
        Ctx,
        conditional::{etag, if_match},
        convert::{
            self, Base, kept,
            request::Faults,
            snapshot,
            vnf::{Around, Dialect},
        },
        extract::{self, Id},
        list::{Page, Query, list},
        problem::Answer,
        respond::{NoQuery, accepted, created, shown},
        routes::{Routes, accepts},
        who::caller,
    },
    model::{
        access::Action,
        error::{Fault, Kind, Result},
        id::{SnapshotId, VnfId},
        snapshot::VnfSnapshot,
    },
    nfvo::Nfvo,
    sol::{
        common::KeyValuePairs,
        nslcm::NsVnfSnapshotInfo,
        shape::VNF_SNAPSHOT,
        vnflcm::{
            CreateVnfSnapshotInfoRequest, CreateVnfSnapshotRequest, RevertToVnfSnapshotRequest, VnfSnapshotInfo,
            VnfSnapshotInfoModificationRequest, VnfSnapshotInfoModifications,
        },
    },
};

const ALL: &str = "/vnflcm/v2/vnf_snapshots";
const ONE: &str = "/vnflcm/v2/vnf_snapshots/{vnfSnapshotInfoId}";

const ALL_OF_SERVICES: &str = "/nslcm/v2/vnf_snapshots";
const ONE_OF_SERVICES: &str = "/nslcm/v2/vnf_snapshots/{vnfSnapshotInfoId}";

/// What SOL003 has beyond SOL002.
pub fn beyond() -> Routes {
    Routes::default().patch(ONE, modify).get_raw("/vnflcm/v2/vnf_snapshots/{vnfSnapshotInfoId}/vnf_state_snapshot", state)
}

/// What the OSS has of them.
pub fn of_services() -> Routes {
    const OF: Dialect = Dialect::Sol005;
    Routes::default()
        .get(ALL_OF_SERVICES, |s: Ctx, base: Base, uri: Uri| all(OF, s, base, uri))
        .get(ONE_OF_SERVICES, |s: Ctx, base: Base, id: Id<SnapshotId>, q: NoQuery, h: HeaderMap| one(OF, s, base, id, q, h))
        .delete(ONE_OF_SERVICES, delete)
}

pub fn routes(of: Dialect) -> Routes {
    Routes::default()
        .get(ALL, move |s: Ctx, base: Base, uri: Uri| all(of, s, base, uri))
        .post(ALL, move |s: Ctx, base: Base, q: NoQuery, r: extract::Json<CreateVnfSnapshotInfoRequest>| create(of, s, base, q, r))
        .get(ONE, move |s: Ctx, base: Base, id: Id<SnapshotId>, q: NoQuery, h: HeaderMap| one(of, s, base, id, q, h))
        .delete(ONE, delete)
        .post("/vnflcm/v2/vnf_instances/{vnfInstanceId}/create_snapshot", take)
        .post("/vnflcm/v2/vnf_instances/{vnfInstanceId}/revert_to_snapshot", revert)
}

/// As the one or the other has it.
#[derive(Serialize)]
#[serde(untagged)]
enum Info {
    Vnf(Box<VnfSnapshotInfo>),
    Service(Box<NsVnfSnapshotInfo>),
}

fn info(of: Dialect, nfvo: &Nfvo, s: &VnfSnapshot, base: &Base) -> Result<Info> {
    let vnfd = s.taken.as_ref().map(|t| vnfd_of(nfvo, &t.vnf)).transpose()?.flatten();
    let flavour = s.taken.as_ref().and_then(|t| flavour_of(&t.vnf, vnfd.as_ref()));
    let around = Around { flavour, dialect: of };
    Ok(match of {
        Dialect::Sol005 => Info::Service(Box::new(snapshot::of_service(s, &around, base))),
        Dialect::Sol002 | Dialect::Sol003 | Dialect::First => Info::Vnf(Box::new(snapshot::info(s, &around, base))),
    })
}

async fn all(of: Dialect, State(s): Ctx, base: Base, uri: Uri) -> Answer<Response> {
    let query = Query::parse(&uri, &VNF_SNAPSHOT)?;
    let by = caller()?;
    let page = move |n: &Nfvo, after: Option<Uuid>, limit| {
        let store = n.vnfm().store();
        let mut page = Page::of(store.page::<VnfSnapshot>(after.map(SnapshotId).as_ref(), limit)?, limit, |s| s.id.0);
        if !by.every_project {
            page.entries.retain(|(_, s)| by.check_own(store, Thing::Snapshot(s.id), Action::Read).is_ok());
        }
        Ok(page)
    };
    let to = base.clone();
    list(&s, &base, query, page, move |n, s| info(of, n, &s, &to)).await
}

/// Both members are for what comes out of a package.
fn only_taken_here(pkg: bool, content: bool, what: &str) -> Result<()> {
    let mut faults = Faults::default();
    faults.refuse(pkg, "vnfSnapshotPkgId", "not offered: there are no VNF snapshot packages here");
    faults.refuse(content, "vnfSnapshot", "not offered: a snapshot is filled by the task create_snapshot alone");
    faults.end(what, ())
}

async fn create(
    of: Dialect,
    State(s): Ctx,
    base: Base,
    _: NoQuery,
    extract::Json(r): extract::Json<CreateVnfSnapshotInfoRequest>,
) -> Answer<Response> {
    only_taken_here(r.vnf_snapshot_pkg_id.is_some(), r.vnf_snapshot.is_some(), "CreateVnfSnapshotInfoRequest")?;
    let make = |n: &crate::api::who::View| {
        let made = n.vnfm().create_snapshot(n.project())?;
        n.caller().own_snapshot(n.vnfm().store(), made.id)?;
        Ok(made)
    };
    let made = s.domain(make).await?;
    created(&snapshot::path(&made), made.revision, &snapshot::info(&made, &Around { flavour: None, dialect: of }, &base))
}

async fn one(of: Dialect, State(s): Ctx, base: Base, Id(id): Id<SnapshotId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let show = move |n: &crate::api::who::View| {
        let found = n.vnfm().find_snapshot(id)?;
        Ok(shown(&headers, found.revision, &info(of, n, &found, &base)?))
    };
    s.look(show).await
}

/// 5.4.25.3.2: what a VNF gave of its own state while it was taken. No VNF is asked for any here: a snapshot is of its disks.
async fn state(State(s): Ctx, Id(id): Id<SnapshotId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    accepts(&headers, &["application/octet-stream"])?;
    let found = s.look(move |n| n.vnfm().find_snapshot(id)).await?;
    if found.taken.as_ref().is_none_or(|t| t.finished.is_none()) {
        return Err(Fault::conflict(format!("VNF snapshot {id} is not complete: it has no content yet")).into());
    }
    let why = format!("VNF snapshot {id} has no state beside its disks and volumes: its VNF gave none (vnfStateSnapshotInfo is absent)");
    Err(Fault::not_found(why).into())
}

async fn modify(
    State(s): Ctx,
    Id(id): Id<SnapshotId>,
    _: NoQuery,
    headers: HeaderMap,
    extract::Json(r): extract::Json<VnfSnapshotInfoModificationRequest>,
) -> Answer<Response> {
    let found = s.domain(move |n| n.vnfm().modify_snapshot(id, |record| if_match(&headers, record.revision))).await?;
    only_taken_here(r.vnf_snapshot_pkg_id.is_some(), r.vnf_snapshot.is_some(), "VnfSnapshotInfoModificationRequest")?;
    let mut response = crate::api::respond::Json(VnfSnapshotInfoModifications::default()).into_response();
    response.headers_mut().insert(axum::http::header::ETAG, etag(found.revision));
    Ok(response)
}

async fn delete(State(s): Ctx, Id(id): Id<SnapshotId>, _: NoQuery, headers: HeaderMap) -> Answer<StatusCode> {
    let gone = move |n: &crate::api::who::View| {
        n.vnfm().delete_snapshot(id, |record| if_match(&headers, record.revision))?;
        forget_snapshot(n.vnfm().store(), id)
    };
    s.domain(gone).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Neither parameters nor single guests: what is not acted on must not be passed over, or more is undone than was asked for.
fn whole(given: &KeyValuePairs, one: &[(&str, &Option<String>)], what: &str) -> Result<()> {
    let mut faults = Faults::default();
    one.iter().for_each(|(name, value)| faults.refuse(value.is_some(), name, "not offered: a snapshot is of a whole VNF"));
    given.keys().for_each(|name| faults.add(format!("additionalParams.{name}"), "is not known; none is"));
    faults.end(what, ())
}

/// The snapshot that a body names: SOL003 5.4.21.3.1 has 422 for one that is not there.
fn named(n: &crate::api::who::View, id: &str) -> Result<SnapshotId> {
    let invalid = || Fault::invalid(format!("vnfSnapshotInfoId: there is no VNF snapshot '{id}'"));
    let parsed: SnapshotId = id.parse().map_err(|_| invalid())?;
    n.seen(Thing::Snapshot(parsed), |_| Ok(parsed)).map_err(|f| if f.kind() == Kind::NotFound { invalid() } else { f })
}

async fn take(State(s): Ctx, Id(id): Id<VnfId>, _: NoQuery, extract::Json(r): extract::Json<CreateVnfSnapshotRequest>) -> Answer<Response> {
    let op = s
        .domain(move |n| {
            find(n, id)?;
            whole(&r.additional_params, &[("vnfcInstanceId", &r.vnfc_instance_id)], "CreateVnfSnapshotRequest")?;
            let named = named(n, &r.vnf_snapshot_info_id)?;
            n.vnfm().take_snapshot(id, named, &convert::params(&r.user_defined_data), &kept::text(&r)?)
        })
        .await?;
    accepted(&format!("/vnflcm/v2/vnf_lcm_op_occs/{}", op.id))
}

async fn revert(
    State(s): Ctx,
    Id(id): Id<VnfId>,
    _: NoQuery,
    extract::Json(r): extract::Json<RevertToVnfSnapshotRequest>,
) -> Answer<Response> {
    let op = s
        .domain(move |n| {
            find(n, id)?;
            let one = [("vnfcInstanceId", &r.vnfc_instance_id), ("vnfcSnapshotInfoId", &r.vnfc_snapshot_info_id)];
            whole(&r.additional_params, &one, "RevertToVnfSnapshotRequest")?;
            let named = named(n, &r.vnf_snapshot_info_id)?;
            n.vnfm().revert_to_snapshot(id, named, &kept::text(&r)?)
        })
        .await?;
    accepted(&format!("/vnflcm/v2/vnf_lcm_op_occs/{}", op.id))
}
