//! VNF packages (SOL005 9.4), and what foreign VNFMs read of them (SOL003 10.4): the same handlers, told apart by how a package is named.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::Response,
};
use smol_str::SmolStr;
use uuid::Uuid;

use super::outside;
use crate::{
    api::{
        Ctx, Services,
        conditional::if_match,
        content,
        convert::{self, Base, catalogue, request::Faults},
        extract::{self, Id, IdPath},
        fetch,
        list::{Page, Query, list},
        problem::Answer,
        respond::{NoQuery, created, shown},
        routes::{Routes, accepts},
        upload,
        who::{self, View},
    },
    model::{
        artefact::Artefacts,
        error::{Fault, Result},
        id::VnfPkgId,
        package::{Onboarding, VnfPackage},
    },
    nfvo::Nfvo,
    sol::{
        pkgm::{CreateVnfPkgInfoRequest, UploadVnfPkgFromUriRequest, VnfPkgInfoModifications},
        shape::VNF_PKG_INFO,
    },
};

const ALL: &str = "/vnfpkgm/v2/vnf_packages";
const ONE: &str = "/vnfpkgm/v2/vnf_packages/{vnfPkgId}";
const CONTENT: &str = "/vnfpkgm/v2/vnf_packages/{vnfPkgId}/package_content";
const ACCESS: &str = "/vnfpkgm/v2/vnf_packages/{vnfPkgId}/ext_artifacts_access";

pub fn routes() -> Routes {
    reading()
        .post(ALL, create)
        .patch(ONE, modify)
        .delete(ONE, delete)
        .put(CONTENT, upload)
        .post("/vnfpkgm/v2/vnf_packages/{vnfPkgId}/package_content/upload_from_uri", upload_from_uri)
        .get(ACCESS, outside::access)
        .put(ACCESS, outside::set_access)
}

/// What SOL003 has of it (10.4.2, 10.4.3).
pub fn reading() -> Routes {
    type Of = Id<VnfPkgId>;
    type Part = IdPath<VnfPkgId>;
    Routes::default()
        .get(ALL, |s: Ctx, base: Base, uri: Uri| all(s, base, uri, false))
        .get(ONE, |s: Ctx, base: Base, Id(id): Of, q: NoQuery, h: HeaderMap| one(s, base, Named::Package(id), q, h))
        .get_raw(CONTENT, |s: Ctx, Id(id): Of, q: NoQuery, h: HeaderMap| download(s, Named::Package(id), q, h))
        .get_raw("/vnfpkgm/v2/vnf_packages/{vnfPkgId}/vnfd", |s: Ctx, Id(id): Of, q: NoQuery, h: HeaderMap| {
            descriptor(s, Named::Package(id), q, h)
        })
        .get_raw("/vnfpkgm/v2/vnf_packages/{vnfPkgId}/manifest", |s: Ctx, Id(id): Of, q: NoQuery, h: HeaderMap| {
            manifest(s, Named::Package(id), q, h)
        })
        .get_raw("/vnfpkgm/v2/vnf_packages/{vnfPkgId}/artifacts", |s: Ctx, Id(id): Of, m: Method, uri: Uri, h: HeaderMap| {
            outside::archive(s, Named::Package(id), m, uri, h)
        })
        .get_raw(
            "/vnfpkgm/v2/vnf_packages/{vnfPkgId}/artifacts/{*artifactPath}",
            |s: Ctx, IdPath(id, path): Part, q: NoQuery, h: HeaderMap| artefact(s, Named::Package(id), path, q, h),
        )
}

