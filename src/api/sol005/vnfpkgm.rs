//! SOL005 9.4: VNF packages.

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
        respond::{NoQuery, created, not_offered, shown},
        routes::{Routes, accepts},
        upload,
    },
    model::{
        error::{Fault, Result},
        id::VnfPkgId,
        package::{Onboarding, VnfPackage},
    },
    nfvo::Nfvo,
    sol::{
        pkgm::{CreateVnfPkgInfoRequest, VnfPkgInfoModifications},
        shape::VNF_PKG_INFO,
    },
};

pub fn routes() -> Routes {
    const ONE: &str = "/vnfpkgm/v2/vnf_packages/{vnfPkgId}";
    Routes::default()
        .get("/vnfpkgm/v2/vnf_packages", all)
        .post("/vnfpkgm/v2/vnf_packages", create)
        .get(ONE, one)
        .patch(ONE, modify)
        .delete(ONE, delete)
        .get_raw("/vnfpkgm/v2/vnf_packages/{vnfPkgId}/package_content", download)
        .put("/vnfpkgm/v2/vnf_packages/{vnfPkgId}/package_content", upload)
        .get_raw("/vnfpkgm/v2/vnf_packages/{vnfPkgId}/vnfd", descriptor)
        .get_raw("/vnfpkgm/v2/vnf_packages/{vnfPkgId}/manifest", manifest)
        .get_raw("/vnfpkgm/v2/vnf_packages/{vnfPkgId}/artifacts/{*artifactPath}", artefact)
        .post(
            "/vnfpkgm/v2/vnf_packages/{vnfPkgId}/package_content/upload_from_uri",
            not_offered("upload_from_uri is not offered: PUT the package to package_content"),
        )
}

fn find(nfvo: &Nfvo, id: VnfPkgId) -> Result<VnfPackage> {
    nfvo.vnfm().store().get(&id)?.ok_or_else(|| Fault::not_found(format!("there is no VNF package {id}")))
}

async fn all(State(s): Ctx, base: Base, uri: Uri) -> Answer<Response> {
    let query = Query::parse(&uri, &VNF_PKG_INFO)?;
    let page = |n: &Nfvo, after: Option<Uuid>, limit| {
        Ok(Page::of(n.vnfm().store().page::<VnfPackage>(after.map(VnfPkgId).as_ref(), limit)?, limit, |p| p.id.0))
    };
    let to = base.clone();
    list(&s, &base, query, page, move |_, p| Ok(catalogue::package(&p, &to))).await
}

async fn create(State(s): Ctx, base: Base, _: NoQuery, extract::Json(r): extract::Json<CreateVnfPkgInfoRequest>) -> Answer<Response> {
    let data = convert::user_data(&r.user_defined_data);
    let d = s.domain(move |n| n.vnfm().create_package(n.project(), data)).await?;
    created(&format!("/vnfpkgm/v2/vnf_packages/{}", d.id), catalogue::package_version(&d), &catalogue::package(&d, &base))
}

async fn one(State(s): Ctx, base: Base, Id(id): Id<VnfPkgId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let d = s.domain(move |n| find(n, id)).await?;
    Ok(shown(&headers, catalogue::package_version(&d), &catalogue::package(&d, &base)))
}

async fn modify(
    State(s): Ctx,
    Id(id): Id<VnfPkgId>,
    _: NoQuery,
    headers: HeaderMap,
    extract::Json(r): extract::Json<VnfPkgInfoModifications>,
) -> Answer<Response> {
    let state = r.operational_state.map(catalogue::package_operational);
    if state.is_none() && r.user_defined_data.is_none() {
        return Err(Fault::invalid("nothing to change: give operationalState or userDefinedData").into());
    }
    let patch = r.user_defined_data.clone();
    let merged = move |had: &[(SmolStr, String)]| convert::patched(had, patch.as_ref());
    let d = s.domain(move |n| n.vnfm().modify_package(id, state, merged, |d| if_match(&headers, catalogue::package_version(d)))).await?;
    Ok(shown(&HeaderMap::new(), catalogue::package_version(&d), &r))
}

async fn delete(State(s): Ctx, Id(id): Id<VnfPkgId>, _: NoQuery, headers: HeaderMap) -> Answer<StatusCode> {
    s.domain(move |n| n.vnfm().delete_package(id, |d| if_match(&headers, catalogue::package_version(d)))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// 409 while there is no content to show (SOL005 9.4.5.3.2).
async fn onboarded(s: &Services, id: VnfPkgId) -> Answer<VnfPackage> {
    let d = s.domain(move |n| find(n, id)).await?;
    match d.onboarding {
        Onboarding::Onboarded => Ok(d),
        Onboarding::Created | Onboarding::Uploading | Onboarding::Processing | Onboarding::Error => {
            Err(Fault::conflict(format!("VNF package {id} is not onboarded: it has no content yet")).into())
        }
    }
}

async fn download(State(s): Ctx, Id(id): Id<VnfPkgId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    accepts(&headers, &["application/zip"])?;
    let d = onboarded(&s, id).await?;
    let file = d.archive.ok_or_else(|| Fault::bug("an onboarded package without archive"))?;
    content::file(&headers, s.nfvo.vnfm().layout(), &file, "application/zip").await
}

async fn upload(State(s): Ctx, Id(id): Id<VnfPkgId>, _: NoQuery, headers: HeaderMap, body: Body) -> Answer<StatusCode> {
    const TO: upload::Content = upload::Content {
        begin: |n, id| n.vnfm().begin_upload(VnfPkgId(id)),
        abort: |n, id| n.vnfm().abort_upload(VnfPkgId(id)),
        uploaded: |n, id, got| n.vnfm().uploaded(VnfPkgId(id), got),
    };
    upload::content(s, &TO, id.0, headers, body).await
}

async fn descriptor(State(s): Ctx, Id(id): Id<VnfPkgId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let d = onboarded(&s, id).await?;
    content::descriptor(&headers, s.nfvo.vnfm().layout(), &d.files, &d.vnfd_path)
}

async fn manifest(State(s): Ctx, Id(id): Id<VnfPkgId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    accepts(&headers, &["text/plain"])?;
    let d = onboarded(&s, id).await?;
    content::manifest(&headers, s.nfvo.vnfm().layout(), &d.files, d.manifest_path.as_deref()).await
}

async fn artefact(State(s): Ctx, IdPath(id, path): IdPath<VnfPkgId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let d = onboarded(&s, id).await?;
    content::artefact(&headers, s.nfvo.vnfm().layout(), &d.files, &path).await
}
