//! SOL003 5.4.2 to 5.4.10: VNF instances.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use uuid::Uuid;

use crate::{
    api::{
        Ctx, Services, bring,
        conditional::if_match,
        convert::{
            self, Base,
            kept::{self, Kept},
            request,
            vnf::{self, Around, Dialect},
        },
        extract::{self, Id},
        list::{Page, Query, list},
        problem::Answer,
        respond::{NoQuery, accepted, created, shown, unprocessable},
        routes::Routes,
        who::caller,
    },
    model::{
        error::{Fault, Result},
        id::VnfId,
        op::Operation,
        param::Param,
        vnf::{ELEMENT_MANAGER, Properties, VnfInstance, VnfOwner},
        vnfd::{Flavour, Vnfd},
    },
    nfvo::Nfvo,
    sol::{
        common::{KeyValuePairs, Patch},
        shape::VNF_INSTANCE,
        vnflcm::{
            CreateVnfRequest, HealVnfRequest, InstantiateVnfRequest, OperateVnfRequest, ScaleVnfRequest, ScaleVnfToLevelRequest,
            TerminateVnfRequest, VnfInfoModificationRequest,
        },
    },
    vnfm::{accept::CreateVnf, alter::Alter},
};

/// What differs between SOL003 and SOL002 is how an instance looks.
pub fn routes(of: Dialect) -> Routes {
    const ONE: &str = "/vnflcm/v2/vnf_instances/{vnfInstanceId}";
    Routes::default()
        .get("/vnflcm/v2/vnf_instances", move |s: Ctx, base: Base, uri: Uri| all(of, s, base, uri))
        .post("/vnflcm/v2/vnf_instances", move |s: Ctx, base: Base, q: NoQuery, r: extract::Json<CreateVnfRequest>| {
            create(of, s, base, q, r)
        })
        .get(ONE, move |s: Ctx, base: Base, id: Id<VnfId>, q: NoQuery, h: HeaderMap| one(of, s, base, id, q, h))
        .patch(ONE, modify)
        .delete(ONE, delete)
        .post("/vnflcm/v2/vnf_instances/{vnfInstanceId}/instantiate", instantiate)
        .post("/vnflcm/v2/vnf_instances/{vnfInstanceId}/terminate", terminate)
        .post("/vnflcm/v2/vnf_instances/{vnfInstanceId}/operate", operate)
        .post("/vnflcm/v2/vnf_instances/{vnfInstanceId}/scale", scale)
        .post("/vnflcm/v2/vnf_instances/{vnfInstanceId}/scale_to_level", scale_to_level)
        .post("/vnflcm/v2/vnf_instances/{vnfInstanceId}/change_flavour", super::flavour::change)
        .post("/vnflcm/v2/vnf_instances/{vnfInstanceId}/heal", heal)
        .post("/vnflcm/v2/vnf_instances/{vnfInstanceId}/change_ext_conn", super::connect::change)
        .post("/vnflcm/v2/vnf_instances/{vnfInstanceId}/change_vnfpkg", super::package::change)
}

pub fn find(nfvo: &Nfvo, id: VnfId) -> Result<VnfInstance> {
    nfvo.vnfm().store().get(&id)?.ok_or_else(|| Fault::not_found(format!("there is no VNF instance {id}")))
}

/// The instance and its descriptor, which has the flavour it was instantiated in, while its package is there.
fn with_vnfd(nfvo: &Nfvo, v: VnfInstance) -> Result<(VnfInstance, Option<Arc<Vnfd>>)> {
    let vnfd = vnfd_of(nfvo, &v)?;
    Ok((v, vnfd))
}

/// Where it has any use.
pub fn vnfd_of(nfvo: &Nfvo, v: &VnfInstance) -> Result<Option<Arc<Vnfd>>> {
    if v.body.is_some() { nfvo.vnfm().vnfd(v.package) } else { Ok(None) }
}

pub fn flavour_of<'d>(v: &VnfInstance, vnfd: Option<&'d Arc<Vnfd>>) -> Option<&'d Flavour> {
    vnfd?.flavour(&v.body.as_ref()?.flavour)
}