/// SOL003 alone: those that are onboarded, by their VNFDs.
pub fn by_vnfd() -> Routes {
    type Of = Id<SmolStr>;
    type Part = IdPath<SmolStr>;
    Routes::default()
        .get("/vnfpkgm/v2/onboarded_vnf_packages", |s: Ctx, base: Base, uri: Uri| all(s, base, uri, true))
        .get("/vnfpkgm/v2/onboarded_vnf_packages/{vnfdId}", |s: Ctx, base: Base, Id(id): Of, q: NoQuery, h: HeaderMap| {
            one(s, base, Named::Vnfd(id), q, h)
        })
        .get_raw("/vnfpkgm/v2/onboarded_vnf_packages/{vnfdId}/package_content", |s: Ctx, Id(id): Of, q: NoQuery, h: HeaderMap| {
            download(s, Named::Vnfd(id), q, h)
        })
        .get_raw("/vnfpkgm/v2/onboarded_vnf_packages/{vnfdId}/vnfd", |s: Ctx, Id(id): Of, q: NoQuery, h: HeaderMap| {
            descriptor(s, Named::Vnfd(id), q, h)
        })
        .get_raw("/vnfpkgm/v2/onboarded_vnf_packages/{vnfdId}/manifest", |s: Ctx, Id(id): Of, q: NoQuery, h: HeaderMap| {
            manifest(s, Named::Vnfd(id), q, h)
        })
        .get_raw("/vnfpkgm/v2/onboarded_vnf_packages/{vnfdId}/artifacts", |s: Ctx, Id(id): Of, m: Method, uri: Uri, h: HeaderMap| {
            outside::archive(s, Named::Vnfd(id), m, uri, h)
        })
        .get_raw(
            "/vnfpkgm/v2/onboarded_vnf_packages/{vnfdId}/artifacts/{*artifactPath}",
            |s: Ctx, IdPath(id, path): Part, q: NoQuery, h: HeaderMap| artefact(s, Named::Vnfd(id), path, q, h),
        )
}

/// How a path names a package.
pub(super) enum Named {
    Package(VnfPkgId),
    /// One that is onboarded, and that the caller sees: the gate knows nothing of these names.
    Vnfd(SmolStr),
}

pub(super) fn find(view: &View, of: &Named) -> Result<VnfPackage> {
    let store = view.vnfm().store();
    match of {
        Named::Package(id) => store.get(id)?.ok_or_else(|| Fault::not_found(format!("there is no VNF package {id}"))),
        Named::Vnfd(id) => {
            let is = |p: &VnfPackage| {
                p.onboarding == Onboarding::Onboarded && p.vnfd.as_ref().is_some_and(|v| v.id == *id) && view.caller().sees_all_of(p)
            };
            let found = store.list::<VnfPackage>()?.into_iter().find(is);
            found.ok_or_else(|| Fault::not_found(format!("there is no onboarded VNF package with the VNFD '{id}'")))
        }
    }
}

async fn all(State(s): Ctx, base: Base, uri: Uri, onboarded: bool) -> Answer<Response> {
    let query = Query::parse(&uri, &VNF_PKG_INFO)?;
    let page = move |n: &Nfvo, after: Option<Uuid>, limit| {
        let mut page = Page::of(n.vnfm().store().page::<VnfPackage>(after.map(VnfPkgId).as_ref(), limit)?, limit, |p| p.id.0);
        page.entries.retain(|(_, p)| !onboarded || p.onboarding == Onboarding::Onboarded);
        Ok(page)
    };
    let to = base.clone();
    let whole = query.needs("additionalArtifacts");
    let show = move |n: &Nfvo, p: VnfPackage| {
        let beside = if whole { n.vnfm().artefacts(p.id)? } else { None };
        Ok(catalogue::package(&p, beside.as_ref(), &to))
    };
    list(&s, &base, query, page, show).await
}

async fn create(State(s): Ctx, base: Base, _: NoQuery, extract::Json(r): extract::Json<CreateVnfPkgInfoRequest>) -> Answer<Response> {
    let data = convert::user_data(&r.user_defined_data);
    let d = s.domain(move |n| n.vnfm().create_package(n.project(), data)).await?;
    created(&format!("/vnfpkgm/v2/vnf_packages/{}", d.id), catalogue::package_version(&d), &catalogue::package(&d, None, &base))
}

