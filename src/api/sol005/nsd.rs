//! SOL005 5.4: NS descriptors.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use smol_str::SmolStr;
use uuid::Uuid;

use crate::{
    api::{
        Ctx, Services,
        conditional::if_match,
        content,
        convert::{self, Base, catalogue},
        extract::{self, Id, IdPath, linger, require_type},
        list::{Page, Query, list},
        problem::{Answer, Problem},
        respond::{NoQuery, created, shown},
        routes::{Routes, accepts},
        upload,
    },
    model::{
        error::{Fault, Result},
        id::{NsdInfoId, ProjectId},
        package::{NsDescriptor, Onboarding},
    },
    nfvo::Nfvo,
    sol::{
        nsd::{CreateNsdInfoRequest, NsdInfoModifications},
        shape::NSD_INFO,
    },
    vnfm::package::Upload,
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
    nfvo.vnfm().store().get(&id)?.ok_or_else(|| Fault::not_found(format!("there is no NSD {id}")))
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
    let d = s.domain(move |n| n.create_nsd(ProjectId::DEFAULT, data)).await?;
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
    let merged = move |had: &[(SmolStr, String)]| {
        let mut now = convert::user_pairs(had);
        convert::merge(&mut now, patch.as_ref()?);
        Some(convert::user_data(&now))
    };
    let d = s.domain(move |n| n.modify_nsd(id, state, merged, |d| if_match(&headers, catalogue::nsd_version(d)))).await?;
    Ok(shown(&HeaderMap::new(), catalogue::nsd_version(&d), &r))
}

async fn delete(State(s): Ctx, Id(id): Id<NsdInfoId>, _: NoQuery, headers: HeaderMap) -> Answer<StatusCode> {
    s.domain(move |n| n.delete_nsd(id, |d| if_match(&headers, catalogue::nsd_version(d)))).await?;
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

async fn upload(State(s): Ctx, Id(id): Id<NsdInfoId>, _: NoQuery, headers: HeaderMap, mut body: Body) -> Answer<StatusCode> {
    let begun = match require_type(&headers, upload::is_archive, "application/zip") {
        Ok(()) => s.domain(move |n| n.begin_nsd_upload(id)).await,
        Err(p) => Err(p),
    };
    if let Err(p) = begun {
        linger(&mut body).await;
        return Err(p);
    }
    // On its own task: it has an end also when the client hangs up in the middle.
    let rest = tokio::spawn(async move {
        let got = match upload::receive(&s, &headers, body).await {
            Ok(got) => got,
            Err(p) => {
                s.conclude(move |n| n.abort_nsd_upload(id)).await?;
                return Err(p);
            }
        };
        s.conclude(move |n| n.nsd_uploaded(id, Upload { path: got.path().to_owned(), sha256: got.sha256, size: got.size })).await
    });
    rest.await
        .map_err(|_| Box::new(Problem::from(Fault::bug("the upload failed by a fault in Bothy itself; the log has the details"))))??;
    Ok(StatusCode::ACCEPTED)
}

async fn descriptor(State(s): Ctx, Id(id): Id<NsdInfoId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let d = onboarded(&s, id).await?;
    content::descriptor(&headers, s.nfvo.vnfm().layout(), &d.files, &d.nsd_path)
}

async fn manifest(State(s): Ctx, Id(id): Id<NsdInfoId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    accepts(&headers, &["text/plain"])?;
    let d = onboarded(&s, id).await?;
    let Some(path) = &d.manifest_path else {
        return Ok(Problem::new(StatusCode::NOT_FOUND, "the archive has no manifest").into_response());
    };
    let file = d.files.iter().find(|f| f.path == *path).ok_or_else(|| Fault::bug("the manifest is not among the files"))?;
    content::file(&headers, s.nfvo.vnfm().layout(), file, "text/plain").await
}

async fn artefact(State(s): Ctx, IdPath(id, path): IdPath<NsdInfoId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let d = onboarded(&s, id).await?;
    content::artefact(&headers, s.nfvo.vnfm().layout(), &d.files, &path).await
}