async fn all(of: Dialect, State(s): Ctx, base: Base, uri: Uri) -> Answer<Response> {
    let query = Query::parse(&uri, &VNF_INSTANCE)?;
    // The package is read only where its flavour is shown.
    let whole = query.needs("instantiatedVnfInfo");
    let page = |n: &Nfvo, after: Option<Uuid>, limit| {
        Ok(Page::of(n.vnfm().store().page::<VnfInstance>(after.map(VnfId).as_ref(), limit)?, limit, |v| v.id.0))
    };
    let to = base.clone();
    let show = move |n: &Nfvo, v| {
        let (v, vnfd) = if whole { with_vnfd(n, v)? } else { (v, None) };
        Ok(vnf::instance(&v, &Around { flavour: flavour_of(&v, vnfd.as_ref()), dialect: of }, &to))
    };
    list(&s, &base, query, page, show).await
}

async fn create(of: Dialect, State(s): Ctx, base: Base, _: NoQuery, extract::Json(r): extract::Json<CreateVnfRequest>) -> Answer<Response> {
    let by = caller()?;
    let mut metadata = convert::params(&r.metadata);
    if by.element {
        // What an element manager makes is in its charge.
        metadata.retain(|(name, _)| name != ELEMENT_MANAGER);
        metadata.push((ELEMENT_MANAGER.into(), Param::Text(by.name.to_string())));
    }
    let owner = by.nfvo.then(|| VnfOwner { account: by.name, base: base.0.clone() });
    let ask = CreateVnf {
        project: by.project,
        vnfd_id: r.vnfd_id.into(),
        name: r.vnf_instance_name.map(Into::into),
        description: r.vnf_instance_description.unwrap_or_default(),
        metadata,
    };
    bring::ensure(&s, &ask.vnfd_id).await.map_err(unprocessable)?;
    let v = s.domain(move |n| n.vnfm().create_for(&ask, owner)).await.map_err(unprocessable)?;
    created(&vnf::path(&v), v.revision, &vnf::instance(&v, &Around { flavour: None, dialect: of }, &base))
}

async fn one(of: Dialect, State(s): Ctx, base: Base, Id(id): Id<VnfId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let (v, vnfd) = s.look(move |n| with_vnfd(n, find(n, id)?)).await?;
    let around = Around { flavour: flavour_of(&v, vnfd.as_ref()), dialect: of };
    Ok(shown(&headers, v.revision, &vnf::instance(&v, &around, &base)))
}

/// SOL003 5.4.3.3.4: 202, and an operation that says what was changed.
async fn modify(
    State(s): Ctx,
    Id(id): Id<VnfId>,
    _: NoQuery,
    headers: HeaderMap,
    extract::Json(r): extract::Json<VnfInfoModificationRequest>,
) -> Answer<Response> {
    let op = s
        .domain(move |n| {
            n.vnfm().modify(id, &kept::text(&r)?, |v| {
                if_match(&headers, v.revision)?;
                apply(v, &r)
            })
        })
        .await?;
    operation(&op)
}

/// Lays a modification on a record.
pub fn apply(v: &mut VnfInstance, r: &VnfInfoModificationRequest) -> Result<()> {
    if r.vnf_pkg_id.is_some() {
        return Err(Fault::invalid("vnfPkgId: a modification does not change it; change_vnfpkg brings the VNF to another package"));
    }
    match &r.vnf_instance_name {
        Patch::Keep => {}
        Patch::Remove => v.name = Default::default(),
        Patch::Set(name) => v.name = name.into(),
    }
    match &r.vnf_instance_description {
        Patch::Keep => {}
        Patch::Remove => v.description = String::new(),
        Patch::Set(text) => v.description.clone_from(text),
    }
    for (now, patch) in
        [(&mut v.configurable, &r.vnf_configurable_properties), (&mut v.metadata, &r.metadata), (&mut v.extensions, &r.extensions)]
    {
        match patch {
            Patch::Keep => {}
            Patch::Remove => now.clear(),
            Patch::Set(patch) => lay(now, patch),
        }
    }
    Ok(())
}

