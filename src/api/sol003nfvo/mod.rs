//! SOL003 as the NFVO serves it to foreign VNFMs: the granting of their operations (9.4), VNF packages to read
//! (10.4), and news of room for what was refused (11.4).

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use smol_str::SmolStr;
use uuid::Uuid;

use super::{
    Ctx, Services,
    convert::{Base, grant},
    extract::{self, Id},
    older,
    problem::{Answer, Problem},
    respond::{NoQuery, accepted, created, shown},
    routes::Routes,
    sol005::vnfpkgm,
    subscriptions,
    version::{GRANT, VNFPKGM, VNFPKGM_FIRST, VRQAN},
    who::caller,
};
use crate::{
    model::{
        error::{Fault, Result},
        grant::{Decision, GivenGrant},
        id::ProjectId,
        subscription::Source,
    },
    sol::{
        grant::{GrantRequest, VrQuotaFilter},
        subscription::PkgmFilter,
    },
};

/// Version of the resource: what was decided never changes.
const ONLY: u64 = 1;

pub fn routes() -> Routes {
    let grants = GRANT.routes().and(Routes::default().post("/grant/v1/grants", create).get("/grant/v1/grants/{grantId}", one));
    grants
        .and(vnfpkgm::by_vnfd())
        .and(older::onboarded(vnfpkgm::by_vnfd()))
        .and(VRQAN.routes())
        .and(subscriptions::routes::<VrQuotaFilter>(Source::VrQuota, "/vrqan/v1/subscriptions", "/vrqan/v1/subscriptions/{subscriptionId}"))
}

/// What has paths of SOL005's, which has more methods there: for listeners without it.
pub fn packages() -> Routes {
    let second = vnfpkgm::reading().and(subscriptions::routes::<PkgmFilter>(
        Source::Sol003VnfPkgm,
        "/vnfpkgm/v2/subscriptions",
        "/vnfpkgm/v2/subscriptions/{subscriptionId}",
    ));
    VNFPKGM.and_before(&[&VNFPKGM_FIRST]).and(older::packages(vnfpkgm::reading(), Source::Sol003VnfPkgmFirst)).and(second)
}

/// For the account that asked, whoever reads the answer.
async fn decide(s: &Services, r: GrantRequest, project: ProjectId, vnfm: SmolStr) -> Answer<GivenGrant> {
    let hold = s.config.now().lcm.grant_hold_s;
    s.domain(move |n| n.give_grant(&grant::ask(&r, project, vnfm)?, hold)).await
}

fn refused(f: crate::model::error::FaultRecord) -> Box<Problem> {
    let fault = Fault::from(f);
    let mut p = Problem::new(StatusCode::FORBIDDEN, fault.detail());
    p.reasons = fault.reasons().to_vec();
    Box::new(p)
}

/// 9.4.2.3.1: 201, 403, or 202 where what has to be known does not answer now.
async fn create(State(s): Ctx, base: Base, _: NoQuery, extract::Json(r): extract::Json<GrantRequest>) -> Answer<Response> {
    let by = caller()?;
    let g = decide(&s, r, by.project, by.name).await?;
    let at = grant::path(&g);
    match g.decision {
        Decision::Granted(_) | Decision::Weighed { .. } => created(&at, ONLY, &grant::grant(&g, &base)),
        Decision::Open => accepted(&at),
        Decision::Refused(f) => Err(refused(f)),
    }
}

/// 9.4.3.3.2. It is there for whoever asked for it.
async fn one(State(s): Ctx, base: Base, Id(id): Id<Uuid>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let by = caller()?;
    let mut g = s.domain(move |n| n.given_grant(id).and_then(|g| theirs(g, &by))).await?;
    if g.decision == Decision::Open {
        let kept =
            serde_json::from_str(&g.request).map_err(|e| Fault::bug(format!("the request of grant {id} cannot be read again: {e}")))?;
        g = decide(&s, kept, g.project, g.vnfm).await?;
    }
    match g.decision {
        Decision::Granted(_) | Decision::Weighed { .. } => Ok(shown(&headers, ONLY, &grant::grant(&g, &base))),
        Decision::Open => {
            let mut r = Response::default();
            *r.status_mut() = StatusCode::ACCEPTED;
            Ok(r)
        }
        Decision::Refused(f) => Err(refused(f)),
    }
}

fn theirs(g: GivenGrant, by: &crate::access::Caller) -> Result<GivenGrant> {
    if g.vnfm == by.name || by.every_project { Ok(g) } else { Err(Fault::not_found(format!("there is no grant {}", g.id))) }
}
