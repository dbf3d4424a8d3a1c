//! `/boxes/{serial}/...`: the API of a box that called home, as this box's hub relays it.
//!
//! Owns who may reach which box: a caller of the box's project, with the permission that the path behind needs (`permit::behind`),
//! by his roles here. On the box the hub acts as the client that its certificate is there.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{StatusCode, uri::PathAndQuery},
    response::Response,
};
use http_body_util::BodyExt as _;

use super::{
    Ctx, Services,
    convert::Base,
    permit,
    problem::{Answer, Problem},
    routes::Routes,
    who,
};
use crate::{
    access::Caller,
    hub::{Failed, Hub, headers::Place, registry::View},
    model::{error::Fault, id::ProjectId},
};

/// All that is relayed.
pub const RELAY: &str = "/boxes/{serial}/{*path}";
/// When to come back to a box that is away.
const AWAY_S: u16 = 10;

pub fn routes() -> Routes {
    Routes::default().get_raw(RELAY, relay).post_raw(RELAY, relay).put(RELAY, relay).patch_raw(RELAY, relay).delete(RELAY, relay)
}

/// Serial number and path of what is asked of a box.
pub fn split(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/boxes/")?;
    rest.find('/').map(|at| rest.split_at(at))
}

impl Services {
    pub fn hub(&self) -> Answer<&Arc<Hub>> {
        self.hub.as_ref().ok_or_else(|| Fault::not_found("this is no hub: hub.listen is not set").into())
    }

    /// The caller reaches this box.
    pub fn reaches(&self, caller: &Caller, b: &View) -> bool {
        let named = &b.enrolled.project;
        let project = if named.is_empty() { Some(ProjectId::DEFAULT) } else { self.access.project_named(named) };
        // An element manager has single VNFs in its charge, which the hub cannot tell.
        !caller.element && project.map_or(caller.every_project, |p| caller.sees(p))
    }
}

async fn relay(State(s): Ctx, base: Base, request: Request) -> Answer<Response> {
    let hub = s.hub()?;
    let absent = |serial: &str| Box::new(Problem::from(Fault::not_found(format!("there is no box '{serial}' here"))));
    let (serial, path) = split(request.uri().path()).ok_or_else(|| absent(""))?;
    let caller = who::caller()?;
    if !hub.view(serial).is_some_and(|b| s.reaches(&caller, &b)) {
        return Err(absent(serial));
    }
    if path.split('/').any(|p| [".", ".."].contains(&p.to_ascii_lowercase().replace("%2e", ".").as_str())) {
        return Err(Box::new(Problem::malformed("a path to a box has no dot segments")));
    }
    if let Some(why) = permit::behind_besides(request.method(), path, &caller) {
        return Err(Fault::forbidden(why).into());
    }
    let query = request.uri().query().map_or_else(String::new, |q| format!("?{q}"));
    let behind =
        PathAndQuery::try_from(format!("{path}{query}")).map_err(|_| Box::new(Problem::malformed("the path cannot be relayed")))?;
    let (place, serial) = (Place::new(&base.0, serial)?, serial.to_owned());
    let (head, body) = request.into_parts();
    let request = axum::http::Request::from_parts(bare(head)?, body.map_err(Into::into).boxed_unsync());
    match hub.relay(&serial, &place, behind, request).await {
        Ok(r) => Ok(r.map(Body::new)),
        Err(Failed::Away(why) | Failed::Busy(why)) => Err(Box::new(Problem::busy(why, AWAY_S))),
        Err(Failed::Slow(why)) => Err(Box::new(Problem::new(StatusCode::GATEWAY_TIMEOUT, why))),
        Err(Failed::Broken(why)) => Err(Box::new(Problem::new(StatusCode::BAD_GATEWAY, why))),
    }
}

/// Method and headers of a request, and nothing of what this box has put beside them.
fn bare(head: axum::http::request::Parts) -> Answer<axum::http::request::Parts> {
    let made = axum::http::Request::builder().method(head.method).body(());
    let (mut parts, ()) = made.map_err(|e| Fault::bug("a request cannot be relayed").with_source(e))?.into_parts();
    parts.headers = head.headers;
    Ok(parts)
}