fn lay(now: &mut crate::model::param::Params, patch: &KeyValuePairs) {
    let mut all = convert::pairs(now);
    convert::merge(&mut all, patch);
    *now = convert::params(&all);
}

/// What a request gives along, laid on what the instance has.
pub fn laid_on(p: &mut Properties, extensions: &KeyValuePairs, configurable: &KeyValuePairs) {
    for (now, patch) in [(&mut p.extensions, extensions), (&mut p.configurable, configurable)] {
        if !patch.is_empty() {
            lay(now, patch);
        }
    }
}

async fn delete(State(s): Ctx, Id(id): Id<VnfId>, _: NoQuery, headers: HeaderMap) -> Answer<StatusCode> {
    s.domain(move |n| n.vnfm().delete(id, |v| if_match(&headers, v.revision))).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn operation(op: &Operation) -> Answer<Response> {
    accepted(&format!("/vnflcm/v2/vnf_lcm_op_occs/{}", op.id))
}

async fn instantiate(
    State(s): Ctx,
    Id(id): Id<VnfId>,
    _: NoQuery,
    extract::Json(r): extract::Json<InstantiateVnfRequest>,
) -> Answer<Response> {
    let op = s
        .domain(move |n| {
            find(n, id)?;
            let (extensions, configurable) = (r.extensions.clone(), r.vnf_configurable_properties.clone());
            let ask = request::instantiate_vnf(r)?;
            // SOL003 5.5.2.4: they are laid on what the instance has.
            n.vnfm().instantiate_with(id, &ask, &|p| {
                laid_on(p, &extensions, &configurable);
            })
        })
        .await?;
    operation(&op)
}

async fn terminate(State(s): Ctx, Id(id): Id<VnfId>, _: NoQuery, extract::Json(r): extract::Json<TerminateVnfRequest>) -> Answer<Response> {
    let op = s
        .domain(move |n| {
            find(n, id)?;
            let graceful = request::terminate_vnf(&r, n.vnfm().rules().graceful_stop_s)?;
            n.vnfm().terminate(id, graceful, kept::text(&r)?)
        })
        .await?;
    operation(&op)
}

async fn operate(State(s): Ctx, Id(id): Id<VnfId>, _: NoQuery, extract::Json(r): extract::Json<OperateVnfRequest>) -> Answer<Response> {
    let op = s
        .domain(move |n| {
            find(n, id)?;
            let (to, graceful) = request::operate(&r, n.vnfm().rules().graceful_stop_s)?;
            n.vnfm().operate(id, to, graceful, kept::text(&r)?)
        })
        .await?;
    operation(&op)
}

/// SOL003 5.4.5, 5.4.6, 5.4.9: the request as the domain takes it, and what came.
async fn alter<R>(s: &Services, id: VnfId, r: R, read: impl Fn(&R) -> Result<Alter> + Send + 'static) -> Answer<Response>
where
    R: Kept + Send + 'static,
{
    let op = s
        .domain(move |n| {
            find(n, id)?;
            n.vnfm().alter(id, &read(&r)?, &kept::text(&r)?)
        })
        .await?;
    operation(&op)
}

async fn scale(State(s): Ctx, Id(id): Id<VnfId>, _: NoQuery, extract::Json(r): extract::Json<ScaleVnfRequest>) -> Answer<Response> {
    alter(&s, id, r, request::scale).await
}

async fn scale_to_level(
    State(s): Ctx,
    Id(id): Id<VnfId>,
    _: NoQuery,
    extract::Json(r): extract::Json<ScaleVnfToLevelRequest>,
) -> Answer<Response> {
    alter(&s, id, r, request::scale_to_level).await
}

async fn heal(State(s): Ctx, Id(id): Id<VnfId>, _: NoQuery, extract::Json(r): extract::Json<HealVnfRequest>) -> Answer<Response> {
    alter(&s, id, r, request::heal).await
}
