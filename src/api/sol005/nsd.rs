//! SOL005 5.4: NS descriptors.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use smol_str::SmolStr;
use uuid::Uuid;

use crate::{
    api::{
        Ctx, Services,
        conditional::if_match,
        content,
        convert::{self, Base, catalogue},
        extract::{self, Id, IdPath},
        list::{Page, Query, list},
        problem::Answer,
        respond::{NoQuery, created, shown},
        routes::{Routes, accepts},
        upload,
    },
    model::{
        error::{Fault, Result},
        id::NsdInfoId,
        package::{NsDescriptor, Onboarding},
    },
    nfvo::{Nfvo, catalogue::Catalogued as _},
    sol::{
        nsd::{CreateNsdInfoRequest, NsdInfoModifications},
        shape::NSD_INFO,
    },
};

pub fn routes() -> Routes {
    const ONE: &str = "/nsd/v2/ns_descriptors/{nsdInfoId}";
    Routes::default()
        .get("/nsd/v2/ns_descriptors", all)
        .post("/nsd/v2/ns_descriptors", create)
        .get(ONE, one)
        .patch(ONE, modify)
        .delete(ONE, delete)
        .get_raw("/nsd/v2/ns_descriptors/{nsdInfoId}/nsd_content", download)
        .put("/nsd/v2/ns_descriptors/{nsdInfoId}/nsd_content", upload)
        .get_raw("/nsd/v2/ns_descriptors/{nsdInfoId}/nsd", descriptor)
        .get_raw("/nsd/v2/ns_descriptors/{nsdInfoId}/manifest", manifest)
        .get_raw("/nsd/v2/ns_descriptors/{nsdInfoId}/artifacts/{*artifactPath}", artefact)
}

fn find(nfvo: &Nfvo, id: NsdInfoId) -> Result<NsDescriptor> {
    nfvo.vnfm().store().get(&id)?.ok_or_else(|| NsDescriptor::missing(&id))
}

async fn all(State(s): Ctx, base: Base, uri: Uri) -> Answer<Response> {
    let query = Query::parse(&uri, &NSD_INFO)?;
    let page = |n: &Nfvo, after: Option<Uuid>, limit| {
        Ok(Page::of(n.vnfm().store().page::<NsDescriptor>(after.map(NsdInfoId).as_ref(), limit)?, limit, |d| d.id.0))
    };
    let to = base.clone();
    list(&s, &base, query, page, move |_, d| Ok(catalogue::nsd(&d, &to))).await
}

async fn create(State(s): Ctx, base: Base, _: NoQuery, extract::Json(r): extract::Json<CreateNsdInfoRequest>) -> Answer<Response> {
    let data = convert::user_data(&r.user_defined_data);
    let d = s.domain(move |n| n.create_nsd(n.project(), data)).await?;
    created(&format!("/nsd/v2/ns_descriptors/{}", d.id), catalogue::nsd_version(&d), &catalogue::nsd(&d, &base))
}

async fn one(State(s): Ctx, base: Base, Id(id): Id<NsdInfoId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let d = s.domain(move |n| find(n, id)).await?;
    Ok(shown(&headers, catalogue::nsd_version(&d), &catalogue::nsd(&d, &base)))
}

async fn modify(
    State(s): Ctx,
    Id(id): Id<NsdInfoId>,
    _: NoQuery,
    headers: HeaderMap,
    extract::Json(r): extract::Json<NsdInfoModifications>,
) -> Answer<Response> {
    let state = r.nsd_operational_state.map(catalogue::nsd_operational);
    if state.is_none() && r.user_defined_data.is_none() {
        return Err(Fault::invalid("nothing to change: give nsdOperationalState or userDefinedData").into());
    }
    let patch = r.user_defined_data.clone();
    let merged = move |had: &[(SmolStr, String)]| convert::patched(had, patch.as_ref());
    let d = s.domain(move |n| n.modify::<NsDescriptor>(id, state, merged, |d| if_match(&headers, catalogue::nsd_version(d)))).await?;
    Ok(shown(&HeaderMap::new(), catalogue::nsd_version(&d), &r))
}

async fn delete(State(s): Ctx, Id(id): Id<NsdInfoId>, _: NoQuery, headers: HeaderMap) -> Answer<StatusCode> {
    s.domain(move |n| n.delete::<NsDescriptor>(id, |d| if_match(&headers, catalogue::nsd_version(d)))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// 409 while there is no content to show (SOL005 5.4.4.3.2).
async fn onboarded(s: &Services, id: NsdInfoId) -> Answer<NsDescriptor> {
    let d = s.domain(move |n| find(n, id)).await?;
    match d.onboarding {
        Onboarding::Onboarded => Ok(d),
        Onboarding::Created | Onboarding::Uploading | Onboarding::Processing | Onboarding::Error => {
            Err(Fault::conflict(format!("NSD {id} is not onboarded: it has no content yet")).into())
        }
    }
}

async fn download(State(s): Ctx, Id(id): Id<NsdInfoId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    accepts(&headers, &["application/zip"])?;
    let d = onboarded(&s, id).await?;
    let file = d.archive.ok_or_else(|| Fault::bug("an onboarded NSD without archive"))?;
    content::file(&headers, s.nfvo.vnfm().layout(), &file, "application/zip").await
}

pub(in crate::api) const TO: upload::Content = upload::Content {
    begin: |n, id| n.begin_upload::<NsDescriptor>(NsdInfoId(id)),
    abort: |n, id| n.abort_upload::<NsDescriptor>(NsdInfoId(id)),
    uploaded: |n, id, got| n.uploaded::<NsDescriptor>(NsdInfoId(id), got),
    may_lack: false,
};

async fn upload(State(s): Ctx, Id(id): Id<NsdInfoId>, _: NoQuery, headers: HeaderMap, body: Body) -> Answer<StatusCode> {
    upload::content(s, &TO, id.0, headers, body).await
}

async fn descriptor(State(s): Ctx, Id(id): Id<NsdInfoId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let d = onboarded(&s, id).await?;
    content::descriptor(&headers, s.nfvo.vnfm().layout(), &d.files, &d.nsd_path)
}

async fn manifest(State(s): Ctx, Id(id): Id<NsdInfoId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    accepts(&headers, &["text/plain"])?;
    let d = onboarded(&s, id).await?;
    content::manifest(&headers, s.nfvo.vnfm().layout(), &d.files, d.manifest_path.as_deref()).await
}

async fn artefact(State(s): Ctx, IdPath(id, path): IdPath<NsdInfoId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let d = onboarded(&s, id).await?;
    content::artefact(&headers, s.nfvo.vnfm().layout(), &d.files, &path).await
}
