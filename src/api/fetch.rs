//! What is fetched from elsewhere by a URI, as a client of this API asked: packages (SOL005 9.4.6) and artefacts that a package
//! names (9.4.4a).
//!
//! One GET over https, or http where `limits.fetch_http` allows it, without following where that leads; then what holds for an
//! upload holds for it: limits, room, the digest while it is written. Credentials that come with a request live as long as the
//! fetching and are stored nowhere. Never: how a server is reached and believed (`notify`), what a package is (`vnfm`).

use std::sync::Arc;

use axum::body::{Body, Bytes};
use data_encoding::HEXLOWER;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::warn;
use uuid::Uuid;

use super::{
    Services,
    convert::request::Faults,
    problem::{Answer, Problem},
    sol005,
    upload::{self, Upload},
};
use crate::{
    model::{
        artefact::{ArtefactAccess, OutsideArtefact},
        desired::ItemKind,
        error::{Fault, Kind, Result},
        id::VnfPkgId,
        subscription::Auth,
    },
    notify::client::{Caller, Target},
    sol::pkgm::{Oauth2ClientCredentials, UploadAuthType},
};

/// As many come at one time; the others wait, UPLOADING.
static AT_ONCE: Semaphore = Semaphore::const_new(4);

/// A place among those that come now.
pub(in crate::api) async fn turn() -> Result<SemaphorePermit<'static>> {
    AT_ONCE.acquire().await.map_err(|_| Fault::bug("nothing is fetched any more"))
}

/// Something at a URI. It has no `Debug`, so that no log can hold the secret.
pub struct Source {
    pub what: &'static str,
    pub uri: String,
    /// What should be sealed in it is in the clear.
    pub auth: Option<Auth>,
}

const NO_HTTP: &str = "http is not allowed here (limits.fetch_http): give an https URI";

/// As of now: what was told while it was allowed is not fetched later.
fn is_barred(s: &Services, t: &Target) -> bool {
    !t.is_tls() && !s.config.now().limits.fetch_http
}

/// Whether a URI may be fetched from, with every fault of what goes with it.
pub(in crate::api) fn check(s: &Services, what: &str, uri: &str, faults: &mut Faults) {
    match Target::parse(what, uri) {
        Err(fault) => {
            let detail = fault.detail();
            faults.add(what, detail.strip_prefix(&format!("{what}: ")).unwrap_or(&detail));
        }
        Ok(t) if is_barred(s, &t) => faults.add(what, NO_HTTP),
        Ok(_) => {}
    }
}

/// How we show ourselves there.
pub(in crate::api) fn auth(
    at: &str,
    uri: &str,
    kind: Option<UploadAuthType>,
    params: Option<Oauth2ClientCredentials>,
    faults: &mut Faults,
) -> Option<Auth> {
    let is_tls = |what: &str, uri: &str| Target::parse(what, uri).is_ok_and(|t| t.is_tls());
    match (kind, params) {
        (None, None) => None,
        (None | Some(UploadAuthType::Oauth2ClientCredentials), Some(p)) => {
            let place = format!("{at}paramsOauth2ClientCredentials.tokenEndpoint");
            if !is_tls("tokenEndpoint", &p.token_endpoint) {
                faults.add(place, "must be an https URI: credentials go over https only");
            }
            if !is_tls("uri", uri) {
                faults.add(format!("{at}authType"), "what is fetched with credentials is fetched over https only");
            }
            Some(Auth::ClientCredentials { client: p.client_id, sealed: p.client_password.into_bytes(), endpoint: p.token_endpoint })
        }
        (Some(UploadAuthType::Oauth2ClientCredentials), None) => {
            faults.add(format!("{at}paramsOauth2ClientCredentials"), "needed with authType OAUTH2_CLIENT_CREDENTIALS: none are kept here");
            None
        }
    }
}

/// As it may be told to everybody who sees the package: what comes after the path may be somebody's key.
pub(in crate::api) fn plain(uri: &str) -> &str {
    uri.split(['?', '#']).next().unwrap_or_default()
}

