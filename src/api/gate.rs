//! The gate every request passes: its id and span, who is calling, what he may, the API version; and on
//! the way back the body of each problem and the audit trail.

use std::{
    collections::BTreeMap,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Instant,
};

use axum::{
    Router,
    extract::{Extension, MatchedPath, Request, State},
    http::{
        HeaderValue, Method, StatusCode,
        header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
    },
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use smol_str::SmolStr;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    Services, auth, blocking,
    home::ByCentre,
    leftover, permit,
    permit::Need,
    problem::{PROBLEM_JSON, Problem},
    routes::Routes,
    server::{Holder, Peer},
    version::Api,
    who,
};
use crate::{
    access::{Caller, audit::Told, element, manage::owner},
    model::{access::Action, error::Fault},
};

/// When to come back to a box whose system is on trial.
const CLOSED_S: u16 = 10;

/// The gate's own: the services, and what is served behind it.
struct Gate {
    services: Arc<Services>,
    table: BTreeMap<&'static str, Vec<Method>>,
}

/// Puts the gate before every route, and before what is no route.
pub fn close(routes: Routes, services: Arc<Services>) -> Router {
    let gate = Arc::new(Gate { services: services.clone(), table: routes.table().clone() });
    routes
        .into_router()
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path") })
        .layer(from_fn_with_state(gate, pass))
        .with_state(services)
}

async fn pass(State(g): State<Arc<Gate>>, Extension(peer): Extension<Peer>, req: Request, next: Next) -> Response {
    let instance = format!("urn:uuid:{}", Uuid::new_v4());
    let span = tracing::info_span!("request", id = &instance[9..], method = %req.method(), path = req.uri().path());
    async move {
        let begun = Instant::now();
        let mut told = Told {
            source: match peer {
                Peer::Local { .. } => SmolStr::new_static("local"),
                Peer::Remote(from) => smol_str::format_smolstr!("{}", from.ip()),
            },
            method: SmolStr::new(req.method()),
            path: req.uri().path().to_owned(),
            ..Told::default()
        };
        let (req, left) = leftover::of(req);
        let version = Api::shown(req.uri().path(), req.headers());
        let (mut response, noted) = inside(&g, &peer, &mut told, req, next).await;
        // Of refusals too, whoever made them.
        if let Some(v) = version {
            response.headers_mut().entry("version").or_insert(v);
        }
        if noted || matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
            outcome(&mut told, &response);
            tell(&g.services, told).await;
        }
        let mut response = finish(response, &instance);
        // After the audit trail: a client may go away meanwhile.
        if let Some(left) = left {
            left.see_to(&mut response).await;
        }
        tracing::debug!(status = response.status().as_u16(), ms = begun.elapsed().as_millis() as u64, %peer, "answered");
        response
    }
    .instrument(span)
    .await
}

/// The answer, and whether the trail has it whatever it is: the request was one that changes something, or asked for what is not
/// the caller's.
async fn inside(g: &Gate, peer: &Peer, told: &mut Told, mut req: Request, next: Next) -> (Response, bool) {
    let matched = req.extensions().get::<MatchedPath>().cloned();
    let there = matched.as_ref().and_then(|m| g.table.get_key_value(m.as_str()));
    let route =
        there.filter(|(_, methods)| methods.contains(req.method()) || (req.method() == Method::HEAD && methods.contains(&Method::GET)));
    let need = route.map(|(path, _)| (*path, permit::need_at(req.method(), path, req.uri().path())));
    if let Some((_, Some(Need::Public))) = need {
        // A token would outlive the connection, and could be of another than `call_home.client`.
        if req.extensions().get::<ByCentre>().is_some() {
            let why = "no tokens are given over a connection to a centre: its certificate speaks for it";
            return (Problem::new(StatusCode::FORBIDDEN, why).into_response(), true);
        }
        let response = unpanicked(next.run(req)).await;
        told.who = response.extensions().get::<Granted>().map(|g| g.0.clone());
        return (response, true);
    }
    // Nobody unknown learns what paths there are.
    let holder = req.extensions_mut().remove::<Holder>();
    let caller = match auth::admit(&g.services.access, peer, holder.as_ref(), req.headers()).await {
        Ok(c) => c,
        Err(p) => return (p.into_response(), false),
    };
    if let Some(Err(p)) = req.extensions().get::<ByCentre>().map(|c| c.admits(&caller)) {
        return (p.into_response(), false);
    }
    told.who = Some(caller.name.clone());
    told.project = Some(caller.project);
    let changes = matches!(need, Some((_, Some(Need::Permission(p)))) if p.action != Action::Read);
    // Of a path that the router knows nothing is reached but by a method of the table, for only that has a permission.
    if matched.is_some() && need.is_none() {
        return (no_method(there.map_or(&[][..], |(_, methods)| methods.as_slice())).into_response(), true);
    }
    // What is no path goes on to the router, which says 404.
    if let Some((route, need)) = need
        && let Err(no) = may(g, &caller, route, need, req.uri().path()).await
    {
        return (no.problem.into_response(), changes || no.hidden);
    }
    if changes
        && let Some((route, _)) = need
        && route != super::hub::RELAY
        && !permit::in_a_trial(req.method(), route)
        && let Some(why) = g.services.update.closed()
    {
        return (Problem::busy(why, CLOSED_S).into_response(), changes);
    }
    if let Err(p) = Api::agreed(req.uri().path(), req.headers()) {
        return (p.into_response(), changes);
    }
    (blocking::writing(changes, who::within(caller, unpanicked(next.run(req)))).await, changes)
}

