//! VNF packages of a central NFVO, fetched when it wants a VNF of one that is not here (SOL003 10.4.3, 10.4.4).
//!
//! ```text
//! is it here? --yes--> go on
//!      |no
//! GET onboarded_vnf_packages/{vnfdId} --> its content, to disk --> digest --> onboarding
//!      |                                        `-- broke off: gone on with by Range
//!      `--> whoever asked waits `lcm.package_wait_s`: go on, or the reason why not, or 503 with Retry-After
//! ```
//! What is fetched is a package of the NFVO's project. It comes to its end whoever goes away meanwhile; asking again finds it on
//! its way. Never: how an NFVO is reached and believed (`notify`), what a package is (`vnfm`).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::body::Body;
use hyper::{Method, body::Bytes};
use serde::Deserialize;
use smol_str::SmolStr;
use tracing::{info, warn};
use uuid::Uuid;

use super::{
    Services,
    content::Pieces,
    fetch,
    problem::{Answer, Problem},
    upload::{self, Upload},
    who::{self, caller},
};
use crate::{
    model::{
        central::{Brought, CentralNfvo},
        error::{Fault, Result},
        id::{ProjectId, VnfPkgId},
        package::{Onboarding, VnfPackage},
    },
    notify::{client::Caller, resume},
    sol::{common::Checksum, problem::ProblemDetails},
    vnfm::brought::Offer,
};

/// The version of the API that is asked for.
const VERSION: &str = "2.4.0";
/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(50);
/// When whoever did not wait for the end should ask again, in seconds.
const AGAIN_S: u16 = 5;

/// What of an answer is looked at; whatever else an NFVO has there is its own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    vnfd_id: Option<String>,
    checksum: Option<Checksum>,
    operational_state: Option<String>,
}

/// Where the caller is a central NFVO that can be asked: sees to it that a package with this VNFD is here.
pub async fn ensure(s: &Arc<Services>, vnfd_id: &str) -> Answer<()> {
    let by = caller()?;
    if !by.nfvo {
        return Ok(());
    }
    let (name, id) = (by.name.clone(), SmolStr::new(vnfd_id));
    let nfvo = s
        .domain(move |n| {
            let there = n.vnfm().package_or_brought(by.project, &by.name, &id)?;
            // Of what is here it is said there whether it can be used.
            let is_here = there.is_some_and(|p| p.onboarding == Onboarding::Onboarded);
            if is_here { Ok(None) } else { n.vnfm().store().get::<CentralNfvo>(&name) }
        })
        .await?;
    let Some(nfvo) = nfvo else { return Ok(()) };
    let package = begin(s, &nfvo, by_project()?, vnfd_id).await?;
    let until = Instant::now() + Duration::from_secs(s.config.now().lcm.package_wait_s);
    loop {
        let p = s.domain(move |n| n.vnfm().store().get::<VnfPackage>(&package)).await?;
        match p.map(|p| (p.onboarding, p.failure)) {
            Some((Onboarding::Onboarded, _)) => return Ok(()),
            Some((Onboarding::Error, Some(why))) => {
                let (name, id) = (nfvo.account.clone(), SmolStr::new(vnfd_id));
                let there = s.domain(move |n| n.vnfm().package_or_brought(by.project, &name, &id)).await?;
                // Somebody has onboarded it by hand meanwhile, which is why this one failed.
                if there.is_some_and(|p| p.onboarding == Onboarding::Onboarded) {
                    return Ok(());
                }
                return Err(Fault::from(why).context(format!("the package of NFVO {} cannot be used", nfvo.account)).into());
            }
            Some((Onboarding::Uploading | Onboarding::Processing, _)) if Instant::now() < until => tokio::time::sleep(LOOK).await,
            Some((Onboarding::Uploading | Onboarding::Processing, _)) => {
                let detail = format!(
                    "the package with the VNFD '{vnfd_id}' is being fetched from NFVO {}, as VNF package {package}: ask again when it is onboarded",
                    nfvo.account
                );
                return Err(Box::new(Problem::busy(detail, AGAIN_S)));
            }
            Some((Onboarding::Created | Onboarding::Error, _)) | None => {
                return Err(Fault::transient(format!("the fetching of VNF package {package} was given up")).into());
            }
        }
    }
}

fn by_project() -> Result<ProjectId> {
    caller().map(|c| c.project)
}

/// Begins to fetch, unless it is here or on its way; its package here.
pub async fn begin(s: &Arc<Services>, nfvo: &CentralNfvo, project: ProjectId, vnfd_id: &str) -> Answer<VnfPkgId> {
    let (account, id) = (nfvo.account.clone(), SmolStr::new(vnfd_id));
    let there = s.domain(move |n| n.vnfm().package_or_brought(project, &account, &id)).await?;
    if let Some(p) = there
        && matches!(p.onboarding, Onboarding::Uploading | Onboarding::Processing | Onboarding::Onboarded)
    {
        return Ok(p.id);
    }
    // What the NFVO has is asked before there is anything here: a name that nobody knows leaves nothing behind.
    let of = told(s, nfvo, vnfd_id).await?;
    let (s, nfvo, path) = (s.clone(), nfvo.clone(), format!("{}/package_content", path(vnfd_id)));
    who::through(async move {
        let offer = Offer { project, of };
        let (package, begun) = s.domain(move |n| n.vnfm().begin_bringing(&offer)).await?;
        if begun {
            info!(%package, nfvo = %nfvo.account, "a package is fetched from its NFVO");
            who::spawn(fetch_to_end(s, nfvo, package, path));
        }
        Ok(package)
    })
    .await
}

