//! What the op-occ APIs share: finding operations of their kind, with what is shown beside them, and the
//! tasks on one (SOL003 5.4.13 to 5.4.17, SOL005 6.4.10 to 6.4.15).

use std::{collections::HashSet, convert::Infallible, future::ready};

use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderMap, StatusCode, request::Parts},
    response::Response,
};
use uuid::Uuid;

use super::{
    Ctx,
    convert::{
        Base,
        opocc::{self, Around},
        request,
    },
    extract::{self, Id},
    list::Page,
    problem::Answer,
    respond::{NoQuery, shown_whole},
};
use crate::model::order::Order as _;
use crate::{
    lcm::timeline::{all_operations, find_operation, log_of, page_of_operations, plan_of},
    model::{
        domain::DomainSpec,
        error::{Fault, Result},
        id::{OpId, VnfcId},
        ns::NsInstance,
        op::{OpKind, OpState, Operation, Phase, Target, VnfOpState},
        parts::OpParts,
        step::{Effect, PlanStep, Step, StepLog, StepState, VnfStep},
    },
    nfvo::Nfvo,
    sol::vnflcm::CancelMode,
};

/// Which of the APIs asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Vnf,
    Ns,
    /// Operations on the host itself.
    Host,
}

impl Kind {
    pub fn has(self, op: &Operation) -> bool {
        match op.target {
            Target::Vnf(_) => self == Kind::Vnf,
            Target::Ns(_) => self == Kind::Ns,
            Target::Pf(_) => self == Kind::Host,
        }
    }
}

/// The API in whose path the request is.
impl<S: Send + Sync> FromRequestParts<S> for Kind {
    type Rejection = Infallible;
    fn from_request_parts(parts: &mut Parts, _: &S) -> impl Future<Output = Result<Self, Infallible>> + Send {
        ready(Ok(match parts.uri.path().split('/').nth(1) {
            Some("vnflcm") => Kind::Vnf,
            Some("nslcm") => Kind::Ns,
            Some(_) | None => Kind::Host,
        }))
    }
}

/// Operations of this kind in the order of their ids, under way or long over.
pub fn page(nfvo: &Nfvo, kind: Kind, after: Option<Uuid>, limit: usize) -> Result<Page<Operation>> {
    let mut page = Page::of(page_of_operations(nfvo.vnfm().store(), after.map(OpId), limit)?, limit, |op| op.id.0);
    page.entries.retain(|(_, op)| kind.has(op));
    Ok(page)
}

/// An operation of this kind; one of the other is not here.
pub fn find(nfvo: &Nfvo, kind: Kind, id: OpId) -> Result<Operation> {
    let op = find_operation(nfvo.vnfm().store(), id)?;
    if kind.has(&op) { Ok(op) } else { Err(Fault::not_found(format!("there is no operation {id}"))) }
}

/// The guests a termination removes, from the plans that made them and made them anew.
fn removed(nfvo: &Nfvo, op: &Operation, steps: &[PlanStep]) -> Result<Vec<DomainSpec>> {
    let gone: HashSet<VnfcId> = steps
        .iter()
        .filter_map(|s| match &s.step {
            Step::Vnf(VnfStep::RemoveGuest(id)) => Some(*id),
            Step::Vnf(_) | Step::Ns(_) | Step::Pf(_) => None,
        })
        .collect();
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    let store = nfvo.vnfm().store();
    let mut all: Vec<Operation> = all_operations(store)?.into_iter().filter(|o| o.target == op.target).collect();
    all.order_by_key(|o| o.created);
    let mut out: Vec<DomainSpec> = Vec::new();
    for made in all {
        for s in store.list_under::<PlanStep>(&made.id)?.into_iter().chain(store.list_history_under(&made.id)?) {
            let spec = match s.step {
                Step::Vnf(VnfStep::Define(spec)) => spec,
                Step::Vnf(VnfStep::Redefine { after, .. }) if made.state == OpState::Vnf(VnfOpState::Completed) => after,
                Step::Vnf(_) | Step::Ns(_) | Step::Pf(_) => continue,
            };
            if gone.contains(&spec.id) {
                out.retain(|before| before.id != spec.id);
                out.push(*spec);
            }
        }
    }
    Ok(out)
}