async fn to_disk(s: &Services, what: &str, uri: &str, caller: Result<Caller>) -> Result<Upload> {
    let bad = |why: String| Fault::transient(format!("{what}: {} cannot be fetched: {why}", plain(uri)));
    let _turn = turn().await?;
    may(s, what, uri)?;
    let stream = caller?.stream(None).await.map_err(bad)?;
    if let Some(why) = refused(what, uri, stream.status)? {
        return Err(why);
    }
    let got = upload::fetched(s, &stream.headers, Body::new(stream.body), None).await;
    got.map_err(|p| fault(&p).context(format!("{what}: {}", plain(uri))))
}

/// Whether it may be fetched now.
pub(in crate::api) fn may(s: &Services, what: &str, uri: &str) -> Result<()> {
    if is_barred(s, &Target::parse(what, uri)?) {
        return Err(Fault::invalid(format!("{what}: {}: {NO_HTTP}", plain(uri))));
    }
    Ok(())
}

/// What a status means for what was to be fetched: nothing, that it may be tried again, or the end of it.
pub(in crate::api) fn refused(what: &str, uri: &str, status: u16) -> Result<Option<Fault>> {
    let uri = plain(uri);
    match status {
        200 => Ok(None),
        500.. | 408 | 429 => Ok(Some(Fault::transient(format!("{what}: {uri} cannot be fetched: the server answered {status}")))),
        300..400 => Err(Fault::invalid(format!("{what}: {uri} leads elsewhere, which is not followed: give the place itself"))),
        _ => Err(Fault::invalid(format!("{what}: {uri} cannot be fetched: the server answered {status}"))),
    }
}

/// What an upload would be refused with, as the failure of the package.
pub(in crate::api) fn fault(p: &Problem) -> Fault {
    let passes = p.status.is_server_error() || p.status == axum::http::StatusCode::REQUEST_TIMEOUT;
    Fault::new(if passes { Kind::Transient } else { Kind::Invalid }, p.detail.clone()).with_reasons(p.reasons.clone())
}

/// Fetches the content of a package whose upload has begun: to the end of that, whoever goes away meanwhile.
pub async fn package(s: Arc<Services>, id: Uuid, from: Source) {
    let caller = s.notify.caller_with(from.what, &from.uri, from.auth.as_ref());
    match to_disk(&s, from.what, &from.uri, caller).await {
        Ok(got) => match lacking(&s, id, got).await {
            Ok((got, lacks)) => see_through(s, id, Some(got), lacks).await,
            Err(p) => end(&s, id, None, fault(&p)).await,
        },
        Err(why) => end(&s, id, None, why).await,
    }
}

/// The same of a package that has its archive, and has failed.
pub async fn again(s: Arc<Services>, id: Uuid) {
    match s.conclude(move |n| n.vnfm().wanted_outside(VnfPkgId(id), None)).await {
        Ok(lacks) => see_through(s, id, None, lacks).await,
        Err(p) => end(&s, id, None, fault(&p)).await,
    }
}

type Lacking = Vec<(OutsideArtefact, ArtefactAccess)>;

/// What of an archive that came is elsewhere, may be fetched, and is not here.
pub async fn lacking(s: &Services, id: Uuid, got: Upload) -> Answer<(Upload, Lacking)> {
    s.conclude(move |n| {
        let lacks = n.vnfm().wanted_outside(VnfPkgId(id), Some(&got.as_domain()))?;
        Ok((got, lacks))
    })
    .await
}