fn path(vnfd_id: &str) -> String {
    // The id of a VNFD may be any text.
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let segment = vnfd_id.bytes().map(|b| if is_plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") });
    format!("/vnfpkgm/v2/onboarded_vnf_packages/{}", segment.collect::<String>())
}

fn dial(s: &Services, nfvo: &CentralNfvo, path: &str) -> Result<Caller> {
    s.notify.caller("apiRoot", &format!("{}{path}", nfvo.api_root), nfvo.id, nfvo.auth.as_ref())
}

/// What a status means that is not what was hoped for.
fn refusal(nfvo: &CentralNfvo, what: &str, status: u16, said: &str) -> Fault {
    let why = format!("NFVO {} does not give {what} ({status}): {said}", nfvo.account);
    match status {
        401 | 403 => Fault::conflict(format!("{why}: this box shows it the credentials of 'bothy nfvo show {}'", nfvo.account)),
        404 => Fault::not_found(why),
        408 | 429 | 500..=599 => Fault::transient(why),
        _ => Fault::conflict(why),
    }
}

async fn told(s: &Services, nfvo: &CentralNfvo, vnfd_id: &str) -> Result<Brought> {
    let what = format!("its package with the VNFD '{vnfd_id}'");
    let away = |why: String| Fault::transient(format!("NFVO {} cannot be asked for {what}: {why}", nfvo.account));
    let heard = dial(s, nfvo, &path(vnfd_id))?.ask(Method::GET, None, VERSION, Bytes::new()).await.map_err(away)?;
    if heard.status != 200 {
        let p: Option<ProblemDetails> = serde_json::from_slice(&heard.body).ok();
        let said = p.map(|p| p.detail).filter(|d| !d.is_empty()).unwrap_or_else(|| "it does not say why".into());
        return Err(refusal(nfvo, &what, heard.status, &said.chars().take(500).collect::<String>()));
    }
    let odd = |why: String| Fault::conflict(format!("NFVO {}: {what} cannot be used: {why}", nfvo.account));
    let told: Told = serde_json::from_slice(&heard.body).map_err(|e| odd(format!("what it says of it cannot be read: {e}")))?;
    if told.vnfd_id.as_deref().is_some_and(|v| v != vnfd_id) {
        return Err(odd(format!("it has the VNFD '{}'", told.vnfd_id.unwrap_or_default())));
    }
    if told.operational_state.as_deref() == Some("DISABLED") {
        return Err(odd("it is disabled there".into()));
    }
    let sum = told.checksum.ok_or_else(|| odd("it has no checksum to hold what comes against".into()))?;
    Ok(Brought {
        package: VnfPkgId(Uuid::nil()),
        nfvo: nfvo.account.clone(),
        vnfd_id: vnfd_id.into(),
        theirs: told.id.chars().take(200).collect(),
        algorithm: sum.algorithm.chars().take(20).collect(),
        hash: sum.hash.chars().take(200).collect(),
    })
}

async fn fetch_to_end(s: Arc<Services>, nfvo: CentralNfvo, package: VnfPkgId, path: String) {
    let ended = match content(&s, &nfvo, &path).await {
        Ok(got) => s.conclude(move |n| n.vnfm().brought(package, got.as_domain())).await.map_err(|p| fetch::fault(&p)),
        Err(why) => Err(why),
    };
    let Err(why) = ended else { return };
    warn!(%package, nfvo = %nfvo.account, "nothing is onboarded: {why:?}");
    if let Err(p) = s.conclude(move |n| n.vnfm().upload_failed(package, None, &why)).await {
        // The next start finds it UPLOADING, and ends that.
        warn!(%package, "that cannot be stored: {}", p.detail);
    }
}

async fn content(s: &Services, nfvo: &CentralNfvo, path: &str) -> Result<Upload> {
    let what = "the content of its package";
    let away = |why: &str| Fault::transient(format!("NFVO {}: {what} cannot be fetched: {why}", nfvo.account));
    let _turn = fetch::turn().await?;
    let silent = Duration::from_secs(s.config.now().limits.idle_timeout_s) / 3;
    let whole = resume::open(dial(s, nfvo, path)?, silent).await.map_err(|why| away(&why))?;
    if whole.status != 200 {
        return Err(refusal(nfvo, what, whole.status, "it sends nothing"));
    }
    // The tries end before this does.
    let got = upload::fetched(s, &whole.headers, Body::new(Pieces(whole.pieces)), Some(whole.longest)).await;
    got.map_err(|p| match whole.broken.get() {
        Some(why) => away(why),
        None => fetch::fault(&p).context(format!("NFVO {}: {what}", nfvo.account)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_vnfd_is_one_segment_of_a_path() {
        assert_eq!(path("a-B._~9"), "/vnfpkgm/v2/onboarded_vnf_packages/a-B._~9");
        assert_eq!(path("a/b c\u{e9}?"), "/vnfpkgm/v2/onboarded_vnf_packages/a%2Fb%20c%C3%A9%3F");
    }
}