/// Why a caller may not.
struct No {
    problem: Box<Problem>,
    /// It is there, and he is not told so.
    hidden: bool,
}

impl From<Box<Problem>> for No {
    fn from(problem: Box<Problem>) -> Self {
        No { problem, hidden: false }
    }
}

impl From<Fault> for No {
    fn from(fault: Fault) -> Self {
        Box::<Problem>::from(fault).into()
    }
}

/// 403 without the permission; 404 for what belongs to a project the caller does not see.
async fn may(g: &Gate, caller: &Caller, route: &'static str, need: Option<Need>, path: &str) -> Result<(), No> {
    let permission = match need {
        Some(Need::Permission(p)) => p,
        Some(Need::Public | Need::Behind) | None => return Err(Fault::forbidden("no permission covers this route").into()),
    };
    if !caller.permissions.has(permission) {
        return Err(Fault::forbidden(format!("this needs the permission {permission}, which no role of {} gives", caller.name)).into());
    }
    if caller.element && !element::meets(permission.resource) {
        return Err(Fault::forbidden(format!(
            "{} has VNFs in its charge, and meets nothing of {}",
            caller.name,
            permission.resource.word()
        ))
        .into());
    }
    if caller.every_project {
        return Ok(());
    }
    let Some(thing) = permit::thing(route, path)? else { return Ok(()) };
    // One record by its key, read as `Services::look` reads.
    let store = g.services.nfvo.vnfm().store().clone();
    let by = caller.clone();
    let look = move || {
        let owner = owner(&store, thing)?;
        let own = if owner.is_some_and(|project| by.sees(project)) { by.check_own(&store, thing, permission.action) } else { Ok(()) };
        Ok((owner, own))
    };
    let (owner, own) = if g.services.nfvo.vnfm().store().reads_at_once() { look()? } else { g.services.pool.run(look).await? };
    own.map_err(|fault| No { hidden: true, ..fault.into() })?;
    match owner {
        Some(project) if caller.sees(project) => Ok(()),
        // The words of what is not there at all.
        theirs => Err(No { hidden: theirs.is_some(), ..Fault::not_found(thing.missing()).into() }),
    }
}

/// Whom the token endpoint let in; put on its answer, for the audit trail.
#[derive(Debug, Clone)]
pub struct Granted(pub SmolStr);

fn outcome(told: &mut Told, response: &Response) {
    told.status = response.status().as_u16();
    if let Some(p) = response.extensions().get::<Arc<Problem>>() {
        told.why = p.detail.clone();
    }
    let place = response.headers().get(LOCATION).and_then(|l| l.to_str().ok());
    told.op = place.and_then(|l| l.split_once("_lcm_op_occs/")).and_then(|(_, id)| id.parse().ok());
}

async fn tell(s: &Services, told: Told) {
    let access = s.access.clone();
    // In the history before the caller reads the answer.
    match tokio::task::spawn_blocking(move || access.tell(told)).await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => tracing::error!(?fault, "the audit trail could not be written"),
        Err(_) => tracing::error!("the audit trail could not be written"),
    }
}

/// A panic in a handler is a 500 for this request and nothing for the others.
async fn unpanicked(answer: impl Future<Output = Response>) -> Response {
    let mut answer = pin!(answer);
    std::future::poll_fn(move |cx| {
        catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))).unwrap_or_else(|_| {
            let p =
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the request failed by a fault in Bothy itself; the log has the details");
            Poll::Ready(p.into_response())
        })
    })
    .await
}

/// Gives every error its problem body; what the router itself refuses (405) keeps its headers.
fn finish(mut response: Response, instance: &str) -> Response {
    let status = response.status();
    if status.as_u16() < 400
        || response.headers().get(CONTENT_TYPE) == Some(&PROBLEM_JSON)
        || response.extensions().get::<super::oauth::OwnForm>().is_some()
    {
        return response;
    }
    let mut rendered = match response.extensions_mut().remove::<Arc<Problem>>() {
        Some(p) => p.render(instance),
        None => Problem::new(status, plain(status)).render(instance),
    };
    for (name, value) in response.headers() {
        if name != CONTENT_TYPE && name != CONTENT_LENGTH {
            rendered.headers_mut().append(name, HeaderValue::clone(value));
        }
    }
    rendered
}

fn no_method(methods: &[Method]) -> Problem {
    let all: Vec<&str> = methods.iter().flat_map(|m| if *m == Method::GET { vec!["GET", "HEAD"] } else { vec![m.as_str()] }).collect();
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, plain(StatusCode::METHOD_NOT_ALLOWED));
    match HeaderValue::try_from(all.join(",")) {
        Ok(allow) => problem.header(ALLOW, allow),
        Err(_) => problem,
    }
}

fn plain(status: StatusCode) -> &'static str {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => "this resource has no such method; Allow names those it has",
        StatusCode::NOT_FOUND => "there is nothing at this path",
        _ => "the request was refused",
    }
}