/// Fetches each artefact, and has the package read; `got` is its archive, if that is new. What cannot be fetched ends it in ERROR,
/// with the reason of each.
pub async fn see_through(s: Arc<Services>, id: Uuid, got: Option<Upload>, lacks: Lacking) {
    let mut faults = Vec::new();
    for (what, to) in lacks {
        if let Err(why) = artefact(&s, id, what, to).await {
            faults.push(why);
        }
    }
    if faults.is_empty() {
        let read = s.conclude(move |n| match got {
            Some(got) => n.vnfm().uploaded(VnfPkgId(id), got.as_domain()),
            None => n.vnfm().outside_is_here(VnfPkgId(id)),
        });
        if let Err(p) = read.await {
            end(&s, id, None, fault(&p)).await;
        }
        return;
    }
    let kind = if faults.iter().all(Fault::is_transient) { Kind::Transient } else { Kind::Invalid };
    let why = Fault::new(kind, "artefacts outside of the package cannot be had; PUT ext_artifacts_access tries again");
    end(&s, id, got, why.with_reasons(faults.iter().map(Fault::detail))).await;
}

async fn artefact(s: &Services, id: Uuid, what: OutsideArtefact, to: ArtefactAccess) -> Result<()> {
    let uri = to.instead.as_ref().unwrap_or(&to.uri);
    let caller = s.notify.caller("artifactUri", uri, id, to.auth.as_ref());
    let got = to_disk(s, "artifactUri", uri, caller).await?;
    let kept = s.conclude(move |n| n.vnfm().keep_outside(VnfPkgId(id), &what, &got.as_domain())).await;
    kept.map_err(|p| fault(&p))
}

/// The content of a package or an NSD that the owner's signed document names with its digest, and whose record is there. What
/// fails leaves the record as it was.
pub async fn wanted(s: Arc<Services>, kind: ItemKind, id: Uuid, url: &str, sha256: &[u8; 32]) -> Result<()> {
    let to: &'static upload::Content = match kind {
        ItemKind::Package => &sol005::vnfpkgm::TO,
        ItemKind::Nsd => &sol005::nsd::TO,
        ItemKind::Service | ItemKind::Host => return Err(Fault::bug("a service or a host has no content")),
    };
    s.conclude(move |n| (to.begin)(n, id)).await.map_err(|p| fault(&p))?;
    let begun = async {
        let got = to_disk(&s, "url", url, s.notify.caller_with("url", url, None)).await?;
        if got.sha256 != *sha256 {
            let is = HEXLOWER.encode(&got.sha256);
            return Err(Fault::invalid(format!("url: what {} gives has the SHA-256 {is}, and the document names another", plain(url))));
        }
        if !to.may_lack {
            return s.conclude(move |n| (to.uploaded)(n, id, got.as_domain())).await.map_err(|p| fault(&p));
        }
        let (got, lacks) = lacking(&s, id, got).await.map_err(|p| fault(&p))?;
        // To its end, whatever becomes of who waits here; what fails is in the package's record.
        let _ = tokio::spawn(see_through(s.clone(), id, Some(got), lacks)).await;
        Ok(())
    };
    let Err(why) = begun.await else { return Ok(()) };
    s.conclude(move |n| (to.abort)(n, id)).await.map_err(|p| fault(&p))?;
    Err(why)
}

/// What is at a URL now, if it is another than the one with this mark, and its mark.
pub async fn newer(s: &Services, url: &str, mark: Option<&str>) -> Result<Option<(Bytes, Option<String>)>> {
    let bad = |why: String| Fault::transient(format!("{} cannot be asked: {why}", plain(url)));
    if is_barred(s, &Target::parse("url", url)?) {
        return Err(Fault::invalid(format!("{}: {NO_HTTP}", plain(url))));
    }
    let heard = s.notify.caller_with("url", url, None)?.newer(mark).await.map_err(bad)?;
    match heard.status {
        200 => Ok(Some((heard.body, heard.mark))),
        304 => Ok(None),
        other => Err(bad(format!("it answers {other}"))),
    }
}

async fn end(s: &Services, id: Uuid, got: Option<Upload>, why: Fault) {
    warn!(package = %id, "nothing is onboarded: {why:?}");
    let ended = s.conclude(move |n| n.vnfm().upload_failed(VnfPkgId(id), got.as_ref().map(Upload::as_domain).as_ref(), &why));
    if let Err(p) = ended.await {
        // The next start finds it UPLOADING, and ends that.
        warn!(package = %id, "that cannot be stored: {}", p.detail);
    }
}