async fn one(State(s): Ctx, base: Base, of: Named, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let (d, beside) = s.domain(move |n| with_beside(n, find(n, &of)?)).await?;
    Ok(shown(&headers, catalogue::package_version(&d), &catalogue::package(&d, beside.as_ref(), &base)))
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

/// A package, and what is known of its artefacts beside its files.
fn with_beside(n: &Nfvo, p: VnfPackage) -> Result<(VnfPackage, Option<Artefacts>)> {
    let beside = n.vnfm().artefacts(p.id)?;
    Ok((p, beside))
}

/// 409 while there is no content to show (SOL005 9.4.5.3.2).
pub(super) async fn onboarded(s: &Services, of: Named) -> Answer<VnfPackage> {
    let d = s.domain(move |n| find(n, &of)).await?;
    match d.onboarding {
        Onboarding::Onboarded => Ok(d),
        Onboarding::Created | Onboarding::Uploading | Onboarding::Processing | Onboarding::Error => {
            Err(Fault::conflict(format!("VNF package {} is not onboarded: it has no content yet", d.id)).into())
        }
    }
}

async fn download(State(s): Ctx, of: Named, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    accepts(&headers, &["application/zip"])?;
    let d = onboarded(&s, of).await?;
    let file = d.archive.ok_or_else(|| Fault::bug("an onboarded package without archive"))?;
    content::file(&headers, s.nfvo.vnfm().layout(), &file, "application/zip").await
}

pub(in crate::api) const TO: upload::Content = upload::Content {
    begin: |n, id| n.vnfm().begin_upload(VnfPkgId(id)),
    abort: |n, id| n.vnfm().abort_upload(VnfPkgId(id)),
    uploaded: |n, id, got| n.vnfm().uploaded(VnfPkgId(id), got),
    may_lack: true,
};

async fn upload(State(s): Ctx, Id(id): Id<VnfPkgId>, _: NoQuery, headers: HeaderMap, body: Body) -> Answer<StatusCode> {
    upload::content(s, &TO, id.0, headers, body).await
}

/// 9.4.6.3.1: 202 when the fetching has begun; how it ends is the package's state.
async fn upload_from_uri(
    State(s): Ctx,
    Id(id): Id<VnfPkgId>,
    _: NoQuery,
    extract::Json(r): extract::Json<UploadVnfPkgFromUriRequest>,
) -> Answer<StatusCode> {
    const WHAT: &str = "addressInformation";
    let mut faults = Faults::default();
    fetch::check(&s, WHAT, &r.address_information, &mut faults);
    let auth = fetch::auth("", &r.address_information, r.auth_type, r.params_oauth2_client_credentials, &mut faults);
    let from = faults.end("UploadVnfPackageFromUriRequest", fetch::Source { what: WHAT, uri: r.address_information, auth })?;
    who::through(async move {
        s.domain(move |n| n.vnfm().begin_upload(id)).await?;
        who::spawn(fetch::package(s, id.0, from));
        Ok(StatusCode::ACCEPTED)
    })
    .await
}

async fn descriptor(State(s): Ctx, of: Named, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let d = onboarded(&s, of).await?;
    content::descriptor(&headers, s.nfvo.vnfm().layout(), &d.files, &d.vnfd_path)
}

async fn manifest(State(s): Ctx, of: Named, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    accepts(&headers, &["text/plain"])?;
    let d = onboarded(&s, of).await?;
    content::manifest(&headers, s.nfvo.vnfm().layout(), &d.files, d.manifest_path.as_deref()).await
}

async fn artefact(State(s): Ctx, of: Named, path: String, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let mut d = onboarded(&s, of).await?;
    if d.files.iter().all(|f| f.path != path) {
        // Or it came from elsewhere.
        let id = d.id;
        let beside = s.domain(move |n| n.vnfm().artefacts(id)).await?;
        d.files.extend(beside.iter().flat_map(Artefacts::fetched).cloned());
    }
    content::artefact(&headers, s.nfvo.vnfm().layout(), &d.files, &path).await
}