/// What is shown beside an operation, as far as it is still there.
pub fn around(nfvo: &Nfvo, op: &Operation) -> Result<Around> {
    let store = nfvo.vnfm().store();
    let steps = plan_of(store, op.id)?;
    let removed = removed(nfvo, op, &steps)?;
    let sheds = |l: &StepLog| steps.iter().any(|s| s.index == l.index && s.step.effect() == Effect::Sheds);
    let remakes = matches!(op.kind, OpKind::ChangeFlavour | OpKind::ChangePackage);
    let stuck = op.state.phase() == Phase::Stuck;
    let parts_stay = stuck && matches!(op.target, Target::Ns(_)) && nfvo.check_parts_back(op.id).is_err();
    let shedding = parts_stay || remakes && store.list_under::<StepLog>(&op.id)?.iter().any(sheds);
    let mut around = Around { steps, shedding, removed, ..Around::none(op) };
    let known = store.get::<OpParts>(&op.id)?.map_or_else(|| store.get_history(&op.id), |p| Ok(Some(p)))?;
    match op.target {
        Target::Vnf(id) => {
            around.vnf = store.get(&id)?;
            // One that an older release took has the names of today.
            let body = || around.vnf.as_ref().and_then(|v| v.body.as_ref());
            around.parts = known.or_else(|| body().map(|b| OpParts::of_vnf(op.id, b))).unwrap_or(around.parts);
            around.grant = nfvo.vnfm().grant_ask(op.id)?;
            if around.steps.iter().any(|s| matches!(s.step, Step::Vnf(VnfStep::Ask(_)))) {
                around.errands = nfvo.vnfm().errands_of(op.id)?;
            }
        }
        Target::Pf(_) => {}
        Target::Ns(id) => {
            around.ns = store.get(&id)?;
            let of_today = |ns: &NsInstance| OpParts::of_ns(op.id, ns, &around.steps, |vnf| store.get(&vnf), |chain| store.get(&chain));
            around.parts = match (known, &around.ns) {
                (Some(parts), _) => parts,
                (None, Some(ns)) => of_today(ns)?,
                (None, None) => around.parts,
            };
            let logs = log_of(store, op.id)?;
            around.done = logs.into_iter().filter(|l| l.state == StepState::Done).map(|l| l.index).collect();
        }
    }
    Ok(around)
}

fn answer(headers: &HeaderMap, op: &Operation, around: &Around, base: &Base) -> Result<Response> {
    Ok(match op.target {
        Target::Ns(_) => shown_whole(headers, &opocc::ns(op, around, base)?),
        Target::Vnf(_) | Target::Pf(_) => shown_whole(headers, &opocc::vnf(op, around, base)?),
    })
}

pub async fn one(State(s): Ctx, kind: Kind, base: Base, Id(id): Id<OpId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let show = move |n: &super::who::View| {
        let op = find(n, kind, id)?;
        answer(&headers, &op, &around(n, &op)?, &base)
    };
    s.domain(show).await
}

pub async fn retry(State(s): Ctx, kind: Kind, Id(id): Id<OpId>, _: NoQuery) -> Answer<StatusCode> {
    s.domain(move |n| find(n, kind, id).and_then(|_| n.retry(id))).await?;
    Ok(StatusCode::ACCEPTED)
}

/// SOL005 6.4.13: on from where it failed. What is done stays done, as it does in a retry here.
pub async fn go_on(State(s): Ctx, kind: Kind, Id(id): Id<OpId>, _: NoQuery) -> Answer<StatusCode> {
    s.domain(move |n| find(n, kind, id).and_then(|_| n.go_on(id))).await?;
    Ok(StatusCode::ACCEPTED)
}

pub async fn rollback(State(s): Ctx, kind: Kind, Id(id): Id<OpId>, _: NoQuery) -> Answer<StatusCode> {
    s.domain(move |n| find(n, kind, id).and_then(|_| n.rollback(id))).await?;
    Ok(StatusCode::ACCEPTED)
}

pub async fn fail(State(s): Ctx, kind: Kind, base: Base, Id(id): Id<OpId>, _: NoQuery) -> Answer<Response> {
    let fail = move |n: &super::who::View| {
        find(n, kind, id)?;
        let op = n.fail(id)?;
        answer(&HeaderMap::new(), &op, &around(n, &op)?, &base)
    };
    s.domain(fail).await
}

pub async fn cancel(
    State(s): Ctx,
    kind: Kind,
    Id(id): Id<OpId>,
    _: NoQuery,
    extract::Json(r): extract::Json<CancelMode>,
) -> Answer<StatusCode> {
    let mode = request::cancel_mode(r.cancel_mode);
    s.domain(move |n| find(n, kind, id).and_then(|_| n.cancel(id, mode))).await?;
    Ok(StatusCode::ACCEPTED)
}
