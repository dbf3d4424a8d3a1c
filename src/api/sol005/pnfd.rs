//! SOL005 5.4.5 to 5.4.7b: PNF descriptors.

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
        id::PnfdInfoId,
        package::{Onboarding, PnfDescriptor},
    },
    nfvo::{Nfvo, catalogue::Catalogued as _},
    sol::{
        nsd::{CreatePnfdInfoRequest, PnfdInfoModifications},
        shape::PNFD_INFO,
    },
};

pub fn routes() -> Routes {
    const ONE: &str = "/nsd/v2/pnf_descriptors/{pnfdInfoId}";
    Routes::default()
        .get("/nsd/v2/pnf_descriptors", all)
        .post("/nsd/v2/pnf_descriptors", create)
        .get(ONE, one)
        .patch(ONE, modify)
        .delete(ONE, delete)
        .get_raw("/nsd/v2/pnf_descriptors/{pnfdInfoId}/pnfd_content", download)
        .put("/nsd/v2/pnf_descriptors/{pnfdInfoId}/pnfd_content", upload)
        .get_raw("/nsd/v2/pnf_descriptors/{pnfdInfoId}/pnfd", descriptor)
        .get_raw("/nsd/v2/pnf_descriptors/{pnfdInfoId}/manifest", manifest)
        .get_raw("/nsd/v2/pnf_descriptors/{pnfdInfoId}/artifacts/{*artifactPath}", artefact)
}

fn find(nfvo: &Nfvo, id: PnfdInfoId) -> Result<PnfDescriptor> {
    nfvo.vnfm().store().get(&id)?.ok_or_else(|| PnfDescriptor::missing(&id))
}

async fn all(State(s): Ctx, base: Base, uri: Uri) -> Answer<Response> {
    let query = Query::parse(&uri, &PNFD_INFO)?;
    let page = |n: &Nfvo, after: Option<Uuid>, limit| {
        Ok(Page::of(n.vnfm().store().page::<PnfDescriptor>(after.map(PnfdInfoId).as_ref(), limit)?, limit, |d| d.id.0))
    };
    let to = base.clone();
    list(&s, &base, query, page, move |_, d| Ok(catalogue::pnfd(&d, &to))).await
}

async fn create(State(s): Ctx, base: Base, _: NoQuery, extract::Json(r): extract::Json<CreatePnfdInfoRequest>) -> Answer<Response> {
    let data = convert::user_data(&r.user_defined_data);
    let d = s.domain(move |n| n.create_pnfd(n.project(), data)).await?;
    created(&format!("/nsd/v2/pnf_descriptors/{}", d.id), d.revision, &catalogue::pnfd(&d, &base))
}

async fn one(State(s): Ctx, base: Base, Id(id): Id<PnfdInfoId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let d = s.domain(move |n| find(n, id)).await?;
    Ok(shown(&headers, d.revision, &catalogue::pnfd(&d, &base)))
}

async fn modify(
    State(s): Ctx,
    Id(id): Id<PnfdInfoId>,
    _: NoQuery,
    headers: HeaderMap,
    extract::Json(r): extract::Json<PnfdInfoModifications>,
) -> Answer<Response> {
    let Some(patch) = r.user_defined_data.clone() else {
        return Err(Fault::invalid("nothing to change: give userDefinedData").into());
    };
    let merged = move |had: &[(SmolStr, String)]| convert::patched(had, Some(&patch));
    let d = s.domain(move |n| n.modify::<PnfDescriptor>(id, None, merged, |d| if_match(&headers, d.revision))).await?;
    Ok(shown(&HeaderMap::new(), d.revision, &r))
}

async fn delete(State(s): Ctx, Id(id): Id<PnfdInfoId>, _: NoQuery, headers: HeaderMap) -> Answer<StatusCode> {
    s.domain(move |n| n.delete::<PnfDescriptor>(id, |d| if_match(&headers, d.revision))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// 409 while there is no content to show (SOL005 5.4.7.3.2).
async fn onboarded(s: &Services, id: PnfdInfoId) -> Answer<PnfDescriptor> {
    let d = s.domain(move |n| find(n, id)).await?;
    match d.onboarding {
        Onboarding::Onboarded => Ok(d),
        Onboarding::Created | Onboarding::Uploading | Onboarding::Processing | Onboarding::Error => {
            Err(Fault::conflict(format!("PNFD {id} is not onboarded: it has no content yet")).into())
        }
    }
}

async fn download(State(s): Ctx, Id(id): Id<PnfdInfoId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    accepts(&headers, &["application/zip"])?;
    let d = onboarded(&s, id).await?;
    let file = d.archive.ok_or_else(|| Fault::bug("an onboarded PNFD without archive"))?;
    content::file(&headers, s.nfvo.vnfm().layout(), &file, "application/zip").await
}

async fn upload(State(s): Ctx, Id(id): Id<PnfdInfoId>, _: NoQuery, headers: HeaderMap, body: Body) -> Answer<StatusCode> {
    const TO: upload::Content = upload::Content {
        begin: |n, id| n.begin_upload::<PnfDescriptor>(PnfdInfoId(id)),
        abort: |n, id| n.abort_upload::<PnfDescriptor>(PnfdInfoId(id)),
        uploaded: |n, id, got| n.uploaded::<PnfDescriptor>(PnfdInfoId(id), got),
        may_lack: false,
    };
    upload::content(s, &TO, id.0, headers, body).await
}

async fn descriptor(State(s): Ctx, Id(id): Id<PnfdInfoId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let d = onboarded(&s, id).await?;
    content::descriptor(&headers, s.nfvo.vnfm().layout(), &d.files, &d.pnfd_path)
}

async fn manifest(State(s): Ctx, Id(id): Id<PnfdInfoId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    accepts(&headers, &["text/plain"])?;
    let d = onboarded(&s, id).await?;
    content::manifest(&headers, s.nfvo.vnfm().layout(), &d.files, d.manifest_path.as_deref()).await
}

async fn artefact(State(s): Ctx, IdPath(id, path): IdPath<PnfdInfoId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let d = onboarded(&s, id).await?;
    content::artefact(&headers, s.nfvo.vnfm().layout(), &d.files, &path).await
}
